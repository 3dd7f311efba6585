// SPDX-License-Identifier: Apache-2.0
#include "wire/resp.h"

#include "base/text.h"
#include "wire/resp_length.h"

#define PROBLEM(text) ("ERR Protocol error: " text)

// Between requests: nothing is known of the next one.
static void reset(struct resp_parser *p) {
    p->argument_count = 0;
    p->arguments_left = 0;
    p->is_inline = false;
    p->limit = RESP_LIMIT_NONE;
    p->at = 0;
    p->line_end = 0;
    p->line_size = 0;
    p->skip_left = 0;
    p->skipped = 0;
}

void resp_parser_init(struct resp_parser *p, struct slice *arguments, uint32_t capacity) {
    must(arguments != NULL);
    must(capacity > 0);
    *p = (struct resp_parser){.arguments = arguments, .argument_capacity = capacity};
}

void resp_parser_room(struct resp_parser *p, struct slice *arguments, uint32_t capacity) {
    must(arguments != NULL);
    must(capacity > 0);
    must(capacity >= p->argument_count);
    if (p->argument_count > 0) {
        memmove(arguments, p->arguments, p->argument_count * sizeof(arguments[0]));
    }
    p->arguments = arguments;
    p->argument_capacity = capacity;
}

static void refuse(struct resp_parser *p, enum resp_limit limit) {
    p->limit = limit;
    p->argument_count = 0;
}

void resp_parser_refuse(struct resp_parser *p) {
    must(p->arguments_left > 0 || p->is_inline);
    refuse(p, RESP_LIMIT_ARGUMENTS);
}

static enum resp_result bad(struct resp_request *request, const char *problem) {
    request->problem = problem;
    return RESP_BAD;
}

static enum resp_result more(struct resp_request *request, size_t needed) {
    request->needed = needed;
    return RESP_MORE;
}

static enum resp_result room(const struct resp_parser *p, struct resp_request *request,
                             size_t limit) {
    size_t wanted = (size_t)p->argument_capacity * 2;
    request->needed = wanted < limit ? wanted : limit;
    return RESP_ROOM;
}

// All of a request's arguments are known, and its bytes end at `size`.
static enum resp_result whole(struct resp_parser *p, struct resp_request *request, size_t size) {
    request->arguments = p->arguments;
    request->argument_count = p->argument_count;
    request->consumed += size;
    reset(p);
    return RESP_REQUEST;
}

static enum resp_result too_large(struct resp_parser *p, struct resp_request *request,
                                  size_t size) {
    request->limit = p->limit;
    request->consumed += size;
    reset(p);
    return RESP_TOO_LARGE;
}

// Reads "$<size>\r\n" at *at. RESP_REQUEST means: done.
static enum resp_result read_bulk_size(struct resp_parser *p, struct slice input,
                                       const struct resp_limits *limits,
                                       struct resp_request *request, size_t *at, size_t *size) {
    if (*at >= input.size) return more(request, *at + 1);
    uint8_t type = input.data[*at];
    if (type != '$') {
        struct text text = text_over(p->problem, sizeof(p->problem));
        text_string(&text, PROBLEM("expected '$', got '"));
        text_bytes(&text, type < ' ' ? SLICE(" ") : (struct slice){&type, 1});
        text_char(&text, '\'');
        return bad(request, p->problem);
    }
    int64_t value;
    enum length_line line = read_length(input, at, &value);
    if (line == LENGTH_CUT) return more(request, input.size + 1);
    if (line == LENGTH_WRONG || value < 0 || (uint64_t)value > limits->skip_max) {
        return bad(request, PROBLEM("invalid bulk length"));
    }
    if (!limits->authenticated && value > RESP_STRANGER_BULK_MAX) {
        return bad(request, PROBLEM("unauthenticated bulk length"));
    }
    *size = (size_t)value;
    return RESP_REQUEST;
}

// Passes over what is left of a refused request, as far as it has arrived. Nothing of it is kept.
static enum resp_result skip(struct resp_parser *p, struct slice input,
                             const struct resp_limits *limits, struct resp_request *request) {
    size_t at = p->at;
    p->at = 0;
    for (;;) {
        size_t here = input.size - at;
        size_t step = p->skip_left < here ? (size_t)p->skip_left : here;
        at += step;
        p->skip_left -= step;
        if (p->skip_left > 0) {
            request->consumed += at;
            return more(request, 1);
        }
        if (p->arguments_left == 0) return too_large(p, request, at);
        size_t header = at;
        size_t size = 0;
        enum resp_result result = read_bulk_size(p, input, limits, request, &at, &size);
        if (result != RESP_REQUEST) {
            request->consumed += header;
            if (result == RESP_MORE) request->needed -= header;
            return result;
        }
        p->arguments_left--;
        p->skip_left = (uint64_t)size + 2;
        p->skipped += p->skip_left;
        if (p->skipped > limits->skip_max) {
            return bad(request, PROBLEM("invalid bulk length"));
        }
    }
}

