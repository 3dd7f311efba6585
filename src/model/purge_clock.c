// SPDX-License-Identifier: Apache-2.0
#include "model/purge_clock.h"

#include "base/timer.h"

void purge_clock_begin(struct purge_clock *c, uint64_t ms, uint64_t now_ns, uint64_t wall_ms) {
    *c = (struct purge_clock){.ms = ms > 0 ? ms : wall_ms, .as_of = now_ns};
}

uint64_t purge_clock_read(struct purge_clock *c, uint64_t now_ns, uint64_t wall_ms) {
    uint64_t passed_ms = (now_ns - c->as_of) / NS_PER_MS;
    c->as_of += passed_ms * NS_PER_MS;
    uint64_t most = c->ms + PURGE_CLOCK_PACE * passed_ms;
    if (wall_ms > c->ms) c->ms = wall_ms < most ? wall_ms : most;
    return wall_ms < c->ms ? wall_ms : c->ms;
}
