// SPDX-License-Identifier: Apache-2.0
//
// tlsf.h -- blocks of any size out of one region of memory.
//
// Two-level segregated fit (Masmano, Ripoll, Crespo, Real: "TLSF: a new dynamic memory allocator
// for real-time systems", ECRTS 2004). Free blocks hang on lists by size, sixteen lists to a
// doubling; two levels of bitmaps find the first list that surely fits. Taking, giving and resizing
// are O(1). A block that becomes free joins its free neighbours at once, so memory is bound to no
// size: what was many small blocks is a large one as soon as they are gone.
//
//     units of 8 bytes:  | head | the owner's bytes ...            |   a lent block
//                        | head | next | prev | ....       | units |   a free block
//     head = length in units, bytes that were not asked for, is it free, is the one before free
//
// Blocks are named by 32-bit references, half as large as pointers: the number of their first unit.
// No block has the reference 0. Each costs 4 bytes and the rounding to whole units.
#ifndef QUOIT_BASE_TLSF_H
#define QUOIT_BASE_TLSF_H

#include "base/arena.h"
#include "base/must.h"

#include <stdbool.h>

enum {
    TLSF_UNIT = 8,
    TLSF_HEAD = 4,
    TLSF_ROWS = 23,                    // doublings of a length in units
    TLSF_COLUMNS = 16,                 // lists to a doubling
    TLSF_SIZE_MAX = 128 * 1024 * 1024, // bytes of the largest block
};

// More than this cannot be named.
#define TLSF_REGION_MAX (UINT64_C(0xffff0000) * TLSF_UNIT)

struct tlsf {
    uint8_t *memory;     // aligned to 64 bytes
    uint32_t unit_count; // in memory
    uint64_t used;       // bytes of lent blocks, with headers and rounding
    uint32_t row_map;    // bit i: column_map[i] is not 0
    uint32_t column_map[TLSF_ROWS];
    uint32_t heads[TLSF_ROWS][TLSF_COLUMNS];
};

// Takes a region of `size` bytes from the arena; at least 1 KiB and at most TLSF_REGION_MAX.
void tlsf_init(struct tlsf *t, struct arena *arena, uint64_t size);

// Lends a block of `size` bytes, not cleared, aligned to 4. 0 when there is no room. Requires
// 0 < size <= TLSF_SIZE_MAX.
uint32_t tlsf_take(struct tlsf *t, size_t size);

void tlsf_give(struct tlsf *t, uint32_t block);

// Makes the block larger or smaller where it is. False, and no change, when its neighbour is in the
// way.
bool tlsf_resize(struct tlsf *t, uint32_t block, size_t size);

static inline void *tlsf_at(const struct tlsf *t, uint32_t block) {
    return t->memory + (size_t)block * TLSF_UNIT + TLSF_HEAD;
}

// The reference of a block, from where tlsf_at says it is.
static inline uint32_t tlsf_of(const struct tlsf *t, const void *block) {
    return (uint32_t)(((const uint8_t *)block - TLSF_HEAD - t->memory) / TLSF_UNIT);
}

// Bytes of the block, as asked for.
size_t tlsf_size(const struct tlsf *t, uint32_t block);

// What a block of that size takes out of the region.
static inline uint64_t tlsf_cost(size_t size) {
    uint64_t units = ((uint64_t)size + TLSF_HEAD + TLSF_UNIT - 1) / TLSF_UNIT;
    return (units < 2 ? 2 : units) * TLSF_UNIT;
}

// Walks the region and must()s that it is whole.
void tlsf_check(const struct tlsf *t);

#endif
