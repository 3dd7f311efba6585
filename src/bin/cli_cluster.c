// SPDX-License-Identifier: Apache-2.0
#include "bin/cli_cluster.h"

#include "base/must.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { FIGURES = 5 }; // columns of what a member says of itself

static void set_problem(char *problem, const char *what, const char *why) {
    snprintf(problem, CLI_PROBLEM_MAX + 1, "%s: %.*s", what, CLI_PROBLEM_MAX / 2, why);
}

static redisContext *open_connection(const struct cli_server *member, char *problem) {
    char why[CLI_PROBLEM_MAX + 1];
    redisContext *context = cli_server_reach(member, why);
    if (context != NULL) return context;
    snprintf(problem, CLI_PROBLEM_MAX + 1, "cannot reach %s:%u: %.*s", member->host,
             (unsigned)member->port, CLI_PROBLEM_MAX / 2, why);
    return NULL;
}

// The reply, if it came and is no error.
static redisReply *ask(const struct cli_server *member, redisContext *context, const char *command,
                       char *problem) {
    char why[CLI_PROBLEM_MAX + 1];
    redisReply *reply = redisCommand(context, command);
    if (reply == NULL) {
        cli_server_trouble(member, context, why);
        set_problem(problem, command, why);
    } else if (reply->type == REDIS_REPLY_ERROR) {
        set_problem(problem, command, reply->str);
        freeReplyObject(reply);
        reply = NULL;
    }
    return reply;
}

// The value of a line `name:value` of the text, as it stands there, without its end.
static void find_line(const char *text, const char *name, char *value, size_t capacity) {
    value[0] = '\0';
    size_t name_size = strlen(name);
    for (const char *line = text; line != NULL && *line != '\0';) {
        if (strncmp(line, name, name_size) == 0 && line[name_size] == ':') {
            line += name_size + 1;
            snprintf(value, capacity, "%.*s", (int)strcspn(line, "\r\n"), line);
            return;
        }
        line = strchr(line, '\n');
        if (line != NULL) line++;
    }
}

static bool read_info(const struct cli_server *member, redisContext *context,
                      struct cluster_view *view, char *problem) {
    redisReply *reply = ask(member, context, "CLUSTER INFO", problem);
    if (reply == NULL) return false;
    bool is_text = reply->type == REDIS_REPLY_STRING;
    if (is_text) {
        char number[32];
        find_line(reply->str, "cluster_state", view->state, sizeof(view->state));
        find_line(reply->str, "cluster_current_epoch", number, sizeof(number));
        view->epoch = strtoull(number, NULL, 10);
        view->is_ok = strcmp(view->state, "ok") == 0;
    } else {
        set_problem(problem, "CLUSTER INFO", "not a text");
    }
    freeReplyObject(reply);
    return is_text;
}

static void copy_text(char *to, size_t capacity, const redisReply *from) {
    if (from->type == REDIS_REPLY_STRING || from->type == REDIS_REPLY_STATUS) {
        snprintf(to, capacity, "%s", from->str);
    } else if (from->type == REDIS_REPLY_INTEGER) {
        snprintf(to, capacity, "%lld", from->integer);
    }
}

static void copy_number(uint64_t *to, const redisReply *from) {
    if (from->type == REDIS_REPLY_INTEGER && from->integer > 0) *to = (uint64_t)from->integer;
}

