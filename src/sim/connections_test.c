// SPDX-License-Identifier: Apache-2.0
//
// CLIENT: what a connection hears, who is connected, who has to go, and who has to wait.
#include "sim/session_case.h"

// What it does not want to hear.

static const struct line muted[] = {
    {"CLIENT REPLY SKIP\r\nPING\r\nPING a\r\nCLIENT REPLY OFF\r\nPING\r\nCLIENT REPLY "
     "FOO\r\nCLIENT "
     "REPLY SKIP\r\nCLIENT REPLY ON\r\nPING b\r\nCLIENT REPLY ON\r\nCLIENT REPLY SKIP\r\nCLIENT "
     "REPLY ON\r\nPING c\r\n",
     "$1\r\na\r\n+OK\r\n$1\r\nb\r\n+OK\r\n+OK\r\n$1\r\nc\r\n"},
    {"CLIENT REPLY OFF\r\nRESET\r\nPING\r\n", "+RESET\r\n+PONG\r\n"},
    {"CLIENT REPLY SKIP\r\nNOSUCH\r\nPING\r\n", "+PONG\r\n"},
    {"CLIENT REPLY SKIP\r\nSET k v\r\nGET k\r\n", "$1\r\nv\r\n"},
    {"CLIENT REPLY OFF\r\nSET k w\r\nGET k\r\nMSET a 1 b 2\r\nMGET a b\r\nKEYS *\r\nDEL "
     "a\r\nGET\r\n"
     "INFO\r\nCLIENT REPLY ON\r\nGET k\r\nGET a\r\nGET b\r\n",
     "+OK\r\n$1\r\nw\r\n$-1\r\n$1\r\n2\r\n"},
    {"CLIENT REPLY\r\n", "-ERR wrong number of arguments for 'client|reply' command\r\n"},
    {"CLIENT REPLY never\r\n", "-ERR syntax error\r\n"},
};

static void who_wants_no_replies_gets_none(void **state) {
    (void)state;
    static const size_t pieces[] = {SIZE_MAX, 1, 7};
    for (uint32_t members = 1; members <= 3; members += 2) {
        for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
            struct site *site = site_new(members, NULL);
            struct talker *t = site_talker(site, members - 1, false);
            t->piece = pieces[i];
            EXPECT_LINES(site, t, muted);
            site_free(site);
        }
    }
}

// Replies of more than a chunk go another way. What is not heard must not be kept either.
// Its reply is made in the place to which those go that nobody hears.
static void a_dump_that_nobody_hears_is_one(void **state) {
    (void)state;
    struct site *site = site_new(1, NULL);
    struct talker *t = site_talker(site, 0, false);
    expect_dialogue(site, t, "SET k value\r\nCLIENT REPLY SKIP\r\nDUMP k\r\nGET k\r\n",
                    "+OK\r\n$5\r\nvalue\r\n");
    site_free(site);
}

static void large_replies_are_not_heard_either(void **state) {
    (void)state;
    enum { SIZE = 16384, READS = 40 };
    struct site *site = site_new(1, NULL);
    struct talker *t = site_talker(site, 0, false);
    static char set[SIZE + 32] = "SET big ";
    memset(set + 8, 'v', SIZE);
    memcpy(set + 8 + SIZE, "\r\n", 3);
    expect_dialogue(site, t, set, "+OK\r\n");
    char words[READS * 16 + 64] = "CLIENT REPLY OFF\r\n";
    for (int i = 0; i < READS; i++) {
        (void)sprintf(words + strlen(words), "%s big\r\n", i % 2 == 0 ? "GET" : "MGET a");
    }
    (void)sprintf(words + strlen(words), "CLIENT REPLY ON\r\nECHO end\r\n");
    expect_dialogue(site, t, words, "+OK\r\n$3\r\nend\r\n");
    assert_in_range(info_number(site, t, "INFO memory\r\n", "buffers_in_use"), 0, 2);
    site_free(site);
}

