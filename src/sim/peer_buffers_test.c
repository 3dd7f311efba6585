// SPDX-License-Identifier: Apache-2.0
//
// What members say to each other that is large, where large buffers are few: n1 is real and has one
// for each use; the test is n2, and calls as n3 to n5, too.
#include "sim/impostor_case.h"

#include <stdio.h>

enum { MEMBERS = 5, LINES = 4, LARGE = 10000, FRAME_MAX = 16 * 1024, HALF = 3000 };
enum { SOME = 9, MANY = 16 };
enum { READS = 2 }; // requests that come in one piece, whatever is there to receive them

// A connection to n1 on which we speak without waiting until that has been taken.
struct caller {
    struct line line;
    struct asked asked;
    uint8_t bytes[FRAME_MAX];
    uint32_t size; // of what is in `bytes`
    uint32_t said;
    char key[16];
};

struct crowd {
    struct impostor *i;
    struct caller callers[LINES];
};

static void one_of_each(struct node_options *node, struct server_options *server) {
    node->peer_buffers = 1;
    node->replication = MEMBERS;
    server->replication = MEMBERS;
}

// We call n1 as that member.
static void call(struct crowd *c, struct caller *caller, uint32_t member, uint64_t storage) {
    struct impostor *i = c->i;
    char name[8];
    (void)snprintf(name, sizeof(name), "n%u", member + 1);
    i->hello.name = i->hello.address = text(name);
    i->hello.storage = storage;
    i->hello.process = member;
    dial(i);
    caller->line = i->dialled;
    (void)snprintf(caller->key, sizeof(caller->key), "key%u", member);
}

static struct crowd *gather_with(uint32_t window, void (*adjust)(struct node_options *node,
                                                                 struct server_options *server)) {
    static struct crowd crowd;
    static struct impostor impostor;
    memset(&crowd, 0, sizeof(crowd));
    memset(&impostor, 0, sizeof(impostor));
    struct impostor *i = crowd.i = &impostor;
    struct world_options options = world_quiet();
    options.window = window;
    const struct cluster_options cluster = {.members = MEMBERS, .adjust = adjust};
    i->world = world_create(test_seed(), &options);
    cluster_init(&i->cluster, i->world, &cluster);
    i->secret = cluster_secret;
    for (uint32_t k = 0; k < MEMBERS; k++) cluster_start(&i->cluster, k);
    uint64_t until = world_now(i->world) + 60 * NS_PER_SECOND;
    for (uint32_t k = 0; k < MEMBERS; k++) {
        while (!cluster_is_serving(&i->cluster, k)) assert_true(world_step(i->world, until));
    }
    uint64_t storages[MEMBERS];
    for (uint32_t k = 0; k < MEMBERS; k++) {
        storages[k] = store_actor(node_store(cluster_node(&i->cluster, k))).storage;
        if (k > 0) cluster_kill(&i->cluster, k);
    }
    become(i, storages[1]);
    i->hello.incarnation = UINT32_MAX; // later than those of its former lives
    be_dialled(i);
    for (uint32_t k = 0; k < LINES; k++) call(&crowd, &crowd.callers[k], k + 1, storages[k + 1]);
    pass(i->world, 100 * NS_PER_MS);
    return &crowd;
}

static struct crowd *gather(uint32_t window) {
    return gather_with(window, one_of_each);
}

// ... and n1 says nothing of its own to us, which we would have to read.
static struct crowd *only_callers(struct crowd *c) {
    hang_up(c->i);
    pass(c->i->world, 50 * NS_PER_MS);
    return c;
}

static struct crowd *gather_callers(uint32_t window) {
    return only_callers(gather(window));
}

static struct node_buffers in_use(struct crowd *c) {
    return node_buffers(real_node(c->i));
}

static void expect_none_in_use(struct crowd *c) {
    struct node_buffers now = in_use(c);
    assert_int_equal(now.large, 0);
    assert_int_equal(now.other, 0);
    assert_int_equal(now.waiting, 0);
}

