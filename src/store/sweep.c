// SPDX-License-Identifier: Apache-2.0
//
// sweep.c -- the last entries in memory of keyspaces in which there are no keys any more.
//
// That a key was removed is kept in memory until it is in a table, and after that as long as there
// is memory. So nothing may be left of a keyspace but such entries; and while there are any it has
// an index, which another keyspace may want. Then what is dirty is flushed, and what is clean goes.
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

static void go_on(struct env_op *op) {
    struct store *s = CONTAINER_OF(op, struct store, sweep.op);
    struct sweep *sweep = &s->sweep;
    bool is_over = !s->is_open;
    for (uint32_t i = 0; i < BUCKETS_MAX && !is_over; i++) {
        is_over = sweep->bucket >= memtable_bucket_count(&s->table);
        if (!is_over) forget_bucket(s, sweep->bucket++);
    }
    if (!is_over) {
        env_later(s->env, op);
        return;
    }
    sweep->is_under_way = false;
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

void store_sweep_if_wanted(struct store *s) {
    struct sweep *sweep = &s->sweep;
    if (!sweep->is_wanted || sweep->is_under_way) return;
    sweep->is_wanted = false;
    sweep->is_under_way = true;
    sweep->bucket = 0;
    sweep->op.done = go_on;
    env_later(s->env, &sweep->op);
}
