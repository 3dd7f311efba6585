// SPDX-License-Identifier: Apache-2.0
#include "store/sstable.h"

enum { LINE = 64 };

uint8_t *piece_take(struct tlsf *memory, uint64_t size, uint32_t *block) {
    uint64_t whole = piece_size_of(size) + (uint64_t)2 * LINE;
    *block = whole > TLSF_SIZE_MAX ? 0 : tlsf_take(memory, whole);
    if (*block == 0) return NULL;
    uint8_t *content = (uint8_t *)tlsf_at(memory, *block) + PIECE_HEAD;
    return content + (LINE - (uintptr_t)content % LINE) % LINE - PIECE_HEAD;
}

void sstable_give_memory(struct tlsf *memory, struct sstable *t) {
    if (t->filter_block != 0) tlsf_give(memory, t->filter_block);
    if (t->index_block != 0) tlsf_give(memory, t->index_block);
    if (t->marks_block != 0) tlsf_give(memory, t->marks_block);
    t->filter_block = t->index_block = t->marks_block = 0;
}

// What separates blocks may be only the beginning of a key.
uint32_t sstable_block_first(const struct sstable *t, uint32_t block) {
    uint8_t head[FULL_KEY_HEAD] = {0};
    struct slice s = index_separator(&t->index, block);
    if (s.size > 0) memcpy(head, s.data, s.size < FULL_KEY_HEAD ? s.size : FULL_KEY_HEAD);
    return partition_number(full_key_partition((struct slice){head, FULL_KEY_HEAD}));
}

// The last block that may have something of the partition or of one before it.
static uint32_t last_block(const struct sstable *t, uint32_t partition) {
    uint8_t head[FULL_KEY_HEAD];
    struct partition p = partition_of_number(partition);
    return index_find(&t->index, (struct slice){head, full_key_write(head, p, (struct slice){0})});
}

// Within one keyspace partitions are about equal. Keyspaces are not, nor are their numbers dense:
// there blocks are counted.
uint64_t sstable_share(const struct sstable *t, uint64_t amount, uint32_t from, uint32_t to) {
    if (from < t->first) from = t->first;
    if (to > t->last) to = t->last;
    if (from > to) return 0;
    uint64_t whole = (uint64_t)t->last - t->whole_first + 1;
    uint64_t part = (uint64_t)to - from + 1;
    if (part < whole && t->last >> 16 != t->whole_first >> 16) {
        whole = t->index.count;
        part = (uint64_t)last_block(t, to) - last_block(t, from) + 1;
    }
    return amount / whole * part + (amount % whole) * part / whole;
}

static void on_closed(struct env_op *op) {
    struct sstable_loader *l = CONTAINER_OF(op, struct sstable_loader, op);
    sstable_give_memory(l->memory, l->table);
    l->done(l, l->status);
}

static void fail(struct sstable_loader *l, const char *what, enum status status) {
    env_log(l->env, ENV_ERROR, "table_unreadable table=%016x part=%s status=\"%s\"",
            l->table->number, what, status_text(status));
    l->status = status;
    l->part = what;
    if (l->table->file == NULL) {
        on_closed(&l->op);
        return;
    }
    l->op.done = on_closed;
    env_close(l->env, &l->op, l->table->file);
}

// The content of a piece that was read as a whole into memory.
static enum status content_of(const struct sstable_loader *l, uint64_t offset, uint64_t end,
                              const uint8_t *bytes, struct slice *content) {
    struct piece piece;
    struct slice all = {bytes, end - offset};
    enum status status = piece_open(l->table->id, offset, all, &piece, content);
    if (status != ST_OK) return status;
    return piece.codec == CODEC_NONE ? ST_OK : ST_CORRUPT;
}

static uint8_t *piece_bytes(const struct sstable_loader *l, uint32_t block) {
    uint8_t *content = (uint8_t *)tlsf_at(l->memory, block) + PIECE_HEAD;
    return content + (LINE - (uintptr_t)content % LINE) % LINE - PIECE_HEAD;
}

static void read_part(struct sstable_loader *l, uint64_t offset, uint8_t *to, uint32_t size,
                      block_read_done *done) {
    struct block_read *r = &l->read;
    r->env = l->env;
    r->done = done;
    r->table = l->table;
    r->offset = offset;
    r->to = to;
    r->size = size;
    r->tries = BLOCK_READ_TRIES;
    block_read_start(r);
}

