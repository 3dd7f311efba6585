// SPDX-License-Identifier: Apache-2.0
//
// compaction.h -- tables become fewer, and what is shadowed goes.
//
// Flushes put tables on top of the base. Two kinds of merge keep them few, after the idea of
// tiering above one level (Dayan, Idreos: "Dostoevsky: better space-time trade-offs for LSM-tree
// based key-value stores via adaptive removal of superfluous merging", SIGMOD 2018):
//
//     major   all above the base, once they are a fifth of it, into the base; where there is no
//             memory to read so many, minor merges come first, or else those right above it go
//     minor   the most tables in a row above the base that are small, once there are many, into one
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
// The work is done in steps by a timer, so that requests come between. How far merges are behind is
// the pressure: how many tables there are above the base, how large they are beside it, or how much
// of the memory filters and indexes have, whichever is worst. With it pauses become shorter and
// steps larger; where that is not enough, writes have to wait, so that no more comes than can be
// merged (throttle.h).
//
//     pressure    0 ........................ 50 ........................ 100
//     pauses      STEP_NS ..... shorter ..... 0
//     steps       STEP_SIZE ........................ larger ............ 4 of them
//     writes      as they come ............ | ever fewer beside what is merged
//     share       that of the pace .. more  | all
//
// While clients have to wait it rests longer, as all background work does (model/pace.h). What it
// puts off adds to the pressure, with which the rests become shorter; from the pressure on that
// holds writes back there are none.
//
// A major merge may take minutes. When many tables have come meanwhile it pauses between two
// stretches, for a minor one of those. When there are very many before, as after a few crashes in
// the middle of such merges, minor ones come first: short ones, which are over before the next.
#ifndef QUOIT_STORE_COMPACTION_H
#define QUOIT_STORE_COMPACTION_H

#include "base/timer.h"
#include "model/pace.h"
#include "store/keyspaces.h"
#include "store/manifest.h"
#include "store/merge.h"
#include "store/sstable_writer.h"
#include "store/throttle.h"

enum compaction_state {
    COMPACTION_IDLE,
    COMPACTION_MERGE,    // records move from the merge to the writer, or wait for their turn
    COMPACTION_WRITER,   // the writer has something to do
    COMPACTION_MANIFEST, // waits for its turn, or is being saved
};

// What is merged.
struct compaction_job {
    struct sstable *inputs[MERGE_SOURCES_MAX]; // all but the base, newest first
    uint32_t input_count;
    bool is_major;
    uint64_t newest;   // sequence of the newest input
    uint64_t sequence; // of what is made
    uint32_t begin;    // partition number: the whole merge begins here
    uint32_t from;     // and the stretch here
    uint32_t end;      // and the last one ends here
};

// How far merges are behind: from 0 to PRESSURE_MOST.
enum { PRESSURE_MOST = 100 };

struct compaction;
typedef void compaction_done(struct compaction *c);

struct compaction {
    struct env *env; // set by the owner, like all up to done
    struct timers *timers;
    struct sstable_set *set;
    struct manifest_file *manifest;
    const struct keyspaces *keyspaces;
    uint64_t storage;
    uint64_t hash_seed;
    uint64_t table_size; // bytes that a table of the base should have
    uint32_t block_size;
    struct compressor *compressor;
    struct pace *pace;
    compaction_done *done; // a merge is over, for good or ill (status)
    // The tables of these partitions (numbers) were merged, and some was damaged.
    void (*cleaned)(struct compaction *c, uint32_t first, uint32_t last);

    enum compaction_state state;
    enum status status;
    bool is_stopping;
    bool is_wanted; // whatever there is to merge
    struct timer timer;
    struct merge merge;
    struct sstable_writer writer;
    struct sstable *made; // to be added with the manifest, or NULL
    struct compaction_job job;
    struct compaction_job paused; // a major merge that a minor one has the place of; or no inputs
    uint32_t to;                  // partition number: the stretch ends here
    struct sstable *base;         // of the stretch, or NULL
    uint64_t pieces;              // tables that are to be made of the stretch
    uint64_t split_size;          // it ends with the partition in which the table becomes as large
    uint32_t partition;           // of the last record
    uint64_t budget;              // bytes before others have their turn
    uint64_t began;               // ns: the step
    uint64_t generation;          // of the tables when how far merges are behind was looked at
    uint32_t pressure;
    uint32_t upper_share; // of all tables, what lies above the base: in parts of THROTTLE_WHOLE
    struct throttle throttle;
    uint64_t count;   // merges done
    uint64_t cuts;    // tables that ended where the next one begins
    uint64_t written; // bytes
};

size_t compaction_memory_size(uint32_t record_size_max);
void compaction_init(struct compaction *c, struct arena *arena, struct tlsf *memory,
                     uint32_t record_size_max);

// Begins a merge if there is reason for one and none is under way.
void compaction_start_if_due(struct compaction *c);

// True when there are so many tables above the base, or so much of them in memory while a merge is
// under way that gives some of it back, that no more should come.
bool compaction_is_behind(const struct compaction *c);

// True when, moreover, the last merge has failed: there is no telling when there will be fewer.
bool compaction_is_stuck(const struct compaction *c);

// How many percent of its partitions the merge under way has behind it; 0 when there is none.
uint32_t compaction_percent(const struct compaction *c);

// False when a write should wait a little, because merges are behind and do their best.
bool compaction_allows_writes(struct compaction *c);

// So many bytes were written to the log.
void compaction_note_written(struct compaction *c, uint64_t bytes);

// To be called when the manifest is free again.
void compaction_go_on(struct compaction *c);

// Gives up what is under way; `done` follows. Nothing happens when it is idle.
void compaction_stop(struct compaction *c);

#endif
