// SPDX-License-Identifier: Apache-2.0
//
// full_key.h -- a key with its partition in front: the order of everything on disk.
//
//     full key = keyspace, slot (16 bits each, most significant byte first) | key
//
// Byte order of full keys is the order (keyspace, slot, key), so each partition is one run.
#ifndef QUOIT_STORE_FULL_KEY_H
#define QUOIT_STORE_FULL_KEY_H

#include "base/hash.h"
#include "model/slot.h"

// No partition has a higher number.
#define PARTITION_LAST ((uint32_t)UINT16_MAX << 16 | (SLOT_COUNT - 1))

enum { FULL_KEY_HEAD = 4, FULL_KEY_MAX = FULL_KEY_HEAD + KEY_SIZE_MAX };

static inline uint32_t partition_number(struct partition p) {
    return (uint32_t)p.keyspace << 16 | p.slot;
}

static inline struct partition partition_of_number(uint32_t number) {
    return (struct partition){(uint16_t)(number >> 16), (uint16_t)number};
}

// Whether there is such a partition.
static inline bool partition_is_good(struct partition p) {
    return p.slot < SLOT_COUNT || (p.slot < SLOT_END && p.keyspace == 0);
}

// Writes FULL_KEY_HEAD + key.size bytes; returns how many.
static inline size_t full_key_write(uint8_t *to, struct partition p, struct slice key) {
    uint32_t number = __builtin_bswap32(partition_number(p));
    memcpy(to, &number, FULL_KEY_HEAD);
    if (key.size > 0) memcpy(to + FULL_KEY_HEAD, key.data, key.size);
    return FULL_KEY_HEAD + key.size;
}

// Requires at least FULL_KEY_HEAD bytes.
static inline struct partition full_key_partition(struct slice full) {
    must(full.size >= FULL_KEY_HEAD);
    uint32_t number;
    memcpy(&number, full.data, FULL_KEY_HEAD);
    return partition_of_number(__builtin_bswap32(number));
}

static inline struct slice full_key_rest(struct slice full) {
    return slice_skip(full, FULL_KEY_HEAD);
}

// The number by which filters know the key. `seed` is the store's.
static inline uint64_t full_key_hash(uint64_t seed, struct partition p, struct slice key) {
    return hash_bytes(key, seed ^ partition_number(p));
}

// The same for the partition as a whole.
static inline uint64_t partition_hash(uint64_t seed, struct partition p) {
    return hash_number(seed + partition_number(p));
}

#endif
