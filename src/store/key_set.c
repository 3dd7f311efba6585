// SPDX-License-Identifier: Apache-2.0
#include "store/key_set.h"

#include <string.h>

enum {
    SHARD_SHIFT = 58, // the upper bits choose the shard, the lower ones the place in it
    CAPACITY_FIRST = 64,
    LEAD = TLSF_UNIT - TLSF_HEAD, // so that entries are aligned
};

static_assert(1u << (64 - SHARD_SHIFT) == KEY_SET_SHARDS, "the upper bits name each shard");

struct key_entry {
    uint64_t hash; // 0: free
    uint64_t number;
};

static struct key_entry *entries_of(const struct key_set *set, const struct key_set_shard *shard) {
    return (void *)((uint8_t *)tlsf_at(set->memory, shard->block) + LEAD);
}

// 0 is kept for what is free.
static uint64_t real(uint64_t hash) {
    return hash == 0 ? 1 : hash;
}

// Where the hash is or should be. Requires that something is free.
static struct key_entry *place_of(struct key_entry *entries, uint32_t capacity, uint64_t hash) {
    uint32_t at = (uint32_t)hash & (capacity - 1);
    while (entries[at].hash != 0 && entries[at].hash != hash) at = (at + 1) & (capacity - 1);
    return &entries[at];
}

uint64_t *key_set_find(const struct key_set *set, uint64_t hash) {
    const struct key_set_shard *shard = &set->shards[real(hash) >> SHARD_SHIFT];
    if (shard->count == 0) return NULL;
    struct key_entry *e = place_of(entries_of(set, shard), shard->capacity, real(hash));
    return e->hash == 0 ? NULL : &e->number;
}

static bool grow(struct key_set *set, struct key_set_shard *shard) {
    uint32_t capacity = shard->capacity == 0 ? CAPACITY_FIRST : 2 * shard->capacity;
    uint64_t size = (uint64_t)capacity * sizeof(struct key_entry);
    struct key_set_shard old = *shard;
    uint32_t block = size + LEAD > TLSF_SIZE_MAX ? 0 : tlsf_take(set->memory, size + LEAD);
    if (block == 0) return false;
    shard->block = block;
    shard->capacity = capacity;
    memset(entries_of(set, shard), 0, size);
    for (uint32_t i = 0; i < old.capacity; i++) {
        const struct key_entry *e = &entries_of(set, &old)[i];
        if (e->hash != 0) *place_of(entries_of(set, shard), capacity, e->hash) = *e;
    }
    if (old.block != 0) tlsf_give(set->memory, old.block);
    return true;
}

bool key_set_add(struct key_set *set, uint64_t hash, uint64_t number) {
    struct key_set_shard *shard = &set->shards[real(hash) >> SHARD_SHIFT];
    bool is_full = shard->count >= shard->capacity - shard->capacity / 4;
    if (is_full && !grow(set, shard)) return false;
    struct key_entry *e = place_of(entries_of(set, shard), shard->capacity, real(hash));
    must(e->hash == 0);
    *e = (struct key_entry){real(hash), number};
    shard->count++;
    return true;
}
