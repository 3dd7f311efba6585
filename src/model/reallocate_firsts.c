// SPDX-License-Identifier: Apache-2.0
#include "model/reallocate_firsts.h"

enum {
    // Parts of its share by which a member may miss it: one of so many.
    OVER = 40,
    UNDER = 8,

    PASSES_MAX = 64,
    CHAINS_MAX = 4 * RUNS_MAX,
};

struct firsts {
    const struct plan *plan;
    struct map *map;
    uint32_t first[MEMBERS_MAX]; // slots it is first for

    // A search from one member along runs that it is first for to others that hold them, and so on.
    bool is_reached[MEMBERS_MAX];
    uint16_t from[MEMBERS_MAX]; // who comes before it in the chain
    uint16_t run[MEMBERS_MAX];  // that the one before is first for
    uint16_t queue[MEMBERS_MAX];
    uint16_t head[MEMBERS_MAX]; // the runs it is first for: first of the list, RUNS_MAX at its end
    uint16_t next[RUNS_MAX];
};

static uint32_t most_of(const struct firsts *f, uint32_t member) {
    return f->plan->share[member] + f->plan->share[member] / OVER;
}

static uint64_t fullness(const struct firsts *f, uint32_t member, uint32_t first) {
    uint64_t share = f->plan->share[member];
    return share == 0 ? ((uint64_t)SLOT_COUNT + first) << 32 : ((uint64_t)first << 32) / share;
}

static void make_first(struct firsts *f, struct map_run *run, uint32_t place) {
    struct map_replica first = run->replicas[place];
    f->first[run->replicas[0].member] -= run->count;
    f->first[first.member] += run->count;
    run->replicas[place] = run->replicas[0];
    run->replicas[0] = first;
}

// Who of a run should be first instead, or 0.
static uint32_t better_first(const struct firsts *f, const struct map_run *run) {
    uint32_t first = run->replicas[0].member;
    bool is_over = f->first[first] > most_of(f, first);
    uint64_t least = fullness(f, first, f->first[first]);
    uint32_t best = 0;
    for (uint32_t place = 1; place < run->replica_count; place++) {
        uint32_t member = run->replicas[place].member;
        uint32_t share = f->plan->share[member];
        if (!is_over && f->first[member] >= share - share / UNDER) continue;
        uint64_t full = fullness(f, member, f->first[member] + run->count);
        if (full >= least) continue;
        least = full;
        best = place;
    }
    return best;
}

// Each change makes a fuller member less full than it was, and none fuller than that.
static void swap_whole_runs(struct firsts *f) {
    bool swapped = true;
    for (uint32_t pass = 0; pass < PASSES_MAX && swapped; pass++) {
        swapped = false;
        for (uint32_t i = 0; i < f->map->run_count; i++) {
            uint32_t place = better_first(f, &f->map->runs[i]);
            if (place == 0) continue;
            make_first(f, &f->map->runs[i], place);
            swapped = true;
        }
    }
}

// Whether slots could go from one run to the other with nothing changed but who is first: that
// member.
static bool could_lend(const struct map_run *run, const struct map_run *other, uint32_t member) {
    if (other->replicas[0].member != member) return false;
    if (run->replica_count != other->replica_count) return false;
    for (uint32_t i = 0; i < run->replica_count; i++) {
        uint32_t place = map_place_in(other, run->replicas[i].member);
        if (place == REPLICAS_MAX) return false;
        if (other->replicas[place].shard != run->replicas[i].shard) return false;
    }
    return true;
}

static bool could_lend_left(const struct map *map, uint32_t run, uint32_t member) {
    return run > 0 && could_lend(&map->runs[run], &map->runs[run - 1], member);
}

static bool could_lend_right(const struct map *map, uint32_t run, uint32_t member) {
    return run + 1 < map->run_count && could_lend(&map->runs[run], &map->runs[run + 1], member);
}

static void list_runs(struct firsts *f) {
    for (uint32_t i = 0; i < f->plan->count; i++) f->head[i] = RUNS_MAX;
    for (uint32_t i = f->map->run_count; i-- > 0;) {
        uint32_t member = f->map->runs[i].replicas[0].member;
        f->next[i] = f->head[member];
        f->head[member] = (uint16_t)i;
    }
}

