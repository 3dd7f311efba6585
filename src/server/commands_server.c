// SPDX-License-Identifier: Apache-2.0
#include "server/commands.h"

#include "base/text.h"

void local_time(struct command *c, struct reply *r) {
    uint64_t ms = c->session->server->env->wall_ms;
    reply_array(r, 2);
    reply_bulk_integer(r, (int64_t)(ms / 1000));
    reply_bulk_integer(r, (int64_t)(ms % 1000 * 1000));
}
