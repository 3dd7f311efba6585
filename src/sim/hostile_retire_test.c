// SPDX-License-Identifier: Apache-2.0
//
// A member that asks to have entries of a context retired: what goes, what must not, and what comes
// too late after that.
#include "base/bitmap.h"
#include "sim/purge_case.h"

static const struct actor other = {99, 1}; // no replica's

// What we have written, at that time, on top of the first event of the other actor; with
// `is_beside` beside it.
static struct slice on_top(uint64_t counter, uint64_t timestamp, bool is_beside, uint8_t *bytes,
                           size_t size) {
    static struct record r;
    const struct version first = {other, 1};
    record_clear(&r);
    assert_int_equal(context_add(&r.context, first), ST_OK);
    const struct sibling s = {
        .dot = {{77, 1}, counter}, .timestamp = timestamp, .value = text("new")};
    struct slice encoded = encoded_with(&r, &s, bytes, size);
    if (!is_beside) return encoded;
    r.siblings[r.sibling_count++] =
        (struct sibling){.dot = first, .timestamp = EARLY, .value = text("old")};
    struct writer w = writer_to(bytes, size);
    record_encode(&r, &w);
    return writer_bytes(&w);
}

static struct slice old_value(uint8_t *bytes, size_t size) {
    static struct record r;
    const struct sibling s = {.dot = {other, 1}, .timestamp = EARLY, .value = text("old")};
    record_clear(&r);
    return encoded_with(&r, &s, bytes, size);
}

// What n1 holds of the key. Its values are lent until something is done.
static struct record *held(struct impostor *i) {
    static struct record r;
    struct store_read read = {.partition = {.slot = slot_of(text(KEY))}, .key = text(KEY)};
    assert_int_equal(store_peek(node_store(real_node(i)), &read), ST_OK);
    assert_int_equal(record_decode(&r, read.record), ST_OK);
    return &r;
}

static bool has_entry(struct impostor *i) {
    return context_counter(&held(i)->context, other) > 0;
}

static struct message_purge round_about(uint32_t round, struct slice entries) {
    return (struct message_purge){.id = round,
                                  .group = (uint16_t)group_of(KEY),
                                  .round = round,
                                  .is_wide = true,
                                  .entries = entries};
}

static void an_entry_goes_and_the_value_under_it_does_not_come_back(void **state) {
    (void)state;
    struct impostor *i = begin_serving();
    uint8_t values[3][128];
    uint8_t list[128];
    struct slice old = old_value(values[0], sizeof(values[0]));
    struct slice new = on_top(1, LATE, false, values[1], sizeof(values[1]));
    assert_int_equal(put(i, old, 0), ST_OK);
    assert_int_equal(put(i, new, 0), ST_OK);
    struct slice entries = condemned_as(true, KEY, new, list, sizeof(list));
    struct message_purge m = round_about(1, entries);
    bool is_held = false;
    assert_int_equal(propose(i, &m, &is_held), ST_OK);
    assert_true(is_held);
    erase_of(i, 1, true, entries);
    assert_false(has_entry(i));
    assert_int_equal(held(i)->sibling_count, 1);
    assert_int_equal(node_stats(real_node(i)).retired, 1);
    assert_int_equal(node_stats(real_node(i)).purged, 0);

    assert_int_equal(put(i, old, 0), ST_FENCED);
    struct slice beside = on_top(1, LATE, true, values[2], sizeof(values[2]));
    assert_int_equal(put(i, beside, 0), ST_FENCED);
    assert_false(has_entry(i));
    assert_int_equal(put(i, new, 0), ST_OK); // who has missed it brings back no more than the entry
    assert_true(has_entry(i));
    assert_int_equal(held(i)->sibling_count, 1);
    end(i);
}

static void nothing_is_retired_but_by_a_round_of_all(void **state) {
    (void)state;
    struct impostor *i = begin_serving();
    uint8_t value[128];
    uint8_t list[128];
    struct slice new = on_top(1, EARLY, false, value, sizeof(value));
    assert_int_equal(put(i, new, 0), ST_OK);
    struct slice entries = condemned_as(true, KEY, new, list, sizeof(list));
    struct message_purge m = round_about(1, entries);
    m.is_wide = false;
    bool is_held = false;
    assert_int_equal(propose(i, &m, &is_held), ST_INVALID);
    m.entries.size = 0;
    assert_int_equal(propose(i, &m, &is_held), ST_OK);
    erase(i, 1, entries);
    erase_of(i, 1, true, entries);
    assert_true(has_entry(i));
    end(i);
}

