// SPDX-License-Identifier: Apache-2.0
//
// purge.h -- tombstones go when it is proved that nobody can need them any more.
//
// A tombstone hides what is older, so it may go when nothing older is left: not after a time, but
// when every replica holds it. The first replica of a slot looks for tombstones and asks all
// members that have copies in that group of slots to agree to a round (model/fence.h):
//
//     PURGE   here are keys, digests and latest timestamps of dead records. Each checks that it
//             holds exactly these, durably, or has no copy and that time has come, then raises its
//             fence, durably, and says of which that is so. Nothing is sent with a round before
//             that: after a crash another round could have its number
//     ERASE   those that all hold. Each notes that the round was decided, then removes them
//
// So it takes all of them: while one is down, or mends, nothing is purged in its groups.
//
// That is all that has to be atomic. A removal that does not come about leaves a tombstone, which
// comparing brings back to the others, and a later round takes. A record that was on its way since
// before the round is refused by the fence; its sender sends what it holds now, which is newer. A
// member that has forgotten a round (its data is an older copy, or damaged) hears of it in FENCES,
// as soon as a link opens; it then mends, and gives way in what the others do not know.
//
// What a stand-in has minted something of (node/hints.h) takes the word of all members, of which
// none holds anything minted that is not handed off: looks of that kind follow on others while
// there is some, and do not take long, so that those have their turn. The proposer agrees to such a
// round first, and then asks the others.
//
// With that word there goes from the context of a record that is alive what nobody needs any more
// (model/retire.h): ERASE then leaves the rest of it.
//
// A partition with a single copy is purged in the same way, by that member alone.
#ifndef QUOIT_NODE_PURGE_H
#define QUOIT_NODE_PURGE_H

#include "base/list.h"
#include "base/timer.h"
#include "model/backoff.h"
#include "model/fence.h"
#include "model/purge_clock.h"
#include "node/node.h"
#include "wire/message.h"

struct link;

enum {
    PURGE_KEYS_MAX = 512,         // of one round
    PURGE_BYTES_MAX = 128 * 1024, // of its entries: one with the longest key always fits
    PURGE_BYTES_OF_MANY = 6 * 1024,
    PURGE_ALIVE_MAX = 4 * 1024 * 1024, // bytes of the records of one round that stay
};

enum purge_state {
    PURGE_RESTING, // between looks at everything
    PURGE_IDLE,    // between rounds
    PURGE_LISTING, // the store looks for dead records
    PURGE_ASKING,
    PURGE_ERASING,
};

// Somebody who waits for the fences, as they are now, to be durable.
struct purge_wait {
    struct list link;
    void (*durable)(struct purge_wait *wait);
};

// What a look could not purge: partitions, and a member for whom that waits, or MEMBER_NONE.
struct purge_block {
    uint32_t partitions;
    uint32_t waits_for;
};

struct purge {
    struct fence fences[SLOT_GROUPS];
    struct fence agreeing[SLOT_GROUPS]; // what is not durable yet: round, floor and cleared
    struct list waits;
    uint32_t wait_count; // of these
    uint32_t under_way;  // checks and removals that the store has not finished with

    struct purge_clock clock;
    uint64_t clock_stored; // ms: as of when it is in the facts

    // The rounds that this member proposes.
    enum purge_state state;
    struct timer step;
    uint32_t cell;      // where it looks, past the key in `after`
    uint32_t until;     // the look ends before this cell, or comes round there
    uint32_t next_wide; // the cell with which a look for what all have to agree on begins
    bool is_broken_off; // before it was through
    bool is_disk_full;  // when it began
    uint8_t *after;     // key
    uint32_t after_size;
    uint8_t *last; // key that was listed last
    uint32_t last_size;
    uint64_t began;      // the look, ns
    uint64_t listed;     // when it began to list the cell, ns
    uint64_t latest;     // timestamp: what is later is left for the next time
    uint64_t expired_ms; // by the purge clock: what expires later, too
    bool is_wide;        // looks for what all members have to agree on; else for the rest
    bool has_failed;     // some round of this look came to nothing
    bool has_erased;     // some did not
    uint32_t visited;    // records, since it paused
    struct store_scan scan;
    uint64_t id;     // of the round, like all up to waiting
    uint64_t author; // of the map
    uint32_t group;
    uint32_t round;
    struct writer entries; // message_condemned
    uint32_t count;
    uint64_t alive_size; // bytes of those records that stay
    bool is_full;
    uint8_t held[PURGE_KEYS_MAX / 8]; // by all who have answered
    uint8_t waiting[MEMBERS_MAX / 8]; // members whose answer is still out
    uint32_t told;                    // members before this one were asked
    struct writer erased;             // message_condemned
    uint32_t blocked;                 // partitions passed since it began, for want of a member
    uint32_t waits_for;               // such a member, or MEMBER_NONE
    struct purge_block block;         // of the last look that came to its end
    struct purge_block wide_block;    // of the last at what all members have to agree on
    struct backoff wide_tries;        // at each look at the rest, if there is any of that
};

size_t purge_memory_size(void);
void purge_init(struct node *node, struct arena *arena);

// This member serves from now on.
void purge_start(struct node *node);
void purge_stop(struct node *node);

void purge_on_lost(struct node *node, uint32_t member);
void purge_on_answer(struct node *node, uint32_t member, const struct message_purge_done *m);

// There is room again for requests: who could not be asked yet is.
void purge_on_room(struct node *node);

// Its own part of a round is done: all is removed.
void purge_on_erased(struct node *node);

#endif
