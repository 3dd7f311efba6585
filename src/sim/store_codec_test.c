// SPDX-License-Identifier: Apache-2.0
//
// Tables in several codecs in one directory, as restarts under other settings leave them, and
// several codecs in one table.
#include "sim/store_case.h"

#include "base/little.h"

static void set_up(struct shop *shop) {
    shop->options.memory_max = 0; // the least there is
    shop->options.segment_size = UINT64_C(96) * 1024;
    shop->options.flush_size = 8192;
    shop->options.table_size = 32768;
    shop->options.block_size = 2048;
}

// What tables are, a bit for each that there is.
struct tables {
    uint32_t codecs;   // of their first blocks
    uint32_t versions; // in their footers
};

// False: it is left over, without a footer. *footer: where that is.
static bool note_table(const struct shop *shop, const char *name, struct tables *tables,
                       uint32_t *footer) {
    enum { UNIT = 16, TAIL = 256 };
    uint8_t head[8];
    uint8_t tail[12];
    uint32_t end = 0;
    while (machine_durable_read(shop->machine, name, end, tail, 1) == 1) end += UNIT;
    if (end < TAIL) return false;
    (void)machine_durable_read(shop->machine, name, 0, head, sizeof(head));
    (void)machine_durable_read(shop->machine, name, end - TAIL, tail, sizeof(tail));
    if (memcmp(tail, "QUOITTAB", 8) != 0) return false;
    tables->codecs |= 1u << (load_u32(head + 4) >> 28);
    tables->versions |= 1u << load_u32(tail + 8);
    *footer = end - TAIL;
    return true;
}

static struct tables tables_on_disk(const struct shop *shop) {
    uint8_t names[8192];
    struct tables tables = {0};
    uint32_t at = 0;
    uint32_t size = machine_durable_names(shop->machine, names, sizeof(names));
    const char *name;
    uint32_t count = 0;
    while ((name = shop_next_table(names, size, &at)) != NULL) {
        uint32_t footer;
        count += note_table(shop, name, &tables, &footer);
    }
    assert_true(count > 0);
    return tables;
}

// A life of the process in which a table or two are made.
static void live(struct shop *shop, enum codec codec) {
    shop->options.codec = codec;
    assert_int_equal(shop_open(shop), ST_OK);
    shop_check_all(shop);
    shop_start_selling(shop, SHOP_CLIENTS);
    uint64_t until = world_now(shop->world) + 60 * NS_PER_SECOND;
    while (store_stats(shop->store).flushes < 2) assert_true(world_step(shop->world, until));
    shop_stop_selling(shop);
    shop_check_all(shop);
    assert_int_equal(store_stats(shop->store).damaged, 0);
    shop_end(shop);
}

static void tables_of_all_codecs_lie_side_by_side(void **state) {
    (void)state;
    enum { ALL = (1 << CODECS) - 1 };
    uint32_t full = 0; // how often there were tables of each
    for (uint64_t seed = test_seed(); seed < test_seed() + 6; seed++) {
        struct world_options options = world_quiet();
        struct shop *shop = shop_new(seed, &options);
        set_up(shop);
        for (uint32_t round = 0; round < 9; round++) {
            live(shop, (enum codec)((seed + round) % CODECS));
            full += tables_on_disk(shop).codecs == ALL;
        }
        assert_int_equal(shop->refused_count, 0);
        shop_free(shop);
    }
    assert_true(full >= 6);
}

static void a_merge_puts_all_into_the_codec_of_now(void **state) {
    (void)state;
    for (enum codec last = CODEC_NONE; last < CODECS; last++) {
        struct world_options options = world_quiet();
        struct shop *shop = shop_new(test_seed(), &options);
        set_up(shop);
        shop->options.table_size = 0; // so the base is one table, and nothing of it stays as it is
        for (uint32_t round = 0; round < CODECS; round++) live(shop, (enum codec)round);
        shop->options.codec = last;
        assert_int_equal(shop_open(shop), ST_OK);
        shop_start_selling(shop, SHOP_CLIENTS);
        shop_run(shop, NS_PER_SECOND / 4);
        shop_stop_selling(shop);
        machine_enter(shop->machine);
        store_compact(shop->store);
        machine_leave(shop->machine);
        shop_run(shop, 10 * NS_PER_SECOND);
        assert_true(store_stats(shop->store).compactions > 0);
        struct tables tables = tables_on_disk(shop);
        // A block that gains nothing stays as it is.
        assert_int_equal(tables.codecs | 1u << CODEC_NONE, 1u << last | 1u << CODEC_NONE);
        assert_int_equal(tables.versions, 1u << (last == CODEC_ZSTD ? 2 : 1));
        shop_check_all(shop);
        shop_end(shop);
        shop_free(shop);
    }
}

