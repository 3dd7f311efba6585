// SPDX-License-Identifier: Apache-2.0
#include "node/link.h"

#include "node/gossip.h"
#include "node/peers.h"
#include "node/receive.h"

#define HOLD_MAX_NS (3 * NS_PER_SECOND)

enum { FRAMES_AHEAD = 32 }; // whose keys are named to the node before the first is dealt with

static_assert((uint32_t)BUFFER_SMALL_SIZE > ADDRESS_SIZE_MAX, "an address fits");
static_assert(FRAME_HEADER_SIZE + GOSSIP_SIZE_MAX <= BUFFER_SMALL_SIZE, "gossip always fits");
static_assert((uint32_t)BUFFER_TINY_SIZE > FRAME_HEADER_SIZE, "it tells how long a frame is");
static_assert(sizeof(struct link) <= 648, "two thousand links are cheap");

static void receive(struct link *link);

void link_init(struct link *link, struct node *node) {
    link->node = node;
    link->peer = MEMBER_NONE;
    link->in = (struct buffer){link->tiny, BUFFER_TINY};
    list_init(&link->waiting);
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
    must(link->in.size == BUFFER_TINY);
    must(link->out.bytes == NULL);
    link->in_size = 0;
    link->out_size = 0;
    link->frame = NULL;
    link->has_more = false;
    link->has_keys = false;
    link->is_stalled = false;
    link->arrived = link->node->env->now;
    link->sent = 0;
    link->received = 0;
}

// Shared buffers.

static struct buffers *buffers_of(const struct link *link) {
    return &link->node->link_buffers;
}

static enum buffer_use use_of_in(const struct link *link) {
    return link->is_dialer ? BUFFER_ANSWERS_IN : BUFFER_REQUESTS_IN;
}

static enum buffer_use use_of_out(const struct link *link) {
    return link->is_dialer ? BUFFER_REQUESTS_OUT : BUFFER_ANSWERS_OUT;
}

// While it stood there it was not listened to.
static void leave_line(struct link *link, enum buffer_use use) {
    if (list_is_empty(&link->waiting) || link->waits_for != use) return;
    list_remove(&link->waiting);
    link->heard = node_waking(link->node);
    if (link->asked != 0) link->asked = link->heard;
}

// Who stands there already keeps its place.
static void stand_in_line(struct link *link, enum buffer_use use) {
    if (!list_is_empty(&link->waiting) && link->waits_for == use) return;
    list_remove(&link->waiting);
    link->waits_for = use;
    list_append(&buffers_of(link)->shares[use].waiting, &link->waiting);
}

// Lets the first of a line have what was given back, and whoever follows, while there is more.
static void wake_line(struct buffers *buffers, enum buffer_use use) {
    const struct list *line = &buffers->shares[use].waiting;
    while (buffers_has_large(buffers, use) && !list_is_empty(line)) {
        const struct list *first = line->next;
        receive(CONTAINER_OF(line->next, struct link, waiting));
        must(line->next != first || !buffers_has_large(buffers, use));
    }
}

static void on_given(struct env_op *op) {
    struct buffers *buffers = CONTAINER_OF(op, struct buffers, wake_op);
    struct node *node = CONTAINER_OF(buffers, struct node, link_buffers);
    buffers->is_waking = false;
    for (int use = 0; use < BUFFER_USES; use++) wake_line(buffers, (enum buffer_use)use);
    bool was_refused = buffers->was_refused;
    buffers->was_refused = false;
    if (was_refused) peers_on_room(node);
}

// Who waits for it is not heard in the middle of what somebody else does.
static void give(struct link *link, enum buffer_use use, struct buffer buffer) {
    struct buffers *buffers = buffers_of(link);
    if (buffer.bytes == NULL) return;
    buffers_give(buffers, use, buffer);
    if (buffers->is_waking || !buffers_are_short(buffers)) return;
    buffers->is_waking = true;
    buffers->wake_op.done = on_given;
    env_later(link->node->env, &buffers->wake_op);
}

static void drop_out(struct link *link) {
    give(link, use_of_out(link), link->out);
    link->out.bytes = NULL;
    link->out_size = 0;
}

// Takes along what there is, which fits.
static void move_out(struct link *link, enum buffer_size size) {
    struct buffer former = link->out;
    link->out = buffers_take(buffers_of(link), use_of_out(link), size);
    if (former.bytes != NULL) memcpy(link->out.bytes, former.bytes, link->out_size);
    give(link, use_of_out(link), former);
}

