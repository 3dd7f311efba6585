// SPDX-License-Identifier: Apache-2.0
//
// cli_node.h -- one quoitd process on this machine, with a directory of its own.
//
//     DIR/nodeK/data         what it stores
//     DIR/nodeK/log          what it says
//     DIR/nodeK/quoitd.pid   its process, while it runs
//
// A pid file outlives a crash, and its number may since belong to somebody else. So a process
// counts as the node only if its command line is that of a quoitd on this very data directory.
#ifndef QUOIT_BIN_CLI_NODE_H
#define QUOIT_BIN_CLI_NODE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

enum { LOCAL_NODE_PROBLEM_MAX = PATH_MAX + 255 };

struct local_node {
    char name[16];
    char directory[PATH_MAX]; // absolute
    uint16_t port;
    pid_t pid;       // 0: does not run
    bool is_child;   // this very program started it
    int exit_status; // of a child that ended, as waitpid tells it
    char problem[LOCAL_NODE_PROBLEM_MAX + 1];
};

// Names the node and looks whether it runs. `directory` is absolute.
void local_node_init(struct local_node *node, const char *directory, uint32_t number,
                     uint16_t port);

// Writes the path of something in the node's directory.
void local_node_path(const struct local_node *node, const char *what, char path[PATH_MAX]);

// Finds the server beside this program, else in PATH. False if there is none.
bool find_quoitd(char path[PATH_MAX]);

// Whether all ports that the node needs and its data are free; else names the first that is not.
bool local_node_has_place(struct local_node *node);

// Starts the server: `arguments` begins with its path and ends with NULL. With `is_bound` it ends
// with this program, whatever happens to that. False, and a problem, if it could not be started.
bool local_node_start(struct local_node *node, char *const *arguments, bool is_bound);

// Whether it runs now. Forgets it, and its pid file, if it does not.
bool local_node_runs(struct local_node *node);

// Asks it to end. Afterwards local_node_runs tells when it has.
void local_node_stop(struct local_node *node, int signal_number);

// What a child that ended died of, in words.
void local_node_describe_end(const struct local_node *node, char *text, size_t capacity);

// The last lines of its log.
void local_node_print_log(const struct local_node *node, FILE *to);

#endif
