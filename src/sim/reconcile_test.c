// SPDX-License-Identifier: Apache-2.0
//
// Members that compare what they hold: what that costs when nothing differs, when one key does, and
// when very many do.
#include "sim/damage_case.h"

#define FAR_NS (100 * NS_PER_MS)

enum { MEMBERS = 3 };

// Nothing is kept for who is away: it is to be found out by comparing.
static void without_hints(struct node_options *node, struct server_options *server) {
    (void)server;
    node->hints_max = 0;
}

static uint64_t bytes_of_all(const struct site *site) {
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < MEMBERS; i++) {
        const struct node *node = cluster_node(&site->cluster, i);
        if (node != NULL) bytes += node_stats(node).compare_bytes;
    }
    return bytes;
}

static bool are_equal(const struct site *site) {
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) {
        struct store_partition first = node_slot(cluster_node(&site->cluster, 0), (uint16_t)slot);
        for (uint32_t i = 1; i < MEMBERS; i++) {
            const struct node *node = cluster_node(&site->cluster, i);
            if (node_slot(node, (uint16_t)slot).digest != first.digest) return false;
        }
    }
    return true;
}

static void wait_until_equal(struct site *site, uint64_t longest_ns) {
    uint64_t until = world_now(site->world) + longest_ns;
    while (world_now(site->world) < until && !are_equal(site)) site_wait(site, 100 * NS_PER_MS);
    assert_true(are_equal(site));
}

// Ten minutes of gossip after the last write: not a byte beside the roots.
static void who_holds_the_same_says_so_with_one_number(void **state) {
    (void)state;
    struct site *site = site_new(MEMBERS, without_hints);
    write_keys(site, site_talker(site, 0, false), "key", 0, 2000);
    site_wait(site, 20 * NS_PER_SECOND);
    uint64_t before = bytes_of_all(site);
    site_wait(site, 600 * NS_PER_SECOND);
    assert_int_equal(bytes_of_all(site), before);
    for (uint32_t i = 0; i < MEMBERS; i++) {
        assert_in_range(node_unequal_ns(cluster_node(&site->cluster, i)), 0, 2 * NS_PER_SECOND);
    }
    site_free(site);
}

static void with_one_copy(struct node_options *node, struct server_options *server) {
    node->replication = 1;
    server->replication = 1;
}

static void who_shares_nothing_has_nothing_to_compare(void **state) {
    (void)state;
    struct site *site = site_new(MEMBERS, with_one_copy);
    write_keys(site, site_talker(site, 0, false), "key", 0, 200);
    site_wait(site, 20 * NS_PER_SECOND);
    assert_int_equal(bytes_of_all(site), 0);
    site_free(site);
}

// One key among many in its slot, which the member that was away lacks: found by a few thousand
// bytes, not by a list of all keys.
static void one_key_among_many_is_found_by_its_leaf(void **state) {
    (void)state;
    enum { KEYS = 4000, LIST = KEYS * (8 + 4 + 12) };
    struct site *site = site_new(MEMBERS, without_hints);
    struct talker *t = site_talker(site, 1, false);
    write_keys(site, t, "{tag}key", 0, KEYS);
    wait_until_equal(site, 10 * NS_PER_SECOND);
    cluster_kill(&site->cluster, 2);
    write_keys(site, t, "{tag}key", KEYS, 1);
    uint64_t before = bytes_of_all(site);
    cluster_start(&site->cluster, 2);
    site_wait(site, 15 * NS_PER_SECOND);
    assert_true(are_equal(site));
    uint64_t cost = bytes_of_all(site) - before; // two members, each once or twice
    assert_in_range(cost, 1, 2 * (LIST / STORE_LEAVES + 16 * 1024));
    site_free(site);
}

static uint64_t unequal_s(const struct site *site, uint32_t member) {
    return node_unequal_ns(cluster_node(&site->cluster, member)) / NS_PER_SECOND;
}

