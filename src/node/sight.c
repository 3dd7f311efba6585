// SPDX-License-Identifier: Apache-2.0
#include "node/sight.h"

#include "node/gossip.h"
#include "node/inquiry.h"
#include "node/peers.h"

enum { LOGGED_MOST = 16 }; // members looked at in a round, for the log

static struct suspicion_rule rule_of(const struct node *node) {
    return suspicion_rule_for(node->options.gossip_ns, node->options.suspect_ns);
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

static uint32_t level_after(const struct node *node, const struct suspicion *signs,
                            uint64_t heard) {
    struct suspicion_rule rule = rule_of(node);
    return suspicion_level(signs, &rule, silence_since(node, heard));
}

static uint32_t level_of_news(const struct node *node, const struct peer *peer) {
    return level_after(node, &peer->news, heard_at_all(peer));
}

static uint32_t level_of_answers(const struct node *node, const struct peer *peer) {
    return level_after(node, &peer->answers, heard_here(peer));
}

static bool is_suspected(const struct node *node, uint32_t level) {
    return level >= SUSPICION_THRESHOLD * node->sight.doubt;
}

static enum verdict verdict_by_silence(const struct node *node, const struct peer *peer,
                                       uint32_t level) {
    if (is_open(peer) && !is_suspected(node, level)) return VERDICT_UP;
    return is_suspected(node, level_of_news(node, peer)) ? VERDICT_DOWN : VERDICT_UNREACHABLE;
}

static enum verdict verdict_by_inquiry(const struct node *node, uint32_t member) {
    const struct peer *peer = &node->peers[member];
    if (!peer->answers.has_begun || inquiry_is_gone(node, member)) return VERDICT_DOWN;
    if (!is_open(peer)) return VERDICT_UNREACHABLE;
    uint64_t patience = node->options.suspect_ns * node->sight.doubt;
    bool is_answering = peer->out->asked == 0 || !link_is_heard(peer->out) ||
                        silence_since(node, peer->out->asked) < patience;
    return is_answering ? VERDICT_UP : VERDICT_UNREACHABLE;
}

struct node_view sight_of(const struct node *node, uint32_t member) {
    if (member == node->self) return (struct node_view){.verdict = VERDICT_UP};
    must(member < node->peer_count);
    const struct peer *peer = &node->peers[member];
    struct node_view view = {.silence_ns = UINT64_MAX};
    if (peer->answers.has_begun) view.silence_ns = silence_since(node, heard_here(peer));
    if (gossip_reaches_all(node)) {
        view.level = level_of_answers(node, peer);
        view.verdict = verdict_by_silence(node, peer, view.level);
    } else {
        view.verdict = verdict_by_inquiry(node, member);
        view.level = view.verdict == VERDICT_DOWN ? SUSPICION_THRESHOLD : 0;
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
    return silence_since(node, heard_at_all(peer)) <= 4 * rule_of(node).longest;
}

static bool is_silent(const struct node *node, uint32_t member) {
    return level_of_answers(node, &node->peers[member]) >= SUSPICION_THRESHOLD / 2;
}

// Whether most of those that were there lately are silent. A connection that is closed was not
// silent: somebody has said so.
static bool most_are_silent(const struct node *node) {
    uint32_t silent = 0;
    uint32_t count = 0;
    for (uint32_t i = 0; i < node->peer_count; i++) {
        if (!was_there_lately(node, i) || !is_open(&node->peers[i])) continue;
        count++;
        silent += is_silent(node, i);
    }
    return count >= 2 && 2 * silent > count;
}

static bool is_deaf(const struct node *node) {
    return gossip_reaches_all(node) ? most_are_silent(node) : inquiry_is_deaf(node);
}

// Who was there and is down now, or is up again. Who has never been there is not lost.
static void log_change(struct node *node, uint32_t member) {
    struct peer *peer = &node->peers[member];
    if (member == node->self || !peer->answers.has_begun) return;
    enum verdict verdict = sight_of(node, member).verdict;
    if (verdict != (peer->is_logged_down ? VERDICT_UP : VERDICT_DOWN)) return;
    peer->is_logged_down = !peer->is_logged_down;
    env_log(node->env, peer->is_logged_down ? ENV_WARNING : ENV_INFO, "member %s member=%s",
            peer->is_logged_down ? "down" : "up", node->map.members[member].name);
}

void sight_log(struct node *node) {
    if (node->state != NODE_SERVING) return;
    for (uint32_t i = 0; i < LOGGED_MOST && i < node->peer_count; i++) {
        uint32_t member = node->sight.turn < node->peer_count ? node->sight.turn : 0;
        node->sight.turn = member + 1;
        log_change(node, member);
    }
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
    struct suspicion_rule rule = rule_of(node);
    suspicion_begin(&peer->answers, &rule, node_waking(node));
    if (!peer->news.has_begun) suspicion_begin(&peer->news, &rule, node_waking(node));
}

void sight_on_answer(struct node *node, uint32_t member) {
    struct suspicion_rule rule = rule_of(node);
    node->sight.answered = node_waking(node);
    suspicion_sign(&node->peers[member].answers, &rule, node_waking(node));
}

void sight_on_news(struct node *node, uint32_t member, bool is_new_life) {
    struct suspicion *news = &node->peers[member].news;
    struct suspicion_rule rule = rule_of(node);
    if (is_new_life) {
        suspicion_begin(news, &rule, node_waking(node));
    } else {
        suspicion_sign(news, &rule, node_waking(node));
    }
}
