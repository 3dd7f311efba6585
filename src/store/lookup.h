// SPDX-License-Identifier: Apache-2.0
//
// lookup.h -- finds the record of one key in the tables: one block read, as a rule.
//
// Tables are asked newest first, and only those whose filter does not say no. A block is read into
// a buffer, checked, and searched; the first table that has the key ends the search.
//
//     begin -> (read a block -> search it)* -> done
//
// Lookups are few and wait for each other: there are so many at a time, and one at a time of a
// block that is larger than usual. Those who want the same key share one.
#ifndef QUOIT_STORE_LOOKUP_H
#define QUOIT_STORE_LOOKUP_H

#include "store/block.h"
#include "store/block_read.h"
#include "store/compress.h"
#include "store/sstable_set.h"

enum { LOOKUP_BUCKETS = 512 };

struct lookup;
typedef void lookup_done(struct lookup *l);

struct lookup {
    struct lookups *owner;
    struct partition partition;
    struct slice key; // borrowed from the first of those who want it
    uint64_t hash;

    // Results: ST_OK, ST_NOT_FOUND, ST_CORRUPT or ST_IO. The record, which is empty for a key that
    // was removed, is lent until done returns.
    enum status status;
    struct slice record;

    bool has_met_damage; // that is not forgiven

    struct list reads;  // of the owner, who want the result: store_read
    struct list writes; // store_write
    uint32_t next;      // in the set
    uint64_t generation;
    uint64_t drops;        // as of its beginning
    struct sstable *table; // being read; pinned
    uint32_t block;        // of the table
    uint64_t offset;       // of the block
    uint32_t size;
    uint8_t *buffer;
    uint32_t before; // bytes in the buffer that come before the block
    struct block_read read;
    struct list link; // of its bucket
    struct list wait; // for the large buffer
};

struct lookups {
    struct env *env;
    struct sstable_set *set;
    struct compressor *compressor; // set by the owner, like all up to freed
    uint64_t hash_seed;
    lookup_done *done;
    void (*freed)(struct lookups *ls); // one more can begin
    uint32_t block_size;
    uint32_t large_size;
    bool is_direct;
    struct pool pool;
    struct pool buffers;
    struct list *buckets;
    uint8_t *large; // for one block of any size
    uint8_t *expanded;
    uint8_t *key_bytes; // of a cursor
    uint8_t *full_key;  // that is looked for
    bool is_large_taken;
    struct list large_wait;
    uint64_t reads; // blocks read
    uint64_t drops; // keyspaces that were dropped: set by the owner
};

struct lookups_options {
    uint32_t count;      // lookups at a time
    uint32_t block_size; // bytes, before compression, of blocks that need not wait for one another
    uint32_t record_size_max;
    bool is_direct; // blocks are read past the kernel's cache
};

size_t lookups_memory_size(const struct lookups_options *options);
void lookups_init(struct lookups *ls, struct arena *arena, struct env *env, struct sstable_set *set,
                  const struct lookups_options *options);

static inline bool lookups_are_idle(const struct lookups *ls) {
    return ls->pool.taken == 0;
}

// True when some table may hold the key.
bool lookups_may_find(const struct lookups *ls, struct partition partition, struct slice key);

// The lookup of that key that is under way, or NULL.
struct lookup *lookups_find(const struct lookups *ls, struct partition partition, struct slice key);

// Begins a lookup; it is never done before this returns. NULL when there are too many. Borrows the
// key until it is done.
struct lookup *lookups_begin(struct lookups *ls, struct partition partition, struct slice key);

#endif
