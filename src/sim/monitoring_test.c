// SPDX-License-Identifier: Apache-2.0
//
// What operators look at, and what they can change as a node runs.
#include "sim/session_case.h"

static struct site *site_with_slow_disk(void) {
    struct site *site = site_new(1, NULL);
    world_options(site->world)->disk_delay = 80 * NS_PER_MS;
    return site;
}

// CONFIG.

static const struct line settings[] = {
    {"CONFIG GET slowlog-*\r\n",
     "*4\r\n$23\r\nslowlog-log-slower-than\r\n$5\r\n10000\r\n$15\r\nslowlog-max-len\r\n$3\r\n128"
     "\r\n"},
    {"CONFIG SET a\r\n", "-ERR wrong number of arguments for 'config|set' command\r\n"},
    {"CONFIG SET a b\r\n", "-ERR Unknown option or number of arguments for CONFIG SET - 'a'\r\n"},
    {"CONFIG SET a b c\r\n", "-ERR syntax error\r\n"},
    {"CONFIG SET slowlog-max-len x\r\n",
     "-ERR CONFIG SET failed (possibly related to argument 'slowlog-max-len') - argument couldn't "
     "be parsed into an integer\r\n"},
    {"CONFIG SET slowlog-max-len 257\r\n",
     "-ERR CONFIG SET failed (possibly related to argument 'slowlog-max-len') - argument must be "
     "between 0 and 256 inclusive\r\n"},
    {"CONFIG SET timeout -1\r\n",
     "-ERR CONFIG SET failed (possibly related to argument 'timeout') - argument must be between 0 "
     "and 2147483647 inclusive\r\n"},
    {"CONFIG SET maxclients 65\r\n", "-ERR CONFIG SET failed (possibly related to argument "
                                     "'maxclients') - argument must be between "
                                     "1 and 64 inclusive\r\n"},
    {"CONFIG SET timeout x foo bar\r\n",
     "-ERR Unknown option or number of arguments for CONFIG SET - 'foo'\r\n"},
    {"CONFIG SET timeout 1 TIMEOUT 2\r\n",
     "-ERR CONFIG SET failed (possibly related to argument 'TIMEOUT') - duplicate parameter\r\n"},
    {"CONFIG SET save \"\"\r\n", "+OK\r\n"}, // as it is
    {"CONFIG SET save \"60 1\"\r\n", "-ERR CONFIG SET failed (possibly related to argument 'save') "
                                     "- can't set immutable config\r\n"},
    {"CONFIG SET notify-keyspace-events KEA\r\n",
     "-ERR CONFIG SET failed (possibly related to argument 'notify-keyspace-events') - can't set "
     "immutable config\r\n"},
    // All or nothing.
    {"CONFIG SET slowlog-max-len 7 latency-monitor-threshold x\r\n",
     "-ERR CONFIG SET failed (possibly related to argument 'latency-monitor-threshold') - argument "
     "couldn't be parsed into an integer\r\n"},
    {"CONFIG GET slowlog-max-len\r\n", "*2\r\n$15\r\nslowlog-max-len\r\n$3\r\n128\r\n"},
    {"CONFIG SET SlowLog-Max-Len 7 maxclients 3\r\n", "+OK\r\n"},
    {"CONFIG GET slowlog-max-len MAX*\r\n",
     "*4\r\n$15\r\nslowlog-max-len\r\n$1\r\n7\r\n$10\r\nmaxclients\r\n$1\r\n3\r\n"},
    {"CONFIG GET none\r\n", "*0\r\n"},
};

static void with_fixed_settings(struct node_options *node, struct server_options *server) {
    (void)node;
    static const struct server_setting fixed[] = {{"save", ""}, {"notify-keyspace-events", ""}};
    server->settings = fixed;
    server->setting_count = 2;
    server->has_monitor = true;
}

