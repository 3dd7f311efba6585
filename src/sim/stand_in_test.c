// SPDX-License-Identifier: Apache-2.0
//
// Writes while no replica can be reached: those who stand in mint. What becomes of that, and of
// deletions of it.
#include "base/bitmap.h"
#include "sim/disk.h"
#include "sim/stand_in_case.h"

static uint64_t minted(struct site *site) {
    return node_stats(node_at(site, 0)).hints_minted + node_stats(node_at(site, 1)).hints_minted;
}

// Keys, tombstones among them, in the stores of the members from 2 on that run.
static uint64_t held(struct site *site) {
    uint64_t sum = 0;
    for (uint32_t i = 2; i < MEMBERS; i++) {
        if (node_at(site, i) != NULL) sum += node_store_stats(node_at(site, i)).key_count;
    }
    return sum;
}

static void wait_until_purged(struct site *site) {
    uint64_t until = world_now(site->world) + 120 * NS_PER_SECOND;
    while (world_now(site->world) < until && held(site) > 0) site_wait(site, NS_PER_SECOND / 10);
    assert_int_equal(held(site), 0);
}

static void who_stands_in_mints_and_keeps_it_through_a_loss_of_power(void **state) {
    (void)state;
    struct site *site = site_new(MEMBERS, NULL);
    char keys[FEW][16];
    find_keys(site, false, keys);
    kill_replicas(site);
    struct talker *strict = site_talker(site, 0, false);
    for (uint32_t i = 0; i < FEW; i++) {
        char words[128];
        (void)snprintf(words, sizeof(words), "SET %s v\r\n", keys[i]);
        expect_part(answer_to(site, strict, words), "-NOQUORUM");
    }
    struct talker *t = sloppy_talker(site, 0);
    struct talker *other = sloppy_talker(site, 1);
    every(site, t, "SET", keys, " v", "+OK\r\n");
    every(site, other, "GET", keys, "", "$1\r\nv\r\n");
    every(site, other, "SET", keys, " w", "+OK\r\n");
    assert_int_equal(minted(site), 2 * FEW);
    assert_int_equal(hints(site), 2 * FEW);
    for (uint32_t i = 0; i < 2; i++) cluster_power_loss(&site->cluster, i);
    for (uint32_t i = 0; i < 2; i++) cluster_start(&site->cluster, i);
    site_wait(site, 20 * NS_PER_SECOND);
    t = sloppy_talker(site, 0);
    every(site, t, "GET", keys, "", "$1\r\nw\r\n");
    start_replicas(site);
    wait_until_handed_off(site);
    expect_everywhere(site, keys, "$1\r\nw\r\n");
    for (uint32_t i = 0; i < FEW; i++) {
        for (uint32_t k = 2; k < MEMBERS; k++) assert_true(holds(site, k, keys[i]));
    }
    site_free(site);
}

// Whether the member is one of the first three, clockwise, that have no copy of the key.
static bool is_stand_in(struct site *site, const char *key, uint32_t member) {
    const struct map *map = node_map(node_at(site, 0));
    uint32_t at = map->run_of_slot[slot_of(slice_of_string(key))];
    uint8_t seen[MEMBERS_MAX / 8] = {0};
    for (uint32_t left = REPLICATION_DEFAULT; left > 0; at = (at + 1) % map->run_count) {
        for (uint32_t k = 0; k < map->runs[at].replica_count && left > 0; k++) {
            uint32_t next = map->runs[at].replicas[k].member;
            if (bitmap_has(seen, next) || has_copy(site, key, next)) continue;
            if (next == member) return true;
            bitmap_add(seen, next);
            left--;
        }
    }
    return false;
}

