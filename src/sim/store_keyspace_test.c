// SPDX-License-Identifier: Apache-2.0
//
// Several keyspaces in one store: each is by itself, and only so many have keys at a time.
#include "sim/backup.h"
#include "sim/store_case.h"

enum { ROOM = 3, RECORD_SIZE = 300, VALUE_AT = 47 }; // of a record of one value

static const uint16_t numbers[] = {0, 7, 65535, 300};

static enum status on_apply(struct store_write *write, struct slice old, struct slice *new) {
    (void)old;
    *new = (struct slice){(const uint8_t *)write + sizeof(*write), write->position};
    return ST_OK;
}

// A write of a record that is given, or of none.
struct setting {
    struct store_write write;
    uint8_t record[RECORD_SIZE]; // right behind it
    bool is_done;
};

static void on_set(struct store_write *write) {
    CONTAINER_OF(write, struct setting, write)->is_done = true;
}

static enum status set(struct shop *shop, struct partition partition, struct slice key,
                       struct slice record) {
    struct setting s = {.write = {.apply = on_apply, .done = on_set}};
    assert_ptr_equal(s.record, (uint8_t *)&s.write + sizeof(s.write));
    memcpy(s.record, record.data, record.size);
    s.write.partition = partition;
    s.write.key = key;
    s.write.position = record.size;
    machine_enter(shop->machine);
    store_put(shop->store, &s.write);
    machine_leave(shop->machine);
    assert_true(shop_wait(shop, &s.is_done));
    return s.write.status;
}

static const struct slice key = {(const uint8_t *)"key", 3};

static struct partition at(uint16_t keyspace) {
    return (struct partition){keyspace, 5};
}

// One value, all bytes of which are the same.
static struct slice record_of(struct shop *shop, uint8_t what, uint8_t bytes[RECORD_SIZE]) {
    uint8_t value[RECORD_SIZE - VALUE_AT];
    memset(value, what, sizeof(value));
    struct sibling sibling = {.timestamp = 1, .value = {value, sizeof(value)}};
    sibling.dot = (struct version){{.storage = 1, .epoch = 1}, what};
    shop->record = (struct record){0};
    assert_int_equal(record_update(&shop->record, &shop->record.context, &sibling, &shop->updated),
                     ST_OK);
    struct writer w = writer_to(bytes, RECORD_SIZE);
    record_encode(&shop->updated, &w);
    assert_false(w.failed);
    return writer_bytes(&w);
}

static enum status set_one(struct shop *shop, uint16_t keyspace, uint8_t what) {
    uint8_t bytes[RECORD_SIZE];
    return set(shop, at(keyspace), key, record_of(shop, what, bytes));
}

static enum status remove_one(struct shop *shop, uint16_t keyspace) {
    return set(shop, at(keyspace), key, SLICE(""));
}

static uint32_t get_one(struct shop *shop, uint16_t keyspace) {
    struct shop_found found;
    enum status status = shop_find(shop, at(keyspace), key, &found);
    assert_true(status == ST_OK || status == ST_NOT_FOUND);
    return status == ST_OK ? found.bytes[VALUE_AT] : 0;
}

static struct shop *shop_opened(uint64_t flush_size) {
    struct world_options options = world_quiet();
    struct shop *shop = shop_new(test_seed(), &options);
    shop->options.keyspaces_max = ROOM;
    shop->options.flush_size = flush_size;
    shop->options.disk_reserve = 1;
    assert_int_equal(shop_open(shop), ST_OK);
    return shop;
}

static void check_list(struct shop *shop, const uint16_t *expected, uint32_t count) {
    uint16_t found[ROOM + 2] = {0};
    assert_int_equal(store_keyspaces(shop->store, found, ROOM + 2), count);
    assert_memory_equal(found, expected, count * sizeof(found[0]));
    assert_int_equal(store_keyspaces(shop->store, found, 0), count);
}

