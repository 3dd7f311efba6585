// SPDX-License-Identifier: Apache-2.0
//
// Who takes whom to be up, when members crash, are cut off, stopped, or far from each other.
#include "model/suspicion.h"
#include "node/node.h"
#include "sim/session_case.h"

#define ROUND_NS (200 * NS_PER_MS)
// From the end of trouble until all see all: links are dialled anew, at the latest, after those
// that say nothing have been given up.
#define ALL_UP_NS (6 * NS_PER_SECOND)
// From a crash until all take the member to be down, where its signs came evenly.
#define CRASH_NS (1600 * NS_PER_MS)

enum { MEMBERS = 5, MANY = 18 };

static struct node_view view(const struct site *site, uint32_t from, uint32_t to) {
    return node_view(cluster_node(&site->cluster, from), to);
}

static enum verdict verdict(const struct site *site, uint32_t from, uint32_t to) {
    return view(site, from, to).verdict;
}

static bool all_see(const struct site *site, uint32_t member, enum verdict wanted) {
    for (uint32_t i = 0; i < site->cluster.options.members; i++) {
        if (i == member || cluster_node(&site->cluster, i) == NULL) continue;
        if (verdict(site, i, member) != wanted) return false;
    }
    return true;
}

static bool all_see_all(const struct site *site) {
    for (uint32_t i = 0; i < site->cluster.options.members; i++) {
        if (!all_see(site, i, VERDICT_UP)) return false;
    }
    return true;
}

// Returns how long it took.
static uint64_t wait_for_all(struct site *site, uint32_t member, enum verdict wanted) {
    uint64_t began = world_now(site->world);
    while (!all_see(site, member, wanted)) {
        assert_true(world_step(site->world, began + 60 * NS_PER_SECOND));
    }
    return world_now(site->world) - began;
}

static uint64_t wait_for_all_of_all(struct site *site) {
    uint64_t began = world_now(site->world);
    while (!all_see_all(site)) assert_true(world_step(site->world, began + 60 * NS_PER_SECOND));
    return world_now(site->world) - began;
}

// Members that have long known each other.
static struct site *begin(void) {
    struct site *site = site_new(MEMBERS, NULL);
    site_wait(site, 20 * NS_PER_SECOND);
    assert_true(all_see_all(site));
    return site;
}

static void nobody_is_suspected_while_all_is_well(void **state) {
    (void)state;
    struct site *site = begin();
    for (uint32_t i = 0; i < 1000; i++) {
        site_wait(site, 37 * NS_PER_MS);
        for (uint32_t to = 0; to < MEMBERS; to++) {
            assert_true(view(site, 0, to).level < SUSPICION_THRESHOLD / 8);
        }
        assert_int_equal(node_doubt(cluster_node(&site->cluster, 0)), 1);
    }
    site_free(site);
}

// Without a word, so that only silence tells.
static void who_has_lost_its_power_is_down_for_all_in_time(void **state) {
    (void)state;
    struct site *site = begin();
    cluster_power_loss(&site->cluster, 2);
    assert_true(all_see(site, 2, VERDICT_UP));
    assert_in_range(wait_for_all(site, 2, VERDICT_DOWN), NS_PER_SECOND, CRASH_NS);
    site_wait(site, 30 * NS_PER_SECOND);
    assert_true(all_see(site, 2, VERDICT_DOWN));
    cluster_start(&site->cluster, 2);
    assert_true(wait_for_all_of_all(site) < ALL_UP_NS);
    site_free(site);
}

// Its connections are closed by the kernel: nobody asks it any more at once, though it may come
// back.
static void who_was_killed_is_asked_nothing_at_once(void **state) {
    (void)state;
    struct site *site = begin();
    cluster_kill(&site->cluster, 2);
    assert_true(wait_for_all(site, 2, VERDICT_UNREACHABLE) < 50 * NS_PER_MS);
    assert_in_range(wait_for_all(site, 2, VERDICT_DOWN), NS_PER_SECOND, CRASH_NS);
    site_free(site);
}

