// SPDX-License-Identifier: Apache-2.0
//
// Quoit's store on the real env, as a node drives it: turns of the loop, in each of which what has
// arrived is prefetched together and then carried out. A hand is a request under way.
#include "bench/engine.h"

#include "env/system.h"
#include "store/store.h"

#include <stdlib.h>
#include <string.h>

enum {
    TURN = 64, // tasks that are begun in one turn, unless there are more hands
    TIMERS = 16,
};

struct hand {
    struct store_read read;
    struct store_write write;
    struct store_scan scan;
    struct task task;
    uint8_t key[KEY_SIZE];
    bool is_busy;
};

static struct {
    const struct engine_options *options;
    struct env *env;
    struct arena arena;
    struct timers timers;
    struct store *store;
    bool is_open;
    bool has_failed;

    struct record record; // scratch
    struct record updated;
    uint8_t value[VALUE_MAX];
    uint8_t encoded[VALUE_MAX + 64 * 1024];
    uint64_t timestamp;

    struct hand hands[HANDS_MAX];
    struct run *run;
    struct tally *tally;
    uint32_t busy;
} q;

static void turn(uint64_t deadline) {
    uint64_t next = timers_next(&q.timers);
    system_wait(q.env, next < deadline ? next : deadline);
    timers_run(&q.timers, q.env->now);
}

static void on_done(void *context, enum status status) {
    (void)context;
    q.has_failed = status != ST_OK;
    q.is_open = !q.is_open;
}

// Opening.

static struct store_options options_for(uint64_t memory) {
    return (struct store_options){
        .memory_max = memory,
        .segment_size = (uint64_t)16 << 20,
        .disk_reserve = (uint64_t)64 << 20,
        .sync_interval_ns = q.options->is_forced ? 0 : NS_PER_SECOND,
        .seed = 1,
        .record_size_max = sizeof(q.encoded),
        .is_direct = q.options->is_direct,
    };
}

