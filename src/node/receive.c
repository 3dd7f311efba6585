// SPDX-License-Identifier: Apache-2.0
#include "node/receive.h"

#include "node/compare.h"
#include "node/epoch.h"
#include "node/forward.h"
#include "node/gather.h"
#include "node/genesis.h"
#include "node/gossip.h"
#include "node/hints.h"
#include "node/inquiry.h"
#include "node/internal.h"
#include "node/purge_answer.h"
#include "node/read.h"
#include "node/reconcile.h"
#include "node/replica_survey.h"
#include "node/survey.h"
#include "node/write.h"

// False: the body is not what its type says.
typedef bool receive(struct node *node, struct link *link, struct slice body);

// Requests.

static bool receive_founded(struct node *node, struct link *link, struct slice body) {
    (void)link;
    genesis_on_founded(node, body);
    return true;
}

static bool receive_gossip(struct node *node, struct link *link, struct slice body) {
    gossip_receive(node, link, body);
    return true;
}

#define RECEIVE_REQUEST(name, handler)                                                             \
    static bool receive_##name(struct node *node, struct link *link, struct slice body) {          \
        struct message_##name m;                                                                   \
        if (message_##name##_decode(&m, body) != ST_OK) return false;                              \
        handler(node, link, &m);                                                                   \
        return true;                                                                               \
    }

RECEIVE_REQUEST(put, replica_on_put)
RECEIVE_REQUEST(get, replica_on_get)
RECEIVE_REQUEST(forward, forward_receive)
RECEIVE_REQUEST(scan, replica_on_scan)
RECEIVE_REQUEST(count, replica_on_count)
RECEIVE_REQUEST(branches, compare_on_branches)
RECEIVE_REQUEST(digests, compare_on_digests)
RECEIVE_REQUEST(leaves, compare_on_leaves)
RECEIVE_REQUEST(compare, compare_on_keys)
RECEIVE_REQUEST(prepare, epoch_on_prepare)
RECEIVE_REQUEST(accept, epoch_on_accept)
RECEIVE_REQUEST(keyspaces, agreement_on_question)
RECEIVE_REQUEST(fences, purge_on_fences)
RECEIVE_REQUEST(purge, purge_check)
RECEIVE_REQUEST(erase, purge_on_erase)
RECEIVE_REQUEST(hint, hints_on_hint)
RECEIVE_REQUEST(vouch, inquiry_on_vouch)

// Answers. One that comes too late finds no operation, and that is all.

static void put_answered(struct operation *o, uint32_t member, const struct message_put_done *m) {
    switch (o->kind) {
    case REQUEST_READ:
        read_on_repaired(o, member, m->status);
        return;
    case REQUEST_REPLACE:
    case REQUEST_WRITE:
        write_on_answer(o, member, m);
        return;
    case REQUEST_RANGE:
    case REQUEST_SCAN:
    case REQUEST_COUNT:
        return; // put nothing
    }
    unreachable();
}

#define RECEIVE_ANSWER(name, handler)                                                              \
    static bool receive_##name(struct node *node, struct link *link, struct slice body) {          \
        struct message_##name m;                                                                   \
        if (message_##name##_decode(&m, body) != ST_OK) return false;                              \
        struct operation *o = operation_find(node, m.id);                                          \
        if (o != NULL) handler(o, link->peer, &m);                                                 \
        return true;                                                                               \
    }

RECEIVE_ANSWER(hint_done, write_on_hinted)
RECEIVE_ANSWER(get_done, read_on_answer)
RECEIVE_ANSWER(forward_done, forward_on_answer)
RECEIVE_ANSWER(scan_done, gather_on_answer)
RECEIVE_ANSWER(count_done, count_on_answer)

static bool receive_put_done(struct node *node, struct link *link, struct slice body) {
    struct message_put_done m;
    if (message_put_done_decode(&m, body) != ST_OK) return false;
    if ((m.id & MESSAGE_ID_HANDOFF) != 0) {
        handoff_on_answer(node, link->peer, &m);
        return true;
    }
    struct operation *o = operation_find(node, m.id);
    if (o != NULL) put_answered(o, link->peer, &m);
    return true;
}

// Of something that has no operation.
#define RECEIVE_REPLY(name, handler)                                                               \
    static bool receive_##name(struct node *node, struct link *link, struct slice body) {          \
        struct message_##name m;                                                                   \
        if (message_##name##_decode(&m, body) != ST_OK) return false;                              \
        handler(node, link->peer, &m);                                                             \
        return true;                                                                               \
    }

RECEIVE_REPLY(branches_done, reconcile_on_branches_done)
RECEIVE_REPLY(digests_done, reconcile_on_digests_done)
RECEIVE_REPLY(leaves_done, reconcile_on_leaves_done)
RECEIVE_REPLY(compare_done, reconcile_on_compare_done)
RECEIVE_REPLY(promise, epoch_on_promise)
RECEIVE_REPLY(accepted, epoch_on_accepted)
RECEIVE_REPLY(keyspaces_done, agreement_on_answer)
RECEIVE_REPLY(purge_done, purge_on_answer)

