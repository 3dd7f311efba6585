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

// What was acknowledged before its sync is written again, which takes more segments than one.
static void a_store_that_cannot_write_again_does_not_start(void **state) {
    (void)state;
    enum { SEGMENT = 96 * 1024, LIVE = 3 * SEGMENT, STEP = 48 * 1024, STEPS = 12 };
    uint32_t refused = 0;
    for (uint32_t i = 0; i < STEPS; i++) {
        struct world_options options = world_quiet();
        struct shop *shop = shop_new(test_seed(), &options);
        shop->options.segment_size = UINT64_C(4) << 20;
        shop->options.sync_interval_ns = 600 * NS_PER_SECOND;
        assert_int_equal(shop_open(shop), ST_OK);
        uint64_t empty = disk_used(machine_disk(shop->machine));
        shop_start_selling(shop, SHOP_CLIENTS);
        while (store_stats(shop->store).live_size < LIVE) shop_run(shop, NS_PER_MS);
        shop_stop_selling(shop);
        machine_kill(shop->machine);
        shop->options.segment_size = SEGMENT;
        machine_set_quota(shop->machine, empty + (uint64_t)STEP * i);
        enum status status = shop_open(shop);
        assert_true(status == ST_OK || status == ST_NO_SPACE);
        refused += status == ST_NO_SPACE;
        machine_kill(shop->machine);
        machine_set_quota(shop->machine, UINT64_MAX);
        assert_int_equal(shop_open(shop), ST_OK);
        shop_check_all(shop);
        shop_end(shop);
        shop_free(shop);
    }
    assert_in_range(refused, 2, STEPS - 1);
}

// With every kind of death, at any moment, and each time a little more in the log.
static void a_full_disk_keeps_no_store_from_starting(void **state) {
    (void)state;
    enum { LIVES = 12 };
    uint64_t acked = 0;
    uint64_t seeds = DISK_PERSONALITIES * test_share(4, 2);
    for (uint64_t seed = test_seed(); seed < test_seed() + seeds; seed++) {
        struct world_options options = world_quiet();
        options.personality = (int32_t)(seed % DISK_PERSONALITIES);
        struct shop *shop = shop_new(seed, &options);
        shop->options.segment_size = UINT64_C(1) << 20;
        assert_int_equal(shop_open(shop), ST_OK);
        shop_start_selling(shop, SHOP_CLIENTS);
        shop_run(shop, NS_PER_SECOND / 20);
        shop_stop_selling(shop);
        shop_run(shop, NS_PER_SECOND * rng_below(&shop->rng, 3)); // the next segment is there
        machine_power_loss(shop->machine);
        acked -= shop->acked_count;
        for (uint32_t life = 0; life < LIVES; life++) {
            machine_set_quota(shop->machine, disk_used(machine_disk(shop->machine)));
            shop_live_and_crash(shop, 100, 1000);
        }
        assert_int_equal(shop_open(shop), ST_OK);
        shop_check_all(shop);
        acked += shop->acked_count;
        machine_set_quota(shop->machine, UINT64_MAX);
        shop_run(shop, 3 * NS_PER_SECOND);
        assert_false(store_stats(shop->store).is_full);
        shop_start_selling(shop, SHOP_CLIENTS);
        shop_run(shop, NS_PER_SECOND);
        shop_stop_selling(shop);
        shop_end(shop);
        assert_int_equal(shop_open(shop), ST_OK);
        shop_check_all(shop);
        shop_end(shop);
        shop_free(shop);
    }
    assert_true(acked > 100); // so a run that began in an old segment was read, too
}

