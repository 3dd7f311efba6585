// SPDX-License-Identifier: Apache-2.0
//
// allocation_bench -- how evenly Quoit spreads slots over members and how little moves when these
// change, beside other schemes. For bench/allocation, which says what the figures are.
//
// Whatever the scheme, a placement is a list of pieces of a ring of 2^64 positions, each with its
// owners, the first of them first; all is measured on that.
//
//   quoit      map_propose at that size (founded), and map_propose_next for the member that comes
//              or goes
//   grown      the same after a cluster of three grew by one member at a time to that size
//   tokens     each member has so many random places on the ring for each unit of its weight; the
//              owners are whom one meets first clockwise, in racks not met yet where there are any
//   redis      Redis Cluster, grown like that: each master owns slots, and replicas follow it
//   whole,
//              so that a member here is a master with its replicas. The rule is that of `redis-cli
//              --cluster rebalance` with weights given and empty masters used; who leaves is given
//              weight 0
#include "base/hash.h"
#include "model/map.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    COPIES = 3,
    RACKS = 3,
    SIZE_LAST = 300,
    JOINERS = 3, // of each weight, and of each rack
    LEAVERS = 6,
    POOL = SIZE_LAST + JOINERS,
    SEEDS = 10,
    PIECES_MAX = POOL * 256 * 3,
    SLOT_SHIFT = 64 - 14,
};

_Static_assert(SLOT_COUNT == 1 << 14, "SLOT_SHIFT");

struct piece {
    uint64_t begin;
    uint16_t owners[COPIES];
};

struct state {
    bool is_in[POOL];
    uint32_t copies; // of owners in use
    uint32_t piece_count;
    struct piece *pieces;
    struct map map; // of quoit only
};

struct setting {
    const char *name;
    bool has_racks;
    bool weights_differ;
};

struct scheme {
    const char *name;
    // Fills in all but who is in. There is nothing before when a cluster is founded.
    void (*place)(const struct setting *setting, uint32_t tokens, const struct state *before,
                  struct state *after);
    uint32_t tokens;
    uint32_t seeds;
    bool grows;
    bool knows_racks;
};

struct figures {
    double held;
    double first;
    double join;
    double leave;
};

static char names[POOL][16];
static uint64_t seed;

_Noreturn void must_fail(const char *cond, const char *file, int line) {
    fprintf(stderr, "%s:%d: must(%s)\n", file, line, cond);
    abort();
}

static uint16_t weight_of(const struct setting *setting, uint32_t member) {
    static const uint16_t weights[] = {1, 2, 4};
    return setting->weights_differ ? weights[member % 3] : 1;
}

static uint32_t rack_of(const struct setting *setting, uint32_t member) {
    return setting->has_racks ? member % RACKS : 0;
}

// Quoit.

static void place_by_map(const struct setting *setting, uint32_t tokens, const struct state *before,
                         struct state *after) {
    static const char *const racks[RACKS] = {"a", "b", "c"};
    (void)tokens;
    struct map *map = &after->map;
    map->replication = COPIES;
    map->member_count = 0;
    for (uint32_t i = 0; i < POOL; i++) {
        if (!after->is_in[i]) continue;
        map->members[map->member_count++] = (struct map_member){
            .id = i + 1,
            .name = names[i],
            .host = names[i],
            .rack = setting->has_racks ? racks[rack_of(setting, i)] : "",
            .dc = "",
            .address = names[i],
            .port = 7379,
            .shards = 1,
            .weight = weight_of(setting, i),
        };
    }
    if (before == NULL) {
        map_propose(map);
    } else {
        map_propose_next(map, &before->map);
    }
    map_check(map);
    after->piece_count = map->run_count;
    after->copies = map->runs[0].replica_count;
    for (uint32_t i = 0; i < map->run_count; i++) {
        const struct map_run *run = &map->runs[i];
        must(run->replica_count == after->copies);
        after->pieces[i].begin = (uint64_t)run->first << SLOT_SHIFT;
        for (uint32_t j = 0; j < run->replica_count; j++) {
            uint64_t id = map->members[run->replicas[j].member].id;
            after->pieces[i].owners[j] = (uint16_t)(id - 1);
        }
    }
}

// Random tokens.

