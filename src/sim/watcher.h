// SPDX-License-Identifier: Apache-2.0
//
// watcher.h -- whether members are right about who is up.
//
//     O30 a) when all trouble is over, every member is up to every other, soon and for good
//         b) who has ended, or was stopped, is soon up to nobody
//         c) who serves, and can be reached, is down to nobody that serves: least of all to one
//            that was stopped itself
//
// Only silence and broken connections tell a member anything. So b and c are looked at where the
// network is whole and has been for a while, and c where connections can be made; a has no such
// condition.
#ifndef QUOIT_SIM_WATCHER_H
#define QUOIT_SIM_WATCHER_H

#include "sim/nemesis.h"
#include "sim/oracle.h"

struct watcher_counts {
    uint64_t up;   // O30 a: pairs looked at
    uint64_t gone; // O30 b
    uint64_t well; // O30 c
};

// Of one member, as of the last look; times are the world's.
struct watched {
    uint32_t starts;
    uint64_t gone_since;    // 0: is there
    uint64_t serving_since; // 0: is not; whether or not it is stopped
    uint64_t well_since;    // 0: does not serve, or is stopped
};

struct watcher {
    const struct nemesis *nemesis;
    struct oracle *oracle;
    bool is_rough;        // connections may break, or not be made, by themselves
    uint64_t whole_since; // 0: the network is parted
    uint64_t calm_since;  // 0: there is trouble
    struct watched members[CLUSTER_MEMBERS_MAX];
    struct watcher_counts counts;
};

void watcher_init(struct watcher *watcher, const struct nemesis *nemesis, struct oracle *oracle);

// All trouble is over, from now on.
void watcher_calm(struct watcher *watcher);

// To be called every now and then; notes a violation with the oracle.
void watcher_look(struct watcher *watcher);

#endif
