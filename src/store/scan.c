// SPDX-License-Identifier: Apache-2.0
//
// scan.c -- goes through one partition in order: memory and tables at once.
//
// What is in memory is the newest of its key. A scan that needs no table ends before store_each
// returns; others wait for each other. While one waits for a block, memory may change: keys before
// the last one visited are done with, those behind it are found as they are then. If tables were
// added or taken out meanwhile, it begins anew behind the last key.
//
// So a scan shows the state at its end, but for keys written after they were visited. One that
// wants a single state ends when that would happen: what it has visited is then the state just
// before.
#include "store/internal.h"

enum {
    READ_SIZE = 16 * 1024,
    VISITS_MAX = 2048, // before others have their turn
};

static void on_ready(struct merge *m);

void store_scan_init(struct store *s, struct arena *arena) {
    struct scanning *sc = &s->scanning;
    list_init(&sc->queue);
    sc->after = arena_take(arena, KEY_SIZE_MAX, 1);
    sc->merge.env = s->env;
    sc->merge.memory = &s->memory;
    sc->merge.compressor = &s->compressor;
    sc->merge.ready = on_ready;
    sc->merge.read_size = READ_SIZE;
    sc->merge.seek = arena_take(arena, FULL_KEY_MAX + 1, 1);
}

static struct store_scan *current(const struct store *s) {
    return CONTAINER_OF(s->scanning.queue.next, struct store_scan, link);
}

// The first entry in memory past a key.

struct first {
    uint32_t entry;
};

static bool on_first(void *context, uint32_t entry) {
    ((struct first *)context)->entry = entry;
    return false;
}

static uint32_t next_in_memory(struct store *s) {
    const struct scanning *sc = &s->scanning;
    struct first first = {0};
    uint32_t root = memtable_root(&s->table, current(s)->partition);
    const struct order_start start = {
        {sc->after, sc->after_size}, sc->is_inclusive, current(s)->is_reverse};
    (void)order_each(&s->table.tlsf, root, &start, on_first, &first);
    return first.entry;
}

// Merging.

static void begin_merge(struct store *s) {
    struct scanning *sc = &s->scanning;
    struct partition partition = current(s)->partition;
    uint32_t number = partition_number(partition);
    uint64_t hash = partition_hash(s->lookups.hash_seed, partition);
    sc->generation = s->set.generation;
    sc->has_record = false;
    merge_begin(&sc->merge, number);
    uint32_t next = 0;
    struct sstable *t;
    while (sc->merge.status == ST_OK &&
           (t = sstable_set_next_holding(&s->set, number, hash, &next)) != NULL) {
        sc->merge.status = merge_add(&sc->merge, t);
    }
    sc->is_merge_over = sc->merge.status == ST_OK && sc->merge.count == 0;
    if (sc->merge.status != ST_OK || sc->is_merge_over) return;
    struct slice after = {sc->after, sc->after_size};
    if (current(s)->is_reverse) {
        merge_seek_back(&sc->merge, partition, after, sc->is_inclusive);
    } else {
        merge_seek(&sc->merge, partition, after, after.size > 0 && !sc->is_inclusive);
    }
}

static void begin_next(struct store *s);

static void end(struct store *s, enum status status) {
    struct scanning *sc = &s->scanning;
    struct store_scan *scan = current(s);
    if (status == ST_CORRUPT) store_note_damage(s);
    merge_end(&sc->merge);
    list_remove(&scan->link);
    sc->is_under_way = false;
    scan->status = status;
    scan->read = sc->merge.read;
    scan->done(scan);
    begin_next(s);
}

// What is visited next: memory's, or else the tables'. False: the scan waits, or has ended.
struct next {
    struct slice key;
    struct slice record;
    bool is_durable;
};

// Takes a record out of the merge. False: it is loading, or the scan has ended with a failure.
static bool fetch(struct store *s) {
    struct scanning *sc = &s->scanning;
    while (!sc->has_record && !sc->is_merge_over) {
        switch (merge_next(&sc->merge)) {
        case MERGE_LOADING:
            return false;
        case MERGE_FAILED:
            end(s, sc->merge.status);
            return false;
        case MERGE_END:
            sc->is_merge_over = true;
            break;
        case MERGE_RECORD:
            sc->has_record = true;
            break;
        }
    }
    return true;
}

// True for a copy of what the tables hold, where those are asked themselves.
static bool is_ignored(const struct store *s, const struct store_scan *scan,
                       const struct entry *e) {
    return scan->ignores_copies && entry_position(e) < store_clean_before(s);
}

// The next key of both sides past the last one. False: there is none.
static bool choose(struct store *s, struct next *next) {
    struct scanning *sc = &s->scanning;
    uint32_t entry = next_in_memory(s);
    if (entry == 0 && !sc->has_record) return false;
    struct slice on_disk = {NULL, 0};
    if (sc->has_record) on_disk = full_key_rest(sc->merge.key);
    const struct entry *e = entry == 0 ? NULL : memtable_entry(&s->table, entry);
    int order = -1; // of memory against the tables
    if (e == NULL) {
        order = 1;
    } else if (sc->has_record) {
        order = slice_compare(entry_key(e), on_disk);
        if (current(s)->is_reverse) order = -order;
    }
    bool is_copy = e != NULL && is_ignored(s, current(s), e);
    if (order > 0 || (order == 0 && is_copy)) {
        *next = (struct next){on_disk, sc->merge.record, true};
    } else if (is_copy) {
        *next = (struct next){entry_key(e), {NULL, 0}, true};
    } else {
        *next =
            (struct next){entry_key(e), memtable_record(&s->table, entry), store_is_shown(s, e)};
    }
    if (order >= 0) sc->has_record = false;
    return true;
}

