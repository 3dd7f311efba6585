// SPDX-License-Identifier: Apache-2.0
#include "store/check_table.h"

#include "model/hint.h"

#include <inttypes.h>

static uint32_t parts_size_of(uint32_t keyspaces_max) {
    uint64_t size = (uint64_t)keyspaces_max * KEYSPACE_PARTS * SSTABLE_PARTITION_SIZE;
    size += PIECE_HEAD + SSTABLE_UNIT;
    return size < UINT32_MAX ? (uint32_t)size : UINT32_MAX;
}

static uint32_t raw_size_of(uint32_t record_size_max) {
    return (uint32_t)block_size_of(FULL_KEY_MAX, record_size_max);
}

static uint32_t read_capacity(const struct table_check *c) {
    uint64_t piece = piece_size_of(c->raw_size);
    return piece > TABLE_CHECK_READ ? (uint32_t)piece : TABLE_CHECK_READ;
}

size_t table_check_memory_size(uint32_t record_size_max, uint32_t keyspaces_max) {
    return 2 * piece_size_of(raw_size_of(record_size_max)) + TABLE_CHECK_READ +
           parts_size_of(keyspaces_max) + (size_t)2 * FULL_KEY_MAX + (size_t)64 * 5;
}

void table_check_init(struct table_check *c, struct arena *arena, uint32_t record_size_max,
                      uint32_t keyspaces_max) {
    c->raw_size = raw_size_of(record_size_max);
    c->bytes = arena_take(arena, read_capacity(c), 1);
    c->raw = arena_take(arena, c->raw_size, 1);
    c->parts_size = parts_size_of(keyspaces_max);
    c->parts = arena_take(arena, c->parts_size, 1);
    c->key = arena_take(arena, FULL_KEY_MAX, 1);
    c->last = arena_take(arena, FULL_KEY_MAX, 1);
}

static struct table_check *of(struct env_op *op) {
    return CONTAINER_OF(op, struct table_check, op);
}

#define ADD(c, offset, size, meaning, ...)                                                         \
    findings_add((c)->findings, (c)->loader.name, (struct stretch){offset, size}, meaning,         \
                 __VA_ARGS__)

// Sums.

static void compare_footer(struct table_check *c) {
    const struct footer *says = &c->loader.footer;
    const struct footer *is = &c->seen;
    if (says->key_count != is->key_count || says->data_size != is->data_size) {
        ADD(c, says->end, 0, CHECK_MENDED,
            "the footer counts %" PRIu64 " keys of %" PRIu64 " bytes, there are %" PRIu64
            " of %" PRIu64,
            says->key_count, says->data_size, is->key_count, is->data_size);
    }
    if (says->first != is->first || says->last != is->last || says->block_max != is->block_max) {
        ADD(c, says->end, 0, CHECK_MENDED,
            "the footer says partitions %" PRIu32 " to %" PRIu32 ", blocks up to %" PRIu32
            " bytes; they are %" PRIu32 " to %" PRIu32 ", up to %" PRIu32,
            says->first, says->last, says->block_max, is->first, is->last, is->block_max);
    }
}

static bool are_same(const struct sstable_partition *a, const struct sstable_partition *b) {
    return a->number == b->number && a->first_block == b->first_block &&
           a->key_count == b->key_count && a->size == b->size && a->digest == b->digest;
}

static void end_partition(struct table_check *c) {
    const struct sstable_partition *sum = &c->sum;
    if (sum->key_count == 0) return;
    // Where a block is missing, nothing else can add up.
    if (c->has_parts && c->is_counted) {
        const struct footer *f = &c->loader.footer;
        uint64_t place = (uint64_t)c->part * SSTABLE_PARTITION_SIZE;
        struct sstable_partition says = {0};
        if (c->part < c->part_count) says = sstable_partition_load(c->parts + PIECE_HEAD + place);
        if (!are_same(&says, sum)) {
            ADD(c, f->partitions_offset + PIECE_HEAD + place, SSTABLE_PARTITION_SIZE, CHECK_MENDED,
                "partition %" PRIu32 ": said to be %" PRIu64 " keys of %" PRIu64
                " bytes with digest %016" PRIx64 ", is %" PRIu64 " of %" PRIu64 " with %016" PRIx64,
                sum->number, says.key_count, says.size, says.digest, sum->key_count, sum->size,
                sum->digest);
            c->has_parts = false; // one says enough
        }
    }
    c->part++;
    c->sum.key_count = 0;
}

