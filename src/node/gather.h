// SPDX-License-Identifier: Apache-2.0
//
// gather.h -- lists of keys from several replicas of a run, made one.
//
// Each replica lists what it holds, in order, and says how far its list is complete; together they
// are complete up to the least of these. What a list says is checked before it counts.
//
//     replica 1   a     c  d ------------- |
//     replica 2   a  b  c ------ |              gathered: a, b, c; up to there
//
// SCAN and KV.RANGE both begin so (survey.c, range.c). An operation has one gathering at a time.
#ifndef QUOIT_NODE_GATHER_H
#define QUOIT_NODE_GATHER_H

#include "node/operation.h"
#include "wire/message.h"

typedef void gather_decide(struct operation *o);

struct gather_part {
    uint8_t *bytes;     // buffer; NULL: no answer, or none that counts
    uint32_t cell;      // complete up to the key of this cell
    struct slice key;   // in `bytes`, like
    size_t size;        // of all entries
    struct reader rest; // those not yet taken
    struct message_listed next;
    bool has_next;
};

struct gather {
    struct message_scan wish; // its keys are in `bytes`
    gather_decide *decide;
    bool is_asking; // own replica: the answer may come before the question is out
    uint32_t leads; // replicas asked for records, too
    struct gather_part parts[REPLICAS_MAX];
    uint8_t bytes[];
};

// What the replicas have of one key. Slices lend until gather_end.
struct gathered {
    uint32_t cell;
    struct slice key;
    bool is_agreed;      // all hold the same, durably
    bool is_dead;        // ... and no value of it is live
    struct slice record; // ... and this is it; empty: nobody sent it
};

// Begins anew: copies the wish (its id aside), drops what was gathered before, and gives the
// operation a new id. `decide` is called after each answer. False: there is no memory.
bool gather_begin(struct operation *o, const struct message_scan *wish, gather_decide *decide);

// Asks a replica, which then votes by its answer; at once, if it cannot be asked. `flags` are added
// to the wish's.
void gather_ask(struct operation *o, uint32_t place, uint8_t flags);

void gather_on_answer(struct operation *o, uint32_t member, const struct message_scan_done *m);
void gather_on_lost(struct operation *o, uint32_t member);

// The next key. False: there are no more up to where the lists are complete.
bool gather_next(struct operation *o, struct gathered *item);

// How far they are: up to the key of the cell. The cell is the end of the wish when they are
// complete.
void gather_reached(const struct operation *o, uint32_t *cell, struct slice *key);

// Bytes of all lists.
size_t gather_size(const struct operation *o);

// Lets go of it all, if there is anything.
void gather_end(struct operation *o);

#endif