static void a_mute_connection_can_end(void **state) {
    (void)state;
    static const char *const last[] = {"CLIENT REPLY OFF\r\nPING\r\nQUIT\r\n",
                                       "CLIENT REPLY OFF\r\nGET k\r\n*1\r\n!x\r\n"};
    struct site *site = site_new(3, NULL);
    for (int i = 0; i < 2; i++) {
        struct talker *t = site_talker(site, 0, false);
        talker_say(t, last[i], strlen(last[i]));
        site_wait(site, 2 * NS_PER_SECOND);
        assert_true(t->has_ended);
        assert_int_equal(t->heard_size, 0);
    }
    site_free(site);
}

// Who there is.

static void list_shows_those_that_are_asked_for(void **state) {
    (void)state;
    struct site *site = site_new(1, NULL);
    struct talker *a = site_talker(site, 0, false);
    expect_dialogue(site, a, "CLIENT ID\r\n", ":1\r\n");
    struct talker *b = site_talker(site, 0, true);
    expect_dialogue(site, a, "CLIENT SETNAME one\r\nCLIENT SETINFO lib-name lib\r\n",
                    "+OK\r\n+OK\r\n");
    expect_dialogue(site, b, "CLIENT SETNAME two\r\nCLIENT NO-EVICT ON\r\nCLIENT NO-TOUCH on\r\n",
                    "+OK\r\n+OK\r\n+OK\r\n");
    expect_dialogue(site, b, "RESET\r\n", "+RESET\r\n");
    talker_say(a, "CLIENT LIST ID 2 1 2 77\r\n", 25);
    site_wait(site, NS_PER_SECOND);
    a->heard[a->heard_size] = '\0';
    const char *heard = (const char *)a->heard;
    const char *second = strstr(heard, "\nid=1 ");
    assert_memory_equal(strchr(heard, '\n') + 1, "id=2 addr=c2:", 13);
    assert_non_null(second);
    assert_non_null(strstr(second, "\nid=2 "));
    assert_null(strstr(strstr(second, "\nid=2 ") + 1, "\nid="));
    assert_non_null(strstr(heard, " laddr=n1:9379 fd=0 name= age="));
    assert_non_null(strstr(heard, " flags=e "));
    assert_non_null(strstr(second, " laddr=n1:7379 fd=0 name=one age="));
    assert_non_null(strstr(second, " flags=N db=0 "));
    assert_non_null(strstr(second, " cmd=client|list user=default redir=-1 resp=2 lib-name=lib "
                                   "lib-ver=\n"));
    static const struct line others[] = {
        {"CLIENT LIST TYPE pubsub\r\n", "$0\r\n\r\n"},
        {"CLIENT LIST TYPE replica\r\n", "$0\r\n\r\n"},
        {"CLIENT LIST TYPE foo\r\n", "-ERR Unknown client type 'foo'\r\n"},
        {"CLIENT LIST ID x\r\n", "-ERR Invalid client ID\r\n"},
        {"CLIENT LIST ID\r\n", "-ERR syntax error\r\n"},
        {"CLIENT LIST FOO\r\n", "-ERR syntax error\r\n"},
        {"CLIENT LIST TYPE normal 1\r\n", "-ERR syntax error\r\n"},
        {"CLIENT NO-EVICT x\r\n", "-ERR syntax error\r\n"},
    };
    EXPECT_LINES(site, a, others);
    char words[1024] = "CLIENT LIST ID";
    size_t size = strlen(words);
    for (int i = 0; i < 128; i++, size += 2) memcpy(words + size, " 9", 3);
    memcpy(words + size, "\r\n", 3);
    expect_dialogue(site, a, words, "$0\r\n\r\n");
    memcpy(words + size, " 9\r\n", 5);
    expect_dialogue(site, a, words, "-TOOLARGE CLIENT LIST takes at most 128 ids\r\n");
    site_free(site);
}

