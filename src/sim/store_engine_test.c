// SPDX-License-Identifier: Apache-2.0
//
// The store with so little memory that every part of it is at work all the time: records go to
// tables within moments, leave memory, are read back, overwritten, and merged away.
#include "sim/store_case.h"

static void make_small(struct shop *shop, struct rng *rng) {
    shop->options.memory_max = 0; // the least there is
    shop->options.segment_size = UINT64_C(96) * 1024;
    shop->options.flush_size = rng_spread(rng, 2048, 65536);
    shop->options.table_size = rng_spread(rng, 8192, 131072);
    shop->options.block_size = (uint32_t)rng_spread(rng, 64, 8192);
    shop->options.lookups_max = (uint32_t)rng_spread(rng, 1, 20);
    shop->options.codec = (enum codec)rng_below(rng, CODECS);
}

static void sell_for(struct shop *shop, uint64_t time) {
    shop_start_selling(shop, SHOP_CLIENTS);
    shop_run(shop, time);
    shop_stop_selling(shop);
}

// A store that has sold something, and is closed: most of it is in tables.
static struct shop *shop_with_tables(uint64_t seed) {
    struct world_options options = world_quiet();
    struct shop *shop = shop_new(seed, &options);
    make_small(shop, &shop->rng);
    assert_int_equal(shop_open(shop), ST_OK);
    sell_for(shop, NS_PER_SECOND / 2);
    shop_end(shop);
    return shop;
}

static struct shop *open_with_tables(uint64_t seed) {
    struct shop *shop = shop_with_tables(seed);
    assert_int_equal(shop_open(shop), ST_OK);
    return shop;
}

static void what_is_cold_is_read_and_overwritten(void **state) {
    (void)state;
    uint64_t flushes = 0;
    uint64_t compactions = 0;
    uint64_t reads = 0;
    for (uint64_t seed = test_seed(); seed < test_seed() + 4; seed++) {
        struct world_options options = world_quiet();
        struct shop *shop = shop_new(seed, &options);
        make_small(shop, &shop->rng);
        for (uint32_t round = 0; round < 3; round++) {
            assert_int_equal(shop_open(shop), ST_OK);
            shop_check_all(shop);
            sell_for(shop, NS_PER_SECOND);
            shop_check_all(shop);
            struct store_stats stats = store_stats(shop->store);
            flushes += stats.flushes;
            compactions += stats.compactions;
            reads += stats.blocks_read;
            assert_int_equal(stats.damaged, 0);
            assert_false(stats.was_damaged);
            shop_end(shop);
        }
        assert_int_equal(shop->refused_count, 0);
        shop_free(shop);
    }
    assert_true(flushes > 100);
    assert_true(compactions > 20);
    assert_true(reads > 2500);
}

static void no_crash_takes_what_was_acknowledged(void **state) {
    (void)state;
    for (uint64_t seed = test_seed(); seed < test_seed() + 12; seed++) {
        struct world_options options = world_quiet();
        options.personality = (int32_t)(seed % DISK_PERSONALITIES);
        struct shop *shop = shop_new(seed, &options);
        make_small(shop, &shop->rng);
        if (seed % 5 == 0) shop->options.sync_interval_ns = 0;
        for (uint32_t round = 0; round < 8; round++) shop_live_and_crash(shop, 200, 6000);
        assert_int_equal(shop_open(shop), ST_OK);
        shop_check_all(shop);
        assert_int_equal(shop->refused_count, 0);
        shop_free(shop);
    }
}

// Writes one of many keys, all in the last partition.
static void begin_to_write_key(struct shop *shop, uint32_t number) {
    struct shop_client *c = &shop->clients[0];
    c->shop = shop;
    c->key = 0;
    c->version = ++shop->keys[0].asked;
    shop->keys[0].acked = 0; // of this key nothing was written
    shop->busy++;
    memcpy(c->name, &number, sizeof(number));
    c->write = (struct store_write){.apply = shop_apply, .done = on_shop_written};
    c->write.partition = (struct partition){65535, SHOP_PARTITIONS};
    c->write.key = (struct slice){(const uint8_t *)c->name, sizeof(number)};
    machine_enter(shop->machine);
    store_put(shop->store, &c->write);
    machine_leave(shop->machine);
}

