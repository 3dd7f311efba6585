// SPDX-License-Identifier: Apache-2.0
//
// cli_import.h -- strings on their way from somewhere else into a cluster.
//
//     a source  -> import_string -> a batch, as SETs in one pipeline -> again what was not done
//
// A SET may be done twice without harm, so what had no answer, or one that says "try again", is
// simply sent again: for as long as a node needs to come back, and no longer.
#ifndef QUOIT_BIN_CLI_IMPORT_H
#define QUOIT_BIN_CLI_IMPORT_H

#include "base/slice.h"
#include "bin/cli_server.h"
#include "bin/cli_terminal.h"
#include "wire/rdb.h"

#include <stdbool.h>
#include <stdint.h>

enum { IMPORT_BATCH = 256, IMPORT_BATCH_BYTES = 4 * 1024 * 1024, IMPORT_POSITION_MAX = 24 };

struct import_item {
    uint8_t *bytes; // the key, then the value
    size_t key_size;
    size_t value_size;
    int64_t expires_ms;
    bool is_done;
};

struct import {
    const char *source;   // set by the caller, like all up to timeout_s
    struct cli_server to; // a node
    uint64_t rate;        // strings a second at most; 0: as many as go
    uint64_t database;    // of the source
    const char *from;     // position at which an earlier run ended; or NULL
    uint64_t timeout_s;   // how long the node may be away

    redisContext *node; // or NULL: it has to be reached again
    bool is_hopeless;   // it refuses whatever comes
    struct import_item items[IMPORT_BATCH];
    uint32_t item_count;
    size_t item_bytes;
    char position[IMPORT_POSITION_MAX]; // all before it is written
    struct terminal terminal;
    uint64_t begin; // ns
    uint64_t shown; // ns: when progress was last shown
    uint64_t done;  // of `total`, whatever the source counts in
    uint64_t total;

    uint64_t written;
    uint64_t expired; // before they came
    uint64_t refused; // for good
    uint64_t others[RDB_KINDS];
    uint64_t elsewhere; // keys of other databases
};

// Each is false when the import cannot go on, or is not to; why has been said.
bool import_string(struct import *in, struct slice key, struct slice value, int64_t expires_ms);
bool import_settle(struct import *in);

// All keys of the database, in import->source: of a file, or of a server by its address.
bool import_file(struct import *in);
bool import_server(struct import *in);

// Shows how far it is, ten times a second at most.
void import_show(struct import *in);

// Whether somebody wants it to end.
bool import_is_stopped(void);
void import_stop_on_signals(void);

#endif