static const struct line kills[] = {
    {"CLIENT KILL ID 0\r\n", "-ERR client-id should be greater than 0\r\n"},
    {"CLIENT KILL ID x\r\n", "-ERR client-id should be greater than 0\r\n"},
    {"CLIENT KILL TYPE foo\r\n", "-ERR Unknown client type 'foo'\r\n"},
    {"CLIENT KILL USER nobody\r\n", "-ERR No such user 'nobody'\r\n"},
    {"CLIENT KILL SKIPME maybe\r\n", "-ERR syntax error\r\n"},
    {"CLIENT KILL ADDR 1:2 LADDR\r\n", "-ERR syntax error\r\n"},
    {"CLIENT KILL ID\r\n", "-ERR No such client\r\n"},
    {"CLIENT KILL 1.2.3.4:5\r\n", "-ERR No such client\r\n"},
    {"CLIENT KILL ID 99\r\n", ":0\r\n"},
    {"CLIENT KILL TYPE master\r\n", ":0\r\n"},
    {"CLIENT KILL LADDR n1:1\r\n", ":0\r\n"},
    {"CLIENT KILL ADDR c9:1 TYPE normal\r\n", ":0\r\n"},
    {"CLIENT KILL ID 1\r\n", ":0\r\n"}, // itself
};

static void kill_ends_those_that_are_meant(void **state) {
    (void)state;
    static const struct {
        const char *words;
        const char *answer;
        bool ends[4]; // of the connections 2 to 5
    } orders[] = {
        {"CLIENT KILL ID 3\r\n", ":1\r\n", {false, true, false, false}},
        {"CLIENT KILL LADDR n1:9379\r\n", ":2\r\n", {false, false, true, true}},
        {"CLIENT KILL LADDR n1:9379 ID 4\r\n", ":1\r\n", {false, false, true, false}},
        {"CLIENT KILL TYPE normal LADDR n1:7379\r\n", ":2\r\n", {true, true, false, false}},
        {"CLIENT KILL SKIPME yes USER default\r\n", ":4\r\n", {true, true, true, true}},
    };
    for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
        struct site *site = site_new(1, NULL);
        struct talker *killer = site_talker(site, 0, false);
        EXPECT_LINES(site, killer, kills);
        struct talker *others[4];
        for (int j = 0; j < 4; j++) {
            others[j] = site_talker(site, 0, j >= 2);
            expect_dialogue(site, others[j], "PING\r\n", "+PONG\r\n");
        }
        expect_dialogue(site, killer, orders[i].words, orders[i].answer);
        site_wait(site, NS_PER_SECOND);
        for (int j = 0; j < 4; j++) assert_int_equal(others[j]->has_ended, orders[i].ends[j]);
        expect_dialogue(site, killer, "CLIENT KILL ID 1 SKIPME no\r\n", ":1\r\n");
        site_wait(site, NS_PER_SECOND);
        assert_true(killer->has_ended);
        site_free(site);
    }
}

// Pauses.

static const struct line pauses[] = {
    {"CLIENT PAUSE x\r\n", "-ERR timeout is not an integer or out of range\r\n"},
    {"CLIENT PAUSE 9223372036854775807\r\n", "-ERR timeout is not an integer or out of range\r\n"},
    {"CLIENT PAUSE -1\r\n", "-ERR timeout is negative\r\n"},
    {"CLIENT PAUSE 1 x\r\n", "-ERR CLIENT PAUSE mode must be WRITE or ALL\r\n"},
    {"CLIENT PAUSE 1 WRITE now\r\n", "-ERR unknown subcommand or wrong number of arguments for "
                                     "'PAUSE'. Try CLIENT HELP.\r\n"},
    {"CLIENT UNBLOCK x\r\n", "-ERR value is not an integer or out of range\r\n"},
    {"CLIENT UNBLOCK 99\r\n", ":0\r\n"},
    {"CLIENT UNBLOCK 99 FOO\r\n", "-ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR\r\n"},
    {"CLIENT UNPAUSE\r\n", "+OK\r\n"},
};

static void expect_silence(struct site *site, struct talker *t, const char *words) {
    talker_say(t, words, strlen(words));
    site_wait(site, NS_PER_SECOND);
    assert_int_equal(t->heard_size, 0);
}

