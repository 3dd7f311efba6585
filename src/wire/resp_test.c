// SPDX-License-Identifier: Apache-2.0
#include "wire/resp.h"

#include "base/text.h"
#include "tests/golden.h"
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>

#define MIB ((size_t)1 << 20)

static const struct resp_limits roomy = {.authenticated = true,
                                         .arguments_max = RESP_ARGUMENTS_MAX,
                                         .bulk_max = MIB,
                                         .request_max = 2 * MIB,
                                         .skip_max = 1024 * MIB};

static const struct resp_limits tight = {
    .authenticated = true, .arguments_max = 4, .bulk_max = 10, .request_max = 64, .skip_max = 1000};

static const struct resp_limits stranger = {.authenticated = false,
                                            .arguments_max = 1000,
                                            .bulk_max = MIB,
                                            .request_max = MIB / 16,
                                            .skip_max = MIB};

static void dump_request(struct text *out, const struct resp_request *request) {
    for (uint32_t i = 0; i < request->argument_count; i++) {
        struct slice argument = request->arguments[i];
        text_char(out, '[');
        for (size_t j = 0; j < argument.size; j++) {
            uint8_t c = argument.data[j];
            if (c > ' ' && c <= '~') {
                text_char(out, (char)c);
            } else {
                text_printf(out, "<%02x>", c);
            }
        }
        text_char(out, ']');
    }
    text_char(out, '\n');
}

static const char *const limit_names[] = {"none", "arguments", "bulk", "request"};

// A caller that receives `piece` bytes at a time, keeps two requests' worth of arguments at first,
// and whose buffer is somewhere else at every call. Writes what it understood, a line a request.
struct caller {
    struct resp_parser parser;
    struct slice vectors[64];
    uint8_t *buffers[2];
    size_t turn;
    size_t kept;   // bytes in the current buffer
    size_t most;   // bytes it ever had to keep
    size_t needed; // for what is in progress, as the parser said
    bool is_over;
};

static void answer(struct caller *c, enum resp_result result, const struct resp_request *request,
                   struct text *out) {
    switch (result) {
    case RESP_REQUEST:
        dump_request(out, request);
        break;
    case RESP_TOO_LARGE:
        text_printf(out, "too large: %s\n", limit_names[request->limit]);
        break;
    case RESP_BAD:
        text_printf(out, "%s\n", request->problem);
        c->is_over = true;
        break;
    case RESP_ROOM:
        assert_true(request->needed > c->parser.argument_capacity);
        if (c->parser.argument_capacity == 64) {
            resp_parser_refuse(&c->parser);
        } else {
            resp_parser_room(&c->parser, c->vectors, 64);
        }
        break;
    case RESP_MORE:
        break;
    }
}

// Parses what is there, as far as it goes.
static void drain(struct caller *c, const struct resp_limits *limits, struct text *out) {
    enum resp_result result = RESP_REQUEST;
    while (result != RESP_MORE && !c->is_over) {
        uint8_t *from = c->buffers[c->turn % 2];
        uint8_t *to = c->buffers[++c->turn % 2];
        memcpy(to, from, c->kept);
        memset(from, '!', c->kept); // nothing may be read there any more
        struct resp_request request;
        result = resp_parse(&c->parser, to, c->kept, limits, &request);
        answer(c, result, &request, out);
        if (result == RESP_MORE) assert_true(request.needed > c->kept - request.consumed);
        if (result == RESP_REQUEST || result == RESP_TOO_LARGE) assert_true(c->needed <= c->kept);
        c->needed = result == RESP_MORE ? request.needed : 0;
        c->kept -= request.consumed;
        memmove(to, to + request.consumed, c->kept);
    }
}

static size_t feed(struct slice stream, size_t piece, const struct resp_limits *limits,
                   struct text *out) {
    struct caller *c = calloc(1, sizeof(*c));
    assert_non_null(c);
    for (int i = 0; i < 2; i++) {
        c->buffers[i] = malloc(stream.size + 1);
        assert_non_null(c->buffers[i]);
    }
    struct slice small[2];
    resp_parser_init(&c->parser, small, 2);
    for (size_t at = 0; at < stream.size && !c->is_over; at += piece) {
        size_t size = stream.size - at < piece ? stream.size - at : piece;
        memcpy(c->buffers[c->turn % 2] + c->kept, stream.data + at, size);
        c->kept += size;
        if (c->kept > c->most) c->most = c->kept;
        drain(c, limits, out);
    }
    if (!c->is_over && c->kept > 0) text_printf(out, "kept %zu\n", c->kept);
    size_t most = c->most;
    free(c->buffers[0]);
    free(c->buffers[1]);
    free(c);
    return most;
}

