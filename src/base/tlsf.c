// SPDX-License-Identifier: Apache-2.0
#include "base/tlsf.h"

#include <string.h>

enum {
    UNITS_MIN = 2,  // a free block holds its head, two links and, at its end, its length
    FIRST_UNIT = 1, // unit 0 stays unused, so that no block is number 0
    CLOSE_TRIES = 8,
    // No free block grows longer: at such distances lies a block that is never given back. So a
    // length has 25 bits.
    UNITS_MAX = (1 << 25) - 1,
    SLACK_MAX = 31, // bytes, as many as their bits can say; less than three units

    HEAD_FREE = 1,
    HEAD_BEFORE_FREE = 2,
    HEAD_SLACK_SHIFT = 2,
    HEAD_UNITS_SHIFT = 7,
};

struct block {
    uint32_t head;
    uint32_t next; // of a free block: on its list
    uint32_t prev;
};

static_assert(SLACK_MAX < 1 << (HEAD_UNITS_SHIFT - HEAD_SLACK_SHIFT), "slack fits its bits");
static_assert(TLSF_SIZE_MAX / TLSF_UNIT < UNITS_MAX, "every block fits between two fences");
static_assert(sizeof(struct block) + sizeof(uint32_t) == (size_t)UNITS_MIN * TLSF_UNIT, "no gaps");

static struct block *block_at(const struct tlsf *t, uint32_t unit) {
    return (struct block *)(void *)(t->memory + (size_t)unit * TLSF_UNIT);
}

static bool is_free(const struct block *b) {
    return (b->head & HEAD_FREE) != 0;
}

static bool is_before_free(const struct block *b) {
    return (b->head & HEAD_BEFORE_FREE) != 0;
}

static uint32_t units_of(const struct block *b) {
    return b->head >> HEAD_UNITS_SHIFT;
}

static size_t size_of(const struct block *b) {
    size_t slack = b->head >> HEAD_SLACK_SHIFT & SLACK_MAX;
    return (size_t)units_of(b) * TLSF_UNIT - TLSF_HEAD - slack;
}

// Makes a block one that is lent, of that length; keeps what it knows of the one before.
static void set_lent(struct block *b, uint32_t units, size_t size) {
    size_t slack = (size_t)units * TLSF_UNIT - TLSF_HEAD - size;
    must(slack <= SLACK_MAX);
    b->head = units << HEAD_UNITS_SHIFT | (uint32_t)slack << HEAD_SLACK_SHIFT |
              (b->head & HEAD_BEFORE_FREE);
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
    struct place p = place_of(units_of(b));
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
    struct place p = place_of(units_of(b));
    must(t->heads[p.row][p.column] == unit);
    t->heads[p.row][p.column] = b->next;
    if (b->next != 0) return;
    t->column_map[p.row] &= ~(1u << p.column);
    if (t->column_map[p.row] == 0) t->row_map &= ~(1u << p.row);
}

// Writes the head and the length at the end, and tells the block behind. Two free blocks never
// touch: the one before is lent.
static void make_free(struct tlsf *t, uint32_t unit, uint32_t units) {
    must(units <= UNITS_MAX);
    block_at(t, unit)->head = units << HEAD_UNITS_SHIFT | HEAD_FREE;
    uint8_t *end = t->memory + ((size_t)unit + units) * TLSF_UNIT;
    memcpy(end - sizeof(units), &units, sizeof(units));
    block_at(t, unit + units)->head |= HEAD_BEFORE_FREE;
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
    // Fences: blocks of one unit that are always lent, the last at the very end, so that no block
    // has to ask whether it is the last.
    uint32_t unit = FIRST_UNIT;
    while (unit < t->unit_count) {
        uint32_t rest = t->unit_count - unit - 1;
        if (rest < UNITS_MIN) {
            // What is too little for a block is part of the fence.
            block_at(t, unit)->head = (rest + 1) << HEAD_UNITS_SHIFT;
            return;
        }
        uint32_t units = rest < UNITS_MAX ? rest : UNITS_MAX;
        block_at(t, unit + units)->head = 1 << HEAD_UNITS_SHIFT;
        make_free(t, unit, units);
        unit += units + 1;
    }
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
        if (units_of(b) >= units) return unit;
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

// Makes a block that is on no list one that is lent, with `size` bytes out of the `has` units that
// it can have; what is left becomes free.
static void lend(struct tlsf *t, uint32_t unit, uint32_t has, uint32_t units, size_t size) {
    must(has >= units);
    uint32_t rest = has - units;
    uint32_t behind = unit + has;
    if (rest > 0 && is_free(block_at(t, behind))) {
        unlist_free(t, behind);
        rest += units_of(block_at(t, behind));
    }
    if (rest < UNITS_MIN) {
        set_lent(block_at(t, unit), has, size);
        block_at(t, behind)->head &= ~(uint32_t)HEAD_BEFORE_FREE;
        return;
    }
    set_lent(block_at(t, unit), units, size);
    make_free(t, unit + units, rest);
}

uint32_t tlsf_take(struct tlsf *t, size_t size) {
    uint32_t units = units_for(size);
    uint32_t unit = find_free(t, units);
    if (unit == 0) unit = find_close(t, units);
    if (unit == 0) return 0;
    unlist_free(t, unit);
    struct block *b = block_at(t, unit);
    must(is_free(b));
    must(!is_before_free(b));
    lend(t, unit, units_of(b), units, size);
    t->used += (uint64_t)units_of(b) * TLSF_UNIT;
    return unit;
}

void tlsf_give(struct tlsf *t, uint32_t block) {
    must(block >= FIRST_UNIT);
    must(block < t->unit_count - 1);
    const struct block *b = block_at(t, block);
    must(!is_free(b));
    uint32_t units = units_of(b);
    t->used -= (uint64_t)units * TLSF_UNIT;
    uint32_t behind = block + units;
    if (is_free(block_at(t, behind))) {
        unlist_free(t, behind);
        units += units_of(block_at(t, behind));
    }
    if (is_before_free(b)) {
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
    uint32_t old = units_of(b);
    uint32_t has = old;
    if (units > old) {
        uint32_t behind = block + old;
        if (!is_free(block_at(t, behind))) return false;
        has += units_of(block_at(t, behind));
        if (has < units) return false;
        unlist_free(t, behind);
    }
    lend(t, block, has, units, size);
    t->used += ((uint64_t)units_of(b) - old) * TLSF_UNIT;
    return true;
}

size_t tlsf_size(const struct tlsf *t, uint32_t block) {
    return size_of(block_at(t, block));
}

void tlsf_check(const struct tlsf *t) {
    uint64_t used = 0;
    uint64_t fences = 0;
    bool before_is_free = false;
    uint32_t unit = FIRST_UNIT;
    while (unit < t->unit_count) {
        const struct block *b = block_at(t, unit);
        must(units_of(b) > 0);
        must(is_before_free(b) == before_is_free);
        must(!(before_is_free && is_free(b)));
        before_is_free = is_free(b);
        if (before_is_free) {
            must(units_of(b) >= UNITS_MIN);
            must(units_before(t, unit + units_of(b)) == units_of(b));
            struct place p = place_of(units_of(b));
            must((t->column_map[p.row] >> p.column & 1) != 0);
        } else if (units_of(b) < UNITS_MIN || unit + units_of(b) == t->unit_count) {
            fences++;
        } else {
            used += (uint64_t)units_of(b) * TLSF_UNIT;
        }
        unit += units_of(b);
    }
    must(unit == t->unit_count);
    must(fences > 0);
    must(used == t->used);
}
