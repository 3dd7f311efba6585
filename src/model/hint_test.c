// SPDX-License-Identifier: Apache-2.0
#include "model/hint.h"

#include "base/text.h"

#include "tests/test.h"

#include <stdio.h>

static void a_hint_comes_out_as_it_went_in(void **state) {
    (void)state;
    uint8_t bytes[64];
    const struct hint hints[] = {
        {7, SLICE("key"), SLICE("record")},
        {0, SLICE("k"), {NULL, 0}},
    };
    for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]); i++) {
        struct writer w = writer_to(bytes, sizeof(bytes));
        hint_encode(&hints[i], &w);
        assert_int_equal(w.size, HINT_HEAD_SIZE + hints[i].key.size + hints[i].record.size);
        struct hint hint;
        assert_int_equal(hint_decode(&hint, writer_bytes(&w)), ST_OK);
        assert_int_equal(hint.round, hints[i].round);
        assert_true(slice_equal(hint.key, hints[i].key));
        assert_true(slice_equal(hint.record, hints[i].record));
        for (size_t size = 0; size < w.size; size++) {
            assert_int_equal(hint_decode(&hint, (struct slice){bytes, size}), ST_CORRUPT);
        }
        write_u8(&w, 0);
        assert_int_equal(hint_decode(&hint, writer_bytes(&w)), ST_CORRUPT);
    }
}

static void what_is_no_hint_of_this_version_is_refused(void **state) {
    (void)state;
    uint8_t bytes[64];
    struct hint hint = {7, SLICE("key"), SLICE("record")};
    struct writer w = writer_to(bytes, sizeof(bytes));
    hint_encode(&hint, &w);
    bytes[0] = HINT_VERSION + 1;
    assert_int_equal(hint_decode(&hint, writer_bytes(&w)), ST_CORRUPT);
    hint = (struct hint){.round = 1, .record = SLICE("of no key")};
    w = writer_to(bytes, sizeof(bytes));
    hint_encode(&hint, &w);
    assert_int_equal(hint_decode(&hint, writer_bytes(&w)), ST_CORRUPT);
}

// However their hashes fall.
static void hints_stand_in_the_order_of_their_targets(void **state) {
    (void)state;
    static const uint16_t targets[] = {0, 1, 255, 256, 1023};
    enum { TARGETS = sizeof(targets) / sizeof(targets[0]) };
    uint8_t last[HINT_KEY_SIZE] = {0};
    for (uint32_t i = 0; i < TARGETS; i++) {
        uint8_t first[HINT_KEY_SIZE];
        hint_key_first(first, targets[i]);
        assert_true(i == 0 || memcmp(last, first, HINT_KEY_SIZE) < 0);
        for (uint32_t k = 0; k < 100; k++) {
            char text[16];
            uint8_t key[HINT_KEY_SIZE];
            (void)snprintf(text, sizeof(text), "key%u", k);
            hint_key_write(key, targets[i], (uint16_t)(k * 600), slice_of_string(text));
            assert_true(memcmp(first, key, HINT_KEY_SIZE) <= 0);
            if (memcmp(last, key, HINT_KEY_SIZE) < 0) memcpy(last, key, HINT_KEY_SIZE);
            uint16_t target;
            uint16_t keyspace;
            assert_true(hint_key_read((struct slice){key, HINT_KEY_SIZE}, &target, &keyspace));
            assert_int_equal(target, targets[i]);
            assert_int_equal(keyspace, k * 600);
            assert_false(hint_key_read((struct slice){key, HINT_KEY_SIZE - 1}, &target, &keyspace));
        }
    }
}

int hint_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(a_hint_comes_out_as_it_went_in),
        cmocka_unit_test(what_is_no_hint_of_this_version_is_refused),
        cmocka_unit_test(hints_stand_in_the_order_of_their_targets),
    };
    return cmocka_run_group_tests_name("hint", cases, NULL, NULL);
}
