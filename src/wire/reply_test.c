// SPDX-License-Identifier: Apache-2.0
#include "wire/reply.h"

#include "base/text.h"
#include "tests/golden.h"
#include "tests/test.h"

#include <math.h>
#include <string.h>

static uint8_t memory[4096];

// What reply_* writes for `protocol`.
#define EXPECT(protocol, call, expected)                                                           \
    do {                                                                                           \
        struct reply reply = reply_to(memory, sizeof(memory), protocol);                           \
        struct reply *r = &reply;                                                                  \
        call;                                                                                      \
        assert_false(r->overflowed);                                                               \
        assert_int_equal(r->size, sizeof(expected) - 1);                                           \
        assert_memory_equal(r->data, expected, sizeof(expected) - 1);                              \
    } while (0)

#define EXPECT_BOTH(call, expected)                                                                \
    do {                                                                                           \
        EXPECT(2, call, expected);                                                                 \
        EXPECT(3, call, expected);                                                                 \
    } while (0)

static void what_both_protocols_have_is_written_alike(void **state) {
    (void)state;
    EXPECT_BOTH(reply_ok(r), "+OK\r\n");
    EXPECT_BOTH(reply_simple(r, SLICE("string")), "+string\r\n");
    EXPECT_BOTH(reply_integer(r, -42), ":-42\r\n");
    EXPECT_BOTH(reply_integer(r, INT64_MIN), ":-9223372036854775808\r\n");
    EXPECT_BOTH(reply_bulk(r, SLICE("a\r\nb")), "$4\r\na\r\nb\r\n");
    EXPECT_BOTH(reply_bulk(r, SLICE("")), "$0\r\n\r\n");
    EXPECT_BOTH(reply_bulk_string(r, "0123456789"), "$10\r\n0123456789\r\n");
    EXPECT_BOTH(reply_bulk_integer(r, 1000), "$4\r\n1000\r\n");
    EXPECT_BOTH(reply_array(r, 0), "*0\r\n");
    EXPECT_BOTH(reply_array(r, 12), "*12\r\n");
    EXPECT_BOTH(reply_error(r, SLICE("ERR no")), "-ERR no\r\n");
    EXPECT_BOTH(reply_errorf(r, "ERR %s %d", "x", 7), "-ERR x 7\r\n");
}

static void what_only_one_protocol_has_is_said_in_the_words_of_the_other(void **state) {
    (void)state;
    EXPECT(2, reply_null(r), "$-1\r\n");
    EXPECT(3, reply_null(r), "_\r\n");
    EXPECT(2, reply_null_array(r), "*-1\r\n");
    EXPECT(3, reply_null_array(r), "_\r\n");
    EXPECT(2, reply_map(r, 3), "*6\r\n");
    EXPECT(3, reply_map(r, 3), "%3\r\n");
    EXPECT(2, reply_set(r, 3), "*3\r\n");
    EXPECT(3, reply_set(r, 3), "~3\r\n");
    EXPECT(2, reply_push(r, 3), "*3\r\n");
    EXPECT(3, reply_push(r, 3), ">3\r\n");
    EXPECT(2, reply_boolean(r, true), ":1\r\n");
    EXPECT(3, reply_boolean(r, true), "#t\r\n");
    EXPECT(2, reply_boolean(r, false), ":0\r\n");
    EXPECT(3, reply_boolean(r, false), "#f\r\n");
    EXPECT(2, reply_verbatim(r, SLICE("text")), "$4\r\ntext\r\n");
    EXPECT(3, reply_verbatim(r, SLICE("text")), "=8\r\ntxt:text\r\n");
    EXPECT(2, reply_double(r, 0.5), "$3\r\n0.5\r\n");
    EXPECT(3, reply_double(r, 0.1), ",0.10000000000000001\r\n");
    EXPECT(3, reply_double(r, -1e300), ",-1.0000000000000001e+300\r\n");
    EXPECT(3, reply_double(r, (double)INFINITY), ",inf\r\n");
    EXPECT(3, reply_double(r, -(double)INFINITY), ",-inf\r\n");
    EXPECT(3, reply_double(r, (double)NAN), ",nan\r\n");
}

static void an_error_is_one_line_whatever_is_in_it(void **state) {
    (void)state;
    EXPECT_BOTH(reply_error(r, SLICE("ERR a\r\n+OK\r\n\0\x7f\x1b")), "-ERR a  +OK     \r\n");
    char text[REPLY_ERROR_MAX + 100];
    memset(text, 'x', sizeof(text));
    struct reply r = reply_to(memory, sizeof(memory), 2);
    reply_error(&r, (struct slice){(uint8_t *)text, sizeof(text)});
    assert_int_equal(r.size, 1 + REPLY_ERROR_MAX + 2);
    reply_rewind(&r, 0);
    text[sizeof(text) - 1] = '\0';
    reply_errorf(&r, "%s", text);
    assert_int_equal(r.size, 1 + REPLY_ERROR_MAX + 2);
}

