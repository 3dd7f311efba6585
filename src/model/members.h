// SPDX-License-Identifier: Apache-2.0
//
// members.h -- what is known of how every member does, as a value that merges.
//
// Each member owns one entry and raises its heartbeat; gossip carries whole tables around and
// everybody keeps, per member, the entry with the higher (incarnation, heartbeat). Merging is
// commutative, associative and idempotent, so lost, late, doubled and reordered gossip does no
// harm. The incarnation is raised, durably, at each start, so that a restarted member's entries
// replace those of its former life.
//
// The table says what was reported, not who is alive: that is judged from when entries advance.
#ifndef QUOIT_MODEL_MEMBERS_H
#define QUOIT_MODEL_MEMBERS_H

#include "base/codec.h"
#include "base/limits.h"
#include "base/status.h"

enum member_state {
    MEMBER_STARTING, // recovering; answers nothing yet
    MEMBER_SERVING,
    MEMBER_MENDING, // takes writes, but does not vote until it has caught up with its peers
    MEMBER_STOPPING,
    MEMBER_STATES,
};

enum { MEMBER_MERGES_NOTHING = 255 };

// Bits of what somebody should look at.
enum member_trouble {
    MEMBER_IS_FULL = 1,    // it takes no writes for want of room
    MEMBER_IS_FAILED = 2,  // a write or sync failed: it takes none until the next start
    MEMBER_IS_DAMAGED = 4, // something was found damaged that is not made good yet
    MEMBER_HAS_HINTS = 8,  // it keeps writes for others
    MEMBER_TROUBLES = 4,   // how many there are
};

struct member_entry {
    uint64_t id;          // of the map; 0: nothing heard yet
    uint64_t incarnation; // starts of its process
    uint64_t heartbeat;   // raised with each round of gossip
    uint64_t storage;     // of its data directory
    enum member_state state;
    uint8_t troubles;     // bits of enum member_trouble
    uint64_t key_count;   // live keys held
    uint64_t disk_size;   // bytes on disk: log and tables
    uint64_t memory_size; // bytes of data in memory
    uint32_t load;        // operations per second, lately
    uint8_t merged;       // percent of the merge of tables under way, or MEMBER_MERGES_NOTHING
};

struct members {
    uint32_t count;
    struct member_entry *entries; // borrowed; one per member of the map, same order
    uint16_t *places;             // borrowed; a hash table of ids: index + 1, or 0
    uint32_t place_count;         // a power of 2
};

// How large the table is to be for so many.
uint32_t members_place_count(uint32_t members_max);

// The ids of all entries are set.
void members_on_ids(struct members *members);

// Index of the member with that id, or `count` when there is none.
uint32_t members_find(const struct members *members, uint64_t id);

// Takes over the entry if it is newer than what stands at index. True if it was.
bool members_merge_entry(struct members *members, uint32_t index, const struct member_entry *entry);

// State and troubles are the low and the high half of a byte.
void member_entry_encode(const struct member_entry *entry, struct writer *w);
enum { MEMBER_ENTRY_ENCODED_SIZE = 8 + 8 + 8 + 8 + 1 + 8 + 8 + 8 + 4 + 1 };

// Failure sticks to the reader; a state or a percentage out of range is a failure.
void member_entry_decode(struct member_entry *entry, struct reader *r);

#endif
