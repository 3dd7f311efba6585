// SPDX-License-Identifier: Apache-2.0
#include "node/reconcile.h"

#include "node/genesis.h"
#include "node/peers.h"

#define PAUSE_NS (1 * NS_PER_MS)
#define HITCH_PAUSE_NS (500 * NS_PER_MS)
#define QUESTION_MAX_NS (5 * NS_PER_SECOND)

enum {
    STRETCH_SLOTS = 2048,
    PART_KEYS_MAX = 512,
    MOVED_MAX = 64,   // slots asked about and records moved between two pauses
    MERGING_MAX = 64, // records not yet durable here: then it pauses, too
    STUCK_MAX = 50,
    PART_SIZE_MAX = 128 * 1024, // of the keys listed; of the records sent back, but for the last
};

enum { LISTED_MAX = PART_SIZE_MAX + 12 };

static void on_step(struct timer *timer);
static void on_round(struct timer *timer);
static void compare_on(struct node *node);

size_t reconcile_memory_size(void) {
    return SLOT_COUNT / 8 + KEY_SIZE_MAX + LISTED_MAX + 256;
}

void reconcile_init(struct node *node, struct arena *arena) {
    struct reconcile *rec = &node->reconcile;
    rec->differ = ARENA_ARRAY(arena, uint8_t, SLOT_COUNT / 8);
    rec->after = ARENA_ARRAY(arena, uint8_t, KEY_SIZE_MAX);
    rec->listed = ARENA_ARRAY(arena, uint8_t, LISTED_MAX);
    rec->step.fired = on_step;
    rec->round.fired = on_round;
}

static bool bit(const uint8_t *bits, uint32_t index) {
    return (bits[index / 8] >> (index % 8) & 1) != 0;
}

static void set_bit(uint8_t *bits, uint32_t index) {
    bits[index / 8] |= (uint8_t)(1u << index % 8);
}

static void clear_bit(uint8_t *bits, uint32_t index) {
    bits[index / 8] &= (uint8_t) ~(1u << index % 8);
}

static void pause(struct node *node, uint64_t ns) {
    if (node->state == NODE_STOPPED) return;
    timer_arm(&node->timers, &node->reconcile.step, node->env->now + ns);
}

static bool is_ours_to_start(const struct node *node, uint32_t member) {
    return member != node->self && (node->is_mending || node->self < member);
}

// Whether both have copies of what the keyspace with that number has in the slot.
static bool share(const struct node *node, uint16_t keyspace, uint32_t slot, uint32_t member) {
    uint32_t place = keyspace_find_number(node->map.keyspaces, keyspace);
    if (place == KEYSPACES_MAX) return false;
    const struct map_run *run = map_run_of(&node->map, (uint16_t)slot);
    uint32_t copies = map_copies(&node->map.keyspaces[place], run);
    return map_place_in(run, node->self) < copies && map_place_in(run, member) < copies;
}

// Beginning and ending with a peer.

static void abandon(struct node *node) {
    struct reconcile *rec = &node->reconcile;
    set_bit(rec->due, rec->peer);
    rec->state = RECONCILE_IDLE;
    rec->is_pausing = false;
    pause(node, HITCH_PAUSE_NS);
}

// Mending is over when everything was compared with everybody, and nothing was lost meanwhile.
static void end_mending_if_through(struct node *node) {
    if (!node->is_mending) return;
    for (uint32_t i = 0; i < node->map.member_count; i++) {
        if (i != node->self && !bit(node->reconcile.through, i)) return;
    }
    if (store_losses(node->store) == node->reconcile.losses) {
        genesis_on_mended(node);
    } else {
        reconcile_with_all(node);
    }
}

static void finish_peer(struct node *node) {
    struct reconcile *rec = &node->reconcile;
    if (rec->had_hitch) {
        abandon(node);
        return;
    }
    rec->state = RECONCILE_IDLE;
    set_bit(rec->through, rec->peer);
    end_mending_if_through(node);
    pause(node, PAUSE_NS);
}