static void settings_change_as_they_may(void **state) {
    (void)state;
    struct site *site = site_new(1, with_fixed_settings);
    struct talker *t = site_talker(site, 0, false);
    EXPECT_LINES(site, t, settings);
    struct talker *second = site_talker(site, 0, false);
    expect_dialogue(site, second, "PING\r\n", "+PONG\r\n");
    struct talker *watcher = site_talker(site, 0, false);
    expect_dialogue(site, watcher, "MONITOR\r\n", "+OK\r\n");
    expect_dialogue(site, site_talker(site, 0, false), "PING\r\n",
                    "-ERR max number of clients reached\r\n");
    expect_dialogue(site, t, "CONFIG SET timeout 5\r\nCONFIG GET idle-timeout\r\n",
                    "+OK\r\n*2\r\n$12\r\nidle-timeout\r\n$1\r\n5\r\n");
    for (int i = 0; i < 4; i++) {
        site_wait(site, 2 * NS_PER_SECOND);
        expect_dialogue(site, t, "PING\r\n", "+PONG\r\n");
    }
    assert_true(second->has_ended);
    site_wait(site, 10 * NS_PER_SECOND);
    assert_true(t->has_ended);
    assert_false(watcher->has_ended); // it has nothing to say
    site_free(site);
}

// SLOWLOG.

static const struct line slow_faults[] = {
    {"SLOWLOG GET x\r\n", "-ERR count should be greater than or equal to -1\r\n"},
    {"SLOWLOG GET -2\r\n", "-ERR count should be greater than or equal to -1\r\n"},
    {"SLOWLOG GET 1 2\r\n", "-ERR unknown subcommand or wrong number of arguments for 'GET'. Try "
                            "SLOWLOG HELP.\r\n"},
    {"SLOWLOG FOO\r\n", "-ERR unknown subcommand 'FOO'. Try SLOWLOG HELP.\r\n"},
    {"SLOWLOG GET\r\n", "*0\r\n"},
    {"SLOWLOG LEN\r\n", ":0\r\n"},
    {"SLOWLOG RESET\r\n", "+OK\r\n"},
};

