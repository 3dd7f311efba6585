// SPDX-License-Identifier: Apache-2.0
//
// golden.h -- bytes that are checked in, because others depend on them.
//
// A format is what tests/golden/ says it is: bytes that some release wrote must be read by all
// later ones, and a change of them is a decision, with a new version, not an accident. The files
// change only when the tests are run with QUOIT_GOLDEN=write, which says so for each.
#ifndef QUOIT_TESTS_GOLDEN_H
#define QUOIT_TESTS_GOLDEN_H

#include "base/slice.h"

// The content of tests/golden/NAME. Fails the case when it is missing, or larger than the memory.
struct slice golden_read(const char *name, uint8_t *memory, size_t capacity);

// Fails the case at the first byte in which tests/golden/NAME differs.
void golden_compare(const char *name, struct slice actual);

#endif
