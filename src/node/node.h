// SPDX-License-Identifier: Apache-2.0
//
// node.h -- one member of the cluster: takes requests for any key, from anywhere in this process.
//
// The only header of node/ that others may include. A node owns a store, a map, its connections to
// the other members and their answers. It is a function of what comes through its env: no clock, no
// threads, no allocation after node_create.
//
//     request -> coordinator -> replicas (this node's own, others through peers) -> quorum -> done
//
// States of a node, and the function that performs each arrow:
//
//     RECOVERING --on_store_open--> FOUNDING --adopt_map--> SERVING --node_stop--> STOPPED
//                                   (waits for the other first members, or, with seeds,
//                                    to be admitted; serves no data)
#ifndef QUOIT_NODE_NODE_H
#define QUOIT_NODE_NODE_H

#include "base/arena.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/text.h"
#include "base/timer.h"
#include "env/env.h"
#include "model/level.h"
#include "model/map.h"
#include "model/members.h"
#include "model/record.h"
#include "store/store.h"

struct node;

enum node_state { NODE_RECOVERING, NODE_FOUNDING, NODE_SERVING, NODE_STOPPED };

// For whoever checks that nothing is lost or invented: told of each dot when it is minted, before
// anybody else can know of it, with what the write supersedes; and once more, with NULL for that
// and nothing but the dot in `written`, when it is durable. Slices lend for the call.
typedef void node_minted(void *context, struct slice key, const struct sibling *written,
                         const struct context *seen);

// Likewise of each record that is purged, when a member removes it.
typedef void node_purged(void *context, struct slice key, struct slice record);

// Likewise of each record when a member takes out of its context what nobody needs any more; and
// what is left of it.
typedef void node_retired(void *context, struct slice key, struct slice record, struct slice left);

// Likewise of each record that was kept for a member, when that has it and it is kept no more.
typedef void node_handed(void *context, uint32_t target, struct slice key, struct slice record);

struct node_options {
    struct map_description self;
    const char *initial;   // borrowed for life: first members as for map_parse_initial, or NULL
    const char *seeds;     // borrowed for life: "host:port,...", or NULL; not both
    uint64_t cluster;      // map_cluster_number of a cluster that was restored, or 0
    const char *listen;    // borrowed for life: host that the peer port is bound to
    struct mac_key secret; // the cluster key
    uint64_t random;       // from outside; different in every start
    uint32_t replication;  // copies wanted in `default` at founding; see node_copies_max

    uint32_t members_max;
    uint32_t requests_max;     // client and peer operations under way together
    uint64_t request_memory;   // bytes for keys and records of operations under way
    uint32_t peer_buffer_size; // bytes of what is under way to or from a peer, at most; 0: twice
                               // the largest message
    uint32_t peer_buffers;     // so large, where not each link has its own (buffers.h); 0: enough
    uint32_t value_size_max;   // bytes
    uint32_t list_size;        // bytes of keys and records that one list is about; 0: 192 KiB
    uint64_t timeout_ns;       // of an operation
    uint64_t hedge_ns;         // silence after which a read asks further replicas
    uint32_t hash_above;       // of a record of more bytes the hash will do for a read
    uint32_t retire_above;     // where a context has more entries those go that nobody needs
    uint64_t gossip_ns;        // between rounds
    uint64_t suspect_ns;       // silence after which a member counts as down (sight.h)
    uint64_t reconcile_ns;     // between comparisons with a peer while roots differ, at most
    uint64_t hints_max;        // bytes of what is kept for members that cannot be reached
    uint64_t purge_ns;         // between looks for tombstones to purge, at least, and their age
    struct store_options store;
    node_minted *minted;   // may be NULL
    node_purged *purged;   // likewise
    node_retired *retired; // likewise
    node_handed *handed;   // likewise
    void *minted_context;  // of all four
};

// The defaults a server starts from; strings are NULL, self and secret empty.
struct node_options node_default_options(void);

// Copies of a key that a process with this `replication` has room for: what a record may grow to
// when each of them has a largest value of its own. A member takes no map with more.
uint32_t node_copies_max(uint32_t replication);

// Bytes of options->store.memory_max from which on the largest record surely finds a place.
uint64_t node_data_min(const struct node_options *options);

// Bytes of arena that node_create takes.
size_t node_memory_size(const struct node_options *options);
struct node *node_create(struct arena *arena, struct env *env, const struct node_options *options);

