// SPDX-License-Identifier: Apache-2.0
#include "store/commit_log.h"

enum {
    BUFFER_MIN = 1024 * 1024,
    // A bad frame may take the rest of its batch with it.
    BATCH_MAX = 64 * 1024,
    // So much is written while a sync runs; less waits for its end and is then written in one
    // piece.
    EARLY_WRITE = 256 * 1024,
    // What may come on top of a frame: the end of one batch and the beginning of the next.
    FRAME_EXTRA = MARK_FRAME_SIZE + 2 * SECTOR_SIZE,
    // How far zeros are ahead of the same place in the segment before.
    MAKER_LEAD = 1024 * 1024,
    // Of the last segment that there is room for, so much is kept for what needs it to start.
    RESERVE_PART = 8,
};

uint32_t commit_log_buffer_size(const struct commit_log_options *options) {
    uint32_t size = sector_up(options->frame_max) + sector_up(FRAME_EXTRA);
    return size > BUFFER_MIN ? size : BUFFER_MIN;
}

size_t commit_log_memory_size(const struct commit_log_options *options) {
    return LOG_BUFFERS * (size_t)commit_log_buffer_size(options) + maker_memory_size();
}

static void on_timer(struct timer *timer);
static void on_maker(struct segment_maker *maker);

void commit_log_init(struct commit_log *log, struct arena *arena, struct env *env,
                     struct timers *timers, const struct commit_log_options *options) {
    must(options->segment_size % SECTOR_SIZE == 0);
    must(options->segment_size <= UINT32_MAX / 2);
    must(options->segment_size >= SEGMENT_FIRST + FRAME_EXTRA + (uint64_t)options->frame_max);
    log->env = env;
    log->timers = timers;
    log->options = *options;
    log->buffer_size = commit_log_buffer_size(options);
    log->buffer_count = 1;
    for (uint32_t i = 0; i < LOG_BUFFERS; i++) {
        log->buffers[i].data = arena_take(arena, 1, log->buffer_size);
    }
    log->sync_timer.fired = on_timer;
    maker_init(&log->maker, arena, env);
    log->maker.changed = on_maker;
}

uint32_t commit_log_frame_limit(const struct commit_log *log) {
    uint64_t in_segment = log->options.segment_size - SEGMENT_FIRST;
    uint64_t least = in_segment < log->buffer_size ? in_segment : log->buffer_size;
    return (uint32_t)(least - FRAME_EXTRA);
}

static uint32_t buffer_index(const struct commit_log *log, uint32_t place) {
    return (log->buffer_first + place) % LOG_BUFFERS;
}

static struct log_buffer *current(struct commit_log *log) {
    return &log->buffers[buffer_index(log, log->buffer_count - 1)];
}

static void fail(struct commit_log *log, const char *what, enum status status) {
    if (log->is_failed) return;
    log->is_failed = true;
    log->failure = status;
    timer_disarm(log->timers, &log->sync_timer);
    env_log(log->env, ENV_ERROR, "log_failed request=%s status=\"%s\" segment=%016x synced=%u",
            what, status_text(status), position_number(log->synced), position_offset(log->synced));
    if (log->is_started) {
        log->shown_more(log);
    } else {
        log->started(log);
    }
}

// Gathering.

static void on_later(struct env_op *op);

static void act_later(struct commit_log *log) {
    if (log->is_later) return;
    log->is_later = true;
    log->later_op.done = on_later;
    env_later(log->env, &log->later_op);
}

static void put_mark(struct commit_log *log) {
    struct log_buffer *b = current(log);
    must(b->filled + MARK_FRAME_SIZE <= log->buffer_size);
    log->mark.tail = log->tail;
    log->mark.synced = log->synced < log->proof_max ? log->synced : log->proof_max;
    mark_frame_encode(log->storage, log->cursor, &log->mark, b->data + b->filled);
    b->filled += MARK_FRAME_SIZE;
    log->cursor += MARK_FRAME_SIZE;
    log->tail = log->cursor;
    log->mark.is_first = false;
}

static void open_batch(struct commit_log *log) {
    must(position_offset(log->cursor) % SECTOR_SIZE == 0);
    log->has_batch = true;
    log->batch = log->cursor;
    put_mark(log);
}

