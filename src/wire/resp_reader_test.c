// SPDX-License-Identifier: Apache-2.0
#include "wire/resp_reader.h"

#include "base/text.h"
#include "tests/golden.h"
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>

static void dump(struct text *out, const struct resp_reply *reply) {
    text_char(out, (char)reply->type);
    if (reply->is_error) text_char(out, 'e');
    if (reply->is_null) text_char(out, '0');
    text_char(out, ' ');
    text_bytes(out, reply->value);
    text_char(out, ' ');
    text_u64(out, reply->count);
    text_char(out, ' ');
    text_u64(out, reply->size);
    text_char(out, '\n');
}

// Writes what each reply of the stream is, fed `piece` bytes at a time to buffers that are not the
// same twice.
static void feed(struct slice stream, size_t piece, struct text *out) {
    struct resp_reader reader;
    resp_reader_init(&reader);
    size_t start = 0;
    size_t end = 0;
    enum resp_read result = RESP_READ_MORE;
    while (result != RESP_READ_BAD && (result == RESP_READ_WHOLE || end < stream.size)) {
        if (result == RESP_READ_MORE) end = stream.size - end < piece ? stream.size : end + piece;
        uint8_t *input = malloc(end - start + 1);
        assert_non_null(input);
        if (end > start) memcpy(input, stream.data + start, end - start);
        struct resp_reply reply;
        result = resp_read(&reader, (struct slice){input, end - start}, &reply);
        if (result == RESP_READ_WHOLE) {
            dump(out, &reply);
            start += reply.size;
        }
        free(input);
    }
    if (result == RESP_READ_BAD) text_string(out, "bad\n");
    if (result == RESP_READ_MORE && start < end) text_string(out, "more\n");
}

static void expect(struct slice stream, const char *expected) {
    for (size_t piece = 1; piece <= stream.size; piece++) {
        char memory[2048];
        struct text out = text_over(memory, sizeof(memory));
        feed(stream, piece, &out);
        assert_string_equal(out.data, expected);
    }
}

static void the_end_of_every_simple_type_is_found(void **state) {
    (void)state;
    expect(SLICE("+OK\r\n-ERR no\r\n:-12\r\n$5\r\na\r\nbc\r\n$0\r\n\r\n$-1\r\n"),
           "+ OK 0 5\n-e ERR no 0 9\n: -12 0 6\n$ a\r\nbc 0 11\n$  0 6\n$0  0 5\n");
    expect(SLICE("_\r\n,1.5\r\n#t\r\n(123\r\n!5\r\nERR x\r\n=6\r\ntxt:ab\r\n+\r\n"),
           "_0  0 3\n, 1.5 0 6\n# t 0 4\n( 123 0 6\n!e ERR x 0 11\n= txt:ab 0 12\n+  0 3\n");
}

static void containers_end_where_their_last_element_does(void **state) {
    (void)state;
    expect(SLICE("*0\r\n*-1\r\n*2\r\n:1\r\n$1\r\nx\r\n+OK\r\n"),
           "*  0 4\n*0  0 5\n*  2 15\n+ OK 0 5\n");
    expect(SLICE("*2\r\n*2\r\n:1\r\n*0\r\n*1\r\n*1\r\n:3\r\n:4\r\n"), "*  2 28\n: 4 0 4\n");
    expect(SLICE("%2\r\n+a\r\n:1\r\n+b\r\n*1\r\n:2\r\n~1\r\n:3\r\n>1\r\n:4\r\n"),
           "%  2 24\n~  1 8\n>  1 8\n");
    expect(SLICE("*1\r\n-ERR inside\r\n"), "*  1 17\n"); // not an error itself
    expect(SLICE("*2\r\n:1\r\n"), "more\n");
}

static void attributes_belong_to_the_reply_behind_them(void **state) {
    (void)state;
    expect(SLICE("|1\r\n+ttl\r\n*1\r\n:3\r\n-ERR x\r\n:1\r\n"), "-e ERR x 0 26\n: 1 0 4\n");
    expect(SLICE("*2\r\n|1\r\n+a\r\n:1\r\n:5\r\n:6\r\n:7\r\n"), "*  2 24\n: 7 0 4\n");
    expect(SLICE("|0\r\n:1\r\n"), ": 1 0 8\n");
    expect(SLICE("|1\r\n+a\r\n:1\r\n"), "more\n");
}

