// SPDX-License-Identifier: Apache-2.0
//
// KV.RANGE and SCAN as clients see them, in a cluster of three: bounds, limits, going on, and
// members that hold different things.
#include "base/text.h"
#include "node/node.h"
#include "sim/session_case.h"

enum { KEYS = 400, NAME_MAX = 24, TEXT_SIZE = 3 * 1024 * 1024 };

static void bounds_are_inclusive_exclusive_or_open(void **state) {
    (void)state;
    struct site *site = site_new(3, NULL);
    struct talker *t = site_talker(site, 0, false);
    expect_dialogue(site, t,
                    "MSET {t}a 1 {t}b 2 {t}bb 3 {t}c 4 ~{t} 5 t 6 {u}b 7\r\nDEL {t}c\r\n"
                    "SET {x}d 8 PX 100\r\nSET {t}e 9\r\n",
                    "+OK\r\n:1\r\n+OK\r\n+OK\r\n");
    expect_dialogue(site, t, "KV.RANGE x - +\r\n",
                    "*2\r\n$-1\r\n*1\r\n*2\r\n$4\r\n{x}d\r\n$1\r\n8\r\n");
    site_wait(site, NS_PER_SECOND);
    expect_dialogue(site, t, "KV.RANGE x - +\r\n", "*2\r\n$-1\r\n*0\r\n"); // by its own clock
    for (uint32_t member = 0; member < 3; member++) {
        t = site_talker(site, member, false);
#define PAIR(key, value) "*2\r\n$" key "\r\n$1\r\n" value "\r\n"
#define A PAIR("4\r\n{t}a", "1")
#define B PAIR("4\r\n{t}b", "2")
#define BB PAIR("5\r\n{t}bb", "3")
#define E PAIR("4\r\n{t}e", "9")
#define X PAIR("4\r\n~{t}", "5")
        expect_dialogue(site, t, "KV.RANGE t - +\r\n", "*2\r\n$-1\r\n*5\r\n" A B BB E X);
        expect_dialogue(site, t, "KV.RANGE t + - REVERSE\r\n", "*2\r\n$-1\r\n*5\r\n" X E BB B A);
        expect_dialogue(site, t, "KV.RANGE t [{t}a [{t}bb\r\n", "*2\r\n$-1\r\n*3\r\n" A B BB);
        expect_dialogue(site, t, "KV.RANGE t ({t}a ({t}bb\r\n", "*2\r\n$-1\r\n*1\r\n" B);
        expect_dialogue(site, t, "KV.RANGE t [{t}bb ({t}a REVERSE\r\n", "*2\r\n$-1\r\n*2\r\n" BB B);
        expect_dialogue(site, t, "KV.RANGE t ({t}bb [{t}a reverse\r\n", "*2\r\n$-1\r\n*2\r\n" B A);
        expect_dialogue(site, t, "KV.RANGE t ({t}b +\r\n", "*2\r\n$-1\r\n*3\r\n" BB E X);
        expect_dialogue(site, t, "KV.RANGE t [{t}aa [{t}ba\r\n", "*2\r\n$-1\r\n*1\r\n" B);
        expect_dialogue(site, t, "KV.RANGE t - + LIMIT 2\r\n", "*2\r\n$5\r\n({t}b\r\n*2\r\n" A B);
        expect_dialogue(site, t, "KV.RANGE t ({t}b + LIMIT 2\r\n",
                        "*2\r\n$5\r\n({t}e\r\n*2\r\n" BB E);
        expect_dialogue(site, t, "KV.RANGE t ({t}e - REVERSE LIMIT 1\r\n",
                        "*2\r\n$6\r\n({t}bb\r\n*1\r\n" BB);
        expect_dialogue(site, t,
                        "KV.RANGE t + +\r\nKV.RANGE t - -\r\nKV.RANGE t - + REVERSE\r\n"
                        "KV.RANGE t [{t}c [{t}b\r\nKV.RANGE nobody - +\r\n",
                        "*2\r\n$-1\r\n*0\r\n*2\r\n$-1\r\n*0\r\n*2\r\n$-1\r\n*0\r\n"
                        "*2\r\n$-1\r\n*0\r\n*2\r\n$-1\r\n*0\r\n");
    }
    // What stands before it in a pipeline is seen, what comes behind is not.
    expect_dialogue(site, t, "SET {p}a 1\r\nKV.RANGE p - +\r\nSET {p}b 2\r\n",
                    "+OK\r\n*2\r\n$-1\r\n*1\r\n" PAIR("4\r\n{p}a", "1") "+OK\r\n");
    expect_dialogue(site, t, "DEL {p}a\r\nKV.RANGE p - +\r\n",
                    ":1\r\n*2\r\n$-1\r\n*1\r\n" PAIR("4\r\n{p}b", "2"));
    talker_say(t, "HELLO 3\r\n", 9);
    site_wait(site, NS_PER_SECOND);
    expect_dialogue(site, t, "KV.RANGE nobody - +\r\n", "*2\r\n_\r\n*0\r\n");
    site_free(site);
}

