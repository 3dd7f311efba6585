// SPDX-License-Identifier: Apache-2.0
#include "wire/message.h"

#include "tests/golden.h"
#include "tests/test.h"

#include <string.h>

enum { BUFFER = 1024 };

#define TEXT(literal)                                                                              \
    { (const uint8_t *)(literal), sizeof(literal) - 1 }

// The bytes of a list of one row, as some messages have it.
#define LISTED                                                                                     \
    "\x01\0\0\0"                                                                                   \
    "\x01\0\0\0a"                                                                                  \
    "\x02\0\0\0\0\0\0\0"                                                                           \
    "\0"                                                                                           \
    "\x06\0\0\0record"                                                                             \
    "\x03\0\0\0"                                                                                   \
    "\x01\0\0\0b"                                                                                  \
    "\0\0\0\0\0\0\0\0"                                                                             \
    "\x01"                                                                                         \
    "\0\0\0\0"
#define CONDEMNED                                                                                  \
    "\x01\0"                                                                                       \
    "\x02\0"                                                                                       \
    "\x03\0\0\0\0\0\0\0"                                                                           \
    "\x04\0\0\0\0\0\0\0"                                                                           \
    "\x01"                                                                                         \
    "\x03\0\0\0key"

// One of each, with every field different from zero.
static const struct message_hello hello = {
    .name = TEXT("n1"),
    .host = TEXT("h1"),
    .rack = TEXT("r1"),
    .dc = TEXT("d1"),
    .address = TEXT("10.0.0.1"),
    .port = 7379,
    .shards = 2,
    .weight = 3,
    .value_size_max = 8,
    .members_max = 9,
    .copies_max = 10,
    .storage = 4,
    .is_blank = true,
    .incarnation = 5,
    .process = 6,
    .nonce = 7,
};
static const struct message_taken taken = {.is_certain = true};
static const struct message_stranger stranger = {.storage = 9};
static const struct message_vouch vouch = {.member = 10};
static const struct message_put put = {.id = 1,
                                       .flags = PUT_WANTS_CONTEXT,
                                       .keyspace = 2,
                                       .slot = 3,
                                       .round = 4,
                                       .key = TEXT("key"),
                                       .record = TEXT("record"),
                                       .left_ms = 5};
static const struct message_put_done put_done = {
    .id = 1, .status = ST_FENCED, .round = 3, .timestamp = 2, .context = TEXT("context")};
static const struct message_get get = {.id = 1,
                                       .keyspace = 2,
                                       .slot = 3,
                                       .held = 4,
                                       .target = 5,
                                       .wants_hash = true,
                                       .key = TEXT("key"),
                                       .left_ms = 5};
static const struct message_get_done get_done = {.id = 1,
                                                 .status = ST_NOT_FOUND,
                                                 .is_same = true,
                                                 .round = 2,
                                                 .hash = 3,
                                                 .record = TEXT("record")};
static const struct message_forward forward = {.id = 1,
                                               .kind = 2,
                                               .is_tombstone = true,
                                               .is_sloppy = true,
                                               .is_passed_on = true,
                                               .keyspace = 9,
                                               .need = 3,
                                               .expires_ms = 4,
                                               .timestamp = 5,
                                               .seen_timestamp = 6,
                                               .key = TEXT("key"),
                                               .value = TEXT("value"),
                                               .seen = TEXT("seen"),
                                               .left_ms = 6};
static const struct message_forward_done forward_done = {.id = 1,
                                                         .status = ST_TIMEOUT,
                                                         .need = 2,
                                                         .answered = 3,
                                                         .storage = 4,
                                                         .epoch = 5,
                                                         .counter = 6,
                                                         .record = TEXT("record")};
static const struct message_scan scan = {.id = 1,
                                         .cell = 2,
                                         .end = 3,
                                         .limit = 4,
                                         .now_ms = 5,
                                         .flags = SCAN_REVERSE | SCAN_RECORDS,
                                         .place = 6,
                                         .from = TEXT("from"),
                                         .to = TEXT("to"),
                                         .tag = TEXT("tag"),
                                         .left_ms = 7};
