// SPDX-License-Identifier: Apache-2.0
//
// purge_answer.h -- a member's part in the rounds of others, and of its own (purge.h); its fences.
#ifndef QUOIT_NODE_PURGE_ANSWER_H
#define QUOIT_NODE_PURGE_ANSWER_H

#include "node/purge.h"

// The members that have copies of anything in the group of slots, or all: base/bitmap.h.
void purge_members_of(const struct node *node, uint32_t group, bool is_wide,
                      uint8_t members[MEMBERS_MAX / 8]);

// Whether all members have to agree that the record may go: it names an actor that is no replica,
// so something of what it supersedes may be a hint anywhere.
bool purge_is_wide(const struct node *node, struct partition partition, const struct record *r);

// Whether it is such a record, and all of it may go, or something of its context, when it is old
// enough.
bool purge_takes_all(const struct node *node, struct partition partition, const struct record *r);

// Whether something of its context may go, and nothing of the record is later than the timestamp.
bool purge_retires(const struct node *node, struct partition partition, const struct record *r,
                   uint64_t latest);

// The last round of all members that this one has agreed to, or is about to. What was minted as a
// hint in an earlier one is void.
uint32_t purge_cleared(const struct node *node, uint16_t slot);

// Looks whether the records of a round are held as it says, and agrees to it. The answer goes to
// the link or, without one, to purge_on_answer, maybe before this returns.
void purge_check(struct node *node, struct link *link, const struct message_purge *m);

// Removes the records of a round that this member has agreed to, or takes out of their contexts
// what nobody needs any more, once it is durable that the round was decided; then, if it is its
// own, calls purge_on_erased. False: nothing is done.
bool purge_erase(struct node *node, bool is_own, const struct message_erase *m);

void purge_on_erase(struct node *node, struct link *link, const struct message_erase *m);

// What a peer remembers.
void purge_on_fences(struct node *node, struct link *link, const struct message_fences *m);

// Tells the peer which rounds this member knows of, and asks the same with `is_question`. Says
// nothing before this member serves.
void purge_send_fences(struct node *node, struct link *link, bool is_question);

// A peer knows of a round, that maybe came to nothing: what is read from now on is sent with it.
// Not before the peer has told its fences: who has forgotten a round would send what is older as if
// it was newer.
void purge_hear(struct node *node, uint32_t member, uint16_t slot, uint32_t round);

// The round of a slot to send records with that are read now: the last that is known of and
// durable, here or where it was heard.
uint32_t purge_round(const struct node *node, uint16_t slot);

// What a round of the group is to be called now, at least.
uint32_t purge_next_round(const struct node *node, uint32_t group);

// The fence of a slot. Lends.
const struct fence *purge_fence(const struct node *node, uint16_t slot);

// The time, ms since 1970, by which what has expired may be destroyed (model/purge_clock.h).
uint64_t purge_now_ms(struct node *node);

// This member may have something of before a purge in any group: its data was damaged.
void purge_doubt_all(struct node *node);

// While it mends: whether it gives way to others in some group; in some where it has forgotten no
// round, as far as it knows; and that it does not any more.
bool purge_is_behind(const struct node *node);
bool purge_is_in_doubt(const struct node *node);
void purge_end_behind(struct node *node);

// The fact "fences".
void purge_encode_fences(struct node *node, struct writer *w);
NODISCARD enum status purge_decode_fences(struct node *node, struct slice value);

// The fences, as they are, are durable.
void purge_on_fences_stored(struct node *node);

#endif
