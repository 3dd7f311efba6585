// SPDX-License-Identifier: Apache-2.0
//
// get.c -- reads: from memory at once, else from the tables.
#include "store/internal.h"

// Whether there are keys in the keyspace, in tables at least.
static bool may_find(const struct store *s, const struct store_read *read) {
    return keyspaces_find(&s->keyspaces, read->partition.keyspace) != KEYSPACE_NONE;
}

// What is in memory of the key; ST_BUSY while it is not durable yet. False: nothing is.
static bool peek_memory(struct store *s, struct store_read *read) {
    uint32_t tag = memtable_tag(&s->table, read->partition, read->key);
    uint32_t entry = memtable_find(&s->table, tag, read->partition, read->key);
    if (entry == 0) return false;
    struct entry *e = memtable_entry(&s->table, entry);
    e->is_used = true;
    read->position = entry_position(e);
    if (!store_is_shown(s, e)) {
        read->status = s->log.is_failed ? ST_IO : ST_BUSY;
        return true;
    }
    read->record = memtable_record(&s->table, entry);
    read->status = read->record.size > 0 ? ST_OK : ST_NOT_FOUND;
    return true;
}

enum status store_peek(struct store *s, struct store_read *read) {
    must(s->is_open);
    read->record = (struct slice){NULL, 0};
    read->status = ST_NOT_FOUND;
    if (!keyspaces_serves(&s->keyspaces, read->partition)) return read->status;
    if (peek_memory(s, read)) return read->status;
    bool may_be = may_find(s, read) && lookups_may_find(&s->lookups, read->partition, read->key);
    read->status = may_be ? ST_BUSY : ST_NOT_FOUND;
    return read->status;
}

// Joins the lookup of the key, or begins one. False: there are too many.
static bool look(struct store *s, struct store_read *read) {
    struct lookup *l = lookups_find(&s->lookups, read->partition, read->key);
    if (l == NULL) l = lookups_begin(&s->lookups, read->partition, read->key);
    if (l == NULL) return false;
    list_append(&l->reads, &read->link);
    return true;
}

// As store_get; `is_next`: of those who wait for a lookup it is the first.
static bool get(struct store *s, struct store_read *read, bool is_next) {
    list_init(&read->link);
    read->record = (struct slice){NULL, 0};
    read->status = ST_NOT_FOUND;
    if (!keyspaces_serves(&s->keyspaces, read->partition)) return true;
    if (peek_memory(s, read)) {
        if (read->status != ST_BUSY) return true;
        list_append(&s->readers, &read->link);
        return false;
    }
    if (!may_find(s, read) || !lookups_may_find(&s->lookups, read->partition, read->key)) {
        read->status = ST_NOT_FOUND;
        return true;
    }
    bool may_look = is_next || list_is_empty(&s->starved);
    if (!may_look || !look(s, read)) list_append(&s->starved, &read->link);
    return false;
}

// What it waited for is the disk.
static void answer(struct store *s, struct store_read *read) {
    if (read->is_asked_for) pace_note(&s->pace, PACE_DISK, s->env->now - read->asked);
    read->done(read);
}

bool store_get(struct store *s, struct store_read *read) {
    must(s->is_open);
    read->asked = s->env->now;
    return get(s, read, false);
}

void store_wake_reads(struct store *s) {
    while (!list_is_empty(&s->starved) && pool_left(&s->lookups.pool) > 0) {
        struct store_read *read = CONTAINER_OF(s->starved.next, struct store_read, link);
        list_remove(&read->link);
        if (get(s, read, true)) answer(s, read);
    }
}

void store_answer_reads(struct store *s, struct lookup *l) {
    while (!list_is_empty(&l->reads)) {
        struct store_read *read = CONTAINER_OF(l->reads.next, struct store_read, link);
        list_remove(&read->link);
        read->record = l->record;
        read->status = l->status == ST_OK && l->record.size == 0 ? ST_NOT_FOUND : l->status;
        answer(s, read);
    }
}

void store_show_reads(struct store *s) {
    struct list batch;
    list_init(&batch);
    while (!list_is_empty(&s->readers)) {
        struct list *link = s->readers.next;
        list_remove(link);
        list_append(&batch, link);
    }
    while (!list_is_empty(&batch)) {
        struct store_read *read = CONTAINER_OF(batch.next, struct store_read, link);
        list_remove(&read->link);
        if (read->position < s->log.shown) {
            read->record = commit_log_read(&s->log, read->position);
            read->status = read->record.size > 0 ? ST_OK : ST_NOT_FOUND;
            answer(s, read);
        } else if (s->log.is_failed) {
            read->status = ST_IO;
            answer(s, read);
        } else {
            list_append(&s->readers, &read->link);
        }
    }
}

void store_prefetch(struct store *s, struct partition partition, struct slice key) {
    memtable_prefetch(&s->table, partition, key);
}

void store_prefetch_rest(struct store *s) {
    memtable_prefetch_rest(&s->table);
}
