// SPDX-License-Identifier: Apache-2.0
//
// KV.RANGE: the keys with a hash tag between two bounds, with their values. One request after the
// other, gathered in the command's parcel, until there are enough keys or bytes or no more of them.
#include "server/commands.h"

#include "base/codec.h"
#include "base/text.h"
#include "server/policy.h"

enum {
    RANGE_LIMIT_DEFAULT = 100,
    RANGE_LIMIT_MAX = 1000,
    RANGE_SIZE_MAX = 1024 * 1024, // bytes of a reply: it ends with the pair that takes it so far
};

// KV.RANGE tag from to [LIMIT n] [REVERSE]

struct bound {
    struct slice key; // empty: none
    bool is_at;       // the key itself is within
    bool is_least;    // before all keys, else, without a key, behind them
};

// False: the answer was given.
static bool parse_bound(struct command *c, struct slice argument, struct bound *bound) {
    *bound = (struct bound){.is_least = argument_is(argument, "-")};
    if (bound->is_least || argument_is(argument, "+")) return true;
    uint8_t kind = argument.size > 1 ? argument.data[0] : 0;
    if (kind != '[' && kind != '(') {
        answer_error(c, "ERR a bound is -, + or a key behind [ or (");
        return false;
    }
    bound->key = slice_skip(argument, 1);
    bound->is_at = kind == '[';
    if (bound->key.size <= KEY_SIZE_MAX) return true;
    answer_error(c, "TOOLARGE no key is as long as the bound");
    return false;
}

static bool parse_options(struct command *c, int64_t *limit, bool *is_reverse) {
    for (uint32_t i = 4; i < c->argument_count; i++) {
        if (argument_is(c->arguments[i], "reverse")) {
            *is_reverse = true;
        } else if (argument_is(c->arguments[i], "limit") && i + 1 < c->argument_count) {
            if (!parse_integer(c, c->arguments[++i], limit)) return false;
            if (*limit >= 1) continue;
            answer_parse_error(c, PARSE_SYNTAX);
            return false;
        } else {
            answer_parse_error(c, PARSE_SYNTAX);
            return false;
        }
    }
    return true;
}

// Answering.

static void append_array(struct chunks *chunks, struct pool *pool, uint8_t protocol,
                         uint64_t count) {
    uint8_t bytes[REPLY_HEADER_MAX];
    struct reply r = reply_to(bytes, sizeof(bytes), protocol);
    reply_array(&r, count);
    chunks_append(chunks, pool, (struct slice){r.data, r.size});
}

// The bound to go on from: past the key, or null without one.
static void append_next(struct chunks *chunks, struct pool *pool, uint8_t protocol,
                        struct slice key) {
    uint8_t bytes[REPLY_HEADER_MAX + 1];
    struct reply r = reply_to(bytes, sizeof(bytes), protocol);
    if (key.size == 0) {
        reply_null(&r);
        chunks_append(chunks, pool, (struct slice){r.data, r.size});
        return;
    }
    char digits[I64_TEXT_MAX];
    size_t digit_count = u64_to_text(key.size + 1, digits);
    chunks_append(chunks, pool, SLICE("$"));
    chunks_append(chunks, pool, (struct slice){(const uint8_t *)digits, digit_count});
    chunks_append(chunks, pool, SLICE("\r\n("));
    chunks_append(chunks, pool, key);
    chunks_append(chunks, pool, SLICE("\r\n"));
}

static bool has_room(const struct session *s, size_t size) {
    return pool_left(&s->server->chunk_pool) > chunks_needed(size) + 1;
}

static void refuse(struct command *c) {
    parcel_clear(c->session, &c->parcel);
    answer_error(c, "BUSY no memory for the reply; ask for fewer keys");
}