// Who has been asked reaches none of the replicas, and is none of those who would stand in; these
// reach them.
static void what_can_be_brought_to_a_replica_is_not_minted_elsewhere(void **state) {
    (void)state;
    struct site *site = site_new(8, NULL);
    char key[16];
    uint32_t next = 0;
    do {
        find_key(site, &next, 0, false, 0, false, key);
    } while (is_stand_in(site, key, 0));
    for (uint32_t i = 1; i < 8; i++) {
        if (has_copy(site, key, i)) site_cut(site, 0, i);
    }
    site_wait(site, 20 * NS_PER_SECOND);
    say(site, sloppy_talker(site, 0), "SET", key, " v", "+OK\r\n");
    assert_int_equal(hints(site), 0);
    uint32_t replica = run_of(site, key)->replicas[0].member;
    say(site, site_talker(site, replica, false), "GET", key, "", "$1\r\nv\r\n");
    site_free(site);
}

// Where another one stands in for somebody than before, it has what it keeps at hand all the same.
static void what_was_kept_for_another_replica_is_superseded(void **state) {
    (void)state;
    struct site *site = site_new(MEMBERS, NULL);
    char keys[FEW][16];
    find_keys(site, false, keys);
    kill_replicas(site);
    struct talker *t = sloppy_talker(site, 0);
    every(site, t, "SET", keys, " old", "+OK\r\n");
    cluster_kill(&site->cluster, 0);
    site_wait(site, 20 * NS_PER_SECOND);
    struct talker *left = sloppy_talker(site, 1);
    every(site, left, "GET", keys, "", "$3\r\nold\r\n");
    every(site, left, "SET", keys, " new", "+OK\r\n");
    cluster_start(&site->cluster, 0);
    start_replicas(site);
    wait_until_handed_off(site);
    expect_everywhere(site, keys, "$3\r\nnew\r\n");
    for (uint32_t i = 0; i < FEW; i++) {
        char words[128];
        (void)snprintf(words, sizeof(words), "KV.GET %s R ALL\r\n", keys[i]);
        const char *heard = answer_to(site, site_talker(site, 2, false), words);
        assert_null(strstr(heard, "old"));
    }
    site_free(site);
}

// Every member of one side from every one of the other.
static void cut_sides(struct site *site) {
    for (uint32_t i = 0; i < 2; i++) {
        for (uint32_t k = 2; k < MEMBERS; k++) site_cut(site, i, k);
    }
    site_wait(site, 30 * NS_PER_SECOND);
}

static void what_both_sides_of_a_cut_have_written_is_kept(void **state) {
    (void)state;
    struct site *site = site_new(MEMBERS, NULL);
    char keys[FEW][16];
    find_keys(site, false, keys);
    struct talker *left = sloppy_talker(site, 0);
    struct talker *right = sloppy_talker(site, 4);
    cut_sides(site);
    for (uint32_t i = 0; i < FEW; i++) {
        char words[128];
        (void)snprintf(words, sizeof(words), "KV.PUT %s left\r\n", keys[i]);
        expect_part(answer_to(site, left, words), "context");
        (void)snprintf(words, sizeof(words), "KV.PUT %s right\r\n", keys[i]);
        expect_part(answer_to(site, right, words), "context");
    }
    every(site, left, "GET", keys, "", "$4\r\nleft\r\n");
    assert_int_equal(minted(site), FEW);
    world_heal(site->world);
    wait_until_handed_off(site);
    for (uint32_t i = 0; i < FEW; i++) expect_both(site, keys[i], "left", "right");
    site_free(site);
}

// A hint is gone when it is handed off: what is minted next knows nothing of it.
static void what_is_minted_later_supersedes_nothing_that_it_has_not_seen(void **state) {
    (void)state;
    struct site *site = site_new(MEMBERS, NULL);
    char keys[FEW][16];
    find_keys(site, false, keys);
    const char *values[2] = {"first", "second"};
    for (uint32_t round = 0; round < 2; round++) {
        kill_replicas(site);
        struct talker *t = sloppy_talker(site, 0);
        for (uint32_t i = 0; i < FEW; i++) {
            char words[128];
            (void)snprintf(words, sizeof(words), "KV.PUT %s %s\r\n", keys[i], values[round]);
            expect_part(answer_to(site, t, words), "context");
        }
        start_replicas(site);
        wait_until_handed_off(site);
    }
    assert_int_equal(minted(site), 2 * FEW);
    for (uint32_t i = 0; i < FEW; i++) expect_both(site, keys[i], "first", "second");
    site_free(site);
}

