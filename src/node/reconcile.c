// SPDX-License-Identifier: Apache-2.0
#include "node/reconcile.h"

#include "base/bitmap.h"
#include "node/compare.h"
#include "node/genesis.h"
#include "node/lacking.h"
#include "node/peers.h"
#include "node/purge_answer.h"
#include "node/roots.h"

#define PAUSE_NS (1 * NS_PER_MS)
#define STUCK_PAUSE_NS (10 * NS_PER_MS)
#define HITCH_PAUSE_NS (500 * NS_PER_MS)
#define QUESTION_MAX_NS (5 * NS_PER_SECOND)
#define REST_LEAST_NS (1 * NS_PER_SECOND)

enum {
    PART_KEYS_MAX = 512,
    LEAVES_FROM = 32,  // keys of a slot from which on its leaves are looked at first
    MOVED_MAX = 64,    // slots asked about and records moved between two pauses
    VISIT_MAX = 16384, // keys that differ, then another peer has its turn
    MERGING_MAX = 64,  // records not yet durable here: then it pauses, too
    STUCK_MAX = 50,
    MENDING_DEBT = 25, // of PACE_DEBT_MOST
    ALL_LEAVES = (1 << STORE_LEAVES) - 1,
};

static void on_step(struct timer *timer);
static void go_on(struct node *node);
static void take_groups(struct node *node);
static void compare_with_all_if_mending(struct node *node);

size_t reconcile_memory_size(uint32_t members_max) {
    return SLOT_COUNT / 8 + KEY_SIZE_MAX + COMPARE_LISTED_MAX +
           members_max * sizeof(struct reconcile_peer) + lacking_memory_size() + 256;
}

void reconcile_init(struct node *node, struct arena *arena) {
    struct reconcile *rec = &node->reconcile;
    rec->peers = ARENA_ARRAY(arena, struct reconcile_peer, node->options.members_max);
    rec->differ = ARENA_ARRAY(arena, uint8_t, SLOT_COUNT / 8);
    rec->after = ARENA_ARRAY(arena, uint8_t, KEY_SIZE_MAX);
    rec->listed = ARENA_ARRAY(arena, uint8_t, COMPARE_LISTED_MAX);
    lacking_init(node, arena);
    rec->step.fired = on_step;
}

static void pause(struct node *node, uint64_t ns) {
    if (node->state == NODE_STOPPED) return;
    timer_arm(&node->timers, &node->reconcile.step, node->env->now + ns);
}

static bool is_ours_to_start(const struct node *node, uint32_t member) {
    return member != node->self && (node->is_mending || node->self < member);
}

static void begin_when_idle(struct node *node, uint32_t member) {
    bitmap_add(node->reconcile.due, member);
    if (node->reconcile.state == RECONCILE_IDLE) pause(node, PAUSE_NS);
}

// Beginning and ending with a peer.

static bool is_forced(const struct reconcile *rec) {
    return bitmap_has(rec->repair.peers, rec->peer);
}

// It is begun anew after a while: by itself where somebody waits for the end, else if roots differ.
static void abandon(struct node *node) {
    struct reconcile *rec = &node->reconcile;
    if (node->is_mending || is_forced(rec)) bitmap_add(rec->due, rec->peer);
    rec->peers[rec->peer].rest_until = node->env->now + REST_LEAST_NS;
    rec->state = RECONCILE_IDLE;
    rec->is_pausing = false;
    pause(node, HITCH_PAUSE_NS);
}

static void begin_noting(struct node *node) {
    node->reconcile.is_noting = node->is_mending && purge_is_in_doubt(node);
    if (node->reconcile.is_noting) lacking_clear(node);
}

static void go_through_with_all(struct node *node) {
    memset(node->reconcile.through, 0, sizeof(node->reconcile.through));
    node->reconcile.losses = store_losses(node->store);
    node->reconcile.had_hitch = true; // what is being compared was from before
    compare_with_all_if_mending(node);
}

// Mending is over when everything was compared with everybody, and nothing was lost meanwhile.
// Where this member was behind it has only given way until then, also in what some other one does
// hold: so it compares once more.
static void end_mending_if_through(struct node *node) {
    struct reconcile *rec = &node->reconcile;
    if (!node->is_mending) return;
    for (uint32_t i = 0; i < node->map.member_count; i++) {
        if (i != node->self && !bitmap_has(rec->through, i)) return;
    }
    if (store_losses(node->store) != rec->losses) {
        reconcile_with_all(node);
        return;
    }
    bool goes_on = purge_is_behind(node) && node->map.member_count > 1;
    if (!rec->is_noting && purge_is_behind(node)) purge_end_behind(node);
    rec->is_noting = false;
    if (goes_on) {
        go_through_with_all(node);
    } else {
        genesis_on_mended(node);
    }
}

