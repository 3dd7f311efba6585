// SPDX-License-Identifier: Apache-2.0
//
// glob.h -- patterns for keys, as Redis has them.
//
//     *         any bytes, also none           [abc]   one of these
//     ?         one byte                       [a-c]   one of a range, whichever end comes first
//     \x        x, whatever it means           [^ab]   one byte that is none of these
//
// A class without its closing bracket goes to the end of the pattern; a backslash at the very end
// stands for itself. All patterns mean something.
//
// When a byte does not match, only the last star is tried again, one byte further on: an earlier
// star could gain nothing that the last one cannot. The cost is therefore at most the product of
// both sizes, where the obvious recursion is exponential in the number of stars. Even that product
// is long for a long pattern and a long key, so the work has an allowance.
#ifndef QUOIT_BASE_GLOB_H
#define QUOIT_BASE_GLOB_H

#include "base/slice.h"

// What a match may cost that anybody would write on purpose.
#define GLOB_STEPS_MAX ((uint64_t)1 << 20)

// Does all of the text match? *steps is an allowance (about a nanosecond each), reduced by what was
// used; when it reaches zero the answer is false and means nothing.
bool glob_match(struct slice pattern, struct slice text, uint64_t *steps);

#endif
