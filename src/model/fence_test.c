// SPDX-License-Identifier: Apache-2.0
#include "model/fence.h"

#include "tests/golden.h"
#include "tests/test.h"

static const struct actor a = {1, 1};
static const struct actor b = {2, 1};

static struct sibling sibling(struct actor actor, uint64_t counter, uint64_t timestamp,
                              bool is_tombstone) {
    return (struct sibling){
        .dot = {actor, counter}, .timestamp = timestamp, .is_tombstone = is_tombstone};
}

// A record of these siblings, that knows of nothing else.
static void make(struct record *r, const struct sibling *siblings, uint32_t count) {
    record_clear(r);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(context_add(&r->context, siblings[i].dot), ST_OK);
        r->siblings[r->sibling_count++] = siblings[i];
    }
}

static void a_fence_comes_out_as_it_went_in(void **state) {
    (void)state;
    const struct fence f = {.round = 1,
                            .agreed = 4,
                            .purged = 2,
                            .floor = 3,
                            .cleared = 6,
                            .wide = 5,
                            .is_behind = true,
                            .has_forgotten = true};
    uint8_t bytes[FENCE_ENCODED_SIZE];
    struct writer w = writer_to(bytes, sizeof(bytes));
    fence_encode(&f, &w);
    assert_false(w.failed);
    assert_int_equal(w.size, FENCE_ENCODED_SIZE);
    struct reader r = reader_of(writer_bytes(&w));
    struct fence g;
    fence_decode(&g, &r);
    assert_true(reader_done(&r));
    assert_int_equal(g.round, 1);
    assert_int_equal(g.agreed, 4);
    assert_int_equal(g.purged, 2);
    assert_int_equal(g.floor, 3);
    assert_int_equal(g.cleared, 6);
    assert_int_equal(g.wide, 5);
    assert_true(g.is_behind);
    assert_true(g.has_forgotten);
}

// And of which nothing is known is not told of.
static void what_is_told_is_what_was_known(void **state) {
    (void)state;
    static const struct fence some[] = {
        {.round = 1},   {.agreed = 4}, {.purged = 2},       {.floor = UINT64_C(1) << 40},
        {.cleared = 6}, {.wide = 5},   {.is_behind = true}, {.has_forgotten = true},
    };
    enum { SOME = sizeof(some) / sizeof(some[0]), APART = SLOT_GROUPS / SOME };
    struct fence fences[SLOT_GROUPS] = {{0}};
    for (uint32_t i = 0; i < SOME; i++) fences[i * APART + i] = some[i];
    uint8_t bytes[FENCES_TOLD_SIZE_MAX];
    struct writer w = writer_to(bytes, sizeof(bytes));
    fences_tell(fences, &w);
    assert_false(w.failed);
    assert_int_equal(w.size, SLOT_GROUPS / 8 + SOME * FENCE_ENCODED_SIZE);
    struct fence told[SLOT_GROUPS];
    assert_int_equal(fences_told(told, writer_bytes(&w)), ST_OK);
    for (uint32_t i = 0; i < SLOT_GROUPS; i++) {
        assert_int_equal(told[i].round, fences[i].round);
        assert_int_equal(told[i].agreed, fences[i].agreed);
        assert_int_equal(told[i].purged, fences[i].purged);
        assert_true(told[i].floor == fences[i].floor);
        assert_int_equal(told[i].cleared, fences[i].cleared);
        assert_int_equal(told[i].wide, fences[i].wide);
        assert_int_equal(told[i].is_behind, fences[i].is_behind);
        assert_int_equal(told[i].has_forgotten, fences[i].has_forgotten);
    }
    for (size_t size = 0; size < w.size; size++) {
        assert_int_equal(fences_told(told, (struct slice){bytes, size}), ST_CORRUPT);
    }
    bytes[0] ^= 4; // one that is not there
    assert_int_equal(fences_told(told, writer_bytes(&w)), ST_CORRUPT);
}