static void note_equal(struct reconcile_peer *p, uint64_t as_of) {
    if (as_of > p->equal) p->equal = as_of;
}

// All that was different when it began is the same now. What was written meanwhile may not have
// come everywhere yet: roots that still differ are no reason to begin anew at once.
static void finish_peer(struct node *node) {
    struct reconcile *rec = &node->reconcile;
    if (rec->had_hitch) {
        abandon(node);
        return;
    }
    struct reconcile_peer *p = &rec->peers[rec->peer];
    rec->state = RECONCILE_IDLE;
    if (is_forced(rec)) {
        bitmap_remove(rec->repair.peers, rec->peer);
        bitmap_add(rec->due, rec->peer); // for the other slots
    } else {
        if (!purge_is_behind(node)) note_equal(p, rec->began);
        p->rest_until = node->env->now + p->rest_ns;
        p->rest_ns *= 2;
        if (p->rest_ns > node->options.reconcile_ns) p->rest_ns = node->options.reconcile_ns;
        bitmap_add(rec->through, rec->peer);
        end_mending_if_through(node);
    }
    pause(node, PAUSE_NS);
}

// Enough for now: it goes on with that group when the others had their turn.
static void leave_peer(struct node *node, uint32_t next_group) {
    struct reconcile *rec = &node->reconcile;
    rec->peers[rec->peer].next_group = next_group % SLOT_GROUPS;
    bitmap_add(rec->due, rec->peer);
    rec->state = RECONCILE_IDLE;
    pause(node, PAUSE_NS);
}

// Groups: which differ?

static bool ask_branches(struct node *node) {
    struct reconcile *rec = &node->reconcile;
    struct link *link = peer_link(node, rec->peer);
    if (link == NULL) return false;
    const uint64_t *branches = roots_branches(node, rec->peer);
    uint8_t bytes[8 * SLOT_GROUPS];
    struct writer w = writer_to(bytes, sizeof(bytes));
    for (uint32_t i = 0; i < SLOT_GROUPS; i++) write_u64(&w, branches[i]);
    const struct message_branches m = {.id = ++rec->id, .branches = writer_bytes(&w)};
    rec->state = RECONCILE_BRANCHES;
    pause(node, QUESTION_MAX_NS);
    struct writer frame = link_begin(link, 64 + sizeof(bytes));
    message_branches_encode(&m, &frame);
    return compare_send(node, link, MESSAGE_BRANCHES, &frame);
}

void reconcile_on_branches_done(struct node *node, uint32_t member,
                                const struct message_branches_done *m) {
    struct reconcile *rec = &node->reconcile;
    if (rec->state != RECONCILE_BRANCHES || member != rec->peer || m->id != rec->id) return;
    if (m->differ.size != sizeof(rec->groups)) return;
    memcpy(rec->groups, m->differ.data, sizeof(rec->groups));
    take_groups(node);
}

static void begin_with(struct node *node, uint32_t member) {
    struct reconcile *rec = &node->reconcile;
    bitmap_remove(rec->due, member);
    rec->peer = member;
    rec->began = node->env->now;
    rec->stuck = 0;
    rec->moved = 0;
    rec->found = 0;
    rec->is_pausing = false;
    rec->had_hitch = false;
    memset(rec->batch, 0, sizeof(rec->batch));
    rec->repair.done = rec->repair.done_before;
    node->stats.slots_behind = 0;
    if (!is_forced(rec)) {
        if (!ask_branches(node)) abandon(node);
        return;
    }
    memset(rec->groups, 0, sizeof(rec->groups));
    for (uint32_t slot = rec->repair.first; slot <= rec->repair.last; slot++) {
        bool is_done = bitmap_has(rec->peers[member].repaired, slot / GROUP_SLOTS);
        if (!is_done) bitmap_add(rec->groups, slot / GROUP_SLOTS);
    }
    take_groups(node);
}

