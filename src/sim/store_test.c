// SPDX-License-Identifier: Apache-2.0
//
// What the store promises to those who call it, in a world without faults.
#include "base/text.h"
#include "sim/store_case.h"

// A write whose record is given.
struct setting {
    struct store_write write;
    struct slice record;
    enum status apply_status;
    bool is_same;
    uint32_t applied;
    bool is_done;
    struct slice seen; // the old record, by address
};

static enum status on_apply_setting(struct store_write *write, struct slice old,
                                    struct slice *new) {
    struct setting *s = CONTAINER_OF(write, struct setting, write);
    s->applied++;
    s->seen = old;
    *new = s->is_same ? old : s->record;
    return s->apply_status;
}

static void on_set(struct store_write *write) {
    CONTAINER_OF(write, struct setting, write)->is_done = true;
}

static void begin_set(struct shop *shop, struct setting *s, struct partition partition,
                      struct slice key) {
    s->write = (struct store_write){.apply = on_apply_setting, .done = on_set};
    s->write.partition = partition;
    s->write.key = key;
    s->is_done = false;
    machine_enter(shop->machine);
    store_put(shop->store, &s->write);
    assert_false(s->is_done); // never before store_put returns
    machine_leave(shop->machine);
}

static enum status set(struct shop *shop, struct partition partition, struct slice key,
                       struct slice record) {
    struct setting s = {.record = record};
    begin_set(shop, &s, partition, key);
    assert_true(shop_wait(shop, &s.is_done));
    assert_int_equal(s.applied, 1);
    return s.write.status;
}

struct getting {
    struct store_read read;
    bool is_done;
    uint8_t bytes[64];
};

static void on_got(struct store_read *read) {
    struct getting *g = CONTAINER_OF(read, struct getting, read);
    g->is_done = true;
    if (read->status == ST_OK) memcpy(g->bytes, read->record.data, read->record.size);
}

static bool begin_get(struct shop *shop, struct getting *g, struct slice key) {
    *g = (struct getting){.read.done = on_got, .read.key = key};
    return store_get(shop->store, &g->read);
}

static struct shop *shop_opened(void) {
    struct world_options options = world_quiet();
    struct shop *shop = shop_new(test_seed(), &options);
    assert_int_equal(shop_open(shop), ST_OK);
    return shop;
}

static const struct partition zero = {0, 0};

static void a_read_shows_what_is_durable_as_of_its_write(void **state) {
    (void)state;
    struct shop *shop = shop_opened();
    struct slice key = SLICE("key");
    struct getting g;
    assert_true(begin_get(shop, &g, key));
    assert_int_equal(g.read.status, ST_NOT_FOUND);

    struct setting first = {.record = SLICE("first")};
    begin_set(shop, &first, zero, key);
    assert_false(begin_get(shop, &g, key)); // not durable yet
    // A newer record comes before the first is shown; the read shows the first all the same.
    struct setting second = {.record = SLICE("second")};
    begin_set(shop, &second, zero, key);
    assert_int_equal(second.seen.size, 5); // writes see each other at once
    assert_true(shop_wait(shop, &first.is_done));
    assert_true(shop_wait(shop, &g.is_done));
    assert_int_equal(g.read.status, ST_OK);
    assert_memory_equal(g.bytes, "first", 5);
    assert_true(shop_wait(shop, &second.is_done));
    assert_true(begin_get(shop, &g, key));
    assert_true(slice_equal(g.read.record, SLICE("second")));
    shop_end(shop);
    shop_free(shop);
}

static void a_write_that_changes_nothing_writes_nothing(void **state) {
    (void)state;
    struct shop *shop = shop_opened();
    struct slice key = SLICE("key");
    assert_int_equal(set(shop, zero, key, SLICE("value")), ST_OK);
    shop_run(shop, 3 * NS_PER_SECOND);
    uint64_t syncs = store_stats(shop->store).syncs;

    struct setting same = {.is_same = true};
    begin_set(shop, &same, zero, key);
    assert_true(shop_wait(shop, &same.is_done));
    assert_int_equal(same.write.status, ST_OK);
    struct setting refused = {.record = SLICE("other"), .apply_status = ST_INVALID};
    begin_set(shop, &refused, zero, key);
    assert_true(shop_wait(shop, &refused.is_done));
    assert_int_equal(refused.write.status, ST_INVALID);
    struct setting nothing = {.is_same = true};
    begin_set(shop, &nothing, zero, SLICE("absent"));
    assert_true(shop_wait(shop, &nothing.is_done));
    assert_int_equal(nothing.write.status, ST_OK);
    shop_run(shop, 3 * NS_PER_SECOND);
    assert_int_equal(store_stats(shop->store).syncs, syncs);

    // It is not done before the record that it leaves is durable.
    struct setting fresh = {.record = SLICE("fresh")};
    begin_set(shop, &fresh, zero, key);
    begin_set(shop, &same, zero, key);
    while (!same.is_done) assert_true(world_step(shop->world, UINT64_MAX));
    assert_true(fresh.is_done);
    struct getting g;
    assert_true(begin_get(shop, &g, key));
    assert_true(slice_equal(g.read.record, SLICE("fresh")));
    shop_end(shop);
    shop_free(shop);
}

