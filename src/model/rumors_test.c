// SPDX-License-Identifier: Apache-2.0
#include "model/rumors.h"

#include "tests/test.h"

#include <stdlib.h>

enum { FANOUT = 2, FEW = 8, MANY = 1000, SOME = 500, LIFE = 1 << 16 };

// Members that only gossip. Each knows a version of every row: lives, and heartbeats in the last.
struct crowd {
    uint32_t count;
    struct rng rng;
    struct rumors *members;
    uint32_t *versions; // [member * count + row]
    struct rumor *memory;
    uint64_t rows;   // sent
    uint64_t most;   // rows of one
    uint64_t useful; // rows that were news to the receiver
};

static void crowd_init(struct crowd *c, uint32_t count) {
    *c = (struct crowd){.count = count, .rng = {test_seed()}};
    c->memory = calloc((size_t)count * count, sizeof(*c->memory));
    c->members = calloc(count, sizeof(*c->members));
    c->versions = calloc((size_t)count * count, sizeof(*c->versions));
    for (uint32_t i = 0; i < count; i++) {
        rumors_init(&c->members[i], c->memory + (size_t)i * count, count);
        rumors_begin(&c->members[i], count, i);
    }
}

static void crowd_free(struct crowd *c) {
    free(c->memory);
    free(c->members);
    free(c->versions);
}

static uint32_t *version(struct crowd *c, uint32_t member, uint32_t row) {
    return &c->versions[(size_t)member * c->count + row];
}

// Where they are many, heartbeats are not pressing.
static void learn(struct crowd *c, uint32_t member, uint32_t row, uint32_t told, uint32_t by) {
    uint32_t *known = version(c, member, row);
    bool is_pressing = c->count <= FEW || *known / LIFE != told / LIFE;
    *known = told;
    rumors_change(&c->members[member], row, by, is_pressing);
}

static void beat(struct crowd *c, uint32_t member) {
    learn(c, member, member, *version(c, member, member) + 1, member);
}

static void say(struct crowd *c, uint32_t from, uint32_t to) {
    uint16_t rows[RUMORS_MAX];
    uint32_t count = rumors_pick(&c->members[from], to, true, rows);
    c->rows += count;
    if (count > c->most) c->most = count;
    for (uint32_t i = 1; i < count; i++) assert_true(rows[i - 1] < rows[i]);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t told = *version(c, from, rows[i]);
        if (told <= *version(c, to, rows[i])) continue;
        learn(c, to, rows[i], told, from);
        c->useful++;
    }
}

// Who is silent neither says nor hears anything.
static void gossip_round(struct crowd *c, uint32_t silent) {
    for (uint32_t i = 0; i < c->count; i++) {
        if (i == silent) continue;
        beat(c, i);
        for (uint32_t k = 0; k < FANOUT && k + 1 < c->count; k++) {
            uint32_t to = rumors_next_peer(&c->members[i], &c->rng);
            if (to == silent) continue;
            say(c, i, to);
            say(c, to, i);
        }
    }
}

static bool all_know(struct crowd *c, uint32_t row, uint32_t wanted) {
    for (uint32_t i = 0; i < c->count; i++) {
        if (*version(c, i, row) < wanted) return false;
    }
    return true;
}

static uint32_t rounds_until_known(struct crowd *c, uint32_t row) {
    uint32_t wanted = *version(c, row, row) + LIFE;
    learn(c, row, row, wanted, row);
    uint32_t rounds = 0;
    while (rounds < 100 && !all_know(c, row, wanted)) {
        gossip_round(c, c->count);
        rounds++;
    }
    return rounds;
}

// From ten members to a thousand the time grows by some rounds, and a member's messages do not.
static void what_is_pressing_is_known_to_all_soon_however_many_they_are(void **state) {
    (void)state;
    static const struct {
        uint32_t count;
        uint32_t most; // rounds
    } rows[] = {{FEW, 4}, {10, 4}, {60, 5}, {200, 6}, {MANY, 8}};
    for (uint32_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct crowd c;
        crowd_init(&c, rows[i].count);
        for (uint32_t round = 0; round < 100; round++) gossip_round(&c, c.count);
        c.rows = c.useful = c.most = 0;
        uint32_t rounds = rounds_until_known(&c, c.count / 3);
        assert_true(c.useful * 10 >= c.rows);
        assert_true(rounds <= rows[i].most);
        assert_true(c.most <= RUMORS_MAX);
        crowd_free(&c);
    }
}

// What changed long ago is not crowded out by what changes all the time.
static void who_comes_late_hears_of_what_changed_long_ago(void **state) {
    (void)state;
    enum { PAST = 450, LATE = 7 };
    struct crowd c;
    crowd_init(&c, SOME);
    for (uint32_t round = 0; round < 20; round++) gossip_round(&c, c.count);
    for (uint32_t round = 0; round < 40; round++) gossip_round(&c, PAST);
    *version(&c, LATE, PAST) = 0; // as if it had just begun
    for (uint32_t i = 0; i < SOME; i++) rumors_forget(&c.members[i], LATE);
    uint32_t rounds = 0;
    for (; *version(&c, LATE, PAST) == 0 && rounds < 200; rounds++) gossip_round(&c, PAST);
    assert_true(rounds <= 120);
    crowd_free(&c);
}

enum { PAIR_ROWS = 200 };

