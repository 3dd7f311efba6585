// SPDX-License-Identifier: Apache-2.0
#include "node/survey.h"

#include "base/bitmap.h"
#include "node/gather.h"
#include "node/internal.h"
#include "node/peers.h"
#include "node/replica_survey.h"

// SCAN: one stretch of one run a call.

// The run that the cursor is in.
static const struct map_run *run_at(const struct operation *o) {
    return map_run_of(&o->node->map, (uint16_t)cell_slot(cursor_cell(o->cursor)));
}

static uint32_t cell_behind(const struct map_run *run) {
    return cell_of((uint32_t)run->first + run->count, 0);
}

// The run to scan: the cursor's or, for a local scan, the next that this member is first for.
static const struct map_run *next_run(struct operation *o, bool local) {
    struct node *node = o->node;
    while (cursor_cell(o->cursor) < CELL_COUNT) {
        const struct map_run *run = run_at(o);
        if (!local || node_first_of(node, run) == node->self) return run;
        o->cursor = cursor_begin(cell_behind(run));
    }
    return NULL;
}

// Begins a round with all replicas that are up; `need`: of them, as far as they go.
static void ask(struct operation *o, const struct message_scan *wish, uint32_t need,
                gather_decide *decide) {
    if (!gather_begin(o, wish, decide)) {
        operation_finish(o, ST_BUSY);
        return;
    }
    uint32_t up = 0;
    for (uint32_t i = 0; i < o->replica_count; i++) up += peer_is_up(o->node, o->replicas[i]);
    if (need > up) need = up > 0 ? up : 1;
    quorum_init(&o->quorum, o->replica_count, need);
    for (uint32_t i = 0; i < o->replica_count; i++) {
        if (i == o->self_place || peer_is_up(o->node, o->replicas[i])) {
            gather_ask(o, i, 0);
        } else {
            quorum_vote(&o->quorum, i, false);
        }
    }
    decide(o);
}

// Makes the result of what was gathered. False: there is no memory.
static bool join(struct operation *o) {
    size_t size = gather_size(o);
    o->record = buffer_take(o->node, size + 1);
    if (o->record == NULL) return false;
    struct writer w = writer_to(o->record, size + 1);
    struct gathered item;
    while (gather_next(o, &item)) {
        write_sized(&w, item.key);
        o->total++;
    }
    must(!w.failed);
    o->record_size = (uint32_t)w.size;
    uint32_t cell;
    struct slice key;
    gather_reached(o, &cell, &key);
    o->cursor = cell >= CELL_COUNT ? 0 : cursor_begin(cell);
    if (key.size > 0) o->cursor = places_note(&o->node->places, cell, key);
    return true;
}

static void on_listed(struct operation *o) {
    switch (quorum_verdict(&o->quorum)) {
    case QUORUM_OPEN:
        return;
    case QUORUM_LOST:
        operation_finish(o, ST_UNAVAILABLE);
        return;
    case QUORUM_MET:
        operation_finish(o, join(o) ? ST_OK : ST_BUSY);
        return;
    }
    unreachable();
}

// So many lists together have every key that was written to a majority of its copies: one of those
// is among them, even if all the others have none.
static uint32_t majority(const struct operation *o, const struct map_run *run) {
    const struct map *map = &o->node->map;
    uint32_t most = run->replica_count / 2 + 1;
    for (uint32_t i = 0; i < KEYSPACES_MAX; i++) {
        const struct keyspace *k = &map->keyspaces[i];
        if (k->state == KEYSPACE_FREE) continue;
        uint32_t wanted = run->replica_count - map_copies(k, run) / 2;
        if (wanted > most) most = wanted;
    }
    return most;
}

// Past the key of the cursor's cell.
static void list(struct operation *o, struct slice from) {
    const struct map_run *run = run_at(o);
    const struct message_scan wish = {
        .cell = cursor_cell(o->cursor),
        .end = cell_behind(run),
        .limit = o->request->limit,
        .now_ms = o->node->env->wall_ms,
        .from = from,
    };
    ask(o, &wish, majority(o, run), on_listed);
}

// One that found the key is enough. If all say that there is none, it is gone with all that was
// known of it, and the cell is listed from its beginning.
static void on_found(struct operation *o) {
    uint32_t cell;
    struct slice key;
    switch (quorum_verdict(&o->quorum)) {
    case QUORUM_OPEN:
        return;
    case QUORUM_LOST:
        list(o, (struct slice){NULL, 0});
        return;
    case QUORUM_MET:
        gather_reached(o, &cell, &key);
        (void)places_note(&o->node->places, cell, key);
        list(o, key);
        return;
    }
    unreachable();
}

static void find(struct operation *o) {
    const struct message_scan wish = {
        .cell = cursor_cell(o->cursor),
        .end = cursor_cell(o->cursor) + 1,
        .limit = 1,
        .place = cursor_place(o->cursor),
    };
    ask(o, &wish, 1, on_found);
}

uint64_t node_slot_cursor(uint16_t slot) {
    must(slot < SLOT_COUNT);
    return cursor_begin(cell_of(slot, 0));
}

void scan_start(struct operation *o) {
    struct node *node = o->node;
    o->cursor = o->request->cursor;
    const struct map_run *run = next_run(o, o->request->local);
    if (run == NULL) {
        o->cursor = 0;
        operation_finish(o, ST_OK);
        return;
    }
    operation_set_replicas(o, run, run->replica_count);
    struct slice from = {NULL, 0};
    if (cursor_place(o->cursor) != 0 && !places_find(&node->places, o->cursor, &from)) {
        find(o);
    } else {
        list(o, from);
    }
}

// COUNT: everybody counts what it is first for, as the asker sees who is up.

static bool is_waiting_for(const struct operation *o, uint32_t member) {
    return bitmap_has(o->members_waiting, member);
}

void count_start(struct operation *o) {
    struct node *node = o->node;
    uint8_t up[MEMBERS_MAX / 8] = {0};
    uint32_t size = (node->map.member_count + 7) / 8;
    memset(o->members_waiting, 0, sizeof(o->members_waiting)); // others may come meanwhile
    quorum_init(&o->quorum, 1, 1);
    quorum_vote(&o->quorum, 0, true);
    for (uint32_t i = 0; i < node->map.member_count; i++) {
        if (peer_is_up(node, i)) bitmap_add(up, i);
    }
    const struct message_count m = {.id = o->id, .up = {up, size}, .left_ms = operation_left_ms(o)};
    for (uint32_t i = 0; i < node->map.member_count && !o->request->local; i++) {
        struct link *link = i == node->self ? NULL : peer_link(node, i);
        if (link == NULL || !peer_is_up(node, i)) continue;
        struct writer w = link_begin(link, 64 + size);
        message_count_encode(&m, &w);
        if (!link_end(link, MESSAGE_COUNT, &w)) continue;
        bitmap_add(o->members_waiting, i);
        o->waiting++;
    }
    o->total = replica_count(node, m.up);
    if (o->waiting == 0) operation_finish(o, ST_OK);
}

static void count_in(struct operation *o, uint32_t member, uint64_t count) {
    if (o->kind != REQUEST_COUNT || !is_waiting_for(o, member)) return;
    bitmap_remove(o->members_waiting, member);
    o->total += count;
    if (--o->waiting == 0) operation_finish(o, ST_OK);
}

void count_on_answer(struct operation *o, uint32_t member, const struct message_count_done *m) {
    count_in(o, member, m->count);
}

void count_on_lost(struct operation *o, uint32_t member) {
    count_in(o, member, 0);
}
