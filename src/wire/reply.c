// SPDX-License-Identifier: Apache-2.0
#include "wire/reply.h"

#include "base/text.h"

#include <float.h>
#include <stdio.h>

struct reply reply_to(uint8_t *data, size_t capacity, uint8_t protocol) {
    must(data != NULL);
    must(protocol == 2 || protocol == 3);
    return (struct reply){.data = data, .capacity = capacity, .protocol = protocol};
}

// Lends `size` bytes at the end of the reply, to be written at once; NULL when there is no room.
static uint8_t *extend(struct reply *r, size_t size) {
    must(r->size <= r->capacity);
    if (r->overflowed || size > r->capacity - r->size) {
        r->overflowed = true;
        return NULL;
    }
    uint8_t *place = r->data + r->size;
    r->size += size;
    return place;
}

static uint8_t *copy(uint8_t *place, const void *bytes, size_t size) {
    if (size > 0) memcpy(place, bytes, size);
    return place + size;
}

static void append(struct reply *r, struct slice bytes) {
    uint8_t *place = extend(r, bytes.size);
    if (place != NULL) copy(place, bytes.data, bytes.size);
}

// "<type><text>\r\n"
static void append_line(struct reply *r, char type, const void *text, size_t size) {
    uint8_t *place = extend(r, 1 + size + 2);
    if (place == NULL) return;
    *place = (uint8_t)type;
    place = copy(place + 1, text, size);
    copy(place, "\r\n", 2);
}

static void append_count(struct reply *r, char type, uint64_t count) {
    char digits[I64_TEXT_MAX];
    append_line(r, type, digits, u64_to_text(count, digits));
}

// "<type><size of both>\r\n<prefix><bytes>\r\n"
static void append_sized(struct reply *r, char type, struct slice prefix, struct slice bytes) {
    char digits[I64_TEXT_MAX];
    size_t digit_count = u64_to_text(prefix.size + bytes.size, digits);
    uint8_t *place = extend(r, 1 + digit_count + 2 + prefix.size + bytes.size + 2);
    if (place == NULL) return;
    *place = (uint8_t)type;
    place = copy(place + 1, digits, digit_count);
    place = copy(place, "\r\n", 2);
    place = copy(place, prefix.data, prefix.size);
    place = copy(place, bytes.data, bytes.size);
    copy(place, "\r\n", 2);
}

void reply_ok(struct reply *r) {
    append(r, SLICE("+OK\r\n"));
}

void reply_simple(struct reply *r, struct slice text) {
    must(text.size == 0 || memchr(text.data, '\r', text.size) == NULL);
    must(text.size == 0 || memchr(text.data, '\n', text.size) == NULL);
    append_line(r, '+', text.data, text.size);
}

void reply_integer(struct reply *r, int64_t value) {
    char digits[I64_TEXT_MAX];
    append_line(r, ':', digits, i64_to_text(value, digits));
}

void reply_double(struct reply *r, double value) {
    char digits[40]; // 17 digits, sign, point and exponent
    int size;
    if (value != value) {
        size = snprintf(digits, sizeof(digits), "nan");
    } else if (value > DBL_MAX || value < -DBL_MAX) {
        size = snprintf(digits, sizeof(digits), value > 0 ? "inf" : "-inf");
    } else {
        size = snprintf(digits, sizeof(digits), "%.17g", value);
    }
    must(size > 0 && (size_t)size < sizeof(digits));
    struct slice text = {(const uint8_t *)digits, (size_t)size};
    if (r->protocol == 3) {
        append_line(r, ',', text.data, text.size);
    } else {
        reply_bulk(r, text);
    }
}

void reply_boolean(struct reply *r, bool value) {
    if (r->protocol == 3) {
        append(r, value ? SLICE("#t\r\n") : SLICE("#f\r\n"));
    } else {
        append(r, value ? SLICE(":1\r\n") : SLICE(":0\r\n"));
    }
}

void reply_null(struct reply *r) {
    append(r, r->protocol == 3 ? SLICE("_\r\n") : SLICE("$-1\r\n"));
}

void reply_null_array(struct reply *r) {
    append(r, r->protocol == 3 ? SLICE("_\r\n") : SLICE("*-1\r\n"));
}

void reply_bulk(struct reply *r, struct slice bytes) {
    append_sized(r, '$', (struct slice){0}, bytes);
}

void reply_bulk_string(struct reply *r, const char *string) {
    reply_bulk(r, slice_of_string(string));
}

void reply_bulk_integer(struct reply *r, int64_t value) {
    char digits[I64_TEXT_MAX];
    size_t size = i64_to_text(value, digits);
    reply_bulk(r, (struct slice){(const uint8_t *)digits, size});
}

void reply_verbatim(struct reply *r, struct slice text) {
    if (r->protocol == 3) {
        append_sized(r, '=', SLICE("txt:"), text);
    } else {
        reply_bulk(r, text);
    }
}

void reply_error(struct reply *r, struct slice text) {
    size_t size = text.size < REPLY_ERROR_MAX ? text.size : REPLY_ERROR_MAX;
    uint8_t *place = extend(r, 1 + size + 2);
    if (place == NULL) return;
    *place++ = '-';
    for (size_t i = 0; i < size; i++) {
        uint8_t c = text.data[i];
        *place++ = c < ' ' || c == 0x7f ? ' ' : c;
    }
    copy(place, "\r\n", 2);
}

void reply_errorf(struct reply *r, const char *format, ...) {
    char line[REPLY_ERROR_MAX + 1];
    struct text text = text_over(line, sizeof(line));
    va_list arguments;
    va_start(arguments, format);
    text_vprintf(&text, format, arguments);
    va_end(arguments);
    reply_error(r, text_slice(&text));
}

void reply_array(struct reply *r, uint64_t count) {
    append_count(r, '*', count);
}

void reply_map(struct reply *r, uint64_t pairs) {
    must(pairs <= UINT64_MAX / 2);
    if (r->protocol == 3) {
        append_count(r, '%', pairs);
    } else {
        append_count(r, '*', pairs * 2);
    }
}

void reply_set(struct reply *r, uint64_t count) {
    append_count(r, r->protocol == 3 ? '~' : '*', count);
}

void reply_push(struct reply *r, uint64_t count) {
    append_count(r, r->protocol == 3 ? '>' : '*', count);
}

static void header_before(struct reply *r, size_t mark, char type, uint64_t count) {
    must(mark <= r->size);
    char digits[I64_TEXT_MAX];
    size_t digit_count = u64_to_text(count, digits);
    size_t elements = r->size - mark;
    if (extend(r, 1 + digit_count + 2) == NULL) return;
    uint8_t *place = r->data + mark;
    memmove(place + 1 + digit_count + 2, place, elements);
    *place = (uint8_t)type;
    place = copy(place + 1, digits, digit_count);
    copy(place, "\r\n", 2);
}

void reply_array_before(struct reply *r, size_t mark, uint64_t count) {
    header_before(r, mark, '*', count);
}

void reply_map_before(struct reply *r, size_t mark, uint64_t pairs) {
    bool is_flat = r->protocol == 2;
    header_before(r, mark, is_flat ? '*' : '%', is_flat ? 2 * pairs : pairs);
}

size_t reply_bulk_size(size_t bulk_size) {
    char digits[I64_TEXT_MAX];
    return 1 + u64_to_text(bulk_size, digits) + 2 + bulk_size + 2;
}

void reply_rewind(struct reply *r, size_t mark) {
    must(mark <= r->size);
    r->size = mark;
    r->overflowed = false;
}
