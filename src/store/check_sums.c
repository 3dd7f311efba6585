// SPDX-License-Identifier: Apache-2.0
#include "store/check_sums.h"

#include <inttypes.h>

enum { READ_SIZE = 256 * 1024 };

static void on_ready(struct merge *m);

size_t sum_check_memory_size(void) {
    return FULL_KEY_MAX + 1 + (size_t)64;
}

void sum_check_init(struct sum_check *c, struct arena *arena) {
    c->merge.ready = on_ready;
    c->merge.read_size = READ_SIZE;
    c->merge.skips_damage = true; // which is told of by whoever looks at the table
    c->merge.seek = arena_take(arena, FULL_KEY_MAX + 1, 1);
}

void sum_check_begin(struct sum_check *c, const char *file, uint64_t storage) {
    c->file = file;
    c->storage = storage;
    c->next = 0;
    c->sum = (struct part_facts){0};
    c->has_failed = false;
}

static void compare(struct sum_check *c, uint32_t number, const struct part_facts *is) {
    const struct part_facts *says = facts_part(c->facts, partition_of_number(number));
    if (memcmp(says, is, sizeof(*is)) != 0) {
        uint64_t digest = 0;
        for (uint32_t i = 0; i < STORE_LEAVES; i++) digest += says->leaves[i] - is->leaves[i];
        findings_add(c->findings, c->file, (struct stretch){0, 0}, CHECK_MENDED,
                     "partition %" PRIu32 ": said to be %" PRIu64 " keys, %" PRIu64
                     " live, of %" PRIu64 " bytes, is %" PRIu64 ", %" PRIu64 ", of %" PRIu64
                     "; digests differ by %016" PRIx64,
                     number, says->key_count, says->live_count, says->size, is->key_count,
                     is->live_count, is->size, digest);
    }
}

// Compares what comes before the partition and was not compared yet: there are no more keys of it.
static void go_to(struct sum_check *c, uint64_t partition) {
    if (c->next >= partition) return;
    static const struct part_facts none;
    uint32_t at = (uint32_t)c->next;
    if (partition_is_good(partition_of_number(at))) compare(c, at, &c->sum);
    for (;;) { // of those in between only what is said of them can be wrong
        at = keyspaces_next(c->facts->keyspaces, at);
        if (at == PARTITION_NONE || at >= partition) break;
        compare(c, at, &none);
    }
    c->sum = (struct part_facts){0};
    c->next = partition;
}

static void end_stretch(struct sum_check *c) {
    if (!c->has_failed) go_to(c, (uint64_t)c->merge.last + 1);
    merge_end(&c->merge);
    c->done(c);
}

static void fail(struct sum_check *c, const char *why) {
    findings_add(c->findings, c->file, (struct stretch){0, 0}, CHECK_MENDED,
                 "partitions from %" PRIu64 " on cannot be added up: %s", c->next, why);
    c->has_failed = true;
    end_stretch(c);
}

static void add_record(struct sum_check *c) {
    static const struct footprint none;
    struct partition partition = full_key_partition(c->merge.key);
    struct slice key = full_key_rest(c->merge.key);
    go_to(c, partition_number(partition));
    if (!keyspaces_serves(c->facts->keyspaces, partition)) return;
    if (key_set_find(c->written, full_key_hash(c->storage, partition, key)) != NULL) return;
    struct footprint now = footprint_of(c->scratch, partition, key, c->merge.record);
    part_facts_change(&c->sum, key, &none, &now);
}

static void go_on(struct sum_check *c) {
    for (;;) {
        switch (merge_next(&c->merge)) {
        case MERGE_LOADING:
            return;
        case MERGE_FAILED:
            fail(c, status_text(c->merge.status));
            return;
        case MERGE_END:
            end_stretch(c);
            return;
        case MERGE_RECORD:
            add_record(c);
        }
    }
}

static void on_ready(struct merge *m) {
    go_on(CONTAINER_OF(m, struct sum_check, merge));
}

void sum_check_stretch(struct sum_check *c, const struct sstable_set *set, struct sstable *base,
                       uint32_t last) {
    struct merge *m = &c->merge;
    merge_begin(m, last);
    for (uint32_t i = 0; i < set->count && m->status == ST_OK; i++) {
        struct sstable *t = set->tables[i];
        bool is_wanted = t == base || (t->sequence > 0 && t->file != NULL);
        if (is_wanted && t->first <= last && t->last >= c->next) m->status = merge_add(m, t);
    }
    if (m->status != ST_OK) {
        bool is_many = m->status == ST_BUSY;
        fail(c, is_many ? "too many tables lie above each other" : status_text(m->status));
        return;
    }
    merge_seek(m, partition_of_number((uint32_t)c->next), (struct slice){NULL, 0}, false);
    if (merge_is_quiet(m)) go_on(c);
}
