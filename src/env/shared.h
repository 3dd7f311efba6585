// SPDX-License-Identifier: Apache-2.0
//
// shared.h -- what the real worlds have in common: options, the data directory, log lines, errno.
#ifndef QUOIT_ENV_SHARED_H
#define QUOIT_ENV_SHARED_H

#include "env/env.h"

#include <stddef.h>

// For a person who starts a program: why it cannot start.
struct env_complaint {
    char text[200];
};

typedef void env_log_sink(void *context, enum env_level level, struct slice line);

struct env_options {
    const char *directory; // where the files are; NULL: no file may be asked for
    env_log_sink *log;     // NULL: lines go to standard error
    void *log_context;
    bool is_portable;   // do without io_uring
    bool is_read_only;  // nothing in the directory is ever changed
    uint32_t piece_max; // for tests: moves at most so many bytes at a time; 0: no limit

    // Of shared_clock: until then env_listen tries an address that is in use again, and holds up
    // everything else. The sockets of a killed process are free only once its io_uring has ended,
    // a moment after the process itself.
    uint64_t listen_until;
};

__attribute__((format(printf, 2, 3))) void complain(struct env_complaint *complaint,
                                                    const char *format, ...);

// What the callers of env.h can make of an errno.
NODISCARD enum status shared_status(int error);

// True for what env.h allows as the name of a file.
bool shared_is_name(const char *name);

// Nanoseconds of the monotonic clock; the two fields of env that are the time.
uint64_t shared_clock(void);
void shared_set_time(struct env *env);

// Begins a turn: the time, and how late it is. At `asked` of shared_clock the one before had ended,
// and the process went to sleep until `deadline`, or did not if that had come.
void shared_begin_turn(struct env *env, uint64_t asked, uint64_t deadline);

// After a bind or listen that failed with this errno: whether to try again, after a pause.
bool shared_listen_again(const struct env_options *options, int error);

// Says why nothing listens at the address; 0: it cannot be looked up.
void shared_log_no_listener(struct env *env, const char *address, int error);

// Writes "2026-01-02T03:04:05.678Z INFO text" to the sink of the options.
void shared_log(const struct env_options *options, uint64_t wall_ms, enum env_level level,
                struct slice line);

// Opens the directory for relative names, -1 if it cannot be; with a complaint.
int shared_open_directory(const char *path, struct env_complaint *complaint);

// The work of env_list and env_space on the directory; blocking, but rare.
NODISCARD enum status shared_list(int directory, uint8_t *to, uint32_t capacity, uint32_t *size);
NODISCARD enum status shared_space(int directory, uint64_t *bytes);

// Moves all requests of `from` to `to`, which need not be initialised.
void shared_move_all(struct list *from, struct list *to);

// Takes the first request off a list that has one.
struct env_op *shared_first_of(struct list *list);

// Calls back what env_later has gathered, and what these ask for in turn, so many times over.
void shared_run_later(struct list *later);

// The file by which a program holds its data directory; not one of the files env.h speaks of.
#define SHARED_LOCK_NAME "LOCK"

#endif