static void expect_heard(struct site *site, struct talker *t, const char *answer) {
    talker_wait(site, t, strlen(answer));
    assert_int_equal(t->heard_size, strlen(answer));
    assert_memory_equal(t->heard, answer, strlen(answer));
}

static void writes_wait_for_a_pause_to_end(void **state) {
    (void)state;
    for (uint32_t members = 1; members <= 3; members += 2) {
        struct site *site = site_new(members, NULL);
        struct talker *boss = site_talker(site, 0, false);
        struct talker *writer = site_talker(site, 0, false);
        struct talker *reader = site_talker(site, 0, false);
        EXPECT_LINES(site, boss, pauses);
        expect_dialogue(site, writer, "SET k v\r\n", "+OK\r\n");
        expect_dialogue(site, boss, "CLIENT PAUSE 60000 WRITE\r\n", "+OK\r\n");
        // What comes behind a write that waits, waits as well.
        talker_say(writer, "GET k\r\nSET k w\r\nGET k\r\nPING\r\n", 29);
        site_wait(site, NS_PER_SECOND);
        assert_int_equal(writer->heard_size, 7);
        expect_dialogue(site, reader, "GET k\r\nPING\r\n", "$1\r\nv\r\n+PONG\r\n");
        assert_int_equal(info_number(site, boss, "INFO clients\r\n", "blocked_clients"), 1);
        expect_dialogue(site, boss, "CLIENT UNPAUSE\r\n", "+OK\r\n");
        expect_heard(site, writer, "$1\r\nv\r\n+OK\r\n$1\r\nw\r\n+PONG\r\n");
        assert_int_equal(info_number(site, boss, "INFO clients\r\n", "blocked_clients"), 0);
        site_free(site);
    }
}

// All commands wait, UNPAUSE among them; the pause ends by itself, and not before its time. A
// shorter and narrower one changes nothing.
static void everybody_waits_for_as_long_as_was_said(void **state) {
    (void)state;
    struct site *site = site_new(1, NULL);
    struct talker *boss = site_talker(site, 0, false);
    struct talker *other = site_talker(site, 0, false);
    expect_dialogue(site, other, "CLIENT PAUSE 1 WRITE\r\n", "+OK\r\n");
    expect_dialogue(site, boss, "CLIENT PAUSE 5000\r\n", "+OK\r\n");
    expect_silence(site, other, "PING\r\n");
    expect_silence(site, boss, "CLIENT PAUSE 1 WRITE\r\nCLIENT UNPAUSE\r\n");
    site_wait(site, 2500 * NS_PER_MS);
    assert_int_equal(other->heard_size + boss->heard_size, 0);
    site_wait(site, NS_PER_SECOND);
    expect_heard(site, other, "+PONG\r\n");
    expect_heard(site, boss, "+OK\r\n+OK\r\n");
    site_free(site);
}

static void with_password(struct node_options *node, struct server_options *server) {
    (void)node;
    server->password = "sesame";
}

// Who waits because of a pause is not cut for its silence, but strangers have no longer for it.
static void strangers_have_no_longer_in_a_pause(void **state) {
    (void)state;
    struct site *site = site_new(1, with_password);
    struct talker *boss = site_talker(site, 0, false);
    struct talker *stranger = site_talker(site, 0, false);
    struct talker *known = site_talker(site, 0, false);
    expect_dialogue(site, known, "AUTH sesame\r\n", "+OK\r\n");
    expect_dialogue(site, boss, "AUTH sesame\r\nCLIENT PAUSE 100000\r\n", "+OK\r\n+OK\r\n");
    expect_silence(site, stranger, "AUTH sesame\r\n");
    expect_silence(site, known, "PING\r\nPI");
    site_wait(site, 7 * NS_PER_SECOND);
    assert_false(stranger->has_ended);
    site_wait(site, 4 * NS_PER_SECOND);
    assert_true(stranger->has_ended);
    site_wait(site, 60 * NS_PER_SECOND);
    assert_false(known->has_ended);
    site_wait(site, 30 * NS_PER_SECOND);
    expect_heard(site, known, "+PONG\r\n");
    site_free(site);
}

