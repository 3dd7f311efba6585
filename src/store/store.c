// SPDX-License-Identifier: Apache-2.0
#include "store/store.h"

#include "store/checkpoint.h"
#include "store/commit_log.h"
#include "store/recovery.h"
#include "store/table.h"

enum {
    MEMORY_MIN = 1024 * 1024,
    TICK_NS = 1000 * 1000 * 1000,
};

struct store {
    struct env *env;
    struct timers *timers;
    struct store_options options;
    struct table table;
    struct segment_set segments;
    struct commit_log log;
    struct checkpoint checkpoint;
    struct recovery recovery;
    struct record *scratch;
    struct actor actor;
    uint64_t own_counter; // highest of this actor in what was replayed
    bool is_open;
    bool is_renewed; // its mark is not in the log yet
    bool is_disk_full;
    bool is_memory_full;
    bool is_looking; // for space on the disk
    bool is_checkpoint_over;

    store_done *done; // of open or close
    void *done_context;
    enum status done_status;

    struct list waiting;  // writes for which the log has no room
    struct list pending;  // writes in the log, in the order of their positions
    struct list finished; // writes that are done
    struct list readers;  // reads of what is not shown yet
    struct env_op later_op;
    bool is_later;
    struct env_op space_op;
    struct timer tick;

    uint32_t segment_count; // when space was looked for
    uint64_t disk_free;
    uint64_t write_count;
};

static struct store_options sane(const struct store_options *options) {
    struct store_options o = *options;
    if (o.memory_max < MEMORY_MIN) o.memory_max = MEMORY_MIN;
    must(o.memory_max <= STORE_MEMORY_MAX);
    o.segment_size -= o.segment_size % SECTOR_SIZE;
    // What is refused to writes must do for copies that make the log smaller.
    if (o.disk_reserve < 2 * o.segment_size) o.disk_reserve = 2 * o.segment_size;
    return o;
}

static struct commit_log_options log_options(const struct store_options *o) {
    return (struct commit_log_options){
        .segment_size = o->segment_size,
        .interval_ns = o->sync_interval_ns,
        .frame_max = FRAME_HEAD_SIZE + RECORD_HEAD_SIZE + KEY_SIZE_MAX + o->record_size_max,
    };
}

size_t store_memory_size(const struct store_options *options) {
    struct store_options o = sane(options);
    struct commit_log_options log = log_options(&o);
    enum { ROUNDING = 64 * 32 }; // things taken from the arena begin on cache lines
    return sizeof(struct store) + sizeof(struct record) + table_memory_size(o.memory_max) +
           segment_set_memory_size() + commit_log_memory_size(&log) + checkpoint_memory_size(&log) +
           ROUNDING;
}

static void on_log_started(struct commit_log *log);
static void on_shown(struct commit_log *log);
static void on_room(struct commit_log *log);
static void on_log_stopped(struct commit_log *log);
static void on_checkpoint_stopped(struct checkpoint *checkpoint);
static void on_tick(struct timer *timer);

struct store *store_create(struct arena *arena, struct env *env, struct timers *timers,
                           const struct store_options *options) {
    struct store *s = ARENA_NEW(arena, struct store);
    s->env = env;
    s->timers = timers;
    s->options = sane(options);
    table_init(&s->table, arena, s->options.memory_max, hash_number(s->options.seed + 1));
    segment_set_init(&s->segments, arena);
    struct commit_log_options log = log_options(&s->options);
    commit_log_init(&s->log, arena, env, timers, &log);
    s->log.segments = &s->segments;
    s->log.started = on_log_started;
    s->log.shown_more = on_shown;
    s->log.has_more_room = on_room;
    s->log.stopped = on_log_stopped;
    checkpoint_init(&s->checkpoint, arena, &s->table, &s->log);
    s->checkpoint.stopped = on_checkpoint_stopped;
    s->scratch = ARENA_NEW(arena, struct record);
    list_init(&s->waiting);
    list_init(&s->pending);
    list_init(&s->finished);
    list_init(&s->readers);
    s->tick.fired = on_tick;
    return s;
}

static void over(struct store *s, enum status status) {
    store_done *done = s->done;
    s->done = NULL;
    done(s->done_context, status);
}

// Opening.

