// SPDX-License-Identifier: Apache-2.0
//
// Commands that read, decide and write, of one key and of several at once, by many clients at the
// same time.
#include "sim/session_case.h"

#include "base/rng.h"

static void small_flushes(struct node_options *node, struct server_options *server) {
    (void)server;
    node->store.flush_size = 65536;
}

// Two steps are all that commands with many keys have to share.
static void few_steps(struct node_options *node, struct server_options *server) {
    small_flushes(node, server);
    server->commands_max = 7;
}

// The offsets of bits below end where values of this size do.
static void values_of_64_kib(struct node_options *node, struct server_options *server) {
    node->value_size_max = server->value_size_max = 65536;
}

static const struct line bits[] = {
    {"SETBIT b 7 1\r\n", ":0\r\n"},
    {"SETBIT b 7 0\r\n", ":1\r\n"},
    {"SETBIT b 9 1\r\n", ":0\r\n"},
    {"STRLEN b\r\n", ":2\r\n"},
    {"GETBIT b 9\r\n", ":1\r\n"},
    {"GETBIT b 524287\r\n", ":0\r\n"},
    {"GETBIT b 524288\r\n", "-ERR bit offset is not an integer or out of range\r\n"},
    {"SETBIT b 524288 1\r\n", "-ERR bit offset is not an integer or out of range\r\n"},
    {"SETBIT b 1 2\r\n", "-ERR bit is not an integer or out of range\r\n"},
    {"BITPOS b 1\r\n", ":9\r\n"},
    {"BITPOS b 0 1\r\n", ":8\r\n"},
    {"SET k foobar\r\n", "+OK\r\n"},
    {"BITCOUNT k\r\n", ":26\r\n"},
    {"BITCOUNT k 5 30 BIT\r\n", ":17\r\n"},
    {"BITCOUNT k 1\r\n", "-ERR syntax error\r\n"},
    {"BITOP NOT n k\r\n", ":6\r\n"},
    {"BITOP XOR n n k none\r\n", ":6\r\n"},
    {"BITCOUNT n\r\n", ":48\r\n"},
    {"BITOP AND n n none k\r\n", ":6\r\n"},
    {"BITCOUNT n\r\n", ":0\r\n"},
    {"BITOP OR n none\r\n", ":0\r\n"},
    {"EXISTS n\r\n", ":0\r\n"},
    {"BITFIELD f INCRBY i5 100 1 GET u4 0\r\n", "*2\r\n:1\r\n:0\r\n"},
    {"BITFIELD f OVERFLOW FAIL SET u2 0 4 OVERFLOW SAT INCRBY i8 8 -1000\r\n",
     "*2\r\n$-1\r\n:-128\r\n"},
    {"BITFIELD_RO f GET i5 100 GET i8 #1\r\n", "*2\r\n:1\r\n:-128\r\n"},
    {"BITFIELD_RO f SET u8 0 1\r\n", "-ERR BITFIELD_RO only supports the GET subcommand\r\n"},
    {"BITFIELD f GET u64 0\r\n", "-ERR Invalid bitfield type. Use something like i16 u8. Note that "
                                 "u64 is not supported but i64 is.\r\n"},
    {"BITFIELD f SET u8 524284 1\r\n",
     "-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n"},
};

