// SPDX-License-Identifier: Apache-2.0
#include "store/segment_maker.h"

enum {
    FILL_STEP = 256 * 1024,
    // A sync of the log may have to wait for what is in the file system's queue.
    FILL_SYNC = 4 * 1024 * 1024,
};

size_t maker_memory_size(void) {
    return FILL_STEP + SEGMENT_FIRST;
}

void maker_init(struct segment_maker *m, struct arena *arena, struct env *env) {
    *m = (struct segment_maker){.env = env};
    m->zeros = arena_take(arena, 1, FILL_STEP);
    m->head = arena_take(arena, 1, SEGMENT_FIRST);
}

static void on_blank_opened(struct env_op *op);
static void on_blank_closed(struct env_op *op);
static void on_blank_removed(struct env_op *op);
static void on_opened(struct env_op *op);
static void on_allocated(struct env_op *op);
static void on_written(struct env_op *op);
static void on_synced(struct env_op *op);
static void on_renamed(struct env_op *op);
static void on_names_synced(struct env_op *op);
static void on_closed(struct env_op *op);
static void on_removed(struct env_op *op);

static struct segment_maker *of(struct env_op *op) {
    return CONTAINER_OF(op, struct segment_maker, op);
}

void maker_start(struct segment_maker *m, const struct segment_header *header) {
    must(m->state == MAKER_IDLE || m->state == MAKER_FAILED);
    must(header->size % SECTOR_SIZE == 0);
    m->state = MAKER_BUSY;
    m->header = *header;
    file_name(SEGMENT_PREFIX, header->number, m->name);
    segment_header_encode(header, m->head);
    m->file = NULL;
    m->is_named = false;
    m->is_stopping = false;
    m->filled = m->unsynced = m->allowed = 0;
    m->temporary = m->has_blank ? BLANK_NAME : SPARE_NAME;
    m->op.done = m->has_blank ? on_blank_opened : on_opened;
    env_open(m->env, &m->op, m->temporary, m->has_blank ? ENV_OPEN : ENV_CREATE, &m->file);
    m->has_blank = false;
}

// Closes and removes what there is.
static void give_up(struct segment_maker *m, enum status status) {
    m->status = status;
    m->state = MAKER_BUSY;
    if (m->file != NULL) {
        m->op.done = on_closed;
        env_close(m->env, &m->op, m->file);
    } else {
        m->op.done = on_removed;
        env_remove(m->env, &m->op, m->is_named ? m->name : m->temporary);
    }
}

static void on_closed(struct env_op *op) {
    struct segment_maker *m = of(op);
    m->file = NULL;
    give_up(m, m->status);
}

static void on_removed(struct env_op *op) {
    struct segment_maker *m = of(op);
    m->state = MAKER_FAILED; // whether it could be removed or not
    m->changed(m);
}

// True when the maker has something else to do than go on.
static bool stopped(struct segment_maker *m) {
    if (m->op.status == ST_OK && !m->is_stopping) return false;
    give_up(m, m->op.status == ST_OK ? ST_CANCELLED : m->op.status);
    return true;
}

static void write_header(struct segment_maker *m, uint64_t filled) {
    m->filled = filled;
    m->unsynced = SEGMENT_FIRST;
    m->op.done = on_written;
    env_write(m->env, &m->op, m->file, 0, m->head, SEGMENT_FIRST);
}

static void create(struct segment_maker *m) {
    m->file = NULL;
    m->temporary = SPARE_NAME;
    m->op.done = on_opened;
    env_open(m->env, &m->op, SPARE_NAME, ENV_CREATE, &m->file);
}

static void on_blank_opened(struct env_op *op) {
    struct segment_maker *m = of(op);
    if (op->status != ST_OK) {
        create(m);
    } else if (op->value != m->header.size) { // segments had another size
        op->done = on_blank_closed;
        env_close(m->env, op, m->file);
    } else {
        write_header(m, m->header.size);
    }
}

static void on_blank_closed(struct env_op *op) {
    struct segment_maker *m = of(op);
    op->done = on_blank_removed;
    env_remove(m->env, op, BLANK_NAME);
}

static void on_blank_removed(struct env_op *op) {
    create(of(op));
}

static void on_opened(struct env_op *op) {
    struct segment_maker *m = of(op);
    if (op->status != ST_OK) m->file = NULL;
    if (stopped(m)) return;
    op->done = on_allocated;
    env_allocate(m->env, op, m->file, m->header.size);
}

static void on_allocated(struct env_op *op) {
    struct segment_maker *m = of(op);
    if (stopped(m)) return;
    write_header(m, SEGMENT_FIRST);
}

static void fill(struct segment_maker *m) {
    uint64_t rest = m->header.size - m->filled;
    if (rest == 0 || m->unsynced >= FILL_SYNC) {
        m->state = MAKER_BUSY;
        m->op.done = on_synced;
        env_sync(m->env, &m->op, m->file);
        return;
    }
    if (m->filled >= m->allowed) {
        m->state = MAKER_PAUSED;
        return;
    }
    uint32_t step = rest < FILL_STEP ? (uint32_t)rest : FILL_STEP;
    uint64_t offset = m->filled;
    m->filled += step;
    m->unsynced += step;
    m->state = MAKER_BUSY;
    m->op.done = on_written;
    env_write(m->env, &m->op, m->file, offset, m->zeros, step);
}

static void on_written(struct env_op *op) {
    struct segment_maker *m = of(op);
    if (!stopped(m)) fill(m);
}

static void on_synced(struct env_op *op) {
    struct segment_maker *m = of(op);
    if (stopped(m)) return;
    m->unsynced = 0;
    if (m->filled < m->header.size) {
        fill(m);
        return;
    }
    op->done = on_renamed;
    env_rename(m->env, op, m->temporary, m->name);
}

static void on_renamed(struct env_op *op) {
    struct segment_maker *m = of(op);
    m->is_named = op->status == ST_OK;
    if (stopped(m)) return;
    op->done = on_names_synced;
    env_sync_names(m->env, op);
}

static void on_names_synced(struct env_op *op) {
    struct segment_maker *m = of(op);
    if (stopped(m)) return;
    m->state = MAKER_READY;
    m->changed(m);
}

void maker_allow(struct segment_maker *m, uint64_t allowed) {
    if (allowed > m->allowed) m->allowed = allowed;
    if (m->state == MAKER_PAUSED && m->filled < m->allowed) fill(m);
}

struct env_file *maker_take(struct segment_maker *m) {
    must(m->state == MAKER_READY);
    m->state = MAKER_IDLE;
    return m->file;
}

void maker_stop(struct segment_maker *m) {
    m->is_stopping = true;
    if (m->state == MAKER_PAUSED) give_up(m, ST_CANCELLED);
}
