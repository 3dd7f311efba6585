// SPDX-License-Identifier: Apache-2.0
//
// mapmaker.h -- whoever changes the map of the cluster.
//
// In some runs any member is asked at any time for changes of the map, whatever befalls the members
// meanwhile; and it befalls them just then, if the run has such trouble:
//
//     O27 all members ever have the same map for one epoch, and no member goes back to an earlier
//         one, but with a disk that has lost what it held; a change that was done has made exactly
//         one map, and one that was certainly not done has made none
//     O37 a member keeps its number in all maps, and no later map has fewer members
//
// The author of a map tells changes apart that raise the epoch and do nothing else.
#ifndef QUOIT_SIM_MAPMAKER_H
#define QUOIT_SIM_MAPMAKER_H

#include "sim/nemesis.h"
#include "sim/oracle.h"

enum { MAPMAKER_EPOCHS_MAX = 4096, MAPMAKER_CHANGES = 2 };

struct mapmaker_change {
    struct map_change change;
    struct mapmaker *maker;
    uint32_t member;
    uint32_t life; // of the process that was asked
    bool is_asked;
    bool is_refused; // does not apply
};

struct mapmaker_epoch {
    uint64_t author; // 0: not known, or founded
    uint64_t map;    // hash of its bytes; 0: nobody was seen to have it
    uint32_t members;
};

struct mapmaker_counts {
    uint64_t maps;
    uint64_t done;
    uint64_t not_done;
    uint64_t refused; // did not apply
    uint64_t cut_short;
    uint64_t joined; // members that were not there from the beginning
};

struct mapmaker {
    struct cluster *cluster;
    struct nemesis *nemesis;
    struct oracle *oracle;
    struct rng rng;
    bool has_changes; // this is a run in which maps change
    bool is_over;
    uint64_t pause_ns;
    struct mapmaker_change changes[CLUSTER_MEMBERS_MAX][MAPMAKER_CHANGES];
    struct mapmaker_epoch epochs[MAPMAKER_EPOCHS_MAX];
    uint64_t latest;                   // epoch
    uint64_t ids[CLUSTER_MEMBERS_MAX]; // of members, by number; 0: nobody has it yet
    struct {
        uint64_t epoch;
        uint64_t at; // when it was seen, ns
    } seen[CLUSTER_MEMBERS_MAX];
    uint64_t doubted; // epochs up to here, when all is healed: a member may have forgotten its
                      // votes and not known
    uint64_t not_done[MAPMAKER_EPOCHS_MAX]; // authors
    uint32_t not_done_count;
    struct mapmaker_counts counts;
};

void mapmaker_init(struct mapmaker *m, struct nemesis *nemesis, struct oracle *oracle);

// Begins, if this is a run in which maps change.
void mapmaker_start(struct mapmaker *m);
void mapmaker_stop(struct mapmaker *m);

// Asks every member of a healed cluster for a change, in such a run.
void mapmaker_work(struct mapmaker *m);

// Whether all that was asked for is over, or its member has ended.
bool mapmaker_is_idle(const struct mapmaker *m);

// At any time: looks at the maps of all members.
void mapmaker_check(struct mapmaker *m);

#endif
