// SPDX-License-Identifier: Apache-2.0
//
// What clients see of concurrent values, and replace by the contexts that they are given.
#include "sim/session_case.h"

// Says the words, and puts the context of the reply into `token`.
static void say(struct site *site, struct talker *t, const char *words, char token[TOKEN_MAX]) {
    talker_say(t, words, strlen(words));
    site_wait(site, NS_PER_SECOND);
    talker_context(t, token);
}

static bool has_heard(const struct talker *t, const char *text) {
    return strstr((const char *)t->heard, text) != NULL;
}

static void concurrent_values_are_seen_and_replaced(void **state) {
    (void)state;
    struct site *site = site_new(3, NULL);
    struct talker *t = site_talker(site, 0, false);
    char token[TOKEN_MAX];
    char words[2 * TOKEN_MAX];
    say(site, t, "KV.PUT k one\r\n", token);
    assert_true(has_heard(t, "values\r\n:1\r\n"));
    say(site, t, "KV.PUT k two\r\n", token);
    assert_true(has_heard(t, "values\r\n:2\r\n"));
    say(site, t, "KV.GET k\r\n", token);
    assert_true(has_heard(t, "$3\r\none\r\n"));
    assert_true(has_heard(t, "$3\r\ntwo\r\n"));
    (void)snprintf(words, sizeof(words), "KV.PUT other three CONTEXT %s\r\n", token);
    expect_dialogue(site, t, words,
                    "-BADCONTEXT the context is not of this key and cluster; not done\r\n");
    // Least of all is an empty one the same as none, which would delete everything.
    expect_dialogue(site, t, "KV.DEL k CONTEXT \"\"\r\nKV.PUT k four CONTEXT \"\"\r\n",
                    "-BADCONTEXT the context is not of this key and cluster; not done\r\n"
                    "-BADCONTEXT the context is not of this key and cluster; not done\r\n");
    (void)snprintf(words, sizeof(words), "KV.PUT k three CONTEXT %s\r\n", token);
    say(site, t, words, token);
    assert_true(has_heard(t, "values\r\n:1\r\n"));
    expect_dialogue(site, t, "GET k\r\n", "$5\r\nthree\r\n");
    say(site, t, "KV.DEL k\r\n", token);
    assert_true(has_heard(t, "values\r\n:0\r\n"));
    expect_dialogue(site, t, "GET k\r\n", "$-1\r\n");
    site_free(site);
}

// A later tombstone beside a value hides it from GET, and DEL counts what GET shows; but it leaves
// nothing.
static void what_nobody_sees_is_deleted_too(void **state) {
    (void)state;
    struct site *site = site_new(3, NULL);
    struct talker *t = site_talker(site, 0, false);
    char token[TOKEN_MAX];
    char other[TOKEN_MAX];
    char words[2 * TOKEN_MAX];
    say(site, t, "KV.PUT k one\r\n", token);
    say(site, t, "KV.PUT k two\r\n", other);
    (void)snprintf(words, sizeof(words), "KV.DEL k CONTEXT %s\r\n", token);
    say(site, t, words, other);
    expect_dialogue(site, t, "GET k\r\n", "$-1\r\n");
    say(site, t, "KV.GET k\r\n", token);
    assert_true(has_heard(t, "$3\r\ntwo\r\n"));
    expect_dialogue(site, t, "DEL k\r\nDEL k\r\n", ":0\r\n:0\r\n");
    say(site, t, "KV.GET k\r\n", token);
    assert_true(has_heard(t, "values\r\n*0\r\n"));
    site_free(site);
}

// A writer goes on with what its write answered, and never replaces what it has not seen; whichever
// member it asks, of four, of which three hold the key.
static void a_write_says_what_the_next_may_replace(void **state) {
    (void)state;
    struct site *site = site_new(4, NULL);
    char token[TOKEN_MAX];
    char other[TOKEN_MAX];
    char words[2 * TOKEN_MAX];
    for (uint32_t member = 0; member < 4; member++) {
        struct talker *t = site_talker(site, member, false);
        char key[8];
        (void)snprintf(key, sizeof(key), "key%u", member);
        (void)snprintf(words, sizeof(words), "KV.PUT %s first\r\n", key);
        say(site, t, words, token);
        // Alone with the key: each replaces its own.
        (void)snprintf(words, sizeof(words), "KV.PUT %s second CONTEXT %s\r\n", key, token);
        say(site, t, words, token);
        assert_true(has_heard(t, "values\r\n:1\r\n"));
        // Somebody else, who knows nothing of it, comes between.
        (void)snprintf(words, sizeof(words), "KV.PUT %s theirs\r\n", key);
        say(site, t, words, other);
        assert_true(has_heard(t, "values\r\n:2\r\n"));
        (void)snprintf(words, sizeof(words), "KV.PUT %s third CONTEXT %s\r\n", key, token);
        say(site, t, words, token);
        assert_true(has_heard(t, "values\r\n:2\r\n"));
        // The same member wrote theirs before, so that the context cannot cover "third" without it.
        (void)snprintf(words, sizeof(words), "KV.PUT %s fourth CONTEXT %s\r\n", key, token);
        say(site, t, words, token);
        (void)snprintf(words, sizeof(words), "KV.GET %s\r\n", key);
        say(site, t, words, token);
        assert_true(has_heard(t, "$6\r\ntheirs\r\n"));
        assert_true(has_heard(t, "$6\r\nfourth\r\n"));
        assert_false(has_heard(t, "$6\r\nsecond\r\n"));
    }
    site_free(site);
}

static void a_value_names_the_member_that_wrote_it(void **state) {
    (void)state;
    struct site *site = site_new(3, NULL);
    for (uint32_t member = 0; member < 3; member++) {
        struct talker *t = site_talker(site, member, false);
        char token[TOKEN_MAX];
        char words[TOKEN_MAX];
        (void)snprintf(words, sizeof(words), "KV.PUT key%u v PX 50000\r\n", member);
        say(site, t, words, token);
        (void)snprintf(words, sizeof(words), "HELLO 3\r\nKV.GET key%u\r\n", member);
        say(site, t, words, token);
        const char *name = site->cluster.processes[member].name;
        (void)snprintf(words, sizeof(words), "origin\r\n$%zu\r\n%s\r\n", strlen(name), name);
        assert_true(has_heard(t, words));
        assert_true(has_heard(t, "%4\r\n$5\r\nvalue\r\n$1\r\nv\r\n$4\r\ntime\r\n:"));
        assert_true(has_heard(t, "$3\r\nttl\r\n:4"));
    }
    site_free(site);
}

int kv_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(concurrent_values_are_seen_and_replaced),
        cmocka_unit_test(a_write_says_what_the_next_may_replace),
        cmocka_unit_test(a_value_names_the_member_that_wrote_it),
        cmocka_unit_test(what_nobody_sees_is_deleted_too),
    };
    return cmocka_run_group_tests_name("kv", cases, NULL, NULL);
}
