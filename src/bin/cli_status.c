// SPDX-License-Identifier: Apache-2.0
//
// quoit status -- the members of a cluster and how they do, as one of them sees it.
#include "bin/cli.h"
#include "bin/cli_clock.h"
#include "bin/cli_cluster.h"
#include "bin/cli_options.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { ANSWER_TIMEOUT_MS = 3000 };

static json_t *json_of_words(const char *words) {
    json_t *list = json_array();
    for (size_t size; *words != '\0'; words += size + (words[size] == ' ')) {
        size = strcspn(words, " ");
        json_array_append_new(list, json_stringn(words, size));
    }
    return list;
}

static json_t *json_of_node(const struct cluster_node *n) {
    return json_pack("{ss ss ss ss ss ss ss sb sI sI sI sI sI sI sI sb sI so}", "id", n->id, "name",
                     n->name, "state", n->state, "address", n->address, "host", n->host, "rack",
                     n->rack, "dc", n->dc, "self", n->is_self, "slots", (json_int_t)n->slots_first,
                     "slots_held", (json_int_t)n->slots_held, "keys", (json_int_t)n->keys, "disk",
                     (json_int_t)n->disk, "memory", (json_int_t)n->memory, "load",
                     (json_int_t)n->load, "incarnation", (json_int_t)n->incarnation, "merging",
                     n->is_merging, "merged", (json_int_t)n->merged, "troubles",
                     json_of_words(n->troubles));
}

static void print_json(const struct cluster_view *view) {
    json_t *nodes = json_array();
    for (size_t i = 0; i < view->node_count; i++) {
        json_array_append_new(nodes, json_of_node(&view->nodes[i]));
    }
    json_t *all =
        json_pack("{so s{ss sI sI sI sI sI sb sI sI sI ss sI}}", "nodes", nodes, "cluster", "state",
                  view->state, "epoch", (json_int_t)view->epoch, "members",
                  (json_int_t)view->node_count, "up", (json_int_t)cluster_count_up(view),
                  "unequal_seconds", (json_int_t)view->unequal_seconds, "slots_behind",
                  (json_int_t)view->slots_behind, "shedding", view->shedding == 1, "shed_requests",
                  (json_int_t)view->shed_requests, "queue_time_us", (json_int_t)view->queue_time_us,
                  "purge_blocked", (json_int_t)view->purge_blocked, "purge_waits_for",
                  view->purge_waits_for, "hints_stuck", (json_int_t)view->hints_stuck);
    json_dumpf(all, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(all);
}

static bool show(const struct cli_server *member, bool as_json, struct terminal *t) {
    char problem[CLI_PROBLEM_MAX + 1];
    struct cluster_view *view = cluster_look(member, problem);
    if (view == NULL) {
        cli_complain("status", "%s", problem);
        return false;
    }
    if (as_json) {
        print_json(view);
    } else {
        cluster_print(view, t);
    }
    fflush(stdout);
    free(view);
    return true;
}

int cli_status(int count, char **arguments) {
    struct cli_server member = {.host = "127.0.0.1", .port = 7379, .timeout_ms = ANSWER_TIMEOUT_MS};
    bool as_json = false;
    bool is_watching = false;
    const struct cli_option options[] = {
        CLI_SERVER_OPTIONS(member, "any member"),
        {"json", NULL, "print JSON", .flag = &as_json},
        {"watch", NULL, "show it anew every second, until Ctrl-C", .flag = &is_watching},
    };
    const struct cli_syntax syntax = {
        .command = "status",
        .summary = "Shows the members of a cluster and how they do, as one of them sees it.",
        .options = options,
        .option_count = sizeof(options) / sizeof(options[0]),
    };
    enum cli_asked asked = cli_options_read(&syntax, count, arguments);
    if (asked != CLI_ASKED_RUN) return asked == CLI_ASKED_HELP ? CLI_OK : CLI_MISUSED;
    if (!cli_server_read_password(&member, "status")) return CLI_FAILED;
    struct terminal t = terminal_of(stdout);
    if (!is_watching) return show(&member, as_json, &t) ? CLI_OK : CLI_FAILED;
    for (;;) {
        if (t.is_terminal && !as_json) fputs("\033[H\033[J", stdout);
        show(&member, as_json, &t);
        if (!t.is_terminal && !as_json) putchar('\n');
        cli_sleep_ms(1000);
    }
}
