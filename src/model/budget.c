// SPDX-License-Identifier: Apache-2.0
#include "model/budget.h"

#define SECOND_NS UINT64_C(1000000000)

bool budget_spend(struct budget *b, uint64_t now) {
    uint64_t passed = now - b->looked;
    uint64_t more = BUDGET_MOST;
    if (passed < SECOND_NS * BUDGET_MOST) more = passed * BUDGET_PER_SECOND / SECOND_NS;
    if (more > 0) b->looked = now; // less is not lost
    b->left = more < BUDGET_MOST - b->left ? b->left + (uint32_t)more : BUDGET_MOST;
    if (b->left < BUDGET_COST) return false;
    b->left -= BUDGET_COST;
    return true;
}
