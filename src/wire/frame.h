// SPDX-License-Identifier: Apache-2.0
//
// frame.h -- the envelope of every message between members.
//
//      0  2  magic "QF"
//      2  1  version of the frame format, 1
//      3  1  type of the message (message.h)
//      4  4  size of the body in bytes
//      8  2  shard of the sender        10  2  shard of the receiver
//     12  8  epoch of the sender's map
//     20 16  cluster id
//     36  4  checksum: XXH3, low half, of bytes 0 to 35
//     40 16  MAC: SipHash-2-4-128 of the frame, in which these bytes hold the frame's number in its
//            direction and its size, 8 bytes each
//     56     body
//
// All numbers are little-endian. The checksum lets a receiver believe the size before the body is
// there; the MAC proves that a member of the cluster made the frame, that no bit of it changed,
// and, because each connection has keys of its own and counts its frames, that it is not an old one
// played again.
#ifndef QUOIT_WIRE_FRAME_H
#define QUOIT_WIRE_FRAME_H

#include "base/codec.h"
#include "base/hash.h"
#include "base/slice.h"
#include "base/status.h"

enum { FRAME_HEADER_SIZE = 56, FRAME_VERSION = 1, FRAME_CLUSTER_SIZE = 16 };

struct frame {
    uint8_t type;
    uint16_t from_shard;
    uint16_t to_shard;
    uint64_t epoch;
    uint8_t cluster[FRAME_CLUSTER_SIZE];
    struct slice body;
};

// Completes a frame whose body of body_size bytes already stands at frame + FRAME_HEADER_SIZE.
// `header->body` is not looked at.
void frame_seal(uint8_t *bytes, uint32_t body_size, const struct frame *header,
                const struct mac_key *key, uint64_t number);

// What the first bytes of a stream say about the frame that begins there. ST_OK: *size is that of
// the whole frame. ST_BUSY: fewer bytes than a header. ST_CORRUPT: not a frame of this version,
// or the checksum is wrong. ST_TOO_LARGE: a body over body_max.
NODISCARD enum status frame_peek(struct slice bytes, uint32_t body_max, uint32_t *size);

// The type that a frame names which nobody has opened yet: a hint, and no more. Requires a header.
static inline uint8_t frame_type(const uint8_t *bytes) {
    return bytes[3];
}

// Opens exactly one whole frame, as measured by frame_peek. ST_CORRUPT when the MAC is wrong. The
// body is lent from the bytes, which are written to and left as they were.
NODISCARD enum status frame_open(uint8_t *bytes, uint32_t size, const struct mac_key *key,
                                 uint64_t number, struct frame *frame);

// The key of one direction of a connection, from the cluster's and what both sides drew at random.
struct mac_key frame_key(const struct mac_key *secret, uint64_t dialer_nonce,
                         uint64_t acceptor_nonce, bool from_dialer);

#endif
