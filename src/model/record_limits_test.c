// SPDX-License-Identifier: Apache-2.0
//
// Every limit of a record, reached and passed by one.
#include "model/record.h"

#include "tests/test.h"

#include <stdlib.h>

static const struct context nothing = {0};
static struct record a, b, out;

static struct version dot_of(uint64_t storage, uint64_t counter) {
    return (struct version){{storage, 1}, counter};
}

// A record of that many siblings, each by another actor, from the number `first` on.
static void fill(struct record *r, uint32_t first, uint32_t siblings) {
    record_clear(r);
    for (uint32_t i = 0; i < siblings; i++) {
        r->context.entries[i] = dot_of(first + i, 1);
        r->siblings[i] = (struct sibling){.dot = dot_of(first + i, 1)};
    }
    r->context.count = siblings;
    r->sibling_count = siblings;
}

static void fill_context(struct context *c, uint32_t first, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) c->entries[i] = dot_of(first + i, 1);
    c->count = count;
}

static void siblings_merge_up_to_their_number(void **state) {
    (void)state;
    fill(&a, 1, 100);
    fill(&b, 101, SIBLINGS_MAX - 100);
    assert_int_equal(record_merge(&a, &b, &out, NULL), ST_OK);
    assert_int_equal(out.sibling_count, SIBLINGS_MAX);
    fill(&b, 101, SIBLINGS_MAX - 99);
    assert_int_equal(record_merge(&a, &b, &out, NULL), ST_TOO_LARGE);
    assert_int_equal(out.sibling_count, 0);
    assert_int_equal(out.context.count, 0);
    fill(&b, 100, SIBLINGS_MAX - 99); // one of them both have
    assert_int_equal(record_merge(&a, &b, &out, NULL), ST_OK);
}

static void a_write_that_adds_one_sibling_too_many_is_refused(void **state) {
    (void)state;
    struct sibling s = {.dot = dot_of(50, 2)};
    fill(&a, 1, SIBLINGS_WRITE_MAX - 1);
    assert_int_equal(record_update(&a, &nothing, &s, &out), ST_OK);
    assert_int_equal(out.sibling_count, SIBLINGS_WRITE_MAX);
    // As many as one may write, and as many as merging can make.
    for (uint32_t count = SIBLINGS_WRITE_MAX; count <= SIBLINGS_MAX; count++) {
        bool is_last = count == SIBLINGS_MAX;
        for (uint64_t storage = is_last ? 1 : count - 1; storage <= count + 1; storage++) {
            static struct context seen;
            s.dot = dot_of(storage, 2);
            fill(&a, 1, count);
            assert_int_equal(record_update(&a, &nothing, &s, &out), ST_TOO_LARGE);
            assert_int_equal(out.sibling_count, 0);
            fill_context(&seen, 1, 1); // one goes, one comes
            assert_int_equal(record_update(&a, &seen, &s, &out), ST_OK);
            assert_int_equal(out.sibling_count, count);
        }
    }
}

static void actors_merge_up_to_their_number(void **state) {
    (void)state;
    fill(&a, 1, 1);
    fill(&b, 1000, 1);
    fill_context(&a.context, 1, 200);
    fill_context(&b.context, 1000, CONTEXT_MAX - 200);
    assert_int_equal(record_merge(&a, &b, &out, NULL), ST_OK);
    assert_int_equal(out.context.count, CONTEXT_MAX);
    fill_context(&b.context, 1000, CONTEXT_MAX - 199);
    assert_int_equal(record_merge(&a, &b, &out, NULL), ST_HISTORY_FULL);
    assert_int_equal(out.context.count, 0);
    assert_int_equal(out.sibling_count, 0);
}

static void a_write_that_adds_one_actor_too_many_is_refused(void **state) {
    (void)state;
    static struct context seen;
    struct sibling s = {.dot = dot_of(999, 1)};
    fill(&a, 1, 1);
    fill_context(&a.context, 1, CONTEXT_MAX);
    assert_int_equal(record_update(&a, &nothing, &s, &out), ST_HISTORY_FULL);
    s.dot = dot_of(7, 2);
    assert_int_equal(record_update(&a, &nothing, &s, &out), ST_OK);
    fill_context(&seen, 2, CONTEXT_MAX); // one that the record does not know
    seen.entries[5].counter = 1;
    assert_int_equal(record_update(&a, &seen, &s, &out), ST_HISTORY_FULL);
    assert_int_equal(out.context.count, 0);
}