// Codecs of keyspaces.

// Of a table: in what codecs the blocks are that have the first keys of partitions, a bit for each,
// by place among the keyspaces of the shop.
struct blocks {
    uint32_t codecs[SHOP_KEYSPACES];
};

enum { BLOCKS_MAX = 4096, PIECE_HEAD_SIZE = 16, PARTITION_SIZE = 32 };

static uint32_t durable_u32(const struct shop *shop, const char *name, uint64_t at) {
    uint8_t bytes[4];
    assert_int_equal(machine_durable_read(shop->machine, name, (uint32_t)at, bytes, 4), 4);
    return load_u32(bytes);
}

// The codecs of all blocks, as their heads say. Returns how many there are.
static uint32_t read_heads(const struct shop *shop, const char *name, uint32_t end,
                           uint8_t codecs[BLOCKS_MAX]) {
    uint32_t count = 0;
    for (uint32_t at = 0; at < end; count++) {
        assert_true(count < BLOCKS_MAX);
        codecs[count] = (uint8_t)(durable_u32(shop, name, at + 4) >> 28);
        at += (PIECE_HEAD_SIZE + durable_u32(shop, name, at) + 15) / 16 * 16;
    }
    return count;
}

static struct blocks blocks_of(const struct shop *shop, const char *name, uint32_t footer) {
    static uint8_t codecs[BLOCKS_MAX];
    struct blocks blocks = {0};
    uint32_t count = read_heads(shop, name, durable_u32(shop, name, footer + 40), codecs);
    uint32_t at = durable_u32(shop, name, footer + 56);
    uint32_t end = at + PIECE_HEAD_SIZE + durable_u32(shop, name, at);
    for (at += PIECE_HEAD_SIZE; at < end; at += PARTITION_SIZE) {
        uint32_t block = durable_u32(shop, name, at + 4);
        uint32_t keyspace = durable_u32(shop, name, at) >> 16;
        assert_true(block < count);
        for (uint32_t i = 0; i < SHOP_KEYSPACES; i++) {
            if (shop_keyspace(i, 0) == keyspace) blocks.codecs[i] |= 1u << codecs[block];
        }
    }
    return blocks;
}

// Adds up all tables. Returns how many have blocks in all of the codecs that are wanted.
static uint32_t blocks_on_disk(const struct shop *shop, struct blocks *all,
                               const enum codec wanted[SHOP_KEYSPACES]) {
    uint8_t names[8192];
    uint32_t at = 0;
    uint32_t size = machine_durable_names(shop->machine, names, sizeof(names));
    uint32_t count = 0;
    const char *name;
    *all = (struct blocks){0};
    while ((name = shop_next_table(names, size, &at)) != NULL) {
        uint32_t footer;
        struct tables unused = {0};
        if (!note_table(shop, name, &unused, &footer)) continue;
        struct blocks blocks = blocks_of(shop, name, footer);
        bool has_all = true;
        for (uint32_t i = 0; i < SHOP_KEYSPACES; i++) {
            all->codecs[i] |= blocks.codecs[i];
            if ((blocks.codecs[i] >> wanted[i] & 1) == 0) has_all = false;
        }
        count += has_all;
    }
    return count;
}

static void set_codecs(struct shop *shop, const enum codec codecs[SHOP_KEYSPACES]) {
    struct keyspace_codec named[SHOP_KEYSPACES];
    uint32_t count = 0;
    for (uint32_t i = 0; i < SHOP_KEYSPACES; i++) {
        if (codecs[i] == shop->options.codec) continue;
        named[count++] = (struct keyspace_codec){shop_keyspace(i, 0), codecs[i]};
    }
    machine_enter(shop->machine);
    store_set_codecs(shop->store, named, count);
    machine_leave(shop->machine);
}

static void sell(struct shop *shop, uint64_t time) {
    shop_start_selling(shop, SHOP_CLIENTS);
    shop_run(shop, time);
    shop_stop_selling(shop);
}

