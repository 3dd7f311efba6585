// SPDX-License-Identifier: Apache-2.0
//
// message.h -- what members say to each other: the bodies of frames.
//
// A request carries an id that its sender chose; the answer repeats it. Which member speaks is
// known from the connection. Records, contexts and maps travel encoded (model/), as opaque slices,
// lent from the frame. Each decoder fails on anything that is not exactly one message.
//
// Clocks differ, so a request says not when but in how many ms, from when it was written, whoever
// asks will have given up: `left_ms`. What is dealt with later than that is done for nobody.
#ifndef QUOIT_WIRE_MESSAGE_H
#define QUOIT_WIRE_MESSAGE_H

#include "base/codec.h"
#include "base/limits.h"
#include "base/slice.h"
#include "base/status.h"

#define MESSAGE_MAP(X)                                                                             \
    X(HELLO)   /* dialer: who I am; first frame of a connection */                                 \
    X(WELCOME) /* acceptor: who I am */                                                            \
    X(FOUNDED) /* the map of a cluster that exists: genesis.c has the bytes, as it stores them */  \
    X(GOSSIP)  /* how members do */                                                                \
    X(PUT)     /* merge a record into what you hold */                                             \
    X(PUT_DONE)                                                                                    \
    X(GET) /* give the record you hold */                                                          \
    X(GET_DONE)                                                                                    \
    X(FORWARD) /* coordinate a write for me */                                                     \
    X(FORWARD_DONE)                                                                                \
    X(SCAN) /* list keys of a stretch of slots */                                                  \
    X(SCAN_DONE)                                                                                   \
    X(COUNT) /* count live keys of the slots you are first for */                                  \
    X(COUNT_DONE)                                                                                  \
    X(DIGESTS) /* digests of the slots of some groups: which differ? */                            \
    X(DIGESTS_DONE)                                                                                \
    X(COMPARE) /* keys and digests of a part of a slot: what differs? */                           \
    X(COMPARE_DONE)                                                                                \
    X(TAKEN)   /* acceptor, in place of WELCOME: another process is that member */                 \
    X(PREPARE) /* of the next map: promise to take part in no ballot below this one */             \
    X(PROMISE)                                                                                     \
    X(ACCEPT) /* of the next map: accept this one, unless you have promised more */                \
    X(ACCEPTED)                                                                                    \
    X(KEYSPACES) /* do keys stand in the way of keyspaces that come or go in this epoch? */        \
    X(KEYSPACES_DONE)                                                                              \
    X(BRANCHES) /* a number for each group of slots: which differ? */                              \
    X(BRANCHES_DONE)                                                                               \
    X(LEAVES) /* digests of the leaves of a slot: which differ? */                                 \
    X(LEAVES_DONE)                                                                                 \
    X(FENCES) /* which rounds of purging I know of */                                              \
    X(PURGE)  /* agree to a round: do you hold exactly these dead records? */                      \
    X(PURGE_DONE)                                                                                  \
    X(ERASE) /* all have agreed: remove them */                                                    \
    X(HINT)  /* keep a record until this member can have it */                                     \
    X(HINT_DONE)                                                                                   \
    X(STRANGER) /* acceptor, in place of WELCOME: the map names another directory of you */        \
    X(VOUCH)    /* a member that you doubt has given me a sign of life */

enum message_type {
#define X(name) MESSAGE_##name,
    MESSAGE_MAP(X)
#undef X
        MESSAGE_TYPES,
};

// Lends a constant name; for log lines.
const char *message_name(enum message_type type);

enum {
    // A bound of all that a message holds beside key, value, records and maps.
    MESSAGE_OVERHEAD = 1024 + CONTEXT_MAX * 20 + MEMBERS_MAX / 8,

    // The body of the largest HELLO or WELCOME: five texts with their sizes, and the rest.
    MESSAGE_HELLO_MAX =
        4 * (4 + NAME_SIZE_MAX) + 4 + ADDRESS_SIZE_MAX + 3 * 2 + 4 + 2 + 1 + 1 + 4 * 8,
};

