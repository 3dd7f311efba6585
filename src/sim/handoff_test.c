// SPDX-License-Identifier: Apache-2.0
//
// Sloppy quorums: what is written while replicas are down, who keeps it, and how it comes to them.
#include "sim/handoff_case.h"

// The same of each key.
static void say_all(struct site *site, struct talker *t, const char *verb, char keys[][16],
                    const char *rest, const char *answer) {
    for (uint32_t i = 0; i < KEYS; i++) say(site, t, verb, keys[i], rest, answer);
}

// Two of three replicas are down.
static void what_stand_ins_keep_counts_is_read_and_comes_home(void **state) {
    (void)state;
    struct site *site = site_new(MEMBERS, NULL);
    char keys[KEYS][16];
    uint32_t next = 0;
    for (uint32_t i = 0; i < KEYS; i++) find_key(site, &next, 3, true, 4, true, keys[i]);
    cluster_kill(&site->cluster, 3);
    cluster_kill(&site->cluster, 4);
    site_wait(site, 20 * NS_PER_SECOND);
    struct talker *t = site_talker(site, 0, false);
    for (uint32_t i = 0; i < KEYS; i++) {
        talker_say(t, "RESET\r\n", 7);
        talker_wait(site, t, 8);
        char words[64];
        (void)snprintf(words, sizeof(words), "SET %.15s v\r\n", keys[i]);
        expect_part(answer_to(site, t, words), "-NOQUORUM");
        expect_dialogue(site, t, "CONSISTENCY READ SLOPPY WRITE SLOPPY\r\n", "+OK\r\n");
        say(site, t, "SET", keys[i], " v", "+OK\r\n");
    }
    assert_int_equal(hints(site), 2 * KEYS); // one for each of the two
    for (uint32_t i = 0; i < 3; i++) {
        struct talker *other = site_talker(site, i, false);
        expect_dialogue(site, other, "CONSISTENCY READ SLOPPY\r\n", "+OK\r\n");
        say_all(site, other, "GET", keys, "", "$1\r\nv\r\n");
    }
    cluster_start(&site->cluster, 3);
    cluster_start(&site->cluster, 4);
    wait_until_handed_off(site);
    assert_true(handed(site) > KEYS);
    struct talker *strict = site_talker(site, 4, false);
    expect_dialogue(site, strict, "CONSISTENCY READ ALL\r\n", "+OK\r\n");
    say_all(site, strict, "GET", keys, "", "$1\r\nv\r\n");
    for (uint32_t i = 0; i < KEYS; i++) {
        assert_true(holds(site, 3, keys[i]));
        assert_true(holds(site, 4, keys[i]));
    }
    site_free(site);
}

// The record is on a stand-in alone when the one replica that had it is down, too.
static void a_stand_in_alone_has_it_and_keeps_it_through_a_loss_of_power(void **state) {
    (void)state;
    struct site *site = site_new(MEMBERS, NULL);
    char key[16];
    uint32_t next = 0;
    find_key(site, &next, 3, true, 4, true, key);
    uint32_t third = 0;
    while (!has_copy(site, key, third)) third++;
    uint32_t stand_in = third == 0 ? 1 : 0;
    cluster_kill(&site->cluster, 3);
    cluster_kill(&site->cluster, 4);
    site_wait(site, 20 * NS_PER_SECOND);
    struct talker *t = site_talker(site, stand_in, false);
    expect_dialogue(site, t, "CONSISTENCY READ SLOPPY WRITE SLOPPY\r\n", "+OK\r\n");
    say(site, t, "SET", key, " v", "+OK\r\n");
    cluster_kill(&site->cluster, third);
    site_wait(site, 20 * NS_PER_SECOND);
    say(site, t, "GET", key, "", "$1\r\nv\r\n");
    assert_int_equal(hints(site), 2);
    for (uint32_t i = 0; i < 3; i++) {
        if (i != third) cluster_power_loss(&site->cluster, i);
    }
    for (uint32_t i = 0; i < 3; i++) {
        if (i != third) cluster_start(&site->cluster, i);
    }
    cluster_start(&site->cluster, 3);
    site_wait(site, 20 * NS_PER_SECOND);
    assert_true(holds(site, 3, key)); // from its stand-in: no replica that is up had it
    assert_int_equal(hints(site), 1); // for the other
    cluster_start(&site->cluster, 4);
    cluster_start(&site->cluster, third);
    wait_until_handed_off(site);
    site_free(site);
}

