// SPDX-License-Identifier: Apache-2.0
//
// tenancy.h -- what must hold of keys while their keyspaces come, change and go.
//
// The memory of what was done to a few keys, and to all at once, and the judge of what is read of
// them. It knows nothing of clusters: only which call began and ended when, and how. All reads and
// writes are at a quorum or more.
//
//     O28 changes of keyspaces lose nothing and bring nothing back: a value that is read
//           a) was written to this key, by a write that began before the read ended and was not
//              answered with "certainly not done";
//           b) was not acknowledged before a flush began that was done before the read began;
//           c) has no successor and no DEL that began after it was acknowledged, and was done
//              before the read began;
//         and d) a write that was done before the read began, and that nothing else can have
//         replaced, is what is read.
//     O29 a change of keyspaces that would move keys, and was done, found none: no key with that
//         prefix was certainly live from its begin to its end.
//
// Whoever drives it has one more part of O29 (steward.h). A write whose outcome is unknown may take
// effect at any time, and a flush likewise, until it is settled.
#ifndef QUOIT_SIM_TENANCY_H
#define QUOIT_SIM_TENANCY_H

#include "sim/oracle.h"

enum { TENANCY_KEYS_MAX = 64, TENANCY_VALUE_MAX = 16 };

struct tenancy_key {
    char name[24];
    uint32_t prefix; // a number of the owner's: what moves together
    uint32_t latest; // of its writes, or ORACLE_NONE
};

// A call, from its begin to its end, in ns. `end` is UINT64_MAX while it may still take effect.
struct tenancy_span {
    uint64_t begin;
    uint64_t end;
    enum outcome outcome;
};

struct tenancy_write {
    struct tenancy_span span;
    uint32_t key;
    uint32_t earlier; // the write of the key that began before, or ORACLE_NONE
    bool is_delete;
};

// How often there was something to judge.
struct tenancy_counts {
    uint64_t reads;
    uint64_t certain; // O28 d: of which it was known what they have to show
    uint64_t flushed; // O28 b: of a key that had a value before a flush
    uint64_t moves;   // O29
};

struct tenancy {
    struct oracle *oracle; // is told of violations
    struct tenancy_key keys[TENANCY_KEYS_MAX];
    uint32_t key_count;
    struct tenancy_write *writes;
    uint32_t write_count;
    struct tenancy_span *flushes;
    uint32_t flush_count;
    struct tenancy_counts counts;
};

void tenancy_init(struct tenancy *t, struct oracle *oracle);
void tenancy_free(struct tenancy *t);

// Returns its number. Requires that there are fewer than TENANCY_KEYS_MAX.
uint32_t tenancy_add_key(struct tenancy *t, const char *name, uint32_t prefix);

// A SET, or a DEL, of the key begins; returns its number.
uint32_t tenancy_begin_write(struct tenancy *t, uint32_t key, bool is_delete, uint64_t now);
void tenancy_end_write(struct tenancy *t, uint32_t write, enum outcome outcome, uint64_t now);

// The value that a SET of that number writes: a word, into TENANCY_VALUE_MAX bytes.
void tenancy_value(uint32_t write, char *to);

// A flush of all keys begins; returns its number.
uint32_t tenancy_begin_flush(struct tenancy *t, uint64_t now);
void tenancy_end_flush(struct tenancy *t, uint32_t flush, enum outcome outcome, uint64_t now);

// From now on no flush whose outcome is unknown takes effect any more.
void tenancy_settle(struct tenancy *t, uint64_t now);

// A read that began then has ended, with this value; data NULL: with none.
void tenancy_judge_read(struct tenancy *t, uint32_t key, uint64_t begin, struct slice value);

// A change that moves the keys with this prefix began then, and is done.
void tenancy_judge_move(struct tenancy *t, uint32_t prefix, uint64_t begin);

#endif
