// SPDX-License-Identifier: Apache-2.0
#include "store/manifest.h"

#include "base/little.h"
#include "base/rng.h"
#include "tests/golden.h"
#include "tests/test.h"

#include <stdlib.h>

enum { STORAGE = 0x5107a9e1, COPY_SIZE = 112, EXAMPLE_SIZE = 2 * COPY_SIZE };

// Offsets in a copy.
enum {
    AT_VERSION = 8,
    AT_SIZE = 12,
    AT_STORAGE = 16,
    AT_EPOCH = 32,
    AT_NEXT_NUMBER = 44,
    AT_NEXT_SEQUENCE = 48,
    AT_FACTS = 56,
    AT_TABLE_COUNT = 60,
    AT_TABLES = 64,
    AT_CHECKSUM = COPY_SIZE - 8,
};

struct fixture {
    struct manifest manifest;
    struct manifest decoded;
    uint8_t *bytes; // room for the largest
};

static struct fixture *fixture_new(void) {
    struct fixture *f = calloc(1, sizeof(*f));
    f->manifest.tables = calloc(SSTABLES_MAX, sizeof(*f->manifest.tables));
    f->decoded.tables = calloc(SSTABLES_MAX, sizeof(*f->decoded.tables));
    f->bytes = malloc(manifest_size_max());
    return f;
}

static void fixture_free(struct fixture *f) {
    free(f->manifest.tables);
    free(f->decoded.tables);
    free(f->bytes);
    free(f);
}

// What docs/formats.md shows.
static void make_example(struct manifest *m) {
    struct manifest_table *tables = m->tables;
    *m = (struct manifest){
        .storage = STORAGE,
        .position = UINT64_C(3) << 32 | 0x600,
        .minted = 41,
        .next_sequence = 6,
        .epoch = 1,
        .next_number = 8,
        .facts_number = 6,
        .tables = tables,
    };
    manifest_add(m, &(struct manifest_table){.number = 2, .last = 16384});
    manifest_add(m, &(struct manifest_table){7, 12739, 16384, 5});
}

static void assert_same(const struct manifest *a, const struct manifest *b) {
    assert_int_equal(a->storage, b->storage);
    assert_int_equal(a->position, b->position);
    assert_int_equal(a->minted, b->minted);
    assert_int_equal(a->next_sequence, b->next_sequence);
    assert_int_equal(a->epoch, b->epoch);
    assert_int_equal(a->next_number, b->next_number);
    assert_int_equal(a->facts_number, b->facts_number);
    assert_int_equal(a->table_count, b->table_count);
    assert_int_equal(a->origin.kind, b->origin.kind);
    assert_int_equal(a->origin.actor, b->origin.actor);
    assert_int_equal(a->origin.cluster, b->origin.cluster);
    assert_int_equal(a->origin.end, b->origin.end);
    assert_int_equal(a->origin.key_count, b->origin.key_count);
    assert_int_equal(a->origin.digest, b->origin.digest);
    assert_int_equal(a->origin.files, b->origin.files);
    assert_int_equal(a->drop_count, b->drop_count);
    for (uint32_t i = 0; i < a->drop_count; i++) {
        assert_int_equal(a->drops[i].keyspace, b->drops[i].keyspace);
        assert_int_equal(a->drops[i].number, b->drops[i].number);
    }
    for (uint32_t i = 0; i < a->table_count; i++) {
        assert_int_equal(a->tables[i].number, b->tables[i].number);
        assert_int_equal(a->tables[i].first, b->tables[i].first);
        assert_int_equal(a->tables[i].last, b->tables[i].last);
        assert_int_equal(a->tables[i].sequence, b->tables[i].sequence);
    }
}

static enum status decode(struct fixture *f, size_t size, uint32_t *good) {
    return manifest_decode(&f->decoded, (struct slice){f->bytes, size}, good);
}

// Gives the first copy a good checksum, and makes the second the same.
static void sign(uint8_t *bytes) {
    struct slice covered = {bytes, AT_CHECKSUM};
    (void)store_u64(bytes + AT_CHECKSUM, hash_bytes(covered, 0x71756f69746d616eu));
    memcpy(bytes + COPY_SIZE, bytes, COPY_SIZE);
}

