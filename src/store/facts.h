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
#include "store/keyspaces.h"
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
    struct keyspaces *keyspaces;       // borrowed
    struct part_facts *parts;          // KEYSPACE_PARTS of each index
    struct part_facts totals;          // of all partitions; no leaves
    uint64_t changes[SLOT_GROUPS + 1]; // of sums of each group of slots, and of the system's
    uint32_t part_end;                 // from here on all are zero
};

size_t facts_memory_size(uint32_t keyspaces_max);
void facts_init(struct facts *f, struct arena *arena, struct keyspaces *keyspaces);

// Takes an index for the keyspace, if it has none. False, and no change: there is none left.
NODISCARD bool facts_change(struct facts *f, struct partition partition, struct slice key,
                            const struct footprint *old, const struct footprint *new);

void part_facts_change(struct part_facts *part, struct slice key, const struct footprint *old,
                       const struct footprint *new);

// What a partition adds up to is that from now on. False, and no change: it has keys, and there is
// no index left for its keyspace.
NODISCARD bool facts_replace(struct facts *f, struct partition partition,
                             const struct part_facts *sum);

// Forgets all that the keyspace adds up to, but for the node's own partition.
void facts_drop(struct facts *f, uint16_t keyspace);

// The leaf to which the key is dealt.
uint32_t facts_leaf_of(struct slice key);

// Forgets everything.
void facts_clear(struct facts *f);

// Sum of the digests of all partitions.
uint64_t facts_digest(const struct facts *f);

// Lends the sums of a partition, until they change; of a keyspace without an index, zeros.
const struct part_facts *facts_part(const struct facts *f, struct partition partition);

struct store_partition facts_of(const struct facts *f, struct partition partition);

// The bytes of all sums: for each partition that has keys
//
//     u32 number | u64 keys | u64 live keys | u64 bytes | STORE_LEAVES times u64
size_t facts_encoded_size_max(uint32_t keyspaces_max);
size_t facts_encoded_size(const struct facts *f);
void facts_encode(const struct facts *f, struct writer *w);

// What was dropped is left out. ST_CORRUPT, and no facts, when the bytes are not that;
// ST_TOO_LARGE: of more keyspaces than there are indexes for.
NODISCARD enum status facts_decode(struct facts *f, struct slice bytes);

// The same from the bytes of the file of that number, which has at most so many.
#define FACTS_PREFIX SLICE("facts-")
size_t facts_file_size_max(uint32_t keyspaces_max);
NODISCARD enum status facts_open(struct facts *f, uint64_t storage, uint32_t number,
                                 struct slice file);

#endif
