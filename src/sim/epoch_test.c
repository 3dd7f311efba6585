// SPDX-License-Identifier: Apache-2.0
//
// Members agree on changes of the map: cases that need a proposer that dies at a certain moment, a
// disk that forgets, or a quorum that is not there.
#include "sim/session_case.h"

enum { CHANGES_MAX = 6, MEMBERS = 3 };

// A change of the map that raises its epoch and nothing else, asked of one member.
struct wish {
    struct map_change change;
    struct site *site;
    uint32_t member;
    uint32_t applied; // times
    uint64_t epoch;   // of the map when it was done
    bool is_refused;  // does not apply
    bool is_done;
};

static bool apply_wish(struct map_change *change, struct map *next) {
    struct wish *w = CONTAINER_OF(change, struct wish, change);
    w->applied++;
    assert_true(next->epoch > 1);
    return !w->is_refused;
}

static void on_wish_done(struct map_change *change) {
    struct wish *w = CONTAINER_OF(change, struct wish, change);
    const struct node *node = w->site->cluster.processes[w->member].node;
    w->is_done = true;
    w->epoch = node_map(node)->epoch;
    bool is_latest = change->instance == w->epoch && change->status == ST_OK;
    if (is_latest) assert_true(node_map_author(node) == change->author);
}

static void begin_wish(struct wish *w, struct site *site, uint32_t member) {
    *w = (struct wish){.site = site, .member = member, .is_refused = w->is_refused};
    w->change = (struct map_change){.apply = apply_wish, .done = on_wish_done};
    struct machine *machine = site->cluster.processes[member].machine;
    machine_enter(machine);
    node_change_map(cluster_node(&site->cluster, member), &w->change);
    assert_false(w->is_done);
    machine_leave(machine);
}

static void await_wish(struct wish *w) {
    uint64_t until = world_now(w->site->world) + 60 * NS_PER_SECOND;
    while (!w->is_done) assert_true(world_step(w->site->world, until));
}

static enum status wish(struct site *site, uint32_t member) {
    struct wish w = {0};
    begin_wish(&w, site, member);
    await_wish(&w);
    return w.change.status;
}

static uint64_t epoch_of(const struct site *site, uint32_t member) {
    const struct node *node = cluster_node(&site->cluster, member);
    return node == NULL ? 0 : node_map(node)->epoch;
}

// Until all that run have the same map, of that epoch at least.
static void await_epoch(struct site *site, uint64_t epoch) {
    uint64_t until = world_now(site->world) + 30 * NS_PER_SECOND;
    for (;;) {
        bool is_same = true;
        uint64_t latest = 0;
        uint64_t author = 0;
        for (uint32_t i = 0; i < site->cluster.options.members; i++) {
            if (!cluster_is_serving(&site->cluster, i)) continue;
            const struct node *node = cluster_node(&site->cluster, i);
            if (latest != 0 && epoch_of(site, i) != latest) is_same = false;
            if (latest != 0 && is_same) assert_true(node_map_author(node) == author);
            latest = epoch_of(site, i);
            author = node_map_author(node);
        }
        if (is_same && latest >= epoch) return;
        assert_true(world_step(site->world, until));
    }
}

static void await_all_serve(struct site *site) {
    uint64_t until = world_now(site->world) + 60 * NS_PER_SECOND;
    while (!site_is_serving(site)) assert_true(world_step(site->world, until));
    site_wait(site, 2 * NS_PER_SECOND); // they have found each other
}

static void end_all(struct site *site) {
    for (uint32_t i = 0; i < site->cluster.options.members; i++) {
        cluster_power_loss(&site->cluster, i);
    }
}

static void start_all(struct site *site) {
    for (uint32_t i = 0; i < site->cluster.options.members; i++) cluster_start(&site->cluster, i);
    await_all_serve(site);
}

static struct site *quiet_site(uint32_t members) {
    struct site *site = site_new(members, NULL);
    site_wait(site, 2 * NS_PER_SECOND);
    return site;
}

static void what_was_agreed_on_is_the_map_of_all_and_survives_a_loss_of_power(void **state) {
    (void)state;
    for (uint32_t members = 1; members <= 5; members++) {
        struct site *site = quiet_site(members);
        assert_int_equal(wish(site, members - 1), ST_OK);
        assert_int_equal(epoch_of(site, members - 1), 2);
        end_all(site); // the proposer alone has heard that it was chosen, perhaps
        start_all(site);
        await_epoch(site, 2);
        assert_int_equal(wish(site, 0), ST_OK);
        await_epoch(site, 3);
        assert_int_equal(epoch_of(site, members - 1), 3);
        site_free(site);
    }
}

