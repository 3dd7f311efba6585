// SPDX-License-Identifier: Apache-2.0
//
// Tombstones go when all replicas hold them, not before, and what they hid stays away.
#include "node/node.h"
#include "sim/session_case.h"

enum { MEMBERS = 3, KEYS = 300 };

static uint64_t records_at(const struct site *site, uint32_t member) {
    const struct node *node = cluster_node(&site->cluster, member);
    return node == NULL ? 0 : node_store_stats(node).key_count;
}

static uint64_t records(const struct site *site) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < MEMBERS; i++) sum += records_at(site, i);
    return sum;
}

// Says the same of the keys from the first on.
static void say_all(struct site *site, struct talker *t, uint32_t first, uint32_t count,
                    const char *verb, const char *rest, const char *answer) {
    for (uint32_t i = first; i < first + count; i++) {
        char words[64];
        (void)snprintf(words, sizeof(words), "%s key%u%s\r\n", verb, i, rest);
        expect_dialogue(site, t, words, answer);
    }
}

static void wait_until_gone(struct site *site, uint64_t longest_ns) {
    uint64_t until = world_now(site->world) + longest_ns;
    while (world_now(site->world) < until && records(site) > 0) site_wait(site, 100 * NS_PER_MS);
    assert_int_equal(records(site), 0);
}

static void of_deleted_keys_nothing_is_left(void **state) {
    (void)state;
    struct site *site = site_new(MEMBERS, NULL);
    struct talker *t = site_talker(site, 0, false);
    say_all(site, t, 0, KEYS, "SET", " value", "+OK\r\n");
    say_all(site, t, 0, KEYS, "DEL", "", ":1\r\n");
    wait_until_gone(site, 30 * NS_PER_SECOND);
    uint64_t purged = 0;
    for (uint32_t i = 0; i < MEMBERS; i++) {
        purged += node_stats(cluster_node(&site->cluster, i)).purged;
    }
    assert_int_equal(purged, MEMBERS * KEYS);
    // What is written then is found, and so it is after a second time.
    for (int round = 0; round < 2; round++) {
        say_all(site, t, 0, 20, "SET", " again", "+OK\r\n");
        say_all(site, t, 0, 20, "GET", "", "$5\r\nagain\r\n");
        assert_int_equal(records(site), MEMBERS * 20);
        say_all(site, t, 0, 20, "DEL", "", ":1\r\n");
        wait_until_gone(site, 30 * NS_PER_SECOND);
    }
    site_free(site);
}

// All in one slot, and so in one partition.
static void more_than_one_round_takes_go_in_several(void **state) {
    (void)state;
    enum { MANY = 3 * 512, BATCH = 64 };
    struct site *site = site_new(MEMBERS, NULL);
    struct talker *t = site_talker(site, 1, false);
    char *words = malloc(WORDS_MAX);
    for (uint32_t verb = 0; verb < 2; verb++) {
        for (uint32_t i = 0; i < MANY; i += BATCH) {
            (void)strcpy(words, verb == 0 ? "MSET" : "DEL");
            for (uint32_t j = i; j < i + BATCH; j++) {
                words_add(words, verb == 0 ? " {t}key%u v" : " {t}key%u", j);
            }
            words_add(words, "\r\n");
            expect_dialogue(site, t, words, verb == 0 ? "+OK\r\n" : ":64\r\n");
        }
    }
    assert_int_equal(records(site), (uint64_t)MEMBERS * MANY);
    wait_until_gone(site, 30 * NS_PER_SECOND);
    free(words);
    site_free(site);
}

static void one_alone_purges_what_is_its_own(void **state) {
    (void)state;
    struct site *site = site_new(1, NULL);
    struct talker *t = site_talker(site, 0, false);
    say_all(site, t, 0, KEYS, "SET", " value", "+OK\r\n");
    say_all(site, t, 0, KEYS, "DEL", "", ":1\r\n");
    site_wait(site, 10 * NS_PER_SECOND);
    assert_int_equal(records_at(site, 0), 0);
    site_free(site);
}

static void slowly(struct node_options *node, struct server_options *server) {
    (void)server;
    node->gossip_ns = 8 * NS_PER_SECOND;
    node->suspect_ns = 40 * NS_PER_SECOND;
    node->purge_ns = 60 * NS_PER_SECOND;
}

