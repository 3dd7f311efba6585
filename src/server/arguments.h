// SPDX-License-Identifier: Apache-2.0
//
// arguments.h -- what the arguments of commands mean.
#ifndef QUOIT_SERVER_ARGUMENTS_H
#define QUOIT_SERVER_ARGUMENTS_H

#include "server/command.h"

// True when the argument is that word, in any case.
bool argument_is(struct slice argument, const char *word);

// Option words of SET and its relatives, to be found from argument `at` on.
enum set_flag {
    SET_NX = 1 << 0,
    SET_XX = 1 << 1,
    SET_GET = 1 << 2,
    SET_KEEPTTL = 1 << 3,
    SET_PERSIST = 1 << 4,
};

struct set_options {
    uint32_t flags;
    uint64_t expires_ms; // 0: never
};

// How a time is given.
enum time_unit { TIME_SECONDS, TIME_MS, TIME_AT_SECONDS, TIME_AT_MS };

enum parse_result { PARSE_OK, PARSE_SYNTAX, PARSE_NOT_INTEGER, PARSE_BAD_EXPIRY };

// Makes an absolute time of one, ms since 1970. PARSE_BAD_EXPIRY when that is out of range; a time
// in the past is not.
enum parse_result parse_time(struct slice text, enum time_unit unit, uint64_t now_ms,
                             int64_t *at_ms);

// Reads the options of SET from argument `at` on. `allowed` says which flags may occur.
enum parse_result parse_set_options(const struct command *c, uint32_t at, uint32_t allowed,
                                    struct set_options *options);

// Answers with Redis's error for a result other than PARSE_OK.
void answer_parse_error(struct command *c, enum parse_result result);

// Answers with an error and returns false unless the argument is a number.
bool parse_integer(struct command *c, struct slice argument, int64_t *value);

// Writes Redis's error and returns false unless the argument is a time in ms that is not negative.
bool parse_timeout(struct slice argument, int64_t *ms, struct reply *r);

enum { PROBLEM_SIZE = 120 };

// True: the argument names a level that an operation can have. Else why not, as an error.
bool level_of_argument(struct slice argument, struct level *level, char problem[PROBLEM_SIZE]);

// Answers with an error and returns false unless the argument names such a level.
bool parse_level(struct command *c, struct slice argument, struct level *level);

#endif
