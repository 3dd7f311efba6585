// SPDX-License-Identifier: Apache-2.0
#include "sim/files.h"

#include "sim/world_case.h"

#include <string.h>

static struct world *new_world(uint64_t seed, enum fault fault, uint32_t rate) {
    struct world_options options = world_quiet();
    options.rates[fault] = rate;
    return world_create(seed, &options);
}

static uint8_t letters[8192];

static struct env_file *file_of_letters(struct machine *m, char letter) {
    struct env_file *file = open_file(m, "f", ENV_CREATE);
    memset(letters, letter, sizeof(letters));
    assert_int_equal(write_file(m, file, 0, letters, sizeof(letters)), ST_OK);
    return file;
}

static void requests_overtake_each_other(void **state) {
    (void)state;
    struct world *world = new_world(test_seed(), FAULT_KILL, 0);
    struct machine *m = started(world, "n1");
    struct env_file *file = file_of_letters(m, 'a');
    struct asked asks[32];
    for (uint32_t i = 0; i < 32; i++) {
        env_read(machine_env(m), ask(&asks[i], world), file, 0, letters, 1);
    }
    for (uint32_t i = 0; i < 32; i++) assert_int_equal(answer_of(&asks[i]), ST_OK);
    uint32_t overtaken = 0;
    for (uint32_t i = 1; i < 32; i++) overtaken += asks[i].called_at < asks[i - 1].called_at;
    assert_true(overtaken > 5);
    world_destroy(world);
}

static void slow_requests_take_far_longer(void **state) {
    (void)state;
    struct world *world = new_world(test_seed(), FAULT_DISK_SLOW, FAULT_CERTAIN);
    struct machine *m = started(world, "n1");
    uint64_t before = world_now(world);
    for (uint32_t i = 0; i < 20; i++) open_file(m, "f", ENV_CREATE);
    assert_true(world_now(world) - before > 20 * world_options(world)->disk_delay * 10);
    assert_int_equal(world_fault_count(world, FAULT_DISK_SLOW), 20);

    world_options(world)->rates[FAULT_DISK_SLOW] = 0;
    machine_slow_disk(m, 1000);
    before = world_now(world);
    open_file(m, "f", ENV_CREATE);
    assert_true(world_now(world) - before >= world_options(world)->disk_delay * 500);
    world_destroy(world);
}

static void errors_are_said_and_counted(void **state) {
    (void)state;
    struct world *world = new_world(test_seed(), FAULT_DISK_READ_ERROR, FAULT_CERTAIN);
    struct machine *m = started(world, "n1");
    struct env_file *file = file_of_letters(m, 'a');
    uint8_t byte = 0;
    assert_int_equal(read_file(m, file, 0, &byte, 1), ST_IO);
    machine_spare(m, FAULT_DISK_READ_ERROR, true);
    assert_int_equal(read_file(m, file, 0, &byte, 1), ST_OK);
    world_options(world)->rates[FAULT_DISK_WRITE_ERROR] = FAULT_CERTAIN;
    assert_int_equal(write_file(m, file, 0, "x", 1), ST_IO);
    world_options(world)->rates[FAULT_DISK_SYNC_ERROR] = FAULT_CERTAIN;
    assert_int_equal(sync_file(m, file), ST_IO);
    world_options(world)->rates[FAULT_DESCRIPTORS] = FAULT_CERTAIN;
    struct asked a;
    struct env_file *other = NULL;
    env_open(machine_env(m), ask(&a, world), "f", ENV_OPEN, &other);
    assert_int_equal(answer_of(&a), ST_BUSY);
    assert_int_equal(world_fault_count(world, FAULT_DISK_READ_ERROR), 1);
    assert_int_equal(world_fault_count(world, FAULT_DISK_WRITE_ERROR), 1);
    assert_int_equal(world_fault_count(world, FAULT_DISK_SYNC_ERROR), 1);
    assert_int_equal(world_fault_count(world, FAULT_DESCRIPTORS), 1);
    world_destroy(world);
}

static void a_failed_write_may_leave_a_beginning(void **state) {
    (void)state;
    bool has_part = false;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct world *world = new_world(seed, FAULT_DISK_WRITE_ERROR, 0);
        struct machine *m = started(world, "n1");
        struct env_file *file = file_of_letters(m, 'a');
        world_options(world)->rates[FAULT_DISK_WRITE_ERROR] = FAULT_CERTAIN;
        memset(letters, 'b', sizeof(letters));
        assert_int_equal(write_file(m, file, 0, letters, sizeof(letters)), ST_IO);
        assert_int_equal(read_file(m, file, 0, letters, sizeof(letters)), ST_OK);
        if (letters[0] == 'b' && letters[sizeof(letters) - 1] == 'a') has_part = true;
        world_destroy(world);
    }
    assert_true(has_part);
}

