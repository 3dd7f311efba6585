// SPDX-License-Identifier: Apache-2.0
#include "model/admission.h"

#include "base/timer.h"
#include "tests/test.h"

#define COST (100 * (NS_PER_MS / 1000)) // of what is taken on
#define REFUSAL (COST / 20)

enum { CAPACITY = 10000 }; // a second

// A process, and those who ask it for so much a second, whatever becomes of it.
struct desk {
    struct admission admission;
    uint64_t now;
    uint64_t late;
    uint64_t rate;     // asked for, a second
    uint64_t due_part; // of one that is not asked for yet, in ns of the rate
    uint64_t asked;
    uint64_t taken;
    uint64_t longest; // turn, ns
};

static struct desk desk_new(uint64_t rate) {
    struct desk d = {.now = 77 * NS_PER_SECOND, .rate = rate};
    admission_init(&d.admission, ADMISSION_TARGET_NS);
    return d;
}

static void one_turn(struct desk *d) {
    uint64_t waited = d->late > 0 ? d->late : NS_PER_MS; // or slept
    admission_turn(&d->admission, d->now, d->late);
    d->due_part += waited * d->rate;
    uint64_t count = d->due_part / NS_PER_SECOND;
    d->due_part %= NS_PER_SECOND;
    uint64_t took = 0;
    for (uint64_t i = 0; i < count; i++) {
        bool is_taken = admission_admits(&d->admission);
        took += is_taken ? COST : REFUSAL;
        d->taken += is_taken;
    }
    d->asked += count;
    if (took > d->longest) d->longest = took;
    d->late = took;
    d->now += took > 0 ? took : NS_PER_MS;
}

static void run(struct desk *d, uint64_t ns) {
    uint64_t until = d->now + ns;
    d->asked = 0;
    d->taken = 0;
    d->longest = 0;
    while (d->now < until) one_turn(d);
}

static void what_can_be_done_is_taken_on(void **state) {
    (void)state;
    struct desk d = desk_new(CAPACITY * 9 / 10);
    run(&d, 10 * NS_PER_SECOND);
    assert_int_equal(d.taken, d.asked);
    assert_in_range(d.asked, CAPACITY * 89 / 10, CAPACITY * 91 / 10);
    assert_false(d.admission.is_shedding);
}

// Turns do not grow, and as much is done as can be beside refusing the rest.
static void of_too_much_as_much_as_can_be_done_is_taken_on(void **state) {
    (void)state;
    for (uint64_t times = 2; times <= 8; times *= 2) {
        struct desk d = desk_new(times * CAPACITY);
        run(&d, 10 * NS_PER_SECOND); // turns grow quickly at first
        assert_true(d.admission.is_shedding);
        run(&d, 10 * NS_PER_SECOND);
        assert_in_range(d.longest, ADMISSION_TARGET_NS, 2 * ADMISSION_TARGET_NS);
        uint64_t refused_ns = (d.asked - d.taken) * REFUSAL;
        uint64_t could = (10 * NS_PER_SECOND - refused_ns) / COST;
        assert_in_range(d.taken, could * 98 / 100, could * 102 / 100);
        assert_true(d.admission.standing > ADMISSION_TARGET_NS / 2);
    }
}

static void it_ends_by_itself_when_less_is_asked_for(void **state) {
    (void)state;
    struct desk d = desk_new(UINT64_C(5) * CAPACITY);
    run(&d, 3 * NS_PER_SECOND);
    d.rate = CAPACITY * 9 / 10;
    run(&d, 2 * NS_PER_SECOND);
    assert_false(d.admission.is_shedding);
    run(&d, NS_PER_SECOND);
    assert_int_equal(d.taken, d.asked);
    assert_true(d.admission.standing <= ADMISSION_TARGET_NS);
}

static void a_wait_that_comes_and_goes_refuses_nothing(void **state) {
    (void)state;
    struct desk d = desk_new(CAPACITY / 2);
    for (int i = 0; i < 50; i++) {
        d.late = ADMISSION_WINDOW_NS * 9 / 10; // one turn took so long, and half of it the next
        run(&d, 2 * NS_PER_SECOND);
        assert_int_equal(d.taken, d.asked);
    }
}

// Turns that are long, with nothing to do between them.
static void what_is_rare_is_not_refused(void **state) {
    (void)state;
    struct admission a;
    admission_init(&a, ADMISSION_TARGET_NS);
    uint64_t now = 77 * NS_PER_SECOND;
    for (int i = 0; i < 100; i++, now += NS_PER_SECOND) {
        admission_turn(&a, now, 2 * ADMISSION_TARGET_NS);
        assert_true(admission_admits(&a));
    }
}

static void turns_longer_than_a_window_count(void **state) {
    (void)state;
    struct admission a;
    admission_init(&a, ADMISSION_TARGET_NS);
    uint64_t now = 77 * NS_PER_SECOND;
    uint32_t taken = 0;
    for (int i = 0; i < 10; i++, now += 500 * NS_PER_MS) {
        admission_turn(&a, now, 500 * NS_PER_MS);
        admission_turn(&a, now, 500 * NS_PER_MS); // told again, it is the same turn
        for (int j = 0; j < 100; j++) taken += admission_admits(&a);
    }
    assert_in_range(taken, 100, 300); // all of the first turns, then 2 of 100
    assert_true(a.is_shedding);
}

int admission_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(what_can_be_done_is_taken_on),
        cmocka_unit_test(of_too_much_as_much_as_can_be_done_is_taken_on),
        cmocka_unit_test(it_ends_by_itself_when_less_is_asked_for),
        cmocka_unit_test(a_wait_that_comes_and_goes_refuses_nothing),
        cmocka_unit_test(what_is_rare_is_not_refused),
        cmocka_unit_test(turns_longer_than_a_window_count),
    };
    return cmocka_run_group_tests_name("admission", cases, NULL, NULL);
}
