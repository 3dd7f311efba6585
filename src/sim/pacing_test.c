// SPDX-License-Identifier: Apache-2.0
//
// What is done in the background gives way to those who ask for something, and is done all the
// same. One member has a slow disk; clients ask it for one thing after the other, or nobody does.
#include "sim/handoff_case.h"

#define PATIENCE_NS (600 * NS_PER_SECOND)
#define RECOVERY_NS (PACE_WHOLE / PACE_STEP * PACE_WINDOW_NS + NS_PER_SECOND)

enum {
    SLOWNESS = 100, // a sync is up to 50 ms then, as a rule
    WRITTEN = 4000,
    FLOOR_PERCENT = PACE_FLOOR * 100 / PACE_WHOLE,
    ASK_NUMBERS = 5000,
    VALUE_SIZE = 1000,
    MANY = 40,
    ROUNDS = 1000,
    ROUNDS_OF_A_FLUSH = 2,
};

enum asking { NOTHING, WRITES, READS };

struct scene {
    struct site *site;
    struct talker *t;
    enum asking asking;
    uint32_t asked;
    uint32_t least; // share that was seen, percent
};

static struct node_stats stats_of(const struct scene *s) {
    return node_stats(node_at(s->site, 0));
}

// So that nothing but what is looked at is done.
static void no_hints(struct node_options *node, struct server_options *server) {
    (void)server;
    node->hints_max = 0;
}

// Whether the member has the key, durably.
static bool is_there(struct scene *s, uint32_t member, const char *key) {
    struct store_read read = {.key = slice_of_string(key)};
    read.partition.slot = slot_of(read.key);
    return store_peek(node_store(node_at(s->site, member)), &read) == ST_OK;
}

static void look_at_share(struct scene *s) {
    uint32_t share = stats_of(s).background_share;
    if (share < s->least) s->least = share;
}

// Some keys have values, and some are not there.
static void read_one(struct scene *s) {
    char words[64];
    (void)snprintf(words, sizeof(words), "STRLEN many%u\r\n", s->asked++ * 7 % ASK_NUMBERS);
    talker_say(s->t, words, strlen(words));
    talker_wait(s->site, s->t, 4);
    assert_true(s->t->heard_size >= 4);
    if (s->t->heard[1] != '0') talker_wait(s->site, s->t, 7);
}

// Asks for one thing, or lets some time pass.
static void pass(struct scene *s) {
    char words[64];
    switch (s->asking) {
    case NOTHING:
        site_wait(s->site, 50 * NS_PER_MS);
        break;
    case WRITES:
        (void)snprintf(words, sizeof(words), "SET ask%u v\r\n", s->asked++ % ASK_NUMBERS);
        expect_dialogue(s->site, s->t, words, "+OK\r\n");
        break;
    case READS:
        read_one(s);
        break;
    }
    look_at_share(s);
}

static void pass_for(struct scene *s, uint64_t ns) {
    uint64_t until = world_now(s->site->world) + ns;
    while (world_now(s->site->world) < until) pass(s);
}

// One of two members is away while the other one writes; then it is back, and the disk of the first
// one slow.
static struct scene begin(void (*adjust)(struct node_options *node, struct server_options *server),
                          enum asking asking, uint32_t away, uint32_t count) {
    struct scene s = {.site = site_new(2, adjust), .least = 100};
    s.t = site_talker(s.site, 1 - away, false);
    expect_dialogue(s.site, s.t, "CONSISTENCY WRITE ONE\r\n", "+OK\r\n");
    cluster_kill(&s.site->cluster, away);
    site_wait(s.site, 20 * NS_PER_SECOND);
    for (uint32_t i = 0; i < count; i++) {
        char words[64];
        (void)snprintf(words, sizeof(words), "SET key%u v\r\n", i);
        expect_dialogue(s.site, s.t, words, "+OK\r\n");
    }
    site_wait(s.site, RECOVERY_NS);
    machine_slow_disk(s.site->cluster.processes[0].machine, SLOWNESS);
    s.asking = asking;
    cluster_start(&s.site->cluster, away);
    while (!site_is_serving(s.site)) {
        if (away == 0) {
            site_wait(s.site, NS_PER_MS);
        } else {
            pass(&s);
        }
    }
    return s;
}

// Nobody asks any more: soon all goes as fast as it can.
static void expect_recovery(struct scene *s) {
    s->asking = NOTHING;
    pass_for(s, RECOVERY_NS);
    assert_int_equal(stats_of(s).background_share, 100);
}

