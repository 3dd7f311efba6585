// SPDX-License-Identifier: Apache-2.0
#include "model/doubts.h"

#include "base/rng.h"
#include "base/timer.h"
#include "tests/test.h"

#include <stdlib.h>

#define ROUND_NS (200 * NS_PER_MS)
#define PATIENCE_NS (3 * ROUND_NS) // before who does not answer is doubted, and until it is down
#define RIPE_NS (ROUND_NS / 2)

enum { MANY = 1000, FANOUT = 2, PENDING = 4 * FANOUT, BROKEN = 100 };

// Members that ask some of the others in each round, and tell of doubts as they do.
struct asker {
    struct doubt memory[MANY];
    uint16_t telling[MANY];
    struct doubts doubts;
    uint16_t asked[PENDING]; // and no answer came, round by round
    uint64_t since[PENDING];
    uint32_t next;
};

struct crowd {
    struct asker *members;
    struct rng rng;
    uint64_t now;
    uint32_t gone;    // who says nothing any more
    uint32_t broken;  // whose connections with the first BROKEN members, but 0, are broken
    uint64_t asks;    // because of a doubt heard of
    uint64_t vouched; // messages
};

static void crowd_begin(struct crowd *c) {
    *c = (struct crowd){.rng = {test_seed()}, .now = NS_PER_SECOND, .gone = MANY, .broken = MANY};
    c->members = calloc(MANY, sizeof(*c->members));
    for (uint32_t i = 0; i < MANY; i++) {
        struct asker *a = &c->members[i];
        doubts_init(&a->doubts, a->memory, a->telling, MANY);
    }
}

static bool is_apart(const struct crowd *c, uint32_t one, uint32_t other) {
    bool is_broken = (one == c->broken && other < BROKEN) || (other == c->broken && one < BROKEN);
    return one == c->gone || other == c->gone || is_broken;
}

static void end(struct crowd *c, uint32_t member, uint32_t doubted, bool is_answer) {
    uint32_t by = doubts_end(&c->members[member].doubts, doubted, is_answer, c->now);
    if (by == DOUBT_BY_NONE || is_apart(c, member, by)) return;
    c->vouched++;
    end(c, by, doubted, false);
}

static void hear(struct crowd *c, uint32_t member, uint32_t doubted, uint32_t by) {
    if (doubted == member) return;
    if (!doubts_hear(&c->members[member].doubts, doubted, by, c->now)) return;
    c->asks++;
    if (!is_apart(c, member, doubted)) end(c, member, doubted, true);
}

static void tell(struct crowd *c, uint32_t from, uint32_t to) {
    uint16_t doubted[DOUBTS_TOLD_MAX];
    uint32_t count = doubts_pick(&c->members[from].doubts, c->now, RIPE_NS, doubted);
    assert_true(count <= DOUBTS_TOLD_MAX);
    for (uint32_t i = 0; i < count; i++) hear(c, to, doubted[i], from);
}

static void ask_somebody(struct crowd *c, uint32_t member, uint32_t place) {
    struct asker *a = &c->members[member];
    uint32_t to = (member + 1 + rng_below(&c->rng, MANY - 1)) % MANY;
    a->asked[place] = UINT16_MAX;
    if (is_apart(c, member, to)) {
        a->asked[place] = (uint16_t)to;
        a->since[place] = c->now;
        return;
    }
    tell(c, member, to);
    end(c, to, member, true);
    tell(c, to, member);
    end(c, member, to, true);
}

static void gossip_round(struct crowd *c) {
    for (uint32_t i = 0; i < MANY; i++) {
        struct asker *a = &c->members[i];
        if (i == c->gone) continue;
        for (uint32_t k = 0; k < PENDING; k++) {
            if (a->since[k] == 0 || c->now - a->since[k] < PATIENCE_NS) continue;
            if (is_apart(c, i, a->asked[k])) doubts_raise(&a->doubts, a->asked[k], c->now);
            a->since[k] = 0;
        }
        for (uint32_t k = 0; k < FANOUT; k++) ask_somebody(c, i, a->next++ % PENDING);
    }
    c->now += ROUND_NS;
}

static uint32_t takes_to_be_down(const struct crowd *c, uint32_t member) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < MANY; i++) {
        if (i == c->gone || i == member) continue;
        count += doubts_is_old(&c->members[i].doubts, member, PATIENCE_NS, c->now);
    }
    return count;
}

// And it takes each no more than to ask once.
static void who_of_very_many_is_gone_is_down_to_all_in_seconds(void **state) {
    (void)state;
    struct crowd c;
    crowd_begin(&c);
    for (uint32_t i = 0; i < 10; i++) gossip_round(&c);
    assert_int_equal(c.asks, 0);
    c.gone = 401;
    uint32_t rounds = 0;
    for (; takes_to_be_down(&c, c.gone) < MANY - 1; rounds++) {
        assert_true(rounds < 25);
        gossip_round(&c);
    }
    assert_true(rounds > 2 * PATIENCE_NS / ROUND_NS);
    assert_true(c.asks < MANY);
    assert_int_equal(c.vouched, 0);
    for (uint32_t i = 0; i < 100; i++) gossip_round(&c);
    assert_true(c.asks < MANY);

    // It is back: each learns so when it gets an answer.
    uint32_t back = c.gone;
    c.gone = MANY;
    for (uint32_t i = 0; i < MANY; i++) {
        if (i != back) end(&c, i, back, true);
    }
    assert_int_equal(takes_to_be_down(&c, back), 0);
    free(c.members);
}

