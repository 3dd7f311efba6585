// SPDX-License-Identifier: Apache-2.0
#include "base/text.h"

#include "base/rng.h"
#include "tests/test.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void canonical_numbers_are_read(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t value;
    } good[] = {
        {"0", 0},
        {"1", 1},
        {"-1", -1},
        {"10", 10},
        {"9223372036854775807", INT64_MAX},
        {"-9223372036854775808", INT64_MIN},
        {"-9223372036854775807", -INT64_MAX},
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        int64_t value = 77;
        assert_true(text_to_i64(slice_of_string(good[i].text), &value));
        assert_true(value == good[i].value);
    }
    uint64_t value;
    assert_true(text_to_u64(SLICE("18446744073709551615"), &value));
    assert_true(value == UINT64_MAX);
}

static void a_c_string_ends_at_its_nul(void **state) {
    (void)state;
    assert_true(slice_equal(text_before_nul(SLICE("a\0b\0")), SLICE("a")));
    assert_true(slice_equal(text_before_nul(SLICE("ab")), SLICE("ab")));
    assert_int_equal(text_before_nul(SLICE("\0b")).size, 0);
    assert_int_equal(text_before_nul((struct slice){NULL, 0}).size, 0);
}

static void everything_else_is_refused_and_leaves_the_value_alone(void **state) {
    (void)state;
    static const char *const bad[] = {
        "",
        "-",
        "+1",
        " 1",
        "1 ",
        "01",
        "-0",
        "-01",
        "00",
        "1.0",
        "0x1",
        "1a",
        "a",
        "1\r",
        "--1",
        "-+1",
        "1e3",
        "9223372036854775808",
        "-9223372036854775809",
        "18446744073709551616",
        "99999999999999999999",
        "-99999999999999999999",
        "100000000000000000000",
        "00000000000000000001",
        "184467440737095516150",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        int64_t value = 77;
        assert_false(text_to_i64(slice_of_string(bad[i]), &value));
        assert_true(value == 77);
    }
    uint64_t value = 77;
    assert_false(text_to_u64(SLICE("18446744073709551616"), &value));
    assert_false(text_to_u64(SLICE("-1"), &value));
    assert_true(value == 77);
}

static void numbers_survive_the_way_to_text_and_back(void **state) {
    (void)state;
    struct rng rng = {test_seed()};
    for (int i = 0; i < 20000; i++) {
        int64_t value = (int64_t)(rng_next(&rng) >> rng_below(&rng, 64));
        if (rng_chance(&rng, 1, 2)) value = (int64_t)(0 - (uint64_t)value);
        char ours[I64_TEXT_MAX];
        char theirs[I64_TEXT_MAX + 2];
        size_t size = i64_to_text(value, ours);
        assert_int_equal(size, snprintf(theirs, sizeof(theirs), "%" PRId64, value));
        assert_memory_equal(ours, theirs, size);
        int64_t back;
        assert_true(text_to_i64((struct slice){(const uint8_t *)ours, size}, &back));
        assert_true(back == value);
    }
    char text[I64_TEXT_MAX];
    assert_int_equal(i64_to_text(INT64_MIN, text), 20);
    assert_memory_equal(text, "-9223372036854775808", 20);
    assert_int_equal(u64_to_text(UINT64_MAX, text), 20);
    assert_memory_equal(text, "18446744073709551615", 20);
}

static void only_the_case_of_letters_is_ignored(void **state) {
    (void)state;
    assert_true(text_equal_nocase(SLICE("GeT"), SLICE("gEt")));
    assert_true(text_equal_nocase(SLICE(""), SLICE("")));
    assert_false(text_equal_nocase(SLICE("get"), SLICE("gets")));
    assert_false(text_equal_nocase(SLICE("@"), SLICE("`"))); // differ by the case bit alone
    assert_false(text_equal_nocase(SLICE("["), SLICE("{")));
    assert_false(text_equal_nocase(SLICE("\xc0"), SLICE("\xe0")));
    assert_true(text_compare_nocase(SLICE("a"), SLICE("B")) < 0);
    assert_true(text_compare_nocase(SLICE("GET"), SLICE("ge")) > 0);
    assert_true(text_compare_nocase(SLICE("ge"), SLICE("GET")) < 0);
    assert_true(text_compare_nocase(SLICE("\xff"), SLICE("a")) > 0);
}

static void text_fills_up_and_remembers_what_it_clipped(void **state) {
    (void)state;
    char memory[16];
    memset(memory, 'x', sizeof(memory));
    struct text text = text_over(memory, 12);
    text_string(&text, "n=");
    text_i64(&text, -42);
    text_char(&text, ' ');
    text_hex(&text, SLICE("\x0f\xa0"));
    assert_string_equal(memory, "n=-42 0fa0");
    assert_false(text.clipped);
    text_u64(&text, 7);
    assert_string_equal(memory, "n=-42 0fa07");
    assert_false(text.clipped);
    text_char(&text, '!');
    assert_true(text.clipped);
    assert_int_equal(text.size, 11);
    assert_string_equal(memory, "n=-42 0fa07");
    assert_memory_equal(memory + 12, "xxxx", 4);
}

static void printf_clips_like_the_rest(void **state) {
    (void)state;
    for (size_t capacity = 1; capacity < 12; capacity++) {
        char memory[16];
        memset(memory, 'x', sizeof(memory));
        struct text text = text_over(memory, capacity);
        text_printf(&text, "%s-%d", "abc", 1234);
        assert_int_equal(text.clipped, capacity < 9);
        assert_int_equal(text.size, capacity < 9 ? capacity - 1 : 8);
        assert_memory_equal(memory, "abc-1234", text.size);
        assert_int_equal(memory[text.size], 0);
        assert_int_equal(memory[capacity], 'x');
        assert_true(slice_equal(text_slice(&text), slice_of_string(memory)));
    }
}

int text_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(canonical_numbers_are_read),
        cmocka_unit_test(a_c_string_ends_at_its_nul),
        cmocka_unit_test(everything_else_is_refused_and_leaves_the_value_alone),
        cmocka_unit_test(numbers_survive_the_way_to_text_and_back),
        cmocka_unit_test(only_the_case_of_letters_is_ignored),
        cmocka_unit_test(text_fills_up_and_remembers_what_it_clipped),
        cmocka_unit_test(printf_clips_like_the_rest),
    };
    return cmocka_run_group_tests_name("text", cases, NULL, NULL);
}
