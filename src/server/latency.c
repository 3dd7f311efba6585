// SPDX-License-Identifier: Apache-2.0
#include "server/latency.h"

#include "base/must.h"

const char *latency_name(enum latency_event event) {
    switch (event) {
    case LATENCY_COMMAND:
        return "command";
    case LATENCY_FAST_COMMAND:
        return "fast-command";
    case LATENCY_EVENTS:
        break;
    }
    unreachable();
}

void latency_note(struct latency *l, enum latency_event event, uint64_t time_s, uint64_t ms) {
    struct latency_series *series = &l->series[event];
    if (ms > series->max_ms) series->max_ms = ms;
    if (series->count > 0) {
        struct latency_sample *last = &series->samples[(series->count - 1) % LATENCY_SAMPLES];
        if (last->time_s == time_s) {
            if (ms > last->ms) last->ms = ms;
            return;
        }
    }
    series->samples[series->count++ % LATENCY_SAMPLES] = (struct latency_sample){time_s, ms};
}

uint32_t latency_kept(const struct latency *l, enum latency_event event) {
    uint64_t count = l->series[event].count;
    return count < LATENCY_SAMPLES ? (uint32_t)count : LATENCY_SAMPLES;
}

const struct latency_sample *latency_sample(const struct latency *l, enum latency_event event,
                                            uint32_t index) {
    uint32_t kept = latency_kept(l, event);
    must(index < kept);
    const struct latency_series *series = &l->series[event];
    return &series->samples[(series->count - kept + index) % LATENCY_SAMPLES];
}

bool latency_reset(struct latency *l, enum latency_event event) {
    bool had_any = l->series[event].count > 0;
    l->series[event].count = 0;
    l->series[event].max_ms = 0;
    return had_any;
}
