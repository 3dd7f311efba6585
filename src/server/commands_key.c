// SPDX-License-Identifier: Apache-2.0
#include "server/commands.h"

// TYPE.

static void on_type(struct step *step) {
    const struct sibling *sibling;
    if (answer_failed_read(step, &sibling)) return;
    struct reply *r = answer_open(step->command, PARCEL_SMALL);
    reply_simple(r, sibling == NULL ? SLICE("none") : SLICE("string"));
    answer_close(step->command);
}

void start_type(struct command *c) {
    step_read(&c->step, c->arguments[1], on_type);
}

// OBJECT ENCODING and MEMORY USAGE.

static void on_object_encoding(struct step *step) {
    const struct sibling *sibling;
    if (answer_failed_read(step, &sibling)) return;
    if (sibling == NULL) {
        answer_null(step->command);
    } else {
        answer_bulk(step->command, SLICE("raw"));
    }
}

void start_object_encoding(struct command *c) {
    step_read(&c->step, c->arguments[2], on_object_encoding);
}

static void on_memory_usage(struct step *step) {
    const struct sibling *sibling;
    if (answer_failed_read(step, &sibling)) return;
    if (sibling == NULL) {
        answer_null(step->command);
    } else {
        size_t size = step->request.key.size + step->request.record.size;
        answer_integer(step->command, (int64_t)size);
    }
}

void start_memory_usage(struct command *c) {
    step_read(&c->step, c->arguments[2], on_memory_usage);
}

// How long, or until when.

enum { NO_KEY = -2, NO_EXPIRY = -1 };

static void answer_expiry(struct step *step, bool is_left, uint64_t unit_ms) {
    struct command *c = step->command;
    const struct sibling *sibling;
    if (answer_failed_read(step, &sibling)) return;
    if (sibling == NULL) {
        answer_integer(c, NO_KEY);
    } else if (sibling->expires_ms == 0) {
        answer_integer(c, NO_EXPIRY);
    } else {
        uint64_t ms = sibling->expires_ms;
        if (is_left) ms -= server_now_ms(c->session->server);
        // What is left is rounded, a point in time is cut: as in Redis.
        answer_integer(c, (int64_t)((is_left ? ms + unit_ms / 2 : ms) / unit_ms));
    }
}

static void on_ttl(struct step *step) {
    answer_expiry(step, true, 1000);
}

static void on_pttl(struct step *step) {
    answer_expiry(step, true, 1);
}

static void on_expiretime(struct step *step) {
    answer_expiry(step, false, 1000);
}

static void on_pexpiretime(struct step *step) {
    answer_expiry(step, false, 1);
}

void start_ttl(struct command *c) {
    step_read(&c->step, c->arguments[1], on_ttl);
}

void start_pttl(struct command *c) {
    step_read(&c->step, c->arguments[1], on_pttl);
}

void start_expiretime(struct command *c) {
    step_read(&c->step, c->arguments[1], on_expiretime);
}

void start_pexpiretime(struct command *c) {
    step_read(&c->step, c->arguments[1], on_pexpiretime);
}

// Changing the expiry: the same value is written again over what was read, with the time of the
// value that is shown. A SET that comes meanwhile is newer and stays visible.

static void on_changed(struct step *step) {
    if (step_succeeded(step)) {
        answer_integer(step->command, 1);
    } else {
        answer_step_failure(step);
    }
}

static void rewrite(struct step *step, const struct sibling *sibling, uint64_t expires_ms) {
    struct command *c = step->command;
    struct server *server = c->session->server;
    struct slice value = sibling->value;
    uint64_t timestamp = sibling->timestamp;
    if (!step_hold(step, &server->record.context, &value)) {
        answer_failure(c, (struct failure){.status = ST_BUSY});
        return;
    }
    struct request *request = &step->request;
    request->kind = REQUEST_WRITE;
    request->key = c->arguments[1];
    request->value = value;
    request->is_tombstone = false;
    request->expires_ms = expires_ms;
    request->timestamp = timestamp;
    request->seen = step_held_context(step);
    request->level = session_write_level(c->session);
    step_submit(step, on_changed);
}

static void on_expire_read(struct step *step) {
    struct command *c = step->command;
    const struct sibling *sibling;
    if (answer_failed_read(step, &sibling)) return;
    if (sibling == NULL) {
        answer_integer(c, 0);
    } else if (c->my.number <= (int64_t)server_now_ms(c->session->server)) {
        step_delete(step, c->arguments[1], on_changed);
    } else {
        rewrite(step, sibling, (uint64_t)c->my.number);
    }
}

static void expire(struct command *c, enum time_unit unit) {
    if (c->argument_count > 3) {
        bool is_known = argument_is(c->arguments[3], "nx") || argument_is(c->arguments[3], "xx") ||
                        argument_is(c->arguments[3], "gt") || argument_is(c->arguments[3], "lt");
        if (is_known) {
            answer_error(c, "NOTATOMIC the options NX, XX, GT and LT of EXPIRE need an atomic "
                            "read-modify-write");
        } else {
            answer_error(c, "ERR Unsupported option");
        }
        return;
    }
    uint64_t now_ms = server_now_ms(c->session->server);
    enum parse_result result = parse_time(c->arguments[2], unit, now_ms, &c->my.number);
    if (result != PARSE_OK) {
        answer_parse_error(c, result);
        return;
    }
    step_read(&c->step, c->arguments[1], on_expire_read);
}

void start_expire(struct command *c) {
    expire(c, TIME_SECONDS);
}

void start_pexpire(struct command *c) {
    expire(c, TIME_MS);
}

void start_expireat(struct command *c) {
    expire(c, TIME_AT_SECONDS);
}

void start_pexpireat(struct command *c) {
    expire(c, TIME_AT_MS);
}

static void on_persist_read(struct step *step) {
    struct command *c = step->command;
    const struct sibling *sibling;
    if (answer_failed_read(step, &sibling)) return;
    if (sibling == NULL || sibling->expires_ms == 0) {
        answer_integer(c, 0);
    } else {
        rewrite(step, sibling, 0);
    }
}

void start_persist(struct command *c) {
    step_read(&c->step, c->arguments[1], on_persist_read);
}
