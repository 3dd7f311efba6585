// SPDX-License-Identifier: Apache-2.0
//
// Two members at once whose stores may hold what was purged, since they are damaged or have
// forgotten it (docs/purge.md): what each of them keeps, what it gives up, and for whom.
//
// All keys that matter are of one slot, in whose group something was purged. What is put into
// single stores there is older than that: it is gone because it was purged, or it is all that there
// is of a write, and nobody can tell by the value alone.
#include "sim/damage_case.h"
#include "sim/disk.h"

#define LONG_NS (60 * NS_PER_SECOND)

enum { MEMBERS = 3, KEYS = 500, EACH = 20, OURS = 77, THEIRS = 78 };

struct trial {
    struct site *site;
    char table[MEMBERS][64];      // one of each member: nothing that matters is in it
    struct disk *copies[MEMBERS]; // of their disks, of before a purge
};

static void name_key(char name[24], const char *what, uint32_t number) {
    (void)snprintf(name, 24, "{x}%s%u", what, number);
}

static void plant_all_by(struct trial *tr, uint32_t member, const char *what, uint64_t author) {
    for (uint32_t i = 0; i < EACH; i++) {
        char key[24];
        name_key(key, what, i);
        plant_value(tr->site, member, key, author);
    }
}

static void plant_all(struct trial *tr, uint32_t member, const char *what) {
    plant_all_by(tr, member, what, OURS);
}

// How many values of these keys the member holds.
static uint32_t count_at(const struct trial *tr, uint32_t member, const char *what) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < EACH; i++) {
        char key[24];
        name_key(key, what, i);
        count += values_at(tr->site, member, key);
    }
    return count;
}

static void expect_at_all(const struct trial *tr, const char *what, uint32_t count) {
    for (uint32_t i = 0; i < MEMBERS; i++) assert_int_equal(count_at(tr, i, what), count);
}

static void find_table(struct trial *tr, uint32_t member) {
    uint8_t names[8192];
    struct machine *machine = tr->site->cluster.processes[member].machine;
    uint32_t size = machine_durable_names(machine, names, sizeof(names));
    uint32_t at = 0;
    const char *name = next_table(names, size, &at);
    assert_non_null(name);
    (void)snprintf(tr->table[member], sizeof(tr->table[member]), "%s", name);
}

// Deletes a key of the slot and has it purged, so that what is planted from then on is older.
static void purge_one(struct trial *tr) {
    struct talker *t = site_talker(tr->site, 0, false);
    write_keys(tr->site, t, "{x}gone", 0, 1);
    delete_keys(tr->site, t, "{x}gone", 0, 1);
    uint64_t until = world_now(tr->site->world) + 20 * NS_PER_SECOND;
    for (uint32_t i = 0; i < MEMBERS; i++) {
        while (values_at(tr->site, i, "{x}gone0") > 0)
            assert_true(world_step(tr->site->world, until));
    }
}

static struct trial begin(void) {
    struct trial tr = {.site = site_new(MEMBERS, small_flushes)};
    write_keys(tr.site, site_talker(tr.site, 0, false), "key", 0, KEYS);
    site_wait(tr.site, 10 * NS_PER_SECOND);
    for (uint32_t i = 0; i < MEMBERS; i++) find_table(&tr, i);
    return tr;
}

static struct machine *machine_of(const struct trial *tr, uint32_t member) {
    return tr->site->cluster.processes[member].machine;
}

// The member goes on with a table of which nothing can be read: that is seen as it starts.
static void start_damaged(struct trial *tr, uint32_t member) {
    uint32_t flips = 0;
    while (machine_rot(machine_of(tr, member), tr->table[member], (uint64_t)64 * flips)) flips++;
    assert_true(flips > 0);
    cluster_start(&tr->site->cluster, member);
}

// Nobody hears of what is planted from then on before all have ended.
static void isolate_all(struct trial *tr) {
    for (uint32_t i = 0; i < MEMBERS; i++) world_isolate(tr->site->world, machine_of(tr, i));
}

