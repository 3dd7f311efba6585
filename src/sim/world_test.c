// SPDX-License-Identifier: Apache-2.0
#include "sim/world.h"

#include "env/env_conformance.h"
#include "sim/chatter_case.h"

#include <stdlib.h>

// A process that appends records of one sector to a file and syncs each.
struct appender {
    struct env_op op;
    struct env *env;
    struct env_file *file;
    uint64_t sector[DISK_SECTOR / 8];
    uint64_t next;   // number of the record that is being written
    uint64_t synced; // records known to be durable
};

static void append(struct appender *a);

static void on_appended_sync(struct env_op *op) {
    struct appender *a = CONTAINER_OF(op, struct appender, op);
    if (op->status != ST_OK) return;
    a->synced = a->next;
    append(a);
}

static void on_written(struct env_op *op) {
    struct appender *a = CONTAINER_OF(op, struct appender, op);
    if (op->status != ST_OK) return;
    op->done = on_appended_sync;
    env_sync(a->env, op, a->file);
}

static void append(struct appender *a) {
    a->next++;
    for (size_t i = 0; i < DISK_SECTOR / 8; i++) a->sector[i] = a->next;
    a->op.done = on_written;
    env_write(a->env, &a->op, a->file, (a->next - 1) * DISK_SECTOR, (uint8_t *)a->sector,
              DISK_SECTOR);
}

static void on_names_synced(struct env_op *op) {
    append(CONTAINER_OF(op, struct appender, op));
}

static void on_opened(struct env_op *op) {
    struct appender *a = CONTAINER_OF(op, struct appender, op);
    op->done = on_names_synced;
    env_sync_names(a->env, op);
}

static uint64_t count_kept(struct machine *m) {
    uint64_t record[DISK_SECTOR / 8];
    for (uint64_t kept = 0;; kept++) {
        if (machine_durable_read(m, "log", kept * DISK_SECTOR, (uint8_t *)record, DISK_SECTOR) <
            DISK_SECTOR) {
            return kept;
        }
        for (size_t i = 0; i < DISK_SECTOR / 8; i++) {
            if (record[i] != kept + 1) return kept;
        }
    }
}

// Pull the plug after any number of steps, under many seeds and on every kind of disk: what was
// synced is there, and at most the one write that was in flight is in doubt.
static void what_was_synced_survives_any_crash(void **state) {
    (void)state;
    for (int32_t personality = 0; personality < DISK_PERSONALITIES; personality++) {
        for (uint64_t seed = 1; seed <= 50; seed++) {
            struct world_options options = world_quiet();
            options.personality = personality;
            struct world *world = world_create(seed, &options);
            struct machine *m = world_add_machine(world, "n1");
            machine_start(m, 0);
            struct appender a = {.env = machine_env(m), .op.done = on_opened};
            env_open(a.env, &a.op, "log", ENV_CREATE, &a.file);
            for (uint64_t i = seed % 40 + 2; i > 0; i--) assert_true(world_step(world, UINT64_MAX));
            machine_power_loss(m);
            uint64_t kept = count_kept(m);
            assert_true(kept >= a.synced);
            assert_true(kept <= a.synced + 1);
            world_destroy(world);
        }
    }
}

// All that can go wrong does, to processes that ask for everything.

enum { CHAOS_MS = 1000 };

struct chaos {
    struct world *world;
    struct rng rng;
    uint64_t lives;
};

static void disturb(struct chaos *chaos) {
    struct world *world = chaos->world;
    struct machine *m = world_machine(world, rng_below(&chaos->rng, CHATTERERS));
    struct machine *other = world_machine(world, rng_below(&chaos->rng, CHATTERERS));
    switch (rng_below(&chaos->rng, 9)) {
    case 0:
        if (machine_is_running(m)) machine_kill(m);
        break;
    case 1:
        machine_power_loss(m);
        break;
    case 2:
        if (machine_is_running(m)) machine_pause(m);
        break;
    case 3:
        world_isolate(world, m);
        break;
    case 4:
        if (m != other) world_set_link(world, m, other, false);
        break;
    case 5:
        machine_set_drift(m, (int32_t)rng_below(&chaos->rng, 20000) - 10000);
        break;
    case 6:
        machine_step_wall(m, (int64_t)rng_below(&chaos->rng, 20000) - 10000);
        break;
    case 7:
        machine_set_quota(m, 10000 + rng_below(&chaos->rng, 100000));
        break;
    case 8:
        if (!machine_rot(m, "f0", 5)) machine_cut_tail(m, "f1", 1);
        (void)machine_spoil(m, "f0", 5);
        if (!machine_is_running(m) && rng_chance(&chaos->rng, 1, 4)) machine_wipe(m);
        break;
    default:
        break;
    }
}

