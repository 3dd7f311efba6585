// SPDX-License-Identifier: Apache-2.0
//
// put.c -- writes: the old record is looked for, the new one applied, logged and kept in memory.
#include "store/internal.h"

enum {
    EVICTIONS_MAX = 6,
    READ_PART = 4,        // of the lookups, so many are for reads alone
    TREE_SLACK = 8192,    // bytes: a new node on each level of a tree, and a bucket
    RESERVE_PART = 8,     // of memory, so much at most is held back for one record
    HOLD_NS = 500 * 1000, // until writes that merges hold back are looked at again
};

struct footprint store_footprint(struct store *s, uint32_t entry) {
    const struct entry *e = memtable_entry(&s->table, entry);
    struct slice record = memtable_record(&s->table, entry);
    if (record.size == 0) return (struct footprint){0};
    return (struct footprint){
        .digest = record_digest(entry_key(e), record),
        .size = (uint32_t)(e->key_size + record.size),
        .is_live = e->is_live,
    };
}

// Memory.

bool store_make_room(struct store *s, uint64_t size) {
    uint64_t most = (uint64_t)s->table.tlsf.unit_count * TLSF_UNIT;
    if (s->table.tlsf.used + size <= most) return true;
    uint64_t wanted = s->table.tlsf.used + size - most;
    return memtable_evict(&s->table, store_clean_before(s), wanted) >= wanted;
}

uint64_t store_memory_min(const struct store_options *options) {
    // With its key, and a copy of that as a separator in the tree.
    uint64_t record = options->record_size_max + UINT64_C(2) * KEY_SIZE_MAX + TREE_SLACK;
    return RESERVE_PART * (record < TLSF_SIZE_MAX ? record : TLSF_SIZE_MAX);
}

size_t store_reserve_size(const struct store_options *options) {
    uint64_t min = store_memory_min(options);
    return (options->memory_max < min ? options->memory_max : min) / RESERVE_PART;
}

// Takes the memory back that is held in reserve: whatever is clean goes for it, if need be. Where
// that was not enough it waits for a flush, or for a second: all memory was gone through.
static bool take_reserve(struct store *s) {
    uint64_t wanted = s->table.reserve_size;
    while (!memtable_take_reserve(&s->table)) {
        if (s->is_reserve_wanting) return false;
        if (memtable_evict(&s->table, store_clean_before(s), wanted) == 0) {
            s->is_reserve_wanting = true;
            return false;
        }
        wanted *= 4;
    }
    return true;
}

// Puts the record of a key into memory; where memory is in pieces, more is evicted, and then the
// reserve is spent.
static bool keep(struct store *s, uint32_t tag, uint32_t *entry, struct partition partition,
                 struct slice key, struct slice record) {
    if (memtable_put(&s->table, tag, entry, partition, key, record)) return true;
    // The entry itself must stay, and is not dirty perhaps.
    uint64_t position = UINT64_MAX;
    if (*entry != 0) {
        position = entry_position(memtable_entry(&s->table, *entry));
        entry_set_position(memtable_entry(&s->table, *entry), UINT64_MAX);
    }
    uint64_t wanted = 4 * (key.size + record.size) + KEY_SIZE_MAX;
    bool is_kept = false;
    for (uint32_t i = 0; i < EVICTIONS_MAX && !is_kept; i++, wanted *= 4) {
        uint64_t freed = memtable_evict(&s->table, store_clean_before(s), wanted);
        is_kept = memtable_put(&s->table, tag, entry, partition, key, record);
        if (freed == 0) break;
    }
    if (!is_kept) is_kept = memtable_put_reserved(&s->table, tag, entry, partition, key, record);
    if (*entry != 0 && position != UINT64_MAX) {
        entry_set_position(memtable_entry(&s->table, *entry), position);
    }
    return is_kept;
}

