// SPDX-License-Identifier: Apache-2.0
//
// What a member would say, and has no room for, to one that does not read: n1 is real, and the test
// is the other.
#include "sim/impostor_case.h"

#include <stdio.h>

enum { WINDOW = 4096 };
enum { MEMBERS = 9 }; // so many that gossip goes to some at a time

static void on_written(struct request *request) {
    request->done = NULL;
}

// A key that n1 and we have copies of.
static void find_our_key(struct impostor *i, char key[16]) {
    const struct map *map = node_map(real_node(i));
    const struct map_run *run;
    uint32_t number = 0;
    do {
        (void)snprintf(key, 16, "our%u", number++);
        run = map_run_of(map, slot_of(text(key)));
    } while (map_place_in(run, 0) == REPLICAS_MAX || map_place_in(run, 1) == REPLICAS_MAX);
}

// n1 writes, and sends us what it has written. False: there was no room for it.
static bool is_sent_to_us(struct impostor *i, uint32_t size) {
    static uint8_t value[16 * 1024];
    struct machine *machine = i->cluster.processes[0].machine;
    char key[16];
    find_our_key(i, key);
    struct request r = {.done = on_written, .kind = REQUEST_REPLACE, .key = text(key)};
    assert_in_range(size, 0, sizeof(value));
    r.value = (struct slice){value, size};
    r.level = (struct level){.kind = LEVEL_COUNT, .count = 1};
    uint64_t before = node_stats(real_node(i)).frames_sent;
    uint64_t until = world_now(i->world) + NS_PER_SECOND;
    machine_enter(machine);
    node_submit(real_node(i), &r);
    machine_leave(machine);
    while (r.done != NULL) assert_true(world_step(i->world, until));
    assert_int_equal(r.status, ST_OK);
    return node_stats(real_node(i)).frames_sent > before;
}

// We read nothing on the line on which n1 asks us, and say something now and then, until there is
// room for nothing more, news of the others included.
static void fill_line(struct impostor *i) {
    for (uint32_t size = 16 * 1024; size > 0;) {
        if (!is_sent_to_us(i, size)) size /= 2;
        be_up_for(i, 0);
    }
    uint64_t before;
    do {
        be_up_for(i, 0);
        before = node_stats(real_node(i)).frames_sent;
        pass(i->world, NS_PER_SECOND);
    } while (node_stats(real_node(i)).frames_sent > before);
}

// Though we say nothing on it, as there is nothing to answer.
static void expect_line_to_stay(struct impostor *i) {
    for (uint32_t k = 0; k < 10; k++) {
        say_nothing(i, &i->dialled); // that is another line
        pass(i->world, 500 * NS_PER_MS);
    }
    struct line *l = &i->accepted;
    struct frame frame = {0};
    uint64_t from = world_now(i->world);
    while (world_now(i->world) < from + NS_PER_SECOND) {
        assert_true(hear(i, l, &l->recv_key, l->received++, &frame));
    }
}

// What finds no room in the line is not said, and nobody has to answer it: the line stays.
static void who_could_not_be_asked_owes_no_answer(void **state) {
    (void)state;
    struct impostor *i = prepare(2);
    world_options(i->world)->window = WINDOW;
    become(i, 77);
    cluster_start(&i->cluster, 0);
    be_dialled(i);
    dial(i);
    pass(i->world, 2 * NS_PER_SECOND);
    fill_line(i);
    say_nothing(i, &i->accepted);
    expect_line_to_stay(i);
    end(i);
}

// We call n1 as the third member, too.
static void call_as_third(struct impostor *i, struct line *third) {
    static struct line ours;
    const struct message_hello hello = i->hello;
    ours = i->dialled;
    i->hello.name = i->hello.address = text("n3");
    i->hello.storage = node_map(real_node(i))->members[2].storage;
    i->hello.process++;
    dial(i);
    *third = i->dialled;
    i->dialled = ours;
    i->hello = hello;
}

// As that it says that it hears nothing of us. If we do not owe an answer yet, n1 asks us.
static void doubt_us(struct impostor *i, struct line *third) {
    uint8_t bytes[64];
    struct writer w = writer_to(bytes, sizeof(bytes));
    write_u32(&w, 0);
    write_u64(&w, node_map_author(real_node(i)));
    write_u8(&w, 0);
    write_u64(&w, 0);
    write_u8(&w, 1);
    write_u64(&w, node_map(real_node(i))->members[1].id);
    say(i, third, MESSAGE_GOSSIP, writer_bytes(&w));
    pass(i->world, 10 * NS_PER_MS);
}

// The same of what is asked since somebody doubts that we are there, though that is little.
static void who_could_not_be_asked_for_another_owes_no_answer(void **state) {
    (void)state;
    enum { QUESTIONS = 10 };
    static struct line third;
    struct impostor *i = begin_among(MEMBERS);
    world_options(i->world)->window = WINDOW;
    hang_up(i);
    be_dialled(i);
    be_up_for(i, NS_PER_SECOND);
    fill_line(i);
    call_as_third(i, &third);
    for (uint32_t k = 0; k < QUESTIONS; k++) {
        say_nothing(i, &i->accepted);
        pass(i->world, 10 * NS_PER_MS);
        doubt_us(i, &third);
    }
    expect_line_to_stay(i);
    end(i);
}

int full_line_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(who_could_not_be_asked_owes_no_answer),
        cmocka_unit_test(who_could_not_be_asked_for_another_owes_no_answer),
    };
    return cmocka_run_group_tests_name("full_line", cases, NULL, NULL);
}
