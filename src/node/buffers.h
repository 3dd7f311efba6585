// SPDX-License-Identifier: Apache-2.0
//
// buffers.h -- the buffers that the links of a node share.
//
// A link that is idle has one small buffer of its own, to receive into (link.h). What is larger
// needs a large one for as long as it is under way, and what is sent needs one, large or small.
// Both are taken and given back last in, first out, so that memory is touched for as many as are in
// use together, not for as many as there are links.
//
// Where each link can have all that it can use, large buffers are ample and nobody ever waits.
// Else there are so many of them for each of four uses, and one use does not take from another:
//
//     answers in     is read at once whatever happens, and given back when the sender is done
//     answers out    is given back when the other member has read it: see answers in
//     requests in    is given back when there is room for an answer: see answers out
//     requests out   is given back when the other member has read it: see requests in
//
// Each waits for the one above it and none for one below, so members cannot wait for each other in
// a circle. Who finds none to receive into waits in line, likewise who may not read on before there
// is room to answer. Who finds none to send from is refused, as by a buffer that is full.
#ifndef QUOIT_NODE_BUFFERS_H
#define QUOIT_NODE_BUFFERS_H

#include "base/list.h"
#include "base/pool.h"
#include "env/env.h"
#include "wire/frame.h"
#include "wire/message.h"

enum buffer_use {
    BUFFER_ANSWERS_IN,
    BUFFER_ANSWERS_OUT,
    BUFFER_REQUESTS_IN,
    BUFFER_REQUESTS_OUT,
    BUFFER_USES,
};

enum {
    // The largest greeting: all that a caller can say, and be told, before it is known.
    BUFFER_SMALL_SIZE = FRAME_HEADER_SIZE + MESSAGE_HELLO_MAX,

    // Large ones for each use: a write goes to all copies of its key in one turn.
    BUFFER_USE_DEFAULT = REPLICAS_MAX,
};

struct buffer_share {
    uint32_t max;
    uint32_t taken;
    struct list waiting; // struct link by its `waiting`, in the order of coming
};

struct buffers {
    struct pool large;
    struct pool small;
    uint32_t capacity; // bytes of a large one
    bool is_ample;
    bool was_refused; // somebody found none for requests out, and may want to hear of the next one
    bool is_waking;   // wake_op is under way
    struct env_op wake_op;
    struct buffer_share shares[BUFFER_USES];
};

// For so many links; use_max: large ones for each use.
void buffers_init(struct buffers *buffers, struct arena *arena, uint32_t links, uint32_t use_max,
                  uint32_t capacity);
size_t buffers_memory_size(uint32_t links, uint32_t use_max, uint32_t capacity);

// Whether there is a large one for that use.
static inline bool buffers_has(const struct buffers *buffers, enum buffer_use use) {
    return buffers->shares[use].taken < buffers->shares[use].max;
}

// Requires buffers_has.
uint8_t *buffers_take(struct buffers *buffers, enum buffer_use use);
void buffers_give(struct buffers *buffers, enum buffer_use use, uint8_t *buffer);

// Each link can have two.
uint8_t *buffers_take_small(struct buffers *buffers);
void buffers_give_small(struct buffers *buffers, uint8_t *buffer);

// Whether it is the turn of `who` to have the next one: nobody else stands before it.
static inline bool buffers_is_next(const struct buffers *buffers, enum buffer_use use,
                                   const struct list *who) {
    const struct list *line = &buffers->shares[use].waiting;
    return list_is_empty(line) || line->next == who;
}

// Whether anybody waits, or was refused.
bool buffers_are_short(const struct buffers *buffers);

#endif