static void nesting_has_a_limit(void **state) {
    (void)state;
    expect(SLICE("*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n"), "*  1 36\n");
    expect(SLICE("*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n"), "bad\n");
    expect(SLICE("*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*0\r\n"), "*  1 36\n");
}

static void what_is_no_reply_is_refused(void **state) {
    (void)state;
    static const char *const bad[] = {
        "x\r\n",   "\r\n",    "+OK\n",          "$-2\r\n", "*-2\r\n",   "$x\r\n",
        "$01\r\n", "%-1\r\n", "=-1\r\n",        "!-1\r\n", "$1\r\nxyz", "$?\r\n",
        "*1\r\nx", "|-1\r\n", "$9999999999999", "+\n",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        expect(slice_of_string(bad[i]), "bad\n");
    }
}

static void lines_end_somewhere(void **state) {
    (void)state;
    static uint8_t line[RESP_LINE_MAX + 10];
    memset(line, 'x', sizeof(line));
    line[0] = '+';
    struct resp_reader reader;
    resp_reader_init(&reader);
    struct resp_reply reply;
    struct slice input = {line, RESP_LINE_MAX};
    assert_int_equal(resp_read(&reader, input, &reply), RESP_READ_MORE);
    input.size = RESP_LINE_MAX + 1;
    assert_int_equal(resp_read(&reader, input, &reply), RESP_READ_BAD);
}

// Scribbles over whatever the reader says it is done with.
static void elements_once_read_are_not_read_again(void **state) {
    (void)state;
    static uint8_t stream[20000];
    struct text text = text_over((char *)stream, sizeof(stream));
    text_string(&text, "*1500\r\n");
    for (int i = 0; i < 1500; i++) text_string(&text, "*1\r\n$1\r\nx\r\n");
    struct resp_reader reader;
    resp_reader_init(&reader);
    struct resp_reply reply;
    for (size_t i = 0; i < text.size; i++) {
        struct slice input = {stream, i};
        assert_int_equal(resp_read(&reader, input, &reply), RESP_READ_MORE);
        assert_true(i - reader.at < 16);
        memset(stream, '!', reader.at);
    }
    assert_int_equal(resp_read(&reader, text_slice(&text), &reply), RESP_READ_WHOLE);
    assert_int_equal(reply.size, text.size);
}

// The reader against what the writer of replies writes.
static void golden_replies_are_read_to_their_end(void **state) {
    (void)state;
    for (int protocol = 2; protocol <= 3; protocol++) {
        uint8_t memory[4096];
        struct slice rest =
            golden_read(protocol == 2 ? "replies.resp2" : "replies.resp3", memory, sizeof(memory));
        struct resp_reader reader;
        resp_reader_init(&reader);
        uint32_t count = 0;
        uint32_t errors = 0;
        while (rest.size > 0) {
            struct resp_reply reply;
            assert_int_equal(resp_read(&reader, rest, &reply), RESP_READ_WHOLE);
            rest = slice_skip(rest, reply.size);
            count++;
            errors += reply.is_error;
        }
        assert_int_equal(count, 25);
        assert_int_equal(errors, 2);
    }
}

int resp_reader_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(the_end_of_every_simple_type_is_found),
        cmocka_unit_test(containers_end_where_their_last_element_does),
        cmocka_unit_test(attributes_belong_to_the_reply_behind_them),
        cmocka_unit_test(nesting_has_a_limit),
        cmocka_unit_test(what_is_no_reply_is_refused),
        cmocka_unit_test(lines_end_somewhere),
        cmocka_unit_test(elements_once_read_are_not_read_again),
        cmocka_unit_test(golden_replies_are_read_to_their_end),
    };
    return cmocka_run_group_tests_name("resp_reader", cases, NULL, NULL);
}
