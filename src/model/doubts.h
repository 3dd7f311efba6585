// SPDX-License-Identifier: Apache-2.0
//
// doubts.h -- which of very many members may be gone: one begins to doubt, all look, some vouch.
//
// Where members are too many for each to hear from each other one all the time, each asks a few of
// the others in a round. Who gets no answer begins to doubt, and tells of it with its gossip.
// Whoever hears of a doubt asks the doubted member itself, at once, and tells others in turn unless
// that is answered. So the doubt of a member that is gone gets to everybody within some rounds, and
// each has looked for itself by then; the doubt of one that is there ends with the first who ask.
// They vouch for it to those who told them, and these do likewise: it is up, and only a connection
// is broken. (Das, Gupta, Motivala: SWIM, DSN 2002, where some are asked to ask for us.)
//
// Who was vouched for, and is silent still, is not doubted by us again for a while that doubles. A
// doubt of others counts meanwhile: when the member is gone at last, they notice.
//
// Times are in ns, of a clock of the caller's that stands still while the process does.
#ifndef QUOIT_MODEL_DOUBTS_H
#define QUOIT_MODEL_DOUBTS_H

#include <stdbool.h>
#include <stdint.h>

#define DOUBTS_REST_FIRST_NS UINT64_C(2000000000)
#define DOUBTS_REST_MOST_NS UINT64_C(64000000000)

enum {
    DOUBTS_TOLD_MAX = 8, // doubts in one message
    DOUBTS_SENDS = 32,   // a doubt is told so often, which is more than it takes to reach all
    DOUBT_BY_NONE = 65535,
};

struct doubt {
    bool is_held;
    uint64_t since;
    uint16_t by;      // who told us of it, or DOUBT_BY_NONE: we noticed
    uint16_t sends;   // how often we told others
    uint64_t rest;    // until then we raise none
    uint64_t rest_ns; // how long that was
};

struct doubts {
    struct doubt *all; // borrowed, like the next; one for each member
    uint16_t *telling; // whom others are still to be told of
    uint32_t telling_count;
    uint32_t turn; // in these
    uint32_t capacity;
};

// Borrows memory for `capacity` members, which is below DOUBT_BY_NONE. No doubts.
void doubts_init(struct doubts *doubts, struct doubt *memory, uint16_t *telling, uint32_t capacity);
void doubts_forget(struct doubts *doubts);

// The member does not answer us.
void doubts_raise(struct doubts *doubts, uint32_t member, uint64_t now);

// Member `by` doubts the member. True: ask it now.
bool doubts_hear(struct doubts *doubts, uint32_t member, uint32_t by, uint64_t now);

// The member has given us a sign of life (is_answer), or somebody who had one vouches for it.
// Returns to whom it is to be vouched for in turn, or DOUBT_BY_NONE.
uint32_t doubts_end(struct doubts *doubts, uint32_t member, bool is_answer, uint64_t now);

// Chooses up to DOUBTS_TOLD_MAX for a message, of those that are `ripe` ns old, and returns how
// many.
uint32_t doubts_pick(struct doubts *doubts, uint64_t now, uint64_t ripe,
                     uint16_t members[DOUBTS_TOLD_MAX]);

// Whether the member is doubted, and has been for that long.
bool doubts_is_old(const struct doubts *doubts, uint32_t member, uint64_t age, uint64_t now);

#endif