static void write_key(struct shop *shop, uint32_t number) {
    begin_to_write_key(shop, number);
    shop_stop_selling(shop);
    assert_int_equal(shop->clients[0].write.status, ST_OK);
}

// A few writes, each of which is followed by a flush, and so in the end by a merge. False: the
// steps were spent before that.
static bool live(struct shop *shop, uint32_t *steps) {
    shop_begin(shop);
    for (uint32_t key = 0; key < 7; key++) {
        while (!shop->is_opened || shop->busy > 0 || store_stats(shop->store).dirty_size > 0) {
            if (*steps == 0) return false;
            (*steps)--;
            assert_true(world_step(shop->world, UINT64_MAX));
        }
        machine_enter(shop->machine);
        shop->clients[0].shop = shop;
        shop_write(&shop->clients[0], key % 4);
        machine_leave(shop->machine);
    }
    uint64_t until = world_now(shop->world) + NS_PER_SECOND / 2;
    while (world_now(shop->world) < until) {
        if (*steps == 0) return false;
        (*steps)--;
        (void)world_step(shop->world, until);
    }
    return true;
}

static void a_crash_at_every_step_of_flush_and_merge(void **state) {
    (void)state;
    uint64_t merged = 0;
    for (uint32_t personality = 0; personality < DISK_PERSONALITIES; personality++) {
        bool is_over = false;
        for (uint32_t step = personality; !is_over; step += 7) {
            struct world_options options = world_quiet();
            options.personality = (int32_t)personality;
            struct shop *shop = shop_new(test_seed(), &options);
            shop->options.memory_max = 0;
            shop->options.flush_size = 1;
            shop->options.table_size = 16384;
            uint32_t steps = step;
            is_over = live(shop, &steps);
            if (is_over) merged += store_stats(shop->store).compactions;
            shop_crash(shop, true);
            // And once more, on the way back.
            shop_begin(shop);
            for (steps = step * 7 % 61; steps > 0 && !shop->is_opened; steps--) {
                assert_true(world_step(shop->world, UINT64_MAX));
            }
            shop_crash(shop, true);
            assert_int_equal(shop_open(shop), ST_OK);
            assert_false(store_stats(shop->store).was_damaged);
            shop_check_all(shop);
            shop_free(shop);
            assert_true(step < 5000);
        }
    }
    assert_true(merged >= DISK_PERSONALITIES);
}

// True while the manifest has its new name and that may still be lost.
static bool is_renamed(const struct shop *shop) {
    const struct disk *disk = machine_disk(shop->machine);
    return disk_find(disk, "manifest") != disk_find_durable(disk, "manifest");
}

static void what_a_killed_process_has_named_stays_named(void **state) {
    (void)state;
    for (uint64_t seed = test_seed(); seed < test_seed() + 60; seed++) {
        struct world_options options = world_quiet();
        options.personality = (int32_t)(seed % DISK_PERSONALITIES);
        struct shop *shop = shop_new(seed, &options);
        make_small(shop, &shop->rng);
        assert_int_equal(shop_open(shop), ST_OK);
        shop_start_selling(shop, SHOP_CLIENTS);
        uint32_t steps = rng_below(&shop->rng, 4000);
        for (; steps > 0 || !is_renamed(shop); steps -= steps > 0) {
            assert_true(world_step(shop->world, UINT64_MAX));
        }
        machine_kill(shop->machine);
        shop_begin(shop);
        for (steps = rng_below(&shop->rng, 100); steps > 0 && !shop->is_opened; steps--) {
            assert_true(world_step(shop->world, UINT64_MAX));
        }
        machine_power_loss(shop->machine);
        assert_int_equal(shop_open(shop), ST_OK);
        assert_false(store_stats(shop->store).was_damaged);
        shop_check_all(shop);
        shop_free(shop);
    }
}