static void fences_are_stored_as_in_all_releases(void **state) {
    (void)state;
    struct fence fences[SLOT_GROUPS];
    struct fence got[SLOT_GROUPS];
    uint8_t bytes[FENCES_ENCODED_SIZE + 1];
    uint8_t memory[FENCES_ENCODED_SIZE + 1];
    for (uint32_t i = 0; i < SLOT_GROUPS; i++) {
        fences[i] = (struct fence){.round = 2 + i, .agreed = 1 + i, .purged = i, .floor = 1000 + i};
        fences[i].is_behind = i % 2 == 1;
        fences[i].has_forgotten = i % 4 == 1;
    }
    struct writer w = writer_to(bytes, sizeof(bytes));
    fences_encode(fences, 9, &w);
    golden_compare("fences.v2", writer_bytes(&w));
    struct slice golden = golden_read("fences.v2", memory, sizeof(memory));
    uint64_t clock_ms = 0;
    assert_int_equal(fences_decode(got, &clock_ms, golden), ST_OK);
    assert_int_equal(clock_ms, 9);
    assert_int_equal(got[SLOT_GROUPS - 1].floor, 1000 + SLOT_GROUPS - 1);
    assert_int_equal(fences_decode(got, &clock_ms, (struct slice){bytes, w.size - 1}), ST_CORRUPT);
    assert_int_equal(fences_decode(got, &clock_ms, (struct slice){bytes, w.size + 1}), ST_CORRUPT);
    assert_int_equal(fences_decode(got, &clock_ms, (struct slice){0}), ST_INVALID);
    bytes[0] = 3; // of a later release
    assert_int_equal(fences_decode(got, &clock_ms, writer_bytes(&w)), ST_INVALID);
}

static void rounds_and_floors_only_rise(void **state) {
    (void)state;
    struct fence f = {0};
    fence_agree(&f, 5, 100);
    fence_hear(&f, 4);
    assert_int_equal(f.round, 5);
    assert_int_equal(f.floor, 100);
    fence_hear(&f, FENCE_ROUND_MAX + 1u); // nobody can be there
    assert_int_equal(f.round, 5);
    fence_hear(&f, 6 + FENCE_LEAP_MAX); // nobody can have missed so many
    assert_int_equal(f.round, 5);
    fence_hear(&f, 7);
    assert_int_equal(f.round, 7);
    assert_int_equal(f.agreed, 5); // to hear of a round is not to agree to it
    fence_agree(&f, 6, 200);
    assert_int_equal(f.round, 7);
    assert_int_equal(f.agreed, 6);
    assert_int_equal(f.floor, 200);
    fence_hear(&f, 7 + FENCE_LEAP_MAX);
    assert_int_equal(f.round, 7 + FENCE_LEAP_MAX);
}

// A round that a peer has agreed to may have come to nothing; one that was decided had this
// member's word.
static void who_does_not_know_of_a_decided_round_is_behind(void **state) {
    (void)state;
    struct fence f = {.round = 8, .agreed = 5, .purged = 3, .floor = 100};
    assert_false(fence_learn(&f, &(struct fence){.round = 9, .purged = 5, .floor = 900}, 999));
    assert_false(f.is_behind);
    assert_int_equal(f.floor, 100);
    assert_false(fence_learn(&f, &(struct fence){.purged = FENCE_ROUND_MAX + 1u}, 999));
    assert_false(fence_learn(&f, &(struct fence){.purged = 9 + FENCE_LEAP_MAX}, 999));
    assert_true(fence_learn(&f, &(struct fence){.round = 9, .purged = 6, .floor = 900}, 999));
    assert_true(f.is_behind);
    assert_true(f.has_forgotten);
    assert_int_equal(f.round, 8);
    assert_int_equal(f.agreed, 6);
    assert_int_equal(f.purged, 6);
    assert_int_equal(f.floor, 900);
    assert_true(fence_learn(&f, &(struct fence){.purged = 7, .floor = UINT64_MAX}, 999));
    assert_int_equal(f.floor, 999);
}

// A decided round of all members had this one's word, too.
static void who_does_not_know_of_a_decided_round_of_all_has_forgotten_it(void **state) {
    (void)state;
    struct fence f = {.round = 4, .agreed = 3};
    fence_clear(&f, 3);
    fence_clear(&f, 2);
    assert_int_equal(f.cleared, 3);
    assert_false(fence_learn_wide(&f, 3));
    assert_int_equal(f.wide, 3);
    assert_false(fence_learn_wide(&f, 2));
    assert_int_equal(f.wide, 3);
    assert_false(fence_learn_wide(&f, 5 + FENCE_LEAP_MAX));
    assert_true(fence_learn_wide(&f, 5));
    assert_int_equal(f.wide, 5);
    assert_int_equal(f.cleared, 5); // what it mints from now on is later
    assert_int_equal(f.round, 5);
    assert_int_equal(f.agreed, 3); // it has what its replicas tell it from them
    assert_false(f.is_behind);
}

