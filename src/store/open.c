// SPDX-License-Identifier: Apache-2.0
//
// open.c -- what a directory holds: manifest, left-over files, facts, tables, log.
//
//     manifest -> sync names -> snapshots -> remove what it does not name -> facts -> tables
//         -> log from its position on -> (add the facts up anew) -> a new run of the log -> open
//
// A table that cannot be read is damage, like a hole in the log: the store opens without it, says
// so, and its owner gets from peers what is missing. Facts then follow from what is there.
#include "store/internal.h"

static struct store *of(struct env_op *op) {
    return CONTAINER_OF(op, struct store, opening.op);
}

static void fail(struct store *s, const char *what, enum status status) {
    env_log(s->env, ENV_ERROR, "recovery_failed at=%s status=\"%s\"", what, status_text(status));
    s->done_status = status;
    store_close_tables(s);
}

// The log.

// Storage id under which this store mints; that of its files is `storage`.
static uint64_t own_id(const struct store *s, uint64_t storage) {
    const struct manifest_origin *origin = &s->manifest.current.origin;
    return origin->kind == MANIFEST_RESTORED ? origin->actor : storage;
}

static void note_own_dots(struct store *s, uint64_t storage, struct slice record) {
    uint64_t own = own_id(s, storage);
    if (record_decode(s->scratch, record) != ST_OK) return;
    for (uint32_t i = 0; i < s->scratch->context.count; i++) {
        const struct version *v = &s->scratch->context.entries[i];
        if (v->actor.storage != own || v->actor.epoch < s->actor.epoch) continue;
        if (v->actor.epoch > s->actor.epoch) s->own_counter = 0;
        s->actor.epoch = v->actor.epoch;
        if (v->counter > s->own_counter) s->own_counter = v->counter;
    }
}

static enum status on_replay(struct recovery *r, uint64_t position, const struct frame *frame) {
    struct store *s = CONTAINER_OF(r, struct store, recovery);
    const struct change *c = &frame->change;
    note_own_dots(s, r->storage, c->record);
    if (position < s->manifest.current.position) return ST_OK; // it is in a table
    if (!keyspaces_serves(&s->keyspaces, c->partition)) return ST_OK;
    if (!keyspaces_has_room(&s->keyspaces, c->partition.keyspace)) {
        store_tell_keyspaces_full(s, c->partition.keyspace);
        return ST_TOO_LARGE;
    }
    uint32_t tag = memtable_tag(&s->table, c->partition, c->key);
    uint32_t entry = memtable_find(&s->table, tag, c->partition, c->key);
    uint64_t old_position = 0;
    uint64_t old_size = 0;
    if (entry != 0) {
        old_position = entry_position(memtable_entry(&s->table, entry));
        old_size = sizeof(struct entry) + c->key.size + memtable_record(&s->table, entry).size;
    }
    struct slice record = c->record;
    if (record.size == 0) record.data = c->key.data;
    if (!memtable_put(&s->table, tag, &entry, c->partition, c->key, record) &&
        !memtable_put_reserved(&s->table, tag, &entry, c->partition, c->key, record)) {
        env_log(s->env, ENV_ERROR, "recovery_failed memory_max=%llu records=%llu",
                (unsigned long long)s->options.memory_max, (unsigned long long)r->replayed);
        return ST_NO_MEMORY;
    }
    struct footprint now = footprint_of(s->scratch, c->partition, c->key, record);
    struct entry *e = memtable_entry(&s->table, entry);
    e->is_live = now.is_live;
    entry_set_position(e, position);
    store_note_dirty(s, entry, old_position, old_size);
    must(facts_change(&s->facts, c->partition, c->key, &c->old, &now)); // it has an entry
    return ST_OK;
}

