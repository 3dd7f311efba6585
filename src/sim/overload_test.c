// SPDX-License-Identifier: Apache-2.0
//
// More is asked of a cluster than it can do. What it does for those who ask it too much, it takes
// from nobody else; and as soon as they ask for less, all is as before, though they ask again
// whatever they were not answered in time.
#include "node/node.h"
#include "sim/client.h"
#include "sim/session_case.h"

#define ASK_NS (3 * NS_PER_MS)       // what a member is busy with a request that it coordinates,
#define FRAME_NS (3 * NS_PER_MS / 2) // with a message of another,
#define SHED_NS (NS_PER_MS / 10)     // and with either that it refuses
#define IN_TIME_NS (600 * NS_PER_MS)
#define PATIENCE_NS (2 * NS_PER_SECOND) // then a customer hangs up

enum {
    CUSTOMERS = 600,
    CAPACITY = 400, // requests a second of three members: a read is 6 ms for them, a write 9
    USUAL = CAPACITY * 6 / 10,
    TRIES = 3,
    KEYS = 500,
    SECONDS_MAX = 60,
};

struct street;

// Asks once, and again at another member when there is no answer in time.
struct customer {
    struct client client;
    struct street *street;
    uint32_t member;
    uint32_t tries;
    bool is_content; // with the last answer
    uint64_t asked;
};

// Those who come at a rate, whether the ones before were served or not.
struct street {
    struct site *site;
    struct rng rng;
    uint32_t members;
    bool has_one_door; // all ask the first member, which holds no copy of what they ask for
    uint64_t rate;     // a second
    bool is_closed;
    uint64_t opened;
    uint32_t next;
    uint32_t turned_away; // found nobody free to ask for them
    uint32_t served[SECONDS_MAX];
    uint32_t refused;
    uint32_t misled; // told that replicas were away
    uint32_t late;   // tries without an answer in time
    struct customer customers[CUSTOMERS];
};

static uint64_t effort(const void *context) {
    struct node_stats n = node_stats(context);
    uint64_t frames_done = n.frames_received - n.late - n.shed_peers;
    uint64_t refused = n.late + n.shed_peers + n.shed;
    return (n.reads + n.writes) * ASK_NS + frames_done * FRAME_NS + refused * SHED_NS;
}

static bool is_behind_the_door(const struct street *s, const char *key) {
    const struct map *map = node_map(cluster_node(&s->site->cluster, 0));
    return map_place_in(map_run_of(map, slot_of(slice_of_string(key))), 0) == REPLICAS_MAX;
}

static void ask(struct customer *c) {
    struct street *s = c->street;
    char key[16];
    do {
        (void)snprintf(key, sizeof(key), "k%u", rng_below(&s->rng, KEYS));
    } while (s->has_one_door && !is_behind_the_door(s, key));
    const struct slice get[] = {SLICE("GET"), slice_of_string(key)};
    const struct slice set[] = {SLICE("SET"), slice_of_string(key), SLICE("v")};
    bool is_read = rng_chance(&s->rng, 1, 2);
    client_add(&c->client, is_read ? 2 : 3, is_read ? get : set);
    char address[24];
    if (!c->client.is_connected && !s->has_one_door) c->member = rng_below(&s->rng, s->members);
    (void)snprintf(address, sizeof(address), "n%u:%d", c->member + 1, CLUSTER_PORT);
    c->tries++;
    c->asked = world_now(s->site->world);
    client_go(&c->client, address);
}

static void on_reply(struct client *client, uint32_t number, const struct resp_reply *reply,
                     struct slice whole) {
    (void)number;
    (void)reply;
    struct customer *c = CONTAINER_OF(client, struct customer, client);
    struct street *s = c->street;
    if (s->is_closed) return;
    uint64_t second = (world_now(s->site->world) - s->opened) / NS_PER_SECOND;
    assert_true(second < SECONDS_MAX);
    bool is_late = world_now(s->site->world) - c->asked > IN_TIME_NS;
    bool is_refused = whole.data[0] == '-';
    if (is_late) {
        s->late++;
    } else if (is_refused) {
        s->refused++;
        s->misled += whole.data[1] == 'N';
    } else {
        s->served[second]++;
    }
    c->is_content = !is_late && !is_refused;
}

static void ask_again(void *context) {
    struct customer *c = context;
    if (!c->street->is_closed && !client_is_busy(&c->client)) ask(c);
}

static void on_over(struct client *client, bool is_whole) {
    struct customer *c = CONTAINER_OF(client, struct customer, client);
    struct street *s = c->street;
    s->late += !is_whole;
    if ((is_whole && c->is_content) || c->tries == TRIES) return;
    world_at(s->site->world, world_now(s->site->world) + NS_PER_MS, ask_again, c);
}

static void on_arrival(void *context) {
    struct street *s = context;
    if (s->is_closed) return;
    world_at(s->site->world, world_now(s->site->world) + NS_PER_SECOND / s->rate, on_arrival, s);
    for (uint32_t i = 0; i < CUSTOMERS; i++) {
        struct customer *c = &s->customers[s->next++ % CUSTOMERS];
        if (client_is_busy(&c->client)) continue;
        if (c->tries > 0 && c->tries < TRIES && !c->is_content) continue; // about to ask again
        c->tries = 0;
        ask(c);
        return;
    }
    s->turned_away++;
}

