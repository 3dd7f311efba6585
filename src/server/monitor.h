// SPDX-License-Identifier: Apache-2.0
//
// monitor.h -- connections that are told of every command (MONITOR).
//
// A line says when a command came, from whom, and what it was, as far as there is room for it. Who
// does not take the lines as fast as they come misses some, and is told how many.
#ifndef QUOIT_SERVER_MONITOR_H
#define QUOIT_SERVER_MONITOR_H

#include "server/internal.h"

// From now on the session is told.
void monitor_begin(struct session *s);

// Does nothing to one that is not.
void monitor_end(struct session *s);

// As monitor_tell, where somebody is to be told.
void monitor_show(const struct command *c);

// Tells of a command that was just taken.
static inline void monitor_tell(const struct command *c) {
    if (!list_is_empty(&c->session->server->monitors)) monitor_show(c);
}

#endif
