// SPDX-License-Identifier: Apache-2.0
//
// What clients hear, to the byte. The server is the real one, in a simulated world.
#include "sim/session_case.h"

// Strings.

static const struct line strings[] = {
    {"SET k v\r\n", "+OK\r\n"},
    {"GET k\r\n", "$1\r\nv\r\n"},
    {"GET none\r\n", "$-1\r\n"},
    {"STRLEN k\r\n", ":1\r\n"},
    {"SET k \"hello world\"\r\n", "+OK\r\n"},
    {"GETRANGE k 0 4\r\n", "$5\r\nhello\r\n"},
    {"GETRANGE k -5 -1\r\n", "$5\r\nworld\r\n"},
    {"GETRANGE k 5 2\r\n", "$0\r\n\r\n"},
    {"GETRANGE none 0 -1\r\n", "$0\r\n\r\n"},
    {"MSET a 1 b 2\r\n", "+OK\r\n"},
    {"MSET a 1 b\r\n", "-ERR wrong number of arguments for 'mset' command\r\n"},
    {"MGET a none b\r\n", "*3\r\n$1\r\n1\r\n$-1\r\n$1\r\n2\r\n"},
    {"EXISTS a b a none\r\n", ":3\r\n"},
    {"DEL a a none\r\n", ":1\r\n"},
    {"TYPE b\r\n", "+string\r\n"},
    {"TYPE a\r\n", "+none\r\n"},
    {"SET k v EX 0\r\n", "-ERR invalid expire time in 'set' command\r\n"},
    {"SET k v EX 9223372036854775807\r\n", "-ERR invalid expire time in 'set' command\r\n"},
    {"SET k v PX one\r\n", "-ERR value is not an integer or out of range\r\n"},
    {"SET k v EX 1 PX 1\r\n", "-ERR syntax error\r\n"},
    {"SET k v WHAT\r\n", "-ERR syntax error\r\n"},
    {"GET\r\n", "-ERR wrong number of arguments for 'get' command\r\n"},
    {"NOSUCH a b\r\n", "-ERR unknown command 'NOSUCH', with args beginning with: 'a' 'b' \r\n"},
    {"CLIENT NOSUCH\r\n", "-ERR unknown subcommand 'NOSUCH'. Try CLIENT HELP.\r\n"},
    {"CLIENT\r\n", "-ERR wrong number of arguments for 'client' command\r\n"},
    {"CLUSTER|INFO\r\n", "-ERR unknown command 'CLUSTER|INFO', with args beginning with: \r\n"},
    {"SCAN x\r\n", "-ERR invalid cursor\r\n"},
    {"SCAN 9223372036854775807\r\n", "-ERR invalid cursor\r\n"}, // no slot is so high
    {"SET \"\" v\r\n", "-ERR a key has at least one byte\r\n"},
};

static void says_what_redis_says_about_strings(void **state) {
    (void)state;
    for (uint32_t members = 1; members <= 3; members += 2) {
        struct site *site = site_new(members, NULL);
        EXPECT_LINES(site, site_talker(site, members - 1, false), strings);
        site_free(site);
    }
}

static const struct line expiries[] = {
    {"SET k v PX 1500\r\n", "+OK\r\n"},
    {"TTL none\r\n", ":-2\r\n"},
    {"SET stays v\r\n", "+OK\r\n"},
    {"TTL stays\r\n", ":-1\r\n"},
    {"PERSIST stays\r\n", ":0\r\n"},
    {"EXPIRE stays 100\r\n", ":1\r\n"},
    {"TTL stays\r\n", ":100\r\n"},
    {"GET stays\r\n", "$1\r\nv\r\n"},
    {"SET stays w KEEPTTL\r\n", "+OK\r\n"},
    {"TTL stays\r\n", ":100\r\n"},
    {"PERSIST stays\r\n", ":1\r\n"},
    {"TTL stays\r\n", ":-1\r\n"},
    {"EXPIRE none 100\r\n", ":0\r\n"},
    {"EXPIRE stays x\r\n", "-ERR value is not an integer or out of range\r\n"},
    {"PEXPIREAT stays 33000000000000\r\n", ":1\r\n"},
    {"PEXPIRETIME stays\r\n", ":33000000000000\r\n"},
    {"EXPIRETIME stays\r\n", ":33000000000\r\n"},
    {"EXPIRE stays -1\r\n", ":1\r\n"},
    {"EXISTS stays\r\n", ":0\r\n"},
};

