// SPDX-License-Identifier: Apache-2.0
#include "bin/cli_members.h"

#include "base/must.h"
#include "base/text.h"
#include "bin/cli_clock.h"
#include "bin/cli_cluster.h"
#include "bin/cli_options.h"
#include "model/map.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum { MOMENT_MS = 300 };

static struct cluster_view *look(const struct members *m, char *problem) {
    struct cluster_view *view = cluster_look(&m->first, problem);
    for (size_t i = 0; view == NULL && i < m->count; i++) {
        char ignored[CLI_PROBLEM_MAX + 1];
        view = cluster_look(&m->all[i]->server, ignored);
    }
    return view;
}

static void free_member(struct member *member) {
    if (member->context != NULL) redisFree(member->context);
    free(member);
}

// The one of that name and address, taken out of the list; or a new one.
static struct member *take_member(struct members *m, const struct cluster_node *node) {
    for (size_t i = 0; i < m->count; i++) {
        struct member *member = m->all[i];
        if (strcmp(member->name, node->name) != 0 || strcmp(member->address, node->address) != 0) {
            continue;
        }
        m->all[i] = m->all[--m->count];
        return member;
    }
    struct member *member = calloc(1, sizeof(*member));
    must(member != NULL);
    snprintf(member->name, sizeof(member->name), "%s", node->name);
    snprintf(member->address, sizeof(member->address), "%s", node->address);
    return member;
}

// With patience until then, or for a moment if that is over: maybe only others have hung.
static struct cli_server server_until(const struct cli_server *server, uint64_t until_ms) {
    struct cli_server s = *server;
    uint64_t now = cli_now_ms();
    s.timeout_ms = now + MOMENT_MS < until_ms ? until_ms - now : MOMENT_MS;
    return s;
}

static void connect_to(const struct members *m, struct member *member, uint64_t until_ms) {
    struct slice host;
    uint16_t port;
    if (map_parse_address(slice_of_string(member->address), &host, &port) != ST_OK) {
        snprintf(member->problem, sizeof(member->problem), "its address cannot be read");
        return;
    }
    snprintf(member->host, sizeof(member->host), "%.*s", (int)host.size, (const char *)host.data);
    member->server = m->first; // its password and patience
    member->server.host = member->host;
    member->server.port = port;
    const struct cli_server server = server_until(&member->server, until_ms);
    member->context = cli_server_reach(&server, member->problem);
}

void members_reach(struct members *m) {
    uint64_t until_ms = cli_now_ms() + m->first.timeout_ms;
    for (size_t i = 0; i < m->count; i++) {
        struct member *member = m->all[i];
        member->problem[0] = '\0';
        if (member->context == NULL) connect_to(m, member, until_ms);
    }
}

bool members_find(struct members *m, char problem[CLI_PROBLEM_MAX + 1]) {
    (void)signal(SIGPIPE, SIG_IGN); // who goes away while it is asked is told by what it answers
    struct cluster_view *view = look(m, problem);
    if (view == NULL) return false;
    struct member *found[MEMBERS_MAX];
    for (size_t i = 0; i < view->node_count; i++) found[i] = take_member(m, &view->nodes[i]);
    members_free(m); // those that are no members any more
    memcpy(m->all, found, view->node_count * sizeof(struct member *));
    m->count = view->node_count;
    m->epoch = view->epoch;
    free(view);
    members_reach(m);
    return true;
}

void members_ask(struct members *m, const char *command) {
    uint64_t until_ms = cli_now_ms() + m->first.timeout_ms;
    for (size_t i = 0; i < m->count; i++) {
        m->all[i]->until_ms = until_ms;
        // What goes wrong is told when the answer is taken.
        if (member_is_asked(m->all[i])) (void)redisAppendCommand(m->all[i]->context, command);
    }
    for (size_t i = 0; i < m->count; i++) {
        int is_all_out = 0;
        redisContext *context = member_is_asked(m->all[i]) ? m->all[i]->context : NULL;
        while (context != NULL && is_all_out == 0) {
            if (redisBufferWrite(context, &is_all_out) != REDIS_OK) break;
        }
    }
}

redisReply *member_answer(struct member *member) {
    if (!member_is_asked(member)) return NULL;
    void *answer = NULL;
    const struct cli_server server = server_until(&member->server, member->until_ms);
    bool is_set = cli_server_set_timeout(&server, member->context);
    if (!is_set || redisGetReply(member->context, &answer) != REDIS_OK) {
        cli_server_trouble(&server, member->context, member->problem);
        redisFree(member->context);
        member->context = NULL;
        return NULL;
    }
    redisReply *reply = answer;
    if (reply->type != REDIS_REPLY_ERROR) return reply;
    snprintf(member->problem, sizeof(member->problem), "%s", reply->str);
    freeReplyObject(reply);
    return NULL;
}

redisReply *member_ask(struct member *member, const char *command) {
    if (!member_is_asked(member)) return NULL;
    member->until_ms = cli_now_ms() + member->server.timeout_ms;
    (void)redisAppendCommand(member->context, command);
    return member_answer(member);
}

void members_name_absent(const struct members *m, const char *command) {
    for (size_t i = 0; i < m->count; i++) {
        const struct member *member = m->all[i];
        if (member_is_asked(member)) continue;
        cli_complain(command, "%s (%s) cannot be asked: %s", member->name, member->address,
                     member->problem);
    }
}

void members_free(struct members *m) {
    for (size_t i = 0; i < m->count; i++) free_member(m->all[i]);
    m->count = 0;
}
