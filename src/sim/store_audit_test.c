// SPDX-License-Identifier: Apache-2.0
//
// What a store does by itself, for years: its facts are checked against its tables, and the tables
// are read for damage.
#include "sim/disk.h"
#include "sim/store_case.h"

enum {
    KEYS = 240, // of all keyspaces together
    VALUE_MAX = 3000,
    CLERKS = 4,
    LARGE = 2000,
    ROUND_S = 120, // a round of what these stores hold takes no longer
};

struct clerk {
    struct store_write write;
    struct office *office;
    size_t size; // of the value; 0: the key is removed
    char name[16];
};

// A partition of some stretches in each of a few keyspaces, and clerks who change keys of them.
struct office {
    struct shop *shop;
    struct clerk clerks[CLERKS];
    uint32_t busy;
    uint32_t changes;
    uint64_t audited; // of lives that are over
    uint64_t rounds;
    bool is_dropping;
    uint8_t value[VALUE_MAX];
};

static struct office *office_new(uint64_t seed) {
    struct office *o = calloc(1, sizeof(*o));
    struct world_options options = world_quiet();
    o->shop = shop_new(seed, &options);
    o->shop->partitions = SHOP_KEYSPACES;
    o->shop->options.keyspaces_max = 2 * SHOP_KEYSPACES;
    for (uint32_t i = 0; i < CLERKS; i++) o->clerks[i].office = o;
    return o;
}

static void office_free(struct office *o) {
    shop_free(o->shop);
    free(o);
}

static enum status on_apply(struct store_write *write, struct slice old, struct slice *new) {
    struct clerk *c = CONTAINER_OF(write, struct clerk, write);
    (void)old;
    memset(c->office->value, (int)(++c->office->changes % 251), c->size);
    *new = (struct slice){c->office->value, c->size};
    return ST_OK;
}

static void on_changed(struct store_write *write) {
    struct clerk *c = CONTAINER_OF(write, struct clerk, write);
    assert_int_equal(write->status, ST_OK);
    c->office->busy--;
}

static void change(struct clerk *c, uint32_t key, size_t size) {
    struct shop *shop = c->office->shop;
    c->office->busy++;
    c->size = size;
    c->write = (struct store_write){.apply = on_apply, .done = on_changed};
    c->write.partition = shop_partition(shop, key);
    c->write.key = (struct slice){(const uint8_t *)c->name, shop_name(key, c->name)};
    machine_enter(shop->machine);
    store_put(shop->store, &c->write);
    machine_leave(shop->machine);
}

static void wait_for_clerks(struct office *o) {
    uint64_t until = world_now(o->shop->world) + 60 * NS_PER_SECOND;
    while (o->busy > 0 || o->is_dropping) assert_true(world_step(o->shop->world, until));
}

static void fill(struct office *o) {
    for (uint32_t key = 0; key < KEYS; key++) {
        change(&o->clerks[0], key, 1 + rng_below(&o->shop->rng, VALUE_MAX));
        wait_for_clerks(o);
    }
}

static struct store_stats stats_of(const struct office *o) {
    return store_stats(o->shop->store);
}

static void note_end(struct office *o) {
    assert_int_equal(stats_of(o).audit_differences, 0);
    o->audited += stats_of(o).audited;
    o->rounds += stats_of(o).audit_rounds;
    o->shop->options.seed = rng_next(&o->shop->rng); // where the next life begins to look
}

static void reopen(struct office *o) {
    wait_for_clerks(o);
    note_end(o);
    shop_end(o->shop);
    assert_int_equal(shop_open(o->shop), ST_OK);
}

static void pull_the_plug(struct office *o) {
    o->busy = 0;
    note_end(o);
    machine_power_loss(o->shop->machine);
    assert_int_equal(shop_open(o->shop), ST_OK);
}

static void on_dropped(void *context, enum status status) {
    struct office *o = context;
    assert_int_equal(status, ST_OK);
    o->shop->drops[1]++;
    o->is_dropping = false;
}

static void drop(struct office *o) {
    struct shop *shop = o->shop;
    wait_for_clerks(o);
    machine_enter(shop->machine);
    enum status status = store_drop(shop->store, shop_keyspace(1, shop->drops[1]), on_dropped, o);
    machine_leave(shop->machine);
    o->is_dropping = status == ST_OK;
    if (!o->is_dropping) assert_int_equal(status, ST_TOO_LARGE);
    wait_for_clerks(o);
}

