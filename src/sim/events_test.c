// SPDX-License-Identifier: Apache-2.0
#include "sim/events.h"

#include "tests/test.h"

enum { EVENTS = 3000 };

static void events_come_in_order_of_time_while_others_are_added(void **state) {
    (void)state;
    struct rng rng = {test_seed()};
    struct events events;
    events_init(&events, (struct rng){1});
    assert_true(events_next(&events) == UINT64_MAX);
    uint64_t now = 0;
    uint64_t added = 0;
    uint64_t taken = 0;
    uint64_t sum = 0; // of all values added, less those taken
    while (added < EVENTS || events.count > 0) {
        if (added < EVENTS && rng_chance(&rng, 3, 5)) {
            struct event *event = events_add(&events, now + rng_below(&rng, 50));
            event->value = ++added;
            sum += added;
        } else if (events.count > 0) {
            uint64_t at = events_next(&events);
            assert_true(at >= now);
            now = at;
            struct event *event = events_take(&events);
            sum -= event->value;
            taken++;
            events_give(&events, event);
        }
    }
    assert_int_equal(taken, EVENTS);
    assert_int_equal(sum, 0);
    events_destroy(&events);
}

static void draw_order(uint64_t seed, uint64_t *order) {
    struct events events;
    events_init(&events, (struct rng){seed});
    for (uint64_t i = 0; i < 20; i++) events_add(&events, 7)->value = i;
    for (uint64_t i = 0; i < 20; i++) {
        struct event *event = events_take(&events);
        order[i] = event->value;
        events_give(&events, event);
    }
    events_destroy(&events);
}

static void equal_times_are_shuffled_by_the_seed_alone(void **state) {
    (void)state;
    uint64_t a[20];
    uint64_t b[20];
    uint64_t c[20];
    draw_order(1, a);
    draw_order(1, b);
    draw_order(2, c);
    assert_memory_equal(a, b, sizeof(a));
    assert_memory_not_equal(a, c, sizeof(a));
    bool is_sorted = true;
    for (int i = 1; i < 20; i++) is_sorted = is_sorted && a[i - 1] < a[i];
    assert_false(is_sorted);
}

int events_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(events_come_in_order_of_time_while_others_are_added),
        cmocka_unit_test(equal_times_are_shuffled_by_the_seed_alone),
    };
    return cmocka_run_group_tests_name("events", cases, NULL, NULL);
}
