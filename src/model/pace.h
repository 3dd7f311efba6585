// SPDX-License-Identifier: Apache-2.0
//
// pace.h -- what share of its own speed background work has, by how long clients have to wait.
//
// Merges, handing off, repairs, purging and the audit each know how fast they may go by themselves.
// Together they share a disk and a core with those who ask for something now. So a controller is
// told how long these waited, for the disk and in the queue of the process, and whoever works in
// the background asks it, after each piece of work, how long to rest beside what he rests anyway.
//
//     waits --> mean of a window --> above what is usual? --> share --> rests
//                                          ^                             |
//                                          +--- learnt while little works
//
// When the mean of a window is above twice what is usual, and some more, the share is halved, down
// to a floor; after any other window it rises by a step, also when nobody asks for anything. What
// is usual is what clients wait while little is done in the background: when nobody works, or when
// the share has come to its floor. If they wait as long there, it is not for the background, and
// resting more would help nobody: so a disk that is slow by itself does not hold the rest up.
//
// Who puts work off has a debt. It is given in hundredths of what may be; the share is never less
// than that. So debts stay bounded, whatever clients ask for.
#ifndef QUOIT_MODEL_PACE_H
#define QUOIT_MODEL_PACE_H

#include <stdbool.h>
#include <stdint.h>

#define PACE_WINDOW_NS UINT64_C(500000000)
#define PACE_LEAST_NS UINT64_C(5000000)       // to wait no longer than this is good enough
#define PACE_REST_MAX_NS UINT64_C(5000000000) // what was slow once says little about the next time

enum {
    PACE_WHOLE = 256, // shares are in parts of this
    PACE_FLOOR = 16,
    PACE_STEP = 16,
    PACE_DEBT_MOST = 100,
};

enum pace_worker {
    PACE_MERGES,
    PACE_HANDOFF,
    PACE_REPAIR,
    PACE_PURGE,
    PACE_AUDIT,
    PACE_WORKERS,
};

// What who asks for something waits for: his turn, and the store, where memory alone has no answer.
enum pace_wait { PACE_QUEUE, PACE_DISK, PACE_WAITS };

struct pace_gauge {
    uint64_t sum; // in the window, ns
    uint64_t count;
    uint64_t usual; // ns; 0: not known yet
};

struct pace {
    struct pace_gauge gauges[PACE_WAITS];
    uint32_t share;
    uint64_t window;               // when it began, ns
    uint64_t busy;                 // what workers worked and rested in it, ns
    uint64_t rested[PACE_WORKERS]; // given out since the start, ns
};

void pace_init(struct pace *pace, uint64_t now);

// Somebody who asked for something has waited so long.
static inline void pace_note(struct pace *pace, enum pace_wait wait, uint64_t ns) {
    pace->gauges[wait].sum += ns;
    pace->gauges[wait].count++;
}

// How long a worker is to rest, now that a piece of work with what it rests for it by itself took,
// or will take, so long. `debt`: up to PACE_DEBT_MOST.
uint64_t pace_rest(struct pace *pace, enum pace_worker worker, uint64_t now, uint64_t took,
                   uint64_t debt);

// The share that a worker without debt has now.
uint32_t pace_share(const struct pace *pace, uint64_t now);

#endif
