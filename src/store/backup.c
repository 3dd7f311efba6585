// SPDX-License-Identifier: Apache-2.0
//
// backup.c -- snapshots as the owner of a store sees them, and stores that are made of them.
#include "store/internal.h"

static bool is_live(void *context, enum snapshot_kind kind, uint32_t number) {
    const struct store *s = context;
    switch (kind) {
    case SNAPSHOT_FACTS:
        return number == s->manifest.current.facts_number;
    case SNAPSHOT_SEGMENT:
        return s->segments.count > 0 && number >= segment_set_at(&s->segments, 0)->number;
    case SNAPSHOT_TABLE:
        return manifest_has(&s->manifest.current, number);
    case SNAPSHOT_MANIFEST:
        break;
    }
    unreachable();
}

void store_count_pinned(struct store *s) {
    snapshot_set_count(&s->snapshots.set, is_live, s);
}

static void on_idle(struct snapshots *snapshots) {
    struct store *s = CONTAINER_OF(snapshots, struct store, snapshots);
    if (s->is_open) {
        store_count_pinned(s);
        store_drop_go_on(s);
    } else {
        store_close_when_quiet(s);
    }
}

enum status store_snapshot_make(struct store *s, struct slice name, store_snapshot_done *done,
                                void *context) {
    must(s->is_open);
    if (store_is_failed(s)) return ST_IO;
    // The keys of a keyspace are to be in facts and manifest, or in neither.
    if (s->drop.is_wanted) return ST_BUSY;
    if (s->log.mark.is_damaged || s->recount.is_under_way) return ST_CORRUPT;
    return snapshots_make(&s->snapshots, name, done, context);
}

enum status store_snapshot_delete(struct store *s, struct slice name, store_snapshot_done *done,
                                  void *context) {
    must(s->is_open);
    return snapshots_delete(&s->snapshots, name, done, context);
}

uint32_t store_snapshots(const struct store *s, struct store_snapshot to[SNAPSHOTS_MAX]) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < SNAPSHOTS_MAX; i++) {
        const struct snapshot *from = &s->snapshots.set.all[i];
        if (!from->is_whole) continue;
        to[count] = (struct store_snapshot){
            .file_count = from->file_count, .size = from->size, .own = from->own};
        memcpy(to[count++].name, from->name, sizeof(from->name));
    }
    return count;
}

void store_snapshots_init(struct store *s, struct arena *arena) {
    struct snapshots *all = &s->snapshots;
    all->env = s->env;
    all->log = &s->log;
    all->facts = &s->facts;
    all->manifest = &s->manifest;
    all->recovered = store_on_snapshots;
    all->idle = on_idle;
    snapshots_init(all, arena);
}

// Restoring.

uint64_t store_restored_for(const struct store *s) {
    return s->manifest.current.origin.cluster;
}

size_t store_restore_memory_size(void) {
    return SSTABLES_MAX * sizeof(struct manifest_table) + manifest_size_max() + (size_t)64 * 2;
}

enum status store_restore(struct arena *arena, struct slice snapshot, uint64_t actor,
                          uint64_t cluster, struct slice *restored, uint32_t *files) {
    must(actor != 0);
    must(cluster != 0);
    struct manifest m = {.tables = ARENA_ARRAY(arena, struct manifest_table, SSTABLES_MAX)};
    uint8_t *bytes = arena_take(arena, manifest_size_max(), 1);
    uint32_t good = 0;
    enum status status = manifest_decode(&m, snapshot, &good);
    if (status != ST_OK) return status;
    if (m.origin.kind != MANIFEST_SNAPSHOT) return ST_CORRUPT;
    *files = m.origin.files;
    m.origin.kind = MANIFEST_RESTORED;
    m.origin.actor = actor;
    m.origin.cluster = cluster;
    *restored = (struct slice){bytes, manifest_encode(&m, bytes)};
    return ST_OK;
}
