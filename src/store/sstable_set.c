// SPDX-License-Identifier: Apache-2.0
#include "store/sstable_set.h"

size_t sstable_set_memory_size(void) {
    return pool_memory_size(SSTABLES_MAX, sizeof(struct sstable)) +
           SSTABLES_MAX * sizeof(struct sstable *) + 64;
}

void sstable_set_init(struct sstable_set *set, struct arena *arena, struct env *env,
                      struct tlsf *memory) {
    *set = (struct sstable_set){.env = env, .memory = memory};
    pool_init(&set->pool, arena, SSTABLES_MAX, sizeof(struct sstable));
    set->tables = ARENA_ARRAY(arena, struct sstable *, SSTABLES_MAX);
}

struct sstable *sstable_set_take(struct sstable_set *set) {
    struct sstable *t = pool_take(&set->pool);
    if (t != NULL) *t = (struct sstable){.set = set};
    return t;
}

void sstable_set_give(struct sstable_set *set, struct sstable *t) {
    pool_give(&set->pool, t);
}

static bool comes_before(const struct sstable *a, const struct sstable *b) {
    return a->sequence != b->sequence ? a->sequence > b->sequence : a->first < b->first;
}

// Where the table belongs.
static uint32_t place_of(const struct sstable_set *set, const struct sstable *t) {
    uint32_t at = set->count;
    while (at > 0 && comes_before(t, set->tables[at - 1])) at--;
    return at;
}

bool sstable_set_fits(const struct sstable_set *set, const struct sstable *t) {
    uint32_t at = place_of(set, t);
    const struct sstable *before = at > 0 ? set->tables[at - 1] : NULL;
    const struct sstable *after = at < set->count ? set->tables[at] : NULL;
    if (before != NULL && before->sequence == t->sequence && before->last >= t->first) return false;
    return after == NULL || after->sequence != t->sequence || after->first > t->last;
}

void sstable_set_add(struct sstable_set *set, struct sstable *t) {
    must(set->count < SSTABLES_MAX);
    must(sstable_set_fits(set, t));
    uint32_t place = place_of(set, t);
    for (uint32_t at = set->count++; at > place; at--) set->tables[at] = set->tables[at - 1];
    set->tables[place] = t;
    t->set = set;
    set->size += t->size;
    set->generation++;
}

// Leaving.

static void left(struct sstable_set *set) {
    must(set->leaving > 0);
    if (--set->leaving == 0) set->is_quiet(set);
}

static void on_removed(struct env_op *op) {
    struct sstable *t = CONTAINER_OF(op, struct sstable, op);
    struct sstable_set *set = t->set;
    if (op->status != ST_OK && op->status != ST_NOT_FOUND) {
        // It is not in the manifest: the next start removes it.
        env_log(set->env, ENV_WARNING, "table_not_removed table=%016x status=\"%s\"", t->number,
                status_text(op->status));
    }
    sstable_set_give(set, t);
    left(set);
}

static void on_closed(struct env_op *op) {
    struct sstable *t = CONTAINER_OF(op, struct sstable, op);
    struct sstable_set *set = t->set;
    t->file = NULL;
    sstable_give_memory(set->memory, t);
    if (!t->is_dropped) {
        sstable_set_give(set, t);
        left(set);
        return;
    }
    file_name(SSTABLE_PREFIX, t->number, t->name);
    op->done = on_removed;
    env_remove(set->env, op, t->name);
}

static void close_file(struct sstable *t) {
    must(t->pins == 0);
    t->op.done = on_closed;
    env_close(t->set->env, &t->op, t->file);
}

static void take_out(struct sstable_set *set, struct sstable *t) {
    uint32_t at = 0;
    while (set->tables[at] != t) {
        at++;
        must(at < set->count);
    }
    set->count--;
    for (; at < set->count; at++) set->tables[at] = set->tables[at + 1];
    set->size -= t->size;
    set->generation++;
    set->leaving++;
}

void sstable_set_remove(struct sstable_set *set, struct sstable *t) {
    take_out(set, t);
    t->is_dropped = true;
    if (t->pins == 0) close_file(t);
}

void sstable_set_trim(struct sstable_set *set, struct sstable *t, uint32_t past) {
    if (past >= t->last) {
        sstable_set_remove(set, t);
        return;
    }
    if (past >= t->first) t->first = past + 1;
    set->generation++;
}

void sstable_unpin(struct sstable *t) {
    must(t->pins > 0);
    t->pins--;
    if (t->pins == 0 && t->is_dropped) close_file(t);
}

// Damage.

