// SPDX-License-Identifier: Apache-2.0
//
// quoit repair -- has members compare their keys, whatever their digests say.
//
// A member that is told to repair compares with every other that has copies, and both end up with
// the same. So all but one of the members are told: of any two at least one is then, and of two
// that both are, each compares with the other. A member that is away is the one left out, and is
// waited for by the others.
#include "base/must.h"
#include "bin/cli.h"
#include "bin/cli_clock.h"
#include "bin/cli_members.h"
#include "bin/cli_options.h"
#include "bin/cli_terminal.h"
#include "model/slot.h"

#include <stdlib.h>
#include <string.h>

enum { ANSWER_TIMEOUT_MS = 3000, PAUSE_MS = 300, NO_SLOT = SLOT_COUNT };

enum state { LEFT_OUT, TO_BE_TOLD, AT_WORK, DONE };

struct task {
    enum state state;
    bool was_absent; // which was said
    uint64_t done;   // copies of slots compared
    uint64_t total;
};

struct repair {
    struct members members;
    struct terminal terminal;
    uint64_t slot; // or NO_SLOT: all
    bool is_all;
    uint64_t wait_s;
    struct task tasks[MEMBERS_MAX]; // by member
};

// Chooses who need not be told: one that cannot be asked, else the last.
static void choose(struct repair *r) {
    size_t left_out = r->members.count - 1;
    for (size_t i = 0; i < r->members.count; i++) {
        if (!member_is_asked(r->members.all[i])) left_out = i;
    }
    for (size_t i = 0; i < r->members.count; i++) {
        r->tasks[i].state = i == left_out ? LEFT_OUT : TO_BE_TOLD;
    }
}

static void tell(struct repair *r, size_t index) {
    char command[64];
    snprintf(command, sizeof(command), "QUOIT REPAIR SLOT %llu", (unsigned long long)r->slot);
    redisReply *reply = member_ask(r->members.all[index], r->is_all ? "QUOIT REPAIR ALL" : command);
    if (reply == NULL) return;
    freeReplyObject(reply);
    r->tasks[index].state = AT_WORK;
}

// How far a member is. One that was started anew has forgotten what it was told. False: it was told
// something else, by somebody else.
static bool ask(struct repair *r, size_t index) {
    struct member *member = r->members.all[index];
    struct task *task = &r->tasks[index];
    redisReply *reply = member_ask(member, "QUOIT REPAIR");
    if (reply == NULL) return true;
    uint64_t first = r->is_all ? 0 : r->slot;
    uint64_t last = r->is_all ? SLOT_COUNT - 1 : r->slot;
    bool is_ours = (uint64_t)cli_reply_number(reply, "first") == first &&
                   (uint64_t)cli_reply_number(reply, "last") == last;
    uint64_t total = (uint64_t)cli_reply_number(reply, "total");
    bool is_forgotten = total == 0 && (task->total > 0 || !is_ours);
    if (is_forgotten) {
        task->state = TO_BE_TOLD;
    } else if (is_ours) {
        task->done = (uint64_t)cli_reply_number(reply, "done");
        task->total = total;
        if (cli_reply_number(reply, "peers_left") == 0) task->state = DONE;
    }
    freeReplyObject(reply);
    if (is_ours || is_forgotten) return true;
    terminal_clear(&r->terminal);
    cli_complain("repair", "%s was told to repair something else meanwhile", member->name);
    return false;
}

static void name_the_absent(struct repair *r) {
    for (size_t i = 0; i < r->members.count; i++) {
        const struct member *member = r->members.all[i];
        bool is_absent = !member_is_asked(member);
        if (is_absent && !r->tasks[i].was_absent) {
            terminal_clear(&r->terminal);
            cli_complain("repair", "%s (%s) cannot be asked, and is waited for: %s", member->name,
                         member->address, member->problem);
        }
        r->tasks[i].was_absent = is_absent;
    }
}

// Members still to be done with.
static size_t show_progress(struct repair *r) {
    uint64_t done = 0;
    uint64_t total = 0;
    size_t left = 0;
    for (size_t i = 0; i < r->members.count; i++) {
        const struct task *task = &r->tasks[i];
        done += task->done;
        total += task->total;
        left += task->state == TO_BE_TOLD || task->state == AT_WORK;
    }
    char note[96];
    snprintf(note, sizeof(note), "%llu of %llu copies of slots, %zu members at it",
             (unsigned long long)done, (unsigned long long)total, left);
    terminal_progress(&r->terminal, "repair", done, total, note);
    return left;
}

