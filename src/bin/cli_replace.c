// SPDX-License-Identifier: Apache-2.0
//
// quoit replace -- a node whose data is gone for good goes on with the empty directory it has come
// back with.
//
// Any other node takes the order, which is done when the map of the cluster names the new
// directory. Then the node fetches what it lacks; this is watched until it has all of it.
#include "base/must.h"
#include "bin/cli.h"
#include "bin/cli_clock.h"
#include "bin/cli_cluster.h"
#include "bin/cli_options.h"
#include "bin/cli_terminal.h"

#include <stdlib.h>
#include <string.h>

enum { ANSWER_TIMEOUT_MS = 20000, PAUSE_MS = 300, SEEN_MS = 10000 };

struct replace {
    struct cli_server member; // that is asked
    const char *name;         // of the node
    uint64_t wait_s;
    uint64_t until_ms;
    uint64_t seen_until_ms; // by then the node has shown itself, if it was started
    struct terminal terminal;
};

enum answer { ANSWER_DONE, ANSWER_LATER, ANSWER_REFUSED };

static enum answer order(const struct replace *r, char problem[CLI_PROBLEM_MAX + 1]) {
    redisContext *context = cli_server_reach(&r->member, problem);
    if (context == NULL) return ANSWER_REFUSED;
    redisReply *reply = redisCommand(context, "QUOIT REPLACE %s", r->name);
    enum answer answer = ANSWER_REFUSED;
    if (reply == NULL) {
        cli_server_trouble(&r->member, context, problem);
    } else if (reply->type != REDIS_REPLY_ERROR) {
        answer = ANSWER_DONE;
    } else {
        snprintf(problem, CLI_PROBLEM_MAX + 1, "%s", reply->str);
        bool is_unseen = strncmp(reply->str, "NOTFOUND ", 9) == 0; // maybe it has just begun
        bool is_awaited = is_unseen && cli_now_ms() < r->seen_until_ms;
        if (is_awaited || strncmp(reply->str, "BUSY ", 5) == 0) answer = ANSWER_LATER;
    }
    if (reply != NULL) freeReplyObject(reply);
    redisFree(context);
    return answer;
}

static bool has_time(const struct replace *r) {
    if (cli_now_ms() >= r->until_ms) return false;
    cli_sleep_ms(PAUSE_MS);
    return true;
}

// A node is heard of for some seconds after its end.
static bool have_it_ordered(struct replace *r) {
    char problem[CLI_PROBLEM_MAX + 1] = "";
    enum answer answer;
    while ((answer = order(r, problem)) == ANSWER_LATER && has_time(r)) {
        terminal_progress(&r->terminal, "replace", 0, 0, problem);
    }
    terminal_clear(&r->terminal);
    if (answer == ANSWER_DONE) return true;
    cli_complain("replace", "%s", problem);
    return false;
}

static const struct cluster_node *find_node(const struct cluster_view *view, const char *name) {
    for (size_t i = 0; i < view->node_count; i++) {
        if (strcmp(view->nodes[i].name, name) == 0) return &view->nodes[i];
    }
    return NULL;
}

// Keys of the node, and of the one that has most: as many as it will have, about.
static bool is_mended(struct replace *r, char state[NAME_SIZE_MAX + 1]) {
    char problem[CLI_PROBLEM_MAX + 1];
    struct cluster_view *view = cluster_look(&r->member, problem);
    const struct cluster_node *node = view == NULL ? NULL : find_node(view, r->name);
    uint64_t most = 0;
    for (size_t i = 0; view != NULL && i < view->node_count; i++) {
        if (view->nodes[i].keys > most) most = view->nodes[i].keys;
    }
    if (node != NULL) {
        char note[NAME_SIZE_MAX + 64];
        memcpy(state, node->state, NAME_SIZE_MAX + 1);
        snprintf(note, sizeof(note), "%s, %llu keys", state, (unsigned long long)node->keys);
        terminal_progress(&r->terminal, "replace", node->keys, most, note);
    }
    free(view);
    return node != NULL && strcmp(state, "up") == 0;
}

static int carry_out(struct replace *r) {
    char state[NAME_SIZE_MAX + 1] = "not seen";
    r->until_ms = cli_now_ms() + r->wait_s * 1000;
    r->seen_until_ms = cli_now_ms() + SEEN_MS;
    if (!have_it_ordered(r)) return CLI_FAILED;
    struct terminal t = terminal_of(stdout);
    terminal_print(&t, STYLE_GOOD, "replaced");
    terminal_print(&t, STYLE_FAINT, ", %s fetches what it lacks from the others", r->name);
    putchar('\n');
    fflush(stdout);
    if (r->wait_s == 0) return CLI_OK;
    bool is_done = is_mended(r, state);
    while (!is_done && has_time(r)) is_done = is_mended(r, state);
    terminal_clear(&r->terminal);
    if (!is_done) {
        cli_complain("replace", "%s is not up within %llu s: it is %s; it goes on", r->name,
                     (unsigned long long)r->wait_s, state);
        return CLI_FAILED;
    }
    terminal_print(&t, STYLE_GOOD, "mended");
    putchar('\n');
    return CLI_OK;
}

int cli_replace(int count, char **arguments) {
    struct replace r = {
        .member = {.host = "127.0.0.1", .port = 7379, .timeout_ms = ANSWER_TIMEOUT_MS},
        .wait_s = 600,
        .terminal = terminal_of(stderr),
    };
    const struct cli_option options[] = {
        CLI_SERVER_OPTIONS(r.member, "any other node"),
        {"wait", "S", "seconds that it may take (600); 0: do not wait for the data",
         .number = &r.wait_s, .most = 604800},
    };
    const struct cli_syntax syntax = {
        .command = "replace",
        .summary = "Has a node whose data is gone go on with an empty directory.",
        .notes = "Start the node first: with its name, at its address, with an empty directory.\n"
                 "The others refuse it until this is said. What was in its old directory counts\n"
                 "as lost from then on, and the old directory is refused for ever.\n",
        .operand = "NAME",
        .operand_text = &r.name,
        .options = options,
        .option_count = sizeof(options) / sizeof(options[0]),
    };
    enum cli_asked asked = cli_options_read(&syntax, count, arguments);
    if (asked != CLI_ASKED_RUN) return asked == CLI_ASKED_HELP ? CLI_OK : CLI_MISUSED;
    if (r.name == NULL) {
        cli_complain("replace", "give the NAME of the node; see --help");
        return CLI_MISUSED;
    }
    return cli_server_read_password(&r.member, "replace") ? carry_out(&r) : CLI_FAILED;
}
