// SPDX-License-Identifier: Apache-2.0
#include "store/memtable.h"

enum {
    CHUNK_LOG2 = 10,
    CHUNK_BUCKETS = 1 << CHUNK_LOG2,
    LINE = 64,
    LOAD_MAX = 5, // entries a bucket, on average, above which buckets are split
    LEVEL_MAX = 27,
};

static_assert(sizeof(struct bucket) == LINE, "a bucket is a cache line");

// With room to align.
#define CHUNK_SIZE (CHUNK_BUCKETS * sizeof(struct bucket) + LINE)

static uint32_t chunk_max_of(uint64_t memory_max) {
    uint64_t count = memory_max / CHUNK_SIZE + 1;
    uint64_t most = (2u << LEVEL_MAX) / CHUNK_BUCKETS;
    return (uint32_t)(count < most ? count : most);
}

static uint64_t rounded(uint64_t size) {
    return (size + LINE - 1) / LINE * LINE;
}

size_t memtable_memory_size(uint64_t memory_max, uint32_t keyspaces_max) {
    uint64_t parts = (uint64_t)keyspaces_max * KEYSPACE_PARTS;
    return rounded(memory_max) + rounded(parts * sizeof(struct memtable_part)) +
           rounded(chunk_max_of(memory_max) * sizeof(uint32_t));
}

static struct bucket *bucket_at(const struct memtable *t, uint32_t index) {
    uint8_t *chunk = tlsf_at(&t->tlsf, t->chunks[index / CHUNK_BUCKETS]);
    chunk += (LINE - (uintptr_t)chunk % LINE) % LINE;
    return (struct bucket *)(void *)chunk + index % CHUNK_BUCKETS;
}

static struct bucket *flow_at(const struct memtable *t, uint32_t block) {
    return tlsf_at(&t->tlsf, block);
}

// Chunks stay for ever, so none may lie where the reserve goes.
static bool chunk_add(struct memtable *t) {
    if (t->chunk_count == t->chunk_max || !memtable_take_reserve(t)) return false;
    uint32_t block = tlsf_take(&t->tlsf, CHUNK_SIZE);
    if (block == 0) return false;
    memset(tlsf_at(&t->tlsf, block), 0, CHUNK_SIZE);
    t->chunks[t->chunk_count++] = block;
    return true;
}

void memtable_init(struct memtable *t, struct arena *arena, struct keyspaces *keyspaces,
                   uint64_t memory_max, size_t reserve_size, uint64_t seed) {
    must(memory_max >= 2 * CHUNK_SIZE);
    must(reserve_size <= memory_max / 4);
    *t = (struct memtable){.keyspaces = keyspaces,
                           .seed = seed,
                           .level = CHUNK_LOG2,
                           .chunk_max = chunk_max_of(memory_max),
                           .reserve_size = reserve_size};
    tlsf_init(&t->tlsf, arena, memory_max);
    size_t parts = (size_t)keyspaces->max * KEYSPACE_PARTS;
    t->parts = ARENA_ARRAY(arena, struct memtable_part, parts);
    t->chunks = ARENA_ARRAY(arena, uint32_t, t->chunk_max);
    must(chunk_add(t));
}

static uint32_t bucket_index(const struct memtable *t, uint32_t tag) {
    uint32_t index = tag & ((1u << t->level) - 1);
    return index >= t->split ? index : tag & ((2u << t->level) - 1);
}

static bool entry_is(const struct memtable *t, uint32_t entry, struct partition partition,
                     struct slice key) {
    const struct entry *e = memtable_entry(t, entry);
    return e->key_size == key.size && e->partition.slot == partition.slot &&
           e->partition.keyspace == partition.keyspace && memcmp(e->bytes, key.data, key.size) == 0;
}

uint32_t memtable_find(const struct memtable *t, uint32_t tag, struct partition partition,
                       struct slice key) {
    const struct bucket *b = bucket_at(t, bucket_index(t, tag));
    for (;;) {
        for (uint32_t i = 0; i < b->count; i++) {
            if (b->tags[i] == tag && entry_is(t, b->entries[i], partition, key)) {
                return b->entries[i];
            }
        }
        if (b->next == 0) return 0;
        b = flow_at(t, b->next);
    }
}

// Looks into a bucket that was asked for, and asks for the entry.
static void look_ahead(struct memtable *t, uint32_t place) {
    const struct bucket *b = t->ahead[place];
    if (b == NULL) return;
    t->ahead[place] = NULL;
    for (uint32_t i = 0; i < b->count; i++) {
        if (b->tags[i] != t->ahead_tags[place]) continue;
        const uint8_t *block = (const uint8_t *)memtable_entry(t, b->entries[i]) - TLSF_HEAD;
        for (uint32_t line = 0; line < PREFETCH_LINES; line++) {
            __builtin_prefetch(block + (size_t)line * LINE);
        }
    }
}

