// SPDX-License-Identifier: Apache-2.0
//
// rumors.h -- which news of members the next message of gossip carries, and who gets it.
//
// A message carries RUMORS_MAX rows at most, however many members there are: first the sender's own
// and the receiver's, then those that were passed on least often since something pressing changed
// in them, and in the last few places whatever is next as all are gone through in turn. Others know
// what is pressing soon (each change is passed on by everybody who hears of it), and what changes
// no more is not starved by what always does.
//
// What the receiver has been told since it last changed, or has told us itself, is not news. So in
// a small cluster, where everything fits, no row is sent twice.
//
// In a cluster too large to talk to all in each round, members are talked to one after the other,
// in an order that is drawn anew after each lap: nobody waits for longer than two laps.
#ifndef QUOIT_MODEL_RUMORS_H
#define QUOIT_MODEL_RUMORS_H

#include "base/rng.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    RUMORS_MAX = 8,        // rows in a message, of which a quarter in turn
    RUMOR_BY_NONE = 65535, // nobody is known to have said it
};

// What is to be known of the row of one member.
struct rumor {
    uint64_t changed; // number of its last change; 0: nothing was ever heard
    uint16_t by;      // who told us of it
    uint16_t sends;   // since it last was pressing
    bool is_picked;
    // And of it as a receiver:
    uint16_t order; // whom it is the turn of
    uint64_t told;  // number of the change up to which it has been told everything
};

struct rumors {
    struct rumor *all; // borrowed; one for each member
    uint32_t capacity;
    uint32_t count;
    uint32_t self;
    uint64_t changes;
    uint32_t turn;  // of rows
    uint32_t lap;   // members talked to in this lap
    uint32_t fresh; // rows that were passed on seldom since they last were pressing
};

// Borrows memory for `capacity` members.
void rumors_init(struct rumors *rumors, struct rumor *memory, uint32_t capacity);

// There are so many members from now on, and nothing is known of them.
void rumors_begin(struct rumors *rumors, uint32_t count, uint32_t self);

// Others have come: there are so many from now on.
void rumors_grow(struct rumors *rumors, uint32_t count);

// The row of the member has changed, as member `by` says; others want to know that soon if it is
// pressing.
void rumors_change(struct rumors *rumors, uint32_t member, uint32_t by, bool is_pressing);

// Chooses the rows for a message to a member; returns how many, in ascending order. With `is_kept`
// the receiver is sure to remember what it is told.
uint32_t rumors_pick(struct rumors *rumors, uint32_t to, bool is_kept, uint16_t rows[RUMORS_MAX]);

// What was on its way to the member may not have come, and it may have forgotten the rest.
void rumors_forget(struct rumors *rumors, uint32_t member);

// Whose turn it is to be talked to. Requires another member than this one.
uint32_t rumors_next_peer(struct rumors *rumors, struct rng *rng);

#endif