// Of the tables and files of facts that are there, the highest number of those that were there when
// the disk had made `made` files, or the lowest of those that were not.
static uint64_t file_number(struct shop *shop, uint64_t made, bool is_older) {
    const struct disk_names *names = &machine_disk(shop->machine)->seen;
    uint64_t found = is_older ? 0 : UINT64_MAX;
    for (uint32_t i = 0; i < names->count; i++) {
        const char *name = names->entries[i].text;
        if (strncmp(name, "table-", 6) != 0 && strncmp(name, "facts-", 6) != 0) continue;
        if ((names->entries[i].file->id <= made) != is_older) continue;
        uint64_t number = strtoull(name + 6, NULL, 16);
        if ((number > found) == is_older) found = number;
    }
    return found;
}

static void no_file_gets_the_number_of_one_that_is_there(void **state) {
    (void)state;
    bool is_over = false;
    for (uint32_t step = 0; !is_over; step += 11) {
        struct world_options options = world_quiet();
        struct shop *shop = shop_new(test_seed(), &options);
        shop->options.memory_max = 0;
        shop->options.flush_size = 1;
        uint32_t steps = step;
        is_over = live(shop, &steps);
        machine_kill(shop->machine);
        uint64_t made = machine_disk(shop->machine)->last_id;
        uint64_t highest = file_number(shop, made, true);
        assert_int_equal(shop_open(shop), ST_OK);
        write_key(shop, 0);
        while (store_stats(shop->store).flushes == 0) {
            assert_true(world_step(shop->world, UINT64_MAX));
        }
        uint64_t lowest = file_number(shop, made, false);
        assert_true(lowest < UINT64_MAX);
        assert_true(lowest > highest);
        shop_free(shop);
    }
}

// One kind of request fails for a while, at any moment; then the process ends, one way or another.
static void a_request_that_fails_loses_nothing(void **state) {
    (void)state;
    static const enum fault faults[] = {FAULT_DISK_READ_ERROR, FAULT_DISK_WRITE_ERROR,
                                        FAULT_DISK_SYNC_ERROR, FAULT_DESCRIPTORS};
    for (uint64_t seed = test_seed(); seed < test_seed() + test_share(20, 8); seed++) {
        struct world_options options = world_quiet();
        struct shop *shop = shop_new(seed, &options);
        make_small(shop, &shop->rng);
        assert_int_equal(shop_open(shop), ST_OK);
        shop_start_selling(shop, SHOP_CLIENTS);
        uint32_t steps = rng_below(&shop->rng, 8000);
        while (steps-- > 0) assert_true(world_step(shop->world, UINT64_MAX));
        enum fault fault = faults[seed % 4];
        world_options(shop->world)->rates[fault] = FAULT_CERTAIN / (1 + rng_below(&shop->rng, 20));
        for (steps = 1 + rng_below(&shop->rng, 60); steps > 0; steps--) {
            assert_true(world_step(shop->world, UINT64_MAX));
        }
        world_options(shop->world)->rates[fault] = 0;
        shop_run(shop, 3 * NS_PER_SECOND);
        shop_crash(shop, rng_chance(&shop->rng, 1, 2));
        assert_int_equal(shop_open(shop), ST_OK);
        assert_false(store_stats(shop->store).was_damaged);
        shop_check_all(shop);
        shop_free(shop);
    }
}

static void a_merge_says_how_far_it_is(void **state) {
    (void)state;
    struct world_options options = world_quiet();
    struct shop *shop = shop_new(test_seed(), &options);
    make_small(shop, &shop->rng);
    assert_int_equal(shop_open(shop), ST_OK);
    shop_start_selling(shop, SHOP_CLIENTS);
    struct store_stats last = store_stats(shop->store);
    uint32_t changes = 0;
    while (last.compactions < 10) {
        assert_true(world_step(shop->world, UINT64_MAX));
        struct store_stats now = store_stats(shop->store);
        bool is_same = last.is_compacting && now.compactions == last.compactions;
        assert_in_range(now.compaction_percent, is_same ? last.compaction_percent : 0,
                        now.is_compacting ? 100 : 0);
        changes += now.compaction_percent > last.compaction_percent;
        last = now;
    }
    assert_true(changes > 10); // from one keyspace to the next
    shop_stop_selling(shop);
    shop_end(shop);
    shop_free(shop);
}