static const struct line values[] = {
    {"INCRBYFLOAT x 10.50\r\n", "$4\r\n10.5\r\n"},
    {"INCRBYFLOAT x 5.0e3\r\n", "$6\r\n5010.5\r\n"},
    {"INCRBYFLOAT x nan\r\n", "-ERR value is not a valid float\r\n"},
    {"SET x inf\r\n", "+OK\r\n"},
    {"INCRBYFLOAT x 1\r\n", "-ERR increment would produce NaN or Infinity\r\n"},
    {"MSET l ohmytext r mynewtext\r\n", "+OK\r\n"},
    {"LCS l r\r\n", "$6\r\nmytext\r\n"},
    {"LCS l r LEN\r\n", ":6\r\n"},
    {"LCS l none\r\n", "$0\r\n\r\n"},
    {"LCS l r IDX MINMATCHLEN 4 WITHMATCHLEN\r\n",
     "*4\r\n$7\r\nmatches\r\n*1\r\n*3\r\n*2\r\n:4\r\n:7\r\n*2\r\n:5\r\n:8\r\n:4\r\n$3\r\nlen\r\n:6"
     "\r\n"},
    {"LCS l r IDX LEN\r\n",
     "-ERR If you want both the length and indexes, please just use IDX.\r\n"},
    {"SETRANGE l 2047 x\r\nSETRANGE r 2047 x\r\nLCS l r LEN\r\n", ":2048\r\n:2048\r\n:2045\r\n"},
    {"APPEND l x\r\nLCS l r LEN\r\n",
     ":2049\r\n-TOOLARGE the sizes of both values, multiplied, exceed 4194304\r\n"},
    {"SET e 12\r\nOBJECT ENCODING e\r\n", "+OK\r\n$3\r\nint\r\n"},
    {"OBJECT REFCOUNT e\r\n", ":1\r\n"},
    {"OBJECT IDLETIME none\r\n", "$-1\r\n"},
    {"SET e 13\r\nOBJECT IDLETIME e\r\n", "+OK\r\n:0\r\n"},
    {"OBJECT FREQ e\r\n",
     "-ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that "
     "when switching between policies at runtime LRU and LFU data will take some time to "
     "adjust.\r\n"},
};

static void a_value_is_idle_since_it_was_written(void **state) {
    (void)state;
    struct site *site = site_new(3, NULL);
    struct talker *t = site_talker(site, 0, false);
    expect_dialogue(site, t, "SET k v\r\n", "+OK\r\n");
    site_wait(site, 7 * NS_PER_SECOND);
    uint64_t idle = integer_in(answer_to(site, t, "OBJECT IDLETIME k\r\n"), 0);
    assert_in_range(idle, 5, 9);
    site_free(site);
}

static const struct line moves[] = {
    {"RANDOMKEY\r\n", "$-1\r\n"},
    {"SET a 1 PXAT 33000000000000\r\n", "+OK\r\n"},
    {"RANDOMKEY\r\n", "$1\r\na\r\n"},
    {"RENAME none a\r\n", "-ERR no such key\r\n"},
    {"RENAME a b\r\nMGET a b\r\nPEXPIRETIME b\r\n",
     "+OK\r\n*2\r\n$-1\r\n$1\r\n1\r\n:33000000000000\r\n"},
    {"RENAME b b\r\nRENAMENX b b\r\n", "+OK\r\n:0\r\n"},
    {"SET a 2\r\nRENAMENX b a\r\nRENAMENX b c\r\n", "+OK\r\n:0\r\n:1\r\n"},
    {"MGET a b c\r\n", "*3\r\n$1\r\n2\r\n$-1\r\n$1\r\n1\r\n"},
    {"COPY a c\r\nCOPY a c REPLACE\r\nCOPY none c REPLACE\r\n", ":0\r\n:1\r\n:0\r\n"},
    {"MGET a c\r\nTTL c\r\n", "*2\r\n$1\r\n2\r\n$1\r\n2\r\n:-1\r\n"},
    {"COPY a a\r\n", "-ERR source and destination objects are the same\r\n"},
    {"COPY a d DB 1\r\n", "-ERR DB index is out of range\r\n"},
    {"MSETNX e 1 e 2 c 3\r\nMSETNX e 1 e 2\r\nMGET c e\r\n",
     ":0\r\n:1\r\n*2\r\n$1\r\n2\r\n$1\r\n2\r\n"},
    {"DUMP none\r\n", "$-1\r\n"},
    {"RESTORE r 0 \"\\x00\\xc0\\xff\\x0a\\x00\\x0c\\x93\\x7e\\x24\\x85\\x08\\x9d\\xc5\"\r\nGET "
     "r\r\n",
     "+OK\r\n$2\r\n-1\r\n"},
    {"RESTORE r 0 \"\\x00\\xc0\\xff\\x0a\\x00\\x0c\\x93\\x7e\\x24\\x85\\x08\\x9d\\xc5\"\r\n",
     "-BUSYKEY Target key name already exists.\r\n"},
    {"RESTORE r 0 "
     "\"\\x00\\xc3\\x09\\x1e\\x01\\x61\\x61\\xe0\\x11\\x00\\x01\\x61\\x61\\x0a\\x00\\x45\\x73"
     "\\x7c\\xbb\\x2b\\x64\\x7b\\xbb\" REPLACE\r\nSTRLEN r\r\n",
     "+OK\r\n:30\r\n"},
    {"RESTORE r 1 \"\\x00\\xc0\\xff\\x0a\\x00\\x0c\\x93\\x7e\\x24\\x85\\x08\\x9d\\xc5\" REPLACE "
     "ABSTTL\r\n"
     "EXISTS r\r\n",
     "+OK\r\n:0\r\n"},
    {"RESTORE r 0 rubbish\r\n", "-ERR DUMP payload version or checksum are wrong\r\n"},
    {"RESTORE r 0 "
     "\"\\x12\\x01\\x02\\x0d\\x0d\\x00\\x00\\x00\\x02\\x00\\x81\\x61\\x02\\x81\\x62\\x02\\xff"
     "\\x0a\\x00\\x68\\xeb\\x0a\\x89\\x13\\x41\\xbb\\xb1\"\r\n",
     "-ERR only strings can be restored, and this is another type; not done\r\n"},
};

