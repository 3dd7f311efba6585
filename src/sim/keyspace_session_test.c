// SPDX-License-Identifier: Apache-2.0
//
// What clients see of keyspaces, with one member and with three.
#include "sim/session_case.h"

#define CONFIGURED "$11\r\ncompression\r\n$13\r\nconfiguration\r\n"

static const struct line definitions[] = {
    {"KEYSPACE LIST\r\n", "*1\r\n$7\r\ndefault\r\n"},
    {"KEYSPACE CREATE feed: REPLICATION 2 READ ONE WRITE ALL CONFLICT LWW TTL 60000\r\n",
     "+OK\r\n"},
    {"KEYSPACE LIST\r\n", "*2\r\n$7\r\ndefault\r\n$4\r\nfeed\r\n"},
    {"KEYSPACE DESCRIBE feed\r\n",
     "*16\r\n$4\r\nname\r\n$4\r\nfeed\r\n$5\r\nstate\r\n$6\r\nACTIVE\r\n$11\r\nreplication\r\n:"
     "2\r\n"
     "$4\r\nread\r\n$3\r\nONE\r\n$5\r\nwrite\r\n$3\r\nALL\r\n$8\r\nconflict\r\n$3\r\nLWW\r\n"
     "$3\r\nttl\r\n:60000\r\n" CONFIGURED},
    {"KEYSPACE ALTER feed: READ 2 TTL 0\r\nKEYSPACE DESCRIBE feed:\r\n",
     "+OK\r\n*16\r\n$4\r\nname\r\n$4\r\nfeed\r\n$5\r\nstate\r\n$6\r\nACTIVE\r\n"
     "$11\r\nreplication\r\n:2\r\n$4\r\nread\r\n$3\r\nTWO\r\n$5\r\nwrite\r\n$3\r\nALL\r\n"
     "$8\r\nconflict\r\n$3\r\nLWW\r\n$3\r\nttl\r\n:0\r\n" CONFIGURED},
    {"CONSISTENCY KEY feed:1\r\n",
     "*4\r\n$4\r\nread\r\n*4\r\n$5\r\nlevel\r\n$3\r\nTWO\r\n$6\r\nset-by\r\n$8\r\nkeyspace\r\n"
     "$5\r\nwrite\r\n*4\r\n$5\r\nlevel\r\n$3\r\nALL\r\n$6\r\nset-by\r\n$8\r\nkeyspace\r\n"},
    {"CONSISTENCY READ ONE\r\nCONSISTENCY KEY {t}:feed:1\r\nRESET\r\n",
     "+OK\r\n*4\r\n$4\r\nread\r\n*4\r\n$5\r\nlevel\r\n$3\r\nONE\r\n$6\r\nset-by\r\n"
     "$10\r\nconnection\r\n$5\r\nwrite\r\n*4\r\n$5\r\nlevel\r\n$3\r\nALL\r\n$6\r\nset-by\r\n"
     "$8\r\nkeyspace\r\n+RESET\r\n"},
    {"KEYSPACE DROP feed\r\nKEYSPACE LIST\r\n", "+OK\r\n*1\r\n$7\r\ndefault\r\n"},
};

#define BAD_NAME                                                                                   \
    "-ERR the name of a keyspace is 1 to 63 letters, digits, '-', '_' and '.', as it stands "      \
    "before the first ':' of keys\r\n"
#define BAD_COMPRESSION "-ERR COMPRESSION is none, lz4 or zstd\r\n"
#define NOT_THERE                                                                                  \
    "-NOTFOUND there is no keyspace of that name: KEYSPACE LIST shows what there is\r\n"

