// SPDX-License-Identifier: Apache-2.0
#include "base/codec.h"

struct reader reader_of(struct slice bytes) {
    return (struct reader){.rest = bytes};
}

// Lends the next n bytes, or a view of nothing when there are fewer than n.
static struct slice take(struct reader *r, size_t n) {
    if (r->failed || n > r->rest.size) {
        r->failed = true;
        return (struct slice){0};
    }
    struct slice taken = {r->rest.data, n};
    r->rest = slice_skip(r->rest, n);
    return taken;
}

static uint64_t read_little(struct reader *r, size_t width) {
    struct slice s = take(r, width);
    uint64_t value = 0;
    for (size_t i = s.size; i > 0; i--) value = value << 8 | s.data[i - 1];
    return value;
}

uint8_t read_u8(struct reader *r) {
    return (uint8_t)read_little(r, 1);
}

uint16_t read_u16(struct reader *r) {
    return (uint16_t)read_little(r, 2);
}

uint32_t read_u32(struct reader *r) {
    return (uint32_t)read_little(r, 4);
}

uint64_t read_u64(struct reader *r) {
    return read_little(r, 8);
}

struct slice read_bytes(struct reader *r, size_t size) {
    return take(r, size);
}

struct slice read_sized(struct reader *r, size_t size_max) {
    size_t size = read_u32(r);
    if (size > size_max) r->failed = true;
    return take(r, size);
}

bool reader_done(const struct reader *r) {
    return !r->failed && r->rest.size == 0;
}

struct writer writer_to(uint8_t *data, size_t capacity) {
    must(data != NULL);
    return (struct writer){.data = data, .capacity = capacity};
}

static void put(struct writer *w, const uint8_t *data, size_t n) {
    if (w->failed || n > w->capacity - w->size) {
        w->failed = true;
        return;
    }
    if (n > 0) memcpy(w->data + w->size, data, n);
    w->size += n;
}

static void write_little(struct writer *w, uint64_t value, size_t width) {
    uint8_t bytes[8];
    must(width <= sizeof(bytes));
    for (size_t i = 0; i < width; i++) bytes[i] = (uint8_t)(value >> (8 * i));
    put(w, bytes, width);
}

void write_u8(struct writer *w, uint8_t value) {
    write_little(w, value, 1);
}

void write_u16(struct writer *w, uint16_t value) {
    write_little(w, value, 2);
}

void write_u32(struct writer *w, uint32_t value) {
    write_little(w, value, 4);
}

void write_u64(struct writer *w, uint64_t value) {
    write_little(w, value, 8);
}

void write_bytes(struct writer *w, struct slice bytes) {
    put(w, bytes.data, bytes.size);
}

void write_sized(struct writer *w, struct slice bytes) {
    if (bytes.size > UINT32_MAX) {
        w->failed = true;
        return;
    }
    write_u32(w, (uint32_t)bytes.size);
    put(w, bytes.data, bytes.size);
}

struct slice writer_bytes(const struct writer *w) {
    return (struct slice){w->data, w->size};
}
