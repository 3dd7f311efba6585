// SPDX-License-Identifier: Apache-2.0
//
// store.h -- one shard's data: records by partition and key, durable, in order.
//
// Others include this header, and who looks at a directory that no process uses check.h. Behind it:
//
//     a write  -> apply (a pure function of the old record) -> commit log -> memory
//                                                   group sync -> done
//     a read   -> memory -> done, once what it shows is durable
//
// Rules that callers rely on:
//
//   Atomic per key.     A write gets the old record and gives the new one in one step; nothing
//                       comes between. Writes of a key take effect in the order they were asked.
//   Durable when done.  A write calls back when its record is forced to disk, or, with an interval,
//                       handed to the disk. Groups of writes share one sync.
//   Shown when durable. A read does not answer with a record that a crash could still take back:
//                       it waits for the sync under way. So nobody sees a dot that could be
//                       minted again. (With an interval, "handed to the disk" takes the place.)
//   Never wrong.        Bytes that fail their checksum are not served. Damage is counted and
//                       reported; the owner repairs from peers.
//
// A callback may run before the call that asked for it returns only where a function says so.
#ifndef QUOIT_STORE_STORE_H
#define QUOIT_STORE_STORE_H

#include "base/arena.h"
#include "base/timer.h"
#include "base/tlsf.h"
#include "env/env.h"
#include "model/keyspace.h"
#include "model/pace.h"
#include "model/record.h"
#include "model/slot.h"

struct store;

// The most that a store can use for keys, records and their index.
#define STORE_MEMORY_MAX TLSF_REGION_MAX

// How blocks of tables are compressed. Formats hold these numbers.
enum codec { CODEC_NONE, CODEC_LZ4, CODEC_ZSTD, CODECS };

// For how many keyspaces a node keeps room: for all that there can be, and the node's own facts.
enum { STORE_KEYSPACES_DEFAULT = KEYSPACES_MAX + 1 };

struct store_options {
    uint64_t
        memory_max; // bytes for keys, records and their index in memory; at most STORE_MEMORY_MAX
    uint64_t segment_size;     // bytes of one log segment; at least twice the largest record
    uint64_t disk_reserve;     // bytes of disk left free: below, writes get ST_NO_SPACE
    uint64_t sync_interval_ns; // 0: sync before a write is done (durability = always)
    uint64_t seed;             // a random number from outside: storage id, hash seeds
    uint32_t record_size_max;  // bytes of the largest record that will be written
    uint32_t keyspaces_max;    // that can have keys here at a time, keyspace 0 included; 0: 1
    uint32_t block_size;       // bytes of a table's block before compression; 0: 4096
    uint32_t lookups_max;      // records looked for in tables at a time; 0: 256
    uint64_t flush_size;       // bytes only in the log that become a table; 0: a part of the memory
    uint64_t table_size;       // bytes of a table of the base; 0: 64 MiB
    enum codec codec;          // of keyspaces that store_set_codecs does not name
    bool is_direct;            // records are looked up past the kernel's cache
};

// Bytes of `memory_max` from which on the largest record surely finds a place in memory.
uint64_t store_memory_min(const struct store_options *options);

// How many bytes of arena a store takes.
size_t store_memory_size(const struct store_options *options);
struct store *store_create(struct arena *arena, struct env *env, struct timers *timers,
                           const struct store_options *options);

// Recovers what the directory holds, or makes a new store in an empty one; then calls back, once.
// ST_OK: everything else may be used now. ST_CORRUPT: the directory is not a store of a version
// this program reads; ST_SNAPSHOT: it is a snapshot, and stays as it is; ST_NO_MEMORY,
// ST_TOO_LARGE: it is one of larger limits; other statuses as from env. Progress and damage are
// logged.
typedef void store_done(void *context, enum status status);
void store_open(struct store *store, store_done *done, void *context);

// Orderly end: syncs, marks the log as ended cleanly, closes. No request may be under way, nor may
// a keyspace be being dropped.
void store_close(struct store *store, store_done *done, void *context);

// Who mints here. Constant from open to close, but for store_renew.
struct actor store_actor(const struct store *store);

