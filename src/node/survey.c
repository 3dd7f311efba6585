// SPDX-License-Identifier: Apache-2.0
#include "node/survey.h"

#include "node/internal.h"
#include "node/peers.h"
#include "node/replica_survey.h"

// SCAN: one stretch of one run a call, from a majority of its replicas, or from those that are up
// if that is less.

static void decide(struct operation *o);

static bool keep_part(struct operation *o, uint32_t place, uint64_t next, struct slice entries) {
    o->parts[place] = buffer_take(o->node, entries.size + 1);
    if (o->parts[place] == NULL) return false;
    if (entries.size > 0) memcpy(o->parts[place], entries.data, entries.size);
    o->part_sizes[place] = (uint32_t)entries.size;
    o->parts_next[place] = next;
    return true;
}

static void on_scanned_here(struct replica_scan *s) {
    struct operation *o = operation_find(s->node, s->id);
    if (o == NULL || o->kind != REQUEST_SCAN) return; // it took too long
    bool is_good =
        s->status == ST_OK && keep_part(o, o->self_place, s->cursor, writer_bytes(&s->entries));
    quorum_vote(&o->quorum, o->self_place, is_good);
    if (!o->is_starting) decide(o);
}

static void ask_self(struct operation *o, uint32_t end, uint32_t limit) {
    const struct replica_scan asker = {.done = on_scanned_here, .id = o->id};
    if (!o->node->is_mending && replica_scan(o->node, o->cursor, end, limit, &asker)) return;
    quorum_vote(&o->quorum, o->self_place, false);
}

static void ask_peer(struct operation *o, uint32_t place, uint32_t end, uint32_t limit) {
    struct link *link = peer_link(o->node, o->replicas[place]);
    bool is_sent = false;
    if (link != NULL && peer_is_up(o->node, o->replicas[place])) {
        const struct message_scan m = {
            .id = o->id, .cursor = o->cursor, .end = end, .limit = limit};
        struct writer w = link_begin(link, 64);
        message_scan_encode(&m, &w);
        is_sent = link_end(link, MESSAGE_SCAN, &w);
    }
    if (is_sent) {
        o->asked |= 1u << place;
    } else {
        quorum_vote(&o->quorum, place, false);
    }
}

// The run to scan: the cursor's or, for a local scan, the next that this member is first for.
static const struct map_run *next_run(struct operation *o, bool local) {
    struct node *node = o->node;
    while (scan_slot(o->cursor) < SLOT_COUNT) {
        const struct map_run *run = map_run_of(&node->map, (uint16_t)scan_slot(o->cursor));
        if (!local || node_first_of(node, run) == node->self) return run;
        o->cursor = scan_begin((uint32_t)run->first + run->count);
    }
    return NULL;
}

void scan_start(struct operation *o) {
    struct node *node = o->node;
    const struct request *request = o->request;
    o->cursor = request->cursor;
    const struct map_run *run = next_run(o, request->local);
    if (run == NULL) {
        o->cursor = 0;
        operation_finish(o, ST_OK);
        return;
    }
    o->replica_count = run->replica_count;
    uint32_t up = 0;
    for (uint32_t i = 0; i < run->replica_count; i++) {
        o->replicas[i] = run->replicas[i].member;
        o->parts[i] = NULL;
        up += peer_is_up(node, o->replicas[i]);
    }
    o->self_place = map_place_in(run, node->self);
    uint32_t need = run->replica_count / 2 + 1;
    if (up < need) need = up > 0 ? up : 1;
    quorum_init(&o->quorum, o->replica_count, need);
    uint32_t end = (uint32_t)run->first + run->count;
    uint32_t limit = request->limit < REPLICA_SCAN_MAX ? request->limit : REPLICA_SCAN_MAX;
    if (limit == 0) limit = 1;
    if (o->self_place < REPLICAS_MAX) ask_self(o, end, limit);
    for (uint32_t i = 0; i < o->replica_count; i++) {
        if (i != o->self_place) ask_peer(o, i, end, limit);
    }
    decide(o);
}

// True if one of the parts before `part` lists the key, too.
static bool is_listed_before(const struct operation *o, uint32_t part, uint64_t place,
                             struct slice key) {
    for (uint32_t i = 0; i < part; i++) {
        if (o->parts[i] == NULL) continue;
        struct reader r = reader_of((struct slice){o->parts[i], o->part_sizes[i]});
        while (!r.failed && r.rest.size > 0) {
            uint64_t other_place = read_u64(&r);
            struct slice other = read_sized(&r, KEY_SIZE_MAX);
            if (other_place == place && slice_equal(other, key)) return true;
        }
    }
    return false;
}