// The next keyspace from that place on. False: there is none.
static bool take_keyspace(struct node *node, uint32_t place) {
    struct reconcile *rec = &node->reconcile;
    const struct keyspace *table = node->map.keyspaces;
    while (place < KEYSPACES_MAX && table[place].state == KEYSPACE_FREE) place++;
    if (place == KEYSPACES_MAX) return false;
    rec->place = place;
    rec->keyspace = table[place].number;
    rec->slot = 0;
    return true;
}

// Sends the question about the next stretch of slots. False when it cannot go out.
static bool ask_digests(struct node *node) {
    struct reconcile *rec = &node->reconcile;
    struct link *link = peer_link(node, rec->peer);
    if (link == NULL) return false;
    uint8_t bytes[8 * STRETCH_SLOTS];
    struct writer digests = writer_to(bytes, sizeof(bytes));
    for (uint32_t i = 0; i < STRETCH_SLOTS; i++) {
        struct partition partition = {rec->keyspace, (uint16_t)(rec->slot + i)};
        bool counts = share(node, rec->keyspace, rec->slot + i, rec->peer);
        write_u64(&digests, counts ? store_partition_of(node->store, partition).digest : 0);
    }
    const struct message_digests m = {
        .id = ++rec->id,
        .keyspace = rec->keyspace,
        .first = (uint16_t)rec->slot,
        .digests = writer_bytes(&digests),
    };
    struct writer w = link_begin(link, 64 + sizeof(bytes));
    message_digests_encode(&m, &w);
    pause(node, QUESTION_MAX_NS);
    return link_end(link, MESSAGE_DIGESTS, &w);
}

static void begin_next_peer(struct node *node) {
    struct reconcile *rec = &node->reconcile;
    if (store_is_recounting(node->store)) { // what was lost still counts as there
        pause(node, HITCH_PAUSE_NS);
        return;
    }
    for (uint32_t i = 0; i < node->map.member_count; i++) {
        uint32_t member = (rec->peer + 1 + i) % node->map.member_count;
        if (!bit(rec->due, member)) continue;
        if (!peer_is_up(node, member)) {
            pause(node, HITCH_PAUSE_NS);
            continue;
        }
        clear_bit(rec->due, member);
        rec->peer = member;
        rec->stuck = 0;
        rec->moved = 0;
        rec->is_pausing = false;
        rec->had_hitch = rec->merging > 0; // leftovers of a comparison given up
        node->stats.slots_behind = 0;
        rec->state = RECONCILE_DIGESTS;
        if (!take_keyspace(node, KEYSPACE_DEFAULT) || !ask_digests(node)) abandon(node);
        return;
    }
}

void reconcile_on_digests(struct node *node, struct link *link, const struct message_digests *m) {
    uint32_t count = (uint32_t)(m->digests.size / 8);
    if (node->state != NODE_SERVING || count > STRETCH_SLOTS || m->first + count > SLOT_COUNT)
        return;
    uint8_t differ[STRETCH_SLOTS / 8] = {0};
    struct reader r = reader_of(m->digests);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t digest = read_u64(&r);
        struct partition partition = {m->keyspace, (uint16_t)(m->first + i)};
        if (!share(node, m->keyspace, m->first + i, link->peer)) continue;
        if (store_partition_of(node->store, partition).digest != digest) set_bit(differ, i);
    }
    const struct message_digests_done done = {.id = m->id, .differ = {differ, (count + 7) / 8}};
    struct writer w = link_begin(link, 64 + sizeof(differ));
    message_digests_done_encode(&done, &w);
    (void)link_end(link, MESSAGE_DIGESTS_DONE, &w);
}