void memtable_prefetch(struct memtable *t, struct partition partition, struct slice key) {
    uint32_t place = t->ahead_next++ % PREFETCH_DISTANCE;
    look_ahead(t, place);
    t->ahead_tags[place] = memtable_tag(t, partition, key);
    t->ahead[place] = bucket_at(t, bucket_index(t, t->ahead_tags[place]));
    __builtin_prefetch(t->ahead[place]);
    __builtin_prefetch(memtable_part(t, partition));
}

void memtable_prefetch_rest(struct memtable *t) {
    for (uint32_t i = 0; i < PREFETCH_DISTANCE; i++) {
        look_ahead(t, t->ahead_next++ % PREFETCH_DISTANCE);
    }
}

// Buckets.

static struct bucket *chain_last(const struct memtable *t, struct bucket *b) {
    while (b->next != 0) b = flow_at(t, b->next);
    return b;
}

// `spare` is a list of blocks for buckets, linked by `next`; without one, memory is asked.
static bool chain_add(struct memtable *t, struct bucket *b, uint32_t tag, uint32_t entry,
                      uint32_t *spare) {
    b = chain_last(t, b);
    if (b->count == BUCKET_ENTRIES) {
        uint32_t block = *spare != 0 ? *spare : tlsf_take(&t->tlsf, sizeof(*b));
        if (block == 0) return false;
        struct bucket *flow = flow_at(t, block);
        if (*spare != 0) *spare = flow->next;
        *flow = (struct bucket){0};
        b->next = block;
        b = flow;
    }
    b->tags[b->count] = tag;
    b->entries[b->count++] = entry;
    return true;
}

// Moves the last entry of the chain into the place, and an emptied bucket to the spare ones.
static void chain_remove(struct memtable *t, struct bucket *b, uint32_t i, struct bucket *chain,
                         uint32_t *spare) {
    struct bucket *before = NULL;
    struct bucket *last = chain;
    while (last->next != 0) {
        before = last;
        last = flow_at(t, last->next);
    }
    last->count--;
    b->tags[i] = last->tags[last->count];
    b->entries[i] = last->entries[last->count];
    if (last->count > 0 || before == NULL) return;
    last->next = *spare;
    *spare = before->next;
    before->next = 0;
}

static void give_spare(struct memtable *t, uint32_t spare) {
    while (spare != 0) {
        uint32_t next = flow_at(t, spare)->next;
        tlsf_give(&t->tlsf, spare);
        spare = next;
    }
}

// Deals the entries of a bucket out to the two chains that its chain becomes.
static void deal(struct memtable *t, const struct bucket *from, struct bucket *low,
                 struct bucket *high, uint32_t *spare) {
    for (uint32_t i = 0; i < from->count; i++) {
        struct bucket *chain = (from->tags[i] >> t->level & 1) == 0 ? low : high;
        must(chain_add(t, chain, from->tags[i], from->entries[i], spare));
    }
}

// Splits the next bucket in two. Nothing happens when memory is full: chains get longer.
static void split_one(struct memtable *t) {
    uint32_t index = (1u << t->level) + t->split;
    if (t->level >= LEVEL_MAX) return;
    if (index / CHUNK_BUCKETS >= t->chunk_count && !chunk_add(t)) return;
    struct bucket *low = bucket_at(t, t->split);
    struct bucket *high = bucket_at(t, index);

    // Both chains together need at most one block more than those that were emptied so far.
    uint32_t spare = 0;
    if (low->next != 0) {
        spare = tlsf_take(&t->tlsf, sizeof(struct bucket));
        if (spare == 0) return;
        flow_at(t, spare)->next = 0;
    }
    struct bucket from = *low;
    *low = (struct bucket){0};
    deal(t, &from, low, high, &spare);
    while (from.next != 0) {
        uint32_t emptied = from.next;
        from = *flow_at(t, emptied);
        flow_at(t, emptied)->next = spare;
        spare = emptied;
        deal(t, &from, low, high, &spare);
    }
    give_spare(t, spare);
    if (++t->split < 1u << t->level) return;
    t->split = 0;
    t->level++;
}