// One that goes while it waits is no longer counted, and a node that stops waits for nobody.
static void those_who_wait_may_go(void **state) {
    (void)state;
    struct site *site = site_new(1, NULL);
    struct talker *boss = site_talker(site, 0, false);
    expect_dialogue(site, boss, "CLIENT ID\r\n", ":1\r\n");
    struct talker *gone = site_talker(site, 0, false);
    expect_dialogue(site, gone, "CLIENT ID\r\n", ":2\r\n");
    struct talker *waiting = site_talker(site, 0, false);
    expect_dialogue(site, boss, "CLIENT PAUSE 3600000 WRITE\r\n", "+OK\r\n");
    expect_silence(site, gone, "SET k v\r\n");
    expect_silence(site, waiting, "SET k w\r\n");
    assert_int_equal(info_number(site, boss, "INFO clients\r\n", "blocked_clients"), 2);
    expect_dialogue(site, boss, "CLIENT KILL ID 2\r\n", ":1\r\n");
    assert_int_equal(info_number(site, boss, "INFO clients\r\n", "blocked_clients"), 1);
    expect_dialogue(site, boss, "GET k\r\n", "$-1\r\n");
    cluster_stop(&site->cluster, 0);
    site_wait(site, NS_PER_SECOND);
    expect_heard(site, waiting, "+OK\r\n");
    site_free(site);
}

// How many copies there are.

static const struct line wait_faults[] = {
    {"WAIT x 10\r\n", "-ERR value is not an integer or out of range\r\n"},
    {"WAIT 1 -1\r\n", "-ERR timeout is negative\r\n"},
    {"WAIT 1 x\r\n", "-ERR timeout is not an integer or out of range\r\n"},
    {"WAIT 1\r\n", "-ERR wrong number of arguments for 'wait' command\r\n"},
};

static void one_node_has_no_further_copies(void **state) {
    (void)state;
    struct site *site = site_new(1, NULL);
    struct talker *t = site_talker(site, 0, false);
    EXPECT_LINES(site, t, wait_faults);
    expect_dialogue(site, t, "WAIT 0 0\r\nSET k v\r\nWAIT 1 100\r\n", ":0\r\n+OK\r\n:0\r\n");
    site_free(site);
}

static const struct line waits[] = {
    {"WAIT 2 0\r\n", ":2\r\n"}, // nothing is missing
    {"CONSISTENCY WRITE ALL\r\nSET k v\r\nMSET a 1 b 2\r\nWAIT 2 0\r\n",
     "+OK\r\n+OK\r\n+OK\r\n:2\r\n"},
    // The worst counts, whichever it was, until somebody asks.
    {"CONSISTENCY WRITE ONE\r\nSET k v\r\nCONSISTENCY WRITE ALL\r\nSET k w\r\nGET k\r\nWAIT 2 0"
     "\r\nWAIT 2 0\r\n",
     "+OK\r\n+OK\r\n+OK\r\n+OK\r\n$1\r\nw\r\n:0\r\n:0\r\n"},
    {"SET k w\r\nWAIT 2 0\r\n", "+OK\r\n:2\r\n"},
    {"CONSISTENCY WRITE 2\r\nDEL k\r\nWAIT 2 0\r\n", "+OK\r\n:1\r\n:1\r\n"},
    {"RESET\r\nWAIT 0 0\r\n", "+RESET\r\n:2\r\n"},
};

