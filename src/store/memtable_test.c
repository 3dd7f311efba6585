// SPDX-License-Identifier: Apache-2.0
#include "store/memtable.h"

#include "base/rng.h"
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>

enum { MEMORY = 8 << 20, KEYS = 3000, RECORD_MAX = 600, KEYSPACES = 3 };

static const uint16_t keyspaces[KEYSPACES] = {0, 7, 65535};

// The naive table: an array in which key i has place i.
struct model {
    struct partition partition;
    uint8_t key[40];
    uint32_t key_size;
    uint8_t record[RECORD_MAX];
    uint32_t record_size;
    bool is_present;
};

struct fixture {
    void *memory;
    struct keyspaces keyspaces;
    struct memtable table;
    struct model *models;
    uint32_t model_count;
};

static struct slice model_key(const struct model *m) {
    return (struct slice){m->key, m->key_size};
}

static struct fixture *fixture_with_reserve(size_t memory_max, size_t reserve, uint32_t keys,
                                            uint32_t slots, struct rng *rng) {
    struct fixture *f = calloc(1, sizeof(*f));
    size_t size = memtable_memory_size(memory_max, KEYSPACES) + keyspaces_memory_size(KEYSPACES);
    size = (size + 63) / 64 * 64;
    f->memory = aligned_alloc(64, size);
    memset(f->memory, 0, size);
    struct arena arena = arena_over(f->memory, size);
    keyspaces_init(&f->keyspaces, &arena, KEYSPACES);
    memtable_init(&f->table, &arena, &f->keyspaces, memory_max, reserve, rng_next(rng));
    f->models = calloc(keys, sizeof(struct model));
    f->model_count = keys;
    for (uint32_t i = 0; i < keys; i++) {
        struct model *m = &f->models[i];
        m->partition.keyspace = keyspaces[i % KEYSPACES];
        m->partition.slot = (uint16_t)(SLOT_COUNT - 1 - rng_below(rng, slots));
        if (i % 5 == 0) m->partition = (struct partition){0, SLOT_SYSTEM};
        // Many begin alike, and some are the beginning of others.
        m->key_size = (uint32_t)snprintf((char *)m->key, sizeof(m->key), "%.*s%u",
                                         (int)rng_below(rng, 20), "zzzzzzzzzzzzzzzzzzzz", i);
    }
    return f;
}

static struct fixture *fixture_new(size_t memory_max, uint32_t keys, uint32_t slots,
                                   struct rng *rng) {
    return fixture_with_reserve(memory_max, 0, keys, slots, rng);
}

static void fixture_free(struct fixture *f) {
    free(f->models);
    free(f->memory);
    free(f);
}

static uint32_t find(const struct fixture *f, const struct model *m) {
    uint32_t tag = memtable_tag(&f->table, m->partition, model_key(m));
    return memtable_find(&f->table, tag, m->partition, model_key(m));
}

static bool put(struct fixture *f, struct model *m, uint32_t size, uint8_t fill) {
    uint8_t record[RECORD_MAX];
    memset(record, fill, size);
    uint32_t tag = memtable_tag(&f->table, m->partition, model_key(m));
    uint32_t entry = find(f, m);
    struct slice bytes = {record, size};
    if (!memtable_put(&f->table, tag, &entry, m->partition, model_key(m), bytes)) return false;
    entry_set_position(memtable_entry(&f->table, entry), fill);
    memcpy(m->record, record, size);
    m->record_size = size;
    m->is_present = true;
    return true;
}

static void check_key(const struct fixture *f, const struct model *m) {
    uint32_t entry = find(f, m);
    assert_int_equal(entry != 0, m->is_present);
    if (entry == 0) return;
    struct slice record = memtable_record(&f->table, entry);
    assert_int_equal(record.size, m->record_size);
    assert_memory_equal(record.data, m->record, record.size);
    assert_int_equal(entry_position(memtable_entry(&f->table, entry)), m->record[0]);
}