// The time between two lives is no interval of either, so it does not make anybody patient.
static void who_was_restarted_often_is_found_out_as_fast(void **state) {
    (void)state;
    struct site *site = begin();
    for (uint32_t i = 0; i < 8; i++) {
        cluster_power_loss(&site->cluster, 2);
        site_wait(site, NS_PER_SECOND);
        cluster_start(&site->cluster, 2);
        (void)wait_for_all_of_all(site);
        site_wait(site, NS_PER_SECOND);
    }
    cluster_power_loss(&site->cluster, 2);
    assert_in_range(wait_for_all(site, 2, VERDICT_DOWN), NS_PER_SECOND, CRASH_NS);
    site_free(site);
}

// What it was too late to hear is nobody's silence. Others may have given it up by then, and closed
// their connections; then it knows them to be there all the same.
static void who_was_stopped_takes_nobody_to_be_down(void **state) {
    (void)state;
    static const uint64_t pauses_ms[] = {300, 1100, 1500, 2500, 5000, 9900, 60000};
    struct site *site = begin();
    for (uint32_t i = 0; i < sizeof(pauses_ms) / sizeof(pauses_ms[0]); i++) {
        struct machine *machine = site->cluster.processes[1].machine;
        machine_pause(machine);
        site_wait(site, pauses_ms[i] * NS_PER_MS);
        machine_resume(machine);
        uint64_t until = world_now(site->world) + 5 * NS_PER_SECOND;
        uint32_t most = 0;
        while (world_step(site->world, until)) {
            uint32_t doubt = node_doubt(cluster_node(&site->cluster, 1));
            if (doubt > most) most = doubt;
            for (uint32_t to = 0; to < MEMBERS; to++) {
                enum verdict v = verdict(site, 1, to);
                assert_true(v != VERDICT_DOWN);
                if (pauses_ms[i] < 2500) assert_true(v == VERDICT_UP);
            }
        }
        uint64_t missed = pauses_ms[i] * NS_PER_MS / ROUND_NS;
        assert_in_range(most, missed < 8 ? missed : 8, 8);
        assert_int_equal(node_doubt(cluster_node(&site->cluster, 1)), 1);
        assert_true(all_see_all(site));
    }
    site_free(site);
}

// What it heard of before it was stopped, and found when it went on, does not count as heard then.
static void who_was_stopped_notices_a_crash_as_others_do(void **state) {
    (void)state;
    struct site *site = begin();
    struct machine *machine = site->cluster.processes[1].machine;
    machine_pause(machine);
    site_wait(site, 40 * NS_PER_SECOND);
    machine_resume(machine);
    site_wait(site, 8 * NS_PER_SECOND);
    assert_true(all_see_all(site));
    cluster_power_loss(&site->cluster, 2);
    assert_in_range(wait_for_all(site, 2, VERDICT_DOWN), NS_PER_SECOND, 2 * CRASH_NS);
    site_free(site);
}

// The others do notice, and it is down for them.
static void who_is_stopped_is_down_for_the_others(void **state) {
    (void)state;
    struct site *site = begin();
    machine_pause(site->cluster.processes[1].machine);
    site_wait(site, CRASH_NS);
    for (uint32_t i = 0; i < MEMBERS; i++) {
        if (i != 1) assert_int_equal(verdict(site, i, 1), VERDICT_DOWN);
    }
    machine_resume(site->cluster.processes[1].machine);
    assert_true(wait_for_all_of_all(site) < ALL_UP_NS);
    site_free(site);
}

static void set_link(struct site *site, uint32_t from, uint32_t to, bool is_there) {
    struct process *processes = site->cluster.processes;
    world_set_link(site->world, processes[from].machine, processes[to].machine, is_there);
}

