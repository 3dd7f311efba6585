// SPDX-License-Identifier: Apache-2.0
//
// A member that asks for a purge which must not be: of what is not dead, without all having agreed,
// by records of before, or by claiming that there was one.
#include "base/bitmap.h"
#include "sim/purge_case.h"

#include <stdio.h>

// A tombstone that says of somebody who has no copy that it has minted of the key.
static struct slice dead_of_stand_in(uint8_t *bytes, size_t size) {
    static struct record r;
    const struct version minted = {{99, 1}, 1};
    uint8_t dead[128];
    assert_int_equal(record_decode(&r, record_by(1, EARLY, true, dead, sizeof(dead))), ST_OK);
    assert_int_equal(context_add(&r.context, minted), ST_OK);
    struct writer w = writer_to(bytes, size);
    record_encode(&r, &w);
    return writer_bytes(&w);
}

// Who has agreed takes nothing more of what may have been read before, and is older than the latest
// record that the round is about. Nothing is erased yet.
static void a_round_has_the_floor_of_the_latest_record_that_may_go(void **state) {
    (void)state;
    struct impostor *i = begin_serving();
    static const char *const keys[2] = {KEY, "{" KEY "}b"}; // of one group
    static const uint64_t times[2] = {LATE, EARLY};
    const char *third = "{" KEY "}c";
    uint8_t value[128];
    uint8_t list[256];
    size_t size = 0;
    for (uint32_t k = 0; k < 2; k++) {
        struct slice dead = record_by(k + 1, times[k], true, value, sizeof(value));
        assert_int_equal(put_at(i, keys[k], dead, 0), ST_OK);
        size += condemned(keys[k], dead, list + size, sizeof(list) - size).size;
    }
    const struct message_purge m = {
        .id = 1, .group = (uint16_t)group_of(KEY), .round = 1, .entries = {list, size}};
    bool is_held = false;
    assert_int_equal(propose(i, &m, &is_held), ST_OK);
    assert_true(is_held);
    struct slice older = record_by(3, LATE, false, value, sizeof(value));
    assert_int_equal(put_at(i, third, older, 0), ST_FENCED);
    assert_false(is_there_at(i, third));
    struct slice newer = record_by(3, LATE + 1, false, value, sizeof(value));
    assert_int_equal(put_at(i, third, newer, 0), ST_OK);
    end(i);
}

static void what_was_sent_before_a_purge_does_not_come_after_it(void **state) {
    (void)state;
    struct impostor *i = begin_serving();
    uint8_t values[3][128];
    uint8_t list[128];
    struct slice early = record_by(1, EARLY, false, values[0], sizeof(values[0]));
    struct slice dead = record_by(2, LATE, true, values[1], sizeof(values[1]));
    struct slice newer = record_by(3, LATE + 1, false, values[2], sizeof(values[2]));
    assert_int_equal(put(i, early, 0), ST_OK);
    assert_int_equal(put(i, dead, 0), ST_OK);
    struct message_purge m = {.id = 1,
                              .group = (uint16_t)group_of(KEY),
                              .round = 1,
                              .entries = condemned(KEY, dead, list, sizeof(list))};
    bool is_held = false;
    assert_int_equal(propose(i, &m, &is_held), ST_OK);
    assert_true(is_held);
    assert_true(is_there(i));
    erase(i, 1, m.entries);
    assert_false(is_there(i));

    assert_int_equal(put(i, early, 0), ST_FENCED);
    assert_int_equal(put(i, dead, 0), ST_FENCED);
    assert_false(is_there(i));
    assert_int_equal(put(i, newer, 0), ST_OK);
    assert_true(is_there(i));
    end(i);
}

