// SPDX-License-Identifier: Apache-2.0
//
// What a coordinator makes of answers that come late, or not at all: cases that need one disk
// slower than another, or one member worse off than the rest.
#include "base/text.h"
#include "model/token.h"
#include "node/node.h"
#include "sim/session_case.h"

// A record that one member holds and nobody else has heard of.
struct planted {
    struct store_write write;
    struct site *site;
    uint32_t member;
    struct slice value;
    uint64_t timestamp;
    uint8_t bytes[128 * 1024];
    bool is_done;
};

static enum status plant_record(struct store_write *write, struct slice old, struct slice *new) {
    struct planted *p = CONTAINER_OF(write, struct planted, write);
    struct store *store = node_store(cluster_node(&p->site->cluster, p->member));
    static struct record before;
    static struct record after;
    assert_int_equal(record_decode(&before, old), ST_OK);
    const struct sibling sibling = {
        .dot = {store_actor(store), store_mint(store)},
        .timestamp = p->timestamp,
        .value = p->value,
        .is_tombstone = p->value.data == NULL,
    };
    assert_int_equal(record_update(&before, &before.context, &sibling, &after), ST_OK);
    struct writer w = writer_to(p->bytes, sizeof(p->bytes));
    record_encode(&after, &w);
    assert_false(w.failed);
    *new = writer_bytes(&w);
    return ST_OK;
}

static void on_planted(struct store_write *write) {
    struct planted *p = CONTAINER_OF(write, struct planted, write);
    assert_int_equal(write->status, ST_OK);
    p->is_done = true;
}

static void plant_at(struct site *site, uint32_t member, struct slice key, struct slice value,
                     uint64_t timestamp) {
    static struct planted p;
    p = (struct planted){
        .site = site,
        .member = member,
        .value = value,
        .timestamp = timestamp,
    };
    p.write = (struct store_write){
        .apply = plant_record,
        .done = on_planted,
        .partition = {.slot = slot_of(key)},
        .key = key,
    };
    struct machine *machine = site->cluster.processes[member].machine;
    machine_enter(machine);
    store_put(node_store(cluster_node(&site->cluster, member)), &p.write);
    machine_leave(machine);
    uint64_t until = world_now(site->world) + NS_PER_SECOND;
    while (!p.is_done) assert_true(world_step(site->world, until));
}

static void plant(struct site *site, uint32_t member, struct slice key, struct slice value) {
    plant_at(site, member, key, value, 1);
}

// n1 has a write on its way to a slow disk when it is asked to read the key. n2 and n3 answer in
// its stead and differ, so the read repairs before it answers. What n1 then holds was no part of
// the answers, has reached nobody else, and must neither be shown nor count as a copy of what was
// read.
static void a_read_that_repairs_takes_no_more_answers(void **state) {
    (void)state;
    struct site *site = site_new(3, NULL);
    struct talker *writes = site_talker(site, 0, false);
    struct talker *reads = site_talker(site, 0, false);
    expect_dialogue(site, writes, "PING\r\n", "+PONG\r\n");
    expect_dialogue(site, reads, "PING\r\n", "+PONG\r\n");
    site_wait(site, NS_PER_SECOND); // the comparisons after the founding are over
    plant(site, 2, SLICE("k"), SLICE("held"));
    machine_slow_disk(site->cluster.processes[0].machine, 200);
    machine_slow_disk(site->cluster.processes[1].machine, 100000); // never done in this case

    talker_say(writes, "SET k new\r\n", 11);
    site_wait(site, 5 * NS_PER_MS);
    expect_dialogue(site, reads, "GET k\r\n", "$4\r\nheld\r\n");
    site_free(site);
}

// A key that n1 holds no copy of, and in *first the replica that n1 would ask to write it.
static void find_foreign_key(struct site *site, char name[16], uint32_t *first) {
    const struct node *node = cluster_node(&site->cluster, 0);
    for (uint32_t i = 0; i < 1000; i++) {
        (void)snprintf(name, 16, "k%u", i);
        const struct map_run *run = map_run_of(node_map(node), slot_of(slice_of_string(name)));
        if (map_place_in(run, node_self(node)) < REPLICAS_MAX) continue;
        *first = run->replicas[0].member;
        return;
    }
    fail();
}

