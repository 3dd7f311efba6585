// SPDX-License-Identifier: Apache-2.0
//
// rdb.h -- the files in which Redis (2.6 to 7.4) and Valkey (up to 9) save what they hold.
//
//     "REDIS" or "VALKEY", and digits: the version
//     then, each behind a byte that says what comes:
//         notes: about the server, a database, sizes, functions, how a key was used
//         when the next key expires
//         a key and its value, in one of two dozen forms
//     0xff, and a CRC-64 of all before it, or 0
//
// Of values that are no strings only the kind is told; they are passed over. A form that is not
// known has no known end, so nothing behind it can be read. Sizes and strings: see dump.h.
#ifndef QUOIT_WIRE_RDB_H
#define QUOIT_WIRE_RDB_H

#include "base/status.h"
#include "wire/dump.h"

enum rdb_kind {
    RDB_STRING,
    RDB_LIST,
    RDB_SET,
    RDB_SORTED_SET,
    RDB_HASH,
    RDB_STREAM,
    RDB_MODULE,
    RDB_KINDS,
};

// "strings", "sorted sets", ...
const char *rdb_kind_name(enum rdb_kind kind);

struct rdb_entry {
    enum rdb_kind kind;
    uint64_t database;
    struct dump_string key;
    struct dump_string value; // of RDB_STRING
    int64_t expires_ms;       // ms since 1970; 0: never
};

struct rdb {
    struct slice file; // all of it; borrowed
    struct slice rest; // not read yet
    uint64_t database;
    bool is_of_valkey;
};

// ST_INVALID: it is no such file. ST_CORRUPT: it is cut short, or its checksum is not that of its
// bytes; looking costs one pass over all of them.
NODISCARD enum status rdb_open(struct rdb *rdb, struct slice file);

// The next key; strings lend from the file and the entry. ST_NOT_FOUND: there is no more.
// ST_CORRUPT: it makes no sense from here on; ST_INVALID: it has a form that is not known.
NODISCARD enum status rdb_next(struct rdb *rdb, struct rdb_entry *entry);

// How many bytes were read.
static inline size_t rdb_position(const struct rdb *rdb) {
    return rdb->file.size - rdb->rest.size;
}

#endif
