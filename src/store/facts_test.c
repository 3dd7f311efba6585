// SPDX-License-Identifier: Apache-2.0
#include "store/facts.h"

#include "base/rng.h"
#include "store/sstable_format.h"
#include "tests/golden.h"
#include "tests/test.h"

#include <stdlib.h>

enum { KEYS = 300, RECORD_MAX = 40, PARTITIONS = 5, KEYSPACES = 3 };

// Ascending; of as many keyspaces as there is room for.
static const struct partition partitions[PARTITIONS] = {
    {0, SLOT_COUNT - 1}, {0, SLOT_SYSTEM}, {7, 0}, {7, SLOT_COUNT - 1}, {65535, 9}};

struct model {
    uint8_t key[4];
    uint8_t record[RECORD_MAX];
    size_t size;
};

struct fixture {
    void *memory;
    struct keyspaces keyspaces;
    struct facts facts;
    struct record scratch;
    struct model models[KEYS];
};

static struct partition partition_of(uint32_t key) {
    return partitions[key % PARTITIONS];
}

static struct slice key_of(const struct model *m) {
    return (struct slice){m->key, sizeof(m->key)};
}

static struct slice record_of(const struct model *m) {
    return (struct slice){m->record, m->size};
}

static struct fixture *fixture_new(void) {
    struct fixture *f = calloc(1, sizeof(*f));
    size_t size = facts_memory_size(KEYSPACES) + keyspaces_memory_size(KEYSPACES);
    size = (size + 63) / 64 * 64;
    f->memory = aligned_alloc(64, size);
    memset(f->memory, 0, size);
    struct arena arena = arena_over(f->memory, size);
    keyspaces_init(&f->keyspaces, &arena, KEYSPACES);
    facts_init(&f->facts, &arena, &f->keyspaces);
    for (uint32_t i = 0; i < KEYS; i++) memcpy(f->models[i].key, &i, sizeof(i));
    return f;
}

static void fixture_free(struct fixture *f) {
    free(f->memory);
    free(f);
}

static void change(struct fixture *f, struct rng *rng) {
    uint32_t key = rng_below(rng, KEYS);
    struct model *m = &f->models[key];
    struct partition p = partition_of(key);
    struct footprint old = footprint_of(&f->scratch, p, key_of(m), record_of(m));
    m->size = rng_chance(rng, 1, 4) ? 0 : 1 + rng_below(rng, RECORD_MAX);
    for (size_t i = 0; i < m->size; i++) m->record[i] = (uint8_t)rng_next(rng);
    struct footprint new = footprint_of(&f->scratch, p, key_of(m), record_of(m));
    assert_true(facts_change(&f->facts, p, key_of(m), &old, &new));
}

// Adds everything up anew.
static void check(struct fixture *f) {
    struct store_partition sums[PARTITIONS] = {0};
    for (uint32_t i = 0; i < KEYS; i++) {
        const struct model *m = &f->models[i];
        if (m->size == 0) continue;
        struct store_partition *sum = &sums[i % PARTITIONS];
        sum->digest += record_digest(key_of(m), record_of(m));
        sum->key_count++;
        sum->live_count++; // these bytes are no records
        sum->size += sizeof(m->key) + m->size;
    }
    uint64_t all = 0;
    uint64_t digest = 0;
    for (uint32_t i = 0; i < PARTITIONS; i++) {
        struct store_partition found = facts_of(&f->facts, partition_of(i));
        assert_int_equal(found.digest, sums[i].digest);
        assert_int_equal(found.key_count, sums[i].key_count);
        assert_int_equal(found.live_count, sums[i].live_count);
        assert_int_equal(found.size, sums[i].size);
        uint64_t leaves = 0;
        uint32_t used = 0;
        for (uint32_t leaf = 0; leaf < STORE_LEAVES; leaf++) {
            leaves += found.leaves[leaf];
            used += found.leaves[leaf] != 0;
        }
        assert_int_equal(leaves, found.digest);
        assert_true(used > STORE_LEAVES / 2 || found.key_count < 20);
        all += found.key_count;
        digest += found.digest;
    }
    assert_int_equal(f->facts.totals.key_count, all);
    assert_int_equal(facts_digest(&f->facts), digest);
    uint64_t counted = 0;
    for (uint32_t i = 0; i < KEYSPACES; i++) counted += f->keyspaces.uses[i].keys;
    assert_int_equal(counted, all);
    uint64_t seventh = sums[2].key_count + sums[3].key_count;
    uint32_t index = keyspaces_find(&f->keyspaces, 7);
    assert_int_equal(index == KEYSPACE_NONE ? 0 : f->keyspaces.uses[index].keys, seventh);
}

