// SPDX-License-Identifier: Apache-2.0
#include "model/suspicion.h"

#include "base/rng.h"
#include "base/timer.h"
#include "tests/test.h"

#include <math.h>

#define EXPECTED (200 * NS_PER_MS)
#define PATIENCE (1200 * NS_PER_MS)
#define LONGEST (2400 * NS_PER_MS)

static const struct suspicion_rule rule = {EXPECTED, PATIENCE, LONGEST};

// Of a member whose signs came after these intervals, one after the other, again and again.
static struct suspicion after(const uint64_t *intervals_ms, uint32_t count, uint32_t signs) {
    struct suspicion s = {0};
    uint64_t now = 77 * NS_PER_SECOND;
    suspicion_begin(&s, &rule, now);
    for (uint32_t i = 0; i < signs; i++) {
        now += intervals_ms[i % count] * NS_PER_MS;
        suspicion_sign(&s, &rule, now);
    }
    return s;
}

static struct suspicion steady(void) {
    return after((uint64_t[]){200}, 1, 1000);
}

// The shortest silence after which the member is suspected, in ms.
static uint64_t patience_with(const struct suspicion *s, uint32_t threshold) {
    uint64_t ms = 0;
    while (suspicion_level(s, &rule, ms * NS_PER_MS) < threshold) ms++;
    return ms;
}

// The level is that of the tail of the normal distribution, but for two hundredths.
static void the_level_is_that_of_the_definition(void **state) {
    (void)state;
    struct suspicion s = steady();
    double deviation = (double)(PATIENCE - EXPECTED) / 5.612;
    uint32_t compared = 0;
    for (uint64_t silence = EXPECTED + 1000; silence < 4 * NS_PER_SECOND; silence += 777777) {
        double z = (double)(silence - EXPECTED) / deviation;
        if (z >= 19.9) break;
        double precise = -100 * log10(erfc(z / sqrt(2)) / 2);
        assert_true(fabs(precise - suspicion_level(&s, &rule, silence)) <= 2);
        compared++;
    }
    assert_true(compared > 4000);
}

struct row {
    uint64_t silence_ms;
    uint32_t level;
};

static void the_level_of_a_steady_member_is_that_of_the_table(void **state) {
    (void)state;
    static const struct row rows[] = {
        {0, 0},     {199, 0},    {201, 30},   {378, 80},   {556, 164},   {734, 286},
        {912, 449}, {1091, 655}, {1190, 786}, {1210, 814}, {3000, 5521}, {3800, SUSPICION_MOST}};
    struct suspicion s = steady();
    for (uint32_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint32_t level = suspicion_level(&s, &rule, rows[i].silence_ms * NS_PER_MS);
        assert_in_range(level + 3, rows[i].level, rows[i].level + 6);
    }
}

static void more_silence_is_never_less_suspicious(void **state) {
    (void)state;
    struct rng rng = {test_seed()};
    for (uint32_t round = 0; round < 200; round++) {
        uint64_t intervals[8];
        for (uint32_t i = 0; i < 8; i++) intervals[i] = rng_below(&rng, 3000);
        struct suspicion s = after(intervals, 8, rng_below(&rng, 100));
        uint32_t last = 0;
        for (uint64_t silence = 0; silence < 20 * NS_PER_SECOND; silence += 3 * NS_PER_MS) {
            uint32_t level = suspicion_level(&s, &rule, silence);
            assert_true(level >= last);
            last = level;
        }
        assert_int_equal(suspicion_level(&s, &rule, UINT64_MAX), SUSPICION_MOST);
    }
}

// Within its intervals, and some way beyond them.
static void a_steady_member_is_not_suspected(void **state) {
    (void)state;
    struct suspicion s = {0};
    struct rng rng = {test_seed()};
    uint64_t now = 0;
    suspicion_begin(&s, &rule, now);
    for (uint32_t i = 0; i < 20000; i++) {
        uint64_t interval = EXPECTED - 20 * NS_PER_MS + rng_below(&rng, 40) * NS_PER_MS;
        assert_true(suspicion_level(&s, &rule, interval + EXPECTED) < SUSPICION_THRESHOLD / 4);
        now += interval;
        suspicion_sign(&s, &rule, now);
    }
    assert_in_range(patience_with(&s, SUSPICION_THRESHOLD), 1190, 1210);
}

static void an_uneven_member_is_given_more_time(void **state) {
    (void)state;
    struct suspicion even = steady();
    struct suspicion some = after((uint64_t[]){100, 300, 50, 900}, 4, 1000);
    struct suspicion more = after((uint64_t[]){50, 2000}, 2, 1000);
    uint64_t first = patience_with(&even, SUSPICION_THRESHOLD);
    uint64_t second = patience_with(&some, SUSPICION_THRESHOLD);
    uint64_t third = patience_with(&more, SUSPICION_THRESHOLD);
    assert_true(second > first + 500);
    assert_true(third > second + 1000);
}

// Whatever its signs were like, and at once when it was never there.
static void a_member_that_has_ceased_is_suspected_in_time(void **state) {
    (void)state;
    struct rng rng = {test_seed()};
    uint64_t most = (PATIENCE + 4 * LONGEST) / NS_PER_MS;
    for (uint32_t round = 0; round < 500; round++) {
        uint64_t intervals[16];
        uint32_t longest = rng_chance(&rng, 1, 2) ? 2401 : 400;
        for (uint32_t i = 0; i < 16; i++) {
            intervals[i] = rng_chance(&rng, 1, 3) ? longest - 1 : rng_below(&rng, longest);
        }
        struct suspicion s = after(intervals, 16, rng_below(&rng, 200));
        assert_true(patience_with(&s, SUSPICION_THRESHOLD) <= most);
    }
    const struct suspicion never = {0};
    assert_int_equal(suspicion_level(&never, &rule, 0), SUSPICION_MOST);
}

