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
        for (uint32_t round = 0; round < 12; round++) {
            shop_begin(shop);
            // Sometimes the power goes before recovery is through.
            uint32_t steps = rng_below(&shop->rng, rng_chance(&shop->rng, 1, 3) ? 60 : 3000);
            while (steps > 0 && !shop->is_opened) {
                assert_true(world_step(shop->world, UINT64_MAX));
                steps--;
            }
            if (shop->is_opened) {
                assert_int_equal(shop->opened, ST_OK);
                assert_false(store_stats(shop->store).was_damaged);
                shop_check_all(shop);
                shop_start_selling(shop, 1 + rng_below(&shop->rng, SHOP_CLIENTS));
                while (steps-- > 0) assert_true(world_step(shop->world, UINT64_MAX));
            }
            if (rng_chance(&shop->rng, 1, 3)) {
                machine_kill(shop->machine);
            } else {
                machine_power_loss(shop->machine);
            }
        }
        assert_int_equal(shop_open(shop), ST_OK);
        shop_check_all(shop);
        assert_int_equal(shop->refused_count, 0);
        shop_free(shop);
    }
}

static void crash(struct shop *shop) {
    if (rng_chance(&shop->rng, 1, 3)) {
        machine_kill(shop->machine);
    } else {
        machine_power_loss(shop->machine);
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
            crash(shop);
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
        cmocka_unit_test(no_crash_takes_what_was_acknowledged),
        cmocka_unit_test(the_log_stays_small_and_loses_nothing),
    };
    return cmocka_run_group_tests_name("store_crash", cases, NULL, NULL);
}
