// SPDX-License-Identifier: Apache-2.0
//
// purge_clock.h -- a clock by which what has expired may be destroyed.
//
// The wall clock may be wrong, or jump by a year. By it values are hidden, which is undone when it
// is set right. What is destroyed is not: so this clock follows the wall clock, but never more than
// PURGE_CLOCK_PACE times as fast as time passes, and it is stored. It is behind by half of the time
// that a member was down, at most, until it has caught up.
#ifndef QUOIT_MODEL_PURGE_CLOCK_H
#define QUOIT_MODEL_PURGE_CLOCK_H

#include <stdint.h>

enum { PURGE_CLOCK_PACE = 2 };

struct purge_clock {
    uint64_t ms;    // since 1970; 0: not begun
    uint64_t as_of; // ns, of the monotonic clock
};

// Goes on from `ms`, or where that is 0 begins at the wall clock.
void purge_clock_begin(struct purge_clock *c, uint64_t ms, uint64_t now_ns, uint64_t wall_ms);

// Moves it on. Returns what has passed by it and by the wall clock, ms since 1970.
uint64_t purge_clock_read(struct purge_clock *c, uint64_t now_ns, uint64_t wall_ms);

#endif
