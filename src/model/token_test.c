// SPDX-License-Identifier: Apache-2.0
#include "model/token.h"

#include "tests/golden.h"
#include "tests/test.h"

static const struct mac_key secret = {{1, 2, 3}};

static struct context context_of(uint32_t count) {
    struct context c = {0};
    for (uint32_t i = 0; i < count; i++) {
        c.entries[i] = (struct version){{i + 1, 1}, 100 + i};
    }
    c.count = count;
    return c;
}

static bool accepts(const struct mac_key *with, struct slice key, const char *text, size_t size) {
    static struct context got;
    uint64_t timestamp = 1;
    const struct slice token = {(const uint8_t *)text, size};
    enum status status = token_decode(with, key, token, &got, &timestamp);
    if (status != ST_OK) {
        assert_int_equal(status, ST_INVALID);
        assert_int_equal(timestamp, 0);
        assert_int_equal(got.count, 0);
    }
    return status == ST_OK;
}

static void contexts_survive_the_way_to_a_token_and_back(void **state) {
    (void)state;
    for (uint32_t count = 0; count <= CONTEXT_MAX; count++) {
        char text[TOKEN_TEXT_MAX + 1];
        struct context c = context_of(count);
        static struct context got;
        uint64_t timestamp = 0;
        size_t size = token_encode(&secret, SLICE("key"), &c, UINT64_MAX - count, text);
        assert_true(count == CONTEXT_MAX ? size == TOKEN_TEXT_MAX : size < TOKEN_TEXT_MAX);
        struct slice token = {(const uint8_t *)text, size};
        assert_int_equal(token_decode(&secret, SLICE("key"), token, &got, &timestamp), ST_OK);
        assert_int_equal(got.count, count);
        assert_true(timestamp == UINT64_MAX - count);
        for (uint32_t i = 0; i < count; i++) {
            assert_int_equal(version_compare(got.entries[i], c.entries[i]), 0);
        }
    }
}

static void a_token_is_good_for_its_key_and_its_cluster_only(void **state) {
    (void)state;
    char text[TOKEN_TEXT_MAX + 1];
    struct context c = context_of(2);
    const struct mac_key other = {{1, 2, 4}};
    size_t size = token_encode(&secret, SLICE("key"), &c, 1, text);
    assert_true(accepts(&secret, SLICE("key"), text, size));
    assert_false(accepts(&secret, SLICE("kez"), text, size));
    assert_false(accepts(&secret, SLICE(""), text, size));
    assert_false(accepts(&other, SLICE("key"), text, size));
}

static void no_byte_of_a_token_can_be_changed_dropped_or_added(void **state) {
    (void)state;
    char text[TOKEN_TEXT_MAX + 1];
    struct context c = context_of(1);
    size_t size = token_encode(&secret, SLICE("key"), &c, 1, text);
    for (size_t i = 0; i < size; i++) {
        char kept = text[i];
        for (uint32_t byte = 0; byte < 256; byte++) {
            text[i] = (char)byte;
            assert_int_equal(accepts(&secret, SLICE("key"), text, size), text[i] == kept);
        }
        text[i] = kept;
        assert_false(accepts(&secret, SLICE("key"), text, i));
        assert_false(accepts(&secret, SLICE("key"), text + i + 1, size - i - 1));
    }
    text[size] = 'A';
    assert_false(accepts(&secret, SLICE("key"), text, size + 1));
    memset(text, 'A', sizeof(text));
    assert_false(accepts(&secret, SLICE("key"), text, sizeof(text)));
    assert_false(accepts(&secret, SLICE("key"), text, sizeof(text) - 1));
}

// Clients keep tokens for as long as they like.
static void a_token_reads_as_in_all_releases(void **state) {
    (void)state;
    char text[TOKEN_TEXT_MAX];
    uint8_t memory[TOKEN_TEXT_MAX];
    static struct context got;
    struct context c = context_of(2);
    const uint64_t written = UINT64_C(1764460800000) << 16;
    size_t size = token_encode(&secret, SLICE("greeting"), &c, written, text);
    golden_compare("token.v2", (struct slice){(const uint8_t *)text, size});
    for (uint32_t version = 1; version <= 2; version++) {
        const char *name = version == 1 ? "token.v1" : "token.v2";
        uint64_t timestamp = 1;
        struct slice golden = golden_read(name, memory, sizeof(memory));
        assert_int_equal(token_decode(&secret, SLICE("greeting"), golden, &got, &timestamp), ST_OK);
        assert_int_equal(got.count, 2);
        assert_true(timestamp == (version == 1 ? 0 : written));
    }
}

int token_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(contexts_survive_the_way_to_a_token_and_back),
        cmocka_unit_test(a_token_is_good_for_its_key_and_its_cluster_only),
        cmocka_unit_test(a_token_reads_as_in_all_releases),
        cmocka_unit_test(no_byte_of_a_token_can_be_changed_dropped_or_added),
    };
    return cmocka_run_group_tests_name("token", cases, NULL, NULL);
}