static void one_key_is_another_in_each_keyspace(void **state) {
    (void)state;
    for (uint64_t flush_size = 1; flush_size <= 1000000; flush_size *= 1000000 - 1) {
        struct shop *shop = shop_opened(flush_size);
        check_list(shop, numbers, 0);
        for (uint32_t i = 0; i < ROOM; i++) {
            assert_int_equal(set_one(shop, numbers[i], (uint8_t)(i + 1)), ST_OK);
        }
        for (uint32_t life = 0; life < 3; life++) {
            for (uint32_t i = 0; i < ROOM; i++) {
                assert_int_equal(get_one(shop, numbers[i]), i + 1);
                assert_int_equal(store_partition_of(shop->store, at(numbers[i])).key_count, 1);
            }
            check_list(shop, numbers, ROOM);
            assert_int_equal(store_stats(shop->store).key_count, ROOM);
            shop_run(shop, NS_PER_SECOND);
            if (flush_size == 1) assert_true(store_stats(shop->store).table_count > 0);
            if (life == 1) {
                shop_crash(shop, true);
            } else {
                shop_end(shop);
            }
            assert_int_equal(shop_open(shop), ST_OK);
        }
        assert_int_equal(remove_one(shop, 7), ST_OK);
        for (uint32_t i = 0; i < ROOM; i++) {
            assert_int_equal(get_one(shop, numbers[i]), i == 1 ? 0 : i + 1);
        }
        const uint16_t left[] = {0, 65535};
        check_list(shop, left, 2);
        shop_end(shop);
        shop_free(shop);
    }
}

// Without a disk that is asked, and even if the other keyspaces have such a key.
static void a_keyspace_without_keys_has_none(void **state) {
    (void)state;
    enum { MANY = 1500, PART = 200000 }; // so many that filters say yes sometimes
    struct shop *shop = shop_opened(PART);
    uint8_t bytes[RECORD_SIZE];
    struct slice record = record_of(shop, 1, bytes);
    for (uint32_t i = 0; i < MANY; i++) {
        struct partition partition = {i % 2 == 0 ? 7 : 65535, (uint16_t)i};
        assert_int_equal(set(shop, partition, key, record), ST_OK);
    }
    shop_run(shop, NS_PER_SECOND);
    assert_true(store_stats(shop->store).table_count > 0);
    uint64_t blocks_read = store_stats(shop->store).blocks_read;
    for (uint32_t number = 8; number < UINT16_MAX; number++) {
        struct store_read read = {.partition = at((uint16_t)number), .key = key};
        assert_int_equal(store_peek(shop->store, &read), ST_NOT_FOUND);
        assert_int_equal(store_partition_of(shop->store, at((uint16_t)number)).key_count, 0);
    }
    assert_int_equal(get_one(shop, 9), 0);
    assert_int_equal(store_stats(shop->store).blocks_read, blocks_read);
    shop_end(shop);
    shop_free(shop);
}

static void one_too_many_is_refused_until_another_is_empty(void **state) {
    (void)state;
    struct shop *shop = shop_opened(1000000);
    for (uint32_t life = 0; life < 3; life++) {
        for (uint32_t i = 0; i < ROOM; i++) {
            assert_int_equal(set_one(shop, numbers[i], (uint8_t)(i + 1)), ST_OK);
        }
        assert_int_equal(set_one(shop, 300, 9), ST_NO_MEMORY);
        assert_int_equal(get_one(shop, 300), 0);
        assert_int_equal(remove_one(shop, 65535), ST_OK);
        // What tells of that goes to a table first, and then out of memory.
        uint32_t tries = 0;
        while (set_one(shop, 300, 4) != ST_OK) {
            assert_true(tries++ < 5);
            shop_run(shop, NS_PER_SECOND);
        }
        assert_true(tries > 0);
        if (life == 0) shop_crash(shop, true);
        if (life == 1) shop_end(shop);
        if (life < 2) assert_int_equal(shop_open(shop), ST_OK);
        assert_int_equal(get_one(shop, 300), 4);
        assert_int_equal(get_one(shop, 65535), 0);
        assert_int_equal(get_one(shop, 7), 2);
        const uint16_t left[] = {0, 7, 300};
        check_list(shop, left, ROOM);
        assert_int_equal(set_one(shop, 65535, 9), ST_NO_MEMORY);
        assert_int_equal(remove_one(shop, 300), ST_OK);
        for (tries = 0; set_one(shop, 65535, 3) != ST_OK; tries++) {
            assert_true(tries < 5);
            shop_run(shop, NS_PER_SECOND);
        }
    }
    shop_end(shop);
    shop_free(shop);
}

