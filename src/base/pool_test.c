// SPDX-License-Identifier: Apache-2.0
#include "base/pool.h"

#include "tests/test.h"

#include <stdlib.h>
#include <string.h>

enum { COUNT = 5, SIZE = 100 };

struct fixture {
    uint8_t *memory;
    struct pool pool;
};

static int setup(void **state) {
    static struct fixture f;
    size_t size = pool_memory_size(COUNT, SIZE);
    f.memory = aligned_alloc(64, (size + 63) & ~(size_t)63);
    memset(f.memory, 0, size);
    struct arena arena = arena_over(f.memory, size);
    pool_init(&f.pool, &arena, COUNT, SIZE);
    *state = &f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    free(f->memory);
    return 0;
}

static void gives_out_each_thing_once_and_then_none(void **state) {
    struct fixture *f = *state;
    uint8_t *things[COUNT];
    for (int i = 0; i < COUNT; i++) {
        things[i] = pool_take(&f->pool);
        assert_non_null(things[i]);
        assert_int_equal((uintptr_t)things[i] % 64, 0);
        memset(things[i], i, SIZE);
    }
    assert_null(pool_take(&f->pool));
    assert_int_equal(pool_left(&f->pool), 0);
    for (int i = 0; i < COUNT; i++) {
        for (int b = 0; b < SIZE; b++) assert_int_equal(things[i][b], i);
    }
}

static void what_came_back_last_goes_out_first(void **state) {
    struct fixture *f = *state;
    void *a = pool_take(&f->pool);
    void *b = pool_take(&f->pool);
    pool_give(&f->pool, a);
    pool_give(&f->pool, b);
    assert_int_equal(pool_left(&f->pool), COUNT);
    assert_ptr_equal(pool_take(&f->pool), b);
    assert_ptr_equal(pool_take(&f->pool), a);
    assert_int_equal(f->pool.fresh, 2); // the others were not touched
}

int pool_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test_setup_teardown(gives_out_each_thing_once_and_then_none, setup, teardown),
        cmocka_unit_test_setup_teardown(what_came_back_last_goes_out_first, setup, teardown),
    };
    return cmocka_run_group_tests_name("pool", cases, NULL, NULL);
}
