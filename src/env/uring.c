// SPDX-License-Identifier: Apache-2.0
#include "env/uring.h"

#include "base/timer.h"
#include "env/uring_file.h"
#include "env/uring_socket.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
    // Kernel threads for files at a time: enough to keep a disk busy beside a sync.
    FILE_THREADS_MAX = 8,
};

static const uint64_t connect_ns = 5 * NS_PER_SECOND;

// How long the end of a world waits for what it withdrew.
static const uint64_t destroy_ns = 5 * NS_PER_SECOND;

// Asking.

static void prepare(struct uring *u, struct env_op *op, struct io_uring_sqe *sqe) {
    if (op->kind >= URING_ACCEPT) {
        uring_socket_prepare(u, op, sqe);
    } else if (op->kind == URING_WAKE) {
        io_uring_prep_poll_add(sqe, u->wake_fd, POLLIN);
    } else {
        uring_file_prepare(u, op, sqe);
    }
    io_uring_sqe_set_data(sqe, op);
}

// A place in the submission queue, with others behind it when need be; NULL when the kernel cannot
// take what is in it now.
static struct io_uring_sqe *take_submission(struct uring *u, uint32_t count) {
    if (io_uring_sq_space_left(&u->ring) < count) io_uring_submit(&u->ring);
    if (io_uring_sq_space_left(&u->ring) < count) return NULL;
    return io_uring_get_sqe(&u->ring);
}

void uring_ask_again(struct uring *u, struct env_op *op) {
    struct io_uring_sqe *sqe = take_submission(u, uring_socket_submissions(op->kind));
    if (sqe == NULL) {
        list_append(&u->starved, &op->link);
        return;
    }
    u->under_way++;
    prepare(u, op, sqe);
}

void uring_ask(struct uring *u, struct env_op *op, enum uring_kind kind) {
    op->kind = kind;
    op->size = 0;
    list_init(&op->link);
    uring_ask_again(u, op);
}

void uring_answer(struct uring *u, struct env_op *op, enum status status) {
    op->kind = URING_READY;
    op->status = status;
    op->size = 0;
    list_init(&op->link);
    list_append(&u->ready, &op->link);
}

void uring_delay(struct uring *u, struct env_op *op, enum uring_kind kind, uint64_t until) {
    op->kind = kind;
    op->size = 0;
    op->ready_at = until;
    list_init(&op->link);
    struct list *after = u->delayed.next;
    while (after != &u->delayed && CONTAINER_OF(after, struct env_op, link)->ready_at <= until) {
        after = after->next;
    }
    list_append(after, &op->link); // before the first that is due after it
}

bool uring_cancel(struct uring *u, struct env_op *op) {
    struct io_uring_sqe *sqe = take_submission(u, 1);
    if (sqe == NULL) return false;
    io_uring_prep_cancel(sqe, op, 0);
    io_uring_sqe_set_data(sqe, NULL);
    return true;
}

static void uring_later(struct env *env, struct env_op *op) {
    op->kind = URING_READY;
    op->status = ST_OK;
    op->size = 0;
    list_init(&op->link);
    list_append(&uring_of(env)->later, &op->link);
}

static void uring_work(struct env *env, struct env_op *op, void (*function)(void *),
                       void *argument) {
    struct uring *u = uring_of(env);
    op->kind = URING_WORK;
    op->size = 0;
    op->status = ST_OK;
    if (worker_run(&u->work, op, function, argument)) return;
    function(argument); // slow, but done
    uring_answer(u, op, ST_OK);
}

static void uring_log(struct env *env, enum env_level level, struct slice line) {
    shared_log(&uring_of(env)->options, env->wall_ms, level, line);
}

static const struct env_ops ops = {
    .open = uring_file_open,
    .allocate = uring_file_allocate,
    .read = uring_file_read,
    .read_direct = uring_file_read_direct,
    .write = uring_file_write,
    .sync = uring_file_sync,
    .close = uring_file_close,
    .sync_names = uring_file_sync_names,
    .rename = uring_file_rename,
    .link = uring_file_link,
    .remove = uring_file_remove,
    .list = uring_file_list,
    .space = uring_file_space,
    .listen = uring_socket_listen,
    .accept = uring_socket_accept,
    .connect = uring_socket_connect,
    .recv = uring_socket_recv,
    .send = uring_socket_send,
    .shut = uring_socket_shut,
    .peer = uring_socket_peer,
    .later = uring_later,
    .work = uring_work,
    .log = uring_log,
};

// The turn.

static void on_wake(struct uring *u) {
    if (u->is_ending) return;
    uint64_t count;
    ssize_t size = read(u->wake_fd, &count, sizeof(count)); // empties it; does not block
    (void)size;
    worker_collect(&u->work, &u->ready);
    worker_collect(&u->names, &u->ready);
    uring_ask(u, &u->wake, URING_WAKE);
}

