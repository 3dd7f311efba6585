// SPDX-License-Identifier: Apache-2.0
#include "node/gossip.h"

#include "node/epoch.h"
#include "node/genesis.h"
#include "node/inquiry.h"
#include "node/peers.h"
#include "node/sight.h"

static uint8_t troubles_of(const struct node *node, const struct store_stats *stats) {
    uint32_t bits = 0;
    if (stats->is_full) bits |= MEMBER_IS_FULL;
    if (stats->is_failed) bits |= MEMBER_IS_FAILED;
    if (stats->was_damaged) bits |= MEMBER_IS_DAMAGED;
    if (node_hints(node).key_count > 0) bits |= MEMBER_HAS_HINTS;
    return (uint8_t)bits;
}

static void refresh_self(struct node *node) {
    struct member_entry *e = &node->members.entries[node->self];
    struct store_stats stats = store_stats(node->store);
    e->id = node->map.members[node->self].id;
    // A life that a crash could still take back is not shown: the next would be taken for older
    // data.
    bool is_durable = node->fact_written != FACT_START && (node->facts_wanted & FACT_START) == 0;
    if (is_durable) e->incarnation = node->incarnation;
    e->heartbeat++;
    // It goes before all others anyway.
    rumors_change(&node->rumors, node->self, node->self, gossip_reaches_all(node));
    e->storage = store_actor(node->store).storage;
    e->state = node_has_vote(node) ? MEMBER_SERVING : MEMBER_MENDING;
    e->troubles = troubles_of(node, &stats);
    e->key_count = stats.live_count;
    e->disk_size = stats.log_size + stats.table_size;
    e->memory_size = stats.memory_used;
    e->merged =
        stats.is_compacting ? (uint8_t)stats.compaction_percent : (uint8_t)MEMBER_MERGES_NOTHING;
    uint64_t now = node->env->now;
    if (now - node->load_since < NS_PER_SECOND) return;
    uint64_t ops = node->stats.reads + node->stats.writes;
    e->load = (uint32_t)((ops - node->ops_before) * NS_PER_SECOND / (now - node->load_since));
    node->ops_before = ops;
    node->load_since = now;
}

void gossip_on_map(struct node *node, uint32_t known) {
    if (known == 0) {
        rumors_begin(&node->rumors, node->members.count, node->self);
    } else {
        rumors_grow(&node->rumors, node->members.count);
    }
    inquiry_on_map(node);
}

// Somebody should answer soon.
static void expect_answer(struct node *node, struct link *link) {
    if (!link->is_dialer) return;
    if (link->asked == 0) link->asked = node_waking(node);
    if (!gossip_reaches_all(node)) inquiry_expect(node, link->peer, true);
}

static void send_news(struct node *node, struct link *link) {
    if (link == NULL || !link_is_open(link)) return;
    uint16_t rows[RUMORS_MAX];
    uint32_t count = 0;
    if (node->members.count > 0) {
        // Who has another map may not know whom a row is about, and who does not serve yet knows
        // nobody.
        const struct peer *peer = &node->peers[link->peer];
        bool is_kept = peer->epoch == node->map.epoch && peer->is_serving;
        count = rumors_pick(&node->rumors, link->peer, is_kept, rows);
    }
    uint8_t bytes[GOSSIP_SIZE_MAX];
    struct writer news = writer_to(bytes, sizeof(bytes));
    write_u32(&news, count);
    for (uint32_t i = 0; i < count; i++) {
        member_entry_encode(&node->members.entries[rows[i]], &news);
    }
    write_u64(&news, node_map_author(node));
    bool is_serving = node->state == NODE_SERVING;
    write_u8(&news, is_serving);
    write_u64(&news, is_serving ? roots_with(node, link->peer) : 0);
    inquiry_write_doubts(node, &news);
    // Who has stood still answers very many in one turn: no more room for each than it takes.
    struct writer w = link_begin(link, (uint32_t)news.size);
    write_bytes(&w, writer_bytes(&news));
    if (link_end(link, MESSAGE_GOSSIP, &w)) {
        expect_answer(node, link);
    } else {
        rumors_forget(&node->rumors, link->peer);
    }
}

void gossip_greet(struct node *node, struct link *link) {
    struct writer w = link_begin(link, 32);
    write_u32(&w, 0);
    write_u64(&w, node_map_author(node));
    write_u8(&w, false);
    write_u64(&w, 0);
    bool is_sent = link_end(link, MESSAGE_GOSSIP, &w);
    if (is_sent && !gossip_reaches_all(node)) expect_answer(node, link);
}

