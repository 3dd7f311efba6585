// SPDX-License-Identifier: Apache-2.0
#include "base/bits.h"

#include "base/rng.h"
#include "tests/test.h"

enum { SIZE = 40, BITS = SIZE * 8 };

static void draw(struct rng *rng, uint8_t bytes[SIZE]) {
    uint32_t kind = rng_below(rng, 3);
    for (int i = 0; i < SIZE; i++) {
        bytes[i] = kind == 0 ? (uint8_t)rng_next(rng) : rng_chance(rng, 1, 20) ? 0x10 : 0;
        if (kind == 2) bytes[i] = (uint8_t)~bytes[i];
    }
}

// Bit by bit, what the others do in larger pieces.
static void counting_and_finding_agree_with_looking_at_every_bit(void **state) {
    (void)state;
    struct rng rng = {.state = test_seed()};
    for (int round = 0; round < 20; round++) {
        uint8_t memory[SIZE];
        draw(&rng, memory);
        struct slice bytes = {memory, SIZE};
        for (uint64_t first = 0; first < BITS; first++) {
            uint64_t set = 0;
            uint64_t found[2] = {UINT64_MAX, UINT64_MAX};
            for (uint64_t last = first; last < BITS; last++) {
                bool bit = (memory[last / 8] & 1u << (7 - last % 8)) != 0;
                set += bit;
                if (found[bit] == UINT64_MAX) found[bit] = last;
                assert_int_equal(bits_at(bytes, last), bit);
                assert_int_equal(bits_count(bytes, first, last), set);
                assert_int_equal(bits_find(bytes, first, last, false), found[0]);
                assert_int_equal(bits_find(bytes, first, last, true), found[1]);
            }
        }
    }
}

static void past_the_end_there_are_zeros(void **state) {
    (void)state;
    struct slice bytes = SLICE("\xff\xff");
    assert_true(bits_at(bytes, 15));
    assert_false(bits_at(bytes, 16));
    assert_false(bits_at(bytes, UINT64_MAX));
    assert_int_equal(bits_load(bytes, 12, 8), 0xf0);
    assert_int_equal(bits_load(bytes, 16, 64), 0);
    assert_int_equal(bits_load((struct slice){NULL, 0}, 0, 64), 0);
}

static void a_number_that_is_stored_is_loaded_again_and_nothing_else_changes(void **state) {
    (void)state;
    struct rng rng = {.state = test_seed()};
    for (int round = 0; round < 3000; round++) {
        uint8_t memory[SIZE];
        uint8_t before[SIZE];
        draw(&rng, memory);
        memcpy(before, memory, SIZE);
        uint32_t width = 1 + rng_below(&rng, 64);
        uint64_t offset = rng_below(&rng, BITS - width + 1);
        uint64_t number = rng_next(&rng);
        bits_store(memory, offset, width, number);
        uint64_t kept = width == 64 ? number : number & (((uint64_t)1 << width) - 1);
        assert_true(bits_load((struct slice){memory, SIZE}, offset, width) == kept);
        for (uint64_t bit = 0; bit < BITS; bit++) {
            if (bit >= offset && bit < offset + width) continue;
            assert_int_equal(bits_at((struct slice){memory, SIZE}, bit),
                             bits_at((struct slice){before, SIZE}, bit));
        }
    }
    uint8_t bytes[2] = {0, 0};
    bits_store(bytes, 4, 8, 0xab);
    assert_memory_equal(bytes, "\x0a\xb0", 2);
}

int bits_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(counting_and_finding_agree_with_looking_at_every_bit),
        cmocka_unit_test(past_the_end_there_are_zeros),
        cmocka_unit_test(a_number_that_is_stored_is_loaded_again_and_nothing_else_changes),
    };
    return cmocka_run_group_tests_name("bits", cases, NULL, NULL);
}
