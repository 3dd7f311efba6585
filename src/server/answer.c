// SPDX-License-Identifier: Apache-2.0
#include "server/answer.h"

#include "base/text.h"
#include "server/order.h"

#include <inttypes.h>

enum {
    // Bytes that a local command is first given; larger ones get the scratch.
    LOCAL_ROOM = 1024,

    KEPT_PART = 16, // of the memory that is left, for the replies that one session keeps
    EXEC_PART = 8,  // of all memory, which the replies of a transaction leave alone
};

bool session_may_keep(const struct session *s, size_t size) {
    uint32_t left = pool_left(&s->server->chunk_pool) / KEPT_PART;
    uint32_t limit = left < SESSION_KEPT_MAX ? left : SESSION_KEPT_MAX;
    return s->kept_count + chunks_needed(size) <= limit;
}

// True when a reply that is not small has to wait. One of a transaction, at its turn, cannot:
// others may wait for its locks.
static bool is_full(const struct command *c) {
    const struct session *s = c->session;
    const struct pool *pool = &s->server->chunk_pool;
    if (!c->is_within) return session_is_full(s);
    return s->output.size >= TRANSACTION_REPLY_MAX || pool_left(pool) < pool->count / EXEC_PART;
}

static uint8_t *output_room(struct session *s, size_t size) {
    struct pool *pool = &s->server->chunk_pool;
    uint8_t *room = chunks_room(&s->output, pool, size);
    if (room != NULL) return room;
    transaction_lend(s);
    return chunks_room(&s->output, pool, size);
}

// Counting.

static void count_error(struct server *server, struct slice line) {
    struct slice word = {line.data + 1, 0};
    while (word.size + 1 < line.size && word.size < ERROR_WORD_SIZE - 1 &&
           word.data[word.size] > ' ') {
        word.size++;
    }
    server->counts.errors++;
    for (uint32_t i = 0; i < server->error_count; i++) {
        if (slice_equal(slice_of_string(server->errors[i].word), word)) {
            server->errors[i].count++;
            return;
        }
    }
    if (server->error_count == ERROR_WORDS_MAX) return;
    struct error_count *e = &server->errors[server->error_count++];
    memcpy(e->word, word.data, word.size);
    e->word[word.size] = '\0';
    e->count = 1;
}

static void note_slow(const struct command *c, uint64_t took_ns) {
    struct server *server = c->session->server;
    const struct tuning *tuning = &server->tuning;
    if (tuning->slow_us >= 0 && took_ns / 1000 >= (uint64_t)tuning->slow_us) {
        slowlog_note(&server->slowlog, c, took_ns, (uint32_t)tuning->slow_entries);
    }
    if (tuning->spike_ms > 0 && took_ns / NS_PER_MS >= (uint64_t)tuning->spike_ms) {
        bool is_fast = (c->flags & COMMAND_FAST) != 0;
        latency_note(&server->latency, is_fast ? LATENCY_FAST_COMMAND : LATENCY_COMMAND,
                     server_now_ms(server) / 1000, took_ns / NS_PER_MS);
    }
}

// `start` is how the reply of `size` bytes begins.
static void count_reply(struct command *c, struct slice start, size_t size) {
    struct server *server = c->session->server;
    bool is_error = start.size > 0 && start.data[0] == '-';
    if (is_error) count_error(server, start);
    if (c->fault != FAULT_QUEUED) server->counts.commands++;
    if (!command_is_local(c)) {
        size_t *lately = &c->session->reply_size;
        *lately = *lately - *lately / 4 + size / 4;
    }
    if (c->spec == NULL) return;
    struct command_count *count = &server->command_counts[c->spec - command_table];
    if (c->fault != FAULT_NONE) {
        count->rejected += is_error;
        return;
    }
    uint64_t took_ns = server->env->now - c->started;
    histogram_add(&count->took, took_ns);
    if (is_error) count->failed++;
    note_slow(c, took_ns);
}

