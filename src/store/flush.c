// SPDX-License-Identifier: Apache-2.0
#include "store/flush.h"

#include "base/little.h"

enum { VISITS_MAX = 256 }; // before env_later, which comes some thirty times in one turn

size_t flush_memory_size(uint32_t record_size_max) {
    return sstable_writer_memory_size(record_size_max) + facts_file_size_max(1) + KEY_SIZE_MAX +
           (size_t)64 * 4;
}

void flush_init(struct flush *f, struct arena *arena, struct tlsf *memory,
                uint32_t record_size_max) {
    sstable_writer_init(&f->writer, arena, f->env, memory, f->compressor, record_size_max);
    f->memory = memory;
    f->facts_own = arena_take(arena, facts_file_size_max(1), 1);
    f->after = arena_take(arena, KEY_SIZE_MAX, 1);
    f->state = FLUSH_IDLE;
}

static struct flush *of(struct env_op *op) {
    return CONTAINER_OF(op, struct flush, op);
}

static struct flush *of_writer(struct sstable_writer *w) {
    return CONTAINER_OF(w, struct flush, writer);
}

static void over(struct flush *f, enum status status) {
    f->state = FLUSH_IDLE;
    f->status = status;
    f->done(f);
}

static void add_made(struct flush *f) {
    f->written += f->writer.offset;
    sstable_writer_take(&f->writer, f->made);
    sstable_set_add(f->set, f->made);
    f->made = NULL;
}

// Giving up.

static void on_facts_removed(struct env_op *op) {
    struct flush *f = of(op);
    over(f, f->status);
}

static void remove_facts(struct flush *f) {
    if (f->manifest->is_uncertain) { // they may be needed
        over(f, f->status);
        return;
    }
    file_name(FACTS_PREFIX, f->facts_number, f->name);
    f->op.done = on_facts_removed;
    env_remove(f->env, &f->op, f->name);
}

static void on_abandoned(struct sstable_writer *w) {
    remove_facts(of_writer(w));
}

static void give_up(struct flush *f, enum status status) {
    f->state = FLUSH_GIVE_UP;
    f->status = status;
    if (f->made != NULL) sstable_set_give(f->set, f->made);
    f->made = NULL;
    if (f->writer.state == WRITER_FREE) {
        remove_facts(f);
    } else {
        sstable_writer_abandon(&f->writer, f->manifest->is_uncertain, on_abandoned);
    }
}

static bool must_give_up(struct flush *f) {
    if (!f->is_stopping && !f->log->is_failed && !f->manifest->is_uncertain) return false;
    give_up(f, f->is_stopping ? ST_CANCELLED : ST_IO);
    return true;
}

// Segments.

static void remove_segment(struct flush *f);

static void on_segment_removed(struct env_op *op) {
    struct flush *f = of(op);
    if (op->status != ST_OK && op->status != ST_NOT_FOUND) {
        over(f, ST_OK); // the next start removes it
        return;
    }
    remove_segment(f);
}

static void remove_segment(struct flush *f) {
    struct segment_set *segments = f->log->segments;
    uint32_t first = position_number(f->position);
    if (f->is_stopping || segments->count == 0 || segment_set_at(segments, 0)->number >= first) {
        over(f, ST_OK);
        return;
    }
    file_name(SEGMENT_PREFIX, segment_set_at(segments, 0)->number, f->name);
    segment_set_remove_first(segments);
    f->op.done = on_segment_removed;
    env_remove(f->env, &f->op, f->name);
}

static void on_old_facts_removed(struct env_op *op) {
    remove_segment(of(op));
}

// The manifest.

static void on_saved(struct manifest_file *m);

static bool is_synced(const struct flush *f) {
    return f->log->synced >= f->barrier;
}

static void save(struct flush *f) {
    f->state = FLUSH_MANIFEST;
    if (f->manifest->is_busy) return; // flush_go_on comes again
    if (must_give_up(f)) return;
    struct manifest *next = &f->manifest->next;
    manifest_copy(next, &f->manifest->current);
    next->storage = f->log->storage;
    next->position = f->position;
    next->epoch = f->log->mark.epoch;
    next->minted = f->log->mark.minted;
    next->facts_number = f->facts_number;
    if (f->writer.state == WRITER_DONE) {
        const struct sstable_writer *w = &f->writer;
        const struct manifest_table made = {
            .number = w->plan.number,
            .first = w->footer.first,
            .last = w->footer.last,
            .sequence = w->plan.sequence,
        };
        manifest_add(next, &made);
        next->next_sequence = made.sequence + 1;
    }
    if (!f->table->keyspaces->is_unswept) manifest_forget_drops(next);
    f->manifest->context = f;
    manifest_save(f->manifest, on_saved);
}