static void a_round_that_must_not_be_is_not_agreed_to(void **state) {
    (void)state;
    struct impostor *i = begin_serving();
    uint8_t values[2][128];
    uint8_t list[128];
    struct slice early = record_by(1, EARLY, false, values[0], sizeof(values[0]));
    struct slice dead = record_by(2, LATE, true, values[1], sizeof(values[1]));
    uint16_t group = (uint16_t)group_of(KEY);
    assert_int_equal(put(i, early, 0), ST_OK);
    bool is_held = true;
    struct slice entries = condemned(KEY, early, list, sizeof(list)); // it is alive
    struct message_purge m = {.id = 1, .group = group, .round = 1, .entries = entries};
    assert_int_equal(propose(i, &m, &is_held), ST_OK);
    assert_false(is_held);
    m.entries = condemned(KEY, dead, list, sizeof(list)); // it is not what is held
    m.round = 2;
    assert_int_equal(propose(i, &m, &is_held), ST_OK);
    assert_false(is_held);
    assert_int_equal(propose(i, &m, &is_held), ST_UNAVAILABLE); // again
    m.round = 3;
    m.author = 99; // of another map
    assert_int_equal(propose(i, &m, &is_held), ST_UNAVAILABLE);
    m.author = 0;
    m.round = UINT32_MAX;
    assert_int_equal(propose(i, &m, &is_held), ST_UNAVAILABLE);
    m.round = FENCE_ROUND_MAX; // the last there could ever be
    assert_int_equal(propose(i, &m, &is_held), ST_UNAVAILABLE);
    m.round = 3;
    m.group = (uint16_t)((group + 1) % SLOT_GROUPS);
    assert_int_equal(propose(i, &m, &is_held), ST_INVALID); // not of these slots
    m.group = group;
    m.entries.size--;
    assert_int_equal(propose(i, &m, &is_held), ST_INVALID);
    assert_int_equal(put(i, dead, 2), ST_OK);
    end(i);
}

// What waits for a disk that takes nothing is not more and more.
static void rounds_that_wait_for_the_disk_are_few(void **state) {
    (void)state;
    enum { ROUNDS = 40, MOST = 24 };
    struct impostor *i = begin_serving();
    struct machine *machine = i->cluster.processes[0].machine;
    machine_slow_disk(machine, 1000);
    struct message_purge m = {.group = (uint16_t)group_of(KEY)};
    for (uint32_t round = 1; round <= ROUNDS; round++) {
        m.id = m.round = round;
        ask_round(i, &m);
    }
    pass(i->world, 200 * NS_PER_MS);
    machine_slow_disk(machine, 1);
    uint32_t agreed = 0;
    for (uint32_t round = 1; round <= ROUNDS; round++) {
        struct frame frame = {0};
        agreed += hear_round(i, &frame).status == ST_OK;
    }
    assert_in_range(agreed, 1, MOST);
    end(i);
}

// What is sent with a round says that it was read after it. A crash that takes the round would let
// another one have the same number.
static void a_round_counts_when_it_is_durable(void **state) {
    (void)state;
    struct impostor *i = begin_serving();
    struct machine *machine = i->cluster.processes[0].machine;
    uint8_t values[2][128];
    struct slice early = record_by(1, EARLY, false, values[0], sizeof(values[0]));
    assert_int_equal(put(i, early, 0), ST_OK);
    machine_slow_disk(machine, 1000);
    struct message_purge m = {.id = 1, .group = (uint16_t)group_of(KEY), .round = 1};
    ask_round(i, &m);
    pass(i->world, 20 * NS_PER_MS);
    assert_int_equal(round_of(i), 0);
    m.id = 2; // nobody agrees to it twice
    ask_round(i, &m);
    struct frame frame = {0};
    assert_int_equal(hear_round(i, &frame).status, ST_UNAVAILABLE);
    struct message_purge_done done = hear_round(i, &frame);
    assert_int_equal(done.status, ST_OK);
    assert_int_equal(done.round, 1);
    assert_int_equal(round_of(i), 1);
    machine_slow_disk(machine, 1);
    end(i);
}