// The mark from which this run goes on: what the log said last, or the manifest, or what records
// tell of us.
static bool find_mark(struct store *s, struct mark *mark) {
    const struct recovery *r = &s->recovery;
    const struct manifest *m = &s->manifest.current;
    *mark = r->mark;
    if (m->epoch > mark->epoch || (m->epoch == mark->epoch && m->minted > mark->minted)) {
        mark->epoch = m->epoch;
        mark->minted = m->minted;
    }
    bool is_known = s->actor.epoch <= mark->epoch;
    if (!is_known) { // somebody knows a later life of ours
        mark->epoch = s->actor.epoch;
        mark->minted = 0;
    }
    if (s->actor.epoch == mark->epoch && s->own_counter > mark->minted) {
        mark->minted = s->own_counter;
    }
    return is_known;
}

// Who mints from now on. The epoch goes on only when it is proven that nothing was forgotten: the
// log ended in order, or after an end that cannot have been a sync that was later lost.
static void take_identity(struct store *s) {
    const struct recovery *r = &s->recovery;
    struct mark *mark = &s->log.mark;
    bool is_damaged = r->was_damaged || s->opening.is_damaged || r->mark.is_damaged;
    if (!r->has_mark) {
        uint64_t storage = hash_number(s->options.seed);
        *mark = (struct mark){.epoch = 1};
        s->log.storage = storage == 0 ? 1 : storage;
    } else {
        s->log.storage = r->storage;
        bool is_proven = find_mark(s, mark) && !is_damaged && r->is_blank &&
                         (r->ends_clean || !mark->has_interval);
        if (!is_proven) {
            mark->epoch++;
            mark->minted = 0;
        }
    }
    mark->run++;
    mark->is_damaged |= is_damaged;
    s->actor = (struct actor){.storage = own_id(s, s->log.storage), .epoch = mark->epoch};
}

// What was read beyond what the log proves to be on disk may be in a cache that forgot to write it,
// after a sync that failed. It is written once more, and shown when it is synced.

static bool is_proved(const struct store *s, const struct entry *e) {
    return entry_position(e) < s->opening.proved || entry_position(e) >= s->opening.begin;
}

struct change_again {
    struct store *store;
    uint64_t size;
};

static struct change change_of(const struct store *s, uint32_t entry) {
    const struct entry *e = memtable_entry(&s->table, entry);
    return (struct change){.partition = e->partition,
                           .key = entry_key(e),
                           .record = memtable_record(&s->table, entry)};
}

static void on_counted(void *context, uint32_t entry) {
    struct change_again *again = context;
    const struct store *s = again->store;
    if (is_proved(s, memtable_entry(&s->table, entry))) return;
    struct change change = change_of(s, entry);
    again->size += change_frame_size(&change);
}

// Where in the last segment the run can begin if there is no space for another, or 0.
static uint64_t last_place(struct store *s) {
    const struct recovery *r = &s->recovery;
    uint64_t at = r->blank_from;
    if (at == 0 || at < s->manifest.current.position || r->end < r->mark.synced) return 0;
    const struct segment_info *last = segment_set_at(&s->segments, s->segments.count - 1);
    must(last->number == position_number(at));
    if (last->size != s->log.options.segment_size) return 0; // of a time of other limits
    struct change_again again = {.store = s};
    for (uint32_t bucket = 0; bucket < memtable_bucket_count(&s->table); bucket++) {
        memtable_each(&s->table, bucket, on_counted, &again);
    }
    return commit_log_can_begin_at(&s->log, at, again.size) ? at : 0;
}

static void start_log(struct store *s) {
    const struct recovery *r = &s->recovery;
    // A log that has nothing in it begins anew, in the place of what the first start, cut short,
    // has left: whoever finds two segments knows that there was something.
    uint32_t number = r->has_mark ? r->number_max : 0;
    uint32_t needed = position_number(s->manifest.current.position);
    if (number < needed) number = needed;
    s->log.mark.oldest =
        s->segments.count > 0 ? segment_set_at(&s->segments, 0)->number : number + 1;
    if (needed > 0) s->log.mark.oldest = needed;
    s->opening.proved = r->mark.synced;
    s->log.proof_max = s->opening.proved;
    s->opening.begin = UINT64_MAX;
    s->log.last_place = last_place(s);
    commit_log_start(&s->log, number + 1, r->end);
}