static void what_was_read_before_a_round_is_admitted_only_above_its_floor(void **state) {
    (void)state;
    static struct record told;
    const struct fence f = {.round = 5, .purged = 5, .floor = 100};
    struct context nothing = {0};
    struct context known = {0};
    assert_int_equal(context_add(&known, (struct version){a, 7}), ST_OK);

    make(&told, (struct sibling[]){sibling(a, 7, 100, false)}, 1);
    assert_false(fence_admits(&f, 4, &told, &nothing));
    assert_true(fence_admits(&f, 5, &told, &nothing)); // its sender knows
    assert_true(fence_admits(&f, 4, &told, &known));   // it is no news
    make(&told, (struct sibling[]){sibling(a, 7, 101, false)}, 1);
    assert_true(fence_admits(&f, 4, &told, &nothing));
    make(&told, (struct sibling[]){sibling(a, 7, 101, false), sibling(b, 1, 99, false)}, 2);
    assert_false(fence_admits(&f, 4, &told, &nothing));
}

static void who_is_behind_gives_way_in_what_others_do_not_know(void **state) {
    (void)state;
    static struct record held;
    static struct record told;
    struct fence f = {.round = 5, .purged = 5, .floor = 100, .is_behind = true};
    record_clear(&told);
    make(&held, (struct sibling[]){sibling(a, 7, 100, false)}, 1);
    assert_true(fence_yields(&f, &held, &told));
    f.is_behind = false;
    assert_false(fence_yields(&f, &held, &told));
    f.is_behind = true;
    make(&held, (struct sibling[]){sibling(a, 7, 101, false)}, 1); // it is newer
    assert_false(fence_yields(&f, &held, &told));
    make(&held, (struct sibling[]){sibling(a, 7, 100, false), sibling(b, 1, 101, false)}, 2);
    assert_false(fence_yields(&f, &held, &told));
    make(&told, (struct sibling[]){sibling(b, 1, 101, false)}, 1); // the other has what is newer
    assert_true(fence_yields(&f, &held, &told));
    make(&told, (struct sibling[]){sibling(a, 7, 100, false), sibling(b, 1, 101, false)}, 2);
    assert_false(fence_yields(&f, &held, &told)); // and all the rest: nothing to give way in
}

static void tombstones_and_what_has_expired_are_dead_and_not_those_of_later_times(void **state) {
    (void)state;
    static struct record r;
    record_clear(&r);
    assert_false(fence_is_dead(&r, 100, 1000));
    make(&r, (struct sibling[]){sibling(a, 1, 100, true), sibling(b, 1, 50, true)}, 2);
    assert_true(fence_is_dead(&r, 100, 1000));
    assert_false(fence_is_dead(&r, 99, 1000));
    make(&r, (struct sibling[]){sibling(a, 1, 100, true), sibling(b, 1, 50, false)}, 2);
    assert_false(fence_is_dead(&r, 100, 1000));
    struct sibling expiring = sibling(b, 1, 50, false);
    expiring.expires_ms = 1000;
    make(&r, (struct sibling[]){sibling(a, 1, 100, true), expiring}, 2);
    assert_true(fence_is_dead(&r, 100, 1000));
    assert_false(fence_is_dead(&r, 100, 999));
    assert_false(fence_is_dead(&r, 99, 1000));
}

int fence_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(a_fence_comes_out_as_it_went_in),
        cmocka_unit_test(what_is_told_is_what_was_known),
        cmocka_unit_test(fences_are_stored_as_in_all_releases),
        cmocka_unit_test(rounds_and_floors_only_rise),
        cmocka_unit_test(who_does_not_know_of_a_decided_round_is_behind),
        cmocka_unit_test(who_does_not_know_of_a_decided_round_of_all_has_forgotten_it),
        cmocka_unit_test(what_was_read_before_a_round_is_admitted_only_above_its_floor),
        cmocka_unit_test(who_is_behind_gives_way_in_what_others_do_not_know),
        cmocka_unit_test(tombstones_and_what_has_expired_are_dead_and_not_those_of_later_times),
    };
    return cmocka_run_group_tests_name("fence", cases, NULL, NULL);
}
