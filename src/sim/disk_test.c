// SPDX-License-Identifier: Apache-2.0
#include "sim/disk.h"

#include "tests/test.h"

#include <string.h>

enum { SPACE = 16 * 1024, RUNS = 300 };

static uint32_t rates[FAULT_COUNT];
static uint64_t counts[FAULT_COUNT];
static struct dice dice;

static struct disk *fresh(uint64_t seed, enum disk_personality personality) {
    memset(counts, 0, sizeof(counts));
    dice_init(&dice, seed, 0, rates, counts);
    return disk_create(&dice, fault_stream(seed, 9999, 0), personality);
}

static void put(struct disk *disk, struct disk_file *file, uint64_t offset, char c, uint32_t size) {
    static uint8_t bytes[SPACE];
    memset(bytes, c, size);
    disk_write(disk, file, offset, bytes, size, false);
}

static const uint8_t *seen(struct disk *disk, struct disk_file *file) {
    static uint8_t bytes[SPACE];
    memset(bytes, 0, sizeof(bytes));
    disk_read(disk, file, 0, bytes, SPACE);
    return bytes;
}

static const uint8_t *durable(const struct disk_file *file) {
    static uint8_t bytes[SPACE];
    image_read(&file->durable, 0, bytes, SPACE);
    return bytes;
}

static uint32_t count_of(const uint8_t *bytes, uint32_t size, char c) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < size; i++) count += bytes[i] == (uint8_t)c;
    return count;
}

// A file with a name, both durable, and 8 KiB of 'a' that are, too.
static struct disk_file *synced(struct disk *disk) {
    struct disk_file *file = disk_make(disk, "f");
    put(disk, file, 0, 'a', 8192);
    disk_sync(disk, file, disk->sequence);
    disk_sync_names(disk, disk->sequence);
    return file;
}

static void what_is_synced_survives_on_every_kind_of_disk(void **state) {
    (void)state;
    for (enum disk_personality p = 0; p < DISK_PERSONALITIES; p++) {
        for (uint64_t seed = 0; seed < RUNS; seed++) {
            struct disk *disk = fresh(seed, p);
            struct disk_file *file = synced(disk);
            put(disk, file, 8192, 'b', 5000);
            put(disk, file, 0, 'b', 100);
            disk_power_loss(disk);
            assert_ptr_equal(disk_find(disk, "f"), file);
            const uint8_t *bytes = seen(disk, file);
            assert_int_equal(count_of(bytes + 100, 8092, 'a'), 8092);
            assert_memory_equal(bytes, durable(file), SPACE);
            disk_destroy(disk);
        }
    }
}

// What may be found of a write of 'b' over 8 KiB of 'a', by the count of what is left of it.
struct outcomes {
    bool all;
    bool nothing;
    bool pages;   // a part, of whole pages
    bool sectors; // a part, of whole sectors that are not whole pages
    bool nonsense;
};

static struct outcomes observe(enum disk_personality personality) {
    struct outcomes seen_outcomes = {0};
    for (uint64_t seed = 0; seed < RUNS; seed++) {
        struct disk *disk = fresh(seed, personality);
        struct disk_file *file = synced(disk);
        put(disk, file, 0, 'b', 8192);
        disk_power_loss(disk);
        const uint8_t *bytes = seen(disk, file);
        uint32_t new_count = count_of(bytes, 8192, 'b');
        uint32_t old_count = count_of(bytes, 8192, 'a');
        if (new_count == 8192) {
            seen_outcomes.all = true;
        } else if (old_count == 8192) {
            seen_outcomes.nothing = true;
            assert_int_equal(counts[FAULT_LOST_WRITE], 1);
        } else if (new_count + old_count != 8192) {
            seen_outcomes.nonsense = true;
            assert_true(counts[FAULT_GARBAGE] > 0);
        } else if (new_count % 4096 == 0 && bytes[0] == bytes[4095]) {
            seen_outcomes.pages = true;
            assert_int_equal(counts[FAULT_TORN_WRITE], 1);
        } else {
            seen_outcomes.sectors = true;
            assert_int_equal(new_count % 512, 0);
            assert_int_equal(counts[FAULT_TORN_WRITE], 1);
        }
        disk_destroy(disk);
    }
    return seen_outcomes;
}

