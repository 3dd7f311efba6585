// SPDX-License-Identifier: Apache-2.0
#include "base/decimal.h"

#include "base/text.h"
#include "tests/malloc_trap.h"
#include "tests/test.h"

#include <float.h>

// Read, and written again.
static const char *const good[][2] = {
    {"0", "0"},
    {"-0", "0"},
    {"-0.0", "0"},
    {"1", "1"},
    {"+1", "1"},
    {"007", "7"},
    {"100", "100"},
    {"10.50", "10.5"},
    {"3.0e3", "3000"},
    {".5", "0.5"},
    {"5.", "5"},
    {"-.5", "-0.5"},
    {"0x1p3", "8"},
    {"0X.8", "0.5"},
    {"0.1", "0.1"},
    {"1e-17", "0.00000000000000001"},
    {"1e-18", "0"},
    {"-1e-18", "0"},
    {"0e9999", "0"},
    {"0x0p9999", "0"},
    {"123456789012345678901", "123456789012345678904"},
    {"1e21", "1000000000000000000000"},
};

static void what_is_read_is_written_without_exponent_or_needless_zeros(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        long double value;
        char out[DECIMAL_TEXT_MAX];
        assert_true(decimal_parse(slice_of_string(good[i][0]), &value));
        size_t size = decimal_text(value, out);
        assert_int_equal(size, strlen(good[i][1]));
        assert_memory_equal(out, good[i][1], size);
    }
}

static void nonsense_and_what_is_out_of_range_is_refused(void **state) {
    (void)state;
    static const char *const bad[] = {
        "",       " 1",      "\t1",     "1 ",       "abc",       "1,5",          "1e",
        "e5",     "--1",     "nan",     "-nan(1)",  "infx",      "0x",           "0x1p",
        "1e5000", "-1e5000", "1e-5000", "-1e-5000", "0x1p99999", "0x.01p-99999", "1.5.2",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        long double value;
        assert_false(decimal_parse(slice_of_string(bad[i]), &value));
    }
    long double value;
    assert_false(decimal_parse(SLICE("1\0"), &value));
    assert_false(decimal_parse(SLICE("1\0 2"), &value));
    char digits[DECIMAL_TEXT_MAX];
    memset(digits, '0', sizeof(digits));
    assert_true(decimal_parse((struct slice){(uint8_t *)digits, sizeof(digits) - 1}, &value));
    assert_false(decimal_parse((struct slice){(uint8_t *)digits, sizeof(digits)}, &value));
}

static void infinity_is_a_number_but_not_a_finite_one(void **state) {
    (void)state;
    static const char *const infinite[] = {"inf", "-INF", "+infinity"};
    for (size_t i = 0; i < 3; i++) {
        long double value;
        assert_true(decimal_parse(slice_of_string(infinite[i]), &value));
        assert_false(decimal_is_finite(value));
    }
    assert_true(decimal_is_finite(LDBL_MAX));
}

// The library must not need memory of its own, not even for the longest.
static void no_number_takes_memory(void **state) {
    (void)state;
    static const char *const texts[] = {"1e4932", "-1.1e-4932", "0.1", "1e-17", "99999e4000"};
    static char many[DECIMAL_TEXT_MAX - 1];
    memset(many, '7', sizeof(many));
    many[0] = '.';
    long double value = 0;
    char out[DECIMAL_TEXT_MAX];
    malloc_trap_arm();
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (decimal_parse(slice_of_string(texts[i]), &value)) (void)decimal_text(value, out);
    }
    bool is_read = decimal_parse((struct slice){(uint8_t *)many, sizeof(many)}, &value);
    size_t size = decimal_text(-LDBL_MAX, out);
    uint64_t allocated = malloc_trap_disarm();
    assert_true(is_read);
    assert_int_equal(size, 1 + LDBL_MAX_10_EXP + 1);
    assert_int_equal(allocated, 0);
}

int decimal_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(what_is_read_is_written_without_exponent_or_needless_zeros),
        cmocka_unit_test(nonsense_and_what_is_out_of_range_is_refused),
        cmocka_unit_test(infinity_is_a_number_but_not_a_finite_one),
        cmocka_unit_test(no_number_takes_memory),
    };
    return cmocka_run_group_tests_name("decimal", cases, NULL, NULL);
}
