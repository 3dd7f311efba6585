// SPDX-License-Identifier: Apache-2.0
//
// expiry.h -- when, of each cell, something expires next: so that who purges (purge.h) need not
// read what has nothing to purge.
//
// What is noted is never later than what is true. It is in memory alone: after a start nothing is
// known, and each cell is gone through once. Writes note what they bring; when a cell was gone
// through the least of what is there replaces what was noted.
#ifndef QUOIT_NODE_EXPIRY_H
#define QUOIT_NODE_EXPIRY_H

#include "base/arena.h"
#include "model/keyspace.h"
#include "model/record.h"
#include "model/slot.h"

struct node;

struct expiry {
    uint32_t *due;   // of each cell: in seconds since 1970, rounded down; 0: not known
    uint32_t cell;   // being gone through
    uint32_t lowest; // of what was found there, and was written since
};

size_t expiry_memory_size(void);
void expiry_init(struct expiry *e, struct arena *arena);

// A record is being written.
void expiry_note(struct node *node, struct partition partition, const struct record *r);

// Whether something of the cell may have expired by then.
bool expiry_is_due(const struct expiry *e, uint32_t cell, uint64_t ms);

// Going through a cell, from its first record to its last.
void expiry_begin(struct expiry *e, uint32_t cell);
void expiry_see(struct expiry *e, const struct record *r);
void expiry_end(struct expiry *e);

#endif
