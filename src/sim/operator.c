// SPDX-License-Identifier: Apache-2.0
#include "sim/operator.h"

#include "base/text.h"
#include "sim/backup.h"
#include "sim/disk.h"

#include <stdio.h>

static const char *const names[OPERATOR_NAMES] = {"a", "b", "c"};

void operator_init(struct operator* op, struct cluster *cluster, struct oracle *oracle) {
    *op = (struct operator){
        .cluster = cluster,
        .oracle = oracle,
        .rng = world_stream(cluster->world, 5),
    };
    for (uint32_t i = 0; i < CLUSTER_MEMBERS_MAX; i++) op->members[i].operator= op;
    op->is_over = !rng_chance(&op->rng, 1, 3);
    op->pause_ns = rng_spread(&op->rng, 20 * NS_PER_MS, 2 * NS_PER_SECOND);
}

static struct process *process_of(const struct operator* op, const struct operator_member *m) {
    return &op->cluster->processes[m - op->members];
}

static bool has_manifest(struct process *p, const char *name) {
    char file[ENV_FILE_NAME_MAX + 1];
    (void)snprintf(file, sizeof(file), "snapshot-%s.manifest", name);
    return disk_find(machine_disk(p->machine), file) != NULL;
}

static void check(struct operator* op, struct operator_member *m, uint32_t name) {
    struct process *p = process_of(op, m);
    if (p->bytes_lost > 0) return;
    if (!has_manifest(p, names[name])) {
        if (m->states[name] == BACKUP_MADE) {
            oracle_fail(op->oracle, "O20 %s: snapshot %s is gone", p->name, names[name]);
        }
        return;
    }
    const char *wrong = backup_check(machine_disk(p->machine), names[name], &op->store);
    op->counts.checked++;
    if (wrong != NULL)
        oracle_fail(op->oracle, "O20 %s: snapshot %s: %s", p->name, names[name], wrong);
}

static void on_answered(void *context, enum status status) {
    struct operator_member *m = context;
    m->is_asked = false;
    if (status != ST_OK) {
        m->states[m->asked] = BACKUP_UNKNOWN;
        return;
    }
    m->states[m->asked] = m->deletes ? BACKUP_NONE : BACKUP_MADE;
    if (m->deletes) {
        m->operator->counts.deleted++;
    } else {
        m->operator->counts.made++;
    }
}

static void ask(struct operator* op, struct operator_member *m, struct node *node) {
    struct process *p = process_of(op, m);
    op->store = node_options(node)->store;
    m->asked = rng_below(&op->rng, OPERATOR_NAMES);
    m->deletes = has_manifest(p, names[m->asked]);
    m->life = p->starts;
    struct slice name = slice_of_string(names[m->asked]);
    machine_enter(p->machine);
    enum status status = m->deletes ? node_snapshot_delete(node, name, on_answered, m)
                                    : node_snapshot_make(node, name, on_answered, m);
    machine_leave(p->machine);
    if (status != ST_OK) return;
    m->is_asked = true;
    m->states[m->asked] = BACKUP_UNKNOWN;
}

static void on_pause(void *context) {
    struct operator* op = context;
    if (op->is_over) return;
    struct operator_member *m = &op->members[rng_below(&op->rng, op->cluster->options.members)];
    struct process *p = process_of(op, m);
    uint32_t index = p->index;
    if (m->is_asked && m->life != p->starts) {
        m->is_asked = false;
        op->counts.cut_short++;
    }
    if (p->state == PROCESS_DOWN && p->starts > 0 && op->counts.made > 0) {
        check(op, m, rng_below(&op->rng, OPERATOR_NAMES));
    } else if (cluster_is_serving(op->cluster, index) && !m->is_asked &&
               !machine_is_paused(p->machine)) {
        ask(op, m, cluster_node(op->cluster, index));
    }
    world_at(op->cluster->world, world_now(op->cluster->world) + op->pause_ns, on_pause, op);
}

void operator_start(struct operator* op) {
    if (op->is_over) return;
    world_at(op->cluster->world, world_now(op->cluster->world) + op->pause_ns, on_pause, op);
}

void operator_stop(struct operator* op) {
    op->is_over = true;
}

void operator_check_all(struct operator* op) {
    if (op->counts.made == 0) return;
    for (uint32_t i = 0; i < op->cluster->options.members; i++) {
        for (uint32_t name = 0; name < OPERATOR_NAMES; name++) check(op, &op->members[i], name);
    }
}
