// SPDX-License-Identifier: Apache-2.0
//
// token.h -- the causal context as clients carry it: opaque, authenticated, bound to its key.
//
// A context has power: one with invented counters would supersede every later write. So clients get
// it under a MAC with a key of the cluster, computed over the key it was read from; a forged,
// altered or misplaced token is refused. Text form (base64url, unpadded), so that it can be typed:
//
//     base64url( u8 version 2 | context | u64 timestamp | MAC of the claim )
//     claim = "context token" | MAC of the key | u8 version 2 | context | u64 timestamp
//
// No value that the context covers has a later timestamp: a write over them that is made where they
// are not held has to be later than they are (model/fence.h). A token of version 1 has none.
//
// The key enters the claim as a MAC of its own, which nobody outside ever sees, so that a claim is
// small however long the key is.
#ifndef QUOIT_MODEL_TOKEN_H
#define QUOIT_MODEL_TOKEN_H

#include "base/base64.h"
#include "base/hash.h"
#include "model/context.h"

enum {
    TOKEN_SIZE_MAX = 1 + 2 + CONTEXT_ENTRY_ENCODED_SIZE * CONTEXT_MAX + 8 + MAC_SIZE,
    TOKEN_TEXT_MAX = BASE64_TEXT_SIZE(TOKEN_SIZE_MAX),
};

// Writes the token and returns its length in bytes; no terminating zero.
size_t token_encode(const struct mac_key *secret, struct slice key, const struct context *context,
                    uint64_t timestamp, char text[TOKEN_TEXT_MAX]);

// ST_INVALID, and an empty context, unless the token was made with the same secret for the same
// key. Its timestamp is 0 when it has none.
NODISCARD enum status token_decode(const struct mac_key *secret, struct slice key,
                                   struct slice text, struct context *context, uint64_t *timestamp);

#endif