static const struct line expiries[] = {
    {"SET k v\r\nEXPIRE k 100 XX\r\nEXPIRE k 100 GT\r\n", "+OK\r\n:0\r\n:0\r\n"},
    {"EXPIRE k 100 LT\r\nEXPIRE k 200 NX\r\nEXPIRE k 200 LT\r\nEXPIRE k 200 GT\r\nTTL k\r\n",
     ":1\r\n:0\r\n:0\r\n:1\r\n:200\r\n"},
    {"EXPIRE k 100 XX LT\r\nTTL k\r\n", ":1\r\n:100\r\n"},
    {"EXPIRE k 1 NX XX\r\n",
     "-ERR NX and XX, GT or LT options at the same time are not compatible\r\n"},
    {"EXPIRE k 1 GT LT\r\n", "-ERR GT and LT options at the same time are not compatible\r\n"},
    {"EXPIRE k 1 what\r\n", "-ERR Unsupported option what\r\n"},
    {"GETEX k PXAT 1\r\nGET k\r\nDBSIZE\r\n", "$1\r\nv\r\n$-1\r\n:0\r\n"},
};

static void one_member_does_as_redis_does(void **state) {
    (void)state;
    struct site *site = site_new(1, values_of_64_kib);
    struct talker *t = site_talker(site, 0, false);
    EXPECT_LINES(site, t, moves);
    EXPECT_LINES(site, t, bits);
    EXPECT_LINES(site, t, values);
    site_free(site);
    site = site_new(1, NULL);
    t = site_talker(site, 0, false);
    EXPECT_LINES(site, t, expiries);
    site_free(site);
}

static const char *const refused[] = {
    "SETBIT k 1 1\r\n",  "BITFIELD k GET u8 0\r\n", "BITOP NOT k k\r\n", "INCRBYFLOAT k 1\r\n",
    "MSETNX k 1\r\n",    "RENAME k l\r\n",          "RENAMENX k l\r\n",  "COPY k l\r\n",
    "EXPIRE k 1 NX\r\n",
};

static const struct line served[] = {
    {"SET k foobar\r\nGETBIT k 1\r\nBITCOUNT k\r\nBITPOS k 1\r\nBITFIELD_RO k GET u8 0\r\n",
     "+OK\r\n:1\r\n:26\r\n:1\r\n*1\r\n:102\r\n"},
    {"LCS k k LEN\r\nOBJECT ENCODING k\r\nRANDOMKEY\r\n", ":6\r\n$6\r\nembstr\r\n$1\r\nk\r\n"},
    {"RESTORE r 0 \"\\x00\\xc0\\xff\\x0a\\x00\\x0c\\x93\\x7e\\x24\\x85\\x08\\x9d\\xc5\" "
     "REPLACE\r\nGET r\r\n",
     "+OK\r\n$2\r\n-1\r\n"},
};

