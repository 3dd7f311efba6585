// SPDX-License-Identifier: Apache-2.0
//
// arena.h -- memory that is freed all at once.
//
// An arena is a region that a program hands to whatever it creates. Taking from it moves a mark and
// cannot fail: the sizes of all parts are computed from the configuration before anything starts,
// and a region too small for their sum is a mistake of that computation. There is no giving back;
// the region ends with its owner.
#ifndef QUOIT_BASE_ARENA_H
#define QUOIT_BASE_ARENA_H

#include <stddef.h>
#include <stdint.h>

struct arena {
    uint8_t *memory; // borrowed for the life of the arena
    size_t size;     // bytes in memory
    size_t used;     // bytes taken, padding included
};

// Requires memory that is zero throughout, as fresh mappings are, and aligned to 64 bytes.
struct arena arena_over(void *memory, size_t size);

// Lends `count` things of `size` bytes, zeroed and aligned to 64 bytes, until the arena ends.
void *arena_take(struct arena *arena, size_t count, size_t size);

#define ARENA_NEW(arena, type) ((type *)arena_take((arena), 1, sizeof(type)))
#define ARENA_ARRAY(arena, type, count) ((type *)arena_take((arena), (count), sizeof(type)))

#endif
