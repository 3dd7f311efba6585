// SPDX-License-Identifier: Apache-2.0
//
// workload.h -- clients that read, write, merge, pipeline and give up.
//
// Each client runs on a machine of its own and talks RESP to whichever member it likes, one batch
// at a time. Half of them leave the levels as they are; the others draw a level for reads and one
// for writes, and tell each connection. Registers are written by plain SET and DEL and read by
// plain GET; the other keys by KV.PUT and KV.DEL, with the context that a read or a write gave
// before, an old one, or none. What a reply means for the oracle is decided here and nowhere else.
#ifndef QUOIT_SIM_WORKLOAD_H
#define QUOIT_SIM_WORKLOAD_H

#include "sim/client.h"
#include "sim/oracle.h"
#include "sim/ranges.h"
#include "sim/scans.h"

enum { WORKLOAD_CLIENTS_MAX = 8, WORKLOAD_BATCH_MAX = 4, WORKLOAD_TOKEN_MAX = 2048 };

enum call_kind {
    CALL_GET,
    CALL_SET,
    CALL_DEL,
    CALL_KV_GET,
    CALL_KV_PUT,
    CALL_KV_DEL,
    CALL_SCAN,
    CALL_RANGE,
    CALL_CONSISTENCY, // the first of a connection, alone
    CALL_OTHER,       // PING and the like: no more is asked than a reply
    CALL_KINDS,
};

struct call {
    enum call_kind kind;
    uint32_t key;
    uint32_t write; // or ORACLE_NONE
    uint64_t start;
    bool is_over;
    char token[WORKLOAD_TOKEN_MAX]; // of KV.PUT and KV.DEL: the context it names, "" for none
};

struct workload_client {
    struct workload *workload;
    struct client client;
    struct rng rng;
    uint32_t member;        // talks to this one
    const char *read_level; // drawn; NULL: as the server has it, QUORUM
    const char *write_level;
    struct oracle_needs needs; // of the connection there is
    struct call calls[WORKLOAD_BATCH_MAX];
    uint32_t call_count;
    struct range_ask range; // asked last
    struct scan_walk walk;
    char tokens[ORACLE_KEYS_MAX][WORKLOAD_TOKEN_MAX]; // contexts seen, "" for none
};

struct workload {
    struct cluster *cluster;
    struct oracle *oracle;
    struct workload_client *clients;
    uint32_t client_count;
    uint32_t wanted; // operations in all
    uint32_t begun;
    uint32_t done;    // with an OK or a value
    uint32_t refused; // certainly not done
    uint32_t unknown;
    uint32_t counts[CALL_KINDS];
    uint64_t think_ns; // between two batches of a client, at most
    uint64_t last_ok;  // when anything was done last
    bool is_paused;
};

// Adds the clients' machines and the keys to the oracle.
void workload_init(struct workload *workload, struct cluster *cluster, struct oracle *oracle,
                   uint32_t clients, uint32_t keys);
void workload_free(struct workload *workload);

// Clients begin, and go on until `wanted` operations have begun.
void workload_start(struct workload *workload);
bool workload_is_over(const struct workload *workload);

// All clients drop their connections. Requires that the workload is over.
void workload_hang_up(struct workload *workload);

// More operations, after the first ones are over.
void workload_extend(struct workload *workload, uint32_t more);

#endif