// However the stream is cut, the same is understood.
static void expect(struct slice stream, const struct resp_limits *limits, const char *expected) {
    size_t longest = stream.size < 200 ? stream.size : 200;
    for (size_t piece = 1; piece <= longest; piece++) {
        char memory[4096];
        struct text out = text_over(memory, sizeof(memory));
        (void)feed(stream, piece, limits, &out);
        assert_string_equal(out.data, expected);
    }
}

static void requests_of_both_forms_are_found_however_they_are_cut(void **state) {
    (void)state;
    expect(SLICE("*1\r\n$4\r\nPING\r\n"), &roomy, "[PING]\n");
    expect(SLICE("*3\r\n$3\r\nSET\r\n$0\r\n\r\n$4\r\n\r\n\0x\r\n"
                 "*2\r\n$3\r\nGET\r\n$10\r\n0123456789\r\n"
                 "PING\r\n"
                 "  get   key \n"
                 "*1\r\n$1\r\n*\r\n"),
           &roomy, "[SET][][<0d><0a><00>x]\n[GET][0123456789]\n[PING]\n[get][key]\n[*]\n");
}

static void nothing_is_asked_by_blank_lines_and_empty_arrays(void **state) {
    (void)state;
    expect(SLICE("\r\n\n*0\r\n*-1\r\n   \r\n*-7\r\nPING\r\n\r\n"), &roomy, "[PING]\n");
}

static void inline_arguments_may_be_quoted(void **state) {
    (void)state;
    expect(SLICE("set \"a b\" 'c d'\r\n"), &roomy, "[set][a<20>b][c<20>d]\n");
    expect(SLICE("set \"\\x00\\xfF\\xg1\\n\\r\\t\\b\\a\\\\\\\"\\q\" ''\r\n"), &roomy,
           "[set][<00><ff>xg1<0a><0d><09><08><07>\\\"q][]\n");
    expect(SLICE("x 'it\\'s' 'a\\n' a\"b c\"\r\n"), &roomy, "[x][it's][a\\n][ab<20>c]\n");
    expect(SLICE("a \"\\x4\"\r\n"), &roomy, "[a][x4]\n");
    const char *problem = "ERR Protocol error: unbalanced quotes in request\n";
    expect(SLICE("a \"b\r\nPING\r\n"), &roomy, problem);
    expect(SLICE("a 'b\r\n"), &roomy, problem);
    expect(SLICE("a \"b\"c\r\n"), &roomy, problem);
    expect(SLICE("a 'b'c\r\n"), &roomy, problem);
    expect(SLICE("a \"b\\\r\n"), &roomy, problem);
    expect(SLICE("a 'b\\'\r\n"), &roomy, problem);
}

