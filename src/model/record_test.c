// SPDX-License-Identifier: Apache-2.0
#include "model/record.h"

#include "base/rng.h"
#include "base/text.h"
#include "tests/golden.h"
#include "tests/test.h"

#include <stdlib.h>

static const struct context nothing = {0};

static struct version dot_of(uint64_t storage, uint64_t counter) {
    return (struct version){{storage, 1}, counter};
}

static struct sibling value_of(struct version dot, uint64_t timestamp, const char *value) {
    return (struct sibling){.dot = dot, .timestamp = timestamp, .value = slice_of_string(value)};
}

static struct slice bytes_of(const struct record *r, uint8_t *memory, size_t capacity) {
    struct writer w = writer_to(memory, capacity);
    record_encode(r, &w);
    assert_false(w.failed);
    assert_int_equal(w.size, record_encoded_size(r));
    return writer_bytes(&w);
}

static bool decodes(const uint8_t *bytes, size_t size) {
    static struct record r;
    enum status status = record_decode(&r, (struct slice){bytes, size});
    if (status == ST_OK) return true;
    assert_int_equal(status, ST_CORRUPT);
    assert_int_equal(r.context.count, 0);
    assert_int_equal(r.sibling_count, 0);
    return false;
}

// The worked example of docs/formats.md: a value and a tombstone, written at the same time.
static void example(struct record *r) {
    record_clear(r);
    r->context.entries[0] = (struct version){{0x1111, 1}, 2};
    r->context.entries[1] = (struct version){{0x2222, 3}, 1};
    r->context.count = 2;
    r->siblings[0] = value_of(r->context.entries[0], 1700000000000u << 16, "hello");
    r->siblings[0].expires_ms = 1700000060000u;
    r->siblings[1] = (struct sibling){.dot = r->context.entries[1],
                                      .timestamp = (1700000000000u << 16) + 1,
                                      .is_tombstone = true};
    r->sibling_count = 2;
}

static void the_encoding_is_the_one_of_all_releases(void **state) {
    (void)state;
    static struct record r, again;
    uint8_t memory[256];
    example(&r);
    struct slice bytes = bytes_of(&r, memory, sizeof(memory));
    golden_compare("record.v1", bytes);
    uint8_t golden[256];
    struct slice read = golden_read("record.v1", golden, sizeof(golden));
    assert_int_equal(record_decode(&again, read), ST_OK);
    assert_int_equal(again.sibling_count, 2);
    assert_true(slice_equal(again.siblings[0].value, SLICE("hello")));
    assert_int_equal(again.siblings[0].expires_ms, 1700000060000u);
    assert_true(again.siblings[1].is_tombstone);
    assert_int_equal(record_digest(SLICE("greeting"), read), 0x2c94c5e0175c0043u);
}

static void the_empty_record_has_no_bytes(void **state) {
    (void)state;
    static struct record r;
    uint8_t memory[1];
    record_clear(&r);
    assert_int_equal(record_encoded_size(&r), 0);
    assert_int_equal(bytes_of(&r, memory, 0).size, 0);
    assert_int_equal(record_decode(&r, (struct slice){0}), ST_OK);
    assert_int_equal(r.context.count, 0);
    assert_int_equal(r.sibling_count, 0);
    assert_null(record_latest(&r));
    assert_false(decodes((const uint8_t[]){1, 0, 0, 0}, 4)); // the long way to say it
}

static void a_record_without_room_is_not_written(void **state) {
    (void)state;
    static struct record r;
    uint8_t memory[256];
    example(&r);
    size_t size = record_encoded_size(&r);
    for (size_t capacity = 0; capacity <= size; capacity++) {
        struct writer w = writer_to(memory, capacity);
        record_encode(&r, &w);
        assert_int_equal(w.failed, capacity < size);
        assert_int_equal(w.size, capacity < size ? 0 : size);
    }
}

// Offsets of the fields of the example.
enum {
    AT_CONTEXT_COUNT = 1,
    AT_ACTOR = 3,
    AT_EPOCH = 11,
    AT_COUNTER = 15,
    AT_ACTOR_2 = 23,
    AT_EPOCH_2 = 31,
    AT_COUNTER_2 = 35,
    AT_SIBLING_COUNT = 43,
    AT_INDEX = 44,
    AT_DOT = 46,
    AT_FLAGS = 54,
    AT_EXPIRY = 63,
    AT_SIZE = 71,
    AT_VALUE = 75,
    AT_INDEX_2 = 80,
    AT_DOT_2 = 82,
    AT_FLAGS_2 = 90,
    AT_SIZE_2 = 99,
    EXAMPLE_SIZE = 103,
};

