// SPDX-License-Identifier: Apache-2.0
//
// engine_threads.h -- runs for engines whose calls block: a hand is a thread.
#ifndef QUOIT_BENCH_ENGINE_THREADS_H
#define QUOIT_BENCH_ENGINE_THREADS_H

#include "bench/engine.h"

#include <stddef.h>

// The calls of an engine. Each gives false when it failed.
struct threads_calls {
    // *value NULL: there is none. Otherwise to be freed with `free_value`.
    bool (*get)(struct slice key, char **value, size_t *size);
    void (*free_value)(void *value);
    bool (*put)(struct slice key, struct slice value);
    // Counts the keys that begin with the tag, and looks at their values.
    bool (*scan)(struct slice tag, uint64_t *found);
    void (*compact)(void);
};

void threads_run(const struct threads_calls *calls, struct run *run, struct tally *sum);

// Merges everything in a thread of its own.
void threads_compact(const struct threads_calls *calls);
bool threads_are_compacting(void);
void threads_rest(uint64_t ns);

// Waits for threads_compact.
void threads_end(void);

#endif