static void on_nemesis(void *context) {
    struct chaos *chaos = context;
    struct world *world = chaos->world;
    disturb(chaos);
    for (uint32_t i = 0; i < CHATTERERS; i++) {
        struct machine *m = world_machine(world, i);
        if (!rng_chance(&chaos->rng, 1, 3)) continue;
        if (!machine_is_running(m)) chat_start(m, ++chaos->lives);
        machine_resume(m);
    }
    if (rng_chance(&chaos->rng, 1, 3)) world_heal(world);
    world_at(world, world_now(world) + rng_below(&chaos->rng, 50000000), on_nemesis, chaos);
}

static struct world_options everything(void) {
    struct world_options options = world_quiet();
    for (uint32_t i = 0; i < FAULT_COUNT; i++) options.rates[i] = FAULT_CERTAIN / 100;
    options.rates[FAULT_NET_FLIP] = FAULT_CERTAIN / 1000000;
    options.window = 4000;
    options.give_up_after = 200 * NS_PER_MS;
    options.stall_max = 100 * NS_PER_MS;
    options.turn_max = 50000;
    return options;
}

static uint64_t run_chaos(uint64_t seed, const struct world_options *options, uint64_t *counts,
                          world_trace *trace, void *context) {
    struct world *world = world_create(seed, options);
    if (trace != NULL) world_set_trace(world, trace, context);
    struct chaos chaos = {.world = world, .rng = world_stream(world, 1)};
    for (uint32_t i = 0; i < CHATTERERS; i++) {
        char host[8];
        snprintf(host, sizeof(host), "n%u", i);
        chat_start(world_add_machine(world, host), ++chaos.lives);
    }
    world_at(world, 0, on_nemesis, &chaos);
    world_run(world, CHAOS_MS * NS_PER_MS);
    assert_true(world_event_count(world) > 3000);
    for (uint32_t i = 0; counts != NULL && i < FAULT_COUNT; i++) {
        counts[i] += world_fault_count(world, i);
    }
    uint64_t hash = world_trace_hash(world);
    world_destroy(world);
    return hash;
}

static void a_run_depends_on_its_seed_alone(void **state) {
    (void)state;
    struct world_options options = everything();
    void *junk[64];
    for (uint64_t seed = test_seed(); seed < test_seed() + 3; seed++) {
        uint64_t hash = run_chaos(seed, &options, NULL, NULL, NULL);
        // Memory lies elsewhere the second time and is not what it was.
        for (size_t i = 0; i < 64; i++) {
            junk[i] = malloc(i * 100 + 1);
            memset(junk[i], 0xa5, i * 100 + 1);
        }
        for (size_t i = 0; i < 64; i += 2) free(junk[i]);
        assert_true(run_chaos(seed, &options, NULL, NULL, NULL) == hash);
        for (size_t i = 1; i < 64; i += 2) free(junk[i]);
        assert_true(run_chaos(seed + 100, &options, NULL, NULL, NULL) != hash);
    }
}

static void every_fault_happens(void **state) {
    (void)state;
    struct world_options options = everything();
    uint64_t counts[FAULT_COUNT] = {0};
    for (uint64_t seed = test_seed(); seed < test_seed() + 20; seed++) {
        run_chaos(seed, &options, counts, NULL, NULL);
    }
    for (uint32_t i = 0; i < FAULT_COUNT; i++) {
        if (counts[i] == 0) fail_msg("%s never happened", fault_name(i));
    }
}

struct lines {
    uint64_t count;
    uint64_t logs;
    uint64_t last_at;
};

static void on_line(void *context, const struct world_line *line) {
    struct lines *lines = context;
    assert_true(line->at >= lines->last_at);
    lines->last_at = line->at;
    lines->count++;
    if (strcmp(line->what, "log") == 0) {
        lines->logs++;
        assert_true(line->text.size > 0);
    }
}