void store_cache(struct store *s, struct partition partition, struct slice key,
                 struct slice record) {
    uint32_t tag = memtable_tag(&s->table, partition, key);
    uint32_t entry = memtable_find(&s->table, tag, partition, key);
    if (entry != 0) return;
    if (!keyspaces_serves(&s->keyspaces, partition)) return;
    if (keyspaces_find(&s->keyspaces, partition.keyspace) == KEYSPACE_NONE) return; // not by a read
    if (!store_make_room(s, sizeof(struct entry) + key.size + record.size +
                                s->table.reserve_size / 2)) {
        return;
    }
    struct footprint f = footprint_of(s->scratch, partition, key, record);
    if (!memtable_put(&s->table, tag, &entry, partition, key, record)) return;
    struct entry *e = memtable_entry(&s->table, entry);
    e->is_live = f.is_live;
    entry_set_position(e, 0);
}

void store_note_dirty(struct store *s, uint32_t entry, uint64_t old_position, uint64_t old_size) {
    const struct entry *e = memtable_entry(&s->table, entry);
    uint64_t from = s->flush.state == FLUSH_IDLE ? store_clean_before(s) : s->flush.position;
    uint64_t size = sizeof(*e) + e->key_size + memtable_record(&s->table, entry).size;
    s->dirty_size += size;
    if (old_position != 0 && old_position >= from) {
        s->dirty_size -= old_size;
    } else {
        s->dirty_count++;
    }
}

// Finishing.

static void on_later(struct env_op *op) {
    struct store *s = CONTAINER_OF(op, struct store, later_op);
    s->is_later = false;
    // What callbacks finish now waits for the next turn.
    struct list batch;
    list_init(&batch);
    while (!list_is_empty(&s->finished)) {
        struct list *link = s->finished.next;
        list_remove(link);
        list_append(&batch, link);
    }
    while (!list_is_empty(&batch)) {
        struct store_write *write = CONTAINER_OF(batch.next, struct store_write, link);
        list_remove(&write->link);
        write->done(write);
    }
}

static void finish(struct store *s, struct store_write *write, enum status status) {
    write->status = status;
    list_append(&s->finished, &write->link);
    if (s->is_later) return;
    s->is_later = true;
    s->later_op.done = on_later;
    env_later(s->env, &s->later_op);
}

// Memory is full of what only the log has: of whatever keeps it from becoming a table.
static enum status memory_status(const struct store *s) {
    return s->flush.status == ST_NO_SPACE ? ST_NO_SPACE : ST_NO_MEMORY;
}

// The status of a write that cannot begin now, or ST_OK. What a node keeps of its own may use the
// reserve: without that it could not start on a full disk, nor remove what fills it. Whoever adds
// to that looks first.
static enum status refusal(const struct store *s, const struct store_write *write) {
    if (store_is_failed(s)) return ST_IO;
    bool is_system = write->partition.slot >= SLOT_COUNT;
    uint64_t reserve = is_system ? 0 : commit_log_reserve(&s->log);
    if (s->is_disk_full && !is_system) return ST_NO_SPACE;
    if (commit_log_is_full(&s->log, reserve)) return ST_NO_SPACE;
    if (s->is_memory_full && s->flush.state == FLUSH_IDLE) return memory_status(s);
    return ST_OK;
}

// Running.

// Done when the record there is, which stays.
static void leave(struct store *s, struct store_write *write, uint32_t entry) {
    const struct entry *e = entry == 0 ? NULL : memtable_entry(&s->table, entry);
    if (e == NULL || store_is_shown(s, e)) {
        finish(s, write, ST_OK);
        return;
    }
    write->position = entry_position(e);
    list_append(&s->pending, &write->link);
}