// The most for records that leaves the whole store within the budget.
static struct store_options options_within(uint64_t budget) {
    uint64_t low = 0;
    uint64_t high = budget < STORE_MEMORY_MAX ? budget : STORE_MEMORY_MAX;
    while (high - low > 4096) {
        uint64_t middle = low + (high - low) / 2;
        struct store_options options = options_for(middle);
        if (store_memory_size(&options) <= budget) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return options_for(low);
}

static void open_quoit(const struct engine_options *options) {
    struct env_complaint complaint;
    struct env_options env = {.directory = options->directory};
    q.options = options;
    q.env = system_open(&env, &complaint);
    if (q.env == NULL) give_up("quoit", complaint.text);
    struct store_options store = options_within(options->budget);
    q.arena = system_arena(store_memory_size(&store) + 4096);
    if (q.arena.memory == NULL) give_up("quoit", "no memory");
    timers_init(&q.timers, &q.arena, TIMERS);
    q.store = store_create(&q.arena, q.env, &q.timers, &store);
    store_open(q.store, on_done, NULL);
    while (!q.is_open) turn(TIMER_NEVER);
    if (q.has_failed) give_up("quoit", "cannot open");
}

static void close_quoit(void) {
    store_close(q.store, on_done, NULL);
    while (q.is_open) turn(TIMER_NEVER);
    system_close(q.env);
}

// Tasks.

static void over(struct hand *hand) {
    hand->is_busy = false;
    q.busy--;
}

static void finish_read(struct hand *hand) {
    struct slice value = {NULL, 0};
    bool is_good = hand->read.status == ST_OK || hand->read.status == ST_NOT_FOUND;
    if (hand->read.status == ST_OK) {
        is_good = record_decode(&q.record, hand->read.record) == ST_OK;
        if (is_good) value = q.record.siblings[0].value;
    }
    if (!is_good) q.tally->wrong++;
    tally_get(q.tally, q.run, &hand->task, value, clock_ns());
    over(hand);
}

static void on_read(struct store_read *read) {
    finish_read(CONTAINER_OF(read, struct hand, read));
}

// A plain SET: supersedes all there is.
static enum status on_apply(struct store_write *write, struct slice old, struct slice *new) {
    struct hand *hand = CONTAINER_OF(write, struct hand, write);
    enum status status = record_decode(&q.record, old);
    if (status != ST_OK) return status;
    struct sibling sibling = {.timestamp = ++q.timestamp << 16};
    sibling.value = value_of(q.options, hand->task.key, q.value);
    sibling.dot.actor = store_actor(q.store);
    sibling.dot.counter = store_mint(q.store);
    status = record_update(&q.record, &q.record.context, &sibling, &q.updated);
    struct writer w = writer_to(q.encoded, sizeof(q.encoded));
    record_encode(&q.updated, &w);
    *new = writer_bytes(&w);
    return status;
}

static void on_written(struct store_write *write) {
    struct hand *hand = CONTAINER_OF(write, struct hand, write);
    if (write->status != ST_OK) q.tally->wrong++;
    tally_end(q.tally, &hand->task, clock_ns());
    over(hand);
}

static bool on_visit(struct store_scan *scan, struct slice key, struct slice record,
                     bool is_durable) {
    const struct hand *hand = CONTAINER_OF(scan, struct hand, scan);
    (void)is_durable;
    if (key.size != KEY_SIZE || memcmp(key.data, hand->key, TAG_SIZE) != 0) return false;
    if (record_decode(&q.record, record) != ST_OK) q.tally->wrong++;
    q.tally->found++;
    return true;
}

static void on_scanned(struct store_scan *scan) {
    struct hand *hand = CONTAINER_OF(scan, struct hand, scan);
    if (scan->status != ST_OK) q.tally->wrong++;
    tally_end(q.tally, &hand->task, clock_ns());
    over(hand);
}

static void start(struct hand *hand) {
    struct slice key = {hand->key, KEY_SIZE};
    struct partition partition = {.slot = hand->read.partition.slot};
    switch (hand->task.kind) {
    case TASK_GET:
        hand->read.done = on_read;
        hand->read.key = key;
        if (store_get(q.store, &hand->read)) finish_read(hand);
        break;
    case TASK_PUT:
        hand->write =
            (struct store_write){.apply = on_apply, .done = on_written, .partition = partition};
        hand->write.key = key;
        store_put(q.store, &hand->write);
        break;
    case TASK_SCAN:
        hand->scan =
            (struct store_scan){.visit = on_visit, .done = on_scanned, .partition = partition};
        hand->scan.after = (struct slice){hand->key, TAG_SIZE};
        if (store_each(q.store, &hand->scan)) on_scanned(&hand->scan);
        break;
    }
}

// Draws a task for each hand that is free, as far as tasks are due; gives how many. *is_over: there
// are no more.
static uint32_t draw(struct rng *rng, uint32_t *chosen, bool *is_over) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < q.run->hands && !*is_over; i++) {
        struct hand *hand = &q.hands[i];
        if (hand->is_busy) continue;
        if (q.run->rate > 0 && run_due(q.run) > clock_ns()) break;
        *is_over = !run_draw(q.run, rng, &hand->task);
        if (*is_over) break;
        key_write(hand->task.key, hand->key);
        struct slice key = {hand->key, KEY_SIZE};
        hand->read.partition = (struct partition){.slot = slot_of(key)};
        store_prefetch(q.store, hand->read.partition, key);
        hand->is_busy = true;
        q.busy++;
        chosen[count++] = i;
    }
    return count;
}

static void run_quoit(struct run *run, struct tally *sum) {
    struct rng rng = {run->seed};
    uint32_t chosen[HANDS_MAX];
    uint32_t count = 0;
    bool is_over = false;
    q.run = run;
    q.tally = sum;
    while (!is_over || q.busy > 0) {
        uint32_t begun = 0;
        do {
            count = draw(&rng, chosen, &is_over);
            store_prefetch_rest(q.store);
            for (uint32_t i = 0; i < count; i++) start(&q.hands[chosen[i]]);
            begun += count;
        } while (count > 0 && begun < TURN);
        bool must_wait = q.busy == run->hands || is_over;
        if (must_wait && q.busy > 0) {
            turn(TIMER_NEVER);
        } else if (!is_over) {
            turn(run->rate > 0 ? run_due(run) : 0);
        }
    }
}

static void compact_quoit(void) {
    store_compact(q.store);
}

static bool is_compacting_quoit(void) {
    return store_stats(q.store).is_compacting;
}

static void rest_quoit(uint64_t ns) {
    uint64_t end = clock_ns() + ns;
    while (clock_ns() < end) turn(end);
}

const struct engine engine_quoit = {
    .name = "quoit",
    .open = open_quoit,
    .run = run_quoit,
    .compact = compact_quoit,
    .is_compacting = is_compacting_quoit,
    .rest = rest_quoit,
    .close = close_quoit,
};