static void begin_next_peer(struct node *node) {
    struct reconcile *rec = &node->reconcile;
    if (store_is_recounting(node->store)) { // what was lost still counts as there
        pause(node, HITCH_PAUSE_NS);
        return;
    }
    if (rec->merging > 0) { // leftovers of a comparison given up
        pause(node, PAUSE_NS);
        return;
    }
    for (uint32_t i = 0; i < node->map.member_count; i++) {
        uint32_t member = (rec->peer + 1 + i) % node->map.member_count;
        if (!bitmap_has(rec->due, member)) continue;
        if (peer_is_up(node, member)) {
            begin_with(node, member);
            return;
        }
        pause(node, HITCH_PAUSE_NS);
    }
}

// Slots of some groups, keyspace by keyspace: which differ?

static bool ask_digests(struct node *node) {
    struct reconcile *rec = &node->reconcile;
    struct link *link = peer_link(node, rec->peer);
    if (link == NULL) return false;
    uint8_t bytes[8 * COMPARE_GROUPS_MAX * GROUP_SLOTS];
    struct writer digests = writer_to(bytes, sizeof(bytes));
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) {
        if (!bitmap_has(rec->batch, slot / GROUP_SLOTS)) continue;
        struct partition partition = {rec->keyspace, (uint16_t)slot};
        bool counts = roots_share(node, rec->keyspace, slot, rec->peer);
        write_u64(&digests, counts ? store_partition_of(node->store, partition).digest : 0);
    }
    const struct message_digests m = {
        .id = ++rec->id,
        .keyspace = rec->keyspace,
        .groups = {rec->batch, sizeof(rec->batch)},
        .digests = writer_bytes(&digests),
    };
    rec->state = RECONCILE_DIGESTS;
    pause(node, QUESTION_MAX_NS);
    struct writer w = link_begin(link, 64 + sizeof(rec->batch) + sizeof(bytes));
    message_digests_encode(&m, &w);
    return compare_send(node, link, MESSAGE_DIGESTS, &w);
}

static void begin_slots(struct node *node) {
    struct reconcile *rec = &node->reconcile;
    rec->state = RECONCILE_KEYS;
    rec->slot = 0;
    rec->after_size = 0;
    rec->leaves = 0;
    rec->part_at = node->env->now;
    go_on(node);
}

void reconcile_on_digests_done(struct node *node, uint32_t member,
                               const struct message_digests_done *m) {
    struct reconcile *rec = &node->reconcile;
    if (rec->state != RECONCILE_DIGESTS || member != rec->peer || m->id != rec->id) return;
    uint32_t groups = 0;
    for (uint32_t i = 0; i < SLOT_GROUPS; i++) groups += bitmap_has(rec->batch, i);
    if (m->differ.size != groups * GROUP_SLOTS / 8) return;
    uint32_t count = 0;
    memset(rec->differ, 0, SLOT_COUNT / 8);
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) {
        if (!bitmap_has(rec->batch, slot / GROUP_SLOTS)) continue;
        bool differs = bitmap_has(m->differ.data, count);
        if (differs) bitmap_add(rec->differ, slot);
        node->stats.slots_behind += differs;
        count++;
    }
    begin_slots(node);
}

// Keys, whatever the digests say.
static void force_slots(struct node *node) {
    struct reconcile *rec = &node->reconcile;
    memset(rec->differ, 0, SLOT_COUNT / 8);
    for (uint32_t slot = rec->repair.first; slot <= rec->repair.last; slot++) {
        bool is_due = bitmap_has(rec->batch, slot / GROUP_SLOTS) &&
                      roots_share(node, rec->keyspace, slot, rec->peer);
        if (is_due) bitmap_add(rec->differ, slot);
    }
    begin_slots(node);
}

// The next keyspace from that place on or, after the last, the next groups.
static void take_keyspace(struct node *node, uint32_t place) {
    struct reconcile *rec = &node->reconcile;
    const struct keyspace *table = node->map.keyspaces;
    while (place < KEYSPACES_MAX && table[place].state == KEYSPACE_FREE) place++;
    if (place == KEYSPACES_MAX) {
        take_groups(node);
        return;
    }
    rec->place = place;
    rec->keyspace = table[place].number;
    if (is_forced(rec)) {
        force_slots(node);
    } else if (!ask_digests(node)) {
        abandon(node);
    }
}

