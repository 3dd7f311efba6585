// SPDX-License-Identifier: Apache-2.0
#include "model/reallocate.h"

#include "model/allocate_plan.h"
#include "model/reallocate_firsts.h"

enum {
    // Parts of what a member should have, by which it may miss it: one of so many.
    NEAR = 64,        // and still be said to have it
    OVER = 30,        // where it has to give
    FAR_OVER = 23,    // where it has to give even to those who lack nothing
    UNDER = 6,        // where it has to be given, whoever else would then be out of balance
    DONOR_SLACK = 32, // given beyond what is too much, rather than to cut a run
    DONOR_LAST = 9,   // likewise, when runs are short

    // Of what it lacks: taken beyond it, rather than to cut a run.
    TAKE_SLACK = 20,

    NO_PLACE = REPLICAS_MAX,
};

struct change {
    struct plan plan;
    struct map *map;
    uint32_t wanted[MEMBERS_MAX];
    uint32_t runs_soft; // from here on runs are cut only when nothing else helps
    uint32_t runs_hard; // from here on not at all
    uint32_t piece;     // slots that move at once, at most
};

// A copy that could move: slots at one end of a run, from the replica in that place to a member.
struct move {
    uint32_t run;
    uint32_t place; // NO_PLACE: the run lacks a copy
    uint32_t to;
    uint32_t count; // 0: no move
    bool at_end;    // of the run, if it is not the whole of it
    uint32_t cuts;  // runs more than before
    uint64_t rank;  // of those with as many cuts, the highest is best
};

static uint64_t fullness(const struct change *c, uint32_t member) {
    uint64_t held = c->plan.held[member];
    uint64_t wanted = c->wanted[member];
    // What should have nothing is full.
    return wanted == 0 ? ((uint64_t)SLOT_COUNT + held) << 32 : (held << 32) / wanted;
}

static uint32_t above(uint32_t a, uint32_t b) {
    return a > b ? a - b : 0;
}

// Copies of a run, but for one place, that share their rack with an earlier one.
static uint32_t doubles_in(const struct plan *p, const struct map_run *run, uint32_t place) {
    uint32_t doubles = 0;
    for (uint32_t i = 0; i < run->replica_count; i++) {
        bool is_double = false;
        for (uint32_t j = 0; j < i && i != place; j++) {
            if (j != place && p->rack[run->replicas[i].member] == p->rack[run->replicas[j].member])
                is_double = true;
        }
        doubles += is_double;
    }
    return doubles;
}

static bool host_is_free(const struct plan *p, const struct map_run *run, uint32_t member) {
    for (uint32_t i = 0; i < run->replica_count; i++) {
        if (p->host[run->replicas[i].member] == p->host[member]) return false;
    }
    return true;
}

// Whether the run may have a copy there, instead of the one in that place.
static bool may_hold(const struct plan *p, const struct map_run *run, uint32_t place,
                     uint32_t member) {
    bool is_double = false;
    for (uint32_t i = 0; i < run->replica_count; i++) {
        uint32_t other = run->replicas[i].member;
        if (i == place) continue;
        if (p->host[other] == p->host[member]) return false;
        if (p->rack[other] == p->rack[member]) is_double = true;
    }
    return !is_double || (p->doubles > 0 && doubles_in(p, run, place) < p->doubles);
}

// Whether a run, with the member in that place, has the same replicas as another.
static bool would_match(const struct map_run *run, uint32_t place, uint32_t member,
                        const struct map_run *other) {
    uint32_t count = run->replica_count + (place == NO_PLACE);
    if (count != other->replica_count || map_place_in(other, member) == REPLICAS_MAX) return false;
    for (uint32_t i = 0; i < run->replica_count; i++) {
        if (i == place) continue;
        if (map_place_in(other, run->replicas[i].member) == REPLICAS_MAX) return false;
    }
    return true;
}