// Of three hosts that could be reached two have said that they have it.
static void an_answer_of_a_stand_in_means_that_it_is_durable(void **state) {
    (void)state;
    struct site *site = site_new(MEMBERS, NULL);
    uint32_t next = 0;
    cluster_kill(&site->cluster, 3);
    cluster_kill(&site->cluster, 4);
    for (uint32_t i = 0; i < 10; i++) {
        site_wait(site, 20 * NS_PER_SECOND);
        char key[16];
        find_key(site, &next, 3, true, 4, true, key);
        for (uint32_t k = 0; k < 3; k++) { // those who stand in take their time
            bool stands_in = !has_copy(site, key, k);
            machine_slow_disk(site->cluster.processes[k].machine, stands_in ? 50 : 1);
        }
        struct talker *t = site_talker(site, 0, false);
        expect_dialogue(site, t, "CONSISTENCY WRITE SLOPPY\r\n", "+OK\r\n");
        uint64_t before = hints(site);
        say(site, t, "SET", key, " v", "+OK\r\n");
        for (uint32_t k = 0; k < 3; k++) cluster_power_loss(&site->cluster, k);
        for (uint32_t k = 0; k < 3; k++) cluster_start(&site->cluster, k);
        site_wait(site, 20 * NS_PER_SECOND);
        assert_true(hints(site) > before);
    }
    site_free(site);
}

static void on_three_hosts(struct node_options *node, struct server_options *server) {
    (void)server;
    uint32_t number = (uint32_t)(node->self.name[1] - '1');
    (void)snprintf(node->self.host, sizeof(node->self.host), "h%u", number % 3);
}

// The replicas that can be reached are on the hosts of all others.
static void nobody_stands_in_on_the_host_of_a_replica(void **state) {
    (void)state;
    struct site *site = site_new(MEMBERS, on_three_hosts);
    char key[16];
    uint32_t next = 0;
    cluster_kill(&site->cluster, 2);
    site_wait(site, 20 * NS_PER_SECOND);
    struct talker *t = site_talker(site, 0, false);
    expect_dialogue(site, t, "CONSISTENCY WRITE SLOPPY\r\n", "+OK\r\n");
    for (uint32_t i = 0; i < KEYS; i++) {
        find_key(site, &next, 2, true, i % 2, true, key);
        say(site, t, "SET", key, " v", "+OK\r\n");
    }
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < MEMBERS; i++) {
        if (i != 2) bytes += node_hints(node_at(site, i)).size;
    }
    assert_int_equal(hints(site), KEYS);
    assert_in_range(bytes, 1, KEYS * (HINT_KEY_SIZE + HINT_HEAD_SIZE + 6)); // no records in them
    site_free(site);
}

// Strict levels count no hints, but who is away is told when it is back, before it is compared.
static void strict_writes_leave_hints_that_do_not_count(void **state) {
    (void)state;
    struct site *site = site_new(3, never_compared);
    struct talker *t = site_talker(site, 0, false);
    cluster_kill(&site->cluster, 2);
    site_wait(site, 20 * NS_PER_SECOND);
    expect_dialogue(site, t, "CONSISTENCY WRITE ALL\r\n", "+OK\r\n");
    expect_part(answer_to(site, t, "SET key v\r\n"), "-NOQUORUM");
    expect_dialogue(site, t, "CONSISTENCY WRITE QUORUM\r\n", "+OK\r\n");
    for (uint32_t i = 0; i < 3; i++) expect_dialogue(site, t, "SET key v\r\n", "+OK\r\n");
    expect_dialogue(site, t, "SET other v\r\n", "+OK\r\n");
    expect_dialogue(site, t, "DEL other\r\n", ":1\r\n");
    assert_int_equal(hints(site), 2); // one for a key, however often it was written
    assert_int_equal(node_hints(node_at(site, 0)).key_count, 2);
    assert_int_equal(node_store_stats(node_at(site, 0)).key_count, 2); // hints are no keys
    cluster_start(&site->cluster, 2);
    wait_until_handed_off(site);
    assert_true(holds(site, 2, "key"));
    uint64_t dropped = node_stats(node_at(site, 0)).hints_dropped; // what was purged meanwhile
    assert_in_range(handed(site), 1, 2);
    assert_int_equal(handed(site) + dropped, 2);
    site_free(site);
}

