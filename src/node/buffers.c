// SPDX-License-Identifier: Apache-2.0
#include "node/buffers.h"

enum { PER_LINK = 3 }; // one to receive into, one that is filled, one that is sent

static bool is_ample(uint32_t links, uint32_t use_max) {
    return PER_LINK * links <= BUFFER_USES * use_max;
}

static uint32_t large_count(uint32_t links, uint32_t use_max) {
    return is_ample(links, use_max) ? PER_LINK * links : BUFFER_USES * use_max;
}

size_t buffers_memory_size(uint32_t links, uint32_t use_max, uint32_t capacity) {
    return pool_memory_size(large_count(links, use_max), capacity) +
           pool_memory_size(2 * links, BUFFER_SMALL_SIZE);
}

void buffers_init(struct buffers *buffers, struct arena *arena, uint32_t links, uint32_t use_max,
                  uint32_t capacity) {
    must(capacity > BUFFER_SMALL_SIZE);
    must(use_max > 0);
    *buffers = (struct buffers){.capacity = capacity, .is_ample = is_ample(links, use_max)};
    pool_init(&buffers->large, arena, large_count(links, use_max), capacity);
    pool_init(&buffers->small, arena, 2 * links, BUFFER_SMALL_SIZE);
    for (int use = 0; use < BUFFER_USES; use++) {
        buffers->shares[use].max = buffers->is_ample ? buffers->large.count : use_max;
        list_init(&buffers->shares[use].waiting);
    }
}

uint8_t *buffers_take(struct buffers *buffers, enum buffer_use use) {
    must(buffers_has(buffers, use));
    uint8_t *buffer = pool_take(&buffers->large);
    must(buffer != NULL);
    buffers->shares[use].taken++;
    return buffer;
}

void buffers_give(struct buffers *buffers, enum buffer_use use, uint8_t *buffer) {
    must(buffers->shares[use].taken > 0);
    buffers->shares[use].taken--;
    pool_give(&buffers->large, buffer);
}

uint8_t *buffers_take_small(struct buffers *buffers) {
    uint8_t *buffer = pool_take(&buffers->small);
    must(buffer != NULL);
    return buffer;
}

void buffers_give_small(struct buffers *buffers, uint8_t *buffer) {
    pool_give(&buffers->small, buffer);
}

bool buffers_are_short(const struct buffers *buffers) {
    bool is_short = buffers->was_refused;
    for (int use = 0; use < BUFFER_USES; use++) {
        is_short |= !list_is_empty(&buffers->shares[use].waiting);
    }
    return is_short;
}
