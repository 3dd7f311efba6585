// SPDX-License-Identifier: Apache-2.0
//
// MULTI to EXEC: what is queued and what comes of it, what is watched, and that nothing comes
// between.
#include "sim/session_case.h"

static const struct line dialogue[] = {
    {"EXEC\r\nDISCARD\r\nUNWATCH\r\n",
     "-ERR EXEC without MULTI\r\n-ERR DISCARD without MULTI\r\n+OK\r\n"},
    {"MULTI\r\nEXEC\r\n", "+OK\r\n*0\r\n"},
    {"MULTI\r\nSET a 1\r\nINCR a\r\nGET a\r\nMGET a b\r\nGET b\r\nEXEC\r\nGET a\r\n",
     "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*5\r\n+OK\r\n:2\r\n$1\r\n2\r\n"
     "*2\r\n$1\r\n2\r\n$-1\r\n$-1\r\n$1\r\n2\r\n"},
    // What fails when it is carried out is an element; the others are done.
    {"MULTI\r\nSET a x\r\nINCR a\r\nGETDEL a\r\nEXEC\r\n",
     "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n+OK\r\n-ERR value is not an integer or out of "
     "range\r\n$1\r\nx\r\n"},
    {"MULTI\r\nMSET a\r\nEXEC\r\nMULTI\r\nMSET a 1 b\r\nGET b\r\nEXEC\r\n",
     "+OK\r\n-ERR wrong number of arguments for 'mset' command\r\n-EXECABORT Transaction discarded "
     "because of previous errors.\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n-ERR wrong number of "
     "arguments for 'mset' command\r\n$-1\r\n"},
    // What cannot be queued spoils all of it.
    {"MULTI\r\nSET a 1\r\nINCR\r\nGET a\r\nEXEC\r\nGET a\r\n",
     "+OK\r\n+QUEUED\r\n-ERR wrong number of arguments for 'incr' command\r\n+QUEUED\r\n-EXECABORT "
     "Transaction discarded because of previous errors.\r\n$-1\r\n"},
    {"MULTI\r\nfoo\r\nEXEC\r\nMULTI\r\nCLIENT foo\r\nEXEC\r\n",
     "+OK\r\n-ERR unknown command 'foo', with args beginning with: \r\n-EXECABORT Transaction "
     "discarded because of previous errors.\r\n+OK\r\n-ERR unknown subcommand 'foo'. Try CLIENT "
     "HELP.\r\n-EXECABORT Transaction discarded because of previous errors.\r\n"},
    {"MULTI\r\nSET \"\" 1\r\nEXEC\r\n",
     "+OK\r\n-ERR a key has at least one byte\r\n-EXECABORT Transaction discarded because of "
     "previous errors.\r\n"},
    {"MULTI\r\nSET a 1\r\nEXEC x\r\nEXEC\r\nGET a\r\n",
     "+OK\r\n+QUEUED\r\n-EXECABORT Transaction discarded because of: wrong number of arguments for "
     "'exec' command\r\n-ERR EXEC without MULTI\r\n$-1\r\n"},
    // What is wrong, but spoils nothing.
    {"MULTI\r\nMULTI\r\nWATCH a\r\nPING\r\nEXEC\r\n",
     "+OK\r\n-ERR MULTI calls can not be nested\r\n-ERR WATCH inside MULTI is not allowed\r\n"
     "+QUEUED\r\n*1\r\n+PONG\r\n"},
    {"MULTI\r\nSET a 1\r\nDISCARD\r\nGET a\r\nEXEC\r\n",
     "+OK\r\n+QUEUED\r\n+OK\r\n$-1\r\n-ERR EXEC without MULTI\r\n"},
    {"MULTI\r\nSET a 1\r\nRESET\r\nGET a\r\nEXEC\r\n",
     "+OK\r\n+QUEUED\r\n+RESET\r\n$-1\r\n-ERR EXEC without MULTI\r\n"},
    // Several in one breath, and what is not about keys.
    {"MULTI\r\nSET a 1\r\nDISCARD\r\nMULTI\r\nINCR b\r\nEXEC\r\nMULTI\r\nINCR b\r\nEXEC\r\nGET "
     "b\r\n",
     "+OK\r\n+QUEUED\r\n+OK\r\n+OK\r\n+QUEUED\r\n*1\r\n:1\r\n+OK\r\n+QUEUED\r\n*1\r\n:2\r\n$1\r\n2"
     "\r\n"},
    {"MULTI\r\nDBSIZE\r\nSET c 1\r\nDBSIZE\r\nKEYS c\r\nECHO x\r\nDEL c\r\nDBSIZE\r\nEXEC\r\n",
     "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*7\r\n"
     ":1\r\n+OK\r\n:2\r\n*1\r\n$1\r\nc\r\n$1\r\nx\r\n:1\r\n:1\r\n"},
    {"MULTI\r\nCLIENT REPLY OFF\r\nMONITOR\r\nUNWATCH\r\nEXEC\r\n",
     "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n-ERR CLIENT REPLY is not allowed in a "
     "transaction: its replies are one array\r\n-ERR MONITOR is not allowed, because it slows a "
     "node down and shows everybody's data: start the node with monitor = yes\r\n+OK\r\n"},
    {"CLIENT REPLY OFF\r\nMULTI\r\nSET d 1\r\nGET d\r\nEXEC\r\nCLIENT REPLY ON\r\nGET d\r\n",
     "+OK\r\n$1\r\n1\r\n"},
    {"MULTI\r\nHELLO 3\r\nGET none\r\nEXEC\r\nHELLO 2\r\n", NULL},
};

