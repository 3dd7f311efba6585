// SPDX-License-Identifier: Apache-2.0
//
// quoit verify -- whether all copies of all slots are the same.
#include "bin/cli_verify.h"

#include "base/must.h"
#include "bin/cli.h"
#include "bin/cli_clock.h"
#include "bin/cli_options.h"
#include "bin/cli_terminal.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum {
    ANSWER_TIMEOUT_MS = 3000,
    PAUSE_MS = 1000, // between looks: what is on its way has come by then
    LOOKS_LEAST = 2,
    LOOKS_MAX = 5, // at what changes all the time
    LISTED_MAX = 20,
    VERIFY_UNKNOWN = 2, // exit status: a member could not be asked
};

struct wish {
    struct cli_server member;
    uint64_t wait_s;
    bool as_json;
};

// Judged: nothing differs any more, or more looks would tell no more.
static bool is_settled(const struct verify *v, uint64_t until_ms) {
    if (v->absent_count + v->difference_count == 0) return true;
    if (v->looks < LOOKS_LEAST || cli_now_ms() < until_ms) return false;
    bool is_changing = v->steady_count < v->difference_count;
    return v->absent_count > 0 || !is_changing || v->looks >= LOOKS_MAX;
}

static void show_progress(const struct verify *v, struct terminal *t) {
    uint64_t done = 0;
    for (uint32_t i = 0; i < VERIFY_PAGES; i++) done += v->is_done[i];
    char note[64];
    snprintf(note, sizeof(note), "%zu slots differ, %zu members absent", v->difference_count,
             v->absent_count);
    terminal_progress(t, "verify", done, VERIFY_PAGES, note);
}

// False: nobody could be asked at all.
static bool look_until_settled(struct verify *v, const struct wish *w) {
    struct terminal t = terminal_of(stderr);
    char problem[CLI_PROBLEM_MAX + 1];
    uint64_t until_ms = cli_now_ms() + w->wait_s * 1000;
    for (;;) {
        bool is_found = verify_look(v, problem);
        if (is_found && is_settled(v, until_ms)) break;
        if (!is_found && cli_now_ms() >= until_ms) {
            terminal_clear(&t);
            cli_complain("verify", "%s", problem);
            return false;
        }
        if (is_found) show_progress(v, &t);
        cli_sleep_ms(PAUSE_MS);
    }
    terminal_clear(&t);
    return true;
}

static const char *keyspace_of(const struct verify *v, const struct verify_difference *d) {
    return v->keyspaces[cell_place(d->cell)];
}

// One line: who says what, those that say the same together.
static void print_difference(const struct verify *v, const struct verify_difference *d) {
    const struct verify_cell *said = &d->said;
    uint32_t told = 0; // bit i: of copy i
    printf("slot %" PRIu32 " of %s%s:", cell_slot(d->cell), keyspace_of(v, d),
           d->is_steady ? "" : " (changing)");
    for (uint32_t i = 0; i < said->count; i++) {
        if ((told >> i & 1) != 0) continue;
        printf("%s", told == 0 ? "" : ";");
        for (uint32_t j = i; j < said->count; j++) {
            if (said->copies[j].digest != said->copies[i].digest) continue;
            printf("%s %s", j == i ? "" : ",", said->copies[j].member->name);
            told |= 1u << j;
        }
        printf(" %016" PRIx64 " (%" PRIu64 " records)", said->copies[i].digest,
               said->copies[i].records);
    }
    putchar('\n');
}

static void print_text(const struct verify *v) {
    for (size_t i = 0; i < v->difference_count && i < LISTED_MAX; i++) {
        print_difference(v, &v->differences[i]);
    }
    if (v->difference_count > LISTED_MAX) {
        printf("and %zu more\n", v->difference_count - LISTED_MAX);
    }
    struct terminal t = terminal_of(stdout);
    size_t asked = v->members.count - v->absent_count;
    if (v->difference_count > 0) {
        terminal_print(&t, STYLE_BAD, "%zu slots differ", v->difference_count);
    } else {
        terminal_print(&t, v->absent_count > 0 ? STYLE_WARN : STYLE_GOOD,
                       "all copies%s are the same",
                       v->absent_count > 0 ? " that could be asked for" : "");
    }
    terminal_print(&t, STYLE_FAINT, ", on %zu of %zu members, in %zu keyspaces, epoch %" PRIu64,
                   asked, v->members.count, v->keyspace_count, v->epoch);
    putchar('\n');
}

