// SPDX-License-Identifier: Apache-2.0
#include "node/sight.h"

#include "node/gossip.h"
#include "node/peers.h"

static bool all_hear_all(const struct node *node) {
    return node->peer_count <= GOSSIP_ALL_MAX;
}

static struct suspicion_rule rule_of_answers(const struct node *node) {
    return suspicion_rule_for(node->options.gossip_ns, node->options.suspect_ns, 1);
}

static struct suspicion_rule rule_of_news(const struct node *node) {
    return suspicion_rule_for(node->options.gossip_ns, node->options.suspect_ns, node->peer_count);
}

static uint64_t silence_since(const struct node *node, uint64_t heard) {
    uint64_t now = node_waking(node);
    return now > heard ? now - heard : 0;
}

static bool is_open(const struct peer *peer) {
    return peer->out != NULL && link_is_open(peer->out);
}

// When there was a sign on our link to the member.
static uint64_t heard_here(const struct peer *peer) {
    uint64_t heard = peer->answers.last;
    return is_open(peer) && peer->out->heard > heard ? peer->out->heard : heard;
}

// Or by way of others.
static uint64_t heard_at_all(const struct peer *peer) {
    uint64_t heard = heard_here(peer);
    return peer->news.last > heard ? peer->news.last : heard;
}

static uint32_t level_of_news(const struct node *node, const struct peer *peer) {
    struct suspicion_rule rule = rule_of_news(node);
    return suspicion_level(&peer->news, &rule, silence_since(node, heard_at_all(peer)));
}

static uint32_t level_of(const struct node *node, const struct peer *peer) {
    if (!all_hear_all(node)) return level_of_news(node, peer);
    struct suspicion_rule rule = rule_of_answers(node);
    return suspicion_level(&peer->answers, &rule, silence_since(node, heard_here(peer)));
}

static bool is_suspected(const struct node *node, uint32_t level) {
    return level >= SUSPICION_THRESHOLD * node->sight.doubt;
}

// Whether requests would reach it. Where news of it counts, too, our link may be broken all the
// same, as the silence tells that follows our gossip.
static bool is_reached(const struct node *node, const struct peer *peer) {
    if (!is_open(peer)) return false;
    if (all_hear_all(node) || peer->out->asked == 0) return true;
    return silence_since(node, peer->out->asked) < node->options.suspect_ns;
}

struct node_view sight_of(const struct node *node, uint32_t member) {
    if (member == node->self) return (struct node_view){.verdict = VERDICT_UP};
    must(member < node->peer_count);
    const struct peer *peer = &node->peers[member];
    struct node_view view = {.verdict = VERDICT_DOWN, .level = level_of(node, peer)};
    view.silence_ns = UINT64_MAX;
    if (peer->answers.has_begun) view.silence_ns = silence_since(node, heard_here(peer));
    if (is_reached(node, peer) && !is_suspected(node, view.level)) {
        view.verdict = VERDICT_UP;
    } else if (!is_suspected(node, level_of_news(node, peer))) {
        view.verdict = VERDICT_UNREACHABLE;
    }
    return view;
}

bool peer_is_up(const struct node *node, uint32_t member) {
    return sight_of(node, member).verdict == VERDICT_UP;
}

bool peer_is_fit(const struct node *node, uint32_t member) {
    bool is_mending = node->members.entries[member].state == MEMBER_MENDING;
    return node->peers[member].out != NULL && peer_is_up(node, member) && !is_mending;
}

// Who has been silent for long is away.
static bool was_there_lately(const struct node *node, uint32_t member) {
    const struct peer *peer = &node->peers[member];
    if (member == node->self || !peer->answers.has_begun) return false;
    return silence_since(node, heard_at_all(peer)) <= 4 * rule_of_news(node).longest;
}

static bool is_silent(const struct node *node, uint32_t member) {
    return level_of(node, &node->peers[member]) >= SUSPICION_THRESHOLD / 2;
}

// Whether most of those that were there lately are silent. A connection that is closed was not
// silent: somebody has said so.
static bool is_deaf(const struct node *node) {
    uint32_t silent = 0;
    uint32_t count = 0;
    for (uint32_t i = 0; i < node->peer_count; i++) {
        if (!was_there_lately(node, i) || !is_open(&node->peers[i])) continue;
        count++;
        silent += is_silent(node, i);
    }
    return count >= 2 && 2 * silent > count;
}

// From anywhere on, so that where there are many each has its chance.
uint32_t sight_doubted(struct node *node, uint16_t members[SIGHT_DOUBTED_MAX]) {
    if (all_hear_all(node)) return 0;
    uint32_t count = 0;
    uint32_t first = rng_below(&node->rng, node->peer_count);
    for (uint32_t i = 0; i < node->peer_count && count < SIGHT_DOUBTED_MAX; i++) {
        uint32_t member = (first + i) % node->peer_count;
        bool is_doubted = was_there_lately(node, member) && is_silent(node, member);
        if (is_doubted) members[count++] = (uint16_t)member;
    }
    return count;
}

void sight_begin_round(struct node *node, uint64_t next_due) {
    struct sight *s = &node->sight;
    uint64_t late = s->due == 0 ? 0 : node->env->now - s->due;
    s->slept += late;
    s->due = next_due;
    s->doubt = suspicion_doubt(s->doubt, late / node->options.gossip_ns, is_deaf(node));
}

void sight_end(struct node *node) {
    node->sight.due = 0;
}

void sight_on_open(struct node *node, uint32_t member) {
    struct peer *peer = &node->peers[member];
    struct suspicion_rule answers = rule_of_answers(node);
    struct suspicion_rule news = rule_of_news(node);
    suspicion_begin(&peer->answers, &answers, node_waking(node));
    if (!peer->news.has_begun) suspicion_begin(&peer->news, &news, node_waking(node));
}

void sight_on_answer(struct node *node, uint32_t member) {
    struct suspicion_rule rule = rule_of_answers(node);
    suspicion_sign(&node->peers[member].answers, &rule, node_waking(node));
}

void sight_on_news(struct node *node, uint32_t member, bool is_new_life) {
    struct suspicion *news = &node->peers[member].news;
    struct suspicion_rule rule = rule_of_news(node);
    if (is_new_life) {
        suspicion_begin(news, &rule, node_waking(node));
    } else {
        suspicion_sign(news, &rule, node_waking(node));
    }
}