static bool match(const struct map_run *a, const struct map_run *b) {
    if (a->replica_count != b->replica_count) return false;
    for (uint32_t i = 0; i < a->replica_count; i++) {
        if (map_place_in(b, a->replicas[i].member) == REPLICAS_MAX) return false;
    }
    return true;
}

// Joins a run with the next if both have the same replicas. The larger one says who is first and on
// which shards they are.
static void join_if_matching(struct map *map, uint32_t i) {
    if (i + 1 >= map->run_count || !match(&map->runs[i], &map->runs[i + 1])) return;
    const struct map_run *next = &map->runs[i + 1];
    if (next->count > map->runs[i].count) {
        memcpy(map->runs[i].replicas, next->replicas,
               next->replica_count * sizeof(*next->replicas));
    }
    plan_join(map, i);
}

static void join_neighbours(struct change *c, uint32_t i) {
    if (c->map->run_count > c->runs_soft) join_if_matching(c->map, i);
    if (c->map->run_count > c->runs_soft && i > 0) join_if_matching(c->map, i - 1);
}

// Decides how much of a run would move, and how: at most so many slots, or the whole run if it has
// no more than `whole`. Sets count to 0 if it cannot be.
static void shape(const struct change *c, struct move *m, uint32_t most, uint32_t whole) {
    const struct map *map = c->map;
    const struct map_run *run = &map->runs[m->run];
    bool runs_are_few = map->run_count < c->runs_soft;
    uint32_t piece = runs_are_few ? c->piece : SLOT_COUNT;
    m->at_end = false;
    m->cuts = 0;
    m->count = run->count;
    if (run->count <= whole && run->count <= piece + piece / 2) return;
    m->count = most < piece ? most : piece;
    if (m->count >= run->count) m->count = run->count - 1u;
    if (map->run_count == RUNS_MAX) m->count = 0;
    if (m->count == 0) return;
    if (m->run > 0 && would_match(run, m->place, m->to, run - 1)) return;
    if (m->run + 1 < map->run_count && would_match(run, m->place, m->to, run + 1)) {
        m->at_end = true;
        return;
    }
    m->cuts = runs_are_few ? 0 : 1;
    if (map->run_count >= c->runs_hard) m->count = 0;
}

static bool is_better(const struct move *a, const struct move *b) {
    if (a->count == 0 || b->count == 0) return a->count > 0;
    if (a->cuts != b->cuts) return a->cuts < b->cuts;
    if (a->rank != b->rank) return a->rank > b->rank;
    return a->count > b->count;
}

static void make_move(struct change *c, const struct move *m) {
    struct map *map = c->map;
    uint32_t at = m->run;
    if (m->count < map->runs[at].count) {
        plan_cut(map, at, m->at_end ? map->runs[at].count - m->count : m->count);
        if (m->at_end) at++;
    }
    struct map_run *run = &map->runs[at];
    uint32_t place = m->place == NO_PLACE ? run->replica_count++ : m->place;
    must(place < c->plan.copies);
    if (m->place != NO_PLACE) c->plan.held[run->replicas[place].member] -= run->count;
    run->replicas[place] = (struct map_replica){(uint16_t)m->to, SHARD_OPEN};
    c->plan.held[m->to] += run->count;
    if (run->replica_count == c->plan.copies) join_neighbours(c, at);
}

// Slots that a member can take, and give, with so much tolerance: one part of so many, or none.
static uint32_t room(const struct change *c, uint32_t member, uint32_t slack) {
    uint32_t wanted = c->wanted[member];
    return above(wanted + (slack > 0 ? wanted / slack : 0), c->plan.held[member]);
}

static uint32_t surplus(const struct change *c, uint32_t member, uint32_t slack) {
    uint32_t wanted = c->wanted[member];
    return above(c->plan.held[member], wanted - (slack > 0 ? wanted / slack : 0));
}

