// SPDX-License-Identifier: Apache-2.0
//
// tally.c -- what one partition holds, added up while writes go on.
//
// A write of a key that is in the sum already changes the sum, too; one of a key that is still to
// come is found as it is then. So at the end the sum is that of this moment, as the facts should
// be.
//
// A stretch ends behind a record, and the next begins there: between two of them other scans have
// their turn, and whoever adds up may rest.
#include "store/internal.h"

static bool on_visited(struct store_scan *scan, struct slice key, struct slice record,
                       bool is_durable) {
    struct tally *t = CONTAINER_OF(scan, struct tally, scan);
    struct store *s = t->store;
    (void)is_durable;
    static const struct footprint none;
    struct footprint now = footprint_of(s->scratch, scan->partition, key, record);
    part_facts_change(&t->sum, key, &none, &now);
    t->seen += now.size;
    if (t->after == NULL || (t->seen < t->most && s->is_open)) return true;
    memcpy(t->after, key.data, key.size);
    t->after_size = key.size;
    t->is_whole = false;
    return false;
}

static void on_scanned(struct store_scan *scan) {
    struct tally *t = CONTAINER_OF(scan, struct tally, scan);
    t->done(t);
}

void tally_begin(struct tally *t, struct partition partition) {
    t->sum = (struct part_facts){0};
    t->partition = partition;
    t->after_size = 0;
    t->is_valid = true;
}

bool tally_go_on(struct tally *t) {
    t->seen = 0;
    t->is_whole = true; // unless it ends before
    t->scan = (struct store_scan){
        .visit = on_visited,
        .done = on_scanned,
        .partition = t->partition,
        .after = {t->after, t->after_size},
        .ignores_copies = t->ignores_copies,
    };
    return store_each(t->store, &t->scan);
}

// The last key that is in the sum, or was found to have no record. While a scan is under way, what
// it has passed is the last of it.
static struct slice passed(const struct tally *t) {
    const struct scanning *sc = &t->store->scanning;
    bool is_scanning = sc->is_under_way && sc->queue.next == &t->scan.link;
    if (is_scanning) return (struct slice){sc->after, sc->after_size};
    return (struct slice){t->after, t->after_size};
}

void tally_note_drop(struct tally *t) {
    t->is_valid &= keyspaces_serves(&t->store->keyspaces, t->partition);
}

void tally_change(struct tally *t, struct partition partition, struct slice key,
                  const struct footprint *old, const struct footprint *new) {
    if (!t->is_valid || partition_number(partition) != partition_number(t->partition)) return;
    struct slice last = passed(t);
    if (last.size > 0 && slice_compare(key, last) <= 0) part_facts_change(&t->sum, key, old, new);
}
