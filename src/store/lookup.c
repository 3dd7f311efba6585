// SPDX-License-Identifier: Apache-2.0
#include "store/lookup.h"

static size_t large_size_of(uint32_t record_size_max) {
    return piece_size_of(block_size_of(FULL_KEY_MAX, record_size_max));
}

// Room for a piece; for a direct read, wherever in the file it lies.
static size_t buffer_size_of(size_t piece_size, bool is_direct) {
    return is_direct ? (piece_size / ENV_DIRECT_UNIT + 2) * ENV_DIRECT_UNIT : piece_size;
}

size_t lookups_memory_size(const struct lookups_options *o) {
    size_t large = large_size_of(o->record_size_max);
    return pool_memory_size(o->count, sizeof(struct lookup)) +
           pool_memory_size(o->count, buffer_size_of(piece_size_of(o->block_size), o->is_direct)) +
           LOOKUP_BUCKETS * sizeof(struct list) + large + buffer_size_of(large, o->is_direct) +
           (size_t)2 * FULL_KEY_MAX + (size_t)64 * 7 + (size_t)2 * ENV_DIRECT_UNIT;
}

// So that what is taken next begins at a multiple.
static void align(struct arena *arena) {
    uintptr_t at = (uintptr_t)arena->memory + arena->used;
    (void)arena_take(arena, (ENV_DIRECT_UNIT - at % ENV_DIRECT_UNIT) % ENV_DIRECT_UNIT, 1);
}

void lookups_init(struct lookups *ls, struct arena *arena, struct env *env, struct sstable_set *set,
                  const struct lookups_options *o) {
    *ls = (struct lookups){.env = env, .set = set};
    ls->block_size = o->block_size;
    ls->is_direct = o->is_direct;
    ls->large_size = (uint32_t)large_size_of(o->record_size_max);
    pool_init(&ls->pool, arena, o->count, sizeof(struct lookup));
    align(arena);
    size_t buffer_size = buffer_size_of(piece_size_of(o->block_size), o->is_direct);
    pool_init(&ls->buffers, arena, o->count, buffer_size);
    ls->buckets = ARENA_ARRAY(arena, struct list, LOOKUP_BUCKETS);
    for (uint32_t i = 0; i < LOOKUP_BUCKETS; i++) list_init(&ls->buckets[i]);
    align(arena);
    ls->large = arena_take(arena, buffer_size_of(ls->large_size, o->is_direct), 1);
    ls->expanded = arena_take(arena, ls->large_size, 1);
    ls->key_bytes = arena_take(arena, FULL_KEY_MAX, 1);
    ls->full_key = arena_take(arena, FULL_KEY_MAX, 1);
    list_init(&ls->large_wait);
}

bool lookups_may_find(const struct lookups *ls, struct partition partition, struct slice key) {
    if (ls->set->count == 0) return false;
    uint32_t next = 0;
    uint64_t hash = full_key_hash(ls->hash_seed, partition, key);
    return sstable_set_next_holding(ls->set, partition_number(partition), hash, &next) != NULL;
}

struct lookup *lookups_find(const struct lookups *ls, struct partition partition,
                            struct slice key) {
    if (ls->pool.taken == 0) return NULL;
    uint64_t hash = full_key_hash(ls->hash_seed, partition, key);
    const struct list *bucket = &ls->buckets[hash % LOOKUP_BUCKETS];
    for (struct list *at = bucket->next; at != bucket; at = at->next) {
        struct lookup *l = CONTAINER_OF(at, struct lookup, link);
        if (l->hash == hash && slice_equal(l->key, key) &&
            partition_number(l->partition) == partition_number(partition)) {
            return l;
        }
    }
    return NULL;
}

static void go_on(struct lookup *l);
static void read_block(struct lookup *l);

static void give_buffer(struct lookup *l) {
    struct lookups *ls = l->owner;
    if (l->buffer == NULL) return;
    if (l->buffer != ls->large) {
        pool_give(&ls->buffers, l->buffer);
        l->buffer = NULL;
        return;
    }
    l->buffer = NULL;
    ls->is_large_taken = false;
    if (list_is_empty(&ls->large_wait)) return;
    struct lookup *next = CONTAINER_OF(ls->large_wait.next, struct lookup, wait);
    list_remove(&next->wait);
    read_block(next);
}

static void finish(struct lookup *l, enum status status, struct slice record) {
    struct lookups *ls = l->owner;
    l->status = status;
    l->record = record;
    list_remove(&l->link); // whoever asks now gets a lookup of his own
    ls->done(l);
    must(list_is_empty(&l->reads));
    must(list_is_empty(&l->writes));
    give_buffer(l);
    pool_give(&ls->pool, l);
    ls->freed(ls);
}