// It is no longer one that others may have to wait for.
static void uncount(struct command *c) {
    struct session *s = c->session;
    if ((c->flags & (COMMAND_STEPPED | COMMAND_BARRIER)) != 0) {
        must(s->stepped_count > 0);
        s->stepped_count--;
    }
    if (c->wants_turn) {
        must(s->again_count > 0);
        s->again_count--;
    }
}

// The command is over: its reply is in the output.
static void leave(struct command *c) {
    must(c->blocker == NULL);
    struct session *s = c->session;
    struct server *server = s->server;
    must(s->queue_count > 0);
    list_remove(&c->link);
    s->queue_count--;
    if (s->queue_count == 0) s->key_bits = 0;
    if (c->block != NULL) {
        pool_give(c->is_block_large ? &server->block_pool : &server->chunk_pool, c->block);
    }
    input_unpin(s, c->input);
    step_release(&c->step);
    pool_give(&server->command_pool, c);
    server_released(server);
    session_touch(s);
}

void command_drop(struct command *c) {
    struct session *s = c->session;
    must(c->state != COMMAND_RUNNING);
    if (c->state == COMMAND_QUEUED) {
        order_withdraw(c);
        uncount(c);
    }
    parcel_clear(s, &c->parcel);
    leave(c);
}

// What follows can be understood now.
static void unhalt(const struct command *c) {
    if ((c->flags & COMMAND_HALT) == 0 || c->fault != FAULT_NONE || c->is_within) return;
    struct session *s = c->session;
    s->is_halted = false;
    if (transaction_is_exec(c) && s->transaction.is_open) transaction_forget(s);
}

// The reply of `c` is complete; what waited for it goes on.
static void finish(struct command *c) {
    struct session *s = c->session;
    bool is_kept = c->target != ANSWER_OUTPUT;
    c->state = COMMAND_ANSWERED;
    unhalt(c);
    uncount(c);
    lock_release(&c->step);
    if (!command_is_local(c)) {
        must(s->running_count > 0);
        command_count_running(c, -1);
        if (s->is_throttled) s->has_ready = true;
    }
    order_leave(c);
    if (is_kept) {
        session_touch(s);
        return;
    }
    leave(c);
    while (!list_is_empty(&s->queue)) {
        struct command *next = CONTAINER_OF(s->queue.next, struct command, link);
        if (next->state != COMMAND_ANSWERED || !answer_kept(next)) break;
    }
}

bool answer_kept(struct command *c) {
    struct session *s = c->session;
    struct server *server = s->server;
    must(command_has_turn(c));
    must(c->state == COMMAND_ANSWERED);
    struct parcel *parcel = &c->parcel;
    if (parcel->small_size > 0) {
        uint8_t *room = output_room(s, parcel->small_size);
        if (room == NULL) {
            session_wait_for_memory(s);
            return false;
        }
        memcpy(room, parcel->small, parcel->small_size);
        chunks_grow(&s->output, parcel->small_size);
    } else {
        chunks_move(&s->output, &server->chunk_pool, &parcel->chunks);
    }
    leave(c);
    return true;
}

// Opening and closing.

static struct reply *open_at(struct command *c, enum answer_target target, uint8_t *place,
                             size_t size) {
    struct session *s = c->session;
    c->target = target;
    s->server->reply = reply_to(place, size, s->protocol);
    return &s->server->reply;
}

struct reply *answer_open(struct command *c, size_t bound) {
    struct session *s = c->session;
    struct server *server = s->server;
    must(c->state == COMMAND_RUNNING);
    if (c->is_mute) return open_at(c, ANSWER_SCRATCH, server->scratch, server->scratch_size);
    bool may_go_out = bound <= PARCEL_SMALL || (bound <= CHUNK_CAPACITY && !is_full(c));
    if (may_go_out && command_has_turn(c)) {
        uint8_t *room = output_room(s, bound);
        if (room != NULL) return open_at(c, ANSWER_OUTPUT, room, bound);
    }
    if (bound <= PARCEL_SMALL) return open_at(c, ANSWER_SMALL, c->parcel.small, PARCEL_SMALL);
    if (is_full(c) || (!command_has_turn(c) && !session_may_keep(s, bound))) {
        answer_again(c);
        return NULL;
    }
    if (bound <= CHUNK_CAPACITY) {
        uint8_t *room = chunks_room(&c->parcel.chunks, &server->chunk_pool, bound);
        if (room != NULL) return open_at(c, ANSWER_KEPT, room, bound);
    }
    if (bound > CHUNK_CAPACITY && bound <= server->scratch_size &&
        pool_left(&server->chunk_pool) > chunks_needed(bound)) {
        return open_at(c, ANSWER_SCRATCH, server->scratch, server->scratch_size);
    }
    answer_again(c);
    return NULL;
}