static const struct line refusals[] = {
    {"KEYSPACE CREATE default\r\n",
     "-ERR there is a keyspace of that name: KEYSPACE ALTER changes it; not done\r\n"},
    {"KEYSPACE CREATE \"a b\"\r\n", BAD_NAME},
    {"KEYSPACE CREATE :\r\n", BAD_NAME},
    {"KEYSPACE CREATE a REPLICATION\r\n", "-ERR syntax error\r\n"},
    {"KEYSPACE CREATE a COPIES 2\r\n", "-ERR syntax error\r\n"},
    {"KEYSPACE CREATE a REPLICATION 0\r\n", "-ERR REPLICATION is from 1 to 32\r\n"},
    {"KEYSPACE CREATE a REPLICATION x\r\n", "-ERR value is not an integer or out of range\r\n"},
    {"KEYSPACE CREATE a REPLICATION 4\r\n",
     "-ERR REPLICATION is more than `replication` was when the cluster was founded; not done\r\n"},
    {"KEYSPACE CREATE a REPLICATION dc1=3,dc2=2\r\n",
     "-ERR copies by data centre need several of them, which this version does not have; not "
     "done\r\n"},
    {"KEYSPACE CREATE a CONFLICT none\r\n", "-ERR CONFLICT is lww or siblings\r\n"},
    {"KEYSPACE CREATE a TTL -1\r\n", "-ERR TTL is in ms, from 0 (values stay) to 100 years\r\n"},
    {"KEYSPACE CREATE a COMPRESSION snappy\r\n", BAD_COMPRESSION},
    {"KEYSPACE CREATE a COMPRESSION configuration\r\n", BAD_COMPRESSION},
    {"KEYSPACE ALTER default COMPRESSION 1\r\n", BAD_COMPRESSION},
    {"KEYSPACE CREATE a COMPRESSION\r\n", "-ERR syntax error\r\n"},
    {"KEYSPACE CREATE a READ LOCAL_ONE\r\n",
     "-ERR level LOCAL_ONE needs copies in several data centres, which this version does not "
     "have; not done\r\n"},
    {"KEYSPACE CREATE a REPLICATION 1 READ 2\r\n",
     "-ERR a level of the keyspace asks for more copies than a key has; not done\r\n"},
    {"KEYSPACE ALTER a TTL 1\r\n", NOT_THERE},
    {"KEYSPACE DROP a\r\n", NOT_THERE},
    {"KEYSPACE DESCRIBE a\r\n", NOT_THERE},
    {"KEYSPACE DROP default\r\n",
     "-ERR `default` stays, with its copies and its rule of conflicts; not done\r\n"},
    {"KEYSPACE ALTER default CONFLICT lww\r\n",
     "-ERR `default` stays, with its copies and its rule of conflicts; not done\r\n"},
    {"KEYSPACE LIST\r\n", "*1\r\n$7\r\ndefault\r\n"},
    {"FLUSHALL NOW\r\n", "-ERR syntax error\r\n"},
    {"FLUSHALL SYNC ASYNC\r\n", "-ERR syntax error\r\n"},
};

static void definitions_are_made_shown_and_refused(void **state) {
    (void)state;
    struct site *site = site_new(3, NULL);
    struct talker *t = site_talker(site, 0, false);
    EXPECT_LINES(site, t, definitions);
    EXPECT_LINES(site, t, refusals);
    site_free(site);
}

#define CREATE_HAS_KEYS                                                                            \
    "-HASKEYS there are keys that begin with that name, and they cannot be moved yet: delete "     \
    "them "                                                                                        \
    "first; not done\r\n"
#define ALTER_HAS_KEYS                                                                             \
    "-HASKEYS the keyspace has keys, and they cannot be moved yet: only READ, WRITE, TTL and "     \
    "COMPRESSION can be changed; not done\r\n"
#define DROP_HAS_KEYS                                                                              \
    "-HASKEYS the keyspace has keys, or some that expired and are not yet purged: delete them "    \
    "first; not done\r\n"

