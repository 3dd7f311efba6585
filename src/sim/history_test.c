// SPDX-License-Identifier: Apache-2.0
//
// What becomes of entries in the history of a key that are none of its replicas': of those who have
// stood in for these, and of disks that were replaced.
#include "model/token.h"
#include "sim/disk.h"
#include "sim/stand_in_case.h"

struct look {
    struct store_read read;
    struct record *record;
    bool is_done;
};

static void on_read(struct store_read *read) {
    struct look *look = CONTAINER_OF(read, struct look, read);
    bool is_there = read->status == ST_OK;
    look->is_done = true;
    assert_true(is_there || read->status == ST_NOT_FOUND);
    struct slice bytes = is_there ? read->record : (struct slice){0};
    assert_int_equal(record_decode(look->record, bytes), ST_OK);
}

// The key as the member has it.
static void read_at(struct site *site, uint32_t member, const char *key, struct record *r) {
    struct machine *machine = site->cluster.processes[member].machine;
    struct look look = {.read = {.done = on_read, .key = slice_of_string(key)}, .record = r};
    look.read.partition.slot = slot_of(look.read.key);
    machine_enter(machine);
    if (store_get(node_store(node_at(site, member)), &look.read)) on_read(&look.read);
    machine_leave(machine);
    uint64_t until = world_now(site->world) + NS_PER_SECOND;
    while (!look.is_done) assert_true(world_step(site->world, until));
}

// Entries that are not of those who are members now, of the key as the member has it.
static uint32_t others_at(struct site *site, uint32_t member, const char *key) {
    static struct record r; // its values are not looked at
    const struct map *map = node_map(node_at(site, member));
    uint32_t count = 0;
    read_at(site, member, key, &r);
    for (uint32_t i = 0; i < r.context.count; i++) {
        uint32_t k = 0;
        while (k < map->member_count &&
               map->members[k].storage != r.context.entries[i].actor.storage) {
            k++;
        }
        count += k == map->member_count;
    }
    return count;
}

// The same of all keys and all that have copies and run.
static uint32_t others(struct site *site, char keys[FEW][16]) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < FEW; i++) {
        for (uint32_t k = 0; k < MEMBERS; k++) {
            if (node_at(site, k) == NULL || !has_copy(site, keys[i], k)) continue;
            count += others_at(site, k, keys[i]);
        }
    }
    return count;
}

static void wait_until_retired(struct site *site, char keys[FEW][16]) {
    uint64_t until = world_now(site->world) + 120 * NS_PER_SECOND;
    while (world_now(site->world) < until && others(site, keys) > 0) {
        site_wait(site, NS_PER_SECOND / 10);
    }
    assert_int_equal(others(site, keys), 0);
}

static uint64_t retired(struct site *site) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < MEMBERS; i++) sum += node_stats(node_at(site, i)).retired;
    return sum;
}

// All are back, and hold what the first member has minted.
static void have_minted(struct site *site, char keys[FEW][16]) {
    find_keys(site, true, keys);
    kill_replicas(site);
    every(site, sloppy_talker(site, 0), "SET", keys, " old", "+OK\r\n");
    start_replicas(site);
    wait_until_handed_off(site);
    site_wait(site, 5 * NS_PER_SECOND);
    assert_int_equal(others(site, keys), 3 * FEW);
}

static void write_over(struct site *site, char keys[FEW][16]) {
    every(site, site_talker(site, 0, false), "SET", keys, " new", "+OK\r\n");
}