static void what_is_minted_beside_each_other_stays_beside_each_other(void **state) {
    (void)state;
    struct site *site = site_new(MEMBERS, NULL);
    char keys[FEW][16];
    find_keys(site, false, keys);
    kill_replicas(site);
    struct talker *t = sloppy_talker(site, 0);
    for (uint32_t i = 0; i < 2 * FEW; i++) {
        char words[128];
        (void)snprintf(words, sizeof(words), "KV.PUT %s %s\r\n", keys[i / 2],
                       i % 2 == 0 ? "first" : "second");
        expect_part(answer_to(site, t, words), "context");
    }
    start_replicas(site);
    wait_until_handed_off(site);
    for (uint32_t i = 0; i < FEW; i++) expect_both(site, keys[i], "first", "second");
    site_free(site);
}

// One of those who stood in is down while all replicas are back.
static void a_deletion_is_kept_while_somebody_may_have_what_was_minted(void **state) {
    (void)state;
    struct site *site = site_new(MEMBERS, NULL);
    char keys[FEW][16];
    find_keys(site, true, keys);
    kill_replicas(site);
    struct talker *t = sloppy_talker(site, 1);
    every(site, t, "SET", keys, " v", "+OK\r\n");
    cluster_kill(&site->cluster, 0);
    start_replicas(site);
    site_wait(site, 30 * NS_PER_SECOND);
    assert_int_equal(hints(site), 0);
    struct talker *strict = site_talker(site, 1, false);
    every(site, strict, "DEL", keys, "", ":1\r\n");
    site_wait(site, 60 * NS_PER_SECOND);
    assert_int_equal(held(site), 3 * FEW);
    cluster_start(&site->cluster, 0);
    wait_until_handed_off(site);
    wait_until_purged(site);
    expect_everywhere(site, keys, "$-1\r\n");
    site_free(site);
}

// ... or cannot reach whom its hint is for.
static void a_deletion_is_kept_while_somebody_has_what_was_minted(void **state) {
    (void)state;
    struct site *site = site_new(MEMBERS, NULL);
    char keys[FEW][16];
    find_keys(site, true, keys);
    const struct map_run *run = run_of(site, keys[0]);
    uint32_t target = run->replicas[1].member;
    kill_replicas(site);
    struct talker *t = sloppy_talker(site, 0);
    every(site, t, "SET", keys, " v", "+OK\r\n");
    for (uint32_t i = 0; i < 2; i++) site_cut(site, i, target);
    start_replicas(site);
    site_wait(site, 60 * NS_PER_SECOND);
    assert_true(hints(site) > 0);
    struct talker *strict = site_talker(site, 1, false);
    every(site, strict, "DEL", keys, "", ":1\r\n");
    site_wait(site, 60 * NS_PER_SECOND);
    assert_true(holds(site, run->replicas[0].member, keys[0]));
    world_heal(site->world);
    wait_until_handed_off(site);
    wait_until_purged(site);
    expect_everywhere(site, keys, "$-1\r\n");
    site_free(site);
}

// For whom the first member keeps what was minted of the key.
static uint32_t target_of(struct site *site, const char *key) {
    uint8_t hint_key[HINT_KEY_SIZE];
    for (uint32_t i = 2; i < MEMBERS; i++) {
        struct store_read read = {.partition.slot = SLOT_MINTED, .key = {hint_key, HINT_KEY_SIZE}};
        hint_key_write(hint_key, (uint16_t)i, 0, slice_of_string(key));
        if (store_peek(node_store(node_at(site, 0)), &read) == ST_OK) return i;
    }
    return MEMBERS;
}

