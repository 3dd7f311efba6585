// SPDX-License-Identifier: Apache-2.0
#include "model/allocate.h"

#include "base/rng.h"
#include "tests/allocate_case.h"

struct tally {
    uint32_t first[MEMBERS_MAX]; // slots a member is first for
    uint32_t held[MEMBERS_MAX];  // slots it holds
    uint32_t copies;             // of all slots
};

static void tally(struct tally *t, const struct map *map) {
    *t = (struct tally){0};
    for (uint32_t i = 0; i < map->run_count; i++) {
        const struct map_run *run = &map->runs[i];
        t->first[run->replicas[0].member] += run->count;
        t->copies += run->count * run->replica_count;
        for (uint32_t j = 0; j < run->replica_count; j++) {
            t->held[run->replicas[j].member] += run->count;
        }
    }
}

// The largest part of what one member is first for that has one and the same second replica, in
// thousandths.
static uint32_t worst_successor(const struct map *map, uint32_t member) {
    static uint32_t second[MEMBERS_MAX];
    uint32_t sum = 0;
    uint32_t most = 0;
    memset(second, 0, sizeof(second));
    for (uint32_t i = 0; i < map->run_count; i++) {
        const struct map_run *run = &map->runs[i];
        if (run->replicas[0].member != member) continue;
        uint32_t *times = &second[run->replicas[1].member];
        *times += run->count;
        sum += run->count;
        if (*times > most) most = *times;
    }
    return sum == 0 ? 0 : most * 1000 / sum;
}

static void equal_members_get_equal_parts(void **state) {
    (void)state;
    for (uint32_t count = 1; count <= 300; count += 1 + count / 8) {
        struct cluster c;
        static struct tally t;
        cluster_init(&c, count);
        for (uint32_t i = 0; i < count; i++) add_member(&c);
        map_propose(&c.map);
        check_map(&c.map, count, 1);
        tally(&t, &c.map);
        for (uint32_t i = 0; i < count; i++) {
            assert_in_range(t.first[i], SLOT_COUNT / count, SLOT_COUNT / count + 1);
            assert_true(t.held[i] * 100 * count <= t.copies * 105);
            assert_true(t.held[i] * 100 * count >= t.copies * 95);
            // At most two runs more than when each of the others stepped in equally often.
            if (count < 3) continue;
            uint32_t runs = c.map.run_count / count;
            uint32_t even = (runs + count - 2) / (count - 1);
            assert_true(worst_successor(&c.map, i) <= (even + 2) * 1010 / runs);
        }
        cluster_free(&c);
    }
}

static void members_get_parts_by_weight(void **state) {
    (void)state;
    struct rng rng = {test_seed()};
    for (uint32_t round = 0; round < 30; round++) {
        uint32_t count = 4 + rng_below(&rng, 60);
        uint64_t weights = 0;
        struct cluster c;
        static struct tally t;
        cluster_init(&c, count);
        for (uint32_t i = 0; i < count; i++) {
            struct map_member *m = add_member(&c);
            m->weight = (uint16_t)(100 + rng_below(&rng, count >= 16 ? 200 : 20));
            weights += m->weight;
        }
        map_propose(&c.map);
        check_map(&c.map, count, 1);
        tally(&t, &c.map);
        for (uint32_t i = 0; i < count; i++) {
            uint64_t weight = c.map.members[i].weight;
            uint64_t exact = SLOT_COUNT * weight / weights;
            assert_in_range(t.first[i], exact, exact + 1);
            assert_true(weights * t.held[i] * 100 <= weight * t.copies * 105);
        }
        cluster_free(&c);
    }
}

static void copies_go_to_distinct_racks_and_hosts_whatever_they_are(void **state) {
    (void)state;
    struct rng rng = {test_seed()};
    for (uint32_t round = 0; round < 300; round++) {
        uint32_t count = 1 + rng_below(&rng, 30);
        uint32_t racks = 1 + rng_below(&rng, 6);
        uint32_t hosts_per_rack = 1 + rng_below(&rng, 4);
        bool host_seen[6][4] = {0};
        bool rack_seen[6] = {0};
        uint32_t host_count = 0;
        uint32_t rack_count = 0;
        struct cluster c;
        cluster_init(&c, count);
        c.map.replication = 1 + rng_below(&rng, 6);
        for (uint32_t i = 0; i < count; i++) {
            struct map_member *m = add_member(&c);
            uint32_t rack = rng_below(&rng, racks);
            uint32_t host = rng_below(&rng, hosts_per_rack);
            // Racks of the same name in different data centres are different racks.
            m->dc = text_of(&c, "dc-%u", rack % 2);
            m->rack = text_of(&c, "rack-%u", rack / 2);
            m->host = text_of(&c, "host-%u-%u", rack, host);
            m->weight = (uint16_t)(1 + rng_below(&rng, rng_chance(&rng, 1, 4) ? UINT16_MAX : 4));
            m->shards = (uint16_t)(1 + rng_below(&rng, rng_chance(&rng, 1, 4) ? SHARDS_MAX : 1));
            host_count += !host_seen[rack][host];
            rack_count += !rack_seen[rack];
            host_seen[rack][host] = true;
            rack_seen[rack] = true;
        }
        map_propose(&c.map);
        check_map(&c.map, host_count, rack_count);
        cluster_free(&c);
    }
}

