// SPDX-License-Identifier: Apache-2.0
//
// cli_verify.h -- which slots of which keyspaces differ between the members that have copies.
//
// A look asks all members for the digests of a page of slots at the same time, page by page. While
// writes go on, a copy has some of them a moment before the others, and so a slot differs in a look
// now and then. What a look finds different is therefore looked at again after a pause:
//
//     it was equal in any look             it is the same: what differed was on its way
//     two looks in a row heard the same    it differs
//     else                                 it changes: it differed in each look, and never alike
//
// Digests are what members keep in memory of what they hold: what a disk has spoilt since is not
// noticed until it is read (quoit repair reads it).
#ifndef QUOIT_BIN_CLI_VERIFY_H
#define QUOIT_BIN_CLI_VERIFY_H

#include "bin/cli_members.h"
#include "model/keyspace.h"

enum {
    VERIFY_PAGE_SLOTS = 256,
    VERIFY_PAGE_CELLS = VERIFY_PAGE_SLOTS * KEYSPACES_MAX,
    VERIFY_PAGES = SLOT_COUNT / VERIFY_PAGE_SLOTS,
};

// What one member says of a slot of a keyspace.
struct verify_copy {
    const struct member *member;
    uint64_t digest;
    uint64_t records;
};

struct verify_cell {
    uint32_t count;
    struct verify_copy copies[REPLICAS_MAX];
};

struct verify_difference {
    uint32_t cell; // of a slot and a keyspace
    bool is_steady;
    struct verify_cell said;
};

struct verify {
    struct members members;
    uint64_t epoch; // of the map that all looks so far were about
    uint32_t looks;
    size_t keyspace_count;
    char keyspaces[KEYSPACES_MAX][NAME_SIZE_MAX + 1];
    bool is_done[VERIFY_PAGES]; // all its cells were equal in some look
    uint64_t heard[CELL_COUNT]; // what was different in the latest look, as a number
    bool was_equal[CELL_COUNT]; // in some look
    struct verify_cell page[VERIFY_PAGE_CELLS];
    struct verify_difference *differences; // of the latest look
    size_t difference_count;
    size_t difference_capacity;
    size_t steady_count;
    size_t absent_count; // members that could not be asked for all of the latest look
};

// Looks once at all that was not equal yet. False, and the reason in `problem`: nobody says who the
// members are.
bool verify_look(struct verify *v, char problem[CLI_PROBLEM_MAX + 1]);

void verify_free(struct verify *v);

#endif