static const struct line watching[] = {
    {"SET k 1\r\nWATCH k\r\nMULTI\r\nGET k\r\nEXEC\r\n", "+OK\r\n+OK\r\n+OK\r\n+QUEUED\r\n*1\r\n$1"
                                                         "\r\n1\r\n"},
    // Changed by itself, even to what it was.
    {"WATCH k\r\nSET k 1\r\nMULTI\r\nSET k 2\r\nEXEC\r\nGET k\r\n",
     "+OK\r\n+OK\r\n+OK\r\n+QUEUED\r\n*-1\r\n$1\r\n1\r\n"},
    // EXEC, DISCARD and UNWATCH end the watching.
    {"MULTI\r\nSET k 2\r\nEXEC\r\n", "+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n"},
    {"WATCH k\r\nMULTI\r\nDISCARD\r\nSET k 3\r\nMULTI\r\nEXEC\r\n",
     "+OK\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n*0\r\n"},
    {"WATCH k\r\nUNWATCH\r\nSET k 4\r\nMULTI\r\nEXEC\r\n", "+OK\r\n+OK\r\n+OK\r\n+OK\r\n*0\r\n"},
    {"UNWATCH\r\nWATCH k\r\nSET k 4\r\nMULTI\r\nEXEC\r\n", "+OK\r\n+OK\r\n+OK\r\n+OK\r\n*-1\r\n"},
    {"WATCH k\r\nSET k 4\r\nRESET\r\nMULTI\r\nEXEC\r\n", "+OK\r\n+OK\r\n+RESET\r\n+OK\r\n*0\r\n"},
    {"WATCH k\r\nSET k 4\r\nEXEC\r\nMULTI\r\nEXEC\r\n",
     "+OK\r\n+OK\r\n-ERR EXEC without MULTI\r\n+OK\r\n*-1\r\n"},
    {"WATCH k\r\nSET k 4\r\nEXEC x\r\nMULTI\r\nEXEC\r\n",
     "+OK\r\n+OK\r\n-EXECABORT Transaction discarded because of: wrong number of arguments for "
     "'exec' command\r\n+OK\r\n*0\r\n"},
    {"EXEC x\r\nWATCH k\r\nSET k 4\r\nMULTI\r\nEXEC\r\n",
     "-EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command\r\n"
     "+OK\r\n+OK\r\n+OK\r\n*-1\r\n"},
    // An UNWATCH within comes too late.
    {"WATCH k\r\nSET k 5\r\nMULTI\r\nUNWATCH\r\nEXEC\r\n",
     "+OK\r\n+OK\r\n+OK\r\n+QUEUED\r\n*-1\r\n"},
    // The first look counts; keys that are not there are watched, too.
    {"WATCH k none\r\nSET k 6\r\nWATCH k\r\nMULTI\r\nEXEC\r\n", "+OK\r\n+OK\r\n+OK\r\n+OK\r\n*-1"
                                                                "\r\n"},
    {"WATCH k none\r\nSET none 1\r\nDEL none\r\nMULTI\r\nEXEC\r\n",
     "+OK\r\n+OK\r\n:1\r\n+OK\r\n*-1\r\n"},
    {"WATCH none\r\nDEL none\r\nPERSIST k\r\nMULTI\r\nEXEC\r\n",
     "+OK\r\n:0\r\n:0\r\n+OK\r\n*0\r\n"},
    {"SET k 1\r\nDEL k\r\nWATCH k\r\nFLUSHALL\r\nMULTI\r\nEXEC\r\n",
     "+OK\r\n:1\r\n+OK\r\n+OK\r\n+OK\r\n*0\r\n"},
    {"SET k 6\r\nWATCH k\r\nFLUSHALL\r\nMULTI\r\nEXEC\r\nSET k 6\r\n",
     "+OK\r\n+OK\r\n+OK\r\n+OK\r\n*-1\r\n+OK\r\n"},
    {"WATCH k\r\nGETEX k PERSIST\r\nMULTI\r\nEXEC\r\n", "+OK\r\n$1\r\n6\r\n+OK\r\n*0\r\n"},
    {"WATCH k\r\nSETBIT k 3 1\r\nMULTI\r\nEXEC\r\n", "+OK\r\n:1\r\n+OK\r\n*0\r\n"},
    {"WATCH k\r\nSETBIT k 3 0\r\nMULTI\r\nEXEC\r\n", "+OK\r\n:1\r\n+OK\r\n*-1\r\n"},
    {"WATCH k\r\nSETBIT k 30 0\r\nMULTI\r\nEXEC\r\n", "+OK\r\n:0\r\n+OK\r\n*-1\r\n"},
    {"WATCH k\r\nEXPIRE k 100\r\nMULTI\r\nEXEC\r\n", "+OK\r\n:1\r\n+OK\r\n*-1\r\n"},
};

