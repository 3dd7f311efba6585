// SPDX-License-Identifier: Apache-2.0
//
// internal.h -- the store as its own files see it.
//
//     store    made, closed; ticks, facts, statistics          open   what a directory holds
//     put      writes: look, apply, log, memory                get    reads
//     flush    the log's records become a table                scan   a partition in order
//     compact  tables become fewer                             recount  facts after damage
//     audit    facts and tables agree                          tally    adds one partition up
//     snapshot files get second names                          backup   that, for the owner
//     sweep    what removed keyspaces leave in memory          drop     removes one
//
// A record is in one of three places. Dirty: in memory and in the log from the manifest's position
// on, perhaps over an older record in the tables. Clean: in the tables, with a copy in memory.
// Cold: in the tables only. Reading moves it from cold to clean, writing to dirty, a flush to
// clean, and eviction to cold.
#ifndef QUOIT_STORE_INTERNAL_H
#define QUOIT_STORE_INTERNAL_H

#include "store/commit_log.h"
#include "store/compaction.h"
#include "store/facts.h"
#include "store/flush.h"
#include "store/lookup.h"
#include "store/manifest.h"
#include "store/memtable.h"
#include "store/merge.h"
#include "store/recovery.h"
#include "store/snapshot.h"
#include "store/store.h"

// What store_open goes through.
struct opening {
    struct env_op op;
    struct env_file *file;
    char name[FILE_NAME_SIZE];
    uint32_t names_size; // of the list of files
    uint32_t names_at;
    uint32_t table; // of the manifest, being loaded
    struct sstable_loader loader;
    bool is_damaged;       // a table cannot be read
    bool needs_facts;      // they have to be added up anew
    bool has_many_facts;   // of more keyspaces than there are indexes
    bool is_writing_again; // what may not be on disk
    bool is_short_of_room;
    uint32_t bucket; // of the memtable, being looked at
    uint64_t proved; // what lies before was synced
    uint64_t begin;  // of this run
    uint64_t until;  // to be synced
    uint64_t written_again;
};

// A partition being added up.
struct tally {
    struct store *store;           // set by the owner, like all up to ignores_copies
    void (*done)(struct tally *t); // a stretch is over; what became of it says scan.status
    uint8_t *after;                // KEY_SIZE_MAX bytes; NULL: all is one stretch
    uint64_t most;                 // bytes of keys and records, after which a stretch ends
    bool ignores_copies;           // as in struct store_scan

    struct store_scan scan; // of the stretch
    struct partition partition;
    struct part_facts sum; // up to the key `after`
    size_t after_size;
    uint64_t seen; // bytes of keys and records in the stretch
    bool is_whole; // the stretch has come to the end of the partition
    bool is_valid; // the sum is of use: the owner, and who loses something, say when not
};

// Facts being added up anew.
struct recount {
    struct tally tally;
    uint32_t partition; // being added up: its number, like
    uint32_t last;      // to be
    uint32_t again;     // from here on once more, if that was passed; else PARTITION_NONE
    enum status status; // of the first scan that failed, or ST_OK
    bool is_under_way;
    uint32_t bucket; // of memory, looked at next for copies of what may be lost; past all: none
    uint32_t first;  // partitions in which those lie, to `last`
    struct env_op op;
    uint64_t count; // of those that are over
    void (*done)(struct store *s);

    struct merge merge; // of a table that is asked for its next keyspace
    bool is_searching;
    bool is_reading;
    uint32_t found;      // the least so far, or KEYSPACE_NONE
    uint32_t table;      // of the set, to be asked next
    uint64_t generation; // of the set
};

// Checking facts and tables, round and round.
struct audit {
    struct tally tally;
    struct timer timer;
    uint32_t partition; // being added up: its number
    uint32_t first;     // where a round begins
    bool has_wrapped;   // past the last partition, since then
    bool is_reading;    // a stretch is under way
    uint64_t spent;     // bytes read since it rested
    uint64_t count;     // partitions with keys that were compared
    uint64_t rounds;
    uint64_t differences;
};

// Taking out what may go of keyspaces in which there are no keys any more.
struct sweep {
    bool is_wanted; // after the next flush
    bool is_under_way;
    uint32_t bucket;    // looked at next
    uint64_t silent_to; // ns: no more of it is said and done before
    struct env_op op;
};

// Going through one partition.
struct scanning {
    struct merge merge;
    struct list queue; // store_scan, the first under way
    bool is_under_way;
    bool is_over;    // to be ended when the merge is quiet
    bool has_record; // of the merge, not yet visited
    bool is_merge_over;
    uint64_t generation; // of the tables
    uint8_t *after;      // the last key visited, or where to begin
    size_t after_size;
    bool is_inclusive; // ... with that key
    bool has_visited;  // some key
    struct env_op op;
    bool is_later;
};

// A keyspace being dropped.
struct dropping {
    bool is_wanted;
    bool is_begun;
    bool is_saving;
    uint16_t keyspace;
    uint32_t number; // of the first file that has nothing of it
    store_dropped *done;
    void *context;
    struct env_op op;
};

struct store {
    struct env *env;
    struct timers *timers;
    struct store_options options;
    struct keyspaces keyspaces;
    struct memtable table;
    struct facts facts;
    struct segment_set segments;
    struct commit_log log;
    struct tlsf memory; // of tables: filters, indexes, what a merge reads
    struct compressor compressor;
    struct sstable_set set;
    struct manifest_file manifest;
    struct lookups lookups;
    struct flush flush;
    struct compaction compaction;
    struct pace pace;
    struct scanning scanning;
    struct recovery recovery;
    struct opening opening;
    struct recount recount;
    struct audit audit;
    struct sweep sweep;
    struct dropping drop;
    struct snapshots snapshots;
    struct record *scratch;
    struct actor actor;
    uint64_t own_counter; // highest of this actor in what was replayed
    bool is_open;
    bool is_renewed;  // its mark is not in the log yet
    bool is_repaired; // the next flush makes the damage forgotten
    bool is_disk_full;
    bool is_memory_full;
    bool is_reserve_wanting; // of memory, and what was clean was not enough for it
    bool is_looking;         // for space on the disk
    bool is_closing;
    bool is_closing_tables;
    bool is_log_stopped;
    bool wants_flush;        // whatever there is to flush
    uint64_t flush_retry_at; // after one that failed

