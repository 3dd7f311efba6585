// SPDX-License-Identifier: Apache-2.0
//
// store_bench [KEYS [VALUE-SIZE]] -- what the store costs by itself.
//
// The env under it does nothing and does it at once, so what is measured is the work of the store:
// hashing, the table, the record, its digest, its frame in the log. Turns of the loop hold as many
// operations as a busy server gathers.
#include "store/store.h"

#include "base/rng.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum { TURN = 64, OPS_MAX = 1 << 16 };

_Noreturn void must_fail(const char *cond, const char *file, int line) {
    fprintf(stderr, "%s:%d: must(%s)\n", file, line, cond);
    abort();
}

// An env in which every request has succeeded by the next turn.
struct null_env {
    struct env env;
    struct env_op *done[OPS_MAX];
    uint32_t count;
};

static void complete(struct env *env, struct env_op *op, uint32_t size, uint64_t value) {
    struct null_env *n = CONTAINER_OF(env, struct null_env, env);
    must(n->count < OPS_MAX);
    op->status = ST_OK;
    op->size = size;
    op->value = value;
    n->done[n->count++] = op;
}

static void turn(struct null_env *n) {
    struct env_op *ops[OPS_MAX / 64];
    while (n->count > 0) {
        uint32_t count = n->count;
        must(count <= OPS_MAX / 64);
        memcpy(ops, n->done, count * sizeof(struct env_op *));
        n->count = 0;
        for (uint32_t i = 0; i < count; i++) ops[i]->done(ops[i]);
    }
    n->env.now += 20000;
}

static void null_open(struct env *env, struct env_op *op, const char *name, enum env_open mode,
                      struct env_file **file) {
    (void)name;
    *file = (struct env_file *)(void *)env; // any pointer that is not NULL
    complete(env, op, 0, 0);
    if (mode == ENV_OPEN) op->status = ST_NOT_FOUND; // nothing that was written is kept
}

static void null_allocate(struct env *env, struct env_op *op, struct env_file *file,
                          uint64_t size) {
    (void)file;
    (void)size;
    complete(env, op, 0, 0);
}

static void null_write(struct env *env, struct env_op *op, struct env_file *file, uint64_t offset,
                       const uint8_t *from, uint32_t size) {
    (void)file;
    (void)offset;
    (void)from;
    complete(env, op, size, 0);
}

static void null_file(struct env *env, struct env_op *op, struct env_file *file) {
    (void)file;
    complete(env, op, 0, 0);
}

static void null_plain(struct env *env, struct env_op *op) {
    complete(env, op, 0, UINT64_MAX);
}

static void null_rename(struct env *env, struct env_op *op, const char *from, const char *to) {
    (void)from;
    (void)to;
    complete(env, op, 0, 0);
}

static void null_remove(struct env *env, struct env_op *op, const char *name) {
    (void)name;
    complete(env, op, 0, 0);
}

static void null_list(struct env *env, struct env_op *op, uint8_t *to, uint32_t capacity) {
    if (capacity > 0) *to = 0;
    complete(env, op, 0, 0);
}

static void null_log(struct env *env, enum env_level level, struct slice line) {
    (void)env;
    (void)level;
    fprintf(stderr, "%.*s\n", (int)line.size, (const char *)line.data);
}

static const struct env_ops null_ops = {
    .open = null_open,
    .allocate = null_allocate,
    .write = null_write,
    .sync = null_file,
    .close = null_file,
    .sync_names = null_plain,
    .rename = null_rename,
    .link = null_rename,
    .remove = null_remove,
    .list = null_list,
    .space = null_plain,
    .later = null_plain,
    .log = null_log,
};

struct bench {
    struct null_env null;
    struct timers timers;
    struct store *store;
    struct record record;
    struct record updated;
    uint8_t value[64 * 1024];
    uint8_t encoded[80 * 1024];
    uint64_t value_size;
    bool is_open;
    struct store_write writes[TURN];
    struct store_read reads[TURN];
    char names[TURN][24];
    uint64_t done;
};

static struct bench bench;

static void on_opened(void *context, enum status status) {
    (void)context;
    must(status == ST_OK);
    bench.is_open = true;
}

