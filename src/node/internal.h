// SPDX-License-Identifier: Apache-2.0
//
// internal.h -- the parts of a node, side by side.
//
// Each part has a file of its own that alone changes its fields; others read them. Which
// function handles which message is decided in one place, receive.c.
//
//     link       one framed connection                      peers      whom we talk to, and how
//     genesis    from nothing to a map                      gossip     how members do
//     operation  requests under way                         read, write   coordinating them, like
//     gather     lists of keys made one                     survey, range    these
//     replica    the other side of them                     reconcile  comparing whole slots
//     places     what cursors stand for       epoch      agreeing on the next map
//     roots      numbers to compare by        compare    the other side of reconcile
//     agreement  how keyspaces come and go    purge     what is dead goes, like purge_answer
//     sight      who is up                    stand_in  who takes the place of who is not
//     hints      what is kept for others      handoff   and brought to them
//     mint       the record a write makes     expiry    where there is what may go
//     replace    a data directory is          inquiry   of many, who is gone
//     again      what a purge has overtaken   buffers   what links share
//     join       becoming a member
#ifndef QUOIT_NODE_INTERNAL_H
#define QUOIT_NODE_INTERNAL_H

#include "base/rng.h"
#include "base/tlsf.h"
#include "model/admission.h"
#include "model/budget.h"
#include "model/doubts.h"
#include "model/rumors.h"
#include "model/suspicion.h"
#include "node/agreement.h"
#include "node/epoch.h"
#include "node/expiry.h"
#include "node/handoff.h"
#include "node/join.h"
#include "node/link.h"
#include "node/node.h"
#include "node/operation.h"
#include "node/places.h"
#include "node/purge.h"
#include "node/reconcile.h"
#include "node/replica.h"
#include "node/roots.h"

#define MEMBER_NONE UINT32_MAX

enum { SCRATCH_SIZE_MIN = 256 * 1024 };

// What members are asked to do. A forwarded write waits for others as well, so who is late there
// need not be for reads.
enum errand { ERRAND_READ, ERRAND_WRITE, ERRANDS };

struct lateness {
    uint64_t until; // asked after the others before, ns
    uint64_t last;  // how long it was the last time, ns; 0: it was in time since
};

// How this member itself keeps time (sight.h).
struct sight {
    uint64_t due;      // when a round of gossip is to begin, ns; 0: none is
    uint64_t slept;    // how late all rounds together have been, ns
    uint32_t doubt;    // in ourselves
    uint64_t answered; // when gossip of ours last was, by anybody; in the time of node_waking()
    uint32_t turn;     // member of whom it is looked next whether the log is to say that it is lost
};

// More than are asked while one waits, in doubt of oneself, too. Who is left out is looked at when
// it is asked, or dialled, again.
enum { INQUIRIES_MAX = 64 };

// Of whom there should be a sign of life soon (inquiry.h), in the order in which it is to come.
struct inquired {
    uint16_t member;
    bool is_asked;  // on a link that is open
    uint64_t since; // ns, in the time of node_waking()
};

struct inquiry {
    struct doubts doubts;
    struct inquired waiting[INQUIRIES_MAX];
    uint32_t first;
    uint32_t count;
};

// Who has last greeted under the name of a member, with another data directory than the map names.
struct stranger {
    uint64_t storage;
    uint64_t seen; // ns; 0: never
    uint64_t logged;
    bool is_blank;
};

