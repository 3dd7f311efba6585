// SPDX-License-Identifier: Apache-2.0
//
// lacking.h -- what this member holds and its peers do not, while it is behind (model/fence.h).
//
// What it may have of before a purge it is rid of when nobody else has it. That is known only when
// it has compared with everybody, and a peer that is behind, too, goes through the same: so it
// notes first which keys each of them lacks, or holds otherwise, and lets go of those the second
// time.
//
// The notes are bits, at places drawn from the key and the peer (Bloom: "Space/time trade-offs in
// hash coding with allowable errors", CACM 1970): as many keys as there may be fit. By chance
// something passes for noted that was not; where many thousand keys are, seldom.
#ifndef QUOIT_NODE_LACKING_H
#define QUOIT_NODE_LACKING_H

#include "base/arena.h"
#include "store/store.h"

struct node;

size_t lacking_memory_size(void);
void lacking_init(struct node *node, struct arena *arena);

// Nothing is noted.
void lacking_clear(struct node *node);

// The peer does not hold of the key what this member does.
void lacking_note(struct node *node, uint32_t member, struct partition partition, struct slice key);

// Whether that was noted of every peer that has copies of the partition.
bool lacking_everywhere(const struct node *node, struct partition partition, struct slice key);

#endif