// A move from one replica of a run, of as much as both sides allow.
static struct move transfer(const struct change *c, uint32_t run, uint32_t place, uint32_t to,
                            uint32_t slack) {
    struct move m = {.run = run, .place = place, .to = to};
    uint32_t from = c->map->runs[run].replicas[place].member;
    uint32_t take = room(c, to, slack);
    uint32_t give = surplus(c, from, slack);
    if (take == 0 || give == 0) return m;
    if (!may_hold(&c->plan, &c->map->runs[run], place, to)) return m;
    bool runs_are_few = c->map->run_count < c->runs_soft;
    uint32_t whole_take = take + take / TAKE_SLACK;
    uint32_t whole_give = surplus(c, from, runs_are_few ? DONOR_SLACK : DONOR_LAST);
    shape(c, &m, take < give ? take : give, whole_take < whole_give ? whole_take : whole_give);
    return m;
}

// The best way to give the member more, by those who have more than their part.
static struct move best_pull(const struct change *c, uint32_t to, uint32_t slack) {
    struct move best = {0};
    for (uint32_t i = 0; i < c->map->run_count; i++) {
        const struct map_run *run = &c->map->runs[i];
        if (map_place_in(run, to) != REPLICAS_MAX) continue;
        for (uint32_t place = 0; place < run->replica_count; place++) {
            struct move m = transfer(c, i, place, to, slack);
            m.rank = fullness(c, run->replicas[place].member);
            if (is_better(&m, &best)) best = m;
        }
    }
    return best;
}

// The best way to relieve the member, by those who have less than their part.
static struct move best_push(const struct change *c, uint32_t from, uint32_t slack) {
    struct move best = {0};
    for (uint32_t i = 0; i < c->map->run_count; i++) {
        uint32_t place = map_place_in(&c->map->runs[i], from);
        if (place == REPLICAS_MAX) continue;
        for (uint32_t to = 0; to < c->plan.count; to++) {
            struct move m = transfer(c, i, place, to, slack);
            m.rank = UINT64_MAX - fullness(c, to);
            if (is_better(&m, &best)) best = m;
        }
    }
    return best;
}

// Who is furthest from its part, of those that are not given up yet, or `count`.
static uint32_t neediest(const struct change *c, const bool *given_up, bool is_over) {
    uint32_t worst = c->plan.count;
    uint64_t most = 0;
    for (uint32_t i = 0; i < c->plan.count; i++) {
        if (given_up[i]) continue;
        uint32_t wanted = c->wanted[i];
        uint32_t by = is_over ? surplus(c, i, 0) : room(c, i, 0);
        if (by * (is_over ? OVER : UNDER) <= wanted) continue;
        uint64_t rank = wanted == 0 ? UINT64_MAX : ((uint64_t)by << 32) / wanted;
        if (worst < c->plan.count && rank <= most) continue;
        worst = i;
        most = rank;
    }
    return worst;
}

// Gives a member what it lacks, all of it but the slack.
static void pull(struct change *c, uint32_t member) {
    while (room(c, member, 0) > c->wanted[member] / NEAR) {
        struct move m = best_pull(c, member, 0);
        if (m.count == 0) m = best_pull(c, member, OVER);
        if (m.count == 0) return;
        make_move(c, &m);
    }
}

static void push(struct change *c, uint32_t member) {
    while (surplus(c, member, 0) * OVER > c->wanted[member]) {
        struct move m = best_push(c, member, 0);
        bool is_far_over = surplus(c, member, 0) * FAR_OVER > c->wanted[member];
        if (m.count == 0 && is_far_over) m = best_push(c, member, OVER);
        if (m.count == 0) return;
        make_move(c, &m);
    }
}

static void even_out(struct change *c, bool is_over) {
    bool given_up[MEMBERS_MAX] = {0};
    for (;;) {
        uint32_t member = neediest(c, given_up, is_over);
        if (member == c->plan.count) return;
        // Each is made good once: what it loses again by the others' moves is within the slack.
        given_up[member] = true;
        if (is_over) {
            push(c, member);
        } else {
            pull(c, member);
        }
    }
}

