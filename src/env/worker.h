// SPDX-License-Identifier: Apache-2.0
//
// worker.h -- one thread beside the loop, for functions that take long.
//
// Requests go in by a list under a mutex and come back the same way; `wake` tells the loop that
// some did. The thread starts with the first request.
#ifndef QUOIT_ENV_WORKER_H
#define QUOIT_ENV_WORKER_H

#include "env/env.h"

#include <pthread.h>

struct worker {
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t asked;
    struct list waiting;  // under the mutex
    struct list finished; // under the mutex
    bool is_stopping;     // under the mutex
    bool is_started;
    void (*wake)(void *context); // called on the thread
    void *context;
};

void worker_init(struct worker *worker, void (*wake)(void *context), void *context);

// Runs function(argument). False when no thread could be started; then op was not taken.
bool worker_run(struct worker *worker, struct env_op *op, void (*function)(void *), void *argument);

// Moves what has finished to the end of `list`.
void worker_collect(struct worker *worker, struct list *list);

// Waits for the function that is running; those that wait are forgotten.
void worker_destroy(struct worker *worker);

#endif
