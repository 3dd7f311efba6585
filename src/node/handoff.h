// SPDX-License-Identifier: Apache-2.0
//
// handoff.h -- bringing hints to the members they are for, once these can be reached.
//
// Hints stand in the order of their targets, and it goes around: a batch for one target, from where
// its last one ended, then one for the next that can be reached. Each hint is a PUT like others,
// and goes when its target has said that it holds the record durably, if it is still what was sent.
// What has come to nothing is tried again the next time around. After a batch it rests for three
// times as long as that took: so the pace is that of the target, and at most a quarter of what it
// could do. While clients have to wait here it rests longer (model/pace.h), but the less so the
// more of the room for hints is taken.
//
//     RESTING --on_step--> LISTING --on_listed--> SENDING --end_batch--> RESTING
//
// A record that was kept carries the round of purging of when it was minted, by a replica that held
// it durably. So one that is refused for its round (ST_FENCED) is superseded by what was purged, or
// it is on that replica, and comparing brings it: the hint can go. What one who stands in has
// minted is sent in the present round, and stays until it is held (hints.h).
#ifndef QUOIT_NODE_HANDOFF_H
#define QUOIT_NODE_HANDOFF_H

#include "base/timer.h"
#include "model/hint.h"
#include "store/store.h"
#include "wire/message.h"

struct node;

enum {
    HANDOFF_BATCH = 16,
    HANDOFF_BYTES_MAX = 256 * 1024, // of a batch; a larger hint goes alone
};

enum handoff_state { HANDOFF_RESTING, HANDOFF_LISTING, HANDOFF_SENDING };

// Where the next batch for a member begins, if not at its first hint; and what it will not take as
// long as it holds what it holds.
struct hint_place {
    uint8_t after[HINT_KEY_SIZE];
    bool is_set;
    uint32_t refused;        // hints, since the first of them
    uint32_t refused_before; // the last time around
};

struct handoff_item {
    struct node *node;
    uint8_t hint_key[HINT_KEY_SIZE];
    uint8_t *value; // buffer: the hint
    uint64_t hash;  // of the value
    uint16_t keyspace;
    struct hint hint;    // lent from `value`
    uint32_t sent_round; // of purging
    bool is_waiting;     // for the target's word
    bool is_stored;      // the store has `read` or `removal`
    bool is_dropped;     // nobody can need it any more
    struct store_read read;
    struct store_write removal;
};

struct handoff {
    enum handoff_state state;
    struct timer step;
    enum hint_kind kind;          // of the list, and of the batch
    uint8_t after[HINT_KEY_SIZE]; // where the list begins
    uint32_t target;              // likewise
    uint32_t next;                // the target whose hints end the list; MEMBERS_MAX: none does
    uint64_t began;               // ns
    uint64_t serial;              // of the batch
    bool has_moved;               // a hint of the batch is gone
    bool has_given_up;            // waiting for the rest of it
    uint32_t ends;                // how often a kind came to its end since the last batch
    bool has_room;                // in memory, for the list
    struct store_scan scan;
    uint32_t count;
    uint32_t size; // bytes
    struct handoff_item items[HANDOFF_BATCH];
};

void handoff_init(struct node *node);

// This member serves from now on.
void handoff_start(struct node *node);
void handoff_stop(struct node *node);

// Hints that their targets have refused for good, as far as is known: the last time around, or
// since.
uint64_t handoff_stuck(const struct node *node);

// True while the store works for it.
bool handoff_is_busy(const struct node *node);

void handoff_on_answer(struct node *node, uint32_t member, const struct message_put_done *m);
void handoff_on_lost(struct node *node, uint32_t member);

#endif