// A counter never used before by this actor. The dot made of it is for the record that the apply
// function under way returns, and for nothing else.
uint64_t store_mint(struct store *store);

// What store_mint gave out last under the present epoch; its counter is 0 before the first.
struct version store_minted(const struct store *store);

// Takes a new actor epoch, above the present one and above `known`, durable before any later write
// is done: for when a peer proves that this store has forgotten something. Requires that there is
// one: `known` is less than UINT32_MAX.
void store_renew(struct store *store, uint32_t known);

// To be called when all that was missing after damage was fetched from peers: stats.was_damaged is
// false from now on. After the next start, too, once the log has been rid of its holes, which takes
// seconds.
void store_repaired(struct store *store);

// From here until store_repaired, a damaged block counts as not there, because what was in it will
// be fetched from peers; until then an older record of a key may show. What was found before that
// stays so, and what is found later, in the same table, too, is damage again. The actor must not go
// on under its epoch then.
void store_forgive(struct store *store);

// How blocks of one keyspace are compressed.
struct keyspace_codec {
    uint16_t keyspace; // its number
    enum codec codec;
};

// From now on tables are written with these keyspaces, at most KEYSPACES_MAX of them, in these
// codecs, and all others, also those of former calls, in that of the options. A table that is being
// written may still have the former ones, and what is on disk stays as it is until it is merged.
void store_set_codecs(struct store *store, const struct keyspace_codec *codecs, uint32_t count);

// Merges all tables into one level, in the background.
void store_compact(struct store *store);

// Paces what is done in the background, here and elsewhere. The store tells it what those wait for
// who ask for something (is_asked_for).
struct pace *store_pace(struct store *store);

// Writing.

struct store_write;

// Gives the record that replaces `old` (empty: there is none): *new is lent until the function
// returns. Pure; runs exactly once, maybe before store_put returns. *new equal to old (the same
// slice) changes nothing; the write is then done when the old record is durable. An empty *new
// removes the key and all that is known of it. A status other than ST_OK changes nothing and
// becomes the status of the write.
typedef enum status store_apply(struct store_write *write, struct slice old, struct slice *new);
typedef void store_written(struct store_write *write);

struct store_write {
    store_apply *apply;  // set by the caller, like all up to is_asked_for
    store_written *done; // never called before store_put returns
    struct partition partition;
    struct slice key;   // borrowed until done
    bool is_asked_for;  // somebody waits for it: not so what is done in the background
    enum status status; // result: ST_OK, ST_INVALID (it was dropped), ST_NO_SPACE, ST_NO_MEMORY
                        // (also when it would be the first key of one keyspace too many), ST_IO,
                        // ST_TOO_LARGE, ST_CORRUPT or apply's
    struct list link;   // the rest is the store's
    uint64_t position;
    uint64_t asked; // ns
};

void store_put(struct store *store, struct store_write *write);

// Reading.

struct store_read;
typedef void store_read_done(struct store_read *read);

struct store_read {
    store_read_done *done; // set by the caller, like all up to is_asked_for
    struct partition partition;
    struct slice key;    // borrowed until done
    bool is_asked_for;   // as in struct store_write
    enum status status;  // result: ST_OK, ST_NOT_FOUND, ST_CORRUPT, ST_IO
    struct slice record; // result: lent until control returns to the env, or the next store_put
    struct list link;    // the rest is the store's
    uint64_t position;
    uint64_t asked; // ns
};

// True: the answer is in `read` now, and done is not called. False: done will be called.
bool store_get(struct store *store, struct store_read *read);

// The same from memory alone, without waiting and without a callback: ST_BUSY where store_get would
// return false. ST_NOT_FOUND and ST_OK are answers.
NODISCARD enum status store_peek(struct store *store, struct store_read *read);

// Starts fetching into the processor's caches what store_get and store_put will look at: to be
// called for several keys, then _rest, before the first of them is asked for.
void store_prefetch(struct store *store, struct partition partition, struct slice key);
void store_prefetch_rest(struct store *store);

