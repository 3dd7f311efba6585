// SPDX-License-Identifier: Apache-2.0
#include "base/rng.h"

#include "tests/test.h"

// A seed must mean the same run for ever, on every machine: these are the first numbers that
// splitmix64's reference gives for the seed 1234567.
static void the_sequence_of_a_seed_never_changes(void **state) {
    (void)state;
    static const uint64_t expected[] = {6457827717110365317u, 3203168211198807973u,
                                        9817491932198370423u, 4593380528125082431u,
                                        16408922859458223821u};
    struct rng rng = {1234567};
    for (uint32_t i = 0; i < 5; i++) assert_true(rng_next(&rng) == expected[i]);
}

static void below_stays_below_and_reaches_everything(void **state) {
    (void)state;
    struct rng rng = {test_seed()};
    for (uint32_t bound = 1; bound <= 64; bound++) {
        uint64_t seen = 0;
        for (uint32_t i = 0; i < 4096; i++) {
            uint32_t n = rng_below(&rng, bound);
            assert_true(n < bound);
            seen |= 1ull << n;
        }
        assert_true(seen == (bound == 64 ? UINT64_MAX : (1ull << bound) - 1));
    }
}

static void chances_are_what_they_say(void **state) {
    (void)state;
    struct rng rng = {test_seed()};
    uint32_t hits = 0;
    for (uint32_t i = 0; i < 100000; i++) {
        assert_false(rng_chance(&rng, 0, 7));
        assert_true(rng_chance(&rng, 7, 7));
        if (rng_chance(&rng, 1, 4)) hits++;
    }
    // Seven standard deviations of 137 each.
    assert_in_range(hits, 24000, 26000);
}

int rng_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(the_sequence_of_a_seed_never_changes),
        cmocka_unit_test(below_stays_below_and_reaches_everything),
        cmocka_unit_test(chances_are_what_they_say),
    };
    return cmocka_run_group_tests_name("rng", cases, NULL, NULL);
}
