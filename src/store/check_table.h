// SPDX-License-Identifier: Apache-2.0
//
// check_table.h -- one table, looked at from its first byte to its last.
//
//     load (footers, filter, index) -> partitions -> blocks, many at a time -> done
//
// Each block is opened as readers do, and each of its entries is held against what the table says
// of it elsewhere: its place in the order, the restarts of its block, the separators of the index,
// the filter, the sums of its partition and of the footer.
#ifndef QUOIT_STORE_CHECK_TABLE_H
#define QUOIT_STORE_CHECK_TABLE_H

#include "model/record.h"
#include "store/block.h"
#include "store/compress.h"
#include "store/findings.h"
#include "store/keyspaces.h"
#include "store/sstable.h"

struct table_check;
typedef void table_checked(struct table_check *c);

struct table_check {
    struct env *env; // set by the owner, like all up to done
    struct tlsf *memory;
    struct compressor *compressor;
    struct findings *findings;
    struct record *scratch;
    uint8_t *bytes;      // for what is read: TABLE_CHECK_READ bytes, and the largest block
    uint8_t *raw;        // for a block
    uint32_t raw_size;   // bytes of the largest block
    uint32_t parts_size; // bytes for what the table says of its partitions
    table_checked *done;

    // Results.
    bool is_loaded; // its file is open, its index in memory
    bool is_whole;  // no record is missing that counts

    struct sstable_loader loader;
    struct sstable *table;
    struct env_op op;
    uint8_t *parts; // partitions, as they lie in the file
    uint32_t part_count;
    uint32_t part; // the next of them
    bool has_parts;
    bool is_counted; // no block is missing so far
    uint32_t block;  // the first of those read, and
    uint32_t alone;  // blocks to be read one by one, as together they cannot be
    uint32_t end;    // past the last
    struct block_cursor cursor;
    uint8_t *key;
    uint8_t *last; // the last key
    size_t last_size;
    struct sstable_partition sum; // of the partition gone through; no keys: of none
    struct footer seen;           // what the footer should say
    uint64_t removed_count;       // removed keys, if there should be none
    uint64_t unfiltered_count;    // keys that the filter denies
    struct stretch bad;           // blocks, one after the other, not told yet
    const char *complaint;        // of the first of them
};

enum { TABLE_CHECK_READ = 1024 * 1024 };

// `keyspaces_max`: of more in one table, what it says of partitions is not compared.
size_t table_check_memory_size(uint32_t record_size_max, uint32_t keyspaces_max);
void table_check_init(struct table_check *c, struct arena *arena, uint32_t record_size_max,
                      uint32_t keyspaces_max);

// Looks at a table, of which number, sequence, first and last are set.
void table_check_start(struct table_check *c, struct sstable *t, uint64_t storage);

// NULL, or what is wrong with what a partition has of a key (empty: it was removed).
const char *check_flaw(struct record *scratch, struct partition partition, struct slice record);

#endif