// All pairs are there. `last`: the key to go on past; empty: nothing lies behind.
static void answer(struct command *c, struct slice last) {
    struct session *s = c->session;
    struct pool *pool = &s->server->chunk_pool;
    struct chunks *head = &c->step.parcel.chunks;
    if (!has_room(s, last.size + (size_t)(3 * REPLY_HEADER_MAX))) {
        refuse(c);
        return;
    }
    append_array(head, pool, s->protocol, 2);
    append_next(head, pool, s->protocol, last);
    append_array(head, pool, s->protocol, c->my.done);
    chunks_move(head, pool, &c->parcel.chunks);
    chunks_move(&c->parcel.chunks, pool, head);
    answer_parcel(c);
}

static bool gather_pair(struct command *c, struct slice key, struct slice value) {
    struct session *s = c->session;
    struct pool *pool = &s->server->chunk_pool;
    size_t size = REPLY_HEADER_MAX + reply_bulk_size(key.size) + reply_bulk_size(value.size);
    if (!has_room(s, size)) return false;
    append_array(&c->parcel.chunks, pool, s->protocol, 2);
    append_bulk(&c->parcel.chunks, pool, key);
    append_bulk(&c->parcel.chunks, pool, value);
    c->my.done++;
    c->my.number--;
    return true;
}

static void on_range(struct step *step);

static void ask(struct command *c) {
    c->step.request.limit = (uint32_t)c->my.number;
    step_submit(&c->step, on_range);
}

static void on_range(struct step *step) {
    struct command *c = step->command;
    struct request *request = &step->request;
    if (!step_succeeded(step)) {
        parcel_clear(c->session, &c->parcel);
        answer_step_failure(step);
        return;
    }
    struct reader pairs = reader_of(request->keys);
    for (uint64_t i = 0; i < request->count; i++) {
        struct slice key = read_sized(&pairs, KEY_SIZE_MAX);
        struct slice value = read_sized(&pairs, VALUE_SIZE_MAX);
        must(!pairs.failed);
        if (!gather_pair(c, key, value)) {
            refuse(c);
            return;
        }
        if (c->my.number > 0 && c->parcel.chunks.size < RANGE_SIZE_MAX) continue;
        answer(c, key);
        return;
    }
    if (request->reached.size == 0) {
        answer(c, request->reached);
        return;
    }
    request->from = request->reached;
    request->is_at_from = false;
    ask(c);
}

void start_kv_range(struct command *c) {
    struct bound from;
    struct bound to;
    int64_t limit = RANGE_LIMIT_DEFAULT;
    bool is_reverse = false;
    if (memchr(c->arguments[1].data, '}', c->arguments[1].size) != NULL) {
        answer_error(c, "ERR no hash tag has a } in it");
        return;
    }
    if (!parse_bound(c, c->arguments[2], &from) || !parse_bound(c, c->arguments[3], &to)) return;
    if (!parse_options(c, &limit, &is_reverse)) return;
    c->my.done = 0;
    c->my.number = limit < RANGE_LIMIT_MAX ? limit : RANGE_LIMIT_MAX;
    const struct server *server = c->session->server;
    bool has_both = from.key.size > 0 && to.key.size > 0;
    if (has_both && policy_keyspace(server, from.key) != policy_keyspace(server, to.key)) {
        answer_error(c, "ERR the bounds are of two keyspaces; a range is within one");
        return;
    }
    // It must not begin behind all keys, nor end before them.
    bool is_nowhere = (from.key.size == 0 && from.is_least == is_reverse) ||
                      (to.key.size == 0 && to.is_least != is_reverse);
    if (is_nowhere) {
        answer(c, (struct slice){NULL, 0});
        return;
    }
    struct request *request = &c->step.request;
    request->kind = REQUEST_RANGE;
    request->key = c->arguments[1];
    request->level = policy_read(c->session, from.key.size > 0 ? from.key : to.key);
    request->from = from.key;
    request->is_at_from = from.is_at;
    request->to = to.key;
    request->is_at_to = to.is_at;
    request->is_reverse = is_reverse;
    ask(c);
}
