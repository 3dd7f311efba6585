// SPDX-License-Identifier: Apache-2.0
//
// retire.h -- which entries of a context nobody needs any more.
//
// A context has one entry for every actor that ever wrote the key, and would grow for ever: by one
// for each outage in which somebody stood in for the replicas (node/stand_in.h), and for each disk
// that was replaced. An entry (actor, counter) does two things: it supersedes what may still be
// held of that actor, and it stands under the siblings that the actor has minted. It can be taken
// out when there is nothing left of either:
//
//   Other.   The actor is of none of the replicas' storages: it does not mint on top of what the
//            record says. Entries of a replica stay, those of its former epochs included: by these
//            it finds out that it has forgotten something.
//   Unused.  No sibling of the record was minted by the actor.
//   Held.    Every replica has proved to hold exactly this record, and nobody keeps anything that
//            was minted in their place. Not the one entry alone: a replica that knows all of an
//            actor's events may still hold a sibling of it, and lack the event, of whatever actor,
//            that supersedes it. Without the entry that sibling would come back.
//   Fenced.  Whatever was read before that, and is on its way, is refused where it has something
//            that is not known and not above the floor (fence.h).
//
// The first two are looked at here; a round of all members is about the others (docs/purge.md).
//
// Replicas need not do it at the same moment. Where one has and another has not, merging brings the
// entry back, which does no harm, and it can be taken out again; siblings stay exactly as they
// would have been. Clients may hold old contexts: these only supersede, and may bring an entry
// back, too.
#ifndef QUOIT_MODEL_RETIRE_H
#define QUOIT_MODEL_RETIRE_H

#include "model/record.h"

// Storage ids, in any order. Borrowed.
struct storage_set {
    const uint64_t *ids;
    uint32_t count;
};

// Whether the context has an entry of none of the replicas.
bool retire_has_other(const struct record *r, struct storage_set replicas);

// Whether there is one among these that is not used. A record without siblings has none.
bool retire_is_due(const struct record *r, struct storage_set replicas);

// Takes out all of that kind, and returns how many they were.
uint32_t retire_take(struct record *r, struct storage_set replicas);

#endif