// Every part is complete up to its own `next`; together they are up to the least of these.
static bool join_parts(struct operation *o) {
    uint64_t next = UINT64_MAX;
    size_t size = 0;
    for (uint32_t i = 0; i < o->replica_count; i++) {
        if (o->parts[i] == NULL) continue;
        if (o->parts_next[i] < next) next = o->parts_next[i];
        size += o->part_sizes[i];
    }
    o->record = buffer_take(o->node, size + 1);
    if (o->record == NULL) return false;
    struct writer w = writer_to(o->record, size + 1);
    for (uint32_t i = 0; i < o->replica_count; i++) {
        if (o->parts[i] == NULL) continue;
        struct reader r = reader_of((struct slice){o->parts[i], o->part_sizes[i]});
        while (!r.failed && r.rest.size > 0) {
            uint64_t place = read_u64(&r);
            struct slice key = read_sized(&r, KEY_SIZE_MAX);
            if (r.failed || place >= next || is_listed_before(o, i, place, key)) continue;
            write_sized(&w, key);
            o->total++;
        }
    }
    o->record_size = (uint32_t)w.size;
    o->cursor = scan_slot(next) >= SLOT_COUNT ? 0 : next;
    return true;
}

static void decide(struct operation *o) {
    switch (quorum_verdict(&o->quorum)) {
    case QUORUM_OPEN:
        return;
    case QUORUM_LOST:
        operation_finish(o, ST_UNAVAILABLE);
        return;
    case QUORUM_MET:
        operation_finish(o, join_parts(o) ? ST_OK : ST_BUSY);
        return;
    }
    unreachable();
}

void scan_on_answer(struct operation *o, uint32_t member, const struct message_scan_done *m) {
    if (o->kind != REQUEST_SCAN) return;
    uint32_t place = operation_waiting_place(o, member);
    if (place == REPLICAS_MAX) return;
    bool is_good =
        m->status == ST_OK && m->next > o->cursor && keep_part(o, place, m->next, m->entries);
    quorum_vote(&o->quorum, place, is_good);
    decide(o);
}

void scan_on_lost(struct operation *o, uint32_t member) {
    uint32_t place = operation_waiting_place(o, member);
    if (place == REPLICAS_MAX) return;
    quorum_vote(&o->quorum, place, false);
    decide(o);
}

// COUNT: everybody counts what it is first for, as the asker sees who is up.

static bool is_waiting_for(const struct operation *o, uint32_t member) {
    return (o->members_waiting[member / 8] >> (member % 8) & 1) != 0;
}

void count_start(struct operation *o) {
    struct node *node = o->node;
    uint8_t up[MEMBERS_MAX / 8] = {0};
    uint32_t size = (node->map.member_count + 7) / 8;
    memset(o->members_waiting, 0, size);
    quorum_init(&o->quorum, 1, 1);
    quorum_vote(&o->quorum, 0, true);
    for (uint32_t i = 0; i < node->map.member_count; i++) {
        if (peer_is_up(node, i)) up[i / 8] |= (uint8_t)(1u << i % 8);
    }
    const struct message_count m = {.id = o->id, .up = {up, size}};
    for (uint32_t i = 0; i < node->map.member_count && !o->request->local; i++) {
        struct link *link = i == node->self ? NULL : peer_link(node, i);
        if (link == NULL || !peer_is_up(node, i)) continue;
        struct writer w = link_begin(link, 64 + size);
        message_count_encode(&m, &w);
        if (!link_end(link, MESSAGE_COUNT, &w)) continue;
        o->members_waiting[i / 8] |= (uint8_t)(1u << i % 8);
        o->waiting++;
    }
    o->total = replica_count(node, m.up);
    if (o->waiting == 0) operation_finish(o, ST_OK);
}

static void count_in(struct operation *o, uint32_t member, uint64_t count) {
    if (o->kind != REQUEST_COUNT || !is_waiting_for(o, member)) return;
    o->members_waiting[member / 8] &= (uint8_t) ~(1u << member % 8);
    o->total += count;
    if (--o->waiting == 0) operation_finish(o, ST_OK);
}

void count_on_answer(struct operation *o, uint32_t member, const struct message_count_done *m) {
    count_in(o, member, m->count);
}

void count_on_lost(struct operation *o, uint32_t member) {
    count_in(o, member, 0);
}