// A member whose disk has failed stays up and is asked first by those who hold no copy. It can mint
// nothing; the two other replicas can.
static void a_replica_that_cannot_mint_is_passed_over(void **state) {
    (void)state;
    struct site *site = site_new(4, NULL);
    struct cluster *cluster = &site->cluster;
    struct talker *t = site_talker(site, 0, false);
    expect_dialogue(site, t, "PING\r\n", "+PONG\r\n");
    site_wait(site, NS_PER_SECOND);
    char name[16];
    uint32_t first = 0;
    find_foreign_key(site, name, &first);
    for (uint32_t i = 0; i < 4; i++) {
        if (i == first) continue;
        machine_spare(cluster->processes[i].machine, FAULT_DISK_SYNC_ERROR, true);
    }
    world_options(site->world)->rates[FAULT_DISK_SYNC_ERROR] = FAULT_CERTAIN;
    char words[40];
    (void)snprintf(words, sizeof(words), "SET %s v\r\n", name);
    struct talker *unlucky = site_talker(site, first, false);
    talker_say(unlucky, words, strlen(words));
    site_wait(site, NS_PER_SECOND);
    assert_true(node_store_stats(cluster_node(cluster, first)).is_failed);
    assert_true(node_member_is_up(cluster_node(cluster, 0), first));

    expect_dialogue(site, t, words, "+OK\r\n");
    site_wait(site, NS_PER_SECOND);
    expect_part(answer_to(site, t, "QUOIT STATUS\r\n"), "$8\r\ntroubles\r\n$6\r\nfailed\r\n");
    site_free(site);
}

enum { COPIES = 5, LARGE_VALUE = 60 * 1024 };

static void five_copies_of_large_values(struct node_options *node, struct server_options *server) {
    node->value_size_max = 64 * 1024;
    node->replication = COPIES;
    server->value_size_max = 64 * 1024;
    server->replication = COPIES;
}

static bool all_hold_the_same(const struct site *site, uint16_t slot) {
    uint64_t digest = node_slot(cluster_node(&site->cluster, 0), slot).digest;
    for (uint32_t i = 1; i < site->cluster.options.members; i++) {
        if (node_slot(cluster_node(&site->cluster, i), slot).digest != digest) return false;
    }
    return true;
}

// Each of five copies was given a largest value that the others did not know of.
static void large_values_of_every_copy_fit_one_record(void **state) {
    (void)state;
    struct site *site = site_new(COPIES, five_copies_of_large_values);
    site_wait(site, NS_PER_SECOND);
    static uint8_t value[LARGE_VALUE];
    memset(value, 'v', sizeof(value));
    const struct slice key = SLICE("k");
    for (uint32_t i = 0; i < COPIES; i++) {
        plant(site, i, key, (struct slice){value, sizeof(value)});
    }
    assert_false(all_hold_the_same(site, slot_of(key)));
    uint64_t until = world_now(site->world) + 60 * NS_PER_SECOND;
    while (!all_hold_the_same(site, slot_of(key))) assert_true(world_step(site->world, until));
    struct talker *t = site_talker(site, 3, false);
    talker_say(t, "KV.GET k\r\n", 10);
    talker_wait(site, t, (size_t)COPIES * LARGE_VALUE);
    assert_true(t->heard_size > (size_t)COPIES * LARGE_VALUE);
    site_free(site);
}

static void set_links_between_members(struct site *site, bool are_whole) {
    struct cluster *cluster = &site->cluster;
    for (uint32_t i = 0; i < cluster->options.members; i++) {
        for (uint32_t j = 0; j < cluster->options.members; j++) {
            if (i == j) continue;
            world_set_link(site->world, cluster->processes[i].machine,
                           cluster->processes[j].machine, are_whole);
        }
    }
}

