// SPDX-License-Identifier: Apache-2.0
#include "node/agreement_edit.h"

#include "tests/test.h"

static struct keyspace_change of(enum keyspace_verb verb, const char *name) {
    struct keyspace_change change = {.verb = verb};
    memcpy(change.wanted.name, name, strlen(name) + 1);
    return change;
}

// A map with `default` and `users`, both of three copies.
static struct map map_of_users(void) {
    struct map map = {.epoch = 2, .replication = 3, .next_keyspace = 5};
    map.keyspaces[0] =
        (struct keyspace){.state = KEYSPACE_ACTIVE, .replication = 3, .name = "default"};
    map.keyspaces[1] = (struct keyspace){
        .state = KEYSPACE_ACTIVE, .number = 4, .replication = 3, .ttl_ms = 7, .name = "users"};
    map_count_keyspaces(&map);
    return map;
}

static void assert_refused(struct keyspace_change change, enum keyspace_outcome outcome) {
    struct map map = map_of_users();
    assert_false(agreement_edit(&change, &map));
    assert_int_equal(change.outcome, outcome);
    struct map before = map_of_users();
    assert_memory_equal(map.keyspaces, before.keyspaces, sizeof(map.keyspaces));
    assert_int_equal(map.next_keyspace, before.next_keyspace);
}

static void what_cannot_be_is_refused_and_changes_nothing(void **state) {
    (void)state;
    assert_refused(of(KEYSPACE_CREATE, "users"), KEYSPACE_THERE);
    assert_refused(of(KEYSPACE_CREATE, "default"), KEYSPACE_THERE);
    assert_refused(of(KEYSPACE_ALTER, "feed"), KEYSPACE_NOT_THERE);
    assert_refused(of(KEYSPACE_DROP, "feed"), KEYSPACE_NOT_THERE);
    assert_refused(of(KEYSPACE_DROP, "default"), KEYSPACE_FIXED);

    struct keyspace_change change = of(KEYSPACE_CREATE, "feed");
    change.fields = KEYSPACE_REPLICATION;
    change.wanted.replication = 4;
    assert_refused(change, KEYSPACE_COPIES);
    change.wanted.replication = 1;
    change.fields |= KEYSPACE_READ;
    change.wanted.read = (struct level){LEVEL_COUNT, 2};
    assert_refused(change, KEYSPACE_FLAWED);

    change = of(KEYSPACE_ALTER, "default");
    change.fields = KEYSPACE_CONFLICT;
    change.wanted.conflict = CONFLICT_LWW;
    assert_refused(change, KEYSPACE_FIXED);
    change = of(KEYSPACE_ALTER, "users");
    change.fields = KEYSPACE_WRITE;
    change.wanted.write = (struct level){LEVEL_COUNT, 4};
    assert_refused(change, KEYSPACE_FLAWED);
}

static void a_level_asks_for_no_more_copies_than_there_are_hosts(void **state) {
    (void)state;
    struct map_run run = {.count = SLOT_COUNT, .replica_count = 2};
    for (uint32_t level = 2; level <= 3; level++) {
        struct keyspace_change changes[] = {of(KEYSPACE_CREATE, "feed"),
                                            of(KEYSPACE_ALTER, "users"),
                                            of(KEYSPACE_ALTER, "default")};
        for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
            struct map map = map_of_users();
            map.runs = &run;
            map.run_count = 1;
            changes[i].fields = i % 2 == 0 ? KEYSPACE_READ : KEYSPACE_WRITE;
            changes[i].wanted.read = changes[i].wanted.write = (struct level){LEVEL_COUNT, level};
            assert_int_equal(agreement_edit(&changes[i], &map), level == 2);
            if (level == 3) assert_int_equal(changes[i].outcome, KEYSPACE_FLAWED);
        }
    }
}

