// SPDX-License-Identifier: Apache-2.0
//
// Nodes that are started with seeds become members of a cluster that serves.
#include "sim/session_case.h"

#include "sim/disk.h"

enum { FOUNDERS = 3, LARGE = 9 }; // so many that gossip goes to some at a time

#define FIRST_THREE "n1=n1:7379,n2=n2:7379,n3=n3:7379"

static bool is_founder(const struct node_options *node) {
    return node->self.name[1] <= '0' + FOUNDERS;
}

// Those behind the first three have seeds, of which the first is nobody.
static void with_seeds(struct node_options *node, struct server_options *server) {
    (void)server;
    node->initial = is_founder(node) ? FIRST_THREE : NULL;
    node->seeds = is_founder(node) ? NULL : "nobody:7379,n1:7379,n2:7379";
}

static void start_founders(struct site *site) {
    for (uint32_t i = 0; i < FOUNDERS; i++) cluster_start(&site->cluster, i);
    uint64_t until = world_now(site->world) + 60 * NS_PER_SECOND;
    for (uint32_t i = 0; i < FOUNDERS; i++) {
        while (!cluster_is_serving(&site->cluster, i)) assert_true(world_step(site->world, until));
    }
}

// So many members in all, of which only the founders run.
static struct site *found(uint32_t members, void (*adjust)(struct node_options *node,
                                                           struct server_options *server)) {
    struct site *site = site_prepare(members, adjust);
    start_founders(site);
    return site;
}

static struct node *node_at(const struct site *site, uint32_t member) {
    struct node *node = cluster_node(&site->cluster, member);
    assert_non_null(node);
    return node;
}

static bool is_settled(const struct site *site, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        const struct node *node = cluster_node(&site->cluster, i);
        if (node == NULL || node_map(node)->member_count != count) return false;
        for (uint32_t j = 0; j < count; j++) {
            bool is_up = node_self(node) == j || node_member_is_up(node, j);
            if (!is_up || node_member(node, j)->state != MEMBER_SERVING) return false;
        }
    }
    return true;
}

// Each of the first so many has all of them for members, that are up and mend nothing.
static void expect_members(struct site *site, uint32_t count) {
    uint64_t until = world_now(site->world) + 60 * NS_PER_SECOND;
    while (!is_settled(site, count)) assert_true(world_step(site->world, until));
    const struct map *map = node_map(node_at(site, 0));
    for (uint32_t i = 0; i < count; i++) {
        struct node *node = node_at(site, i);
        assert_int_equal(node_map(node)->epoch, map->epoch);
        assert_string_equal(map->members[node_self(node)].name, site->cluster.processes[i].name);
        assert_true(map->members[node_self(node)].storage == store_actor(node_store(node)).storage);
    }
}

static void a_newcomer_becomes_a_member(void **state) {
    (void)state;
    struct site *site = found(4, with_seeds);
    struct talker *t = site_talker(site, 0, false);
    expect_dialogue(site, t, "SET key v\r\n", "+OK\r\n");
    cluster_start(&site->cluster, 3);
    expect_members(site, 4);
    assert_int_equal(node_map(node_at(site, 0))->epoch, 2);
    assert_int_equal(node_self(node_at(site, 3)), 3);
    const struct map_member *self = &node_map(node_at(site, 0))->members[3];
    assert_string_equal(self->host, "n4");
    assert_string_equal(self->rack, "rack1");

    struct talker *there = site_talker(site, 3, false);
    expect_dialogue(site, there, "GET key\r\n", "$1\r\nv\r\n");
    expect_dialogue(site, there, "SET key w\r\n", "+OK\r\n");
    expect_dialogue(site, t, "GET key\r\n", "$1\r\nw\r\n");
    expect_dialogue(site, there, "DBSIZE\r\n", ":1\r\n");
    assert_int_equal(node_store_stats(node_at(site, 3)).live_count, 0);
    site_free(site);
}