static void what_is_read_may_have_rotted(void **state) {
    (void)state;
    struct world *world = new_world(test_seed(), FAULT_DISK_ROT, FAULT_CERTAIN);
    struct machine *m = started(world, "n1");
    struct env_file *file = file_of_letters(m, 'a');
    assert_int_equal(read_file(m, file, 0, letters, 100), ST_OK);
    for (uint32_t i = 0; i < 100; i++) assert_int_equal(letters[i], 'a'); // not yet on the disk
    assert_int_equal(sync_file(m, file), ST_OK);
    assert_int_equal(read_file(m, file, 0, letters, 100), ST_OK);
    uint32_t flipped = 0;
    for (uint32_t i = 0; i < 100; i++) flipped += letters[i] != 'a';
    assert_int_equal(flipped, 1);
    assert_int_equal(world_fault_count(world, FAULT_DISK_ROT), 1);
    world_destroy(world);
}

static void a_misdirected_write_says_it_is_well(void **state) {
    (void)state;
    bool is_elsewhere = false;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct world *world = new_world(seed, FAULT_DISK_MISDIRECT, 0);
        struct machine *m = started(world, "n1");
        struct env_file *file = file_of_letters(m, 'a');
        world_options(world)->rates[FAULT_DISK_MISDIRECT] = FAULT_CERTAIN;
        assert_int_equal(write_file(m, file, 100, "bbbb", 4), ST_OK);
        assert_int_equal(read_file(m, file, 0, letters, sizeof(letters)), ST_OK);
        assert_int_equal(letters[100], 'a');
        for (uint32_t i = 0; i < sizeof(letters); i += 512) {
            if (memcmp(letters + i, "bbbb", 4) == 0) is_elsewhere = true;
        }
        world_destroy(world);
    }
    assert_true(is_elsewhere);
}

static void a_full_disk_says_so_and_recovers(void **state) {
    (void)state;
    struct world *world = new_world(test_seed(), FAULT_KILL, 0);
    struct machine *m = started(world, "n1");
    struct env_file *file = file_of_letters(m, 'a');
    machine_set_quota(m, sizeof(letters) + 10);
    assert_int_equal(write_file(m, file, sizeof(letters), letters, 11), ST_NO_SPACE);
    assert_int_equal(write_file(m, file, 0, letters, 11), ST_OK);
    assert_int_equal(write_file(m, file, sizeof(letters), letters, 10), ST_OK);
    struct asked a;
    env_space(machine_env(m), ask(&a, world));
    assert_int_equal(answer_of(&a), ST_OK);
    assert_int_equal(a.op.value, 0);
    env_allocate(machine_env(m), ask(&a, world), file, 2 * sizeof(letters));
    assert_int_equal(answer_of(&a), ST_NO_SPACE);
    assert_int_equal(world_fault_count(world, FAULT_DISK_FULL), 2);
    machine_set_quota(m, UINT64_MAX);
    assert_int_equal(write_file(m, file, sizeof(letters), letters, 11), ST_OK);
    world_destroy(world);
}

static void a_sync_does_not_cover_what_is_written_after_it_was_asked_for(void **state) {
    (void)state;
    struct world *world = new_world(test_seed(), FAULT_KILL, 0);
    struct machine *m = started(world, "n1");
    struct env_file *file = file_of_letters(m, 'a');
    sync_names(m);
    uint32_t overtaken = 0;
    for (uint32_t i = 0; i < 20; i++) {
        struct asked sync;
        env_sync(machine_env(m), ask(&sync, world), file);
        char letter = (char)('b' + i);
        assert_int_equal(write_file(m, file, 0, &letter, 1), ST_OK);
        overtaken += sync.calls == 0;
        assert_int_equal(answer_of(&sync), ST_OK);
        uint8_t byte = 0;
        assert_int_equal(machine_durable_read(m, "f", 0, &byte, 1), 1);
        assert_int_not_equal(byte, letter);
    }
    assert_true(overtaken > 5);
    world_destroy(world);
}

// What becomes of a write that is under way when the process ends.
static void a_dying_process_leaves_its_requests_done_undone_or_begun(void **state) {
    (void)state;
    bool is_done = false;
    bool is_undone = false;
    bool is_begun = false;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct world *world = new_world(seed, FAULT_KILL, 0);
        struct machine *m = started(world, "n1");
        struct env_file *file = file_of_letters(m, 'a');
        memset(letters, 'b', sizeof(letters));
        struct asked a;
        env_write(machine_env(m), ask(&a, world), file, 0, letters, sizeof(letters));
        machine_kill(m);
        pass(world, NS_PER_SECOND);
        assert_int_equal(a.calls, 0);
        machine_start(m, 0);
        file = open_file(m, "f", ENV_OPEN);
        assert_int_equal(read_file(m, file, 0, letters, sizeof(letters)), ST_OK);
        if (letters[sizeof(letters) - 1] == 'b') {
            is_done = true;
        } else if (letters[0] == 'a') {
            is_undone = true;
        } else {
            is_begun = true;
        }
        world_destroy(world);
    }
    assert_true(is_done && is_undone && is_begun);
}

