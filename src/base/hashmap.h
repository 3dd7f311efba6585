// SPDX-License-Identifier: Apache-2.0
//
// hashmap.h -- from 64-bit keys to 32-bit numbers, usually places in an array.
//
// Open addressing with linear probing; a removal moves the entries behind it up, so that no marks
// of what was once there are left and a map that lives long stays as fast as a new one. The table
// is at most three quarters full. The seed keeps whoever chooses the keys from choosing their
// places.
//
// There is no way to walk over the entries: their order would depend on the seed, and what is done
// in it would too. Whoever needs an order keeps one.
#ifndef QUOIT_BASE_HASHMAP_H
#define QUOIT_BASE_HASHMAP_H

#include "base/arena.h"
#include "base/status.h"

#include <stdbool.h>

// No value, and what an absent key is found as.
#define HASHMAP_NONE UINT32_MAX

struct hashmap_entry {
    uint64_t key;
    uint32_t value; // HASHMAP_NONE: the entry is free
};

struct hashmap {
    struct hashmap_entry *entries;
    uint64_t seed;
    uint32_t mask;     // entries in the table, a power of two, less one
    uint32_t count;    // keys
    uint32_t capacity; // keys at most
};

// Room for `capacity` keys. Requires 0 < capacity <= 2^30.
void hashmap_init(struct hashmap *map, struct arena *arena, uint32_t capacity, uint64_t seed);

// Bytes that hashmap_init takes from the arena.
size_t hashmap_memory_size(uint32_t capacity);

// Adds the key or changes its value. ST_BUSY: there is no room for one more key. Requires value !=
// HASHMAP_NONE.
NODISCARD enum status hashmap_put(struct hashmap *map, uint64_t key, uint32_t value);

// HASHMAP_NONE when the key is absent.
uint32_t hashmap_find(const struct hashmap *map, uint64_t key);

// The value that the key had, or HASHMAP_NONE.
uint32_t hashmap_remove(struct hashmap *map, uint64_t key);

void hashmap_clear(struct hashmap *map);

#endif