// Until a reply that is an error, or a map that ends with a number, was heard.
static void wait_for_written(struct site *site, struct talker *t) {
    for (size_t size = 5; !t->has_ended; size = t->heard_size + 1) {
        talker_wait(site, t, size);
        t->heard[t->heard_size] = '\0';
        const char *last = strrchr((const char *)t->heard, '\n');
        bool is_whole = last != NULL && last[1] == '\0';
        if (is_whole && (t->heard[0] == '-' || strstr((const char *)t->heard, "values\r\n:")))
            return;
        assert_true(t->heard_size >= size);
    }
}

// Adds values beside each other through one member until it refuses. Returns how many it took.
static uint32_t add_values(struct site *site, struct talker *t, const char *value) {
    char words[6000];
    (void)snprintf(words, sizeof(words), "KV.PUT k %s W ONE\r\n", value);
    for (uint32_t count = 0; count <= SIBLINGS_MAX; count++) {
        talker_say(t, words, strlen(words));
        wait_for_written(site, t);
        if (t->heard[0] != '-') continue;
        assert_memory_equal(t->heard, "-TOOMANYSIBLINGS", 16);
        return count;
    }
    fail();
    return 0;
}

// Nobody hears of the others while each takes as many values as it will, small ones or large ones.
static void whatever_each_replica_takes_alone_all_can_merge(void **state) {
    (void)state;
    static char large[5001];
    memset(large, 'v', sizeof(large) - 1);
    const char *const values[] = {"v", large};
    for (int kind = 0; kind < 2; kind++) {
        struct site *site = site_new(3, NULL);
        site_wait(site, NS_PER_SECOND);
        set_links_between_members(site, false);
        uint32_t count = 0;
        for (uint32_t i = 0; i < 3; i++) {
            struct talker *t = site_talker(site, i, false);
            expect_dialogue(site, t, "PING\r\n", "+PONG\r\n");
            count += add_values(site, t, values[kind]);
        }
        assert_int_equal(count, kind == 0 ? SIBLINGS_MAX : 3 * 3);
        set_links_between_members(site, true);
        uint64_t until = world_now(site->world) + 60 * NS_PER_SECOND;
        while (!all_hold_the_same(site, slot_of(SLICE("k")))) {
            assert_true(world_step(site->world, until));
        }
        struct talker *t = &site->talkers[0];
        expect_dialogue(site, t, "SET k one\r\n", "+OK\r\n");
        expect_dialogue(site, t, "GET k\r\n", "$3\r\none\r\n");
        site_free(site);
    }
}

static void only_the_founder_wants_five(struct node_options *node, struct server_options *server) {
    if (strcmp(node->self.name, "n1") == 0) node->replication = server->replication = COPIES;
}

static void a_map_with_more_copies_than_there_is_room_for_is_not_taken(void **state) {
    (void)state;
    struct world_options quiet = world_quiet();
    struct world *world = world_create(test_seed(), &quiet);
    static struct cluster cluster;
    const struct cluster_options options = {.members = COPIES,
                                            .adjust = only_the_founder_wants_five};
    cluster_init(&cluster, world, &options);
    for (uint32_t i = 0; i < COPIES; i++) cluster_start(&cluster, i);
    world_run(world, world_now(world) + 20 * NS_PER_SECOND);
    assert_int_equal(node_state(cluster_node(&cluster, 0)), NODE_SERVING);
    for (uint32_t i = 1; i < COPIES; i++) {
        assert_int_equal(node_state(cluster_node(&cluster, i)), NODE_FOUNDING);
    }
    world_destroy(world);
}

// The timestamp of the only value that a member holds of the key.
static uint64_t held_timestamp(const struct site *site, uint32_t member, struct slice key) {
    struct store_read read = {.partition = {.slot = slot_of(key)}, .key = key};
    static struct record record;
    assert_int_equal(store_peek(node_store(cluster_node(&site->cluster, member)), &read), ST_OK);
    assert_int_equal(record_decode(&record, read.record), ST_OK);
    assert_int_equal(record.sibling_count, 1);
    return record.siblings[0].timestamp;
}

