// SPDX-License-Identifier: Apache-2.0
#include "base/hashmap.h"

#include "base/hash.h"
#include "base/must.h"

static uint32_t table_size(uint32_t capacity) {
    must(capacity > 0);
    must(capacity <= 1u << 30);
    uint32_t size = 4;
    while (size - size / 4 < capacity) size *= 2;
    return size;
}

size_t hashmap_memory_size(uint32_t capacity) {
    return table_size(capacity) * sizeof(struct hashmap_entry);
}

void hashmap_init(struct hashmap *map, struct arena *arena, uint32_t capacity, uint64_t seed) {
    uint32_t size = table_size(capacity);
    *map = (struct hashmap){.entries = ARENA_ARRAY(arena, struct hashmap_entry, size),
                            .seed = seed,
                            .mask = size - 1,
                            .capacity = capacity};
    hashmap_clear(map);
}

void hashmap_clear(struct hashmap *map) {
    for (uint32_t i = 0; i <= map->mask; i++) map->entries[i].value = HASHMAP_NONE;
    map->count = 0;
}

// Where the key would be if nothing else were there.
static uint32_t home_of(const struct hashmap *map, uint64_t key) {
    return (uint32_t)hash_number(key ^ map->seed) & map->mask;
}

// Where the key is, or the free entry where it belongs. There always is one.
static uint32_t place_of(const struct hashmap *map, uint64_t key) {
    uint32_t place = home_of(map, key);
    while (map->entries[place].value != HASHMAP_NONE && map->entries[place].key != key) {
        place = (place + 1) & map->mask;
    }
    return place;
}

enum status hashmap_put(struct hashmap *map, uint64_t key, uint32_t value) {
    must(value != HASHMAP_NONE);
    struct hashmap_entry *entry = &map->entries[place_of(map, key)];
    if (entry->value == HASHMAP_NONE) {
        if (map->count == map->capacity) return ST_BUSY;
        map->count++;
        entry->key = key;
    }
    entry->value = value;
    return ST_OK;
}

uint32_t hashmap_find(const struct hashmap *map, uint64_t key) {
    return map->entries[place_of(map, key)].value;
}

uint32_t hashmap_remove(struct hashmap *map, uint64_t key) {
    uint32_t gap = place_of(map, key);
    uint32_t value = map->entries[gap].value;
    if (value == HASHMAP_NONE) return HASHMAP_NONE;
    map->count--;

    // Whoever stands behind the gap and could not be found past it moves into it, and leaves a gap
    // in turn. An entry may stay only when its home lies behind the gap.
    uint32_t next = gap;
    for (;;) {
        next = (next + 1) & map->mask;
        if (map->entries[next].value == HASHMAP_NONE) break;
        uint32_t from_home = (next - home_of(map, map->entries[next].key)) & map->mask;
        uint32_t from_gap = (next - gap) & map->mask;
        if (from_home >= from_gap) {
            map->entries[gap] = map->entries[next];
            gap = next;
        }
    }
    map->entries[gap].value = HASHMAP_NONE;
    return value;
}
