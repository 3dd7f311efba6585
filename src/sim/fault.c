// SPDX-License-Identifier: Apache-2.0
#include "sim/fault.h"

#include "base/hash.h"

#include <string.h>

struct rng fault_stream(uint64_t seed, uint32_t purpose, uint32_t owner) {
    uint64_t which = (uint64_t)purpose << 32 | owner;
    return (struct rng){hash_number(hash_number(seed + 1) ^ hash_number(~which))};
}

void dice_init(struct dice *dice, uint64_t seed, uint32_t owner, const uint32_t *rates,
               uint64_t *counts) {
    for (uint32_t i = 0; i < FAULT_COUNT; i++) dice->streams[i] = fault_stream(seed, i, owner);
    static_assert(FAULT_COUNT <= 64, "a bit of `spared` for each");
    dice->spared = 0;
    memset(dice->planned, 0, sizeof(dice->planned));
    dice->rates = rates;
    dice->counts = counts;
}

bool dice_roll(struct dice *dice, enum fault fault) {
    return dice_roll_many(dice, fault, 1);
}

bool dice_roll_many(struct dice *dice, enum fault fault, uint32_t times) {
    must(fault < FAULT_COUNT);
    if (dice->planned[fault] > 0 && --dice->planned[fault] == 0) {
        dice->counts[fault]++;
        return true;
    }
    uint64_t rate = (uint64_t)dice->rates[fault] * times;
    if (rate == 0 || (dice->spared >> fault & 1) != 0) return false;
    if (rng_below(&dice->streams[fault], FAULT_CERTAIN) >= rate) return false;
    dice->counts[fault]++;
    return true;
}

void dice_plan(struct dice *dice, enum fault fault, uint32_t rolls) {
    must(fault < FAULT_COUNT);
    dice->planned[fault] = rolls;
}

void dice_count(struct dice *dice, enum fault fault) {
    must(fault < FAULT_COUNT);
    dice->counts[fault]++;
}

const char *fault_name(enum fault fault) {
    switch (fault) {
#define X(name, text)                                                                              \
    case FAULT_##name:                                                                             \
        return text;
        FAULT_MAP(X)
#undef X
    case FAULT_COUNT:
        break;
    }
    unreachable();
}

uint64_t rng_spread(struct rng *rng, uint64_t low, uint64_t high) {
    must(low <= high);
    uint32_t doublings = 0;
    while (doublings < 63 && low << doublings < high / 2) doublings++;
    uint64_t from = low << rng_below(rng, doublings + 1);
    uint64_t to = from > high / 2 ? high : from * 2;
    return from >= to ? high : from + rng_next(rng) % (to - from + 1);
}

uint64_t rng_delay(struct rng *rng, uint64_t typical) {
    uint64_t bits = rng_next(rng);
    uint32_t doublings = 0;
    while (doublings < 5 && (bits & 7) == 0) { // one in eight doubles it, and so on
        bits >>= 3;
        doublings++;
    }
    uint64_t most = typical << doublings;
    return most / 2 + (bits >> 16) % (most / 2 + 1);
}
