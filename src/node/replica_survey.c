// SPDX-License-Identifier: Apache-2.0
#include "node/replica_survey.h"

#include "node/internal.h"
#include "node/peers.h"

// A step looks through the whole slot twice: once to find how far the wanted number of keys
// reaches, once to list them.

enum { SCAN_BYTES_MAX = 256 * 1024 }; // of the entries of one answer

static uint64_t place_of(struct slice key) {
    return hash_bytes(key, 0x5ca9) >> (64 - SCAN_PLACE_BITS);
}

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
    struct replica_scan *s = CONTAINER_OF(scan, struct replica_scan, scan);
    uint64_t place = place_of(key);
    if (place < s->first) return true;
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
    struct replica_scan *s = CONTAINER_OF(scan, struct replica_scan, scan);
    uint64_t place = place_of(key);
    if (place < s->first || place > s->reach || !is_live(s->node, record)) return true;
    write_u64(&s->entries, scan_begin(s->slot) | place);
    write_sized(&s->entries, key);
    return !s->entries.failed;
}

static const uint64_t finished = (uint64_t)1 << SCAN_PLACE_BITS; // no place is as high

static void next_slot(struct replica_scan *s) {
    s->slot++;
    s->first = 0;
    s->room = s->left;
    s->is_listing = false;
}

// After the first time through a slot it is known how far to list. After the second the slot is
// finished, or the limit reached, or less must do because keys are long.
static void end_pass(struct replica_scan *s) {
    if (s->scan.status != ST_OK) {
        s->status = s->scan.status;
        s->is_over = true;
    } else if (!s->is_listing && s->found == 0) {
        next_slot(s);
    } else if (!s->is_listing) {
        s->reach = s->found < s->room ? finished : s->places[0];
        s->size_before = s->entries.size;
        s->is_listing = true;
    } else if (s->entries.failed) {
        s->entries.failed = false;
        s->entries.size = s->size_before;
        s->is_listing = false;
        s->room /= 2;
        s->is_over = s->room == 0;
    } else if (s->found == s->room) {
        s->first = s->reach + 1;
        s->is_over = true;
    } else {
        s->left -= s->found;
        next_slot(s);
        s->is_over = s->left == 0;
    }
}

static void on_scanned(struct store_scan *scan);

static void go_on(struct replica_scan *s) {
    struct node *node = s->node;
    while (!s->is_over && s->slot < s->end) {
        struct partition partition = {.slot = (uint16_t)s->slot};
        if (store_partition_of(node->store, partition).live_count == 0) {
            next_slot(s);
            continue;
        }
        if (!s->is_listing) s->found = 0;
        s->scan = (struct store_scan){.partition = partition, .done = on_scanned};
        s->scan.visit = s->is_listing ? list_reached : keep_least;
        if (!store_each(node->store, &s->scan)) return;
        end_pass(s);
    }
    s->cursor = scan_begin(s->slot) + s->first;
    node->replica.scan_count--;
    s->done(s);
    buffer_give(node, (uint8_t *)s);
}

static void on_scanned(struct store_scan *scan) {
    struct replica_scan *s = CONTAINER_OF(scan, struct replica_scan, scan);
    end_pass(s);
    go_on(s);
}

bool replica_scan(struct node *node, uint64_t cursor, uint32_t end, uint32_t limit,
                  const struct replica_scan *asker) {
    struct replica_scan *s = (void *)buffer_take(node, sizeof(*s) + SCAN_BYTES_MAX);
    if (s == NULL) return false;
    s->node = node;
    s->done = asker->done;
    s->from = asker->from;
    s->from_life = asker->from_life;
    s->id = asker->id;
    s->status = ST_OK;
    s->entries = writer_to(s->bytes, SCAN_BYTES_MAX);
    s->slot = scan_slot(cursor);
    s->first = cursor - scan_begin(s->slot);
    s->end = end;
    s->left = s->room = limit < REPLICA_SCAN_MAX ? limit : REPLICA_SCAN_MAX;
    s->found = 0;
    s->is_listing = s->is_over = false;
    node->replica.scan_count++;
    go_on(s);
    return true;
}

static void answer_scan(struct link *link, const struct message_scan_done *done) {
    struct writer w = link_begin(link, 64 + (uint32_t)done->entries.size);
    message_scan_done_encode(done, &w);
    (void)link_end(link, MESSAGE_SCAN_DONE, &w);
}

static void on_scanned_for_peer(struct replica_scan *s) {
    if (s->from->life != s->from_life || !link_is_open(s->from)) return;
    struct message_scan_done done = {.id = s->id, .status = s->status, .next = s->cursor};
    if (s->status == ST_OK) done.entries = writer_bytes(&s->entries);
    answer_scan(s->from, &done);
}

void replica_on_scan(struct node *node, struct link *link, const struct message_scan *m) {
    bool can_scan = node->state == NODE_SERVING && !node->is_mending && m->end <= SLOT_COUNT &&
                    m->limit > 0 && scan_slot(m->cursor) < m->end;
    const struct replica_scan asker = {
        .done = on_scanned_for_peer, .from = link, .from_life = link->life, .id = m->id};
    if (can_scan && replica_scan(node, m->cursor, m->end, m->limit, &asker)) return;
    const struct message_scan_done done = {.id = m->id, .status = ST_UNAVAILABLE};
    answer_scan(link, &done);
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
