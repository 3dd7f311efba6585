// SPDX-License-Identifier: Apache-2.0
//
// nemesis.h -- whoever lets the cluster suffer.
//
// A run draws from its seed which kinds of trouble it has, and how much of each (swarm testing,
// Groce et al., ISSTA 2012: leaving kinds out finds more than having all at once). Trouble then
// comes at random times until the nemesis is called off; healing mends all that it did.
//
// Loss of synced bytes stays within the budget of oracle.h: it befalls one member at a time.
#ifndef QUOIT_SIM_NEMESIS_H
#define QUOIT_SIM_NEMESIS_H

#include "sim/cluster.h"

#define TROUBLE_MAP(X)                                                                             \
    X(KILL, "kill")           /* kill -9 of one member, restarted later */                         \
    X(POWER, "power")         /* power loss of one */                                              \
    X(POWER_ALL, "power-all") /* of all at once */                                                 \
    X(PAUSE, "pause")         /* SIGSTOP, later SIGCONT */                                         \
    X(ISOLATE, "isolate")     /* one member is cut off from all others, clients included */        \
    X(PARTIAL, "partial")     /* two members cannot reach each other, or one way only */           \
    X(HALVES, "halves")       /* a random split */                                                 \
    X(NETWORK, "network")     /* connections break, stall, split, swallow; long tails */           \
    X(SLOW_DISK, "slow-disk") /* requests that take far longer */                                  \
    X(BAD_DISK, "bad-disk")   /* writes and syncs that fail */                                     \
    X(FULL_DISK, "full-disk") /* no space, for a while */                                          \
    X(CLOCK, "clock")         /* clocks run wrong and jump, up to a year */                        \
    X(STOP, "stop")           /* an orderly stop, and a start */                                   \
    X(DAMAGE, "damage") /* bits of synced log flip, or its tail goes, while a member is down */    \
    X(WIPE, "wipe")     /* a member comes back with an empty disk; once mended, the next may */    \
    X(ROLLBACK, "rollback") /* with a copy of its own disk that was made a while ago */            \
    X(SWAP, "swap")         /* two members come back with each other's disk, for a while */        \
    X(CLONE, "clone")       /* a second process of a member runs with a copy of its disk */

enum trouble {
#define X(name, text) TROUBLE_##name,
    TROUBLE_MAP(X)
#undef X
        TROUBLE_COUNT
};

// Disks that are older than they should be, or of somebody else.
struct amnesia {
    struct rng rng;
    struct disk *copy;      // of the victim's disk, to come back to; or NULL
    bool is_swapped;        // the victim's disk and that of the member after it
    bool was_refused[2];    // ... as either of them found
    uint64_t clone_started; // 0: there is none
};

// An operator has asked that member to have another one replaced.
struct replace_order {
    struct nemesis *nemesis;
    struct replacement replacement;
    uint32_t member; // to be replaced
    uint32_t life;   // of who was asked
    bool is_needed;  // it has lost its disk
    bool is_asked;
};

// Disks that are lost, and who has them replaced (nemesis_replace.c).
struct replacing {
    struct rng rng;
    bool has_map[CLUSTER_MEMBERS_MAX];   // each, when it was last seen at work
    bool names_all[CLUSTER_MEMBERS_MAX]; // ... and the newcomer is in it
    struct disk *lost;                   // a copy of the first one, to turn up again; or NULL
    uint32_t lost_of;
    uint32_t patience;                    // of the operator: looks at a stranger, about
    uint64_t returned;                    // when it did, ns; 0: not yet
    uint64_t paused[CLUSTER_MEMBERS_MAX]; // when each was seen so last, ns; 0: never
    struct replace_order orders[CLUSTER_MEMBERS_MAX];
    uint64_t waited; // looks at a stranger that waits
    uint64_t done;
    uint64_t refused;
    uint64_t ousted; // the lost disk, when it turned up
};

struct nemesis {
    struct cluster *cluster;
    struct rng rng;
    bool has[TROUBLE_COUNT];
    uint64_t counts[TROUBLE_COUNT];
    uint64_t pause_ns;  // between two troubles, about
    uint64_t cut_until; // ns: no cut is mended before, but by nemesis_heal
    uint32_t victim;    // the only member that may lose synced bytes, at a time
    struct amnesia amnesia;
    struct replacing replacing;
    const char *complaint; // what must not be has been; or NULL
    bool is_over;
    bool is_quiet[CLUSTER_MEMBERS_MAX]; // somebody has taken charge of this member's return
};

// Bits of enum trouble; 0: what the seed draws. Sets the world's rates accordingly.
void nemesis_init(struct nemesis *nemesis, struct cluster *cluster, uint32_t troubles);
void nemesis_free(struct nemesis *nemesis);

// Whether this run may lose synced bytes; and from now on it may not. Before it starts.
bool nemesis_forgets(const struct nemesis *nemesis);
void nemesis_spare_bytes(struct nemesis *nemesis);

void nemesis_start(struct nemesis *nemesis);

// In a run with such trouble: this member's process is killed, or its power fails, and somebody
// starts it again. False: it is none, or the member is down already.
bool nemesis_strike(struct nemesis *nemesis, uint32_t member, bool by_power);

// In a run with such trouble: nothing that others say reaches this member, for a while. False: it
// is none.
bool nemesis_deafen(struct nemesis *nemesis, uint32_t member);

// Parts the network at random, for a while.
void nemesis_part(struct nemesis *nemesis);

// No more trouble: heals network and disks, resumes, restarts whoever is down or has failed.
void nemesis_heal(struct nemesis *nemesis);

// After healing: restarts whoever has gone down or failed since. To be called now and then.
void nemesis_attend(struct nemesis *nemesis);

// For nemesis.c, nemesis_amnesia.c and nemesis_replace.c.

static inline bool nemesis_is_down(const struct nemesis *n, uint32_t member) {
    return n->cluster->processes[member].state == PROCESS_DOWN;
}

// Kills the process, even one that is about to be started again, and has it started later.
void nemesis_end(struct nemesis *n, uint32_t member);

// Calls back with the nemesis later.
void nemesis_at(struct nemesis *n, uint64_t ns, void (*function)(void *nemesis));

void amnesia_start(struct nemesis *n);

// Gives back to everybody what is theirs.
void amnesia_end(struct nemesis *n);

void replace_start(struct nemesis *n);

// To be called every now and then: notes who has a map, as of all that are at work.
void replace_note_maps(struct nemesis *n);
void replace_end(struct nemesis *n);
void replace_free(struct nemesis *n);

// Whether all are whole, so that one may lose its disk; and it does. Requires that it is down.
bool replace_may_lose(const struct nemesis *n);
void replace_lose(struct nemesis *n, uint32_t member);

// Whether the member waits to be admitted, and is not, as its directory was damaged.
bool replace_is_unfit(const struct nemesis *n, uint32_t member);

// After healing, now and then: has replaced who waits for it.
void replace_attend(struct nemesis *n);

// Lends a constant word.
const char *trouble_name(enum trouble trouble);

// The trouble of that name, or TROUBLE_COUNT.
enum trouble trouble_find(struct slice name);

#endif
