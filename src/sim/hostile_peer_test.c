// SPDX-License-Identifier: Apache-2.0
//
// A member that has the cluster key and says what no honest one would: nothing it sends may end the
// process of another, or make it believe what cannot be.
#include "base/text.h"
#include "model/rumors.h"
#include "sim/impostor_case.h"

#include <string.h>

static void nobody_is_founded_with_who_fits_no_map(void **state) {
    (void)state;
    for (int kind = 0; kind < 4; kind++) {
        struct impostor *i = begin();
        if (kind == 0) i->hello.weight = 0;
        if (kind == 1) i->hello.shards = 0;
        if (kind == 2) i->hello.shards = SHARDS_MAX + 1;
        if (kind == 3) i->hello.rack = text("a rack\n");
        be_dialled(i);
        pass(i->world, 2 * NS_PER_SECOND);
        assert_int_equal(node_state(real_node(i)), NODE_FOUNDING);
        end(i);
    }
}

static void a_forwarded_write_that_cannot_be_is_refused(void **state) {
    (void)state;
    struct impostor *i = begin_serving();
    struct actor actor = store_actor(node_store(real_node(i)));
    struct message_forward m = {
        .id = 9, .kind = REQUEST_WRITE, .need = 1, .key = text("key"), .value = text("value")};
    assert_int_equal(forward(i, &m), ST_OK);
    m.is_tombstone = true;
    assert_int_equal(forward(i, &m), ST_INVALID);
    m.value.size = 0;
    m.expires_ms = 5;
    assert_int_equal(forward(i, &m), ST_INVALID);
    m.expires_ms = 0;
    assert_int_equal(forward(i, &m), ST_OK);
    m.seen = text("no context");
    assert_int_equal(forward(i, &m), ST_INVALID);
    m.seen.size = 0;
    m.need = 3;
    assert_int_equal(forward(i, &m), ST_INVALID);
    // None of this looked like a store that has forgotten.
    assert_int_equal(store_actor(node_store(real_node(i))).epoch, actor.epoch);
    end(i);
}

// Writes that arrive together meet a future that this store does not remember.
static void a_store_that_has_forgotten_begins_one_new_epoch(void **state) {
    (void)state;
    enum { WRITES = 20 };
    struct impostor *i = begin_serving();
    struct line *l = &i->dialled;
    struct actor actor = store_actor(node_store(real_node(i)));
    struct context future = {.count = 1, .entries = {{actor, (uint64_t)1 << 40}}};
    uint8_t seen[64];
    struct writer context = writer_to(seen, sizeof(seen));
    context_encode(&future, &context);
    static uint8_t bytes[BYTES_MAX];
    uint32_t size = 0;
    for (uint64_t id = 1; id <= WRITES; id++) {
        const struct message_forward m = {.id = id,
                                          .kind = REQUEST_WRITE,
                                          .need = 1,
                                          .key = text("key"),
                                          .value = text("value"),
                                          .seen = writer_bytes(&context)};
        struct frame header = {.type = MESSAGE_FORWARD};
        memcpy(header.cluster, l->cluster, CLUSTER_ID_SIZE);
        struct writer body = writer_to(bytes + size + FRAME_HEADER_SIZE, 1024);
        message_forward_encode(&m, &body);
        frame_seal(bytes + size, (uint32_t)body.size, &header, &l->send_key, l->sent++);
        size += FRAME_HEADER_SIZE + (uint32_t)body.size;
    }
    struct asked a;
    env_send(i->env, ask(&a, i->world), l->stream, bytes, size);
    (void)answer_of(&a);
    uint32_t busy = 0;
    for (int id = 1; id <= WRITES; id++) {
        struct frame frame = {0};
        struct message_forward_done done;
        HEAR(i, l, MESSAGE_FORWARD_DONE, forward_done, &frame, &done);
        busy += done.status == ST_BUSY;
    }
    assert_true(busy > 1); // they did arrive together
    assert_int_equal(store_actor(node_store(real_node(i))).epoch, actor.epoch + 1);
    end(i);
}

