// SPDX-License-Identifier: Apache-2.0
#include "base/status.h"

#include "tests/test.h"

#include <string.h>

static const enum status all[] = {
#define X(name, text) ST_##name,
    STATUS_MAP(X)
#undef X
};
enum { STATUSES = sizeof(all) / sizeof(all[0]) };

// `if (status)` reads as "if it failed".
static void only_ok_is_zero(void **state) {
    (void)state;
    assert_int_equal(ST_OK, 0);
    for (uint32_t i = 1; i < STATUSES; i++) assert_int_not_equal(all[i], 0);
}

// A text ends up in log lines and in replies, both of which end at a line break.
static void every_status_has_a_text_of_its_own_that_fits_one_line(void **state) {
    (void)state;
    for (uint32_t i = 0; i < STATUSES; i++) {
        const char *text = status_text(all[i]);
        assert_true(strlen(text) > 0);
        assert_null(strpbrk(text, "\r\n"));
        for (uint32_t j = 0; j < i; j++) assert_string_not_equal(text, status_text(all[j]));
    }
}

int status_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(only_ok_is_zero),
        cmocka_unit_test(every_status_has_a_text_of_its_own_that_fits_one_line),
    };
    return cmocka_run_group_tests_name("status", cases, NULL, NULL);
}