static void one_member_does_as_redis_does(void **state) {
    (void)state;
    struct site *site = site_new(1, NULL);
    struct talker *t = site_talker(site, 0, false);
    size_t count = sizeof(dialogue) / sizeof(dialogue[0]);
    expect_lines(site, t, dialogue, count - 1);
    EXPECT_LINES(site, t, watching);
    expect_part(answer_to(site, t, dialogue[count - 1].said), "*2\r\n%7\r\n");
    expect_part((const char *)t->heard, "\r\n*0\r\n_\r\n*14\r\n");
    site_free(site);
}

static void however_the_words_are_cut(void **state) {
    (void)state;
    struct site *site = site_new(1, NULL);
    struct talker *t = site_talker(site, 0, false);
    t->piece = 1;
    size_t count = sizeof(dialogue) / sizeof(dialogue[0]);
    expect_lines(site, t, dialogue, count - 1);
    EXPECT_LINES(site, t, watching);
    site_free(site);
}

// Others, and the clock, change what is watched.
static void changes_by_others_and_by_the_clock_are_seen(void **state) {
    (void)state;
    struct site *site = site_new(1, NULL);
    struct talker *t = site_talker(site, 0, false);
    struct talker *other = site_talker(site, 0, false);
    expect_dialogue(site, t, "SET k 1\r\nWATCH k\r\nMULTI\r\nGET k\r\n",
                    "+OK\r\n+OK\r\n+OK\r\n+QUEUED\r\n");
    expect_dialogue(site, other, "SET k 1\r\n", "+OK\r\n");
    expect_dialogue(site, t, "EXEC\r\n", "*-1\r\n");
    expect_part(answer_to(site, t, "HELLO 3\r\n"), "%7\r\n");
    expect_dialogue(site, t, "SET k 1 PX 3000\r\nWATCH k\r\nMULTI\r\n", "+OK\r\n+OK\r\n+OK\r\n");
    site_wait(site, 3100 * NS_PER_MS); // it is not purged yet
    expect_dialogue(site, t, "EXEC\r\n", "_\r\n");
    // It is over already, and stays so.
    expect_dialogue(site, t, "WATCH k\r\nMULTI\r\nGET k\r\nEXEC\r\n",
                    "+OK\r\n+OK\r\n+QUEUED\r\n*1\r\n_\r\n");
    site_free(site);
}

// Speeches: many words of several clients at once.

static void *words_new(void) {
    return calloc(1, WORDS_MAX);
}

// The next array that was heard, whose elements are numbers, as integers or in bulks, or OK, which
// is left out. What is behind it.
static const char *read_numbers(const char *at, uint64_t *numbers, uint32_t count) {
    at = strstr(at, "\r\n*");
    assert_non_null(at);
    at = strchr(at + 2, '\n') + 1;
    for (uint32_t i = 0; i < count;) {
        if (*at == '+' || *at == '$') {
            at = strchr(at, '\n') + 1;
            continue;
        }
        if (*at == ':') at++;
        char *end = NULL;
        numbers[i++] = strtoull(at, &end, 10);
        assert_true(end > at);
        assert_memory_equal(end, "\r\n", 2);
        at = end + 2;
    }
    return at - 2; // the end of a line, as that before the array
}

// Every client counts two things up, and looks between: it sees them grow by what it did itself,
// and both alike. So does a reader that asks for them in one transaction. Without locks each EXEC
// would run into the others: every write waits for the disk.
static void nothing_comes_between(void **state) {
    (void)state;
    enum { CLIENTS = 4, EACH = 40 };
    struct site *site = site_new(1, NULL);
    struct talker *talkers[CLIENTS];
    char *words[CLIENTS];
    for (uint32_t i = 0; i < CLIENTS; i++) {
        talkers[i] = site_talker(site, 0, false);
        expect_dialogue(site, talkers[i], "PING\r\n", "+PONG\r\n");
        words[i] = words_new();
        for (uint32_t n = 0; n < EACH; n++) {
            if (i == 0) {
                words_add(words[i], "MULTI\r\nGET x\r\nGET y\r\nGET x\r\nEXEC\r\n");
            } else {
                words_add(words[i],
                          "MULTI\r\nINCR x\r\nGET x\r\nINCR y\r\nINCR x\r\nINCR y\r\nEXEC\r\n");
            }
        }
    }
    expect_dialogue(site, talkers[0], "MSET x 0 y 0\r\n", "+OK\r\n");
    world_options(site->world)->disk_delay = NS_PER_MS;
    for (uint32_t i = 1; i < CLIENTS; i++) talker_say(talkers[i], words[i], strlen(words[i]));
    site_wait(site, 20 * NS_PER_MS); // or the reader, who waits for no disk, is through before
    talker_say(talkers[0], words[0], strlen(words[0]));
    site_wait(site, 60 * NS_PER_SECOND);
    uint64_t last = 0;
    uint32_t changes = 0; // that the reader saw
    for (uint32_t i = 0; i < CLIENTS; i++) {
        talkers[i]->heard[talkers[i]->heard_size] = '\0';
        const char *at = (const char *)talkers[i]->heard;
        for (uint32_t n = 0; n < EACH; n++) {
            uint64_t seen[5];
            at = read_numbers(at, seen, i == 0 ? 3 : 5);
            assert_true(seen[1] == seen[0] && seen[2] == seen[0]);
            if (i == 0) {
                assert_true(seen[0] >= last && seen[0] % 2 == 0);
                changes += seen[0] > last;
                last = seen[0];
            } else {
                assert_true(seen[3] == seen[0] + 1 && seen[4] == seen[3] && seen[0] % 2 == 1);
            }
        }
        free(words[i]);
    }
    assert_true(changes > 5);
    expect_dialogue(site, talkers[0], "MGET x y\r\n", "*2\r\n$3\r\n240\r\n$3\r\n240\r\n");
    site_free(site);
}

