// SPDX-License-Identifier: Apache-2.0
//
// The store in a world in which processes are killed and power goes at any moment.
#include "sim/store_case.h"

enum { SHOP_LOG_LEAST = 4 * 96 * 1024 };

static void what_was_written_is_there_after_a_clean_end(void **state) {
    (void)state;
    struct world_options options = world_quiet();
    struct shop *shop = shop_new(test_seed(), &options);
    struct actor actor = {0};
    for (uint32_t round = 0; round < 3; round++) {
        assert_int_equal(shop_open(shop), ST_OK);
        shop_check_all(shop);
        if (round > 0) assert_int_equal(actor_compare(actor, store_actor(shop->store)), 0);
        actor = store_actor(shop->store);
        shop_start_selling(shop, SHOP_CLIENTS);
        shop_run(shop, NS_PER_SECOND / 5);
        shop_stop_selling(shop);
        shop_check_all(shop);
        assert_false(store_stats(shop->store).was_damaged);
        shop_end(shop);
    }
    assert_true(shop->acked_count > 1000);
    assert_int_equal(shop->refused_count, 0);
    shop_free(shop);
}

static void no_crash_takes_what_was_acknowledged(void **state) {
    (void)state;
    for (uint64_t seed = test_seed(); seed < test_seed() + 12; seed++) {
        struct world_options options = world_quiet();
        options.personality = (int32_t)(seed % DISK_PERSONALITIES);
        struct shop *shop = shop_new(seed, &options);
        shop->value_max = 10 + rng_below(&shop->rng, SHOP_VALUE_MAX - 10);
        for (uint32_t round = 0; round < 12; round++) shop_live_and_crash(shop, 60, 3000);
        assert_int_equal(shop_open(shop), ST_OK);
        shop_check_all(shop);
        assert_int_equal(shop->refused_count, 0);
        shop_free(shop);
    }
}

// However often a process is killed in the middle of a merge that takes long, tables do not become
// so many that writes wait for the end of one.
static void many_tables_become_few_before_a_long_merge(void **state) {
    (void)state;
    enum { TABLES = 26 };
    struct world_options options = world_quiet();
    struct shop *shop = shop_new(test_seed(), &options);
    assert_int_equal(shop_open(shop), ST_OK);
    shop_start_selling(shop, SHOP_CLIENTS);
    shop_run(shop, 2 * NS_PER_SECOND);
    shop_stop_selling(shop);
    machine_enter(shop->machine);
    store_compact(shop->store);
    machine_leave(shop->machine);
    while (store_stats(shop->store).table_count > 1) shop_run(shop, NS_PER_SECOND);
    uint64_t base = store_stats(shop->store).table_size;
    shop_end(shop);

    shop->options.flush_size = 1;
    uint64_t tables = 0;
    for (uint32_t round = 0; round < 2 * TABLES && tables < TABLES; round++) {
        assert_int_equal(shop_open(shop), ST_OK);
        shop_start_selling(shop, 1);
        while (store_stats(shop->store).flushes == 0) assert_true(shop_step(shop, UINT64_MAX));
        tables = store_stats(shop->store).table_count;
        machine_kill(shop->machine);
    }
    assert_true(tables >= TABLES);
    assert_int_equal(shop_open(shop), ST_OK);
    while (store_stats(shop->store).compactions == 0) assert_true(shop_step(shop, UINT64_MAX));
    assert_true(store_stats(shop->store).bytes_compacted < base); // which was left alone
    shop_check_all(shop);
    shop_free(shop);
}

// Steps until it is done. False: the steps are spent.
static bool walk(struct shop *shop, const bool *is_done, uint32_t *steps) {
    while (!(is_done == NULL ? shop->busy == 0 : *is_done)) {
        if (*steps == 0) return false;
        (*steps)--;
        assert_true(world_step(shop->world, UINT64_MAX));
    }
    return true;
}

// A short life: start, write, end, start, write. False: the steps were spent before its end.
static bool live(struct shop *shop, uint32_t *steps) {
    for (uint32_t round = 0; round < 2; round++) {
        shop_begin(shop);
        if (!walk(shop, &shop->is_opened, steps)) return false;
        assert_int_equal(shop->opened, ST_OK);
        for (uint32_t i = 0; i < 4; i++) {
            machine_enter(shop->machine);
            for (uint32_t c = 0; c <= i % 2; c++) {
                shop->clients[c].shop = shop;
                shop_write(&shop->clients[c], i / 2 + c);
            }
            machine_leave(shop->machine);
            if (!walk(shop, NULL, steps)) return false;
        }
        if (round > 0) continue;
        machine_enter(shop->machine);
        store_close(shop->store, on_shop_closed, shop);
        machine_leave(shop->machine);
        if (!walk(shop, &shop->is_closed, steps)) return false;
        machine_kill(shop->machine);
    }
    return true;
}

