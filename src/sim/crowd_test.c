// SPDX-License-Identifier: Apache-2.0
//
// Some dozens of nodes, which are enough for each to talk to a few of the others only.
#include "sim/crowd.h"

#include "base/timer.h"
#include "tests/test.h"

enum { MEMBERS = 40, TRAFFIC_MAX = 20000 };

static struct crowd *begin(void) {
    struct crowd *c = crowd_create(MEMBERS, test_seed());
    assert_non_null(c);
    assert_true(crowd_begin(c, 10 * NS_PER_SECOND));
    return c;
}

static void a_crowd_at_rest_says_little(void **state) {
    (void)state;
    struct crowd *c = begin();
    world_run(crowd_world(c), world_now(crowd_world(c)) + 20 * NS_PER_SECOND);
    struct crowd_traffic t = crowd_rest(c, 20 * NS_PER_SECOND);
    assert_in_range(t.mean, TRAFFIC_MAX / 10, TRAFFIC_MAX);
    assert_in_range(t.most_sent, t.mean, TRAFFIC_MAX);
    assert_in_range(t.most_received, t.mean, TRAFFIC_MAX);
    crowd_destroy(c);
}

static void a_loss_is_noticed_by_all_of_a_crowd(void **state) {
    (void)state;
    struct crowd *c = begin();
    for (uint32_t i = 0; i < 4; i++) {
        struct crowd_notice n;
        assert_true(crowd_lose(c, 7 + i, i % 2 == 0, 20 * NS_PER_SECOND, &n));
        assert_in_range(n.half, NS_PER_SECOND / 2, n.nearly_all);
        assert_in_range(n.nearly_all, n.half, n.all);
        assert_in_range(n.all, n.nearly_all, 3 * NS_PER_SECOND);
    }
    crowd_destroy(c);
}

// Where packets are lost, and some are stopped and go on.
static void nobody_of_a_crowd_is_accused_who_is_well(void **state) {
    (void)state;
    struct crowd *c = begin();
    struct crowd_trouble t = crowd_suffer(c, 60 * NS_PER_SECOND);
    assert_true(t.stops > 10);
    assert_true(t.looks > 10000);
    assert_int_equal(t.accused, 0);
    assert_true(t.doubted * 1000 < t.looks);
    crowd_destroy(c);
}

// Their map is larger than any record of a key.
static void many_members_with_small_values_found_a_cluster(void **state) {
    (void)state;
    struct crowd *c = crowd_create(3 * MEMBERS, test_seed());
    assert_non_null(c);
    assert_true(crowd_begin(c, 10 * NS_PER_SECOND));
    crowd_destroy(c);
}

static void a_crowd_has_no_more_than_there_can_be(void **state) {
    (void)state;
    assert_null(crowd_create(1, 1));
    assert_null(crowd_create(MEMBERS_MAX + 1, 1));
}

int crowd_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(a_crowd_at_rest_says_little),
        cmocka_unit_test(a_loss_is_noticed_by_all_of_a_crowd),
        cmocka_unit_test(nobody_of_a_crowd_is_accused_who_is_well),
        cmocka_unit_test(many_members_with_small_values_found_a_cluster),
        cmocka_unit_test(a_crowd_has_no_more_than_there_can_be),
    };
    return cmocka_run_group_tests_name("crowd", cases, NULL, NULL);
}
