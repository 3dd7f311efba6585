// SPDX-License-Identifier: Apache-2.0
//
// again.h -- whether a write that a purge has overtaken may be sent again.
//
// A member refuses a record when it has agreed to a later round of purging than the one in which
// that was minted (purge.h). If all values of the record are still in what this member holds, or
// keeps as a hint that it has minted itself, then none was purged meanwhile, and it may be sent in
// a later round; what has been merged with it since makes no difference.
//
// What is held may be in a table only, or on its way to the disk. Then it is read, and the write
// goes on: what others answer counts. The place in which it was refused is not asked as long as
// that takes, so that nothing more is heard from there, and nobody who is in it is late.
//
// It is known to be alive in the round in which this member was when it began to look, and in no
// later one: what is read may be from before that.
#ifndef QUOIT_NODE_AGAIN_H
#define QUOIT_NODE_AGAIN_H

#include "node/operation.h"

// It is known. The operation is in the same round as it was.
typedef void again_looked(struct operation *o, uint32_t place);

// Looks whether what the operation has written last is alive, and in that case raises its
// `purge_round` to the one in which it is. True: it is done. False: `looked` is called later,
// unless the operation is over by then, or in its second round.
bool again_look(struct operation *o, uint32_t place, again_looked *looked);

#endif
