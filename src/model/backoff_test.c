// SPDX-License-Identifier: Apache-2.0
#include "model/backoff.h"

#include "tests/test.h"

static uint32_t turns_to_next(struct backoff *b) {
    uint32_t turns = 1;
    while (!backoff_is_due(b)) turns++;
    return turns;
}

static void what_does_not_fail_is_tried_at_every_turn(void **state) {
    (void)state;
    struct backoff b = {0};
    for (uint32_t i = 0; i < 10; i++) {
        assert_true(backoff_is_due(&b));
        backoff_succeed(&b);
    }
    assert_true(backoff_is_due(&b)); // nobody has to say what came of it
    assert_true(backoff_is_due(&b));
}

static void what_fails_is_tried_less_and_less_often_up_to_a_limit(void **state) {
    (void)state;
    static const uint32_t turns[] = {1, 3, 7, 15, 15, 15};
    struct backoff b = {0};
    assert_int_equal(turns_to_next(&b), 1);
    for (size_t i = 0; i < sizeof(turns) / sizeof(turns[0]); i++) {
        backoff_fail(&b);
        assert_int_equal(turns_to_next(&b), turns[i]);
    }
}

static void one_that_comes_to_something_ends_it(void **state) {
    (void)state;
    struct backoff b = {0};
    for (uint32_t i = 0; i < 3; i++) backoff_fail(&b);
    assert_int_equal(turns_to_next(&b), 7);
    backoff_succeed(&b);
    assert_int_equal(turns_to_next(&b), 1);
    backoff_fail(&b);
    backoff_fail(&b);
    assert_int_equal(turns_to_next(&b), 3);
}

int backoff_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(what_does_not_fail_is_tried_at_every_turn),
        cmocka_unit_test(what_fails_is_tried_less_and_less_often_up_to_a_limit),
        cmocka_unit_test(one_that_comes_to_something_ends_it),
    };
    return cmocka_run_group_tests_name("backoff", cases, NULL, NULL);
}
