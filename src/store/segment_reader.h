// SPDX-License-Identifier: Apache-2.0
//
// segment_reader.h -- a window that moves over one segment of the log.
//
//     open -> load -> look at the window -> load further on -> ... -> close
//
// Each step ends in a callback. What lies behind the end of the file, which should not happen, is
// just not in the window.
#ifndef QUOIT_STORE_SEGMENT_READER_H
#define QUOIT_STORE_SEGMENT_READER_H

#include "base/arena.h"
#include "env/env.h"
#include "store/segment.h"

struct segment_reader;
typedef void segment_reader_done(struct segment_reader *r, enum status status);

struct segment_reader {
    struct env *env;
    segment_reader_done *done;
    struct env_op op;
    struct env_file *file; // NULL: none is open
    char name[FILE_NAME_SIZE];
    uint32_t number;
    uint64_t size;     // of the file
    uint8_t *window;   // borrowed
    uint32_t capacity; // of the window
    uint32_t start;    // offset of the window in the segment
    uint32_t filled;
};

// Borrows the window for the life of the reader.
void segment_reader_init(struct segment_reader *r, struct env *env, uint8_t *window,
                         uint32_t capacity);

// Opens the segment of that number; the window is empty. Requires that none is open.
void segment_reader_open(struct segment_reader *r, uint32_t number, segment_reader_done *done);

// Moves the window to `offset`. Requires that the offset is before the end of the file.
void segment_reader_load(struct segment_reader *r, uint32_t offset, segment_reader_done *done);

// Forces to disk whatever of the file is not.
void segment_reader_sync(struct segment_reader *r, segment_reader_done *done);

void segment_reader_close(struct segment_reader *r, segment_reader_done *done);

// The part of the window from `offset` on; empty when it is not in the window. Lends until the
// window moves.
static inline struct slice segment_reader_at(const struct segment_reader *r, uint32_t offset) {
    if (offset < r->start || offset - r->start >= r->filled) return (struct slice){NULL, 0};
    return (struct slice){r->window + (offset - r->start), r->filled - (offset - r->start)};
}

// True when the window reaches the end of the file.
static inline bool segment_reader_ends(const struct segment_reader *r) {
    return (uint64_t)r->start + r->filled >= r->size;
}

#endif
