// SPDX-License-Identifier: Apache-2.0
//
// again.h -- what is sent in place of a write that a purge has overtaken.
//
// A member refuses a record when it has agreed to a later round of purging than the one in which
// that was minted (purge.h): some of its values may have been purged since then. What this member
// holds of the key now, or keeps as a hint that it has minted itself, has none of these. If that
// has the write in it, or something that has superseded it, then it goes in place of the record, in
// a later round.
//
// What is held may be in a table only, or on its way to the disk. Then it is read, and the write
// goes on: what others answer counts. The place in which it was refused is not asked as long as
// that takes, so that nothing more is heard from there, and nobody who is in it is late.
//
// It is what there is in the round in which this member was when it began to look, and in no later
// one: what is read may be from before that.
#ifndef QUOIT_NODE_AGAIN_H
#define QUOIT_NODE_AGAIN_H

#include "node/operation.h"

// It is known. The operation is in the same round as it was.
typedef void again_looked(struct operation *o, uint32_t place);

// Looks for what the operation has written last, and if it is there, or something that has
// superseded it, has the operation send what is held, and raises its `purge_round` to that. True:
// it is done. False: `looked` is called later, unless the operation is over by then, or in its
// second round.
bool again_look(struct operation *o, uint32_t place, again_looked *looked);

#endif
