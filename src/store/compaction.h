// SPDX-License-Identifier: Apache-2.0
//
// compaction.h -- tables become fewer, and what is shadowed goes.
//
// Flushes put tables on top of the base. Two kinds of merge keep them few, after the idea of
// tiering above one level (Dayan, Idreos: "Dostoevsky: better space-time trade-offs for LSM-tree
// based key-value stores via adaptive removal of superfluous merging", SIGMOD 2018):
//
//     major   all above the base, once they are a fifth of it, into the base
//     minor   the newest above the base that are of about one size, once there are many, into one
//
// and one more puts a table with damaged blocks into a new one without them, when its owner has
// said that they may go.
//
// A merge goes from one stretch of partitions to the next. When the table of a stretch is on disk
// one manifest adds it, and takes the stretch away from all that went into it. So little space is
// needed beside, and a crash loses no more than one stretch of work.
//
//     idle -> begin -> (merge -> write)* -> finish table -> manifest -> begin next ... -> idle
//
// The work is done in steps by a timer, so that requests come between; larger and without pauses
// when tables come faster than they go.
#ifndef QUOIT_STORE_COMPACTION_H
#define QUOIT_STORE_COMPACTION_H

#include "base/timer.h"
#include "store/manifest.h"
#include "store/merge.h"
#include "store/sstable_writer.h"

enum compaction_state {
    COMPACTION_IDLE,
    COMPACTION_MERGE,    // records move from the merge to the writer, or wait for their turn
    COMPACTION_WRITER,   // the writer has something to do
    COMPACTION_MANIFEST, // waits for its turn, or is being saved
};

struct compaction;
typedef void compaction_done(struct compaction *c);

struct compaction {
    struct env *env; // set by the owner, like all up to done
    struct timers *timers;
    struct sstable_set *set;
    struct manifest_file *manifest;
    uint64_t storage;
    uint64_t hash_seed;
    uint64_t table_size; // bytes that a table of the base should have
    uint32_t block_size;
    enum codec codec;
    compaction_done *done; // a merge is over, for good or ill (status)

    enum compaction_state state;
    enum status status;
    bool is_stopping;
    bool is_wanted; // whatever there is to merge
    struct timer timer;
    struct merge merge;
    struct sstable_writer writer;
    struct record *scratch;
    struct sstable *made;                      // to be added with the manifest, or NULL
    struct sstable *inputs[MERGE_SOURCES_MAX]; // of the whole merge
    uint32_t input_count;
    bool is_major;
    uint64_t sequence;    // of what is made
    uint32_t from;        // partition number: the stretch begins here
    uint32_t to;          // and ends here
    uint32_t end;         // of the whole merge
    struct sstable *base; // of the stretch, or NULL
    uint64_t split_size;  // the stretch ends with the partition in which the table becomes as large
    uint32_t partition;   // of the last record
    uint64_t budget;      // bytes before others have their turn
    uint64_t count;       // merges done
    uint64_t cuts;        // tables that ended where the next one begins
    uint64_t read;        // bytes
    uint64_t written;     // bytes
};

size_t compaction_memory_size(uint32_t record_size_max);
void compaction_init(struct compaction *c, struct arena *arena, struct tlsf *memory,
                     uint32_t record_size_max);

// Begins a merge if there is reason for one and none is under way.
void compaction_start_if_due(struct compaction *c);

// True when there are so many tables above the base that no more should come.
bool compaction_is_behind(const struct compaction *c);

// To be called when the manifest is free again.
void compaction_go_on(struct compaction *c);

// Gives up what is under way; `done` follows. Nothing happens when it is idle.
void compaction_stop(struct compaction *c);

#endif