// Replicas that stay, with who they are now.
static void carry(struct change *c, const struct map *present) {
    uint16_t now[MEMBERS_MAX];
    struct map *map = c->map;
    for (uint32_t i = 0; i < present->member_count; i++) {
        now[i] = (uint16_t)map_find_id(map, present->members[i].id);
    }
    map->run_count = present->run_count;
    for (uint32_t i = 0; i < RUNS_MAX; i++) {
        map->runs[i] = (struct map_run){.replicas = &map->replicas[(size_t)i * REPLICAS_MAX]};
    }
    for (uint32_t i = 0; i < present->run_count; i++) {
        const struct map_run *old = &present->runs[i];
        struct map_run *run = &map->runs[i];
        run->first = old->first;
        run->count = old->count;
        for (uint32_t j = 0; j < old->replica_count; j++) {
            uint32_t member = now[old->replicas[j].member];
            if (member == map->members_max) continue;
            bool shard_is_left = old->replicas[j].shard < map->members[member].shards;
            run->replicas[run->replica_count++] = (struct map_replica){
                (uint16_t)member, shard_is_left ? old->replicas[j].shard : SHARD_OPEN};
            c->plan.held[member] += run->count;
        }
    }
}

// Whether the replica in that place must, or may, go: it shares its host, or else its rack while
// too many do.
static bool shares(const struct plan *p, const struct map_run *run, uint32_t place, bool host) {
    const uint16_t *group = host ? p->host : p->rack;
    uint32_t member = run->replicas[place].member;
    for (uint32_t i = 0; i < run->replica_count; i++) {
        if (i != place && group[run->replicas[i].member] == group[member]) return true;
    }
    return false;
}

static uint32_t fullest(const struct change *c, const struct map_run *run, bool shares_host,
                        bool shares_rack) {
    uint32_t worst = NO_PLACE;
    for (uint32_t i = 0; i < run->replica_count; i++) {
        if (shares_host && !shares(&c->plan, run, i, true)) continue;
        if (shares_rack && !shares(&c->plan, run, i, false)) continue;
        if (worst != NO_PLACE &&
            fullness(c, run->replicas[i].member) <= fullness(c, run->replicas[worst].member)) {
            continue;
        }
        worst = i;
    }
    return worst;
}

// Drops what a run may no longer have: two on a host, too many in a rack, too many at all.
static void trim(struct change *c, struct map_run *run) {
    for (;;) {
        uint32_t place = fullest(c, run, true, false);
        if (place == NO_PLACE && doubles_in(&c->plan, run, NO_PLACE) > c->plan.doubles) {
            place = fullest(c, run, false, true);
        }
        if (place == NO_PLACE && run->replica_count > c->plan.copies) {
            place = fullest(c, run, false, false);
        }
        if (place == NO_PLACE) return;
        c->plan.held[run->replicas[place].member] -= run->count;
        run->replica_count--;
        memmove(&run->replicas[place], &run->replicas[place + 1],
                (run->replica_count - place) * sizeof(*run->replicas));
    }
}

// Who takes the next copy that the run lacks: one with which it can be joined to a neighbour if
// runs are many, or who has least.
static struct move best_fill(const struct change *c, uint32_t at) {
    const struct map_run *run = &c->map->runs[at];
    struct move best = {0};
    struct move last = {.run = at, .place = NO_PLACE, .to = c->plan.count, .count = run->count};
    bool runs_are_few = c->map->run_count < c->runs_soft;
    for (uint32_t to = 0; to < c->plan.count; to++) {
        if (!may_hold(&c->plan, run, NO_PLACE, to)) continue;
        uint32_t free = room(c, to, OVER);
        struct move m = {.run = at, .place = NO_PLACE, .to = to};
        m.rank = UINT64_MAX - fullness(c, to);
        shape(c, &m, free, free);
        bool joins = at > 0 && would_match(run, NO_PLACE, to, run - 1);
        joins |= at + 1 < c->map->run_count && would_match(run, NO_PLACE, to, run + 1);
        if (joins && !runs_are_few && room(c, to, 0) > 0) m.rank = UINT64_MAX;
        if (is_better(&m, &best)) best = m;
        if (last.to < c->plan.count && m.rank <= last.rank) continue;
        last.to = to;
        last.rank = m.rank;
    }
    if (best.count > 0) return best;
    // Only where a host names several racks can there be nobody whom racks allow.
    for (uint32_t to = 0; to < c->plan.count && last.to == c->plan.count; to++) {
        if (host_is_free(&c->plan, run, to)) last.to = to;
    }
    must(last.to < c->plan.count);
    return last;
}