// It has been given the map, and waits for its disk before it goes by it.
static void a_newcomer_may_be_asked_before_it_serves(void **state) {
    (void)state;
    struct site *site = found(4, with_seeds);
    cluster_start(&site->cluster, 3);
    site_wait(site, 100 * NS_PER_MS);
    struct talker *t = site_talker(site, 3, false);
    site_wait(site, 100 * NS_PER_MS);
    const struct node *node = node_at(site, 3);
    uint64_t until = world_now(site->world) + 10 * NS_PER_SECOND;
    machine_slow_disk(site->cluster.processes[3].machine, 1000);
    while (node_map(node)->epoch == 0) assert_true(world_step(site->world, until));
    const char *words =
        "CLUSTER INFO\r\nCLUSTER NODES\r\nQUOIT VIEW\r\nQUOIT STATUS\r\nINFO\r\nGET key\r\n";
    talker_say(t, words, strlen(words));
    site_wait(site, 200 * NS_PER_MS);
    assert_int_equal(node_state(node), NODE_FOUNDING);
    t->heard[t->heard_size] = '\0';
    expect_part((const char *)t->heard, "cluster_known_nodes:4");
    expect_part((const char *)t->heard, "-CLUSTERDOWN");
    expect_members(site, 4);
    site_free(site);
}

// With seeds as before: it has a map, and does not call them any more.
static void a_member_stays_one_after_a_restart(void **state) {
    (void)state;
    struct site *site = found(4, with_seeds);
    cluster_start(&site->cluster, 3);
    expect_members(site, 4);
    for (uint32_t i = 0; i < 4; i++) cluster_power_loss(&site->cluster, i);
    for (uint32_t i = 1; i < 4; i++) cluster_start(&site->cluster, i);
    site_wait(site, 10 * NS_PER_SECOND);
    struct talker *t = site_talker(site, 3, false);
    expect_dialogue(site, t, "SET key v\r\n", "+OK\r\n");
    expect_dialogue(site, t, "KEYSPACE CREATE shop\r\n",
                    "-NOQUORUM a member cannot be reached, and all have to agree; not done\r\n");
    cluster_start(&site->cluster, 0);
    expect_members(site, 4);
    expect_dialogue(site, t, "KEYSPACE CREATE shop\r\n", "+OK\r\n");
    site_free(site);
}

// It cannot store that it lives once more, and so does not start; it does not join again for that.
static void a_member_whose_disk_fails_is_no_newcomer(void **state) {
    (void)state;
    struct site *site = found(4, with_seeds);
    cluster_start(&site->cluster, 3);
    expect_members(site, 4);
    cluster_kill(&site->cluster, 3);
    for (uint32_t i = 0; i < FOUNDERS; i++) {
        machine_spare(site->cluster.processes[i].machine, FAULT_DISK_SYNC_ERROR, true);
    }
    cluster_start(&site->cluster, 3);
    const struct node *node = site->cluster.processes[3].node;
    uint64_t until = world_now(site->world) + 10 * NS_PER_SECOND;
    while (node_map(node)->epoch == 0) assert_true(world_step(site->world, until));
    world_options(site->world)->rates[FAULT_DISK_SYNC_ERROR] = FAULT_CERTAIN;
    site_wait(site, 20 * NS_PER_SECOND);
    assert_int_equal(site->cluster.processes[3].start_status, ST_IO);
    world_options(site->world)->rates[FAULT_DISK_SYNC_ERROR] = 0;
    cluster_kill(&site->cluster, 3);
    cluster_start(&site->cluster, 3);
    expect_members(site, 4);
    site_free(site);
}

// With the eighth, gossip goes to some at a time.
static void many_come_at_once(void **state) {
    (void)state;
    struct site *site = site_prepare(8, with_seeds);
    for (uint32_t i = 0; i < 8; i++) cluster_start(&site->cluster, i);
    expect_members(site, 8);
    site_wait(site, 30 * NS_PER_SECOND);
    assert_true(is_settled(site, 8));
    uint32_t lost = node_self(node_at(site, 7)); // they come in any order
    cluster_power_loss(&site->cluster, 7);
    site_wait(site, 6 * NS_PER_SECOND);
    for (uint32_t i = 0; i < 7; i++) assert_false(node_member_is_up(node_at(site, i), lost));
    site_free(site);
}

// Nobody hears all the others then.
static void large_cluster(struct node_options *node, struct server_options *server) {
    (void)server;
    if (node->self.name[1] == '0' + LARGE) {
        node->initial = NULL;
        node->seeds = "n3:7379";
    } else {
        node->initial = FIRST_THREE ",n4=n4:7379,n5=n5:7379,n6=n6:7379,n7=n7:7379,n8=n8:7379";
    }
}

static void a_newcomer_to_many_is_given_the_map(void **state) {
    (void)state;
    struct site *site = site_new(LARGE, large_cluster);
    expect_members(site, LARGE);
    site_free(site);
}

