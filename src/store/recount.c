// SPDX-License-Identifier: Apache-2.0
//
// recount.c -- facts added up anew from what is there, one partition after the other.
//
// After damage nobody knows what was lost, and so what it had added. A merge of damaged tables
// comes to its own conclusion: it may have read a block while that was good, or find one damaged
// that was counted. So what it has made is added up once more. Copies in memory of what tables have
// lost go before that: they would count as there until they are evicted.
//
// Which keyspaces there are to be added up is not known from facts that may be wrong: behind the
// last partition of one, all tables are asked for their first key past it.
#include "store/internal.h"

enum { BUCKETS_MAX = 64 }; // of memory, before env_later, which comes some thirty times in one turn

static void note_failure(struct store *s, enum status status) {
    struct recount *r = &s->recount;
    if (status == ST_OK || r->status != ST_OK) return;
    r->status = status;
    struct partition p = partition_of_number(r->partition);
    env_log(s->env, ENV_WARNING, "recount_failed keyspace=%u slot=%u status=\"%s\"", p.keyspace,
            p.slot, status_text(status));
}

// Begins earlier once more, where that was asked for meanwhile.
static void go_back(struct recount *r) {
    if (r->again < r->partition) r->partition = r->again;
    r->again = PARTITION_NONE;
}

// A partition that cannot be read to its end keeps what it had.
static void end_partition(struct store *s) {
    struct recount *r = &s->recount;
    struct partition p = r->tally.partition;
    enum status status = r->tally.scan.status;
    bool is_dropped = !r->tally.is_valid; // meanwhile
    r->tally.is_valid = false;
    if (status == ST_OK && !is_dropped && !facts_replace(&s->facts, p, &r->tally.sum)) {
        store_tell_keyspaces_full(s, p.keyspace);
        status = ST_TOO_LARGE;
    }
    note_failure(s, status);
    r->partition++; // past the last of the keyspace, the next is searched for
    uint32_t done = p.slot + 1u;
    if (done % (SLOT_COUNT / 8) == 0) {
        env_log(s->env, ENV_INFO, "recount_progress keyspace=%u slots=%u of=%u", p.keyspace, done,
                SLOT_COUNT);
    }
    go_back(r);
}

static void go_on(struct store *s);

static void on_later(struct env_op *op) {
    go_on(CONTAINER_OF(op, struct store, recount.op));
}

static void later(struct store *s) {
    s->recount.op.done = on_later;
    env_later(s->env, &s->recount.op);
}

// Takes some copies away; true when there are none left.
static bool forget_copies(struct store *s) {
    struct recount *r = &s->recount;
    for (uint32_t i = 0; i < BUCKETS_MAX; i++) {
        if (r->bucket >= memtable_bucket_count(&s->table)) return true;
        memtable_forget(&s->table, r->bucket++, store_clean_before(s), r->first, r->last);
    }
    return false;
}

// The keyspace behind one that was gone through.

static void note_keyspace(struct recount *r, uint32_t number) {
    if (number < r->found) r->found = number;
}

// The first key of the table past the keyspace, once it was read. False: it is being read.
static bool take_first(struct store *s) {
    struct recount *r = &s->recount;
    switch (merge_next(&r->merge)) {
    case MERGE_LOADING:
        return false;
    case MERGE_RECORD:
        note_keyspace(r, full_key_partition(r->merge.key).keyspace);
        break;
    case MERGE_FAILED:
        note_failure(s, r->merge.status);
        break;
    case MERGE_END:
        break;
    }
    merge_end(&r->merge);
    r->is_reading = false;
    return true;
}

// False: a block of the table is being read.
static bool ask_table(struct store *s, struct sstable *t, uint32_t past) {
    struct recount *r = &s->recount;
    if (t->last <= past || r->found == past >> 16) return true;
    if (t->first > past) {
        note_keyspace(r, t->first >> 16); // it may have no key there: that is seen later
        return true;
    }
    merge_begin(&r->merge, t->last);
    r->merge.status = merge_add(&r->merge, t);
    if (r->merge.status == ST_OK) {
        merge_seek(&r->merge, partition_of_number(past + 1), (struct slice){NULL, 0}, false);
    }
    r->is_reading = true;
    return take_first(s);
}

