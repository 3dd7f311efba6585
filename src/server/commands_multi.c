// SPDX-License-Identifier: Apache-2.0
//
// MGET, MSET, MSETNX, DEL, EXISTS: what they do for each of their keys.
#include "server/commands.h"

#include "server/many.h"

#include <inttypes.h>

enum { GATHER_MAX = 8 * 1024 * 1024 }; // bytes of values in one reply

// Some keys were written and others not: what is known of the whole is that it is not known.
static void answer_partly(struct command *c, const char *done) {
    if (c->my.done == 0) {
        answer_failure(c, c->my.failure);
        return;
    }
    answer_errorf(c, "UNKNOWN %" PRIu32 " keys were %s, for %" PRIu32 " too few replicas answered",
                  c->my.done, done, c->my.failed);
}

// MGET: values go out in the order of the keys; one that comes early waits in its step.

static void end_mget(struct command *c) {
    if (c->my.failed > 0) {
        parcel_clear(c->session, &c->parcel);
        answer_failure(c, c->my.failure);
    } else if (c->my.number > GATHER_MAX) {
        parcel_clear(c->session, &c->parcel);
        answer_errorf(c, "TOOLARGE the values exceed %d bytes together; ask for fewer keys",
                      GATHER_MAX);
    } else {
        answer_gathered(c, c->my.done);
    }
}

static void begin_mget(struct step *step);

static void gather_failed(struct command *c) {
    many_note(c, (struct failure){.status = ST_BUSY});
    many_stop(c);
}

static size_t element_size(const struct sibling *sibling) {
    return sibling == NULL ? REPLY_HEADER_MAX : reply_bulk_size(sibling->value.size);
}

static void write_element(struct reply *r, const struct sibling *sibling) {
    if (sibling == NULL) {
        reply_null(r);
    } else {
        reply_bulk(r, sibling->value);
    }
}

// Writes one element to chunks. False: there is no memory.
static bool gather(struct command *c, struct chunks *chunks, const struct sibling *sibling) {
    struct session *s = c->session;
    struct pool *pool = &s->server->chunk_pool;
    size_t size = element_size(sibling);
    size_t before = chunks->size;
    if (size <= CHUNK_CAPACITY) {
        uint8_t *room = chunks_room(chunks, pool, size);
        if (room == NULL) return false;
        struct reply r = reply_to(room, size, s->protocol);
        write_element(&r, sibling);
        chunks_grow(chunks, r.size);
    } else {
        if (pool_left(pool) <= chunks_needed(size) + 1) return false;
        append_bulk(chunks, pool, sibling->value);
    }
    c->my.number += (int64_t)(chunks->size - before);
    return true;
}

// Keeps one element until its place has come. A small one takes no chunk.
static bool keep(struct step *step, const struct sibling *sibling) {
    struct command *c = step->command;
    struct parcel *parcel = &step->parcel;
    if (element_size(sibling) > PARCEL_SMALL) return gather(c, &parcel->chunks, sibling);
    struct reply r = reply_to(parcel->small, PARCEL_SMALL, c->session->protocol);
    write_element(&r, sibling);
    parcel->small_size = (uint8_t)r.size;
    c->my.number += (int64_t)r.size;
    return true;
}

// Moves what waited for its place behind what is there.
static void gather_ready(struct command *c) {
    struct pool *pool = &c->session->server->chunk_pool;
    struct chunks *all = &c->parcel.chunks;
    while (!list_is_empty(&c->my.steps)) {
        struct step *step = CONTAINER_OF(c->my.steps.next, struct step, link);
        if (!step->is_done) break;
        struct slice small = {step->parcel.small, step->parcel.small_size};
        if (small.size > 0 && c->my.failed == 0) {
            if (chunks_room(all, pool, small.size) == NULL) {
                gather_failed(c);
            } else {
                chunks_append(all, pool, small);
            }
        }
        chunks_move(all, pool, &step->parcel.chunks);
        c->my.done++;
        c->my.kept--;
        many_give(step);
    }
}

static void on_mget(struct step *step) {
    struct command *c = step->command;
    const struct sibling *sibling = NULL;
    bool is_next = c->my.steps.next == &step->link;
    c->my.under_way--;
    if (!many_read(step, &sibling)) {
        many_stop(c);
    } else if (c->my.failed == 0 && c->my.number <= GATHER_MAX) {
        bool is_there = is_next ? gather(c, &c->parcel.chunks, sibling) : keep(step, sibling);
        if (!is_there) gather_failed(c);
    }
    if (c->my.number > GATHER_MAX) many_stop(c);
    if (is_next) {
        c->my.done++;
        many_give(step);
        gather_ready(c);
    } else {
        step->is_done = true;
        c->my.kept++;
    }
    many_pump(c, end_mget, begin_mget);
}

static void begin_mget(struct step *step) {
    step_read(step, step->command->arguments[step->index], on_mget);
}

