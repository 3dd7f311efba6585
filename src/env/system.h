// SPDX-License-Identifier: Apache-2.0
//
// system.h -- the operating system as a program sees it: which world, signals, memory, the lock on
// its data directory.
//
//     system_catch_signals();
//     struct env *env = system_open(&options, &complaint);
//     while (!system_is_stopping()) { system_wait(env, node_next_wake(node)); node_wake(node); }
//     system_close(env);
#ifndef QUOIT_ENV_SYSTEM_H
#define QUOIT_ENV_SYSTEM_H

#include "base/arena.h"
#include "env/env.h"
#include "env/shared.h"

// Opens the world on io_uring; if the kernel refuses that, or the options or QUOIT_IO=portable in
// the environment ask for it, on libuv, and says so in one line of the log. The thread that opens
// it is the one that waits. NULL, with a complaint, when neither can be had.
struct env *system_open(const struct env_options *options, struct env_complaint *complaint);

// "io_uring" or "portable".
const char *system_name(const struct env *env);

// One turn: hands over what was asked for, waits until something arrives, until env->now would
// reach `deadline` (TIMER_NEVER: for ever), or for system_wake or a signal; sets the time; runs
// the callbacks, and then those of env_later.
void system_wait(struct env *env, uint64_t deadline);

// Makes the present or the next system_wait return. From any thread or signal handler.
void system_wake(struct env *env);

// Withdraws what is under way, without calling back, and closes everything.
void system_close(struct env *env);

// From here on SIGTERM and SIGINT make system_is_stopping() true and wake every world; SIGPIPE is
// ignored.
void system_catch_signals(void);
bool system_is_stopping(void);

// Makes the directory (mode 0700), durably, unless it exists, and holds it until
// system_unlock_directory or the end of the process. ST_BUSY when another process holds it, else
// ST_IO; with a complaint.
NODISCARD enum status system_lock_directory(const char *path, int *lock,
                                            struct env_complaint *complaint);

// The same for who only reads: makes nothing, and holds nothing (*lock is -1) where no process has
// ever held the directory.
NODISCARD enum status system_lock_for_reading(const char *path, int *lock,
                                              struct env_complaint *complaint);
void system_unlock_directory(int lock);

// Zeroed memory, in large pages where the kernel has them; pages are taken when they are first
// written. `memory` is NULL when there is no such room.
struct arena system_arena(size_t size);
void system_arena_free(struct arena *arena);

// From the kernel's generator; fit for secrets.
void system_random(void *to, size_t size);

// What this process has used so far.
struct system_usage {
    uint64_t user_us;
    uint64_t system_us;
    uint64_t resident; // bytes of memory that it has now; 0 when that cannot be learnt
};
struct system_usage system_used(void);

// Writes name and release of the operating system, cut to what fits. Lends `to`.
const char *system_release(char *to, size_t size);

#endif
