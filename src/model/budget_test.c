// SPDX-License-Identifier: Apache-2.0
#include "model/budget.h"

#include "base/timer.h"
#include "tests/test.h"

#define BEGIN (77 * NS_PER_SECOND)

static uint32_t spend_all(struct budget *b, uint64_t now) {
    uint32_t spent = 0;
    while (budget_spend(b, now)) spent++;
    return spent;
}

static void a_tenth_of_what_is_asked_may_be_asked_again(void **state) {
    (void)state;
    struct budget b = budget_full(BEGIN);
    assert_int_equal(spend_all(&b, BEGIN), BUDGET_MOST / BUDGET_COST);
    uint32_t spent = 0;
    for (uint32_t i = 0; i < 10000; i++) {
        budget_earn(&b);
        spent += budget_spend(&b, BEGIN);
    }
    assert_int_equal(spent, 1000);
}

static void where_little_is_asked_some_may_be_each_second(void **state) {
    (void)state;
    struct budget b = budget_full(BEGIN);
    (void)spend_all(&b, BEGIN);
    uint64_t now = BEGIN;
    uint32_t spent = 0;
    for (; now < BEGIN + 10 * NS_PER_SECOND; now += NS_PER_MS / 10) spent += budget_spend(&b, now);
    assert_in_range(spent, 10 * BUDGET_PER_SECOND / BUDGET_COST - 1,
                    10 * BUDGET_PER_SECOND / BUDGET_COST);
}

static void what_is_not_spent_is_kept_up_to_a_limit(void **state) {
    (void)state;
    struct budget b = budget_full(BEGIN);
    for (uint32_t i = 0; i < 100000; i++) budget_earn(&b);
    assert_int_equal(spend_all(&b, BEGIN), BUDGET_MOST / BUDGET_COST);
    assert_int_equal(spend_all(&b, BEGIN + 1000000 * NS_PER_SECOND), BUDGET_MOST / BUDGET_COST);
    assert_int_equal(spend_all(&b, UINT64_MAX), BUDGET_MOST / BUDGET_COST);
    b = budget_full(BEGIN);
    assert_int_equal(spend_all(&b, BEGIN + 5 * NS_PER_SECOND), BUDGET_MOST / BUDGET_COST);
}

int budget_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(a_tenth_of_what_is_asked_may_be_asked_again),
        cmocka_unit_test(where_little_is_asked_some_may_be_each_second),
        cmocka_unit_test(what_is_not_spent_is_kept_up_to_a_limit),
    };
    return cmocka_run_group_tests_name("budget", cases, NULL, NULL);
}
