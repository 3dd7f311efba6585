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
// Only a replica that makes the record durable may mint a dot, and never shows it to anybody
// before. So a dot stands for one content. Where it does not, because two processes worked with
// copies of one data directory, all contents are kept, as siblings of the same dot, until a write
// supersedes the dot. Of each dot a record knows one of these, and merging takes the greater:
//
//     nothing  <  a set of contents, of two the union  <  superseded
//
// Timestamps decide nothing but which of several concurrent siblings a plain Redis command shows.
#ifndef QUOIT_MODEL_RECORD_H
#define QUOIT_MODEL_RECORD_H

#include "model/context.h"

struct sibling {
    struct version dot;
    uint64_t timestamp;  // hybrid logical clock: ms since 1970 << 16 | counter within the ms
    uint64_t expires_ms; // ms since 1970, 0: never
    bool is_tombstone;   // has no value and does not expire
    struct slice value;  // borrowed from wherever the record was decoded
};

// Large: 22 KiB. Decoding and merging touch only what is in use; do not clear or copy whole.
struct record {
    struct context context;
    uint32_t sibling_count;
    struct sibling siblings[SIBLINGS_MAX]; // by dot, then content, strictly ascending
};

static inline void record_clear(struct record *r) {
    r->context.count = 0;
    r->sibling_count = 0;
}

// ST_CORRUPT unless the bytes are exactly one canonical record. An empty slice is the empty record.
// Values are lent from the bytes. Leaves an empty record on failure.
NODISCARD enum status record_decode(struct record *r, struct slice bytes);

// Bytes of the encoding. The empty record has none.
size_t record_encoded_size(const struct record *r);
void record_encode(const struct record *r, struct writer *w);

// out = a merged with b. `out` is neither of them; its values are lent from theirs. An empty `out`,
// and ST_HISTORY_FULL when the result has more than CONTEXT_MAX actors, or ST_TOO_LARGE when it has
// more than SIBLINGS_MAX siblings. *conflict (if not NULL): one dot is there with different
// contents, and one of the two did not have them all.
NODISCARD enum status record_merge(const struct record *a, const struct record *b,
                                   struct record *out, bool *conflict);

// out = a after a write by a client that had seen `seen`: siblings that `seen` covers go, the new
// one comes. `out` is not `a`; its values are lent from a's and from `written`. Requires that the
// dot is newer than everything `a` knows of its actor. On failure `out` is empty:
// - ST_INVALID when `seen` covers the dot, so somebody saw events that this actor does not remember
//   and might mint again: it must not go on under this epoch;
// - ST_HISTORY_FULL as for record_merge;
// - ST_TOO_LARGE when the value exceeds VALUE_SIZE_MAX, and when the write leaves more than
//   SIBLINGS_WRITE_MAX siblings, or several of more than SIBLINGS_SIZE_MAX bytes together, and
//   there were fewer before. So a single one may always stand alone, and what merging has made
//   large can be made smaller step by step.
NODISCARD enum status record_update(const struct record *a, const struct context *seen,
                                    const struct sibling *written, struct record *out);

// out = what a client knows that had seen `seen` and wrote the sibling `own` of `r`: all that r
// knows, less the siblings it has not seen. So a later write with it replaces no value of others.
// It covers `own` unless r holds an older sibling of the same actor that was not seen, or another
// one of the same dot: a context knows events of an actor up to a counter, or not at all.
void record_context_of_writer(const struct record *r, const struct context *seen,
                              struct version own, struct context *out);

// The siblings that one member has minted, under any epoch of its storage. Nowhere are there live
// ones that it does not hold itself: if each of N replicas keeps its own within an N-th of what a
// record can hold, all that they can ever merge fits.
struct record_share {
    uint32_t sibling_count;
    size_t values_size;
};

struct record_share record_share_of(const struct record *r, uint64_t storage);

// The sibling a plain Redis command sees: the one with the highest timestamp, ties by order; NULL
// when there is none, or it is a tombstone, or it expired at or before now_ms. Lends from `r`.
const struct sibling *record_visible(const struct record *r, uint64_t now_ms);

// Whether there is a value, even one that has expired.
bool record_has_value(const struct record *r);

// Like record_visible, but a tombstone or expired sibling is returned too.
const struct sibling *record_latest(const struct record *r);

// A number for a key and its encoded record, all but the bytes of the values: those are decided by
// their dots, or where one dot has two contents mostly by their times and sizes. Equal records have
// equal digests, whatever the clock; the sum of digests over a partition compares it between
// replicas. Bytes that are no record have some digest too.
uint64_t record_digest(struct slice key, struct slice record);

#endif
