// SPDX-License-Identifier: Apache-2.0
#include "model/keyspace.h"

#include "base/text.h"
#include "tests/test.h"

static void the_prefix_is_what_stands_before_the_first_colon(void **state) {
    (void)state;
    static const struct {
        const char *key;
        const char *prefix;
    } cases[] = {
        {"users:1", "users"},
        {"users:", "users"},
        {"users", ""},
        {":1", ""},
        {":", ""},
        {"", ""},
        {"a:b:c", "a"},
        {"{u1}:users:1", "users"},
        {"{u1}:users", ""},
        {"{u1}:", ""},
        {"{u1}users:1", "{u1}users"},
        {"users:{u1}", "users"},
        {"{}:users:1", "{}"}, // no hash tag
        {"{a:b}:users:1", "users"},
        {"{a:b", "{a"},
        {"{u1", ""},
        {"x{u1}:users:1", "x{u1}"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct slice prefix = keyspace_prefix(slice_of_string(cases[i].key));
        if (!slice_equal(prefix, slice_of_string(cases[i].prefix))) fail_msg("%s", cases[i].key);
    }
    char key[NAME_SIZE_MAX + 3];
    memset(key, 'n', sizeof(key));
    key[NAME_SIZE_MAX] = ':';
    struct slice longest = {(const uint8_t *)key, NAME_SIZE_MAX + 1};
    assert_int_equal(keyspace_prefix(longest).size, NAME_SIZE_MAX);
    key[NAME_SIZE_MAX] = 'n';
    key[NAME_SIZE_MAX + 1] = ':';
    struct slice longer = {(const uint8_t *)key, NAME_SIZE_MAX + 2};
    assert_int_equal(keyspace_prefix(longer).size, 0);
}

static struct keyspace active(const char *name, uint16_t number) {
    struct keyspace k = {.state = KEYSPACE_ACTIVE, .number = number, .replication = 3};
    memcpy(k.name, name, strlen(name) + 1);
    return k;
}

static void a_key_belongs_to_the_keyspace_of_its_prefix_if_there_is_one(void **state) {
    (void)state;
    struct keyspace table[KEYSPACES_MAX] = {active("default", 9), [2] = active("users", 4)};
    assert_int_equal(keyspace_of_key(table, SLICE("users:1")), 2);
    assert_int_equal(keyspace_of_key(table, SLICE("{t}:users:1")), 2);
    assert_int_equal(keyspace_of_key(table, SLICE("users")), KEYSPACE_DEFAULT);
    assert_int_equal(keyspace_of_key(table, SLICE("user:1")), KEYSPACE_DEFAULT);
    assert_int_equal(keyspace_of_key(table, SLICE("Users:1")), KEYSPACE_DEFAULT);
    assert_int_equal(keyspace_of_key(table, SLICE("default:1")), KEYSPACE_DEFAULT);
    assert_int_equal(keyspace_of_key(table, SLICE(":1")), KEYSPACE_DEFAULT);
    assert_int_equal(keyspace_find(table, SLICE("users")), 2);
    assert_int_equal(keyspace_find(table, SLICE("")), KEYSPACES_MAX);
    assert_int_equal(keyspace_find_number(table, 4), 2);
    assert_int_equal(keyspace_find_number(table, 9), KEYSPACE_DEFAULT);
    assert_int_equal(keyspace_find_number(table, 0), KEYSPACES_MAX); // that of an empty place
    assert_int_equal(keyspace_find_free(table), 1);
    for (uint32_t i = 0; i < KEYSPACES_MAX; i++) table[i].state = KEYSPACE_GOING;
    assert_int_equal(keyspace_find_free(table), KEYSPACES_MAX);
}

static void cells_of_a_slot_stand_together(void **state) {
    (void)state;
    uint32_t last = 0;
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot += 5461) {
        for (uint32_t place = 0; place < KEYSPACES_MAX; place++) {
            uint32_t cell = cell_of(slot, place);
            assert_int_equal(cell_slot(cell), slot);
            assert_int_equal(cell_place(cell), place);
            assert_true(cell < CELL_COUNT);
            assert_true(cell > last || cell == 0);
            last = cell;
        }
    }
}