// As long as a member is away nobody knows that what was written meanwhile has come everywhere.
static void a_difference_has_an_age(void **state) {
    (void)state;
    struct site *site = site_new(MEMBERS, without_hints);
    struct talker *t = site_talker(site, 0, false);
    cluster_kill(&site->cluster, 2);
    write_keys(site, t, "key", 0, 10);
    site_wait(site, 100 * NS_PER_SECOND);
    assert_in_range(unequal_s(site, 0), 99, 110);
    assert_in_range(info_number(site, t, "INFO\r\n", "unequal_seconds"), 99, 110);
    cluster_start(&site->cluster, 2);
    site_wait(site, 20 * NS_PER_SECOND);
    for (uint32_t i = 0; i < MEMBERS; i++) {
        assert_in_range(unequal_s(site, i), 0, 2);
        assert_int_equal(node_stats(cluster_node(&site->cluster, i)).slots_behind, 0);
    }
    site_free(site);
}

// While writes go on roots differ nearly always, here since one disk is slow. Members look ever
// more seldom: eight times in forty seconds, when the longest rest is five.
static void writes_under_way_are_no_differences(void **state) {
    (void)state;
    enum { SECONDS = 40, BYTES_LEAST = 1024, BYTES_MOST = 450 * 1024 };
    struct site *site = site_new(MEMBERS, without_hints);
    struct talker *t = site_talker(site, 0, false);
    write_keys(site, t, "key", 0, 1);
    site_wait(site, 5 * NS_PER_SECOND);
    struct process *processes = site->cluster.processes;
    for (uint32_t i = 0; i < 2; i++) {
        world_set_distance(site->world, processes[i].machine, processes[2].machine, FAR_NS);
    }
    uint64_t until = world_now(site->world) + SECONDS * NS_PER_SECOND;
    uint64_t before = bytes_of_all(site);
    while (world_now(site->world) < until) {
        write_keys(site, t, "key", 0, 1);
        site_wait(site, 5 * NS_PER_MS);
    }
    assert_in_range(bytes_of_all(site) - before, BYTES_LEAST, BYTES_MOST);
    wait_until_equal(site, 20 * NS_PER_SECOND);
    site_free(site);
}

// The keys of one member's absence are more than a visit takes; the one key that another could not
// take does not wait for them.
static void expect_a_turn_beside(const char *const *prefixes, uint32_t prefix_count) {
    enum { MANY = 40000 };
    struct site *site = site_new(MEMBERS, without_hints);
    struct talker *t = site_talker(site, 0, false);
    cluster_kill(&site->cluster, 1);
    for (uint32_t i = 0; i < prefix_count; i++) {
        write_keys(site, t, prefixes[i], 0, MANY / prefix_count);
    }
    expect_dialogue(site, t, "CONSISTENCY WRITE ONE\r\n", "+OK\r\n");
    machine_set_quota(site->cluster.processes[2].machine, 0);
    site_wait(site, 5 * NS_PER_SECOND); // it looks now and then
    write_keys(site, t, "last", 0, 1);
    machine_slow_disk(site->cluster.processes[1].machine, 20);
    cluster_start(&site->cluster, 1);
    uint64_t until = world_now(site->world) + 600 * NS_PER_SECOND;
    while (keys_of(site, 1) == 0) assert_true(world_step(site->world, until));
    machine_set_quota(site->cluster.processes[2].machine, UINT64_MAX);
    while (keys_of(site, 2) < MANY + 1) assert_true(world_step(site->world, until));
    assert_in_range(keys_of(site, 1), 1, MANY * 3 / 4);
    wait_until_equal(site, 60 * NS_PER_SECOND);
    site_free(site);
}

static void many_differences_keep_nobody_from_a_turn(void **state) {
    (void)state;
    const char *const everywhere[] = {"key"};
    expect_a_turn_beside(everywhere, 1);
}

static void many_differences_in_few_slots_keep_nobody_from_a_turn(void **state) {
    (void)state;
    const char *const tags[] = {"{a}", "{b}"};
    expect_a_turn_beside(tags, 2);
}

