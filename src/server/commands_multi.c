// SPDX-License-Identifier: Apache-2.0
//
// Commands with many keys: every key is a step of its own, a limited number of them at a time. The
// same key twice in a command that writes is dealt with one after the other.
#include "server/commands.h"

#include <inttypes.h>

enum {
    WINDOW = 32,                  // steps of one command under way
    GATHER_MAX = 8 * 1024 * 1024, // bytes of values in one reply
};

static uint32_t last_key(const struct command *c) {
    return command_last_key(c->spec, c->argument_count);
}

static bool is_under_way(struct command *c, struct slice key) {
    for (struct list *at = c->my.steps.next; at != &c->my.steps; at = at->next) {
        const struct step *step = CONTAINER_OF(at, struct step, link);
        if (slice_equal(c->arguments[step->index], key)) return true;
    }
    return false;
}

static struct step *next_step(struct command *c) {
    if (c->my.under_way >= WINDOW) return NULL;
    if ((c->flags & COMMAND_WRITE) != 0 && is_under_way(c, c->arguments[c->my.next])) return NULL;
    struct step *step = step_take(c);
    return step == NULL && list_is_empty(&c->my.steps) ? &c->step : step;
}

// Starts what may be started, and ends the command when nothing is left to do.
static void pump(struct command *c, command_start_function *end, step_done *begin) {
    if (c->my.is_pumping) return;
    c->my.is_pumping = true;
    while (c->my.next <= last_key(c)) {
        struct step *step = next_step(c);
        if (step == NULL) break;
        step->index = c->my.next;
        c->my.next += c->spec->key_step;
        c->my.under_way++;
        list_append(&c->my.steps, &step->link);
        begin(step);
    }
    c->my.is_pumping = false;
    if (c->my.next > last_key(c) && c->my.under_way == 0 && list_is_empty(&c->my.steps)) end(c);
}

static void clear_my(struct command *c) {
    memset(&c->my, 0, sizeof(c->my));
    c->my.next = c->spec->first_key;
    list_init(&c->my.steps);
}

static void give(struct step *step) {
    struct command *c = step->command;
    list_remove(&step->link);
    if (step == &c->step) {
        step_release(step);
        step->is_done = false;
        step->parcel.small_size = 0;
    } else {
        step_give(step);
    }
}

static void note_failure(struct command *c, struct failure failure) {
    c->my.failed++;
    if (failure_is_worse(failure, c->my.failure)) c->my.failure = failure;
}

// A read that failed, or brought something unreadable, has been noted.
static bool read_came(struct step *step, const struct sibling **sibling) {
    struct command *c = step->command;
    if (step_succeeded(step)) {
        step->request.status = step_visible(step, sibling);
        if (step->request.status == ST_OK) return true;
    }
    note_failure(c, failure_of(&step->request));
    return false;
}

static void stop(struct command *c) {
    c->my.next = last_key(c) + 1;
}

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
    note_failure(c, (struct failure){.status = ST_BUSY});
    stop(c);
}

// Writes one element to a parcel. False: there is no memory.
static bool gather(struct command *c, struct parcel *parcel, const struct sibling *sibling) {
    struct session *s = c->session;
    struct pool *pool = &s->server->chunk_pool;
    size_t size = sibling == NULL ? REPLY_HEADER_MAX : reply_bulk_size(sibling->value.size);
    size_t before = parcel->chunks.size;
    if (size <= CHUNK_CAPACITY) {
        uint8_t *room = chunks_room(&parcel->chunks, pool, size);
        if (room == NULL) return false;
        struct reply r = reply_to(room, size, s->protocol);
        if (sibling == NULL) {
            reply_null(&r);
        } else {
            reply_bulk(&r, sibling->value);
        }
        chunks_grow(&parcel->chunks, r.size);
    } else {
        if (pool_left(pool) <= chunks_needed(size) + 1) return false;
        append_bulk(&parcel->chunks, pool, sibling->value);
    }
    c->my.number += (int64_t)(parcel->chunks.size - before);
    return true;
}