static void
changes_of_one_member_wait_for_each_other_and_those_of_several_all_get_their_turn(void **state) {
    (void)state;
    struct site *site = quiet_site(MEMBERS);
    struct wish wishes[MEMBERS][CHANGES_MAX] = {0};
    for (uint32_t c = 0; c < CHANGES_MAX; c++) {
        for (uint32_t i = 0; i < MEMBERS; i++) begin_wish(&wishes[i][c], site, i);
    }
    uint32_t seen = 0; // bits of epochs
    for (uint32_t i = 0; i < MEMBERS; i++) {
        for (uint32_t c = 0; c < CHANGES_MAX; c++) {
            await_wish(&wishes[i][c]);
            assert_int_equal(wishes[i][c].change.status, ST_OK);
            uint64_t epoch = wishes[i][c].change.instance;
            assert_int_equal(seen >> epoch & 1, 0);
            seen |= 1u << epoch;
            if (c > 0) assert_true(epoch > wishes[i][c - 1].change.instance);
        }
    }
    await_epoch(site, 1 + MEMBERS * CHANGES_MAX);
    assert_int_equal(epoch_of(site, 0), 1 + MEMBERS * CHANGES_MAX);
    site_free(site);
}

static void a_change_that_does_not_apply_is_not_proposed(void **state) {
    (void)state;
    struct site *site = quiet_site(MEMBERS);
    struct wish w = {.is_refused = true};
    begin_wish(&w, site, 1);
    await_wish(&w);
    assert_int_equal(w.change.status, ST_INVALID);
    assert_int_equal(w.applied, 1);
    site_wait(site, 5 * NS_PER_SECOND);
    assert_int_equal(epoch_of(site, 0), 1);
    site_free(site);
}

static void without_a_majority_of_the_members_nothing_changes(void **state) {
    (void)state;
    for (uint32_t members = 2; members <= 5; members++) {
        struct site *site = quiet_site(members);
        uint32_t down = (members + 1) / 2; // half of them, or more
        for (uint32_t i = 0; i < down; i++) cluster_kill(&site->cluster, i);
        site_wait(site, 3 * NS_PER_SECOND);
        assert_int_equal(wish(site, members - 1), ST_UNAVAILABLE);
        cluster_start(&site->cluster, 0);
        site_wait(site, 5 * NS_PER_SECOND);
        assert_int_equal(wish(site, members - 1), ST_OK);
        await_epoch(site, 2);
        site_free(site);
    }
}

static void who_was_away_is_told_the_latest_map(void **state) {
    (void)state;
    struct site *site = quiet_site(MEMBERS);
    cluster_kill(&site->cluster, 0);
    site_wait(site, 2 * NS_PER_SECOND);
    for (uint32_t i = 0; i < 3; i++) assert_int_equal(wish(site, 1 + i % 2), ST_OK);
    cluster_start(&site->cluster, 0);
    await_all_serve(site);
    assert_int_equal(epoch_of(site, 0), 4);
    assert_int_equal(wish(site, 0), ST_OK);
    await_epoch(site, 5);
    site_free(site);
}

// Its proposer ends at every moment there is, for good or with its power, and comes back or not.
// The others agree on one map or the other, whichever it was, and can go on; so can it.
static void what_a_proposer_leaves_behind_is_finished(void **state) {
    (void)state;
    uint32_t finished = 0;
    uint64_t every = test_every() < 4 ? test_every() : 4;
    for (uint64_t moment = test_seed() % every; moment < 160; moment += every) {
        struct site *site = quiet_site(MEMBERS);
        struct wish w = {0};
        uint32_t proposer = (uint32_t)(moment % MEMBERS);
        begin_wish(&w, site, proposer);
        site_wait(site, moment * NS_PER_MS / 16);
        cluster_power_loss(&site->cluster, proposer);
        site_wait(site, 6 * NS_PER_SECOND);
        await_epoch(site, 1);
        uint64_t found = epoch_of(site, (proposer + 1) % MEMBERS);
        assert_true(found >= (w.is_done ? 2 : 1));
        finished += found == 2 && !w.is_done;
        assert_int_equal(wish(site, (proposer + 1) % MEMBERS), ST_OK);
        cluster_start(&site->cluster, proposer);
        await_all_serve(site);
        await_epoch(site, found + 1);
        assert_int_equal(wish(site, proposer), ST_OK);
        await_epoch(site, found + 2);
        site_free(site);
    }
    assert_true(finished > 0);
}