static void unsynced_writes_are_lost_as_the_personality_says(void **state) {
    (void)state;
    struct outcomes o = observe(DISK_ORDERED);
    assert_true(o.all && o.nothing && !o.pages && !o.sectors && !o.nonsense);
    o = observe(DISK_WHOLE);
    assert_true(o.all && o.nothing && !o.pages && !o.sectors && !o.nonsense);
    o = observe(DISK_PAGES);
    assert_true(o.all && o.nothing && o.pages && !o.sectors && !o.nonsense);
    o = observe(DISK_SECTORS);
    assert_true(o.sectors && !o.nonsense);
    o = observe(DISK_SIZES);
    assert_true(o.sectors && !o.nonsense);
    o = observe(DISK_GARBAGE);
    assert_true(o.nonsense);
}

static void an_ordered_disk_loses_only_an_end_across_files(void **state) {
    (void)state;
    bool has_split = false;
    for (uint64_t seed = 0; seed < RUNS; seed++) {
        struct disk *disk = fresh(seed, DISK_ORDERED);
        struct disk_file *f = disk_make(disk, "f");
        struct disk_file *g = disk_make(disk, "g");
        disk_sync_names(disk, disk->sequence);
        for (uint32_t i = 0; i < 10; i++) put(disk, i % 2 == 0 ? f : g, i, 'x', 1);
        disk_power_loss(disk);
        uint8_t merged[10] = {0};
        uint8_t other[10] = {0};
        disk_read(disk, f, 0, merged, 10);
        disk_read(disk, g, 0, other, 10);
        bool has_ended = false;
        for (uint32_t i = 0; i < 10; i++) {
            bool is_there = (i % 2 == 0 ? merged[i] : other[i]) == 'x';
            assert_false(has_ended && is_there);
            has_ended = has_ended || !is_there;
            has_split = has_split || (has_ended && i > 0);
        }
        disk_destroy(disk);
    }
    assert_true(has_split);
}

static void an_unordered_disk_may_keep_a_later_write_and_lose_an_earlier(void **state) {
    (void)state;
    for (enum disk_personality p = DISK_WHOLE; p <= DISK_SIZES; p++) {
        bool has_inversion = false;
        for (uint64_t seed = 0; seed < RUNS; seed++) {
            struct disk *disk = fresh(seed, p);
            struct disk_file *file = synced(disk);
            put(disk, file, 0, 'b', 512);
            put(disk, file, 4096, 'c', 512);
            disk_power_loss(disk);
            const uint8_t *bytes = seen(disk, file);
            if (bytes[0] == 'a' && bytes[4096] == 'c') has_inversion = true;
            disk_destroy(disk);
        }
        assert_true(has_inversion);
    }
}

static void sizes_may_be_durable_before_data(void **state) {
    (void)state;
    bool has_hole = false;
    for (uint64_t seed = 0; seed < RUNS; seed++) {
        struct disk *disk = fresh(seed, DISK_SIZES);
        struct disk_file *file = synced(disk);
        put(disk, file, 8192, 'b', 2048);
        disk_power_loss(disk);
        assert_int_equal(file->seen.size, 8192 + 2048);
        const uint8_t *bytes = seen(disk, file);
        uint32_t zeros = count_of(bytes + 8192, 2048, '\0');
        assert_int_equal(count_of(bytes + 8192, 2048, 'b') + zeros, 2048);
        has_hole = has_hole || zeros > 0;
        disk_destroy(disk);
    }
    assert_true(has_hole);
}

static void growth_is_lost_or_not_until_it_is_synced(void **state) {
    (void)state;
    bool has_grown = false;
    bool has_not = false;
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct disk *disk = fresh(seed, DISK_SECTORS);
        struct disk_file *file = synced(disk);
        disk_grow(disk, file, 12000);
        disk_grow(disk, file, 10000); // nothing to do
        disk_power_loss(disk);
        if (file->seen.size == 12000) has_grown = true;
        if (file->seen.size == 8192) has_not = true;
        disk_grow(disk, file, 14000);
        disk_sync(disk, file, disk->sequence);
        disk_power_loss(disk);
        assert_int_equal(file->seen.size, 14000);
        disk_destroy(disk);
    }
    assert_true(has_grown && has_not);
}

static void a_sync_covers_what_came_before_it_and_no_more(void **state) {
    (void)state;
    struct disk *disk = fresh(1, DISK_SECTORS);
    struct disk_file *file = synced(disk);
    put(disk, file, 0, 'b', 512);
    uint64_t asked = disk->sequence;
    put(disk, file, 512, 'c', 512);
    disk_sync(disk, file, asked);
    assert_int_equal(durable(file)[0], 'b');
    assert_int_equal(durable(file)[512], 'a');
    assert_int_equal(seen(disk, file)[512], 'c');
    disk_destroy(disk);
}

