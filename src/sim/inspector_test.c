// SPDX-License-Identifier: Apache-2.0
//
// The check of a store's files, on disks of the simulated world: what is whole is clean, and
// whatever was changed is found.
#include "sim/inspector.h"

#include "base/little.h"
#include "sim/store_case.h"

// A store of which every part has been at work.
static struct shop *shop_at_work(uint64_t seed) {
    struct world_options options = world_quiet();
    struct shop *shop = shop_new(seed, &options);
    shop->options.memory_max = 0; // the least there is
    shop->options.segment_size = UINT64_C(96) * 1024;
    shop->options.flush_size = UINT64_C(48) * 1024;
    shop->options.table_size = UINT64_C(64) * 1024;
    shop->options.block_size = 1024;
    static const enum codec codecs[] = {CODEC_NONE, CODEC_LZ4, CODEC_ZSTD};
    shop->options.codec = codecs[seed % 3];
    assert_int_equal(shop_open(shop), ST_OK);
    for (uint32_t i = 0; i < 3; i++) {
        shop_start_selling(shop, SHOP_CLIENTS);
        shop_run(shop, NS_PER_SECOND / 3);
        shop_stop_selling(shop);
    }
    assert_true(store_stats(shop->store).compactions > 0);
    assert_true(store_stats(shop->store).table_count > 2);
    return shop;
}

// A segment that is done with stays when the end comes first.
static void on_left_over(void *context, const struct check_finding *f) {
    (void)context;
    assert_int_equal(strncmp(f->file, "log-", 4), 0);
}

static void what_ended_in_order_is_clean_and_counted(void **state) {
    (void)state;
    for (uint64_t seed = test_seed(); seed < test_seed() + 4; seed++) {
        struct shop *shop = shop_at_work(seed);
        shop_end(shop);
        struct inspection i = {.found = on_left_over};
        inspect(shop->machine, shop->options.record_size_max, &i);
        assert_int_equal(i.status, ST_OK);
        assert_string_equal(i.first, "");
        assert_int_equal(i.counts.damaged, 0);
        assert_int_equal(shop_open(shop), ST_OK);
        struct store_stats stats = store_stats(shop->store);
        assert_int_equal(i.counts.tables, stats.table_count);
        assert_true(i.counts.segments > 0);
        assert_true(i.counts.files >= stats.table_count + i.counts.segments + 2);
        assert_true(i.counts.bytes > stats.table_size);
        assert_true(i.counts.records >= stats.key_count + stats.replayed);
        shop_free(shop);
    }
}

static void an_empty_directory_is_clean(void **state) {
    (void)state;
    struct world_options options = world_quiet();
    struct shop *shop = shop_new(test_seed(), &options);
    struct inspection i = shop_inspect(shop);
    assert_string_equal(i.first, "");
    assert_int_equal(i.counts.files, 0);
    shop_free(shop);
}

// The bytes of one file, and which of them anybody ever reads.
struct content {
    char name[ENV_FILE_NAME_MAX + 1];
    uint8_t *bytes;
    uint8_t *is_live;
    uint32_t size;
};

static bool begins(const struct content *c, const char *word) {
    return strncmp(c->name, word, strlen(word)) == 0;
}

static void mark_live(struct content *c, uint64_t from, uint64_t size) {
    assert_true(from + size <= c->size);
    memset(c->is_live + from, 1, size);
}

// A piece has a head of 16 bytes, its content, and zeros up to a multiple of 16 (docs/formats.md).
static void mark_pieces(struct content *c, uint32_t end) {
    for (uint32_t at = 0; at < end;) {
        uint32_t size = load_u32(c->bytes + at);
        mark_live(c, at, 16 + (uint64_t)size);
        at += (16 + size + 15) / 16 * 16;
    }
}

// Whether zeros up to the next sector, too few for a size, are followed by the mark of a batch.
static bool is_short_gap(const struct content *c, uint32_t at) {
    enum { MARK = 38 };
    uint32_t next = (at + 511) / 512 * 512;
    static const uint8_t zeros[4];
    if (next == at || next - at >= sizeof(zeros) || next + 4 > c->size) return false;
    return memcmp(c->bytes + at, zeros, next - at) == 0 && load_u32(c->bytes + next) == MARK;
}

// Frames follow each other or begin on a sector. The last batch may always be one that was torn.
static void mark_log(struct content *c) {
    uint32_t batch = 0;
    for (uint32_t at = 1024; at + 12 <= c->size;) {
        uint32_t size = is_short_gap(c, at) ? 0 : load_u32(c->bytes + at);
        if (size > 0) {
            if (at % 512 == 0) batch = at;
            mark_live(c, at, 12 + (uint64_t)size);
            at += 12 + size;
        } else if (at % 512 == 0) {
            break;
        } else {
            at = (at + 511) / 512 * 512;
        }
    }
    if (batch == 0) return; // nobody would miss it
    memset(c->is_live + batch, 0, c->size - batch);
    mark_live(c, 0, 40);
    mark_live(c, 512, 40);
}

