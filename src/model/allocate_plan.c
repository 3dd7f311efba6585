// SPDX-License-Identifier: Apache-2.0
#include "model/allocate_plan.h"

static bool same_rack(const struct map_member *a, const struct map_member *b) {
    return strcmp(a->dc, b->dc) == 0 && strcmp(a->rack, b->rack) == 0;
}

static void find_groups(struct plan *p, const struct map *map) {
    for (uint32_t i = 0; i < p->count; i++) {
        const struct map_member *m = &map->members[i];
        must(m->weight > 0);
        must(m->shards > 0 && m->shards <= SHARDS_MAX);
        must(m->host[0] != '\0');
        must(i == 0 || strcmp(m[-1].name, m->name) < 0);
        uint32_t host = 0;
        uint32_t rack = 0;
        while (strcmp(map->members[host].host, m->host) != 0) host++;
        while (!same_rack(&map->members[rack], m)) rack++;
        p->host[i] = (uint16_t)host;
        p->rack[i] = (uint16_t)rack;
        p->host_count += host == i;
        p->rack_count += rack == i;
        p->weight += m->weight;
    }
}

// Shares by weight, rounded so that they add up: first down, then up for those who lost most.
static void share_slots(struct plan *p) {
    uint64_t lost[MEMBERS_MAX];
    uint32_t left = SLOT_COUNT;
    for (uint32_t i = 0; i < p->count; i++) {
        uint64_t exact = (uint64_t)SLOT_COUNT * p->map->members[i].weight;
        p->share[i] = (uint32_t)(exact / p->weight);
        lost[i] = exact % p->weight;
        left -= p->share[i];
    }
    must(left < p->count);
    for (; left > 0; left--) {
        uint32_t most = 0;
        for (uint32_t i = 1; i < p->count; i++) {
            if (lost[i] > lost[most]) most = i;
        }
        p->share[most]++;
        lost[most] = 0;
    }
}

// Cuts shares into about per_member segments, more or less by weight. Returns how many in all.
static uint32_t cut_segments(struct plan *p, uint32_t per_member, bool for_all_shards) {
    uint32_t total = 0;
    for (uint32_t i = 0; i < p->count; i++) {
        const struct map_member *m = &p->map->members[i];
        uint32_t segments = (uint32_t)((uint64_t)per_member * p->count * m->weight / p->weight);
        if (segments == 0) segments = 1;
        if (for_all_shards) segments = (segments + m->shards - 1) / m->shards * m->shards;
        if (segments > p->share[i]) segments = p->share[i];
        p->segments[i] = segments;
        total += segments;
    }
    return total;
}

// As many segments as there is room for: the same number for each shard if that can be.
static void choose_segments(struct plan *p) {
    uint32_t most_runs = p->run_limit / 10 * RUNS_FOUNDED;
    uint32_t most = p->count == 1 ? 1 : SEGMENTS_PER_MEMBER;
    for (uint32_t n = most; n > 0; n--) {
        if (cut_segments(p, n, true) <= most_runs) return;
    }
    for (uint32_t n = most; n > 0; n--) {
        if (cut_segments(p, n, false) <= most_runs) return;
    }
    for (uint32_t i = 0; i < p->count; i++) p->segments[i] = p->share[i] > 0;
}

uint32_t plan_init(struct plan *p, const struct map *map) {
    must(map->member_count > 0 && map->member_count <= MEMBERS_MAX);
    must(map->replication > 0 && map->replication <= REPLICAS_MAX);
    p->map = map;
    p->count = map->member_count;
    p->weight = 0;
    p->host_count = 0;
    p->rack_count = 0;
    p->ring_count = 0;
    memset(p->laid, 0, p->count * sizeof(*p->laid));
    find_groups(p, map);
    p->copies = map->replication < p->host_count ? map->replication : p->host_count;
    p->doubles = p->copies > p->rack_count ? p->copies - p->rack_count : 0;
    uint32_t shards = 0;
    for (uint32_t i = 0; i < p->count; i++) shards += map->members[i].shards;
    p->run_limit = shards < RUNS_WANTED ? RUNS_WANTED : shards < RUNS_MAX ? shards : RUNS_MAX;
    share_slots(p);
    choose_segments(p);
    uint32_t segments = 0;
    for (uint32_t i = 0; i < p->count; i++) segments += p->segments[i];
    must(segments <= RUNS_MAX);
    return segments;
}

// How many of the first `count` runs with that first replica have the member in second place.
static uint32_t times_second(const struct map *map, uint32_t count, uint32_t first,
                             uint32_t member) {
    uint32_t times = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct map_replica *replicas = map->runs[i].replicas;
        times += replicas[0].member == first && replicas[1].member == member;
    }
    return times;
}

