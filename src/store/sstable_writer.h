// SPDX-License-Identifier: Apache-2.0
//
// sstable_writer.h -- makes a table of records that come in order.
//
//     open -> add ... -> (write, when is_full) -> add ... -> finish -> take
//                                                     any of them -> abandon
//
// Each arrow but `add` ends in a callback, one at a time. What was written has a name and is forced
// to disk when `finish` calls back, but only a manifest that names it makes it part of the store.
//
// A failure sticks: `status` says what went wrong, adding does nothing any more, and all that is
// left is to abandon.
#ifndef QUOIT_STORE_SSTABLE_WRITER_H
#define QUOIT_STORE_SSTABLE_WRITER_H

#include "store/block.h"
#include "store/compress.h"
#include "store/sstable.h"

struct sstable_writer;
typedef void sstable_written(struct sstable_writer *w);

// What grows while a table is written, in a block of a struct tlsf.
struct vector {
    uint32_t block;
    uint32_t size; // bytes
    uint32_t capacity;
};

struct sstable_plan {
    uint32_t number;
    uint64_t storage;
    uint64_t sequence;
    uint64_t hash_seed;  // for the filter
    uint64_t key_count;  // about so many keys will come
    uint32_t block_size; // bytes of a block before compression, unless one record is larger
};

// Where filters and indexes have much of their memory, blocks become larger and so fewer: up to so
// many times the size that was planned.
enum { BLOCK_GROWTH = 4 };

enum writer_state {
    WRITER_FREE,
    WRITER_BUSY, // a request is under way
    WRITER_OPEN, // takes records
    WRITER_DONE, // can be taken
};

struct sstable_writer {
    struct env *env;
    struct tlsf *memory;
    struct compressor *compressor;
    sstable_written *done;
    enum writer_state state;
    enum status status;
    bool is_needed; // what is abandoned
    struct sstable_plan plan;
    uint64_t id;
    struct env_op op;
    struct env_file *file;
    char name[FILE_NAME_SIZE];

    struct block_builder builder;
    uint8_t *raw;  // of the block being built
    uint8_t *last; // the key added last
    uint8_t *full; // a full key
    uint8_t *out;  // pieces to be written
    size_t out_capacity;
    size_t out_size;
    uint64_t offset; // in the file, of `out`
    uint64_t synced; // of it, what is forced to disk
    size_t block_max;
    size_t before_size; // bytes of `last` when the last block ended
    uint16_t keyspace;  // of the record added last, and
    enum codec codec;   // in which its blocks are: one for each keyspace of a table

    struct filter filter;
    uint32_t filter_block;
    uint8_t *filter_piece;
    struct vector units;                // of the blocks
    struct vector places;               // of their separators
    struct vector separators;           // one after the other
    struct vector partitions;           // behind room for the head of a piece
    struct sstable_partition partition; // being written; no keys: none
    uint32_t index_block;
    uint8_t *index_piece;
    size_t index_size;
    struct footer footer;
};

size_t sstable_writer_memory_size(uint32_t record_size_max);

// Takes its buffers from the arena; what it makes of a table in memory comes from `memory`. Borrows
// the compressor.
void sstable_writer_init(struct sstable_writer *w, struct arena *arena, struct env *env,
                         struct tlsf *memory, struct compressor *compressor,
                         uint32_t record_size_max);

// Creates the file. Requires WRITER_FREE.
void sstable_writer_open(struct sstable_writer *w, const struct sstable_plan *plan,
                         sstable_written *done);

// Adds a record past all others; an empty one says that the key was removed. `digest` is that of
// the record, 0 for a removal. Requires WRITER_OPEN and not is_full.
void sstable_writer_add(struct sstable_writer *w, struct partition partition, struct slice key,
                        struct slice record, uint64_t digest);

// True when what was gathered has to be written first.
bool sstable_writer_is_full(const struct sstable_writer *w);
void sstable_writer_write(struct sstable_writer *w, sstable_written *done);

// Bytes of the file so far.
uint64_t sstable_writer_size(const struct sstable_writer *w);

static inline uint64_t sstable_writer_key_count(const struct sstable_writer *w) {
    return w->footer.key_count;
}

// Completes the table. Requires at least one record. Calls back with WRITER_DONE, or a failure.
void sstable_writer_finish(struct sstable_writer *w, sstable_written *done);

// Hands the table over, open. Requires WRITER_DONE; the writer is free then.
void sstable_writer_take(struct sstable_writer *w, struct sstable *t);

// Closes the file, whatever became of it, and removes it unless it may be needed; calls back with
// WRITER_FREE. Requires that no request is under way.
void sstable_writer_abandon(struct sstable_writer *w, bool is_needed, sstable_written *done);

#endif
