// SPDX-License-Identifier: Apache-2.0
//
// snapshot.h -- the store as it was at a moment, kept in further names of its files.
//
// Tables and facts are never written to again once the manifest names them, and a segment of the
// log is not when the log has gone on to the next. So nothing is copied:
//
//     cut the log -> sync it up to there -> hold the manifest -> link facts, tables, segments
//         -> sync names -> write the snapshot's own manifest, rename, sync names -> let go
//
// All that was written before the cut is in it, and nothing else: no flush that began after the cut
// saves its manifest before the hold. It has to wait until the log is synced beyond the cut, and
// then until the manifest is free, and snapshots are asked first at both. While the manifest is
// held no flush or merge comes to its end, so no file goes that it names. The snapshot's manifest
// comes last, by a rename: a snapshot that has one is whole. What lies there without one was not
// finished, and goes at the next start. Deleting is the same backwards: the manifest first, and for
// good, then the rest.
//
//     IDLE -> ASKED -> CUT -> SYNC -> HOLD -> LINK -> NAMES -> SAVE -> IDLE   making
//                       |      |       |       |        |       '-> UNNAME (failed)
//                       '------'-------'-------'--------'---------> REMOVE -> IDLE (failed)
//     IDLE -> UNNAME -> REMOVE -> IDLE                                        deleting
//
// A manifest whose saving failed may be there all the same, or come back with the power, so it goes
// like one that is deleted. When that fails, too, all else is left to the next start; until then
// the name is taken, and can be deleted.
//
// At the start the names that there are tell which snapshots there are.
#ifndef QUOIT_STORE_SNAPSHOT_H
#define QUOIT_STORE_SNAPSHOT_H

#include "store/commit_log.h"
#include "store/facts.h"
#include "store/manifest.h"
#include "store/snapshot_set.h"

enum snapshot_state {
    SNAPSHOT_IDLE,
    SNAPSHOT_ASKED,  // begins in a moment
    SNAPSHOT_CUT,    // the log has no next segment yet
    SNAPSHOT_SYNC,   // the log has to be synced
    SNAPSHOT_HOLD,   // the manifest is being saved by others
    SNAPSHOT_LINK,   // files get their second names
    SNAPSHOT_NAMES,  // which are being synced
    SNAPSHOT_SAVE,   // the snapshot's manifest is being written
    SNAPSHOT_UNNAME, // it is being removed
    SNAPSHOT_REMOVE, // the other names are
};

struct snapshots;
typedef void snapshots_event(struct snapshots *s);

struct snapshots {
    struct env *env; // set by the owner, like all up to idle
    struct commit_log *log;
    struct facts *facts;
    struct manifest_file *manifest;
    snapshots_event *recovered; // what is there is known, or not (status)
    snapshots_event *idle;      // what was under way is over

    struct snapshot_set set;
    enum snapshot_state state;
    enum status status;
    bool is_stopping; // gives up as soon as it can
    store_snapshot_done *done;
    void *done_context;
    uint32_t current; // snapshot
    struct manifest_origin origin;
    uint64_t end;            // of the log that belongs to it
    enum snapshot_kind kind; // of the file that is being linked
    uint32_t number;         // of it; 0: none of its kind yet
    uint32_t table;          // of the manifest, the next
    char from[SNAPSHOT_FILE_NAME_SIZE];
    char to[SNAPSHOT_FILE_NAME_SIZE];
    struct env_op op;
    struct env_file *file;

    // At the start.
    const char *names; // borrowed
    uint32_t names_size;
    uint32_t names_at;
    bool are_names_synced;
    bool has_foreign; // there are more than there may be
};

size_t snapshots_memory_size(void);
void snapshots_init(struct snapshots *s, struct arena *arena);

// Finds out which there are, from all names of files: each with its zero byte, borrowed until
// `recovered`. Removes what was not finished.
void snapshots_recover(struct snapshots *s, const uint8_t *names, uint32_t size);

// As in store.h.
NODISCARD enum status snapshots_make(struct snapshots *s, struct slice name,
                                     store_snapshot_done *done, void *context);
NODISCARD enum status snapshots_delete(struct snapshots *s, struct slice name,
                                       store_snapshot_done *done, void *context);

// To be called when the log has more room, was synced further, or has failed, and when the manifest
// is free again: each time before a flush is.
void snapshots_go_on(struct snapshots *s);

// Gives up what is under way; `idle` follows. Nothing happens when that is nothing.
void snapshots_stop(struct snapshots *s);

#endif
