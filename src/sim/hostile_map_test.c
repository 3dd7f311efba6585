// SPDX-License-Identifier: Apache-2.0
//
// A member that votes for maps and tells of maps as it likes.
#include "model/lineage.h"
#include "model/paxos.h"
#include "sim/impostor_case.h"

// A map as members agree on it; `second`: the author of map 2, if that is another one and not too
// long ago.
static struct slice encoded_map_after(const struct map *next, uint64_t author, uint64_t second) {
    static uint8_t bytes[4096];
    size_t size = map_encoded_size(next);
    struct writer w = writer_to(bytes, sizeof(bytes));
    write_bytes(&w, (struct slice){next->cluster.bytes, CLUSTER_ID_SIZE});
    write_u32(&w, (uint32_t)size);
    map_encode(next, write_room(&w, size), size);
    for (uint32_t m = 0; m < next->member_count; m++) write_u64(&w, next->members[m].storage);
    for (uint64_t i = 0; i < lineage_count(next->epoch); i++) {
        uint64_t other = next->epoch - i == 2 ? second : 0;
        write_u64(&w, i == 0 ? author : other);
    }
    return writer_bytes(&w);
}

static struct slice encoded_map(const struct map *next, uint64_t author) {
    return encoded_map_after(next, author, 0);
}

// n1 waits for n3, and is given a much later map that is not one for it, with strangers in the
// places of the first members, or itself in another place with another disk. It still knows whom to
// call, and that it is to found.
static void give_map_of_others(const char *second) {
    struct impostor *i = prepare(3);
    become(i, 77);
    cluster_start(&i->cluster, 0);
    be_dialled(i);
    dial(i);
    static _Alignas(64) uint8_t memory[256 * 1024];
    struct arena arena = arena_over(memory, sizeof(memory));
    struct map others;
    map_init(&others, &arena, 2);
    others.member_count = others.replication = 2;
    for (uint32_t k = 0; k < 2; k++) {
        struct map_member *m = &others.members[k];
        *m = (struct map_member){.id = k + 1, .port = 1, .shards = 1, .weight = 1};
        m->name = m->host = m->address = k == 0 ? "a" : second;
        m->rack = m->dc = "";
    }
    map_propose(&others);
    others.epoch = 1 + LINEAGE_MAPS;
    memcpy(others.cluster.bytes, i->dialled.cluster, CLUSTER_ID_SIZE);
    say(i, &i->dialled, MESSAGE_FOUNDED, encoded_map(&others, 4711));
    pass(i->world, NS_PER_SECOND);
    assert_int_equal(node_map(real_node(i))->epoch, 0);
    hang_up(i);
    be_dialled(i);
    dial(i);
    cluster_start(&i->cluster, 2);
    pass(i->world, 5 * NS_PER_SECOND);
    const struct map *map = node_map(real_node(i));
    assert_int_equal(map->epoch, 1);
    assert_string_equal(map->members[1].address, "n2");
    assert_string_equal(map->members[2].name, "n3");
    assert_int_equal(node_map_author(real_node(i)), 0);
    end(i);
}

static void first_members_are_known_after_a_map_of_others(void **state) {
    (void)state;
    give_map_of_others("b");
    give_map_of_others("n1");
}

// The map of n1, changed.
static struct slice map_by(struct impostor *i, uint64_t epoch, uint16_t port, uint64_t author) {
    struct map next = *node_map(real_node(i));
    struct map_member members[2] = {next.members[0], next.members[1]};
    next.members = members;
    next.epoch = epoch;
    members[1].port = port;
    return encoded_map(&next, author);
}

static struct slice changed_map(struct impostor *i, uint64_t epoch, uint16_t port) {
    return map_by(i, epoch, port, 4712);
}

static struct slice larger_map(struct impostor *i, uint64_t storage) {
    struct map next = *node_map(real_node(i));
    struct map_member members[3] = {next.members[0], next.members[1], next.members[1]};
    next.members = members;
    next.member_count = 3;
    next.epoch = 2;
    members[2].id++;
    members[2].name = members[2].address = "n9";
    members[2].storage = storage;
    return encoded_map(&next, 4712);
}

static void whoever_is_new_has_a_directory_of_its_own(void **state) {
    (void)state;
    struct impostor *i = begin_serving();
    say(i, &i->dialled, MESSAGE_FOUNDED, larger_map(i, 0));
    say(i, &i->dialled, MESSAGE_FOUNDED, larger_map(i, 77)); // that is ours
    pass(i->world, NS_PER_SECOND);
    assert_int_equal(node_map(real_node(i))->epoch, 1);
    say(i, &i->dialled, MESSAGE_FOUNDED, larger_map(i, 78));
    pass(i->world, NS_PER_SECOND);
    assert_int_equal(node_map(real_node(i))->epoch, 2);
    assert_int_equal(node_map(real_node(i))->member_count, 3);
    assert_int_equal(node_member(real_node(i), 2)->incarnation, 0);
    end(i);
}