static void hear_nothing(struct site *site, uint32_t member, bool is_deaf) {
    for (uint32_t i = 0; i < site->cluster.options.members; i++) {
        if (i == member) continue;
        world_set_link(site->world, site->cluster.processes[i].machine,
                       site->cluster.processes[member].machine, !is_deaf);
    }
}

// From some moment on the proposer can be heard and hears nothing. What it asked for may be agreed
// on without it, and the next map, too: it must neither deny it nor ask for it again. If it hears
// again in time it learns what became of it.
static void a_proposer_that_hears_nothing_does_not_know(void **state) {
    (void)state;
    uint32_t made = 0;
    uint32_t unknown = 0;
    uint64_t every = test_every() < 4 ? test_every() : 4;
    for (uint64_t moment = test_seed() % every; moment < 160; moment += every) {
        struct site *site = quiet_site(MEMBERS);
        struct wish w = {0};
        begin_wish(&w, site, 0);
        site_wait(site, moment * NS_PER_MS / 16);
        hear_nothing(site, 0, true);
        site_wait(site, 5 * NS_PER_SECOND);
        bool is_made = epoch_of(site, 1) == 2;
        if (moment % 8 < 4) assert_int_equal(wish(site, 1), ST_OK);
        if (moment % 16 < 8) hear_nothing(site, 0, false);
        await_wish(&w);
        hear_nothing(site, 0, false);
        made += is_made;
        unknown += w.change.status == ST_TIMEOUT;
        bool is_late = moment % 16 >= 8;
        if (is_made && w.change.status != ST_OK) assert_int_equal(w.change.status, ST_TIMEOUT);
        if (is_made && !is_late) assert_int_equal(w.change.status, ST_OK);
        if (is_made && w.change.status == ST_OK) assert_int_equal(w.change.instance, 2);
        site_free(site);
    }
    assert_true(made > 0);
    assert_true(unknown > 0);
}

static void a_vote_that_is_not_on_a_disk_does_not_count(void **state) {
    (void)state;
    struct site *site = quiet_site(MEMBERS);
    struct wish w = {0};
    cluster_kill(&site->cluster, 2);
    site_wait(site, 2 * NS_PER_SECOND);
    machine_slow_disk(site->cluster.processes[1].machine, 100000); // never done in this case
    begin_wish(&w, site, 0);
    site_wait(site, 6 * NS_PER_SECOND);
    assert_false(w.is_done);
    assert_int_equal(epoch_of(site, 0), 1);
    await_wish(&w);
    assert_int_equal(w.change.status, ST_UNAVAILABLE);
    site_free(site);
}

// Power fails everywhere at every moment there is. The two that come back first do not know what
// the third, which may have been the proposer, was told; and still they cannot agree on another
// map.
static void a_loss_of_all_power_at_any_moment_takes_back_no_vote(void **state) {
    (void)state;
    uint32_t done = 0;
    uint64_t every = test_every() < 4 ? test_every() : 4;
    for (uint64_t moment = test_seed() % every; moment < 320; moment += every) {
        struct site *site = quiet_site(MEMBERS);
        struct wish w = {0};
        uint32_t late = (uint32_t)(moment % MEMBERS);
        begin_wish(&w, site, 0);
        site_wait(site, moment * NS_PER_MS / 16);
        done += w.is_done;
        end_all(site);
        for (uint32_t i = 0; i < MEMBERS; i++) {
            if (i != late) cluster_start(&site->cluster, i);
        }
        site_wait(site, 5 * NS_PER_SECOND);
        assert_int_equal(wish(site, (late + 1) % MEMBERS), ST_OK);
        uint64_t epoch = epoch_of(site, (late + 1) % MEMBERS);
        if (w.is_done) assert_true(epoch > w.epoch);
        cluster_start(&site->cluster, late);
        await_all_serve(site);
        await_epoch(site, epoch);
        site_free(site);
    }
    assert_true(done > 0);
}

