// SPDX-License-Identifier: Apache-2.0
//
// expiry.h -- when, of each cell, something expires next, and whether there is anything that goes
// by the word of all members only: so that who purges (purge.h) need not read what has nothing to
// purge.
//
// What is noted is never later than what is true, nor less. It is in memory alone: after a start
// nothing is known, and each cell is gone through once; likewise when the map names another disk,
// since what the former one has minted is no replica's from then on. Writes note what they bring;
// when a cell was gone through what is there replaces what was noted.
#ifndef QUOIT_NODE_EXPIRY_H
#define QUOIT_NODE_EXPIRY_H

#include "base/arena.h"
#include "model/keyspace.h"
#include "model/record.h"
#include "model/slot.h"

struct map;
struct node;

struct expiry {
    uint32_t *due;      // of each cell: in seconds since 1970, rounded down; 0: not known
    uint8_t *take_all;  // cells with something that takes the word of all: base/bitmap.h
    uint32_t cell;      // being gone through
    uint32_t lowest;    // of what was found there, and was written since
    bool has_taken_all; // something of that was of the latter kind
};

size_t expiry_memory_size(void);
void expiry_init(struct expiry *e, struct arena *arena);

// A record is being written.
void expiry_note(struct node *node, struct partition partition, const struct record *r);

// Whether something of the cell may have expired by then.
bool expiry_is_due(const struct expiry *e, uint32_t cell, uint64_t ms);

// Whether something of the cell may go by the word of all members (purge_takes_all).
bool expiry_takes_all(const struct expiry *e, uint32_t cell);

// Going through a cell, from its first record to its last.
void expiry_begin(struct expiry *e, uint32_t cell);
void expiry_see(struct node *node, struct partition partition, const struct record *r);
void expiry_end(struct expiry *e);

// The map has changed from what it was. Where another disk has taken the place of one nothing is
// known any more.
void expiry_on_map(struct node *node, const struct map *former);

#endif
