// SPDX-License-Identifier: Apache-2.0
//
// operation.h -- requests under way on this node, as their coordinator sees them.
//
// An operation comes from a pool of fixed size; none free is ST_BUSY. It serves a request of this
// process, or one that another member forwarded. Its id changes with each use and each round, so
// that an answer that comes too late finds nobody.
//
// The answer to whoever asked and the end of the operation are two things: after a time-out the
// store may still have hold of the key, and the operation lives until it lets go.
#ifndef QUOIT_NODE_OPERATION_H
#define QUOIT_NODE_OPERATION_H

#include "base/delay.h"
#include "model/hint.h"
#include "model/map.h"
#include "model/quorum.h"
#include "node/hints.h"
#include "node/node.h"
#include "store/store.h"

struct gather;
struct link;
struct range;

enum { OPERATION_KEY_INLINE = 64 };

struct operation {
    struct node *node;
    struct list link;       // in the pool's free or busy list
    uint64_t id;            // of the round under way; low bits: index in the pool
    bool is_starting;       // node_submit has not returned
    bool is_finished;       // whoever asked has the answer, or gets it at the end of this turn
    bool is_answering;      // finished while starting: answered at the end of this turn
    bool is_forwarded_away; // another member coordinates it
    bool is_storing;        // the store has `write` or `read`
    bool is_sloppy;         // members that stand in for replicas count, too
    uint8_t round;          // of a write: 1, then maybe 2
    struct version dot;     // of a write: minted last
    uint32_t purge_round;   // in which what it sends was read, or minted (purge.h)

    struct request *request; // or NULL: forwarded
    struct link *from;       // forwarded: where to answer
    uint64_t from_life;
    uint64_t from_id;

    enum request_kind kind;
    struct partition partition;
    struct slice key; // in key_inline or `held`
    struct slice value;
    bool is_tombstone;
    uint64_t expires_ms;
    uint64_t timestamp; // 0: to be made when the dot is minted
    struct slice seen;  // encoded context, of REQUEST_WRITE
    uint8_t key_inline[OPERATION_KEY_INLINE];
    uint8_t *held; // buffer: key when it is long; key, value and seen of a forwarded write

    struct delay deadline;
    uint64_t until; // ns: then whoever asked has given up, or does now
    struct delay hedge;
    union { // whichever the store has, or looks for
        struct store_write write;
        struct store_read read;
        struct hints_look look; // at what it keeps as a stand-in: of reads, and of plain writes
    };

    uint32_t self_place; // of this node among the replicas, or REPLICAS_MAX
    uint32_t replica_count;
    uint16_t replicas[REPLICAS_MAX]; // members
    uint32_t stood_in;               // bit i: for replica i another member is asked:
    uint16_t stand_ins[REPLICAS_MAX];
    uint8_t hint_key[HINT_KEY_SIZE]; // of writes: under which this member stands in
    uint32_t asked;                  // bit i: replica i was asked in this round
    struct quorum quorum;
    uint64_t hashes[REPLICAS_MAX];      // of reads: of what replica i holds, 0: nothing
    uint32_t sent_rounds[REPLICAS_MAX]; // of writes: in which replica i, or who stands in for it,
                                        // was sent the record last
    uint32_t by_hash;                   // of reads: bit i: of replica i the hash will do
    uint32_t told;                      // of reads: bit i: that is in `hashes`, and not compared
    uint32_t recent;                    // of reads: bit i: was asked so late that it has had less
                                        // time than the first had
    bool is_repairing;                  // of reads: waiting until enough hold what was read
    bool is_damaged;                    // of reads: what some replica holds fails its checksum
    bool is_refused;                    // of reads: some replica has too much to do

    uint8_t *record; // buffer: the record read so far, or written
    uint32_t record_size;
    uint8_t *instead; // buffer: of writes: what is sent in place of the record by now, or NULL
    uint32_t instead_size;
    uint8_t *extra; // buffer: encoded context that a plain write supersedes, too
    uint32_t extra_size;
    uint64_t extra_timestamp; // nothing that `seen` covers, or the first round met, is later

