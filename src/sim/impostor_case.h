// SPDX-License-Identifier: Apache-2.0
//
// impostor_case.h -- for tests of what members say to each other: n1 is real, and n2 is the test,
// which has the cluster key and says what it likes.
#ifndef QUOIT_SIM_IMPOSTOR_CASE_H
#define QUOIT_SIM_IMPOSTOR_CASE_H

#include "sim/cluster.h"
#include "sim/world_case.h"
#include "wire/frame.h"
#include "wire/message.h"

#include <string.h>

enum { BYTES_MAX = 256 * 1024, HEARD_MAX = 16 * 1024, SAID_MAX = 8192 };

// One connection between n1, which is real, and n2, which is us.
struct line {
    struct env_socket *stream;
    struct mac_key send_key;
    struct mac_key recv_key;
    uint64_t sent;
    uint64_t received;
    uint8_t cluster[CLUSTER_ID_SIZE];
    uint8_t in[BYTES_MAX];
    uint32_t in_size;
    uint32_t taken; // bytes of the frame handed out last
};

struct impostor {
    struct world *world;
    struct cluster cluster;
    struct mac_key secret;
    struct env *env; // of n2
    struct env_socket *listener;
    struct message_hello hello; // what we say of ourselves
    uint64_t epoch;             // of the map that we say to have
    struct line dialled;        // by us
    struct line accepted;
    void (*waiting)(struct impostor *i); // called again and again while we listen; or NULL
};

static inline struct slice text(const char *string) {
    return slice_of_string(string);
}

static inline void send_sealed(struct impostor *i, struct line *l, enum message_type type,
                               struct slice body, const struct mac_key *key, uint64_t number) {
    static uint8_t bytes[BYTES_MAX];
    struct frame header = {.type = (uint8_t)type, .epoch = i->epoch};
    memcpy(header.cluster, l->cluster, CLUSTER_ID_SIZE);
    if (body.size > 0) memcpy(bytes + FRAME_HEADER_SIZE, body.data, body.size);
    frame_seal(bytes, (uint32_t)body.size, &header, key, number);
    struct asked a;
    env_send(i->env, ask(&a, i->world), l->stream, bytes, FRAME_HEADER_SIZE + (uint32_t)body.size);
    (void)answer_of(&a);
}

static inline void say(struct impostor *i, struct line *l, enum message_type type,
                       struct slice body) {
    send_sealed(i, l, type, body, &l->send_key, l->sent++);
}

// The next frame, or false when the other side has hung up.
static inline bool hear(struct impostor *i, struct line *l, const struct mac_key *key,
                        uint64_t number, struct frame *frame) {
    memmove(l->in, l->in + l->taken, l->in_size - l->taken);
    l->in_size -= l->taken;
    l->taken = 0;
    for (;;) {
        uint32_t size = 0;
        struct slice bytes = {l->in, l->in_size};
        if (frame_peek(bytes, BYTES_MAX, &size) == ST_OK && size <= l->in_size) {
            l->taken = size;
            assert_int_equal(frame_open(l->in, size, key, number, frame), ST_OK);
            return true;
        }
        struct asked a;
        env_recv(i->env, ask(&a, i->world), l->stream, l->in + l->in_size, HEARD_MAX);
        while (i->waiting != NULL && a.calls == 0) i->waiting(i);
        if (answer_of(&a) != ST_OK || a.op.size == 0) return false;
        l->in_size += a.op.size;
    }
}

static inline bool hear_type(struct impostor *i, struct line *l, enum message_type type,
                             struct frame *frame) {
    const uint64_t until = world_now(i->world) + 300 * NS_PER_SECOND;
    do {
        if (world_now(i->world) > until) return false;
        if (!hear(i, l, &l->recv_key, l->received++, frame)) return false;
    } while (frame->type != type);
    return true;
}

// Says a `struct message_NAME`.
#define SAY(i, line, TYPE, NAME, m)                                                                \
    do {                                                                                           \
        uint8_t said_bytes[SAID_MAX];                                                              \
        struct writer said_writer = writer_to(said_bytes, sizeof(said_bytes));                     \
        message_##NAME##_encode(m, &said_writer);                                                  \
        assert_false(said_writer.failed);                                                          \
        say(i, line, TYPE, writer_bytes(&said_writer));                                            \
    } while (0)