// The end.

static void tell_bad_blocks(struct table_check *c) {
    if (c->complaint != NULL) ADD(c, c->bad.offset, c->bad.size, CHECK_LOST, "%s", c->complaint);
    c->complaint = NULL;
}

static void end_table(struct table_check *c) {
    tell_bad_blocks(c);
    end_partition(c);
    const struct footer *f = &c->loader.footer;
    if (c->is_counted) {
        compare_footer(c);
        if (c->has_parts && c->part < c->part_count) {
            ADD(c, f->partitions_offset, 0, CHECK_MENDED,
                "%" PRIu32 " partitions more than there are keys of", c->part_count - c->part);
        }
    }
    if (c->unfiltered_count > 0) {
        ADD(c, f->filter_offset, 0, CHECK_LOST,
            "the filter denies %" PRIu64 " keys or partitions that are there", c->unfiltered_count);
    }
    if (c->removed_count > 0) {
        ADD(c, 0, 0, CHECK_MENDED, "%" PRIu64 " removed keys, and nothing below to be removed",
            c->removed_count);
    }
    if (f->last > c->table->last) {
        ADD(c, f->end, 0, CHECK_LOST, "partitions %" PRIu32 " to %" PRIu32 " do not count",
            c->table->last + 1, f->last);
    }
    c->done(c);
}

// Blocks.

static void ask_filter(struct table_check *c, uint64_t hash) {
    c->unfiltered_count += !sstable_may_hold(c->table, hash);
}

const char *check_flaw(struct record *scratch, struct partition partition, struct slice record) {
    struct hint hint;
    bool is_hint = partition.slot >= SLOT_HINTS && record.size > 0;
    if (is_hint && hint_decode(&hint, record) != ST_OK) return "what should be a hint is none";
    enum status st = record_decode(scratch, is_hint ? hint.record : record);
    return st == ST_OK ? NULL : "what should be a record is none";
}

// Counts an entry. NULL, or what is wrong with it.
static const char *take_entry(struct table_check *c, uint32_t block) {
    struct slice full = c->cursor.key;
    struct slice record = c->cursor.record;
    struct partition partition = full_key_partition(full);
    struct slice key = full_key_rest(full);
    uint32_t number = partition_number(partition);
    uint64_t seed = c->loader.storage;
    if (!partition_is_good(partition) || key.size == 0) return "a key of no partition";
    if (c->sum.key_count == 0 || c->sum.number != number) {
        end_partition(c);
        c->sum = (struct sstable_partition){.number = number, .first_block = block};
        ask_filter(c, partition_hash(seed, partition));
        if (c->seen.key_count == 0) c->seen.first = number;
        c->seen.last = number;
    }
    ask_filter(c, full_key_hash(seed, partition, key));
    c->sum.key_count++;
    c->sum.size += key.size + record.size;
    if (record.size > 0) c->sum.digest += record_digest(key, record);
    c->seen.key_count++;
    c->seen.data_size += key.size + record.size;
    c->findings->counts.records++;
    c->removed_count += record.size == 0 && c->table->sequence == 0;
    return check_flaw(c->scratch, partition, record);
}

static bool is_separated(const struct table_check *c, uint32_t block) {
    struct slice separator = index_separator(&c->table->index, block);
    struct slice last = {c->last, c->last_size};
    return slice_compare(separator, c->cursor.key) <= 0 &&
           (last.size == 0 || slice_compare(last, separator) < 0);
}