// Counts a frame at the position as live, or no longer.
static void count_live(struct store *s, uint64_t position, bool is_live) {
    struct segment_info *info = segment_set_find(&s->segments, position_number(position));
    if (info == NULL) return; // recovery dropped it
    if (is_live) {
        info->live_count++;
    } else {
        must(info->live_count > 0);
        info->live_count--;
    }
}

static void forget(struct store *s, uint32_t tag, uint32_t entry) {
    count_live(s, entry_position(table_entry(&s->table, entry)), false);
    table_remove(&s->table, tag, entry);
}

// Puts a record whose frame is at a position yet to be told.
static bool keep(struct store *s, uint32_t tag, uint32_t *entry, struct partition partition,
                 struct slice key, struct slice record) {
    uint64_t old = *entry == 0 ? 0 : entry_position(table_entry(&s->table, *entry));
    if (!table_put(&s->table, tag, entry, partition, key, record)) return false;
    if (old != 0) count_live(s, old, false);
    return true;
}

static void note_own_dots(struct store *s, uint64_t storage, struct slice record) {
    if (record_decode(s->scratch, record) != ST_OK) return;
    for (uint32_t i = 0; i < s->scratch->context.count; i++) {
        const struct version *v = &s->scratch->context.entries[i];
        if (v->actor.storage != storage || v->actor.epoch < s->actor.epoch) continue;
        if (v->actor.epoch > s->actor.epoch) s->own_counter = 0;
        s->actor.epoch = v->actor.epoch;
        if (v->counter > s->own_counter) s->own_counter = v->counter;
    }
}

static enum status on_replay(struct recovery *r, uint64_t position, const struct frame *frame) {
    struct store *s = CONTAINER_OF(r, struct store, recovery);
    uint32_t tag = table_tag(&s->table, frame->partition, frame->key);
    uint32_t entry = table_find(&s->table, tag, frame->partition, frame->key);
    if (frame->record.size == 0) {
        if (entry != 0) forget(s, tag, entry);
        return ST_OK;
    }
    note_own_dots(s, r->storage, frame->record);
    if (!keep(s, tag, &entry, frame->partition, frame->key, frame->record)) {
        env_log(s->env, ENV_ERROR, "recovery_failed memory_max=%llu records=%llu",
                (unsigned long long)s->options.memory_max, (unsigned long long)r->replayed);
        return ST_NO_SPACE;
    }
    entry_set_position(table_entry(&s->table, entry), position);
    count_live(s, position, true);
    return ST_OK;
}

// Who mints from now on. The epoch goes on only when it is proven that nothing was forgotten: the
// log ended in order, or after an end that cannot have been a sync that was later lost.
static void take_identity(struct store *s) {
    const struct recovery *r = &s->recovery;
    struct mark *mark = &s->log.mark;
    *mark = r->mark;
    if (r->storage == 0 || !r->has_mark) {
        uint64_t storage = hash_number(s->options.seed);
        *mark = (struct mark){.epoch = 1};
        s->log.storage = storage == 0 ? 1 : storage;
    } else {
        s->log.storage = r->storage;
        bool is_proven = !r->was_damaged && r->is_blank && (r->ends_clean || !mark->has_interval);
        if (s->actor.epoch > mark->epoch) { // somebody knows a later life of ours
            mark->epoch = s->actor.epoch;
            is_proven = false;
        }
        if (s->actor.epoch == mark->epoch && s->own_counter > mark->minted) {
            mark->minted = s->own_counter;
        }
        if (!is_proven) {
            mark->epoch++;
            mark->minted = 0;
        }
    }
    mark->run++;
    mark->is_damaged |= r->was_damaged;
    s->actor = (struct actor){.storage = s->log.storage, .epoch = mark->epoch};
}

static void on_recovered(struct recovery *r, enum status status) {
    struct store *s = CONTAINER_OF(r, struct store, recovery);
    if (status != ST_OK) {
        over(s, status);
        return;
    }
    bool is_new = !r->has_mark;
    take_identity(s);
    // What is there from a time of larger limits will be copied.
    if (r->frame_max > s->log.options.frame_max) s->log.options.frame_max = r->frame_max;
    env_log(
        s->env, ENV_INFO,
        "recovered records=%llu segments=%u damaged=%llu storage=%016llx epoch=%u run=%u new=%d",
        (unsigned long long)r->replayed, s->segments.count, (unsigned long long)r->damage_count,
        (unsigned long long)s->log.storage, s->actor.epoch, s->log.mark.run, is_new);
    s->log.maker.has_blank = r->has_blank;
    s->checkpoint.unsound_last = r->damaged_last;
    uint32_t number = r->number_max + 1;
    s->log.mark.oldest = s->segments.count > 0 ? segment_set_at(&s->segments, 0)->number : number;
    commit_log_start(&s->log, number, r->end);
}

