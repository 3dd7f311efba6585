// SPDX-License-Identifier: Apache-2.0
//
// test.h -- what every unit test includes: cmocka, and the seed of the run.
//
// foo_test.c, beside foo.c, defines one function `int foo_test(void)` that runs its group of cases
// and returns how many failed. The Makefile finds them; nothing is registered.
//
//     static void a_sentence_that_says_what_holds(void **state) { ... assert_true(...); }
//
//     int foo_test(void) {
//         const struct CMUnitTest cases[] = {cmocka_unit_test(a_sentence_that_says_what_holds)};
//         return cmocka_run_group_tests_name("foo", cases, NULL, NULL);
//     }
//
// No case relies on another of its group: several processes may share the cases (tools/unit).
#ifndef QUOIT_TESTS_TEST_H
#define QUOIT_TESTS_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

// For cases that want random input: 1, or what QUOIT_TEST_SEED says.
uint64_t test_seed(void);

// For what is tried in more ways than every run has time for: one way in so many, which the seed
// chooses. TEST_EVERY, or what QUOIT_TEST_EVERY says; 1 tries all.
uint64_t test_every(void);

// The same for what takes long at each of a few worlds: `all` where all is tried, else `part`.
uint64_t test_share(uint64_t all, uint64_t part);

enum { TEST_EVERY = 64 };

#define X(module) int module(void);
#include "all_tests.h"
#undef X

#endif
