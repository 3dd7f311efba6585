// SPDX-License-Identifier: Apache-2.0
#include "model/reallocate.h"

#include "base/rng.h"
#include "tests/allocate_case.h"

enum { POOL_MAX = 400 };

// A cluster through its changes: everybody who ever is a member, and the map before and after.
struct world {
    struct cluster pool; // map.members: all there are, by id - 1; only their texts are used
    struct cluster maps[2];
    uint32_t now; // which of the maps
    bool is_in[POOL_MAX];
};

static void world_init(struct world *w) {
    cluster_init(&w->pool, POOL_MAX);
    for (uint32_t i = 0; i < 2; i++) cluster_init(&w->maps[i], POOL_MAX);
    w->now = 0;
    memset(w->is_in, 0, sizeof(w->is_in));
    for (uint32_t i = 0; i < POOL_MAX; i++) add_member(&w->pool);
}

static void world_free(struct world *w) {
    cluster_free(&w->pool);
    for (uint32_t i = 0; i < 2; i++) cluster_free(&w->maps[i]);
}

// Lets everybody of the pool have a rack, a host and a weight by number.
static void lay_out(struct world *w, uint32_t racks, uint32_t per_host, bool weights_differ) {
    static const uint16_t weights[] = {1, 2, 4};
    for (uint32_t i = 0; i < POOL_MAX; i++) {
        struct map_member *m = &w->pool.map.members[i];
        uint32_t rack = i / per_host % racks;
        m->host = text_of(&w->pool, "host-%u", i / per_host);
        m->rack = text_of(&w->pool, "rack-%u", rack);
        if (weights_differ) m->weight = weights[i / racks % 3];
    }
}

static uint32_t choose_members(const struct world *w, struct map *map) {
    map->member_count = 0;
    for (uint32_t i = 0; i < POOL_MAX; i++) {
        if (w->is_in[i]) map->members[map->member_count++] = w->pool.map.members[i];
    }
    return map->member_count;
}

static void found(struct world *w, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) w->is_in[i] = true;
    struct map *map = &w->maps[w->now].map;
    choose_members(w, map);
    map_propose(map);
    map_check(map);
}

// What each member should hold. Racks are even enough to bind nobody, or there are as many as
// copies; hosts may bind.
static void ideal_parts(const struct map *map, double *parts) {
    bool full[POOL_MAX] = {0};
    uint32_t racks = 0;
    for (uint32_t i = 0; i < map->member_count; i++) {
        bool is_new = true;
        for (uint32_t j = 0; j < i; j++) {
            if (strcmp(map->members[i].rack, map->members[j].rack) == 0) is_new = false;
        }
        racks += is_new;
    }
    bool by_rack = racks == map->replication;
    for (bool again = true; again;) {
        again = false;
        for (uint32_t i = 0; i < map->member_count; i++) {
            const struct map_member *m = &map->members[i];
            double left = by_rack ? SLOT_COUNT : (double)SLOT_COUNT * map->replication;
            double weight = 0;
            double of_host = 0;
            for (uint32_t j = 0; j < map->member_count; j++) {
                const struct map_member *other = &map->members[j];
                if (by_rack && strcmp(m->rack, other->rack) != 0) continue;
                if (strcmp(m->host, other->host) == 0) of_host += other->weight;
                if (full[j]) left -= parts[j];
                if (!full[j]) weight += other->weight;
            }
            if (full[i]) continue;
            parts[i] = left * m->weight / weight;
            if (left * of_host / weight <= SLOT_COUNT * 1.0000001) continue;
            for (uint32_t j = 0; j < map->member_count; j++) {
                if (strcmp(m->host, map->members[j].host) != 0) continue;
                full[j] = true;
                parts[j] = SLOT_COUNT * map->members[j].weight / of_host;
            }
            again = true;
        }
    }
}

struct outcome {
    double fullest; // most that a member holds, of its part
    double first;   // the same of what it is first for
    double moved;   // copies that a member gets
    double least;   // what members have less than their parts, before
    double lost;    // copies that went with those who left
};

