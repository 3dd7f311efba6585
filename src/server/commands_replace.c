// SPDX-License-Identifier: Apache-2.0
//
// QUOIT REPLACE name: the data directory of that member is gone, and the empty one with which it
// has come back takes its place.
#include "server/commands.h"

#include "base/must.h"
#include "server/answer.h"
#include "server/internal.h"

static const char *refusal_of(enum replace_outcome outcome) {
    switch (outcome) {
    case REPLACE_NO_MEMBER:
        return "ERR there is no member of that name; not done";
    case REPLACE_IS_UP:
        return "ERR that member is up, with the data directory that the cluster knows; not done";
    case REPLACE_IS_HEARD_OF:
        return "BUSY that member was there a moment ago, with the directory that the cluster "
               "knows; not done, try again";
    case REPLACE_UNSEEN:
        return "NOTFOUND that member has not come with another directory lately: start it with an "
               "empty one; not done";
    case REPLACE_NOT_BLANK:
        return "ERR the directory with which that member has come is not empty; not done";
    case REPLACE_OVERTAKEN:
        return "BUSY that member was replaced by another one meanwhile; not done, try again";
    case REPLACE_REFUSED:
        return "NOQUORUM too few members can be reached, or this one has no vote; not done";
    case REPLACE_UNSURE:
        return "UNKNOWN it may be done, or may yet be: QUOIT STATUS tells";
    case REPLACE_DONE:
        break;
    }
    unreachable();
}

static void on_replaced(struct replacement *r) {
    struct command *c = r->context;
    if (r->outcome == REPLACE_DONE) {
        answer_ok(c);
    } else {
        answer_error(c, refusal_of(r->outcome));
    }
    r->context = NULL;
}

void start_quoit_replace(struct command *c) {
    struct server *server = c->session->server;
    for (uint32_t i = 0; i < REPLACEMENTS_MAX; i++) {
        struct replacement *r = &server->replacements[i];
        if (r->context != NULL) continue;
        *r = (struct replacement){.done = on_replaced, .context = c};
        node_replace(server->node, c->arguments[2], r);
        return;
    }
    answer_error(c, "BUSY other members are being replaced; not done, try again");
}
