// SPDX-License-Identifier: Apache-2.0
#include "model/members.h"

#include "base/rng.h"
#include "tests/golden.h"
#include "tests/test.h"

enum { KINDS = 3, ENTRIES = KINDS * KINDS * KINDS };

// All entries with small incarnations, heartbeats and loads.
static struct member_entry entry_of(uint32_t number) {
    return (struct member_entry){.id = 9,
                                 .incarnation = number / KINDS / KINDS,
                                 .heartbeat = number / KINDS % KINDS,
                                 .state = MEMBER_SERVING,
                                 .load = number % KINDS};
}

// What is known after the entries were heard one after the other.
static struct member_entry heard(const uint32_t *numbers, uint32_t count) {
    struct member_entry known = {0};
    struct members members = {.count = 1, .entries = &known};
    for (uint32_t i = 0; i < count; i++) {
        struct member_entry entry = entry_of(numbers[i]);
        (void)members_merge_entry(&members, 0, &entry);
    }
    return known;
}

static void assert_same(struct member_entry a, struct member_entry b) {
    assert_int_equal(a.incarnation, b.incarnation);
    assert_int_equal(a.heartbeat, b.heartbeat);
    assert_int_equal(a.load, b.load);
}

static void order_and_repetition_of_gossip_are_of_no_matter(void **state) {
    (void)state;
    for (uint32_t a = 0; a < ENTRIES; a++) {
        for (uint32_t b = 0; b < ENTRIES; b++) {
            for (uint32_t c = 0; c < ENTRIES; c++) {
                uint32_t highest = a > b ? a : b;
                if (c > highest) highest = c;
                struct member_entry known = heard((uint32_t[]){a, b, c, a, b}, 5);
                assert_same(known, entry_of(highest));
            }
        }
    }
}

static void only_newer_entries_count_as_news(void **state) {
    (void)state;
    struct member_entry entries[2] = {0};
    struct members members = {.count = 2, .entries = entries};
    struct member_entry entry = {.id = 5, .incarnation = 2, .heartbeat = 7};
    assert_true(members_merge_entry(&members, 1, &entry));
    assert_false(members_merge_entry(&members, 1, &entry));
    entry.heartbeat = 6;
    assert_false(members_merge_entry(&members, 1, &entry));
    entry.heartbeat = 8;
    assert_true(members_merge_entry(&members, 1, &entry));
    entry.incarnation = 1;
    entry.heartbeat = 900;
    assert_false(members_merge_entry(&members, 1, &entry));
    entry.incarnation = 3;
    entry.heartbeat = 0;
    assert_true(members_merge_entry(&members, 1, &entry));
    assert_int_equal(entries[0].id, 0);
    assert_int_equal(entries[1].incarnation, 3);
}

// Most ids want a place in the table that another one has.
static void an_entry_is_found_by_its_id(void **state) {
    (void)state;
    enum { MOST = 50, PLACES = 128 };
    static struct member_entry entries[MOST];
    static uint16_t places[PLACES];
    assert_int_equal(members_place_count(MOST), PLACES);
    for (uint32_t count = 0; count <= MOST; count++) {
        struct members members = {
            .count = count, .entries = entries, .places = places, .place_count = PLACES};
        for (uint32_t i = 0; i < count; i++) {
            uint64_t wanted = PLACES - 1 - i % 3; // the table is gone round
            entries[i].id = ((uint64_t)(i + 1) << 32) + 2 * wanted + 1;
        }
        members_on_ids(&members);
        for (uint32_t i = 0; i < count; i++) {
            assert_int_equal(members_find(&members, entries[i].id), i);
        }
        assert_int_equal(members_find(&members, ((uint64_t)(MOST + 1) << 32) + 1), count);
        assert_int_equal(members_find(&members, 2 * PLACES - 1), count);
        assert_int_equal(members_find(&members, 0), count);
    }
}

static void entries_survive_the_way_to_bytes_and_back(void **state) {
    (void)state;
    struct rng rng = {test_seed()};
    for (uint32_t round = 0; round < 1000; round++) {
        uint8_t bytes[MEMBER_ENTRY_ENCODED_SIZE];
        uint8_t again[MEMBER_ENTRY_ENCODED_SIZE];
        for (size_t i = 0; i < sizeof(bytes); i++) bytes[i] = (uint8_t)rng_next(&rng);
        uint8_t member_state = (uint8_t)rng_below(&rng, MEMBER_STATES + 2);
        bytes[32] = (uint8_t)(member_state | (uint32_t)rng_below(&rng, 16) << 4);
        bytes[sizeof(bytes) - 1] = (uint8_t)rng_below(&rng, 101);
        struct reader r = reader_of((struct slice){bytes, sizeof(bytes)});
        struct member_entry entry;
        member_entry_decode(&entry, &r);
        assert_int_equal(reader_done(&r), member_state < MEMBER_STATES);
        if (r.failed) continue;
        assert_int_equal(entry.troubles, bytes[32] >> 4);
        struct writer w = writer_to(again, sizeof(again));
        member_entry_encode(&entry, &w);
        assert_int_equal(w.size, sizeof(again));
        assert_memory_equal(bytes, again, sizeof(again));
    }
}

static void an_entry_cut_short_is_a_failure(void **state) {
    (void)state;
    uint8_t bytes[MEMBER_ENTRY_ENCODED_SIZE] = {0};
    for (size_t size = 0; size < sizeof(bytes); size++) {
        struct reader r = reader_of((struct slice){bytes, size});
        struct member_entry entry;
        member_entry_decode(&entry, &r);
        assert_true(r.failed);
    }
}

static void a_merge_is_at_most_done(void **state) {
    (void)state;
    for (uint32_t merged = 0; merged <= UINT8_MAX; merged++) {
        uint8_t bytes[MEMBER_ENTRY_ENCODED_SIZE] = {0};
        bytes[sizeof(bytes) - 1] = (uint8_t)merged;
        struct reader r = reader_of((struct slice){bytes, sizeof(bytes)});
        struct member_entry entry;
        member_entry_decode(&entry, &r);
        assert_int_equal(r.failed, merged > 100 && merged != MEMBER_MERGES_NOTHING);
    }
}

static void the_encoding_is_the_one_of_all_releases(void **state) {
    (void)state;
    uint8_t bytes[MEMBER_ENTRY_ENCODED_SIZE];
    struct member_entry entry = {.id = 0x1111,
                                 .incarnation = 3,
                                 .heartbeat = 500,
                                 .storage = 0x2222,
                                 .state = MEMBER_SERVING,
                                 .key_count = 1000,
                                 .disk_size = 1 << 20,
                                 .memory_size = 1 << 16,
                                 .load = 250,
                                 .merged = 42};
    struct writer w = writer_to(bytes, sizeof(bytes));
    member_entry_encode(&entry, &w);
    assert_int_equal(w.size, MEMBER_ENTRY_ENCODED_SIZE);
    golden_compare("member-entry.v1", writer_bytes(&w));
}

int members_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(order_and_repetition_of_gossip_are_of_no_matter),
        cmocka_unit_test(only_newer_entries_count_as_news),
        cmocka_unit_test(an_entry_is_found_by_its_id),
        cmocka_unit_test(entries_survive_the_way_to_bytes_and_back),
        cmocka_unit_test(the_encoding_is_the_one_of_all_releases),
        cmocka_unit_test(an_entry_cut_short_is_a_failure),
        cmocka_unit_test(a_merge_is_at_most_done),
    };
    return cmocka_run_group_tests_name("members", cases, NULL, NULL);
}