void start_mget(struct command *c) {
    many_init(c);
    struct session *s = c->session;
    // The header goes in front when all is there; see answer_gathered.
    if (chunks_room(&c->parcel.chunks, &s->server->chunk_pool, REPLY_HEADER_MAX) == NULL) {
        answer_again(c);
        return;
    }
    chunks_grow(&c->parcel.chunks, REPLY_HEADER_MAX);
    many_pump(c, end_mget, begin_mget);
}

// EXISTS and TOUCH.

static void end_exists(struct command *c) {
    if (c->my.failed > 0) {
        answer_failure(c, c->my.failure);
    } else {
        answer_integer(c, c->my.number);
    }
}

// Counts the key that was read, if it exists. With `ends` the first one ends the looking.
static void count_existing(struct step *step, bool ends) {
    struct command *c = step->command;
    const struct sibling *sibling = NULL;
    c->my.under_way--;
    if (!many_read(step, &sibling)) {
        many_stop(c);
    } else if (sibling != NULL) {
        c->my.number++;
        if (ends) many_stop(c);
    }
    many_give(step);
}

static void begin_exists(struct step *step);

static void on_exists(struct step *step) {
    struct command *c = step->command;
    count_existing(step, false);
    many_pump(c, end_exists, begin_exists);
}

static void begin_exists(struct step *step) {
    step_read(step, step->command->arguments[step->index], on_exists);
}

void start_exists(struct command *c) {
    many_init(c);
    many_pump(c, end_exists, begin_exists);
}

// MSET and MSETNX, which looks first: it has the locks of all its keys (lock.h), so nothing comes
// between.

enum { MSET_COUNTED = 1 }; // in c->my.flags: the reply is 1, not OK

static void end_mset(struct command *c) {
    if (c->my.failed > 0) {
        answer_partly(c, "set");
    } else if ((c->my.flags & MSET_COUNTED) != 0) {
        answer_integer(c, 1);
    } else {
        answer_ok(c);
    }
}

static void begin_mset(struct step *step);

static void on_mset(struct step *step) {
    struct command *c = step->command;
    c->my.under_way--;
    if (step_succeeded(step)) {
        c->my.done++;
    } else {
        many_note(c, failure_of(&step->request));
    }
    many_give(step);
    many_pump(c, end_mset, begin_mset);
}

static void begin_mset(struct step *step) {
    struct slice *arguments = step->command->arguments + step->index;
    step_replace(step, arguments[0], arguments[1], 0, on_mset);
}

void start_mset(struct command *c) {
    many_init(c);
    many_pump(c, end_mset, begin_mset);
}

static void end_msetnx_read(struct command *c) {
    if (c->my.failed > 0) {
        answer_failure(c, c->my.failure);
    } else if (c->my.number > 0) {
        answer_integer(c, 0);
    } else {
        many_init(c);
        c->my.flags = MSET_COUNTED;
        many_pump(c, end_mset, begin_mset);
    }
}

static void begin_msetnx_read(struct step *step);

static void on_msetnx_read(struct step *step) {
    struct command *c = step->command;
    count_existing(step, true);
    many_pump(c, end_msetnx_read, begin_msetnx_read);
}

static void begin_msetnx_read(struct step *step) {
    step_read(step, step->command->arguments[step->index], on_msetnx_read);
}

void start_msetnx(struct command *c) {
    many_init(c);
    many_pump(c, end_msetnx_read, begin_msetnx_read);
}

// DEL and UNLINK: the count needs a look first, and nothing is written where nothing is. A value
// that nobody sees, as it has expired or a later tombstone stands beside it, is deleted like others
// and not counted: else it would stay, and stand in the way of changes of its keyspace.

static void end_del(struct command *c) {
    if (c->my.failed > 0) {
        answer_partly(c, "deleted");
    } else {
        answer_integer(c, c->my.number);
    }
}

static void begin_del(struct step *step);

static void end_deletion(struct step *step, uint32_t counted) {
    struct command *c = step->command;
    c->my.under_way--;
    if (step_succeeded(step)) {
        c->my.number += counted;
        c->my.done++;
    } else {
        many_note(c, failure_of(&step->request));
    }
    many_give(step);
    many_pump(c, end_del, begin_del);
}

static void on_deleted(struct step *step) {
    end_deletion(step, 1);
}

static void on_hidden_deleted(struct step *step) {
    end_deletion(step, 0);
}

static void on_del_read(struct step *step) {
    struct command *c = step->command;
    const struct sibling *sibling = NULL;
    const struct record *record;
    bool is_read = many_read(step, &sibling);
    if (is_read && step_record(step, &record) == ST_OK && record_has_value(record)) {
        bool is_seen = sibling != NULL;
        step_delete(step, c->arguments[step->index], is_seen ? on_deleted : on_hidden_deleted);
        return;
    }
    c->my.under_way--;
    many_give(step);
    many_pump(c, end_del, begin_del);
}

static void begin_del(struct step *step) {
    step_read(step, step->command->arguments[step->index], on_del_read);
}

void start_del(struct command *c) {
    many_init(c);
    many_pump(c, end_del, begin_del);
}
