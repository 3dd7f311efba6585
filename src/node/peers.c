// SPDX-License-Identifier: Apache-2.0
#include "node/peers.h"

#include "node/epoch.h"
#include "node/genesis.h"
#include "node/gossip.h"
#include "node/inquiry.h"
#include "node/join.h"
#include "node/purge.h"
#include "node/purge_answer.h"
#include "node/reconcile.h"
#include "node/replace.h"
#include "node/sight.h"

#include <stdio.h>

#define REDIAL_FIRST_NS (50 * NS_PER_MS)
#define REDIAL_MAX_NS (1000 * NS_PER_MS)
#define GREETING_MAX_NS (5 * NS_PER_SECOND)
#define DIALING_STALE_NS (1 * NS_PER_SECOND)
#define SILENCE_LEAST_NS (3 * NS_PER_SECOND)
#define LATE_FIRST_NS (500 * NS_PER_MS)
#define LATE_MOST_NS (8 * NS_PER_SECOND)
#define CONTEST_SUSPECTS 3 // times suspect_ns: two processes are one member for certain
#define CLAIM_SUSPECTS 10  // times suspect_ns: what was said of our place counts no longer
#define ACCEPT_RETRY_NS (100 * NS_PER_MS)

enum {
    CALLERS_MAX = 8,  // accepted links of nobody yet
    SWEEP_MOST = 128, // links looked at in a round
    WHY_MAX = NAME_SIZE_MAX + 128,
};

static uint32_t link_count(uint32_t members_max) {
    return 2 * members_max + CALLERS_MAX;
}

// Callers may not use up the links that we dial with.
static bool has_room_for_caller(const struct node *node) {
    return node->caller_count < node->options.members_max + CALLERS_MAX;
}

size_t peers_memory_size(const struct node_options *options) {
    uint32_t links = link_count(options->members_max);
    return options->members_max * sizeof(struct peer) + links * sizeof(struct link) + 256 +
           buffers_memory_size(links, options->peer_buffers, options->peer_buffer_size);
}

static void on_redial(struct timer *timer);

void peers_init(struct node *node, struct arena *arena) {
    node->peers = ARENA_ARRAY(arena, struct peer, node->options.members_max);
    node->link_count = link_count(node->options.members_max);
    node->links = ARENA_ARRAY(arena, struct link, node->link_count);
    for (uint32_t i = 0; i < node->link_count; i++) link_init(&node->links[i], node);
    buffers_init(&node->link_buffers, arena, node->link_count, node->options.peer_buffers,
                 node->options.peer_buffer_size);
    for (uint32_t i = 0; i < node->options.members_max; i++) {
        node->peers[i].redial.fired = on_redial;
        node->peers[i].redial_ns = REDIAL_FIRST_NS;
        node->peers[i].node = node;
    }
}

struct link *peers_free_link(struct node *node) {
    for (; node->links_busy < node->link_count; node->links_busy++) {
        struct link *link = &node->links[node->links_busy];
        if (link->state == LINK_FREE) return link;
    }
    return NULL;
}

static const char *name_of(const struct node *node, const struct peer *peer) {
    return peers_map(node)->members[peer - node->peers].name;
}

void peers_note_late(struct node *node, uint32_t member, enum errand errand) {
    if (!peer_is_prompt(node, member, errand)) return; // one of many that were under way
    struct lateness *late = &node->peers[member].late[errand];
    uint64_t last = late->last;
    late->last = last == 0 ? LATE_FIRST_NS : last < LATE_MOST_NS ? 2 * last : last;
    late->until = node->env->now + late->last;
}

void peers_note_prompt(struct node *node, uint32_t member, enum errand errand) {
    if (peer_is_prompt(node, member, errand)) node->peers[member].late[errand].last = 0;
}

// Dialling.

