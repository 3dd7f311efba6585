// SPDX-License-Identifier: Apache-2.0
//
// The commands that see what a key really holds: all its concurrent values, and the context that a
// later write names to say which of them it replaces.
#include "server/commands.h"

#include "base/text.h"
#include "model/token.h"
#include "server/internal.h"
#include "server/policy.h"

#include <inttypes.h>

enum {
    VALUE_OVERHEAD = 160 + NAME_SIZE_MAX, // bytes of the reply of one value beyond the value
    WRITTEN_SIZE = TOKEN_TEXT_MAX + VALUE_OVERHEAD, // of the reply to a write
};

static const struct mac_key *secret_of(const struct command *c) {
    return &node_options(c->session->server->node)->secret;
}

// KV.GET key [R level]

// Picks the values that the client gets to see. Returns how many.
static uint32_t shown(const struct command *c, const struct record *record,
                      const struct sibling *values[SIBLINGS_MAX]) {
    const struct server *server = c->session->server;
    uint64_t now_ms = server_now_ms(server);
    if (policy_is_lww(server, c->arguments[1])) {
        values[0] = record_visible(record, now_ms);
        return values[0] != NULL;
    }
    uint32_t count = 0;
    for (uint32_t i = 0; i < record->sibling_count; i++) {
        const struct sibling *s = &record->siblings[i];
        bool has_expired = s->expires_ms != 0 && s->expires_ms <= now_ms;
        if (!s->is_tombstone && !has_expired) values[count++] = s;
    }
    return count;
}

// What the context covers of the record and is not in it any more, something that is has replaced,
// and is later.
static void write_context(const struct command *c, struct reply *r, const struct context *context,
                          const struct record *record) {
    const struct sibling *latest = record_latest(record);
    uint64_t timestamp = latest == NULL ? 0 : latest->timestamp;
    char token[TOKEN_TEXT_MAX];
    size_t size = token_encode(secret_of(c), c->arguments[1], context, timestamp, token);
    reply_bulk(r, SLICE("context"));
    reply_bulk(r, (struct slice){(const uint8_t *)token, size});
}

// Who wrote a value: the name of the member, or the number of data that no member has any more.
static void write_origin(const struct command *c, struct reply *r, uint64_t storage) {
    char digits[16 + 1];
    struct text number = text_over(digits, sizeof(digits));
    const char *name = node_name_of(c->session->server->node, storage);
    if (name == NULL) {
        text_printf(&number, "%016" PRIx64, storage);
        name = digits;
    }
    reply_bulk(r, SLICE("origin"));
    reply_bulk_string(r, name);
}

static void write_value(const struct command *c, struct reply *r, const struct sibling *sibling,
                        uint64_t now_ms) {
    reply_map(r, 4);
    reply_bulk(r, SLICE("value"));
    reply_bulk(r, sibling->value);
    reply_bulk(r, SLICE("time"));
    reply_integer(r, (int64_t)(sibling->timestamp >> 16));
    reply_bulk(r, SLICE("ttl"));
    reply_integer(r, sibling->expires_ms == 0 ? -1 : (int64_t)(sibling->expires_ms - now_ms));
    write_origin(c, r, sibling->dot.actor.storage);
}

static void on_kv_get(struct step *step) {
    struct command *c = step->command;
    const struct record *record = NULL;
    if (!step_succeeded(step)) {
        answer_step_failure(step);
        return;
    }
    step->request.status = step_record(step, &record);
    if (step->request.status != ST_OK) {
        answer_step_failure(step);
        return;
    }
    uint64_t now_ms = server_now_ms(c->session->server);
    const struct sibling *values[SIBLINGS_MAX];
    uint32_t count = shown(c, record, values);
    size_t size = TOKEN_TEXT_MAX + (size_t)(2 * VALUE_OVERHEAD);
    for (uint32_t i = 0; i < count; i++) size += values[i]->value.size + VALUE_OVERHEAD;
    struct reply *r = answer_open(c, size);
    if (r == NULL) return;
    reply_map(r, 2);
    write_context(c, r, &record->context, record);
    reply_bulk(r, SLICE("values"));
    reply_array(r, count);
    for (uint32_t i = 0; i < count; i++) write_value(c, r, values[i], now_ms);
    answer_close(c);
}

