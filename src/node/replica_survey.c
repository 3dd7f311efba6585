// SPDX-License-Identifier: Apache-2.0
#include "node/replica_survey.h"

#include "base/bitmap.h"
#include "node/internal.h"
#include "node/peers.h"

enum {
    ENTRIES_SIZE = 256 * 1024, // bytes of the entries of one answer
    LOOK_SIZE = 48,            // bytes of a list's size that looking at a key counts for
    ENTRY_HEAD = 32,           // bytes of an entry beside key and record
};

static_assert(ENTRIES_SIZE >= KEY_SIZE_MAX + ENTRY_HEAD, "any key alone has room");

// Keys that one answer, or one turn, looks at.
static uint32_t looks_max(const struct node *node) {
    return node->options.list_size / LOOK_SIZE + 1;
}

static bool has_tag(struct slice key, struct slice tag) {
    struct slice part = slot_hashed_part(key);
    return part.size < key.size && slice_equal(part, tag);
}

static bool is_past_end(const struct message_scan *wish, struct slice key) {
    if (wish->to.size == 0) return false;
    int order = slice_compare(key, wish->to);
    if ((wish->flags & SCAN_REVERSE) != 0) order = -order;
    return order > 0 || (order == 0 && (wish->flags & SCAN_AT_TO) == 0);
}

static bool is_live(const struct replica_scan *s, struct slice record) {
    struct record *r = &s->node->records[0];
    if (record_decode(r, record) != ST_OK) return false;
    return record_visible(r, s->wish.now_ms) != NULL;
}

// False: there is no room for it.
static bool list(struct replica_scan *s, struct slice key, struct slice record, bool is_durable) {
    uint32_t flags = s->wish.flags;
    if (s->wish.tag.size > 0 && !has_tag(key, s->wish.tag)) return true;
    // What is left of a key where it was before its keyspace came is no key.
    if (map_cell_of(&s->node->map, key) != s->cell) return true;
    struct message_listed entry = {.cell = s->cell, .key = key, .is_dead = !is_live(s, record)};
    if (entry.is_dead && (flags & SCAN_DEAD) == 0) return true;
    size_t before = s->entries.size;
    if ((flags & SCAN_HASHES) != 0) {
        s->weight += key.size + record.size;
        if (s->weight > s->node->options.list_size && before > 0) return false;
        if (is_durable) entry.hash = hash_held(record);
        size_t room = s->entries.capacity - before;
        bool is_wanted = (flags & SCAN_RECORDS) != 0 && is_durable && !entry.is_dead;
        if (is_wanted && key.size + record.size + ENTRY_HEAD <= room) entry.record = record;
    }
    message_listed_write(&s->entries, &entry);
    if (s->entries.failed) {
        s->entries.failed = false;
        s->entries.size = before;
        return false;
    }
    s->left -= !entry.is_dead;
    return true;
}

static void look_at(struct replica_scan *s, struct slice key) {
    s->looked++;
    memcpy(s->bytes, key.data, key.size);
    s->last = (struct slice){s->bytes, key.size};
}

static bool on_visited(struct store_scan *scan, struct slice key, struct slice record,
                       bool is_durable) {
    struct replica_scan *s = CONTAINER_OF(scan, struct replica_scan, scan);
    if (is_past_end(&s->wish, key)) return false;
    s->is_stopped = s->looked == looks_max(s->node) || !list(s, key, record, is_durable);
    if (s->is_stopped) return false;
    look_at(s, key);
    s->is_stopped = s->left == 0;
    return !s->is_stopped;
}

// Looks for the key with a place.
static bool on_searched(struct store_scan *scan, struct slice key, struct slice record,
                        bool is_durable) {
    (void)record;
    (void)is_durable;
    struct replica_scan *s = CONTAINER_OF(scan, struct replica_scan, scan);
    s->is_stopped = place_of_key(key) == s->wish.place;
    s->is_pausing = !s->is_stopped && ++s->looked % looks_max(s->node) == 0;
    if (!s->is_stopped && !s->is_pausing) return true;
    look_at(s, key);
    return false;
}

// Scans.

static const struct slice nothing;

// Moves on to the first cell, from the current one on, that has anything to list.
static bool skip_empty(struct replica_scan *s) {
    const struct map *map = &s->node->map;
    for (; s->cell < s->wish.end; s->cell++) {
        if (map->keyspaces[cell_place(s->cell)].state == KEYSPACE_FREE) continue;
        struct store_partition p = node_cell(s->node, s->cell);
        bool wants_live = (s->wish.flags & SCAN_DEAD) == 0 && s->wish.place == 0;
        if ((wants_live ? p.live_count : p.key_count) > 0) return true;
    }
    return false;
}

static void finish(struct replica_scan *s) {
    struct node *node = s->node;
    node->replica.scan_count--;
    s->done(s);
    buffer_give(node, (uint8_t *)s);
}

static void on_paused(struct env_op *op);

// The store has been through a cell, or a part of it. False: it is not to go on now.
static bool has_more(struct replica_scan *s) {
    s->status = s->scan.status;
    if (s->status == ST_OK && s->is_pausing) {
        s->is_pausing = false;
        s->op.done = on_paused;
        env_later(s->node->env, &s->op);
        return false;
    }
    if (s->status == ST_OK && !s->is_stopped && !s->scan.is_cut) {
        s->cell++;
        s->last = nothing;
        if (skip_empty(s)) return true;
    }
    finish(s);
    return false;
}

static void on_scanned(struct store_scan *scan);

