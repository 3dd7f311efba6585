// SPDX-License-Identifier: Apache-2.0
//
// hints.h -- what this member keeps for others until they can have it.
//
// A replica that coordinates a write, and cannot reach another one, notes that the other one lacks
// the key: what it holds itself is what the other one is to have. And a member that stands in for a
// replica (stand_in.h) keeps the record: it counts as a copy, so it is durable before that is said,
// nothing is dropped for want of room, and what comes later of the same key is merged into it.
//
// What was minted by one who stands in, while no replica could be reached, is kept apart. A copy of
// what a replica has minted is handed off in the round of purging in which it was minted, and can
// go if that is too old: the replica has it, or it was superseded and purged. What no replica has
// minted is handed off in the round of that time, since there it is alive for certain: what may
// supersede it is only purged when all members have agreed that they hold nothing minted
// (purge.h). What is older than such an agreement, as its round says, is void.
//
// Both kinds are in partitions of the node's own (SLOT_HINTS, SLOT_MINTED), in the form of
// model/hint.h; handoff.h brings them to whom they are for.
#ifndef QUOIT_NODE_HINTS_H
#define QUOIT_NODE_HINTS_H

#include "model/hint.h"
#include "node/node.h"
#include "wire/message.h"

struct link;

static inline struct partition hints_partition(enum hint_kind kind) {
    return (struct partition){.slot = kind == HINT_MINTED ? SLOT_MINTED : SLOT_HINTS};
}

// Whether so many bytes more may be kept.
bool hints_have_room(const struct node *node, uint64_t size);

// Whether there is anything minted here, or about to be.
bool hints_have_minted(const struct node *node);

// Whether there are copies of what replicas have minted, or notes of such.
bool hints_have_copies(const struct node *node);

// Notes, as long as there is room, that the member lacks what this replica holds of the key. If
// that comes to nothing, comparing finds it later.
void hints_note(struct node *node, uint32_t target, struct partition partition, struct slice key);

// Keeps a record that a coordinator sends, and answers.
void hints_on_hint(struct node *node, struct link *link, const struct message_hint *m);

// Answers a GET with a target.
void hints_on_get(struct node *node, struct link *link, const struct message_get *m);

// Whether what was minted by one who stands in is from before a purge to which this member has
// agreed, or had.
bool hints_is_void(const struct node *node, const struct hint *hint);

// What is kept of a key for any of its replicas, of both kinds. Who stands in for one now may have
// stood in for another one before.
struct hints_look {
    struct node *node;
    void (*done)(struct hints_look *look);
    uint16_t keyspace;
    struct slice key; // lent
    uint32_t step;    // which replica and kind is being looked for
    uint8_t hint_key[HINT_KEY_SIZE];
    struct store_read read;
    uint8_t *held;       // buffer
    enum status status;  // ST_OK, ST_NOT_FOUND, or why it is not known
    struct slice record; // in `held`
    uint32_t round;      // of purging, to send it with
};

// Looks. The caller has set `done`, `keyspace` and `key`, and leaves all alone until it is through.
// True: it is through already, and `done` is not called. After either, hints_end_look.
bool hints_look(struct node *node, struct hints_look *look);
void hints_end_look(struct hints_look *look);

// For the apply callback of one who mints: what is kept so far of the key (lent from `value`), with
// an empty record if that is nothing. ST_BUSY: it cannot be kept now.
NODISCARD enum status hints_unwrap(struct node *node, struct slice key, struct slice value,
                                   struct hint *held);

// And the value to be stored, in the node's scratch.
NODISCARD enum status hints_wrap(struct node *node, uint32_t round, struct slice key,
                                 struct slice record, struct slice *value);

#endif