static void there_are_only_so_many_places_and_numbers(void **state) {
    (void)state;
    struct map map = map_of_users();
    for (uint32_t i = 0; i < KEYSPACES_MAX - 2; i++) {
        char name[] = "x0";
        name[1] = (char)('0' + i);
        struct keyspace_change change = of(KEYSPACE_CREATE, name);
        assert_true(agreement_edit(&change, &map));
    }
    struct keyspace_change change = of(KEYSPACE_CREATE, "feed");
    assert_false(agreement_edit(&change, &map));
    assert_int_equal(change.outcome, KEYSPACE_FULL);

    map = map_of_users();
    map.next_keyspace = UINT16_MAX;
    assert_true(agreement_edit(&change, &map));
    assert_int_equal(change.number, UINT16_MAX);
    change = of(KEYSPACE_CREATE, "more");
    assert_false(agreement_edit(&change, &map));
    assert_int_equal(change.outcome, KEYSPACE_NO_NUMBER);
    map = map_of_users();
    map.next_keyspace = UINT16_MAX;
    change = of(KEYSPACE_FLUSH, "");
    assert_false(agreement_edit(&change, &map));
    assert_int_equal(change.outcome, KEYSPACE_NO_NUMBER);
}

// Each way that a change can take: what is there in between, and after keys were found or not.
static void check_way(struct keyspace_change change, uint8_t held, enum keyspace_fate fate,
                      uint32_t count_after) {
    struct map map = map_of_users();
    assert_true(agreement_edit(&change, &map));
    assert_int_equal(agreement_fate(&change, &map), FATE_OPEN);
    struct keyspace_change other = of(KEYSPACE_ALTER, change.wanted.name);
    assert_false(agreement_edit(&other, &map));
    assert_int_equal(other.outcome, KEYSPACE_CHANGING);
    other = of(KEYSPACE_CREATE, change.wanted.name);
    assert_false(agreement_edit(&other, &map));
    assert_int_equal(other.outcome, KEYSPACE_CHANGING);
    other = of(KEYSPACE_FLUSH, "");
    assert_false(agreement_edit(&other, &map));
    assert_int_equal(other.outcome, KEYSPACE_CHANGING);
    agreement_decide(&map, held);
    assert_int_equal(agreement_fate(&change, &map), fate);
    assert_int_equal(map.keyspace_count, count_after);
    for (uint32_t i = 0; i < KEYSPACES_MAX; i++) {
        const struct keyspace *k = &map.keyspaces[i];
        assert_true(k->state == KEYSPACE_ACTIVE || k->state == KEYSPACE_FREE);
    }
    if (fate == FATE_DONE) return;
    struct map before = map_of_users();
    assert_memory_equal(map.keyspaces, before.keyspaces, sizeof(map.keyspaces));
}

static void what_comes_or_goes_does_so_only_without_keys(void **state) {
    (void)state;
    enum { USERS = 1 << 1, NEW = 1 << 2, NONE = 1 << 5 };
    check_way(of(KEYSPACE_CREATE, "feed"), 0, FATE_DONE, 3);
    check_way(of(KEYSPACE_CREATE, "feed"), NONE, FATE_DONE, 3);
    check_way(of(KEYSPACE_CREATE, "feed"), NEW, FATE_FAILED, 2);
    check_way(of(KEYSPACE_DROP, "users"), 0, FATE_DONE, 1);
    check_way(of(KEYSPACE_DROP, "users"), NEW, FATE_DONE, 1);
    check_way(of(KEYSPACE_DROP, "users"), USERS, FATE_FAILED, 2);
    struct keyspace_change change = of(KEYSPACE_ALTER, "users");
    change.fields = KEYSPACE_REPLICATION;
    change.wanted.replication = 2;
    check_way(change, 0, FATE_DONE, 2);
    check_way(change, USERS, FATE_FAILED, 2);
    check_way(change, NEW, FATE_FAILED, 2);
    check_way(change, UINT8_MAX, FATE_FAILED, 2);
}

