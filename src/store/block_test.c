// SPDX-License-Identifier: Apache-2.0
#include "store/block.h"

#include "base/rng.h"
#include "tests/golden.h"
#include "tests/test.h"

#include <stdlib.h>

enum { CAPACITY = 64 * 1024, KEYS = 3000, LIMIT = 4096 };

struct made {
    uint8_t key[40];
    size_t key_size;
    uint8_t record[60];
    size_t record_size;
};

static int compare_made(const void *a, const void *b) {
    const struct made *x = a;
    const struct made *y = b;
    return slice_compare((struct slice){x->key, x->key_size}, (struct slice){y->key, y->key_size});
}

static struct slice key_of(const struct made *m) {
    return (struct slice){m->key, m->key_size};
}

static struct slice record_of(const struct made *m) {
    return (struct slice){m->record, m->record_size};
}

// Distinct keys in order, many of them with long beginnings in common.
static uint32_t make(struct made *all, uint64_t seed) {
    struct rng rng = {seed};
    for (uint32_t i = 0; i < KEYS; i++) {
        struct made *m = &all[i];
        uint8_t key[40];
        size_t size = rng_below(&rng, 36);
        for (size_t k = 0; k < size; k++)
            key[k] = (uint8_t)(rng_below(&rng, 8) == 0 ? rng_below(&rng, 256) : 'a');
        struct partition p = {.slot = (uint16_t)rng_below(&rng, 3)};
        m->key_size = full_key_write(m->key, p, (struct slice){key, size});
        m->record_size = rng_below(&rng, sizeof(m->record));
        for (size_t k = 0; k < m->record_size; k++) m->record[k] = (uint8_t)rng_next(&rng);
    }
    qsort(all, KEYS, sizeof(*all), compare_made);
    uint32_t count = 0;
    for (uint32_t i = 0; i < KEYS; i++) {
        if (i == 0 || compare_made(&all[count - 1], &all[i]) != 0) all[count++] = all[i];
    }
    return count;
}

struct fixture {
    struct made all[KEYS];
    uint8_t data[CAPACITY];
    uint8_t last[FULL_KEY_MAX];
    uint8_t key[FULL_KEY_MAX];
    struct block_builder builder;
};

// A block of the keys from `first` on; *end is the first that did not fit.
static struct slice build(struct fixture *f, uint32_t first, uint32_t count, uint32_t *end) {
    block_init(&f->builder, f->data, CAPACITY, f->last);
    for (*end = first; *end < count; ++*end) {
        if (!block_add(&f->builder, key_of(&f->all[*end]), record_of(&f->all[*end]), LIMIT)) break;
    }
    struct slice block = block_finish(&f->builder);
    assert_true(block.size <= LIMIT);
    assert_int_equal(block.size, block_size(&f->builder));
    return block;
}

// What docs/formats.md shows: one-letter keys of one partition, as many as make two restarts; each
// record is the letter in upper case, but that of c, which was removed.
enum { EXAMPLE_KEYS = RESTART_EVERY + 1 };

static struct slice example(struct fixture *f) {
    struct partition p = {.slot = 12739};
    block_init(&f->builder, f->data, CAPACITY, f->last);
    for (uint32_t i = 0; i < EXAMPLE_KEYS; i++) {
        uint8_t full[FULL_KEY_HEAD + 1];
        uint8_t letter = (uint8_t)('a' + i);
        uint8_t upper = (uint8_t)('A' + i);
        struct slice key = {full, full_key_write(full, p, (struct slice){&letter, 1})};
        assert_true(block_add(&f->builder, key, (struct slice){&upper, letter != 'c'}, LIMIT));
    }
    return block_finish(&f->builder);
}

static void the_format_is_that_of_the_golden_bytes(void **state) {
    (void)state;
    struct fixture *f = malloc(sizeof(*f));
    golden_compare("block.v1", example(f));
    struct slice golden = golden_read("block.v1", f->data, CAPACITY);
    struct block_cursor c;
    block_open(&c, golden, f->key);
    for (uint32_t i = 0; i < EXAMPLE_KEYS; i++) {
        assert_true(block_next(&c));
        assert_int_equal(full_key_partition(c.key).slot, 12739);
        struct slice key = full_key_rest(c.key);
        assert_int_equal(key.size, 1);
        assert_int_equal(key.data[0], 'a' + i);
        assert_int_equal(c.record.size, i != 2);
        if (i != 2) assert_int_equal(c.record.data[0], 'A' + i);
    }
    assert_false(block_next(&c));
    assert_false(c.failed);
    free(f);
}

