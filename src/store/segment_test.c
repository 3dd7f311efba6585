// SPDX-License-Identifier: Apache-2.0
#include "store/segment.h"

#include "base/hash.h"
#include "base/little.h"
#include "tests/golden.h"
#include "tests/test.h"

enum { STORAGE = 0x5107a9e1, NUMBER = 3, HEADER_SIZE = 40, EXAMPLE_MAX = 4096 };

static const struct mark example_mark = {
    .run = 2,
    .epoch = 1,
    .minted = 41,
    .tail = UINT64_C(2) << 32 | 0x600,
    .synced = UINT64_C(2) << 32 | 0x600,
    .oldest = 1,
    .is_first = true,
};

static struct change example_change(void) {
    return (struct change){
        .partition = {0, 12739},
        .key = SLICE("123456789"),
        .record = SLICE("the record"),
        .old = {.digest = 0x1234567890abcdef, .size = 20, .is_live = true},
    };
}

// What docs/formats.md shows: a header, then a batch of a mark and a record.
static struct slice example(uint8_t bytes[EXAMPLE_MAX]) {
    struct segment_header header = {.storage = STORAGE, .number = NUMBER, .size = 1 << 26};
    segment_header_encode(&header, bytes);
    uint8_t *frame = bytes + SEGMENT_FIRST;
    mark_frame_encode(STORAGE, position_of(NUMBER, SEGMENT_FIRST), &example_mark, frame);
    struct change change = example_change();
    change_frame_encode(STORAGE, position_of(NUMBER, SEGMENT_FIRST + MARK_FRAME_SIZE), &change,
                        frame + MARK_FRAME_SIZE);
    size_t batch = MARK_FRAME_SIZE + change_frame_size(&change);
    return (struct slice){bytes, SEGMENT_FIRST + batch};
}

static void the_format_is_that_of_the_golden_bytes(void **state) {
    (void)state;
    uint8_t bytes[EXAMPLE_MAX];
    uint8_t golden[EXAMPLE_MAX];
    struct slice all = example(bytes);
    // The zeros between header and batch are left out of the file.
    uint8_t brief[EXAMPLE_MAX];
    size_t batch_size = all.size - SEGMENT_FIRST;
    memcpy(brief, bytes, HEADER_SIZE);
    memcpy(brief + HEADER_SIZE, bytes + SEGMENT_FIRST, batch_size);
    golden_compare("segment.v2", (struct slice){brief, HEADER_SIZE + batch_size});

    struct slice read = golden_read("segment.v2", golden, sizeof(golden));
    uint8_t sector[SECTOR_SIZE] = {0};
    memcpy(sector, read.data, HEADER_SIZE);
    struct segment_header header;
    assert_int_equal(segment_header_decode((struct slice){sector, SECTOR_SIZE}, &header), ST_OK);
    assert_int_equal(header.storage, STORAGE);
    assert_int_equal(header.number, NUMBER);
    assert_int_equal(header.size, 1 << 26);

    struct frame frame = {0}; // also between its fields
    struct slice batch = slice_skip(read, HEADER_SIZE);
    uint64_t position = position_of(NUMBER, SEGMENT_FIRST);
    assert_int_equal(frame_decode(STORAGE, position, batch, &frame), ST_OK);
    assert_true(frame.is_mark);
    assert_memory_equal(&frame.mark, &example_mark, sizeof(example_mark));
    batch = slice_skip(batch, frame.size);
    position += frame.size;
    assert_int_equal(frame_decode(STORAGE, position, batch, &frame), ST_OK);
    assert_false(frame.is_mark);
    assert_int_equal(frame.size, batch.size);
    struct change change = example_change();
    assert_int_equal(frame.change.partition.slot, change.partition.slot);
    assert_true(slice_equal(frame.change.key, change.key));
    assert_true(slice_equal(frame.change.record, change.record));
    assert_int_equal(frame.change.old.digest, change.old.digest);
    assert_int_equal(frame.change.old.size, change.old.size);
    assert_true(frame.change.old.is_live);
}

