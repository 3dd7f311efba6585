// SPDX-License-Identifier: Apache-2.0
#include "base/pool.h"

#include "base/must.h"

#include <string.h>

void pool_init(struct pool *pool, struct arena *arena, uint32_t count, size_t size) {
    must(count > 0);
    must(size >= sizeof(void *));
    size_t step = (size + 63) & ~(size_t)63;
    *pool = (struct pool){.size = step, .count = count};
    pool->memory = arena_take(arena, count, step);
}

void *pool_take(struct pool *pool) {
    void *thing = pool->free;
    if (thing != NULL) {
        memcpy(&pool->free, thing, sizeof(pool->free));
    } else if (pool->fresh < pool->count) {
        thing = pool->memory + pool->fresh++ * pool->size;
    } else {
        return NULL;
    }
    pool->taken++;
    return thing;
}

void pool_give(struct pool *pool, void *thing) {
    must(pool->taken > 0);
    must((uint8_t *)thing >= pool->memory);
    must((size_t)((uint8_t *)thing - pool->memory) < pool->fresh * pool->size);
    memcpy(thing, &pool->free, sizeof(pool->free));
    pool->free = thing;
    pool->taken--;
}
