// SPDX-License-Identifier: Apache-2.0
#include "bench/engine_threads.h"

#include "base/timer.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>

struct hand {
    const struct threads_calls *calls;
    struct run *run;
    struct tally tally;
    uint64_t seed;
    pthread_t thread;
    uint8_t value[VALUE_MAX];
};

static pthread_t compactor;
static bool has_compactor;
static atomic_bool is_compacting;

static void sleep_until(uint64_t ns) {
    struct timespec t = {.tv_sec = (time_t)(ns / NS_PER_SECOND),
                         .tv_nsec = (long)(ns % NS_PER_SECOND)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) != 0) continue;
}

static void carry_out(struct hand *hand, const struct task *task) {
    const struct threads_calls *calls = hand->calls;
    uint8_t bytes[KEY_SIZE];
    struct slice key = {bytes, KEY_SIZE};
    char *value = NULL;
    size_t size = 0;
    bool is_good = false;
    key_write(task->key, bytes);
    switch (task->kind) {
    case TASK_GET:
        is_good = calls->get(key, &value, &size);
        tally_get(&hand->tally, hand->run, task, (struct slice){(const uint8_t *)value, size},
                  clock_ns());
        if (value != NULL) calls->free_value(value);
        break;
    case TASK_PUT:
        is_good = calls->put(key, value_of(hand->run->options, task->key, hand->value));
        tally_end(&hand->tally, task, clock_ns());
        break;
    case TASK_SCAN:
        is_good = calls->scan((struct slice){bytes, TAG_SIZE}, &hand->tally.found);
        tally_end(&hand->tally, task, clock_ns());
        break;
    }
    if (!is_good) hand->tally.wrong++;
}

static void *work(void *argument) {
    struct hand *hand = argument;
    struct rng rng = {hand->seed};
    struct task task;
    prctl(PR_SET_TIMERSLACK, 1); // ns; the default is 50 us, which would count as latency
    while (run_draw(hand->run, &rng, &task)) {
        if (hand->run->rate > 0) sleep_until(task.due);
        carry_out(hand, &task);
    }
    return NULL;
}

void threads_run(const struct threads_calls *calls, struct run *run, struct tally *sum) {
    struct hand *hands = calloc(run->hands, sizeof(*hands));
    if (hands == NULL) give_up("threads", "no memory");
    for (uint32_t i = 0; i < run->hands; i++) {
        hands[i].calls = calls;
        hands[i].run = run;
        hands[i].seed = run->seed + i;
        if (pthread_create(&hands[i].thread, NULL, work, &hands[i]) != 0) {
            give_up("threads", "cannot start one");
        }
    }
    for (uint32_t i = 0; i < run->hands; i++) {
        pthread_join(hands[i].thread, NULL);
        histogram_merge(&sum->latencies, &hands[i].tally.latencies);
        sum->found += hands[i].tally.found;
        sum->wrong += hands[i].tally.wrong;
    }
    free(hands);
}

static void *compact(void *argument) {
    const struct threads_calls *calls = argument;
    calls->compact();
    atomic_store(&is_compacting, false);
    return NULL;
}

void threads_compact(const struct threads_calls *calls) {
    union {
        const struct threads_calls *in;
        void *out;
    } argument = {calls};
    threads_end();
    atomic_store(&is_compacting, true);
    has_compactor = pthread_create(&compactor, NULL, compact, argument.out) == 0;
    if (!has_compactor) give_up("threads", "cannot start one");
}

bool threads_are_compacting(void) {
    return atomic_load(&is_compacting);
}

void threads_rest(uint64_t ns) {
    sleep_until(clock_ns() + ns);
}

void threads_end(void) {
    if (has_compactor) pthread_join(compactor, NULL);
    has_compactor = false;
}