// What was repaired stays so, however often it has to begin anew.
static void note_repaired(struct reconcile *rec) {
    uint8_t *repaired = rec->peers[rec->peer].repaired;
    for (uint32_t i = 0; i < SLOT_GROUPS; i++) {
        if (bitmap_has(rec->batch, i)) bitmap_add(repaired, i);
    }
    rec->repair.done_before = rec->repair.done;
}

static bool is_any_in(const uint8_t *groups) {
    uint32_t i = 0;
    while (i < SLOT_GROUPS && !bitmap_has(groups, i)) i++;
    return i < SLOT_GROUPS;
}

// The next groups that differ or, after the last, the next peer. It begins with those that were
// left the last time: many differences in one place keep no other from its turn.
static void take_groups(struct node *node) {
    struct reconcile *rec = &node->reconcile;
    struct reconcile_peer *p = &rec->peers[rec->peer];
    bool has_repaired = is_forced(rec) && is_any_in(rec->batch);
    if (has_repaired && rec->had_hitch) {
        abandon(node);
        return;
    }
    if (has_repaired) note_repaired(rec);
    memset(rec->batch, 0, sizeof(rec->batch));
    if (!is_any_in(rec->groups)) {
        finish_peer(node);
        return;
    }
    if (has_repaired) {
        leave_peer(node, p->next_group);
        return;
    }
    uint32_t first = p->next_group;
    uint32_t count = 0;
    for (uint32_t i = 0; i < SLOT_GROUPS && count < COMPARE_GROUPS_MAX; i++) {
        uint32_t group = (first + i) % SLOT_GROUPS;
        if (!bitmap_has(rec->groups, group)) continue;
        bitmap_remove(rec->groups, group);
        bitmap_add(rec->batch, group);
        p->next_group = (group + 1) % SLOT_GROUPS;
        count++;
    }
    take_keyspace(node, KEYSPACE_DEFAULT);
}

// Leaves of a slot with many keys: which differ?

static bool ask_leaves(struct node *node) {
    struct reconcile *rec = &node->reconcile;
    struct link *link = peer_link(node, rec->peer);
    if (link == NULL) return false;
    struct partition partition = {rec->keyspace, (uint16_t)rec->slot};
    const struct store_partition own = store_partition_of(node->store, partition);
    uint8_t bytes[8 * STORE_LEAVES];
    struct writer leaves = writer_to(bytes, sizeof(bytes));
    for (uint32_t i = 0; i < STORE_LEAVES; i++) write_u64(&leaves, own.leaves[i]);
    const struct message_leaves m = {
        .id = ++rec->id,
        .keyspace = rec->keyspace,
        .slot = (uint16_t)rec->slot,
        .leaves = writer_bytes(&leaves),
    };
    rec->state = RECONCILE_LEAVES;
    pause(node, QUESTION_MAX_NS);
    struct writer w = link_begin(link, 64 + sizeof(bytes));
    message_leaves_encode(&m, &w);
    return compare_send(node, link, MESSAGE_LEAVES, &w);
}

static void finish_slot(struct reconcile *rec) {
    rec->slot++;
    rec->after_size = 0;
    rec->leaves = 0;
    rec->repair.done += is_forced(rec);
}

void reconcile_on_leaves_done(struct node *node, uint32_t member,
                              const struct message_leaves_done *m) {
    struct reconcile *rec = &node->reconcile;
    if (rec->state != RECONCILE_LEAVES || member != rec->peer || m->id != rec->id) return;
    rec->state = RECONCILE_KEYS;
    rec->leaves = m->differ;
    if (m->differ == 0) finish_slot(rec); // it has come meanwhile
    go_on(node);
}

// Keys of a slot: which differ?

static bool list_key(struct store_scan *scan, struct slice key, struct slice record,
                     bool is_durable) {
    struct listing *l = CONTAINER_OF(scan, struct listing, scan);
    if ((l->leaves >> store_leaf_of(key) & 1) == 0) return true;
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
        .round = purge_round(node, (uint16_t)rec->slot),
        .leaves = rec->leaves,
        .is_last = !rec->listing.is_cut,
        .after = {rec->after, rec->after_size},
        .entries = writer_bytes(&rec->listing.entries),
    };
    pause(node, QUESTION_MAX_NS);
    struct writer w = link_begin(link, 64 + (uint32_t)(m.after.size + m.entries.size));
    message_compare_encode(&m, &w);
    return compare_send(node, link, MESSAGE_COMPARE, &w);
}

