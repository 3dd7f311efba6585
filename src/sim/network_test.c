// SPDX-License-Identifier: Apache-2.0
#include "sim/network.h"

#include "sim/world_case.h"

#include <string.h>

// Two machines and a stream between them.
struct line {
    struct world *world;
    struct machine *a;
    struct machine *b;
    struct env_socket *listener; // of b
    struct env_socket *near;     // of a
    struct env_socket *far;      // of b
};

static struct line line_with(uint64_t seed, const struct world_options *options) {
    struct line l = {.world = world_create(seed, options)};
    l.a = started(l.world, "a");
    l.b = started(l.world, "b");
    struct asked listen;
    struct asked accept;
    struct asked connect;
    env_listen(machine_env(l.b), ask(&listen, l.world), "b:7379", &l.listener);
    assert_int_equal(answer_of(&listen), ST_OK);
    env_accept(machine_env(l.b), ask(&accept, l.world), l.listener, &l.far);
    env_connect(machine_env(l.a), ask(&connect, l.world), "b:7379", &l.near);
    assert_int_equal(answer_of(&connect), ST_OK);
    assert_int_equal(answer_of(&accept), ST_OK);
    return l;
}

static struct line quiet_line(void) {
    struct world_options options = world_quiet();
    return line_with(test_seed(), &options);
}

static struct env_op *ask_send(struct line *l, struct asked *a, const char *text) {
    env_send(machine_env(l->a), ask(a, l->world), l->near, (const uint8_t *)text,
             (uint32_t)strlen(text));
    return &a->op;
}

static struct env_op *ask_recv(struct line *l, struct asked *a, uint8_t *to, uint32_t capacity) {
    env_recv(machine_env(l->b), ask(a, l->world), l->far, to, capacity);
    return &a->op;
}

static void send_text(struct line *l, const char *text) {
    struct asked a;
    ask_send(l, &a, text);
    assert_int_equal(answer_of(&a), ST_OK);
}

// Receives until `text` is complete.
static void expect_text(struct line *l, const char *text) {
    uint8_t bytes[64];
    uint32_t size = (uint32_t)strlen(text);
    uint32_t got = 0;
    while (got < size) {
        struct asked a;
        ask_recv(l, &a, bytes + got, size - got);
        assert_int_equal(answer_of(&a), ST_OK);
        assert_true(a.op.size > 0);
        got += a.op.size;
    }
    assert_memory_equal(bytes, text, size);
}

static void expect_recv(struct line *l, enum status status) {
    uint8_t byte;
    struct asked a;
    ask_recv(l, &a, &byte, 1);
    assert_int_equal(answer_of(&a), status);
    assert_int_equal(a.op.size, 0);
}

// Sends 1 MiB while the other end receives in odd sizes; checks every byte that arrives. Returns
// how many did before the stream failed or all were there, and the last status of the receiver.
enum { BULK = 1024 * 1024 };

static uint8_t bulk_byte(uint32_t at) {
    return (uint8_t)(at * 2654435761u >> 13);
}

static uint32_t carry_bulk(struct line *l, enum status *status, uint32_t *recv_count) {
    static uint8_t out[BULK];
    static uint8_t in[BULK];
    for (uint32_t i = 0; i < BULK; i++) out[i] = bulk_byte(i);
    struct asked send;
    env_send(machine_env(l->a), ask(&send, l->world), l->near, out, BULK);
    uint32_t got = 0;
    *recv_count = 0;
    *status = ST_OK;
    while (got < BULK) {
        struct asked recv;
        uint32_t room = BULK - got < 10000 ? BULK - got : 10000;
        ask_recv(l, &recv, in + got, room);
        uint64_t until = world_now(l->world) + 3600 * NS_PER_SECOND;
        while (recv.calls == 0 && world_step(l->world, until)) continue;
        *status = recv.calls == 0 ? ST_TIMEOUT : recv.op.status;
        if (*status != ST_OK || recv.op.size == 0) break;
        got += recv.op.size;
        ++*recv_count;
    }
    assert_memory_equal(in, out, got);
    pass(l->world, 60 * NS_PER_SECOND);
    assert_int_equal(send.calls, 1);
    return got;
}