static const struct line keys_in_the_way[] = {
    {"SET a:1 x\r\nKEYSPACE CREATE a\r\nKEYSPACE LIST\r\n",
     "+OK\r\n" CREATE_HAS_KEYS "*1\r\n$7\r\ndefault\r\n"},
    {"GET a:1\r\nDEL a:1\r\n", "$1\r\nx\r\n:1\r\n"},
    // These are of no keyspace `a`.
    {"MSET a 1 ab:1 2 A:1 3 {t}a:1 4 b:a:1 5 {a:1 6\r\n", "+OK\r\n"},
    // The other key lies between, for who looks for those that begin with the name.
    {"MSET {t}:a:1 x b{t} y\r\nKEYSPACE CREATE a\r\nDEL b{t}\r\n",
     "+OK\r\n" CREATE_HAS_KEYS ":1\r\n"},
    {"SET a:0 x\r\nDEL {t}:a:1\r\nKEYSPACE CREATE a\r\n", "+OK\r\n:1\r\n" CREATE_HAS_KEYS},
    {"DEL a:0\r\nKEYSPACE CREATE a\r\n", ":1\r\n+OK\r\n"},
    // What was deleted is still where it was, and is no key of any keyspace.
    {"KV.RANGE t - +\r\nSCAN 0 MATCH nothing COUNT 1000\r\n",
     "*2\r\n$-1\r\n*1\r\n*2\r\n$6\r\n{t}a:1\r\n$1\r\n4\r\n*2\r\n$1\r\n0\r\n*0\r\n"},
    {"MGET a ab:1 A:1 {t}a:1 b:a:1 {a:1 a:1\r\n",
     "*7\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n$1\r\n4\r\n$1\r\n5\r\n$1\r\n6\r\n$-1\r\n"},
    {"SET {t}:a:1 y\r\nKEYSPACE DROP a\r\n", "+OK\r\n" DROP_HAS_KEYS},
    {"KEYSPACE ALTER a CONFLICT lww\r\nKEYSPACE ALTER a REPLICATION 1\r\n",
     ALTER_HAS_KEYS ALTER_HAS_KEYS},
    {"KEYSPACE ALTER a CONFLICT siblings TTL 100000\r\nGET {t}:a:1\r\n", "+OK\r\n$1\r\ny\r\n"},
    {"DBSIZE\r\nDEL {t}:a:1\r\nDBSIZE\r\n", ":7\r\n:1\r\n:6\r\n"},
    {"KEYSPACE ALTER a CONFLICT lww\r\nKEYSPACE DROP a\r\nKEYSPACE LIST\r\n",
     "+OK\r\n+OK\r\n*1\r\n$7\r\ndefault\r\n"},
    {"SET a:1 z\r\nGET a:1\r\nPTTL a:1\r\n", "+OK\r\n$1\r\nz\r\n:-1\r\n"},
};

static void keys_are_never_where_nobody_looks(void **state) {
    (void)state;
    struct site *site = site_new(1, NULL);
    struct talker *t = site_talker(site, 0, false);
    EXPECT_LINES(site, t, keys_in_the_way);
    site_free(site);
}

static const struct line rules[] = {
    {"KEYSPACE CREATE f CONFLICT lww TTL 60000\r\n", "+OK\r\n"},
    {"SET f:1 x\r\nSET f:2 x PX 5\r\nSET g:1 x\r\nTTL f:1\r\nTTL g:1\r\n",
     "+OK\r\n+OK\r\n+OK\r\n:60\r\n:-1\r\n"},
    {"PERSIST f:1\r\nTTL f:1\r\nAPPEND f:1 y\r\nTTL f:1\r\n", ":1\r\n:-1\r\n:2\r\n:-1\r\n"},
    {"SET f:1 xz KEEPTTL\r\nSETBIT f:1 15 1\r\nSETRANGE f:1 1 y\r\nTTL f:1\r\n",
     "+OK\r\n:0\r\n:2\r\n:-1\r\n"},
    {"GETEX f:1 PERSIST\r\nTTL f:1\r\nSET f:1 x\r\nTTL f:1\r\n",
     "$2\r\nxy\r\n:-1\r\n+OK\r\n:60\r\n"},
    {"MSET f:3 a g:3 a\r\nTTL f:3\r\nTTL g:3\r\n", "+OK\r\n:60\r\n:-1\r\n"},
    {"INCR f:4\r\nTTL f:4\r\nRENAME g:3 f:5\r\nTTL f:5\r\n", ":1\r\n:60\r\n+OK\r\n:-1\r\n"},
};