// Returns how long it took.
static uint64_t hand_off(enum asking asking) {
    struct scene s = begin(never_compared, asking, 1, WRITTEN / 20);
    uint64_t began = world_now(s.site->world);
    while (node_hints(node_at(s.site, 0)).key_count > 0) {
        pass(&s);
        assert_true(world_now(s.site->world) - began < PATIENCE_NS);
    }
    uint64_t took = world_now(s.site->world) - began;
    assert_int_equal(s.least, asking == NOTHING ? 100 : FLOOR_PERCENT);
    assert_true((stats_of(&s).rested_ms[PACE_HANDOFF] > 0) == (asking != NOTHING));
    assert_true(is_there(&s, 1, "key0"));
    expect_recovery(&s);
    site_free(s.site);
    return took;
}

static void handing_off_gives_way_and_is_done_all_the_same(void **state) {
    (void)state;
    uint64_t alone = hand_off(NOTHING);
    uint64_t took = hand_off(WRITES);
    assert_true(took > 2 * alone);
}

static uint64_t repair(enum asking asking, uint32_t away) {
    struct scene s = begin(no_hints, asking, away, WRITTEN);
    uint64_t began = world_now(s.site->world);
    uint32_t held = 0;
    char key[16] = "key0";
    while (held < WRITTEN) {
        while (held < WRITTEN && is_there(&s, away, key)) {
            (void)snprintf(key, sizeof(key), "key%u", ++held);
        }
        pass(&s);
        assert_true(world_now(s.site->world) - began < PATIENCE_NS);
    }
    uint64_t took = world_now(s.site->world) - began;
    assert_int_equal(s.least, asking == NOTHING ? 100 : FLOOR_PERCENT);
    assert_true((stats_of(&s).rested_ms[PACE_REPAIR] > 0) == (asking != NOTHING));
    expect_recovery(&s);
    site_free(s.site);
    return took;
}

static void repairs_give_way_and_are_done_all_the_same(void **state) {
    (void)state;
    uint64_t alone = repair(NOTHING, 1);
    uint64_t took = repair(WRITES, 1);
    assert_true(took > 2 * alone);
}

// What is busy with each read for long lets others wait in its queue, not for its disk.
static uint64_t effort(const void *context) {
    return node_stats(context).reads * 20 * NS_PER_MS;
}

// What is taken waits for the disk, but nobody waits for that.
static void repairs_do_not_give_way_to_themselves(void **state) {
    (void)state;
    (void)repair(NOTHING, 0);
}

static void repairs_give_way_to_those_who_wait_for_their_turn(void **state) {
    (void)state;
    struct scene s = begin(no_hints, NOTHING, 1, WRITTEN);
    machine_slow_disk(s.site->cluster.processes[0].machine, 1);
    machine_set_effort(s.site->cluster.processes[0].machine, effort, node_at(s.site, 0));
    s.asking = READS;
    struct machine *machine = s.site->cluster.processes[0].machine;
    machine_enter(machine);
    node_repair(node_at(s.site, 0), 0, SLOT_COUNT - 1);
    machine_leave(machine);
    uint64_t began = world_now(s.site->world);
    while (node_repair_state(node_at(s.site, 0)).peers_left > 0) {
        pass(&s);
        assert_true(world_now(s.site->world) - began < PATIENCE_NS);
    }
    assert_int_equal(s.least, FLOOR_PERCENT);
    expect_recovery(&s);
    site_free(s.site);
}

static void small_tables(struct node_options *node, struct server_options *server) {
    (void)server;
    node->store.flush_size = UINT64_C(64) * 1024;
    node->store.table_size = UINT64_C(256) * 1024;
}

// Writes and deletes so many keys at once, each of a KiB.
static void write_many(struct scene *s, uint32_t round) {
    static char words[WORDS_MAX];
    words[0] = '\0';
    for (uint32_t i = 0; i < MANY; i++) {
        words_add(words, "SET many%u %0*u\r\n", (round * MANY + i) % ASK_NUMBERS, VALUE_SIZE, i);
    }
    words_add(words, "DEL many%u\r\n", round * 7 % ASK_NUMBERS);
    talker_say(s->t, words, strlen(words));
    talker_wait(s->site, s->t, (size_t)5 * MANY + 4);
    assert_int_equal(s->t->heard_size, 5 * MANY + 4);
    look_at_share(s);
}

static bool is_merging(const struct scene *s) {
    return node_store_stats(node_at(s->site, 0)).is_compacting;
}

static void compact(struct scene *s) {
    expect_dialogue(s->site, s->t, "QUOIT COMPACT\r\n", "+OK\r\n");
    assert_true(is_merging(s));
}