// Two that cannot reach each other, or one that the other cannot, hear of each other by the rest.
static void who_is_heard_by_others_is_unreachable_and_not_down(void **state) {
    (void)state;
    struct site *site = begin();
    for (uint32_t both = 0; both <= 1; both++) {
        set_link(site, 0, 1, false);
        if (both == 1) set_link(site, 1, 0, false);
        site_wait(site, CRASH_NS);
        for (uint32_t i = 0; i < 300; i++) {
            site_wait(site, 50 * NS_PER_MS);
            assert_int_equal(verdict(site, 0, 1), VERDICT_UNREACHABLE);
            assert_int_equal(verdict(site, 1, 0), VERDICT_UNREACHABLE);
            assert_false(node_member_is_up(cluster_node(&site->cluster, 0), 1));
            for (uint32_t other = 2; other < MEMBERS; other++) {
                assert_int_equal(verdict(site, other, 0), VERDICT_UP);
                assert_int_equal(verdict(site, other, 1), VERDICT_UP);
                assert_int_equal(verdict(site, 0, other), VERDICT_UP);
            }
        }
        world_heal(site->world);
        assert_true(wait_for_all_of_all(site) < ALL_UP_NS);
    }
    site_free(site);
}

// Alone, it suspects itself first: others are up to it for longer than one other would be.
static void who_is_deaf_doubts_itself(void **state) {
    (void)state;
    struct site *site = begin();
    world_isolate(site->world, site->cluster.processes[3].machine);
    site_wait(site, CRASH_NS + 200 * NS_PER_MS);
    assert_true(node_doubt(cluster_node(&site->cluster, 3)) >= 4);
    for (uint32_t i = 0; i < MEMBERS; i++) {
        assert_int_equal(verdict(site, 3, i), VERDICT_UP);
        if (i != 3) assert_int_equal(verdict(site, i, 3), VERDICT_DOWN);
    }
    site_wait(site, 15 * NS_PER_SECOND); // and at last they are
    for (uint32_t i = 0; i < MEMBERS; i++) {
        if (i != 3) assert_int_equal(verdict(site, 3, i), VERDICT_DOWN);
        assert_int_equal(verdict(site, i, 3), i == 3 ? VERDICT_UP : VERDICT_DOWN);
    }
    world_heal(site->world);
    assert_true(wait_for_all_of_all(site) < ALL_UP_NS);
    site_wait(site, 2 * NS_PER_SECOND);
    assert_int_equal(node_doubt(cluster_node(&site->cluster, 3)), 1);
    site_free(site);
}

// As each of them is asked.
static void members_tell_what_they_think_of_each_other(void **state) {
    (void)state;
    struct site *site = begin();
    struct talker *t = site_talker(site, 0, false);
    expect_part(
        answer_to(site, t, "QUOIT VIEW\r\n"),
        "*4\r\n$5\r\ndoubt\r\n:1\r\n$7\r\nmembers\r\n*5\r\n*12\r\n$4\r\nname\r\n$2\r\nn1\r\n"
        "$5\r\nstate\r\n$2\r\nup\r\n$3\r\nphi\r\n$4\r\n0.00\r\n$10\r\nsilence_ms\r\n:0\r\n"
        "$4\r\nlate\r\n:0\r\n$4\r\nself\r\n:1\r\n");
    set_link(site, 0, 1, false);
    cluster_power_loss(&site->cluster, 2);
    site_wait(site, 4 * NS_PER_SECOND);
    const char *heard = answer_to(site, t, "QUOIT VIEW\r\n");
    expect_part(heard, "$2\r\nn2\r\n$5\r\nstate\r\n$11\r\nunreachable\r\n");
    expect_part(heard, "$2\r\nn3\r\n$5\r\nstate\r\n$4\r\ndown\r\n$3\r\nphi\r\n$5\r\n88.56\r\n");
    heard = answer_to(site, t, "QUOIT STATUS\r\n");
    expect_part(heard, "$5\r\nstate\r\n$11\r\nunreachable\r\n");
    expect_part(heard, "$5\r\nstate\r\n$4\r\ndown\r\n");
    site_free(site);
}