static void read_two(struct node_options *node, struct server_options *server) {
    (void)node;
    server->read = (struct level){LEVEL_COUNT, 2};
}

static void what_is_no_range_is_refused(void **state) {
    (void)state;
    struct site *site = site_new(1, read_two);
    struct talker *t = site_talker(site, 0, false);
    static const char *const cases[][2] = {
        {"KV.RANGE t -\r\n", "-ERR wrong number of arguments for 'kv.range' command\r\n"},
        {"KV.RANGE t - a\r\n", "-ERR a bound is -, + or a key behind [ or (\r\n"},
        {"KV.RANGE t [ +\r\n", "-ERR a bound is -, + or a key behind [ or (\r\n"},
        {"KV.RANGE t - + LIMIT 0\r\n", "-ERR syntax error\r\n"},
        {"KV.RANGE t - + LIMIT\r\n", "-ERR syntax error\r\n"},
        {"KV.RANGE t - + LIMIT x\r\n", "-ERR value is not an integer or out of range\r\n"},
        {"KV.RANGE t - + SIDEWAYS\r\n", "-ERR syntax error\r\n"},
        {"KV.RANGE a}b - +\r\n", "-ERR no hash tag has a } in it\r\n"},
        {"KV.RANGE \"\" - +\r\n", "-ERR a key has at least one byte\r\n"},
        {"KV.RANGE t - +\r\n",
         "-NOQUORUM level 2 is more than the 1 copy of a key; ask for less\r\n"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        expect_dialogue(site, t, cases[i][0], cases[i][1]);
    }
    site_free(site);
}

// On the shard's port a tag is redirected as the key of that name is.
static void a_range_is_redirected_as_its_tag(void **state) {
    (void)state;
    struct site *site = site_new(4, NULL);
    struct talker *t = site_talker(site, 0, true);
    uint32_t moved = 0;
    for (int tag = 'a'; tag <= 'z'; tag++) {
        char words[40];
        char answer[80];
        (void)snprintf(words, sizeof(words), "GET %c\r\n", tag);
        talker_say(t, words, strlen(words));
        talker_wait(site, t, 5);
        bool is_moved = t->heard[0] == '-';
        (void)snprintf(answer, sizeof(answer), "%.*s", (int)t->heard_size, (const char *)t->heard);
        (void)snprintf(words, sizeof(words), "KV.RANGE %c - +\r\n", tag);
        expect_dialogue(site, t, words, is_moved ? answer : "*2\r\n$-1\r\n*0\r\n");
        moved += is_moved;
    }
    assert_in_range(moved, 1, 25);
    site_free(site);
}

// Random keys of one tag, some in braces first and some behind, and what they hold.
struct shelf {
    struct site *site;
    struct rng rng;
    char names[KEYS][NAME_MAX];
    uint32_t values[KEYS]; // 0: none
    char words[TEXT_SIZE];
    char answer[TEXT_SIZE];
};

static int compare_names(const void *a, const void *b) {
    return strcmp(a, b);
}

static struct shelf *shelf_new(void (*adjust)(struct node_options *, struct server_options *)) {
    struct shelf *f = calloc(1, sizeof(*f));
    f->site = site_new(3, adjust);
    f->rng = world_stream(f->site->world, 7);
    for (uint32_t i = 0; i < KEYS; i++) {
        char *name = f->names[i];
        bool is_behind = rng_chance(&f->rng, 1, 4);
        int size =
            snprintf(name, NAME_MAX, is_behind ? "%u{t}" : "{t}%u", rng_below(&f->rng, 1000));
        for (uint32_t more = rng_below(&f->rng, 3); more > 0; more--) name[size++] = 'x';
    }
    qsort(f->names, KEYS, NAME_MAX, compare_names);
    return f;
}

static void shelf_free(struct shelf *f) {
    site_free(f->site);
    free(f);
}

// Sets and deletes some keys, through any member.
static void change(struct shelf *f, struct talker **talkers, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        uint32_t key = rng_below(&f->rng, KEYS);
        while (key > 0 && strcmp(f->names[key], f->names[key - 1]) == 0) key--;
        struct talker *t = talkers[rng_below(&f->rng, 3)];
        char words[64];
        if (rng_chance(&f->rng, 1, 3)) {
            (void)snprintf(words, sizeof(words), "DEL %s\r\n", f->names[key]);
            expect_dialogue(f->site, t, words, f->values[key] == 0 ? ":0\r\n" : ":1\r\n");
            f->values[key] = 0;
        } else {
            f->values[key] = 1 + i;
            (void)snprintf(words, sizeof(words), "SET %s %u\r\n", f->names[key], f->values[key]);
            expect_dialogue(f->site, t, words, "+OK\r\n");
        }
    }
}

