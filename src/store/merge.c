// SPDX-License-Identifier: Apache-2.0
#include "store/merge.h"

void merge_begin(struct merge *m, uint32_t last) {
    m->last = last;
    m->count = m->heap_count = m->waiting = 0;
    m->is_stepping = false;
    m->is_reverse = false;
    m->status = ST_OK;
    m->key = m->record = (struct slice){NULL, 0};
}

static void give(struct merge *m, uint32_t *block) {
    if (*block != 0) tlsf_give(m->memory, *block);
    *block = 0;
}

static void release(struct source *s) {
    give(s->merge, &s->bytes_block);
    give(s->merge, &s->raw_block);
    give(s->merge, &s->key_block);
    sstable_unpin(s->table);
}

void merge_end(struct merge *m) {
    must(merge_is_quiet(m));
    for (uint32_t i = 0; i < m->count; i++) release(&m->sources[i]);
    m->count = m->heap_count = 0;
}

enum status merge_add(struct merge *m, struct sstable *t) {
    if (m->count == MERGE_SOURCES_MAX) return ST_BUSY;
    struct source *s = &m->sources[m->count];
    *s = (struct source){.merge = m, .table = t};
    sstable_pin(t);
    m->count++;
    return ST_OK;
}

// The heap.

static bool is_less(const struct merge *m, uint32_t a, uint32_t b) {
    int order = slice_compare(m->sources[a].cursor.key, m->sources[b].cursor.key);
    if (m->is_reverse) order = -order;
    return order != 0 ? order < 0 : a < b; // of one key the newest first
}

static void sift_down(struct merge *m, uint32_t at) {
    uint32_t item = m->heap[at];
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= m->heap_count) break;
        if (child + 1 < m->heap_count && is_less(m, m->heap[child + 1], m->heap[child])) child++;
        if (!is_less(m, m->heap[child], item)) break;
        m->heap[at] = m->heap[child];
        at = child;
    }
    m->heap[at] = item;
}

static void push(struct merge *m, uint32_t item) {
    uint32_t at = m->heap_count++;
    for (; at > 0 && is_less(m, item, m->heap[(at - 1) / 2]); at = (at - 1) / 2) {
        m->heap[at] = m->heap[(at - 1) / 2];
    }
    m->heap[at] = item;
}

static void pop(struct merge *m) {
    m->heap[0] = m->heap[--m->heap_count];
    if (m->heap_count > 0) sift_down(m, 0);
}

// Loading.

// The block cannot be read: ends the merge, or where that is wanted, leaves the block out.
static void damaged(struct source *s) {
    struct merge *m = s->merge;
    bool is_forgiven = sstable_note_damage(s->table, s->block);
    if (m->status == ST_OK && !is_forgiven && !m->skips_damage) m->status = ST_CORRUPT;
}

static bool grow(struct merge *m, uint32_t *block, uint32_t *capacity, uint64_t wanted) {
    if (*capacity >= wanted) return true;
    give(m, block);
    *capacity = 0;
    *block = wanted > TLSF_SIZE_MAX ? 0 : tlsf_take(m->memory, wanted);
    if (*block == 0) {
        if (m->status == ST_OK) m->status = ST_NO_MEMORY;
        return false;
    }
    *capacity = (uint32_t)wanted;
    return true;
}

// True for a block of which it does not matter whether it can be read.
static bool is_left_out(const struct source *s, uint32_t block) {
    bool is_skipped = s->merge->skips_damage && sstable_is_bad(s->table, block);
    return is_skipped || sstable_is_lost(s->table, block);
}

// Opens the block that the source is to go through next, which is in its bytes.
static bool open_block(struct source *s) {
    struct merge *m = s->merge;
    s->is_open = false;
    if (is_left_out(s, s->block)) return false;
    uint64_t offset = index_offset(&s->table->index, s->block);
    uint64_t base = index_offset(&s->table->index, s->first);
    uint64_t end = index_offset(&s->table->index, s->block + 1);
    if (end - base > s->read.got) { // the file is cut
        damaged(s);
        return false;
    }
    const uint8_t *bytes = (const uint8_t *)tlsf_at(m->memory, s->bytes_block) + (offset - base);
    struct slice all = {bytes, end - offset};
    struct piece piece;
    struct slice content;
    struct slice raw = {NULL, 0};
    enum status status = piece_open(s->table->id, offset, all, &piece, &content);
    if (status == ST_OK && piece.codec != CODEC_NONE) {
        if (!grow(m, &s->raw_block, &s->raw_capacity, piece.raw_size)) return false;
    }
    uint8_t *to = s->raw_block == 0 ? NULL : tlsf_at(m->memory, s->raw_block);
    if (status == ST_OK) status = piece_expand(m->compressor, &piece, content, to, &raw);
    if (status == ST_OK) {
        if (!grow(m, &s->key_block, &s->key_capacity, block_key_most(raw))) return false;
        block_open(&s->cursor, raw, tlsf_at(m->memory, s->key_block));
    }
    s->is_open = status == ST_OK && !s->cursor.failed;
    if (s->is_open && m->is_reverse) block_end(&s->cursor);
    if (!s->is_open) damaged(s);
    return s->is_open;
}

