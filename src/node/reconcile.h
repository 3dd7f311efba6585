// SPDX-License-Identifier: Apache-2.0
//
// reconcile.h -- making two members hold the same, whatever happened to them.
//
// With each gossip goes the root (roots.h) that its sender shares with the receiver. When the two
// differ the member that comes first in the map goes down the tree:
//
//     BRANCHES  one number per group of slots; the peer says which differ
//     DIGESTS   of these, one number per slot of a keyspace, likewise
//     LEAVES    of a slot that differs, if it has many keys: one number per leaf, likewise
//     COMPARE   of these, part by part: keys with a number each; the peer sends the records that we
//               lack or hold differently and names those it lacks or holds differently itself; we
//               merge the ones and send the others
//
// One question is under way at a time, parts are bounded, and pauses follow, longer ones while
// clients have to wait (model/pace.h), so that comparing never crowds them out; a peer with many
// differences has its turn again after the others. While writes go on roots differ nearly always,
// by what is on its way: so the time between comparisons doubles, up to options.reconcile_ns, until
// the roots were equal once.
//
// A member that is mending compares with everybody, first in the map or not, and has its vote back
// when it has been through with all. While it is behind (model/fence.h) it goes through with all
// more often: to note what they lack, to drop what of before a purge it may hold, and then as all
// others do.
#ifndef QUOIT_NODE_RECONCILE_H
#define QUOIT_NODE_RECONCILE_H

#include "base/timer.h"
#include "node/operation.h"
#include "wire/message.h"

enum reconcile_state {
    RECONCILE_IDLE,
    RECONCILE_BRANCHES,
    RECONCILE_DIGESTS,
    RECONCILE_LEAVES,
    RECONCILE_KEYS,
};

// The part of a slot that is being listed for a question.
struct listing {
    struct store_scan scan;
    uint64_t id; // of the question
    struct writer entries;
    uint32_t count;
    uint16_t leaves; // bit i: keys of leaf i are listed
    bool is_cut;
    bool is_under_way;
};

struct reconcile_peer {
    uint64_t equal;      // as it was then, all that differed has become equal since; ns
    uint64_t rest_until; // roots that differ are no reason to compare before, ns
    uint64_t rest_ns;    // after the next comparison
    uint32_t next_group; // where the next comparison begins
    uint8_t repaired[SLOT_GROUPS / 8]; // of the repair that was asked for
};

// Comparing of keys that somebody asked for, whatever the digests say.
struct reconcile_repair {
    uint16_t first; // slot
    uint16_t last;
    uint8_t peers[MEMBERS_MAX / 8]; // still to be compared with
    uint64_t done;                  // partitions, once for each peer
    uint64_t done_before;           // of these, those that need not be compared again
    uint64_t total;
};

struct reconcile {
    enum reconcile_state state;
    uint8_t due[MEMBERS_MAX / 8];     // peers to be compared with
    uint8_t through[MEMBERS_MAX / 8]; // while mending: peers compared with, without a hitch
    struct reconcile_peer *peers;     // by member
    uint32_t peer;                    // being compared with, like all up to after_size
    uint64_t began;                   // ns
    uint64_t id;                      // of the question under way
    uint8_t groups[SLOT_GROUPS / 8];  // that differ and are still to come
    uint8_t batch[SLOT_GROUPS / 8];   // whose slots are being compared
    uint32_t place;                   // of the keyspace being compared, and its number
    uint16_t keyspace;
    uint8_t *differ; // of its slots
    uint32_t slot;   // being compared
    uint16_t leaves; // of it: bit i: leaf i differs; 0: not known yet
    uint8_t *after;  // the key up to which the slot was compared
    uint32_t after_size;
    struct listing listing;
    uint8_t *listed;  // bytes of its entries
    uint64_t losses;  // of the store, when it began to go through with all
    uint8_t *lacking; // bits: lacking.h
    bool is_noting;   // while behind: what peers lack is noted, and nothing dropped yet
    bool had_hitch;
    bool is_pausing;   // between two parts
    uint32_t merging;  // records taken from the peer and not yet durable here, or being read for it
    uint32_t moved;    // slots and records since the last pause
    uint32_t found;    // keys that differed
    uint32_t stuck;    // questions in a row that came to nothing
    uint64_t part_at;  // when work on the part under way began, ns
    struct timer step; // the pause, or the time-out of the question
    struct reconcile_repair repair;
};

void reconcile_init(struct node *node, struct arena *arena);
size_t reconcile_memory_size(uint32_t members_max);
void reconcile_start(struct node *node);
void reconcile_stop(struct node *node);

// This member has begun to mend: it compares with everybody, from the start.
void reconcile_with_all(struct node *node);

// True while the store works for it.
bool reconcile_is_scanning(const struct node *node);

// The map has changed: there may be keyspaces that were not compared.
void reconcile_on_map(struct node *node);

// The link to a peer has opened.
void reconcile_on_open(struct node *node, uint32_t member);
void reconcile_on_lost(struct node *node, uint32_t member);

// The root that a member shares with this one, as it sees it. Requires that both have the same map.
void reconcile_on_root(struct node *node, uint32_t member, uint64_t root);

// Compares all keys of these slots, first to last, with every member that has copies, in place of
// what was asked for before. Requires NODE_SERVING.
void reconcile_repair(struct node *node, uint16_t first, uint16_t last);

// When this member was last known to hold the same as each of the others, ns: what was written
// before is everywhere.
uint64_t reconcile_equal_since(const struct node *node);

void reconcile_on_branches_done(struct node *node, uint32_t member,
                                const struct message_branches_done *m);
void reconcile_on_digests_done(struct node *node, uint32_t member,
                               const struct message_digests_done *m);
void reconcile_on_leaves_done(struct node *node, uint32_t member,
                              const struct message_leaves_done *m);
void reconcile_on_compare_done(struct node *node, uint32_t member,
                               const struct message_compare_done *m);

#endif