// Somebody's clock ran ahead. The value that it stamped is at n1 (member 0), which writes next, or
// only at n3, of which n1 hears in its first round.
static void a_write_is_later_than_what_it_supersedes_whatever_the_clocks_say(void **state) {
    (void)state;
    const uint64_t ahead = UINT64_C(1) << 62;
    const struct slice key = SLICE("k");
    for (uint32_t holder = 0; holder < 3; holder += 2) {
        struct site *site = site_new(3, NULL);
        struct talker *t = site_talker(site, 0, false);
        expect_dialogue(site, t, "CONSISTENCY WRITE ALL\r\n", "+OK\r\n");
        site_wait(site, NS_PER_SECOND);
        plant_at(site, holder, key, SLICE("early"), ahead);
        expect_dialogue(site, t, "SET k late\r\nSET other v\r\n", "+OK\r\n+OK\r\n");
        assert_true(held_timestamp(site, 0, key) > ahead);
        assert_true(held_timestamp(site, 0, SLICE("other")) < ahead);

        plant_at(site, holder, key, SLICE("last"), UINT64_MAX); // later there is nothing
        expect_dialogue(site, t, "SET k more\r\n", "+OK\r\n");
        assert_true(held_timestamp(site, 0, key) == UINT64_MAX);
        site_free(site);
    }
}

// The value is at one replica. Another one writes over it, which has only the word of the client of
// how late it is, or of n1, which has no copy and forwards it.
static void a_write_is_later_than_what_its_context_covers(void **state) {
    (void)state;
    const uint64_t ahead = UINT64_C(1) << 62;
    for (uint32_t members = 3; members <= 4; members++) {
        struct site *site = site_new(members, NULL);
        struct talker *t = site_talker(site, 0, false);
        expect_dialogue(site, t, "CONSISTENCY WRITE ALL\r\n", "+OK\r\n");
        site_wait(site, NS_PER_SECOND);
        char name[16] = "k";
        uint32_t writer = 0;
        if (members == 4) find_foreign_key(site, name, &writer);
        const struct slice key = slice_of_string(name);
        const struct node *node = cluster_node(&site->cluster, 0);
        const struct map_run *run = map_run_of(node_map(node), slot_of(key));
        uint32_t holder = run->replicas[run->replicas[0].member == writer].member;
        plant_at(site, holder, key, SLICE("early"), ahead);

        struct talker *reader = site_talker(site, holder, false);
        char words[TOKEN_MAX + 64];
        char token[TOKEN_MAX];
        expect_dialogue(site, reader, "CONSISTENCY READ ONE\r\n", "+OK\r\n");
        (void)snprintf(words, sizeof(words), "KV.GET %s\r\n", name);
        talker_say(reader, words, strlen(words));
        site_wait(site, 20 * NS_PER_MS); // members do not compare so soon
        talker_context(reader, token);
        (void)snprintf(words, sizeof(words), "KV.PUT %s late CONTEXT %s\r\n", name, token);
        talker_say(t, words, strlen(words));
        site_wait(site, NS_PER_SECOND);
        for (uint32_t i = 0; i < members; i++) {
            if (map_place_in(run, i) == REPLICAS_MAX) continue;
            assert_true(held_timestamp(site, i, key) > ahead);
        }
        // What its answer says is as late.
        static struct context context;
        uint64_t timestamp = 0;
        talker_context(t, token);
        assert_int_equal(
            token_decode(&cluster_secret, key, slice_of_string(token), &context, &timestamp),
            ST_OK);
        assert_true(timestamp == held_timestamp(site, writer, key));
        site_free(site);
    }
}

