// SPDX-License-Identifier: Apache-2.0
//
// cli.h -- the commands of `quoit`, the program for people.
//
// Each is given its own name as arguments[0] and returns the exit status of the program: 0 when it
// did what was asked, 1 when it could not, 2 when it was asked wrongly.
#ifndef QUOIT_BIN_CLI_H
#define QUOIT_BIN_CLI_H

enum { CLI_OK = 0, CLI_FAILED = 1, CLI_MISUSED = 2 };

int cli_bench(int count, char **arguments);
int cli_demo(int count, char **arguments);
int cli_import(int count, char **arguments);
int cli_nodes(int count, char **arguments);
int cli_repair(int count, char **arguments);
int cli_replace(int count, char **arguments);
int cli_restore(int count, char **arguments);
int cli_snapshot(int count, char **arguments);
int cli_status(int count, char **arguments);
int cli_verify(int count, char **arguments);

#endif
