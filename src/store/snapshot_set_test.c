// SPDX-License-Identifier: Apache-2.0
#include "store/snapshot_set.h"

#include "base/rng.h"
#include "base/text.h"
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>

static void names_are_short_and_plain(void **state) {
    (void)state;
    static const char *const good[] = {"a", "2026-11-28_before", "A-", "0",
                                       "1234567890123456789012345678901"};
    static const char *const bad[] = {"",
                                      "-a",
                                      "_",
                                      "a.b",
                                      "a/b",
                                      "..",
                                      ".",
                                      "a b",
                                      "\xc3\xa9",
                                      "a\n",
                                      "12345678901234567890123456789012"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_true(store_snapshot_name_is_good(slice_of_string(good[i])));
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(store_snapshot_name_is_good(slice_of_string(bad[i])));
    }
    assert_false(store_snapshot_name_is_good((struct slice){(const uint8_t *)"a\0", 2}));
}

static void a_name_of_a_file_is_read_back(void **state) {
    (void)state;
    static const char longest[] = "1234567890123456789012345678901";
    for (enum snapshot_kind kind = SNAPSHOT_FACTS; kind <= SNAPSHOT_MANIFEST; kind++) {
        uint32_t number = kind == SNAPSHOT_MANIFEST ? 0 : UINT32_MAX;
        char name[SNAPSHOT_FILE_NAME_SIZE];
        char plain[SNAPSHOT_FILE_NAME_SIZE];
        snapshot_file_name(longest, kind, number, name);
        snapshot_plain_name(kind, number, plain);
        struct snapshot_part part;
        assert_true(snapshot_file_parse(name, &part));
        assert_true(slice_equal(part.snapshot, slice_of_string(longest)));
        assert_int_equal(part.kind, kind);
        assert_int_equal(part.number, number);
        struct slice snapshot;
        const char *found = NULL;
        assert_true(store_snapshot_part(name, &snapshot, &found));
        assert_true(slice_equal(snapshot, slice_of_string(longest)));
        assert_string_equal(found, plain);
        assert_false(snapshot_file_parse(plain, &part));
    }
    char name[SNAPSHOT_FILE_NAME_SIZE];
    snapshot_file_name("nightly", SNAPSHOT_TABLE, 26, name);
    assert_string_equal(name, "snapshot-nightly.table-000000000000001a");
}

static void what_is_no_such_name_is_refused(void **state) {
    (void)state;
    static const char *const bad[] = {
        "snapshot-",
        "snapshot-a",
        "snapshot-a.",
        "snapshot-.manifest",
        "snapshot--a.manifest",
        "snapshot-a.manifest-new",
        "snapshot-a.spare",
        "snapshot-a.table-1",
        "snapshot-a.table-0000000000000000",
        "snapshot-a.b.manifest",
        "snapshot_a.manifest",
        "manifest",
        "x",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct snapshot_part part;
        assert_false(snapshot_file_parse(bad[i], &part));
    }
}

// A model: of each file, who has it, and whether the store does.
enum { NUMBERS = 30 };
struct model {
    bool has[SNAPSHOTS_MAX][SNAPSHOT_MANIFEST][NUMBERS];
    bool is_live[SNAPSHOT_MANIFEST][NUMBERS];
    bool exists[SNAPSHOTS_MAX];
};

static uint64_t size_of(uint32_t kind, uint32_t number) {
    return 1000 * (uint64_t)kind + number;
}

static bool is_live(void *context, enum snapshot_kind kind, uint32_t number) {
    const struct model *m = context;
    return m->is_live[kind][number];
}