// Follows the runs a member is first for. Returns how many members the queue has then.
static uint32_t reach_from(struct firsts *f, uint32_t member, uint32_t queued, bool may_cut) {
    for (uint32_t i = f->head[member]; i < RUNS_MAX; i = f->next[i]) {
        const struct map_run *run = &f->map->runs[i];
        for (uint32_t place = 1; place < run->replica_count; place++) {
            uint32_t to = run->replicas[place].member;
            if (f->is_reached[to]) continue;
            if (!may_cut && !could_lend_left(f->map, i, to) && !could_lend_right(f->map, i, to)) {
                continue;
            }
            f->is_reached[to] = true;
            f->from[to] = (uint16_t)member;
            f->run[to] = (uint16_t)i;
            f->queue[queued++] = (uint16_t)to;
        }
    }
    return queued;
}

// The nearest member that can be first for more, by the fewest steps, or `count`.
static uint32_t find_chain(struct firsts *f, uint32_t start, bool may_cut) {
    memset(f->is_reached, 0, sizeof(f->is_reached));
    list_runs(f);
    f->is_reached[start] = true;
    f->queue[0] = (uint16_t)start;
    uint32_t queued = 1;
    for (uint32_t i = 0; i < queued; i++) {
        uint32_t member = f->queue[i];
        if (f->first[member] < most_of(f, member) && member != start) return member;
        queued = reach_from(f, member, queued, may_cut);
    }
    return f->plan->count;
}

// Makes the member first for so many slots of the run. Returns how many runs more there are.
static uint32_t give_first(struct firsts *f, uint32_t i, uint32_t member, uint32_t count) {
    struct map *map = f->map;
    struct map_run *run = &map->runs[i];
    must(count <= run->count);
    bool left = could_lend_left(map, i, member);
    if (count < run->count && (left || could_lend_right(map, i, member))) {
        f->first[run->replicas[0].member] -= count;
        f->first[member] += count;
        run->count = (uint16_t)(run->count - count);
        if (left) {
            run->first = (uint16_t)(run->first + count);
            run[-1].count = (uint16_t)(run[-1].count + count);
        } else {
            run[1].first = (uint16_t)(run[1].first - count);
            run[1].count = (uint16_t)(run[1].count + count);
        }
        return 0;
    }
    bool is_cut = count < run->count;
    if (is_cut) plan_cut(map, i, count);
    make_first(f, run, map_place_in(run, member));
    return is_cut;
}

// Relieves the member along the chain that was found. Returns whether there was room for the runs.
static bool follow_chain(struct firsts *f, uint32_t start, uint32_t end) {
    uint32_t count = f->first[start] - f->plan->share[start];
    uint32_t free = most_of(f, end) - f->first[end];
    if (free < count) count = free;
    uint32_t cuts = 0;
    for (uint32_t member = end; member != start; member = f->from[member]) {
        if (f->map->runs[f->run[member]].count < count) count = f->map->runs[f->run[member]].count;
        cuts++;
    }
    if (f->map->run_count + cuts > f->plan->run_limit) return false;
    for (uint32_t member = end; member != start; member = f->from[member]) {
        uint32_t at = f->run[member];
        uint32_t more = give_first(f, at, member, count);
        for (uint32_t other = f->from[member]; other != start; other = f->from[other]) {
            if (f->run[other] > at) f->run[other] = (uint16_t)(f->run[other] + more);
        }
    }
    return true;
}

static void relieve(struct firsts *f, uint32_t member) {
    for (uint32_t i = 0; i < CHAINS_MAX && f->first[member] > most_of(f, member); i++) {
        uint32_t end = find_chain(f, member, false);
        if (end == f->plan->count) end = find_chain(f, member, true);
        if (end == f->plan->count || !follow_chain(f, member, end)) return;
    }
}

void reallocate_firsts(const struct plan *plan, struct map *map) {
    struct firsts f = {.plan = plan, .map = map};
    for (uint32_t i = 0; i < map->run_count; i++) {
        f.first[map->runs[i].replicas[0].member] += map->runs[i].count;
    }
    swap_whole_runs(&f);
    for (uint32_t i = 0; i < plan->count; i++) relieve(&f, i);
}