static struct message_promise ask_promise(struct impostor *i, uint64_t instance, uint64_t ballot) {
    const struct message_prepare m = {.instance = instance, .ballot = ballot};
    SAY(i, &i->dialled, MESSAGE_PREPARE, prepare, &m);
    struct frame frame = {0};
    struct message_promise promise;
    HEAR(i, &i->dialled, MESSAGE_PROMISE, promise, &frame, &promise);
    return promise;
}

static void ask_to_accept(struct impostor *i, uint64_t ballot, struct slice value) {
    const struct message_accept m = {.instance = 2, .ballot = ballot, .value = value};
    SAY(i, &i->dialled, MESSAGE_ACCEPT, accept, &m);
}

static void a_map_that_cannot_follow_is_neither_accepted_nor_believed(void **state) {
    (void)state;
    struct impostor *i = begin_serving();
    uint64_t ballot = paxos_ballot(7, 1);
    assert_int_equal(ask_promise(i, 1, ballot).status, ST_UNAVAILABLE); // is over
    assert_int_equal(ask_promise(i, 3, ballot).status, ST_UNAVAILABLE); // has not begun
    assert_int_equal(ask_promise(i, 2, ballot).status, ST_OK);
    assert_int_equal(ask_promise(i, 2, ballot).status, ST_BUSY);

    struct slice whole = changed_map(i, 2, CLUSTER_PORT);
    for (size_t size = 0; size < whole.size; size += 7) {
        ask_to_accept(i, ballot, (struct slice){whole.data, size});
    }
    ask_to_accept(i, ballot, changed_map(i, 3, CLUSTER_PORT));
    ask_to_accept(i, ballot, changed_map(i, 2, CLUSTER_PORT + 1)); // the member is elsewhere
    ask_to_accept(i, paxos_ballot(8, 0), changed_map(i, 2, CLUSTER_PORT)); // the ballot is not ours
    uint64_t later = paxos_ballot(8, 1);
    assert_int_equal(ask_promise(i, 2, later).accepted, 0);

    ask_to_accept(i, later, changed_map(i, 2, CLUSTER_PORT));
    uint64_t latest = paxos_ballot(9, 1);
    assert_true(ask_promise(i, 2, latest).accepted == later);

    say(i, &i->dialled, MESSAGE_FOUNDED, changed_map(i, UINT64_MAX, CLUSTER_PORT)); // the last one
    say(i, &i->dialled, MESSAGE_FOUNDED, changed_map(i, 5, CLUSTER_PORT + 1));
    pass(i->world, NS_PER_SECOND);
    assert_int_equal(node_map(real_node(i))->epoch, 1);
    say(i, &i->dialled, MESSAGE_FOUNDED, changed_map(i, 5, CLUSTER_PORT));
    pass(i->world, NS_PER_SECOND);
    assert_int_equal(node_map(real_node(i))->epoch, 5);
    say(i, &i->dialled, MESSAGE_FOUNDED, changed_map(i, 4, CLUSTER_PORT));
    pass(i->world, NS_PER_SECOND);
    assert_int_equal(node_map(real_node(i))->epoch, 5);
    assert_int_equal(node_map_author(real_node(i)), 4712);
    // There are two of one epoch.
    say(i, &i->dialled, MESSAGE_FOUNDED, map_by(i, 5, CLUSTER_PORT, 4711));
    pass(i->world, NS_PER_SECOND);
    assert_int_equal(node_map_author(real_node(i)), 4712);
    say(i, &i->dialled, MESSAGE_FOUNDED, map_by(i, 5, CLUSTER_PORT, 4713));
    pass(i->world, NS_PER_SECOND);
    assert_int_equal(node_map_author(real_node(i)), 4713);
    end(i);
}

// It was replaced, and hears of it by the map itself, from a peer that does not know it for the old
// one. What it adopted would name another directory in its place.
static void who_hears_of_a_map_that_names_another_directory_serves_no_more(void **state) {
    (void)state;
    struct impostor *i = begin_serving();
    const struct message_forward m = {
        .id = 9, .kind = REQUEST_WRITE, .need = 1, .key = text("key"), .value = text("value")};
    struct map_member members[2];
    struct map next = *node_map(real_node(i));
    memcpy(members, next.members, sizeof(members));
    next.members = members;
    next.epoch = 2;
    members[0].storage++;
    assert_int_equal(forward(i, &m), ST_OK);
    say(i, &i->dialled, MESSAGE_FOUNDED, encoded_map(&next, 4712));
    assert_int_equal(forward(i, &m), ST_UNAVAILABLE);
    assert_true(node_is_ousted(real_node(i)));
    pass(i->world, NS_PER_SECOND);
    assert_int_equal(node_map(real_node(i))->epoch, 1);
    end(i);
}