static const struct message_scan_done scan_done = {
    .id = 1, .status = ST_UNAVAILABLE, .cell = 2, .key = TEXT("key"), .entries = TEXT(LISTED)};
static const struct message_count count = {.id = 1, .up = TEXT("\x07"), .left_ms = 2};
static const struct message_count_done count_done = {.id = 1, .count = 2};
static const struct message_branches branches = {.id = 1, .branches = TEXT("12345678")};
static const struct message_branches_done branches_done = {.id = 1, .differ = TEXT("\x01")};
static const struct message_digests digests = {
    .id = 1, .keyspace = 2, .groups = TEXT("\x01"), .digests = TEXT("12345678")};
static const struct message_digests_done digests_done = {.id = 1, .differ = TEXT("\x01")};
static const struct message_leaves leaves = {
    .id = 1, .keyspace = 2, .slot = 3, .leaves = TEXT("12345678")};
static const struct message_leaves_done leaves_done = {.id = 1, .differ = 2};
static const struct message_compare compare = {.id = 1,
                                               .keyspace = 5,
                                               .slot = 2,
                                               .round = 3,
                                               .leaves = 6,
                                               .is_last = true,
                                               .after = TEXT("a"),
                                               .entries = TEXT("entries")};
static const struct message_keyspaces keyspaces = {.id = 1, .epoch = 2};
static const struct message_keyspaces_done keyspaces_done = {.id = 1, .epoch = 2, .held = 4};
static const struct message_compare_done compare_done = {.id = 1,
                                                         .is_last = true,
                                                         .is_behind = true,
                                                         .round = 2,
                                                         .covered = TEXT("c"),
                                                         .wanted = TEXT("wanted"),
                                                         .records = TEXT("records")};
static const struct message_prepare prepare = {.instance = 1, .ballot = 2};
static const struct message_promise promise = {.instance = 1,
                                               .ballot = 2,
                                               .status = ST_BUSY,
                                               .is_reset = true,
                                               .promised = 3,
                                               .accepted = 4,
                                               .value = TEXT("value")};
static const struct message_accept accept = {.instance = 1, .ballot = 2, .value = TEXT("value")};
static const struct message_accepted accepted = {
    .instance = 1, .ballot = 2, .status = ST_BUSY, .is_reset = true, .promised = 3};

static const struct message_fences fences = {.is_question = true, .fences = TEXT("fences")};
static const struct message_purge purge = {
    .id = 1, .author = 2, .group = 3, .round = 4, .is_wide = true, .entries = TEXT(CONDEMNED)};
static const struct message_purge_done purge_done = {
    .id = 1, .status = ST_UNAVAILABLE, .round = 2, .held = TEXT("\x01")};
static const struct message_erase erase = {
    .author = 1, .group = 2, .round = 3, .floor = 4, .is_wide = true, .entries = TEXT(CONDEMNED)};
static const struct message_hint hint = {.id = 1,
                                         .target = 2,
                                         .keyspace = 3,
                                         .slot = 4,
                                         .round = 5,
                                         .is_minted = true,
                                         .key = TEXT("key"),
                                         .record = TEXT("record"),
                                         .left_ms = 6};
static const struct message_hint_done hint_done = {.id = 1, .status = ST_NO_SPACE, .round = 2};

