// SPDX-License-Identifier: Apache-2.0
//
// bits.h -- bytes seen as a row of bits: the first bit is the highest of the first byte.
#ifndef QUOIT_BASE_BITS_H
#define QUOIT_BASE_BITS_H

#include "base/slice.h"

// The bit at an offset; 0 past the end.
bool bits_at(struct slice bytes, uint64_t offset);

// Requires that the offset is within.
void bits_put(uint8_t *bytes, uint64_t offset, bool bit);

// How many bits are set from `first` to `last`, both included. Requires first <= last, both within.
uint64_t bits_count(struct slice bytes, uint64_t first, uint64_t last);

// The first bit of that value from `first` to `last`, both included; UINT64_MAX when there is none.
// Requires as bits_count.
uint64_t bits_find(struct slice bytes, uint64_t first, uint64_t last, bool bit);

// A number of 1 to 64 bits at an offset, highest bit first. Past the end there are zeros.
uint64_t bits_load(struct slice bytes, uint64_t offset, uint32_t width);

// Keeps the low `width` bits of the number. Requires that all of them are within.
void bits_store(uint8_t *bytes, uint64_t offset, uint32_t width, uint64_t number);

#endif
