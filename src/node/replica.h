// SPDX-License-Identifier: Apache-2.0
//
// replica.h -- what a node does for the coordinators of other members.
//
// PUT merges a record into the one held and answers when that is durable. GET answers with the
// record held, once it is durable. A node that is mending merges, but answers ST_UNAVAILABLE: it
// may lack something it once acknowledged, so its word counts for nothing.
#ifndef QUOIT_NODE_REPLICA_H
#define QUOIT_NODE_REPLICA_H

#include "base/list.h"
#include "node/operation.h"
#include "store/store.h"
#include "wire/message.h"

struct link;

// A put or get of another member that the store has not finished with.
struct replica_job {
    struct node *node;
    struct list link;
    struct link *from;
    uint64_t from_life;
    uint64_t id;    // 0: no answer wanted
    uint64_t until; // ns: then nobody waits for it any more
    uint8_t flags;
    uint8_t *bytes; // buffer: key, then record
    struct slice record;
    uint32_t round; // of purging, in which it was read
    bool is_in_doubt;
    bool is_kept;
    uint64_t held; // of a GET, like the next
    bool wants_hash;
    uint8_t *context; // buffer: what was known outside the record's context
    uint32_t context_size;
    uint64_t timestamp; // the latest of what was held, when `context` is kept
    struct store_write write;
    struct store_read read;
    void (*merged)(struct replica_job *job); // of puts of this node's own: called at the end
    uint64_t merged_id;
};

struct replica {
    struct replica_job *jobs;
    uint32_t capacity;
    uint32_t busy_count;
    uint32_t scan_count; // under way
    struct list free;
};

void replica_init(struct node *node, struct arena *arena, uint32_t capacity);
size_t replica_memory_size(uint32_t capacity);

void replica_on_put(struct node *node, struct link *link, const struct message_put *m);
void replica_on_get(struct node *node, struct link *link, const struct message_get *m);

// Answers a GET, of which id, held and wants_hash are looked at, with what was read: not with the
// record if the asker holds the same, nor if its hash will do and is much smaller.
void replica_answer_get(struct link *link, const struct message_get *m, uint32_t round,
                        const struct store_read *read);

// What somebody holds of a key.
struct told {
    struct partition partition;
    struct slice key;
    struct slice record; // empty: nothing
    uint32_t round;      // of purging, in which it was read
    bool is_in_doubt;    // who holds it is behind: nothing is taken that may be of before a purge
    bool is_kept;        // what is held here is, though this member is behind
};

// Merges a record into this node's own store, durably; then calls `merged` (or nobody, if NULL),
// with the status in job->write.status and the id in job->merged_id. False when there is no room
// for it now. Nothing can be told only while this node is behind (model/fence.h): what it may have
// forgotten the purge of goes.
bool replica_merge(struct node *node, const struct told *told,
                   void (*merged)(struct replica_job *job), uint64_t id);

// Sends what this node's store holds of a key, if anything, to a peer, to be merged there; then, or
// before it returns, calls `offered` with what became of it in job->write.status. False when there
// is no room for it now.
bool replica_offer(struct node *node, struct link *link, struct partition partition,
                   struct slice key, void (*offered)(struct replica_job *job));

#endif
