// SPDX-License-Identifier: Apache-2.0
//
// commit_log.h -- the end of the log that is written: buffers, group commit, segments.
//
// What is appended gathers in a buffer. At the end of the turn it goes out in one write, and then
// in one sync, which covers all that had been written when it was asked for; the next batch gathers
// meanwhile. Three places in the log never overtake each other:
//
//     synced <= written <= cursor
//
// `shown` is where durability is promised: `synced`, or `written` when syncs come at intervals.
// What lies before it may be answered and read. Bytes stay in their buffer until they are shown, so
// a read that waits for a record finds it there even if the table has gone on.
//
//     gathering -> batch closed -> written -> synced -> shown -> buffer free
//
// A segment is used to its end, then the next one, which the maker has ready by then. A write or
// sync that fails ends the log: nothing can be known of the bytes since the last sync, so nothing
// more is written, acknowledged or shown, until recovery has read what is there.
//
// A run begins in a segment of its own. When there is no space for one it begins in the last
// segment, behind what is there: a full disk is no reason not to start. So that there is room to do
// so, again and again, writes are refused a while before the last segment ends.
#ifndef QUOIT_STORE_COMMIT_LOG_H
#define QUOIT_STORE_COMMIT_LOG_H

#include "base/timer.h"
#include "store/segment.h"
#include "store/segment_maker.h"
#include "store/segment_set.h"

enum { LOG_BUFFERS = 4 };

// Bytes of the log, of one segment, in the order in which they will be there.
struct log_buffer {
    uint8_t *data;
    uint64_t base;   // position of the first byte
    uint32_t filled; // bytes
    uint32_t sent;   // of them, given to the env
};

struct commit_log;
typedef void commit_log_event(struct commit_log *log);

struct commit_log_options {
    uint64_t segment_size;
    uint64_t interval_ns; // 0: sync before anything is shown
    uint32_t frame_max;   // bytes of the largest frame that will be appended
};

struct commit_log {
    struct env *env;
    struct timers *timers;
    struct commit_log_options options;
    struct segment_set *segments;
    commit_log_event *started;    // set by the owner: the first mark is on disk, or is_failed
    commit_log_event *shown_more; // `shown` or `synced` has grown, or is_failed
    commit_log_event *has_more_room;
    commit_log_event *stopped;

    uint64_t storage;
    struct mark mark; // as the next one will be, but for its places
    bool is_started;
    bool is_stopping;
    bool is_failed;
    enum status failure; // of the request that failed

    struct log_buffer buffers[LOG_BUFFERS]; // in use: from buffer_first on; the last is filled
    uint32_t buffer_first;
    uint32_t buffer_count; // at least 1
    uint32_t buffer_size;

    uint64_t cursor; // position of the next byte
    uint64_t tail;   // where the last frame ended; padding may follow
    uint64_t written;
    uint64_t synced;
    uint64_t shown;
    uint64_t sealed;    // the tail that the mark before it says to be synced
    uint64_t proof_max; // set by the owner: no mark says that what lies behind is synced, because
                        // it is being written again
    uint64_t batch;     // where it began
    bool has_batch;

    struct env_file *file;
    struct env_file *old_file; // the segment before, while it is not synced to its end
    uint64_t old_end;
    struct segment_maker maker;
    bool lacks_space;    // for the next segment
    uint64_t last_place; // set by the owner before the start: where the run can begin for want of
                         // space, 0: nowhere
    char last_name[FILE_NAME_SIZE];

    struct env_op write_op;
    struct env_op sync_op;
    struct env_op close_op; // and to open
    struct env_op later_op;
    uint64_t write_end;
    uint64_t sync_end;
    uint64_t sync_due; // sync up to here although nobody waits for it
    bool is_writing;
    bool is_syncing;
    bool is_closing;
    bool is_later;
    struct timer sync_timer;
    uint64_t sync_count;
};

// Bytes of each buffer: the largest frame fits in.
uint32_t commit_log_buffer_size(const struct commit_log_options *options);

size_t commit_log_memory_size(const struct commit_log_options *options);
void commit_log_init(struct commit_log *log, struct arena *arena, struct env *env,
                     struct timers *timers, const struct commit_log_options *options);

// Bytes of the largest frame that buffers and segments have room for: options.frame_max can be
// raised up to here.
uint32_t commit_log_frame_limit(const struct commit_log *log);

// True when a run can begin at that position in a segment of the size that they have now, and write
// so many bytes of frames again.
bool commit_log_can_begin_at(const struct commit_log *log, uint64_t position, uint64_t again);

// Begins a new run of the log in a new segment of that number, or at last_place in the one before;
// `log->storage`, `log->mark` and `log->proof_max` are set. `tail` is where recovery found the end.
// Calls `started`.
void commit_log_start(struct commit_log *log, uint32_t number, uint64_t tail);

// True when a frame of the largest size can be appended now.
bool commit_log_has_room(const struct commit_log *log);

// Why there will be no room before the next tick: a segment is needed, and could not be made.
// ST_OK: there is room, or will be.
NODISCARD enum status commit_log_refusal(const struct commit_log *log);

// True when there is no room beside the reserve because there is no space on the disk.
bool commit_log_is_full(const struct commit_log *log, uint64_t reserve);

// Bytes of the last segment that are kept for what a start needs, where there is no space for more.
uint64_t commit_log_reserve(const struct commit_log *log);

// Copies the change into the log and returns its position. Requires room.
uint64_t commit_log_append(struct commit_log *log, const struct change *change);

// Asks for a sync of all that was appended so far, also where syncs come at intervals.
void commit_log_sync(struct commit_log *log);

// Begins the next segment: what was appended so far is on disk, in files that are not written to
// any more, once `synced` has reached *end. False: there is none yet; to be tried again when there
// is more room.
bool commit_log_cut(struct commit_log *log, uint64_t *end);

// Writes log->mark into the log, to be synced soon. Requires room.
void commit_log_mark(struct commit_log *log);

// The record that was appended at the position, which has not been shown before now. Lends until
// shown_more returns.
struct slice commit_log_read(const struct commit_log *log, uint64_t position);

// To be called about once a second: proves by a mark that what was written last is synced, and
// tries again to make a segment.
void commit_log_tick(struct commit_log *log);

// Syncs, writes the mark of an orderly end, closes; then calls `stopped`.
void commit_log_stop(struct commit_log *log);

#endif
