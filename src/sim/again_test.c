// SPDX-License-Identifier: Apache-2.0
//
// A write that a member refuses, as it has agreed to a later round of purging: what there is of it
// by then is sent in that round, and nothing else is. Here n1 has written, and n2, which refuses,
// is the test.
#include "model/hint.h"
#include "sim/purge_case.h"

#include <stdio.h>

enum { MEMBERS = 5, US = 1 };

#define PATIENCE (120 * NS_PER_SECOND)

// Little fits into memory, one record is looked for at a time, and who waits is patient.
static void soon_in_tables(struct node_options *node, struct server_options *server) {
    (void)server;
    node->store.flush_size = 16384;
    node->store.memory_max = 1; // the least there is
    node->store.lookups_max = 1;
    node->timeout_ns = PATIENCE;
}

static void stay_up(struct impostor *i) {
    be_up_for(i, 0);
}

static struct impostor *begin_alone_with(uint32_t members) {
    struct impostor *i = begin_among_such(members, soon_in_tables);
    i->waiting = stay_up;
    claim(i, 0, 0, 0);
    be_up_for(i, 3 * NS_PER_SECOND);
    return i;
}

// Writes other keys until n1 would have to read this one from a table.
static void fill_memory(struct impostor *i, struct partition partition, struct slice key) {
    enum { AT_A_TIME = 40, MOST = 50, SIZE = 4096 };
    static uint8_t value[SIZE];
    static uint8_t bytes[SIZE + 128];
    static struct record r;
    struct store_read read = {.partition = partition, .key = key};
    const struct sibling s = {
        .dot = {{77, 1}, 9}, .timestamp = LATE, .value = {value, sizeof(value)}};
    record_clear(&r);
    struct slice record = encoded_with(&r, &s, bytes, sizeof(bytes));
    for (uint32_t times = 0; store_peek(node_store(real_node(i)), &read) != ST_BUSY; times++) {
        assert_true(times < MOST);
        for (uint32_t k = 0; k < AT_A_TIME; k++) {
            char name[16];
            (void)snprintf(name, sizeof(name), "more%u", times * AT_A_TIME + k);
            assert_int_equal(put_at(i, name, record, 1), ST_OK);
        }
        stay_up(i);
    }
}

static void let_go_of(struct impostor *i, const char *key) {
    fill_memory(i, (struct partition){.slot = slot_of(text(key))}, text(key));
}

// What n1 held of the key when it let go of it.
static struct kept {
    uint8_t bytes[256];
    size_t size;
} kept;

static void let_go(struct impostor *i) {
    struct store_read read = {.partition = {.slot = slot_of(text(KEY))}, .key = text(KEY)};
    assert_int_equal(store_peek(node_store(real_node(i)), &read), ST_OK);
    assert_in_range(read.record.size, 1, sizeof(kept.bytes));
    memcpy(kept.bytes, read.record.data, read.record.size);
    kept.size = read.record.size;
    let_go_of(i, KEY);
}

// Only what is asked for meanwhile takes so long.
static void refuse_slowly(struct impostor *i, uint64_t id, uint32_t round, uint32_t factor) {
    struct machine *machine = i->cluster.processes[0].machine;
    const struct message_put_done m = {.id = id, .status = ST_FENCED, .round = round};
    machine_slow_disk(machine, factor);
    SAY(i, &i->accepted, MESSAGE_PUT_DONE, put_done, &m);
    SAY(i, &i->accepted, MESSAGE_PUT_DONE, put_done, &m); // that is no news
    pass(i->world, 5 * NS_PER_MS);
    machine_slow_disk(machine, 1);
}

static struct message_put hear_put(struct impostor *i, struct frame *frame) {
    struct message_put m;
    HEAR(i, &i->accepted, MESSAGE_PUT, put, frame, &m);
    return m;
}