static void nothing_is_erased_that_was_not_agreed_on(void **state) {
    (void)state;
    struct impostor *i = begin_serving();
    uint8_t values[2][128];
    uint8_t list[128];
    struct slice dead = record_by(1, EARLY, true, values[0], sizeof(values[0]));
    struct slice newer = record_by(2, EARLY, true, values[1], sizeof(values[1]));
    assert_int_equal(put(i, dead, 0), ST_OK);
    struct slice entries = condemned(KEY, dead, list, sizeof(list));
    erase(i, 0, entries); // nobody has agreed
    assert_true(is_there(i));
    struct message_purge m = {
        .id = 1, .group = (uint16_t)group_of(KEY), .round = 1, .entries = entries};
    bool is_held = false;
    assert_int_equal(propose(i, &m, &is_held), ST_OK);
    assert_true(is_held);
    struct slice cut = {entries.data, entries.size - 1};
    erase(i, 1, cut);
    assert_int_equal(put(i, newer, 1), ST_OK);
    erase(i, 1, entries); // it is another one by now
    assert_true(is_there(i));
    m.round = 2;
    assert_int_equal(propose(i, &m, &is_held), ST_OK);
    assert_false(is_held);
    end(i);
}

// Others may keep something of such a key as a hint: those with copies do not know.
static void what_a_stand_in_has_minted_of_goes_by_the_word_of_all(void **state) {
    (void)state;
    struct impostor *i = begin_serving();
    uint8_t values[2][128];
    uint8_t lists[2][128];
    const char *other = "{" KEY "}b"; // in the same group
    struct slice dead = dead_of_stand_in(values[0], sizeof(values[0]));
    struct slice later = record_by(2, LATE, true, values[1], sizeof(values[1]));
    assert_int_equal(put(i, dead, 0), ST_OK);
    assert_int_equal(put_at(i, other, later, 0), ST_OK);
    struct slice entries = condemned(KEY, dead, lists[0], sizeof(lists[0]));
    struct message_purge m = {
        .id = 1, .group = (uint16_t)group_of(KEY), .round = 1, .entries = entries};
    bool is_held = true;
    assert_int_equal(propose(i, &m, &is_held), ST_OK);
    assert_false(is_held);
    m.round = 2;
    m.entries = condemned(other, later, lists[1], sizeof(lists[1]));
    assert_int_equal(propose(i, &m, &is_held), ST_OK);
    assert_true(is_held);
    erase_of(i, 2, true, entries); // it has not agreed to that one as a round of all
    assert_true(is_there(i));
    m.round = 3;
    m.is_wide = true;
    m.entries = entries;
    assert_int_equal(propose(i, &m, &is_held), ST_OK);
    assert_true(is_held);
    erase_of(i, 3, true, entries);
    assert_false(is_there(i));
    end(i);
}

static enum member_state state_of(struct impostor *i) {
    be_up(i);
    pass(i->world, NS_PER_SECOND);
    return node_member(real_node(i), 0)->state;
}

// It compares with us, and nothing differs.
static void let_it_compare(struct impostor *i) {
    be_up(i);
    struct frame frame = {0};
    struct message_branches asked;
    HEAR(i, &i->accepted, MESSAGE_BRANCHES, branches, &frame, &asked);
    static const uint8_t none[SLOT_GROUPS / 8];
    const struct message_branches_done done = {.id = asked.id, .differ = {none, sizeof(none)}};
    SAY(i, &i->accepted, MESSAGE_BRANCHES_DONE, branches_done, &done);
}

