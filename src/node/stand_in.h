// SPDX-License-Identifier: Apache-2.0
//
// stand_in.h -- who takes the place of replicas that cannot be reached, where that is wanted.
//
// A sloppy quorum counts hosts: the replicas of a key that can be reached and, for each of the
// others, the next member clockwise, on a host of its own, that can. Who stands in keeps what is
// written as a hint (hints.h) and hands it off later (handoff.h). From whichever member a request
// is coordinated, the same stand in while all see the same members up.
//
// After "Dynamo: Amazon's Highly Available Key-value Store" (2007), 4.6.
#ifndef QUOIT_NODE_STAND_IN_H
#define QUOIT_NODE_STAND_IN_H

#include "node/operation.h"

// Finds stand-ins for the replicas that cannot be reached. Returns how many answers the operation
// is to wait for: `need`, or where not as many hosts can be reached all that can, but at least 1.
uint32_t stand_in_choose(struct operation *o, uint32_t need);

// The same without stand-ins.
uint32_t stand_in_need_of_replicas(const struct operation *o, uint32_t need);

// Finds stand-ins. Whether this member is one of those who may mint the write: no replica can be
// reached, it stands in for one, and has room for what it would keep.
bool stand_in_may_mint(struct operation *o);

// A dot for it. An actor has minted all that its counter counts on top of what it has minted before
// of the key, and a hint is gone once it is handed off: so who stands in mints under an actor of
// its own, drawn for the member that it stands in for, and drawn anew when a hint for that one
// goes.
struct version stand_in_mint(struct operation *o);

// Draws all anew: some hint may be gone.
void stand_in_renew(struct node *node);

#endif
