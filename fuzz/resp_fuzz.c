// SPDX-License-Identifier: Apache-2.0
//
// A stream of requests, once whole and once in pieces whose size the first byte says. Both must be
// understood as the same requests, and end the same way.
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

static struct heard listen_to(struct slice stream, size_t piece) {
    static uint8_t kept[STREAM_MAX];
    static struct slice arguments[ARGUMENTS];
    struct resp_parser parser;
    struct heard h = {0};
    size_t size = 0;
    resp_parser_init(&parser, arguments, ARGUMENTS);
    while (stream.size > 0 && !h.is_over) {
        size_t more = stream.size < piece ? stream.size : piece;
        memcpy(kept + size, stream.data, more);
        stream = slice_skip(stream, more);
        size += more;
        for (enum resp_result result = RESP_REQUEST; result != RESP_MORE && !h.is_over;) {
            struct resp_request request;
            result = resp_parse(&parser, kept, size, &limits, &request);
            if (result != RESP_MORE) take_in(&h, result, &request);
            if (result == RESP_ROOM) resp_parser_refuse(&parser);
            must(request.consumed <= size);
            h.is_over = result == RESP_BAD;
            h.consumed += request.consumed;
            size -= request.consumed;
            memmove(kept, kept + request.consumed, size);
        }
    }
    return h;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0 || size > STREAM_MAX) return 0;
    struct slice stream = {data + 1, size - 1};
    struct heard whole = listen_to(stream, STREAM_MAX);
    struct heard pieces = listen_to(stream, (size_t)data[0] + 1);
    must(whole.digest == pieces.digest);
    must(whole.is_over == pieces.is_over);
    if (!whole.is_over) must(whole.consumed == pieces.consumed);
    return 0;
}