// n1 and n2 are asked. What they say alike is the answer; of the rest one holds something newer,
// one something that the other has never heard of, and one a delete. Each is read by itself: then a
// majority has it, and neither alone shows anything older.
static void a_range_settles_what_members_differ_about(void **state) {
    (void)state;
    struct site *site = site_new(3, NULL);
    struct talker *t = site_talker(site, 0, false);
    const uint64_t later = UINT64_MAX / 4;
    expect_dialogue(site, t, "MSET {t}a 1 {t}b 2 {t}e 5\r\n", "+OK\r\n");
    site_wait(site, NS_PER_SECOND);
    plant_at(site, 1, SLICE("{t}b"), SLICE("3"), later);
    plant_at(site, 0, SLICE("{t}c"), SLICE("4"), later);
    plant_at(site, 1, SLICE("{t}e"), (struct slice){NULL, 0}, later);
    const char *answer = "*2\r\n$-1\r\n*3\r\n*2\r\n$4\r\n{t}a\r\n$1\r\n1\r\n"
                         "*2\r\n$4\r\n{t}b\r\n$1\r\n3\r\n*2\r\n$4\r\n{t}c\r\n$1\r\n4\r\n";
    expect_dialogue(site, t, "KV.RANGE t - +\r\n", answer);
    for (uint32_t member = 0; member < 2; member++) {
        t = site_talker(site, member, false);
        expect_dialogue(site, t, "CONSISTENCY READ ONE\r\nMGET {t}b {t}c {t}e\r\n",
                        "+OK\r\n*3\r\n$1\r\n3\r\n$1\r\n4\r\n$-1\r\n");
        expect_dialogue(site, t, "KV.RANGE t - +\r\n", answer);
    }
    site_free(site);
}

// What is written and not yet forced to disk is neither shown nor, when it is a delete, left out:
// a crash could still take it. The range waits for it, as a read does.
static void a_range_shows_nothing_that_a_crash_can_take(void **state) {
    (void)state;
    struct site *site = site_new(1, NULL);
    struct machine *machine = site->cluster.processes[0].machine;
    struct talker *writes = site_talker(site, 0, false);
    struct talker *reads = site_talker(site, 0, false);
    expect_dialogue(site, writes, "MSET {t}a 1 {t}b 2\r\n", "+OK\r\n");
    expect_dialogue(site, reads, "PING\r\n", "+PONG\r\n");
    static const char *const changes[2] = {"SET {t}a 3\r\n", "DEL {t}b\r\n"};
    static const char *const answers[2] = {
        "*2\r\n$-1\r\n*2\r\n*2\r\n$4\r\n{t}a\r\n$1\r\n3\r\n*2\r\n$4\r\n{t}b\r\n$1\r\n2\r\n",
        "*2\r\n$-1\r\n*1\r\n*2\r\n$4\r\n{t}a\r\n$1\r\n3\r\n",
    };
    for (uint32_t i = 0; i < 2; i++) {
        machine_slow_disk(machine, 1000);
        talker_say(writes, changes[i], strlen(changes[i]));
        site_wait(site, 10 * NS_PER_MS);
        talker_say(reads, "KV.RANGE t - +\r\n", 16);
        site_wait(site, 10 * NS_PER_MS);
        assert_int_equal(writes->heard_size, 0);
        assert_int_equal(reads->heard_size, 0);
        machine_slow_disk(machine, 1);
        talker_wait(site, reads, strlen(answers[i]));
        assert_int_equal(reads->heard_size, strlen(answers[i]));
        assert_memory_equal(reads->heard, answers[i], reads->heard_size);
        talker_wait(site, writes, 4);
    }
    site_free(site);
}

static void without_purging(struct node_options *node, struct server_options *server) {
    (void)server;
    node->purge_ns = 3600 * NS_PER_SECOND;
}