enum { MARK_BAD = 1, MARK_LOST = 2, MARK_BITS = 2, MARKS = 8 / MARK_BITS };

// Marks of all blocks, so many in a byte; NULL: there is no memory for them.
static uint8_t *marks_of(struct sstable *t) {
    struct tlsf *memory = t->set->memory;
    if (t->marks_block != 0) return tlsf_at(memory, t->marks_block);
    size_t size = t->index.count / MARKS + 1;
    t->marks_block = tlsf_take(memory, size);
    if (t->marks_block == 0) return NULL;
    return memset(tlsf_at(memory, t->marks_block), 0, size);
}

static bool has_mark(const uint8_t *marks, uint32_t block, uint32_t mark) {
    uint32_t four = marks[block / MARKS];
    return (four >> block % MARKS * MARK_BITS & mark) != 0;
}

static void set_mark(uint8_t *marks, uint32_t block, uint32_t mark) {
    marks[block / MARKS] |= (uint8_t)(mark << block % MARKS * MARK_BITS);
}

static void tell_lost(struct sstable *t, uint32_t block) {
    bool is_end = block + 1 == t->index.count;
    uint32_t first = sstable_block_first(t, block);
    uint32_t last = is_end ? t->last : sstable_block_first(t, block + 1);
    if (first < t->first) first = t->first;
    if (last > t->last) last = t->last;
    t->set->lost(t->set, first, last);
}

bool sstable_note_damage(struct sstable *t, uint32_t block) {
    if (!t->is_damaged) {
        env_log(t->set->env, ENV_ERROR, "table_damaged table=%016x offset=%llu", t->number,
                (unsigned long long)index_offset(&t->index, block));
    }
    t->is_damaged = true;
    uint8_t *marks = marks_of(t);
    if (marks == NULL) { // then it cannot be forgiven
        t->is_forgiven = false;
        return false;
    }
    if (!has_mark(marks, block, MARK_BAD)) {
        set_mark(marks, block, MARK_BAD);
        t->bad_count++;
        t->set->damaged++;
    }
    if (t->set->forgives && !has_mark(marks, block, MARK_LOST)) {
        set_mark(marks, block, MARK_LOST);
        t->forgiven_count++;
        tell_lost(t, block);
    }
    t->is_forgiven = t->forgiven_count == t->bad_count;
    return has_mark(marks, block, MARK_LOST);
}

static bool is_marked(const struct sstable *t, uint32_t block, uint32_t mark) {
    if (t->marks_block == 0) return false;
    return has_mark(tlsf_at(t->set->memory, t->marks_block), block, mark);
}

bool sstable_is_bad(const struct sstable *t, uint32_t block) {
    return is_marked(t, block, MARK_BAD);
}

bool sstable_is_lost(const struct sstable *t, uint32_t block) {
    return is_marked(t, block, MARK_LOST);
}

void sstable_set_forgive(struct sstable_set *set) {
    set->forgives = true;
    for (uint32_t i = 0; i < set->count; i++) {
        struct sstable *t = set->tables[i];
        for (uint32_t block = 0; t->marks_block != 0 && block < t->index.count; block++) {
            uint8_t *marks = marks_of(t);
            if (has_mark(marks, block, MARK_BAD)) set_mark(marks, block, MARK_LOST);
        }
        t->forgiven_count = t->bad_count;
        t->is_forgiven = t->marks_block != 0;
    }
}

void sstable_set_end_forgiving(struct sstable_set *set) {
    set->forgives = false;
}

void sstable_set_close(struct sstable_set *set) {
    set->leaving++; // while we look
    while (set->count > 0) {
        struct sstable *t = set->tables[set->count - 1];
        take_out(set, t);
        close_file(t);
    }
    left(set);
}

// Searching.

struct sstable *sstable_set_next(const struct sstable_set *set, uint32_t partition,
                                 uint32_t *index) {
    uint32_t at = *index;
    while (at < set->count && set->tables[at]->sequence > 0) {
        if (sstable_covers(set->tables[at], partition)) {
            *index = at + 1;
            return set->tables[at];
        }
        at++;
    }
    // In the base at most one table covers it.
    uint32_t low = at;
    uint32_t high = set->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (set->tables[middle]->last < partition) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *index = set->count;
    return low < set->count && sstable_covers(set->tables[low], partition) ? set->tables[low]
                                                                           : NULL;
}

struct sstable *sstable_set_next_holding(const struct sstable_set *set, uint32_t partition,
                                         uint64_t hash, uint32_t *index) {
    struct sstable *t;
    do {
        t = sstable_set_next(set, partition, index);
    } while (t != NULL && !sstable_may_hold(t, hash));
    return t;
}
