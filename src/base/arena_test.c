// SPDX-License-Identifier: Apache-2.0
#include "base/arena.h"

#include "base/rng.h"
#include "tests/test.h"

#include <string.h>

enum { REGION = 16384 };

static _Alignas(64) uint8_t memory[REGION];

static bool is_zero(const uint8_t *bytes, size_t size) {
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != 0) return false;
    }
    return true;
}

// Whatever was taken before has been written over by the time the next piece is looked at, so two
// pieces that share a byte show as one that is not zero.
static void pieces_are_aligned_and_zero_and_do_not_overlap(void **state) {
    (void)state;
    struct rng rng = {test_seed()};
    memset(memory, 0, sizeof(memory));
    struct arena arena = arena_over(memory, sizeof(memory));
    for (;;) {
        size_t count = rng_below(&rng, 5);
        size_t size = rng_below(&rng, 70);
        if (arena.size - arena.used < 5 * 70 + 64) break;
        uint8_t *piece = arena_take(&arena, count, size);
        assert_int_equal((uintptr_t)piece % 64, 0);
        assert_true(piece + count * size <= memory + arena.used);
        assert_true(is_zero(piece, count * size));
        memset(piece, 0xff, count * size);
    }
    assert_true(arena.used > REGION / 2);
}

static void the_last_byte_can_be_taken(void **state) {
    (void)state;
    memset(memory, 0, sizeof(memory));
    struct arena arena = arena_over(memory, sizeof(memory));
    uint8_t *all = ARENA_ARRAY(&arena, uint8_t, REGION);
    assert_ptr_equal(all, memory);
    assert_int_equal(arena.used, arena.size);
}

struct pair {
    uint64_t first;
    uint32_t second;
};

static void the_macros_take_what_their_type_needs(void **state) {
    (void)state;
    memset(memory, 0, sizeof(memory));
    struct arena arena = arena_over(memory, sizeof(memory));
    struct pair *one = ARENA_NEW(&arena, struct pair);
    struct pair *many = ARENA_ARRAY(&arena, struct pair, 100);
    one->second = 1;
    many[99].first = 1;
    assert_true((uint8_t *)(many + 100) <= memory + arena.used);
    assert_int_equal(arena.used, 64 + 100 * sizeof(struct pair));
}

int arena_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(pieces_are_aligned_and_zero_and_do_not_overlap),
        cmocka_unit_test(the_last_byte_can_be_taken),
        cmocka_unit_test(the_macros_take_what_their_type_needs),
    };
    return cmocka_run_group_tests_name("arena", cases, NULL, NULL);
}
