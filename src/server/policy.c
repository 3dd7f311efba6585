// SPDX-License-Identifier: Apache-2.0
#include "server/policy.h"

// The level of the connection, else that of the keyspace, else as configured.
static struct policy_level nearest(struct level connection, struct level keyspace,
                                   struct level configured) {
    if (connection.kind != LEVEL_UNSET) return (struct policy_level){connection, POLICY_CONNECTION};
    if (keyspace.kind != LEVEL_UNSET) return (struct policy_level){keyspace, POLICY_KEYSPACE};
    return (struct policy_level){configured, POLICY_CONFIGURATION};
}

static const struct keyspace *keyspace_of(const struct server *server, struct slice key) {
    static const struct keyspace none; // before there is a map
    const struct keyspace *k = node_keyspace_of(server->node, key);
    return k == NULL ? &none : k;
}

struct policy_level policy_read(const struct session *s, struct slice key) {
    return nearest(s->read, keyspace_of(s->server, key)->read, s->server->options.read);
}

struct policy_level policy_write(const struct session *s, struct slice key) {
    return nearest(s->write, keyspace_of(s->server, key)->write, s->server->options.write);
}

uint64_t policy_expiry(const struct server *server, struct slice key, uint64_t expires_ms) {
    uint64_t ttl_ms = keyspace_of(server, key)->ttl_ms;
    return expires_ms != 0 || ttl_ms == 0 ? expires_ms : server_now_ms(server) + ttl_ms;
}

bool policy_is_lww(const struct server *server, struct slice key) {
    return keyspace_of(server, key)->conflict == CONFLICT_LWW;
}