static json_t *json_of_difference(const struct verify *v, const struct verify_difference *d) {
    json_t *copies = json_array();
    for (uint32_t i = 0; i < d->said.count; i++) {
        const struct verify_copy *copy = &d->said.copies[i];
        char digest[17];
        snprintf(digest, sizeof(digest), "%016" PRIx64, copy->digest);
        json_array_append_new(copies,
                              json_pack("{ss ss sI}", "member", copy->member->name, "digest",
                                        digest, "records", (json_int_t)copy->records));
    }
    return json_pack("{si ss sb so}", "slot", (int)cell_slot(d->cell), "keyspace",
                     keyspace_of(v, d), "changing", !d->is_steady, "copies", copies);
}

static void print_json(const struct verify *v) {
    json_t *members = json_array();
    json_t *differences = json_array();
    for (size_t i = 0; i < v->members.count; i++) {
        const struct member *member = v->members.all[i];
        bool is_asked = member_is_asked(member);
        json_array_append_new(members, json_pack("{ss ss ss?}", "name", member->name, "address",
                                                 member->address, "problem",
                                                 is_asked ? NULL : member->problem));
    }
    for (size_t i = 0; i < v->difference_count; i++) {
        json_array_append_new(differences, json_of_difference(v, &v->differences[i]));
    }
    bool is_equal = v->difference_count + v->absent_count == 0;
    json_t *all = json_pack("{sb sI si sI so so}", "equal", is_equal, "epoch", (json_int_t)v->epoch,
                            "looks", (int)v->looks, "keyspaces", (json_int_t)v->keyspace_count,
                            "members", members, "differences", differences);
    json_dumpf(all, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(all);
}

static int carry_out(const struct wish *w) {
    struct verify *v = calloc(1, sizeof(*v));
    must(v != NULL);
    v->members.first = w->member;
    int outcome = VERIFY_UNKNOWN;
    if (look_until_settled(v, w)) {
        members_name_absent(&v->members, "verify");
        if (w->as_json) {
            print_json(v);
        } else {
            print_text(v);
        }
        if (v->absent_count == 0) outcome = v->difference_count == 0 ? CLI_OK : CLI_FAILED;
    }
    verify_free(v);
    free(v);
    return outcome;
}

int cli_verify(int count, char **arguments) {
    struct wish w = {
        .member = {.host = "127.0.0.1", .port = 7379, .timeout_ms = ANSWER_TIMEOUT_MS}};
    const struct cli_option options[] = {
        CLI_SERVER_OPTIONS(w.member, "any member"),
        {"wait", "S", "seconds to look again for until all is the same (0)", .number = &w.wait_s,
         .most = 86400},
        {"json", NULL, "print JSON", .flag = &w.as_json},
    };
    const struct cli_syntax syntax = {
        .command = "verify",
        .summary = "Shows which slots differ between the members that have copies of them.",
        .notes =
            "The exit status is 0 when all copies are the same, 1 when some differ, and 2 when\n"
            "a member cannot be asked. What is only on its way, while clients write, does not\n"
            "count, unless a slot is never found without it: such a one is listed as changing.\n"
            "Digests are compared, not data: quoit repair reads that.\n",
        .options = options,
        .option_count = sizeof(options) / sizeof(options[0]),
    };
    enum cli_asked asked = cli_options_read(&syntax, count, arguments);
    if (asked != CLI_ASKED_RUN) return asked == CLI_ASKED_HELP ? CLI_OK : CLI_MISUSED;
    if (!cli_server_read_password(&w.member, "verify")) return VERIFY_UNKNOWN;
    return carry_out(&w);
}
