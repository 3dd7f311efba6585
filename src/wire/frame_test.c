// SPDX-License-Identifier: Apache-2.0
#include "wire/frame.h"

#include "base/rng.h"
#include "tests/test.h"

#include <string.h>

static const struct mac_key key = {.bytes = "sixteen bytes..."};
static const struct slice body_text = {(const uint8_t *)"a body of a frame", 17};

enum { BODY_MAX = 64 };

static uint32_t make_frame(uint8_t *bytes, uint64_t number) {
    const struct frame header = {
        .type = 7,
        .from_shard = 1,
        .to_shard = 2,
        .epoch = 3,
        .cluster = "the cluster's id",
    };
    memcpy(bytes + FRAME_HEADER_SIZE, body_text.data, body_text.size);
    frame_seal(bytes, (uint32_t)body_text.size, &header, &key, number);
    return FRAME_HEADER_SIZE + (uint32_t)body_text.size;
}

static void a_sealed_frame_opens_as_what_it_was(void **state) {
    (void)state;
    uint8_t bytes[256];
    uint32_t size = make_frame(bytes, 41);
    uint32_t found = 0;
    assert_int_equal(frame_peek((struct slice){bytes, size}, BODY_MAX, &found), ST_OK);
    assert_int_equal(found, size);
    struct frame frame;
    assert_int_equal(frame_open(bytes, size, &key, 41, &frame), ST_OK);
    assert_int_equal(frame.type, 7);
    assert_int_equal(frame.from_shard, 1);
    assert_int_equal(frame.to_shard, 2);
    assert_int_equal(frame.epoch, 3);
    assert_memory_equal(frame.cluster, "the cluster's id", FRAME_CLUSTER_SIZE);
    assert_true(slice_equal(frame.body, body_text));
}

static void no_flipped_bit_goes_unseen(void **state) {
    (void)state;
    uint8_t bytes[256];
    uint32_t size = make_frame(bytes, 0);
    for (uint32_t bit = 0; bit < size * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        uint32_t found = 0;
        enum status st = frame_peek((struct slice){bytes, size}, BODY_MAX, &found);
        struct frame frame;
        if (st == ST_OK) st = frame_open(bytes, size, &key, 0, &frame);
        assert_int_not_equal(st, ST_OK);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

static void a_frame_is_good_at_its_number_and_under_its_key_only(void **state) {
    (void)state;
    uint8_t bytes[256];
    uint32_t size = make_frame(bytes, 5);
    struct frame frame;
    struct mac_key other = key;
    other.bytes[0] ^= 1;
    assert_int_equal(frame_open(bytes, size, &key, 4, &frame), ST_CORRUPT);
    assert_int_equal(frame_open(bytes, size, &key, 6, &frame), ST_CORRUPT);
    assert_int_equal(frame_open(bytes, size, &other, 5, &frame), ST_CORRUPT);
    assert_int_equal(frame_open(bytes, size, &key, 5, &frame), ST_OK);
}

static void a_size_is_believed_only_within_the_limit(void **state) {
    (void)state;
    uint8_t bytes[256];
    uint32_t size = make_frame(bytes, 0);
    uint32_t found = 0;
    struct slice header = {bytes, FRAME_HEADER_SIZE};
    assert_int_equal(frame_peek((struct slice){bytes, FRAME_HEADER_SIZE - 1}, BODY_MAX, &found),
                     ST_BUSY);
    assert_int_equal(frame_peek(header, (uint32_t)body_text.size - 1, &found), ST_TOO_LARGE);
    assert_int_equal(frame_peek(header, (uint32_t)body_text.size, &found), ST_OK);
    assert_int_equal(found, size);
}

static void each_direction_of_each_connection_has_its_key(void **state) {
    (void)state;
    struct mac_key keys[4] = {
        frame_key(&key, 1, 2, true),
        frame_key(&key, 1, 2, false),
        frame_key(&key, 2, 1, true),
        frame_key(&key, 1, 3, true),
    };
    for (int i = 0; i < 4; i++) {
        for (int j = 0; j < i; j++) {
            assert_memory_not_equal(keys[i].bytes, keys[j].bytes, MAC_KEY_SIZE);
        }
    }
    struct mac_key again = frame_key(&key, 1, 2, true);
    assert_memory_equal(again.bytes, keys[0].bytes, MAC_KEY_SIZE);
}

int frame_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(a_sealed_frame_opens_as_what_it_was),
        cmocka_unit_test(no_flipped_bit_goes_unseen),
        cmocka_unit_test(a_frame_is_good_at_its_number_and_under_its_key_only),
        cmocka_unit_test(a_size_is_believed_only_within_the_limit),
        cmocka_unit_test(each_direction_of_each_connection_has_its_key),
    };
    return cmocka_run_group_tests_name("frame", cases, NULL, NULL);
}
