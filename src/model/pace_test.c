// SPDX-License-Identifier: Apache-2.0
#include "model/pace.h"

#include "base/timer.h"
#include "tests/test.h"

#define BEGIN (77 * NS_PER_SECOND)
#define WORK_NS NS_PER_MS

enum { SHARES = PACE_WHOLE / PACE_STEP };

// Who works as much as he may, and those who wait for the disk meanwhile.
struct scene {
    struct pace pace;
    uint64_t now;
    uint64_t wait; // ns, with all that is done in the background; 0: nobody asks
    bool is_ours;  // it is for that
};

static struct scene scene(uint64_t wait, bool is_ours) {
    struct scene s = {.now = BEGIN, .wait = wait, .is_ours = is_ours};
    pace_init(&s.pace, BEGIN);
    return s;
}

static uint64_t wait_of(const struct scene *s) {
    return s->is_ours ? s->wait * s->pace.share / PACE_WHOLE : s->wait;
}

static void idle(struct scene *s, uint32_t windows) {
    for (uint64_t until = s->now + windows * PACE_WINDOW_NS; s->now < until; s->now += WORK_NS) {
        if (s->wait > 0) pace_note(&s->pace, PACE_DISK, s->is_ours ? NS_PER_MS : s->wait);
    }
}

// Returns how much of the time was work, in parts of PACE_WHOLE.
static uint64_t work(struct scene *s, enum pace_worker worker, uint64_t debt, uint32_t windows) {
    uint64_t began = s->now;
    uint64_t worked = 0;
    while (s->now < began + windows * PACE_WINDOW_NS) {
        s->now += WORK_NS;
        worked += WORK_NS;
        if (s->wait > 0) pace_note(&s->pace, PACE_DISK, wait_of(s));
        s->now += pace_rest(&s->pace, worker, s->now, WORK_NS, debt);
    }
    return worked * PACE_WHOLE / (s->now - began);
}

static void where_nobody_asks_all_goes_at_its_own_speed(void **state) {
    (void)state;
    struct scene s = scene(0, false);
    assert_int_equal(work(&s, PACE_HANDOFF, 0, 20), PACE_WHOLE);
    s.wait = PACE_LEAST_NS; // nor where nobody suffers
    assert_int_equal(work(&s, PACE_HANDOFF, 0, 20), PACE_WHOLE);
    assert_int_equal(s.pace.rested[PACE_HANDOFF], 0);
}

static void who_suffers_has_the_others_rest_down_to_a_floor(void **state) {
    (void)state;
    struct scene s = scene(100 * NS_PER_SECOND, true);
    (void)work(&s, PACE_REPAIR, 0, 5);
    assert_int_equal(s.pace.share, PACE_FLOOR);
    assert_in_range(work(&s, PACE_REPAIR, 0, 5), PACE_FLOOR - 1, PACE_FLOOR + 1);
    assert_true(s.pace.rested[PACE_REPAIR] > 0);
    assert_int_equal(s.pace.rested[PACE_HANDOFF], 0);
}

static void it_finds_the_share_at_which_nobody_suffers(void **state) {
    (void)state;
    struct scene s = scene(8 * PACE_LEAST_NS, true);
    idle(&s, 2);
    (void)work(&s, PACE_MERGES, 0, 20);
    uint64_t share = work(&s, PACE_MERGES, 0, 100);
    assert_in_range(share, PACE_WHOLE / 16, PACE_WHOLE / 3);
}

static void it_recovers_step_by_step(void **state) {
    (void)state;
    struct scene s = scene(100 * NS_PER_SECOND, true);
    (void)work(&s, PACE_REPAIR, 0, 6);
    s.wait = 0;
    (void)work(&s, PACE_REPAIR, 0, SHARES / 2);
    assert_in_range(s.pace.share, PACE_WHOLE / 4, PACE_WHOLE * 3 / 4);
    (void)work(&s, PACE_REPAIR, 0, SHARES / 2 + 1);
    assert_int_equal(s.pace.share, PACE_WHOLE);
}

