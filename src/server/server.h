// SPDX-License-Identifier: Apache-2.0
//
// server.h -- what clients talk to: connections that carry Redis commands to a node.
//
// The only header of server/ that others may include. A server listens on two ports. On the main
// one any key may be asked for, and SCAN and DBSIZE speak of the whole cluster; it is for plain
// clients. The shard's own port has the manners of Redis Cluster: a key that this member holds no
// copy of is answered with MOVED, and SCAN and DBSIZE speak of the slots this member is first for.
// CLUSTER SLOTS names the shards' ports, so a cluster client starts at the first and works on the
// second.
//
//     bytes -> session -> command -> node
//     bytes <- session <- answer  <-
//
// Replies of a connection come in the order of its commands, and commands on one key take effect in
// that order; commands on different keys do not wait for each other.
//
// All memory is taken at creation. What a client may make the server hold is bounded; at a limit
// the server stops reading from it, or refuses with an error that says why.
#ifndef QUOIT_SERVER_SERVER_H
#define QUOIT_SERVER_SERVER_H

#include "base/arena.h"
#include "base/hash.h"
#include "env/env.h"
#include "model/level.h"
#include "node/node.h"

struct server;

// What CONFIG GET shows.
struct server_setting {
    const char *name;
    const char *value;
};

struct server_options {
    const char *listen; // borrowed for life: the host that both ports are bound to
    uint16_t port;      // the main one
    uint16_t shard;
    const char *password; // borrowed for life; NULL: none is asked for

    uint32_t clients_max;
    uint32_t commands_max;   // under way or waiting, of all clients
    uint32_t chunks_max;     // of 16 KiB: replies on their way out, commands on their way in
    uint32_t large_max;      // buffers for commands that do not fit a chunk
    uint32_t value_size_max; // bytes
    uint32_t replication;    // as the node has it, or more
    uint64_t idle_ns;        // silence after which a connection is closed; 0: never
    uint64_t stall_ns;       // silence in the middle of a command after which it is
    bool has_monitor;        // clients may be told of every command
    bool has_debug;          // clients may let all others wait
    bool has_batch;          // MULTI, where there are several members, begins a plain batch
    struct mac_key random;   // from outside; different in every start, and secret
    struct level read;       // what connections begin with; unset: QUORUM
    struct level write;

    // For INFO and CONFIG GET, borrowed for life.
    const char *version;
    const char *system; // its name and release
    const char *io;     // how it is talked to
    uint64_t process_id;
    uint64_t memory_max; // bytes of the whole process
    const struct server_setting *settings;
    uint32_t setting_count;
};

// The defaults a server starts from.
struct server_options server_default_options(void);

// Bytes of arena that server_create takes.
size_t server_memory_size(const struct server_options *options);

// The node need not be started. Its timers run the server's.
struct server *server_create(struct arena *arena, struct env *env, struct node *node,
                             const struct server_options *options);

// What the process has used, for INFO.
struct server_usage {
    uint64_t user_us; // of processors
    uint64_t system_us;
    uint64_t resident; // bytes of memory
};

// To be called now and then.
void server_note_usage(struct server *server, const struct server_usage *usage);

typedef void server_done(void *context, enum status status);

// Listens. Calls back once: ST_OK when clients can connect on both ports, else why they cannot.
void server_start(struct server *server, server_done *done, void *context);

// Orderly end: accepts no more, reads no more, finishes the commands that have arrived, sends their
// replies and closes. What does not end within a few seconds is cut off. The node must still run.
void server_stop(struct server *server, server_done *done, void *context);

#endif