bool answer_reserve(struct command *c, size_t bound) {
    struct session *s = c->session;
    must(bound <= CHUNK_CAPACITY);
    bool may_keep = command_has_turn(c) || session_may_keep(s, bound);
    if (may_keep && chunks_room(&c->parcel.chunks, &s->server->chunk_pool, bound) != NULL) {
        return true;
    }
    answer_again(c);
    return false;
}

struct reply *answer_open_reserved(struct command *c, size_t bound) {
    struct server *server = c->session->server;
    if (c->is_mute) return open_at(c, ANSWER_SCRATCH, server->scratch, server->scratch_size);
    uint8_t *room = chunks_room(&c->parcel.chunks, &server->chunk_pool, bound);
    must(room != NULL); // answer_reserve
    return open_at(c, ANSWER_KEPT, room, bound);
}

// The reply is what the client does not want to hear.
static void finish_unheard(struct command *c) {
    parcel_clear(c->session, &c->parcel);
    c->target = command_has_turn(c) ? ANSWER_OUTPUT : ANSWER_KEPT;
    finish(c);
}

void answer_close(struct command *c) {
    struct session *s = c->session;
    struct server *server = s->server;
    struct reply *r = &server->reply;
    must(!r->overflowed);
    struct slice bytes = {r->data, r->size};
    count_reply(c, bytes, bytes.size);
    if (c->is_mute) {
        finish_unheard(c);
        return;
    }
    switch (c->target) {
    case ANSWER_OUTPUT:
        chunks_grow(&s->output, r->size);
        break;
    case ANSWER_SMALL:
        c->parcel.small_size = (uint8_t)r->size;
        break;
    case ANSWER_KEPT:
        chunks_grow(&c->parcel.chunks, r->size);
        break;
    case ANSWER_SCRATCH:
        if (command_has_turn(c)) {
            c->target = ANSWER_OUTPUT;
            chunks_append(&s->output, &server->chunk_pool, bytes);
        } else {
            chunks_append(&c->parcel.chunks, &server->chunk_pool, bytes);
        }
        break;
    }
    finish(c);
}

// One of a transaction has no other turn.
static void answer_left_out(struct command *c) {
    answer_error(c, "BUSY no room is left for this reply beside the others of the transaction; not "
                    "done");
}

void answer_again(struct command *c) {
    struct session *s = c->session;
    must(c->state == COMMAND_RUNNING);
    must(!c->has_written);
    parcel_clear(s, &c->parcel);
    if (c->is_within && command_has_turn(c)) {
        answer_left_out(c);
        return;
    }
    step_release(&c->step);
    c->state = COMMAND_QUEUED;
    command_count_running(c, -1);
    if (!c->wants_turn) s->again_count++;
    c->wants_turn = true;
    if (command_has_turn(c) && !session_is_full(s)) {
        session_wait_for_memory(s); // what it has just given back itself is no reason to try again
    } else {
        session_touch(s);
    }
}

// The usual replies.

void answer_ok(struct command *c) {
    reply_ok(answer_open(c, PARCEL_SMALL));
    answer_close(c);
}

void answer_integer(struct command *c, int64_t value) {
    reply_integer(answer_open(c, PARCEL_SMALL), value);
    answer_close(c);
}

void answer_null(struct command *c) {
    reply_null(answer_open(c, PARCEL_SMALL));
    answer_close(c);
}