static void several_members_serve_what_needs_no_lock(void **state) {
    (void)state;
    struct site *site = site_new(3, NULL);
    struct talker *t = site_talker(site, 2, false);
    EXPECT_LINES(site, t, served);
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        expect_dialogue(site, t, refused[i],
                        "-NOTATOMIC needs an atomic read-modify-write, which 3 nodes do not offer; "
                        "read with KV.GET, write with KV.PUT ... CONTEXT\r\n");
    }
    expect_dialogue(site, t, "RESTORE k 0 x\r\n",
                    "-NOTATOMIC to see that nothing is there is more than 3 nodes offer; RESTORE "
                    "... REPLACE does not look\r\n");
    site_free(site);
}

// Every key there is comes up sooner or later, and nothing else does.
static void any_key_is_a_random_one(void **state) {
    (void)state;
    enum { KEYS = 20 };
    struct site *site = site_new(1, NULL);
    struct talker *t = site_talker(site, 0, false);
    bool has_come[KEYS] = {false};
    for (int i = 0; i < KEYS; i++) {
        char words[32];
        (void)snprintf(words, sizeof(words), "SET {%d}%02d v\r\n", i % 7, i);
        expect_dialogue(site, t, words, "+OK\r\n");
    }
    for (int round = 0; round < 1000; round++) {
        talker_say(t, "RANDOMKEY\r\n", 11);
        talker_wait(site, t, 11);
        assert_int_equal(t->heard_size, 11);
        assert_memory_equal(t->heard, "$5\r\n{", 5);
        int number = (t->heard[7] - '0') * 10 + t->heard[8] - '0';
        assert_in_range(number, 0, KEYS - 1);
        has_come[number] = true;
    }
    for (int i = 0; i < KEYS; i++) assert_true(has_come[i]);
    site_free(site);
}

// Clients.

struct speech {
    struct talker *talker;
    char words[WORDS_MAX];
    uint32_t replies; // expected
};

static struct speech *speech_new(struct site *site, uint32_t count) {
    struct speech *speeches = calloc(count, sizeof(*speeches));
    for (uint32_t i = 0; i < count; i++) speeches[i].talker = site_talker(site, 0, false);
    return speeches;
}

static uint32_t lines_heard(const struct talker *t) {
    uint32_t count = 0;
    for (size_t i = 0; i < t->heard_size; i++) count += t->heard[i] == '\n';
    return count;
}

// Says all of it at once, and waits until all is answered, which it must be.
static void speak(struct site *site, struct speech *speeches, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        talker_say(speeches[i].talker, speeches[i].words, strlen(speeches[i].words));
    }
    site_wait(site, 60 * NS_PER_SECOND);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(lines_heard(speeches[i].talker), speeches[i].replies);
    }
}

// One value goes from hand to hand, in all directions, while others look for it: it is always under
// one key, and in the end, too.
static void a_value_that_many_rename_is_neither_lost_nor_doubled(void **state) {
    (void)state;
    enum { CLIENTS = 6, EACH = 100, KEYS = 5 };
    struct site *site = site_new(1, NULL);
    struct speech *speeches = speech_new(site, CLIENTS);
    expect_dialogue(site, speeches[0].talker, "SET k0 v\r\n", "+OK\r\n");
    struct rng rng = {.state = test_seed()};
    for (int i = 0; i < CLIENTS * EACH; i++) {
        struct speech *s = &speeches[i % CLIENTS];
        uint32_t from = rng_below(&rng, KEYS);
        uint32_t to = (from + 1 + rng_below(&rng, KEYS - 1)) % KEYS;
        bool is_only = rng_chance(&rng, 1, 2);
        words_add(s->words, "%s k%u k%u\r\n", is_only ? "RENAMENX" : "RENAME", from, to);
        s->replies++;
    }
    speak(site, speeches, CLIENTS);
    uint32_t moved = 0;
    for (int i = 0; i < CLIENTS; i++) {
        const struct talker *t = speeches[i].talker;
        for (size_t at = 0; at < t->heard_size; at++)
            moved += t->heard[at] != '-' && at > 0 && t->heard[at - 1] == '\n';
    }
    assert_in_range(moved, 20, CLIENTS * EACH);
    expect_dialogue(site, speeches[0].talker, "EXISTS k0 k1 k2 k3 k4\r\nDBSIZE\r\n",
                    ":1\r\n:1\r\n");
    free(speeches);
    site_free(site);
}

