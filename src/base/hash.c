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

static_assert(sizeof(XXH3_state_t) <= sizeof(struct hash_stream), "a state fits");
static_assert(_Alignof(XXH3_state_t) <= _Alignof(struct hash_stream), "where it is");

void hash_stream_begin(struct hash_stream *s, uint64_t seed) {
    XXH3_state_t *state = (void *)s;
    XXH3_INITSTATE(state); // the reset looks at what is there
    (void)XXH3_64bits_reset_withSeed(state, seed);
}

void hash_stream_add(struct hash_stream *s, struct slice bytes) {
    (void)XXH3_64bits_update((XXH3_state_t *)(void *)s, bytes.data, bytes.size);
}

uint64_t hash_stream_end(const struct hash_stream *s) {
    return XXH3_64bits_digest((const XXH3_state_t *)(const void *)s);
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
