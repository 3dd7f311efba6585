// SPDX-License-Identifier: Apache-2.0
//
// replica_survey.h -- listing and counting the keys that this node holds.
//
// A scan's cursor is a number: the slot, and within it a place, which is a hash of the key. So it
// means the same on every member, whatever they hold, and needs no state anywhere.
#ifndef QUOIT_NODE_REPLICA_SURVEY_H
#define QUOIT_NODE_REPLICA_SURVEY_H

#include "base/codec.h"
#include "store/store.h"
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

struct replica_scan;
typedef void replica_scanned(struct replica_scan *s);

// A scan that the store has not finished with, in a buffer of the node.
struct replica_scan {
    struct node *node;
    replica_scanned *done;
    struct link *from; // who asked, if it was not this node
    uint64_t from_life;
    uint64_t id;        // of the question
    enum status status; // result
    uint64_t cursor;    // where to go on; everything before it is listed
    struct writer entries;

    struct store_scan scan;
    uint32_t slot;
    uint32_t end;       // slots up to here are wanted
    uint32_t left;      // keys that may still be listed
    uint64_t first;     // first place wanted of the slot
    uint64_t reach;     // last place to list
    uint32_t room;      // places to keep
    uint32_t found;     // kept in `places`, a heap with the greatest first
    size_t size_before; // of the entries
    bool is_listing;    // the second time through the slot
    bool is_over;
    uint64_t places[REPLICA_SCAN_MAX];
    uint8_t bytes[];
};

// Lists the live keys of slots from the cursor's up to `end`, at most about `limit`, as entries of
// message_scan_done; then calls back, maybe before it returns. The scan, with its result, is gone
// after that. False: memory is out.
bool replica_scan(struct node *node, uint64_t cursor, uint32_t end, uint32_t limit,
                  const struct replica_scan *asker);

// Live keys of the slots this node is first for, if the members of the bitmap are up.
uint64_t replica_count(struct node *node, struct slice up);

void replica_on_scan(struct node *node, struct link *link, const struct message_scan *m);
void replica_on_count(struct node *node, struct link *link, const struct message_count *m);

#endif
