// SPDX-License-Identifier: Apache-2.0
//
// What clients see of members that compare what they hold: the digests of each slot, and repairs
// that are asked for.
#include "node/node.h"
#include "sim/session_case.h"

enum { MEMBERS = 3 };

#define NOT_A_FORM "-ERR QUOIT REPAIR takes ALL, SLOT and a number, or nothing\r\n"
#define NOT_A_SLOT "-ERR Invalid slot\r\n"

static const struct line refusals[] = {
    {"QUOIT REPAIR SOME\r\n", NOT_A_FORM},
    {"QUOIT REPAIR ALL 1\r\n", NOT_A_FORM},
    {"QUOIT REPAIR SLOT\r\n", NOT_A_FORM},
    {"QUOIT REPAIR SLOT 1 2\r\n", NOT_A_FORM},
    {"QUOIT REPAIR SLOT 16384\r\n", NOT_A_SLOT},
    {"QUOIT REPAIR SLOT -1\r\n", NOT_A_SLOT},
    {"QUOIT REPAIR SLOT x\r\n", NOT_A_SLOT},
    {"QUOIT DIGESTS 0 16384\r\n", NOT_A_SLOT},
    {"QUOIT DIGESTS x 1\r\n", NOT_A_SLOT},
    {"QUOIT DIGESTS 2 1\r\n", NOT_A_SLOT},
    {"QUOIT DIGESTS 1 257\r\n", "-ERR more than 256 slots: ask for fewer at a time\r\n"},
};

static void what_cannot_be_repaired_or_summed_up_is_said(void **state) {
    (void)state;
    struct site *site = site_new(1, NULL);
    struct talker *t = site_talker(site, 0, false);
    EXPECT_LINES(site, t, refusals);
    site_free(site);
}

static void a_cluster_that_is_not_founded_has_nothing_to_compare(void **state) {
    (void)state;
    struct site *site = site_prepare(MEMBERS, NULL);
    cluster_start(&site->cluster, 0);
    site_wait(site, 5 * NS_PER_SECOND);
    struct talker *t = site_talker(site, 0, false);
    static const char *const words[] = {"QUOIT REPAIR\r\n", "QUOIT REPAIR ALL\r\n",
                                        "QUOIT REPAIR SLOT 1\r\n", "QUOIT DIGESTS 0 255\r\n"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        expect_dialogue(site, t, words[i],
                        "-CLUSTERDOWN the cluster is not formed yet: waiting for n2, n3\r\n");
    }
    site_free(site);
}

static void expect_repair(struct site *site, struct talker *t, uint32_t first, uint32_t last,
                          uint64_t done, uint64_t total, uint32_t peers_left) {
    char answer[256];
    (void)snprintf(answer, sizeof(answer),
                   "*10\r\n$5\r\nfirst\r\n:%u\r\n$4\r\nlast\r\n:%u\r\n$4\r\ndone\r\n:%llu\r\n"
                   "$5\r\ntotal\r\n:%llu\r\n$10\r\npeers_left\r\n:%u\r\n",
                   first, last, (unsigned long long)done, (unsigned long long)total, peers_left);
    expect_dialogue(site, t, "QUOIT REPAIR\r\n", answer);
}

// Of all slots or of one, with every other member; one that is away is waited for.
static void a_repair_is_asked_for_and_looked_at(void **state) {
    (void)state;
    struct site *site = site_new(MEMBERS, NULL);
    struct talker *t = site_talker(site, 1, false);
    expect_repair(site, t, 0, 0, 0, 0, 0);
    expect_dialogue(site, t, "QUOIT REPAIR all\r\n", "+OK\r\n");
    site_wait(site, 200 * NS_PER_SECOND);
    enum { ALL = (MEMBERS - 1) * SLOT_COUNT };
    expect_repair(site, t, 0, SLOT_COUNT - 1, ALL, ALL, 0);
    cluster_kill(&site->cluster, 2);
    expect_dialogue(site, t, "QUOIT REPAIR SLOT 7\r\n", "+OK\r\n");
    site_wait(site, 5 * NS_PER_SECOND);
    expect_repair(site, t, 7, 7, 1, MEMBERS - 1, 1);
    cluster_start(&site->cluster, 2);
    site_wait(site, 20 * NS_PER_SECOND);
    expect_repair(site, t, 7, 7, MEMBERS - 1, MEMBERS - 1, 0);
    site_free(site);
}

static void with_copies_for_two(struct node_options *node, struct server_options *server) {
    (void)server;
    node->replication = 2;
}