static uint32_t retire_above;

static void adjust_retire_above(struct node_options *node, struct server_options *server) {
    (void)server;
    node->retire_above = retire_above;
}

// A few entries do no harm: to be rid of those of a whole store would be to write it anew.
static void a_short_context_stays_as_it_is(void **state) {
    (void)state;
    for (retire_above = 1; retire_above <= 2; retire_above++) {
        struct impostor *i = begin_among_such(2, adjust_retire_above);
        uint8_t value[128];
        uint8_t list[128];
        struct slice new = on_top(1, EARLY, false, value, sizeof(value)); // with two entries
        assert_int_equal(put(i, new, 0), ST_OK);
        struct slice entries = condemned_as(true, KEY, new, list, sizeof(list));
        struct message_purge m = round_about(1, entries);
        bool is_held = false;
        assert_int_equal(propose(i, &m, &is_held), ST_OK);
        assert_true(is_held == (retire_above == 1));
        end(i);
    }
}

static void an_entry_under_a_value_is_not_let_go(void **state) {
    (void)state;
    struct impostor *i = begin_serving();
    uint8_t value[128];
    uint8_t list[128];
    struct slice both = on_top(1, LATE, true, value, sizeof(value));
    assert_int_equal(put(i, both, 0), ST_OK);
    struct slice entries = condemned_as(true, KEY, both, list, sizeof(list));
    struct message_purge m = round_about(1, entries);
    bool is_held = true;
    assert_int_equal(propose(i, &m, &is_held), ST_OK);
    assert_false(is_held);
    erase_of(i, 1, true, entries);
    assert_true(has_entry(i));
    end(i);
}

// What is alive does not go with an entry that says it is dead, nor what is dead with one that says
// it is alive.
static void each_goes_as_what_it_was_taken_for(void **state) {
    (void)state;
    struct impostor *i = begin_serving();
    uint8_t values[2][128];
    uint8_t lists[2][128];
    struct slice new = on_top(1, EARLY, false, values[0], sizeof(values[0]));
    assert_int_equal(put(i, new, 0), ST_OK);
    struct slice as_dead = condemned(KEY, new, lists[0], sizeof(lists[0]));
    struct slice as_alive = condemned_as(true, KEY, new, lists[1], sizeof(lists[1]));
    struct message_purge m = round_about(1, as_dead);
    bool is_held = true;
    assert_int_equal(propose(i, &m, &is_held), ST_OK);
    assert_false(is_held);
    m = round_about(2, as_alive);
    assert_int_equal(propose(i, &m, &is_held), ST_OK);
    assert_true(is_held);
    erase_of(i, 2, true, as_dead);
    assert_true(has_entry(i));
    erase_of(i, 2, true, as_alive);
    assert_false(has_entry(i));
    end(i);

    i = begin_serving();
    struct slice dead = record_by(1, EARLY, true, values[1], sizeof(values[1]));
    assert_int_equal(put(i, dead, 0), ST_OK);
    as_dead = condemned(KEY, dead, lists[0], sizeof(lists[0]));
    as_alive = condemned_as(true, KEY, dead, lists[1], sizeof(lists[1]));
    m = round_about(1, as_dead);
    assert_int_equal(propose(i, &m, &is_held), ST_OK);
    assert_true(is_held);
    erase_of(i, 1, true, as_alive);
    assert_true(is_there(i));
    erase_of(i, 1, true, as_dead);
    assert_false(is_there(i));
    end(i);
}

static void nothing_is_retired_from_what_has_changed(void **state) {
    (void)state;
    struct impostor *i = begin_serving();
    uint8_t values[2][128];
    uint8_t list[128];
    struct slice new = on_top(1, EARLY, false, values[0], sizeof(values[0]));
    struct slice newer = on_top(2, EARLY, false, values[1], sizeof(values[1]));
    assert_int_equal(put(i, new, 0), ST_OK);
    struct slice entries = condemned_as(true, KEY, new, list, sizeof(list));
    struct message_purge m = round_about(1, entries);
    bool is_held = false;
    assert_int_equal(propose(i, &m, &is_held), ST_OK);
    assert_true(is_held);
    assert_int_equal(put(i, newer, 1), ST_OK);
    erase_of(i, 1, true, entries); // it is another one by now
    assert_true(has_entry(i));
    m = round_about(2, entries);
    assert_int_equal(propose(i, &m, &is_held), ST_OK);
    assert_false(is_held);
    end(i);
}