static struct message_compare_done compare(struct impostor *i, const struct message_compare *m) {
    SAY(i, &i->dialled, MESSAGE_COMPARE, compare, m);
    struct frame frame = {0};
    struct message_compare_done done;
    HEAR(i, &i->dialled, MESSAGE_COMPARE_DONE, compare_done, &frame, &done);
    return done;
}

// The record under it may be one that whoever compares has lost.
static void comparing_neither_shows_nor_passes_over_what_is_not_durable(void **state) {
    (void)state;
    struct impostor *i = begin_serving();
    struct slice key = text("key");
    const struct message_forward write = {
        .id = 9, .kind = REQUEST_WRITE, .need = 1, .key = key, .value = text("value")};
    const struct message_compare question = {
        .slot = slot_of(key), .leaves = UINT16_MAX, .is_last = true};
    machine_slow_disk(i->cluster.processes[0].machine, 1000);
    begin_forward(i, &write);
    struct message_compare_done done = compare(i, &question);
    assert_false(done.is_last);
    assert_int_equal(done.covered.size, 0);
    assert_int_equal(done.records.size, 0);
    machine_slow_disk(i->cluster.processes[0].machine, 1);
    pass(i->world, 2 * NS_PER_SECOND); // less than the silence that ends a link
    done = compare(i, &question);
    assert_true(done.is_last);
    assert_true(done.records.size > 0);
    end(i);
}

struct scan {
    struct request request;
    enum status status;
    bool is_done;
};

static void on_scanned(struct request *request) {
    struct scan *s = CONTAINER_OF(request, struct scan, request);
    s->status = request->status;
    s->is_done = true;
}

static void answer_put(struct impostor *i, uint64_t id) {
    const struct message_put_done m = {.id = id, .status = ST_OK};
    SAY(i, &i->accepted, MESSAGE_PUT_DONE, put_done, &m);
}

static void answer_scan(struct impostor *i, uint64_t id, uint32_t end) {
    const struct message_scan_done m = {.id = id, .status = ST_OK, .cell = end};
    SAY(i, &i->accepted, MESSAGE_SCAN_DONE, scan_done, &m);
}

static void the_answer_to_a_put_is_none_to_a_scan(void **state) {
    (void)state;
    struct impostor *i = begin_serving();
    say_nothing(i, &i->accepted);
    pass(i->world, 50 * NS_PER_MS);
    struct scan scan = {.request = {.done = on_scanned, .kind = REQUEST_SCAN, .limit = 10}};
    struct machine *machine = i->cluster.processes[0].machine;
    machine_enter(machine);
    node_submit(real_node(i), &scan.request);
    machine_leave(machine);
    struct frame frame = {0};
    struct message_scan asked;
    HEAR(i, &i->accepted, MESSAGE_SCAN, scan, &frame, &asked);
    answer_put(i, asked.id);
    pass(i->world, 50 * NS_PER_MS);
    assert_false(scan.is_done);
    answer_scan(i, asked.id, asked.end);
    pass(i->world, 50 * NS_PER_MS);
    assert_true(scan.is_done);
    assert_int_equal(scan.status, ST_OK);
    end(i);
}

// We are asked for a record, and send a hash instead of it, which must not do.
static void a_hash_that_nobody_asked_for_is_no_answer(void **state) {
    (void)state;
    struct impostor *i = begin_serving();
    say_nothing(i, &i->accepted);
    pass(i->world, 50 * NS_PER_MS);
    struct scan read = {
        .request = {.done = on_scanned, .kind = REQUEST_READ, .key = text("unknown")}};
    read.request.level = (struct level){.kind = LEVEL_ALL};
    struct machine *machine = i->cluster.processes[0].machine;
    machine_enter(machine);
    node_submit(real_node(i), &read.request);
    machine_leave(machine);
    struct frame frame = {0};
    struct message_get asked;
    HEAR(i, &i->accepted, MESSAGE_GET, get, &frame, &asked);
    assert_false(asked.wants_hash);
    const struct message_get_done m = {.id = asked.id, .status = ST_OK, .hash = 7};
    SAY(i, &i->accepted, MESSAGE_GET_DONE, get_done, &m);
    pass(i->world, 50 * NS_PER_MS);
    assert_true(read.is_done);
    assert_int_equal(read.status, ST_UNAVAILABLE);
    end(i);
}

