// SPDX-License-Identifier: Apache-2.0
//
// genesis.h -- how a cluster begins, and what a node durably knows of it.
//
// A cluster is founded once, by one member: the one alone, or the first by name of the --initial
// list. The list gives the cluster its id. The founder waits until every other first member has
// greeted it and none knows a map; then it draws the map of epoch 1, stores it, and only then tells
// the others, who store it before they use it. Nobody else ever draws a map, so whatever starts in
// whatever order behind whatever partition, there are never two. Whoever has a map gives it to a
// member of it that greets with none.
//
// The map names the storage id of each member's data directory: the one with which it was founded,
// or by which an operator has had it replaced (replace.h). A member that is told a later map than
// the first one while it has none takes the place of another directory, maybe: it takes writes, but
// has no vote until it has compared everything with all others (it is mending).
//
// A store that was restored from a snapshot holds facts of a former life: they were minted under
// another storage id, and do not count. It founds a cluster like an empty one, with two conditions:
// the cluster has another id than before, and slots lie where they lay, since that is where their
// records are. It is refused by a cluster that was founded without it, and refuses that: what has
// been deleted there since would come back.
//
// Facts are records in the system partition of the store:
//
//     "start"  incarnation u64 | u8: 1 it is mending, 2 what it acknowledges is synced later
//     "map"    cluster id | the map | storage ids | of a later map than the first: its lineage
//     "vote"   what this member has promised and accepted for the next map: epoch.h
//     "fences" of each group of slots, which rounds of purging it knows of: model/fence.h
#ifndef QUOIT_NODE_GENESIS_H
#define QUOIT_NODE_GENESIS_H

#include "node/internal.h"

enum fact { FACT_START = 1, FACT_MAP = 2, FACT_VOTE = 4, FACT_FENCES = 8 };

// How a first member has described itself when our link to it opened. Only the founder needs to
// know, and only until it draws the map: it is kept where the next map will be.
void genesis_note_description(struct node *node, uint32_t member,
                              const struct map_description *described);

// Reads the facts once the store is open, raises the incarnation durably, and goes on from there.
void genesis_start(struct node *node);

// What there is to do now: founds the cluster if this node is the founder and everybody is here;
// gives the map to whoever lacks it (where they are many, gossip.c does so, from one to the next).
// Called in each round of gossip, and when a peer has greeted.
void genesis_step(struct node *node);

// Gives the map to that member, if it can be reached.
void genesis_tell(struct node *node, uint32_t member);

// The map names members that are not known yet, behind those that are.
void genesis_take_members(struct node *node);

// Stores these facts, as they are when it comes to each of them, and all that were wanted before.
void genesis_write_facts(struct node *node, uint8_t facts);

// Body of FOUNDED, value that members agree on, and stored fact alike: 16 bytes cluster id, u32
// size, the map, then for each of its members u64: the id of its storage; then for the map and each
// before it, down to epoch 2, but LINEAGE_MAPS at most, u64: a number that says which change has
// made it.
void genesis_encode_map(const struct map *map, const struct lineage *lineage, struct writer *w);

// Else than ST_OK: as map_decode says.
NODISCARD enum status genesis_decode_map(struct slice bytes, struct map *map,
                                         struct lineage *lineage);

// A peer gives us the map.
void genesis_on_founded(struct node *node, struct slice body);

// To be called now and then: data that was found damaged while serving is fetched from the others,
// and this member has no vote until then.
void genesis_mend_if_damaged(struct node *node);

// Somebody remembers a later life of ours than we do: this one becomes the last, durably. If that
// was one of the same data, the data is an older copy of itself.
void genesis_outlive(struct node *node, const struct member_entry *known);

// True when the context knows more of what this store has minted than the store does, or one before
// did: it has forgotten, and mints nothing before genesis_renew_if_forgotten was called. For apply
// functions, which must not call that. True and node->forgotten 0: the context claims what cannot
// be.
bool genesis_has_forgotten(struct node *node, const struct context *known);

// If it has: a new actor epoch; and what this member has forgotten its word cannot vouch for, so it
// has no vote until it has compared everything with all others.
void genesis_renew_if_forgotten(struct node *node);

// Others know of rounds of purging that this member has forgotten: it has noted them, and mends.
void genesis_has_missed_purges(struct node *node);

// No longer mending: durably.
void genesis_on_mended(struct node *node);

#endif