static void on_recounted(struct store *s) {
    s->opening.needs_facts = false;
    s->scanning.merge.skips_damage = false;
    if (s->set.damaged > 0) s->log.mark.is_damaged = true;
    if (s->recount.status != ST_OK) {
        fail(s, "facts", s->recount.status); // nothing is right of what could not be read
        return;
    }
    start_log(s);
}

static void on_log_damage(struct recovery *r, const struct log_damage *d) {
    uint32_t segment = position_number(d->from);
    uint32_t offset = position_offset(d->from);
    switch (d->kind) {
    case LOG_HEADER:
        env_log(r->env, ENV_WARNING, "header_damaged segment=%016x good_copies=%u", segment,
                d->good_copies);
        return;
    case LOG_HOLE:
        env_log(r->env, ENV_ERROR, "log_damaged segment=%016x from=%u until_segment=%016x until=%u",
                segment, offset, position_number(d->until), position_offset(d->until));
        return;
    case LOG_BEGIN:
        env_log(r->env, ENV_ERROR, "segments_missing first=%016x wanted=%016x", segment,
                position_number(d->until));
        return;
    case LOG_END:
        env_log(r->env, ENV_ERROR, "log_ends_early segment=%016x offset=%u", segment, offset);
        return;
    }
    unreachable();
}

// The first time that a restored store is opened it must hold what its snapshot was made of, unless
// its facts do not follow from what was read.
static bool is_as_saved(const struct store *s) {
    const struct recovery *r = &s->recovery;
    const struct manifest_origin *origin = &s->manifest.current.origin;
    bool is_first = r->number_max <= position_number(origin->end);
    if (origin->kind != MANIFEST_RESTORED || !is_first) return true;
    bool is_exact = !s->opening.is_damaged && !s->opening.needs_facts && !r->was_damaged;
    if (!is_exact || r->has_gap) return true;
    uint64_t digest = facts_digest(&s->facts);
    if (s->facts.totals.key_count == origin->key_count && digest == origin->digest) return true;
    env_log(s->env, ENV_ERROR, "snapshot_differs keys=%llu digest=%016llx saved=%llu saved=%016llx",
            (unsigned long long)s->facts.totals.key_count, (unsigned long long)digest,
            (unsigned long long)origin->key_count, (unsigned long long)origin->digest);
    return false;
}

static void on_recovered(struct recovery *r, enum status status) {
    struct store *s = CONTAINER_OF(r, struct store, recovery);
    struct opening *o = &s->opening;
    if (status == ST_OK && !is_as_saved(s)) status = ST_CORRUPT;
    if (status != ST_OK) {
        fail(s, "log", status);
        return;
    }
    bool is_new = !r->has_mark;
    take_identity(s);
    // What is there from a time of larger limits stays until it is in a table.
    if (r->frame_max > s->log.options.frame_max) s->log.options.frame_max = r->frame_max;
    env_log(s->env, ENV_INFO,
            "recovered records=%llu segments=%u tables=%u damaged=%llu storage=%016llx epoch=%u "
            "run=%u new=%d",
            (unsigned long long)r->replayed, s->segments.count, s->set.count,
            (unsigned long long)r->damage_count, (unsigned long long)s->log.storage, s->actor.epoch,
            s->log.mark.run, is_new);
    s->log.maker.has_blank = r->has_blank;
    s->compaction.storage = s->log.storage;
    s->lookups.hash_seed = s->flush.hash_seed = s->compaction.hash_seed = s->log.storage;
    // Frames that are missing would have said what they replaced. Those in a gap were written again
    // as what they replace themselves.
    o->needs_facts |= s->log.mark.is_damaged || r->has_gap;
    s->wants_flush = o->needs_facts;
    if (!o->needs_facts) {
        start_log(s);
        return;
    }
    // What is in a damaged block is not counted; nor is it served.
    s->scanning.merge.skips_damage = true;
    facts_clear(&s->facts);
    store_recount(s, 0, PARTITION_NONE, on_recounted);
}

