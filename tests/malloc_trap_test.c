// SPDX-License-Identifier: Apache-2.0
#include "tests/malloc_trap.h"

#include "tests/test.h"

#include <stdlib.h>
#include <string.h>

static void *volatile kept; // keeps the compiler from removing what the cases allocate

static void every_way_to_allocate_or_free_is_counted(void **state) {
    (void)state;
    if (!malloc_trap_works()) skip();
    malloc_trap_arm();
    kept = malloc(8);
    kept = realloc(kept, 100000);
    free(kept);
    kept = calloc(1, 8);
    free(kept);
    kept = strdup("in a shared library");
    free(kept);
    kept = aligned_alloc(64, 64);
    free(kept);
    assert_true(malloc_trap_disarm() >= 9); // a sanitizer counts a realloc as two
}

static void what_allocates_nothing_springs_nothing(void **state) {
    (void)state;
    kept = malloc(8);
    malloc_trap_arm();
    memset(kept, 0, 8);
    free(NULL);
    assert_int_equal(malloc_trap_disarm(), 0);
    free(kept);
}

int malloc_trap_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(every_way_to_allocate_or_free_is_counted),
        cmocka_unit_test(what_allocates_nothing_springs_nothing),
    };
    return cmocka_run_group_tests_name("malloc_trap", cases, NULL, NULL);
}
