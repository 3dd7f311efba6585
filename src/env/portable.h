// SPDX-License-Identifier: Apache-2.0
//
// portable.h -- the world through libuv, for kernels that refuse io_uring.
//
// Same promises, more system calls: a poll a turn, a read and a write a message, and a thread for
// each file request. libuv's callbacks only take notes; the requests call back when its turn is
// over and the time is set.
#ifndef QUOIT_ENV_PORTABLE_H
#define QUOIT_ENV_PORTABLE_H

#include "env/env.h"
#include "env/shared.h"

// NULL, with a complaint, when it cannot be had.
struct env *portable_create(const struct env_options *options, struct env_complaint *complaint);

// As uring_wait. The deadline is kept to a millisecond.
void portable_wait(struct env *env, uint64_t deadline);

// Makes the present or the next portable_wait return. From any thread or signal handler.
void portable_wake(struct env *env);

// Withdraws what is under way, without calling back, and closes everything.
void portable_destroy(struct env *env);

#endif
