// SPDX-License-Identifier: Apache-2.0
//
// histogram.h -- how long things took, in fixed memory.
//
// Values up to 63 have a bucket each. Above that, every power of two is cut into 64 buckets of
// equal width, so that a bucket is never wider than 1/64 of the values in it:
//
//     0 1 2 ... 63 | 64 65 ... 127 | 128 130 ... 254 | 256 260 ... 508 | ...
//
// What is reported of a bucket is its middle, which is off by less than 0.8 %. Count, sum and
// maximum are exact. Values of 2^40 (eighteen minutes in ns) and more share the last bucket.
#ifndef QUOIT_BASE_HISTOGRAM_H
#define QUOIT_BASE_HISTOGRAM_H

#include <stdint.h>

enum {
    HISTOGRAM_BITS = 40,      // of the values that are told apart
    HISTOGRAM_WIDTH_BITS = 6, // 64 buckets for each power of two
    HISTOGRAM_BUCKETS = (HISTOGRAM_BITS - HISTOGRAM_WIDTH_BITS + 1) << HISTOGRAM_WIDTH_BITS,
};

struct histogram {
    uint64_t count;
    uint64_t sum; // wraps; in ns after five centuries
    uint64_t max;
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_init(struct histogram *h);
void histogram_add(struct histogram *h, uint64_t value);

// Adds everything that `other` has seen.
void histogram_merge(struct histogram *h, const struct histogram *other);

// The value that a share of `quantile` of all values does not exceed: 0.5 is the median. Zero when
// nothing was added. Requires 0 <= quantile <= 1.
uint64_t histogram_quantile(const struct histogram *h, double quantile);

// How many values were less than a power of two, which is where a bucket begins; all of them, when
// it is more than values are told apart up to.
uint64_t histogram_below(const struct histogram *h, uint64_t edge);

static inline uint64_t histogram_max(const struct histogram *h) {
    return h->max;
}

static inline uint64_t histogram_mean(const struct histogram *h) {
    return h->count == 0 ? 0 : h->sum / h->count;
}

#endif
