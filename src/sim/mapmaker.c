// SPDX-License-Identifier: Apache-2.0
#include "sim/mapmaker.h"

#include "sim/memory.h"

void mapmaker_init(struct mapmaker *m, struct nemesis *nemesis, struct oracle *oracle) {
    *m = (struct mapmaker){
        .cluster = nemesis->cluster,
        .nemesis = nemesis,
        .oracle = oracle,
        .rng = world_stream(nemesis->cluster->world, 8),
    };
    m->has_changes = rng_chance(&m->rng, 1, 3);
    m->pause_ns = rng_spread(&m->rng, 50 * NS_PER_MS, 2 * NS_PER_SECOND);
}

static uint64_t now(const struct mapmaker *m) {
    return world_now(m->cluster->world);
}

static uint64_t hash_of(const struct map *map) {
    size_t size = map_encoded_size(map);
    uint8_t *bytes = memory_take(1, size);
    map_encode(map, bytes, size);
    uint64_t hash = hash_bytes((struct slice){bytes, size}, 0) | 1;
    memory_give(bytes);
    return hash;
}

// Nobody can tell what is right while a member has an older copy of its disk and does not know.
static bool may_judge(const struct mapmaker *m, uint64_t epoch) {
    bool has_healed = m->oracle->healed_at != UINT64_MAX;
    for (uint32_t i = 0; i < m->cluster->options.members; i++) {
        bool is_rolled_back = m->cluster->processes[i].rolled_back > 0;
        if (is_rolled_back && (!has_healed || epoch <= m->doubted)) return false;
    }
    return true;
}

// A new map in the history: no change that was not done may have made it, nor one that has made
// another.
static void check_author(struct mapmaker *m, uint64_t epoch, uint64_t author) {
    for (uint32_t i = 0; i < m->not_done_count; i++) {
        if (m->not_done[i] != author) continue;
        oracle_fail(m->oracle, "O27 map %llu is of a change that was certainly not done",
                    (unsigned long long)epoch);
    }
    for (uint64_t e = 2; e <= m->latest; e++) {
        if (e == epoch || m->epochs[e].author != author) continue;
        oracle_fail(m->oracle, "O27 maps %llu and %llu are of one change", (unsigned long long)e,
                    (unsigned long long)epoch);
    }
}

// O37, of a map that nobody was seen to have before.
static void check_members(struct mapmaker *m, const struct map *map) {
    uint32_t founders = m->cluster->options.members - m->cluster->options.newcomers;
    must(map->member_count <= CLUSTER_MEMBERS_MAX);
    for (uint32_t i = 0; i < map->member_count; i++) {
        uint64_t id = map->members[i].id;
        bool is_new = m->ids[i] == 0;
        if (is_new) m->ids[i] = id;
        m->counts.joined += is_new && i >= founders;
        if (m->ids[i] == id) continue;
        oracle_fail(m->oracle, "O37 map %llu has another member for number %u",
                    (unsigned long long)map->epoch, i);
    }
    for (uint64_t e = 1; e <= m->latest; e++) {
        uint32_t members = m->epochs[e].members;
        bool is_good = e < map->epoch ? members <= map->member_count : members >= map->member_count;
        if (m->epochs[e].map == 0 || e == map->epoch || is_good) continue;
        oracle_fail(m->oracle, "O37 map %llu has %u members, map %llu has %u",
                    (unsigned long long)e, members, (unsigned long long)map->epoch,
                    map->member_count);
    }
}

static void note(struct mapmaker *m, uint32_t member, const struct node *node) {
    const struct map *map = node_map(node);
    uint64_t epoch = map->epoch;
    const struct process *p = &m->cluster->processes[member];
    if (epoch == 0) return;
    must(epoch < MAPMAKER_EPOCHS_MAX);
    struct mapmaker_epoch *e = &m->epochs[epoch];
    uint64_t author = node_map_author(node);
    if (e->map == 0) {
        m->counts.maps++;
        if (epoch > m->latest) m->latest = epoch;
        bool is_made_by_another = e->author != 0 && e->author != author;
        *e = (struct mapmaker_epoch){author, hash_of(map), map->member_count};
        if (may_judge(m, epoch)) check_members(m, map);
        if (epoch > 1 && may_judge(m, epoch)) check_author(m, epoch, author);
        if (is_made_by_another && may_judge(m, epoch)) {
            oracle_fail(m->oracle, "O27 map %llu is not of the change that is said to have made it",
                        (unsigned long long)epoch);
        }
    } else if ((e->author != author || e->map != hash_of(map)) && may_judge(m, epoch)) {
        oracle_fail(m->oracle, "O27 n%u has another map %llu", member + 1,
                    (unsigned long long)epoch);
    }
    bool has_lost = p->bytes_lost > 0 && p->bytes_lost >= m->seen[member].at;
    if (epoch < m->seen[member].epoch && !has_lost) {
        oracle_fail(m->oracle, "O27 n%u goes back from map %llu to %llu", member + 1,
                    (unsigned long long)m->seen[member].epoch, (unsigned long long)epoch);
    }
    m->seen[member].epoch = epoch;
    m->seen[member].at = now(m);
}

void mapmaker_check(struct mapmaker *m) {
    for (uint32_t i = 0; i < m->cluster->options.members; i++) {
        if (cluster_is_serving(m->cluster, i)) note(m, i, cluster_node(m->cluster, i));
    }
}

// Of all moments, this one: for whoever was asked, or for somebody else.
static void on_bad_moment(void *context) {
    struct mapmaker_change *c = context;
    struct mapmaker *m = c->maker;
    uint32_t members = m->cluster->options.members;
    uint32_t member = rng_chance(&m->rng, 1, 2) ? c->member : rng_below(&m->rng, members);
    if (rng_chance(&m->rng, 1, 2) && nemesis_deafen(m->nemesis, member)) return;
    (void)nemesis_strike(m->nemesis, member, true);
}