static void the_format_is_that_of_the_golden_bytes(void **state) {
    (void)state;
    struct fixture *f = fixture_new();
    make_example(&f->manifest);
    size_t size = manifest_encode(&f->manifest, f->bytes);
    assert_int_equal(size, EXAMPLE_SIZE);
    golden_compare("manifest.v1", (struct slice){f->bytes, size});
    struct slice golden = golden_read("manifest.v1", f->bytes, manifest_size_max());
    uint32_t good = 0;
    assert_int_equal(manifest_decode(&f->decoded, golden, &good), ST_OK);
    assert_int_equal(good, 2);
    assert_same(&f->decoded, &f->manifest);
    fixture_free(f);
}

// What docs/formats.md shows.
static void a_snapshot_says_what_it_is(void **state) {
    (void)state;
    struct fixture *f = fixture_new();
    make_example(&f->manifest);
    f->manifest.origin = (struct manifest_origin){
        .kind = MANIFEST_SNAPSHOT,
        .end = UINT64_C(4) << 32 | 0x2a00,
        .key_count = 1007,
        .digest = UINT64_C(0xf00d15600dcafe01),
        .files = 5,
    };
    size_t size = manifest_encode(&f->manifest, f->bytes);
    golden_compare("manifest.v2", (struct slice){f->bytes, size});
    uint32_t good = 0;
    assert_int_equal(decode(f, size, &good), ST_OK);
    assert_int_equal(good, 2);
    assert_same(&f->decoded, &f->manifest);
    fixture_free(f);
}

// What docs/formats.md shows.
static void what_was_dropped_is_named(void **state) {
    (void)state;
    struct fixture *f = fixture_new();
    make_example(&f->manifest);
    assert_true(manifest_drop(&f->manifest, 65535, 8));
    assert_true(manifest_drop(&f->manifest, 7, 5));
    assert_true(manifest_drop(&f->manifest, 7, 8)); // it is already
    size_t size = manifest_encode(&f->manifest, f->bytes);
    golden_compare("manifest.v3", (struct slice){f->bytes, size});
    uint32_t good = 0;
    assert_int_equal(decode(f, size, &good), ST_OK);
    assert_int_equal(good, 2);
    assert_same(&f->decoded, &f->manifest);
    fixture_free(f);
}

static void a_drop_that_cannot_be_is_refused(void **state) {
    (void)state;
    static const struct {
        uint32_t count;
        struct manifest_drop drops[2];
        bool is_good;
    } cases[] = {
        {1, {{0, 0}}, true},
        {2, {{0, 8}, {65535, 1}}, true},
        {2, {{5, 8}, {5, 8}}, false},
        {2, {{5, 8}, {4, 8}}, false},
    };
    struct fixture *f = fixture_new();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        make_example(&f->manifest);
        f->manifest.drop_count = cases[i].count;
        memcpy(f->manifest.drops, cases[i].drops, sizeof(cases[i].drops));
        size_t size = manifest_encode(&f->manifest, f->bytes);
        uint32_t good = 0;
        assert_int_equal(decode(f, size, &good), cases[i].is_good ? ST_OK : ST_CORRUPT);
    }
    make_example(&f->manifest);
    for (uint32_t i = 0; i < KEYSPACES_DROPPED_MAX; i++) {
        assert_true(manifest_drop(&f->manifest, (uint16_t)(2 * i), 8));
    }
    assert_false(manifest_drop(&f->manifest, 1, 8));
    assert_true(manifest_drop(&f->manifest, 2, 8));
    assert_true(manifest_encode(&f->manifest, f->bytes) <= manifest_size_max());
    fixture_free(f);
}

// The tables of the example have partitions of keyspace 0 only.
static void a_drop_is_forgotten_when_no_file_is_of_before(void **state) {
    (void)state;
    static const struct {
        uint16_t keyspace;
        uint32_t number;
        bool stays;
    } cases[] = {
        {7, 6, false}, // begun after it: the facts in file 6
        {7, 7, true},
        {0, 6, true}, // table 2 is of before
        {0, 2, false},
    };
    struct fixture *f = fixture_new();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        make_example(&f->manifest);
        assert_true(manifest_drop(&f->manifest, cases[i].keyspace, cases[i].number));
        assert_true(manifest_drop(&f->manifest, 100, 8));
        manifest_forget_drops(&f->manifest);
        assert_int_equal(f->manifest.drop_count, 1 + cases[i].stays);
        assert_int_equal(f->manifest.drops[f->manifest.drop_count - 1].keyspace, 100);
    }
    // Its first partition to its last.
    make_example(&f->manifest);
    f->manifest.tables[0] = (struct manifest_table){2, 7u << 16 | 16383, 9u << 16, 0};
    for (uint16_t i = 6; i <= 10; i++) assert_true(manifest_drop(&f->manifest, i, 3));
    manifest_forget_drops(&f->manifest);
    assert_int_equal(f->manifest.drop_count, 3);
    assert_int_equal(f->manifest.drops[0].keyspace, 7);
    assert_int_equal(f->manifest.drops[2].keyspace, 9);
    fixture_free(f);
}

