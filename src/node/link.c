// SPDX-License-Identifier: Apache-2.0
#include "node/link.h"

#include "node/peers.h"
#include "node/receive.h"

enum { FRAMES_AHEAD = 32 }; // whose keys are named to the node before the first is dealt with

static void receive(struct link *link);

size_t link_memory_size(uint32_t capacity) {
    return 3 * ((size_t)capacity + 64);
}

void link_init(struct link *link, struct node *node, struct arena *arena, uint32_t capacity) {
    must(capacity > FRAME_HEADER_SIZE);
    *link = (struct link){.node = node, .peer = MEMBER_NONE, .capacity = capacity};
    link->in = ARENA_ARRAY(arena, uint8_t, capacity);
    link->out[0] = ARENA_ARRAY(arena, uint8_t, capacity);
    link->out[1] = ARENA_ARRAY(arena, uint8_t, capacity);
}

static bool is_ended(const struct link *link) {
    return link->state == LINK_FREE || link->state == LINK_CLOSING;
}

static void enter(struct link *link, enum link_state state) {
    link->state = state;
    link->since = link->node->env->now;
}

static void begin_life(struct link *link, bool is_dialer, uint32_t peer) {
    must(link->state == LINK_FREE);
    link->life++;
    link->is_dialer = is_dialer;
    link->peer = peer;
    link->nonce = rng_next(&link->node->rng);
    link->process = 0;
    link->storage = 0;
    link->asked = 0;
    link->heard = node_waking(link->node);
    link->in_size = 0;
    link->out_size = 0;
    link->frame = NULL;
    link->has_keys = false;
    link->is_stalled = false;
    link->arrived = link->node->env->now;
    link->sent = 0;
    link->received = 0;
}

// A closing link is free once the env has given everything back.
static void free_if_idle(struct link *link) {
    must(link->state == LINK_CLOSING);
    if (link->is_connecting || link->is_receiving || link->is_sending || link->is_flushing) return;
    enter(link, LINK_FREE);
    link->socket = NULL;
    peers_on_closed(link);
}

void link_shut(struct link *link) {
    if (is_ended(link)) return;
    enter(link, LINK_CLOSING);
    if (!link->is_connecting && link->socket != NULL) env_shut(link->node->env, link->socket);
    free_if_idle(link);
}

// Sending.

static void send_gathered(struct link *link);

static void on_sent(struct env_op *op) {
    struct link *link = CONTAINER_OF(op, struct link, send_op);
    link->is_sending = false;
    if (link->state == LINK_CLOSING) {
        free_if_idle(link);
    } else if (op->status != ST_OK) {
        link_shut(link);
    } else {
        send_gathered(link);
        if (link->is_stalled) receive(link);
    }
}

static void send_gathered(struct link *link) {
    if (link->is_sending || link->out_size == 0) return;
    uint8_t *bytes = link->out[link->filling];
    uint32_t size = link->out_size;
    link->filling ^= 1;
    link->out_size = 0;
    link->is_sending = true;
    link->send_op.done = on_sent;
    env_send(link->node->env, &link->send_op, link->socket, bytes, size);
}

static void on_flush(struct env_op *op) {
    struct link *link = CONTAINER_OF(op, struct link, flush_op);
    link->is_flushing = false;
    if (link->state == LINK_CLOSING) {
        free_if_idle(link);
    } else {
        send_gathered(link);
    }
}

static uint32_t room(const struct link *link) {
    return link->capacity - link->out_size;
}

static struct writer begin_frame(struct link *link, uint32_t body_max) {
    must(link->frame == NULL);
    if (room(link) < FRAME_HEADER_SIZE + body_max) return (struct writer){.failed = true};
    link->frame = link->out[link->filling] + link->out_size;
    return writer_to(link->frame + FRAME_HEADER_SIZE, body_max);
}

