// SPDX-License-Identifier: Apache-2.0
#include "sim/world.h"

#include "base/timer.h"
#include "env/env_conformance.h"
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>

static bool is_done;

static void on_done(struct env_op *op) {
    (void)op;
    is_done = true;
}

static enum status wait_for(struct world *world, struct env_op *op) {
    while (!is_done) assert_true(world_step(world, UINT64_MAX));
    is_done = false;
    return op->status;
}

static struct env_op op_new(void) {
    is_done = false;
    return (struct env_op){.done = on_done};
}

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

static void a_stream_carries_bytes_both_ways(void **state) {
    (void)state;
    struct world_options options = world_quiet();
    struct world *world = world_create(test_seed(), &options);
    struct machine *a = world_add_machine(world, "a");
    struct machine *b = world_add_machine(world, "b");
    machine_start(a, 0);
    machine_start(b, 0);
    struct env_socket *listener = NULL;
    struct env_socket *near = NULL;
    struct env_socket *far = NULL;
    struct env_op listen = op_new();
    env_listen(machine_env(b), &listen, "b:7379", &listener);
    assert_int_equal(wait_for(world, &listen), ST_OK);
    struct env_op connect = op_new();
    env_connect(machine_env(a), &connect, "b:7379", &near);
    assert_int_equal(wait_for(world, &connect), ST_OK);
    struct env_op accept = op_new();
    env_accept(machine_env(b), &accept, listener, &far);
    assert_int_equal(wait_for(world, &accept), ST_OK);
    assert_string_equal(env_peer(machine_env(a), near), "b:7379");

    struct env_op send = op_new();
    env_send(machine_env(a), &send, near, (const uint8_t *)"hello", 5);
    assert_int_equal(wait_for(world, &send), ST_OK);
    uint8_t bytes[16];
    struct env_op recv = op_new();
    env_recv(machine_env(b), &recv, far, bytes, sizeof(bytes));
    assert_int_equal(wait_for(world, &recv), ST_OK);
    assert_int_equal(recv.size, 5);
    assert_memory_equal(bytes, "hello", 5);

    env_shut(machine_env(a), near);
    struct env_op end = op_new();
    env_recv(machine_env(b), &end, far, bytes, sizeof(bytes));
    assert_int_equal(wait_for(world, &end), ST_OK);
    assert_int_equal(end.size, 0);
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
        cmocka_unit_test(a_stream_carries_bytes_both_ways),
    };
    int failed = cmocka_run_group_tests_name("world", cases, NULL, NULL);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        failed += env_conformance(&kinds[i]);
    }
    return failed;
}