static void an_origin_that_cannot_be_is_refused(void **state) {
    (void)state;
    static const struct {
        struct manifest_origin origin;
        bool is_good;
    } cases[] = {
        {{.kind = MANIFEST_SNAPSHOT}, true},
        {{.kind = MANIFEST_SNAPSHOT, .actor = 1}, false},
        {{.kind = MANIFEST_SNAPSHOT, .cluster = 1}, false},
        {{.kind = MANIFEST_RESTORED, .actor = 1, .cluster = 1}, true},
        {{.kind = MANIFEST_RESTORED, .actor = 1}, false},
        {{.kind = MANIFEST_RESTORED, .cluster = 1}, false},
        {{.kind = MANIFEST_RESTORED + 1, .actor = 1, .cluster = 1}, false},
    };
    struct fixture *f = fixture_new();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        make_example(&f->manifest);
        f->manifest.origin = cases[i].origin;
        size_t size = manifest_encode(&f->manifest, f->bytes);
        uint32_t good = 0;
        assert_int_equal(decode(f, size, &good), cases[i].is_good ? ST_OK : ST_CORRUPT);
    }
    fixture_free(f);
}

static void make_random(struct manifest *m, struct rng *rng) {
    struct manifest_table *tables = m->tables;
    *m = (struct manifest){
        .storage = 1 + rng_next(rng) / 2,
        .position = rng_next(rng),
        .minted = rng_next(rng),
        .next_sequence = 1 + (rng_next(rng) >> rng_below(rng, 63)),
        .epoch = 1 + rng_below(rng, UINT32_MAX),
        .next_number = 2 * SSTABLES_MAX + 2 + rng_below(rng, UINT32_MAX - 2 * SSTABLES_MAX - 1),
        .tables = tables,
    };
    m->facts_number = rng_chance(rng, 1, 4) ? 0 : m->next_number - 1;
    if (rng_chance(rng, 1, 2)) {
        m->origin.kind = MANIFEST_RESTORED;
        m->origin.actor = 1 + rng_next(rng) / 2;
        m->origin.cluster = 1 + rng_next(rng) / 2;
        m->origin.end = rng_next(rng);
        m->origin.key_count = rng_next(rng);
        m->origin.digest = rng_next(rng);
        m->origin.files = rng_below(rng, UINT32_MAX);
    }
    for (uint32_t i = rng_below(rng, 2 * KEYSPACES_DROPPED_MAX); i-- > KEYSPACES_DROPPED_MAX;) {
        uint16_t keyspace = (uint16_t)rng_below(rng, UINT16_MAX + 1);
        assert_true(manifest_drop(m, keyspace, rng_below(rng, m->next_number)));
    }
    uint32_t count = rng_chance(rng, 1, 8) ? SSTABLES_MAX : rng_below(rng, 20);
    for (uint32_t i = 0; i < count; i++) {
        struct manifest_table t = {.number = 1 + 2 * i + rng_below(rng, 2)};
        t.first = rng_below(rng, UINT32_MAX);
        t.last = t.first + rng_below(rng, UINT32_MAX - t.first);
        t.sequence = rng_next(rng) % m->next_sequence;
        manifest_add(m, &t);
    }
}

static void a_manifest_comes_back_from_its_bytes(void **state) {
    (void)state;
    struct fixture *f = fixture_new();
    struct rng rng = {test_seed()};
    for (uint32_t i = 0; i < 200; i++) {
        make_random(&f->manifest, &rng);
        size_t size = manifest_encode(&f->manifest, f->bytes);
        assert_true(size <= manifest_size_max());
        uint32_t good = 0;
        assert_int_equal(decode(f, size, &good), ST_OK);
        assert_int_equal(good, 2);
        assert_same(&f->decoded, &f->manifest);
    }
    fixture_free(f);
}

