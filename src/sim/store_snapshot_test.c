// SPDX-License-Identifier: Apache-2.0
//
// Snapshots of a store in the simulated world: what is in them, what is left of one that was cut
// short, and what a store that is made of one does.
#include "base/text.h"
#include "sim/backup.h"
#include "sim/disk.h"
#include "sim/store_case.h"

struct asked {
    bool is_done;
    enum status status;
};

static void on_answered(void *context, enum status status) {
    struct asked *a = context;
    assert_false(a->is_done);
    a->is_done = true;
    a->status = status;
}

static enum status ask(struct shop *shop, const char *name, bool deletes, struct asked *a) {
    *a = (struct asked){.is_done = false};
    struct slice text = slice_of_string(name);
    machine_enter(shop->machine);
    enum status status = deletes ? store_snapshot_delete(shop->store, text, on_answered, a)
                                 : store_snapshot_make(shop->store, text, on_answered, a);
    machine_leave(shop->machine);
    return status;
}

static enum status ask_and_wait(struct shop *shop, const char *name, bool deletes) {
    struct asked a;
    enum status status = ask(shop, name, deletes, &a);
    if (status != ST_OK) return status;
    assert_true(shop_wait(shop, &a.is_done));
    return a.status;
}

static bool is_listed(const struct shop *shop, const char *name) {
    struct store_snapshot all[SNAPSHOTS_MAX];
    uint32_t count = store_snapshots(shop->store, all);
    assert_int_equal(count, store_stats(shop->store).snapshot_count);
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(all[i].name, name) == 0) return true;
    }
    return false;
}

// How many files there are with such a name.
static uint32_t count_files(struct shop *shop, const char *snapshot) {
    const struct disk_names *names = &machine_disk(shop->machine)->seen;
    uint32_t count = 0;
    for (uint32_t i = 0; i < names->count; i++) {
        struct slice owner;
        const char *plain = NULL;
        if (!store_snapshot_part(names->entries[i].text, &owner, &plain)) continue;
        count += slice_equal(owner, slice_of_string(snapshot));
    }
    return count;
}

// Another machine, with a store made of the snapshot.
static struct shop *restored(struct shop *shop, const char *name) {
    static uint64_t actor = 1000;
    struct disk *disk = backup_restore(machine_disk(shop->machine), name, ++actor, 5);
    assert_non_null(disk);
    struct world_options options = world_quiet();
    struct shop *other = shop_new(1, &options);
    other->options = shop->options;
    other->value_max = shop->value_max;
    memcpy(other->keys, shop->keys, sizeof(shop->keys));
    machine_restore(other->machine, disk);
    disk_destroy(disk);
    assert_string_equal(shop_inspect(other).first, "");
    assert_int_equal(shop_open(other), ST_OK);
    assert_false(store_stats(other->store).was_damaged);
    assert_int_equal(store_actor(other->store).storage, actor);
    assert_int_equal(store_restored_for(other->store), 5);
    return other;
}

// The snapshot holds of each key a version from `least` to `most`.
static void assert_holds(struct shop *shop, const char *name, const struct shop_key *least,
                         const struct shop_key *most) {
    struct shop *other = restored(shop, name);
    for (uint32_t key = 0; key < SHOP_KEYS; key++) {
        uint32_t version = 0;
        enum status status = shop_read(other, key, &version);
        assert_true(status == ST_OK || status == ST_NOT_FOUND);
        assert_in_range(version, least[key].acked, most[key].asked);
    }
    shop_check_sums(other);
    shop_end(other);
    shop_free(other);
}

// Exactly what is in the book: nobody writes.
static void assert_holds_book(struct shop *shop, const char *name, const struct shop_key *book) {
    struct shop_key exact[SHOP_KEYS];
    for (uint32_t key = 0; key < SHOP_KEYS; key++) {
        exact[key].acked = exact[key].asked = book[key].acked;
    }
    assert_holds(shop, name, exact, exact);
}

static void sell_for(struct shop *shop, uint64_t ns) {
    shop_start_selling(shop, SHOP_CLIENTS);
    shop_run(shop, ns);
    shop_stop_selling(shop);
}

