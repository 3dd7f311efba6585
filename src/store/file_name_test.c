// SPDX-License-Identifier: Apache-2.0
#include "store/file_name.h"

#include "base/rng.h"
#include "tests/test.h"

static void names_and_numbers_stand_for_each_other(void **state) {
    (void)state;
    char name[FILE_NAME_SIZE];
    file_name(SLICE("log-"), 0xbeef01, name);
    assert_string_equal(name, "log-0000000000beef01");
    file_name(SLICE("table-"), UINT32_MAX, name);
    assert_string_equal(name, "table-00000000ffffffff");
    struct rng rng = {test_seed()};
    for (uint32_t i = 0; i < 1000; i++) {
        uint32_t any = 1 + (uint32_t)(rng_next(&rng) >> rng_below(&rng, 32) & 0xfffffffe);
        uint32_t number = 0;
        file_name(SLICE("facts-"), any, name);
        assert_true(file_name_parse(SLICE("facts-"), name, &number));
        assert_int_equal(number, any);
        assert_false(file_name_parse(SLICE("table-"), name, &number));
        assert_false(file_name_parse(SLICE("fact-"), name, &number));
    }
}

static void names_are_in_the_order_of_their_numbers(void **state) {
    (void)state;
    struct rng rng = {test_seed()};
    for (uint32_t i = 0; i < 1000; i++) {
        char one[FILE_NAME_SIZE];
        char other[FILE_NAME_SIZE];
        uint32_t a = (uint32_t)(rng_next(&rng) >> (32 + rng_below(&rng, 32)));
        uint32_t b = (uint32_t)(rng_next(&rng) >> (32 + rng_below(&rng, 32)));
        file_name(SLICE("log-"), a, one);
        file_name(SLICE("log-"), b, other);
        assert_int_equal(strcmp(one, other) < 0, a < b);
    }
}

static void what_is_no_name_is_refused(void **state) {
    (void)state;
    static const char *const others[] = {
        "log-0000000000000000",  // numbers begin at 1
        "log-0000000100000001",  // above 32 bits
        "log-00000000beef0",     // too few digits
        "log-00000000000000011", // too many
        "log-00000000000beefG",
        "log-00000000000BEEF1",
        "log-000000000000 ef1",
        "log-00000000000000-1",
        "Log-0000000000000001",
        "log_0000000000000001",
        "table-0000000000000001",
        "log-",
        "spare",
        "",
    };
    uint32_t number = 0;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        assert_false(file_name_parse(SLICE("log-"), others[i], &number));
    }
}

static void a_name_with_one_byte_changed_is_another_or_none(void **state) {
    (void)state;
    char name[FILE_NAME_SIZE];
    char again[FILE_NAME_SIZE];
    file_name(SLICE("log-"), 0x9a, name);
    size_t size = strlen(name);
    for (size_t at = 0; at < size; at++) {
        char right = name[at];
        for (int byte = 1; byte < 256; byte++) {
            uint32_t number = 0;
            name[at] = (char)byte;
            if (!file_name_parse(SLICE("log-"), name, &number)) continue;
            file_name(SLICE("log-"), number, again);
            assert_string_equal(name, again);
            assert_int_equal(number == 0x9a, (char)byte == right);
        }
        name[at] = right;
    }
}

int file_name_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(names_and_numbers_stand_for_each_other),
        cmocka_unit_test(names_are_in_the_order_of_their_numbers),
        cmocka_unit_test(what_is_no_name_is_refused),
        cmocka_unit_test(a_name_with_one_byte_changed_is_another_or_none),
    };
    return cmocka_run_group_tests_name("file_name", cases, NULL, NULL);
}
