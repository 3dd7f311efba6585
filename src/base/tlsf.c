// SPDX-License-Identifier: Apache-2.0
#include "base/tlsf.h"

#include <string.h>

enum {
    UNITS_MIN = 2,  // a free block holds its header, two links and, at its end, its length
    FIRST_UNIT = 1, // unit 0 stays unused, so that no block is number 0
    CLOSE_TRIES = 8,
};

#define BEFORE_IS_FREE 0x80000000u

// The header of every block; of a free one, followed by its links.
struct block {
    uint32_t units; // of the whole block
    uint32_t size;  // bytes asked for, 0: free; and BEFORE_IS_FREE
    uint32_t next;  // on the list of free blocks
    uint32_t prev;
};

static_assert(sizeof(struct block) == TLSF_UNIT, "a free block's links fit its first unit");
static_assert(TLSF_SIZE_MAX < BEFORE_IS_FREE, "the flag has a bit of its own");

static struct block *block_at(const struct tlsf *t, uint32_t unit) {
    return (struct block *)(void *)(t->memory + (size_t)unit * TLSF_UNIT);
}

static bool is_free(const struct block *b) {
    return (b->size & ~BEFORE_IS_FREE) == 0;
}

static uint32_t floor_log2(uint32_t x) {
    return 31u - (uint32_t)__builtin_clz(x);
}

struct place {
    uint32_t row;
    uint32_t column;
};

// The list for free blocks of that many units. Up to 16 units each length has its own.
static struct place place_of(uint32_t units) {
    if (units < TLSF_COLUMNS) return (struct place){0, units};
    uint32_t log = floor_log2(units);
    return (struct place){log - 3, (units >> (log - 4)) % TLSF_COLUMNS};
}

static void list_free(struct tlsf *t, uint32_t unit) {
    struct block *b = block_at(t, unit);
    struct place p = place_of(b->units);
    uint32_t head = t->heads[p.row][p.column];
    b->next = head;
    b->prev = 0;
    if (head != 0) block_at(t, head)->prev = unit;
    t->heads[p.row][p.column] = unit;
    t->column_map[p.row] |= 1u << p.column;
    t->row_map |= 1u << p.row;
}

static void unlist_free(struct tlsf *t, uint32_t unit) {
    const struct block *b = block_at(t, unit);
    if (b->next != 0) block_at(t, b->next)->prev = b->prev;
    if (b->prev != 0) {
        block_at(t, b->prev)->next = b->next;
        return;
    }
    struct place p = place_of(b->units);
    must(t->heads[p.row][p.column] == unit);
    t->heads[p.row][p.column] = b->next;
    if (b->next != 0) return;
    t->column_map[p.row] &= ~(1u << p.column);
    if (t->column_map[p.row] == 0) t->row_map &= ~(1u << p.row);
}

// Writes the header and the length at the end, and tells the block behind.
static void make_free(struct tlsf *t, uint32_t unit, uint32_t units) {
    struct block *b = block_at(t, unit);
    b->units = units;
    b->size = 0; // two free blocks never touch: the one before is in use
    struct block *last = block_at(t, unit + units - 1);
    memcpy((uint8_t *)last + TLSF_UNIT - sizeof(units), &units, sizeof(units));
    block_at(t, unit + units)->size |= BEFORE_IS_FREE;
    list_free(t, unit);
}

static uint32_t units_before(const struct tlsf *t, uint32_t unit) {
    uint32_t units;
    memcpy(&units, t->memory + (size_t)unit * TLSF_UNIT - sizeof(units), sizeof(units));
    return units;
}

void tlsf_init(struct tlsf *t, struct arena *arena, uint64_t size) {
    must(size >= 1024);
    must(size <= TLSF_REGION_MAX);
    *t = (struct tlsf){.memory = arena_take(arena, 1, size),
                       .unit_count = (uint32_t)(size / TLSF_UNIT)};
    // The last unit is a block in use, so that no other has to ask whether it is the last.
    uint32_t units = t->unit_count - 1 - FIRST_UNIT;
    *block_at(t, t->unit_count - 1) = (struct block){.units = 1, .size = 1};
    make_free(t, FIRST_UNIT, units);
}

static uint32_t units_for(size_t size) {
    must(size > 0);
    must(size <= TLSF_SIZE_MAX);
    return (uint32_t)(tlsf_cost(size) / TLSF_UNIT);
}