static void on_read(struct block_read *r);

static uint64_t blocks_size(const struct sstable_index *index, uint32_t first, uint32_t end) {
    return index_offset(index, end) - index_offset(index, first);
}

static bool may_read_with(const struct source *s, uint32_t first, uint32_t end, uint32_t block) {
    return blocks_size(&s->table->index, first, end) <= s->capacity && !is_left_out(s, block);
}

// Whether all that the block holds lies past what is wanted.
static bool is_beyond(const struct source *s, uint32_t block) {
    return !s->merge->is_reverse && sstable_block_first(s->table, block) > s->merge->last;
}

// Which blocks are read with the next one: as many as fit, up to one that is left out.
static void choose_blocks(struct source *s) {
    s->first = s->block;
    s->end = s->block + 1;
    if (s->alone > 0) {
        s->alone--;
    } else if (s->merge->is_reverse) {
        while (s->first > 0 && may_read_with(s, s->first - 1, s->end, s->first - 1)) s->first--;
    } else {
        uint32_t count = s->table->index.count;
        while (s->end < count && may_read_with(s, s->first, s->end + 1, s->end) &&
               !is_beyond(s, s->end)) {
            s->end++;
        }
    }
}

// The same of the next block, with which the source is over then.
static bool is_past(struct source *s) {
    s->is_over = is_beyond(s, s->block);
    return s->is_over;
}

// Passes blocks that are left out: a bad sector is not read for each partition anew. False: there
// is no other one.
static bool pass_left_out(struct source *s) {
    uint32_t count = s->table->index.count;
    while (s->block < count && is_left_out(s, s->block)) {
        s->block += s->merge->is_reverse ? UINT32_MAX : 1;
        if (s->block < count && is_past(s)) return false;
    }
    s->is_over = s->block >= count; // before the first is past the last, too
    return !s->is_over;
}

// Reads from `s->block` on. False: there is nothing to read, or memory is full.
static bool load(struct source *s) {
    struct merge *m = s->merge;
    const struct sstable_index *index = &s->table->index;
    if (!pass_left_out(s)) return false;
    uint64_t least = blocks_size(index, s->block, s->block + 1);
    uint64_t wanted = least > m->read_size ? least : m->read_size;
    if (!grow(m, &s->bytes_block, &s->capacity, wanted)) return false;
    choose_blocks(s);
    m->waiting++;
    struct block_read *r = &s->read;
    r->env = m->env;
    r->done = on_read;
    r->table = s->table;
    r->offset = index_offset(index, s->first);
    r->to = tlsf_at(m->memory, s->bytes_block);
    r->size = (uint32_t)blocks_size(index, s->first, s->end);
    r->tries = s->end - s->first > 1 ? 1 : BLOCK_READ_TRIES;
    m->read += r->size;
    block_read_start(r);
    return true;
}

// Whether the record is one of those that are wanted; what comes after one past them is not,
// either.
static bool is_wanted(struct source *s) {
    uint32_t partition = partition_number(full_key_partition(s->cursor.key));
    if (s->merge->is_reverse) {
        s->is_over = partition < s->merge->last || partition < s->table->first;
    } else {
        s->is_over = partition > s->merge->last || partition > s->table->last;
    }
    return !s->is_over;
}

// Moves to the next block in the direction. False: it is not among those in memory.
static bool next_block(struct source *s) {
    s->block += s->merge->is_reverse ? UINT32_MAX : 1;
    return s->block >= s->first && s->block < s->end;
}