// It compares with us, and we hold the record, which may be of before a purge or not.
static void let_it_find(struct impostor *i, struct slice record, bool is_behind) {
    be_up(i);
    struct frame frame = {0};
    uint8_t groups[SLOT_GROUPS / 8] = {0};
    uint8_t slots[GROUP_SLOTS / 8] = {0};
    bitmap_add(groups, group_of(KEY));
    bitmap_add(slots, slot_of(text(KEY)) % GROUP_SLOTS);
    struct message_branches branches;
    HEAR(i, &i->accepted, MESSAGE_BRANCHES, branches, &frame, &branches);
    const struct message_branches_done branches_done = {.id = branches.id,
                                                        .differ = {groups, sizeof(groups)}};
    SAY(i, &i->accepted, MESSAGE_BRANCHES_DONE, branches_done, &branches_done);
    struct message_digests digests;
    HEAR(i, &i->accepted, MESSAGE_DIGESTS, digests, &frame, &digests);
    const struct message_digests_done digests_done = {.id = digests.id,
                                                      .differ = {slots, sizeof(slots)}};
    SAY(i, &i->accepted, MESSAGE_DIGESTS_DONE, digests_done, &digests_done);
    struct message_compare compare;
    HEAR(i, &i->accepted, MESSAGE_COMPARE, compare, &frame, &compare);
    uint8_t list[256];
    struct writer records = writer_to(list, sizeof(list));
    write_sized(&records, text(KEY));
    write_sized(&records, record);
    const struct message_compare_done compare_done = {.id = compare.id,
                                                      .is_last = true,
                                                      .is_behind = is_behind,
                                                      .records = writer_bytes(&records)};
    SAY(i, &i->accepted, MESSAGE_COMPARE_DONE, compare_done, &compare_done);
    pass(i->world, 100 * NS_PER_MS);
}

static void a_round_that_others_have_agreed_to_is_this_members_too(void **state) {
    (void)state;
    struct impostor *i = begin_serving();
    assert_int_equal(round_of(i), 0);
    claim(i, 9, 0, 0);
    assert_int_equal(round_of(i), 9);
    claim(i, UINT32_MAX, 0, 0); // nobody can be there
    assert_int_equal(round_of(i), 9);
    claim(i, FENCE_ROUND_MAX, 0, 0); // and nobody has missed so many: others could not follow
    assert_int_equal(round_of(i), 9);
    assert_int_equal(state_of(i), MEMBER_SERVING);
    end(i);
}

// Once to give way in what it may have forgotten, and once to have back what it should not have.
static void who_has_forgotten_a_round_compares_twice(void **state) {
    (void)state;
    struct impostor *i = begin_serving();
    claim(i, 0, UINT32_MAX, 0); // of rounds that cannot be there is nothing to forget
    claim(i, 0, FENCE_ROUND_MAX, 0);
    assert_int_equal(state_of(i), MEMBER_SERVING);
    claim(i, 4, 4, LATE);
    assert_int_equal(state_of(i), MEMBER_MENDING);
    assert_int_equal(round_of(i), 0);
    let_it_compare(i);
    assert_int_equal(state_of(i), MEMBER_MENDING);
    assert_int_equal(round_of(i), 0); // what it sends proves nothing
    let_it_compare(i);
    assert_int_equal(state_of(i), MEMBER_SERVING);
    assert_int_equal(round_of(i), 4);
    end(i);
}

// What we hold may be there only because we have forgotten, too: as long as we do not know it
// waits.
static void who_mends_takes_nothing_of_before_a_purge_from_one_that_is_behind(void **state) {
    (void)state;
    struct impostor *i = begin_serving();
    uint8_t value[128];
    struct slice early = record_by(1, EARLY, false, value, sizeof(value));
    claim(i, 4, 4, LATE);
    let_it_compare(i); // and gives way
    let_it_find(i, early, true);
    assert_false(is_there(i));
    assert_int_equal(state_of(i), MEMBER_MENDING);
    let_it_find(i, early, false);
    assert_true(is_there(i));
    end(i);
}