// Its record is what n1 holds by now.
static void expect_put(struct impostor *i, uint64_t id, uint32_t round) {
    struct frame frame = {0};
    struct message_put m = hear_put(i, &frame);
    struct store_read read = {.partition = {.slot = m.slot}, .key = text(KEY)};
    assert_int_equal(m.id, id);
    assert_int_equal(m.round, round);
    assert_true(slice_equal(m.key, text(KEY)));
    bool is_in_table = store_peek(node_store(real_node(i)), &read) == ST_BUSY;
    struct slice held = is_in_table ? (struct slice){kept.bytes, kept.size} : read.record;
    assert_true(slice_equal(m.record, held));
}

static void answer_put(struct impostor *i, uint64_t id, enum status status, uint32_t round) {
    const struct message_put_done m = {.id = id, .status = status, .round = round};
    SAY(i, &i->accepted, MESSAGE_PUT_DONE, put_done, &m);
}

// A client of n1 writes, and we have the record, of which we say nothing yet. Lent by the frame.
static struct message_put begin_write_of(struct impostor *i, const char *key, bool is_tombstone,
                                         struct frame *frame) {
    const struct message_forward m = {
        .id = 9,
        .kind = REQUEST_REPLACE,
        .need = 2,
        .is_tombstone = is_tombstone,
        .key = text(key),
        .value = is_tombstone ? (struct slice){0} : text("value"),
    };
    SAY(i, &i->dialled, MESSAGE_FORWARD, forward, &m);
    return hear_put(i, frame);
}

static struct message_put begin_write(struct impostor *i, bool is_tombstone, struct frame *frame) {
    return begin_write_of(i, KEY, is_tombstone, frame);
}

static struct message_forward_done hear_done(struct impostor *i) {
    struct frame frame = {0};
    struct message_forward_done done;
    HEAR(i, &i->dialled, MESSAGE_FORWARD_DONE, forward_done, &frame, &done);
    return done;
}

static enum status hear_written(struct impostor *i) {
    return hear_done(i).status;
}

// The record is purged in round 1.
static void purge_it(struct impostor *i, const struct message_put *put) {
    uint8_t list[128];
    struct slice entries = condemned(KEY, put->record, list, sizeof(list));
    const struct message_purge m = {.id = 1,
                                    .author = node_map_author(real_node(i)),
                                    .group = (uint16_t)group_of(KEY),
                                    .round = 1,
                                    .entries = entries};
    bool is_held = false;
    assert_int_equal(propose(i, &m, &is_held), ST_OK);
    assert_true(is_held);
    erase(i, 1, entries);
    assert_false(is_there(i));
}

#define ANOTHER ((struct version){{77, 1}, 1})
#define OLDER ((struct version){{78, 1}, 1})

// Another record of the key comes: beside the one in the frame, or on top of it.
static void put_another(struct impostor *i, const struct message_put *m, bool is_on_top,
                        uint32_t round) {
    static struct record r;
    uint8_t bytes[256];
    assert_int_equal(record_decode(&r, m->record), ST_OK);
    r.sibling_count = 0;
    if (!is_on_top) record_clear(&r);
    const struct sibling s = {.dot = ANOTHER, .timestamp = LATE, .value = text("another")};
    assert_int_equal(put(i, encoded_with(&r, &s, bytes, sizeof(bytes)), round), ST_OK);
}

// What the write would have replaced, had it been there.
static void put_older(struct impostor *i) {
    static struct record r;
    uint8_t bytes[256];
    const struct sibling s = {.dot = OLDER, .timestamp = LATE, .value = text("older")};
    record_clear(&r);
    assert_int_equal(put(i, encoded_with(&r, &s, bytes, sizeof(bytes)), 0), ST_OK);
}

enum fate {
    IS_THERE,
    IS_MERGED,
    IS_SUPERSEDED,
    IS_SUPERSEDED_AND_MERGED,
    IS_PURGED,
    IS_PURGED_AND_WRITTEN,
    FATES
};

