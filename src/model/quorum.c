// SPDX-License-Identifier: Apache-2.0
#include "model/quorum.h"

uint32_t quorum_count(uint32_t bits) {
    uint32_t count = 0;
    for (; bits != 0; bits &= bits - 1) count++;
    return count;
}

static void quorum_check(const struct quorum *q) {
    must(q->need > 0);
    must(q->need <= q->total);
    must(q->total <= REPLICAS_MAX);
    must((q->yes & q->no) == 0);                                // nobody voted both ways
    must((uint64_t)(q->yes | q->no) < (uint64_t)1 << q->total); // only replicas that were asked
}

void quorum_init(struct quorum *q, uint32_t total, uint32_t need) {
    *q = (struct quorum){.total = total, .need = need};
    quorum_check(q);
}

void quorum_vote(struct quorum *q, uint32_t replica, bool yes) {
    must(replica < q->total);
    uint32_t bit = 1u << replica;
    if ((q->yes | q->no) & bit) return;
    if (yes) {
        q->yes |= bit;
    } else {
        q->no |= bit;
    }
    quorum_check(q);
}

enum quorum_verdict quorum_verdict(const struct quorum *q) {
    quorum_check(q);
    if (quorum_count(q->yes) >= q->need) return QUORUM_MET;
    if (quorum_count(q->no) > q->total - q->need) return QUORUM_LOST;
    return QUORUM_OPEN;
}