static void bytes_arrive_in_order_however_they_are_cut(void **state) {
    (void)state;
    struct world_options options = world_quiet();
    options.window = 3000;
    options.rates[FAULT_NET_SPLIT] = FAULT_CERTAIN / 2;
    options.rates[FAULT_NET_TAIL] = FAULT_CERTAIN / 50;
    options.rates[FAULT_NET_STALL] = FAULT_CERTAIN / 200;
    options.stall_max = NS_PER_SECOND;
    struct line l = line_with(test_seed(), &options);
    enum status status;
    uint32_t recv_count = 0;
    assert_int_equal(carry_bulk(&l, &status, &recv_count), BULK);
    assert_true(recv_count > BULK / 10000 * 3);
    assert_true(world_fault_count(l.world, FAULT_NET_SPLIT) > 0);
    assert_true(world_fault_count(l.world, FAULT_NET_TAIL) > 0);
    assert_true(world_fault_count(l.world, FAULT_NET_STALL) > 0);
    assert_true(world_fault_count(l.world, FAULT_NET_PRESSURE) > 0);
    world_destroy(l.world);
}

static void a_send_waits_for_the_window(void **state) {
    (void)state;
    struct world_options options = world_quiet();
    options.window = 1000;
    struct line l = line_with(test_seed(), &options);
    static uint8_t bytes[1500];
    struct asked send;
    env_send(machine_env(l.a), ask(&send, l.world), l.near, bytes, 1000);
    assert_int_equal(answer_of(&send), ST_OK);
    env_send(machine_env(l.a), ask(&send, l.world), l.near, bytes, 1500);
    pass(l.world, 10 * NS_PER_SECOND);
    assert_int_equal(send.calls, 0);
    uint32_t got = 0;
    while (got < 1499) {
        struct asked recv;
        ask_recv(&l, &recv, bytes, 100);
        assert_int_equal(answer_of(&recv), ST_OK);
        got += recv.op.size;
    }
    pass(l.world, NS_PER_SECOND);
    assert_int_equal(send.calls, 1);
    assert_int_equal(send.op.status, ST_OK);
    world_destroy(l.world);
}

static void a_send_that_waits_for_a_reader_who_leaves_fails(void **state) {
    (void)state;
    struct world_options options = world_quiet();
    options.window = 1000;
    struct line l = line_with(test_seed(), &options);
    static uint8_t bytes[5000];
    struct asked send;
    env_send(machine_env(l.a), ask(&send, l.world), l.near, bytes, 5000);
    pass(l.world, 10 * NS_PER_SECOND);
    assert_int_equal(send.calls, 0);
    env_shut(machine_env(l.b), l.far);
    assert_int_equal(answer_within(&send, NS_PER_SECOND), ST_IO);
    world_destroy(l.world);
}

static void news_of_room_waits_at_a_cut(void **state) {
    (void)state;
    struct world_options options = world_quiet();
    options.window = 1000;
    struct line l = line_with(test_seed(), &options);
    static uint8_t bytes[1500];
    struct asked send;
    env_send(machine_env(l.a), ask(&send, l.world), l.near, bytes, 1500);
    pass(l.world, NS_PER_SECOND);
    world_set_link(l.world, l.b, l.a, false);
    struct asked recv;
    ask_recv(&l, &recv, bytes, 1000);
    assert_int_equal(answer_of(&recv), ST_OK);
    pass(l.world, 10 * NS_PER_SECOND);
    assert_int_equal(send.calls, 0);
    world_heal(l.world);
    assert_int_equal(answer_within(&send, NS_PER_SECOND), ST_OK);
    world_destroy(l.world);
}