static void assert_is_model(struct snapshot_set *set, struct model *m) {
    uint64_t pinned = 0;
    uint64_t own[SNAPSHOTS_MAX] = {0};
    uint64_t size[SNAPSHOTS_MAX] = {0};
    uint32_t count = 0;
    for (uint32_t kind = 0; kind < SNAPSHOT_MANIFEST; kind++) {
        for (uint32_t number = 0; number < NUMBERS; number++) {
            uint32_t owners = 0;
            uint32_t last = 0;
            for (uint32_t i = 0; i < SNAPSHOTS_MAX; i++) {
                if (!m->has[i][kind][number]) continue;
                size[i] += size_of(kind, number);
                owners++;
                last = i;
            }
            count += owners;
            if (owners == 0 || m->is_live[kind][number]) continue;
            pinned += size_of(kind, number);
            if (owners == 1) own[last] += size_of(kind, number);
        }
    }
    snapshot_set_count(set, is_live, m);
    assert_int_equal(set->pinned, pinned);
    assert_int_equal(set->file_count, count);
    for (uint32_t i = 0; i < SNAPSHOTS_MAX; i++) {
        assert_int_equal(set->all[i].own, own[i]);
        assert_int_equal(set->all[i].size, size[i]);
        assert_int_equal(set->all[i].name[0] != '\0', m->exists[i]);
    }
}

static void add_or_remove_file(struct snapshot_set *set, struct model *m, uint32_t i,
                               struct rng *rng) {
    uint32_t kind = rng_below(rng, SNAPSHOT_MANIFEST);
    uint32_t number = 1 + rng_below(rng, NUMBERS - 1);
    if (!m->has[i][kind][number]) {
        snapshot_set_add_file(set, i, (enum snapshot_kind)kind, number, size_of(kind, number));
        m->has[i][kind][number] = true;
    } else {
        const struct snapshot_file *file = snapshot_set_last(set, i);
        assert_non_null(file);
        assert_true(m->has[i][file->kind][file->number]);
        m->has[i][file->kind][file->number] = false;
        snapshot_set_remove_file(set, file);
    }
}

// Returns its memory.
static void *make(struct snapshot_set *set) {
    size_t size = snapshot_set_memory_size() + 64;
    void *memory = aligned_alloc(64, (size + 63) / 64 * 64);
    struct arena arena = arena_over(memory, size);
    snapshot_set_init(set, &arena);
    return memory;
}

static void what_is_pinned_is_that_of_a_plain_table(void **state) {
    (void)state;
    struct rng rng = {test_seed()};
    struct snapshot_set set;
    void *memory = make(&set);
    struct model *m = calloc(1, sizeof(*m));
    for (uint32_t round = 0; round < 5000; round++) {
        uint32_t i = rng_below(&rng, SNAPSHOTS_MAX);
        char name[8];
        if (!m->exists[i]) {
            snprintf(name, sizeof(name), "s%u", round);
            i = snapshot_set_add(&set, slice_of_string(name));
            assert_true(i < SNAPSHOTS_MAX);
            assert_false(m->exists[i]);
            m->exists[i] = true;
            assert_int_equal(snapshot_set_find(&set, slice_of_string(name)), i);
        } else if (rng_chance(&rng, 1, 40)) {
            snapshot_set_remove(&set, i);
            m->exists[i] = false;
            memset(m->has[i], 0, sizeof(m->has[i]));
            assert_null(snapshot_set_last(&set, i));
        } else {
            add_or_remove_file(&set, m, i, &rng);
        }
        uint32_t kind = rng_below(&rng, SNAPSHOT_MANIFEST);
        m->is_live[kind][rng_below(&rng, NUMBERS)] ^= true;
        assert_is_model(&set, m);
    }
    assert_int_equal(snapshot_set_find(&set, slice_of_string("none")), SNAPSHOT_NONE);
    free(m);
    free(memory);
}

static void there_is_an_end_to_how_many(void **state) {
    (void)state;
    struct snapshot_set set;
    void *memory = make(&set);
    char name[8];
    for (uint32_t i = 0; i <= SNAPSHOTS_MAX; i++) {
        snprintf(name, sizeof(name), "s%u", i);
        assert_int_equal(snapshot_set_add(&set, slice_of_string(name)),
                         i < SNAPSHOTS_MAX ? i : SNAPSHOT_NONE);
    }
    free(memory);
}

int snapshot_set_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(names_are_short_and_plain),
        cmocka_unit_test(a_name_of_a_file_is_read_back),
        cmocka_unit_test(what_is_no_such_name_is_refused),
        cmocka_unit_test(what_is_pinned_is_that_of_a_plain_table),
        cmocka_unit_test(there_is_an_end_to_how_many),
    };
    return cmocka_run_group_tests_name("snapshot_set", cases, NULL, NULL);
}
