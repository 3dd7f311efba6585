// SPDX-License-Identifier: Apache-2.0
//
// hash.h -- the two hash functions, by what they are for.
//
// Checksums and table positions use XXH3 (xxHash 0.8, 64 bits). Proofs of origin use SipHash-2-4
// with 128 bits of output, keyed with a secret (libsodium). Both are pure and allocate nothing.
#ifndef QUOIT_BASE_HASH_H
#define QUOIT_BASE_HASH_H

#include "base/slice.h"

#include <stdint.h>

// XXH3 of the bytes. The seed separates uses that must not agree by accident.
uint64_t hash_bytes(struct slice bytes, uint64_t seed);

// The same of bytes that come in pieces.
struct hash_stream {
    _Alignas(64) uint8_t state[576];
};

void hash_stream_begin(struct hash_stream *s, uint64_t seed);
void hash_stream_add(struct hash_stream *s, struct slice bytes);
uint64_t hash_stream_end(const struct hash_stream *s);

// Avalanches one number (murmur3's finalizer): for tables keyed by integers.
static inline uint64_t hash_number(uint64_t x) {
    x = (x ^ (x >> 33)) * 0xff51afd7ed558ccdu;
    x = (x ^ (x >> 33)) * 0xc4ceb9fe1a85ec53u;
    return x ^ (x >> 33);
}

enum { MAC_KEY_SIZE = 16, MAC_SIZE = 16 };

struct mac_key {
    uint8_t bytes[MAC_KEY_SIZE];
};

struct mac {
    uint8_t bytes[MAC_SIZE];
};

struct mac mac_of(const struct mac_key *key, struct slice bytes);

// Compares in a time that does not depend on where the two differ.
bool mac_equal(const struct mac *a, const struct mac *b);

#endif
