// SPDX-License-Identifier: Apache-2.0
//
// Commands for operators and for programs that look around, to the byte where Redis has one.
#include "sim/session_case.h"

static const struct line words[] = {
    {"ROLE\r\n", "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n"},
    {"REPLICAOF NO ONE\r\n", "+OK\r\n"},
    {"SLAVEOF no one\r\n", "+OK\r\n"},
    {"REPLICAOF host 1\r\n", "-ERR REPLICAOF not allowed in cluster mode.\r\n"},
    {"SAVE\r\n", "+OK\r\n"},
    {"BGSAVE\r\n", "+Background saving started\r\n"},
    {"BGSAVE SCHEDULE\r\n", "+Background saving started\r\n"},
    {"BGSAVE foo\r\n", "-ERR syntax error\r\n"},
    {"LOLWUT VERSION x\r\n", "-ERR value is not an integer or out of range\r\n"},
    {"MODULE LIST\r\n", "*0\r\n"},
    {"MODULE LOAD x\r\n", "-ERR unknown subcommand 'LOAD'. Try MODULE HELP.\r\n"},
    {"MEMORY PURGE\r\n", "+OK\r\n"},
    {"ACL WHOAMI\r\n", "$7\r\ndefault\r\n"},
    {"ACL USERS\r\n", "*1\r\n$7\r\ndefault\r\n"},
    {"ACL LIST\r\n", "*1\r\n$34\r\nuser default on nopass ~* &* +@all\r\n"},
    {"ACL CAT foo\r\n", "-ERR Unknown category 'foo'\r\n"},
    {"ACL GENPASS x\r\n", "-ERR value is not an integer or out of range\r\n"},
    {"ACL GENPASS 0\r\n", "-ERR ACL GENPASS argument must be the number of bits for the output "
                          "password, a positive number up to 4096\r\n"},
    {"ACL GENPASS 4097\r\n", "-ERR ACL GENPASS argument must be the number of bits for the output "
                             "password, a positive number up to 4096\r\n"},
    {"ACL SETUSER x\r\n", "-ERR unknown subcommand 'SETUSER'. Try ACL HELP.\r\n"},
    {"DEBUG SLEEP 1\r\n",
     "-ERR DEBUG command not allowed: start the node with debug-commands = yes\r\n"},
};

static void says_what_redis_says_where_it_can(void **state) {
    (void)state;
    struct site *site = site_new(1, NULL);
    struct talker *t = site_talker(site, 0, false);
    EXPECT_LINES(site, t, words);
    uint64_t saved = integer_in(answer_to(site, t, "LASTSAVE\r\n"), 0);
    uint64_t wall_s = machine_env(site->cluster.processes[0].machine)->wall_ms / 1000;
    assert_in_range(saved, wall_s - 2, wall_s);
    assert_in_range(info_number(site, t, "INFO\r\n", "rdb_last_save_time"), saved, saved + 2);
    expect_part(answer_to(site, t, "LOLWUT\r\n"), "Quoit simulated\n");
    expect_part(answer_to(site, t, "BGREWRITEAOF\r\n"), "-ERR not supported: the log is shortened");
    expect_part(answer_to(site, t, "CONFIG REWRITE\r\n"),
                "-ERR not supported: what CONFIG SET changes");
    expect_part(answer_to(site, t, "MEMORY STATS\r\n"), "$13\r\ndataset.bytes\r\n:");
    expect_part(answer_to(site, t, "HELLO 3\r\nMEMORY DOCTOR\r\n"),
                "txt:All memory is taken at start");
    site_free(site);
}

static void now_and_then(struct node_options *node, struct server_options *server) {
    (void)server;
    node->store.sync_interval_ns = 5 * NS_PER_SECOND;
}

// What was written a moment ago is not on the disk, and nobody says it were.
static void what_is_not_saved_is_not_said_to_be(void **state) {
    (void)state;
    struct site *site = site_new(1, now_and_then);
    struct talker *t = site_talker(site, 0, false);
    expect_part(answer_to(site, t, "SAVE\r\n"),
                "-ERR not supported with this durability: what is written "
                "is on the disk after 5000 ms");
    uint64_t saved = integer_in(answer_to(site, t, "LASTSAVE\r\n"), 0);
    uint64_t wall_s = machine_env(site->cluster.processes[0].machine)->wall_ms / 1000;
    assert_in_range(saved, wall_s - 8, wall_s - 5);
    site_free(site);
}