static void on_listed(struct store_scan *scan) {
    struct node *node = CONTAINER_OF(scan, struct node, reconcile.listing.scan);
    struct reconcile *rec = &node->reconcile;
    rec->listing.is_under_way = false;
    bool is_wanted = rec->state == RECONCILE_KEYS && rec->listing.id == rec->id;
    if (is_wanted && !send_listing(node)) abandon(node);
}

// Lists the next part and sends it, now or when the store has come to it.
static void ask_keys(struct node *node) {
    struct reconcile *rec = &node->reconcile;
    struct listing *l = &rec->listing;
    *l = (struct listing){.id = ++rec->id, .leaves = rec->leaves, .is_under_way = true};
    l->entries = writer_to(rec->listed, COMPARE_LISTED_MAX);
    l->scan = (struct store_scan){
        .visit = list_key,
        .done = on_listed,
        .partition = {rec->keyspace, (uint16_t)rec->slot},
        .after = {rec->after, rec->after_size},
    };
    pause(node, QUESTION_MAX_NS);
    if (store_each(node->store, &l->scan)) on_listed(&l->scan);
}

static void begin_slot(struct node *node) {
    struct reconcile *rec = &node->reconcile;
    struct partition partition = {rec->keyspace, (uint16_t)rec->slot};
    bool has_many = store_partition_of(node->store, partition).key_count >= LEAVES_FROM;
    if (rec->leaves == 0 && has_many && !is_forced(rec)) {
        if (!ask_leaves(node)) abandon(node);
        return;
    }
    if (rec->leaves == 0) rec->leaves = ALL_LEAVES;
    ask_keys(node);
}

