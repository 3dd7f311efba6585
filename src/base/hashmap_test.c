// SPDX-License-Identifier: Apache-2.0
#include "base/hashmap.h"

#include "base/rng.h"
#include "tests/test.h"

#include <string.h>

static _Alignas(64) uint8_t memory[65536];

static struct hashmap new_hashmap(uint32_t capacity, uint64_t seed) {
    memset(memory, 0, sizeof(memory));
    struct arena arena = arena_over(memory, sizeof(memory));
    struct hashmap map;
    hashmap_init(&map, &arena, capacity, seed);
    assert_int_equal(arena.used, (hashmap_memory_size(capacity) + 63) / 64 * 64);
    return map;
}

static void a_full_map_takes_no_new_key_and_still_changes_the_old(void **state) {
    (void)state;
    for (uint32_t capacity = 1; capacity < 100; capacity++) {
        struct hashmap map = new_hashmap(capacity, 0);
        for (uint32_t i = 0; i < capacity; i++) assert_int_equal(hashmap_put(&map, i, i), ST_OK);
        assert_int_equal(hashmap_put(&map, capacity, 0), ST_BUSY);
        assert_int_equal(hashmap_find(&map, capacity), HASHMAP_NONE);
        for (uint32_t i = 0; i < capacity; i++)
            assert_int_equal(hashmap_put(&map, i, i + 1), ST_OK);
        for (uint32_t i = 0; i < capacity; i++) assert_int_equal(hashmap_find(&map, i), i + 1);
        assert_int_equal(hashmap_remove(&map, 0), 1);
        assert_int_equal(hashmap_put(&map, capacity, 7), ST_OK);
        assert_int_equal(hashmap_find(&map, capacity), 7);
        hashmap_clear(&map);
        assert_int_equal(map.count, 0);
        assert_int_equal(hashmap_find(&map, capacity), HASHMAP_NONE);
    }
}

// Few keys and a small table: every cluster, wrapped around the end or not, comes up.
static void agrees_with_an_array_after_any_operations(void **state) {
    (void)state;
    enum { KEYS = 40, CAPACITY = 24 };
    struct rng rng = {test_seed()};
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct hashmap map = new_hashmap(CAPACITY, seed);
        uint32_t naive[KEYS];
        uint32_t count = 0;
        for (uint32_t key = 0; key < KEYS; key++) naive[key] = HASHMAP_NONE;
        for (uint32_t i = 0; i < 2000; i++) {
            uint32_t key = rng_below(&rng, KEYS);
            bool is_there = naive[key] != HASHMAP_NONE;
            if (rng_chance(&rng, 1, 2)) {
                bool has_room = is_there || count < CAPACITY;
                assert_int_equal(hashmap_put(&map, key, i), has_room ? ST_OK : ST_BUSY);
                if (has_room) naive[key] = i;
                count += has_room && !is_there;
            } else {
                assert_int_equal(hashmap_remove(&map, key), naive[key]);
                naive[key] = HASHMAP_NONE;
                count -= is_there;
            }
            assert_int_equal(map.count, count);
            for (uint32_t k = 0; k < KEYS; k++) assert_int_equal(hashmap_find(&map, k), naive[k]);
        }
    }
}

static void keys_of_all_sizes_are_told_apart(void **state) {
    (void)state;
    struct hashmap map = new_hashmap(300, 1);
    for (uint32_t bit = 0; bit < 64; bit++) {
        assert_int_equal(hashmap_put(&map, (uint64_t)1 << bit, bit), ST_OK);
        assert_int_equal(hashmap_put(&map, ~((uint64_t)1 << bit), 100 + bit), ST_OK);
    }
    for (uint32_t bit = 0; bit < 64; bit++) {
        assert_int_equal(hashmap_find(&map, (uint64_t)1 << bit), bit);
        assert_int_equal(hashmap_find(&map, ~((uint64_t)1 << bit)), 100 + bit);
    }
    assert_int_equal(hashmap_find(&map, 0), HASHMAP_NONE);
}

int hashmap_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(a_full_map_takes_no_new_key_and_still_changes_the_old),
        cmocka_unit_test(agrees_with_an_array_after_any_operations),
        cmocka_unit_test(keys_of_all_sizes_are_told_apart),
    };
    return cmocka_run_group_tests_name("hashmap", cases, NULL, NULL);
}
