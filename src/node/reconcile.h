// SPDX-License-Identifier: Apache-2.0
//
// reconcile.h -- making two members hold the same, whatever happened to them.
//
// When a link to a peer opens, and once in a while, the member that comes first in the map compares
// all slots that both hold with the peer:
//
//     DIGESTS   one number per slot of a keyspace; the peer says which differ
//     COMPARE   for each of these, part by part: keys with a number each; the peer sends the
//     records
//               that we lack or hold differently and names those it lacks or holds differently
//               itself; we merge the ones and send the others
//
// Keyspace by keyspace. One question is under way at a time, parts are bounded, and a pause follows
// each, so that comparing never crowds out clients. A member that is mending compares with
// everybody, first in the map or not, and has its vote back when it has been through with all.
#ifndef QUOIT_NODE_RECONCILE_H
#define QUOIT_NODE_RECONCILE_H

#include "base/timer.h"
#include "node/operation.h"
#include "wire/message.h"

enum reconcile_state { RECONCILE_IDLE, RECONCILE_DIGESTS, RECONCILE_COMPARE };

// The part of a slot that is being listed for a question.
struct listing {
    struct store_scan scan;
    uint64_t id; // of the question
    struct writer entries;
    uint32_t count;
    bool is_cut;
    bool is_under_way;
};

struct reconcile {
    enum reconcile_state state;
    uint8_t due[MEMBERS_MAX / 8];     // peers to be compared with
    uint8_t through[MEMBERS_MAX / 8]; // while mending: peers compared with, without a hitch
    uint32_t peer;
    uint64_t id;    // of the question under way
    uint32_t place; // of the keyspace being compared, and its number
    uint16_t keyspace;
    uint32_t slot;   // DIGESTS: first of the stretch; else the one being compared
    uint8_t *differ; // bitmap of SLOT_COUNT slots
    uint8_t *after;  // the key up to which the slot was compared
    uint32_t after_size;
    struct listing listing;
    uint8_t *listed;    // bytes of its entries
    uint32_t comparing; // questions of others that wait for the store
    uint64_t losses;    // of the store, when it began to go through with all
    bool had_hitch;
    bool is_pausing;   // between two parts
    uint32_t merging;  // records taken from the peer and not yet durable here, or being read for it
    uint32_t moved;    // slots and records since the last pause
    uint32_t stuck;    // questions in a row that came to nothing
    struct timer step; // the pause, or the time-out of the question
    struct timer round; // until everybody is due again
};

void reconcile_init(struct node *node, struct arena *arena);
size_t reconcile_memory_size(void);
void reconcile_start(struct node *node);
void reconcile_stop(struct node *node);

// This member has begun to mend: it compares with everybody, from the start.
void reconcile_with_all(struct node *node);

// True while the store works for it.
bool reconcile_is_scanning(const struct node *node);

// The map has changed: there may be keyspaces that were not compared.
void reconcile_on_map(struct node *node);

// The link to a peer has opened.
void reconcile_on_open(struct node *node, uint32_t member);
void reconcile_on_lost(struct node *node, uint32_t member);

void reconcile_on_digests(struct node *node, struct link *link, const struct message_digests *m);
void reconcile_on_digests_done(struct node *node, uint32_t member,
                               const struct message_digests_done *m);
void reconcile_on_compare(struct node *node, struct link *link, const struct message_compare *m);
void reconcile_on_compare_done(struct node *node, uint32_t member,
                               const struct message_compare_done *m);

#endif
