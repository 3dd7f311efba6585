// SPDX-License-Identifier: Apache-2.0
//
// network.h -- streams that delay, stall, split, break and part.
//
// These are the network functions of struct env_ops, with the manners of TCP:
//
//   - A send is answered when the kernel has taken all of its bytes. It takes as many as the window
//     has room for; room comes back when the other process receives.
//   - Bytes travel as pieces. A piece arrives after a delay of its own but never before the one
//   sent
//     before it, and a receiver gets what has arrived, not what was sent.
//   - A cut link neither delivers nor reports. Pieces wait at the cut and move on when it heals. A
//     sender whose bytes stay unanswered for too long breaks its own end; the other end knows
//     nothing of it until it sends something itself.
//   - An end that is closed in order reaches the other after all bytes. Bytes that arrive at an end
//     that no process has open are answered by a reset, unless the machine is without power.
//   - Streams are accepted by the kernel: a paused process is still connected to.
//
// One direction of a stream is kept at the end that receives it: a ring of bytes, those that have
// arrived before those that are under way.
#ifndef QUOIT_SIM_NETWORK_H
#define QUOIT_SIM_NETWORK_H

#include "env/env.h"

struct machine;
struct network;
struct world;

struct network *network_create(struct world *world);
void network_destroy(struct network *network);
void network_add_machine(struct network *network); // the last one of the world

void network_listen(struct env *env, struct env_op *op, const char *address,
                    struct env_socket **listener);
void network_accept(struct env *env, struct env_op *op, struct env_socket *listener,
                    struct env_socket **stream);
void network_connect(struct env *env, struct env_op *op, const char *address,
                     struct env_socket **stream);
void network_recv(struct env *env, struct env_op *op, struct env_socket *stream, uint8_t *to,
                  uint32_t capacity);
void network_send(struct env *env, struct env_op *op, struct env_socket *stream,
                  const uint8_t *from, uint32_t size);
void network_shut(struct env *env, struct env_socket *socket);
const char *network_peer(struct env *env, const struct env_socket *stream);

// Which machines can reach which, by index; see world.h.
void network_set_link(struct network *network, uint32_t from, uint32_t to, bool is_whole);
bool network_has_link(const struct network *network, uint32_t from, uint32_t to);
void network_set_distance(struct network *network, uint32_t from, uint32_t to, uint64_t delay);

// Looks again at everything that waits: to be called after links or machines came back.
void network_resume(struct network *network);

// The process ends and its kernel closes everything; without power, nobody tells the peers.
void network_abandon(struct machine *machine, bool has_power);

#endif
