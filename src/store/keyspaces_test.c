// SPDX-License-Identifier: Apache-2.0
#include "store/keyspaces.h"

#include "base/rng.h"
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>

enum { MAX = 4, NUMBERS = 9 };

// Ascending.
static const uint16_t numbers[NUMBERS] = {0, 1, 2, 7, 255, 256, 4096, 65534, 65535};

struct fixture {
    void *memory;
    struct keyspaces keyspaces;
};

static struct fixture *fixture_new(uint32_t max) {
    struct fixture *f = calloc(1, sizeof(*f));
    size_t size = (keyspaces_memory_size(max) + 63) / 64 * 64;
    f->memory = aligned_alloc(64, size);
    memset(f->memory, 0, size);
    struct arena arena = arena_over(f->memory, size);
    keyspaces_init(&f->keyspaces, &arena, max);
    return f;
}

static void fixture_free(struct fixture *f) {
    free(f->memory);
    free(f);
}

static void keyspace_0_has_index_0_and_others_wait_for_their_first_key(void **state) {
    (void)state;
    struct fixture *f = fixture_new(MAX);
    struct keyspaces *k = &f->keyspaces;
    assert_int_equal(keyspaces_find(k, 0), 0);
    assert_int_equal(keyspaces_take(k, 0), 0);
    for (uint32_t i = 1; i < NUMBERS; i++) {
        assert_int_equal(keyspaces_find(k, numbers[i]), KEYSPACE_NONE);
        assert_int_equal(keyspaces_part(k, (struct partition){numbers[i], 5}), KEYSPACE_NONE);
    }
    assert_int_equal(keyspaces_part(k, (struct partition){0, SLOT_SYSTEM}), SLOT_SYSTEM);
    assert_int_equal(keyspaces_part(k, (struct partition){0, SLOT_HINTS}), SLOT_HINTS);
    uint32_t index = keyspaces_take(k, 65535);
    assert_int_equal(index, 1);
    assert_int_equal(keyspaces_part(k, (struct partition){65535, 5}), KEYSPACE_PARTS + 5);
    fixture_free(f);
}

static void with_room_for_one_that_is_keyspace_0(void **state) {
    (void)state;
    struct fixture *f = fixture_new(1);
    assert_true(keyspaces_has_room(&f->keyspaces, 0));
    assert_false(keyspaces_has_room(&f->keyspaces, 1));
    assert_int_equal(keyspaces_take(&f->keyspaces, 1), KEYSPACE_NONE);
    fixture_free(f);
}

static void an_index_is_given_back_when_nothing_is_left(void **state) {
    (void)state;
    struct fixture *f = fixture_new(3);
    struct keyspaces *k = &f->keyspaces;
    uint32_t a = keyspaces_take(k, 500);
    k->uses[a].keys = 1;
    k->uses[a].entries = 1;
    uint32_t b = keyspaces_take(k, 3);
    k->uses[b].keys = 1;
    assert_int_equal(keyspaces_take(k, 9), KEYSPACE_NONE);
    k->uses[a].keys = 0; // all were removed, but that is in memory alone
    assert_false(keyspaces_has_room(k, 9));
    assert_int_equal(keyspaces_take(k, 9), KEYSPACE_NONE);
    k->uses[a].entries = 0;
    k->are_kept = true;
    assert_int_equal(keyspaces_take(k, 9), KEYSPACE_NONE);
    k->are_kept = false;
    assert_int_equal(keyspaces_find(k, 500), a); // nobody needs it
    assert_true(keyspaces_has_room(k, 9));
    assert_int_equal(keyspaces_take(k, 9), a);
    assert_int_equal(keyspaces_find(k, 500), KEYSPACE_NONE);
    assert_int_equal(keyspaces_find(k, 3), b);
    fixture_free(f);
}

// Against an array with a place for every number there is.
static void agrees_with_a_naive_list(void **state) {
    (void)state;
    struct rng rng = {test_seed()};
    struct fixture *f = fixture_new(MAX);
    struct keyspaces *k = &f->keyspaces;
    uint32_t indexes[NUMBERS] = {0};
    for (uint32_t i = 1; i < NUMBERS; i++) indexes[i] = KEYSPACE_NONE;
    uint32_t refused = 0;
    for (uint32_t step = 0; step < 5000; step++) {
        uint32_t which = rng_below(&rng, NUMBERS);
        bool has_room = keyspaces_has_room(k, numbers[which]);
        uint32_t index = keyspaces_take(k, numbers[which]);
        assert_int_equal(index != KEYSPACE_NONE, has_room);
        assert_true(indexes[which] == KEYSPACE_NONE || index == indexes[which]);
        refused += !has_room;
        for (uint32_t i = 0; i < NUMBERS && has_room; i++) { // whose it was, if it was another's
            if (i == which || indexes[i] != index) continue;
            assert_int_equal(k->uses[index].keys, 0);
            indexes[i] = KEYSPACE_NONE;
        }
        if (has_room) {
            indexes[which] = index;
            k->uses[index].keys = rng_below(&rng, 4) > 0;
        }
        uint32_t count = 0;
        for (uint32_t i = 0; i < NUMBERS; i++) {
            assert_int_equal(keyspaces_find(k, numbers[i]), indexes[i]);
            count += indexes[i] != KEYSPACE_NONE;
        }
        assert_int_equal(k->count, count);
        assert_true(count <= MAX);
    }
    assert_in_range(refused, 100, 4900);
    fixture_free(f);
}

static void partitions_come_in_the_order_of_their_numbers(void **state) {
    (void)state;
    struct fixture *f = fixture_new(MAX);
    struct keyspaces *k = &f->keyspaces;
    const uint16_t in_order[] = {0, 7, 300, 65535};
    keyspaces_take(k, 65535);
    keyspaces_take(k, 7);
    keyspaces_take(k, 300);
    uint32_t at = 0;
    uint32_t count = 0;
    for (uint32_t i = 0; i < 4; i++) {
        uint32_t slots = i == 0 ? SLOT_END : SLOT_COUNT; // the node's own are in keyspace 0
        for (uint32_t slot = 0; slot < slots; slot++) {
            struct partition partition = {in_order[i], (uint16_t)slot};
            assert_int_equal(at, partition_number(partition));
            assert_int_equal(keyspaces_before(k, at), count++);
            at = keyspaces_next(k, at);
        }
    }
    assert_int_equal(at, PARTITION_NONE);
    // From what is no partition, or of a keyspace without an index.
    assert_int_equal(keyspaces_next(k, 8u << 16 | 5), 300u << 16);
    assert_int_equal(keyspaces_next(k, 7u << 16 | UINT16_MAX), 300u << 16);
    assert_int_equal(keyspaces_next(k, UINT32_MAX), PARTITION_NONE);
    assert_int_equal(keyspaces_before(k, 8u << 16 | 5), SLOT_COUNT + SLOT_END);
    assert_int_equal(keyspaces_before(k, UINT32_MAX), count);
    fixture_free(f);
}

int keyspaces_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(keyspace_0_has_index_0_and_others_wait_for_their_first_key),
        cmocka_unit_test(with_room_for_one_that_is_keyspace_0),
        cmocka_unit_test(an_index_is_given_back_when_nothing_is_left),
        cmocka_unit_test(agrees_with_a_naive_list),
        cmocka_unit_test(partitions_come_in_the_order_of_their_numbers),
    };
    return cmocka_run_group_tests_name("keyspaces", cases, NULL, NULL);
}