static void what_encoding_would_not_give_is_refused(void **state) {
    (void)state;
    static const struct {
        uint32_t at;
        uint8_t byte;
    } bad[] = {
        {0, 0},
        {0, 2},                    // another version
        {AT_ACTOR_2 + 1, 0x10},    // actors that do not ascend,
        {AT_ACTOR + 1, 0x33},      //
        {AT_CONTEXT_COUNT, 0},     // are not as many as announced,
        {AT_CONTEXT_COUNT, 1},     //
        {AT_CONTEXT_COUNT, 3},     //
        {AT_CONTEXT_COUNT + 1, 2}, // or too many
        {AT_EPOCH, 0},
        {AT_EPOCH_2, 0}, // epochs and counters start at 1
        {AT_COUNTER, 0},
        {AT_DOT, 0}, //
        {AT_COUNTER, 1},
        {AT_DOT, 3}, // a dot that the context does not cover
        {AT_INDEX, 2},
        {AT_INDEX + 1, 1},       // or whose actor it does not know
        {AT_SIBLING_COUNT, 1},   // siblings that are not as many as announced
        {AT_SIBLING_COUNT, 3},   //
        {AT_SIBLING_COUNT, 129}, //
        {AT_INDEX_2, 0},         // dots that do not ascend
        {AT_FLAGS, 6},
        {AT_FLAGS, 0x82}, // flags that mean nothing,
        {AT_FLAGS, 3},    // contradict each other,
        {AT_FLAGS, 0},
        {AT_FLAGS_2, 3}, // or the size
        {AT_SIZE, 4},
        {AT_SIZE, 6},        //
        {AT_SIZE + 3, 0xff}, //
        {AT_SIZE_2, 1},      //
    };
    static struct record r;
    uint8_t memory[256];
    example(&r);
    struct slice bytes = bytes_of(&r, memory, sizeof(memory));
    assert_int_equal(bytes.size, EXAMPLE_SIZE);
    assert_true(decodes(memory, EXAMPLE_SIZE));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        uint8_t kept = memory[bad[i].at];
        assert_int_not_equal(kept, bad[i].byte);
        memory[bad[i].at] = bad[i].byte;
        if (decodes(memory, EXAMPLE_SIZE)) fail_msg("byte %u: %u", bad[i].at, bad[i].byte);
        memory[bad[i].at] = kept;
    }
    memcpy(memory + AT_ACTOR_2, memory + AT_ACTOR, 12); // an actor twice
    assert_false(decodes(memory, EXAMPLE_SIZE));
    example(&r);
    bytes_of(&r, memory, sizeof(memory));
    memset(memory + AT_EXPIRY, 0, 8); // an expiry that is none
    assert_false(decodes(memory, EXAMPLE_SIZE));
    example(&r);
    bytes_of(&r, memory, sizeof(memory));
    for (size_t size = 1; size <= EXAMPLE_SIZE + 1; size++) {
        assert_int_equal(decodes(memory, size), size == EXAMPLE_SIZE);
    }
    memory[AT_FLAGS_2] = 0; // a tombstone with a value
    memory[AT_SIZE_2] = 1;
    assert_true(decodes(memory, EXAMPLE_SIZE + 1));
    memory[AT_FLAGS_2] = 1;
    assert_false(decodes(memory, EXAMPLE_SIZE + 1));
}

static void a_tombstone_alone_and_a_context_alone_are_records(void **state) {
    (void)state;
    static struct record r, again;
    uint8_t memory[2][256];
    example(&r);
    for (int round = 0; round < 2; round++) {
        r.siblings[0] = r.siblings[1];
        r.sibling_count = round == 0 ? 1 : 0;
        struct slice bytes = bytes_of(&r, memory[0], 256);
        assert_int_equal(record_decode(&again, bytes), ST_OK);
        assert_int_equal(again.sibling_count, r.sibling_count);
        assert_true(slice_equal(bytes, bytes_of(&again, memory[1], 256)));
    }
}

// Whatever bits are changed, the result is refused or is itself the encoding of a record.
static void what_is_decoded_is_canonical(void **state) {
    (void)state;
    struct rng rng = {test_seed()};
    static struct record r;
    uint8_t memory[256];
    uint8_t again[256];
    uint32_t accepted = 0;
    for (uint32_t round = 0; round < 200000; round++) {
        example(&r);
        size_t size = bytes_of(&r, memory, sizeof(memory)).size;
        for (uint32_t n = 1 + rng_below(&rng, 3); n > 0; n--) {
            memory[rng_below(&rng, EXAMPLE_SIZE)] ^= (uint8_t)(1u << rng_below(&rng, 8));
        }
        if (record_decode(&r, (struct slice){memory, size}) != ST_OK) continue;
        accepted++;
        assert_true(slice_equal((struct slice){memory, size}, bytes_of(&r, again, 256)));
    }
    assert_true(accepted > 1000);
}

