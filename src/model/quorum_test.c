// SPDX-License-Identifier: Apache-2.0
#include "model/quorum.h"

#include "tests/test.h"

enum answer { SILENCE, YES, NO, ANSWERS };

// The definition in quorum.h once more, in the most obvious words there are: suppose first the best
// and then the worst of those who have not answered.
static enum quorum_verdict obvious_verdict(const enum answer *answers, uint32_t total,
                                           uint32_t need) {
    uint32_t yes = 0;
    uint32_t silent = 0;
    for (uint32_t i = 0; i < total; i++) {
        yes += answers[i] == YES;
        silent += answers[i] == SILENCE;
    }
    if (yes >= need) return QUORUM_MET;
    if (yes + silent < need) return QUORUM_LOST;
    return QUORUM_OPEN;
}

// `state` numbers the ways in which `total` replicas can answer: one base-3 digit each.
static bool agrees(uint32_t total, uint32_t need, uint32_t state) {
    enum answer answers[REPLICAS_MAX];
    struct quorum q;
    quorum_init(&q, total, need);
    for (uint32_t i = 0; i < total; i++, state /= ANSWERS) {
        answers[i] = (enum answer)(state % ANSWERS);
        if (answers[i] != SILENCE) quorum_vote(&q, i, answers[i] == YES);
    }
    return quorum_verdict(&q) == obvious_verdict(answers, total, need);
}

// The state space is small enough to visit all of it, so we do: no example to choose, no luck
// needed.
static void agrees_with_the_obvious_definition_everywhere(void **state) {
    (void)state;
    uint32_t states = 1;
    for (uint32_t total = 1; total <= 8; total++) {
        states *= ANSWERS;
        for (uint32_t need = 1; need <= total; need++) {
            for (uint32_t way = 0; way < states; way++) assert_true(agrees(total, need, way));
        }
    }
}

static void counts_one_vote_per_replica(void **state) {
    (void)state;
    struct quorum q;
    quorum_init(&q, 3, 2);
    quorum_vote(&q, 0, true);
    quorum_vote(&q, 0, true);  // a retried answer
    quorum_vote(&q, 0, false); // a late timeout for the same replica
    assert_true(quorum_verdict(&q) == QUORUM_OPEN);
    quorum_vote(&q, 2, true);
    assert_true(quorum_verdict(&q) == QUORUM_MET);
}

int quorum_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(agrees_with_the_obvious_definition_everywhere),
        cmocka_unit_test(counts_one_vote_per_replica),
    };
    return cmocka_run_group_tests_name("quorum", cases, NULL, NULL);
}
