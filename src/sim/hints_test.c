// SPDX-License-Identifier: Apache-2.0
//
// A member that stands in for another one, and what it makes of each word of a coordinator: it
// keeps all that it was told, says so when that is durable, and hands it off. Here n2 is the test:
// it coordinates, and it is the one that is stood in for. What clusters make of it is in
// handoff_test.c.
#include "model/fence.h"
#include "sim/impostor_case.h"

#include <stdio.h>

enum { MEMBERS = 5, US = 1, FIRST = 77, SECOND = 78 };

// The next key, from number *next on, that n2 has a copy of, and n1 has not.
static struct slice find_next_key(struct impostor *i, uint32_t *next, char name[16]) {
    const struct map *map = node_map(real_node(i));
    const struct map_run *run;
    do {
        (void)snprintf(name, 16, "key%u", (*next)++);
        run = map_run_of(map, slot_of(text(name)));
    } while (map_place_in(run, US) >= REPLICATION_DEFAULT ||
             map_place_in(run, 0) < REPLICATION_DEFAULT);
    return text(name);
}

static struct slice find_key(struct impostor *i) {
    static char name[16];
    uint32_t next = 0;
    return find_next_key(i, &next, name);
}

// A record with one value, by that author.
static struct slice record_by(uint64_t author, const char *value, uint8_t *bytes, size_t size) {
    static struct record r;
    const struct version dot = {{author, 1}, 1};
    record_clear(&r);
    assert_int_equal(context_add(&r.context, dot), ST_OK);
    r.siblings[r.sibling_count++] =
        (struct sibling){.dot = dot, .timestamp = author, .value = text(value)};
    struct writer w = writer_to(bytes, size);
    record_encode(&r, &w);
    return writer_bytes(&w);
}

static void tell_within(struct impostor *i, uint64_t id, struct slice key, uint64_t author,
                        uint32_t left_ms) {
    uint8_t record[128];
    const struct message_hint m = {
        .id = id,
        .target = US,
        .slot = slot_of(key),
        .key = key,
        .record = record_by(author, "value", record, sizeof(record)),
        .left_ms = left_ms,
    };
    SAY(i, &i->dialled, MESSAGE_HINT, hint, &m);
}

static void tell(struct impostor *i, uint64_t id, struct slice key, uint64_t author) {
    tell_within(i, id, key, author, 0);
}

static enum status hear_told(struct impostor *i, uint64_t id) {
    struct frame frame = {0};
    struct message_hint_done done;
    HEAR(i, &i->dialled, MESSAGE_HINT_DONE, hint_done, &frame, &done);
    assert_int_equal(done.id, id);
    return done.status;
}

static enum status hint(struct impostor *i, struct slice key, uint64_t author) {
    tell(i, author, key, author);
    return hear_told(i, author);
}

// Fills in the authors of its values, one or two; how many there are.
static uint32_t authors_in(struct slice bytes, uint64_t authors[2]) {
    static struct record r;
    assert_int_equal(record_decode(&r, bytes), ST_OK);
    assert_in_range(r.sibling_count, 1, 2);
    for (uint32_t k = 0; k < r.sibling_count; k++) {
        authors[k] = r.siblings[k].dot.actor.storage;
    }
    return r.sibling_count;
}

static void expect_both(struct slice record) {
    uint64_t authors[2] = {0};
    assert_int_equal(authors_in(record, authors), 2);
    assert_int_equal(authors[0] + authors[1], FIRST + SECOND);
}

static void ask_kept(struct impostor *i, struct slice key) {
    const struct message_get m = {.id = 3, .slot = slot_of(key), .target = US, .key = key};
    SAY(i, &i->dialled, MESSAGE_GET, get, &m);
}

// What it says that it keeps for us. The record is lent by the frame.
static struct message_get_done kept(struct impostor *i, struct slice key, struct frame *frame) {
    struct message_get_done done;
    ask_kept(i, key);
    HEAR(i, &i->dialled, MESSAGE_GET_DONE, get_done, frame, &done);
    return done;
}

static uint64_t hints(struct impostor *i) {
    return node_hints(real_node(i)).key_count;
}