// Goes on with the slot under way, or the next that differs; after the last with the next keyspace.
static void go_on(struct node *node) {
    struct reconcile *rec = &node->reconcile;
    while (rec->slot < SLOT_COUNT && !bitmap_has(rec->differ, rec->slot)) rec->slot++;
    bool is_through = rec->slot == SLOT_COUNT;
    bool has_enough = rec->found >= VISIT_MAX && !is_forced(rec) && rec->after_size == 0;
    bool is_over = is_through || has_enough;
    if (is_over && rec->merging == 0) {
        if (is_through) {
            take_keyspace(node, rec->place + 1);
        } else {
            leave_peer(node, rec->slot / GROUP_SLOTS);
        }
    } else if (is_over || rec->merging >= MERGING_MAX || rec->listing.is_under_way) {
        rec->is_pausing = true;
        pause(node, PAUSE_NS);
    } else {
        begin_slot(node);
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

static bool take(struct node *node, const struct told *told) {
    struct reconcile *rec = &node->reconcile;
    if (!replica_merge(node, told, on_merged, 0)) return false;
    rec->merging++;
    rec->moved++;
    rec->found++;
    return true;
}

static bool is_named(struct slice wanted, struct slice key) {
    struct reader r = reader_of(wanted);
    while (!r.failed && r.rest.size > 0) {
        if (slice_equal(read_sized(&r, KEY_SIZE_MAX), key)) return !r.failed;
    }
    return false;
}

static bool has_record_of(struct slice records, struct slice key) {
    struct reader r = reader_of(records);
    while (!r.failed && r.rest.size > 0) {
        struct slice other = read_sized(&r, KEY_SIZE_MAX);
        (void)read_sized(&r, SIZE_MAX);
        if (!r.failed && slice_equal(other, key)) return true;
    }
    return false;
}

// Whether this member, which is behind, gives way in what the peer does not know of the key. Where
// it has forgotten rounds it does; where its data was damaged only if nobody else holds the same:
// two that are damaged at once do not both drop what they hold.
static bool is_doomed(const struct node *node, struct slice key) {
    const struct reconcile *rec = &node->reconcile;
    struct partition partition = {rec->keyspace, (uint16_t)rec->slot};
    return purge_fence(node, partition.slot)->has_forgotten ||
           lacking_everywhere(node, partition, key);
}

// Of a member that is behind nobody takes anything: what the peer lacks it may be rid of.
static void give_way(struct node *node, const struct message_compare_done *m) {
    struct reconcile *rec = &node->reconcile;
    struct told nothing = {.partition = {rec->keyspace, (uint16_t)rec->slot}, .round = UINT32_MAX};
    struct reader r = reader_of(m->wanted);
    while (!r.failed && r.rest.size > 0) {
        nothing.key = read_sized(&r, KEY_SIZE_MAX);
        if (r.failed || nothing.key.size == 0) break;
        if (has_record_of(m->records, nothing.key) || !is_doomed(node, nothing.key)) continue;
        if (!take(node, &nothing)) rec->had_hitch = true;
    }
}

static void note_lacking(struct node *node, struct slice wanted) {
    struct reconcile *rec = &node->reconcile;
    struct partition partition = {rec->keyspace, (uint16_t)rec->slot};
    struct reader r = reader_of(wanted);
    while (!r.failed && r.rest.size > 0) {
        struct slice key = read_sized(&r, KEY_SIZE_MAX);
        if (!r.failed) lacking_note(node, rec->peer, partition, key);
    }
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
        rec->found++;
        if (link != NULL && replica_offer(node, link, partition, key, on_offered)) continue;
        rec->merging--;
        rec->had_hitch = true;
    }
}

static void merge_records(struct node *node, const struct message_compare_done *m) {
    struct reconcile *rec = &node->reconcile;
    struct told told = {
        .partition = {rec->keyspace, (uint16_t)rec->slot},
        .round = m->round,
        .is_in_doubt = m->is_behind,
    };
    bool is_behind = purge_fence(node, told.partition.slot)->is_behind;
    struct reader r = reader_of(m->records);
    while (!r.failed && r.rest.size > 0) {
        told.key = read_sized(&r, KEY_SIZE_MAX);
        told.record = read_sized(&r, node->record_max);
        bool fits = !r.failed && told.key.size > 0 && slot_of(told.key) == rec->slot;
        // What is compared with others must be what it was.
        if (is_behind && rec->is_noting && is_named(m->wanted, told.key)) continue;
        told.is_kept = is_behind && !is_doomed(node, told.key);
        if (fits && told.record.size > 0 && take(node, &told)) {
            node->stats.reconciled++;
            node->stats.reconciled_bytes += told.key.size + told.record.size;
        } else {
            rec->had_hitch = true;
        }
    }
}

// While this member is behind it gives way to who is whole, and leaves alone who mends, too: that
// one may lack what only this one has. Before it does it has noted what all of them lack.
static void exchange(struct node *node, const struct message_compare_done *m) {
    const struct fence *fence = purge_fence(node, (uint16_t)node->reconcile.slot);
    bool is_whole = m->round > 0 || fence->round == 0;
    bool is_noting = fence->is_behind && node->reconcile.is_noting;
    if (is_noting) note_lacking(node, m->wanted);
    if (fence->is_behind && !is_whole) return;
    if (fence->is_behind) {
        if (!is_noting) give_way(node, m);
    } else {
        send_wanted(node, m->wanted);
    }
    merge_records(node, m);
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
        finish_slot(rec);
    } else {
        memcpy(rec->after, m->covered.data, m->covered.size);
        rec->after_size = (uint32_t)m->covered.size;
    }
}

// While this member mends it has no vote: that should not take for ever.
static uint64_t debt(const struct node *node) {
    return node->is_mending ? MENDING_DEBT : 0;
}

void reconcile_on_compare_done(struct node *node, uint32_t member,
                               const struct message_compare_done *m) {
    struct reconcile *rec = &node->reconcile;
    bool is_ours = rec->state == RECONCILE_KEYS && member == rec->peer && m->id == rec->id;
    if (!is_ours || rec->is_pausing || rec->listing.is_under_way) return;
    struct slice after = {rec->after, rec->after_size};
    bool goes_back = m->covered.size > 0 && slice_compare(m->covered, after) <= 0;
    if (goes_back && !m->is_last) return; // that would never end
    purge_hear(node, member, (uint16_t)rec->slot, m->round);
    exchange(node, m);
    rec->moved += 1 + (uint32_t)(m->wanted.size / 32);
    advance(rec, m);
    bool has_enough = rec->moved >= MOVED_MAX || rec->merging >= MERGING_MAX;
    uint64_t ns = has_enough ? PAUSE_NS : 0;
    if (has_enough && rec->stuck > 0) ns = STUCK_PAUSE_NS;
    uint64_t took = node->env->now - rec->part_at + ns;
    ns += pace_rest(node->pace, PACE_REPAIR, node->env->now, took, debt(node));
    rec->part_at = node->env->now + ns;
    if (ns == 0) {
        go_on(node);
        return;
    }
    rec->moved = 0;
    rec->is_pausing = true;
    pause(node, ns);
}

