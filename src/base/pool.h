// SPDX-License-Identifier: Apache-2.0
//
// pool.h -- a fixed number of equal things.
//
// What was given back last is taken first, while the processor still has it in its caches. A thing
// that was never taken was never touched, so a pool costs as much memory as its busiest moment, not
// as much as its limit.
#ifndef QUOIT_BASE_POOL_H
#define QUOIT_BASE_POOL_H

#include "base/arena.h"

struct pool {
    uint8_t *memory;
    size_t size;    // bytes from one thing to the next: a multiple of 64
    uint32_t count; // of things
    uint32_t fresh; // index of the first that was never taken
    uint32_t taken; // now
    void *free;     // given back, latest first, threaded through their first bytes
};

static inline size_t pool_memory_size(uint32_t count, size_t size) {
    return (size_t)count * ((size + 63) & ~(size_t)63) + 64;
}

// Room for `count` things of `size` bytes, each aligned to 64 bytes.
void pool_init(struct pool *pool, struct arena *arena, uint32_t count, size_t size);

// NULL when all are taken. The content is whatever the last user left.
void *pool_take(struct pool *pool);

void pool_give(struct pool *pool, void *thing);

static inline uint32_t pool_left(const struct pool *pool) {
    return pool->count - pool->taken;
}

#endif