static void hints_for_keys_that_were_all_dropped_go(void **state) {
    (void)state;
    struct site *site = site_new(MEMBERS, NULL);
    struct talker *t = site_talker(site, 0, false);
    cluster_kill(&site->cluster, 2);
    site_wait(site, 20 * NS_PER_SECOND);
    expect_dialogue(site, t, "CONSISTENCY WRITE SLOPPY\r\n", "+OK\r\n"); // records are kept
    for (uint32_t i = 0; i < 1000; i++) {
        char key[16];
        (void)snprintf(key, sizeof(key), "key%u", i);
        say(site, t, "SET", key, " v", "+OK\r\n");
    }
    cluster_start(&site->cluster, 2);
    // As soon as all agree, which is before all is handed off.
    bool is_done = false;
    for (uint32_t i = 0; i < 2000 && !is_done; i++) {
        site_wait(site, NS_PER_SECOND / 100);
        talker_say(t, "FLUSHALL\r\n", 10);
        talker_wait(site, t, 5);
        is_done = t->heard_size == 5;
    }
    assert_true(is_done);
    wait_until_handed_off(site);
    uint64_t dropped = 0;
    for (uint32_t i = 0; i < MEMBERS; i++) dropped += node_stats(node_at(site, i)).hints_dropped;
    assert_true(dropped > 0);
    for (uint32_t i = 0; i < MEMBERS; i++) {
        assert_int_equal(node_store_stats(node_at(site, i)).key_count, 0);
    }
    site_free(site);
}

// What a member refuses, since its disk is full, is kept until it can take it.
static void what_is_refused_is_kept(void **state) {
    (void)state;
    struct site *site = site_new(3, never_compared);
    struct machine *machine = site->cluster.processes[2].machine;
    struct talker *t = site_talker(site, 0, false);
    cluster_kill(&site->cluster, 2);
    site_wait(site, 20 * NS_PER_SECOND);
    expect_dialogue(site, t, "SET key v\r\n", "+OK\r\n");
    machine_set_quota(machine, 0);
    cluster_start(&site->cluster, 2);
    site_wait(site, 20 * NS_PER_SECOND);
    assert_true(site_is_serving(site));
    assert_false(holds(site, 2, "key"));
    assert_int_equal(hints(site), 1);
    machine_set_quota(machine, UINT64_MAX);
    wait_until_handed_off(site);
    assert_true(holds(site, 2, "key"));
    site_free(site);
}

// The hints for one stand before those for the other.
static void who_takes_nothing_does_not_keep_others_from_theirs(void **state) {
    (void)state;
    struct site *site = site_new(MEMBERS, NULL);
    char key[16];
    uint32_t next = 0;
    cluster_kill(&site->cluster, 3);
    cluster_kill(&site->cluster, 4);
    site_wait(site, 20 * NS_PER_SECOND);
    struct talker *t = site_talker(site, 0, false);
    expect_dialogue(site, t, "CONSISTENCY WRITE SLOPPY\r\n", "+OK\r\n");
    for (uint32_t i = 0; i < 60; i++) {
        find_key(site, &next, 3, true, 4, false, key);
        say(site, t, "SET", key, " v", "+OK\r\n");
        find_key(site, &next, 3, false, 4, true, key);
        say(site, t, "SET", key, " v", "+OK\r\n");
    }
    assert_int_equal(hints(site), 120);
    struct machine *machine = site->cluster.processes[3].machine;
    machine_set_quota(machine, 0); // it refuses
    cluster_start(&site->cluster, 3);
    cluster_start(&site->cluster, 4);
    site_wait(site, 30 * NS_PER_SECOND);
    assert_true(site_is_serving(site));
    assert_int_equal(hints(site), 60);
    machine_set_quota(machine, UINT64_MAX);
    wait_until_handed_off(site);
    site_free(site);
}