// Hears the next one, past whatever else comes. Its slices are lent by the frame.
#define HEAR(i, line, TYPE, NAME, frame, m)                                                        \
    do {                                                                                           \
        assert_true(hear_type(i, line, TYPE, frame));                                              \
        assert_int_equal(message_##NAME##_decode(m, (frame)->body), ST_OK);                        \
    } while (0)

static inline void say_nothing(struct impostor *i, struct line *l) {
    static const uint8_t nobody[4] = {0};
    say(i, l, MESSAGE_GOSSIP, (struct slice){nobody, sizeof(nobody)});
}

static inline void take_keys(struct impostor *i, struct line *l, uint64_t dialer, uint64_t acceptor,
                             bool is_dialer) {
    l->send_key = frame_key(&i->secret, dialer, acceptor, is_dialer);
    l->recv_key = frame_key(&i->secret, dialer, acceptor, !is_dialer);
    l->sent = 0;
    l->received = 0;
}

static inline struct slice encoded_hello(struct impostor *i, uint8_t *bytes, size_t size) {
    struct writer w = writer_to(bytes, size);
    message_hello_encode(&i->hello, &w);
    assert_false(w.failed);
    return writer_bytes(&w);
}

// n1 dials us. Lends the frame in which it says who it is.
static inline struct message_hello hear_hello(struct impostor *i, struct frame *frame) {
    struct line *l = &i->accepted;
    struct asked a;
    env_accept(i->env, ask(&a, i->world), i->listener, &l->stream);
    assert_int_equal(answer_of(&a), ST_OK);
    struct message_hello theirs;
    assert_true(hear(i, l, &i->secret, 0, frame));
    assert_int_equal(message_hello_decode(&theirs, frame->body), ST_OK);
    return theirs;
}

// n1 dials us and we answer.
static inline void be_dialled(struct impostor *i) {
    struct line *l = &i->accepted;
    struct frame frame = {0};
    struct message_hello theirs = hear_hello(i, &frame);
    memcpy(l->cluster, frame.cluster, CLUSTER_ID_SIZE);
    memcpy(i->dialled.cluster, frame.cluster, CLUSTER_ID_SIZE);
    uint8_t bytes[512];
    send_sealed(i, l, MESSAGE_WELCOME, encoded_hello(i, bytes, sizeof(bytes)), &i->secret,
                theirs.nonce);
    take_keys(i, l, theirs.nonce, i->hello.nonce, false);
}

// We hang up where n1 has dialled us.
static inline void hang_up(struct impostor *i) {
    env_shut(i->env, i->accepted.stream);
    i->accepted.in_size = i->accepted.taken = 0;
}

// We dial n1 and prove that we are there now.
static inline void dial(struct impostor *i) {
    struct line *l = &i->dialled;
    l->in_size = l->taken = 0;
    struct asked a;
    env_connect(i->env, ask(&a, i->world), "n1:17379", &l->stream);
    assert_int_equal(answer_of(&a), ST_OK);
    uint8_t bytes[512];
    send_sealed(i, l, MESSAGE_HELLO, encoded_hello(i, bytes, sizeof(bytes)), &i->secret, 0);
    struct frame frame = {0};
    struct message_hello theirs;
    assert_true(hear(i, l, &i->secret, i->hello.nonce, &frame));
    assert_int_equal(message_hello_decode(&theirs, frame.body), ST_OK);
    take_keys(i, l, i->hello.nonce, theirs.nonce, true);
    say_nothing(i, l);
}

static inline void say_hello(struct impostor *i, struct line *l) {
    uint8_t bytes[512];
    struct slice hello = encoded_hello(i, bytes, sizeof(bytes));
    send_sealed(i, l, MESSAGE_HELLO, hello, &i->secret, 0);
}

// Somebody else greets n1 with our words of the moment, and stays. The frame is what n1 answers.
static inline struct line *greet_and_stay(struct impostor *i, struct frame *frame) {
    static struct line other;
    memset(&other, 0, sizeof(other));
    memcpy(other.cluster, i->dialled.cluster, CLUSTER_ID_SIZE);
    struct asked a;
    env_connect(i->env, ask(&a, i->world), "n1:17379", &other.stream);
    assert_int_equal(answer_of(&a), ST_OK);
    say_hello(i, &other);
    assert_true(hear(i, &other, &i->secret, i->hello.nonce, frame));
    return &other;
}

static inline void greet(struct impostor *i, struct frame *frame) {
    env_shut(i->env, greet_and_stay(i, frame)->stream);
}

// Another process says that it is n2, too, with a copy of our data. True: n1 takes it for n2; else
// *is_certain is what it says.
static inline bool is_welcome(struct impostor *i, uint64_t process, bool *is_certain) {
    struct frame frame = {0};
    uint64_t ours = i->hello.process;
    i->hello.process = process;
    greet(i, &frame);
    i->hello.process = ours;
    if (frame.type == MESSAGE_WELCOME) return true;
    struct message_taken taken;
    assert_int_equal(frame.type, MESSAGE_TAKEN);
    assert_int_equal(message_taken_decode(&taken, frame.body), ST_OK);
    *is_certain = taken.is_certain;
    return false;
}

// The world, and members of which none runs yet.
static inline struct impostor *prepare(uint32_t members) {
    static struct impostor impostor;
    struct impostor *i = &impostor;
    memset(i, 0, sizeof(*i));
    struct world_options options = world_quiet();
    const struct cluster_options cluster = {.members = members};
    i->world = world_create(test_seed(), &options);
    cluster_init(&i->cluster, i->world, &cluster);
    i->secret = cluster_node_options(&i->cluster).secret;
    return i;
}

// From now on we are n2, of which no process runs, with that data directory.
static inline void become(struct impostor *i, uint64_t storage) {
    struct machine *machine = i->cluster.processes[1].machine;
    (void)machine_start(machine, 64);
    i->env = machine_env(machine);
    i->hello = (struct message_hello){
        .name = text("n2"),
        .address = text("n2"),
        .port = CLUSTER_PORT,
        .shards = 1,
        .weight = 1,
        .value_size_max = cluster_node_options(&i->cluster).value_size_max,
        .members_max = (uint16_t)cluster_node_options(&i->cluster).members_max,
        .copies_max = REPLICATION_DEFAULT,
        .storage = storage,
        .incarnation = 1,
        .process = 1,
        .nonce = 4711,
    };
    struct asked a;
    env_listen(i->env, ask(&a, i->world), "n2:17379", &i->listener);
    assert_int_equal(answer_of(&a), ST_OK);
}

static inline struct impostor *begin(void) {
    struct impostor *i = prepare(2);
    become(i, 77);
    cluster_start(&i->cluster, 0);
    return i;
}

static inline struct node *real_node(struct impostor *i) {
    struct node *node = cluster_node(&i->cluster, 0);
    assert_non_null(node);
    return node;
}

// We are up, and this is so of us: in so many rows, of which the first counts.
static inline void tell_of_us(struct impostor *i, const struct member_entry *us, uint32_t rows) {
    static uint8_t bytes[16 * 1024];
    struct writer w = writer_to(bytes, sizeof(bytes));
    write_u32(&w, rows);
    struct member_entry entry = *us;
    entry.id = node_map(real_node(i))->members[1].id;
    for (uint32_t row = 0; row < rows; row++) {
        member_entry_encode(&entry, &w);
        entry.id = 0; // nobody
    }
    write_u64(&w, node_map_author(real_node(i)));
    write_u8(&w, 0);
    write_u64(&w, 0);
    assert_false(w.failed);
    say(i, &i->accepted, MESSAGE_GOSSIP, writer_bytes(&w));
}

// As a member that is well does, at least once.
static inline void be_up_for(struct impostor *i, uint64_t time) {
    const uint64_t until = world_now(i->world) + time;
    do {
        const struct member_entry us = {.incarnation = i->hello.incarnation,
                                        .heartbeat = world_now(i->world),
                                        .state = MEMBER_SERVING};
        tell_of_us(i, &us, 1);
        say_nothing(i, &i->dialled);
        pass(i->world, 50 * NS_PER_MS);
    } while (world_now(i->world) < until);
}

static inline struct impostor *begin_serving(void) {
    struct impostor *i = begin();
    be_dialled(i);
    dial(i);
    pass(i->world, 2 * NS_PER_SECOND);
    assert_int_equal(node_state(real_node(i)), NODE_SERVING);
    return i;
}

// Some real members found a cluster; then all but n1 end, and we go on as n2. May change what they
// are created with, or NULL.
static inline struct impostor *begin_among_such(uint32_t members,
                                                void (*adjust)(struct node_options *node,
                                                               struct server_options *server)) {
    struct impostor *i = prepare(members);
    i->cluster.options.flush_size = 16384;
    i->cluster.options.adjust = adjust;
    for (uint32_t k = 0; k < members; k++) cluster_start(&i->cluster, k);
    uint64_t until = world_now(i->world) + 60 * NS_PER_SECOND;
    for (uint32_t k = 0; k < members; k++) {
        while (!cluster_is_serving(&i->cluster, k)) assert_true(world_step(i->world, until));
    }
    uint64_t storage = store_actor(node_store(cluster_node(&i->cluster, 1))).storage;
    for (uint32_t k = 1; k < members; k++) cluster_kill(&i->cluster, k);
    become(i, storage);
    i->hello.incarnation = UINT32_MAX; // later than those of its former lives
    be_dialled(i);
    dial(i);
    pass(i->world, 100 * NS_PER_MS);
    return i;
}

static inline struct impostor *begin_among(uint32_t members) {
    return begin_among_such(members, NULL);
}

static inline void end(struct impostor *i) {
    world_destroy(i->world);
}

static inline void begin_forward(struct impostor *i, const struct message_forward *m) {
    SAY(i, &i->dialled, MESSAGE_FORWARD, forward, m);
}

// The answer, whose record lies in the frame.
static inline struct message_forward_done
forwarded(struct impostor *i, const struct message_forward *m, struct frame *frame) {
    begin_forward(i, m);
    struct message_forward_done done;
    HEAR(i, &i->dialled, MESSAGE_FORWARD_DONE, forward_done, frame, &done);
    assert_int_equal(done.id, m->id);
    return done;
}

static inline enum status forward(struct impostor *i, const struct message_forward *m) {
    struct frame frame = {0};
    return forwarded(i, m, &frame).status;
}

#endif
