// SPDX-License-Identifier: Apache-2.0
#include "node/compare.h"

#include "base/bitmap.h"
#include "node/internal.h"
#include "node/purge_answer.h"
#include "node/roots.h"

bool compare_send(struct node *node, struct link *link, enum message_type type,
                  const struct writer *w) {
    node->stats.compare_bytes += w->size;
    return link_end(link, type, w);
}

// Groups, slots and leaves: numbers against numbers.

static uint64_t digest_of(const struct node *node, uint16_t keyspace, uint32_t slot) {
    return store_partition_of(node->store, (struct partition){keyspace, (uint16_t)slot}).digest;
}

void compare_on_branches(struct node *node, struct link *link, const struct message_branches *m) {
    if (node->state != NODE_SERVING || m->branches.size != (size_t)8 * SLOT_GROUPS) return;
    const uint64_t *own = roots_branches(node, link->peer);
    uint8_t differ[SLOT_GROUPS / 8] = {0};
    struct reader r = reader_of(m->branches);
    for (uint32_t i = 0; i < SLOT_GROUPS; i++) {
        if (read_u64(&r) != own[i]) bitmap_add(differ, i);
    }
    const struct message_branches_done done = {.id = m->id, .differ = {differ, sizeof(differ)}};
    struct writer w = link_begin(link, 64 + sizeof(differ));
    message_branches_done_encode(&done, &w);
    (void)compare_send(node, link, MESSAGE_BRANCHES_DONE, &w);
}

// False: the digests are not those of the slots of so many groups.
static bool find_unequal(const struct node *node, const struct link *link,
                         const struct message_digests *m, uint8_t *differ, uint32_t *count) {
    if (m->groups.size != SLOT_GROUPS / 8) return false;
    struct reader r = reader_of(m->digests);
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) {
        if (!bitmap_has(m->groups.data, slot / GROUP_SLOTS)) continue;
        uint64_t digest = read_u64(&r);
        if (r.failed || *count == COMPARE_GROUPS_MAX * GROUP_SLOTS) return false;
        bool is_shared = roots_share(node, m->keyspace, slot, link->peer);
        if (is_shared && digest_of(node, m->keyspace, slot) != digest) bitmap_add(differ, *count);
        (*count)++;
    }
    return reader_done(&r);
}

void compare_on_digests(struct node *node, struct link *link, const struct message_digests *m) {
    uint8_t differ[COMPARE_GROUPS_MAX * GROUP_SLOTS / 8] = {0};
    uint32_t count = 0;
    if (node->state != NODE_SERVING || !find_unequal(node, link, m, differ, &count)) return;
    const struct message_digests_done done = {.id = m->id, .differ = {differ, count / 8}};
    struct writer w = link_begin(link, 64 + sizeof(differ));
    message_digests_done_encode(&done, &w);
    (void)compare_send(node, link, MESSAGE_DIGESTS_DONE, &w);
}

void compare_on_leaves(struct node *node, struct link *link, const struct message_leaves *m) {
    if (node->state != NODE_SERVING || m->slot >= SLOT_COUNT) return;
    if (!roots_share(node, m->keyspace, m->slot, link->peer)) return;
    if (m->leaves.size != (size_t)8 * STORE_LEAVES) return;
    struct partition partition = {m->keyspace, m->slot};
    const struct store_partition own = store_partition_of(node->store, partition);
    struct message_leaves_done done = {.id = m->id};
    struct reader r = reader_of(m->leaves);
    for (uint32_t i = 0; i < STORE_LEAVES; i++) {
        if (read_u64(&r) != own.leaves[i]) done.differ |= (uint16_t)(1u << i);
    }
    struct writer w = link_begin(link, 64);
    message_leaves_done_encode(&done, &w);
    (void)compare_send(node, link, MESSAGE_LEAVES_DONE, &w);
}

// Keys: a list against what is here.

// A question of a peer, in a buffer of the node.
struct comparison {
    struct store_scan scan;
    struct node *node;
    struct link *link; // who asked
    uint64_t link_life;
    uint64_t id;
    struct reader entries;
    struct slice key; // of the entry next in turn; empty: none left
    uint64_t digest;
    uint32_t round;  // of purging, in which the records are read
    bool is_behind;  // likewise
    uint16_t leaves; // bit i: keys of leaf i are compared
    struct writer wanted;
    struct writer records;
    bool is_open; // covers keys past the last entry
    bool is_cut;
    bool is_malformed;
    uint32_t covered_size;
    uint8_t covered[KEY_SIZE_MAX]; // the key up to which it compared
    uint8_t bytes[];               // entries and `after` as they came, then wanted, then records
};

static void next_entry(struct comparison *c) {
    c->key = (struct slice){0};
    if (c->entries.rest.size == 0) return;
    c->digest = read_u64(&c->entries);
    c->key = read_sized(&c->entries, KEY_SIZE_MAX);
    if (c->entries.failed || c->key.size == 0) c->is_malformed = true;
}

