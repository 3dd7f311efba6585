// SPDX-License-Identifier: Apache-2.0
#include "node/roots.h"

#include "base/bitmap.h"
#include "node/internal.h"

static_assert(MEMBERS_MAX < ROOTS_NO_ROW, "each member can have a row");

static const uint64_t no_branches[SLOT_GROUPS];

size_t roots_memory_size(uint32_t members_max) {
    return (size_t)members_max * (SLOT_GROUPS * sizeof(uint64_t) + sizeof(uint16_t)) + 128;
}

void roots_init(struct node *node, struct arena *arena) {
    size_t count = (size_t)node->options.members_max * SLOT_GROUPS;
    node->roots.branches = ARENA_ARRAY(arena, uint64_t, count);
    node->roots.row_of = ARENA_ARRAY(arena, uint16_t, node->options.members_max);
}

static void add_row(struct roots *roots, uint32_t member) {
    if (roots->row_of[member] == ROOTS_NO_ROW) roots->row_of[member] = (uint16_t)roots->row_count++;
}

void roots_on_map(struct node *node) {
    struct roots *roots = &node->roots;
    memset(roots->is_known, 0, sizeof(roots->is_known));
    memset(roots->groups, 0, sizeof(roots->groups));
    roots->row_count = 0;
    for (uint32_t i = 0; i < node->map.member_count; i++) roots->row_of[i] = ROOTS_NO_ROW;
    for (uint32_t i = 0; i < node->map.run_count; i++) {
        const struct map_run *run = &node->map.runs[i];
        if (map_place_in(run, node->self) == REPLICAS_MAX) continue;
        for (uint32_t j = 0; j < run->replica_count; j++) add_row(roots, run->replicas[j].member);
        uint32_t last = (run->first + run->count - 1u) / GROUP_SLOTS;
        for (uint32_t j = run->first / GROUP_SLOTS; j <= last; j++) bitmap_add(roots->groups, j);
    }
}

bool roots_share(const struct node *node, uint16_t keyspace, uint32_t slot, uint32_t member) {
    uint32_t place = keyspace_find_number(node->map.keyspaces, keyspace);
    if (place == KEYSPACES_MAX) return false;
    const struct map_run *run = map_run_of(&node->map, (uint16_t)slot);
    uint32_t copies = map_copies(&node->map.keyspaces[place], run);
    return map_place_in(run, node->self) < copies && map_place_in(run, member) < copies;
}

// In how many keyspaces both have copies of the slots of the run.
static uint32_t shared_in(const struct node *node, const struct map_run *run, uint32_t member) {
    uint32_t self_place = map_place_in(run, node->self);
    uint32_t place = map_place_in(run, member);
    uint32_t count = 0;
    for (uint32_t i = 0; i < KEYSPACES_MAX; i++) {
        const struct keyspace *k = &node->map.keyspaces[i];
        uint32_t copies = k->state == KEYSPACE_FREE ? 0 : map_copies(k, run);
        count += self_place < copies && place < copies;
    }
    return count;
}

bool roots_share_any(const struct node *node, uint32_t member) {
    for (uint32_t i = 0; i < node->map.run_count; i++) {
        if (shared_in(node, &node->map.runs[i], member) > 0) return true;
    }
    return false;
}

uint64_t roots_shared_count(const struct node *node, uint32_t first, uint32_t last,
                            uint32_t member) {
    uint64_t count = 0;
    for (uint32_t i = 0; i < node->map.run_count; i++) {
        const struct map_run *run = &node->map.runs[i];
        uint32_t end = run->first + run->count - 1u;
        uint32_t from = run->first > first ? run->first : first;
        uint32_t to = end < last ? end : last;
        if (from <= to) count += (uint64_t)(to - from + 1) * shared_in(node, run, member);
    }
    return count;
}

static void add_slot(struct node *node, uint32_t group, uint16_t slot) {
    const struct map_run *run = map_run_of(&node->map, slot);
    uint32_t self_place = map_place_in(run, node->self);
    for (uint32_t i = 0; i < KEYSPACES_MAX; i++) {
        const struct keyspace *k = &node->map.keyspaces[i];
        uint32_t copies = map_copies(k, run);
        if (k->state == KEYSPACE_FREE || self_place >= copies) continue;
        struct partition partition = {k->number, slot};
        uint64_t digest = store_partition_of(node->store, partition).digest;
        for (uint32_t j = 0; j < copies && digest != 0; j++) {
            uint32_t row = node->roots.row_of[run->replicas[j].member];
            node->roots.branches[(size_t)row * SLOT_GROUPS + group] += digest;
        }
    }
}

static void add_up(struct node *node, uint32_t group) {
    struct roots *roots = &node->roots;
    uint64_t changes = store_changes(node->store, group);
    if (bitmap_has(roots->is_known, group) && roots->changes[group] == changes) return;
    for (uint32_t i = 0; i < roots->row_count; i++) {
        roots->branches[(size_t)i * SLOT_GROUPS + group] = 0;
    }
    for (uint32_t i = 0; i < GROUP_SLOTS; i++) {
        add_slot(node, group, (uint16_t)(group * GROUP_SLOTS + i));
    }
    roots->changes[group] = changes;
    bitmap_add(roots->is_known, group);
}

static const uint64_t *row_of(const struct roots *roots, uint32_t member) {
    uint32_t row = roots->row_of[member];
    return row == ROOTS_NO_ROW ? no_branches : &roots->branches[(size_t)row * SLOT_GROUPS];
}

const uint64_t *roots_branches(struct node *node, uint32_t member) {
    for (uint32_t i = 0; i < SLOT_GROUPS; i++) add_up(node, i);
    node->roots.added_up = node->env->now;
    return row_of(&node->roots, member);
}

uint64_t roots_with(struct node *node, uint32_t member) {
    struct roots *roots = &node->roots;
    bool is_old = node->env->now - roots->added_up >= ROOTS_AGE_NS;
    // What the map has made unknown is not there to be old.
    bool is_known = bitmap_has(roots->is_known, 0);
    const uint64_t *branches =
        is_old || !is_known ? roots_branches(node, member) : row_of(roots, member);
    if (branches == no_branches) return 0;
    uint64_t root = 0;
    for (uint32_t i = 0; i < SLOT_GROUPS; i++) root += branches[i];
    return root;
}
