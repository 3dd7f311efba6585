// SPDX-License-Identifier: Apache-2.0
//
// Whom members greet, and whom they refuse.
#include "sim/impostor_case.h"
#include "tests/test.h"

#include <stdio.h>

// The second of two members takes a byte more than the first.
static void one_takes_more(struct node_options *node, struct server_options *server) {
    (void)server;
    if (strcmp(node->self.name, "n2") == 0) node->value_size_max++;
}

static void members_that_take_values_of_other_sizes_refuse_each_other(void **state) {
    (void)state;
    static struct cluster cluster;
    struct world_options quiet = world_quiet();
    const struct cluster_options options = {.members = 2, .adjust = one_takes_more};
    struct world *world = world_create(test_seed(), &quiet);
    cluster_init(&cluster, world, &options);
    for (uint32_t i = 0; i < 2; i++) cluster_start(&cluster, i);
    pass(world, 5 * NS_PER_SECOND);
    for (uint32_t i = 0; i < 2; i++) {
        const struct node *node = cluster_node(&cluster, i);
        assert_non_null(node);
        assert_int_equal(node_state(node), NODE_FOUNDING);
        assert_true(node_stats(node).frames_refused > 1);
        assert_false(node_member_is_up(node, 1 - i));
    }
    world_destroy(world);
}

// The second of three is elsewhere: its address is longer than what a link has of its own. It is
// called again and again, which does no harm to the next link.
static void one_has_a_long_address(struct node_options *node, struct server_options *server) {
    static char initial[512];
    (void)server;
    char host[HOST_SIZE_MAX] = {0};
    memset(host, 'h', sizeof(host) - 1);
    (void)snprintf(initial, sizeof(initial), "n1=n1:%d,n2=%s:%d,n3=n3:%d", CLUSTER_PORT, host,
                   CLUSTER_PORT, CLUSTER_PORT);
    node->initial = initial;
    node->peer_buffers = 1;
}

static void who_has_a_long_address_is_called(void **state) {
    (void)state;
    static struct cluster cluster;
    struct world_options quiet = world_quiet();
    const struct cluster_options options = {.members = 3, .adjust = one_has_a_long_address};
    struct world *world = world_create(test_seed(), &quiet);
    cluster_init(&cluster, world, &options);
    cluster_start(&cluster, 0);
    pass(world, 5 * NS_PER_SECOND);
    cluster_start(&cluster, 2);
    pass(world, 5 * NS_PER_SECOND);
    assert_int_equal(node_buffers(cluster_node(&cluster, 0)).large, 0);
    assert_true(node_member_is_up(cluster_node(&cluster, 0), 2));
    assert_true(node_member_is_up(cluster_node(&cluster, 2), 0));
    world_destroy(world);
}

static void alone(struct node_options *node, struct server_options *server) {
    (void)server;
    node->initial = NULL;
}

// We say to n1 that we want to join; it hangs up, and may call us back.
static void want_to_join(struct impostor *i) {
    static struct line call;
    memset(&call, 0, sizeof(call));
    struct frame frame = {0};
    struct asked a;
    env_connect(i->env, ask(&a, i->world), "n1:17379", &call.stream);
    assert_int_equal(answer_of(&a), ST_OK);
    say_hello(i, &call);
    assert_false(hear(i, &call, &i->secret, i->hello.nonce, &frame));
    env_shut(i->env, call.stream);
}

static void expect_epoch(struct impostor *i, uint64_t epoch) {
    pass(i->world, 3 * NS_PER_SECOND);
    assert_int_equal(node_map(real_node(i))->epoch, epoch);
    assert_int_equal(node_map(real_node(i))->member_count, epoch);
}

// A HELLO may be an old one, of somebody who is gone.
static void only_who_answers_where_it_says_to_be_is_admitted(void **state) {
    (void)state;
    struct impostor *i = prepare(2);
    i->cluster.options.adjust = alone;
    become(i, 77);
    cluster_start(&i->cluster, 0);
    expect_epoch(i, 1);
    i->hello.is_blank = true;
    const struct message_hello good = i->hello;
    for (uint32_t k = 0; k < 5; k++) { // what no map can have
        if (k == 0) i->hello.storage = 0;
        if (k == 1) i->hello.port = 0;
        if (k == 2) i->hello.port = PORT_MAX + 1;
        if (k == 3) i->hello.address = text("n2:1");
        if (k == 4) i->hello.weight = 0;
        want_to_join(i);
        expect_epoch(i, 1);
        i->hello = good;
    }
    i->hello.address = text("n3"); // where nobody is
    want_to_join(i);
    expect_epoch(i, 1);
    i->hello.address = text("n2");
    want_to_join(i);
    i->hello.storage = 78; // it is another one who is there now
    be_dialled(i);
    expect_epoch(i, 1);
    hang_up(i);
    i->hello.is_blank = false;
    want_to_join(i);
    expect_epoch(i, 1);
    i->hello.is_blank = true;
    i->hello.rack = text("old");
    want_to_join(i);
    i->hello.rack = text("new");
    be_dialled(i);
    expect_epoch(i, 2);
    assert_string_equal(node_map(real_node(i))->members[1].rack, "new");
    assert_int_equal(node_map(real_node(i))->members[1].storage, 78);
    hang_up(i);
    // Now it calls as it does any member, and gives what it has.
    be_dialled(i);
    struct frame frame = {0};
    assert_true(hear_type(i, &i->accepted, MESSAGE_FOUNDED, &frame));
    world_destroy(i->world);
}

int greeting_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(members_that_take_values_of_other_sizes_refuse_each_other),
        cmocka_unit_test(who_has_a_long_address_is_called),
        cmocka_unit_test(only_who_answers_where_it_says_to_be_is_admitted),
    };
    return cmocka_run_group_tests_name("greeting", cases, NULL, NULL);
}
