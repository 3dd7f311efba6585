// SPDX-License-Identifier: Apache-2.0
#include "base/delay.h"

static struct delay *first_of(const struct delays *delays) {
    return CONTAINER_OF(delays->waiting.next, struct delay, link);
}

static void on_timer(struct timer *timer) {
    struct delays *delays = CONTAINER_OF(timer, struct delays, timer);
    struct list due;
    list_init(&due);
    while (!list_is_empty(&delays->waiting) && first_of(delays)->deadline <= *delays->now) {
        struct list *link = delays->waiting.next;
        list_remove(link);
        list_append(&due, link);
    }
    if (!list_is_empty(&delays->waiting)) {
        timer_arm(delays->timers, timer, first_of(delays)->deadline);
    }
    // What one of them ends, even another that is due, leaves the list by itself.
    while (!list_is_empty(&due)) {
        struct delay *delay = CONTAINER_OF(due.next, struct delay, link);
        list_remove(&delay->link);
        delays->fired(delay);
    }
}

void delays_init(struct delays *delays, struct timers *timers, const uint64_t *now,
                 uint64_t duration, delay_fired *fired) {
    *delays = (struct delays){
        .timers = timers,
        .timer.fired = on_timer,
        .now = now,
        .duration = duration,
        .fired = fired,
    };
    list_init(&delays->waiting);
}

void delay_begin(struct delays *delays, struct delay *delay) {
    delay->deadline = *delays->now + delays->duration;
    list_append(&delays->waiting, &delay->link);
    if (!timer_is_armed(&delays->timer)) {
        timer_arm(delays->timers, &delays->timer, delay->deadline);
    }
}
