// SPDX-License-Identifier: Apache-2.0
#include "base/timer.h"

#include "base/list.h"
#include "base/rng.h"
#include "tests/test.h"

#include <string.h>

enum { TIMERS = 64 };

struct waiting {
    struct timer timer;
    uint32_t *fired_count;
    uint32_t fired_at; // its place in the order of firing, from 1
};

static void on_fired(struct timer *timer) {
    struct waiting *w = CONTAINER_OF(timer, struct waiting, timer);
    w->fired_at = ++*w->fired_count;
}

static _Alignas(64) uint8_t memory[8192];

static void timers_fire_by_deadline_and_then_by_order_of_arming(void **state) {
    (void)state;
    struct rng rng = {test_seed()};
    for (int round = 0; round < 200; round++) {
        memset(memory, 0, sizeof(memory));
        struct arena arena = arena_over(memory, sizeof(memory));
        struct timers timers;
        timers_init(&timers, &arena, TIMERS);
        struct waiting all[TIMERS] = {0};
        uint32_t fired_count = 0;
        for (uint32_t i = 0; i < TIMERS; i++) {
            all[i] = (struct waiting){.timer.fired = on_fired, .fired_count = &fired_count};
            timer_arm(&timers, &all[i].timer, rng_below(&rng, 20));
        }
        for (uint32_t i = 0; i < TIMERS; i++) {
            if (rng_chance(&rng, 1, 4)) timer_disarm(&timers, &all[i].timer);
            if (rng_chance(&rng, 1, 4)) timer_arm(&timers, &all[i].timer, rng_below(&rng, 20));
        }
        timers_run(&timers, 9);
        assert_true(timers_next(&timers) > 9);
        timers_run(&timers, 20);
        assert_int_equal(timers_next(&timers), TIMER_NEVER);

        for (uint32_t i = 0; i < TIMERS; i++) {
            for (uint32_t j = 0; j < TIMERS; j++) {
                if (all[i].fired_at == 0 || all[j].fired_at == 0) continue;
                const struct timer *a = &all[i].timer;
                const struct timer *b = &all[j].timer;
                bool before = a->deadline < b->deadline ||
                              (a->deadline == b->deadline && a->order < b->order);
                if (before) assert_true(all[i].fired_at < all[j].fired_at);
            }
        }
    }
}

struct again {
    struct timer timer;
    struct timers *timers;
    uint32_t count;
};

static void on_again(struct timer *timer) {
    struct again *a = CONTAINER_OF(timer, struct again, timer);
    a->count++;
    timer_arm(a->timers, timer, 0);
}

static void a_timer_that_arms_itself_for_now_does_not_hold_the_loop(void **state) {
    (void)state;
    memset(memory, 0, sizeof(memory));
    struct arena arena = arena_over(memory, sizeof(memory));
    struct timers timers;
    timers_init(&timers, &arena, 4);
    struct again a = {.timer.fired = on_again, .timers = &timers};
    timer_arm(&timers, &a.timer, 0);
    timers_run(&timers, 5);
    assert_int_equal(a.count, 1);
    timers_run(&timers, 5);
    assert_int_equal(a.count, 2);
}

int timer_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(timers_fire_by_deadline_and_then_by_order_of_arming),
        cmocka_unit_test(a_timer_that_arms_itself_for_now_does_not_hold_the_loop),
    };
    return cmocka_run_group_tests_name("timer", cases, NULL, NULL);
}