static void dial(struct node *node, uint32_t member) {
    struct peer *peer = &node->peers[member];
    if (node->state == NODE_STOPPED || peer->out != NULL) return;
    if (member >= peers_map(node)->member_count) return; // nobody knows a map that was not stored
    struct link *link = peers_free_link(node);
    if (link == NULL) {
        timer_arm(&node->timers, &peer->redial, node->env->now + peer->redial_ns);
        return;
    }
    char address[ADDRESS_SIZE_MAX + 1];
    map_member_address(&peers_map(node)->members[member], PORT_PEER_OFFSET, address);
    peer->out = link;
    link_dial(link, member, address);
}

static void on_redial(struct timer *timer) {
    struct peer *peer = CONTAINER_OF(timer, struct peer, redial);
    struct node *node = peer->node;
    dial(node, (uint32_t)(peer - node->peers));
}

void peers_dial_all(struct node *node) {
    const struct map *map = peers_map(node);
    node->peer_count = map->member_count;
    for (uint32_t i = 0; i < node->peer_count; i++) {
        if (i != node->self) dial(node, i);
    }
}

static void note_free(const struct link *link) {
    struct node *node = link->node;
    uint32_t index = (uint32_t)(link - node->links);
    if (index < node->links_busy) node->links_busy = index;
    if (link->is_dialer) return;
    must(node->caller_count > 0);
    node->caller_count--;
}

void peers_on_closed(struct link *link) {
    struct node *node = link->node;
    uint32_t member = link->peer;
    note_free(link);
    join_on_closed(link);
    if (member == MEMBER_NONE) return;
    struct peer *peer = &node->peers[member];
    rumors_forget(&node->rumors, member);
    peer->is_serving = false;
    if (peer->in == link) peer->in = NULL;
    if (peer->out != link) return;
    peer->out = NULL;
    if (node->state == NODE_STOPPED) return;
    if (!gossip_reaches_all(node)) inquiry_expect(node, member, false);
    // Half of the pause at random, so that members do not dial each other in step.
    uint64_t pause = peer->redial_ns / 2 + rng_next(&node->rng) % (peer->redial_ns / 2 + 1);
    timer_arm(&node->timers, &peer->redial, node->env->now + pause);
    peer->redial_ns = 2 * peer->redial_ns < REDIAL_MAX_NS ? 2 * peer->redial_ns : REDIAL_MAX_NS;
    node_peer_lost(node, member);
}

// Being dialled.

static void accept_next(struct node *node);

static void on_accept_retry(struct timer *timer) {
    accept_next(CONTAINER_OF(timer, struct node, accept_retry));
}

static void on_accepted(struct env_op *op) {
    struct node *node = CONTAINER_OF(op, struct node, accept_op);
    node->is_accepting = false;
    if (op->status == ST_CANCELLED) return;
    if (op->status != ST_OK) {
        timer_arm(&node->timers, &node->accept_retry, node->env->now + ACCEPT_RETRY_NS);
        return;
    }
    struct link *link = has_room_for_caller(node) ? peers_free_link(node) : NULL;
    if (link == NULL) {
        env_shut(node->env, node->accepted);
    } else {
        node->caller_count++;
        link_accept(link, node->accepted);
    }
    accept_next(node);
}

static void accept_next(struct node *node) {
    if (node->listener == NULL) return;
    node->is_accepting = true;
    node->accept_op.done = on_accepted;
    env_accept(node->env, &node->accept_op, node->listener, &node->accepted);
}

void peers_on_room(struct node *node) {
    epoch_on_room(node);
    purge_on_room(node);
}

void peers_start(struct node *node) {
    node->accept_retry.fired = on_accept_retry;
    accept_next(node);
    peers_dial_all(node);
}

void peers_stop(struct node *node) {
    timer_disarm(&node->timers, &node->accept_retry);
    if (node->listener != NULL) {
        env_shut(node->env, node->listener);
        node->listener = NULL;
    }
    for (uint32_t i = 0; i < node->peer_count; i++) {
        timer_disarm(&node->timers, &node->peers[i].redial);
    }
    for (uint32_t i = 0; i < node->link_count; i++) link_shut(&node->links[i]);
}

// Greeting.

static struct slice text(const char *s) {
    return (struct slice){(const uint8_t *)s, strlen(s)};
}