// Who sees that one key was written finds the other as it was written with it.
static void nobody_sees_the_half_of_it(void **state) {
    (void)state;
    enum { ROUNDS = 20 };
    struct site *site = site_new(1, NULL);
    struct talker *writer = site_talker(site, 0, false);
    struct talker *reader = site_talker(site, 0, false);
    expect_dialogue(site, reader, "PING\r\n", "+PONG\r\n");
    world_options(site->world)->disk_delay = 2 * NS_PER_MS;
    char *words = words_new();
    uint32_t looks = 0;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        char look[64];
        words[0] = '\0';
        // The second is written when the first was read, and the third when that was.
        words_add(words,
                  "MULTI\r\nSET a%u v\r\nRENAME a%u b%u\r\nRENAME b%u c%u\r\nSET a%u v\r\nEXEC\r\n",
                  round, round, round, round, round, round);
        talker_say(writer, words, strlen(words));
        (void)snprintf(look, sizeof(look), "EXISTS a%u\r\nEXISTS c%u\r\n", round, round);
        do {
            talker_say(reader, look, strlen(look));
            talker_wait(site, reader, 8);
            assert_memory_equal(reader->heard, reader->heard + 4, 4);
            looks++;
        } while (reader->heard[1] == '0');
        talker_wait(site, writer, 60);
    }
    assert_true(looks > ROUNDS);
    free(words);
    site_free(site);
}

// Who asks for all keys twice sees what it did itself, and nothing that others do.
static void what_is_about_all_keys_has_all_locks(void **state) {
    (void)state;
    enum { ROUNDS = 30 };
    struct site *site = site_new(1, NULL);
    struct talker *counter = site_talker(site, 0, false);
    struct talker *other = site_talker(site, 0, false);
    char *counting = words_new();
    char *setting = words_new();
    for (int i = 0; i < ROUNDS; i++) {
        words_add(counting, "MULTI\r\nDBSIZE\r\nSET a%d v\r\nDBSIZE\r\nEXEC\r\n", i);
        for (int n = 0; n < 4; n++) words_add(setting, "SET b%d v\r\nWAIT 0 0\r\n", 4 * i + n);
    }
    expect_dialogue(site, other, "PING\r\n", "+PONG\r\n");
    world_options(site->world)->disk_delay = NS_PER_MS;
    talker_say(counter, counting, strlen(counting));
    talker_say(other, setting, strlen(setting));
    site_wait(site, 10 * NS_PER_SECOND);
    counter->heard[counter->heard_size] = '\0';
    const char *at = (const char *)counter->heard;
    uint32_t grown = 0; // by others, between two transactions
    uint64_t last = 0;
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t sizes[2];
        at = read_numbers(at, sizes, 2);
        assert_int_equal(sizes[1], sizes[0] + 1);
        grown += sizes[0] > last;
        last = sizes[1];
    }
    assert_true(grown > 3);
    free(counting);
    free(setting);
    site_free(site);
}

// More commands than a connection has under way, with values that fit no chunk and replies that do
// not fit beside each other; and with hardly anything to do it with.
static void tiny_pools(struct node_options *node, struct server_options *server) {
    (void)node;
    server->commands_max = 7;
    server->chunks_max = 700;
}