static void look_for_space(struct store *s);

static void on_log_started(struct commit_log *log) {
    struct store *s = CONTAINER_OF(log, struct store, log);
    if (log->is_failed) {
        s->done_status = log->maker.state == MAKER_FAILED ? log->maker.status : ST_IO;
        commit_log_stop(log);
        return;
    }
    s->is_open = true;
    look_for_space(s);
    timer_arm(s->timers, &s->tick, s->env->now + TICK_NS);
    over(s, ST_OK);
}

void store_open(struct store *s, store_done *done, void *context) {
    must(!s->is_open);
    must(s->done == NULL);
    s->done = done;
    s->done_context = context;
    recovery_init(&s->recovery, s->env, &s->segments, s->log.buffers[0].data, s->log.buffer_size,
                  commit_log_frame_limit(&s->log));
    s->recovery.replay = on_replay;
    s->recovery.done = on_recovered;
    recovery_start(&s->recovery);
}

// Closing.

static void close_when_quiet(struct store *s);

static void on_log_stopped(struct commit_log *log) {
    struct store *s = CONTAINER_OF(log, struct store, log);
    over(s, s->done_status);
}

static void on_checkpoint_stopped(struct checkpoint *checkpoint) {
    struct store *s = CONTAINER_OF(checkpoint, struct store, checkpoint);
    s->is_checkpoint_over = true;
    close_when_quiet(s);
}

static void close_when_quiet(struct store *s) {
    if (s->is_looking || !s->is_checkpoint_over) return;
    s->done_status = s->log.is_failed ? ST_IO : ST_OK;
    commit_log_stop(&s->log);
}

void store_close(struct store *s, store_done *done, void *context) {
    must(s->is_open);
    must(s->done == NULL);
    must(list_is_empty(&s->waiting));
    must(list_is_empty(&s->pending));
    must(list_is_empty(&s->finished));
    must(list_is_empty(&s->readers));
    s->is_open = false;
    s->done = done;
    s->done_context = context;
    timer_disarm(s->timers, &s->tick);
    checkpoint_stop(&s->checkpoint);
}

// Space.

static void on_space(struct env_op *op) {
    struct store *s = CONTAINER_OF(op, struct store, space_op);
    s->is_looking = false;
    if (op->status == ST_OK) {
        s->disk_free = op->value;
        bool is_full = op->value < s->options.disk_reserve;
        if (is_full != s->is_disk_full) {
            env_log(s->env, ENV_WARNING, "disk_%s free=%llu reserve=%llu",
                    is_full ? "full" : "free", (unsigned long long)op->value,
                    (unsigned long long)s->options.disk_reserve);
        }
        s->is_disk_full = s->checkpoint.is_urgent = is_full;
    }
    if (!s->is_open) close_when_quiet(s);
}

static void look_for_space(struct store *s) {
    if (s->is_looking) return;
    s->is_looking = true;
    s->space_op.done = on_space;
    env_space(s->env, &s->space_op);
}

static void on_tick(struct timer *timer) {
    struct store *s = CONTAINER_OF(timer, struct store, tick);
    timer_arm(s->timers, timer, s->env->now + TICK_NS);
    look_for_space(s);
    commit_log_tick(&s->log);
    checkpoint_tick(&s->checkpoint);
}

// Identity.

struct actor store_actor(const struct store *s) {
    return s->actor;
}

uint64_t store_mint(struct store *s) {
    must(s->is_open);
    return ++s->log.mark.minted;
}

// True when the log takes a write now. The mark of a new actor epoch comes before it.
static bool has_room(struct store *s) {
    if (s->is_renewed && commit_log_has_room(&s->log)) {
        commit_log_mark(&s->log);
        s->is_renewed = false;
    }
    return commit_log_has_room(&s->log);
}

