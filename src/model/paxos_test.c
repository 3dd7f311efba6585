// SPDX-License-Identifier: Apache-2.0
//
// Agreement, checked in every state that can be reached: a few acceptors, a few ballots of rival
// proposers, messages that are lost, doubled and late in every way there is, and one acceptor that
// forgets everything at some moment.
//
// Messages that were sent stay on their way for ever: who gets one, gets it again, late or never,
// is what the steps choose. A crash that keeps what is durable is then no step of its own: it loses
// messages. A proposer goes on as soon as it has a quorum, so what it has heard by then is chosen
// in the same step: some of the promises that were sent, in some order.
#include "model/paxos.h"

#include "tests/test.h"

#include <stdlib.h>
#include <string.h>

enum { ACCEPTORS_MAX = 3, BALLOTS_MAX = 3, NO_VALUE = 0 };

// Ballot i, from 1, is of proposer i. The value it would like is its number.
struct model {
    uint32_t acceptors;
    uint32_t ballots;
    bool may_forget; // the first acceptor; which one makes no difference
};

// A promise that was sent: bit 2 * accepted + is_reset of a set.
struct state {
    struct {
        uint8_t promised;
        uint8_t accepted;
        uint8_t is_reset;
    } acceptors[ACCEPTORS_MAX];
    uint8_t values[BALLOTS_MAX + 1];                  // asked to be accepted; NO_VALUE: not yet
    uint8_t promises[BALLOTS_MAX + 1][ACCEPTORS_MAX]; // sets
    uint8_t accepted[BALLOTS_MAX + 1][ACCEPTORS_MAX]; // ever: 1, and 2 by one that was reset
};

static_assert(2 * BALLOTS_MAX <= 8, "sets of promises are bytes");

// Every state that was seen, in a table that doubles.
struct states {
    const struct model *model;
    struct state *all;
    size_t count;
    uint32_t *table; // index into all, plus 1
    size_t table_size;
    size_t chosen; // states in which something was chosen
};

static uint64_t hash_of(const struct state *s) {
    uint64_t hash = 14695981039346656037u;
    const uint8_t *bytes = (const uint8_t *)s;
    for (size_t i = 0; i < sizeof(*s); i++) hash = (hash ^ bytes[i]) * 1099511628211u;
    return hash ^ hash >> 29;
}

static uint32_t *place_of(const struct states *states, const struct state *s) {
    size_t at = hash_of(s) & (states->table_size - 1);
    while (states->table[at] != 0 &&
           memcmp(&states->all[states->table[at] - 1], s, sizeof(*s)) != 0) {
        at = (at + 1) & (states->table_size - 1);
    }
    return &states->table[at];
}

static void grow(struct states *states) {
    free(states->table);
    states->table_size *= 2;
    states->table = calloc(states->table_size, sizeof(*states->table));
    states->all = realloc(states->all, states->table_size / 2 * sizeof(*states->all));
    assert_non_null(states->table);
    assert_non_null(states->all);
    for (size_t i = 0; i < states->count; i++) {
        *place_of(states, &states->all[i]) = (uint32_t)i + 1;
    }
}

static void reach(struct states *states, const struct state *s) {
    if (2 * states->count >= states->table_size) grow(states);
    uint32_t *place = place_of(states, s);
    if (*place != 0) return;
    states->all[states->count] = *s;
    *place = (uint32_t)++states->count;
}

static struct paxos_vote vote_of(const struct state *s, uint32_t a) {
    return (struct paxos_vote){
        .instance = 1,
        .promised = s->acceptors[a].promised,
        .accepted = s->acceptors[a].accepted,
        .reset_until = s->acceptors[a].is_reset,
    };
}

static void keep(struct state *s, uint32_t a, const struct paxos_vote *vote) {
    s->acceptors[a].promised = (uint8_t)vote->promised;
    s->acceptors[a].accepted = (uint8_t)vote->accepted;
}

// The definition: a majority that had forgotten nothing, or everybody, have accepted it.
static bool is_chosen(const struct model *m, const struct state *s, uint32_t ballot) {
    uint32_t whole = 0;
    uint32_t any = 0;
    for (uint32_t a = 0; a < m->acceptors; a++) {
        whole += (s->accepted[ballot][a] & 1) != 0;
        any += s->accepted[ballot][a] != 0;
    }
    return whole > m->acceptors / 2 || any == m->acceptors;
}

