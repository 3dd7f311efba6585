// SPDX-License-Identifier: Apache-2.0
//
// inquiry.h -- finding out, in a cluster too large to ask all in each round, who is gone.
//
// A round of gossip asks a few. Whoever of these has not answered half of the time after which it
// would be down is doubted, and so is who has closed its connection and cannot be called again in
// that time. What is done about a doubt is for model/doubts.h; here is who is asked, and when.
#ifndef QUOIT_NODE_INQUIRY_H
#define QUOIT_NODE_INQUIRY_H

#include "node/internal.h"

size_t inquiry_memory_size(uint32_t members_max);
void inquiry_init(struct node *node, struct arena *arena);

// Nothing is doubted: there is another map.
void inquiry_on_map(struct node *node);

// Once per round.
void inquiry_step(struct node *node);

// Gossip has gone out to the member on our link, or the link has closed: there should be a sign of
// life soon.
void inquiry_expect(struct node *node, uint32_t member, bool is_asked);

// There was one, on either link.
void inquiry_on_sign(struct node *node, uint32_t member);

// Doubts as a part of gossip: written, and read, as sent by a member.
void inquiry_write_doubts(struct node *node, struct writer *w);
void inquiry_take_doubts(struct node *node, uint32_t from, struct reader *r);

void inquiry_on_vouch(struct node *node, struct link *link, const struct message_vouch *m);

// Whether nobody has answered since somebody was asked half of suspect-ms ago.
bool inquiry_is_deaf(const struct node *node);

// Whether the member is down, as far as this tells.
bool inquiry_is_gone(const struct node *node, uint32_t member);

#endif
