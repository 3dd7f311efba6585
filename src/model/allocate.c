// SPDX-License-Identifier: Apache-2.0
#include "model/allocate.h"

#include "base/hash.h"
#include "base/text.h"

static_assert((int)MEMBERS_MAX <= (int)RUNS_MAX, "a segment for everybody");

// Passes of evening out: more than have been seen to be needed.
enum { EVENING_PASSES = 16 };

struct plan {
    const struct map *map;
    uint32_t count; // of members; all arrays but the ring are by member
    uint64_t weight;
    uint32_t host_count;
    uint32_t copies;
    uint16_t host[MEMBERS_MAX];     // the first member of the same host
    uint16_t rack[MEMBERS_MAX];     // the first member of the same rack
    uint32_t share[MEMBERS_MAX];    // slots it is first for
    uint32_t segments[MEMBERS_MAX]; // pieces its share is cut into
    uint32_t laid[MEMBERS_MAX];     // pieces that lie on the ring already
    uint32_t held[MEMBERS_MAX];     // slots it holds a copy of
    bool host_taken[MEMBERS_MAX];   // by the run at hand; by the number of a host
    bool rack_taken[MEMBERS_MAX];   // the same of racks
    uint32_t ring_count;
    uint16_t ring[RUNS_MAX]; // the member each segment belongs to
};

static bool same_rack(const struct map_member *a, const struct map_member *b) {
    return strcmp(a->dc, b->dc) == 0 && strcmp(a->rack, b->rack) == 0;
}

static void plan_init(struct plan *p, const struct map *map) {
    p->map = map;
    p->count = map->member_count;
    p->weight = 0;
    p->host_count = 0;
    p->ring_count = 0;
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
        p->weight += m->weight;
        p->laid[i] = 0;
    }
    p->copies = map->replication < p->host_count ? map->replication : p->host_count;
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
    uint32_t most = p->count == 1 ? 1 : SEGMENTS_PER_MEMBER;
    for (uint32_t n = most; n > 0; n--) {
        if (cut_segments(p, n, true) <= RUNS_MAX) return;
    }
    for (uint32_t n = most; n > 0; n--) {
        if (cut_segments(p, n, false) <= RUNS_MAX) return;
    }
    for (uint32_t i = 0; i < p->count; i++) p->segments[i] = p->share[i] > 0;
}

// True if one of the last `window` segments lies on the member's host.
static bool host_is_near(const struct plan *p, uint32_t member, uint32_t window) {
    for (uint32_t i = 0; i < window && i < p->ring_count; i++) {
        if (p->host[p->ring[p->ring_count - 1 - i]] == p->host[member]) return true;
    }
    return false;
}

static uint64_t lot(const struct plan *p, uint32_t member) {
    return hash_bytes(slice_of_string(p->map->members[member].name), p->laid[member]);
}

// True if member a should rather lie next on the ring than member b.
static bool lies_before(const struct plan *p, uint32_t a, uint32_t b, uint32_t window) {
    bool a_is_near = host_is_near(p, a, window);
    if (a_is_near != host_is_near(p, b, window)) return !a_is_near;
    uint64_t a_laid = (uint64_t)p->laid[a] * p->segments[b];
    uint64_t b_laid = (uint64_t)p->laid[b] * p->segments[a];
    if (a_laid != b_laid) return a_laid < b_laid;
    return lot(p, a) < lot(p, b);
}

static void lay_ring(struct plan *p, uint32_t segment_count) {
    // As far as the copies of a segment reach, segments should lie on different hosts.
    uint32_t window = p->copies > 1 ? p->copies - 1 : 1;
    while (p->ring_count < segment_count) {
        uint32_t next = p->count;
        for (uint32_t i = 0; i < p->count; i++) {
            if (p->laid[i] == p->segments[i]) continue;
            if (next == p->count || lies_before(p, i, next, window)) next = i;
        }
        must(next < p->count);
        p->ring[p->ring_count++] = (uint16_t)next;
        p->laid[next]++;
    }
}

// Gives each segment its slots and its first replica.
static void cut_ring(struct plan *p, struct map *map) {
    uint32_t first = 0;
    memset(p->laid, 0, p->count * sizeof(*p->laid));
    for (uint32_t i = 0; i < p->ring_count; i++) {
        uint32_t member = p->ring[i];
        uint32_t count = p->share[member] / p->segments[member];
        if (p->laid[member]++ < p->share[member] % p->segments[member]) count++;
        map->runs[i] = (struct map_run){.first = (uint16_t)first,
                                        .count = (uint16_t)count,
                                        .replica_count = 1,
                                        .replicas = &map->replicas[(size_t)i * p->copies]};
        map->runs[i].replicas[0].member = (uint16_t)member;
        first += count;
    }
    must(first == SLOT_COUNT);
    map->run_count = p->ring_count;
    memcpy(p->held, p->share, p->count * sizeof(*p->held));
}

// How full a member is, to be compared with others of other weights.
static uint64_t fullness(const struct plan *p, uint32_t member, uint32_t held) {
    return ((uint64_t)held << 32) / p->map->members[member].weight;
}

// Whether the run at hand may have a copy there.
static bool is_eligible(const struct plan *p, uint32_t member, bool in_new_rack) {
    if (p->host_taken[p->host[member]]) return false;
    return !in_new_rack || !p->rack_taken[p->rack[member]];
}