// How many steps of the world it takes until one key that was written is in a table, with so many
// others clean in memory.
static uint32_t steps_of_flush(uint32_t keys) {
    struct world_options options = world_quiet();
    struct shop *shop = shop_new(test_seed(), &options);
    shop->options.memory_max = UINT64_C(16) << 20;
    shop->options.segment_size = UINT64_C(8) << 20;
    shop->value_max = 16;
    assert_int_equal(shop_open(shop), ST_OK);
    for (uint32_t i = 0; i < keys; i++) write_key(shop, i);
    shop_end(shop);
    shop->options.flush_size = 1;
    assert_int_equal(shop_open(shop), ST_OK);
    write_key(shop, 0); // all are dirty, and go to a table
    shop_run(shop, 3 * NS_PER_SECOND);
    struct store_stats before = store_stats(shop->store);
    assert_int_equal(before.dirty_size, 0);
    begin_to_write_key(shop, 0);
    uint32_t steps = 0;
    for (; store_stats(shop->store).flushes == before.flushes; steps++) {
        assert_true(world_step(shop->world, UINT64_MAX));
    }
    shop_end(shop);
    shop_free(shop);
    return steps;
}

static void a_flush_goes_through_a_large_memory_in_steps(void **state) {
    (void)state;
    assert_true(steps_of_flush(30000) >= steps_of_flush(1) + 2);
}

// Whoever writes all the time gets no further ahead of merges than a bound, and is never held for
// long.
static void writes_do_not_outrun_merges(void **state) {
    (void)state;
    enum { SECONDS = 30, STEPS = 50 };
    struct world_options options = world_quiet();
    struct shop *shop = shop_new(test_seed(), &options);
    shop->options.memory_max = 0;
    shop->options.flush_size = 4096;
    shop->options.table_size = 32768;
    assert_int_equal(shop_open(shop), ST_OK);
    shop_start_selling(shop, SHOP_CLIENTS);
    uint64_t most_tables = 0;
    uint64_t most_size = 0;
    uint64_t least_sold = UINT64_MAX;
    for (uint32_t i = 0; i < SECONDS * STEPS; i++) {
        uint64_t acked = shop->acked_count;
        shop_run(shop, NS_PER_SECOND / STEPS);
        struct store_stats stats = store_stats(shop->store);
        if (stats.table_count > most_tables) most_tables = stats.table_count;
        if (stats.table_size > most_size) most_size = stats.table_size;
        if (shop->acked_count - acked < least_sold) least_sold = shop->acked_count - acked;
    }
    shop_stop_selling(shop);
    uint64_t live = store_stats(shop->store).live_size;
    assert_true(most_tables <= 18);
    assert_true(most_size * 10 < live * 36);
    assert_true(least_sold > 20);
    shop_check_all(shop);
    shop_end(shop);
    shop_free(shop);
}

// A merge of many stretches takes so long that others come between.
static void a_long_merge_pauses_and_goes_on(void **state) {
    (void)state;
    for (uint64_t seed = test_seed(); seed < test_seed() + 4; seed++) {
        struct world_options options = world_quiet();
        struct shop *shop = shop_new(seed, &options);
        shop->options.memory_max = 0;
        shop->options.flush_size = 4096;
        shop->options.table_size = 16384;
        shop->partitions = SHOP_KEYS;
        uint64_t compactions = 0;
        for (uint32_t life = 0; life < 3; life++) {
            assert_int_equal(shop_open(shop), ST_OK);
            shop_check_all(shop);
            shop_start_selling(shop, SHOP_CLIENTS);
            shop_run(shop, NS_PER_SECOND + rng_below(&shop->rng, NS_PER_SECOND));
            compactions += store_stats(shop->store).compactions;
            machine_power_loss(shop->machine);
        }
        assert_true(compactions > 6); // those into the base take longer than a life
        assert_int_equal(shop_open(shop), ST_OK);
        shop_check_all(shop);
        shop_end(shop);
        shop_free(shop);
    }
}

typedef bool damage_how(struct machine *machine, const char *name, uint64_t offset);

