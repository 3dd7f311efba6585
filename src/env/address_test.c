// SPDX-License-Identifier: Apache-2.0
#include "env/address.h"

#include "tests/test.h"

#include <string.h>

static void numeric_addresses_are_read_and_written(void **state) {
    (void)state;
    static const char *const good[] = {"127.0.0.1:7379", "0.0.0.0:0", "255.255.255.255:65535",
                                       "[::1]:1", "[2001:db8::5:1]:16379"};
    for (uint32_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct address address;
        char text[ADDRESS_TEXT_MAX];
        assert_int_equal(address_parse(good[i], &address), ST_OK);
        address_format(&address, text);
        assert_string_equal(text, good[i]);
    }
}

static void names_are_left_for_later(void **state) {
    (void)state;
    static const char *const names[] = {"localhost:1", "a.b.c:7379", "1.2.3:5", "1.2.3.4.5:6"};
    struct address address;
    for (uint32_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_int_equal(address_parse(names[i], &address), ST_NOT_FOUND);
    }
}

static void what_is_no_address_is_refused(void **state) {
    (void)state;
    static const char *const bad[] = {"",         ":",           "a",      "a:",    ":1",
                                      "a:b",      "a:-1",        "a:+1",   "a: 1",  "a:65536",
                                      "a:000001", "::1:5",       "[]:5",   "[::1]", "[::1]5",
                                      "[::1:5",   "[1.2.3.4]:5", "[zz]:5", "a:1:2", "[::1]:"};
    struct address address;
    for (uint32_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(address_parse(bad[i], &address), ST_INVALID);
    }
    char text[ADDRESS_SIZE_MAX + 2];
    memset(text, 'a', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    text[ADDRESS_SIZE_MAX - 1] = ':';
    text[ADDRESS_SIZE_MAX] = '1'; // one byte too long
    assert_int_equal(address_parse(text, &address), ST_INVALID);
    text[ADDRESS_SIZE_MAX - 2] = ':';
    text[ADDRESS_SIZE_MAX - 1] = '1';
    text[ADDRESS_SIZE_MAX] = '\0';
    assert_int_equal(address_parse(text, &address), ST_NOT_FOUND);
}

int address_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(numeric_addresses_are_read_and_written),
        cmocka_unit_test(names_are_left_for_later),
        cmocka_unit_test(what_is_no_address_is_refused),
    };
    return cmocka_run_group_tests_name("address", cases, NULL, NULL);
}