// A list of one or two keys, and how far it is said to be complete.
struct lie {
    const char *first;
    const char *second;  // NULL: none
    const char *reached; // "": all
    enum status outcome;
};

static void say_list(struct impostor *i, const struct message_scan *asked, const struct lie *lie) {
    uint8_t bytes[256];
    struct writer entries = writer_to(bytes, sizeof(bytes));
    struct message_listed m = {.cell = asked->cell, .key = text(lie->first)};
    message_listed_write(&entries, &m);
    m.key = text(lie->second == NULL ? "" : lie->second);
    if (lie->second != NULL) message_listed_write(&entries, &m);
    struct message_scan_done done = {.id = asked->id, .entries = writer_bytes(&entries)};
    done.key = text(lie->reached);
    done.cell = done.key.size > 0 ? asked->cell : asked->end;
    SAY(i, &i->accepted, MESSAGE_SCAN_DONE, scan_done, &done);
}

// A list that is out of order, out of bounds, or further than it is complete, does not count.
static void a_list_that_cannot_be_is_no_answer(void **state) {
    (void)state;
    static const struct lie lies[] = {
        {"{t}c", "{t}d", "", ST_OK},
        {"{t}c", "{t}d", "{t}d", ST_OK},
        {"{t}d", "{t}c", "", ST_UNAVAILABLE},
        {"{t}c", "{t}c", "", ST_UNAVAILABLE},
        {"{t}a", NULL, "", ST_UNAVAILABLE},
        {"{t}b", NULL, "", ST_UNAVAILABLE},
        {"{u}c", NULL, "", ST_UNAVAILABLE},
        {"{t}c", "{t}d", "{t}c", ST_UNAVAILABLE},
        {"{t}c", NULL, "{t}b", ST_UNAVAILABLE},
        {"", NULL, "", ST_UNAVAILABLE},
    };
    for (size_t k = 0; k < sizeof(lies) / sizeof(lies[0]); k++) {
        struct impostor *i = begin_serving();
        say_nothing(i, &i->accepted);
        pass(i->world, 50 * NS_PER_MS);
        struct scan scan = {.request = {.done = on_scanned, .kind = REQUEST_RANGE, .limit = 10}};
        scan.request.key = text("t");
        scan.request.from = text("{t}b");
        scan.request.level.kind = LEVEL_ALL;
        struct machine *machine = i->cluster.processes[0].machine;
        machine_enter(machine);
        node_submit(real_node(i), &scan.request);
        machine_leave(machine);
        struct frame frame = {0};
        struct message_scan asked;
        HEAR(i, &i->accepted, MESSAGE_SCAN, scan, &frame, &asked);
        say_list(i, &asked, &lies[k]);
        // What is sound differs from what the node itself holds: it reads those keys, in vain.
        bool is_sound = lies[k].outcome == ST_OK;
        assert_int_equal(hear_type(i, &i->accepted, MESSAGE_GET, &frame), is_sound);
        pass(i->world, 50 * NS_PER_MS);
        assert_int_equal(scan.is_done, !is_sound);
        if (!is_sound) assert_int_equal(scan.status, ST_UNAVAILABLE);
        end(i);
    }
}

static struct actor actor_of(struct impostor *i) {
    return store_actor(node_store(real_node(i)));
}

