// SPDX-License-Identifier: Apache-2.0
#include "store/facts.h"

#include "base/little.h"
#include "store/sstable_format.h"

enum {
    PARTS = SLOT_COUNT + 1,
    PART_ENCODED_SIZE = 4 + 3 * 8 + STORE_LEAVES * 8,
    FLAG_EXISTS = 1,
    FLAG_LIVE = 2,
};

#define LEAF_SEED 0x71756f69746c6561u // "quoitlea"

// Footprints.

struct footprint footprint_of(struct record *scratch, struct partition partition, struct slice key,
                              struct slice record) {
    struct footprint f = {0};
    if (record.size == 0) return f;
    f.digest = record_digest(key, record);
    f.size = (uint32_t)(key.size + record.size);
    f.is_live = true;
    if (partition.slot == SLOT_SYSTEM || record_decode(scratch, record) != ST_OK) return f;
    f.is_live = false;
    for (uint32_t i = 0; i < scratch->sibling_count; i++) {
        if (!scratch->siblings[i].is_tombstone) f.is_live = true;
    }
    return f;
}

uint8_t *footprint_store(uint8_t *to, const struct footprint *f) {
    to = store_u8(to, (uint8_t)((f->size > 0 ? FLAG_EXISTS : 0) | (f->is_live ? FLAG_LIVE : 0)));
    to = store_u32(to, f->size);
    return store_u64(to, f->digest);
}

bool footprint_load(struct reader *r, struct footprint *f) {
    uint8_t flags = read_u8(r);
    f->size = read_u32(r);
    f->digest = read_u64(r);
    f->is_live = (flags & FLAG_LIVE) != 0;
    bool exists = (flags & FLAG_EXISTS) != 0;
    return !r->failed && (flags & ~(FLAG_EXISTS | FLAG_LIVE)) == 0 && exists == (f->size > 0) &&
           (exists || (!f->is_live && f->digest == 0));
}

// Sums.

size_t facts_memory_size(void) {
    return PARTS * sizeof(struct part_facts) + 64;
}

void facts_init(struct facts *f, struct arena *arena) {
    *f = (struct facts){.parts = ARENA_ARRAY(arena, struct part_facts, PARTS)};
}

void facts_clear(struct facts *f) {
    if (!f->is_in_use) return; // it is much memory, and new
    f->is_in_use = false;
    memset(f->parts, 0, PARTS * sizeof(struct part_facts));
    f->totals = (struct part_facts){0};
}

static struct part_facts *part_of(const struct facts *f, struct partition partition) {
    must(partition.keyspace == 0);
    must(partition.slot <= SLOT_SYSTEM);
    return &f->parts[partition.slot];
}

// Differences are added modulo 2^64.
static void change(struct part_facts *sum, const struct footprint *old,
                   const struct footprint *now) {
    sum->key_count += (uint64_t)(now->size > 0) - (uint64_t)(old->size > 0);
    sum->live_count += (uint64_t)now->is_live - (uint64_t)old->is_live;
    sum->size += (uint64_t)now->size - (uint64_t)old->size;
}

void part_facts_change(struct part_facts *part, struct slice key, const struct footprint *old,
                       const struct footprint *new) {
    change(part, old, new);
    part->leaves[hash_bytes(key, LEAF_SEED) % STORE_LEAVES] += new->digest - old->digest;
}

void facts_change(struct facts *f, struct partition partition, struct slice key,
                  const struct footprint *old, const struct footprint *new) {
    f->is_in_use = true;
    part_facts_change(part_of(f, partition), key, old, new);
    change(&f->totals, old, new);
}

void facts_replace(struct facts *f, struct partition partition, const struct part_facts *sum) {
    struct part_facts *part = part_of(f, partition);
    f->is_in_use = true;
    f->totals.key_count += sum->key_count - part->key_count;
    f->totals.live_count += sum->live_count - part->live_count;
    f->totals.size += sum->size - part->size;
    *part = *sum;
}

struct store_partition facts_of(const struct facts *f, struct partition partition) {
    const struct part_facts *part = part_of(f, partition);
    struct store_partition sum = {
        .key_count = part->key_count,
        .live_count = part->live_count,
        .size = part->size,
    };
    for (uint32_t i = 0; i < STORE_LEAVES; i++) {
        sum.leaves[i] = part->leaves[i];
        sum.digest += part->leaves[i];
    }
    return sum;
}

uint64_t facts_digest(const struct facts *f) {
    uint64_t digest = 0;
    for (uint32_t i = 0; i < PARTS; i++) {
        for (uint32_t leaf = 0; leaf < STORE_LEAVES; leaf++) digest += f->parts[i].leaves[leaf];
    }
    return digest;
}

// Bytes.

size_t facts_encoded_size_max(void) {
    return (size_t)PARTS * PART_ENCODED_SIZE;
}

void facts_encode(const struct facts *f, struct writer *w) {
    for (uint32_t i = 0; i < PARTS; i++) {
        const struct part_facts *part = &f->parts[i];
        if (part->key_count == 0) continue;
        write_u32(w, i);
        write_u64(w, part->key_count);
        write_u64(w, part->live_count);
        write_u64(w, part->size);
        for (uint32_t leaf = 0; leaf < STORE_LEAVES; leaf++) write_u64(w, part->leaves[leaf]);
    }
}

static bool decode_part(struct facts *f, struct reader *r, uint32_t *next) {
    uint32_t number = read_u32(r);
    if (r->failed || number < *next || number >= PARTS) return false;
    struct part_facts *part = &f->parts[number];
    f->is_in_use = true;
    part->key_count = read_u64(r);
    part->live_count = read_u64(r);
    part->size = read_u64(r);
    for (uint32_t leaf = 0; leaf < STORE_LEAVES; leaf++) part->leaves[leaf] = read_u64(r);
    if (r->failed || part->key_count == 0 || part->live_count > part->key_count) return false;
    f->totals.key_count += part->key_count;
    f->totals.live_count += part->live_count;
    f->totals.size += part->size;
    *next = number + 1;
    return true;
}

enum status facts_decode(struct facts *f, struct slice bytes) {
    facts_clear(f);
    struct reader r = reader_of(bytes);
    uint32_t next = 0;
    while (r.rest.size > 0) {
        if (decode_part(f, &r, &next)) continue;
        facts_clear(f);
        return ST_CORRUPT;
    }
    return ST_OK;
}

// The file.

size_t facts_file_size_max(void) {
    return (size_t)piece_size_of(facts_encoded_size_max());
}

enum status facts_open(struct facts *f, uint64_t storage, uint32_t number, struct slice file) {
    struct piece piece;
    struct slice content;
    enum status status = piece_open(sstable_id(storage, number), 0, file, &piece, &content);
    if (status == ST_OK && piece.codec != CODEC_NONE) status = ST_CORRUPT;
    if (status == ST_OK) return facts_decode(f, content);
    facts_clear(f);
    return status;
}
