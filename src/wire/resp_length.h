// SPDX-License-Identifier: Apache-2.0
//
// resp_length.h -- the line that RESP counts and sizes stand in: "*3\r\n", "$-1\r\n".
//
// One byte of type, a decimal number in canonical form, CR LF. Whether the line is wrong is known
// at its first wrong byte, so a line that was cut can be read again from its start at a cost that
// does not depend on what the sender does: it has LENGTH_DIGITS_MAX digits or it is wrong.
#ifndef QUOIT_WIRE_RESP_LENGTH_H
#define QUOIT_WIRE_RESP_LENGTH_H

#include "base/slice.h"

// No RESP length that we could ever accept has more.
enum { LENGTH_DIGITS_MAX = 12 };

enum length_line {
    LENGTH_WHOLE,
    LENGTH_CUT,   // right so far, but the line goes on
    LENGTH_WRONG, // not a length line, whatever follows
};

// Reads a whole line of that type at input.data[*at], of one digit or two, as nearly every line is,
// and moves *at behind it. False, and nothing is done: it is something else, read_length tells
// what.
static inline bool read_short_length(struct slice input, uint8_t type, size_t *at, size_t *value) {
    if (*at + 5 > input.size) return false;
    const uint8_t *line = input.data + *at;
    uint32_t high = (uint32_t)line[1] - '0';
    uint32_t low = (uint32_t)line[2] - '0';
    if (line[0] != type || high > 9) return false;
    if (line[2] == '\r' && line[3] == '\n') {
        *at += 4;
        *value = high;
        return true;
    }
    if (high == 0 || low > 9 || line[3] != '\r' || line[4] != '\n') return false;
    *at += 5;
    *value = high * 10 + low;
    return true;
}

// Reads the line whose type byte is input.data[*at]. When it is whole, *at moves behind it.
static inline enum length_line read_length(struct slice input, size_t *at, int64_t *value) {
    const uint8_t *data = input.data;
    size_t i = *at + 1;
    bool negative = i < input.size && data[i] == '-';
    if (negative) i++;
    size_t first = i;
    uint64_t sum = 0;
    for (; i < input.size; i++) {
        uint8_t digit = (uint8_t)(data[i] - '0');
        if (digit > 9) break;
        if (i - first == LENGTH_DIGITS_MAX) return LENGTH_WRONG;
        sum = sum * 10 + digit;
    }
    if (i == input.size) return LENGTH_CUT;
    if (data[i] != '\r' || i == first) return LENGTH_WRONG;
    if (data[first] == '0' && (negative || i - first > 1)) return LENGTH_WRONG;
    if (i + 1 == input.size) return LENGTH_CUT;
    if (data[i + 1] != '\n') return LENGTH_WRONG;
    *at = i + 2;
    *value = negative ? -(int64_t)sum : (int64_t)sum;
    return LENGTH_WHOLE;
}

#endif
