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

// How a time is given.
enum time_unit { TIME_SECONDS, TIME_MS, TIME_AT_SECONDS, TIME_AT_MS };

struct set_options {
    uint32_t flags;
    struct slice time; // as given; without data: none; borrowed from the command
    enum time_unit unit;
};

enum parse_result { PARSE_OK, PARSE_SYNTAX, PARSE_NOT_INTEGER, PARSE_BAD_EXPIRY };

// Makes an absolute time of one, ms since 1970. PARSE_BAD_EXPIRY when that is out of range; a time
// in the past is not.
enum parse_result parse_time(struct slice text, enum time_unit unit, uint64_t now_ms,
                             int64_t *at_ms);

// Reads the options of SET from argument `at` on. `allowed` says which flags may occur. What is
// said of the time is not looked at: PARSE_OK or PARSE_SYNTAX.
enum parse_result parse_set_options(const struct command *c, uint32_t at, uint32_t allowed,
                                    struct set_options *options);

// The expiry that they give, ms since 1970; 0: none.
enum parse_result parse_set_time(const struct command *c, const struct set_options *options,
                                 uint64_t *expires_ms);

// Answers with Redis's error for a result other than PARSE_OK.
void answer_parse_error(struct command *c, enum parse_result result);

// Answers with an error and returns false unless the argument is a number.
bool parse_integer(struct command *c, struct slice argument, int64_t *value);

// The offset of a bit in a value of at most `size_max` bytes. Where `width` is not 0, "#n" is the
// n-th of so many bits. False: it is none.
bool parse_bit_offset(struct slice argument, uint64_t size_max, uint32_t width, uint64_t *offset);

// Writes Redis's error and returns false unless the argument is a time in ms that is not negative.
bool parse_timeout(struct slice argument, int64_t *ms, struct reply *r);

enum { PROBLEM_SIZE = 120 };

// True: the argument names a level that an operation can have. Else why not, as an error.
bool level_of_argument(struct slice argument, struct level *level, char problem[PROBLEM_SIZE]);

// Answers with an error and returns false unless the argument names such a level.
bool parse_level(struct command *c, struct slice argument, struct level *level);

#endif