// Days of outage, and thirty of them in a full run: what was deleted and written again meanwhile is
// what it is afterwards.
static void while_a_replica_is_away_nothing_goes(void **state) {
    (void)state;
    struct site *site = site_new(MEMBERS, slowly);
    struct talker *t = site_talker(site, 0, false);
    say_all(site, t, 0, KEYS, "SET", " value", "+OK\r\n");
    cluster_kill(&site->cluster, 2);
    say_all(site, t, 0, KEYS, "DEL", "", ":1\r\n");
    say_all(site, t, 0, 20, "SET", " again", "+OK\r\n");
    site_wait(site, test_share(30, 1) * 24 * 3600 * NS_PER_SECOND);
    assert_int_equal(records_at(site, 0), KEYS);
    assert_int_equal(records_at(site, 1), KEYS);
    uint32_t blocked = 0;
    for (uint32_t i = 0; i < 2; i++) {
        struct node_purge purge = node_purge_state(cluster_node(&site->cluster, i));
        blocked += purge.blocked;
        if (purge.blocked > 0) assert_string_equal(purge.waits_for, "n3");
    }
    assert_in_range(blocked, 1, KEYS);

    cluster_start(&site->cluster, 2);
    site_wait(site, 900 * NS_PER_SECOND);
    for (uint32_t i = 0; i < MEMBERS; i++) assert_int_equal(records_at(site, i), 20);
    say_all(site, t, 0, 20, "GET", "", "$5\r\nagain\r\n");
    site_free(site);
}

static uint32_t mending(const struct site *site) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < MEMBERS; i++) {
        const struct node *node = cluster_node(&site->cluster, i);
        count += node_member(node, i)->state == MEMBER_MENDING;
    }
    return count;
}

static void a_restart_forgets_no_round(void **state) {
    (void)state;
    struct site *site = site_new(MEMBERS, NULL);
    struct cluster *cluster = &site->cluster;
    struct talker *t = site_talker(site, 0, false);
    say_all(site, t, 0, KEYS, "SET", " value", "+OK\r\n");
    say_all(site, t, 0, KEYS, "DEL", "", ":1\r\n");
    wait_until_gone(site, 30 * NS_PER_SECOND);
    struct actor before = store_actor(node_store(cluster_node(cluster, 2)));
    cluster_kill(cluster, 2);
    cluster_start(cluster, 2);
    site_wait(site, 5 * NS_PER_SECOND);
    assert_int_equal(mending(site), 0);
    struct actor after = store_actor(node_store(cluster_node(cluster, 2)));
    assert_int_equal(after.epoch, before.epoch); // or it took itself for an older copy
    site_free(site);
}

// One member is given the disk that it had before the keys were deleted, or before they were there.
static void an_older_copy_brings_nothing_back(void **state) {
    (void)state;
    struct site *site = site_new(MEMBERS, NULL);
    struct cluster *cluster = &site->cluster;
    struct talker *t = site_talker(site, 0, false);
    struct machine *machine = cluster->processes[2].machine;
    say_all(site, t, 0, KEYS, "SET", " value", "+OK\r\n");
    site_wait(site, 5 * NS_PER_SECOND);
    struct disk *copy = disk_copy(machine_disk(machine));
    say_all(site, t, 0, KEYS - 50, "DEL", "", ":1\r\n");
    site_wait(site, 20 * NS_PER_SECOND);
    assert_int_equal(records(site), MEMBERS * 50);
    cluster_kill(cluster, 2);
    machine_restore(machine, copy);
    disk_destroy(copy);
    say_all(site, t, 0, 20, "SET", " again", "+OK\r\n");
    cluster_start(cluster, 2);
    site_wait(site, 60 * NS_PER_SECOND);
    assert_int_equal(mending(site), 0);
    assert_int_equal(records(site), MEMBERS * 70);
    say_all(site, t, 0, 20, "GET", "", "$5\r\nagain\r\n");
    say_all(site, t, 20, KEYS - 70, "GET", "", "$-1\r\n");
    site_free(site);
}