static void the_first_element_without_room_stops_the_reply(void **state) {
    (void)state;
    for (size_t capacity = 0; capacity < 16; capacity++) {
        memset(memory, '!', sizeof(memory));
        struct reply r = reply_to(memory, capacity, 2);
        reply_integer(&r, 1);            // 4 bytes
        reply_bulk(&r, SLICE("abcdef")); // 12 bytes
        reply_ok(&r);                    // would fit where the bulk did not
        assert_true(r.overflowed);
        assert_int_equal(r.size, capacity < 4 ? 0 : 4);
        assert_int_equal(memory[r.size], '!');
        reply_rewind(&r, 0);
        assert_false(r.overflowed);
    }
}

static void the_room_of_a_bulk_is_known_beforehand(void **state) {
    (void)state;
    static uint8_t value[2000];
    for (size_t size = 0; size < sizeof(value); size++) {
        size_t needed = reply_bulk_size(size);
        struct reply r = reply_to(memory, needed, 3);
        reply_bulk(&r, (struct slice){value, size});
        assert_int_equal(r.size, needed);
        assert_true(needed <= size + REPLY_HEADER_MAX);
    }
}

static void the_header_of_an_array_may_come_after_its_elements(void **state) {
    (void)state;
    struct reply r = reply_to(memory, 4 + 5 + 12, 2);
    reply_integer(&r, 7);
    size_t mark = r.size;
    for (int i = 0; i < 3; i++) reply_integer(&r, i);
    reply_array_before(&r, mark, 100);
    assert_true(r.overflowed); // one byte short
    assert_int_equal(r.size, 16);
    r.overflowed = false;
    reply_array_before(&r, mark, 3);
    assert_int_equal(r.size, 20);
    assert_memory_equal(r.data, ":7\r\n*3\r\n:0\r\n:1\r\n:2\r\n", 20);
    assert_int_equal(reply_room(&r), 1);
}

static void the_header_of_a_map_may_come_after_its_pairs(void **state) {
    (void)state;
    static const char *const expected[] = {"*4\r\n:0\r\n:1\r\n:2\r\n:3\r\n",
                                           "%2\r\n:0\r\n:1\r\n:2\r\n:3\r\n"};
    for (uint8_t protocol = 2; protocol <= 3; protocol++) {
        struct reply r = reply_to(memory, sizeof(memory), protocol);
        for (int i = 0; i < 4; i++) reply_integer(&r, i);
        reply_map_before(&r, 0, 2);
        assert_int_equal(r.size, 20);
        assert_memory_equal(r.data, expected[protocol - 2], 20);
    }
}

static void write_one_of_each(struct reply *r) {
    reply_ok(r);
    reply_simple(r, SLICE("QUEUED"));
    reply_error(r, SLICE("ERR unknown command 'FOO', with args beginning with: 'a\r\nb' "));
    reply_errorf(r, "NOQUORUM %d of %d replicas answered", 1, 3);
    reply_integer(r, 0);
    reply_integer(r, INT64_MAX);
    reply_integer(r, INT64_MIN);
    reply_bulk(r, SLICE(""));
    reply_bulk(r, SLICE("bytes \0\r\n\xff"));
    reply_bulk_string(r, "string");
    reply_bulk_integer(r, -17);
    reply_verbatim(r, SLICE("# Server\r\nredis_version:7.0.15\r\n"));
    reply_null(r);
    reply_null_array(r);
    reply_boolean(r, true);
    reply_boolean(r, false);
    reply_double(r, 0);
    reply_double(r, -1.5);
    reply_double(r, 3.0000000000000004);
    reply_double(r, 1e100);
    reply_array(r, 0);
    reply_array(r, 2);
    reply_bulk_string(r, "0");
    reply_array(r, 1);
    reply_bulk_string(r, "key");
    reply_map(r, 2);
    reply_bulk_string(r, "proto");
    reply_integer(r, r->protocol);
    reply_bulk_string(r, "modules");
    reply_array(r, 0);
    reply_set(r, 1);
    reply_simple(r, SLICE("fast"));
    reply_push(r, 2);
    reply_bulk_string(r, "invalidate");
    reply_null(r);
}

static void replies_are_the_golden_bytes(void **state) {
    (void)state;
    for (uint8_t protocol = 2; protocol <= 3; protocol++) {
        struct reply r = reply_to(memory, sizeof(memory), protocol);
        write_one_of_each(&r);
        assert_false(r.overflowed);
        golden_compare(protocol == 2 ? "replies.resp2" : "replies.resp3",
                       (struct slice){r.data, r.size});
    }
}

int reply_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(what_both_protocols_have_is_written_alike),
        cmocka_unit_test(what_only_one_protocol_has_is_said_in_the_words_of_the_other),
        cmocka_unit_test(an_error_is_one_line_whatever_is_in_it),
        cmocka_unit_test(the_first_element_without_room_stops_the_reply),
        cmocka_unit_test(the_room_of_a_bulk_is_known_beforehand),
        cmocka_unit_test(the_header_of_an_array_may_come_after_its_elements),
        cmocka_unit_test(the_header_of_a_map_may_come_after_its_pairs),
        cmocka_unit_test(replies_are_the_golden_bytes),
    };
    return cmocka_run_group_tests_name("reply", cases, NULL, NULL);
}
