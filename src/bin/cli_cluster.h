// SPDX-License-Identifier: Apache-2.0
//
// cli_cluster.h -- what a cluster says of itself, asked of any one of its members.
#ifndef QUOIT_BIN_CLI_CLUSTER_H
#define QUOIT_BIN_CLI_CLUSTER_H

#include "base/limits.h"
#include "bin/cli_server.h"
#include "bin/cli_terminal.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cluster_node {
    char id[NAME_SIZE_MAX + 1];
    char name[NAME_SIZE_MAX + 1];
    char host[NAME_SIZE_MAX + 1];
    char rack[NAME_SIZE_MAX + 1];
    char dc[NAME_SIZE_MAX + 1];
    char state[NAME_SIZE_MAX + 1]; // up, unreachable, down, refused, starting, mending, stopping
    char address[ADDRESS_SIZE_MAX + 1]; // host:port
    char troubles[NAME_SIZE_MAX + 1];   // words with spaces between them: full failed damaged hints
    bool is_self;                       // the one that was asked
    uint64_t slots_first;               // slots whose first replica it is
    uint64_t slots_held;
    uint64_t keys;
    uint64_t disk;   // bytes
    uint64_t memory; // bytes
    uint64_t load;   // operations a second
    bool is_merging; // tables
    uint64_t merged; // percent
    uint64_t incarnation;
};

struct cluster_view {
    bool is_ok; // every slot has a member that answers for it
    char state[NAME_SIZE_MAX + 1];
    uint64_t epoch;
    uint64_t unequal_seconds; // the age of the oldest difference between the one that was asked and
                              // others, at most
    uint64_t slots_behind;    // that it knows to be different
    uint64_t shedding;        // 1: it refuses some of what it is asked for, as it is too much
    uint64_t shed_requests;   // since it began
    uint64_t queue_time_us;
    uint64_t purge_blocked;                  // partitions whose tombstones it cannot have purged
    char purge_waits_for[NAME_SIZE_MAX + 1]; // a member; or nothing
    uint64_t hints_stuck; // that it keeps, and that those they are for do not take
    size_t node_count;
    struct cluster_node nodes[MEMBERS_MAX];
};

// Asks that member. NULL, and the reason in `problem`, if there was no answer. The view is to be
// freed.
struct cluster_view *cluster_look(const struct cli_server *member,
                                  char problem[CLI_PROBLEM_MAX + 1]);

// Whether that member answers, and sees a cluster that is complete.
bool cluster_is_ready(const struct cli_server *member, char problem[CLI_PROBLEM_MAX + 1]);

// Members that are up.
size_t cluster_count_up(const struct cluster_view *view);

void cluster_print(const struct cluster_view *view, struct terminal *t);

#endif
