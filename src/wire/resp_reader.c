// SPDX-License-Identifier: Apache-2.0
#include "wire/resp_reader.h"

#include "wire/resp_length.h"

// The element at r->at, as far as one look tells.
struct element {
    uint8_t type;
    bool is_null;
    struct slice value;
    uint64_t count;    // as in struct resp_reply
    uint64_t children; // elements that belong to it and follow
    size_t size;       // bytes without the children
};

void resp_reader_init(struct resp_reader *r) {
    *r = (struct resp_reader){0};
}

// "+...\r\n" and its like.
static enum resp_read read_line(struct resp_reader *r, struct slice input, struct element *e) {
    size_t from = r->searched > r->at ? r->searched : r->at + 1;
    const uint8_t *found = NULL;
    if (from < input.size) found = memchr(input.data + from, '\n', input.size - from);
    size_t end = found == NULL ? input.size : (size_t)(found - input.data);
    if (end - r->at > RESP_LINE_MAX) return RESP_READ_BAD;
    if (found == NULL) {
        r->searched = input.size;
        return RESP_READ_MORE;
    }
    size_t size = end - r->at; // with the type, without the LF
    if (size < 2 || input.data[end - 1] != '\r') return RESP_READ_BAD;
    e->value = (struct slice){input.data + r->at + 1, size - 2};
    e->size = size + 1;
    return RESP_READ_WHOLE;
}

static enum resp_read read_count(struct resp_reader *r, struct slice input, size_t *at,
                                 int64_t *value) {
    *at = r->at;
    switch (read_length(input, at, value)) {
    case LENGTH_WHOLE:
        return *value < -1 ? RESP_READ_BAD : RESP_READ_WHOLE;
    case LENGTH_CUT:
        return RESP_READ_MORE;
    case LENGTH_WRONG:
        break;
    }
    return RESP_READ_BAD;
}

// "$<size>\r\n<bytes>\r\n" and its like. Only '$' may be null.
static enum resp_read read_bulk(struct resp_reader *r, struct slice input, struct element *e) {
    size_t at;
    int64_t size;
    enum resp_read result = read_count(r, input, &at, &size);
    if (result != RESP_READ_WHOLE) return result;
    if (size < 0) {
        if (e->type != '$') return RESP_READ_BAD;
        e->is_null = true;
        e->size = at - r->at;
        return RESP_READ_WHOLE;
    }
    if (input.size - at < (size_t)size + 2) return RESP_READ_MORE;
    e->value = (struct slice){input.data + at, (size_t)size};
    at += (size_t)size;
    if (input.data[at] != '\r' || input.data[at + 1] != '\n') return RESP_READ_BAD;
    e->size = at + 2 - r->at;
    return RESP_READ_WHOLE;
}

// "*<count>\r\n" and its like. Only '*' may be null.
static enum resp_read read_container(struct resp_reader *r, struct slice input, struct element *e) {
    size_t at;
    int64_t count;
    enum resp_read result = read_count(r, input, &at, &count);
    if (result != RESP_READ_WHOLE) return result;
    if (count < 0 && e->type != '*') return RESP_READ_BAD;
    e->size = at - r->at;
    e->is_null = count < 0;
    e->count = count < 0 ? 0 : (uint64_t)count;
    e->children = e->count;
    if (e->type == '%' || e->type == '|') e->children *= 2;
    return RESP_READ_WHOLE;
}

static enum resp_read read_element(struct resp_reader *r, struct slice input, struct element *e) {
    if (r->at == input.size) return RESP_READ_MORE;
    *e = (struct element){.type = input.data[r->at]};
    switch (e->type) {
    case '_':
        e->is_null = true;
        return read_line(r, input, e);
    case '+':
    case '-':
    case ':':
    case ',':
    case '#':
    case '(':
        return read_line(r, input, e);
    case '$':
    case '!':
    case '=':
        return read_bulk(r, input, e);
    case '*':
    case '~':
    case '%':
    case '>':
    case '|':
        return read_container(r, input, e);
    default:
        return RESP_READ_BAD;
    }
}

// The outermost element is what the reply is.
static void describe(struct resp_reader *r, const struct element *e) {
    r->reply = (struct resp_reply){.type = e->type,
                                   .is_error = e->type == '-' || e->type == '!',
                                   .is_null = e->is_null,
                                   .value = e->value,
                                   .count = e->count};
}

// An element without children was read, and with it every container that waited for nothing else.
// True when that completes the reply.
static bool complete(struct resp_reader *r) {
    while (r->depth > 0) {
        uint64_t *left = &r->left[r->depth - 1];
        must(*left > 0);
        if (--*left > 0) return false;
        r->depth--;
        uint32_t bit = 1u << r->depth;
        if ((r->attributes & bit) != 0) {
            r->attributes &= ~bit;
            return false;
        }
    }
    return true;
}

static bool descend(struct resp_reader *r, const struct element *e) {
    if (r->depth == RESP_DEPTH_MAX) return false;
    if (e->type == '|') r->attributes |= 1u << r->depth;
    r->left[r->depth++] = e->children;
    return true;
}

enum resp_read resp_read(struct resp_reader *r, struct slice input, struct resp_reply *reply) {
    must(r->at <= input.size);
    bool is_whole = false;
    while (!is_whole) {
        struct element e;
        enum resp_read result = read_element(r, input, &e);
        if (result != RESP_READ_WHOLE) return result;
        if (r->depth == 0 && e.type != '|') describe(r, &e);
        r->at += e.size;
        if (e.children > 0) {
            if (!descend(r, &e)) return RESP_READ_BAD;
        } else if (e.type != '|') {
            is_whole = complete(r);
        }
    }
    *reply = r->reply;
    reply->size = r->at;
    resp_reader_init(r);
    return RESP_READ_WHOLE;
}