// Keeps and logs what the write makes of the old record. `tag` is that of its key in memory.
static void change(struct store *s, struct store_write *write, uint32_t tag, uint32_t entry,
                   struct slice old, struct slice new) {
    struct change change = {.partition = write->partition, .key = write->key};
    uint64_t old_position = 0;
    uint64_t old_size = 0;
    if (entry != 0) {
        old_position = entry_position(memtable_entry(&s->table, entry));
        old_size = sizeof(struct entry) + write->key.size + old.size;
        change.old = store_footprint(s, entry);
    } else {
        change.old = footprint_of(s->scratch, write->partition, write->key, old);
    }
    struct footprint now = footprint_of(s->scratch, write->partition, write->key, new);
    store_scan_before_change(s, write->partition, write->key);
    if (new.size == 0) new.data = write->key.data; // a removal is kept until it is in a table
    if (!keep(s, tag, &entry, write->partition, write->key, new)) {
        s->is_memory_full = true;
        finish(s, write, memory_status(s));
        return;
    }
    s->is_memory_full = false;
    struct entry *e = memtable_entry(&s->table, entry);
    e->is_live = now.is_live;
    e->is_used = true;
    change.record = memtable_record(&s->table, entry);
    write->position = commit_log_append(&s->log, &change);
    s->logged += change_frame_size(&change);
    compaction_note_written(&s->compaction, change_frame_size(&change));
    entry_set_position(e, write->position);
    store_note_dirty(s, entry, old_position, old_size);
    must(facts_change(&s->facts, write->partition, write->key, &change.old,
                      &now)); // it has an entry
    tally_change(&s->recount.tally, write->partition, write->key, &change.old, &now);
    tally_change(&s->audit.tally, write->partition, write->key, &change.old, &now);
    list_append(&s->pending, &write->link);
}

// `entry`: where the record is in memory, 0: nowhere; `found`: what the tables hold in that case.
static void run(struct store *s, struct store_write *write, uint32_t tag, uint32_t entry,
                struct slice found) {
    struct slice old = entry != 0 ? memtable_record(&s->table, entry) : found;
    struct slice next = old;
    if (!keyspaces_serves(&s->keyspaces, write->partition)) {
        finish(s, write, ST_INVALID);
        return;
    }
    if (!keyspaces_has_room(&s->keyspaces, write->partition.keyspace)) {
        store_sweep(s, write->partition.keyspace);
        finish(s, write, ST_NO_MEMORY);
        return;
    }
    enum status status = write->apply(write, old, &next);
    if (status == ST_OK && next.size > s->options.record_size_max) status = ST_TOO_LARGE;
    if (status != ST_OK) {
        finish(s, write, status);
    } else if ((next.data == old.data && next.size == old.size) ||
               (next.size == 0 && old.size == 0)) {
        leave(s, write, entry);
    } else {
        change(s, write, tag, entry, old, next);
        store_flush_if_due(s);
    }
}

// Waiting.

bool store_has_log_room(struct store *s) {
    if (s->is_renewed && commit_log_has_room(&s->log)) {
        commit_log_mark(&s->log);
        s->is_renewed = false;
    }
    return commit_log_has_room(&s->log);
}

// True when a write can be carried out whose old record is known.
static bool can_run(struct store *s) {
    if (!store_has_log_room(s)) return false;
    // Half of the memory is for what tables have, too. A piece that is as large as the largest
    // record can be had: once a dot is minted for a write, a place for it must not be wanting.
    bool is_ahead = s->dirty_size + s->frozen_size > s->options.memory_max / 2;
    if (is_ahead && s->flush.state != FLUSH_IDLE) return false;
    if (!compaction_allows_writes(&s->compaction)) {
        if (!timer_is_armed(&s->hold)) timer_arm(s->timers, &s->hold, s->env->now + HOLD_NS);
        return false;
    }
    if (!is_ahead && store_make_room(s, s->table.reserve_size) && take_reserve(s)) return true;
    s->wants_flush = true;
    store_flush_if_due(s);
    // It waits for a flush, or for the merge that a flush waits for; unless they fail.
    bool flush_fails = s->flush.state == FLUSH_IDLE && s->flush.status != ST_OK;
    if (flush_fails || compaction_is_stuck(&s->compaction)) s->is_memory_full = true;
    return false;
}

