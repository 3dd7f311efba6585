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

#endif
