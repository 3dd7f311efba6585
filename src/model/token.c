// SPDX-License-Identifier: Apache-2.0
#include "model/token.h"

#include "base/base64.h"

enum { FORMAT_VERSION = 2, VERSION_WITHOUT_TIMESTAMP = 1 };

#define PURPOSE "context token"

// What the MAC of a token says; `body` is all of it before the MAC.
static struct mac claim_mac(const struct mac_key *secret, struct slice key, struct slice body) {
    uint8_t bytes[sizeof(PURPOSE) + MAC_SIZE + TOKEN_SIZE_MAX];
    struct mac key_mac = mac_of(secret, key);
    struct writer claim = writer_to(bytes, sizeof(bytes));
    write_bytes(&claim, SLICE(PURPOSE));
    write_bytes(&claim, (struct slice){key_mac.bytes, MAC_SIZE});
    write_bytes(&claim, body);
    must(!claim.failed);
    return mac_of(secret, writer_bytes(&claim));
}

size_t token_encode(const struct mac_key *secret, struct slice key, const struct context *context,
                    uint64_t timestamp, char text[TOKEN_TEXT_MAX]) {
    uint8_t bytes[TOKEN_SIZE_MAX];
    struct writer w = writer_to(bytes, sizeof(bytes));
    write_u8(&w, FORMAT_VERSION);
    context_encode(context, &w);
    write_u64(&w, timestamp);
    struct mac mac = claim_mac(secret, key, (struct slice){bytes, w.size});
    write_bytes(&w, (struct slice){mac.bytes, MAC_SIZE});
    must(!w.failed);
    return base64_encode(writer_bytes(&w), text);
}

enum status token_decode(const struct mac_key *secret, struct slice key, struct slice text,
                         struct context *context, uint64_t *timestamp) {
    context_clear(context);
    *timestamp = 0;
    uint8_t bytes[TOKEN_SIZE_MAX];
    size_t size = 0;
    if (base64_decode(text, bytes, sizeof(bytes), &size) != ST_OK) return ST_INVALID;
    if (size < 1 + 2 + MAC_SIZE) return ST_INVALID;

    // Nothing of it is looked at before the MAC is known to be right.
    struct slice body = {bytes, size - MAC_SIZE};
    struct mac mac;
    memcpy(mac.bytes, bytes + body.size, MAC_SIZE);
    struct mac expected = claim_mac(secret, key, body);
    if (!mac_equal(&mac, &expected)) return ST_INVALID;

    struct reader r = reader_of(body);
    uint8_t version = read_u8(&r);
    context_decode(context, &r);
    uint64_t latest = version == FORMAT_VERSION ? read_u64(&r) : 0;
    bool is_known = version == FORMAT_VERSION || version == VERSION_WITHOUT_TIMESTAMP;
    if (is_known && reader_done(&r)) {
        *timestamp = latest;
        return ST_OK;
    }
    context_clear(context);
    return ST_INVALID;
}
