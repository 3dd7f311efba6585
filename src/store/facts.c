// SPDX-License-Identifier: Apache-2.0
#include "store/facts.h"

#include "base/little.h"
#include "store/sstable_format.h"

enum {
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
    if (partition.slot >= SLOT_COUNT || record_decode(scratch, record) != ST_OK) return f;
    f.is_live = record_has_value(scratch);
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

size_t facts_memory_size(uint32_t keyspaces_max) {
    return (size_t)keyspaces_max * KEYSPACE_PARTS * sizeof(struct part_facts) + 64;
}

void facts_init(struct facts *f, struct arena *arena, struct keyspaces *keyspaces) {
    size_t count = (size_t)keyspaces->max * KEYSPACE_PARTS;
    *f = (struct facts){.keyspaces = keyspaces,
                        .parts = ARENA_ARRAY(arena, struct part_facts, count)};
}

void facts_clear(struct facts *f) {
    // It is much memory, and what was not used is still new.
    memset(f->parts, 0, f->part_end * sizeof(struct part_facts));
    for (uint32_t i = 0; i < f->keyspaces->max; i++) f->keyspaces->uses[i].keys = 0;
    f->part_end = 0;
    f->totals = (struct part_facts){0};
    for (uint32_t i = 0; i < SLOT_GROUPS; i++) f->changes[i]++;
}

static const struct part_facts nothing;

const struct part_facts *facts_part(const struct facts *f, struct partition partition) {
    uint32_t part = keyspaces_part(f->keyspaces, partition);
    return part == KEYSPACE_NONE ? &nothing : &f->parts[part];
}

// The sums of a partition, for changing them; NULL: there is no index for its keyspace.
static struct part_facts *take_part(struct facts *f, struct partition partition,
                                    uint64_t **key_count) {
    uint32_t index = keyspaces_take(f->keyspaces, partition.keyspace);
    if (index == KEYSPACE_NONE) return NULL;
    uint32_t end = (index + 1) * KEYSPACE_PARTS;
    if (f->part_end < end) f->part_end = end;
    *key_count = &f->keyspaces->uses[index].keys;
    f->changes[partition.slot / GROUP_SLOTS]++;
    return &f->parts[keyspaces_part_of(index, partition)];
}

// Differences are added modulo 2^64.
static void change(struct part_facts *sum, const struct footprint *old,
                   const struct footprint *now) {
    sum->key_count += (uint64_t)(now->size > 0) - (uint64_t)(old->size > 0);
    sum->live_count += (uint64_t)now->is_live - (uint64_t)old->is_live;
    sum->size += (uint64_t)now->size - (uint64_t)old->size;
}

uint32_t facts_leaf_of(struct slice key) {
    return hash_bytes(key, LEAF_SEED) % STORE_LEAVES;
}

void part_facts_change(struct part_facts *part, struct slice key, const struct footprint *old,
                       const struct footprint *new) {
    change(part, old, new);
    part->leaves[facts_leaf_of(key)] += new->digest - old->digest;
}

bool facts_change(struct facts *f, struct partition partition, struct slice key,
                  const struct footprint *old, const struct footprint *new) {
    uint64_t *key_count;
    struct part_facts *part = take_part(f, partition, &key_count);
    if (part == NULL) return false;
    part_facts_change(part, key, old, new);
    *key_count += (uint64_t)(new->size > 0) - (uint64_t)(old->size > 0);
    change(&f->totals, old, new);
    return true;
}

bool facts_replace(struct facts *f, struct partition partition, const struct part_facts *sum) {
    uint64_t *key_count;
    if (sum->key_count == 0 && facts_part(f, partition) == &nothing) return true;
    struct part_facts *part = take_part(f, partition, &key_count);
    if (part == NULL) return false;
    *key_count += sum->key_count - part->key_count;
    f->totals.key_count += sum->key_count - part->key_count;
    f->totals.live_count += sum->live_count - part->live_count;
    f->totals.size += sum->size - part->size;
    *part = *sum;
    return true;
}

void facts_drop(struct facts *f, uint16_t keyspace) {
    static const struct part_facts empty;
    if (keyspaces_find(f->keyspaces, keyspace) == KEYSPACE_NONE) return;
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) {
        must(facts_replace(f, (struct partition){keyspace, (uint16_t)slot}, &empty));
    }
}

struct store_partition facts_of(const struct facts *f, struct partition partition) {
    const struct part_facts *part = facts_part(f, partition);
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
    for (uint32_t i = 0; i < f->part_end; i++) {
        for (uint32_t leaf = 0; leaf < STORE_LEAVES; leaf++) digest += f->parts[i].leaves[leaf];
    }
    return digest;
}

// Bytes.

size_t facts_encoded_size_max(uint32_t keyspaces_max) {
    return (size_t)keyspaces_max * KEYSPACE_PARTS * PART_ENCODED_SIZE;
}

size_t facts_encoded_size(const struct facts *f) {
    size_t size = 0;
    for (uint32_t i = 0; i < f->part_end; i++) {
        if (f->parts[i].key_count > 0) size += PART_ENCODED_SIZE;
    }
    return size;
}

void facts_encode(const struct facts *f, struct writer *w) {
    for (uint32_t i = 0; i != PARTITION_NONE; i = keyspaces_next(f->keyspaces, i)) {
        const struct part_facts *part = facts_part(f, partition_of_number(i));
        if (part->key_count == 0) continue;
        write_u32(w, i);
        write_u64(w, part->key_count);
        write_u64(w, part->live_count);
        write_u64(w, part->size);
        for (uint32_t leaf = 0; leaf < STORE_LEAVES; leaf++) write_u64(w, part->leaves[leaf]);
    }
}

static enum status decode_part(struct facts *f, struct reader *r, uint32_t *next) {
    uint32_t number = read_u32(r);
    struct part_facts sum = {.key_count = read_u64(r)};
    sum.live_count = read_u64(r);
    sum.size = read_u64(r);
    for (uint32_t leaf = 0; leaf < STORE_LEAVES; leaf++) sum.leaves[leaf] = read_u64(r);
    struct partition partition = partition_of_number(number);
    if (r->failed || number < *next || !partition_is_good(partition)) return ST_CORRUPT;
    if (sum.key_count == 0 || sum.live_count > sum.key_count) return ST_CORRUPT;
    *next = number + 1;
    if (!keyspaces_serves(f->keyspaces, partition)) return ST_OK;
    return facts_replace(f, partition, &sum) ? ST_OK : ST_TOO_LARGE;
}

enum status facts_decode(struct facts *f, struct slice bytes) {
    facts_clear(f);
    struct reader r = reader_of(bytes);
    uint32_t next = 0;
    enum status status = ST_OK;
    while (r.rest.size > 0 && status == ST_OK) status = decode_part(f, &r, &next);
    if (status != ST_OK) facts_clear(f);
    return status;
}

// The file.

size_t facts_file_size_max(uint32_t keyspaces_max) {
    return (size_t)piece_size_of(facts_encoded_size_max(keyspaces_max));
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
