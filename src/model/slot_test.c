// SPDX-License-Identifier: Apache-2.0
#include "model/slot.h"

#include "base/rng.h"
#include "base/text.h"
#include "tests/test.h"

// CRC-16/XMODEM once more, bit by bit.
static uint16_t obvious_crc(struct slice bytes) {
    uint32_t crc = 0;
    for (size_t i = 0; i < bytes.size; i++) {
        crc ^= (uint32_t)bytes.data[i] << 8;
        for (int bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1;
        crc &= 0xffff;
    }
    return (uint16_t)crc;
}

static void slots_are_those_of_the_redis_cluster_specification(void **state) {
    (void)state;
    assert_int_equal(obvious_crc(SLICE("123456789")), 0x31c3); // the specification's own example
    assert_int_equal(slot_of(SLICE("123456789")), 0x31c3);
    assert_int_equal(slot_of(SLICE("foo")), 12182);
    assert_int_equal(slot_of((struct slice){0}), 0);
    for (uint32_t first = 0; first < 256; first++) {
        for (uint32_t second = 0; second < 256; second++) {
            uint8_t key[3] = {(uint8_t)first, (uint8_t)second, 'x'};
            if (first == '{') continue;
            struct slice bytes = {key, sizeof(key)};
            assert_int_equal(slot_of(bytes), obvious_crc(bytes) % SLOT_COUNT);
        }
    }
}

static void keys_of_every_length_have_a_slot(void **state) {
    (void)state;
    struct rng rng = {test_seed()};
    uint8_t key[100];
    for (uint32_t round = 0; round < 100; round++) {
        for (size_t size = 0; size <= sizeof(key); size++) {
            for (size_t i = 0; i < size; i++) key[i] = (uint8_t)rng_below(&rng, '{');
            struct slice bytes = {key, size};
            assert_int_equal(slot_of(bytes), obvious_crc(bytes) % SLOT_COUNT);
        }
    }
}

static void assert_hashed_part(const char *key, const char *part) {
    struct slice got = slot_hashed_part(slice_of_string(key));
    assert_true(slice_equal(got, slice_of_string(part)));
    assert_int_equal(slot_of(slice_of_string(key)), obvious_crc(got) % SLOT_COUNT);
}

static void only_the_first_hash_tag_is_hashed_unless_it_is_empty(void **state) {
    (void)state;
    assert_hashed_part("plain", "plain");
    assert_hashed_part("{user1000}.following", "user1000");
    assert_hashed_part("foo{}{bar}", "foo{}{bar}");
    assert_hashed_part("foo{{bar}}zap", "{bar");
    assert_hashed_part("foo{bar}{zap}", "bar");
    assert_hashed_part("}{a", "}{a");
    assert_hashed_part("{", "{");
    assert_hashed_part("{a", "{a");
    assert_hashed_part("}a{b}", "b");
    assert_hashed_part("x{a}", "a");
    assert_hashed_part("", "");
}

int slot_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(slots_are_those_of_the_redis_cluster_specification),
        cmocka_unit_test(keys_of_every_length_have_a_slot),
        cmocka_unit_test(only_the_first_hash_tag_is_hashed_unless_it_is_empty),
    };
    return cmocka_run_group_tests_name("slot", cases, NULL, NULL);
}