// What was deleted and purged while a stand-in that kept it was down is not brought back by it.
static void a_late_hint_brings_back_nothing_that_was_purged(void **state) {
    (void)state;
    struct site *site = site_new(MEMBERS, NULL);
    char keys[KEYS][16];
    uint32_t next = 0;
    // No copies at 0, so that it may stand in for 4.
    for (uint32_t i = 0; i < KEYS; i++) {
        do {
            find_key(site, &next, 0, false, 4, true, keys[i]);
        } while (shares_group(site, keys[i], 0));
    }
    cluster_kill(&site->cluster, 4);
    site_wait(site, 20 * NS_PER_SECOND);
    struct talker *t = site_talker(site, 1, false);
    expect_dialogue(site, t, "CONSISTENCY WRITE SLOPPY\r\n", "+OK\r\n");
    say_all(site, t, "SET", keys, " v", "+OK\r\n");
    uint64_t kept = node_hints(node_at(site, 0)).key_count;
    assert_in_range(kept, 1, KEYS);
    cluster_kill(&site->cluster, 0);
    cluster_start(&site->cluster, 4);
    site_wait(site, 20 * NS_PER_SECOND);
    expect_dialogue(site, t, "RESET\r\n", "+RESET\r\n");
    say_all(site, t, "DEL", keys, "", ":1\r\n");
    site_wait(site, 60 * NS_PER_SECOND);
    for (uint32_t i = 1; i < MEMBERS; i++) {
        assert_int_equal(node_store_stats(node_at(site, i)).key_count, 0);
    }
    cluster_start(&site->cluster, 0);
    wait_until_handed_off(site);
    assert_int_equal(node_stats(node_at(site, 0)).hints_dropped, kept);
    site_wait(site, 60 * NS_PER_SECOND);
    say_all(site, t, "GET", keys, "", "$-1\r\n");
    for (uint32_t i = 0; i < MEMBERS; i++) {
        assert_int_equal(node_store_stats(node_at(site, i)).key_count, 0);
    }
    site_free(site);
}

static void small_segments(struct node_options *node, struct server_options *server) {
    (void)server;
    node->store.segment_size = (uint64_t)4 << 20;
}

// Of who keeps hints and whose disk is full.
static void hints_on_a_full_disk_go_all_the_same(void **state) {
    (void)state;
    struct site *site = site_new(3, small_segments);
    struct talker *t = site_talker(site, 0, false);
    cluster_kill(&site->cluster, 2);
    site_wait(site, 20 * NS_PER_SECOND);
    for (uint32_t i = 0; i < 100; i++) {
        char key[16];
        (void)snprintf(key, sizeof(key), "key%u", i);
        say(site, t, "SET", key, " v", "+OK\r\n");
    }
    machine_set_quota(site->cluster.processes[0].machine, 1);
    site_wait(site, 60 * NS_PER_SECOND);
    assert_true(node_store_stats(node_at(site, 0)).is_full);
    assert_int_equal(node_hints(node_at(site, 0)).key_count, 100);
    cluster_start(&site->cluster, 2);
    wait_until_handed_off(site);
    assert_int_equal(handed(site), 100);
    site_free(site);
}