static void an_entry_stays_with_its_value_and_goes_when_that_was_written_over(void **state) {
    (void)state;
    struct site *site = site_new(MEMBERS, NULL);
    char keys[FEW][16];
    have_minted(site, keys);
    struct talker *t = site_talker(site, 1, false);
    for (uint32_t i = 0; i < FEW; i++) put_beside(site, t, keys[i], "beside");
    site_wait(site, 60 * NS_PER_SECOND);
    assert_int_equal(others(site, keys), 3 * FEW);
    assert_int_equal(retired(site), 0);
    write_over(site, keys);
    wait_until_retired(site, keys);
    assert_int_equal(retired(site), 3 * FEW);
    uint32_t member = run_of(site, keys[0])->replicas[0].member;
    t = site_talker(site, member, false);
    assert_in_range(info_number(site, t, "INFO quoit\r\n", "retired"), 1, FEW);
    expect_everywhere(site, keys, "$3\r\nnew\r\n");
    every(site, t, "PEXPIRE", keys, " 600000", ":1\r\n"); // an old value that is written anew
    every(site, t, "PERSIST", keys, "", ":1\r\n");
    expect_everywhere(site, keys, "$3\r\nnew\r\n");
    site_free(site);
}

// Also one that has no copy of anything near the key.
static void an_entry_stays_while_a_member_is_away(void **state) {
    (void)state;
    struct site *site = site_new(MEMBERS, NULL);
    char keys[FEW][16];
    have_minted(site, keys);
    cluster_kill(&site->cluster, 1);
    write_over(site, keys);
    site_wait(site, 60 * NS_PER_SECOND);
    assert_int_equal(others(site, keys), 3 * FEW);
    cluster_start(&site->cluster, 1);
    wait_until_retired(site, keys);
    expect_everywhere(site, keys, "$3\r\nnew\r\n");
    site_free(site);
}

static void an_entry_stays_while_somebody_keeps_what_was_minted(void **state) {
    (void)state;
    struct site *site = site_new(MEMBERS, NULL);
    char keys[FEW][16];
    find_keys(site, true, keys);
    uint32_t target = run_of(site, keys[0])->replicas[1].member;
    kill_replicas(site);
    every(site, sloppy_talker(site, 0), "SET", keys, " old", "+OK\r\n");
    for (uint32_t i = 0; i < 2; i++) site_cut(site, i, target);
    start_replicas(site);
    site_wait(site, 30 * NS_PER_SECOND);
    uint32_t member = run_of(site, keys[0])->replicas[0].member;
    every(site, site_talker(site, member, false), "SET", keys, " new", "+OK\r\n");
    site_wait(site, 60 * NS_PER_SECOND);
    assert_true(hints(site) > 0);
    assert_true(others(site, keys) > 0);
    assert_int_equal(retired(site), 0);
    world_heal(site->world);
    wait_until_handed_off(site);
    wait_until_retired(site, keys);
    expect_everywhere(site, keys, "$3\r\nnew\r\n");
    site_free(site);
}

// Nobody knows of it but who reads what there is.
static void an_entry_goes_after_all_have_started_anew(void **state) {
    (void)state;
    struct site *site = site_new(MEMBERS, NULL);
    char keys[FEW][16];
    have_minted(site, keys);
    cluster_kill(&site->cluster, 1);
    write_over(site, keys);
    site_wait(site, 5 * NS_PER_SECOND);
    for (uint32_t i = 0; i < MEMBERS; i++) {
        if (i != 1) cluster_kill(&site->cluster, i);
    }
    for (uint32_t i = 0; i < MEMBERS; i++) cluster_start(&site->cluster, i);
    while (!site_is_serving(site)) site_wait(site, NS_PER_SECOND / 10);
    assert_int_equal(others(site, keys), 3 * FEW);
    wait_until_retired(site, keys);
    expect_everywhere(site, keys, "$3\r\nnew\r\n");
    site_free(site);
}

// It was a replica's when the others went through all they have.
static void an_entry_of_a_disk_that_was_replaced_goes(void **state) {
    (void)state;
    struct site *site = site_new(MEMBERS, NULL);
    char keys[FEW][16];
    uint32_t next = 0;
    for (uint32_t i = 0; i < FEW; i++) find_key(site, &next, 1, true, 2, true, keys[i]);
    every(site, site_talker(site, 2, false), "SET", keys, " old", "+OK\r\n");
    every(site, site_talker(site, 1, false), "SET", keys, " new", "+OK\r\n");
    site_wait(site, 60 * NS_PER_SECOND);
    assert_int_equal(others(site, keys), 0);
    cluster_kill(&site->cluster, 2);
    machine_wipe(site->cluster.processes[2].machine);
    cluster_start(&site->cluster, 2);
    site_have_replaced(site, 0, "n3");
    wait_until_retired(site, keys);
    assert_int_equal(retired(site), 3 * FEW);
    expect_everywhere(site, keys, "$3\r\nnew\r\n");
    site_free(site);
}

