// SPDX-License-Identifier: Apache-2.0
//
// Disks that are lost for good, and the operator who has them replaced.
//
// A disk is lost, the next one not before all members are whole; then the member comes back with an
// empty one, as a stranger. Sooner or later an operator says to some member that it takes the place
// of the other; now and then he says so of one that is well. Some time after, the lost disk turns
// up again, in a machine of its own.
//
//     O36 a stranger serves nothing, and is up to nobody, before an operator was asked for it; a
//         member that is well is never replaced; a directory that was is never at work again
#include "sim/disk.h"
#include "sim/nemesis.h"

#define LOOK_NS (100 * NS_PER_MS)
#define STALE_NS (8 * NS_PER_SECOND) // until a connection to who has ended is given up

enum { LOSSES_MAX = 3 };

static struct process *process_of(const struct nemesis *n, uint32_t member) {
    return &n->cluster->processes[member];
}

static void complain(struct nemesis *n, const char *what) {
    if (n->complaint == NULL) n->complaint = what;
}

static uint64_t storage_of(const struct process *p) {
    return store_actor(node_store(p->node)).storage;
}

static bool is_waiting(const struct process *p) {
    return p->state == PROCESS_UP && node_is_stranger(p->node);
}

// Losing.

bool replace_may_lose(const struct nemesis *n) {
    if (n->counts[TROUBLE_WIPE] == 0) return cluster_is_serving(n->cluster, n->victim);
    if (n->counts[TROUBLE_WIPE] == LOSSES_MAX) return false;
    for (uint32_t i = 0; i < n->cluster->options.members; i++) {
        if (!cluster_is_serving(n->cluster, i)) return false;
        const struct node *node = cluster_node(n->cluster, i);
        if (node_member(node, i)->state != MEMBER_SERVING) return false;
        if (node_map(node)->members[i].storage != storage_of(process_of(n, i))) return false;
    }
    return true;
}

void replace_note_maps(struct nemesis *n) {
    for (uint32_t i = 0; i < n->cluster->options.members; i++) {
        const struct node *node = cluster_node(n->cluster, i);
        if (node == NULL) continue;
        const struct map *map = node_map(node);
        n->replacing.has_map[i] = map->epoch > 0;
        n->replacing.names_all[i] =
            map->epoch > 0 && map->member_count == n->cluster->options.members;
    }
}

// A directory that no other member knows of is made up for by any other: it may have founded a
// cluster and told nobody.
static bool is_known_to_others(const struct nemesis *n, uint32_t member) {
    bool has_seeds = n->cluster->processes[member].has_seeds;
    for (uint32_t i = 0; i < n->cluster->options.members; i++) {
        const bool *knows = has_seeds ? n->replacing.names_all : n->replacing.has_map;
        if (i != member && knows[i]) return true;
    }
    return false;
}

bool replace_is_unfit(const struct nemesis *n, uint32_t member) {
    const struct process *p = &n->cluster->processes[member];
    bool waits = p->state == PROCESS_UP && node_state(p->node) == NODE_FOUNDING;
    if (!p->has_seeds || !waits || p->bytes_lost == 0) return false;
    return !node_is_blank(p->node) && !is_known_to_others(n, member);
}

void replace_lose(struct nemesis *n, uint32_t member) {
    struct process *p = process_of(n, member);
    replace_note_maps(n);
    if (n->replacing.lost == NULL && p->bytes_lost == 0) {
        n->replacing.lost = disk_copy(machine_disk(p->machine));
        n->replacing.lost_of = member;
    }
    machine_wipe(p->machine);
    p->bytes_lost = world_now(n->cluster->world);
    p->is_stranger = is_known_to_others(n, member);
    p->is_ordered = false;
    p->starts_lost = p->starts;
}

// The operator.

static void on_replaced(struct replacement *r) {
    struct replace_order *o = CONTAINER_OF(r, struct replace_order, replacement);
    struct nemesis *n = o->nemesis;
    o->is_asked = false;
    bool is_done = r->outcome == REPLACE_DONE;
    if (is_done && !o->is_needed) complain(n, "O36 a member that is well was replaced");
    n->replacing.done += is_done;
    n->replacing.refused += !is_done;
}

static bool is_under_way(const struct nemesis *n, uint32_t by) {
    const struct replace_order *o = &n->replacing.orders[by];
    const struct process *p = process_of(n, by);
    return o->is_asked && o->life == p->starts && p->state != PROCESS_DOWN;
}

static void order(struct nemesis *n, uint32_t by, uint32_t member) {
    struct process *p = process_of(n, by);
    struct replace_order *o = &n->replacing.orders[by];
    bool may_be_asked = cluster_is_serving(n->cluster, by) && !machine_is_paused(p->machine);
    if (by == member || !may_be_asked || is_under_way(n, by)) return;
    *o = (struct replace_order){.nemesis = n, .member = member, .life = p->starts};
    o->replacement.done = on_replaced;
    o->is_asked = true;
    o->is_needed = process_of(n, member)->is_stranger;
    process_of(n, member)->is_ordered = true;
    machine_enter(p->machine);
    node_replace(p->node, slice_of_string(process_of(n, member)->name), &o->replacement);
    machine_leave(p->machine);
}