static void bandwidth_limits_how_fast_bytes_leave(void **state) {
    (void)state;
    struct world_options options = world_quiet();
    options.bandwidth = 100000;
    struct line l = line_with(test_seed(), &options);
    uint64_t before = world_now(l.world);
    enum status status;
    uint32_t recv_count = 0;
    assert_int_equal(carry_bulk(&l, &status, &recv_count), BULK);
    assert_true(world_now(l.world) - before >= 10 * NS_PER_SECOND);
    world_destroy(l.world);
}

static void a_cut_link_delays_and_loses_nothing(void **state) {
    (void)state;
    struct line l = quiet_line();
    world_isolate(l.world, l.b);
    struct asked recv;
    uint8_t bytes[8];
    ask_recv(&l, &recv, bytes, 8);
    send_text(&l, "hello"); // the kernel takes it
    pass(l.world, 10 * NS_PER_SECOND);
    assert_int_equal(recv.calls, 0);
    assert_true(world_fault_count(l.world, FAULT_NET_CUT) > 0);
    world_rejoin(l.world, l.b);
    assert_int_equal(answer_within(&recv, 5 * NS_PER_SECOND), ST_OK);
    assert_int_equal(recv.op.size, 5);
    pass(l.world, 100 * NS_PER_SECOND);
    send_text(&l, "again");
    expect_text(&l, "again");
    world_destroy(l.world);
}

static void one_way_is_cut_and_the_other_is_not(void **state) {
    (void)state;
    struct line l = quiet_line();
    world_set_link(l.world, l.b, l.a, false);
    assert_true(world_has_link(l.world, l.a, l.b));
    assert_false(world_has_link(l.world, l.b, l.a));
    send_text(&l, "there");
    expect_text(&l, "there");
    struct asked send;
    env_send(machine_env(l.b), ask(&send, l.world), l.far, (const uint8_t *)"back", 4);
    assert_int_equal(answer_of(&send), ST_OK);
    struct asked recv;
    uint8_t bytes[8];
    env_recv(machine_env(l.a), ask(&recv, l.world), l.near, bytes, 8);
    pass(l.world, 10 * NS_PER_SECOND);
    assert_int_equal(recv.calls, 0);
    world_heal(l.world);
    assert_int_equal(answer_within(&recv, 5 * NS_PER_SECOND), ST_OK);
    world_destroy(l.world);
}

static void a_sender_without_answer_gives_up_and_the_receiver_knows_nothing(void **state) {
    (void)state;
    struct line l = quiet_line();
    world_set_link(l.world, l.b, l.a, false); // the bytes arrive; that they did, does not
    struct asked recv;
    uint8_t bytes[8];
    env_recv(machine_env(l.a), ask(&recv, l.world), l.near, bytes, 8);
    send_text(&l, "hello");
    expect_text(&l, "hello");
    pass(l.world, world_options(l.world)->give_up_after * 2);
    assert_int_equal(recv.calls, 1);
    assert_int_equal(recv.op.status, ST_IO);
    assert_int_equal(world_fault_count(l.world, FAULT_NET_TIMEOUT), 1);
    world_heal(l.world);
    struct asked half_open;
    ask_recv(&l, &half_open, bytes, 8);
    pass(l.world, 1000 * NS_PER_SECOND);
    assert_int_equal(half_open.calls, 0);
    // Until it says something itself.
    struct asked send;
    env_send(machine_env(l.b), ask(&send, l.world), l.far, (const uint8_t *)"x", 1);
    assert_int_equal(answer_of(&send), ST_OK);
    assert_int_equal(answer_of(&half_open), ST_IO);
    world_destroy(l.world);
}

