// SPDX-License-Identifier: Apache-2.0
#include "sim/events.h"

#include "sim/memory.h"

enum {
    CHILDREN = 4,
    BLOCK_EVENTS = 1024,
    SEQUENCE_BITS = 44, // 2^44 events outlast every run; the other 20 bits shuffle ties
};

struct event_block {
    struct event_block *next;
    struct event events[BLOCK_EVENTS];
};

void events_init(struct events *events, struct rng ties) {
    *events = (struct events){.ties = ties};
}

void events_destroy(struct events *events) {
    while (events->blocks != NULL) {
        struct event_block *block = events->blocks;
        events->blocks = block->next;
        memory_give(block);
    }
    memory_give(events->heap);
    *events = (struct events){0};
}

static struct event *take_blank(struct events *events) {
    if (events->free == NULL) {
        struct event_block *block = memory_take(1, sizeof(*block));
        block->next = events->blocks;
        events->blocks = block;
        for (uint32_t i = 0; i < BLOCK_EVENTS; i++) {
            block->events[i].next = events->free;
            events->free = &block->events[i];
        }
    }
    struct event *event = events->free;
    events->free = event->next;
    *event = (struct event){0};
    return event;
}

static bool before(const struct event_entry *a, const struct event_entry *b) {
    return a->at < b->at || (a->at == b->at && a->tie < b->tie);
}

struct event *events_add(struct events *events, uint64_t at) {
    must(events->added >> SEQUENCE_BITS == 0);
    if (events->count == events->capacity) {
        events->capacity = events->capacity == 0 ? 1024 : events->capacity * 2;
        events->heap = memory_grow(events->heap, events->capacity, sizeof(*events->heap));
    }
    uint64_t shuffle = rng_next(&events->ties) << SEQUENCE_BITS;
    struct event_entry entry = {at, shuffle | events->added++, take_blank(events)};

    uint32_t place = events->count++;
    while (place > 0) {
        uint32_t parent = (place - 1) / CHILDREN;
        if (!before(&entry, &events->heap[parent])) break;
        events->heap[place] = events->heap[parent];
        place = parent;
    }
    events->heap[place] = entry;
    return entry.event;
}

struct event *events_take(struct events *events) {
    must(events->count > 0);
    struct event *first = events->heap[0].event;
    struct event_entry last = events->heap[--events->count];
    uint32_t place = 0;
    for (;;) {
        uint32_t child = place * CHILDREN + 1;
        if (child >= events->count) break;
        uint32_t end = child + CHILDREN < events->count ? child + CHILDREN : events->count;
        uint32_t least = child;
        for (uint32_t i = child + 1; i < end; i++) {
            if (before(&events->heap[i], &events->heap[least])) least = i;
        }
        if (!before(&events->heap[least], &last)) break;
        events->heap[place] = events->heap[least];
        place = least;
    }
    events->heap[place] = last;
    return first;
}

void events_give(struct events *events, struct event *event) {
    event->next = events->free;
    events->free = event;
}