// Whatever may come between two stretches.
static void something_happens(struct office *o) {
    struct rng *rng = &o->shop->rng;
    if (rng_chance(rng, 1, 1000)) {
        reopen(o);
    } else if (rng_chance(rng, 1, 1000)) {
        pull_the_plug(o);
    } else if (rng_chance(rng, 1, 600)) {
        drop(o);
    } else if (rng_chance(rng, 1, 300)) {
        machine_enter(o->shop->machine);
        store_compact(o->shop->store);
        machine_leave(o->shop->machine);
    } else if (o->busy == 0) {
        uint32_t clerks = 1 + rng_below(rng, CLERKS);
        for (uint32_t i = 0; i < clerks; i++) {
            size_t size = rng_chance(rng, 1, 4) ? 0 : 1 + rng_below(rng, VALUE_MAX);
            change(&o->clerks[i], rng_below(rng, KEYS), size);
        }
    }
}

static void nothing_differs_whatever_is_written_meanwhile(void **state) {
    (void)state;
    uint64_t audited = 0;
    uint64_t rounds = 0;
    for (uint64_t seed = test_seed(); seed < test_seed() + 5; seed++) {
        struct office *o = office_new(seed);
        struct store_options *options = &o->shop->options;
        if (seed % 2 == 0) options->memory_max = 0; // the least there is
        options->flush_size = rng_spread(&o->shop->rng, 2048, 65536);
        options->table_size = rng_spread(&o->shop->rng, 8192, 131072);
        options->block_size = (uint32_t)rng_spread(&o->shop->rng, 64, 8192);
        // Some are so slow that much is written while a stretch is read.
        world_options(o->shop->world)->disk_delay =
            rng_spread(&o->shop->rng, NS_PER_MS / 100, 50 * NS_PER_MS);
        assert_int_equal(shop_open(o->shop), ST_OK);
        fill(o);
        uint64_t until = world_now(o->shop->world) + NS_PER_SECOND * 2 * ROUND_S;
        while (world_now(o->shop->world) < until) {
            something_happens(o);
            shop_run(o->shop, rng_below(&o->shop->rng, 200) * NS_PER_MS);
        }
        wait_for_clerks(o);
        shop_check_sums(o->shop);
        reopen(o);
        shop_check_sums(o->shop);
        audited += o->audited;
        rounds += o->rounds;
        office_free(o);
    }
    assert_true(audited > 20);
    assert_true(rounds > 2);
}

// The only table, or file of facts.
static const char *file_of(struct office *o, const char *prefix, char name[ENV_FILE_NAME_MAX + 1]) {
    uint8_t names[4096];
    uint32_t size = machine_durable_names(o->shop->machine, names, sizeof(names));
    name[0] = '\0';
    for (uint32_t at = 0; at < size; at += (uint32_t)strlen((char *)names + at) + 1) {
        const char *found = (char *)names + at;
        if (strncmp(found, prefix, strlen(prefix)) != 0) continue;
        if (disk_find(machine_disk(o->shop->machine), found) == NULL) continue; // it was removed
        assert_string_equal(name, "");
        assert_true(strlen(found) <= ENV_FILE_NAME_MAX);
        memcpy(name, found, strlen(found) + 1);
    }
    assert_string_not_equal(name, "");
    return name;
}

static void rot_tables(struct office *o) {
    uint8_t names[8192];
    uint32_t size = machine_durable_names(o->shop->machine, names, sizeof(names));
    uint32_t at = 0;
    const char *name;
    while ((name = shop_next_table(names, size, &at)) != NULL) {
        (void)machine_rot(o->shop->machine, name, 100);
    }
}

// All keys in one table, with copies in memory; `size` is that of the last value, and `changes`
// decides what is in all of them.
static struct office *office_with_a_table(uint64_t seed, size_t size, uint32_t changes) {
    struct office *o = office_new(seed);
    o->changes = changes;
    o->shop->options.memory_max = UINT64_C(16) << 20;
    o->shop->options.flush_size = LARGE;
    assert_int_equal(shop_open(o->shop), ST_OK);
    for (uint32_t key = 0; key < 9; key++) {
        change(&o->clerks[0], key, key < 8 ? 100 : size); // the last one makes the flush due
        wait_for_clerks(o);
    }
    shop_run(o->shop, 5 * NS_PER_SECOND);
    assert_int_equal(stats_of(o).dirty_size, 0);
    return o;
}

