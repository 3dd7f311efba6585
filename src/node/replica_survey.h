// SPDX-License-Identifier: Apache-2.0
//
// replica_survey.h -- listing and counting keys of this node's own slots, for coordinators.
//
// A list ends early when it has as many live keys as were asked for, when it is large, or when it
// took long enough: it says how far it is complete. Where hashes are wanted, what is listed of a
// cell is the state of one moment.
#ifndef QUOIT_NODE_REPLICA_SURVEY_H
#define QUOIT_NODE_REPLICA_SURVEY_H

#include "node/replica.h"

enum { REPLICA_SCAN_MAX = 1000 }; // live keys in one answer

struct replica_scan;
typedef void replica_scanned(struct replica_scan *s);

// A scan that the store has not finished with, in a buffer of the node.
struct replica_scan {
    struct node *node;
    replica_scanned *done;
    struct link *from; // who asked; NULL: this node
    uint64_t from_life;
    uint64_t id;
    uint64_t until; // ns: then nobody waits for it any more
    enum status status;

    struct message_scan wish; // its keys are in `bytes`
    struct store_scan scan;
    struct env_op op;  // of a pause
    uint32_t cell;     // being listed
    struct slice last; // key of it that was looked at last, in `bytes`
    uint32_t left;     // live keys wanted
    uint32_t looked;   // keys looked at
    uint64_t weight;   // bytes of keys and records listed
    bool is_stopped;   // before the end of the cell
    bool is_pausing;
    struct writer entries;
    uint8_t bytes[];
};

// Lists what the wish says; then calls back, maybe before it returns. The scan, with its result, is
// gone after the callback. False, and no callback, when there is no room for it now.
bool replica_scan(struct node *node, const struct message_scan *wish,
                  const struct replica_scan *asker);

// The answer. Lends from the scan.
struct message_scan_done replica_scan_result(const struct replica_scan *s);

void replica_on_scan(struct node *node, struct link *link, const struct message_scan *m);

// Live keys of the slots this node is first for, when the members in `up` are up.
uint64_t replica_count(struct node *node, struct slice up);
void replica_on_count(struct node *node, struct link *link, const struct message_count *m);

#endif