// One round with all members. False: it will come to nothing.
static bool go_round(struct repair *r) {
    members_reach(&r->members);
    for (size_t i = 0; i < r->members.count; i++) {
        if (r->tasks[i].state == TO_BE_TOLD) tell(r, i);
        if (r->tasks[i].state == AT_WORK && !ask(r, i)) return false;
    }
    name_the_absent(r);
    return true;
}

static void print_end(struct repair *r) {
    uint64_t total = 0;
    size_t told = 0;
    for (size_t i = 0; i < r->members.count; i++) {
        total += r->tasks[i].total;
        told += r->tasks[i].state == DONE;
    }
    struct terminal t = terminal_of(stdout);
    if (total == 0) {
        puts("nothing to compare: there is no second copy");
        return;
    }
    terminal_print(&t, STYLE_GOOD, "repaired");
    terminal_print(&t, STYLE_FAINT, ", %llu copies of slots compared by %zu of %zu members",
                   (unsigned long long)total, told, r->members.count);
    putchar('\n');
}

static void complain_of_time(const struct repair *r) {
    for (size_t i = 0; i < r->members.count; i++) {
        const struct task *task = &r->tasks[i];
        if (task->state != TO_BE_TOLD && task->state != AT_WORK) continue;
        cli_complain("repair", "%s is not done within %llu s: %llu of %llu copies of slots",
                     r->members.all[i]->name, (unsigned long long)r->wait_s,
                     (unsigned long long)task->done, (unsigned long long)task->total);
    }
    members_name_absent(&r->members, "repair");
}

static int carry_out(struct repair *r) {
    char problem[CLI_PROBLEM_MAX + 1];
    if (!members_find(&r->members, problem)) {
        cli_complain("repair", "%s", problem);
        return CLI_FAILED;
    }
    uint64_t until_ms = cli_now_ms() + r->wait_s * 1000;
    choose(r);
    while (go_round(r)) {
        if (show_progress(r) == 0) {
            terminal_clear(&r->terminal);
            print_end(r);
            return CLI_OK;
        }
        if (cli_now_ms() >= until_ms) {
            terminal_clear(&r->terminal);
            complain_of_time(r);
            return CLI_FAILED;
        }
        cli_sleep_ms(PAUSE_MS);
    }
    return CLI_FAILED;
}

int cli_repair(int count, char **arguments) {
    struct repair *r = calloc(1, sizeof(*r));
    must(r != NULL);
    struct cli_server *member = &r->members.first;
    *member =
        (struct cli_server){.host = "127.0.0.1", .port = 7379, .timeout_ms = ANSWER_TIMEOUT_MS};
    r->slot = NO_SLOT;
    r->wait_s = 600;
    r->terminal = terminal_of(stderr);
    const struct cli_option options[] = {
        CLI_SERVER_OPTIONS(*member, "any member"),
        {"all", NULL, "all slots", .flag = &r->is_all},
        {"slot", "N", "this slot", .number = &r->slot, .most = SLOT_COUNT - 1},
        {"wait", "S", "seconds that it may take (600)", .number = &r->wait_s, .most = 604800},
    };
    const struct cli_syntax syntax = {
        .command = "repair",
        .summary = "Has members compare their keys, and makes them the same.",
        .notes =
            "Members do so by themselves where digests differ. A repair reads all keys, whatever\n"
            "digests say, and with them what a disk may have spoilt; not those of which there is\n"
            "one copy, as there is nothing to compare them with. It goes on when this\n"
            "command is interrupted.\n",
        .options = options,
        .option_count = sizeof(options) / sizeof(options[0]),
    };
    enum cli_asked asked = cli_options_read(&syntax, count, arguments);
    int outcome = asked == CLI_ASKED_HELP ? CLI_OK : CLI_MISUSED;
    if (asked == CLI_ASKED_RUN && r->is_all == (r->slot != NO_SLOT)) {
        cli_complain("repair", "give one of --all and --slot; see --help");
    } else if (asked == CLI_ASKED_RUN) {
        outcome = cli_server_read_password(member, "repair") ? carry_out(r) : CLI_FAILED;
    }
    members_free(&r->members);
    free(r);
    return outcome;
}