// It has not the map of those it was away from: whoever comes back learns of them.
static void who_was_away_learns_of_newcomers(void **state) {
    (void)state;
    struct site *site = found(5, with_seeds);
    cluster_start(&site->cluster, 3);
    expect_members(site, 4);
    cluster_kill(&site->cluster, 2);
    cluster_start(&site->cluster, 4);
    site_wait(site, 10 * NS_PER_SECOND);
    assert_true(cluster_is_serving(&site->cluster, 4));
    cluster_start(&site->cluster, 2);
    expect_members(site, 5);
    site_free(site);
}

// It would count, and may have no vote before it has met the one that is down: two of four are
// none.
static void nobody_joins_where_that_takes_the_majority_away(void **state) {
    (void)state;
    struct site *site = found(4, with_seeds);
    cluster_kill(&site->cluster, 2);
    cluster_start(&site->cluster, 3);
    site_wait(site, 30 * NS_PER_SECOND);
    assert_int_equal(node_state(node_at(site, 3)), NODE_FOUNDING);
    assert_int_equal(node_map(node_at(site, 0))->epoch, 1);
    cluster_start(&site->cluster, 2);
    expect_members(site, 4);
    site_free(site);
}

static bool is_moved;

static void where_it_is_now(struct node_options *node, struct server_options *server) {
    (void)server;
    node->initial = NULL;
    if (node->self.name[1] == '2') {
        node->seeds = "n1:7379";
    } else if (!is_moved) {
        (void)snprintf(node->self.address, sizeof(node->self.address), "old");
    }
}

// The others call it where it is by then.
static void who_was_alone_and_was_moved_is_joined(void **state) {
    (void)state;
    struct site *site = site_prepare(2, where_it_is_now);
    is_moved = false;
    cluster_start(&site->cluster, 0);
    site_wait(site, 3 * NS_PER_SECOND);
    cluster_kill(&site->cluster, 0);
    is_moved = true;
    cluster_start(&site->cluster, 0);
    cluster_start(&site->cluster, 1);
    expect_members(site, 2);
    cluster_kill(&site->cluster, 0);
    cluster_start(&site->cluster, 0);
    expect_members(site, 2);
    site_free(site);
}

static void joined_by_one(struct node_options *node, struct server_options *server) {
    (void)server;
    node->initial = NULL;
    node->store.flush_size = 16384;
    if (node->self.name[1] == '2') node->seeds = "n1:7379";
}

// Who joins holds no keys: what it lacks says nothing of what is damaged.
static void what_is_damaged_stays_so_when_others_join(void **state) {
    (void)state;
    struct site *site = site_prepare(2, joined_by_one);
    cluster_start(&site->cluster, 0);
    site_wait(site, 3 * NS_PER_SECOND);
    struct talker *t = site_talker(site, 0, false);
    char words[1100];
    for (int i = 0; i < 100; i++) {
        (void)snprintf(words, sizeof(words), "SET {tag}%d %01000d\r\n", i, i);
        expect_dialogue(site, t, words, "+OK\r\n");
    }
    site_wait(site, 5 * NS_PER_SECOND);
    struct machine *machine = site->cluster.processes[0].machine;
    const struct disk_names *names = &machine_disk(machine)->seen;
    for (uint32_t i = 0; i < names->count; i++) {
        const char *name = names->entries[i].text;
        if (strncmp(name, "table-", 6) == 0) (void)machine_rot(machine, name, 100);
    }
    cluster_start(&site->cluster, 1);
    expect_members(site, 2);
    cluster_kill(&site->cluster, 0);
    cluster_start(&site->cluster, 0);
    expect_members(site, 2);
    t = site_talker(site, 1, false);
    site_wait(site, 20 * NS_PER_SECOND);
    expect_part(answer_to(site, t, "GET {tag}0\r\n"), "-DAMAGED");
    site_free(site);
}

// Most of the members are needed for that.
static void without_a_majority_a_newcomer_waits(void **state) {
    (void)state;
    struct site *site = found(4, with_seeds);
    cluster_kill(&site->cluster, 1);
    cluster_kill(&site->cluster, 2);
    cluster_start(&site->cluster, 3);
    site_wait(site, 30 * NS_PER_SECOND);
    assert_int_equal(node_state(node_at(site, 3)), NODE_FOUNDING);
    assert_int_equal(node_map(node_at(site, 0))->epoch, 1);
    expect_part(answer_to(site, site_talker(site, 3, false), "GET key\r\n"), "-CLUSTERDOWN");
    for (uint32_t i = 1; i < FOUNDERS; i++) cluster_start(&site->cluster, i);
    expect_members(site, 4);
    site_free(site);
}