// But for an old value that is written anew, as EXPIRE does: where it is no more, it may have been
// deleted and purged.
static void what_is_written_after_a_purge_is_later_than_what_was_purged(void **state) {
    (void)state;
    struct impostor *i = begin_serving();
    const uint64_t hour = UINT64_C(3600) * 1000 << 16;
    const uint64_t now = machine_env(i->cluster.processes[0].machine)->wall_ms << 16;
    const uint64_t floor = now + hour; // of a clock that is ahead
    claim(i, 4, 4, floor);
    let_it_compare(i);
    let_it_compare(i);
    assert_int_equal(state_of(i), MEMBER_SERVING);
    struct context seen = {0};
    assert_int_equal(context_add(&seen, (struct version){{77, 1}, 1}), ST_OK);
    uint8_t bytes[64];
    struct writer w = writer_to(bytes, sizeof(bytes));
    context_encode(&seen, &w);
    struct message_forward m = {.id = 9,
                                .kind = REQUEST_WRITE,
                                .need = 1,
                                .timestamp = EARLY,
                                .key = text(KEY),
                                .value = text("value"),
                                .seen = writer_bytes(&w)};
    struct frame frame = {0};
    assert_int_equal(forwarded(i, &m, &frame).status, ST_BUSY);
    assert_false(is_there(i));
    m.timestamp = 0;
    struct message_forward_done done = forwarded(i, &m, &frame);
    assert_int_equal(done.status, ST_OK);
    static struct record written;
    assert_int_equal(record_decode(&written, done.record), ST_OK);
    assert_true(record_latest(&written)->timestamp > floor);

    claim(i, 5, 5, UINT64_MAX); // that was never agreed to: nothing could be later
    let_it_compare(i);
    let_it_compare(i);
    assert_int_equal(state_of(i), MEMBER_SERVING);
    done = forwarded(i, &m, &frame);
    assert_int_equal(done.status, ST_OK);
    assert_int_equal(record_decode(&written, done.record), ST_OK);
    assert_in_range(record_latest(&written)->timestamp, now + 24 * hour, now + 25 * hour);
    end(i);
}

// Who has agreed to a round about one record has not agreed to let go of a later one.
static void nothing_is_erased_that_is_later_than_what_was_agreed_on(void **state) {
    (void)state;
    struct impostor *i = begin_serving();
    uint8_t values[2][128];
    uint8_t lists[2][128];
    const char *other = "{" KEY "}b"; // in the same group
    struct slice dead = record_by(1, EARLY, true, values[0], sizeof(values[0]));
    struct slice later = record_by(2, LATE, true, values[1], sizeof(values[1]));
    assert_int_equal(put(i, dead, 0), ST_OK);
    assert_int_equal(put_at(i, other, later, 0), ST_OK);
    struct message_purge m = {.id = 1,
                              .group = (uint16_t)group_of(KEY),
                              .round = 1,
                              .entries = condemned(KEY, dead, lists[0], sizeof(lists[0]))};
    bool is_held = false;
    assert_int_equal(propose(i, &m, &is_held), ST_OK);
    assert_true(is_held);
    erase(i, 1, condemned(other, later, lists[1], sizeof(lists[1])));
    assert_true(is_there_at(i, other));
    erase(i, 1, m.entries);
    assert_false(is_there(i));
    end(i);
}

// That it has agreed is durable, and so it knows what it is told to erase in its next life.
static void a_restart_between_the_word_and_the_deed_forgets_neither(void **state) {
    (void)state;
    struct impostor *i = begin_serving();
    uint8_t value[128];
    uint8_t list[128];
    struct slice dead = record_by(1, EARLY, true, value, sizeof(value));
    assert_int_equal(put(i, dead, 0), ST_OK);
    struct message_purge m = {.id = 1,
                              .group = (uint16_t)group_of(KEY),
                              .round = 1,
                              .entries = condemned(KEY, dead, list, sizeof(list))};
    bool is_held = false;
    assert_int_equal(propose(i, &m, &is_held), ST_OK);
    assert_true(is_held);
    cluster_power_loss(&i->cluster, 0);
    cluster_start(&i->cluster, 0);
    i->accepted.in_size = i->accepted.taken = 0;
    be_dialled(i);
    dial(i);
    pass(i->world, 2 * NS_PER_SECOND);
    assert_int_equal(state_of(i), MEMBER_SERVING);
    assert_int_equal(round_of(i), 1);
    const struct fence decided = {.round = 1, .purged = 1, .floor = EARLY}; // that is no news
    claim_of(i, group_of(KEY), 1, &decided);
    assert_int_equal(state_of(i), MEMBER_SERVING);
    assert_true(is_there(i));
    erase(i, 1, m.entries);
    assert_false(is_there(i));
    end(i);
}