static void any_bit_may_flip_in_one_of_the_copies(void **state) {
    (void)state;
    struct fixture *f = fixture_new();
    make_example(&f->manifest);
    size_t size = manifest_encode(&f->manifest, f->bytes);
    for (size_t bit = 0; bit < size * 8; bit++) {
        f->bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        memset(f->decoded.tables, 0xff, sizeof(*f->decoded.tables));
        uint32_t good = 0;
        assert_int_equal(decode(f, size, &good), ST_OK);
        assert_int_equal(good, 1);
        assert_same(&f->decoded, &f->manifest);
        f->bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    fixture_free(f);
}

static void with_both_copies_damaged_there_is_none(void **state) {
    (void)state;
    struct fixture *f = fixture_new();
    struct rng rng = {test_seed()};
    make_example(&f->manifest);
    size_t size = manifest_encode(&f->manifest, f->bytes);
    for (uint32_t i = 0; i < 5000; i++) {
        uint32_t one = rng_below(&rng, COPY_SIZE * 8);
        uint32_t other = COPY_SIZE * 8 + rng_below(&rng, COPY_SIZE * 8);
        f->bytes[one / 8] ^= (uint8_t)(1u << one % 8);
        f->bytes[other / 8] ^= (uint8_t)(1u << other % 8);
        uint32_t good = 0;
        assert_int_equal(decode(f, size, &good), ST_CORRUPT);
        assert_int_equal(good, 0);
        f->bytes[one / 8] ^= (uint8_t)(1u << one % 8);
        f->bytes[other / 8] ^= (uint8_t)(1u << other % 8);
    }
    fixture_free(f);
}

static void a_manifest_has_exactly_its_bytes(void **state) {
    (void)state;
    struct fixture *f = fixture_new();
    make_example(&f->manifest);
    size_t size = manifest_encode(&f->manifest, f->bytes);
    f->bytes[size] = f->bytes[size + 1] = 0;
    for (size_t cut = 0; cut <= size + 2; cut++) {
        uint32_t good = 0;
        assert_int_equal(decode(f, cut, &good), cut == size ? ST_OK : ST_CORRUPT);
    }
    fixture_free(f);
}

static void another_version_is_told_from_damage(void **state) {
    (void)state;
    struct fixture *f = fixture_new();
    make_example(&f->manifest);
    size_t size = manifest_encode(&f->manifest, f->bytes);
    (void)store_u32(f->bytes + AT_VERSION, MANIFEST_VERSION_DROPS + 1);
    sign(f->bytes);
    uint32_t good = 0;
    assert_int_equal(decode(f, size, &good), ST_INVALID);
    f->bytes[AT_STORAGE] ^= 1; // in the first copy only
    assert_int_equal(decode(f, size, &good), ST_INVALID);
    fixture_free(f);
}

static void what_cannot_be_is_refused_under_a_good_checksum(void **state) {
    (void)state;
    static const struct {
        uint32_t at;
        uint32_t value;
        bool is_good;
    } cases[] = {
        {AT_SIZE, COPY_SIZE + 1, false},
        {AT_STORAGE, 0, false},
        {AT_EPOCH, 0, false},
        {AT_NEXT_NUMBER, 7, false}, // there is a table 7
        {AT_NEXT_NUMBER, 9, true},
        {AT_NEXT_SEQUENCE, 5, false}, // that is the second table's
        {AT_NEXT_SEQUENCE, 7, true},
        {AT_FACTS, 5, true},
        {AT_FACTS, 7, false}, // the number of a table
        {AT_FACTS, 8, false}, // not given out yet
        {AT_TABLE_COUNT, 1, false},
        {AT_TABLE_COUNT, 3, false},
        {AT_TABLE_COUNT, UINT32_MAX, false},
        {AT_TABLES, 0, false}, // files are numbered from 1
        {AT_TABLES, 3, true},
        {AT_TABLES, 7, false}, // that of the other one
        {AT_TABLES, 8, false},
        {AT_TABLES + 4, 16384, true},
        {AT_TABLES + 4, 16385, false}, // past its last
        {AT_TABLES + 12, 5, true},
        {AT_TABLES + 12, 6, false},
    };
    struct fixture *f = fixture_new();
    make_example(&f->manifest);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t size = manifest_encode(&f->manifest, f->bytes);
        (void)store_u32(f->bytes + cases[i].at, cases[i].value);
        sign(f->bytes);
        uint32_t good = 0;
        assert_int_equal(decode(f, size, &good), cases[i].is_good ? ST_OK : ST_CORRUPT);
        assert_int_equal(good, cases[i].is_good ? 2 : 0);
    }
    fixture_free(f);
}

// Of each number, whether there is a table and what it covers.
enum { NUMBERS = 40 };
struct model {
    struct manifest_table tables[NUMBERS]; // number 0: there is none
    uint32_t count;
};