// Moves to the next record, in this block or the next of those in memory. False: it has to load, is
// over, or failed.
static bool advance(struct source *s) {
    for (;;) {
        bool has_moved =
            s->is_open && (s->merge->is_reverse ? block_prev(&s->cursor) : block_next(&s->cursor));
        if (has_moved) return is_wanted(s);
        if (s->is_open && s->cursor.failed) {
            damaged(s);
        }
        if (s->merge->status != ST_OK || !next_block(s)) return false;
        if (!open_block(s) && is_past(s)) return false;
    }
}

// Puts the source where it belongs after it moved.
static void place(struct source *s, bool has_record) {
    struct merge *m = s->merge;
    if (has_record) {
        push(m, (uint32_t)(s - m->sources));
    } else if (m->status == ST_OK && !s->is_over) {
        (void)load(s);
    }
}

// The key from which the source is wanted. `head` has room for FULL_KEY_HEAD bytes.
static struct slice begin_of(const struct source *s, uint8_t *head) {
    const struct merge *m = s->merge;
    struct slice seek = {m->seek, m->seek_size};
    if (s->table->first <= partition_number(full_key_partition(seek))) return seek;
    struct partition first = partition_of_number(s->table->first);
    return (struct slice){head, full_key_write(head, first, (struct slice){0})};
}

// The first record from where the merge begins, in the block that was read for it or behind.
static bool find_first(struct source *s) {
    uint8_t head[FULL_KEY_HEAD];
    struct slice begin = begin_of(s, head);
    s->is_seeking = false;
    if (!s->is_open) return advance(s);
    bool is_found = s->merge->is_reverse
                        ? block_seek_back(&s->cursor, begin, s->merge->is_seek_inclusive)
                        : block_seek(&s->cursor, begin);
    return is_found ? is_wanted(s) : advance(s);
}

// What was read, or could not be, is gone on with.
static void take(struct source *s, enum status status) {
    struct merge *m = s->merge;
    if (status == ST_IO && s->end - s->first > 1) {
        s->alone = s->end - s->first;
        (void)load(s);
    } else if (status == ST_CORRUPT) {
        s->is_open = false;
        damaged(s);
        place(s, s->is_seeking ? find_first(s) : advance(s));
    } else if (status != ST_OK) {
        m->status = status;
    } else {
        (void)open_block(s);
        place(s, s->is_seeking ? find_first(s) : advance(s));
    }
}

static void on_read(struct block_read *r) {
    struct source *s = CONTAINER_OF(r, struct source, read);
    struct merge *m = s->merge;
    m->waiting--;
    if (m->status == ST_OK) take(s, r->status);
    if (m->waiting == 0) m->ready(m);
}

// Sources read the block at which they begin.
static void seek(struct merge *m) {
    for (uint32_t i = 0; i < m->count && m->status == ST_OK; i++) {
        struct source *s = &m->sources[i];
        uint8_t head[FULL_KEY_HEAD];
        s->is_seeking = true;
        s->block = index_find(&s->table->index, begin_of(s, head));
        (void)load(s);
    }
}

void merge_seek(struct merge *m, struct partition partition, struct slice key, bool is_past) {
    m->seek_size = full_key_write(m->seek, partition, key);
    // The least key past another is that one with a zero byte behind it.
    if (is_past) m->seek[m->seek_size++] = 0;
    seek(m);
}

void merge_seek_back(struct merge *m, struct partition partition, struct slice key,
                     bool is_inclusive) {
    m->is_reverse = true;
    m->is_seek_inclusive = is_inclusive;
    // Behind the last key of a partition is where the next one begins.
    if (key.size == 0) partition = partition_of_number(partition_number(partition) + 1);
    m->seek_size = full_key_write(m->seek, partition, key);
    seek(m);
}

// Stepping.

// All sources that are at the key that was given out move on.
static void step(struct merge *m) {
    m->is_stepping = false;
    struct source *top = &m->sources[m->heap[0]];
    pop(m);
    while (m->heap_count > 0) {
        struct source *s = &m->sources[m->heap[0]];
        if (!slice_equal(s->cursor.key, top->cursor.key)) break;
        pop(m);
        place(s, advance(s));
    }
    place(top, advance(top));
}

enum merge_step merge_next(struct merge *m) {
    if (m->is_stepping) step(m);
    if (m->waiting > 0) return MERGE_LOADING;
    if (m->status != ST_OK) return MERGE_FAILED;
    if (m->heap_count == 0) return MERGE_END;
    const struct source *s = &m->sources[m->heap[0]];
    m->key = s->cursor.key;
    m->record = s->cursor.record;
    m->is_stepping = true;
    return MERGE_RECORD;
}
