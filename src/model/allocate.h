// SPDX-License-Identifier: Apache-2.0
//
// allocate.h -- who should hold which runs of slots, for a cluster that holds nothing yet.
//
// 1. Shares. Each member is first for its share of the slots by weight, exact to the slot.
// 2. Segments. A share is cut into up to SEGMENTS_PER_MEMBER pieces (virtual nodes), in proportion
//    to weight, so that what a lost member was first for falls to many others.
// 3. The ring. Segments are laid out one after the other: members that are behind with their share
//    of pieces first, neighbours on different hosts; what is still open is decided by a hash of
//    name and round.
// 4. Copies. The further replicas of each segment are found clockwise: on hosts it does not have
//    yet, in racks it does not have yet while there are any, passing over members that hold clearly
//    more for their weight than others that would do. Then single copies move from full to empty
//    members as long as that helps.
// 5. Order. In second place stands each of a member's companions about equally often.
// 6. Shards. Each member spreads what it is first for, and then what it holds, over its shards.
//
// A walk that passes nobody over leaves the fullest member with about 1.2 times the mean; step 4
// brings that near 1.
#ifndef QUOIT_MODEL_ALLOCATE_H
#define QUOIT_MODEL_ALLOCATE_H

#include "model/map.h"

// Fills in the runs of a map whose members and replication are set. Requires members sorted by
// name.
void allocate_runs(struct map *map);

#endif