static void kill_all(struct trial *tr) {
    for (uint32_t i = 0; i < MEMBERS; i++) cluster_kill(&tr->site->cluster, i);
    world_heal(tr->site->world);
}

static void wait_until_mended(struct trial *tr) {
    uint64_t until = world_now(tr->site->world) + LONG_NS;
    for (uint32_t i = 0; i < MEMBERS; i++) {
        while (!cluster_is_serving(&tr->site->cluster, i) ||
               state_at(tr->site, i) != MEMBER_SERVING) {
            assert_true(world_step(tr->site->world, until));
        }
    }
    site_wait(tr->site, 20 * NS_PER_SECOND);
}

static void end(struct trial *tr) {
    for (uint32_t i = 0; i < MEMBERS; i++) {
        if (tr->copies[i] != NULL) disk_destroy(tr->copies[i]);
    }
    site_free(tr->site);
}

// Keys that all members held when their disks were copied, and that are purged since.
static void purge_behind(struct trial *tr) {
    for (uint32_t i = 0; i < MEMBERS; i++) plant_all(tr, i, "old");
    for (uint32_t i = 0; i < MEMBERS; i++) {
        tr->copies[i] = disk_copy(machine_disk(machine_of(tr, i)));
    }
    delete_keys(tr->site, site_talker(tr->site, 0, false), "{x}old", 0, EACH);
    uint64_t until = world_now(tr->site->world) + 20 * NS_PER_SECOND;
    for (uint32_t i = 0; i < MEMBERS; i++) {
        while (count_at(tr, i, "old") > 0) assert_true(world_step(tr->site->world, until));
    }
}

// The member goes on with the copy of its disk, which knows nothing of the purge.
static void start_forgetful(struct trial *tr, uint32_t member) {
    machine_restore(machine_of(tr, member), tr->copies[member]);
    cluster_start(&tr->site->cluster, member);
}

// Both are damaged, and the third has missed what they hold, or holds something else of the key.

static void what_two_hold_stays_and_what_one_alone_holds_goes(void **state) {
    (void)state;
    struct trial tr = begin();
    purge_one(&tr);
    isolate_all(&tr);
    plant_all(&tr, 0, "first");
    plant_all(&tr, 1, "second");
    for (uint32_t i = 0; i < 2; i++) {
        plant_all(&tr, i, "both");
        plant_all(&tr, i, "beside");
    }
    plant_all_by(&tr, 2, "beside", THEIRS);
    plant_all(&tr, 2, "third");
    kill_all(&tr);
    cluster_start(&tr.site->cluster, 2);
    for (uint32_t i = 0; i < 2; i++) start_damaged(&tr, i);
    wait_until_mended(&tr);
    expect_at_all(&tr, "both", EACH);
    expect_at_all(&tr, "beside", 2 * EACH);
    expect_at_all(&tr, "third", EACH);
    expect_at_all(&tr, "first", 0);
    expect_at_all(&tr, "second", 0);
    end(&tr);
}

// Before it has been through with all nothing goes, however long one of them is away.
static void who_cannot_ask_one_of_them_drops_nothing(void **state) {
    (void)state;
    struct trial tr = begin();
    purge_one(&tr);
    isolate_all(&tr);
    for (uint32_t i = 0; i < 2; i++) plant_all(&tr, i, "both");
    kill_all(&tr);
    cluster_start(&tr.site->cluster, 2);
    start_damaged(&tr, 0);
    site_wait(tr.site, 30 * NS_PER_SECOND);
    assert_int_equal(state_at(tr.site, 0), MEMBER_MENDING);
    assert_int_equal(count_at(&tr, 0, "both"), EACH);
    assert_int_equal(count_at(&tr, 2, "both"), 0);
    start_damaged(&tr, 1);
    wait_until_mended(&tr);
    expect_at_all(&tr, "both", EACH);
    end(&tr);
}

// Both have forgotten.

