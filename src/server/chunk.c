// SPDX-License-Identifier: Apache-2.0
#include "server/chunk.h"

static void count(const struct chunks *chunks, int change) {
    if (chunks->tally != NULL) *chunks->tally += (uint32_t)change;
}

// Links a chunk that belongs to no row.
static void link_chunk(struct chunks *chunks, struct chunk *chunk) {
    chunk->next = NULL;
    if (chunks->last == NULL) {
        chunks->first = chunk;
    } else {
        chunks->last->next = chunk;
    }
    chunks->last = chunk;
    chunks->size += chunk->size;
    count(chunks, 1);
}

static struct chunk *append_chunk(struct chunks *chunks, struct pool *pool) {
    struct chunk *chunk = pool_take(pool);
    if (chunk == NULL) return NULL;
    chunk->size = 0;
    link_chunk(chunks, chunk);
    return chunk;
}

uint8_t *chunks_room(struct chunks *chunks, struct pool *pool, size_t size) {
    must(size <= CHUNK_CAPACITY);
    struct chunk *last = chunks->last;
    if (last == NULL || CHUNK_CAPACITY - last->size < size) {
        last = append_chunk(chunks, pool);
        if (last == NULL) return NULL;
    }
    return last->data + last->size;
}

void chunks_grow(struct chunks *chunks, size_t size) {
    must(chunks->last != NULL);
    must(size <= CHUNK_CAPACITY - chunks->last->size);
    chunks->last->size += (uint32_t)size;
    chunks->size += size;
}

void chunks_append(struct chunks *chunks, struct pool *pool, struct slice bytes) {
    while (bytes.size > 0) {
        struct chunk *last = chunks->last;
        if (last == NULL || last->size == CHUNK_CAPACITY) {
            last = append_chunk(chunks, pool);
            must(last != NULL); // the caller has looked
        }
        size_t room = CHUNK_CAPACITY - last->size;
        size_t size = bytes.size < room ? bytes.size : room;
        memcpy(last->data + last->size, bytes.data, size);
        chunks_grow(chunks, size);
        bytes = slice_skip(bytes, size);
    }
}

void chunks_move(struct chunks *chunks, struct pool *pool, struct chunks *from) {
    while (from->first != NULL) {
        struct chunk *chunk = from->first;
        from->first = chunk->next;
        count(from, -1);
        struct chunk *last = chunks->last;
        if (last != NULL && CHUNK_CAPACITY - last->size >= chunk->size) {
            memcpy(last->data + last->size, chunk->data, chunk->size);
            chunks_grow(chunks, chunk->size);
            pool_give(pool, chunk);
        } else {
            link_chunk(chunks, chunk);
        }
    }
    from->last = NULL;
    from->size = 0;
}

void chunks_drop_first(struct chunks *chunks, struct pool *pool) {
    struct chunk *chunk = chunks->first;
    must(chunk != NULL);
    must(chunks->size >= chunk->size);
    chunks->size -= chunk->size;
    chunks->first = chunk->next;
    if (chunks->first == NULL) chunks->last = NULL;
    count(chunks, -1);
    pool_give(pool, chunk);
}

void chunks_clear(struct chunks *chunks, struct pool *pool) {
    while (chunks->first != NULL) chunks_drop_first(chunks, pool);
    must(chunks->size == 0);
}