// What is known of a member before and beside the map.
struct peer {
    struct node *node;
    uint64_t storage;         // as it said when our link opened
    uint64_t epoch;           // of its map, as of its last frame
    uint32_t members_max;     // that it has room for; 0: it was not met in this life
    bool is_serving;          // as its last gossip says: it remembers what it is told
    bool says_taken;          // to it another process is the member that we are
    bool has_told_fences;     // in this life: purge_answer.h
    struct suspicion answers; // to our gossip, on our link to it
    struct suspicion news;    // its heartbeat has advanced, whoever says so; where all hear all
    struct link *out;         // dialled by us: carries our requests and their answers; or NULL
    struct link *in;          // dialled by it: carries its requests and our answers; or NULL
    struct timer redial;
    uint64_t redial_ns;
    struct lateness late[ERRANDS];
    uint64_t claimed;       // when it last said that our place is taken, ns
    uint64_t contester;     // the process that greeted as this member while another one was it
    uint64_t contested;     // when it did first, ns
    uint64_t refused_hints; // ns: when it took none of a batch; 0: it did since
    struct hint_place hint_places[HINT_KINDS];
    uint64_t hint_actor; // actor of what is minted for it; 0: to be drawn (stand_in.h)
    struct stranger stranger;
    bool is_logged_down; // what the log has said of it last
};

struct node {
    struct env *env;
    struct node_options options;
    enum node_state state;
    struct rng rng;
    struct timers timers;
    struct store *store;
    struct node_stats stats;

    // Identity and map.
    struct map map;     // epoch 0: not founded
    struct map initial; // the first members, in the place of those of `map`; gone when there is one
    struct cluster_id cluster;
    uint32_t self; // index into map, or initial
    uint64_t incarnation;
    uint64_t process;     // drawn when it began: tells this life from any other
    uint32_t taken_count; // peers to which another process is this member
    bool is_ousted;       // for certain
    bool is_mending;      // takes writes but has no vote: may lack something acknowledged
    uint32_t forgotten;   // an epoch of this store of which somebody knows more than the store
                          // itself: nothing is minted before a later one has begun; 0: none
    // Of a store that was restored and has no map yet: the map_placement under which its records
    // were written; else 0.
    uint64_t former_placement;
    bool is_refusing;       // the log knows that this cluster cannot be
    bool is_blank;          // there never was anything in this directory
    uint64_t stranger_told; // when a member last refused this one as such, ns; 0: never
    uint64_t stranger_logged;
    uint8_t *fact; // the encoded fact on its way to the store
    size_t fact_size;
    size_t fact_capacity;
    struct store_write fact_write;
    struct store_read fact_read;
    uint8_t fact_written; // enum fact on its way; 0: none
    uint8_t facts_wanted; // bits of enum fact still to be written
    uint64_t facts_logged;
    uint64_t map_logged; // that a peer's is not one for us; likewise
    uint64_t copies_logged;
    uint64_t founding; // ns: since then it waits for first members; the log knows it, or will
    bool is_waiting_logged;
    node_done *started;
    void *started_context;
    node_done *stopped;
    void *stopped_context;
    struct timer stop_timer;

    struct epoch epoch;
    struct join join;

    // Peers, indexed as the members of the map.
    struct peer *peers;
    uint32_t peer_count;
    struct link *links; // a pool: two for each member, and some for callers not yet known
    uint32_t link_count;
    uint32_t links_busy;   // the first so many are in use, at least
    uint32_t caller_count; // of those in use: accepted
    uint32_t sweep_turn;   // which link is to be looked at next
    struct buffers link_buffers;
    struct env_socket *listener;
    struct env_socket *accepted;
    char listen_address[ADDRESS_SIZE_MAX + 1];
    struct env_op listen_op;
    struct env_op accept_op;
    struct timer accept_retry;
    bool is_accepting;
    uint64_t
        refusal_logged; // when a refused peer was last logged, ns; 0: never, like the next ones
    uint64_t taken_logged;
    uint64_t siblings_logged;
    uint64_t hints_logged;
    uint64_t conflict_logged;

    // Gossip.
    struct members members;
    struct rumors rumors; // of the same
    struct timer gossip_timer;
    struct sight sight;
    struct inquiry inquiry;
    uint64_t ops_before; // requests counted at the last round
    uint64_t load_since;

