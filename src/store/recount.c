// SPDX-License-Identifier: Apache-2.0
//
// recount.c -- facts added up anew from what is there, one partition after the other.
//
// After damage nobody knows what was lost, and so what it had added. A merge of damaged tables
// comes to its own conclusion: it may have read a block while that was good, or find one damaged
// that was counted. So what it has made is added up once more. Copies in memory of what tables have
// lost go before that: they would count as there until they are evicted.
//
// Writes go on meanwhile: one of a key that the scan has passed changes both sums, any other only
// the old one, which is replaced when the scan has come to its end.
#include "store/internal.h"

enum { BUCKETS_MAX = 64 }; // of memory, before env_later, which comes some thirty times in one turn

static void on_scanned(struct store_scan *scan);

static bool on_visited(struct store_scan *scan, struct slice key, struct slice record,
                       bool is_durable) {
    struct store *s = CONTAINER_OF(scan, struct store, recount.scan);
    (void)is_durable;
    static const struct footprint none;
    struct footprint now = footprint_of(s->scratch, scan->partition, key, record);
    part_facts_change(&s->recount.sum, key, &none, &now);
    return true;
}

// A partition that cannot be read to its end keeps what it had.
static void end_partition(struct store *s) {
    struct recount *r = &s->recount;
    enum status status = r->scan.status;
    if (status == ST_OK) {
        facts_replace(&s->facts, r->scan.partition, &r->sum);
    } else if (r->status == ST_OK) {
        r->status = status;
        env_log(s->env, ENV_WARNING, "recount_failed slot=%u status=\"%s\"", r->slot,
                status_text(status));
    }
    r->slot++;
    if (r->slot % (SLOT_COUNT / 8) == 0) {
        env_log(s->env, ENV_INFO, "recount_progress slots=%u of=%u", r->slot, SLOT_COUNT);
    }
    if (r->again < r->slot) r->slot = r->again;
    r->again = UINT32_MAX;
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

static void go_on(struct store *s) {
    struct recount *r = &s->recount;
    while (r->slot <= r->last) {
        if (!s->is_open && s->is_closing) break;
        if (!forget_copies(s)) {
            later(s);
            return;
        }
        r->sum = (struct part_facts){0};
        r->scan = (struct store_scan){.visit = on_visited, .done = on_scanned};
        r->scan.partition = (struct partition){.slot = (uint16_t)r->slot};
        if (!store_each(s, &r->scan)) return;
        end_partition(s);
    }
    r->is_under_way = false;
    r->count++;
    r->done(s);
}

static void on_scanned(struct store_scan *scan) {
    struct store *s = CONTAINER_OF(scan, struct store, recount.scan);
    end_partition(s);
    go_on(s);
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
    r->slot = r->first = first;
    r->last = last;
    r->again = UINT32_MAX;
    r->status = ST_OK;
    later(s);
}

void store_recount_change(struct store *s, struct partition partition, struct slice key,
                          const struct footprint *old, const struct footprint *new) {
    struct recount *r = &s->recount;
    const struct scanning *sc = &s->scanning;
    if (!r->is_under_way || partition.slot != r->slot || !sc->is_under_way) return;
    if (sc->queue.next != &r->scan.link || sc->after_size == 0) return;
    struct slice after = {sc->after, sc->after_size};
    if (slice_compare(key, after) <= 0) part_facts_change(&r->sum, key, old, new);
}
