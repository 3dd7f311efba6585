// SPDX-License-Identifier: Apache-2.0
//
// keeper.h -- whoever keeps backups of the members.
//
// In some runs snapshots are made and deleted at random times, whatever befalls the members
// meanwhile; and it befalls them just then, if the run has such trouble. At any moment a disk may
// be looked at:
//
//     O23 a snapshot that has a manifest can be restored, and holds what its store held when it was
//         made; one whose making was acknowledged has one until it is to be deleted, on a disk that
//         lost nothing
#ifndef QUOIT_SIM_KEEPER_H
#define QUOIT_SIM_KEEPER_H

#include "sim/nemesis.h"
#include "sim/oracle.h"

enum { KEEPER_NAMES = 3 };

enum backup_state {
    BACKUP_NONE,
    BACKUP_UNKNOWN, // being made or deleted, or that was cut short
    BACKUP_MADE,
};

struct keeper_member {
    struct keeper *keeper;
    enum backup_state states[KEEPER_NAMES];
    uint32_t asked; // name
    bool deletes;
    bool is_asked;
    uint32_t life; // of the process that was asked
};

struct keeper_counts {
    uint64_t made;
    uint64_t deleted;
    uint64_t cut_short;
    uint64_t checked;
};

struct keeper {
    struct cluster *cluster;
    struct nemesis *nemesis;
    struct oracle *oracle;
    struct rng rng;
    bool is_over;
    uint64_t pause_ns;
    struct store_options store; // of a member
    struct keeper_member members[CLUSTER_MEMBERS_MAX];
    struct keeper_counts counts;
};

void keeper_init(struct keeper *k, struct nemesis *nemesis, struct oracle *oracle);

// Begins, if this is a run with snapshots.
void keeper_start(struct keeper *k);
void keeper_stop(struct keeper *k);

// Looks at the snapshots on all disks.
void keeper_check_all(struct keeper *k);

#endif
