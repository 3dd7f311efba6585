// SPDX-License-Identifier: Apache-2.0
//
// manifest.h -- which tables make up the store, and from where on the log goes beyond them.
//
//     manifest = copy, copy                      both the same: one may be damaged
//     copy     = "QUOITMAN" | u32 version | u32 size of the copy | state | tables | u64 checksum
//     state    = u64 storage id | u64 position | u32 epoch | u64 minted | u32 next number
//              | u64 next sequence | u32 number of the file of facts (0: none) | u32 count of
//              tables
//     table    = u32 number | u32 first | u32 last | u64 sequence
//
// Of a snapshot, and of a store that was made from one, it has version 2, and behind the tables:
//
//     origin   = u8 kind | u64 storage id of the actor | u64 cluster | u64 end | u64 count of keys
//              | u64 digest | u32 count of files
//
// While something may be left of keyspaces that were dropped it has version 3, and behind the
// tables:
//
//     u8 1 if an origin follows, else 0 | origin, if so
//     u8 count of drops | drops, by keyspace, ascending: u16 keyspace | u32 number
//
// So a program that knows nothing of these refuses them. Of a dropped keyspace something is left in
// files with lower numbers than the drop has: in tables that cover it, and in the log while the
// facts are of before. Files that were begun after the drop have that number or higher ones.
//
// What the log holds before the position is in the tables; the facts (facts.h) are those at the
// position. The file is replaced as a whole:
//
//     write "manifest-new" -> sync -> rename to "manifest" -> sync names
//
// so at any moment one of two manifests is there. Files that it does not name are left over from
// something that did not come to its end, and go at the next start.
#ifndef QUOIT_STORE_MANIFEST_H
#define QUOIT_STORE_MANIFEST_H

#include "base/arena.h"
#include "env/env.h"
#include "store/keyspaces.h"
#include "store/sstable_set.h"

#define MANIFEST_NAME "manifest"
#define MANIFEST_NEW_NAME "manifest-new"

enum { MANIFEST_VERSION = 1, MANIFEST_VERSION_ORIGIN = 2, MANIFEST_VERSION_DROPS = 3 };

enum manifest_kind { MANIFEST_STORE, MANIFEST_SNAPSHOT, MANIFEST_RESTORED };

// Where a store comes from that did not begin empty.
struct manifest_origin {
    enum manifest_kind kind;
    uint64_t actor;     // of a restored one: storage id under which it mints; else 0
    uint64_t cluster;   // of a restored one: makes its cluster another than the one before; else 0
    uint64_t end;       // the log of the snapshot lies before this position
    uint64_t key_count; // of all partitions at the end, with the system's
    uint64_t digest;    // likewise
    uint32_t files;     // that the snapshot has besides this one
};

struct manifest_table {
    uint32_t number;
    uint32_t first;
    uint32_t last;
    uint64_t sequence;
};

struct manifest_drop {
    uint16_t keyspace;
    uint32_t number; // files from here on have nothing of it
};

struct manifest {
    uint64_t storage; // 0: there is no manifest
    uint64_t position;
    uint64_t minted; // highest counter of the actor's epoch, at the position or later
    uint64_t next_sequence;
    uint32_t epoch;
    uint32_t next_number; // of tables and files of facts
    uint32_t facts_number;
    uint32_t table_count;
    struct manifest_table *tables; // borrowed: room for SSTABLES_MAX
    struct manifest_origin origin;
    uint32_t drop_count;
    struct manifest_drop drops[KEYSPACES_DROPPED_MAX];
};

size_t manifest_size_max(void);

// Writes both copies. Returns their size; `to` has room for manifest_size_max().
size_t manifest_encode(const struct manifest *m, uint8_t *to);

// From the whole file. ST_INVALID: of another version; ST_CORRUPT: no copy is good, or names a file
// twice. *good: how many are.
NODISCARD enum status manifest_decode(struct manifest *m, struct slice bytes, uint32_t *good);

bool manifest_has(const struct manifest *m, uint32_t table);

// Changes, before they are saved.
void manifest_add(struct manifest *m, const struct manifest_table *t);
void manifest_remove(struct manifest *m, uint32_t number);
void manifest_trim(struct manifest *m, uint32_t number, uint32_t past); // as sstable_set_trim

// The keyspace is dropped; nothing changes if it is already. False: too many are.
NODISCARD bool manifest_drop(struct manifest *m, uint16_t keyspace, uint32_t number);

// Forgets the drops of which no file has anything any more.
void manifest_forget_drops(struct manifest *m);

// What was dropped is noted among the keyspaces.
void manifest_note_drops(const struct manifest *m, struct keyspaces *k);

// True of the name of a file that is left over from something that did not come to its end: what
// the manifest knows nothing of, or is done with.
bool manifest_leaves_over(const struct manifest *m, const char *name);

// True where there is none any more. names: of all files, each with its NUL, in size bytes. Tables
// are there, and the first segment of the log, which no flush removes before a manifest names what
// it wrote, is not.
bool manifest_is_missing(const struct manifest *m, const char *names, uint32_t size);

// Copies the state and the tables.
void manifest_copy(struct manifest *to, const struct manifest *from);

// The file.

struct manifest_file;
typedef void manifest_done(struct manifest_file *f);

struct manifest_file {
    struct env *env;
    manifest_done *idle; // set by the owner: it is not busy any more
    manifest_done *done;
    void *context;           // of whoever saves
    struct manifest current; // what is on disk
    struct manifest next;    // being saved, or free to be prepared for that
    uint32_t next_number;    // of files
    const char *name;        // of the file being saved
    bool is_busy;
    enum status status;
    bool is_uncertain; // a save failed so late that either may be on disk: nothing may be removed
    struct env_op op;
    struct env_file *file;
    uint8_t *bytes;
    size_t size;
    uint32_t good;
};

size_t manifest_file_memory_size(void);
void manifest_file_init(struct manifest_file *f, struct arena *arena, struct env *env);

// Reads the file into `current`. Calls back with `status`: ST_OK, also when there is none;
// ST_INVALID: it is of another version; ST_CORRUPT, ST_IO. `good` says how many copies are, and
// `size` how many bytes it has.
void manifest_read(struct manifest_file *f, manifest_done *done);

// Takes so many numbers for files, and returns the first.
uint32_t manifest_take_numbers(struct manifest_file *f, uint32_t count);

// A file has the number: those that are taken next are higher.
void manifest_pass_number(struct manifest_file *f, uint32_t number);

// Saves `next`. Calls back with `status`; ST_OK: it is `current` now.
void manifest_save(struct manifest_file *f, manifest_done *done);

// Keeps `current` as it is until then: nobody may save. Requires that it is not busy.
void manifest_hold(struct manifest_file *f);
void manifest_release(struct manifest_file *f);

// Saves `next` as the manifest of something else, under a name borrowed until done: `current` stays
// what it is, and held. Requires that it is held.
void manifest_save_other(struct manifest_file *f, const char *name, manifest_done *done);

#endif
