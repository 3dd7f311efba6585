// SPDX-License-Identifier: Apache-2.0
//
// The store in a world in which what was written rots, is cut short or goes missing.
#include "sim/store_case.h"

// Flips bits in what the files of the log hold.
static void rot(struct shop *shop, uint32_t flips) {
    uint8_t names[4096];
    uint32_t size = machine_durable_names(shop->machine, names, sizeof(names));
    for (uint32_t at = 0; at < size; at += (uint32_t)strlen((char *)names + at) + 1) {
        const char *name = (char *)names + at;
        uint8_t byte = 0;
        uint32_t used = 0; // a bit in the zeros behind all batches is not worth a try
        for (uint32_t offset = 0; machine_durable_read(shop->machine, name, offset, &byte, 1) == 1;
             offset += 97) {
            if (byte != 0) used = offset;
        }
        for (uint32_t i = 0; i < flips && used > 0; i++) {
            (void)machine_rot(shop->machine, name, rng_below(&shop->rng, used + 1));
        }
    }
}

// Of what was acknowledged.
static uint32_t count_refused(struct shop *shop) {
    uint32_t refused = 0;
    for (uint32_t key = 0; key < SHOP_KEYS; key++) {
        uint32_t version = 0;
        bool was_acked = shop->keys[key].acked > 0;
        refused += shop_read(shop, key, &version) == ST_CORRUPT && was_acked;
    }
    return refused;
}

static void damage_is_never_served_and_always_noticed(void **state) {
    (void)state;
    uint32_t noticed = 0;
    uint32_t lossy = 0;
    for (uint64_t seed = test_seed(); seed < test_seed() + 40; seed++) {
        struct world_options options = world_quiet();
        struct shop *shop = shop_new(seed, &options);
        bool is_sealed = seed % 4 != 1;
        assert_int_equal(shop_open(shop), ST_OK);
        shop_start_selling(shop, 3);
        shop_run(shop, NS_PER_SECOND / 10);
        shop_stop_selling(shop);
        struct actor actor = store_actor(shop->store);
        if (seed % 2 == 0) {
            shop_end(shop);
        } else {
            if (is_sealed) shop_run(shop, 3 * NS_PER_SECOND);
            machine_power_loss(shop->machine);
        }
        rot(shop, 1 + (uint32_t)seed % 3);
        uint64_t found = shop_inspect(shop).counts.damaged;
        enum status status = shop_open(shop);
        if (status != ST_OK) {
            assert_int_equal(status, ST_CORRUPT);
            assert_true(found > 0);
            shop_free(shop);
            continue;
        }
        uint64_t at_start = store_stats(shop->store).damaged;
        if (at_start > 0) assert_true(found > 0);
        uint32_t lost = shop_count_lost(shop);
        struct store_stats stats = store_stats(shop->store);
        noticed += stats.was_damaged;
        lossy += lost > 0;
        // The very last batch may look like one that was never synced, but no dot is minted again.
        // What is in a damaged block is neither shown nor written until the next start.
        bool is_forgotten = lost > count_refused(shop);
        if (is_forgotten) assert_true(store_actor(shop->store).epoch > actor.epoch);
        if (lost > 1) assert_true(stats.was_damaged);
        if (lost > 0 && seed % 2 == 0) assert_true(stats.was_damaged);
        // The store goes on, and the next start judges alike.
        shop_forget(shop);
        shop_start_selling(shop, 3);
        shop_run(shop, NS_PER_SECOND / 10);
        shop_stop_selling(shop);
        shop_end(shop);
        assert_int_equal(shop_open(shop), ST_OK);
        shop_check_all(shop);
        assert_int_equal(store_stats(shop->store).was_damaged, stats.was_damaged);
        shop_free(shop);
    }
    assert_true(noticed > 20);
    assert_true(lossy > 3);
}

static void sell_for(struct shop *shop, uint64_t time) {
    shop_start_selling(shop, 4);
    shop_run(shop, time);
    shop_stop_selling(shop);
}

// The name of the n-th segment on the disk.
static const char *segment_of(struct shop *shop, uint32_t n, char name[ENV_FILE_NAME_MAX + 1]) {
    uint8_t names[4096];
    uint32_t size = machine_durable_names(shop->machine, names, sizeof(names));
    for (uint32_t at = 0; at < size; at += (uint32_t)strlen((char *)names + at) + 1) {
        const char *found = (char *)names + at;
        if (strncmp(found, "log-", 4) != 0 || n-- > 0) continue;
        snprintf(name, ENV_FILE_NAME_MAX + 1, "%s", found);
        return name;
    }
    return NULL;
}