// The first that it calls is nobody; the second does not answer.
static void a_seed_that_cannot_be_reached_is_passed_over(void **state) {
    (void)state;
    struct site *site = found(4, with_seeds);
    site_cut(site, 3, 0);
    cluster_start(&site->cluster, 3);
    site_wait(site, 6 * NS_PER_SECOND);
    for (uint32_t i = 0; i < 4; i++) {
        assert_true(cluster_is_serving(&site->cluster, i));
        assert_int_equal(node_map(node_at(site, i))->member_count, 4);
    }
    world_heal(site->world);
    expect_members(site, 4);
    site_free(site);
}

// Whoever called a newcomer before it had the map is not taken for another one afterwards: what it
// asks counts as asked by itself.
static void who_has_called_a_newcomer_is_who_it_is(void **state) {
    (void)state;
    struct site *site = found(4, with_seeds);
    site_cut(site, 3, 0);
    cluster_start(&site->cluster, 3);
    site_wait(site, 6 * NS_PER_SECOND);
    assert_true(cluster_is_serving(&site->cluster, 3));
    cluster_kill(&site->cluster, 2);
    machine_wipe(site->cluster.processes[2].machine);
    cluster_start(&site->cluster, 2);
    site_have_replaced(site, 1, "n3"); // by the word of all others
    assert_int_equal(node_map(node_at(site, 1))->epoch, 3);
    site_free(site);
}

static void of_one_name(struct node_options *node, struct server_options *server) {
    with_seeds(node, server);
    if (is_founder(node)) return;
    node->seeds = strcmp(node->self.name, "n4") == 0 ? "n1:7379" : "n2:7379";
    (void)snprintf(node->self.name, sizeof(node->self.name), "n4");
}

// Though two members have them admitted at the same time.
static void of_two_with_one_name_one_joins(void **state) {
    (void)state;
    for (uint64_t ms = 0; ms < 40; ms += 5) {
        struct site *site = found(5, of_one_name);
        cluster_start(&site->cluster, 3);
        site_wait(site, ms * NS_PER_MS);
        cluster_start(&site->cluster, 4);
        site_wait(site, 10 * NS_PER_SECOND);
        assert_int_equal(node_map(node_at(site, 0))->member_count, 4);
        assert_int_equal(
            cluster_is_serving(&site->cluster, 3) + cluster_is_serving(&site->cluster, 4), 1);
        site_free(site);
    }
}

// At any moment; it comes back with the directory that it had.
static void a_newcomer_may_crash_at_any_time(void **state) {
    (void)state;
    for (uint64_t ms = 1; ms < 2000; ms += ms / 8 + 1) {
        struct site *site = found(4, with_seeds);
        cluster_start(&site->cluster, 3);
        site_wait(site, ms * NS_PER_MS);
        cluster_power_loss(&site->cluster, 3);
        site_wait(site, NS_PER_SECOND);
        cluster_start(&site->cluster, 3);
        expect_members(site, 4);
        site_free(site);
    }
}

static void so_may_who_admits_it(void **state) {
    (void)state;
    for (uint64_t ms = 1; ms < 2000; ms += ms / 8 + 1) {
        struct site *site = found(4, with_seeds);
        cluster_start(&site->cluster, 3);
        site_wait(site, ms * NS_PER_MS);
        uint32_t victim = (uint32_t)ms % 2;
        cluster_power_loss(&site->cluster, victim);
        site_wait(site, NS_PER_SECOND);
        cluster_start(&site->cluster, victim);
        expect_members(site, 4);
        site_free(site);
    }
}

static void expect_refused(struct site *site, uint32_t member) {
    cluster_start(&site->cluster, member);
    site_wait(site, 20 * NS_PER_SECOND);
    assert_int_equal(node_state(node_at(site, member)), NODE_FOUNDING);
    assert_int_equal(node_map(node_at(site, member))->epoch, 0);
    assert_int_equal(node_map(node_at(site, 0))->epoch, 1);
    for (uint32_t i = 1; i < FOUNDERS; i++) assert_true(node_member_is_up(node_at(site, 0), i));
}

static void with_a_name_that_is_taken(struct node_options *node, struct server_options *server) {
    with_seeds(node, server);
    if (!is_founder(node)) (void)snprintf(node->self.name, sizeof(node->self.name), "n2");
}

