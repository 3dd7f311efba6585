// SPDX-License-Identifier: Apache-2.0
//
// Replies that wait in memory, for their turn or for a client that does not read, and what happens
// when it is out.
#include "sim/session_case.h"

static uint64_t buffers_in_use(struct site *site, struct talker *t) {
    return info_number(site, t, "INFO memory\r\n", "buffers_in_use");
}

enum { BIG = 4000 };

static void set_big(struct site *site, struct talker *t) {
    char words[BIG + 32];
    size_t size = (size_t)sprintf(words, "SET big ");
    memset(words + size, 'v', BIG);
    memcpy(words + size + BIG, "\r\n", 3);
    expect_dialogue(site, t, words, "+OK\r\n");
}

// One who asks for much and takes nothing is not read from any more; others go on, and when it
// begins to read it gets everything.
static void who_does_not_read_slows_nobody_down(void **state) {
    (void)state;
    enum { REPLIES = 800 };
    struct site *site = site_new(3, NULL);
    struct talker *lazy = site_talker(site, 0, false);
    struct talker *other = site_talker(site, 0, false);
    set_big(site, other);

    char *words = calloc(REPLIES, 16);
    for (size_t i = 0; i < REPLIES; i++) (void)sprintf(words + i * 9, "GET big\r\n");
    lazy->is_deaf = true;
    talker_say(lazy, words, strlen(words));
    site_wait(site, 5 * NS_PER_SECOND);
    for (int i = 0; i < 50; i++) expect_dialogue(site, other, "PING\r\n", "+PONG\r\n");
    expect_dialogue(site, other, "STRLEN big\r\n", ":4000\r\n");
    assert_in_range(buffers_in_use(site, other), 1, 100);

    lazy->is_deaf = false;
    machine_enter(lazy->machine);
    talker_hear(lazy);
    machine_leave(lazy->machine);
    enum { REPLY_SIZE = BIG + 9 };
    talker_wait(site, lazy, (size_t)REPLIES * REPLY_SIZE);
    assert_int_equal(lazy->heard_size, (size_t)REPLIES * REPLY_SIZE);
    for (size_t i = 0; i < REPLIES; i++) {
        assert_memory_equal(lazy->heard + i * REPLY_SIZE, "$4000\r\nvv", 9);
    }
    free(words);
    site_free(site);
}

static void little_memory(struct node_options *node, struct server_options *server) {
    (void)node;
    server->chunks_max = 530;
}

enum { LAZY = 40 };

// So many ask for so much, and take nothing of it, that all memory for replies is in use.
static void be_lazy(struct site *site, uint64_t pause_ns) {
    enum { REPLIES = 200, MANY = 2000 };
    static const char read[] = "MGET big\r\n";
    static char large[MANY * 4 + 16];
    static char words[REPLIES * sizeof(read)];
    memcpy(large, "MGET", 5);
    for (size_t i = 0; i < MANY; i++) memcpy(large + 4 + 4 * i, " big", 5);
    memcpy(large + 4 + (size_t)4 * MANY, "\r\n", 3);
    for (size_t i = 0; i < REPLIES; i++) memcpy(words + i * strlen(read), read, sizeof(read));
    for (size_t i = 0; i < LAZY; i++) {
        struct talker *lazy = site_talker(site, 0, false);
        lazy->is_deaf = true;
        const char *said = i == 0 ? large : words;
        talker_say(lazy, said, strlen(said));
        site_wait(site, pause_ns);
    }
}

// There is really nothing left.
static void expect_no_room(struct site *site, struct talker *t) {
    talker_say(t, "PING\r\n", 6);
    site_wait(site, NS_PER_MS * 100);
    assert_int_equal(t->heard_size, 0);
}

