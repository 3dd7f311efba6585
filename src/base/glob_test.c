// SPDX-License-Identifier: Apache-2.0
#include "base/glob.h"

#include "base/text.h"
#include "tests/test.h"

#include <string.h>

static bool matches(const char *pattern, const char *text) {
    uint64_t steps = GLOB_STEPS_MAX;
    bool result = glob_match(slice_of_string(pattern), slice_of_string(text), &steps);
    assert_true(steps > 0);
    return result;
}

static void patterns_mean_what_they_mean_in_redis(void **state) {
    (void)state;
    assert_true(matches("", ""));
    assert_false(matches("", "a"));
    assert_false(matches("a", ""));
    assert_true(matches("*", ""));
    assert_true(matches("user:*", "user:17"));
    assert_false(matches("user:*", "users"));
    assert_true(matches("h?llo", "hallo"));
    assert_false(matches("h?llo", "hllo"));
    assert_true(matches("h[ae]llo", "hello"));
    assert_false(matches("h[ae]llo", "hillo"));
    assert_true(matches("h[^e]llo", "hallo"));
    assert_false(matches("h[^e]llo", "hello"));
    assert_true(matches("h[a-b]llo", "hbllo"));
    assert_true(matches("h[b-a]llo", "hallo"));
    assert_true(matches("\\*", "*"));
    assert_false(matches("\\*", "a"));
    assert_true(matches("\\", "\\"));
    assert_true(matches("[\\]]", "]"));
    assert_true(matches("[abc", "b"));
    assert_true(matches("a*b*c", "a--b--b--c"));
    assert_false(matches("a*b*c", "a--c--b"));
    assert_false(matches("[]", "a"));
    assert_true(matches("[^]", "a"));
    assert_true(matches("[a-]", "]"));
    assert_true(matches("[\x80-\xff]", "\xc3"));
    assert_false(matches("[a-z]", "\xc3"));
}

// The set of bytes that the class stands for, and where the pattern goes on.
static const char *obvious_class(const char *p, bool set[256]) {
    memset(set, 0, 256);
    bool negated = *p == '^';
    if (negated) p++;
    while (*p != '\0' && *p != ']') {
        if (p[0] == '\\' && p[1] != '\0') {
            set[(uint8_t)p[1]] = true;
            p += 2;
        } else if (p[1] == '-' && p[2] != '\0') {
            for (int c = 0; c < 128; c++) {
                set[c] |= (p[0] <= c && c <= p[2]) || (p[2] <= c && c <= p[0]);
            }
            p += 3;
        } else {
            set[(uint8_t)*p++] = true;
        }
    }
    for (int c = 0; c < 256; c++) set[c] = set[c] != negated;
    return *p == ']' ? p + 1 : p;
}

// The definition once more: a star is either nothing, or one byte and a star.
// NOLINTNEXTLINE(misc-no-recursion)
static bool obvious(const char *pattern, const char *text) {
    if (*pattern == '\0') return *text == '\0';
    if (*pattern == '*') {
        return obvious(pattern + 1, text) || (*text != '\0' && obvious(pattern, text + 1));
    }
    if (*text == '\0') return false;
    if (*pattern == '?') return obvious(pattern + 1, text + 1);
    if (*pattern == '[') {
        bool set[256];
        const char *next = obvious_class(pattern + 1, set);
        return set[(uint8_t)*text] && obvious(next, text + 1);
    }
    if (*pattern == '\\' && pattern[1] != '\0') pattern++;
    return *pattern == *text && obvious(pattern + 1, text + 1);
}

// The next word of `size` letters, in order; false behind the last.
static bool next_word(char *word, size_t size, const char *letters) {
    for (size_t i = size; i > 0; i--) {
        const char *letter = strchr(letters, word[i - 1]);
        if (letter[1] != '\0') {
            word[i - 1] = letter[1];
            return true;
        }
        word[i - 1] = letters[0];
    }
    return false;
}

// Compares on all texts of up to three letters; returns how many match.
static uint32_t compare_on_all_texts(const char *pattern) {
    static const char letters[] = "ab-]";
    uint32_t found = 0;
    for (size_t size = 0; size <= 3; size++) {
        char text[8] = {0};
        memset(text, letters[0], size);
        do {
            bool expected = obvious(pattern, text);
            found += expected;
            if (matches(pattern, text) != expected) fail_msg("'%s' '%s'", pattern, text);
        } while (next_word(text, size, letters));
    }
    return found;
}

static void agrees_with_the_obvious_definition_everywhere(void **state) {
    (void)state;
    static const char letters[] = "ab*?[]^-\\";
    uint32_t found = 0;
    for (size_t size = 0; size <= 5; size++) {
        char pattern[8] = {0};
        memset(pattern, letters[0], size);
        do {
            found += compare_on_all_texts(pattern);
        } while (next_word(pattern, size, letters));
    }
    assert_in_range(found, 50000, 1000000); // enough of both answers
}

static void many_stars_cost_no_more_than_one(void **state) {
    (void)state;
    static uint8_t text[1000];
    memset(text, 'a', sizeof(text));
    char pattern[200];
    struct text t = text_over(pattern, sizeof(pattern));
    for (int i = 0; i < 60; i++) text_string(&t, "*a");
    text_string(&t, "*b");
    uint64_t steps = GLOB_STEPS_MAX;
    assert_false(glob_match(text_slice(&t), (struct slice){text, sizeof(text)}, &steps));
    assert_true(GLOB_STEPS_MAX - steps < 10000);
}

static void work_ends_with_its_allowance(void **state) {
    (void)state;
    static uint8_t text[60000];
    static uint8_t pattern[30000];
    memset(text, 'a', sizeof(text));
    memset(pattern, 'a', sizeof(pattern));
    pattern[0] = '*';
    pattern[sizeof(pattern) - 1] = 'b';
    uint64_t steps = GLOB_STEPS_MAX;
    struct slice p = {pattern, sizeof(pattern)};
    assert_false(glob_match(p, (struct slice){text, sizeof(text)}, &steps));
    assert_int_equal(steps, 0);
    assert_false(glob_match(SLICE("*a"), SLICE("a"), &steps));
    steps = 1;
    assert_false(glob_match(SLICE("a"), SLICE("a"), &steps));
}

int glob_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(patterns_mean_what_they_mean_in_redis),
        cmocka_unit_test(agrees_with_the_obvious_definition_everywhere),
        cmocka_unit_test(many_stars_cost_no_more_than_one),
        cmocka_unit_test(work_ends_with_its_allowance),
    };
    return cmocka_run_group_tests_name("glob", cases, NULL, NULL);
}