// A field that is not known is of a newer server: passed over.
static void read_field(struct cluster_view *view, struct cluster_node *node, const char *name,
                       const redisReply *value) {
    const struct {
        const char *name;
        char *text;
        size_t capacity;
    } texts[] = {
        {"id", node->id, sizeof(node->id)},
        {"name", node->name, sizeof(node->name)},
        {"host", node->host, sizeof(node->host)},
        {"rack", node->rack, sizeof(node->rack)},
        {"dc", node->dc, sizeof(node->dc)},
        {"state", node->state, sizeof(node->state)},
        {"address", node->address, sizeof(node->address)},
        {"troubles", node->troubles, sizeof(node->troubles)},
        {"purge_waits_for", view->purge_waits_for, sizeof(view->purge_waits_for)},
    };
    const struct {
        const char *name;
        uint64_t *number;
    } numbers[] = {
        {"slots_first", &node->slots_first},
        {"slots_held", &node->slots_held},
        {"keys", &node->keys},
        {"disk", &node->disk},
        {"memory", &node->memory},
        {"load", &node->load},
        {"merged", &node->merged},
        {"incarnation", &node->incarnation},
        {"unequal_seconds", &view->unequal_seconds},
        {"slots_behind", &view->slots_behind},
        {"shedding", &view->shedding},
        {"shed_requests", &view->shed_requests},
        {"queue_time_us", &view->queue_time_us},
        {"purge_blocked", &view->purge_blocked},
        {"hints_stuck", &view->hints_stuck},
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (strcmp(name, texts[i].name) == 0) copy_text(texts[i].text, texts[i].capacity, value);
    }
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        if (strcmp(name, numbers[i].name) == 0) copy_number(numbers[i].number, value);
    }
    if (strcmp(name, "self") == 0) node->is_self = value->integer == 1;
    if (strcmp(name, "merging") == 0) node->is_merging = value->integer == 1;
}

static bool read_nodes(const struct cli_server *member, redisContext *context,
                       struct cluster_view *view, char *problem) {
    redisReply *reply = ask(member, context, "QUOIT STATUS", problem);
    if (reply == NULL) return false;
    bool is_good = reply->type == REDIS_REPLY_ARRAY && reply->elements <= MEMBERS_MAX;
    for (size_t i = 0; is_good && i < reply->elements; i++) {
        const redisReply *fields = reply->element[i];
        is_good = fields->type == REDIS_REPLY_ARRAY && fields->elements % 2 == 0;
        for (size_t j = 0; is_good && j < fields->elements; j += 2) {
            is_good = fields->element[j]->type == REDIS_REPLY_STRING;
            if (is_good) {
                read_field(view, &view->nodes[i], fields->element[j]->str, fields->element[j + 1]);
            }
        }
        view->node_count++;
    }
    if (!is_good) set_problem(problem, "QUOIT STATUS", "not a list of members");
    freeReplyObject(reply);
    return is_good;
}

struct cluster_view *cluster_look(const struct cli_server *member,
                                  char problem[CLI_PROBLEM_MAX + 1]) {
    redisContext *context = open_connection(member, problem);
    if (context == NULL) return NULL;
    struct cluster_view *view = calloc(1, sizeof(*view));
    must(view != NULL);
    bool is_good =
        read_info(member, context, view, problem) && read_nodes(member, context, view, problem);
    redisFree(context);
    if (is_good) return view;
    free(view);
    return NULL;
}

bool cluster_is_ready(const struct cli_server *member, char problem[CLI_PROBLEM_MAX + 1]) {
    redisContext *context = open_connection(member, problem);
    if (context == NULL) return false;
    struct cluster_view *view = calloc(1, sizeof(*view));
    must(view != NULL);
    bool is_ready = read_info(member, context, view, problem) && view->is_ok;
    if (!is_ready && view->state[0] != '\0') set_problem(problem, "cluster_state", view->state);
    free(view);
    redisFree(context);
    return is_ready;
}

static enum style style_of_state(const char *state) {
    if (strcmp(state, "up") == 0) return STYLE_GOOD;
    return strcmp(state, "down") == 0 ? STYLE_BAD : STYLE_WARN;
}

// Members hear about once a second that they hold the same: so old a difference is none.
enum { UNEQUAL_SECONDS_LEAST = 3 };

static void print_differences(const struct cluster_view *view, struct terminal *t) {
    if (view->unequal_seconds < UNEQUAL_SECONDS_LEAST && view->slots_behind == 0) return;
    terminal_print(t, STYLE_WARN, "copies differ");
    terminal_print(t, STYLE_FAINT, " or may, in what was written in the last %llu s; %llu slots do",
                   (unsigned long long)view->unequal_seconds,
                   (unsigned long long)view->slots_behind);
    fputc('\n', t->file);
}

static void print_load(const struct cluster_view *view, struct terminal *t) {
    if (view->shedding == 0) return;
    terminal_print(t, STYLE_WARN, "more is asked for than can be done");
    terminal_print(
        t, STYLE_FAINT,
        " by the member that was asked: it has refused %llu requests; others wait %llu ms",
        (unsigned long long)view->shed_requests, (unsigned long long)(view->queue_time_us / 1000));
    fputc('\n', t->file);
}