void reconcile_on_digests_done(struct node *node, uint32_t member,
                               const struct message_digests_done *m) {
    struct reconcile *rec = &node->reconcile;
    if (rec->state != RECONCILE_DIGESTS || member != rec->peer || m->id != rec->id) return;
    if (m->differ.size != STRETCH_SLOTS / 8) return;
    memcpy(rec->differ + rec->slot / 8, m->differ.data, m->differ.size);
    rec->slot += STRETCH_SLOTS;
    if (rec->slot < SLOT_COUNT) {
        if (!ask_digests(node)) abandon(node);
        return;
    }
    for (uint32_t i = 0; i < SLOT_COUNT; i++) node->stats.slots_behind += bit(rec->differ, i);
    rec->slot = 0;
    rec->after_size = 0;
    rec->state = RECONCILE_COMPARE;
    compare_on(node);
}

// Comparing a slot, as the one who asks.

static bool list_key(struct store_scan *scan, struct slice key, struct slice record,
                     bool is_durable) {
    struct listing *l = CONTAINER_OF(scan, struct listing, scan);
    if (l->count == PART_KEYS_MAX || l->entries.capacity - l->entries.size < 12 + key.size) {
        l->is_cut = true;
        return false;
    }
    if (!is_durable) return true;
    write_u64(&l->entries, record_digest(key, record));
    write_sized(&l->entries, key);
    l->count++;
    return true;
}

static bool send_listing(struct node *node) {
    struct reconcile *rec = &node->reconcile;
    struct link *link = peer_link(node, rec->peer);
    if (link == NULL || rec->listing.scan.status != ST_OK) return false;
    const struct message_compare m = {
        .id = rec->id,
        .keyspace = rec->keyspace,
        .slot = (uint16_t)rec->slot,
        .is_last = !rec->listing.is_cut,
        .after = {rec->after, rec->after_size},
        .entries = writer_bytes(&rec->listing.entries),
    };
    struct writer w = link_begin(link, 64 + (uint32_t)(m.after.size + m.entries.size));
    message_compare_encode(&m, &w);
    return link_end(link, MESSAGE_COMPARE, &w);
}

static void on_listed(struct store_scan *scan) {
    struct node *node = CONTAINER_OF(scan, struct node, reconcile.listing.scan);
    struct reconcile *rec = &node->reconcile;
    rec->listing.is_under_way = false;
    bool is_wanted = rec->state == RECONCILE_COMPARE && rec->listing.id == rec->id;
    if (is_wanted && !send_listing(node)) abandon(node);
}

// Lists the next part and sends it, now or when the store has come to it.
static void ask_compare(struct node *node) {
    struct reconcile *rec = &node->reconcile;
    struct listing *l = &rec->listing;
    *l = (struct listing){.id = ++rec->id, .is_under_way = true};
    l->entries = writer_to(rec->listed, LISTED_MAX);
    l->scan = (struct store_scan){
        .visit = list_key,
        .done = on_listed,
        .partition = {rec->keyspace, (uint16_t)rec->slot},
        .after = {rec->after, rec->after_size},
    };
    pause(node, QUESTION_MAX_NS);
    if (store_each(node->store, &l->scan)) on_listed(&l->scan);
}

// After the last keyspace the peer is finished.
static void finish_keyspace(struct node *node) {
    struct reconcile *rec = &node->reconcile;
    if (!take_keyspace(node, rec->place + 1)) {
        finish_peer(node);
        return;
    }
    rec->state = RECONCILE_DIGESTS;
    if (!ask_digests(node)) abandon(node);
}

// Goes on with the slot under way, or the next that differs; after the last with the next keyspace.
static void compare_on(struct node *node) {
    struct reconcile *rec = &node->reconcile;
    while (rec->slot < SLOT_COUNT && !bit(rec->differ, rec->slot)) rec->slot++;
    bool is_through = rec->slot == SLOT_COUNT;
    if (is_through && rec->merging == 0) {
        finish_keyspace(node);
    } else if (is_through || rec->merging >= MERGING_MAX || rec->listing.is_under_way) {
        rec->is_pausing = true;
        pause(node, PAUSE_NS);
    } else {
        ask_compare(node);
    }
}