// It has recovered where nobody has asked it to rest meanwhile, also for who only looks.
static void it_recovers_while_nobody_looks(void **state) {
    (void)state;
    struct scene s = scene(100 * NS_PER_SECOND, true);
    (void)work(&s, PACE_REPAIR, 0, 6);
    assert_true(pace_rest(&s.pace, PACE_AUDIT, s.now, WORK_NS, 0) > 0);
    s.now += SHARES * PACE_WINDOW_NS;
    assert_int_equal(pace_share(&s.pace, s.now), PACE_WHOLE);
    assert_int_equal(pace_rest(&s.pace, PACE_AUDIT, s.now, WORK_NS, 0), 0);
    assert_int_equal(s.pace.share, PACE_FLOOR);
    assert_int_equal(pace_rest(&s.pace, PACE_REPAIR, s.now, WORK_NS, 0), 0);
}

// Clients wait as long when all rest: after a while at the floor that is what is usual.
static void what_is_slow_by_itself_does_not_hold_the_rest_up(void **state) {
    (void)state;
    struct scene s = scene(100 * NS_PER_MS, false);
    (void)work(&s, PACE_HANDOFF, 0, 6);
    assert_int_equal(s.pace.share, PACE_FLOOR);
    (void)work(&s, PACE_HANDOFF, 0, 60);
    assert_int_equal(s.pace.share, PACE_WHOLE);
    // And is known when nobody works.
    s = scene(100 * NS_PER_MS, false);
    for (uint32_t i = 0; i < 4; i++) {
        idle(&s, 4);
        assert_int_equal(pace_rest(&s.pace, PACE_HANDOFF, s.now, WORK_NS, 0), 0);
    }
    assert_int_equal(work(&s, PACE_HANDOFF, 0, 10), PACE_WHOLE);
    // It is forgotten when it is over.
    s.wait = NS_PER_MS;
    (void)work(&s, PACE_HANDOFF, 0, 30);
    s.wait = 50 * NS_PER_MS;
    (void)work(&s, PACE_HANDOFF, 0, 2);
    assert_true(s.pace.share < PACE_WHOLE);
}

static void the_queue_counts_by_itself(void **state) {
    (void)state;
    struct scene s = scene(NS_PER_MS, false);
    for (uint32_t i = 0; i < 6; i++) {
        pace_note(&s.pace, PACE_QUEUE, 50 * NS_PER_MS); // one, among many that do not wait
        (void)work(&s, PACE_MERGES, 0, 1);
    }
    assert_int_equal(s.pace.share, PACE_FLOOR);
}

static void debts_are_paid_whoever_suffers(void **state) {
    (void)state;
    struct scene s = scene(100 * NS_PER_SECOND, true);
    (void)work(&s, PACE_MERGES, 0, 6);
    assert_in_range(work(&s, PACE_MERGES, PACE_DEBT_MOST / 4, 4), PACE_WHOLE / 4 - 2,
                    PACE_WHOLE / 4 + 2);
    assert_int_equal(work(&s, PACE_MERGES, PACE_DEBT_MOST, 4), PACE_WHOLE);
    assert_int_equal(s.pace.share, PACE_FLOOR);
    assert_int_equal(pace_rest(&s.pace, PACE_MERGES, s.now, WORK_NS, UINT32_MAX), 0);
}

static void nobody_rests_for_ever(void **state) {
    (void)state;
    struct scene s = scene(100 * NS_PER_SECOND, true);
    (void)work(&s, PACE_HANDOFF, 0, 6);
    uint64_t most = PACE_REST_MAX_NS;
    assert_int_equal(pace_rest(&s.pace, PACE_HANDOFF, s.now, UINT64_MAX / 2, 0), most);
    assert_int_equal(pace_rest(&s.pace, PACE_HANDOFF, s.now, NS_PER_SECOND, 0), most);
}

int pace_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(where_nobody_asks_all_goes_at_its_own_speed),
        cmocka_unit_test(who_suffers_has_the_others_rest_down_to_a_floor),
        cmocka_unit_test(it_finds_the_share_at_which_nobody_suffers),
        cmocka_unit_test(it_recovers_step_by_step),
        cmocka_unit_test(it_recovers_while_nobody_looks),
        cmocka_unit_test(what_is_slow_by_itself_does_not_hold_the_rest_up),
        cmocka_unit_test(the_queue_counts_by_itself),
        cmocka_unit_test(debts_are_paid_whoever_suffers),
        cmocka_unit_test(nobody_rests_for_ever),
    };
    return cmocka_run_group_tests_name("pace", cases, NULL, NULL);
}