static void what_takes_long_is_in_the_slow_log(void **state) {
    (void)state;
    struct site *site = site_with_slow_disk();
    struct talker *t = site_talker(site, 0, false);
    EXPECT_LINES(site, t, slow_faults);
    expect_dialogue(site, t, "CLIENT SETNAME me\r\nSET k v\r\nGET k\r\n",
                    "+OK\r\n+OK\r\n$1\r\nv\r\n");
    const char *heard = answer_to(site, t, "SLOWLOG GET\r\n");
    assert_memory_equal(heard, "*1\r\n*6\r\n:0\r\n:", 13);
    uint64_t time_s = integer_in(heard, 1);
    uint64_t took_us = integer_in(heard, 2);
    assert_in_range(took_us, 40000, 4000000);
    uint64_t wall_s = machine_env(site->cluster.processes[0].machine)->wall_ms / 1000;
    assert_in_range(time_s, wall_s - 5, wall_s);
    expect_part(heard, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n$");
    expect_part(heard, "\r\nc1:");
    expect_part(heard, "\r\n$2\r\nme\r\n");
    expect_dialogue(site, t, "CONFIG SET slowlog-log-slower-than -1\r\nSET k v\r\nSLOWLOG LEN\r\n",
                    "+OK\r\n+OK\r\n:1\r\n");
    site_free(site);
}

// Entries have one size, and are as many as was said: the newest.
static void the_slow_log_is_bounded(void **state) {
    (void)state;
    struct site *site = site_new(1, NULL);
    struct talker *t = site_talker(site, 0, false);
    expect_dialogue(site, t, "CONFIG SET slowlog-log-slower-than 0 slowlog-max-len 3\r\n",
                    "+OK\r\n");
    char words[1024] = "ECHO ";
    memset(words + 5, 'v', 200);
    (void)sprintf(words + strlen(words), "\r\nEXISTS");
    for (int i = 0; i < 40; i++) (void)sprintf(words + strlen(words), " k%d", i);
    (void)sprintf(words + strlen(words),
                  "\r\nAUTH word\r\nHELLO 2 AUTH default word\r\nSLOWLOG GET -1\r\n");
    const char *heard = strstr(answer_to(site, t, words), "\r\n*3\r\n*6\r\n");
    assert_non_null(heard);
    expect_part(heard, "*5\r\n$5\r\nHELLO\r\n$1\r\n2\r\n$4\r\nAUTH\r\n$10\r\n(redacted)\r\n$10\r\n"
                       "(redacted)\r\n");
    expect_part(heard, "*2\r\n$4\r\nAUTH\r\n$10\r\n(redacted)\r\n");
    expect_part(heard, "*32\r\n$6\r\nEXISTS\r\n$2\r\nk0\r\n");
    expect_part(heard, "\r\n$3\r\nk29\r\n$23\r\n... (10 more arguments)\r\n");
    heard = answer_to(site, t, "CONFIG SET slowlog-max-len 256\r\nSLOWLOG GET 1\r\n");
    expect_part(heard, "*4\r\n$6\r\nCONFIG\r\n");
    answer_to(site, t, words);
    heard = answer_to(site, t, "CONFIG SET slowlog-log-slower-than -1\r\nSLOWLOG GET -1\r\n");
    expect_part(heard, "$147\r\nvvvv");
    expect_part(heard, "v... (72 more bytes)\r\n");
    for (int i = 0; i < 300; i++) expect_dialogue(site, t, "PING\r\n", "+PONG\r\n");
    expect_dialogue(site, t, "CONFIG SET slowlog-log-slower-than 0\r\n", "+OK\r\n");
    for (int i = 0; i < 300; i++) expect_dialogue(site, t, "PING\r\n", "+PONG\r\n");
    expect_dialogue(site, t, "SLOWLOG LEN\r\n", ":256\r\n");
    heard = answer_to(site, t, "CONFIG SET slowlog-max-len 2\r\nSLOWLOG LEN\r\n");
    expect_part(heard, "+OK\r\n:2\r\n");
    expect_dialogue(site, t, "SLOWLOG RESET\r\nSLOWLOG LEN\r\n", "+OK\r\n:1\r\n");
    site_free(site);
}

// LATENCY.

static const struct line nothing_seen[] = {
    {"LATENCY LATEST\r\n", "*0\r\n"},
    {"LATENCY HISTORY foo\r\n", "*0\r\n"},
    {"LATENCY HISTORY command\r\n", "*0\r\n"},
    {"LATENCY RESET\r\n", ":0\r\n"},
    {"LATENCY RESET foo\r\n", ":0\r\n"},
    {"LATENCY HISTOGRAM foo\r\n", "*0\r\n"},
    {"LATENCY GRAPH command\r\n", "-ERR unknown subcommand 'GRAPH'. Try LATENCY HELP.\r\n"},
    {"SET k v\r\nLATENCY LATEST\r\n", "+OK\r\n*0\r\n"}, // nobody has asked for it
};

static void what_takes_long_is_an_event(void **state) {
    (void)state;
    struct site *site = site_with_slow_disk();
    struct talker *t = site_talker(site, 0, false);
    EXPECT_LINES(site, t, nothing_seen);
    expect_part(answer_to(site, t, "LATENCY DOCTOR\r\n"), "Nothing is watched");
    expect_dialogue(site, t, "CONFIG SET latency-monitor-threshold 40\r\nSETNX k2 v\r\nGET k\r\n",
                    "+OK\r\n:1\r\n$1\r\nv\r\n");
    for (int i = 0; i < 200; i++) {
        expect_dialogue(site, t, "SET k v\r\n", "+OK\r\n");
        site_wait(site, NS_PER_SECOND);
    }
    const char *heard = answer_to(site, t, "LATENCY LATEST\r\n");
    assert_memory_equal(heard, "*2\r\n*4\r\n$7\r\ncommand\r\n:", 22);
    expect_part(heard, "\r\n*4\r\n$12\r\nfast-command\r\n:");
    uint64_t times[2];
    uint64_t took[2];
    uint64_t worst[2];
    for (int i = 0; i < 2; i++) {
        times[i] = integer_in(heard, 3 * i);
        took[i] = integer_in(heard, 3 * i + 1);
        worst[i] = integer_in(heard, 3 * i + 2);
    }
    assert_true(times[0] > times[1]);
    for (int i = 0; i < 2; i++) {
        assert_in_range(took[i], 40, 4000);
        assert_true(worst[i] >= took[i]);
    }
    assert_memory_equal(answer_to(site, t, "LATENCY HISTORY command\r\n"), "*160\r\n*2\r\n:", 11);
    assert_memory_equal(answer_to(site, t, "LATENCY HISTORY fast-command\r\n"), "*1\r\n*2\r\n:", 9);
    expect_part(answer_to(site, t, "LATENCY DOCTOR\r\n"),
                "fast-command: in 1 seconds, the worst took ");
    expect_dialogue(site, t, "LATENCY RESET command foo\r\nLATENCY RESET\r\nLATENCY LATEST\r\n",
                    ":1\r\n:1\r\n*0\r\n");
    site_free(site);
}

static void calls_are_counted_by_how_long_they_took(void **state) {
    (void)state;
    struct site *site = site_with_slow_disk();
    struct talker *t = site_talker(site, 0, false);
    expect_dialogue(site, t, "GET k\r\nGET k\r\nCLIENT ID\r\nCONFIG RESETSTAT\r\nGET k\r\n",
                    "$-1\r\n$-1\r\n:1\r\n+OK\r\n$-1\r\n");
    expect_dialogue(
        site, t, "LATENCY HISTOGRAM get\r\n",
        "*2\r\n$3\r\nget\r\n*4\r\n$5\r\ncalls\r\n:1\r\n$14\r\nhistogram_usec\r\n*2\r\n:1"
        "\r\n:1\r\n");
    expect_dialogue(site, t, "SET k v\r\nSET k w\r\nCLIENT ID\r\n", "+OK\r\n+OK\r\n:1\r\n");
    expect_dialogue(site, t, "LATENCY HISTOGRAM client\r\n",
                    "*2\r\n$9\r\nclient|id\r\n*4\r\n$5\r\ncalls\r\n:1\r\n$14\r\nhistogram_usec\r\n"
                    "*2\r\n:1\r\n:1\r\n");
    const char *heard = answer_to(site, t, "HELLO 3\r\nLATENCY HISTOGRAM SET\r\n");
    heard =
        strstr(heard, "%1\r\n$3\r\nset\r\n%2\r\n$5\r\ncalls\r\n:2\r\n$14\r\nhistogram_usec\r\n%1");
    assert_non_null(heard);
    uint64_t edge = integer_in(heard, 1);
    assert_int_equal(integer_in(heard, 2), 2);
    assert_in_range(edge, 40000, 4000000);
    heard = answer_to(site, t, "INFO latencystats commandstats\r\n");
    const char *line = strstr(heard, "latency_percentiles_usec_set:p50=");
    assert_non_null(line);
    double p50 = strtod(strchr(line, '=') + 1, NULL);
    double p999 = strtod(strstr(line, "p99.9=") + 6, NULL);
    assert_true(p50 >= 39000 && p999 >= p50 && p999 < 4000000);
    expect_part(heard, "cmdstat_set:calls=2,usec=");
    site_free(site);
}

// MONITOR.

static void with_monitor(struct node_options *node, struct server_options *server) {
    (void)node;
    server->has_monitor = true;
}

static void a_monitor_hears_of_what_is_asked(void **state) {
    (void)state;
    struct site *site = site_new(1, with_monitor);
    struct talker *watcher = site_talker(site, 0, false);
    expect_dialogue(site, watcher, "MONITOR\r\n", "+OK\r\n");
    struct talker *t = site_talker(site, 0, false);
    (void)answer_to(site, t,
                    "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$8\r\na\001\"b\n\\\xff \r\nCONFIG GET foo\r\n"
                    "NOSUCH\r\nGET\r\nAUTH x\r\nHELLO 3 AUTH a b\r\n");
    watcher->heard[watcher->heard_size] = '\0';
    const char *heard = strchr((const char *)watcher->heard, '\n') + 1;
    uint64_t time_s = strtoull(heard + 1, NULL, 10);
    assert_memory_equal(strchr(heard, '.') + 7, " [0 c2:", 7);
    uint64_t wall_s = machine_env(site->cluster.processes[0].machine)->wall_ms / 1000;
    assert_in_range(time_s, wall_s - 5, wall_s);
    // What a command that was refused, or one for operators, is told to nobody.
    char names[256] = "";
    for (const char *at = heard; at != NULL; at = strchr(at + 1, '+')) {
        const char *word = strstr(at, "] ");
        if (word != NULL) strncat(names, word + 2, strcspn(word + 2, "\r"));
    }
    assert_string_equal(names, "\"SET\" \"k\" \"a\\x01\\\"b\\n\\\\\\xff \""
                               "\"AUTH\" \"(redacted)\""
                               "\"HELLO\" \"3\" \"AUTH\" \"(redacted)\" \"(redacted)\"");
    char words[1024] = "ECHO ";
    memset(words + 5, 'v', 200);
    (void)sprintf(words + strlen(words), "\r\nEXISTS");
    for (int i = 0; i < 40; i++) (void)sprintf(words + strlen(words), " k%d", i);
    (void)sprintf(words + strlen(words), "\r\n");
    (void)answer_to(site, t, words);
    watcher->heard[watcher->heard_size] = '\0';
    expect_part(heard, "vvv... (72 more bytes)\"\r\n");
    expect_part(heard, " \"k29\" \"... (10 more arguments)\"\r\n");
    expect_part(answer_to(site, watcher, "RESET\r\n"), "\"RESET\"\r\n+RESET\r\n");
    expect_dialogue(site, t, "CLIENT GETNAME\r\n", "$-1\r\n");
    expect_dialogue(site, watcher, "PING\r\n", "+PONG\r\n");
    site_free(site);
}

// It costs a bounded part of the memory, and hears what it missed once it listens again.
static void a_monitor_that_does_not_listen_misses_something(void **state) {
    (void)state;
    enum { COMMANDS = 20000 };
    struct site *site = site_new(1, with_monitor);
    struct talker *watcher = site_talker(site, 0, false);
    struct talker *t = site_talker(site, 0, false);
    expect_dialogue(site, watcher, "MONITOR\r\n", "+OK\r\n");
    watcher->is_deaf = true;
    char *words = calloc(COMMANDS, 16);
    for (size_t i = 0; i < COMMANDS; i++) memcpy(words + i * 9, "GET none\n", 10);
    talker_say(t, words, strlen(words));
    site_wait(site, 10 * NS_PER_SECOND);
    assert_int_equal(t->heard_size, COMMANDS * 5);
    assert_in_range(info_number(site, t, "INFO memory\r\n", "buffers_in_use"), 1, 40);
    watcher->is_deaf = false;
    machine_enter(watcher->machine);
    talker_hear(watcher);
    machine_leave(watcher->machine);
    site_wait(site, 5 * NS_PER_SECOND);
    expect_dialogue(site, t, "PING\r\n", "+PONG\r\n");
    site_wait(site, NS_PER_SECOND);
    watcher->heard[watcher->heard_size] = '\0';
    uint64_t lines = 0;
    for (const char *at = (const char *)watcher->heard; (at = strchr(at, '\n')) != NULL; at++)
        lines++;
    const char *note = strstr((const char *)watcher->heard, "[0 quoit] \"");
    assert_non_null(note);
    expect_part(note, " commands are not shown\"\r\n");
    uint64_t missed = strtoull(strchr(note, '"') + 1, NULL, 10);
    // The OK and the note itself are lines, and INFO and PING are commands, too.
    assert_int_equal(lines + missed, COMMANDS + 4);
    assert_in_range(missed, 1000, COMMANDS);
    free(words);
    site_free(site);
}

// However it leaves. The memory of one that has gone is soon that of another connection.
static void a_monitor_that_has_left_hears_nothing_more(void **state) {
    (void)state;
    static const char *const farewells[] = {"RESET\r\n", "QUIT\r\n", NULL};
    for (size_t i = 0; i < 3; i++) {
        struct site *site = site_new(1, with_monitor);
        struct talker *t = site_talker(site, 0, false);
        expect_dialogue(site, t, "PING\r\n", "+PONG\r\n");
        struct talker *watcher = site_talker(site, 0, false);
        expect_dialogue(site, watcher, "MONITOR\r\n", "+OK\r\n");
        expect_dialogue(site, t, "GET k\r\n", "$-1\r\n");
        site_wait(site, NS_PER_SECOND);
        assert_memory_equal(watcher->heard + 5, "+", 1);
        if (farewells[i] != NULL) {
            (void)answer_to(site, watcher, farewells[i]);
        } else {
            machine_enter(watcher->machine);
            env_shut(watcher->env, watcher->socket);
            machine_leave(watcher->machine);
            site_wait(site, NS_PER_SECOND);
        }
        size_t heard = watcher->heard_size;
        struct talker *next = site_talker(site, 0, false);
        expect_dialogue(site, next, "PING\r\n", "+PONG\r\n");
        expect_dialogue(site, t, "GET k\r\nGET k\r\n", "$-1\r\n$-1\r\n");
        site_wait(site, NS_PER_SECOND);
        assert_int_equal(watcher->heard_size, heard);
        assert_int_equal(next->heard_size, 7);
        site_free(site);
    }
}

static void a_monitor_sees_who_drops_all_keys(void **state) {
    (void)state;
    struct site *site = site_new(1, with_monitor);
    struct talker *watcher = site_talker(site, 0, false);
    expect_dialogue(site, watcher, "MONITOR\r\n", "+OK\r\n");
    struct talker *t = site_talker(site, 0, false);
    (void)answer_to(site, t, "SLOWLOG LEN\r\nFLUSHALL\r\n");
    watcher->heard[watcher->heard_size] = '\0';
    const char *heard = (const char *)watcher->heard;
    assert_null(strstr(heard, "SLOWLOG"));
    expect_part(heard, "\"FLUSHALL\"\r\n");
    site_free(site);
}

static void a_monitor_must_be_allowed(void **state) {
    (void)state;
    struct site *site = site_new(1, NULL);
    struct talker *t = site_talker(site, 0, false);
    expect_part(answer_to(site, t, "MONITOR\r\n"), "-ERR MONITOR is not allowed");
    expect_dialogue(site, t, "PING\r\n", "+PONG\r\n");
    site_free(site);
}

int monitoring_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(settings_change_as_they_may),
        cmocka_unit_test(what_takes_long_is_in_the_slow_log),
        cmocka_unit_test(the_slow_log_is_bounded),
        cmocka_unit_test(what_takes_long_is_an_event),
        cmocka_unit_test(calls_are_counted_by_how_long_they_took),
        cmocka_unit_test(a_monitor_hears_of_what_is_asked),
        cmocka_unit_test(a_monitor_that_does_not_listen_misses_something),
        cmocka_unit_test(a_monitor_that_has_left_hears_nothing_more),
        cmocka_unit_test(a_monitor_sees_who_drops_all_keys),
        cmocka_unit_test(a_monitor_must_be_allowed),
    };
    return cmocka_run_group_tests_name("monitoring", cases, NULL, NULL);
}
