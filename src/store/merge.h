// SPDX-License-Identifier: Apache-2.0
//
// merge.h -- the records of several tables in order, each key once: that of the newest table.
//
//     table 9   a     c     e          merge: a of 9, b of 8, c of 9, d of 0, e of 9
//     table 8      b  c
//     table 0   a  b  c  d
//
// Each source reads its table in pieces as large as its buffer allows, so that long runs are read
// fast. All buffers come from the memory that the tables share, and grow for a block that is
// larger.
//
//     begin -> next: RECORD, RECORD, ... LOADING -> (ready) -> next ... END -> end
#ifndef QUOIT_STORE_MERGE_H
#define QUOIT_STORE_MERGE_H

#include "store/block.h"
#include "store/block_read.h"
#include "store/compress.h"
#include "store/sstable_set.h"

enum { MERGE_SOURCES_MAX = 64 };

enum merge_step { MERGE_RECORD, MERGE_LOADING, MERGE_END, MERGE_FAILED };

struct merge;
typedef void merge_ready(struct merge *m);

struct source {
    struct merge *merge;
    struct sstable *table; // pinned
    struct block_read read;
    uint32_t bytes_block; // of memory: what was read
    uint32_t raw_block;   // what was decompressed
    uint32_t key_block;
    uint32_t capacity;
    uint32_t raw_capacity;
    uint32_t key_capacity;
    uint32_t first; // block of the table at the start of the bytes
    uint32_t block; // being gone through
    uint32_t end;   // past the last in the bytes
    uint32_t alone; // so many are to be read one by one, as together they cannot be
    struct block_cursor cursor;
    bool is_seeking; // its first block is being read
    bool is_open;    // the cursor is in the block
    bool is_over;
};

struct merge {
    struct env *env; // set by the owner, like all up to ready
    struct tlsf *memory;
    struct compressor *compressor;
    merge_ready *ready;
    uint32_t read_size; // bytes to read at once, where blocks are not larger
    uint8_t *seek;      // FULL_KEY_MAX + 1 bytes for the key at which it begins
    uint32_t last;      // partition number: nothing past it, or in reverse before it, is wanted
    bool skips_damage;  // leaves damaged blocks out, instead of failing
    bool is_reverse;    // goes backwards

    struct source sources[MERGE_SOURCES_MAX]; // newest first
    uint32_t count;
    uint32_t heap[MERGE_SOURCES_MAX]; // sources at a record, the least first
    uint32_t heap_count;
    uint32_t waiting; // sources that have to be loaded or are being
    bool is_stepping; // the first of the heap was given out
    enum status status;
    uint64_t read; // bytes, since the owner set it to 0
    size_t seek_size;
    bool is_seek_inclusive; // of reverse

    struct slice key;    // full; of the record given out: lent, like
    struct slice record; // this, until the next step
};

// Begins without sources.
void merge_begin(struct merge *m, uint32_t last);

// Adds a source that is older than all others. ST_BUSY: there are too many. Pins the table.
NODISCARD enum status merge_add(struct merge *m, struct sstable *t);

// Begins at the first record that is not before the key, or past it. To be called once, after the
// sources were added.
void merge_seek(struct merge *m, struct partition partition, struct slice key, bool is_past);

// The same backwards: at the last record that is before the key, or, inclusive, has it; without a
// key, at the last of the partition. Requires that all sources cover the partition.
void merge_seek_back(struct merge *m, struct partition partition, struct slice key,
                     bool is_inclusive);

// The next record. MERGE_LOADING: `ready` will be called, and then it is to be asked again;
// MERGE_FAILED: for the reason in `status`.
enum merge_step merge_next(struct merge *m);

// True when nothing is being read, so that merge_end is allowed.
static inline bool merge_is_quiet(const struct merge *m) {
    return m->waiting == 0;
}

// Gives back memory and pins.
void merge_end(struct merge *m);

#endif