static void check_all(const struct fixture *f) {
    uint64_t count = 0;
    for (uint32_t i = 0; i < f->model_count; i++) {
        check_key(f, &f->models[i]);
        count += f->models[i].is_present;
    }
    assert_int_equal(f->table.count, count);
}

// Checks one partition against the models in the most obvious way: what is the least key past the
// last one, or in reverse the greatest before it?
struct listing {
    const struct fixture *f;
    struct partition partition;
    struct slice last; // no data: none
    bool is_inclusive; // of the last, which is where the listing begins
    bool is_reverse;
};

static const struct model *next_model(const struct listing *l) {
    const struct model *best = NULL;
    for (uint32_t i = 0; i < l->f->model_count; i++) {
        const struct model *m = &l->f->models[i];
        bool is_in = partition_number(m->partition) == partition_number(l->partition);
        if (!m->is_present || !is_in) continue;
        int sign = l->is_reverse ? -1 : 1;
        int order = l->last.data == NULL ? 1 : sign * slice_compare(model_key(m), l->last);
        if (order < 0 || (order == 0 && !l->is_inclusive)) continue;
        if (best == NULL || sign * slice_compare(model_key(m), model_key(best)) < 0) best = m;
    }
    return best;
}

static bool on_listed(void *context, uint32_t entry) {
    struct listing *l = context;
    const struct model *m = next_model(l);
    assert_non_null(m);
    assert_true(slice_equal(entry_key(memtable_entry(&l->f->table, entry)), model_key(m)));
    l->last = model_key(m);
    l->is_inclusive = false;
    return true;
}

static void check_listing(struct fixture *f, struct partition partition, struct slice from) {
    for (uint32_t way = 0; way < 4; way++) {
        const struct order_start start = {from, (way & 1) != 0, (way & 2) != 0};
        struct listing l = {f, partition, from, start.is_inclusive, start.is_reverse};
        uint32_t root = memtable_root(&f->table, l.partition);
        assert_true(order_each(&f->table.tlsf, root, &start, on_listed, &l));
        assert_null(next_model(&l));
    }
}

static void agrees_with_a_naive_table(void **state) {
    (void)state;
    struct rng rng = {test_seed()};
    for (uint32_t slots = 1; slots <= 1000; slots *= 10) {
        struct fixture *f = fixture_new(MEMORY, KEYS, slots, &rng);
        for (uint32_t step = 0; step < 20000; step++) {
            struct model *m = &f->models[rng_below(&rng, KEYS)];
            // Phases in which the table fills and in which it empties.
            uint32_t removals = step / 5000 % 2 == 0 ? 1 : 8;
            if (rng_chance(&rng, removals, 10)) {
                if (m->is_present) {
                    memtable_remove(&f->table, memtable_tag(&f->table, m->partition, model_key(m)),
                                    find(f, m));
                }
                m->is_present = false;
            } else {
                assert_true(put(f, m, 1 + rng_below(&rng, RECORD_MAX), (uint8_t)step));
            }
            check_key(f, m);
            if (step % 2500 == 0) memtable_check(&f->table);
        }
        memtable_check(&f->table);
        check_all(f);
        for (uint32_t i = 0; i <= KEYSPACES; i++) {
            struct partition p = {0, SLOT_SYSTEM};
            if (i < KEYSPACES) p = (struct partition){keyspaces[i], SLOT_COUNT - 1};
            check_listing(f, p, (struct slice){NULL, 0});
            check_listing(f, p, SLICE("zzz"));
            check_listing(f, p, model_key(&f->models[7]));
        }
        fixture_free(f);
    }
}

