// SPDX-License-Identifier: Apache-2.0
//
// Commands about many keys that the client does not name. On the main port they speak of the whole
// cluster, on the shard's port of the slots that this member is first for.
#include "server/commands.h"

#include "base/codec.h"
#include "base/glob.h"
#include "base/text.h"
#include "server/policy.h"

enum {
    SCAN_COUNT_DEFAULT = 10,
    SCAN_COUNT_MAX = 1000,
    KEYS_COUNT = 512, // of one request
    KEYS_SIZE_MAX = 4 * 1024 * 1024,
    ELEMENT_OVERHEAD = 16, // bytes of a key's reply beyond the key
};

// What one command may spend on matching a pattern: some milliseconds.
#define PATTERN_STEPS_MAX (4 * GLOB_STEPS_MAX)

// `local`: only of the slots that this member is first for.
static void ask(struct command *c, uint64_t cursor, uint32_t limit, bool local, step_done *then) {
    struct request *request = &c->step.request;
    request->kind = REQUEST_SCAN;
    request->key = (struct slice){0};
    request->level = policy_read(c->session, request->key);
    request->cursor = cursor;
    request->limit = limit;
    request->local = local;
    step_submit(&c->step, then);
}

static bool matches(const struct command *c, struct slice key, uint64_t *steps) {
    struct slice pattern = c->my.text;
    if (pattern.data == NULL) return true;
    return glob_match(pattern, key, steps);
}

// DBSIZE.

static void on_dbsize(struct step *step) {
    if (step_succeeded(step)) {
        answer_integer(step->command, (int64_t)step->request.count);
    } else {
        answer_step_failure(step);
    }
}

void start_dbsize(struct command *c) {
    struct request *request = &c->step.request;
    request->kind = REQUEST_COUNT;
    request->key = (struct slice){0};
    request->level = policy_read(c->session, request->key);
    request->local = c->session->is_sharded;
    step_submit(&c->step, on_dbsize);
}

// RANDOMKEY: from a slot drawn at random on, the first ones that there are, and one of them.

enum { RANDOM_COUNT = 16 };

static void on_random(struct step *step) {
    struct command *c = step->command;
    struct server *server = c->session->server;
    const struct request *request = &step->request;
    if (!step_succeeded(step)) {
        answer_step_failure(step);
    } else if (request->count > 0) {
        uint32_t chosen = rng_below(&server->rng, (uint32_t)request->count);
        struct reader keys = reader_of(request->keys);
        struct slice key = read_sized(&keys, KEY_SIZE_MAX);
        for (uint32_t i = 0; i < chosen; i++) key = read_sized(&keys, KEY_SIZE_MAX);
        must(!keys.failed);
        answer_bulk(c, key);
    } else if (request->next != 0) {
        ask(c, request->next, RANDOM_COUNT, c->session->is_sharded, on_random);
    } else if (c->my.done == 0) {
        c->my.done = 1; // once more, from the first slot on
        ask(c, 0, RANDOM_COUNT, c->session->is_sharded, on_random);
    } else {
        answer_null(c);
    }
}

void start_randomkey(struct command *c) {
    c->my.done = 0;
    uint32_t slot = rng_below(&c->session->server->rng, SLOT_COUNT);
    ask(c, node_slot_cursor((uint16_t)slot), RANDOM_COUNT, c->session->is_sharded, on_random);
}

// SCAN.

static const char invalid_cursor[] = "ERR invalid cursor";

static void on_scan(struct step *step) {
    struct command *c = step->command;
    if (step->request.status == ST_INVALID) {
        answer_error(c, invalid_cursor);
        return;
    }
    if (!step_succeeded(step)) {
        answer_step_failure(step);
        return;
    }
    const struct request *request = &step->request;
    size_t bound =
        request->keys.size + request->count * ELEMENT_OVERHEAD + (size_t)(3 * REPLY_HEADER_MAX);
    struct reply *r = answer_open(c, bound);
    if (r == NULL) return;
    char cursor[I64_TEXT_MAX];
    reply_array(r, 2);
    reply_bulk(r, (struct slice){(const uint8_t *)cursor, u64_to_text(request->next, cursor)});
    size_t mark = r->size;
    uint64_t found = 0;
    uint64_t steps = PATTERN_STEPS_MAX;
    struct reader keys = reader_of(request->keys);
    for (uint64_t i = 0; i < request->count; i++) {
        struct slice key = read_sized(&keys, KEY_SIZE_MAX);
        if (keys.failed || c->my.flags != 0 || !matches(c, key, &steps)) continue;
        reply_bulk(r, key);
        found++;
    }
    if (steps == 0) {
        reply_rewind(r, 0);
        reply_error(r, SLICE("ERR the pattern takes too long to match"));
    } else {
        reply_array_before(r, mark, found);
    }
    answer_close(c);
}