// The map of n1 with one more keyspace that comes.
static struct slice map_with_coming(struct impostor *i, const char *name) {
    struct map next = *node_map(real_node(i));
    uint32_t place = keyspace_find_free(next.keyspaces);
    struct keyspace *k = &next.keyspaces[place];
    *k = (struct keyspace){.state = KEYSPACE_COMING, .number = (uint16_t)next.next_keyspace++};
    k->replication = next.keyspaces[KEYSPACE_DEFAULT].replication;
    memcpy(k->name, name, strlen(name));
    next.epoch++;
    return encoded_map(&next, 4712);
}

// What n1 sends us next of its map: a question about keyspaces of that epoch, with the id, or a
// ballot for the next epoch.
static enum message_type hear_of_map(struct impostor *i, uint64_t epoch, uint64_t *id) {
    const uint64_t until = world_now(i->world) + 60 * NS_PER_SECOND;
    for (;;) {
        assert_true(world_now(i->world) < until);
        struct frame frame = {0};
        struct message_keyspaces question;
        struct message_prepare ballot;
        assert_true(hear(i, &i->accepted, &i->accepted.recv_key, i->accepted.received++, &frame));
        if (frame.type == MESSAGE_KEYSPACES) {
            assert_int_equal(message_keyspaces_decode(&question, frame.body), ST_OK);
            *id = question.id;
            if (question.epoch == epoch) return frame.type;
        }
        if (frame.type == MESSAGE_PREPARE) {
            assert_int_equal(message_prepare_decode(&ballot, frame.body), ST_OK);
            if (ballot.instance == epoch + 1) return frame.type;
        }
    }
}

// n1 has heard of all that no keys stand in the way of one keyspace. Before it can say so in a map
// somebody else's comes, in which there is another one: of that nobody has been asked.
static void what_was_found_for_one_map_is_not_decided_for_the_next(void **state) {
    (void)state;
    struct impostor *i = begin_serving();
    uint64_t id = 0;
    say(i, &i->dialled, MESSAGE_FOUNDED, map_with_coming(i, "a"));
    assert_int_equal(hear_of_map(i, 2, &id), MESSAGE_KEYSPACES);
    const struct message_keyspaces_done done = {.id = id, .epoch = 2};
    SAY(i, &i->accepted, MESSAGE_KEYSPACES_DONE, keyspaces_done, &done);
    while (hear_of_map(i, 2, &id) != MESSAGE_PREPARE) continue;
    say(i, &i->dialled, MESSAGE_FOUNDED, map_with_coming(i, "b"));
    assert_int_equal(hear_of_map(i, 3, &id), MESSAGE_KEYSPACES);
    end(i);
}

// What a change of n1 has come to.
struct wish {
    struct map_change change;
    bool is_done;
};

static bool apply_wish(struct map_change *change, struct map *next) {
    (void)change;
    (void)next;
    return true;
}

static void on_wish_done(struct map_change *change) {
    CONTAINER_OF(change, struct wish, change)->is_done = true;
}

static void begin_wish(struct impostor *i, struct wish *w) {
    *w = (struct wish){.change = {.apply = apply_wish, .done = on_wish_done}};
    struct machine *machine = i->cluster.processes[0].machine;
    machine_enter(machine);
    node_change_map(real_node(i), &w->change);
    machine_leave(machine);
}

// n1 proposes a change for that epoch. We promise whatever it asks for, and do not accept it.
static void promise_and_hear_proposal(struct impostor *i, uint64_t epoch) {
    const uint64_t until = world_now(i->world) + 60 * NS_PER_SECOND;
    for (;;) {
        assert_true(world_now(i->world) < until);
        struct frame frame = {0};
        struct message_prepare asked;
        struct message_accept proposed;
        assert_true(hear(i, &i->accepted, &i->accepted.recv_key, i->accepted.received++, &frame));
        if (frame.type == MESSAGE_ACCEPT) {
            assert_int_equal(message_accept_decode(&proposed, frame.body), ST_OK);
            if (proposed.instance == epoch) return;
        }
        if (frame.type != MESSAGE_PREPARE) continue;
        assert_int_equal(message_prepare_decode(&asked, frame.body), ST_OK);
        const struct message_promise promise = {
            .instance = asked.instance, .ballot = asked.ballot, .promised = asked.ballot};
        SAY(i, &i->accepted, MESSAGE_PROMISE, promise, &promise);
    }
}