static void send_round(struct node *node) {
    if (gossip_reaches_all(node)) {
        for (uint32_t i = 0; i < node->peer_count; i++) send_news(node, peer_link(node, i));
        return;
    }
    for (uint32_t i = 0; i < GOSSIP_FANOUT; i++) {
        bool is_founded = node->members.count > 0;
        uint32_t peer = is_founded ? rumors_next_peer(&node->rumors, &node->rng)
                                   : rng_below(&node->rng, node->peer_count);
        send_news(node, peer_link(node, peer));
    }
}

static void on_round(struct timer *timer) {
    struct node *node = CONTAINER_OF(timer, struct node, gossip_timer);
    uint64_t next = node->env->now + node->options.gossip_ns;
    timer_arm(&node->timers, timer, next);
    sight_begin_round(node, next);
    inquiry_step(node);
    sight_log(node);
    peers_sweep(node);
    genesis_step(node);
    genesis_mend_if_damaged(node);
    epoch_step(node);
    if (node->state == NODE_SERVING) refresh_self(node);
    send_round(node);
    agreement_step(node);
}

void gossip_start(struct node *node) {
    node->load_since = node->env->now;
    node->sight.doubt = 1;
    node->gossip_timer.fired = on_round;
    on_round(&node->gossip_timer);
}

void gossip_stop(struct node *node) {
    timer_disarm(&node->timers, &node->gossip_timer);
    sight_end(node);
}

// What is told of this member: by a later life than this one, or in this one by another process,
// since it has more heartbeats than this one has given.
static bool is_of_another_life(const struct node *node, const struct member_entry *told) {
    if (told->incarnation != node->incarnation) return told->incarnation > node->incarnation;
    const struct member_entry *shown = &node->members.entries[node->self];
    return shown->incarnation == told->incarnation && told->heartbeat > shown->heartbeat;
}

static void take_entry(struct node *node, uint32_t from, uint32_t member,
                       const struct member_entry *entry) {
    if (member == node->self) {
        // A life that this member has forgotten, with its data: nobody listens to a younger.
        if (is_of_another_life(node, entry)) genesis_outlive(node, entry);
        return;
    }
    const struct member_entry before = node->members.entries[member];
    if (!members_merge_entry(&node->members, member, entry)) return;
    bool is_new_life = entry->incarnation != before.incarnation;
    bool is_other = before.incarnation != 0 && (is_new_life || entry->state != before.state);
    // Where not all are heard, how often a heart has beaten tells nobody anything.
    rumors_change(&node->rumors, member, from, is_other || gossip_reaches_all(node));
    if (gossip_reaches_all(node)) sight_on_news(node, member, is_new_life);
}

void gossip_receive(struct node *node, struct link *link, struct slice body) {
    struct reader r = reader_of(body);
    uint32_t count = read_u32(&r);
    if (count > RUMORS_MAX) return;
    uint32_t next = 0;
    for (uint32_t i = 0; i < count && !r.failed; i++) {
        struct member_entry entry;
        member_entry_decode(&entry, &r);
        if (r.failed) break;
        // Rows come in the order of the map.
        uint32_t member = members_find(&node->members, entry.id);
        if (member < next || member == node->members.count) continue;
        next = member + 1;
        take_entry(node, link->peer, member, &entry);
    }
    uint64_t author = read_u64(&r);
    bool has_root = read_u8(&r) == 1;
    uint64_t root = read_u64(&r);
    node->peers[link->peer].is_serving = has_root;
    if (!r.failed && node->state == NODE_SERVING) {
        epoch_on_author(node, link->peer, author);
        bool is_same_map = author == node_map_author(node);
        if (has_root && is_same_map) reconcile_on_root(node, link->peer, root);
    }
    // Where they are many the map goes from one to the next.
    bool has_old_map = node->peers[link->peer].epoch < node->map.epoch;
    if (has_old_map && !gossip_reaches_all(node)) genesis_tell(node, link->peer);
    inquiry_on_sign(node, link->peer);
    // A greeting has no doubts.
    if (!r.failed && !reader_done(&r)) inquiry_take_doubts(node, link->peer, &r);
    if (link->is_dialer) {
        sight_on_answer(node, link->peer);
    } else {
        send_news(node, link);
    }
}
