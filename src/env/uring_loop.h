// SPDX-License-Identifier: Apache-2.0
//
// uring_loop.h -- what the parts of the io_uring world know of each other: uring.c turns the loop,
// uring_file.c and uring_socket.c say what a request is to the kernel and what its answer means.
//
// A request is always in one place: in the kernel (its address is the user data of a submission),
// with a worker thread, or on one of the lists below. From each it comes back to finish(), which
// either sets its status or asks the kernel for the rest.
#ifndef QUOIT_ENV_URING_LOOP_H
#define QUOIT_ENV_URING_LOOP_H

#include "env/address.h"
#include "env/shared.h"
#include "env/worker.h"

#include <liburing.h>

enum uring_kind {
    URING_WAKE = 1, // the eventfd
    URING_READY,    // its status is set
    URING_WORK,

    URING_OPEN,
    URING_ALLOCATE,
    URING_READ,
    URING_READ_DIRECT,
    URING_WRITE,
    URING_SYNC,
    URING_CLOSE,
    URING_SYNC_NAMES,
    URING_RENAME,
    URING_LINK,
    URING_REMOVE,

    URING_ACCEPT,
    URING_LOOK_UP, // connecting: the name is with a worker
    URING_CONNECT,
    URING_RECV,
    URING_SEND,
    URING_DRAIN, // of a shut stream: see uring_socket.c
};

enum {
    URING_SUBMISSIONS = 1024,
    URING_COMPLETIONS = 4096, // the kernel keeps what does not fit
};

struct env_file {
    struct list link; // in uring.files
    int fd;
    int direct_fd; // past the kernel's cache, or -1
    bool has_tried_direct;
};

struct env_socket {
    struct list link;     // in uring.sockets
    struct list draining; // in uring.draining
    int fd;
    bool is_listener;
    bool is_shut;
    bool is_sending;
    bool is_over;       // the peer has ended or broken the stream, or it was drained
    bool has_more;      // the last recv left bytes behind
    uint32_t under_way; // requests
    struct env_op *receiving;
    struct env_op *accepting;
    uint64_t resume_at; // of a listener that found no descriptor: accepts nothing before
    uint64_t due;       // of a stream being drained: closed then at the latest
    struct env_op drain;
    struct address address;
    char peer[ADDRESS_TEXT_MAX];
};

struct uring {
    struct env env; // first: an env is recognised by its world
    struct io_uring ring;
    struct env_options options;
    struct list ready;   // to be called back, in the next turn at the latest
    struct list later;   // asked for by env_later
    struct list starved; // the submission queue was full
    struct list delayed; // until ready_at, in that order
    struct list draining;
    struct list sockets;
    struct list files;
    bool has_direct_unit;      // one file was opened for direct reads, and said what it needs
    uint64_t under_way;        // answers the kernel owes
    uint32_t writes_under_way; // of them and the starved: what changes files
    int directory;             // -1: none
    bool is_ending;            // in uring_destroy
    int wake_fd;
    struct env_op wake;
    struct worker work;
    struct worker names;
    struct __kernel_timespec connect_timeout;
};

static inline struct uring *uring_of(struct env *env) {
    return (struct uring *)env;
}

// Hands a request to the kernel with the next submission.
void uring_ask(struct uring *u, struct env_op *op, enum uring_kind kind);

// Once more, for what is left of it or after an interruption.
void uring_ask_again(struct uring *u, struct env_op *op);

// Calls back with this status, without the kernel.
void uring_answer(struct uring *u, struct env_op *op, enum status status);

// Asks at that time.
void uring_delay(struct uring *u, struct env_op *op, enum uring_kind kind, uint64_t until);

// Asks the kernel to give a request back. False when it cannot be asked now.
bool uring_cancel(struct uring *u, struct env_op *op);

// At most so many bytes in one submission.
static inline uint32_t uring_piece(const struct uring *u, uint32_t size) {
    return u->options.piece_max != 0 && size > u->options.piece_max ? u->options.piece_max : size;
}

static inline bool uring_is_transient(int result) {
    return result == -EINTR || result == -EAGAIN;
}

#endif