// One member that has merged all it has but for one flush, has nothing in memory, and a slow disk
// from now on.
static struct scene begin_alone(void) {
    struct scene s = {.site = site_new(1, small_tables), .least = 100};
    s.t = site_talker(s.site, 0, false);
    for (uint32_t i = 0; i < ROUNDS / 4; i++) write_many(&s, i);
    compact(&s);
    while (is_merging(&s)) pass(&s);
    pass_for(&s, RECOVERY_NS);
    for (uint32_t i = 0; i < ROUNDS_OF_A_FLUSH; i++) write_many(&s, i);
    pass_for(&s, RECOVERY_NS);
    assert_false(is_merging(&s));
    cluster_kill(&s.site->cluster, 0);
    cluster_start(&s.site->cluster, 0);
    while (!site_is_serving(s.site)) site_wait(s.site, NS_PER_MS);
    s.t = site_talker(s.site, 0, false);
    s.least = 100;
    machine_slow_disk(s.site->cluster.processes[0].machine, SLOWNESS);
    return s;
}

static uint64_t merge(enum asking asking) {
    struct scene s = begin_alone();
    s.asking = asking;
    compact(&s);
    uint64_t rested = stats_of(&s).rested_ms[PACE_MERGES];
    uint64_t began = world_now(s.site->world);
    while (is_merging(&s)) {
        pass(&s);
        assert_true(world_now(s.site->world) - began < PATIENCE_NS);
    }
    uint64_t took = world_now(s.site->world) - began;
    assert_int_equal(s.least, asking == NOTHING ? 100 : FLOOR_PERCENT);
    assert_true((stats_of(&s).rested_ms[PACE_MERGES] > rested) == (asking != NOTHING));
    expect_recovery(&s);
    site_free(s.site);
    return took;
}

static void merges_give_way_and_are_done_all_the_same(void **state) {
    (void)state;
    uint64_t alone = merge(NOTHING);
    assert_true(merge(WRITES) > 2 * alone);
    assert_true(merge(READS) > alone);
}

// Where more is written than they would do at the floor, merges rest no more than that allows. The
// audit and purging owe nobody anything.
static void merges_keep_up(void **state) {
    (void)state;
    struct scene s = begin_alone();
    uint64_t began = world_now(s.site->world);
    for (uint32_t i = 0; i < ROUNDS; i++) write_many(&s, i);
    uint64_t took_ms = (world_now(s.site->world) - began) / NS_PER_MS;
    struct node_stats n = stats_of(&s);
    assert_in_range(n.rested_ms[PACE_MERGES], 0, took_ms / 10);
    assert_true(n.rested_ms[PACE_AUDIT] > 0);
    assert_true(n.rested_ms[PACE_PURGE] > 0);
    expect_recovery(&s);
    site_free(s.site);
}

// It rests for seconds, as its disk was slow; then so much is written that it must not.
static void a_merge_that_rests_goes_on_when_it_is_behind(void **state) {
    (void)state;
    enum { LONG_MS = 4000, SOON_MS = 2000 };
    struct scene s = begin_alone();
    struct machine *machine = s.site->cluster.processes[0].machine;
    machine_slow_disk(machine, 10 * SLOWNESS);
    s.asking = WRITES;
    compact(&s);
    uint64_t before;
    do {
        before = stats_of(&s).rested_ms[PACE_MERGES];
        pass(&s);
        assert_true(is_merging(&s));
    } while (stats_of(&s).rested_ms[PACE_MERGES] - before < LONG_MS);
    machine_slow_disk(machine, 1);
    uint64_t rests = world_now(s.site->world);
    uint64_t merges = node_store_stats(node_at(s.site, 0)).compactions;
    uint32_t round = 0;
    while (node_store_stats(node_at(s.site, 0)).compactions == merges) {
        write_many(&s, round++);
        assert_true(world_now(s.site->world) - rests < SOON_MS * NS_PER_MS);
    }
    site_free(s.site);
}

int pacing_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(handing_off_gives_way_and_is_done_all_the_same),
        cmocka_unit_test(repairs_give_way_and_are_done_all_the_same),
        cmocka_unit_test(repairs_do_not_give_way_to_themselves),
        cmocka_unit_test(repairs_give_way_to_those_who_wait_for_their_turn),
        cmocka_unit_test(merges_give_way_and_are_done_all_the_same),
        cmocka_unit_test(merges_keep_up),
        cmocka_unit_test(a_merge_that_rests_goes_on_when_it_is_behind),
    };
    return cmocka_run_group_tests_name("pacing", cases, NULL, NULL);
}
