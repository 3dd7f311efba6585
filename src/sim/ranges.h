// SPDX-License-Identifier: Apache-2.0
//
// ranges.h -- the ranges that clients of the workload ask for, and what the replies must be.
//
// Half of the keys share a tag. A range shows keys of it in order and from bound to bound, and each
// as a plain read would: what is left out between what is shown was read, too, and not there.
#ifndef QUOIT_SIM_RANGES_H
#define QUOIT_SIM_RANGES_H

#include "sim/oracle.h"

#define RANGES_TAG "t"
#define RANGES_PREFIX "{" RANGES_TAG "}"

enum { RANGES_BOUND_MAX = 32 };

struct range_ask {
    char from[RANGES_BOUND_MAX]; // "": no range, or none that can go on
    char to[RANGES_BOUND_MAX];
    uint32_t limit; // 0: none is given
    bool is_reverse;
};

// Draws a range or, often, lets the one that was asked before go on.
void ranges_draw(struct range_ask *ask, struct rng *rng, const struct oracle *oracle);

// The reply to a range, that began at `start` and asked `need` replicas. `before`: for each key the
// write that was done and stood before it in one batch, or ORACLE_NONE. Makes the range one that
// goes on.
void ranges_judge(struct oracle *oracle, struct range_ask *ask, uint64_t start, uint32_t need,
                  const uint32_t *before, struct slice reply);

#endif
