// SPDX-License-Identifier: Apache-2.0
//
// The first byte chooses one of the messages between members, the rest is its body. What is
// accepted must encode to the bytes it was decoded from.
#include "fuzz/fuzz.h"

#include "wire/message.h"

static uint8_t encoded[64 * 1024];

#define ROUND_TRIP(name)                                                                           \
    static void name(struct slice body) {                                                          \
        struct message_##name m;                                                                   \
        if (message_##name##_decode(&m, body) != ST_OK) return;                                    \
        struct writer w = writer_to(encoded, sizeof(encoded));                                     \
        message_##name##_encode(&m, &w);                                                           \
        must(slice_equal(writer_bytes(&w), body));                                                 \
    }

#define MESSAGES(X)                                                                                \
    X(hello)                                                                                       \
    X(put)                                                                                         \
    X(put_done)                                                                                    \
    X(get)                                                                                         \
    X(get_done)                                                                                    \
    X(forward)                                                                                     \
    X(forward_done)                                                                                \
    X(scan)                                                                                        \
    X(scan_done)                                                                                   \
    X(count)                                                                                       \
    X(count_done)                                                                                  \
    X(branches)                                                                                    \
    X(branches_done)                                                                               \
    X(digests)                                                                                     \
    X(digests_done)                                                                                \
    X(leaves)                                                                                      \
    X(leaves_done)                                                                                 \
    X(compare)                                                                                     \
    X(compare_done)                                                                                \
    X(taken)                                                                                       \
    X(prepare)                                                                                     \
    X(promise)                                                                                     \
    X(accept)                                                                                      \
    X(accepted)                                                                                    \
    X(keyspaces)                                                                                   \
    X(keyspaces_done)                                                                              \
    X(fences)                                                                                      \
    X(purge)                                                                                       \
    X(purge_done)                                                                                  \
    X(erase)

MESSAGES(ROUND_TRIP)

// The entries of SCAN_DONE, in a row.
static void listed(struct slice body) {
    struct reader r = reader_of(body);
    struct writer w = writer_to(encoded, sizeof(encoded));
    while (!r.failed && r.rest.size > 0) {
        struct message_listed m;
        message_listed_read(&r, &m);
        if (!r.failed) message_listed_write(&w, &m);
    }
    if (!r.failed) must(slice_equal(writer_bytes(&w), body));
}

typedef void round_trip(struct slice body);

static round_trip *const round_trips[] = {
#define X(name) name,
    MESSAGES(X)
#undef X
        listed,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0 || size > sizeof(encoded)) return 0;
    round_trips[data[0] % (sizeof(round_trips) / sizeof(round_trips[0]))](
        (struct slice){data + 1, size - 1});
    return 0;
}