// Adds a frame to what the caller is about to say.
static void add_frame(struct caller *caller, enum message_type type, const struct writer *body) {
    assert_false(body->failed);
    uint8_t *at = caller->bytes + caller->size;
    assert_true(caller->size + FRAME_HEADER_SIZE + body->size <= FRAME_MAX);
    memcpy(at + FRAME_HEADER_SIZE, writer_bytes(body).data, body->size);
    struct frame header = {.type = (uint8_t)type};
    memcpy(header.cluster, caller->line.cluster, CLUSTER_ID_SIZE);
    struct line *l = &caller->line;
    frame_seal(at, (uint32_t)body->size, &header, &l->send_key, l->sent++);
    caller->size += FRAME_HEADER_SIZE + (uint32_t)body->size;
}

static struct writer writer_of_body(void) {
    static uint8_t body[FRAME_MAX];
    return writer_to(body, sizeof(body));
}

// A record of a value of that size.
static struct slice record_of(uint32_t size) {
    static uint8_t value[LARGE];
    static uint8_t bytes[FRAME_MAX];
    static struct record r;
    const struct version dot = {{4711, 1}, 1};
    record_clear(&r);
    assert_int_equal(context_add(&r.context, dot), ST_OK);
    r.siblings[r.sibling_count++] =
        (struct sibling){.dot = dot, .timestamp = 1, .value = {value, size}};
    struct writer w = writer_to(bytes, sizeof(bytes));
    record_encode(&r, &w);
    assert_false(w.failed);
    return writer_bytes(&w);
}

static struct slice large_record(void) {
    return record_of(LARGE);
}

static void prepare_write_of(struct caller *caller, struct slice record) {
    struct slice key = text(caller->key);
    const struct message_put m = {.id = 1, .slot = slot_of(key), .key = key, .record = record};
    struct writer w = writer_of_body();
    message_put_encode(&m, &w);
    add_frame(caller, MESSAGE_PUT, &w);
}

static void prepare_write(struct caller *caller) {
    prepare_write_of(caller, large_record());
}

// n1 is to have the value written by others, too.
static void prepare_forward(struct caller *caller) {
    static uint8_t value[LARGE];
    const struct message_forward m = {
        .id = 2,
        .kind = REQUEST_REPLACE,
        .need = 1,
        .key = text("forwarded"),
        .value = {value, sizeof(value)},
    };
    struct writer w = writer_of_body();
    message_forward_encode(&m, &w);
    add_frame(caller, MESSAGE_FORWARD, &w);
}

static void prepare_read(struct caller *caller, uint64_t id) {
    struct slice key = text(caller->key);
    const struct message_get m = {
        .id = id, .slot = slot_of(key), .target = MESSAGE_NO_MEMBER, .key = key};
    struct writer w = writer_of_body();
    message_get_encode(&m, &w);
    add_frame(caller, MESSAGE_GET, &w);
}

static void go_on(struct crowd *c, struct caller *caller, uint32_t size) {
    env_send(c->i->env, ask(&caller->asked, c->i->world), caller->line.stream,
             caller->bytes + caller->said, size);
    caller->said += size;
}

static void go_on_to_the_end(struct crowd *c, struct caller *caller) {
    go_on(c, caller, caller->size - caller->said);
}

static void begin_anew(struct caller *caller) {
    caller->size = caller->said = 0;
}

static void begin_to_write(struct crowd *c, struct caller *caller) {
    begin_anew(caller);
    prepare_write(caller);
    go_on(c, caller, HALF);
    pass(c->i->world, 50 * NS_PER_MS);
}

static void begin_to_read(struct crowd *c, struct caller *caller, uint32_t times) {
    begin_anew(caller);
    for (uint32_t k = 0; k < times; k++) prepare_read(caller, k);
    go_on_to_the_end(c, caller);
    pass(c->i->world, 50 * NS_PER_MS);
}

