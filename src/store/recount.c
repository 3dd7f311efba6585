// SPDX-License-Identifier: Apache-2.0
//
// recount.c -- facts added up anew from what is there, one partition after the other.
//
// After damage nobody knows what was lost, and so what it had added. Writes go on meanwhile: one of
// a key that the scan has passed changes both sums, any other only the old one, which is replaced
// when the scan has come to its end.
#include "store/internal.h"

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

static void begin(struct recount *r) {
    r->begins_anew = false;
    r->slot = 0;
    r->status = ST_OK;
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
    if (r->begins_anew) begin(r);
}

static void go_on(struct store *s) {
    struct recount *r = &s->recount;
    while (r->slot <= SLOT_SYSTEM) {
        r->sum = (struct part_facts){0};
        r->scan = (struct store_scan){.visit = on_visited, .done = on_scanned};
        r->scan.partition = (struct partition){.slot = (uint16_t)r->slot};
        if (!s->is_open && s->is_closing) break;
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

void store_recount(struct store *s, void (*done)(struct store *s)) {
    struct recount *r = &s->recount;
    r->done = done;
    r->begins_anew = true;
    if (r->is_under_way) return;
    begin(r);
    r->is_under_way = true;
    go_on(s);
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
