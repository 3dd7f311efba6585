// SPDX-License-Identifier: Apache-2.0
#include "node/lacking.h"

#include "base/bitmap.h"
#include "base/hash.h"
#include "node/internal.h"
#include "node/roots.h"

enum { BITS = 1 << 19, PROBES = 4 };

size_t lacking_memory_size(void) {
    return BITS / 8;
}

void lacking_init(struct node *node, struct arena *arena) {
    node->reconcile.lacking = ARENA_ARRAY(arena, uint8_t, BITS / 8);
}

void lacking_clear(struct node *node) {
    memset(node->reconcile.lacking, 0, BITS / 8);
}

static uint64_t hash_of(uint32_t member, struct partition partition, struct slice key) {
    return hash_bytes(key, (uint64_t)partition.keyspace << 32 | member);
}

static uint32_t place_of(uint64_t hash, uint32_t probe) {
    uint32_t step = (uint32_t)(hash >> 32) | 1;
    return ((uint32_t)hash + probe * step) % BITS;
}

void lacking_note(struct node *node, uint32_t member, struct partition partition,
                  struct slice key) {
    uint64_t hash = hash_of(member, partition, key);
    for (uint32_t i = 0; i < PROBES; i++) bitmap_add(node->reconcile.lacking, place_of(hash, i));
}

static bool is_noted(const struct node *node, uint64_t hash) {
    for (uint32_t i = 0; i < PROBES; i++) {
        if (!bitmap_has(node->reconcile.lacking, place_of(hash, i))) return false;
    }
    return true;
}

bool lacking_everywhere(const struct node *node, struct partition partition, struct slice key) {
    for (uint32_t i = 0; i < node->map.member_count; i++) {
        bool is_peer = i != node->self && roots_share(node, partition.keyspace, partition.slot, i);
        if (is_peer && !is_noted(node, hash_of(i, partition, key))) return false;
    }
    return true;
}