static void write_bulk(struct text *text, const char *before, const char *bytes) {
    text_printf(text, "$%zu\r\n%s%s\r\n", strlen(before) + strlen(bytes), before, bytes);
}

static int order_of(const char *a, const char *b) {
    int order = strcmp(a, b);
    return (order > 0) - (order < 0);
}

// What the model says: the keys in the order of the walk from `from` to `to`, up to the limit.
static void expected(struct shelf *f, const char *from, const char *to, uint32_t limit,
                     bool is_reverse) {
    static char pairs[TEXT_SIZE];
    struct text text = text_over(pairs, sizeof(pairs));
    uint32_t count = 0;
    const char *last = NULL;
    for (uint32_t i = 0; i < KEYS && count < limit; i++) {
        uint32_t key = is_reverse ? KEYS - 1 - i : i;
        int sign = is_reverse ? -1 : 1;
        int begin = from[1] == '\0' ? 1 : sign * order_of(f->names[key], from + 1);
        int end = to[1] == '\0' ? -1 : sign * order_of(f->names[key], to + 1);
        if (f->values[key] == 0 || begin < 0 || end > 0) continue;
        if ((begin == 0 && from[0] == '(') || (end == 0 && to[0] == '(')) continue;
        char value[16];
        (void)snprintf(value, sizeof(value), "%u", f->values[key]);
        text_printf(&text, "*2\r\n");
        write_bulk(&text, "", f->names[key]);
        write_bulk(&text, "", value);
        last = f->names[key];
        count++;
    }
    struct text whole = text_over(f->answer, sizeof(f->answer));
    text_printf(&whole, "*2\r\n");
    if (count == limit) {
        write_bulk(&whole, "(", last);
    } else {
        text_printf(&whole, "$-1\r\n");
    }
    text_printf(&whole, "*%u\r\n%s", count, count == 0 ? "" : pairs);
    assert_false(whole.clipped);
}

static void a_bound(struct shelf *f, char *to, bool is_open_end) {
    if (rng_chance(&f->rng, 1, 4)) {
        (void)snprintf(to, NAME_MAX + 2, "%s", is_open_end ? "+" : "-");
        return;
    }
    const char *name = f->names[rng_below(&f->rng, KEYS)];
    bool is_between = rng_chance(&f->rng, 1, 4);
    (void)snprintf(to, NAME_MAX + 2, "%c%s%s", rng_chance(&f->rng, 1, 2) ? '[' : '(', name,
                   is_between ? "!" : "");
}

static void any_range_is_what_a_sorted_list_says(void **state) {
    (void)state;
    struct shelf *f = shelf_new(NULL);
    struct talker *talkers[3];
    for (uint32_t i = 0; i < 3; i++) talkers[i] = site_talker(f->site, i, false);
    for (uint32_t round = 0; round < 150; round++) {
        change(f, talkers, 12);
        bool is_reverse = rng_chance(&f->rng, 1, 2);
        uint32_t limit = rng_chance(&f->rng, 1, 2) ? 1000 : 1 + rng_below(&f->rng, 30);
        char from[NAME_MAX + 2];
        char to[NAME_MAX + 2];
        a_bound(f, from, is_reverse);
        a_bound(f, to, !is_reverse);
        expected(f, from, to, limit, is_reverse);
        (void)snprintf(f->words, sizeof(f->words), "KV.RANGE t %s %s LIMIT %u%s\r\n", from, to,
                       limit, is_reverse ? " REVERSE" : "");
        expect_dialogue(f->site, talkers[round % 3], f->words, f->answer);
    }
    shelf_free(f);
}

static void take_large_values(struct node_options *node, struct server_options *server) {
    node->value_size_max = server->value_size_max = 400 * 1000;
    node->request_memory = (uint64_t)64 << 20;
    node->store.memory_max = (uint64_t)32 << 20;
}

