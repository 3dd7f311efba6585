// SPDX-License-Identifier: Apache-2.0
#include "store/sstable_writer.h"

#include "base/little.h"

enum {
    CHUNK = 128 * 1024, // pieces are written when there is so much of them
    // So much is forced to disk at a time: what the kernel gathers for one large sync at the end
    // has the log, and reads, wait behind it for seconds.
    SYNC_SIZE = 8 * 1024 * 1024,
    VECTOR_FIRST = 256,
    GROWTH_FROM = 55, // hundredths of the memory for tables in use: blocks of twice the size
    GROWTH_FULL = 70, // and of BLOCK_GROWTH times
};

// Blocks begin below this, so that the last of them, filter, index and partitions do not take the
// table to SSTABLE_SIZE_MAX: a block may have twice TLSF_SIZE_MAX bytes, each of the others once.
#define BLOCKS_SIZE_MAX (SSTABLE_SIZE_MAX - 5 * (uint64_t)TLSF_SIZE_MAX)

static size_t block_max_of(uint32_t record_size_max) {
    return block_size_of(FULL_KEY_MAX, record_size_max);
}

// A block becomes a piece at the end of what was gathered, and compression needs as much room.
static size_t out_capacity_of(uint32_t record_size_max) {
    return CHUNK + piece_size_of(block_max_of(record_size_max)) + SSTABLE_TAIL;
}

size_t sstable_writer_memory_size(uint32_t record_size_max) {
    return block_max_of(record_size_max) + out_capacity_of(record_size_max) +
           (size_t)2 * FULL_KEY_MAX + (size_t)64 * 4;
}

void sstable_writer_init(struct sstable_writer *w, struct arena *arena, struct env *env,
                         struct tlsf *memory, struct compressor *compressor,
                         uint32_t record_size_max) {
    *w = (struct sstable_writer){.env = env, .memory = memory, .compressor = compressor};
    w->block_max = block_max_of(record_size_max);
    w->out_capacity = out_capacity_of(record_size_max);
    w->raw = arena_take(arena, w->block_max, 1);
    w->last = arena_take(arena, FULL_KEY_MAX, 1);
    w->full = arena_take(arena, FULL_KEY_MAX, 1);
    w->out = arena_take(arena, w->out_capacity, 1);
}

static struct sstable_writer *of(struct env_op *op) {
    return CONTAINER_OF(op, struct sstable_writer, op);
}

static void note(struct sstable_writer *w, const char *what, enum status status) {
    if (status == ST_OK || w->status != ST_OK) return;
    w->status = status;
    bool may_pass = status == ST_NO_SPACE || status == ST_NO_MEMORY;
    enum env_level level = may_pass ? ENV_WARNING : ENV_ERROR;
    env_log(w->env, level, "table_not_written table=%016x request=%s status=\"%s\"", w->plan.number,
            what, status_text(status));
}

static void become(struct sstable_writer *w, enum writer_state state) {
    w->state = state;
    w->done(w);
}

// Memory that grows.

static uint8_t *vector_bytes(const struct sstable_writer *w, const struct vector *v) {
    return tlsf_at(w->memory, v->block);
}

// Makes room for `size` more bytes; false, with the failure noted, when memory is full.
static bool vector_grow(struct sstable_writer *w, struct vector *v, uint32_t size) {
    if (v->capacity - v->size >= size) return true;
    uint32_t wanted = v->capacity == 0 ? VECTOR_FIRST : v->capacity + v->capacity / 2;
    while (wanted - v->size < size) wanted += wanted / 2;
    bool is_too_large = wanted > TLSF_SIZE_MAX;
    if (!is_too_large && v->block != 0 && tlsf_resize(w->memory, v->block, wanted)) {
        v->capacity = wanted;
        return true;
    }
    uint32_t block = is_too_large ? 0 : tlsf_take(w->memory, wanted);
    if (block == 0) {
        note(w, "memory", ST_NO_MEMORY);
        return false;
    }
    if (v->block != 0) {
        memcpy(tlsf_at(w->memory, block), vector_bytes(w, v), v->size);
        tlsf_give(w->memory, v->block);
    }
    v->block = block;
    v->capacity = wanted;
    return true;
}

