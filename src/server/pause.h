// SPDX-License-Identifier: Apache-2.0
//
// pause.h -- clients that wait because one of them said so (CLIENT PAUSE).
//
// While a pause lasts, a command that it is about is taken and then held, and nothing behind it is
// taken from its connection: one command waits for each. What was under way before goes on, and so
// does everything that comes from other nodes. It ends by itself.
#ifndef QUOIT_SERVER_PAUSE_H
#define QUOIT_SERVER_PAUSE_H

#include "server/internal.h"

void pause_init(struct server *server);

// Begins one, or makes the one that there is wider and longer.
void pause_begin(struct server *server, enum pause_kind kind, uint64_t duration_ns);

// Lets everything go on. Does nothing without a pause.
void pause_end(struct server *server);

// Ends the command with an OK when the pause does. Requires that there is one.
void pause_sleep(struct command *c);

// Holds a command that was just taken, if it is to wait.
void pause_hold(struct command *c);

// True while it waits.
bool pause_holds(const struct command *c);

// The session is about to be given back.
void pause_forget(struct session *s);

#endif
