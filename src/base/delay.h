// SPDX-License-Identifier: Apache-2.0
//
// delay.h -- waits that all take equally long, in a queue: who begins first is due first.
//
// For time-outs of requests, nearly all of which are given up: beginning and ending one moves two
// links, where a heap of timers would be put in order. The whole queue uses one timer, armed for
// the first wait or for one before it that was given up.
#ifndef QUOIT_BASE_DELAY_H
#define QUOIT_BASE_DELAY_H

#include "base/list.h"
#include "base/timer.h"

struct delay;
typedef void delay_fired(struct delay *delay);

struct delay {
    struct list link; // list_init before anything else
    uint64_t deadline;
};

struct delays {
    struct timers *timers;
    struct timer timer;
    struct list waiting; // by deadline
    const uint64_t *now; // ns, never goes back
    uint64_t duration;   // ns
    delay_fired *fired;
};

// Takes one place in `timers`. `now` is where the owner keeps the time.
void delays_init(struct delays *delays, struct timers *timers, const uint64_t *now,
                 uint64_t duration, delay_fired *fired);

// Fires after the duration, unless ended before. Requires a delay that is not under way.
void delay_begin(struct delays *delays, struct delay *delay);

static inline bool delay_is_under_way(const struct delay *delay) {
    return !list_is_empty(&delay->link);
}

// Does nothing to a delay that is not under way.
static inline void delay_end(struct delay *delay) {
    list_remove(&delay->link);
}

#endif
