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
#ifndef QUOIT_BASE_CODEC_H
#define QUOIT_BASE_CODEC_H

#include "base/slice.h"

struct reader {
    struct slice rest;
    bool failed;
};

struct reader reader_of(struct slice bytes);
uint8_t read_u8(struct reader *r);
uint16_t read_u16(struct reader *r);
uint32_t read_u32(struct reader *r);
uint64_t read_u64(struct reader *r);

// Lends the next `size` bytes, or nothing when there are fewer.
struct slice read_bytes(struct reader *r, size_t size);

// A 32-bit size, then that many bytes. Fails when the size exceeds size_max. Lends a view into the
// bytes being read.
struct slice read_sized(struct reader *r, size_t size_max);

// True when nothing failed and nothing is left over.
bool reader_done(const struct reader *r);

struct writer {
    uint8_t *data;
    size_t size;
    size_t capacity;
    bool failed;
};

struct writer writer_to(uint8_t *data, size_t capacity);
void write_u8(struct writer *w, uint8_t value);
void write_u16(struct writer *w, uint16_t value);
void write_u32(struct writer *w, uint32_t value);
void write_u64(struct writer *w, uint64_t value);
void write_bytes(struct writer *w, struct slice bytes);
void write_sized(struct writer *w, struct slice bytes);

// What was written so far. Lends until the writer's memory ends or is written again.
struct slice writer_bytes(const struct writer *w);

#endif