// True when the request is to be called back.
static bool finish(struct uring *u, struct env_op *op, int result, uint32_t flags) {
    if (op->kind >= URING_ACCEPT) return uring_socket_finish(u, op, result, flags);
    if (op->kind == URING_WAKE) {
        on_wake(u);
        return false;
    }
    return uring_file_finish(u, op, result);
}

// Takes all answers of the kernel that are there.
static void run_completions(struct uring *u, bool calls_back) {
    struct io_uring_cqe *cqe;
    unsigned head;
    unsigned count = 0;
    io_uring_for_each_cqe(&u->ring, head, cqe) {
        struct env_op *op = io_uring_cqe_get_data(cqe);
        int result = cqe->res;
        uint32_t flags = cqe->flags;
        // Free places as we go: callbacks may submit, and the answers to that need room.
        if (++count == 64) {
            io_uring_cq_advance(&u->ring, count);
            count = 0;
        }
        if (op == NULL) continue; // of a cancellation or a time-out
        u->under_way--;
        if (finish(u, op, result, flags) && calls_back) op->done(op);
    }
    io_uring_cq_advance(&u->ring, count);
}

// Only what is there now: what a callback adds has its callback in the next turn.
static void run_ready(struct uring *u) {
    struct list now;
    shared_move_all(&u->ready, &now);
    while (!list_is_empty(&now)) {
        struct env_op *op = shared_first_of(&now);
        if (op->kind != URING_LOOK_UP || uring_socket_looked_up(u, op)) op->done(op);
    }
}

// Asks for what is due to be asked for; gives when more will be.
static uint64_t run_delayed(struct uring *u) {
    while (!list_is_empty(&u->delayed)) {
        struct env_op *op = CONTAINER_OF(u->delayed.next, struct env_op, link);
        if (op->ready_at > u->env.now) return op->ready_at;
        list_remove(&op->link);
        uring_ask_again(u, op);
    }
    return TIMER_NEVER;
}

static void ask_starved(struct uring *u) {
    struct list now;
    shared_move_all(&u->starved, &now);
    while (!list_is_empty(&now)) uring_ask_again(u, shared_first_of(&now));
}

// The one system call of a turn.
static void enter(struct uring *u, uint64_t now, uint64_t deadline) {
    struct io_uring_cqe *cqe;
    int result;
    if (deadline == TIMER_NEVER) {
        result = io_uring_submit_and_wait(&u->ring, 1);
    } else if (deadline <= now) {
        result = io_uring_submit_and_get_events(&u->ring);
    } else {
        uint64_t left = deadline - now;
        struct __kernel_timespec timeout = {
            .tv_sec = (long long)(left / NS_PER_SECOND),
            .tv_nsec = (long long)(left % NS_PER_SECOND),
        };
        result = io_uring_submit_and_wait_timeout(&u->ring, &cqe, 1, &timeout, NULL);
    }
    // Interrupted, timed out, or short of memory for the moment: the next turn goes on. Anything
    // else, answers lost among it, is a wrong program.
    must(result >= 0 || result == -ETIME || result == -EINTR || result == -EAGAIN ||
         result == -EBUSY || result == -ENOMEM);
}

static uint64_t earlier(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

void uring_wait(struct env *env, uint64_t deadline) {
    struct uring *u = uring_of(env);
    if (!list_is_empty(&u->starved)) ask_starved(u);
    if (!list_is_empty(&u->delayed)) deadline = earlier(deadline, run_delayed(u));
    if (!list_is_empty(&u->draining)) deadline = earlier(deadline, uring_socket_expire(u));
    bool has_more =
        !list_is_empty(&u->ready) || !list_is_empty(&u->later) || !list_is_empty(&u->starved);
    if (has_more) deadline = 0;
    uint64_t now = shared_clock();
    enter(u, now, deadline);
    shared_begin_turn(env, now, deadline);
    run_completions(u, true);
    run_ready(u);
    shared_run_later(&u->later);
}

void uring_wake(struct env *env) {
    static const uint64_t one = 1;
    ssize_t size = write(uring_of(env)->wake_fd, &one, sizeof(one));
    (void)size; // full: the loop will wake all the same
}

static void wake(void *context) {
    uring_wake(context);
}

bool uring_owns(const struct env *env) {
    return env->ops == &ops;
}

// Life.

// The fastest ring this kernel has: one thread submits, and completions are worked off when it
// asks for them rather than by interrupting it.
static int open_ring(struct io_uring *ring) {
    static const unsigned flags[] = {
        IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
        IORING_SETUP_COOP_TASKRUN,
        0,
    };
    int result = -EINVAL;
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]) && result == -EINVAL; i++) {
        struct io_uring_params parameters = {
            .flags = flags[i] | IORING_SETUP_CQSIZE | IORING_SETUP_SUBMIT_ALL,
            .cq_entries = URING_COMPLETIONS,
        };
        result = io_uring_queue_init_params(URING_SUBMISSIONS, ring, &parameters);
        if (result == 0 && (parameters.features & IORING_FEAT_EXT_ARG) == 0) {
            io_uring_queue_exit(ring);
            return -ENOSYS;
        }
    }
    return result;
}

