// SPDX-License-Identifier: Apache-2.0
#include "node/inquiry.h"

#include "node/gossip.h"
#include "node/peers.h"

size_t inquiry_memory_size(uint32_t members_max) {
    return members_max * (sizeof(struct doubt) + sizeof(uint16_t)) + 64;
}

void inquiry_init(struct node *node, struct arena *arena) {
    uint32_t capacity = node->options.members_max;
    struct doubt *memory = ARENA_ARRAY(arena, struct doubt, capacity);
    doubts_init(&node->inquiry.doubts, memory, ARENA_ARRAY(arena, uint16_t, capacity), capacity);
}

void inquiry_on_map(struct node *node) {
    doubts_forget(&node->inquiry.doubts);
    node->inquiry.count = 0;
}

static uint64_t patience(const struct node *node) {
    return node->options.suspect_ns / 2 * node->sight.doubt;
}

// Of the last ones only: who was asked long ago and not looked at since is asked again.
void inquiry_expect(struct node *node, uint32_t member, bool is_asked) {
    struct inquiry *inquiry = &node->inquiry;
    uint32_t place = (inquiry->first + inquiry->count) % INQUIRIES_MAX;
    if (inquiry->count == INQUIRIES_MAX) {
        inquiry->first = (inquiry->first + 1) % INQUIRIES_MAX;
    } else {
        inquiry->count++;
    }
    inquiry->waiting[place] = (struct inquired){(uint16_t)member, is_asked, node_waking(node)};
}

static bool is_silent(const struct node *node, uint32_t member) {
    const struct peer *peer = &node->peers[member];
    if (peer->out == NULL || !link_is_open(peer->out)) return true;
    if (!link_is_heard(peer->out)) return false;
    return peer->out->asked != 0 && node_waking(node) - peer->out->asked >= patience(node);
}

// Who has never been there is not doubted: it has yet to come.
static void look_at(struct node *node, uint32_t member) {
    if (!node->peers[member].answers.has_begun || !is_silent(node, member)) return;
    doubts_raise(&node->inquiry.doubts, member, node_waking(node));
}

void inquiry_step(struct node *node) {
    struct inquiry *inquiry = &node->inquiry;
    while (inquiry->count > 0) {
        const struct inquired *oldest = &inquiry->waiting[inquiry->first];
        if (node_waking(node) - oldest->since < patience(node)) return;
        look_at(node, oldest->member);
        inquiry->first = (inquiry->first + 1) % INQUIRIES_MAX;
        inquiry->count--;
    }
}

static void end(struct node *node, uint32_t member, bool is_answer) {
    uint32_t by = doubts_end(&node->inquiry.doubts, member, is_answer, node_waking(node));
    struct link *link = by == DOUBT_BY_NONE ? NULL : peer_link(node, by);
    if (link == NULL) return;
    const struct message_vouch m = {.member = node->map.members[member].id};
    struct writer w = link_begin(link, sizeof(m.member));
    message_vouch_encode(&m, &w);
    (void)link_end(link, MESSAGE_VOUCH, &w);
}

void inquiry_on_sign(struct node *node, uint32_t member) {
    end(node, member, true);
}

void inquiry_on_vouch(struct node *node, struct link *link, const struct message_vouch *m) {
    uint32_t member = map_find_id(&node->map, m->member);
    bool is_another = member < node->map.member_count && member != link->peer;
    if (is_another) end(node, member, false);
}

void inquiry_write_doubts(struct node *node, struct writer *w) {
    uint16_t members[DOUBTS_TOLD_MAX];
    uint64_t ripe = node->options.gossip_ns / 2; // an answer would have come
    uint32_t count = doubts_pick(&node->inquiry.doubts, node_waking(node), ripe, members);
    write_u8(w, (uint8_t)count);
    for (uint32_t i = 0; i < count; i++) write_u64(w, node->map.members[members[i]].id);
}

static void ask(struct node *node, uint32_t member) {
    struct link *link = peer_link(node, member);
    if (link != NULL && link_is_open(link) && link->asked == 0) gossip_greet(node, link);
}

void inquiry_take_doubts(struct node *node, uint32_t from, struct reader *r) {
    uint32_t count = read_u8(r);
    for (uint32_t i = 0; i < count && !r->failed; i++) {
        uint32_t member = map_find_id(&node->map, read_u64(r));
        bool is_another = member < node->map.member_count && member != node->self && member != from;
        if (r->failed || !is_another || !node->peers[member].answers.has_begun) continue;
        bool is_new = doubts_hear(&node->inquiry.doubts, member, from, node_waking(node));
        if (is_new) ask(node, member);
    }
}

bool inquiry_is_deaf(const struct node *node) {
    const struct inquiry *inquiry = &node->inquiry;
    for (uint32_t i = 0; i < inquiry->count; i++) {
        const struct inquired *one = &inquiry->waiting[(inquiry->first + i) % INQUIRIES_MAX];
        bool is_late = node_waking(node) - one->since >= node->options.suspect_ns / 2;
        if (one->is_asked && is_late && one->since > node->sight.answered) return true;
    }
    return false;
}

bool inquiry_is_gone(const struct node *node, uint32_t member) {
    return doubts_is_old(&node->inquiry.doubts, member, patience(node), node_waking(node));
}