// We are up, so that it hands off: the next that it sends.
static struct message_put hear_put(struct impostor *i, struct frame *frame) {
    struct message_put m;
    do {
        say_nothing(i, &i->accepted);
        assert_true(hear(i, &i->accepted, &i->accepted.recv_key, i->accepted.received++, frame));
    } while (frame->type != MESSAGE_PUT);
    assert_int_equal(message_put_decode(&m, frame->body), ST_OK);
    return m;
}

static void answer_put(struct impostor *i, uint64_t id, enum status status) {
    const struct message_put_done m = {.id = id, .status = status};
    SAY(i, &i->accepted, MESSAGE_PUT_DONE, put_done, &m);
    pass(i->world, 100 * NS_PER_MS);
}

// It stands still, or its disk does, until nobody waits any more.
static void what_comes_too_late_is_not_kept(void **state) {
    (void)state;
    struct impostor *i = begin_among(MEMBERS);
    struct machine *machine = i->cluster.processes[0].machine;
    struct slice key = find_key(i);
    for (uint32_t left_ms = 500; left_ms <= 2000; left_ms += 1500) {
        machine_pause(machine);
        tell_within(i, left_ms, key, FIRST, left_ms);
        pass(i->world, NS_PER_SECOND);
        machine_resume(machine);
        assert_int_equal(hear_told(i, left_ms), left_ms < 1000 ? ST_BUSY : ST_OK);
        assert_int_equal(hints(i), left_ms < 1000 ? 0 : 1);
    }
    assert_int_equal(node_stats(real_node(i)).late, 1);
    end(i);
}

static void of_two_coordinators_it_keeps_what_both_say(void **state) {
    (void)state;
    struct impostor *i = begin_among(MEMBERS);
    struct slice key = find_key(i);
    struct frame frame = {0};
    assert_int_equal(kept(i, key, &frame).status, ST_NOT_FOUND);
    assert_int_equal(hint(i, key, FIRST), ST_OK);
    assert_int_equal(hint(i, key, SECOND), ST_OK);
    assert_int_equal(hints(i), 1);
    struct message_get_done done = kept(i, key, &frame);
    assert_int_equal(done.status, ST_OK);
    expect_both(done.record);
    struct message_put m = hear_put(i, &frame);
    assert_true(slice_equal(m.key, key));
    expect_both(m.record);
    answer_put(i, m.id, ST_OK);
    assert_int_equal(hints(i), 0);
    end(i);
}

// It is told more of the key after it has sent what it had, and before we say that we have that.
static void what_was_kept_since_it_was_sent_stays(void **state) {
    (void)state;
    struct impostor *i = begin_among(MEMBERS);
    struct slice key = find_key(i);
    struct frame frame = {0};
    uint64_t authors[2];
    assert_int_equal(hint(i, key, FIRST), ST_OK);
    struct message_put m = hear_put(i, &frame);
    assert_int_equal(authors_in(m.record, authors), 1);
    uint64_t id = m.id;
    assert_int_equal(hint(i, key, SECOND), ST_OK);
    answer_put(i, id, ST_OK);
    assert_int_equal(hints(i), 1);
    m = hear_put(i, &frame);
    assert_true(m.id != id);
    expect_both(m.record);
    answer_put(i, m.id, ST_OK);
    assert_int_equal(hints(i), 0);
    end(i);
}

// Nobody waits for its word any more, least of all who comes next.
static void what_comes_late_is_kept_all_the_same(void **state) {
    (void)state;
    struct impostor *i = begin_among(MEMBERS);
    struct slice key = find_key(i);
    struct machine *machine = i->cluster.processes[0].machine;
    struct frame frame = {0};
    machine_slow_disk(machine, 1000);
    tell(i, 1, key, FIRST);
    pass(i->world, 10 * NS_PER_MS);
    env_shut(i->env, i->dialled.stream);
    dial(i);
    uint64_t until = world_now(i->world) + 10 * NS_PER_SECOND;
    while (hints(i) == 0) assert_true(world_step(i->world, until));
    machine_slow_disk(machine, 1);
    pass(i->world, NS_PER_SECOND);
    ask_kept(i, key);
    do {
        assert_true(hear(i, &i->dialled, &i->dialled.recv_key, i->dialled.received++, &frame));
        assert_int_not_equal(frame.type, MESSAGE_HINT_DONE);
    } while (frame.type != MESSAGE_GET_DONE);
    struct message_put m = hear_put(i, &frame);
    uint64_t authors[2];
    assert_int_equal(authors_in(m.record, authors), 1);
    assert_int_equal(authors[0], FIRST);
    answer_put(i, m.id, ST_FENCED); // what it was about has been purged meanwhile
    assert_int_equal(hints(i), 0);
    assert_int_equal(node_stats(real_node(i)).hints_dropped, 1);
    end(i);
}