// The place of an entry in its chain.
static struct bucket *bucket_of(const struct memtable *t, uint32_t tag, uint32_t entry,
                                uint32_t *i) {
    struct bucket *b = bucket_at(t, bucket_index(t, tag));
    for (;;) {
        for (*i = 0; *i < b->count; ++*i) {
            if (b->entries[*i] == entry) return b;
        }
        must(b->next != 0);
        b = flow_at(t, b->next);
    }
}

// Entries.

static bool add(struct memtable *t, uint32_t tag, struct partition partition, struct slice key,
                struct slice record, uint32_t *added) {
    uint32_t index = keyspaces_take(t->keyspaces, partition.keyspace);
    if (index == KEYSPACE_NONE) return false;
    uint32_t entry = tlsf_take(&t->tlsf, sizeof(struct entry) + key.size + record.size);
    if (entry == 0) return false;
    struct entry *e = memtable_entry(t, entry);
    *e = (struct entry){.key_size = (uint32_t)key.size & 0xffffff, .partition = partition};
    memcpy(e->bytes, key.data, key.size);
    memcpy(e->bytes + key.size, record.data, record.size);
    uint32_t spare = 0;
    struct bucket *chain = bucket_at(t, bucket_index(t, tag));
    if (!chain_add(t, chain, tag, entry, &spare)) goto no_bucket;
    if (!order_add(&t->tlsf, &memtable_part(t, partition)->root, entry)) goto no_order;
    if (t->split > 0 || t->count >= (uint64_t)LOAD_MAX << t->level) split_one(t);
    t->keyspaces->uses[index].entries++;
    *added = entry;
    return true;

no_order:;
    uint32_t i = 0;
    struct bucket *b = bucket_of(t, tag, entry, &i);
    chain_remove(t, b, i, chain, &spare);
    give_spare(t, spare);
no_bucket:
    tlsf_give(&t->tlsf, entry);
    return false;
}

// Gives the entry the new record, in another block if need be. The record may lie inside the old.
static bool replace(struct memtable *t, uint32_t tag, uint32_t *entry, struct slice record) {
    struct entry *e = memtable_entry(t, *entry);
    size_t old_size = tlsf_size(&t->tlsf, *entry);
    size_t size = sizeof(*e) + e->key_size + record.size;
    if (size <= old_size) {
        memmove(e->bytes + e->key_size, record.data, record.size);
        return tlsf_resize(&t->tlsf, *entry, size);
    }
    if (tlsf_resize(&t->tlsf, *entry, size)) {
        memmove(e->bytes + e->key_size, record.data, record.size);
        return true;
    }
    uint32_t moved = tlsf_take(&t->tlsf, size);
    if (moved == 0) return false;
    struct entry *to = memtable_entry(t, moved);
    memcpy(to, e, sizeof(*e) + e->key_size);
    memcpy(to->bytes + e->key_size, record.data, record.size);
    uint32_t i = 0;
    bucket_of(t, tag, *entry, &i)->entries[i] = moved;
    order_replace(&t->tlsf, memtable_part(t, e->partition)->root, *entry, moved);
    tlsf_give(&t->tlsf, *entry);
    *entry = moved;
    return true;
}

bool memtable_put(struct memtable *t, uint32_t tag, uint32_t *entry, struct partition partition,
                  struct slice key, struct slice record) {
    must(key.size <= KEY_SIZE_MAX);
    if (*entry != 0) return replace(t, tag, entry, record);
    if (!add(t, tag, partition, key, record, entry)) return false;
    memtable_part(t, partition)->count++;
    t->count++;
    return true;
}

bool memtable_put_reserved(struct memtable *t, uint32_t tag, uint32_t *entry,
                           struct partition partition, struct slice key, struct slice record) {
    if (t->reserve != 0) tlsf_give(&t->tlsf, t->reserve);
    t->reserve = 0;
    return memtable_put(t, tag, entry, partition, key, record);
}

bool memtable_take_reserve(struct memtable *t) {
    if (t->reserve_size == 0 || t->reserve != 0) return true;
    t->reserve = tlsf_take(&t->tlsf, t->reserve_size);
    return t->reserve != 0;
}

void memtable_remove(struct memtable *t, uint32_t tag, uint32_t entry) {
    struct partition partition = memtable_entry(t, entry)->partition;
    struct memtable_part *part = memtable_part(t, partition);
    order_remove(&t->tlsf, &part->root, entry);
    uint32_t i = 0;
    uint32_t spare = 0;
    struct bucket *b = bucket_of(t, tag, entry, &i);
    chain_remove(t, b, i, bucket_at(t, bucket_index(t, tag)), &spare);
    give_spare(t, spare);
    tlsf_give(&t->tlsf, entry);
    t->keyspaces->uses[keyspaces_find(t->keyspaces, partition.keyspace)].entries--;
    part->count--;
    t->count--;
}