static void patience_begins_anew_with_each_cut(void **state) {
    (void)state;
    struct line l = quiet_line();
    uint64_t most = world_options(l.world)->give_up_after;
    for (uint32_t i = 0; i < 3; i++) {
        world_isolate(l.world, l.a);
        send_text(&l, "hello");
        pass(l.world, most * 3 / 4);
        world_heal(l.world);
        expect_text(&l, "hello");
    }
    assert_int_equal(world_fault_count(l.world, FAULT_NET_TIMEOUT), 0);
    world_destroy(l.world);
}

static void an_idle_stream_does_not_notice_a_cut(void **state) {
    (void)state;
    struct line l = quiet_line();
    world_isolate(l.world, l.a);
    pass(l.world, 1000 * NS_PER_SECOND);
    world_heal(l.world);
    send_text(&l, "hello");
    expect_text(&l, "hello");
    world_destroy(l.world);
}

static void connecting_through_a_cut_waits_and_then_fails(void **state) {
    (void)state;
    struct line l = quiet_line();
    struct env_socket *stream = NULL;
    struct asked connect;
    world_set_link(l.world, l.b, l.a, false); // either way will do
    uint64_t before = world_now(l.world);
    env_connect(machine_env(l.a), ask(&connect, l.world), "b:7379", &stream);
    assert_int_equal(answer_of(&connect), ST_IO);
    assert_true(world_now(l.world) - before >= world_options(l.world)->connect_max);
    env_connect(machine_env(l.a), ask(&connect, l.world), "b:7379", &stream);
    pass(l.world, NS_PER_SECOND);
    world_heal(l.world);
    assert_int_equal(answer_of(&connect), ST_OK);
    assert_non_null(stream);
    world_destroy(l.world);
}

static void connecting_to_nobody_is_refused(void **state) {
    (void)state;
    struct line l = quiet_line();
    struct env_socket *stream = NULL;
    struct asked connect;
    env_connect(machine_env(l.a), ask(&connect, l.world), "b:1", &stream);
    assert_int_equal(answer_within(&connect, NS_PER_SECOND), ST_IO);
    env_connect(machine_env(l.a), ask(&connect, l.world), "c:1", &stream);
    assert_int_equal(answer_of(&connect), ST_INVALID);
    world_options(l.world)->rates[FAULT_NET_REFUSED] = FAULT_CERTAIN;
    env_connect(machine_env(l.a), ask(&connect, l.world), "b:7379", &stream);
    assert_int_equal(answer_of(&connect), ST_IO);
    assert_int_equal(world_fault_count(l.world, FAULT_NET_REFUSED), 1);
    machine_kill(l.b);
    env_connect(machine_env(l.a), ask(&connect, l.world), "b:7379", &stream);
    assert_int_equal(answer_within(&connect, NS_PER_SECOND), ST_IO);
    world_destroy(l.world);
}

static void a_killed_process_is_noticed_by_its_peers(void **state) {
    (void)state;
    struct line l = quiet_line();
    send_text(&l, "bye");
    machine_kill(l.a);
    expect_text(&l, "bye"); // what the kernel had taken still comes
    expect_recv(&l, ST_OK); // the end
    struct asked send;
    uint32_t sent = 0;
    do {
        env_send(machine_env(l.b), ask(&send, l.world), l.far, (const uint8_t *)"x", 1);
        sent++;
        pass(l.world, NS_PER_SECOND);
    } while (send.op.status == ST_OK);
    assert_int_equal(send.op.status, ST_IO);
    assert_in_range(sent, 2, 3);
    world_destroy(l.world);
}

static void unread_bytes_turn_the_end_of_a_killed_process_into_a_reset(void **state) {
    (void)state;
    struct line l = quiet_line();
    struct asked recv;
    uint8_t byte;
    env_recv(machine_env(l.a), ask(&recv, l.world), l.near, &byte, 1);
    send_text(&l, "unread");
    pass(l.world, NS_PER_SECOND);
    machine_kill(l.b);
    assert_int_equal(answer_within(&recv, NS_PER_SECOND), ST_IO);
    world_destroy(l.world);
}