// What docs/formats.md shows: the file of a store whose only key is "greeting", with the record
// that is shown there.
static void the_format_is_that_of_the_golden_bytes(void **state) {
    (void)state;
    enum { STORAGE = 0x5107a9e1, NUMBER = 6, FILE_MAX = 512 };
    struct fixture *f = fixture_new();
    struct partition p = {.slot = slot_of(SLICE("greeting"))};
    uint8_t record[FILE_MAX];
    uint8_t bytes[FILE_MAX];
    struct slice whole = golden_read("record.v1", record, sizeof(record));
    struct footprint none = {0};
    struct footprint print = footprint_of(&f->scratch, p, SLICE("greeting"), whole);
    assert_int_equal(print.digest, 0x2c94c5e0175c0043);
    assert_true(print.is_live);
    assert_true(facts_change(&f->facts, p, SLICE("greeting"), &none, &print));
    struct writer w = writer_to(bytes + PIECE_HEAD, FILE_MAX - PIECE_HEAD);
    facts_encode(&f->facts, &w);
    assert_false(w.failed);
    struct piece piece = {.size = (uint32_t)w.size, .raw_size = (uint32_t)w.size};
    uint64_t id = sstable_id(STORAGE, NUMBER);
    golden_compare("facts.v1", (struct slice){bytes, piece_seal(id, 0, &piece, bytes)});

    struct slice golden = golden_read("facts.v1", bytes, sizeof(bytes));
    struct slice content;
    assert_int_equal(piece_open(id, 0, golden, &piece, &content), ST_OK);
    assert_int_equal(facts_decode(&f->facts, content), ST_OK);
    struct store_partition sum = facts_of(&f->facts, p);
    assert_int_equal(sum.key_count, 1);
    assert_int_equal(sum.live_count, 1);
    assert_int_equal(sum.size, SLICE("greeting").size + whole.size);
    assert_int_equal(sum.digest, print.digest);
    assert_int_equal(f->facts.totals.key_count, 1);
    fixture_free(f);
}

static void what_cannot_be_is_no_facts(void **state) {
    (void)state;
    enum { COUNT = 4, LIVE = 12 }; // where they stand
    struct fixture *f = fixture_new();
    struct rng rng = {test_seed()};
    for (uint32_t i = 0; i < 200; i++) change(f, &rng);
    size_t most = facts_encoded_size_max(KEYSPACES);
    uint8_t *bytes = malloc(most);
    struct writer w = writer_to(bytes, most);
    facts_encode(&f->facts, &w);
    size_t part_size = w.size / PARTITIONS;
    const uint32_t first = partition_number(partitions[0]);
    const uint32_t second = partition_number(partitions[1]);
    const struct {
        size_t at;
        uint32_t value;
        enum status status;
    } bad[] = {
        {part_size, SLOT_END, ST_CORRUPT},                            // no such partition
        {3 * part_size, UINT32_C(7) << 16 | SLOT_SYSTEM, ST_CORRUPT}, // nor such a one
        {0, second, ST_CORRUPT},                                      // the second twice
        {part_size, first, ST_CORRUPT},                               // the first twice
        {2 * part_size, first, ST_CORRUPT},                           // the first again
        {COUNT, 0, ST_CORRUPT},                           // a partition without keys is left out
        {LIVE, 1000, ST_CORRUPT},                         // more that live than there are
        {2 * part_size, UINT32_C(6) << 16, ST_TOO_LARGE}, // a fourth keyspace
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        uint32_t right = load_u32(bytes + bad[i].at);
        (void)store_u32(bytes + bad[i].at, bad[i].value);
        assert_int_equal(facts_decode(&f->facts, writer_bytes(&w)), bad[i].status);
        assert_int_equal(f->facts.totals.key_count, 0);
        assert_int_equal(facts_of(&f->facts, partition_of(0)).key_count, 0);
        (void)store_u32(bytes + bad[i].at, right);
    }
    assert_int_equal(facts_decode(&f->facts, writer_bytes(&w)), ST_OK);
    check(f);
    free(bytes);
    fixture_free(f);
}

