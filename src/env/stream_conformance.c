// SPDX-License-Identifier: Apache-2.0
#include "env/stream_conformance.h"

#include <stdlib.h>
#include <string.h>

static void connecting_to_nobody_is_refused(struct suite *s) {
    struct env_socket *stream = NULL;
    struct ask *a = new_ask(s);
    ASK(s, env_connect(s->env, &a->op, s->world->nobody, &stream));
    assert_int_equal(finish(s, a), ST_IO);
    assert_null(stream);
}

static void an_address_that_is_none_is_invalid(struct suite *s) {
    static const char *const bad[] = {"nothing", "127.0.0.1:", "127.0.0.1:x", ":5",
                                      "1.2.3.4:99999"};
    for (uint32_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct env_socket *stream = NULL;
        struct ask *connect = new_ask(s);
        ASK(s, env_connect(s->env, &connect->op, bad[i], &stream));
        assert_int_equal(finish(s, connect), ST_INVALID);
        struct ask *listen = new_ask(s);
        ASK(s, env_listen(s->env, &listen->op, bad[i], &stream));
        assert_int_equal(finish(s, listen), ST_INVALID);
        assert_null(stream);
    }
}

static void an_address_in_use_is_refused_until_it_is_free(struct suite *s) {
    struct env_socket *first = NULL;
    struct env_socket *second = NULL;
    struct ask *a = new_ask(s);
    ASK(s, env_listen(s->env, &a->op, s->world->addresses[0], &first));
    assert_int_equal(finish(s, a), ST_OK);
    struct ask *b = new_ask(s);
    ASK(s, env_listen(s->env, &b->op, s->world->addresses[0], &second));
    assert_int_equal(finish(s, b), ST_IO);
    assert_null(second);
    struct ask *other = new_ask(s);
    ASK(s, env_listen(s->env, &other->op, s->world->addresses[1], &second));
    assert_int_equal(finish(s, other), ST_OK);
    env_shut(s->env, first);
    turn(s);
    struct ask *c = new_ask(s);
    ASK(s, env_listen(s->env, &c->op, s->world->addresses[0], &first));
    assert_int_equal(finish(s, c), ST_OK);
    env_shut(s->env, first);
    env_shut(s->env, second);
}

static void bytes_go_both_ways(struct suite *s) {
    struct pair p = connected(s);
    char text[5];
    for (int i = 0; i < 3; i++) {
        send_all(s, p.near, "hello", 5);
        recv_exactly(s, p.far, text, 5);
        assert_memory_equal(text, "hello", 5);
        send_all(s, p.far, "world", 5);
        recv_exactly(s, p.near, text, 5);
        assert_memory_equal(text, "world", 5);
    }
    shut_pair(s, &p);
}

static void a_recv_waits_for_the_first_byte(struct suite *s) {
    struct pair p = connected(s);
    char text[100];
    struct ask *recv = new_ask(s);
    ASK(s, env_recv(s->env, &recv->op, p.far, (uint8_t *)text, sizeof(text)));
    for (int i = 0; i < 3; i++) turn(s);
    assert_int_equal(recv->calls, 0);
    send_all(s, p.near, "x", 1);
    assert_int_equal(finish(s, recv), ST_OK);
    assert_int_equal(recv->op.size, 1);
    assert_int_equal(text[0], 'x');
    shut_pair(s, &p);
}

static void the_end_of_a_stream_comes_after_its_last_byte(struct suite *s) {
    struct pair p = connected(s);
    send_all(s, p.near, "goodbye", 7);
    env_shut(s->env, p.near);
    p.near = NULL;
    char text[7];
    recv_exactly(s, p.far, text, 7);
    assert_memory_equal(text, "goodbye", 7);
    struct ask *end = new_ask(s);
    ASK(s, env_recv(s->env, &end->op, p.far, (uint8_t *)text, 7));
    assert_int_equal(finish(s, end), ST_OK);
    assert_int_equal(end->op.size, 0);
    shut_pair(s, &p);
}

static void an_address_serves_again_after_its_streams_have_ended(struct suite *s) {
    for (int i = 0; i < 2; i++) {
        struct pair p = connected(s);
        env_shut(s->env, p.far); // the side that ends first remembers the stream for a while
        p.far = NULL;
        for (int j = 0; j < 3; j++) turn(s);
        shut_pair(s, &p);
        for (int j = 0; j < 3; j++) turn(s);
    }
}

