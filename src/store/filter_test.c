// SPDX-License-Identifier: Apache-2.0
#include "store/filter.h"

#include "base/hash.h"
#include "tests/test.h"

#include <stdlib.h>

static struct filter filter_new(uint64_t key_count) {
    struct filter f = {.line_count = filter_line_count(key_count)};
    f.lines = calloc(f.line_count, FILTER_LINE);
    return f;
}

static uint64_t hash_of_number(uint64_t i) {
    return hash_bytes((struct slice){(const uint8_t *)&i, sizeof(i)}, 42);
}

static void what_was_added_may_always_be_there(void **state) {
    (void)state;
    for (uint64_t count = 1; count < 3000; count += count / 2 + 1) {
        struct filter f = filter_new(count);
        for (uint64_t i = 0; i < count; i++) filter_add(&f, hash_of_number(i));
        for (uint64_t i = 0; i < count; i++) assert_true(filter_may_hold(&f, hash_of_number(i)));
        free(f.lines);
    }
}

enum { KEYS = 100000, OTHERS = 200000 };

// Of so many others, by a filter made for so many keys that KEYS were added to.
static uint32_t wrongly_suspected(uint64_t made_for) {
    struct filter f = filter_new(made_for);
    for (uint64_t i = 0; i < KEYS; i++) filter_add(&f, hash_of_number(i));
    uint32_t wrong = 0;
    for (uint64_t i = 0; i < OTHERS; i++) wrong += filter_may_hold(&f, hash_of_number(KEYS + i));
    free(f.lines);
    return wrong;
}

static void less_than_one_in_a_hundred_is_wrongly_suspected(void **state) {
    (void)state;
    uint32_t wrong = wrongly_suspected(KEYS);
    assert_true(wrong < OTHERS / 100);
    assert_true(wrong > 0);
    uint32_t above = wrongly_suspected(filter_keys_above(KEYS));
    assert_true(above < wrong / 3);
    assert_true(above > 0);
}

static void an_empty_filter_holds_nothing(void **state) {
    (void)state;
    struct filter f = filter_new(0);
    assert_int_equal(f.line_count, 1);
    for (uint64_t i = 0; i < 100; i++) assert_false(filter_may_hold(&f, hash_of_number(i)));
    free(f.lines);
}

int filter_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(what_was_added_may_always_be_there),
        cmocka_unit_test(less_than_one_in_a_hundred_is_wrongly_suspected),
        cmocka_unit_test(an_empty_filter_holds_nothing),
    };
    return cmocka_run_group_tests_name("filter", cases, NULL, NULL);
}
