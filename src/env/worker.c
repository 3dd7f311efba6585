// SPDX-License-Identifier: Apache-2.0
#include "env/worker.h"

#include <signal.h>

typedef void job(void *argument);

// A pointer to a function does not fit a void * in standard C; its bytes do.
static_assert(sizeof(job *) == sizeof(void *), "a job is kept in env_op.private");

void worker_init(struct worker *worker, void (*wake)(void *context), void *context) {
    *worker = (struct worker){.wake = wake, .context = context};
    list_init(&worker->waiting);
    list_init(&worker->finished);
    pthread_mutex_init(&worker->mutex, NULL);
    pthread_cond_init(&worker->asked, NULL);
}

static void *run(void *argument) {
    struct worker *worker = argument;
    pthread_mutex_lock(&worker->mutex);
    for (;;) {
        while (list_is_empty(&worker->waiting) && !worker->is_stopping) {
            pthread_cond_wait(&worker->asked, &worker->mutex);
        }
        if (worker->is_stopping) break;
        struct env_op *op = CONTAINER_OF(worker->waiting.next, struct env_op, link);
        list_remove(&op->link);
        pthread_mutex_unlock(&worker->mutex);
        job *function;
        memcpy(&function, &op->private[0], sizeof(job *));
        function(op->private[1]);
        pthread_mutex_lock(&worker->mutex);
        list_append(&worker->finished, &op->link);
        worker->wake(worker->context);
    }
    pthread_mutex_unlock(&worker->mutex);
    return NULL;
}

// Signals are for the thread of the loop, which they wake.
static bool start(struct worker *worker) {
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    worker->is_started = pthread_create(&worker->thread, NULL, run, worker) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return worker->is_started;
}

bool worker_run(struct worker *worker, struct env_op *op, void (*function)(void *),
                void *argument) {
    if (!worker->is_started && !start(worker)) return false;
    memcpy(&op->private[0], &function, sizeof(job *));
    op->private[1] = argument;
    list_init(&op->link);
    pthread_mutex_lock(&worker->mutex);
    list_append(&worker->waiting, &op->link);
    pthread_cond_signal(&worker->asked);
    pthread_mutex_unlock(&worker->mutex);
    return true;
}

void worker_collect(struct worker *worker, struct list *list) {
    pthread_mutex_lock(&worker->mutex);
    while (!list_is_empty(&worker->finished)) {
        struct list *link = worker->finished.next;
        list_remove(link);
        list_append(list, link);
    }
    pthread_mutex_unlock(&worker->mutex);
}

void worker_destroy(struct worker *worker) {
    if (worker->is_started) {
        pthread_mutex_lock(&worker->mutex);
        worker->is_stopping = true;
        pthread_cond_signal(&worker->asked);
        pthread_mutex_unlock(&worker->mutex);
        pthread_join(worker->thread, NULL);
    }
    pthread_cond_destroy(&worker->asked);
    pthread_mutex_destroy(&worker->mutex);
}
