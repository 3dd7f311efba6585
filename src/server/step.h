// SPDX-License-Identifier: Apache-2.0
//
// step.h -- what a command asks of the node.
//
// Every command has one step of its own; those with many keys take more from a pool, as many as
// there are, so that they always get on with at least one.
#ifndef QUOIT_SERVER_STEP_H
#define QUOIT_SERVER_STEP_H

#include "server/command.h"
#include "server/internal.h"

// Each asks, and calls `then` once, maybe before it returns.
void step_read(struct step *step, struct slice key, step_done *then);
void step_read_at(struct step *step, struct slice key, struct level level, step_done *then);

// Of `expires_ms`: never, whatever TTL the keyspace has.
#define STEP_STAYS UINT64_MAX

// Supersedes whatever is there. `expires_ms` 0: never, unless the keyspace has a TTL.
void step_replace(struct step *step, struct slice key, struct slice value, uint64_t expires_ms,
                  step_done *then);
void step_delete(struct step *step, struct slice key, step_done *then);

// Whatever else: the request is filled in but for done.
void step_submit(struct step *step, step_done *then);

// A read or write that came to its end as asked: a read that found nothing did, too.
bool step_succeeded(const struct step *step);

// The record that a read brought, in the server's scratch; empty when there is none. ST_CORRUPT
// when it is not one.
NODISCARD enum status step_record(const struct step *step, const struct record **record);

// What a plain command sees of it: NULL when there is nothing. Counts hits and misses.
NODISCARD enum status step_visible(struct step *step, const struct sibling **sibling);

// Memory for a value that a write is to borrow, until the step ends; NULL when there is none, or
// none so large.
uint8_t *step_hold_value(struct step *step, size_t size);

// Likewise for a value of any size that may be, at hold_large->data. False when there is none.
bool step_hold_largest(struct step *step);

// Like step_hold_value, filled with the value that is there and zeros behind it; or cut, where that
// is longer.
uint8_t *step_hold_copy(struct step *step, struct slice value, size_t size);

// Copies a context and a value to memory that stays until the step ends, for requests that borrow
// them. False when memory is out.
bool step_hold(struct step *step, const struct context *context, struct slice *value);

// Where step_hold put the context.
const struct context *step_held_context(const struct step *step);

void step_init(struct step *step, struct command *c);

// Gives back what the step holds.
void step_release(struct step *step);

// A further step for a command with many keys, or NULL. step_give ends it.
struct step *step_take(struct command *c);
void step_give(struct step *step);

#endif