// HELLO and WELCOME.
struct message_hello {
    struct slice name; // each up to NAME_SIZE_MAX
    struct slice host;
    struct slice rack;
    struct slice dc;
    struct slice address; // up to ADDRESS_SIZE_MAX
    uint16_t port;
    uint16_t shards;
    uint16_t weight;
    uint32_t value_size_max; // bytes
    uint16_t members_max;    // that there is room for in its map
    uint8_t copies_max;      // likewise, of a key
    uint64_t storage;        // id of the data directory
    bool is_blank;           // of which there never was anything in it
    uint64_t incarnation;
    uint64_t process; // drawn at random when it began
    uint64_t nonce;
};

struct message_taken {
    bool is_certain; // the other one was heard of long after this one had come
};

enum { PUT_WANTS_CONTEXT = 1 };

// Ids with this bit are those of hints that are handed off (node/handoff.h), others of operations.
#define MESSAGE_ID_HANDOFF (UINT64_C(1) << 63)
struct message_stranger {
    uint64_t storage; // that the map names; its epoch is that of the frame
};

struct message_vouch {
    uint64_t member; // its id
};

struct message_put {
    uint64_t id; // 0: no answer wanted
    uint8_t flags;
    uint16_t keyspace;
    uint16_t slot;
    uint32_t round; // of purging, in which the record was read (model/fence.h)
    struct slice key;
    struct slice record;
    uint32_t left_ms; // 0: nobody waits, like the next ones
};

struct message_put_done {
    uint64_t id;
    enum status status;
    uint32_t round;       // of purging, that the replica knows of
    uint64_t timestamp;   // the latest of what the replica held, when there is a context
    struct slice context; // encoded: what the replica knew outside the record's context; or empty
};

#define MESSAGE_NO_MEMBER UINT16_MAX

struct message_get {
    uint64_t id;
    uint16_t keyspace;
    uint16_t slot;
    uint64_t held;   // hash of the record that the asker holds: if equal, do not send it; 0: none
    uint16_t target; // member: give what you keep for it; MESSAGE_NO_MEMBER: what you hold
    bool wants_hash; // of a record that is large the hash will do
    struct slice key;
    uint32_t left_ms;
};

struct message_get_done {
    uint64_t id;
    enum status status;
    bool is_same;   // as the one held
    uint32_t round; // of purging, in which the record was read
    uint64_t hash;  // of the record, if that is all that is told of it; else 0
    struct slice record;
};

struct message_forward {
    uint64_t id;
    uint8_t kind; // enum request_kind of node.h
    bool is_tombstone;
    bool is_sloppy;    // stand-ins count
    bool is_passed_on; // by one of these: a replica is to carry it out, and nobody else
    uint16_t keyspace;
    uint32_t need; // replicas to wait for
    uint64_t expires_ms;
    uint64_t timestamp;
    uint64_t seen_timestamp; // nothing that `seen` covers is later
    struct slice key;
    struct slice value;
    struct slice seen; // encoded context
    uint32_t left_ms;
};

struct message_forward_done {
    uint64_t id;
    enum status status;
    uint32_t need;
    uint32_t answered;
    uint64_t storage; // of the dot that was minted, when it is done, like
    uint32_t epoch;
    uint64_t counter;
    struct slice record;
};

enum {
    SCAN_REVERSE = 1 << 0, // in descending order: of one cell
    SCAN_AT_FROM = 1 << 1, // `from` itself is wanted
    SCAN_AT_TO = 1 << 2,   // `to` itself is wanted
    SCAN_DEAD = 1 << 3,    // keys without a live value, too
    SCAN_HASHES = 1 << 4,  // with what is held of each key, as a number
    SCAN_RECORDS = 1 << 5, // and the records of those with a live value, where they fit
};