// Evicting.

// The first entry of the chain that can go, or 0.
static uint32_t evictable(const struct memtable *t, const struct bucket *b, uint64_t clean_before,
                          uint32_t *tag) {
    for (;;) {
        for (uint32_t i = 0; i < b->count; i++) {
            const struct entry *e = memtable_entry(t, b->entries[i]);
            *tag = b->tags[i];
            if (entry_position(e) < clean_before && !e->is_used) return b->entries[i];
        }
        if (b->next == 0) return 0;
        b = flow_at(t, b->next);
    }
}

static void take_mark_off(void *context, uint32_t entry) {
    memtable_entry(context, entry)->is_used = false;
}

uint64_t memtable_evict(struct memtable *t, uint64_t clean_before, uint64_t wanted) {
    uint64_t before = t->tlsf.used;
    uint64_t goal = before > wanted ? before - wanted : 0;
    uint32_t count = memtable_bucket_count(t);
    for (uint64_t looked = 0; looked < 2 * (uint64_t)count && t->tlsf.used > goal; looked++) {
        if (t->hand >= count) t->hand = 0;
        uint32_t tag = 0;
        uint32_t entry = 0;
        while ((entry = evictable(t, bucket_at(t, t->hand), clean_before, &tag)) != 0) {
            memtable_remove(t, tag, entry);
            t->evicted++;
        }
        memtable_each(t, t->hand, take_mark_off, t);
        t->hand++;
    }
    return before - t->tlsf.used;
}

// The first entry of the chain that is to be forgotten, or 0.
static uint32_t forgettable(const struct memtable *t, const struct bucket *b, uint64_t clean_before,
                            uint32_t first, uint32_t last, uint32_t *tag) {
    for (;;) {
        for (uint32_t i = 0; i < b->count; i++) {
            const struct entry *e = memtable_entry(t, b->entries[i]);
            uint32_t partition = partition_number(e->partition);
            *tag = b->tags[i];
            if (entry_position(e) >= clean_before) continue;
            if (partition >= first && partition <= last) return b->entries[i];
        }
        if (b->next == 0) return 0;
        b = flow_at(t, b->next);
    }
}

void memtable_forget(struct memtable *t, uint32_t bucket, uint64_t clean_before, uint32_t first,
                     uint32_t last) {
    must(bucket < memtable_bucket_count(t));
    uint32_t tag = 0;
    uint32_t entry = 0;
    while ((entry = forgettable(t, bucket_at(t, bucket), clean_before, first, last, &tag)) != 0) {
        memtable_remove(t, tag, entry);
        t->evicted++;
    }
}

void memtable_each(const struct memtable *t, uint32_t bucket, memtable_visit *visit,
                   void *context) {
    must(bucket < memtable_bucket_count(t));
    const struct bucket *b = bucket_at(t, bucket);
    for (;;) {
        for (uint32_t i = 0; i < b->count; i++) visit(context, b->entries[i]);
        if (b->next == 0) return;
        b = flow_at(t, b->next);
    }
}

void memtable_check(struct memtable *t) {
    tlsf_check(&t->tlsf);
    uint64_t in_buckets = 0;
    for (uint32_t index = 0; index < memtable_bucket_count(t); index++) {
        const struct bucket *b = bucket_at(t, index);
        for (;;) {
            in_buckets += b->count;
            for (uint32_t i = 0; i < b->count; i++) {
                const struct entry *e = memtable_entry(t, b->entries[i]);
                must(memtable_tag(t, e->partition, entry_key(e)) == b->tags[i]);
                must(bucket_index(t, b->tags[i]) == index);
            }
            if (b->next == 0) break;
            must(b->count == BUCKET_ENTRIES);
            b = flow_at(t, b->next);
            must(b->count > 0);
        }
    }
    uint64_t in_trees = 0;
    uint64_t in_keyspaces = 0;
    for (uint32_t i = 0; i != PARTITION_NONE; i = keyspaces_next(t->keyspaces, i)) {
        const struct memtable_part *part = memtable_part(t, partition_of_number(i));
        uint64_t count = order_check(&t->tlsf, part->root);
        must(count == part->count);
        in_trees += count;
    }
    for (uint32_t i = 0; i < t->keyspaces->max; i++) in_keyspaces += t->keyspaces->uses[i].entries;
    must(in_keyspaces == t->count);
    must(in_buckets == t->count);
    must(in_trees == t->count);
}
