// SPDX-License-Identifier: Apache-2.0
//
// policy.h -- what holds for a key where the command itself does not say: the nearest wins.
//
//     levels   the connection's (CONSISTENCY), else the keyspace's, else as configured
//     expiry   the command's, else the keyspace's
//
// An empty key stands for those of `default`. Before there is a map keyspaces say nothing.
#ifndef QUOIT_SERVER_POLICY_H
#define QUOIT_SERVER_POLICY_H

#include "server/internal.h"

static inline const struct keyspace *policy_keyspace(const struct server *server,
                                                     struct slice key) {
    return map_keyspace_of(node_map(server->node), key);
}

static inline struct level policy_read(const struct session *s, struct slice key) {
    if (s->read.kind != LEVEL_UNSET) return s->read;
    struct level level = policy_keyspace(s->server, key)->read;
    return level.kind != LEVEL_UNSET ? level : s->server->options.read;
}

static inline struct level policy_write(const struct session *s, struct slice key) {
    if (s->write.kind != LEVEL_UNSET) return s->write;
    struct level level = policy_keyspace(s->server, key)->write;
    return level.kind != LEVEL_UNSET ? level : s->server->options.write;
}

// When a value that is written now expires, in Unix milliseconds; 0: never. `expires_ms`: as the
// command says, 0: it does not.
static inline uint64_t policy_expiry(const struct server *server, struct slice key,
                                     uint64_t expires_ms) {
    uint64_t ttl_ms = policy_keyspace(server, key)->ttl_ms;
    return expires_ms != 0 || ttl_ms == 0 ? expires_ms : server_now_ms(server) + ttl_ms;
}

// Whether clients see one value of the key at most, the latest, and writes replace all.
static inline bool policy_is_lww(const struct server *server, struct slice key) {
    return policy_keyspace(server, key)->conflict == CONFLICT_LWW;
}

#endif