// Of every group.
static void tell_fence(struct impostor *i, const struct fence *told) {
    struct fence fences[SLOT_GROUPS];
    for (uint32_t group = 0; group < SLOT_GROUPS; group++) fences[group] = *told;
    uint8_t bytes[FENCES_TOLD_SIZE_MAX];
    struct writer w = writer_to(bytes, sizeof(bytes));
    fences_tell(fences, &w);
    const struct message_fences m = {.fences = writer_bytes(&w)};
    SAY(i, &i->dialled, MESSAGE_FENCES, fences, &m);
}

// It has forgotten a purge, so it may have forgotten what it kept.
static void have_it_mend(struct impostor *i) {
    const struct fence forgotten = {.round = 4, .purged = 4, .floor = 1};
    tell_fence(i, &forgotten);
}

static void who_mends_stands_in_for_nobody(void **state) {
    (void)state;
    struct impostor *i = begin_among(MEMBERS);
    struct slice key = find_key(i);
    struct frame frame = {0};
    assert_int_equal(hint(i, key, FIRST), ST_OK);
    assert_int_equal(kept(i, key, &frame).status, ST_OK);
    have_it_mend(i);
    char other[16];
    uint32_t next = 100;
    assert_int_equal(hint(i, find_next_key(i, &next, other), SECOND), ST_UNAVAILABLE);
    assert_int_equal(kept(i, key, &frame).status, ST_UNAVAILABLE);
    assert_int_equal(hints(i), 1);
    pass(i->world, NS_PER_SECOND);
    assert_int_equal(node_member(real_node(i), 0)->state, MEMBER_MENDING);
    end(i);
}

// What it was told before is kept, but its word does not count any more.
static void who_begins_to_mend_amid_it_does_not_vouch_for_it(void **state) {
    (void)state;
    struct impostor *i = begin_among(MEMBERS);
    struct slice key = find_key(i);
    struct machine *machine = i->cluster.processes[0].machine;
    machine_slow_disk(machine, 1000);
    tell(i, 1, key, FIRST);
    have_it_mend(i);
    assert_int_equal(hear_told(i, 1), ST_UNAVAILABLE);
    machine_slow_disk(machine, 1);
    assert_int_equal(hints(i), 1);
    end(i);
}

// ... nor does it show what it reads from its disk meanwhile.
static void who_begins_to_mend_amid_a_read_does_not_show_it(void **state) {
    (void)state;
    struct impostor *i = begin_among(MEMBERS);
    struct machine *machine = i->cluster.processes[0].machine;
    struct slice key = find_key(i);
    uint32_t next = 0;
    for (uint64_t k = 0; k < 200; k++) { // more than memory takes without a table
        char name[16];
        assert_int_equal(hint(i, find_next_key(i, &next, name), FIRST), ST_OK);
    }
    pass(i->world, NS_PER_SECOND);
    cluster_kill(&i->cluster, 0);
    cluster_start(&i->cluster, 0);
    hang_up(i);
    be_dialled(i);
    dial(i);
    pass(i->world, 100 * NS_PER_MS);
    machine_slow_disk(machine, 1000);
    ask_kept(i, key);
    have_it_mend(i);
    struct frame frame = {0};
    struct message_get_done done;
    HEAR(i, &i->dialled, MESSAGE_GET_DONE, get_done, &frame, &done);
    machine_slow_disk(machine, 1);
    assert_int_equal(done.status, ST_UNAVAILABLE);
    end(i);
}

// Answers each of the next so many that it sends: of that key with the status, else that we have
// it. How often it was that key.
static uint32_t answer_puts(struct impostor *i, uint32_t count, struct slice key,
                            enum status status) {
    uint32_t times = 0;
    for (uint32_t k = 0; k < count; k++) {
        struct frame frame = {0};
        say_nothing(i, &i->dialled);
        struct message_put m = hear_put(i, &frame);
        bool is_it = slice_equal(m.key, key);
        times += is_it;
        answer_put(i, m.id, is_it ? status : ST_OK);
    }
    return times;
}

