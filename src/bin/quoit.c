// SPDX-License-Identifier: Apache-2.0
//
// quoit -- the program for people: sets up, looks at and measures clusters, over RESP.
#include "base/must.h"
#include "bin/cli.h"
#include "bin/version.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct command {
    const char *name;
    const char *help;
    int (*run)(int count, char **arguments);
} commands[] = {
    {"demo", "starts a cluster on this machine, or stops it", cli_demo},
    {"status", "shows the members of a cluster and how they do", cli_status},
    {"nodes", "shows what each member thinks of each other one", cli_nodes},
    {"verify", "shows whether all copies of the data are the same", cli_verify},
    {"repair", "compares all keys of all copies, and makes them the same", cli_repair},
    {"replace", "has a node whose data is gone go on with an empty directory", cli_replace},
    {"snapshot", "keeps the data of a node as it is now, in its directory", cli_snapshot},
    {"restore", "makes a directory for a node of a new cluster from a snapshot", cli_restore},
    {"import", "brings in what a Redis or a Valkey holds", cli_import},
    {"bench", "loads a server and measures what it does", cli_bench},
};

enum { COMMANDS = sizeof(commands) / sizeof(commands[0]) };

_Noreturn void must_fail(const char *cond, const char *file, int line) {
    fprintf(stderr, "quoit: %s:%d: must(%s)\n", file, line, cond);
    abort();
}

static void print_usage(FILE *file) {
    fputs("usage: quoit COMMAND [OPTIONS]\n\n", file);
    for (size_t i = 0; i < COMMANDS; i++) {
        fprintf(file, "    %-10s %s\n", commands[i].name, commands[i].help);
    }
    fputs("\n`quoit COMMAND --help` tells more.\n", file);
}

int main(int argc, char **argv) {
    if (argc < 2) {
        print_usage(stderr);
        return CLI_MISUSED;
    }
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        print_usage(stdout);
        return CLI_OK;
    }
    if (strcmp(name, "--version") == 0) {
        puts("quoit " QUOIT_VERSION);
        return CLI_OK;
    }
    for (size_t i = 0; i < COMMANDS; i++) {
        if (strcmp(name, commands[i].name) == 0) return commands[i].run(argc - 1, argv + 1);
    }
    fprintf(stderr, "quoit: there is no command '%s'; see quoit --help\n", name);
    return CLI_MISUSED;
}