static void take_content(struct shop *shop, const char *name, struct content *c) {
    const struct image *image = &disk_find(machine_disk(shop->machine), name)->seen;
    c->size = (uint32_t)image->size;
    c->bytes = malloc(c->size);
    image_read(image, 0, c->bytes, c->size);
    c->is_live = calloc(1, c->size);
    snprintf(c->name, sizeof(c->name), "%s", name);
    if (begins(c, "manifest")) mark_live(c, 0, c->size);
    if (begins(c, "facts-")) mark_pieces(c, c->size);
    if (begins(c, "log-")) mark_log(c);
    if (begins(c, "table-")) {
        mark_pieces(c, c->size - 256);
        mark_live(c, c->size - 256, 92);
        mark_live(c, c->size - 128, 92);
    }
}

// Whether the file is named by some finding that is not harmless, and whether by one that is. What
// is missing of the log is told of where it begins, maybe at the end of the segment before.
struct blame {
    const char *name;
    bool is_named;
    bool is_left_over;
};

static void on_found(void *context, const struct check_finding *f) {
    struct blame *b = context;
    assert_true(strlen(f->what) > 0);
    bool is_log = strncmp(f->file, "log-", 4) == 0 && strncmp(b->name, "log-", 4) == 0;
    bool is_same = strcmp(f->file, b->name) == 0;
    bool is_harmless = f->meaning == CHECK_HARMLESS;
    b->is_named |= !is_harmless && (is_same || is_log);
    b->is_left_over |= is_harmless && is_same && strncmp(f->what, "left over", 9) == 0;
}

// A segment that is done with stays when the end comes first.
static bool is_left_over(struct shop *shop, const char *name) {
    struct blame blame = {.name = name};
    struct inspection i = {.found = on_found, .context = &blame};
    inspect(shop->machine, shop->options.record_size_max, &i);
    return blame.is_left_over;
}

static bool is_blamed(struct shop *shop, const char *name) {
    struct blame blame = {.name = name};
    struct inspection i = {.found = on_found, .context = &blame};
    inspect(shop->machine, shop->options.record_size_max, &i);
    assert_int_equal(i.status, ST_OK);
    assert_int_equal(blame.is_named || i.first[0] != '\0', i.counts.damaged > 0);
    return blame.is_named;
}

static void try_flips(struct shop *shop, const struct disk *whole, const char *name,
                      uint32_t flips) {
    struct content c;
    take_content(shop, name, &c);
    if (memchr(c.is_live, 1, c.size) == NULL) flips = 0;
    while (flips > 0) {
        uint32_t at = rng_below(&shop->rng, c.size);
        if (!c.is_live[at]) continue;
        flips--;
        machine_restore(shop->machine, whole);
        assert_true(machine_rot(shop->machine, name, at));
        if (!is_blamed(shop, name)) fail_msg("%s: a flip at %u of %u", name, at, c.size);
    }
    free(c.bytes);
    free(c.is_live);
}

static void every_flipped_bit_is_found(void **state) {
    (void)state;
    uint32_t tried[4] = {0};
    static const char *const kinds[4] = {"manifest", "facts-", "log-", "table-"};
    for (uint64_t seed = test_seed(); seed < test_seed() + 4; seed++) {
        struct shop *shop = shop_at_work(seed);
        shop_run(shop, 3 * NS_PER_SECOND);
        shop_end(shop);
        struct disk *whole = disk_copy(machine_disk(shop->machine));
        for (uint32_t at = 0; at < whole->seen.count; at++) {
            const char *name = whole->seen.entries[at].text;
            for (uint32_t kind = 0; kind < 4; kind++) {
                if (strncmp(name, kinds[kind], strlen(kinds[kind])) != 0) continue;
                machine_restore(shop->machine, whole);
                if (is_left_over(shop, name)) continue;
                try_flips(shop, whole, name, 12);
                tried[kind]++;
            }
        }
        machine_restore(shop->machine, whole);
        assert_string_equal(shop_inspect(shop).first, "");
        disk_destroy(whole);
        shop_free(shop);
    }
    for (uint32_t kind = 0; kind < 4; kind++) assert_true(tried[kind] > 0);
}

// Whether a segment was made and never used: nobody would miss it.
static bool is_unused(struct shop *shop, const char *name) {
    const struct image *image = &disk_find(machine_disk(shop->machine), name)->seen;
    uint8_t head[12];
    image_read(image, 1024, head, sizeof(head));
    return strncmp(name, "log-", 4) == 0 && load_u32(head) == 0;
}