// Damages a place in every table, in its blocks or, where `at_end`, in what follows them.
static void damage_tables(struct shop *shop, bool at_end, damage_how *how) {
    uint8_t names[8192];
    uint32_t size = machine_durable_names(shop->machine, names, sizeof(names));
    uint32_t at = 0;
    const char *name;
    while ((name = shop_next_table(names, size, &at)) != NULL) {
        uint8_t byte = 0;
        uint32_t end = 0;
        while (machine_durable_read(shop->machine, name, end, &byte, 1) == 1) end += 64;
        uint32_t from = at_end ? end - (end < 2000 ? end / 2 : 1000) : 0;
        uint32_t to = at_end ? end - 64 : end / 3;
        (void)how(shop->machine, name, from + rng_below(&shop->rng, to - from + 1));
    }
}

static void rot_tables(struct shop *shop, bool at_end) {
    damage_tables(shop, at_end, machine_rot);
}

static void suffer_damage(damage_how *how) {
    uint32_t told = 0;
    for (uint64_t seed = test_seed(); seed < test_seed() + 14; seed++) {
        struct shop *shop = shop_with_tables(seed);
        damage_tables(shop, seed % 2 == 0, how);
        uint64_t found = shop_inspect(shop).counts.damaged;
        assert_int_equal(shop_open(shop), ST_OK);
        (void)shop_count_lost(shop); // nothing that is shown is wrong
        told += store_stats(shop->store).was_damaged;
        if (store_stats(shop->store).was_damaged) assert_true(found > 0);

        // As a member that has peers does.
        machine_enter(shop->machine);
        store_renew(shop->store, 0);
        store_forgive(shop->store);
        machine_leave(shop->machine);
        shop_forget(shop);
        sell_for(shop, NS_PER_SECOND / 4);
        shop_run(shop, 5 * NS_PER_SECOND);
        shop_check_all(shop);
        machine_enter(shop->machine);
        store_repaired(shop->store);
        store_compact(shop->store);
        machine_leave(shop->machine);
        shop_run(shop, 10 * NS_PER_SECOND);
        assert_false(store_stats(shop->store).was_damaged);
        shop_check_all(shop);
        shop_end(shop);
        assert_int_equal(shop_open(shop), ST_OK);
        shop_check_all(shop);
        shop_run(shop, 3 * NS_PER_SECOND);
        assert_false(store_stats(shop->store).was_damaged);
        assert_int_equal(store_stats(shop->store).damaged, 0);
        shop_end(shop);
        assert_string_equal(shop_inspect(shop).first, "");
        assert_int_equal(shop->refused_count, 0);
        shop_free(shop);
    }
    assert_true(told > 6);
}

static void damage_in_tables_is_told_forgiven_and_merged_away(void **state) {
    (void)state;
    suffer_damage(machine_rot);
}

static void so_are_bad_sectors(void **state) {
    (void)state;
    suffer_damage(machine_spoil);
}

static void count_reads(void *context, const struct world_line *line) {
    uint64_t *reads = context;
    *reads += strcmp(line->what, "read") == 0;
}

// There are more partitions than blocks, and one after the other is looked for in those.
static void a_bad_sector_is_not_read_for_each_partition(void **state) {
    (void)state;
    struct world_options options = world_quiet();
    struct shop *shop = shop_new(test_seed() | 3, &options); // direct reads, of 4 KiB
    make_small(shop, &shop->rng);
    shop->options.block_size = 8192;
    shop->partitions = SHOP_KEYS;
    assert_int_equal(shop_open(shop), ST_OK);
    sell_for(shop, NS_PER_SECOND / 2);
    shop_end(shop);
    for (uint32_t i = 0; i < 20; i++) damage_tables(shop, false, machine_spoil);
    assert_int_equal(shop_open(shop), ST_OK);
    assert_true(shop_count_lost(shop) > 0); // the next start adds sums up anew
    shop_end(shop);
    uint64_t reads = 0;
    world_set_trace(shop->world, count_reads, &reads);
    assert_int_equal(shop_open(shop), ST_OK);
    // Each in all its tries, and some for each table and each partition.
    struct store_stats stats = store_stats(shop->store);
    assert_true(stats.recounts > 0);
    assert_true(stats.damaged > 10);
    assert_in_range(reads, 1, 9 * stats.damaged + 6 * stats.table_count + UINT64_C(2) * SHOP_KEYS);
    world_set_trace(shop->world, NULL, NULL);
    shop_free(shop);
}