// Opens the store, listens for peers, joins its cluster. Calls back once: ST_OK when the store is
// recovered (not: when the cluster is complete), else why it cannot be.
typedef void node_done(void *context, enum status status);
void node_start(struct node *node, node_done *done, void *context);

// Requires that node_start called back with ST_OK. Orderly end: refuses new requests with
// ST_CANCELLED, lets those under way finish within the time-out, closes the store. The node is not
// to be named after the callback.
void node_stop(struct node *node, node_done *done, void *context);

// Its earliest deadline, and running what is due: called by whoever drives the env.
uint64_t node_next_wake(const struct node *node);
void node_wake(struct node *node);

// The heap of deadlines that the node runs, for others on the same loop. Has room for
// NODE_SPARE_TIMERS of theirs.
enum { NODE_SPARE_TIMERS = 16384 };
struct timers *node_timers(struct node *node);

// Requests.

enum request_kind {
    REQUEST_READ,    // the merged record of the key
    REQUEST_REPLACE, // plain SET and DEL: supersedes whatever was acknowledged before it began
    REQUEST_WRITE,   // adds a sibling, superseding what `seen` covers and nothing else
    REQUEST_RANGE,   // keys with a tag between two bounds, in order, and their values: those of the
                     // keyspace that `from` names, or without it `to`, or else of `default`
    REQUEST_SCAN,    // keys of a stretch of slots
    REQUEST_COUNT,   // live keys of the whole cluster, or of what this member is first for
};

// What a request came to. ST_OK and ST_NOT_FOUND (read: no record) are done. ST_TIMEOUT is
// "unknown": a replica may have applied the write. Everything else is "certainly not done".
struct request;
typedef void request_done(struct request *request);

struct request {
    request_done *done; // set by the caller, like all up to filter; never called before
                        // node_submit returns
    enum request_kind kind;
    struct slice key;           // borrowed until done; of REQUEST_RANGE: the tag
    struct slice value;         // borrowed until done; of writes
    bool is_tombstone;          // of writes: there is no value
    uint64_t expires_ms;        // of writes: 0 never
    uint64_t timestamp;         // of writes: 0: now
    const struct context *seen; // of REQUEST_WRITE: borrowed until done; NULL: nothing
    uint64_t seen_timestamp;    // of writes: nothing that `seen` covers is later
    struct level level;         // set
    uint64_t cursor;            // of REQUEST_SCAN: 0 begins
    uint32_t limit;             // of REQUEST_SCAN: keys wanted, about; of REQUEST_RANGE: at most
    struct slice from;          // of REQUEST_RANGE: begins past this key; empty: at the first, or
                                // in reverse at the last; copied, like
    struct slice to;            // of REQUEST_RANGE: ends before this key; empty: at the end
    bool is_at_from;            // of REQUEST_RANGE: `from` itself is in it
    bool is_at_to;              // of REQUEST_RANGE: `to` itself is in it
    bool is_reverse;            // of REQUEST_RANGE: descending
    bool local;                 // of REQUEST_SCAN and _COUNT: only slots this member is first for

    enum status status;
    uint32_t need;        // result: replicas the level asked for
    uint32_t answered;    // result: replicas that did; of a write that is ST_UNAVAILABLE, which
                          // asks none: those that could have been asked
    uint32_t copies;      // result: replicas that the key has; 0: not looked at
    uint32_t up;          // result where it failed: of those, the ones that are up
    struct slice record;  // result of reads: encoded, lent during done; empty: none.
                          // result of writes: the record as stored, likewise
    struct version dot;   // result of writes that are done: under which the value was written
    uint64_t next;        // result of REQUEST_SCAN: cursor to go on with, 0: finished
    uint64_t count;       // result of REQUEST_COUNT; of others: keys in `keys`
    struct slice keys;    // result of REQUEST_SCAN: u32 size, then bytes, of each live key; of
                          // REQUEST_RANGE likewise of each key, then of its value; lent during done
    struct slice reached; // result of REQUEST_RANGE: the key to go on past, maybe one that is not
                          // shown; empty: finished; lent during done

    struct list link; // the rest is the node's
    void *operation;
    struct env_op op;
};

void node_submit(struct node *node, struct request *request);

// To be told in each turn in which clients ask for something. True: this member has more to do than
// it can (model/admission.h), and is to be asked for each request whether it may be submitted; some
// may not, that the others be in time.
bool node_is_overloaded(struct node *node);
bool node_admits(struct node *node);