static void read_log(struct store *s) {
    recovery_init(&s->recovery, s->env, &s->segments, s->log.buffers[0].data, s->log.buffer_size,
                  commit_log_frame_limit(&s->log));
    s->recovery.position = s->manifest.current.position;
    s->recovery.tables_storage = s->manifest.current.storage;
    s->recovery.replay = on_replay;
    s->recovery.found = on_log_damage;
    s->recovery.done = on_recovered;
    recovery_start(&s->recovery);
}

// Tables.

static void load_next(struct store *s);

static void on_loaded(struct sstable_loader *l, enum status status) {
    struct store *s = CONTAINER_OF(l, struct store, opening.loader);
    struct opening *o = &s->opening;
    if (status == ST_OK && !sstable_set_fits(&s->set, l->table)) {
        env_log(s->env, ENV_ERROR, "tables_overlap table=%016x", l->table->number);
        fail(s, "manifest", ST_CORRUPT); // not even what is known can be right
        return;
    }
    if (status == ST_OK) {
        sstable_set_add(&s->set, l->table);
    } else {
        sstable_set_give(&s->set, l->table);
        if (status != ST_CORRUPT && status != ST_NOT_FOUND) {
            fail(s, "table", status);
            return;
        }
        o->is_damaged = true;
        s->set.damaged++;
        manifest_remove(&s->manifest.current, s->manifest.current.tables[o->table].number);
        o->table--; // the last one is in its place now
    }
    o->table++;
    load_next(s);
}

static void load_next(struct store *s) {
    struct opening *o = &s->opening;
    const struct manifest *m = &s->manifest.current;
    if (o->table == m->table_count) {
        read_log(s);
        return;
    }
    const struct manifest_table *named = &m->tables[o->table];
    struct sstable *t = sstable_set_take(&s->set);
    must(t != NULL); // a manifest names at most SSTABLES_MAX
    t->number = named->number;
    t->first = named->first;
    t->last = named->last;
    t->sequence = named->sequence;
    o->loader.env = s->env;
    o->loader.memory = &s->memory;
    o->loader.done = on_loaded;
    o->loader.storage = m->storage;
    o->loader.block_max = (uint32_t)s->flush.writer.block_max; // it will be written again
    o->loader.table = t;
    sstable_load(&o->loader);
}

// Facts.

static void on_facts_closed(struct env_op *op) {
    struct store *s = of(op);
    if (s->opening.has_many_facts) {
        env_log(s->env, ENV_ERROR, "keyspaces_full file=%016x keyspaces_max=%u",
                s->manifest.current.facts_number, s->options.keyspaces_max);
        fail(s, "facts", ST_TOO_LARGE);
        return;
    }
    if (s->opening.needs_facts) {
        env_log(s->env, ENV_ERROR, "facts_damaged file=%016x", s->manifest.current.facts_number);
    }
    load_next(s);
}

static void on_facts_read(struct env_op *op) {
    struct store *s = of(op);
    const struct manifest *m = &s->manifest.current;
    enum status status = op->status;
    struct slice bytes = {s->flush.facts_bytes, op->size};
    if (status == ST_OK) status = facts_open(&s->facts, m->storage, m->facts_number, bytes);
    flush_give_facts(&s->flush);
    s->opening.has_many_facts = status == ST_TOO_LARGE;
    s->opening.needs_facts = status != ST_OK;
    op->done = on_facts_closed;
    env_close(s->env, op, s->opening.file);
}