void store_renew(struct store *s) {
    must(s->is_open);
    s->actor.epoch++;
    s->log.mark.epoch = s->actor.epoch;
    s->log.mark.minted = 0;
    s->is_renewed = true;
    env_log(s->env, ENV_WARNING, "actor_renewed epoch=%u", s->actor.epoch);
    (void)has_room(s); // if there is none, the next write puts the mark before itself
}

void store_repaired(struct store *s) {
    must(s->is_open);
    s->log.mark.is_damaged = false;
    if (commit_log_has_room(&s->log)) commit_log_mark(&s->log); // else the next mark will say so
}

// Writing.

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

// The status of a write that cannot begin now, or ST_OK. What a node knows of itself may use the
// reserve: without that it could not start on a full disk.
static enum status refusal(const struct store *s, const struct store_write *write) {
    if (s->log.is_failed) return ST_IO;
    bool is_full = s->is_disk_full && write->partition.slot != SLOT_SYSTEM;
    if (is_full || commit_log_is_full(&s->log)) return ST_NO_SPACE;
    return ST_OK;
}

static bool is_shown(const struct store *s, const struct entry *e) {
    return e->is_copy || entry_position(e) < s->log.shown;
}

// Done when the record there is, which stays.
static void leave(struct store *s, struct store_write *write, uint32_t entry) {
    const struct entry *e = entry == 0 ? NULL : table_entry(&s->table, entry);
    if (e == NULL || is_shown(s, e)) {
        finish(s, write, ST_OK);
        return;
    }
    write->position = entry_position(e);
    list_append(&s->pending, &write->link);
}

static void run(struct store *s, struct store_write *write) {
    uint32_t tag = table_tag(&s->table, write->partition, write->key);
    uint32_t entry = table_find(&s->table, tag, write->partition, write->key);
    struct slice old = {NULL, 0};
    if (entry != 0) old = table_record(&s->table, entry);
    struct slice new = old;
    enum status status = write->apply(write, old, &new);
    if (status == ST_OK && new.size > s->options.record_size_max) status = ST_TOO_LARGE;
    if (status != ST_OK) {
        finish(s, write, status);
        return;
    }
    if ((new.data == old.data &&new.size == old.size) || (new.size == 0 && entry == 0)) {
        leave(s, write, entry);
        return;
    }
    if (new.size == 0) {
        forget(s, tag, entry);
        write->position = commit_log_append(&s->log, write->partition, write->key, new);
    } else if (keep(s, tag, &entry, write->partition, write->key, new)) {
        s->is_memory_full = false;
        struct slice record = table_record(&s->table, entry);
        write->position = commit_log_append(&s->log, write->partition, write->key, record);
        entry_set_position(table_entry(&s->table, entry), write->position);
        count_live(s, write->position, true);
    } else {
        s->is_memory_full = true;
        finish(s, write, ST_NO_SPACE);
        return;
    }
    list_append(&s->pending, &write->link);
}

void store_put(struct store *s, struct store_write *write) {
    must(s->is_open);
    must(write->key.size > 0);
    must(write->key.size <= KEY_SIZE_MAX);
    list_init(&write->link);
    enum status status = refusal(s, write);
    if (status != ST_OK) {
        finish(s, write, status);
    } else if (list_is_empty(&s->waiting) && has_room(s)) {
        run(s, write);
    } else {
        list_append(&s->waiting, &write->link);
    }
}

static void on_room(struct commit_log *log) {
    struct store *s = CONTAINER_OF(log, struct store, log);
    while (!list_is_empty(&s->waiting)) {
        struct store_write *write = CONTAINER_OF(s->waiting.next, struct store_write, link);
        enum status status = refusal(s, write);
        if (status == ST_OK && !has_room(s)) return;
        list_remove(&write->link);
        if (status != ST_OK) {
            finish(s, write, status);
        } else {
            run(s, write);
        }
    }
}

static void show_writes(struct store *s) {
    while (!list_is_empty(&s->pending)) {
        struct store_write *write = CONTAINER_OF(s->pending.next, struct store_write, link);
        if (write->position >= s->log.shown && !s->log.is_failed) return;
        list_remove(&write->link);
        write->status = write->position < s->log.shown ? ST_OK : ST_IO;
        if (write->status == ST_OK) s->write_count++;
        write->done(write);
    }
}