// Where a REQUEST_SCAN begins with a slot. Requires slot < SLOT_COUNT.
uint64_t node_slot_cursor(uint16_t slot);

// A short cut for REQUEST_READ where no other member has to be asked and the answer is at hand:
// true if the request is answered so, without done being called; the record is then lent until
// control returns to the env, or the next request. False: nothing happened, submit it.
bool node_read_now(struct node *node, struct request *request);

// Hints: that requests for these keys will follow in this turn, and that all of them were named.
// What this member holds of the keys is then at hand, rather than waited for one by one.
void node_expect(struct node *node, struct slice key);
void node_expect_no_more(struct node *node);

// Changes of the map.

// One change. Its memory is the caller's, and is the node's from node_change_map to `done`.
struct map_change {
    // Makes of the map, whose epoch is raised already, what it is to be. Pure; called again when
    // something else was decided meanwhile. False: the change does not apply to this map.
    bool (*apply)(struct map_change *change, struct map *next);
    void (*done)(struct map_change *change); // never called before node_change_map returns

    // Result. ST_OK: it was agreed on, and durable here is the map that it has made, or a later
    // one. ST_INVALID: it did not apply. ST_UNAVAILABLE: too few members could be reached, or this
    // one has no vote; ST_BUSY: the map would be too large; ST_CANCELLED: the node stops; all
    // these: certainly not done. ST_TIMEOUT: unknown: it may be in the map, now or later.
    enum status status;
    uint64_t author; // node_map_author of the map that it makes

    bool has_lost; // set: member `lost` will not answer, as it has lost its disk (model/paxos.h)
    uint32_t lost;

    struct list link; // the rest is the node's
    uint64_t deadline;
    uint64_t instance; // in which it was proposed; 0: in none that is open; if it was done, the
                       // epoch of the map that it has made
};

// Has the members agree on a change of the map: more than half of all have to answer. Changes of
// one node wait for each other.
void node_change_map(struct node *node, struct map_change *change);

// Keyspaces.

enum keyspace_verb {
    KEYSPACE_CREATE,
    KEYSPACE_ALTER,
    KEYSPACE_DROP,
    KEYSPACE_FLUSH, // drops all keys of all keyspaces
};

// What of a definition is said.
enum keyspace_field {
    KEYSPACE_REPLICATION = 1 << 0,
    KEYSPACE_READ = 1 << 1,
    KEYSPACE_WRITE = 1 << 2,
    KEYSPACE_CONFLICT = 1 << 3,
    KEYSPACE_TTL = 1 << 4,
    KEYSPACE_COMPRESSION = 1 << 5,
};

enum keyspace_outcome {
    KEYSPACE_DONE,
    KEYSPACE_THERE,     // there is one of that name already; this and all others but the last:
                        // certainly not done
    KEYSPACE_NOT_THERE, // there is none of that name
    KEYSPACE_FULL,      // there are KEYSPACES_MAX of them
    KEYSPACE_NO_NUMBER, // 65536 of them, or flushes, have been
    KEYSPACE_FLAWED,    // see keyspace_flaw; or a key has fewer copies than a level asks for
    KEYSPACE_COPIES,    // it asks for more copies than the map's runs were made for
    KEYSPACE_FIXED,     // `default` stays, with its copies and its rule
    KEYSPACE_CHANGING,  // another change is under way
    KEYSPACE_HAS_KEYS,  // keys would have to move, or be lost
    KEYSPACE_ABSENT,    // a member cannot be reached: it might hold such keys
    KEYSPACE_SILENT,    // a member did not say in time whether it holds such keys
    KEYSPACE_REFUSED,   // this member cannot change the map now
    KEYSPACE_UNSURE,    // it may be done, or may yet be
};

struct keyspace_change {
    enum keyspace_verb verb;
    struct keyspace wanted; // name and, of CREATE and ALTER, the fields that are said
    uint32_t fields;        // bits of enum keyspace_field
    void (*done)(struct keyspace_change *change);
    void *context;

    enum keyspace_outcome outcome; // result

    struct node *node; // the rest is the node's
    struct list link;
    struct map_change map_change;
    uint64_t deadline;
    uint64_t epoch;  // in which it was done, and that everybody must have; 0: not yet
    uint64_t judged; // the last map of which is known what it makes of the change; 0: none
    uint64_t known;  // when everybody had it, ns; 0: not yet
    uint16_t number; // of the keyspace that comes or goes
    bool is_waiting;
};

