// SPDX-License-Identifier: Apache-2.0
#include "base/base64.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

size_t base64_encode(struct slice bytes, char *text) {
    size_t written = 0;
    uint32_t held = 0; // the last `bits` of these wait to be written
    uint32_t bits = 0;
    for (size_t i = 0; i < bytes.size; i++) {
        held = held << 8 | bytes.data[i];
        bits += 8;
        while (bits >= 6) {
            bits -= 6;
            text[written++] = alphabet[held >> bits & 63];
        }
    }
    if (bits > 0) text[written++] = alphabet[held << (6 - bits) & 63];
    must(written == BASE64_TEXT_SIZE(bytes.size));
    return written;
}

// 0 to 63, or 64 for what is not in the alphabet.
static uint32_t value_of(uint8_t c) {
    if (c >= 'A' && c <= 'Z') return c - (uint32_t)'A';
    if (c >= 'a' && c <= 'z') return c - (uint32_t)'a' + 26;
    if (c >= '0' && c <= '9') return c - (uint32_t)'0' + 52;
    if (c == '-') return 62;
    return c == '_' ? 63 : 64;
}

enum status base64_decode(struct slice text, uint8_t *bytes, size_t capacity, size_t *size) {
    size_t written = 0;
    uint32_t held = 0; // the last `bits` of these wait to be written
    uint32_t bits = 0;
    *size = 0;
    if (text.size % 4 == 1) return ST_INVALID;
    for (size_t i = 0; i < text.size; i++) {
        uint32_t value = value_of(text.data[i]);
        if (value == 64) return ST_INVALID;
        held = held << 6 | value;
        bits += 6;
        if (bits < 8) continue;
        if (written == capacity) return ST_TOO_LARGE;
        bits -= 8;
        bytes[written++] = (uint8_t)(held >> bits);
    }
    if ((held & ((1u << bits) - 1)) != 0) return ST_INVALID;
    *size = written;
    return ST_OK;
}