// Of those whose connection is broken, none takes the other for gone: somebody always vouches for
// it. And asking for that becomes rare.
static void who_only_some_cannot_reach_is_down_to_nobody(void **state) {
    (void)state;
    struct crowd c;
    crowd_begin(&c);
    c.broken = 0;
    uint64_t asks[3] = {0};
    for (uint32_t part = 0; part < 3; part++) {
        uint64_t before = c.asks;
        for (uint32_t i = 0; i < 500; i++) {
            gossip_round(&c);
            assert_int_equal(takes_to_be_down(&c, 0), 0);
            for (uint32_t k = 1; k < BROKEN; k++) assert_int_equal(takes_to_be_down(&c, k), 0);
        }
        asks[part] = c.asks - before;
    }
    assert_true(asks[0] > BROKEN);
    assert_true(c.vouched > BROKEN);
    assert_true(asks[2] < 40ull * BROKEN);

    // When it is gone after all, they hear so from the others.
    c.gone = 0;
    for (uint32_t rounds = 0; takes_to_be_down(&c, 0) < MANY - 1; rounds++) {
        assert_true(rounds < 25);
        gossip_round(&c);
    }
    free(c.members);
}

struct one {
    struct doubt memory[MANY];
    uint16_t telling[MANY];
    struct doubts d;
};

static struct one *one_new(void) {
    struct one *one = calloc(1, sizeof(*one));
    doubts_init(&one->d, one->memory, one->telling, MANY);
    return one;
}

static void a_doubt_is_told_often_enough_and_then_no_more(void **state) {
    (void)state;
    struct one *one = one_new();
    uint16_t members[DOUBTS_TOLD_MAX];
    doubts_raise(&one->d, 7, 1000);
    assert_int_equal(doubts_pick(&one->d, 1000 + RIPE_NS - 1, RIPE_NS, members), 0);
    uint64_t now = 1000 + RIPE_NS;
    for (uint32_t i = 0; i < DOUBTS_SENDS; i++) {
        assert_int_equal(doubts_pick(&one->d, now, RIPE_NS, members), 1);
        assert_int_equal(members[0], 7);
    }
    assert_int_equal(doubts_pick(&one->d, now, RIPE_NS, members), 0);
    assert_true(doubts_is_old(&one->d, 7, RIPE_NS, now));
    assert_false(doubts_is_old(&one->d, 7, RIPE_NS + 1, now));
    assert_false(doubts_hear(&one->d, 7, 9, now)); // no news
    assert_int_equal(doubts_pick(&one->d, now, RIPE_NS, members), 0);
    free(one);
}

// Half of a cluster is cut off: messages stay small, and each doubt has its turn.
static void of_many_doubts_each_is_told(void **state) {
    (void)state;
    enum { DOUBTED = 300 };
    struct one *one = one_new();
    uint32_t told[MANY] = {0};
    for (uint32_t i = 0; i < DOUBTED; i++) assert_true(doubts_hear(&one->d, i, MANY - 1, 1));
    uint16_t members[DOUBTS_TOLD_MAX];
    uint32_t count = DOUBTS_TOLD_MAX;
    for (uint32_t sum = 0; count > 0; sum += count) {
        count = doubts_pick(&one->d, NS_PER_SECOND, RIPE_NS, members);
        for (uint32_t i = 0; i < count; i++) {
            assert_true(told[members[i]] <= (sum + count) / DOUBTED + 1);
            told[members[i]]++;
        }
    }
    for (uint32_t i = 0; i < DOUBTED; i++) assert_int_equal(told[i], DOUBTS_SENDS);
    for (uint32_t i = 0; i < DOUBTED; i++) {
        assert_int_equal(doubts_end(&one->d, i, true, NS_PER_SECOND), MANY - 1);
    }
    free(one);
}

static void who_was_vouched_for_is_not_doubted_for_a_while_that_doubles(void **state) {
    (void)state;
    struct one *one = one_new();
    uint64_t now = NS_PER_SECOND;
    uint64_t rest = DOUBTS_REST_FIRST_NS;
    for (uint32_t i = 0; i < 10; i++) {
        doubts_raise(&one->d, 7, now);
        assert_true(doubts_is_old(&one->d, 7, 0, now));
        assert_int_equal(doubts_end(&one->d, 7, false, now), DOUBT_BY_NONE);
        doubts_raise(&one->d, 7, now + rest - 1);
        assert_false(doubts_is_old(&one->d, 7, 0, now + rest - 1));
        now += rest;
        rest = 2 * rest < DOUBTS_REST_MOST_NS ? 2 * rest : DOUBTS_REST_MOST_NS;
    }
    // What others notice counts at once; and an answer ends the rest.
    doubts_raise(&one->d, 7, now);
    (void)doubts_end(&one->d, 7, false, now);
    assert_true(doubts_hear(&one->d, 7, 9, now));
    assert_int_equal(doubts_end(&one->d, 7, true, now), 9);
    doubts_raise(&one->d, 7, now);
    assert_true(doubts_is_old(&one->d, 7, 0, now));
    free(one);
}

int doubts_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(who_of_very_many_is_gone_is_down_to_all_in_seconds),
        cmocka_unit_test(who_only_some_cannot_reach_is_down_to_nobody),
        cmocka_unit_test(a_doubt_is_told_often_enough_and_then_no_more),
        cmocka_unit_test(of_many_doubts_each_is_told),
        cmocka_unit_test(who_was_vouched_for_is_not_doubted_for_a_while_that_doubles),
    };
    return cmocka_run_group_tests_name("doubts", cases, NULL, NULL);
}
