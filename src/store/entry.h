// SPDX-License-Identifier: Apache-2.0
//
// entry.h -- a key and its record in memory.
//
// One block of a struct tlsf holds all of it, so that a read touches one run of bytes:
//
//     | position | key size, flags | keyspace, slot | key ... | record ... |
#ifndef QUOIT_STORE_ENTRY_H
#define QUOIT_STORE_ENTRY_H

#include "base/tlsf.h"
#include "store/full_key.h"

struct entry {
    uint32_t position[2]; // of its frame in the log, low half first; blocks are aligned to 4
    uint32_t key_size : 24;
    uint32_t is_live : 1; // some sibling is not a tombstone
    uint32_t is_used : 1; // since eviction looked at it last
    struct partition partition;
    uint8_t bytes[]; // key, record
};

static_assert(sizeof(struct entry) == 16, "no padding");
static_assert(KEY_SIZE_MAX < 1 << 24, "sizes fit their field");

static inline struct entry *entry_at(const struct tlsf *t, uint32_t block) {
    return tlsf_at(t, block);
}

static inline uint64_t entry_position(const struct entry *e) {
    return (uint64_t)e->position[1] << 32 | e->position[0];
}

static inline void entry_set_position(struct entry *e, uint64_t position) {
    e->position[0] = (uint32_t)position;
    e->position[1] = (uint32_t)(position >> 32);
}

static inline struct slice entry_key(const struct entry *e) {
    return (struct slice){e->bytes, e->key_size};
}

static inline struct slice entry_record(const struct tlsf *t, uint32_t block) {
    const struct entry *e = entry_at(t, block);
    size_t size = tlsf_size(t, block) - sizeof(*e) - e->key_size;
    return (struct slice){e->bytes + e->key_size, size};
}

#endif