static void on_saved(struct manifest_file *m) {
    struct flush *f = m->context;
    if (m->status != ST_OK) {
        give_up(f, m->status);
        return;
    }
    if (f->writer.state == WRITER_DONE) add_made(f);
    if (f->made != NULL) sstable_set_give(f->set, f->made);
    f->made = NULL;
    f->count++;
    f->log->mark.oldest = position_number(f->position);
    f->state = FLUSH_SEGMENTS;
    uint32_t old = f->old_facts_number;
    f->switched(f);
    if (old == 0) {
        remove_segment(f);
        return;
    }
    file_name(FACTS_PREFIX, old, f->name);
    f->op.done = on_old_facts_removed;
    env_remove(f->env, &f->op, f->name);
}

static void wait_for_log(struct flush *f) {
    f->state = FLUSH_BARRIER;
    f->barrier = f->log->cursor;
    if (is_synced(f)) {
        save(f);
    } else {
        commit_log_sync(f->log);
    }
}

void flush_go_on(struct flush *f) {
    if (f->state != FLUSH_BARRIER && f->state != FLUSH_MANIFEST) return;
    if (f->state == FLUSH_MANIFEST && f->manifest->is_busy) return;
    if (is_synced(f)) {
        save(f);
    } else {
        (void)must_give_up(f);
    }
}

void flush_stop(struct flush *f) {
    f->is_stopping = true;
    flush_go_on(f);
}

// The table.

static void walk(struct flush *f);

static void on_writer(struct sstable_writer *w) {
    struct flush *f = of_writer(w);
    if (w->status != ST_OK) {
        give_up(f, w->status);
    } else if (!must_give_up(f)) {
        walk(f);
    }
}

static void on_finished(struct sstable_writer *w) {
    struct flush *f = of_writer(w);
    if (w->status != ST_OK) {
        give_up(f, w->status);
    } else if (!must_give_up(f)) {
        wait_for_log(f);
    }
}

static void on_nothing_left(struct sstable_writer *w) {
    wait_for_log(of_writer(w));
}

static bool on_entry(void *context, uint32_t entry) {
    struct flush *f = context;
    const struct entry *e = memtable_entry(f->table, entry);
    struct slice key = entry_key(e);
    uint64_t position = entry_position(e);
    bool is_served = keyspaces_serves(f->table->keyspaces, e->partition);
    if (is_served && position >= f->manifest->current.position && position < f->position) {
        struct slice record = memtable_record(f->table, entry);
        uint64_t digest = record.size == 0 ? 0 : record_digest(key, record);
        sstable_writer_add(&f->writer, e->partition, key, record, digest);
    }
    bool is_enough = ++f->visits == VISITS_MAX || sstable_writer_is_full(&f->writer) ||
                     f->writer.status != ST_OK;
    if (!is_enough) return true;
    memcpy(f->after, key.data, key.size);
    f->after_size = key.size;
    return false;
}

static void on_later(struct env_op *op) {
    struct flush *f = of(op);
    if (!must_give_up(f)) walk(f);
}

static void pause_walk(struct flush *f) {
    if (f->writer.status != ST_OK) {
        give_up(f, f->writer.status);
    } else if (sstable_writer_is_full(&f->writer)) {
        sstable_writer_write(&f->writer, on_writer);
    } else {
        f->op.done = on_later;
        env_later(f->env, &f->op);
    }
}

static void walk(struct flush *f) {
    f->state = FLUSH_TABLE;
    f->visits = 0;
    while (f->partition != PARTITION_NONE) {
        uint32_t root = memtable_root(f->table, partition_of_number(f->partition));
        const struct order_start start = {.key = {f->after, f->after_size}};
        if (!order_each(&f->table->tlsf, root, &start, on_entry, f)) {
            pause_walk(f);
            return;
        }
        f->partition = keyspaces_next(f->table->keyspaces, f->partition);
        f->after_size = 0;
    }
    if (sstable_writer_key_count(&f->writer) > 0) {
        sstable_writer_finish(&f->writer, on_finished);
    } else {
        sstable_writer_abandon(&f->writer, false, on_nothing_left);
    }
}

