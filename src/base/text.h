// SPDX-License-Identifier: Apache-2.0
//
// text.h -- locale-free numbers, and text built in bounded memory.
//
// A struct text is a piece of the caller's memory that fills up: adding never fails, what finds no
// room is clipped, and the flag `clipped` remembers it. The text is NUL-terminated at every moment,
// so that it can be handed to whatever wants a C string.
//
//     char memory[200];
//     struct text line = text_over(memory, sizeof(memory));
//     text_string(&line, "keys=");
//     text_i64(&line, count);
#ifndef QUOIT_BASE_TEXT_H
#define QUOIT_BASE_TEXT_H

#include "base/slice.h"
#include "base/status.h"

#include <stdarg.h>

// "-9223372036854775808" and "18446744073709551615" are both 20 characters.
enum { I64_TEXT_MAX = 20 };

// Numbers as Redis reads them: the canonical decimal form and nothing else. No spaces, no plus, no
// leading zeros, no "-0", no overflow. False, and *value untouched, for everything else.
NODISCARD bool text_to_i64(struct slice text, int64_t *value);
NODISCARD bool text_to_u64(struct slice text, uint64_t *value);

// Writes the decimal form, without a NUL, and returns how many characters it has.
size_t i64_to_text(int64_t value, char out[I64_TEXT_MAX]);
size_t u64_to_text(uint64_t value, char out[I64_TEXT_MAX]);

// The bytes before the first NUL: what a C string of them would hold.
struct slice text_before_nul(struct slice bytes);

// A view of a C string, without its NUL.
static inline struct slice slice_of_string(const char *string) {
    return (struct slice){(const uint8_t *)string, strlen(string)};
}

// Letters A-Z and a-z count as equal; every other byte is compared as it is.
bool text_equal_nocase(struct slice a, struct slice b);

// Negative, zero or positive, by the same rule; a prefix sorts before what it begins.
int text_compare_nocase(struct slice a, struct slice b);

// Only A-Z change. Any locale's letters are just bytes.
static inline uint8_t text_lower(uint8_t c) {
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

struct text {
    char *data;      // NUL-terminated at data[size]
    size_t size;     // bytes so far, without the NUL
    size_t capacity; // bytes at data, with room for the NUL
    bool clipped;    // something found no room
};

// Requires capacity > 0. Borrows the memory for the life of the text.
struct text text_over(char *memory, size_t capacity);

// Each adds what fits and clips the rest.
void text_bytes(struct text *text, struct slice bytes);
void text_string(struct text *text, const char *string);
void text_char(struct text *text, char c);
void text_i64(struct text *text, int64_t value);
void text_u64(struct text *text, uint64_t value);
void text_hex(struct text *text, struct slice bytes); // two lower-case digits a byte
void text_printf(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_vprintf(struct text *text, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));

// What was built so far. Lends until the text grows or its memory ends.
static inline struct slice text_slice(const struct text *text) {
    return (struct slice){(const uint8_t *)text->data, text->size};
}

#endif