static void expect_written(struct crowd *c, struct caller *caller) {
    struct frame frame = {0};
    struct message_put_done done;
    HEAR(c->i, &caller->line, MESSAGE_PUT_DONE, put_done, &frame, &done);
    assert_int_equal(done.status, ST_OK);
}

static void expect_read(struct crowd *c, struct caller *caller, uint32_t times) {
    for (uint32_t k = 0; k < times; k++) {
        struct frame frame = {0};
        struct message_get_done done;
        HEAR(c->i, &caller->line, MESSAGE_GET_DONE, get_done, &frame, &done);
        assert_int_equal(done.id, k);
        assert_int_equal(done.status, ST_OK);
        assert_true(done.record.size > LARGE);
    }
}

static void write_all(struct crowd *c) {
    for (uint32_t k = 0; k < LINES; k++) {
        begin_to_write(c, &c->callers[k]);
        go_on_to_the_end(c, &c->callers[k]);
        expect_written(c, &c->callers[k]);
    }
}

static void large_requests_wait_in_line(void **state) {
    (void)state;
    struct crowd *c = gather_callers(256 * 1024);
    expect_none_in_use(c);
    for (uint32_t k = 0; k < LINES; k++) begin_to_write(c, &c->callers[k]);
    assert_int_equal(in_use(c).large, 1);
    assert_int_equal(in_use(c).waiting, LINES - 1);
    for (uint32_t k = LINES; k-- > 0;) go_on_to_the_end(c, &c->callers[k]);
    for (uint32_t k = LINES; k-- > 0;) expect_written(c, &c->callers[k]);
    pass(c->i->world, 50 * NS_PER_MS);
    expect_none_in_use(c);
    end(c->i);
}

static void large_answers_wait_in_line(void **state) {
    (void)state;
    struct crowd *c = gather_callers(4096);
    write_all(c);
    for (uint32_t k = 0; k < LINES; k++) begin_to_read(c, &c->callers[k], READS);
    assert_int_equal(in_use(c).large, 1);
    assert_int_equal(in_use(c).waiting, LINES - 1);
    for (uint32_t k = 0; k < LINES; k++) expect_read(c, &c->callers[k], READS);
    pass(c->i->world, 50 * NS_PER_MS);
    expect_none_in_use(c);
    end(c->i);
}

// n1 cannot bring to us what it was asked to write, as we do not read it; nor do some of its
// callers end what they have begun. It still answers the others, and reads what it is answered.
static void uses_do_not_wait_for_each_other(void **state) {
    (void)state;
    struct crowd *c = gather(4096);
    write_all(c);
    begin_anew(&c->callers[0]);
    prepare_forward(&c->callers[0]);
    go_on_to_the_end(c, &c->callers[0]);
    struct frame frame = {0};
    struct message_forward_done done;
    HEAR(c->i, &c->callers[0].line, MESSAGE_FORWARD_DONE, forward_done, &frame, &done);
    assert_int_equal(done.status, ST_OK);
    pass(c->i->world, 50 * NS_PER_MS);
    assert_int_equal(in_use(c).large, 1);
    for (uint32_t k = 2; k < LINES; k++) begin_to_write(c, &c->callers[k]);
    assert_int_equal(in_use(c).large, 2);
    assert_int_equal(in_use(c).waiting, 1);
    for (uint32_t k = 0; k < 2; k++) begin_to_read(c, &c->callers[k], READS);
    for (uint32_t k = 0; k < 2; k++) expect_read(c, &c->callers[k], READS);

    uint64_t before = node_stats(real_node(c->i)).frames_received;
    static struct caller us;
    us = (struct caller){.line = c->i->accepted};
    const struct message_get_done m = {.id = 4711, .record = large_record()};
    struct writer w = writer_of_body();
    message_get_done_encode(&m, &w);
    add_frame(&us, MESSAGE_GET_DONE, &w);
    go_on_to_the_end(c, &us);
    pass(c->i->world, 100 * NS_PER_MS);
    assert_int_equal(us.asked.calls, 1);
    assert_int_equal(node_stats(real_node(c->i)).frames_received, before + 1);

    for (uint32_t k = 2; k < LINES; k++) go_on_to_the_end(c, &c->callers[k]);
    for (uint32_t k = 2; k < LINES; k++) expect_written(c, &c->callers[k]);
    end(c->i);
}