// A member that has a map and waits for its disk before it goes by it knows nothing of the others
// yet.
static void who_has_a_map_and_does_not_serve_yet_tells_what_it_knows(void **state) {
    (void)state;
    struct site *site = site_prepare(2, NULL);
    for (uint32_t i = 0; i < 2; i++) cluster_start(&site->cluster, i);
    uint64_t until = world_now(site->world) + NS_PER_SECOND;
    while (cluster_node(&site->cluster, 0) == NULL) assert_true(world_step(site->world, until));
    const struct node *node = cluster_node(&site->cluster, 0);
    machine_slow_disk(site->cluster.processes[0].machine, 1000);
    struct talker *t = site_talker(site, 0, false);
    while (node_map(node)->epoch == 0) assert_true(world_step(site->world, until));
    assert_int_equal(node_state(node), NODE_FOUNDING);
    const char *words = "QUOIT STATUS\r\n";
    talker_say(t, words, strlen(words));
    site_wait(site, 20 * NS_PER_MS);
    assert_int_equal(node_state(node), NODE_FOUNDING);
    t->heard[t->heard_size] = '\0';
    expect_part((const char *)t->heard, "$5\r\nstate\r\n$8\r\nstarting\r\n");
    expect_part((const char *)t->heard, "$11\r\nincarnation\r\n:0\r\n");
    site_free(site);
}

// In which gossip goes to some at a time.

static void make_room(struct node_options *node, struct server_options *server) {
    (void)server;
    node->members_max = MANY;
    node->requests_max = 16;
}

struct said {
    uint32_t down;
    uint32_t up;
};

static bool begins_with(struct slice text, const char *words) {
    size_t size = strlen(words);
    return text.size >= size && memcmp(text.data, words, size) == 0;
}

static void count_said(void *context, const struct world_line *line) {
    struct said *said = context;
    said->down += begins_with(line->text, "member down member=");
    said->up += begins_with(line->text, "member up member=");
}

// Once for each time. Of many the last one is lost, of whom it is not looked in each round.
static void the_log_says_who_was_lost_and_who_is_back(void **state) {
    (void)state;
    static const uint32_t sizes[] = {MEMBERS, MANY};
    for (uint32_t k = 0; k < 2; k++) {
        const uint32_t others = sizes[k] - 1;
        struct site *site = site_new(sizes[k], make_room);
        struct said said = {0};
        world_set_trace(site->world, count_said, &said);
        site_wait(site, 20 * NS_PER_SECOND);
        assert_int_equal(said.down + said.up, 0);
        cluster_kill(&site->cluster, others);
        site_wait(site, 20 * NS_PER_SECOND);
        assert_int_equal(said.down, others);
        assert_int_equal(said.up, 0);
        cluster_start(&site->cluster, others);
        site_wait(site, 20 * NS_PER_SECOND);
        assert_int_equal(said.down, others);
        assert_int_equal(said.up, others);
        world_set_trace(site->world, NULL, NULL);
        site_free(site);
    }
}

// It has begun after the others had ended.
static void who_was_never_met_is_not_said_to_be_lost(void **state) {
    (void)state;
    struct site *site = begin();
    struct said said = {0};
    for (uint32_t i = 0; i < MEMBERS; i++) cluster_kill(&site->cluster, i);
    cluster_start(&site->cluster, 0);
    world_set_trace(site->world, count_said, &said);
    site_wait(site, 20 * NS_PER_SECOND);
    assert_int_equal(node_state(cluster_node(&site->cluster, 0)), NODE_SERVING);
    assert_int_equal(said.down + said.up, 0);
    world_set_trace(site->world, NULL, NULL);
    site_free(site);
}

static void in_a_larger_cluster_some_are_asked_in_each_round(void **state) {
    (void)state;
    struct site *site = site_new(MANY, make_room);
    site_wait(site, 10 * NS_PER_SECOND);
    uint64_t sent[MANY];
    for (uint32_t i = 0; i < MANY; i++) {
        sent[i] = node_stats(cluster_node(&site->cluster, i)).frames_sent;
    }
    for (uint32_t i = 0; i < 300; i++) {
        site_wait(site, 100 * NS_PER_MS);
        assert_true(all_see_all(site));
    }
    for (uint32_t i = 0; i < MANY; i++) {
        sent[i] = node_stats(cluster_node(&site->cluster, i)).frames_sent - sent[i];
        assert_in_range(sent[i], 30 * 5 * 3, 30 * 5 * 5); // 2 a round, and the answers to as many
    }
    cluster_power_loss(&site->cluster, 7);
    assert_in_range(wait_for_all(site, 7, VERDICT_DOWN), NS_PER_SECOND, CRASH_NS + 400 * NS_PER_MS);
    cluster_start(&site->cluster, 7);
    assert_true(wait_for_all_of_all(site) < ALL_UP_NS);
    site_free(site);
}

