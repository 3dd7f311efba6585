// SPDX-License-Identifier: Apache-2.0
#include "store/segment.h"

#include "base/codec.h"
#include "base/little.h"

enum {
    KIND_RECORD = 1,
    KIND_MARK = 2,
    FLAG_FIRST = 1,
    FLAG_CLEAN = 2,
    FLAG_INTERVAL = 4,
    FLAG_DAMAGED = 8,
    FLAGS = FLAG_FIRST | FLAG_CLEAN | FLAG_INTERVAL | FLAG_DAMAGED,
    HEADER_SIZE = 8 + 4 + 4 + 8 + 8, // less the checksum
};

#define MAGIC SLICE("QUOITLOG")
#define HEADER_SEED 0x71756f69746c6f67u // "quoitlog"

void segment_header_encode(const struct segment_header *h, uint8_t to[SEGMENT_FIRST]) {
    memset(to, 0, SEGMENT_FIRST);
    struct writer w = writer_to(to, SECTOR_SIZE);
    write_bytes(&w, MAGIC);
    write_u32(&w, SEGMENT_VERSION);
    write_u32(&w, h->number);
    write_u64(&w, h->storage);
    write_u64(&w, h->size);
    must(w.size == HEADER_SIZE);
    write_u64(&w, hash_bytes(writer_bytes(&w), HEADER_SEED));
    memcpy(to + SECTOR_SIZE, to, SECTOR_SIZE);
}

enum status segment_header_decode(struct slice sector, struct segment_header *h) {
    struct reader r = reader_of(sector);
    struct slice magic = read_bytes(&r, MAGIC.size);
    uint32_t version = read_u32(&r);
    h->number = read_u32(&r);
    h->storage = read_u64(&r);
    h->size = read_u64(&r);
    uint64_t checksum = read_u64(&r);
    if (r.failed || !slice_equal(magic, MAGIC)) return ST_CORRUPT;
    bool is_whole = checksum == hash_bytes((struct slice){sector.data, HEADER_SIZE}, HEADER_SEED);
    if (version != SEGMENT_VERSION) return is_whole ? ST_INVALID : ST_CORRUPT;
    return is_whole && h->number > 0 && h->storage != 0 ? ST_OK : ST_CORRUPT;
}

// What a checksum has beside the hash of the payload.
static uint64_t place_hash(uint64_t storage, uint64_t position) {
    return hash_number(storage ^ hash_number(position));
}

static uint64_t checksum_of(uint64_t storage, uint64_t position, struct slice payload) {
    return hash_bytes(payload, 0) ^ place_hash(storage, position);
}

static void seal(uint64_t storage, uint64_t position, size_t size, uint8_t *frame) {
    must(size <= UINT32_MAX);
    struct slice payload = {frame + FRAME_HEAD_SIZE, size};
    uint8_t *to = store_u32(frame, (uint32_t)size);
    (void)store_u64(to, checksum_of(storage, position, payload));
}

void change_frame_encode(uint64_t storage, uint64_t position, const struct change *change,
                         uint8_t *frame) {
    must(change->key.size <= KEY_SIZE_MAX);
    uint8_t *to = store_u8(frame + FRAME_HEAD_SIZE, KIND_RECORD);
    to = store_u16(to, change->partition.keyspace);
    to = store_u16(to, change->partition.slot);
    to = footprint_store(to, &change->old);
    to = store_u32(to, (uint32_t)change->key.size);
    memcpy(to, change->key.data, change->key.size);
    if (change->record.size > 0) {
        memcpy(to + change->key.size, change->record.data, change->record.size);
    }
    seal(storage, position, RECORD_HEAD_SIZE + change->key.size + change->record.size, frame);
}

void mark_frame_encode(uint64_t storage, uint64_t position, const struct mark *mark,
                       uint8_t *frame) {
    uint32_t flags = (mark->is_first ? FLAG_FIRST : 0) | (mark->is_clean ? FLAG_CLEAN : 0) |
                     (mark->has_interval ? FLAG_INTERVAL : 0) |
                     (mark->is_damaged ? FLAG_DAMAGED : 0);
    uint8_t *to = store_u8(frame + FRAME_HEAD_SIZE, KIND_MARK);
    to = store_u32(to, mark->run);
    to = store_u32(to, mark->epoch);
    to = store_u64(to, mark->minted);
    to = store_u64(to, mark->tail);
    to = store_u64(to, mark->synced);
    to = store_u32(to, mark->oldest);
    to = store_u8(to, (uint8_t)flags);
    must(to == frame + MARK_FRAME_SIZE);
    seal(storage, position, MARK_SIZE, frame);
}

static bool mark_decode(struct reader *r, struct mark *mark) {
    mark->run = read_u32(r);
    mark->epoch = read_u32(r);
    mark->minted = read_u64(r);
    mark->tail = read_u64(r);
    mark->synced = read_u64(r);
    mark->oldest = read_u32(r);
    uint8_t flags = read_u8(r);
    mark->is_first = (flags & FLAG_FIRST) != 0;
    mark->is_clean = (flags & FLAG_CLEAN) != 0;
    mark->has_interval = (flags & FLAG_INTERVAL) != 0;
    mark->is_damaged = (flags & FLAG_DAMAGED) != 0;
    return reader_done(r) && mark->run > 0 && mark->epoch > 0 && (flags & ~FLAGS) == 0;
}

static bool change_decode(struct reader *r, struct change *change) {
    change->partition.keyspace = read_u16(r);
    change->partition.slot = read_u16(r);
    bool is_good = footprint_load(r, &change->old);
    change->key = read_sized(r, KEY_SIZE_MAX);
    change->record = r->rest;
    return is_good && !r->failed && change->key.size > 0 && partition_is_good(change->partition);
}

enum status frame_decode(uint64_t storage, uint64_t position, struct slice bytes,
                         struct frame *frame) {
    frame->size = FRAME_HEAD_SIZE;
    if (bytes.size < FRAME_HEAD_SIZE) return ST_TOO_LARGE;
    size_t size = load_u32(bytes.data);
    uint64_t checksum = load_u64(bytes.data + 4);
    if (size == 0) return checksum == 0 ? ST_NOT_FOUND : ST_CORRUPT;
    frame->size = FRAME_HEAD_SIZE + size;
    if (bytes.size < frame->size) return ST_TOO_LARGE;
    struct slice payload = {bytes.data + FRAME_HEAD_SIZE, size};
    if (checksum != checksum_of(storage, position, payload)) return ST_CORRUPT;

    struct reader r = reader_of(payload);
    uint8_t kind = read_u8(&r);
    frame->is_mark = kind == KIND_MARK;
    bool is_good = kind == KIND_MARK     ? mark_decode(&r, &frame->mark)
                   : kind == KIND_RECORD ? change_decode(&r, &frame->change)
                                         : false;
    return is_good ? ST_OK : ST_CORRUPT;
}

void frame_check_begin(struct frame_check *c, uint64_t storage, uint64_t position,
                       const uint8_t head[FRAME_HEAD_SIZE]) {
    c->left = load_u32(head);
    c->wanted = load_u64(head + 4) ^ place_hash(storage, position);
    hash_stream_begin(&c->sum, 0);
}

uint32_t frame_check_add(struct frame_check *c, struct slice bytes) {
    if (bytes.size > c->left) bytes.size = c->left;
    hash_stream_add(&c->sum, bytes);
    c->left -= (uint32_t)bytes.size;
    return (uint32_t)bytes.size;
}

bool frame_check_end(const struct frame_check *c) {
    must(c->left == 0);
    return hash_stream_end(&c->sum) == c->wanted;
}
