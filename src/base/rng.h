// SPDX-License-Identifier: Apache-2.0
//
// rng.h -- seeded random numbers (splitmix64).
//
// Randomness is state like any other: whoever needs some owns a struct rng, seeded by its creator.
// The same seed gives the same numbers on every machine. Not for secrets.
#ifndef QUOIT_BASE_RNG_H
#define QUOIT_BASE_RNG_H

#include "base/must.h"

#include <stdint.h>

struct rng {
    uint64_t state;
};

static inline uint64_t rng_next(struct rng *rng) {
    uint64_t z = rng->state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

// A number in [0, bound). The bias of the modulo is below 2^-32 for every bound we use.
static inline uint32_t rng_below(struct rng *rng, uint32_t bound) {
    must(bound > 0);
    return (uint32_t)(rng_next(rng) % bound);
}

// True in `of` out of `in` cases. Chances are ratios, never floats, so that they agree everywhere.
static inline bool rng_chance(struct rng *rng, uint32_t of, uint32_t in) {
    must(of <= in);
    return rng_below(rng, in) < of;
}

#endif
