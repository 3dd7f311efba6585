// SPDX-License-Identifier: Apache-2.0
//
// sweep.c -- the last entries in memory of keyspaces in which there are no keys any more.
//
// That a key was removed is kept in memory until it is in a table, and after that as long as there
// is memory. So nothing may be left of a keyspace but such entries; and while there are any it has
// an index, which another keyspace may want. Then what is dirty is flushed, and what is clean goes.
//
// Of a keyspace that was dropped everything goes, dirty or not.
#include "store/internal.h"

enum {
    BUCKETS_MAX = 64, // before env_later, which comes some thirty times in one turn
    SILENCE_NS = 1000 * 1000 * 1000,
};

// Whether nothing is left of the keyspace at the place but entries.
static bool is_remnant(const struct keyspaces *k, uint32_t place) {
    const struct keyspace_use *use = &k->uses[k->places[place].index];
    return place > 0 && use->keys == 0 && use->entries > 0;
}

static bool has_remnants(const struct keyspaces *k) {
    for (uint32_t place = 0; place < k->count; place++) {
        if (is_remnant(k, place)) return true;
    }
    return false;
}

static void forget_bucket(struct store *s, uint32_t bucket) {
    const struct keyspaces *k = &s->keyspaces;
    for (uint32_t place = 0; place < k->count; place++) {
        if (!is_remnant(k, place)) continue;
        uint32_t first = (uint32_t)k->places[place].number << 16;
        memtable_forget(&s->table, bucket, store_clean_before(s), first, first | UINT16_MAX);
    }
}

// What is dirty is counted.
static void on_leaving(void *context, uint32_t entry) {
    struct store *s = context;
    const struct entry *e = memtable_entry(&s->table, entry);
    uint64_t position = entry_position(e);
    if (keyspaces_serves(&s->keyspaces, e->partition) || position == 0) return;
    uint64_t size = sizeof(*e) + e->key_size + memtable_record(&s->table, entry).size;
    uint64_t frozen_from = store_clean_before(s);
    uint64_t dirty_from = s->flush.state == FLUSH_IDLE ? frozen_from : s->flush.position;
    if (position >= dirty_from) {
        s->dirty_size -= size;
        s->dirty_count--;
    } else if (position >= frozen_from) {
        s->frozen_size -= size;
        s->frozen_count--;
    }
}

static void forget_dropped(struct store *s, uint32_t bucket) {
    const struct keyspaces *k = &s->keyspaces;
    if (k->dropped_count == 0) return;
    memtable_each(&s->table, bucket, on_leaving, s);
    for (uint32_t i = 0; i < k->dropped_count; i++) {
        uint32_t first = (uint32_t)k->dropped[i] << 16;
        memtable_forget(&s->table, bucket, UINT64_MAX, first, first + SLOT_COUNT - 1);
    }
}

static void go_on(struct env_op *op) {
    struct store *s = CONTAINER_OF(op, struct store, sweep.op);
    struct sweep *sweep = &s->sweep;
    bool is_over = !s->is_open;
    for (uint32_t i = 0; i < BUCKETS_MAX && !is_over; i++) {
        is_over = sweep->bucket >= memtable_bucket_count(&s->table);
        if (is_over) break;
        forget_dropped(s, sweep->bucket);
        forget_bucket(s, sweep->bucket++);
    }
    if (!is_over) {
        env_later(s->env, op);
        return;
    }
    sweep->is_under_way = false;
    s->keyspaces.is_unswept &= !s->is_open;
    if (!s->is_open) store_close_when_quiet(s);
}

void store_sweep(struct store *s, uint16_t keyspace) {
    if (s->env->now < s->sweep.silent_to) return;
    s->sweep.silent_to = s->env->now + SILENCE_NS;
    store_tell_keyspaces_full(s, keyspace);
    if (!has_remnants(&s->keyspaces)) return;
    s->sweep.is_wanted = true;
    s->wants_flush = true;
    store_flush_if_due(s);
    if (s->flush.state == FLUSH_IDLE) store_sweep_if_wanted(s); // all is clean, or will not be
}

// Begins, or begins anew.
static void begin(struct store *s) {
    struct sweep *sweep = &s->sweep;
    sweep->bucket = 0;
    if (sweep->is_under_way) return;
    sweep->is_under_way = true;
    sweep->op.done = go_on;
    env_later(s->env, &sweep->op);
}

void store_sweep_if_wanted(struct store *s) {
    if (s->sweep.is_wanted) begin(s);
    s->sweep.is_wanted = false;
}

void store_sweep_dropped(struct store *s) {
    s->keyspaces.is_unswept = true;
    begin(s);
}
