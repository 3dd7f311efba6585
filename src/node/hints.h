// SPDX-License-Identifier: Apache-2.0
//
// hints.h -- what this member keeps for others until they can have it.
//
// There are two kinds. A replica that coordinates a write, and cannot reach another one, notes that
// the other one lacks the key: what it holds itself is what the other one is to have. And a member
// that stands in for a replica (stand_in.h) keeps the record: it counts as a copy, so it is durable
// before that is said, nothing is dropped for want of room, and what comes later of the same key is
// merged into it.
//
// Hints are in a partition of the node's own (SLOT_HINTS), in the form of model/hint.h; handoff.h
// brings them to whom they are for.
#ifndef QUOIT_NODE_HINTS_H
#define QUOIT_NODE_HINTS_H

#include "node/node.h"
#include "wire/message.h"

struct link;

static const struct partition hints_partition = {.slot = SLOT_HINTS};

// Notes, as long as there is room, that the member lacks what this replica holds of the key. If
// that comes to nothing, comparing finds it later.
void hints_note(struct node *node, uint32_t target, struct partition partition, struct slice key);

// Keeps a record that a coordinator sends, and answers.
void hints_on_hint(struct node *node, struct link *link, const struct message_hint *m);

// Answers a GET with a target.
void hints_on_get(struct node *node, struct link *link, const struct message_get *m);

// Aims a read at the hint for a member; `hint_key` has room for HINT_KEY_SIZE bytes, and is the
// read's until it is done.
void hints_aim(struct store_read *read, uint8_t *hint_key, uint16_t target, uint16_t keyspace,
               struct slice key);

// Makes the result of such a read into the record that was kept, ST_NOT_FOUND if there is none.
// Returns its round of purging.
uint32_t hints_open(struct store_read *read, struct slice key);

#endif