// Whether the log may as well have ended before this segment: behind it there is nothing.
static bool is_last_used(struct shop *shop, const struct disk_names *names, uint32_t at) {
    for (uint32_t i = at + 1; i < names->count; i++) {
        const char *name = names->entries[i].text;
        if (strncmp(name, "log-", 4) == 0 && !is_unused(shop, name)) return false;
    }
    return true;
}

// Takes one file after the other away, or its end.
static void files_that_are_cut_or_missing_are_found(void **state) {
    (void)state;
    struct shop *shop = shop_at_work(test_seed());
    shop_end(shop);
    struct disk *whole = disk_copy(machine_disk(shop->machine));
    uint32_t segments = 0;
    for (uint32_t at = 0; at < whole->seen.count; at++) {
        const char *name = whole->seen.entries[at].text;
        machine_restore(shop->machine, whole);
        if (strcmp(name, "spare") == 0 || strcmp(name, "blank") == 0) continue;
        if (is_unused(shop, name) || is_left_over(shop, name)) continue;
        bool is_segment = strncmp(name, "log-", 4) == 0;
        bool may_be_missed = is_segment && segments > 0 && is_last_used(shop, &whole->seen, at);
        segments += is_segment;
        assert_true(disk_remove(machine_disk(shop->machine), name));
        // That these are missing shows elsewhere: in the log, or in another segment.
        bool is_told = is_segment || strcmp(name, "manifest") == 0;
        bool is_found = is_told ? shop_inspect(shop).counts.damaged > 0 : is_blamed(shop, name);
        if (!is_found && !may_be_missed) fail_msg("%s is missing", name);
        machine_restore(shop->machine, whole);
        assert_true(machine_cut_tail(shop->machine, name, 200));
        if (!is_blamed(shop, name)) fail_msg("%s is cut", name);
    }
    assert_true(segments > 0);
    disk_destroy(whole);
    shop_free(shop);
}

static void what_nobody_names_is_told_and_harmless(void **state) {
    (void)state;
    struct shop *shop = shop_at_work(test_seed());
    shop_end(shop);
    uint64_t before = shop_inspect(shop).counts.left_over;
    static const char *const names[] = {"table-00000000000f0000", "facts-00000000000f0000",
                                        "log-0000000000000001", "manifest-new"};
    for (uint32_t i = 0; i < 4; i++) (void)disk_make(machine_disk(shop->machine), names[i]);
    struct inspection i = shop_inspect(shop);
    assert_string_equal(i.first, "");
    assert_int_equal(i.counts.left_over, before + 4);
    assert_int_equal(shop_open(shop), ST_OK);
    shop_check_all(shop);
    shop_end(shop);
    for (uint32_t k = 0; k < 4; k++) assert_false(is_left_over(shop, names[k])); // as was said
    shop_free(shop);
}

// Whatever the next start holds for damage was found before it.
static void what_a_start_complains_of_was_found_before(void **state) {
    (void)state;
    uint32_t told = 0;
    for (uint64_t seed = test_seed(); seed < test_seed() + test_share(30, 12); seed++) {
        struct shop *shop = shop_at_work(seed);
        if (seed % 3 > 0) shop_run(shop, 3 * NS_PER_SECOND);
        machine_power_loss(shop->machine);
        assert_string_equal(shop_inspect(shop).first, "");
        const struct disk_names *names = &machine_disk(shop->machine)->seen;
        for (uint32_t at = 0; at < names->count; at++) {
            if (!rng_chance(&shop->rng, 1, 6)) continue;
            const char *name = names->entries[at].text;
            (void)machine_rot(shop->machine, name, rng_below(&shop->rng, 60000));
        }
        struct inspection i = shop_inspect(shop);
        enum status status = shop_open(shop);
        if (status == ST_OK) {
            (void)shop_count_lost(shop);
            struct store_stats stats = store_stats(shop->store);
            if (stats.was_damaged || stats.damaged > 0) assert_true(i.counts.damaged > 0);
            told += stats.was_damaged;
        } else {
            assert_true(i.counts.damaged > 0);
        }
        shop_free(shop);
    }
    assert_true(told > test_share(3, 1));
}

int inspector_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(what_ended_in_order_is_clean_and_counted),
        cmocka_unit_test(an_empty_directory_is_clean),
        cmocka_unit_test(every_flipped_bit_is_found),
        cmocka_unit_test(files_that_are_cut_or_missing_are_found),
        cmocka_unit_test(what_nobody_names_is_told_and_harmless),
        cmocka_unit_test(what_a_start_complains_of_was_found_before),
    };
    return cmocka_run_group_tests_name("inspector", cases, NULL, NULL);
}
