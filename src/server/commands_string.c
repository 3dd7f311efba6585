// SPDX-License-Identifier: Apache-2.0
#include "server/commands.h"

// Reading.

static void on_get(struct step *step) {
    const struct sibling *sibling;
    if (answer_failed_read(step, &sibling)) return;
    if (sibling == NULL) {
        answer_null(step->command);
    } else {
        answer_bulk(step->command, sibling->value);
    }
}

void start_get(struct command *c) {
    step_read(&c->step, c->arguments[1], on_get);
}

static void on_strlen(struct step *step) {
    const struct sibling *sibling;
    if (answer_failed_read(step, &sibling)) return;
    answer_integer(step->command, sibling == NULL ? 0 : (int64_t)sibling->value.size);
}

void start_strlen(struct command *c) {
    step_read(&c->step, c->arguments[1], on_strlen);
}

// The part of the value between two positions, both included; negative ones count from the end.
static struct slice range_of(struct slice value, int64_t from, int64_t to) {
    int64_t size = (int64_t)value.size;
    if (from < 0 && to < 0 && from > to) return (struct slice){0};
    if (from < 0) from = from < -size ? 0 : from + size;
    if (to < 0) to = to < -size ? 0 : to + size;
    if (to >= size) to = size - 1;
    if (size == 0 || from > to) return (struct slice){0};
    return (struct slice){value.data + from, (size_t)(to - from + 1)};
}

static void on_getrange(struct step *step) {
    struct command *c = step->command;
    const struct sibling *sibling;
    if (answer_failed_read(step, &sibling)) return;
    int64_t from = 0;
    int64_t to = 0;
    if (!parse_integer(c, c->arguments[2], &from)) return;
    if (!parse_integer(c, c->arguments[3], &to)) return;
    struct slice nothing = {(const uint8_t *)"", 0};
    struct slice range = sibling == NULL ? nothing : range_of(sibling->value, from, to);
    answer_bulk(c, range.size == 0 ? nothing : range);
}

void start_getrange(struct command *c) {
    int64_t number;
    if (!parse_integer(c, c->arguments[2], &number)) return;
    if (!parse_integer(c, c->arguments[3], &number)) return;
    step_read(&c->step, c->arguments[1], on_getrange);
}

// Writing.

static void on_set(struct step *step) {
    if (!step_succeeded(step)) {
        answer_step_failure(step);
    } else {
        answer_ok(step->command);
    }
}

// SET with options that need to know what is there takes several requests, and some of them cannot
// be had where several nodes hold copies.
uint32_t refine_set(const struct command *c) {
    uint32_t flags = 0;
    for (uint32_t i = 3; i < c->argument_count; i++) {
        if (argument_is(c->arguments[i], "nx") || argument_is(c->arguments[i], "xx") ||
            argument_is(c->arguments[i], "get")) {
            flags |= COMMAND_STEPPED | COMMAND_LOCK | COMMAND_ATOMIC;
        } else if (argument_is(c->arguments[i], "keepttl")) {
            flags |= COMMAND_STEPPED | COMMAND_LOCK;
        }
    }
    return flags;
}

void start_set(struct command *c) {
    if (c->argument_count == 3) {
        step_replace(&c->step, c->arguments[1], c->arguments[2], 0, on_set);
        return;
    }
    struct set_options options;
    uint32_t allowed = SET_NX | SET_XX | SET_GET | SET_KEEPTTL;
    uint64_t expires_ms = 0;
    enum parse_result result = parse_set_options(c, 3, allowed, &options);
    if (result == PARSE_OK) result = parse_set_time(c, &options, &expires_ms);
    if (result != PARSE_OK) {
        answer_parse_error(c, result);
    } else if (options.flags != 0) {
        start_set_conditionally(c, options.flags, expires_ms);
    } else {
        step_replace(&c->step, c->arguments[1], c->arguments[2], expires_ms, on_set);
    }
}

static void set_for(struct command *c, enum time_unit unit) {
    int64_t number;
    if (!parse_integer(c, c->arguments[2], &number)) return;
    int64_t at_ms = 0;
    uint64_t now_ms = c->session->server->env->wall_ms;
    if (number <= 0 || parse_time(c->arguments[2], unit, now_ms, &at_ms) != PARSE_OK) {
        answer_parse_error(c, PARSE_BAD_EXPIRY);
        return;
    }
    step_replace(&c->step, c->arguments[1], c->arguments[3], (uint64_t)at_ms, on_set);
}

void start_setex(struct command *c) {
    set_for(c, TIME_SECONDS);
}

void start_psetex(struct command *c) {
    set_for(c, TIME_MS);
}
