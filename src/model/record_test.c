// SPDX-License-Identifier: Apache-2.0
#include "model/record.h"

#include "base/rng.h"
#include "base/text.h"
#include "tests/test.h"

static struct version dot_of(uint64_t storage, uint64_t counter) {
    return (struct version){{storage, 1}, counter};
}

static struct sibling value_of(struct version dot, uint64_t timestamp, const char *value) {
    return (struct sibling){.dot = dot, .timestamp = timestamp, .value = slice_of_string(value)};
}

static struct slice encoded(const struct record *r, uint8_t *memory, size_t capacity) {
    struct writer w = writer_to(memory, capacity);
    record_encode(r, &w);
    assert_false(w.failed);
    assert_int_equal(w.size, record_encoded_size(r));
    return writer_bytes(&w);
}

static void a_sequential_overwrite_leaves_one_sibling_and_a_concurrent_one_two(void **state) {
    (void)state;
    static struct record empty, first, second, third;
    static struct context nothing;
    struct sibling s1 = value_of(dot_of(7, 1), 10, "one");
    assert_int_equal(record_update(&empty, &nothing, &s1, &first), ST_OK);
    struct sibling s2 = value_of(dot_of(7, 2), 20, "two");
    assert_int_equal(record_update(&first, &first.context, &s2, &second), ST_OK);
    assert_int_equal(second.sibling_count, 1);
    struct sibling s3 = value_of(dot_of(5, 1), 15, "three");
    assert_int_equal(record_update(&second, &first.context, &s3, &third), ST_OK);
    assert_int_equal(third.sibling_count, 2);
    assert_true(slice_equal(record_visible(&third, 0)->value, SLICE("two")));
    assert_true(slice_equal(third.siblings[0].value, SLICE("three")));

    static struct record merged;
    bool conflict = true;
    assert_int_equal(record_merge(&first, &third, &merged, &conflict), ST_OK);
    assert_false(conflict);
    uint8_t memory[2][256];
    assert_true(slice_equal(encoded(&merged, memory[0], 256), encoded(&third, memory[1], 256)));
}

int record_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(a_sequential_overwrite_leaves_one_sibling_and_a_concurrent_one_two),
    };
    return cmocka_run_group_tests_name("record", cases, NULL, NULL);
}
