// SPDX-License-Identifier: Apache-2.0
#include "model/backoff.h"

bool backoff_is_due(struct backoff *b) {
    if (b->left > 0) b->left--;
    return b->left == 0;
}

void backoff_fail(struct backoff *b) {
    if (b->turns < BACKOFF_TURNS_MAX) b->turns = 2 * b->turns + 1;
    b->left = b->turns;
}

void backoff_succeed(struct backoff *b) {
    *b = (struct backoff){0};
}
