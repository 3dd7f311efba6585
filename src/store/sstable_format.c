// SPDX-License-Identifier: Apache-2.0
#include "store/sstable_format.h"

#include "base/codec.h"
#include "base/little.h"

enum {
    FOOTER_BYTES = 8 + 4 + 4 + 8 * 7 + 4 * 3, // less the checksum
};

#define MAGIC SLICE("QUOITTAB")
#define FOOTER_SEED 0x71756f6974746162u // "quoittab"

static_assert(FOOTER_BYTES + sizeof(uint64_t) <= FOOTER_SIZE, "a footer has its place");

// Pieces.

uint64_t sstable_id(uint64_t storage, uint32_t number) {
    return hash_number(storage ^ hash_number(FOOTER_SEED ^ number));
}

static uint64_t checksum_of(uint64_t id, uint64_t offset, uint32_t size, uint32_t raw,
                            struct slice content) {
    uint64_t seed = hash_number(id ^ hash_number(offset)) ^ ((uint64_t)size << 32 | raw);
    return hash_bytes(content, seed);
}

uint64_t piece_seal(uint64_t id, uint64_t offset, const struct piece *p, uint8_t *bytes) {
    must(offset % SSTABLE_UNIT == 0);
    must(p->raw_size <= PIECE_RAW_MAX);
    uint32_t raw = p->raw_size | (uint32_t)p->codec << PIECE_CODEC_SHIFT;
    struct slice content = {bytes + PIECE_HEAD, p->size};
    uint8_t *to = store_u32(bytes, p->size);
    to = store_u32(to, raw);
    (void)store_u64(to, checksum_of(id, offset, p->size, raw, content));
    uint64_t size = piece_size_of(p->size);
    memset(bytes + PIECE_HEAD + p->size, 0, size - PIECE_HEAD - p->size);
    return size;
}

enum status piece_open(uint64_t id, uint64_t offset, struct slice bytes, struct piece *p,
                       struct slice *content) {
    if (bytes.size < PIECE_HEAD) return ST_CORRUPT;
    p->size = load_u32(bytes.data);
    uint32_t raw = load_u32(bytes.data + 4);
    uint64_t checksum = load_u64(bytes.data + 8);
    if (p->size > bytes.size - PIECE_HEAD) return ST_CORRUPT;
    *content = (struct slice){bytes.data + PIECE_HEAD, p->size};
    if (checksum != checksum_of(id, offset, p->size, raw, *content)) return ST_CORRUPT;
    p->raw_size = raw & PIECE_RAW_MAX;
    p->codec = (enum codec)(raw >> PIECE_CODEC_SHIFT);
    bool is_known = p->codec == CODEC_NONE ? p->raw_size == p->size : p->codec < CODECS;
    return is_known ? ST_OK : ST_CORRUPT;
}

// The index.

static uint32_t offset_unit(const struct sstable_index *index, uint32_t block) {
    return load_u32(index->bytes + sizeof(uint32_t) * (1 + (size_t)block));
}

static uint32_t separator_at(const struct sstable_index *index, uint32_t block) {
    return load_u32(index->bytes + sizeof(uint32_t) * (2 + (size_t)index->count + block));
}

enum status index_open(struct sstable_index *index, struct slice bytes) {
    if (bytes.size < sizeof(uint32_t)) return ST_CORRUPT;
    *index = (struct sstable_index){.bytes = bytes.data, .size = bytes.size};
    index->count = load_u32(bytes.data);
    if (index->count > bytes.size / (2 * sizeof(uint32_t))) return ST_CORRUPT;
    size_t head = index_head_size(index->count);
    if (index->count == 0 || head > bytes.size) return ST_CORRUPT;
    if (separator_at(index, 0) != 0) return ST_CORRUPT;
    if (separator_at(index, index->count) != bytes.size - head) return ST_CORRUPT;
    for (uint32_t i = 0; i < index->count; i++) {
        if (offset_unit(index, i) >= offset_unit(index, i + 1)) return ST_CORRUPT;
        if (separator_at(index, i) > separator_at(index, i + 1)) return ST_CORRUPT;
    }
    return ST_OK;
}

uint64_t index_offset(const struct sstable_index *index, uint32_t block) {
    must(block <= index->count);
    return (uint64_t)offset_unit(index, block) * SSTABLE_UNIT;
}