// Passwords have the bits that were asked for, and no two are the same.
static void passwords_are_made(void **state) {
    (void)state;
    static const struct {
        const char *words;
        size_t digits;
    } sizes[] = {{"ACL GENPASS\r\n", 64}, {"ACL GENPASS 5\r\n", 2}, {"ACL GENPASS 4096\r\n", 1024}};
    struct site *site = site_new(1, NULL);
    struct talker *t = site_talker(site, 0, false);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        const char *heard = answer_to(site, t, sizes[i].words);
        size_t size = strtoul(heard + 1, NULL, 10);
        assert_int_equal(size, sizes[i].digits);
        assert_int_equal(strspn(strchr(heard, '\n') + 1, "0123456789abcdef"), size);
    }
    const char *heard = answer_to(site, t, "ACL GENPASS\r\nACL GENPASS\r\n");
    assert_memory_not_equal(heard + 5, heard + 5 + 64 + 2 + 5, 64);
    site_free(site);
}

static void with_password(struct node_options *node, struct server_options *server) {
    (void)node;
    server->password = "sesame";
}

static void passwords_are_not_shown(void **state) {
    (void)state;
    struct site *site = site_new(1, with_password);
    struct talker *t = site_talker(site, 0, false);
    expect_dialogue(site, t, "AUTH sesame\r\nACL LIST\r\n",
                    "+OK\r\n*1\r\n$27\r\nuser default on ~* &* +@all\r\n");
    site_free(site);
}

static void with_debug(struct node_options *node, struct server_options *server) {
    (void)node;
    server->has_debug = true;
}

static void all_clients_wait_where_tests_want_it(void **state) {
    (void)state;
    struct site *site = site_new(1, with_debug);
    struct talker *t = site_talker(site, 0, false);
    struct talker *other = site_talker(site, 0, false);
    static const char *const bad[] = {"x", "1.2345", "-1", ".1.", "9999999999"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char said[64];
        (void)snprintf(said, sizeof(said), "DEBUG SLEEP %s\r\n", bad[i]);
        expect_dialogue(site, t, said, "-ERR value is not a valid float\r\n");
    }
    expect_dialogue(site, other, "PING\r\n", "+PONG\r\n");
    talker_say(t, "SET k v\r\nDEBUG SLEEP 2.5\r\nPING\r\n", 32);
    site_wait(site, NS_PER_SECOND);
    talker_say(other, "PING\r\n", 6);
    site_wait(site, NS_PER_SECOND);
    assert_int_equal(other->heard_size, 0);
    assert_int_equal(t->heard_size, 5);
    site_wait(site, NS_PER_SECOND);
    assert_int_equal(other->heard_size, 7);
    assert_int_equal(t->heard_size, 17);
    assert_memory_equal(t->heard, "+OK\r\n+OK\r\n+PONG\r\n", 17);
    // Who hangs up asleep does not keep the node from stopping.
    talker_say(t, "DEBUG SLEEP 3600\r\n", 18);
    site_wait(site, NS_PER_SECOND);
    talker_say(other, "DEBUG SLEEP 3600\r\n", 18); // nor does who would sleep after him
    site_wait(site, NS_PER_SECOND);
    cluster_stop(&site->cluster, 0);
    site_wait(site, 3 * NS_PER_SECOND);
    assert_int_equal(site->cluster.processes[0].state, PROCESS_DOWN);
    assert_memory_equal(t->heard, "+OK\r\n", 5);
    site_free(site);
}

// COMMAND.