void start_kv_get(struct command *c) {
    struct level level = policy_read(c->session, c->arguments[1]);
    if (c->argument_count != 2) {
        if (c->argument_count != 4 || !argument_is(c->arguments[2], "r")) {
            answer_parse_error(c, PARSE_SYNTAX);
            return;
        }
        if (!parse_level(c, c->arguments[3], &level)) return;
    }
    step_read_at(&c->step, c->arguments[1], level, on_kv_get);
}

// KV.PUT and KV.DEL.

struct kv_options {
    struct slice context; // token; no data: none was given
    struct level level;
    uint64_t expires_ms;
};

// False: the answer was given.
static bool parse_kv_options(struct command *c, uint32_t at, bool may_expire,
                             struct kv_options *options) {
    *options = (struct kv_options){.level = policy_write(c->session, c->arguments[1])};
    for (; at < c->argument_count; at += 2) {
        struct slice word = c->arguments[at];
        bool is_px = argument_is(word, "px");
        if (at + 1 == c->argument_count) {
            answer_parse_error(c, PARSE_SYNTAX);
            return false;
        }
        struct slice value = c->arguments[at + 1];
        if (argument_is(word, "context")) {
            options->context = value;
        } else if (argument_is(word, "w")) {
            if (!parse_level(c, value, &options->level)) return false;
        } else if (may_expire && (is_px || argument_is(word, "pxat"))) {
            int64_t number;
            if (!parse_integer(c, value, &number)) return false;
            uint64_t now_ms = server_now_ms(c->session->server);
            enum time_unit unit = is_px ? TIME_MS : TIME_AT_MS;
            if (number <= 0 || parse_time(value, unit, now_ms, &number) != PARSE_OK) {
                answer_parse_error(c, PARSE_BAD_EXPIRY);
                return false;
            }
            options->expires_ms = (uint64_t)number;
        } else {
            answer_parse_error(c, PARSE_SYNTAX);
            return false;
        }
    }
    return true;
}

// What the writer may replace from now on, and how many values there are.
static void on_kv_written(struct step *step) {
    struct command *c = step->command;
    struct server *server = c->session->server;
    const struct record *record = NULL;
    if (step_succeeded(step)) step->request.status = step_record(step, &record);
    if (step->request.status != ST_OK || record == NULL) {
        parcel_clear(c->session, &c->parcel);
        answer_step_failure(step);
        return;
    }
    static const struct context nothing;
    const struct context *seen = step->request.seen == NULL ? &nothing : step->request.seen;
    struct context *known = &server->context;
    record_context_of_writer(record, seen, step->request.dot, known);
    struct reply *r = answer_open_reserved(c, WRITTEN_SIZE);
    reply_map(r, 2);
    write_context(c, r, known, record);
    reply_bulk(r, SLICE("values"));
    const struct sibling *values[SIBLINGS_MAX];
    reply_integer(r, shown(c, record, values));
    answer_close(c);
}

static void fail_write(struct command *c, enum status status) {
    parcel_clear(c->session, &c->parcel);
    answer_failure(c, (struct failure){.status = status});
}

// Writes on top of what the token covers; of nothing, without one.
static void write_over(struct command *c, const struct kv_options *options) {
    struct step *step = &c->step;
    struct context *context = &c->session->server->context;
    uint64_t *timestamp = &step->request.seen_timestamp;
    step->request.seen = NULL;
    *timestamp = 0;
    if (options->context.data != NULL) {
        struct slice token = options->context;
        if (token_decode(secret_of(c), c->arguments[1], token, context, timestamp) != ST_OK) {
            fail_write(c, ST_INVALID);
            return;
        }
        if (!step_hold(step, context, NULL)) {
            fail_write(c, ST_BUSY);
            return;
        }
        step->request.seen = step_held_context(step);
    }
    bool is_lww = policy_is_lww(c->session->server, c->arguments[1]);
    step->request.kind = is_lww ? REQUEST_REPLACE : REQUEST_WRITE;
    step->request.key = c->arguments[1];
    step->request.timestamp = 0;
    step->request.level = options->level;
    step_submit(step, on_kv_written);
}

