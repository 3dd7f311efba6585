// SPDX-License-Identifier: Apache-2.0
#include "node/replace.h"

#include "node/link.h"
#include "node/peers.h"

// How long what was seen or said last of a stranger counts.
#define LATELY_NS (10 * NS_PER_SECOND)

static bool was_lately(const struct node *node, uint64_t at) {
    return at != 0 && node->env->now - at < LATELY_NS;
}

bool replace_is_stranger(const struct node *node, uint32_t member, uint64_t storage) {
    return node->map.epoch > 0 && node->map.members[member].storage != storage;
}

// As the others see it.

void replace_note_stranger(struct node *node, uint32_t member, const struct message_hello *hello) {
    struct stranger *s = &node->peers[member].stranger;
    bool is_another = s->storage != hello->storage;
    s->storage = hello->storage;
    s->is_blank = hello->is_blank;
    s->seen = node->env->now;
    if (is_another) s->logged = 0;
    if (!log_is_due(node, &s->logged)) return;
    const char *name = node->map.members[member].name;
    if (hello->is_blank) {
        env_log(node->env, ENV_WARNING,
                "a member has come with another data directory, and is refused: if its own is gone "
                "for good, run `quoit replace %s` member=%s storage=%016llx known=%016llx",
                name, name, (unsigned long long)hello->storage,
                (unsigned long long)node->map.members[member].storage);
    } else {
        env_log(node->env, ENV_WARNING,
                "a member has come with another data directory, and is refused: what is in it is "
                "of another time; give it its own, or an empty one member=%s storage=%016llx",
                name, (unsigned long long)hello->storage);
    }
}

bool node_has_stranger(const struct node *node, uint32_t member) {
    return was_lately(node, node->peers[member].stranger.seen);
}

void replace_on_map(struct node *node) {
    for (uint32_t i = 0; i < node->link_count; i++) {
        struct link *link = &node->links[i];
        bool has_greeted = link->peer != MEMBER_NONE && link->has_keys;
        if (has_greeted && replace_is_stranger(node, link->peer, link->storage)) link_shut(link);
    }
    for (uint32_t i = 0; i < node->map.member_count; i++) {
        struct peer *peer = &node->peers[i];
        if (replace_is_stranger(node, i, peer->storage)) peer->epoch = 0;
        if (!replace_is_stranger(node, i, peer->stranger.storage)) {
            peer->stranger = (struct stranger){0};
        }
    }
}

// As it is seen.

bool node_is_stranger(const struct node *node) {
    return node->state == NODE_FOUNDING && was_lately(node, node->stranger_told);
}

bool node_is_blank(const struct node *node) {
    return node->is_blank;
}

// A store that was restored, or was found without its map, is not blank.
static void log_stranger(struct node *node, uint32_t by) {
    if (!log_is_due(node, &node->stranger_logged)) return;
    const char *name = node->options.self.name;
    const char *told_by = peers_map(node)->members[by].name;
    if (node->is_blank) {
        env_log(node->env, ENV_ERROR,
                "refused: the cluster knows another data directory of this member; if that is gone "
                "for good, run `quoit replace %s` on any other member, and this one goes on by "
                "itself told_by=%s",
                name, told_by);
    } else if (node->former_placement != 0) {
        env_log(node->env, ENV_ERROR,
                "restored data is refused: the cluster was founded without it; give this member an "
                "empty directory and run `quoit replace %s`, and the others give it what is in "
                "theirs told_by=%s",
                name, told_by);
    } else {
        env_log(node->env, ENV_ERROR,
                "refused: the cluster knows another data directory of this member; give it that, "
                "or an empty one and run `quoit replace %s` told_by=%s",
                name, told_by);
    }
}

static void oust(struct node *node, uint64_t epoch) {
    if (node->is_ousted) return;
    node->is_ousted = true;
    env_log(node->env, ENV_ERROR,
            "this data directory was replaced by another one, and is not to be used any more: "
            "start this member with the other one name=%s epoch=%llu",
            node->options.self.name, (unsigned long long)epoch);
}

void replace_on_told(struct link *link, uint64_t epoch, const struct message_stranger *m) {
    struct node *node = link->node;
    uint32_t by = link->peer;
    bool is_meant = m->storage != store_actor(node->store).storage;
    if (is_meant && node->map.epoch == 0) {
        node->stranger_told = node->env->now;
        log_stranger(node, by);
    } else if (is_meant && epoch > node->map.epoch) {
        oust(node, epoch);
    } else if (is_meant && epoch == node->map.epoch) { // one of two maps of one epoch
        peers_note_claim(node, by);
    } // else it has not heard yet
    link_shut(link);
}

bool replace_ousts(struct node *node, const struct map *map) {
    if (map->members[node->self].storage == store_actor(node->store).storage) return false;
    oust(node, map->epoch);
    return true;
}

// Replacing.

static void end(struct replacement *r, enum replace_outcome outcome) {
    r->outcome = outcome;
    r->done(r);
}

static bool apply(struct map_change *change, struct map *next) {
    struct replacement *r = CONTAINER_OF(change, struct replacement, change);
    struct map_member *member = &next->members[r->member];
    if (member->storage != r->former) return false;
    member->storage = r->storage;
    return true;
}

static void on_changed(struct map_change *change) {
    struct replacement *r = CONTAINER_OF(change, struct replacement, change);
    const struct node *node = r->node;
    bool is_named = node->map.members[r->member].storage == r->storage;
    if (is_named) { // by this change, or by another one meanwhile
        end(r, REPLACE_DONE);
    } else if (change->status == ST_INVALID || change->status == ST_OK) {
        end(r, REPLACE_OVERTAKEN);
    } else if (change->status == ST_TIMEOUT) {
        end(r, REPLACE_UNSURE);
    } else {
        end(r, REPLACE_REFUSED);
    }
}

// REPLACE_DONE: nothing stands against it.
static enum replace_outcome why_not(const struct node *node, uint32_t member) {
    if (node->state != NODE_SERVING || !node_is_sole(node)) return REPLACE_REFUSED;
    if (member >= node->map.member_count) return REPLACE_NO_MEMBER;
    enum verdict verdict = node_view(node, member).verdict;
    if (verdict == VERDICT_UP) return REPLACE_IS_UP;
    const struct stranger *s = &node->peers[member].stranger;
    if (!was_lately(node, s->seen)) return REPLACE_UNSEEN;
    bool is_of_another = map_find_storage(&node->map, s->storage) < node->map.member_count;
    if (!s->is_blank || is_of_another) return REPLACE_NOT_BLANK;
    return verdict == VERDICT_UNREACHABLE ? REPLACE_IS_HEARD_OF : REPLACE_DONE;
}

void node_replace(struct node *node, struct slice name, struct replacement *r) {
    uint32_t member = map_find_name(&node->map, name);
    enum replace_outcome refusal = why_not(node, member);
    if (refusal != REPLACE_DONE) {
        end(r, refusal);
        return;
    }
    r->node = node;
    r->member = member;
    r->former = node->map.members[member].storage;
    r->storage = node->peers[member].stranger.storage;
    r->change =
        (struct map_change){.apply = apply, .done = on_changed, .has_lost = true, .lost = member};
    env_log(node->env, ENV_WARNING, "replacing member=%s storage=%016llx by=%016llx",
            node->map.members[member].name, (unsigned long long)r->former,
            (unsigned long long)r->storage);
    node_change_map(node, &r->change);
}
