// SPDX-License-Identifier: Apache-2.0
//
// A replica that answers, but late: it is asked after the others, until it is in time again.
#include "base/text.h"
#include "node/node.h"
#include "sim/session_case.h"

#define LATE_NS (200 * NS_PER_MS)

enum { MEMBERS = 5, KEYS = 200 };

// Keys of which the asker has no copy, and another member the first.
struct chosen {
    struct site *site;
    struct talker *t;
    uint32_t late;
    char keys[KEYS][16];
};

static void choose(struct chosen *c, struct site *site) {
    *c = (struct chosen){.site = site, .t = site_talker(site, 0, false), .late = MEMBERS};
    const struct map *map = node_map(cluster_node(&site->cluster, 0));
    uint32_t found = 0;
    for (uint32_t i = 0; found < KEYS; i++) {
        char key[16];
        (void)snprintf(key, sizeof(key), "key%u", i);
        struct slice name = {(const uint8_t *)key, strlen(key)};
        const struct map_run *run = map_run_of(map, slot_of(name));
        if (map_place_in(run, 0) < REPLICAS_MAX) continue;
        if (c->late == MEMBERS) c->late = run->replicas[0].member;
        if (run->replicas[0].member != c->late) continue;
        memcpy(c->keys[found++], key, sizeof(key));
    }
}

static void set_distance(struct chosen *c, uint64_t ns) {
    struct process *processes = c->site->cluster.processes;
    world_set_distance(c->site->world, processes[0].machine, processes[c->late].machine, ns);
}

static void say_all(struct chosen *c, bool writes, const char *answer) {
    for (uint32_t i = 0; i < KEYS; i++) {
        char words[64] = "";
        (void)snprintf(words, sizeof(words), writes ? "SET %s v\r\n" : "GET %s\r\n", c->keys[i]);
        expect_dialogue(c->site, c->t, words, answer);
    }
}

static struct node_stats stats_of(const struct chosen *c, uint32_t member) {
    return node_stats(cluster_node(&c->site->cluster, member));
}

// A cluster that has the keys, and one member of which is late from now on.
static struct site *begin(struct chosen *c) {
    struct site *site = site_new(MEMBERS, NULL);
    choose(c, site);
    say_all(c, true, "+OK\r\n");
    set_distance(c, LATE_NS);
    return site;
}

// One read in some seconds finds out whether it still is; when it is not, it has its place again.
static void a_late_replica_is_asked_after_the_others(void **state) {
    (void)state;
    static struct chosen c;
    struct site *site = begin(&c);
    uint64_t began = world_now(site->world);
    for (int i = 0; i < 10; i++) {
        say_all(&c, false, "$1\r\nv\r\n");
        site_wait(site, NS_PER_SECOND);
    }
    assert_int_equal(info_number(site, c.t, "INFO\r\n", "members_late"), 1);
    uint64_t seconds = (world_now(site->world) - began) / NS_PER_SECOND;
    assert_in_range(stats_of(&c, 0).hedged, 1, 6); // at 0, 0.5, 1.5, 3.5, 7.5 seconds
    assert_in_range(seconds, 10, 14);

    set_distance(&c, 0);
    site_wait(site, 20 * NS_PER_SECOND);
    uint64_t before = stats_of(&c, c.late).frames_received;
    say_all(&c, false, "$1\r\nv\r\n");
    assert_in_range(stats_of(&c, c.late).frames_received - before, KEYS, 2 * KEYS);
    site_free(site);
}

// A member that is late with writes of others is not the one that mints for them.
static void a_late_replica_coordinates_no_writes_of_others(void **state) {
    (void)state;
    static struct chosen c;
    struct site *site = begin(&c);
    uint64_t before = stats_of(&c, c.late).writes;
    uint64_t began = world_now(site->world);
    say_all(&c, true, "+OK\r\n");
    assert_in_range(stats_of(&c, c.late).writes - before, 0, KEYS / 10);
    assert_in_range(world_now(site->world) - began, 0, 5 * NS_PER_SECOND);
    site_free(site);
}

// Who waits for another that is far, as the client wants it to, is not late with reads.
static void who_waits_for_others_is_not_late_with_reads(void **state) {
    (void)state;
    static struct chosen c;
    struct site *site = site_new(MEMBERS, NULL);
    choose(&c, site);
    const struct map *map = node_map(cluster_node(&site->cluster, 0));
    const struct map_run *run = map_run_of(map, slot_of(slice_of_string(c.keys[0])));
    struct process *processes = site->cluster.processes;
    world_set_distance(site->world, processes[run->replicas[0].member].machine,
                       processes[run->replicas[1].member].machine, LATE_NS);
    expect_dialogue(site, c.t, "CONSISTENCY WRITE ALL\r\n", "+OK\r\n");
    char words[64];
    (void)snprintf(words, sizeof(words), "SET %s v\r\n", c.keys[0]);
    uint64_t began = world_now(site->world);
    expect_dialogue(site, c.t, words, "+OK\r\n");
    assert_true(world_now(site->world) - began >= LATE_NS);
    assert_false(node_member_is_late(cluster_node(&site->cluster, 0), run->replicas[0].member));
    site_free(site);
}

int slow_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(a_late_replica_is_asked_after_the_others),
        cmocka_unit_test(a_late_replica_coordinates_no_writes_of_others),
        cmocka_unit_test(who_waits_for_others_is_not_late_with_reads),
    };
    return cmocka_run_group_tests_name("slow", cases, NULL, NULL);
}