static struct shop *small_shop(uint64_t seed, enum disk_personality personality) {
    struct world_options options = world_quiet();
    options.personality = (int32_t)personality;
    struct shop *shop = shop_new(seed, &options);
    shop->options.segment_size = UINT64_C(96) * 1024;
    shop->options.flush_size = UINT64_C(64) * 1024;
    shop->options.table_size = UINT64_C(64) * 1024;
    shop->value_max = 600;
    return shop;
}

static void a_snapshot_stays_as_it_was_while_the_store_goes_on(void **state) {
    (void)state;
    struct shop *shop = small_shop(test_seed(), DISK_SECTORS);
    struct shop_key book[3][SHOP_KEYS];
    assert_int_equal(shop_open(shop), ST_OK);
    static const char *const names[] = {"empty", "early", "late"};
    for (uint32_t i = 0; i < 3; i++) {
        memcpy(book[i], shop->keys, sizeof(shop->keys));
        assert_int_equal(ask_and_wait(shop, names[i], false), ST_OK);
        sell_for(shop, NS_PER_SECOND);
    }
    store_compact(shop->store);
    sell_for(shop, 2 * NS_PER_SECOND);
    assert_true(store_stats(shop->store).compactions > 0);
    for (uint32_t i = 0; i < 3; i++) assert_holds_book(shop, names[i], book[i]);
    machine_power_loss(shop->machine);
    assert_int_equal(shop_open(shop), ST_OK);
    for (uint32_t i = 0; i < 3; i++) assert_true(is_listed(shop, names[i]));
    for (uint32_t i = 0; i < 3; i++) assert_holds_book(shop, names[i], book[i]);
    shop_check_all(shop);
    shop_end(shop);
    shop_free(shop);
}

static void under_load_it_holds_all_that_was_done_before(void **state) {
    (void)state;
    struct shop_key before[SHOP_KEYS];
    struct shop_key after[SHOP_KEYS];
    for (uint64_t seed = test_seed(); seed < test_seed() + 12; seed++) {
        struct shop *shop = small_shop(seed, (enum disk_personality)(seed % DISK_PERSONALITIES));
        if (seed % 3 == 0) shop->options.sync_interval_ns = 50 * NS_PER_MS;
        // A sync of the log may take longer than all that comes after it.
        if (seed % 2 == 0) world_options(shop->world)->rates[FAULT_DISK_SLOW] = 100 * 1000 * 1000;
        assert_int_equal(shop_open(shop), ST_OK);
        for (uint32_t round = 0; round < 3; round++) {
            shop_start_selling(shop, 1 + rng_below(&shop->rng, SHOP_CLIENTS));
            shop_run(shop, rng_below(&shop->rng, 1000) * NS_PER_MS);
            memcpy(before, shop->keys, sizeof(before));
            assert_int_equal(ask_and_wait(shop, "busy", false), ST_OK);
            memcpy(after, shop->keys, sizeof(after));
            if (rng_chance(&shop->rng, 1, 2)) shop_run(shop, NS_PER_SECOND);
            machine_power_loss(shop->machine);
            assert_int_equal(shop_open(shop), ST_OK);
            if (seed % 3 == 0) {
                shop_forget(shop);
            } else {
                shop_check_all(shop);
            }
            assert_holds(shop, "busy", before, after);
            assert_int_equal(ask_and_wait(shop, "busy", true), ST_OK);
            assert_int_equal(count_files(shop, "busy"), 0);
        }
        shop_end(shop);
        shop_free(shop);
    }
}

// Makes a snapshot, or deletes one, and loses power, or the process, after so many steps. False: it
// was over before.
static bool interrupt(struct shop *shop, bool deletes, uint32_t step, bool by_power) {
    struct asked a;
    assert_int_equal(ask(shop, "cut", deletes, &a), ST_OK);
    bool is_over = false;
    for (uint32_t i = 0; i < step && !is_over; i++) {
        is_over = a.is_done;
        if (!is_over) assert_true(world_step(shop->world, UINT64_MAX));
    }
    if (by_power) {
        machine_power_loss(shop->machine);
    } else {
        machine_kill(shop->machine);
    }
    return !is_over;
}

