// SPDX-License-Identifier: Apache-2.0
#include "model/name.h"

#include "tests/test.h"

static void letters_digits_and_three_signs_make_a_name(void **state) {
    (void)state;
    assert_true(name_is_good(SLICE("azAZ09-_.")));
    assert_true(name_is_good(SLICE("-")));
    assert_false(name_is_good(SLICE("")));
    uint32_t good = 0;
    for (uint32_t c = 0; c <= UINT8_MAX; c++) {
        uint8_t text[3] = {'a', (uint8_t)c, 'b'};
        bool is_good = name_is_good((struct slice){text, sizeof(text)});
        assert_int_equal(is_good, name_char_is_good((uint8_t)c));
        good += is_good;
    }
    assert_int_equal(good, 26 + 26 + 10 + 3);
    uint8_t longest[NAME_SIZE_MAX + 1];
    memset(longest, 'n', sizeof(longest));
    assert_true(name_is_good((struct slice){longest, NAME_SIZE_MAX}));
    assert_false(name_is_good((struct slice){longest, NAME_SIZE_MAX + 1}));
}

int name_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(letters_digits_and_three_signs_make_a_name),
    };
    return cmocka_run_group_tests_name("name", cases, NULL, NULL);
}
