// SPDX-License-Identifier: Apache-2.0
//
// cli_terminal.h -- text for people: colour, progress, tables, numbers that can be read.
//
// The same calls serve a terminal and a pipe. A pipe gets no colours and no progress, only what is
// still worth reading afterwards. NO_COLOR in the environment turns colours off everywhere.
#ifndef QUOIT_BIN_CLI_TERMINAL_H
#define QUOIT_BIN_CLI_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum style { STYLE_PLAIN, STYLE_STRONG, STYLE_FAINT, STYLE_GOOD, STYLE_WARN, STYLE_BAD, STYLES };

struct terminal {
    FILE *file;
    bool is_terminal;
    bool has_colour;
    bool has_progress; // a progress line stands at the cursor
};

struct terminal terminal_of(FILE *file);

// A styled piece of text, without line end.
void terminal_print(struct terminal *t, enum style style, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// Draws, or redraws, a line with a bar: `done` of `total`, and a note. On terminals only; the next
// terminal_progress or terminal_clear takes the line away. Nothing else may be printed meanwhile.
void terminal_progress(struct terminal *t, const char *label, uint64_t done, uint64_t total,
                       const char *note);
void terminal_clear(struct terminal *t);

// A table is filled cell by cell, row by row, and printed at once with columns as wide as needed.
enum { TABLE_CELL_MAX = 63 };

struct table_cell {
    char text[TABLE_CELL_MAX + 1];
    enum style style;
};

struct table {
    const char *const *headings; // borrowed; one that begins with '>' has its column to the right
    size_t column_count;
    struct table_cell *cells;
    size_t cell_count;
    size_t cell_capacity;
};

struct table table_of(const char *const *headings, size_t column_count);
void table_cell(struct table *table, enum style style, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void table_print(const struct table *table, struct terminal *t);
void table_free(struct table *table);

// Four significant places at most: "17", "1.25k", "3.4M".
enum { HUMAN_MAX = 15 };
struct human {
    char text[HUMAN_MAX + 1];
};
struct human human_count(double value);
struct human human_size(uint64_t bytes);     // "512 B", "1.5 KiB"
struct human human_duration(uint64_t value); // of nanoseconds: "71 us", "1.25 ms"

#endif