// A server that refuses a client and hangs up must be heard to the last byte, although it did not
// read what the client was still sending, and although the client is slow.
static void answered_bytes_arrive_although_the_sender_left_bytes_unread(struct suite *s) {
    enum { PIECE = 4096, PIECES_MAX = 5000 };
    static uint8_t bytes[PIECE];
    struct pair p = connected(s);
    send_all(s, p.near, "never read", 10);
    uint64_t answered = 0;
    struct ask *send = new_ask(s);
    for (int i = 0; i < PIECES_MAX; i++) {
        send->calls = 0;
        ASK(s, env_send(s->env, &send->op, p.far, bytes, PIECE));
        uint64_t until = s->env->now + 200ull * 1000 * 1000;
        while (send->calls == 0 && s->env->now < until) turn(s);
        if (send->calls == 0) break; // the other side is full
        assert_int_equal(send->op.status, ST_OK);
        answered += PIECE;
    }
    assert_true(answered > 0);
    env_shut(s->env, p.far);
    p.far = NULL;
    for (int i = 0; i < 3; i++) turn(s);
    assert_int_equal(send->calls, 1);

    uint64_t arrived = 0;
    struct ask *recv = new_ask(s);
    do {
        recv->calls = 0;
        ASK(s, env_recv(s->env, &recv->op, p.near, bytes, PIECE));
        assert_int_equal(finish(s, recv), ST_OK);
        arrived += recv->op.size;
    } while (recv->op.size > 0);
    assert_true(arrived >= answered);
    shut_pair(s, &p);
}

// What the other end does with a stream that its peer has left: the end of the stream, and in time
// a failure, but never a hang and never a success without end.
static void sending_to_a_peer_that_left_fails_in_the_end(struct suite *s) {
    enum { SIZE = 64 * 1024 };
    static uint8_t bytes[SIZE];
    struct pair p = connected(s);
    env_shut(s->env, p.far);
    p.far = NULL;
    enum status st = ST_OK;
    struct ask *a = new_ask(s);
    for (int i = 0; i < 10000 && st == ST_OK; i++) {
        a->calls = 0;
        ASK(s, env_send(s->env, &a->op, p.near, bytes, SIZE));
        st = finish(s, a);
    }
    assert_int_equal(st, ST_IO);
    shut_pair(s, &p);
}

static void eight_mebibytes_pass_a_slow_reader_unharmed(struct suite *s) {
    enum { SIZE = 8 * 1024 * 1024, PIECE = 128 * 1024 };
    uint8_t *out = malloc(SIZE);
    uint8_t *in = calloc(1, SIZE);
    assert_non_null(out);
    assert_non_null(in);
    for (uint32_t i = 0; i < SIZE; i++) out[i] = (uint8_t)(i * 2654435761u >> 17);
    struct pair p = connected(s);
    struct ask *send = new_ask(s);
    ASK(s, env_send(s->env, &send->op, p.near, out, SIZE));
    for (int i = 0; i < 3; i++) turn(s);
    assert_int_equal(send->calls, 0); // nobody has read it yet: it cannot have gone through

    for (uint32_t got = 0; got < SIZE; got += PIECE) recv_exactly(s, p.far, in + got, PIECE);
    assert_int_equal(finish(s, send), ST_OK);
    assert_int_equal(send->op.size, SIZE);
    assert_memory_equal(in, out, SIZE);
    shut_pair(s, &p);
    free(out);
    free(in);
}

static void shutting_a_stream_cancels_its_recv_and_send(struct suite *s) {
    enum { SIZE = 16 * 1024 * 1024 };
    uint8_t *bytes = calloc(1, SIZE);
    assert_non_null(bytes);
    uint8_t to[10];
    struct pair p = connected(s);
    struct ask *recv = new_ask(s);
    struct ask *send = new_ask(s);
    ASK(s, env_recv(s->env, &recv->op, p.near, to, sizeof(to)));
    ASK(s, env_send(s->env, &send->op, p.near, bytes, SIZE));
    for (int i = 0; i < 3; i++) turn(s);
    assert_int_equal(recv->calls, 0);
    assert_int_equal(send->calls, 0);
    env_shut(s->env, p.near);
    p.near = NULL;
    assert_int_equal(recv->calls, 0);
    assert_int_equal(finish(s, recv), ST_CANCELLED);
    assert_int_equal(finish(s, send), ST_CANCELLED);
    shut_pair(s, &p);
    free(bytes);
}

static void shutting_at_once_cancels_what_was_just_asked_for(struct suite *s) {
    struct pair p = connected(s);
    uint8_t to[10];
    struct ask *recv = new_ask(s);
    struct ask *send = new_ask(s);
    ASK(s, env_recv(s->env, &recv->op, p.near, to, sizeof(to)));
    ASK(s, env_send(s->env, &send->op, p.near, (const uint8_t *)"x", 1));
    env_shut(s->env, p.near);
    p.near = NULL;
    assert_int_equal(finish(s, recv), ST_CANCELLED);
    assert_int_equal(finish(s, send), ST_CANCELLED);
    shut_pair(s, &p);
}

