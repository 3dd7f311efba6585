// SPDX-License-Identifier: Apache-2.0
//
// keyspaces.h -- which keyspaces have something here, and the small index of each.
//
//     number (any of 65536)  -->  index (below `max`)  -->  parts of facts and of memory
//
// Memory is set aside for as many keyspaces as can have keys at a time. A keyspace takes an index
// with its first key, and keeps it until another one needs it and nothing is left of the first: no
// key that the facts count, no entry in memory. Keyspace 0 always has index 0; the node's own
// partitions, from SLOT_SYSTEM on, are in it alone.
//
// What has no index has no keys: nobody needs to look for them.
//
// A keyspace that was dropped has none either, whatever tables, log and memory still hold of it:
// that is passed over until it is gone (drop.c).
#ifndef QUOIT_STORE_KEYSPACES_H
#define QUOIT_STORE_KEYSPACES_H

#include "base/arena.h"
#include "store/full_key.h"

enum {
    KEYSPACE_PARTS = SLOT_END,
    KEYSPACES_DROPPED_MAX = 16, // of which something is left
};

#define KEYSPACE_NONE UINT32_MAX  // no index
#define PARTITION_NONE UINT32_MAX // no partition has this number

// What is left of the keyspace that has an index.
struct keyspace_use {
    uint64_t keys;    // as the facts count them
    uint64_t entries; // in memory
};

struct keyspace_place {
    uint16_t number;
    uint16_t index;
};

struct keyspaces {
    uint32_t max;
    uint32_t count;                // of those that have an index
    struct keyspace_place *places; // of these, by number, ascending
    struct keyspace_use *uses;     // by index; whoever counts changes them
    bool are_kept;                 // facts may be wrong now: no index is given to another
    bool is_unswept;               // of those dropped something may be in memory
    uint32_t dropped_count;
    uint16_t dropped[KEYSPACES_DROPPED_MAX];
};

// `max`: from 1 on.
size_t keyspaces_memory_size(uint32_t max);
void keyspaces_init(struct keyspaces *k, struct arena *arena, uint32_t max);

// As keyspaces_find, for a number that is not 0.
uint32_t keyspaces_search(const struct keyspaces *k, uint16_t number);

// The index of the keyspace, or KEYSPACE_NONE.
static inline uint32_t keyspaces_find(const struct keyspaces *k, uint16_t number) {
    return number == 0 ? 0 : keyspaces_search(k, number);
}

// As keyspaces_take and keyspaces_has_room, for a number that is not 0.
uint32_t keyspaces_assign(struct keyspaces *k, uint16_t number);
bool keyspaces_can_assign(const struct keyspaces *k, uint16_t number);

// The index of the keyspace, which gets one if it has none. KEYSPACE_NONE: all are in use.
static inline uint32_t keyspaces_take(struct keyspaces *k, uint16_t number) {
    return number == 0 ? 0 : keyspaces_assign(k, number);
}

// Whether keyspaces_take would give one.
static inline bool keyspaces_has_room(const struct keyspaces *k, uint16_t number) {
    return number == 0 || keyspaces_can_assign(k, number);
}

// The part of a partition whose keyspace has that index: so many before it.
static inline uint32_t keyspaces_part_of(uint32_t index, struct partition partition) {
    must(partition_is_good(partition));
    return index * KEYSPACE_PARTS + partition.slot;
}

// Likewise; KEYSPACE_NONE when its keyspace has no index.
static inline uint32_t keyspaces_part(const struct keyspaces *k, struct partition partition) {
    uint32_t index = keyspaces_find(k, partition.keyspace);
    return index == KEYSPACE_NONE ? KEYSPACE_NONE : keyspaces_part_of(index, partition);
}

void keyspaces_note_dropped(struct keyspaces *k, const uint16_t *numbers, uint32_t count);

// As keyspaces_serves, where some were dropped.
bool keyspaces_is_dropped(const struct keyspaces *k, struct partition partition);

// False: the keyspace of the partition was dropped. The node's own never is.
static inline bool keyspaces_serves(const struct keyspaces *k, struct partition partition) {
    return k->dropped_count == 0 || !keyspaces_is_dropped(k, partition);
}

// Going through all partitions of keyspaces that have an index, in the order of their numbers: the
// first is 0, and this the one past another, whether that one is among them or not; then
// PARTITION_NONE.
uint32_t keyspaces_next(const struct keyspaces *k, uint32_t partition);

// How many of them have a lower number than the partition.
uint32_t keyspaces_before(const struct keyspaces *k, uint32_t partition);

#endif