// Several wait for memory. They do not keep the member from its work: it cuts off those who take
// nothing, and serves the rest.
static void who_waits_for_memory_does_not_keep_others_from_giving_it_back(void **state) {
    (void)state;
    for (uint32_t members = 1; members <= 3; members += 2) {
        struct site *site = site_new(members, little_memory);
        struct talker *other = site_talker(site, 0, false);
        set_big(site, other);
        be_lazy(site, NS_PER_MS * 100);
        expect_no_room(site, other);
        talker_wait(site, other, 7);
        assert_memory_equal(other->heard, "+PONG\r\n", 7);
        site_wait(site, 60 * NS_PER_SECOND);
        expect_dialogue(site, other, "STRLEN big\r\n", ":4000\r\n");
        site_free(site);
    }
}

static void little_memory_for_keys(struct node_options *node, struct server_options *server) {
    node->store.flush_size = 16384;
    node->store.memory_max = 1; // the least there is
    server->chunks_max = 530;
    server->commands_max = 8000;
}

// Writes other keys until that one would have to be read from a table. To look at it keeps it in
// memory, so that is not done all the time.
static void push_out(struct site *site, struct talker *t, struct slice key) {
    enum { AT_A_TIME = 40, TIMES = 10, MOST = 10, SIZE = 1000 };
    static char words[AT_A_TIME * (SIZE + 100)];
    struct node *node = cluster_node(&site->cluster, 0);
    struct store_read read = {.partition = cluster_partition(&site->cluster, 0, key), .key = key};
    for (int times = 0; times % TIMES != 0 || store_peek(node_store(node), &read) != ST_BUSY;
         times++) {
        assert_true(times < TIMES * MOST);
        size_t said = (size_t)sprintf(words, "MSET");
        for (int i = 0; i < AT_A_TIME; i++) {
            said += (size_t)sprintf(words + said, " other%d:%d %0*d", times, i, SIZE, i);
        }
        (void)sprintf(words + said, "\r\n");
        expect_dialogue(site, t, words, "+OK\r\n");
        site_wait(site, NS_PER_SECOND);
    }
}

// A value that tells which one it is.
static size_t add_value(char *to, size_t size, size_t number) {
    return (size_t)sprintf(to, "%0*zu", (int)size, number);
}

static size_t add_written(char *to, size_t count, size_t size) {
    size_t said = (size_t)sprintf(to, "MSET");
    for (size_t i = 0; i < count; i++) {
        said += (size_t)sprintf(to + said, " k%zu ", i);
        said += add_value(to + said, size, i);
    }
    return said + (size_t)sprintf(to + said, "\r\n");
}

// The values of so many keys from that one on, round and round.
static size_t add_heard(char *to, size_t first, size_t count, size_t kept, size_t size) {
    size_t heard = 0;
    for (size_t i = first; i < first + count; i++) {
        heard += (size_t)sprintf(to + heard, "$%zu\r\n", size);
        heard += add_value(to + heard, size, i % kept);
        heard += (size_t)sprintf(to + heard, "\r\n");
    }
    return heard;
}

// The first of many keys is in a table, on a slow disk: the values of the rest wait for it, whether
// they are small, of several clients, or take a chunk each.
static void many_values_wait_for_the_first_in_little_memory(void **state) {
    (void)state;
    enum { KEYS = 1000, SMALL = 3, LARGE = 1000, CLIENTS = 24 };
    struct talker *readers[CLIENTS];
    static char words[KEYS * (LARGE + 32)];
    for (int is_large = 0; is_large < 2; is_large++) {
        size_t size = is_large ? LARGE : SMALL;
        size_t kept = is_large ? 40 : 400; // that memory holds
        struct site *site = site_new(1, little_memory_for_keys);
        struct talker *t = site_talker(site, 0, false);
        expect_dialogue(site, t, "SET first 1\r\n", "+OK\r\n");
        push_out(site, t, SLICE("first"));
        (void)add_written(words, kept, size);
        expect_dialogue(site, t, words, "+OK\r\n");
        size_t said = (size_t)sprintf(words, "MGET first");
        for (size_t i = 0; i < KEYS; i++) {
            said += (size_t)sprintf(words + said, " k%zu", i % kept);
        }
        (void)sprintf(words + said, "\r\n");
        machine_slow_disk(site->cluster.processes[0].machine, 1000);
        int clients = is_large ? 1 : CLIENTS;
        for (int i = 0; i < clients; i++) {
            readers[i] = site_talker(site, 0, false);
            talker_say(readers[i], words, strlen(words));
        }
        site_wait(site, 20 * NS_PER_MS);
        if (!is_large) expect_dialogue(site, t, "GET k7\r\n", "$3\r\n007\r\n"); // there is room
        for (int i = 0; i < clients; i++) assert_int_equal(readers[i]->heard_size, 0);
        static char answer[sizeof(words)];
        size_t heard = (size_t)sprintf(answer, "*%d\r\n$1\r\n1\r\n", KEYS + 1);
        heard += add_heard(answer + heard, 0, KEYS, kept, size);
        for (int i = 0; i < clients; i++) {
            talker_wait(site, readers[i], heard);
            assert_int_equal(readers[i]->heard_size, heard);
            assert_memory_equal(readers[i]->heard, answer, heard);
        }
        site_free(site);
    }
}

