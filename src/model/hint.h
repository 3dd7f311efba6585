// SPDX-License-Identifier: Apache-2.0
//
// hint.h -- what a member keeps for another one that could not be reached.
//
// Stored under a key of fixed size, so that all hints for one member stand together and the longest
// key has one, too:
//
//     target | keyspace (16 bits each) | hash of the key (64 bits), most significant byte first
//
// with the value
//
//     u8 version | u32 round | u32 size, key | u32 size, record
//
// Two keys with one hash cannot both have a hint: the second is refused.
#ifndef QUOIT_MODEL_HINT_H
#define QUOIT_MODEL_HINT_H

#include "base/codec.h"
#include "base/status.h"
#include "model/slot.h"

enum {
    HINT_VERSION = 1,
    HINT_KEY_SIZE = 12,
    HINT_HEAD_SIZE = 13, // bytes of a value beside key and record
};

enum hint_kind {
    HINT_COPY,   // of what a replica has minted
    HINT_MINTED, // by who stands in, while no replica could be reached
    HINT_KINDS,
};

struct hint {
    uint32_t round;      // of purging, in which the record was minted (fence.h)
    struct slice key;    // lent
    struct slice record; // lent; empty: what its holder has as a replica
};

void hint_key_write(uint8_t to[HINT_KEY_SIZE], uint16_t target, uint16_t keyspace,
                    struct slice key);

// The least key that a hint for a member can have.
void hint_key_first(uint8_t to[HINT_KEY_SIZE], uint16_t target);

// False: it is none.
bool hint_key_read(struct slice bytes, uint16_t *target, uint16_t *keyspace);

void hint_encode(const struct hint *hint, struct writer *w);

// The same up to the record, of which so many bytes are to follow.
void hint_encode_head(uint32_t round, struct slice key, size_t record_size, struct writer *w);

// ST_CORRUPT on what is no hint, or one of another version.
NODISCARD enum status hint_decode(struct hint *hint, struct slice value);

#endif