static void begin_search(struct store *s, uint32_t past) {
    struct recount *r = &s->recount;
    uint32_t next = keyspaces_next(&s->keyspaces, past);
    r->found = next == PARTITION_NONE ? KEYSPACE_NONE : next >> 16;
    r->is_searching = true;
    r->table = 0;
    r->generation = s->set.generation;
}

// Moves to the first partition of the next keyspace that may have keys, or past the last. False: a
// table has to be read first.
static bool search(struct store *s) {
    struct recount *r = &s->recount;
    uint32_t past = r->partition | UINT16_MAX; // no partition of the keyspace has a higher number
    bool is_last = past == UINT32_MAX;
    if (!r->is_searching) begin_search(s, past);
    if (r->is_reading && !take_first(s)) return false;
    while (!is_last && r->table < s->set.count) {
        if (r->generation != s->set.generation) {
            begin_search(s, past);
            continue;
        }
        if (!ask_table(s, s->set.tables[r->table++], past)) return false;
    }
    r->is_searching = false;
    r->partition = is_last || r->found == KEYSPACE_NONE ? PARTITION_NONE : r->found << 16;
    go_back(r);
    return true;
}

// Passes what is no partition, or of a keyspace that was dropped. False: it has to wait.
static bool pass(struct store *s, struct partition partition) {
    bool is_before_own = partition.keyspace == 0 && partition.slot < SLOT_SYSTEM;
    if (!is_before_own) return search(s);
    s->recount.partition = SLOT_SYSTEM;
    return true;
}

static void on_ready(struct merge *m) {
    go_on(CONTAINER_OF(m, struct store, recount.merge));
}

static void on_added_up(struct tally *t);

void store_recount_init(struct store *s, struct arena *arena) {
    s->recount.tally.store = s;
    s->recount.tally.done = on_added_up;
    struct merge *m = &s->recount.merge;
    m->env = s->env;
    m->memory = &s->memory;
    m->compressor = &s->compressor;
    m->ready = on_ready;
    m->skips_damage = true; // what is there is seen by whoever scans it
    m->seek = arena_take(arena, FULL_KEY_MAX + 1, 1);
}

// Going through all.

static void end(struct store *s) {
    struct recount *r = &s->recount;
    if (r->is_reading) merge_end(&r->merge);
    r->is_reading = r->is_searching = r->is_under_way = false;
    s->keyspaces.are_kept = false;
    r->count++;
    r->done(s);
}

static void go_on(struct store *s) {
    struct recount *r = &s->recount;
    while (r->partition != PARTITION_NONE && r->partition <= r->last) {
        if (!s->is_open && s->is_closing) break;
        if (!forget_copies(s)) {
            later(s);
            return;
        }
        struct partition partition = partition_of_number(r->partition);
        if (!partition_is_good(partition) || !keyspaces_serves(&s->keyspaces, partition)) {
            if (!pass(s, partition)) return;
            continue;
        }
        tally_begin(&r->tally, partition);
        if (!tally_go_on(&r->tally)) return;
        end_partition(s);
    }
    end(s);
}

static void on_added_up(struct tally *t) {
    end_partition(t->store);
    go_on(t->store);
}

void store_recount(struct store *s, uint32_t first, uint32_t last, void (*done)(struct store *s)) {
    struct recount *r = &s->recount;
    r->bucket = 0;
    if (r->is_under_way) {
        if (first < r->again) r->again = first;
        if (first < r->first) r->first = first;
        if (last > r->last) r->last = last;
        return;
    }
    r->is_under_way = true;
    r->done = done;
    r->partition = r->first = first;
    r->last = last;
    r->again = PARTITION_NONE;
    r->status = ST_OK;
    s->keyspaces.are_kept = true;
    s->audit.tally.is_valid = false; // something may be lost of what is in it
    later(s);
}
