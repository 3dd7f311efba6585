// SPDX-License-Identifier: Apache-2.0
//
// coordinator.h -- what a node does for the requests made to it.
//
// Reads.  The first replicas that the level needs are asked, this node's own first; those that stay
//         silent are joined by the others (hedge). Answers are merged. Before the answer goes out,
//         replicas that lacked something of it get it, and at least a majority must then hold all
//         of it: a later read cannot see less.
//
// Writes. Only a replica mints; another node forwards to one. The replica stores durably first and
//         then sends the record to all others, so no dot is ever seen that a crash takes back.
//         A plain SET or DEL supersedes all that was acknowledged before it began: replicas answer
//         with what they knew outside the record's context, and when the needed ones are in and
//         any knew more, the record is written once more on top of that. Two rounds are enough:
//         what the first round did not meet was not acknowledged by a quorum when it began.
//
// Surveys. SCAN asks a majority of a run's replicas for the keys of a stretch and joins the lists;
//         COUNT asks every member for the slots it is first for.
#ifndef QUOIT_NODE_COORDINATOR_H
#define QUOIT_NODE_COORDINATOR_H

#include "node/operation.h"
#include "wire/message.h"

void read_start(struct operation *o, uint32_t need);
void read_on_answer(struct operation *o, uint32_t member, const struct message_get_done *m);
void read_on_repaired(struct operation *o, uint32_t member, enum status status);
void read_on_lost(struct operation *o, uint32_t member);
void read_on_hedge(struct operation *o);

// A write on a node that is a replica of the key.
void write_start(struct operation *o, uint32_t need);
void write_on_answer(struct operation *o, uint32_t member, const struct message_put_done *m);
void write_on_lost(struct operation *o, uint32_t member);

// A write on a node that is not, or that has no vote.
void forward_start(struct operation *o, uint32_t need);
void forward_on_answer(struct operation *o, uint32_t member, const struct message_forward_done *m);
void forward_on_lost(struct operation *o, uint32_t member);

// A write that another member forwarded to this one.
void forward_receive(struct node *node, struct link *link, const struct message_forward *m);
void forward_answer(struct operation *o, enum status status);

void scan_start(struct operation *o);
void scan_on_answer(struct operation *o, uint32_t member, const struct message_scan_done *m);
void scan_on_lost(struct operation *o, uint32_t member);

void count_start(struct operation *o);
void count_on_answer(struct operation *o, uint32_t member, const struct message_count_done *m);
void count_on_lost(struct operation *o, uint32_t member);

#endif
