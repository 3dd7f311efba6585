// SPDX-License-Identifier: Apache-2.0
//
// chunk.h -- pieces of memory of one size, and bytes kept in rows of them.
//
// Everything a server holds for its clients beyond a few bytes lies in chunks from one pool:
// replies that wait for their turn or for a slow reader, and commands that arrive faster than they
// are carried out. The pool is the limit; whoever finds it empty waits or refuses.
#ifndef QUOIT_SERVER_CHUNK_H
#define QUOIT_SERVER_CHUNK_H

#include "base/pool.h"
#include "base/slice.h"

enum { CHUNK_SIZE = 16 * 1024 };

struct chunk {
    struct chunk *next;
    uint32_t size; // bytes in data
    uint8_t data[CHUNK_SIZE - 12];
};

enum { CHUNK_CAPACITY = CHUNK_SIZE - 12 };

static_assert(sizeof(struct chunk) == CHUNK_SIZE, "a chunk has no padding");

// Bytes in order, from the first chunk's to the last's.
struct chunks {
    struct chunk *first; // NULL: no bytes
    struct chunk *last;
    size_t size;     // bytes in all of them
    uint32_t *tally; // counts the chunks of several rows together; or NULL
};

// Chunks that `size` more bytes may take.
static inline uint32_t chunks_needed(size_t size) {
    return (uint32_t)((size + CHUNK_CAPACITY - 1) / CHUNK_CAPACITY);
}

// A place for `size` bytes in one piece, to be filled and then counted with chunks_grow; NULL when
// the pool is empty. Requires size <= CHUNK_CAPACITY.
uint8_t *chunks_room(struct chunks *chunks, struct pool *pool, size_t size);

// The next `size` bytes after the last are in use.
void chunks_grow(struct chunks *chunks, size_t size);

// Copies the bytes to the end. Requires that the pool has chunks_needed(bytes.size) left.
void chunks_append(struct chunks *chunks, struct pool *pool, struct slice bytes);

// Moves all of `from` to the end of `chunks`: copied where it fits, else chunk by chunk.
void chunks_move(struct chunks *chunks, struct pool *pool, struct chunks *from);

// Gives back the first chunk, which may not be the last one in use unless all of it was used.
void chunks_drop_first(struct chunks *chunks, struct pool *pool);

void chunks_clear(struct chunks *chunks, struct pool *pool);

#endif