// NULL, or what is wrong with the entries of a block.
static const char *check_entries(struct table_check *c, struct slice raw, uint32_t block) {
    struct block_cursor *cursor = &c->cursor;
    uint32_t count = 0;
    uint32_t at = 0;
    block_open(cursor, raw, c->key);
    for (; block_next(cursor); count++, at = cursor->next) {
        uint32_t restart = count / RESTART_EVERY;
        bool is_restart = count % RESTART_EVERY == 0;
        if (is_restart &&
            (restart >= block_restart_count(cursor) || block_restart(cursor, restart) != at)) {
            return "a block's restarts are not where they should be";
        }
        struct slice last = {c->last, c->last_size};
        if (last.size > 0 && slice_compare(last, cursor->key) >= 0) return "keys out of order";
        if (count == 0 && !is_separated(c, block)) return "the index leads past a block";
        const char *complaint = take_entry(c, block);
        if (complaint != NULL) return complaint;
        memcpy(c->last, cursor->key.data, cursor->key.size);
        c->last_size = cursor->key.size;
    }
    if (cursor->failed || count == 0) return "what should be a block is none";
    bool is_right = block_restart_count(cursor) == (count + RESTART_EVERY - 1) / RESTART_EVERY;
    return is_right ? NULL : "a block's restarts are not where they should be";
}

// NULL, or what is wrong with the block whose bytes are these.
static const char *check_block(struct table_check *c, uint32_t block, struct slice all) {
    struct piece piece;
    struct slice content;
    struct slice raw;
    uint64_t offset = index_offset(&c->table->index, block);
    if (piece_open(c->table->id, offset, all, &piece, &content) != ST_OK) {
        return "the checksum of a block is wrong";
    }
    if (piece_size_of(piece.size) != all.size) return "a block does not fill its place";
    if (piece.raw_size > c->raw_size) return "a block is larger than can be";
    if (piece_expand(c->compressor, &piece, content, c->raw, &raw) != ST_OK)
        return "a block does not expand";
    if (piece.raw_size > c->seen.block_max) c->seen.block_max = piece.raw_size;
    return check_entries(c, raw, block);
}

// Whether nothing in the block counts, because other tables have taken over its partitions.
static bool is_taken_over(const struct table_check *c, uint32_t block) {
    const struct sstable_index *index = &c->table->index;
    if (block + 1 == index->count) return c->loader.footer.last < c->table->first;
    struct slice end = index_separator(index, block + 1);
    uint8_t head[FULL_KEY_HEAD] = {0};
    memcpy(head, end.data, end.size < sizeof(head) ? end.size : sizeof(head));
    struct slice full = {head, sizeof(head)};
    return partition_number(full_key_partition(full)) < c->table->first;
}

static void note_block(struct table_check *c, uint32_t block, const char *complaint) {
    if (complaint == NULL) {
        tell_bad_blocks(c);
        return;
    }
    uint64_t offset = index_offset(&c->table->index, block);
    uint64_t size = index_offset(&c->table->index, block + 1) - offset;
    c->is_counted = false;
    if (is_taken_over(c, block)) {
        ADD(c, offset, size, CHECK_HARMLESS, "%s, but other tables have what was in it", complaint);
        return;
    }
    c->is_whole = false;
    if (c->complaint == NULL) {
        c->complaint = complaint;
        c->bad = (struct stretch){offset, size};
    } else {
        c->bad.size = offset + size - c->bad.offset;
    }
}

static void read_blocks(struct table_check *c);

static void on_blocks(struct env_op *op) {
    struct table_check *c = of(op);
    const struct sstable_index *index = &c->table->index;
    uint64_t from = index_offset(index, c->block);
    if (op->status == ST_IO && c->end - c->block > 1) {
        c->alone = c->end - c->block;
        read_blocks(c);
        return;
    }
    uint64_t got = op->status == ST_OK ? op->size : 0;
    c->findings->counts.bytes += got;
    for (; c->block < c->end; c->block++) {
        uint64_t at = index_offset(index, c->block) - from;
        uint64_t size = index_offset(index, c->block + 1) - from - at;
        const char *complaint = "blocks cannot be read";
        if (at + size <= got) {
            complaint = check_block(c, c->block, (struct slice){c->bytes + at, size});
        }
        note_block(c, c->block, complaint);
    }
    read_blocks(c);
}