// Of all slots, or of one: every key is listed for every other copy, though all digests agree.
static void a_repair_trusts_no_digest(void **state) {
    (void)state;
    enum { KEYS = 2000, LISTED = KEYS * (8 + 4 + 4) };
    struct site *site = site_new(MEMBERS, without_hints);
    write_keys(site, site_talker(site, 0, false), "key", 0, KEYS);
    wait_until_equal(site, 10 * NS_PER_SECOND);
    site_wait(site, 20 * NS_PER_SECOND);
    struct node *node = cluster_node(&site->cluster, MEMBERS - 1);
    uint64_t before = node_stats(node).compare_bytes;
    node_repair(node, 0, SLOT_COUNT - 1);
    assert_int_equal(node_repair_state(node).total, (MEMBERS - 1) * SLOT_COUNT);
    assert_int_equal(node_repair_state(node).peers_left, MEMBERS - 1);
    site_wait(site, 200 * NS_PER_SECOND);
    assert_int_equal(node_repair_state(node).peers_left, 0);
    assert_int_equal(node_repair_state(node).done, (MEMBERS - 1) * SLOT_COUNT);
    assert_true(node_stats(node).compare_bytes - before > (uint64_t)LISTED * (MEMBERS - 1));

    uint16_t slot = slot_of(SLICE("key0"));
    node_repair(node, slot, slot);
    assert_int_equal(node_repair_state(node).total, MEMBERS - 1);
    cluster_kill(&site->cluster, 0); // waited for
    site_wait(site, 5 * NS_PER_SECOND);
    assert_int_equal(node_repair_state(node).done, 1);
    assert_int_equal(node_repair_state(node).peers_left, 1);
    cluster_start(&site->cluster, 0);
    site_wait(site, 20 * NS_PER_SECOND);
    assert_int_equal(node_repair_state(node).peers_left, 0);
    site_free(site);
}

// A member that could not take what was written, while all links stayed whole.
static void what_a_full_disk_refused_is_made_good(void **state) {
    (void)state;
    struct site *site = site_new(MEMBERS, without_hints);
    struct talker *t = site_talker(site, 0, false);
    machine_set_quota(site->cluster.processes[2].machine, 0);
    site_wait(site, 5 * NS_PER_SECOND); // it looks now and then
    write_keys(site, t, "key", 0, 100);
    site_wait(site, 10 * NS_PER_SECOND);
    assert_int_equal(keys_of(site, 2), 0);
    assert_true(node_stats(cluster_node(&site->cluster, 0)).slots_behind > 0);
    machine_set_quota(site->cluster.processes[2].machine, UINT64_MAX);
    wait_until_equal(site, 20 * NS_PER_SECOND);
    site_wait(site, 5 * NS_PER_SECOND);
    for (uint32_t i = 0; i < MEMBERS; i++) {
        assert_int_equal(node_stats(cluster_node(&site->cluster, i)).slots_behind, 0);
    }
    site_free(site);
}

// Nobody writes, nobody reads, and all keys are in memory: the member finds what has rotted on its
// disk, and has it from the others again.
static void what_rots_unseen_is_mended(void **state) {
    (void)state;
    enum { KEYS = 1000 };
    struct site *site = site_new(MEMBERS, small_flushes);
    write_keys(site, site_talker(site, 0, false), "key", 0, KEYS);
    wait_until_equal(site, 10 * NS_PER_SECOND);
    site_wait(site, 10 * NS_PER_SECOND);
    rot_tables(site->cluster.processes[1].machine);
    site_wait(site, 100 * NS_PER_SECOND);
    const struct node *node = cluster_node(&site->cluster, 1);
    assert_true(node_store_stats(node).damaged > 0);
    assert_false(node_store_stats(node).was_damaged); // it was made good
    assert_int_equal(node_store_stats(node).audit_differences, 0);
    assert_int_equal(keys_of(site, 1), KEYS);
    assert_true(are_equal(site));
    cluster_stop(&site->cluster, 1);
    site_wait(site, 5 * NS_PER_SECOND);
    cluster_start(&site->cluster, 1);
    site_wait(site, 5 * NS_PER_SECOND);
    node = cluster_node(&site->cluster, 1);
    assert_int_equal(node_store_stats(node).damaged, 0);
    assert_int_equal(keys_of(site, 1), KEYS);
    assert_true(are_equal(site));
    site_free(site);
}