static bool end_frame(struct link *link, enum message_type type, const struct writer *body,
                      const struct mac_key *key, uint64_t number) {
    uint8_t *bytes = link->frame;
    link->frame = NULL;
    if (body->failed) return false;
    struct node *node = link->node;
    struct frame header = {.type = (uint8_t)type, .epoch = node->map.epoch};
    memcpy(header.cluster, node->cluster.bytes, sizeof(header.cluster));
    frame_seal(bytes, (uint32_t)body->size, &header, key, number);
    link->out_size += FRAME_HEADER_SIZE + (uint32_t)body->size;
    node->stats.frames_sent++;
    if (!link->is_flushing) {
        link->is_flushing = true;
        link->flush_op.done = on_flush;
        env_later(node->env, &link->flush_op);
    }
    return true;
}

struct writer link_begin(struct link *link, uint32_t body_max) {
    if (!link_is_open(link)) return (struct writer){.failed = true};
    return begin_frame(link, body_max);
}

bool link_end(struct link *link, enum message_type type, const struct writer *body) {
    if (body->failed) {
        link->frame = NULL;
        return false;
    }
    return end_frame(link, type, body, &link->send_key, link->sent++);
}

// Receiving.

static void on_received(struct env_op *op);

// Strangers may come as often as they like; they do not fill the log.
void link_refuse(struct link *link, const char *why) {
    struct node *node = link->node;
    node->stats.frames_refused++;
    if (log_is_due(node, &node->refusal_logged)) {
        env_log(node->env, ENV_WARNING, "peer refused from=%s why=%s refused=%llu",
                env_peer(node->env, link->socket), why,
                (unsigned long long)node->stats.frames_refused);
    }
    link_shut(link);
}

static void take_frame(struct link *link, uint8_t *bytes, uint32_t size) {
    if (!link->has_keys) {
        peers_on_greeting(link, bytes, size);
        return;
    }
    struct frame frame;
    if (frame_open(bytes, size, &link->recv_key, link->received, &frame) != ST_OK) {
        link_refuse(link, "wrong-mac");
        return;
    }
    link->received++;
    link->node->stats.frames_received++;
    if (link->state == LINK_GREETING) {
        enter(link, LINK_OPEN);
        peers_on_trusted(link);
    }
    if (link->state == LINK_OPEN) node_receive(link->node, link, &frame);
}

// Requests are taken only while there is room for the largest answer.
static bool must_stall(const struct link *link) {
    return link->state == LINK_OPEN && !link->is_dialer &&
           room(link) < FRAME_HEADER_SIZE + link->node->message_max;
}

static enum status peek(const struct link *link, uint32_t at, uint32_t *size) {
    struct slice rest = {link->in + at, link->in_size - at};
    enum status st = frame_peek(rest, link->capacity - FRAME_HEADER_SIZE, size);
    return st == ST_OK && *size > rest.size ? ST_BUSY : st;
}

// Tells the node of some frames that stand behind one another. Gives the place behind them.
static uint32_t look_ahead(struct link *link, uint32_t at) {
    uint32_t size = 0;
    uint32_t end = at;
    for (uint32_t i = 0; i < FRAMES_AHEAD && peek(link, end, &size) == ST_OK; i++, end += size) {
        bool is_alone = i == 0 && end + size == link->in_size;
        if (is_alone) return link->in_size;
        struct slice body = {link->in + end + FRAME_HEADER_SIZE, size - FRAME_HEADER_SIZE};
        node_expect_frame(link->node, frame_type(link->in + end), body);
    }
    node_expect_no_more(link->node);
    return end;
}

static void take_frames(struct link *link) {
    uint32_t at = 0;
    uint32_t known = 0; // up to here the node was told
    link->is_stalled = false;
    while (!is_ended(link)) {
        if (must_stall(link)) {
            link->is_stalled = true;
            break;
        }
        if (at == known && link->has_keys) known = look_ahead(link, at);
        uint32_t size = 0;
        enum status st = peek(link, at, &size);
        if (st == ST_BUSY) break;
        if (st != ST_OK) {
            link_refuse(link, st == ST_TOO_LARGE ? "too-large" : "not-a-frame");
            return;
        }
        take_frame(link, link->in + at, size);
        at += size;
    }
    if (is_ended(link)) return;
    memmove(link->in, link->in + at, link->in_size - at);
    link->in_size -= at;
}

static void receive(struct link *link) {
    take_frames(link);
    if (is_ended(link) || link->is_stalled || link->is_receiving) return;
    must(link->in_size < link->capacity);
    link->is_receiving = true;
    link->recv_op.done = on_received;
    env_recv(link->node->env, &link->recv_op, link->socket, link->in + link->in_size,
             link->capacity - link->in_size);
}