// The log of n3 is damaged, and with it what it may have promised or accepted. Until the map has
// moved on it counts only where everybody does.
static void who_may_have_forgotten_makes_no_majority_until_the_next_map(void **state) {
    (void)state;
    struct site *site = quiet_site(MEMBERS);
    struct cluster *cluster = &site->cluster;
    assert_int_equal(wish(site, 0), ST_OK);
    await_epoch(site, 2);
    cluster_kill(cluster, 2);
    for (uint64_t at = 1024 + 20; at < 4096; at += 1024) {
        assert_true(machine_rot(cluster->processes[2].machine, "log-0000000000000001", at));
    }
    cluster_start(cluster, 2);
    await_all_serve(site);
    uint64_t until = world_now(site->world) + 10 * NS_PER_SECOND; // mended
    while (node_member(cluster_node(cluster, 2), 2)->state != MEMBER_SERVING) {
        assert_true(world_step(site->world, until));
    }

    cluster_kill(cluster, 0);
    site_wait(site, 3 * NS_PER_SECOND);
    assert_int_equal(wish(site, 1), ST_UNAVAILABLE);
    assert_int_equal(epoch_of(site, 1), 2);
    cluster_kill(cluster, 2); // it does not forget that it has forgotten
    cluster_start(cluster, 2);
    site_wait(site, 5 * NS_PER_SECOND);
    assert_int_equal(wish(site, 2), ST_UNAVAILABLE);
    cluster_start(cluster, 0);
    await_all_serve(site);
    assert_int_equal(wish(site, 2), ST_OK);
    await_epoch(site, 3);

    cluster_kill(cluster, 0);
    site_wait(site, 3 * NS_PER_SECOND);
    assert_int_equal(wish(site, 1), ST_OK);
    await_epoch(site, 4);
    site_free(site);
}

// n3 is damaged, and n1 has lost its disk, before n3 is whole again or after that.
static void who_may_have_forgotten_is_enough_to_have_another_one_replaced(void **state) {
    (void)state;
    for (uint32_t round = 0; round < 2; round++) {
        struct site *site = quiet_site(MEMBERS);
        struct cluster *cluster = &site->cluster;
        cluster_kill(cluster, 2);
        for (uint64_t at = 1024 + 20; at < 4096; at += 1024) {
            assert_true(machine_rot(cluster->processes[2].machine, "log-0000000000000001", at));
        }
        if (round == 1) cluster_start(cluster, 2);
        site_wait(site, 10 * NS_PER_SECOND);
        cluster_kill(cluster, 0);
        machine_wipe(cluster->processes[0].machine);
        cluster_start(cluster, 0);
        if (round == 0) cluster_start(cluster, 2);
        site_wait(site, 10 * NS_PER_SECOND);
        enum member_state third = node_member(cluster_node(cluster, 2), 2)->state;
        assert_int_equal(third, round == 0 ? MEMBER_MENDING : MEMBER_SERVING);
        site_have_replaced(site, 2 - round, "n1");
        await_all_serve(site);
        site_wait(site, 10 * NS_PER_SECOND);
        for (uint32_t i = 0; i < MEMBERS; i++) {
            assert_int_equal(epoch_of(site, i), 2);
            assert_int_equal(node_member(cluster_node(cluster, i), i)->state, MEMBER_SERVING);
        }
        site_free(site);
    }
}

static void of_two_members_one_that_has_lost_its_disk_counts_beside_the_other(void **state) {
    (void)state;
    struct site *site = quiet_site(2);
    cluster_kill(&site->cluster, 0);
    machine_wipe(site->cluster.processes[0].machine);
    cluster_start(&site->cluster, 0);
    site_have_replaced(site, 1, "n1");
    await_all_serve(site);
    site_wait(site, 10 * NS_PER_SECOND);
    assert_int_equal(wish(site, 1), ST_OK);
    await_epoch(site, 3);
    site_free(site);
}