static void keys_follow_the_rules_of_their_keyspace(void **state) {
    (void)state;
    struct site *site = site_new(1, NULL);
    struct talker *t = site_talker(site, 0, false);
    EXPECT_LINES(site, t, rules);
    expect_part(answer_to(site, t, "KV.PUT f:6 a\r\n"), "values\r\n:1\r\n");
    expect_part(answer_to(site, t, "KV.PUT f:6 b\r\n"), "values\r\n:1\r\n");
    expect_part(answer_to(site, t, "KV.PUT g:6 a\r\n"), "values\r\n:1\r\n");
    expect_part(answer_to(site, t, "KV.PUT g:6 b\r\n"), "values\r\n:2\r\n");
    expect_part(answer_to(site, t, "KV.GET f:6\r\n"),
                "values\r\n*1\r\n*8\r\n$5\r\nvalue\r\n$1\r\nb");
    expect_part(answer_to(site, t, "KV.GET g:6\r\n"), "values\r\n*2\r\n");
    // Values that nobody sees are not kept either: there is no end to such writes.
    for (uint32_t i = 0; i < SIBLINGS_WRITE_MAX + 1; i++) {
        expect_part(answer_to(site, t, "KV.PUT f:7 a\r\n"), "values\r\n:1\r\n");
    }
    site_wait(site, 61 * NS_PER_SECOND);
    expect_dialogue(site, t, "MGET f:1 f:3 f:4 f:5 f:6 g:1\r\n",
                    "*6\r\n$-1\r\n$-1\r\n$-1\r\n$1\r\na\r\n$-1\r\n$1\r\nx\r\n");
    site_free(site);
}

static const struct line one_keyspace[] = {
    {"KEYSPACE CREATE f\r\n", "+OK\r\n"},
    {"MSET {t}:f:1 a {t}:f:2 b {t}:g:1 c {t}d e\r\n", "+OK\r\n"},
    {"KV.RANGE t [{t}:f:1 +\r\n",
     "*2\r\n$-1\r\n*2\r\n*2\r\n$7\r\n{t}:f:1\r\n$1\r\na\r\n*2\r\n$7\r\n{t}:f:2\r\n$1\r\nb\r\n"},
    {"KV.RANGE t - ({t}:f:2\r\n", "*2\r\n$-1\r\n*1\r\n*2\r\n$7\r\n{t}:f:1\r\n$1\r\na\r\n"},
    {"KV.RANGE t - +\r\n",
     "*2\r\n$-1\r\n*2\r\n*2\r\n$7\r\n{t}:g:1\r\n$1\r\nc\r\n*2\r\n$4\r\n{t}d\r\n$1\r\ne\r\n"},
    {"KV.RANGE t [{t}:f:1 [{t}:g:1\r\n",
     "-ERR the bounds are of two keyspaces; a range is within one\r\n"},
};

static void a_range_is_within_one_keyspace(void **state) {
    (void)state;
    struct site *site = site_new(3, NULL);
    struct talker *t = site_talker(site, 1, false);
    EXPECT_LINES(site, t, one_keyspace);
    site_free(site);
}

// All members know at once; with fewer copies less is needed, and what is listed is all the same.
static void all_members_agree(void **state) {
    (void)state;
    struct site *site = site_new(3, NULL);
    struct talker *t[3];
    for (uint32_t i = 0; i < 3; i++) t[i] = site_talker(site, i, false);
    expect_dialogue(site, t[0], "KEYSPACE CREATE f REPLICATION 1\r\n", "+OK\r\n");
    expect_dialogue(site, t[2], "MSET f:1 a f:2 b f:3 c g:1 d\r\nDBSIZE\r\n", "+OK\r\n:4\r\n");
    expect_dialogue(site, t[1], "MGET f:1 f:2 f:3 g:1\r\n",
                    "*4\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n$1\r\nd\r\n");
    for (uint32_t i = 0; i < 3; i++) {
        const char *keys = answer_to(site, t[i], "KEYS *\r\n");
        expect_part(keys, "*4\r\n");
        for (const char *const *key = (const char *const[]){"f:1", "f:2", "f:3", "g:1", NULL};
             *key != NULL; key++) {
            expect_part(keys, *key);
        }
    }
    uint64_t held = 0;
    for (uint32_t i = 0; i < 3; i++) {
        held += integer_in(answer_to(site, t[i], "QUOIT DIGEST\r\n"), 0);
    }
    assert_int_equal(held, 3 * 1 + 1 * 3);
    site_free(site);
}

#define ABSENT "-NOQUORUM a member cannot be reached, and all have to agree; not done\r\n"