static uint32_t moved_in(const struct map *before, const struct map *after) {
    static uint16_t was[POOL_MAX];
    uint32_t moved = 0;
    for (uint32_t i = 0; i < after->member_count; i++) {
        was[i] = (uint16_t)map_find_id(before, after->members[i].id);
    }
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) {
        const struct map_run *run = map_run_of(after, (uint16_t)slot);
        for (uint32_t i = 0; i < run->replica_count; i++) {
            moved += map_place_in(map_run_of(before, (uint16_t)slot),
                                  was[run->replicas[i].member]) == REPLICAS_MAX;
        }
    }
    return moved;
}

static struct outcome outcome_of(const struct map *before, const struct map *after) {
    static uint32_t held[POOL_MAX];
    static uint32_t first[POOL_MAX];
    static uint32_t held_before[POOL_MAX];
    static double parts[POOL_MAX];
    struct outcome o = {.moved = moved_in(before, after)};
    memset(held, 0, sizeof(held));
    memset(first, 0, sizeof(first));
    memset(held_before, 0, sizeof(held_before));
    for (uint32_t i = 0; i < after->run_count; i++) {
        const struct map_run *run = &after->runs[i];
        first[run->replicas[0].member] += run->count;
        for (uint32_t j = 0; j < run->replica_count; j++) {
            held[run->replicas[j].member] += run->count;
        }
    }
    for (uint32_t i = 0; i < before->run_count; i++) {
        const struct map_run *run = &before->runs[i];
        for (uint32_t j = 0; j < run->replica_count; j++) {
            uint32_t now = map_find_id(after, before->members[run->replicas[j].member].id);
            if (now < after->member_count) {
                held_before[now] += run->count;
            } else {
                o.lost += run->count;
            }
        }
    }
    double weights = 0;
    for (uint32_t i = 0; i < after->member_count; i++) weights += after->members[i].weight;
    ideal_parts(after, parts);
    for (uint32_t i = 0; i < after->member_count; i++) {
        double share = SLOT_COUNT * after->members[i].weight / weights;
        if (held_before[i] < parts[i]) o.least += parts[i] - held_before[i];
        if (held[i] / parts[i] > o.fullest) o.fullest = held[i] / parts[i];
        // Whole slots only: with a share of 20 one more is within the goal.
        double over = (first[i] - (share < 20 ? 1 : 0)) / share;
        if (over > o.first) o.first = over;
    }
    return o;
}

static uint32_t distinct(const struct map *map, bool hosts) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < map->member_count; i++) {
        bool is_new = true;
        for (uint32_t j = 0; j < i; j++) {
            const struct map_member *a = &map->members[i];
            const struct map_member *b = &map->members[j];
            if (strcmp(hosts ? a->host : a->rack, hosts ? b->host : b->rack) == 0) is_new = false;
        }
        count += is_new;
    }
    return count;
}

// Goes on to the members that are in now. What comes of it is sound and balanced.
static struct outcome step(struct world *w) {
    const struct map *before = &w->maps[w->now].map;
    w->now = 1 - w->now;
    struct map *after = &w->maps[w->now].map;
    choose_members(w, after);
    map_propose_next(after, before);
    map_check(after);
    check_map(after, distinct(after, true), distinct(after, false));
    struct outcome o = outcome_of(before, after);
    assert_true(after->run_count <= 1000);
    assert_true(o.fullest <= 1.05);
    assert_true(o.first <= 1.05);
    return o;
}

static bool weights_differ(const struct map *map) {
    uint32_t i = 1;
    while (i < map->member_count && map->members[i].weight == map->members[0].weight) i++;
    return i < map->member_count;
}

// Likewise, and it moves little more than it must. Of few members of other weights that falls short
// of what is aimed at, which is 1.1.
static void change(struct world *w) {
    struct outcome o = step(w);
    const struct map *map = &w->maps[w->now].map;
    double most = map->member_count < 10 && weights_differ(map) ? 1.5 : 1.1;
    assert_true(o.moved <= most * (o.lost > 0 ? o.lost : o.least));
}

