// SPDX-License-Identifier: Apache-2.0
#include "server/server.h"

#include "base/text.h"
#include "server/internal.h"
#include "server/pause.h"

#include <inttypes.h>

enum {
    SPARE_SESSIONS = 16, // for those who are told that there are too many
    WAKE_MAX = 8,        // sessions that one release wakes
    COMMANDS_AHEAD = 32, // commands of several sessions that are made before they are begun
    STRANGER_SECONDS = 10,
    SLOW_US = 10000, // as in Redis, like the next
    SLOW_ENTRIES = 128,
    CUT_SECONDS = 5,
    SCRATCH_SLACK = TEXT_SIZE + 64 * 1024,
};

#define SWEEP_NS NS_PER_SECOND
#define HUNGRY_NS (5 * NS_PER_SECOND) // patience while others wait for memory
#define ACCEPT_RETRY_NS (100 * NS_PER_MS)

struct server_options server_default_options(void) {
    return (struct server_options){
        .listen = "127.0.0.1",
        .port = 7379,
        .clients_max = 10000,
        .commands_max = 16384,
        .chunks_max = 4096,
        .large_max = 64,
        .value_size_max = VALUE_SIZE_DEFAULT,
        .replication = REPLICATION_DEFAULT,
        .stall_ns = 30 * NS_PER_SECOND,
        .version = "0",
    };
}

static uint32_t large_capacity(const struct server_options *o) {
    return o->value_size_max + KEY_SIZE_MAX + LARGE_SLACK;
}

// What a key may hold when each of its copies adds siblings of its own, or the longest report.
static size_t scratch_size(const struct server_options *o) {
    return (size_t)node_copies_max(o->replication) * o->value_size_max + SCRATCH_SLACK;
}

enum { BLOCKS_MAX = 8, STEP_PART = 4 }; // one further step for so many commands

size_t server_memory_size(const struct server_options *o) {
    return sizeof(struct server) + scratch_size(o) + TEXT_SIZE + 1024 + slowlog_memory_size() +
           command_table_count * sizeof(struct command_count) +
           pool_memory_size(o->clients_max + SPARE_SESSIONS, sizeof(struct session)) +
           pool_memory_size(o->commands_max, sizeof(struct command)) +
           pool_memory_size(o->commands_max / STEP_PART + 1, sizeof(struct step)) +
           pool_memory_size(o->chunks_max, CHUNK_SIZE) +
           pool_memory_size(o->large_max, large_capacity(o) + sizeof(struct input)) +
           pool_memory_size(BLOCKS_MAX, ARGUMENTS_MAX * sizeof(struct slice));
}

static void on_sweep(struct timer *timer);
static void on_cut(struct timer *timer);

struct server *server_create(struct arena *arena, struct env *env, struct node *node,
                             const struct server_options *options) {
    must(options->port > 0);
    must(options->clients_max > 0);
    must(options->commands_max > 0);
    must(options->value_size_max <= VALUE_SIZE_MAX);
    must(options->replication >= node_options(node)->replication);
    must((size_t)options->chunks_max * CHUNK_CAPACITY >= 2 * scratch_size(options));
    struct server *server = ARENA_NEW(arena, struct server);
    server->env = env;
    server->node = node;
    server->timers = node_timers(node);
    server->options = *options;
    if (options->read.kind == LEVEL_UNSET) server->options.read.kind = LEVEL_QUORUM;
    if (options->write.kind == LEVEL_UNSET) server->options.write.kind = LEVEL_QUORUM;
    server->large_capacity = large_capacity(options);
    server->scratch_size = scratch_size(options);
    server->scratch = arena_take(arena, server->scratch_size, 1);
    server->text = arena_take(arena, TEXT_SIZE, 1);
    pool_init(&server->session_pool, arena, options->clients_max + SPARE_SESSIONS,
              sizeof(struct session));
    pool_init(&server->command_pool, arena, options->commands_max, sizeof(struct command));
    pool_init(&server->step_pool, arena, options->commands_max / STEP_PART + 1,
              sizeof(struct step));
    pool_init(&server->chunk_pool, arena, options->chunks_max, CHUNK_SIZE);
    pool_init(&server->large_pool, arena, options->large_max,
              server->large_capacity + sizeof(struct input));
    pool_init(&server->block_pool, arena, BLOCKS_MAX, ARGUMENTS_MAX * sizeof(struct slice));
    list_init(&server->sessions);
    list_init(&server->dirty);
    list_init(&server->hungry);
    list_init(&server->monitors);
    pause_init(server);
    locks_init(&server->locks);
    server->rng.state = node_options(node)->random;
    command_index_init(&server->index);
    server->command_counts = ARENA_ARRAY(arena, struct command_count, command_table_count);
    slowlog_init(&server->slowlog, arena);
    server->tuning = (struct tuning){
        .slow_us = SLOW_US,
        .slow_entries = SLOW_ENTRIES,
        .idle_s = (int64_t)(options->idle_ns / NS_PER_SECOND),
        .clients = options->clients_max,
    };
    server->sweep.fired = on_sweep;
    server->cut.fired = on_cut;
    return server;
}