// The first member has not agreed to rounds that others have: what it mints later is no older.
static void after_rounds_of_all_that_failed_each_takes_what_the_other_mints(void **state) {
    (void)state;
    struct site *site = site_new(MEMBERS, NULL);
    char keys[FEW][16];
    find_keys(site, true, keys);
    kill_replicas(site);
    struct talker *t = sloppy_talker(site, 0);
    every(site, t, "SET", keys, " v", "+OK\r\n");
    uint32_t target = target_of(site, keys[0]);
    assert_in_range(target, 2, MEMBERS - 1);
    site_cut(site, 0, target);
    start_replicas(site);
    site_wait(site, 30 * NS_PER_SECOND);
    struct talker *strict = site_talker(site, 1, false);
    every(site, strict, "DEL", keys, "", ":1\r\n");
    site_wait(site, 60 * NS_PER_SECOND);
    assert_in_range(held(site), 1, 3 * FEW);
    kill_replicas(site);
    every(site, t, "SET", keys, " w", "+OK\r\n");
    cluster_kill(&site->cluster, 0);
    site_wait(site, 20 * NS_PER_SECOND);
    every(site, sloppy_talker(site, 1), "GET", keys, "", "$1\r\nw\r\n");
    site_free(site);
}

// Purges of other keys, of which who stood in knows nothing, do not make it too old.
static void what_was_minted_before_a_purge_is_handed_off_after_it(void **state) {
    (void)state;
    struct site *site = site_new(MEMBERS, never_compared);
    char keys[FEW][16];
    char others[FEW][16];
    find_keys(site, true, keys);
    kill_replicas(site);
    struct talker *t = sloppy_talker(site, 0);
    every(site, t, "SET", keys, " v", "+OK\r\n");
    for (uint32_t i = 0; i < 2; i++) cluster_kill(&site->cluster, i);
    start_replicas(site);
    site_wait(site, 20 * NS_PER_SECOND);
    struct talker *strict = site_talker(site, 2, false);
    for (uint32_t i = 0; i < FEW; i++) { // of the same slot
        (void)snprintf(others[i], sizeof(others[i]), "{%.12s}", keys[i]);
    }
    every(site, strict, "SET", others, " v", "+OK\r\n");
    every(site, strict, "DEL", others, "", ":1\r\n");
    wait_until_purged(site);
    for (uint32_t i = 0; i < 2; i++) cluster_start(&site->cluster, i);
    while (!site_is_serving(site)) site_wait(site, NS_PER_SECOND / 10);
    uint64_t until = world_now(site->world) + 20 * NS_PER_SECOND;
    while (world_now(site->world) < until && hints(site) > 0) { // there is a purge all the time
        every(site, strict, "SET", others, " v", "+OK\r\n");
        every(site, strict, "DEL", others, "", ":1\r\n");
        site_wait(site, NS_PER_SECOND / 20);
    }
    assert_int_equal(hints(site), 0);
    expect_everywhere(site, keys, "$1\r\nv\r\n");
    site_free(site);
}

// Its data directory is one from before the hints were handed off, and the keys deleted and purged.
static void who_has_forgotten_a_purge_brings_back_nothing_that_it_had_minted(void **state) {
    (void)state;
    struct site *site = site_new(MEMBERS, NULL);
    char keys[FEW][16];
    find_keys(site, true, keys);
    kill_replicas(site);
    struct talker *t = sloppy_talker(site, 0);
    every(site, t, "SET", keys, " v", "+OK\r\n");
    struct machine *machine = site->cluster.processes[0].machine;
    cluster_kill(&site->cluster, 0);
    struct disk *copy = disk_copy(machine_disk(machine));
    cluster_start(&site->cluster, 0);
    start_replicas(site);
    wait_until_handed_off(site);
    struct talker *strict = site_talker(site, 2, false);
    every(site, strict, "DEL", keys, "", ":1\r\n");
    wait_until_purged(site);
    cluster_kill(&site->cluster, 0);
    machine_restore(machine, copy);
    disk_destroy(copy);
    cluster_start(&site->cluster, 0);
    wait_until_handed_off(site);
    site_wait(site, 60 * NS_PER_SECOND);
    assert_int_equal(held(site), 0);
    expect_everywhere(site, keys, "$-1\r\n");
    site_free(site);
}

