// SPDX-License-Identifier: Apache-2.0
//
// cli_options.h -- what people type behind a command, and the help that tells them what they may.
//
// A command describes its options once, as a table; reading them, checking them and printing
// --help all follow from it.
//
//     --port 7001    --port=7001    --detach
#ifndef QUOIT_BIN_CLI_OPTIONS_H
#define QUOIT_BIN_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Exactly one of flag, text, number and size is set: where the value goes, and so what it must be.
// What is there before is the default.
struct cli_option {
    const char *name;     // without the dashes
    const char *argument; // what --help calls the value; NULL for flags
    const char *help;
    bool *flag;
    const char **text; // borrows the argument
    uint64_t *number;  // decimal
    uint64_t *size;    // decimal, with k, m or g for powers of 1024
    uint64_t least;    // of numbers and sizes
    uint64_t most;
};

struct cli_syntax {
    const char *command; // "bench"
    const char *summary; // one sentence
    const char *notes;   // printed below the options; may be NULL
    const struct cli_option *options;
    const char *operand;       // what stands without dashes, once, as --help calls it; or NULL
    const char **operand_text; // borrows the argument
    size_t option_count;
};

enum cli_asked {
    CLI_ASKED_RUN,
    CLI_ASKED_HELP, // printed
    CLI_ASKED_WRONG // complained about
};

enum cli_asked cli_options_read(const struct cli_syntax *syntax, int count, char **arguments);

// "quoit bench: ..." to standard error.
void cli_complain(const char *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

// Reads a number, or a size if `is_size`, that is all there is in the text.
bool cli_read_number(const char *text, bool is_size, uint64_t *value);

#endif