// A link carries the requests of the member that dialled it, and the answers to them. Gossip is its
// own answer, and so are fences.
static const struct {
    receive *handle;
    bool is_request;
    bool is_answer;
} table[MESSAGE_TYPES] = {
    [MESSAGE_FOUNDED] = {receive_founded, .is_request = true},
    [MESSAGE_GOSSIP] = {receive_gossip, .is_request = true, .is_answer = true},
    [MESSAGE_PUT] = {receive_put, .is_request = true},
    [MESSAGE_PUT_DONE] = {receive_put_done, .is_answer = true},
    [MESSAGE_GET] = {receive_get, .is_request = true},
    [MESSAGE_GET_DONE] = {receive_get_done, .is_answer = true},
    [MESSAGE_FORWARD] = {receive_forward, .is_request = true},
    [MESSAGE_FORWARD_DONE] = {receive_forward_done, .is_answer = true},
    [MESSAGE_SCAN] = {receive_scan, .is_request = true},
    [MESSAGE_SCAN_DONE] = {receive_scan_done, .is_answer = true},
    [MESSAGE_COUNT] = {receive_count, .is_request = true},
    [MESSAGE_COUNT_DONE] = {receive_count_done, .is_answer = true},
    [MESSAGE_BRANCHES] = {receive_branches, .is_request = true},
    [MESSAGE_BRANCHES_DONE] = {receive_branches_done, .is_answer = true},
    [MESSAGE_LEAVES] = {receive_leaves, .is_request = true},
    [MESSAGE_LEAVES_DONE] = {receive_leaves_done, .is_answer = true},
    [MESSAGE_DIGESTS] = {receive_digests, .is_request = true},
    [MESSAGE_DIGESTS_DONE] = {receive_digests_done, .is_answer = true},
    [MESSAGE_COMPARE] = {receive_compare, .is_request = true},
    [MESSAGE_COMPARE_DONE] = {receive_compare_done, .is_answer = true},
    [MESSAGE_PREPARE] = {receive_prepare, .is_request = true},
    [MESSAGE_PROMISE] = {receive_promise, .is_answer = true},
    [MESSAGE_ACCEPT] = {receive_accept, .is_request = true},
    [MESSAGE_ACCEPTED] = {receive_accepted, .is_answer = true},
    [MESSAGE_KEYSPACES] = {receive_keyspaces, .is_request = true},
    [MESSAGE_KEYSPACES_DONE] = {receive_keyspaces_done, .is_answer = true},
    [MESSAGE_FENCES] = {receive_fences, .is_request = true, .is_answer = true},
    [MESSAGE_PURGE] = {receive_purge, .is_request = true},
    [MESSAGE_PURGE_DONE] = {receive_purge_done, .is_answer = true},
    [MESSAGE_ERASE] = {receive_erase, .is_request = true},
    [MESSAGE_HINT] = {receive_hint, .is_request = true},
    [MESSAGE_HINT_DONE] = {receive_hint_done, .is_answer = true},
    [MESSAGE_VOUCH] = {receive_vouch, .is_request = true},
};

static const char *why_not(struct node *node, struct link *link, const struct frame *frame) {
    bool is_newcomer = join_is_newcomer(node);
    bool is_foreign = memcmp(frame->cluster, node->cluster.bytes, CLUSTER_ID_SIZE) != 0;
    if (is_foreign && !is_newcomer) return "other-cluster";
    if (frame->type >= MESSAGE_TYPES || table[frame->type].handle == NULL) return "unknown-type";
    bool has_place = link->is_dialer ? table[frame->type].is_answer : table[frame->type].is_request;
    if (!has_place) return "out-of-place";
    if (is_newcomer && frame->type != MESSAGE_FOUNDED) return NULL; // it knows nobody yet
    node->peers[link->peer].epoch = frame->epoch;
    return table[frame->type].handle(node, link, frame->body) ? NULL : "malformed";
}

void node_expect_frame(struct node *node, uint8_t type, struct slice body) {
    struct message_put put;
    struct message_get get;
    if (type == MESSAGE_PUT && message_put_decode(&put, body) == ST_OK) {
        node_expect(node, put.key);
    } else if (type == MESSAGE_GET && message_get_decode(&get, body) == ST_OK) {
        node_expect(node, get.key);
    }
}

void node_receive(struct node *node, struct link *link, const struct frame *frame) {
    const char *why = why_not(node, link, frame);
    if (why == NULL) return;
    node->stats.frames_refused++;
    env_log(node->env, ENV_WARNING, "message refused type=%s why=%s",
            message_name((enum message_type)frame->type), why);
    link_shut(link);
}
