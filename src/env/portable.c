// SPDX-License-Identifier: Apache-2.0
#include "env/portable.h"

#include "base/timer.h"
#include "env/portable_file.h"
#include "env/portable_socket.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

// Asking.

void portable_answer(struct portable *p, struct env_op *op, enum status status) {
    op->status = status;
    list_init(&op->link);
    list_append(&p->ready, &op->link);
}

struct errand {
    uv_work_t work;
    void (*function)(void *argument);
    void (*after)(void *argument);
    void *argument;
};

static void run_errand(uv_work_t *work) {
    struct errand *errand = CONTAINER_OF(work, struct errand, work);
    errand->function(errand->argument);
}

static void on_errand(uv_work_t *work, int status) {
    struct errand *errand = CONTAINER_OF(work, struct errand, work);
    must(status == 0); // it is never cancelled
    errand->after(errand->argument);
    free(errand);
}

void portable_run(struct portable *p, void (*function)(void *argument),
                  void (*after)(void *argument), void *argument) {
    struct errand *errand = malloc(sizeof(*errand));
    if (errand != NULL) {
        *errand = (struct errand){.function = function, .after = after, .argument = argument};
        if (uv_queue_work(&p->loop, &errand->work, run_errand, on_errand) == 0) return;
        free(errand);
    }
    function(argument); // slow, but done
    after(argument);
}

struct piece_of_work {
    struct portable *world;
    struct env_op *op;
    void (*function)(void *);
    void *argument;
};

static void run_work(void *argument) {
    struct piece_of_work *w = argument;
    w->function(w->argument);
}

static void on_work(void *argument) {
    struct piece_of_work *w = argument;
    portable_answer(w->world, w->op, ST_OK);
    free(w);
}

static void portable_work(struct env *env, struct env_op *op, void (*function)(void *),
                          void *argument) {
    struct portable *p = portable_of(env);
    op->kind = PORTABLE_WORK;
    op->size = 0;
    struct piece_of_work *w = malloc(sizeof(*w));
    if (w == NULL) {
        function(argument);
        portable_answer(p, op, ST_OK);
        return;
    }
    *w = (struct piece_of_work){p, op, function, argument};
    portable_run(p, run_work, on_work, w);
}

static void portable_later(struct env *env, struct env_op *op) {
    op->kind = PORTABLE_READY;
    op->status = ST_OK;
    op->size = 0;
    list_init(&op->link);
    list_append(&portable_of(env)->later, &op->link);
}

static void portable_log(struct env *env, enum env_level level, struct slice line) {
    shared_log(&portable_of(env)->options, env->wall_ms, level, line);
}

static const struct env_ops ops = {
    .open = portable_file_open,
    .allocate = portable_file_allocate,
    .read = portable_file_read,
    .read_direct = portable_file_read,
    .write = portable_file_write,
    .sync = portable_file_sync,
    .close = portable_file_close,
    .sync_names = portable_file_sync_names,
    .rename = portable_file_rename,
    .link = portable_file_link,
    .remove = portable_file_remove,
    .list = portable_file_list,
    .space = portable_file_space,
    .listen = portable_socket_listen,
    .accept = portable_socket_accept,
    .connect = portable_socket_connect,
    .recv = portable_socket_recv,
    .send = portable_socket_send,
    .shut = portable_socket_shut,
    .peer = portable_socket_peer,
    .later = portable_later,
    .work = portable_work,
    .log = portable_log,
};

// The turn.

static void on_timer(uv_timer_t *timer) {
    (void)timer; // the loop has woken, which is all
}

static void on_wake(uv_async_t *async) {
    (void)async;
}

// Lets libuv wait and take its notes.
static void run_loop(struct portable *p, uint64_t now, uint64_t deadline) {
    if (deadline <= now) {
        uv_run(&p->loop, UV_RUN_NOWAIT);
    } else if (deadline == TIMER_NEVER) {
        uv_run(&p->loop, UV_RUN_ONCE);
    } else {
        uv_update_time(&p->loop);
        uv_timer_start(&p->timer, on_timer, (deadline - now + NS_PER_MS - 1) / NS_PER_MS, 0);
        uv_run(&p->loop, UV_RUN_ONCE);
        uv_timer_stop(&p->timer);
    }
}

// Only what is there now: what a callback adds has its callback in the next turn.
static void run_ready(struct portable *p) {
    struct list now;
    shared_move_all(&p->ready, &now);
    while (!list_is_empty(&now)) {
        struct env_op *op = shared_first_of(&now);
        if (op->kind >= PORTABLE_ACCEPT) portable_socket_detach(p, op);
        op->done(op);
    }
}

void portable_wait(struct env *env, uint64_t deadline) {
    struct portable *p = portable_of(env);
    uint64_t due = portable_socket_expire(p);
    if (due < deadline) deadline = due;
    bool has_more = !list_is_empty(&p->ready) || !list_is_empty(&p->later);
    if (has_more) deadline = 0;
    uint64_t now = shared_clock();
    run_loop(p, now, deadline);
    shared_begin_turn(env, now, deadline);
    run_ready(p);
    shared_run_later(&p->later);
}

void portable_wake(struct env *env) {
    uv_async_send(&portable_of(env)->wake);
}

// Life.

struct env *portable_create(const struct env_options *options, struct env_complaint *complaint) {
    struct portable *p = calloc(1, sizeof(*p));
    if (p == NULL) {
        complain(complaint, "out of memory");
        return NULL;
    }
    signal(SIGPIPE, SIG_IGN); // libuv writes to broken streams with plain writes
    p->env = (struct env){.ops = &ops, .direct_unit = ENV_DIRECT_UNIT};
    p->options = *options;
    struct list *lists[] = {&p->ready,   &p->later,      &p->files,
                            &p->sockets, &p->connecting, &p->draining};
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) list_init(lists[i]);
    p->directory = -1;
    if (options->directory != NULL) {
        p->directory = shared_open_directory(options->directory, complaint);
    }
    if (options->directory == NULL || p->directory >= 0) {
        int result = uv_loop_init(&p->loop);
        if (result == 0) {
            uv_timer_init(&p->loop, &p->timer);
            result = uv_async_init(&p->loop, &p->wake, on_wake);
            if (result == 0) {
                shared_set_time(&p->env);
                return &p->env;
            }
            uv_loop_close(&p->loop);
        }
        complain(complaint, "libuv: %s", uv_strerror(result));
    }
    if (p->directory >= 0) close(p->directory);
    free(p);
    return NULL;
}

void portable_destroy(struct env *env) {
    struct portable *p = portable_of(env);
    portable_socket_destroy_all(p);
    uv_close((uv_handle_t *)&p->timer, NULL);
    uv_close((uv_handle_t *)&p->wake, NULL);
    // Until its threads are done with them, requests point into memory of our callers.
    uv_run(&p->loop, UV_RUN_DEFAULT);
    must(uv_loop_close(&p->loop) == 0);
    portable_file_destroy_all(p);
    if (p->directory >= 0) close(p->directory);
    free(p);
}
