// SPDX-License-Identifier: Apache-2.0
//
// key_set.h -- which keys were seen, by their hashes, with a number for each.
//
// Open addressing with linear probing, in shards that grow by themselves, since no block of a
// struct tlsf is large enough for all. Two keys of one hash of 64 bits count as one; among a
// hundred million keys that happens once in three thousand times.
#ifndef QUOIT_STORE_KEY_SET_H
#define QUOIT_STORE_KEY_SET_H

#include "base/tlsf.h"

enum { KEY_SET_SHARDS = 64 };

struct key_set_shard {
    uint32_t block; // in the struct tlsf, or 0
    uint32_t capacity;
    uint32_t count;
};

struct key_set {
    struct tlsf *memory; // borrowed
    struct key_set_shard shards[KEY_SET_SHARDS];
};

// The number of the hash, lent until the next call; NULL: it is not there.
uint64_t *key_set_find(const struct key_set *set, uint64_t hash);

// Adds a hash that is not there. False: memory is full.
bool key_set_add(struct key_set *set, uint64_t hash, uint64_t number);

#endif
