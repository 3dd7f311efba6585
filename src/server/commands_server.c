// SPDX-License-Identifier: Apache-2.0
//
// What is asked of a server as a whole, where Redis has a command for it and Quoit mostly a word.
#include "server/commands.h"

#include "base/text.h"
#include "server/monitor.h"
#include "server/pause.h"

#include <inttypes.h>

static const char syntax_error[] = "ERR syntax error";

void local_time(struct command *c, struct reply *r) {
    uint64_t ms = c->session->server->env->wall_ms;
    reply_array(r, 2);
    reply_bulk_integer(r, (int64_t)(ms / 1000));
    reply_bulk_integer(r, (int64_t)(ms % 1000 * 1000));
}

void local_lolwut(struct command *c, struct reply *r) {
    int64_t number;
    if (c->argument_count > 2 && argument_is(c->arguments[1], "version") &&
        !text_to_i64(c->arguments[2], &number)) {
        reply_error(r, SLICE("ERR value is not an integer or out of range"));
        return;
    }
    char memory[200];
    struct text text = text_over(memory, sizeof(memory));
    text_printf(&text,
                "   .-\"\"\"-.\n  /  .-.  \\\n |  (   )  |\n  \\  '-'  /\n   '-...-'\nQuoit %s\n",
                c->session->server->options.version);
    reply_verbatim(r, text_slice(&text));
}

// Replication, of which Redis has another idea.

void local_role(struct command *c, struct reply *r) {
    (void)c;
    reply_array(r, 3);
    reply_bulk(r, SLICE("master"));
    reply_integer(r, 0);
    reply_array(r, 0);
}

void local_replicaof(struct command *c, struct reply *r) {
    if (argument_is(c->arguments[1], "no") && argument_is(c->arguments[2], "one")) {
        reply_ok(r);
    } else {
        reply_error(r, SLICE("ERR REPLICAOF not allowed in cluster mode."));
    }
}

// Saving. What was acknowledged is on the disk, or will be within the interval that was asked for.

static uint64_t window_ms(const struct server *server) {
    return node_options(server->node)->store.sync_interval_ns / NS_PER_MS;
}

uint64_t server_saved_s(const struct server *server) {
    return (server_now_ms(server) - window_ms(server)) / 1000;
}

void local_save(struct command *c, struct reply *r) {
    uint64_t window = window_ms(c->session->server);
    if (window == 0) {
        reply_ok(r);
    } else {
        reply_errorf(r,
                     "ERR not supported with this durability: what is written is on the disk after "
                     "%" PRIu64 " ms, without being asked; QUOIT SNAPSHOT keeps a copy",
                     window);
    }
}

void local_bgsave(struct command *c, struct reply *r) {
    if (c->argument_count > 2 ||
        (c->argument_count == 2 && !argument_is(c->arguments[1], "schedule"))) {
        reply_error(r, slice_of_string(syntax_error));
    } else {
        reply_simple(r, SLICE("Background saving started"));
    }
}

void local_lastsave(struct command *c, struct reply *r) {
    reply_integer(r, (int64_t)server_saved_s(c->session->server));
}

void local_bgrewriteaof(struct command *c, struct reply *r) {
    (void)c;
    reply_error(r, SLICE("ERR not supported: the log is shortened without being asked; QUOIT "
                         "COMPACT merges the tables"));
}

void local_config_rewrite(struct command *c, struct reply *r) {
    (void)c;
    reply_error(r, SLICE("ERR not supported: what CONFIG SET changes holds until the node stops; "
                         "write it into the configuration file"));
}

void local_module_list(struct command *c, struct reply *r) {
    (void)c;
    reply_array(r, 0);
}

// MONITOR, DEBUG: for those whose node was started so.

void local_monitor(struct command *c, struct reply *r) {
    if (!c->session->server->options.has_monitor) {
        reply_error(r, SLICE("ERR MONITOR is not allowed, because it slows a node down and shows "
                             "everybody's data: start the node with monitor = yes"));
        return;
    }
    if (c->is_within) {
        reply_error(r, SLICE("ERR MONITOR isn't allowed for DENY BLOCKING client"));
        return;
    }
    monitor_begin(c->session);
    reply_ok(r);
}

// Seconds with at most three digits behind the point.
static bool parse_seconds(struct slice text, uint64_t *ms) {
    uint64_t digits = 0;
    uint32_t places = 0;
    bool has_point = false;
    if (text.size == 0 || text.size > 9) return false;
    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = text.data[i];
        if (byte == '.' && !has_point) {
            has_point = true;
            continue;
        }
        if (byte < '0' || byte > '9' || places == 3) return false;
        digits = digits * 10 + (uint64_t)(byte - '0');
        places += has_point;
    }
    for (; places < 3; places++) digits *= 10;
    *ms = digits;
    return true;
}

// Lets all clients of this node wait, and answers then. The node itself goes on.
void start_debug_sleep(struct command *c) {
    struct server *server = c->session->server;
    uint64_t ms;
    if (!server->options.has_debug) {
        answer_error(c, "ERR DEBUG command not allowed: start the node with debug-commands = yes");
    } else if (!parse_seconds(c->arguments[2], &ms)) {
        answer_error(c, "ERR value is not a valid float");
    } else if (server->state == SERVER_STOPPING) {
        answer_ok(c); // nobody is to wait for it
    } else {
        pause_begin(server, PAUSE_ALL, ms * NS_PER_MS);
        pause_sleep(c);
    }
}

// MEMORY.

static void write_number(struct reply *r, const char *name, uint64_t value) {
    reply_bulk_string(r, name);
    reply_integer(r, (int64_t)value);
}

void local_memory_stats(struct command *c, struct reply *r) {
    const struct server *server = c->session->server;
    struct store_stats store = node_store_stats(server->node);
    uint64_t clients = (uint64_t)server->session_count * SESSION_SIZE +
                       (uint64_t)server->chunk_pool.taken * CHUNK_SIZE;
    reply_map(r, 7);
    write_number(r, "peak.allocated", server->memory_peak);
    write_number(r, "total.allocated", store.memory_used);
    write_number(r, "clients.normal", clients);
    write_number(r, "keys.count", store.live_count);
    write_number(r, "keys.bytes-per-key",
                 store.live_count == 0 ? 0 : store.memory_used / store.live_count);
    write_number(r, "dataset.bytes", store.memory_used);
    write_number(r, "total.configured", server->options.memory_max);
}

void local_memory_doctor(struct command *c, struct reply *r) {
    const struct server *server = c->session->server;
    struct store_stats store = node_store_stats(server->node);
    char memory[400];
    struct text text = text_over(memory, sizeof(memory));
    text_printf(&text,
                "All memory is taken at start, and nothing is evicted. Records, filters and "
                "indexes use %" PRIu64 " of %" PRIu64 " bytes; when they need more, writes are "
                "refused with OOM. Of %" PRIu32 " buffers for clients %" PRIu32 " are in use.\n",
                store.memory_used, store.memory_max, server->chunk_pool.count,
                server->chunk_pool.taken);
    reply_verbatim(r, text_slice(&text));
}