// The digests of the slot on all members, in the order in which they are asked: those that have no
// copy of a keyspace say nothing of it. Counts how many do.
static uint32_t count_holders(struct site *site, struct talker *const *t, const char *keyspace,
                              uint32_t slot, uint32_t records) {
    char words[64];
    char start[96];
    char digest[17] = {0};
    uint32_t count = 0;
    (void)snprintf(words, sizeof(words), "QUOIT DIGESTS %u %u\r\n", slot, slot);
    (void)snprintf(start, sizeof(start), "%s\r\n*1\r\n*3\r\n:%u\r\n$16\r\n", keyspace, slot);
    for (uint32_t i = 0; i < MEMBERS; i++) {
        const char *heard = answer_to(site, t[i], words);
        expect_part(heard, "*4\r\n$5\r\nepoch\r\n:");
        const char *found = strstr(heard, start);
        if (found == NULL) continue;
        found += strlen(start);
        assert_int_equal(strtoul(found + 16 + 3, NULL, 10), records);
        if (count++ > 0) assert_memory_equal(digest, found, 16);
        memcpy(digest, found, 16);
    }
    assert_int_equal(strcmp(digest, "0000000000000000") == 0, records == 0);
    return count;
}

static void each_slot_is_summed_up_where_it_has_copies(void **state) {
    (void)state;
    struct site *site = site_new(MEMBERS, with_copies_for_two);
    struct talker *t[MEMBERS];
    for (uint32_t i = 0; i < MEMBERS; i++) t[i] = site_talker(site, i, false);
    expect_dialogue(site, t[0], "KEYSPACE CREATE one REPLICATION 1\r\n", "+OK\r\n");
    expect_dialogue(site, t[0], "MSET {a}:1 v {a}:2 v {a}:one:3 v\r\n", "+OK\r\n");
    site_wait(site, 5 * NS_PER_SECOND);
    uint32_t slot = slot_of(SLICE("a"));
    assert_int_equal(count_holders(site, t, "default", slot, 2), 2);
    assert_int_equal(count_holders(site, t, "one", slot, 1), 1);
    assert_int_equal(count_holders(site, t, "default", slot + 1, 0), 2);
    assert_int_equal(count_holders(site, t, "one", slot + 1, 0), 1);
    site_free(site);
}

static void with_tables(struct node_options *node, struct server_options *server) {
    (void)server;
    node->store.flush_size = 1;
}

// What was lost still counts as there until it is all added up anew.
static void what_is_added_up_anew_is_not_told_before(void **state) {
    (void)state;
    struct site *site = site_new(1, with_tables);
    struct talker *t = site_talker(site, 0, false);
    expect_dialogue(site, t, "MSET key1 v key2 v key3 v\r\n", "+OK\r\n");
    site_wait(site, 5 * NS_PER_SECOND);
    assert_in_range(node_store_stats(cluster_node(&site->cluster, 0)).table_count, 1, 9);
    struct machine *machine = site->cluster.processes[0].machine;
    struct node *node = cluster_node(&site->cluster, 0);
    machine_slow_disk(machine, 1000);
    machine_enter(machine);
    store_forgive(node_store(node));
    machine_leave(machine);
    assert_true(store_is_recounting(node_store(node)));
    expect_dialogue(site, t, "QUOIT DIGESTS 0 255\r\n",
                    "-BUSY this node adds up anew what it holds, after damage\r\n");
    uint64_t until = world_now(site->world) + 60 * NS_PER_SECOND;
    while (store_is_recounting(node_store(node))) assert_true(world_step(site->world, until));
    expect_part(answer_to(site, t, "QUOIT DIGESTS 0 255\r\n"), "*4\r\n$5\r\nepoch\r\n");
    site_free(site);
}

// A page of slots of as many keyspaces as there can be fits into a reply.
static void a_page_of_slots_fits_into_a_reply(void **state) {
    (void)state;
    struct site *site = site_new(1, NULL);
    struct talker *t = site_talker(site, 0, false);
    for (uint32_t i = 1; i < KEYSPACES_MAX; i++) {
        char words[96];
        (void)snprintf(words, sizeof(words), "KEYSPACE CREATE %063u\r\n", i);
        expect_dialogue(site, t, words, "+OK\r\n");
    }
    const char *heard = answer_to(site, t, "QUOIT DIGESTS 16128 16383\r\n");
    uint32_t count = 0;
    for (const char *at = heard; (at = strstr(at, "\r\n*3\r\n:")) != NULL; at++) count++;
    assert_int_equal(count, 256 * KEYSPACES_MAX);
    site_free(site);
}

int session_repair_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(what_cannot_be_repaired_or_summed_up_is_said),
        cmocka_unit_test(a_cluster_that_is_not_founded_has_nothing_to_compare),
        cmocka_unit_test(a_repair_is_asked_for_and_looked_at),
        cmocka_unit_test(each_slot_is_summed_up_where_it_has_copies),
        cmocka_unit_test(what_is_added_up_anew_is_not_told_before),
        cmocka_unit_test(a_page_of_slots_fits_into_a_reply),
    };
    return cmocka_run_group_tests_name("session_repair", cases, NULL, NULL);
}