struct token {
    uint64_t at;
    uint16_t member;
};

static int compare_tokens(const void *a, const void *b) {
    uint64_t x = ((const struct token *)a)->at;
    uint64_t y = ((const struct token *)b)->at;
    return x < y ? -1 : x > y;
}

static bool has_owner(const struct piece *piece, uint32_t count, uint32_t member) {
    uint32_t i = 0;
    while (i < count && piece->owners[i] != member) i++;
    return i < count;
}

static void walk(const struct setting *setting, const struct token *tokens, uint32_t count,
                 uint32_t from, uint32_t racks, struct piece *piece) {
    must(count > 0);
    bool met[RACKS] = {false};
    uint32_t owners = 0;
    for (uint32_t lap = 0; owners < COPIES && lap < 2 * count; lap++) {
        uint16_t member = tokens[(from + lap) % count].member;
        uint32_t rack = rack_of(setting, member);
        // Once each rack is met, and in the second lap, any will do.
        bool may_repeat = owners >= racks || lap >= count;
        if ((met[rack] && !may_repeat) || has_owner(piece, owners, member)) continue;
        met[rack] = true;
        piece->owners[owners++] = member;
    }
    must(owners == COPIES);
}

static void place_by_tokens(const struct setting *setting, uint32_t tokens,
                            const struct state *before, struct state *after) {
    static struct token all[PIECES_MAX];
    bool has_rack[RACKS] = {false};
    uint32_t count = 0;
    uint32_t racks = 0;
    (void)before;
    for (uint32_t i = 0; i < POOL; i++) {
        if (!after->is_in[i]) continue;
        racks += !has_rack[rack_of(setting, i)];
        has_rack[rack_of(setting, i)] = true;
        for (uint32_t j = 0; j < tokens * weight_of(setting, i); j++) {
            must(count < PIECES_MAX - 1);
            uint64_t number = seed << 32 | (uint64_t)i << 16 | j;
            all[count++] = (struct token){hash_number(number + 1), (uint16_t)i};
        }
    }
    qsort(all, count, sizeof(all[0]), compare_tokens);
    after->copies = COPIES;
    after->piece_count = count + 1; // that of the first token goes over the end
    for (uint32_t i = 0; i <= count; i++) {
        after->pieces[i].begin = i == 0 ? 0 : all[i - 1].at;
        walk(setting, all, count, i % count, racks, &after->pieces[i]);
    }
}

// Redis Cluster.

// What each has too much, or too little, in slots. Parts are rounded down, and what is left over
// goes to those who have no more than theirs, one slot each in turn. False when all are so near to
// their parts, within 2 of 100, that nothing is done.
static bool find_surplus(const struct setting *setting, const struct state *after,
                         const uint32_t *has, int32_t *surplus) {
    uint32_t weights = 0;
    int32_t over = 0;
    bool is_due = false;
    for (uint32_t i = 0; i < POOL; i++) weights += after->is_in[i] ? weight_of(setting, i) : 0;
    for (uint32_t i = 0; i < POOL; i++) {
        uint32_t part = after->is_in[i] ? SLOT_COUNT * weight_of(setting, i) / weights : 0;
        uint32_t apart = has[i] > part ? has[i] - part : part - has[i];
        surplus[i] = (int32_t)has[i] - (int32_t)part;
        over += surplus[i];
        is_due |= has[i] > 0 ? 100 * apart > 2 * has[i] : part > 1;
    }
    while (is_due && over > 0) {
        for (uint32_t i = 0; i < POOL && over > 0; i++) {
            if (!after->is_in[i] || surplus[i] > 0) continue;
            surplus[i]--;
            over--;
        }
    }
    return is_due;
}

static void place_by_masters(const struct setting *setting, uint32_t tokens,
                             const struct state *before, struct state *after) {
    uint32_t has[POOL] = {0};
    int32_t surplus[POOL];
    (void)tokens;
    after->copies = 1;
    after->piece_count = SLOT_COUNT;
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) {
        struct piece *piece = &after->pieces[slot];
        // At first all is with the first one.
        *piece = (struct piece){.begin = (uint64_t)slot << SLOT_SHIFT};
        if (before != NULL) *piece = before->pieces[slot];
        has[piece->owners[0]]++;
    }
    if (!find_surplus(setting, after, has, surplus)) return;
    for (uint32_t slot = 0, to = 0; slot < SLOT_COUNT; slot++) {
        uint32_t from = after->pieces[slot].owners[0];
        if (surplus[from] <= 0) continue;
        while (to < POOL && surplus[to] >= 0) to++;
        if (to == POOL) break;
        surplus[from]--;
        surplus[to]++;
        after->pieces[slot].owners[0] = (uint16_t)to;
    }
}

