// SPDX-License-Identifier: Apache-2.0
//
// sight.h -- which of the others this member takes to be up.
//
// There are two kinds of signs of life. What comes on our link to a member is a sign that it is up
// and that requests reach it; news of it by way of others, in which its heartbeat has advanced,
// that it is up. From both grows a level of suspicion with silence (model/suspicion.h). A member is
//
//     up           our link to it is open, and we are not suspicious of that
//     unreachable  else, but somebody hears from it
//     down         else
//
// In a cluster too large for everybody to hear from everybody in every round of gossip, silence is
// what follows our asking, and who is down is found out together (inquiry.h). Only who is up is
// sent requests. None of this ever decides who owns what, or how many make a quorum.
//
// Who was asleep, stopped or without a processor, has heard from nobody for as long. So silence is
// measured in time that stands still while a round of our own gossip is overdue, and after such a
// time, or when most others fall silent at once, we doubt ourselves: for some rounds others are
// suspected later.
#ifndef QUOIT_NODE_SIGHT_H
#define QUOIT_NODE_SIGHT_H

#include "node/internal.h"

// Says in the log which members were lost, and which are up again since. Once per gossip round: of
// very many it looks at some in each.
void sight_log(struct node *node);

// A round of our gossip begins; the next is due then.
void sight_begin_round(struct node *node, uint64_t next_due);

// No round is due any more.
void sight_end(struct node *node);

// Our link to the member has opened.
void sight_on_open(struct node *node, uint32_t member);

// Gossip came on our link to the member: it answers ours.
void sight_on_answer(struct node *node, uint32_t member);

// The heartbeat of the member has advanced, or it has begun another life.
void sight_on_news(struct node *node, uint32_t member, bool is_new_life);

struct node_view sight_of(const struct node *node, uint32_t member);

#endif
