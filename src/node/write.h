// SPDX-License-Identifier: Apache-2.0
//
// write.h -- coordinating writes, on a replica of the key or, without one, on one who stands in.
//
// Only a replica mints, but for sloppy writes of which none can be reached: then one who stands in
// does, and keeps what it minted as a hint, as the others who stand in do (hints.h). Who mints
// stores durably first and then sends the record to all others, so no dot
// is ever seen that a crash takes back.
//
// A plain SET or DEL supersedes all that was acknowledged before it began: replicas answer with
// what they knew outside the record's context, and when the needed answers are in and any knew
// more, the record is written once more on top of that. Two rounds are enough: what the first round
// did not meet was not acknowledged by a quorum when it began.
#ifndef QUOIT_NODE_WRITE_H
#define QUOIT_NODE_WRITE_H

#include "node/operation.h"
#include "wire/message.h"

void write_start(struct operation *o, uint32_t need);
void write_on_answer(struct operation *o, uint32_t member, const struct message_put_done *m);
void write_on_hinted(struct operation *o, uint32_t member, const struct message_hint_done *m);
void write_on_lost(struct operation *o, uint32_t member);

#endif