static void what_is_no_request_ends_the_stream(void **state) {
    (void)state;
    static const struct {
        const char *stream;
        const char *problem;
    } bad[] = {
        {"*x\r\n", "invalid multibulk length"},
        {"*\r\n", "invalid multibulk length"},
        {"*+1\r\n", "invalid multibulk length"},
        {"*01\r\n", "invalid multibulk length"},
        {"*-0\r\n", "invalid multibulk length"},
        {"* 1\r\n", "invalid multibulk length"},
        {"*1 \r\n", "invalid multibulk length"},
        {"*1\n$4\r\nPING\r\n", "invalid multibulk length"},
        {"*1\rx", "invalid multibulk length"},
        {"*1048577\r\n", "invalid multibulk length"},
        {"*99999999999999999999999\r\n", "invalid multibulk length"},
        {"*1\r\n$-1\r\n", "invalid bulk length"},
        {"*1\r\n$x\r\n", "invalid bulk length"},
        {"*1\r\n$01\r\nx\r\n", "invalid bulk length"},
        {"*1\r\n$1:\r\nx\r\n", "invalid bulk length"},
        {"*1\r\n$:1\r\nx\r\n", "invalid bulk length"},
        {"*1\r\n$1 \r\nx\r\n", "invalid bulk length"},
        {"*1\r\n$1\rxx", "invalid bulk length"},
        {"*1\r\n$10\rx", "invalid bulk length"},
        {"*1\r\n$10xx", "invalid bulk length"},
        {"*1\r\n$1073741825\r\n", "invalid bulk length"},
        {"*1\r\n$9223372036854775808\r\n", "invalid bulk length"},
        {"*1\r\n:1\r\n", "expected '$', got ':'"},
        {"*2\r\n$1\r\nx\r\nPING\r\n", "expected '$', got 'P'"},
        {"*1\r\n\r\n", "expected '$', got ' '"},
        {"*1\r\n$4\r\nPINGxx", "expected CRLF after bulk"},
        {"POST / HTTP/1.1\r\nHost: x\r\n", "this is not an HTTP port"},
        {"host: x\r\n", "this is not an HTTP port"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char expected[100];
        struct text text = text_over(expected, sizeof(expected));
        text_printf(&text, "ERR Protocol error: %s\n", bad[i].problem);
        expect(slice_of_string(bad[i].stream), &roomy, expected);
    }
    // What came before it was understood.
    expect(SLICE("PING\r\n*x\r\n"), &roomy,
           "[PING]\nERR Protocol error: invalid multibulk length\n");
}

static void strangers_may_say_little(void **state) {
    (void)state;
    expect(SLICE("*10\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n"
                 "$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n"),
           &stranger, "[a][a][a][a][a][a][a][a][a][a]\n");
    expect(SLICE("*11\r\n"), &stranger, "ERR Protocol error: unauthenticated multibulk length\n");
    expect(SLICE("*1\r\n$16385\r\n"), &stranger,
           "ERR Protocol error: unauthenticated bulk length\n");
    expect(SLICE("*1\r\n$16384\r\nxx"), &stranger, "kept 14\n");
}

static void a_request_over_a_limit_is_passed_over_and_the_next_is_understood(void **state) {
    (void)state;
    expect(SLICE("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$11\r\n01234567890\r\nPING\r\n"), &tight,
           "too large: bulk\n[PING]\n");
    expect(SLICE("*3\r\n$3\r\nSET\r\n$11\r\n*1\r\n$4\r\nPIN\r\n$1\r\nv\r\nPING\r\n"), &tight,
           "too large: bulk\n[PING]\n");
    expect(SLICE("*5\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\nPING\r\n"), &tight,
           "too large: arguments\n[PING]\n");
    expect(SLICE("*4\r\n$10\r\n0123456789\r\n$10\r\n0123456789\r\n$10\r\n0123456789\r\n"
                 "$10\r\n0123456789\r\nPING\r\n"),
           &tight, "too large: request\n[PING]\n");
    expect(SLICE("a b c d e\r\nPING\r\n"), &tight, "too large: arguments\n[PING]\n");
    expect(SLICE("set k 01234567890\r\nset k \"\\x410123456789\"\r\nset k 0123456789\r\n"), &tight,
           "too large: bulk\ntoo large: bulk\n[set][k][0123456789]\n");
    // It is still parsed as what it claims to be.
    expect(SLICE("*2\r\n$11\r\n01234567890\r\nPING\r\n"), &tight,
           "ERR Protocol error: expected '$', got 'P'\n");
    // And not for ever.
    expect(SLICE("*1\r\n$1001\r\n"), &tight, "ERR Protocol error: invalid bulk length\n");
    expect(SLICE("*2\r\n$11\r\n01234567890\r\n$995\r\n"), &tight,
           "ERR Protocol error: invalid bulk length\n");
}

static void passing_over_keeps_nothing(void **state) {
    (void)state;
    char stream[1200] = "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$900\r\n";
    size_t size = strlen(stream);
    memset(stream + size, 'v', 900);
    memcpy(stream + size + 900, "\r\nPING\r\n", 9);
    struct slice all = slice_of_string(stream);
    for (size_t piece = 1; piece < 50; piece++) {
        char memory[100];
        struct text out = text_over(memory, sizeof(memory));
        assert_true(feed(all, piece, &tight, &out) <= size + piece);
        assert_string_equal(out.data, "too large: bulk\n[PING]\n");
    }
}

static void lines_end_somewhere(void **state) {
    (void)state;
    static char line[RESP_INLINE_MAX + 2];
    memset(line, 'x', sizeof(line));
    struct resp_parser parser;
    struct slice arguments[4];
    struct resp_request request;
    resp_parser_init(&parser, arguments, 4);
    uint8_t *data = (uint8_t *)line;
    assert_int_equal(resp_parse(&parser, data, RESP_INLINE_MAX - 1, &roomy, &request), RESP_MORE);
    assert_int_equal(resp_parse(&parser, data, RESP_INLINE_MAX, &roomy, &request), RESP_BAD);
    assert_string_equal(request.problem, "ERR Protocol error: too big inline request");
    resp_parser_init(&parser, arguments, 4);
    line[RESP_INLINE_MAX - 1] = '\n';
    assert_int_equal(resp_parse(&parser, data, RESP_INLINE_MAX, &roomy, &request), RESP_REQUEST);
    assert_int_equal(request.arguments[0].size, RESP_INLINE_MAX - 1);
}

static void many_arguments_ask_for_room_as_they_arrive(void **state) {
    (void)state;
    char stream[2000];
    struct text text = text_over(stream, sizeof(stream));
    text_string(&text, "*64\r\n");
    for (int i = 0; i < 64; i++) text_string(&text, "$1\r\na\r\n");
    text_string(&text, "*65\r\n");
    for (int i = 0; i < 65; i++) text_string(&text, "$1\r\nb\r\n");
    for (int i = 0; i < 65; i++) text_string(&text, "c ");
    text_string(&text, "\r\nPING\r\n");
    char expected[400];
    struct text out = text_over(expected, sizeof(expected));
    for (int i = 0; i < 64; i++) text_string(&out, "[a]");
    text_string(&out, "\ntoo large: arguments\ntoo large: arguments\n[PING]\n");
    expect(text_slice(&text), &roomy, expected);
}

// Whoever hangs up takes his memory back, however far the request had come.
static void a_broken_stream_leaves_no_arguments_behind(void **state) {
    (void)state;
    uint8_t stream[] = "set key 'value\n";
    struct slice arguments[4];
    struct resp_parser parser;
    resp_parser_init(&parser, arguments, 4);
    struct resp_request request;
    assert_int_equal(resp_parse(&parser, stream, sizeof(stream) - 1, &roomy, &request), RESP_BAD);
    resp_parser_room(&parser, arguments, 1);
    assert_string_equal(request.problem, "ERR Protocol error: unbalanced quotes in request");
}

// Scribbles over whatever the parser says it is done with: the next call must not miss it.
static void bytes_once_parsed_are_not_read_again(void **state) {
    (void)state;
    static uint8_t stream[70000];
    struct text text = text_over((char *)stream, sizeof(stream));
    text_string(&text, "*5000\r\n");
    for (int i = 0; i < 5000; i++) text_string(&text, "$3\r\nabc\r\n");
    size_t size = text.size;
    static struct slice arguments[5000];
    struct resp_parser parser;
    resp_parser_init(&parser, arguments, 5000);
    struct resp_request request;
    for (size_t i = 0; i < size; i++) {
        assert_int_equal(resp_parse(&parser, stream, i, &roomy, &request), RESP_MORE);
        assert_int_equal(request.consumed, 0);
        assert_true(i - parser.at < 32);
        memset(stream, '!', parser.at);
    }
    assert_int_equal(resp_parse(&parser, stream, size, &roomy, &request), RESP_REQUEST);
    assert_int_equal(request.argument_count, 5000);
    assert_int_equal(request.consumed, size);
}

static void what_is_needed_is_known_from_the_header_of_a_bulk(void **state) {
    (void)state;
    uint8_t stream[] = "\r\n*2\r\n$3\r\nGET\r\n$100\r\n";
    struct slice arguments[4];
    struct resp_parser parser;
    resp_parser_init(&parser, arguments, 4);
    struct resp_request request;
    assert_int_equal(resp_parse(&parser, stream, sizeof(stream) - 1, &roomy, &request), RESP_MORE);
    assert_int_equal(request.consumed, 2);
    assert_int_equal(request.needed, sizeof(stream) - 1 - 2 + 102);
}

// What clients send, and what it means.
static void requests_mean_what_the_golden_files_say(void **state) {
    (void)state;
    static uint8_t stream[8192];
    struct slice requests = golden_read("requests.resp", stream, sizeof(stream));
    for (size_t piece = 1; piece < 4096; piece += piece) {
        char memory[8192];
        struct text out = text_over(memory, sizeof(memory));
        (void)feed(requests, piece, &roomy, &out);
        golden_compare("requests.txt", text_slice(&out));
    }
}

int resp_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(requests_of_both_forms_are_found_however_they_are_cut),
        cmocka_unit_test(nothing_is_asked_by_blank_lines_and_empty_arrays),
        cmocka_unit_test(inline_arguments_may_be_quoted),
        cmocka_unit_test(what_is_no_request_ends_the_stream),
        cmocka_unit_test(strangers_may_say_little),
        cmocka_unit_test(a_request_over_a_limit_is_passed_over_and_the_next_is_understood),
        cmocka_unit_test(passing_over_keeps_nothing),
        cmocka_unit_test(lines_end_somewhere),
        cmocka_unit_test(many_arguments_ask_for_room_as_they_arrive),
        cmocka_unit_test(a_broken_stream_leaves_no_arguments_behind),
        cmocka_unit_test(bytes_once_parsed_are_not_read_again),
        cmocka_unit_test(what_is_needed_is_known_from_the_header_of_a_bulk),
        cmocka_unit_test(requests_mean_what_the_golden_files_say),
    };
    return cmocka_run_group_tests_name("resp", cases, NULL, NULL);
}
