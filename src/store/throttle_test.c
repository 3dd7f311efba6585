// SPDX-License-Identifier: Apache-2.0
#include "store/throttle.h"

#include "base/timer.h"
#include "tests/test.h"

enum { WRITE = 3000 };

#define MIB (UINT64_C(1) << 20)

// Merges so many bytes a second, in pieces, and writes whatever is allowed. Returns what was
// written; *longest: ns between two writes.
static uint64_t run(struct throttle *t, uint64_t *now, uint64_t rate, uint64_t share,
                    uint64_t seconds, uint64_t write, uint64_t *longest) {
    enum { PIECES = 50 }; // a second
    uint64_t written = 0;
    uint64_t last = *now;
    *longest = 0;
    for (uint64_t ms = 0; ms < seconds * 1000; ms++) {
        *now += NS_PER_MS;
        if (ms % (1000 / PIECES) == 0) throttle_note_merged(t, *now, rate / PIECES);
        while (throttle_allows(t, *now, share)) {
            throttle_note_written(t, write);
            written += write;
            if (*now - last > *longest) *longest = *now - last;
            last = *now;
        }
    }
    return written;
}

static void what_is_written_is_the_share_of_what_is_merged(void **state) {
    (void)state;
    for (uint64_t rate = 8 * MIB; rate <= 512 * MIB; rate *= 4) {
        for (uint64_t share = THROTTLE_WHOLE / 8; share <= THROTTLE_WHOLE; share *= 2) {
            struct throttle t = {0};
            uint64_t now = UINT64_C(1) << 40;
            uint64_t longest = 0;
            (void)run(&t, &now, rate, share, 2, WRITE, &longest);
            uint64_t written = run(&t, &now, rate, share, 4, WRITE, &longest);
            uint64_t wanted = rate * share / THROTTLE_WHOLE * 4;
            assert_in_range(written, wanted * 95 / 100, wanted * 105 / 100);
            assert_true(longest <= 4 * NS_PER_MS); // 3 KB of the least rate, and a turn
        }
    }
}

static void what_is_large_is_paid_for(void **state) {
    (void)state;
    struct throttle t = {0};
    uint64_t now = UINT64_C(1) << 40;
    uint64_t longest = 0;
    (void)run(&t, &now, 64 * MIB, THROTTLE_WHOLE / 2, 2, MIB, &longest);
    uint64_t written = run(&t, &now, 64 * MIB, THROTTLE_WHOLE / 2, 4, MIB, &longest);
    assert_in_range(written, 120 * MIB, 136 * MIB);
    assert_true(longest <= 40 * NS_PER_MS);
}

static void a_pause_of_the_merge_is_not_one_of_writes(void **state) {
    (void)state;
    struct throttle t = {0};
    uint64_t now = UINT64_C(1) << 40;
    uint64_t longest = 0;
    (void)run(&t, &now, 64 * MIB, THROTTLE_WHOLE / 2, 2, WRITE, &longest);
    (void)run(&t, &now, 0, THROTTLE_WHOLE / 2, 1, WRITE, &longest); // it waits for the disk
    assert_true(longest <= 4 * NS_PER_MS);
}

static void nobody_waits_for_ever(void **state) {
    (void)state;
    struct throttle t = {0};
    uint64_t now = UINT64_C(1) << 40;
    uint64_t longest = 0;
    uint64_t written = run(&t, &now, 0, THROTTLE_WHOLE / 8, 4, WRITE, &longest);
    assert_true(written > MIB);
    now += 3600 * UINT64_C(1000) * NS_PER_MS; // and a rest is not saved up
    uint64_t later = run(&t, &now, 0, THROTTLE_WHOLE / 8, 4, WRITE, &longest);
    assert_in_range(later, written * 9 / 10, written * 11 / 10);
}

int throttle_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(what_is_written_is_the_share_of_what_is_merged),
        cmocka_unit_test(what_is_large_is_paid_for),
        cmocka_unit_test(a_pause_of_the_merge_is_not_one_of_writes),
        cmocka_unit_test(nobody_waits_for_ever),
    };
    return cmocka_run_group_tests_name("throttle", cases, NULL, NULL);
}
