// SPDX-License-Identifier: Apache-2.0
#include "node/places.h"

#include "base/limits.h"
#include "base/rng.h"
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>

static struct places *fixture(void) {
    static _Alignas(64) uint8_t memory[PLACES_BYTES + 64];
    struct places *p = malloc(sizeof(*p));
    struct arena arena = arena_over(memory, places_memory_size());
    places_init(p, &arena);
    return p;
}

static void a_cursor_leads_back_to_its_key(void **state) {
    (void)state;
    struct places *p = fixture();
    struct slice key;
    uint64_t a = places_note(p, 7, SLICE("a"));
    uint64_t b = places_note(p, 7, SLICE("b"));
    assert_int_equal(cursor_cell(a), 7);
    assert_int_equal(cursor_place(a), place_of_key(SLICE("a")));
    assert_int_equal(places_note(p, 7, SLICE("a")), a);
    assert_int_equal(p->count, 2); // a key that is known is not noted again
    assert_true(places_find(p, a, &key));
    assert_true(slice_equal(key, SLICE("a")));
    assert_true(places_find(p, b, &key));
    assert_true(slice_equal(key, SLICE("b")));
    assert_false(places_find(p, cursor_begin(7), &key));
    assert_false(places_find(p, cursor_begin(8) | place_of_key(SLICE("a")), &key));
    free(p);
}

// What is found is right, however many keys of whatever size came since; what came last is found.
static void the_oldest_are_forgotten_and_none_is_mixed_up(void **state) {
    (void)state;
    enum { NOTES = 4000 };
    struct rng rng = {test_seed()};
    struct places *p = fixture();
    uint8_t *bytes = malloc(KEY_SIZE_MAX);
    uint64_t *cursors = calloc(NOTES, sizeof(*cursors));
    uint32_t forgotten = 0;
    for (uint32_t i = 0; i < NOTES; i++) {
        uint32_t most = i < NOTES / 2 ? 100 : KEY_SIZE_MAX;
        struct slice key = {bytes, 8 + rng_below(&rng, most - 8 + 1)};
        memset(bytes, (int)(i % 251), key.size);
        (void)snprintf((char *)bytes, 8, "%06u", i);
        cursors[i] = places_note(p, i % SLOT_COUNT, key);
        for (uint32_t back = 0; back < 20 && back <= i; back++) {
            struct slice found;
            uint32_t which = back < 3 ? i - back : rng_below(&rng, i + 1);
            if (!places_find(p, cursors[which], &found)) {
                assert_true(back > 2);
                forgotten++;
                continue;
            }
            assert_int_equal(cursor_begin(which % SLOT_COUNT) | place_of_key(found),
                             cursors[which]);
            assert_int_equal(strtoul((const char *)found.data, NULL, 10), which);
        }
    }
    assert_true(forgotten > 1000);
    free(cursors);
    free(bytes);
    free(p);
}

int places_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(a_cursor_leads_back_to_its_key),
        cmocka_unit_test(the_oldest_are_forgotten_and_none_is_mixed_up),
    };
    return cmocka_run_group_tests_name("places", cases, NULL, NULL);
}