// Figures.

static double size_of(uint64_t begin, uint64_t end) {
    return (double)(end - begin) / 0x1p64; // an end of 0 is that of the ring
}

static uint64_t end_of(const struct state *s, uint32_t piece) {
    return piece + 1 < s->piece_count ? s->pieces[piece + 1].begin : 0;
}

// What each holds, or is first for, in turns of the ring.
static void add_up(const struct state *s, uint32_t copies, double *held) {
    memset(held, 0, POOL * sizeof(held[0]));
    for (uint32_t i = 0; i < s->piece_count; i++) {
        double size = size_of(s->pieces[i].begin, end_of(s, i));
        for (uint32_t j = 0; j < copies; j++) held[s->pieces[i].owners[j]] += size;
    }
}

// What members get that they did not hold before.
static double moved_in(const struct state *before, const struct state *after) {
    double moved = 0;
    uint64_t begin = 0;
    for (uint32_t i = 0, j = 0; j < after->piece_count;) {
        uint64_t end_before = end_of(before, i);
        uint64_t end_after = end_of(after, j);
        uint64_t end = end_before - 1 < end_after - 1 ? end_before : end_after;
        const struct piece *now = &after->pieces[j];
        for (uint32_t k = 0; k < after->copies; k++) {
            bool had = has_owner(&before->pieces[i], before->copies, now->owners[k]);
            if (!had) moved += size_of(begin, end);
        }
        i += end == end_before;
        j += end == end_after;
        begin = end;
    }
    return moved;
}

// What each should hold: by weight, in each rack as much as in any other, but nobody holds anything
// twice. Who would have to is full, and the others hold the rest.
static void find_parts(const struct setting *setting, const struct state *s, uint32_t copies,
                       double *parts) {
    uint32_t racks = setting->has_racks && copies > 1 ? RACKS : 1;
    memset(parts, 0, POOL * sizeof(parts[0]));
    for (uint32_t rack = 0; rack < racks; rack++) {
        for (bool again = true; again;) {
            double left = (double)copies / racks;
            double weights = 0;
            again = false;
            for (uint32_t i = rack; i < POOL; i += racks) {
                if (s->is_in[i] && parts[i] < 1) weights += weight_of(setting, i);
                if (parts[i] >= 1) left -= 1;
            }
            for (uint32_t i = rack; i < POOL; i += racks) {
                if (!s->is_in[i] || parts[i] >= 1) continue;
                parts[i] = left * weight_of(setting, i) / weights;
                again |= parts[i] >= 1;
            }
        }
    }
}

static double fullest(const struct setting *setting, const struct state *s, uint32_t copies) {
    double held[POOL];
    double parts[POOL];
    double most = 0;
    add_up(s, copies, held);
    find_parts(setting, s, copies, parts);
    for (uint32_t i = 0; i < POOL; i++) {
        if (s->is_in[i] && held[i] / parts[i] > most) most = held[i] / parts[i];
    }
    return most;
}

static void state_init(struct state *s) {
    size_t size = map_memory_size(POOL);
    void *memory = aligned_alloc(64, (size + 63) / 64 * 64);
    s->pieces = calloc(PIECES_MAX, sizeof(s->pieces[0]));
    if (memory == NULL || s->pieces == NULL) abort();
    memset(memory, 0, size);
    struct arena arena = arena_over(memory, size);
    map_init(&s->map, &arena, POOL);
}