static void meet(struct impostor *i, enum fate fate, const struct message_put *m) {
    if (fate == IS_MERGED) put_another(i, m, false, 0);
    if (fate == IS_SUPERSEDED || fate == IS_SUPERSEDED_AND_MERGED) put_another(i, m, true, 0);
    if (fate == IS_SUPERSEDED_AND_MERGED) put_older(i);
    if (fate >= IS_PURGED) purge_it(i, m);
    if (fate == IS_PURGED_AND_WRITTEN) put_another(i, m, false, 1);
}

// A plain write supersedes what it has met meanwhile, and what has superseded it is left. What its
// client is told of is the record as it was written.
static void end_write(struct impostor *i, enum fate fate) {
    struct frame frame = {0};
    if (fate == IS_MERGED || fate == IS_SUPERSEDED_AND_MERGED) {
        struct message_put m = hear_put(i, &frame);
        static struct record r;
        assert_int_equal(record_decode(&r, m.record), ST_OK);
        assert_int_equal(r.sibling_count, 1);
        assert_true(slice_equal(r.siblings[0].value, text("value")));
        assert_true(context_covers(&r.context, fate == IS_MERGED ? ANOTHER : OLDER));
        answer_put(i, m.id, ST_OK, 3);
    }
    struct frame last = {0};
    struct message_forward_done done;
    HEAR(i, &i->dialled, MESSAGE_FORWARD_DONE, forward_done, &last, &done);
    static struct record told;
    assert_int_equal(done.status, ST_OK);
    assert_int_equal(record_decode(&told, done.record), ST_OK);
    assert_int_equal(told.sibling_count, 1);
    assert_true(slice_equal(told.siblings[0].value, text("value")));
}

static void what_is_held_is_sent_again_and_nothing_that_was_purged(void **state) {
    (void)state;
    for (uint32_t trial = 0; trial < 2 * FATES; trial++) {
        enum fate fate = trial / 2;
        bool is_in_table = trial % 2 != 0;
        if (is_in_table && fate >= IS_PURGED) continue; // it is in none
        struct impostor *i = begin_alone_with(2);
        struct frame frame = {0};
        struct message_put m = begin_write(i, fate >= IS_PURGED, &frame);
        assert_int_equal(m.round, 0);
        uint64_t id = m.id;
        meet(i, fate, &m);
        if (is_in_table) let_go(i);
        answer_put(i, id, ST_FENCED, 3);
        if (fate < IS_PURGED) {
            expect_put(i, id, 3);
            answer_put(i, id, ST_OK, 3);
            end_write(i, fate);
        } else {
            uint64_t refused = world_now(i->world);
            assert_int_equal(hear_written(i), ST_TIMEOUT);
            assert_true(world_now(i->world) - refused < NS_PER_SECOND); // it waits for nothing
        }
        end(i);
    }
}

// So much slower that a read from a table takes at least a second, and less than who waits for it
// has patience; or at least twice as long as he has.
enum { SLOW = 20 * 1000, SLOWER = 5000 * 1000 };

// A write of which the record is in a table, refused; the disk is slow to find it.
static uint64_t begin_refused(struct impostor *i) {
    struct frame frame = {0};
    uint64_t id = begin_write(i, false, &frame).id;
    let_go(i);
    refuse_slowly(i, id, 3, SLOW);
    return id;
}

// What is read may be from before a round of which n1 hears meanwhile.
static void what_is_found_in_a_table_is_of_the_round_of_before(void **state) {
    (void)state;
    struct impostor *i = begin_alone_with(2);
    uint64_t id = begin_refused(i);
    claim(i, 9, 0, 0);
    assert_int_equal(round_of(i), 9);
    expect_put(i, id, 3);
    answer_put(i, id, ST_FENCED, 9);
    expect_put(i, id, 9);
    answer_put(i, id, ST_OK, 9);
    assert_int_equal(hear_written(i), ST_OK);
    end(i);
}

