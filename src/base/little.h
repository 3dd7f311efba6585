// SPDX-License-Identifier: Apache-2.0
//
// little.h -- single numbers in little-endian bytes, at any alignment.
//
// For decoders and encoders that have checked the size of a whole run of fields at once; where that
// is not worth it, codec.h checks each field by itself. Compilers turn each of these into one
// instruction.
#ifndef QUOIT_BASE_LITTLE_H
#define QUOIT_BASE_LITTLE_H

#include <assert.h>
#include <stdint.h>
#include <string.h>

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "fields are copied as they are");

static inline uint16_t load_u16(const uint8_t *from) {
    uint16_t value;
    memcpy(&value, from, sizeof(value));
    return value;
}

static inline uint32_t load_u32(const uint8_t *from) {
    uint32_t value;
    memcpy(&value, from, sizeof(value));
    return value;
}

static inline uint64_t load_u64(const uint8_t *from) {
    uint64_t value;
    memcpy(&value, from, sizeof(value));
    return value;
}

// Each returns the place after what it stored.
static inline uint8_t *store_u8(uint8_t *to, uint8_t value) {
    *to = value;
    return to + sizeof(value);
}

static inline uint8_t *store_u16(uint8_t *to, uint16_t value) {
    memcpy(to, &value, sizeof(value));
    return to + sizeof(value);
}

static inline uint8_t *store_u32(uint8_t *to, uint32_t value) {
    memcpy(to, &value, sizeof(value));
    return to + sizeof(value);
}

static inline uint8_t *store_u64(uint8_t *to, uint64_t value) {
    memcpy(to, &value, sizeof(value));
    return to + sizeof(value);
}

#endif
