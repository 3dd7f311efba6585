// SPDX-License-Identifier: Apache-2.0
//
// world_case.h -- what the tests of the simulated world share: a few machines, and waiting.
#ifndef QUOIT_SIM_WORLD_CASE_H
#define QUOIT_SIM_WORLD_CASE_H

#include "base/timer.h"
#include "sim/world.h"
#include "tests/test.h"

// A request whose callback is counted.
struct asked {
    struct env_op op;
    uint32_t calls;
    uint64_t called_at; // of the world
    struct world *world;
};

static inline void on_asked(struct env_op *op) {
    struct asked *a = CONTAINER_OF(op, struct asked, op);
    a->calls++;
    a->called_at = world_now(a->world);
}

// The request, afresh.
static inline struct env_op *ask(struct asked *a, struct world *world) {
    *a = (struct asked){.op.done = on_asked, .world = world};
    return &a->op;
}

// Steps until it called back; fails when that takes more than `patience` of the world.
static inline enum status answer_within(struct asked *a, uint64_t patience) {
    uint64_t until = world_now(a->world) + patience;
    while (a->calls == 0) assert_true(world_step(a->world, until));
    assert_int_equal(a->calls, 1);
    return a->op.status;
}

static inline enum status answer_of(struct asked *a) {
    return answer_within(a, 3600 * NS_PER_SECOND);
}

static inline void pass(struct world *world, uint64_t time) {
    world_run(world, world_now(world) + time);
}

static inline struct machine *started(struct world *world, const char *host) {
    struct machine *m = world_add_machine(world, host);
    machine_start(m, 0);
    return m;
}

static inline struct env_file *open_file(struct machine *m, const char *name, enum env_open mode) {
    struct asked a;
    struct env_file *file = NULL;
    env_open(machine_env(m), ask(&a, machine_world(m)), name, mode, &file);
    assert_int_equal(answer_of(&a), ST_OK);
    return file;
}

static inline enum status write_file(struct machine *m, struct env_file *file, uint64_t offset,
                                     const void *from, uint32_t size) {
    struct asked a;
    env_write(machine_env(m), ask(&a, machine_world(m)), file, offset, from, size);
    return answer_of(&a);
}

static inline enum status read_file(struct machine *m, struct env_file *file, uint64_t offset,
                                    void *to, uint32_t size) {
    struct asked a;
    env_read(machine_env(m), ask(&a, machine_world(m)), file, offset, to, size);
    return answer_of(&a);
}

static inline enum status sync_file(struct machine *m, struct env_file *file) {
    struct asked a;
    env_sync(machine_env(m), ask(&a, machine_world(m)), file);
    return answer_of(&a);
}

static inline void sync_names(struct machine *m) {
    struct asked a;
    env_sync_names(machine_env(m), ask(&a, machine_world(m)));
    assert_int_equal(answer_of(&a), ST_OK);
}

#endif
