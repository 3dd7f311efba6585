// SPDX-License-Identifier: Apache-2.0
//
// backoff.h -- what keeps coming to nothing is tried less and less often.
//
// For something that has its turn again and again, whatever else happens in between. After each try
// in vain it lets more turns go by: the next tries are 1, 3, 7 and then always 15 turns later,
// until one comes to something.
#ifndef QUOIT_MODEL_BACKOFF_H
#define QUOIT_MODEL_BACKOFF_H

#include <stdbool.h>
#include <stdint.h>

enum { BACKOFF_TURNS_MAX = 15 };

// Begins as zeros: it may be tried at the first turn.
struct backoff {
    uint32_t turns; // from the last try, which was in vain, to the next
    uint32_t left;  // of these
};

// A turn has come. True: it may be tried in it.
bool backoff_is_due(struct backoff *b);

// What was tried has come to nothing.
void backoff_fail(struct backoff *b);

// ... or to something.
void backoff_succeed(struct backoff *b);

#endif