// What could lose keys needs everybody; levels do not, and whoever was away hears of them.
static void who_is_away_is_waited_for_where_it_matters(void **state) {
    (void)state;
    struct site *site = site_new(3, NULL);
    struct talker *t = site_talker(site, 0, false);
    expect_dialogue(site, t, "SET k v\r\nKEYSPACE CREATE f\r\n", "+OK\r\n+OK\r\n");
    cluster_kill(&site->cluster, 2);
    site_wait(site, 3 * NS_PER_SECOND);
    expect_dialogue(site, t,
                    "KEYSPACE CREATE g\r\nKEYSPACE DROP f\r\nKEYSPACE ALTER f REPLICATION 2\r\n"
                    "FLUSHALL\r\nKEYSPACE ALTER f TTL 5000\r\n",
                    ABSENT ABSENT ABSENT ABSENT "+OK\r\n");
    expect_dialogue(site, t, "GET k\r\n", "$1\r\nv\r\n");
    cluster_start(&site->cluster, 2);
    while (!site_is_serving(site)) site_wait(site, NS_PER_SECOND);
    site_wait(site, 3 * NS_PER_SECOND);
    struct talker *late = site_talker(site, 2, false);
    expect_part(answer_to(site, late, "KEYSPACE DESCRIBE f\r\n"), "ttl\r\n:5000\r\n");
    expect_dialogue(site, late, "FLUSHALL\r\nGET k\r\nDBSIZE\r\nSET k w\r\n",
                    "+OK\r\n$-1\r\n:0\r\n+OK\r\n");
    expect_dialogue(site, t, "GET k\r\nDBSIZE\r\nKEYSPACE LIST\r\n",
                    "$1\r\nw\r\n:1\r\n*2\r\n$7\r\ndefault\r\n$1\r\nf\r\n");
    site_free(site);
}

static bool is_active(const struct site *site, const char *name) {
    const struct map *map = node_map(cluster_node(&site->cluster, 0));
    uint32_t place = keyspace_find(map->keyspaces, slice_of_string(name));
    return place < KEYSPACES_MAX && map->keyspaces[place].state == KEYSPACE_ACTIVE;
}

// One that hangs counts as up for a while. Until it knows better it would go on showing what it
// has, and it may hold keys that stand in the way.
static void a_change_is_answered_when_everybody_has_heard(void **state) {
    (void)state;
    struct site *site = site_new(3, NULL);
    struct machine *hanging = site->cluster.processes[2].machine;
    struct talker *t = site_talker(site, 0, false);
    expect_dialogue(site, t, "SET k v\r\n", "+OK\r\n");
    static const char *const changes[] = {"FLUSHALL\r\n", "KEYSPACE CREATE f\r\n",
                                          "KEYSPACE DROP f\r\n"};
    for (uint32_t i = 0; i < 3; i++) {
        machine_pause(hanging);
        talker_say(t, changes[i], strlen(changes[i]));
        site_wait(site, 800 * NS_PER_MS);
        assert_int_equal(t->heard_size, 0);
        if (i == 1) assert_false(is_active(site, "f"));
        machine_resume(hanging);
        talker_wait(site, t, 5);
        assert_memory_equal(t->heard, "+OK\r\n", 5);
        site_wait(site, 3 * NS_PER_SECOND);
    }
    site_free(site);
}

// A key that stands in the way is refused while that is not known, and never said not to be there.
static void what_stands_in_the_way_is_not_denied(void **state) {
    (void)state;
    struct site *site = site_new(1, NULL);
    struct talker *admin = site_talker(site, 0, false);
    struct talker *t = site_talker(site, 0, false);
    expect_dialogue(site, t, "SET a:1 x\r\n", "+OK\r\n");
    talker_say(admin, "KEYSPACE CREATE a\r\n", 19);
    uint32_t refused = 0;
    while (admin->heard_size == 0) {
        talker_say(t, "GET a:1\r\n", 9);
        talker_wait(site, t, 7);
        t->heard[t->heard_size] = '\0';
        const char *heard = (const char *)t->heard;
        if (strncmp(heard, "-BUSY", 5) == 0) {
            refused++;
        } else {
            assert_string_equal(heard, "$1\r\nx\r\n");
        }
    }
    assert_true(refused > 0);
    talker_wait(site, admin, strlen(CREATE_HAS_KEYS));
    assert_memory_equal(admin->heard, CREATE_HAS_KEYS, strlen(CREATE_HAS_KEYS));
    expect_dialogue(site, t, "GET a:1\r\n", "$1\r\nx\r\n");
    site_free(site);
}