static void a_killed_process_leaves_what_it_wrote_and_a_power_loss_may_not(void **state) {
    (void)state;
    bool is_lost = false;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct world *world = new_world(seed, FAULT_KILL, 0);
        struct machine *m = started(world, "n1");
        file_of_letters(m, 'a');
        sync_names(m);
        machine_kill(m);
        machine_start(m, 0);
        struct env_file *file = open_file(m, "f", ENV_OPEN);
        assert_int_equal(read_file(m, file, 0, letters, sizeof(letters)), ST_OK);
        for (uint32_t i = 0; i < sizeof(letters); i++) assert_int_equal(letters[i], 'a');
        machine_power_loss(m);
        machine_start(m, 0);
        file = open_file(m, "f", ENV_OPEN);
        struct asked a;
        env_read(machine_env(m), ask(&a, world), file, 0, letters, sizeof(letters));
        assert_int_equal(answer_of(&a), ST_OK);
        if (a.op.size < sizeof(letters) || letters[0] != 'a') is_lost = true;
        world_destroy(world);
    }
    assert_true(is_lost);
}

static void oracles_see_what_is_durable_and_only_that(void **state) {
    (void)state;
    struct world *world = new_world(test_seed(), FAULT_KILL, 0);
    struct machine *m = started(world, "n1");
    struct env_file *file = file_of_letters(m, 'a');
    uint8_t bytes[20];
    uint8_t names[100];
    assert_int_equal(machine_durable_names(m, names, sizeof(names)), 0);
    assert_int_equal(machine_durable_read(m, "f", 0, bytes, sizeof(bytes)), -1);
    sync_names(m);
    assert_int_equal(machine_durable_names(m, names, sizeof(names)), 2);
    assert_string_equal(names, "f");
    assert_int_equal(machine_durable_read(m, "f", 0, bytes, sizeof(bytes)), 0);
    assert_int_equal(sync_file(m, file), ST_OK);
    assert_int_equal(machine_durable_read(m, "f", sizeof(letters) - 7, bytes, 20), 7);
    assert_int_equal(bytes[6], 'a');
    assert_int_equal(machine_disk_effects(m), 4); // create, write, sync of names, sync
    world_destroy(world);
}

static void a_disk_can_be_taken_back_swapped_and_wiped(void **state) {
    (void)state;
    struct world *world = new_world(test_seed(), FAULT_KILL, 0);
    struct machine *m = started(world, "n1");
    struct machine *other = started(world, "n2");
    struct env_file *file = file_of_letters(m, 'a');
    assert_int_equal(sync_file(m, file), ST_OK);
    sync_names(m);
    struct disk *image = disk_copy(machine_disk(m));
    assert_int_equal(write_file(m, file, 0, "b", 1), ST_OK);
    assert_int_equal(sync_file(m, file), ST_OK);
    machine_kill(m);
    machine_kill(other);
    machine_restore(m, image);
    machine_restore(other, image);
    disk_destroy(image);
    uint8_t byte = 0;
    assert_int_equal(machine_durable_read(m, "f", 0, &byte, 1), 1);
    assert_int_equal(byte, 'a');
    assert_true(machine_rot(other, "f", 0));
    assert_true(machine_cut_tail(other, "f", 10));
    assert_false(machine_cut_tail(other, "g", 10));
    assert_int_equal(machine_durable_read(m, "f", 0, &byte, 1), 1);
    assert_int_equal(byte, 'a');
    machine_wipe(m);
    assert_int_equal(machine_durable_read(m, "f", 0, &byte, 1), -1);
    machine_start(m, 0);
    struct asked a;
    env_open(machine_env(m), ask(&a, world), "f", ENV_OPEN, &file);
    assert_int_equal(answer_of(&a), ST_NOT_FOUND);
    world_destroy(world);
}

int files_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(requests_overtake_each_other),
        cmocka_unit_test(slow_requests_take_far_longer),
        cmocka_unit_test(errors_are_said_and_counted),
        cmocka_unit_test(a_failed_write_may_leave_a_beginning),
        cmocka_unit_test(what_is_read_may_have_rotted),
        cmocka_unit_test(a_misdirected_write_says_it_is_well),
        cmocka_unit_test(a_full_disk_says_so_and_recovers),
        cmocka_unit_test(a_sync_does_not_cover_what_is_written_after_it_was_asked_for),
        cmocka_unit_test(a_dying_process_leaves_its_requests_done_undone_or_begun),
        cmocka_unit_test(a_killed_process_leaves_what_it_wrote_and_a_power_loss_may_not),
        cmocka_unit_test(oracles_see_what_is_durable_and_only_that),
        cmocka_unit_test(a_disk_can_be_taken_back_swapped_and_wiped),
    };
    return cmocka_run_group_tests_name("files", cases, NULL, NULL);
}