static void assert_is_model(const struct manifest *m, const struct model *model) {
    bool seen[NUMBERS] = {false};
    assert_int_equal(m->table_count, model->count);
    for (uint32_t i = 0; i < m->table_count; i++) {
        const struct manifest_table *t = &m->tables[i];
        assert_true(t->number < NUMBERS);
        assert_false(seen[t->number]);
        seen[t->number] = true;
        const struct manifest_table *expected = &model->tables[t->number];
        assert_int_equal(t->number, expected->number);
        assert_int_equal(t->first, expected->first);
        assert_int_equal(t->last, expected->last);
        assert_int_equal(t->sequence, expected->sequence);
    }
}

static void add(struct manifest *m, struct model *model, uint32_t number, struct rng *rng) {
    struct manifest_table t = {.number = number, .first = rng_below(rng, 100)};
    t.last = t.first + rng_below(rng, 100);
    t.sequence = rng_below(rng, 1000);
    manifest_add(m, &t);
    model->tables[number] = t;
    model->count++;
}

static void change(struct manifest *m, struct model *model, uint32_t number, struct rng *rng) {
    struct manifest_table *t = &model->tables[number];
    if (rng_chance(rng, 1, 3)) {
        manifest_remove(m, number);
        t->number = 0;
    } else {
        uint32_t past = rng_below(rng, 220);
        manifest_trim(m, number, past);
        while (t->first <= t->last && t->first <= past) t->first++;
        if (t->first > t->last) t->number = 0;
    }
    if (t->number == 0) model->count--;
}

static void changes_are_those_of_a_plain_list(void **state) {
    (void)state;
    struct fixture *f = fixture_new();
    struct rng rng = {test_seed()};
    struct model model = {0};
    for (uint32_t i = 0; i < 20000; i++) {
        uint32_t number = 1 + rng_below(&rng, NUMBERS - 1);
        if (model.tables[number].number == 0) {
            add(&f->manifest, &model, number, &rng);
        } else {
            change(&f->manifest, &model, number, &rng);
        }
        assert_is_model(&f->manifest, &model);
        if (i % 100 != 0) continue;
        manifest_copy(&f->decoded, &f->manifest);
        assert_true(f->decoded.tables != f->manifest.tables);
        assert_is_model(&f->decoded, &model);
    }
    fixture_free(f);
}

static void that_it_is_gone_shows_in_the_names_of_files(void **state) {
    (void)state;
    static const struct {
        const char *names; // each ends in "|"
        bool is_missing;
    } cases[] = {
        {"", false},
        {"log-0000000000000002|", false},                        // the log says so itself
        {"log-0000000000000001|table-0000000000000001|", false}, // a crash in the first flush
        {"log-0000000000000002|table-0000000000000001|", true},
        {"table-0000000000000001|log-0000000000000002|", true},
        {"table-0000000000000001|", true},
    };
    struct fixture *f = fixture_new();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char names[64];
        uint32_t size = (uint32_t)strlen(cases[i].names);
        for (uint32_t k = 0; k < size; k++) {
            names[k] = (char)(cases[i].names[k] == '|' ? 0 : cases[i].names[k]);
        }
        f->manifest.storage = 0;
        assert_int_equal(manifest_is_missing(&f->manifest, names, size), cases[i].is_missing);
        f->manifest.storage = 7;
        assert_false(manifest_is_missing(&f->manifest, names, size));
    }
    fixture_free(f);
}

int manifest_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(the_format_is_that_of_the_golden_bytes),
        cmocka_unit_test(a_snapshot_says_what_it_is),
        cmocka_unit_test(what_was_dropped_is_named),
        cmocka_unit_test(a_drop_that_cannot_be_is_refused),
        cmocka_unit_test(a_drop_is_forgotten_when_no_file_is_of_before),
        cmocka_unit_test(an_origin_that_cannot_be_is_refused),
        cmocka_unit_test(a_manifest_comes_back_from_its_bytes),
        cmocka_unit_test(any_bit_may_flip_in_one_of_the_copies),
        cmocka_unit_test(with_both_copies_damaged_there_is_none),
        cmocka_unit_test(a_manifest_has_exactly_its_bytes),
        cmocka_unit_test(another_version_is_told_from_damage),
        cmocka_unit_test(what_cannot_be_is_refused_under_a_good_checksum),
        cmocka_unit_test(changes_are_those_of_a_plain_list),
        cmocka_unit_test(that_it_is_gone_shows_in_the_names_of_files),
    };
    return cmocka_run_group_tests_name("manifest", cases, NULL, NULL);
}