static void a_name_is_durable_after_a_sync_of_names_only(void **state) {
    (void)state;
    bool has_name = false;
    bool has_no_name = false;
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct disk *disk = fresh(seed, DISK_SECTORS);
        struct disk_file *file = disk_make(disk, "new");
        put(disk, file, 0, 'x', 100);
        disk_sync(disk, file, disk->sequence);
        assert_null(disk_find_durable(disk, "new"));
        disk_power_loss(disk);
        if (disk_find(disk, "new") != NULL) {
            has_name = true;
            assert_int_equal(count_of(seen(disk, disk_find(disk, "new")), 100, 'x'), 100);
        } else {
            has_no_name = true;
            assert_int_equal(counts[FAULT_LOST_NAME], 1);
        }
        disk_destroy(disk);
    }
    assert_true(has_name && has_no_name);
}

static void a_rename_is_found_done_or_not_done(void **state) {
    (void)state;
    bool is_done = false;
    bool is_undone = false;
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct disk *disk = fresh(seed, DISK_WHOLE);
        struct disk_file *old = disk_make(disk, "current");
        struct disk_file *new = disk_make(disk, "next");
        disk_sync_names(disk, disk->sequence);
        assert_true(disk_rename(disk, "next", "current"));
        assert_ptr_equal(disk_find(disk, "current"), new);
        assert_null(disk_find(disk, "next"));
        assert_ptr_equal(disk_find_durable(disk, "current"), old);
        disk_power_loss(disk);
        if (disk_find(disk, "next") == NULL) {
            is_done = true;
            assert_ptr_equal(disk_find(disk, "current"), new);
        } else {
            is_undone = true;
            assert_ptr_equal(disk_find(disk, "next"), new);
            assert_ptr_equal(disk_find(disk, "current"), old);
        }
        disk_destroy(disk);
    }
    assert_true(is_done && is_undone);
}

static void a_second_name_shows_the_same_bytes_and_is_lost_or_not(void **state) {
    (void)state;
    bool has_second = false;
    bool has_one = false;
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct disk *disk = fresh(seed, DISK_WHOLE);
        struct disk_file *file = synced(disk);
        uint64_t used = disk_used(disk);
        assert_false(disk_link(disk, "none", "g"));
        assert_true(disk_link(disk, "f", "g"));
        assert_false(disk_link(disk, "f", "g"));
        assert_ptr_equal(disk_find(disk, "g"), file);
        assert_int_equal(disk_used(disk), used); // counts once
        disk_power_loss(disk);
        assert_ptr_equal(disk_find(disk, "f"), file);
        if (disk_find(disk, "g") == NULL) {
            has_one = true;
            assert_int_equal(file->shown, 1);
        } else {
            has_second = true;
            assert_int_equal(file->shown, 2);
            assert_true(disk_remove(disk, "f"));
            assert_int_equal(disk_used(disk), used);
            assert_int_equal(seen(disk, disk_find(disk, "g"))[0], 'a');
            assert_true(disk_remove(disk, "g"));
            assert_int_equal(disk_used(disk), 0);
        }
        disk_destroy(disk);
    }
    assert_true(has_second && has_one);
}

static void what_is_lost_stays_lost(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct disk *disk = fresh(seed, DISK_WHOLE);
        struct disk_file *file = synced(disk);
        put(disk, file, 0, 'b', 512);
        disk_power_loss(disk);
        uint8_t left = seen(disk, file)[0];
        disk_sync(disk, file, disk->sequence);
        assert_int_equal(durable(file)[0], left);
        disk_power_loss(disk);
        assert_int_equal(seen(disk, file)[0], left);
        disk_destroy(disk);
    }
}

// Removing, making and renaming "a" survive apart from each other: a rename never takes the name
// away from another file than the one that was renamed.
static void a_rename_takes_no_name_from_another_file(void **state) {
    (void)state;
    bool is_apart = false;
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct disk *disk = fresh(seed, DISK_WHOLE);
        struct disk_file *old = disk_make(disk, "a");
        disk_sync_names(disk, disk->sequence);
        assert_true(disk_remove(disk, "a"));
        struct disk_file *new = disk_make(disk, "a");
        assert_true(disk_rename(disk, "a", "b"));
        assert_null(disk_find(disk, "a"));
        disk_power_loss(disk);
        if (disk_find(disk, "b") == new &&disk_find(disk, "a") == old) is_apart = true;
        disk_destroy(disk);
    }
    assert_true(is_apart);
}