static void nothing_is_retired_from_what_is_later_than_what_was_agreed_on(void **state) {
    (void)state;
    struct impostor *i = begin_serving();
    uint8_t value[128];
    uint8_t list[128];
    struct slice new = on_top(1, LATE + 1, false, value, sizeof(value));
    assert_int_equal(put(i, new, 0), ST_OK);
    struct message_purge m = round_about(1, (struct slice){0});
    bool is_held = false;
    assert_int_equal(propose(i, &m, &is_held), ST_OK);
    erase_of(i, 1, true, condemned_as(true, KEY, new, list, sizeof(list)));
    assert_true(has_entry(i));
    end(i);
}

// It would have to make all that it writes as late.
static void what_is_of_a_clock_that_is_ahead_is_left_until_then(void **state) {
    (void)state;
    struct impostor *i = begin_serving();
    const uint64_t hour = UINT64_C(3600) * 1000 << 16;
    const uint64_t now = machine_env(i->cluster.processes[0].machine)->wall_ms << 16;
    uint8_t value[128];
    uint8_t list[128];
    struct slice new = on_top(1, now + hour, false, value, sizeof(value));
    assert_int_equal(put(i, new, 0), ST_OK);
    struct message_purge m = round_about(1, condemned_as(true, KEY, new, list, sizeof(list)));
    bool is_held = true;
    assert_int_equal(propose(i, &m, &is_held), ST_OK);
    assert_false(is_held);
    end(i);
}

// Of one group we do not hold what n1 holds: it may be being written. The other one has its turn in
// the same look, and nothing waits for us.
static void what_differs_somewhere_keeps_nothing_elsewhere(void **state) {
    (void)state;
    struct impostor *i = begin_serving();
    char keys[2][16];
    uint8_t value[128];
    uint32_t number = 0;
    for (uint32_t k = 0; k < 2; k++) {
        do {
            find_own_key_from(i, &number, keys[k]);
        } while (k > 0 && group_of(keys[k]) == group_of(keys[0]));
    }
    claim(i, 0, 0, 0);
    struct slice new = on_top(1, EARLY, false, value, sizeof(value));
    for (uint32_t k = 0; k < 2; k++) assert_int_equal(put_at(i, keys[k], new, 0), ST_OK);
    struct message_purge m = hear_proposal(i);
    uint16_t first = m.group;
    uint64_t refused = world_now(i->world);
    answer_round(i, m.id, false);
    m = hear_proposal(i);
    assert_int_not_equal(m.group, first);
    assert_true(world_now(i->world) - refused < cluster_node_options(&i->cluster).purge_ns);
    agree_to(i, m.id);
    assert_int_equal(node_stats(real_node(i)).retired, 1);
    expect_blocked(i, 0, "");
    m = hear_proposal(i);
    assert_int_equal(m.group, first);
    end(i);
}

enum { SEVERAL = 7 };

// Keys of so many groups, for which n1 proposes rounds, and of each an entry to be retired.
static void put_several(struct impostor *i, char keys[SEVERAL][16]) {
    uint8_t value[128];
    uint32_t number = 0;
    uint8_t groups[SLOT_GROUPS / 8] = {0};
    claim(i, 0, 0, 0);
    struct slice new = on_top(1, EARLY, false, value, sizeof(value));
    for (uint32_t k = 0; k < SEVERAL; k++) {
        do {
            find_own_key_from(i, &number, keys[k]);
        } while (bitmap_has(groups, group_of(keys[k])));
        bitmap_add(groups, group_of(keys[k]));
        assert_int_equal(put_at(i, keys[k], new, 0), ST_OK);
    }
}