// Writes a file of the other over that of the same name.
static void take_over(struct office *o, struct office *from, const char *prefix) {
    char name[ENV_FILE_NAME_MAX + 1];
    char same[ENV_FILE_NAME_MAX + 1];
    assert_string_equal(file_of(o, prefix, name), file_of(from, prefix, same));
    static uint8_t bytes[1 << 16];
    struct disk *disk = machine_disk(from->shop->machine);
    uint32_t size = disk_read(disk, disk_find(disk, name), 0, bytes, sizeof(bytes));
    assert_true(size > 0 && size < sizeof(bytes));
    disk = machine_disk(o->shop->machine);
    disk_write(disk, disk_find(disk, name), 0, bytes, size, false);
    disk_sync(disk, disk_find(disk, name), UINT64_MAX);
}

// The last of the keys is in this one.
static struct store_partition last_sum(const struct office *o) {
    return store_partition_of(o->shop->store, shop_partition(o->shop, 8));
}

static uint64_t time_until_differences(struct office *o, uint64_t count) {
    uint64_t begin = world_now(o->shop->world);
    uint64_t changes = store_changes(o->shop->store, 0);
    while (stats_of(o).audit_differences < count) {
        assert_true(world_now(o->shop->world) < begin + NS_PER_SECOND * ROUND_S);
        shop_run(o->shop, NS_PER_SECOND / 10);
    }
    assert_true(store_changes(o->shop->store, 0) > changes); // whoever compares hears of it
    return world_now(o->shop->world) - begin;
}

static void check_nothing_more_differs(struct office *o, uint64_t count) {
    shop_run(o->shop, NS_PER_SECOND * ROUND_S);
    assert_int_equal(stats_of(o).audit_differences, count);
    assert_int_equal(stats_of(o).recounts, 0);
    assert_false(store_is_recounting(o->shop->store));
}

// Two stores that did the same, but for one value: the facts of the other are good bytes.
static void facts_that_are_wrong_are_found_and_corrected(void **state) {
    (void)state;
    struct office *o = office_with_a_table(test_seed(), LARGE, 0);
    struct office *other = office_with_a_table(test_seed(), LARGE + 100, 0);
    struct store_partition right = last_sum(o);
    shop_end(o->shop);
    take_over(o, other, "facts-");
    assert_int_equal(shop_open(o->shop), ST_OK);
    assert_int_equal(last_sum(o).size, right.size + 100);
    uint64_t live_size = stats_of(o).live_size;

    (void)time_until_differences(o, 1);
    struct store_partition sum = last_sum(o);
    assert_memory_equal(&sum, &right, sizeof(sum));
    assert_int_equal(stats_of(o).live_size, live_size - 100);
    check_nothing_more_differs(o, 1);
    shop_check_sums(o->shop);

    // It lasts once there is something to be flushed.
    change(&o->clerks[0], 0, 50);
    wait_for_clerks(o);
    shop_run(o->shop, 5 * NS_PER_SECOND);
    shop_end(o->shop);
    assert_int_equal(shop_open(o->shop), ST_OK);
    assert_int_equal(last_sum(o).digest, right.digest);
    check_nothing_more_differs(o, 0);
    shop_end(o->shop);
    office_free(o);
    office_free(other);
}

// In place of the table lies one with other values, and good checksums. What is in memory, and what
// the facts say, are still the old ones.
static void copies_in_memory_do_not_hide_what_the_tables_hold(void **state) {
    (void)state;
    struct office *o = office_with_a_table(test_seed(), LARGE, 0);
    struct office *other = office_with_a_table(test_seed(), LARGE, 100);
    struct store_partition now = last_sum(other);
    take_over(o, other, "table-");
    (void)time_until_differences(o, SHOP_KEYSPACES);
    struct store_partition sum = last_sum(o);
    assert_memory_equal(&sum, &now, sizeof(sum));
    check_nothing_more_differs(o, SHOP_KEYSPACES);
    shop_end(o->shop);
    office_free(o);
    office_free(other);
}

static void rot_below_copies_in_memory_is_found(void **state) {
    (void)state;
    for (uint64_t seed = test_seed(); seed < test_seed() + 8; seed++) {
        struct office *o = office_with_a_table(seed, LARGE, 0);
        char name[ENV_FILE_NAME_MAX + 1];
        assert_true(
            machine_rot(o->shop->machine, file_of(o, "table-", name), 60 + 40 * (seed % 8)));
        uint64_t reads = stats_of(o).blocks_read;
        for (uint32_t key = 0; key < 9; key++) {
            struct shop_found found;
            char text[16];
            struct slice bytes = {(const uint8_t *)text, shop_name(key, text)};
            assert_int_equal(shop_find(o->shop, shop_partition(o->shop, key), bytes, &found),
                             ST_OK);
        }
        assert_int_equal(stats_of(o).blocks_read, reads);
        assert_int_equal(stats_of(o).damaged, 0);
        shop_run(o->shop, NS_PER_SECOND * ROUND_S);
        assert_int_equal(stats_of(o).damaged, 1);
        assert_true(stats_of(o).was_damaged);
        assert_int_equal(stats_of(o).audit_differences, 0);
        shop_end(o->shop);
        office_free(o);
    }
}

