// SPDX-License-Identifier: Apache-2.0
#include "wire/dump.h"

#include "base/little.h"
#include "base/text.h"

enum {
    TYPE_STRING = 0,
    SIZE_14 = 0x40,
    SIZE_32 = 0x80,
    SIZE_64 = 0x81,
    NUMBER_8 = 0xc0,
    NUMBER_16 = 0xc1,
    NUMBER_32 = 0xc2,
    COMPRESSED = 0xc3,
    FOOTER_SIZE = 10,
    CHECKSUM_SIZE = 8,
};

uint64_t dump_checksum(struct slice bytes) {
    static const uint64_t table[16] = {
        0x0000000000000000u, 0x7d08ff3b88be6f81u, 0xfa11fe77117cdf02u, 0x8719014c99c2b083u,
        0xdf7adabd7a6e2d6fu, 0xa2722586f2d042eeu, 0x256b24ca6b12f26du, 0x5863dbf1e3ac9decu,
        0x95ac9329ac4bc9b5u, 0xe8a46c1224f5a634u, 0x6fbd6d5ebd3716b7u, 0x12b5926535897936u,
        0x4ad64994d625e4dau, 0x37deb6af5e9b8b5bu, 0xb0c7b7e3c7593bd8u, 0xcdcf48d84fe75459u,
    };
    uint64_t sum = 0;
    for (size_t i = 0; i < bytes.size; i++) {
        sum ^= bytes.data[i];
        sum = table[sum & 15] ^ sum >> 4;
        sum = table[sum & 15] ^ sum >> 4;
    }
    return sum;
}

// Writing.

// Numbers in their usual form are written as such; 0: this is none.
static size_t encode_number(struct slice string, uint8_t *out) {
    int64_t number;
    if (string.size > DUMP_DIGITS_MAX || !text_to_i64(string, &number)) return 0;
    if (number < INT32_MIN || number > INT32_MAX) return 0;
    uint32_t bits = (uint32_t)number;
    uint32_t size = 4;
    if (number >= INT16_MIN && number <= INT16_MAX) size = 2;
    if (number >= INT8_MIN && number <= INT8_MAX) size = 1;
    out[0] = (uint8_t)(size == 1 ? NUMBER_8 : size == 2 ? NUMBER_16 : NUMBER_32);
    for (uint32_t i = 0; i < size; i++) out[1 + i] = (uint8_t)(bits >> (8 * i));
    return 1 + size;
}

static size_t encode_size(uint64_t size, uint8_t *out) {
    if (size < 64) {
        out[0] = (uint8_t)size;
        return 1;
    }
    if (size < SIZE_14 << 8) {
        out[0] = (uint8_t)(SIZE_14 | size >> 8);
        out[1] = (uint8_t)size;
        return 2;
    }
    uint32_t bytes = size <= UINT32_MAX ? 4 : 8;
    out[0] = bytes == 4 ? SIZE_32 : SIZE_64;
    for (uint32_t i = 0; i < bytes; i++) out[1 + i] = (uint8_t)(size >> (8 * (bytes - 1 - i)));
    return 1 + bytes;
}

size_t dump_encode(struct slice string, uint8_t *out) {
    size_t size = 0;
    out[size++] = TYPE_STRING;
    size_t number_size = encode_number(string, out + size);
    size += number_size;
    if (number_size == 0) {
        size += encode_size(string.size, out + size);
        if (string.size > 0) memcpy(out + size, string.data, string.size);
        size += string.size;
    }
    uint8_t *end = store_u16(out + size, DUMP_VERSION);
    uint64_t sum = dump_checksum((struct slice){out, (size_t)(end - out)});
    return (size_t)(store_u64(end, sum) - out);
}

// Reading.

static bool take(struct slice *rest, size_t size, struct slice *taken) {
    if (rest->size < size) return false;
    *taken = (struct slice){rest->data, size};
    *rest = slice_skip(*rest, size);
    return true;
}

