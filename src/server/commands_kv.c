// SPDX-License-Identifier: Apache-2.0
//
// The commands that see what a key really holds: all its concurrent values, and the context that a
// later write names to say which of them it replaces.
#include "server/commands.h"

#include "model/token.h"

enum { VALUE_OVERHEAD = 128 }; // bytes of the reply of one value beyond the value

static const struct mac_key *secret_of(const struct command *c) {
    return &node_options(c->session->server->node)->secret;
}

// KV.GET key [R level]

static bool is_live(const struct sibling *sibling, uint64_t now_ms) {
    return !sibling->is_tombstone && (sibling->expires_ms == 0 || sibling->expires_ms > now_ms);
}

static void write_value(struct reply *r, const struct sibling *sibling, uint64_t now_ms) {
    reply_map(r, 3);
    reply_bulk(r, SLICE("value"));
    reply_bulk(r, sibling->value);
    reply_bulk(r, SLICE("time"));
    reply_integer(r, (int64_t)(sibling->timestamp >> 16));
    reply_bulk(r, SLICE("ttl"));
    reply_integer(r, sibling->expires_ms == 0 ? -1 : (int64_t)(sibling->expires_ms - now_ms));
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
    uint64_t count = 0;
    size_t size = 0;
    for (uint32_t i = 0; i < record->sibling_count; i++) {
        if (!is_live(&record->siblings[i], now_ms)) continue;
        count++;
        size += record->siblings[i].value.size + VALUE_OVERHEAD;
    }
    char token[TOKEN_TEXT_MAX];
    size_t token_size = token_encode(secret_of(c), c->arguments[1], &record->context, token);
    struct reply *r = answer_open(c, size + token_size + (size_t)(2 * VALUE_OVERHEAD));
    if (r == NULL) return;
    reply_map(r, 2);
    reply_bulk(r, SLICE("context"));
    reply_bulk(r, (struct slice){(const uint8_t *)token, token_size});
    reply_bulk(r, SLICE("values"));
    reply_array(r, count);
    for (uint32_t i = 0; i < record->sibling_count; i++) {
        if (is_live(&record->siblings[i], now_ms)) write_value(r, &record->siblings[i], now_ms);
    }
    answer_close(c);
}

void start_kv_get(struct command *c) {
    struct level level = c->session->read;
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
    *options = (struct kv_options){.level = c->session->write};
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

static void on_kv_written(struct step *step) {
    if (step_succeeded(step)) {
        answer_ok(step->command);
    } else {
        answer_step_failure(step);
    }
}

// Writes on top of what the token covers; of nothing, without one.
static void write_over(struct command *c, const struct kv_options *options) {
    struct step *step = &c->step;
    struct context *context = &c->session->server->context;
    step->request.seen = NULL;
    if (options->context.data != NULL) {
        if (token_decode(secret_of(c), c->arguments[1], options->context, context) != ST_OK) {
            answer_failure(c, (struct failure){.status = ST_INVALID});
            return;
        }
        if (!step_hold(step, context, NULL)) {
            answer_failure(c, (struct failure){.status = ST_BUSY});
            return;
        }
        step->request.seen = step_held_context(step);
    }
    step->request.kind = REQUEST_WRITE;
    step->request.key = c->arguments[1];
    step->request.timestamp = 0;
    step->request.level = options->level;
    step_submit(step, on_kv_written);
}

void start_kv_put(struct command *c) {
    struct kv_options options;
    if (!parse_kv_options(c, 3, true, &options)) return;
    c->step.request.value = c->arguments[2];
    c->step.request.is_tombstone = false;
    c->step.request.expires_ms = options.expires_ms;
    write_over(c, &options);
}

void start_kv_del(struct command *c) {
    struct kv_options options;
    if (!parse_kv_options(c, 2, false, &options)) return;
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
    request->level = options.level;
    step_submit(&c->step, on_kv_written);
}

// CONSISTENCY [READ level] [WRITE level]

static void show_consistency(const struct session *s, struct reply *r) {
    char text[LEVEL_TEXT_SIZE];
    reply_map(r, 2);
    reply_bulk(r, SLICE("read"));
    level_text(s->read, text);
    reply_bulk_string(r, text);
    reply_bulk(r, SLICE("write"));
    level_text(s->write, text);
    reply_bulk_string(r, text);
}

void local_consistency(struct command *c, struct reply *r) {
    struct session *s = c->session;
    struct level read = s->read;
    struct level write = s->write;
    for (uint32_t i = 1; i < c->argument_count; i += 2) {
        bool is_read = argument_is(c->arguments[i], "read");
        if (i + 1 == c->argument_count || (!is_read && !argument_is(c->arguments[i], "write"))) {
            reply_error(r, SLICE("ERR syntax error"));
            return;
        }
        if (level_parse(c->arguments[i + 1], is_read ? &read : &write) != ST_OK) {
            reply_errorf(r, "ERR a level is ONE, TWO, THREE, QUORUM, ALL or a number up to %d",
                         REPLICAS_MAX);
            return;
        }
    }
    s->read = read;
    s->write = write;
    if (c->argument_count == 1) {
        show_consistency(s, r);
    } else {
        reply_ok(r);
    }
}