// Two hold the buffer, one after the other, and say a byte now and then: not for ever. Who waits
// has not fallen silent.
static void who_is_slow_to_finish_gives_way(void **state) {
    (void)state;
    enum { SLOW = 2 };
    struct crowd *c = gather_callers(256 * 1024);
    for (uint32_t k = 0; k < LINES; k++) begin_to_write(c, &c->callers[k]);
    for (uint32_t k = SLOW; k < LINES; k++) go_on_to_the_end(c, &c->callers[k]);
    uint64_t until = world_now(c->i->world) + 20 * NS_PER_SECOND;
    while (in_use(c).waiting > 0) {
        assert_true(world_now(c->i->world) < until);
        for (uint32_t k = 0; k < SLOW; k++) go_on(c, &c->callers[k], 1);
        pass(c->i->world, 500 * NS_PER_MS);
    }
    for (uint32_t k = SLOW; k < LINES; k++) expect_written(c, &c->callers[k]);
    for (uint32_t k = 0; k < SLOW; k++) {
        struct frame frame = {0};
        struct line *l = &c->callers[k].line;
        while (hear(c->i, l, &l->recv_key, l->received++, &frame)) continue;
    }
    pass(c->i->world, 50 * NS_PER_MS);
    assert_int_equal(in_use(c).large, 0);
    end(c->i);
}

// The first one does not read what it is answered, and says a byte now and then. Others would like
// to be answered, too.
static void expect_first_to_give_way(struct crowd *c) {
    enum { BYTES = 8 };
    for (uint32_t k = 1; k < LINES; k++) begin_to_read(c, &c->callers[k], READS);
    assert_int_equal(in_use(c).large, 1);
    assert_int_equal(in_use(c).waiting, LINES - 1);
    struct caller *first = &c->callers[0];
    begin_anew(first);
    prepare_read(first, READS);
    for (uint32_t byte = 0; byte < BYTES; byte++) {
        go_on(c, first, 1);
        pass(c->i->world, 500 * NS_PER_MS);
    }
    assert_in_range(in_use(c).waiting, 0, LINES - 2);
    for (uint32_t k = 1; k < LINES; k++) expect_read(c, &c->callers[k], READS);
    struct line *l = &first->line;
    struct frame frame = {0};
    while (hear(c->i, l, &l->recv_key, l->received++, &frame)) continue;
    pass(c->i->world, 50 * NS_PER_MS);
    assert_int_equal(in_use(c).large, 0);
    end(c->i);
}

static void who_does_not_read_its_answers_gives_way(void **state) {
    (void)state;
    struct crowd *c = gather_callers(4096);
    write_all(c);
    begin_to_read(c, &c->callers[0], READS);
    expect_first_to_give_way(c);
}

// What is being sent to it is small. So is not what is to be sent after that.
static void who_does_not_read_small_answers_has_no_large_one_kept(void **state) {
    (void)state;
    struct crowd *c = gather_callers(4096);
    struct caller *first = &c->callers[0];
    write_all(c);
    char key[sizeof(first->key)];
    memcpy(key, first->key, sizeof(key));
    (void)snprintf(first->key, sizeof(first->key), "small");
    begin_anew(first);
    prepare_write_of(first, record_of(HALF));
    go_on_to_the_end(c, first);
    expect_written(c, first);
    for (uint32_t k = 0; k < 2; k++) begin_to_read(c, first, 1);
    assert_int_equal(in_use(c).large, 0);
    memcpy(first->key, key, sizeof(key));
    begin_to_read(c, first, 1);
    expect_first_to_give_way(c);
}