static void values_together_have_a_limit_but_one_may_stand_alone(void **state) {
    (void)state;
    uint8_t *memory = calloc(1, VALUE_SIZE_MAX + 1);
    assert_non_null(memory);
    struct sibling s = {.dot = dot_of(2, 1), .value = {memory, SIBLINGS_SIZE_MAX - 10}};
    fill(&a, 1, 1);
    a.siblings[0].value = (struct slice){memory, 10};
    assert_int_equal(record_update(&a, &nothing, &s, &out), ST_OK);
    assert_int_equal(out.sibling_count, 2);
    s.value.size++;
    assert_int_equal(record_update(&a, &nothing, &s, &out), ST_TOO_LARGE);
    assert_int_equal(out.sibling_count, 0);
    assert_int_equal(record_update(&a, &a.context, &s, &out), ST_OK);
    fill(&b, 1, 3); // two that are too large together, as merging leaves them, and a third
    b.siblings[0].value = b.siblings[1].value = (struct slice){memory, SIBLINGS_SIZE_MAX};
    static struct context first;
    fill_context(&first, 1, 1);
    s.dot = dot_of(9, 1);
    s.value.size = SIBLINGS_SIZE_MAX;
    assert_int_equal(record_update(&b, &first, &s, &out), ST_OK);
    s.value.size++;
    assert_int_equal(record_update(&b, &first, &s, &out), ST_TOO_LARGE);
    s.value.size = VALUE_SIZE_MAX;
    assert_int_equal(record_update(&a, &a.context, &s, &out), ST_OK);
    s.value.size++;
    assert_int_equal(record_update(&a, &a.context, &s, &out), ST_TOO_LARGE);
    free(memory);
}

// Each actor's siblings are all it minted, under whatever epoch.
static void a_share_is_what_one_storage_has_minted(void **state) {
    (void)state;
    static const uint8_t bytes[30];
    fill(&a, 1, 4);
    a.siblings[1].dot.actor = (struct actor){1, 2};
    a.siblings[0].value = (struct slice){bytes, 10};
    a.siblings[1].value = (struct slice){bytes, 20};
    a.siblings[2].value = (struct slice){bytes, 30};
    struct record_share share = record_share_of(&a, 1);
    assert_int_equal(share.sibling_count, 2);
    assert_int_equal(share.values_size, 30);
    assert_int_equal(record_share_of(&a, 9).sibling_count, 0);
}

static void the_largest_records_survive_the_way_to_bytes_and_back(void **state) {
    (void)state;
    size_t capacity = VALUE_SIZE_MAX + 16384;
    uint8_t *memory = calloc(1, capacity);
    uint8_t *value = calloc(1, VALUE_SIZE_MAX + 1);
    assert_non_null(memory);
    assert_non_null(value);
    fill(&a, 1, SIBLINGS_MAX);
    fill_context(&a.context, 1, CONTEXT_MAX);
    a.siblings[3].value = (struct slice){value, VALUE_SIZE_MAX};
    struct writer w = writer_to(memory, capacity);
    record_encode(&a, &w);
    assert_false(w.failed);
    assert_int_equal(record_decode(&out, writer_bytes(&w)), ST_OK);
    assert_int_equal(out.context.count, CONTEXT_MAX);
    assert_int_equal(out.sibling_count, SIBLINGS_MAX);
    assert_int_equal(out.siblings[3].value.size, VALUE_SIZE_MAX);

    // One byte more in a value; the size is the field before it.
    uint8_t *field = memory + (out.siblings[3].value.data - memory) - 4;
    memmove(field + 5, field + 4, w.size - (size_t)(field + 4 - memory));
    memcpy(field, &(uint32_t){VALUE_SIZE_MAX + 1}, 4);
    assert_int_equal(record_decode(&out, (struct slice){memory, w.size + 1}), ST_CORRUPT);
    free(memory);
    free(value);
}

static void one_actor_more_than_the_most_is_not_decoded(void **state) {
    (void)state;
    uint8_t bytes[2 + (CONTEXT_MAX + 1) * CONTEXT_ENTRY_ENCODED_SIZE];
    for (uint32_t count = CONTEXT_MAX; count <= CONTEXT_MAX + 1; count++) {
        struct writer w = writer_to(bytes, sizeof(bytes));
        write_u16(&w, (uint16_t)count);
        for (uint32_t i = 0; i < count; i++) {
            write_u64(&w, i);
            write_u32(&w, 1);
            write_u64(&w, 1);
        }
        struct reader r = reader_of(writer_bytes(&w));
        context_decode(&out.context, &r);
        assert_int_equal(reader_done(&r), count == CONTEXT_MAX);
        assert_int_equal(out.context.count, count == CONTEXT_MAX ? CONTEXT_MAX : 0);
    }
}

int record_limits_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(siblings_merge_up_to_their_number),
        cmocka_unit_test(a_write_that_adds_one_sibling_too_many_is_refused),
        cmocka_unit_test(actors_merge_up_to_their_number),
        cmocka_unit_test(a_write_that_adds_one_actor_too_many_is_refused),
        cmocka_unit_test(values_together_have_a_limit_but_one_may_stand_alone),
        cmocka_unit_test(a_share_is_what_one_storage_has_minted),
        cmocka_unit_test(the_largest_records_survive_the_way_to_bytes_and_back),
        cmocka_unit_test(one_actor_more_than_the_most_is_not_decoded),
    };
    return cmocka_run_group_tests_name("record_limits", cases, NULL, NULL);
}