// Writes to a key of which the book knows nothing, and waits.
static enum status write_other_key(struct shop *shop, struct slice key,
                                   enum status (*apply)(struct store_write *, struct slice,
                                                        struct slice *)) {
    struct shop_client *c = &shop->clients[0];
    c->shop = shop;
    c->key = 0;
    c->version = ++shop->keys[0].asked;
    shop->keys[0].acked = 0;
    shop->busy++;
    c->write = (struct store_write){.apply = apply, .done = on_shop_written, .key = key};
    machine_enter(shop->machine);
    store_put(shop->store, &c->write);
    machine_leave(shop->machine);
    shop_stop_selling(shop);
    shop->keys[0].acked = 0;
    return c->write.status;
}

static void write_large_key(struct shop *shop, uint8_t key[KEY_SIZE_MAX], uint32_t number) {
    key[0] = (uint8_t)number;
    (void)write_other_key(shop, (struct slice){key, KEY_SIZE_MAX}, shop_apply);
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

enum { LARGE_LIMIT = 2 << 20, SMALL_LIMIT = 16 * 1024 };

// Of the largest records that fit what a store with the small limit reads, and one more than fits
// what it writes.
static enum status apply_large(struct store_write *write, struct slice old, struct slice *new) {
    static uint8_t record[(1 << 20) + 18];
    (void)write;
    (void)old;
    *new = (struct slice){record, sizeof(record)};
    return ST_OK;
}

static void a_table_with_a_record_beyond_the_limit_is_refused(void **state) {
    (void)state;
    struct world_options options = world_quiet();
    struct shop *shop = shop_new(test_seed(), &options);
    shop->options.memory_max = UINT64_C(16) << 20;
    shop->options.segment_size = UINT64_C(4) << 20;
    shop->options.flush_size = 1;
    shop->options.codec = CODEC_NONE;
    shop->options.record_size_max = LARGE_LIMIT;
    static uint8_t key[KEY_SIZE_MAX];
    // The second time, the flush takes the log away that has the record.
    for (uint32_t round = 0; round < 2; round++) {
        assert_int_equal(shop_open(shop), ST_OK);
        struct slice name = {key, round == 0 ? KEY_SIZE_MAX : 1};
        enum status wrote = write_other_key(shop, name, round == 0 ? apply_large : shop_apply);
        assert_int_equal(wrote, ST_OK);
        shop_run(shop, 3 * NS_PER_SECOND);
        assert_int_equal(store_stats(shop->store).dirty_size, 0);
        shop_end(shop);
    }
    shop->options.record_size_max = SMALL_LIMIT;
    enum status status = shop_open(shop);
    if (status == ST_OK) { // it cannot be merged
        machine_enter(shop->machine);
        store_compact(shop->store);
        machine_leave(shop->machine);
        shop_run(shop, NS_PER_SECOND);
    }
    assert_int_equal(status, ST_TOO_LARGE);
    machine_kill(shop->machine);
    shop->options.record_size_max = LARGE_LIMIT;
    assert_int_equal(shop_open(shop), ST_OK);
    struct shop_found found;
    struct slice large = {key, sizeof(key)};
    assert_int_equal(shop_find(shop, (struct partition){0}, large, &found), ST_OK);
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
        assert_int_equal(shop->clients[0].write.status, ST_NO_MEMORY);
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

// Whoever refuses a write in whose place a dot was minted cannot say that it was not done.
static void what_is_refused_for_want_of_memory_was_not_minted(void **state) {
    (void)state;
    struct world_options options = world_quiet();
    struct shop *shop = shop_new(test_seed(), &options);
    shop->options.memory_max = 0; // the least there is
    shop->options.segment_size = UINT64_C(4) << 20;
    assert_int_equal(shop_open(shop), ST_OK);
    shop_run(shop, 2 * NS_PER_SECOND); // the next segment is there
    for (uint32_t round = 0; round < 20; round++) {
        shop_start_selling(shop, SHOP_CLIENTS);
        shop_run(shop, NS_PER_SECOND / 50);
        shop_stop_selling(shop);
        world_options(shop->world)->rates[FAULT_DESCRIPTORS] = FAULT_CERTAIN; // no table is made
        uint64_t refused = shop->refused_count;
        while (shop->refused_count == refused) {
            shop_start_selling(shop, SHOP_CLIENTS);
            shop_run(shop, NS_PER_SECOND / 50);
            shop_stop_selling(shop);
        }
        assert_int_equal(shop->refused, ST_NO_MEMORY);
        world_options(shop->world)->rates[FAULT_DESCRIPTORS] = 0;
        shop_run(shop, 3 * NS_PER_SECOND);
    }
    assert_true(shop->refused_count > 100);
    machine_enter(shop->machine);
    assert_int_equal(store_mint(shop->store), shop->acked_count + 1);
    machine_leave(shop->machine);
    shop_end(shop);
    shop_free(shop);
}

enum { HUGE_SIZE = 100 * 1024 };

static enum status apply_huge(struct store_write *write, struct slice old, struct slice *new) {
    static uint8_t record[HUGE_SIZE];
    (void)write;
    (void)old;
    *new = (struct slice){record, sizeof(record)};
    return ST_OK;
}

// However small the pieces are that many small records leave between them.
static void the_largest_record_finds_a_place_among_the_smallest(void **state) {
    (void)state;
    enum { FIRST = 40000, ROUNDS = 60, EACH = 400, HUGES = 4 };
    struct world_options options = world_quiet();
    struct shop *shop = shop_new(test_seed(), &options);
    shop->options.record_size_max = HUGE_SIZE;
    shop->options.memory_max = store_memory_min(&shop->options);
    shop->options.segment_size = UINT64_C(4) << 20;
    shop->value_max = 16;
    assert_int_equal(shop_open(shop), ST_OK);
    uint32_t number = 0;
    const struct slice name = {(const uint8_t *)&number, sizeof(number)};
    while (number < FIRST) {
        number++;
        assert_int_equal(write_other_key(shop, name, shop_apply), ST_OK);
    }
    for (uint32_t round = 0; round < ROUNDS; round++) {
        for (uint32_t i = 0; i < EACH; i++) {
            number = (uint32_t)rng_below(&shop->rng, 2 * FIRST);
            assert_int_equal(write_other_key(shop, name, shop_apply), ST_OK);
        }
        for (uint32_t i = 0; i < HUGES; i++) {
            number = (round * HUGES + i) << 20;
            assert_int_equal(write_other_key(shop, name, apply_huge), ST_OK);
        }
    }
    shop_end(shop);
    shop_free(shop);
}

enum { NAMES = 20 };

static uint32_t other_size; // of the record that is written next

static enum status apply_other(struct store_write *write, struct slice old, struct slice *new) {
    static uint8_t record[LARGE_LIMIT];
    (void)write;
    (void)old;
    *new = (struct slice){record, other_size};
    return ST_OK;
}

// Lives of one write of up to `most` bytes or a removal and a flush each, ended in the middle of a
// merge if there is one. Then the store is open again.
static void gather_tables(struct shop *shop, uint32_t count, uint32_t most, uint32_t sizes[NAMES]) {
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(shop_open(shop), ST_OK);
        uint32_t number = (uint32_t)rng_below(&shop->rng, NAMES);
        sizes[number] = other_size = i % 7 == 6 ? 0 : most - i;
        const struct slice name = {(const uint8_t *)&number, sizeof(number)};
        assert_int_equal(write_other_key(shop, name, apply_other), ST_OK);
        uint64_t until = world_now(shop->world) + NS_PER_SECOND; // a removal of nothing is none
        while (store_stats(shop->store).flushes == 0 && shop_step(shop, until)) continue;
        machine_kill(shop->machine);
    }
    assert_int_equal(shop_open(shop), ST_OK);
}

static void check_others(struct shop *shop, const uint32_t sizes[NAMES]) {
    for (uint32_t number = 0; number < NAMES; number++) {
        const struct slice name = {(const uint8_t *)&number, sizeof(number)};
        struct shop_found found;
        enum status status = shop_find(shop, (struct partition){0}, name, &found);
        assert_int_equal(status, sizes[number] == 0 ? ST_NOT_FOUND : ST_OK);
        assert_int_equal(found.size, sizes[number]);
    }
}

// A merge of all tables would read more at a time than there is memory for.
static void tables_of_the_largest_records_are_merged(void **state) {
    (void)state;
    enum { TABLES = 50, ROUNDS = 4, FEW = 3 };
    struct world_options options = world_quiet();
    struct shop *shop = shop_new(test_seed(), &options);
    shop->options.record_size_max = LARGE_LIMIT;
    shop->options.memory_max = store_memory_min(&shop->options);
    shop->options.segment_size = UINT64_C(8) << 20;
    shop->options.flush_size = 1;
    shop->options.codec = CODEC_NONE;
    uint32_t sizes[NAMES] = {0};
    gather_tables(shop, TABLES, LARGE_LIMIT / 2, sizes);
    assert_true(store_stats(shop->store).table_count > TABLES / 2);
    shop_run(shop, 60 * NS_PER_SECOND);
    assert_true(store_stats(shop->store).table_count < TABLES / 4);
    check_others(shop, sizes);
    machine_kill(shop->machine);
    // Of a few larger ones not all can go into the base at a time.
    for (uint32_t round = 0; round < ROUNDS; round++) {
        gather_tables(shop, FEW, LARGE_LIMIT, sizes);
        machine_enter(shop->machine);
        store_compact(shop->store);
        machine_leave(shop->machine);
        shop_run(shop, 10 * NS_PER_SECOND);
        check_others(shop, sizes);
        machine_kill(shop->machine);
    }
    shop_free(shop);
}

// Keys that differ in their last byte only are in the index as a whole.
static void filters_and_indexes_without_memory_are_told_from_a_full_disk(void **state) {
    (void)state;
    enum { MANY = 250 };
    struct world_options options = world_quiet();
    struct shop *shop = shop_new(test_seed(), &options);
    shop->options.memory_max = UINT64_C(1) << 20;
    assert_int_equal(shop_open(shop), ST_OK);
    static uint8_t key[KEY_SIZE_MAX];
    uint32_t refused = 0;
    for (uint32_t i = 0; i < MANY; i++) {
        key[KEY_SIZE_MAX - 1] = (uint8_t)i;
        write_large_key(shop, key, 0);
        if (shop->clients[0].write.status == ST_OK) continue;
        assert_int_equal(shop->clients[0].write.status, ST_NO_MEMORY);
        refused++;
    }
    assert_true(refused > 5);
    assert_true(refused < MANY / 2);
    assert_true(store_stats(shop->store).is_full);
    key[KEY_SIZE_MAX - 1] = 0;
    struct shop_found found;
    struct slice large = {key, sizeof(key)};
    assert_int_equal(shop_find(shop, (struct partition){0}, large, &found), ST_OK);
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
        cmocka_unit_test(a_store_that_cannot_write_again_does_not_start),
        cmocka_unit_test(a_full_disk_keeps_no_store_from_starting),
        cmocka_unit_test(what_memory_cannot_hold_is_on_disk),
        cmocka_unit_test(a_table_with_a_record_beyond_the_limit_is_refused),
        cmocka_unit_test(a_full_memory_refuses_writes_and_keeps_what_it_has),
        cmocka_unit_test(what_is_refused_for_want_of_memory_was_not_minted),
        cmocka_unit_test(the_largest_record_finds_a_place_among_the_smallest),
        cmocka_unit_test(tables_of_the_largest_records_are_merged),
        cmocka_unit_test(filters_and_indexes_without_memory_are_told_from_a_full_disk),
        cmocka_unit_test(acknowledged_at_once_and_synced_at_intervals),
        cmocka_unit_test(a_failed_last_sync_is_told_and_what_is_shown_later_stays),
    };
    return cmocka_run_group_tests_name("store_fault", cases, NULL, NULL);
}