static void patient_and_little_memory(struct node_options *node, struct server_options *server) {
    little_memory_for_keys(node, server);
    node->timeout_ns = 60 * NS_PER_SECOND;
}

// What is read before the key that is in a table nearly fills a chunk; what is read after it waits
// for it in steps. When it comes, others have all the rest of the memory.
static void values_that_find_no_memory_in_their_turn_are_refused(void **state) {
    (void)state;
    enum { BEFORE = 150, AFTER = 40, KEYS = BEFORE + AFTER, EACH = 100 };
    static char words[KEYS * (EACH + 32)];
    static char answer[KEYS * (EACH + 32)];
    struct site *site = site_new(1, patient_and_little_memory);
    struct talker *t = site_talker(site, 0, false);
    struct talker *reader = site_talker(site, 0, false);
    expect_dialogue(site, t, "SET late 1\r\n", "+OK\r\n");
    push_out(site, t, SLICE("late"));
    set_big(site, t);
    (void)add_written(words, KEYS, EACH);
    expect_dialogue(site, t, words, "+OK\r\n");
    size_t said = (size_t)sprintf(words, "MGET");
    for (size_t i = 0; i < KEYS; i++) {
        if (i == BEFORE) said += (size_t)sprintf(words + said, " late");
        said += (size_t)sprintf(words + said, " k%zu", i);
    }
    (void)sprintf(words + said, "\r\n");
    machine_slow_disk(site->cluster.processes[0].machine, 20000);
    talker_say(reader, words, strlen(words));
    site_wait(site, 20 * NS_PER_MS);
    be_lazy(site, 10 * NS_PER_MS);
    assert_int_equal(reader->heard_size, 0);
    expect_no_room(site, t);
    static const char refused[] = "-BUSY too many requests are under way";
    talker_wait(site, reader, strlen(refused));
    assert_memory_equal(reader->heard, refused, strlen(refused));
    site_wait(site, 60 * NS_PER_SECOND);
    assert_int_equal(buffers_in_use(site, t), 1);

    size_t heard = (size_t)sprintf(answer, "*%d\r\n", KEYS + 1);
    heard += add_heard(answer + heard, 0, BEFORE, KEYS, EACH);
    heard += (size_t)sprintf(answer + heard, "$1\r\n1\r\n");
    (void)add_heard(answer + heard, BEFORE, AFTER, KEYS, EACH);
    expect_dialogue(site, reader, words, answer);
    site_free(site);
}

int session_memory_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(who_does_not_read_slows_nobody_down),
        cmocka_unit_test(who_waits_for_memory_does_not_keep_others_from_giving_it_back),
        cmocka_unit_test(many_values_wait_for_the_first_in_little_memory),
        cmocka_unit_test(values_that_find_no_memory_in_their_turn_are_refused),
    };
    return cmocka_run_group_tests_name("session_memory", cases, NULL, NULL);
}