static void entries_come_out_as_they_went_in(void **state) {
    (void)state;
    struct fixture *f = malloc(sizeof(*f));
    uint32_t count = make(f->all, 1);
    assert_true(count > 2000);
    uint32_t end = 0;
    for (uint32_t first = 0; first < count; first = end) {
        struct slice block = build(f, first, count, &end);
        struct block_cursor c;
        block_open(&c, block, f->key);
        assert_false(c.is_valid);
        for (uint32_t i = first; i < end; i++) {
            assert_true(block_next(&c));
            assert_true(slice_equal(c.key, key_of(&f->all[i])));
            assert_true(slice_equal(c.record, record_of(&f->all[i])));
        }
        assert_false(block_next(&c));
        assert_false(c.failed);
    }
    free(f);
}

static void entries_come_out_backwards(void **state) {
    (void)state;
    struct fixture *f = malloc(sizeof(*f));
    uint32_t count = make(f->all, 1);
    uint32_t end = 0;
    for (uint32_t first = 0; first < count; first = end) {
        struct slice block = build(f, first, count, &end);
        struct block_cursor c;
        block_open(&c, block, f->key);
        block_end(&c);
        for (uint32_t i = end; i > first; i--) {
            assert_true(block_prev(&c));
            assert_true(slice_equal(c.key, key_of(&f->all[i - 1])));
            assert_true(slice_equal(c.record, record_of(&f->all[i - 1])));
        }
        assert_false(block_prev(&c));
        assert_false(c.failed);
    }
    free(f);
}

static void a_search_back_finds_the_last_key_before(void **state) {
    (void)state;
    struct fixture *f = malloc(sizeof(*f));
    uint32_t count = make(f->all, 2);
    uint32_t end = 0;
    struct slice block = build(f, 100, count, &end);
    struct block_cursor c;
    for (uint32_t wanted = 0; wanted < count; wanted++) {
        for (uint32_t inclusive = 0; inclusive < 2; inclusive++) {
            block_open(&c, block, f->key);
            uint32_t past = wanted + inclusive > end ? end : wanted + inclusive;
            assert_int_equal(block_seek_back(&c, key_of(&f->all[wanted]), inclusive == 1),
                             past > 100);
            assert_false(c.failed);
            if (past <= 100) continue;
            assert_true(slice_equal(c.key, key_of(&f->all[past - 1])));
            assert_int_equal(block_prev(&c), past > 101);
        }
    }
    free(f);
}

static void a_search_finds_the_first_key_not_before(void **state) {
    (void)state;
    struct fixture *f = malloc(sizeof(*f));
    uint32_t count = make(f->all, 2);
    uint32_t end = 0;
    struct slice block = build(f, 100, count, &end);
    assert_true(end - 100 > 3 * RESTART_EVERY);
    struct block_cursor c;
    block_open(&c, block, f->key);
    for (uint32_t wanted = 0; wanted < count; wanted++) {
        bool is_found = block_seek(&c, key_of(&f->all[wanted]));
        assert_int_equal(is_found, wanted < end);
        if (!is_found) continue;
        uint32_t expected = wanted < 100 ? 100 : wanted;
        assert_true(slice_equal(c.key, key_of(&f->all[expected])));
        assert_true(slice_equal(c.record, record_of(&f->all[expected])));
    }
    // Between two keys.
    for (uint32_t i = 100; i + 1 < end; i++) {
        struct made between = f->all[i];
        between.key[between.key_size++] = 0;
        if (compare_made(&between, &f->all[i + 1]) == 0) continue;
        assert_true(block_seek(&c, key_of(&between)));
        assert_true(slice_equal(c.key, key_of(&f->all[i + 1])));
    }
    free(f);
}