static void what_was_mended_may_be_damaged_again(void **state) {
    (void)state;
    for (uint64_t seed = test_seed(); seed < test_seed() + 4; seed++) {
        struct shop *shop = open_with_tables(seed);
        machine_enter(shop->machine);
        store_forgive(shop->store);
        store_repaired(shop->store);
        machine_leave(shop->machine);
        assert_false(store_stats(shop->store).was_damaged);
        rot_tables(shop, false);
        uint32_t lost = shop_count_lost(shop);
        assert_in_range(lost, 1, SHOP_KEYS);
        assert_true(store_stats(shop->store).was_damaged);
        shop_free(shop);
    }
}

// Everything has a copy in memory when its table is damaged; after a start it has none.
static void copies_in_memory_do_not_hide_damage(void **state) {
    (void)state;
    uint64_t found = 0;
    for (uint64_t seed = test_seed(); seed < test_seed() + 6; seed++) {
        struct world_options options = world_quiet();
        struct shop *shop = shop_new(seed, &options);
        shop->options.flush_size = 4096;
        assert_int_equal(shop_open(shop), ST_OK);
        sell_for(shop, NS_PER_SECOND / 4);
        shop_check_all(shop);
        rot_tables(shop, false);
        machine_enter(shop->machine);
        store_forgive(shop->store);
        machine_leave(shop->machine);
        shop_run(shop, 5 * NS_PER_SECOND);
        found += store_stats(shop->store).damaged;
        shop_forget(shop);
        shop_check_sums(shop);
        shop_end(shop);
        assert_int_equal(shop_open(shop), ST_OK);
        shop_check_sums(shop);
        shop_end(shop);
        shop_free(shop);
    }
    assert_true(found > 6);
}

static void copies_in_memory_go_in_steps(void **state) {
    (void)state;
    enum { MANY = 30000 };
    struct world_options options = world_quiet();
    struct shop *shop = shop_new(test_seed(), &options);
    shop->options.memory_max = UINT64_C(16) << 20;
    shop->options.segment_size = UINT64_C(8) << 20;
    shop->options.flush_size = 1;
    shop->value_max = 16;
    assert_int_equal(shop_open(shop), ST_OK);
    for (uint32_t i = 0; i < MANY; i++) write_key(shop, i);
    shop_run(shop, 3 * NS_PER_SECOND);
    assert_int_equal(store_stats(shop->store).dirty_size, 0);
    uint64_t before = store_stats(shop->store).evicted;
    uint64_t last = before;
    machine_enter(shop->machine);
    store_forgive(shop->store);
    machine_leave(shop->machine);
    do {
        uint64_t now = store_stats(shop->store).evicted;
        assert_true(now - last <= MANY / 2);
        last = now;
        assert_true(world_step(shop->world, UINT64_MAX));
    } while (store_is_recounting(shop->store));
    assert_int_equal(last - before, MANY);
    shop_end(shop);
    shop_free(shop);
}

// What is found damaged when the sums were added up already.
static void damage_that_is_forgiven_later_leaves_the_sums(void **state) {
    (void)state;
    uint64_t found = 0;
    for (uint64_t seed = test_seed(); seed < test_seed() + 6; seed++) {
        struct shop *shop = open_with_tables(seed);
        machine_enter(shop->machine);
        store_forgive(shop->store);
        machine_leave(shop->machine);
        shop_run(shop, 10 * NS_PER_SECOND);
        assert_false(store_is_recounting(shop->store));
        rot_tables(shop, false);
        shop_forget(shop);
        found += store_stats(shop->store).damaged;
        shop_run(shop, 5 * NS_PER_SECOND);
        assert_false(store_is_recounting(shop->store));
        shop_check_sums(shop);
        shop_free(shop);
    }
    assert_true(found > 6);
}

static bool cut(struct machine *machine, const char *name, uint64_t offset) {
    uint8_t byte = 0;
    uint64_t size = offset;
    while (machine_durable_read(machine, name, size, &byte, 1) == 1) size++;
    return machine_cut_tail(machine, name, size - offset);
}

