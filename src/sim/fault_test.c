// SPDX-License-Identifier: Apache-2.0
#include "sim/fault.h"

#include "tests/test.h"

#include <string.h>

static void a_fault_happens_as_often_as_its_rate_says(void **state) {
    (void)state;
    uint32_t rates[FAULT_COUNT] = {0};
    uint64_t counts[FAULT_COUNT] = {0};
    rates[FAULT_NET_RESET] = FAULT_CERTAIN / 10;
    rates[FAULT_NET_SPLIT] = FAULT_CERTAIN;
    struct dice dice;
    dice_init(&dice, test_seed(), 0, rates, counts);
    uint32_t hits = 0;
    for (uint32_t i = 0; i < 10000; i++) {
        if (dice_roll(&dice, FAULT_NET_RESET)) hits++;
        assert_true(dice_roll(&dice, FAULT_NET_SPLIT));
        assert_false(dice_roll(&dice, FAULT_NET_HOLE));
    }
    assert_in_range(hits, 800, 1200);
    assert_int_equal(counts[FAULT_NET_RESET], hits);
    assert_int_equal(counts[FAULT_NET_SPLIT], 10000);
    assert_int_equal(counts[FAULT_NET_HOLE], 0);
}

static void turning_a_fault_off_leaves_the_draws_of_others_alone(void **state) {
    (void)state;
    uint32_t both[FAULT_COUNT] = {0};
    uint64_t counts[FAULT_COUNT] = {0};
    both[FAULT_NET_RESET] = FAULT_CERTAIN / 2;
    both[FAULT_NET_SPLIT] = FAULT_CERTAIN / 2;
    uint32_t one[FAULT_COUNT] = {0};
    one[FAULT_NET_SPLIT] = FAULT_CERTAIN / 2;
    struct dice with;
    struct dice without;
    dice_init(&with, test_seed(), 3, both, counts);
    dice_init(&without, test_seed(), 3, one, counts);
    uint32_t resets = 0;
    for (uint32_t i = 0; i < 1000; i++) {
        if (dice_roll(&with, FAULT_NET_RESET)) resets++;
        assert_false(dice_roll(&without, FAULT_NET_RESET));
        assert_int_equal(dice_roll(&with, FAULT_NET_SPLIT), dice_roll(&without, FAULT_NET_SPLIT));
    }
    assert_true(resets > 0);
}

static void a_planned_fault_happens_once_and_at_its_occasion(void **state) {
    (void)state;
    uint32_t rates[FAULT_COUNT] = {0};
    uint64_t counts[FAULT_COUNT] = {0};
    struct dice dice;
    dice_init(&dice, test_seed(), 0, rates, counts);
    dice_plan(&dice, FAULT_DISK_FULL, 3);
    for (uint32_t roll = 1; roll < 10; roll++) {
        assert_int_equal(dice_roll(&dice, FAULT_DISK_FULL), roll == 3);
        assert_false(dice_roll(&dice, FAULT_DISK_ROT));
    }
    assert_int_equal(counts[FAULT_DISK_FULL], 1);
    dice_plan(&dice, FAULT_DISK_FULL, 1);
    dice_plan(&dice, FAULT_DISK_FULL, 0);
    assert_false(dice_roll(&dice, FAULT_DISK_FULL));
}

static void a_machine_can_be_spared(void **state) {
    (void)state;
    uint32_t rates[FAULT_COUNT] = {0};
    uint64_t counts[FAULT_COUNT] = {0};
    rates[FAULT_DISK_ROT] = FAULT_CERTAIN;
    struct dice dice;
    dice_init(&dice, test_seed(), 0, rates, counts);
    dice.spared = 1ull << FAULT_DISK_ROT;
    assert_false(dice_roll(&dice, FAULT_DISK_ROT));
    dice.spared = 0;
    assert_true(dice_roll(&dice, FAULT_DISK_ROT));
}

static void owners_and_purposes_have_streams_of_their_own(void **state) {
    (void)state;
    struct rng a = fault_stream(1, 2, 3);
    struct rng same = fault_stream(1, 2, 3);
    struct rng owner = fault_stream(1, 2, 4);
    struct rng purpose = fault_stream(1, 3, 3);
    struct rng seed = fault_stream(2, 2, 3);
    uint64_t first = rng_next(&a);
    assert_true(first == rng_next(&same));
    assert_true(first != rng_next(&owner));
    assert_true(first != rng_next(&purpose));
    assert_true(first != rng_next(&seed));
}

static void a_spread_reaches_every_magnitude_and_stays_inside(void **state) {
    (void)state;
    struct rng rng = {test_seed()};
    uint32_t below_100 = 0;
    uint32_t above_10000 = 0;
    for (uint32_t i = 0; i < 10000; i++) {
        uint64_t x = rng_spread(&rng, 10, 100000);
        assert_true(x >= 10);
        assert_true(x <= 100000);
        if (x < 100) below_100++;
        if (x > 10000) above_10000++;
    }
    assert_true(below_100 > 1000);
    assert_true(above_10000 > 1000);
    assert_int_equal(rng_spread(&rng, 7, 7), 7);
}

static void a_delay_is_mostly_typical_and_has_a_tail(void **state) {
    (void)state;
    struct rng rng = {test_seed()};
    uint32_t typical = 0;
    uint32_t far = 0;
    for (uint32_t i = 0; i < 100000; i++) {
        uint64_t x = rng_delay(&rng, 1000);
        assert_true(x >= 500);
        assert_true(x <= 32000);
        if (x <= 1000) typical++;
        if (x > 8000) far++;
    }
    assert_true(typical > 80000);
    assert_in_range(far, 1, 1000);
    assert_int_equal(rng_delay(&rng, 0), 0);
}

static void every_fault_has_a_name_of_its_own(void **state) {
    (void)state;
    for (enum fault a = 0; a < FAULT_COUNT; a++) {
        for (enum fault b = 0; b < a; b++) {
            assert_string_not_equal(fault_name(a), fault_name(b));
        }
    }
}

int fault_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(a_fault_happens_as_often_as_its_rate_says),
        cmocka_unit_test(turning_a_fault_off_leaves_the_draws_of_others_alone),
        cmocka_unit_test(a_planned_fault_happens_once_and_at_its_occasion),
        cmocka_unit_test(a_machine_can_be_spared),
        cmocka_unit_test(owners_and_purposes_have_streams_of_their_own),
        cmocka_unit_test(a_spread_reaches_every_magnitude_and_stays_inside),
        cmocka_unit_test(a_delay_is_mostly_typical_and_has_a_tail),
        cmocka_unit_test(every_fault_has_a_name_of_its_own),
    };
    return cmocka_run_group_tests_name("fault", cases, NULL, NULL);
}