// Goes through the current cell past a key, then through those behind it.
static void go_on(struct replica_scan *s, struct slice from) {
    do {
        bool is_begun = from.size > 0;
        s->is_stopped = false;
        s->scan = (struct store_scan){
            .visit = s->wish.place == 0 ? on_visited : on_searched,
            .done = on_scanned,
            .partition = map_partition_of(&s->node->map, s->cell),
            .after = from,
            .is_inclusive = is_begun && (s->wish.flags & SCAN_AT_FROM) != 0,
            .is_reverse = (s->wish.flags & SCAN_REVERSE) != 0,
            .is_one_state = (s->wish.flags & SCAN_HASHES) != 0,
        };
        if (!store_each(s->node->store, &s->scan)) return;
        from = nothing;
    } while (has_more(s));
}

static void on_scanned(struct store_scan *scan) {
    struct replica_scan *s = CONTAINER_OF(scan, struct replica_scan, scan);
    if (has_more(s)) go_on(s, nothing);
}

static void on_paused(struct env_op *op) {
    struct replica_scan *s = CONTAINER_OF(op, struct replica_scan, op);
    bool is_dropped = s->node->map.keyspaces[cell_place(s->cell)].state == KEYSPACE_FREE;
    if (is_dropped || node_is_too_late(s->node, s->until)) {
        s->status = ST_UNAVAILABLE;
        finish(s);
        return;
    }
    go_on(s, s->last);
}

bool replica_scan(struct node *node, const struct message_scan *wish,
                  const struct replica_scan *asker) {
    size_t size = sizeof(struct replica_scan) + KEY_SIZE_MAX + wish->from.size + wish->to.size +
                  wish->tag.size + ENTRIES_SIZE;
    struct replica_scan *s = (void *)buffer_take(node, size);
    if (s == NULL) return false;
    *s = (struct replica_scan){.node = node, .wish = *wish, .cell = wish->cell};
    s->done = asker->done;
    s->from = asker->from;
    s->from_life = asker->from_life;
    s->id = asker->id;
    s->until = asker->until;
    s->left = wish->limit < REPLICA_SCAN_MAX ? wish->limit : REPLICA_SCAN_MAX;
    uint8_t *to = buffer_keep(s->bytes + KEY_SIZE_MAX, &s->wish.from);
    to = buffer_keep(to, &s->wish.to);
    to = buffer_keep(to, &s->wish.tag);
    s->entries = writer_to(to, ENTRIES_SIZE);
    node->replica.scan_count++;
    if (skip_empty(s)) {
        go_on(s, s->cell == wish->cell ? s->wish.from : nothing);
    } else {
        finish(s);
    }
    return true;
}

struct message_scan_done replica_scan_result(const struct replica_scan *s) {
    struct message_scan_done done = {.id = s->id, .status = s->status};
    if (s->status != ST_OK) return done;
    done.cell = s->cell;
    done.key = s->last;
    done.entries = writer_bytes(&s->entries);
    return done;
}

static void answer_scan(struct link *link, const struct message_scan_done *done) {
    struct writer w = link_begin(link, 64 + (uint32_t)(done->key.size + done->entries.size));
    message_scan_done_encode(done, &w);
    (void)link_end(link, MESSAGE_SCAN_DONE, &w);
}

static void on_scanned_for_peer(struct replica_scan *s) {
    if (s->from->life != s->from_life || !link_is_open(s->from)) return;
    const struct message_scan_done done = replica_scan_result(s);
    answer_scan(s->from, &done);
}

void replica_on_scan(struct node *node, struct link *link, const struct message_scan *m) {
    bool is_fit = m->cell < m->end && m->end <= CELL_COUNT && m->limit > 0;
    bool is_one_cell = m->cell + 1 == m->end;
    if ((m->flags & SCAN_REVERSE) != 0 && !is_one_cell) is_fit = false;
    bool can_scan = node->state == NODE_SERVING && node_has_vote(node);
    const struct replica_scan asker = {.done = on_scanned_for_peer,
                                       .from = link,
                                       .from_life = link->life,
                                       .id = m->id,
                                       .until = link_until(link, m->left_ms)};
    bool is_taken = is_fit && can_scan && !node_is_too_late(node, asker.until);
    if (is_taken && replica_scan(node, m, &asker)) return;
    const struct message_scan_done done = {.id = m->id, .status = ST_UNAVAILABLE};
    answer_scan(link, &done);
}

// The first of so many replicas of the run that is up, or just the first.
static uint32_t first_up(const struct map_run *run, uint32_t copies, struct slice up) {
    for (uint32_t i = 0; i < copies; i++) {
        uint32_t member = run->replicas[i].member;
        if (member / 8 < up.size && bitmap_has(up.data, member)) return member;
    }
    return run->replicas[0].member;
}

uint64_t replica_count(struct node *node, struct slice up) {
    const struct map *map = &node->map;
    uint64_t count = 0;
    for (uint32_t i = 0; i < map->run_count * KEYSPACES_MAX; i++) {
        const struct map_run *run = &map->runs[i / KEYSPACES_MAX];
        const struct keyspace *k = &map->keyspaces[i % KEYSPACES_MAX];
        if (k->state == KEYSPACE_FREE) continue;
        if (first_up(run, map_copies(k, run), up) != node->self) continue;
        for (uint32_t slot = run->first; slot < (uint32_t)run->first + run->count; slot++) {
            count += node_cell(node, cell_of(slot, i % KEYSPACES_MAX)).live_count;
        }
    }
    return count;
}

void replica_on_count(struct node *node, struct link *link, const struct message_count *m) {
    struct message_count_done done = {.id = m->id};
    if (node_is_too_late(node, link_until(link, m->left_ms))) return;
    if (node->state == NODE_SERVING) done.count = replica_count(node, m->up);
    struct writer w = link_begin(link, 64);
    message_count_done_encode(&done, &w);
    (void)link_end(link, MESSAGE_COUNT_DONE, &w);
}
