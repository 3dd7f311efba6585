// SPDX-License-Identifier: Apache-2.0
//
// Tables in several codecs in one directory, as restarts under other settings leave them.
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

// False: it is left over, without a footer.
static bool note_table(const struct shop *shop, const char *name, struct tables *tables) {
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
        count += note_table(shop, name, &tables);
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

// What it needs to compress is taken from the memory that the store says it takes.
static void the_memory_of_a_codec_is_counted(void **state) {
    (void)state;
    struct store_options options = shop_options();
    uint64_t none = store_memory_size(&options);
    options.codec = CODEC_LZ4;
    assert_true(store_memory_size(&options) > none);
    options.codec = CODEC_ZSTD;
    assert_true(store_memory_size(&options) > none + UINT64_C(100) * 1024);
}

int store_codec_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(tables_of_all_codecs_lie_side_by_side),
        cmocka_unit_test(a_merge_puts_all_into_the_codec_of_now),
        cmocka_unit_test(the_memory_of_a_codec_is_counted),
    };
    return cmocka_run_group_tests_name("store_codec", cases, NULL, NULL);
}
