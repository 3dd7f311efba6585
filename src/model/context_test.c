// SPDX-License-Identifier: Apache-2.0
//
// Contexts against an array of counters, one for every actor there may be.
#include "model/context.h"

#include "base/rng.h"
#include "tests/test.h"

enum { ACTORS = 300 };

static struct context a, b, joined;

// In the order of actors: some differ by storage only, some by epoch only.
static struct actor actor_of(uint32_t number) {
    return (struct actor){(uint64_t)(number / 3) << 40, 1 + number % 3};
}

static void random_counters(struct rng *rng, uint32_t tenths, uint64_t *counters) {
    for (uint32_t i = 0; i < ACTORS; i++) {
        counters[i] = rng_chance(rng, tenths, 10) ? 1 + rng_below(rng, 3) : 0;
    }
}

// False if they are too many.
static bool fill(struct context *c, const uint64_t *counters) {
    context_clear(c);
    for (uint32_t i = 0; i < ACTORS; i++) {
        if (counters[i] == 0) continue;
        if (c->count == CONTEXT_MAX) return false;
        c->entries[c->count++] = (struct version){actor_of(i), counters[i]};
    }
    return true;
}

static void assert_counters(const struct context *c, const uint64_t *counters) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < ACTORS; i++) {
        struct version next = {actor_of(i), counters[i] + 1};
        struct version last = {actor_of(i), counters[i]};
        assert_int_equal(context_counter(c, actor_of(i)), counters[i]);
        assert_true(context_covers(c, last));
        assert_false(context_covers(c, next));
        count += counters[i] > 0;
    }
    assert_int_equal(c->count, count);
    for (uint32_t i = 1; i < c->count; i++) {
        assert_true(version_compare(c->entries[i - 1], c->entries[i]) < 0);
    }
}

static void joining_takes_the_higher_of_each_counter(void **state) {
    (void)state;
    struct rng rng = {test_seed()};
    uint32_t refused = 0;
    for (uint32_t round = 0; round < 500; round++) {
        uint64_t ca[ACTORS];
        uint64_t cb[ACTORS];
        uint64_t both[ACTORS];
        bool descends = true;
        random_counters(&rng, 1 + rng_below(&rng, 8), ca);
        random_counters(&rng, 1 + rng_below(&rng, 8), cb);
        for (uint32_t i = 0; i < ACTORS; i++) {
            if (rng_chance(&rng, round % 2, 1)) cb[i] = cb[i] % (ca[i] + 1); // b knows less
            both[i] = ca[i] > cb[i] ? ca[i] : cb[i];
            if (ca[i] < cb[i]) descends = false;
        }
        if (!fill(&a, ca) || !fill(&b, cb)) continue;
        assert_counters(&a, ca);
        assert_int_equal(context_descends(&a, &b), descends);
        bool fits = fill(&joined, both);
        context_copy(&joined, &a);
        assert_int_equal(context_join(&joined, &b), fits ? ST_OK : ST_HISTORY_FULL);
        assert_counters(&joined, fits ? both : ca);
        refused += !fits;
    }
    assert_true(refused > 0);
}

static void versions_are_added_one_by_one_in_any_order(void **state) {
    (void)state;
    struct rng rng = {test_seed()};
    for (uint32_t round = 0; round < 20; round++) {
        uint64_t counters[ACTORS] = {0};
        uint32_t count = 0;
        context_clear(&a);
        for (uint32_t i = 0; i < 1000; i++) {
            uint32_t actor = rng_below(&rng, ACTORS);
            struct version v = {actor_of(actor), 1 + rng_below(&rng, 5)};
            bool fits = counters[actor] > 0 || count < CONTEXT_MAX;
            assert_int_equal(context_add(&a, v), fits ? ST_OK : ST_HISTORY_FULL);
            if (!fits) continue;
            count += counters[actor] == 0;
            if (counters[actor] < v.counter) counters[actor] = v.counter;
        }
        assert_int_equal(count, CONTEXT_MAX);
        assert_counters(&a, counters);
    }
}

static void a_context_stands_in_the_middle_of_other_bytes(void **state) {
    (void)state;
    uint8_t bytes[128];
    context_clear(&a);
    assert_int_equal(context_add(&a, (struct version){{7, 2}, 9}), ST_OK);
    struct writer w = writer_to(bytes, sizeof(bytes));
    write_u8(&w, 1);
    context_encode(&a, &w);
    write_u8(&w, 2);
    assert_int_equal(w.size, 2 + context_encoded_size(&a));
    struct reader r = reader_of(writer_bytes(&w));
    assert_int_equal(read_u8(&r), 1);
    context_decode(&b, &r);
    assert_int_equal(read_u8(&r), 2);
    assert_true(reader_done(&r));
    assert_true(context_descends(&a, &b) && context_descends(&b, &a));

    struct writer small = writer_to(bytes, context_encoded_size(&a) - 1);
    context_encode(&a, &small);
    assert_true(small.failed);
    assert_int_equal(small.size, 0);
}

static void the_latest_of_a_storage_is_that_of_its_last_epoch(void **state) {
    (void)state;
    static const struct version versions[] = {{{3, 1}, 9}, {{5, 2}, 7}, {{5, 4}, 2}, {{8, 1}, 1}};
    context_clear(&a);
    assert_int_equal(context_latest(&a, 5).counter, 0);
    for (uint32_t i = 0; i < 4; i++) assert_int_equal(context_add(&a, versions[i]), ST_OK);
    assert_int_equal(version_compare(context_latest(&a, 3), versions[0]), 0);
    assert_int_equal(version_compare(context_latest(&a, 5), versions[2]), 0);
    assert_int_equal(version_compare(context_latest(&a, 8), versions[3]), 0);
    assert_int_equal(context_latest(&a, 4).counter, 0);
    assert_int_equal(context_latest(&a, 9).counter, 0);
}

int context_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(joining_takes_the_higher_of_each_counter),
        cmocka_unit_test(versions_are_added_one_by_one_in_any_order),
        cmocka_unit_test(the_latest_of_a_storage_is_that_of_its_last_epoch),
        cmocka_unit_test(a_context_stands_in_the_middle_of_other_bytes),
    };
    return cmocka_run_group_tests_name("context", cases, NULL, NULL);
}
