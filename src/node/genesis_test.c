// SPDX-License-Identifier: Apache-2.0
#include "node/genesis.h"

#include "base/text.h"
#include "tests/golden.h"
#include "tests/test.h"

#include <stdio.h>

enum { MEMBERS = 2, MEMORY = 4096 * 1024, FOUNDED_MAX = 1024 };

struct fixture {
    _Alignas(64) uint8_t memory[MEMORY];
    struct map map;
    struct lineage lineage;
};

static void empty(struct fixture *f) {
    memset(f, 0, sizeof(*f));
    assert_true(map_memory_size(MEMBERS) <= sizeof(f->memory));
    struct arena arena = arena_over(f->memory, sizeof(f->memory));
    map_init(&f->map, &arena, MEMBERS);
}

// Who has made the map of that epoch, in our example.
static uint64_t author_of(uint64_t epoch) {
    return epoch < 2 ? 0 : UINT64_C(0xa0a0a0a0a0a0a000) + epoch;
}

static void fill(struct fixture *f, uint64_t epoch) {
    empty(f);
    struct map *map = &f->map;
    map->replication = REPLICATION_DEFAULT;
    assert_int_equal(map_parse_initial(SLICE("n1=10.0.0.1:7379,n2=10.0.0.2:7379"), map), ST_OK);
    map_propose(map);
    map->epoch = epoch;
    for (uint32_t i = 0; i < CLUSTER_ID_SIZE; i++) map->cluster.bytes[i] = (uint8_t)i;
    for (uint32_t i = 0; i < MEMBERS; i++) map->members[i].storage = 0x1111111111111111 * (i + 1);
    for (uint64_t e = 1; e <= epoch; e++) lineage_set(&f->lineage, e, author_of(e));
}

static void check_founded(uint64_t epoch, uint64_t authors) {
    static struct fixture f;
    uint8_t bytes[FOUNDED_MAX];
    char name[32];
    (void)snprintf(name, sizeof(name), "founded-%u.v1", (unsigned)epoch);
    fill(&f, epoch);
    struct writer w = writer_to(bytes, sizeof(bytes));
    genesis_encode_map(&f.map, &f.lineage, &w);
    assert_false(w.failed);
    size_t but_lineage =
        CLUSTER_ID_SIZE + 4 + map_encoded_size(&f.map) + sizeof(uint64_t) * MEMBERS;
    assert_int_equal(w.size, but_lineage + authors * 8);
    golden_compare(name, writer_bytes(&w));

    struct slice golden = golden_read(name, bytes, sizeof(bytes));
    empty(&f);
    assert_int_equal(genesis_decode_map(golden, &f.map, &f.lineage), ST_OK);
    assert_int_equal(f.map.epoch, epoch);
    assert_int_equal(f.map.members[1].storage, 0x2222222222222222);
    for (uint64_t e = epoch - authors + 1; e <= epoch; e++) {
        assert_true(lineage_author(&f.lineage, e) == author_of(e));
    }
    golden.size--;
    assert_int_equal(genesis_decode_map(golden, &f.map, &f.lineage), ST_CORRUPT);
    assert_int_equal(f.map.epoch, 0);
}

// The lineage grows with the epoch, and ends at the latest sixteen.
static void a_map_goes_to_others_as_it_does_in_all_releases(void **state) {
    (void)state;
    check_founded(1, 0);
    check_founded(3, 2);
    check_founded(18, 16);
}

int genesis_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(a_map_goes_to_others_as_it_does_in_all_releases),
    };
    return cmocka_run_group_tests_name("genesis", cases, NULL, NULL);
}
