// SPDX-License-Identifier: Apache-2.0
//
// paxos.h -- members agree on one value, whoever proposes, and whatever gets lost on the way.
//
// Single-decree Paxos (Lamport, "Paxos Made Simple", 2001), once for each instance: an instance is
// a number, and at most one value is ever chosen in it. The value is bytes that the owner keeps
// beside the structures of this file; which value goes with which ballot is all that is said here.
//
//     proposer                            acceptor
//     PREPARE b  ------------------------>  has promised less: promises b, durably
//            <--------------------  PROMISE b, and what it has accepted, under which ballot
//     a quorum has promised: the value accepted under the highest ballot, or one of its own
//     ACCEPT b, value  ------------------>  has promised no more than b: accepts, durably
//            <--------------------  ACCEPTED b
//     a quorum has accepted: the value is chosen
//
// A ballot is promised once. So of two lives of one proposer, the later of which has forgotten the
// ballots of the first, at most one gets a quorum under a ballot.
//
// An acceptor whose disk was lost, damaged or rolled back may have forgotten what it has promised
// and accepted: it is reset, for all instances in which it may have voted. A quorum is a majority
// of all members, none of which is reset; or it is everybody. That is safe as long as less than a
// majority have forgotten anything while an instance is being decided. Let M be a quorum that has
// accepted b, and Q one that has promised a higher b'. Then some member stands in both, and knew of
// the first of its two acts when it did the second: if that was the promise it has refused b, and
// if it was the acceptance it has reported the value. For:
//
//     both majorities    they share a member. It was not reset at the second act, so it never was
//                        before.
//     one is everybody   the other has a majority at least, of which one was never reset.
//
// Who proposes may know of one acceptor that it is lost: its disk is gone, and an operator has said
// so. Then a quorum is also everybody else, reset or not. It matters where all others together are
// no majority of such as have forgotten nothing: there nothing could be decided any more. It shares
// an acceptor with every other quorum, with two exceptions. What only the lost acceptor and those
// that are reset have accepted is lost. And of two members, parted and each told that the other is
// lost, both decide alone: not to say so of one that is there is up to the operator.
//
// To count a reset acceptor in a majority would be wrong even if it was asked afresh: what it had
// promised before may be counted by somebody still.
#ifndef QUOIT_MODEL_PAXOS_H
#define QUOIT_MODEL_PAXOS_H

#include "base/limits.h"
#include "base/must.h"

#include <stdbool.h>
#include <stdint.h>

enum { PAXOS_MEMBER_BITS = 16 };

// Rounds from 1 up to here. Who claims a later one invents it.
#define PAXOS_ROUND_MAX (UINT64_C(1) << 40)

// It is not known yet in which instances the acceptor may have voted.
#define PAXOS_ALL_INSTANCES UINT64_MAX

// Ballots of different members differ; 0 is none.
static inline uint64_t paxos_ballot(uint64_t round, uint32_t member) {
    must(round > 0);
    must(round <= PAXOS_ROUND_MAX);
    must(member < MEMBERS_MAX);
    return round << PAXOS_MEMBER_BITS | member;
}

static inline uint64_t paxos_round(uint64_t ballot) {
    return ballot >> PAXOS_MEMBER_BITS;
}

// Whether the member may use that ballot.
bool paxos_is_ballot_of(uint64_t ballot, uint32_t member);

// What an acceptor has to keep. No answer goes out before the state behind it is durable.
struct paxos_vote {
    uint64_t instance;
    uint64_t promised;    // ballot: none below is accepted any more; 0: none was promised
    uint64_t accepted;    // ballot, whose value the owner keeps; 0: none
    uint64_t reset_until; // may have forgotten its votes in instances up to this one
};

static inline bool paxos_is_reset(const struct paxos_vote *vote) {
    return vote->instance <= vote->reset_until;
}

// Nothing was promised or accepted in that instance yet. Earlier ones are over.
void paxos_vote_begin(struct paxos_vote *vote, uint64_t instance);

// True: promised, to be answered once that is durable. False: as much was promised before.
bool paxos_promise(struct paxos_vote *vote, uint64_t ballot);

// True: accepted, and the owner keeps the value that came with it, to be answered once both are
// durable. False: more was promised before.
bool paxos_accept(struct paxos_vote *vote, uint64_t ballot);

// One ballot of a proposer.
struct paxos_proposal {
    uint64_t instance;
    uint64_t ballot;
    uint64_t found;        // the highest ballot under which a value was accepted; 0: none
    uint32_t member_count; // of all acceptors
    bool has_lost;         // one of them is lost, and its answers do not count: this one
    uint32_t lost;
    uint32_t yes;       // members that have answered well in this phase, and are not reset
    uint32_t yes_reset; // likewise, and are
    uint8_t answered[MEMBERS_MAX / 8];
};

// Begins to collect promises.
void paxos_propose(struct paxos_proposal *p, uint64_t instance, uint64_t ballot,
                   uint32_t member_count);

// Of a ballot that has just begun: that acceptor is lost.
void paxos_go_without(struct paxos_proposal *p, uint32_t lost);

// A member has promised the ballot, and accepted something under `accepted`, or nothing if that is
// 0. True: what it has accepted is now the value to propose. A second answer of one member changes
// nothing.
bool paxos_on_promise(struct paxos_proposal *p, uint32_t member, bool is_reset, uint64_t accepted);

// A member has accepted the ballot.
void paxos_on_accepted(struct paxos_proposal *p, uint32_t member, bool is_reset);

// Whether a quorum has answered in this phase.
bool paxos_is_met(const struct paxos_proposal *p);

// A quorum has promised: begins to collect acceptances.
void paxos_go_on(struct paxos_proposal *p);

#endif