static void a_full_table_refuses_and_is_as_it_was(void **state) {
    (void)state;
    struct rng rng = {test_seed() + 1};
    enum { MANY = 20000, SMALL = 1 << 20, NEARLY_ALL = SMALL / 100 * 95 };
    struct fixture *f = fixture_new(SMALL, MANY, 50, &rng);
    uint32_t refused = 0;
    for (uint32_t i = 0; i < MANY; i++) {
        refused += !put(f, &f->models[rng_below(&rng, MANY)], 1 + rng_below(&rng, 200), (uint8_t)i);
    }
    assert_true(refused > MANY / 10);
    assert_true(f->table.tlsf.used > NEARLY_ALL);
    memtable_check(&f->table);
    check_all(f);
    for (uint32_t i = 0; i < MANY; i++) { // and gives back what it took
        struct model *m = &f->models[i];
        if (!m->is_present) continue;
        memtable_remove(&f->table, memtable_tag(&f->table, m->partition, model_key(m)), find(f, m));
        m->is_present = false;
    }
    memtable_check(&f->table);
    check_all(f);
    assert_true(put(f, &f->models[0], RECORD_MAX, 1));
    fixture_free(f);
}

static void a_record_may_come_out_of_the_one_it_replaces(void **state) {
    (void)state;
    struct rng rng = {test_seed() + 2};
    struct fixture *f = fixture_new(1 << 20, 100, 1, &rng);
    for (uint32_t i = 0; i < 100; i++) assert_true(put(f, &f->models[i], RECORD_MAX, (uint8_t)i));
    for (uint32_t i = 0; i < 100; i++) {
        struct model *m = &f->models[i];
        struct slice old = memtable_record(&f->table, find(f, m));
        struct slice part = {old.data + 3, 1 + rng_below(&rng, RECORD_MAX - 10)};
        uint32_t tag = memtable_tag(&f->table, m->partition, model_key(m));
        uint32_t entry = find(f, m);
        assert_true(memtable_put(&f->table, tag, &entry, m->partition, model_key(m), part));
        m->record_size = (uint32_t)part.size;
        check_key(f, m);
    }
    memtable_check(&f->table);
    fixture_free(f);
}

// The index of a keyspace is free for another when its last entry is gone.
static void a_keyspace_too_many_is_refused(void **state) {
    (void)state;
    struct rng rng = {test_seed()};
    struct fixture *f = fixture_new(1 << 20, 100, 3, &rng);
    for (uint32_t i = 0; i < 100; i++) assert_true(put(f, &f->models[i], 20, (uint8_t)i));
    struct model other = {.partition = {8, 3}, .key = "other", .key_size = 5};
    uint64_t used = f->table.tlsf.used;
    assert_false(put(f, &other, 20, 1));
    assert_int_equal(memtable_root(&f->table, other.partition), 0);
    assert_int_equal(f->table.tlsf.used, used);
    memtable_check(&f->table);
    check_all(f);
    uint32_t left = 0;
    for (uint32_t i = 0; i < 100; i++) left += f->models[i].partition.keyspace == 7;
    for (uint32_t i = 0; i < 100; i++) {
        struct model *m = &f->models[i];
        if (m->partition.keyspace != 7) continue;
        memtable_remove(&f->table, memtable_tag(&f->table, m->partition, model_key(m)), find(f, m));
        m->is_present = false;
        assert_int_equal(put(f, &other, 20, 1), --left == 0);
    }
    check_key(f, &other);
    memtable_check(&f->table);
    fixture_free(f);
}

static void what_is_clean_and_unused_goes_first_and_what_is_dirty_stays(void **state) {
    (void)state;
    enum { MANY = 2000, DIRTY = 100, SIZE = 50, WANTED = 100 * SIZE };
    struct rng rng = {test_seed() + 4};
    struct fixture *f = fixture_new(1 << 20, MANY, 9, &rng);
    for (uint32_t i = 0; i < MANY; i++) {
        assert_true(put(f, &f->models[i], SIZE, (uint8_t)(i % 2 == 0 ? DIRTY : i % DIRTY)));
        memtable_entry(&f->table, find(f, &f->models[i]))->is_used = i % 4 == 1;
    }
    uint64_t freed = memtable_evict(&f->table, DIRTY, WANTED);
    assert_true(freed >= WANTED);
    assert_true(freed / 2 < WANTED);
    memtable_check(&f->table);
    uint32_t gone[4] = {0};
    for (uint32_t i = 0; i < MANY; i++) gone[i % 4] += find(f, &f->models[i]) == 0;
    assert_int_equal(gone[0] + gone[2], 0); // dirty
    assert_int_equal(gone[1], 0);           // used since the hand last came by
    assert_true(gone[3] > 20);

    (void)memtable_evict(&f->table, DIRTY, UINT64_MAX);
    memtable_check(&f->table);
    for (uint32_t i = 0; i < MANY; i++) f->models[i].is_present = i % 2 == 0;
    check_all(f);
    fixture_free(f);
}