static void show_reads(struct store *s) {
    struct list batch;
    list_init(&batch);
    while (!list_is_empty(&s->readers)) {
        struct list *link = s->readers.next;
        list_remove(link);
        list_append(&batch, link);
    }
    while (!list_is_empty(&batch)) {
        struct store_read *read = CONTAINER_OF(batch.next, struct store_read, link);
        list_remove(&read->link);
        if (read->position < s->log.shown) {
            read->status = ST_OK;
            read->record = commit_log_read(&s->log, read->position);
            read->done(read);
        } else if (s->log.is_failed) {
            read->status = ST_IO;
            read->done(read);
        } else {
            list_append(&s->readers, &read->link);
        }
    }
}

static void on_shown(struct commit_log *log) {
    struct store *s = CONTAINER_OF(log, struct store, log);
    show_writes(s);
    show_reads(s);
    checkpoint_synced(&s->checkpoint);
    if (s->segment_count != s->segments.count && s->is_open) {
        s->segment_count = s->segments.count;
        look_for_space(s);
        checkpoint_tick(&s->checkpoint);
    }
    if (log->is_failed) on_room(log); // those who wait for room hear of it
}

// Reading.

// What is there to say of the key; ST_BUSY while its record is not durable yet.
enum status store_peek(struct store *s, struct store_read *read) {
    must(s->is_open);
    uint32_t tag = table_tag(&s->table, read->partition, read->key);
    uint32_t entry = table_find(&s->table, tag, read->partition, read->key);
    read->record = (struct slice){NULL, 0};
    read->status = ST_NOT_FOUND;
    if (entry == 0) return read->status;
    const struct entry *e = table_entry(&s->table, entry);
    read->position = entry_position(e);
    if (is_shown(s, e)) {
        read->status = ST_OK;
        read->record = table_record(&s->table, entry);
    } else {
        read->status = s->log.is_failed ? ST_IO : ST_BUSY;
    }
    return read->status;
}

bool store_get(struct store *s, struct store_read *read) {
    if (store_peek(s, read) != ST_BUSY) return true;
    list_init(&read->link);
    list_append(&s->readers, &read->link);
    return false;
}

void store_prefetch(struct store *s, struct partition partition, struct slice key) {
    table_prefetch(&s->table, partition, key);
}

void store_prefetch_rest(struct store *s) {
    table_prefetch_rest(&s->table);
}

struct listing {
    struct store *store;
    struct store_scan *scan;
};

static bool on_listed(void *context, uint32_t entry) {
    struct listing *l = context;
    const struct table *t = &l->store->table;
    const struct entry *e = table_entry(t, entry);
    return l->scan->visit(l->scan, entry_key(e), table_record(t, entry), is_shown(l->store, e));
}

bool store_each(struct store *s, struct store_scan *scan) {
    must(s->is_open);
    struct listing l = {s, scan};
    uint32_t root = table_part(&s->table, scan->partition)->root;
    (void)order_each(&s->table.tlsf, root, scan->after, on_listed, &l);
    scan->status = ST_OK;
    return true;
}

// Facts.

struct store_partition store_partition_of(const struct store *s, struct partition partition) {
    return table_part(&s->table, partition)->facts;
}

bool store_is_failed(const struct store *s) {
    return s->log.is_failed;
}

struct store_stats store_stats(const struct store *s) {
    const struct store_partition *all = &s->table.totals;
    const struct store_partition *system = &s->table.parts[SLOT_SYSTEM].facts;
    return (struct store_stats){
        .key_count = all->key_count - system->key_count,
        .live_count = all->live_count - system->live_count,
        .memory_used = s->table.tlsf.used,
        .memory_max = s->options.memory_max,
        .log_size = s->segments.size,
        .segment_count = s->segments.count,
        .live_size = checkpoint_live_size(&s->table),
        .disk_free = s->disk_free,
        .syncs = s->log.sync_count,
        .writes = s->write_count,
        .damaged = s->recovery.damage_count + s->checkpoint.damaged,
        .replayed = s->recovery.replayed,
        .is_full = s->is_disk_full || s->is_memory_full || commit_log_is_full(&s->log),
        .is_failed = s->log.is_failed,
        .was_damaged = s->log.mark.is_damaged,
    };
}
