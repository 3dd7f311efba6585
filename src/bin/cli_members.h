// SPDX-License-Identifier: Apache-2.0
//
// cli_members.h -- all members of a cluster, each asked by a connection of its own.
//
// A member that cannot be asked is no failure of the others: why it cannot is kept beside it, and
// the next members_find or members_reach tries again. All together have the time that one has, and
// a moment more for each that has not answered by then.
#ifndef QUOIT_BIN_CLI_MEMBERS_H
#define QUOIT_BIN_CLI_MEMBERS_H

#include "base/limits.h"
#include "bin/cli_server.h"

#include <stddef.h>

struct member {
    char name[NAME_SIZE_MAX + 1];
    char address[ADDRESS_SIZE_MAX + 1]; // host:port
    char host[ADDRESS_SIZE_MAX + 1];
    struct cli_server server;
    redisContext *context;             // NULL: there is no connection
    uint64_t until_ms;                 // by then it has to have answered
    char problem[CLI_PROBLEM_MAX + 1]; // why it is not asked; empty: it is
};

struct members {
    struct cli_server first; // asked who the members are
    uint64_t epoch;          // of the map that it told
    size_t count;
    struct member *all[MEMBERS_MAX];
};

// Asks who the members are, and connects to those there is no connection to. Who was known before
// is asked when `first` does not answer. False, and the reason in `problem`: nobody does.
bool members_find(struct members *m, char problem[CLI_PROBLEM_MAX + 1]);

// Connects to those there is no connection to, and forgets what was wrong with the others.
void members_reach(struct members *m);

// Asks all that can be asked, together; the answers are then to be taken, one from each.
void members_ask(struct members *m, const char *command);

// Its answer, which is no error, or NULL: it is not asked, or cannot be any more, and why is said
// beside it.
redisReply *member_answer(struct member *member);

// Asks one, and takes its answer.
redisReply *member_ask(struct member *member, const char *command);

static inline bool member_is_asked(const struct member *member) {
    return member->context != NULL && member->problem[0] == '\0';
}

// Says who of them cannot be asked, and why.
void members_name_absent(const struct members *m, const char *command);

void members_free(struct members *m);

#endif