// Two of three at once: what they hold alike is not there for that.
static void two_older_copies_bring_nothing_back(void **state) {
    (void)state;
    struct site *site = site_new(MEMBERS, NULL);
    struct cluster *cluster = &site->cluster;
    struct talker *t = site_talker(site, 0, false);
    struct disk *copies[MEMBERS] = {NULL};
    say_all(site, t, 0, KEYS, "SET", " value", "+OK\r\n");
    site_wait(site, 5 * NS_PER_SECOND);
    for (uint32_t i = 1; i < MEMBERS; i++) {
        copies[i] = disk_copy(machine_disk(cluster->processes[i].machine));
    }
    say_all(site, t, 0, KEYS - 50, "DEL", "", ":1\r\n");
    site_wait(site, 20 * NS_PER_SECOND);
    assert_int_equal(records(site), MEMBERS * 50);
    for (uint32_t i = 1; i < MEMBERS; i++) {
        cluster_kill(cluster, i);
        machine_restore(cluster->processes[i].machine, copies[i]);
        disk_destroy(copies[i]);
    }
    for (uint32_t i = 1; i < MEMBERS; i++) {
        cluster_start(cluster, i);
        site_wait(site, (uint64_t)i * 200 * NS_PER_MS); // so that one is done before the other
    }
    site_wait(site, 60 * NS_PER_SECOND);
    assert_int_equal(mending(site), 0);
    assert_int_equal(records(site), MEMBERS * 50);
    say_all(site, t, 0, KEYS - 50, "GET", "", "$-1\r\n");
    say_all(site, t, KEYS - 50, 50, "GET", "", "$5\r\nvalue\r\n");
    site_free(site);
}

static void synced_at_intervals(struct node_options *node, struct server_options *server) {
    (void)server;
    node->store.sync_interval_ns = 200 * NS_PER_MS;
}

// Two of three lose what their disks have not synced: of the purge, or of the tombstone before it.
static void a_loss_of_power_amid_a_purge_brings_nothing_back(bool is_late) {
    struct site *site = site_new(MEMBERS, is_late ? synced_at_intervals : NULL);
    struct cluster *cluster = &site->cluster;
    struct talker *t = site_talker(site, 0, false);
    for (uint64_t round = 0; round < 10; round++) {
        say_all(site, t, 0, 30, "SET", " value", "+OK\r\n");
        say_all(site, t, 0, 30, "DEL", "", ":1\r\n");
        site_wait(site, (100 + 60 * round) * NS_PER_MS); // amid a purge, or about
        for (uint32_t i = 1; i < MEMBERS; i++) cluster_power_loss(cluster, i);
        for (uint32_t i = 1; i < MEMBERS; i++) cluster_start(cluster, i);
        site_wait(site, 10 * NS_PER_SECOND);
        say_all(site, t, 0, 30, "GET", "", "$-1\r\n");
        wait_until_gone(site, 20 * NS_PER_SECOND);
    }
    site_free(site);
}

static void with_syncs_at_once(void **state) {
    (void)state;
    a_loss_of_power_amid_a_purge_brings_nothing_back(false);
}

static void with_syncs_at_intervals(void **state) {
    (void)state;
    a_loss_of_power_amid_a_purge_brings_nothing_back(true);
}

static void what_has_expired_goes_and_nothing_else(void **state) {
    (void)state;
    struct site *site = site_new(MEMBERS, NULL);
    struct talker *t = site_talker(site, 0, false);
    say_all(site, t, 0, 100, "SET", " value", "+OK\r\n");
    say_all(site, t, 100, 100, "SET", " value PX 20000", "+OK\r\n");
    say_all(site, t, 200, 100, "SET", " value PX 600000", "+OK\r\n");
    say_all(site, t, 100, 30, "PERSIST", "", ":1\r\n");
    site_wait(site, 10 * NS_PER_SECOND);
    assert_int_equal(records(site), MEMBERS * 300);
    say_all(site, t, 230, 20, "PEXPIRE", " 20000", ":1\r\n"); // all was gone through before
    site_wait(site, 60 * NS_PER_SECOND);
    assert_int_equal(records(site), MEMBERS * 210);
    say_all(site, t, 0, 130, "GET", "", "$5\r\nvalue\r\n");
    say_all(site, t, 130, 70, "GET", "", "$-1\r\n");
    say_all(site, t, 200, 30, "GET", "", "$5\r\nvalue\r\n");
    site_wait(site, 700 * NS_PER_SECOND);
    assert_int_equal(records(site), MEMBERS * 130);
    site_free(site);
}

// When something expires is known anew after a start, and the clock goes on from where it was.
static void what_expires_while_all_are_down_goes_after_a_start(void **state) {
    (void)state;
    struct site *site = site_new(MEMBERS, NULL);
    struct cluster *cluster = &site->cluster;
    struct talker *t = site_talker(site, 0, false);
    say_all(site, t, 0, 100, "SET", " value PX 60000", "+OK\r\n");
    say_all(site, t, 100, 100, "SET", " value", "+OK\r\n");
    for (uint32_t i = 0; i < MEMBERS; i++) cluster_kill(cluster, i);
    site_wait(site, 600 * NS_PER_SECOND);
    for (uint32_t i = 0; i < MEMBERS; i++) cluster_start(cluster, i);
    site_wait(site, 700 * NS_PER_SECOND);
    assert_int_equal(records(site), MEMBERS * 100);
    site_free(site);
}

