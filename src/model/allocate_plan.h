// SPDX-License-Identifier: Apache-2.0
//
// allocate_plan.h -- what founding a cluster (allocate.h) and changing one (reallocate.h) share:
// how much each member should have, into how many runs the slots are cut, and the last steps that
// make a map of it. Nobody else includes this.
#ifndef QUOIT_MODEL_ALLOCATE_PLAN_H
#define QUOIT_MODEL_ALLOCATE_PLAN_H

#include "model/map.h"

enum {
    SEGMENTS_PER_MEMBER = 16,

    // In all, unless there are more shards than that.
    RUNS_WANTED = 1000,

    // Of ten runs that there may be, so many are there when a cluster is founded. Changes need
    // room.
    RUNS_FOUNDED = 9,

    // Instead of the shard of a replica: plan_finish shall choose one.
    SHARD_OPEN = UINT16_MAX,
};

struct plan {
    const struct map *map;
    uint32_t count; // of members; all arrays but the ring are by member
    uint64_t weight;
    uint32_t host_count;
    uint32_t rack_count;
    uint32_t copies;
    uint32_t doubles;               // copies of a run that share a rack with another, at most
    uint32_t run_limit;             // runs in all, at most
    uint16_t host[MEMBERS_MAX];     // the first member of the same host
    uint16_t rack[MEMBERS_MAX];     // the first member of the same rack
    uint32_t share[MEMBERS_MAX];    // slots it should be first for
    uint32_t segments[MEMBERS_MAX]; // pieces its share is cut into
    uint32_t held[MEMBERS_MAX];     // slots it holds a copy of

    // For founding only.
    uint32_t laid[MEMBERS_MAX];   // pieces that lie on the ring already
    bool host_taken[MEMBERS_MAX]; // by the run at hand; by the number of a host
    bool rack_taken[MEMBERS_MAX]; // the same of racks
    uint32_t ring_count;
    uint16_t ring[RUNS_MAX]; // the member each segment belongs to
};

// Sets all but what is held. Requires members sorted by name. Returns how many segments there are.
uint32_t plan_init(struct plan *p, const struct map *map);

// Copies that each member should hold: by weight, as far as hosts and racks allow. They add up to
// all copies of all slots.
void plan_wanted(const struct plan *p, uint32_t wanted[MEMBERS_MAX]);

// Orders the copies behind the first, gives shards to those that have none, and joins neighbours
// that are alike.
void plan_finish(const struct plan *p, struct map *map);

// Cuts run number i behind so many slots; the rest becomes run number i + 1, on the same replicas.
void plan_cut(struct map *map, uint32_t i, uint32_t count);

// Takes run number i + 1 out of the list, and adds its slots to run number i.
void plan_join(struct map *map, uint32_t i);

#endif