static void sums_are_those_of_what_is_there(void **state) {
    (void)state;
    struct fixture *f = fixture_new();
    struct rng rng = {test_seed()};
    for (uint32_t i = 0; i < 5000; i++) {
        change(f, &rng);
        if (i % 500 == 0) check(f);
    }
    check(f);
    fixture_free(f);
}

static void sums_come_back_from_their_bytes(void **state) {
    (void)state;
    struct fixture *f = fixture_new();
    struct rng rng = {test_seed()};
    for (uint32_t i = 0; i < 1000; i++) change(f, &rng);
    size_t most = facts_encoded_size_max(KEYSPACES);
    uint8_t *bytes = malloc(most);
    struct writer w = writer_to(bytes, most);
    facts_encode(&f->facts, &w);
    assert_false(w.failed);
    assert_int_equal(w.size, facts_encoded_size(&f->facts));
    facts_clear(&f->facts);
    assert_int_equal(facts_of(&f->facts, partition_of(0)).key_count, 0);
    assert_int_equal(facts_decode(&f->facts, writer_bytes(&w)), ST_OK);
    check(f);
    for (size_t size = 1; size < w.size; size++) {
        bool is_whole = size % (w.size / PARTITIONS) == 0; // partitions are encoded alike
        enum status expected = is_whole ? ST_OK : ST_CORRUPT;
        assert_int_equal(facts_decode(&f->facts, (struct slice){bytes, size}), expected);
    }
    free(bytes);
    fixture_free(f);
}

static void a_keyspace_too_many_is_not_counted(void **state) {
    (void)state;
    struct fixture *f = fixture_new();
    struct rng rng = {test_seed()};
    for (uint32_t i = 0; i < 1000; i++) change(f, &rng);
    const struct partition fourth = {8, 1};
    const struct footprint none = {0};
    const struct footprint one = {.size = 1};
    const struct part_facts sum = {.key_count = 1, .size = 1};
    assert_false(facts_change(&f->facts, fourth, SLICE("key"), &none, &one));
    assert_false(facts_replace(&f->facts, fourth, &sum));
    assert_int_equal(facts_of(&f->facts, fourth).key_count, 0);
    check(f);
    const struct part_facts empty = {0}; // of what there is none there is nothing to be counted
    assert_true(facts_replace(&f->facts, fourth, &empty));
    for (uint32_t i = 2; i < PARTITIONS; i++) {
        assert_true(facts_replace(&f->facts, partitions[i], &empty));
    }
    assert_true(facts_replace(&f->facts, fourth, &sum));
    assert_int_equal(facts_of(&f->facts, fourth).key_count, 1);
    assert_int_equal(facts_of(&f->facts, partitions[4]).key_count, 0);
    fixture_free(f);
}

static void a_footprint_has_one_encoding(void **state) {
    (void)state;
    const struct footprint whole[] = {
        {0}, {.digest = 7, .size = 9}, {.digest = 0, .size = 1, .is_live = true}};
    for (size_t i = 0; i < sizeof(whole) / sizeof(whole[0]); i++) {
        uint8_t bytes[FOOTPRINT_SIZE];
        assert_ptr_equal(footprint_store(bytes, &whole[i]), bytes + FOOTPRINT_SIZE);
        struct reader r = reader_of((struct slice){bytes, sizeof(bytes)});
        struct footprint f;
        assert_true(footprint_load(&r, &f));
        assert_int_equal(f.digest, whole[i].digest);
        assert_int_equal(f.size, whole[i].size);
        assert_int_equal(f.is_live, whole[i].is_live);
        bytes[0] ^= 1;
        r = reader_of((struct slice){bytes, sizeof(bytes)});
        assert_false(footprint_load(&r, &f));
    }
}

int facts_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(the_format_is_that_of_the_golden_bytes),
        cmocka_unit_test(sums_are_those_of_what_is_there),
        cmocka_unit_test(sums_come_back_from_their_bytes),
        cmocka_unit_test(what_cannot_be_is_no_facts),
        cmocka_unit_test(a_keyspace_too_many_is_not_counted),
        cmocka_unit_test(a_footprint_has_one_encoding),
    };
    return cmocka_run_group_tests_name("facts", cases, NULL, NULL);
}
