// SPDX-License-Identifier: Apache-2.0
//
// daemon_config.h -- what quoitd is told: one table of keys, each a line of the configuration file
// and a flag of the command line.
//
//     quoitd --config quoit.conf --port 7380        # flags win over the file
//
// What is wrong with it is said in one line.
#ifndef QUOIT_BIN_DAEMON_CONFIG_H
#define QUOIT_BIN_DAEMON_CONFIG_H

#include "base/hash.h"
#include "env/env.h"
#include "model/level.h"
#include "model/map.h"
#include "store/store.h"

#include <stdio.h>

enum { CONFIG_TEXT_MAX = 64 * 1024, CONFIG_KEYS_MAX = 48 };

enum config_io { CONFIG_IO_AUTO, CONFIG_IO_URING, CONFIG_IO_PORTABLE };

struct complaint {
    char text[400];
};

struct config {
    const char *directory;
    const char *bind;
    const char *address; // NULL: as bind
    const char *name;    // NULL: from initial, or the port
    const char *host;    // NULL: as name
    const char *rack;
    const char *dc;
    const char *initial;       // or NULL
    const char *seeds;         // or NULL
    const char *new_cluster;   // or NULL
    const char *key_file;      // or NULL
    const char *password_file; // or NULL
    uint64_t port;
    uint64_t weight;
    uint64_t memory;    // bytes
    uint64_t value_max; // bytes
    uint64_t clients_max;
    uint64_t members_max; // 0: as many as initial has, or a few more than one
    uint64_t replication;
    uint64_t timeout_ms;
    uint64_t hedge_ms;
    uint64_t hints_max; // bytes
    uint64_t suspect_ms;
    uint64_t idle_s; // 0: never
    uint64_t stall_s;
    uint64_t interval_ms; // 0: durability = always
    struct level read;
    struct level write;
    enum codec compression;
    bool is_direct; // direct-reads
    bool has_batch; // multi = batch
    bool has_monitor;
    bool has_debug; // debug-commands
    enum env_level log_level;
    enum config_io io;
    bool wants_help;
    bool wants_version;

    // The texts behind it: of each key, as it was given, and all of them.
    const char *shown[CONFIG_KEYS_MAX];
    char text[CONFIG_TEXT_MAX];
    size_t text_size;
};

// Reads flags, and the file that --config names. False, with a complaint, when something is wrong.
bool config_read(struct config *config, int argc, char **argv, struct complaint *complaint);

// The synopsis: every key with its default.
void config_help(FILE *to);

// How many keys there are; the name of one, and what it was set to, for CONFIG GET.
size_t config_key_count(void);
const char *config_key_name(size_t index);
const char *config_key_text(const struct config *config, size_t index);

__attribute__((format(printf, 2, 3))) void complain_of(struct complaint *complaint,
                                                       const char *format, ...);

#endif