static void what_is_too_large_is_refused(void **state) {
    (void)state;
    struct shop *shop = shop_opened();
    size_t most = shop->options.record_size_max;
    uint8_t *bytes = calloc(1, most + 1);
    bytes[0] = 1;
    assert_int_equal(set(shop, zero, SLICE("a"), (struct slice){bytes, most + 1}), ST_TOO_LARGE);
    assert_int_equal(set(shop, zero, SLICE("b"), (struct slice){bytes, most}), ST_OK);
    struct getting g;
    assert_true(begin_get(shop, &g, SLICE("a")));
    assert_int_equal(g.read.status, ST_NOT_FOUND);
    uint8_t *key = calloc(1, KEY_SIZE_MAX);
    struct slice long_key = {key, KEY_SIZE_MAX};
    assert_int_equal(set(shop, zero, long_key, (struct slice){bytes, most}), ST_OK);
    shop_end(shop);
    assert_int_equal(shop_open(shop), ST_OK);
    struct store_read read = {.key = long_key};
    assert_true(store_get(shop->store, &read));
    assert_int_equal(read.status, ST_OK);
    assert_int_equal(read.record.size, most);
    free(key);
    free(bytes);
    shop_free(shop);
}

// Writes of one turn, so that all but the first find a batch begun.
static void set_together(struct shop *shop, struct setting *settings, uint32_t count) {
    machine_enter(shop->machine);
    for (uint32_t i = 0; i < count; i++) {
        settings[i].write.apply = on_apply_setting;
        settings[i].write.done = on_set;
        settings[i].is_done = false;
        store_put(shop->store, &settings[i].write);
    }
    machine_leave(shop->machine);
    for (uint32_t i = 0; i < count; i++) {
        assert_true(shop_wait(shop, &settings[i].is_done));
        assert_int_equal(settings[i].write.status, ST_OK);
    }
}

// The last of these frames begins where the largest one just fits into the segment, or just not.
static void the_largest_records_fit_up_to_the_end_of_a_segment(void **state) {
    (void)state;
    uint8_t *bytes = calloc(1, KEY_SIZE_MAX);
    for (size_t size = 5700; size < 7200; size += 50) {
        struct shop *shop = shop_opened();
        shop_end(shop);
        size_t most = shop->options.record_size_max -= 400; // so that no sector ends just there
        assert_int_equal(shop_open(shop), ST_OK);
        struct slice long_key = {bytes, KEY_SIZE_MAX};
        struct setting settings[] = {
            {.write.key = SLICE("a"), .record = {bytes, 18000}},
            {.write.key = SLICE("b"), .record = {bytes, size}},
            {.write.key = long_key, .record = {bytes, most}},
            {.write.key = long_key, .record = {bytes + 1, most}},
        };
        set_together(shop, settings, 4);
        set_together(shop, settings, 4);
        shop_end(shop);
        shop_free(shop);
    }
    free(bytes);
}

static void many_large_writes_at_once_wait_for_room(void **state) {
    (void)state;
    enum { WRITES = 400, SIZE = 16000 };
    struct world_options options = world_quiet();
    struct shop *shop = shop_new(test_seed(), &options);
    shop->options.memory_max = UINT64_C(32) << 20; // no flush
    assert_int_equal(shop_open(shop), ST_OK);
    struct setting *settings = calloc(WRITES, sizeof(*settings));
    uint32_t *keys = calloc(WRITES, sizeof(*keys));
    uint8_t *bytes = calloc(1, SIZE);
    memset(bytes, 'x', SIZE);
    for (uint32_t i = 0; i < WRITES; i++) {
        keys[i] = i % 50;
        settings[i].record = (struct slice){bytes, SIZE};
        begin_set(shop, &settings[i], zero, (struct slice){(uint8_t *)&keys[i], sizeof(keys[i])});
    }
    assert_int_equal(settings[WRITES - 1].applied, 0); // more than all buffers hold
    for (uint32_t i = 0; i < WRITES; i++) {
        assert_true(shop_wait(shop, &settings[i].is_done));
        assert_int_equal(settings[i].write.status, ST_OK);
        assert_int_equal(settings[i].applied, 1);
    }
    assert_true(store_stats(shop->store).segment_count > 20);
    shop_end(shop);
    free(bytes);
    free(keys);
    free(settings);
    shop_free(shop);
}

struct scanning {
    struct store_scan scan;
    char seen[256];
    struct text text;
    uint32_t most;
    uint32_t count;
    bool is_durable;
};