static void a_machine_without_power_is_not_noticed_before_it_is_back(void **state) {
    (void)state;
    struct line l = quiet_line();
    machine_power_loss(l.a);
    struct asked recv;
    uint8_t byte;
    ask_recv(&l, &recv, &byte, 1);
    pass(l.world, 1000 * NS_PER_SECOND);
    assert_int_equal(recv.calls, 0);
    struct asked send;
    env_send(machine_env(l.b), ask(&send, l.world), l.far, (const uint8_t *)"x", 1);
    assert_int_equal(answer_of(&send), ST_OK);
    pass(l.world, 5 * NS_PER_SECOND);
    assert_int_equal(recv.calls, 0);
    machine_start(l.a, 0); // its kernel knows nothing of the stream
    assert_int_equal(answer_within(&recv, 5 * NS_PER_SECOND), ST_IO);
    world_destroy(l.world);
}

static void bytes_under_way_when_the_power_fails_arrive_or_do_not(void **state) {
    (void)state;
    uint32_t arrived = 0;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct world_options options = world_quiet();
        struct line l = line_with(seed, &options);
        struct asked send;
        ask_send(&l, &send, "x");
        machine_power_loss(l.a);
        struct asked recv;
        uint8_t byte;
        ask_recv(&l, &recv, &byte, 1);
        pass(l.world, NS_PER_SECOND);
        arrived += recv.calls;
        world_destroy(l.world);
    }
    assert_in_range(arrived, 5, 35);
}

static void a_listener_that_does_not_accept_has_room_for_some(void **state) {
    (void)state;
    struct line l = quiet_line();
    static struct asked asks[200];
    static struct env_socket *streams[200];
    for (uint32_t i = 0; i < 200; i++) {
        env_connect(machine_env(l.a), ask(&asks[i], l.world), "b:7379", &streams[i]);
    }
    pass(l.world, NS_PER_SECOND / 2);
    uint32_t connected = 0;
    for (uint32_t i = 0; i < 200; i++) connected += asks[i].calls;
    assert_in_range(connected, 50, 199);
    for (uint32_t i = 0; i < 200; i++) {
        struct asked accept;
        struct env_socket *stream = NULL;
        env_accept(machine_env(l.b), ask(&accept, l.world), l.listener, &stream);
        assert_int_equal(answer_within(&accept, 10 * NS_PER_SECOND), ST_OK);
    }
    for (uint32_t i = 0; i < 200; i++) assert_int_equal(answer_of(&asks[i]), ST_OK);
    world_destroy(l.world);
}

static void bytes_to_a_machine_that_stays_dark_time_out(void **state) {
    (void)state;
    struct line l = quiet_line();
    machine_power_loss(l.b);
    send_text(&l, "x");
    struct asked recv;
    uint8_t byte;
    env_recv(machine_env(l.a), ask(&recv, l.world), l.near, &byte, 1);
    assert_int_equal(answer_within(&recv, 40 * NS_PER_SECOND), ST_IO);
    assert_int_equal(world_fault_count(l.world, FAULT_NET_TIMEOUT), 1);
    world_destroy(l.world);
}

static void a_paused_process_is_still_connected_to(void **state) {
    (void)state;
    struct line l = quiet_line();
    machine_pause(l.b);
    struct env_socket *stream = NULL;
    struct asked connect;
    env_connect(machine_env(l.a), ask(&connect, l.world), "b:7379", &stream);
    assert_int_equal(answer_of(&connect), ST_OK);
    send_text(&l, "hello");
    pass(l.world, NS_PER_SECOND);
    machine_resume(l.b);
    expect_text(&l, "hello");
    world_destroy(l.world);
}

static void a_farewell_that_meets_a_long_cut_is_lost(void **state) {
    (void)state;
    struct line l = quiet_line();
    world_isolate(l.world, l.a);
    env_shut(machine_env(l.a), l.near);
    struct asked recv;
    uint8_t byte;
    ask_recv(&l, &recv, &byte, 1);
    pass(l.world, 10 * world_options(l.world)->give_up_after);
    world_heal(l.world);
    pass(l.world, 1000 * NS_PER_SECOND);
    assert_int_equal(recv.calls, 0); // half open, as after a power loss
    world_destroy(l.world);
}

