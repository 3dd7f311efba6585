// SPDX-License-Identifier: Apache-2.0
#include "base/text.h"

#include <stdio.h>

// Digits only, canonical, at most 20 of them.
static bool digits_to_u64(const uint8_t *digits, size_t size, uint64_t *value) {
    if (size == 0 || size > I64_TEXT_MAX) return false;
    if (digits[0] == '0' && size > 1) return false;
    uint64_t sum = 0;
    for (size_t i = 0; i < size; i++) {
        uint8_t digit = (uint8_t)(digits[i] - '0');
        if (digit > 9) return false;
        if (__builtin_mul_overflow(sum, 10u, &sum)) return false;
        if (__builtin_add_overflow(sum, digit, &sum)) return false;
    }
    *value = sum;
    return true;
}

bool text_to_u64(struct slice text, uint64_t *value) {
    return digits_to_u64(text.data, text.size, value);
}

bool text_to_i64(struct slice text, int64_t *value) {
    if (text.size == 0) return false;
    bool negative = text.data[0] == '-';
    struct slice digits = slice_skip(text, negative ? 1 : 0);
    uint64_t magnitude;
    if (!digits_to_u64(digits.data, digits.size, &magnitude)) return false;
    if (negative) {
        if (magnitude == 0 || magnitude > (uint64_t)INT64_MAX + 1) return false;
        *value = -(int64_t)(magnitude - 1) - 1; // INT64_MIN has no positive twin
    } else {
        if (magnitude > INT64_MAX) return false;
        *value = (int64_t)magnitude;
    }
    return true;
}

size_t u64_to_text(uint64_t value, char out[I64_TEXT_MAX]) {
    if (value < 100) { // as most are
        size_t tens = (size_t)(value / 10);
        out[0] = (char)('0' + tens);
        out[tens > 0] = (char)('0' + value % 10);
        return 1 + (tens > 0);
    }
    size_t size = 3;
    for (uint64_t rest = value / 1000; rest > 0; rest /= 10) size++;
    for (size_t i = size; i > 0; i--) {
        out[i - 1] = (char)('0' + value % 10);
        value /= 10;
    }
    return size;
}

size_t i64_to_text(int64_t value, char out[I64_TEXT_MAX]) {
    if (value >= 0) return u64_to_text((uint64_t)value, out);
    out[0] = '-';
    char digits[I64_TEXT_MAX];
    size_t size = u64_to_text(0 - (uint64_t)value, digits);
    must(size < I64_TEXT_MAX);
    memcpy(out + 1, digits, size);
    return 1 + size;
}

int text_compare_nocase(struct slice a, struct slice b) {
    size_t common = a.size < b.size ? a.size : b.size;
    for (size_t i = 0; i < common; i++) {
        int difference = (int)text_lower(a.data[i]) - (int)text_lower(b.data[i]);
        if (difference != 0) return difference;
    }
    return a.size == b.size ? 0 : a.size < b.size ? -1 : 1;
}

bool text_equal_nocase(struct slice a, struct slice b) {
    return a.size == b.size && text_compare_nocase(a, b) == 0;
}

struct slice text_before_nul(struct slice bytes) {
    const uint8_t *nul = bytes.size == 0 ? NULL : memchr(bytes.data, '\0', bytes.size);
    if (nul != NULL) bytes.size = (size_t)(nul - bytes.data);
    return bytes;
}

struct text text_over(char *memory, size_t capacity) {
    must(memory != NULL);
    must(capacity > 0);
    memory[0] = '\0';
    return (struct text){.data = memory, .capacity = capacity};
}

void text_bytes(struct text *text, struct slice bytes) {
    must(text->size < text->capacity);
    size_t room = text->capacity - text->size - 1;
    size_t size = bytes.size;
    if (size > room) {
        size = room;
        text->clipped = true;
    }
    if (size > 0) memcpy(text->data + text->size, bytes.data, size);
    text->size += size;
    text->data[text->size] = '\0';
}

void text_string(struct text *text, const char *string) {
    text_bytes(text, slice_of_string(string));
}

void text_char(struct text *text, char c) {
    text_bytes(text, (struct slice){(const uint8_t *)&c, 1});
}

void text_i64(struct text *text, int64_t value) {
    char digits[I64_TEXT_MAX];
    size_t size = i64_to_text(value, digits);
    text_bytes(text, (struct slice){(const uint8_t *)digits, size});
}

void text_u64(struct text *text, uint64_t value) {
    char digits[I64_TEXT_MAX];
    size_t size = u64_to_text(value, digits);
    text_bytes(text, (struct slice){(const uint8_t *)digits, size});
}

void text_hex(struct text *text, struct slice bytes) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < bytes.size; i++) {
        text_char(text, digits[bytes.data[i] >> 4]);
        text_char(text, digits[bytes.data[i] & 15]);
    }
}

void text_vprintf(struct text *text, const char *format, va_list arguments) {
    must(text->size < text->capacity);
    size_t room = text->capacity - text->size;
    int size = vsnprintf(text->data + text->size, room, format, arguments);
    must(size >= 0);
    if ((size_t)size >= room) {
        text->clipped = true;
        size = (int)(room - 1);
    }
    text->size += (size_t)size;
}

void text_printf(struct text *text, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    text_vprintf(text, format, arguments);
    va_end(arguments);
}
