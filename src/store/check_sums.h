// SPDX-License-Identifier: Apache-2.0
//
// check_sums.h -- the facts of every partition against the tables added up.
//
// What a partition adds up to is what the newest record of each of its keys adds, so the tables are
// merged, stretch by stretch: those above the base with one table of the base at a time. Keys that
// the log has written since are left out, on both sides.
//
//     init -> (stretch -> done)* up to the last partition
#ifndef QUOIT_STORE_CHECK_SUMS_H
#define QUOIT_STORE_CHECK_SUMS_H

#include "store/facts.h"
#include "store/findings.h"
#include "store/key_set.h"
#include "store/merge.h"

struct sum_check;
typedef void sums_checked(struct sum_check *c);

struct sum_check {
    struct findings *findings; // set by the owner, like all up to done
    const struct facts *facts;
    const struct key_set *written; // the keys that are left out
    struct record *scratch;
    sums_checked *done;
    struct merge merge; // env and memory of it too

    const char *file; // that the facts are of
    uint64_t storage;
    uint64_t next;         // number of a partition, the first that was not compared yet
    struct part_facts sum; // of that
    bool has_failed;       // there is nothing more to compare with
};

size_t sum_check_memory_size(void);
void sum_check_init(struct sum_check *c, struct arena *arena);

// Begins at the first partition. Borrows the name of the file for findings.
void sum_check_begin(struct sum_check *c, const char *file, uint64_t storage);

// Goes on, up to the partition `last`, with all tables of the set above the base whose file is
// open, and with one of the base, or NULL. Calls `done`.
void sum_check_stretch(struct sum_check *c, const struct sstable_set *set, struct sstable *base,
                       uint32_t last);

#endif