// Of one of three; whoever is asked has the others take what it cannot.
static void where_one_disk_is_full_the_others_are_written(void **state) {
    (void)state;
    const char *troubles = "$8\r\ntroubles\r\n$4\r\nfull\r\n";
    struct site *site = site_new(3, small_segments);
    assert_null(strstr(answer_to(site, site_talker(site, 1, false), "QUOIT STATUS\r\n"), troubles));
    machine_set_quota(site->cluster.processes[0].machine, 1);
    site_wait(site, 60 * NS_PER_SECOND);
    assert_true(node_store_stats(node_at(site, 0)).is_full);
    expect_part(answer_to(site, site_talker(site, 1, false), "QUOIT STATUS\r\n"), troubles);
    for (uint32_t member = 0; member < 3; member++) {
        struct talker *t = site_talker(site, member, false);
        for (uint32_t i = 0; i < KEYS; i++) {
            char key[16];
            (void)snprintf(key, sizeof(key), "key%u", i);
            say(site, t, "SET", key, " v", "+OK\r\n");
            say(site, t, "GET", key, "", "$1\r\nv\r\n");
        }
        expect_dialogue(site, t, "CONSISTENCY WRITE ALL\r\n", "+OK\r\n");
        expect_part(answer_to(site, t, "SET key v\r\n"), "-UNKNOWN");
    }
    for (uint32_t i = 1; i < 3; i++) machine_set_quota(site->cluster.processes[i].machine, 1);
    site_wait(site, 60 * NS_PER_SECOND);
    for (uint32_t member = 0; member < 3; member++) {
        struct talker *t = site_talker(site, member, false);
        expect_part(answer_to(site, t, "SET key w\r\n"), "-DISKFULL");
    }
    site_free(site);
}

// Two have a copy; the third is asked, and asks one of them after the other.
static void a_full_disk_is_not_the_last_word_of_who_is_asked_for_it(void **state) {
    (void)state;
    struct site *site = site_new(MEMBERS, small_segments);
    char key[16];
    uint32_t next = 0;
    do {
        find_key(site, &next, 4, false, 4, false, key);
    } while (run_of(site, key)->replicas[0].member != 0);
    machine_set_quota(site->cluster.processes[0].machine, 1);
    site_wait(site, 60 * NS_PER_SECOND);
    struct talker *t = site_talker(site, 4, false);
    say(site, t, "SET", key, " v", "+OK\r\n");
    say(site, t, "GET", key, "", "$1\r\nv\r\n");
    site_free(site);
}

// One is down, and one has lost its disk and mends: they are two that cannot be asked.
static void one_that_mends_is_stood_in_for_also_where_it_is_asked(void **state) {
    (void)state;
    struct site *site = site_new(MEMBERS, NULL);
    char keys[KEYS][16];
    uint32_t next = 0;
    for (uint32_t i = 0; i < KEYS; i++) {
        do {
            find_key(site, &next, 1, true, 2, true, keys[i]);
        } while (has_copy(site, keys[i], 4));
    }
    struct talker *t = site_talker(site, 0, false);
    say_all(site, t, "SET", keys, " v", "+OK\r\n");
    cluster_kill(&site->cluster, 2);
    cluster_kill(&site->cluster, 1);
    machine_wipe(site->cluster.processes[1].machine);
    cluster_start(&site->cluster, 1);
    site_wait(site, 30 * NS_PER_SECOND);
    expect_dialogue(site, t, "QUOIT REPLACE n2\r\n", "+OK\r\n");
    site_wait(site, 30 * NS_PER_SECOND);
    assert_int_equal(node_member(node_at(site, 0), 1)->state, MEMBER_MENDING);
    cluster_kill(&site->cluster, 4); // one replica and one who can stand in are left
    site_wait(site, 20 * NS_PER_SECOND);
    for (uint32_t i = 0; i < 2; i++) {
        struct talker *other = site_talker(site, i, false);
        expect_dialogue(site, other, "CONSISTENCY READ SLOPPY WRITE SLOPPY\r\n", "+OK\r\n");
        say_all(site, other, "GET", keys, "", "$1\r\nv\r\n");
        say_all(site, other, "SET", keys, " v", "+OK\r\n");
    }
    site_free(site);
}

static void nothing_is_mended(struct node_options *node, struct server_options *server) {
    never_compared(node, server);
    node->hints_max = 0;
}

