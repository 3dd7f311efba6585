// SPDX-License-Identifier: Apache-2.0
//
// forward.h -- writes on a node that cannot mint: it holds no copy of the key or cannot read its
// own, is mending, or its store has failed.
//
// One replica is asked to coordinate; another only when it says that it did nothing because it
// cannot: to ask a second after the first fell silent could write twice.
//
// At level SLOPPY those who stand in are asked after the replicas. One of them that sees a replica,
// which who asks does not, passes the write on to that and does not mint; a write is passed on once
// at most.
#ifndef QUOIT_NODE_FORWARD_H
#define QUOIT_NODE_FORWARD_H

#include "node/operation.h"
#include "wire/message.h"

void forward_start(struct operation *o, uint32_t need);
void forward_on_answer(struct operation *o, uint32_t member, const struct message_forward_done *m);
void forward_on_lost(struct operation *o, uint32_t member);

// The other side: coordinates a write for another member, and tells it the end.
void forward_receive(struct node *node, struct link *link, const struct message_forward *m);
void forward_answer(struct operation *o, enum status status);

#endif
