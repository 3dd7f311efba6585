// SPDX-License-Identifier: Apache-2.0
#include "base/hash.h"

#include <sodium/crypto_shorthash_siphash24.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

static_assert(MAC_KEY_SIZE == crypto_shorthash_siphashx24_KEYBYTES, "the key of SipHash-2-4-128");
static_assert(MAC_SIZE == crypto_shorthash_siphashx24_BYTES, "the output of SipHash-2-4-128");

uint64_t hash_bytes(struct slice bytes, uint64_t seed) {
    return XXH3_64bits_withSeed(bytes.data, bytes.size, seed);
}

struct mac mac_of(const struct mac_key *key, struct slice bytes) {
    struct mac mac;
    (void)crypto_shorthash_siphashx24(mac.bytes, bytes.data, bytes.size, key->bytes);
    return mac;
}

bool mac_equal(const struct mac *a, const struct mac *b) {
    uint8_t difference = 0;
    for (uint32_t i = 0; i < MAC_SIZE; i++) difference |= (uint8_t)(a->bytes[i] ^ b->bytes[i]);
    return difference == 0;
}
