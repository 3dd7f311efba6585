// SPDX-License-Identifier: Apache-2.0
#include "store/segment_set.h"

#include "base/rng.h"
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>

static void segments_stand_in_order_whatever_the_gaps(void **state) {
    (void)state;
    struct rng rng = {test_seed()};
    size_t size = segment_set_memory_size();
    void *memory = aligned_alloc(64, size);
    for (uint32_t gap = 1; gap <= 10; gap += 3) {
        memset(memory, 0, size);
        struct arena arena = arena_over(memory, size);
        struct segment_set set;
        segment_set_init(&set, &arena);
        uint32_t next = 1;
        uint64_t sum = 0;
        for (uint32_t step = 0; step < 3 * SEGMENTS_MAX; step++) {
            if (rng_chance(&rng, 1, 3) && set.count > 0) {
                sum -= segment_set_at(&set, 0)->size;
                segment_set_remove_first(&set);
            } else if (!segment_set_is_full(&set)) {
                next += 1 + rng_below(&rng, gap);
                segment_set_add(&set, next, next * 2ull);
                sum += next * 2ull;
            }
            assert_int_equal(set.size, sum);
            if (set.count == 0) continue;
            struct segment_info *any = segment_set_at(&set, rng_below(&rng, set.count));
            assert_int_equal(any->size, any->number * 2u);
            assert_int_equal(segment_set_at(&set, set.count - 1)->number, next);
        }
    }
    free(memory);
}

int segment_set_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(segments_stand_in_order_whatever_the_gaps),
    };
    return cmocka_run_group_tests_name("segment_set", cases, NULL, NULL);
}