static void strike_later(struct mapmaker_change *c, uint32_t within_ms) {
    struct mapmaker *m = c->maker;
    uint64_t moment = now(m) + rng_below(&m->rng, within_ms * 1000 + 1) * (NS_PER_MS / 1000);
    if (rng_chance(&m->rng, 1, 8)) world_at(m->cluster->world, moment, on_bad_moment, c);
}

// The map that it has made may be one that nobody was seen to have.
static void judge_done(struct mapmaker_change *c, const struct node *node) {
    struct mapmaker *m = c->maker;
    uint64_t epoch = c->change.instance;
    m->counts.done++;
    if (c->is_refused) oracle_fail(m->oracle, "O27 a change that does not apply was done");
    must(epoch > 1);
    must(epoch <= node_map(node)->epoch);
    bool is_latest = epoch == node_map(node)->epoch;
    bool is_right = !is_latest || node_map_author(node) == c->change.author;
    struct mapmaker_epoch *e = &m->epochs[epoch];
    if (may_judge(m, epoch)) {
        if (e->author == 0) e->author = c->change.author;
        is_right &= e->author == c->change.author;
        check_author(m, epoch, c->change.author);
    }
    if (is_right) return;
    oracle_fail(m->oracle, "O27 n%u: map %llu is not of the change that was done", c->member + 1,
                (unsigned long long)epoch);
}

static void judge_not_done(struct mapmaker_change *c) {
    struct mapmaker *m = c->maker;
    for (uint64_t e = 2; e <= m->latest; e++) {
        if (m->epochs[e].author != c->change.author) continue;
        oracle_fail(m->oracle, "O27 map %llu is of a change that was certainly not done",
                    (unsigned long long)e);
    }
    must(m->not_done_count < MAPMAKER_EPOCHS_MAX);
    m->not_done[m->not_done_count++] = c->change.author;
}

static void on_done(struct map_change *change) {
    struct mapmaker_change *c = CONTAINER_OF(change, struct mapmaker_change, change);
    struct mapmaker *m = c->maker;
    const struct node *node = m->cluster->processes[c->member].node;
    c->is_asked = false;
    note(m, c->member, node);
    enum status status = change->status;
    m->counts.refused += status == ST_INVALID;
    m->counts.not_done += status != ST_OK && status != ST_TIMEOUT && status != ST_INVALID;
    if (status == ST_OK) {
        judge_done(c, node);
        strike_later(c, 20);
    } else if (status != ST_TIMEOUT) {
        judge_not_done(c);
    }
    bool has_healed = m->oracle->healed_at != UINT64_MAX;
    if (has_healed && status != (c->is_refused ? ST_INVALID : ST_OK)) {
        oracle_fail(m->oracle, "O14 n%u cannot change the map of a healed cluster: %s",
                    c->member + 1, status_text(status));
    }
}

static bool apply(struct map_change *change, struct map *next) {
    (void)next;
    return !CONTAINER_OF(change, struct mapmaker_change, change)->is_refused;
}

static void ask(struct mapmaker *m, uint32_t member, struct mapmaker_change *c) {
    struct process *p = &m->cluster->processes[member];
    *c = (struct mapmaker_change){
        .change = {.apply = apply, .done = on_done},
        .maker = m,
        .member = member,
        .life = p->starts,
        .is_asked = true,
        .is_refused = rng_chance(&m->rng, 1, 10),
    };
    machine_enter(p->machine);
    node_change_map(p->node, &c->change);
    machine_leave(p->machine);
}

static bool is_under_way(const struct mapmaker *m, const struct mapmaker_change *c) {
    const struct process *p = &m->cluster->processes[c->member];
    return c->is_asked && c->life == p->starts && p->state != PROCESS_DOWN;
}

static void on_pause(void *context) {
    struct mapmaker *m = context;
    if (m->is_over) return;
    mapmaker_check(m);
    uint32_t member = rng_below(&m->rng, m->cluster->options.members);
    struct mapmaker_change *c = &m->changes[member][rng_below(&m->rng, MAPMAKER_CHANGES)];
    bool is_free = !is_under_way(m, c);
    const struct machine *machine = m->cluster->processes[member].machine;
    if (is_free && cluster_is_serving(m->cluster, member) && !machine_is_paused(machine) &&
        m->latest + 64 < MAPMAKER_EPOCHS_MAX && m->not_done_count + 64 < MAPMAKER_EPOCHS_MAX) {
        m->counts.cut_short += c->is_asked;
        ask(m, member, c);
        strike_later(c, 60);
    }
    uint64_t pause = m->pause_ns / 2 + rng_next(&m->rng) % m->pause_ns;
    world_at(m->cluster->world, now(m) + pause, on_pause, m);
}

void mapmaker_start(struct mapmaker *m) {
    if (!m->has_changes) return;
    world_at(m->cluster->world, now(m) + m->pause_ns, on_pause, m);
}

void mapmaker_stop(struct mapmaker *m) {
    m->is_over = true;
}

void mapmaker_work(struct mapmaker *m) {
    mapmaker_check(m);
    m->doubted = m->latest;
    if (!m->has_changes) return;
    for (uint32_t i = 0; i < m->cluster->options.members; i++) ask(m, i, &m->changes[i][0]);
}

bool mapmaker_is_idle(const struct mapmaker *m) {
    for (uint32_t i = 0; i < m->cluster->options.members; i++) {
        for (uint32_t j = 0; j < MAPMAKER_CHANGES; j++) {
            if (is_under_way(m, &m->changes[i][j])) return false;
        }
    }
    return true;
}