static void a_key_costs_at_most_sixty_bytes(void **state) {
    (void)state;
    struct rng rng = {test_seed() + 3};
    enum { MANY = 150000, MANY_MEMORY = 64 << 20 };
    struct fixture *f = fixture_new(MANY_MEMORY, 1, 1, &rng);
    uint64_t worst = 0;
    uint64_t sum = 0;
    uint64_t size = 0; // of keys and records
    uint8_t record[100] = {0};
    for (uint32_t i = 0; i < MANY; i++) {
        char text[20];
        snprintf(text, sizeof(text), "key:%012u", i * 7919u % 1000000u);
        struct slice key = {(uint8_t *)text, 16};
        struct partition partition = {0, slot_of(key)};
        uint32_t tag = memtable_tag(&f->table, partition, key);
        struct slice bytes = {record, 60 + i % 40};
        uint32_t entry = 0;
        assert_true(memtable_put(&f->table, tag, &entry, partition, key, bytes));
        size += key.size + bytes.size;
        if (i < MANY / 3) continue;
        uint64_t overhead = (f->table.tlsf.used - size) / f->table.count;
        sum += overhead;
        if (overhead > worst) worst = overhead;
    }
    print_message("    %u bytes a key on average, %u at worst\n",
                  (unsigned)(sum / (MANY - MANY / 3)), (unsigned)worst);
    assert_true(sum / (MANY - MANY / 3) <= 60);
    fixture_free(f);
}

// Between small records, every other one of which is gone, only what is held back has room in one
// piece; and that is there again when the large one is gone.
static void the_reserve_holds_one_large_record(void **state) {
    (void)state;
    enum { RESERVE = 40000, SMALL = 20000, LARGE = 30000 };
    static uint8_t large[LARGE];
    struct rng rng = {test_seed()};
    struct fixture *f = fixture_with_reserve((size_t)256 * 1024, RESERVE, SMALL, 1, &rng);
    uint32_t count = 0;
    while (count < SMALL && put(f, &f->models[count], 8, 1)) count++;
    assert_true(count < SMALL);
    for (uint32_t i = 0; i < count; i += 2) {
        struct model *m = &f->models[i];
        memtable_remove(&f->table, memtable_tag(&f->table, m->partition, model_key(m)), find(f, m));
        m->is_present = false;
    }
    const struct partition partition = f->models[0].partition;
    const struct slice key = SLICE("large");
    const struct slice record = {large, sizeof(large)};
    uint32_t tag = memtable_tag(&f->table, partition, key);
    for (uint32_t round = 0; round < 2; round++) {
        uint32_t entry = 0;
        assert_true(memtable_take_reserve(&f->table));
        assert_false(memtable_put(&f->table, tag, &entry, partition, key, record));
        assert_true(memtable_put_reserved(&f->table, tag, &entry, partition, key, record));
        assert_false(memtable_take_reserve(&f->table));
        memtable_check(&f->table);
        memtable_remove(&f->table, tag, entry);
    }
    check_all(f);
    fixture_free(f);
}

int memtable_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(agrees_with_a_naive_table),
        cmocka_unit_test(a_full_table_refuses_and_is_as_it_was),
        cmocka_unit_test(a_keyspace_too_many_is_refused),
        cmocka_unit_test(a_record_may_come_out_of_the_one_it_replaces),
        cmocka_unit_test(what_is_clean_and_unused_goes_first_and_what_is_dirty_stays),
        cmocka_unit_test(a_key_costs_at_most_sixty_bytes),
        cmocka_unit_test(the_reserve_holds_one_large_record),
    };
    return cmocka_run_group_tests_name("memtable", cases, NULL, NULL);
}