void server_note_usage(struct server *server, const struct server_usage *usage) {
    server->usage = *usage;
}

struct text server_text(struct server *server) {
    return text_over(server->text, TEXT_SIZE);
}

// Accepting.

static void on_listening(struct env_op *op);
static void on_accepted(struct env_op *op);
static void on_accept_retry(struct timer *timer);

static void accept(struct listener *listener) {
    must(!listener->is_accepting);
    listener->is_accepting = true;
    listener->server->pending++;
    listener->accept_op.done = on_accepted;
    env_accept(listener->server->env, &listener->accept_op, listener->socket, &listener->accepted);
}

static void check_stopped(struct server *server) {
    if (server->state != SERVER_STOPPING || server->stopped == NULL) return;
    if (server->pending > 0 || server->session_count > 0 || server->is_settle_asked) return;
    timer_disarm(server->timers, &server->sweep);
    timer_disarm(server->timers, &server->cut);
    server_done *stopped = server->stopped;
    server->stopped = NULL;
    stopped(server->stopped_context, ST_OK);
}

static void welcome(struct listener *listener, struct env_socket *socket) {
    struct server *server = listener->server;
    if (pool_left(&server->session_pool) == 0) {
        server->counts.refused++;
        env_shut(server->env, socket);
        return;
    }
    struct session *s = session_open(listener, socket);
    if (server->session_count > (uint64_t)server->tuning.clients) {
        server->counts.refused++;
        session_refuse(s, "ERR max number of clients reached");
    }
}

static void on_accepted(struct env_op *op) {
    struct listener *listener = CONTAINER_OF(op, struct listener, accept_op);
    struct server *server = listener->server;
    listener->is_accepting = false;
    server->pending--;
    if (server->state == SERVER_STOPPING) {
        if (op->status == ST_OK) env_shut(server->env, listener->accepted);
        check_stopped(server);
        return;
    }
    if (op->status == ST_OK) {
        listener->is_starved = false;
        welcome(listener, listener->accepted);
        accept(listener);
        return;
    }
    // Out of descriptors, or a connection that broke before we had it.
    if (op->status == ST_BUSY && !listener->is_starved) {
        listener->is_starved = true;
        env_log(server->env, ENV_WARNING, "cannot accept clients=%" PRIu32 " why=\"%s\"",
                server->session_count, status_text(op->status));
    }
    listener->retry.fired = on_accept_retry;
    timer_arm(server->timers, &listener->retry, server->env->now + ACCEPT_RETRY_NS);
}

static void on_accept_retry(struct timer *timer) {
    struct listener *listener = CONTAINER_OF(timer, struct listener, retry);
    if (listener->server->state == SERVER_SERVING) accept(listener);
}

// Starting.

static uint16_t listener_port(const struct listener *listener) {
    const struct server_options *o = &listener->server->options;
    uint32_t port = o->port;
    if (listener->is_sharded) port += PORT_SHARD_OFFSET + PORT_SHARD_STEP * (uint32_t)o->shard;
    must(port <= UINT16_MAX);
    return (uint16_t)port;
}

static void listen(struct listener *listener) {
    struct server *server = listener->server;
    struct text address = text_over(listener->address, sizeof(listener->address));
    bool is_v6 = memchr(server->options.listen, ':', strlen(server->options.listen)) != NULL;
    text_printf(&address, is_v6 ? "[%s]:%u" : "%s:%u", server->options.listen,
                listener_port(listener));
    must(!address.clipped);
    server->pending++;
    listener->listen_op.done = on_listening;
    env_listen(server->env, &listener->listen_op, listener->address, &listener->socket);
}

static void stop_listening(struct server *server) {
    for (int i = 0; i < LISTENERS; i++) {
        struct listener *listener = &server->listeners[i];
        timer_disarm(server->timers, &listener->retry);
        if (listener->socket != NULL) env_shut(server->env, listener->socket);
        listener->socket = NULL;
    }
}

static void on_listening(struct env_op *op) {
    struct listener *listener = CONTAINER_OF(op, struct listener, listen_op);
    struct server *server = listener->server;
    server->pending--;
    if (op->status != ST_OK) {
        listener->socket = NULL;
        server->start_status = op->status; // the env has said why
    }
    if (server->pending > 0) return;
    if (server->start_status == ST_OK) {
        server->state = SERVER_SERVING;
        for (int i = 0; i < LISTENERS; i++) accept(&server->listeners[i]);
        timer_arm(server->timers, &server->sweep, server->env->now + SWEEP_NS);
    } else {
        stop_listening(server);
    }
    server->started(server->started_context, server->start_status);
}

void server_start(struct server *server, server_done *done, void *context) {
    must(server->state == SERVER_CREATED);
    server->started = done;
    server->started_context = context;
    server->began = server->env->now;
    server->swept = server->env->now;
    for (int i = 0; i < LISTENERS; i++) {
        server->listeners[i].server = server;
        server->listeners[i].is_sharded = i > 0;
        listen(&server->listeners[i]);
    }
}

// Stopping.

