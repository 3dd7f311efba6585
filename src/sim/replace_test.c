// SPDX-License-Identifier: Apache-2.0
//
// A member whose disk is gone comes back with an empty one: it is nobody until an operator has said
// that it takes the place of the other.
#include "sim/session_case.h"

#include "sim/disk.h"

enum { MEMBERS = 3, KEYS = 60 };

static void write_keys(struct site *site, uint32_t by) {
    struct talker *t = site_talker(site, by, false);
    for (uint32_t i = 0; i < KEYS; i++) {
        char words[32];
        (void)snprintf(words, sizeof(words), "SET key%u v\r\n", i);
        expect_dialogue(site, t, words, "+OK\r\n");
    }
}

static void end_and_wipe(struct site *site, uint32_t member) {
    if (site->cluster.processes[member].state != PROCESS_DOWN) cluster_kill(&site->cluster, member);
    machine_wipe(site->cluster.processes[member].machine);
}

static void wipe(struct site *site, uint32_t member) {
    end_and_wipe(site, member);
    cluster_start(&site->cluster, member);
    site_wait(site, 5 * NS_PER_SECOND);
}

static struct node *node_of(const struct site *site, uint32_t member) {
    struct node *node = cluster_node(&site->cluster, member);
    assert_non_null(node);
    return node;
}

static uint64_t storage_of(const struct site *site, uint32_t member) {
    return store_actor(node_store(node_of(site, member))).storage;
}

// All members have the same map, in which the member has the directory that it runs on, and hold
// every key.
static void expect_whole(struct site *site, uint64_t epoch) {
    uint64_t until = world_now(site->world) + 60 * NS_PER_SECOND;
    for (uint32_t i = 0; i < MEMBERS; i++) {
        while (!cluster_is_serving(&site->cluster, i)) assert_true(world_step(site->world, until));
        const struct node *node = node_of(site, i);
        while (node_member(node, i)->state != MEMBER_SERVING || node_map(node)->epoch < epoch ||
               node_store_stats(node).live_count < KEYS) {
            assert_true(world_step(site->world, until));
        }
    }
    for (uint32_t i = 0; i < MEMBERS; i++) {
        const struct map *map = node_map(node_of(site, i));
        assert_int_equal(map->epoch, epoch);
        for (uint32_t j = 0; j < MEMBERS; j++) {
            assert_true(map->members[j].storage == storage_of(site, j));
        }
    }
}

static void expect_state(struct site *site, struct talker *t, const char *state) {
    char row[64];
    (void)snprintf(row, sizeof(row), "state\r\n$%zu\r\n%s\r\n", strlen(state), state);
    expect_part(answer_to(site, t, "QUOIT STATUS\r\n"), row);
}

static void a_stranger_is_nobody_until_it_replaces_a_member(void **state) {
    (void)state;
    struct site *site = site_new(MEMBERS, NULL);
    write_keys(site, 0);
    wipe(site, 1);
    site_wait(site, 20 * NS_PER_SECOND);
    const struct node *stranger = node_of(site, 1);
    assert_int_equal(node_state(stranger), NODE_FOUNDING);
    assert_true(node_is_stranger(stranger));
    assert_true(node_is_blank(stranger));
    assert_int_equal(node_map(stranger)->epoch, 0);
    for (uint32_t i = 0; i < MEMBERS; i += 2) {
        assert_true(node_has_stranger(node_of(site, i), 1));
        assert_false(node_member_is_up(node_of(site, i), 1));
        assert_int_equal(node_map(node_of(site, i))->epoch, 1);
    }
    struct talker *t = site_talker(site, 0, false);
    expect_state(site, t, "refused");
    struct talker *there = site_talker(site, 1, false);
    const char *refusal = "-CLUSTERDOWN this node is refused: the cluster knows another data "
                          "directory of it; run `quoit replace n2` on another node\r\n";
    expect_dialogue(site, there, "GET key1\r\n", refusal);
    expect_dialogue(site, there, "QUOIT STATUS\r\n", refusal);
    expect_dialogue(site, there, "QUOIT REPLACE n2\r\n", refusal);

    expect_dialogue(site, t, "QUOIT REPLACE n2\r\n", "+OK\r\n");
    expect_whole(site, 2);
    assert_false(node_is_stranger(node_of(site, 1)));
    expect_dialogue(site, there, "GET key1\r\n", "$1\r\nv\r\n");
    assert_null(strstr(answer_to(site, t, "QUOIT STATUS\r\n"), "refused"));
    // It counts like any other, and is the same after a restart.
    cluster_kill(&site->cluster, 0);
    site_wait(site, 3 * NS_PER_SECOND);
    expect_dialogue(site, there, "SET key1 v\r\n", "+OK\r\n");
    cluster_kill(&site->cluster, 1);
    for (uint32_t i = 0; i < 2; i++) cluster_start(&site->cluster, i);
    expect_whole(site, 2);
    site_free(site);
}

