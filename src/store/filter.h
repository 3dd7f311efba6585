// SPDX-License-Identifier: Apache-2.0
//
// filter.h -- which keys a table may hold: a blocked Bloom filter.
//
// Putze, Sanders, Singler: "Cache-, hash- and space-efficient Bloom filters", WEA 2007. All bits of
// a key lie in one line of 64 bytes, so a question costs one cache miss; the price is about a tenth
// more bits for the same rate of false answers. With 11 bits a key that rate is below 1 %.
//
// "No" is certain. A filter whose bytes have changed could say "no" of a key that is there, which
// is why its owner checks them.
#ifndef QUOIT_STORE_FILTER_H
#define QUOIT_STORE_FILTER_H

#include <stdbool.h>
#include <stdint.h>

enum { FILTER_LINE = 64, FILTER_BITS_PER_KEY = 11 };

struct filter {
    uint8_t *lines; // borrowed
    uint32_t line_count;
};

// Lines for so many keys; at least one.
uint32_t filter_line_count(uint64_t key_count);

// For how many keys the filter of a table above the base is made. A question asks all of these
// tables and but one of the base, and they are small: half as many bits more for a third of the
// false answers or less (Dayan, Athanassoulis, Idreos: "Monkey: optimal navigable key-value store",
// SIGMOD 2017).
static inline uint64_t filter_keys_above(uint64_t key_count) {
    return key_count + key_count / 2;
}

static inline uint64_t filter_size(const struct filter *f) {
    return (uint64_t)f->line_count * FILTER_LINE;
}

// Hashes are 64 good bits.
void filter_add(struct filter *f, uint64_t hash);
bool filter_may_hold(const struct filter *f, uint64_t hash);

#endif
