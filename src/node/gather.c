// SPDX-License-Identifier: Apache-2.0
#include "node/gather.h"

#include "node/internal.h"
#include "node/peers.h"
#include "node/replica_survey.h"

bool gather_begin(struct operation *o, const struct message_scan *wish, gather_decide *decide) {
    size_t size = sizeof(struct gather) + wish->from.size + wish->to.size + wish->tag.size;
    struct gather *g = (void *)buffer_take(o->node, size);
    if (g == NULL) return false;
    *g = (struct gather){.wish = *wish, .decide = decide};
    uint8_t *to = buffer_keep(g->bytes, &g->wish.from);
    to = buffer_keep(to, &g->wish.to);
    (void)buffer_keep(to, &g->wish.tag);
    gather_end(o);
    o->gather = g;
    o->asked = 0;
    operation_renew_id(o);
    return true;
}

void gather_end(struct operation *o) {
    if (o->gather == NULL) return;
    for (uint32_t i = 0; i < REPLICAS_MAX; i++) {
        if (o->gather->parts[i].bytes != NULL) buffer_give(o->node, o->gather->parts[i].bytes);
    }
    buffer_give(o->node, (uint8_t *)o->gather);
    o->gather = NULL;
}

// Which comes first; no key comes before all keys of its cell, forwards.
static int compare(const struct gather *g, uint32_t cell_a, struct slice a, uint32_t cell_b,
                   struct slice b) {
    if (cell_a != cell_b) return cell_a < cell_b ? -1 : 1;
    int order = slice_compare(a, b);
    return (g->wish.flags & SCAN_REVERSE) != 0 ? -order : order;
}

// True when the key is one that the wish begins with or comes to.
static bool is_behind_start(const struct gather *g, uint32_t cell, struct slice key) {
    if (cell != g->wish.cell || g->wish.from.size == 0) return cell >= g->wish.cell;
    int order = compare(g, cell, key, cell, g->wish.from);
    return order > 0 || (order == 0 && (g->wish.flags & SCAN_AT_FROM) != 0);
}

// Taking answers.

static void advance(struct gather_part *part) {
    part->has_next = part->rest.rest.size > 0;
    if (part->has_next) message_listed_read(&part->rest, &part->next);
}

// Goes through a part once: all of it must be in order, within what was asked for, and not past the
// point up to which it claims to be complete; and that must be further on than where it began.
static bool is_sound(const struct gather *g, const struct map *map, struct gather_part part) {
    uint32_t cell = g->wish.cell;
    struct slice last = {NULL, 0};
    bool is_complete = part.cell == g->wish.end && part.key.size == 0;
    if (g->wish.place != 0) {
        return part.size == 0 && part.cell == cell && part.key.size > 0 &&
               place_of_key(part.key) == g->wish.place;
    }
    if (part.cell > g->wish.end || (part.cell == g->wish.end && !is_complete)) return false;
    if (part.cell == cell && part.key.size == 0) return false;
    if (!is_complete && !is_behind_start(g, part.cell, part.key)) return false;
    for (advance(&part); part.has_next; advance(&part)) {
        const struct message_listed *m = &part.next;
        if (part.rest.failed || m->cell >= g->wish.end || map_cell_of(map, m->key) != m->cell)
            return false;
        if (!is_behind_start(g, m->cell, m->key)) return false;
        if (last.size > 0 && compare(g, cell, last, m->cell, m->key) >= 0) return false;
        if (!is_complete && compare(g, m->cell, m->key, part.cell, part.key) > 0) return false;
        cell = m->cell;
        last = m->key;
    }
    return true;
}

// Keeps an answer. False: it does not count.
static bool keep_part(struct operation *o, uint32_t place, const struct message_scan_done *m) {
    struct gather_part *part = &o->gather->parts[place];
    if (m->status != ST_OK) return false;
    part->bytes = buffer_take(o->node, m->key.size + m->entries.size + 1);
    if (part->bytes == NULL) return false;
    part->cell = m->cell;
    part->key = m->key;
    struct slice entries = m->entries;
    (void)buffer_keep(buffer_keep(part->bytes, &part->key), &entries);
    part->size = entries.size;
    part->rest = reader_of(entries);
    if (!is_sound(o->gather, &o->node->map, *part)) {
        buffer_give(o->node, part->bytes);
        part->bytes = NULL;
        return false;
    }
    advance(part);
    return true;
}

// Asking.

static void on_listed_here(struct replica_scan *s) {
    struct operation *o = operation_find(s->node, s->id);
    if (o == NULL || o->gather == NULL) return; // it took too long
    struct message_scan_done done = replica_scan_result(s);
    quorum_vote(&o->quorum, o->self_place, keep_part(o, o->self_place, &done));
    if (!o->gather->is_asking) o->gather->decide(o);
}