static void only_who_is_gone_is_replaced_by_what_is_empty(void **state) {
    (void)state;
    struct site *site = site_new(MEMBERS, NULL);
    write_keys(site, 0);
    struct talker *t = site_talker(site, 0, false);
    static const struct line refusals[] = {
        {"QUOIT REPLACE n4\r\n", "-ERR there is no member of that name; not done\r\n"},
        {"QUOIT REPLACE n1\r\n",
         "-ERR that member is up, with the data directory that the cluster knows; not done\r\n"},
        {"QUOIT REPLACE n3\r\n",
         "-ERR that member is up, with the data directory that the cluster knows; not done\r\n"},
    };
    EXPECT_LINES(site, t, refusals);
    cluster_kill(&site->cluster, 2);
    site_wait(site, 20 * NS_PER_SECOND);
    assert_int_equal(site_replace(site, 0, "n3"), REPLACE_UNSEEN);
    wipe(site, 2);
    // One of three is no majority, whatever it has met.
    cluster_kill(&site->cluster, 1);
    site_wait(site, 3 * NS_PER_SECOND);
    assert_int_equal(site_replace(site, 0, "n3"), REPLACE_REFUSED);
    assert_int_equal(node_state(node_of(site, 2)), NODE_FOUNDING);
    cluster_start(&site->cluster, 1);
    site_wait(site, 5 * NS_PER_SECOND);
    // Who was met long ago may be gone.
    cluster_kill(&site->cluster, 2);
    site_wait(site, 11 * NS_PER_SECOND);
    assert_int_equal(site_replace(site, 0, "n3"), REPLACE_UNSEEN);
    cluster_start(&site->cluster, 2);
    site_have_replaced(site, 1, "n3");
    expect_whole(site, 2);
    site_free(site);
}

// A member that ends while others hear of it is no empty disk yet.
static void who_was_there_a_moment_ago_is_waited_for(void **state) {
    (void)state;
    struct site *site = site_new(MEMBERS, NULL);
    write_keys(site, 0);
    end_and_wipe(site, 2);
    cluster_start(&site->cluster, 2);
    uint64_t until = world_now(site->world) + NS_PER_SECOND;
    while (!node_has_stranger(node_of(site, 0), 2)) assert_true(world_step(site->world, until));
    assert_int_equal(site_replace(site, 0, "n3"), REPLACE_IS_HEARD_OF);
    site_have_replaced(site, 0, "n3");
    expect_whole(site, 2);
    site_free(site);
}

