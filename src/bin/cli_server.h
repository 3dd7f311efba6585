// SPDX-License-Identifier: Apache-2.0
//
// cli_server.h -- a server that a command talks to: where it is, by which password, how long it may
// take; and what is said when it does not answer.
#ifndef QUOIT_BIN_CLI_SERVER_H
#define QUOIT_BIN_CLI_SERVER_H

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stdint.h>

enum { CLI_PROBLEM_MAX = 511, CLI_PASSWORD_MAX = 512 };

struct cli_server {
    const char *host;
    uint64_t port;
    const char *password_file; // or NULL
    uint64_t timeout_ms;       // of connecting and of each answer
    char password[CLI_PASSWORD_MAX];
    bool has_password; // set by cli_server_read_password
};

// Three lines of a table of options, which every command that talks to a server has.
#define CLI_SERVER_OPTIONS(server, what)                                                           \
    {"host", "HOST", what " (127.0.0.1)", .text = &(server).host},                                 \
        {"port", "PORT", "its port (7379)", .number = &(server).port, .least = 1, .most = 65535},  \
        CLI_PASSWORD_OPTION(server)

#define CLI_PASSWORD_OPTION(server)                                                                \
    { "password-file", "FILE", "its password, in a file", .text = &(server).password_file }

// Reads the first line of the file, if one was named. False: it cannot, which has been said.
bool cli_server_read_password(struct cli_server *server, const char *command);

// Connects, and gives the password if there is one. NULL: it cannot, and why is in `problem`,
// without its address.
redisContext *cli_server_reach(const struct cli_server *server, char problem[CLI_PROBLEM_MAX + 1]);

// What is waited for from now on may take as long as the server may. False: cli_server_trouble says
// why.
bool cli_server_set_timeout(const struct cli_server *server, redisContext *context);

// What went wrong with the connection, in words for people.
void cli_server_trouble(const struct cli_server *server, const redisContext *context,
                        char problem[CLI_PROBLEM_MAX + 1]);

// What a map has under that name. NULL, 0: nothing, something else, or it is no map.
const redisReply *cli_reply_field(const redisReply *map, const char *name);
const char *cli_reply_text(const redisReply *map, const char *name);
int64_t cli_reply_number(const redisReply *map, const char *name);

#endif
