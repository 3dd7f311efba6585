// SPDX-License-Identifier: Apache-2.0
//
// crowd.h -- very many nodes in one world: what it costs them to know of each other, and how well
// they do.
//
// The nodes are whole, with their stores, but nobody asks them for anything: what they do is
// membership, detection and comparing copies, at the default intervals. What is measured is
// simulated, so it is the same on every machine; how much memory and time the simulation takes is
// not.
#ifndef QUOIT_SIM_CROWD_H
#define QUOIT_SIM_CROWD_H

#include "node/node.h"
#include "sim/world.h"

struct crowd;

// Begins a world of 2 or more nodes, none of which has been started. NULL: more than there can be.
struct crowd *crowd_create(uint32_t members, uint64_t seed);
void crowd_destroy(struct crowd *crowd);

// Starts all and waits until each is up to each. False: not within `patience` ns of the world.
bool crowd_begin(struct crowd *crowd, uint64_t patience);

struct world *crowd_world(struct crowd *crowd);

// What a node has sent and received in a second, over `time` ns in which nothing happens; bytes.
struct crowd_traffic {
    uint64_t mean;
    uint64_t most_sent; // by any one
    uint64_t most_received;
};

struct crowd_traffic crowd_rest(struct crowd *crowd, uint64_t time);

// A member loses its power, or just its process. How long until that is known, ns: it is down to
// half of the others, to 99 of 100, to all. Then it is started again, and all are up to all. False:
// not within `patience`.
struct crowd_notice {
    uint64_t half;
    uint64_t nearly_all;
    uint64_t all;
};

bool crowd_lose(struct crowd *crowd, uint32_t member, bool is_power_loss, uint64_t patience,
                struct crowd_notice *notice);

// For so long, two of a hundred pieces of what is sent are lost at first and sent again up to 0.6 s
// later, with all behind them; and at any time one of a hundred nodes is stopped, for 1 to 5
// seconds. Looks at who takes whom to be down, all of the time.
struct crowd_trouble {
    uint64_t stops;
    uint64_t looks;   // at pairs of which the second was well, and had been for some seconds
    uint64_t accused; // of these: it was down to the first
    uint64_t doubted; // or not up
};

struct crowd_trouble crowd_suffer(struct crowd *crowd, uint64_t time);

#endif