static bool check(struct states *states, const struct state *s) {
    uint8_t value = NO_VALUE;
    for (uint32_t b = 1; b <= states->model->ballots; b++) {
        if (!is_chosen(states->model, s, b)) continue;
        if (value != NO_VALUE && s->values[b] != value) return false;
        value = s->values[b];
    }
    states->chosen += value != NO_VALUE;
    return true;
}

// A proposer hears promises, one after the other, in every way in which there is one more to hear,
// until it goes on.
struct hearing {
    struct states *states;
    const struct state *state;
    uint32_t ballot;
    uint32_t heard; // bits of acceptors
    uint8_t value;  // to propose
    struct paxos_proposal proposal;
};

static void hear(const struct hearing *h) {
    const struct model *m = h->states->model;
    for (uint32_t a = 0; a < m->acceptors; a++) {
        for (uint32_t said = 0; said < 8; said++) {
            bool was_sent = (h->state->promises[h->ballot][a] >> said & 1) != 0;
            if (!was_sent || (h->heard >> a & 1) != 0) continue;
            struct hearing next = *h;
            next.heard |= 1u << a;
            uint32_t accepted = said / 2;
            if (paxos_on_promise(&next.proposal, a, said % 2 != 0, accepted)) {
                next.value = h->state->values[accepted];
            }
            // Heard twice, it changes nothing.
            assert_false(paxos_on_promise(&next.proposal, a, said % 2 == 0, BALLOTS_MAX + 1));
            if (!paxos_is_met(&next.proposal)) {
                hear(&next);
                continue;
            }
            struct state s = *h->state;
            s.values[h->ballot] = next.value;
            reach(h->states, &s);
        }
    }
}

static void prepare(struct states *states, const struct state *s, uint32_t b, uint32_t a) {
    struct state next = *s;
    struct paxos_vote vote = vote_of(s, a);
    if (!paxos_promise(&vote, b)) return;
    keep(&next, a, &vote);
    uint32_t said = 2 * (uint32_t)vote.accepted + paxos_is_reset(&vote);
    next.promises[b][a] |= (uint8_t)(1u << said);
    reach(states, &next);
}

static void accept(struct states *states, const struct state *s, uint32_t b, uint32_t a) {
    struct state next = *s;
    struct paxos_vote vote = vote_of(s, a);
    if (s->values[b] == NO_VALUE || !paxos_accept(&vote, b)) return;
    keep(&next, a, &vote);
    next.accepted[b][a] |= paxos_is_reset(&vote) ? 2 : 1;
    reach(states, &next);
}

static void forget(struct states *states, const struct state *s) {
    struct state next = *s;
    if (!states->model->may_forget || s->acceptors[0].is_reset) return;
    next.acceptors[0].promised = 0;
    next.acceptors[0].accepted = 0;
    next.acceptors[0].is_reset = 1;
    reach(states, &next);
}

static void step(struct states *states, const struct state *s) {
    for (uint32_t b = 1; b <= states->model->ballots; b++) {
        for (uint32_t a = 0; a < states->model->acceptors; a++) {
            prepare(states, s, b, a);
            accept(states, s, b, a);
        }
        if (s->values[b] != NO_VALUE) continue;
        struct hearing h = {.states = states, .state = s, .ballot = b, .value = (uint8_t)b};
        paxos_propose(&h.proposal, 1, b, states->model->acceptors);
        hear(&h);
    }
    forget(states, s);
}

static void explore(const struct model *model) {
    struct states states = {.model = model, .table_size = 1024};
    grow(&states);
    const struct state start = {0};
    reach(&states, &start);
    bool agree = true;
    for (size_t i = 0; i < states.count && agree; i++) {
        const struct state s = states.all[i];
        agree = check(&states, &s);
        step(&states, &s);
    }
    free(states.all);
    free(states.table);
    assert_true(agree);
    assert_true(states.chosen > 0);
}