// We do not answer in one group: the others have their turn before it is tried again.
static void after_a_round_without_an_answer_other_groups_come_first(void **state) {
    (void)state;
    struct impostor *i = begin_serving();
    char keys[SEVERAL][16];
    put_several(i, keys);
    uint16_t silent = hear_proposal(i).group;
    for (uint32_t k = 1; k < SEVERAL; k++) {
        struct message_purge m = hear_proposal(i);
        assert_int_not_equal(m.group, silent);
        agree_to(i, m.id);
    }
    assert_int_equal(node_stats(real_node(i)).retired, SEVERAL - 1);
    assert_int_equal(hear_proposal(i).group, silent);
    end(i);
}

// We are slow to answer.
static void a_long_look_of_all_lets_other_rounds_have_their_turn(void **state) {
    (void)state;
    struct impostor *i = begin_serving();
    char keys[SEVERAL][16];
    uint8_t dead[128];
    uint8_t groups[SLOT_GROUPS / 8] = {0};
    put_several(i, keys);
    struct message_purge m = hear_proposal(i);
    struct slice tombstone = record_by(2, EARLY, true, dead, sizeof(dead));
    char beside[24];
    (void)snprintf(beside, sizeof(beside), "{%s}", keys[0]);
    assert_int_equal(put_at(i, beside, tombstone, 1), ST_OK);
    uint32_t rounds = 0;
    for (; m.is_wide && rounds < SEVERAL; m = hear_proposal(i), rounds++) {
        bitmap_add(groups, m.group);
        be_up_for(i, 9 * NS_PER_SECOND / 2);
        answer_round(i, m.id, false);
    }
    assert_in_range(rounds, 3, SEVERAL - 2);
    agree_to(i, m.id);
    m = hear_proposal(i);
    assert_true(m.is_wide);
    assert_false(bitmap_has(groups, m.group));
    end(i);
}

// It takes neither a removal nor what is left of a record: it would bring all back to the others.
static void a_full_disk_lets_nothing_go(void **state) {
    (void)state;
    struct impostor *i = begin_serving();
    struct machine *machine = i->cluster.processes[0].machine;
    uint8_t values[2][128];
    uint8_t lists[2][128];
    char dead_key[16];
    uint32_t number = 0;
    do {
        (void)snprintf(dead_key, sizeof(dead_key), "dead%u", number++);
    } while (group_of(dead_key) != group_of(KEY));
    struct slice new = on_top(1, EARLY, false, values[0], sizeof(values[0]));
    struct slice dead = record_by(1, EARLY, true, values[1], sizeof(values[1]));
    assert_int_equal(put(i, new, 0), ST_OK);
    assert_int_equal(put_at(i, dead_key, dead, 0), ST_OK);
    struct slice as_alive = condemned_as(true, KEY, new, lists[0], sizeof(lists[0]));
    struct slice as_dead = condemned(dead_key, dead, lists[1], sizeof(lists[1]));

    machine_set_quota(machine, 0);
    be_up_for(i, 10 * NS_PER_SECOND); // it looks now and then
    assert_true(node_store_stats(real_node(i)).is_full);
    struct message_purge m = round_about(1, as_alive);
    bool is_held = true;
    assert_int_equal(propose(i, &m, &is_held), ST_UNAVAILABLE);
    m.is_wide = false;
    m.entries = as_dead;
    assert_int_equal(propose(i, &m, &is_held), ST_UNAVAILABLE);

    machine_set_quota(machine, UINT64_MAX);
    be_up_for(i, 10 * NS_PER_SECOND);
    assert_false(node_store_stats(real_node(i)).is_full);
    m = round_about(3, as_alive);
    assert_int_equal(propose(i, &m, &is_held), ST_OK);
    assert_true(is_held);
    m = round_about(4, as_dead);
    assert_int_equal(propose(i, &m, &is_held), ST_OK);
    assert_true(is_held);
    end(i);
}

// What is large.

enum { LARGE_RECORDS = 300, LARGE_VALUE = 16 * 1024, ROUND_BYTES_MAX = 4 * 1024 * 1024 };

// ... whose value is as large as one may be.
static struct slice large_on_top(uint64_t timestamp) {
    static uint8_t value[LARGE_VALUE];
    static uint8_t bytes[LARGE_VALUE + 128];
    static struct record r;
    record_clear(&r);
    assert_int_equal(context_add(&r.context, (struct version){other, 1}), ST_OK);
    const struct sibling s = {
        .dot = {{77, 1}, 1}, .timestamp = timestamp, .value = {value, sizeof(value)}};
    return encoded_with(&r, &s, bytes, sizeof(bytes));
}