static void a_plain_reader_sees_the_latest_sibling(void **state) {
    (void)state;
    static struct record r;
    example(&r);
    assert_ptr_equal(record_latest(&r), &r.siblings[1]);
    assert_null(record_visible(&r, 0)); // a tombstone
    r.siblings[0].timestamp += 2;
    assert_ptr_equal(record_latest(&r), &r.siblings[0]);
    assert_ptr_equal(record_visible(&r, 0), &r.siblings[0]);
    assert_ptr_equal(record_visible(&r, r.siblings[0].expires_ms - 1), &r.siblings[0]);
    assert_null(record_visible(&r, r.siblings[0].expires_ms));
    assert_null(record_visible(&r, UINT64_MAX));
    assert_ptr_equal(record_latest(&r), &r.siblings[0]);
    r.siblings[0].expires_ms = 0;
    assert_ptr_equal(record_visible(&r, UINT64_MAX), &r.siblings[0]);
    r.siblings[1].timestamp = r.siblings[0].timestamp; // ties by dot
    assert_ptr_equal(record_latest(&r), &r.siblings[1]);
}

// The same dot with two contents, as of two processes with copies of one directory. They stand in
// the order in which they are here.
static void of_two_contents_under_one_dot_both_are_kept(void **state) {
    (void)state;
    struct sibling kinds[6];
    for (uint32_t i = 0; i < 6; i++) kinds[i] = value_of(dot_of(1, 1), 5, "a");
    kinds[1].value = SLICE("b");
    kinds[2].value = SLICE("aa");
    kinds[3].expires_ms = 9;
    kinds[4] = (struct sibling){.dot = dot_of(1, 1), .timestamp = 5, .is_tombstone = true};
    kinds[5].timestamp = 6;
    for (uint32_t i = 0; i < 6; i++) {
        for (uint32_t j = 0; j < 6; j++) {
            static struct record empty, a, b, ab, ba, after;
            uint8_t memory[2][128];
            bool conflict[2] = {i == j, i == j};
            assert_int_equal(record_update(&empty, &nothing, &kinds[i], &a), ST_OK);
            assert_int_equal(record_update(&empty, &nothing, &kinds[j], &b), ST_OK);
            assert_int_equal(record_merge(&a, &b, &ab, &conflict[0]), ST_OK);
            assert_int_equal(record_merge(&b, &a, &ba, &conflict[1]), ST_OK);
            assert_int_equal(conflict[0], i != j);
            assert_int_equal(conflict[1], i != j);
            assert_int_equal(ab.sibling_count, i == j ? 1 : 2);
            struct slice bytes = bytes_of(&ab, memory[0], 128);
            assert_true(slice_equal(bytes, bytes_of(&ba, memory[1], 128)));
            if (i == j) continue;
            const struct sibling *first = &kinds[i < j ? i : j];
            assert_true(slice_equal(ab.siblings[0].value, first->value));
            assert_int_equal(ab.siblings[0].is_tombstone, first->is_tombstone);
            assert_int_equal(record_decode(&ba, bytes), ST_OK);
            assert_int_equal(ba.sibling_count, 2);

            // Who has both learns nothing from one; the one learns, and hears of it.
            assert_int_equal(record_merge(&a, &ab, &ba, &conflict[0]), ST_OK);
            assert_true(conflict[0]);
            assert_int_equal(record_merge(&ab, &ab, &ba, &conflict[0]), ST_OK);
            assert_false(conflict[0]);
            // A write that has seen the dot supersedes both; then neither comes back.
            struct sibling next = value_of(dot_of(2, 1), 7, "new");
            assert_int_equal(record_update(&ab, &ab.context, &next, &after), ST_OK);
            assert_int_equal(after.sibling_count, 1);
            assert_int_equal(record_merge(&after, &a, &ba, &conflict[0]), ST_OK);
            assert_int_equal(ba.sibling_count, 1);
            assert_false(conflict[0]);
        }
    }
}