static void merge_all(struct shop *shop) {
    uint64_t before = store_stats(shop->store).compactions;
    sell(shop, NS_PER_SECOND / 4); // so that there is something to merge
    machine_enter(shop->machine);
    store_compact(shop->store);
    machine_leave(shop->machine);
    shop_run(shop, 10 * NS_PER_SECOND);
    assert_true(store_stats(shop->store).compactions > before);
}

// A block that gains nothing stays as it is.
static void check_codecs(const struct blocks *blocks, const enum codec codecs[SHOP_KEYSPACES]) {
    for (uint32_t i = 0; i < SHOP_KEYSPACES; i++) {
        uint32_t right = 1u << codecs[i] | 1u << CODEC_NONE;
        assert_int_equal(blocks->codecs[i] | right, right);
        assert_true((blocks->codecs[i] >> codecs[i] & 1) != 0);
    }
}

static void check_merged(struct shop *shop, const enum codec codecs[SHOP_KEYSPACES]) {
    struct blocks blocks;
    merge_all(shop);
    assert_true(blocks_on_disk(shop, &blocks, codecs) > 0);
    check_codecs(&blocks, codecs);
    shop_check_all(shop);
}

static void each_keyspace_of_a_table_is_in_its_codec(void **state) {
    (void)state;
    static const enum codec all_lz4[SHOP_KEYSPACES] = {CODEC_LZ4, CODEC_LZ4, CODEC_LZ4};
    enum codec codecs[SHOP_KEYSPACES];
    struct world_options options = world_quiet();
    struct shop *shop = shop_new(test_seed(), &options);
    set_up(shop);
    shop->options.table_size = 0; // so the base is one table, and nothing of it stays as it is
    shop->options.codec = CODEC_LZ4;
    assert_int_equal(shop_open(shop), ST_OK);
    for (uint32_t round = 0; round < CODECS + 1; round++) {
        for (uint32_t i = 0; i < SHOP_KEYSPACES; i++) codecs[i] = (round + i) % CODECS;
        set_codecs(shop, codecs);
        if (round == 0) { // there is nothing older: tables of flushes, and of the first merges
            struct blocks blocks;
            sell(shop, NS_PER_SECOND);
            assert_true(blocks_on_disk(shop, &blocks, codecs) > 0);
            check_codecs(&blocks, codecs);
        }
        check_merged(shop, codecs);
    }
    // Who is told nothing, or nothing any more, writes everything as the options say.
    shop_end(shop);
    assert_int_equal(shop_open(shop), ST_OK);
    shop_check_all(shop);
    check_merged(shop, all_lz4);
    set_codecs(shop, codecs);
    check_merged(shop, codecs);
    set_codecs(shop, all_lz4);
    check_merged(shop, all_lz4);
    assert_int_equal(store_stats(shop->store).damaged, 0);
    shop_end(shop);
    shop_free(shop);
}

// Flushes and merges are in any phase then, and end in a table that is good.
static void codecs_may_change_at_any_time(void **state) {
    (void)state;
    for (uint64_t seed = test_seed(); seed < test_seed() + 4; seed++) {
        struct world_options options = world_quiet();
        struct shop *shop = shop_new(seed, &options);
        set_up(shop);
        assert_int_equal(shop_open(shop), ST_OK);
        shop_start_selling(shop, SHOP_CLIENTS);
        for (uint32_t round = 0; round < 300; round++) {
            enum codec codecs[SHOP_KEYSPACES];
            for (uint32_t i = 0; i < SHOP_KEYSPACES; i++) {
                codecs[i] = (enum codec)rng_below(&shop->rng, CODECS);
            }
            set_codecs(shop, codecs);
            shop_run(shop, 1 + rng_below(&shop->rng, 20) * NS_PER_MS);
        }
        shop_stop_selling(shop);
        assert_true(store_stats(shop->store).flushes > 10);
        assert_true(store_stats(shop->store).compactions > 0);
        shop_check_all(shop);
        shop_end(shop);
        assert_int_equal(shop_open(shop), ST_OK);
        shop_check_all(shop);
        assert_int_equal(store_stats(shop->store).damaged, 0);
        shop_end(shop);
        shop_free(shop);
    }
}

int store_codec_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(tables_of_all_codecs_lie_side_by_side),
        cmocka_unit_test(a_merge_puts_all_into_the_codec_of_now),
        cmocka_unit_test(each_keyspace_of_a_table_is_in_its_codec),
        cmocka_unit_test(codecs_may_change_at_any_time),
    };
    return cmocka_run_group_tests_name("store_codec", cases, NULL, NULL);
}