// A plain SET: supersedes all there is.
static enum status on_apply(struct store_write *write, struct slice old, struct slice *new) {
    (void)write;
    must(record_decode(&bench.record, old) == ST_OK);
    struct sibling sibling = {.timestamp = bench.done << 16};
    sibling.value = (struct slice){bench.value, bench.value_size};
    sibling.dot.actor = store_actor(bench.store);
    sibling.dot.counter = store_mint(bench.store);
    enum status status =
        record_update(&bench.record, &bench.record.context, &sibling, &bench.updated);
    struct writer w = writer_to(bench.encoded, sizeof(bench.encoded));
    record_encode(&bench.updated, &w);
    *new = writer_bytes(&w);
    return status;
}

static void on_written(struct store_write *write) {
    must(write->status == ST_OK);
    bench.done++;
}

static void on_read(struct store_read *read) {
    must(read->status == ST_OK);
    bench.done++;
}

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * NS_PER_SECOND + (uint64_t)t.tv_nsec;
}

static void report(const char *what, uint64_t count, uint64_t since) {
    double ns = (double)(now_ns() - since) / (double)count;
    printf("%-34s %7.0f ns  %6.2f M/s\n", what, ns, 1000 / ns);
}

static struct slice name(uint32_t place, uint64_t key) {
    int size = snprintf(bench.names[place], sizeof(bench.names[place]), "key:%012" PRIu64, key);
    return (struct slice){(const uint8_t *)bench.names[place], (size_t)size};
}

static void put_turn(const uint64_t *keys) {
    for (uint32_t i = 0; i < TURN; i++) {
        struct store_write *w = &bench.writes[i];
        *w = (struct store_write){.apply = on_apply, .done = on_written, .key = name(i, keys[i])};
        w->partition.slot = slot_of(w->key);
        store_prefetch(bench.store, w->partition, w->key);
    }
    for (uint32_t i = 0; i < TURN; i++) store_put(bench.store, &bench.writes[i]);
    turn(&bench.null);
    timers_run(&bench.timers, bench.null.env.now);
}

static void get_turn(const uint64_t *keys) {
    for (uint32_t i = 0; i < TURN; i++) {
        struct store_read *r = &bench.reads[i];
        *r = (struct store_read){.done = on_read, .key = name(i, keys[i])};
        r->partition.slot = slot_of(r->key);
        store_prefetch(bench.store, r->partition, r->key);
    }
    for (uint32_t i = 0; i < TURN; i++) {
        if (store_get(bench.store, &bench.reads[i])) on_read(&bench.reads[i]);
    }
}

static void run(const char *what, uint64_t keys, bool in_order,
                void (*one_turn)(const uint64_t *)) {
    struct rng rng = {7};
    uint64_t of_turn[TURN];
    uint64_t begin = now_ns();
    uint64_t next = 0;
    for (uint64_t done = 0; done < keys; done += TURN) {
        for (uint32_t i = 0; i < TURN; i++) {
            of_turn[i] = in_order ? next++ % keys : rng_next(&rng) % keys;
        }
        one_turn(of_turn);
    }
    report(what, keys, begin);
}

static void names_only(const uint64_t *keys) {
    for (uint32_t i = 0; i < TURN; i++) {
        struct slice key = name(i, keys[i]);
        bench.done += slot_of(key);
    }
}

int main(int argc, char **argv) {
    uint64_t keys = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
    bench.value_size = argc > 2 ? strtoull(argv[2], NULL, 10) : 64;
    struct store_options options = {
        .memory_max = keys * (bench.value_size + 400) * 5, // nothing goes to tables
        .segment_size = UINT64_C(64) << 20,
        .sync_interval_ns = NS_PER_SECOND,
        .seed = 1,
        .record_size_max = sizeof(bench.encoded),
    };
    size_t size = store_memory_size(&options) + 4096;
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    must(memory != MAP_FAILED);
    madvise(memory, size, MADV_HUGEPAGE);
    struct arena arena = arena_over(memory, size);
    timers_init(&bench.timers, &arena, 16);
    bench.null.env.ops = &null_ops;
    bench.store = store_create(&arena, &bench.null.env, &bench.timers, &options);
    store_open(bench.store, on_opened, NULL);
    while (!bench.is_open) turn(&bench.null);

    run("names and slots alone", keys, false, names_only);
    run("put, new keys", keys, true, put_turn);
    struct store_stats stats = store_stats(bench.store);
    run("put, random keys", keys, false, put_turn);
    run("get, random keys", keys, false, get_turn);
    run("get, in order of writing", keys, true, get_turn);
    printf("%" PRIu64 " keys, %.1f bytes each over key and value\n", stats.key_count,
           (double)stats.memory_used / (double)stats.key_count - 16 - (double)bench.value_size);
    return 0;
}
