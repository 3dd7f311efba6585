// SPDX-License-Identifier: Apache-2.0
//
// sstable_format.h -- the bytes of a table: sorted records that never change.
//
// The files are called `table-` and their number (file_name.h).
//
//     table  = block, block, ... | filter | index | partitions | footer | the same footer again
//
// All but the footers are pieces. A piece begins at a multiple of 16 bytes, and its checksum is
// bound to the table and to its place, so bytes of another file or another place do not pass:
//
//     piece  = u32 size | u32 raw size, and in its upper 4 bits the codec | u64 checksum
//              | size bytes | zeros up to a multiple of 16
//
// A block holds entries (block.h) and may be compressed. The filter is that of filter.h, over all
// keys and, so that a table can say that it has nothing of a partition, over all partitions. The
// index lies in memory as it lies in the file:
//
//     index      = u32 count n | n + 1 times u32 offset of a block, in units of 16 bytes
//                  | n + 1 times u32 offset of a separator | separators
//     partitions = for each: u32 number, u32 first block, u64 keys, u64 bytes, u64 digest
//
// A separator is past every key of the block before and not past the first of its own; as short as
// that allows.
#ifndef QUOIT_STORE_SSTABLE_FORMAT_H
#define QUOIT_STORE_SSTABLE_FORMAT_H

#include "base/status.h"
#include "store/file_name.h"
#include "store/full_key.h"
#include "store/store.h"

enum {
    SSTABLE_VERSION = 2,
    SSTABLE_UNIT = 16,
    PIECE_HEAD = 16,
    PIECE_CODEC_SHIFT = 28,
    PIECE_RAW_MAX = (1 << PIECE_CODEC_SHIFT) - 1,
    FOOTER_SIZE = 128,
    SSTABLE_TAIL = 2 * FOOTER_SIZE,
    SSTABLE_PARTITION_SIZE = 32,
};

// The size of a table stays below this: blocks are found by a 32-bit number of units.
#define SSTABLE_SIZE_MAX (UINT64_C(48) << 30)

#define SSTABLE_PREFIX SLICE("table-")

// Pieces.

struct piece {
    uint32_t size; // bytes stored
    uint32_t raw_size;
    enum codec codec;
};

static inline uint64_t piece_size_of(uint64_t stored_size) {
    return (PIECE_HEAD + stored_size + SSTABLE_UNIT - 1) / SSTABLE_UNIT * SSTABLE_UNIT;
}

// The first version of tables in which pieces may be in the codec.
static inline uint32_t piece_version(const struct piece *p) {
    return p->codec == CODEC_ZSTD ? 2 : 1;
}

// Which table of which store: what checksums are bound to.
uint64_t sstable_id(uint64_t storage, uint32_t number);

// Seals the piece that begins at `bytes` and whose content is in place behind the head; fills up
// with zeros. `offset` is that of the piece in the file. Returns piece_size_of(p->size).
uint64_t piece_seal(uint64_t id, uint64_t offset, const struct piece *p, uint8_t *bytes);

// Reads the piece at the start of the bytes, which are those of `offset` in the file. Lends its
// content, still compressed. ST_CORRUPT: it is none.
NODISCARD enum status piece_open(uint64_t id, uint64_t offset, struct slice bytes, struct piece *p,
                                 struct slice *content);

// The index.

struct sstable_index {
    const uint8_t *bytes; // borrowed
    size_t size;
    uint32_t count; // of blocks
};

// Checks the bytes of an index. ST_CORRUPT: they are none.
NODISCARD enum status index_open(struct sstable_index *index, struct slice bytes);

static inline size_t index_head_size(uint32_t count) {
    return sizeof(uint32_t) * (1 + 2 * ((size_t)count + 1));
}

// Where the block begins in the file; the end of the last for `count`.
uint64_t index_offset(const struct sstable_index *index, uint32_t block);
struct slice index_separator(const struct sstable_index *index, uint32_t block);

// The block in which the full key is if the table has it, as the first that can hold a key not
// before it. A key before all separators belongs to block 0.
uint32_t index_find(const struct sstable_index *index, struct slice full_key);

// Footers.

struct footer {
    uint32_t version; // the least that its pieces allow, so that older programs read what they can
    uint32_t number;
    uint64_t storage;
    uint64_t key_count; // entries, removals included
    uint64_t data_size; // bytes of keys and records
    uint64_t filter_offset;
    uint64_t index_offset;
    uint64_t partitions_offset;
    uint64_t end;   // of the pieces: where the footers begin
    uint32_t first; // partition numbers
    uint32_t last;
    uint32_t block_max; // bytes of the largest block before compression
};

void footer_encode(const struct footer *f, uint8_t to[SSTABLE_TAIL]);

// From the last SSTABLE_TAIL bytes of a file. ST_INVALID: of another version; ST_CORRUPT: none of
// the two is a footer. *good: how many are.
NODISCARD enum status footer_decode(struct slice tail, struct footer *f, uint32_t *good);

struct sstable_partition {
    uint32_t number;
    uint32_t first_block;
    uint64_t key_count;
    uint64_t size;
    uint64_t digest; // sum of record_digest
};

uint8_t *sstable_partition_store(uint8_t *to, const struct sstable_partition *p);
struct sstable_partition sstable_partition_load(const uint8_t *from);

#endif
