// SPDX-License-Identifier: Apache-2.0
#include "store/checkpoint.h"

#include "base/little.h"

enum {
    SEGMENTS_KEPT = 4, // a log of up to so many segments is left alone
    STEP_NS = 10 * 1000 * 1000,
    STEP_SIZE = 128 * 1024,
    READ_DISCOUNT = 8,   // so many bytes read cost as much as one byte copied
    WALK_BUCKETS = 2048, // in one step
};

size_t checkpoint_memory_size(const struct commit_log_options *options) {
    return commit_log_buffer_size(options);
}

static void on_timer(struct timer *timer);

void checkpoint_init(struct checkpoint *c, struct arena *arena, struct table *table,
                     struct commit_log *log) {
    c->env = log->env;
    c->timers = log->timers;
    c->segments = log->segments;
    c->table = table;
    c->log = log;
    c->timer.fired = on_timer;
    uint8_t *window = arena_take(arena, 1, log->buffer_size);
    segment_reader_init(&c->reader, c->env, window, log->buffer_size);
}

uint64_t checkpoint_live_size(const struct table *table) {
    return table->totals.size + table->totals.key_count * (FRAME_HEAD_SIZE + RECORD_HEAD_SIZE);
}

// The size above which the log is made smaller. With room for dead frames the cost of each removed
// segment is bounded: at least half of it is dead, on average.
static uint64_t limit(const struct checkpoint *c) {
    uint64_t live = checkpoint_live_size(c->table);
    uint64_t least = SEGMENTS_KEPT * c->log->options.segment_size;
    uint64_t most = c->is_urgent ? live + live / 4 : live * 2;
    return most > least ? most : least;
}

static uint32_t hurry(const struct checkpoint *c) {
    uint64_t size = c->segments->size;
    uint64_t most = limit(c);
    return size > most + most / 2 ? 8 : size > most + most / 4 ? 2 : 1;
}

static void later(struct checkpoint *c, enum checkpoint_state state) {
    c->state = state;
    c->budget = STEP_SIZE * hurry(c);
    timer_arm(c->timers, &c->timer, c->env->now + STEP_NS / hurry(c));
}

static void idle(struct checkpoint *c) {
    c->state = CHECKPOINT_IDLE;
    if (!c->is_stopping) {
        checkpoint_tick(c); // there may be more to remove
        return;
    }
    c->stopped(c);
}

// Copies.

static void spend(struct checkpoint *c, uint32_t size) {
    c->budget -= size < c->budget ? size : c->budget;
}

// Appends an entry's record again. False: the log has no room now.
static bool copy(struct checkpoint *c, uint32_t index) {
    if (!commit_log_has_room(c->log)) return false;
    struct entry *e = table_entry(c->table, index);
    struct slice record = table_record(c->table, index);
    must(e->is_copy || entry_position(e) < c->log->shown);
    segment_set_find(c->segments, c->number)->live_count--;
    entry_set_position(e, commit_log_append(c->log, e->partition, entry_key(e), record));
    e->is_copy = true;
    segment_set_find(c->segments, position_number(entry_position(e)))->live_count++;
    spend(c, (uint32_t)record_frame_size(entry_key(e), record));
    return true;
}

static void on_loaded(struct segment_reader *reader, enum status status);
static void close_segment(struct checkpoint *c);
static void put_mark(struct checkpoint *c);

// Copies the frame if it is live. False: the log has no room now.
static bool copy_frame(struct checkpoint *c, const struct frame *frame) {
    if (frame->is_mark) return true;
    uint32_t tag = table_tag(c->table, frame->partition, frame->key);
    uint32_t entry = table_find(c->table, tag, frame->partition, frame->key);
    if (entry == 0) return true;
    uint64_t position = position_of(c->number, c->offset);
    return entry_position(table_entry(c->table, entry)) != position || copy(c, entry);
}

// Goes through the window until the budget is spent, the window left, or the segment done.
static void copy_window(struct checkpoint *c) {
    while (c->budget > 0) {
        struct segment_info *info = segment_set_find(c->segments, c->number);
        if (c->log->is_failed || c->is_stopping || info->live_count == 0 ||
            c->offset >= c->reader.size) {
            close_segment(c);
            return;
        }
        struct slice bytes = segment_reader_at(&c->reader, c->offset);
        struct frame frame = {0};
        uint64_t position = position_of(c->number, c->offset);
        enum status status = frame_decode(c->log->storage, position, bytes, &frame);
        bool is_cut = status == ST_TOO_LARGE && frame.size <= c->reader.capacity;
        if (is_cut && (bytes.size == 0 || !segment_reader_ends(&c->reader))) {
            c->state = CHECKPOINT_BUSY;
            segment_reader_load(&c->reader, c->offset, on_loaded);
            return;
        }
        if (status == ST_OK) {
            if (!copy_frame(c, &frame)) break;
            c->offset += (uint32_t)frame.size;
        } else {
            // Zeros before the next batch, or damage; the walk will tell.
            c->offset = sector_up(c->offset + 1);
        }
    }
    later(c, CHECKPOINT_COPY);
}

static void on_opened(struct segment_reader *reader, enum status status) {
    struct checkpoint *c = CONTAINER_OF(reader, struct checkpoint, reader);
    c->budget = STEP_SIZE * hurry(c);
    if (status == ST_BUSY && !c->is_stopping) { // no descriptor; the next tick tries again
        c->state = CHECKPOINT_IDLE;
        return;
    }
    on_loaded(reader, status);
}

