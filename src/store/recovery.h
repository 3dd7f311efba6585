// SPDX-License-Identifier: Apache-2.0
//
// recovery.h -- what the log says after a start: every record in order, and where the log ends.
//
// Frames are read one after the other. Where there is none, the log may have ended there, or the
// next batch begins at some sector further on, or it is damaged. A mark found further on decides:
//
//     its tail is where the good part ended       -> nothing is missing, go on there
//     it, or a later mark of the same run, says
//     that what lay here was synced               -> damage: counted, skipped, go on
//     it is the first of a later run              -> the run before ended where its tail says: at
//                                                    or before this place, go on there; after it:
//                                                    damage if the mark says that it was synced
//                                                    here, else the later run has written again
//                                                    what is missing, go on there
//     there is none                               -> the log ends here; what follows was promised
//                                                    to nobody and is dropped
//
// A run ends where the recovery after it said, for ever: that recovery forces to disk all that it
// read, and says where it stopped in the first mark of its own run. After a sync that failed not
// even that is certain: a disk may forget what it let recovery read. So the first mark says of the
// run before only that to be synced which that run knew to be, and what lies behind is written
// again before the store opens (open.c). So recovery may itself be cut short anywhere, and gives
// the same result the next time.
//
//     list -> find the storage id -> replay and search -> sync -> remove what was dropped -> done
//
// A segment that was made and never used is not removed but put aside for the segment maker.
#ifndef QUOIT_STORE_RECOVERY_H
#define QUOIT_STORE_RECOVERY_H

#include "store/segment_reader.h"
#include "store/segment_set.h"

struct recovery;
typedef void recovery_done(struct recovery *r, enum status status);

// Takes a record into the table. A status other than ST_OK ends recovery.
typedef enum status recovery_replay(struct recovery *r, uint64_t position,
                                    const struct frame *frame);

// What is not as it should be. Those of a hole and at either end say that something is missing.
enum log_damage_kind {
    LOG_HEADER, // of the segment at `from`: so many copies are good
    LOG_HOLE,   // synced bytes, from `from` until `until`
    LOG_BEGIN,  // the log should begin in the segment of `until`, not in that of `from`
    LOG_END,    // it ends at `from`, before `until`
};

struct log_damage {
    enum log_damage_kind kind;
    uint32_t good_copies; // of a header
    uint64_t from;        // positions
    uint64_t until;
};

typedef void recovery_found(struct recovery *r, const struct log_damage *damage);

// A place in a segment, by its index in the set.
struct place {
    uint32_t index;
    uint32_t offset;
};

enum recovery_phase {
    RECOVERY_LIST,
    RECOVERY_HEADERS,
    RECOVERY_REPLAY,
    RECOVERY_SEARCH,
    RECOVERY_DOUBT, // is that which is too large a frame?
    RECOVERY_SYNC,
    RECOVERY_REMOVE,
    RECOVERY_DONE,
};

struct recovery {
    struct env *env;
    struct segment_set *segments; // borrowed; empty at first
    recovery_replay *replay;      // set by the owner
    recovery_found *found;        // the same
    recovery_done *done;
    uint64_t position;       // what lies before is in tables; older segments are not looked at
    uint64_t tables_storage; // whose tables these are; 0: there are none
    bool only_looks;         // leaves everything as it is

    // Results.
    uint64_t storage;      // 0: there is no log
    struct mark mark;      // the last one
    uint64_t end;          // where the log ends
    uint64_t blank_from;   // behind it, from here on the last segment is blank; 0: there is none
    uint64_t damage_count; // of holes and headers
    uint64_t replayed;     // records
    uint32_t frame_max;    // bytes of the largest frame
    uint32_t number_max;   // of all segments found
    bool has_mark;         // there is a log with something in it
    bool has_beginning;    // its first frame is the first mark of the first run
    bool ends_clean;       // the last frame is a mark that says so
    bool is_blank;         // there are only zeros after the end
    bool was_damaged;      // something that was on disk is missing
    bool has_gap;          // frames were passed over that a later run wrote again
    bool has_blank;        // there is a segment put aside

    enum recovery_phase phase;
    struct env_op op;
    char name[FILE_NAME_SIZE];
    struct segment_reader reader;
    struct place at;
    uint64_t frames_end;  // where the last frame ended
    uint64_t proved;      // what lay before was synced
    uint64_t hole;        // where the search began
    uint64_t missing;     // the same, behind what can only be the end of a batch
    uint64_t dirty_end;   // of the last sector after the hole that is not zero, or 0
    uint64_t skipped;     // where the bad frame at the hole ends, if its size is right
    uint32_t frame_limit; // a larger frame than this could not be written again
    struct place other;   // where to go on if there is no frame at `at`; in doubt, how far it is
                          // looked at
    struct frame_check check; // in doubt
    struct place candidate;   // the first batch after the hole, perhaps dropped
    uint32_t run;             // of the frames before `at`, 0: none yet
    uint32_t checked;         // segments whose header was looked at
    uint32_t bad_header;      // number of the last segment that has one, until a frame is in it
    uint32_t good_copies;     // of that
    uint32_t tenth;           // of the segments, last reported
    bool has_other;
    bool has_candidate;
};

// Borrows the window for the life of the recovery. A log with a good frame that is larger than
// frame_limit, which fits the window, is refused with ST_TOO_LARGE: a limit was lowered.
void recovery_init(struct recovery *r, struct env *env, struct segment_set *segments,
                   uint8_t *window, uint32_t window_size, uint32_t frame_limit);

void recovery_start(struct recovery *r);

#endif
