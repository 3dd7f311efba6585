// SPDX-License-Identifier: Apache-2.0
//
// Scans of one partition of a store that keeps as little as it can in memory: forwards and
// backwards, from anywhere, while others write.
#include "sim/store_case.h"

enum { KEYS = 500, CHANGES_MAX = 4000, NAME_MAX = 12, VALUE_MAX = 400, CLERKS = 6 };

struct shelf;

struct clerk {
    struct store_write write;
    struct shelf *shelf;
    uint32_t key;
};

// Keys in order; a record begins with the number of the change that wrote it.
struct shelf {
    struct shop *shop;
    struct rng rng;
    uint8_t names[KEYS][NAME_MAX];
    size_t name_sizes[KEYS];
    uint32_t numbers[KEYS];     // of the change that wrote what is there; 0: nothing is
    uint32_t keys[CHANGES_MAX]; // of each change
    uint32_t change_count;      // begun
    uint8_t record[VALUE_MAX];
    struct clerk clerks[CLERKS];
    uint32_t busy;    // clerks that wait for the store
    bool is_changing; // they go on
};

static struct slice name_of(const struct shelf *f, uint32_t key) {
    return (struct slice){f->names[key], f->name_sizes[key]};
}

static int compare_names(const void *a, const void *b) {
    return memcmp(a, b, NAME_MAX);
}

static void make_names(struct shelf *f) {
    for (uint32_t i = 0; i < KEYS; i++) {
        // Some are the beginning of others; a zero byte ends none, so memcmp orders them.
        size_t size = 1 + rng_below(&f->rng, NAME_MAX - 1);
        for (size_t k = 0; k < size; k++) f->names[i][k] = (uint8_t)('a' + rng_below(&f->rng, 3));
    }
    qsort(f->names, KEYS, NAME_MAX, compare_names);
    for (uint32_t i = 0; i < KEYS; i++) f->name_sizes[i] = strlen((const char *)f->names[i]);
}

static enum status on_apply(struct store_write *write, struct slice old, struct slice *new) {
    const struct clerk *w = CONTAINER_OF(write, struct clerk, write);
    struct shelf *f = w->shelf;
    (void)old;
    uint32_t number = ++f->change_count;
    assert_true(number < CHANGES_MAX);
    f->keys[number] = w->key;
    f->numbers[w->key] = number;
    memset(f->record, (int)(number % 100), sizeof(f->record));
    memcpy(f->record, &number, sizeof(number));
    *new = (struct slice){f->record, 40 + rng_below(&f->rng, VALUE_MAX - 40)};
    return ST_OK;
}

static void change(struct clerk *w);

static void on_changed(struct store_write *write) {
    struct clerk *w = CONTAINER_OF(write, struct clerk, write);
    struct shelf *f = w->shelf;
    assert_int_equal(write->status, ST_OK);
    f->busy--;
    if (f->is_changing && f->change_count + CLERKS < CHANGES_MAX) change(w);
}

static void change(struct clerk *w) {
    struct shelf *f = w->shelf;
    // Names that are there twice are written as the first of them.
    w->key = rng_below(&f->rng, KEYS);
    while (w->key > 0 && slice_equal(name_of(f, w->key), name_of(f, w->key - 1))) w->key--;
    f->busy++;
    w->write = (struct store_write){.apply = on_apply, .done = on_changed};
    w->write.key = name_of(f, w->key);
    store_put(f->shop->store, &w->write);
}

static void begin_changing(struct shelf *f, uint32_t clerks) {
    machine_enter(f->shop->machine);
    for (uint32_t i = 0; i < clerks; i++) change(&f->clerks[i]);
    machine_leave(f->shop->machine);
}

static void wait_for_clerks(struct shelf *f) {
    uint64_t until = world_now(f->shop->world) + 60 * NS_PER_SECOND;
    while (f->busy > 0) assert_true(world_step(f->shop->world, until));
}

static void change_for(struct shelf *f, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        begin_changing(f, 1);
        wait_for_clerks(f);
    }
}

static struct shelf *shelf_new(uint64_t seed) {
    struct shelf *f = calloc(1, sizeof(*f));
    struct world_options options = world_quiet();
    f->shop = shop_new(seed, &options);
    f->rng = world_stream(f->shop->world, 2);
    struct store_options *o = &f->shop->options;
    o->memory_max = 0; // the least there is
    o->segment_size = UINT64_C(96) * 1024;
    o->flush_size = rng_spread(&f->rng, 2048, 65536);
    o->table_size = rng_spread(&f->rng, 8192, 131072);
    o->block_size = (uint32_t)rng_spread(&f->rng, 64, 8192);
    o->codec = rng_chance(&f->rng, 1, 2) ? CODEC_LZ4 : CODEC_NONE;
    make_names(f);
    for (uint32_t i = 0; i < CLERKS; i++) f->clerks[i].shelf = f;
    assert_int_equal(shop_open(f->shop), ST_OK);
    return f;
}

// Then nothing is in memory but what is not in tables yet.
static void reopen(struct shelf *f) {
    shop_end(f->shop);
    assert_int_equal(shop_open(f->shop), ST_OK);
}

static void shelf_free(struct shelf *f) {
    shop_end(f->shop);
    shop_free(f->shop);
    free(f);
}

// A scan, and what it has seen.
struct look {
    struct store_scan scan;
    const struct shelf *shelf;
    uint32_t most;
    uint32_t count;
    uint32_t seen[KEYS];    // keys
    uint32_t numbers[KEYS]; // of the changes that wrote what was seen
    uint8_t after[NAME_MAX];
    bool is_done;
};

