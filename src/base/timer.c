// SPDX-License-Identifier: Apache-2.0
#include "base/timer.h"

#include "base/must.h"

void timers_init(struct timers *timers, struct arena *arena, uint32_t capacity) {
    must(capacity > 0);
    *timers = (struct timers){
        .heap = ARENA_ARRAY(arena, struct timer *, capacity),
        .capacity = capacity,
    };
}

static bool is_before(const struct timer *a, const struct timer *b) {
    return a->deadline != b->deadline ? a->deadline < b->deadline : a->order < b->order;
}

static void place(struct timers *timers, uint32_t index, struct timer *timer) {
    timers->heap[index] = timer;
    timer->place = index + 1;
}

static void sift_up(struct timers *timers, uint32_t index, struct timer *timer) {
    while (index > 0) {
        uint32_t parent = (index - 1) / 2;
        if (!is_before(timer, timers->heap[parent])) break;
        place(timers, index, timers->heap[parent]);
        index = parent;
    }
    place(timers, index, timer);
}

static void sift_down(struct timers *timers, uint32_t index, struct timer *timer) {
    for (;;) {
        uint32_t child = 2 * index + 1;
        if (child >= timers->count) break;
        if (child + 1 < timers->count && is_before(timers->heap[child + 1], timers->heap[child])) {
            child++;
        }
        if (!is_before(timers->heap[child], timer)) break;
        place(timers, index, timers->heap[child]);
        index = child;
    }
    place(timers, index, timer);
}

void timer_arm(struct timers *timers, struct timer *timer, uint64_t deadline) {
    must(timer->fired != NULL);
    timer_disarm(timers, timer);
    must(timers->count < timers->capacity);
    timer->deadline = deadline;
    timer->order = timers->armed++;
    sift_up(timers, timers->count++, timer);
}

void timer_disarm(struct timers *timers, struct timer *timer) {
    if (!timer_is_armed(timer)) return;
    uint32_t index = timer->place - 1;
    must(timers->heap[index] == timer);
    timer->place = 0;
    struct timer *last = timers->heap[--timers->count];
    if (last == timer) return;
    if (index > 0 && is_before(last, timers->heap[(index - 1) / 2])) {
        sift_up(timers, index, last);
    } else {
        sift_down(timers, index, last);
    }
}

uint64_t timers_next(const struct timers *timers) {
    return timers->count == 0 ? TIMER_NEVER : timers->heap[0]->deadline;
}

void timers_run(struct timers *timers, uint64_t now) {
    uint64_t armed_before = timers->armed;
    while (timers->count > 0) {
        struct timer *first = timers->heap[0];
        if (first->deadline > now || first->order >= armed_before) break;
        timer_disarm(timers, first);
        first->fired(first);
    }
}