// What comes next begins in a sector of its own.
static void close_batch(struct commit_log *log) {
    if (!log->has_batch) return;
    log->has_batch = false;
    struct log_buffer *b = current(log);
    uint32_t padding = sector_up(position_offset(log->cursor)) - position_offset(log->cursor);
    memset(b->data + b->filled, 0, padding);
    b->filled += padding;
    log->cursor += padding;
}

static void next_buffer(struct commit_log *log) {
    if (current(log)->filled > 0) {
        must(log->buffer_count < LOG_BUFFERS);
        log->buffer_count++;
    }
    struct log_buffer *b = current(log);
    b->base = log->cursor;
    b->filled = b->sent = 0;
}

static void make_next(struct commit_log *log) {
    if (segment_set_is_full(log->segments)) return;
    struct segment_header header = {
        .storage = log->storage,
        .number = position_number(log->cursor) + 1,
        .size = log->options.segment_size,
    };
    maker_start(&log->maker, &header);
}

static void next_segment(struct commit_log *log) {
    must(log->old_file == NULL);
    close_batch(log);
    log->old_file = log->file;
    log->old_end = log->cursor;
    if (log->sync_due < log->cursor) log->sync_due = log->cursor;
    log->file = maker_take(&log->maker);
    uint32_t number = log->maker.header.number;
    segment_set_add(log->segments, number, log->maker.header.size);
    log->cursor = position_of(number, SEGMENT_FIRST);
    next_buffer(log);
    make_next(log);
}

// The bytes that a frame may take up from the cursor on. Closing a batch never takes more than it
// saves here, so what there was room for before, there is room for after.
static size_t needed(const struct commit_log *log, size_t size) {
    return size + FRAME_EXTRA - (log->has_batch ? 0 : SECTOR_SIZE);
}

// True when a frame of that size goes to the next segment.
static bool segment_ends(const struct commit_log *log, size_t size) {
    return position_offset(log->cursor) + needed(log, size) > log->options.segment_size;
}

bool commit_log_has_room(const struct commit_log *log) {
    if (!log->is_started || log->is_failed) return false;
    const struct log_buffer *b = &log->buffers[buffer_index(log, log->buffer_count - 1)];
    size_t size = log->options.frame_max;
    bool must_switch = segment_ends(log, size);
    if (must_switch && (log->maker.state != MAKER_READY || log->old_file != NULL)) return false;
    if (!must_switch && b->filled + needed(log, size) <= log->buffer_size) return true;
    return b->filled == 0 || log->buffer_count < LOG_BUFFERS;
}

enum status commit_log_refusal(const struct commit_log *log) {
    if (!segment_ends(log, log->options.frame_max)) return ST_OK;
    if (segment_set_is_full(log->segments)) return ST_NO_SPACE;
    return log->maker.state == MAKER_FAILED ? log->maker.status : ST_OK;
}

bool commit_log_is_full(const struct commit_log *log, uint64_t reserve) {
    if (!log->lacks_space && !segment_set_is_full(log->segments)) return false;
    return segment_ends(log, log->options.frame_max + reserve);
}

uint64_t commit_log_reserve(const struct commit_log *log) {
    return log->options.segment_size / RESERVE_PART;
}

bool commit_log_can_begin_at(const struct commit_log *log, uint64_t position, uint64_t again) {
    // What is written again goes into batches of its own, with a mark each.
    return position_offset(position) + needed(log, log->options.frame_max) + 2 * again <=
           log->options.segment_size;
}

// Makes the buffer ready to take a frame of that size at the cursor.
static void make_place(struct commit_log *log, size_t size) {
    if (log->has_batch && log->cursor - log->batch >= BATCH_MAX) close_batch(log);
    if (segment_ends(log, size)) next_segment(log);
    if (current(log)->filled + needed(log, size) > log->buffer_size) next_buffer(log);
    if (!log->has_batch) open_batch(log);
}