static bool ask_self(struct operation *o, const struct message_scan *m) {
    const struct replica_scan asker = {.done = on_listed_here, .id = o->id, .until = o->until};
    if (!node_has_vote(o->node)) return false;
    o->gather->is_asking = true;
    bool is_asked = replica_scan(o->node, m, &asker);
    o->gather->is_asking = false;
    return is_asked;
}

static bool ask_peer(struct operation *o, uint32_t place, const struct message_scan *m) {
    struct link *link = peer_link(o->node, o->replicas[place]);
    if (link == NULL) return false;
    size_t size = 64 + m->from.size + m->to.size + m->tag.size;
    struct writer w = link_begin(link, (uint32_t)size);
    message_scan_encode(m, &w);
    return link_end(link, MESSAGE_SCAN, &w);
}

void gather_ask(struct operation *o, uint32_t place, uint8_t flags) {
    struct message_scan m = o->gather->wish;
    m.id = o->id;
    m.flags |= flags;
    m.left_ms = operation_left_ms(o);
    if ((m.flags & SCAN_RECORDS) != 0) o->gather->leads |= 1u << place;
    o->asked |= 1u << place;
    bool is_asked = place == o->self_place ? ask_self(o, &m) : ask_peer(o, place, &m);
    if (!is_asked) quorum_vote(&o->quorum, place, false);
}

void gather_on_answer(struct operation *o, uint32_t member, const struct message_scan_done *m) {
    uint32_t place = operation_waiting_place(o, member);
    if (o->gather == NULL || place == REPLICAS_MAX) return;
    if (delay_is_under_way(&o->hedge)) peers_note_prompt(o->node, member, ERRAND_READ);
    quorum_vote(&o->quorum, place, keep_part(o, place, m));
    o->gather->decide(o);
}

void gather_on_lost(struct operation *o, uint32_t member) {
    uint32_t place = operation_waiting_place(o, member);
    if (o->gather == NULL || place == REPLICAS_MAX) return;
    quorum_vote(&o->quorum, place, false);
    o->gather->decide(o);
}

// Merging.

size_t gather_size(const struct operation *o) {
    size_t size = 0;
    for (uint32_t i = 0; i < o->replica_count; i++) size += o->gather->parts[i].size;
    return size;
}

void gather_reached(const struct operation *o, uint32_t *cell, struct slice *key) {
    const struct gather *g = o->gather;
    *cell = g->wish.end;
    *key = (struct slice){NULL, 0};
    for (uint32_t i = 0; i < o->replica_count; i++) {
        const struct gather_part *part = &g->parts[i];
        if (part->bytes == NULL || compare(g, part->cell, part->key, *cell, *key) >= 0) continue;
        *cell = part->cell;
        *key = part->key;
    }
}

// The parts that have an entry for the least key of all. No bit: there is none.
static uint32_t at_least_key(const struct operation *o) {
    const struct gather *g = o->gather;
    const struct message_listed *least = NULL;
    uint32_t at_it = 0;
    for (uint32_t i = 0; i < o->replica_count; i++) {
        const struct message_listed *m = &g->parts[i].next;
        if (g->parts[i].bytes == NULL || !g->parts[i].has_next) continue;
        int order = least == NULL ? -1 : compare(g, m->cell, m->key, least->cell, least->key);
        if (order > 0) continue;
        if (order < 0) at_it = 0;
        at_it |= 1u << i;
        least = m;
    }
    return at_it;
}

bool gather_next(struct operation *o, struct gathered *item) {
    struct gather *g = o->gather;
    uint32_t cell;
    struct slice key;
    gather_reached(o, &cell, &key);
    uint32_t at_it = at_least_key(o);
    if (at_it == 0) return false;
    const struct message_listed *first = &g->parts[__builtin_ctz(at_it)].next;
    bool is_complete = cell == g->wish.end;
    if (!is_complete && compare(g, first->cell, first->key, cell, key) > 0) return false;
    *item = (struct gathered){.cell = first->cell, .key = first->key, .is_dead = first->is_dead};
    uint64_t hash = first->hash;
    item->is_agreed = hash != 0;
    for (uint32_t i = 0; i < o->replica_count; i++) {
        struct gather_part *part = &g->parts[i];
        if (part->bytes == NULL) continue;
        bool has_it = (at_it >> i & 1) != 0;
        if (!has_it || part->next.hash != hash) item->is_agreed = false;
        if (has_it && part->next.record.size > 0) item->record = part->next.record;
        if (has_it) advance(part);
    }
    return true;
}
