// SPDX-License-Identifier: Apache-2.0
//
// sim_report.h -- what many simulated runs have exercised together.
//
// A run that holds says little if nothing happened in it. So kinds of trouble, faults, what oracles
// looked at and paths of the code that are rarely taken are counted, and a count that stays zero is
// a fault of the simulation.
#ifndef QUOIT_BIN_SIM_REPORT_H
#define QUOIT_BIN_SIM_REPORT_H

#include "sim/simulation.h"

struct sim_report {
    uint64_t runs;
    uint64_t failed;
    uint64_t events;
    uint64_t simulated_ns;
    uint64_t done;
    uint64_t refused;
    uint64_t unknown;
    uint64_t troubles[TROUBLE_COUNT];
    uint64_t strangers;
    uint64_t replaced;
    uint64_t not_replaced;
    uint64_t returned;
    uint64_t faults[FAULT_COUNT];
    uint64_t calls[CALL_KINDS];
    struct oracle_counts oracle;
    struct keeper_counts backups;
    struct steward_counts keyspaces;
    struct tenancy_counts tenancy;
    struct mapmaker_counts maps;
    struct watcher_counts watched;
    struct node_stats node;
    uint64_t flushes;
    uint64_t compactions;
    uint64_t cuts;
    uint64_t blocks_read;
    uint64_t evicted;
    uint64_t recounts;
    uint64_t audited;
    uint64_t audit_rounds;
    uint64_t inspections;
};

void sim_report_add(struct sim_report *sum, const struct simulation_report *report);
void sim_report_print(const struct sim_report *sum);

// True when nothing that should have happened stayed at zero; else says what did.
bool sim_report_is_covered(const struct sim_report *sum);

#endif