// Any other order than the one of their contents is not the encoding of a record; nor is one twice.
static void two_contents_under_one_dot_have_one_encoding(void **state) {
    (void)state;
    static struct record r, again;
    uint8_t memory[256];
    record_clear(&r);
    r.context.entries[r.context.count++] = dot_of(0x1111, 3);
    r.siblings[0] = value_of(dot_of(0x1111, 3), 1700000000000u << 16, "mine");
    r.siblings[1] = value_of(dot_of(0x1111, 3), 1700000000001u << 16, "of a copy");
    r.sibling_count = 2;
    struct slice bytes = bytes_of(&r, memory, sizeof(memory));
    golden_compare("record-of-copies.v1", bytes);
    assert_int_equal(record_decode(&again, bytes), ST_OK);
    assert_int_equal(again.sibling_count, 2);
    struct sibling first = r.siblings[0];
    r.siblings[0] = r.siblings[1];
    r.siblings[1] = first;
    bytes = bytes_of(&r, memory, sizeof(memory));
    assert_false(decodes(bytes.data, bytes.size));
    r.siblings[0] = first;
    bytes = bytes_of(&r, memory, sizeof(memory));
    assert_false(decodes(bytes.data, bytes.size));
}

static void a_context_that_knows_the_new_dot_stops_the_write(void **state) {
    (void)state;
    static struct record empty, out;
    static struct context seen;
    struct sibling s = value_of(dot_of(1, 5), 1, "x");
    seen.count = 1;
    seen.entries[0] = dot_of(1, 4);
    assert_int_equal(record_update(&empty, &seen, &s, &out), ST_OK);
    assert_int_equal(context_counter(&out.context, s.dot.actor), 5);
    seen.entries[0] = dot_of(1, 5);
    assert_int_equal(record_update(&empty, &seen, &s, &out), ST_INVALID);
    assert_int_equal(out.context.count, 0);
}

static void a_digest_speaks_of_versions_and_not_of_values(void **state) {
    (void)state;
    static struct record r;
    uint8_t memory[256];
    example(&r);
    struct slice bytes = bytes_of(&r, memory, sizeof(memory));
    uint64_t digest = record_digest(SLICE("k"), bytes);
    assert_int_equal(record_digest(SLICE("k"), bytes), digest);
    assert_int_not_equal(record_digest(SLICE("l"), bytes), digest);
    assert_int_not_equal(record_digest(SLICE("k"), (struct slice){0}), digest);
    for (size_t i = 0; i < EXAMPLE_SIZE; i++) {
        memory[i] ^= 1;
        bool in_value = i >= AT_VALUE && i < AT_INDEX_2;
        assert_int_equal(record_digest(SLICE("k"), bytes) == digest, in_value);
        memory[i] ^= 1;
    }
    // Anything has a digest, and nothing is read past its end.
    for (size_t size = 0; size < EXAMPLE_SIZE; size++) {
        uint8_t *exact = malloc(size + 1);
        memcpy(exact + 1, memory, size);
        assert_int_not_equal(record_digest(SLICE("k"), (struct slice){exact + 1, size}), digest);
        free(exact);
    }
}

// Its directory was copied, and the copy has written something else under the same dot.
static void a_writer_leaves_the_other_content_of_its_dot(void **state) {
    (void)state;
    static struct record r;
    static struct context seen;
    static struct context known;
    struct version own = {{7, 1}, 3};
    record_clear(&r);
    context_clear(&seen);
    assert_int_equal(context_add(&r.context, own), ST_OK);
    r.siblings[r.sibling_count++] = (struct sibling){.dot = own, .timestamp = 1};
    record_context_of_writer(&r, &seen, own, &known);
    assert_true(context_covers(&known, own));
    r.siblings[r.sibling_count++] = (struct sibling){.dot = own, .timestamp = 2};
    record_context_of_writer(&r, &seen, own, &known);
    assert_false(context_covers(&known, own));
    assert_int_equal(context_counter(&known, own.actor), 2);
}

int record_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(the_encoding_is_the_one_of_all_releases),
        cmocka_unit_test(the_empty_record_has_no_bytes),
        cmocka_unit_test(a_record_without_room_is_not_written),
        cmocka_unit_test(what_encoding_would_not_give_is_refused),
        cmocka_unit_test(a_tombstone_alone_and_a_context_alone_are_records),
        cmocka_unit_test(what_is_decoded_is_canonical),
        cmocka_unit_test(a_plain_reader_sees_the_latest_sibling),
        cmocka_unit_test(of_two_contents_under_one_dot_both_are_kept),
        cmocka_unit_test(two_contents_under_one_dot_have_one_encoding),
        cmocka_unit_test(a_context_that_knows_the_new_dot_stops_the_write),
        cmocka_unit_test(a_digest_speaks_of_versions_and_not_of_values),
        cmocka_unit_test(a_writer_leaves_the_other_content_of_its_dot),
    };
    return cmocka_run_group_tests_name("record", cases, NULL, NULL);
}