// Whose link has opened, or broken, in a round may have begun another life, which does not know of
// what the one before has agreed to.
static void a_round_in_which_a_member_is_lost_comes_to_nothing(void **state) {
    (void)state;
    for (int is_broken = 0; is_broken < 2; is_broken++) {
        struct impostor *i = begin_serving();
        char key[16];
        uint8_t value[128];
        find_own_key(i, key);
        claim(i, 0, 0, 0);
        struct slice dead = record_by(1, EARLY, true, value, sizeof(value));
        assert_int_equal(put_at(i, key, dead, 0), ST_OK);
        struct message_purge m = hear_proposal(i);
        assert_int_equal(m.round, 1);
        if (is_broken) {
            hang_up(i);
            be_dialled(i);
        } else {
            claim(i, 0, 0, 0);
        }
        agree_to(i, m.id);
        assert_true(is_there_at(i, key));
        m = hear_proposal(i);
        assert_true(m.round > 1);
        agree_to(i, m.id);
        assert_false(is_there_at(i, key));
        end(i);
    }
}

static void one_buffer_of_each(struct node_options *node, struct server_options *server) {
    (void)server;
    node->peer_buffers = 1;
}

// What all are to be told fits a buffer that each link has; else it is as much as a round takes.
static void rounds_are_short_where_large_buffers_are_few(void **state) {
    (void)state;
    enum { KEYS = 40, LONG = 400, ROUNDS = 4, SHORT = 6 * 1024 };
    for (int few = 0; few < 2; few++) {
        struct impostor *i = prepare(2);
        if (few) i->cluster.options.adjust = one_buffer_of_each;
        become(i, 77);
        cluster_start(&i->cluster, 0);
        be_dialled(i);
        dial(i);
        pass(i->world, 2 * NS_PER_SECOND);
        char own[16];
        char key[LONG];
        uint8_t value[128];
        find_own_key(i, own);
        claim(i, 0, 0, 0);
        struct slice dead = record_by(1, EARLY, true, value, sizeof(value));
        for (uint32_t k = 0; k < KEYS; k++) {
            (void)snprintf(key, sizeof(key), "{%s}%0*u", own, LONG - 32, k);
            assert_int_equal(put_at(i, key, dead, 0), ST_OK);
        }
        size_t most = 0;
        for (uint32_t round = 0; round < ROUNDS; round++) {
            struct message_purge m = hear_proposal(i);
            if (m.entries.size > most) most = m.entries.size;
            refuse(i, m.id);
        }
        size_t wanted = few ? SHORT : (size_t)KEYS * LONG;
        assert_in_range(most, wanted - LONG - 32, wanted);
        end(i);
    }
}

// Looks from when we refuse the proposal, or agree and hold nothing of it, to the next one.
static uint32_t looks_to_next(struct impostor *i, struct message_purge *m, bool is_refused) {
    const uint64_t look_ns = cluster_node_options(&i->cluster).purge_ns;
    uint64_t refused = world_now(i->world);
    if (is_refused) {
        refuse(i, m->id);
    } else {
        answer_round(i, m->id, false);
    }
    *m = hear_proposal(i);
    assert_true(m->is_wide);
    return (uint32_t)((world_now(i->world) - refused) / look_ns);
}