// Scanning one partition in byte order of keys, or in reverse. Each key that is there all the time
// is visited once, with its record as it is then. What is visited before control returns to the env
// is one consistent state; with is_one_state, so is all that is visited: when a key is about to
// change that was visited, the scan ends there. The tables that it reads stay until it has read
// them, whatever is merged away meanwhile.

struct store_scan;

// False ends the scan. `is_durable`: a crash cannot take the record back any more. The slices are
// lent for the call.
typedef bool store_visit(struct store_scan *scan, struct slice key, struct slice record,
                         bool is_durable);
typedef void store_scanned(struct store_scan *scan);

struct store_scan {
    store_visit *visit; // set by the caller, like all up to ignores_copies
    store_scanned *done;
    struct partition partition;
    struct slice after; // borrowed until done; begins past this key; empty: at the first, or in
                        // reverse at the last
    bool is_inclusive;  // begins at that key, if it is there
    bool is_reverse;
    bool is_one_state;
    bool ignores_copies; // what tables hold is visited as it is there, not as memory has a copy
    enum status status;  // result
    bool is_cut;         // result: ended after the last visit, as a key before it was to change
    uint64_t read;       // result: bytes of tables
    struct list link;    // the rest is the store's
};

// True: all visits were made before the call returned, and done is not called. False: visits and
// then done come later. A status other than ST_OK: ST_CORRUPT, ST_IO, ST_NO_MEMORY.
bool store_each(struct store *store, struct store_scan *scan);

// Facts.

struct store_partition {
    uint64_t digest;               // sum of record_digest over all keys
    uint64_t leaves[STORE_LEAVES]; // the same for the keys of each leaf, to which hashes deal them
    uint64_t key_count;            // records, tombstones included
    uint64_t live_count;           // records with at least one sibling that is not a tombstone
    uint64_t size;                 // bytes of keys and records
};

struct store_partition store_partition_of(const struct store *store, struct partition partition);

// Which leaf of its partition a key is dealt to.
uint32_t store_leaf_of(struct slice key);

// A number that has risen whenever a partition of this group of slots, of any keyspace, adds up to
// something else.
uint64_t store_changes(const struct store *store, uint32_t group);

// Forgets all keys of a keyspace, but for the node's own partitions. Nobody may write there again,
// ever: while something of it is left that is refused with ST_INVALID. ST_OK: `done` is called
// later, once: ST_OK: it has no keys any more, for good; other statuses as from env: it has all it
// had, or after the next start none. Else nothing is done: ST_BUSY: another is being dropped;
// ST_TOO_LARGE: of too many that were dropped something is left, until tables are merged; ST_IO.
typedef void store_dropped(void *context, enum status status);
NODISCARD enum status store_drop(struct store *store, uint16_t keyspace, store_dropped *done,
                                 void *context);

// The keyspaces that have keys here, the node's own partitions aside: their numbers, ascending, the
// first `max` of them. Returns how many there are.
uint32_t store_keyspaces(const struct store *store, uint16_t *numbers, uint32_t max);

// Snapshots: the store as it was at a moment, kept in further names of its files. They take no
// time to speak of, and room only for what the store itself has no use for any more.

enum { SNAPSHOTS_MAX = 16, SNAPSHOT_NAME_MAX = 31 };

// 1 to SNAPSHOT_NAME_MAX letters, digits, '-' and '_'; the first is a letter or a digit.
bool store_snapshot_name_is_good(struct slice name);

typedef void store_snapshot_done(void *context, enum status status);

// Makes a snapshot of all writes that are done, and maybe some under way. ST_OK: `done` is called
// later, once: ST_OK when it is durable; ST_CANCELLED, ST_NO_SPACE, ST_IO, ST_TOO_LARGE (files are
// too many), ST_BUSY (no descriptor): there is none, or after a loss of power a whole one; the name
// may stay taken until it is deleted, or until the next start. Else it is not: ST_INVALID: the name
// is not good, or taken; ST_BUSY: another one is being made or deleted, or a keyspace dropped;
// ST_TOO_LARGE: there are as many as may be; ST_CORRUPT: data was found damaged, and is not
// repaired yet.
NODISCARD enum status store_snapshot_make(struct store *store, struct slice name,
                                          store_snapshot_done *done, void *context);