// The disk that was lost turns up again: elsewhere while its member is at work, then in its place.
static void a_directory_that_was_replaced_is_never_used_again(void **state) {
    (void)state;
    struct site *site = site_new(MEMBERS, NULL);
    write_keys(site, 0);
    struct cluster *cluster = &site->cluster;
    cluster_kill(cluster, 1);
    struct disk *old = disk_copy(machine_disk(cluster->processes[1].machine));
    wipe(site, 1);
    site_have_replaced(site, 0, "n2");
    expect_whole(site, 2);

    cluster_add_copy(cluster, 1);
    machine_restore(cluster->processes[MEMBERS].machine, old);
    cluster_start(cluster, MEMBERS);
    site_wait(site, 5 * NS_PER_SECOND);
    assert_true(node_is_ousted(node_of(site, MEMBERS)));
    assert_false(node_is_ousted(node_of(site, 1)));
    cluster_kill(cluster, MEMBERS);
    expect_whole(site, 2);

    cluster_kill(cluster, 1);
    struct disk *new = disk_copy(machine_disk(cluster->processes[1].machine));
    machine_restore(cluster->processes[1].machine, old);
    cluster_start(cluster, 1);
    site_wait(site, 5 * NS_PER_SECOND);
    assert_true(node_is_ousted(node_of(site, 1)));
    assert_int_equal(node_map(node_of(site, 1))->epoch, 1);
    assert_int_equal(site_replace(site, 0, "n2"), REPLACE_NOT_BLANK);
    struct talker *there = site_talker(site, 1, false);
    static const char *const words[] = {"SET key1 w\r\n", "GET key1\r\n"};
    expect_dialogue(site, there, "CONSISTENCY READ ONE WRITE ONE\r\n", "+OK\r\n");
    for (uint32_t i = 0; i < 2; i++) { // though it has all that it would take
        talker_say(there, words[i], strlen(words[i]));
        site_wait(site, 5 * NS_PER_SECOND);
        expect_part((const char *)there->heard, "-NOQUORUM");
    }

    cluster_kill(cluster, 1);
    machine_restore(cluster->processes[1].machine, new);
    cluster_start(cluster, 1);
    expect_whole(site, 2);
    disk_destroy(old);
    disk_destroy(new);
    site_free(site);
}

// Who was cut off refuses the new one until it has heard.
static void who_was_away_hears_of_it_later(void **state) {
    (void)state;
    enum { MORE = 5 };
    struct site *site = site_new(MORE, NULL);
    write_keys(site, 0);
    wipe(site, 1);
    world_isolate(site->world, site->cluster.processes[3].machine);
    site_wait(site, 8 * NS_PER_SECOND);
    site_have_replaced(site, 0, "n2");
    uint64_t until = world_now(site->world) + 20 * NS_PER_SECOND;
    while (!cluster_is_serving(&site->cluster, 1)) assert_true(world_step(site->world, until));
    assert_int_equal(node_map(node_of(site, 3))->epoch, 1);
    world_heal(site->world);
    site_wait(site, 20 * NS_PER_SECOND);
    for (uint32_t i = 0; i < MORE; i++) {
        const struct node *node = node_of(site, i);
        assert_int_equal(node_map(node)->epoch, 2);
        assert_int_equal(node_member(node, i)->state, MEMBER_SERVING);
        for (uint32_t j = 0; j < MORE; j++) assert_true(node_member_is_up(node, j));
    }
    site_free(site);
}

// n2 cannot ask n3 what the disk may have held that is gone.
static void who_replaces_has_no_vote_before_it_has_compared_with_all(void **state) {
    (void)state;
    struct site *site = site_new(MEMBERS, NULL);
    write_keys(site, 0);
    site_cut(site, 1, 2);
    wipe(site, 1);
    site_have_replaced(site, 0, "n2");
    site_wait(site, 20 * NS_PER_SECOND);
    assert_int_equal(node_state(node_of(site, 1)), NODE_SERVING);
    assert_int_equal(node_member(node_of(site, 1), 1)->state, MEMBER_MENDING);
    assert_int_equal(node_store_stats(node_of(site, 1)).live_count, KEYS);
    world_heal(site->world);
    expect_whole(site, 2);
    site_free(site);
}