static void on_loaded(struct segment_reader *reader, enum status status) {
    struct checkpoint *c = CONTAINER_OF(reader, struct checkpoint, reader);
    spend(c, reader->filled / READ_DISCOUNT);
    if (status != ST_OK || c->is_stopping) {
        close_segment(c);
    } else {
        copy_window(c);
    }
}

static void on_walked(void *context, uint32_t entry) {
    struct checkpoint *c = context;
    if (position_number(entry_position(table_entry(c->table, entry))) != c->number) return;
    if (c->budget == 0 || !copy(c, entry)) {
        c->budget = 0;
        return;
    }
    c->damaged++;
}

// Looks for what the segment should have held in the table itself.
static void walk(struct checkpoint *c) {
    for (uint32_t i = 0; i < WALK_BUCKETS; i++) {
        if (segment_set_find(c->segments, c->number)->live_count == 0) {
            env_log(c->env, ENV_ERROR, "segment_damaged segment=%u copied_from=memory", c->number);
            put_mark(c);
            return;
        }
        must(c->bucket < table_bucket_count(c->table)); // what is live is in the table
        table_each(c->table, c->bucket, on_walked, c);
        if (c->budget == 0) break; // and the same bucket again
        c->bucket++;
    }
    later(c, CHECKPOINT_WALK);
}

static void on_closed(struct segment_reader *reader, enum status status) {
    struct checkpoint *c = CONTAINER_OF(reader, struct checkpoint, reader);
    (void)status;
    if (c->is_stopping || c->log->is_failed) {
        idle(c);
        return;
    }
    c->bucket = 0;
    bool is_empty = segment_set_find(c->segments, c->number)->live_count == 0;
    if (is_empty) {
        put_mark(c);
    } else {
        later(c, CHECKPOINT_WALK);
    }
}

static void close_segment(struct checkpoint *c) {
    c->state = CHECKPOINT_BUSY;
    if (c->reader.file != NULL) {
        segment_reader_close(&c->reader, on_closed);
    } else {
        on_closed(&c->reader, ST_OK);
    }
}

// The end of a segment.

static void put_mark(struct checkpoint *c) {
    if (!commit_log_has_room(c->log)) {
        later(c, CHECKPOINT_MARK);
        return;
    }
    c->log->mark.oldest = segment_set_at(c->segments, 1)->number;
    commit_log_mark(c->log);
    c->barrier = c->log->cursor;
    c->state = CHECKPOINT_SYNC;
}

static void on_removed(struct env_op *op);
static void on_names_synced(struct env_op *op);

void checkpoint_synced(struct checkpoint *c) {
    if (c->state != CHECKPOINT_SYNC || c->log->synced < c->barrier) return;
    c->state = CHECKPOINT_BUSY;
    segment_name(c->number, c->name);
    c->op.done = on_removed;
    env_remove(c->env, &c->op, c->name);
}

// A removal that failed is tried again with the next tick.
static void on_removed(struct env_op *op) {
    struct checkpoint *c = CONTAINER_OF(op, struct checkpoint, op);
    if (op->status != ST_OK && op->status != ST_NOT_FOUND) {
        env_log(c->env, ENV_ERROR, "segment_not_removed segment=%u status=\"%s\"", c->number,
                status_text(op->status));
        c->state = CHECKPOINT_IDLE;
        if (c->is_stopping) idle(c);
        return;
    }
    op->done = on_names_synced;
    env_sync_names(c->env, op);
}

static void on_names_synced(struct env_op *op) {
    struct checkpoint *c = CONTAINER_OF(op, struct checkpoint, op);
    if (op->status == ST_OK) {
        must(segment_set_at(c->segments, 0)->number == c->number);
        segment_set_remove_first(c->segments);
        c->removed++;
        idle(c);
        return;
    }
    env_log(c->env, ENV_ERROR, "segment_not_removed segment=%u names=1 status=\"%s\"", c->number,
            status_text(op->status));
    c->state = CHECKPOINT_IDLE;
    if (c->is_stopping) idle(c);
}

// Begin and end.

void checkpoint_tick(struct checkpoint *c) {
    if (c->state != CHECKPOINT_IDLE || c->is_stopping || c->log->is_failed) return;
    if (c->segments->count < 2) return;
    const struct segment_info *oldest = segment_set_at(c->segments, 0);
    if (oldest->number > c->unsound_last && c->segments->size <= limit(c)) return;
    if (oldest->number >= position_number(c->log->synced)) return;
    c->number = oldest->number;
    c->offset = SEGMENT_FIRST;
    if (oldest->live_count == 0) {
        put_mark(c);
        return;
    }
    c->state = CHECKPOINT_BUSY;
    segment_reader_open(&c->reader, c->number, on_opened);
}

static void on_timer(struct timer *timer) {
    struct checkpoint *c = CONTAINER_OF(timer, struct checkpoint, timer);
    if (c->log->is_failed) {
        close_segment(c);
        return;
    }
    switch (c->state) {
    case CHECKPOINT_COPY:
        copy_window(c);
        return;
    case CHECKPOINT_WALK:
        walk(c);
        return;
    case CHECKPOINT_MARK:
        put_mark(c);
        return;
    case CHECKPOINT_IDLE:
    case CHECKPOINT_BUSY:
    case CHECKPOINT_SYNC:
        break;
    }
    unreachable();
}

void checkpoint_stop(struct checkpoint *c) {
    must(!c->is_stopping);
    c->is_stopping = true;
    timer_disarm(c->timers, &c->timer);
    if (c->state == CHECKPOINT_BUSY) return;
    close_segment(c);
}
