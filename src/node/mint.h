// SPDX-License-Identifier: Apache-2.0
//
// mint.h -- the record that a write makes of what is held of its key.
//
// After "Scalable and Accurate Causality Tracking for Eventually Consistent Stores" (2014): a new
// dot of this member, under a context of what it supersedes (model/record.h).
#ifndef QUOIT_NODE_MINT_H
#define QUOIT_NODE_MINT_H

#include "node/operation.h"

// For the apply callback of a store write. Mints a dot for the operation's value on top of what is
// held (empty: nothing), and makes the outcome the operation's record, in its buffer. ST_CANCELLED:
// its time has run out; ST_INVALID: its keyspace or context is not what it should be; ST_BUSY: it
// may be tried again; ST_TOO_LARGE, ST_HISTORY_FULL, ST_CORRUPT.
NODISCARD enum status mint(struct operation *o, struct slice held);

// What a plain write has met, and supersedes when it is minted next: all that the context covers,
// of which nothing is later than the timestamp. False: memory is out, or it is too much; what
// it met before stays.
NODISCARD bool mint_supersede(struct operation *o, const struct context *met, uint64_t timestamp);

#endif
