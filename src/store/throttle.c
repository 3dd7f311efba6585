// SPDX-License-Identifier: Apache-2.0
#include "store/throttle.h"

enum {
    MEASURE_MS = 200,
    REST_MS = 1000,
    BURST_MS = 20,              // credit is not saved up for longer
    RATE_MIN = 4 * 1024 * 1024, // bytes a second, before the share is taken
    NS_PER_US = 1000,
    NS_PER_MS = 1000 * 1000,
    US_PER_MS = 1000,
    US_PER_S = 1000 * 1000,
    MS_PER_S = 1000,
};

static uint64_t least(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

// Takes the measure when its time is over: half of the rate is what was new, and after a long rest
// all of it.
static void measure(struct throttle *t, uint64_t now) {
    uint64_t passed_ms = (now - t->begin) / NS_PER_MS;
    if (passed_ms < MEASURE_MS) return;
    uint64_t rate = t->merged * MS_PER_S / passed_ms;
    t->rate = passed_ms > REST_MS ? rate : (t->rate + rate) / 2;
    t->begin = now;
    t->merged = 0;
}

void throttle_note_merged(struct throttle *t, uint64_t now, uint64_t bytes) {
    measure(t, now);
    t->merged += bytes;
}

bool throttle_allows(struct throttle *t, uint64_t now, uint64_t share) {
    measure(t, now);
    uint64_t rate = (t->rate > RATE_MIN ? t->rate : RATE_MIN) * share / THROTTLE_WHOLE;
    uint64_t passed_us = least((now - t->credit_at) / NS_PER_US, (uint64_t)BURST_MS * US_PER_MS);
    int64_t more = (int64_t)(rate * passed_us / US_PER_S);
    if (more > 0) { // else too little time has passed to tell
        int64_t most = (int64_t)(rate * BURST_MS / MS_PER_S);
        t->credit = t->credit + more < most ? t->credit + more : most;
        t->credit_at = now;
    }
    return t->credit > 0;
}

void throttle_note_written(struct throttle *t, uint64_t bytes) {
    t->credit -= (int64_t)bytes;
}