static void damage_in_what_is_still_in_memory_is_healed(void **state) {
    (void)state;
    struct world_options options = world_quiet();
    struct shop *shop = shop_new(test_seed(), &options);
    shop->options.segment_size = UINT64_C(96) * 1024;
    assert_int_equal(shop_open(shop), ST_OK);
    // Keys that are never written again, in the first segment.
    for (uint32_t key = 0; key < 20; key++) {
        shop->clients[0].shop = shop;
        machine_enter(shop->machine);
        shop_write(&shop->clients[0], key);
        machine_leave(shop->machine);
        shop_stop_selling(shop);
    }
    char name[ENV_FILE_NAME_MAX + 1];
    assert_non_null(segment_of(shop, 0, name));
    for (uint32_t offset = 2048; offset < 20000; offset += 1500) {
        (void)machine_rot(shop->machine, name, offset);
    }
    for (uint32_t round = 0; round < 300; round++) {
        for (uint32_t i = 0; i < 4; i++) {
            shop->clients[i].shop = shop;
            machine_enter(shop->machine);
            shop_write(&shop->clients[i], 40 + i);
            machine_leave(shop->machine);
        }
        shop_stop_selling(shop);
    }
    shop_run(shop, 5 * NS_PER_SECOND);
    assert_true(store_stats(shop->store).flushes > 0);
    char now[ENV_FILE_NAME_MAX + 1];
    assert_string_not_equal(segment_of(shop, 0, now), name); // it is gone
    machine_power_loss(shop->machine);
    assert_int_equal(shop_open(shop), ST_OK);
    assert_false(store_stats(shop->store).was_damaged);
    shop_check_all(shop);
    shop_free(shop);
}

static void segments_that_are_cut_or_missing_are_noticed(void **state) {
    (void)state;
    for (uint32_t which = 0; which < 6; which++) {
        struct world_options options = world_quiet();
        struct shop *shop = shop_new(test_seed() + which, &options);
        shop->options.memory_max = UINT64_C(16) << 20; // no flush
        assert_int_equal(shop_open(shop), ST_OK);
        uint32_t epoch = store_actor(shop->store).epoch;
        sell_for(shop, NS_PER_SECOND / 6);
        shop_run(shop, 3 * NS_PER_SECOND);
        assert_true(store_stats(shop->store).segment_count >= 3);
        machine_power_loss(shop->machine);
        char name[ENV_FILE_NAME_MAX + 1];
        assert_non_null(segment_of(shop, which / 2, name));
        if (which % 2 == 0) {
            assert_true(machine_cut_tail(shop->machine, name, 100000));
        } else {
            assert_true(disk_remove(machine_disk(shop->machine), name));
        }
        assert_int_equal(shop_open(shop), ST_OK);
        assert_true(store_stats(shop->store).was_damaged);
        assert_true(store_actor(shop->store).epoch > epoch);
        (void)shop_count_lost(shop);

        machine_enter(shop->machine);
        store_repaired(shop->store);
        machine_leave(shop->machine);
        assert_false(store_stats(shop->store).was_damaged);
        shop_forget(shop);
        epoch = store_actor(shop->store).epoch;
        shop_run(shop, 5 * NS_PER_SECOND);
        machine_power_loss(shop->machine);
        assert_int_equal(shop_open(shop), ST_OK);
        assert_false(store_stats(shop->store).was_damaged);
        assert_int_equal(store_actor(shop->store).epoch, epoch);
        shop_check_all(shop);
        shop_end(shop);
        shop_free(shop);
    }
}

static void a_read_that_fails_at_the_start_ends_it(void **state) {
    (void)state;
    struct world_options options = world_quiet();
    struct shop *shop = shop_new(test_seed(), &options);
    assert_int_equal(shop_open(shop), ST_OK);
    sell_for(shop, NS_PER_SECOND / 10);
    shop_end(shop);
    static const enum fault faults[] = {FAULT_DISK_READ_ERROR, FAULT_DESCRIPTORS,
                                        FAULT_DISK_SYNC_ERROR, FAULT_DISK_WRITE_ERROR};
    for (uint32_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        world_options(shop->world)->rates[faults[i]] = FAULT_CERTAIN;
        enum status status = shop_open(shop);
        assert_true(status == ST_IO || status == ST_BUSY);
        world_options(shop->world)->rates[faults[i]] = 0;
        assert_int_equal(machine_open_things(shop->machine).files, 0);
        machine_kill(shop->machine);
        assert_int_equal(shop_open(shop), ST_OK);
        shop_check_all(shop);
        assert_false(store_stats(shop->store).was_damaged);
        shop_end(shop);
    }
    shop_free(shop);
}

static enum status on_apply_large(struct store_write *write, struct slice old, struct slice *new) {
    (void)write;
    (void)old;
    static uint8_t bytes[1500000];
    memset(bytes, 'L', sizeof(bytes));
    *new = (struct slice){bytes, write->position};
    return ST_OK;
}

static bool is_written;

static void on_large_written(struct store_write *write) {
    assert_int_equal(write->status, ST_OK);
    is_written = true;
}

static void write_large(struct shop *shop, uint32_t size) {
    struct store_write write = {.apply = on_apply_large, .done = on_large_written};
    write.partition.slot = 100;
    write.key = SLICE("large");
    write.position = size; // for the apply function
    is_written = false;
    machine_enter(shop->machine);
    store_put(shop->store, &write);
    machine_leave(shop->machine);
    assert_true(shop_wait(shop, &is_written));
}