// False: the answer was given.
static bool parse_scan(struct command *c, int64_t *count) {
    c->my.text = (struct slice){0};
    c->my.flags = 0; // not 0: no key has the type asked for
    for (uint32_t i = 2; i < c->argument_count; i += 2) {
        if (i + 1 == c->argument_count) {
            answer_parse_error(c, PARSE_SYNTAX);
            return false;
        }
        struct slice value = c->arguments[i + 1];
        if (argument_is(c->arguments[i], "match")) {
            c->my.text = value;
        } else if (argument_is(c->arguments[i], "count")) {
            if (!parse_integer(c, value, count)) return false;
            if (*count < 1) {
                answer_parse_error(c, PARSE_SYNTAX);
                return false;
            }
        } else if (argument_is(c->arguments[i], "type")) {
            c->my.flags = argument_is(value, "string") ? 0 : 1;
        } else {
            answer_parse_error(c, PARSE_SYNTAX);
            return false;
        }
    }
    return true;
}

void start_scan(struct command *c) {
    uint64_t cursor;
    int64_t count = SCAN_COUNT_DEFAULT;
    if (!text_to_u64(c->arguments[1], &cursor)) {
        answer_error(c, invalid_cursor);
        return;
    }
    if (!parse_scan(c, &count)) return;
    uint32_t limit = (uint32_t)(count < SCAN_COUNT_MAX ? count : SCAN_COUNT_MAX);
    ask(c, cursor, limit, c->session->is_sharded, on_scan);
}

// KEYS: one scan after the other, gathered in the command's parcel.

static void refuse_keys(struct command *c, const char *text) {
    parcel_clear(c->session, &c->parcel);
    answer_error(c, text);
}

static bool gather_key(struct command *c, struct slice key) {
    struct session *s = c->session;
    struct pool *pool = &s->server->chunk_pool;
    size_t size = reply_bulk_size(key.size);
    if (pool_left(pool) <= chunks_needed(size) + 1) return false;
    append_bulk(&c->parcel.chunks, pool, key);
    c->my.done++;
    return true;
}

// Begins the answer, and asks for the first keys from a cursor on.
static void gather(struct command *c, uint64_t cursor, bool local, step_done *then) {
    struct session *s = c->session;
    c->my.done = 0;
    if (chunks_room(&c->parcel.chunks, &s->server->chunk_pool, REPLY_HEADER_MAX) == NULL) {
        answer_again(c);
        return;
    }
    chunks_grow(&c->parcel.chunks, REPLY_HEADER_MAX);
    ask(c, cursor, KEYS_COUNT, local, then);
}

static void on_keys(struct step *step) {
    struct command *c = step->command;
    if (!step_succeeded(step)) {
        parcel_clear(c->session, &c->parcel);
        answer_step_failure(step);
        return;
    }
    const struct request *request = &step->request;
    uint64_t steps = PATTERN_STEPS_MAX;
    struct reader keys = reader_of(request->keys);
    for (uint64_t i = 0; i < request->count; i++) {
        struct slice key = read_sized(&keys, KEY_SIZE_MAX);
        if (keys.failed || !matches(c, key, &steps)) continue;
        if (c->parcel.chunks.size + key.size > KEYS_SIZE_MAX) {
            refuse_keys(c, "TOOLARGE there are too many keys for one reply; use SCAN");
            return;
        }
        if (!gather_key(c, key)) {
            refuse_keys(c, "BUSY no memory for the reply; use SCAN");
            return;
        }
    }
    if (steps == 0) {
        refuse_keys(c, "ERR the pattern takes too long to match");
    } else if (request->next == 0) {
        answer_gathered(c, c->my.done);
    } else {
        ask(c, request->next, KEYS_COUNT, c->session->is_sharded, on_keys);
    }
}

void start_keys(struct command *c) {
    c->my.text = c->arguments[1];
    gather(c, 0, c->session->is_sharded, on_keys);
}

// CLUSTER GETKEYSINSLOT slot count: likewise, from the beginning of the slot to its end.

static void on_slot_keys(struct step *step) {
    struct command *c = step->command;
    if (!step_succeeded(step)) {
        parcel_clear(c->session, &c->parcel);
        answer_step_failure(step);
        return;
    }
    const struct request *request = &step->request;
    bool is_over = request->next == 0;
    struct reader keys = reader_of(request->keys);
    for (uint64_t i = 0; i < request->count; i++) {
        struct slice key = read_sized(&keys, KEY_SIZE_MAX);
        if (keys.failed || slot_of(key) != c->my.next || c->my.done == c->my.number) {
            is_over = true;
            break;
        }
        if (c->parcel.chunks.size + key.size > KEYS_SIZE_MAX) {
            refuse_keys(c, "TOOLARGE there are too many keys for one reply; ask for fewer");
            return;
        }
        if (!gather_key(c, key)) {
            refuse_keys(c, "BUSY no memory for the reply; ask for fewer keys");
            return;
        }
    }
    if (is_over || c->my.done == c->my.number) {
        answer_gathered(c, c->my.done);
    } else {
        ask(c, request->next, KEYS_COUNT, false, on_slot_keys);
    }
}

void start_cluster_getkeysinslot(struct command *c) {
    int64_t slot;
    int64_t count;
    if (!parse_integer(c, c->arguments[2], &slot) || !parse_integer(c, c->arguments[3], &count)) {
        return;
    }
    if (slot < 0 || slot >= SLOT_COUNT || count < 0) {
        answer_error(c, "ERR Invalid slot or number of keys");
        return;
    }
    c->my.next = (uint32_t)slot;
    c->my.number = count;
    gather(c, node_slot_cursor((uint16_t)slot), false, on_slot_keys);
}