static void three_of_each(struct node_options *node, struct server_options *server) {
    one_of_each(node, server);
    node->peer_buffers = LINES - 1;
}

// It waits to say something large. Before that is its turn it is answered so much, and reads none
// of it, that nothing more is taken from it; so others have its turn.
static void who_cannot_be_answered_does_not_wait_to_say_more(void **state) {
    (void)state;
    enum { ASKED = 100 };
    struct crowd *c = only_callers(gather_with(4096, three_of_each));
    struct caller *one = &c->callers[0];
    struct caller *writer = &c->callers[3];
    struct machine *machine = c->i->cluster.processes[0].machine;
    write_all(c);
    begin_to_read(c, one, 1);
    machine_slow_disk(machine, 1000);
    (void)snprintf(writer->key, sizeof(writer->key), "later");
    begin_to_write(c, writer);
    go_on_to_the_end(c, writer);
    pass(c->i->world, 20 * NS_PER_MS);
    (void)snprintf(one->key, sizeof(one->key), "later");
    begin_to_read(c, one, ASKED); // which waits for the disk
    for (uint32_t k = 1; k < LINES; k++) begin_to_write(c, &c->callers[k]);
    begin_to_write(c, one);
    assert_int_equal(in_use(c).waiting, 1);
    assert_int_equal(in_use(c).large, LINES); // what is written, and what was asked first
    machine_slow_disk(machine, 1);
    pass(c->i->world, NS_PER_SECOND);
    assert_int_equal(in_use(c).waiting, 1);
    assert_int_equal(in_use(c).large, LINES + 1);
    go_on_to_the_end(c, &c->callers[1]);
    pass(c->i->world, 50 * NS_PER_MS);
    assert_int_equal(in_use(c).waiting, 0);
    assert_int_equal(in_use(c).large, LINES);
    expect_read(c, one, 1);
    expect_read(c, one, ASKED);
    go_on_to_the_end(c, one);
    expect_written(c, one);
    for (uint32_t k = 2; k < LINES; k++) go_on_to_the_end(c, &c->callers[k]);
    for (uint32_t k = 1; k < LINES; k++) expect_written(c, &c->callers[k]);
    pass(c->i->world, 50 * NS_PER_MS);
    expect_none_in_use(c);
    end(c->i);
}

// Links in every state: one of each use is held, and others wait for it.
static struct crowd *gather_busy(void) {
    struct crowd *c = gather_callers(4096);
    write_all(c);
    begin_to_write(c, &c->callers[0]);
    begin_to_write(c, &c->callers[1]);
    begin_to_read(c, &c->callers[2], READS);
    begin_to_read(c, &c->callers[3], READS);
    assert_int_equal(in_use(c).large, 2);
    assert_int_equal(in_use(c).waiting, 2);
    return c;
}

static void links_that_end_give_all_back(void **state) {
    (void)state;
    struct crowd *c = gather_busy();
    for (uint32_t k = 0; k < LINES; k++) env_shut(c->i->env, c->callers[k].line.stream);
    pass(c->i->world, 2 * NS_PER_SECOND);
    expect_none_in_use(c);
    end(c->i);

    c = gather_busy();
    machine_kill(c->i->cluster.processes[1].machine);
    pass(c->i->world, 10 * NS_PER_SECOND);
    expect_none_in_use(c);
    end(c->i);
}

static void a_member_can_stop_while_others_wait(void **state) {
    (void)state;
    struct crowd *c = gather_busy();
    cluster_stop(&c->i->cluster, 0);
    pass(c->i->world, 10 * NS_PER_SECOND);
    assert_int_equal(c->i->cluster.processes[0].state, PROCESS_DOWN);
    assert_int_equal(c->i->cluster.processes[0].left_open.sockets, 0);
    end(c->i);
}