void peers_describe(struct node *node, uint64_t nonce, struct writer *w) {
    const struct map_description *self = &node->options.self;
    const struct message_hello hello = {
        .name = text(self->name),
        .host = text(self->host),
        .rack = text(self->rack),
        .dc = text(self->dc),
        .address = text(self->address),
        .port = self->port,
        .shards = self->shards,
        .weight = self->weight,
        .value_size_max = node->options.value_size_max,
        .members_max = (uint16_t)node->options.members_max,
        .copies_max = (uint8_t)node_copies_max(node->options.replication),
        .storage = store_actor(node->store).storage,
        .is_blank = node->is_blank,
        .incarnation = node->incarnation,
        .process = node->process,
        .nonce = nonce,
    };
    message_hello_encode(&hello, w);
}

static void take_text(char *to, struct slice from) {
    must(from.size <= ADDRESS_SIZE_MAX);
    memcpy(to, from.data, from.size);
    to[from.size] = '\0';
}

bool peers_describes(const struct message_hello *m, struct map_description *d) {
    *d = (struct map_description){0};
    take_text(d->name, m->name);
    take_text(d->host, m->host);
    take_text(d->rack, m->rack);
    take_text(d->dc, m->dc);
    take_text(d->address, m->address);
    d->port = m->port;
    d->shards = m->shards;
    d->weight = m->weight;
    return map_description_is_sound(d);
}

// False, and nothing changes, when no map could hold a member like that.
static bool take_description(struct node *node, uint32_t member, const struct message_hello *m) {
    struct map_description described;
    if (!peers_describes(m, &described)) return false;
    genesis_note_description(node, member, &described);
    node->peers[member].storage = m->storage;
    node->peers[member].members_max = m->members_max;
    return true;
}

// Of two processes that say to be one member, because its data directory was copied, the one that
// was first keeps the place as long as it is heard of: both would mint the same dots. A process
// that has ended is not heard of any more, and then the next one, which calls again and again, is
// welcome. To hear of the first long after the second had come proves that there are two.
static bool is_taken(struct node *node, struct peer *peer, uint64_t process, bool *is_certain) {
    const struct link *first = peer->in;
    uint64_t now = node->env->now;
    if (first == NULL || !link_is_open(first) || first->process == process) return false;
    if (node_waking(node) - first->heard >= node->options.suspect_ns) return false;
    if (peer->contester != process) {
        peer->contester = process;
        peer->contested = now;
    }
    *is_certain = now - peer->contested >= CONTEST_SUSPECTS * node->options.suspect_ns;
    if (*is_certain && log_is_due(node, &node->taken_logged)) {
        env_log(
            node->env, ENV_ERROR,
            "two processes are one member, the second is refused: its data directory was copied "
            "member=%s second_storage=%016llx",
            name_of(node, peer), (unsigned long long)peer->storage);
    }
    return true;
}

void peers_note_claim(struct node *node, uint32_t member) {
    struct peer *peer = &node->peers[member];
    if (!peer->says_taken) node->taken_count++;
    peer->says_taken = true;
    peer->claimed = node->env->now;
}

static void on_taken(struct link *link, const struct message_taken *taken) {
    struct node *node = link->node;
    peers_note_claim(node, link->peer);
    if (taken->is_certain && !node->is_ousted) {
        node->is_ousted = true;
        env_log(
            node->env, ENV_ERROR,
            "another process is this member, and was there first: this data directory is a copy "
            "of its, or it of this one; end one of them, and give that an empty directory and a "
            "name of its own name=%s told_by=%s",
            node->options.self.name, peers_map(node)->members[link->peer].name);
    }
    link_shut(link);
}

static void welcomed(struct node *node, struct peer *peer) {
    if (peer->says_taken) node->taken_count--;
    peer->says_taken = false;
}

// Who says that our place is taken says it again each time we call. Who is silent since may have
// ended, and with it the old connection of our former life that it took for another process.
static void forget_old_claims(struct node *node) {
    uint64_t patience = CLAIM_SUSPECTS * node->options.suspect_ns;
    if (node->taken_count == 0) return;
    for (uint32_t i = 0; i < node->peer_count; i++) {
        struct peer *peer = &node->peers[i];
        if (peer->says_taken && node->env->now - peer->claimed >= patience) welcomed(node, peer);
    }
}