// What is left of a key in `default` when its keyspace comes is no key; but it is somewhere, and
// all replicas come to hold the same.
static void tombstones_from_before_a_keyspace_are_everywhere(void **state) {
    (void)state;
    struct slice key = SLICE("a:1");
    struct site *site = site_new(3, without_purging);
    struct talker *t = site_talker(site, 1, false);
    plant_at(site, 0, key, (struct slice){0}, 1000);
    expect_dialogue(site, t, "KEYSPACE CREATE a\r\nSET a:1 v\r\n", "+OK\r\n+OK\r\n");
    site_wait(site, 70 * NS_PER_SECOND);
    assert_true(all_hold_the_same(site, slot_of(key)));
    uint32_t cell = cell_of(slot_of(key), KEYSPACE_DEFAULT);
    struct store_partition held = node_cell(cluster_node(&site->cluster, 2), cell);
    assert_int_equal(held.key_count, 1);
    assert_int_equal(held.live_count, 0);
    expect_dialogue(site, t, "GET a:1\r\n", "$1\r\nv\r\n");
    site_free(site);
}

// Reads by one that has no copy: one replica sends the record, the rest its hash.

enum { DIGESTED = 4000 };

struct reading {
    struct site *site;
    struct talker *t; // of n1
    char key[16];
    char get[32];
    char answer[DIGESTED + 32];
    char words[DIGESTED + 64];
};

static void set_value(struct reading *r, char letter) {
    char value[DIGESTED + 1];
    memset(value, letter, DIGESTED);
    value[DIGESTED] = '\0';
    (void)snprintf(r->words, sizeof(r->words), "SET %s %s\r\n", r->key, value);
    (void)snprintf(r->answer, sizeof(r->answer), "$%d\r\n%s\r\n", DIGESTED, value);
}

static struct reading *begin_reading(uint32_t members) {
    static struct reading r;
    uint32_t first = 0;
    r.site = site_new(members, NULL);
    r.t = site_talker(r.site, 0, false);
    (void)snprintf(r.key, sizeof(r.key), "key");
    if (members > 3) find_foreign_key(r.site, r.key, &first);
    (void)snprintf(r.get, sizeof(r.get), "GET %s\r\n", r.key);
    set_value(&r, 'a');
    expect_dialogue(r.site, r.t, r.words, "+OK\r\n");
    site_wait(r.site, NS_PER_SECOND);
    return &r;
}

static struct node_stats stats_of_n1(const struct reading *r) {
    return node_stats(cluster_node(&r->site->cluster, 0));
}

static void of_equal_copies_one_is_sent(void **state) {
    (void)state;
    enum { TIMES = 50 };
    struct reading *r = begin_reading(4);
    const struct machine *machine = r->site->cluster.processes[0].machine;
    expect_dialogue(r->site, r->t, "CONSISTENCY READ ALL\r\n", "+OK\r\n");
    uint64_t before = machine_traffic(machine).received;
    for (uint32_t i = 0; i < TIMES; i++) expect_dialogue(r->site, r->t, r->get, r->answer);
    uint64_t received = machine_traffic(machine).received - before;
    assert_in_range(received, TIMES * DIGESTED, TIMES * DIGESTED * 3 / 2);
    assert_int_equal(stats_of_n1(r).hashes, 2 * TIMES);
    assert_int_equal(stats_of_n1(r).hashes_differed, 0);
    site_free(r->site);
}

// Whichever of the three holds something newer, or nothing.
static void who_tells_another_hash_is_asked_for_its_record(void **state) {
    (void)state;
    struct reading *r = begin_reading(4);
    const struct slice key = slice_of_string(r->key);
    expect_dialogue(r->site, r->t, "CONSISTENCY READ ALL\r\n", "+OK\r\n");
    for (uint32_t member = 1; member < 4; member++) {
        static char value[DIGESTED + 1];
        memset(value, (int)('a' + member), DIGESTED);
        set_value(r, (char)('a' + member));
        plant_at(r->site, member, key, slice_of_string(value), UINT64_MAX / 8 * member);
        expect_dialogue(r->site, r->t, r->get, r->answer);
        site_wait(r->site, NS_PER_SECOND);
    }
    assert_true(stats_of_n1(r).hashes_differed >= 3);
    site_free(r->site);
}