static void vector_add(struct sstable_writer *w, struct vector *v, struct slice bytes) {
    if (bytes.size == 0 || !vector_grow(w, v, (uint32_t)bytes.size)) return;
    memcpy(vector_bytes(w, v) + v->size, bytes.data, bytes.size);
    v->size += (uint32_t)bytes.size;
}

static void vector_add_u32(struct sstable_writer *w, struct vector *v, uint32_t value) {
    uint8_t bytes[sizeof(value)];
    (void)store_u32(bytes, value);
    vector_add(w, v, (struct slice){bytes, sizeof(bytes)});
}

static void vector_give(struct sstable_writer *w, struct vector *v) {
    if (v->block != 0) tlsf_give(w->memory, v->block);
    *v = (struct vector){0};
}

static void give_vectors(struct sstable_writer *w) {
    vector_give(w, &w->units);
    vector_give(w, &w->places);
    vector_give(w, &w->separators);
    vector_give(w, &w->partitions);
}

// Opening.

static void on_opened(struct env_op *op) {
    struct sstable_writer *w = of(op);
    if (op->status != ST_OK) w->file = NULL;
    note(w, "create", op->status);
    become(w, WRITER_OPEN);
}

static uint32_t growth(const struct tlsf *memory) {
    uint64_t percent = memory->used * 100 / ((uint64_t)memory->unit_count * TLSF_UNIT);
    if (percent < GROWTH_FROM) return 1;
    return percent < GROWTH_FULL ? 2 : BLOCK_GROWTH;
}

void sstable_writer_open(struct sstable_writer *w, const struct sstable_plan *plan,
                         sstable_written *done) {
    must(w->state == WRITER_FREE);
    w->plan = *plan;
    w->plan.block_size *= growth(w->memory);
    w->done = done;
    w->state = WRITER_BUSY;
    w->status = ST_OK;
    w->id = sstable_id(plan->storage, plan->number);
    w->out_size = w->before_size = 0;
    w->offset = w->synced = 0;
    w->partition = (struct sstable_partition){0};
    w->keyspace = 0;
    w->codec = compressor_codec_of(w->compressor, 0);
    w->footer = (struct footer){.version = 1, .number = plan->number, .storage = plan->storage};
    block_init(&w->builder, w->raw, w->block_max, w->last);
    w->filter.line_count = filter_line_count(plan->key_count + SLOT_COUNT / 16);
    w->filter_piece = piece_take(w->memory, filter_size(&w->filter), &w->filter_block);
    if (w->filter_piece == NULL) {
        note(w, "memory", ST_NO_MEMORY);
    } else {
        w->filter.lines = w->filter_piece + PIECE_HEAD;
        memset(w->filter.lines, 0, filter_size(&w->filter));
    }
    static const uint8_t head[PIECE_HEAD];
    vector_add(w, &w->partitions, (struct slice){head, PIECE_HEAD});
    file_name(SSTABLE_PREFIX, plan->number, w->name);
    w->op.done = on_opened;
    env_open(w->env, &w->op, w->name, ENV_CREATE, &w->file);
}

// Adding.

static uint64_t end_offset(const struct sstable_writer *w) {
    return w->offset + w->out_size;
}

uint64_t sstable_writer_size(const struct sstable_writer *w) {
    return end_offset(w) + w->builder.size;
}

bool sstable_writer_is_full(const struct sstable_writer *w) {
    return w->out_size >= CHUNK;
}

