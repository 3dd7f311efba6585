// SPDX-License-Identifier: Apache-2.0
#include "sim/keeper.h"

#include "base/text.h"
#include "sim/backup.h"
#include "sim/disk.h"

#include <stdio.h>

static const char *const names[KEEPER_NAMES] = {"a", "b", "c"};

void keeper_init(struct keeper *k, struct nemesis *nemesis, struct oracle *oracle) {
    *k = (struct keeper){
        .cluster = nemesis->cluster,
        .nemesis = nemesis,
        .oracle = oracle,
        .rng = world_stream(nemesis->cluster->world, 5),
    };
    for (uint32_t i = 0; i < CLUSTER_MEMBERS_MAX; i++) k->members[i].keeper = k;
    k->is_over = !rng_chance(&k->rng, 1, 3);
    k->pause_ns = rng_spread(&k->rng, 20 * NS_PER_MS, 2 * NS_PER_SECOND);
}

static struct process *process_of(const struct keeper *k, const struct keeper_member *m) {
    return &k->cluster->processes[m - k->members];
}

static bool has_manifest(struct process *p, const char *name) {
    char file[ENV_FILE_NAME_MAX + 1];
    (void)snprintf(file, sizeof(file), "snapshot-%s.manifest", name);
    return disk_find(machine_disk(p->machine), file) != NULL;
}

static void check(struct keeper *k, struct keeper_member *m, uint32_t name) {
    struct process *p = process_of(k, m);
    if (p->bytes_lost > 0 || p->is_misplaced) return;
    if (!has_manifest(p, names[name])) {
        if (m->states[name] == BACKUP_MADE) {
            oracle_fail(k->oracle, "O23 %s: snapshot %s is gone", p->name, names[name]);
        }
        return;
    }
    const char *wrong = backup_check(machine_disk(p->machine), names[name], &k->store);
    k->counts.checked++;
    if (wrong == NULL) return;
    oracle_fail(k->oracle, "O23 %s: snapshot %s: %s", p->name, names[name], wrong);
}

static void on_answered(void *context, enum status status) {
    struct keeper_member *m = context;
    m->is_asked = false;
    if (status != ST_OK) {
        m->states[m->asked] = BACKUP_UNKNOWN;
        return;
    }
    m->states[m->asked] = m->deletes ? BACKUP_NONE : BACKUP_MADE;
    if (m->deletes) {
        m->keeper->counts.deleted++;
    } else {
        m->keeper->counts.made++;
    }
}

// Of all moments, this one.
static void on_bad_moment(void *context) {
    struct keeper_member *m = context;
    struct keeper *k = m->keeper;
    bool by_power = rng_chance(&k->rng, 1, 2);
    if (m->is_asked && nemesis_strike(k->nemesis, process_of(k, m)->index, by_power)) {
        check(k, m, m->asked);
    }
}

static void ask(struct keeper *k, struct keeper_member *m, struct node *node) {
    struct process *p = process_of(k, m);
    k->store = node_options(node)->store;
    m->asked = rng_below(&k->rng, KEEPER_NAMES);
    m->deletes = has_manifest(p, names[m->asked]);
    m->life = p->starts;
    struct slice name = slice_of_string(names[m->asked]);
    machine_enter(p->machine);
    enum status status = m->deletes ? node_snapshot_delete(node, name, on_answered, m)
                                    : node_snapshot_make(node, name, on_answered, m);
    machine_leave(p->machine);
    if (status != ST_OK) return;
    m->is_asked = true;
    uint64_t moment = world_now(k->cluster->world) + rng_below(&k->rng, 60) * NS_PER_MS;
    if (rng_chance(&k->rng, 1, 6)) world_at(k->cluster->world, moment, on_bad_moment, m);
    m->states[m->asked] = BACKUP_UNKNOWN;
}

static void on_pause(void *context) {
    struct keeper *k = context;
    if (k->is_over) return;
    struct keeper_member *m = &k->members[rng_below(&k->rng, k->cluster->options.members)];
    struct process *p = process_of(k, m);
    uint32_t index = p->index;
    if (m->is_asked && m->life != p->starts) {
        m->is_asked = false;
        k->counts.cut_short++;
    }
    if (p->state == PROCESS_DOWN && p->starts > 0 && k->counts.made > 0) {
        check(k, m, rng_below(&k->rng, KEEPER_NAMES));
    } else if (p->state == PROCESS_STARTING && rng_chance(&k->rng, 1, 3)) {
        (void)nemesis_strike(k->nemesis, index, true); // what a kill left behind is being removed
    } else if (cluster_is_serving(k->cluster, index) && !m->is_asked &&
               !machine_is_paused(p->machine)) {
        ask(k, m, cluster_node(k->cluster, index));
    }
    world_at(k->cluster->world, world_now(k->cluster->world) + k->pause_ns, on_pause, k);
}

void keeper_start(struct keeper *k) {
    if (k->is_over) return;
    world_at(k->cluster->world, world_now(k->cluster->world) + k->pause_ns, on_pause, k);
}

void keeper_stop(struct keeper *k) {
    k->is_over = true;
}

void keeper_check_all(struct keeper *k) {
    if (k->counts.made == 0) return;
    for (uint32_t i = 0; i < k->cluster->options.members; i++) {
        for (uint32_t name = 0; name < KEEPER_NAMES; name++) check(k, &k->members[i], name);
    }
}