static const struct line commands[] = {
    {"COMMAND GETKEYSANDFLAGS GET a\r\n", "*1\r\n*2\r\n$1\r\na\r\n*2\r\n+RO\r\n+access\r\n"},
    {"COMMAND GETKEYSANDFLAGS STRLEN a\r\n", "*1\r\n*2\r\n$1\r\na\r\n*1\r\n+RO\r\n"},
    {"COMMAND GETKEYSANDFLAGS MSET a 1 b 2\r\n",
     "*2\r\n*2\r\n$1\r\na\r\n*2\r\n+OW\r\n+update\r\n*2\r\n$1\r\nb\r\n*2\r\n+OW\r\n+update\r\n"},
    {"COMMAND GETKEYSANDFLAGS SET a 1 NX GET\r\n",
     "*1\r\n*2\r\n$1\r\na\r\n*3\r\n+RW\r\n+access\r\n+update\r\n"},
    {"COMMAND GETKEYSANDFLAGS DEL a\r\n", "*1\r\n*2\r\n$1\r\na\r\n*2\r\n+RM\r\n+delete\r\n"},
    {"COMMAND GETKEYSANDFLAGS NOSUCH a\r\n", "-ERR Invalid command specified\r\n"},
    {"COMMAND GETKEYS MEMORY USAGE a\r\n", "*1\r\n$1\r\na\r\n"},
    {"COMMAND LIST FILTERBY MODULE foo\r\n", "*0\r\n"},
    {"COMMAND LIST FILTERBY ACLCAT foo\r\n", "*0\r\n"},
    {"COMMAND LIST FILTERBY PATTERN config|?et\r\n",
     "*2\r\n$10\r\nconfig|get\r\n$10\r\nconfig|set\r\n"},
    {"COMMAND LIST FILTERBY PATTERN\r\n", "-ERR syntax error\r\n"},
    {"COMMAND LIST FOO\r\n", "-ERR syntax error\r\n"},
    {"COMMAND LIST FILTERBY FOO x\r\n", "-ERR syntax error\r\n"},
    {"COMMAND INFO nosuch\r\n", "*1\r\n$-1\r\n"},
    {"COMMAND INFO get\r\n", "*1\r\n*10\r\n$3\r\nget\r\n:2\r\n*2\r\n+readonly\r\n+fast\r\n:1\r\n:"
                             "1\r\n:1\r\n*3\r\n+@read\r\n"
                             "+@string\r\n+@fast\r\n*0\r\n*0\r\n*0\r\n"},
    {"ACL CAT\r\n",
     "*10\r\n$8\r\nkeyspace\r\n$4\r\nread\r\n$5\r\nwrite\r\n$6\r\nstring\r\n$"
     "5\r\nadmin\r\n$4\r\nfast"
     "\r\n$4\r\nslow\r\n$9\r\ndangerous\r\n$10\r\nconnection\r\n$11\r\ntransaction\r\n"},
};

static void commands_are_told_of(void **state) {
    (void)state;
    struct site *site = site_new(1, NULL);
    struct talker *t = site_talker(site, 0, false);
    EXPECT_LINES(site, t, commands);
    expect_part(answer_to(site, t, "COMMAND LIST\r\n"), "\r\n$9\r\nclient|id\r\n");
    char listed[8192];
    const char *heard = answer_to(site, t, "COMMAND LIST FILTERBY ACLCAT string\r\n");
    expect_part(heard, "\r\n$5\r\nsetnx\r\n");
    assert_null(strstr(heard, "exists"));
    (void)snprintf(listed, sizeof(listed), "%s", heard);
    assert_string_equal(answer_to(site, t, "ACL CAT String\r\n"), listed);
    site_free(site);
}

// Keys of a slot.

static const struct line slot_faults[] = {
    {"CLUSTER COUNTKEYSINSLOT x\r\n", "-ERR value is not an integer or out of range\r\n"},
    {"CLUSTER COUNTKEYSINSLOT -1\r\n", "-ERR Invalid slot\r\n"},
    {"CLUSTER COUNTKEYSINSLOT 16384\r\n", "-ERR Invalid slot\r\n"},
    {"CLUSTER GETKEYSINSLOT 1 x\r\n", "-ERR value is not an integer or out of range\r\n"},
    {"CLUSTER GETKEYSINSLOT 16384 1\r\n", "-ERR Invalid slot or number of keys\r\n"},
    {"CLUSTER GETKEYSINSLOT 0 -1\r\n", "-ERR Invalid slot or number of keys\r\n"},
    {"CLUSTER GETKEYSINSLOT 0 100\r\n", "*0\r\n"},
    {"CLUSTER GETKEYSINSLOT 16383 100\r\n", "*0\r\n"},
};

static void expect_slot_keys(struct site *site, struct talker *t, unsigned slot, int count,
                             int expected) {
    char said[64];
    static char answer[32 * 1024];
    (void)snprintf(said, sizeof(said), "CLUSTER GETKEYSINSLOT %u %d\r\n", slot, count);
    int size = sprintf(answer, "*%d\r\n", expected);
    for (int i = 0; i < expected; i++) size += sprintf(answer + size, "$8\r\n{tag}%03d\r\n", i);
    expect_dialogue(site, t, said, answer);
}

