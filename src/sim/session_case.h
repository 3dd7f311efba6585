// SPDX-License-Identifier: Apache-2.0
//
// session_case.h -- for tests of the server: a cluster that serves, and clients that say exactly
// what they are told, in pieces of any size.
#ifndef QUOIT_SIM_SESSION_CASE_H
#define QUOIT_SIM_SESSION_CASE_H

#include "sim/cluster.h"
#include "tests/test.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TALKERS_MAX = 48, HEARD_MAX = 16 * 1024 * 1024, WORDS_MAX = 64 * 1024 };

enum { TOKEN_MAX = 512 };

// A client on a machine of its own. It sends `words` in pieces, and keeps what it hears.
struct talker {
    struct env *env;
    struct machine *machine;
    struct env_socket *socket;
    struct env_op connect_op;
    struct env_op send_op;
    struct env_op recv_op;
    const char *words;
    size_t word_size; // bytes of words
    size_t said;
    size_t piece;
    bool is_connected;
    bool is_deaf; // does not read
    bool is_receiving;
    bool is_sending;
    bool has_ended;    // the server hung up
    size_t heard_size; // since it last said something
    uint8_t *heard;
    uint8_t *memory; // HEARD_MAX bytes: all it ever heard
    char address[32];
};

struct site {
    struct world *world;
    struct cluster cluster;
    uint32_t talker_count;
    struct talker talkers[TALKERS_MAX];
};

static inline bool site_is_serving(const struct site *site) {
    for (uint32_t i = 0; i < site->cluster.options.members; i++) {
        if (!cluster_is_serving(&site->cluster, i)) return false;
    }
    return true;
}

// None of the members is started yet.
static inline struct site *site_prepare(uint32_t members,
                                        void (*adjust)(struct node_options *node,
                                                       struct server_options *server)) {
    struct site *site = calloc(1, sizeof(*site));
    struct world_options quiet = world_quiet();
    site->world = world_create(test_seed(), &quiet);
    struct cluster_options options = {.members = members, .adjust = adjust};
    cluster_init(&site->cluster, site->world, &options);
    return site;
}

static inline struct site *site_new(uint32_t members,
                                    void (*adjust)(struct node_options *node,
                                                   struct server_options *server)) {
    struct site *site = site_prepare(members, adjust);
    for (uint32_t i = 0; i < members; i++) cluster_start(&site->cluster, i);
    uint64_t until = world_now(site->world) + 60 * NS_PER_SECOND;
    while (!site_is_serving(site)) assert_true(world_step(site->world, until));
    return site;
}

static inline void site_free(struct site *site) {
    for (uint32_t i = 0; i < site->talker_count; i++) free(site->talkers[i].memory);
    world_destroy(site->world);
    free(site);
}

static inline void talker_hear(struct talker *t);

static inline void on_talker_heard(struct env_op *op) {
    struct talker *t = CONTAINER_OF(op, struct talker, recv_op);
    t->is_receiving = false;
    if (op->status != ST_OK || op->size == 0) {
        t->has_ended = true;
        return;
    }
    t->heard_size += op->size;
    talker_hear(t);
}

static inline void talker_hear(struct talker *t) {
    if (t->is_deaf || t->is_receiving || t->has_ended || !t->is_connected) return;
    uint8_t *end = t->heard + t->heard_size;
    size_t room = HEARD_MAX - (size_t)(end - t->memory);
    assert_true(room > 0);
    t->is_receiving = true;
    t->recv_op.done = on_talker_heard;
    env_recv(t->env, &t->recv_op, t->socket, end, (uint32_t)room);
}

static inline void talker_say_more(struct talker *t);

static inline void on_talker_said(struct env_op *op) {
    struct talker *t = CONTAINER_OF(op, struct talker, send_op);
    t->is_sending = false;
    if (op->status == ST_OK) talker_say_more(t);
}

static inline void talker_say_more(struct talker *t) {
    size_t size = t->word_size - t->said;
    if (size == 0 || t->is_sending || !t->is_connected || t->has_ended) return;
    if (size > t->piece) size = t->piece;
    t->is_sending = true;
    t->send_op.done = on_talker_said;
    const uint8_t *from = (const uint8_t *)t->words + t->said;
    t->said += size;
    env_send(t->env, &t->send_op, t->socket, from, (uint32_t)size);
}

static inline void on_talker_connected(struct env_op *op) {
    struct talker *t = CONTAINER_OF(op, struct talker, connect_op);
    assert_int_equal(op->status, ST_OK);
    t->is_connected = true;
    talker_hear(t);
    talker_say_more(t);
}

// Connects to a member: to its main port, or its shard's.
static inline struct talker *site_talker(struct site *site, uint32_t member, bool is_sharded) {
    assert_true(site->talker_count < TALKERS_MAX);
    struct talker *t = &site->talkers[site->talker_count++];
    char name[16];
    (void)snprintf(name, sizeof(name), "c%u", site->talker_count);
    t->machine = world_add_machine(site->world, name);
    (void)machine_start(t->machine, 64);
    t->env = machine_env(t->machine);
    t->memory = calloc(1, HEARD_MAX + 1);
    t->heard = t->memory;
    t->piece = SIZE_MAX;
    (void)snprintf(t->address, sizeof(t->address), "n%u:%d", member + 1,
                   CLUSTER_PORT + (is_sharded ? PORT_SHARD_OFFSET : 0));
    machine_enter(t->machine);
    t->connect_op.done = on_talker_connected;
    env_connect(t->env, &t->connect_op, t->address, &t->socket);
    machine_leave(t->machine);
    return t;
}

