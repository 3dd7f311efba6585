// SPDX-License-Identifier: Apache-2.0
#include "base/delay.h"

#include "base/rng.h"
#include "tests/test.h"

#include <string.h>

enum { DELAYS = 64, DURATION = 10 };

struct waiting {
    struct delay delay;
    uint64_t began;
    bool is_ended;
    uint64_t fired;
    struct waiting *victim; // ended when this fires
};

static uint64_t now;
static _Alignas(64) uint8_t memory[1024];
static struct timers timers;
static struct delays delays;

static void on_fired(struct delay *delay) {
    struct waiting *w = CONTAINER_OF(delay, struct waiting, delay);
    assert_false(w->is_ended);
    assert_int_equal(w->fired, 0);
    w->fired = now;
    if (w->victim == NULL) return;
    delay_end(&w->victim->delay);
    w->victim->is_ended = true;
}

static void prepare(struct waiting all[DELAYS]) {
    memset(memory, 0, sizeof(memory));
    struct arena arena = arena_over(memory, sizeof(memory));
    timers_init(&timers, &arena, 1);
    now = 1;
    delays_init(&delays, &timers, &now, DURATION, on_fired);
    memset(all, 0, DELAYS * sizeof(all[0]));
    for (uint32_t i = 0; i < DELAYS; i++) list_init(&all[i].delay.link);
}

// Turns the clock from one wake to the next, as a loop would.
static void run_until(uint64_t end) {
    while (timers_next(&timers) <= end) {
        now = timers_next(&timers);
        timers_run(&timers, now);
    }
    now = end;
}

static void each_fires_on_time_unless_it_was_ended(void **state) {
    (void)state;
    struct rng rng = {test_seed()};
    struct waiting all[DELAYS];
    for (int round = 0; round < 100; round++) {
        prepare(all);
        for (uint32_t i = 0; i < DELAYS; i++) {
            run_until(now + rng_below(&rng, 5));
            all[i].began = now;
            delay_begin(&delays, &all[i].delay);
            struct waiting *other = &all[rng_below(&rng, i + 1)];
            if (other->fired == 0) {
                delay_end(&other->delay);
                other->is_ended = true;
            }
        }
        run_until(now + DURATION);
        assert_int_equal(timers_next(&timers), TIMER_NEVER);
        for (uint32_t i = 0; i < DELAYS; i++) {
            assert_int_equal(all[i].fired, all[i].is_ended ? 0 : all[i].began + DURATION);
        }
    }
}

static void one_that_is_due_can_be_ended_by_another(void **state) {
    (void)state;
    struct waiting all[DELAYS];
    prepare(all);
    all[0].victim = &all[1];
    for (uint32_t i = 0; i < 3; i++) delay_begin(&delays, &all[i].delay);
    run_until(now + DURATION);
    assert_int_equal(all[0].fired, 1 + DURATION);
    assert_int_equal(all[1].fired, 0);
    assert_int_equal(all[2].fired, 1 + DURATION);
}

int delay_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(each_fires_on_time_unless_it_was_ended),
        cmocka_unit_test(one_that_is_due_can_be_ended_by_another),
    };
    return cmocka_run_group_tests_name("delay", cases, NULL, NULL);
}