// Others vouch for it, so it is not down.
static void in_a_larger_cluster_a_broken_link_is_noticed(void **state) {
    (void)state;
    enum { BROKEN = 8 };
    struct site *site = site_new(MANY, make_room);
    site_wait(site, 10 * NS_PER_SECOND);
    for (uint32_t i = 1; i <= BROKEN; i++) {
        set_link(site, 0, i, false);
        set_link(site, i, 0, false);
    }
    site_wait(site, (uint64_t)2 * (MANY / 2) * ROUND_NS + CRASH_NS); // two laps
    for (uint32_t i = 1; i <= BROKEN; i++) {
        assert_int_equal(verdict(site, 0, i), VERDICT_UNREACHABLE);
        assert_int_equal(verdict(site, i, 0), VERDICT_UNREACHABLE);
    }
    world_heal(site->world);
    assert_true(wait_for_all_of_all(site) < ALL_UP_NS);
    site_free(site);
}

static void in_a_larger_cluster_who_is_deaf_doubts_itself(void **state) {
    (void)state;
    struct site *site = site_new(MANY, make_room);
    site_wait(site, 10 * NS_PER_SECOND);
    world_isolate(site->world, site->cluster.processes[0].machine);
    site_wait(site, 2 * NS_PER_SECOND);
    assert_true(node_doubt(cluster_node(&site->cluster, 0)) > 1);
    for (uint32_t i = 1; i < MANY; i++) {
        assert_int_equal(node_doubt(cluster_node(&site->cluster, i)), 1);
    }
    world_heal(site->world);
    assert_true(wait_for_all_of_all(site) < ALL_UP_NS + CRASH_NS);
    site_wait(site, 2 * NS_PER_SECOND);
    assert_int_equal(node_doubt(cluster_node(&site->cluster, 0)), 1);
    site_free(site);
}

// Connections that are closed say nothing of who still answers, so the next loss is noticed as
// soon.
static void in_a_larger_cluster_to_lose_most_is_not_to_be_deaf(void **state) {
    (void)state;
    enum { LEFT = 3 };
    struct site *site = site_new(MANY, make_room);
    site_wait(site, 10 * NS_PER_SECOND);
    for (uint32_t i = LEFT; i < MANY; i++) cluster_kill(&site->cluster, i);
    for (uint32_t k = 0; k < 100; k++) {
        site_wait(site, 200 * NS_PER_MS);
        for (uint32_t i = 0; i < LEFT; i++) {
            assert_int_equal(node_doubt(cluster_node(&site->cluster, i)), 1);
        }
    }
    site_free(site);
}

int sight_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(nobody_is_suspected_while_all_is_well),
        cmocka_unit_test(who_has_lost_its_power_is_down_for_all_in_time),
        cmocka_unit_test(who_was_killed_is_asked_nothing_at_once),
        cmocka_unit_test(who_was_restarted_often_is_found_out_as_fast),
        cmocka_unit_test(who_was_stopped_takes_nobody_to_be_down),
        cmocka_unit_test(who_was_stopped_notices_a_crash_as_others_do),
        cmocka_unit_test(who_is_stopped_is_down_for_the_others),
        cmocka_unit_test(who_is_heard_by_others_is_unreachable_and_not_down),
        cmocka_unit_test(who_is_deaf_doubts_itself),
        cmocka_unit_test(members_tell_what_they_think_of_each_other),
        cmocka_unit_test(who_has_a_map_and_does_not_serve_yet_tells_what_it_knows),
        cmocka_unit_test(the_log_says_who_was_lost_and_who_is_back),
        cmocka_unit_test(who_was_never_met_is_not_said_to_be_lost),
        cmocka_unit_test(in_a_larger_cluster_some_are_asked_in_each_round),
        cmocka_unit_test(in_a_larger_cluster_a_broken_link_is_noticed),
        cmocka_unit_test(in_a_larger_cluster_who_is_deaf_doubts_itself),
        cmocka_unit_test(in_a_larger_cluster_to_lose_most_is_not_to_be_deaf),
    };
    return cmocka_run_group_tests_name("sight", cases, NULL, NULL);
}