static void step_clocks(struct site *site, int64_t ms) {
    for (uint32_t i = 0; i < MEMBERS; i++) {
        machine_step_wall(site->cluster.processes[i].machine, ms);
    }
}

static void a_step_of_all_clocks_by_a_year_destroys_nothing(void **state) {
    (void)state;
    const int64_t year_ms = INT64_C(365) * 86400 * 1000;
    struct site *site = site_new(MEMBERS, NULL);
    struct talker *t = site_talker(site, 0, false);
    say_all(site, t, 0, 100, "SET", " value EX 86400", "+OK\r\n");
    site_wait(site, 20 * NS_PER_SECOND);
    step_clocks(site, year_ms);
    site_wait(site, 3600 * NS_PER_SECOND);
    say_all(site, t, 0, 100, "GET", "", "$-1\r\n");
    assert_int_equal(records(site), MEMBERS * 100);
    step_clocks(site, -year_ms);
    site_wait(site, 20 * NS_PER_SECOND);
    say_all(site, t, 0, 100, "GET", "", "$5\r\nvalue\r\n");
    site_free(site);
}

static void patiently(struct node_options *node, struct server_options *server) {
    (void)server;
    node->timeout_ns = 60 * NS_PER_SECOND;
}

// A tag of keys that are not for n1 to propose a purge of.
static void find_tag(const struct site *site, char name[16]) {
    const struct node *node = cluster_node(&site->cluster, 0);
    for (uint32_t i = 0; i < 1000; i++) {
        (void)snprintf(name, 16, "{t%u}", i);
        const struct map_run *run = map_run_of(node_map(node), slot_of(slice_of_string(name)));
        if (run->replicas[0].member != node_self(node)) return;
    }
    fail();
}

// The clocks of n2 and n3 are ahead: in each round they agree to have something purged that is
// later than what n1 writes, and that n1 does not agree to. Such rounds begin while the disk of n1
// has what it writes, and both refuse it at first.
static void whoever_refuses_what_is_older_than_a_round_is_sent_it_again(void **state) {
    (void)state;
    struct site *site = site_new(MEMBERS, patiently);
    for (uint32_t i = 1; i < MEMBERS; i++) {
        machine_step_wall(site->cluster.processes[i].machine, INT64_C(3600000));
    }
    char tag[16];
    find_tag(site, tag);
    char words[64];
    struct talker *ahead = site_talker(site, 1, false);
    (void)snprintf(words, sizeof(words), "SET %sdead v\r\nDEL %sdead\r\n", tag, tag);
    expect_dialogue(site, ahead, words, "+OK\r\n:1\r\n");
    struct talker *t = site_talker(site, 0, false);
    expect_dialogue(site, t, "CONSISTENCY WRITE ALL\r\n", "+OK\r\n");
    site_wait(site, 5 * NS_PER_SECOND);
    (void)snprintf(words, sizeof(words), "SET %skey v\r\n", tag);
    machine_slow_disk(site->cluster.processes[0].machine, 1000);
    for (uint32_t i = 0; i < 10; i++) expect_dialogue(site, t, words, "+OK\r\n");
    site_free(site);
}

enum { MANY = 5 };

// Of a key: members with copies, and one of its group of slots that has none.
struct party {
    const char *key;
    bool has_copy[MANY];
    uint32_t holder;
    uint32_t bystander;
};

static struct party find_party(const struct site *site, char name[16]) {
    const struct map *map = node_map(cluster_node(&site->cluster, 0));
    for (uint32_t next = 0; next < 1000; next++) {
        (void)snprintf(name, 16, "key%u", next);
        uint32_t slot = slot_of(slice_of_string(name));
        struct party party = {.key = name, .bystander = MANY};
        const struct map_run *run = map_run_of(map, (uint16_t)slot);
        for (uint32_t i = 0; i < run->replica_count; i++) {
            party.holder = run->replicas[i].member;
            party.has_copy[party.holder] = true;
        }
        uint32_t begin = slot - slot % GROUP_SLOTS;
        for (slot = begin; slot < begin + GROUP_SLOTS; slot++) {
            const struct map_run *other = map_run_of(map, (uint16_t)slot);
            for (uint32_t i = 0; i < other->replica_count; i++) {
                uint32_t member = other->replicas[i].member;
                if (!party.has_copy[member]) party.bystander = member;
            }
        }
        if (party.bystander < MANY) return party;
    }
    fail();
    return (struct party){0};
}

static uint64_t copies(const struct site *site) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < MANY; i++) sum += records_at(site, i);
    return sum;
}