static void read_blocks(struct table_check *c) {
    const struct sstable_index *index = &c->table->index;
    while (c->block < index->count) {
        uint64_t from = index_offset(index, c->block);
        uint64_t size = index_offset(index, c->block + 1) - from;
        if (size <= read_capacity(c)) {
            c->end = c->block + 1;
            bool is_alone = c->alone > 0;
            c->alone -= is_alone;
            while (!is_alone && c->end < index->count &&
                   index_offset(index, c->end + 1) - from <= TABLE_CHECK_READ) {
                c->end++;
            }
            size = index_offset(index, c->end) - from;
            c->op.done = on_blocks;
            env_read(c->env, &c->op, c->table->file, from, c->bytes, (uint32_t)size);
            return;
        }
        note_block(c, c->block++, "a block is larger than can be");
    }
    end_table(c);
}

// The rest.

static void on_parts(struct env_op *op) {
    struct table_check *c = of(op);
    const struct footer *f = &c->loader.footer;
    struct piece piece;
    struct slice content;
    struct slice bytes = {c->parts, op->size};
    enum status status = op->status;
    if (status == ST_OK) {
        status = piece_open(c->table->id, f->partitions_offset, bytes, &piece, &content);
    }
    c->has_parts =
        status == ST_OK && piece.codec == CODEC_NONE && content.size % SSTABLE_PARTITION_SIZE == 0;
    c->part_count = c->has_parts ? (uint32_t)(content.size / SSTABLE_PARTITION_SIZE) : 0;
    if (!c->has_parts) {
        ADD(c, f->partitions_offset, f->end - f->partitions_offset, CHECK_MENDED,
            "the sums of partitions cannot be read");
    }
    read_blocks(c);
}

static void read_parts(struct table_check *c) {
    const struct footer *f = &c->loader.footer;
    uint64_t size = f->end - f->partitions_offset;
    // With the filter and the index, which were read before.
    c->findings->counts.bytes += f->end - f->filter_offset + SSTABLE_TAIL;
    if (size <= c->parts_size) {
        c->op.done = on_parts;
        env_read(c->env, &c->op, c->table->file, f->partitions_offset, c->parts, (uint32_t)size);
        return;
    }
    ADD(c, f->partitions_offset, size, CHECK_HARMLESS,
        "partitions of too many keyspaces: their sums are not compared");
    c->has_parts = false;
    read_blocks(c);
}

static const char *load_failure(enum status status) {
    if (status == ST_NOT_FOUND) return "it is not there";
    if (status == ST_INVALID) return "of another version";
    if (status == ST_TOO_LARGE) return "of larger records than can be looked at";
    return status == ST_NO_MEMORY ? "larger than memory" : "damaged, or cannot be read";
}

static void on_loaded(struct sstable_loader *l, enum status status) {
    struct table_check *c = CONTAINER_OF(l, struct table_check, loader);
    const struct footer *f = &l->footer;
    c->is_loaded = c->is_whole = c->is_counted = status == ST_OK;
    if (status != ST_OK) {
        uint64_t tail = c->table->size > SSTABLE_TAIL ? c->table->size - SSTABLE_TAIL : 0;
        uint64_t offset = strcmp(l->part, "index") == 0 ? f->index_offset : tail;
        ADD(c, offset, 0, CHECK_LOST, "%s: %s", l->part, load_failure(status));
        c->done(c);
        return;
    }
    if (l->good_footers < 2) {
        ADD(c, f->end, SSTABLE_TAIL, CHECK_MENDED, "one of two footers is damaged");
    }
    if (c->table->filter.line_count == 0) {
        ADD(c, f->filter_offset, f->index_offset - f->filter_offset, CHECK_MENDED,
            "the filter is damaged: reads are slower");
    }
    read_parts(c);
}

void table_check_start(struct table_check *c, struct sstable *t, uint64_t storage) {
    c->table = t;
    c->part = c->block = c->alone = 0;
    c->last_size = 0;
    c->sum = (struct sstable_partition){0};
    c->seen = (struct footer){0};
    c->removed_count = c->unfiltered_count = 0;
    c->complaint = NULL;
    c->findings->counts.tables++;
    c->loader.env = c->env;
    c->loader.memory = c->memory;
    c->loader.done = on_loaded;
    c->loader.storage = storage;
    c->loader.block_max = c->raw_size;
    c->loader.table = t;
    sstable_load(&c->loader);
}