static uint64_t stuck(struct impostor *i) {
    return node_stats(real_node(i)).hints_stuck;
}

// Who has no room now will have.
static void what_is_refused_for_good_is_counted_until_it_is_taken(void **state) {
    (void)state;
    struct impostor *i = begin_among(MEMBERS);
    char name[16];
    uint32_t next = 100;
    struct slice key = find_key(i);
    assert_int_equal(hint(i, key, FIRST), ST_OK);
    assert_int_equal(hint(i, find_next_key(i, &next, name), SECOND), ST_OK);
    assert_int_equal(answer_puts(i, 2, key, ST_NO_SPACE), 1);
    assert_int_equal(stuck(i), 0);
    static const enum status refusals[] = {ST_HISTORY_FULL, ST_TOO_LARGE, ST_INVALID};
    for (uint32_t k = 0; k < 3; k++) { // once more each time around
        assert_int_equal(answer_puts(i, 1, key, refusals[k]), 1);
        assert_int_equal(stuck(i), 1);
    }
    assert_int_equal(hints(i), 1);
    assert_int_equal(answer_puts(i, 1, key, ST_OK), 1);
    assert_int_equal(hints(i), 0);
    pass(i->world, 2 * NS_PER_SECOND);
    assert_int_equal(stuck(i), 0);
    end(i);
}

// ... also if another one is left.
static void what_was_refused_and_is_taken_is_not_counted_with_the_rest(void **state) {
    (void)state;
    struct impostor *i = begin_among(MEMBERS);
    char name[16];
    uint32_t next = 100;
    struct slice key = find_key(i);
    assert_int_equal(hint(i, key, FIRST), ST_OK);
    assert_int_equal(answer_puts(i, 1, key, ST_TOO_LARGE), 1);
    assert_int_equal(stuck(i), 1);
    struct slice other = find_next_key(i, &next, name);
    assert_int_equal(hint(i, other, SECOND), ST_OK);
    while (hints(i) == 2) (void)answer_puts(i, 1, other, ST_NO_SPACE);
    for (uint32_t k = 0; k < 3; k++) (void)answer_puts(i, 1, other, ST_NO_SPACE);
    assert_int_equal(hints(i), 1);
    assert_int_equal(stuck(i), 0);
    end(i);
}

// Of what those who stand in have minted.

static enum status hint_of(struct impostor *i, bool is_minted, struct slice key, uint32_t round) {
    uint8_t record[128];
    const struct message_hint m = {
        .id = round,
        .target = US,
        .slot = slot_of(key),
        .round = round,
        .is_minted = is_minted,
        .key = key,
        .record = record_by(FIRST, "value", record, sizeof(record)),
    };
    SAY(i, &i->dialled, MESSAGE_HINT, hint, &m);
    return hear_told(i, round);
}

static enum status hint_minted(struct impostor *i, struct slice key, uint32_t round) {
    return hint_of(i, true, key, round);
}

// What it says to a round about nothing.
static enum status propose(struct impostor *i, struct slice key, uint32_t round, bool is_wide) {
    struct frame frame = {0};
    const struct message_purge m = {
        .id = round,
        .author = node_map_author(real_node(i)),
        .group = slot_of(key) / GROUP_SLOTS,
        .round = round,
        .is_wide = is_wide,
    };
    SAY(i, &i->dialled, MESSAGE_PURGE, purge, &m);
    struct message_purge_done done;
    HEAR(i, &i->dialled, MESSAGE_PURGE_DONE, purge_done, &frame, &done);
    return done.status;
}

static enum status propose_to_all(struct impostor *i, struct slice key, uint32_t round) {
    return propose(i, key, round, true);
}

