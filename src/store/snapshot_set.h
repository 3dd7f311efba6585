// SPDX-License-Identifier: Apache-2.0
//
// snapshot_set.h -- which snapshots there are, which files each of them has, and what that costs.
//
// A file of a snapshot is a further name of one of the store's files:
//
//     "snapshot-" | name of the snapshot | "." | name of the file
//
// It stays when the store has no use for it any more, and from then on it takes room of its own:
// it is pinned. What is pinned by several snapshots counts once.
#ifndef QUOIT_STORE_SNAPSHOT_SET_H
#define QUOIT_STORE_SNAPSHOT_SET_H

#include "base/arena.h"
#include "env/env.h"
#include "store/store.h"

#define SNAPSHOT_PREFIX SLICE("snapshot-")

// Files of all snapshots together. Their names, and those of the store, still fit one list.
enum { SNAPSHOT_FILES_MAX = 8192 };

#define SNAPSHOT_NONE UINT32_MAX

enum { SNAPSHOT_FILE_NAME_SIZE = ENV_FILE_NAME_MAX + 1 };

enum snapshot_kind { SNAPSHOT_FACTS, SNAPSHOT_SEGMENT, SNAPSHOT_TABLE, SNAPSHOT_MANIFEST };

// A file, as its name tells it.
struct snapshot_part {
    struct slice snapshot; // lent from the name
    enum snapshot_kind kind;
    uint32_t number; // 0: of a manifest
};

// The name that a file has in a store.
void snapshot_plain_name(enum snapshot_kind kind, uint32_t number,
                         char name[SNAPSHOT_FILE_NAME_SIZE]);

// And in a snapshot, whose name is good.
void snapshot_file_name(const char *snapshot, enum snapshot_kind kind, uint32_t number,
                        char name[SNAPSHOT_FILE_NAME_SIZE]);

// False when it is not exactly such a name.
bool snapshot_file_parse(const char *name, struct snapshot_part *part);

struct snapshot_file {
    uint64_t size; // bytes
    uint32_t number;
    uint8_t kind;
    uint8_t owner; // index of the snapshot
};

struct snapshot {
    char name[SNAPSHOT_NAME_MAX + 1]; // empty: there is none
    bool is_whole;
    uint32_t file_count;
    uint64_t size; // bytes of all files
    uint64_t own;  // bytes that only it holds, as of the last count
};

struct snapshot_set {
    struct snapshot all[SNAPSHOTS_MAX];
    struct snapshot_file *files; // by kind, number, owner
    uint32_t file_count;
    uint64_t pinned; // bytes that only snapshots hold, as of the last count
};

size_t snapshot_set_memory_size(void);
void snapshot_set_init(struct snapshot_set *set, struct arena *arena);

// How many are whole.
uint32_t snapshot_set_whole(const struct snapshot_set *set);

// Index of the snapshot, or SNAPSHOT_NONE.
uint32_t snapshot_set_find(const struct snapshot_set *set, struct slice name);

// Adds one without files and returns its index; SNAPSHOT_NONE: there is no room. Requires a good
// name that is not taken.
uint32_t snapshot_set_add(struct snapshot_set *set, struct slice name);
void snapshot_set_remove(struct snapshot_set *set, uint32_t index);

// Requires room, and a file that it does not have yet.
void snapshot_set_add_file(struct snapshot_set *set, uint32_t index, enum snapshot_kind kind,
                           uint32_t number, uint64_t size);

// The last file of a snapshot in the order of the set; NULL: it has none. Lends until the set is
// changed.
const struct snapshot_file *snapshot_set_last(const struct snapshot_set *set, uint32_t index);
void snapshot_set_remove_file(struct snapshot_set *set, const struct snapshot_file *file);

// Counts what is pinned. `is_live`: the store has the file, too.
typedef bool snapshot_is_live(void *context, enum snapshot_kind kind, uint32_t number);
void snapshot_set_count(struct snapshot_set *set, snapshot_is_live *is_live, void *context);

#endif