// What became of it.
struct outcome {
    bool is_over; // before the crash
    bool is_whole;
};

static struct outcome crash_at(uint32_t step, enum disk_personality personality, bool deletes,
                               bool by_power) {
    static struct shop_key book[SHOP_KEYS];
    struct shop *shop = small_shop(test_seed() + personality, personality);
    assert_int_equal(shop_open(shop), ST_OK);
    sell_for(shop, 300 * NS_PER_MS);
    memcpy(book, shop->keys, sizeof(book));
    if (deletes) assert_int_equal(ask_and_wait(shop, "cut", false), ST_OK);
    struct outcome o = {.is_over = !interrupt(shop, deletes, step, by_power)};
    shop_begin(shop); // and once more, on the way back
    for (uint32_t i = step * 7 % 41; i > 0 && !shop->is_opened; i--) {
        assert_true(world_step(shop->world, UINT64_MAX));
    }
    machine_power_loss(shop->machine);
    assert_int_equal(shop_open(shop), ST_OK);
    shop_check_all(shop);
    o.is_whole = is_listed(shop, "cut");
    if (o.is_whole) {
        assert_holds_book(shop, "cut", book);
    } else {
        assert_int_equal(count_files(shop, "cut"), 0);
    }
    if (o.is_over) assert_int_equal(o.is_whole, !deletes);
    shop_end(shop);
    shop_free(shop);
    return o;
}

struct outcomes {
    bool was_whole;
    bool was_gone;
};

// True: it was over before the crash.
static bool crash_and_look(struct outcomes *all, uint32_t step, enum disk_personality personality,
                           uint32_t kind) {
    struct outcome o = crash_at(step, personality, kind % 2 != 0, kind / 2 != 0);
    all->was_whole |= o.is_whole;
    all->was_gone |= !o.is_whole;
    return o.is_over;
}

static void a_crash_at_any_step_leaves_a_whole_one_or_none(void **state) {
    (void)state;
    enum { LAST_STEPS = 16, STEPS_MAX = 2000 };
    uint32_t personalities = (uint32_t)test_share(DISK_PERSONALITIES, 3);
    for (uint32_t kind = 0; kind < 4; kind++) {
        struct outcomes all = {.was_whole = false};
        for (uint32_t i = 0; i < personalities; i++) {
            enum disk_personality p = (test_seed() + kind + i) % DISK_PERSONALITIES;
            // Coarsely up to the end; and one by one before it, where it is decided.
            uint32_t end = 0;
            while (!crash_and_look(&all, end, p, kind)) end += 1 + end / 16;
            assert_true(end < STEPS_MAX);
            uint32_t step = end < LAST_STEPS ? 0 : end - LAST_STEPS;
            for (; step < end; step++) (void)crash_and_look(&all, step, p, kind);
        }
        assert_true(all.was_whole);
        assert_true(all.was_gone);
    }
}

static void snapshots_come_and_go_through_many_crashes(void **state) {
    (void)state;
    enum { ROUNDS = 15 };
    static struct shop_key least[2][SHOP_KEYS];
    static struct shop_key most[2][SHOP_KEYS];
    static const char *const names[] = {"one", "two"};
    for (uint64_t seed = test_seed(); seed < test_seed() + 6; seed++) {
        struct shop *shop = small_shop(seed, (enum disk_personality)(seed % DISK_PERSONALITIES));
        for (uint32_t round = 0; round < ROUNDS; round++) {
            assert_int_equal(shop_open(shop), ST_OK);
            shop_check_all(shop);
            for (uint32_t i = 0; i < 2; i++) {
                if (is_listed(shop, names[i])) assert_holds(shop, names[i], least[i], most[i]);
            }
            uint32_t i = rng_below(&shop->rng, 2);
            bool deletes = is_listed(shop, names[i]);
            shop_start_selling(shop, 1 + rng_below(&shop->rng, SHOP_CLIENTS));
            shop_run(shop, rng_below(&shop->rng, 300) * NS_PER_MS);
            struct asked a;
            if (!deletes) memcpy(least[i], shop->keys, sizeof(shop->keys));
            assert_int_equal(ask(shop, names[i], deletes, &a), ST_OK);
            uint32_t steps = rng_below(&shop->rng, 3000);
            while (steps-- > 0) assert_true(world_step(shop->world, UINT64_MAX));
            if (!deletes) memcpy(most[i], shop->keys, sizeof(shop->keys));
            machine_power_loss(shop->machine);
        }
        shop_free(shop);
    }
}

