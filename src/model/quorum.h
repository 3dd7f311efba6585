// SPDX-License-Identifier: Apache-2.0
//
// quorum.h -- counting answers until the outcome is certain.
//
// A quorum waits for `need` yes-votes from `total` replicas. It is decided as soon as the remaining
// votes cannot change the outcome, in either direction, so that a request that can no longer
// succeed fails at once instead of at its timeout.
//
//     votes so far              verdict
//     yes >= need               QUORUM_MET
//     no  >  total - need       QUORUM_LOST
//     otherwise                 QUORUM_OPEN
//
// A verdict other than QUORUM_OPEN is final. Votes that come later are still recorded, because read
// repair wants to know who answered.
//
// EACH_QUORUM across datacenters is one quorum per datacenter, met when all are met, lost when any
// is; the coordinator keeps them side by side and this file knows nothing of it.
#ifndef QUOIT_MODEL_QUORUM_H
#define QUOIT_MODEL_QUORUM_H

#include "base/limits.h"
#include "base/must.h"

#include <stdint.h>

enum quorum_verdict { QUORUM_OPEN, QUORUM_MET, QUORUM_LOST };

struct quorum {
    uint32_t total; // replicas asked
    uint32_t need;  // yes-votes wanted
    uint32_t yes;   // bit i set: replica i answered well
    uint32_t no;    // bit i set: replica i failed or refused
};

static_assert(REPLICAS_MAX <= 32, "one bit per replica");

// Requires 0 < need <= total <= REPLICAS_MAX.
void quorum_init(struct quorum *q, uint32_t total, uint32_t need);

// Records the answer of one replica. A second answer from the same replica changes nothing: peers
// retry, and a vote must not count twice.
void quorum_vote(struct quorum *q, uint32_t replica, bool yes);

enum quorum_verdict quorum_verdict(const struct quorum *q);

// How many replicas a set of bits names.
uint32_t quorum_count(uint32_t bits);

#endif
