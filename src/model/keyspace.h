// SPDX-License-Identifier: Apache-2.0
//
// keyspace.h -- what all keys with one prefix have in common.
//
// A key belongs to the keyspace whose name is the text before its first ':'; a hash tag that stands
// before that, as in "{tag}:name:rest", is passed over. A key without such a prefix, or with one
// that nobody has defined, belongs to `default`.
//
// Definitions are part of the map, so that all members agree on them. They stand in a table of
// KEYSPACES_MAX places; `default` is at place 0. A keyspace keeps its place as long as it exists.
// Beside it has a number, which no other keyspace ever had or will have: data on disk is told apart
// by it. When all keys of a keyspace are dropped at once it goes on under a new number, and
// whatever still speaks of the old one comes too late.
#ifndef QUOIT_MODEL_KEYSPACE_H
#define QUOIT_MODEL_KEYSPACE_H

#include "base/codec.h"
#include "model/level.h"

enum {
    // Each costs a store the sums of its partitions in memory, whether it has keys or not.
    KEYSPACES_MAX = 8,
    KEYSPACE_DEFAULT = 0, // its place
};

enum keyspace_state {
    KEYSPACE_FREE,   // nothing stands in this place
    KEYSPACE_ACTIVE, // takes reads and writes
    KEYSPACE_COMING, // takes none yet: it is being seen whether its keys are elsewhere
    KEYSPACE_GOING,  // takes none any more: it is being seen whether it has keys
};

enum keyspace_conflict {
    CONFLICT_SIBLINGS, // concurrent values are all kept and shown, until a client resolves them
    CONFLICT_LWW,      // the latest of them counts, and the next write does away with the others
};

// How members compress what they have of it on disk.
enum keyspace_compression {
    COMPRESSION_UNSET, // each as it is configured
    COMPRESSION_NONE,
    COMPRESSION_LZ4,
    COMPRESSION_ZSTD,
};

struct keyspace {
    enum keyspace_state state;
    enum keyspace_conflict conflict;
    enum keyspace_compression compression;
    uint16_t number;
    uint32_t replication; // copies wanted; a key has as many, or as many as its run has replicas
    struct level read;    // unset: as the member that is asked is configured; like
    struct level write;
    uint64_t ttl_ms; // of values that are written without a time of their own; 0: they stay
    char name[NAME_SIZE_MAX + 1];
};

// A cell is what one keyspace has of one slot. Scans go through the cells in order; those of one
// slot stand together.
enum { CELL_COUNT = SLOT_COUNT * KEYSPACES_MAX };

static inline uint32_t cell_of(uint32_t slot, uint32_t place) {
    return slot * KEYSPACES_MAX + place;
}

static inline uint32_t cell_slot(uint32_t cell) {
    return cell / KEYSPACES_MAX;
}

static inline uint32_t cell_place(uint32_t cell) {
    return cell % KEYSPACES_MAX;
}

// The name of the keyspace that the key would belong to: a view of the key; empty: no other than
// `default`, whatever is defined.
struct slice keyspace_prefix(struct slice key);

// Which keyspace the key belongs to: its place in the table. If two have the name (one is going,
// the other coming), the first.
uint32_t keyspace_of_key(const struct keyspace table[KEYSPACES_MAX], struct slice key);

// The place of the keyspace with that name, or KEYSPACES_MAX; an empty place has none.
uint32_t keyspace_find(const struct keyspace table[KEYSPACES_MAX], struct slice name);

// The place of the keyspace with that number, or KEYSPACES_MAX.
uint32_t keyspace_find_number(const struct keyspace table[KEYSPACES_MAX], uint16_t number);

// An empty place, or KEYSPACES_MAX.
uint32_t keyspace_find_free(const struct keyspace table[KEYSPACES_MAX]);

// The bytes of a table:
//
//     u8 count, for each place that is not empty, ascending:
//     u8 place | u8 state | u8 conflict | u16 number | u8 replication | u8 kind and u8 count of the
//     level of reads, and of writes | u64 ttl | u8 compression | u8 size, name
//
// The compression stands there only if some keyspace sets one: else the bytes are those that were
// written before there was such a thing.
bool keyspaces_have_compression(const struct keyspace table[KEYSPACES_MAX]);
size_t keyspaces_encoded_size(const struct keyspace table[KEYSPACES_MAX]);
void keyspaces_encode(const struct keyspace table[KEYSPACES_MAX], struct writer *w);

// Fails the reader on what is no table: one without `default`, with names or numbers that stand
// twice (but for a going and a coming one of a name), or with levels that nothing keeps or that ask
// for more copies than there are. `has_compression`: it stands in the bytes.
void keyspaces_decode(struct keyspace table[KEYSPACES_MAX], bool has_compression, struct reader *r);

// What is wrong with a definition; NULL: nothing.
const char *keyspace_flaw(const struct keyspace *k);

// "ACTIVE", "COMING", "GOING"; "SIBLINGS", "LWW"; "configuration", "none", "lz4", "zstd".
const char *keyspace_state_text(enum keyspace_state state);
const char *keyspace_conflict_text(enum keyspace_conflict conflict);
const char *keyspace_compression_text(enum keyspace_compression compression);

#endif