void start_kv_put(struct command *c) {
    struct kv_options options;
    if (!parse_kv_options(c, 3, true, &options) || !answer_reserve(c, WRITTEN_SIZE)) return;
    c->step.request.value = c->arguments[2];
    c->step.request.is_tombstone = false;
    c->step.request.expires_ms =
        policy_expiry(c->session->server, c->arguments[1], options.expires_ms);
    write_over(c, &options);
}

void start_kv_del(struct command *c) {
    struct kv_options options;
    if (!parse_kv_options(c, 2, false, &options) || !answer_reserve(c, WRITTEN_SIZE)) return;
    struct request *request = &c->step.request;
    request->value = (struct slice){0};
    request->is_tombstone = true;
    request->expires_ms = 0;
    if (options.context.data != NULL) {
        write_over(c, &options);
        return;
    }
    // Without a context: all there is.
    request->kind = REQUEST_REPLACE;
    request->key = c->arguments[1];
    request->timestamp = 0;
    request->seen = NULL;
    request->seen_timestamp = 0;
    request->level = options.level;
    step_submit(&c->step, on_kv_written);
}

// CONSISTENCY [READ level] [WRITE level] | KEY key

// `own` and `keyspace`: what these say, maybe nothing.
static void show_level(struct reply *r, const char *what, struct level level, struct level own,
                       struct level keyspace) {
    bool is_own = own.kind != LEVEL_UNSET;
    const char *further = keyspace.kind != LEVEL_UNSET ? "keyspace" : "configuration";
    char text[LEVEL_TEXT_SIZE];
    level_text(level, text);
    reply_bulk_string(r, what);
    reply_map(r, 2);
    reply_bulk(r, SLICE("level"));
    reply_bulk_string(r, text);
    reply_bulk(r, SLICE("set-by"));
    reply_bulk_string(r, is_own ? "connection" : further);
}

// Levels that no operation could have are refused here rather than with each of them.
static bool parse_levels(const struct command *c, struct level *read, struct level *write,
                         char problem[PROBLEM_SIZE]) {
    uint32_t copies = node_copies(c->session->server->node);
    struct text out = text_over(problem, PROBLEM_SIZE);
    for (uint32_t i = 1; i < c->argument_count; i += 2) {
        bool is_read = argument_is(c->arguments[i], "read");
        if (i + 1 == c->argument_count || (!is_read && !argument_is(c->arguments[i], "write"))) {
            text_string(&out, "ERR syntax error");
            return false;
        }
        struct level *level = is_read ? read : write;
        if (!level_of_argument(c->arguments[i + 1], level, problem)) return false;
        if (level->kind != LEVEL_COUNT || copies == 0 || level->count <= copies) continue;
        text_string(&out, "ERR level ");
        text_u64(&out, level->count);
        text_string(&out, " is more than the copies of a key, ");
        text_u64(&out, copies);
        text_string(&out, "; not done");
        return false;
    }
    return true;
}

static void show_levels(const struct session *s, struct reply *r, struct slice key) {
    reply_map(r, 2);
    const struct keyspace *k = policy_keyspace(s->server, key);
    show_level(r, "read", policy_read(s, key), s->read, k->read);
    show_level(r, "write", policy_write(s, key), s->write, k->write);
}

void local_consistency(struct command *c, struct reply *r) {
    struct session *s = c->session;
    if (c->argument_count == 1 || (c->argument_count == 3 && argument_is(c->arguments[1], "key"))) {
        show_levels(s, r, c->argument_count == 1 ? (struct slice){0} : c->arguments[2]);
        return;
    }
    struct level read = s->read;
    struct level write = s->write;
    char problem[PROBLEM_SIZE];
    if (!parse_levels(c, &read, &write, problem)) {
        reply_error(r, slice_of_string(problem));
        return;
    }
    s->read = read;
    s->write = write;
    reply_ok(r);
}
