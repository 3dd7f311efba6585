// SPDX-License-Identifier: Apache-2.0
#include "node/join.h"

#include "node/genesis.h"
#include "node/internal.h"
#include "node/peers.h"

#define CALL_NS (500 * NS_PER_MS)       // between calls of seeds
#define PATIENCE_NS (2 * NS_PER_SECOND) // until a call counts as unanswered

// Of either.

static bool is_calling(struct node *node) {
    struct link *link = node->join.call;
    if (link == NULL) return false;
    if (node->env->now - link->since < PATIENCE_NS) return true;
    node->join.call = NULL; // it ends when the env gives it back
    link_shut(link);
    return false;
}

// Newcomers.

bool join_is_newcomer(const struct node *node) {
    return node->join.is_newcomer && node->map.epoch == 0;
}

// The seed whose turn it is; none of them is empty.
static struct slice next_seed(struct node *node) {
    struct slice rest = slice_of_string(node->options.seeds);
    for (uint32_t i = 0;; i++) {
        const uint8_t *comma = memchr(rest.data, ',', rest.size);
        struct slice seed = rest;
        if (comma != NULL) seed.size = (size_t)(comma - rest.data);
        if (i == node->join.turn) {
            node->join.turn = comma == NULL ? 0 : i + 1;
            return seed;
        }
        rest = slice_skip(rest, seed.size + 1);
    }
}

static void log_waiting(struct node *node) {
    if (!log_is_due(node, &node->join.logged)) return;
    env_log(node->env, node->is_blank ? ENV_INFO : ENV_ERROR, "waiting to be admitted%s seeds=%s",
            node->is_blank ? "" : ", in vain: the directory is not empty; give this node another",
            node->options.seeds);
}

// True: the call is on its way.
static bool call(struct node *node, struct slice host, uint16_t port) {
    char bytes[HOST_SIZE_MAX + 1];
    char address[ADDRESS_SIZE_MAX + 1];
    struct link *link = peers_free_link(node);
    if (link == NULL || host.size > HOST_SIZE_MAX) return false;
    memcpy(bytes, host.data, host.size);
    bytes[host.size] = '\0';
    const struct map_member called = {.address = bytes, .port = port};
    map_member_address(&called, PORT_PEER_OFFSET, address);
    node->join.call = link;
    link_dial(link, MEMBER_NONE, address);
    return true;
}

static void on_timer(struct timer *timer) {
    struct node *node = CONTAINER_OF(timer, struct node, join.timer);
    struct slice host;
    uint16_t port;
    if (!join_is_newcomer(node)) return;
    timer_arm(&node->timers, timer, node->env->now + CALL_NS + rng_below(&node->rng, CALL_NS));
    log_waiting(node);
    if (is_calling(node)) return;
    if (map_parse_address(next_seed(node), &host, &port) == ST_OK) (void)call(node, host, port);
}

void join_init(struct node *node) {
    node->join.timer.fired = on_timer;
}

// What they are called by now does not hold any more.
static void forget_callers(struct node *node) {
    for (uint32_t i = 0; i < node->link_count; i++) {
        struct link *link = &node->links[i];
        if (link->peer == MEMBER_NONE || link->is_dialer) continue;
        struct peer *peer = &node->peers[link->peer];
        peer->in = NULL;
        peer->epoch = 0;
        link->peer = MEMBER_NONE;
        link_shut(link);
    }
}

void join_start(struct node *node) {
    if (node->options.seeds == NULL || node->state == NODE_STOPPED) return;
    node->join.is_newcomer = true;
    forget_callers(node);
    // All who call are one for it: it does not know yet how many there are.
    node->peer_count = 1;
    timer_arm(&node->timers, &node->join.timer, node->env->now);
}

void join_stop(struct node *node) {
    timer_disarm(&node->timers, &node->join.timer);
}

void join_on_map(struct node *node) {
    struct link *call = node->join.call;
    node->join.call = NULL;
    if (call != NULL) link_shut(call);
    forget_callers(node);
    node->peer_count = node->map.member_count;
}

// Members.

static bool is_at(const struct map_member *m, const struct map_description *d) {
    return m->port == d->port && strcmp(m->address, d->address) == 0;
}

static bool is_admissible(const struct node *node, const struct map *map) {
    const struct join *j = &node->join;
    if (map->member_count >= map->members_max) return false;
    if (map_find_name(map, slice_of_string(j->who.name)) < map->member_count) return false;
    if (map_find_storage(map, j->storage) < map->member_count) return false;
    for (uint32_t i = 0; i < map->member_count; i++) {
        if (is_at(&map->members[i], &j->who)) return false;
    }
    return true;
}

static bool apply(struct map_change *change, struct map *next) {
    struct node *node = CONTAINER_OF(change, struct node, join.change);
    const struct join *j = &node->join;
    const struct map_description *self = &node->options.self;
    if (next->member_count == 1) { // it may be where it was moved to since, and now others call it
        next->members[0].address = self->address;
        next->members[0].port = self->port;
    }
    if (!is_admissible(node, next)) return false;
    struct map_member *m = &next->members[next->member_count];
    *m = (struct map_member){
        .id = hash_number(j->storage ^ hash_bytes(slice_of_string(j->who.name), 0)) | 1,
        .storage = j->storage,
        .name = j->who.name,
        .host = j->who.host[0] == '\0' ? j->who.name : j->who.host,
        .rack = j->who.rack,
        .dc = j->who.dc,
        .address = j->who.address,
        .port = j->who.port,
        .shards = j->who.shards,
        .weight = j->who.weight,
    };
    next->member_count++;
    return true;
}

