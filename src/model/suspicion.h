// SPDX-License-Identifier: Apache-2.0
//
// suspicion.h -- how sure one may be that a member whose signs of life have ceased is gone.
//
// A fixed time is too short for a member whose signs come unevenly, and too long for one whose
// signs come like a clock's. Here the level of suspicion grows with silence, measured by how long
// the silences between signs were before: it is phi, -log10 of the chance that a member which is
// well would be silent for so long (Hayashibara, Defago, Yared, Katayama: The phi accrual failure
// detector, SRDS 2004), in hundredths. Mean and deviation of the intervals are weighted so that the
// last ones count most, and intervals are taken to be normally distributed.
//
// What the rule says of a member bounds what its signs say: the mean is at least `expected`, the
// deviation at least so much that a member which is as even as a clock is suspected after
// `patience`, and no silence beyond `longest` counts as an interval: then the member was away, or
// this one. So, whatever came before, a member that has ceased is suspected within `patience` and 4
// times `longest`.
//
// All is computed with integers, so two builds cannot come to different decisions.
#ifndef QUOIT_MODEL_SUSPICION_H
#define QUOIT_MODEL_SUSPICION_H

#include <stdbool.h>
#include <stdint.h>

enum {
    SUSPICION_THRESHOLD = 800, // once in a hundred million silences a member is suspected wrongly
    SUSPICION_MOST = 8856,     // more than this is not told apart
    SUSPICION_DOUBT_MOST = 8,
};

struct suspicion_rule {
    uint64_t expected; // between two signs of a member that is even, ns
    uint64_t patience; // silence after which that one is suspected, ns
    uint64_t longest;  // silence that counts as an interval, ns; at least expected
};

// The rule for what comes once an interval.
struct suspicion_rule suspicion_rule_for(uint64_t interval, uint64_t patience);

// What is known of how the signs of one member come. All zero: nothing yet.
struct suspicion {
    bool has_begun;
    uint64_t last;         // sign, ns
    uint64_t mean_sum;     // us, and
    uint64_t variance_sum; // square us: times the weight of what was before
};

// From now on there is a member; what was known of an earlier one is forgotten.
void suspicion_begin(struct suspicion *suspicion, const struct suspicion_rule *rule, uint64_t now);

// One of the signs that come at intervals. Time that stands still or goes back does no harm.
void suspicion_sign(struct suspicion *suspicion, const struct suspicion_rule *rule, uint64_t now);

// The level after so much silence, ns; of a member that never gave a sign it is SUSPICION_MOST.
// Never less for more silence.
uint32_t suspicion_level(const struct suspicion *suspicion, const struct suspicion_rule *rule,
                         uint64_t silence);

// Who is late himself, or deaf to nearly all the others at once, is more likely to be the one that
// is not well (Dadgar, Phillips, Currey: Lifeguard, 2017). He multiplies the threshold by his doubt
// in himself, 1 to SUSPICION_DOUBT_MOST. The doubt after another round, of which so many before
// were missed.
uint32_t suspicion_doubt(uint32_t doubt, uint64_t rounds_missed, bool is_deaf);

#endif