static void move_in(struct link *link, enum buffer_size size) {
    struct buffer former = link->in;
    if (former.size == size) return;
    link->in = (struct buffer){link->tiny, BUFFER_TINY};
    if (size != BUFFER_TINY) link->in = buffers_take(buffers_of(link), use_of_in(link), size);
    link->in_since = node_waking(link->node);
    memcpy(link->in.bytes, former.bytes, link->in_size);
    if (former.size != BUFFER_TINY) give(link, use_of_in(link), former);
}

static void drop_in(struct link *link) {
    if (link->is_taking) return;
    link->in_size = 0;
    move_in(link, BUFFER_TINY);
}

bool link_is_hoarding(const struct link *link) {
    if (!buffers_are_short(buffers_of(link))) return false;
    uint64_t now = node_waking(link->node);
    bool has_out = link->out.bytes != NULL && link->out.size == BUFFER_LARGE;
    bool has_sent = link->sending.bytes != NULL && (link->sending.size == BUFFER_LARGE || has_out);
    if (has_sent && now - link->sent_since > HOLD_MAX_NS) return true;
    bool has_in = link->in.size == BUFFER_LARGE && !link->is_stalled;
    return has_in && now - link->in_since > HOLD_MAX_NS;
}

// A closing link is free once the env has given everything back.
static void free_if_idle(struct link *link) {
    must(link->state == LINK_CLOSING);
    if (link->is_connecting || link->is_receiving || link->is_sending || link->is_flushing) return;
    drop_in(link);
    drop_out(link);
    enter(link, LINK_FREE);
    link->socket = NULL;
    peers_on_closed(link);
}

void link_shut(struct link *link) {
    if (is_ended(link)) return;
    enter(link, LINK_CLOSING);
    list_remove(&link->waiting);
    if (!link->is_connecting && link->socket != NULL) env_shut(link->node->env, link->socket);
    free_if_idle(link);
}

// Sending.

static void send_gathered(struct link *link);

static void on_sent(struct env_op *op) {
    struct link *link = CONTAINER_OF(op, struct link, out_op);
    link->is_sending = false;
    give(link, use_of_out(link), link->sending);
    link->sending.bytes = NULL;
    if (link->state == LINK_CLOSING) {
        free_if_idle(link);
    } else if (op->status != ST_OK) {
        link_shut(link);
    } else {
        send_gathered(link);
        if (link->is_stalled) receive(link);
    }
}

// Frames are often smaller than there was room for.
static void fit_what_is_sent(struct link *link) {
    const struct buffers *buffers = buffers_of(link);
    enum buffer_size size = buffers_size_for(buffers, link->out_size);
    if (!buffers->is_ample && link->out.size > size) move_out(link, size);
}

static void send_gathered(struct link *link) {
    if (link->out_size == 0) return;
    must(!link->is_sending);
    must(!link->is_flushing);
    fit_what_is_sent(link);
    uint32_t size = link->out_size;
    link->sending = link->out;
    link->sent_since = node_waking(link->node);
    link->out.bytes = NULL;
    link->out_size = 0;
    link->is_sending = true;
    link->out_op.done = on_sent;
    env_send(link->node->env, &link->out_op, link->socket, link->sending.bytes, size);
}

static void on_flush(struct env_op *op) {
    struct link *link = CONTAINER_OF(op, struct link, out_op);
    link->is_flushing = false;
    if (link->state == LINK_CLOSING) {
        free_if_idle(link);
    } else {
        send_gathered(link);
    }
}

static bool has_large_out(const struct link *link) {
    if (link->out.bytes != NULL && link->out.size == BUFFER_LARGE) return true;
    return buffers_has_large(buffers_of(link), use_of_out(link));
}

// Bytes that can be gathered beside those that are.
static uint32_t room(const struct link *link) {
    uint32_t most = has_large_out(link) ? buffers_of(link)->capacity : BUFFER_MEDIUM_SIZE;
    return most - link->out_size;
}

static struct writer begin_frame(struct link *link, uint32_t body_max) {
    must(link->frame == NULL);
    if (room(link) < FRAME_HEADER_SIZE + body_max) {
        if (link->is_dialer && !has_large_out(link)) buffers_of(link)->was_refused = true;
        return (struct writer){.failed = true};
    }
    uint32_t bytes = link->out_size + FRAME_HEADER_SIZE + body_max;
    enum buffer_size size = buffers_size_for(buffers_of(link), bytes);
    if (link->out.bytes == NULL || link->out.size < size) move_out(link, size);
    link->frame = link->out.bytes + link->out_size;
    return writer_to(link->frame + FRAME_HEADER_SIZE, body_max);
}