static void resets_break_both_ends_in_the_middle(void **state) {
    (void)state;
    uint32_t partial = 0;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct world_options options = world_quiet();
        options.window = 8192;
        options.rates[FAULT_NET_RESET] = FAULT_CERTAIN / 50;
        struct line l = line_with(seed, &options);
        enum status status;
        uint32_t recv_count = 0;
        uint32_t got = carry_bulk(&l, &status, &recv_count);
        assert_true(status == ST_IO || got == BULK);
        assert_int_equal(world_fault_count(l.world, FAULT_NET_RESET) > 0, status == ST_IO);
        partial += got > 0 && got < BULK;
        world_destroy(l.world);
    }
    assert_true(partial > 5);
}

static void a_black_hole_swallows_everything(void **state) {
    (void)state;
    struct line l = quiet_line();
    world_options(l.world)->rates[FAULT_NET_HOLE] = FAULT_CERTAIN;
    enum status status;
    uint32_t recv_count = 0;
    assert_int_equal(carry_bulk(&l, &status, &recv_count), 0);
    assert_int_equal(status, ST_TIMEOUT); // the receiver never learns
    assert_int_equal(world_fault_count(l.world, FAULT_NET_HOLE), 1);
    assert_int_equal(world_fault_count(l.world, FAULT_NET_TIMEOUT), 1); // the sender does
    world_destroy(l.world);
}

static void flipped_bits_are_counted_and_arrive(void **state) {
    (void)state;
    struct world_options options = world_quiet();
    options.rates[FAULT_NET_FLIP] = FAULT_CERTAIN / 1000;
    struct line l = line_with(test_seed(), &options);
    uint32_t changed = 0;
    for (uint32_t i = 0; i < 200; i++) {
        static const uint8_t zeros[50];
        uint8_t bytes[50];
        struct asked send;
        env_send(machine_env(l.a), ask(&send, l.world), l.near, zeros, 50);
        assert_int_equal(answer_of(&send), ST_OK);
        struct asked recv;
        ask_recv(&l, &recv, bytes, 50);
        assert_int_equal(answer_of(&recv), ST_OK);
        for (uint32_t b = 0; b < recv.op.size; b++) changed += bytes[b] != 0;
    }
    assert_int_equal(changed, world_fault_count(l.world, FAULT_NET_FLIP));
    assert_in_range(changed, 2, 40);
    world_destroy(l.world);
}

static void distance_delays_one_direction(void **state) {
    (void)state;
    struct line l = quiet_line();
    world_set_distance(l.world, l.a, l.b, 100 * NS_PER_MS);
    uint64_t before = world_now(l.world);
    send_text(&l, "x");
    expect_text(&l, "x");
    assert_true(world_now(l.world) - before >= 100 * NS_PER_MS);
    before = world_now(l.world);
    struct asked send;
    struct asked recv;
    uint8_t byte;
    env_send(machine_env(l.b), ask(&send, l.world), l.far, (const uint8_t *)"x", 1);
    env_recv(machine_env(l.a), ask(&recv, l.world), l.near, &byte, 1);
    assert_int_equal(answer_of(&recv), ST_OK);
    assert_true(world_now(l.world) - before < 50 * NS_PER_MS);
    world_destroy(l.world);
}