// What one replica has missed, and another one has, is not looked for with who stands in for a
// third.
static void replicas_are_asked_before_who_stands_in(void **state) {
    (void)state;
    struct site *site = site_new(MEMBERS, nothing_is_mended);
    char keys[KEYS][16];
    uint32_t next = 0;
    for (uint32_t i = 0; i < KEYS; i++) {
        const struct map_run *run;
        do { // the one who is stood in for would be asked before the one who has it
            find_key(site, &next, 4, true, 2, true, keys[i]);
            run = run_of(site, keys[i]);
        } while (has_copy(site, keys[i], 0) || has_copy(site, keys[i], 1) ||
                 run->replicas[2].member == 4 || run->replicas[2].member == 2);
    }
    struct talker *t = site_talker(site, 0, false);
    world_isolate(site->world, site->cluster.processes[2].machine);
    site_wait(site, 20 * NS_PER_SECOND);
    say_all(site, t, "SET", keys, " v", "+OK\r\n");
    // All but the third hear it again: nothing is compared.
    world_rejoin(site->world, site->cluster.processes[2].machine);
    site_cut(site, 2, 3);
    cluster_kill(&site->cluster, 4);
    site_wait(site, 20 * NS_PER_SECOND);
    for (uint32_t i = 0; i < KEYS; i++) assert_false(holds(site, 2, keys[i]));
    expect_dialogue(site, t, "CONSISTENCY READ SLOPPY\r\n", "+OK\r\n");
    say_all(site, t, "GET", keys, "", "$1\r\nv\r\n");
    site_free(site);
}

static void little_room(struct node_options *node, struct server_options *server) {
    (void)server;
    node->hints_max = 2000;
}

// What there is no room for is not kept, and nothing is dropped for it.
static void without_room_a_stand_in_refuses(void **state) {
    (void)state;
    struct site *site = site_new(MEMBERS, little_room);
    char key[16];
    uint32_t next = 0;
    cluster_kill(&site->cluster, 3);
    cluster_kill(&site->cluster, 4);
    site_wait(site, 20 * NS_PER_SECOND);
    struct talker *t = site_talker(site, 0, false);
    expect_dialogue(site, t, "CONSISTENCY WRITE SLOPPY\r\n", "+OK\r\n");
    for (uint32_t i = 0; i < KEYS; i++) {
        find_key(site, &next, 3, true, 4, true, key);
        char words[800];
        (void)snprintf(words, sizeof(words), "SET %s value-of-some-length-%040u\r\n", key, i);
        expect_dialogue(site, t, words, "+OK\r\n"); // on fewer hosts
    }
    uint64_t refused = 0;
    for (uint32_t i = 0; i < 3; i++) refused += node_stats(node_at(site, i)).hints_refused;
    assert_in_range(refused, 1, 2 * KEYS);
    for (uint32_t i = 0; i < 3; i++) assert_in_range(node_hints(node_at(site, i)).size, 0, 2000);
    assert_true(hints(site) > 0);
    site_free(site);
}

// Two replicas write, one after the other; the word of the first comes to the stand-in when both
// have been acknowledged. The second knew of the first.
static void a_late_hint_takes_nothing_from_what_was_written_since(void **state) {
    (void)state;
    struct site *site = site_new(MEMBERS, never_compared);
    char key[16];
    uint32_t next = 0;
    uint32_t writers[2];
    uint32_t writer_count = 0;
    find_key(site, &next, 3, true, 0, false, key);
    for (uint32_t i = 1; i < MEMBERS; i++) {
        if (i != 3 && has_copy(site, key, i)) writers[writer_count++] = i;
    }
    assert_int_equal(writer_count, 2);
    cluster_kill(&site->cluster, 3);
    site_wait(site, 20 * NS_PER_SECOND);
    struct talker *talkers[2];
    for (uint32_t i = 0; i < 2; i++) {
        talkers[i] = site_talker(site, writers[i], false);
        expect_dialogue(site, talkers[i], "CONSISTENCY WRITE SLOPPY\r\n", "+OK\r\n");
    }
    const struct machine *first = site->cluster.processes[writers[0]].machine;
    for (uint32_t i = 0; i < MEMBERS; i++) {
        const struct machine *other = site->cluster.processes[i].machine;
        if (!has_copy(site, key, i)) world_set_distance(site->world, first, other, NS_PER_SECOND);
    }
    say(site, talkers[0], "SET", key, " early", "+OK\r\n");
    assert_int_equal(hints(site), 0);
    say(site, talkers[1], "SET", key, " since", "+OK\r\n");
    assert_int_equal(hints(site), 1);
    site_wait(site, 3 * NS_PER_SECOND);
    assert_int_equal(hints(site), 1);
    for (uint32_t i = 0; i < 2; i++) cluster_kill(&site->cluster, writers[i]);
    cluster_start(&site->cluster, 3);
    site_wait(site, 20 * NS_PER_SECOND);
    assert_int_equal(hints(site), 0);
    struct talker *t = site_talker(site, 3, false);
    expect_dialogue(site, t, "CONSISTENCY READ ONE\r\n", "+OK\r\n");
    say(site, t, "GET", key, "", "$5\r\nsince\r\n");
    site_free(site);
}