static uint32_t count_found(struct shop *shop) {
    uint32_t found = 0;
    for (uint32_t key = 0; key < SHOP_KEYS; key++) {
        uint32_t version = 0;
        found += shop_read(shop, key, &version) == ST_OK;
    }
    return found;
}

static struct shop *open_with_cut_tables(uint64_t seed) {
    struct shop *shop = open_with_tables(seed);
    damage_tables(shop, false, cut);
    return shop;
}

// Keys of such a store that can be read one by one.
static uint32_t count_left(uint64_t seed) {
    struct shop *shop = open_with_cut_tables(seed);
    shop_forget(shop);
    uint32_t left = count_found(shop);
    shop_free(shop);
    return left;
}

// Scans and merges read many blocks at once, reads of a key only one.
static void what_a_cut_table_still_has_is_kept(void **state) {
    (void)state;
    uint32_t lost = 0;
    for (uint64_t seed = test_seed(); seed < test_seed() + 6; seed++) {
        struct shop *shop = open_with_cut_tables(seed);
        machine_enter(shop->machine);
        store_forgive(shop->store);
        machine_leave(shop->machine);
        while (store_is_recounting(shop->store)) assert_true(world_step(shop->world, UINT64_MAX));
        shop_forget(shop);
        uint32_t found = count_found(shop);
        lost += SHOP_KEYS - found;
        assert_true(found >= count_left(seed));
        shop_check_sums(shop);
        assert_int_equal(store_stats(shop->store).key_count, found);
        shop_run(shop, 5 * NS_PER_SECOND); // the tables are written anew
        assert_int_equal(count_found(shop), found);
        shop_check_sums(shop);
        shop_free(shop);
    }
    assert_true(lost > 6);
}

// Before anything is merged. The owner hears of it, and what was added up is added up again.
static void what_is_found_while_forgiving_is_added_up_again(void **state) {
    (void)state;
    for (uint64_t seed = test_seed(); seed < test_seed() + 6; seed++) {
        struct shop *shop = open_with_tables(seed);
        shop_run(shop, 5 * NS_PER_SECOND); // merges are over
        machine_enter(shop->machine);
        store_forgive(shop->store);
        machine_leave(shop->machine);
        while (store_is_recounting(shop->store)) assert_true(world_step(shop->world, UINT64_MAX));
        assert_int_equal(store_losses(shop->store), 0);
        rot_tables(shop, false);
        // Copies in memory hide some from the first reads; each counts once, so there is an end.
        uint64_t losses = 0;
        for (uint32_t round = 0; round == 0 || store_losses(shop->store) > losses; round++) {
            assert_in_range(round, 0, 5);
            losses = store_losses(shop->store);
            shop_forget(shop);
            while (store_is_recounting(shop->store)) {
                assert_true(world_step(shop->world, UINT64_MAX));
            }
            shop_check_sums(shop);
        }
        assert_true(losses > 0);
        assert_true(store_stats(shop->store).was_damaged);
        assert_int_equal(store_stats(shop->store).damaged, losses);
        shop_free(shop);
    }
}

static bool rot_at_start(struct machine *machine, const char *name, uint64_t offset) {
    (void)offset;
    return machine_rot(machine, name, 0);
}

// In the tables of which a part was forgiven already, and which are still there.
static void what_rots_after_the_repair_is_not_forgiven(void **state) {
    (void)state;
    for (uint64_t seed = test_seed(); seed < test_seed() + 6; seed++) {
        struct world_options options = world_quiet();
        struct shop *shop = shop_new(seed, &options);
        make_small(shop, &shop->rng);
        shop->options.block_size = 512;
        assert_int_equal(shop_open(shop), ST_OK);
        sell_for(shop, NS_PER_SECOND / 2);
        shop_end(shop);
        assert_int_equal(shop_open(shop), ST_OK);
        damage_tables(shop, false, rot_at_start);
        machine_enter(shop->machine);
        store_forgive(shop->store);
        machine_leave(shop->machine);
        while (store_is_recounting(shop->store)) assert_true(world_step(shop->world, UINT64_MAX));
        machine_enter(shop->machine);
        store_repaired(shop->store);
        machine_leave(shop->machine);
        uint64_t losses = store_losses(shop->store);
        for (uint32_t i = 0; i < 4; i++) rot_tables(shop, false);
        assert_true(shop_count_lost(shop) > 0);
        assert_int_equal(store_losses(shop->store), losses);
        assert_true(store_stats(shop->store).was_damaged);
        shop_free(shop);
    }
}