static void at_an_address_that_is_taken(struct node_options *node, struct server_options *server) {
    with_seeds(node, server);
    if (!is_founder(node)) (void)snprintf(node->self.address, sizeof(node->self.address), "n2");
}

static void with_larger_values(struct node_options *node, struct server_options *server) {
    with_seeds(node, server);
    if (!is_founder(node)) node->value_size_max *= 2;
}

static void among_as_many_as_may_be(struct node_options *node, struct server_options *server) {
    with_seeds(node, server);
    if (is_founder(node)) node->members_max = FOUNDERS;
}

static void where_one_has_no_room(struct node_options *node, struct server_options *server) {
    with_seeds(node, server);
    if (strcmp(node->self.name, "n2") == 0) node->members_max = FOUNDERS;
}

static void with_no_room_itself(struct node_options *node, struct server_options *server) {
    with_seeds(node, server);
    if (!is_founder(node)) node->members_max = FOUNDERS;
}

static void with_the_name_of_its_seed(struct node_options *node, struct server_options *server) {
    with_seeds(node, server);
    if (!is_founder(node)) (void)snprintf(node->self.name, sizeof(node->self.name), "n1");
    if (!is_founder(node)) node->seeds = "n1:7379";
}

static void with_another_key(struct node_options *node, struct server_options *server) {
    with_seeds(node, server);
    if (!is_founder(node)) node->secret.bytes[0] ^= 1;
}

// And whoever is refused does no harm.
static void who_does_not_fit_is_refused(void **state) {
    (void)state;
    static void (*const cases[])(struct node_options *, struct server_options *) = {
        with_a_name_that_is_taken, at_an_address_that_is_taken,
        with_larger_values,        among_as_many_as_may_be,
        where_one_has_no_room,     with_no_room_itself,
        with_the_name_of_its_seed, with_another_key};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct site *site = found(4, cases[i]);
        expect_refused(site, 3);
        site_free(site);
    }
}

// What was in it was deleted meanwhile, perhaps: it is of a cluster of its own.
static bool founds_alone;

static void alone_or_with_seeds(struct node_options *node, struct server_options *server) {
    with_seeds(node, server);
    if (!is_founder(node) && founds_alone) node->seeds = NULL;
}

static void who_has_data_is_not_admitted(void **state) {
    (void)state;
    struct site *site = found(4, alone_or_with_seeds);
    founds_alone = true;
    cluster_start(&site->cluster, 3);
    site_wait(site, 5 * NS_PER_SECOND);
    assert_int_equal(node_state(node_at(site, 3)), NODE_SERVING);
    cluster_kill(&site->cluster, 3);
    founds_alone = false;
    cluster_start(&site->cluster, 3);
    site_wait(site, 20 * NS_PER_SECOND);
    assert_int_equal(node_map(node_at(site, 3))->member_count, 1);
    assert_int_equal(node_map(node_at(site, 0))->epoch, 1);
    site_free(site);
}

int join_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(a_newcomer_becomes_a_member),
        cmocka_unit_test(a_newcomer_may_be_asked_before_it_serves),
        cmocka_unit_test(a_member_stays_one_after_a_restart),
        cmocka_unit_test(a_member_whose_disk_fails_is_no_newcomer),
        cmocka_unit_test(many_come_at_once),
        cmocka_unit_test(a_newcomer_to_many_is_given_the_map),
        cmocka_unit_test(who_was_away_learns_of_newcomers),
        cmocka_unit_test(nobody_joins_where_that_takes_the_majority_away),
        cmocka_unit_test(who_was_alone_and_was_moved_is_joined),
        cmocka_unit_test(what_is_damaged_stays_so_when_others_join),
        cmocka_unit_test(without_a_majority_a_newcomer_waits),
        cmocka_unit_test(a_seed_that_cannot_be_reached_is_passed_over),
        cmocka_unit_test(who_has_called_a_newcomer_is_who_it_is),
        cmocka_unit_test(of_two_with_one_name_one_joins),
        cmocka_unit_test(a_newcomer_may_crash_at_any_time),
        cmocka_unit_test(so_may_who_admits_it),
        cmocka_unit_test(who_does_not_fit_is_refused),
        cmocka_unit_test(who_has_data_is_not_admitted),
    };
    return cmocka_run_group_tests_name("join", cases, NULL, NULL);
}
