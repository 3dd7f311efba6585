// SPDX-License-Identifier: Apache-2.0
//
// slot.h -- which of the 16384 slots a key belongs to, and which partition.
//
// A slot is CRC16 of the key modulo 16384, exactly as in the Redis Cluster specification, so that
// cluster-aware clients compute it too. If the key contains '{' and, after it, '}' with at least
// one byte between them, only those bytes (the hash tag) are hashed: keys that share a tag share a
// slot.
//
// A partition is the unit in which data is sorted, counted, compared, moved and dropped: one slot
// of one keyspace.
#ifndef QUOIT_MODEL_SLOT_H
#define QUOIT_MODEL_SLOT_H

#include "base/limits.h"
#include "base/slice.h"

struct partition {
    uint16_t keyspace; // 0 is `default`
    uint16_t slot;     // below SLOT_END; the node's own, from SLOT_COUNT on, are in keyspace 0
};

// The part of the key that decides its slot: its hash tag, or all of it. Lends a view of the key.
struct slice slot_hashed_part(struct slice key);

uint16_t slot_of(struct slice key);

#endif