// The eligible member with most room, or `count` when nobody is eligible.
static uint32_t emptiest(const struct plan *p, bool in_new_rack) {
    uint32_t best = p->count;
    uint64_t least = UINT64_MAX;
    for (uint32_t i = 0; i < p->count; i++) {
        if (!is_eligible(p, i, in_new_rack)) continue;
        uint64_t full = fullness(p, i, p->held[i]);
        if (best < p->count && full >= least) continue;
        best = i;
        least = full;
    }
    return best;
}

// Who should hold the next copy of run number `at`.
static uint32_t next_copy(const struct plan *p, uint32_t at, uint32_t size) {
    bool in_new_rack = true;
    uint32_t best = emptiest(p, in_new_rack);
    if (best == p->count) {
        in_new_rack = false;
        best = emptiest(p, in_new_rack);
    }
    must(best < p->count);
    uint64_t least = fullness(p, best, p->held[best]);
    for (uint32_t i = 1; i < p->ring_count; i++) {
        uint32_t member = p->ring[(at + i) % p->ring_count];
        if (!is_eligible(p, member, in_new_rack)) continue;
        // A lead of one run is no reason to pass somebody over.
        uint32_t held = p->held[member] > size ? p->held[member] - size : 0;
        if (fullness(p, member, held) <= least) return member;
    }
    return best; // with so little weight that it has no segment
}

static void take(struct plan *p, uint32_t member) {
    p->host_taken[p->host[member]] = true;
    p->rack_taken[p->rack[member]] = true;
}

static void take_nothing(struct plan *p) {
    memset(p->host_taken, 0, p->count);
    memset(p->rack_taken, 0, p->count);
}

static void place_copies(struct plan *p, struct map *map) {
    for (uint32_t i = 0; i < map->run_count; i++) {
        struct map_run *run = &map->runs[i];
        take_nothing(p);
        take(p, run->replicas[0].member);
        while (run->replica_count < p->copies) {
            uint32_t member = next_copy(p, i, run->count);
            take(p, member);
            p->held[member] += run->count;
            run->replicas[run->replica_count++].member = (uint16_t)member;
        }
    }
}

// Moves one copy to a member that is emptier even with it. Returns whether there is one.
static bool move_copy(struct plan *p, struct map_run *run, uint32_t place) {
    uint32_t from = run->replicas[place].member;
    take_nothing(p);
    bool only_one_of_its_rack = true;
    for (uint32_t i = 0; i < run->replica_count; i++) {
        uint32_t other = run->replicas[i].member;
        if (i == place) continue;
        take(p, other);
        if (p->rack[other] == p->rack[from]) only_one_of_its_rack = false;
    }
    uint32_t to = emptiest(p, only_one_of_its_rack);
    must(to < p->count); // there is still the one that has it
    uint64_t full = fullness(p, to, p->held[to] + run->count);
    if (full >= fullness(p, from, p->held[from])) return false;
    run->replicas[place].member = (uint16_t)to;
    p->held[from] -= run->count;
    p->held[to] += run->count;
    return true;
}

// Each move makes a fuller member less full than it was, and none fuller than that.
static void even_out(struct plan *p, struct map *map) {
    bool moved = true;
    for (uint32_t pass = 0; pass < EVENING_PASSES && moved; pass++) {
        moved = false;
        for (uint32_t i = 0; i < map->run_count; i++) {
            for (uint32_t place = 1; place < map->runs[i].replica_count; place++) {
                if (move_copy(p, &map->runs[i], place)) moved = true;
            }
        }
    }
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

// Spreads one member's runs over its shards: each goes to the shard that has least so far. What it
// is first for is dealt out before the rest, so that this is balanced by itself too.
static void deal_to_shards(struct map *map, uint32_t member) {
    uint32_t held[SHARDS_MAX] = {0};
    uint32_t shards = map->members[member].shards;
    for (uint32_t pass = 0; pass < 2; pass++) {
        for (uint32_t i = 0; i < map->run_count; i++) {
            struct map_run *run = &map->runs[i];
            uint32_t place = map_place_in(run, member);
            if (place == REPLICAS_MAX || (place == 0) != (pass == 0)) continue;
            uint32_t shard = 0;
            for (uint32_t s = 1; s < shards; s++) {
                if (held[s] < held[shard]) shard = s;
            }
            run->replicas[place].shard = (uint16_t)shard;
            held[shard] += run->count;
        }
    }
}

void allocate_runs(struct map *map) {
    must(map->member_count > 0 && map->member_count <= MEMBERS_MAX);
    must(map->replication > 0 && map->replication <= REPLICAS_MAX);
    struct plan plan;
    plan_init(&plan, map);
    share_slots(&plan);
    choose_segments(&plan);
    uint32_t segment_count = 0;
    for (uint32_t i = 0; i < plan.count; i++) segment_count += plan.segments[i];
    must(segment_count <= RUNS_MAX);
    lay_ring(&plan, segment_count);
    cut_ring(&plan, map);
    place_copies(&plan, map);
    even_out(&plan, map);
    order_copies(map);
    for (uint32_t i = 0; i < plan.count; i++) deal_to_shards(map, i);
}