// Of a small store whose disk is slow at times: flushes and merges come between any two steps of
// it.
static void it_opens_whatever_comes_between(void **state) {
    (void)state;
    enum { SEEDS = 6, ROUNDS = 25, PAUSE_MS = 60 };
    uint32_t made = 0;
    for (uint64_t seed = test_seed(); seed < test_seed() + SEEDS; seed++) {
        struct shop *shop = small_shop(seed, (enum disk_personality)(seed % DISK_PERSONALITIES));
        shop->options.flush_size = UINT64_C(2) * 1024;
        shop->options.table_size = UINT64_C(16) * 1024;
        world_options(shop->world)->rates[FAULT_DISK_SLOW] = FAULT_CERTAIN / 16;
        assert_int_equal(shop_open(shop), ST_OK);
        shop_start_selling(shop, SHOP_CLIENTS);
        shop_run(shop, 300 * NS_PER_MS);
        for (uint32_t round = 0; round < ROUNDS; round++) {
            shop_run(shop, rng_below(&shop->rng, PAUSE_MS) * NS_PER_MS);
            assert_int_equal(ask_and_wait(shop, "s", false), ST_OK);
            const char *wrong = backup_check(machine_disk(shop->machine), "s", &shop->options);
            assert_string_equal(wrong == NULL ? "" : wrong, "");
            made++;
            shop_run(shop, rng_below(&shop->rng, PAUSE_MS) * NS_PER_MS);
            assert_int_equal(ask_and_wait(shop, "s", true), ST_OK);
        }
        assert_true(store_stats(shop->store).compactions > 0);
        shop_stop_selling(shop);
        shop_end(shop);
        shop_free(shop);
    }
    assert_int_equal(made, SEEDS * ROUNDS);
}

static void step_until_shown(struct shop *shop, const char *file, bool is_shown) {
    uint64_t until = world_now(shop->world) + 10 * NS_PER_SECOND;
    while ((disk_find(machine_disk(shop->machine), file) != NULL) != is_shown) {
        assert_true(world_step(shop->world, until));
        assert_true(world_now(shop->world) < until);
    }
}

// Makes a snapshot that fails when its manifest has its name, because syncs do; of those on the way
// back every other one does.
static void fail_late(struct shop *shop) {
    struct asked a;
    assert_int_equal(ask(shop, "late", false, &a), ST_OK);
    step_until_shown(shop, "snapshot-late.manifest", true);
    uint32_t *rate = &world_options(shop->world)->rates[FAULT_DISK_SYNC_ERROR];
    *rate = FAULT_CERTAIN;
    step_until_shown(shop, "snapshot-late.manifest", false);
    *rate = FAULT_CERTAIN / 2;
    assert_true(shop_wait(shop, &a.is_done));
    *rate = 0;
    assert_int_equal(a.status, ST_IO);
    assert_false(is_listed(shop, "late"));
}

static void one_that_failed_comes_back_whole_or_not(void **state) {
    (void)state;
    enum { SEEDS = 24 };
    uint32_t back = 0;
    for (uint64_t seed = test_seed(); seed < test_seed() + SEEDS; seed++) {
        struct shop *shop = small_shop(seed, (enum disk_personality)(seed % DISK_PERSONALITIES));
        assert_int_equal(shop_open(shop), ST_OK);
        sell_for(shop, 100 * NS_PER_MS);
        fail_late(shop);
        machine_power_loss(shop->machine);
        assert_int_equal(shop_open(shop), ST_OK);
        if (is_listed(shop, "late")) {
            assert_holds_book(shop, "late", shop->keys);
            back++;
        } else {
            assert_int_equal(count_files(shop, "late"), 0);
        }
        shop_check_all(shop);
        shop_end(shop);
        shop_free(shop);
    }
    assert_in_range(back, 1, SEEDS - 1);
}

