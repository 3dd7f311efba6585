// SPDX-License-Identifier: Apache-2.0
//
// events.h -- what is going to happen in the simulated world, in order of time.
//
// A heap with four children to a parent. Events of the same time come out in an order drawn at
// random, so that a run explores what a fixed order would hide; the draw comes from the seed, so
// that the next run of it does the same. Nothing is taken out before its time: whoever adds an
// event checks, when it comes, whether it still means anything.
#ifndef QUOIT_SIM_EVENTS_H
#define QUOIT_SIM_EVENTS_H

#include "base/rng.h"

#include <stdbool.h>
#include <stdint.h>

struct machine;
struct event;
struct event_block;

typedef void event_run(struct event *event);

struct event {
    event_run *run;
    struct machine *machine; // not NULL: void when the process it was meant for has ended
    uint32_t life;           // which process of the machine that is
    void *target;            // these two are the adder's
    uint64_t value;
    struct event *next; // the free list's
};

struct event_entry {
    uint64_t at;  // ns of the world
    uint64_t tie; // a random number above a sequence number
    struct event *event;
};

struct events {
    struct event_entry *heap;
    uint32_t count;
    uint32_t capacity;
    uint64_t added;
    struct rng ties;
    struct event *free;
    struct event_block *blocks;
};

void events_init(struct events *events, struct rng ties);
void events_destroy(struct events *events);

// Adds an event and lends it, for the caller to fill in, until events_give.
struct event *events_add(struct events *events, uint64_t at);

// The time of the first event; UINT64_MAX when there is none.
static inline uint64_t events_next(const struct events *events) {
    return events->count == 0 ? UINT64_MAX : events->heap[0].at;
}

// Takes the first event out. Requires that there is one; give it back after running it.
struct event *events_take(struct events *events);
void events_give(struct events *events, struct event *event);

#endif