// A reply ends once it is a megabyte, or has its keys; what comes then is found behind its bound.
static void large_values_come_in_parts(void **state) {
    (void)state;
    enum { COUNT = 9, SIZE = 300 * 1000 };
    struct shelf *f = shelf_new(take_large_values);
    struct talker *t = site_talker(f->site, 1, false);
    for (uint32_t i = 0; i < COUNT; i++) {
        struct text words = text_over(f->words, sizeof(f->words));
        text_printf(&words, "*3\r\n$3\r\nSET\r\n$6\r\n{t}%03u\r\n$%d\r\n", i, SIZE);
        for (uint32_t k = 0; k < SIZE; k++) text_char(&words, (char)('a' + i));
        text_printf(&words, "\r\n");
        assert_false(words.clipped);
        expect_dialogue(f->site, t, f->words, "+OK\r\n");
    }
    for (uint32_t first = 0; first < COUNT; first += 4) {
        char from[16] = "-";
        if (first > 0) (void)snprintf(from, sizeof(from), "({t}%03u", first - 1);
        uint32_t count = COUNT - first < 4 ? COUNT - first : 4;
        struct text answer = text_over(f->answer, sizeof(f->answer));
        text_printf(&answer, "*2\r\n");
        if (count == 4) {
            text_printf(&answer, "$7\r\n({t}%03u\r\n", first + 3);
        } else {
            text_printf(&answer, "$-1\r\n");
        }
        text_printf(&answer, "*%u\r\n", count);
        for (uint32_t i = first; i < first + count; i++) {
            text_printf(&answer, "*2\r\n$6\r\n{t}%03u\r\n$%d\r\n", i, SIZE);
            for (uint32_t k = 0; k < SIZE; k++) text_char(&answer, (char)('a' + i));
            text_printf(&answer, "\r\n");
        }
        assert_false(answer.clipped);
        (void)snprintf(f->words, sizeof(f->words), "KV.RANGE t %s + LIMIT 1000\r\n", from);
        struct talker *fresh = site_talker(f->site, first % 3, false); // hears only so much
        expect_dialogue(f->site, fresh, f->words, f->answer);
    }
    shelf_free(f);
}

// SCAN.

enum { SCANNED = 3000 };

// One page: the keys of {s} in it, counted in `seen`. Returns the next cursor.
static uint64_t scan(struct site *site, struct talker *t, uint64_t cursor, uint32_t count,
                     uint32_t *seen, struct text *listed) {
    char words[80];
    (void)snprintf(words, sizeof(words), "SCAN %llu COUNT %u\r\nPING\r\n",
                   (unsigned long long)cursor, count);
    talker_say(t, words, strlen(words));
    uint64_t until = world_now(site->world) + 10 * NS_PER_SECOND;
    while (t->heard_size < 7 || memcmp(t->heard + t->heard_size - 7, "+PONG\r\n", 7) != 0) {
        assert_true(world_step(site->world, until));
    }
    t->heard[t->heard_size] = '\0';
    const char *at = strchr((const char *)t->heard, '$');
    assert_non_null(at);
    uint64_t next = strtoull(strchr(at, '\n') + 1, NULL, 10);
    while ((at = strstr(at, "{s}")) != NULL) {
        uint32_t key = (uint32_t)strtoul(at + 3, NULL, 10);
        assert_true(key < SCANNED);
        seen[key]++;
        if (listed != NULL) text_printf(listed, " {s}%u", key);
        at += 3;
    }
    return next;
}

static struct site *site_with_keys(struct talker **talkers) {
    struct site *site = site_new(3, NULL);
    for (uint32_t i = 0; i < 3; i++) talkers[i] = site_talker(site, i, false);
    for (uint32_t i = 0; i < SCANNED; i += 100) {
        char memory[4096];
        struct text words = text_over(memory, sizeof(memory));
        text_printf(&words, "MSET");
        for (uint32_t k = i; k < i + 100; k++) text_printf(&words, " {s}%u %u", k, k);
        text_printf(&words, "\r\n");
        assert_false(words.clipped);
        expect_dialogue(site, talkers[0], memory, "+OK\r\n");
    }
    return site;
}