static void one_that_failed_can_be_deleted(void **state) {
    (void)state;
    uint32_t left = 0;
    for (uint64_t seed = test_seed(); left == 0; seed++) {
        struct shop *shop = small_shop(seed, DISK_SECTORS);
        assert_int_equal(shop_open(shop), ST_OK);
        sell_for(shop, 100 * NS_PER_MS);
        fail_late(shop);
        left = count_files(shop, "late");
        if (left > 0) {
            assert_int_equal(ask_and_wait(shop, "late", false), ST_INVALID);
            assert_int_equal(ask_and_wait(shop, "late", true), ST_OK);
            assert_int_equal(count_files(shop, "late"), 0);
        }
        shop_run(shop, 3 * NS_PER_SECOND); // a segment whose sync failed, too, is made meanwhile
        assert_int_equal(ask_and_wait(shop, "late", false), ST_OK);
        machine_power_loss(shop->machine);
        assert_int_equal(shop_open(shop), ST_OK);
        assert_holds_book(shop, "late", shop->keys);
        shop_end(shop);
        shop_free(shop);
    }
}

// Makes a snapshot with the fault at its k-th occasion from then on; afterwards nothing is written.
// False: there were fewer.
static bool fail_once(uint64_t seed, enum fault fault, uint32_t k) {
    struct shop *shop = small_shop(seed, (enum disk_personality)(seed % DISK_PERSONALITIES));
    assert_int_equal(shop_open(shop), ST_OK);
    sell_for(shop, 100 * NS_PER_MS);
    shop_run(shop, NS_PER_SECOND);
    machine_plan_fault(shop->machine, fault, k);
    bool is_made = ask_and_wait(shop, "once", false) == ST_OK;
    machine_plan_fault(shop->machine, fault, 0);
    bool has_failed = world_fault_count(shop->world, fault) > 0;
    assert_true(is_made || has_failed);
    assert_int_equal(is_listed(shop, "once"), is_made);
    if (!is_made) assert_int_equal(count_files(shop, "once"), 0);
    shop_close(shop);
    machine_kill(shop->machine);
    struct inspection i = shop_inspect(shop);
    assert_string_equal(i.first, "");
    assert_int_equal(i.counts.left_over, 0);
    shop_free(shop);
    return has_failed;
}

static void one_that_failed_leaves_nothing(void **state) {
    (void)state;
    enum { SEEDS = 8 }; // a rename that fails may have been done, or not
    static const enum fault faults[] = {FAULT_DISK_WRITE_ERROR, FAULT_DISK_SYNC_ERROR,
                                        FAULT_DISK_FULL, FAULT_DESCRIPTORS};
    for (uint32_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        for (uint64_t seed = test_seed(); seed < test_seed() + SEEDS; seed++) {
            uint32_t k = 1;
            while (fail_once(seed, faults[i], k)) k++;
            assert_true(k > 1);
        }
    }
}