// Begins to say something; forgets what was heard. Borrows the words.
static inline void talker_say(struct talker *t, const char *words, size_t size) {
    assert_true(t->said == t->word_size);
    t->words = words;
    t->word_size = size;
    t->said = 0;
    t->heard += t->heard_size;
    t->heard_size = 0;
    machine_enter(t->machine);
    talker_hear(t);
    talker_say_more(t);
    machine_leave(t->machine);
}

// Until so much was heard, or the server hung up, or nothing comes for a while.
static inline void talker_wait(struct site *site, struct talker *t, size_t size) {
    uint64_t until = world_now(site->world) + 10 * NS_PER_SECOND;
    while (t->heard_size < size && !t->has_ended && world_step(site->world, until)) continue;
}

static inline void site_wait(struct site *site, uint64_t ns) {
    world_run(site->world, world_now(site->world) + ns);
}

// Neither of the two members hears the other any more.
static inline void site_cut(struct site *site, uint32_t a, uint32_t b) {
    struct machine *one = site->cluster.processes[a].machine;
    struct machine *other = site->cluster.processes[b].machine;
    world_set_link(site->world, one, other, false);
    world_set_link(site->world, other, one, false);
}

static inline void on_site_replaced(struct replacement *r) {
    *(bool *)r->context = true;
}

// What came of asking one member to have another one replaced.
static inline enum replace_outcome site_replace(struct site *site, uint32_t by, const char *name) {
    bool is_done = false;
    struct replacement r = {.done = on_site_replaced, .context = &is_done};
    struct machine *machine = site->cluster.processes[by].machine;
    machine_enter(machine);
    node_replace(cluster_node(&site->cluster, by), slice_of_string(name), &r);
    machine_leave(machine);
    uint64_t until = world_now(site->world) + 60 * NS_PER_SECOND;
    while (!is_done) assert_true(world_step(site->world, until));
    return r.outcome;
}

// As an operator does it, who asks again where it is too early.
static inline void site_have_replaced(struct site *site, uint32_t by, const char *name) {
    for (uint32_t i = 0; i < 100; i++) {
        enum replace_outcome outcome = site_replace(site, by, name);
        if (outcome == REPLACE_DONE) return;
        assert_true(outcome == REPLACE_UNSEEN || outcome == REPLACE_IS_HEARD_OF ||
                    outcome == REPLACE_IS_UP);
        site_wait(site, 200 * NS_PER_MS);
    }
    fail();
}

// Says the words and expects exactly the answer, however the words are cut.
static inline void expect_dialogue(struct site *site, struct talker *t, const char *words,
                                   const char *answer) {
    size_t size = strlen(answer);
    talker_say(t, words, strlen(words));
    talker_wait(site, t, size);
    if (t->heard_size != size || memcmp(t->heard, answer, size) != 0) {
        print_error("said:  %s\nheard: %.*s\nnot:   %s\n", words, (int)t->heard_size,
                    (const char *)t->heard, answer);
        fail();
    }
}

struct line {
    const char *said;
    const char *heard;
};

static inline void expect_lines(struct site *site, struct talker *t, const struct line *lines,
                                size_t count) {
    for (size_t i = 0; i < count; i++) expect_dialogue(site, t, lines[i].said, lines[i].heard);
}

#define EXPECT_LINES(site, t, lines)                                                               \
    expect_lines(site, t, lines, sizeof(lines) / sizeof((lines)[0]))

// Adds to a string in WORDS_MAX bytes.
static inline void words_add(char *words, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static inline void words_add(char *words, const char *format, ...) {
    size_t size = strlen(words);
    va_list arguments;
    va_start(arguments, format);
    int more = vsnprintf(words + size, WORDS_MAX - size, format, arguments);
    va_end(arguments);
    assert_true(more > 0 && size + (size_t)more < WORDS_MAX);
}

// What was heard, as a string.
static inline const char *answer_to(struct site *site, struct talker *t, const char *words) {
    talker_say(t, words, strlen(words));
    site_wait(site, NS_PER_SECOND);
    t->heard[t->heard_size] = '\0';
    return (const char *)t->heard;
}

static inline void expect_part(const char *heard, const char *part) {
    if (strstr(heard, part) != NULL) return;
    print_error("heard: %s\nnot:   %s\n", heard, part);
    fail();
}

// The integer of that index, from 0, among those of what was heard.
static inline uint64_t integer_in(const char *heard, int index) {
    for (const char *line = heard; line != NULL; line = strchr(line, '\n')) {
        if (line != heard) line++;
        if (*line == ':' && index-- == 0) return strtoull(line + 1, NULL, 10);
    }
    fail();
    return 0;
}

// The field of INFO, or of its section.
static inline uint64_t info_number(struct site *site, struct talker *t, const char *words,
                                   const char *field) {
    char start[64];
    (void)snprintf(start, sizeof(start), "\n%s:", field);
    talker_say(t, words, strlen(words));
    site_wait(site, NS_PER_SECOND);
    t->heard[t->heard_size] = '\0';
    const char *found = strstr((const char *)t->heard, start);
    assert_non_null(found);
    return strtoull(found + strlen(start), NULL, 10);
}

// The context in what was heard.
static inline void talker_context(struct talker *t, char token[TOKEN_MAX]) {
    char *heard = (char *)t->heard;
    heard[t->heard_size] = '\0';
    char *context = strstr(heard, "context\r\n$");
    assert_non_null(context);
    context = strchr(context + 9, '\n');
    assert_non_null(context);
    context++;
    int size = (int)(strchr(context, '\r') - context);
    assert_in_range(snprintf(token, TOKEN_MAX, "%.*s", size, context), 1, TOKEN_MAX - 1);
}

#endif
