// SPDX-License-Identifier: Apache-2.0
//
// cluster.h -- quoitd, as often as wanted, in one simulated world.
//
// Each member is a machine "n1", "n2", ... (of ten and more, "n01") that runs a node and a server,
// made of the same object files as the real program. The cluster starts and stops these processes
// and knows how they are; who lets them suffer is sim/nemesis.h, and who judges them sim/oracle.h.
#ifndef QUOIT_SIM_CLUSTER_H
#define QUOIT_SIM_CLUSTER_H

#include "node/node.h"
#include "server/server.h"
#include "sim/world.h"

enum { CLUSTER_MEMBERS_MAX = 24, CLUSTER_PORT = 7379 };

enum process_state {
    PROCESS_DOWN,
    PROCESS_STARTING, // recovering; no client can connect
    PROCESS_UP,       // clients can connect; maybe the cluster is not founded yet
    PROCESS_STOPPING,
};

struct process {
    struct cluster *cluster;
    uint32_t index;
    struct machine *machine;
    enum process_state state;
    struct node *node; // of the running process
    struct server *server;
    enum status start_status; // why the last start failed, or ST_OK
    uint32_t starts;
    bool has_seeds;                // it is none of the first members
    uint64_t bytes_lost;           // when its disk lost what was synced; 0: it has not
    uint64_t rolled_back;          // when it was given an older copy of its disk; 0: it was not
    bool is_stranger;              // has lost its disk, and is not at work again
    bool is_ordered;               // ... and somebody was asked to have it replaced
    uint32_t starts_lost;          // when it lost its disk
    bool is_misplaced;             // has the disk of another member now
    bool was_misled;               // ... and went to work with it
    bool has_stopped;              // while STOPPING: the process is about to exit
    struct machine_open left_open; // by the last orderly stop
    char name[16];
    char listen[16];
};

// The cluster key of all of them.
extern const struct mac_key cluster_secret;

struct cluster_options {
    uint32_t members;
    uint32_t newcomers;        // of them: the last so many have seeds
    uint64_t sync_interval_ns; // 0: durability always

    // Of each node and store; 0: as in a server.
    uint32_t list_size;
    uint64_t memory_max;
    uint64_t flush_size;
    uint64_t table_size;
    uint32_t block_size;
    uint32_t lookups_max;
    enum codec codec;
    bool draws_codec; // at every start of a process, instead
    bool is_direct;
    node_minted *minted;
    node_purged *purged;
    node_retired *retired;
    node_handed *handed;
    void *minted_context;

    // Called when a process has ended, one way or another, and left its files; may be NULL.
    void (*ended)(void *context, uint32_t index);
    void *ended_context;

    // May change what a process is about to be created with; may be NULL.
    void (*adjust)(struct node_options *node, struct server_options *server);
};

struct cluster {
    struct world *world;
    struct cluster_options options;
    struct rng rng;
    struct process processes[CLUSTER_MEMBERS_MAX];
    char initial[CLUSTER_MEMBERS_MAX * 40];
    char seeds[64]; // the first member, and the second if it is not a newcomer
};

// Adds the machines; none runs yet. Borrows `cluster` and the world for as long as they live.
void cluster_init(struct cluster *cluster, struct world *world,
                  const struct cluster_options *options);

// What every node of the cluster is configured with.
struct node_options cluster_node_options(const struct cluster *cluster);

// Makes processes[members] one that has the name of that member, and a machine of its own. Once.
void cluster_add_copy(struct cluster *cluster, uint32_t index);

// Requires that the process is down, for start, or not, for the others.
void cluster_start(struct cluster *cluster, uint32_t index);
void cluster_stop(struct cluster *cluster, uint32_t index); // orderly; ends by itself later
void cluster_kill(struct cluster *cluster, uint32_t index);
void cluster_power_loss(struct cluster *cluster, uint32_t index);

// The node, when the process is up; else NULL. A paused one is up.
struct node *cluster_node(const struct cluster *cluster, uint32_t index);

// Where the process that is up has the key, as far as it knows.
struct partition cluster_partition(const struct cluster *cluster, uint32_t index, struct slice key);

bool cluster_is_serving(const struct cluster *cluster, uint32_t index);

#endif
