// SPDX-License-Identifier: Apache-2.0
//
// uring_socket.h -- streams and listeners of the io_uring world.
//
// A socket that is shut lives on until the last request on it has called back. A stream whose peer
// may still be sending is then drained for a moment: were it closed with bytes unread, the kernel
// would reset it, and the peer would lose what it had not read yet of our last words.
#ifndef QUOIT_ENV_URING_SOCKET_H
#define QUOIT_ENV_URING_SOCKET_H

#include "env/uring_loop.h"

// A connect is two submissions that must go together: itself and its time-out.
static inline uint32_t uring_socket_submissions(uint32_t kind) {
    return kind == URING_CONNECT ? 2 : 1;
}

// Fills a submission.
void uring_socket_prepare(struct uring *u, struct env_op *op, struct io_uring_sqe *sqe);

// Takes an answer: true when the request is done and its status set, false when it was asked anew.
bool uring_socket_finish(struct uring *u, struct env_op *op, int result, uint32_t flags);

// Goes on with a connect whose name was looked up: true when it is done, and has failed.
bool uring_socket_looked_up(struct uring *u, struct env_op *op);

// Ends what has been drained for long enough; gives when the next stream is due.
uint64_t uring_socket_expire(struct uring *u);

// Closes what is still open.
void uring_socket_destroy_all(struct uring *u);

void uring_socket_listen(struct env *env, struct env_op *op, const char *address,
                         struct env_socket **listener);
void uring_socket_accept(struct env *env, struct env_op *op, struct env_socket *listener,
                         struct env_socket **stream);
void uring_socket_connect(struct env *env, struct env_op *op, const char *address,
                          struct env_socket **stream);
void uring_socket_recv(struct env *env, struct env_op *op, struct env_socket *stream, uint8_t *to,
                       uint32_t capacity);
void uring_socket_send(struct env *env, struct env_op *op, struct env_socket *stream,
                       const uint8_t *from, uint32_t size);
void uring_socket_shut(struct env *env, struct env_socket *socket);
const char *uring_socket_peer(struct env *env, const struct env_socket *stream);

#endif