static void on_received(struct env_op *op) {
    struct link *link = CONTAINER_OF(op, struct link, recv_op);
    link->is_receiving = false;
    if (link->state == LINK_CLOSING) {
        free_if_idle(link);
    } else if (op->status != ST_OK || op->size == 0) {
        link_shut(link);
    } else {
        link->heard = node_waking(link->node);
        link->asked = 0;
        link->in_size += op->size;
        const struct env *env = link->node->env;
        link->arrived = env->now > env->late ? env->now - env->late : 0;
        receive(link);
    }
}

uint64_t link_until(const struct link *link, uint32_t left_ms) {
    return left_ms == 0 ? UINT64_MAX : link->arrived + left_ms * NS_PER_MS;
}

// Greeting.

static void on_connected(struct env_op *op) {
    struct link *link = CONTAINER_OF(op, struct link, connect_op);
    struct node *node = link->node;
    link->is_connecting = false;
    if (link->state == LINK_CLOSING) {
        if (op->status == ST_OK) env_shut(node->env, link->socket);
        free_if_idle(link);
        return;
    }
    if (op->status != ST_OK) {
        link->socket = NULL;
        link_shut(link);
        return;
    }
    enter(link, LINK_GREETING);
    link->heard = node_waking(node);
    struct writer w = begin_frame(link, MESSAGE_OVERHEAD);
    peers_describe(node, link->nonce, &w);
    must(end_frame(link, MESSAGE_HELLO, &w, &node->options.secret, 0));
    receive(link);
}

void link_dial(struct link *link, uint32_t peer, const char *address) {
    begin_life(link, true, peer);
    enter(link, LINK_DIALING);
    link->is_connecting = true;
    link->connect_op.done = on_connected;
    env_connect(link->node->env, &link->connect_op, address, &link->socket);
}

void link_accept(struct link *link, struct env_socket *socket) {
    begin_life(link, false, MEMBER_NONE);
    link->socket = socket;
    enter(link, LINK_GREETING);
    receive(link);
}

static void take_keys(struct link *link, uint64_t nonce) {
    const struct mac_key *secret = &link->node->options.secret;
    uint64_t dialer = link->is_dialer ? link->nonce : nonce;
    uint64_t acceptor = link->is_dialer ? nonce : link->nonce;
    link->send_key = frame_key(secret, dialer, acceptor, link->is_dialer);
    link->recv_key = frame_key(secret, dialer, acceptor, !link->is_dialer);
    link->has_keys = true;
}

void link_welcome(struct link *link, uint32_t peer, uint64_t nonce) {
    must(link->state == LINK_GREETING);
    must(!link->is_dialer);
    link->peer = peer;
    struct writer w = begin_frame(link, MESSAGE_OVERHEAD);
    peers_describe(link->node, link->nonce, &w);
    must(end_frame(link, MESSAGE_WELCOME, &w, &link->node->options.secret, nonce));
    take_keys(link, nonce);
}

void link_tell_taken(struct link *link, bool is_certain, uint64_t nonce) {
    must(link->state == LINK_GREETING);
    must(!link->is_dialer);
    const struct message_taken taken = {.is_certain = is_certain};
    struct writer w = begin_frame(link, MESSAGE_OVERHEAD);
    message_taken_encode(&taken, &w);
    (void)end_frame(link, MESSAGE_TAKEN, &w, &link->node->options.secret, nonce);
}

void link_tell_stranger(struct link *link, uint64_t storage, uint64_t nonce) {
    must(link->state == LINK_GREETING);
    must(!link->is_dialer);
    const struct message_stranger stranger = {.storage = storage};
    struct writer w = begin_frame(link, MESSAGE_OVERHEAD);
    message_stranger_encode(&stranger, &w);
    (void)end_frame(link, MESSAGE_STRANGER, &w, &link->node->options.secret, nonce);
}

void link_opened(struct link *link, uint64_t nonce) {
    must(link->state == LINK_GREETING);
    must(link->is_dialer);
    take_keys(link, nonce);
    enter(link, LINK_OPEN);
}