// Its disk is one from before the value was written over.
static void an_older_copy_brings_no_value_back_that_was_written_over(void **state) {
    (void)state;
    struct site *site = site_new(MEMBERS, NULL);
    char keys[FEW][16];
    have_minted(site, keys);
    uint32_t holder = run_of(site, keys[0])->replicas[1].member;
    struct machine *machine = site->cluster.processes[holder].machine;
    struct disk *copy = disk_copy(machine_disk(machine));
    write_over(site, keys);
    wait_until_retired(site, keys);
    cluster_kill(&site->cluster, holder);
    machine_restore(machine, copy);
    disk_destroy(copy);
    cluster_start(&site->cluster, holder);
    site_wait(site, 60 * NS_PER_SECOND);
    wait_until_retired(site, keys);
    expect_everywhere(site, keys, "$3\r\nnew\r\n");
    for (uint32_t i = 0; i < FEW; i++) {
        for (uint32_t k = 2; k < MEMBERS; k++) {
            static struct record r;
            if (!has_copy(site, keys[i], k)) continue;
            read_at(site, k, keys[i], &r);
            assert_int_equal(r.sibling_count, 1);
        }
    }
    site_free(site);
}

// So many have written the key as a history has entries, but for the one who writes it now.
static void write_with_full_history(struct site *site, const char *key) {
    const struct node_options options = cluster_node_options(&site->cluster);
    static struct context seen;
    static char token[TOKEN_TEXT_MAX];
    char *words = malloc(WORDS_MAX);
    context_clear(&seen);
    for (uint32_t i = 1; i < CONTEXT_MAX; i++) {
        assert_int_equal(context_add(&seen, (struct version){{i, 1}, 1}), ST_OK);
    }
    size_t size = token_encode(&options.secret, slice_of_string(key), &seen, 1, token);
    (void)snprintf(words, WORDS_MAX, "KV.PUT %s full CONTEXT %.*s\r\n", key, (int)size, token);
    expect_part(answer_to(site, site_talker(site, 2, false), words), "context");
    free(words);
}

static void a_full_history_is_relieved_before_it_refuses_anything(void **state) {
    (void)state;
    struct site *site = site_new(MEMBERS, NULL);
    char keys[FEW][16];
    find_keys(site, true, keys);
    for (uint32_t i = 0; i < FEW; i++) write_with_full_history(site, keys[i]);
    wait_until_retired(site, keys);
    assert_int_equal(retired(site), 3 * FEW * (CONTEXT_MAX - 1));
    kill_replicas(site);
    for (uint32_t i = 0; i < FEW; i++) put_beside(site, sloppy_talker(site, 0), keys[i], "minted");
    start_replicas(site);
    wait_until_handed_off(site);
    for (uint32_t i = 0; i < FEW; i++) expect_both(site, keys[i], "full", "minted");
    site_free(site);
}

int history_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(an_entry_stays_with_its_value_and_goes_when_that_was_written_over),
        cmocka_unit_test(an_entry_stays_while_a_member_is_away),
        cmocka_unit_test(an_entry_stays_while_somebody_keeps_what_was_minted),
        cmocka_unit_test(an_entry_goes_after_all_have_started_anew),
        cmocka_unit_test(an_entry_of_a_disk_that_was_replaced_goes),
        cmocka_unit_test(an_older_copy_brings_no_value_back_that_was_written_over),
        cmocka_unit_test(a_full_history_is_relieved_before_it_refuses_anything),
    };
    return cmocka_run_group_tests_name("history", cases, NULL, NULL);
}