static void shutting_a_listener_cancels_its_accept(struct suite *s) {
    struct env_socket *listener = NULL;
    struct env_socket *stream = NULL;
    struct ask *listen = new_ask(s);
    ASK(s, env_listen(s->env, &listen->op, s->world->addresses[0], &listener));
    assert_int_equal(finish(s, listen), ST_OK);
    struct ask *accept = new_ask(s);
    ASK(s, env_accept(s->env, &accept->op, listener, &stream));
    turn(s);
    env_shut(s->env, listener);
    assert_int_equal(finish(s, accept), ST_CANCELLED);
    assert_null(stream);

    struct ask *connect = new_ask(s);
    ASK(s, env_connect(s->env, &connect->op, s->world->addresses[0], &stream));
    assert_int_equal(finish(s, connect), ST_IO);
}

static void shut_it(struct ask *a) {
    env_shut(a->suite->env, a->stream);
}

static void a_stream_may_be_shut_in_the_callback_of_its_own_recv(struct suite *s) {
    struct pair p = connected(s);
    uint8_t to[10];
    struct ask *recv = new_ask(s);
    recv->then = shut_it;
    recv->stream = p.far;
    ASK(s, env_recv(s->env, &recv->op, p.far, to, sizeof(to)));
    send_all(s, p.near, "x", 1);
    assert_int_equal(finish(s, recv), ST_OK);
    p.far = NULL;
    struct ask *end = new_ask(s);
    ASK(s, env_recv(s->env, &end->op, p.near, to, sizeof(to)));
    assert_int_equal(finish(s, end), ST_OK);
    assert_int_equal(end->op.size, 0);
    shut_pair(s, &p);
}

static void two_streams_do_not_mix(struct suite *s) {
    struct pair p = connected(s);
    struct pair q = connected_to(s, p.listener);
    for (int i = 0; i < 20; i++) {
        char one[6];
        char two[4];
        struct ask *a = new_ask(s);
        struct ask *b = new_ask(s);
        ASK(s, env_send(s->env, &a->op, p.near, (const uint8_t *)"first!", 6));
        ASK(s, env_send(s->env, &b->op, q.near, (const uint8_t *)"next", 4));
        recv_exactly(s, q.far, two, 4);
        recv_exactly(s, p.far, one, 6);
        assert_memory_equal(one, "first!", 6);
        assert_memory_equal(two, "next", 4);
        assert_int_equal(finish(s, a), ST_OK);
        assert_int_equal(finish(s, b), ST_OK);
    }
    q.listener = NULL; // it is p's
    shut_pair(s, &q);
    shut_pair(s, &p);
}

static void a_stream_knows_its_peer(struct suite *s) {
    struct pair p = connected(s);
    assert_string_equal(env_peer(s->env, p.near), s->world->addresses[0]);
    const char *far = env_peer(s->env, p.far);
    const char *colon = strrchr(far, ':');
    assert_non_null(colon);
    assert_true(colon > far);
    assert_true(strtoul(colon + 1, NULL, 10) > 0);
    assert_string_not_equal(far, s->world->addresses[0]);
    shut_pair(s, &p);
}

const struct env_case stream_cases[] = {
    ENV_CASE(connecting_to_nobody_is_refused),
    ENV_CASE(an_address_that_is_none_is_invalid),
    ENV_CASE(an_address_in_use_is_refused_until_it_is_free),
    ENV_CASE(bytes_go_both_ways),
    ENV_CASE(a_recv_waits_for_the_first_byte),
    ENV_CASE(the_end_of_a_stream_comes_after_its_last_byte),
    ENV_CASE(an_address_serves_again_after_its_streams_have_ended),
    ENV_CASE(answered_bytes_arrive_although_the_sender_left_bytes_unread),
    ENV_CASE(sending_to_a_peer_that_left_fails_in_the_end),
    ENV_CASE(eight_mebibytes_pass_a_slow_reader_unharmed),
    ENV_CASE(shutting_a_stream_cancels_its_recv_and_send),
    ENV_CASE(shutting_at_once_cancels_what_was_just_asked_for),
    ENV_CASE(shutting_a_listener_cancels_its_accept),
    ENV_CASE(a_stream_may_be_shut_in_the_callback_of_its_own_recv),
    ENV_CASE(two_streams_do_not_mix),
    ENV_CASE(a_stream_knows_its_peer),
    {NULL, NULL, false},
};