// Changes the table of keyspaces on all members, or on none; calls back once, maybe before it
// returns. The struct is the node's until then. Everything but an ALTER of levels, TTL or
// compression needs all members.
void node_change_keyspace(struct node *node, struct keyspace_change *change);

// A member whose data directory is gone.

enum replace_outcome {
    REPLACE_DONE,        // the map names the new directory
    REPLACE_NO_MEMBER,   // there is none of that name; this and all others but the last: not done
    REPLACE_IS_UP,       // under the directory that the map names
    REPLACE_IS_HEARD_OF, // so it was until a moment ago, or others hear of it still
    REPLACE_UNSEEN,      // no process of that name, with another directory, has been met lately
    REPLACE_NOT_BLANK,   // its directory is not an empty one
    REPLACE_OVERTAKEN,   // it was replaced by a third one meanwhile
    REPLACE_REFUSED,     // too few members can be reached, or this one has no vote
    REPLACE_UNSURE,      // it may be done, or may yet be
};

struct replacement {
    void (*done)(struct replacement *replacement);
    void *context;

    enum replace_outcome outcome; // result

    struct node *node; // the rest is the node's
    struct map_change change;
    uint32_t member;
    uint64_t former; // storage ids
    uint64_t storage;
};

// Has the map name the directory with which the member of that name was met last, in place of the
// one it had; calls back once, maybe before it returns. The struct is the node's until then. The
// member then takes part in writes, and has no vote before it has mended.
void node_replace(struct node *node, struct slice name, struct replacement *replacement);

// Facts for those who show them. Pointers lend until control returns to the env.

enum node_state node_state(const struct node *node);

// True when another process is this member, for certain: the data directory was copied, and this is
// the second one; or was replaced. It has no vote and mints nothing; its owner is to end it.
bool node_is_ousted(const struct node *node);

// True while the others refuse this one, which has no map: they know another data directory of the
// member. Blank: there never was anything in this one.
bool node_is_stranger(const struct node *node);
bool node_is_blank(const struct node *node);

// True when a process of the name of that member, with another data directory than the map names,
// was met lately.
bool node_has_stranger(const struct node *node, uint32_t index);

// Adds the names of the first members that a node which founds a cluster, or is to be told of it,
// has not met: as many as have room, and how many more there are.
void node_name_missing(const struct node *node, struct text *names);

// Epoch 0 until the cluster is founded.
const struct map *node_map(const struct node *node);

// A number that says which change has made the map; 0: none, it was founded.
uint64_t node_map_author(const struct node *node);

// Index of this member in the map. Requires an epoch above 0.
uint32_t node_self(const struct node *node);
const struct member_entry *node_member(const struct node *node, uint32_t index);

// The name of the member whose dots carry the storage id, or NULL: of one that left, or that lost
// its disk since.
const char *node_name_of(const struct node *node, uint64_t storage);

// Copies that a key of the keyspace with most of them has; 0 before there is a map.
uint32_t node_copies(const struct node *node);

// True when this node now believes that the member answers.
bool node_member_is_up(const struct node *node, uint32_t index);

// What this node believes of a member, and how it comes to that (node/sight.h).
enum verdict { VERDICT_UP, VERDICT_UNREACHABLE, VERDICT_DOWN };

struct node_view {
    enum verdict verdict;
    uint32_t level;      // of suspicion (model/suspicion.h)
    uint64_t silence_ns; // on the link to it; UINT64_MAX: it was never open
};

struct node_view node_view(const struct node *node, uint32_t index);

// How much this node doubts itself: 1, not at all, to SUSPICION_DOUBT_MOST. It suspects others as
// much later.
uint32_t node_doubt(const struct node *node);

// True when answers of the member came late, lately: it is asked after others.
bool node_member_is_late(const struct node *node, uint32_t index);

// The member that is first for a run: the first of its replicas that is up, or just the first.
uint32_t node_first_of(const struct node *node, const struct map_run *run);

