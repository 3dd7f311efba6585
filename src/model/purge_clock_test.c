// SPDX-License-Identifier: Apache-2.0
#include "model/purge_clock.h"

#include "tests/test.h"

#define SECOND_NS UINT64_C(1000000000)
#define YEAR_MS (UINT64_C(365) * 86400 * 1000)
#define START_MS (UINT64_C(50) * YEAR_MS)

static void it_goes_with_a_wall_clock_that_is_right(void **state) {
    (void)state;
    struct purge_clock c;
    purge_clock_begin(&c, 0, 7, START_MS);
    for (uint64_t i = 1; i < 100; i++) {
        // Also where it is read more often than its unit.
        assert_int_equal(purge_clock_read(&c, 7 + i * SECOND_NS / 10, START_MS + i * 100),
                         START_MS + i * 100);
        assert_int_equal(purge_clock_read(&c, 7 + i * SECOND_NS / 10 + 1, START_MS + i * 100),
                         START_MS + i * 100);
    }
}

static void a_step_ahead_is_followed_no_faster_than_twice_the_time(void **state) {
    (void)state;
    struct purge_clock c;
    purge_clock_begin(&c, 0, 0, START_MS);
    uint64_t wrong = START_MS + YEAR_MS;
    assert_int_equal(purge_clock_read(&c, 0, wrong), START_MS);
    assert_int_equal(purge_clock_read(&c, 3600 * SECOND_NS, wrong + 3600000), START_MS + 7200000);
    // Set right again it waits until time has come to where it is.
    assert_int_equal(purge_clock_read(&c, 3600 * SECOND_NS, START_MS + 3600000),
                     START_MS + 3600000);
    assert_int_equal(purge_clock_read(&c, 7200 * SECOND_NS, START_MS + 7200000),
                     START_MS + 7200000);
    assert_int_equal(purge_clock_read(&c, 9000 * SECOND_NS, START_MS + 9000000),
                     START_MS + 9000000);
}

static void it_goes_on_from_where_it_was_and_catches_up(void **state) {
    (void)state;
    struct purge_clock c;
    uint64_t now_ms = START_MS + 10000; // ten seconds down
    purge_clock_begin(&c, START_MS, 0, now_ms);
    assert_int_equal(purge_clock_read(&c, 5 * SECOND_NS, now_ms + 5000), START_MS + 10000);
    assert_int_equal(purge_clock_read(&c, 10 * SECOND_NS, now_ms + 10000), now_ms + 10000);
    assert_int_equal(purge_clock_read(&c, 20 * SECOND_NS, now_ms + 20000), now_ms + 20000);
}

int purge_clock_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(it_goes_with_a_wall_clock_that_is_right),
        cmocka_unit_test(a_step_ahead_is_followed_no_faster_than_twice_the_time),
        cmocka_unit_test(it_goes_on_from_where_it_was_and_catches_up),
    };
    return cmocka_run_group_tests_name("purge_clock", cases, NULL, NULL);
}