static void a_removed_file_may_come_back_and_an_open_one_stays(void **state) {
    (void)state;
    bool is_back = false;
    bool is_gone = false;
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct disk *disk = fresh(seed, DISK_WHOLE);
        struct disk_file *file = synced(disk);
        disk_hold(file);
        assert_true(disk_remove(disk, "f"));
        assert_false(disk_remove(disk, "f"));
        assert_int_equal(count_of(seen(disk, file), 8192, 'a'), 8192);
        assert_int_equal(disk_used(disk), 8192);
        disk_release(disk, file);
        assert_int_equal(disk_used(disk), 0);
        disk_power_loss(disk);
        if (disk_find(disk, "f") == NULL) is_gone = true;
        if (disk_find(disk, "f") != NULL) {
            is_back = true;
            assert_int_equal(count_of(seen(disk, disk_find(disk, "f")), 8192, 'a'), 8192);
        }
        disk_destroy(disk);
    }
    assert_true(is_back && is_gone);
}

static void a_failed_sync_forgets_without_telling(void **state) {
    (void)state;
    bool is_evicted = false;
    bool is_lost = false;
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct disk *disk = fresh(seed, DISK_WHOLE);
        struct disk_file *file = synced(disk);
        put(disk, file, 512, 'b', 1024);
        disk_sync_failed(disk, file, disk->sequence);
        put(disk, file, 2048, 'c', 512); // on the same page
        disk_sync(disk, file, disk->sequence);
        put(disk, file, 3072, 'd', 512); // and not synced
        for (uint32_t i = 0; i < 20; i++) {
            const uint8_t *bytes = seen(disk, file);
            assert_int_equal(count_of(bytes + 3072, 512, 'd'), 512);
            uint32_t new_count = count_of(bytes + 512, 1024, 'b');
            if (new_count < 1024) is_evicted = true;
            assert_true(new_count == 1024 || counts[FAULT_DISK_EVICTION] == 1);
            assert_int_equal(count_of(bytes + 2048, 512, 'c'), 512);
        }
        disk_power_loss(disk);
        if (count_of(seen(disk, file) + 512, 1024, 'b') < 1024) is_lost = true;
        assert_int_equal(count_of(seen(disk, file) + 2048, 512, 'c'), 512);
        disk_destroy(disk);
    }
    assert_true(is_evicted && is_lost);
}

static void a_phantom_write_is_seen_until_the_power_fails(void **state) {
    (void)state;
    struct disk *disk = fresh(1, DISK_WHOLE);
    struct disk_file *file = synced(disk);
    disk_write(disk, file, 0, (const uint8_t *)"bb", 2, true);
    assert_int_equal(file->seen.pages[0][0], 'b');
    disk_sync(disk, file, disk->sequence);
    disk_power_loss(disk);
    assert_int_equal(seen(disk, file)[0], 'a');
    disk_destroy(disk);
}

static void a_bad_sector_stays_until_it_is_written(void **state) {
    (void)state;
    struct disk *disk = fresh(test_seed(), DISK_ORDERED);
    struct disk_file *file = disk_make(disk, "f");
    static const uint8_t bytes[4096];
    disk_write(disk, file, 0, bytes, sizeof(bytes), false);
    assert_false(disk_spoil(disk, file, 600)); // it is not on the disk
    disk_sync(disk, file, disk->sequence);
    disk_sync_names(disk, disk->sequence);
    assert_true(disk_spoil(disk, file, 600));
    disk_power_loss(disk);
    file = disk_find(disk, "f");
    struct disk *copy = disk_copy(disk);
    assert_true(disk_is_bad(disk_find(copy, "f"), 512, 1));
    disk_destroy(copy);
    assert_false(disk_is_bad(file, 0, 512));
    assert_true(disk_is_bad(file, 0, 513));
    assert_true(disk_is_bad(file, 1023, 1));
    assert_false(disk_is_bad(file, 1024, 4096));
    disk_write(disk, file, 1024, bytes, 512, false);
    assert_true(disk_is_bad(file, 0, 4096));
    disk_write(disk, file, 512, bytes, 512, false);
    assert_false(disk_is_bad(file, 0, 4096));
    disk_destroy(disk);
}