// One of three holds the key: whether that one was to send the record or its hash, it is read.
static void who_has_nothing_is_read_like_others(void **state) {
    (void)state;
    for (uint32_t holder = 1; holder < 4; holder++) {
        struct reading *r = begin_reading(4);
        char key[32];
        char words[48];
        (void)snprintf(key, sizeof(key), "{%s}only", r->key); // of the same slot
        (void)snprintf(words, sizeof(words), "GET %s\r\n", key);
        expect_dialogue(r->site, r->t, "CONSISTENCY READ ALL\r\n", "+OK\r\n");
        plant(r->site, holder, slice_of_string(key), SLICE("held"));
        expect_dialogue(r->site, r->t, words, "$4\r\nheld\r\n");
        uint32_t holders = 0;
        for (uint32_t member = 1; member < 4; member++) {
            struct store_read read = {.partition = {.slot = slot_of(slice_of_string(key))},
                                      .key = slice_of_string(key)};
            struct store *store = node_store(cluster_node(&r->site->cluster, member));
            holders += store_peek(store, &read) == ST_OK;
        }
        assert_in_range(holders, 2, 3); // a majority, before the answer
        site_free(r->site);
    }
}

// One of three says nothing: whether it was to send the record or its hash, the answer comes.
static void who_was_to_send_the_record_may_be_late(void **state) {
    (void)state;
    struct reading *r = begin_reading(4);
    for (uint32_t member = 1; member < 4; member++) {
        struct machine *machine = r->site->cluster.processes[member].machine;
        machine_pause(machine);
        uint64_t began = world_now(r->site->world);
        expect_dialogue(r->site, r->t, r->get, r->answer);
        assert_true(world_now(r->site->world) - began < 200 * NS_PER_MS);
        machine_resume(machine);
        site_wait(r->site, 5 * NS_PER_SECOND);
    }
    site_free(r->site);
}

// The replicas of the key in the order in which n1 asks them, without n1.
static void find_asked(const struct reading *r, uint32_t asked[3]) {
    const struct node *node = cluster_node(&r->site->cluster, 0);
    const struct map_run *run = map_run_of(node_map(node), slot_of(slice_of_string(r->key)));
    uint32_t count = 0;
    for (uint32_t i = 0; i < 3; i++) {
        if (run->replicas[i].member != node_self(node)) asked[count++] = run->replicas[i].member;
    }
}

static void set_way(const struct reading *r, uint32_t from, uint32_t to, uint64_t ns) {
    struct process *processes = r->site->cluster.processes;
    world_set_distance(r->site->world, processes[from].machine, processes[to].machine, ns);
}

// n1 is asked, and the member ends while nothing is known yet. Returns how long the answer takes.
static uint64_t read_while_one_ends(const struct reading *r, uint32_t member) {
    uint64_t began = world_now(r->site->world);
    talker_say(r->t, r->get, strlen(r->get));
    site_wait(r->site, 5 * NS_PER_MS);
    assert_int_equal(r->t->heard_size, 0);
    cluster_kill(&r->site->cluster, member);
    talker_wait(r->site, r->t, strlen(r->answer));
    assert_int_equal(r->t->heard_size, strlen(r->answer));
    assert_memory_equal(r->t->heard, r->answer, r->t->heard_size);
    return world_now(r->site->world) - began;
}

// A read that waits longer asks everybody.
enum { HEDGE_MS = 30 };

// The disk of n1 was slow a moment ago, so it asks the others first. One tells its hash, and with
// what n1 holds itself, which is at hand at once, that is the answer.
static void a_hash_is_compared_with_what_is_found_here_in_the_end(void **state) {
    (void)state;
    struct reading *r = begin_reading(3);
    struct machine *machine = r->site->cluster.processes[0].machine;
    uint32_t asked[3];
    find_asked(r, asked);
    struct talker *writes = site_talker(r->site, 0, false);
    expect_dialogue(r->site, writes, "PING\r\n", "+PONG\r\n");
    machine_slow_disk(machine, 1000);
    talker_say(writes, "SET other v\r\n", 13);
    site_wait(r->site, 5 * NS_PER_MS);
    talker_say(r->t, "GET other\r\n", 11);
    for (int ms = 0; !node_member_is_late(cluster_node(&r->site->cluster, 0), 0); ms++) {
        assert_true(ms < 10000);
        site_wait(r->site, NS_PER_MS);
    }
    machine_slow_disk(machine, 1);
    talker_wait(r->site, r->t, 1);
    uint64_t hedged = stats_of_n1(r).hedged;
    set_way(r, 0, asked[0], NS_PER_SECOND); // who is to send the record never hears of it
    assert_true(read_while_one_ends(r, asked[0]) < HEDGE_MS * NS_PER_MS);
    assert_int_equal(stats_of_n1(r).hedged, hedged);
    site_free(r->site);
}