static void end_block(struct sstable_writer *w) {
    if (w->builder.count == 0) return;
    w->before_size = w->builder.last_size;
    struct slice raw = block_finish(&w->builder);
    if (raw.size > w->footer.block_max) w->footer.block_max = (uint32_t)raw.size;
    uint8_t *to = w->out + w->out_size;
    must(w->out_size + piece_size_of(raw.size) <= w->out_capacity);
    struct piece piece = piece_fill(w->compressor, w->codec, raw, to + PIECE_HEAD);
    if (w->footer.version < piece_version(&piece)) w->footer.version = piece_version(&piece);
    w->out_size += piece_seal(w->id, end_offset(w), &piece, to);
    block_clear(&w->builder);
}

// The beginning of the full key that tells it from the last key of the block before.
static struct slice separator_of(const struct sstable_writer *w, struct slice full) {
    size_t size = 0;
    while (size < w->before_size && size < full.size && w->last[size] == full.data[size]) size++;
    return (struct slice){full.data, size + 1 < full.size ? size + 1 : full.size};
}

static void begin_block(struct sstable_writer *w, struct slice full) {
    if (end_offset(w) >= BLOCKS_SIZE_MAX) {
        note(w, "block", ST_TOO_LARGE);
        return;
    }
    vector_add_u32(w, &w->units, (uint32_t)(end_offset(w) / SSTABLE_UNIT));
    vector_add_u32(w, &w->places, w->separators.size);
    vector_add(w, &w->separators, separator_of(w, full));
}

static uint32_t block_count(const struct sstable_writer *w) {
    return w->units.size / (uint32_t)sizeof(uint32_t);
}

static void end_partition(struct sstable_writer *w) {
    if (w->partition.key_count == 0) return;
    uint8_t bytes[SSTABLE_PARTITION_SIZE];
    (void)sstable_partition_store(bytes, &w->partition);
    vector_add(w, &w->partitions, (struct slice){bytes, sizeof(bytes)});
    w->partition = (struct sstable_partition){0};
}

static void note_partition(struct sstable_writer *w, struct partition partition) {
    uint32_t number = partition_number(partition);
    if (w->partition.key_count > 0 && w->partition.number == number) return;
    end_partition(w);
    w->partition.number = number;
    w->partition.first_block = block_count(w) - 1;
    filter_add(&w->filter, partition_hash(w->plan.hash_seed, partition));
    if (w->footer.key_count == 0) w->footer.first = number;
    w->footer.last = number;
}

// A block is in one codec, so it ends where that changes.
static void begin_keyspace(struct sstable_writer *w, uint16_t keyspace) {
    enum codec codec = compressor_codec_of(w->compressor, keyspace);
    if (codec != w->codec) end_block(w);
    w->codec = codec;
    w->keyspace = keyspace;
}

void sstable_writer_add(struct sstable_writer *w, struct partition partition, struct slice key,
                        struct slice record, uint64_t digest) {
    must(w->state == WRITER_OPEN);
    if (w->status != ST_OK) return;
    must(!sstable_writer_is_full(w));
    if (partition.keyspace != w->keyspace) begin_keyspace(w, partition.keyspace);
    struct slice full = {w->full, full_key_write(w->full, partition, key)};
    bool is_new = w->builder.count == 0;
    if (!is_new && !block_add(&w->builder, full, record, w->plan.block_size)) {
        end_block(w);
        is_new = true;
    }
    if (is_new) {
        begin_block(w, full);
        bool is_added = block_add(&w->builder, full, record, w->plan.block_size);
        must(is_added);
    }
    if (w->status != ST_OK) return;
    note_partition(w, partition);
    filter_add(&w->filter, full_key_hash(w->plan.hash_seed, partition, key));
    w->partition.key_count++;
    w->partition.size += key.size + record.size;
    w->partition.digest += digest;
    w->footer.key_count++;
    w->footer.data_size += key.size + record.size;
}

// Writing.