static void what_only_snapshots_hold_is_counted(void **state) {
    (void)state;
    struct shop *shop = small_shop(test_seed(), DISK_WHOLE);
    assert_int_equal(shop_open(shop), ST_OK);
    sell_for(shop, NS_PER_SECOND);
    assert_int_equal(ask_and_wait(shop, "a", false), ST_OK);
    assert_int_equal(ask_and_wait(shop, "b", false), ST_OK);
    store_compact(shop->store);
    sell_for(shop, 2 * NS_PER_SECOND);
    for (uint32_t round = 0; round < 2; round++) {
        shop_run(shop, 2 * NS_PER_SECOND);
        uint64_t pinned = 0;
        const struct disk_names *names = &machine_disk(shop->machine)->seen;
        for (uint32_t i = 0; i < names->count; i++) {
            struct slice owner;
            const char *plain = NULL;
            struct disk_file *file = names->entries[i].file;
            if (!store_snapshot_part(names->entries[i].text, &owner, &plain)) continue;
            if (strcmp(plain, "manifest") == 0) continue;
            if (disk_find(machine_disk(shop->machine), plain) != NULL) continue;
            bool is_shared = owner.data[0] == 'b' && file->shown == 2;
            if (!is_shared) pinned += file->seen.size;
        }
        assert_true(pinned > 0);
        assert_int_equal(store_stats(shop->store).snapshot_size, pinned);
        shop_end(shop);
        assert_int_equal(shop_open(shop), ST_OK);
    }
    struct store_snapshot all[SNAPSHOTS_MAX];
    shop_run(shop, 2 * NS_PER_SECOND);
    assert_int_equal(store_snapshots(shop->store, all), 2);
    assert_true(all[0].own < store_stats(shop->store).snapshot_size);
    assert_true(all[0].size > all[0].own);
    uint64_t used = disk_used(machine_disk(shop->machine));
    assert_int_equal(ask_and_wait(shop, "a", true), ST_OK);
    uint64_t freed = used - disk_used(machine_disk(shop->machine));
    assert_true(freed >= all[0].own);
    assert_int_equal(ask_and_wait(shop, "b", true), ST_OK);
    assert_int_equal(store_stats(shop->store).snapshot_size, 0);
    shop_end(shop);
    shop_free(shop);
}

static void what_cannot_be_is_refused(void **state) {
    (void)state;
    struct shop *shop = small_shop(test_seed(), DISK_WHOLE);
    assert_int_equal(shop_open(shop), ST_OK);
    assert_int_equal(ask_and_wait(shop, "none", true), ST_NOT_FOUND);
    assert_int_equal(ask_and_wait(shop, "../etc", false), ST_INVALID);
    assert_int_equal(ask_and_wait(shop, "", false), ST_INVALID);
    assert_int_equal(ask_and_wait(shop, "one", false), ST_OK);
    assert_int_equal(ask_and_wait(shop, "one", false), ST_INVALID);
    struct asked a;
    assert_int_equal(ask(shop, "two", false, &a), ST_OK);
    assert_int_equal(ask_and_wait(shop, "three", false), ST_BUSY);
    assert_int_equal(ask_and_wait(shop, "one", true), ST_BUSY);
    assert_true(shop_wait(shop, &a.is_done));
    char name[8];
    for (uint32_t i = 2; i < SNAPSHOTS_MAX; i++) {
        snprintf(name, sizeof(name), "s%u", i);
        assert_int_equal(ask_and_wait(shop, name, false), ST_OK);
    }
    assert_int_equal(ask_and_wait(shop, "more", false), ST_TOO_LARGE);

    // The store closes meanwhile.
    assert_int_equal(ask_and_wait(shop, "one", true), ST_OK);
    assert_int_equal(ask(shop, "late", false, &a), ST_OK);
    shop_end(shop);
    assert_true(a.is_done);
    assert_int_equal(a.status, ST_CANCELLED);
    assert_int_equal(shop_open(shop), ST_OK);
    assert_false(is_listed(shop, "late"));
    assert_int_equal(count_files(shop, "late"), 0);
    shop_end(shop);
    shop_free(shop);
}

static void a_full_disk_leaves_none(void **state) {
    (void)state;
    struct shop *shop = small_shop(test_seed(), DISK_WHOLE);
    assert_int_equal(shop_open(shop), ST_OK);
    sell_for(shop, 100 * NS_PER_MS);
    machine_set_quota(shop->machine, 0);
    // The first finds no room for its manifest, the second none for another segment.
    assert_int_equal(ask_and_wait(shop, "full", false), ST_NO_SPACE);
    assert_int_equal(ask_and_wait(shop, "full", false), ST_NO_SPACE);
    machine_set_quota(shop->machine, UINT64_MAX);
    shop_run(shop, 3 * NS_PER_SECOND);
    assert_false(is_listed(shop, "full"));
    assert_int_equal(count_files(shop, "full"), 0);
    assert_int_equal(ask_and_wait(shop, "again", false), ST_OK);
    shop_check_all(shop);
    shop_end(shop);
    shop_free(shop);
}

