// SPDX-License-Identifier: Apache-2.0
//
// checkpoint.h -- the log does not grow for ever: its oldest segment is emptied and removed.
//
// When the log is much larger than what is live in it, the oldest segment is read from its begin to
// its end. A frame whose record is still the one in the table is appended to the log again, as a
// copy. Then a mark says that the segment is not needed any more; when that mark is synced, and
// with it everything that has replaced a record of the segment, the file goes:
//
//     idle -> open -> (load -> copy)* -> close -> mark, synced -> remove -> sync names -> idle
//
// A crash anywhere leaves copies that are found again, or a segment that is emptied again. Only the
// oldest segment goes, and only when the removal of the one before is on disk, so a removed key
// never comes back.
//
// A log with holes is not left alone either, however small it is: each start would find them again,
// and could not know that what is missing was fetched from others long ago.
//
// The work is done in steps by a timer, the larger the further the log is over its limit. Frames
// that cannot be read are copied from the table: what is damaged on disk is whole again after that.
#ifndef QUOIT_STORE_CHECKPOINT_H
#define QUOIT_STORE_CHECKPOINT_H

#include "store/commit_log.h"
#include "store/segment_reader.h"
#include "store/table.h"

enum checkpoint_state {
    CHECKPOINT_IDLE,
    CHECKPOINT_BUSY, // a request is under way
    CHECKPOINT_COPY, // the timer goes on with the frames in the window
    CHECKPOINT_WALK, // the timer goes on with the buckets of the table
    CHECKPOINT_MARK, // the timer goes on with the mark
    CHECKPOINT_SYNC, // the mark is to be synced
};

struct checkpoint;
typedef void checkpoint_stopped(struct checkpoint *c);

struct checkpoint {
    struct env *env;
    struct timers *timers;
    struct segment_set *segments;
    struct table *table;
    struct commit_log *log;
    checkpoint_stopped *stopped; // set by the owner
    enum checkpoint_state state;
    bool is_stopping;
    bool is_urgent;        // the disk is full
    uint32_t unsound_last; // set by the owner: segments up to this number go in any case
    struct timer timer;
    struct env_op op;
    char name[SEGMENT_NAME_SIZE];
    struct segment_reader reader;
    uint32_t number;  // of the segment that is emptied
    uint32_t offset;  // in it
    uint32_t bucket;  // of the walk
    uint32_t budget;  // bytes that this step may still copy
    uint64_t barrier; // position up to which all must be synced
    uint64_t removed; // segments, since the start
    uint64_t damaged; // frames that could not be read
};

size_t checkpoint_memory_size(const struct commit_log_options *options);

// Borrows all of these for its life.
void checkpoint_init(struct checkpoint *c, struct arena *arena, struct table *table,
                     struct commit_log *log);

// Begins to empty the oldest segment, if it is time to. To be called about once a second.
void checkpoint_tick(struct checkpoint *c);

// To be called when more of the log is synced.
void checkpoint_synced(struct checkpoint *c);

// Gives up what is under way and calls `stopped`.
void checkpoint_stop(struct checkpoint *c);

// Bytes that a log of nothing but the live records would have.
uint64_t checkpoint_live_size(const struct table *table);

#endif