// Power goes at any moment of a renaming: the value is under the one key or the other, or both.
static void a_value_that_is_being_renamed_survives_a_crash(void **state) {
    (void)state;
    enum { ROUNDS = 40 };
    struct site *site = site_new(1, NULL);
    struct rng rng = {.state = test_seed()};
    uint32_t seen[4] = {0};
    struct talker *t = site_talker(site, 0, false);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        char words[64];
        (void)snprintf(words, sizeof(words), "SET a%u v\r\n", round);
        expect_dialogue(site, t, words, "+OK\r\n");
        world_options(site->world)->disk_delay = 5 * NS_PER_MS;
        (void)snprintf(words, sizeof(words), "RENAME a%u b%u\r\n", round, round);
        talker_say(t, words, strlen(words));
        site_wait(site, (1 + rng_below(&rng, 30)) * NS_PER_MS);
        cluster_power_loss(&site->cluster, 0);
        site_wait(site, NS_PER_SECOND);
        world_options(site->world)->disk_delay = 0;
        cluster_start(&site->cluster, 0);
        while (!site_is_serving(site)) site_wait(site, NS_PER_SECOND);
        t = site_talker(site, 0, false);
        (void)snprintf(words, sizeof(words), "EXISTS a%u\r\nEXISTS b%u\r\n", round, round);
        talker_say(t, words, strlen(words));
        talker_wait(site, t, 8);
        assert_int_equal(t->heard_size, 8);
        uint32_t places = (uint32_t)(t->heard[1] - '0') * 2 + (uint32_t)(t->heard[5] - '0');
        seen[places]++;
    }
    assert_int_equal(seen[0], 0);                           // lost
    assert_true(seen[1] > 0 && seen[2] > 0 && seen[3] > 0); // done, not begun, in the middle
    site_free(site);
}

// Several want the same keys, named in different orders: who has one has all.
static void of_several_that_set_keys_which_do_not_exist_one_does(void **state) {
    (void)state;
    enum { CLIENTS = 4, ROUNDS = 60, KEYS = 5 };
    struct site *site = site_new(1, NULL);
    struct speech *speeches = speech_new(site, CLIENTS);
    struct rng rng = {.state = test_seed()};
    for (uint32_t round = 0; round < ROUNDS; round++) {
        for (uint32_t i = 0; i < CLIENTS; i++) {
            struct speech *s = &speeches[i];
            uint32_t first = rng_below(&rng, KEYS);
            uint32_t step = 1 + rng_below(&rng, KEYS - 1);
            words_add(s->words, "MSETNX");
            for (uint32_t key = 0; key < KEYS; key++) {
                words_add(s->words, " k%u:%u %u", round, (first + key * step) % KEYS, i);
            }
            words_add(s->words, "\r\n");
            s->replies++;
        }
    }
    speak(site, speeches, CLIENTS);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        char words[128] = "MGET";
        char answer[64] = "*5\r\n";
        uint32_t winner = CLIENTS;
        for (uint32_t i = 0; i < CLIENTS; i++) {
            bool has_won = speeches[i].talker->heard[round * 4 + 1] == '1';
            if (!has_won) continue;
            assert_int_equal(winner, CLIENTS);
            winner = i;
        }
        assert_in_range(winner, 0, CLIENTS - 1);
        for (uint32_t key = 0; key < KEYS; key++) {
            (void)sprintf(words + strlen(words), " k%u:%u", round, key);
            (void)sprintf(answer + strlen(answer), "$1\r\n%u\r\n", winner);
        }
        (void)sprintf(words + strlen(words), "\r\n");
        struct talker *asker =
            site->talker_count == CLIENTS ? site_talker(site, 0, false) : &site->talkers[CLIENTS];
        expect_dialogue(site, asker, words, answer);
    }
    free(speeches);
    site_free(site);
}

