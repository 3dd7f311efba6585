// SPDX-License-Identifier: Apache-2.0
//
// range.h -- coordinating KV.RANGE: the keys with a tag between two bounds, in order, with values.
//
// As many replicas as a read asks list what they hold of the stretch (gather.h): one of them sends
// the records, the others a number for each. A key of which all say the same is answered from that,
// as a read of it would have been. Any other, and one whose record was too large for the list, is
// read by itself (read.h), which also brings those behind up to date. So each key is as good as a
// read of it during the request; what is known of two keys may be of two moments.
#ifndef QUOIT_NODE_RANGE_H
#define QUOIT_NODE_RANGE_H

#include "node/operation.h"

void range_start(struct operation *o, uint32_t need);

// The replicas asked first were silent for too long.
void range_on_hedge(struct operation *o);

// Lets go of the keys, if there are any.
void range_end(struct operation *o);

#endif