static bool has_all_operations(struct io_uring *ring) {
    static const int wanted[] = {
        IORING_OP_POLL_ADD, IORING_OP_OPENAT,   IORING_OP_FALLOCATE,    IORING_OP_READ,
        IORING_OP_WRITE,    IORING_OP_FSYNC,    IORING_OP_CLOSE,        IORING_OP_RENAMEAT,
        IORING_OP_LINKAT,   IORING_OP_UNLINKAT, IORING_OP_ACCEPT,       IORING_OP_CONNECT,
        IORING_OP_RECV,     IORING_OP_SEND,     IORING_OP_LINK_TIMEOUT, IORING_OP_ASYNC_CANCEL,
    };
    struct io_uring_probe *probe = io_uring_get_probe_ring(ring);
    if (probe == NULL) return false;
    bool has_all = true;
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        has_all = has_all && io_uring_opcode_supported(probe, wanted[i]);
    }
    io_uring_free_probe(probe);
    return has_all;
}

static bool start(struct uring *u, struct env_complaint *complaint) {
    int result = open_ring(&u->ring);
    if (result < 0) {
        complain(complaint, "io_uring: %s", strerror(-result));
        return false;
    }
    if (!has_all_operations(&u->ring)) {
        complain(complaint, "io_uring: this kernel lacks operations");
        io_uring_queue_exit(&u->ring);
        return false;
    }
    unsigned threads[2] = {FILE_THREADS_MAX, FILE_THREADS_MAX};
    io_uring_register_iowq_max_workers(&u->ring, threads); // else it is many: slower, not wrong
    io_uring_register_ring_fd(&u->ring);                   // saves a look-up each turn
    u->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (u->wake_fd < 0) {
        complain(complaint, "eventfd: %s", strerror(errno));
        io_uring_queue_exit(&u->ring);
        return false;
    }
    return true;
}

struct env *uring_create(const struct env_options *options, struct env_complaint *complaint) {
    struct uring *u = calloc(1, sizeof(*u));
    if (u == NULL) {
        complain(complaint, "out of memory");
        return NULL;
    }
    u->env = (struct env){.ops = &ops, .direct_unit = ENV_DIRECT_UNIT};
    u->options = *options;
    u->connect_timeout.tv_sec = (long long)(connect_ns / NS_PER_SECOND);
    struct list *lists[] = {&u->ready,    &u->later,   &u->starved, &u->delayed,
                            &u->draining, &u->sockets, &u->files};
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) list_init(lists[i]);
    u->directory = -1;
    if (options->directory != NULL) {
        u->directory = shared_open_directory(options->directory, complaint);
    }
    if ((options->directory != NULL && u->directory < 0) || !start(u, complaint)) {
        if (u->directory >= 0) close(u->directory);
        free(u);
        return NULL;
    }
    worker_init(&u->work, wake, &u->env);
    worker_init(&u->names, wake, &u->env);
    shared_set_time(&u->env);
    uring_ask(u, &u->wake, URING_WAKE);
    return &u->env;
}

// Until the kernel has let go of them, requests point into memory of our callers.
static void withdraw_all(struct uring *u) {
    struct io_uring_sqe *sqe = take_submission(u, 1);
    if (sqe != NULL) {
        io_uring_prep_cancel64(sqe, 0, IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL);
        io_uring_sqe_set_data(sqe, NULL);
    }
    struct env_socket *socket;
    for (struct list *l = u->sockets.next; l != &u->sockets; l = l->next) {
        socket = CONTAINER_OF(l, struct env_socket, link);
        socket->is_over = true; // no draining
        if (socket->fd >= 0) shutdown(socket->fd, SHUT_RDWR);
    }
    uint64_t until = shared_clock() + destroy_ns;
    while (u->under_way > 0 && shared_clock() < until) {
        uint64_t now = shared_clock();
        enter(u, now, now + 10 * NS_PER_MS);
        run_completions(u, false);
    }
}

void uring_destroy(struct env *env) {
    struct uring *u = uring_of(env);
    u->is_ending = true;
    worker_destroy(&u->work);
    worker_destroy(&u->names);
    withdraw_all(u);
    io_uring_queue_exit(&u->ring);
    uring_socket_destroy_all(u);
    uring_file_destroy_all(u);
    close(u->wake_fd);
    if (u->directory >= 0) close(u->directory);
    free(u);
}
