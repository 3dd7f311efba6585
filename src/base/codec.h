// SPDX-License-Identifier: Apache-2.0
//
// codec.h -- reading and writing fixed formats, little-endian.
//
// Both sides remember failure instead of reporting it at each step: after the first read past the
// end (or write past the capacity) every later call does nothing and returns zeros. A decoder is
// then a straight list of fields with one check at the end:
//
//     struct reader r = reader_of(bytes);
//     rec.sequence = read_u64(&r);
//     rec.key = read_sized(&r, KEY_SIZE_MAX);
//     return reader_done(&r) ? ST_OK : ST_CORRUPT;
//
// All of it is inline: compilers then see how many bytes a run of fields takes.
#ifndef QUOIT_BASE_CODEC_H
#define QUOIT_BASE_CODEC_H

#include "base/little.h"
#include "base/slice.h"

struct reader {
    struct slice rest;
    bool failed;
};

static inline struct reader reader_of(struct slice bytes) {
    return (struct reader){.rest = bytes};
}

// Lends the next `size` bytes, or nothing when there are fewer.
static inline struct slice read_bytes(struct reader *r, size_t size) {
    if (r->failed || size > r->rest.size) {
        r->failed = true;
        return (struct slice){0};
    }
    struct slice taken = {r->rest.data, size};
    r->rest = slice_skip(r->rest, size);
    return taken;
}

static inline uint8_t read_u8(struct reader *r) {
    struct slice s = read_bytes(r, sizeof(uint8_t));
    return s.data == NULL ? 0 : s.data[0];
}

static inline uint16_t read_u16(struct reader *r) {
    struct slice s = read_bytes(r, sizeof(uint16_t));
    return r->failed ? 0 : load_u16(s.data);
}

static inline uint32_t read_u32(struct reader *r) {
    struct slice s = read_bytes(r, sizeof(uint32_t));
    return r->failed ? 0 : load_u32(s.data);
}

static inline uint64_t read_u64(struct reader *r) {
    struct slice s = read_bytes(r, sizeof(uint64_t));
    return r->failed ? 0 : load_u64(s.data);
}

// A 32-bit size, then that many bytes. Fails when the size exceeds size_max. Lends a view into the
// bytes being read.
static inline struct slice read_sized(struct reader *r, size_t size_max) {
    size_t size = read_u32(r);
    if (size > size_max) r->failed = true;
    return read_bytes(r, size);
}

// True when nothing failed and nothing is left over.
static inline bool reader_done(const struct reader *r) {
    return !r->failed && r->rest.size == 0;
}

struct writer {
    uint8_t *data;
    size_t size;
    size_t capacity;
    bool failed;
};

static inline struct writer writer_to(uint8_t *data, size_t capacity) {
    must(data != NULL);
    return (struct writer){.data = data, .capacity = capacity};
}

// The place of the next `size` bytes, now part of what is written; NULL when there is no room.
static inline uint8_t *write_room(struct writer *w, size_t size) {
    if (w->failed || size > w->capacity - w->size) {
        w->failed = true;
        return NULL;
    }
    uint8_t *to = w->data + w->size;
    w->size += size;
    return to;
}

static inline void write_u8(struct writer *w, uint8_t value) {
    uint8_t *to = write_room(w, sizeof(value));
    if (to != NULL) store_u8(to, value);
}

static inline void write_u16(struct writer *w, uint16_t value) {
    uint8_t *to = write_room(w, sizeof(value));
    if (to != NULL) store_u16(to, value);
}

static inline void write_u32(struct writer *w, uint32_t value) {
    uint8_t *to = write_room(w, sizeof(value));
    if (to != NULL) store_u32(to, value);
}

static inline void write_u64(struct writer *w, uint64_t value) {
    uint8_t *to = write_room(w, sizeof(value));
    if (to != NULL) store_u64(to, value);
}

static inline void write_bytes(struct writer *w, struct slice bytes) {
    uint8_t *to = write_room(w, bytes.size);
    if (to != NULL && bytes.size > 0) memcpy(to, bytes.data, bytes.size);
}

static inline void write_sized(struct writer *w, struct slice bytes) {
    if (bytes.size > UINT32_MAX) {
        w->failed = true;
        return;
    }
    write_u32(w, (uint32_t)bytes.size);
    write_bytes(w, bytes);
}

// What was written so far. Lends until the writer's memory ends or is written again.
static inline struct slice writer_bytes(const struct writer *w) {
    return (struct slice){w->data, w->size};
}

#endif