// Driving it.

static void on_step(struct timer *timer) {
    struct node *node = CONTAINER_OF(timer, struct node, reconcile.step);
    struct reconcile *rec = &node->reconcile;
    switch (rec->state) {
    case RECONCILE_IDLE:
        begin_next_peer(node);
        return;
    case RECONCILE_KEYS:
        if (rec->is_pausing) {
            rec->is_pausing = false;
            go_on(node);
            return;
        }
        abandon(node); // no answer
        return;
    case RECONCILE_BRANCHES:
    case RECONCILE_DIGESTS:
    case RECONCILE_LEAVES:
        abandon(node);
        return;
    }
    unreachable();
}

// A member that mends does not wait for roots to tell that something differs.
static void compare_with_all_if_mending(struct node *node) {
    for (uint32_t i = 0; i < node->map.member_count && node->is_mending; i++) {
        if (i != node->self) begin_when_idle(node, i);
    }
}

void reconcile_start(struct node *node) {
    struct reconcile *rec = &node->reconcile;
    roots_on_map(node);
    rec->losses = store_losses(node->store);
    if (node->is_mending) purge_doubt_all(node);
    begin_noting(node);
    for (uint32_t i = 0; i < node->options.members_max; i++) {
        rec->peers[i].equal = node->env->now;
        rec->peers[i].rest_ns = REST_LEAST_NS;
    }
    compare_with_all_if_mending(node);
    end_mending_if_through(node);
}

static void begin_anew(struct reconcile_peer *p) {
    p->rest_ns = REST_LEAST_NS;
    p->rest_until = 0;
}

void reconcile_on_map(struct node *node) {
    roots_on_map(node);
    for (uint32_t i = 0; i < node->map.member_count; i++) begin_anew(&node->reconcile.peers[i]);
    if (node->state == NODE_SERVING && node->is_mending) reconcile_with_all(node);
}

void reconcile_with_all(struct node *node) {
    begin_noting(node);
    go_through_with_all(node);
}

void reconcile_stop(struct node *node) {
    timer_disarm(&node->timers, &node->reconcile.step);
}

void reconcile_on_open(struct node *node, uint32_t member) {
    if (node->state != NODE_SERVING) return;
    begin_anew(&node->reconcile.peers[member]);
    if (node->is_mending) begin_when_idle(node, member);
}

void reconcile_on_lost(struct node *node, uint32_t member) {
    struct reconcile *rec = &node->reconcile;
    if (rec->state != RECONCILE_IDLE && rec->peer == member) abandon(node);
}

void reconcile_on_root(struct node *node, uint32_t member, uint64_t root) {
    struct reconcile_peer *p = &node->reconcile.peers[member];
    if (roots_with(node, member) == root) {
        // Each of both roots may be as old.
        note_equal(p, node->roots.added_up - ROOTS_AGE_NS);
        if (node->reconcile.peer == member) node->stats.slots_behind = 0;
        begin_anew(p);
    } else if (is_ours_to_start(node, member) && node->env->now >= p->rest_until) {
        begin_when_idle(node, member);
    }
}

bool reconcile_is_scanning(const struct node *node) {
    return node->reconcile.listing.is_under_way || node->comparing > 0;
}

// Repairs that somebody asked for.

void reconcile_repair(struct node *node, uint16_t first, uint16_t last) {
    struct reconcile *rec = &node->reconcile;
    if (rec->state != RECONCILE_IDLE) abandon(node);
    rec->repair = (struct reconcile_repair){.first = first, .last = last};
    for (uint32_t i = 0; i < node->map.member_count; i++) {
        memset(rec->peers[i].repaired, 0, sizeof(rec->peers[i].repaired));
        uint64_t shared = i == node->self ? 0 : roots_shared_count(node, first, last, i);
        if (shared == 0) continue;
        bitmap_add(rec->repair.peers, i);
        rec->repair.total += shared;
        begin_when_idle(node, i);
    }
}

uint64_t reconcile_equal_since(const struct node *node) {
    uint64_t oldest = node->env->now;
    for (uint32_t i = 0; i < node->map.member_count; i++) {
        bool is_shared = i != node->self && roots_share_any(node, i);
        uint64_t equal = node->reconcile.peers[i].equal;
        if (is_shared && equal < oldest) oldest = equal;
    }
    return oldest;
}