// Puts in second place whoever has been there least often for the same first replica: it steps in
// when that one is down.
static void order_copies(struct map *map) {
    for (uint32_t i = 0; i < map->run_count; i++) {
        struct map_run *run = &map->runs[i];
        if (run->replica_count == 1) continue; // the place after the first may be another run's
        uint32_t chosen = 1;
        uint32_t least = UINT32_MAX;
        for (uint32_t place = 1; place < run->replica_count; place++) {
            uint32_t times =
                times_second(map, i, run->replicas[0].member, run->replicas[place].member);
            if (times >= least) continue;
            chosen = place;
            least = times;
        }
        struct map_replica second = run->replicas[chosen];
        run->replicas[chosen] = run->replicas[1];
        run->replicas[1] = second;
    }
}

// What each shard of a member holds already.
static void tally_shards(const struct map *map, uint32_t member, uint32_t held[SHARDS_MAX]) {
    memset(held, 0, SHARDS_MAX * sizeof(*held));
    for (uint32_t i = 0; i < map->run_count; i++) {
        const struct map_run *run = &map->runs[i];
        uint32_t place = map_place_in(run, member);
        if (place == REPLICAS_MAX || run->replicas[place].shard == SHARD_OPEN) continue;
        held[run->replicas[place].shard] += run->count;
    }
}

// Spreads one member's runs over its shards: each that is open goes to the shard that has least so
// far. What it is first for is dealt out before the rest, so that this is balanced by itself too.
static void deal_to_shards(struct map *map, uint32_t member) {
    uint32_t held[SHARDS_MAX];
    uint32_t shards = map->members[member].shards;
    tally_shards(map, member, held);
    for (uint32_t pass = 0; pass < 2; pass++) {
        for (uint32_t i = 0; i < map->run_count; i++) {
            struct map_run *run = &map->runs[i];
            uint32_t place = map_place_in(run, member);
            if (place == REPLICAS_MAX || (place == 0) != (pass == 0)) continue;
            if (run->replicas[place].shard != SHARD_OPEN) continue;
            uint32_t shard = 0;
            for (uint32_t s = 1; s < shards; s++) {
                if (held[s] < held[shard]) shard = s;
            }
            run->replicas[place].shard = (uint16_t)shard;
            held[shard] += run->count;
        }
    }
}

static bool are_alike(const struct map_run *a, const struct map_run *b) {
    return a->replica_count == b->replica_count &&
           memcmp(a->replicas, b->replicas, a->replica_count * sizeof(*a->replicas)) == 0;
}

void plan_cut(struct map *map, uint32_t i, uint32_t count) {
    must(map->run_count < RUNS_MAX);
    must(count > 0 && count < map->runs[i].count);
    struct map_run rest = map->runs[i];
    struct map_replica *replicas = map->runs[map->run_count].replicas; // nobody's
    rest.first = (uint16_t)(rest.first + count);
    rest.count = (uint16_t)(rest.count - count);
    memcpy(replicas, rest.replicas, rest.replica_count * sizeof(*replicas));
    rest.replicas = replicas;
    memmove(&map->runs[i + 2], &map->runs[i + 1], (map->run_count - i - 1) * sizeof(rest));
    map->run_count++;
    map->runs[i].count = (uint16_t)count;
    map->runs[i + 1] = rest;
}

void plan_join(struct map *map, uint32_t i) {
    must(i + 1 < map->run_count);
    struct map_run next = map->runs[i + 1];
    map->runs[i].count = (uint16_t)(map->runs[i].count + next.count);
    map->run_count--;
    memmove(&map->runs[i + 1], &map->runs[i + 2], (map->run_count - i - 1) * sizeof(next));
    map->runs[map->run_count] = next; // its place for replicas is another's now
}

void plan_finish(const struct plan *p, struct map *map) {
    order_copies(map);
    for (uint32_t i = 0; i < p->count; i++) deal_to_shards(map, i);
    for (uint32_t i = map->run_count - 1; i > 0; i--) {
        if (are_alike(&map->runs[i - 1], &map->runs[i])) plan_join(map, i - 1);
    }
}

// Filling up to a level, in 65536ths of slots for each unit of weight.
struct filling {
    const struct plan *plan;
    uint64_t most;                 // of a rack
    uint64_t level[MEMBERS_MAX];   // by rack
    uint64_t of_host[MEMBERS_MAX]; // what members would have by weight
    uint64_t of_rack[MEMBERS_MAX]; // what its hosts can have of that
};

// A host whose members name several racks stands in that of the first.
static uint32_t rack_of(const struct plan *p, uint32_t member) {
    return p->rack[p->host[member]];
}

static uint32_t level_of(const struct plan *p, uint32_t member, uint64_t level) {
    uint64_t slots = p->map->members[member].weight * level >> 16;
    return slots < SLOT_COUNT ? (uint32_t)slots : SLOT_COUNT;
}