// n2 is given an older copy of its disk and does not know it: with n3, that was away, it agrees on
// another map than it had with n1. That shows when they meet, and one of the two stays.
static void of_two_maps_of_one_epoch_one_stays(void **state) {
    (void)state;
    struct site *site = quiet_site(MEMBERS);
    struct cluster *cluster = &site->cluster;
    struct machine *machines[MEMBERS];
    for (uint32_t i = 0; i < MEMBERS; i++) machines[i] = cluster->processes[i].machine;
    struct disk *copy = disk_copy(machine_disk(machines[1]));
    world_isolate(site->world, machines[2]);
    assert_int_equal(wish(site, 0), ST_OK);
    uint64_t author = node_map_author(cluster_node(cluster, 0));
    cluster_kill(cluster, 1);
    machine_restore(machines[1], copy);
    disk_destroy(copy);
    cluster_start(cluster, 1);
    world_rejoin(site->world, machines[2]);
    world_isolate(site->world, machines[0]);
    site_wait(site, 8 * NS_PER_SECOND);
    assert_int_equal(epoch_of(site, 2), 1);
    assert_int_equal(wish(site, 2), ST_OK);
    assert_int_equal(epoch_of(site, 2), 2);
    uint64_t other = node_map_author(cluster_node(cluster, 2));
    assert_false(author == other);

    world_heal(site->world);
    site_wait(site, 20 * NS_PER_SECOND);
    uint64_t greater = author > other ? author : other;
    for (uint32_t i = 0; i < MEMBERS; i++) {
        assert_true(node_map_author(cluster_node(cluster, i)) == greater);
    }
    assert_int_equal(wish(site, 1), ST_OK);
    await_epoch(site, 3);
    site_free(site);
}

static void synced_at_intervals(struct node_options *node, struct server_options *server) {
    (void)server;
    node->store.sync_interval_ns = 10 * NS_PER_SECOND;
}

// What was promised is not on the disk yet when power fails: the member knows that it may have
// forgotten something.
static void a_loss_of_power_between_two_syncs_is_taken_for_forgetting(void **state) {
    (void)state;
    struct site *site = site_new(MEMBERS, synced_at_intervals);
    site_wait(site, 30 * NS_PER_SECOND);
    cluster_power_loss(&site->cluster, 1);
    cluster_start(&site->cluster, 1);
    await_all_serve(site);
    cluster_kill(&site->cluster, 2);
    site_wait(site, 3 * NS_PER_SECOND);
    assert_int_equal(wish(site, 0), ST_UNAVAILABLE);
    cluster_start(&site->cluster, 2);
    await_all_serve(site);
    assert_int_equal(wish(site, 0), ST_OK);
    site_free(site);
}

static void a_member_that_stops_ends_its_changes(void **state) {
    (void)state;
    struct site *site = quiet_site(MEMBERS);
    struct wish wishes[2] = {0};
    world_isolate(site->world, site->cluster.processes[0].machine);
    for (uint32_t i = 0; i < 2; i++) begin_wish(&wishes[i], site, 0);
    cluster_stop(&site->cluster, 0);
    uint64_t until = world_now(site->world) + 30 * NS_PER_SECOND;
    while (site->cluster.processes[0].state != PROCESS_DOWN) {
        assert_true(world_step(site->world, until));
    }
    assert_true(wishes[0].is_done && wishes[1].is_done);
    assert_int_equal(wishes[0].change.status, ST_CANCELLED);
    assert_int_equal(wishes[1].change.status, ST_CANCELLED);
    site_free(site);
}

int epoch_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(what_was_agreed_on_is_the_map_of_all_and_survives_a_loss_of_power),
        cmocka_unit_test(
            changes_of_one_member_wait_for_each_other_and_those_of_several_all_get_their_turn),
        cmocka_unit_test(a_change_that_does_not_apply_is_not_proposed),
        cmocka_unit_test(without_a_majority_of_the_members_nothing_changes),
        cmocka_unit_test(who_was_away_is_told_the_latest_map),
        cmocka_unit_test(what_a_proposer_leaves_behind_is_finished),
        cmocka_unit_test(a_proposer_that_hears_nothing_does_not_know),
        cmocka_unit_test(a_vote_that_is_not_on_a_disk_does_not_count),
        cmocka_unit_test(a_loss_of_all_power_at_any_moment_takes_back_no_vote),
        cmocka_unit_test(who_may_have_forgotten_makes_no_majority_until_the_next_map),
        cmocka_unit_test(who_may_have_forgotten_is_enough_to_have_another_one_replaced),
        cmocka_unit_test(of_two_members_one_that_has_lost_its_disk_counts_beside_the_other),
        cmocka_unit_test(of_two_maps_of_one_epoch_one_stays),
        cmocka_unit_test(a_loss_of_power_between_two_syncs_is_taken_for_forgetting),
        cmocka_unit_test(a_member_that_stops_ends_its_changes),
    };
    return cmocka_run_group_tests_name("epoch", cases, NULL, NULL);
}
