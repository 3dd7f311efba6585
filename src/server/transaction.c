// SPDX-License-Identifier: Apache-2.0
#include "server/transaction.h"

#include "model/slot.h"
#include "server/answer.h"
#include "server/commands.h"
#include "server/order.h"

// A command that was kept. What it names lies behind it.
struct queued {
    struct queued *next;
    uint32_t argument_count;
    struct slice arguments[];
};

enum {
    ALIGNMENT = 8,
    SPARE_PART = 4, // of a pool is left to others by whoever only queues
};

bool transaction_is_exec(const struct command *c) {
    return c->spec != NULL && c->spec->start == start_exec;
}

// Taking.

// Before there is a cluster nobody can say what it will offer: what is queued then is refused.
static bool is_offered(const struct session *s) {
    const struct server *server = s->server;
    return order_is_single(server) || server->options.has_batch ||
           node_state(server->node) != NODE_SERVING;
}

static void note_outside(struct command *c) {
    struct session *s = c->session;
    bool is_multi = c->spec->local == local_multi;
    if (!is_multi && !transaction_is_exec(c)) return;
    if (!is_offered(s)) {
        c->fault = FAULT_NOT_ATOMIC;
    } else if (is_multi) {
        s->transaction.is_expected = true;
        s->transaction.will_write = false;
    }
}

void transaction_note(struct command *c) {
    struct transaction *t = &c->session->transaction;
    bool is_good = c->fault == FAULT_NONE;
    // One that is refused forgets what is watched, too, and nothing that is watched later.
    if (transaction_is_exec(c) && !is_good) c->flags = COMMAND_BARRIER;
    if (!t->is_expected) {
        if (is_good) note_outside(c);
    } else if (transaction_is_exec(c) || (is_good && c->spec->local == local_discard)) {
        t->is_expected = false;
        if (c->spec->start == start_exec && t->will_write) c->flags |= COMMAND_WRITE;
    } else if (is_good && c->spec->start == start_watch) {
        c->fault = FAULT_WATCH_INSIDE;
    } else if ((is_good && (c->flags & COMMAND_DIRECT) == 0) || c->fault == FAULT_UNPAIRED) {
        c->fault = FAULT_QUEUED;
        t->will_write |= (c->flags & COMMAND_WRITE) != 0;
    }
}

// Keeping.

static uint8_t *aligned(uint8_t *place) {
    return place + (ALIGNMENT - (uintptr_t)place % ALIGNMENT) % ALIGNMENT;
}

static enum status keep_in_chunk(struct session *s, size_t size, void **place) {
    struct transaction *t = &s->transaction;
    struct pool *pool = &s->server->chunk_pool;
    const struct chunk *last = t->kept.last;
    size += ALIGNMENT - 1;
    if (last == NULL || CHUNK_CAPACITY - last->size < size) {
        if (t->kept_count >= TRANSACTION_CHUNKS_MAX) return ST_TOO_LARGE;
        if (pool_left(pool) <= pool->count / SPARE_PART) return ST_BUSY;
    }
    uint8_t *room = chunks_room(&t->kept, pool, size);
    if (room == NULL) return ST_BUSY;
    chunks_grow(&t->kept, size);
    *place = aligned(room);
    return ST_OK;
}

