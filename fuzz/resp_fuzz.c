// SPDX-License-Identifier: Apache-2.0
//
// A stream of requests, once whole and once in pieces whose size the first byte says. Both must be
// understood as the same requests, and end the same way, with much room for arguments or little.
#include "fuzz/fuzz.h"

#include "base/hash.h"
#include "wire/resp.h"

#include <string.h>

enum { STREAM_MAX = 8192, ARGUMENTS = 64 };

static const struct resp_limits limits = {
    .authenticated = true,
    .arguments_max = ARGUMENTS,
    .bulk_max = 512,
    .request_max = 1024,
    .skip_max = 4096,
};

// What was understood: a number that takes in every argument, and how far it went.
struct heard {
    uint64_t digest;
    uint64_t consumed;
    bool is_over;
};

static void take_in(struct heard *h, enum resp_result result, const struct resp_request *request) {
    h->digest = hash_number(h->digest ^ (uint64_t)result);
    h->digest = hash_number(h->digest ^ (uint64_t)request->limit);
    if (result != RESP_REQUEST) return;
    must(request->argument_count > 0);
    must(request->argument_count <= limits.arguments_max);
    for (uint32_t i = 0; i < request->argument_count; i++) {
        must(request->arguments[i].size <= RESP_INLINE_MAX); // above bulk_max where it was typed
        h->digest = hash_bytes(request->arguments[i], h->digest);
    }
}

// What the parser is given to work with: input that is somewhere else at every call, and an array
// of arguments that starts with `room` and grows by one, to be somewhere else as well.
struct caller {
    uint8_t inputs[2][STREAM_MAX];
    struct slice vectors[2][ARGUMENTS];
    size_t size; // bytes in the current input
    uint32_t turn;
    uint32_t room;
};

static uint8_t *move_input(struct caller *c) {
    uint8_t *from = c->inputs[c->turn % 2];
    uint8_t *to = c->inputs[++c->turn % 2];
    memcpy(to, from, c->size);
    memset(from, '!', c->size);
    return to;
}

static void move_vector(struct caller *c, struct resp_parser *p, uint32_t capacity) {
    bool is_first = p->arguments == c->vectors[0];
    resp_parser_room(p, c->vectors[is_first ? 1 : 0], capacity);
    memset(c->vectors[is_first ? 0 : 1], 0, sizeof(c->vectors[0]));
}

// Everything that is there, as far as it goes.
static void drain(struct caller *c, struct resp_parser *p, struct heard *h) {
    enum resp_result result = RESP_REQUEST;
    while (result != RESP_MORE && !h->is_over) {
        uint8_t *input = move_input(c);
        struct resp_request request;
        result = resp_parse(p, input, c->size, &limits, &request);
        must(request.consumed <= c->size);
        if (result == RESP_ROOM) {
            must(p->argument_capacity < ARGUMENTS);
            move_vector(c, p, p->argument_capacity + 1);
        } else if (result != RESP_MORE) {
            take_in(h, result, &request);
            move_vector(c, p, c->room);
        }
        h->is_over = result == RESP_BAD;
        h->consumed += request.consumed;
        c->size -= request.consumed;
        memmove(input, input + request.consumed, c->size);
    }
}

static struct heard listen_to(struct slice stream, size_t piece, uint32_t room) {
    static struct caller c;
    c.size = 0;
    c.room = room;
    struct resp_parser parser;
    resp_parser_init(&parser, c.vectors[0], room);
    struct heard h = {0};
    while (stream.size > 0 && !h.is_over) {
        size_t more = stream.size < piece ? stream.size : piece;
        memcpy(c.inputs[c.turn % 2] + c.size, stream.data, more);
        c.size += more;
        stream = slice_skip(stream, more);
        drain(&c, &parser, &h);
    }
    return h;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0 || size > STREAM_MAX) return 0;
    struct slice stream = {data + 1, size - 1};
    struct heard whole = listen_to(stream, STREAM_MAX, ARGUMENTS);
    struct heard pieces = listen_to(stream, (size_t)data[0] + 1, 1);
    must(whole.digest == pieces.digest);
    must(whole.is_over == pieces.is_over);
    if (!whole.is_over) must(whole.consumed == pieces.consumed);
    return 0;
}