static void adjust(struct node_options *node, struct server_options *server) {
    node->timeout_ns = IN_TIME_NS;
    node->requests_max = 4 * CUSTOMERS;
    server->clients_max = 4 * CUSTOMERS;
}

static void make_busy(struct street *s, uint32_t member) {
    machine_set_effort(s->site->cluster.processes[member].machine, effort,
                       cluster_node(&s->site->cluster, member));
}

static struct street *street_new(uint32_t members, bool has_one_door) {
    struct street *s = calloc(1, sizeof(*s));
    s->members = members;
    s->has_one_door = has_one_door;
    s->site = site_new(members, adjust);
    s->rng = world_stream(s->site->world, 1);
    for (uint32_t i = 0; i < CUSTOMERS; i++) {
        struct customer *c = &s->customers[i];
        char host[16];
        (void)snprintf(host, sizeof(host), "q%u", i + 1);
        client_init(&c->client, world_add_machine(s->site->world, host));
        c->client.patience_ns = PATIENCE_NS;
        c->client.on_reply = on_reply;
        c->client.on_over = on_over;
        c->street = s;
    }
    for (uint32_t i = has_one_door; i < members; i++) make_busy(s, i);
    s->opened = world_now(s->site->world);
    s->rate = USUAL;
    on_arrival(s);
    return s;
}

// Whoever still waits gives up first.
static void street_free(struct street *s) {
    s->is_closed = true;
    site_wait(s->site, PATIENCE_NS + NS_PER_SECOND);
    site_free(s->site);
    free(s);
}

static void pass(struct street *s, uint32_t seconds) {
    site_wait(s->site, seconds * NS_PER_SECOND);
}

// Served in the second that ends now.
static uint32_t goodput(const struct street *s) {
    return s->served[(world_now(s->site->world) - s->opened) / NS_PER_SECOND - 1];
}

static struct node_stats sum_of_stats(const struct street *s) {
    struct node_stats sum = {0};
    for (uint32_t i = 0; i < s->members; i++) {
        struct node_stats n = node_stats(cluster_node(&s->site->cluster, i));
        sum.shed += n.shed;
        sum.shed_peers += n.shed_peers;
        sum.is_shedding |= n.is_shedding;
    }
    return sum;
}

static void a_burst_leaves_no_trace(void **state) {
    (void)state;
    struct street *s = street_new(3, false);
    pass(s, 3);
    uint32_t before = goodput(s);
    assert_in_range(before, USUAL * 95 / 100, USUAL * 105 / 100);
    assert_int_equal(sum_of_stats(s).shed, 0);

    s->rate = UINT64_C(3) * CAPACITY;
    for (uint32_t i = 0; i < 6; i++) {
        pass(s, 1);
        if (i > 1) assert_in_range(goodput(s), CAPACITY / 2, CAPACITY * 11 / 10);
    }
    assert_true(sum_of_stats(s).is_shedding);
    struct talker *t = site_talker(s->site, 0, false);
    assert_true(info_number(s->site, t, "INFO quoit\r\n", "shed_requests") > 0);
    expect_dialogue(s->site, t, "PING\r\nCONFIG SET timeout 0\r\n", "+PONG\r\n+OK\r\n");

    s->rate = USUAL;
    pass(s, 2);
    pass(s, 1);
    assert_in_range(goodput(s), before * 95 / 100, USUAL * 105 / 100);
    assert_false(sum_of_stats(s).is_shedding);
    uint32_t refused = s->refused;
    pass(s, 3);
    assert_int_equal(s->refused, refused);
    street_free(s);
}

// Who only passes requests on is not busy, and admits them all. Those who are to carry them out do
// not admit, but refuse of what they are asked; and silence is not answered by asking others.
static void what_others_admit_is_refused_where_it_is_too_much(void **state) {
    (void)state;
    struct street *s = street_new(5, true);
    pass(s, 1);
    assert_int_equal(sum_of_stats(s).shed_peers, 0);
    s->rate = UINT64_C(3) * CAPACITY;
    pass(s, 4);
    assert_int_equal(sum_of_stats(s).shed, 0);
    assert_true(sum_of_stats(s).shed_peers > 100);
    assert_true(s->refused > 100);
    assert_int_equal(s->misled, 0);
    struct node_stats door = node_stats(cluster_node(&s->site->cluster, 0));
    assert_true(door.retries_held > 0);
    assert_in_range(door.retries, 1, 100 + 5 * 10 + (door.reads + door.forwarded) / 10);
    s->rate = USUAL;
    pass(s, 6);
    assert_true(goodput(s) >= USUAL * 95 / 100); // some may still be trying again
    street_free(s);
}

