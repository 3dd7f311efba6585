// SPDX-License-Identifier: Apache-2.0
//
// Members that stood still, or whose disk did, while others asked them for something: they do not
// do what nobody waits for any more.
#include "base/text.h"
#include "node/node.h"
#include "sim/session_case.h"

enum { MEMBERS = 5 };

// Of a key that the first member, who is asked, has no copy of.
struct copies {
    struct site *site;
    struct talker *t;
    char key[16];
    uint32_t holders[3];
};

static struct copies begin(uint32_t members) {
    struct copies c = {.site = site_new(members, NULL)};
    c.t = site_talker(c.site, 0, false);
    const struct map *map = node_map(cluster_node(&c.site->cluster, 0));
    for (uint32_t i = 0; c.key[0] == '\0'; i++) {
        char key[16];
        (void)snprintf(key, sizeof(key), "key%u", i);
        const struct map_run *run = map_run_of(map, slot_of(slice_of_string(key)));
        if (members > 3 && map_place_in(run, 0) < REPLICAS_MAX) continue;
        memcpy(c.key, key, sizeof(c.key));
        for (uint32_t j = 0; j < 3; j++) c.holders[j] = run->replicas[j].member;
    }
    return c;
}

static struct machine *machine_at(const struct copies *c, uint32_t member) {
    return c->site->cluster.processes[member].machine;
}

static void stand_still(const struct copies *c, uint32_t member) {
    machine_pause(machine_at(c, member));
}

static void go_on(const struct copies *c, uint32_t member) {
    machine_resume(machine_at(c, member));
}

static uint64_t late_at(const struct copies *c, uint32_t member) {
    return node_stats(cluster_node(&c->site->cluster, member)).late;
}

static uint64_t keys_at(const struct copies *c, uint32_t member) {
    return node_store_stats(cluster_node(&c->site->cluster, member)).key_count;
}

static void say(const struct copies *c, bool is_write) {
    static char words[64];
    (void)snprintf(words, sizeof(words), is_write ? "SET %s v\r\n" : "GET %s\r\n", c->key);
    talker_say(c->t, words, strlen(words));
}

static const char *heard(const struct copies *c) {
    c->t->heard[c->t->heard_size] = '\0';
    return (const char *)c->t->heard;
}

#define PAUSE_SHORT NS_PER_SECOND          // less than the time-out of a request
#define PAUSE_LONG (5 * NS_PER_SECOND / 2) // more

// The two others of three members stand still while the first asks them.
static struct copies ask_two_that_stand_still(bool is_write, uint64_t pause_ns) {
    struct copies c = begin(3);
    for (uint32_t i = 1; i < 3; i++) stand_still(&c, i);
    say(&c, is_write);
    site_wait(c.site, pause_ns);
    for (uint32_t i = 1; i < 3; i++) go_on(&c, i);
    site_wait(c.site, 2 * NS_PER_MS); // soon they hear of it by comparing what they hold
    return c;
}

static void a_put_is_done_in_time_or_not_at_all(void **state) {
    (void)state;
    struct copies c = ask_two_that_stand_still(true, PAUSE_SHORT);
    assert_string_equal(heard(&c), "+OK\r\n");
    for (uint32_t i = 1; i < 3; i++) {
        assert_int_equal(late_at(&c, i), 0);
        assert_int_equal(keys_at(&c, i), 1);
    }
    site_free(c.site);

    c = ask_two_that_stand_still(true, PAUSE_LONG);
    expect_part(heard(&c), "-UNKNOWN ");
    for (uint32_t i = 1; i < 3; i++) {
        assert_int_equal(late_at(&c, i), 1);
        assert_int_equal(keys_at(&c, i), 0);
    }
    site_free(c.site);
}

static void a_get_is_answered_in_time_or_refused(void **state) {
    (void)state;
    struct copies c = ask_two_that_stand_still(false, PAUSE_SHORT);
    assert_string_equal(heard(&c), "$-1\r\n");
    assert_int_equal(late_at(&c, 1) + late_at(&c, 2), 0);
    site_free(c.site);

    c = ask_two_that_stand_still(false, PAUSE_LONG);
    expect_part(heard(&c), "-NOQUORUM ");
    assert_int_equal(late_at(&c, 1) + late_at(&c, 2), 2);
    assert_int_equal(
        info_number(c.site, site_talker(c.site, 1, false), "INFO\r\n", "late_requests"), 1);
    site_free(c.site);
}

static void a_forwarded_write_is_done_in_time_or_not_at_all(void **state) {
    (void)state;
    struct copies c = begin(MEMBERS);
    uint32_t first = c.holders[0];
    stand_still(&c, first);
    say(&c, true);
    site_wait(c.site, PAUSE_SHORT);
    go_on(&c, first);
    site_wait(c.site, 100 * NS_PER_MS);
    assert_string_equal(heard(&c), "+OK\r\n");
    assert_int_equal(late_at(&c, first), 0);

    uint64_t writes = node_stats(cluster_node(&c.site->cluster, first)).writes;
    site_wait(c.site, 20 * NS_PER_SECOND); // it is prompt again, and asked first
    stand_still(&c, first);
    say(&c, true);
    site_wait(c.site, PAUSE_LONG);
    go_on(&c, first);
    site_wait(c.site, 100 * NS_PER_MS);
    expect_part(heard(&c), "-UNKNOWN ");
    assert_int_equal(late_at(&c, first), 1);
    assert_int_equal(node_stats(cluster_node(&c.site->cluster, first)).writes, writes);
    site_free(c.site);
}