static_assert(RESP_STRANGER_BULK_MAX >= 99, "a size of two digits is never refused");

// The bulks of a request whose count is known, from p->at on.
static enum resp_result read_bulks(struct resp_parser *p, struct slice input,
                                   const struct resp_limits *limits, struct resp_request *request) {
    size_t at = p->at;
    while (p->arguments_left > 0) {
        size_t size = 0;
        if (!read_short_length(input, '$', &at, &size)) { // those that it reads nobody refuses
            enum resp_result result = read_bulk_size(p, input, limits, request, &at, &size);
            if (result != RESP_REQUEST) return result;
        }
        bool is_large = size > limits->bulk_max;
        if (is_large || at + size + 2 > limits->request_max) {
            refuse(p, is_large ? RESP_LIMIT_BULK : RESP_LIMIT_REQUEST);
            return skip(p, input, limits, request); // from this bulk's header on
        }
        if (input.size - at < size + 2) return more(request, at + size + 2);
        if (input.data[at + size] != '\r' || input.data[at + size + 1] != '\n') {
            return bad(request, PROBLEM("expected CRLF after bulk"));
        }
        if (p->argument_count == p->argument_capacity) {
            return room(p, request, (size_t)p->argument_count + p->arguments_left);
        }
        p->arguments[p->argument_count++] = (struct slice){input.data + at, size};
        p->arguments_left--;
        at += size + 2;
        p->at = at;
    }
    return whole(p, request, at);
}

// A request of the first form, from its "*<count>\r\n" on. A count of zero or less is no request
// and needs no answer: RESP_REQUEST with no arguments.
static enum resp_result begin_bulks(struct resp_parser *p, struct slice input,
                                    const struct resp_limits *limits,
                                    struct resp_request *request) {
    size_t at = 0;
    int64_t count;
    enum length_line line = read_length(input, &at, &count);
    if (line == LENGTH_CUT) return more(request, input.size + 1);
    if (line == LENGTH_WRONG || count > RESP_ARGUMENTS_MAX) {
        return bad(request, PROBLEM("invalid multibulk length"));
    }
    if (!limits->authenticated && count > RESP_STRANGER_ARGUMENTS_MAX) {
        return bad(request, PROBLEM("unauthenticated multibulk length"));
    }
    if (count <= 0) return whole(p, request, at);
    p->arguments_left = (uint32_t)count;
    p->at = at;
    if (count > limits->arguments_max) {
        refuse(p, RESP_LIMIT_ARGUMENTS);
        return skip(p, input, limits, request);
    }
    return read_bulks(p, input, limits, request);
}