// A frame of that size from somebody who has not proved that it knows the cluster key: only its
// beginning. True: n1 hangs up rather than wait for the rest.
static bool is_too_large(struct impostor *i, struct line *l, const struct mac_key *key,
                         uint32_t size) {
    static uint8_t bytes[FRAME_MAX];
    struct frame header = {.type = MESSAGE_GOSSIP};
    memcpy(header.cluster, l->cluster, CLUSTER_ID_SIZE);
    frame_seal(bytes, size - FRAME_HEADER_SIZE, &header, key, 0);
    struct asked a;
    env_send(i->env, ask(&a, i->world), l->stream, bytes, size / 2);
    assert_int_equal(answer_of(&a), ST_OK);
    uint64_t until = world_now(i->world) + NS_PER_SECOND;
    bool is_over = false;
    while (!is_over) {
        env_recv(i->env, ask(&a, i->world), l->stream, l->in, HEARD_MAX);
        while (a.calls == 0 && world_step(i->world, until)) continue;
        is_over = a.calls == 0 || a.op.status != ST_OK || a.op.size == 0;
    }
    bool has_hung_up = a.calls > 0;
    env_shut(i->env, l->stream);
    pass(i->world, NS_PER_SECOND);
    return has_hung_up;
}

// Who plays back a HELLO that it has heard has proved nothing.
static void call_as_stranger(struct impostor *i, struct line *l, bool has_greeted) {
    struct asked a;
    env_connect(i->env, ask(&a, i->world), "n1:17379", &l->stream);
    assert_int_equal(answer_of(&a), ST_OK);
    if (!has_greeted) return;
    uint8_t bytes[512];
    struct frame frame = {0};
    send_sealed(i, l, MESSAGE_HELLO, encoded_hello(i, bytes, sizeof(bytes)), &i->secret, 0);
    assert_true(hear(i, l, &i->secret, i->hello.nonce, &frame));
    assert_int_equal(frame.type, MESSAGE_WELCOME);
}

static void strangers_have_no_large_buffer(void **state) {
    (void)state;
    static const struct mac_key wrong = {{1}};
    enum { MOST = FRAME_HEADER_SIZE + MESSAGE_HELLO_MAX };
    for (int few = 0; few < 2; few++) {
        struct impostor *i = prepare(2);
        if (few) i->cluster.options.adjust = one_of_each;
        become(i, 77);
        cluster_start(&i->cluster, 0);
        be_dialled(i);
        struct line *l = &i->dialled;
        for (uint32_t size = MOST; size <= MOST + 1; size++) {
            for (int has_greeted = 0; has_greeted < 2; has_greeted++) {
                call_as_stranger(i, l, has_greeted != 0);
                assert_int_equal(is_too_large(i, l, &wrong, size), size > MOST);
            }
        }
        dial(i); // proves it
        assert_false(is_too_large(i, l, &l->send_key, LARGE));
        end(i);
    }
}

// Members that are all real.

static void one_of_each_and_two_copies(struct node_options *node, struct server_options *server) {
    (void)server;
    node->peer_buffers = 1;
    node->replication = 2;
}

// Who sends what n1 does not take yet still has room to answer others.
static void one_of_each_at_n1(struct node_options *node, struct server_options *server) {
    one_of_each_and_two_copies(node, server);
    if (strcmp(node->self.name, "n1") != 0) node->peer_buffers = 4;
}

static void one_of_each_and_many_copies(struct node_options *node, struct server_options *server) {
    node->peer_buffers = 1;
    node->replication = 8;
    server->replication = 8;
    memset(node->self.rack, 'r', NAME_SIZE_MAX);
    memset(node->self.dc, 'd', NAME_SIZE_MAX);
}

