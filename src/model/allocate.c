// SPDX-License-Identifier: Apache-2.0
#include "model/allocate.h"

#include "base/hash.h"
#include "base/text.h"
#include "model/allocate_plan.h"

static_assert((int)MEMBERS_MAX <= (int)RUNS_MAX, "a segment for everybody");

// Passes of evening out: more than have been seen to be needed.
enum { EVENING_PASSES = 16 };

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
        map->runs[i].replicas[0] = (struct map_replica){(uint16_t)member, SHARD_OPEN};
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
            run->replicas[run->replica_count++] =
                (struct map_replica){(uint16_t)member, SHARD_OPEN};
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

void allocate_runs(struct map *map) {
    struct plan plan;
    uint32_t segment_count = plan_init(&plan, map);
    lay_ring(&plan, segment_count);
    cut_ring(&plan, map);
    place_copies(&plan, map);
    even_out(&plan, map);
    plan_finish(&plan, map);
}
