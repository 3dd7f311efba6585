// SPDX-License-Identifier: Apache-2.0
#include "store/key_set.h"

#include "base/hash.h"
#include "tests/test.h"

#include <stdlib.h>

enum { MEMORY = 1 << 20 };

struct fixture {
    struct tlsf tlsf;
    struct key_set set;
    void *memory;
};

static struct fixture *fixture_new(void) {
    struct fixture *f = calloc(1, sizeof(*f));
    f->memory = aligned_alloc(64, MEMORY + 4096);
    memset(f->memory, 0, MEMORY + 4096);
    struct arena arena = arena_over(f->memory, MEMORY + 4096);
    tlsf_init(&f->tlsf, &arena, MEMORY);
    f->set.memory = &f->tlsf;
    return f;
}

static void fixture_free(struct fixture *f) {
    free(f->memory);
    free(f);
}

static void a_hash_has_the_number_it_was_given(void **state) {
    (void)state;
    struct fixture *f = fixture_new();
    enum { COUNT = 20000 };
    for (uint64_t i = 0; i < COUNT; i++) {
        assert_null(key_set_find(&f->set, hash_number(i)));
        assert_true(key_set_add(&f->set, hash_number(i), i));
    }
    for (uint64_t i = 0; i < COUNT; i++) *key_set_find(&f->set, hash_number(i)) += 5;
    for (uint64_t i = 0; i < COUNT; i++) {
        assert_int_equal(*key_set_find(&f->set, hash_number(i)), i + 5);
        assert_null(key_set_find(&f->set, hash_number(COUNT + i)));
    }
    fixture_free(f);
}

// All in one shard, and one of them the hash that stands for nothing.
static void hashes_that_are_alike_are_told_apart(void **state) {
    (void)state;
    struct fixture *f = fixture_new();
    for (uint64_t i = 0; i < 500; i++) {
        assert_null(key_set_find(&f->set, i << 20));
        assert_true(key_set_add(&f->set, i << 20, 7 * i));
    }
    for (uint64_t i = 0; i < 500; i++) {
        assert_int_equal(*key_set_find(&f->set, i << 20), 7 * i);
    }
    fixture_free(f);
}

static void a_full_memory_is_told_and_nothing_is_lost(void **state) {
    (void)state;
    struct fixture *f = fixture_new();
    uint64_t count = 0;
    while (key_set_add(&f->set, hash_number(count), count)) count++;
    assert_in_range(count, MEMORY / 16 / 4, MEMORY / 16);
    for (uint64_t i = 0; i < count; i++) {
        assert_int_equal(*key_set_find(&f->set, hash_number(i)), i);
    }
    fixture_free(f);
}

int key_set_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(a_hash_has_the_number_it_was_given),
        cmocka_unit_test(hashes_that_are_alike_are_told_apart),
        cmocka_unit_test(a_full_memory_is_told_and_nothing_is_lost),
    };
    return cmocka_run_group_tests_name("key_set", cases, NULL, NULL);
}