struct message_scan {
    uint64_t id;
    uint32_t cell;   // begins in this one: slot and keyspace (model/keyspace.h)
    uint32_t end;    // cell: ends before it
    uint32_t limit;  // live keys
    uint64_t now_ms; // of the asker: what has expired by then has no live value
    uint8_t flags;
    uint64_t place;    // not 0: find the key of the cell that has it (places.h), and list nothing
    struct slice from; // key of the first cell: begins past it; empty: at the first, or the last
    struct slice to;   // key: ends before it; empty: at the end
    struct slice tag;  // only keys with this hash tag; empty: all
    uint32_t left_ms;
};

struct message_scan_done {
    uint64_t id;
    enum status status;
    uint32_t cell;        // everything was listed that comes before this cell, and
    struct slice key;     // in it up to this key, or the key with the place; empty: nothing in it
    struct slice entries; // message_listed, in order
};

struct message_listed {
    uint32_t cell;
    struct slice key;
    uint64_t hash; // of the record held; 0: not wanted, or a crash could still take the record
    bool is_dead;  // no value of it is live
    struct slice record;
};

struct message_count {
    uint64_t id;
    struct slice up; // bit i of byte i/8: the asker believes that member i is up
    uint32_t left_ms;
};

struct message_count_done {
    uint64_t id;
    uint64_t count;
};

struct message_branches {
    uint64_t id;
    struct slice branches; // u64 for each group of slots
};

struct message_branches_done {
    uint64_t id;
    struct slice differ; // base/bitmap.h: group i differs
};

struct message_digests {
    uint64_t id;
    uint16_t keyspace;
    struct slice groups;  // base/bitmap.h: group i is asked about
    struct slice digests; // u64 for each slot of these groups, in order
};

struct message_digests_done {
    uint64_t id;
    struct slice differ; // base/bitmap.h: of the digests the one at place i differs
};

struct message_leaves {
    uint64_t id;
    uint16_t keyspace;
    uint16_t slot;
    struct slice leaves; // u64 each
};

struct message_leaves_done {
    uint64_t id;
    uint16_t differ; // bit i: leaf i does
};

struct message_compare {
    uint64_t id;
    uint16_t keyspace;
    uint16_t slot;
    uint32_t round;       // of purging, that the asker knows of
    uint16_t leaves;      // bit i: the keys of leaf i are compared
    bool is_last;         // covers all keys past `after`; else up to the last one listed
    struct slice after;   // key
    struct slice entries; // u64 digest, u32 size, key; ascending
};

struct message_compare_done {
    uint64_t id;
    bool is_last;         // everything asked for was compared
    bool is_behind;       // the records may be of before a purge (model/fence.h)
    uint32_t round;       // of purging, in which the records were read
    struct slice covered; // else: up to this key; empty: nothing yet, ask again
    struct slice wanted;  // u32 size, key: send me what you hold
    struct slice records; // u32 size, key, u32 size, record: merge what I hold
};

struct message_fences {
    bool is_question;    // tell me yours
    struct slice fences; // those of all groups of slots, encoded
};

struct message_purge {
    uint64_t id;
    uint64_t author; // of the map
    uint16_t group;  // of slots
    uint32_t round;
    bool is_wide;         // all members take part
    struct slice entries; // message_condemned, in any order
};

struct message_purge_done {
    uint64_t id;
    enum status status; // ST_OK: agreed, but for what is not held; else not at all
    uint32_t round;     // the last that it knows of
    struct slice held;  // base/bitmap.h: that is so of the entry at place i, or it has no copy
};

struct message_erase {
    uint64_t author;
    uint16_t group;
    uint32_t round;
    uint64_t floor; // of the sender
    bool is_wide;
    struct slice entries; // message_condemned: those that all hold
};

struct message_condemned {
    uint16_t keyspace;
    uint16_t slot;
    uint64_t digest;    // of the record
    uint64_t timestamp; // its latest
    bool is_alive;      // it stays, without what nobody needs of its context (model/retire.h)
    struct slice key;
};