static enum member_state state_of(struct impostor *i) {
    const struct node *node = real_node(i);
    return node_member(node, node_self(node))->state;
}

// Of a life with other data, as before its disk was replaced, nothing else follows. One with the
// same data has used epochs of which this copy knows nothing, and acknowledged what it has not.
static void a_member_outlives_what_is_told_of_its_past(void **state) {
    (void)state;
    for (uint64_t kind = 0; kind <= 2; kind++) {
        uint64_t other = kind == 1;
        uint64_t lives = kind == 2 ? 0 : 100; // or more heartbeats of this one than it has given
        struct impostor *i = begin_serving();
        struct node *node = real_node(i);
        struct actor before = actor_of(i);
        struct member_entry entry = *node_member(node, node_self(node));
        entry.incarnation += lives;
        entry.heartbeat += kind == 2 ? 1000 : 0;
        entry.storage += other;
        uint8_t bytes[256];
        struct writer w = writer_to(bytes, sizeof(bytes));
        write_u32(&w, 1);
        member_entry_encode(&entry, &w);
        say(i, &i->dialled, MESSAGE_GOSSIP, writer_bytes(&w));
        pass(i->world, NS_PER_SECOND);
        assert_true(node_member(node, node_self(node))->incarnation > entry.incarnation);
        assert_int_equal(node_stats(node).renewals, 1 - other);
        if (other == 0) assert_true(actor_of(i).epoch > before.epoch + lives);
        if (other == 1) assert_int_equal(actor_of(i).epoch, before.epoch);
        assert_int_equal(state_of(i), other == 0 ? MEMBER_MENDING : MEMBER_SERVING);
        end(i);
    }
}

// Says that we serve, or do not, and returns whether the answer to what was said before has a row
// about us.
static bool is_told_of_us(struct impostor *i, bool is_serving) {
    const struct node *node = real_node(i);
    uint8_t bytes[64];
    struct writer w = writer_to(bytes, sizeof(bytes));
    write_u32(&w, 0);
    write_u64(&w, node_map_author(node));
    write_u8(&w, is_serving);
    write_u64(&w, 0);
    say(i, &i->dialled, MESSAGE_GOSSIP, writer_bytes(&w));
    struct frame frame = {0};
    assert_true(hear_type(i, &i->dialled, MESSAGE_GOSSIP, &frame));
    struct reader r = reader_of(frame.body);
    bool is_told = false;
    for (uint32_t rows = read_u32(&r); rows > 0 && !r.failed; rows--) {
        struct member_entry entry;
        member_entry_decode(&entry, &r);
        is_told |= entry.id == node_map(node)->members[1].id;
    }
    assert_false(r.failed);
    return is_told;
}

// Who has a map, and does not serve yet, forgets what it is told: what somebody has said in its
// name, say, and that it has to outlive.
static void who_does_not_serve_yet_is_told_again(void **state) {
    (void)state;
    struct impostor *i = begin_serving();
    i->epoch = node_map(real_node(i))->epoch;
    const struct member_entry former = {.incarnation = 100, .state = MEMBER_MENDING};
    tell_of_us(i, &former, 1);
    pass(i->world, NS_PER_SECOND);
    (void)is_told_of_us(i, false); // our greeting came before
    for (uint32_t k = 0; k < 3; k++) assert_true(is_told_of_us(i, false));
    for (uint32_t k = 0; k < 2; k++) assert_true(is_told_of_us(i, true));
    assert_false(is_told_of_us(i, true));
    end(i);
}

