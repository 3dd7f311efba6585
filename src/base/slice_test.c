// SPDX-License-Identifier: Apache-2.0
#include "base/slice.h"

#include "tests/test.h"

static void slices_are_equal_by_their_bytes(void **state) {
    (void)state;
    const uint8_t here[] = {'k', 'e', 'y'};
    assert_true(slice_equal(SLICE("key"), (struct slice){here, 3}));
    assert_false(slice_equal(SLICE("key"), SLICE("kez")));
    assert_false(slice_equal(SLICE("key"), SLICE("key\0")));
    assert_false(slice_equal(SLICE("key"), SLICE("ke")));
}

// An empty slice may point anywhere, also at nothing; memcmp must not see that.
static void empty_slices_are_equal_wherever_they_point(void **state) {
    (void)state;
    struct slice nothing = {NULL, 0};
    assert_true(slice_equal(nothing, nothing));
    assert_true(slice_equal(nothing, SLICE("")));
    assert_false(slice_equal(nothing, SLICE("\0")));
}

static void skipping_leaves_what_comes_after(void **state) {
    (void)state;
    struct slice s = SLICE("abcdef");
    assert_true(slice_equal(slice_skip(s, 0), s));
    assert_true(slice_equal(slice_skip(s, 2), SLICE("cdef")));
    assert_int_equal(slice_skip(s, 6).size, 0);
}

static void a_literal_counts_its_zeros_but_not_its_end(void **state) {
    (void)state;
    assert_int_equal(SLICE("").size, 0);
    assert_int_equal(SLICE("a\0b").size, 3);
}

int slice_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(slices_are_equal_by_their_bytes),
        cmocka_unit_test(empty_slices_are_equal_wherever_they_point),
        cmocka_unit_test(skipping_leaves_what_comes_after),
        cmocka_unit_test(a_literal_counts_its_zeros_but_not_its_end),
    };
    return cmocka_run_group_tests_name("slice", cases, NULL, NULL);
}
