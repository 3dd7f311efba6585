// SPDX-License-Identifier: Apache-2.0
//
// decimal.h -- fractions as text, as INCRBYFLOAT of Redis reads and writes them.
//
// Both directions are the C library's, with the widest type it has, so that they agree with Redis
// to the last digit. Nothing here sets a locale, so the point is a point.
#ifndef QUOIT_BASE_DECIMAL_H
#define QUOIT_BASE_DECIMAL_H

#include "base/slice.h"

enum { DECIMAL_TEXT_MAX = 5 * 1024 }; // bytes; the largest number has 4933 digits

// What strtold takes as a whole: also exponents, hexadecimal digits and infinity. False for
// everything else, for what is not a number, and for what is too large or too near to zero.
bool decimal_parse(struct slice text, long double *value);

// Writes the number with up to 17 digits behind the point, and no exponent. Returns how many bytes
// it has. Requires a finite number.
size_t decimal_text(long double value, char out[DECIMAL_TEXT_MAX]);

bool decimal_is_finite(long double value);

#endif
