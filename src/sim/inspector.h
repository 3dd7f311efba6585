// SPDX-License-Identifier: Apache-2.0
//
// inspector.h -- what is wrong with the files that a process has left behind.
//
// Looks at a copy of a machine's disk in a world of its own, so the run goes on as if nobody had
// looked: it may be asked after any crash, at any moment at which no process runs.
#ifndef QUOIT_SIM_INSPECTOR_H
#define QUOIT_SIM_INSPECTOR_H

#include "sim/world.h"
#include "store/check.h"

struct inspection {
    enum status status; // ST_OK: all was looked at
    struct check_counts counts;
    char first[300]; // finding that is not harmless, or ""

    check_found *found; // set by the caller to hear of all, or NULL
    void *context;
};

// Requires that the machine runs no process. `record_size_max` as that of the store.
void inspect(struct machine *machine, uint32_t record_size_max, struct inspection *inspection);

#endif