// Moves what waited for its place behind what is there.
static void gather_ready(struct command *c) {
    struct pool *pool = &c->session->server->chunk_pool;
    while (!list_is_empty(&c->my.steps)) {
        struct step *step = CONTAINER_OF(c->my.steps.next, struct step, link);
        if (!step->is_done) break;
        chunks_move(&c->parcel.chunks, pool, &step->parcel.chunks);
        c->my.done++;
        give(step);
    }
}

static void on_mget(struct step *step) {
    struct command *c = step->command;
    const struct sibling *sibling = NULL;
    bool is_next = c->my.steps.next == &step->link;
    c->my.under_way--;
    if (!read_came(step, &sibling)) {
        stop(c);
    } else if (c->my.failed == 0 && c->my.number <= GATHER_MAX) {
        if (!gather(c, is_next ? &c->parcel : &step->parcel, sibling)) gather_failed(c);
    }
    if (c->my.number > GATHER_MAX) stop(c);
    if (is_next) {
        c->my.done++;
        give(step);
        gather_ready(c);
    } else {
        step->is_done = true;
    }
    pump(c, end_mget, begin_mget);
}

static void begin_mget(struct step *step) {
    step_read(step, step->command->arguments[step->index], on_mget);
}

void start_mget(struct command *c) {
    clear_my(c);
    struct session *s = c->session;
    // The header goes in front when all is there; see answer_gathered.
    if (chunks_room(&c->parcel.chunks, &s->server->chunk_pool, REPLY_HEADER_MAX) == NULL) {
        answer_again(c);
        return;
    }
    chunks_grow(&c->parcel.chunks, REPLY_HEADER_MAX);
    pump(c, end_mget, begin_mget);
}

// EXISTS and TOUCH.

static void end_exists(struct command *c) {
    if (c->my.failed > 0) {
        answer_failure(c, c->my.failure);
    } else {
        answer_integer(c, c->my.number);
    }
}

static void begin_exists(struct step *step);

static void on_exists(struct step *step) {
    struct command *c = step->command;
    const struct sibling *sibling = NULL;
    c->my.under_way--;
    if (!read_came(step, &sibling)) {
        stop(c);
    } else if (sibling != NULL) {
        c->my.number++;
    }
    give(step);
    pump(c, end_exists, begin_exists);
}

static void begin_exists(struct step *step) {
    step_read(step, step->command->arguments[step->index], on_exists);
}

void start_exists(struct command *c) {
    clear_my(c);
    pump(c, end_exists, begin_exists);
}

// MSET.

static void end_mset(struct command *c) {
    if (c->my.failed > 0) {
        answer_partly(c, "set");
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
        note_failure(c, failure_of(&step->request));
    }
    give(step);
    pump(c, end_mset, begin_mset);
}

static void begin_mset(struct step *step) {
    struct slice *arguments = step->command->arguments + step->index;
    step_replace(step, arguments[0], arguments[1], 0, on_mset);
}

void start_mset(struct command *c) {
    clear_my(c);
    pump(c, end_mset, begin_mset);
}

// DEL and UNLINK: the count needs a look first, and nothing is written where nothing is.

static void end_del(struct command *c) {
    if (c->my.failed > 0) {
        answer_partly(c, "deleted");
    } else {
        answer_integer(c, c->my.number);
    }
}

static void begin_del(struct step *step);

static void on_deleted(struct step *step) {
    struct command *c = step->command;
    c->my.under_way--;
    if (step_succeeded(step)) {
        c->my.number++;
        c->my.done++;
    } else {
        note_failure(c, failure_of(&step->request));
    }
    give(step);
    pump(c, end_del, begin_del);
}

static void on_del_read(struct step *step) {
    struct command *c = step->command;
    const struct sibling *sibling = NULL;
    if (read_came(step, &sibling) && sibling != NULL) {
        step_delete(step, c->arguments[step->index], on_deleted);
        return;
    }
    c->my.under_way--;
    give(step);
    pump(c, end_del, begin_del);
}

static void begin_del(struct step *step) {
    step_read(step, step->command->arguments[step->index], on_del_read);
}

void start_del(struct command *c) {
    clear_my(c);
    pump(c, end_del, begin_del);
}
