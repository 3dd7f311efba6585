// SPDX-License-Identifier: Apache-2.0
//
// lock.h -- what keeps commands that read, decide and write apart, where one member holds every
// key.
//
// Two kinds of holders: writes that do not look share a lock, commands that read before they write
// have it alone. Keys are spread over a fixed number of locks; two that meet in one wait for each
// other without need, which only costs time. Who comes first gets it first, so nobody starves.
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
    struct list waiters; // first come first
};

struct locks {
    struct lock all[LOCKS];
    struct list granted; // holders that are to go on at the end of the turn
};

// In a step: what it holds or waits for.
struct lock_hold {
    enum lock_mode mode;
    bool is_waiting;
    uint16_t index;   // of the lock
    step_done *go;    // when it is granted
    struct list link; // among the waiters or the granted
};

void locks_init(struct locks *locks);
void lock_hold_init(struct lock_hold *hold);

// True: the step has the lock of the key now, or needs none. False: `go` is called when it has.
bool lock_take(struct step *step, struct slice key, enum lock_mode mode, step_done *go);

// Does nothing for a step that holds none.
void lock_release(struct step *step);

// Lets those go on whose turn has come. True when there were any.
bool locks_go_on(struct server *server);

#endif