// Who sees one key of an MSETNX set sees the others, too. They are more than are written at a time,
// so the first ones are there while the last ones are not.
static void nobody_sees_several_keys_half_set(void **state) {
    (void)state;
    enum { ROUNDS = 20, KEYS = 100 };
    struct site *site = site_new(1, NULL);
    struct speech *writer = speech_new(site, 1);
    struct talker *reader = site_talker(site, 0, false);
    expect_dialogue(site, reader, "PING\r\n", "+PONG\r\n");
    world_options(site->world)->disk_delay = 2 * NS_PER_MS;
    uint32_t looks = 0;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        writer->words[0] = '\0';
        words_add(writer->words, "MSETNX");
        for (uint32_t key = 0; key < KEYS; key++) words_add(writer->words, " k%u:%u v", round, key);
        words_add(writer->words, "\r\n");
        talker_say(writer->talker, writer->words, strlen(writer->words));
        char first[32];
        char last[32];
        (void)snprintf(first, sizeof(first), "GET k%u:0\r\n", round);
        (void)snprintf(last, sizeof(last), "GET k%u:%d\r\n", round, KEYS - 1);
        do {
            talker_say(reader, first, strlen(first));
            talker_wait(site, reader, 5);
            looks++;
        } while (memcmp(reader->heard, "$-1\r\n", 5) == 0);
        expect_dialogue(site, reader, last, "$1\r\nv\r\n");
        talker_wait(site, writer->talker, 4);
        assert_memory_equal(writer->talker->heard, ":1\r\n", 4);
    }
    assert_true(looks > ROUNDS); // some came before it was done
    free(writer);
    site_free(site);
}

// Commands of many keys, in all their kinds, over few keys and with few steps between them: nobody
// waits for ever.
static void commands_of_many_keys_all_end(void **state) {
    (void)state;
    enum { CLIENTS = 6, EACH = 40, KEYS = 60, WIDTH = 40 };
    void (*const adjusts[])(struct node_options *, struct server_options *) = {NULL, few_steps};
    static const char *const names[] = {"MGET", "BITOP OR", "MSETNX", "DEL", "MSET", "EXISTS"};
    for (int kind = 0; kind < 2; kind++) {
        struct site *site = site_new(1, adjusts[kind]);
        struct speech *speeches = speech_new(site, CLIENTS);
        struct rng rng = {.state = test_seed()};
        for (uint32_t i = 0; i < CLIENTS; i++) {
            for (uint32_t n = 0; n < EACH; n++) {
                uint32_t name = i < 2 ? 0 : rng_below(&rng, 6);
                uint32_t width = 2 + rng_below(&rng, WIDTH - 1);
                bool has_values = name == 2 || name == 4;
                words_add(speeches[i].words, "%s", names[name]);
                for (uint32_t key = 0; key < width; key++) {
                    words_add(speeches[i].words, " k%u%s", rng_below(&rng, KEYS),
                              has_values ? " v" : "");
                }
                words_add(speeches[i].words, "\r\n");
            }
            words_add(speeches[i].words, "PING\r\n");
            talker_say(speeches[i].talker, speeches[i].words, strlen(speeches[i].words));
        }
        site_wait(site, 60 * NS_PER_SECOND);
        for (uint32_t i = 0; i < CLIENTS; i++) {
            const struct talker *t = speeches[i].talker;
            assert_true(t->heard_size > 7);
            assert_memory_equal(t->heard + t->heard_size - 7, "+PONG\r\n", 7);
            assert_null(strstr((const char *)t->heard, "-BUSY"));
        }
        free(speeches);
        site_free(site);
    }
}