static void on_index(struct block_read *r) {
    struct sstable_loader *l = CONTAINER_OF(r, struct sstable_loader, read);
    const struct footer *f = &l->footer;
    uint64_t size = f->partitions_offset - f->index_offset;
    struct slice content;
    enum status status = r->status;
    if (status == ST_OK && r->got != size) status = ST_CORRUPT;
    if (status == ST_OK) {
        status = content_of(l, f->index_offset, f->partitions_offset,
                            piece_bytes(l, l->table->index_block), &content);
    }
    if (status == ST_OK) status = index_open(&l->table->index, content);
    bool is_fit = status == ST_OK &&
                  index_offset(&l->table->index, l->table->index.count) == f->filter_offset;
    if (status == ST_OK && !is_fit) status = ST_CORRUPT;
    if (status != ST_OK) {
        fail(l, "index", status);
    } else {
        l->done(l, ST_OK);
    }
}

static void on_filter(struct block_read *r) {
    struct sstable_loader *l = CONTAINER_OF(r, struct sstable_loader, read);
    const struct footer *f = &l->footer;
    struct sstable *t = l->table;
    struct slice content = {NULL, 0};
    enum status status = r->status;
    uint64_t size = f->index_offset - f->filter_offset;
    if (status == ST_OK && r->got != size) status = ST_CORRUPT;
    if (status == ST_OK) {
        status = content_of(l, f->filter_offset, f->index_offset, piece_bytes(l, t->filter_block),
                            &content);
    }
    if (status == ST_OK && content.size % FILTER_LINE == 0 && content.size > 0) {
        t->filter.lines = piece_bytes(l, t->filter_block) + PIECE_HEAD;
        t->filter.line_count = (uint32_t)(content.size / FILTER_LINE);
    } else {
        // Slower, but nothing is lost.
        env_log(l->env, ENV_ERROR, "table_damaged table=%016x part=filter", t->number);
        tlsf_give(l->memory, t->filter_block);
        t->filter_block = 0;
    }
    size = f->partitions_offset - f->index_offset;
    uint8_t *to = size > UINT32_MAX ? NULL : piece_take(l->memory, size, &t->index_block);
    if (to == NULL) {
        fail(l, "index", ST_NO_MEMORY);
        return;
    }
    read_part(l, f->index_offset, to, (uint32_t)size, on_index);
}

static void on_tail(struct block_read *r) {
    struct sstable_loader *l = CONTAINER_OF(r, struct sstable_loader, read);
    struct sstable *t = l->table;
    const struct footer *f = &l->footer;
    enum status status = r->status;
    if (status == ST_OK) {
        status = footer_decode((struct slice){l->tail, r->got}, &l->footer, &l->good_footers);
    }
    bool is_ours = status == ST_OK && f->number == t->number && f->storage == l->storage &&
                   f->end == t->size - SSTABLE_TAIL;
    if (status == ST_OK && !is_ours) status = ST_CORRUPT;
    if (status == ST_OK && f->block_max > l->block_max)
        status = ST_TOO_LARGE; // a limit was lowered
    if (status != ST_OK) {
        fail(l, "footer", status);
        return;
    }
    if (l->good_footers < 2)
        env_log(l->env, ENV_WARNING, "table_damaged table=%016x part=footer", t->number);
    t->whole_first = t->first < f->first ? t->first : f->first;
    t->key_count = f->key_count;
    t->data_size = f->data_size;
    t->block_max = f->block_max;
    uint64_t size = f->index_offset - f->filter_offset;
    uint8_t *to = size > UINT32_MAX ? NULL : piece_take(l->memory, size, &t->filter_block);
    if (to == NULL) {
        fail(l, "filter", ST_NO_MEMORY);
        return;
    }
    read_part(l, f->filter_offset, to, (uint32_t)size, on_filter);
}

static void on_opened(struct env_op *op) {
    struct sstable_loader *l = CONTAINER_OF(op, struct sstable_loader, op);
    struct sstable *t = l->table;
    if (op->status != ST_OK) t->file = NULL;
    t->size = op->value;
    if (op->status != ST_OK || t->size < SSTABLE_TAIL || t->size > SSTABLE_SIZE_MAX) {
        fail(l, "file", op->status == ST_OK ? ST_CORRUPT : op->status);
        return;
    }
    read_part(l, t->size - SSTABLE_TAIL, l->tail, SSTABLE_TAIL, on_tail);
}

void sstable_load(struct sstable_loader *l) {
    struct sstable *t = l->table;
    t->id = sstable_id(l->storage, t->number);
    t->filter = (struct filter){0};
    t->filter_block = t->index_block = 0;
    file_name(SSTABLE_PREFIX, t->number, l->name);
    l->op.done = on_opened;
    env_open(l->env, &l->op, l->name, ENV_OPEN, &t->file);
}