static void a_crash_at_every_step_of_a_short_life(void **state) {
    (void)state;
    for (uint32_t personality = 0; personality < DISK_PERSONALITIES; personality++) {
        bool is_over = false;
        for (uint32_t step = 0; !is_over; step++) {
            struct world_options options = world_quiet();
            options.personality = (int32_t)personality;
            struct shop *shop = shop_new(test_seed() + step, &options);
            shop->options.memory_max = 0; // the least there is
            uint32_t steps = step;
            is_over = live(shop, &steps);
            shop_crash(shop, true);
            // And once more, on the way back.
            shop_begin(shop);
            steps = step * 7 % 31;
            (void)walk(shop, &shop->is_opened, &steps);
            shop_crash(shop, true);
            assert_int_equal(shop_open(shop), ST_OK);
            assert_false(store_stats(shop->store).was_damaged);
            shop_check_all(shop);
            shop_free(shop);
            assert_true(step < 1000);
        }
    }
}

// The log has a segment that was made and never used, which the opening makes use of.
static void power_goes_at_every_step_of_an_opening(void **state) {
    (void)state;
    bool is_over = false;
    for (uint32_t step = 0; !is_over; step++) {
        for (uint32_t seed = 0; seed < 2 * DISK_PERSONALITIES; seed++) {
            struct world_options options = world_quiet();
            options.personality = (int32_t)(seed % DISK_PERSONALITIES);
            struct shop *shop = shop_new(test_seed() + seed, &options);
            assert_int_equal(shop_open(shop), ST_OK);
            shop_start_selling(shop, 1);
            shop_run(shop, NS_PER_SECOND / 100);
            shop_stop_selling(shop);
            shop_run(shop, NS_PER_SECOND);
            shop_end(shop);
            shop_begin(shop);
            uint32_t steps = step;
            is_over = walk(shop, &shop->is_opened, &steps);
            machine_power_loss(shop->machine);
            assert_int_equal(shop_open(shop), ST_OK);
            assert_false(store_stats(shop->store).was_damaged);
            assert_int_equal(store_stats(shop->store).damaged, 0);
            shop_check_all(shop);
            shop_free(shop);
        }
        assert_true(step < 1000);
    }
}

static void the_log_stays_small_and_loses_nothing(void **state) {
    (void)state;
    for (uint64_t seed = test_seed(); seed < test_seed() + 6; seed++) {
        struct world_options options = world_quiet();
        options.personality = (int32_t)(seed % DISK_PERSONALITIES);
        struct shop *shop = shop_new(seed, &options);
        shop->options.segment_size = UINT64_C(96) * 1024;
        shop->options.sync_interval_ns = 0;
        for (uint32_t round = 0; round < 4; round++) {
            assert_int_equal(shop_open(shop), ST_OK);
            shop_check_all(shop);
            shop_start_selling(shop, 1 + rng_below(&shop->rng, SHOP_CLIENTS));
            shop_run(shop, 2 * NS_PER_SECOND);
            uint32_t steps = rng_below(&shop->rng, 5000);
            while (steps-- > 0) assert_true(world_step(shop->world, UINT64_MAX));
            struct store_stats stats = store_stats(shop->store);
            assert_true(stats.log_size <=
                        2 * shop->options.segment_size + 3 * (stats.live_size + SHOP_LOG_LEAST));
            assert_int_equal(stats.damaged, 0);
            shop_crash(shop, !rng_chance(&shop->rng, 1, 3));
        }
        assert_int_equal(shop_open(shop), ST_OK);
        shop_check_all(shop);
        assert_int_equal(shop->refused_count, 0);
        shop_end(shop);
        shop_free(shop);
    }
}

int store_crash_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(what_was_written_is_there_after_a_clean_end),
        cmocka_unit_test(a_crash_at_every_step_of_a_short_life),
        cmocka_unit_test(power_goes_at_every_step_of_an_opening),
        cmocka_unit_test(no_crash_takes_what_was_acknowledged),
        cmocka_unit_test(many_tables_become_few_before_a_long_merge),
        cmocka_unit_test(the_log_stays_small_and_loses_nothing),
    };
    return cmocka_run_group_tests_name("store_crash", cases, NULL, NULL);
}
