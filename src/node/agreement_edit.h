// SPDX-License-Identifier: Apache-2.0
//
// agreement_edit.h -- what each change makes of the table of keyspaces: on a map alone.
#ifndef QUOIT_NODE_AGREEMENT_EDIT_H
#define QUOIT_NODE_AGREEMENT_EDIT_H

#include "node/node.h"

// Makes the change on the next map. False, with the outcome set and the map as it was: it cannot be
// made.
bool agreement_edit(struct keyspace_change *change, struct map *next);

// Ends all that comes and goes. Bit i of `held`: keys stand in the way of the keyspace at place i,
// so it is as before.
void agreement_decide(struct map *next, uint8_t held);

// True when the change has to know what all members hold, or that they have it.
bool agreement_needs_all(const struct keyspace_change *change);

enum keyspace_fate {
    FATE_OPEN,
    FATE_DONE,
    FATE_FAILED,
    FATE_UNKNOWN, // other changes came between that were not seen
};

// What became of a change that was once in the map.
enum keyspace_fate agreement_fate(const struct keyspace_change *change, const struct map *map);

#endif
