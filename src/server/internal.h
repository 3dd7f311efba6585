// SPDX-License-Identifier: Apache-2.0
//
// internal.h -- the parts of a server, side by side.
//
//     server    listens, accepts, watches the clock     session   one connection
//     input     bytes received                          command   what was asked
//     order     who waits for whom                      step      what is asked of the node
//     answer    replies, at their turn                  chunk     memory for all of it
//     pause     what a client told the others to wait for
//     slowlog, latency   what took long                 monitor   who is told of every command
//     lock      what keeps commands apart               transaction   MULTI to EXEC
#ifndef QUOIT_SERVER_INTERNAL_H
#define QUOIT_SERVER_INTERNAL_H

#include "base/histogram.h"
#include "base/rng.h"
#include "base/text.h"
#include "server/latency.h"
#include "server/server.h"
#include "server/session.h"
#include "server/slowlog.h"

struct listener {
    char address[ADDRESS_SIZE_MAX + 1]; // being listened on
    struct server *server;
    bool is_sharded;
    bool is_accepting;
    bool is_starved;           // the last accept found no descriptor; the log knows
    struct env_socket *socket; // NULL while not listening
    struct env_socket *accepted;
    struct env_op listen_op;
    struct env_op accept_op;
    struct timer retry;
};

enum { LISTENERS = 2, ERROR_WORDS_MAX = 32, ERROR_WORD_SIZE = 20 };

// How often a reply was an error that begins with this word.
struct error_count {
    char word[ERROR_WORD_SIZE];
    uint64_t count;
};

struct command_count {
    struct histogram took; // ns of all calls, from start to reply
    uint64_t rejected;     // before they started
    uint64_t failed;
};

// What CONFIG SET changes.
struct tuning {
    int64_t slow_us;      // from which on a command is in the slow log; negative: none is
    int64_t slow_entries; // of it
    int64_t spike_ms;     // from which on a command is an event of LATENCY; 0: none is
    int64_t idle_s;       // silence after which a connection is closed; 0: never
    int64_t clients;      // connections
};

struct server_counts {
    uint64_t connections;
    uint64_t refused; // connections, at clients_max
    uint64_t commands;
    uint64_t receives;
    uint64_t sends;
    uint64_t bytes_in;
    uint64_t bytes_out;
    uint64_t hits; // reads that found the key
    uint64_t misses;
    uint64_t errors;
    uint64_t cut; // connections closed because their clients stalled
};

// A number that grows, and how fast it did lately.
struct rate {
    uint64_t before;
    uint64_t per_second;
};

// What waits for CLIENT UNPAUSE, or for the time it was to last.
enum pause_kind { PAUSE_NONE, PAUSE_WRITES, PAUSE_ALL };

struct pause {
    enum pause_kind kind;
    uint32_t held;      // sessions that wait
    struct timer end;   // armed while there is a pause
    struct list asleep; // DEBUG SLEEP: steps of commands that end with it
};

// Of KEYSPACE and FLUSHALL, under way together.
enum { KEYSPACE_CHANGES_MAX = 8, REPLACEMENTS_MAX = 4 };

enum server_state { SERVER_CREATED, SERVER_SERVING, SERVER_STOPPING };

struct server {
    struct env *env;
    struct node *node;
    struct timers *timers;
    struct server_options options;
    enum server_state state;
    uint64_t began; // ns
    server_done *started;
    void *started_context;
    enum status start_status;
    server_done *stopped;
    void *stopped_context;
    uint32_t pending; // listens and accepts under way

    struct listener listeners[LISTENERS];
    struct timer sweep;
    struct timer cut; // of stopping
    uint64_t swept;   // ns
    struct rate commands_rate;
    struct rate in_rate;
    struct rate out_rate;

    struct list sessions;
    uint32_t session_count;
    uint64_t last_id;
    struct list dirty;
    struct list hungry;
    struct list monitors;
    struct env_op settle_op;
    bool is_settle_asked;
    bool is_overloaded; // the node, in this turn

    struct pool session_pool;
    struct pool command_pool;
    struct pool step_pool;
    struct pool chunk_pool;
    struct pool large_pool;
    struct pool block_pool; // of ARGUMENTS_MAX arguments
    uint32_t large_capacity;

    struct locks locks;
    struct keyspace_change keyspace_changes[KEYSPACE_CHANGES_MAX]; // no context: free
    struct replacement replacements[REPLACEMENTS_MAX];             // likewise
    struct rng rng;
    struct pause pause;

    struct command_index index;
    struct server_counts counts;
    struct command_count *command_counts; // of each entry of the table
    struct tuning tuning;
    struct slowlog slowlog;
    struct latency latency;
    struct server_usage usage;
    uint64_t memory_peak; // bytes of data, as far as was looked at
    uint64_t passwords;   // made by ACL GENPASS
    struct error_count errors[ERROR_WORDS_MAX];
    uint32_t error_count;

    // Scratch, for use within one callback.
    struct reply reply;
    uint8_t *scratch;
    size_t scratch_size;
    char *text;                          // TEXT_SIZE bytes
    struct map_replica owners[RUNS_MAX]; // of each run, right now
    struct record record;
    struct context context;
};

enum {
    ARGUMENTS_MAX = 64 * 1024, // of one command
    ARGUMENTS_CHUNK = CHUNK_SIZE / sizeof(struct slice),
    LARGE_SLACK = 4096, // beyond key and value
    TEXT_SIZE = 4 * 1024 * 1024,
};

// What Redis clients may take us for.
#define REDIS_VERSION "7.0.15"

// A text in the server's scratch, for the reply that is being written.
struct text server_text(struct server *server);

// To be called whenever something comes back to a pool that a session may wait for.
void server_released(struct server *server);

// Settles the dirty sessions when the turn ends.
void server_ask_settle(struct server *server);

// A session is gone for good.
void server_forget(struct server *server);

// True when all earlier commands of the connection are over.
static inline bool command_has_turn(const struct command *c) {
    return c->session->queue.next == &c->link;
}

static inline uint64_t server_now_ms(const struct server *server) {
    return server->env->wall_ms;
}

#endif