static void a_join_and_a_leave(uint32_t count, uint32_t racks, uint32_t per_host, bool weights) {
    struct world w;
    world_init(&w);
    lay_out(&w, racks, per_host, weights);
    found(&w, count);
    w.is_in[count] = true;
    change(&w);
    w.is_in[count / 2] = false;
    change(&w);
    world_free(&w);
}

static void members_join_and_leave_at_any_size(void **state) {
    (void)state;
    for (uint32_t count = 3; count <= 300; count += 1 + count / 8) {
        a_join_and_a_leave(count, 1, 1, false);
    }
}

static void members_of_other_weights_join_and_leave(void **state) {
    (void)state;
    for (uint32_t count = 4; count <= 300; count += 1 + count / 8) {
        a_join_and_a_leave(count, 1, 1, true);
    }
}

static void racks_and_hosts_are_kept_apart(void **state) {
    (void)state;
    for (uint32_t racks = 3; racks <= 5; racks += 2) {
        for (uint32_t count = 9; count <= 300; count += 1 + count / 8) {
            a_join_and_a_leave(count, racks, 1, false);
            if (count >= 15) a_join_and_a_leave(count, racks, 1, true);
            if (count >= 27) a_join_and_a_leave(count, racks, 3, false);
        }
    }
}

// Up from 3 members to 60 and down again, with steps back.
static void change_for_long(bool other_weights) {
    struct rng rng = {test_seed()};
    struct world w;
    world_init(&w);
    lay_out(&w, 1, 1, other_weights);
    found(&w, 3);
    uint32_t count = 3;
    bool grows = true;
    while (grows || count > 3) {
        bool joins = count == 3 || rng_chance(&rng, grows ? 3 : 1, 4);
        uint32_t member = rng_below(&rng, POOL_MAX);
        while (w.is_in[member] == joins) member = (member + 1) % POOL_MAX;
        w.is_in[member] = joins;
        count += joins ? 1 : UINT32_MAX;
        change(&w);
        if (count == 60) grows = false;
    }
    // What many members have cut is joined again when they are gone.
    assert_true(w.maps[w.now].map.run_count <= 200);
    world_free(&w);
}

static void many_changes_leave_it_whole(void **state) {
    (void)state;
    change_for_long(false);
}

static void many_changes_of_other_weights_leave_it_whole(void **state) {
    (void)state;
    change_for_long(true);
}

static void another_weight_moves_what_it_must(void **state) {
    (void)state;
    for (uint32_t count = 10; count <= 200; count += 1 + count / 4) {
        struct world w;
        world_init(&w);
        lay_out(&w, 1, 1, false);
        found(&w, count);
        w.pool.map.members[1].weight = 2;
        change(&w);
        w.pool.map.members[1].weight = 1;
        change(&w);
        world_free(&w);
    }
}

static void nothing_moves_when_nothing_changes(void **state) {
    (void)state;
    for (uint32_t count = 3; count <= 300; count += 1 + count / 2) {
        struct world w;
        world_init(&w);
        found(&w, count);
        assert_true(step(&w).moved == 0);
        world_free(&w);
    }
}

// A copy more is made by those who have least; one less is dropped, and hardly anything moves.
static void replication_changes(void **state) {
    (void)state;
    for (uint32_t count = 5; count <= 200; count += 1 + count / 3) {
        struct world w;
        world_init(&w);
        found(&w, count);
        w.maps[1 - w.now].map.replication = REPLICATION_DEFAULT + 1;
        assert_true(step(&w).moved <= SLOT_COUNT * 1.05);
        w.maps[1 - w.now].map.replication = REPLICATION_DEFAULT;
        assert_true(step(&w).moved <= SLOT_COUNT * 0.05);
        world_free(&w);
    }
}