static bool is_coming(struct site *site) {
    for (uint32_t i = 0; i < 2; i++) {
        const struct map *map = node_map(cluster_node(&site->cluster, i));
        if (keyspace_find(map->keyspaces, SLICE("a")) == KEYSPACES_MAX) return false;
    }
    return true;
}

// A member that loses its disk while a keyspace comes has to fetch keys that stand in the way
// before it has a vote, and its vote is needed to say that they do.
static void a_member_mends_while_a_keyspace_comes(void **state) {
    (void)state;
    struct site *site = site_new(2, NULL);
    struct talker *t = site_talker(site, 0, false);
    expect_dialogue(site, t, "SET a:1 x\r\n", "+OK\r\n");
    talker_say(t, "KEYSPACE CREATE a\r\n", 19);
    uint64_t until = world_now(site->world) + NS_PER_SECOND;
    while (!is_coming(site)) assert_true(world_step(site->world, until));
    cluster_kill(&site->cluster, 1);
    machine_wipe(site->cluster.processes[1].machine);
    cluster_start(&site->cluster, 1);
    site_have_replaced(site, 0, "n2");
    until = world_now(site->world) + 60 * NS_PER_SECOND;
    while (!cluster_is_serving(&site->cluster, 1)) assert_true(world_step(site->world, until));
    const struct node *node = cluster_node(&site->cluster, 1);
    while (node_member(node, 1)->state != MEMBER_SERVING) {
        assert_true(world_step(site->world, until));
    }
    // Its word counts, and nobody has decided yet.
    assert_true(is_coming(site));
    uint32_t cell = cell_of(slot_of(SLICE("a:1")), KEYSPACE_DEFAULT);
    assert_int_equal(node_cell(node, cell).live_count, 1);
    site_wait(site, 60 * NS_PER_SECOND);
    struct talker *mended = site_talker(site, 1, false);
    expect_dialogue(site, mended, "KEYSPACE LIST\r\nGET a:1\r\n",
                    "*1\r\n$7\r\ndefault\r\n$1\r\nx\r\n");
    site_free(site);
}

// What is in tables, and so how.

enum { VALUE_SIZE = 3000, SEEN = 100 };

static void flush_often(struct node_options *node, struct server_options *server) {
    (void)server;
    node->store.flush_size = 1;
    node->store.codec = CODEC_LZ4;
}

// Whether the last table has so many of the letter in a row: no block that was compressed has.
static bool is_plain(const struct site *site, char letter) {
    static uint8_t bytes[1 << 20];
    uint8_t names[8192];
    const struct machine *machine = site->cluster.processes[0].machine;
    uint32_t size = machine_durable_names(machine, names, sizeof(names));
    const char *last = "table-";
    for (uint32_t at = 0; at < size; at += (uint32_t)strlen((const char *)names + at) + 1) {
        const char *name = (const char *)names + at;
        if (strncmp(name, "table-", 6) == 0 && strcmp(name, last) > 0) last = name;
    }
    int64_t found = machine_durable_read(machine, last, 0, bytes, sizeof(bytes));
    assert_in_range(found, 1, sizeof(bytes) - 1);
    int64_t row = 0;
    for (int64_t i = 0; i < found && row < SEEN; i++)
        row = bytes[i] == (uint8_t)letter ? row + 1 : 0;
    return row == SEEN;
}

// Writes a key of each keyspace, and has all that there is merged. `plain`: letters of those of
// which blocks are not compressed.
static void expect_plain(struct site *site, struct talker *t, const char *plain) {
    static const char *const keys[] = {"a:1", "b:1", "c:1", "d"};
    char words[VALUE_SIZE + 32];
    for (uint32_t i = 0; i < 4; i++) {
        int size = snprintf(words, sizeof(words), "SET %s ", keys[i]);
        memset(words + size, keys[i][0], VALUE_SIZE);
        memcpy(words + size + VALUE_SIZE, "\r\n", 3);
        expect_dialogue(site, t, words, "+OK\r\n");
    }
    site_wait(site, 3 * NS_PER_SECOND);
    expect_dialogue(site, t, "QUOIT COMPACT\r\n", "+OK\r\n");
    site_wait(site, 10 * NS_PER_SECOND);
    for (uint32_t i = 0; i < 4; i++) {
        char letter = keys[i][0];
        bool expected = strchr(plain, letter) != NULL;
        if (is_plain(site, letter) != expected) fail_msg("%c is plain: %d", letter, !expected);
    }
}