// At first contact a member is given as much time as an even one.
static void a_member_that_has_just_come_is_given_the_usual_time(void **state) {
    (void)state;
    struct suspicion s = {0};
    suspicion_sign(&s, &rule, 12345);
    assert_int_equal(suspicion_level(&s, &rule, 0), 0);
    assert_in_range(patience_with(&s, SUSPICION_THRESHOLD), 1190, 1210);
}

// The pause is no interval, so the next one is found out as fast.
static void a_long_pause_does_not_make_the_next_one_likely(void **state) {
    (void)state;
    struct suspicion s = steady();
    suspicion_sign(&s, &rule, s.last + 3600 * NS_PER_SECOND);
    assert_in_range(patience_with(&s, SUSPICION_THRESHOLD), 1190, 1210);
    suspicion_sign(&s, &rule, s.last + 200 * NS_PER_MS);
    assert_in_range(patience_with(&s, SUSPICION_THRESHOLD), 1190, 1210);
}

// The interval between two lives is that of no member.
static void a_new_life_begins_anew(void **state) {
    (void)state;
    struct suspicion s = after((uint64_t[]){50, 2000}, 2, 1000);
    suspicion_begin(&s, &rule, s.last + NS_PER_SECOND);
    assert_in_range(patience_with(&s, SUSPICION_THRESHOLD), 1190, 1210);
}

static void time_that_stands_still_does_no_harm(void **state) {
    (void)state;
    struct suspicion s = steady();
    uint64_t now = s.last;
    for (uint32_t i = 0; i < 1000; i++) suspicion_sign(&s, &rule, now);
    assert_int_equal(suspicion_level(&s, &rule, 0), 0);
    assert_in_range(patience_with(&s, SUSPICION_THRESHOLD), 1190, 1210);
    suspicion_sign(&s, &rule, now - NS_PER_SECOND);
    assert_int_equal(s.last, now);
}

// Whatever is configured.
static void nothing_is_too_long_to_be_computed_with(void **state) {
    (void)state;
    struct suspicion_rule slow = suspicion_rule_for(3600 * NS_PER_SECOND, 86400 * NS_PER_SECOND);
    struct suspicion s = {0};
    uint64_t now = 0;
    for (uint32_t i = 0; i < 1000; i++) {
        now += i % 2 == 0 ? slow.longest : 0;
        suspicion_sign(&s, &slow, now);
    }
    assert_int_equal(suspicion_level(&s, &slow, slow.expected), 0);
    assert_true(suspicion_level(&s, &slow, slow.patience + 4 * slow.longest) >=
                SUSPICION_THRESHOLD);
    assert_true(suspicion_level(&s, &slow, 2 * slow.longest) > 0);
    struct suspicion_rule fast = suspicion_rule_for(1, 1);
    suspicion_begin(&s, &fast, 0);
    suspicion_sign(&s, &fast, 1);
    assert_int_equal(suspicion_level(&s, &fast, 1), 0);
    assert_true(suspicion_level(&s, &fast, NS_PER_SECOND) == SUSPICION_MOST);
}

// With the doubt in oneself grows the time that others are given, up to a limit.
static void doubt_in_oneself_makes_patient(void **state) {
    (void)state;
    struct suspicion s = steady();
    uint64_t last = 0;
    for (uint32_t doubt = 1; doubt <= SUSPICION_DOUBT_MOST; doubt++) {
        uint64_t ms = patience_with(&s, SUSPICION_THRESHOLD * doubt);
        assert_true(ms > last + 50);
        last = ms;
    }
    assert_true(last < 4 * PATIENCE / NS_PER_MS);
}

static void doubt_grows_with_what_goes_wrong_and_goes_slowly(void **state) {
    (void)state;
    assert_int_equal(suspicion_doubt(1, 0, false), 1);
    assert_int_equal(suspicion_doubt(1, 0, true), 2);
    assert_int_equal(suspicion_doubt(1, 3, true), 5);
    assert_int_equal(suspicion_doubt(7, 0, true), 8);
    assert_int_equal(suspicion_doubt(8, 0, true), 8);
    assert_int_equal(suspicion_doubt(2, UINT64_MAX - 1, true), 8);
    uint32_t rounds = 0;
    for (uint32_t doubt = SUSPICION_DOUBT_MOST; doubt > 1; rounds++) {
        doubt = suspicion_doubt(doubt, 0, false);
    }
    assert_int_equal(rounds, 7);
}

int suspicion_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(the_level_is_that_of_the_definition),
        cmocka_unit_test(the_level_of_a_steady_member_is_that_of_the_table),
        cmocka_unit_test(more_silence_is_never_less_suspicious),
        cmocka_unit_test(a_steady_member_is_not_suspected),
        cmocka_unit_test(an_uneven_member_is_given_more_time),
        cmocka_unit_test(a_member_that_has_ceased_is_suspected_in_time),
        cmocka_unit_test(a_member_that_has_just_come_is_given_the_usual_time),
        cmocka_unit_test(a_long_pause_does_not_make_the_next_one_likely),
        cmocka_unit_test(a_new_life_begins_anew),
        cmocka_unit_test(time_that_stands_still_does_no_harm),
        cmocka_unit_test(nothing_is_too_long_to_be_computed_with),
        cmocka_unit_test(doubt_in_oneself_makes_patient),
        cmocka_unit_test(doubt_grows_with_what_goes_wrong_and_goes_slowly),
    };
    return cmocka_run_group_tests_name("suspicion", cases, NULL, NULL);
}