static void on_part_synced(struct env_op *op) {
    struct sstable_writer *w = of(op);
    note(w, "sync part", op->status);
    become(w, WRITER_OPEN);
}

static void on_written(struct env_op *op) {
    struct sstable_writer *w = of(op);
    note(w, "write", op->status);
    w->offset += w->out_size;
    w->out_size = 0;
    if (w->status != ST_OK || w->offset - w->synced < SYNC_SIZE) {
        become(w, WRITER_OPEN);
        return;
    }
    w->synced = w->offset;
    w->op.done = on_part_synced;
    env_sync(w->env, &w->op, w->file);
}

static void ask_write(struct sstable_writer *w, const uint8_t *bytes, uint64_t size,
                      env_done *done) {
    must(size <= UINT32_MAX);
    w->op.done = done;
    env_write(w->env, &w->op, w->file, w->offset, bytes, (uint32_t)size);
}

void sstable_writer_write(struct sstable_writer *w, sstable_written *done) {
    must(w->state == WRITER_OPEN);
    must(w->out_size > 0);
    w->done = done;
    w->state = WRITER_BUSY;
    ask_write(w, w->out, w->out_size, on_written);
}

// Finishing.

static void on_named(struct env_op *op) {
    struct sstable_writer *w = of(op);
    note(w, "sync names", op->status);
    become(w, w->status == ST_OK ? WRITER_DONE : WRITER_OPEN);
}

static void on_synced(struct env_op *op) {
    struct sstable_writer *w = of(op);
    note(w, "sync", op->status);
    if (w->status != ST_OK) {
        become(w, WRITER_OPEN);
        return;
    }
    op->done = on_named;
    env_sync_names(w->env, op);
}

// True, and the failure told, when the request failed.
static bool has_failed(struct sstable_writer *w, const struct env_op *op) {
    note(w, "write", op->status);
    if (w->status == ST_OK) return false;
    become(w, WRITER_OPEN);
    return true;
}

static void on_footer(struct env_op *op) {
    struct sstable_writer *w = of(op);
    if (has_failed(w, op)) return;
    w->offset += SSTABLE_TAIL;
    op->done = on_synced;
    env_sync(w->env, op, w->file);
}

static void on_partitions(struct env_op *op) {
    struct sstable_writer *w = of(op);
    if (has_failed(w, op)) return;
    w->offset += w->out_size;
    w->footer.end = w->offset;
    footer_encode(&w->footer, w->out);
    w->out_size = 0;
    ask_write(w, w->out, SSTABLE_TAIL, on_footer);
}

static void on_index(struct env_op *op) {
    struct sstable_writer *w = of(op);
    if (has_failed(w, op)) return;
    w->offset += piece_size_of(w->index_size);
    w->footer.partitions_offset = w->offset;
    if (!vector_grow(w, &w->partitions, SSTABLE_UNIT)) { // for the zeros behind it
        become(w, WRITER_OPEN);
        return;
    }
    struct piece piece = {.size = w->partitions.size - PIECE_HEAD};
    piece.raw_size = piece.size;
    uint8_t *bytes = vector_bytes(w, &w->partitions);
    w->out_size = piece_seal(w->id, w->offset, &piece, bytes);
    ask_write(w, bytes, w->out_size, on_partitions);
}

// Puts the index together from its parts. False: memory is full.
static bool make_index(struct sstable_writer *w) {
    uint32_t count = block_count(w);
    vector_add_u32(w, &w->units, (uint32_t)(w->footer.filter_offset / SSTABLE_UNIT));
    vector_add_u32(w, &w->places, w->separators.size);
    if (w->status != ST_OK) return false;
    w->index_size = index_head_size(count) + w->separators.size;
    w->index_piece = piece_take(w->memory, w->index_size, &w->index_block);
    if (w->index_piece == NULL) {
        note(w, "memory", ST_NO_MEMORY);
        return false;
    }
    uint8_t *to = store_u32(w->index_piece + PIECE_HEAD, count);
    memcpy(to, vector_bytes(w, &w->units), w->units.size);
    to += w->units.size;
    memcpy(to, vector_bytes(w, &w->places), w->places.size);
    to += w->places.size;
    memcpy(to, vector_bytes(w, &w->separators), w->separators.size);
    vector_give(w, &w->units);
    vector_give(w, &w->places);
    vector_give(w, &w->separators);
    struct piece piece = {.size = (uint32_t)w->index_size, .raw_size = (uint32_t)w->index_size};
    (void)piece_seal(w->id, w->offset, &piece, w->index_piece);
    return true;
}