static void on_facts_opened(struct env_op *op) {
    struct store *s = of(op);
    if (op->status != ST_OK) {
        s->opening.needs_facts = true;
        load_next(s);
        return;
    }
    // It is as large as the parts it has: then it is one of more keyspaces than can be.
    s->opening.has_many_facts = op->value > facts_file_size_max(s->options.keyspaces_max);
    size_t least = facts_file_size_max(1);
    size_t size = op->value > least ? op->value : least;
    s->opening.needs_facts = !flush_take_facts(&s->flush, size);
    if (s->opening.has_many_facts || s->opening.needs_facts) {
        op->status = ST_OK;
        op->done = on_facts_closed;
        flush_give_facts(&s->flush);
        env_close(s->env, op, s->opening.file);
        return;
    }
    op->done = on_facts_read;
    env_read(s->env, op, s->opening.file, 0, s->flush.facts_bytes, (uint32_t)size);
}

static void read_facts(struct store *s) {
    uint32_t number = s->manifest.current.facts_number;
    if (number == 0) {
        load_next(s);
        return;
    }
    file_name(FACTS_PREFIX, number, s->opening.name);
    s->opening.op.done = on_facts_opened;
    env_open(s->env, &s->opening.op, s->opening.name, ENV_OPEN, &s->opening.file);
}

// Left-over files.

// Numbers that were handed out after the manifest was saved are not handed out again while their
// files are there: checksums tell two files apart by them.
static void note_number(struct store *s, const char *name) {
    uint32_t number = 0;
    bool is_numbered = file_name_parse(SSTABLE_PREFIX, name, &number) ||
                       file_name_parse(FACTS_PREFIX, name, &number);
    if (is_numbered) manifest_pass_number(&s->manifest, number);
}

static void remove_next(struct store *s);

static void on_removed(struct env_op *op) {
    struct store *s = of(op);
    if (op->status != ST_OK && op->status != ST_NOT_FOUND) {
        fail(s, "left-over file", op->status);
        return;
    }
    remove_next(s);
}

static void remove_next(struct store *s) {
    struct opening *o = &s->opening;
    const char *names = (const char *)s->log.buffers[0].data;
    while (o->names_at < o->names_size) {
        const char *name = names + o->names_at;
        o->names_at += (uint32_t)strlen(name) + 1;
        note_number(s, name);
        if (!manifest_leaves_over(&s->manifest.current, name)) continue;
        o->op.done = on_removed;
        env_remove(s->env, &o->op, name);
        return;
    }
    read_facts(s);
}

// Files of snapshots that were brought here, and no store that could have made them.
static bool holds_only_snapshots(const struct store *s) {
    const char *names = (const char *)s->log.buffers[0].data;
    bool has_any = false;
    for (uint32_t at = 0; at < s->opening.names_size; at += (uint32_t)strlen(names + at) + 1) {
        struct snapshot_part part;
        uint32_t number = 0;
        if (file_name_parse(SEGMENT_PREFIX, names + at, &number)) return false;
        has_any |= snapshot_file_parse(names + at, &part);
    }
    return has_any;
}

static void on_listed(struct env_op *op) {
    struct store *s = of(op);
    if (op->status != ST_OK) {
        fail(s, "list of files", op->status);
        return;
    }
    s->opening.names_size = op->size;
    s->opening.names_at = 0;
    if (s->manifest.current.storage == 0 && holds_only_snapshots(s)) {
        fail(s, "list of files", ST_SNAPSHOT);
        return;
    }
    const char *names = (const char *)s->log.buffers[0].data;
    if (manifest_is_missing(&s->manifest.current, names, op->size)) {
        env_log(s->env, ENV_ERROR, "manifest_missing"); // its tables are not taken for left over
        fail(s, "manifest", ST_CORRUPT);
        return;
    }
    snapshots_recover(&s->snapshots, s->log.buffers[0].data, op->size);
}