static void what_was_minted_before_a_round_of_all_comes_too_late(void **state) {
    (void)state;
    struct impostor *i = begin_among(MEMBERS);
    struct slice key = find_key(i);
    struct frame frame = {0};
    assert_int_equal(propose_to_all(i, key, 5), ST_OK);
    assert_int_equal(hint_minted(i, key, 4), ST_FENCED);
    assert_int_equal(hints(i), 0);
    assert_int_equal(hint_minted(i, key, 5), ST_OK);
    assert_int_equal(hints(i), 1);
    assert_int_equal(propose_to_all(i, key, 6), ST_UNAVAILABLE); // it holds something
    struct message_put m = hear_put(i, &frame);
    assert_int_equal(m.round, 5);
    answer_put(i, m.id, ST_OK);
    assert_int_equal(hints(i), 0);
    assert_int_equal(propose_to_all(i, key, 6), ST_OK);
    end(i);
}

// It has agreed to that round as one of those with copies, and keeps what was minted before.
static void a_round_of_all_that_it_did_not_agree_to_makes_nothing_void(void **state) {
    (void)state;
    struct impostor *i = begin_among(MEMBERS);
    struct slice key = find_key(i);
    struct frame frame = {0};
    assert_int_equal(hint_minted(i, key, 4), ST_OK);
    assert_int_equal(propose(i, key, 5, false), ST_OK);
    const struct message_erase decided = {
        .author = node_map_author(real_node(i)),
        .group = slot_of(key) / GROUP_SLOTS,
        .round = 5,
        .is_wide = true,
    };
    SAY(i, &i->dialled, MESSAGE_ERASE, erase, &decided);
    assert_int_equal(kept(i, key, &frame).status, ST_OK);
    struct message_put m = hear_put(i, &frame);
    assert_true(slice_equal(m.key, key));
    answer_put(i, m.id, ST_OK);
    assert_int_equal(hints(i), 0);
    assert_int_equal(node_stats(real_node(i)).hints_dropped, 0);
    end(i);
}

// Whether it would let go what we hold of the key, of which it has no copy.
static bool lets_go(struct impostor *i, struct slice key, uint32_t round, bool is_alive) {
    uint8_t bytes[64];
    struct writer entries = writer_to(bytes, sizeof(bytes));
    const struct message_condemned entry = {
        .slot = slot_of(key), .timestamp = 1, .is_alive = is_alive, .key = key};
    message_condemned_write(&entries, &entry);
    const struct message_purge m = {
        .id = round,
        .author = node_map_author(real_node(i)),
        .group = slot_of(key) / GROUP_SLOTS,
        .round = round,
        .is_wide = true,
        .entries = writer_bytes(&entries),
    };
    SAY(i, &i->dialled, MESSAGE_PURGE, purge, &m);
    struct frame frame = {0};
    struct message_purge_done done;
    HEAR(i, &i->dialled, MESSAGE_PURGE_DONE, purge_done, &frame, &done);
    assert_int_equal(done.status, ST_OK);
    assert_int_equal(done.held.size, 1);
    return done.held.data[0] != 0;
}

// What is kept may be the second copy of a write that is older than the record.
static void no_entry_is_retired_while_copies_are_kept(void **state) {
    (void)state;
    struct impostor *i = begin_among(MEMBERS);
    struct slice key = find_key(i);
    struct frame frame = {0};
    assert_int_equal(hint_of(i, false, key, 0), ST_OK);
    assert_false(lets_go(i, key, 2, true));
    assert_true(lets_go(i, key, 3, false));
    struct message_put m = hear_put(i, &frame);
    answer_put(i, m.id, ST_OK);
    assert_int_equal(hints(i), 0);
    assert_true(lets_go(i, key, 4, true));
    assert_int_equal(hint_of(i, false, key, 3), ST_FENCED); // it may be no later than what went
    assert_int_equal(hint_of(i, false, key, 4), ST_OK);
    end(i);
}

static void tell_round(struct impostor *i, uint32_t round) {
    const struct fence told = {.round = round};
    tell_fence(i, &told);
}

// How many it sends within that time, while we are up.
static uint32_t puts_within(struct impostor *i, uint64_t ns) {
    struct frame frame = {0};
    uint32_t puts = 0;
    for (uint64_t until = world_now(i->world) + ns; world_now(i->world) < until;) {
        say_nothing(i, &i->accepted);
        say_nothing(i, &i->dialled);
        assert_true(hear(i, &i->accepted, &i->accepted.recv_key, i->accepted.received++, &frame));
        puts += frame.type == MESSAGE_PUT;
    }
    return puts;
}