static void two_operators_at_once_and_a_disk_that_is_lost_twice_do_no_harm(void **state) {
    (void)state;
    struct site *site = site_new(MEMBERS, NULL);
    write_keys(site, 0);
    wipe(site, 1);
    site_wait(site, 5 * NS_PER_SECOND);
    struct talker *operators[2] = {site_talker(site, 0, false), site_talker(site, 2, false)};
    for (uint32_t i = 0; i < 2; i++) talker_say(operators[i], "QUOIT REPLACE n2\r\n", 18);
    for (uint32_t i = 0; i < 2; i++) {
        talker_wait(site, operators[i], 5);
        assert_memory_equal(operators[i]->heard, "+OK\r\n", 5);
    }
    cluster_kill(&site->cluster, 1); // before or after it has heard
    wipe(site, 1);
    site_wait(site, 5 * NS_PER_SECOND);
    assert_true(node_is_stranger(node_of(site, 1)));
    site_have_replaced(site, 2, "n2");
    expect_whole(site, 3);
    site_free(site);
}

static void patient_n1(struct node_options *node, struct server_options *server) {
    (void)server;
    if (strcmp(node->self.name, "n1") == 0) node->timeout_ns = 60 * NS_PER_SECOND;
}

static void wait_for_epoch(struct site *site, uint32_t member, uint64_t epoch) {
    uint64_t until = world_now(site->world) + 60 * NS_PER_SECOND;
    while (node_map(node_of(site, member))->epoch < epoch) {
        assert_true(world_step(site->world, until));
    }
}

// n1 is cut off when it has asked for it: others do it, and then replace what was put in the place.
// That is all one map to n1, which has its change in it and not what it was for.
static void who_hears_late_that_it_was_done_hears_what_came_after(void **state) {
    (void)state;
    enum { MORE = 5 };
    struct site *site = site_new(MORE, patient_n1);
    struct process *processes = site->cluster.processes;
    write_keys(site, 0);
    wipe(site, 1);
    site_wait(site, 10 * NS_PER_SECOND);
    uint64_t first = storage_of(site, 1);
    for (uint32_t i = 1; i < MORE; i++) {
        world_set_distance(site->world, processes[i].machine, processes[0].machine,
                           100 * NS_PER_MS);
    }
    bool is_done = false;
    struct replacement r = {.done = on_site_replaced, .context = &is_done};
    machine_enter(processes[0].machine);
    node_replace(node_of(site, 0), SLICE("n2"), &r);
    machine_leave(processes[0].machine);
    site_wait(site, 150 * NS_PER_MS); // they have accepted, and it has not heard
    world_isolate(site->world, processes[0].machine);
    wait_for_epoch(site, 2, 2);
    assert_true(node_map(node_of(site, 2))->members[1].storage == first);
    wipe(site, 1);
    site_have_replaced(site, 2, "n2");
    wait_for_epoch(site, 2, 3);
    assert_int_equal(node_map(node_of(site, 0))->epoch, 1);
    assert_false(is_done);
    world_heal(site->world);
    wait_for_epoch(site, 0, 3);
    assert_true(is_done);
    assert_int_equal(r.outcome, REPLACE_OVERTAKEN);
    assert_true(node_map(node_of(site, 0))->members[1].storage == storage_of(site, 1));
    site_free(site);
}

int replace_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(a_stranger_is_nobody_until_it_replaces_a_member),
        cmocka_unit_test(only_who_is_gone_is_replaced_by_what_is_empty),
        cmocka_unit_test(who_was_there_a_moment_ago_is_waited_for),
        cmocka_unit_test(a_directory_that_was_replaced_is_never_used_again),
        cmocka_unit_test(who_was_away_hears_of_it_later),
        cmocka_unit_test(who_replaces_has_no_vote_before_it_has_compared_with_all),
        cmocka_unit_test(who_hears_late_that_it_was_done_hears_what_came_after),
        cmocka_unit_test(two_operators_at_once_and_a_disk_that_is_lost_twice_do_no_harm),
    };
    return cmocka_run_group_tests_name("replace", cases, NULL, NULL);
}
