// SPDX-License-Identifier: Apache-2.0
#include "model/level.h"

#include "base/text.h"
#include "tests/test.h"

static void assert_level(const char *text, enum level_kind kind, uint32_t count, const char *name) {
    struct level level;
    char out[LEVEL_TEXT_SIZE];
    assert_int_equal(level_parse(slice_of_string(text), &level), ST_OK);
    assert_int_equal(level.kind, kind);
    assert_int_equal(level.count, count);
    level_text(level, out);
    assert_string_equal(out, name);
}

static void names_and_numbers_are_levels(void **state) {
    (void)state;
    assert_level("ONE", LEVEL_COUNT, 1, "ONE");
    assert_level("two", LEVEL_COUNT, 2, "TWO");
    assert_level("Three", LEVEL_COUNT, 3, "THREE");
    assert_level("quorum", LEVEL_QUORUM, 0, "QUORUM");
    assert_level("aLL", LEVEL_ALL, 0, "ALL");
    assert_level("1", LEVEL_COUNT, 1, "ONE");
    assert_level("4", LEVEL_COUNT, 4, "4");
    assert_level("32", LEVEL_COUNT, 32, "32");
    assert_level("local_one", LEVEL_LOCAL_ONE, 0, "LOCAL_ONE");
    assert_level("LOCAL_QUORUM", LEVEL_LOCAL_QUORUM, 0, "LOCAL_QUORUM");
    assert_level("Each_Quorum", LEVEL_EACH_QUORUM, 0, "EACH_QUORUM");
    assert_level("sloppy", LEVEL_SLOPPY, 0, "SLOPPY");
}

static void everything_else_is_refused(void **state) {
    (void)state;
    const char *const bad[] = {"",
                               "0",
                               "33",
                               "-1",
                               "01",
                               "ON",
                               "ONES",
                               "UNSET",
                               "FOUR",
                               " ONE",
                               "QUORUM ",
                               "4294967297",
                               "99999999999999999999"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct level level;
        assert_int_equal(level_parse(slice_of_string(bad[i]), &level), ST_INVALID);
        assert_int_equal(level.kind, LEVEL_UNSET);
    }
    char out[LEVEL_TEXT_SIZE];
    level_text((struct level){LEVEL_UNSET, 0}, out);
    assert_string_equal(out, "UNSET");
}

static void some_levels_lack_what_they_need(void **state) {
    (void)state;
    struct level level;
    const char *const whole[] = {"ONE", "QUORUM", "ALL", "7"};
    for (size_t i = 0; i < sizeof(whole) / sizeof(whole[0]); i++) {
        assert_int_equal(level_parse(slice_of_string(whole[i]), &level), ST_OK);
        assert_null(level_gap(level));
    }
    const char *const local[] = {"LOCAL_ONE", "LOCAL_QUORUM", "EACH_QUORUM"};
    for (size_t i = 0; i < sizeof(local) / sizeof(local[0]); i++) {
        assert_int_equal(level_parse(slice_of_string(local[i]), &level), ST_OK);
        assert_string_equal(level_gap(level), "copies in several data centres");
    }
    assert_int_equal(level_parse(SLICE("SLOPPY"), &level), ST_OK);
    assert_null(level_gap(level));
}

static void a_quorum_is_the_least_that_always_meets_itself(void **state) {
    (void)state;
    for (uint32_t replicas = 1; replicas <= REPLICAS_MAX; replicas++) {
        uint32_t need = 0;
        assert_int_equal(level_need((struct level){LEVEL_QUORUM, 0}, replicas, &need), ST_OK);
        assert_true(2 * need > replicas);
        assert_true(2 * (need - 1) <= replicas);
        assert_int_equal(level_need((struct level){LEVEL_ALL, 0}, replicas, &need), ST_OK);
        assert_int_equal(need, replicas);
        for (uint32_t count = 1; count <= REPLICAS_MAX; count++) {
            enum status status = level_need((struct level){LEVEL_COUNT, count}, replicas, &need);
            assert_int_equal(status, count <= replicas ? ST_OK : ST_UNAVAILABLE);
            assert_int_equal(need, count);
        }
    }
}

static void nothing_is_available_without_replicas(void **state) {
    (void)state;
    uint32_t need;
    assert_int_equal(level_need((struct level){LEVEL_QUORUM, 0}, 0, &need), ST_UNAVAILABLE);
    assert_int_equal(level_need((struct level){LEVEL_ALL, 0}, 0, &need), ST_UNAVAILABLE);
    assert_int_equal(level_need((struct level){LEVEL_COUNT, 1}, 0, &need), ST_UNAVAILABLE);
}

int level_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(names_and_numbers_are_levels),
        cmocka_unit_test(everything_else_is_refused),
        cmocka_unit_test(some_levels_lack_what_they_need),
        cmocka_unit_test(a_quorum_is_the_least_that_always_meets_itself),
        cmocka_unit_test(nothing_is_available_without_replicas),
    };
    return cmocka_run_group_tests_name("level", cases, NULL, NULL);
}
