// SPDX-License-Identifier: Apache-2.0
#include "sim/machine.h"

#include "sim/world_case.h"

#include <string.h>

static struct world *quiet(void) {
    struct world_options options = world_quiet();
    return world_create(test_seed(), &options);
}

// A process that only waits for deadlines.
struct ticker {
    struct machine *machine;
    uint64_t next;   // of its clock
    uint64_t period; // 0: once
    uint32_t ticks;
    uint64_t last;       // when it was woken, by its clock
    uint64_t last_world; // and by the world's
    uint64_t late;       // of the env, then
};

static uint64_t ticker_next_wake(const void *node) {
    const struct ticker *t = node;
    return t->next;
}

static void ticker_wake(void *node) {
    struct ticker *t = node;
    struct env *env = machine_env(t->machine);
    assert_true(env->now >= t->next);
    t->ticks++;
    t->last = env->now;
    t->late = env->late;
    t->last_world = world_now(machine_world(t->machine));
    t->next = t->period == 0 ? TIMER_NEVER : t->next + t->period;
}

static void attach(struct ticker *t, struct machine *m, uint64_t in, uint64_t period) {
    *t = (struct ticker){.machine = m, .next = machine_env(m)->now + in, .period = period};
    machine_attach(m, t, ticker_next_wake, ticker_wake);
}

static void timers_fire_when_they_are_due(void **state) {
    (void)state;
    struct world *world = quiet();
    struct machine *m = started(world, "n1");
    struct ticker t;
    attach(&t, m, 5 * NS_PER_MS, 10 * NS_PER_MS);
    uint64_t due = t.next;
    pass(world, 4 * NS_PER_MS);
    assert_int_equal(t.ticks, 0);
    pass(world, 2 * NS_PER_MS);
    assert_int_equal(t.ticks, 1);
    assert_true(t.last == due);
    pass(world, NS_PER_SECOND);
    assert_int_equal(t.ticks, 101);

    // What is moved from outside fires at the new time.
    machine_enter(m);
    t.next = machine_env(m)->now + 1000000;
    machine_leave(m);
    due = t.next;
    t.period = 0;
    pass(world, NS_PER_SECOND);
    assert_int_equal(t.ticks, 102);
    assert_true(t.last == due);
    world_destroy(world);
}

static void a_week_without_timers_is_one_step(void **state) {
    (void)state;
    struct world *world = quiet();
    struct machine *m = started(world, "n1");
    struct ticker t;
    uint64_t week = 7ull * 86400 * NS_PER_SECOND;
    attach(&t, m, week, 0);
    assert_true(world_next(world) == week);
    assert_true(world_step(world, UINT64_MAX));
    assert_false(world_step(world, UINT64_MAX));
    assert_int_equal(t.ticks, 1);
    world_destroy(world);
}

static void a_clock_drifts_and_never_goes_back(void **state) {
    (void)state;
    struct world *world = quiet();
    struct machine *m = started(world, "n1");
    uint64_t start = machine_env(m)->now;
    uint64_t wall = machine_env(m)->wall_ms;
    machine_set_drift(m, 10000); // one in a hundred
    pass(world, 100 * NS_PER_SECOND);
    assert_true(machine_env(m)->now - start == 101 * NS_PER_SECOND);
    assert_int_equal(machine_env(m)->wall_ms - wall, 101000);
    machine_set_drift(m, -500000);
    assert_true(machine_env(m)->now - start == 101 * NS_PER_SECOND);
    pass(world, 10 * NS_PER_SECOND);
    assert_true(machine_env(m)->now - start == 106 * NS_PER_SECOND);

    // A timer is due by the clock of its machine: twice as late by the world's.
    struct ticker t;
    attach(&t, m, NS_PER_SECOND + 1, 0);
    uint64_t due = t.next;
    uint64_t asked = world_now(world);
    pass(world, 10 * NS_PER_SECOND);
    assert_true(t.last == due);
    assert_true(t.last_world - asked == 2 * NS_PER_SECOND + 2);
    world_destroy(world);
}

static void a_change_of_drift_moves_timers_that_are_armed(void **state) {
    (void)state;
    for (int32_t drift = -900000; drift <= 900000; drift += 100000) {
        struct world *world = quiet();
        struct machine *m = started(world, "n1");
        struct ticker t;
        attach(&t, m, 10 * NS_PER_SECOND, 0);
        uint64_t due = t.next;
        pass(world, NS_PER_SECOND);
        machine_set_drift(m, drift);
        pass(world, 200 * NS_PER_SECOND);
        assert_int_equal(t.ticks, 1);
        assert_true(t.last - due < 3000); // ns: a clock shows only whole ones
        world_destroy(world);
    }
}

