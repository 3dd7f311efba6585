// SPDX-License-Identifier: Apache-2.0
//
// env_case.h -- what the cases of the conformance suite share: asking, waiting, and the check that
// every request calls back exactly once and never inside the call that asked.
//
//     struct ask *a = new_ask(s);
//     ASK(s, env_sync(env, &a->op, file));
//     assert_int_equal(finish(s, a), ST_OK);
#ifndef QUOIT_ENV_ENV_CASE_H
#define QUOIT_ENV_ENV_CASE_H

#include "env/env_conformance.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { ASKS_MAX = 256 };

struct suite;

// One request of a case. The suite holds them, so that a callback that comes late or twice is
// noticed even after the case has ended.
struct ask {
    struct env_op op;
    struct suite *suite;
    uint32_t calls;                 // how often it called back
    uint32_t order;                 // the place of its callback among all of the case, from 1
    uint64_t called_at;             // env->now in the callback
    uint32_t turn;                  // the turn in which it called back
    void (*then)(struct ask *next); // run in the callback, or NULL
    struct ask *other;              // for `then`
    struct env_socket *stream;      // for `then`
};

struct suite {
    const struct env_world_kind *kind;
    struct env_world *world;
    struct env *env;
    bool is_asking; // inside ASK
    uint32_t turns; // so far
    uint32_t calls; // callbacks so far
    uint32_t ask_count;
    struct ask asks[ASKS_MAX];
};

#define ASK(s, call)                                                                               \
    do {                                                                                           \
        (s)->is_asking = true;                                                                     \
        call;                                                                                      \
        (s)->is_asking = false;                                                                    \
    } while (0)

// A fresh request whose callback is counted.
struct ask *new_ask(struct suite *s);

// One turn of the world.
void turn(struct suite *s);

// Turns until it called back, within bounds; gives its status.
enum status finish(struct suite *s, struct ask *a);

// Opens a file or fails the case.
struct env_file *opened(struct suite *s, const char *name, enum env_open mode);
void close_file(struct suite *s, struct env_file *file);
enum status write_at(struct suite *s, struct env_file *file, uint64_t offset, const void *from,
                     uint32_t size);

// Reads up to `size` bytes and says how many; fails the case on any other status than ST_OK.
uint32_t read_at(struct suite *s, struct env_file *file, uint64_t offset, void *to, uint32_t size);

// A stream from this node to itself: both of its ends.
struct pair {
    struct env_socket *listener;
    struct env_socket *near; // connected
    struct env_socket *far;  // accepted
};

struct pair connected(struct suite *s);

// One more, to a listener that listens on the world's first address.
struct pair connected_to(struct suite *s, struct env_socket *listener);
void shut_pair(struct suite *s, struct pair *pair);

// Sends all bytes, or receives exactly `size`, or fails the case.
void send_all(struct suite *s, struct env_socket *stream, const void *from, uint32_t size);
void recv_exactly(struct suite *s, struct env_socket *stream, void *to, uint32_t size);

struct env_case {
    const char *name;
    void (*run)(struct suite *s);
    bool needs_small_disk;
};

#define ENV_CASE(function)                                                                         \
    { #function, function, false }
#define ENV_CASE_SMALL(function)                                                                   \
    { #function, function, true }

// The groups, each ended by a case without a name.
extern const struct env_case file_cases[];
extern const struct env_case stream_cases[];
extern const struct env_case order_cases[];

#endif
