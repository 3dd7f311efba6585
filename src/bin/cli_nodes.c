// SPDX-License-Identifier: Apache-2.0
//
// quoit nodes -- what each member thinks of each other one.
//
// One that is up for some and not for others is what no member can see by itself.
#include "base/must.h"
#include "bin/cli.h"
#include "bin/cli_members.h"
#include "bin/cli_options.h"
#include "bin/cli_terminal.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { ANSWER_TIMEOUT_MS = 3000, SOMEBODY_IS_NOT_UP = 1, SOMEBODY_IS_NOT_ASKED = 2 };

struct sight {
    const char *name; // lent
    const char *state;
    const char *phi;
    int64_t silence_ms; // negative: nothing was ever heard
    bool is_late;
};

struct nodes {
    struct members members;
    redisReply *answers[MEMBERS_MAX]; // by member; or NULL
    bool as_json;
    bool is_trouble_only;
};

// What one member says of another; false: it is that one itself, or this cannot be read.
static bool read_sight(const redisReply *fields, struct sight *s) {
    s->name = cli_reply_text(fields, "name");
    s->state = cli_reply_text(fields, "state");
    s->phi = cli_reply_text(fields, "phi");
    s->silence_ms = cli_reply_number(fields, "silence_ms");
    s->is_late = cli_reply_number(fields, "late") == 1;
    bool is_self = cli_reply_number(fields, "self") == 1;
    return s->name != NULL && s->state != NULL && s->phi != NULL && !is_self;
}

static bool is_up(const struct sight *s) {
    return strcmp(s->state, "up") == 0;
}

// What the member says of others: a list, or NULL when it says nothing.
static const redisReply *seen_by(const struct nodes *n, size_t index) {
    const redisReply *sees = cli_reply_field(n->answers[index], "members");
    return sees != NULL && sees->type == REDIS_REPLY_ARRAY ? sees : NULL;
}

static void ask_all(struct nodes *n) {
    members_ask(&n->members, "QUOIT VIEW");
    for (size_t i = 0; i < n->members.count; i++) {
        struct member *member = n->members.all[i];
        n->answers[i] = member_answer(member);
        if (n->answers[i] == NULL || seen_by(n, i) != NULL) continue;
        snprintf(member->problem, sizeof(member->problem), "what it answers is no view");
    }
}

static size_t count_asked(const struct nodes *n) {
    size_t asked = 0;
    for (size_t i = 0; i < n->members.count; i++) asked += seen_by(n, i) != NULL;
    return asked;
}

static size_t count_not_up(const struct nodes *n) {
    size_t count = 0;
    for (size_t i = 0; i < n->members.count; i++) {
        const redisReply *sees = seen_by(n, i);
        for (size_t j = 0; sees != NULL && j < sees->elements; j++) {
            struct sight s;
            count += read_sight(sees->element[j], &s) && !is_up(&s);
        }
    }
    return count;
}

static json_t *json_of_sights(const redisReply *sees) {
    json_t *list = json_array();
    for (size_t i = 0; sees != NULL && i < sees->elements; i++) {
        struct sight s;
        if (!read_sight(sees->element[i], &s)) continue;
        json_t *silence = s.silence_ms < 0 ? json_null() : json_integer((json_int_t)s.silence_ms);
        json_array_append_new(list, json_pack("{ss ss sf so sb}", "name", s.name, "state", s.state,
                                              "phi", strtod(s.phi, NULL), "silence_ms", silence,
                                              "late", s.is_late));
    }
    return list;
}

static void print_json(const struct nodes *n) {
    json_t *nodes = json_array();
    for (size_t i = 0; i < n->members.count; i++) {
        const struct member *member = n->members.all[i];
        const redisReply *sees = seen_by(n, i);
        json_array_append_new(nodes, json_pack("{ss ss ss? sI so}", "name", member->name, "address",
                                               member->address, "problem",
                                               sees != NULL ? NULL : member->problem, "doubt",
                                               (json_int_t)cli_reply_number(n->answers[i], "doubt"),
                                               "sees", json_of_sights(sees)));
    }
    json_t *all = json_pack("{so sI}", "nodes", nodes, "not_up", (json_int_t)count_not_up(n));
    json_dumpf(all, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(5));
    putchar('\n');
    json_decref(all);
}