// Lists and single reads are under way, and their replicas go one after the other.
static void whoever_is_lost_on_the_way_is_counted_once(void **state) {
    (void)state;
    struct site *site = site_new(3, NULL);
    struct talker *writer = site_talker(site, 0, false);
    struct talker *readers[8];
    for (uint32_t i = 0; i < 8; i++) readers[i] = site_talker(site, 0, false);
    struct rng rng = world_stream(site->world, 9);
    uint32_t refused = 0;
    for (uint32_t round = 0; round < 150; round++) {
        char memory[2000];
        struct text words = text_over(memory, sizeof(memory));
        uint32_t tag = rng_below(&rng, 6);
        text_printf(&words, "MSET");
        for (uint32_t k = 0; k < 60; k++) text_printf(&words, " {%u}%u %u", tag, k, round);
        text_printf(&words, "\r\n");
        talker_say(writer, memory, strlen(memory)); // so that members hold different things
        char range[40];
        (void)snprintf(range, sizeof(range), "KV.RANGE %u - +\r\n", tag);
        for (uint32_t i = 0; i < 8; i++) {
            site_wait(site, rng_below(&rng, NS_PER_MS / 5));
            talker_say(readers[i], range, strlen(range));
        }
        uint32_t first = 1 + round % 2;
        site_wait(site, rng_below(&rng, (1 + round % 4) * NS_PER_MS));
        cluster_kill(&site->cluster, first);
        site_wait(site, rng_below(&rng, NS_PER_MS));
        cluster_kill(&site->cluster, 3 - first);
        site_wait(site, 5 * NS_PER_SECOND);
        for (uint32_t i = 0; i < 8; i++) {
            assert_true(readers[i]->heard_size > 0);
            refused += readers[i]->heard[0] == '-';
        }
        cluster_start(&site->cluster, 1);
        cluster_start(&site->cluster, 2);
        while (!site_is_serving(site)) assert_true(world_step(site->world, UINT64_MAX));
        site_wait(site, 2 * NS_PER_SECOND); // until it is connected to them again
    }
    assert_in_range(refused, 1, 8 * 150 - 1);
    site_free(site);
}

// A cursor is good at every member, also at one that has never seen its key, or sees it deleted.
static void a_scan_goes_on_at_any_member_and_lists_each_key_once(void **state) {
    (void)state;
    for (uint32_t deletes = 0; deletes < 2; deletes++) {
        struct talker *talkers[3];
        struct site *site = site_with_keys(talkers);
        struct rng rng = world_stream(site->world, 8);
        static uint32_t seen[SCANNED];
        memset(seen, 0, sizeof(seen));
        uint64_t cursor = 0;
        uint32_t pages = 0;
        do {
            char memory[4096];
            struct text words = text_over(memory, sizeof(memory));
            text_printf(&words, "DEL none");
            cursor = scan(site, talkers[rng_below(&rng, 3)], cursor, 1 + rng_below(&rng, 200), seen,
                          &words);
            pages++;
            text_printf(&words, "\r\n");
            assert_false(words.clipped);
            if (deletes == 0) continue;
            talker_say(talkers[0], memory, strlen(memory));
            site_wait(site, NS_PER_SECOND);
        } while (cursor != 0);
        for (uint32_t i = 0; i < SCANNED; i++) assert_int_equal(seen[i], 1);
        assert_true(pages > 15);
        site_free(site);
    }
}

// A cursor that no key has begins its slot again.
static void a_scan_from_a_key_that_is_gone_leaves_nothing_out(void **state) {
    (void)state;
    struct talker *talkers[3];
    struct site *site = site_with_keys(talkers);
    static uint32_t seen[SCANNED];
    memset(seen, 0, sizeof(seen));
    uint64_t cursor = (uint64_t)slot_of(SLICE("{s}0")) << 39 | 1;
    do {
        cursor = scan(site, talkers[0], cursor, 1000, seen, NULL);
    } while (cursor != 0);
    for (uint32_t i = 0; i < SCANNED; i++) assert_int_equal(seen[i], 1);
    site_free(site);
}

int range_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(bounds_are_inclusive_exclusive_or_open),
        cmocka_unit_test(what_is_no_range_is_refused),
        cmocka_unit_test(a_range_is_redirected_as_its_tag),
        cmocka_unit_test(any_range_is_what_a_sorted_list_says),
        cmocka_unit_test(large_values_come_in_parts),
        cmocka_unit_test(whoever_is_lost_on_the_way_is_counted_once),
        cmocka_unit_test(a_scan_goes_on_at_any_member_and_lists_each_key_once),
        cmocka_unit_test(a_scan_from_a_key_that_is_gone_leaves_nothing_out),
    };
    return cmocka_run_group_tests_name("range", cases, NULL, NULL);
}