static void two_rivals_never_have_two_values_chosen_though_one_acceptor_forgets(void **state) {
    (void)state;
    explore(&(struct model){.acceptors = 3, .ballots = 2, .may_forget = true});
    explore(&(struct model){.acceptors = 2, .ballots = 3, .may_forget = true});
}

static void three_rounds_never_have_two_values_chosen(void **state) {
    (void)state;
    explore(&(struct model){.acceptors = 3, .ballots = 3});
}

static void a_quorum_is_a_majority_that_forgot_nothing_or_everybody(void **state) {
    (void)state;
    for (uint32_t members = 1; members <= 5; members++) {
        for (uint32_t answers = 0; answers < 1u << 2 * members; answers++) {
            struct paxos_proposal p;
            paxos_propose(&p, 1, paxos_ballot(1, 0), members);
            uint32_t whole = 0;
            uint32_t any = 0;
            for (uint32_t i = 0; i < members; i++) {
                bool is_reset = (answers >> (2 * i + 1) & 1) != 0;
                if ((answers >> 2 * i & 1) == 0) continue;
                paxos_on_accepted(&p, i, is_reset);
                whole += !is_reset;
                any++;
            }
            assert_int_equal(paxos_is_met(&p), whole > members / 2 || any == members);
        }
    }
}

// Everybody else is a quorum where one is lost, and shares a member with every other one; but where
// that one is one of two.
static void where_one_is_lost_everybody_else_is_a_quorum(void **state) {
    (void)state;
    for (uint32_t members = 2; members <= 5; members++) {
        struct paxos_proposal p;
        paxos_propose(&p, 1, paxos_ballot(1, 0), members);
        paxos_go_without(&p, 1);
        paxos_on_accepted(&p, 1, false); // it is not: its word does not count
        assert_int_equal(p.yes, 0);
        assert_false(paxos_is_met(&p));
        uint32_t yes = 0;
        for (uint32_t i = 0; i < members; i++) {
            if (i == 1) continue;
            assert_int_equal(paxos_is_met(&p), 2 * yes > members);
            bool is_reset = i == 0;
            (void)paxos_on_promise(&p, i, is_reset, 0);
            yes += !is_reset;
        }
        assert_true(paxos_is_met(&p));
        paxos_go_on(&p);
        assert_false(paxos_is_met(&p));
    }
}

static void a_ballot_is_promised_once_and_names_its_member(void **state) {
    (void)state;
    uint64_t ballot = paxos_ballot(3, 7);
    struct paxos_vote vote = {.instance = 5, .reset_until = 5};
    assert_true(paxos_promise(&vote, ballot));
    assert_false(paxos_promise(&vote, ballot));
    assert_false(paxos_accept(&vote, paxos_ballot(2, 8)));
    assert_true(paxos_accept(&vote, ballot));
    assert_true(paxos_accept(&vote, ballot));
    assert_true(paxos_accept(&vote, paxos_ballot(3, 8)));
    assert_false(paxos_promise(&vote, ballot));
    assert_true(paxos_is_reset(&vote));
    paxos_vote_begin(&vote, 6);
    assert_false(paxos_is_reset(&vote));
    assert_true(paxos_promise(&vote, paxos_ballot(1, 0)));

    assert_true(paxos_is_ballot_of(ballot, 7));
    assert_false(paxos_is_ballot_of(ballot, 6));
    assert_false(paxos_is_ballot_of(0, 0));
    assert_true(paxos_is_ballot_of(paxos_ballot(PAXOS_ROUND_MAX, 7), 7));
    assert_false(paxos_is_ballot_of((PAXOS_ROUND_MAX + 1) << PAXOS_MEMBER_BITS | 7, 7));
    assert_false(paxos_is_ballot_of(UINT64_MAX, 7));
}

int paxos_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(two_rivals_never_have_two_values_chosen_though_one_acceptor_forgets),
        cmocka_unit_test(three_rounds_never_have_two_values_chosen),
        cmocka_unit_test(a_quorum_is_a_majority_that_forgot_nothing_or_everybody),
        cmocka_unit_test(where_one_is_lost_everybody_else_is_a_quorum),
        cmocka_unit_test(a_ballot_is_promised_once_and_names_its_member),
    };
    return cmocka_run_group_tests_name("paxos", cases, NULL, NULL);
}