static void attend(struct nemesis *n, bool is_hasty) {
    struct rng *rng = &n->replacing.rng;
    uint32_t members = n->cluster->options.members;
    for (uint32_t i = 0; i < members; i++) {
        struct process *p = process_of(n, i);
        if (!is_waiting(p)) continue;
        // A newcomer may have lost its disk while it was being admitted.
        p->is_stranger |= p->has_seeds && p->bytes_lost > 0;
        n->replacing.waited++;
        if (is_hasty || rng_chance(rng, 1, n->replacing.patience))
            order(n, rng_below(rng, members), i);
    }
}

// The one whose disk is being lost may not be told from the others: to say of it that it is to be
// replaced is no mistake.
static void err(struct nemesis *n) {
    uint32_t members = n->cluster->options.members;
    uint32_t member = rng_below(&n->replacing.rng, members);
    if (process_of(n, member)->is_stranger) return;
    bool was_ordered = process_of(n, member)->is_ordered;
    order(n, rng_below(&n->replacing.rng, members), member);
    process_of(n, member)->is_ordered = was_ordered;
}

// The disk that was lost.

static void on_return(struct nemesis *n) {
    uint32_t copy = n->cluster->options.members;
    const struct process *p = process_of(n, n->replacing.lost_of);
    bool is_time = n->replacing.lost != NULL && n->replacing.returned == 0 &&
                   cluster_is_serving(n->cluster, p->index) && !p->is_stranger &&
                   node_map(p->node)->members[p->index].storage == storage_of(p);
    if (!is_time || n->amnesia.clone_started != 0 || !rng_chance(&n->replacing.rng, 1, 20)) return;
    cluster_add_copy(n->cluster, n->replacing.lost_of);
    machine_restore(process_of(n, copy)->machine, n->replacing.lost);
    n->replacing.returned = world_now(n->cluster->world);
    cluster_start(n->cluster, copy);
}

static void watch_returned(struct nemesis *n) {
    uint32_t copy = n->cluster->options.members;
    if (n->replacing.returned == 0 || nemesis_is_down(n, copy)) return;
    const struct node *node = cluster_node(n->cluster, copy);
    if (node == NULL || !node_is_ousted(node)) return;
    n->replacing.ousted++;
    cluster_kill(n->cluster, copy);
}

// O36.

static void check_stranger(struct nemesis *n, struct process *p) {
    if (p->state != PROCESS_UP) return;
    bool is_new_life = p->starts > p->starts_lost;
    bool serves = node_state(p->node) == NODE_SERVING;
    if (is_new_life && serves && !p->is_ordered) complain(n, "O36 a stranger serves");
    if (is_new_life && serves && p->is_ordered) p->is_stranger = false;
    uint64_t storage = storage_of(p);
    uint64_t now = world_now(n->cluster->world);
    for (uint32_t i = 0; i < n->cluster->options.members; i++) {
        const struct node *node = cluster_node(n->cluster, i);
        if (i == p->index || !cluster_is_serving(n->cluster, i)) continue;
        if (node_map(node)->member_count <= p->index) continue; // it has not joined yet
        bool is_named = node_map(node)->members[p->index].storage == storage;
        if (is_named && !p->is_ordered) complain(n, "O36 a map names a stranger");
        // Its time to give a connection up is that in which it runs.
        uint64_t since = n->replacing.paused[i];
        if (since < p->bytes_lost) since = p->bytes_lost;
        if (now - since < STALE_NS || is_named) continue;
        if (node_member_is_up(node, p->index)) complain(n, "O36 a stranger is up to a member");
    }
}

static void look(struct nemesis *n) {
    for (uint32_t i = 0; i < n->cluster->options.members; i++) {
        bool is_paused = machine_is_paused(process_of(n, i)->machine);
        if (is_paused) n->replacing.paused[i] = world_now(n->cluster->world);
    }
    for (uint32_t i = 0; i < n->cluster->options.members; i++) {
        if (process_of(n, i)->is_stranger) check_stranger(n, process_of(n, i));
    }
    watch_returned(n);
}

static void on_look(void *context) {
    struct nemesis *n = context;
    if (n->is_over) return;
    look(n);
    attend(n, false);
    if (rng_chance(&n->replacing.rng, 1, 200)) err(n);
    on_return(n);
    nemesis_at(n, LOOK_NS, on_look);
}

void replace_start(struct nemesis *n) {
    n->replacing.rng = world_stream(n->cluster->world, 14);
    n->replacing.patience = 1 + rng_below(&n->replacing.rng, 40);
    if (n->has[TROUBLE_WIPE] || n->has[TROUBLE_DAMAGE]) nemesis_at(n, LOOK_NS, on_look);
}

void replace_attend(struct nemesis *n) {
    look(n);
    attend(n, true);
}

void replace_end(struct nemesis *n) {
    uint32_t copy = n->cluster->options.members;
    if (n->replacing.returned != 0 && !nemesis_is_down(n, copy)) cluster_kill(n->cluster, copy);
}

void replace_free(struct nemesis *n) {
    if (n->replacing.lost != NULL) disk_destroy(n->replacing.lost);
}
