// SPDX-License-Identifier: Apache-2.0
//
// token.h -- the causal context as clients carry it: opaque, authenticated, bound to its key.
//
// A context has power: one with invented counters would supersede every later write. So clients get
// it under a MAC with a key of the cluster, computed over the key it was read from; a forged,
// altered or misplaced token is refused. Text form (base64url), so that it can be typed:
//
//     base64url( version 1 | context | MAC of "context token" | key | version | context )
#ifndef QUOIT_MODEL_TOKEN_H
#define QUOIT_MODEL_TOKEN_H

#include "base/hash.h"
#include "model/record.h"

enum { TOKEN_TEXT_MAX = 4 * (1 + 2 + 20 * CONTEXT_MAX + MAC_SIZE + 2) / 3 + 4 };

// Writes the token and returns its length in bytes; no terminating zero.
size_t token_encode(const struct mac_key *secret, struct slice key, const struct context *context,
                    char text[TOKEN_TEXT_MAX]);

// ST_INVALID unless the token was made with the same secret for the same key.
NODISCARD enum status token_decode(const struct mac_key *secret, struct slice key,
                                   struct slice text, struct context *context);

#endif
