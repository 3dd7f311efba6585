// SPDX-License-Identifier: Apache-2.0
//
// operator.h -- whoever keeps backups of the members.
//
// In some runs snapshots are made and deleted at random times, whatever befalls the members
// meanwhile. At any moment a disk may be looked at:
//
//     O20 a snapshot that has a manifest can be restored, and holds what its store held when it was
//         made; one whose making was acknowledged has one until it is to be deleted, on a disk that
//         lost nothing
#ifndef QUOIT_SIM_OPERATOR_H
#define QUOIT_SIM_OPERATOR_H

#include "sim/cluster.h"
#include "sim/oracle.h"

enum { OPERATOR_NAMES = 3 };

enum backup_state {
    BACKUP_NONE,
    BACKUP_UNKNOWN, // being made or deleted, or that was cut short
    BACKUP_MADE,
};

struct operator_member {
    struct operator* operator;
    enum backup_state states[OPERATOR_NAMES];
    uint32_t asked; // name
    bool deletes;
    bool is_asked;
    uint32_t life; // of the process that was asked
};

struct operator_counts {
    uint64_t made;
    uint64_t deleted;
    uint64_t cut_short;
    uint64_t checked;
};

struct operator{
    struct cluster *cluster;
    struct oracle *oracle;
    struct rng rng;
    bool is_over;
    uint64_t pause_ns;
    struct store_options store; // of a member
    struct operator_member members[CLUSTER_MEMBERS_MAX];
    struct operator_counts counts;
};

void operator_init(struct operator* op, struct cluster *cluster, struct oracle *oracle);

// Begins, if this is a run with snapshots.
void operator_start(struct operator* op);
void operator_stop(struct operator* op);

// Looks at the snapshots on all disks.
void operator_check_all(struct operator* op);

#endif