static void fill(struct change *c) {
    // Joining with the run before may leave less to be seen again, never more.
    for (uint32_t i = 0; i < c->map->run_count;) {
        if (c->map->runs[i].replica_count == c->plan.copies) {
            i++;
            continue;
        }
        struct move m = best_fill(c, i);
        make_move(c, &m);
        if (i > 0) i--;
    }
}

// Data that moves when run number `from` gets the replicas of a neighbour.
static uint32_t cost_of_likening(const struct map *map, uint32_t from, uint32_t to) {
    uint32_t cost = 0;
    for (uint32_t i = 0; i < map->runs[to].replica_count; i++) {
        uint32_t member = map->runs[to].replicas[i].member;
        if (map_place_in(&map->runs[from], member) == REPLICAS_MAX) cost += map->runs[from].count;
    }
    return cost;
}

static void liken(struct change *c, uint32_t from, uint32_t to) {
    struct map_run *run = &c->map->runs[from];
    const struct map_run *other = &c->map->runs[to];
    for (uint32_t i = 0; i < run->replica_count; i++) {
        c->plan.held[run->replicas[i].member] -= run->count;
    }
    run->replica_count = other->replica_count;
    memcpy(run->replicas, other->replicas, run->replica_count * sizeof(*run->replicas));
    for (uint32_t i = 0; i < run->replica_count; i++) {
        c->plan.held[run->replicas[i].member] += run->count;
    }
    plan_join(c->map, from < to ? from : to);
}

// With fewer shards than before there may be fewer runs: the cheapest ones go.
static void drop_runs(struct change *c) {
    while (c->map->run_count > c->plan.run_limit) {
        uint32_t from = 0;
        uint32_t to = 1;
        for (uint32_t i = 0; i + 1 < c->map->run_count; i++) {
            uint32_t least = cost_of_likening(c->map, from, to);
            if (cost_of_likening(c->map, i, i + 1) < least) from = i, to = i + 1;
            least = cost_of_likening(c->map, from, to);
            if (cost_of_likening(c->map, i + 1, i) < least) from = i + 1, to = i;
        }
        liken(c, from, to);
    }
}

void reallocate_runs(struct map *map, const struct map *present) {
    must(present->epoch > 0);
    must(map != present);
    struct change c = {.map = map};
    uint32_t segments = plan_init(&c.plan, map);
    plan_wanted(&c.plan, c.wanted);
    // Room to cut some for the sake of who is first.
    uint32_t limit = c.plan.run_limit;
    uint32_t reserve = c.plan.count < limit / 4 ? c.plan.count : limit / 4;
    c.runs_hard = limit - reserve / 4;
    c.runs_soft = segments < limit - reserve ? segments : limit - reserve;
    c.piece = (SLOT_COUNT + segments - 1) / segments;
    carry(&c, present);
    for (uint32_t i = 0; i < map->run_count; i++) trim(&c, &map->runs[i]);
    fill(&c);
    for (uint32_t i = map->run_count; i-- > 0;) join_neighbours(&c, i);
    drop_runs(&c);
    even_out(&c, false);
    even_out(&c, true);
    reallocate_firsts(&c.plan, map);
    plan_finish(&c.plan, map);
}