static void wait_says_how_many_copies_there_are(void **state) {
    (void)state;
    struct site *site = site_new(3, NULL);
    for (uint32_t i = 0; i < 3; i++) {
        struct talker *t = site_talker(site, i, false);
        EXPECT_LINES(site, t, waits);
    }
    // What is certainly not done does not count.
    struct talker *t = site_talker(site, 0, false);
    expect_dialogue(site, t, "CONSISTENCY WRITE ALL\r\nSET k v\r\n", "+OK\r\n+OK\r\n");
    cluster_kill(&site->cluster, 2);
    site_wait(site, 10 * NS_PER_SECOND);
    expect_part(answer_to(site, t, "SET k w\r\n"), "-NOQUORUM 3 replicas needed");
    expect_dialogue(site, t, "WAIT 2 0\r\n", ":2\r\n");
    expect_dialogue(site, site_talker(site, 0, false), "WAIT 2 0\r\n", ":1\r\n");
    site_free(site);
}

// How many are up is said where these do not suffice, and to try again only where they do.
static void refusals_count_those_that_are_up(void **state) {
    (void)state;
    struct site *site = site_new(3, NULL);
    struct talker *t = site_talker(site, 0, false);
    cluster_kill(&site->cluster, 2);
    expect_dialogue(site, t, "KV.PUT k v W ALL\r\nKV.GET k R ALL\r\n",
                    "-NOQUORUM 3 replicas needed, 2 are up; not done\r\n"
                    "-NOQUORUM 3 replicas needed, 2 are up\r\n");
    // One that hangs is up for a while: it was asked.
    machine_pause(site->cluster.processes[1].machine);
    expect_dialogue(site, t, "KV.PUT k v W 2\r\n",
                    "-UNKNOWN 2 replicas needed, 1 answered, 1 is up; the write may have been "
                    "done\r\n");
    cluster_kill(&site->cluster, 1);
    site_wait(site, 5 * NS_PER_SECOND);
    expect_dialogue(site, t, "KV.PUT k v W 2\r\nKV.GET k R 2\r\n",
                    "-NOQUORUM 2 replicas needed, 1 is up; not done\r\n"
                    "-NOQUORUM 2 replicas needed, 1 is up\r\n");
    site_free(site);
}

static const struct line tracking[] = {
    {"CLIENT TRACKING OFF\r\n", "+OK\r\n"},
    {"CLIENT TRACKING x\r\n", "-ERR syntax error\r\n"},
    {"CLIENT TRACKING ON BCAST\r\n",
     "-ERR not supported: no node sees all writes of a key, so none can say when a cached value is "
     "stale\r\n"},
    {"CLIENT TRACKINGINFO\r\n",
     "*6\r\n$5\r\nflags\r\n*1\r\n$3\r\noff\r\n$8\r\nredirect\r\n:-1\r\n$8\r\nprefixes\r\n*0\r\n"},
    {"CLIENT GETREDIR\r\n", ":-1\r\n"},
    {"CLIENT CACHING YES\r\n", "-ERR CLIENT CACHING can be called only when the client is in "
                               "tracking mode with OPTIN or OPTOUT mode enabled\r\n"},
};

static void tracking_is_refused(void **state) {
    (void)state;
    struct site *site = site_new(1, NULL);
    EXPECT_LINES(site, site_talker(site, 0, false), tracking);
    site_free(site);
}

int connections_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(who_wants_no_replies_gets_none),
        cmocka_unit_test(a_dump_that_nobody_hears_is_one),
        cmocka_unit_test(large_replies_are_not_heard_either),
        cmocka_unit_test(a_mute_connection_can_end),
        cmocka_unit_test(list_shows_those_that_are_asked_for),
        cmocka_unit_test(kill_ends_those_that_are_meant),
        cmocka_unit_test(writes_wait_for_a_pause_to_end),
        cmocka_unit_test(everybody_waits_for_as_long_as_was_said),
        cmocka_unit_test(strangers_have_no_longer_in_a_pause),
        cmocka_unit_test(those_who_wait_may_go),
        cmocka_unit_test(one_node_has_no_further_copies),
        cmocka_unit_test(wait_says_how_many_copies_there_are),
        cmocka_unit_test(refusals_count_those_that_are_up),
        cmocka_unit_test(tracking_is_refused),
    };
    return cmocka_run_group_tests_name("connections", cases, NULL, NULL);
}