static void little_room(struct node_options *node, struct server_options *server) {
    (void)server;
    node->hints_max = 1000;
}

// What there is no room for is not taken at all: it would be nowhere else.
static void who_has_no_room_for_it_does_not_mint(void **state) {
    (void)state;
    struct site *site = site_new(MEMBERS, little_room);
    char keys[FEW][16];
    char value[700];
    find_keys(site, false, keys);
    kill_replicas(site);
    struct talker *t = sloppy_talker(site, 0);
    (void)snprintf(value, sizeof(value), " v%0600u", 0);
    say(site, t, "SET", keys[0], value, "+OK\r\n");
    assert_int_equal(minted(site), 1);
    for (uint32_t i = 1; i < FEW; i++) {
        char words[800];
        (void)snprintf(words, sizeof(words), "SET %s%s\r\n", keys[i], value);
        expect_part(answer_to(site, t, words), "-NOQUORUM");
    }
    assert_int_equal(minted(site), 1);
    for (uint32_t i = 0; i < 2; i++) assert_in_range(node_hints(node_at(site, i)).size, 1, 1000);
    say(site, t, "SET", keys[1], " v", "+OK\r\n");
    start_replicas(site);
    wait_until_handed_off(site);
    struct talker *strict = site_talker(site, 0, false);
    for (uint32_t i = 2; i < FEW; i++) say(site, strict, "GET", keys[i], "", "$-1\r\n");
    site_free(site);
}

// What damage has taken of what was minted, others may have: it is not to be minted on.
static void what_is_minted_after_damage_supersedes_nothing_of_before(void **state) {
    (void)state;
    enum { MANY = 150 };
    struct site *site = site_new(MEMBERS, small_flushes);
    char keys[FEW][16];
    char filling[16];
    char value[256];
    uint32_t next = 0;
    find_keys(site, false, keys);
    kill_replicas(site);
    struct talker *t = sloppy_talker(site, 0);
    put_beside(site, t, keys[0], "first");
    uint32_t target = target_of(site, keys[0]);
    assert_in_range(target, 2, MEMBERS - 1);
    struct talker *strict = site_talker(site, 0, false);
    (void)snprintf(value, sizeof(value), " v%0200u", 0);
    for (uint32_t i = 0; i < MANY;
         i++) { // so that it is in a table; nothing of it is for the target
        do {
            find_key(site, &next, 0, true, 1, true, filling);
        } while (has_copy(site, filling, target));
        say(site, strict, "SET", filling, value, "+OK\r\n");
    }
    site_wait(site, 10 * NS_PER_SECOND);
    assert_true(rot_at(site, 0, "first"));
    start_replicas(site);
    wait_until_handed_off(site);
    site_wait(site, 20 * NS_PER_SECOND);
    assert_true(node_store_stats(node_at(site, 0)).damaged > 0);
    assert_int_equal(node_member(node_at(site, 0), 0)->state, MEMBER_SERVING);
    kill_replicas(site);
    put_beside(site, t, keys[0], "second");
    assert_int_equal(node_stats(node_at(site, 0)).hints_minted, 2);
    start_replicas(site);
    wait_until_handed_off(site);
    expect_both(site, keys[0], "first", "second");
    site_free(site);
}