static void rot_facts(struct shop *shop) {
    uint8_t names[8192];
    uint32_t size = machine_durable_names(shop->machine, names, sizeof(names));
    uint32_t count = 0;
    for (uint32_t i = 0; i < size; i += (uint32_t)strlen((const char *)names + i) + 1) {
        if (strncmp((const char *)names + i, "facts-", 6) != 0) continue;
        count += machine_rot(shop->machine, (const char *)names + i, 20);
    }
    assert_true(count > 0);
}

// Whether the log says so, or the facts, or, as these are damaged, the tables.
static void a_store_of_more_keyspaces_is_not_opened(void **state) {
    (void)state;
    for (uint32_t way = 0; way < 3; way++) {
        struct shop *shop = shop_opened(way == 0 ? 1000000 : 1);
        for (uint32_t i = 0; i < ROOM; i++) {
            assert_int_equal(set_one(shop, numbers[i], (uint8_t)(i + 1)), ST_OK);
        }
        shop_run(shop, NS_PER_SECOND);
        if (way > 0) assert_int_equal(store_stats(shop->store).dirty_size, 0);
        shop_end(shop);
        if (way == 2) rot_facts(shop);
        shop->options.keyspaces_max = ROOM - 1;
        assert_int_equal(shop_open(shop), ST_TOO_LARGE);
        assert_int_equal(machine_open_things(shop->machine).files, 0);
        machine_kill(shop->machine);
        shop->options.keyspaces_max = ROOM;
        assert_int_equal(shop_open(shop), ST_OK);
        for (uint32_t i = 0; i < ROOM; i++) assert_int_equal(get_one(shop, numbers[i]), i + 1);
        check_list(shop, numbers, ROOM);
        shop_end(shop);
        shop_free(shop);
    }
}

// Many keyspaces, and most of them between two others in one block, where no index tells of them.
static void facts_are_added_up_anew_for_all_keyspaces(void **state) {
    (void)state;
    enum { MANY = 12 };
    struct world_options options = world_quiet();
    struct shop *shop = shop_new(test_seed(), &options);
    shop->options.keyspaces_max = MANY;
    shop->options.flush_size = 1;
    struct store_partition before[MANY];
    uint16_t several[MANY];
    assert_int_equal(shop_open(shop), ST_OK);
    for (uint32_t i = 0; i < MANY; i++) {
        several[i] = (uint16_t)(i * 5 % MANY * 5957); // up to 65527, in no order
        assert_int_equal(set_one(shop, several[i], 1), ST_OK);
        if (i % 3 == 0) shop_run(shop, NS_PER_SECOND);
        if (i == MANY / 2) {
            machine_enter(shop->machine);
            store_compact(shop->store);
            machine_leave(shop->machine);
        }
    }
    assert_int_equal(remove_one(shop, several[4]), ST_OK);
    shop_run(shop, NS_PER_SECOND);
    for (uint32_t i = 0; i < MANY; i++) before[i] = store_partition_of(shop->store, at(several[i]));
    uint64_t key_count = store_stats(shop->store).key_count;
    assert_int_equal(key_count, MANY - 1);
    shop_end(shop);
    rot_facts(shop);
    assert_int_equal(shop_open(shop), ST_OK);
    assert_int_equal(store_stats(shop->store).recounts, 1);
    assert_int_equal(store_stats(shop->store).key_count, key_count);
    for (uint32_t i = 0; i < MANY; i++) {
        struct store_partition now = store_partition_of(shop->store, at(several[i]));
        assert_memory_equal(&now, &before[i], sizeof(now));
        struct shop_found found;
        assert_int_equal(shop_find(shop, at(several[i]), key, &found),
                         i == 4 ? ST_NOT_FOUND : ST_OK);
    }
    shop_end(shop);
    shop_free(shop);
}