static void long_ones_end_with_little_memory(void **state) {
    (void)state;
    enum { COMMANDS = 1000, CLIENTS = 3 };
    void (*const adjusts[])(struct node_options *, struct server_options *) = {NULL, tiny_pools};
    for (int kind = 0; kind < 2; kind++) {
        struct site *site = site_new(1, adjusts[kind]);
        world_options(site->world)->disk_delay = NS_PER_MS / 10;
        struct talker *talkers[CLIENTS];
        char *words = words_new();
        words_add(words, "MULTI\r\n");
        for (uint32_t i = 0; i < COMMANDS; i++) words_add(words, "INCR k%u\r\n", i % 10);
        words_add(words, "EXEC\r\n");
        for (uint32_t i = 0; i < CLIENTS; i++) {
            talkers[i] = site_talker(site, 0, false);
            talker_say(talkers[i], words, strlen(words));
        }
        // Others wait for the same locks, with as many commands as they can get.
        struct talker *reader = site_talker(site, 0, false);
        char *reads = words_new();
        for (uint32_t i = 0; i < COMMANDS; i++) words_add(reads, "GET k%u\r\n", i % 10);
        site_wait(site, 20 * NS_PER_MS);
        talker_say(reader, reads, strlen(reads));
        site_wait(site, 60 * NS_PER_SECOND);
        for (uint32_t i = 0; i < CLIENTS; i++) {
            talkers[i]->heard[talkers[i]->heard_size] = '\0';
            expect_part((const char *)talkers[i]->heard, "+QUEUED\r\n*1000\r\n:");
        }
        free(reads);
        expect_dialogue(site, talkers[0], "GET k0\r\nGET k9\r\n", "$3\r\n300\r\n$3\r\n300\r\n");
        free(words);
        site_free(site);
    }
}

static void values_of_128_kib(struct node_options *node, struct server_options *server) {
    node->value_size_max = server->value_size_max = 128 * 1024;
}

// Values of 40000 bytes, more than a chunk has: they are kept as well, and come back whole.
static void large_values_are_queued_too(void **state) {
    (void)state;
    enum { SIZE = 40000, COUNT = 10 };
    struct site *site = site_new(1, values_of_128_kib);
    struct talker *t = site_talker(site, 0, false);
    char *value = calloc(1, SIZE + 1);
    char *words = calloc(COUNT, SIZE + 100);
    char *answer = calloc(COUNT, SIZE + 100);
    size_t size = 0;
    size_t answered = 0;
    size += (size_t)sprintf(words, "MULTI\r\n");
    answered += (size_t)sprintf(answer, "+OK\r\n");
    for (int i = 0; i < COUNT; i++) {
        memset(value, 'a' + i % 26, SIZE);
        size += (size_t)sprintf(words + size,
                                "*3\r\n$3\r\nSET\r\n$3\r\nk%02d\r\n$%d\r\n%s\r\nSTRLEN k%02d\r\n",
                                i, SIZE, value, i);
        answered += (size_t)sprintf(answer + answered, "+QUEUED\r\n+QUEUED\r\n");
    }
    (void)sprintf(words + size, "EXEC\r\n");
    answered += (size_t)sprintf(answer + answered, "*%d\r\n", 2 * COUNT);
    for (int i = 0; i < COUNT; i++) {
        answered += (size_t)sprintf(answer + answered, "+OK\r\n:%d\r\n", SIZE);
    }
    expect_dialogue(site, t, words, answer);
    (void)sprintf(words, "MULTI\r\nGET k00\r\nGET k%02d\r\nEXEC\r\n", COUNT - 1);
    size = (size_t)sprintf(answer, "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n$%d\r\n", SIZE);
    memset(answer + size, 'a', SIZE);
    (void)sprintf(answer + size + SIZE, "\r\n$%d\r\n%s\r\n", SIZE, value);
    expect_dialogue(site, t, words, answer);
    free(value);
    free(words);
    free(answer);
    site_free(site);
}

