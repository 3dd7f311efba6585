// SPDX-License-Identifier: Apache-2.0
#include "store/keyspaces.h"

enum { OWN = SLOT_END - SLOT_COUNT }; // partitions of the node itself, in keyspace 0

size_t keyspaces_memory_size(uint32_t max) {
    return max * (sizeof(struct keyspace_place) + sizeof(struct keyspace_use)) + (size_t)64 * 2;
}

void keyspaces_init(struct keyspaces *k, struct arena *arena, uint32_t max) {
    must(max > 0);
    must(max <= UINT16_MAX);
    *k = (struct keyspaces){.max = max, .count = 1}; // places[0] is that of keyspace 0
    k->places = ARENA_ARRAY(arena, struct keyspace_place, max);
    k->uses = ARENA_ARRAY(arena, struct keyspace_use, max);
}

// How many have a lower number.
static uint32_t place_of(const struct keyspaces *k, uint32_t number) {
    uint32_t low = 0;
    uint32_t high = k->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (k->places[middle].number < number) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

uint32_t keyspaces_search(const struct keyspaces *k, uint16_t number) {
    uint32_t place = place_of(k, number);
    bool is_there = place < k->count && k->places[place].number == number;
    return is_there ? k->places[place].index : KEYSPACE_NONE;
}

// The place of a keyspace of which nothing is left, or 0.
static uint32_t spent(const struct keyspaces *k) {
    if (k->are_kept) return 0;
    for (uint32_t place = 1; place < k->count; place++) {
        const struct keyspace_use *use = &k->uses[k->places[place].index];
        if (use->keys == 0 && use->entries == 0) return place;
    }
    return 0;
}

// While there are indexes that nobody ever had they are given out in order.
uint32_t keyspaces_assign(struct keyspaces *k, uint16_t number) {
    uint32_t found = keyspaces_search(k, number);
    if (found != KEYSPACE_NONE) return found;
    uint16_t index = (uint16_t)k->count;
    if (k->count == k->max) {
        uint32_t place = spent(k);
        if (place == 0) return KEYSPACE_NONE;
        index = k->places[place].index;
        k->count--;
        for (; place < k->count; place++) k->places[place] = k->places[place + 1];
    }
    uint32_t place = place_of(k, number);
    for (uint32_t at = k->count++; at > place; at--) k->places[at] = k->places[at - 1];
    k->places[place] = (struct keyspace_place){number, index};
    return index;
}

bool keyspaces_can_assign(const struct keyspaces *k, uint16_t number) {
    return keyspaces_search(k, number) != KEYSPACE_NONE || k->count < k->max || spent(k) != 0;
}

void keyspaces_note_dropped(struct keyspaces *k, const uint16_t *numbers, uint32_t count) {
    must(count <= KEYSPACES_DROPPED_MAX);
    k->dropped_count = count;
    for (uint32_t i = 0; i < count; i++) k->dropped[i] = numbers[i];
}

bool keyspaces_is_dropped(const struct keyspaces *k, struct partition partition) {
    if (partition.slot >= SLOT_COUNT) return false;
    for (uint32_t i = 0; i < k->dropped_count; i++) {
        if (k->dropped[i] == partition.keyspace) return true;
    }
    return false;
}

uint32_t keyspaces_next(const struct keyspaces *k, uint32_t partition) {
    struct partition p = partition_of_number(partition);
    struct partition next = {p.keyspace, p.slot < SLOT_END ? p.slot + 1 : SLOT_END};
    bool is_there = p.slot < SLOT_END && keyspaces_find(k, p.keyspace) != KEYSPACE_NONE;
    if (is_there && partition_is_good(next)) return partition_number(next);
    uint32_t place = place_of(k, (uint32_t)p.keyspace + 1);
    if (place == k->count) return PARTITION_NONE;
    return partition_number((struct partition){.keyspace = k->places[place].number});
}

uint32_t keyspaces_before(const struct keyspaces *k, uint32_t partition) {
    struct partition p = partition_of_number(partition);
    uint32_t place = place_of(k, p.keyspace);
    uint32_t count = place * SLOT_COUNT + (place > 0 ? OWN : 0);
    bool is_there = place < k->count && k->places[place].number == p.keyspace;
    uint32_t most = SLOT_COUNT + (place == 0 ? OWN : 0);
    if (!is_there) return count;
    return count + (p.slot < most ? p.slot : most);
}
