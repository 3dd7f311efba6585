// SPDX-License-Identifier: Apache-2.0
//
// sstable.h -- a table that can be read: its file, and its filter and index in memory.
//
// Blocks are not kept; whoever wants one reads it (block_read.h). What is in memory of a table
// comes from a struct tlsf that the tables of a store share.
//
// Of a table only the partitions from `first` to `last` count: what lies outside was taken over by
// other tables while this one was merged away.
#ifndef QUOIT_STORE_SSTABLE_H
#define QUOIT_STORE_SSTABLE_H

#include "base/tlsf.h"
#include "env/env.h"
#include "store/block_read.h"
#include "store/filter.h"
#include "store/sstable_format.h"

struct sstable {
    uint32_t number;
    uint32_t first; // partition numbers
    uint32_t last;
    uint32_t whole_first; // before anything was taken away
    uint32_t pins;
    uint64_t sequence; // of two tables with one key, the one with the higher has the newer record
    uint64_t id;       // what checksums are bound to
    uint64_t size;     // bytes of the file
    uint64_t key_count;
    uint64_t data_size; // bytes of keys and records
    uint32_t block_max; // bytes of the largest block before compression
    struct env_file *file;
    struct filter filter; // no lines: damaged, so anything may be here
    struct sstable_index index;
    uint32_t filter_block; // in the struct tlsf
    uint32_t index_block;
    uint32_t marks_block;    // of blocks that cannot be read, once there is one
    uint32_t bad_count;      // of these
    uint32_t forgiven_count; // of these, those of which what was in them counts as not there
    bool is_damaged;         // some block cannot be read, and
    bool is_forgiven;        // all that cannot count as not there
    bool is_dropped;         // to be closed and removed once nobody has it pinned
    struct sstable_set *set;
    struct env_op op;          // of closing, like
    char name[FILE_NAME_SIZE]; // this
};

static inline bool sstable_covers(const struct sstable *t, uint32_t partition) {
    return partition >= t->first && partition <= t->last;
}

// About how much of an amount that the whole table has lies in these partitions.
uint64_t sstable_share(const struct sstable *t, uint64_t amount, uint32_t from, uint32_t to);

// A partition number that is not past any in the block, nor before any in the block before it.
uint32_t sstable_block_first(const struct sstable *t, uint32_t block);

static inline bool sstable_may_hold(const struct sstable *t, uint64_t hash) {
    return t->filter.line_count == 0 || filter_may_hold(&t->filter, hash);
}

// A piece in memory lies in a block of the struct tlsf so that its content is aligned to 64 bytes
// and its head stands before that. Room for the zeros behind it included; NULL when memory is full.
uint8_t *piece_take(struct tlsf *memory, uint64_t size, uint32_t *block);

void sstable_give_memory(struct tlsf *memory, struct sstable *t);

// Reading what was written earlier.

struct sstable_loader;
typedef void sstable_loaded(struct sstable_loader *loader, enum status status);

struct sstable_loader {
    struct env *env; // set by the owner, like all up to storage
    struct tlsf *memory;
    sstable_loaded *done;
    uint64_t storage;
    uint32_t block_max;    // bytes of the largest block before compression that is wanted
    struct sstable *table; // from its set; number, sequence, first and last are set by the caller
    uint32_t good_footers; // result, like
    const char *part;      // this: what of the table it was that failed

    struct env_op op;
    struct block_read read;
    char name[FILE_NAME_SIZE]; // of the file
    uint8_t tail[SSTABLE_TAIL];
    struct footer footer;
    enum status status;
};

// Opens the table and reads filter and index. ST_OK: it can be used, maybe without its filter.
// ST_CORRUPT, ST_NOT_FOUND: its data is lost. ST_NO_MEMORY: there is too little memory.
// ST_TOO_LARGE: it has a larger block. On failure
// the file is closed and nothing of the memory in use.
void sstable_load(struct sstable_loader *l);

#endif