static void on_merged(struct replica_job *job) {
    struct node *node = job->node;
    struct reconcile *rec = &node->reconcile;
    must(rec->merging > 0);
    rec->merging--;
    // What has no place here any more, or cannot be, is not there for us: it would be no other the
    // next time.
    bool is_taken = job->write.status == ST_OK || job->write.status == ST_INVALID;
    if (!is_taken) rec->had_hitch = true;
}

static void on_offered(struct replica_job *job) {
    struct node *node = job->node;
    if (job->write.status == ST_OK) node->stats.reconciled++;
    if (job->write.status == ST_NOT_FOUND) job->write.status = ST_OK; // it was removed meanwhile
    on_merged(job);
}

// Sends what the peer lacks or holds differently. It merges that with its own, as we do with what
// it sends: both come to the same.
static void send_wanted(struct node *node, struct slice wanted) {
    struct reconcile *rec = &node->reconcile;
    struct link *link = peer_link(node, rec->peer);
    struct partition partition = {rec->keyspace, (uint16_t)rec->slot};
    struct reader r = reader_of(wanted);
    while (!r.failed && r.rest.size > 0) {
        struct slice key = read_sized(&r, KEY_SIZE_MAX);
        if (r.failed || key.size == 0) break;
        rec->merging++;
        if (link != NULL && replica_offer(node, link, partition, key, on_offered)) continue;
        rec->merging--;
        rec->had_hitch = true;
    }
}

static void merge_records(struct node *node, struct slice records) {
    struct reconcile *rec = &node->reconcile;
    struct partition partition = {rec->keyspace, (uint16_t)rec->slot};
    struct reader r = reader_of(records);
    while (!r.failed && r.rest.size > 0) {
        struct slice key = read_sized(&r, KEY_SIZE_MAX);
        struct slice record = read_sized(&r, node->record_max);
        bool fits = !r.failed && key.size > 0 && slot_of(key) == rec->slot;
        if (fits && replica_merge(node, partition, key, record, on_merged, 0)) {
            rec->merging++;
            rec->moved++;
            node->stats.reconciled++;
        } else {
            rec->had_hitch = true;
        }
    }
}

// Where the next question begins. A part without progress waits for a disk and is asked for again;
// not for ever.
static void advance(struct reconcile *rec, const struct message_compare_done *m) {
    bool is_stuck = !m->is_last && m->covered.size == 0;
    if (is_stuck && ++rec->stuck < STUCK_MAX) {
        rec->moved = MOVED_MAX;
        return;
    }
    rec->stuck = 0;
    rec->had_hitch |= is_stuck;
    if (m->is_last || is_stuck) {
        rec->slot++;
        rec->after_size = 0;
    } else {
        memcpy(rec->after, m->covered.data, m->covered.size);
        rec->after_size = (uint32_t)m->covered.size;
    }
}

void reconcile_on_compare_done(struct node *node, uint32_t member,
                               const struct message_compare_done *m) {
    struct reconcile *rec = &node->reconcile;
    bool is_ours = rec->state == RECONCILE_COMPARE && member == rec->peer && m->id == rec->id;
    if (!is_ours || rec->is_pausing) return;
    send_wanted(node, m->wanted);
    merge_records(node, m->records);
    rec->moved += 1 + (uint32_t)(m->wanted.size / 32);
    advance(rec, m);
    if (rec->moved < MOVED_MAX && rec->merging < MERGING_MAX) {
        compare_on(node);
        return;
    }
    rec->moved = 0;
    rec->is_pausing = true;
    pause(node, PAUSE_NS);
}

// Comparing a slot, as the one who is asked.

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
        if (c->records.size >= PART_SIZE_MAX || room < 8 + key.size + record.size) {
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
        .covered = {c->covered, c->covered_size},
        .wanted = writer_bytes(&c->wanted),
        .records = writer_bytes(&c->records),
    };
    struct writer w = link_begin(
        c->link, 64 + (uint32_t)(done.covered.size + done.wanted.size + done.records.size));
    message_compare_done_encode(&done, &w);
    (void)link_end(c->link, MESSAGE_COMPARE_DONE, &w);
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
    node->reconcile.comparing--;
    buffer_give(node, (uint8_t *)c);
}