uint64_t commit_log_append(struct commit_log *log, const struct change *change) {
    size_t size = change_frame_size(change);
    must(size <= log->options.frame_max);
    must(log->is_started);
    must(!log->is_failed);
    make_place(log, size);
    struct log_buffer *b = current(log);
    uint64_t position = log->cursor;
    change_frame_encode(log->storage, position, change, b->data + b->filled);
    b->filled += (uint32_t)size;
    log->cursor += size;
    log->tail = log->cursor;
    act_later(log);
    return position;
}

void commit_log_mark(struct commit_log *log) {
    must(log->is_started);
    must(!log->is_failed);
    uint64_t batch = log->has_batch ? log->batch : 0;
    make_place(log, MARK_FRAME_SIZE);
    if (log->batch == batch) put_mark(log); // a new batch has begun with one
    log->sync_due = log->cursor;
    act_later(log);
}

bool commit_log_cut(struct commit_log *log, uint64_t *end) {
    must(log->is_started);
    must(!log->is_failed);
    maker_allow(&log->maker, UINT64_MAX);
    bool has_buffer = current(log)->filled == 0 || log->buffer_count < LOG_BUFFERS;
    if (log->maker.state != MAKER_READY || log->old_file != NULL || !has_buffer) return false;
    next_segment(log);
    *end = log->old_end;
    commit_log_mark(log); // a segment never stands empty before a later one
    return true;
}

void commit_log_sync(struct commit_log *log) {
    if (!log->is_started || log->is_failed) return;
    log->sync_due = log->cursor;
    act_later(log);
}

struct slice commit_log_read(const struct commit_log *log, uint64_t position) {
    for (uint32_t i = 0; i < log->buffer_count; i++) {
        const struct log_buffer *b = &log->buffers[buffer_index(log, i)];
        if (position < b->base || position - b->base >= b->filled) continue;
        struct slice bytes = {b->data + (position - b->base), b->filled - (position - b->base)};
        struct frame frame;
        enum status status = frame_decode(log->storage, position, bytes, &frame);
        must(status == ST_OK);
        must(!frame.is_mark);
        return frame.change.record;
    }
    unreachable();
}

// Writing and syncing.

static void flush(struct commit_log *log);
static void sync(struct commit_log *log);
static void close_files(struct commit_log *log);

static void on_later(struct env_op *op) {
    struct commit_log *log = CONTAINER_OF(op, struct commit_log, later_op);
    log->is_later = false;
    flush(log);
    sync(log);
    close_files(log);
}

// Gives back the buffers all of whose bytes are shown.
static void release(struct commit_log *log) {
    bool has_released = false;
    while (log->buffer_count > 1) {
        const struct log_buffer *b = &log->buffers[log->buffer_first];
        if (b->base + b->filled > log->shown) break;
        log->buffer_first = (log->buffer_first + 1) % LOG_BUFFERS;
        log->buffer_count--;
        has_released = true;
    }
    struct log_buffer *b = current(log);
    if (b->filled > 0 && b->base + b->filled <= log->shown) {
        b->base = log->cursor;
        b->filled = b->sent = 0;
        has_released = true;
    }
    if (has_released && log->is_started) log->has_more_room(log);
}

static void show(struct commit_log *log, uint64_t shown) {
    log->shown = shown;
    if (log->is_started) log->shown_more(log);
    release(log);
}

static void on_written(struct env_op *op) {
    struct commit_log *log = CONTAINER_OF(op, struct commit_log, write_op);
    log->is_writing = false;
    if (op->status != ST_OK) {
        fail(log, "write", op->status);
        act_later(log);
        return;
    }
    log->written = log->write_end;
    bool is_needed = segment_ends(log, log->options.frame_max);
    uint64_t pace = 2 * (uint64_t)position_offset(log->written) + MAKER_LEAD;
    maker_allow(&log->maker, is_needed ? UINT64_MAX : pace);
    if (log->options.interval_ns > 0) {
        if (!timer_is_armed(&log->sync_timer)) {
            timer_arm(log->timers, &log->sync_timer, log->env->now + log->options.interval_ns);
        }
        if (!log->is_failed) show(log, log->written);
    }
    sync(log);
    act_later(log);
}

static void on_timer(struct timer *timer) {
    struct commit_log *log = CONTAINER_OF(timer, struct commit_log, sync_timer);
    log->sync_due = log->cursor;
    act_later(log);
}