// A limit of a transaction spoils it; then the connection is as before.
static void there_are_limits(void **state) {
    (void)state;
    enum { SIZE = 60000 };
    struct site *site = site_new(1, values_of_128_kib);
    struct talker *t = site_talker(site, 0, false);
    static const char too_large[] = "-TOOLARGE a transaction has at most 16384 commands and 4096 "
                                    "watched keys, 4 MiB in all\r\n";
    char *words = calloc(16385, 17);
    size_t size = (size_t)sprintf(words, "MULTI\r\n");
    for (int i = 0; i < 16385; i++) size += (size_t)sprintf(words + size, "GET k\r\n");
    (void)sprintf(words + size, "EXEC\r\n");
    talker_say(t, words, strlen(words));
    site_wait(site, 5 * NS_PER_SECOND);
    t->heard[t->heard_size] = '\0';
    expect_part((const char *)t->heard, too_large);
    expect_part((const char *)t->heard, "-EXECABORT Transaction discarded");
    expect_dialogue(site, t, "MULTI\r\nGET k\r\nEXEC\r\n", "+OK\r\n+QUEUED\r\n*1\r\n$-1\r\n");
    // One less is no trouble.
    (void)sprintf(words + size - strlen("GET k\r\n"), "EXEC\r\n");
    expect_part(answer_to(site, t, words), "+QUEUED\r\n*16384\r\n$-1\r\n");
    size = (size_t)sprintf(words, "WATCH");
    for (int i = 0; i < 4097; i++) size += (size_t)sprintf(words + size, " k%d", i);
    (void)sprintf(words + size, "\r\n");
    expect_dialogue(site, t, words, too_large);
    expect_dialogue(site, t, "MULTI\r\nEXEC\r\n", "+OK\r\n*0\r\n");
    free(words);

    // Large ones, as many as there are buffers for.
    struct talker *other = site_talker(site, 0, false);
    words = calloc(64, 65536);
    size = (size_t)sprintf(words, "MULTI\r\n");
    for (int i = 0; i < 60; i++) {
        size += (size_t)sprintf(words + size, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n", SIZE);
        memset(words + size, 'v', SIZE);
        size += SIZE;
        size += (size_t)sprintf(words + size, "\r\n");
    }
    (void)sprintf(words + size, "EXEC\r\n");
    talker_say(other, words, strlen(words));
    site_wait(site, 5 * NS_PER_SECOND);
    other->heard[other->heard_size] = '\0';
    expect_part((const char *)other->heard,
                "-BUSY there is no memory for this transaction now; try again\r\n");
    expect_part((const char *)other->heard, "-EXECABORT Transaction discarded");
    expect_dialogue(site, other, "SET k v\r\n", "+OK\r\n");
    free(words);
    site_free(site);
}

// A client asks for more in one reply than there may be, and does not read: what does not fit is
// said to be left out, what it writes is done, and others wait for none of it.
static void a_client_that_does_not_read_holds_up_nobody(void **state) {
    (void)state;
    enum { READS = 200, SIZE = 100000 };
    struct site *site = site_new(1, values_of_128_kib);
    struct talker *t = site_talker(site, 0, false);
    struct talker *other = site_talker(site, 0, false);
    char *words = words_new();
    words_add(words, "SETRANGE k %d x\r\n", SIZE - 1);
    expect_dialogue(site, t, words, ":100000\r\n");
    words[0] = '\0';
    words_add(words, "MULTI\r\n");
    for (int i = 0; i < READS; i++) words_add(words, "GET k\r\n");
    words_add(words, "INCR n\r\nEXEC\r\n");
    t->is_deaf = true;
    talker_say(t, words, strlen(words));
    site_wait(site, 5 * NS_PER_SECOND);
    expect_dialogue(site, other, "GET n\r\nSTRLEN k\r\n", "$1\r\n1\r\n:100000\r\n");
    t->is_deaf = false;
    machine_enter(t->machine);
    talker_hear(t);
    machine_leave(t->machine);
    site_wait(site, 5 * NS_PER_SECOND);
    static const char end[] = "-BUSY no room is left for this reply beside the others of the "
                              "transaction; not done\r\n:1\r\n";
    size_t size = sizeof(end) - 1;
    assert_in_range(t->heard_size, 8000000, 9000000);
    assert_memory_equal(t->heard + t->heard_size - size, end, size);
    free(words);
    site_free(site);
}

// Who has had very large replies has few commands under way at a time; an EXEC that runs is none of
// them.
static void after_large_replies_it_still_runs(void **state) {
    (void)state;
    enum { SIZE = 100000, COUNT = 40, TIMES = 3 };
    struct site *site = site_new(1, values_of_128_kib);
    struct talker *t = site_talker(site, 0, false);
    char *words = words_new();
    words_add(words, "SETRANGE k %d x\r\n", SIZE - 1);
    expect_dialogue(site, t, words, ":100000\r\n");
    words[0] = '\0';
    words_add(words, "MGET");
    for (int i = 0; i < COUNT; i++) words_add(words, " k");
    words_add(words, "\r\n");
    for (int i = 0; i < TIMES; i++) {
        talker_say(t, words, strlen(words));
        talker_wait(site, t, (size_t)COUNT * SIZE);
    }
    expect_dialogue(site, t, "MULTI\r\nGET none\r\nSTRLEN k\r\nEXEC\r\n",
                    "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n$-1\r\n:100000\r\n");
    free(words);
    site_free(site);
}

// Once EXEC has begun, all of it is done, whether or not its client still listens; and its locks
// are given back.
static void it_is_carried_out_though_its_client_has_gone(void **state) {
    (void)state;
    struct site *site = site_new(1, NULL);
    struct talker *t = site_talker(site, 0, false);
    expect_dialogue(site, t, "CLIENT ID\r\n", ":1\r\n");
    struct talker *other = site_talker(site, 0, false);
    char *words = words_new();
    words_add(words, "MULTI\r\n");
    for (int i = 0; i < 600; i++) words_add(words, "INCR n\r\n");
    words_add(words, "PING\r\nDBSIZE\r\nEXEC\r\n");
    expect_dialogue(site, other, "PING\r\n", "+PONG\r\n");
    world_options(site->world)->disk_delay = NS_PER_MS;
    talker_say(t, words, strlen(words));
    site_wait(site, 100 * NS_PER_MS);
    expect_part(answer_to(site, other, "CLIENT KILL ID 1\r\n"), ":1\r\n");
    assert_true(t->has_ended);
    expect_dialogue(site, other, "GET n\r\n", "$3\r\n600\r\n");
    expect_part(answer_to(site, other, "CLIENT LIST\r\n"), "id=2 ");
    assert_null(strstr((const char *)other->heard, "id=1 "));
    free(words);
    site_free(site);
}

// What is queued is shown, and given up when others need the memory.
static void small_memory(struct node_options *node, struct server_options *server) {
    values_of_128_kib(node, server);
    server->large_max = 4;
    server->stall_ns = 3600 * NS_PER_SECOND;
}

static void the_silent_make_room_for_others(void **state) {
    (void)state;
    enum { SIZE = 60000 };
    struct site *site = site_new(1, small_memory);
    struct talker *silent = site_talker(site, 0, false);
    struct talker *other = site_talker(site, 0, false);
    char *words = calloc(16, 65536);
    size_t size = (size_t)sprintf(words, "MULTI\r\n");
    for (int i = 0; i < 6; i++) {
        size += (size_t)sprintf(words + size, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n", SIZE);
        memset(words + size, 'v', SIZE);
        size += SIZE;
        size += (size_t)sprintf(words + size, "\r\n");
    }
    talker_say(silent, words, size);
    site_wait(site, NS_PER_SECOND);
    expect_part(answer_to(site, other, "CLIENT LIST\r\n"), " flags=x ");
    expect_part((const char *)other->heard, " multi=6 ");
    expect_part((const char *)other->heard, " multi=-1 ");
    site_wait(site, 60 * NS_PER_SECOND);
    assert_false(silent->has_ended);
    // It has two of the four buffers. Of three that want one, one waits.
    struct talker *wanting[3];
    for (int i = 0; i < 3; i++) {
        wanting[i] = site_talker(site, 0, false);
        talker_say(wanting[i], words + strlen("MULTI\r\n"), SIZE);
    }
    site_wait(site, 3 * NS_PER_SECOND);
    assert_true(silent->has_ended);
    const char *rest = words + strlen("MULTI\r\n") + SIZE;
    size_t rest_size = (size_t)(strstr(rest, "*3") - rest);
    for (int i = 0; i < 3; i++) {
        talker_say(wanting[i], rest, rest_size);
        talker_wait(site, wanting[i], 5);
        assert_memory_equal(wanting[i]->heard, "+OK\r\n", 5);
    }
    free(words);
    site_free(site);
}

static const char *const pausing[] = {
    "MULTI\r\nSET k 1\r\nEXEC\r\n",
    "MULTI\r\nGET k\r\nEXEC\r\n",
};

// A pause for writes holds an EXEC that would write, and no other.
static void a_pause_holds_what_would_write(void **state) {
    (void)state;
    struct site *site = site_new(1, NULL);
    struct talker *writer = site_talker(site, 0, false);
    struct talker *reader = site_talker(site, 0, false);
    expect_dialogue(site, reader, "CLIENT PAUSE 20000 WRITE\r\n", "+OK\r\n");
    talker_say(writer, pausing[0], strlen(pausing[0]));
    site_wait(site, NS_PER_SECOND);
    assert_memory_equal(writer->heard, "+OK\r\n+QUEUED\r\n", 14);
    assert_int_equal(writer->heard_size, 14);
    expect_dialogue(site, reader, pausing[1], "+OK\r\n+QUEUED\r\n*1\r\n$-1\r\n");
    expect_dialogue(site, reader, "CLIENT UNPAUSE\r\n", "+OK\r\n");
    site_wait(site, NS_PER_SECOND);
    assert_memory_equal(writer->heard + 14, "*1\r\n+OK\r\n", 9);
    expect_dialogue(site, reader, "GET k\r\n", "$1\r\n1\r\n");
    site_free(site);
}

// Several members.

static const struct line refusals[] = {
    {"MULTI\r\n", "-NOTATOMIC 3 nodes offer no transaction; not done; the setting multi = batch "
                  "makes it a plain batch\r\n"},
    {"GET k\r\nEXEC\r\n", "$-1\r\n-NOTATOMIC 3 nodes offer no transaction: what came before this "
                          "was done one by one; see the setting multi = batch\r\n"},
    {"WATCH k\r\n",
     "-NOTATOMIC needs an atomic read-modify-write, which 3 nodes do not offer; read "
     "with KV.GET, write with KV.PUT ... CONTEXT\r\n"},
    {"UNWATCH\r\nDISCARD\r\n", "+OK\r\n-ERR DISCARD without MULTI\r\n"},
};

static const struct line batches[] = {
    {"MULTI\r\nSET a 1\r\nSET a 2\r\nGET a\r\nMSET b 3 c 4\r\nDEL b\r\nMGET a b c\r\nEXEC\r\n",
     "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*6\r\n+OK\r\n+OK\r\n"
     "$1\r\n2\r\n+OK\r\n:1\r\n*3\r\n$1\r\n2\r\n$-1\r\n$1\r\n4\r\n"},
    {"MULTI\r\nSET a 5\r\nINCR a\r\nEXEC\r\nGET a\r\n",
     "+OK\r\n+QUEUED\r\n-NOTATOMIC needs an atomic read-modify-write, which 3 nodes do not offer; "
     "read with KV.GET, write with KV.PUT ... CONTEXT\r\n-EXECABORT Transaction discarded because "
     "of previous errors.\r\n$1\r\n2\r\n"},
    {"WATCH k\r\nMULTI\r\nWATCH k\r\nEXEC\r\n",
     "-NOTATOMIC needs an atomic read-modify-write, which 3 nodes do not offer; read with KV.GET, "
     "write with KV.PUT ... CONTEXT\r\n+OK\r\n-ERR WATCH inside MULTI is not allowed\r\n*0\r\n"},
};

static void batch(struct node_options *node, struct server_options *server) {
    (void)node;
    server->has_batch = true;
}

static void several_members_refuse_or_take_a_batch(void **state) {
    (void)state;
    struct site *site = site_new(3, NULL);
    EXPECT_LINES(site, site_talker(site, 1, false), refusals);
    site_free(site);
    site = site_new(3, batch);
    EXPECT_LINES(site, site_talker(site, 1, false), batches);
    site_free(site);
}

// The shard's port has the manners of Redis Cluster.
static void cluster_clients_are_redirected_while_they_queue(void **state) {
    (void)state;
    struct site *site = site_new(1, NULL);
    static const struct line crossings[] = {
        {"MULTI\r\nMGET a b\r\nEXEC\r\n",
         "+OK\r\n-CROSSSLOT Keys in request don't hash to the same slot\r\n-EXECABORT Transaction "
         "discarded because of previous errors.\r\n"},
        {"MULTI\r\nSET a 1\r\nSET b 1\r\nEXEC\r\nGET a\r\n",
         "+OK\r\n+QUEUED\r\n+QUEUED\r\n-CROSSSLOT Keys in request don't hash to the same slot\r\n"
         "$-1\r\n"},
        {"MULTI\r\nSET {a}1 1\r\nGET {a}2\r\nEXEC\r\n",
         "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n$-1\r\n"},
    };
    EXPECT_LINES(site, site_talker(site, 0, true), crossings);
    site_free(site);

    // Five members, three copies: two members have none of the key, and its slot is 15495.
    site = site_new(5, batch);
    uint32_t moved = 0;
    for (uint32_t i = 0; i < 5; i++) {
        const char *heard =
            answer_to(site, site_talker(site, i, true), "MULTI\r\nSET a 1\r\nEXEC\r\n");
        if (strstr(heard, "*1\r\n+OK\r\n") != NULL) continue;
        expect_part(heard, "+OK\r\n-MOVED 15495 n");
        expect_part(heard, "-EXECABORT Transaction discarded because of previous errors.\r\n");
        moved++;
    }
    assert_int_equal(moved, 2);
    site_free(site);
}

// A node that does not serve yet takes a MULTI, as Redis does, and nothing comes of it.
static void before_the_cluster_is_founded_nothing_is_queued(void **state) {
    (void)state;
    struct site *site = site_prepare(3, NULL);
    cluster_start(&site->cluster, 0);
    site_wait(site, 5 * NS_PER_SECOND);
    struct talker *t = site_talker(site, 0, false);
    static const char waiting[] =
        "-CLUSTERDOWN the cluster is not formed yet: waiting for n2, n3\r\n";
    char answer[512];
    (void)snprintf(answer, sizeof(answer), "+OK\r\n+QUEUED\r\n%s%s+OK\r\n+OK\r\n", waiting,
                   waiting);
    expect_dialogue(site, t, "MULTI\r\nPING\r\nGET k\r\nEXEC\r\nMULTI\r\nDISCARD\r\n", answer);
    site_free(site);
}

int session_multi_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(one_member_does_as_redis_does),
        cmocka_unit_test(however_the_words_are_cut),
        cmocka_unit_test(changes_by_others_and_by_the_clock_are_seen),
        cmocka_unit_test(nothing_comes_between),
        cmocka_unit_test(nobody_sees_the_half_of_it),
        cmocka_unit_test(what_is_about_all_keys_has_all_locks),
        cmocka_unit_test(long_ones_end_with_little_memory),
        cmocka_unit_test(large_values_are_queued_too),
        cmocka_unit_test(there_are_limits),
        cmocka_unit_test(a_client_that_does_not_read_holds_up_nobody),
        cmocka_unit_test(after_large_replies_it_still_runs),
        cmocka_unit_test(it_is_carried_out_though_its_client_has_gone),
        cmocka_unit_test(the_silent_make_room_for_others),
        cmocka_unit_test(a_pause_holds_what_would_write),
        cmocka_unit_test(several_members_refuse_or_take_a_batch),
        cmocka_unit_test(cluster_clients_are_redirected_while_they_queue),
        cmocka_unit_test(before_the_cluster_is_founded_nothing_is_queued),
    };
    return cmocka_run_group_tests_name("session_multi", cases, NULL, NULL);
}