// Who has forgotten rounds does not know in which one anything is alive.
static void who_comes_to_mend_meanwhile_sends_nothing_again(void **state) {
    (void)state;
    struct impostor *i = begin_alone_with(2);
    (void)begin_refused(i);
    uint64_t refused = world_now(i->world);
    claim(i, 4, 4, LATE);
    assert_int_equal(hear_written(i), ST_TIMEOUT);
    assert_true(world_now(i->world) - refused < PATIENCE * 2 / 3); // it does not wait for us
    end(i);
}

// Where it was refused is not needed before it is sent.
static void a_link_may_break_and_open_while_it_is_looked_for(void **state) {
    (void)state;
    struct impostor *i = begin_alone_with(2);
    uint64_t id = begin_refused(i);
    hang_up(i);
    i->waiting = NULL; // there is nobody to say anything to
    be_dialled(i);
    i->waiting = stay_up;
    expect_put(i, id, 3);
    answer_put(i, id, ST_OK, 3);
    assert_int_equal(hear_written(i), ST_OK);
    end(i);
}

// The clients have waited for long enough, and so has who stops the process; the disk has not. One
// of the two is looked for after the other.
static void a_node_ends_after_what_it_looks_for(void **state) {
    (void)state;
    struct impostor *i = begin_alone_with(2);
    static const char *const keys[2] = {KEY, "{" KEY "}b"};
    struct frame frame = {0};
    uint64_t ids[2];
    for (uint32_t k = 0; k < 2; k++) ids[k] = begin_write_of(i, keys[k], false, &frame).id;
    for (uint32_t k = 0; k < 2; k++) let_go_of(i, keys[k]);
    uint64_t refused = world_now(i->world);
    for (uint32_t k = 0; k < 2; k++) refuse_slowly(i, ids[k], 3, SLOWER);
    for (uint32_t k = 0; k < 2; k++) assert_int_equal(hear_written(i), ST_TIMEOUT);
    cluster_stop(&i->cluster, 0);
    while (i->cluster.processes[0].state != PROCESS_DOWN) {
        assert_true(world_step(i->world, refused + 100 * PATIENCE));
    }
    assert_true(world_now(i->world) - refused > 2 * PATIENCE);
    end(i);
}

// What a plain write has met is noted for its second round, in memory that others may have taken.

enum { MEMORY = 64 * 1024, CONTEXT = 24 };

static void little_memory(struct node_options *node, struct server_options *server) {
    (void)server;
    node->request_memory = MEMORY;
    node->timeout_ns = PATIENCE;
}

// Others write, and wait for us, until there is no room for the least of them.
static void take_memory(struct impostor *i) {
    enum { LARGEST = 4096, TIMES = MEMORY / LARGEST, FIRST_ID = 100 };
    static uint8_t value[LARGEST];
    struct message_forward m = {.id = FIRST_ID, .kind = REQUEST_REPLACE, .need = 2};
    for (uint32_t size = LARGEST; size > 0; size /= 2) {
        for (uint32_t k = 0; k < TIMES; k++, m.id++) {
            char name[16];
            (void)snprintf(name, sizeof(name), "%u", (uint32_t)m.id);
            m.key = text(name);
            m.value = (struct slice){value, size};
            begin_forward(i, &m);
        }
        pass(i->world, 50 * NS_PER_MS);
        stay_up(i);
    }
    struct message_forward_done done;
    do {
        done = hear_done(i);
    } while (done.id + 1 < m.id);
    assert_int_equal(done.status, ST_BUSY);
}

// Of values that many have written.
static struct slice large_context(uint8_t *bytes, size_t size) {
    static struct context met;
    context_clear(&met);
    for (uint32_t k = 0; k < CONTEXT; k++) {
        assert_int_equal(context_add(&met, (struct version){{100 + k, 1}, 1}), ST_OK);
    }
    struct writer w = writer_to(bytes, size);
    context_encode(&met, &w);
    assert_false(w.failed);
    return writer_bytes(&w);
}