// Two keys are being renamed. A third command waits for the first and will want the second; then
// somebody reads both: the second is to be had first, and must not be kept while the first is not.
static void who_reads_several_keys_keeps_none_from_others(void **state) {
    (void)state;
    static const char *const names[2][2] = {{"k", "l"}, {"l", "k"}}; // one way is that of the locks
    for (int way = 0; way < 2; way++) {
        struct site *site = site_new(1, NULL);
        struct speech *speeches = speech_new(site, 4);
        const char *first = names[way][0];
        const char *second = names[way][1];
        expect_dialogue(site, speeches[0].talker, "MSET k 1 l 2\r\n", "+OK\r\n");
        for (int i = 1; i < 4; i++) {
            expect_dialogue(site, speeches[i].talker, "PING\r\n", "+PONG\r\n");
        }
        world_options(site->world)->disk_delay = 500 * NS_PER_MS;
        words_add(speeches[0].words, "RENAME %s %s2\r\n", first, first);
        words_add(speeches[1].words, "RENAME %s %s2\r\n", second, second);
        words_add(speeches[2].words, "COPY %s %s\r\n", first, second);
        words_add(speeches[3].words, "MGET %s %s\r\n", first, second);
        for (int i = 0; i < 4; i++) {
            talker_say(speeches[i].talker, speeches[i].words, strlen(speeches[i].words));
            site_wait(site, 20 * NS_PER_MS);
        }
        for (int i = 0; i < 4; i++) assert_int_equal(speeches[i].talker->heard_size, 0);
        site_wait(site, 60 * NS_PER_SECOND);
        assert_memory_equal(speeches[2].talker->heard, ":0\r\n", 4);
        assert_memory_equal(speeches[3].talker->heard, "*2\r\n$-1\r\n$-1\r\n", 14);
        free(speeches);
        site_free(site);
    }
}

// Counters, bits and fractions of several connections at once.
static void changes_of_parts_by_several_connections_all_count(void **state) {
    (void)state;
    enum { CLIENTS = 3, EACH = 100 };
    struct site *site = site_new(1, NULL);
    struct speech *speeches = speech_new(site, CLIENTS);
    for (uint32_t i = 0; i < CLIENTS; i++) {
        for (uint32_t n = 0; n < EACH; n++) {
            words_add(speeches[i].words,
                      "SETBIT bits %u 1\r\nBITFIELD field INCRBY u32 #%u 1 INCRBY u16 100 1\r\n"
                      "INCRBYFLOAT sum 0.5\r\nBITOP OR all bits all\r\n",
                      n * CLIENTS + i, 4 + i);
            speeches[i].replies += 1 + 3 + 2 + 1;
        }
    }
    speak(site, speeches, CLIENTS);
    expect_dialogue(site, speeches[0].talker,
                    "BITCOUNT bits\r\nBITCOUNT all\r\nGET sum\r\n"
                    "BITFIELD_RO field GET u32 #4 GET u32 #5 GET u32 #6 GET u16 100\r\n",
                    ":300\r\n:300\r\n$3\r\n150\r\n*4\r\n:100\r\n:100\r\n:100\r\n:300\r\n");
    free(speeches);
    site_free(site);
}

int session_atomic_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(one_member_does_as_redis_does),
        cmocka_unit_test(a_value_is_idle_since_it_was_written),
        cmocka_unit_test(several_members_serve_what_needs_no_lock),
        cmocka_unit_test(any_key_is_a_random_one),
        cmocka_unit_test(a_value_that_many_rename_is_neither_lost_nor_doubled),
        cmocka_unit_test(a_value_that_is_being_renamed_survives_a_crash),
        cmocka_unit_test(of_several_that_set_keys_which_do_not_exist_one_does),
        cmocka_unit_test(nobody_sees_several_keys_half_set),
        cmocka_unit_test(commands_of_many_keys_all_end),
        cmocka_unit_test(who_reads_several_keys_keeps_none_from_others),
        cmocka_unit_test(changes_of_parts_by_several_connections_all_count),
    };
    return cmocka_run_group_tests_name("session_atomic", cases, NULL, NULL);
}
