// SPDX-License-Identifier: Apache-2.0
#include "server/commands.h"

#include "base/text.h"
#include "server/policy.h"

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
    if (answer_if_too_old(c, sibling)) return;
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
    request->seen_timestamp = timestamp;
    request->level = policy_write(c->session, request->key);
    step_submit(step, on_changed);
}

// The options of EXPIRE, in c->my.flags.
enum { EXPIRE_NX = 1, EXPIRE_XX = 2, EXPIRE_GT = 4, EXPIRE_LT = 8 };

// A key that never expires counts as one that does so after every other.
static bool may_expire(uint32_t flags, uint64_t current_ms, int64_t at_ms) {
    bool has_expiry = current_ms != 0;
    if ((flags & EXPIRE_NX) != 0 && has_expiry) return false;
    if ((flags & EXPIRE_XX) != 0 && !has_expiry) return false;
    if ((flags & EXPIRE_GT) != 0 && (!has_expiry || at_ms <= (int64_t)current_ms)) return false;
    return (flags & EXPIRE_LT) == 0 || !has_expiry || at_ms < (int64_t)current_ms;
}

static void on_expire_read(struct step *step) {
    struct command *c = step->command;
    const struct sibling *sibling;
    if (answer_failed_read(step, &sibling)) return;
    if (sibling == NULL || !may_expire(c->my.flags, sibling->expires_ms, c->my.number)) {
        answer_integer(c, 0);
    } else if (c->my.number <= (int64_t)server_now_ms(c->session->server)) {
        step_delete(step, c->arguments[1], on_changed);
    } else {
        rewrite(step, sibling, (uint64_t)c->my.number);
    }
}

// Whether a time is given to the key depends on the one it has, which cannot be known for sure
// where several nodes hold copies.
uint32_t refine_expire(const struct command *c) {
    return c->argument_count > 3 ? COMMAND_ATOMIC : 0;
}

static void refuse_option(struct command *c, struct slice option) {
    struct reply *r = answer_open(c, REPLY_ERROR_MAX + REPLY_HEADER_MAX);
    if (r == NULL) return;
    char memory[REPLY_ERROR_MAX];
    struct text text = text_over(memory, sizeof(memory));
    text_string(&text, "ERR Unsupported option ");
    text_bytes(&text, text_before_nul(option));
    reply_error(r, text_slice(&text));
    answer_close(c);
}

// False: the answer was given.
static bool parse_expire_options(struct command *c) {
    static const char *const words[] = {"nx", "xx", "gt", "lt"};
    static const uint32_t flags[] = {EXPIRE_NX, EXPIRE_XX, EXPIRE_GT, EXPIRE_LT};
    c->my.flags = 0;
    for (uint32_t i = 3; i < c->argument_count; i++) {
        uint32_t flag = 0;
        for (size_t word = 0; word < sizeof(flags) / sizeof(flags[0]); word++) {
            if (argument_is(c->arguments[i], words[word])) flag = flags[word];
        }
        if (flag == 0) {
            refuse_option(c, c->arguments[i]);
            return false;
        }
        c->my.flags |= flag;
    }
    bool has_nx = (c->my.flags & EXPIRE_NX) != 0;
    if (has_nx && c->my.flags != EXPIRE_NX) {
        answer_error(c, "ERR NX and XX, GT or LT options at the same time are not compatible");
        return false;
    }
    if ((c->my.flags & EXPIRE_GT) != 0 && (c->my.flags & EXPIRE_LT) != 0) {
        answer_error(c, "ERR GT and LT options at the same time are not compatible");
        return false;
    }
    return true;
}

static void expire(struct command *c, enum time_unit unit) {
    if (!parse_expire_options(c)) return;
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
