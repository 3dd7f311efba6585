// SPDX-License-Identifier: Apache-2.0
//
// dump.h -- a string as DUMP of Redis shows it and RESTORE takes it.
//
//     u8 type                          0: a string
//     a size and bytes, or a number, or a size and compressed bytes
//     u16 version of the format        little-endian, like
//     u64 CRC-64 of all before it
//
// The first byte behind the type says which:
//
//     00ssssss                         bytes, so many
//     01ssssss ssssssss                likewise, high byte first
//     10000000 u32   10000001 u64      likewise, high byte first
//     11000000 i8    11000001 i16   11000010 i32
//                                      the digits of a number, low byte first
//     11000011 size  size  bytes       compressed by LZF: sizes of what follows and of what it was
//
// Strings are the same in all versions of the format, so none is refused. We write no compressed
// ones.
#ifndef QUOIT_WIRE_DUMP_H
#define QUOIT_WIRE_DUMP_H

#include "base/slice.h"

enum {
    DUMP_VERSION = 10,    // Redis 7.0
    DUMP_OVERHEAD = 20,   // bytes that a dump has beyond the string, at most
    DUMP_DIGITS_MAX = 11, // "-2147483648"
};

// Returns how many bytes were written. Requires room for the string and DUMP_OVERHEAD.
size_t dump_encode(struct slice string, uint8_t *out);

enum dump_result {
    DUMP_OK,
    DUMP_BAD_CHECKSUM, // or too short to have one
    DUMP_NO_STRING,    // another type
    DUMP_BAD,
};

// A string as found in a dump.
struct dump_string {
    uint64_t size; // bytes of it
    struct slice bytes;
    bool is_compressed;
    uint8_t digits[DUMP_DIGITS_MAX]; // of a number: what `bytes` is made of
};

// Lends from the dump and from `string`. Does not look at what is compressed.
enum dump_result dump_decode(struct slice dump, struct dump_string *string);

// For whoever reads more than a dump: take a size, or a string, from the front of the bytes. False
// when they do not begin with one.
bool dump_take_size(struct slice *rest, uint64_t *size);
bool dump_take_string(struct slice *rest, struct dump_string *string);

// Writes what was compressed: string->size bytes. False when it is not that.
bool dump_expand(const struct dump_string *string, uint8_t *out);

// CRC-64 as Redis has it (polynomial ad93d23594c935a9, reflected).
uint64_t dump_checksum(struct slice bytes);

#endif