// It lost its disk, and has to be given all it had.
static void a_member_that_returns_takes_nothing_from_others(void **state) {
    (void)state;
    struct street *s = street_new(3, false);
    pass(s, 3);
    cluster_kill(&s->site->cluster, 2);
    machine_wipe(s->site->cluster.processes[2].machine);
    pass(s, 5);
    assert_in_range(goodput(s), USUAL * 90 / 100, USUAL * 110 / 100);
    cluster_start(&s->site->cluster, 2);
    for (uint32_t i = 0; cluster_node(&s->site->cluster, 2) == NULL; i++) {
        assert_true(i < 1000);
        site_wait(s->site, NS_PER_MS);
    }
    make_busy(s, 2);
    pass(s, 3);
    uint32_t sum = 0;
    for (int i = 0; i < 10; i++) {
        pass(s, 1);
        assert_true(goodput(s) > USUAL * 80 / 100);
        sum += goodput(s);
    }
    assert_in_range(sum, 10 * USUAL * 97 / 100, 10 * USUAL * 103 / 100);
    assert_int_equal(node_member(cluster_node(&s->site->cluster, 0), 2)->state, MEMBER_SERVING);
    street_free(s);
}

// One member alone, that is busy with each write for long.

#define WRITE_NS (30 * NS_PER_MS)

enum { PUMPS = 12, PUMPED = 2, QUEUED = 20 };

static uint64_t effort_of_writes(const void *context) {
    struct node_stats n = node_stats(context);
    return n.writes * WRITE_NS + n.shed * SHED_NS;
}

// So many write so much, each after the other, that some of it is refused.
struct pumps {
    struct site *site;
    const char *words;
    struct talker *talkers[PUMPS];
    uint32_t next;
};

static void pump(struct pumps *p, uint32_t times) {
    for (; times > 0; times--) {
        site_wait(p->site, WRITE_NS);
        talker_say(p->talkers[p->next++ % PUMPS], p->words, strlen(p->words));
    }
}

static struct pumps pumps_new(struct site *site, const char *words) {
    struct pumps p = {.site = site, .words = words};
    machine_set_effort(site->cluster.processes[0].machine, effort_of_writes,
                       cluster_node(&site->cluster, 0));
    for (uint32_t i = 0; i < PUMPS; i++) p.talkers[i] = site_talker(site, 0, false);
    return p;
}

static void pump_until_it_refuses(struct pumps *p) {
    uint32_t most = p->next + 200;
    while (!node_stats(cluster_node(&p->site->cluster, 0)).is_shedding) {
        assert_true(p->next < most);
        pump(p, 1);
    }
}

// Queues writes while there is too much to do. False: none of them was refused.
static bool is_refused_in_part(struct pumps *p, struct talker *t, uint32_t number) {
    static char words[WORDS_MAX];
    words[0] = '\0';
    words_add(words, "MULTI\r\n");
    for (uint32_t i = 0; i < QUEUED; i++) words_add(words, "SET late%u v\r\n", number);
    words_add(words, "EXEC\r\n");
    pump_until_it_refuses(p);
    talker_say(t, words, strlen(words));
    pump(p, 20);
    site_wait(p->site, 10 * NS_PER_SECOND);
    t->heard[t->heard_size] = '\0';
    if (strstr((const char *)t->heard, "-BUSY this node has more to do") == NULL) return false;
    expect_part((const char *)t->heard, "-EXECABORT Transaction discarded");
    (void)snprintf(words, sizeof(words), "GET late%u\r\n", number);
    expect_dialogue(p->site, t, words, "$-1\r\n");
    return true;
}

static char *repeated(const char *first, const char *line, uint32_t count) {
    char *words = calloc(1, WORDS_MAX);
    (void)snprintf(words, WORDS_MAX, "%s", first);
    for (uint32_t i = 0; i < count; i++) words_add(words, "%s", line);
    return words;
}

static void of_a_transaction_all_is_refused_or_nothing(void **state) {
    (void)state;
    struct site *site = site_new(1, NULL);
    char *pumped = repeated("", "SET pumped v\r\n", PUMPED);
    char *queue = repeated("MULTI\r\n", "SET queued v\r\n", QUEUED);
    char *queued = repeated("+OK\r\n", "+QUEUED\r\n", QUEUED);
    char *done = repeated("*20\r\n", "+OK\r\n", QUEUED);
    struct talker *early = site_talker(site, 0, false);
    expect_dialogue(site, early, queue, queued);

    struct pumps p = pumps_new(site, pumped);
    pump_until_it_refuses(&p);
    expect_dialogue(site, early, "EXEC\r\n", done); // what was queued is carried out
    struct talker *t = site_talker(site, 0, false);
    uint32_t tries = 0;
    while (!is_refused_in_part(&p, t, tries)) assert_true(++tries < 20);
    char *const all[] = {pumped, queue, queued, done};
    for (uint32_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) free(all[i]);
    site_free(site);
}

int overload_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(a_burst_leaves_no_trace),
        cmocka_unit_test(what_others_admit_is_refused_where_it_is_too_much),
        cmocka_unit_test(a_member_that_returns_takes_nothing_from_others),
        cmocka_unit_test(of_a_transaction_all_is_refused_or_nothing),
    };
    return cmocka_run_group_tests_name("overload", cases, NULL, NULL);
}