// As someone would who takes the prefix off by hand, and leaves the rest behind.
static void strip(struct disk *disk) {
    for (uint32_t i = 0; i < disk->seen.count;) {
        char name[ENV_FILE_NAME_MAX + 1];
        struct slice owner;
        const char *plain = NULL;
        snprintf(name, sizeof(name), "%s", disk->seen.entries[i].text);
        if (store_snapshot_part(name, &owner, &plain)) {
            i++;
        } else {
            disk_remove(disk, name);
        }
    }
    for (uint32_t left = disk->seen.count; left > 0; left--) {
        char name[ENV_FILE_NAME_MAX + 1];
        struct slice owner;
        const char *plain = NULL;
        for (uint32_t i = 0; plain == NULL; i++) {
            snprintf(name, sizeof(name), "%s", disk->seen.entries[i].text);
            (void)store_snapshot_part(name, &owner, &plain);
        }
        assert_true(disk_rename(disk, name, plain));
    }
}

static void a_snapshot_itself_is_no_store(void **state) {
    (void)state;
    struct shop *shop = small_shop(test_seed(), DISK_WHOLE);
    assert_int_equal(shop_open(shop), ST_OK);
    sell_for(shop, NS_PER_SECOND);
    assert_int_equal(ask_and_wait(shop, "s", false), ST_OK);
    shop_end(shop);
    struct disk *disk = machine_disk(shop->machine);
    uint32_t count = count_files(shop, "s");
    struct inspection whole = shop_inspect(shop);
    assert_string_equal(whole.first, "");
    assert_int_equal(whole.counts.snapshots, count);
    strip(disk);
    assert_int_equal(disk->seen.count, count);
    struct inspection stripped = shop_inspect(shop);
    assert_non_null(strstr(stripped.first, "of a snapshot"));
    assert_int_equal(stripped.counts.damaged, 1);
    assert_int_equal(shop_open(shop), ST_SNAPSHOT);
    assert_int_equal(disk->seen.count, count);
    machine_kill(shop->machine);

    // As someone would who copies a part of it somewhere.
    assert_true(disk_remove(disk, "manifest"));
    for (uint32_t left = count - 1; left > 0; left--) {
        char name[ENV_FILE_NAME_MAX + 1];
        char prefixed[ENV_FILE_NAME_MAX + 1];
        struct slice owner;
        const char *plain = NULL;
        uint32_t i = 0;
        while (store_snapshot_part(disk->seen.entries[i].text, &owner, &plain)) i++;
        snprintf(name, sizeof(name), "%s", disk->seen.entries[i].text);
        snprintf(prefixed, sizeof(prefixed), "snapshot-s.%.40s", name);
        assert_true(disk_rename(disk, name, prefixed));
    }
    assert_int_equal(shop_open(shop), ST_SNAPSHOT);
    assert_int_equal(disk->seen.count, count - 1);
    shop_free(shop);
}

static void a_restored_store_lives_on_as_another(void **state) {
    (void)state;
    struct shop *shop = small_shop(test_seed(), DISK_SECTORS);
    assert_int_equal(shop_open(shop), ST_OK);
    sell_for(shop, NS_PER_SECOND);
    assert_int_equal(ask_and_wait(shop, "s", false), ST_OK);
    struct shop *other = restored(shop, "s");
    struct actor actor = store_actor(other->store);
    assert_int_not_equal(actor.storage, store_actor(shop->store).storage);
    for (uint32_t round = 0; round < 4; round++) {
        shop_check_all(other);
        sell_for(other, NS_PER_SECOND);
        machine_power_loss(other->machine);
        assert_int_equal(shop_open(other), ST_OK);
        assert_int_equal(actor_compare(actor, store_actor(other->store)), 0);
        assert_int_equal(store_restored_for(other->store), 5);
    }
    shop_check_all(other);
    assert_true(store_stats(other->store).flushes + store_stats(other->store).table_count > 0);
    assert_int_equal(ask_and_wait(other, "again", false), ST_OK);
    struct shop *third = restored(other, "again");
    assert_int_not_equal(store_actor(third->store).storage, actor.storage);
    shop_end(third);
    shop_free(third);
    shop_end(other);
    shop_free(other);
    shop_end(shop);
    shop_free(shop);
}