static bool decodes(const struct keyspace table[KEYSPACES_MAX]) {
    uint8_t bytes[1024];
    struct writer w = writer_to(bytes, sizeof(bytes));
    struct keyspace again[KEYSPACES_MAX];
    keyspaces_encode(table, &w);
    assert_false(w.failed);
    assert_int_equal(w.size, keyspaces_encoded_size(table));
    struct reader r = reader_of(writer_bytes(&w));
    keyspaces_decode(again, keyspaces_have_compression(table), &r);
    if (!reader_done(&r)) return false;
    assert_memory_equal(again, table, sizeof(again));
    return true;
}

typedef void breaks(struct keyspace table[KEYSPACES_MAX]);

static void has_no_default(struct keyspace table[KEYSPACES_MAX]) {
    table[0].state = KEYSPACE_FREE;
}
static void has_a_default_that_goes(struct keyspace table[KEYSPACES_MAX]) {
    table[0].state = KEYSPACE_GOING;
}
static void has_another_name_for_default(struct keyspace table[KEYSPACES_MAX]) {
    table[0].name[0] = 'D';
}
static void has_a_bad_name(struct keyspace table[KEYSPACES_MAX]) {
    table[2].name[0] = ':';
}
static void has_no_name(struct keyspace table[KEYSPACES_MAX]) {
    memset(table[2].name, 0, sizeof(table[2].name));
}
static void has_a_name_twice(struct keyspace table[KEYSPACES_MAX]) {
    table[3] = active("users", 5);
}
static void has_a_name_twice_that_comes(struct keyspace table[KEYSPACES_MAX]) {
    table[3] = active("users", 5);
    table[2].state = table[3].state = KEYSPACE_COMING;
}
static void has_a_number_twice(struct keyspace table[KEYSPACES_MAX]) {
    table[2].number = 0;
}
static void has_no_copies(struct keyspace table[KEYSPACES_MAX]) {
    table[2].replication = 0;
}
static void has_too_many_copies(struct keyspace table[KEYSPACES_MAX]) {
    table[2].replication = REPLICAS_MAX + 1;
}
static void reads_more_than_there_are(struct keyspace table[KEYSPACES_MAX]) {
    table[2].read = (struct level){LEVEL_COUNT, 4};
}
static void writes_more_than_there_are(struct keyspace table[KEYSPACES_MAX]) {
    table[2].write = (struct level){LEVEL_COUNT, 4};
}
static void writes_none(struct keyspace table[KEYSPACES_MAX]) {
    table[2].write = (struct level){LEVEL_COUNT, 0};
}
static void has_a_level_that_nothing_keeps(struct keyspace table[KEYSPACES_MAX]) {
    table[2].write = (struct level){LEVEL_LOCAL_QUORUM, 0};
}
static void counts_where_there_is_nothing_to_count(struct keyspace table[KEYSPACES_MAX]) {
    table[2].read = (struct level){LEVEL_QUORUM, 1};
}

static void tables_with_any_one_fault_are_refused(void **state) {
    (void)state;
    breaks *const faults[] = {
        has_no_default,
        has_a_default_that_goes,
        has_another_name_for_default,
        has_a_bad_name,
        has_no_name,
        has_a_name_twice,
        has_a_name_twice_that_comes,
        has_a_number_twice,
        has_no_copies,
        has_too_many_copies,
        reads_more_than_there_are,
        writes_more_than_there_are,
        writes_none,
        has_a_level_that_nothing_keeps,
        counts_where_there_is_nothing_to_count,
    };
    struct keyspace good[KEYSPACES_MAX] = {active("default", 0), [2] = active("users", 4)};
    assert_true(decodes(good));
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        struct keyspace table[KEYSPACES_MAX];
        memcpy(table, good, sizeof(table));
        faults[i](table);
        if (decodes(table)) fail_msg("fault %zu", i);
    }
    good[3] = active("users", 5);
    good[3].state = KEYSPACE_COMING;
    good[2].state = KEYSPACE_GOING;
    assert_true(decodes(good));
}

