// SPDX-License-Identifier: Apache-2.0
//
// epoch.h -- the members agree on the next map.
//
// Map e+1 is what one instance of model/paxos.h chooses, whose acceptors are the members of map e.
// Whoever wants a change proposes it; whoever finds that something was accepted long ago, and not
// heard of since, proposes that again, since its proposer may be gone. Nobody leads.
//
// What was chosen is adopted: stored, then used, then told to everybody who has an older map, as
// FOUNDED is (genesis.h). Who was away learns of the latest map only, and which changes have made
// the ones before.
//
// A member votes in the instance that follows its own map, and in no other. A member that mends may
// have forgotten votes, and is reset from then on. It cannot know how far its map had come. But
// whoever could make something of what it forgot has a map that was no older; and it has compared
// with all members before it is whole. So it is reset in the instances up to the one that follows
// the latest map any of them has.
//
// Where a member has lost its disk, and an operator says so (replace.h), all others together may
// decide, whatever they have forgotten: else a cluster of two, or one of three of which another one
// is reset, could never have it replaced.
//
// A member that was given an older copy of its disk, and has not found out, may vote against what
// it has forgotten. If that makes two maps of one epoch, which gossip shows, all take the one whose
// author is the greater number.
//
// The phases of a proposer, and the function that performs each arrow:
//
//     IDLE --propose--> PREPARING --ask_to_accept--> ACCEPTING --adopt--> IDLE
//     PREPARING, ACCEPTING --rest, or on_timer--> IDLE   (to begin again under a higher ballot)
#ifndef QUOIT_NODE_EPOCH_H
#define QUOIT_NODE_EPOCH_H

#include "base/list.h"
#include "base/timer.h"
#include "model/lineage.h"
#include "model/map.h"
#include "model/paxos.h"
#include "wire/message.h"

struct link;
struct node;

enum epoch_phase { EPOCH_IDLE, EPOCH_PREPARING, EPOCH_ACCEPTING };

// An answer that goes out when the vote is durable.
struct epoch_answer {
    enum message_type type; // PROMISE or ACCEPTED
    uint64_t ballot;        // 0: there is none
    uint32_t member;        // who has asked: this one, or
    struct link *link;      // by that link
    uint64_t life;          // of the link
};

struct epoch {
    struct lineage lineage; // of node->map

    // The acceptor.
    struct paxos_vote vote;
    uint8_t *accepted; // the value of vote.accepted
    size_t accepted_size;
    uint64_t overdue; // when it is to be proposed again, ns
    struct epoch_answer due;

    // The proposer.
    enum epoch_phase phase;
    struct paxos_proposal proposal;
    uint8_t *value; // proposed
    size_t value_size;
    uint64_t round; // the highest that was heard of in this instance
    uint32_t tries; // of the first change
    uint32_t told;  // members before this one were asked to accept
    struct list changes;
    struct timer timer; // of the phase, or until the next try

    // Being adopted; else for use within one callback. Before there is a map: genesis.h.
    struct map next;
    struct lineage next_lineage;
    bool is_adopting;
    uint64_t refusal_logged;
};

void epoch_init(struct node *node, struct arena *arena);
size_t epoch_memory_size(uint32_t members_max, size_t fact_size_max);

// Bytes that the fact of a vote has beyond a map's.
enum { EPOCH_VOTE_SIZE = 4 * 8 + 4 };

// The fact "vote": u64 instance, u64 promised, u64 accepted, u64 reset until, u32 size, value.
void epoch_encode_vote(const struct node *node, struct writer *w);
NODISCARD enum status epoch_decode_vote(struct node *node, struct slice bytes);

// There is a map, or a new one: votes of instances that are over do not count.
void epoch_begin(struct node *node);

// This member may have forgotten what it has promised and accepted.
void epoch_forget(struct node *node);

// What there is to do now and then: propose again what is overdue, find out when a vote that was
// forgotten counts once more, store what could not be stored. Called in each round of gossip.
void epoch_step(struct node *node);

// There is room again for requests: who could not be asked yet is.
void epoch_on_room(struct node *node);

// The node stops: changes under way are ended in this turn.
void epoch_stop(struct node *node);

// The state of the vote, or the map that is being adopted, is durable.
void epoch_on_vote_stored(struct node *node);
void epoch_on_map_stored(struct node *node);

// A peer gives us a map while we serve under another one.
void epoch_on_told(struct node *node, struct slice body);

// A peer says which change has made the map that it has.
void epoch_on_author(struct node *node, uint32_t member, uint64_t author);

void epoch_on_prepare(struct node *node, struct link *link, const struct message_prepare *m);
void epoch_on_promise(struct node *node, uint32_t member, const struct message_promise *m);
void epoch_on_accept(struct node *node, struct link *link, const struct message_accept *m);
void epoch_on_accepted(struct node *node, uint32_t member, const struct message_accepted *m);

#endif