// Facts of so many partitions need memory of tables while they are written, and when they are read.
static void facts_of_many_partitions_come_back(void **state) {
    (void)state;
    enum { OTHERS = 100 };
    struct shop *shop = shop_opened(0);
    uint8_t bytes[RECORD_SIZE];
    struct slice record = record_of(shop, 1, bytes);
    for (uint32_t i = 0; i < SLOT_COUNT + OTHERS; i++) {
        struct partition partition = {i < SLOT_COUNT ? 7 : 65535, (uint16_t)(i % SLOT_COUNT)};
        assert_int_equal(set(shop, partition, key, record), ST_OK);
    }
    shop_run(shop, 10 * NS_PER_SECOND);
    assert_true(store_stats(shop->store).flushes > 1);
    uint64_t used = store_stats(shop->store).memory_used;
    shop_crash(shop, true);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(shop_open(shop), ST_OK);
        assert_int_equal(store_stats(shop->store).recounts, 0);
        assert_int_equal(store_stats(shop->store).key_count, SLOT_COUNT + OTHERS);
        assert_true(store_stats(shop->store).memory_used <= used); // it was given back
        shop_end(shop);
        if (i == 0) rot_facts(shop);
        if (i > 0) continue;
        assert_int_equal(shop_open(shop), ST_OK); // and what is added up is the same
        assert_int_equal(store_stats(shop->store).recounts, 1);
        assert_int_equal(store_stats(shop->store).key_count, SLOT_COUNT + OTHERS);
        shop_run(shop, 5 * NS_PER_SECOND); // it is written
        shop_end(shop);
    }
    shop_free(shop);
}

// Dropping.

struct dropper {
    bool is_done;
    enum status status;
};

static void on_dropped(void *context, enum status status) {
    struct dropper *d = context;
    assert_false(d->is_done);
    *d = (struct dropper){true, status};
}

static void begin_drop(struct shop *shop, uint16_t keyspace, struct dropper *d) {
    *d = (struct dropper){0};
    machine_enter(shop->machine);
    assert_int_equal(store_drop(shop->store, keyspace, on_dropped, d), ST_OK);
    assert_false(d->is_done); // never before it returns
    machine_leave(shop->machine);
}

static enum status drop(struct shop *shop, uint16_t keyspace) {
    struct dropper d;
    begin_drop(shop, keyspace, &d);
    assert_true(shop_wait(shop, &d.is_done));
    return d.status;
}

static bool on_visited(struct store_scan *scan, struct slice name, struct slice record,
                       bool is_durable) {
    (void)scan;
    (void)name;
    (void)record;
    (void)is_durable;
    fail();
    return false;
}

static void on_scanned(struct store_scan *scan) {
    (void)scan;
    fail();
}

static void check_gone(struct shop *shop, uint16_t keyspace) {
    struct store_scan scan = {.visit = on_visited, .done = on_scanned, .partition = at(keyspace)};
    assert_int_equal(get_one(shop, keyspace), 0);
    assert_int_equal(store_partition_of(shop->store, at(keyspace)).key_count, 0);
    assert_true(store_each(shop->store, &scan));
    assert_int_equal(scan.status, ST_OK);
}

static const struct partition own = {0, SLOT_SYSTEM};

static struct shop *shop_to_drop_in(uint64_t flush_size) {
    struct shop *shop = shop_opened(flush_size);
    uint8_t bytes[RECORD_SIZE];
    for (uint32_t i = 0; i < ROOM; i++) {
        assert_int_equal(set_one(shop, numbers[i], (uint8_t)(i + 1)), ST_OK);
    }
    assert_int_equal(set(shop, own, SLICE("fact"), record_of(shop, 9, bytes)), ST_OK);
    shop_run(shop, NS_PER_SECOND);
    return shop;
}

static void merge_all(struct shop *shop) {
    machine_enter(shop->machine);
    store_compact(shop->store);
    machine_leave(shop->machine);
    shop_run(shop, 3 * NS_PER_SECOND);
}

// Each of them goes, wherever it is: keyspace 0, too, but for what the node knows of itself.
static void what_is_dropped_is_gone_for_good(void **state) {
    (void)state;
    for (uint32_t way = 0; way < 2 * ROOM; way++) {
        uint16_t gone = numbers[way / 2];
        struct shop *shop = shop_to_drop_in(way % 2 == 0 ? 1000000 : 1);
        struct store_partition before = store_partition_of(shop->store, own);
        assert_int_equal(drop(shop, 1000), ST_OK);       // there is a manifest then
        assert_int_equal(set_one(shop, gone, 9), ST_OK); // in the log behind its position
        assert_int_equal(drop(shop, gone), ST_OK);
        assert_int_equal(drop(shop, gone), ST_OK); // once more, for who did not hear of it
        for (uint32_t life = 0; life < 4; life++) {
            struct shop_found found;
            for (uint32_t i = 0; i < ROOM; i++) {
                if (numbers[i] != gone) assert_int_equal(get_one(shop, numbers[i]), i + 1);
            }
            check_gone(shop, gone);
            assert_int_equal(shop_find(shop, own, SLICE("fact"), &found), ST_OK);
            struct store_partition now = store_partition_of(shop->store, own);
            assert_memory_equal(&now, &before, sizeof(now));
            assert_int_equal(store_stats(shop->store).key_count, ROOM - 1);
            assert_int_equal(store_stats(shop->store).recounts, 0);
            if (life == 2) merge_all(shop);
            shop_crash(shop, life % 2 == 0);
            if (life == 1) rot_facts(shop);
            assert_int_equal(shop_open(shop), ST_OK);
            assert_int_equal(store_stats(shop->store).recounts, life == 1);
            if (life == 1) { // nothing of it is counted, though tables may have it
                uint32_t other = gone == 7 ? 2 : 1;
                assert_int_equal(set_one(shop, numbers[other], (uint8_t)(other + 1)), ST_OK);
                shop_run(shop, NS_PER_SECOND);
                shop_end(shop);
                assert_int_equal(shop_open(shop), ST_OK);
            }
        }
        shop_end(shop);
        shop_free(shop);
    }
}