static void wall_clocks_differ_and_jump(void **state) {
    (void)state;
    struct world *world = quiet();
    struct machine *a = started(world, "a");
    struct machine *b = started(world, "b");
    assert_true(machine_env(a)->wall_ms != machine_env(b)->wall_ms);
    assert_true(machine_env(a)->now != machine_env(b)->now);
    uint64_t mono = machine_env(a)->now;
    uint64_t wall = machine_env(a)->wall_ms;
    machine_step_wall(a, -3600000);
    assert_true(machine_env(a)->wall_ms == wall - 3600000);
    assert_true(machine_env(a)->now == mono);
    assert_int_equal(world_fault_count(world, FAULT_CLOCK_STEP), 1);
    world_destroy(world);
}

static void power_starts_the_monotonic_clock_anew_and_keeps_the_wall_clock(void **state) {
    (void)state;
    struct world *world = quiet();
    struct machine *m = started(world, "n1");
    pass(world, 5000 * NS_PER_SECOND);
    uint64_t wall = machine_env(m)->wall_ms;
    machine_power_loss(m);
    assert_true(machine_env(m)->now < 60 * NS_PER_SECOND);
    assert_in_range(machine_env(m)->wall_ms, wall - 1, wall + 1);
    world_destroy(world);
}

// env_later asks for the next phase from within a phase.
struct echo {
    struct asked asked;
    struct env *env;
    struct env_op again;
    uint32_t left;
    uint32_t runs;
};

static void on_again(struct env_op *op) {
    struct echo *e = CONTAINER_OF(op, struct echo, again);
    e->runs++;
    if (e->left-- > 0) env_later(e->env, &e->again);
}

static void later_runs_before_anything_else_happens(void **state) {
    (void)state;
    struct world *world = quiet();
    struct machine *m = started(world, "n1");
    struct echo e = {.env = machine_env(m), .again.done = on_again, .left = 9};
    uint64_t before = world_now(world);
    machine_enter(m);
    env_later(e.env, &e.again);
    assert_int_equal(e.runs, 0);
    machine_leave(m);
    assert_int_equal(e.runs, 10);
    assert_true(world_now(world) == before);

    // A process that always asks again does not hold the world.
    e.left = 1000000;
    e.runs = 0;
    machine_enter(m);
    env_later(e.env, &e.again);
    machine_leave(m);
    pass(world, NS_PER_MS);
    assert_in_range(e.runs, 1000, 100000);
    machine_kill(m);
    uint32_t runs = e.runs;
    pass(world, NS_PER_MS);
    assert_int_equal(e.runs, runs);
    world_destroy(world);
}

static void a_paused_process_finds_everything_when_it_goes_on(void **state) {
    (void)state;
    struct world *world = quiet();
    struct machine *m = started(world, "n1");
    struct ticker t;
    attach(&t, m, NS_PER_SECOND, NS_PER_SECOND);
    struct env_file *file = open_file(m, "f", ENV_CREATE);
    struct asked a;
    env_write(machine_env(m), ask(&a, world), file, 0, (const uint8_t *)"x", 1);
    machine_pause(m);
    pass(world, 10 * NS_PER_SECOND);
    assert_int_equal(a.calls, 0);
    assert_int_equal(t.ticks, 0);
    assert_int_equal(disk_find(machine_disk(m), "f")->seen.size, 1); // the kernel went on
    machine_resume(m);
    pass(world, NS_PER_MS);
    assert_int_equal(a.calls, 1);
    assert_in_range(t.ticks, 9, 10); // it missed all of those
    pass(world, 10 * NS_PER_SECOND);
    assert_in_range(t.ticks, 19, 20);
    world_destroy(world);
}

static void a_busy_process_finds_several_things_at_once(void **state) {
    (void)state;
    struct world_options options = world_quiet();
    options.turn_max = NS_PER_MS;
    struct world *world = world_create(test_seed(), &options);
    struct machine *m = started(world, "n1");
    struct asked asks[50];
    for (uint32_t i = 0; i < 50; i++) env_space(machine_env(m), ask(&asks[i], world));
    pass(world, NS_PER_SECOND);
    uint32_t together = 0;
    for (uint32_t i = 0; i < 50; i++) {
        assert_int_equal(asks[i].calls, 1);
        for (uint32_t j = 0; j < i; j++) together += asks[i].called_at == asks[j].called_at;
    }
    assert_true(together > 50);
    struct ticker t;
    attach(&t, m, NS_PER_SECOND, NS_PER_SECOND);
    pass(world, 10 * NS_PER_SECOND + 2 * NS_PER_MS);
    assert_int_equal(t.ticks, 10);
    world_destroy(world);
}

static uint64_t effort_of_ticks(const void *context) {
    const struct ticker *t = context;
    return (uint64_t)t->ticks * 3 * NS_PER_MS;
}