// In its next life it does not know how many rounds there were meanwhile, before we say so.
static void what_was_minted_is_sent_to_who_has_told_its_rounds(void **state) {
    (void)state;
    struct impostor *i = begin_among(MEMBERS);
    struct slice key = find_key(i);
    struct frame frame = {0};
    assert_int_equal(hint_minted(i, key, 0), ST_OK);
    cluster_kill(&i->cluster, 0);
    cluster_start(&i->cluster, 0);
    hang_up(i);
    be_dialled(i);
    dial(i);
    assert_int_equal(puts_within(i, 5 * NS_PER_SECOND), 0);
    assert_int_equal(hints(i), 1);
    tell_round(i, 0);
    struct message_put m = hear_put(i, &frame);
    assert_true(slice_equal(m.key, key));
    answer_put(i, m.id, ST_OK);
    assert_int_equal(hints(i), 0);
    end(i);
}

static enum status forward_to_it(struct impostor *i, const struct message_forward *m) {
    struct frame frame = {0};
    return forwarded(i, m, &frame).status;
}

// The sender does not reach us; who is asked to mint does, and passes it on. We are not asked to
// pass it on in our turn.
static void who_reaches_a_replica_does_not_mint_in_its_place(void **state) {
    (void)state;
    struct impostor *i = begin_among(MEMBERS);
    struct slice key = find_key(i);
    struct frame frame = {0};
    assert_int_equal(hint(i, key, FIRST), ST_OK);
    struct message_put put = hear_put(i, &frame); // it does
    answer_put(i, put.id, ST_OK);
    struct message_forward m = {
        .id = 1,
        .kind = REQUEST_REPLACE,
        .is_sloppy = true,
        .need = 1,
        .key = key,
        .value = text("value"),
    };
    static const enum status statuses[] = {ST_OK, ST_UNAVAILABLE};
    for (uint32_t k = 0; k < 2; k++) {
        begin_forward(i, &m);
        struct message_forward passed;
        HEAR(i, &i->accepted, MESSAGE_FORWARD, forward, &frame, &passed);
        assert_true(passed.is_passed_on && passed.is_sloppy);
        assert_true(slice_equal(passed.value, m.value));
        const struct message_forward_done ours = {
            .id = passed.id, .status = statuses[k], .need = 1, .answered = 1, .storage = FIRST};
        SAY(i, &i->accepted, MESSAGE_FORWARD_DONE, forward_done, &ours);
        struct message_forward_done done;
        HEAR(i, &i->dialled, MESSAGE_FORWARD_DONE, forward_done, &frame, &done);
        assert_int_equal(done.status, statuses[k]);
        assert_int_equal(done.storage, FIRST); // whose dot it is
    }
    m.is_passed_on = true;
    assert_int_equal(forward_to_it(i, &m), ST_UNAVAILABLE);
    m.is_passed_on = m.is_sloppy = false; // then only a replica may be asked
    assert_int_equal(forward_to_it(i, &m), ST_INVALID);
    assert_int_equal(hints(i), 0);
    end(i);
}

int hints_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(what_comes_too_late_is_not_kept),
        cmocka_unit_test(of_two_coordinators_it_keeps_what_both_say),
        cmocka_unit_test(what_was_kept_since_it_was_sent_stays),
        cmocka_unit_test(what_comes_late_is_kept_all_the_same),
        cmocka_unit_test(who_mends_stands_in_for_nobody),
        cmocka_unit_test(who_begins_to_mend_amid_it_does_not_vouch_for_it),
        cmocka_unit_test(who_begins_to_mend_amid_a_read_does_not_show_it),
        cmocka_unit_test(what_is_refused_for_good_is_counted_until_it_is_taken),
        cmocka_unit_test(what_was_refused_and_is_taken_is_not_counted_with_the_rest),
        cmocka_unit_test(what_was_minted_before_a_round_of_all_comes_too_late),
        cmocka_unit_test(a_round_of_all_that_it_did_not_agree_to_makes_nothing_void),
        cmocka_unit_test(no_entry_is_retired_while_copies_are_kept),
        cmocka_unit_test(what_was_minted_is_sent_to_who_has_told_its_rounds),
        cmocka_unit_test(who_reaches_a_replica_does_not_mint_in_its_place),
    };
    return cmocka_run_group_tests_name("hints", cases, NULL, NULL);
}
