// SPDX-License-Identifier: Apache-2.0
//
// must.h -- assertions that stay on in every build.
//
// must(x) states what the programmer believes. When it is false the program is wrong, and the only
// safe thing a wrong program can do is stop: a crashed replica costs its peers a hint, a confused
// one costs them data. Bytes from a disk, a socket or a user are never the subject of a must();
// they are checked with an if, and answered with a status.
#ifndef QUOIT_BASE_MUST_H
#define QUOIT_BASE_MUST_H

#include <assert.h> // static_assert
#include <stdbool.h>

#define must(cond) (__builtin_expect(!!(cond), 1) ? (void)0 : must_fail(#cond, __FILE__, __LINE__))

// For switch arms and loop ends that no input can reach.
#define unreachable() must_fail("unreachable", __FILE__, __LINE__)

// Each program supplies its own: the server writes its log and aborts, the simulator first prints
// the seed that led here.
_Noreturn void must_fail(const char *cond, const char *file, int line);

#endif
