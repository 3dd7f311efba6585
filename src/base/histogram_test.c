// SPDX-License-Identifier: Apache-2.0
#include "base/histogram.h"

#include "base/rng.h"
#include "tests/test.h"

#include <stdlib.h>

static struct histogram h;

static void nothing_has_no_quantiles(void **state) {
    (void)state;
    histogram_init(&h);
    assert_int_equal(histogram_quantile(&h, 0.5), 0);
    assert_int_equal(histogram_max(&h), 0);
    assert_int_equal(histogram_mean(&h), 0);
}

static void small_values_are_exact(void **state) {
    (void)state;
    histogram_init(&h);
    for (uint64_t value = 1; value <= 100; value++) histogram_add(&h, value);
    for (uint64_t percent = 1; percent <= 100; percent++) {
        assert_int_equal(histogram_quantile(&h, (double)percent / 100), percent);
    }
    assert_int_equal(histogram_quantile(&h, 0), 1);
    assert_int_equal(histogram_mean(&h), 50);
    assert_int_equal(h.count, 100);
}

// Every bucket's edges, and the two values beside them.
static void no_value_is_reported_more_than_one_percent_off(void **state) {
    (void)state;
    for (uint32_t bit = 0; bit < HISTOGRAM_BITS; bit++) {
        for (uint64_t part = 64; part < 128; part++) {
            uint64_t edge = (part << bit) / 64;
            for (uint64_t value = edge == 0 ? 0 : edge - 1; value <= edge + 1; value++) {
                histogram_init(&h);
                histogram_add(&h, value);
                histogram_add(&h, UINT64_MAX / 4); // so that the maximum does not help
                uint64_t reported = histogram_quantile(&h, 0.5);
                uint64_t off = reported > value ? reported - value : value - reported;
                assert_true(off * 100 <= value);
            }
        }
    }
}

static void what_is_too_large_to_tell_apart_is_still_counted(void **state) {
    (void)state;
    histogram_init(&h);
    histogram_add(&h, (uint64_t)1 << HISTOGRAM_BITS);
    histogram_add(&h, UINT64_MAX / 2);
    histogram_add(&h, UINT64_MAX / 2);
    assert_true(histogram_quantile(&h, 0.1) >= (uint64_t)99 << (HISTOGRAM_BITS - 7));
    assert_true(histogram_max(&h) == UINT64_MAX / 2);
    assert_true(histogram_quantile(&h, 1) == UINT64_MAX / 2);
}

static void those_below_an_edge_are_counted(void **state) {
    (void)state;
    histogram_init(&h);
    histogram_add(&h, 0);
    for (uint32_t bit = 0; bit < HISTOGRAM_BITS; bit++) {
        uint64_t edge = (uint64_t)1 << bit;
        assert_int_equal(histogram_below(&h, edge), h.count);
        histogram_add(&h, edge);
        assert_int_equal(histogram_below(&h, edge), h.count - 1);
        if (bit < HISTOGRAM_BITS - 1) {
            histogram_add(&h, 2 * edge - 1);
            assert_int_equal(histogram_below(&h, 2 * edge), h.count);
        }
    }
    histogram_add(&h, UINT64_MAX);
    assert_int_equal(histogram_below(&h, (uint64_t)1 << HISTOGRAM_BITS), h.count);
}

static int by_size(const void *a, const void *b) {
    const uint64_t *x = a;
    const uint64_t *y = b;
    return *x < *y ? -1 : *x > *y;
}

static void quantiles_of_two_merged_agree_with_sorting(void **state) {
    (void)state;
    enum { VALUES = 10000 };
    static uint64_t values[VALUES];
    static struct histogram parts[2];
    struct rng rng = {test_seed()};
    for (int i = 0; i < 2; i++) histogram_init(&parts[i]);
    for (uint32_t i = 0; i < VALUES; i++) {
        values[i] = rng_next(&rng) >> (24 + rng_below(&rng, 40));
        histogram_add(&parts[rng_below(&rng, 2)], values[i]);
    }
    histogram_merge(&parts[0], &parts[1]);
    assert_int_equal(parts[0].count, VALUES);
    qsort(values, VALUES, sizeof(values[0]), by_size);
    for (uint32_t rank = 1; rank <= VALUES; rank++) {
        uint64_t value = values[rank - 1];
        uint64_t reported = histogram_quantile(&parts[0], (double)rank / VALUES);
        uint64_t off = reported > value ? reported - value : value - reported;
        assert_true(off * 100 <= value);
    }
    assert_int_equal(histogram_max(&parts[0]), values[VALUES - 1]);
}

int histogram_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(nothing_has_no_quantiles),
        cmocka_unit_test(small_values_are_exact),
        cmocka_unit_test(no_value_is_reported_more_than_one_percent_off),
        cmocka_unit_test(what_is_too_large_to_tell_apart_is_still_counted),
        cmocka_unit_test(those_below_an_edge_are_counted),
        cmocka_unit_test(quantiles_of_two_merged_agree_with_sorting),
    };
    return cmocka_run_group_tests_name("histogram", cases, NULL, NULL);
}