static void what_finds_a_process_busy_or_paused_is_late(void **state) {
    (void)state;
    struct world *world = quiet();
    struct machine *m = started(world, "n1");
    struct ticker t;
    attach(&t, m, NS_PER_MS, 10 * NS_PER_MS);
    machine_set_effort(m, effort_of_ticks, &t);
    pass(world, 2 * NS_PER_MS);
    assert_int_equal(t.ticks, 1);
    assert_int_equal(t.late, 0);
    pass(world, 10 * NS_PER_MS); // it is free again by then
    assert_int_equal(t.ticks, 2);
    assert_int_equal(t.late, 0);

    t.period = NS_PER_MS; // less than it takes
    pass(world, 100 * NS_PER_MS);
    assert_in_range(t.ticks, 30, 36);
    assert_int_equal(t.late, 3 * NS_PER_MS);

    machine_pause(m);
    pass(world, NS_PER_SECOND);
    machine_resume(m);
    uint32_t ticks = t.ticks;
    while (t.ticks == ticks) assert_true(world_step(world, UINT64_MAX));
    assert_in_range(t.late, NS_PER_SECOND, NS_PER_SECOND + 4 * NS_PER_MS);
    world_destroy(world);
}

static void add_one(void *argument) {
    uint32_t *number = argument;
    ++*number;
}

static void work_is_done_once_and_told(void **state) {
    (void)state;
    struct world *world = quiet();
    struct machine *m = started(world, "n1");
    for (uint32_t i = 0; i < 20; i++) {
        struct asked a;
        uint32_t number = 0;
        env_work(machine_env(m), ask(&a, world), add_one, &number);
        assert_int_equal(a.calls, 0);
        assert_int_equal(answer_of(&a), ST_OK);
        assert_int_equal(number, 1);
    }
    world_destroy(world);
}

static void memory_is_zeroed_for_each_process(void **state) {
    (void)state;
    struct world *world = quiet();
    struct machine *m = world_add_machine(world, "n1");
    for (uint32_t life = 0; life < 3; life++) {
        struct arena arena = machine_start(m, 64000);
        uint8_t *bytes = arena_take(&arena, 1000, 64);
        assert_int_equal((uintptr_t)bytes % 64, 0);
        for (uint32_t i = 0; i < 64000; i++) assert_int_equal(bytes[i], 0);
        memset(bytes, 1, 64000);
        machine_kill(m);
    }
    world_destroy(world);
}

static void a_process_that_stops_says_what_it_left_open(void **state) {
    (void)state;
    struct world *world = quiet();
    struct machine *m = started(world, "n1");
    struct env_file *file = open_file(m, "f", ENV_CREATE);
    struct asked listen;
    struct env_socket *listener = NULL;
    env_listen(machine_env(m), ask(&listen, world), "n1:1", &listener);
    assert_int_equal(answer_of(&listen), ST_OK);
    struct asked a;
    env_sync(machine_env(m), ask(&a, world), file);
    struct machine_open open = machine_stop(m);
    assert_int_equal(open.files, 1);
    assert_int_equal(open.sockets, 1);
    assert_int_equal(open.requests, 1);
    assert_int_equal(world_fault_count(world, FAULT_KILL), 0);

    machine_start(m, 0);
    file = open_file(m, "f", ENV_CREATE);
    env_listen(machine_env(m), ask(&listen, world), "n1:1", &listener);
    assert_int_equal(answer_of(&listen), ST_OK);
    env_close(machine_env(m), ask(&a, world), file);
    assert_int_equal(answer_of(&a), ST_OK);
    env_shut(machine_env(m), listener);
    open = machine_stop(m);
    assert_int_equal(open.files, 0);
    assert_int_equal(open.sockets, 0);
    assert_int_equal(open.requests, 0);
    world_destroy(world);
}

int machine_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(timers_fire_when_they_are_due),
        cmocka_unit_test(a_week_without_timers_is_one_step),
        cmocka_unit_test(a_clock_drifts_and_never_goes_back),
        cmocka_unit_test(a_change_of_drift_moves_timers_that_are_armed),
        cmocka_unit_test(wall_clocks_differ_and_jump),
        cmocka_unit_test(power_starts_the_monotonic_clock_anew_and_keeps_the_wall_clock),
        cmocka_unit_test(later_runs_before_anything_else_happens),
        cmocka_unit_test(a_paused_process_finds_everything_when_it_goes_on),
        cmocka_unit_test(a_busy_process_finds_several_things_at_once),
        cmocka_unit_test(what_finds_a_process_busy_or_paused_is_late),
        cmocka_unit_test(work_is_done_once_and_told),
        cmocka_unit_test(memory_is_zeroed_for_each_process),
        cmocka_unit_test(a_process_that_stops_says_what_it_left_open),
    };
    return cmocka_run_group_tests_name("machine", cases, NULL, NULL);
}