// True when a write can begin, whatever it finds. Some lookups are left to reads.
static bool can_begin(struct store *s) {
    return pool_left(&s->lookups.pool) > s->options.lookups_max / READ_PART && can_run(s);
}

// Runs the write, or looks for its old record first.
static void begin(struct store *s, struct store_write *write) {
    uint32_t tag = memtable_tag(&s->table, write->partition, write->key);
    uint32_t entry = memtable_find(&s->table, tag, write->partition, write->key);
    if (entry != 0 || !lookups_may_find(&s->lookups, write->partition, write->key)) {
        run(s, write, tag, entry, (struct slice){NULL, 0});
        return;
    }
    struct lookup *l = lookups_begin(&s->lookups, write->partition, write->key);
    must(l != NULL); // can_begin
    list_append(&l->writes, &write->link);
}

void store_put(struct store *s, struct store_write *write) {
    must(s->is_open);
    must(write->key.size > 0);
    must(write->key.size <= KEY_SIZE_MAX);
    must(partition_is_good(write->partition));
    list_init(&write->link);
    write->asked = s->env->now;
    enum status status = refusal(s, write);
    struct lookup *l = lookups_find(&s->lookups, write->partition, write->key);
    // Of those that wait one may be of the same key.
    bool must_wait = !list_is_empty(&s->waiting);
    if (status != ST_OK) {
        finish(s, write, status);
    } else if (must_wait || (l == NULL && !can_begin(s))) {
        list_append(&s->waiting, &write->link);
    } else if (l != NULL) {
        list_append(&l->writes, &write->link); // behind those that came before
    } else {
        begin(s, write);
    }
}

void store_wake_writes(struct store *s) {
    while (!list_is_empty(&s->waiting)) {
        struct store_write *write = CONTAINER_OF(s->waiting.next, struct store_write, link);
        enum status status = refusal(s, write);
        struct lookup *l = lookups_find(&s->lookups, write->partition, write->key);
        if (status == ST_OK && l == NULL && !can_begin(s)) {
            if (refusal(s, write) == ST_OK) return;
            continue;
        }
        list_remove(&write->link);
        if (status != ST_OK) {
            finish(s, write, status);
        } else if (l != NULL) {
            list_append(&l->writes, &write->link);
        } else {
            begin(s, write);
        }
    }
}

void store_answer_writes(struct store *s, struct lookup *l) {
    struct list *later = s->waiting.next; // those that wait were asked for after these
    bool is_held = false;
    while (!list_is_empty(&l->writes)) {
        struct store_write *write = CONTAINER_OF(l->writes.next, struct store_write, link);
        list_remove(&write->link);
        enum status status = refusal(s, write);
        if (status == ST_OK && l->status != ST_OK && l->status != ST_NOT_FOUND) status = l->status;
        if (status != ST_OK) {
            finish(s, write, status);
        } else if (!is_held && can_run(s)) {
            uint32_t tag = memtable_tag(&s->table, write->partition, write->key);
            uint32_t entry = memtable_find(&s->table, tag, write->partition, write->key);
            run(s, write, tag, entry, l->record);
        } else {
            is_held = true; // and all behind it, even if there should be room now
            list_append(later, &write->link);
        }
    }
}

void store_show_writes(struct store *s) {
    while (!list_is_empty(&s->pending)) {
        struct store_write *write = CONTAINER_OF(s->pending.next, struct store_write, link);
        if (write->position >= s->log.shown && !s->log.is_failed) return;
        list_remove(&write->link);
        write->status = write->position < s->log.shown ? ST_OK : ST_IO;
        if (write->status == ST_OK) s->write_count++;
        if (write->is_asked_for) pace_note(&s->pace, PACE_DISK, s->env->now - write->asked);
        write->done(write);
    }
}
