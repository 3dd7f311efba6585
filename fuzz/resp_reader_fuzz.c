// SPDX-License-Identifier: Apache-2.0
//
// A stream of replies, once whole and once in pieces whose size the first byte says. Both must end
// each reply at the same place, say the same of it, and fail at the same reply.
#include "fuzz/fuzz.h"

#include "base/hash.h"
#include "wire/resp_reader.h"

struct heard {
    uint64_t digest; // takes in everything said of every reply
    bool is_over;
};

static void take_in(struct heard *h, struct slice input, const struct resp_reply *reply) {
    must(reply->size >= 3); // "_\r\n" is the shortest
    must(reply->size <= input.size);
    if (reply->value.size > 0) {
        must(reply->value.data > input.data);
        must(reply->value.data + reply->value.size + 2 <= input.data + reply->size);
    }
    uint64_t said = (uint64_t)reply->type << 2 | (uint64_t)reply->is_error << 1 | reply->is_null;
    h->digest = hash_number(h->digest ^ said);
    h->digest = hash_number(h->digest ^ reply->count);
    h->digest = hash_number(h->digest ^ reply->size);
    h->digest = hash_bytes(reply->value, h->digest);
}

static struct heard listen_to(struct slice stream, size_t piece) {
    struct heard h = {0};
    struct resp_reader reader;
    resp_reader_init(&reader);
    struct slice input = {stream.data, 0};
    size_t left = stream.size;
    while (left > 0 && !h.is_over) {
        size_t more = left < piece ? left : piece;
        input.size += more;
        left -= more;
        enum resp_read result = RESP_READ_WHOLE;
        while (result == RESP_READ_WHOLE) {
            struct resp_reply reply;
            result = resp_read(&reader, input, &reply);
            if (result != RESP_READ_WHOLE) break;
            take_in(&h, input, &reply);
            input = slice_skip(input, reply.size);
        }
        h.is_over = result == RESP_READ_BAD;
    }
    return h;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    struct slice stream = {data + 1, size - 1};
    struct heard whole = listen_to(stream, size);
    struct heard pieces = listen_to(stream, (size_t)data[0] + 1);
    must(whole.digest == pieces.digest);
    must(whole.is_over == pieces.is_over);
    return 0;
}
