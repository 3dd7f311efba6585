// SPDX-License-Identifier: Apache-2.0
//
// policy.h -- what holds for a key where the command itself does not say: the nearest wins.
//
//     levels   the connection's (CONSISTENCY), else the keyspace's, else as configured
//     expiry   the command's, else the keyspace's
#ifndef QUOIT_SERVER_POLICY_H
#define QUOIT_SERVER_POLICY_H

#include "server/internal.h"

enum policy_source { POLICY_CONNECTION, POLICY_KEYSPACE, POLICY_CONFIGURATION };

struct policy_level {
    struct level level;
    enum policy_source source;
};

// An empty key stands for those of `default`.
struct policy_level policy_read(const struct session *s, struct slice key);
struct policy_level policy_write(const struct session *s, struct slice key);

// When a value that is written now expires, in Unix milliseconds; 0: never. `expires_ms`: as the
// command says, 0: it does not.
uint64_t policy_expiry(const struct server *server, struct slice key, uint64_t expires_ms);

// Whether clients see one value of the key at most, the latest, and writes replace all.
bool policy_is_lww(const struct server *server, struct slice key);

#endif