static void keys_expire(void **state) {
    (void)state;
    for (uint32_t members = 1; members <= 3; members += 2) {
        struct site *site = site_new(members, NULL);
        struct talker *t = site_talker(site, 0, false);
        EXPECT_LINES(site, t, expiries);
        expect_dialogue(site, t, "GET k\r\n", "$1\r\nv\r\n");
        site_wait(site, 2 * NS_PER_SECOND);
        expect_dialogue(site, t, "GET k\r\n", "$-1\r\n");
        expect_dialogue(site, t, "DEL k\r\n", ":0\r\n");
        site_free(site);
    }
}

// Reading, deciding, writing.

static const struct line atomics[] = {
    {"SET k v NX\r\n", "+OK\r\n"},
    {"SET k w NX\r\n", "$-1\r\n"},
    {"SET k w XX GET\r\n", "$1\r\nv\r\n"},
    {"SET none w XX\r\n", "$-1\r\n"},
    {"SETNX k x\r\n", ":0\r\n"},
    {"SETNX k2 x\r\n", ":1\r\n"},
    {"GETSET k2 y\r\n", "$1\r\nx\r\n"},
    {"GETDEL k2\r\n", "$1\r\ny\r\n"},
    {"GETDEL k2\r\n", "$-1\r\n"},
    {"INCR n\r\n", ":1\r\n"},
    {"INCRBY n 41\r\n", ":42\r\n"},
    {"DECRBY n 50\r\n", ":-8\r\n"},
    {"INCR k\r\n", "-ERR value is not an integer or out of range\r\n"},
    {"SET n 9223372036854775807\r\n", "+OK\r\n"},
    {"INCR n\r\n", "-ERR increment or decrement would overflow\r\n"},
    {"APPEND k xyz\r\n", ":4\r\n"},
    {"SETRANGE k 6 !\r\n", ":7\r\n"},
    {"GET k\r\n", "$7\r\nwxyz\0\0!\r\n"},
};

static void one_member_reads_decides_and_writes_at_once(void **state) {
    (void)state;
    struct site *site = site_new(1, NULL);
    struct talker *t = site_talker(site, 0, false);
    expect_lines(site, t, atomics, sizeof(atomics) / sizeof(atomics[0]) - 1);
    talker_say(t, "GET k\r\n", 7);
    talker_wait(site, t, 13);
    assert_int_equal(t->heard_size, 13);
    assert_memory_equal(t->heard, "$7\r\nwxyz\0\0!\r\n", 13);
    site_free(site);
}

static const struct line levels[] = {
    {"SET k v\r\n", "+OK\r\n"},
    {"CONSISTENCY READ TWO WRITE ONE\r\n",
     "-ERR level 2 is more than the copies of a key, 1; not done\r\n"},
    {"CONSISTENCY READ ONE WRITE 3\r\n",
     "-ERR level 3 is more than the copies of a key, 1; not done\r\n"},
    {"CONSISTENCY WRITE EACH_QUORUM\r\n",
     "-ERR level EACH_QUORUM needs copies in several data centres, "
     "which this version does not have; not done\r\n"},
    {"KV.GET k R local_quorum\r\n", "-ERR level LOCAL_QUORUM needs copies in several data centres, "
                                    "which this version does not have; not done\r\n"},
    {"KV.PUT k w W 3\r\n", "-NOQUORUM level 3 is more than the 1 copy of a key; not done\r\n"},
    {"KV.GET k R THREE\r\n",
     "-NOQUORUM level 3 is more than the 1 copy of a key; ask for less\r\n"},
    {"CONSISTENCY READ ALL\r\n", "+OK\r\n"},
    {"GET k\r\n", "$1\r\nv\r\n"},
};

static void a_level_beyond_the_copies_there_are_is_refused(void **state) {
    (void)state;
    struct site *site = site_new(1, NULL);
    EXPECT_LINES(site, site_talker(site, 0, false), levels);
    site_free(site);
}

