// SPDX-License-Identifier: Apache-2.0
//
// daemon_memory.h -- one number for the whole process, and what becomes of it.
//
// What serves clients and peers is sized first, in proportion and within bounds; what is left holds
// data: records in memory and, byte for byte, filters and indexes of tables.
#ifndef QUOIT_BIN_DAEMON_MEMORY_H
#define QUOIT_BIN_DAEMON_MEMORY_H

#include "bin/daemon_config.h"
#include "node/node.h"
#include "server/server.h"

struct memory_split {
    size_t data;    // keys and records in memory, and their index
    size_t node;    // requests, peers, logs, filters and indexes of tables
    size_t clients; // connections, commands, replies
    size_t program; // code, stacks and what libraries allocate
};

// Fills in the sizes of the options. False, with a complaint that says how much would do, when the
// memory is too little, or more than a store can use.
bool memory_divide(const struct config *config, struct node_options *node,
                   struct server_options *server, struct memory_split *split,
                   struct complaint *complaint);

#endif