void reconcile_on_compare(struct node *node, struct link *link, const struct message_compare *m) {
    if (node->state != NODE_SERVING || m->slot >= SLOT_COUNT) return;
    if (m->entries.size > LISTED_MAX || !share(node, m->keyspace, m->slot, link->peer)) return;
    if (m->after.size > KEY_SIZE_MAX) return;
    size_t asked = m->entries.size + m->after.size;
    size_t wanted_max = m->entries.size + 1;
    size_t records_max = PART_SIZE_MAX + KEY_SIZE_MAX + node->record_max + 8;
    struct comparison *c = (void *)buffer_take(node, sizeof(*c) + asked + wanted_max + records_max);
    if (c == NULL) return;
    uint8_t *after = c->bytes + m->entries.size;
    if (m->entries.size > 0) memcpy(c->bytes, m->entries.data, m->entries.size);
    if (m->after.size > 0) memcpy(after, m->after.data, m->after.size);
    c->node = node;
    c->link = link;
    c->link_life = link->life;
    c->id = m->id;
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
    node->reconcile.comparing++;
    if (store_each(node->store, &c->scan)) on_compared(&c->scan);
}

// Driving it.

static void on_step(struct timer *timer) {
    struct node *node = CONTAINER_OF(timer, struct node, reconcile.step);
    struct reconcile *rec = &node->reconcile;
    switch (rec->state) {
    case RECONCILE_IDLE:
        begin_next_peer(node);
        return;
    case RECONCILE_COMPARE:
        if (rec->is_pausing) {
            rec->is_pausing = false;
            compare_on(node);
            return;
        }
        abandon(node); // no answer
        return;
    case RECONCILE_DIGESTS:
        abandon(node);
        return;
    }
    unreachable();
}

static void on_round(struct timer *timer) {
    struct node *node = CONTAINER_OF(timer, struct node, reconcile.round);
    struct reconcile *rec = &node->reconcile;
    timer_arm(&node->timers, timer, node->env->now + node->options.reconcile_ns);
    for (uint32_t i = 0; i < node->map.member_count; i++) {
        if (is_ours_to_start(node, i)) set_bit(rec->due, i);
    }
    if (rec->state == RECONCILE_IDLE) pause(node, PAUSE_NS);
}

void reconcile_start(struct node *node) {
    node->reconcile.losses = store_losses(node->store);
    on_round(&node->reconcile.round); // links may be open already
    end_mending_if_through(node);
}

void reconcile_on_map(struct node *node) {
    if (node->state == NODE_SERVING) on_round(&node->reconcile.round);
}

void reconcile_with_all(struct node *node) {
    memset(node->reconcile.through, 0, sizeof(node->reconcile.through));
    node->reconcile.losses = store_losses(node->store);
    node->reconcile.had_hitch = true; // what is being compared was from before
    on_round(&node->reconcile.round);
}

void reconcile_stop(struct node *node) {
    timer_disarm(&node->timers, &node->reconcile.step);
    timer_disarm(&node->timers, &node->reconcile.round);
}

void reconcile_on_open(struct node *node, uint32_t member) {
    struct reconcile *rec = &node->reconcile;
    if (node->state != NODE_SERVING || !is_ours_to_start(node, member)) return;
    set_bit(rec->due, member);
    if (rec->state == RECONCILE_IDLE) pause(node, PAUSE_NS);
}

void reconcile_on_lost(struct node *node, uint32_t member) {
    struct reconcile *rec = &node->reconcile;
    if (rec->state != RECONCILE_IDLE && rec->peer == member) abandon(node);
}

bool reconcile_is_scanning(const struct node *node) {
    return node->reconcile.listing.is_under_way || node->reconcile.comparing > 0;
}
