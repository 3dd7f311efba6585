// SPDX-License-Identifier: Apache-2.0
//
// many.h -- commands with many keys: every key is a step, a limited number of them at a time, with
// those whose answer waits for its place in the reply.
//
// The same key twice in a command that writes is dealt with one after the other.
#ifndef QUOIT_SERVER_MANY_H
#define QUOIT_SERVER_MANY_H

#include "server/step.h"

// Clears c->my; the first key is the next to be dealt with.
void many_init(struct command *c);

// Starts what may be started, by `begin`, and calls `end` when nothing is left to do. To be called
// again whenever a step has been given back.
void many_pump(struct command *c, command_start_function *end, step_done *begin);

// A step of the command is over. What the command's own step holds stays, if the command has locks:
// it is for the whole of it.
void many_give(struct step *step);

// True: a read came, and *sibling is what a plain client sees; NULL: nothing. False: it failed, or
// brought something unreadable, which has been noted.
bool many_read(struct step *step, const struct sibling **sibling);

// Keeps the worst failure in c->my.failure.
void many_note(struct command *c, struct failure failure);

// Begins no further steps.
void many_stop(struct command *c);

#endif
