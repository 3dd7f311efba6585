// SPDX-License-Identifier: Apache-2.0
//
// replica_survey.h -- listing and counting the keys that this node holds.
//
// A scan's cursor is a number: the slot, and within it a place, which is a hash of the key. So it
// means the same on every member, whatever they hold, and needs no state anywhere.
#ifndef QUOIT_NODE_REPLICA_SURVEY_H
#define QUOIT_NODE_REPLICA_SURVEY_H

#include "base/codec.h"
#include "wire/message.h"

struct link;
struct node;

enum {
    SCAN_PLACE_BITS = 39,    // of a cursor; 14 more are the slot
    REPLICA_SCAN_MAX = 1000, // keys in one answer
};

static inline uint32_t scan_slot(uint64_t cursor) {
    return (uint32_t)(cursor >> SCAN_PLACE_BITS);
}

// The cursor that begins a slot.
static inline uint64_t scan_begin(uint32_t slot) {
    return (uint64_t)slot << SCAN_PLACE_BITS;
}

// The live keys of slots from the cursor's up to `end`, at most about `limit`, as entries of
// message_scan_done. Returns the cursor to go on with; everything before it is listed.
uint64_t replica_scan(struct node *node, uint64_t cursor, uint32_t end, uint32_t limit,
                      struct writer *entries);

// Live keys of the slots this node is first for, if the members of the bitmap are up.
uint64_t replica_count(struct node *node, struct slice up);

void replica_on_scan(struct node *node, struct link *link, const struct message_scan *m);
void replica_on_count(struct node *node, struct link *link, const struct message_count *m);

#endif