void append_bulk(struct chunks *chunks, struct pool *pool, struct slice bytes) {
    char digits[I64_TEXT_MAX];
    size_t digit_count = u64_to_text(bytes.size, digits);
    chunks_append(chunks, pool, SLICE("$"));
    chunks_append(chunks, pool, (struct slice){(const uint8_t *)digits, digit_count});
    chunks_append(chunks, pool, SLICE("\r\n"));
    chunks_append(chunks, pool, bytes);
    chunks_append(chunks, pool, SLICE("\r\n"));
}

// A bulk that no chunk holds goes into several without passing through the scratch.
static void answer_large_bulk(struct command *c, struct slice bytes) {
    struct session *s = c->session;
    struct server *server = s->server;
    size_t size = reply_bulk_size(bytes.size);
    bool is_kept = !command_has_turn(c);
    if (c->is_mute) {
        count_reply(c, SLICE("$"), size);
        finish_unheard(c);
        return;
    }
    if (is_full(c) || pool_left(&server->chunk_pool) <= chunks_needed(size) + 1 ||
        (is_kept && !session_may_keep(s, size))) {
        answer_again(c);
        return;
    }
    struct chunks *chunks = is_kept ? &c->parcel.chunks : &s->output;
    append_bulk(chunks, &server->chunk_pool, bytes);
    c->target = is_kept ? ANSWER_KEPT : ANSWER_OUTPUT;
    count_reply(c, SLICE("$"), size);
    finish(c);
}

void answer_bulk(struct command *c, struct slice bytes) {
    size_t size = reply_bulk_size(bytes.size);
    if (size > CHUNK_CAPACITY) {
        answer_large_bulk(c, bytes);
        return;
    }
    struct reply *r = answer_open(c, size);
    if (r == NULL) return;
    reply_bulk(r, bytes);
    answer_close(c);
}

void answer_gathered(struct command *c, uint64_t count) {
    struct session *s = c->session;
    // The first chunk begins with room for the header.
    struct chunk *first = c->parcel.chunks.first;
    must(first != NULL);
    uint8_t header[REPLY_HEADER_MAX];
    struct reply r = reply_to(header, sizeof(header), s->protocol);
    reply_array(&r, count);
    memmove(first->data + r.size, first->data + REPLY_HEADER_MAX, first->size - REPLY_HEADER_MAX);
    memcpy(first->data, header, r.size);
    uint32_t less = REPLY_HEADER_MAX - (uint32_t)r.size;
    first->size -= less;
    c->parcel.chunks.size -= less;
    answer_parcel(c);
}

void answer_parcel(struct command *c) {
    struct session *s = c->session;
    must(c->parcel.chunks.first != NULL);
    const struct chunk *first = c->parcel.chunks.first;
    count_reply(c, (struct slice){first->data, first->size}, c->parcel.chunks.size);
    if (c->is_mute) {
        finish_unheard(c);
        return;
    }
    c->target = ANSWER_KEPT;
    if (command_has_turn(c)) {
        chunks_move(&s->output, &s->server->chunk_pool, &c->parcel.chunks);
        c->target = ANSWER_OUTPUT;
    }
    finish(c);
}

bool parcel_bulk(struct command *c, struct slice bytes) {
    struct session *s = c->session;
    struct pool *pool = &s->server->chunk_pool;
    size_t size = reply_bulk_size(bytes.size);
    if (pool_left(pool) <= chunks_needed(size) + 1) return false;
    append_bulk(&c->parcel.chunks, pool, bytes);
    return true;
}

void answer_too_old(struct command *c) {
    answer_error(c, "TOOLARGE the value is from a time when larger ones were allowed; not done");
}

bool answer_if_too_old(struct command *c, const struct sibling *sibling) {
    size_t most = c->session->server->options.value_size_max;
    if (sibling == NULL || sibling->value.size <= most) return false;
    answer_too_old(c);
    return true;
}

void answer_no_memory(struct command *c) {
    parcel_clear(c->session, &c->parcel);
    answer_failure(c, (struct failure){.status = ST_BUSY});
}

