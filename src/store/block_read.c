// SPDX-License-Identifier: Apache-2.0
#include "store/block_read.h"

#include "store/sstable_set.h"

static void try_again(struct block_read *r);

static void on_other(struct env_op *op) {
    struct block_read *r = CONTAINER_OF(op, struct block_read, op);
    r->is_alive |= op->status == ST_OK;
    if (r->other != r->table) sstable_unpin(r->other);
    try_again(r);
}

// The largest other table, of which a part is the most likely to be good; or the same one.
static struct sstable *elsewhere(const struct block_read *r) {
    const struct sstable_set *set = r->table->set;
    struct sstable *other = r->table;
    for (uint32_t i = 0; i < set->count; i++) {
        struct sstable *t = set->tables[i];
        if (t == r->table || t->file == NULL) continue; // a check has not opened it yet
        if (other == r->table || t->size > other->size) other = t;
    }
    return other;
}

// Reads the end of the table, its beginning, or the end of another one.
static void read_other(struct block_read *r) {
    r->other = r->failures > 2 ? elsewhere(r) : r->table;
    if (r->other != r->table) sstable_pin(r->other);
    uint32_t unit = r->is_direct ? ENV_DIRECT_UNIT : SSTABLE_TAIL;
    uint32_t size = r->size < unit ? r->size : unit;
    uint64_t offset = r->other->size > size ? r->other->size - size : 0;
    if (r->failures == 2) offset = 0;
    if (r->is_direct) offset -= offset % ENV_DIRECT_UNIT;
    r->op.done = on_other;
    if (r->is_direct) {
        env_read_direct(r->env, &r->op, r->other->file, offset, r->to, size);
    } else {
        env_read(r->env, &r->op, r->other->file, offset, r->to, size);
    }
}

static void on_read(struct env_op *op) {
    struct block_read *r = CONTAINER_OF(op, struct block_read, op);
    r->status = op->status;
    r->got = op->size;
    if (op->status == ST_IO && ++r->failures < r->tries) {
        read_other(r);
        return;
    }
    if (op->status == ST_IO && r->is_alive) r->status = ST_CORRUPT;
    r->done(r);
}

static void try_again(struct block_read *r) {
    r->op.done = on_read;
    if (r->is_direct) {
        env_read_direct(r->env, &r->op, r->table->file, r->offset, r->to, r->size);
    } else {
        env_read(r->env, &r->op, r->table->file, r->offset, r->to, r->size);
    }
}

void block_read_start(struct block_read *r) {
    r->failures = 0;
    r->is_alive = false;
    try_again(r);
}