// True when what is written now is to be followed by a sync.
static bool wants_sync(const struct commit_log *log) {
    return log->options.interval_ns == 0 || log->sync_due > log->synced;
}

// The first buffer with something to write, or the current one.
static struct log_buffer *first_unsent(struct commit_log *log) {
    for (uint32_t i = 0; i + 1 < log->buffer_count; i++) {
        struct log_buffer *b = &log->buffers[buffer_index(log, i)];
        if (b->sent < b->filled) return b;
    }
    return current(log);
}

static void flush(struct commit_log *log) {
    if (log->is_writing || log->is_failed) return;
    struct log_buffer *b = first_unsent(log);
    if (b == current(log)) {
        bool is_promise_waiting = log->is_syncing && log->options.interval_ns == 0;
        if (is_promise_waiting && b->filled - b->sent < EARLY_WRITE) return;
        if (wants_sync(log)) close_batch(log);
    }
    if (b->sent == b->filled) return;
    uint32_t offset = position_offset(b->base) + b->sent;
    bool is_old = position_number(b->base) != position_number(log->cursor);
    log->is_writing = true;
    log->write_end = b->base + b->filled;
    log->write_op.done = on_written;
    env_write(log->env, &log->write_op, is_old ? log->old_file : log->file, offset,
              b->data + b->sent, b->filled - b->sent);
    b->sent = b->filled;
}

static void on_synced(struct env_op *op) {
    struct commit_log *log = CONTAINER_OF(op, struct commit_log, sync_op);
    log->is_syncing = false;
    if (op->status != ST_OK) {
        fail(log, "sync", op->status);
        act_later(log);
        return;
    }
    log->sync_count++;
    log->synced = log->sync_end;
    act_later(log);
    if (log->is_failed) return;
    if (!log->is_started) {
        log->is_started = true;
        log->shown = log->synced;
        release(log);
        make_next(log);
        log->started(log);
    } else if (log->options.interval_ns == 0) {
        show(log, log->synced);
    } else {
        log->shown_more(log); // it is about what has been synced, too
    }
}

static void sync(struct commit_log *log) {
    if (log->is_syncing || log->is_failed || log->written <= log->synced) return;
    if (!wants_sync(log)) return;
    // Positions before old_end are in the old file until that is synced as a whole.
    bool is_old = log->old_file != NULL && log->synced < log->old_end;
    uint64_t end = is_old && log->written > log->old_end ? log->old_end : log->written;
    // Between the batches of an interval there is none closed.
    if (position_offset(end) % SECTOR_SIZE != 0) return;
    log->is_syncing = true;
    log->sync_end = end;
    log->sync_op.done = on_synced;
    env_sync(log->env, &log->sync_op, is_old ? log->old_file : log->file);
}

// Segments.

static void on_old_closed(struct env_op *op) {
    struct commit_log *log = CONTAINER_OF(op, struct commit_log, close_op);
    log->is_closing = false;
    log->old_file = NULL;
    act_later(log);
    if (commit_log_has_room(log)) log->has_more_room(log);
}

static void on_file_closed(struct env_op *op) {
    struct commit_log *log = CONTAINER_OF(op, struct commit_log, close_op);
    log->is_closing = false;
    log->file = NULL;
    act_later(log);
}

static void close_one(struct commit_log *log, struct env_file *file, env_done *done) {
    log->is_closing = true;
    log->close_op.done = done;
    env_close(log->env, &log->close_op, file);
}

// Closes what is no longer needed: the old segment; at the end, everything.
static void close_files(struct commit_log *log) {
    bool is_quiet = !log->is_writing && !log->is_syncing;
    if (log->is_closing) return;
    bool is_over = log->is_stopping && is_quiet && (log->is_failed || log->synced == log->cursor);
    if (log->old_file != NULL && (log->synced >= log->old_end || is_over)) {
        if (!log->is_syncing) close_one(log, log->old_file, on_old_closed);
        return;
    }
    if (!is_over) return;
    if (log->file != NULL) {
        close_one(log, log->file, on_file_closed);
        return;
    }
    if (log->maker.state == MAKER_BUSY || log->maker.state == MAKER_PAUSED) return;
    if (log->maker.state == MAKER_READY) {
        log->file = maker_take(&log->maker);
        close_one(log, log->file, on_file_closed);
        return;
    }
    log->is_stopping = false;
    timer_disarm(log->timers, &log->sync_timer);
    log->stopped(log);
}