void store_on_snapshots(struct snapshots *snapshots) {
    struct store *s = CONTAINER_OF(snapshots, struct store, snapshots);
    if (snapshots->status != ST_OK) {
        fail(s, "snapshots", snapshots->status);
        return;
    }
    remove_next(s);
}

static void on_names_synced(struct env_op *op) {
    struct store *s = of(op);
    if (op->status != ST_OK) {
        fail(s, "names of files", op->status);
        return;
    }
    op->done = on_listed;
    env_list(s->env, op, s->log.buffers[0].data, s->log.buffer_size);
}

// A process that was killed may have given the manifest its name without forcing that to disk. What
// it does not name goes only afterwards, else a power loss could bring the one before it back.
static void on_manifest(struct manifest_file *f) {
    struct store *s = CONTAINER_OF(f, struct store, manifest);
    if (f->status !=
        ST_OK) { // if it is of another version, there is nothing to be done with it here
        fail(s, "manifest", f->status == ST_INVALID ? ST_CORRUPT : f->status);
        return;
    }
    if (f->current.origin.kind == MANIFEST_SNAPSHOT) {
        fail(s, "manifest", ST_SNAPSHOT); // what is in here belongs to another
        return;
    }
    manifest_note_drops(&f->current, &s->keyspaces);
    s->opening.op.done = on_names_synced;
    env_sync_names(s->env, &s->opening.op);
}

void store_begin_open(struct store *s) {
    manifest_read(&s->manifest, on_manifest);
}

static void write_again(struct store *s);

static void on_unproved(void *context, uint32_t entry) {
    struct store *s = context;
    struct opening *o = &s->opening;
    struct entry *e = memtable_entry(&s->table, entry);
    if (is_proved(s, e)) return;
    if (!commit_log_has_room(&s->log)) {
        o->is_short_of_room = true;
        return;
    }
    struct change change = change_of(s, entry);
    change.old = store_footprint(s, entry);
    entry_set_position(e, commit_log_append(&s->log, &change));
    o->written_again++;
}

static void end_for_want_of_room(struct store *s) {
    enum status status = commit_log_refusal(&s->log);
    if (status == ST_OK) return;
    env_log(s->env, ENV_ERROR, "recovery_failed at=\"new segment\" status=\"%s\"",
            status_text(status));
    s->opening.is_writing_again = false;
    s->done_status = status;
    commit_log_stop(&s->log);
}

static void write_again(struct store *s) {
    struct opening *o = &s->opening;
    for (; o->bucket < memtable_bucket_count(&s->table); o->bucket++) {
        o->is_short_of_room = false;
        memtable_each(&s->table, o->bucket, on_unproved, s);
        if (o->is_short_of_room) {
            end_for_want_of_room(s); // or store_opening_goes_on comes
            return;
        }
    }
    if (o->until == 0) {
        o->until = s->log.cursor;
        if (o->written_again > 0) {
            env_log(s->env, ENV_INFO, "written_again records=%llu",
                    (unsigned long long)o->written_again);
        }
        commit_log_sync(&s->log);
    }
    if (s->log.synced < o->until && o->written_again > 0) return;
    o->is_writing_again = false;
    s->log.proof_max = UINT64_MAX;
    // Only now does a mark prove it: what was lost of both copies without that passes for a torn
    // end.
    if (o->written_again > 0 && commit_log_has_room(&s->log)) commit_log_mark(&s->log);
    store_opened(s);
}

void store_opening_goes_on(struct store *s) {
    if (!s->opening.is_writing_again) return;
    if (s->log.is_failed) {
        s->opening.is_writing_again = false;
        store_opened(s); // which fails
        return;
    }
    write_again(s);
}

void store_begin_run(struct store *s) {
    struct opening *o = &s->opening;
    o->is_writing_again = true;
    o->begin = s->log.cursor;
    write_again(s);
}