static enum status keep_large(struct session *s, size_t size, void **place) {
    struct transaction *t = &s->transaction;
    struct pool *pool = &s->server->large_pool;
    if (size > s->server->large_capacity) return ST_TOO_LARGE;
    if (t->large_count == 0 || s->server->large_capacity - t->large_used < size) {
        if (t->large_count == TRANSACTION_LARGE_MAX) return ST_TOO_LARGE;
        if (pool_left(pool) <= pool->count / SPARE_PART) return ST_BUSY;
        struct input *large = input_take_large(s->server);
        if (large == NULL) return ST_BUSY;
        t->large[t->large_count++] = large;
        t->large_used = 0;
    }
    *place = t->large[t->large_count - 1]->data + t->large_used;
    t->large_used += (uint32_t)((size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);
    return ST_OK;
}

// A place for so many bytes, which stays until all is forgotten.
static enum status keep(struct session *s, size_t size, void **place) {
    if (size <= CHUNK_CAPACITY - ALIGNMENT) return keep_in_chunk(s, size, place);
    return keep_large(s, size, place);
}

static enum status keep_command(const struct command *c) {
    struct session *s = c->session;
    struct transaction *t = &s->transaction;
    if (t->count == TRANSACTION_COMMANDS_MAX) return ST_TOO_LARGE;
    size_t size = sizeof(struct queued) + c->argument_count * sizeof(struct slice);
    for (uint32_t i = 0; i < c->argument_count; i++) size += c->arguments[i].size;
    void *place = NULL;
    enum status st = keep(s, size, &place);
    if (st != ST_OK) return st;
    struct queued *q = place;
    q->next = NULL;
    q->argument_count = c->argument_count;
    uint8_t *bytes = (uint8_t *)&q->arguments[c->argument_count];
    for (uint32_t i = 0; i < c->argument_count; i++) {
        struct slice argument = c->arguments[i];
        if (argument.size > 0) memcpy(bytes, argument.data, argument.size);
        q->arguments[i] = (struct slice){bytes, argument.size};
        bytes += argument.size;
    }
    if (t->first == NULL) {
        t->first = q;
    } else {
        t->last->next = q;
    }
    t->last = q;
    t->count++;
    return ST_OK;
}

// Which locks EXEC will want, and whether the keys share a slot.
static void note_keys(const struct command *c) {
    struct transaction *t = &c->session->transaction;
    const struct command_spec *spec = c->spec;
    bool is_of_all =
        spec->start != NULL && (spec->first_key == 0 || (spec->flags & COMMAND_BARRIER) != 0);
    if (is_of_all) memset(t->wanted, 0xff, sizeof(t->wanted));
    uint32_t last = command_last_key(spec, c->argument_count);
    for (uint32_t i = spec->first_key; i > 0 && i <= last; i += spec->key_step) {
        lock_note(t->wanted, c->arguments[i]);
        uint16_t slot = slot_of(c->arguments[i]);
        t->is_across |= t->has_slot && slot != t->slot;
        t->slot = slot;
        t->has_slot = true;
    }
}

void transaction_queue(struct command *c, struct reply *r) {
    struct transaction *t = &c->session->transaction;
    must(t->is_open);
    if (c->spec->start != NULL && command_is_refused(c, r)) {
        t->is_doomed = true;
        return;
    }
    // Of a transaction that comes to nothing nothing need be kept.
    enum status st = t->is_doomed ? ST_OK : keep_command(c);
    if (st != ST_OK) {
        t->is_doomed = true;
        reply_error(r, slice_of_string(transaction_problem(st)));
        return;
    }
    note_keys(c);
    reply_simple(r, SLICE("QUEUED"));
}

void transaction_doom(struct session *s) {
    s->transaction.is_doomed |= s->transaction.is_open;
}

const char *transaction_problem(enum status status) {
    static_assert(TRANSACTION_COMMANDS_MAX == 16384 && TRANSACTION_WATCHED_MAX == 4096 &&
                      TRANSACTION_CHUNKS_MAX * CHUNK_SIZE == 4 << 20,
                  "what the error says");
    if (status == ST_BUSY) return "BUSY there is no memory for this transaction now; try again";
    return "TOOLARGE a transaction has at most 16384 commands and 4096 watched keys, 4 MiB in all";
}

enum status transaction_watch(struct session *s, struct slice key, struct sighting seen) {
    struct transaction *t = &s->transaction;
    for (const struct watched *w = t->watched; w != NULL; w = w->next) {
        if (slice_equal(w->key, key)) return ST_OK;
    }
    if (t->watched_count == TRANSACTION_WATCHED_MAX) return ST_TOO_LARGE;
    void *place = NULL;
    enum status st = keep(s, sizeof(struct watched) + key.size, &place);
    if (st != ST_OK) return st;
    struct watched *w = place;
    *w = (struct watched){.next = t->watched, .key = {(uint8_t *)(w + 1), key.size}, .seen = seen};
    memcpy(w + 1, key.data, key.size);
    t->watched = w;
    t->watched_count++;
    lock_note(t->wanted, key);
    return ST_OK;
}

size_t transaction_memory(const struct session *s) {
    const struct transaction *t = &s->transaction;
    return (size_t)t->kept_count * CHUNK_SIZE + (size_t)t->large_count * s->server->large_capacity;
}

void transaction_forget(struct session *s) {
    struct server *server = s->server;
    struct transaction *t = &s->transaction;
    must(t->exec == NULL);
    bool has_held = t->kept.first != NULL || t->reserve.first != NULL;
    chunks_clear(&t->kept, &server->chunk_pool);
    chunks_clear(&t->reserve, &server->chunk_pool);
    for (uint32_t i = 0; i < t->large_count; i++) input_give(server, t->large[i]);
    *t = (struct transaction){.is_expected = t->is_expected,
                              .will_write = t->will_write,
                              .kept = {.tally = &t->kept_count}};
    if (has_held) server_released(server);
}

// Carrying out.

bool transaction_reserve(struct session *s) {
    struct pool *pool = &s->server->chunk_pool;
    struct transaction *t = &s->transaction;
    uint32_t count = chunks_needed((size_t)t->count * PARCEL_SMALL) + 1;
    if (pool_left(pool) <= count) return false;
    while (count-- > 0) {
        must(chunks_room(&t->reserve, pool, CHUNK_CAPACITY) != NULL);
        chunks_grow(&t->reserve, CHUNK_CAPACITY);
    }
    return true;
}

void transaction_lend(struct session *s) {
    struct chunks *reserve = &s->transaction.reserve;
    if (reserve->first != NULL) chunks_drop_first(reserve, &s->server->chunk_pool);
}

void transaction_begin(struct command *exec) {
    struct session *s = exec->session;
    struct transaction *t = &s->transaction;
    must(command_has_turn(exec));
    answer_header(exec, t->count);
    t->exec = exec;
    t->next = t->first;
    session_touch(s);
}

struct command *transaction_next(struct session *s) {
    struct transaction *t = &s->transaction;
    struct queued *q = t->next;
    if (q == NULL || s->queue_count >= SESSION_COMMANDS_MAX) return NULL;
    // The last command of the pool is for those who wait for nobody else.
    uint32_t spare = command_has_turn(t->exec) ? 0 : COMMANDS_SPARE;
    if (pool_left(&s->server->command_pool) <= spare) {
        session_wait_for_memory(s);
        return NULL;
    }
    t->next = q->next;
    return command_create(s, q->arguments, q->argument_count, FAULT_NONE);
}

bool transaction_end(struct session *s) {
    struct transaction *t = &s->transaction;
    struct command *exec = t->exec;
    if (t->next != NULL || !command_has_turn(exec)) return false;
    t->exec = NULL;
    answer_end(exec);
    return true;
}