static void an_altered_definition_keeps_what_is_not_said(void **state) {
    (void)state;
    struct map map = map_of_users();
    struct keyspace_change change = of(KEYSPACE_ALTER, "users");
    change.fields = KEYSPACE_READ;
    change.wanted.read = (struct level){LEVEL_COUNT, 1};
    assert_false(agreement_needs_all(&change));
    assert_true(agreement_edit(&change, &map));
    assert_int_equal(agreement_fate(&change, &map), FATE_DONE);
    assert_int_equal(map.keyspaces[1].read.count, 1);
    assert_int_equal(map.keyspaces[1].ttl_ms, 7);
    assert_int_equal(map.keyspaces[1].number, 4);
    change.fields = KEYSPACE_REPLICATION | KEYSPACE_CONFLICT;
    change.wanted.replication = 1;
    change.wanted.conflict = CONFLICT_LWW;
    assert_true(agreement_needs_all(&change));
    assert_true(agreement_edit(&change, &map));
    assert_int_equal(map.keyspaces[1].state, KEYSPACE_GOING);
    assert_int_equal(map.keyspaces[2].state, KEYSPACE_COMING);
    assert_int_equal(map.keyspaces[2].number, 5);
    agreement_decide(&map, 0);
    assert_int_equal(map.keyspaces[1].state, KEYSPACE_FREE);
    assert_int_equal(map.keyspaces[2].state, KEYSPACE_ACTIVE);
    assert_int_equal(map.keyspaces[2].conflict, CONFLICT_LWW);
    assert_int_equal(map.keyspaces[2].read.count, 1);
    assert_int_equal(map.keyspaces[2].ttl_ms, 7);
}

// Over keys, too, and of `default`: it moves none.
static void compression_is_set_at_any_time_and_stays(void **state) {
    (void)state;
    struct map map = map_of_users();
    struct keyspace_change change = of(KEYSPACE_ALTER, "default");
    change.fields = KEYSPACE_COMPRESSION;
    change.wanted.compression = COMPRESSION_NONE;
    assert_false(agreement_needs_all(&change));
    assert_true(agreement_edit(&change, &map));
    assert_int_equal(agreement_fate(&change, &map), FATE_DONE);
    assert_int_equal(map.keyspaces[0].compression, COMPRESSION_NONE);
    assert_int_equal(map.keyspaces[1].compression, COMPRESSION_UNSET);
    change = of(KEYSPACE_CREATE, "feed");
    change.fields = KEYSPACE_COMPRESSION;
    change.wanted.compression = COMPRESSION_ZSTD;
    assert_true(agreement_edit(&change, &map));
    agreement_decide(&map, 0);
    change = of(KEYSPACE_ALTER, "feed"); // one that comes anew
    change.fields = KEYSPACE_CONFLICT;
    change.wanted.conflict = CONFLICT_LWW;
    assert_true(agreement_edit(&change, &map));
    agreement_decide(&map, 0);
    change = of(KEYSPACE_FLUSH, "");
    assert_true(agreement_edit(&change, &map));
    uint32_t place = keyspace_find(map.keyspaces, SLICE("feed"));
    assert_int_equal(map.keyspaces[place].compression, COMPRESSION_ZSTD);
    change = of(KEYSPACE_CREATE, "more"); // which does not take after `default` in this
    assert_true(agreement_edit(&change, &map));
    place = keyspace_find(map.keyspaces, SLICE("more"));
    assert_int_equal(map.keyspaces[place].compression, COMPRESSION_UNSET);
}

static void a_flush_gives_everything_a_new_number(void **state) {
    (void)state;
    struct map map = map_of_users();
    struct keyspace_change change = of(KEYSPACE_FLUSH, "");
    assert_true(agreement_needs_all(&change));
    assert_true(agreement_edit(&change, &map));
    assert_int_equal(map.keyspaces[0].number, 5);
    assert_int_equal(map.keyspaces[1].number, 6);
    assert_int_equal(map.next_keyspace, 7);
    assert_int_equal(map.keyspaces[2].number, 0);
    assert_int_equal(agreement_fate(&change, &map), FATE_DONE);
}

int agreement_edit_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(what_cannot_be_is_refused_and_changes_nothing),
        cmocka_unit_test(a_level_asks_for_no_more_copies_than_there_are_hosts),
        cmocka_unit_test(there_are_only_so_many_places_and_numbers),
        cmocka_unit_test(what_comes_or_goes_does_so_only_without_keys),
        cmocka_unit_test(an_altered_definition_keeps_what_is_not_said),
        cmocka_unit_test(compression_is_set_at_any_time_and_stays),
        cmocka_unit_test(a_flush_gives_everything_a_new_number),
    };
    return cmocka_run_group_tests_name("agreement_edit", cases, NULL, NULL);
}
