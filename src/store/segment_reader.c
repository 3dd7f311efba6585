// SPDX-License-Identifier: Apache-2.0
#include "store/segment_reader.h"

void segment_reader_init(struct segment_reader *r, struct env *env, uint8_t *window,
                         uint32_t capacity) {
    *r = (struct segment_reader){.env = env, .capacity = capacity};
    r->window = window;
}

static struct segment_reader *of(struct env_op *op) {
    return CONTAINER_OF(op, struct segment_reader, op);
}

static void on_opened(struct env_op *op) {
    struct segment_reader *r = of(op);
    if (op->status != ST_OK) r->file = NULL;
    // An offset has 32 bits, also that of the sector behind; what lies further is not ours.
    uint64_t most = UINT32_MAX - (UINT32_MAX % SECTOR_SIZE);
    r->size = op->value < most ? op->value : most;
    r->done(r, op->status);
}

void segment_reader_open(struct segment_reader *r, uint32_t number, segment_reader_done *done) {
    must(r->file == NULL);
    r->done = done;
    r->number = number;
    r->start = r->filled = 0;
    file_name(SEGMENT_PREFIX, number, r->name);
    r->op.done = on_opened;
    env_open(r->env, &r->op, r->name, ENV_OPEN, &r->file);
}

static void on_read(struct env_op *op) {
    struct segment_reader *r = of(op);
    r->filled = op->status == ST_OK ? op->size : 0;
    uint64_t rest = r->size - r->start;
    // A file that has become shorter ends where it does.
    bool is_short = r->filled < (rest < r->capacity ? rest : r->capacity);
    if (op->status == ST_OK && is_short) r->size = (uint64_t)r->start + r->filled;
    r->done(r, op->status);
}

void segment_reader_load(struct segment_reader *r, uint32_t offset, segment_reader_done *done) {
    must(r->file != NULL);
    must(offset < r->size);
    r->done = done;
    r->start = offset;
    r->filled = 0;
    uint64_t rest = r->size - offset;
    r->op.done = on_read;
    env_read(r->env, &r->op, r->file, offset, r->window,
             rest < r->capacity ? (uint32_t)rest : r->capacity);
}

static void on_done(struct env_op *op) {
    struct segment_reader *r = of(op);
    r->done(r, op->status);
}

void segment_reader_sync(struct segment_reader *r, segment_reader_done *done) {
    must(r->file != NULL);
    r->done = done;
    r->op.done = on_done;
    env_sync(r->env, &r->op, r->file);
}

static void on_closed(struct env_op *op) {
    struct segment_reader *r = of(op);
    r->file = NULL;
    r->start = r->filled = 0;
    r->done(r, op->status);
}

void segment_reader_close(struct segment_reader *r, segment_reader_done *done) {
    must(r->file != NULL);
    r->done = done;
    r->op.done = on_closed;
    env_close(r->env, &r->op, r->file);
}