static void one_entry_may_exceed_the_limit_and_none_the_capacity(void **state) {
    (void)state;
    struct fixture *f = malloc(sizeof(*f));
    static uint8_t large[CAPACITY];
    uint8_t key[8] = {0, 0, 0, 1, 'k'};
    block_init(&f->builder, f->data, CAPACITY, f->last);
    size_t most = CAPACITY - block_size_of(5, 0);
    assert_false(
        block_add(&f->builder, (struct slice){key, 5}, (struct slice){large, most + 1}, LIMIT));
    assert_true(block_add(&f->builder, (struct slice){key, 5}, (struct slice){large, most}, LIMIT));
    key[4] = 'l';
    assert_false(block_add(&f->builder, (struct slice){key, 5}, (struct slice){large, 0}, LIMIT));
    struct slice block = block_finish(&f->builder);
    struct block_cursor c;
    block_open(&c, block, f->key);
    assert_true(block_next(&c));
    assert_int_equal(c.record.size, most);
    free(f);
}

// Whatever the bytes are, they are read within their bounds (as the sanitizers see), and a cut
// block never shows more than was in it.
static void what_is_no_block_fails(void **state) {
    (void)state;
    struct fixture *f = malloc(sizeof(*f));
    uint32_t count = make(f->all, 3);
    uint32_t end = 0;
    struct slice block = build(f, 0, count, &end);
    struct rng rng = {4};
    for (uint32_t round = 0; round < 20000; round++) {
        size_t size = rng_below(&rng, (uint32_t)block.size + 1);
        uint8_t *bytes = malloc(size + 1);
        memcpy(bytes, block.data, size);
        for (uint32_t flips = rng_below(&rng, 4); flips > 0 && size > 0; flips--) {
            bytes[size - 1 - rng_below(&rng, (uint32_t)(size < 40 ? size : 40))] =
                (uint8_t)rng_below(&rng, 3);
        }
        struct block_cursor c;
        block_open(&c, (struct slice){bytes, size}, f->key);
        for (uint32_t i = 0; i < 10 && block_next(&c); i++)
            assert_true(c.key.size >= FULL_KEY_HEAD);
        (void)block_seek(&c, key_of(&f->all[rng_below(&rng, count)]));
        block_open(&c, (struct slice){bytes, size}, f->key);
        if (block_seek_back(&c, key_of(&f->all[rng_below(&rng, count)]), false)) {
            while (block_prev(&c)) assert_true(c.key.size >= FULL_KEY_HEAD);
        }
        free(bytes);
    }
    struct block_cursor c;
    block_open(&c, (struct slice){NULL, 0}, f->key);
    assert_true(c.failed);
    assert_false(block_next(&c));
    free(f);
}

// One long key and others that begin like it: what they need is what the block has of them.
static void keys_have_room_in_as_many_bytes_as_their_block(void **state) {
    (void)state;
    enum { LONG = 2000, COUNT = 5, GUARD = 64 };
    struct fixture *f = malloc(sizeof(*f));
    static uint8_t data[CAPACITY];
    uint8_t key[LONG + 1];
    memset(key, 'k', sizeof(key));
    struct block_builder builder;
    block_init(&builder, data, sizeof(data), f->last);
    for (size_t i = 0; i < COUNT; i++) {
        key[LONG] = (uint8_t)i;
        assert_true(block_add(&builder, (struct slice){key, sizeof(key)}, SLICE(""), CAPACITY));
    }
    struct slice block = block_finish(&builder);
    size_t most = block_key_most(block);
    assert_true(most < LONG + 100);
    memset(f->key, 'g', sizeof(f->key));
    struct block_cursor c;
    block_open(&c, block, f->key);
    for (size_t i = 0; i < COUNT; i++) {
        assert_true(block_next(&c));
        assert_int_equal(c.key.size, LONG + 1);
        assert_int_equal(c.key.data[LONG], i);
    }
    for (size_t i = 0; i < GUARD; i++) assert_int_equal(f->key[most + i], 'g');
    assert_int_equal(block_key_most((struct slice){NULL, 0}), 1);
    free(f);
}

int block_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(the_format_is_that_of_the_golden_bytes),
        cmocka_unit_test(entries_come_out_as_they_went_in),
        cmocka_unit_test(entries_come_out_backwards),
        cmocka_unit_test(a_search_finds_the_first_key_not_before),
        cmocka_unit_test(a_search_back_finds_the_last_key_before),
        cmocka_unit_test(one_entry_may_exceed_the_limit_and_none_the_capacity),
        cmocka_unit_test(what_is_no_block_fails),
        cmocka_unit_test(keys_have_room_in_as_many_bytes_as_their_block),
    };
    return cmocka_run_group_tests_name("block", cases, NULL, NULL);
}
