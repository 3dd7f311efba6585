// SPDX-License-Identifier: Apache-2.0
//
// bitmap.h -- a set of small numbers: bit i % 8 of byte i / 8 stands for i.
#ifndef QUOIT_BASE_BITMAP_H
#define QUOIT_BASE_BITMAP_H

#include <stdbool.h>
#include <stdint.h>

static inline bool bitmap_has(const uint8_t *bits, uint32_t i) {
    return (bits[i / 8] >> i % 8 & 1) != 0;
}

static inline void bitmap_add(uint8_t *bits, uint32_t i) {
    bits[i / 8] |= (uint8_t)(1u << i % 8);
}

static inline void bitmap_remove(uint8_t *bits, uint32_t i) {
    bits[i / 8] &= (uint8_t) ~(1u << i % 8);
}

#endif
