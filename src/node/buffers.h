// SPDX-License-Identifier: Apache-2.0
//
// buffers.h -- the buffers that the links of a node share.
//
// A link that is idle has one tiny buffer of its own, to receive into (link.h). What is larger
// needs another one for as long as it is under way, and so does what is sent. They are taken and
// given back last in, first out: memory is touched for as many as are in use together, not for as
// many as there are links.
//
// Of all but large ones each link can have all that it can use. Likewise of large ones, if the
// links are few: then they are ample, and there are no tiny or medium ones. Else there are so many
// for each of four uses, and one use does not take from another:
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

enum buffer_size { BUFFER_TINY, BUFFER_SMALL, BUFFER_MEDIUM, BUFFER_LARGE, BUFFER_SIZES };

enum {
    // The header of a frame, and all of one that carries little: a greeting, a short record.
    BUFFER_TINY_SIZE = 192,

    // The largest greeting: all that a caller can say, and be told, before it is known.
    BUFFER_SMALL_SIZE = FRAME_HEADER_SIZE + MESSAGE_HELLO_MAX,

    // Votes, and records of some KB.
    BUFFER_MEDIUM_SIZE = 8 * 1024,

    // Large ones for each use: a write goes to all copies of its key in one turn.
    BUFFER_USE_DEFAULT = REPLICAS_MAX,
};

struct buffer {
    uint8_t *bytes; // NULL: none
    enum buffer_size size;
};

struct buffer_share {
    uint32_t max;
    uint32_t taken;
    struct list waiting; // struct link by its `waiting`, in the order of coming
};

struct buffers {
    struct pool pools[BUFFER_SIZES];
    uint32_t capacity; // bytes of a large one
    bool is_ample;
    bool was_refused; // somebody found none for requests out, and may want to hear of the next one
    bool is_waking;   // wake_op is under way
    struct env_op wake_op;
    struct buffer_share shares[BUFFER_USES]; // of the large ones
};

// For so many links; use_max: large ones for each use.
void buffers_init(struct buffers *buffers, struct arena *arena, uint32_t links, uint32_t use_max,
                  uint32_t capacity);
size_t buffers_memory_size(uint32_t links, uint32_t use_max, uint32_t capacity);

// Whether there is a large one for that use.
static inline bool buffers_has_large(const struct buffers *buffers, enum buffer_use use) {
    return buffers->shares[use].taken < buffers->shares[use].max;
}

static inline uint32_t buffers_bytes_of(const struct buffers *buffers, enum buffer_size size) {
    return size == BUFFER_TINY     ? BUFFER_TINY_SIZE
           : size == BUFFER_SMALL  ? BUFFER_SMALL_SIZE
           : size == BUFFER_MEDIUM ? BUFFER_MEDIUM_SIZE
                                   : buffers->capacity;
}

// The least size of which there are buffers and that has room for so much.
static inline enum buffer_size buffers_size_for(const struct buffers *buffers, uint32_t bytes) {
    if (bytes <= BUFFER_TINY_SIZE && !buffers->is_ample) return BUFFER_TINY;
    if (bytes <= BUFFER_SMALL_SIZE) return BUFFER_SMALL;
    return bytes <= BUFFER_MEDIUM_SIZE && !buffers->is_ample ? BUFFER_MEDIUM : BUFFER_LARGE;
}

// Of a large one: requires buffers_has_large.
struct buffer buffers_take(struct buffers *buffers, enum buffer_use use, enum buffer_size size);
void buffers_give(struct buffers *buffers, enum buffer_use use, struct buffer buffer);

// Whether it is the turn of `who` to have the next large one: nobody else stands before it.
static inline bool buffers_is_next(const struct buffers *buffers, enum buffer_use use,
                                   const struct list *who) {
    const struct list *line = &buffers->shares[use].waiting;
    return list_is_empty(line) || line->next == who;
}

// Whether anybody waits, or was refused.
bool buffers_are_short(const struct buffers *buffers);

#endif
