// SPDX-License-Identifier: Apache-2.0
//
// fence.h -- what keeps a record that was purged from coming back.
//
// A tombstone may go once every replica holds it: then nothing older is stored anywhere. But
// something older may be on its way, in a message that is late, or be in a data directory that has
// forgotten: a copy from before, a disk with damage. So members purge in rounds, one for a group of
// slots at a time, and each keeps of its groups:
//
//     round   the last round that it knows of
//     agreed  the last that it has agreed to itself
//     purged  the last that was decided, as far as it knows
//     floor   the highest timestamp that a record of these rounds had
//     cleared the last round of all members, not only of those with copies, that it has agreed to,
//             or has learnt that it had
//     wide    the last such round that was decided, as far as it knows
//
// What a member sends of its records carries its round as of when it read them. A receiver that
// knows of a later one does not take what is not above the floor: the sender may have read it
// before the round. New records are above it, since whoever mints them goes by the floor, too.
//
// Who hears of a round that was decided and that he does not know of has forgotten it: all have to
// agree. He is behind, and gives way to those who remember.
//
// A round of all members is for records that a stand-in has minted something of (node/hints.h): who
// agrees to one holds nothing minted so that is not handed off. So what is older than that round,
// and comes as a hint, or is found in a data directory that has forgotten the round, is void.
//
// That a floor does is true because a write is later than all that it supersedes (node/mint.c):
// of that nothing is above the floor when its tombstone was purged.
#ifndef QUOIT_MODEL_FENCE_H
#define QUOIT_MODEL_FENCE_H

#include "model/record.h"

struct fence {
    uint32_t round; // 0: none yet
    uint32_t agreed;
    uint32_t purged;
    uint64_t floor; // timestamp
    uint32_t cleared;
    uint32_t wide;
    bool is_behind;     // gives way, for now: it has forgotten rounds, or its data was damaged
    bool has_forgotten; // it is the former
};

enum { FENCE_ENCODED_SIZE = 29, FENCES_ENCODED_SIZE = 9 + SLOT_GROUPS * FENCE_ENCODED_SIZE };

// Whoever claims more rounds than this invents them: there must always be a later one. So does who
// claims that one has missed so many: of a group they are those of years. A single word of a peer
// that has gone mad does not use up what there is.
#define FENCE_ROUND_MAX (UINT32_MAX / 2)
#define FENCE_LEAP_MAX (UINT32_C(1) << 24)

void fence_encode(const struct fence *f, struct writer *w);
void fence_decode(struct fence *f, struct reader *r);

// Those of all groups, as a member stores them: u8 version 2, then one after the other. ST_INVALID
// when the version is another one, ST_CORRUPT when they are not what they should be.
void fences_encode(const struct fence fences[SLOT_GROUPS], uint64_t clock_ms, struct writer *w);
NODISCARD enum status fences_decode(struct fence fences[SLOT_GROUPS], uint64_t *clock_ms,
                                    struct slice bytes);

// The same as one member tells another: a bit for each group, from the lowest on, of which there is
// something to tell, then the fences of these. Where nothing was purged yet that is little. Takes
// up to FENCES_TOLD_SIZE_MAX bytes. ST_CORRUPT: likewise.
enum { FENCES_TOLD_SIZE_MAX = SLOT_GROUPS / 8 + SLOT_GROUPS * FENCE_ENCODED_SIZE };
void fences_tell(const struct fence fences[SLOT_GROUPS], struct writer *w);
NODISCARD enum status fences_told(struct fence fences[SLOT_GROUPS], struct slice bytes);

// Whether there can be such a round, for all that is known here.
bool fence_believes(const struct fence *f, uint32_t round);

// Agrees to a round, in which records up to that timestamp go.
void fence_agree(struct fence *f, uint32_t round, uint64_t timestamp);

// Agrees to one of all members. It holds nothing that stand-ins minted.
void fence_clear(struct fence *f, uint32_t round);

// Takes over which round of all members another one knows to be decided; with it this one counts as
// having cleared it. True: this one has forgotten it.
bool fence_learn_wide(struct fence *f, uint32_t wide);

// Somebody knows of a round, that maybe came to nothing.
void fence_hear(struct fence *f, uint32_t round);

// Takes over what another member remembers: true if this one has forgotten it, and so is behind. A
// floor cannot be above that timestamp.
bool fence_learn(struct fence *f, const struct fence *known, uint64_t latest);

// Whether a record that was read in `round` may be merged into what is known.
bool fence_admits(const struct fence *f, uint32_t round, const struct record *told,
                  const struct context *known);

// Whether what is held here gives way to what a peer holds of the key (empty: nothing): this member
// is behind, and has something that the peer does not know, but nothing such above the floor.
bool fence_yields(const struct fence *f, const struct record *held, const struct record *told);

// Whether a record may be purged: nothing but tombstones, and values that have expired by then (ms
// since 1970), of which none is later than the timestamp.
bool fence_is_dead(const struct record *r, uint64_t latest, uint64_t expired_ms);

#endif
