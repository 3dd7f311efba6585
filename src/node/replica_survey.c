// SPDX-License-Identifier: Apache-2.0
#include "node/replica_survey.h"

#include "node/internal.h"
#include "node/peers.h"

// A step looks through the whole slot twice: once to find how far the wanted number of keys
// reaches, once to list them.

static uint64_t place_of(struct slice key) {
    return hash_bytes(key, 0x5ca9) >> (64 - SCAN_PLACE_BITS);
}

struct scan {
    struct store_scan scan;
    struct node *node;
    uint64_t from;  // first place wanted
    uint64_t reach; // last place to list
    uint32_t room;  // places to keep
    uint32_t found; // kept in `places`, a heap with the greatest first
    uint64_t *places;
    struct writer *entries;
    uint16_t slot;
};

static void sift_down(uint64_t *heap, uint32_t count, uint64_t value) {
    uint32_t at = 0;
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= count) break;
        if (child + 1 < count && heap[child + 1] > heap[child]) child++;
        if (heap[child] <= value) break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = value;
}

static void sift_up(uint64_t *heap, uint32_t at, uint64_t value) {
    while (at > 0 && heap[(at - 1) / 2] < value) {
        heap[at] = heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap[at] = value;
}

static bool is_live(struct node *node, struct slice record) {
    struct record *r = &node->records[0];
    if (record_decode(r, record) != ST_OK) return false;
    return record_visible(r, node->env->wall_ms) != NULL;
}

static bool keep_least(struct store_scan *scan, struct slice key, struct slice record,
                       bool is_durable) {
    (void)is_durable;
    struct scan *s = CONTAINER_OF(scan, struct scan, scan);
    uint64_t place = place_of(key);
    if (place < s->from) return true;
    if (s->found == s->room && place >= s->places[0]) return true;
    if (!is_live(s->node, record)) return true;
    if (s->found < s->room) {
        sift_up(s->places, s->found, place);
        s->found++;
    } else {
        sift_down(s->places, s->found, place);
    }
    return true;
}

static bool list_reached(struct store_scan *scan, struct slice key, struct slice record,
                         bool is_durable) {
    (void)is_durable;
    struct scan *s = CONTAINER_OF(scan, struct scan, scan);
    uint64_t place = place_of(key);
    if (place < s->from || place > s->reach || !is_live(s->node, record)) return true;
    write_u64(s->entries, scan_begin(s->slot) | place);
    write_sized(s->entries, key);
    return !s->entries->failed;
}

static void look_through(struct scan *s, store_visit *visit) {
    s->scan = (struct store_scan){.visit = visit, .partition = {.slot = s->slot}};
    bool is_over = store_each(s->node->store, &s->scan);
    must(is_over); // the store holds everything in memory
}

// Lists up to `room` keys of the slot, fewer when they do not fit; at least one must. Returns the
// place to go on from, past the last one when the slot is finished.
static uint64_t scan_one_slot(struct scan *s, uint32_t room) {
    const uint64_t finished = (uint64_t)1 << SCAN_PLACE_BITS;
    size_t size_before = s->entries->size;
    for (s->room = room; s->room > 0; s->room /= 2) {
        s->found = 0;
        look_through(s, keep_least);
        if (s->found == 0) return finished;
        s->reach = s->found < s->room ? finished : s->places[0];
        look_through(s, list_reached);
        if (!s->entries->failed) return s->found < s->room ? finished : s->reach + 1;
        s->entries->failed = false;
        s->entries->size = size_before;
    }
    return s->from;
}

uint64_t replica_scan(struct node *node, uint64_t cursor, uint32_t end, uint32_t limit,
                      struct writer *entries) {
    struct scan s = {.node = node, .places = node->replica.places, .entries = entries};
    uint32_t slot = scan_slot(cursor);
    uint64_t from = cursor - scan_begin(slot);
    uint32_t listed = 0;
    if (limit > REPLICA_SCAN_MAX) limit = REPLICA_SCAN_MAX;
    for (; slot < end && listed < limit; slot++, from = 0) {
        struct partition partition = {.slot = (uint16_t)slot};
        if (store_partition_of(node->store, partition).live_count == 0) continue;
        s.slot = (uint16_t)slot;
        s.from = from;
        uint64_t next = scan_one_slot(&s, limit - listed);
        if (next >> SCAN_PLACE_BITS == 0) return scan_begin(slot) + next;
        listed += s.found;
    }
    return scan_begin(slot);
}

void replica_on_scan(struct node *node, struct link *link, const struct message_scan *m) {
    struct message_scan_done done = {.id = m->id, .status = ST_UNAVAILABLE};
    struct writer entries = writer_to(node->scratch, SCRATCH_SIZE_MIN);
    if (node->state == NODE_SERVING && !node->is_mending && m->end <= SLOT_COUNT && m->limit > 0 &&
        scan_slot(m->cursor) < m->end) {
        done.status = ST_OK;
        done.next = replica_scan(node, m->cursor, m->end, m->limit, &entries);
        done.entries = writer_bytes(&entries);
    }
    struct writer w = link_begin(link, 64 + (uint32_t)done.entries.size);
    message_scan_done_encode(&done, &w);
    (void)link_end(link, MESSAGE_SCAN_DONE, &w);
}

static uint32_t first_up(const struct map_run *run, struct slice up) {
    for (uint32_t i = 0; i < run->replica_count; i++) {
        uint32_t member = run->replicas[i].member;
        if (member / 8 < up.size && (up.data[member / 8] >> (member % 8) & 1) != 0) return member;
    }
    return run->replicas[0].member;
}

uint64_t replica_count(struct node *node, struct slice up) {
    uint64_t count = 0;
    for (uint32_t i = 0; i < node->map.run_count; i++) {
        const struct map_run *run = &node->map.runs[i];
        if (first_up(run, up) != node->self) continue;
        for (uint32_t slot = run->first; slot < (uint32_t)run->first + run->count; slot++) {
            struct partition partition = {.slot = (uint16_t)slot};
            count += store_partition_of(node->store, partition).live_count;
        }
    }
    return count;
}

void replica_on_count(struct node *node, struct link *link, const struct message_count *m) {
    struct message_count_done done = {.id = m->id};
    if (node->state == NODE_SERVING) done.count = replica_count(node, m->up);
    struct writer w = link_begin(link, 64);
    message_count_done_encode(&done, &w);
    (void)link_end(link, MESSAGE_COUNT_DONE, &w);
}