// A snapshot that lost a file, or the end of one, is not taken for a good one.
static void what_is_missing_is_noticed(void **state) {
    (void)state;
    struct shop *shop = small_shop(test_seed(), DISK_WHOLE);
    assert_int_equal(shop_open(shop), ST_OK);
    sell_for(shop, NS_PER_SECOND);
    assert_int_equal(ask_and_wait(shop, "s", false), ST_OK);
    assert_null(backup_check(machine_disk(shop->machine), "s", &shop->options));
    struct disk *disk = machine_disk(shop->machine);
    for (uint32_t i = 0;; i++) {
        struct disk *copy = disk_copy(disk);
        char name[ENV_FILE_NAME_MAX + 1];
        struct slice owner;
        const char *plain = NULL;
        while (i < copy->seen.count &&
               !store_snapshot_part(copy->seen.entries[i].text, &owner, &plain)) {
            i++;
        }
        bool is_over = i == copy->seen.count;
        if (!is_over) {
            snprintf(name, sizeof(name), "%s", copy->seen.entries[i].text);
            disk_remove(copy, name);
            assert_non_null(backup_check(copy, "s", &shop->options));
        }
        disk_destroy(copy);
        if (is_over) break;
    }
    // The last batch of the log, as if the cut had come before it was there.
    struct disk *copy = disk_copy(disk);
    for (uint32_t i = copy->seen.count; i > 0; i--) {
        struct slice owner;
        const char *plain = NULL;
        struct disk_file *file = copy->seen.entries[i - 1].file;
        if (!store_snapshot_part(copy->seen.entries[i - 1].text, &owner, &plain)) continue;
        if (strncmp(plain, "log-", 4) != 0) continue;
        static const uint8_t zeros[DISK_SECTOR];
        uint64_t at = file->seen.size;
        uint8_t sector[DISK_SECTOR];
        do {
            at -= DISK_SECTOR;
            assert_int_equal(disk_read(copy, file, at, sector, DISK_SECTOR), DISK_SECTOR);
        } while (memcmp(sector, zeros, DISK_SECTOR) == 0);
        disk_write(copy, file, at, zeros, DISK_SECTOR, false);
        break;
    }
    assert_non_null(backup_check(copy, "s", &shop->options));
    struct disk *restored_copy = backup_restore(copy, "s", 1, 5);
    assert_non_null(restored_copy);
    disk_destroy(copy);
    shop_end(shop);
    machine_restore(shop->machine, restored_copy);
    disk_destroy(restored_copy);
    assert_non_null(strstr(shop_inspect(shop).first, "restored from a snapshot"));
    assert_int_not_equal(shop_open(shop), ST_OK); // as was said
    machine_kill(shop->machine);
    shop_free(shop);
}

int store_snapshot_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(a_snapshot_stays_as_it_was_while_the_store_goes_on),
        cmocka_unit_test(under_load_it_holds_all_that_was_done_before),
        cmocka_unit_test(a_crash_at_any_step_leaves_a_whole_one_or_none),
        cmocka_unit_test(snapshots_come_and_go_through_many_crashes),
        cmocka_unit_test(it_opens_whatever_comes_between),
        cmocka_unit_test(one_that_failed_comes_back_whole_or_not),
        cmocka_unit_test(one_that_failed_can_be_deleted),
        cmocka_unit_test(one_that_failed_leaves_nothing),
        cmocka_unit_test(what_only_snapshots_hold_is_counted),
        cmocka_unit_test(what_cannot_be_is_refused),
        cmocka_unit_test(a_full_disk_leaves_none),
        cmocka_unit_test(a_snapshot_itself_is_no_store),
        cmocka_unit_test(a_restored_store_lives_on_as_another),
        cmocka_unit_test(what_is_missing_is_noticed),
    };
    return cmocka_run_group_tests_name("store_snapshot", cases, NULL, NULL);
}