// The most that moves, of those who may come or go, over what must: the part of who comes, and what
// who goes has held. There is no going from as many members as copies.
static void change(const struct setting *setting, const struct scheme *scheme,
                   const struct state *now, struct state *next, uint32_t size, struct figures *f) {
    double held[POOL];
    double parts[POOL];
    memcpy(next->is_in, now->is_in, sizeof(next->is_in));
    for (uint32_t i = size; i < size + JOINERS; i++) {
        next->is_in[i] = true;
        scheme->place(setting, scheme->tokens, now, next);
        find_parts(setting, next, next->copies, parts);
        double join = moved_in(now, next) / parts[i];
        if (join > f->join) f->join = join;
        next->is_in[i] = false;
    }
    add_up(now, now->copies, held);
    for (uint32_t i = 0; i < LEAVERS && size > COPIES; i++) {
        uint32_t leaver = i * (size - 1) / (LEAVERS - 1);
        next->is_in[leaver] = false;
        scheme->place(setting, scheme->tokens, now, next);
        double leave = moved_in(now, next) / held[leaver];
        if (leave > f->leave) f->leave = leave;
        next->is_in[leaver] = true;
    }
}

static bool is_wanted(char **sizes, uint32_t size) {
    while (*sizes != NULL && strtoul(*sizes, NULL, 10) != size) sizes++;
    return *sizes != NULL;
}

// Through all sizes, under one seed. What comes to each figure is added.
static void measure(const struct setting *setting, const struct scheme *scheme, char **sizes,
                    struct figures *sums) {
    static struct state states[2];
    static struct state other;
    if (other.pieces == NULL) {
        state_init(&states[0]);
        state_init(&states[1]);
        state_init(&other);
    }
    for (uint32_t size = COPIES; size <= SIZE_LAST; size++) {
        bool wanted = is_wanted(sizes, size);
        if (!wanted && !scheme->grows) continue;
        struct state *now = &states[size % 2];
        struct state *before = &states[1 - size % 2];
        for (uint32_t i = 0; i < POOL; i++) now->is_in[i] = i < size;
        scheme->place(setting, scheme->tokens, scheme->grows && size > COPIES ? before : NULL, now);
        if (!wanted) continue;
        struct figures f = {.held = fullest(setting, now, now->copies),
                            .first = fullest(setting, now, 1)};
        change(setting, scheme, now, &other, size, &f);
        sums[size].held += f.held;
        sums[size].first += f.first;
        sums[size].join += f.join;
        sums[size].leave += f.leave;
    }
}

int main(int argc, char **argv) {
    static const struct setting settings[] = {
        {.name = "equal"},
        {.name = "racks", .has_racks = true},
        {.name = "weights", .weights_differ = true},
    };
    static const struct scheme schemes[] = {
        {"quoit", place_by_map, .seeds = 1, .knows_racks = true},
        {"grown", place_by_map, .seeds = 1, .knows_racks = true, .grows = true},
        {"tokens-16", place_by_tokens, .tokens = 16, .seeds = SEEDS, .knows_racks = true},
        {"tokens-256", place_by_tokens, .tokens = 256, .seeds = SEEDS, .knows_racks = true},
        {"redis", place_by_masters, .seeds = 1, .grows = true},
    };
    for (int i = 1; i < argc; i++) {
        unsigned long size = strtoul(argv[i], NULL, 10);
        if (size >= COPIES && size <= SIZE_LAST) continue;
        fprintf(stderr, "from %d to %d members, not %s\n", COPIES, SIZE_LAST, argv[i]);
        return 1;
    }
    for (uint32_t i = 0; i < POOL; i++) snprintf(names[i], sizeof(names[i]), "member-%04u", i);
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
        for (size_t j = 0; j < sizeof(schemes) / sizeof(schemes[0]); j++) {
            const struct scheme *s = &schemes[j];
            struct figures sums[SIZE_LAST + 1] = {0};
            if (settings[i].has_racks && !s->knows_racks) continue;
            for (seed = 1; seed <= s->seeds; seed++) measure(&settings[i], s, argv + 1, sums);
            for (uint32_t size = COPIES; size <= SIZE_LAST; size++) {
                const struct figures *f = &sums[size];
                if (!is_wanted(argv + 1, size)) continue;
                printf("%s %s %u %.4f %.4f %.4f %.4f\n", settings[i].name, s->name, size,
                       f->held / s->seeds, f->first / s->seeds, f->join / s->seeds,
                       f->leave / s->seeds);
            }
        }
    }
    return 0;
}