static void equal_racks_keep_the_balance(void **state) {
    (void)state;
    for (uint32_t count = 6; count <= 300; count += 6 + count / 12 * 6) {
        for (uint32_t racks = 2; racks <= 3; racks++) {
            struct cluster c;
            static struct tally t;
            cluster_init(&c, count);
            for (uint32_t i = 0; i < count; i++) {
                struct map_member *m = add_member(&c);
                m->rack = text_of(&c, "rack-%u", i % racks);
            }
            map_propose(&c.map);
            check_map(&c.map, count, racks);
            tally(&t, &c.map);
            for (uint32_t i = 0; i < count; i++) {
                assert_true(t.held[i] * 100 * count <= t.copies * 105);
            }
            cluster_free(&c);
        }
    }
}

static void shards_of_a_member_share_its_part(void **state) {
    (void)state;
    for (uint32_t shards = 1; shards <= 8; shards++) {
        struct cluster c;
        uint32_t first[5][8] = {0};
        uint32_t held[5][8] = {0};
        cluster_init(&c, 5);
        for (uint32_t i = 0; i < 5; i++) add_member(&c)->shards = (uint16_t)shards;
        map_propose(&c.map);
        check_map(&c.map, 5, 1);
        for (uint32_t i = 0; i < c.map.run_count; i++) {
            const struct map_run *run = &c.map.runs[i];
            for (uint32_t j = 0; j < run->replica_count; j++) {
                const struct map_replica *replica = &run->replicas[j];
                held[replica->member][replica->shard] += run->count;
                if (j == 0) first[replica->member][replica->shard] += run->count;
            }
        }
        for (uint32_t i = 0; i < 5; i++) {
            for (uint32_t s = 0; s < shards; s++) {
                assert_in_range(first[i][s], SLOT_COUNT / 5 / shards * 99 / 100,
                                SLOT_COUNT / 5 / shards * 101 / 100 + 1);
                assert_in_range(held[i][s], 3 * SLOT_COUNT / 5 / shards * 95 / 100,
                                3 * SLOT_COUNT / 5 / shards * 105 / 100);
            }
        }
        cluster_free(&c);
    }
}

static void the_largest_cluster_fits(void **state) {
    (void)state;
    struct cluster c;
    cluster_init(&c, MEMBERS_MAX);
    for (uint32_t i = 0; i < MEMBERS_MAX; i++) add_member(&c)->shards = SHARDS_MAX;
    map_propose(&c.map);
    check_map(&c.map, MEMBERS_MAX, 1);
    cluster_free(&c);
}

static void one_member_has_one_run(void **state) {
    (void)state;
    struct cluster c;
    cluster_init(&c, 1);
    add_member(&c);
    map_propose(&c.map);
    check_map(&c.map, 1, 1);
    assert_int_equal(c.map.run_count, 1);
    cluster_free(&c);
}

static void the_order_in_which_members_are_named_is_of_no_matter(void **state) {
    (void)state;
    struct rng rng = {test_seed()};
    for (uint32_t round = 0; round < 20; round++) {
        uint32_t count = 1 + rng_below(&rng, 20);
        struct cluster a;
        struct cluster b;
        cluster_init(&a, count);
        cluster_init(&b, count);
        for (uint32_t i = 0; i < count; i++) {
            add_member(&a)->weight = (uint16_t)(1 + rng_below(&rng, 3));
        }
        memcpy(b.map.members, a.map.members, count * sizeof(*a.map.members));
        b.map.member_count = count;
        for (uint32_t i = count; i > 1; i--) {
            uint32_t j = rng_below(&rng, i);
            struct map_member swapped = b.map.members[i - 1];
            b.map.members[i - 1] = b.map.members[j];
            b.map.members[j] = swapped;
        }
        map_propose(&a.map);
        map_propose(&b.map);
        assert_int_equal(a.map.run_count, b.map.run_count);
        for (uint32_t i = 0; i < a.map.run_count; i++) {
            const struct map_run *run = &a.map.runs[i];
            assert_int_equal(b.map.runs[i].first, run->first);
            assert_int_equal(b.map.runs[i].count, run->count);
            assert_int_equal(b.map.runs[i].replica_count, run->replica_count);
            assert_memory_equal(b.map.runs[i].replicas, run->replicas,
                                run->replica_count * sizeof(*run->replicas));
        }
        assert_memory_equal(a.map.members, b.map.members, count * sizeof(*a.map.members));
        assert_memory_equal(a.map.run_of_slot, b.map.run_of_slot, sizeof(a.map.run_of_slot));
        cluster_free(&a);
        cluster_free(&b);
    }
}

int allocate_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(equal_members_get_equal_parts),
        cmocka_unit_test(members_get_parts_by_weight),
        cmocka_unit_test(copies_go_to_distinct_racks_and_hosts_whatever_they_are),
        cmocka_unit_test(equal_racks_keep_the_balance),
        cmocka_unit_test(shards_of_a_member_share_its_part),
        cmocka_unit_test(the_largest_cluster_fits),
        cmocka_unit_test(one_member_has_one_run),
        cmocka_unit_test(the_order_in_which_members_are_named_is_of_no_matter),
    };
    return cmocka_run_group_tests_name("allocate", cases, NULL, NULL);
}