// Another record comes, of which the write would have met so much.
static void put_much(struct impostor *i, struct slice context) {
    static struct record r;
    uint8_t bytes[1024];
    const struct sibling s = {.dot = ANOTHER, .timestamp = LATE, .value = text("another")};
    record_clear(&r);
    struct reader known = reader_of(context);
    context_decode(&r.context, &known);
    assert_int_equal(put(i, encoded_with(&r, &s, bytes, sizeof(bytes)), 0), ST_OK);
}

// It has met what it can neither note nor, so, supersede: a replica that refused, or told of more,
// has not taken the write.
static void what_a_write_has_met_is_not_forgotten_where_memory_is_out(void **state) {
    (void)state;
    for (uint32_t trial = 0; trial < 4; trial++) {
        bool is_told = trial / 2 != 0; // by us, or it finds it here when we refuse
        bool has_memory = trial % 2 != 0;
        struct impostor *i = begin_among_such(2, little_memory);
        i->waiting = stay_up;
        claim(i, 0, 0, 0);
        be_up_for(i, 3 * NS_PER_SECOND);
        uint8_t bytes[1024];
        struct slice context = large_context(bytes, sizeof(bytes));
        struct frame frame = {0};
        uint64_t id = begin_write(i, false, &frame).id;
        if (!is_told) put_much(i, context);
        if (!has_memory) take_memory(i);
        struct message_put_done m = {.id = id, .status = ST_OK};
        if (is_told) {
            m.context = context;
        } else {
            m.status = ST_FENCED;
            m.round = 3;
        }
        SAY(i, &i->accepted, MESSAGE_PUT_DONE, put_done, &m);
        if (!has_memory) {
            uint64_t told = world_now(i->world);
            struct message_forward_done done = hear_done(i);
            assert_true(world_now(i->world) - told < NS_PER_SECOND);
            assert_int_equal(done.id, 9);
            assert_int_equal(done.status, ST_TIMEOUT);
        } else {
            if (!is_told) answer_put(i, hear_put(i, &frame).id, ST_OK, 3);
            struct message_put second = hear_put(i, &frame);
            static struct record r;
            assert_int_equal(record_decode(&r, second.record), ST_OK);
            assert_true(context_covers(&r.context, (struct version){{100 + CONTEXT - 1, 1}, 1}));
            answer_put(i, second.id, ST_OK, 3);
            assert_int_equal(hear_written(i), ST_OK);
        }
        end(i);
    }
}

// Of hints.

// A key that neither n1 nor n2 has a copy of.
static struct slice find_far_key(struct impostor *i, char name[16]) {
    const struct map *map = node_map(real_node(i));
    const struct map_run *run;
    uint32_t next = 0;
    do {
        (void)snprintf(name, 16, "far%u", next++);
        run = map_run_of(map, slot_of(text(name)));
    } while (map_place_in(run, 0) < REPLICATION_DEFAULT ||
             map_place_in(run, US) < REPLICATION_DEFAULT);
    return text(name);
}

static struct message_hint hear_hint(struct impostor *i, struct frame *frame) {
    struct message_hint m;
    HEAR(i, &i->accepted, MESSAGE_HINT, hint, frame, &m);
    return m;
}

static void answer_hint(struct impostor *i, uint64_t id, enum status status, uint32_t round) {
    const struct message_hint_done m = {.id = id, .status = status, .round = round};
    SAY(i, &i->accepted, MESSAGE_HINT_DONE, hint_done, &m);
}

// The key under which n1 keeps what it has minted of the key: it stands in for another one than we.
static void find_hint_key(struct impostor *i, struct slice key, uint16_t ours,
                          uint8_t hint_key[HINT_KEY_SIZE]) {
    const struct partition minted = {.slot = SLOT_MINTED};
    const struct map_run *run = map_run_of(node_map(real_node(i)), slot_of(key));
    struct store_read read = {.partition = minted, .key = {hint_key, HINT_KEY_SIZE}};
    uint32_t place = 0;
    do {
        assert_true(place < REPLICATION_DEFAULT);
        hint_key_write(hint_key, run->replicas[place++].member, 0, key);
    } while (store_peek(node_store(real_node(i)), &read) != ST_OK);
    assert_int_not_equal(run->replicas[place - 1].member, ours);
}