struct pair {
    struct rumor memory[PAIR_ROWS];
    struct rumors r;
};

static void pair_init(struct pair *p, uint32_t count) {
    rumors_init(&p->r, p->memory, count);
    rumors_begin(&p->r, count, 0);
}

static void what_somebody_knows_is_not_told_again(void **state) {
    (void)state;
    struct pair p;
    uint16_t rows[RUMORS_MAX];
    pair_init(&p, 5);
    rumors_change(&p.r, 0, 0, true);
    rumors_change(&p.r, 2, 2, true);
    rumors_change(&p.r, 3, 1, true);
    assert_int_equal(rumors_pick(&p.r, 1, true, rows), 2); // not what member 1 has said
    assert_int_equal(rows[0], 0);
    assert_int_equal(rows[1], 2);
    assert_int_equal(rumors_pick(&p.r, 1, true, rows), 0);
    assert_int_equal(rumors_pick(&p.r, 2, true, rows), 3); // its own row, too
    assert_int_equal(rows[1], 2);
    assert_int_equal(rumors_pick(&p.r, 4, false, rows), 3);
    assert_int_equal(rumors_pick(&p.r, 4, false, rows), 3); // and may not have listened

    rumors_change(&p.r, 3, 4, true);
    assert_int_equal(rumors_pick(&p.r, 1, true, rows), 1);
    assert_int_equal(rows[0], 3);
    rumors_forget(&p.r, 1);
    assert_int_equal(rumors_pick(&p.r, 1, true, rows), 3);
    rumors_forget(&p.r, 2);
    assert_int_equal(rumors_pick(&p.r, 2, true, rows), 3); // its own row, from before, included
}

// As many as one message has room for: nothing is left for another one.
static void what_fits_one_message_is_told_once(void **state) {
    (void)state;
    struct pair p;
    uint16_t rows[RUMORS_MAX];
    pair_init(&p, RUMORS_MAX);
    for (uint32_t i = 0; i < RUMORS_MAX; i++) rumors_change(&p.r, i, 0, true);
    assert_int_equal(rumors_pick(&p.r, 1, true, rows), RUMORS_MAX);
    assert_int_equal(rumors_pick(&p.r, 1, true, rows), 0);
}

static bool has_row(const uint16_t *rows, uint32_t count, uint16_t row) {
    for (uint32_t i = 0; i < count; i++) {
        if (rows[i] == row) return true;
    }
    return false;
}

// Wherever it is the turn of: others have passed on the rest.
static void what_was_passed_on_least_is_told_first(void **state) {
    (void)state;
    struct pair p;
    uint16_t rows[RUMORS_MAX];
    pair_init(&p, PAIR_ROWS);
    for (uint32_t i = 0; i < PAIR_ROWS; i++) rumors_change(&p.r, i, i, true);
    for (uint32_t i = 0; i < 100; i++) (void)rumors_pick(&p.r, 1 + i % 9, false, rows);
    for (uint32_t row = 20; row < PAIR_ROWS; row++) {
        rumors_change(&p.r, row, row, true);
        assert_true(has_row(rows, rumors_pick(&p.r, 1, false, rows), (uint16_t)row));
    }
}

static void everybody_is_talked_to_in_each_lap(void **state) {
    (void)state;
    enum { LAP = 40 };
    struct pair p;
    struct rng rng = {test_seed()};
    pair_init(&p, LAP);
    uint16_t last[LAP] = {0};
    uint32_t different = 0;
    for (uint32_t lap = 0; lap < 50; lap++) {
        bool seen[LAP] = {true};
        for (uint32_t i = 0; i < LAP - 1; i++) {
            uint32_t peer = rumors_next_peer(&p.r, &rng);
            assert_false(seen[peer]);
            seen[peer] = true;
            different += last[i] != peer;
            last[i] = (uint16_t)peer;
        }
    }
    assert_true(different > 40 * LAP);
}

// What was heard of those that were there is passed on to them, and they are talked to.
static void others_may_come(void **state) {
    (void)state;
    struct rumor memory[5];
    struct rumors r;
    struct rng rng = {test_seed()};
    uint16_t rows[RUMORS_MAX];
    rumors_init(&r, memory, 5);
    rumors_begin(&r, 3, 0);
    rumors_change(&r, 1, 1, true);
    rumors_grow(&r, 5);
    uint32_t count = rumors_pick(&r, 3, false, rows);
    bool is_told = false;
    for (uint32_t i = 0; i < count; i++) is_told |= rows[i] == 1;
    assert_true(is_told);
    uint32_t talked_to = 0;
    for (uint32_t i = 0; i < 8; i++) talked_to |= 1u << rumors_next_peer(&r, &rng);
    assert_int_equal(talked_to, 2 + 4 + 8 + 16);
}

int rumors_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(what_is_pressing_is_known_to_all_soon_however_many_they_are),
        cmocka_unit_test(who_comes_late_hears_of_what_changed_long_ago),
        cmocka_unit_test(what_somebody_knows_is_not_told_again),
        cmocka_unit_test(what_fits_one_message_is_told_once),
        cmocka_unit_test(what_was_passed_on_least_is_told_first),
        cmocka_unit_test(everybody_is_talked_to_in_each_lap),
        cmocka_unit_test(others_may_come),
    };
    return cmocka_run_group_tests_name("rumors", cases, NULL, NULL);
}
