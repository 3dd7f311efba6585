// SPDX-License-Identifier: Apache-2.0
//
// The store in a world in which disks fail and fill up.
#include "sim/store_case.h"

static void a_failed_request_ends_the_log_and_loses_nothing(void **state) {
    (void)state;
    static const enum fault faults[] = {FAULT_DISK_SYNC_ERROR, FAULT_DISK_WRITE_ERROR};
    for (uint64_t seed = test_seed(); seed < test_seed() + 10; seed++) {
        struct world_options options = world_quiet();
        struct shop *shop = shop_new(seed, &options);
        enum fault fault = faults[seed % 2];
        assert_int_equal(shop_open(shop), ST_OK);
        shop_start_selling(shop, SHOP_CLIENTS);
        shop_run(shop, NS_PER_SECOND / 10);
        world_options(shop->world)->rates[fault] = FAULT_CERTAIN / 3;
        shop_run(shop, NS_PER_SECOND);
        world_options(shop->world)->rates[fault] = 0;

        assert_int_equal(shop->busy, 0); // all clients heard of it
        assert_int_equal(shop->refused, ST_IO);
        assert_true(store_stats(shop->store).is_failed);
        uint32_t readable = 0;
        for (uint32_t key = 0; key < SHOP_KEYS; key++) {
            uint32_t acked = shop->keys[key].acked;
            uint32_t version = 0;
            enum status status = shop_read(shop, key, &version);
            assert_true(status == ST_OK || status == ST_IO || (status == ST_NOT_FOUND && !acked));
            if (status == ST_OK) assert_int_equal(version, acked); // nothing newer is shown
            readable += status == ST_OK;
        }
        assert_true(readable > SHOP_KEYS / 2);
        uint64_t refused = shop->refused_count;
        shop_start_selling(shop, 1);
        shop_run(shop, NS_PER_SECOND / 10);
        assert_int_equal(shop->refused_count, refused + 1);

        if (rng_chance(&shop->rng, 1, 2)) {
            machine_power_loss(shop->machine);
        } else {
            machine_kill(shop->machine);
        }
        assert_int_equal(shop_open(shop), ST_OK);
        shop_check_all(shop);
        shop_end(shop);
        shop_free(shop);
    }
}

static void a_lack_of_descriptors_only_delays(void **state) {
    (void)state;
    struct world_options options = world_quiet();
    struct shop *shop = shop_new(test_seed(), &options);
    assert_int_equal(shop_open(shop), ST_OK);
    shop_start_selling(shop, SHOP_CLIENTS);
    world_options(shop->world)->rates[FAULT_DESCRIPTORS] = FAULT_CERTAIN;
    shop_run(shop, 3 * NS_PER_SECOND);
    assert_int_equal(shop->busy, SHOP_CLIENTS); // all wait for a segment
    world_options(shop->world)->rates[FAULT_DESCRIPTORS] = 0;
    uint64_t acked = shop->acked_count;
    shop_run(shop, 3 * NS_PER_SECOND);
    assert_true(shop->acked_count > acked + SHOP_CLIENTS);
    shop_stop_selling(shop);
    assert_int_equal(shop->refused_count, 0);
    shop_check_all(shop);
    shop_end(shop);
    shop_free(shop);
}

static void a_full_disk_refuses_writes_until_there_is_room(void **state) {
    (void)state;
    struct world_options options = world_quiet();
    struct shop *shop = shop_new(test_seed(), &options);
    assert_int_equal(shop_open(shop), ST_OK);
    shop_start_selling(shop, SHOP_CLIENTS);
    shop_run(shop, NS_PER_SECOND / 2);
    machine_set_quota(shop->machine, shop->options.segment_size);
    shop_run(shop, 3 * NS_PER_SECOND);
    shop_stop_selling(shop);
    assert_int_equal(shop->refused, ST_NO_SPACE);
    assert_true(store_stats(shop->store).is_full);
    assert_false(store_stats(shop->store).is_failed);
    shop_check_all(shop);

    machine_set_quota(shop->machine, 100 * shop->options.segment_size);
    shop_run(shop, 3 * NS_PER_SECOND);
    assert_false(store_stats(shop->store).is_full);
    uint64_t acked = shop->acked_count;
    shop_start_selling(shop, SHOP_CLIENTS);
    shop_run(shop, 3 * NS_PER_SECOND);
    shop_stop_selling(shop);
    assert_true(shop->acked_count > acked + 100);
    shop_check_all(shop);
    shop_end(shop);
    assert_int_equal(shop_open(shop), ST_OK);
    shop_check_all(shop);
    shop_free(shop);
}

