// SPDX-License-Identifier: Apache-2.0
//
// reallocate.h -- who should hold which runs of slots next, when the members change.
//
// Members come, go, or get another weight, host or rack; the replication changes. What is wanted
// then is balanced as at the founding (allocate.h), and moves little more than it must: the least
// is what members have less than their part by, or the copies that those who left had.
//
// 1. Parts. By weight, as far as hosts and racks allow (plan_wanted); they add up.
// 2. Carry. Each run keeps the replicas that stay, but those that hosts, racks or the replication
//    forbid now.
// 3. Fill. A copy that is missing goes to who has least of its part.
// 4. Pull, push. Who has much too little, as who is new, takes copies of those who have more than
//    their part, never more than it lacks. Who has too much gives to those who have less.
// 5. Firsts. Within what each run has, another replica is put first: that moves no data. Whole runs
//    change hands while that helps. The rest goes along the shortest chain of members, each first
//    for something that the next one holds.
//
// Runs. Copies move with whole runs, or by moving the border of two runs, where that will do; a run
// is cut only while there are fewer runs than such a cluster has when it is founded, or else when
// nothing else helps; and neighbours with the same replicas are joined as soon as there are more.
// What the limit leaves no room for stays out of balance.
//
// Goals, for 3 to 300 members: the fullest at 1.05 of its part at most, of slots it holds as of
// slots it is first for, while these are 20 or more; at most 1.1 of the least data moved. Fewer
// than ten members whose weights differ may move up to 1.5 of it.
#ifndef QUOIT_MODEL_REALLOCATE_H
#define QUOIT_MODEL_REALLOCATE_H

#include "model/map.h"

// Fills in the runs of a map whose members and replication are set, for a cluster that has the
// present map. Who has the same id in both is the same member. Requires members sorted by name.
void reallocate_runs(struct map *map, const struct map *present);

#endif