// In most slots something is purged.
static void write_and_purge(struct site *site, struct talker *t, uint32_t keys, uint32_t gone) {
    write_keys(site, t, "key", 0, keys);
    write_keys(site, t, "gone", 0, gone);
    delete_keys(site, t, "gone", 0, gone);
    site_wait(site, 20 * NS_PER_SECOND);
    for (uint32_t i = 0; i < site->cluster.options.members; i++) {
        assert_int_equal(keys_of(site, i), keys);
    }
}

// Of two members one has lost its disk, and what the other has is damaged here and there: that is
// all there is, and it does not go for the sake of one that has nothing.
static void what_one_lost_is_not_given_up_by_one_that_is_damaged(void **state) {
    (void)state;
    enum { KEYS = 2000, GONE = 1000 };
    struct site *site = site_new(2, small_flushes);
    struct talker *t = site_talker(site, 0, false);
    write_and_purge(site, t, KEYS, GONE);
    cluster_kill(&site->cluster, 1);
    machine_wipe(site->cluster.processes[1].machine);
    cluster_start(&site->cluster, 1);
    site_have_replaced(site, 0, "n2");
    cluster_kill(&site->cluster, 0);
    rot_tables(site->cluster.processes[0].machine);
    cluster_start(&site->cluster, 0);
    site_wait(site, 100 * NS_PER_SECOND);
    // Of what was purged something may be there again: nobody can tell.
    assert_in_range(keys_of(site, 0), KEYS / 2, KEYS + GONE);
    assert_int_equal(keys_of(site, 0), keys_of(site, 1));
    assert_int_equal(node_member(cluster_node(&site->cluster, 0), 0)->state, MEMBER_SERVING);
    assert_int_equal(node_member(cluster_node(&site->cluster, 1), 1)->state, MEMBER_SERVING);
    site_free(site);
}

// One is damaged, so that values are found again that were purged; the others know better.
static void what_was_purged_does_not_come_out_from_under_damage(void **state) {
    (void)state;
    enum { KEYS = 500, GONE = 1000 };
    struct site *site = site_new(MEMBERS, small_flushes);
    struct talker *t = site_talker(site, 0, false);
    write_and_purge(site, t, KEYS, GONE);
    cluster_kill(&site->cluster, 0);
    rot_tables(site->cluster.processes[0].machine);
    cluster_start(&site->cluster, 0);
    site_wait(site, 60 * NS_PER_SECOND);
    for (uint32_t i = 0; i < MEMBERS; i++) assert_int_equal(keys_of(site, i), KEYS);
    site_free(site);
}

int reconcile_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(who_holds_the_same_says_so_with_one_number),
        cmocka_unit_test(who_shares_nothing_has_nothing_to_compare),
        cmocka_unit_test(one_key_among_many_is_found_by_its_leaf),
        cmocka_unit_test(a_difference_has_an_age),
        cmocka_unit_test(writes_under_way_are_no_differences),
        cmocka_unit_test(many_differences_keep_nobody_from_a_turn),
        cmocka_unit_test(many_differences_in_few_slots_keep_nobody_from_a_turn),
        cmocka_unit_test(a_repair_trusts_no_digest),
        cmocka_unit_test(what_a_full_disk_refused_is_made_good),
        cmocka_unit_test(what_rots_unseen_is_mended),
        cmocka_unit_test(what_one_lost_is_not_given_up_by_one_that_is_damaged),
        cmocka_unit_test(what_was_purged_does_not_come_out_from_under_damage),
    };
    return cmocka_run_group_tests_name("reconcile", cases, NULL, NULL);
}
