// SPDX-License-Identifier: Apache-2.0
#include "node/buffers.h"

enum { PER_LINK = 3 }; // one to receive into, one that is filled, one that is sent

static bool is_ample(uint32_t links, uint32_t use_max) {
    return PER_LINK * links <= BUFFER_USES * use_max;
}

static uint32_t count_of(enum buffer_size size, uint32_t links, uint32_t use_max) {
    bool is_full = is_ample(links, use_max);
    switch (size) {
    case BUFFER_TINY: // it has one of its own to receive into
        return is_full ? 0 : (PER_LINK - 1) * links;
    case BUFFER_SMALL:
        return PER_LINK * links;
    case BUFFER_MEDIUM:
        return is_full ? 0 : PER_LINK * links;
    case BUFFER_LARGE:
        return is_full ? PER_LINK * links : BUFFER_USES * use_max;
    case BUFFER_SIZES:
        break;
    }
    unreachable();
}

size_t buffers_memory_size(uint32_t links, uint32_t use_max, uint32_t capacity) {
    size_t sum = 0;
    const struct buffers sizes = {.capacity = capacity};
    for (int size = 0; size < BUFFER_SIZES; size++) {
        uint32_t count = count_of((enum buffer_size)size, links, use_max);
        sum += pool_memory_size(count, buffers_bytes_of(&sizes, (enum buffer_size)size));
    }
    return sum;
}

void buffers_init(struct buffers *buffers, struct arena *arena, uint32_t links, uint32_t use_max,
                  uint32_t capacity) {
    must(capacity > BUFFER_MEDIUM_SIZE);
    must(use_max > 0);
    *buffers = (struct buffers){.capacity = capacity, .is_ample = is_ample(links, use_max)};
    for (int size = 0; size < BUFFER_SIZES; size++) {
        uint32_t count = count_of((enum buffer_size)size, links, use_max);
        uint32_t bytes = buffers_bytes_of(buffers, (enum buffer_size)size);
        if (count > 0) pool_init(&buffers->pools[size], arena, count, bytes);
    }
    for (int use = 0; use < BUFFER_USES; use++) {
        struct buffer_share *share = &buffers->shares[use];
        share->max = buffers->is_ample ? buffers->pools[BUFFER_LARGE].count : use_max;
        list_init(&share->waiting);
    }
}

struct buffer buffers_take(struct buffers *buffers, enum buffer_use use, enum buffer_size size) {
    if (size == BUFFER_LARGE) {
        must(buffers_has_large(buffers, use));
        buffers->shares[use].taken++;
    }
    uint8_t *bytes = pool_take(&buffers->pools[size]);
    must(bytes != NULL);
    return (struct buffer){bytes, size};
}

void buffers_give(struct buffers *buffers, enum buffer_use use, struct buffer buffer) {
    if (buffer.size == BUFFER_LARGE) {
        must(buffers->shares[use].taken > 0);
        buffers->shares[use].taken--;
    }
    pool_give(&buffers->pools[buffer.size], buffer.bytes);
}

bool buffers_are_short(const struct buffers *buffers) {
    bool is_short = buffers->was_refused;
    for (int use = 0; use < BUFFER_USES; use++) {
        is_short |= !list_is_empty(&buffers->shares[use].waiting);
    }
    return is_short;
}