// Sends a record of one value, whose context claims that event of the real member beside ours.
static enum status put_claiming(struct impostor *i, uint64_t id, const char *key,
                                struct version claimed) {
    static struct record record;
    const struct version ours = {{77, 1}, id};
    record_clear(&record);
    assert_int_equal(context_add(&record.context, ours), ST_OK);
    assert_int_equal(context_add(&record.context, claimed), ST_OK);
    record.siblings[record.sibling_count++] = (struct sibling){.dot = ours, .value = text("v")};
    uint8_t bytes[256];
    struct writer encoded = writer_to(bytes, sizeof(bytes));
    record_encode(&record, &encoded);
    const struct message_put put = {
        .id = id, .slot = slot_of(text(key)), .key = text(key), .record = writer_bytes(&encoded)};
    SAY(i, &i->dialled, MESSAGE_PUT, put, &put);
    struct frame frame = {0};
    struct message_put_done done;
    HEAR(i, &i->dialled, MESSAGE_PUT_DONE, put_done, &frame, &done);
    return done.status;
}

// It coordinates nothing; it only takes what others wrote, and meets itself in that.
static void a_replica_that_is_told_of_events_it_forgot_begins_a_new_epoch(void **state) {
    (void)state;
    struct impostor *i = begin_serving();
    struct node *node = real_node(i);
    struct actor before = actor_of(i);
    struct message_forward m = {
        .id = 9, .kind = REQUEST_WRITE, .need = 1, .key = text("own"), .value = text("value")};
    assert_int_equal(forward(i, &m), ST_OK);
    struct version last = store_minted(node_store(node));
    assert_int_equal(put_claiming(i, 1, "a", last), ST_OK); // what it has minted is no news
    assert_int_equal(node_stats(node).renewals, 0);

    last.counter++;
    assert_int_equal(put_claiming(i, 2, "b", last), ST_UNAVAILABLE); // its word counts no more
    assert_int_equal(actor_of(i).epoch, before.epoch + 1);
    assert_int_equal(put_claiming(i, 3, "c", last), ST_UNAVAILABLE);
    assert_int_equal(actor_of(i).epoch, before.epoch + 1); // that is behind it
    last.actor.epoch += 7;
    last.counter = 1;
    assert_int_equal(put_claiming(i, 4, "d", last), ST_UNAVAILABLE);
    assert_int_equal(actor_of(i).epoch, before.epoch + 8);
    assert_int_equal(node_stats(node).renewals, 2);
    pass(i->world, NS_PER_SECOND);
    assert_int_equal(state_of(i), MEMBER_MENDING);

    last.actor.epoch = UINT32_MAX; // after that there would be none
    assert_int_equal(put_claiming(i, 5, "e", last), ST_UNAVAILABLE);
    assert_int_equal(actor_of(i).epoch, before.epoch + 8);
    struct store_read read = {.partition = {.slot = slot_of(text("e"))}, .key = text("e")};
    assert_int_equal(store_peek(node_store(node), &read), ST_NOT_FOUND);
    end(i);
}

static void say_something(struct impostor *i) {
    say_nothing(i, &i->dialled);
    pass(i->world, 500 * NS_PER_MS);
}

// The first keeps its place while it is heard of. Whoever comes when it is not may be its next
// life.
static void of_two_processes_that_are_one_member_the_second_is_refused(void **state) {
    (void)state;
    struct impostor *i = begin_serving();
    bool is_certain = true;
    say_something(i);
    assert_false(is_welcome(i, 2, &is_certain));
    assert_false(is_certain); // the first may have ended just now
    for (int round = 0; round < 10; round++) say_something(i);
    assert_false(is_welcome(i, 2, &is_certain));
    assert_true(is_certain);
    assert_false(is_welcome(i, 3, &is_certain)); // which has only just come
    assert_false(is_certain);
    assert_true(is_welcome(i, 1, &is_certain)); // the first, on another connection
    pass(i->world, 2 * NS_PER_SECOND);
    assert_true(is_welcome(i, 2, &is_certain)); // nothing was heard of it
    end(i);
}