// ST_OK: `done` is called later, once: ST_OK when it is gone; ST_IO: it may be gone.
// Else it is not: ST_NOT_FOUND, ST_BUSY. What is left of one that failed can be deleted, too.
NODISCARD enum status store_snapshot_delete(struct store *store, struct slice name,
                                            store_snapshot_done *done, void *context);

struct store_snapshot {
    char name[SNAPSHOT_NAME_MAX + 1];
    uint32_t file_count;
    uint64_t size; // bytes of its files
    uint64_t own;  // of them, what deleting it would give back
};

// Lists them; returns how many there are.
uint32_t store_snapshots(const struct store *store, struct store_snapshot to[SNAPSHOTS_MAX]);

// Restoring, for whoever copies the files of a snapshot into an empty directory. True: the file is
// one of a snapshot; there it has the name *plain. Both are lent from the name.
bool store_snapshot_part(const char *name, struct slice *snapshot, const char **plain);

// Makes the content of the file "manifest" of a snapshot into that of a store. `actor`: a random
// number from outside, under which the store will mint; `cluster`: what sets the cluster of which
// it will be a member apart from the one before. Neither is 0. *files: how many files the snapshot
// has besides. *restored takes as many bytes as the snapshot, from the arena. ST_CORRUPT,
// ST_INVALID (another version): it is not the manifest of a snapshot.
NODISCARD enum status store_restore(struct arena *arena, struct slice snapshot, uint64_t actor,
                                    uint64_t cluster, struct slice *restored, uint32_t *files);

// Bytes of arena that it takes for that.
size_t store_restore_memory_size(void);

// Of a store that was restored the number it was given for its cluster; else 0.
uint64_t store_restored_for(const struct store *store);

struct store_stats {
    uint64_t key_count; // all partitions but the node's own
    uint64_t live_count;
    uint64_t memory_used;
    uint64_t memory_max;
    uint64_t dirty_size; // bytes that only the log has
    uint64_t log_size;   // bytes of all segments
    uint64_t segment_count;
    uint64_t live_size; // bytes a log with each record once would have, tombstones included
    uint64_t table_count;
    uint64_t table_size; // bytes of all tables
    uint64_t flushes;    // since open, like all up to audit_differences
    uint64_t compactions;
    uint64_t bytes_logged;
    uint64_t bytes_flushed;
    uint64_t bytes_compacted;
    uint64_t blocks_read; // by reads and writes of single keys
    uint64_t evicted;     // records that left memory for others
    uint64_t cuts;        // how often a merge ended a table as it was large enough
    uint64_t recounts;    // facts added up anew, after damage
    uint64_t audited;     // partitions with keys that were compared with what the facts say
    uint64_t audit_rounds;
    uint64_t audit_differences; // partitions that were not what the facts say
    bool is_compacting;
    uint32_t compaction_percent; // of the merge under way
    uint64_t disk_free;          // bytes, as of the last look
    uint64_t snapshot_count;
    uint64_t snapshot_size; // bytes that only snapshots hold, as of the last second
    uint64_t syncs;         // completed since open
    uint64_t writes;        // since open, that changed something
    uint64_t damaged;       // places in the log, tables or blocks found so since open, each once
    uint64_t replayed;      // records read at open
    bool is_full;           // refusing writes for want of disk or memory
    bool is_failed;         // a sync or write failed: takes no more writes until the next start
    bool was_damaged; // some recovery found damage: something acknowledged may be missing here
};

struct store_stats store_stats(const struct store *store);

// True while partitions are added up anew after damage: until then they are said to hold what is
// not there any more.
bool store_is_recounting(const struct store *store);

// How many places of tables were found damaged since open while that was forgiven already. When
// there are more than at some time, then what was there at that time may be there no more.
uint64_t store_losses(const struct store *store);

// The same as store_stats(store).is_failed.
bool store_is_failed(const struct store *store);

#endif