static void a_store_starts_on_a_disk_without_room(void **state) {
    (void)state;
    struct world_options options = world_quiet();
    struct shop *shop = shop_new(test_seed(), &options);
    assert_int_equal(shop_open(shop), ST_OK);
    for (uint32_t round = 0; round < 4; round++) {
        shop_start_selling(shop, SHOP_CLIENTS);
        shop_run(shop, NS_PER_SECOND / 20);
        shop_stop_selling(shop);
        shop_run(shop, NS_PER_SECOND); // the next segment is ready
        if (round % 2 == 0) {
            shop_end(shop);
        } else {
            machine_power_loss(shop->machine);
        }
        machine_set_quota(shop->machine, disk_used(machine_disk(shop->machine)));
        assert_int_equal(shop_open(shop), ST_OK);
        assert_true(store_stats(shop->store).is_full || store_stats(shop->store).disk_free == 0);
        shop_check_all(shop);
        machine_set_quota(shop->machine, UINT64_MAX);
        shop_run(shop, 3 * NS_PER_SECOND);
    }
    shop_end(shop);
    shop_free(shop);
}

static void write_large_key(struct shop *shop, uint8_t key[KEY_SIZE_MAX], uint32_t number) {
    struct shop_client *c = &shop->clients[0];
    c->shop = shop;
    c->key = 0;
    c->version = ++shop->keys[0].asked;
    shop->keys[0].acked = 0; // of this key nothing was written
    key[0] = (uint8_t)number;
    shop->busy++;
    c->write = (struct store_write){.apply = shop_apply, .done = on_shop_written};
    c->write.key = (struct slice){key, KEY_SIZE_MAX};
    machine_enter(shop->machine);
    store_put(shop->store, &c->write);
    machine_leave(shop->machine);
    shop_stop_selling(shop);
}

static void what_memory_cannot_hold_is_on_disk(void **state) {
    (void)state;
    enum { MANY = 100 };
    struct world_options options = world_quiet();
    struct shop *shop = shop_new(test_seed(), &options);
    shop->options.memory_max = UINT64_C(1) << 20;
    assert_int_equal(shop_open(shop), ST_OK);
    static uint8_t key[KEY_SIZE_MAX];
    for (uint32_t i = 0; i < MANY; i++) {
        write_large_key(shop, key, i);
        assert_int_equal(shop->clients[0].write.status, ST_OK);
    }
    assert_false(store_stats(shop->store).is_full);
    assert_true(store_stats(shop->store).table_size > 3 * shop->options.memory_max);
    for (uint32_t i = 0; i < MANY; i++) {
        key[0] = (uint8_t)i;
        struct shop_found found;
        struct slice large = {key, sizeof(key)};
        assert_int_equal(shop_find(shop, (struct partition){0}, large, &found), ST_OK);
    }
    assert_true(store_stats(shop->store).blocks_read > MANY / 2);
    shop_end(shop);
    shop_free(shop);
}

// Memory is full of what no disk takes.
static void a_full_memory_refuses_writes_and_keeps_what_it_has(void **state) {
    (void)state;
    struct world_options options = world_quiet();
    struct shop *shop = shop_new(test_seed(), &options);
    shop->options.memory_max = UINT64_C(1) << 20;
    shop->options.segment_size = UINT64_C(4) << 20;
    shop->options.disk_reserve = 0;
    assert_int_equal(shop_open(shop), ST_OK);
    shop_run(shop, 2 * NS_PER_SECOND); // the next segment is there
    machine_set_quota(shop->machine, disk_used(machine_disk(shop->machine)) + (UINT64_C(9) << 20));
    shop_run(shop, 2 * NS_PER_SECOND);
    assert_false(store_stats(shop->store).is_full);
    world_options(shop->world)->rates[FAULT_DESCRIPTORS] = FAULT_CERTAIN; // no table is made
    static uint8_t key[KEY_SIZE_MAX];
    uint32_t refused = 0;
    for (uint32_t i = 0; i < 40; i++) {
        write_large_key(shop, key, i);
        if (shop->clients[0].write.status == ST_OK) continue;
        assert_int_equal(shop->clients[0].write.status, ST_NO_SPACE);
        refused++;
    }
    assert_true(refused > 5);
    assert_true(refused < 35);
    key[0] = 0;
    struct store_read read = {.key = {key, sizeof(key)}};
    assert_true(store_get(shop->store, &read));
    assert_int_equal(read.status, ST_OK);
    world_options(shop->world)->rates[FAULT_DESCRIPTORS] = 0;
    shop_run(shop, 3 * NS_PER_SECOND);
    write_large_key(shop, key, 77);
    assert_int_equal(shop->clients[0].write.status, ST_OK);
    shop_end(shop);
    shop_free(shop);
}