static void put_large(struct impostor *i, const char *key, struct slice record) {
    static uint8_t bytes[LARGE_VALUE + 512];
    const struct message_put m = {
        .id = 5, .slot = slot_of(text(key)), .key = text(key), .record = record};
    struct writer w = writer_to(bytes, sizeof(bytes));
    message_put_encode(&m, &w);
    assert_false(w.failed);
    say(i, &i->dialled, MESSAGE_PUT, writer_bytes(&w));
    struct frame frame = {0};
    struct message_put_done done;
    HEAR(i, &i->dialled, MESSAGE_PUT_DONE, put_done, &frame, &done);
    assert_int_equal(done.status, ST_OK);
}

static uint32_t count_entries(struct slice entries) {
    uint32_t count = 0;
    struct reader r = reader_of(entries);
    while (r.rest.size > 0) {
        struct message_condemned entry;
        message_condemned_read(&r, &entry);
        assert_false(r.failed);
        assert_true(entry.is_alive);
        count++;
    }
    return count;
}

static void agree_to_all(struct impostor *i, uint64_t id, uint32_t count) {
    uint8_t held[(LARGE_RECORDS + 7) / 8];
    memset(held, 0xff, sizeof(held));
    const struct message_purge_done m = {.id = id, .round = 1, .held = {held, (count + 7) / 8}};
    SAY(i, &i->accepted, MESSAGE_PURGE_DONE, purge_done, &m);
    pass(i->world, NS_PER_SECOND);
}

// All replicas write anew what a round leaves of each of its records, and at once.
static void a_round_leaves_no_more_than_can_be_written_at_once(void **state) {
    (void)state;
    struct impostor *i = begin_serving();
    char tag[16];
    find_own_key(i, tag);
    claim(i, 0, 0, 0);
    // None is due before all are there.
    const uint64_t wall_ms = machine_env(i->cluster.processes[0].machine)->wall_ms;
    const uint64_t due_ms = wall_ms + UINT64_C(20000);
    struct slice record = large_on_top(due_ms << 16);
    for (uint32_t k = 0; k < LARGE_RECORDS; k++) {
        char key[32];
        (void)snprintf(key, sizeof(key), "{%s}%u", tag, k);
        put_large(i, key, record);
        if (k % 16 == 0) be_up_for(i, 0);
    }
    assert_true(machine_env(i->cluster.processes[0].machine)->wall_ms < due_ms);
    const uint32_t most = ROUND_BYTES_MAX / (uint32_t)record.size;
    for (uint32_t left = LARGE_RECORDS; left > 0;) {
        struct message_purge m = hear_proposal(i);
        uint32_t count = count_entries(m.entries);
        assert_int_equal(count, left < most ? left : most);
        left -= count;
        agree_to_all(i, m.id, count);
        assert_int_equal(node_stats(real_node(i)).retired, LARGE_RECORDS - left);
    }
    end(i);
}

int hostile_retire_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(an_entry_goes_and_the_value_under_it_does_not_come_back),
        cmocka_unit_test(nothing_is_retired_but_by_a_round_of_all),
        cmocka_unit_test(a_short_context_stays_as_it_is),
        cmocka_unit_test(an_entry_under_a_value_is_not_let_go),
        cmocka_unit_test(each_goes_as_what_it_was_taken_for),
        cmocka_unit_test(nothing_is_retired_from_what_has_changed),
        cmocka_unit_test(nothing_is_retired_from_what_is_later_than_what_was_agreed_on),
        cmocka_unit_test(what_is_of_a_clock_that_is_ahead_is_left_until_then),
        cmocka_unit_test(what_differs_somewhere_keeps_nothing_elsewhere),
        cmocka_unit_test(after_a_round_without_an_answer_other_groups_come_first),
        cmocka_unit_test(a_long_look_of_all_lets_other_rounds_have_their_turn),
        cmocka_unit_test(a_full_disk_lets_nothing_go),
        cmocka_unit_test(a_round_leaves_no_more_than_can_be_written_at_once),
    };
    return cmocka_run_group_tests_name("hostile_retire", cases, NULL, NULL);
}