static void several_members_do_not_pretend_to(void **state) {
    (void)state;
    struct site *site = site_new(3, NULL);
    struct talker *t = site_talker(site, 0, false);
    static const char *const commands[] = {
        "INCR k\r\n",     "SET k v NX\r\n", "SET k v GET\r\n", "SETNX k v\r\n",
        "APPEND k v\r\n", "GETSET k v\r\n", "GETDEL k\r\n",    "DECRBY k 1\r\n",
    };
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        expect_dialogue(site, t, commands[i],
                        "-NOTATOMIC needs an atomic read-modify-write, which 3 nodes do not offer; "
                        "read with KV.GET, write with KV.PUT ... CONTEXT\r\n");
    }
    expect_dialogue(site, t, "GET k\r\n", "$-1\r\n");
    site_free(site);
}

// A hundred increments from each of three connections: none is lost, and each connection sees its
// own in order.
static void increments_of_several_connections_all_count(void **state) {
    (void)state;
    enum { CLIENTS = 3, EACH = 100 };
    struct site *site = site_new(1, NULL);
    char words[EACH * 8 + 1];
    for (size_t i = 0; i < EACH; i++) memcpy(words + i * 8, "INCR n\r\n", 9);
    struct talker *talkers[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) {
        talkers[i] = site_talker(site, 0, false);
        talker_say(talkers[i], words, strlen(words));
    }
    site_wait(site, 20 * NS_PER_SECOND);
    for (int i = 0; i < CLIENTS; i++) {
        long before = 0;
        char *at = (char *)talkers[i]->heard;
        for (int reply = 0; reply < EACH; reply++) {
            assert_int_equal(*at, ':');
            long now = strtol(at + 1, &at, 10);
            assert_true(now > before);
            before = now;
            at += 2;
        }
    }
    expect_dialogue(site, talkers[0], "GET n\r\n", "$3\r\n300\r\n");
    site_free(site);
}

// Pipelines.

static const struct line pipelines[] = {
    {"SET k 1\r\nGET k\r\nSET k 2\r\nGET k\r\nDEL k\r\nGET k\r\n",
     "+OK\r\n$1\r\n1\r\n+OK\r\n$1\r\n2\r\n:1\r\n$-1\r\n"},
    {"MSET a 1 b 2\r\nMGET a b\r\nSET a 3\r\nMGET a b\r\nDEL a b\r\nMGET a b\r\n",
     "+OK\r\n*2\r\n$1\r\n1\r\n$1\r\n2\r\n+OK\r\n*2\r\n$1\r\n3\r\n$1\r\n2\r\n:2\r\n*2\r\n$-1\r\n"
     "$-1\r\n"},
    {"SET d 1\r\nDBSIZE\r\nSET e 1\r\nDBSIZE\r\nDEL d e\r\nDBSIZE\r\n",
     "+OK\r\n:1\r\n+OK\r\n:2\r\n:2\r\n:0\r\n"},
    {"PING\r\nSET k 1\r\nPING a\r\nGET k\r\nECHO b\r\nEXPIRE k 100\r\nTTL k\r\nPERSIST k\r\nTTL "
     "k\r\n",
     "+PONG\r\n+OK\r\n$1\r\na\r\n$1\r\n1\r\n$1\r\nb\r\n:1\r\n:100\r\n:1\r\n:-1\r\n"},
    {"MSET x 1 x 2 x 3\r\nGET x\r\nDEL x x\r\n", "+OK\r\n$1\r\n3\r\n:1\r\n"},
    {"*1\r\n$4\r\nPING\r\n*2\r\n$4\r\nECHO\r\n$2\r\n\r\n\r\n*0\r\n\r\nPING\r\n",
     "+PONG\r\n$2\r\n\r\n\r\n+PONG\r\n"},
};

static void a_pipeline_takes_effect_and_is_answered_in_order(void **state) {
    (void)state;
    for (uint32_t members = 1; members <= 3; members += 2) {
        static const size_t pieces[] = {SIZE_MAX, 1, 3, 17};
        for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
            struct site *site = site_new(members, NULL);
            struct talker *t = site_talker(site, 0, false);
            t->piece = pieces[i];
            EXPECT_LINES(site, t, pipelines);
            site_free(site);
        }
    }
}