    store_done *done; // of open or close
    void *done_context;
    enum status done_status;

    struct list waiting;  // writes for which there is no room, or too many lookups
    struct list pending;  // writes in the log, in the order of their positions
    struct list finished; // writes that are done
    struct list readers;  // reads of what is not shown yet
    struct list starved;  // reads for which there are too many lookups
    struct env_op later_op;
    bool is_later;
    struct env_op space_op;
    struct timer tick;
    struct timer hold; // of writes, because merges are behind

    uint64_t
        dirty_count; // entries in memory that only the log has; as if a flush under way were over
    uint64_t dirty_size;
    uint64_t frozen_count; // of the flush under way
    uint64_t frozen_size;
    uint32_t segment_count; // when space was looked for
    uint64_t disk_free;
    uint64_t write_count;
    uint64_t losses;
    uint64_t logged; // bytes appended
};

// What is dirty, for the flush under way or else the next: frames from this position on.
static inline uint64_t store_clean_before(const struct store *s) {
    return s->manifest.current.position;
}

static inline bool store_is_shown(const struct store *s, const struct entry *e) {
    return entry_position(e) < s->log.shown;
}

// What an entry in memory adds to its partition.
struct footprint store_footprint(struct store *s, uint32_t entry);

// True when the log takes a write now. The mark of a new actor epoch comes before it.
bool store_has_log_room(struct store *s);

// Something that was on disk cannot be read: remembered until the owner says that it is repaired.
void store_note_damage(struct store *s);

// Makes room in memory for `size` more bytes. False: all there is is dirty.
bool store_make_room(struct store *s, uint64_t size);

// Bytes of memory that are held back for one record: the largest, or what little memory allows.
size_t store_reserve_size(const struct store_options *options);

// Keeps a copy of what the tables hold, if there is room.
void store_cache(struct store *s, struct partition partition, struct slice key,
                 struct slice record);

// Notes that an entry was put whose record is now in the log at the position. `was_dirty`, and of
// what size, as it was before.
void store_note_dirty(struct store *s, uint32_t entry, uint64_t old_position, uint64_t old_size);

// Begins a flush when there is reason for one.
void store_flush_if_due(struct store *s);

// Writes that wait may go on.
void store_wake_writes(struct store *s);

// Reads that wait for a lookup.
void store_wake_reads(struct store *s);

// What a lookup has found goes to those who want it.
void store_answer_reads(struct store *s, struct lookup *l);
void store_answer_writes(struct store *s, struct lookup *l);

// Answers reads of what is shown now, or never will be.
void store_show_reads(struct store *s);
void store_show_writes(struct store *s);

// Opening, as far as a new run of the log, which calls store_begin_run; then store_opened follows,
// or s->done with a failure.
void store_begin_open(struct store *s);
void store_begin_run(struct store *s);
void store_opening_goes_on(struct store *s); // the log has room, was synced, or has failed
void store_opened(struct store *s);

// When closing, and nothing is under way any more: goes on with that.
void store_close_when_quiet(struct store *s);

// Closes what is read, then what is written, and ends opening or closing with s->done_status.
void store_close_tables(struct store *s);

void store_recount_init(struct store *s, struct arena *arena);

// Adds the facts of these partitions up anew, and calls back; never before it returns. While that
// is under way already, it only does more, and calls back as it was asked to first.
void store_recount(struct store *s, uint32_t first, uint32_t last, void (*done)(struct store *s));

// Begins to add a partition up.
void tally_begin(struct tally *t, struct partition partition);

// Adds the next stretch. True: that is done, and `done` is not called. To be called only when no
// stretch is under way.
bool tally_go_on(struct tally *t);

// A record has changed while that may be under way.
void tally_change(struct tally *t, struct partition partition, struct slice key,
                  const struct footprint *old, const struct footprint *new);

// A keyspace was dropped: what is in the sum may be gone, even when nothing speaks of that any
// more.
void tally_note_drop(struct tally *t);

void store_audit_init(struct store *s, struct arena *arena);

// From open to close. What is being read when it stops ends soon.
void store_audit_start(struct store *s);
void store_audit_stop(struct store *s);

// There is no index for the keyspace: says so in the log, once a second, and makes room for the
// next time that it wants one, if that is possible.
void store_sweep(struct store *s, uint16_t keyspace);

// Takes everything of dropped keyspaces out of memory.
void store_sweep_dropped(struct store *s);

// To be called when the manifest may be free, a snapshot is over, or the store has failed.
void store_drop_go_on(struct store *s);

// To be called after each flush.
void store_sweep_if_wanted(struct store *s);

// Says in the log that the keyspace is one too many.
void store_tell_keyspaces_full(struct store *s, uint16_t keyspace);

void store_scan_init(struct store *s, struct arena *arena);

// To be called before the record of a key changes in memory.
void store_scan_before_change(struct store *s, struct partition partition, struct slice key);

void store_snapshots_init(struct store *s, struct arena *arena);

// It is known which snapshots there are: opening goes on.
void store_on_snapshots(struct snapshots *snapshots);

// Counts what only snapshots hold.
void store_count_pinned(struct store *s);

#endif