static void put_many_beside(struct site *site, struct talker *t, const char *key, const char *value,
                            uint32_t count) {
    for (uint32_t i = 0; i < count; i++) put_beside(site, t, key, value);
}

// More values than a record has: they are taken when a client has replaced those on the replicas.
static void what_the_replicas_cannot_merge_is_shown_until_they_can(void **state) {
    (void)state;
    enum { MANY = 64 }; // four times that is too many
    struct site *site = site_new(MEMBERS, NULL);
    char keys[FEW][16];
    char context[TOKEN_MAX];
    char words[TOKEN_MAX + 64];
    find_keys(site, false, keys);
    for (uint32_t i = 2; i < 4; i++) {
        put_many_beside(site, site_talker(site, i, false), keys[0], "old", MANY);
    }
    kill_replicas(site);
    for (uint32_t i = 0; i < 2; i++) {
        put_many_beside(site, sloppy_talker(site, i), keys[0], "minted", MANY);
    }
    start_replicas(site);
    site_wait(site, 30 * NS_PER_SECOND);
    assert_int_equal(hints(site), 2);
    struct talker *t = site_talker(site, 0, false);
    const char *troubles = "$8\r\ntroubles\r\n$5\r\nhints\r\n";
    assert_int_equal(info_number(site, t, "INFO quoit\r\n", "hints_stuck"), 1);
    expect_part(answer_to(site, t, "QUOIT STATUS\r\n"), troubles);
    expect_part(answer_to(site, t, "QUOIT STATUS\r\n"), "$11\r\nhints_stuck\r\n:1\r\n");
    (void)snprintf(words, sizeof(words), "KV.GET %s\r\n", keys[0]);
    (void)answer_to(site, t, words);
    talker_context(t, context);
    (void)snprintf(words, sizeof(words), "KV.PUT %s new CONTEXT %s\r\n", keys[0], context);
    expect_part(answer_to(site, t, words), "context");
    wait_until_handed_off(site);
    site_wait(site, 2 * NS_PER_SECOND);
    assert_int_equal(info_number(site, t, "INFO quoit\r\n", "hints_stuck"), 0);
    assert_null(strstr(answer_to(site, t, "QUOIT STATUS\r\n"), troubles));
    expect_both(site, keys[0], "new", "minted");
    (void)snprintf(words, sizeof(words), "KV.GET %s\r\n", keys[0]);
    assert_null(strstr(answer_to(site, t, words), "old"));
    site_free(site);
}

int stand_in_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(who_stands_in_mints_and_keeps_it_through_a_loss_of_power),
        cmocka_unit_test(what_can_be_brought_to_a_replica_is_not_minted_elsewhere),
        cmocka_unit_test(what_was_kept_for_another_replica_is_superseded),
        cmocka_unit_test(what_both_sides_of_a_cut_have_written_is_kept),
        cmocka_unit_test(what_is_minted_later_supersedes_nothing_that_it_has_not_seen),
        cmocka_unit_test(what_is_minted_beside_each_other_stays_beside_each_other),
        cmocka_unit_test(a_deletion_is_kept_while_somebody_may_have_what_was_minted),
        cmocka_unit_test(a_deletion_is_kept_while_somebody_has_what_was_minted),
        cmocka_unit_test(after_rounds_of_all_that_failed_each_takes_what_the_other_mints),
        cmocka_unit_test(what_was_minted_before_a_purge_is_handed_off_after_it),
        cmocka_unit_test(who_has_forgotten_a_purge_brings_back_nothing_that_it_had_minted),
        cmocka_unit_test(who_has_no_room_for_it_does_not_mint),
        cmocka_unit_test(what_the_replicas_cannot_merge_is_shown_until_they_can),
        cmocka_unit_test(what_is_minted_after_damage_supersedes_nothing_of_before),
    };
    return cmocka_run_group_tests_name("stand_in", cases, NULL, NULL);
}