// More than a window of commands, and more than any buffer of a session holds or keeps, at once.
static void a_long_pipeline_is_answered_in_order(void **state) {
    (void)state;
    enum { PAIRS = 400, SIZE = 3000 };
    char *words = calloc(PAIRS, SIZE + 64);
    char *expected = calloc(PAIRS, SIZE + 64);
    size_t size = 0;
    size_t expected_size = 0;
    for (int i = 0; i < PAIRS; i++) {
        size +=
            (size_t)sprintf(words + size, "SET k%d %0*d\r\nGET k%d\r\n", i % 50, SIZE, i, i % 50);
        expected_size +=
            (size_t)sprintf(expected + expected_size, "+OK\r\n$%d\r\n%0*d\r\n", SIZE, SIZE, i);
    }
    for (uint32_t members = 1; members <= 3; members += 2) {
        struct site *site = site_new(members, NULL);
        struct talker *t = site_talker(site, members - 1, false);
        talker_say(t, words, size);
        site_wait(site, 60 * NS_PER_SECOND);
        assert_int_equal(t->heard_size, expected_size);
        assert_memory_equal(t->heard, expected, expected_size);
        site_free(site);
    }
    free(expected);
    free(words);
}

// Protocols.

#define SHOWN_LEVEL(what, level, by)                                                               \
    "$" what "\r\n*4\r\n$5\r\nlevel\r\n$" level "\r\n$6\r\nset-by\r\n$" by "\r\n"
#define CONFIGURED(what) SHOWN_LEVEL(what, "6\r\nQUORUM", "13\r\nconfiguration")
#define OWN(what, level) SHOWN_LEVEL(what, level, "10\r\nconnection")

static const struct line protocols[] = {
    {"HELLO 4\r\n", "-NOPROTO unsupported protocol version\r\n"},
    {"HELLO x\r\n", "-ERR Protocol version is not an integer or out of range\r\n"},
    {"HELLO 3 WHAT\r\n", "-ERR Syntax error in HELLO option 'WHAT'\r\n"},
    {"GET none\r\nHELLO 3\r\nGET none\r\nMGET none\r\nRESET\r\nGET none\r\n",
     "$-1\r\n%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n$5\r\nproto\r\n"
     ":3\r\n$2\r\nid\r\n:1\r\n$4\r\nmode\r\n$7\r\ncluster\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$7\r\n"
     "modules\r\n*0\r\n_\r\n*1\r\n_\r\n+RESET\r\n$-1\r\n"},
    {"CLIENT GETNAME\r\nCLIENT SETNAME me\r\nCLIENT GETNAME\r\n", "$-1\r\n+OK\r\n$2\r\nme\r\n"},
    {"CLIENT SETNAME \"a b\"\r\n",
     "-ERR Client names cannot contain spaces, newlines or special characters.\r\n"},
    {"SELECT 0\r\nSELECT 1\r\n", "+OK\r\n-ERR DB index is out of range\r\n"},
    {"CONSISTENCY\r\nCONSISTENCY READ one WRITE ALL\r\nCONSISTENCY\r\n",
     "*4\r\n" CONFIGURED("4\r\nread") CONFIGURED("5\r\nwrite") "+OK\r\n*4\r\n" OWN(
         "4\r\nread", "3\r\nONE") OWN("5\r\nwrite", "3\r\nALL")},
    {"RESET\r\nCONSISTENCY\r\n",
     "+RESET\r\n*4\r\n" CONFIGURED("4\r\nread") CONFIGURED("5\r\nwrite")},
};

static void speaks_both_protocols_as_asked(void **state) {
    (void)state;
    struct site *site = site_new(1, NULL);
    EXPECT_LINES(site, site_talker(site, 0, false), protocols);
    site_free(site);
}

static void hangs_up_on_nonsense_after_answering_what_came_before(void **state) {
    (void)state;
    struct site *site = site_new(3, NULL);
    struct talker *t = site_talker(site, 0, false);
    expect_dialogue(site, t, "SET k v\r\nGET k\r\n*1\r\n!4\r\nPING\r\nGET k\r\n",
                    "+OK\r\n$1\r\nv\r\n-ERR Protocol error: expected '$', got '!'\r\n");
    site_wait(site, NS_PER_SECOND);
    assert_true(t->has_ended);

    t = site_talker(site, 0, false);
    expect_dialogue(site, t, "SET k w\r\nQUIT\r\nSET k x\r\n", "+OK\r\n+OK\r\n");
    site_wait(site, NS_PER_SECOND);
    assert_true(t->has_ended);
    expect_dialogue(site, site_talker(site, 0, false), "GET k\r\n", "$1\r\nw\r\n");
    site_free(site);
}