// Streams come and go at random on four machines; the memory checker looks on.
static void nothing_is_left_when_streams_come_and_go(void **state) {
    (void)state;
    struct world_options options = world_quiet();
    options.rates[FAULT_NET_RESET] = FAULT_CERTAIN / 100;
    options.rates[FAULT_NET_HOLE] = FAULT_CERTAIN / 200;
    struct line l = line_with(test_seed(), &options);
    struct rng rng = {test_seed()};
    for (uint32_t i = 0; i < 300; i++) {
        static struct asked asks[5];
        struct env_socket *near = NULL;
        struct env_socket *far = NULL;
        static uint8_t bytes[100];
        env_accept(machine_env(l.b), ask(&asks[0], l.world), l.listener, &far);
        env_connect(machine_env(l.a), ask(&asks[1], l.world), "b:7379", &near);
        assert_int_equal(answer_of(&asks[1]), ST_OK);
        assert_int_equal(answer_of(&asks[0]), ST_OK);
        env_send(machine_env(l.a), ask(&asks[2], l.world), near, bytes, 100);
        env_recv(machine_env(l.b), ask(&asks[3], l.world), far, bytes, 50);
        env_send(machine_env(l.b), ask(&asks[4], l.world), far, bytes, 100);
        pass(l.world, (uint64_t)rng_below(&rng, 3) * 150000);
        if (rng_chance(&rng, 1, 2)) {
            env_shut(machine_env(l.a), near);
            pass(l.world, (uint64_t)rng_below(&rng, 3) * 150000);
            env_shut(machine_env(l.b), far);
        } else {
            env_shut(machine_env(l.b), far);
            env_shut(machine_env(l.a), near);
        }
        pass(l.world, 60 * NS_PER_SECOND);
        for (uint32_t k = 0; k < 5; k++) assert_int_equal(asks[k].calls, 1);
    }
    struct machine_open open = machine_open_things(l.a);
    assert_int_equal(open.sockets, 1);
    assert_int_equal(open.requests, 0);
    open = machine_open_things(l.b);
    assert_int_equal(open.sockets, 2);
    assert_int_equal(open.requests, 0);
    world_destroy(l.world);
}

int network_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(bytes_arrive_in_order_however_they_are_cut),
        cmocka_unit_test(a_send_waits_for_the_window),
        cmocka_unit_test(a_send_that_waits_for_a_reader_who_leaves_fails),
        cmocka_unit_test(news_of_room_waits_at_a_cut),
        cmocka_unit_test(bandwidth_limits_how_fast_bytes_leave),
        cmocka_unit_test(a_cut_link_delays_and_loses_nothing),
        cmocka_unit_test(one_way_is_cut_and_the_other_is_not),
        cmocka_unit_test(a_sender_without_answer_gives_up_and_the_receiver_knows_nothing),
        cmocka_unit_test(patience_begins_anew_with_each_cut),
        cmocka_unit_test(an_idle_stream_does_not_notice_a_cut),
        cmocka_unit_test(connecting_through_a_cut_waits_and_then_fails),
        cmocka_unit_test(connecting_to_nobody_is_refused),
        cmocka_unit_test(a_killed_process_is_noticed_by_its_peers),
        cmocka_unit_test(unread_bytes_turn_the_end_of_a_killed_process_into_a_reset),
        cmocka_unit_test(a_machine_without_power_is_not_noticed_before_it_is_back),
        cmocka_unit_test(bytes_under_way_when_the_power_fails_arrive_or_do_not),
        cmocka_unit_test(a_listener_that_does_not_accept_has_room_for_some),
        cmocka_unit_test(bytes_to_a_machine_that_stays_dark_time_out),
        cmocka_unit_test(a_paused_process_is_still_connected_to),
        cmocka_unit_test(a_farewell_that_meets_a_long_cut_is_lost),
        cmocka_unit_test(resets_break_both_ends_in_the_middle),
        cmocka_unit_test(a_black_hole_swallows_everything),
        cmocka_unit_test(flipped_bits_are_counted_and_arrive),
        cmocka_unit_test(distance_delays_one_direction),
        cmocka_unit_test(nothing_is_left_when_streams_come_and_go),
    };
    return cmocka_run_group_tests_name("network", cases, NULL, NULL);
}