// It is told a much later map instead, whose lineage says that the change made map 2, or that
// another one did, or that is too late to know.
static void a_proposer_learns_from_a_later_map_what_became_of_its_change(void **state) {
    (void)state;
    const uint64_t last = 1 + LINEAGE_MAPS; // whose lineage goes back to map 2
    for (uint32_t kind = 0; kind < 3; kind++) {
        struct impostor *i = begin_serving();
        struct wish w;
        be_up_for(i, NS_PER_SECOND);
        begin_wish(i, &w);
        promise_and_hear_proposal(i, 2);
        assert_false(w.is_done);
        struct map next = *node_map(real_node(i));
        next.epoch = kind == 2 ? last + 1 : last;
        uint64_t second = kind == 0 ? w.change.author : 4711;
        say(i, &i->dialled, MESSAGE_FOUNDED, encoded_map_after(&next, 4712, second));
        pass(i->world, 100 * NS_PER_MS);
        assert_int_equal(node_map(real_node(i))->epoch, next.epoch);
        assert_true(w.is_done == (kind != 1));
        if (kind == 0) assert_int_equal(w.change.status, ST_OK);
        if (kind == 0) assert_int_equal(w.change.instance, 2);
        be_up_for(i, NS_PER_SECOND);
        if (kind == 1) promise_and_hear_proposal(i, last + 1);
        if (kind == 2) assert_int_equal(w.change.status, ST_TIMEOUT);
        end(i);
    }
}

// Another map of the epoch that n1 has comes while it proposes the next: that is still open.
static void a_change_goes_on_after_another_map_of_the_epoch_before(void **state) {
    (void)state;
    struct impostor *i = begin_serving();
    say(i, &i->dialled, MESSAGE_FOUNDED, map_by(i, 2, CLUSTER_PORT, 4711));
    be_up_for(i, NS_PER_SECOND);
    struct wish w;
    begin_wish(i, &w);
    promise_and_hear_proposal(i, 3);
    say(i, &i->dialled, MESSAGE_FOUNDED, map_by(i, 2, CLUSTER_PORT, 4712));
    be_up_for(i, NS_PER_SECOND);
    assert_int_equal(node_map_author(real_node(i)), 4712);
    assert_false(w.is_done);
    promise_and_hear_proposal(i, 3);
    end(i);
}

static void on_changed(struct keyspace_change *change) {
    *(bool *)change->context = true;
}

// n1 proposes that, and is told map 4 instead, whose lineage says that the change has made map 2,
// and in which a flush has given keyspaces other numbers. What it says of its change.
static enum keyspace_outcome outcome_after_gap(struct keyspace_change *change) {
    struct impostor *i = begin_serving();
    bool is_done = false;
    be_up_for(i, NS_PER_SECOND);
    change->done = on_changed;
    change->context = &is_done;
    struct machine *machine = i->cluster.processes[0].machine;
    machine_enter(machine);
    node_change_keyspace(real_node(i), change);
    machine_leave(machine);
    promise_and_hear_proposal(i, 2);
    assert_false(is_done);
    struct map next = *node_map(real_node(i));
    next.epoch = 4;
    next.keyspaces[KEYSPACE_DEFAULT].number = 7;
    next.next_keyspace = 8;
    uint64_t author = change->map_change.author;
    say(i, &i->dialled, MESSAGE_FOUNDED, encoded_map_after(&next, 4712, author));
    be_up_for(i, NS_PER_SECOND);
    assert_int_equal(node_map(real_node(i))->epoch, 4);
    assert_true(is_done);
    end(i);
    return change->outcome;
}

// A keyspace that is not there may have come and gone, or was held up by keys.
static void what_maps_that_were_missed_have_made_of_a_keyspace_is_not_guessed(void **state) {
    (void)state;
    struct keyspace_change create = {.verb = KEYSPACE_CREATE, .wanted = {.name = "a"}};
    assert_int_equal(outcome_after_gap(&create), KEYSPACE_UNSURE);
    struct keyspace_change alter = {
        .verb = KEYSPACE_ALTER, .wanted = {.name = "default"}, .fields = KEYSPACE_TTL};
    assert_int_equal(outcome_after_gap(&alter), KEYSPACE_DONE);
}

int hostile_map_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(first_members_are_known_after_a_map_of_others),
        cmocka_unit_test(a_map_that_cannot_follow_is_neither_accepted_nor_believed),
        cmocka_unit_test(whoever_is_new_has_a_directory_of_its_own),
        cmocka_unit_test(who_hears_of_a_map_that_names_another_directory_serves_no_more),
        cmocka_unit_test(what_was_found_for_one_map_is_not_decided_for_the_next),
        cmocka_unit_test(a_proposer_learns_from_a_later_map_what_became_of_its_change),
        cmocka_unit_test(a_change_goes_on_after_another_map_of_the_epoch_before),
        cmocka_unit_test(what_maps_that_were_missed_have_made_of_a_keyspace_is_not_guessed),
    };
    return cmocka_run_group_tests_name("hostile_map", cases, NULL, NULL);
}