// Whatever changes at once: racks, hosts, weights, shards, replication, half of the members.
static void any_change_gives_a_sound_map(void **state) {
    (void)state;
    struct rng rng = {test_seed()};
    struct world w;
    world_init(&w);
    found(&w, 1);
    for (uint32_t i = 0; i < 100; i++) {
        bool hosts_have_one_rack = rng_chance(&rng, 1, 2);
        uint32_t members = 1 + rng_below(&rng, 40);
        uint32_t racks = 1 + rng_below(&rng, 5);
        const struct map_member *names = w.pool.map.members;
        for (uint32_t j = 0; j < members; j++) {
            struct map_member *m = &w.pool.map.members[j];
            uint32_t host = rng_chance(&rng, 1, 4) ? rng_below(&rng, 40) : j;
            uint32_t rack = hosts_have_one_rack ? host : rng_below(&rng, racks);
            w.is_in[j] = j == 0 || rng_chance(&rng, 1, 2);
            m->host = names[host].name;
            m->rack = names[rack % racks].name;
            if (rng_chance(&rng, 1, 4)) m->weight = (uint16_t)(1 + rng_below(&rng, 100));
            if (rng_chance(&rng, 1, 4)) m->shards = (uint16_t)(1 + rng_below(&rng, SHARDS_MAX));
        }
        for (uint32_t j = members; j < 40; j++) w.is_in[j] = false;
        const struct map *before = &w.maps[w.now].map;
        w.now = 1 - w.now;
        struct map *after = &w.maps[w.now].map;
        after->replication = 1 + rng_below(&rng, 6);
        choose_members(&w, after);
        map_propose_next(after, before);
        map_check(after);
        if (hosts_have_one_rack) {
            check_map(after, distinct(after, true), distinct(after, false));
        }
    }
    world_free(&w);
}

static void the_order_in_which_members_are_named_is_of_no_matter(void **state) {
    (void)state;
    struct rng rng = {test_seed()};
    for (uint32_t count = 3; count <= 100; count += 1 + count / 3) {
        struct world w;
        struct cluster shuffled;
        world_init(&w);
        cluster_init(&shuffled, POOL_MAX);
        lay_out(&w, 1, 1, true);
        found(&w, count);
        w.is_in[1] = false;
        w.is_in[count] = true;
        struct map *a = &w.maps[1].map;
        struct map *b = &shuffled.map;
        choose_members(&w, b);
        for (uint32_t i = b->member_count; i > 1; i--) {
            uint32_t j = rng_below(&rng, i);
            struct map_member moving = b->members[i - 1];
            b->members[i - 1] = b->members[j];
            b->members[j] = moving;
        }
        choose_members(&w, a);
        map_propose_next(a, &w.maps[0].map);
        map_propose_next(b, &w.maps[0].map);
        size_t size = map_encoded_size(a);
        assert_int_equal(map_encoded_size(b), size);
        uint8_t *bytes = malloc(2 * size);
        assert_non_null(bytes);
        map_encode(a, bytes, size);
        map_encode(b, bytes + size, size);
        assert_memory_equal(bytes, bytes + size, size);
        free(bytes);
        cluster_free(&shuffled);
        world_free(&w);
    }
}

int reallocate_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(members_join_and_leave_at_any_size),
        cmocka_unit_test(members_of_other_weights_join_and_leave),
        cmocka_unit_test(racks_and_hosts_are_kept_apart),
        cmocka_unit_test(many_changes_leave_it_whole),
        cmocka_unit_test(many_changes_of_other_weights_leave_it_whole),
        cmocka_unit_test(another_weight_moves_what_it_must),
        cmocka_unit_test(nothing_moves_when_nothing_changes),
        cmocka_unit_test(replication_changes),
        cmocka_unit_test(any_change_gives_a_sound_map),
        cmocka_unit_test(the_order_in_which_members_are_named_is_of_no_matter),
    };
    return cmocka_run_group_tests_name("reallocate", cases, NULL, NULL);
}