// The first of a few blocks on the list for that length that is long enough, or 0.
static uint32_t find_close(const struct tlsf *t, uint32_t units) {
    struct place p = place_of(units);
    uint32_t unit = t->heads[p.row][p.column];
    for (uint32_t tries = 0; unit != 0 && tries < CLOSE_TRIES; tries++) {
        const struct block *b = block_at(t, unit);
        if (b->units >= units) return unit;
        unit = b->next;
    }
    return 0;
}

// A free block of at least that many units, or 0, from a list all of whose blocks fit.
static uint32_t find_free(const struct tlsf *t, uint32_t units) {
    if (units >= TLSF_COLUMNS) units += (1u << (floor_log2(units) - 4)) - 1;
    struct place p = place_of(units);
    uint32_t columns = t->column_map[p.row] & (~0u << p.column);
    if (columns == 0) {
        uint32_t rows = t->row_map & (~0u << (p.row + 1));
        if (rows == 0) return 0;
        p.row = (uint32_t)__builtin_ctz(rows);
        columns = t->column_map[p.row];
    }
    return t->heads[p.row][__builtin_ctz(columns)];
}

// Cuts a block that is on no list down to `units`; what is left becomes free.
static void trim(struct tlsf *t, uint32_t unit, uint32_t units) {
    struct block *b = block_at(t, unit);
    must(b->units >= units);
    uint32_t rest = b->units - units;
    if (rest < UNITS_MIN) return;
    b->units = units;
    uint32_t behind = unit + units + rest;
    if (is_free(block_at(t, behind))) {
        unlist_free(t, behind);
        rest += block_at(t, behind)->units;
    }
    make_free(t, unit + units, rest);
}

uint32_t tlsf_take(struct tlsf *t, size_t size) {
    uint32_t units = units_for(size);
    uint32_t unit = find_free(t, units);
    if (unit == 0) unit = find_close(t, units);
    if (unit == 0) return 0;
    unlist_free(t, unit);
    struct block *b = block_at(t, unit);
    must(b->size == 0);
    block_at(t, unit + b->units)->size &= ~BEFORE_IS_FREE;
    trim(t, unit, units);
    b->size = (uint32_t)size;
    t->used += (uint64_t)b->units * TLSF_UNIT;
    return unit;
}

void tlsf_give(struct tlsf *t, uint32_t block) {
    must(block >= FIRST_UNIT);
    must(block < t->unit_count - 1);
    struct block *b = block_at(t, block);
    must(!is_free(b));
    uint32_t units = b->units;
    t->used -= (uint64_t)units * TLSF_UNIT;
    uint32_t behind = block + units;
    if (is_free(block_at(t, behind))) {
        unlist_free(t, behind);
        units += block_at(t, behind)->units;
    }
    if ((b->size & BEFORE_IS_FREE) != 0) {
        uint32_t before = units_before(t, block);
        block -= before;
        units += before;
        unlist_free(t, block);
    }
    make_free(t, block, units);
}

bool tlsf_resize(struct tlsf *t, uint32_t block, size_t size) {
    uint32_t units = units_for(size);
    struct block *b = block_at(t, block);
    must(!is_free(b));
    uint32_t old_units = b->units;
    if (units > old_units) {
        uint32_t behind = block + old_units;
        const struct block *next = block_at(t, behind);
        if (!is_free(next) || old_units + next->units < units) return false;
        unlist_free(t, behind);
        b->units += next->units;
        block_at(t, block + b->units)->size &= ~BEFORE_IS_FREE;
    }
    trim(t, block, units);
    t->used += ((uint64_t)b->units - old_units) * TLSF_UNIT;
    b->size = (b->size & BEFORE_IS_FREE) | (uint32_t)size;
    return true;
}

size_t tlsf_size(const struct tlsf *t, uint32_t block) {
    return block_at(t, block)->size & ~BEFORE_IS_FREE;
}

void tlsf_check(const struct tlsf *t) {
    uint64_t used = 0;
    bool before_is_free = false;
    uint32_t unit = FIRST_UNIT;
    while (unit < t->unit_count - 1) {
        const struct block *b = block_at(t, unit);
        must(b->units >= UNITS_MIN);
        must(((b->size & BEFORE_IS_FREE) != 0) == before_is_free);
        must(!(before_is_free && is_free(b)));
        before_is_free = is_free(b);
        if (before_is_free) {
            must(units_before(t, unit + b->units) == b->units);
            struct place p = place_of(b->units);
            must((t->column_map[p.row] >> p.column & 1) != 0);
        } else {
            must(tlsf_cost(tlsf_size(t, unit)) <= (uint64_t)b->units * TLSF_UNIT);
            used += (uint64_t)b->units * TLSF_UNIT;
        }
        unit += b->units;
    }
    must(unit == t->unit_count - 1);
    must(used == t->used);
}
