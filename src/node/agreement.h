// SPDX-License-Identifier: Apache-2.0
//
// agreement.h -- keyspaces come, change and go.
//
// Definitions are in the map; a new epoch of it carries a change to all members. What would move
// keys is made in two epochs, so that no key is ever in two places:
//
//     CREATE   nothing -> COMING -> ACTIVE      DROP   ACTIVE -> GOING -> nothing
//     ALTER of copies or conflict rule: the old definition goes while a new one of that name comes
//
// While it comes or goes, a keyspace takes neither reads nor writes: a member that has the first
// epoch refuses, when it applies them, writes to where the keys would have been before. So once all
// members have that epoch and have looked, it is certain what there is:
//
//     COMING   no key of that name lies in `default`     GOING   no key of it is live
//
// The first member that is up and has a vote asks the others, in each round of gossip, and proposes
// the second epoch: that the keyspace has come or gone or, where keys were found or somebody does
// not answer for long, that everything is as it was. Any member may do so at any time, two at once
// even: what was found is true for as long as the epoch is the newest, and a proposal is about one
// epoch.
//
// FLUSH gives all keyspaces new numbers in one epoch. Replicas refuse what speaks of an old one,
// and the change is done when all members have the epoch: no older write can then come to stay
// anywhere. What a member still holds under numbers that are gone it drops.
#ifndef QUOIT_NODE_AGREEMENT_H
#define QUOIT_NODE_AGREEMENT_H

#include "node/node.h"
#include "wire/message.h"

struct link;

// Whether this member holds keys that stand in the way, of each keyspace that comes or goes.
struct agreement_look {
    struct store_scan scan;
    uint8_t begin[NAME_SIZE_MAX + 1]; // of the keys that the scan looks for
    struct env_op op;
    uint64_t epoch; // of the map; 0: never looked
    uint32_t place; // being looked at
    uint32_t slot;
    bool is_tagged; // looking for keys behind a hash tag, else for the others
    bool is_found;  // the scan has come to one
    bool is_busy;   // the store or the loop comes back
    bool is_over;
    uint8_t held; // bit i: keys stand in the way of the keyspace at place i
};

// What the first member that is up has heard.
struct agreement_question {
    uint64_t id;
    uint64_t epoch; // of the map; 0: nothing was asked yet
    uint64_t since; // when this epoch was first asked about, ns
    uint32_t answered_count;
    uint8_t answered[MEMBERS_MAX / 8];
    uint8_t held;
    bool is_deciding; // `decision` is being proposed
    struct map_change decision;
};

struct agreement {
    struct agreement_look look;
    struct agreement_question question;
    struct list changes; // of this member's clients
    uint64_t since;      // when the map came, ns
    bool is_dropping;    // the store forgets a keyspace that is gone
};

void agreement_init(struct node *node);

// Ends the changes of clients that were in the map once, whatever becomes of them.
void agreement_stop(struct node *node);

// There is a map, or a new one: the store hears how to compress what it writes of each keyspace.
void agreement_tell_store(struct node *node);

// The map has a new epoch.
void agreement_on_map(struct node *node);

// What this member holds may be more than when it looked.
void agreement_look_again(struct node *node);

// What there is to do now; called in each round of gossip.
void agreement_step(struct node *node);

// True while the store or the loop is to come back.
bool agreement_is_busy(const struct node *node);

void agreement_on_question(struct node *node, struct link *link, const struct message_keyspaces *m);
void agreement_on_answer(struct node *node, uint32_t member,
                         const struct message_keyspaces_done *m);

#endif
