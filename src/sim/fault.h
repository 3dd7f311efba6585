// SPDX-License-Identifier: Apache-2.0
//
// fault.h -- everything that can go wrong in the simulated world, how often, and how often it did.
//
// Each kind of fault draws from a stream of random numbers of its own, and each machine has its own
// set of streams. Turning one kind off, or taking one machine out, therefore leaves the draws of
// all others as they were, and a failing run can be made smaller one fault at a time.
//
// Chances are ratios of integers. Kinds that say "act" happen when somebody calls the function that
// does them, or follow from it; their rate is not looked at, but they are counted like the rest.
#ifndef QUOIT_SIM_FAULT_H
#define QUOIT_SIM_FAULT_H

#include "base/rng.h"

#include <stdbool.h>
#include <stdint.h>

#define FAULT_MAP(X)                                                                               \
    X(DISK_SLOW, "disk-slow")               /* per request: far longer than usual */               \
    X(DISK_READ_ERROR, "disk-read-error")   /* per read: ST_IO, once */                            \
    X(DISK_WRITE_ERROR, "disk-write-error") /* per write, rename: ST_IO, perhaps half done */      \
    X(DISK_SYNC_ERROR, "disk-sync-error")   /* per sync, of names too: ST_IO, all forgotten */     \
    X(DISK_EVICTION, "disk-eviction")       /* act: a forgotten write vanished from the cache */   \
    X(DISK_ROT, "disk-rot")                 /* per read: a bit of what is stored there flips */    \
    X(DISK_MISDIRECT, "disk-misdirect")     /* per write: lands at another place */                \
    X(DISK_PHANTOM, "disk-phantom")         /* per write: never reaches the disk, says OK */       \
    X(DISK_FULL, "disk-full")               /* per growth: ST_NO_SPACE, or for want of quota */    \
    X(DISK_CUT, "disk-cut")                 /* act: the tail of a file is gone */                  \
    X(DISK_WIPE, "disk-wipe")               /* act: emptied, or replaced by another image */       \
    X(DESCRIPTORS, "descriptors")           /* per open and accept: ST_BUSY */                     \
    X(LOST_WRITE, "lost-write")             /* act: power loss took an unsynced write */           \
    X(TORN_WRITE, "torn-write")             /* act: power loss kept a part of one */               \
    X(GARBAGE, "garbage")                   /* act: power loss left nonsense in a sector */        \
    X(LOST_NAME, "lost-name")               /* act: power loss undid a create, rename, link.. */   \
    X(KILL, "kill")                         /* act */                                              \
    X(POWER_LOSS, "power-loss")             /* act */                                              \
    X(PAUSE, "pause")                       /* act */                                              \
    X(CLOCK_DRIFT, "clock-drift")           /* act */                                              \
    X(CLOCK_STEP, "clock-step")             /* act */                                              \
    X(NET_TAIL, "net-tail")                 /* per piece: a hundred times the usual delay */       \
    X(NET_STALL, "net-stall")               /* per piece: up to stall_max_ns more */               \
    X(NET_SPLIT, "net-split")               /* per send: arrives in several pieces */              \
    X(NET_FLIP, "net-flip")                 /* per byte: a bit flips, past every checksum of IP */ \
    X(NET_RESET, "net-reset")               /* per send: the connection breaks in the middle */    \
    X(NET_HOLE, "net-hole")                 /* per send: the connection swallows all from here */  \
    X(NET_REFUSED, "net-refused")           /* per connect: refused though somebody listens */     \
    X(NET_CUT, "net-cut")                   /* act: a piece or a connect met a partition */        \
    X(NET_TIMEOUT, "net-timeout")           /* act: a connection was given up */                   \
    X(NET_PRESSURE, "net-pressure")         /* act: a send had to wait for the window */           \
    X(DISK_BAD_SECTOR, "disk-bad-sector")   /* act: reads of a sector give ST_IO */

enum fault {
#define X(name, text) FAULT_##name,
    FAULT_MAP(X)
#undef X
        FAULT_COUNT
};

// A rate of FAULT_CERTAIN happens always.
enum { FAULT_CERTAIN = 1000000000 };

struct dice {
    struct rng streams[FAULT_COUNT];
    uint64_t spared;               // bit i set: fault i never happens here
    uint32_t planned[FAULT_COUNT]; // rolls until it happens whatever its rate; 0: not planned
    const uint32_t *rates;         // borrowed for the life of the dice: chances in FAULT_CERTAIN
    uint64_t *counts;              // borrowed likewise
};

// A stream of random numbers for one purpose of one owner in the run of a seed.
struct rng fault_stream(uint64_t seed, uint32_t purpose, uint32_t owner);

// Borrows `rates` and `counts` (FAULT_COUNT each) for the life of the dice.
void dice_init(struct dice *dice, uint64_t seed, uint32_t owner, const uint32_t *rates,
               uint64_t *counts);

// Whether this fault happens now; counts it when it does.
bool dice_roll(struct dice *dice, enum fault fault);

// The same for something done `times` times at once, where the rate is small.
bool dice_roll_many(struct dice *dice, enum fault fault, uint32_t times);

// Makes the fault happen at the `rolls`-th time that it is rolled for from now on, and counts it; 0
// takes that back.
void dice_plan(struct dice *dice, enum fault fault, uint32_t rolls);

// Notes that a fault happened.
void dice_count(struct dice *dice, enum fault fault);

// The stream of one kind, for drawing where and how much.
static inline struct rng *dice_stream(struct dice *dice, enum fault fault) {
    return &dice->streams[fault];
}

// Lends a constant word.
const char *fault_name(enum fault fault);

// A number in [low, high], every order of magnitude as likely as the others.
uint64_t rng_spread(struct rng *rng, uint64_t low, uint64_t high);

// A delay around `typical`: mostly between half and the whole of it, sometimes up to 32 times.
uint64_t rng_delay(struct rng *rng, uint64_t typical);

#endif
