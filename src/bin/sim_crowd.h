// SPDX-License-Identifier: Apache-2.0
//
// sim_crowd.h -- very many nodes: what they are held to, and the figures printed.
#ifndef QUOIT_BIN_SIM_CROWD_H
#define QUOIT_BIN_SIM_CROWD_H

#include <stdbool.h>
#include <stdint.h>

// Runs a crowd and prints a line for each thing that was measured. `minutes`: how long it suffers.
// False: it does not hold what it is to hold, as a line says that begins with FAILED.
bool sim_crowd(uint32_t members, uint64_t seed, uint64_t minutes);

#endif