static void say_of(struct site *site, struct talker *t, const struct party *p, const char *verb,
                   const char *rest, const char *answer) {
    char words[64];
    (void)snprintf(words, sizeof(words), "%s %s%s\r\n", verb, p->key, rest);
    expect_dialogue(site, t, words, answer);
}

// What was purged it hears of from one that had no copy of it.
static void an_older_copy_is_told_by_who_has_no_copy(void **state) {
    (void)state;
    char name[16];
    struct site *site = site_new(MANY, NULL);
    struct cluster *cluster = &site->cluster;
    struct party p = find_party(site, name);
    struct machine *machine = cluster->processes[p.holder].machine;
    struct talker *t = site_talker(site, p.bystander, false);
    say_of(site, t, &p, "SET", " value", "+OK\r\n");
    site_wait(site, 5 * NS_PER_SECOND);
    struct disk *copy = disk_copy(machine_disk(machine));
    say_of(site, t, &p, "DEL", "", ":1\r\n");
    site_wait(site, 20 * NS_PER_SECOND);
    assert_int_equal(copies(site), 0);
    cluster_kill(cluster, p.holder);
    machine_restore(machine, copy);
    disk_destroy(copy);
    const struct machine *bystander = cluster->processes[p.bystander].machine;
    world_isolate(site->world, machine);
    world_set_link(site->world, machine, bystander, true);
    world_set_link(site->world, bystander, machine, true);
    cluster_start(cluster, p.holder);
    site_wait(site, 5 * NS_PER_SECOND);
    assert_int_equal(copies(site), 1);
    world_heal(site->world);
    site_wait(site, 60 * NS_PER_SECOND);
    assert_int_equal(copies(site), 0);
    say_of(site, t, &p, "GET", "", "$-1\r\n");
    site_free(site);
}

// The clocks of those with copies are ahead. What is still to come for one of the same group is not
// purged, or it would have to make all that it writes as late.
static void what_is_ahead_of_who_has_no_copy_stays(void **state) {
    (void)state;
    char name[16];
    struct site *site = site_new(MANY, NULL);
    struct cluster *cluster = &site->cluster;
    struct party p = find_party(site, name);
    for (uint32_t i = 0; i < MANY; i++) {
        if (p.has_copy[i]) machine_step_wall(cluster->processes[i].machine, INT64_C(3600000));
    }
    struct talker *t = site_talker(site, p.bystander, false);
    say_of(site, t, &p, "SET", " value", "+OK\r\n");
    say_of(site, t, &p, "DEL", "", ":1\r\n");
    site_wait(site, 20 * NS_PER_SECOND);
    assert_int_equal(copies(site), REPLICATION_DEFAULT);
    uint32_t blocked = 0;
    for (uint32_t i = 0; i < MANY; i++) {
        struct node_purge purge = node_purge_state(cluster_node(cluster, i));
        blocked += purge.blocked;
        if (purge.blocked > 0) assert_int_not_equal(purge.waits_for[0], '\0');
    }
    assert_int_equal(blocked, 1);
    for (uint32_t i = 0; i < MANY; i++) {
        if (!p.has_copy[i]) machine_step_wall(cluster->processes[i].machine, INT64_C(3600000));
    }
    site_wait(site, 20 * NS_PER_SECOND);
    assert_int_equal(copies(site), 0);
    site_free(site);
}

int purge_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(of_deleted_keys_nothing_is_left),
        cmocka_unit_test(more_than_one_round_takes_go_in_several),
        cmocka_unit_test(one_alone_purges_what_is_its_own),
        cmocka_unit_test(while_a_replica_is_away_nothing_goes),
        cmocka_unit_test(a_restart_forgets_no_round),
        cmocka_unit_test(an_older_copy_brings_nothing_back),
        cmocka_unit_test(two_older_copies_bring_nothing_back),
        cmocka_unit_test(an_older_copy_is_told_by_who_has_no_copy),
        cmocka_unit_test(what_is_ahead_of_who_has_no_copy_stays),
        cmocka_unit_test(what_has_expired_goes_and_nothing_else),
        cmocka_unit_test(what_expires_while_all_are_down_goes_after_a_start),
        cmocka_unit_test(a_step_of_all_clocks_by_a_year_destroys_nothing),
        cmocka_unit_test(with_syncs_at_once),
        cmocka_unit_test(with_syncs_at_intervals),
        cmocka_unit_test(whoever_refuses_what_is_older_than_a_round_is_sent_it_again),
    };
    return cmocka_run_group_tests_name("purge", cases, NULL, NULL);
}
