// SPDX-License-Identifier: Apache-2.0
//
// simulation.h -- one run from a seed: a cluster, clients, trouble, healing, a verdict.
//
//     start     members start in any order, at any time
//     chaos     clients work, the nemesis is loose, a keeper makes snapshots, a mapmaker changes
//               the map, a steward keyspaces
//     heal      no more trouble; within a bound all members serve and hold the same
//     works     clients work again, and the map changes: every operation is done
//     end       the oracle's last checks; all stop in order, nothing is left open; all start once
//               more and still hold the same
#ifndef QUOIT_SIM_SIMULATION_H
#define QUOIT_SIM_SIMULATION_H

#include "sim/keeper.h"
#include "sim/mapmaker.h"
#include "sim/nemesis.h"
#include "sim/oracle.h"
#include "sim/steward.h"
#include "sim/watcher.h"
#include "sim/workload.h"

struct simulation_options {
    uint64_t seed;
    uint32_t members;    // 0: drawn
    uint32_t troubles;   // bits of enum trouble; 0: drawn
    uint32_t operations; // of the chaos
    world_trace *trace;  // or NULL
    void *trace_context;
};

struct simulation_report {
    bool has_failed;
    char failure[500];
    uint64_t trace_hash;
    uint64_t events;
    uint64_t simulated_ns;
    uint32_t members;
    uint32_t done;
    uint32_t refused;
    uint32_t unknown;
    uint64_t troubles[TROUBLE_COUNT];
    uint64_t strangers; // looks at one that waits to replace a member
    uint64_t replaced;
    uint64_t not_replaced; // as that was asked for in vain, or too early
    uint64_t returned;     // disks that were replaced, and turned up again
    uint64_t faults[FAULT_COUNT];
    uint32_t calls[CALL_KINDS];
    struct oracle_counts oracle;
    struct keeper_counts backups;
    struct mapmaker_counts maps;
    struct steward_counts keyspaces;
    struct tenancy_counts tenancy;
    struct watcher_counts watched;
    struct node_stats node;
    uint64_t flushes; // of all stores, like all up to audit_rounds
    uint64_t compactions;
    uint64_t cuts;
    uint64_t blocks_read;
    uint64_t evicted;
    uint64_t recounts;
    uint64_t audited;
    uint64_t audit_rounds;
    uint64_t inspections; // of what a process left behind
    uint64_t mendings;    // members that had no vote for a while, and have it back
};

void simulation_run(const struct simulation_options *options, struct simulation_report *report);

#endif
