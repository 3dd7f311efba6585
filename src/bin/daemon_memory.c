// SPDX-License-Identifier: Apache-2.0
#include "bin/daemon_memory.h"

#include <inttypes.h>

enum {
    CHUNK = 16 * 1024, // bytes of a server's chunk
    CHUNKS_MIN = 1024,
    CHUNKS_MAX = 8192,
    LARGE_MIN = 8,
    LARGE_MAX = 64,
    COMMANDS_MIN = 2048,
    COMMANDS_MAX = 32768,
    REQUESTS_MIN = 1024,
};

#define MIB ((uint64_t)1 << 20)
#define PROGRAM_SIZE (24 * MIB)
#define DATA_MIN (16 * MIB)
#define DATA_STEP (MIB / 16)

static uint64_t between(uint64_t value, uint64_t low, uint64_t high) {
    return value < low ? low : value > high ? high : value;
}

static void scale(uint64_t memory, const struct config *config, struct node_options *node,
                  struct server_options *server) {
    // Twice the largest reply, and some.
    uint64_t values = 2 * node_copies_max(server->replication) + 2;
    uint64_t chunks_min = CHUNKS_MIN + values * config->value_max / CHUNK;
    uint64_t chunks_most = chunks_min > CHUNKS_MAX ? chunks_min : CHUNKS_MAX;
    server->chunks_max = (uint32_t)between(memory / 16 / CHUNK, chunks_min, chunks_most);
    server->large_max = (uint32_t)between(memory / 32 / config->value_max, LARGE_MIN, LARGE_MAX);
    server->commands_max = (uint32_t)between(memory / 32768, COMMANDS_MIN, COMMANDS_MAX);
    node->requests_max = (uint32_t)between(memory / 32768, REQUESTS_MIN, node->requests_max);
    node->request_memory = between(memory / 8, 32 * MIB, node->request_memory);
    if (memory < 512 * MIB && node->store.segment_size > 16 * MIB) {
        node->store.segment_size = 16 * MIB;
    }
}

static uint64_t data_min(const struct node_options *node) {
    uint64_t min = node_data_min(node);
    return min > DATA_MIN ? min : DATA_MIN;
}

// What would be needed beside the data if there were so much memory, and the least of that.
static uint64_t needed_of(uint64_t memory, const struct config *config, struct node_options *node,
                          struct server_options *server, struct memory_split *split) {
    scale(memory, config, node, server);
    split->program = PROGRAM_SIZE;
    split->clients = server_memory_size(server);
    split->data = node->store.memory_max = data_min(node);
    split->node = node_memory_size(node) - split->data;
    return split->program + split->clients + split->node + split->data;
}

// The first size in whole MiB, from one that is too little, that would do. What is needed grows
// with what there is, but more slowly.
static uint64_t enough_of(uint64_t needed, const struct config *config,
                          const struct node_options *node, const struct server_options *server) {
    for (;;) {
        uint64_t memory = (needed + MIB - 1) / MIB * MIB;
        struct node_options n = *node;
        struct server_options s = *server;
        struct memory_split split;
        needed = needed_of(memory, config, &n, &s, &split);
        if (needed <= memory) return memory;
    }
}

// Makes the split with so much for data. False when that is more than there is.
static bool data_fits(const struct config *config, struct node_options *node,
                      struct memory_split *split, uint64_t data) {
    node->store.memory_max = data;
    split->data = data;
    split->node = node_memory_size(node) - data;
    return split->program + split->clients + split->node + data <= config->memory;
}

bool memory_divide(const struct config *config, struct node_options *node,
                   struct server_options *server, struct memory_split *split,
                   struct complaint *complaint) {
    struct node_options most = *node;
    uint64_t needed = needed_of(config->memory, config, node, server, split);
    if (needed > config->memory) {
        complain_of(complaint,
                    "memory: %" PRIu64 "M is too little, %" PRIu64
                    "M would do; or make clients-max, value-max, members-max or replication "
                    "smaller",
                    config->memory / MIB, enough_of(needed, config, &most, server) / MIB);
        return false;
    }
    node->store.memory_max = STORE_MEMORY_MAX;
    uint64_t usable = split->program + split->clients + node_memory_size(node);
    if (config->memory > usable) {
        complain_of(complaint,
                    "memory: %" PRIu64 "M is more than a node can use, which is %" PRIu64
                    "M; more nodes can use more",
                    config->memory / MIB, usable / MIB);
        return false;
    }
    // What a store needs beside its data grows with it: the most that fits is searched for.
    uint64_t low = data_min(node);
    uint64_t high = between(config->memory, low, STORE_MEMORY_MAX) + 1;
    while (high - low > DATA_STEP) {
        uint64_t middle = low + (high - low) / 2;
        if (data_fits(config, node, split, middle)) {
            low = middle;
        } else {
            high = middle;
        }
    }
    must(data_fits(config, node, split, low));
    return true;
}
