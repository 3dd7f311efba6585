// SPDX-License-Identifier: Apache-2.0
//
// portable_loop.h -- what the parts of the libuv world know of each other: portable.c turns the
// loop, portable_file.c does file requests on libuv's threads, portable_socket.c has the streams.
//
// A request is with libuv or, once it has its result, on the list `ready`.
#ifndef QUOIT_ENV_PORTABLE_LOOP_H
#define QUOIT_ENV_PORTABLE_LOOP_H

#include "env/address.h"
#include "env/shared.h"

#include <uv.h>

enum portable_kind {
    PORTABLE_READY = 1, // its status is set, and that is all

    PORTABLE_WORK,
    PORTABLE_OPEN,
    PORTABLE_ALLOCATE,
    PORTABLE_READ,
    PORTABLE_WRITE,
    PORTABLE_SYNC,
    PORTABLE_CLOSE,
    PORTABLE_SYNC_NAMES,
    PORTABLE_RENAME,
    PORTABLE_LINK,
    PORTABLE_REMOVE,
    PORTABLE_LIST,
    PORTABLE_SPACE,

    PORTABLE_ACCEPT,
    PORTABLE_CONNECT,
    PORTABLE_RECV,
    PORTABLE_SEND,
};

struct portable {
    struct env env; // first: an env is recognised by its world
    uv_loop_t loop;
    uv_timer_t timer;
    uv_async_t wake;
    struct env_options options;
    struct list ready; // to be called back, in the next turn at the latest
    struct list later; // asked for by env_later
    struct list files;
    struct list sockets;
    struct list connecting; // in the order of their time-outs
    struct list draining;   // in the order of their time-outs
    int directory;          // -1: none
    uint8_t scratch[64 * 1024];
};

static inline struct portable *portable_of(struct env *env) {
    return (struct portable *)env;
}

// Calls back with this status.
void portable_answer(struct portable *p, struct env_op *op, enum status status);

// Runs function(argument) on a thread of libuv, then after(argument) in the loop.
void portable_run(struct portable *p, void (*function)(void *argument),
                  void (*after)(void *argument), void *argument);

// At most so many bytes at a time.
static inline uint32_t portable_piece(const struct portable *p, uint32_t size) {
    return p->options.piece_max != 0 && size > p->options.piece_max ? p->options.piece_max : size;
}

#endif
