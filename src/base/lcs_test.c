// SPDX-License-Identifier: Apache-2.0
#include "base/lcs.h"

#include "base/rng.h"
#include "base/text.h"
#include "tests/test.h"

enum { SIZE_MAX_HERE = 40 };

static uint32_t row[SIZE_MAX_HERE + 1];
static uint8_t bits[SIZE_MAX_HERE * SIZE_MAX_HERE / 8 + 1];

// As it is defined, in exponential time.
static size_t obvious_size(struct slice a, struct slice b) {
    if (a.size == 0 || b.size == 0) return 0;
    struct slice a_rest = slice_skip(a, 1);
    struct slice b_rest = slice_skip(b, 1);
    if (a.data[0] == b.data[0]) return 1 + obvious_size(a_rest, b_rest);
    size_t one = obvious_size(a_rest, b);
    size_t other = obvious_size(a, b_rest);
    return one > other ? one : other;
}

static struct slice draw(struct rng *rng, uint8_t *memory, uint32_t size_max, uint32_t letters) {
    uint32_t size = rng_below(rng, size_max + 1);
    for (uint32_t i = 0; i < size; i++) memory[i] = (uint8_t)('a' + rng_below(rng, letters));
    return (struct slice){memory, size};
}

static void the_stretches_are_common_in_order_and_as_many_as_there_can_be(void **state) {
    (void)state;
    struct rng rng = {.state = test_seed()};
    for (int round = 0; round < 2000; round++) {
        uint8_t memory[2][SIZE_MAX_HERE];
        uint32_t size_max = round % 2 == 0 ? 8 : SIZE_MAX_HERE;
        uint32_t letters = 1 + rng_below(&rng, 5);
        struct slice a = draw(&rng, memory[0], size_max, letters);
        struct slice b = draw(&rng, memory[1], size_max, letters);
        struct lcs l;
        lcs_find(&l, a, b, row, bits);
        if (size_max == 8) assert_int_equal(l.size, obvious_size(a, b));
        struct lcs_match match;
        size_t a_end = a.size;
        size_t b_end = b.size;
        size_t sum = 0;
        while (lcs_next(&l, &match)) {
            assert_true(match.a + match.size <= a_end);
            assert_true(match.b + match.size <= b_end);
            assert_memory_equal(a.data + match.a, b.data + match.b, match.size);
            a_end = match.a;
            b_end = match.b;
            sum += match.size;
        }
        assert_int_equal(sum, l.size);
    }
}

static void the_example_that_everybody_knows(void **state) {
    (void)state;
    struct lcs l;
    struct lcs_match match;
    lcs_find(&l, SLICE("ohmytext"), SLICE("mynewtext"), row, bits);
    assert_int_equal(l.size, 6);
    assert_true(lcs_next(&l, &match));
    assert_int_equal(match.a, 4);
    assert_int_equal(match.b, 5);
    assert_int_equal(match.size, 4);
    assert_true(lcs_next(&l, &match));
    assert_int_equal(match.a, 2);
    assert_int_equal(match.b, 0);
    assert_int_equal(match.size, 2);
    assert_false(lcs_next(&l, &match));
}

int lcs_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(the_stretches_are_common_in_order_and_as_many_as_there_can_be),
        cmocka_unit_test(the_example_that_everybody_knows),
    };
    return cmocka_run_group_tests_name("lcs", cases, NULL, NULL);
}