static void print_purge(const struct cluster_view *view, struct terminal *t) {
    if (view->purge_blocked == 0) return;
    terminal_print(t, STYLE_WARN, "deleted keys take room");
    terminal_print(t, STYLE_FAINT, " in %llu partitions", (unsigned long long)view->purge_blocked);
    if (view->purge_waits_for[0] != '\0') {
        terminal_print(t, STYLE_FAINT, " until %s is back, and has handed off what it keeps",
                       view->purge_waits_for);
    }
    fputc('\n', t->file);
}

static void print_hints(const struct cluster_view *view, struct terminal *t) {
    if (view->hints_stuck == 0) return;
    terminal_print(t, STYLE_WARN, "writes do not get where they belong");
    terminal_print(t, STYLE_FAINT,
                   ": %llu that are kept for others, who do not take them: see hints_stuck in "
                   "docs/operations.md",
                   (unsigned long long)view->hints_stuck);
    fputc('\n', t->file);
}

size_t cluster_count_up(const struct cluster_view *view) {
    size_t up = 0;
    for (size_t i = 0; i < view->node_count; i++) up += strcmp(view->nodes[i].state, "up") == 0;
    return up;
}

// What a member says of itself. Of one that says nothing any more nobody knows it.
static void add_figures(struct table *table, const struct cluster_node *node) {
    bool is_gone = strcmp(node->state, "down") == 0 || strcmp(node->state, "refused") == 0;
    if (is_gone) {
        for (uint32_t i = 0; i < FIGURES; i++) table_cell(table, STYLE_FAINT, "?");
        return;
    }
    table_cell(table, STYLE_PLAIN, "%llu", (unsigned long long)node->keys);
    table_cell(table, STYLE_PLAIN, "%s", human_size(node->disk).text);
    table_cell(table, STYLE_PLAIN, "%s", human_count((double)node->load).text);
    if (node->is_merging) {
        table_cell(table, STYLE_PLAIN, "%llu %%", (unsigned long long)node->merged);
    } else {
        table_cell(table, STYLE_FAINT, "-");
    }
    if (node->troubles[0] != '\0') {
        table_cell(table, STYLE_WARN, "%s", node->troubles);
    } else {
        table_cell(table, STYLE_FAINT, "-");
    }
}

static void print_table(const struct cluster_view *view, struct terminal *t) {
    static const char *const headings[] = {"name",  "state",        "address",  "rack",
                                           "dc",    ">slots first", ">held",    ">keys",
                                           ">disk", ">ops/s",       ">merging", "troubles"};
    struct table table = table_of(headings, sizeof(headings) / sizeof(headings[0]));
    for (size_t i = 0; i < view->node_count; i++) {
        const struct cluster_node *node = &view->nodes[i];
        table_cell(&table, node->is_self ? STYLE_STRONG : STYLE_PLAIN, "%s", node->name);
        table_cell(&table, style_of_state(node->state), "%s", node->state);
        table_cell(&table, STYLE_PLAIN, "%s", node->address);
        table_cell(&table, STYLE_PLAIN, "%s", node->rack);
        table_cell(&table, STYLE_PLAIN, "%s", node->dc);
        table_cell(&table, STYLE_PLAIN, "%llu", (unsigned long long)node->slots_first);
        table_cell(&table, STYLE_PLAIN, "%llu", (unsigned long long)node->slots_held);
        add_figures(&table, node);
    }
    table_print(&table, t);
    table_free(&table);
}

void cluster_print(const struct cluster_view *view, struct terminal *t) {
    size_t up = cluster_count_up(view);
    print_table(view, t);
    terminal_print(t, view->is_ok ? STYLE_GOOD : STYLE_BAD, "cluster %s", view->state);
    terminal_print(t, up < view->node_count ? STYLE_WARN : STYLE_FAINT, ", %zu of %zu members up",
                   up, view->node_count);
    terminal_print(t, STYLE_FAINT, ", epoch %llu", (unsigned long long)view->epoch);
    fputc('\n', t->file);
    print_load(view, t);
    print_differences(view, t);
    print_purge(view, t);
    print_hints(view, t);
}