// A few of what a stand-in keeps cannot be read any more, in the midst of the others.
static void what_is_lost_of_hints_is_said_and_made_good_by_comparing(void **state) {
    (void)state;
    enum { MANY = 300, ROTTEN = 100 };
    struct site *site = site_new(MEMBERS, small_flushes);
    char keys[MANY][16];
    uint32_t next = 0;
    for (uint32_t i = 0; i < MANY; i++) find_key(site, &next, 3, true, 0, false, keys[i]);
    cluster_kill(&site->cluster, 3);
    site_wait(site, 20 * NS_PER_SECOND);
    struct talker *t = site_talker(site, 1, false);
    expect_dialogue(site, t, "CONSISTENCY WRITE SLOPPY\r\n", "+OK\r\n");
    char value[256];
    (void)snprintf(value, sizeof(value), " v%0200u", 0);
    for (uint32_t i = 0; i < MANY; i++) say(site, t, "SET", keys[i], value, "+OK\r\n");
    site_wait(site, 10 * NS_PER_SECOND);
    uint64_t kept = node_hints(node_at(site, 0)).key_count;
    cluster_kill(&site->cluster, 0);
    uint32_t rotten = 0;
    for (uint32_t i = ROTTEN; i < MANY && rotten < 1; i++) rotten += rot_at(site, 0, keys[i]);
    assert_int_equal(rotten, 1);
    cluster_start(&site->cluster, 0);
    cluster_start(&site->cluster, 3);
    wait_until_handed_off(site);
    assert_true(node_store_stats(node_at(site, 0)).damaged > 0);
    uint64_t came = node_stats(node_at(site, 0)).hints_handed;
    assert_in_range(came, kept / 2, kept - 1);
    site_wait(site, 20 * NS_PER_SECOND);
    for (uint32_t i = 0; i < MANY; i++) assert_true(holds(site, 3, keys[i]));
    assert_int_equal(node_member(node_at(site, 0), 0)->state, MEMBER_SERVING);
    site_free(site);
}

int handoff_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(what_stand_ins_keep_counts_is_read_and_comes_home),
        cmocka_unit_test(a_stand_in_alone_has_it_and_keeps_it_through_a_loss_of_power),
        cmocka_unit_test(an_answer_of_a_stand_in_means_that_it_is_durable),
        cmocka_unit_test(nobody_stands_in_on_the_host_of_a_replica),
        cmocka_unit_test(strict_writes_leave_hints_that_do_not_count),
        cmocka_unit_test(hints_for_keys_that_were_all_dropped_go),
        cmocka_unit_test(what_is_refused_is_kept),
        cmocka_unit_test(who_takes_nothing_does_not_keep_others_from_theirs),
        cmocka_unit_test(a_late_hint_brings_back_nothing_that_was_purged),
        cmocka_unit_test(hints_on_a_full_disk_go_all_the_same),
        cmocka_unit_test(where_one_disk_is_full_the_others_are_written),
        cmocka_unit_test(a_full_disk_is_not_the_last_word_of_who_is_asked_for_it),
        cmocka_unit_test(one_that_mends_is_stood_in_for_also_where_it_is_asked),
        cmocka_unit_test(without_room_a_stand_in_refuses),
        cmocka_unit_test(replicas_are_asked_before_who_stands_in),
        cmocka_unit_test(a_late_hint_takes_nothing_from_what_was_written_since),
        cmocka_unit_test(what_is_lost_of_hints_is_said_and_made_good_by_comparing),
    };
    return cmocka_run_group_tests_name("handoff", cases, NULL, NULL);
}
