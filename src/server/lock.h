// SPDX-License-Identifier: Apache-2.0
//
// lock.h -- what keeps commands that read, decide and write apart, where one member holds every
// key.
//
// Two kinds of holders: writes that do not look share a lock, commands that read before they write
// have it alone. Keys are spread over a fixed number of locks; two that meet in one wait for each
// other without need, which only costs time. Who comes first gets it first, so nobody starves.
//
// A command of several keys has all of their locks before it begins. It takes them one after the
// other, in the order of their numbers, and waits for each as others do. So two can never wait for
// each other: who waits for a lock has none with a higher number, and the one that waits for the
// highest waits for somebody who has all it needs. Whoever holds a lock for a single write waits
// for no other meanwhile. Reads take no locks, but where such a command changes several keys they
// wait until it has: who reads one key, and then another, does not see the second as it was before.
//
// EXEC has the locks of all keys that its commands name, in the same way, and they take none.
//
// Where there are several members a lock here would prove nothing: there all of this does nothing.
#ifndef QUOIT_SERVER_LOCK_H
#define QUOIT_SERVER_LOCK_H

#include "base/list.h"
#include "base/slice.h"

#include <stdint.h>

struct server;
struct step;
typedef void step_done(struct step *step);

enum { LOCKS = 256 };

enum lock_mode { LOCK_NONE, LOCK_SHARED, LOCK_ALONE };

struct lock {
    uint32_t holders;    // that share it, or the one that has it alone
    uint32_t granted;    // those of them that have not yet gone on
    bool is_alone;       // held by one alone
    bool is_closed;      // by one that changes several keys: reads wait, too
    struct list waiters; // first come first
};

struct locks {
    struct lock all[LOCKS];
    struct list granted; // holders that are to go on at the end of the turn
    uint32_t closed;     // locks that are
};

// In a step: what it holds or waits for.
struct lock_hold {
    enum lock_mode mode;
    bool is_waiting;
    bool closes;      // what it holds
    uint16_t index;   // of the lock that it waits for, or came to hold last
    step_done *go;    // when all are granted
    struct list link; // among the waiters or the granted

    // A bit for each lock that is held alone, or is to be: those up to `index` are. Who shares a
    // lock has none here: it holds that of `index`.
    uint64_t wanted[LOCKS / 64];
};

void locks_init(struct locks *locks);
void lock_hold_init(struct lock_hold *hold);

// True: the step has the lock of the key now, shared, or needs none. False: `go` is called when it
// has.
bool lock_share(struct step *step, struct slice key, step_done *go);

// Likewise for the locks of all keys of the step's command, each alone.
bool lock_all_keys(struct step *step, step_done *go);

// Notes that the lock of the key is wanted: sets its bit.
void lock_note(uint64_t wanted[LOCKS / 64], struct slice key);

// Like lock_all_keys, for the locks that were noted; reads wait for them, too.
bool lock_noted(struct step *step, const uint64_t wanted[LOCKS / 64], step_done *go);

// True: a read of the key has to wait, or hold its lock.
bool lock_is_closed(const struct step *step, struct slice key);

// Gives back all that the step holds; does nothing for one that holds none. Requires that it does
// not wait.
void lock_release(struct step *step);

// Lets those go on whose turn has come. True when there were any.
bool locks_go_on(struct server *server);

#endif
