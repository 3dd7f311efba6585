// SPDX-License-Identifier: Apache-2.0
//
// context.h -- what is known of the history of a key: a version vector.
//
//     context = for each actor, how many of its events on this key are known: all up to a counter
//
// An actor is one life of one replica's data: the id made with its data directory and an epoch that
// is raised whenever the replica cannot prove that it forgot nothing. A replica that forgot and
// went on under its old name would mint a dot twice, or claim events that it no longer has.
//
// Contexts only grow, by joining: the join is the least context that knows all that either knows.
#ifndef QUOIT_MODEL_CONTEXT_H
#define QUOIT_MODEL_CONTEXT_H

#include "base/codec.h"
#include "base/limits.h"
#include "base/status.h"

struct actor {
    uint64_t storage; // made at random with the data directory
    uint32_t epoch;   // from 1
};

// In a context: all events of the actor up to `counter`, from 1. As a dot: that event alone.
struct version {
    struct actor actor;
    uint64_t counter;
};

struct context {
    uint32_t count;
    struct version entries[CONTEXT_MAX]; // by actor, strictly ascending; no counter is 0
};

// Ascending order: negative, 0 or positive.
static inline int actor_compare(struct actor a, struct actor b) {
    if (a.storage != b.storage) return a.storage < b.storage ? -1 : 1;
    return (a.epoch > b.epoch) - (a.epoch < b.epoch);
}

static inline int version_compare(struct version a, struct version b) {
    int order = actor_compare(a.actor, b.actor);
    return order != 0 ? order : (a.counter > b.counter) - (a.counter < b.counter);
}

static inline void context_clear(struct context *c) {
    c->count = 0;
}

// Index of the actor's entry, or `count` when there is none.
uint32_t context_find(const struct context *c, struct actor actor);

// How many events of the actor the context knows.
static inline uint64_t context_counter(const struct context *c, struct actor actor) {
    uint32_t index = context_find(c, actor);
    return index < c->count ? c->entries[index].counter : 0;
}

static inline bool context_covers(const struct context *c, struct version dot) {
    return context_counter(c, dot.actor) >= dot.counter;
}

// True when `a` knows every event that `b` knows.
bool context_descends(const struct context *a, const struct context *b);

// The latest event that the context knows of any actor with that storage id: of the highest epoch.
// Its counter is 0 when there is none.
struct version context_latest(const struct context *c, uint64_t storage);

// Adds to `c` all that the version or the other context knows. ST_HISTORY_FULL, and no change, when
// that is more than CONTEXT_MAX actors. Requires a version that can be: epoch and counter from 1.
NODISCARD enum status context_add(struct context *c, struct version version);
NODISCARD enum status context_join(struct context *c, const struct context *other);

// Copies only the entries in use.
void context_copy(struct context *to, const struct context *from);

// A 16-bit count, then the entries. One context has one encoding.
enum { CONTEXT_ENTRY_ENCODED_SIZE = 8 + 4 + 8 };

static inline size_t context_encoded_size(const struct context *c) {
    return 2 + (size_t)c->count * CONTEXT_ENTRY_ENCODED_SIZE;
}

void context_encode(const struct context *c, struct writer *w);

// Reads a context in the middle of other things; failure sticks to the reader. Leaves an empty
// context then.
void context_decode(struct context *c, struct reader *r);

#endif