// n1 calls us, and hears that there is another n1.
static void call_and_be_refused(struct impostor *i, bool is_certain) {
    struct line *l = &i->accepted;
    hang_up(i);
    struct frame frame = {0};
    struct message_hello theirs = hear_hello(i, &frame);
    const struct message_taken taken = {.is_certain = is_certain};
    uint8_t bytes[16];
    struct writer w = writer_to(bytes, sizeof(bytes));
    message_taken_encode(&taken, &w);
    send_sealed(i, l, MESSAGE_TAKEN, writer_bytes(&w), &i->secret, theirs.nonce);
    pass(i->world, 20 * NS_PER_MS);
}

static void a_member_whose_place_is_taken_mints_nothing(void **state) {
    (void)state;
    struct impostor *i = begin_serving();
    const struct message_forward m = {
        .id = 9, .kind = REQUEST_WRITE, .need = 1, .key = text("key"), .value = text("value")};
    assert_int_equal(forward(i, &m), ST_OK);
    call_and_be_refused(i, false);
    assert_int_equal(forward(i, &m), ST_UNAVAILABLE);
    hang_up(i);
    be_dialled(i); // the other has ended
    pass(i->world, 20 * NS_PER_MS);
    assert_int_equal(forward(i, &m), ST_OK);
    assert_false(node_is_ousted(real_node(i)));

    call_and_be_refused(i, true);
    assert_true(node_is_ousted(real_node(i)));
    hang_up(i);
    be_dialled(i);
    pass(i->world, 20 * NS_PER_MS);
    assert_int_equal(forward(i, &m), ST_UNAVAILABLE); // for good
    end(i);
}

static void what_was_said_of_a_place_is_forgotten_when_nobody_says_it_any_more(void **state) {
    (void)state;
    struct impostor *i = begin_serving();
    const struct message_forward m = {
        .id = 9, .kind = REQUEST_WRITE, .need = 1, .key = text("key"), .value = text("value")};
    call_and_be_refused(i, false);
    env_shut(i->env, i->accepted.stream);
    say_something(i);
    assert_int_equal(forward(i, &m), ST_UNAVAILABLE);
    for (int round = 0; round < 40; round++) say_something(i);
    assert_int_equal(forward(i, &m), ST_OK);
    end(i);
}

// A HELLO may be an old one that was recorded: it shows nobody who could replace a member.
static void who_greets_with_another_directory_is_told_so_and_met_only_when_called(void **state) {
    (void)state;
    struct impostor *i = begin_serving();
    uint64_t known = i->hello.storage;
    i->hello.storage = known + 1;
    i->hello.is_blank = true;
    struct frame frame = {0};
    struct message_stranger stranger;
    greet(i, &frame);
    assert_int_equal(frame.type, MESSAGE_STRANGER);
    assert_int_equal(message_stranger_decode(&stranger, frame.body), ST_OK);
    assert_true(stranger.storage == known);
    assert_false(node_has_stranger(real_node(i), 1));

    hang_up(i);
    be_dialled(i);
    pass(i->world, 20 * NS_PER_MS);
    assert_true(node_has_stranger(real_node(i), 1));
    assert_false(node_member_is_up(real_node(i), 1));
    end(i);
}

// Else old words, played again and again, would have it gather answers without end.
static void who_was_not_wanted_is_answered_once(void **state) {
    (void)state;
    struct impostor *i = begin_serving();
    i->hello.storage++;
    struct frame frame = {0};
    struct line *l = greet_and_stay(i, &frame);
    assert_int_equal(frame.type, MESSAGE_STRANGER);
    uint64_t refused = node_stats(real_node(i)).frames_refused;
    say_hello(i, l);
    assert_false(hear(i, l, &i->secret, i->hello.nonce, &frame));
    assert_int_equal(node_stats(real_node(i)).frames_refused, refused + 1);
    end(i);
}

