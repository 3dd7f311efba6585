// SPDX-License-Identifier: Apache-2.0
#include "model/paxos.h"

#include "base/bitmap.h"

#include <string.h>

static_assert(MEMBERS_MAX <= 1 << PAXOS_MEMBER_BITS, "a ballot names its member");

bool paxos_is_ballot_of(uint64_t ballot, uint32_t member) {
    uint64_t round = paxos_round(ballot);
    return round > 0 && round <= PAXOS_ROUND_MAX && ballot == paxos_ballot(round, member);
}

void paxos_vote_begin(struct paxos_vote *vote, uint64_t instance) {
    vote->instance = instance;
    vote->promised = 0;
    vote->accepted = 0;
}

bool paxos_promise(struct paxos_vote *vote, uint64_t ballot) {
    if (ballot <= vote->promised) return false;
    vote->promised = ballot;
    return true;
}

bool paxos_accept(struct paxos_vote *vote, uint64_t ballot) {
    if (ballot < vote->promised) return false;
    vote->promised = ballot;
    vote->accepted = ballot;
    return true;
}

void paxos_propose(struct paxos_proposal *p, uint64_t instance, uint64_t ballot,
                   uint32_t member_count) {
    must(member_count > 0);
    must(member_count <= MEMBERS_MAX);
    *p = (struct paxos_proposal){
        .instance = instance,
        .ballot = ballot,
        .member_count = member_count,
    };
}

void paxos_go_without(struct paxos_proposal *p, uint32_t lost) {
    must(lost < p->member_count);
    must(p->yes + p->yes_reset == 0);
    p->has_lost = true;
    p->lost = lost;
}

// True when it is the first answer of the member in this phase.
static bool count(struct paxos_proposal *p, uint32_t member, bool is_reset) {
    must(member < p->member_count);
    if (p->has_lost && member == p->lost) return false;
    if (bitmap_has(p->answered, member)) return false;
    bitmap_add(p->answered, member);
    p->yes += !is_reset;
    p->yes_reset += is_reset;
    return true;
}

bool paxos_on_promise(struct paxos_proposal *p, uint32_t member, bool is_reset, uint64_t accepted) {
    if (!count(p, member, is_reset) || accepted <= p->found) return false;
    p->found = accepted;
    return true;
}

void paxos_on_accepted(struct paxos_proposal *p, uint32_t member, bool is_reset) {
    (void)count(p, member, is_reset);
}

bool paxos_is_met(const struct paxos_proposal *p) {
    uint32_t everybody = p->member_count - p->has_lost;
    return 2 * p->yes > p->member_count || p->yes + p->yes_reset == everybody;
}

void paxos_go_on(struct paxos_proposal *p) {
    must(paxos_is_met(p));
    p->yes = 0;
    p->yes_reset = 0;
    memset(p->answered, 0, sizeof(p->answered));
}