    struct gather *gather; // buffer: of scans and ranges; or NULL
    struct range *range;   // buffer: of ranges, once the keys are known; or NULL
    struct slice reached;  // of ranges: in `record`
    uint64_t cursor;       // of scans
    uint64_t total;        // keys
    uint32_t waiting;      // members whose count has not come
    uint8_t members_waiting[MEMBERS_MAX / 8];
};

struct operations {
    struct operation *all;
    uint32_t capacity;
    uint32_t busy_count;
    struct list free;
    struct list busy;
    struct delays deadlines;
    struct delays hedges;
};

void operations_init(struct node *node, struct arena *arena, uint32_t capacity);
size_t operations_memory_size(uint32_t capacity);

// A fresh operation, or NULL when all are in use.
struct operation *operation_take(struct node *node);

// Gives it a new id: answers to what was sent under the old one are no longer heard.
void operation_renew_id(struct operation *o);

// The operation with that id, or NULL. One that is finished, or never began, is not found.
struct operation *operation_find(struct node *node, uint64_t id);

// Whether somebody stands in for the replica in that place.
static inline bool operation_is_stood_in(const struct operation *o, uint32_t place) {
    return (o->stood_in >> place & 1) != 0;
}

// Who is asked in that place: the replica, or who stands in for it.
static inline uint32_t operation_member(const struct operation *o, uint32_t place) {
    return operation_is_stood_in(o, place) ? o->stand_ins[place] : o->replicas[place];
}

// The place of the member among the replicas that were asked in this round and whose word is still
// out, or REPLICAS_MAX.
uint32_t operation_waiting_place(const struct operation *o, uint32_t member);

// The place in which the member is asked, as a replica or as a stand-in, or REPLICAS_MAX; and this
// one.
uint32_t operation_place_of(const struct operation *o, uint32_t member);
uint32_t operation_own_place(const struct operation *o);

// Whether this node holds no copy of the key: what it mints is a hint (hints.h).
static inline bool operation_is_standing_in(const struct operation *o) {
    return o->self_place == REPLICAS_MAX;
}

// Asks replicas, which notes them in `asked`, until as many are asked and have not refused as are
// wanted: this node, then those that are up, then those of both that were late lately and those who
// stand in, then the rest.
typedef void operation_ask(struct operation *o, uint32_t place);
void operation_ask_enough(struct operation *o, uint32_t wanted, operation_ask *ask);

// The replicas whose word is still out are late, but for the recent ones, which are next time.
void operation_note_late(struct operation *o);

// What is left to it, for those who are asked.
uint32_t operation_left_ms(const struct operation *o);

// Copies the key. False when memory is out.
bool operation_set_key(struct operation *o, struct slice key);

// Copies the bytes in place of what the operation held as its record. False, and the old record
// stays, when memory is out.
bool operation_set_record(struct operation *o, struct slice record);

// The same of what a write sends from now on in place of its record, until it is dropped.
bool operation_set_instead(struct operation *o, struct slice record);
void operation_drop_instead(struct operation *o);

static inline struct slice operation_record(const struct operation *o) {
    return (struct slice){o->record, o->record_size};
}

static inline struct slice operation_sent(const struct operation *o) {
    return o->instead == NULL ? operation_record(o) : (struct slice){o->instead, o->instead_size};
}

// Fills in partition and replicas: the slot of the operation's key, and the keyspace that the key
// `named` belongs to. False: that takes no requests now. Requires a map.
bool operation_place(struct operation *o, struct slice named);

// Fills in the first so many replicas of the run.
void operation_set_replicas(struct operation *o, const struct map_run *run, uint32_t copies);

// Answers whoever asked, once (at the end of the turn if node_submit has not returned), and lets go
// of everything the store does not hold.
void operation_finish(struct operation *o, enum status status);

// For a store callback on a finished operation: lets go of the rest. True if it was finished.
bool operation_release(struct operation *o);

// Calls back a request that never became an operation, with a status, in this turn.
void request_answer_later(struct node *node, struct request *request, enum status status);

#endif