static bool on_visited(struct store_scan *scan, struct slice key, struct slice record,
                       bool is_durable) {
    struct scanning *s = CONTAINER_OF(scan, struct scanning, scan);
    text_bytes(&s->text, key);
    text_char(&s->text, '=');
    text_bytes(&s->text, record);
    text_char(&s->text, ' ');
    s->is_durable = is_durable;
    return ++s->count < s->most;
}

static const char *scan(struct shop *shop, struct scanning *s, uint16_t slot, struct slice after,
                        uint32_t most) {
    *s = (struct scanning){.most = most};
    s->text = text_over(s->seen, sizeof(s->seen));
    s->scan.visit = on_visited;
    s->scan.partition.slot = slot;
    s->scan.after = after;
    assert_true(store_each(shop->store, &s->scan));
    assert_int_equal(s->scan.status, ST_OK);
    return s->seen;
}

static void a_partition_is_listed_in_order_and_in_parts(void **state) {
    (void)state;
    struct shop *shop = shop_opened();
    struct partition other = {0, SLOT_SYSTEM};
    assert_int_equal(set(shop, zero, SLICE("b"), SLICE("2")), ST_OK);
    assert_int_equal(set(shop, zero, SLICE("ab"), SLICE("1")), ST_OK);
    assert_int_equal(set(shop, zero, SLICE("c"), SLICE("3")), ST_OK);
    assert_int_equal(set(shop, other, SLICE("x"), SLICE("own")), ST_OK);
    struct scanning s;
    for (uint32_t round = 0; round < 2; round++) {
        assert_string_equal(scan(shop, &s, 0, SLICE(""), 9), "ab=1 b=2 c=3 ");
        assert_true(s.is_durable);
        assert_string_equal(scan(shop, &s, 0, SLICE(""), 2), "ab=1 b=2 ");
        assert_string_equal(scan(shop, &s, 0, SLICE("b"), 9), "c=3 ");
        assert_string_equal(scan(shop, &s, 0, SLICE("aa"), 9), "ab=1 b=2 c=3 ");
        assert_string_equal(scan(shop, &s, SLOT_SYSTEM, SLICE(""), 9), "x=own ");
        assert_string_equal(scan(shop, &s, 5, SLICE(""), 9), "");
        assert_int_equal(store_stats(shop->store).key_count, 3);
        shop_end(shop);
        assert_int_equal(shop_open(shop), ST_OK);
    }
    struct setting late = {.record = SLICE("4")};
    begin_set(shop, &late, zero, SLICE("d"));
    assert_string_equal(scan(shop, &s, 0, SLICE("c"), 9), "d=4 ");
    assert_false(s.is_durable);
    assert_true(shop_wait(shop, &late.is_done));
    shop_free(shop);
}

static void an_empty_record_removes_its_key_for_good(void **state) {
    (void)state;
    struct shop *shop = shop_opened();
    shop->options.segment_size = UINT64_C(96) * 1024;
    assert_int_equal(set(shop, zero, SLICE("stays"), SLICE("1")), ST_OK);
    assert_int_equal(set(shop, zero, SLICE("goes"), SLICE("2")), ST_OK);
    assert_int_equal(set(shop, zero, SLICE("goes"), SLICE("")), ST_OK);
    for (uint32_t round = 0; round < 3; round++) {
        struct shop_found found;
        assert_int_equal(shop_find(shop, zero, SLICE("goes"), &found), ST_NOT_FOUND);
        assert_int_equal(shop_find(shop, zero, SLICE("stays"), &found), ST_OK);
        assert_int_equal(store_partition_of(shop->store, zero).key_count, 1);
        shop_start_selling(shop, SHOP_CLIENTS); // until the segment with the three is gone
        shop_run(shop, 2 * NS_PER_SECOND);
        shop_stop_selling(shop);
        for (uint32_t key = 0; key < SHOP_KEYS; key++) {
            char name[16];
            struct slice bytes = {(uint8_t *)name, shop_name(key, name)};
            shop->keys[key].acked = 0;
            assert_int_equal(set(shop, shop_partition(shop, key), bytes, SLICE("")), ST_OK);
        }
        shop_end(shop);
        assert_int_equal(shop_open(shop), ST_OK);
    }
    shop_free(shop);
}

