// SPDX-License-Identifier: Apache-2.0
#include "bin/cli_server.h"

#include "base/must.h"
#include "bin/cli_options.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

bool cli_server_read_password(struct cli_server *server, const char *command) {
    const char *path = server->password_file;
    if (path == NULL) return true;
    FILE *file = fopen(path, "re");
    char *password = server->password;
    server->has_password = file != NULL && fgets(password, CLI_PASSWORD_MAX, file) != NULL;
    if (!server->has_password) {
        cli_complain(command, "%s: %s", path, file == NULL ? strerror(errno) : "is empty");
    } else {
        password[strcspn(password, "\r\n")] = '\0';
    }
    if (file != NULL) (void)fclose(file);
    return server->has_password;
}

// A reply that does not come in time is, to the system, a read that would have to wait.
void cli_server_trouble(const struct cli_server *server, const redisContext *context,
                        char problem[CLI_PROBLEM_MAX + 1]) {
    bool is_late = context->err == REDIS_ERR_IO && strcmp(context->errstr, strerror(EAGAIN)) == 0;
    uint64_t tenths = (server->timeout_ms + 50) / 100; // of a second
    if (is_late) {
        (void)snprintf(problem, CLI_PROBLEM_MAX + 1, "did not answer within %g s",
                       (double)tenths / 10);
    } else {
        (void)snprintf(problem, CLI_PROBLEM_MAX + 1, "%s", context->errstr);
    }
}

// Without a password something is asked all the same: a server that wants one says so then.
static bool authenticate(const struct cli_server *server, redisContext *context, char *problem) {
    redisReply *reply = server->has_password ? redisCommand(context, "AUTH %s", server->password)
                                             : redisCommand(context, "PING");
    if (reply == NULL) {
        cli_server_trouble(server, context, problem);
        return false;
    }
    bool is_good = reply->type != REDIS_REPLY_ERROR;
    if (!is_good) {
        bool wants_password = !server->has_password && strncmp(reply->str, "NOAUTH ", 7) == 0;
        (void)snprintf(problem, CLI_PROBLEM_MAX + 1, "%s%s", reply->str,
                       wants_password ? " Give it with --password-file." : "");
    }
    freeReplyObject(reply);
    return is_good;
}

static struct timeval timeout_of(const struct cli_server *server) {
    return (struct timeval){
        .tv_sec = (time_t)(server->timeout_ms / 1000),
        .tv_usec = (suseconds_t)(server->timeout_ms % 1000) * 1000,
    };
}

bool cli_server_set_timeout(const struct cli_server *server, redisContext *context) {
    return redisSetTimeout(context, timeout_of(server)) == REDIS_OK;
}

redisContext *cli_server_reach(const struct cli_server *server, char problem[CLI_PROBLEM_MAX + 1]) {
    redisContext *context =
        redisConnectWithTimeout(server->host, (int)server->port, timeout_of(server));
    must(context != NULL);
    if (context->err != 0 || !cli_server_set_timeout(server, context)) {
        cli_server_trouble(server, context, problem);
    } else if (authenticate(server, context, problem)) {
        return context;
    }
    redisFree(context);
    return NULL;
}

const redisReply *cli_reply_field(const redisReply *map, const char *name) {
    if (map == NULL || map->type != REDIS_REPLY_ARRAY) return NULL;
    for (size_t i = 0; i + 1 < map->elements; i += 2) {
        const char *field = map->element[i]->str;
        if (field != NULL && strcmp(field, name) == 0) return map->element[i + 1];
    }
    return NULL;
}

const char *cli_reply_text(const redisReply *map, const char *name) {
    const redisReply *value = cli_reply_field(map, name);
    return value != NULL && value->type == REDIS_REPLY_STRING ? value->str : NULL;
}

int64_t cli_reply_number(const redisReply *map, const char *name) {
    const redisReply *value = cli_reply_field(map, name);
    return value != NULL && value->type == REDIS_REPLY_INTEGER ? value->integer : 0;
}
