// SPDX-License-Identifier: Apache-2.0
//
// order.h -- which commands of a connection wait for which.
//
// A command waits for the earlier ones that touch one of its keys, unless both only read. With a
// single member writes do not even wait for writes, as long as each is one request to the node:
// there they take effect in the order in which they were asked for.
#ifndef QUOIT_SERVER_ORDER_H
#define QUOIT_SERVER_ORDER_H

#include "server/command.h"

// Notes which keys the command touches. To be called before it joins the queue.
void order_enter(struct command *c);

// The latest command before `c` in its connection that must end first, or NULL.
struct command *order_blocker(const struct command *c);

// Makes ready what waited for `c`, which is about to leave the queue.
void order_leave(struct command *c);

// Forgets that the command waits for another.
void order_withdraw(struct command *c);

// True when this cluster has one member, which therefore orders all writes.
bool order_is_single(const struct server *server);

#endif