static void on_filter(struct env_op *op) {
    struct sstable_writer *w = of(op);
    if (has_failed(w, op)) return;
    w->offset += piece_size_of(filter_size(&w->filter));
    w->footer.index_offset = w->offset;
    if (!make_index(w)) {
        become(w, WRITER_OPEN);
        return;
    }
    ask_write(w, w->index_piece, piece_size_of(w->index_size), on_index);
}

static void on_blocks(struct env_op *op) {
    struct sstable_writer *w = of(op);
    if (has_failed(w, op)) return;
    w->offset += w->out_size;
    w->out_size = 0;
    w->footer.filter_offset = w->offset;
    struct piece piece = {.size = (uint32_t)filter_size(&w->filter)};
    piece.raw_size = piece.size;
    uint64_t size = piece_seal(w->id, w->offset, &piece, w->filter_piece);
    ask_write(w, w->filter_piece, size, on_filter);
}

void sstable_writer_finish(struct sstable_writer *w, sstable_written *done) {
    must(w->state == WRITER_OPEN);
    must(w->footer.key_count > 0);
    w->done = done;
    w->state = WRITER_BUSY;
    end_block(w);
    end_partition(w);
    must(w->out_size > 0);
    ask_write(w, w->out, w->out_size, on_blocks);
}

void sstable_writer_take(struct sstable_writer *w, struct sstable *t) {
    must(w->state == WRITER_DONE);
    *t = (struct sstable){
        .number = w->plan.number,
        .first = w->footer.first,
        .last = w->footer.last,
        .whole_first = w->footer.first,
        .sequence = w->plan.sequence,
        .id = w->id,
        .size = w->offset,
        .key_count = w->footer.key_count,
        .data_size = w->footer.data_size,
        .block_max = w->footer.block_max,
        .file = w->file,
        .filter = w->filter,
        .filter_block = w->filter_block,
        .index_block = w->index_block,
    };
    enum status status =
        index_open(&t->index, (struct slice){w->index_piece + PIECE_HEAD, w->index_size});
    must(status == ST_OK);
    w->file = NULL;
    w->filter_block = w->index_block = 0;
    give_vectors(w);
    w->state = WRITER_FREE;
}

// Abandoning.

static void on_removed(struct env_op *op) {
    become(of(op), WRITER_FREE);
}

static void on_closed(struct env_op *op) {
    struct sstable_writer *w = of(op);
    w->file = NULL;
    if (w->is_needed) {
        become(w, WRITER_FREE);
        return;
    }
    op->done = on_removed;
    env_remove(w->env, op, w->name);
}

void sstable_writer_abandon(struct sstable_writer *w, bool is_needed, sstable_written *done) {
    must(w->state == WRITER_OPEN || w->state == WRITER_DONE);
    if (w->filter_block != 0) tlsf_give(w->memory, w->filter_block);
    if (w->index_block != 0) tlsf_give(w->memory, w->index_block);
    w->filter_block = w->index_block = 0;
    give_vectors(w);
    w->is_needed = is_needed;
    w->done = done;
    w->state = WRITER_BUSY;
    w->op.done = on_closed;
    if (w->file == NULL) {
        on_closed(&w->op);
    } else {
        env_close(w->env, &w->op, w->file);
    }
}
