// SPDX-License-Identifier: Apache-2.0
//
// Disks that are older than they should be, or of somebody else. Each comes once in a run, if at
// all, and draws from random numbers of its own.
#include "sim/disk.h"
#include "sim/nemesis.h"

#define LOOK_NS (100 * NS_PER_MS)

static uint64_t world_time(const struct nemesis *n) {
    return world_now(n->cluster->world);
}

static uint64_t up_to(struct nemesis *n, uint64_t seconds) {
    return rng_spread(&n->amnesia.rng, 100 * NS_PER_MS, seconds * NS_PER_SECOND);
}

static struct process *victim_of(const struct nemesis *n) {
    return &n->cluster->processes[n->victim];
}

// What was acknowledged there, and what was answered from now on, may be wrong.
static void doubt(const struct nemesis *n) {
    victim_of(n)->bytes_lost = victim_of(n)->rolled_back = world_time(n);
}

// Rolling back.

static void on_rollback(void *context) {
    struct nemesis *n = context;
    if (n->is_over) return;
    nemesis_end(n, n->victim);
    machine_restore(victim_of(n)->machine, n->amnesia.copy);
    doubt(n);
    n->counts[TROUBLE_ROLLBACK]++;
}

static void on_copy(void *context) {
    struct nemesis *n = context;
    if (n->is_over || !cluster_is_serving(n->cluster, n->victim)) return;
    n->amnesia.copy = disk_copy(machine_disk(victim_of(n)->machine));
    nemesis_at(n, up_to(n, 20), on_rollback);
}

// Swapping: neither may go to work with the disk of the other.

static struct process *swapped(const struct nemesis *n, uint32_t which) {
    return &n->cluster->processes[(n->victim + which) % n->cluster->options.members];
}

static void exchange_disks(struct nemesis *n) {
    for (uint32_t i = 0; i < 2; i++) nemesis_end(n, swapped(n, i)->index);
    struct machine *a = swapped(n, 0)->machine;
    struct machine *b = swapped(n, 1)->machine;
    struct disk *copies[2] = {disk_copy(machine_disk(a)), disk_copy(machine_disk(b))};
    machine_restore(a, copies[1]);
    machine_restore(b, copies[0]);
    for (uint32_t i = 0; i < 2; i++) disk_destroy(copies[i]);
    n->amnesia.is_swapped = !n->amnesia.is_swapped;
    for (uint32_t i = 0; i < 2; i++) swapped(n, i)->is_misplaced = n->amnesia.is_swapped;
}

static void swap_back(struct nemesis *n) {
    if (!n->amnesia.is_swapped) return;
    for (uint32_t i = 0; i < 2; i++) {
        if (swapped(n, i)->was_misled) {
            n->complaint = "O12 a member went to work with the disk of another";
        }
    }
    exchange_disks(n);
}

static void on_swap_end(void *context) {
    swap_back(context);
}

static void on_refusals(void *context) {
    struct nemesis *n = context;
    if (!n->amnesia.is_swapped) return;
    for (uint32_t i = 0; i < 2; i++) {
        const struct process *p = swapped(n, i);
        bool is_refused = p->state == PROCESS_STARTING && p->start_status == ST_INVALID;
        if (is_refused && !n->amnesia.was_refused[i]) n->counts[TROUBLE_SWAP]++;
        n->amnesia.was_refused[i] |= is_refused;
    }
    nemesis_at(n, LOOK_NS, on_refusals);
}

static void on_swap(void *context) {
    struct nemesis *n = context;
    if (n->is_over) return;
    for (uint32_t i = 0; i < 2; i++) {
        if (cluster_is_serving(n->cluster, swapped(n, i)->index)) continue;
        nemesis_at(n, LOOK_NS, on_swap); // a map is what tells whose disk it is
        return;
    }
    exchange_disks(n);
    nemesis_at(n, LOOK_NS, on_refusals);
    nemesis_at(n, up_to(n, 20), on_swap_end);
}

// Cloning: a process of the same name, with a copy of the disk, on a machine of its own.

static void end_clone(struct nemesis *n) {
    uint32_t clone = n->cluster->options.members;
    if (n->amnesia.clone_started == 0 || nemesis_is_down(n, clone)) return;
    cluster_kill(n->cluster, clone);
}

static void on_clone_watched(void *context) {
    struct nemesis *n = context;
    uint32_t clone = n->cluster->options.members;
    const struct node *node = cluster_node(n->cluster, clone);
    if (n->is_over || nemesis_is_down(n, clone)) return;
    if (node != NULL && node_is_ousted(node)) {
        end_clone(n);
        return;
    }
    nemesis_at(n, LOOK_NS, on_clone_watched);
}

static void on_clone(void *context) {
    struct nemesis *n = context;
    if (n->is_over) return;
    if (!cluster_is_serving(n->cluster, n->victim)) {
        nemesis_at(n, LOOK_NS, on_clone);
        return;
    }
    uint32_t clone = n->cluster->options.members;
    cluster_add_copy(n->cluster, n->victim);
    machine_restore(n->cluster->processes[clone].machine, machine_disk(victim_of(n)->machine));
    doubt(n);
    n->amnesia.clone_started = world_time(n);
    cluster_start(n->cluster, clone);
    n->counts[TROUBLE_CLONE]++;
    nemesis_at(n, LOOK_NS, on_clone_watched);
}

void amnesia_start(struct nemesis *n) {
    if (n->has[TROUBLE_ROLLBACK]) nemesis_at(n, up_to(n, 5), on_copy);
    if (n->has[TROUBLE_SWAP]) nemesis_at(n, up_to(n, 5), on_swap);
    if (n->has[TROUBLE_CLONE]) nemesis_at(n, up_to(n, 5), on_clone);
}

void amnesia_end(struct nemesis *n) {
    swap_back(n);
    end_clone(n);
}