// No replica is up: n1 stands in, and so are we to. What is still kept there, and not void, is
// alive.
static void what_is_kept_as_a_hint_is_sent_again_if_it_is_not_void(void **state) {
    (void)state;
    for (uint32_t trial = 0; trial < 4; trial++) {
        bool is_void = trial / 2 != 0;
        bool is_in_table = trial % 2 != 0;
        struct impostor *i = begin_alone_with(MEMBERS);
        char name[16];
        uint8_t hint_key[HINT_KEY_SIZE];
        struct slice key = find_far_key(i, name);
        const struct message_forward m = {.id = 9,
                                          .kind = REQUEST_REPLACE,
                                          .is_sloppy = true,
                                          .need = 2,
                                          .key = key,
                                          .value = text("value")};
        SAY(i, &i->dialled, MESSAGE_FORWARD, forward, &m);
        struct frame frame = {0};
        struct message_hint hint = hear_hint(i, &frame);
        assert_int_equal(hint.round, 0);
        uint64_t id = hint.id;
        find_hint_key(i, key, hint.target, hint_key);
        const struct fence wide = {.round = 3, .wide = 3};
        if (is_void) claim_of(i, 0, SLOT_GROUPS, &wide);
        if (is_in_table)
            fill_memory(i, (struct partition){.slot = SLOT_MINTED},
                        (struct slice){hint_key, HINT_KEY_SIZE});
        answer_hint(i, id, ST_FENCED, 3);
        if (!is_void) {
            hint = hear_hint(i, &frame);
            assert_int_equal(hint.id, id);
            assert_int_equal(hint.round, 3);
            answer_hint(i, id, ST_OK, 3);
        }
        struct message_forward_done done = hear_done(i);
        assert_int_equal(done.status, ST_OK);
        assert_int_equal(done.answered, is_void ? 1 : 2);
        end(i);
    }
}

// What is in it of before a round stays of before that.
static void what_is_minted_on_top_of_a_hint_is_no_younger(void **state) {
    (void)state;
    struct impostor *i = begin_alone_with(MEMBERS);
    char name[16];
    struct message_forward m = {.id = 9,
                                .kind = REQUEST_REPLACE,
                                .is_sloppy = true,
                                .need = 2,
                                .key = find_far_key(i, name),
                                .value = text("value")};
    for (; m.id < 11; m.id++) {
        SAY(i, &i->dialled, MESSAGE_FORWARD, forward, &m);
        struct frame frame = {0};
        struct message_hint hint = hear_hint(i, &frame);
        assert_int_equal(hint.round, 0);
        answer_hint(i, hint.id, ST_OK, 3); // so it knows of that round from then on
        assert_int_equal(hear_done(i).status, ST_OK);
    }
    end(i);
}

int again_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(what_is_held_is_sent_again_and_nothing_that_was_purged),
        cmocka_unit_test(what_is_found_in_a_table_is_of_the_round_of_before),
        cmocka_unit_test(who_comes_to_mend_meanwhile_sends_nothing_again),
        cmocka_unit_test(a_link_may_break_and_open_while_it_is_looked_for),
        cmocka_unit_test(a_node_ends_after_what_it_looks_for),
        cmocka_unit_test(what_a_write_has_met_is_not_forgotten_where_memory_is_out),
        cmocka_unit_test(what_is_kept_as_a_hint_is_sent_again_if_it_is_not_void),
        cmocka_unit_test(what_is_minted_on_top_of_a_hint_is_no_younger),
    };
    return cmocka_run_group_tests_name("again", cases, NULL, NULL);
}