// Each life begins somewhere else, so short ones come to all there is.
static void who_restarts_often_is_audited_as_well(void **state) {
    (void)state;
    uint32_t lives = 0;
    for (uint64_t seed = test_seed(); seed < test_seed() + 4; seed++) {
        struct office *o = office_with_a_table(seed, LARGE, 0);
        char name[ENV_FILE_NAME_MAX + 1];
        assert_true(machine_rot(o->shop->machine, file_of(o, "table-", name), 100));
        for (uint32_t life = 0; stats_of(o).damaged == 0; life++, lives++) {
            assert_true(life < 100);
            reopen(o);
            shop_run(o->shop, 6 * NS_PER_SECOND);
        }
        shop_end(o->shop);
        office_free(o);
    }
    assert_true(lives > 3); // not all were found by the first one
}

static void note_read(void *context, const struct world_line *line) {
    *(bool *)context |= strcmp(line->what, "read") == 0;
}

static void a_store_closes_while_it_is_audited(void **state) {
    (void)state;
    for (uint64_t seed = test_seed(); seed < test_seed() + 12; seed++) {
        struct office *o = office_new(seed);
        o->shop->options.flush_size = 4096;
        o->shop->options.memory_max = 0;
        assert_int_equal(shop_open(o->shop), ST_OK);
        fill(o);
        shop_run(o->shop, 10 * NS_PER_SECOND);
        bool has_read = false;
        world_set_trace(o->shop->world, note_read, &has_read);
        for (uint64_t reads = 0; reads <= seed % 4; reads++) {
            has_read = false;
            assert_true(shop_wait(o->shop, &has_read));
        }
        assert_true(machine_open_things(o->shop->machine).requests > 0 || seed % 4 > 0);
        shop_end(o->shop);
        world_set_trace(o->shop->world, NULL, NULL);
        assert_int_equal(shop_open(o->shop), ST_OK);
        shop_check_sums(o->shop);
        shop_end(o->shop);
        office_free(o);
    }
}

// What is lost amid a partition was in the sum already.
static void damage_amid_a_partition_makes_no_difference(void **state) {
    (void)state;
    uint64_t damaged = 0;
    for (uint64_t seed = test_seed(); seed < test_seed() + 6; seed++) {
        struct office *o = office_new(seed);
        o->shop->partitions = 1;
        o->shop->options.flush_size = LARGE;
        assert_int_equal(shop_open(o->shop), ST_OK);
        fill(o);
        shop_run(o->shop, 5 * NS_PER_SECOND); // no merge is under way any more
        bool has_read = false;
        world_set_trace(o->shop->world, note_read, &has_read);
        assert_true(shop_wait(o->shop, &has_read));
        shop_run(o->shop, NS_PER_SECOND * (1 + seed % 3));
        rot_tables(o);
        machine_enter(o->shop->machine);
        store_renew(o->shop->store, 0);
        store_forgive(o->shop->store);
        machine_leave(o->shop->machine);
        shop_run(o->shop, NS_PER_SECOND * ROUND_S);
        damaged += stats_of(o).damaged;
        assert_true(stats_of(o).recounts > 0);
        assert_int_equal(stats_of(o).audit_differences, 0);
        shop_check_sums(o->shop);
        shop_end(o->shop);
        office_free(o);
    }
    assert_true(damaged > 6);
}

int store_audit_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(nothing_differs_whatever_is_written_meanwhile),
        cmocka_unit_test(facts_that_are_wrong_are_found_and_corrected),
        cmocka_unit_test(copies_in_memory_do_not_hide_what_the_tables_hold),
        cmocka_unit_test(rot_below_copies_in_memory_is_found),
        cmocka_unit_test(who_restarts_often_is_audited_as_well),
        cmocka_unit_test(a_store_closes_while_it_is_audited),
        cmocka_unit_test(damage_amid_a_partition_makes_no_difference),
    };
    return cmocka_run_group_tests_name("store_audit", cases, NULL, NULL);
}
