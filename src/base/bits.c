// SPDX-License-Identifier: Apache-2.0
#include "base/bits.h"

bool bits_at(struct slice bytes, uint64_t offset) {
    uint64_t byte = offset / 8;
    return byte < bytes.size && (bytes.data[byte] >> (7 - offset % 8) & 1) != 0;
}

void bits_put(uint8_t *bytes, uint64_t offset, bool bit) {
    uint8_t mask = (uint8_t)(0x80 >> offset % 8);
    bytes[offset / 8] = (uint8_t)(bit ? bytes[offset / 8] | mask : bytes[offset / 8] & ~mask);
}

// A byte without its bits before `first` and behind `last`.
static uint8_t cut(struct slice bytes, uint64_t byte, uint64_t first, uint64_t last) {
    uint8_t value = bytes.data[byte];
    if (byte == first / 8) value &= (uint8_t)(0xff >> first % 8);
    if (byte == last / 8) value &= (uint8_t)(0xff << (7 - last % 8));
    return value;
}

// Pairs, fours and eights are added up side by side, then all eight sums at once. (The compiler's
// own would be a call into its library, but for processors that have an instruction for it.)
static uint64_t set_bits(uint64_t word) {
    word -= word >> 1 & 0x5555555555555555u;
    word = (word & 0x3333333333333333u) + (word >> 2 & 0x3333333333333333u);
    word = (word + (word >> 4)) & 0x0f0f0f0f0f0f0f0fu;
    return word * 0x0101010101010101u >> 56;
}

uint64_t bits_count(struct slice bytes, uint64_t first, uint64_t last) {
    must(first <= last);
    must(last / 8 < bytes.size);
    uint64_t byte = first / 8;
    uint64_t end = last / 8;
    uint64_t count = set_bits(cut(bytes, byte, first, last));
    if (byte == end) return count;
    for (byte++; byte + 8 <= end; byte += 8) {
        uint64_t word;
        memcpy(&word, bytes.data + byte, sizeof(word));
        count += set_bits(word);
    }
    for (; byte < end; byte++) count += set_bits(bytes.data[byte]);
    return count + set_bits(cut(bytes, end, first, last));
}

uint64_t bits_find(struct slice bytes, uint64_t first, uint64_t last, bool bit) {
    must(first <= last);
    must(last / 8 < bytes.size);
    uint8_t none = bit ? 0 : 0xff;
    uint64_t offset = first;
    while (offset <= last) {
        if (offset % 8 == 0 && bytes.data[offset / 8] == none) {
            offset += 8;
        } else if (bits_at(bytes, offset) == bit) {
            return offset;
        } else {
            offset++;
        }
    }
    return UINT64_MAX;
}

uint64_t bits_load(struct slice bytes, uint64_t offset, uint32_t width) {
    must(width > 0);
    must(width <= 64);
    uint64_t number = 0;
    for (uint32_t i = 0; i < width; i++) number = number << 1 | bits_at(bytes, offset + i);
    return number;
}

void bits_store(uint8_t *bytes, uint64_t offset, uint32_t width, uint64_t number) {
    must(width > 0);
    must(width <= 64);
    for (uint32_t i = 0; i < width; i++) {
        bits_put(bytes, offset + i, (number >> (width - 1 - i) & 1) != 0);
    }
}
