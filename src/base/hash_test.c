// SPDX-License-Identifier: Apache-2.0
#include "base/hash.h"

#include "tests/test.h"

#include <string.h>

// What is on disk was hashed by an earlier build, perhaps with a newer library: these must hold for
// ever. The first is the value that XXH3 publishes for no bytes at all.
static void the_hashes_of_stored_bytes_never_change(void **state) {
    (void)state;
    assert_true(hash_bytes((struct slice){NULL, 0}, 0) == 0x2d06800538d394c2u);
    assert_true(hash_bytes(SLICE("quoit"), 0) == 0x8aab3dcda0ef867au);
    assert_true(hash_bytes(SLICE("quoit"), 1) == 0x9cadb3022c5f402eu);
}

// XXH3 takes another path for each range of lengths; a bit that no path reads would be a bit that
// can rot unnoticed.
static void every_bit_of_every_length_counts(void **state) {
    (void)state;
    uint8_t bytes[300] = {0};
    for (size_t size = 1; size <= sizeof(bytes); size += size < 40 ? 1 : 37) {
        uint64_t before = hash_bytes((struct slice){bytes, size}, 9);
        for (size_t bit = 0; bit < 8 * size; bit++) {
            bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
            assert_true(hash_bytes((struct slice){bytes, size}, 9) != before);
            bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
    }
}

static void bytes_in_pieces_hash_as_the_whole(void **state) {
    (void)state;
    static uint8_t bytes[5000];
    for (size_t i = 0; i < sizeof(bytes); i++) bytes[i] = (uint8_t)(i * 31);
    for (size_t size = 0; size <= sizeof(bytes); size += size < 300 ? 7 : 571) {
        for (size_t piece = 1; piece < 2000; piece = piece * 3 + 1) {
            struct hash_stream s;
            hash_stream_begin(&s, 9);
            for (size_t at = 0; at < size; at += piece) {
                size_t more = size - at < piece ? size - at : piece;
                hash_stream_add(&s, (struct slice){bytes + at, more});
            }
            assert_true(hash_stream_end(&s) == hash_bytes((struct slice){bytes, size}, 9));
        }
    }
}

// The finalizer is a bijection; a small range without a collision, with every bit of the result
// used, is what tables rely on.
static void neighbouring_numbers_are_spread_over_all_bits(void **state) {
    (void)state;
    uint64_t ones = 0;
    uint64_t zeros = 0;
    bool taken[1024] = {false};
    uint32_t buckets = 0;
    for (uint64_t i = 1; i <= 1024; i++) {
        uint64_t hash = hash_number(i);
        ones |= hash;
        zeros |= ~hash;
        if (!taken[hash % 1024]) buckets++;
        taken[hash % 1024] = true;
    }
    assert_true(ones == UINT64_MAX);
    assert_true(zeros == UINT64_MAX);
    assert_in_range(buckets, 600, 700); // 1 - 1/e of them, as chance would
}

// The published vectors: key 00 01 .. 0f, messages of no bytes and of 00 01 .. 0e.
static void macs_are_siphash_2_4_with_128_bits(void **state) {
    (void)state;
    static const uint8_t of_nothing[MAC_SIZE] = {0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6,
                                                 0x6d, 0xf6, 0x72, 0x14, 0xc7, 0x55, 0x02, 0x93};
    static const uint8_t of_fifteen[MAC_SIZE] = {0x54, 0x93, 0xe9, 0x99, 0x33, 0xb0, 0xa8, 0x11,
                                                 0x7e, 0x08, 0xec, 0x0f, 0x97, 0xcf, 0xc3, 0xd9};
    struct mac_key key;
    uint8_t message[15];
    for (uint32_t i = 0; i < MAC_KEY_SIZE; i++) key.bytes[i] = (uint8_t)i;
    for (uint32_t i = 0; i < 15; i++) message[i] = (uint8_t)i;

    struct mac mac = mac_of(&key, (struct slice){message, 0});
    assert_memory_equal(mac.bytes, of_nothing, MAC_SIZE);
    mac = mac_of(&key, (struct slice){message, sizeof(message)});
    assert_memory_equal(mac.bytes, of_fifteen, MAC_SIZE);
}

static void macs_that_differ_in_one_bit_are_not_equal(void **state) {
    (void)state;
    struct mac_key key = {{7}};
    const struct mac mac = mac_of(&key, SLICE("message"));
    assert_true(mac_equal(&mac, &mac));
    for (uint32_t bit = 0; bit < 8 * MAC_SIZE; bit++) {
        struct mac other = mac;
        other.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_false(mac_equal(&mac, &other));
    }
}

int hash_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(the_hashes_of_stored_bytes_never_change),
        cmocka_unit_test(every_bit_of_every_length_counts),
        cmocka_unit_test(bytes_in_pieces_hash_as_the_whole),
        cmocka_unit_test(neighbouring_numbers_are_spread_over_all_bits),
        cmocka_unit_test(macs_are_siphash_2_4_with_128_bits),
        cmocka_unit_test(macs_that_differ_in_one_bit_are_not_equal),
    };
    return cmocka_run_group_tests_name("hash", cases, NULL, NULL);
}