struct message_hint {
    uint64_t id;
    uint16_t target; // member
    uint16_t keyspace;
    uint16_t slot;
    uint32_t round; // of purging, in which the record was minted
    bool is_minted; // by who stands in (model/hint.h)
    struct slice key;
    struct slice record;
    uint32_t left_ms;
};

struct message_hint_done {
    uint64_t id;
    enum status status;
    uint32_t round; // of all members, agreed to: what was minted earlier is ST_FENCED
};

// The next map is agreed on as model/paxos.h says; an instance is its epoch. Values are the bytes
// of FOUNDED.
struct message_prepare {
    uint64_t instance;
    uint64_t ballot;
};

struct message_promise {
    uint64_t instance;
    uint64_t ballot;    // that it is about
    enum status status; // ST_OK; ST_BUSY: more was promised; ST_UNAVAILABLE: has no vote in that
    bool is_reset;
    uint64_t promised;  // the highest ballot
    uint64_t accepted;  // the highest ballot; 0: none, like
    struct slice value; // what was accepted under it
};

struct message_accept {
    uint64_t instance;
    uint64_t ballot;
    struct slice value;
};

struct message_accepted {
    uint64_t instance;
    uint64_t ballot;
    enum status status; // as of PROMISE
    bool is_reset;
    uint64_t promised;
};

struct message_keyspaces {
    uint64_t id;
    uint64_t epoch; // of the map
};

struct message_keyspaces_done {
    uint64_t id;
    uint64_t epoch;
    uint8_t held; // bit i: keys stand in the way of the keyspace at place i
};

// A pair for each of them. Encoding cannot fail but for want of room, which sticks to the writer.
#define MESSAGE_CODEC(name)                                                                        \
    void message_##name##_encode(const struct message_##name *m, struct writer *w);                \
    NODISCARD enum status message_##name##_decode(struct message_##name *m, struct slice body);
MESSAGE_CODEC(hello)
MESSAGE_CODEC(taken)
MESSAGE_CODEC(stranger)
MESSAGE_CODEC(vouch)
MESSAGE_CODEC(put)
MESSAGE_CODEC(put_done)
MESSAGE_CODEC(get)
MESSAGE_CODEC(get_done)
MESSAGE_CODEC(forward)
MESSAGE_CODEC(forward_done)
MESSAGE_CODEC(scan)
MESSAGE_CODEC(scan_done)
MESSAGE_CODEC(count)
MESSAGE_CODEC(count_done)
MESSAGE_CODEC(branches)
MESSAGE_CODEC(branches_done)
MESSAGE_CODEC(digests)
MESSAGE_CODEC(digests_done)
MESSAGE_CODEC(leaves)
MESSAGE_CODEC(leaves_done)
MESSAGE_CODEC(compare)
MESSAGE_CODEC(compare_done)
MESSAGE_CODEC(prepare)
MESSAGE_CODEC(promise)
MESSAGE_CODEC(accept)
MESSAGE_CODEC(accepted)
MESSAGE_CODEC(keyspaces)
MESSAGE_CODEC(keyspaces_done)
MESSAGE_CODEC(fences)
MESSAGE_CODEC(purge)
MESSAGE_CODEC(purge_done)
MESSAGE_CODEC(erase)
MESSAGE_CODEC(hint)
MESSAGE_CODEC(hint_done)

// One of the entries of SCAN_DONE, in a row of them. Reading fails on what is none.
void message_listed_write(struct writer *w, const struct message_listed *m);
void message_listed_read(struct reader *r, struct message_listed *m);

// The same of an entry of PURGE and ERASE: these bytes and its key.
enum { CONDEMNED_SIZE = 25 };
void message_condemned_write(struct writer *w, const struct message_condemned *m);
void message_condemned_read(struct reader *r, struct message_condemned *m);

#undef MESSAGE_CODEC

#endif
