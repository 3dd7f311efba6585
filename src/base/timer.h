// SPDX-License-Identifier: Apache-2.0
//
// timer.h -- a heap of deadlines that its owner runs.
//
// A timer is embedded in the thing that waits. Arming, moving and disarming are O(log n) and cannot
// fail: the heap has room for as many timers as its owner has things that wait. Equal deadlines
// fire in the order in which they were armed, so a run depends on its inputs alone.
#ifndef QUOIT_BASE_TIMER_H
#define QUOIT_BASE_TIMER_H

#include "base/arena.h"

#include <stdbool.h>
#include <stdint.h>

#define NS_PER_MS 1000000ull
#define NS_PER_SECOND 1000000000ull
#define TIMER_NEVER UINT64_MAX

struct timer;
typedef void timer_fired(struct timer *timer);

struct timer {
    timer_fired *fired; // set by the owner before arming
    uint64_t deadline;  // ns, in the time of env->now
    uint64_t order;     // the heap's
    uint32_t place;     // the heap's: 0 while not armed, else index + 1
};

struct timers {
    struct timer **heap; // heap[0] is due first
    uint32_t count;
    uint32_t capacity;
    uint64_t armed; // how often anything was armed: breaks ties
};

// Room for `capacity` armed timers.
void timers_init(struct timers *timers, struct arena *arena, uint32_t capacity);

// Arms a timer, or moves the deadline of one that is armed.
void timer_arm(struct timers *timers, struct timer *timer, uint64_t deadline);

// Does nothing to a timer that is not armed.
void timer_disarm(struct timers *timers, struct timer *timer);

static inline bool timer_is_armed(const struct timer *timer) {
    return timer->place != 0;
}

// The earliest deadline, or TIMER_NEVER.
uint64_t timers_next(const struct timers *timers);

// Fires everything due at `now`, earliest first. What a callback arms for now or earlier fires
// in the next run, so that a timer that re-arms itself cannot hold the loop.
void timers_run(struct timers *timers, uint64_t now);

#endif