static struct cluster *
found(uint32_t members, void (*adjust)(struct node_options *node, struct server_options *server),
      struct world **world) {
    static struct cluster cluster;
    struct world_options options = world_quiet();
    options.window = 4096;
    const struct cluster_options o = {.members = members, .adjust = adjust};
    *world = world_create(test_seed(), &options);
    cluster_init(&cluster, *world, &o);
    for (uint32_t k = 0; k < o.members; k++) cluster_start(&cluster, k);
    uint64_t until = world_now(*world) + 60 * NS_PER_SECOND;
    for (uint32_t k = 0; k < o.members; k++) {
        while (!cluster_is_serving(&cluster, k)) assert_true(world_step(*world, until));
    }
    return &cluster;
}

// Somebody who writes a large value and reads it, again and again until it was done so often.
struct user {
    struct request request;
    struct cluster *cluster;
    uint32_t member;
    uint32_t left;
    bool is_asking;
    char key[16];
};

static void on_used(struct request *request) {
    struct user *u = CONTAINER_OF(request, struct user, request);
    u->is_asking = false;
    bool is_read = request->kind == REQUEST_READ;
    if (request->status != ST_OK) return;
    if (is_read) assert_true(request->record.size > LARGE);
    request->kind = is_read ? REQUEST_REPLACE : REQUEST_READ;
    u->left--;
}

static void use(struct user *u) {
    static uint8_t value[LARGE];
    struct request *r = &u->request;
    if (u->is_asking || u->left == 0) return;
    r->done = on_used;
    r->key = text(u->key);
    r->value = (struct slice){value, sizeof(value)};
    r->level.kind = LEVEL_QUORUM;
    u->is_asking = true;
    struct machine *machine = u->cluster->processes[u->member].machine;
    machine_enter(machine);
    node_submit(cluster_node(u->cluster, u->member), r);
    machine_leave(machine);
}

static void expect_cluster_is_done(struct cluster *cluster) {
    for (uint32_t k = 0; k < cluster->options.members; k++) {
        struct node_buffers now = node_buffers(cluster_node(cluster, k));
        assert_int_equal(now.large, 0);
        assert_int_equal(now.waiting, 0);
    }
}

// One is refused now and then, as nobody can send two large requests together; but all get through.
static void members_that_ask_each_other_get_through(void **state) {
    (void)state;
    enum { USERS = 4 * MEMBERS, TIMES = 20 };
    static struct user users[USERS];
    struct world *world = NULL;
    struct cluster *cluster = found(MEMBERS, one_of_each_and_two_copies, &world);
    for (uint32_t k = 0; k < USERS; k++) {
        users[k] = (struct user){.cluster = cluster, .member = k % MEMBERS, .left = TIMES};
        users[k].request.kind = REQUEST_REPLACE;
        (void)snprintf(users[k].key, sizeof(users[k].key), "key%u", k);
    }
    uint64_t until = world_now(world) + 120 * NS_PER_SECOND;
    uint32_t left = 0;
    do {
        assert_true(world_now(world) < until);
        left = 0;
        for (uint32_t k = 0; k < USERS; k++) {
            use(&users[k]);
            left += users[k].left;
        }
        pass(world, 10 * NS_PER_MS);
    } while (left > 0);
    pass(world, 2 * NS_PER_SECOND);
    expect_cluster_is_done(cluster);
    world_destroy(world);
}

static void on_changed(struct keyspace_change *change) {
    *(bool *)change->context = true;
}

// A map goes to all, one after the other where there is not room for more.
static void a_map_that_is_large_is_agreed_on(void **state) {
    (void)state;
    struct world *world = NULL;
    struct cluster *cluster = found(MANY, one_of_each_and_many_copies, &world);
    bool is_done = false;
    struct keyspace_change change = {
        .verb = KEYSPACE_CREATE, .wanted = {.name = "more"}, .done = on_changed};
    change.context = &is_done;
    machine_enter(cluster->processes[0].machine);
    node_change_keyspace(cluster_node(cluster, 0), &change);
    machine_leave(cluster->processes[0].machine);
    uint64_t until = world_now(world) + 10 * NS_PER_SECOND;
    while (!is_done) assert_true(world_step(world, until));
    assert_int_equal(change.outcome, KEYSPACE_DONE);
    pass(world, 2 * NS_PER_SECOND);
    expect_cluster_is_done(cluster);
    world_destroy(world);
}