void answer_written_parcel(struct step *step) {
    struct command *c = step->command;
    if (step_succeeded(step)) {
        answer_parcel(c);
    } else {
        parcel_clear(c->session, &c->parcel);
        answer_step_failure(step);
    }
}

void answer_written_number(struct step *step) {
    if (step_succeeded(step)) {
        answer_integer(step->command, step->command->my.number);
    } else {
        answer_step_failure(step);
    }
}

// Wakes others only if there is something for them: two sessions that find no memory would wake
// each other for ever.
void parcel_clear(struct session *s, struct parcel *parcel) {
    parcel->small_size = 0;
    if (parcel->chunks.first == NULL) return;
    chunks_clear(&parcel->chunks, &s->server->chunk_pool);
    server_released(s->server);
}

// Errors.

void answer_error(struct command *c, const char *text) {
    reply_error(answer_open(c, PARCEL_SMALL), slice_of_string(text));
    answer_close(c);
}

void answer_errorf(struct command *c, const char *format, ...) {
    char memory[PARCEL_SMALL - 3 + 1];
    struct text text = text_over(memory, sizeof(memory));
    va_list arguments;
    va_start(arguments, format);
    text_vprintf(&text, format, arguments);
    va_end(arguments);
    answer_error(c, memory);
}

struct failure failure_of(const struct request *request) {
    bool is_write = request->kind == REQUEST_REPLACE || request->kind == REQUEST_WRITE;
    return (struct failure){request->status,   is_write,        request->need,
                            request->answered, request->copies, request->up};
}

bool failure_is_worse(struct failure a, struct failure b) {
    if (b.status == ST_OK) return a.status != ST_OK;
    return a.status == ST_TIMEOUT && a.is_write && !(b.status == ST_TIMEOUT && b.is_write);
}

#define NEEDED "%s %" PRIu32 " replica%s needed, "

// Fewer are up than are needed: it is of no use to ask again before there are more.
static void answer_too_few(struct command *c, struct failure failure, uint32_t up,
                           const char *end) {
    answer_errorf(c, NEEDED "%" PRIu32 " %s up%s", "NOQUORUM", failure.need,
                  failure.need == 1 ? "" : "s", up, up == 1 ? "is" : "are", end);
}

static void answer_too_late(struct command *c, struct failure failure) {
    answer_errorf(c, NEEDED "%" PRIu32 " answered; try again", "NOQUORUM", failure.need,
                  failure.need == 1 ? "" : "s", failure.answered);
}

// Nothing was done. To ask again helps only where there are so many copies.
static void answer_unavailable(struct command *c, struct failure failure) {
    if (failure.copies > 0 && failure.need > failure.copies) {
        answer_errorf(c, "NOQUORUM level %" PRIu32 " is more than the %" PRIu32 " %s of a key; %s",
                      failure.need, failure.copies, failure.copies == 1 ? "copy" : "copies",
                      failure.is_write ? "not done" : "ask for less");
    } else if (failure.is_write) {
        answer_too_few(c, failure, failure.answered, "; not done");
    } else if (failure.up < failure.need) {
        answer_too_few(c, failure, failure.up, "");
    } else {
        answer_too_late(c, failure);
    }
}

static void answer_timeout(struct command *c, struct failure failure) {
    if (failure.is_write) {
        answer_errorf(
            c, NEEDED "%" PRIu32 " answered, %" PRIu32 " %s up; the write may have been done",
            "UNKNOWN", failure.need, failure.need == 1 ? "" : "s", failure.answered, failure.up,
            failure.up == 1 ? "is" : "are");
    } else if (failure.up < failure.need) {
        answer_too_few(c, failure, failure.up, "");
    } else {
        answer_too_late(c, failure);
    }
}