static struct talker *restarted(struct site *site) {
    cluster_kill(&site->cluster, 0);
    site_wait(site, NS_PER_SECOND);
    cluster_start(&site->cluster, 0);
    while (!site_is_serving(site)) site_wait(site, NS_PER_SECOND);
    return site_talker(site, 0, false);
}

static const struct line compressions[] = {
    {"KEYSPACE CREATE a COMPRESSION zstd\r\nKEYSPACE CREATE b COMPRESSION NONE\r\n",
     "+OK\r\n+OK\r\n"},
    {"KEYSPACE CREATE c COMPRESSION lz4 TTL 0\r\n", "+OK\r\n"},
};

#define SHOWN(size, word) "compression\r\n$" #size "\r\n" word "\r\n"

static void tables_are_compressed_as_keyspaces_say(void **state) {
    (void)state;
    struct site *site = site_new(1, flush_often);
    struct talker *t = site_talker(site, 0, false);
    EXPECT_LINES(site, t, compressions);
    expect_part(answer_to(site, t, "KEYSPACE DESCRIBE a\r\n"), SHOWN(4, "zstd"));
    expect_part(answer_to(site, t, "KEYSPACE DESCRIBE b\r\n"), SHOWN(4, "none"));
    expect_part(answer_to(site, t, "KEYSPACE DESCRIBE c\r\n"), SHOWN(3, "lz4"));
    expect_plain(site, t, "b");
    // With keys in them; what is not said stays.
    expect_dialogue(site, t,
                    "KEYSPACE ALTER a COMPRESSION none\r\nKEYSPACE ALTER b TTL 9000000\r\n",
                    "+OK\r\n+OK\r\n");
    expect_part(answer_to(site, t, "KEYSPACE DESCRIBE b\r\n"), SHOWN(4, "none"));
    expect_plain(site, t, "ab");
    expect_dialogue(site, t, "KEYSPACE ALTER default COMPRESSION none\r\n", "+OK\r\n");
    expect_dialogue(site, t, "KEYSPACE ALTER b COMPRESSION zstd\r\n", "+OK\r\n");
    t = restarted(site);
    expect_part(answer_to(site, t, "KEYSPACE DESCRIBE b\r\n"), SHOWN(4, "zstd"));
    expect_plain(site, t, "ad");
    // Under new numbers it is as before.
    expect_dialogue(site, t, "FLUSHALL\r\nDBSIZE\r\n", "+OK\r\n:0\r\n");
    expect_plain(site, t, "ad");
    expect_dialogue(site, t, "DEL a:1\r\nKEYSPACE DROP a\r\n", ":1\r\n+OK\r\n");
    expect_plain(site, t, "ad"); // now of `default`
    expect_dialogue(site, t, "KEYSPACE ALTER default COMPRESSION lz4\r\n", "+OK\r\n");
    expect_plain(site, t, "");
    site_free(site);
}

int keyspace_session_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(definitions_are_made_shown_and_refused),
        cmocka_unit_test(keys_are_never_where_nobody_looks),
        cmocka_unit_test(keys_follow_the_rules_of_their_keyspace),
        cmocka_unit_test(a_range_is_within_one_keyspace),
        cmocka_unit_test(all_members_agree),
        cmocka_unit_test(who_is_away_is_waited_for_where_it_matters),
        cmocka_unit_test(a_change_is_answered_when_everybody_has_heard),
        cmocka_unit_test(what_stands_in_the_way_is_not_denied),
        cmocka_unit_test(a_member_mends_while_a_keyspace_comes),
        cmocka_unit_test(tables_are_compressed_as_keyspaces_say),
    };
    return cmocka_run_group_tests_name("keyspace_session", cases, NULL, NULL);
}