static void add_row(struct table *table, const struct nodes *n, size_t index,
                    const struct sight *s) {
    bool is_down = strcmp(s->state, "down") == 0;
    table_cell(table, STYLE_PLAIN, "%s", n->members.all[index]->name);
    table_cell(table, STYLE_PLAIN, "%s", s->name);
    table_cell(table, is_up(s) ? STYLE_GOOD : is_down ? STYLE_BAD : STYLE_WARN, "%s", s->state);
    table_cell(table, STYLE_PLAIN, "%s", s->phi);
    if (s->silence_ms < 0) {
        table_cell(table, STYLE_FAINT, "-");
    } else {
        table_cell(table, STYLE_PLAIN, "%s",
                   human_duration((uint64_t)s->silence_ms * UINT64_C(1000000)).text);
    }
    table_cell(table, s->is_late ? STYLE_WARN : STYLE_FAINT, "%s", s->is_late ? "late" : "-");
    table_cell(table, STYLE_PLAIN, "%" PRId64, cli_reply_number(n->answers[index], "doubt"));
}

static void print_table(const struct nodes *n, struct terminal *t) {
    static const char *const headings[] = {"node",     "of",    "state",           ">phi",
                                           ">silence", "reads", ">doubt in itself"};
    struct table table = table_of(headings, sizeof(headings) / sizeof(headings[0]));
    size_t rows = 0;
    for (size_t i = 0; i < n->members.count; i++) {
        const redisReply *sees = seen_by(n, i);
        for (size_t j = 0; sees != NULL && j < sees->elements; j++) {
            struct sight s;
            if (!read_sight(sees->element[j], &s) || (n->is_trouble_only && is_up(&s))) continue;
            add_row(&table, n, i, &s);
            rows++;
        }
    }
    if (rows > 0) table_print(&table, t);
    table_free(&table);
    size_t asked = count_asked(n);
    size_t not_up = count_not_up(n);
    terminal_print(t, not_up == 0 ? STYLE_GOOD : STYLE_BAD, "%zu not up", not_up);
    terminal_print(t, STYLE_FAINT, ", as %zu of %zu members see the others", asked,
                   n->members.count);
    fputc('\n', t->file);
}

static int show(struct nodes *n) {
    char problem[CLI_PROBLEM_MAX + 1];
    if (!members_find(&n->members, problem)) {
        cli_complain("nodes", "%s", problem);
        return SOMEBODY_IS_NOT_ASKED;
    }
    ask_all(n);
    members_name_absent(&n->members, "nodes");
    struct terminal t = terminal_of(stdout);
    if (n->as_json) {
        print_json(n);
    } else {
        print_table(n, &t);
    }
    fflush(stdout);
    if (count_asked(n) < n->members.count) return SOMEBODY_IS_NOT_ASKED;
    return count_not_up(n) == 0 ? CLI_OK : SOMEBODY_IS_NOT_UP;
}

int cli_nodes(int count, char **arguments) {
    struct nodes *n = calloc(1, sizeof(*n));
    must(n != NULL);
    struct cli_server *member = &n->members.first;
    *member =
        (struct cli_server){.host = "127.0.0.1", .port = 7379, .timeout_ms = ANSWER_TIMEOUT_MS};
    const struct cli_option options[] = {
        CLI_SERVER_OPTIONS(*member, "any member"),
        {"trouble", NULL, "only who is not up to whom", .flag = &n->is_trouble_only},
        {"json", NULL, "print JSON", .flag = &n->as_json},
    };
    const struct cli_syntax syntax = {
        .command = "nodes",
        .summary = "Shows what each member thinks of each other one.",
        .notes = "The exit status is 0 when each is up to all others, 1 when some are not, and 2\n"
                 "when a member cannot be asked.\n",
        .options = options,
        .option_count = sizeof(options) / sizeof(options[0]),
    };
    enum cli_asked asked = cli_options_read(&syntax, count, arguments);
    int outcome = asked == CLI_ASKED_HELP ? CLI_OK : CLI_MISUSED;
    if (asked == CLI_ASKED_RUN) {
        outcome = cli_server_read_password(member, "nodes") ? show(n) : CLI_FAILED;
    }
    for (size_t i = 0; i < n->members.count; i++) {
        if (n->answers[i] != NULL) freeReplyObject(n->answers[i]);
    }
    members_free(&n->members);
    free(n);
    return outcome;
}