// Each connection takes a link, and leaves it for the next ones.
static void callers_that_come_and_go_leave_room(void **state) {
    (void)state;
    enum { TIMES = 100 };
    struct impostor *i = begin();
    be_dialled(i);
    for (uint32_t k = 0; k < TIMES; k++) {
        struct env_socket *streams[2] = {NULL};
        for (uint32_t one = 0; one < 2; one++) {
            struct asked a;
            env_connect(i->env, ask(&a, i->world), "n1:17379", &streams[one]);
            assert_int_equal(answer_of(&a), ST_OK);
        }
        pass(i->world, 10 * NS_PER_MS);
        for (uint32_t one = 0; one < 2; one++) env_shut(i->env, streams[one]);
        pass(i->world, 10 * NS_PER_MS);
    }
    dial(i);
    pass(i->world, 2 * NS_PER_SECOND);
    assert_int_equal(node_state(real_node(i)), NODE_SERVING);
    end(i);
}

// A message of gossip has so many rows at most, whoever sends it.
static void gossip_of_too_many_rows_tells_nothing(void **state) {
    (void)state;
    struct impostor *i = begin_serving();
    struct member_entry us = {.incarnation = 1, .heartbeat = 1, .state = MEMBER_SERVING};
    us.key_count = 1;
    tell_of_us(i, &us, RUMORS_MAX);
    pass(i->world, 50 * NS_PER_MS);
    assert_int_equal(node_member(real_node(i), 1)->key_count, 1);
    us.heartbeat = us.key_count = 2;
    tell_of_us(i, &us, RUMORS_MAX + 1);
    pass(i->world, 50 * NS_PER_MS);
    assert_int_equal(node_member(real_node(i), 1)->key_count, 1);
    end(i);
}

static void random_bodies_end_the_connection_at_most(void **state) {
    (void)state;
    struct impostor *i = begin_serving();
    struct rng rng = world_stream(i->world, 7);
    for (int round = 0; round < 400; round++) {
        uint8_t body[200];
        uint32_t size = rng_below(&rng, sizeof(body));
        for (uint32_t at = 0; at < size; at++) {
            body[at] = rng_chance(&rng, 1, 2) ? 0 : (uint8_t)rng_next(&rng);
        }
        say(i, &i->dialled, (enum message_type)rng_below(&rng, MESSAGE_TYPES + 2),
            (struct slice){body, size});
        pass(i->world, 10 * NS_PER_MS);
        env_shut(i->env, i->dialled.stream);
        dial(i);
    }
    assert_int_equal(node_state(real_node(i)), NODE_SERVING);
    end(i);
}

int hostile_peer_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(nobody_is_founded_with_who_fits_no_map),
        cmocka_unit_test(callers_that_come_and_go_leave_room),
        cmocka_unit_test(a_forwarded_write_that_cannot_be_is_refused),
        cmocka_unit_test(a_store_that_has_forgotten_begins_one_new_epoch),
        cmocka_unit_test(comparing_neither_shows_nor_passes_over_what_is_not_durable),
        cmocka_unit_test(the_answer_to_a_put_is_none_to_a_scan),
        cmocka_unit_test(a_hash_that_nobody_asked_for_is_no_answer),
        cmocka_unit_test(a_list_that_cannot_be_is_no_answer),
        cmocka_unit_test(a_member_outlives_what_is_told_of_its_past),
        cmocka_unit_test(who_does_not_serve_yet_is_told_again),
        cmocka_unit_test(a_replica_that_is_told_of_events_it_forgot_begins_a_new_epoch),
        cmocka_unit_test(of_two_processes_that_are_one_member_the_second_is_refused),
        cmocka_unit_test(a_member_whose_place_is_taken_mints_nothing),
        cmocka_unit_test(what_was_said_of_a_place_is_forgotten_when_nobody_says_it_any_more),
        cmocka_unit_test(who_greets_with_another_directory_is_told_so_and_met_only_when_called),
        cmocka_unit_test(who_was_not_wanted_is_answered_once),
        cmocka_unit_test(gossip_of_too_many_rows_tells_nothing),
        cmocka_unit_test(random_bodies_end_the_connection_at_most),
    };
    return cmocka_run_group_tests_name("hostile peer", cases, NULL, NULL);
}
