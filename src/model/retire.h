// SPDX-License-Identifier: Apache-2.0
//
// retire.h -- which entries of a context nobody needs any more.
//
// A context has one entry for every actor that ever wrote the key, and would grow for ever. An
// entry (actor, counter) does two things: it supersedes what replicas may still hold of that actor,
// and it stands under the siblings that the actor has minted. It can be taken out when there is
// nothing left of either:
//
//   Departed.  The actor's storage has left for good: it mints nothing more, and nobody will ever
//              believe it again. Entries of a storage that is live stay, those of its former epochs
//              included, and so do those of one of which nothing is known.
//   Stable.    Every replica of the partition has proved that it knows all that this record knows:
//              the record's whole context is covered by the least that any of them knows. Not the
//              one entry alone: a replica that knows all of an actor's events may still hold a
//              sibling of it, and lack the event, of whatever actor, that supersedes it. Without
//              the entry that sibling would come back. Who knows all events that this record knows
//              has dropped what they supersede.
//   Unused.    No sibling of the record was minted by the actor.
//
// Replicas need not do it at the same moment. Where one has and another has not, merging brings the
// entry back, which does no harm, and it can be taken out again; siblings stay exactly as they
// would have been.
//
// What the caller has to know besides: that no record from before the proof can come back from
// anywhere but a replica, be it a hint, a stream, a backup, an older copy of a disk, a log or a
// message on its way. Clients may hold old contexts: these only supersede, and may bring an entry
// back.
//
// Nobody calls this yet: members cannot depart before the map can change.
#ifndef QUOIT_MODEL_RETIRE_H
#define QUOIT_MODEL_RETIRE_H

#include "model/record.h"

// Storage ids, in any order. Borrowed.
struct storage_set {
    const uint64_t *ids;
    uint32_t count;
};

// Takes out of the record's context what can be taken out, and returns how many entries that were.
// `stable`: the least that any replica of the partition has proved to know of this key. A storage
// in both sets is live.
uint32_t retire_departed(struct record *r, struct storage_set live, struct storage_set departed,
                         const struct context *stable);

// stable = what both know: of each actor the lower counter. To be begun with one replica's context
// and gone through all of them.
void retire_meet(struct context *stable, const struct context *other);

#endif
