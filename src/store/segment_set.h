// SPDX-License-Identifier: Apache-2.0
//
// segment_set.h -- which segments of the log exist.
#ifndef QUOIT_STORE_SEGMENT_SET_H
#define QUOIT_STORE_SEGMENT_SET_H

#include "base/arena.h"

#include <stdbool.h>

// More segments than this are neither made nor opened. At 64 MiB each it is half a terabyte of log.
enum { SEGMENTS_MAX = 8192 };

struct segment_info {
    uint32_t number;
    uint64_t size; // bytes of the file
};

struct segment_set {
    struct segment_info *ring; // by number, ascending, from `first` on
    uint32_t first;
    uint32_t count;
    uint64_t size; // bytes of all files
};

size_t segment_set_memory_size(void);
void segment_set_init(struct segment_set *set, struct arena *arena);

// Adds a segment with a number above all others. Requires room.
void segment_set_add(struct segment_set *set, uint32_t number, uint64_t size);
void segment_set_remove_first(struct segment_set *set);
void segment_set_remove_last(struct segment_set *set);

static inline bool segment_set_is_full(const struct segment_set *set) {
    return set->count == SEGMENTS_MAX;
}

// In ascending order of numbers.
static inline struct segment_info *segment_set_at(const struct segment_set *set, uint32_t index) {
    return &set->ring[(set->first + index) % SEGMENTS_MAX];
}

#endif