// All this time the operator sees that there is something, and for whom it waits.
static void rounds_of_all_that_come_to_nothing_are_made_less_and_less_often(void **state) {
    (void)state;
    static const uint32_t looks[] = {2, 4, 8, 16, 16};
    struct impostor *i = begin_serving();
    char key[16];
    uint8_t value[128];
    find_own_key(i, key);
    claim(i, 0, 0, 0);
    struct slice dead = dead_of_stand_in(value, sizeof(value));
    assert_int_equal(put_at(i, key, dead, 0), ST_OK);
    struct message_purge m = hear_proposal(i);
    assert_true(m.is_wide);
    expect_blocked(i, 0, "");
    for (size_t k = 0; k < sizeof(looks) / sizeof(looks[0]); k++) {
        assert_int_equal(looks_to_next(i, &m, k % 2 == 0), looks[k]);
        expect_blocked(i, 1, "n2");
    }
    agree_to(i, m.id);
    assert_false(is_there_at(i, key));
    expect_blocked(i, 0, "");
    assert_int_equal(put_at(i, key, dead, m.round), ST_OK);
    m = hear_proposal(i);
    assert_int_equal(looks_to_next(i, &m, false), 2);
    end(i);
}

// We could be one without copies, who would not be asked in a later round of the same number.
static void a_round_of_all_is_durable_where_it_is_made_before_others_hear_of_it(void **state) {
    (void)state;
    struct impostor *i = begin_serving();
    struct machine *machine = i->cluster.processes[0].machine;
    char key[16];
    uint8_t value[128];
    find_own_key(i, key);
    claim(i, 0, 0, 0);
    struct slice dead = dead_of_stand_in(value, sizeof(value));
    assert_int_equal(put_at(i, key, dead, 0), ST_OK);
    machine_slow_disk(machine, 1000);
    struct message_purge m = hear_proposal(i);
    assert_true(m.is_wide);
    assert_int_equal(m.round, 1);
    cluster_power_loss(&i->cluster, 0);
    machine_slow_disk(machine, 1);
    cluster_start(&i->cluster, 0);
    i->accepted.in_size = i->accepted.taken = 0;
    be_dialled(i);
    dial(i);
    m = hear_proposal(i);
    assert_true(m.is_wide);
    assert_int_equal(m.round, 2);
    agree_to(i, m.id);
    assert_false(is_there_at(i, key));
    end(i);
}

// The others have decided with a word of its that it has forgotten.
static void who_is_told_to_erase_what_it_has_not_agreed_to_mends(void **state) {
    (void)state;
    struct impostor *i = begin_serving();
    claim(i, 3, 0, 0); // it hears of the round, and has not agreed
    erase(i, 3, (struct slice){0});
    assert_int_equal(state_of(i), MEMBER_MENDING);
    end(i);
}

int hostile_purge_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(a_round_has_the_floor_of_the_latest_record_that_may_go),
        cmocka_unit_test(what_was_sent_before_a_purge_does_not_come_after_it),
        cmocka_unit_test(a_round_that_must_not_be_is_not_agreed_to),
        cmocka_unit_test(rounds_that_wait_for_the_disk_are_few),
        cmocka_unit_test(a_round_counts_when_it_is_durable),
        cmocka_unit_test(nothing_is_erased_that_was_not_agreed_on),
        cmocka_unit_test(what_a_stand_in_has_minted_of_goes_by_the_word_of_all),
        cmocka_unit_test(a_round_that_others_have_agreed_to_is_this_members_too),
        cmocka_unit_test(who_has_forgotten_a_round_compares_twice),
        cmocka_unit_test(who_mends_takes_nothing_of_before_a_purge_from_one_that_is_behind),
        cmocka_unit_test(who_is_told_to_erase_what_it_has_not_agreed_to_mends),
        cmocka_unit_test(nothing_is_erased_that_is_later_than_what_was_agreed_on),
        cmocka_unit_test(a_restart_between_the_word_and_the_deed_forgets_neither),
        cmocka_unit_test(a_round_in_which_a_member_is_lost_comes_to_nothing),
        cmocka_unit_test(rounds_are_short_where_large_buffers_are_few),
        cmocka_unit_test(rounds_of_all_that_come_to_nothing_are_made_less_and_less_often),
        cmocka_unit_test(a_round_of_all_is_durable_where_it_is_made_before_others_hear_of_it),
        cmocka_unit_test(what_is_written_after_a_purge_is_later_than_what_was_purged),
    };
    return cmocka_run_group_tests_name("hostile_purge", cases, NULL, NULL);
}
