// SPDX-License-Identifier: Apache-2.0
//
// slice.h -- bytes that belong to somebody else.
//
// A slice is a view: it never owns and is never freed. It lives as long as the buffer it points
// into, which the function that lends it names.
#ifndef QUOIT_BASE_SLICE_H
#define QUOIT_BASE_SLICE_H

#include "base/must.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
    const uint8_t *data;
    size_t size;
};

#define SLICE(literal) ((struct slice){(const uint8_t *)(literal), sizeof(literal) - 1})

static inline bool slice_equal(struct slice a, struct slice b) {
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

// Byte order, a prefix before what it begins: negative, 0 or positive.
static inline int slice_compare(struct slice a, struct slice b) {
    size_t size = a.size < b.size ? a.size : b.size;
    int order = size == 0 ? 0 : memcmp(a.data, b.data, size);
    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

// The part of s after its first n bytes.
static inline struct slice slice_skip(struct slice s, size_t n) {
    must(n <= s.size);
    return (struct slice){s.data + n, s.size - n};
}

#endif