// What all members are asked for: keys, how many there are, those of a tag.
static void lists_and_counts_are_made_in_time_or_not_at_all(void **state) {
    (void)state;
    static const char *const words[] = {"DBSIZE\r\n", "SCAN 0\r\n", "KV.RANGE t - +\r\n"};
    for (uint32_t k = 0; k < 3; k++) {
        for (uint32_t is_late = 0; is_late < 2; is_late++) {
            struct copies c = begin(3);
            for (uint32_t i = 1; i < 3; i++) stand_still(&c, i);
            talker_say(c.t, words[k], strlen(words[k]));
            site_wait(c.site, is_late ? PAUSE_LONG : PAUSE_SHORT);
            for (uint32_t i = 1; i < 3; i++) go_on(&c, i);
            site_wait(c.site, 2 * NS_PER_MS);
            uint64_t late = late_at(&c, 1) + late_at(&c, 2);
            assert_in_range(late, is_late, is_late * 2);
            site_free(c.site);
        }
    }
}

// Time that was lost on the way to the first is not there for the next.
static void who_coordinates_for_another_has_no_more_time_than_that(void **state) {
    (void)state;
    struct copies c = begin(MEMBERS);
    stand_still(&c, c.holders[0]);
    say(&c, true);
    site_wait(c.site, 900 * NS_PER_MS);
    machine_slow_disk(machine_at(&c, c.holders[0]), 100);
    go_on(&c, c.holders[0]); // 1.1 s are left
    site_wait(c.site, 10 * NS_PER_MS);
    stand_still(&c, c.holders[1]);
    site_wait(c.site, 1500 * NS_PER_MS);
    go_on(&c, c.holders[1]);
    site_wait(c.site, 2 * NS_PER_MS);
    assert_string_equal(heard(&c), "+OK\r\n"); // of the two others
    assert_int_equal(late_at(&c, c.holders[1]), 1);
    site_free(c.site);
}

static void set_distance(const struct copies *c, uint32_t a, uint32_t b, uint64_t ns) {
    world_set_distance(c->site->world, machine_at(c, a), machine_at(c, b), ns);
}

// The second replica has an older value than the first, and stands still when it is asked for that:
// after all others were, and with no next time at which it could be found to be late.
static void who_was_asked_last_is_late_at_the_end(void **state) {
    (void)state;
    struct copies c = begin(MEMBERS);
    const struct node *node = cluster_node(&c.site->cluster, 0);
    char words[64];
    (void)snprintf(words, sizeof(words), "SET %s old\r\n", c.key);
    expect_dialogue(c.site, c.t, "CONSISTENCY WRITE ALL\r\n", "+OK\r\n");
    expect_dialogue(c.site, c.t, words, "+OK\r\n");
    expect_dialogue(c.site, c.t, "CONSISTENCY READ ALL WRITE ONE\r\n", "+OK\r\n");
    set_distance(&c, 0, c.holders[0], 100 * NS_PER_MS);
    set_distance(&c, c.holders[0], c.holders[1], 900 * NS_PER_MS);
    (void)snprintf(words, sizeof(words), "SET %s v\r\n", c.key);
    expect_dialogue(c.site, c.t, words, "+OK\r\n");
    uint64_t differed = node_stats(node).hashes_differed;
    say(&c, false);
    site_wait(c.site, 50 * NS_PER_MS); // it has told its hash
    stand_still(&c, c.holders[1]);
    site_wait(c.site, NS_PER_SECOND);
    assert_int_equal(node_stats(node).hashes_differed, differed + 1);
    assert_false(node_member_is_late(node, c.holders[1]));
    while (c.t->heard_size == 0) site_wait(c.site, NS_PER_MS);
    expect_part(heard(&c), "-NOQUORUM ");
    assert_true(node_member_is_late(node, c.holders[1]));
    site_free(c.site);
}

// A member that has to read from its disk first.

enum { KEYS = 300 };

static void with_little_memory(struct node_options *node, struct server_options *server) {
    (void)server;
    node->timeout_ns = 50 * NS_PER_MS;
    node->store.memory_max = (uint64_t)512 << 10;
    node->store.flush_size = (uint64_t)32 << 10;
}

static void a_put_that_waits_for_the_disk_too_long_is_not_done(void **state) {
    (void)state;
    struct site *site = site_new(3, with_little_memory);
    struct talker *t = site_talker(site, 0, false);
    static char words[8 * 1024];
    for (int i = 0; i < KEYS; i++) {
        (void)snprintf(words, sizeof(words), "SET key%d %04000d\r\n", i, 0);
        expect_dialogue(site, t, words, "+OK\r\n");
    }
    site_wait(site, 5 * NS_PER_SECOND);
    machine_slow_disk(site->cluster.processes[1].machine, 1000);
    expect_dialogue(site, t, "CONSISTENCY WRITE ALL\r\n", "+OK\r\n");
    for (int i = 0; i < 20; i++) {
        (void)snprintf(words, sizeof(words), "SET key%d new\r\n", i);
        talker_say(t, words, strlen(words));
        site_wait(site, NS_PER_SECOND);
    }
    assert_true(node_stats(cluster_node(&site->cluster, 1)).late > 0);
    assert_int_equal(node_stats(cluster_node(&site->cluster, 2)).late, 0);
    site_free(site);
}

int deadline_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(a_put_is_done_in_time_or_not_at_all),
        cmocka_unit_test(a_get_is_answered_in_time_or_refused),
        cmocka_unit_test(a_forwarded_write_is_done_in_time_or_not_at_all),
        cmocka_unit_test(lists_and_counts_are_made_in_time_or_not_at_all),
        cmocka_unit_test(who_coordinates_for_another_has_no_more_time_than_that),
        cmocka_unit_test(who_was_asked_last_is_late_at_the_end),
        cmocka_unit_test(a_put_that_waits_for_the_disk_too_long_is_not_done),
    };
    return cmocka_run_group_tests_name("deadline", cases, NULL, NULL);
}
