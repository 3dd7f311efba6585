// SPDX-License-Identifier: Apache-2.0
//
// admission.h -- how much of what is asked for a process takes on, by how long it had to wait.
//
// A process with one thread has one queue: what arrives while it is busy with a turn is dealt with
// in the next one, and a turn is as long as what had arrived. When more is asked for than can be
// done, turns grow without end; at last whoever asks has given up before he is answered, asks
// again, and nothing is done for anybody, even when less would be asked for by then. So as the
// queue stands, some of what comes is refused at once, which is cheap, and the rest is in time.
//
// A queue that fills and empties is what queues are for. It stands when, over a whole window, the
// least wait was above the target (as in CoDel: Nichols, Jacobson: Controlling delay, 2012); then
// shedding begins. Of what arrived during a turn as much is taken on as would have arrived in the
// target's time: so turns do not grow, however much comes. They would be as many times the target
// as what is asked for is times what can be done; hence also a limit, less after each window over
// which the queue stood, more after each other one, until it limits nothing and shedding ends.
#ifndef QUOIT_MODEL_ADMISSION_H
#define QUOIT_MODEL_ADMISSION_H

#include <stdbool.h>
#include <stdint.h>

// Far less than clients wait before they give up, also where a request waits in three queues, one
// after the other; and more than a few thousand requests at once make, on a slow machine, too.
#define ADMISSION_TARGET_NS UINT64_C(25000000)
#define ADMISSION_WINDOW_NS UINT64_C(200000000)

enum { ADMISSION_ONE = 1 << 16, ADMISSION_LEAST = 1 << 6 }; // all of it, and what is always taken

struct admission {
    uint64_t target; // wait, ns
    bool is_shedding;
    uint64_t turn;     // when the last one began, ns
    uint64_t window;   // when the present window began, ns
    uint64_t least;    // wait in it, ns
    uint64_t standing; // the least wait in the window before, ns
    uint32_t limit;    // of ADMISSION_ONE, while shedding, like
    uint32_t share;    // taken on in this turn
    uint32_t credit;   // towards the next that is
};

void admission_init(struct admission *admission, uint64_t target);

// A turn begins, in which is dealt with what has waited for up to `late`. May be told again of the
// same one.
void admission_turn(struct admission *admission, uint64_t now, uint64_t late);

// Whether the next one is taken on; to be asked once for each.
bool admission_admits(struct admission *admission);

#endif
