// SPDX-License-Identifier: Apache-2.0
//
// quoit snapshot -- makes, lists and deletes snapshots of one node's data.
#include "bin/cli.h"
#include "bin/cli_options.h"
#include "bin/cli_server.h"
#include "bin/cli_terminal.h"
#include "store/store.h"

#include "base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct wish {
    struct cli_server node;
    const char *name;    // to be made, or NULL
    const char *deleted; // to be deleted, or NULL
    bool lists;
    uint64_t timeout_s;
};

static redisContext *reach(const struct cli_server *node) {
    char problem[CLI_PROBLEM_MAX + 1];
    redisContext *context = cli_server_reach(node, problem);
    if (context == NULL) {
        cli_complain("snapshot", "cannot reach %s:%u: %s", node->host, (unsigned)node->port,
                     problem);
    }
    return context;
}

static redisReply *ask(const struct cli_server *node, redisContext *context, const char *subcommand,
                       const char *name) {
    char problem[CLI_PROBLEM_MAX + 1];
    redisReply *reply = name == NULL ? redisCommand(context, "QUOIT %s", subcommand)
                                     : redisCommand(context, "QUOIT %s %s", subcommand, name);
    if (reply == NULL) {
        cli_server_trouble(node, context, problem);
        cli_complain("snapshot", "%s:%u: %s", node->host, (unsigned)node->port, problem);
    } else if (reply->type == REDIS_REPLY_ERROR) {
        cli_complain("snapshot", "%s", reply->str);
        freeReplyObject(reply);
        reply = NULL;
    }
    return reply;
}

static bool command(const struct cli_server *node, redisContext *context, const char *subcommand,
                    const char *name) {
    redisReply *reply = ask(node, context, subcommand, name);
    if (reply == NULL) return false;
    freeReplyObject(reply);
    return true;
}

static const char *name_of(const redisReply *fields) {
    const char *name = cli_reply_text(fields, "name");
    return name == NULL ? "?" : name;
}

static bool list(const struct cli_server *node, redisContext *context) {
    redisReply *reply = ask(node, context, "SNAPSHOTS", NULL);
    if (reply == NULL) return false;
    printf("%-*s %8s %15s %15s\n", SNAPSHOT_NAME_MAX, "NAME", "FILES", "BYTES", "OWN BYTES");
    for (size_t i = 0; i < reply->elements; i++) {
        const redisReply *fields = reply->element[i];
        printf("%-*s %8" PRId64 " %15" PRId64 " %15" PRId64 "\n", SNAPSHOT_NAME_MAX,
               name_of(fields), cli_reply_number(fields, "files"),
               cli_reply_number(fields, "bytes"), cli_reply_number(fields, "own_bytes"));
    }
    freeReplyObject(reply);
    return true;
}

// What was made, and where. The node knows its directory as it was told it.
static bool show(const struct cli_server *node, redisContext *context, const char *name) {
    redisReply *reply = ask(node, context, "SNAPSHOTS", NULL);
    redisReply *setting = reply == NULL ? NULL : redisCommand(context, "CONFIG GET dir");
    bool is_known = setting != NULL && setting->type == REDIS_REPLY_ARRAY && setting->elements == 2;
    for (size_t i = 0; reply != NULL && i < reply->elements; i++) {
        const redisReply *fields = reply->element[i];
        if (strcmp(name_of(fields), name) != 0) continue;
        uint64_t bytes = (uint64_t)cli_reply_number(fields, "bytes");
        printf("snapshot %s: %" PRId64 " files, %s, snapshot-%s.* in %s\n", name,
               cli_reply_number(fields, "files"), human_size(bytes).text, name,
               is_known ? setting->element[1]->str : "the directory of the node");
    }
    if (setting != NULL) freeReplyObject(setting);
    if (reply != NULL) freeReplyObject(reply);
    return reply != NULL;
}

static bool is_name(const char *name) {
    if (name == NULL || store_snapshot_name_is_good(slice_of_string(name))) return true;
    cli_complain("snapshot",
                 "a name is 1 to %d letters, digits, '-' and '_', the first a letter or a digit, "
                 "not '%s'",
                 SNAPSHOT_NAME_MAX, name);
    return false;
}

static int carry_out(const struct wish *w) {
    redisContext *context = reach(&w->node);
    if (context == NULL) return CLI_FAILED;
    bool is_done = true;
    if (w->name != NULL) {
        is_done =
            command(&w->node, context, "SNAPSHOT", w->name) && show(&w->node, context, w->name);
    }
    if (w->deleted != NULL) is_done = command(&w->node, context, "DELSNAPSHOT", w->deleted);
    if (w->lists) is_done = list(&w->node, context);
    redisFree(context);
    return is_done ? CLI_OK : CLI_FAILED;
}

int cli_snapshot(int count, char **arguments) {
    struct wish w = {.node = {.host = "127.0.0.1", .port = 7379}, .timeout_s = 60};
    const struct cli_option options[] = {
        CLI_SERVER_OPTIONS(w.node, "the node"),
        {"list", NULL, "shows the snapshots that it has", .flag = &w.lists},
        {"delete", "NAME", "deletes one of them", .text = &w.deleted},
        {"timeout", "S", "seconds that it may take (60)", .number = &w.timeout_s, .least = 1,
         .most = 86400},
    };
    const struct cli_syntax syntax = {
        .command = "snapshot",
        .summary = "Keeps the data of a node as it is now, in its directory.",
        .notes = "All writes that were acknowledged before are in it. It takes room only for what\n"
                 "the node itself has no use for any more: OWN BYTES are what deleting it frees.\n",
        .operand = "NAME",
        .operand_text = &w.name,
        .options = options,
        .option_count = sizeof(options) / sizeof(options[0]),
    };
    enum cli_asked asked = cli_options_read(&syntax, count, arguments);
    if (asked != CLI_ASKED_RUN) return asked == CLI_ASKED_HELP ? CLI_OK : CLI_MISUSED;
    if ((w.name != NULL) + (w.deleted != NULL) + w.lists != 1) {
        cli_complain("snapshot", "give one of NAME, --list and --delete; see --help");
        return CLI_MISUSED;
    }
    if (!is_name(w.name) || !is_name(w.deleted)) return CLI_MISUSED;
    w.node.timeout_ms = w.timeout_s * 1000;
    if (!cli_server_read_password(&w.node, "snapshot")) return CLI_FAILED;
    return carry_out(&w);
}
