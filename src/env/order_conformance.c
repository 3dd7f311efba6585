// SPDX-License-Identifier: Apache-2.0
#include "env/order_conformance.h"

static void a_later_runs_and_succeeds(struct suite *s) {
    struct ask *a = new_ask(s);
    ASK(s, env_later(s->env, &a->op));
    assert_int_equal(a->calls, 0);
    assert_int_equal(finish(s, a), ST_OK);
}

static void laters_run_in_the_order_in_which_they_were_asked_for(struct suite *s) {
    struct ask *asks[10];
    for (uint32_t i = 0; i < 10; i++) {
        asks[i] = new_ask(s);
        ASK(s, env_later(s->env, &asks[i]->op));
    }
    for (uint32_t i = 0; i < 10; i++) {
        assert_int_equal(finish(s, asks[i]), ST_OK);
        assert_int_equal(asks[i]->order, i + 1);
    }
}

static void ask_later(struct ask *a) {
    ASK(a->suite, env_later(a->suite->env, &a->other->op));
}

static void a_later_asked_for_by_a_later_runs_too(struct suite *s) {
    struct ask *a = new_ask(s);
    a->other = new_ask(s);
    a->then = ask_later;
    ASK(s, env_later(s->env, &a->op));
    assert_int_equal(finish(s, a), ST_OK);
    assert_int_equal(finish(s, a->other), ST_OK);
    assert_int_equal(a->other->order, 2);
}

static void nothing(void *argument) {
    *(int *)argument += 1;
}

// Two streams have bytes before anybody asks for them, and whoever is handled first asks for a
// later: it comes after both.
static void a_later_waits_for_what_has_already_arrived(struct suite *s) {
    struct pair a = connected(s);
    struct pair b = connected_to(s, a.listener);
    struct ask *recvs[2];
    uint8_t bytes[2];
    send_all(s, a.near, "x", 1);
    send_all(s, b.near, "y", 1);
    for (int i = 0; i < 3; i++) turn(s);
    for (uint32_t i = 0; i < 2; i++) {
        recvs[i] = new_ask(s);
        recvs[i]->other = new_ask(s);
        recvs[i]->then = ask_later;
        ASK(s, env_recv(s->env, &recvs[i]->op, i == 0 ? a.far : b.far, &bytes[i], 1));
    }
    struct ask *own = new_ask(s);
    ASK(s, env_later(s->env, &own->op));
    assert_int_equal(finish(s, own), ST_OK);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(finish(s, recvs[i]), ST_OK);
        assert_int_equal(finish(s, recvs[i]->other), ST_OK);
    }
    const struct ask *laters[] = {own, recvs[0]->other, recvs[1]->other};
    for (uint32_t i = 0; i < 6; i++) {
        const struct ask *later = laters[i % 3];
        const struct ask *recv = recvs[i / 3];
        if (recv->called_at <= later->called_at) assert_true(recv->order < later->order);
    }
    b.listener = NULL; // it is a's
    shut_pair(s, &b);
    shut_pair(s, &a);
}

static void work_is_done_elsewhere_and_then_called_back(struct suite *s) {
    static int counts[20];
    struct ask *asks[20];
    for (int i = 0; i < 20; i++) {
        counts[i] = i;
        asks[i] = new_ask(s);
        ASK(s, env_work(s->env, &asks[i]->op, nothing, &counts[i]));
        assert_int_equal(asks[i]->calls, 0);
    }
    for (int i = 0; i < 20; i++) {
        assert_int_equal(finish(s, asks[i]), ST_OK);
        assert_int_equal(counts[i], i + 1);
    }
}

static void time_moves_on_between_turns(struct suite *s) {
    uint64_t start = s->env->now;
    for (int i = 0; i < 10; i++) turn(s);
    assert_true(s->env->now > start);
    assert_true(s->env->wall_ms > 0);
}

const struct env_case order_cases[] = {
    ENV_CASE(a_later_runs_and_succeeds),
    ENV_CASE(laters_run_in_the_order_in_which_they_were_asked_for),
    ENV_CASE(a_later_asked_for_by_a_later_runs_too),
    ENV_CASE(a_later_waits_for_what_has_already_arrived),
    ENV_CASE(work_is_done_elsewhere_and_then_called_back),
    ENV_CASE(time_moves_on_between_turns),
    {NULL, NULL, false},
};