// Its first byte is in `head`.
static bool decode_size(struct slice *rest, uint8_t head, uint64_t *size) {
    uint32_t bytes = 0;
    *size = head & 0x3f;
    if (head >= SIZE_32) {
        if (head != SIZE_32 && head != SIZE_64) return false;
        bytes = head == SIZE_32 ? 4 : 8;
        *size = 0;
    } else if (head >= SIZE_14) {
        bytes = 1;
    }
    struct slice taken;
    if (!take(rest, bytes, &taken)) return false;
    for (uint32_t i = 0; i < bytes; i++) *size = *size << 8 | taken.data[i];
    return true;
}

bool dump_take_size(struct slice *rest, uint64_t *size) {
    struct slice head;
    return take(rest, 1, &head) && decode_size(rest, head.data[0], size);
}

static bool decode_number(struct slice *rest, uint8_t head, struct dump_string *string) {
    uint32_t size = head == NUMBER_8 ? 1 : head == NUMBER_16 ? 2 : 4;
    struct slice taken;
    if (!take(rest, size, &taken)) return false;
    uint32_t bits = 0;
    for (uint32_t i = 0; i < size; i++) bits |= (uint32_t)taken.data[i] << (8 * i);
    int64_t number = size == 1 ? (int8_t)bits : size == 2 ? (int16_t)bits : (int32_t)bits;
    char digits[I64_TEXT_MAX];
    string->size = i64_to_text(number, digits);
    must(string->size <= DUMP_DIGITS_MAX);
    memcpy(string->digits, digits, string->size);
    string->bytes = (struct slice){string->digits, string->size};
    return true;
}

bool dump_take_string(struct slice *rest, struct dump_string *string) {
    struct slice head;
    uint64_t size;
    string->is_compressed = false;
    if (!take(rest, 1, &head)) return false;
    switch (head.data[0]) {
    case NUMBER_8:
    case NUMBER_16:
    case NUMBER_32:
        return decode_number(rest, head.data[0], string);
    case COMPRESSED:
        string->is_compressed = true;
        if (!dump_take_size(rest, &size) || !dump_take_size(rest, &string->size)) return false;
        return take(rest, size, &string->bytes);
    default:
        if (!decode_size(rest, head.data[0], &string->size)) return false;
        return take(rest, string->size, &string->bytes);
    }
}

enum dump_result dump_decode(struct slice dump, struct dump_string *string) {
    *string = (struct dump_string){0};
    if (dump.size < FOOTER_SIZE) return DUMP_BAD_CHECKSUM;
    struct slice summed = {dump.data, dump.size - CHECKSUM_SIZE};
    if (load_u64(dump.data + summed.size) != dump_checksum(summed)) return DUMP_BAD_CHECKSUM;
    struct slice rest = {dump.data, dump.size - FOOTER_SIZE};
    struct slice type;
    if (!take(&rest, 1, &type)) return DUMP_BAD;
    if (type.data[0] != TYPE_STRING) return DUMP_NO_STRING;
    return dump_take_string(&rest, string) && rest.size == 0 ? DUMP_OK : DUMP_BAD;
}

// LZF: what is below 32 is one less than the count of bytes that follow as they are. Else it is a
// copy of what was written already: its upper three bits are the size less 2, 7 if a byte with the
// rest of it follows; then comes the distance less 1, of which the upper five bits stand in front.
bool dump_expand(const struct dump_string *string, uint8_t *out) {
    struct slice rest = string->bytes;
    size_t written = 0;
    while (rest.size > 0) {
        struct slice taken;
        if (!take(&rest, 1, &taken)) return false;
        uint32_t control = taken.data[0];
        size_t size = control < 32 ? control + 1 : control >> 5;
        if (control < 32) {
            if (size > string->size - written || !take(&rest, size, &taken)) return false;
            memcpy(out + written, taken.data, size);
            written += size;
            continue;
        }
        if (size == 7) {
            if (!take(&rest, 1, &taken)) return false;
            size += taken.data[0];
        }
        size += 2;
        if (!take(&rest, 1, &taken)) return false;
        size_t distance = ((size_t)(control & 31) << 8 | taken.data[0]) + 1;
        if (distance > written || size > string->size - written) return false;
        for (size_t i = 0; i < size; i++, written++) out[written] = out[written - distance];
    }
    return written == string->size;
}