static void on_changed(struct map_change *change) {
    struct node *node = CONTAINER_OF(change, struct node, join.change);
    node->join.is_changing = false;
    const struct map *map = &node->map;
    if (map_find_storage(map, node->join.storage) < map->member_count) return; // whoever did it
    env_log(node->env, ENV_WARNING, "not admitted, it is tried again member=%s status=\"%s\"",
            node->join.who.name, status_text(change->status));
}

// Whether maps can be agreed on afterwards, too, without the newcomer: it counts, and if it is
// started again before it has the map it has no vote until it has met all others.
static bool will_have_majority(const struct node *node) {
    uint32_t count = node->map.member_count;
    uint32_t fit = 0;
    for (uint32_t i = 0; i < count; i++) {
        bool has_vote = peer_is_up(node, i) && node->members.entries[i].state == MEMBER_SERVING;
        fit += i == node->self || has_vote;
    }
    return count == 1 || 2 * fit > count + 1;
}

// A member that knows to have no room for one more would stay behind.
static bool have_room(const struct node *node) {
    uint32_t count = node->map.member_count;
    for (uint32_t i = 0; i < count; i++) {
        const struct peer *peer = &node->peers[i];
        if (i != node->self && peer->members_max != 0 && peer->members_max <= count) return false;
    }
    return count < node->map.members_max;
}

// Why who says this of itself cannot be admitted now, in words for the log; NULL: it can.
static const char *why_not(const struct node *node, const struct message_hello *hello) {
    const struct map *map = &node->map;
    if (!hello->is_blank || hello->storage == 0) return "its directory is not empty";
    if (hello->value_size_max != node->options.value_size_max) return "it has another value-max";
    if (!have_room(node)) return "a member has no room for more: give it a larger members-max";
    if (hello->members_max <= map->member_count) return "it has no room for so many members";
    if (hello->copies_max < map_copies_max(map))
        return "it has no room for so many copies of a key";
    if (!map_address_is_sound(&node->join.who)) return "its address is none";
    if (!is_admissible(node, map)) return "its name, address or directory is that of a member";
    return will_have_majority(node) ? NULL : "too many members are down, or mend";
}

// Takes who it is. False: it is not admitted, and the log may say why.
static bool take(struct node *node, const struct message_hello *hello) {
    struct join *j = &node->join;
    if (!peers_describes(hello, &j->who)) return false;
    j->storage = hello->storage;
    const char *why = why_not(node, hello);
    if (why != NULL && log_is_due(node, &j->refusal_logged)) {
        env_log(node->env, ENV_WARNING, "a node that wants to join is refused name=%s why=\"%s\"",
                j->who.name, why);
    }
    return why == NULL;
}

static void admit(struct node *node) {
    struct join *j = &node->join;
    env_log(node->env, ENV_INFO, "admitting member=%s address=%s port=%u", j->who.name,
            j->who.address, j->who.port);
    j->change = (struct map_change){.apply = apply, .done = on_changed};
    j->is_changing = true;
    node_change_map(node, &j->change);
}

void join_on_hello(struct link *link, uint32_t member, const struct message_hello *hello) {
    struct node *node = link->node;
    struct join *j = &node->join;
    if (member == node->self) { // that is our name
        link_tell_stranger(link, node->map.members[member].storage, hello->nonce);
        return;
    }
    bool is_ready = node->state == NODE_SERVING && node_has_vote(node);
    if (is_ready && !is_calling(node) && !j->is_changing && take(node, hello)) {
        (void)call(node, slice_of_string(j->who.address), j->who.port);
    }
    link_shut(link);
}

// The newcomer that was called, as it was called, says who it is.
static void on_welcome(struct node *node, const struct message_hello *welcome) {
    const struct join *j = &node->join;
    const struct map_description called = j->who;
    uint64_t storage = j->storage;
    bool is_ready = node->state == NODE_SERVING && node_has_vote(node) && !j->is_changing;
    if (!is_ready || !take(node, welcome)) return;
    bool is_same = strcmp(j->who.name, called.name) == 0 && j->storage == storage &&
                   j->who.port == called.port && strcmp(j->who.address, called.address) == 0;
    if (is_same) admit(node);
}

// A newcomer whose name another one has hears so. It may have been that one itself, and have lost
// its disk before it had the map.
static void take_refusal(struct node *node, const struct frame *frame) {
    struct message_stranger stranger;
    if (frame->type != MESSAGE_STRANGER) return;
    if (message_stranger_decode(&stranger, frame->body) != ST_OK) return;
    node->stranger_told = node->env->now;
    if (!log_is_due(node, &node->join.refusal_logged)) return;
    env_log(node->env, ENV_ERROR,
            "refused: the cluster has a member of this name, with another data directory: give "
            "this node a name of its own; or, if that directory is gone for good, run `quoit "
            "replace %s` name=%s",
            node->options.self.name, node->options.self.name);
}

void join_on_answer(struct link *link, const struct frame *frame) {
    struct node *node = link->node;
    struct message_hello hello;
    if (join_is_newcomer(node)) {
        take_refusal(node, frame); // who has welcomed it dials it
    } else if (frame->type == MESSAGE_WELCOME &&
               message_hello_decode(&hello, frame->body) == ST_OK) {
        on_welcome(node, &hello);
    }
    link_shut(link);
}

void join_on_closed(const struct link *link) {
    struct node *node = link->node;
    if (node->join.call == link) node->join.call = NULL;
}
