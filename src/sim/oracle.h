// SPDX-License-Identifier: Apache-2.0
//
// oracle.h -- what must hold, and the memory of what was done that it takes to tell.
//
// The oracle sees what no client can: each call with its begin and end, each dot as it is minted,
// and what every disk would still hold after a power loss. Fault budget: any number of crashes of
// any or all members, at any time; any partition; clocks that run wrong or jump; disks that forget
// what was not synced. One member of a run may also lose or damage synced bytes, another one after
// that when it has them back where they were lost as a whole, or be given an
// older copy of its disk, or a second process that runs with a copy (see oracle_may_judge). Within
// it:
//
//     O1  an OK at level W: at that instant W members hold the write durably
//     O2  no acknowledged write is lost: it is there at the end, or superseded by one that knew it
//         (but one at level ONE or SLOPPY, once a member has lost its bytes)
//     O3  siblings are exact: those that no other write knew, no more and no fewer
//     O4  nothing is invented: what is read was written to that key
//     O5  nothing that was deleted or overwritten comes back: O8 for what is read, O3 and O6 for
//         what is there at the end
//     O6  after healing all replicas of a key are equal, byte for byte
//     O8  reads see every write acknowledged before they began, where R + W > N, and never go back
//         in time, where both ask a majority; whatever the clocks and the coordinators
//     O12 a dot is minted once (a dot that a crash took before anybody knew of it does not count);
//         and nobody mints under an epoch of which he holds more than he has minted; and one member
//         mints for a write, once a round; nobody goes to work with the disk of another member
//     O14 after healing everything works again within a bound
//     O16 no limit is passed (must() in the code), O17 nothing is left open at an orderly end
//     O19 "certainly not done" is the truth
//     O21 all this whatever the clocks say: trouble `clock`; tools/check-clock says who may look
//     O22 a range shows keys of its tag, in order, from bound to bound, none twice; and O2, O4, O8
//         hold for each that it shows or leaves out
//     O23 snapshots: see keeper.h
//     O24 the files that a process leaves, however it ends, are whole (store/check.h); after an
//         orderly end there are none that nobody names, but for old segments of the log
//     O25 a walk by SCAN lists no key that never was; of a healed cluster, all that are there and
//         stay, each once, and none that is gone
//     O26 the context that a write answers covers, beyond what it was made with and its own dot,
//     only
//         what some other write has superseded: with it nobody replaces what he has not seen
//     O27 maps: see mapmaker.h
//     O30 who is up: see watcher.h
//     O31 what was purged is gone for good, whoever was away or has forgotten: no value that a
//         purged tombstone had superseded is read again, or is there at the end; nor one of those
//         that a record has known no more since an entry of its context was retired, all of which
//         were superseded; and whatever the clocks say, a write is not earlier than one that it
//         supersedes
//     O36 who has lost its disk is nobody until it is replaced: see nemesis_replace.c
//     O32 what tables hold is what the facts of the store say, whatever befell it (store/audit.c)
//     O33 a hint goes when the member it is for holds durably what was kept, not before
//     O37 members keep their numbers: see mapmaker.h
//     and never two clusters: whoever serves has the same map, or one of another epoch
#ifndef QUOIT_SIM_ORACLE_H
#define QUOIT_SIM_ORACLE_H

#include "sim/cluster.h"

enum { ORACLE_KEYS_MAX = 128, ORACLE_GUESTS_MAX = 64, ORACLE_WRITES_MAX = 1 << 16 };

#define ORACLE_NONE UINT32_MAX

enum outcome { OUTCOME_PENDING, OUTCOME_OK, OUTCOME_NOT_DONE, OUTCOME_UNKNOWN };

// How many replicas the reads and the writes of a connection ask for. 0: a sloppy quorum, of which
// no replica needs to be one.
struct oracle_needs {
    uint32_t read;
    uint32_t write;
};

struct oracle_write {
    uint32_t key;
    struct oracle_needs needs;
    uint64_t start;
    uint64_t end; // UINT64_MAX while pending or unknown
    enum outcome outcome;
    bool is_tombstone;
    uint32_t event; // its latest minted one, or ORACLE_NONE
    uint32_t dots;  // minted for it
    bool was_read;
};

// A minted dot, and what it supersedes.
struct oracle_event {
    uint32_t key;
    uint32_t write; // or ORACLE_NONE: a tombstone, of one of several
    struct version dot;
    uint64_t at; // when it was minted
    uint64_t timestamp;
    bool is_dead;       // a crash took it before anybody knew of it
    bool is_kept;       // it was durable before its member could end
    uint64_t purged_at; // when a purge first took it, or what superseded it; 0: never
    bool is_retired;    // that was so of the entry of a context that covered it
    uint32_t seen_count;
    struct version *seen;
};

// A read that ended, and the write it showed; both at a majority.
struct oracle_read {
    uint64_t end;
    uint64_t write_start;
};

struct oracle_key {
    char name[24];
    bool is_register; // written by plain SET and DEL only, read by plain GET
    bool is_forked;   // written under dots that a member had forgotten to have minted
    uint32_t *writes;
    uint32_t write_count;
    struct oracle_read *reads;
    uint32_t read_count;
};

