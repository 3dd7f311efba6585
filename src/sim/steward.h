// SPDX-License-Identifier: Apache-2.0
//
// steward.h -- whoever changes keyspaces while there is trouble, and has keys in them.
//
// In some runs three more clients are at work beside those of the workload. Two tenants write,
// delete and read a few keys, most of which begin with the names of two keyspaces; an admin
// creates, alters and drops these, through any member and one after the other, and in some of the
// runs drops all keys at once as well. Before a change that no key may stand in the way of, the
// admin mostly has the tenants empty the keyspace. What they read, and what is answered to the
// admin, is judged by tenancy.h. And, as the rest of O29:
//
//     of a healed cluster no keyspace comes or goes for long, all members have those that the
//     answers speak of, and one that is empty can be dropped, and created again
#ifndef QUOIT_SIM_STEWARD_H
#define QUOIT_SIM_STEWARD_H

#include "sim/client.h"
#include "sim/nemesis.h"
#include "sim/tenancy.h"

enum { STEWARD_NAMES = 2, STEWARD_TENANTS = 2, STEWARD_KEYS = 4, STEWARD_BATCH_MAX = 64 };

struct steward;

// What is known of a keyspace, from what was answered.
struct steward_keyspace {
    bool is_there;    // as of the last answer that was certain
    bool is_in_doubt; // some change of that name may or may not have been made
    bool is_emptying; // tenants are to delete what it has
    uint32_t replication;
    enum keyspace_conflict conflict;
    enum keyspace_compression compression;
    uint32_t keys[STEWARD_KEYS]; // in use; numbers of tenancy.h
    uint32_t key_count;          // ever used
};

enum steward_call_kind { STEWARD_GET, STEWARD_SET, STEWARD_DEL };

struct steward_call {
    enum steward_call_kind kind;
    uint32_t key;
    uint32_t write; // or ORACLE_NONE
    uint64_t begin;
    bool is_over;
};

struct steward_tenant {
    struct steward *steward;
    struct client client;
    uint32_t member; // talks to this one
    struct steward_call calls[STEWARD_BATCH_MAX];
    uint32_t call_count;
    bool is_to_read; // all keys, when its turn comes
    bool is_to_delete;
};

// A change that is asked for. It moves keys if it says anything of copies or conflicts that is not
// so already.
struct steward_change {
    enum keyspace_verb verb;
    uint32_t name;
    uint32_t replication; // 0: not said
    bool says_conflict;
    enum keyspace_conflict conflict;
    const char *read; // levels; NULL: not said
    const char *write;
    bool says_ttl;
    enum keyspace_compression compression; // COMPRESSION_UNSET: not said
    uint64_t begin;
    uint32_t flush; // tenancy.h's number of it
    bool is_under_way;
    bool is_answered;
};

struct steward_admin {
    struct steward *steward;
    struct client client;
    uint32_t member;
    struct steward_change change; // under way
    uint32_t enough;              // changes that were done: then it is over
    uint32_t wanted;              // changes in all, at most
    uint32_t begun;
};

struct steward_counts {
    uint64_t created;
    uint64_t altered; // in levels, TTL or compression
    uint64_t moved;   // by ALTER of copies or conflicts
    uint64_t dropped;
    uint64_t flushed;
    uint64_t held;    // refused for keys that stand in the way
    uint64_t refused; // for anything else
    uint64_t unknown;
};

struct steward {
    struct cluster *cluster;
    struct oracle *oracle;
    struct rng rng;
    struct rng compression_rng; // of its own, so that the rest of a run is drawn as without it
    bool is_there;              // this is a run with a steward
    bool flushes;               // ... and it drops all keys at once, now and then
    bool compresses;            // ... and it says how to compress, now and then
    bool is_strict;             // all is well: each call has to be done
    uint64_t think_ns;
    struct tenancy tenancy;
    struct steward_keyspace keyspaces[STEWARD_NAMES];
    struct steward_tenant *tenants;
    struct steward_admin *admin;
    struct steward_counts counts;
};

// Draws whether this is a run with a steward, and has the nemesis spare synced bytes if it is.
// `is_possible`: the run need not lose any. Adds the clients' machines.
void steward_init(struct steward *s, struct nemesis *nemesis, struct oracle *oracle,
                  bool is_possible);
void steward_free(struct steward *s);

// Goes on until enough changes were done, or many asked for, or it is stopped. In a run without a
// steward these do nothing.
void steward_start(struct steward *s);
bool steward_is_over(const struct steward *s); // nothing is under way, or will be
void steward_stop(struct steward *s);

// Of a healed cluster, after a while in which nothing was under way: whether no keyspace comes or
// goes any more.
bool steward_is_calm(const struct steward *s);

// Notes a violation unless all members have the keyspaces that the answers speak of. Requires that
// it is calm, and has been for long enough for what nobody answered to be made or not.
void steward_check(struct steward *s);

// Of a healed cluster, where each call has to be done. A tenant reads all keys, and deletes them if
// that is wanted; the admin drops the keyspace of that number, or creates it where there is none,
// which requires that all replicas are equal and the tenants have deleted all keys.
void steward_visit(struct steward *s, bool deletes);
void steward_ask(struct steward *s, uint32_t name);

#endif
