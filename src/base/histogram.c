// SPDX-License-Identifier: Apache-2.0
#include "base/histogram.h"

#include "base/must.h"

#include <string.h>

enum { WIDTH = 1 << HISTOGRAM_WIDTH_BITS };

static const uint64_t value_max = ((uint64_t)1 << HISTOGRAM_BITS) - 1;

// With `shift` bits dropped so that WIDTH <= value < 2 * WIDTH, the value counts on from the
// buckets of smaller powers of two by itself.
static uint32_t index_of(uint64_t value) {
    if (value > value_max) value = value_max;
    if (value < WIDTH) return (uint32_t)value;
    uint32_t top = 63 - (uint32_t)__builtin_clzll(value);
    uint32_t shift = top - HISTOGRAM_WIDTH_BITS;
    return shift * WIDTH + (uint32_t)(value >> shift);
}

static uint64_t middle_of(uint32_t index) {
    if (index < WIDTH) return index;
    uint32_t shift = index / WIDTH - 1;
    uint64_t lowest = (uint64_t)(index - shift * WIDTH) << shift;
    return lowest + ((uint64_t)1 << shift) / 2;
}

void histogram_init(struct histogram *h) {
    memset(h, 0, sizeof(*h));
}

void histogram_add(struct histogram *h, uint64_t value) {
    h->count++;
    h->sum += value;
    if (value > h->max) h->max = value;
    h->buckets[index_of(value)]++;
}

void histogram_merge(struct histogram *h, const struct histogram *other) {
    h->count += other->count;
    h->sum += other->sum;
    if (other->max > h->max) h->max = other->max;
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) h->buckets[i] += other->buckets[i];
}

uint64_t histogram_quantile(const struct histogram *h, double quantile) {
    must(quantile >= 0);
    must(quantile <= 1);
    if (h->count == 0) return 0;
    // Most decimal fractions have no double of their own, and the one above 0.07 must not make of
    // the seventh of a hundred values the eighth.
    double share = quantile * (double)h->count * (1 - 1e-12);
    uint64_t rank = (uint64_t)share;
    if ((double)rank < share) rank++;
    if (rank == h->count) return h->max; // which is exact
    if (rank == 0) rank = 1;
    uint64_t seen = 0;
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += h->buckets[i];
        if (seen < rank) continue;
        uint64_t middle = middle_of(i);
        return middle < h->max ? middle : h->max;
    }
    unreachable();
}

uint64_t histogram_below(const struct histogram *h, uint64_t edge) {
    must(edge > 0);
    must((edge & (edge - 1)) == 0);
    if (edge > value_max) return h->count;
    uint64_t below = 0;
    uint32_t end = index_of(edge);
    for (uint32_t i = 0; i < end; i++) below += h->buckets[i];
    return below;
}