    // Requests.
    struct admission admission;       // of requests of clients
    struct admission admission_peers; // of what other members have admitted
    struct pace *pace;                // of what is done in the background: the store's
    uint64_t turn_noted;              // the last turn of which it was told, ns
    struct budget retries;
    struct operations operations;
    struct replica replica;
    struct reconcile reconcile;
    struct roots roots;
    struct purge purge;
    struct expiry expiry;
    struct handoff handoff;
    uint64_t hints_minted;  // dots given to them, in this life
    uint32_t hints_busy;    // that the store has not finished with
    uint32_t minted_busy;   // of these, such as are minted
    uint32_t comparing;     // questions of others about keys that wait for the store
    uint32_t looking_again; // at writes that were refused (again.h)
    struct places places;
    struct agreement agreement;
    struct tlsf buffers;  // keys, values and records of requests under way
    uint64_t hlc;         // the last timestamp given
    uint32_t record_max;  // bytes of the largest record
    uint32_t message_max; // bytes of the largest message body

    // Scratch, for use within one callback.
    struct record records[4];
    struct context contexts[2];
    uint8_t *scratch;
    uint32_t scratch_size; // room for the largest record that is stored, at least SCRATCH_SIZE_MIN
    struct store_read quick_read;
};

// Memory for the bytes of requests under way; NULL when it is all in use.
uint8_t *buffer_take(struct node *node, size_t size);
void buffer_give(struct node *node, uint8_t *buffer);

// Copies the bytes to `to`, in a buffer, and lets the slice show them there. Returns where they
// end.
static inline uint8_t *buffer_keep(uint8_t *to, struct slice *bytes) {
    if (bytes->size > 0) memcpy(to, bytes->data, bytes->size);
    bytes->data = to;
    return to + bytes->size;
}

// Whether the partition is the one that the key is written to now. Not so what comes from before a
// keyspace came or went.
static inline bool node_is_current(const struct node *node, struct slice key, uint16_t keyspace) {
    const struct keyspace *k = map_keyspace_of(&node->map, key);
    return k->state == KEYSPACE_ACTIVE && k->number == keyspace;
}

// What a replica holds of a key, as a number; 0: nothing.
static inline uint64_t hash_held(struct slice record) {
    if (record.size == 0) return 0;
    uint64_t hash = hash_bytes(record, 0);
    return hash == 0 ? 1 : hash;
}

// Not while another process may be this member, too.
static inline bool node_is_sole(const struct node *node) {
    return node->taken_count == 0 && !node->is_ousted;
}

// Whether this member may mint, and what it holds count: not while it may lack something that it
// has acknowledged, either.
static inline bool node_has_vote(const struct node *node) {
    return !node->is_mending && node_is_sole(node);
}

// The time in which silence of others is measured, ns. It stands still while a round of our own
// gossip is overdue: what we were too late to hear is no silence.
static inline uint64_t node_waking(const struct node *node) {
    uint64_t now = node->env->now;
    if (node->sight.due != 0 && now > node->sight.due) now = node->sight.due;
    return now - node->sight.slept;
}

// Whether somebody may be asked once more than is needed; counted.
static inline bool node_may_retry(struct node *node) {
    bool may = budget_spend(&node->retries, node->env->now);
    node->stats.retries += may;
    node->stats.retries_held += !may;
    return may;
}

// Whether something that others can make happen as often as they like may be logged now, and notes
// that it is: once a minute.
static inline bool log_is_due(const struct node *node, uint64_t *logged) {
    uint64_t now = node->env->now;
    if (*logged != 0 && now - *logged < 60 * NS_PER_SECOND) return false;
    *logged = now;
    return true;
}

// Whether one more request may be dealt with that another member has admitted, and has begun to
// carry out. It is refused only where that refuses too little: when this member is asked for far
// more than it can do though it admits little itself.
bool node_admits_peer(struct node *node);

// Whether nobody waits any more for what another member has asked for until then (link_until). It
// is not done, then, and counted.
static inline bool node_is_too_late(struct node *node, uint64_t until) {
    if (node->env->now < until) return false;
    node->stats.late++;
    return true;
}

// All requests under way learn that the member will not answer.
void node_peer_lost(struct node *node, uint32_t member);

#endif