// A key that neither of two members holds a copy of. Returns who is asked for it first.
static uint32_t find_key(const struct cluster *cluster, uint32_t one, uint32_t other,
                         char key[16]) {
    static uint32_t number;
    const struct map *map = node_map(cluster_node(cluster, 0));
    const struct map_run *run;
    do {
        (void)snprintf(key, 16, "far%u", number++);
        run = map_run_of(map, slot_of(text(key)));
    } while (map_place_in(run, one) < REPLICAS_MAX || map_place_in(run, other) < REPLICAS_MAX);
    return run->replicas[0].member;
}

static void write_for(struct world *world, struct user *user) {
    uint64_t until = world_now(world) + 60 * NS_PER_SECOND;
    user->request.kind = REQUEST_REPLACE;
    while (user->request.kind == REQUEST_REPLACE) {
        use(user);
        assert_true(world_step(world, until));
    }
}

// One who is far away takes seconds to send a large answer to n1; others who do wait until there is
// a buffer for theirs. That n1 does not listen to them meanwhile is no silence of theirs.
static void who_waits_in_line_is_up(void **state) {
    (void)state;
    enum { KEYS = 8 };
    struct world *world = NULL;
    struct cluster *cluster = found(SOME, one_of_each_at_n1, &world);
    const struct node *n1 = cluster_node(cluster, 0);
    static struct user users[KEYS];
    uint32_t far = 0;
    for (uint32_t k = 0; k < KEYS; k++) {
        users[k] = (struct user){.cluster = cluster, .left = 2};
        uint32_t asked = find_key(cluster, 0, far, users[k].key);
        if (k == 0) far = asked;
        write_for(world, &users[k]);
    }
    pass(world, NS_PER_SECOND);
    struct process *processes = cluster->processes;
    world_set_distance(world, processes[far].machine, processes[0].machine, 2 * NS_PER_SECOND);
    use(&users[0]);
    pass(world, 2100 * NS_PER_MS);
    for (uint32_t k = 1; k < KEYS; k++) use(&users[k]);
    uint64_t since = world_now(world);
    do {
        pass(world, 50 * NS_PER_MS);
        for (uint32_t member = 1; member < SOME; member++) {
            if (member != far) assert_true(node_member_is_up(n1, member));
        }
    } while (node_buffers(n1).waiting > 0);
    assert_in_range(world_now(world) - since, 2 * NS_PER_SECOND, 4 * NS_PER_SECOND);
    world_destroy(world);
}

int peer_buffers_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(large_requests_wait_in_line),
        cmocka_unit_test(large_answers_wait_in_line),
        cmocka_unit_test(uses_do_not_wait_for_each_other),
        cmocka_unit_test(who_is_slow_to_finish_gives_way),
        cmocka_unit_test(who_does_not_read_its_answers_gives_way),
        cmocka_unit_test(who_does_not_read_small_answers_has_no_large_one_kept),
        cmocka_unit_test(who_cannot_be_answered_does_not_wait_to_say_more),
        cmocka_unit_test(links_that_end_give_all_back),
        cmocka_unit_test(a_member_can_stop_while_others_wait),
        cmocka_unit_test(strangers_have_no_large_buffer),
        cmocka_unit_test(members_that_ask_each_other_get_through),
        cmocka_unit_test(who_waits_in_line_is_up),
        cmocka_unit_test(a_map_that_is_large_is_agreed_on),
    };
    return cmocka_run_group_tests_name("peer_buffers", cases, NULL, NULL);
}
