// SPDX-License-Identifier: Apache-2.0
#include "server/arguments.h"

#include "base/text.h"
#include "server/answer.h"
#include "server/internal.h"

// About 292 years; nothing waits longer.
#define TIMEOUT_MS_MAX ((int64_t)(INT64_MAX / NS_PER_MS))

bool argument_is(struct slice argument, const char *word) {
    return text_equal_nocase(argument, slice_of_string(word));
}

enum parse_result parse_time(struct slice text, enum time_unit unit, uint64_t now_ms,
                             int64_t *at_ms) {
    int64_t value;
    if (!text_to_i64(text, &value)) return PARSE_NOT_INTEGER;
    if (unit == TIME_SECONDS || unit == TIME_AT_SECONDS) {
        if (value > INT64_MAX / 1000 || value < INT64_MIN / 1000) return PARSE_BAD_EXPIRY;
        value *= 1000;
    }
    if (unit == TIME_SECONDS || unit == TIME_MS) {
        if (value > INT64_MAX - (int64_t)now_ms) return PARSE_BAD_EXPIRY;
        value += (int64_t)now_ms;
    }
    *at_ms = value;
    return PARSE_OK;
}

struct set_word {
    const char *word;
    uint32_t flag;
};

static const struct set_word set_words[] = {
    {"nx", SET_NX},           {"xx", SET_XX},           {"get", SET_GET},
    {"keepttl", SET_KEEPTTL}, {"persist", SET_PERSIST},
};

static uint32_t set_flag_of(struct slice argument) {
    for (size_t i = 0; i < sizeof(set_words) / sizeof(set_words[0]); i++) {
        if (argument_is(argument, set_words[i].word)) return set_words[i].flag;
    }
    return 0;
}

static bool is_time_word(struct slice argument, enum time_unit *unit) {
    static const char *const words[] = {"ex", "px", "exat", "pxat"};
    static const enum time_unit units[] = {TIME_SECONDS, TIME_MS, TIME_AT_SECONDS, TIME_AT_MS};
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (!argument_is(argument, words[i])) continue;
        *unit = units[i];
        return true;
    }
    return false;
}

enum parse_result parse_set_options(const struct command *c, uint32_t at, uint32_t allowed,
                                    struct set_options *options) {
    *options = (struct set_options){0};
    for (; at < c->argument_count; at++) {
        enum time_unit unit;
        uint32_t flag = set_flag_of(c->arguments[at]) & allowed;
        if (flag != 0) {
            options->flags |= flag;
        } else if (at + 1 < c->argument_count && is_time_word(c->arguments[at], &unit)) {
            // As in Redis, the same word may come again, and the last one counts.
            if (options->time.data != NULL && options->unit != unit) return PARSE_SYNTAX;
            options->time = c->arguments[++at];
            options->unit = unit;
        } else {
            return PARSE_SYNTAX;
        }
    }
    uint32_t flags = options->flags;
    bool is_torn = ((flags & SET_NX) != 0 && (flags & SET_XX) != 0) ||
                   (options->time.data != NULL && (flags & (SET_KEEPTTL | SET_PERSIST)) != 0);
    return is_torn ? PARSE_SYNTAX : PARSE_OK;
}

enum parse_result parse_set_time(const struct command *c, const struct set_options *options,
                                 uint64_t *expires_ms) {
    *expires_ms = 0;
    if (options->time.data == NULL) return PARSE_OK;
    int64_t value = 0;
    if (!text_to_i64(options->time, &value)) return PARSE_NOT_INTEGER;
    if (value <= 0) return PARSE_BAD_EXPIRY;
    uint64_t now_ms = server_now_ms(c->session->server);
    enum parse_result result = parse_time(options->time, options->unit, now_ms, &value);
    if (result == PARSE_OK) *expires_ms = (uint64_t)value;
    return result;
}

void answer_parse_error(struct command *c, enum parse_result result) {
    switch (result) {
    case PARSE_SYNTAX:
        answer_error(c, "ERR syntax error");
        return;
    case PARSE_NOT_INTEGER:
        answer_error(c, "ERR value is not an integer or out of range");
        return;
    case PARSE_BAD_EXPIRY:
        answer_errorf(c, "ERR invalid expire time in '%s' command", c->spec->name);
        return;
    case PARSE_OK:
        break;
    }
    unreachable();
}

bool parse_integer(struct command *c, struct slice argument, int64_t *value) {
    if (text_to_i64(argument, value)) return true;
    answer_parse_error(c, PARSE_NOT_INTEGER);
    return false;
}

bool parse_bit_offset(struct slice argument, uint64_t size_max, uint32_t width, uint64_t *offset) {
    bool is_counted = width > 0 && argument.size > 0 && argument.data[0] == '#';
    if (is_counted) argument = slice_skip(argument, 1);
    if (!text_to_u64(argument, offset)) return false;
    if (is_counted && __builtin_mul_overflow(*offset, width, offset)) return false;
    return *offset / 8 < size_max;
}

bool level_of_argument(struct slice argument, struct level *level, char problem[PROBLEM_SIZE]) {
    struct text out = text_over(problem, PROBLEM_SIZE);
    if (level_parse(argument, level) != ST_OK) {
        text_string(&out, "ERR a level is ONE, TWO, THREE, QUORUM, ALL, SLOPPY or a number up to ");
        text_u64(&out, REPLICAS_MAX);
    } else if (level_gap(*level) != NULL) {
        char name[LEVEL_TEXT_SIZE];
        level_text(*level, name);
        text_string(&out, "ERR level ");
        text_string(&out, name);
        text_string(&out, " needs ");
        text_string(&out, level_gap(*level));
        text_string(&out, ", which this version does not have; not done");
    } else {
        return true;
    }
    must(!out.clipped);
    return false;
}

bool parse_level(struct command *c, struct slice argument, struct level *level) {
    char problem[PROBLEM_SIZE];
    if (level_of_argument(argument, level, problem)) return true;
    answer_error(c, problem);
    return false;
}

bool parse_timeout(struct slice argument, int64_t *ms, struct reply *r) {
    if (!text_to_i64(argument, ms) || *ms > TIMEOUT_MS_MAX) {
        reply_error(r, SLICE("ERR timeout is not an integer or out of range"));
    } else if (*ms < 0) {
        reply_error(r, SLICE("ERR timeout is negative"));
    } else {
        return true;
    }
    return false;
}