void answer_failure(struct command *c, struct failure failure) {
    switch (failure.status) {
    case ST_UNAVAILABLE:
        answer_unavailable(c, failure);
        return;
    case ST_TIMEOUT:
        answer_timeout(c, failure);
        return;
    case ST_BUSY:
        answer_error(c, "BUSY too many requests are under way, or the keyspace is being changed; "
                        "not done, try again");
        return;
    case ST_TOO_LARGE:
        answer_error(c, "TOOMANYSIBLINGS the key has too many concurrent values; not done, read "
                        "it with KV.GET and merge them");
        return;
    case ST_HISTORY_FULL:
        answer_error(c, "HISTORYFULL the key has been written by too many nodes; not done, use "
                        "another key");
        return;
    case ST_INVALID:
        answer_error(c, "BADCONTEXT the context is not of this key and cluster; not done");
        return;
    case ST_NO_SPACE:
        answer_error(c, "DISKFULL no room for new data; not done");
        return;
    case ST_NO_MEMORY:
        answer_error(c, "OOM memory is too little for the data of this node; not done");
        return;
    case ST_CORRUPT:
        answer_error(c, "DAMAGED what is stored of the key fails its checksum and is not served");
        return;
    case ST_CANCELLED:
        answer_error(c, "BUSY this node is shutting down; not done, ask another");
        return;
    case ST_IO:
        answer_error(c, "IOERR the disk or the network refused; not done");
        return;
    case ST_OK:
    case ST_NOT_FOUND:
    case ST_SNAPSHOT:
    case ST_FENCED:
        break;
    }
    unreachable();
}

bool answer_failed_read(struct step *step, const struct sibling **sibling) {
    if (step_succeeded(step)) step->request.status = step_visible(step, sibling);
    if (step->request.status == ST_OK) return false;
    answer_step_failure(step);
    return true;
}

void answer_step_failure(struct step *step) {
    struct command *c = step->command;
    // What only read may ask once more, when nothing before it in this connection is in its way.
    bool may_wait = step->request.status == ST_BUSY && !c->has_written && !command_has_turn(c);
    if (may_wait && c->session->state == SESSION_OPEN) {
        answer_again(c);
    } else {
        answer_failure(c, failure_of(&step->request));
    }
}

// Transactions.

void answer_header(struct command *c, uint64_t count) {
    struct session *s = c->session;
    if (c->is_mute) return;
    uint8_t *room = output_room(s, REPLY_HEADER_MAX);
    must(room != NULL); // it was set aside
    struct reply r = reply_to(room, REPLY_HEADER_MAX, s->protocol);
    reply_array(&r, count);
    chunks_grow(&s->output, r.size);
}

void answer_end(struct command *c) {
    must(command_has_turn(c));
    count_reply(c, SLICE("*"), REPLY_HEADER_MAX);
    c->target = ANSWER_OUTPUT;
    finish(c);
}

// Local commands.

// There is no memory for the reply now.
static bool wait_to_answer(struct command *c) {
    c->state = COMMAND_QUEUED;
    if (!c->is_within) return false;
    c->state = COMMAND_RUNNING;
    answer_left_out(c);
    return true;
}

bool answer_local(struct command *c) {
    struct session *s = c->session;
    struct server *server = s->server;
    must(command_has_turn(c));
    if (pool_left(&server->chunk_pool) <= chunks_needed(LOCAL_ROOM)) return wait_to_answer(c);
    c->state = COMMAND_RUNNING;
    c->started = server->env->now;
    struct reply *r;
    if (c->is_mute || (c->flags & COMMAND_HALT) != 0) {
        // Such a one may decide only now whether anybody is to hear it.
        r = open_at(c, ANSWER_SCRATCH, server->scratch, LOCAL_ROOM);
    } else {
        uint8_t *room = chunks_room(&s->output, &server->chunk_pool, LOCAL_ROOM);
        r = open_at(c, ANSWER_OUTPUT, room, LOCAL_ROOM);
    }
    command_run_local(c, r);
    if (r->overflowed) {
        r = open_at(c, ANSWER_SCRATCH, server->scratch, server->scratch_size);
        command_run_local(c, r);
        if (r->overflowed) {
            reply_rewind(r, 0);
            reply_error(r, SLICE("TOOLARGE the reply does not fit into the server's buffers"));
        }
        if (pool_left(&server->chunk_pool) <= chunks_needed(r->size)) {
            return wait_to_answer(c);
        }
    }
    answer_close(c);
    return true;
}