// How often what an oracle looks for was really there to be looked at.
struct oracle_counts {
    uint64_t acks;           // O1, O2
    uint64_t durable_checks; // O1
    uint64_t deletes;        // O2, O19: tombstones of which it is known who wrote them
    uint64_t reads;          // O4, O8
    uint64_t pipelined;      // O8: reads behind a write of the same key, in one batch
    uint64_t ranges;         // O22
    uint64_t ranges_cut;     // O22: that ended before their bound
    uint64_t pages;          // O25
    uint64_t walks;          // O25: whole ones of a healed cluster
    uint64_t walked;         // O25: keys of these of which it is known whether they are there
    uint64_t contexts;       // O26
    uint64_t unseen;         // O26: siblings that such a context had to leave out
    uint64_t concurrent;     // O3: keys that ended with several siblings
    uint64_t converged;      // O6
    uint64_t dots;           // O12
    uint64_t dots_again;     // O12: minted again after a crash took the first
    uint64_t dots_forked;    // O12: minted by a member that could not know better yet
    uint64_t dots_outdone;   // O12: compared with what their member holds
    uint64_t refusals;       // O19
    uint64_t handed;         // O33: hints that went, every fourth is looked at
    uint64_t purged;         // O31: events
    uint64_t retired;        // O31: of these, such of entries that were retired
    uint64_t superseded;     // O31: events that a write had seen when it was minted
    uint64_t purged_reads;   // O31: of keys something of which was purged before
    uint64_t unknowns;
};

struct oracle {
    struct cluster *cluster; // set by the owner before the first member starts
    struct oracle_key keys[ORACLE_KEYS_MAX];
    uint32_t key_count;
    char guests[ORACLE_GUESTS_MAX][24]; // keys that somebody else judges
    uint32_t guest_count;
    struct oracle_write *writes;
    uint32_t write_count;
    struct oracle_event *events;
    uint32_t event_count;
    uint32_t event_capacity;
    struct oracle_counts counts;
    bool is_compressed; // values do not lie on disks as they are: no copies are counted for O1
    bool has_large;     // values of registers are some thousand bytes
    bool syncs_late;    // durability is an interval: no copies are counted for O1; power stays on
    uint64_t healed_at; // set by the owner when all trouble is over; UINT64_MAX: it is not
    bool has_failed;
    char failure[500]; // the first one: the oracle's number, and what it saw
};

void oracle_init(struct oracle *oracle);
void oracle_free(struct oracle *oracle);

// Notes a violation; the first one stays.
__attribute__((format(printf, 2, 3))) void oracle_fail(struct oracle *oracle, const char *format,
                                                       ...);

uint32_t oracle_add_key(struct oracle *oracle, const char *name, bool is_register);

// The key of that name, or ORACLE_NONE.
uint32_t oracle_find_key(const struct oracle *oracle, struct slice name);

// A write begins; its number is to be in its value, as oracle_value makes it.
uint32_t oracle_begin_write(struct oracle *oracle, uint32_t key, bool is_tombstone,
                            struct oracle_needs needs);
void oracle_end_write(struct oracle *oracle, uint32_t write, enum outcome outcome);

// Whether some member has lost bytes that were synced: a write at level ONE may have been there
// alone.
bool oracle_has_lost_bytes(const struct oracle *oracle);

// Replicas of a key: those of the map, once there is one.
uint32_t oracle_copies(const struct oracle *oracle);

// "w<number>." and a padding that follows from the number. Returns its size.
size_t oracle_value(const struct oracle *oracle, uint32_t write, char *to, size_t capacity);

// The write that made the value, or ORACLE_NONE, which is noted as a violation.
uint32_t oracle_writer(struct oracle *oracle, uint32_t key, struct slice value);

// A plain read of a register, that asked `need` replicas, ended with this value, or with none (data
// NULL). `before` is a write that was done, and stood before the read in one batch; or ORACLE_NONE.
void oracle_end_read(struct oracle *oracle, uint32_t key, uint64_t start, uint32_t before,
                     uint32_t need, struct slice value);

// The same of a key that is no register. Data NULL: that it has no value is an error only if a
// write was acknowledged and nobody ever began to delete it.
void oracle_end_look(struct oracle *oracle, uint32_t key, uint64_t start, uint32_t need,
                     struct slice value);

// A write that was made with the context `before` was done, and answered with `after`.
void oracle_end_context(struct oracle *oracle, uint32_t write, const struct context *before,
                        const struct context *after);

// False where nobody can tell what is right: of a key that a member has written without knowing
// that it had forgotten dots; and of what lies between the day on which a member was given an older
// copy of its disk and that on which all was healed, when it answers without knowing what it has
// forgotten.
bool oracle_may_judge(const struct oracle *oracle, uint32_t key, uint64_t from, uint64_t until);

// A dot was minted; a node_minted with the oracle as its context.
void oracle_on_minted(void *context, struct slice key, const struct sibling *written,
                      const struct context *seen);

// A record was purged; a node_purged with the oracle as its context.
void oracle_on_purged(void *context, struct slice key, struct slice record);

// Entries of its context were retired; a node_retired with the oracle as its context.
void oracle_on_retired(void *context, struct slice key, struct slice record, struct slice left);

// A hint was handed off; a node_handed with the oracle as its context.
void oracle_on_handed(void *context, uint32_t target, struct slice key, struct slice hint);

// True when all members serve under one map, see each other, hold the same in every slot and keep
// no hints any more.
bool oracle_is_converged(const struct oracle *oracle);

// At the end, after convergence: O2, O3, O6, and one cluster.
void oracle_check_end(struct oracle *oracle);

// At any time: whoever has a map has the same as others of its epoch.
void oracle_check_maps(struct oracle *oracle);

#endif
