// SPDX-License-Identifier: Apache-2.0
//
// Bytes from a file of the log: a header, a name, a frame as it lies there, and a payload behind a
// head that is made for it, since no fuzzer finds a checksum. What is accepted must encode to the
// bytes it was decoded from, and a frame looked at in pieces is as good as a whole one.
#include "fuzz/fuzz.h"

#include "base/little.h"
#include "store/segment.h"

enum { STORAGE = 0x5107a9e1, PAYLOAD_MAX = 128 * 1024 };

static uint8_t bytes[FRAME_HEAD_SIZE + PAYLOAD_MAX];
static uint8_t again[FRAME_HEAD_SIZE + PAYLOAD_MAX];

static void check_header(struct slice sector) {
    enum { HEADER_SIZE = 40 };
    struct segment_header h;
    if (segment_header_decode(sector, &h) != ST_OK) return;
    uint8_t sectors[SEGMENT_FIRST];
    segment_header_encode(&h, sectors);
    must(memcmp(sectors, sector.data, HEADER_SIZE) == 0);
}

static void check_name(struct slice text) {
    char name[2 * FILE_NAME_SIZE] = {0};
    char canonical[FILE_NAME_SIZE];
    uint32_t number = 0;
    if (text.size >= sizeof(name)) return;
    if (text.size > 0) memcpy(name, text.data, text.size);
    if (!file_name_parse(SEGMENT_PREFIX, name, &number)) return;
    file_name(SEGMENT_PREFIX, number, canonical);
    must(number > 0);
    must(strcmp(name, canonical) == 0);
}

static void encode(uint64_t position, const struct frame *frame) {
    if (frame->is_mark) {
        mark_frame_encode(STORAGE, position, &frame->mark, again);
    } else {
        change_frame_encode(STORAGE, position, &frame->change, again);
    }
}

static void check_payload(struct slice payload) {
    uint64_t position = position_of(3, SEGMENT_FIRST);
    uint64_t place = hash_number(STORAGE ^ hash_number(position));
    (void)store_u64(store_u32(bytes, (uint32_t)payload.size), hash_bytes(payload, 0) ^ place);
    memcpy(bytes + FRAME_HEAD_SIZE, payload.data, payload.size);
    struct slice whole = {bytes, FRAME_HEAD_SIZE + payload.size};

    struct frame_check check;
    frame_check_begin(&check, STORAGE, position, bytes);
    size_t at = FRAME_HEAD_SIZE;
    while (check.left > 0) {
        size_t piece = payload.data[0] + (size_t)1;
        if (piece > whole.size - at) piece = whole.size - at;
        at += frame_check_add(&check, (struct slice){bytes + at, piece});
    }
    must(frame_check_end(&check));

    struct frame frame;
    if (frame_decode(STORAGE, position, whole, &frame) != ST_OK) return;
    must(frame.size == whole.size);
    encode(position, &frame);
    must(slice_equal(whole, (struct slice){again, whole.size}));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct slice input = {data, size};
    struct frame frame;
    if (size == 0 || size > PAYLOAD_MAX) return 0;
    check_header(input);
    check_name(input);
    enum status st = frame_decode(STORAGE, position_of(3, SEGMENT_FIRST), input, &frame);
    must(st == ST_OK || st == ST_CORRUPT || st == ST_NOT_FOUND || st == ST_TOO_LARGE);
    check_payload(input);
    return 0;
}