static void fill(struct filling *f) {
    const struct plan *p = f->plan;
    memset(f->of_host, 0, sizeof(f->of_host));
    memset(f->of_rack, 0, sizeof(f->of_rack));
    for (uint32_t i = 0; i < p->count; i++) {
        f->of_host[p->host[i]] += level_of(p, i, f->level[rack_of(p, i)]);
    }
    for (uint32_t i = 0; i < p->count; i++) {
        if (p->host[i] != i) continue;
        uint64_t host = f->of_host[i];
        f->of_rack[rack_of(p, i)] += host < SLOT_COUNT ? host : SLOT_COUNT;
    }
}

// What a rack gets when its hosts can have so much by weight: each run has a copy in every rack
// where there are fewer racks than copies.
static uint64_t clamped(const struct filling *f, uint64_t of_rack) {
    const struct plan *p = f->plan;
    uint64_t least = p->rack_count <= p->copies ? SLOT_COUNT : 0;
    if (of_rack < least) return least;
    return of_rack < f->most ? of_rack : f->most;
}

static uint64_t filled(const struct filling *f) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < f->plan->count; i++) {
        if (f->plan->rack[i] == i) sum += clamped(f, f->of_rack[i]);
    }
    return sum;
}

#define LEVEL_TOP ((uint64_t)SLOT_COUNT << 16) // at which the least weight has all slots

// The highest level of all racks at which there is no more than all copies.
static void fill_racks(struct filling *f, uint64_t goal[MEMBERS_MAX]) {
    const struct plan *p = f->plan;
    uint64_t level = 0;
    for (uint64_t step = LEVEL_TOP; step > 0; step /= 2) {
        for (uint32_t i = 0; i < p->count; i++) f->level[i] = level + step;
        fill(f);
        if (filled(f) <= (uint64_t)p->copies * SLOT_COUNT) level += step;
    }
    for (uint32_t i = 0; i < p->count; i++) f->level[i] = level;
    fill(f);
    for (uint32_t i = 0; i < p->count; i++) goal[i] = clamped(f, f->of_rack[i]);
}

// The highest level of each rack at which its hosts have no more than what it gets.
static void fill_hosts(struct filling *f, const uint64_t goal[MEMBERS_MAX]) {
    const struct plan *p = f->plan;
    memset(f->level, 0, sizeof(f->level));
    for (uint64_t step = LEVEL_TOP; step > 0; step /= 2) {
        for (uint32_t i = 0; i < p->count; i++) f->level[i] += step;
        fill(f);
        for (uint32_t i = 0; i < p->count; i++) {
            if (f->of_rack[i] > goal[i]) f->level[i] -= step;
        }
    }
    fill(f);
}

// What rounding has left goes to whoever has room, by turns.
static void deal_rest(struct filling *f, uint32_t wanted[MEMBERS_MAX]) {
    const struct plan *p = f->plan;
    uint32_t left = p->copies * SLOT_COUNT;
    memset(f->of_host, 0, sizeof(f->of_host));
    memset(f->of_rack, 0, sizeof(f->of_rack));
    for (uint32_t i = 0; i < p->count; i++) {
        f->of_host[p->host[i]] += wanted[i];
        f->of_rack[rack_of(p, i)] += wanted[i];
        must(left >= wanted[i]);
        left -= wanted[i];
    }
    bool racks_bind = true;
    while (left > 0) {
        uint32_t before = left;
        for (uint32_t i = 0; i < p->count && left > 0; i++) {
            if (f->of_host[p->host[i]] == SLOT_COUNT) continue;
            if (racks_bind && f->of_rack[rack_of(p, i)] >= f->most) continue;
            f->of_host[p->host[i]]++;
            f->of_rack[rack_of(p, i)]++;
            wanted[i]++;
            left--;
        }
        must(left < before || racks_bind);
        racks_bind = left < before;
    }
}

void plan_wanted(const struct plan *p, uint32_t wanted[MEMBERS_MAX]) {
    struct filling f = {.plan = p, .most = (uint64_t)(1 + p->doubles) * SLOT_COUNT};
    uint64_t goal[MEMBERS_MAX];
    fill_racks(&f, goal);
    fill_hosts(&f, goal);
    uint64_t host_weight[MEMBERS_MAX] = {0};
    for (uint32_t i = 0; i < p->count; i++) {
        host_weight[p->host[i]] += p->map->members[i].weight;
    }
    for (uint32_t i = 0; i < p->count; i++) {
        wanted[i] = level_of(p, i, f.level[rack_of(p, i)]);
        if (f.of_host[p->host[i]] <= SLOT_COUNT) continue;
        // A full host shares out its slots by weight.
        uint64_t exact = (uint64_t)SLOT_COUNT * p->map->members[i].weight;
        wanted[i] = (uint32_t)(exact / host_weight[p->host[i]]);
    }
    deal_rest(&f, wanted);
}