// Facts.

// Those of several keyspaces are large, and seldom wanted: there memory of tables is lent for a
// moment.
bool flush_take_facts(struct flush *f, size_t size) {
    must(f->facts_block == 0);
    f->facts_bytes = f->facts_own;
    if (size <= facts_file_size_max(1)) return true;
    f->facts_block = size > TLSF_SIZE_MAX ? 0 : tlsf_take(f->memory, size);
    if (f->facts_block == 0) return false;
    f->facts_bytes = tlsf_at(f->memory, f->facts_block);
    return true;
}

void flush_give_facts(struct flush *f) {
    if (f->facts_block != 0) tlsf_give(f->memory, f->facts_block);
    f->facts_block = 0;
}

static void on_facts_named(struct env_op *op) {
    struct flush *f = of(op);
    f->made = NULL;
    if (op->status != ST_OK) {
        give_up(f, op->status);
        return;
    }
    if (must_give_up(f)) return;
    const struct sstable_plan plan = {
        .number = f->facts_number + 1,
        .storage = f->log->storage,
        .sequence = f->manifest->current.next_sequence,
        .hash_seed = f->hash_seed,
        .key_count = filter_keys_above(f->key_count),
        .block_size = f->block_size,
    };
    f->made = sstable_set_take(f->set);
    if (f->made == NULL) {
        give_up(f, ST_NO_MEMORY);
        return;
    }
    f->state = FLUSH_TABLE;
    sstable_writer_open(&f->writer, &plan, on_writer);
}

static void on_facts_closed(struct env_op *op) {
    struct flush *f = of(op);
    if (f->status != ST_OK) {
        give_up(f, f->status);
        return;
    }
    op->done = on_facts_named;
    env_sync_names(f->env, op);
}

static void on_facts_synced(struct env_op *op) {
    struct flush *f = of(op);
    f->status = op->status;
    op->done = on_facts_closed;
    env_close(f->env, op, f->file);
}

static void on_facts_written(struct env_op *op) {
    struct flush *f = of(op);
    flush_give_facts(f);
    if (op->status != ST_OK) {
        on_facts_synced(op);
        return;
    }
    op->done = on_facts_synced;
    env_sync(f->env, op, f->file);
}

static void on_facts_created(struct env_op *op) {
    struct flush *f = of(op);
    if (op->status != ST_OK) {
        flush_give_facts(f);
        give_up(f, op->status);
        return;
    }
    op->done = on_facts_written;
    env_write(f->env, op, f->file, 0, f->facts_bytes, (uint32_t)f->facts_size);
}

void flush_start(struct flush *f, uint64_t key_count) {
    must(f->state == FLUSH_IDLE);
    f->state = FLUSH_FACTS;
    f->status = ST_OK;
    f->key_count = key_count;
    f->position = f->log->tail; // where its last frame ends; the next begins there or later
    f->partition = 0;
    f->after_size = 0;
    f->old_facts_number = f->manifest->current.facts_number;
    f->facts_number = manifest_take_numbers(f->manifest, 2);
    size_t size = facts_encoded_size(f->facts);
    if (!flush_take_facts(f, piece_size_of(size))) {
        env_log(f->env, ENV_WARNING, "facts_not_written bytes=%zu request=memory", size);
        give_up(f, ST_NO_MEMORY);
        return;
    }
    struct writer w = writer_to(f->facts_bytes + PIECE_HEAD, size);
    facts_encode(f->facts, &w);
    must(!w.failed);
    struct piece piece = {.size = (uint32_t)w.size, .raw_size = (uint32_t)w.size};
    f->facts_size =
        piece_seal(sstable_id(f->log->storage, f->facts_number), 0, &piece, f->facts_bytes);
    file_name(FACTS_PREFIX, f->facts_number, f->name);
    f->op.done = on_facts_created;
    env_open(f->env, &f->op, f->name, ENV_CREATE, &f->file);
}