static bool is_space(uint8_t c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static int hex_digit(uint8_t c) {
    if (c >= '0' && c <= '9') return c - '0';
    c = text_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// The byte that an escape inside double quotes stands for; *at is behind the backslash and moves
// behind the escape.
static uint8_t unescape(const uint8_t *line, size_t end, size_t *at) {
    uint8_t c = line[(*at)++];
    if (c == 'x' && end - *at >= 2) {
        int high = hex_digit(line[*at]);
        int low = hex_digit(line[*at + 1]);
        if (high >= 0 && low >= 0) {
            *at += 2;
            return (uint8_t)(high * 16 + low);
        }
    }
    switch (c) {
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    case 'b':
        return '\b';
    case 'a':
        return '\a';
    default:
        return c;
    }
}

// The quoted part of an argument, *at behind the opening quote, rewritten to *to. The closing quote
// must end the argument. Single quotes know one escape, of themselves.
static bool unquote(uint8_t *line, size_t end, size_t *at, size_t *to) {
    uint8_t quote = line[*at - 1];
    while (*at < end) {
        uint8_t c = line[(*at)++];
        if (c == quote) return *at == end || is_space(line[*at]);
        if (c == '\\' && *at < end) {
            if (quote == '"') {
                c = unescape(line, end, at);
            } else if (line[*at] == quote) {
                c = line[(*at)++];
            }
        }
        line[(*to)++] = c;
    }
    return false;
}

// One argument of a line, *at on its first byte. Unquoting only shortens, so that it is done where
// the bytes are. False: the quotes do not match.
static bool split(uint8_t *line, size_t end, size_t *at, struct slice *argument) {
    size_t from = *at;
    size_t to = from;
    while (*at < end) {
        uint8_t c = line[*at];
        if (c == ' ' || c == '\t' || c == '\r' || c == '\n') break;
        (*at)++;
        if (c == '"' || c == '\'') {
            if (!unquote(line, end, at, &to)) return false;
            break;
        }
        line[to++] = c;
    }
    *argument = (struct slice){line + from, to - from};
    return true;
}

// Browsers can be made to talk to any port; what they say begins with one of these, and the rest of
// it must not be taken for commands.
static bool is_http(struct slice command) {
    return text_equal_nocase(command, SLICE("POST")) || text_equal_nocase(command, SLICE("Host:"));
}

// The arguments of a line whose end is known, from p->at on.
static enum resp_result read_line(struct resp_parser *p, uint8_t *data,
                                  const struct resp_limits *limits, struct resp_request *request) {
    for (;;) {
        while (p->at < p->line_end && is_space(data[p->at])) p->at++;
        if (p->at == p->line_end) return whole(p, request, p->line_size);
        if (p->argument_count == limits->arguments_max) {
            refuse(p, RESP_LIMIT_ARGUMENTS);
            return too_large(p, request, p->line_size);
        }
        if (p->argument_count == p->argument_capacity) return room(p, request, SIZE_MAX);
        struct slice *argument = &p->arguments[p->argument_count];
        if (!split(data, p->line_end, &p->at, argument)) {
            return bad(request, PROBLEM("unbalanced quotes in request"));
        }
        if (p->argument_count == 0 && is_http(*argument)) {
            return bad(request, PROBLEM("this is not an HTTP port"));
        }
        if (argument->size > limits->bulk_max) {
            refuse(p, RESP_LIMIT_BULK);
            return too_large(p, request, p->line_size);
        }
        p->argument_count++;
    }
}

static enum resp_result begin_line(struct resp_parser *p, uint8_t *data, size_t size,
                                   const struct resp_limits *limits, struct resp_request *request) {
    size_t line_max = limits->request_max < RESP_INLINE_MAX ? limits->request_max : RESP_INLINE_MAX;
    size_t end = size < line_max ? size : line_max;
    size_t from = p->line_end; // searched before
    const uint8_t *found = from < end ? memchr(data + from, '\n', end - from) : NULL;
    if (found == NULL) {
        if (size >= line_max) return bad(request, PROBLEM("too big inline request"));
        p->line_end = size;
        return more(request, size + 1);
    }
    p->line_end = (size_t)(found - data);
    p->line_size = p->line_end + 1;
    if (p->line_end > 0 && data[p->line_end - 1] == '\r') p->line_end--;
    p->is_inline = true;
    return read_line(p, data, limits, request);
}

// The input has moved: so have the arguments in it.
static void rebase(struct resp_parser *p, const uint8_t *data) {
    for (uint32_t i = 0; i < p->argument_count; i++) {
        p->arguments[i].data = data + ((uintptr_t)p->arguments[i].data - p->base);
    }
}

static enum resp_result parse_one(struct resp_parser *p, uint8_t *data, size_t size,
                                  const struct resp_limits *limits, struct resp_request *request) {
    struct slice input = {data, size};
    if (p->limit != RESP_LIMIT_NONE && !p->is_inline) return skip(p, input, limits, request);
    if (p->limit != RESP_LIMIT_NONE) return too_large(p, request, p->line_size);
    if (p->arguments_left > 0) return read_bulks(p, input, limits, request);
    if (p->is_inline) return read_line(p, data, limits, request);
    if (size == 0) return more(request, 1);
    if (data[0] == '*') return begin_bulks(p, input, limits, request);
    return begin_line(p, data, size, limits, request);
}

enum resp_result resp_parse(struct resp_parser *p, uint8_t *data, size_t size,
                            const struct resp_limits *limits, struct resp_request *request) {
    must(limits->arguments_max > 0);
    must(limits->skip_max >= limits->bulk_max);
    must(p->at <= size); // what was there is still there
    *request = (struct resp_request){0};
    if (p->argument_count > 0 && p->base != (uintptr_t)data) rebase(p, data);

    // Blank lines and empty arrays ask for nothing and are dropped.
    enum resp_result result;
    do {
        uint8_t *start = data + request->consumed;
        result = parse_one(p, start, size - request->consumed, limits, request);
        p->base = (uintptr_t)start;
    } while (result == RESP_REQUEST && request->argument_count == 0);
    must(request->consumed <= size);
    if (result == RESP_BAD) reset(p); // of what was begun, nothing is kept
    return result;
}
