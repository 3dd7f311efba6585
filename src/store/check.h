// SPDX-License-Identifier: Apache-2.0
//
// check.h -- what is wrong with the files of a store that is closed.
//
// Every byte that anybody will ever read is looked at by the code that will read it, and compared
// with whatever else says the same:
//
//     manifest   both copies; left-over files, and files that it names and that are not there
//     facts      the sums of every partition, against the tables added up
//     log        what the next start will make of it (recovery.h), every record
//     tables     footers, filter, index, partitions; every block, its order, its restarts; what the
//                filter, the index, the partitions and the footer say, against the entries
//
// Files of snapshots are further names of others, or are kept for whoever restores them: they are
// counted, and not looked at. Nothing is ever written. Files are read from one end to the other,
// the small tables above the base twice; memory is bounded, whatever their size.
//
//     start -> (found, found, ...) -> done
#ifndef QUOIT_STORE_CHECK_H
#define QUOIT_STORE_CHECK_H

#include "base/arena.h"
#include "env/env.h"

struct check;

// What follows from a finding.
enum check_meaning {
    CHECK_LOST,     // records are lost here: with peers they are fetched, alone they are gone
    CHECK_MENDED,   // something else says the same: the store mends or goes without it
    CHECK_HARMLESS, // nobody will miss it: left over, or never promised
};

struct check_finding {
    const char *file; // its name, like all that is here lent for the call
    uint64_t offset;
    uint64_t size; // bytes from there; 0: it is about the place, or the whole file
    const char *what;
    enum check_meaning meaning;
};

struct check_counts {
    uint64_t files;
    uint64_t bytes;     // read so far, what is read twice once
    uint64_t records;   // in log and tables, with those that were removed or replaced
    uint64_t tables;    // looked at, like
    uint64_t segments;  // these
    uint64_t damaged;   // findings, all but the harmless
    uint64_t left_over; // files
    uint64_t snapshots; // files of snapshots, which are not looked at
};

struct check_options {
    uint64_t memory_max;      // bytes for filters and indexes, at most STORE_MEMORY_MAX
    uint32_t record_size_max; // bytes of the largest record that can be looked at
    uint32_t keyspaces_max;   // of which the sums can be compared, from 1 on
};

typedef void check_found(void *context, const struct check_finding *finding);

// ST_OK: all was looked at, whatever was found. Else the directory could not be read.
typedef void check_done(void *context, enum status status);

size_t check_memory_size(const struct check_options *options);
struct check *check_create(struct arena *arena, struct env *env,
                           const struct check_options *options);

// Looks at the files of the env, once. Nobody else may write them meanwhile.
void check_start(struct check *check, check_found *found, check_done *done, void *context);

struct check_counts check_counts(const struct check *check);

// Lends a constant word or two.
const char *check_meaning_text(enum check_meaning meaning);

#endif