// Whatever bit is changed, the result is refused or is itself the encoding of a table.
static void check_bits(enum keyspace_compression compression) {
    struct keyspace table[KEYSPACES_MAX] = {active("default", 0), [2] = active("users", 4)};
    table[2].compression = compression;
    bool has_compression = compression != COMPRESSION_UNSET;
    table[2].conflict = CONFLICT_LWW;
    table[2].ttl_ms = 1000;
    table[2].read = (struct level){LEVEL_COUNT, 2};
    uint8_t bytes[256];
    uint8_t again[256];
    struct writer w = writer_to(bytes, sizeof(bytes));
    keyspaces_encode(table, &w);
    size_t size = w.size;
    for (size_t i = 0; i < size * 8; i++) {
        bytes[i / 8] ^= (uint8_t)(1u << i % 8);
        struct reader r = reader_of((struct slice){bytes, size});
        keyspaces_decode(table, has_compression, &r);
        if (reader_done(&r)) {
            struct writer out = writer_to(again, sizeof(again));
            keyspaces_encode(table, &out);
            assert_int_equal(out.size, size);
            assert_memory_equal(bytes, again, size);
        }
        bytes[i / 8] ^= (uint8_t)(1u << i % 8);
    }
    for (size_t cut = 0; cut < size; cut++) {
        struct reader r = reader_of((struct slice){bytes, cut});
        keyspaces_decode(table, has_compression, &r);
        assert_false(reader_done(&r));
    }
}

static void what_is_decoded_is_canonical(void **state) {
    (void)state;
    check_bits(COMPRESSION_UNSET);
    check_bits(COMPRESSION_LZ4);
}

// Nothing that all could read without a word about compression may come with one.
static void compression_is_in_the_bytes_if_a_keyspace_sets_it(void **state) {
    (void)state;
    struct keyspace table[KEYSPACES_MAX] = {active("default", 0), [2] = active("users", 4)};
    size_t size = keyspaces_encoded_size(table);
    for (uint32_t place = 0; place <= 2; place += 2) {
        for (int compression = 0; compression <= COMPRESSION_ZSTD; compression++) {
            table[place].compression = (enum keyspace_compression)compression;
            assert_true(decodes(table));
            size_t more = compression == COMPRESSION_UNSET ? 0 : 2;
            assert_int_equal(keyspaces_encoded_size(table), size + more);
        }
        table[place].compression = COMPRESSION_UNSET;
    }
    table[2].compression = COMPRESSION_ZSTD;
    uint8_t bytes[256];
    struct writer w = writer_to(bytes, sizeof(bytes));
    keyspaces_encode(table, &w);
    uint8_t *last = bytes + w.size - strlen("users") - 2;
    assert_int_equal(*last, COMPRESSION_ZSTD);
    static const uint8_t bad[] = {COMPRESSION_UNSET, COMPRESSION_ZSTD + 1, UINT8_MAX};
    for (size_t i = 0; i < sizeof(bad); i++) {
        *last = bad[i];
        struct reader r = reader_of(writer_bytes(&w));
        keyspaces_decode(table, true, &r);
        assert_false(reader_done(&r));
    }
}

int keyspace_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(the_prefix_is_what_stands_before_the_first_colon),
        cmocka_unit_test(a_key_belongs_to_the_keyspace_of_its_prefix_if_there_is_one),
        cmocka_unit_test(cells_of_a_slot_stand_together),
        cmocka_unit_test(tables_with_any_one_fault_are_refused),
        cmocka_unit_test(what_is_decoded_is_canonical),
        cmocka_unit_test(compression_is_in_the_bytes_if_a_keyspace_sets_it),
    };
    return cmocka_run_group_tests_name("keyspace", cases, NULL, NULL);
}