static void watching_changes_nothing(void **state) {
    (void)state;
    struct world_options options = everything();
    struct lines lines = {0};
    uint64_t hash = run_chaos(test_seed(), &options, NULL, on_line, &lines);
    assert_true(run_chaos(test_seed(), &options, NULL, NULL, NULL) == hash);
    assert_true(lines.count > 1000);
    assert_true(lines.logs >= CHATTERERS);
}

static void on_call(void *context) {
    uint32_t *calls = context;
    ++*calls;
}

static void a_step_is_one_event_and_never_passes_the_limit(void **state) {
    (void)state;
    struct world_options options = world_quiet();
    struct world *world = world_create(test_seed(), &options);
    uint32_t calls = 0;
    world_at(world, 10, on_call, &calls);
    world_at(world, 10, on_call, &calls);
    world_at(world, 20, on_call, &calls);
    assert_true(world_next(world) == 10);
    assert_false(world_step(world, 9));
    assert_true(world_now(world) == 9);
    assert_true(world_step(world, 15));
    assert_int_equal(calls, 1);
    assert_true(world_step(world, 15));
    assert_false(world_step(world, 15));
    assert_int_equal(calls, 2);
    assert_true(world_now(world) == 15);
    world_run(world, 30);
    assert_int_equal(calls, 3);
    assert_true(world_now(world) == 30);
    assert_true(world_next(world) == UINT64_MAX);
    world_at(world, 40, on_call, &calls); // never runs
    world_destroy(world);
}

// The suite that every world passes.

struct suite_world {
    struct env_world world;
    struct world *sim;
    struct machine *machine;
};

static struct env_world *make_suite_world(const struct world_options *options) {
    struct suite_world *w = calloc(1, sizeof(*w));
    assert_non_null(w);
    w->sim = world_create(test_seed(), options);
    w->machine = world_add_machine(w->sim, "n1");
    machine_start(w->machine, 0);
    w->world.env = machine_env(w->machine);
    w->world.addresses[0] = "n1:7379";
    w->world.addresses[1] = "127.0.0.1:7380";
    w->world.nobody = "n1:7381";
    return &w->world;
}

static struct env_world *make_quiet(void) {
    struct world_options options = world_quiet();
    return make_suite_world(&options);
}

static struct env_world *make_small(void) {
    struct world_options options = world_quiet();
    options.quota = 4ull * 1024 * 1024;
    return make_suite_world(&options);
}

static struct env_world *make_busy(void) {
    struct world_options options = world_quiet();
    options.turn_max = NS_PER_MS;
    options.window = 4096;
    options.rates[FAULT_NET_SPLIT] = FAULT_CERTAIN / 2;
    options.rates[FAULT_NET_TAIL] = FAULT_CERTAIN / 100;
    options.rates[FAULT_DISK_SLOW] = FAULT_CERTAIN / 100;
    return make_suite_world(&options);
}

static void end_suite_world(struct env_world *world) {
    struct suite_world *w = CONTAINER_OF(world, struct suite_world, world);
    world_destroy(w->sim);
    free(w);
}

static void turn_suite_world(struct env_world *world) {
    struct suite_world *w = CONTAINER_OF(world, struct suite_world, world);
    uint64_t until = world_now(w->sim) + NS_PER_MS;
    if (!world_step(w->sim, until)) machine_env(w->machine);
}

int world_test(void) {
    const struct env_world_kind kinds[] = {
        {"sim", make_quiet, make_small, end_suite_world, turn_suite_world},
        {"sim, busy and in pieces", make_busy, make_small, end_suite_world, turn_suite_world},
    };

    const struct CMUnitTest cases[] = {
        cmocka_unit_test(what_was_synced_survives_any_crash),
        cmocka_unit_test(a_step_is_one_event_and_never_passes_the_limit),
        cmocka_unit_test(a_run_depends_on_its_seed_alone),
        cmocka_unit_test(every_fault_happens),
        cmocka_unit_test(watching_changes_nothing),
    };
    int failed = cmocka_run_group_tests_name("world", cases, NULL, NULL);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        failed += env_conformance(&kinds[i]);
    }
    return failed;
}
