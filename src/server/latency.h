// SPDX-License-Identifier: Apache-2.0
//
// latency.h -- moments at which commands took long, as LATENCY shows them.
//
// Two events, with the names that Redis has for them: `command`, and `fast-command` for those that
// COMMAND calls fast. Of each the worst of a second is one sample, and the last samples are kept.
#ifndef QUOIT_SERVER_LATENCY_H
#define QUOIT_SERVER_LATENCY_H

#include <stdbool.h>
#include <stdint.h>

enum latency_event { LATENCY_COMMAND, LATENCY_FAST_COMMAND, LATENCY_EVENTS };

enum { LATENCY_SAMPLES = 160 };

struct latency_sample {
    uint64_t time_s; // since 1970
    uint64_t ms;
};

struct latency {
    struct latency_series {
        uint64_t count; // ever; sample n at n % LATENCY_SAMPLES
        uint64_t max_ms;
        struct latency_sample samples[LATENCY_SAMPLES];
    } series[LATENCY_EVENTS];
};

const char *latency_name(enum latency_event event);

void latency_note(struct latency *l, enum latency_event event, uint64_t time_s, uint64_t ms);

// Samples that are kept, and one of them, 0 being the oldest.
uint32_t latency_kept(const struct latency *l, enum latency_event event);
const struct latency_sample *latency_sample(const struct latency *l, enum latency_event event,
                                            uint32_t index);

// Forgets one event. False: there was nothing.
bool latency_reset(struct latency *l, enum latency_event event);

#endif