void server_stop(struct server *server, server_done *done, void *context) {
    must(server->state == SERVER_SERVING);
    server->state = SERVER_STOPPING;
    server->stopped = done;
    server->stopped_context = context;
    stop_listening(server);
    pause_end(server);
    for (struct list *at = server->sessions.next; at != &server->sessions; at = at->next) {
        session_drain(CONTAINER_OF(at, struct session, link));
    }
    timer_arm(server->timers, &server->cut, server->env->now + CUT_SECONDS * NS_PER_SECOND);
    server_ask_settle(server);
}

static void on_cut(struct timer *timer) {
    struct server *server = CONTAINER_OF(timer, struct server, cut);
    for (struct list *at = server->sessions.next; at != &server->sessions; at = at->next) {
        session_shut(CONTAINER_OF(at, struct session, link));
    }
}

void server_forget(struct server *server) {
    check_stopped(server);
}

// What a turn asked for, at its end.

// What arrived for a few sessions is understood before any of it is begun: so the node hears of the
// keys ahead.
static void settle_some(struct server *server) {
    uint32_t left = pool_left(&server->command_pool);
    uint32_t count = 0;
    struct list *at = server->dirty.next;
    while (at != &server->dirty && left - pool_left(&server->command_pool) < COMMANDS_AHEAD) {
        session_take(CONTAINER_OF(at, struct session, dirty));
        at = at->next;
        count++;
    }
    node_expect_no_more(server->node);
    for (; count > 0 && !list_is_empty(&server->dirty); count--) {
        struct session *s = CONTAINER_OF(server->dirty.next, struct session, dirty);
        list_remove(&s->dirty);
        session_settle(s);
    }
}

static void on_settle(struct env_op *op) {
    struct server *server = CONTAINER_OF(op, struct server, settle_op);
    server->is_overloaded = node_is_overloaded(server->node);
    do {
        while (!list_is_empty(&server->dirty)) settle_some(server);
    } while (locks_go_on(server));
    server->is_settle_asked = false;
    check_stopped(server);
}

void server_ask_settle(struct server *server) {
    if (server->is_settle_asked) return;
    server->is_settle_asked = true;
    server->settle_op.done = on_settle;
    env_later(server->env, &server->settle_op);
}

static void wake_hungry(struct server *server, uint32_t count) {
    while (count-- > 0 && !list_is_empty(&server->hungry)) {
        struct session *s = CONTAINER_OF(server->hungry.next, struct session, hungry);
        list_remove(&s->hungry);
        session_touch(s);
    }
}

void server_released(struct server *server) {
    if (!list_is_empty(&server->hungry)) wake_hungry(server, WAKE_MAX);
}

// Watching the clock.

static void rate_update(struct rate *rate, uint64_t now, uint64_t elapsed_ns) {
    rate->per_second = (now - rate->before) * NS_PER_SECOND / elapsed_ns;
    rate->before = now;
}

// A client that says half a word, does not say who it is, or does not listen, holds memory that
// others may need; and so does one that queues commands and then falls silent.
static bool is_stalled(const struct server *server, const struct session *s) {
    const struct server_options *o = &server->options;
    uint64_t silence = server->env->now - s->heard;
    if (s->is_stranger) {
        return server->env->now - s->reset >= STRANGER_SECONDS * NS_PER_SECOND;
    }
    if (s->is_held) return false;
    uint64_t idle_s = (uint64_t)server->tuning.idle_s;
    bool is_idle = s->queue_count == 0 && !s->is_sending && list_is_empty(&s->watching);
    if (idle_s > 0 && is_idle && silence / NS_PER_SECOND >= idle_s) return true;
    bool is_needed = !list_is_empty(&server->hungry);
    uint64_t patience = is_needed && o->stall_ns > HUNGRY_NS ? HUNGRY_NS : o->stall_ns;
    if (silence < patience) return false;
    if (s->is_sending) return true;
    if (s->queue_count > 0) return false;
    return session_is_half_way(s) || (is_needed && transaction_memory(s) > 0);
}

static void on_sweep(struct timer *timer) {
    struct server *server = CONTAINER_OF(timer, struct server, sweep);
    uint64_t now = server->env->now;
    struct list *next = NULL;
    for (struct list *at = server->sessions.next; at != &server->sessions; at = next) {
        next = at->next;
        struct session *s = CONTAINER_OF(at, struct session, link);
        if (s->state == SESSION_SHUT || !is_stalled(server, s)) continue;
        server->counts.cut++;
        session_shut(s);
    }
    wake_hungry(server, UINT32_MAX);
    uint64_t memory = node_store_stats(server->node).memory_used;
    if (memory > server->memory_peak) server->memory_peak = memory;
    if (now > server->swept) {
        rate_update(&server->commands_rate, server->counts.commands, now - server->swept);
        rate_update(&server->in_rate, server->counts.bytes_in, now - server->swept);
        rate_update(&server->out_rate, server->counts.bytes_out, now - server->swept);
    }
    server->swept = now;
    timer_arm(server->timers, &server->sweep, now + SWEEP_NS);
}