static void nobody_writes_where_it_was_dropped(void **state) {
    (void)state;
    struct shop *shop = shop_to_drop_in(1000000);
    uint8_t bytes[RECORD_SIZE];
    assert_int_equal(drop(shop, 0), ST_OK);
    assert_int_equal(set_one(shop, 0, 5), ST_INVALID);
    assert_int_equal(set(shop, own, SLICE("fact"), record_of(shop, 8, bytes)), ST_OK);
    check_gone(shop, 0);
    assert_int_equal(drop(shop, 7), ST_OK);
    assert_int_equal(set_one(shop, 7, 5), ST_INVALID);
    shop_run(shop, NS_PER_SECOND);
    assert_int_equal(set_one(shop, 300, 6), ST_OK); // it has taken its place
    assert_int_equal(get_one(shop, 300), 6);
    check_gone(shop, 7);
    const uint16_t left[] = {300, 65535};
    check_list(shop, left, 2);
    shop_end(shop);
    shop_free(shop);
}

// What is left of it goes with merges, and then it is forgotten that it was there.
static void what_was_dropped_leaves_the_tables(void **state) {
    (void)state;
    struct shop *shop = shop_to_drop_in(1);
    uint8_t bytes[RECORD_SIZE];
    struct slice record = record_of(shop, 1, bytes);
    for (uint32_t i = 0; i < 200; i++) {
        assert_int_equal(set(shop, (struct partition){7, (uint16_t)(100 + i)}, key, record), ST_OK);
    }
    merge_all(shop);
    uint64_t before = store_stats(shop->store).table_size;
    assert_int_equal(drop(shop, 7), ST_OK);
    assert_int_equal(store_stats(shop->store).dirty_size, 0);
    assert_int_equal(set_one(shop, 7, 1), ST_INVALID);
    assert_int_equal(set_one(shop, 65535, 5), ST_OK);
    shop_run(shop, NS_PER_SECOND);
    merge_all(shop);
    assert_true(store_stats(shop->store).table_size < before / 2);
    assert_int_equal(set_one(shop, 7, 6), ST_OK); // nothing keeps the numbers of what is gone
    assert_int_equal(get_one(shop, 7), 6);
    assert_int_equal(store_partition_of(shop->store, (struct partition){7, 100}).key_count, 0);
    shop_crash(shop, true);
    assert_int_equal(shop_open(shop), ST_OK);
    assert_int_equal(get_one(shop, 7), 6);
    shop_end(shop);
    shop_free(shop);
}

// Memory is given back, of what was not in a table yet, too.
static void what_was_dropped_leaves_memory(void **state) {
    (void)state;
    struct shop *shop = shop_opened(1000000);
    uint8_t bytes[RECORD_SIZE];
    struct slice record = record_of(shop, 1, bytes);
    assert_int_equal(set_one(shop, 0, 1), ST_OK);
    assert_int_equal(set_one(shop, 7, 1), ST_OK);
    shop->options.flush_size = 0;
    struct store_stats before = store_stats(shop->store);
    for (uint32_t i = 0; i < 300; i++) {
        assert_int_equal(set(shop, (struct partition){7, (uint16_t)(100 + i)}, key, record), ST_OK);
    }
    assert_true(store_stats(shop->store).dirty_size >
                before.dirty_size + UINT64_C(300) * RECORD_SIZE);
    assert_int_equal(drop(shop, 7), ST_OK);
    shop_run(shop, NS_PER_SECOND / 100);
    uint64_t most = before.memory_used + UINT64_C(300) * RECORD_SIZE / 4; // there may be a table
    assert_true(store_stats(shop->store).memory_used < most);
    assert_true(store_stats(shop->store).dirty_size <= before.dirty_size);
    assert_int_equal(store_stats(shop->store).key_count, 1);
    shop_end(shop);
    shop_free(shop);
}

