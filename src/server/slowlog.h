// SPDX-License-Identifier: Apache-2.0
//
// slowlog.h -- the commands that took long, as SLOWLOG shows them.
//
// A ring of fixed entries: the newest pushes the oldest out. Of a command the first arguments are
// kept, and of each its beginning, so that an entry has one size whatever the command was. The time
// is that from its start to its reply, with all that it waited for.
#ifndef QUOIT_SERVER_SLOWLOG_H
#define QUOIT_SERVER_SLOWLOG_H

#include "base/arena.h"
#include "base/text.h"
#include "server/command.h"

enum {
    SLOWLOG_ENTRIES_MAX = 256,
    CLIP_ARGUMENTS_MAX = 32,
    CLIP_SIZE_MAX = 128,
    CLIP_TEXT_MAX = CLIP_SIZE_MAX + 40, // bytes of a clipped argument, and what is said of the rest
};

struct slow_entry {
    uint64_t id;
    uint64_t wall_ms;
    uint64_t duration_us;
    uint32_t argument_count;          // it had; at most CLIP_ARGUMENTS_MAX are kept
    size_t sizes[CLIP_ARGUMENTS_MAX]; // they had; at most CLIP_SIZE_MAX of each are kept
    uint8_t bytes[CLIP_ARGUMENTS_MAX][CLIP_SIZE_MAX];
    char address[80];
    char name[64]; // of the client
};

struct slowlog {
    struct slow_entry *entries; // number n at n % SLOWLOG_ENTRIES_MAX
    uint64_t next_id;
    uint32_t count; // of those that are kept: the newest
};

static inline size_t slowlog_memory_size(void) {
    return SLOWLOG_ENTRIES_MAX * sizeof(struct slow_entry) + 64;
}

void slowlog_init(struct slowlog *log, struct arena *arena);

// Notes a command that has just been answered, and keeps the newest `entries_max`.
void slowlog_note(struct slowlog *log, const struct command *c, uint64_t duration_ns,
                  uint32_t entries_max);

// Keeps the newest only. Requires entries_max <= SLOWLOG_ENTRIES_MAX.
void slowlog_trim(struct slowlog *log, uint32_t entries_max);

// The entry of an age, 0 being the newest. Requires age < log->count.
const struct slow_entry *slowlog_entry(const struct slowlog *log, uint32_t age);

// What may be shown of an argument: all of it, unless it is a password.
struct slice clip_secret(const struct command *c, uint32_t index);

// What stands behind the beginning of an argument that has so many bytes more; nothing behind a
// whole one.
void clip_size(struct text *text, size_t more);

// What stands in place of the last of too many arguments, and the rest.
void clip_count(struct text *text, uint32_t argument_count);

#endif
