// SPDX-License-Identifier: Apache-2.0
//
// The size of a key, the key, then what may be a token and what may be a context in bytes. A
// context must survive the way to a token and back, and nothing but tokens may be taken for one.
#include "fuzz/fuzz.h"

#include "model/token.h"

static const struct mac_key secret = {{1, 2, 3}};
static struct context context;
static struct context decoded;

static void check_token(struct slice key, struct slice text) {
    char again[TOKEN_TEXT_MAX];
    uint64_t timestamp = 0;
    enum status status = token_decode(&secret, key, text, &decoded, &timestamp);
    if (status != ST_OK) {
        must(status == ST_INVALID);
        must(decoded.count == 0);
        return;
    }
    // One of version 1 has no timestamp, and is shorter.
    size_t size = token_encode(&secret, key, &decoded, timestamp, again);
    bool is_same = slice_equal((struct slice){(const uint8_t *)again, size}, text);
    must(is_same || (timestamp == 0 && text.size < size));
}

static void check_context(struct slice key, struct slice bytes) {
    char text[TOKEN_TEXT_MAX];
    uint8_t again[TOKEN_SIZE_MAX];
    struct reader r = reader_of(bytes);
    context_decode(&context, &r);
    if (!reader_done(&r)) return;
    struct writer w = writer_to(again, sizeof(again));
    context_encode(&context, &w);
    must(slice_equal(writer_bytes(&w), bytes));
    uint64_t timestamp = hash_bytes(bytes, 0);
    uint64_t got = 0;
    size_t size = token_encode(&secret, key, &context, timestamp, text);
    struct slice token = {(const uint8_t *)text, size};
    must(token_decode(&secret, key, token, &decoded, &got) == ST_OK);
    must(got == timestamp);
    must(context_descends(&context, &decoded));
    must(context_descends(&decoded, &context));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct reader r = reader_of((struct slice){data, size});
    struct slice key = read_bytes(&r, read_u8(&r));
    if (r.failed) return 0;
    check_token(key, r.rest);
    check_context(key, r.rest);
    return 0;
}
