// SPDX-License-Identifier: Apache-2.0
//
// read.h -- coordinating reads.
//
// The first replicas that the level needs are asked, this node's own first; those that stay silent
// are joined by the others (hedge). Until a record is at hand one of them is to bring it, and the
// others a hash of theirs; whose hash is another one is asked again. Answers are merged. Before the
// answer goes out, replicas that lacked something of it get it, and at least a majority must then
// hold all of it: a later read cannot see less.
#ifndef QUOIT_NODE_READ_H
#define QUOIT_NODE_READ_H

#include "node/operation.h"
#include "wire/message.h"

void read_start(struct operation *o, uint32_t need);
void read_on_answer(struct operation *o, uint32_t member, const struct message_get_done *m);
void read_on_repaired(struct operation *o, uint32_t member, enum status status);
void read_on_lost(struct operation *o, uint32_t member);

// The replicas asked first were silent for too long.
void read_on_hedge(struct operation *o);

#endif
