// SPDX-License-Identifier: Apache-2.0
#include "env/env_conformance.h"

#include "env/env_case.h"

#include <stdio.h>
#include <string.h>

enum { CASES_MAX = 128 };

// A case that has not ended by then has failed: env->now passes this, or so many turns do.
static const uint64_t patience_ns = 20ull * 1000 * 1000 * 1000;
static const uint32_t patience_turns = 20 * 1000 * 1000;

static void on_done(struct env_op *op) {
    struct ask *a = CONTAINER_OF(op, struct ask, op);
    struct suite *s = a->suite;
    assert_false(s->is_asking);
    a->calls++;
    assert_int_equal(a->calls, 1);
    a->order = ++s->calls;
    a->called_at = s->env->now;
    a->turn = s->turns;
    if (a->then != NULL) a->then(a);
    assert_int_equal(a->called_at, s->env->now);
}

struct ask *new_ask(struct suite *s) {
    assert_true(s->ask_count < ASKS_MAX);
    struct ask *a = &s->asks[s->ask_count++];
    memset(a, 0, sizeof(*a));
    a->suite = s;
    a->op.done = on_done;
    return a;
}

void turn(struct suite *s) {
    uint64_t before = s->env->now;
    s->turns++;
    s->kind->turn(s->world);
    assert_true(s->env->now >= before);
}

enum status finish(struct suite *s, struct ask *a) {
    uint64_t until = s->env->now + patience_ns;
    for (uint32_t i = 0; a->calls == 0; i++) {
        if (s->env->now > until || i > patience_turns) fail_msg("a request never called back");
        turn(s);
    }
    return a->op.status;
}

struct env_file *opened(struct suite *s, const char *name, enum env_open mode) {
    struct env_file *file = NULL;
    struct ask *a = new_ask(s);
    ASK(s, env_open(s->env, &a->op, name, mode, &file));
    assert_int_equal(finish(s, a), ST_OK);
    assert_non_null(file);
    return file;
}

void close_file(struct suite *s, struct env_file *file) {
    struct ask *a = new_ask(s);
    ASK(s, env_close(s->env, &a->op, file));
    assert_int_equal(finish(s, a), ST_OK);
}

enum status write_at(struct suite *s, struct env_file *file, uint64_t offset, const void *from,
                     uint32_t size) {
    struct ask *a = new_ask(s);
    ASK(s, env_write(s->env, &a->op, file, offset, from, size));
    enum status st = finish(s, a);
    if (st == ST_OK) assert_int_equal(a->op.size, size);
    return st;
}

uint32_t read_at(struct suite *s, struct env_file *file, uint64_t offset, void *to, uint32_t size) {
    struct ask *a = new_ask(s);
    ASK(s, env_read(s->env, &a->op, file, offset, to, size));
    assert_int_equal(finish(s, a), ST_OK);
    assert_true(a->op.size <= size);
    return a->op.size;
}

struct pair connected_to(struct suite *s, struct env_socket *listener) {
    struct pair pair = {listener, NULL, NULL};
    struct ask *accept = new_ask(s);
    ASK(s, env_accept(s->env, &accept->op, listener, &pair.far));
    struct ask *connect = new_ask(s);
    ASK(s, env_connect(s->env, &connect->op, s->world->addresses[0], &pair.near));
    assert_int_equal(finish(s, connect), ST_OK);
    assert_int_equal(finish(s, accept), ST_OK);
    assert_non_null(pair.near);
    assert_non_null(pair.far);
    return pair;
}

struct pair connected(struct suite *s) {
    struct env_socket *listener = NULL;
    struct ask *listen = new_ask(s);
    ASK(s, env_listen(s->env, &listen->op, s->world->addresses[0], &listener));
    assert_int_equal(finish(s, listen), ST_OK);
    assert_non_null(listener);
    return connected_to(s, listener);
}

void shut_pair(struct suite *s, struct pair *pair) {
    if (pair->near != NULL) env_shut(s->env, pair->near);
    if (pair->far != NULL) env_shut(s->env, pair->far);
    if (pair->listener != NULL) env_shut(s->env, pair->listener);
    *pair = (struct pair){NULL, NULL, NULL};
}

void send_all(struct suite *s, struct env_socket *stream, const void *from, uint32_t size) {
    struct ask *a = new_ask(s);
    ASK(s, env_send(s->env, &a->op, stream, from, size));
    assert_int_equal(finish(s, a), ST_OK);
    assert_int_equal(a->op.size, size);
}

void recv_exactly(struct suite *s, struct env_socket *stream, void *to, uint32_t size) {
    uint32_t got = 0;
    // Pieces may be as small as a byte, so the request is used again.
    struct ask *a = new_ask(s);
    while (got < size) {
        a->calls = 0;
        ASK(s, env_recv(s->env, &a->op, stream, (uint8_t *)to + got, size - got));
        assert_int_equal(finish(s, a), ST_OK);
        assert_true(a->op.size > 0);
        assert_true(a->op.size <= size - got);
        got += a->op.size;
    }
}

// What a case is run with.
struct plan {
    const struct env_world_kind *kind;
    const struct env_case *env_case;
};

static void run_case(void **state) {
    const struct plan *plan = *state;
    static struct suite s;
    memset(&s, 0, sizeof(s));
    s.kind = plan->kind;
    if (!plan->env_case->needs_small_disk) {
        s.world = plan->kind->create();
        assert_non_null(s.world);
    } else {
        s.world = plan->kind->create_small();
    }
    if (s.world == NULL) {
        print_message("SKIPPED: %s has no small disk here\n", plan->kind->name);
        skip();
        return;
    }
    s.env = s.world->env;
    plan->env_case->run(&s);

    // Whatever would call back late, or once more, does so now; and everything has.
    for (int i = 0; i < 3; i++) turn(&s);
    for (uint32_t i = 0; i < s.ask_count; i++) assert_int_equal(s.asks[i].calls, 1);
    plan->kind->destroy(s.world);
}

int env_conformance(const struct env_world_kind *kind) {
    const struct env_case *groups[] = {order_cases, file_cases, stream_cases};
    static struct plan plans[CASES_MAX];
    static struct CMUnitTest tests[CASES_MAX];
    uint32_t count = 0;
    memset(tests, 0, sizeof(tests));
    for (uint32_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
        for (const struct env_case *c = groups[i]; c->name != NULL; c++) {
            if (c->needs_small_disk && kind->create_small == NULL) continue;
            assert_true(count < CASES_MAX);
            plans[count] = (struct plan){kind, c};
            tests[count] = (struct CMUnitTest){c->name, run_case, NULL, NULL, &plans[count]};
            count++;
        }
    }
    char name[64];
    snprintf(name, sizeof(name), "env on %s", kind->name);
    return _cmocka_run_group_tests(name, tests, count, NULL, NULL);
}