static void on_later(struct env_op *op);

static void go_on(struct store *s) {
    struct scanning *sc = &s->scanning;
    struct store_scan *scan = current(s);
    for (uint32_t visits = 0; visits < VISITS_MAX; visits++) {
        struct next next;
        if (!fetch(s)) return;
        if (!choose(s, &next)) {
            end(s, ST_OK);
            return;
        }
        bool goes_on =
            next.record.size == 0 || scan->visit(scan, next.key, next.record, next.is_durable);
        must(next.key.data != NULL);
        memcpy(sc->after, next.key.data, next.key.size);
        sc->after_size = next.key.size;
        sc->is_inclusive = false;
        sc->has_visited = true;
        if (goes_on) continue;
        sc->is_over = true;
        break;
    }
    sc->is_later = true;
    sc->op.done = on_later;
    env_later(s->env, &sc->op);
}

// The merge is quiet: ends it, begins it anew, or goes on.
static void proceed(struct store *s) {
    struct scanning *sc = &s->scanning;
    if (sc->is_over || !keyspaces_serves(&s->keyspaces, current(s)->partition)) {
        end(s, ST_OK);
        return;
    }
    if (sc->generation != s->set.generation) {
        merge_end(&sc->merge);
        begin_merge(s);
        if (!merge_is_quiet(&sc->merge)) return;
    }
    go_on(s);
}

static void on_later(struct env_op *op) {
    struct store *s = CONTAINER_OF(op, struct store, scanning.op);
    s->scanning.is_later = false;
    if (merge_is_quiet(&s->scanning.merge)) proceed(s);
}

static void on_ready(struct merge *m) {
    struct store *s = CONTAINER_OF(m, struct store, scanning.merge);
    if (!s->scanning.is_later) proceed(s);
}

static void begin_next(struct store *s) {
    struct scanning *sc = &s->scanning;
    if (sc->is_under_way || list_is_empty(&sc->queue)) return;
    struct store_scan *scan = current(s);
    sc->is_under_way = true;
    sc->is_over = false;
    if (scan->after.size > 0) memcpy(sc->after, scan->after.data, scan->after.size);
    sc->after_size = scan->after.size;
    sc->is_inclusive = scan->is_inclusive;
    sc->has_visited = false;
    sc->merge.read = 0;
    begin_merge(s);
    if (!merge_is_quiet(&sc->merge)) return;
    sc->is_later = true;
    sc->op.done = on_later;
    env_later(s->env, &sc->op);
}

// True when the key lies from where the scan began up to the last one visited.
static bool is_visited(const struct scanning *sc, const struct store_scan *scan, struct slice key) {
    int sign = scan->is_reverse ? -1 : 1;
    struct slice last = {sc->after, sc->after_size};
    bool is_begun = scan->after.size == 0 || sign * slice_compare(key, scan->after) >= 0;
    return is_begun && sign * slice_compare(key, last) <= 0;
}

void store_scan_before_change(struct store *s, struct partition partition, struct slice key) {
    struct scanning *sc = &s->scanning;
    if (!sc->is_under_way || !sc->has_visited || sc->is_over) return;
    struct store_scan *scan = current(s);
    if (!scan->is_one_state || partition_number(partition) != partition_number(scan->partition)) {
        return;
    }
    if (!is_visited(sc, scan, key)) return;
    sc->is_over = true;
    scan->is_cut = true;
}

// In memory alone.

struct listing {
    struct store *store;
    struct store_scan *scan;
};

static bool on_listed(void *context, uint32_t entry) {
    struct listing *l = context;
    const struct memtable *t = &l->store->table;
    const struct entry *e = memtable_entry(t, entry);
    struct slice record = memtable_record(t, entry);
    if (record.size == 0 || is_ignored(l->store, l->scan, e)) return true;
    return l->scan->visit(l->scan, entry_key(e), record, store_is_shown(l->store, e));
}

bool store_each(struct store *s, struct store_scan *scan) {
    must(s->is_open || s->recount.is_under_way);
    must(scan->after.size <= KEY_SIZE_MAX);
    scan->is_cut = false;
    scan->status = ST_OK;
    scan->read = 0;
    if (!keyspaces_serves(&s->keyspaces, scan->partition)) return true;
    uint32_t next = 0;
    uint64_t hash = partition_hash(s->lookups.hash_seed, scan->partition);
    uint32_t number = partition_number(scan->partition);
    if (sstable_set_next_holding(&s->set, number, hash, &next) == NULL) {
        struct listing l = {s, scan};
        uint32_t root = memtable_root(&s->table, scan->partition);
        const struct order_start start = {scan->after, scan->is_inclusive, scan->is_reverse};
        (void)order_each(&s->table.tlsf, root, &start, on_listed, &l);
        return true;
    }
    list_init(&scan->link);
    list_append(&s->scanning.queue, &scan->link);
    begin_next(s);
    return false;
}
