// SPDX-License-Identifier: Apache-2.0
#include "sim/watcher.h"

// After healing: what was on its way arrives within 2 seconds, a connection that says nothing is
// given up after 3 and a round, and dialled anew.
#define UP_WITHIN_NS (8 * NS_PER_SECOND)
// From the last sign of life until the connection is given up.
#define GONE_WITHIN_NS (4 * NS_PER_SECOND)
// For whoever has just come, or come back, to be known.
#define KNOWN_WITHIN_NS (8 * NS_PER_SECOND)

void watcher_init(struct watcher *w, const struct nemesis *nemesis, struct oracle *oracle) {
    *w = (struct watcher){.nemesis = nemesis, .oracle = oracle};
    static const enum trouble rough[] = {TROUBLE_NETWORK, TROUBLE_BAD_DISK, TROUBLE_SWAP,
                                         TROUBLE_CLONE};
    for (size_t i = 0; i < sizeof(rough) / sizeof(rough[0]); i++) {
        w->is_rough |= nemesis->has[rough[i]];
    }
}

static const struct cluster *cluster_of(const struct watcher *w) {
    return w->nemesis->cluster;
}

void watcher_calm(struct watcher *w) {
    w->calm_since = world_now(cluster_of(w)->world);
}

static bool is_whole(const struct cluster *c) {
    for (uint32_t i = 0; i < c->options.members; i++) {
        for (uint32_t j = 0; j < c->options.members; j++) {
            if (i == j) continue;
            if (!world_has_link(c->world, c->processes[i].machine, c->processes[j].machine))
                return false;
        }
    }
    return true;
}

static void keep(uint64_t *since, bool is_so, uint64_t now) {
    if (!is_so) {
        *since = 0;
    } else if (*since == 0) {
        *since = now;
    }
}

static bool has_been(uint64_t since, uint64_t ns, uint64_t now) {
    return since != 0 && now - since >= ns;
}

static void look_at(struct watched *m, const struct process *p, bool is_serving, uint64_t now) {
    if (m->starts != p->starts) *m = (struct watched){.starts = p->starts};
    bool is_paused = machine_is_paused(p->machine);
    keep(&m->gone_since, p->state == PROCESS_DOWN || is_paused, now);
    // It may have run for a moment since the last look.
    uint64_t away_since = machine_away_since(p->machine);
    if (m->gone_since != 0 && m->gone_since < away_since) m->gone_since = away_since;
    keep(&m->serving_since, is_serving, now);
    keep(&m->well_since, is_serving && !is_paused, now);
}

static void judge(struct watcher *w, uint32_t from, uint32_t to, uint64_t now) {
    const struct cluster *c = cluster_of(w);
    const struct watched *looks = &w->members[from];
    const struct watched *other = &w->members[to];
    const struct node *node = cluster_node(c, from);
    uint32_t index = map_find_name(node_map(node), slice_of_string(c->processes[to].name));
    if (index == node_map(node)->members_max) return; // it has joined since, or will
    struct node_view view = node_view(node, index);
    bool is_whole_long = has_been(w->whole_since, UP_WITHIN_NS, now);
    const char *what = NULL;
    if (has_been(w->calm_since, UP_WITHIN_NS, now) && is_whole_long &&
        has_been(looks->well_since, UP_WITHIN_NS, now) &&
        has_been(other->well_since, UP_WITHIN_NS, now)) {
        w->counts.up++;
        if (view.verdict != VERDICT_UP) what = "a: is not up";
    }
    if (is_whole_long && has_been(looks->well_since, GONE_WITHIN_NS, now) &&
        has_been(other->gone_since, GONE_WITHIN_NS, now)) {
        w->counts.gone++;
        if (view.verdict == VERDICT_UP) what = "b: is up";
    }
    if (!w->is_rough && is_whole_long && has_been(looks->serving_since, KNOWN_WITHIN_NS, now) &&
        has_been(other->well_since, KNOWN_WITHIN_NS, now)) {
        w->counts.well++;
        if (view.verdict == VERDICT_DOWN) what = "c: is down";
    }
    if (what == NULL) return;
    oracle_fail(w->oracle, "O30 %s: n%u to n%u, phi=%u doubt=%u silence=%llu ms", what, to + 1,
                from + 1, view.level, node_doubt(node),
                (unsigned long long)(view.silence_ns / NS_PER_MS));
}

void watcher_look(struct watcher *w) {
    const struct cluster *c = cluster_of(w);
    uint64_t now = world_now(c->world);
    keep(&w->whole_since, is_whole(c), now);
    for (uint32_t i = 0; i < c->options.members; i++) {
        look_at(&w->members[i], &c->processes[i], cluster_is_serving(c, i), now);
    }
    for (uint32_t from = 0; from < c->options.members; from++) {
        if (w->members[from].well_since == 0) continue;
        for (uint32_t to = 0; to < c->options.members; to++) {
            if (to != from) judge(w, from, to, now);
        }
    }
}