// Encoded, decoded and encoded again it is the same; every part of it alone is refused.
#define CHECK_MESSAGE(name, all)                                                                   \
    do {                                                                                           \
        uint8_t first[BUFFER];                                                                     \
        uint8_t second[BUFFER];                                                                    \
        struct writer w = writer_to(first, sizeof(first));                                         \
        struct writer again = writer_to(second, sizeof(second));                                   \
        struct message_##name m;                                                                   \
        message_##name##_encode(&(name), &w);                                                      \
        assert_int_equal(message_##name##_decode(&m, writer_bytes(&w)), ST_OK);                    \
        message_##name##_encode(&m, &again);                                                       \
        assert_true(slice_equal(writer_bytes(&w), writer_bytes(&again)));                          \
        for (size_t size = 0; size < w.size; size++) {                                             \
            struct slice part = {first, size};                                                     \
            assert_int_equal(message_##name##_decode(&m, part), ST_CORRUPT);                       \
        }                                                                                          \
        write_u8(&w, 0);                                                                           \
        assert_int_equal(message_##name##_decode(&m, writer_bytes(&w)), ST_CORRUPT);               \
        write_sized(all, writer_bytes(&again));                                                    \
    } while (0)

static void every_message_comes_out_as_it_went_in_and_has_its_bytes_for_good(void **state) {
    (void)state;
    uint8_t bytes[4 * BUFFER];
    struct writer all = writer_to(bytes, sizeof(bytes));
    CHECK_MESSAGE(hello, &all);
    CHECK_MESSAGE(put, &all);
    CHECK_MESSAGE(put_done, &all);
    CHECK_MESSAGE(get, &all);
    CHECK_MESSAGE(get_done, &all);
    CHECK_MESSAGE(forward, &all);
    CHECK_MESSAGE(forward_done, &all);
    CHECK_MESSAGE(scan, &all);
    CHECK_MESSAGE(scan_done, &all);
    CHECK_MESSAGE(count, &all);
    CHECK_MESSAGE(count_done, &all);
    CHECK_MESSAGE(branches, &all);
    CHECK_MESSAGE(branches_done, &all);
    CHECK_MESSAGE(digests, &all);
    CHECK_MESSAGE(digests_done, &all);
    CHECK_MESSAGE(leaves, &all);
    CHECK_MESSAGE(leaves_done, &all);
    CHECK_MESSAGE(compare, &all);
    CHECK_MESSAGE(compare_done, &all);
    CHECK_MESSAGE(keyspaces, &all);
    CHECK_MESSAGE(keyspaces_done, &all);
    CHECK_MESSAGE(taken, &all);
    CHECK_MESSAGE(stranger, &all);
    CHECK_MESSAGE(vouch, &all);
    CHECK_MESSAGE(prepare, &all);
    CHECK_MESSAGE(promise, &all);
    CHECK_MESSAGE(accept, &all);
    CHECK_MESSAGE(accepted, &all);
    CHECK_MESSAGE(fences, &all);
    CHECK_MESSAGE(purge, &all);
    CHECK_MESSAGE(purge_done, &all);
    CHECK_MESSAGE(erase, &all);
    CHECK_MESSAGE(hint, &all);
    CHECK_MESSAGE(hint_done, &all);
    assert_false(all.failed);
    golden_compare("messages.v1", writer_bytes(&all));
}

static void sizes_over_their_limits_and_impossible_numbers_are_refused(void **state) {
    (void)state;
    uint8_t bytes[BUFFER];
    struct writer w = writer_to(bytes, sizeof(bytes));
    write_u64(&w, 1);
    write_u8(&w, ST_HISTORY_FULL + 1);
    write_sized(&w, (struct slice){0});
    struct message_put_done done;
    assert_int_equal(message_put_done_decode(&done, writer_bytes(&w)), ST_CORRUPT);

    struct message_hello long_name = hello;
    long_name.name = SLICE("a name that is longer than any name of a member is allowed to be "
                           "in this world");
    w = writer_to(bytes, sizeof(bytes));
    message_hello_encode(&long_name, &w);
    struct message_hello m;
    assert_int_equal(message_hello_decode(&m, writer_bytes(&w)), ST_CORRUPT);
}

static void listed_keys_stand_in_a_row_and_are_whole(void **state) {
    (void)state;
    const struct message_listed entries[2] = {
        {.cell = 1, .key = TEXT("a"), .hash = 2, .record = TEXT("record")},
        {.cell = 3, .key = TEXT("b"), .is_dead = true},
    };
    uint8_t bytes[BUFFER];
    struct writer w = writer_to(bytes, sizeof(bytes));
    size_t first = 0;
    for (uint32_t i = 0; i < 2; i++) {
        message_listed_write(&w, &entries[i]);
        if (i == 0) first = w.size;
    }
    assert_true(slice_equal(writer_bytes(&w), scan_done.entries));
    for (size_t size = 0; size <= w.size; size++) {
        struct reader r = reader_of((struct slice){bytes, size});
        struct message_listed m[2] = {0};
        for (uint32_t i = 0; i < 2 && r.rest.size > 0; i++) message_listed_read(&r, &m[i]);
        assert_int_equal(r.failed, size != 0 && size != first && size != w.size);
        if (size != w.size) continue;
        assert_int_equal(m[0].cell, 1);
        assert_int_equal(m[0].hash, 2);
        assert_true(slice_equal(m[0].record, entries[0].record));
        assert_true(slice_equal(m[1].key, entries[1].key));
        assert_true(m[1].is_dead);
    }
    const struct message_listed nameless = {.cell = 1, .hash = 2};
    w = writer_to(bytes, sizeof(bytes));
    message_listed_write(&w, &nameless);
    struct reader r = reader_of(writer_bytes(&w));
    struct message_listed m;
    message_listed_read(&r, &m);
    assert_true(r.failed);
}

static void condemned_keys_stand_in_a_row_and_are_whole(void **state) {
    (void)state;
    const struct message_condemned entry = {.keyspace = 1,
                                            .slot = 2,
                                            .digest = 3,
                                            .timestamp = 4,
                                            .is_alive = true,
                                            .key = TEXT("key")};
    uint8_t bytes[BUFFER];
    struct writer w = writer_to(bytes, sizeof(bytes));
    message_condemned_write(&w, &entry);
    assert_int_equal(w.size, CONDEMNED_SIZE + entry.key.size);
    assert_true(slice_equal(writer_bytes(&w), purge.entries));
    for (size_t size = 0; size <= w.size; size++) {
        struct reader r = reader_of((struct slice){bytes, size});
        struct message_condemned m;
        message_condemned_read(&r, &m);
        assert_int_equal(r.failed, size < w.size);
        if (size < w.size) continue;
        assert_int_equal(m.keyspace, 1);
        assert_int_equal(m.slot, 2);
        assert_int_equal(m.digest, 3);
        assert_int_equal(m.timestamp, 4);
        assert_true(m.is_alive);
        assert_true(slice_equal(m.key, entry.key));
    }
}

static void every_type_has_a_name(void **state) {
    (void)state;
    for (int i = 0; i < MESSAGE_TYPES; i++) {
        assert_string_not_equal(message_name((enum message_type)i), "unknown");
    }
    assert_string_equal(message_name(MESSAGE_TYPES), "unknown");
}

static void the_largest_greeting_is_as_large_as_is_said(void **state) {
    (void)state;
    static const uint8_t letters[ADDRESS_SIZE_MAX];
    const struct slice name = {letters, NAME_SIZE_MAX};
    const struct message_hello m = {
        .name = name,
        .host = name,
        .rack = name,
        .dc = name,
        .address = {letters, ADDRESS_SIZE_MAX},
    };
    uint8_t bytes[BUFFER];
    struct writer w = writer_to(bytes, sizeof(bytes));
    message_hello_encode(&m, &w);
    assert_false(w.failed);
    assert_int_equal(w.size, MESSAGE_HELLO_MAX);
}

int message_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(the_largest_greeting_is_as_large_as_is_said),
        cmocka_unit_test(every_message_comes_out_as_it_went_in_and_has_its_bytes_for_good),
        cmocka_unit_test(sizes_over_their_limits_and_impossible_numbers_are_refused),
        cmocka_unit_test(listed_keys_stand_in_a_row_and_are_whole),
        cmocka_unit_test(condemned_keys_stand_in_a_row_and_are_whole),
        cmocka_unit_test(every_type_has_a_name),
    };
    return cmocka_run_group_tests_name("message", cases, NULL, NULL);
}