static void what_is_too_large_is_refused_and_the_connection_goes_on(void **state) {
    (void)state;
    enum { SIZE = 100 * 1000 };
    struct site *site = site_new(1, NULL);
    struct talker *t = site_talker(site, 0, false);
    char *words = calloc(1, SIZE + 100);
    size_t size = (size_t)sprintf(words, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n", SIZE);
    memset(words + size, 'v', SIZE);
    size += SIZE;
    size += (size_t)sprintf(words + size, "\r\nPING\r\n");
    talker_say(t, words, size);
    talker_wait(site, t, HEARD_MAX);
    assert_memory_equal(t->heard, "-TOOLARGE ", 10);
    assert_memory_equal(t->heard + t->heard_size - 7, "+PONG\r\n", 7);
    expect_dialogue(site, t, "GET k\r\n", "$-1\r\n");
    free(words);
    site_free(site);
}

// Clusters.

// The port of the shards sends clients of other keys away; the main port never does.
static void the_shards_port_redirects_and_the_main_port_does_not(void **state) {
    (void)state;
    enum { MEMBERS = 5, KEYS = 50 };
    struct site *site = site_new(MEMBERS, NULL);
    struct talker *main_port = site_talker(site, 0, false);
    struct talker *shard_port = site_talker(site, 0, true);
    int redirected = 0;
    for (int i = 0; i < KEYS; i++) {
        char words[64];
        (void)snprintf(words, sizeof(words), "SET key%d v\r\n", i);
        expect_dialogue(site, main_port, words, "+OK\r\n");
        (void)snprintf(words, sizeof(words), "GET key%d\r\n", i);
        talker_say(shard_port, words, strlen(words));
        talker_wait(site, shard_port, 7);
        site_wait(site, NS_PER_MS * 10);
        if (shard_port->heard[0] == '$') {
            assert_memory_equal(shard_port->heard, "$1\r\nv\r\n", 7);
            continue;
        }
        char *at = (char *)shard_port->heard;
        at[shard_port->heard_size] = '\0';
        assert_memory_equal(at, "-MOVED ", 7);
        unsigned long slot = strtoul(at + 7, &at, 10);
        assert_memory_equal(at, " n", 2);
        unsigned long member = strtoul(at + 2, &at, 10);
        assert_memory_equal(at, ":", 1);
        unsigned long port = strtoul(at + 1, &at, 10);
        struct slice key = {(const uint8_t *)words + 4, strlen(words) - 6};
        assert_int_equal(slot, slot_of(key));
        assert_int_equal(port, CLUSTER_PORT + PORT_SHARD_OFFSET);
        assert_in_range(member, 2, MEMBERS);
        redirected++;
    }
    assert_in_range(redirected, KEYS / 5, KEYS * 3 / 5); // two of five members lack a key
    expect_dialogue(site, shard_port, "MGET a b\r\n",
                    "-CROSSSLOT Keys in request don't hash to the same slot\r\n");
    expect_dialogue(site, main_port, "MGET a b\r\n", "*2\r\n$-1\r\n$-1\r\n");
    expect_dialogue(site, main_port, "DBSIZE\r\n", ":50\r\n");
    site_free(site);
}

// The first member comes back and compares at once with the last, which has not yet dialled it and
// goes on writing without it for a moment.
static void who_comes_back_gets_what_is_written_while_it_is_dialled(void **state) {
    (void)state;
    enum { WRITES = 300, DIGESTS_MAX = 64 * 1024 };
    struct site *site = site_new(3, NULL);
    struct talker *t = site_talker(site, 2, false);
    cluster_kill(&site->cluster, 0);
    site_wait(site, 10 * NS_PER_SECOND); // so it is dialled at long intervals
    cluster_start(&site->cluster, 0);
    for (int i = 0; i < WRITES; i++) {
        char words[64];
        (void)snprintf(words, sizeof(words), "SET key%d v\r\n", i);
        expect_dialogue(site, t, words, "+OK\r\n");
        site_wait(site, 10 * NS_PER_MS);
    }
    assert_true(site_is_serving(site));
    site_wait(site, 10 * NS_PER_SECOND);
    char *digests = calloc(3, DIGESTS_MAX);
    for (uint32_t i = 0; i < 3; i++) {
        struct talker *asker = site_talker(site, i, false);
        talker_say(asker, "QUOIT DIGEST\r\n", 14);
        site_wait(site, NS_PER_SECOND);
        assert_in_range(asker->heard_size, 1, DIGESTS_MAX - 1);
        memcpy(digests + (size_t)i * DIGESTS_MAX, asker->heard, asker->heard_size);
    }
    for (size_t i = 1; i < 3; i++) {
        assert_memory_equal(digests, digests + i * DIGESTS_MAX, DIGESTS_MAX);
    }
    free(digests);
    site_free(site);
}

// Limits.

static void few_clients(struct node_options *node, struct server_options *server) {
    (void)node;
    server->clients_max = 2;
}

static void says_when_there_are_too_many_clients(void **state) {
    (void)state;
    struct site *site = site_new(1, few_clients);
    struct talker *a = site_talker(site, 0, false);
    struct talker *b = site_talker(site, 0, false);
    expect_dialogue(site, a, "PING\r\n", "+PONG\r\n");
    expect_dialogue(site, b, "PING\r\n", "+PONG\r\n");
    struct talker *c = site_talker(site, 0, false);
    expect_dialogue(site, c, "PING\r\n", "-ERR max number of clients reached\r\n");
    site_wait(site, NS_PER_SECOND);
    assert_true(c->has_ended);
    expect_dialogue(site, a, "PING\r\n", "+PONG\r\n");
    site_free(site);
}

static void with_password(struct node_options *node, struct server_options *server) {
    (void)node;
    server->password = "sesame";
}

static const struct line strangers[] = {
    {"GET k\r\n", "-NOAUTH Authentication required.\r\n"},
    {"NOSUCH\r\n", "-NOAUTH Authentication required.\r\n"},
    {"AUTH wrong\r\n", "-WRONGPASS invalid username-password pair or user is disabled.\r\n"},
    {"AUTH other sesame\r\n", "-WRONGPASS invalid username-password pair or user is disabled.\r\n"},
    {"AUTH sesame\r\nGET k\r\n", "+OK\r\n$-1\r\n"},
    {"RESET\r\nGET k\r\n", "+RESET\r\n-NOAUTH Authentication required.\r\n"},
    {"AUTH default sesame\r\nPING\r\n", "+OK\r\n+PONG\r\n"},
};

static void strangers_must_say_the_password(void **state) {
    (void)state;
    struct site *site = site_new(1, with_password);
    EXPECT_LINES(site, site_talker(site, 0, false), strangers);

    struct talker *silent = site_talker(site, 0, false);
    struct talker *known = site_talker(site, 0, false);
    expect_dialogue(site, known, "AUTH sesame\r\n", "+OK\r\n");
    site_wait(site, 15 * NS_PER_SECOND);
    assert_true(silent->has_ended);

    // One that makes itself a stranger again has as long as a new one.
    expect_dialogue(site, known, "RESET\r\n", "+RESET\r\n");
    site_wait(site, 5 * NS_PER_SECOND);
    expect_dialogue(site, known, "AUTH sesame\r\n", "+OK\r\n");

    struct talker *greedy = site_talker(site, 0, false);
    expect_dialogue(site, greedy, "*11\r\n",
                    "-ERR Protocol error: unauthenticated multibulk length\r\n");
    site_free(site);
}

static void who_stops_in_the_middle_of_a_command_is_cut_off(void **state) {
    (void)state;
    struct site *site = site_new(1, NULL);
    struct talker *half = site_talker(site, 0, false);
    struct talker *idle = site_talker(site, 0, false);
    talker_say(half, "*2\r\n$3\r\nGET\r\n$1\r\n", 17);
    site_wait(site, 40 * NS_PER_SECOND);
    assert_true(half->has_ended);
    assert_false(idle->has_ended);
    expect_dialogue(site, idle, "PING\r\n", "+PONG\r\n");
    site_free(site);
}

static void an_orderly_stop_answers_what_has_arrived(void **state) {
    (void)state;
    enum { COMMANDS = 20 };
    struct site *site = site_new(1, NULL);
    struct talker *t = site_talker(site, 0, false);
    expect_dialogue(site, t, "PING\r\n", "+PONG\r\n");
    char words[COMMANDS * 16] = "";
    char answer[COMMANDS * 5 + 1];
    for (size_t i = 0; i < COMMANDS; i++) {
        (void)sprintf(words + strlen(words), "SET k%zu v\r\n", i);
        memcpy(answer + i * 5, "+OK\r\n", 6);
    }
    talker_say(t, words, strlen(words));
    site_wait(site, NS_PER_MS); // they are there, and being stored
    cluster_stop(&site->cluster, 0);
    site_wait(site, 20 * NS_PER_SECOND);
    assert_true(t->has_ended);
    assert_int_equal(t->heard_size, strlen(answer));
    assert_memory_equal(t->heard, answer, strlen(answer));
    assert_int_equal(site->cluster.processes[0].state, PROCESS_DOWN);
    site_free(site);
}

static void small_flushes(struct node_options *node, struct server_options *server) {
    (void)server;
    node->store.flush_size = 65536;
    node->store.sync_interval_ns = 250 * NS_PER_MS;
}

static uint64_t store_number(struct site *site, struct talker *t, const char *field) {
    return info_number(site, t, "INFO store\r\n", field);
}

// A few tables are left as they are until somebody asks. INFO tells of it.
static void tables_are_merged_when_somebody_asks(void **state) {
    (void)state;
    enum { KEYS = 100, SIZE = 1000 };
    struct site *site = site_new(1, small_flushes);
    struct talker *t = site_talker(site, 0, false);
    char words[SIZE + 64];
    for (int i = 0; i < KEYS; i++) {
        size_t size = (size_t)snprintf(words, sizeof(words), "SET key:%d ", i);
        memset(words + size, 'v', SIZE);
        memcpy(words + size + SIZE, "\r\n", 3);
        expect_dialogue(site, t, words, "+OK\r\n");
    }
    site_wait(site, 10 * NS_PER_SECOND);
    uint64_t flushes = store_number(site, t, "store_flushes");
    assert_in_range(flushes, 1, 3); // too few to be merged by themselves
    assert_int_equal(store_number(site, t, "store_tables"), flushes);
    assert_int_equal(store_number(site, t, "store_compactions"), 0);
    expect_dialogue(site, t, "QUOIT COMPACT\r\n", "+OK\r\n");
    site_wait(site, 10 * NS_PER_SECOND);
    assert_int_equal(store_number(site, t, "store_compactions"), 1);
    assert_int_equal(store_number(site, t, "store_is_compacting"), 0);
    assert_int_equal(store_number(site, t, "store_tables"), 1);
    uint64_t logged = store_number(site, t, "store_bytes_logged");
    uint64_t written = logged + store_number(site, t, "store_bytes_flushed") +
                       store_number(site, t, "store_bytes_compacted");
    assert_int_equal(store_number(site, t, "store_write_amplification"), written / logged);
    assert_int_equal(store_number(site, t, "durability_loss_window_ms"), 250);
    site_free(site);
}

static void restart(struct site *site) {
    cluster_kill(&site->cluster, 0);
    site_wait(site, NS_PER_SECOND);
    cluster_start(&site->cluster, 0);
    while (!site_is_serving(site)) site_wait(site, NS_PER_SECOND);
}

// Who is alone has nobody to ask for what it cannot read, and says what is the matter.
static void a_damaged_record_is_refused_as_such(void **state) {
    (void)state;
    enum { KEYS = 100 };
    struct site *site = site_new(1, small_flushes);
    struct talker *t = site_talker(site, 0, false);
    char words[1100];
    for (int i = 0; i < KEYS; i++) {
        (void)snprintf(words, sizeof(words), "SET {tag}%d %01000d\r\n", i, i);
        expect_dialogue(site, t, words, "+OK\r\n");
    }
    site_wait(site, 5 * NS_PER_SECOND);
    struct machine *machine = site->cluster.processes[0].machine;
    uint8_t names[4096];
    uint32_t size = machine_durable_names(machine, names, sizeof(names));
    for (uint32_t at = 0; at < size; at += (uint32_t)strlen((char *)names + at) + 1) {
        if (strncmp((char *)names + at, "table-", 6) != 0) continue;
        (void)machine_rot(machine, (char *)names + at, 100);
    }
    restart(site);
    t = site_talker(site, 0, false);
    expect_dialogue(site, t, "GET {tag}0\r\n",
                    "-DAMAGED what is stored of the key fails its checksum and is not served\r\n");
    expect_dialogue(site, t, "SET {tag}0 v\r\n",
                    "-DAMAGED what is stored of the key fails its checksum and is not served\r\n");
    expect_dialogue(site, t, "GET other\r\n", "$-1\r\n");
    expect_part(answer_to(site, t, "QUOIT STATUS\r\n"), "$8\r\ntroubles\r\n$7\r\ndamaged\r\n");
    site_free(site);
}

static void many_under_way(struct node_options *node, struct server_options *server) {
    small_flushes(node, server);
    node->requests_max = 2048;
    server->commands_max = 2048;
}

// After a start nothing of the tables is in memory. There are fewer lookups than those who want
// one.
static void many_that_read_from_tables_at_once_are_all_answered(void **state) {
    (void)state;
    enum { TALKERS = 4, KEYS = 250, SIZE = 200, REPLY_SIZE = 6 + SIZE + 2 };
    struct site *site = site_new(1, many_under_way);
    struct talker *writer = site_talker(site, 0, false);
    char value[SIZE + 1] = "";
    memset(value, 'v', SIZE);
    for (int i = 0; i < TALKERS * KEYS; i++) {
        char words[SIZE + 32];
        (void)snprintf(words, sizeof(words), "SET %d %s\r\n", i, value);
        expect_dialogue(site, writer, words, "+OK\r\n");
    }
    site_wait(site, 5 * NS_PER_SECOND);
    restart(site);
    world_options(site->world)->disk_delay = 20 * NS_PER_MS; // so they wait for each other
    char words[TALKERS][KEYS * 16];
    struct talker *readers[TALKERS];
    for (int t = 0; t < TALKERS; t++) {
        size_t size = 0;
        for (int i = 0; i < KEYS; i++)
            size += (size_t)sprintf(words[t] + size, "GET %d\r\n", t * KEYS + i);
        readers[t] = site_talker(site, 0, false);
        talker_say(readers[t], words[t], size);
    }
    for (int t = 0; t < TALKERS; t++) {
        talker_wait(site, readers[t], (size_t)KEYS * REPLY_SIZE);
        assert_int_equal(readers[t]->heard_size, KEYS * REPLY_SIZE);
        for (int i = 0; i < KEYS; i++) {
            assert_memory_equal(readers[t]->heard + (size_t)i * REPLY_SIZE, "$200\r\nvv", 8);
        }
    }
    assert_in_range(store_number(site, readers[0], "store_blocks_read"), 2 * KEYS, UINT32_MAX);
    site_free(site);
}

int session_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(says_what_redis_says_about_strings),
        cmocka_unit_test(keys_expire),
        cmocka_unit_test(one_member_reads_decides_and_writes_at_once),
        cmocka_unit_test(a_level_beyond_the_copies_there_are_is_refused),
        cmocka_unit_test(several_members_do_not_pretend_to),
        cmocka_unit_test(increments_of_several_connections_all_count),
        cmocka_unit_test(a_pipeline_takes_effect_and_is_answered_in_order),
        cmocka_unit_test(a_long_pipeline_is_answered_in_order),
        cmocka_unit_test(speaks_both_protocols_as_asked),
        cmocka_unit_test(hangs_up_on_nonsense_after_answering_what_came_before),
        cmocka_unit_test(what_is_too_large_is_refused_and_the_connection_goes_on),
        cmocka_unit_test(the_shards_port_redirects_and_the_main_port_does_not),
        cmocka_unit_test(who_comes_back_gets_what_is_written_while_it_is_dialled),
        cmocka_unit_test(says_when_there_are_too_many_clients),
        cmocka_unit_test(strangers_must_say_the_password),
        cmocka_unit_test(who_stops_in_the_middle_of_a_command_is_cut_off),
        cmocka_unit_test(an_orderly_stop_answers_what_has_arrived),
        cmocka_unit_test(tables_are_merged_when_somebody_asks),
        cmocka_unit_test(a_damaged_record_is_refused_as_such),
        cmocka_unit_test(many_that_read_from_tables_at_once_are_all_answered),
    };
    return cmocka_run_group_tests_name("session", cases, NULL, NULL);
}
