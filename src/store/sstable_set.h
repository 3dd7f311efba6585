// SPDX-License-Identifier: Apache-2.0
//
// sstable_set.h -- the tables of a store, newest first, and when each of them goes.
//
//     sequence   9  |=========================|   flushed last
//                8  |=========================|
//                0  |======|=====|=======|====|   the base: tables side by side
//
// The record of a key in the newest table that has one is the merge of all that was known, so a
// search goes through the tables in this order and ends at the first find. Tables of one sequence
// do not overlap. Tables of sequence 0 are the base, under which nothing lies.
//
// Whoever reads a table pins it. A table that was taken out is closed and its file removed when the
// last pin is gone.
#ifndef QUOIT_STORE_SSTABLE_SET_H
#define QUOIT_STORE_SSTABLE_SET_H

#include "base/pool.h"
#include "store/sstable.h"

// More tables than this are neither made nor opened.
enum { SSTABLES_MAX = 2048 };

struct sstable_set;
typedef void sstable_set_event(struct sstable_set *set);
typedef void sstable_set_lost(struct sstable_set *set, uint32_t first, uint32_t last);

struct sstable_set {
    struct env *env;
    struct tlsf *memory;         // of filters and indexes
    sstable_set_event *is_quiet; // set by the owner: no file is being closed any more
    // Set by the owner who forgives: what was in a block of these partitions is there no more.
    sstable_set_lost *lost;
    struct pool pool;
    struct sstable **tables; // by sequence, descending; those of one by partition, ascending
    uint32_t count;
    uint32_t leaving;    // taken out, and not yet gone
    uint64_t generation; // raised by every change: a cursor over the tables begins anew
    uint64_t size;       // bytes of the files
    uint64_t damaged;    // blocks that were found so, ever
    bool forgives;       // damage that is found from now on counts as not there
};

size_t sstable_set_memory_size(void);
void sstable_set_init(struct sstable_set *set, struct arena *arena, struct env *env,
                      struct tlsf *memory);

// NULL when there are too many tables. What is taken is added or given back.
struct sstable *sstable_set_take(struct sstable_set *set);
void sstable_set_give(struct sstable_set *set, struct sstable *t);

// False when the table overlaps another one of its sequence.
bool sstable_set_fits(const struct sstable_set *set, const struct sstable *t);

// Requires that it fits.
void sstable_set_add(struct sstable_set *set, struct sstable *t);

// Takes the table out; its file goes too, once nobody has it pinned.
void sstable_set_remove(struct sstable_set *set, struct sstable *t);

// Leaves to the table only what lies past the partition number; takes it out when that is nothing.
void sstable_set_trim(struct sstable_set *set, struct sstable *t, uint32_t past);

static inline void sstable_pin(struct sstable *t) {
    t->pins++;
}

void sstable_unpin(struct sstable *t);

// Damage is forgiven block by block: who adds up what is there has to know of each that is not.

// Notes that the block cannot be read; logs the first of a table. True when it counts as not there.
bool sstable_note_damage(struct sstable *t, uint32_t block);

// True when the block was found damaged, since the table was opened.
bool sstable_is_bad(const struct sstable *t, uint32_t block);

// True when the block counts as not there, even if by some luck it can be read again.
bool sstable_is_lost(const struct sstable *t, uint32_t block);

// From now on what was found damaged counts as not there, and what will be found, until that ends.
// `lost` is called for the latter alone.
void sstable_set_forgive(struct sstable_set *set);
void sstable_set_end_forgiving(struct sstable_set *set);

// The first table from *index on that covers the partition, or NULL; *index is then past it. From 0
// on, these come newest first.
struct sstable *sstable_set_next(const struct sstable_set *set, uint32_t partition,
                                 uint32_t *index);

// The same for those that may hold what has the hash.
struct sstable *sstable_set_next_holding(const struct sstable_set *set, uint32_t partition,
                                         uint64_t hash, uint32_t *index);

// Closes all tables; their files stay. Calls `is_quiet` when that is done, maybe before it returns.
// Requires that none is pinned.
void sstable_set_close(struct sstable_set *set);

#endif
