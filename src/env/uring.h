// SPDX-License-Identifier: Apache-2.0
//
// uring.h -- the world through io_uring: sockets, files and clock of one thread.
//
// One system call a turn: what the callbacks of a turn ask for gathers in the submission queue, and
// the call that hands it to the kernel is the one that waits for what comes next. Nothing is
// allocated for a request; the address of its env_op travels through the kernel.
//
// Needs Linux 6.1. Whether the kernel lets us is found out by trying: containers often forbid it,
// and then env/portable.c does the same.
#ifndef QUOIT_ENV_URING_H
#define QUOIT_ENV_URING_H

#include "env/env.h"
#include "env/shared.h"

// Must be called on the thread that will wait. NULL, with a complaint, when the kernel refuses.
struct env *uring_create(const struct env_options *options, struct env_complaint *complaint);

// One turn: hands over what was asked for, waits until something arrives, until env->now would
// reach `deadline` (TIMER_NEVER: for ever), or for uring_wake or a signal; sets the time; runs the
// callbacks, and then those of env_later.
void uring_wait(struct env *env, uint64_t deadline);

// Makes the present or the next uring_wait return. From any thread or signal handler.
void uring_wake(struct env *env);

// Withdraws what is under way, without calling back, and closes everything.
void uring_destroy(struct env *env);

bool uring_owns(const struct env *env);

#endif
