// SPDX-License-Identifier: Apache-2.0
//
// memtable.h -- records in memory: found by hash, listed in order.
//
//     hash of (partition, key) -> bucket: one cache line of 7 tags and references -> entry
//     partition                -> B+tree of references (order.h)                  -> entry
//
// The buckets grow by linear hashing (Litwin: "Linear hashing: a new tool for file and table
// addressing", VLDB 1980): at a certain load every new key also splits one bucket until their
// number has doubled, so no call waits for a large copy. Buckets, trees and entries all come out of
// one region of a fixed size; when it is full the table refuses and is as it was.
//
// An entry is dirty while its record is in the log alone: from its position on. What is not dirty
// is a copy of what tables hold, and goes when memory is wanted, those first that were not used
// since the hand of the clock last came by (Corbato: "A paging experiment with the Multics system",
// 1968).
//
// One block is held back in reserve, as large as the largest record needs: what must be kept finds
// a place however many small pieces the rest of the region is in.
#ifndef QUOIT_STORE_MEMTABLE_H
#define QUOIT_STORE_MEMTABLE_H

#include "base/hash.h"
#include "store/entry.h"
#include "store/keyspaces.h"
#include "store/order.h"

enum {
    BUCKET_ENTRIES = 7,
    PREFETCH_DISTANCE = 8, // keys between asking for a bucket and looking into it
    PREFETCH_LINES = 3,    // of an entry
};

struct bucket {
    uint32_t tags[BUCKET_ENTRIES]; // low halves of hashes
    uint32_t count;                // of entries; all but the last bucket of a chain are full
    uint32_t entries[BUCKET_ENTRIES];
    uint32_t next; // a block with the bucket that this one flows over into, or 0
};

static_assert(sizeof(struct bucket) == 64, "one cache line");

struct memtable_part {
    uint32_t root;  // of its tree
    uint32_t count; // of entries
};

struct memtable {
    struct tlsf tlsf;
    uint64_t seed;
    struct keyspaces *keyspaces; // borrowed
    struct memtable_part *parts; // KEYSPACE_PARTS of each index
    uint64_t count;              // of entries
    uint32_t level;              // 2^level buckets ...
    uint32_t split;              // ... of which so many were split, which gave as many more
    uint32_t chunk_count;
    uint32_t chunk_max;
    uint32_t *chunks; // blocks of 1024 buckets
    uint32_t reserve; // a block, or 0 while it is in use
    size_t reserve_size;
    uint32_t hand;    // the bucket that is looked at next for what can go
    uint64_t evicted; // entries so far
    struct bucket *ahead[PREFETCH_DISTANCE];
    uint32_t ahead_tags[PREFETCH_DISTANCE];
    uint32_t ahead_next;
};

size_t memtable_memory_size(uint64_t memory_max, uint32_t keyspaces_max);
// `reserve_size`: bytes of the block that is held back, at most a quarter of the memory; or 0.
void memtable_init(struct memtable *t, struct arena *arena, struct keyspaces *keyspaces,
                   uint64_t memory_max, size_t reserve_size, uint64_t seed);

static inline uint32_t memtable_tag(const struct memtable *t, struct partition partition,
                                    struct slice key) {
    uint64_t where = (uint64_t)partition.keyspace << 16 | partition.slot;
    return (uint32_t)hash_bytes(key, t->seed ^ where);
}

// The entry of the key, or 0. `tag` is that of the partition and key.
uint32_t memtable_find(const struct memtable *t, uint32_t tag, struct partition partition,
                       struct slice key);

// Starts fetching the key's bucket, and the entry of the key that was named some calls before.
void memtable_prefetch(struct memtable *t, struct partition partition, struct slice key);

// The entries of the last of them.
void memtable_prefetch_rest(struct memtable *t);

// Puts the record of a key in the place of that of *entry, which is the key's own, or 0 when it has
// none. False, and no change, when memory is full, or there is no index for its keyspace. The
// record may lie inside the old one. *entry is then where it is now; its position is not set.
NODISCARD bool memtable_put(struct memtable *t, uint32_t tag, uint32_t *entry,
                            struct partition partition, struct slice key, struct slice record);

// The same with the block that is held back, which is gone then.
NODISCARD bool memtable_put_reserved(struct memtable *t, uint32_t tag, uint32_t *entry,
                                     struct partition partition, struct slice key,
                                     struct slice record);

// Takes the block back, if there is room for it in one piece; true when it is there.
bool memtable_take_reserve(struct memtable *t);

void memtable_remove(struct memtable *t, uint32_t tag, uint32_t entry);

static inline struct entry *memtable_entry(const struct memtable *t, uint32_t entry) {
    return entry_at(&t->tlsf, entry);
}

static inline struct slice memtable_record(const struct memtable *t, uint32_t entry) {
    return entry_record(&t->tlsf, entry);
}

// NULL when its keyspace has no index.
static inline struct memtable_part *memtable_part(const struct memtable *t,
                                                  struct partition partition) {
    uint32_t part = keyspaces_part(t->keyspaces, partition);
    return part == KEYSPACE_NONE ? NULL : &t->parts[part];
}

// The tree of its entries; 0 when there are none.
static inline uint32_t memtable_root(const struct memtable *t, struct partition partition) {
    const struct memtable_part *part = memtable_part(t, partition);
    return part == NULL ? 0 : part->root;
}

// Takes entries out that are not dirty until `wanted` bytes have become free, or all buckets were
// looked at twice. Entries with a position from `clean_before` on are dirty. Returns the bytes.
uint64_t memtable_evict(struct memtable *t, uint64_t clean_before, uint64_t wanted);

// Takes the entries of one bucket out that are not dirty and lie in partitions from `first` to
// `last` (numbers), used or not.
void memtable_forget(struct memtable *t, uint32_t bucket, uint64_t clean_before, uint32_t first,
                     uint32_t last);

// How many buckets there are. A walk over all of them, in ascending order and in as many steps as
// it takes, meets every entry that stays in the table from its begin to its end.
static inline uint32_t memtable_bucket_count(const struct memtable *t) {
    return (1u << t->level) + t->split;
}

typedef void memtable_visit(void *context, uint32_t entry);

// Visits the entries of one bucket. The visit may not change the table, but the entries' heads.
void memtable_each(const struct memtable *t, uint32_t bucket, memtable_visit *visit, void *context);

// must()s that buckets, trees and counts agree.
void memtable_check(struct memtable *t);

#endif