static void what_both_have_forgotten_goes_though_both_hold_it(void **state) {
    (void)state;
    struct trial tr = begin();
    purge_behind(&tr);
    kill_all(&tr);
    cluster_start(&tr.site->cluster, 0);
    for (uint32_t i = 1; i < MEMBERS; i++) start_forgetful(&tr, i);
    wait_until_mended(&tr);
    expect_at_all(&tr, "old", 0);
    end(&tr);
}

// One is damaged, and one has forgotten: what was purged comes out from under the damage of the
// former.

static void who_is_damaged_keeps_what_it_has_seen_with_who_has_forgotten(void **state) {
    (void)state;
    struct trial tr = begin();
    purge_behind(&tr);
    isolate_all(&tr);
    plant_all(&tr, 0, "old");
    kill_all(&tr);
    site_cut(tr.site, 1, 2); // who has forgotten finds nobody to give way to
    cluster_start(&tr.site->cluster, 2);
    start_forgetful(&tr, 1);
    start_damaged(&tr, 0);
    site_wait(tr.site, 30 * NS_PER_SECOND);
    assert_int_equal(state_at(tr.site, 0), MEMBER_SERVING);
    assert_int_equal(state_at(tr.site, 1), MEMBER_MENDING);
    world_heal(tr.site->world);
    wait_until_mended(&tr);
    expect_at_all(&tr, "old", EACH);
    end(&tr);
}

static void who_is_damaged_drops_what_who_has_forgotten_had_dropped_before(void **state) {
    (void)state;
    struct trial tr = begin();
    purge_behind(&tr);
    isolate_all(&tr);
    plant_all(&tr, 0, "old");
    kill_all(&tr);
    cluster_start(&tr.site->cluster, 2);
    start_forgetful(&tr, 1);
    site_wait(tr.site, 30 * NS_PER_SECOND);
    assert_int_equal(state_at(tr.site, 1), MEMBER_MENDING);
    assert_int_equal(count_at(&tr, 1, "old"), 0);
    start_damaged(&tr, 0);
    wait_until_mended(&tr);
    expect_at_all(&tr, "old", 0);
    end(&tr);
}

// None is whole.

static void where_all_are_damaged_nobody_drops_anything(void **state) {
    (void)state;
    struct trial tr = begin();
    purge_one(&tr);
    isolate_all(&tr);
    plant_all(&tr, 0, "first");
    plant_all(&tr, 1, "second");
    plant_all(&tr, 2, "third");
    kill_all(&tr);
    for (uint32_t i = 0; i < MEMBERS; i++) start_damaged(&tr, i);
    wait_until_mended(&tr);
    expect_at_all(&tr, "first", EACH);
    expect_at_all(&tr, "second", EACH);
    expect_at_all(&tr, "third", EACH);
    end(&tr);
}

static void where_two_are_damaged_and_one_has_forgotten_nobody_does(void **state) {
    (void)state;
    struct trial tr = begin();
    purge_behind(&tr);
    isolate_all(&tr);
    plant_all(&tr, 0, "first");
    plant_all(&tr, 1, "second");
    kill_all(&tr);
    for (uint32_t i = 0; i < 2; i++) start_damaged(&tr, i);
    start_forgetful(&tr, 2);
    wait_until_mended(&tr);
    expect_at_all(&tr, "first", EACH);
    expect_at_all(&tr, "second", EACH);
    expect_at_all(&tr, "old", EACH);
    end(&tr);
}

int two_behind_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(what_two_hold_stays_and_what_one_alone_holds_goes),
        cmocka_unit_test(who_cannot_ask_one_of_them_drops_nothing),
        cmocka_unit_test(what_both_have_forgotten_goes_though_both_hold_it),
        cmocka_unit_test(who_is_damaged_keeps_what_it_has_seen_with_who_has_forgotten),
        cmocka_unit_test(who_is_damaged_drops_what_who_has_forgotten_had_dropped_before),
        cmocka_unit_test(where_all_are_damaged_nobody_drops_anything),
        cmocka_unit_test(where_two_are_damaged_and_one_has_forgotten_nobody_does),
    };
    return cmocka_run_group_tests_name("two_behind", cases, NULL, NULL);
}