// Scans while others write: each key once, in order, with a record that was asked for.
struct watcher {
    struct store_scan scan;
    struct shop *shop;
    uint8_t last[32];
    size_t last_size;
    uint32_t visits;
    bool is_done;
};

static bool on_watched(struct store_scan *scan, struct slice key, struct slice record,
                       bool is_durable) {
    struct watcher *w = CONTAINER_OF(scan, struct watcher, scan);
    (void)is_durable;
    assert_true(slice_compare((struct slice){w->last, w->last_size}, key) < 0);
    memcpy(w->last, key.data, w->last_size = key.size);
    uint32_t number = 0;
    for (size_t i = 3; i < key.size; i++) number = 10 * number + (key.data[i] - '0');
    uint32_t version = shop_check_record(w->shop, number, record);
    assert_true(version >= w->shop->keys[number].acked || w->shop->busy > 0);
    w->visits++;
    return true;
}

static void on_watch_over(struct store_scan *scan) {
    CONTAINER_OF(scan, struct watcher, scan)->is_done = true;
}

static void a_scan_sees_each_key_once_while_others_write(void **state) {
    (void)state;
    for (uint64_t seed = test_seed(); seed < test_seed() + 6; seed++) {
        struct world_options options = world_quiet();
        struct shop *shop = shop_new(seed, &options);
        make_small(shop, &shop->rng);
        assert_int_equal(shop_open(shop), ST_OK);
        sell_for(shop, NS_PER_SECOND / 2);
        shop_start_selling(shop, 4);
        for (uint32_t i = 0; i < 60; i++) {
            struct watcher w = {.scan = {.visit = on_watched, .done = on_watch_over}, .shop = shop};
            w.scan.partition = shop_partition_at(shop, i % SHOP_PARTITIONS);
            uint64_t before = store_partition_of(shop->store, w.scan.partition).key_count;
            machine_enter(shop->machine);
            if (store_each(shop->store, &w.scan)) w.is_done = true;
            machine_leave(shop->machine);
            assert_true(shop_wait(shop, &w.is_done));
            assert_int_equal(w.scan.status, ST_OK);
            assert_true(w.visits >= before); // nothing is ever removed here
        }
        shop_stop_selling(shop);
        shop_end(shop);
        shop_free(shop);
    }
}

int store_engine_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(what_is_cold_is_read_and_overwritten),
        cmocka_unit_test(no_crash_takes_what_was_acknowledged),
        cmocka_unit_test(a_crash_at_every_step_of_flush_and_merge),
        cmocka_unit_test(what_a_killed_process_has_named_stays_named),
        cmocka_unit_test(no_file_gets_the_number_of_one_that_is_there),
        cmocka_unit_test(a_request_that_fails_loses_nothing),
        cmocka_unit_test(a_merge_says_how_far_it_is),
        cmocka_unit_test(a_flush_goes_through_a_large_memory_in_steps),
        cmocka_unit_test(writes_do_not_outrun_merges),
        cmocka_unit_test(a_long_merge_pauses_and_goes_on),
        cmocka_unit_test(damage_in_tables_is_told_forgiven_and_merged_away),
        cmocka_unit_test(so_are_bad_sectors),
        cmocka_unit_test(a_bad_sector_is_not_read_for_each_partition),
        cmocka_unit_test(what_was_mended_may_be_damaged_again),
        cmocka_unit_test(copies_in_memory_do_not_hide_damage),
        cmocka_unit_test(damage_that_is_forgiven_later_leaves_the_sums),
        cmocka_unit_test(copies_in_memory_go_in_steps),
        cmocka_unit_test(what_a_cut_table_still_has_is_kept),
        cmocka_unit_test(what_is_found_while_forgiving_is_added_up_again),
        cmocka_unit_test(what_rots_after_the_repair_is_not_forgiven),
        cmocka_unit_test(a_scan_sees_each_key_once_while_others_write),
    };
    return cmocka_run_group_tests_name("store_engine", cases, NULL, NULL);
}