// True when the answer to our HELLO is that our place is taken, or another directory's.
static bool takes_refusal(struct link *link, const struct frame *frame) {
    struct message_taken taken;
    struct message_stranger stranger;
    if (!link->is_dialer) return false;
    if (memcmp(frame->cluster, link->node->cluster.bytes, CLUSTER_ID_SIZE) != 0) return false;
    if (frame->type == MESSAGE_TAKEN && message_taken_decode(&taken, frame->body) == ST_OK) {
        on_taken(link, &taken);
        return true;
    }
    bool is_stranger =
        frame->type == MESSAGE_STRANGER && message_stranger_decode(&stranger, frame->body) == ST_OK;
    if (is_stranger) replace_on_told(link, frame->epoch, &stranger);
    return is_stranger;
}

// A caller is that member.
static void answer_caller(struct link *link, uint32_t member, const struct message_hello *hello) {
    struct node *node = link->node;
    bool is_certain = false;
    link->process = hello->process;
    if (replace_is_stranger(node, member, hello->storage)) {
        link_tell_stranger(link, node->map.members[member].storage, hello->nonce);
    } else if (is_taken(node, &node->peers[member], hello->process, &is_certain)) {
        link_tell_taken(link, is_certain, hello->nonce);
    } else {
        link_welcome(link, member, hello->nonce);
    }
}

// Where what one member takes would be too large for the next, a write could not reach its copies,
// and nobody would know why. Each of the two hears the other's HELLO: both say it.
static const char *differs(const struct node *node, const struct message_hello *m,
                           char why[WHY_MAX]) {
    if (m->value_size_max == node->options.value_size_max) return NULL;
    (void)snprintf(why, WHY_MAX,
                   "\"another value-max: give all members the same\" member=%.*s theirs=%u ours=%u",
                   (int)m->name.size, (const char *)m->name.data, m->value_size_max,
                   node->options.value_size_max);
    return why;
}

// The member that we have called answers.
static void on_welcome(struct link *link, uint32_t member, const struct message_hello *welcome,
                       uint64_t epoch) {
    struct node *node = link->node;
    struct peer *peer = &node->peers[member];
    if (replace_is_stranger(node, member, welcome->storage)) {
        replace_note_stranger(node, member, welcome);
        link_shut(link);
        return;
    }
    if (!take_description(node, member, welcome)) {
        link_refuse(link, "unsound-description");
        return;
    }
    peer->epoch = epoch;
    welcomed(node, peer);
    link_opened(link, welcome->nonce);
    peer->redial_ns = REDIAL_FIRST_NS;
    sight_on_open(node, member);
    // The acceptor trusts us from our next frame on: let it be now.
    gossip_greet(node, link);
    if (epoch == 0) genesis_tell(node, member);
    purge_send_fences(node, link, true);
    env_log(node->env, ENV_INFO, "peer connected member=%s", name_of(node, peer));
    genesis_step(node);
    reconcile_on_open(node, member);
}

static bool is_of_no_cluster(const uint8_t cluster[CLUSTER_ID_SIZE]) {
    static const struct cluster_id none;
    return memcmp(cluster, none.bytes, CLUSTER_ID_SIZE) == 0;
}

// Of another cluster than ours. Whoever waits to be admitted is of none.
static bool is_foreign(const struct node *node, const struct frame *frame) {
    if (join_is_newcomer(node) || is_of_no_cluster(frame->cluster)) return false;
    return memcmp(frame->cluster, node->cluster.bytes, CLUSTER_ID_SIZE) != 0;
}

// Whose greeting it is: *member. Else why it is refused.
static const char *find_member(const struct link *link, const struct message_hello *hello,
                               char difference[WHY_MAX], uint32_t *member) {
    const struct node *node = link->node;
    *member = map_find_name(peers_map(node), hello->name);
    if (link->is_dialer && *member != link->peer) return "other-member";
    if (*member >= node->peer_count || *member == node->self) return "not-a-member";
    return differs(node, hello, difference);
}