// Nothing follows the large record by which it could be told from what was torn.
static void a_lower_limit_does_not_drop_the_end_of_the_log(void **state) {
    (void)state;
    struct world_options options = world_quiet();
    struct shop *shop = shop_new(test_seed(), &options);
    struct store_options low = shop->options;
    shop->options.memory_max = UINT64_C(8) << 20;
    shop->options.segment_size = UINT64_C(4) << 20;
    shop->options.record_size_max = 1500000;
    struct store_options high = shop->options;
    assert_int_equal(shop_open(shop), ST_OK);
    write_large(shop, 1500000);
    machine_power_loss(shop->machine);

    shop->options = low;
    assert_int_equal(shop_open(shop), ST_TOO_LARGE);
    machine_kill(shop->machine);

    shop->options = high;
    assert_int_equal(shop_open(shop), ST_OK);
    struct shop_found found;
    struct partition partition = {.slot = 100};
    assert_int_equal(shop_find(shop, partition, SLICE("large"), &found), ST_OK);
    assert_int_equal(found.size, 1500000);
    machine_kill(shop->machine);

    // What is not a frame, but says that it is large, is damage as it always was.
    char name[ENV_FILE_NAME_MAX + 1];
    for (uint32_t i = 0; segment_of(shop, i, name) != NULL; i++) {
        (void)machine_rot(shop->machine, name, 1000000);
    }
    shop->options = low;
    assert_int_equal(shop_open(shop), ST_OK);
    assert_true(store_stats(shop->store).was_damaged);
    shop_end(shop);
    shop_free(shop);
}

static void lower_limits_never_pass_for_damage(void **state) {
    (void)state;
    struct world_options options = world_quiet();
    struct shop *shop = shop_new(test_seed(), &options);
    struct store_options low = shop->options;
    struct store_options high = shop->options;
    high.memory_max = UINT64_C(8) << 20;
    high.segment_size = UINT64_C(4) << 20;
    high.record_size_max = 1500000;
    shop->options = high;
    assert_int_equal(shop_open(shop), ST_OK);
    write_large(shop, 1500000);
    sell_for(shop, NS_PER_SECOND / 20);
    shop_end(shop);

    shop->options = low;
    assert_int_equal(shop_open(shop), ST_TOO_LARGE);
    machine_kill(shop->machine);

    shop->options = high;
    assert_int_equal(shop_open(shop), ST_OK);
    shop_check_all(shop);
    write_large(shop, 100000); // more than the low limit, but it fits the buffers
    shop_run(shop, 30 * NS_PER_SECOND);
    for (uint32_t i = 0; i < 12; i++) sell_for(shop, NS_PER_SECOND); // the large one goes
    shop_end(shop);

    shop->options = low;
    assert_int_equal(shop_open(shop), ST_OK);
    for (uint32_t i = 0; i < 5; i++) sell_for(shop, NS_PER_SECOND); // and the other is copied
    struct shop_found found;
    struct partition partition = {.slot = 100};
    assert_int_equal(shop_find(shop, partition, SLICE("large"), &found), ST_OK);
    assert_int_equal(found.size, 100000);
    shop_check_all(shop);
    shop_end(shop);
    shop_free(shop);
}

// Its tables would pass for what a crash has left over, and be removed.
static void without_its_manifest_a_store_is_left_as_it_is(void **state) {
    (void)state;
    struct world_options options = world_quiet();
    struct shop *shop = shop_new(test_seed(), &options);
    shop->options.flush_size = 4096;
    shop->options.segment_size = UINT64_C(96) * 1024;
    assert_int_equal(shop_open(shop), ST_OK);
    sell_for(shop, NS_PER_SECOND / 2);
    assert_true(store_stats(shop->store).flushes > 0);
    shop_end(shop);
    struct disk *whole = disk_copy(machine_disk(shop->machine));
    assert_true(disk_remove(machine_disk(shop->machine), "manifest"));
    assert_int_equal(shop_open(shop), ST_CORRUPT);
    machine_kill(shop->machine);
    assert_int_equal(machine_disk(shop->machine)->seen.count, whole->seen.count - 1);

    machine_restore(shop->machine, whole);
    assert_int_equal(shop_open(shop), ST_OK);
    shop_check_all(shop);
    shop_end(shop);
    disk_destroy(whole);
    shop_free(shop);
}

int store_damage_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(damage_is_never_served_and_always_noticed),
        cmocka_unit_test(damage_in_what_is_still_in_memory_is_healed),
        cmocka_unit_test(segments_that_are_cut_or_missing_are_noticed),
        cmocka_unit_test(a_read_that_fails_at_the_start_ends_it),
        cmocka_unit_test(a_lower_limit_does_not_drop_the_end_of_the_log),
        cmocka_unit_test(lower_limits_never_pass_for_damage),
        cmocka_unit_test(without_its_manifest_a_store_is_left_as_it_is),
    };
    return cmocka_run_group_tests_name("store_damage", cases, NULL, NULL);
}