struct node_stats {
    uint64_t reads;
    uint64_t writes;
    uint64_t second_rounds;    // plain writes that met something their first round had not covered
    uint64_t read_repairs;     // replicas brought up to date by a read
    uint64_t reconciled;       // records sent to or taken from a peer by comparison
    uint64_t reconciled_bytes; // of those taken
    uint64_t compare_bytes;    // sent to find out what differs
    uint64_t hedged;           // reads that asked further replicas
    uint64_t hashes;           // hashes of records that reads were told in place of these
    uint64_t hashes_differed;  // of these, such that were not those of what others held
    uint64_t retries;          // times that something was asked of one more, or again
    uint64_t retries_held;     // times that it was not, or not yet: too much was (model/budget.h)
    uint64_t unavailable;      // requests refused for want of replicas
    uint64_t timeouts;
    uint64_t forwarded;  // writes handed to a replica
    uint64_t busy;       // requests refused at a limit
    uint64_t shed;       // not even begun, as too much was asked for
    uint64_t shed_peers; // the same of requests of other members
    uint64_t late;       // requests of members that were dealt with too late, which is not at all
    uint64_t queue_ns;   // what requests waited at least, lately, before they were begun
    uint64_t frames_refused; // from peers: bad checksum, MAC, cluster or version
    uint64_t frames_sent;
    uint64_t frames_received;
    uint32_t requests_under_way;
    bool is_shedding;
    uint32_t slots_behind;   // slots that the last comparison with a peer found different; 0 once
                             // all of both is the same
    uint64_t renewals;       // actor epochs begun because the store had forgotten what it wrote
    uint64_t dot_conflicts;  // merges in which one dot had different contents
    uint64_t sibling_writes; // writes of this member that left SIBLINGS_MANY values or more
    uint32_t siblings_most;  // values that one of them has left
    uint64_t purged;         // tombstones removed here, as every replica held them
    uint64_t retired;        // entries of contexts taken out here, likewise
    uint64_t hints_kept;     // hints written here
    uint64_t hints_minted;   // dots given here, in place of replicas
    uint64_t hints_refused;  // that were to be kept here and were not
    uint64_t hints_handed;   // that the member they were for has now
    uint64_t hints_dropped;  // that nobody can need any more
    uint64_t hints_stuck;    // kept now, and refused for good by the member they are for
    uint64_t rested_ms[PACE_WORKERS]; // that each worked less for the sake of those who ask
    uint32_t background_share;        // of its speed, that background work has now; percent
};

struct node_stats node_stats(const struct node *node);

// Buffers that connections to other members share, and that are in use now.
struct node_buffers {
    uint32_t large; // as large as the largest message, and twice
    uint32_t other;
    uint32_t waiting; // connections that wait for a large one
};

struct node_buffers node_buffers(const struct node *node);

// What this member itself holds of a cell, whose keyspace must be there; and of a slot, all
// keyspaces together, but for the leaves.
struct store_partition node_cell(const struct node *node, uint32_t cell);
struct store_partition node_slot(const struct node *node, uint16_t slot);
struct store_partition node_hints(const struct node *node); // kept for others; a key each
struct store_stats node_store_stats(const struct node *node);

// Merges all tables of this member into one level, in the background. Requires NODE_SERVING.
void node_compact(struct node *node);

// Compares the keys of these slots, first to last, with every member that has copies, whatever the
// digests say, and makes them the same: in the background, in place of what was asked for before.
// Requires NODE_SERVING and last < SLOT_COUNT.
void node_repair(struct node *node, uint16_t first, uint16_t last);

// Partitions, once for each other copy, of the last node_repair.
struct node_repair {
    uint16_t first; // slot
    uint16_t last;
    uint64_t done;
    uint64_t total;
    uint32_t peers_left; // members still to be compared with; 0: it is over
};

struct node_repair node_repair_state(const struct node *node);

// What of the tombstones that are this member's to have purged cannot be, as of the last look.
struct node_purge {
    uint32_t blocked;      // partitions with tombstones that wait for some member
    const char *waits_for; // the name of such a member; or empty. Lends like a map
};

struct node_purge node_purge_state(const struct node *node);

// How old a difference between this member and another can be at most, ns: what was written before
// is on all members that have copies. Requires NODE_SERVING.
uint64_t node_unequal_ns(const struct node *node);

// Snapshots of what this member holds, as store.h has them; ST_UNAVAILABLE: its data is not whole,
// it is mending. Require NODE_SERVING.
NODISCARD enum status node_snapshot_make(struct node *node, struct slice name,
                                         store_snapshot_done *done, void *context);
NODISCARD enum status node_snapshot_delete(struct node *node, struct slice name,
                                           store_snapshot_done *done, void *context);

// Lends the store, to look into.
struct store *node_store(struct node *node);
const struct node_options *node_options(const struct node *node);

#endif