static void partitions_add_up_what_they_hold(void **state) {
    (void)state;
    struct shop *shop = shop_opened();
    shop_start_selling(shop, SHOP_CLIENTS);
    shop_run(shop, NS_PER_SECOND / 10);
    shop_stop_selling(shop);
    for (uint32_t round = 0; round < 2; round++) {
        struct store_partition sums[SHOP_PARTITIONS] = {0};
        for (uint32_t key = 0; key < SHOP_KEYS; key++) {
            char name[16];
            struct shop_found found;
            struct slice bytes = {(uint8_t *)name, shop_name(key, name)};
            if (shop_find(shop, shop_partition(shop, key), bytes, &found) != ST_OK) continue;
            struct store_partition *sum = &sums[shop_partition(shop, key).slot];
            sum->digest += found.digest;
            sum->key_count++;
            sum->size += bytes.size + found.size;
        }
        for (uint32_t slot = 0; slot < SHOP_PARTITIONS; slot++) {
            struct store_partition facts =
                store_partition_of(shop->store, shop_partition_at(shop, slot));
            assert_int_equal(facts.digest, sums[slot].digest);
            assert_int_equal(facts.key_count, sums[slot].key_count);
            assert_int_equal(facts.live_count, sums[slot].key_count);
            assert_int_equal(facts.size, sums[slot].size);
        }
        shop_end(shop);
        assert_int_equal(shop_open(shop), ST_OK);
    }
    shop_free(shop);
}

static void a_renewed_actor_stays_renewed(void **state) {
    (void)state;
    struct shop *shop = shop_opened();
    struct actor before = store_actor(shop->store);
    shop_start_selling(shop, 2);
    shop_run(shop, NS_PER_SECOND / 20);
    machine_enter(shop->machine);
    assert_true(store_minted(shop->store).counter > 0);
    store_renew(shop->store, 0);
    assert_int_equal(store_actor(shop->store).epoch, before.epoch + 1);
    assert_int_equal(store_minted(shop->store).counter, 0);
    store_renew(shop->store, before.epoch + 5);
    machine_leave(shop->machine);
    struct actor after = store_actor(shop->store);
    assert_int_equal(after.storage, before.storage);
    assert_int_equal(after.epoch, before.epoch + 6);
    shop_run(shop, NS_PER_SECOND / 20);
    machine_power_loss(shop->machine);
    assert_int_equal(shop_open(shop), ST_OK);
    assert_true(store_actor(shop->store).epoch >= after.epoch);
    shop_check_all(shop);
    shop_free(shop);
}

// One lookup at a time: what comes for a key while others wait for theirs waits behind them.
static void writes_of_a_key_keep_their_order_whoever_reads_it(void **state) {
    (void)state;
    struct world_options options = world_quiet();
    struct shop *shop = shop_new(test_seed(), &options);
    shop->options.lookups_max = 1;
    shop->options.flush_size = 1;
    assert_int_equal(shop_open(shop), ST_OK);
    const struct slice keys[] = {SLICE("first"), SLICE("second"), SLICE("third")};
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(set(shop, zero, keys[i], SLICE("old")), ST_OK);
    }
    shop_run(shop, 3 * NS_PER_SECOND);
    shop_end(shop);
    assert_int_equal(shop_open(shop), ST_OK);

    struct setting sets[3];
    for (uint32_t i = 0; i < 3; i++) {
        sets[i] = (struct setting){.record = SLICE("older")};
        begin_set(shop, &sets[i], zero, keys[i]);
    }
    struct getting g;
    machine_enter(shop->machine);
    assert_false(begin_get(shop, &g, keys[2]));
    machine_leave(shop->machine);
    // When the first has its record, the reader of the third is next.
    while (sets[0].applied == 0) assert_true(world_step(shop->world, UINT64_MAX));
    assert_int_equal(sets[1].applied + sets[2].applied, 0);
    struct setting last = {.record = SLICE("newer")};
    begin_set(shop, &last, zero, keys[2]);
    assert_true(shop_wait(shop, &last.is_done));
    assert_true(sets[2].is_done);
    assert_true(shop_wait(shop, &sets[1].is_done));
    assert_true(shop_wait(shop, &g.is_done));
    struct shop_found found;
    assert_int_equal(shop_find(shop, zero, keys[2], &found), ST_OK);
    assert_int_equal(found.size, 5);
    assert_memory_equal(found.bytes, "newer", 5);
    shop_end(shop);
    shop_free(shop);
}

int store_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(a_read_shows_what_is_durable_as_of_its_write),
        cmocka_unit_test(a_write_that_changes_nothing_writes_nothing),
        cmocka_unit_test(what_is_too_large_is_refused),
        cmocka_unit_test(the_largest_records_fit_up_to_the_end_of_a_segment),
        cmocka_unit_test(many_large_writes_at_once_wait_for_room),
        cmocka_unit_test(a_partition_is_listed_in_order_and_in_parts),
        cmocka_unit_test(an_empty_record_removes_its_key_for_good),
        cmocka_unit_test(partitions_add_up_what_they_hold),
        cmocka_unit_test(a_renewed_actor_stays_renewed),
        cmocka_unit_test(writes_of_a_key_keep_their_order_whoever_reads_it),
    };
    return cmocka_run_group_tests_name("store", cases, NULL, NULL);
}