static bool end_frame(struct link *link, enum message_type type, const struct writer *body,
                      const struct mac_key *key, uint64_t number) {
    uint8_t *bytes = link->frame;
    link->frame = NULL;
    if (body->failed) {
        if (link->out_size == 0) drop_out(link);
        return false;
    }
    struct node *node = link->node;
    struct frame header = {.type = (uint8_t)type, .epoch = node->map.epoch};
    memcpy(header.cluster, node->cluster.bytes, sizeof(header.cluster));
    frame_seal(bytes, (uint32_t)body->size, &header, key, number);
    link->out_size += FRAME_HEADER_SIZE + (uint32_t)body->size;
    node->stats.frames_sent++;
    if (!link->is_flushing && !link->is_sending) {
        link->is_flushing = true;
        link->out_op.done = on_flush;
        env_later(node->env, &link->out_op);
    }
    return true;
}

struct writer link_begin(struct link *link, uint32_t body_max) {
    if (!link_is_open(link)) return (struct writer){.failed = true};
    return begin_frame(link, body_max);
}

bool link_end(struct link *link, enum message_type type, const struct writer *body) {
    uint64_t number = link->sent;
    if (!body->failed) link->sent++;
    return end_frame(link, type, body, &link->send_key, number);
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

// Requests are taken only while there is room for the largest answer: else until what was gathered
// before is sent, or until somebody gives a buffer back.
static bool must_stall(struct link *link) {
    bool has_room = link->state != LINK_OPEN || link->is_dialer ||
                    room(link) >= FRAME_HEADER_SIZE + link->node->message_max;
    if (!has_room && !has_large_out(link)) {
        stand_in_line(link, use_of_out(link));
    } else {
        leave_line(link, use_of_out(link));
    }
    return !has_room;
}

// Of a frame that is there in part *size is set, too, once its header is; else it is 0.
static enum status peek(const struct link *link, uint32_t at, uint32_t size_max, uint32_t *size) {
    struct slice rest = {link->in.bytes + at, link->in_size - at};
    *size = 0;
    enum status st = frame_peek(rest, size_max - FRAME_HEADER_SIZE, size);
    return st == ST_OK && *size > rest.size ? ST_BUSY : st;
}

// Tells the node of some frames that stand behind one another. Gives the place behind them.
static uint32_t look_ahead(struct link *link, uint32_t at) {
    uint32_t size = 0;
    uint32_t end = at;
    for (uint32_t i = 0; i < FRAMES_AHEAD; i++, end += size) {
        if (peek(link, end, buffers_of(link)->capacity, &size) != ST_OK) break;
        bool is_alone = i == 0 && end + size == link->in_size;
        if (is_alone) return link->in_size;
        struct slice body = {link->in.bytes + end + FRAME_HEADER_SIZE, size - FRAME_HEADER_SIZE};
        node_expect_frame(link->node, frame_type(link->in.bytes + end), body);
    }
    node_expect_no_more(link->node);
    return end;
}

// Returns the place behind those that were taken.
static uint32_t take_whole_frames(struct link *link) {
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
        uint32_t most = link_is_open(link) ? buffers_of(link)->capacity : BUFFER_SMALL_SIZE;
        enum status st = peek(link, at, most, &size);
        if (st == ST_BUSY) break;
        if (st != ST_OK) {
            link_refuse(link, st == ST_TOO_LARGE ? "too-large" : "not-a-frame");
            break;
        }
        take_frame(link, link->in.bytes + at, size);
        at += size;
    }
    return at;
}

static void take_frames(struct link *link) {
    link->is_taking = true;
    uint32_t at = take_whole_frames(link);
    link->is_taking = false;
    if (link->state == LINK_FREE) drop_in(link);
    if (is_ended(link)) return;
    memmove(link->in.bytes, link->in.bytes + at, link->in_size - at);
    link->in_size -= at;
    if (at > 0) link->in_since = node_waking(link->node);
}

