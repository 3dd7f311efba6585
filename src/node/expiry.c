// SPDX-License-Identifier: Apache-2.0
#include "node/expiry.h"

#include "node/internal.h"

enum { MS_PER_SECOND = 1000 };

size_t expiry_memory_size(void) {
    return CELL_COUNT * sizeof(uint32_t) + 64;
}

void expiry_init(struct expiry *e, struct arena *arena) {
    *e = (struct expiry){.due = ARENA_ARRAY(arena, uint32_t, CELL_COUNT), .cell = CELL_COUNT};
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

void expiry_see(struct expiry *e, const struct record *r) {
    uint32_t earliest = earliest_of(r);
    if (earliest < e->lowest) e->lowest = earliest;
}

void expiry_note(struct node *node, struct partition partition, const struct record *r) {
    struct expiry *e = &node->expiry;
    uint32_t earliest = earliest_of(r);
    if (earliest == UINT32_MAX) return;
    uint32_t place = keyspace_find_number(node->map.keyspaces, partition.keyspace);
    if (place == KEYSPACES_MAX) return;
    uint32_t cell = cell_of(partition.slot, place);
    if (earliest < e->due[cell]) e->due[cell] = earliest;
    if (cell == e->cell && earliest < e->lowest) e->lowest = earliest;
}

bool expiry_is_due(const struct expiry *e, uint32_t cell, uint64_t ms) {
    return e->due[cell] <= seconds_of(ms);
}

void expiry_begin(struct expiry *e, uint32_t cell) {
    e->cell = cell;
    e->lowest = UINT32_MAX;
}

void expiry_end(struct expiry *e) {
    if (e->cell < CELL_COUNT) e->due[e->cell] = e->lowest;
    e->cell = CELL_COUNT;
}
