// SPDX-License-Identifier: Apache-2.0
#include "node/expiry.h"

#include "base/bitmap.h"
#include "node/internal.h"
#include "node/purge_answer.h"

enum { MS_PER_SECOND = 1000 };

size_t expiry_memory_size(void) {
    return CELL_COUNT * sizeof(uint32_t) + CELL_COUNT / 8 + 128;
}

void expiry_init(struct expiry *e, struct arena *arena) {
    *e = (struct expiry){.cell = CELL_COUNT};
    e->due = ARENA_ARRAY(arena, uint32_t, CELL_COUNT);
    e->take_all = ARENA_ARRAY(arena, uint8_t, CELL_COUNT / 8);
}

static uint32_t seconds_of(uint64_t ms) {
    uint64_t seconds = ms / MS_PER_SECOND;
    return seconds < UINT32_MAX ? (uint32_t)seconds : UINT32_MAX - 1;
}

// UINT32_MAX: nothing of it expires.
static uint32_t earliest_of(const struct record *r) {
    uint32_t earliest = UINT32_MAX;
    for (uint32_t i = 0; i < r->sibling_count; i++) {
        uint64_t ms = r->siblings[i].expires_ms;
        if (ms != 0 && seconds_of(ms) < earliest) earliest = seconds_of(ms);
    }
    return earliest;
}

void expiry_see(struct node *node, struct partition partition, const struct record *r) {
    struct expiry *e = &node->expiry;
    uint32_t earliest = earliest_of(r);
    if (earliest < e->lowest) e->lowest = earliest;
    e->has_taken_all |= purge_takes_all(node, partition, r);
}

void expiry_note(struct node *node, struct partition partition, const struct record *r) {
    struct expiry *e = &node->expiry;
    uint32_t earliest = earliest_of(r);
    bool takes_all = purge_takes_all(node, partition, r);
    if (earliest == UINT32_MAX && !takes_all) return;
    uint32_t place = keyspace_find_number(node->map.keyspaces, partition.keyspace);
    if (place == KEYSPACES_MAX) return;
    uint32_t cell = cell_of(partition.slot, place);
    if (earliest < e->due[cell]) e->due[cell] = earliest;
    if (takes_all) bitmap_add(e->take_all, cell);
    if (cell != e->cell) return;
    if (earliest < e->lowest) e->lowest = earliest;
    e->has_taken_all |= takes_all;
}

bool expiry_is_due(const struct expiry *e, uint32_t cell, uint64_t ms) {
    return e->due[cell] <= seconds_of(ms);
}

bool expiry_takes_all(const struct expiry *e, uint32_t cell) {
    return bitmap_has(e->take_all, cell);
}

void expiry_begin(struct expiry *e, uint32_t cell) {
    e->cell = cell;
    e->lowest = UINT32_MAX;
    e->has_taken_all = false;
}

void expiry_end(struct expiry *e) {
    if (e->cell == CELL_COUNT) return;
    e->due[e->cell] = e->lowest;
    bitmap_remove(e->take_all, e->cell);
    if (e->has_taken_all) bitmap_add(e->take_all, e->cell);
    e->cell = CELL_COUNT;
}

// What is being gone through was judged by the former map.
void expiry_on_map(struct node *node, const struct map *former) {
    struct expiry *e = &node->expiry;
    bool is_same = former->member_count == node->map.member_count;
    for (uint32_t i = 0; i < former->member_count && is_same; i++) {
        is_same = former->members[i].storage == node->map.members[i].storage;
    }
    if (is_same) return;
    memset(e->due, 0, CELL_COUNT * sizeof(*e->due));
    e->cell = CELL_COUNT;
}