static bool on_seen(struct store_scan *scan, struct slice key, struct slice record,
                    bool is_durable) {
    struct look *l = CONTAINER_OF(scan, struct look, scan);
    (void)is_durable;
    uint32_t number;
    assert_true(record.size >= sizeof(number));
    memcpy(&number, record.data, sizeof(number));
    assert_true(number > 0);
    assert_true(number <= l->shelf->change_count);
    assert_true(slice_equal(key, name_of(l->shelf, l->shelf->keys[number])));
    l->seen[l->count] = l->shelf->keys[number];
    l->numbers[l->count++] = number;
    return l->count < l->most;
}

static void on_looked(struct store_scan *scan) {
    CONTAINER_OF(scan, struct look, scan)->is_done = true;
}

// Looks from somewhere, in some direction, so far and no further.
static void look(struct shelf *f, struct look *l, bool is_one_state) {
    *l = (struct look){.shelf = f, .scan = {.visit = on_seen, .done = on_looked}};
    l->scan.is_reverse = rng_chance(&f->rng, 1, 2);
    l->scan.is_inclusive = rng_chance(&f->rng, 1, 2);
    l->scan.is_one_state = is_one_state;
    l->most = rng_chance(&f->rng, 1, 2) ? KEYS : 1 + rng_below(&f->rng, 50);
    if (rng_chance(&f->rng, 3, 4)) {
        l->scan.after = name_of(f, rng_below(&f->rng, KEYS));
        memcpy(l->after, l->scan.after.data, l->scan.after.size);
        if (rng_chance(&f->rng, 1, 3)) l->after[l->scan.after.size - 1]++; // mostly no key
        l->scan.after.data = l->after;
    }
    machine_enter(f->shop->machine);
    if (store_each(f->shop->store, &l->scan)) l->is_done = true;
    machine_leave(f->shop->machine);
    assert_true(shop_wait(f->shop, &l->is_done));
    assert_int_equal(l->scan.status, ST_OK);
}

static bool is_behind_start(const struct look *l, uint32_t key) {
    if (l->scan.after.size == 0) return true;
    int order = slice_compare(name_of(l->shelf, key), l->scan.after);
    if (l->scan.is_reverse) order = -order;
    return order > 0 || (order == 0 && l->scan.is_inclusive);
}

// Is what was seen all there was, up to the last key seen or, if the scan was not ended, to the
// end, when the changes in `written` had been made?
static bool is_all_of(const struct look *l, const uint32_t *written) {
    uint32_t at = 0;
    for (uint32_t i = 0; i < KEYS && at < l->most; i++) {
        uint32_t key = l->scan.is_reverse ? KEYS - 1 - i : i;
        if (written[key] == 0 || !is_behind_start(l, key)) continue;
        if (at == l->count) return l->scan.is_cut;
        if (l->seen[at] != key || l->numbers[at] != written[key]) return false;
        at++;
    }
    return at == l->count;
}

static void a_scan_begins_anywhere_and_goes_either_way(void **state) {
    (void)state;
    uint64_t tables = 0;
    for (uint64_t seed = test_seed(); seed < test_seed() + 8; seed++) {
        struct shelf *f = shelf_new(seed);
        for (uint32_t round = 0; round < 60; round++) {
            change_for(f, 1 + rng_below(&f->rng, 40));
            if (rng_chance(&f->rng, 1, 3)) reopen(f);
            struct look l;
            look(f, &l, false);
            assert_false(l.scan.is_cut);
            assert_true(is_all_of(&l, f->numbers));
            tables += store_stats(f->shop->store).table_count;
        }
        shelf_free(f);
    }
    assert_true(tables > 400);
}

// True if there was a moment at which the partition was what the scan has shown of it.
static bool is_state_of_some_moment(const struct look *l) {
    uint32_t written[KEYS] = {0};
    uint32_t latest = 0; // seen
    for (uint32_t i = 0; i < l->count; i++) {
        if (l->numbers[i] > latest) latest = l->numbers[i];
    }
    for (uint32_t number = 0; number <= l->shelf->change_count; number++) {
        if (number > 0) written[l->shelf->keys[number]] = number;
        if (number >= latest && is_all_of(l, written)) return true;
    }
    return false;
}

static void a_scan_shows_one_state_if_asked_to_while_others_write(void **state) {
    (void)state;
    uint32_t cut = 0;
    uint32_t mixed = 0;
    for (uint64_t seed = test_seed(); seed < test_seed() + 8; seed++) {
        struct shelf *f = shelf_new(seed);
        change_for(f, 1000);
        reopen(f);
        f->is_changing = true;
        begin_changing(f, CLERKS);
        for (uint32_t round = 0; round < 50 && f->change_count + 200 < CHANGES_MAX; round++) {
            struct look l;
            look(f, &l, true);
            assert_true(l.count > 0 || !l.scan.is_cut); // it always gets on
            assert_true(is_state_of_some_moment(&l));
            cut += l.scan.is_cut;
            look(f, &l, false);
            assert_false(l.scan.is_cut);
            mixed += !is_state_of_some_moment(&l);
        }
        f->is_changing = false;
        wait_for_clerks(f);
        shelf_free(f);
    }
    assert_true(cut > 3);
    assert_true(mixed > 3);
}

int store_scan_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(a_scan_begins_anywhere_and_goes_either_way),
        cmocka_unit_test(a_scan_shows_one_state_if_asked_to_while_others_write),
    };
    return cmocka_run_group_tests_name("store_scan", cases, NULL, NULL);
}
