// SPDX-License-Identifier: Apache-2.0
//
// cli_clock.h -- time for commands that wait: since an arbitrary start, never going back.
#ifndef QUOIT_BIN_CLI_CLOCK_H
#define QUOIT_BIN_CLI_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t cli_now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static inline void cli_sleep_ms(uint32_t ms) {
    const struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    nanosleep(&t, NULL);
}

#endif