static void keys_of_a_slot_are_listed(void **state) {
    (void)state;
    enum { KEYS = 700 };
    unsigned slot = slot_of(SLICE("tag"));
    for (uint32_t members = 1; members <= 5; members += 4) {
        struct site *site = site_new(members, NULL);
        struct talker *t = site_talker(site, 0, false);
        EXPECT_LINES(site, t, slot_faults);
        for (int i = 0; i < KEYS; i++) {
            char said[64];
            (void)snprintf(said, sizeof(said), "SET {tag}%03d v\r\nSET other%d v\r\n", i, i);
            expect_dialogue(site, t, said, "+OK\r\n+OK\r\n");
        }
        for (uint32_t i = 0; i < members; i++) {
            t = site_talker(site, i, i % 2 == 0);
            expect_slot_keys(site, t, slot, 10, 10);
            expect_slot_keys(site, t, slot, KEYS - 1, KEYS - 1);
            expect_slot_keys(site, t, slot, 100000, KEYS);
            expect_slot_keys(site, t, slot, 0, 0);
        }
        site_free(site);
    }
}

// INFO: the sections that were asked for, with the fields that tools look for.

static void info_has_what_tools_look_for(void **state) {
    (void)state;
    static const char *const fields[] = {
        "redis_version",
        "redis_mode",
        "server_name",
        "arch_bits",
        "process_id",
        "run_id",
        "tcp_port",
        "uptime_in_seconds",
        "connected_clients",
        "maxclients",
        "blocked_clients",
        "used_memory",
        "used_memory_human",
        "used_memory_rss",
        "used_memory_peak",
        "maxmemory",
        "maxmemory_policy",
        "mem_fragmentation_ratio",
        "loading",
        "rdb_last_save_time",
        "rdb_last_bgsave_status",
        "aof_enabled",
        "total_connections_received",
        "total_commands_processed",
        "instantaneous_ops_per_sec",
        "total_net_input_bytes",
        "total_net_output_bytes",
        "instantaneous_input_kbps",
        "instantaneous_output_kbps",
        "rejected_connections",
        "evicted_keys",
        "keyspace_hits",
        "keyspace_misses",
        "role",
        "connected_slaves",
        "used_cpu_sys",
        "used_cpu_user",
        "cluster_enabled",
        "errorstat_ERR",
        "cmdstat_get",
        "latency_percentiles_usec_get",
        "db0",
    };
    struct site *site = site_new(1, NULL);
    struct talker *t = site_talker(site, 0, false);
    expect_dialogue(
        site, t, "SET k v\r\nGET k\r\nNOSUCH\r\n",
        "+OK\r\n$1\r\nv\r\n-ERR unknown command 'NOSUCH', with args beginning with: \r\n");
    const char *heard = answer_to(site, t, "INFO everything\r\n");
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        char start[64];
        (void)snprintf(start, sizeof(start), "\n%s:", fields[i]);
        expect_part(heard, start);
    }
    expect_part(heard, "\ncmdstat_get:calls=1,usec=");
    expect_part(heard, "\nerrorstat_ERR:count=1\r\n");
    expect_part(heard, "\ndb0:keys=1,");
    heard = answer_to(site, t, "INFO cpu Replication\r\n");
    expect_part(heard, "# Replication\r\nrole:master\r\n");
    expect_part(heard, "\r\n\r\n# CPU\r\nused_cpu_sys:");
    assert_null(strstr(heard, "# Server"));
    heard = answer_to(site, t, "INFO\r\n");
    expect_part(heard, "# Server\r\n");
    assert_null(strstr(heard, "cmdstat_"));
    expect_dialogue(site, t, "INFO foo\r\n", "$0\r\n\r\n");
    site_free(site);
}

int administration_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(says_what_redis_says_where_it_can),
        cmocka_unit_test(what_is_not_saved_is_not_said_to_be),
        cmocka_unit_test(passwords_are_made),
        cmocka_unit_test(passwords_are_not_shown),
        cmocka_unit_test(all_clients_wait_where_tests_want_it),
        cmocka_unit_test(commands_are_told_of),
        cmocka_unit_test(keys_of_a_slot_are_listed),
        cmocka_unit_test(info_has_what_tools_look_for),
    };
    return cmocka_run_group_tests_name("administration", cases, NULL, NULL);
}