void peers_on_greeting(struct link *link, uint8_t *bytes, uint32_t size) {
    struct node *node = link->node;
    struct frame frame;
    struct message_hello hello;
    const char *why = NULL;
    char difference[WHY_MAX];
    uint64_t number = link->is_dialer ? link->nonce : 0;
    enum message_type wanted = link->is_dialer ? MESSAGE_WELCOME : MESSAGE_HELLO;
    uint32_t member = MEMBER_NONE;
    if (frame_open(bytes, size, &node->options.secret, number, &frame) != ST_OK) {
        why = "wrong-key";
    } else if (link == node->join.call) {
        join_on_answer(link, &frame);
        return;
    } else if (takes_refusal(link, &frame)) {
        return;
    } else if (frame.type != wanted || message_hello_decode(&hello, frame.body) != ST_OK) {
        why = "not-a-greeting";
    } else if (is_foreign(node, &frame)) {
        why = "other-cluster";
    } else if (join_is_newcomer(node)) {
        link_welcome(link, 0, hello.nonce);
        return;
    } else {
        why = find_member(link, &hello, difference, &member);
        bool wants_to_join = is_of_no_cluster(frame.cluster) && !link->is_dialer;
        if (why != NULL && wants_to_join) {
            join_on_hello(link, member, &hello);
            return;
        }
    }
    link->storage = why == NULL ? hello.storage : 0;
    // A HELLO may be an old one, played again; what is believed of a member is in its WELCOME. Who
    // was told that it is not wanted has nothing more to say.
    if (why == NULL && !link->is_dialer && link->process != 0) why = "greets-twice";
    if (why != NULL) {
        link_refuse(link, why);
    } else if (link->is_dialer) {
        on_welcome(link, member, &hello, frame.epoch);
    } else {
        answer_caller(link, member, &hello);
    }
}

// A call that was not answered while the member was away may go on for long. Now it is there.
static void dial_anew_if_stale(struct node *node, uint32_t member) {
    struct link *out = node->peers[member].out;
    if (out == NULL || out->state != LINK_DIALING) return;
    if (node->env->now - out->since <= DIALING_STALE_NS) return;
    node->peers[member].out = NULL; // it ends when the env gives it back
    link_shut(out);
    dial(node, member);
}

void peers_on_trusted(struct link *link) {
    struct peer *peer = &link->node->peers[link->peer];
    struct link *former = peer->in;
    peer->in = link;
    if (former != NULL) link_shut(former);
    dial_anew_if_stale(link->node, link->peer);
    reconcile_on_open(link->node, link->peer);
}

// Whoever dials talks to each of the others once in a lap, and is answered.
static bool is_silent(const struct link *link, uint64_t silence) {
    const struct node *node = link->node;
    uint64_t now = node_waking(node);
    if (link->is_dialer) {
        if (link->asked == 0 || now - link->asked <= silence) return false;
    } else {
        uint64_t lap = node->peer_count / GOSSIP_FANOUT + 1; // rounds
        if (!gossip_reaches_all(node)) silence += 2 * lap * node->options.gossip_ns;
        if (now - link->heard <= silence) return false;
    }
    return link_is_heard(link);
}

void peers_sweep(struct node *node) {
    forget_old_claims(node);
    uint64_t now = node->env->now;
    // An end that vanished without a word would else keep its member down for long.
    uint64_t silence = 2 * node->options.suspect_ns;
    if (silence < SILENCE_LEAST_NS) silence = SILENCE_LEAST_NS;
    uint32_t looks = node->link_count < SWEEP_MOST ? node->link_count : SWEEP_MOST;
    for (uint32_t i = 0; i < looks; i++) {
        struct link *link = &node->links[node->sweep_turn];
        node->sweep_turn = node->sweep_turn + 1 < node->link_count ? node->sweep_turn + 1 : 0;
        if (link->state == LINK_GREETING && now - link->since > GREETING_MAX_NS) link_shut(link);
        if (link->state != LINK_OPEN) continue;
        if (is_silent(link, silence) || link_is_hoarding(link)) link_shut(link);
    }
}
