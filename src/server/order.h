// SPDX-License-Identifier: Apache-2.0
//
// order.h -- who waits for whom.
//
// Within a connection a command waits for the earlier ones that touch one of its keys, unless both
// only read. With a single member even these go ahead, as long as each is one request to the node:
// requests on a key take effect there in the order they were made.
//
// Between connections only commands that read, decide and write exclude each other, and only where
// one member holds every key: they take a lock on theirs, and while it is held no other write of
// that key starts.
#ifndef QUOIT_SERVER_ORDER_H
#define QUOIT_SERVER_ORDER_H

#include "server/command.h"

// Notes which keys the command touches. To be called before it joins the queue.
void order_enter(struct command *c);

// The latest command before `c` in its connection that must end first, or NULL.
struct command *order_blocker(const struct command *c);

// Makes ready what waited for `c`, which is about to leave the queue.
void order_leave(struct command *c);

// Takes the lock if the command needs it. False: somebody else has it, and the command waits.
bool order_lock(struct command *c);

// Forgets that the command waits for a lock.
void order_withdraw(struct command *c);

// True when this cluster has one member, which therefore orders all writes.
bool order_is_single(const struct server *server);

#endif