// A hash counts that was told before its sender ended; if it is another one, somebody else is asked
// in its place.
static void who_tells_a_hash_and_ends_has_told_it(void **state) {
    (void)state;
    for (int is_other = 0; is_other < 2; is_other++) {
        struct reading *r = begin_reading(4);
        uint32_t asked[3];
        find_asked(r, asked);
        set_way(r, asked[0], 0, (HEDGE_MS - 10) * NS_PER_MS);
        if (is_other) {
            plant_at(r->site, asked[1], slice_of_string(r->key), SLICE("v"), UINT64_MAX / 2);
        } else {
            expect_dialogue(r->site, r->t, "CONSISTENCY READ ALL\r\n", "+OK\r\n");
        }
        assert_true(read_while_one_ends(r, asked[1]) < HEDGE_MS * NS_PER_MS);
        assert_int_equal(stats_of_n1(r).hashes_differed, is_other);
        site_free(r->site);
    }
}

// It is asked for its record, as it has told another hash, just before further replicas are asked.
static void who_is_asked_again_at_last_is_not_late(void **state) {
    (void)state;
    struct reading *r = begin_reading(4);
    uint32_t asked[3];
    find_asked(r, asked);
    plant_at(r->site, asked[1], slice_of_string(r->key), SLICE("v"), UINT64_MAX / 2);
    set_way(r, asked[0], 0, (HEDGE_MS - 5) * NS_PER_MS);
    set_way(r, asked[1], 0, 10 * NS_PER_MS);
    expect_dialogue(r->site, r->t, r->get, r->answer);
    assert_int_equal(stats_of_n1(r).hashes_differed, 1);
    assert_int_equal(stats_of_n1(r).hedged, 1);
    for (uint32_t k = 0; k < 3; k++) {
        assert_false(node_member_is_late(cluster_node(&r->site->cluster, 0), asked[k]));
    }
    site_free(r->site);
}

int coordinator_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(a_read_that_repairs_takes_no_more_answers),
        cmocka_unit_test(a_replica_that_cannot_mint_is_passed_over),
        cmocka_unit_test(large_values_of_every_copy_fit_one_record),
        cmocka_unit_test(a_write_is_later_than_what_it_supersedes_whatever_the_clocks_say),
        cmocka_unit_test(a_write_is_later_than_what_its_context_covers),
        cmocka_unit_test(whatever_each_replica_takes_alone_all_can_merge),
        cmocka_unit_test(a_map_with_more_copies_than_there_is_room_for_is_not_taken),
        cmocka_unit_test(of_equal_copies_one_is_sent),
        cmocka_unit_test(who_tells_another_hash_is_asked_for_its_record),
        cmocka_unit_test(who_has_nothing_is_read_like_others),
        cmocka_unit_test(who_was_to_send_the_record_may_be_late),
        cmocka_unit_test(a_hash_is_compared_with_what_is_found_here_in_the_end),
        cmocka_unit_test(who_tells_a_hash_and_ends_has_told_it),
        cmocka_unit_test(who_is_asked_again_at_last_is_not_late),
        cmocka_unit_test(a_range_settles_what_members_differ_about),
        cmocka_unit_test(a_range_shows_nothing_that_a_crash_can_take),
        cmocka_unit_test(tombstones_from_before_a_keyspace_are_everywhere),
    };
    return cmocka_run_group_tests_name("coordinator", cases, NULL, NULL);
}