// The buffer that what is to come asks for. Where large ones are few, one is held only while a
// frame that needs it is there in part.
static enum buffer_size wanted_in(const struct link *link) {
    const struct buffers *buffers = buffers_of(link);
    if (buffers->is_ample) return link->has_keys ? BUFFER_LARGE : BUFFER_SMALL;
    uint32_t size = 0;
    (void)peek(link, 0, buffers->capacity, &size);
    enum buffer_size wanted = buffers_size_for(buffers, size);
    bool is_busy = link->in_size > 0 && link->has_more && link_is_open(link);
    return is_busy && wanted < BUFFER_MEDIUM ? BUFFER_MEDIUM : wanted;
}

// False: the link waits in line, and goes on when it is its turn.
static bool fit_in(struct link *link) {
    struct buffers *buffers = buffers_of(link);
    enum buffer_use use = use_of_in(link);
    enum buffer_size wanted = wanted_in(link);
    if (wanted == BUFFER_LARGE && link->in.size != BUFFER_LARGE) {
        bool is_next = buffers_is_next(buffers, use, &link->waiting);
        if (!is_next || !buffers_has_large(buffers, use)) {
            stand_in_line(link, use);
            return false;
        }
    }
    leave_line(link, use);
    move_in(link, wanted);
    return true;
}

static void receive(struct link *link) {
    bool was_stalled = link->is_stalled;
    take_frames(link);
    if (is_ended(link)) return;
    if (was_stalled) link->in_since = node_waking(link->node);
    // Who waits for room to answer takes nothing more meanwhile.
    if (link->is_stalled) leave_line(link, use_of_in(link));
    if (link->is_stalled || link->is_receiving || !fit_in(link)) return;
    uint32_t size = buffers_bytes_of(buffers_of(link), link->in.size);
    must(link->in_size < size);
    link->is_receiving = true;
    link->in_op.done = on_received;
    env_recv(link->node->env, &link->in_op, link->socket, link->in.bytes + link->in_size,
             size - link->in_size);
}

static void on_received(struct env_op *op) {
    struct link *link = CONTAINER_OF(op, struct link, in_op);
    link->is_receiving = false;
    if (link->state == LINK_CLOSING) {
        free_if_idle(link);
    } else if (op->status != ST_OK || op->size == 0) {
        link_shut(link);
    } else {
        link->heard = node_waking(link->node);
        link->asked = 0;
        link->in_size += op->size;
        link->has_more = op->size == op->wanted;
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
    struct link *link = CONTAINER_OF(op, struct link, in_op);
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
    struct writer w = begin_frame(link, MESSAGE_HELLO_MAX);
    peers_describe(node, link->nonce, &w);
    must(end_frame(link, MESSAGE_HELLO, &w, &node->options.secret, 0));
    receive(link);
}

void link_dial(struct link *link, uint32_t peer, const char *address) {
    begin_life(link, true, peer);
    enter(link, LINK_DIALING);
    link->is_connecting = true;
    uint32_t size = (uint32_t)strlen(address) + 1;
    move_in(link, buffers_size_for(buffers_of(link), size)); // until it is connected
    memcpy(link->in.bytes, address, size);
    link->in_op.done = on_connected;
    env_connect(link->node->env, &link->in_op, (const char *)link->in.bytes, &link->socket);
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
    struct writer w = begin_frame(link, MESSAGE_HELLO_MAX);
    peers_describe(link->node, link->nonce, &w);
    // It is the first that goes out, so it fits a small buffer.
    must(end_frame(link, MESSAGE_WELCOME, &w, &link->node->options.secret, nonce));
    take_keys(link, nonce);
}

void link_tell_taken(struct link *link, bool is_certain, uint64_t nonce) {
    must(link->state == LINK_GREETING);
    must(!link->is_dialer);
    const struct message_taken taken = {.is_certain = is_certain};
    struct writer w = begin_frame(link, MESSAGE_HELLO_MAX);
    message_taken_encode(&taken, &w);
    (void)end_frame(link, MESSAGE_TAKEN, &w, &link->node->options.secret, nonce);
}

void link_tell_stranger(struct link *link, uint64_t storage, uint64_t nonce) {
    must(link->state == LINK_GREETING);
    must(!link->is_dialer);
    const struct message_stranger stranger = {.storage = storage};
    struct writer w = begin_frame(link, MESSAGE_HELLO_MAX);
    message_stranger_encode(&stranger, &w);
    (void)end_frame(link, MESSAGE_STRANGER, &w, &link->node->options.secret, nonce);
}

void link_opened(struct link *link, uint64_t nonce) {
    must(link->state == LINK_GREETING);
    must(link->is_dialer);
    take_keys(link, nonce);
    enter(link, LINK_OPEN);
}