static void rot_flips_one_synced_bit_for_good(void **state) {
    (void)state;
    struct disk *disk = fresh(1, DISK_WHOLE);
    struct disk_file *file = synced(disk);
    assert_false(disk_rot(disk, file, 8192, 0));
    assert_true(disk_rot(disk, file, 700, 3));
    assert_int_equal(seen(disk, file)[700], 'a' ^ 8);
    disk_power_loss(disk);
    assert_int_equal(seen(disk, file)[700], 'a' ^ 8);
    assert_int_equal(count_of(seen(disk, file), 8192, 'a'), 8191);
    assert_true(disk_cut_tail(disk, file, 8000));
    assert_int_equal(file->seen.size, 192);
    assert_false(disk_cut_tail(disk, file, 193));
    disk_destroy(disk);
}

static void a_quota_counts_sizes(void **state) {
    (void)state;
    struct disk *disk = fresh(1, DISK_WHOLE);
    disk->quota = 10000;
    struct disk_file *file = synced(disk);
    assert_true(disk_has_room(disk, file, 10000));
    assert_false(disk_has_room(disk, file, 10001));
    struct disk_file *other = disk_make(disk, "g");
    assert_false(disk_has_room(disk, other, 1809));
    assert_true(disk_rename(disk, "g", "f"));
    assert_true(disk_has_room(disk, other, 10000));
    assert_int_equal(disk_used(disk), 0);
    disk_destroy(disk);
}

static void a_copy_is_the_same_disk_and_apart(void **state) {
    (void)state;
    for (enum disk_personality p = 0; p < DISK_PERSONALITIES; p++) {
        struct disk *disk = fresh(7, p);
        struct disk_file *file = synced(disk);
        put(disk, file, 4096, 'b', 3000);
        disk_make(disk, "g");
        assert_true(disk_rename(disk, "f", "h"));
        struct disk *copy = disk_copy(disk);
        put(disk, file, 0, 'z', 8192);
        disk_sync(disk, file, disk->sequence);
        assert_int_equal(seen(copy, disk_find(copy, "h"))[4096], 'b');
        assert_int_equal(seen(copy, disk_find(copy, "h"))[0], 'a');

        // The same loss befalls a second copy, since it has the same fate before it.
        struct disk *twin = disk_copy(copy);
        disk_power_loss(copy);
        disk_power_loss(twin);
        assert_int_equal(copy->seen.count, twin->seen.count);
        for (uint32_t i = 0; i < copy->seen.count; i++) {
            assert_string_equal(copy->seen.entries[i].text, twin->seen.entries[i].text);
            static uint8_t bytes[SPACE];
            memcpy(bytes, seen(copy, copy->seen.entries[i].file), SPACE);
            assert_memory_equal(bytes, seen(twin, twin->seen.entries[i].file), SPACE);
        }
        disk_destroy(twin);
        disk_destroy(copy);
        disk_destroy(disk);
    }
}

int disk_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(what_is_synced_survives_on_every_kind_of_disk),
        cmocka_unit_test(unsynced_writes_are_lost_as_the_personality_says),
        cmocka_unit_test(an_ordered_disk_loses_only_an_end_across_files),
        cmocka_unit_test(an_unordered_disk_may_keep_a_later_write_and_lose_an_earlier),
        cmocka_unit_test(sizes_may_be_durable_before_data),
        cmocka_unit_test(growth_is_lost_or_not_until_it_is_synced),
        cmocka_unit_test(a_sync_covers_what_came_before_it_and_no_more),
        cmocka_unit_test(a_name_is_durable_after_a_sync_of_names_only),
        cmocka_unit_test(a_rename_is_found_done_or_not_done),
        cmocka_unit_test(a_second_name_shows_the_same_bytes_and_is_lost_or_not),
        cmocka_unit_test(what_is_lost_stays_lost),
        cmocka_unit_test(a_rename_takes_no_name_from_another_file),
        cmocka_unit_test(a_removed_file_may_come_back_and_an_open_one_stays),
        cmocka_unit_test(a_failed_sync_forgets_without_telling),
        cmocka_unit_test(a_phantom_write_is_seen_until_the_power_fails),
        cmocka_unit_test(a_bad_sector_stays_until_it_is_written),
        cmocka_unit_test(rot_flips_one_synced_bit_for_good),
        cmocka_unit_test(a_quota_counts_sizes),
        cmocka_unit_test(a_copy_is_the_same_disk_and_apart),
    };
    return cmocka_run_group_tests_name("disk", cases, NULL, NULL);
}