static void no_flipped_bit_passes(void **state) {
    (void)state;
    uint8_t bytes[EXAMPLE_MAX];
    struct slice all = example(bytes);
    for (size_t bit = 0; bit < all.size * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (bit / 8 < HEADER_SIZE) {
            struct segment_header header;
            assert_int_equal(segment_header_decode((struct slice){bytes, SECTOR_SIZE}, &header),
                             ST_CORRUPT);
        } else if (bit / 8 >= SEGMENT_FIRST) {
            size_t at = bit / 8 < SEGMENT_FIRST + MARK_FRAME_SIZE ? SEGMENT_FIRST
                                                                  : SEGMENT_FIRST + MARK_FRAME_SIZE;
            struct frame frame;
            struct slice rest = slice_skip(all, at);
            uint64_t position = position_of(NUMBER, (uint32_t)at);
            assert_int_not_equal(frame_decode(STORAGE, position, rest, &frame), ST_OK);
        }
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

static void a_frame_is_good_in_its_place_only(void **state) {
    (void)state;
    uint8_t bytes[EXAMPLE_MAX];
    struct slice frame_bytes = slice_skip(example(bytes), SEGMENT_FIRST);
    uint64_t position = position_of(NUMBER, SEGMENT_FIRST);
    struct frame frame;
    assert_int_equal(frame_decode(STORAGE, position, frame_bytes, &frame), ST_OK);
    assert_int_equal(frame_decode(STORAGE, position + 1, frame_bytes, &frame), ST_CORRUPT);
    assert_int_equal(
        frame_decode(STORAGE, position_of(NUMBER + 1, SEGMENT_FIRST), frame_bytes, &frame),
        ST_CORRUPT);
    assert_int_equal(frame_decode(STORAGE + 1, position, frame_bytes, &frame), ST_CORRUPT);
    for (size_t size = 0; size < MARK_FRAME_SIZE; size++) {
        struct slice part = {frame_bytes.data, size};
        assert_int_equal(frame_decode(STORAGE, position, part, &frame), ST_TOO_LARGE);
    }
    uint8_t zeros[SECTOR_SIZE] = {0};
    assert_int_equal(frame_decode(STORAGE, position, (struct slice){zeros, SECTOR_SIZE}, &frame),
                     ST_NOT_FOUND);
}

static void a_frame_can_be_checked_in_pieces(void **state) {
    (void)state;
    uint8_t bytes[EXAMPLE_MAX];
    (void)example(bytes);
    uint8_t *frame = bytes + SEGMENT_FIRST;
    uint64_t position = position_of(NUMBER, SEGMENT_FIRST);
    for (uint32_t piece = 1; piece < MARK_FRAME_SIZE; piece++) {
        for (uint32_t is_bad = 0; is_bad < 2; is_bad++) {
            frame[MARK_FRAME_SIZE - 1] ^= (uint8_t)is_bad;
            struct frame_check c;
            frame_check_begin(&c, STORAGE, position, frame);
            uint32_t at = FRAME_HEAD_SIZE;
            while (c.left > 0) at += frame_check_add(&c, (struct slice){frame + at, piece});
            assert_int_equal(at, MARK_FRAME_SIZE);
            assert_int_equal(frame_check_end(&c), !is_bad);
            frame[MARK_FRAME_SIZE - 1] ^= (uint8_t)is_bad;
        }
    }
}

static void another_version_is_told_from_damage(void **state) {
    (void)state;
    uint8_t bytes[EXAMPLE_MAX];
    (void)example(bytes);
    struct segment_header header;
    (void)store_u32(bytes + 8, 9);
    (void)store_u64(bytes + 32, hash_bytes((struct slice){bytes, 32}, 0x71756f69746c6f67u));
    assert_int_equal(segment_header_decode((struct slice){bytes, SECTOR_SIZE}, &header),
                     ST_INVALID);
}

int segment_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(the_format_is_that_of_the_golden_bytes),
        cmocka_unit_test(no_flipped_bit_passes),
        cmocka_unit_test(a_frame_is_good_in_its_place_only),
        cmocka_unit_test(a_frame_can_be_checked_in_pieces),
        cmocka_unit_test(another_version_is_told_from_damage),
    };
    return cmocka_run_group_tests_name("segment", cases, NULL, NULL);
}