static enum status search(struct lookup *l, struct slice *record) {
    struct lookups *ls = l->owner;
    struct piece piece;
    struct slice content;
    struct slice raw;
    enum status status = piece_open(
        l->table->id, l->offset, (struct slice){l->buffer + l->before, l->size}, &piece, &content);
    if (status == ST_OK && piece.raw_size > ls->large_size) status = ST_CORRUPT;
    if (status == ST_OK) status = piece_expand(ls->compressor, &piece, content, ls->expanded, &raw);
    if (status != ST_OK) return status;
    struct slice wanted = {ls->full_key, full_key_write(ls->full_key, l->partition, l->key)};
    struct block_cursor c;
    block_open(&c, raw, ls->key_bytes);
    bool is_there = block_seek(&c, wanted) && slice_equal(c.key, wanted);
    if (c.failed) return ST_CORRUPT;
    if (!is_there) return ST_NOT_FOUND;
    *record = c.record;
    return ST_OK;
}

static void on_read(struct block_read *r) {
    struct lookup *l = CONTAINER_OF(r, struct lookup, read);
    struct slice record = {NULL, 0};
    enum status status = r->status;
    if (status == ST_OK && r->got < l->before + l->size) status = ST_CORRUPT;
    if (status == ST_OK) status = search(l, &record);
    struct sstable *table = l->table;
    if (status == ST_CORRUPT) {
        bool is_forgiven = sstable_note_damage(table, l->block);
        l->has_met_damage |= !is_forgiven;
        // What a node knows of itself it gets from peers, but only if it can start without.
        if (is_forgiven || l->partition.slot == SLOT_SYSTEM) status = ST_NOT_FOUND;
    }
    l->table = NULL;
    sstable_unpin(table);
    if (status != ST_NOT_FOUND) {
        finish(l, status, record);
        return;
    }
    give_buffer(l);
    go_on(l);
}

static void read_block(struct lookup *l) {
    struct lookups *ls = l->owner;
    bool is_large = l->size > piece_size_of(ls->block_size);
    if (is_large && ls->is_large_taken) {
        list_append(&ls->large_wait, &l->wait);
        return;
    }
    if (is_large) {
        ls->is_large_taken = true;
        l->buffer = ls->large;
    } else {
        l->buffer = pool_take(&ls->buffers);
    }
    must(l->buffer != NULL);
    ls->reads++;
    uint32_t unit = ls->is_direct ? ls->env->direct_unit : 1;
    l->before = (uint32_t)(l->offset % unit);
    uint64_t end = l->before + l->size + unit - 1;
    struct block_read *r = &l->read;
    r->env = ls->env;
    r->done = on_read;
    r->table = l->table;
    r->offset = l->offset - l->before;
    r->to = l->buffer;
    r->size = (uint32_t)(end - end % unit);
    r->is_direct = ls->is_direct;
    r->tries = BLOCK_READ_TRIES;
    block_read_start(r);
}

static void on_nothing(struct env_op *op) {
    struct lookup *l = CONTAINER_OF(op, struct lookup, read.op);
    finish(l, l->status, (struct slice){NULL, 0});
}

// Ends the lookup when control is back at the env.
static void finish_later(struct lookup *l, enum status status) {
    l->status = status;
    l->read.op.done = on_nothing;
    env_later(l->owner->env, &l->read.op);
}

// The next table that may have it, in a block that is there.
static struct sstable *next_table(struct lookup *l) {
    struct lookups *ls = l->owner;
    uint32_t partition = partition_number(l->partition);
    struct slice wanted = {ls->full_key, full_key_write(ls->full_key, l->partition, l->key)};
    struct sstable *t;
    while ((t = sstable_set_next_holding(ls->set, partition, l->hash, &l->next)) != NULL) {
        l->block = index_find(&t->index, wanted);
        if (!sstable_is_lost(t, l->block)) break;
    }
    return t;
}

// Goes to the next table that may have it.
static void go_on(struct lookup *l) {
    struct lookups *ls = l->owner;
    if (l->generation != ls->set->generation) {
        l->generation = ls->set->generation;
        l->next = 0;
    }
    struct sstable *t = next_table(l);
    if (t == NULL) {
        finish_later(l, ST_NOT_FOUND);
        return;
    }
    l->offset = index_offset(&t->index, l->block);
    uint64_t size = index_offset(&t->index, l->block + 1) - l->offset;
    if (size > ls->large_size) {
        finish_later(l, ST_CORRUPT);
        return;
    }
    l->size = (uint32_t)size;
    l->table = t;
    sstable_pin(t);
    read_block(l);
}

struct lookup *lookups_begin(struct lookups *ls, struct partition partition, struct slice key) {
    struct lookup *l = pool_take(&ls->pool);
    if (l == NULL) return NULL;
    *l = (struct lookup){.owner = ls, .partition = partition, .key = key};
    l->hash = full_key_hash(ls->hash_seed, partition, key);
    l->generation = ls->set->generation;
    l->drops = ls->drops;
    list_init(&l->reads);
    list_init(&l->writes);
    list_init(&l->link);
    list_init(&l->wait);
    list_append(&ls->buckets[l->hash % LOOKUP_BUCKETS], &l->link);
    go_on(l);
    return l;
}