static void only_so_many_are_dropped_at_a_time(void **state) {
    (void)state;
    enum { DROPPED_MAX = 16 };
    struct shop *shop = shop_to_drop_in(1000000);
    struct dropper d;
    struct dropper second;
    begin_drop(shop, 1000, &d);
    assert_int_equal(store_drop(shop->store, 1001, on_dropped, &second), ST_BUSY);
    assert_true(shop_wait(shop, &d.is_done));
    // While nothing becomes a table and is merged all have to be remembered.
    for (uint32_t i = 1; i < DROPPED_MAX; i++) {
        shop->options.flush_size = UINT64_MAX;
        assert_int_equal(drop(shop, (uint16_t)(1000 + i)), ST_OK);
    }
    enum status status = store_drop(shop->store, 2000, on_dropped, &d);
    assert_true(status == ST_TOO_LARGE || status == ST_OK);
    if (status == ST_OK) {
        d.is_done = false;
        assert_true(shop_wait(shop, &d.is_done));
    }
    assert_int_equal(get_one(shop, 7), 2);
    shop_end(shop);
    shop_free(shop);
}

// A snapshot has all of a keyspace, or nothing, and is what it says either way.
static void a_snapshot_and_a_drop_wait_for_each_other(void **state) {
    (void)state;
    for (uint32_t steps = 0; steps < 40; steps++) {
        struct shop *shop = shop_to_drop_in(1);
        struct dropper d;
        struct dropper snapshot = {0};
        uint32_t count = steps / 2;
        machine_enter(shop->machine);
        enum status asked = ST_OK;
        if (steps % 2 == 0) {
            asked = store_snapshot_make(shop->store, SLICE("one"), on_dropped, &snapshot);
        }
        machine_leave(shop->machine);
        assert_int_equal(asked, ST_OK);
        while (steps % 2 == 0 && count-- > 0) (void)shop_step(shop, UINT64_MAX);
        begin_drop(shop, 7, &d);
        while (steps % 2 != 0 && count-- > 0) (void)shop_step(shop, UINT64_MAX);
        machine_enter(shop->machine);
        if (steps % 2 != 0) {
            asked = store_snapshot_make(shop->store, SLICE("one"), on_dropped, &snapshot);
        }
        machine_leave(shop->machine);
        assert_int_equal(asked, steps % 2 == 0 || d.is_done ? ST_OK : ST_BUSY);
        assert_true(shop_wait(shop, &d.is_done));
        assert_int_equal(d.status, ST_OK);
        if (asked == ST_OK) {
            assert_true(shop_wait(shop, &snapshot.is_done));
            assert_int_equal(snapshot.status, ST_OK);
            assert_null(backup_check(machine_disk(shop->machine), "one", &shop->options));
        }
        check_gone(shop, 7);
        shop_end(shop);
        shop_free(shop);
    }
}

int store_keyspace_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(one_key_is_another_in_each_keyspace),
        cmocka_unit_test(a_keyspace_without_keys_has_none),
        cmocka_unit_test(one_too_many_is_refused_until_another_is_empty),
        cmocka_unit_test(a_store_of_more_keyspaces_is_not_opened),
        cmocka_unit_test(facts_of_many_partitions_come_back),
        cmocka_unit_test(what_is_dropped_is_gone_for_good),
        cmocka_unit_test(nobody_writes_where_it_was_dropped),
        cmocka_unit_test(what_was_dropped_leaves_the_tables),
        cmocka_unit_test(what_was_dropped_leaves_memory),
        cmocka_unit_test(only_so_many_are_dropped_at_a_time),
        cmocka_unit_test(a_snapshot_and_a_drop_wait_for_each_other),
        cmocka_unit_test(facts_are_added_up_anew_for_all_keyspaces),
    };
    return cmocka_run_group_tests_name("store_keyspace", cases, NULL, NULL);
}
