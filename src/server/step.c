// SPDX-License-Identifier: Apache-2.0
#include "server/step.h"

#include "server/policy.h"

// Held contexts lie in a chunk, at the alignment they need.
enum { HOLD_PADDING = (64 - offsetof(struct chunk, data) % 64) % 64 };

static_assert(HOLD_PADDING + sizeof(struct context) < CHUNK_CAPACITY, "a context fits a chunk");

void step_init(struct step *step, struct command *c) {
    step->command = c;
    step->is_done = false;
    step->hold = NULL;
    step->hold_large = NULL;
    step->parcel.chunks = (struct chunks){.tally = &c->session->kept_count};
    step->parcel.small_size = 0;
    list_init(&step->link);
    lock_hold_init(&step->lock);
}

void step_release(struct step *step) {
    lock_release(step);
    struct server *server = step->command->session->server;
    if (step->hold != NULL) {
        pool_give(&server->chunk_pool, step->hold);
        step->hold = NULL;
        server_released(server);
    }
    if (step->hold_large != NULL) {
        input_give(server, step->hold_large);
        step->hold_large = NULL;
    }
    if (step->parcel.chunks.first != NULL) {
        chunks_clear(&step->parcel.chunks, &server->chunk_pool);
        server_released(server);
    }
}

struct step *step_take(struct command *c) {
    struct step *step = pool_take(&c->session->server->step_pool);
    if (step != NULL) step_init(step, c);
    return step;
}

void step_give(struct step *step) {
    struct command *c = step->command;
    must(step != &c->step);
    step_release(step);
    pool_give(&c->session->server->step_pool, step);
}

static bool is_write(const struct step *step) {
    return step->request.kind == REQUEST_REPLACE || step->request.kind == REQUEST_WRITE;
}

// For WAIT. What is certainly not done counts for nothing.
static void note_copies(const struct step *step) {
    struct session *s = step->command->session;
    enum status st = step->request.status;
    if (!is_write(step) || (st != ST_OK && st != ST_TIMEOUT)) return;
    if (!s->has_written || step->request.answered < s->copies) s->copies = step->request.answered;
    s->has_written = true;
    s->has_ever_written = true;
}

// A read that had to wait for a lock has it no longer than it takes: its step may then wait for
// others, which wait for other locks.
static void go_on(struct step *step) {
    bool is_read = step->request.kind == REQUEST_READ;
    if (is_read && step->lock.mode == LOCK_SHARED) lock_release(step);
    step->then(step);
}

static void on_request(struct request *request) {
    struct step *step = CONTAINER_OF(request, struct step, request);
    note_copies(step);
    go_on(step);
}

static void submit(struct step *step) {
    node_submit(step->command->session->server->node, &step->request);
}

void step_submit(struct step *step, step_done *then) {
    step->then = then;
    step->request.done = on_request;
    if (is_write(step)) step->command->has_written = true;
    if (!is_write(step) || lock_share(step, step->request.key, submit)) submit(step);
}

static void read_now(struct step *step) {
    if (node_read_now(step->command->session->server->node, &step->request)) {
        go_on(step);
    } else {
        step_submit(step, step->then);
    }
}

void step_read_at(struct step *step, struct slice key, struct level level, step_done *then) {
    step->request.kind = REQUEST_READ;
    step->request.key = key;
    step->request.level = level;
    step->then = then;
    if (!lock_is_closed(step, key) || lock_share(step, key, read_now)) read_now(step);
}

void step_read(struct step *step, struct slice key, step_done *then) {
    step_read_at(step, key, policy_read(step->command->session, key), then);
}

static void replace(struct step *step, struct slice key, struct slice value, step_done *then) {
    struct request *request = &step->request;
    request->kind = REQUEST_REPLACE;
    request->key = key;
    request->value = value;
    request->timestamp = 0;
    request->seen = NULL;
    request->seen_timestamp = 0;
    request->level = policy_write(step->command->session, key);
    step_submit(step, then);
}

void step_replace(struct step *step, struct slice key, struct slice value, uint64_t expires_ms,
                  step_done *then) {
    step->request.is_tombstone = false;
    const struct server *server = step->command->session->server;
    step->request.expires_ms =
        expires_ms == STEP_STAYS ? 0 : policy_expiry(server, key, expires_ms);
    replace(step, key, value, then);
}

void step_delete(struct step *step, struct slice key, step_done *then) {
    step->request.is_tombstone = true;
    step->request.expires_ms = 0;
    replace(step, key, (struct slice){0}, then);
}

bool step_succeeded(const struct step *step) {
    return step->request.status == ST_OK || step->request.status == ST_NOT_FOUND;
}

enum status step_record(const struct step *step, const struct record **record) {
    struct record *scratch = &step->command->session->server->record;
    *record = scratch;
    return record_decode(scratch, step->request.record);
}

enum status step_visible(struct step *step, const struct sibling **sibling) {
    struct server *server = step->command->session->server;
    const struct record *record;
    enum status st = step_record(step, &record);
    *sibling = st == ST_OK ? record_visible(record, server_now_ms(server)) : NULL;
    if (*sibling != NULL) {
        server->counts.hits++;
    } else {
        server->counts.misses++;
    }
    return st;
}

uint8_t *step_hold_value(struct step *step, size_t size) {
    struct server *server = step->command->session->server;
    must(step->hold == NULL && step->hold_large == NULL);
    if (size <= CHUNK_CAPACITY) {
        step->hold = pool_take(&server->chunk_pool);
        return step->hold == NULL ? NULL : step->hold->data;
    }
    // A value may be from a time when larger ones were allowed.
    if (size > server->large_capacity || !step_hold_largest(step)) return NULL;
    return step->hold_large->data;
}

bool step_hold_largest(struct step *step) {
    must(step->hold_large == NULL);
    step->hold_large = input_take_large(step->command->session->server);
    return step->hold_large != NULL;
}

uint8_t *step_hold_copy(struct step *step, struct slice value, size_t size) {
    uint8_t *place = step_hold_value(step, size);
    if (place == NULL) return NULL;
    size_t copied = value.size < size ? value.size : size;
    if (copied > 0) memcpy(place, value.data, copied);
    memset(place + copied, 0, size - copied);
    return place;
}

const struct context *step_held_context(const struct step *step) {
    return (const struct context *)(const void *)(step->hold->data + HOLD_PADDING);
}

bool step_hold(struct step *step, const struct context *context, struct slice *value) {
    struct server *server = step->command->session->server;
    must(step->hold == NULL && step->hold_large == NULL);
    step->hold = pool_take(&server->chunk_pool);
    if (step->hold == NULL) return false;
    struct context *held = (struct context *)(void *)(step->hold->data + HOLD_PADDING);
    context_copy(held, context);
    if (value == NULL) return true;
    size_t room = CHUNK_CAPACITY - HOLD_PADDING - sizeof(struct context);
    uint8_t *place = step->hold->data + HOLD_PADDING + sizeof(struct context);
    if (value->size > room) {
        if (!step_hold_largest(step)) return false;
        must(value->size <= step->hold_large->capacity);
        place = step->hold_large->data;
    }
    if (value->size > 0) memcpy(place, value->data, value->size);
    value->data = place;
    return true;
}
