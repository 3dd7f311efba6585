// SPDX-License-Identifier: Apache-2.0
//
// places.h -- the cursors of SCAN, and the keys they stand for.
//
// SCAN goes through a cell (model/keyspace.h) in the order of its keys. A cursor is a number that
// has to do at every member and after every restart: the cell, and its place, which is a hash of
// the key that was looked at last; 0 is the beginning of the cell. Whoever gave a cursor out
// remembers the key, so that going on from there is one search. Others look for the key with that
// hash first.
//
// 53 bits in all, because some clients hold numbers in doubles. So two keys of a cell may share a
// place; the one that is found may then be the earlier one, and what lies between is listed again.
#ifndef QUOIT_NODE_PLACES_H
#define QUOIT_NODE_PLACES_H

#include "base/arena.h"
#include "base/slice.h"

enum {
    PLACE_BITS = 36, // of a cursor; 17 more are the cell
    PLACES_MAX = 512,
    PLACES_BYTES = 256 * 1024, // of keys
};

static inline uint32_t cursor_cell(uint64_t cursor) {
    return (uint32_t)(cursor >> PLACE_BITS);
}

// Where a cell begins.
static inline uint64_t cursor_begin(uint32_t cell) {
    return (uint64_t)cell << PLACE_BITS;
}

// 0: the beginning of the cell.
static inline uint64_t cursor_place(uint64_t cursor) {
    return cursor & (((uint64_t)1 << PLACE_BITS) - 1);
}

// Never 0.
uint64_t place_of_key(struct slice key);

// The keys remembered, the oldest forgotten first.
struct places {
    struct {
        uint64_t cursor;
        uint64_t begin; // of the key, in all that was ever written
        uint32_t size;
    } notes[PLACES_MAX];
    uint64_t count; // notes ever made
    uint64_t written;
    uint8_t *bytes;
};

static inline size_t places_memory_size(void) {
    return PLACES_BYTES + 64;
}

void places_init(struct places *p, struct arena *arena);

// The cursor that goes on past the key. Copies the key.
uint64_t places_note(struct places *p, uint32_t cell, struct slice key);

// The key that the cursor stands for: lent until the next note. False: it is not known here.
bool places_find(const struct places *p, uint64_t cursor, struct slice *key);

#endif
