// SPDX-License-Identifier: Apache-2.0
//
// portable_socket.h -- streams and listeners of the libuv world.
//
// A socket that is shut lives on until the last request on it has called back; a stream is then
// drained for a moment, as uring_socket.h says and for the same reason.
#ifndef QUOIT_ENV_PORTABLE_SOCKET_H
#define QUOIT_ENV_PORTABLE_SOCKET_H

#include "env/portable_loop.h"

// Takes a request that is about to call back off its socket, and sets its last result.
void portable_socket_detach(struct portable *p, struct env_op *op);

// Ends what has waited for long enough; gives when the next one is due.
uint64_t portable_socket_expire(struct portable *p);

// Closes what is still open; it is gone when the loop has run.
void portable_socket_destroy_all(struct portable *p);

void portable_socket_listen(struct env *env, struct env_op *op, const char *address,
                            struct env_socket **listener);
void portable_socket_accept(struct env *env, struct env_op *op, struct env_socket *listener,
                            struct env_socket **stream);
void portable_socket_connect(struct env *env, struct env_op *op, const char *address,
                             struct env_socket **stream);
void portable_socket_recv(struct env *env, struct env_op *op, struct env_socket *stream,
                          uint8_t *to, uint32_t capacity);
void portable_socket_send(struct env *env, struct env_op *op, struct env_socket *stream,
                          const uint8_t *from, uint32_t size);
void portable_socket_shut(struct env *env, struct env_socket *socket);
const char *portable_socket_peer(struct env *env, const struct env_socket *stream);

#endif