static void acknowledged_at_once_and_synced_at_intervals(void **state) {
    (void)state;
    uint32_t losses = 0;
    for (uint64_t seed = test_seed(); seed < test_seed() + 10; seed++) {
        struct world_options options = world_quiet();
        struct shop *shop = shop_new(seed, &options);
        shop->options.sync_interval_ns = 100 * NS_PER_MS;
        assert_int_equal(shop_open(shop), ST_OK);
        struct actor actor = store_actor(shop->store);
        shop_start_selling(shop, SHOP_CLIENTS);
        shop_run(shop, NS_PER_SECOND / 5);
        shop_stop_selling(shop);
        machine_kill(shop->machine);
        assert_int_equal(shop_open(shop), ST_OK); // the page cache outlives a process
        shop_check_all(shop);
        assert_true(store_actor(shop->store).epoch > actor.epoch);
        actor = store_actor(shop->store);

        shop_start_selling(shop, SHOP_CLIENTS);
        shop_run(shop, NS_PER_SECOND / 20);
        shop_stop_selling(shop);
        shop_run(shop, NS_PER_SECOND / 2); // longer than the interval
        machine_power_loss(shop->machine);
        assert_int_equal(shop_open(shop), ST_OK);
        shop_check_all(shop);

        shop_start_selling(shop, SHOP_CLIENTS);
        shop_run(shop, NS_PER_SECOND / 20);
        machine_power_loss(shop->machine);
        assert_int_equal(shop_open(shop), ST_OK);
        losses += shop_count_lost(shop);
        assert_false(store_stats(shop->store).was_damaged);
        assert_true(store_actor(shop->store).epoch > actor.epoch);
        shop_end(shop);
        shop_free(shop);
    }
    assert_true(losses > 0); // else this would be a store that syncs too much
}

// The last sync fails, and what it was for is still in the kernel's cache at the next start.
static void a_failed_last_sync_is_told_and_what_is_shown_later_stays(void **state) {
    (void)state;
    for (uint64_t seed = test_seed(); seed < test_seed() + 6; seed++) {
        struct world_options options = world_quiet();
        struct shop *shop = shop_new(seed, &options);
        shop->options.sync_interval_ns = 100 * NS_PER_MS;
        assert_int_equal(shop_open(shop), ST_OK);
        shop_run(shop, 3 * NS_PER_SECOND);
        shop_start_selling(shop, 3);
        shop_run(shop, NS_PER_SECOND / 100);
        shop_stop_selling(shop);
        world_options(shop->world)->rates[FAULT_DISK_SYNC_ERROR] = FAULT_CERTAIN;
        shop_close(shop);
        assert_int_equal(shop->closed, ST_IO);
        world_options(shop->world)->rates[FAULT_DISK_SYNC_ERROR] = 0;
        machine_kill(shop->machine);
        assert_int_equal(shop_open(shop), ST_OK);
        shop_forget(shop);
        shop_run(shop, NS_PER_SECOND); // longer than the interval: what was shown is promised now
        machine_power_loss(shop->machine);
        assert_int_equal(shop_open(shop), ST_OK);
        assert_int_equal(shop_count_lost(shop), 0);
        shop_free(shop);
    }
}

int store_fault_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(a_failed_request_ends_the_log_and_loses_nothing),
        cmocka_unit_test(a_lack_of_descriptors_only_delays),
        cmocka_unit_test(a_full_disk_refuses_writes_until_there_is_room),
        cmocka_unit_test(a_store_starts_on_a_disk_without_room),
        cmocka_unit_test(what_memory_cannot_hold_is_on_disk),
        cmocka_unit_test(a_full_memory_refuses_writes_and_keeps_what_it_has),
        cmocka_unit_test(acknowledged_at_once_and_synced_at_intervals),
        cmocka_unit_test(a_failed_last_sync_is_told_and_what_is_shown_later_stays),
    };
    return cmocka_run_group_tests_name("store_fault", cases, NULL, NULL);
}
