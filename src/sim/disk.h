// SPDX-License-Identifier: Apache-2.0
//
// disk.h -- files that forget what was not synced, and rot.
//
// A disk is a table of names and the files they stand for. Both exist twice: as a process sees
// them, and as they would be found after a power loss that takes everything it may take. What lies
// between the two is a list of changes, in the order in which they were made:
//
//     seen     what reads return
//     changes  writes and growth of a file, and changes of names, not yet durable
//     durable  what was synced
//
// A sync of a file applies its changes to `durable`; a sync of names does so for the table. They
// are independent: a synced file without a synced name is lost, a synced name without a synced file
// is an empty file.
//
// Power loss. Each changed name survives or not, by the toss of a coin. What survives of the writes
// depends on the personality of the disk, which the seed draws:
//
//     ORDERED   a prefix of all changes of the disk, in order
//     WHOLE     any subset of the writes
//     PAGES     any subset of their pages of 4096 bytes
//     SECTORS   any subset of their sectors of 512 bytes
//     SIZES     names and sizes survive, of the data any subset of sectors; holes read as zeros
//     GARBAGE   each sector is as it was, or as written, or nonsense
//
// A failed sync (disk_sync_failed) is the one of Linux: the changes are marked clean without being
// durable. Reads go on returning them until the page happens to be dropped from the cache, and a
// later sync reports success without having written them.
//
// A bad sector (disk_spoil) cannot be read until it is written again, whatever crashes.
//
// This file knows neither time nor requests; sim/files.h does.
#ifndef QUOIT_SIM_DISK_H
#define QUOIT_SIM_DISK_H

#include "env/env.h"
#include "sim/fault.h"
#include "sim/image.h"

enum { DISK_SECTOR = 512 };

enum disk_personality {
    DISK_ORDERED,
    DISK_WHOLE,
    DISK_PAGES,
    DISK_SECTORS,
    DISK_SIZES,
    DISK_GARBAGE,
    DISK_PERSONALITIES,
};

// A change of a file that is not durable yet.
struct disk_change {
    struct list link;
    uint64_t sequence; // of all changes of the disk
    uint64_t offset;
    uint64_t size; // 0: the file only grows, to `offset`
    bool phantom;  // a sync drops it
    uint8_t bytes[];
};

struct disk_file {
    struct list link;      // in the disk, in order of creation
    uint64_t id;           // of all files the disk ever had
    uint32_t names;        // how often the tables and the changes of names refer to it
    uint32_t handles;      // how often it is open
    uint32_t shown;        // names that processes see
    struct image seen;     // as processes see it
    struct image durable;  // as synced
    struct list changes;   // struct disk_change: from durable to seen, in order
    struct list forgotten; // struct disk_change: seen, but no longer on their way to the disk
    uint64_t *bad;         // numbers of sectors that cannot be read
    uint32_t bad_count;
};

struct disk_name {
    char text[ENV_FILE_NAME_MAX + 1];
    struct disk_file *file;
};

// Sorted by name.
struct disk_names {
    struct disk_name *entries;
    uint32_t count;
    uint32_t capacity;
};

struct disk {
    struct dice *dice; // borrowed for the life of the disk
    struct rng fate;   // decides what a power loss takes
    enum disk_personality personality;
    uint64_t quota;    // bytes that files may take together; UINT64_MAX: no limit
    uint64_t sequence; // of the latest change
    uint64_t last_id;
    struct list files; // struct disk_file
    struct disk_names seen;
    struct disk_names durable;
    struct list name_changes; // private to disk.c
};

struct disk *disk_create(struct dice *dice, struct rng fate, enum disk_personality personality);
void disk_destroy(struct disk *disk);

// A deep copy without open files, to come back to later or elsewhere. Borrows the same dice.
struct disk *disk_copy(const struct disk *disk);

// Names, as a process sees them.
struct disk_file *disk_find(const struct disk *disk, const char *name); // may be NULL
struct disk_file *disk_make(struct disk *disk, const char *name);       // empty, in place of any
bool disk_rename(struct disk *disk, const char *from, const char *to);  // false: no such name
// False: no such name, or the new one is taken.
bool disk_link(struct disk *disk, const char *from, const char *to);
bool disk_remove(struct disk *disk, const char *name);  // false: no such name
void disk_sync_names(struct disk *disk, uint64_t upto); // makes changes up to that one durable

// An open file stays when its name goes.
void disk_hold(struct disk_file *file);
void disk_release(struct disk *disk, struct disk_file *file);

// Contents, as a process sees them. disk_read returns how many bytes lie before the end.
uint32_t disk_read(struct disk *disk, struct disk_file *file, uint64_t offset, uint8_t *to,
                   uint32_t size);
void disk_write(struct disk *disk, struct disk_file *file, uint64_t offset, const uint8_t *from,
                uint32_t size, bool phantom);
void disk_grow(struct disk *disk, struct disk_file *file, uint64_t size);
void disk_sync(struct disk *disk, struct disk_file *file, uint64_t upto);
void disk_sync_failed(struct disk *disk, struct disk_file *file, uint64_t upto);

// Bytes that the files take, by their sizes; and whether `file` may end at `end`.
uint64_t disk_used(const struct disk *disk);
bool disk_has_room(const struct disk *disk, const struct disk_file *file, uint64_t end);

// Takes everything back to what is durable, plus what happens to survive. Requires that nothing is
// open.
void disk_power_loss(struct disk *disk);

// Damage to what is stored. False: there is no such durable byte.
bool disk_rot(struct disk *disk, struct disk_file *file, uint64_t offset, uint32_t bit);
bool disk_cut_tail(struct disk *disk, struct disk_file *file, uint64_t bytes);
bool disk_spoil(struct disk *disk, struct disk_file *file, uint64_t offset);

// Whether some of these bytes lie in a bad sector.
bool disk_is_bad(const struct disk_file *file, uint64_t offset, uint32_t size);

// What a power loss that takes everything it may take would leave: may be NULL.
const struct disk_file *disk_find_durable(const struct disk *disk, const char *name);

#endif
