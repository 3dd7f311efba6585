// SPDX-License-Identifier: Apache-2.0
#include "store/filter.h"

#include "base/hash.h"
#include "base/must.h"

enum { PROBES = 7, BIT_OF_LINE = 9 }; // 2^9 bits to a line; 7 * 9 bits of one number

uint32_t filter_line_count(uint64_t key_count) {
    enum { LINE_BITS = FILTER_LINE * 8 };
    uint64_t lines = (key_count * FILTER_BITS_PER_KEY + LINE_BITS - 1) / LINE_BITS;
    must(lines < UINT32_MAX);
    return lines == 0 ? 1 : (uint32_t)lines;
}

static uint8_t *line_of(const struct filter *f, uint64_t hash) {
    return f->lines + (((hash >> 32) * f->line_count) >> 32) * FILTER_LINE;
}

void filter_add(struct filter *f, uint64_t hash) {
    uint8_t *line = line_of(f, hash);
    uint64_t bits = hash_number(hash);
    for (int i = 0; i < PROBES; i++, bits >>= BIT_OF_LINE) {
        uint32_t bit = bits & ((1u << BIT_OF_LINE) - 1);
        line[bit / 8] |= (uint8_t)(1u << bit % 8);
    }
}

bool filter_may_hold(const struct filter *f, uint64_t hash) {
    const uint8_t *line = line_of(f, hash);
    uint64_t bits = hash_number(hash);
    for (int i = 0; i < PROBES; i++, bits >>= BIT_OF_LINE) {
        uint32_t bit = bits & ((1u << BIT_OF_LINE) - 1);
        if ((line[bit / 8] >> bit % 8 & 1) == 0) return false;
    }
    return true;
}