struct slice index_separator(const struct sstable_index *index, uint32_t block) {
    must(block < index->count);
    uint32_t from = separator_at(index, block);
    const uint8_t *keys = index->bytes + index_head_size(index->count);
    return (struct slice){keys + from, separator_at(index, block + 1) - from};
}

uint32_t index_find(const struct sstable_index *index, struct slice full_key) {
    uint32_t low = 0;
    uint32_t high = index->count - 1;
    while (low < high) {
        uint32_t middle = low + (high - low + 1) / 2;
        if (slice_compare(index_separator(index, middle), full_key) <= 0) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    return low;
}

// Footers.

void footer_encode(const struct footer *f, uint8_t to[SSTABLE_TAIL]) {
    memset(to, 0, SSTABLE_TAIL);
    struct writer w = writer_to(to, FOOTER_SIZE);
    write_bytes(&w, MAGIC);
    write_u32(&w, f->version);
    write_u32(&w, f->number);
    write_u64(&w, f->storage);
    write_u64(&w, f->key_count);
    write_u64(&w, f->data_size);
    write_u64(&w, f->filter_offset);
    write_u64(&w, f->index_offset);
    write_u64(&w, f->partitions_offset);
    write_u64(&w, f->end);
    write_u32(&w, f->first);
    write_u32(&w, f->last);
    write_u32(&w, f->block_max);
    must(w.size == FOOTER_BYTES);
    write_u64(&w, hash_bytes(writer_bytes(&w), FOOTER_SEED));
    memcpy(to + FOOTER_SIZE, to, FOOTER_SIZE);
}

static enum status decode_one(struct slice bytes, struct footer *f) {
    struct reader r = reader_of(bytes);
    struct slice magic = read_bytes(&r, MAGIC.size);
    f->version = read_u32(&r);
    f->number = read_u32(&r);
    f->storage = read_u64(&r);
    f->key_count = read_u64(&r);
    f->data_size = read_u64(&r);
    f->filter_offset = read_u64(&r);
    f->index_offset = read_u64(&r);
    f->partitions_offset = read_u64(&r);
    f->end = read_u64(&r);
    f->first = read_u32(&r);
    f->last = read_u32(&r);
    f->block_max = read_u32(&r);
    uint64_t checksum = read_u64(&r);
    if (r.failed || !slice_equal(magic, MAGIC)) return ST_CORRUPT;
    if (checksum != hash_bytes((struct slice){bytes.data, FOOTER_BYTES}, FOOTER_SEED)) {
        return ST_CORRUPT;
    }
    if (f->version < 1 || f->version > SSTABLE_VERSION) return ST_INVALID;
    bool is_sane = f->filter_offset < f->index_offset && f->index_offset < f->partitions_offset &&
                   f->partitions_offset < f->end && f->end < SSTABLE_SIZE_MAX &&
                   f->filter_offset % SSTABLE_UNIT == 0 && f->index_offset % SSTABLE_UNIT == 0 &&
                   f->partitions_offset % SSTABLE_UNIT == 0 && f->first <= f->last;
    return is_sane ? ST_OK : ST_CORRUPT;
}

enum status footer_decode(struct slice tail, struct footer *f, uint32_t *good) {
    *good = 0;
    if (tail.size != SSTABLE_TAIL) return ST_CORRUPT;
    enum status result = ST_CORRUPT;
    for (int copy = 0; copy < 2; copy++) {
        struct footer one;
        struct slice bytes = {tail.data + (size_t)copy * FOOTER_SIZE, FOOTER_SIZE};
        enum status status = decode_one(bytes, &one);
        if (status == ST_INVALID) return ST_INVALID;
        if (status != ST_OK) continue;
        ++*good;
        *f = one;
        result = ST_OK;
    }
    return result;
}

uint8_t *sstable_partition_store(uint8_t *to, const struct sstable_partition *p) {
    to = store_u32(to, p->number);
    to = store_u32(to, p->first_block);
    to = store_u64(to, p->key_count);
    to = store_u64(to, p->size);
    return store_u64(to, p->digest);
}

struct sstable_partition sstable_partition_load(const uint8_t *from) {
    return (struct sstable_partition){
        .number = load_u32(from),
        .first_block = load_u32(from + 4),
        .key_count = load_u64(from + 8),
        .size = load_u64(from + 16),
        .digest = load_u64(from + 24),
    };
}
