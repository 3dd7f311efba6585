// SPDX-License-Identifier: Apache-2.0
//
// budget.h -- how often something may be asked once more.
//
// Asking a second time helps against the one that is slow, and makes it worse when all are, because
// too much is asked of them: then every request becomes two. So what is asked once more is at most
// a tenth of what is asked at all, and some each second; what was not spent is kept, up to a limit,
// for the moment at which somebody falls silent.
#ifndef QUOIT_MODEL_BUDGET_H
#define QUOIT_MODEL_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

enum {
    BUDGET_COST = 10, // requests that pay for one more time
    BUDGET_MOST = 100 * BUDGET_COST,
    BUDGET_PER_SECOND = 10 * BUDGET_COST,
};

struct budget {
    uint32_t left;
    uint64_t looked; // when it was added to for the time that had passed, ns
};

static inline struct budget budget_full(uint64_t now) {
    return (struct budget){.left = BUDGET_MOST, .looked = now};
}

// A request was made.
static inline void budget_earn(struct budget *budget) {
    budget->left += budget->left < BUDGET_MOST;
}

// True, and it is paid for: one may be made again.
bool budget_spend(struct budget *budget, uint64_t now);

#endif
