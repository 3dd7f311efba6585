// SPDX-License-Identifier: Apache-2.0
//
// record.h -- what is stored under a key: concurrent values and the causal history they stand on.
//
// A record is a dotted version vector set (Almeida, Baquero, Goncalves, Preguica, Fonte: "Scalable
// and accurate causality tracking for eventually consistent stores", DAIS 2014):
//
//     record  = context + siblings
//     context = for each actor, how many of its events on this key are known: all up to a counter
//     sibling = dot (the one event that wrote it) + value or tombstone + timestamp + expiry
//
// A sibling is superseded by every record whose context covers its dot but which does not hold it.
// Merging keeps what neither side supersedes, so it is commutative, associative and idempotent, and
// replicas that have seen the same events hold equal records, byte for byte: the encoding is
// canonical.
//
// An actor is one life of one replica's data: the id made with its data directory and an epoch that
// is raised whenever the replica cannot prove that it forgot nothing. Only a replica that makes the
// record durable may mint a dot, and never shows it to anybody before.
//
// Timestamps decide nothing but which of several concurrent siblings a plain Redis command shows.
#ifndef QUOIT_MODEL_RECORD_H
#define QUOIT_MODEL_RECORD_H

#include "base/codec.h"
#include "base/limits.h"
#include "base/slice.h"
#include "base/status.h"

struct actor {
    uint64_t storage; // made at random with the data directory
    uint32_t epoch;   // from 1
};

// In a context: all events of the actor up to `counter`, from 1. As a dot: that event alone.
struct version {
    struct actor actor;
    uint64_t counter;
};

struct context {
    uint32_t count;
    struct version entries[CONTEXT_MAX]; // by actor, strictly ascending; no counter is 0
};

struct sibling {
    struct version dot;
    uint64_t timestamp;  // hybrid logical clock: ms since 1970 << 16 | counter within the ms
    uint64_t expires_ms; // ms since 1970, 0: never
    bool is_tombstone;   // has no value
    struct slice value;  // borrowed from wherever the record was decoded
};

// Large: 20 KiB. Decoding and merging touch only what is in use; do not clear or copy whole.
struct record {
    struct context context;
    uint32_t sibling_count;
    struct sibling siblings[SIBLINGS_MAX]; // by dot, strictly ascending
};

// Ascending order of actors: negative, 0 or positive.
int actor_compare(struct actor a, struct actor b);

static inline void context_clear(struct context *c) {
    c->count = 0;
}

// How many events of the actor the context knows.
uint64_t context_counter(const struct context *c, struct actor actor);

static inline bool context_covers(const struct context *c, struct version dot) {
    return context_counter(c, dot.actor) >= dot.counter;
}

// True when `a` knows every event that `b` knows.
bool context_descends(const struct context *a, const struct context *b);

// Adds to `c` all that the version or the other context knows. ST_TOO_LARGE, and no change, when
// that is more than CONTEXT_MAX actors.
NODISCARD enum status context_add(struct context *c, struct version version);
NODISCARD enum status context_join(struct context *c, const struct context *other);

// Copies only the entries in use.
void context_copy(struct context *to, const struct context *from);

void context_encode(const struct context *c, struct writer *w);
size_t context_encoded_size(const struct context *c);

// Reads a context in the middle of other things; failure sticks to the reader. Leaves an empty
// context then.
void context_decode(struct context *c, struct reader *r);

static inline void record_clear(struct record *r) {
    r->context.count = 0;
    r->sibling_count = 0;
}

// ST_CORRUPT unless the bytes are exactly one canonical record. An empty slice is the empty record.
// Values are lent from the bytes.
NODISCARD enum status record_decode(struct record *r, struct slice bytes);

// Bytes of the encoding. The empty record has none.
size_t record_encoded_size(const struct record *r);
void record_encode(const struct record *r, struct writer *w);

// out = a merged with b. `out` is neither of them; its values are lent from theirs. ST_TOO_LARGE
// when the result has more than CONTEXT_MAX actors or SIBLINGS_MAX siblings. The same dot with
// different content cannot arise from a correct history; the greater content is kept, so that all
// replicas at least agree, and *conflict (if not NULL) is set.
NODISCARD enum status record_merge(const struct record *a, const struct record *b,
                                   struct record *out, bool *conflict);

// out = a after a write by a client that had seen `seen`: siblings that `seen` covers go, the new
// one comes. Requires that the dot is newer than everything `a` knows of its actor.
// ST_TOO_LARGE as for record_merge, or when the siblings exceed SIBLINGS_SIZE_MAX together.
NODISCARD enum status record_update(const struct record *a, const struct context *seen,
                                    const struct sibling *written, struct record *out);

// The sibling a plain Redis command sees: the one with the highest timestamp, ties by dot; NULL
// when there is none, or it is a tombstone, or it expired at or before now_ms. Lends from `r`.
const struct sibling *record_visible(const struct record *r, uint64_t now_ms);

// Like record_visible, but a tombstone or expired sibling is returned too.
const struct sibling *record_latest(const struct record *r);

// A number for (key, context, dots, expiry) of an encoded record: equal records have equal digests,
// whatever the clock; the sum of digests over a partition compares it between replicas.
uint64_t record_digest(struct slice key, struct slice record);

#endif