static void cover(struct comparison *c, struct slice key) {
    memcpy(c->covered, key.data, key.size);
    c->covered_size = (uint32_t)key.size;
}

static bool compare_key(struct store_scan *scan, struct slice key, struct slice record,
                        bool is_durable) {
    struct comparison *c = CONTAINER_OF(scan, struct comparison, scan);
    if ((c->leaves >> store_leaf_of(key) & 1) == 0) return true;
    while (c->key.size > 0 && !c->is_malformed && slice_compare(c->key, key) < 0) {
        write_sized(&c->wanted, c->key); // we lack it
        cover(c, c->key);
        next_entry(c);
    }
    if (c->is_malformed || (c->key.size == 0 && !c->is_open)) return false;
    bool is_listed = c->key.size > 0 && slice_equal(c->key, key);
    bool is_same = is_listed && c->digest == record_digest(key, record);
    if (!is_same && !is_durable) {
        c->is_cut = true; // what is on its way to the disk is compared when it is there
        return false;
    }
    if (!is_same) {
        size_t room = c->records.capacity - c->records.size;
        if (c->records.size >= COMPARE_PART_MAX || room < 8 + key.size + record.size) {
            c->is_cut = true;
            return false;
        }
        write_sized(&c->records, key);
        write_sized(&c->records, record);
        if (is_listed) write_sized(&c->wanted, key);
    }
    cover(c, key);
    if (is_listed) next_entry(c);
    return true;
}

static void answer_compare(const struct comparison *c) {
    const struct message_compare_done done = {
        .id = c->id,
        .is_last = c->is_open && !c->is_cut,
        .is_behind = c->is_behind,
        .round = c->round,
        .covered = {c->covered, c->covered_size},
        .wanted = writer_bytes(&c->wanted),
        .records = writer_bytes(&c->records),
    };
    struct writer w = link_begin(
        c->link, 64 + (uint32_t)(done.covered.size + done.wanted.size + done.records.size));
    message_compare_done_encode(&done, &w);
    (void)compare_send(c->node, c->link, MESSAGE_COMPARE_DONE, &w);
}

static void on_compared(struct store_scan *scan) {
    struct comparison *c = CONTAINER_OF(scan, struct comparison, scan);
    struct node *node = c->node;
    while (!c->is_cut && !c->is_malformed && c->key.size > 0) {
        write_sized(&c->wanted, c->key);
        cover(c, c->key);
        next_entry(c);
    }
    bool is_good = scan->status == ST_OK && !c->is_malformed && !c->wanted.failed;
    bool is_there = c->link->life == c->link_life && link_is_open(c->link);
    if (is_good && is_there) answer_compare(c); // else the peer asks again after its time-out
    node->comparing--;
    buffer_give(node, (uint8_t *)c);
}

void compare_on_keys(struct node *node, struct link *link, const struct message_compare *m) {
    if (node->state != NODE_SERVING || m->slot >= SLOT_COUNT) return;
    if (m->entries.size > COMPARE_LISTED_MAX ||
        !roots_share(node, m->keyspace, m->slot, link->peer))
        return;
    if (m->after.size > KEY_SIZE_MAX) return;
    size_t asked = m->entries.size + m->after.size;
    size_t wanted_max = m->entries.size + 1;
    size_t records_max = COMPARE_PART_MAX + KEY_SIZE_MAX + node->record_max + 8;
    struct comparison *c = (void *)buffer_take(node, sizeof(*c) + asked + wanted_max + records_max);
    if (c == NULL) return;
    uint8_t *after = c->bytes + m->entries.size;
    if (m->entries.size > 0) memcpy(c->bytes, m->entries.data, m->entries.size);
    if (m->after.size > 0) memcpy(after, m->after.data, m->after.size);
    c->node = node;
    c->link = link;
    c->link_life = link->life;
    c->id = m->id;
    purge_hear(node, link->peer, m->slot, m->round);
    c->round = purge_round(node, m->slot);
    c->is_behind = purge_fence(node, m->slot)->is_behind;
    c->leaves = m->leaves;
    c->entries = reader_of((struct slice){c->bytes, m->entries.size});
    c->wanted = writer_to(c->bytes + asked, wanted_max);
    c->records = writer_to(c->bytes + asked + wanted_max, records_max);
    c->is_open = m->is_last;
    c->is_cut = c->is_malformed = false;
    c->covered_size = 0;
    next_entry(c);
    c->scan = (struct store_scan){
        .visit = compare_key, .done = on_compared, .partition = {m->keyspace, m->slot}};
    c->scan.after = (struct slice){after, m->after.size};
    node->comparing++;
    if (store_each(node->store, &c->scan)) on_compared(&c->scan);
}