// Begins the run, whose file is open.
static void begin_at(struct commit_log *log, uint64_t position) {
    log->cursor = position;
    next_buffer(log);
    log->mark.is_first = true;
    open_batch(log);
    log->sealed = log->tail;
    log->sync_due = log->cursor;
    act_later(log);
}

static void on_last_opened(struct env_op *op) {
    struct commit_log *log = CONTAINER_OF(op, struct commit_log, close_op);
    if (op->status != ST_OK) {
        log->file = NULL;
        fail(log, "open", op->status);
        return;
    }
    env_log(log->env, ENV_WARNING, "log_goes_on segment=%016x offset=%u",
            position_number(log->last_place), position_offset(log->last_place));
    begin_at(log, log->last_place);
}

static void open_last(struct commit_log *log) {
    file_name(SEGMENT_PREFIX, position_number(log->last_place), log->last_name);
    log->close_op.done = on_last_opened;
    env_open(log->env, &log->close_op, log->last_name, ENV_OPEN, &log->file);
}

static void on_not_made(struct commit_log *log) {
    const struct segment_maker *maker = &log->maker;
    // Both pass, and are tried again with each tick. Without space writes are refused meanwhile,
    // without a descriptor they wait.
    bool may_pass = maker->status == ST_NO_SPACE || maker->status == ST_BUSY;
    enum env_level level = may_pass ? ENV_WARNING : ENV_ERROR;
    env_log(log->env, level, "segment_not_made segment=%016x status=\"%s\"", maker->header.number,
            status_text(maker->status));
    log->lacks_space = maker->status == ST_NO_SPACE;
    bool is_needed = segment_ends(log, log->options.frame_max);
    if (!log->is_started && log->lacks_space && log->last_place != 0) {
        open_last(log);
    } else if (!log->is_started || (is_needed && !may_pass)) {
        fail(log, "make", maker->status);
    } else {
        log->has_more_room(log); // or rather it is now known that there is none
    }
}

static void on_maker(struct segment_maker *maker) {
    struct commit_log *log = CONTAINER_OF(maker, struct commit_log, maker);
    act_later(log); // it may be what the end waits for
    if (log->is_stopping) return;
    if (maker->state == MAKER_FAILED) {
        on_not_made(log);
        return;
    }
    log->lacks_space = false;
    if (log->is_started) {
        log->has_more_room(log);
        return;
    }
    log->file = maker_take(maker);
    segment_set_add(log->segments, maker->header.number, maker->header.size);
    begin_at(log, position_of(maker->header.number, SEGMENT_FIRST));
}

void commit_log_start(struct commit_log *log, uint32_t number, uint64_t tail) {
    must(!log->is_started);
    log->mark.is_clean = false;
    log->mark.has_interval = log->options.interval_ns > 0;
    log->tail = log->written = log->synced = log->shown = tail;
    log->cursor = position_of(number - 1, 0);
    make_next(log);
    maker_allow(&log->maker, UINT64_MAX);
}

void commit_log_tick(struct commit_log *log) {
    if (!log->is_started || log->is_failed || log->is_stopping) return;
    enum maker_state state = log->maker.state;
    if (state == MAKER_FAILED || state == MAKER_IDLE) {
        make_next(log);
        maker_allow(&log->maker, UINT64_MAX); // writes may be waiting for it already
    }
    // A mark proves what lies before it, but not that it was itself not torn; nothing is lost then.
    if (log->synced < log->cursor || log->has_batch || log->tail == log->sealed) return;
    if (!commit_log_has_room(log)) return;
    commit_log_mark(log);
    log->sealed = log->tail;
}

void commit_log_stop(struct commit_log *log) {
    must(!log->is_stopping);
    if (log->is_started && !log->is_failed && commit_log_has_room(log)) {
        log->mark.is_clean = log->proof_max == UINT64_MAX;
        commit_log_mark(log);
    }
    log->sync_due = log->cursor;
    log->is_stopping = true;
    maker_stop(&log->maker);
    act_later(log);
}
