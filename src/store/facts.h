// SPDX-License-Identifier: Apache-2.0
//
// facts.h -- what each partition adds up to: counts, bytes, and digests under a small tree.
//
// Every change of a record takes away what the old record had added and adds the new one. That is
// its footprint; the log carries the old one beside the new record, so a replay needs no look at
// old records, and the sums belong to a position of the log as exactly as the records do.
//
// The tree of a partition has one level: the sum of all digests, and under it as many sums as there
// are leaves, to which keys are dealt by their hash. Sums of keyed 64-bit numbers can be added to
// and taken from in any order, and two equal records in one leaf do not cancel each other.
#ifndef QUOIT_STORE_FACTS_H
#define QUOIT_STORE_FACTS_H

#include "base/arena.h"
#include "base/codec.h"
#include "model/record.h"
#include "store/full_key.h"
#include "store/store.h"

// What a record adds to its partition.
struct footprint {
    uint64_t digest;
    uint32_t size; // bytes of key and record; 0: there is no record
    bool is_live;  // some sibling is no tombstone
};

enum { FOOTPRINT_SIZE = 1 + 4 + 8 };

// `scratch` is for looking into the record. An empty record has no footprint. A node's own facts
// are always live.
struct footprint footprint_of(struct record *scratch, struct partition partition, struct slice key,
                              struct slice record);

// Writes FOOTPRINT_SIZE bytes.
uint8_t *footprint_store(uint8_t *to, const struct footprint *f);
NODISCARD bool footprint_load(struct reader *r, struct footprint *f);

struct part_facts {
    uint64_t key_count;
    uint64_t live_count;
    uint64_t size;
    uint64_t leaves[STORE_LEAVES];
};

struct facts {
    struct part_facts *parts; // SLOT_COUNT and SLOT_SYSTEM
    struct part_facts totals; // of all partitions; no leaves
    bool is_in_use;           // else all are zero
};

size_t facts_memory_size(void);
void facts_init(struct facts *f, struct arena *arena);

void facts_change(struct facts *f, struct partition partition, struct slice key,
                  const struct footprint *old, const struct footprint *new);

void part_facts_change(struct part_facts *part, struct slice key, const struct footprint *old,
                       const struct footprint *new);

// What a partition adds up to is that from now on.
void facts_replace(struct facts *f, struct partition partition, const struct part_facts *sum);

// Forgets everything.
void facts_clear(struct facts *f);

// Sum of the digests of all partitions.
uint64_t facts_digest(const struct facts *f);

struct store_partition facts_of(const struct facts *f, struct partition partition);

// The bytes of all sums: for each partition that has keys
//
//     u32 number | u64 keys | u64 live keys | u64 bytes | STORE_LEAVES times u64
size_t facts_encoded_size_max(void);
void facts_encode(const struct facts *f, struct writer *w);

// ST_CORRUPT, and no facts, when the bytes are not that.
NODISCARD enum status facts_decode(struct facts *f, struct slice bytes);

// The same from the bytes of the file of that number, which has at most so many.
#define FACTS_PREFIX SLICE("facts-")
size_t facts_file_size_max(void);
NODISCARD enum status facts_open(struct facts *f, uint64_t storage, uint32_t number,
                                 struct slice file);

#endif
