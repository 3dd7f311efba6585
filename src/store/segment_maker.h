// SPDX-License-Identifier: Apache-2.0
//
// segment_maker.h -- the next segment of the log, made before it is needed.
//
// A sync into space that was written before is about twice as fast as one that extends the file, so
// a segment is filled with zeros first. It gets its name last:
//
//     create "spare" -> allocate -> header -> zeros -> sync -> rename to log-N -> sync names
//
// A file called log-N therefore has its header and its zeros on disk, whatever happened. The
// filling goes only as far as the owner allows, so that it keeps pace with the segment in use and
// does not compete with its syncs.
//
// A segment that a run made and did not use is made into the next one by another header; recovery
// has seen that it holds nothing else, and given it the name "blank". So a start needs no space for
// a new file, and does not wait for zeros.
//
// A failure ends in MAKER_FAILED, with nothing left behind but perhaps the spare file; the owner
// may start again.
#ifndef QUOIT_STORE_SEGMENT_MAKER_H
#define QUOIT_STORE_SEGMENT_MAKER_H

#include "base/arena.h"
#include "env/env.h"
#include "store/segment.h"

#define SPARE_NAME "spare"
#define BLANK_NAME "blank"

enum maker_state {
    MAKER_IDLE,
    MAKER_BUSY,   // a request is under way
    MAKER_PAUSED, // filled as far as allowed
    MAKER_READY,  // `file` can be taken
    MAKER_FAILED, // for the reason in `status`
};

struct segment_maker;
typedef void maker_changed(struct segment_maker *maker); // READY or FAILED was reached

struct segment_maker {
    struct env *env;
    maker_changed *changed; // set by the owner
    enum maker_state state;
    enum status status;
    struct env_op op;
    struct env_file *file;
    struct segment_header header;
    const char *temporary; // the name that the file has first
    char name[FILE_NAME_SIZE];
    bool has_blank;    // set by the owner: there is a file of that name
    bool is_named;     // the file has its own name
    bool is_stopping;  // gives up as soon as it can
    uint64_t filled;   // bytes
    uint64_t unsynced; // of them
    uint64_t allowed;  // fill up to here
    uint8_t *zeros;
    uint8_t *head;
};

size_t maker_memory_size(void);
void maker_init(struct segment_maker *m, struct arena *arena, struct env *env);

// Begins to make the segment of that header. Requires MAKER_IDLE or MAKER_FAILED.
void maker_start(struct segment_maker *m, const struct segment_header *header);

// Raises the limit of filling.
void maker_allow(struct segment_maker *m, uint64_t allowed);

// Takes the file of a segment that is ready.
struct env_file *maker_take(struct segment_maker *m);

// Gives up what is under way, and calls `changed` with MAKER_FAILED; a segment that is ready
// stays. Nothing happens when it is neither busy nor paused.
void maker_stop(struct segment_maker *m);

#endif
