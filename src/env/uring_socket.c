// SPDX-License-Identifier: Apache-2.0
#include "env/uring_socket.h"

#include "base/timer.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    BACKLOG = 4096,
    DRAIN_PIECE = 64 * 1024,
    DRAIN_MAX = 1024 * 1024, // bytes that a peer may still send to a stream that was shut
};

static const uint64_t drain_ns = NS_PER_SECOND;

// How long a listener that found no descriptor lets the next accept wait, so that a program that
// asks again at once does not spin.
static const uint64_t pause_ns = 100 * NS_PER_MS;

// A stream that is not there yet.
struct connecting {
    struct env_socket **to;
    struct env_socket *stream;
    const char *text;
    struct address addresses[ADDRESSES_MAX];
    uint32_t count;
    uint32_t next; // the first that was not tried
    enum status looked_up;
};

static void on_drained(struct env_op *op) {
    (void)op;
}

static struct env_socket *new_socket(struct uring *u) {
    struct env_socket *socket = calloc(1, sizeof(*socket));
    if (socket == NULL) return NULL;
    socket->fd = -1;
    socket->drain.done = on_drained;
    list_init(&socket->draining);
    list_init(&socket->link);
    list_append(&u->sockets, &socket->link);
    return socket;
}

static void release(struct env_socket *socket) {
    if (socket->fd >= 0) close(socket->fd);
    list_remove(&socket->draining);
    list_remove(&socket->link);
    free(socket);
}

void uring_socket_destroy_all(struct uring *u) {
    struct list *next = NULL;
    for (struct list *link = u->sockets.next; link != &u->sockets; link = next) {
        next = link->next;
        release(CONTAINER_OF(link, struct env_socket, link));
    }
}

// Listeners.

// The socket, or minus an errno.
static int open_listener(const struct env_options *options, const struct address *address) {
    int fd = address_socket(address, 0);
    if (fd < 0) return -errno;
    int error = 0;
    int on = 1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    do {
        if (bind(fd, &address->to.any, address->size) == 0 && listen(fd, BACKLOG) == 0) return fd;
        error = errno;
    } while (shared_listen_again(options, error));
    close(fd);
    return -error;
}

// A name is looked up on the spot: programs listen when they start.
void uring_socket_listen(struct env *env, struct env_op *op, const char *address,
                         struct env_socket **listener) {
    struct uring *u = uring_of(env);
    struct address found[ADDRESSES_MAX];
    uint32_t count = 1;
    enum status st = address_parse(address, &found[0]);
    if (st == ST_NOT_FOUND) st = address_look_up(address, found, &count);
    if (st != ST_OK) {
        shared_log_no_listener(env, address, 0);
        uring_answer(u, op, st == ST_INVALID ? ST_INVALID : ST_IO);
        return;
    }
    struct env_socket *socket = new_socket(u);
    int fd = socket == NULL ? -ENOMEM : open_listener(&u->options, &found[0]);
    if (fd < 0) {
        if (socket != NULL) release(socket);
        shared_log_no_listener(env, address, -fd);
        uring_answer(u, op, ST_IO);
        return;
    }
    socket->fd = fd;
    socket->is_listener = true;
    *listener = socket;
    uring_answer(u, op, ST_OK);
}

void uring_socket_accept(struct env *env, struct env_op *op, struct env_socket *listener,
                         struct env_socket **stream) {
    struct uring *u = uring_of(env);
    must(listener->is_listener);
    must(!listener->is_shut);
    must(listener->accepting == NULL);
    struct env_socket *fresh = new_socket(u);
    if (fresh == NULL) {
        uring_answer(u, op, ST_BUSY);
        return;
    }
    fresh->address.size = sizeof(fresh->address.to);
    op->target = listener;
    op->private[0] = stream;
    op->private[1] = fresh;
    listener->accepting = op;
    listener->under_way++;
    if (listener->resume_at > env->now) {
        uring_delay(u, op, URING_ACCEPT, listener->resume_at);
    } else {
        uring_ask(u, op, URING_ACCEPT);
    }
}

static enum status accepted(struct uring *u, struct env_op *op, int result) {
    struct env_socket *listener = op->target;
    struct env_socket **to = op->private[0];
    struct env_socket *stream = op->private[1];
    if (result >= 0) stream->fd = result;
    if (listener->is_shut || result < 0) {
        release(stream);
        if (listener->is_shut) return ST_CANCELLED;
        enum status st = shared_status(-result) == ST_BUSY ? ST_BUSY : ST_IO;
        if (st == ST_BUSY) listener->resume_at = u->env.now + pause_ns;
        return st;
    }
    address_format(&stream->address, stream->peer);
    *to = stream;
    return ST_OK;
}

// Errors of a connection that ended before it was accepted are no errors of the listener.
static bool is_stillborn(int result) {
    return uring_is_transient(result) || result == -ECONNABORTED || result == -EPROTO ||
           result == -ENETDOWN || result == -EHOSTUNREACH || result == -ENETUNREACH ||
           result == -EPERM;
}

// Connecting.

static void look_up(void *argument) {
    struct connecting *c = argument;
    c->looked_up = address_look_up(c->text, c->addresses, &c->count);
}

static void finish_connect(struct env_op *op, enum status status) {
    struct connecting *c = op->target;
    if (status == ST_OK) {
        address_format(&c->stream->address, c->stream->peer);
        *c->to = c->stream;
    } else if (c->stream != NULL) {
        release(c->stream);
    }
    op->status = status;
    free(c);
}

// Asks for a connection to the next address. False when there is none left.
static bool try_next(struct uring *u, struct env_op *op) {
    struct connecting *c = op->target;
    struct env_socket *stream = c->stream;
    while (c->next < c->count) {
        stream->address = c->addresses[c->next++];
        if (stream->fd >= 0) close(stream->fd);
        stream->fd = address_socket(&stream->address, 0);
        if (stream->fd < 0) continue;
        uring_ask(u, op, URING_CONNECT);
        return true;
    }
    return false;
}

void uring_socket_connect(struct env *env, struct env_op *op, const char *address,
                          struct env_socket **stream) {
    struct uring *u = uring_of(env);
    struct address numeric;
    enum status st = address_parse(address, &numeric);
    if (st == ST_INVALID) {
        uring_answer(u, op, ST_INVALID);
        return;
    }
    struct connecting *c = calloc(1, sizeof(*c));
    if (c == NULL || (c->stream = new_socket(u)) == NULL) {
        free(c);
        uring_answer(u, op, ST_IO);
        return;
    }
    c->to = stream;
    c->text = address;
    op->target = c;
    if (st == ST_NOT_FOUND) {
        op->kind = URING_LOOK_UP;
        if (worker_run(&u->names, op, look_up, c)) return;
    } else {
        c->addresses[0] = numeric;
        c->count = 1;
        if (try_next(u, op)) return;
    }
    finish_connect(op, ST_IO);
    uring_answer(u, op, ST_IO);
}

static bool connected(struct uring *u, struct env_op *op, int result) {
    // A time-out cancels and is final; after a refusal the next address is tried.
    if (result == 0) {
        finish_connect(op, ST_OK);
    } else if (result == -ECANCELED || !try_next(u, op)) {
        finish_connect(op, ST_IO);
    } else {
        return false;
    }
    return true;
}

bool uring_socket_looked_up(struct uring *u, struct env_op *op) {
    const struct connecting *c = op->target;
    if (c->looked_up == ST_OK && try_next(u, op)) return false;
    finish_connect(op, ST_IO);
    return true;
}

// Streams.

void uring_socket_recv(struct env *env, struct env_op *op, struct env_socket *stream, uint8_t *to,
                       uint32_t capacity) {
    must(!stream->is_shut);
    must(!stream->is_listener);
    must(stream->receiving == NULL);
    stream->receiving = op;
    stream->under_way++;
    op->target = stream;
    op->to = to;
    op->wanted = capacity;
    uring_ask(uring_of(env), op, URING_RECV);
}

void uring_socket_send(struct env *env, struct env_op *op, struct env_socket *stream,
                       const uint8_t *from, uint32_t size) {
    must(!stream->is_shut);
    must(!stream->is_listener);
    must(!stream->is_sending);
    stream->is_sending = true;
    stream->under_way++;
    op->target = stream;
    op->from = from;
    op->wanted = size;
    uring_ask(uring_of(env), op, URING_SEND);
}

// True when the request is done; false: there is more to do on it.
static bool received(struct env_socket *stream, struct env_op *op, int result, uint32_t flags) {
    if (uring_is_transient(result)) return false;
    op->status = result < 0 ? ST_IO : ST_OK;
    op->size = result < 0 ? 0 : (uint32_t)result;
    stream->has_more = (flags & IORING_CQE_F_SOCK_NONEMPTY) != 0;
    if (result <= 0) stream->is_over = true;
    return true;
}

static bool sent(struct env_socket *stream, struct env_op *op, int result) {
    if (uring_is_transient(result)) return false;
    if (result <= 0) {
        stream->is_over = true;
        op->status = ST_IO;
        return true;
    }
    op->size += (uint32_t)result;
    must(op->size <= op->wanted);
    op->status = ST_OK;
    return op->size == op->wanted;
}

// Shutting.

static void drain(struct uring *u, struct env_socket *stream) {
    stream->under_way++;
    stream->due = u->env.now + drain_ns;
    stream->drain.target = stream;
    stream->drain.value = 0;
    list_append(&u->draining, &stream->draining);
    uring_ask(u, &stream->drain, URING_DRAIN);
}

static bool drained(struct env_op *op, int result) {
    if (uring_is_transient(result)) return false;
    if (result > 0) op->value += (uint64_t)result;
    return result <= 0 || op->value > DRAIN_MAX;
}

// Takes the next step to the end of a socket that was shut.
static void settle(struct uring *u, struct env_socket *socket) {
    if (!socket->is_shut || socket->under_way > 0) return;
    if (socket->is_listener || socket->is_over) {
        release(socket);
    } else {
        drain(u, socket);
    }
}

static void withdraw(struct uring *u, struct env_socket *socket, struct env_op *op) {
    if (!list_is_empty(&op->link)) { // the kernel has not seen it
        list_remove(&op->link);
        if (op->kind == URING_ACCEPT) release(op->private[1]);
        socket->under_way--;
        uring_answer(u, op, ST_CANCELLED);
    } else if (op->kind == URING_ACCEPT || !uring_cancel(u, op)) {
        shutdown(socket->fd, SHUT_RDWR); // ends the waiting, too
    }
}

void uring_socket_shut(struct env *env, struct env_socket *socket) {
    struct uring *u = uring_of(env);
    must(!socket->is_shut);
    socket->is_shut = true;
    if (!socket->is_listener) shutdown(socket->fd, SHUT_WR); // wakes a send
    if (socket->accepting != NULL) withdraw(u, socket, socket->accepting);
    if (socket->receiving != NULL) withdraw(u, socket, socket->receiving);
    settle(u, socket);
}

uint64_t uring_socket_expire(struct uring *u) {
    while (!list_is_empty(&u->draining)) {
        struct env_socket *first = CONTAINER_OF(u->draining.next, struct env_socket, draining);
        if (first->due > u->env.now) return first->due;
        list_remove(&first->draining);
        shutdown(first->fd, SHUT_RDWR); // its drain ends now
    }
    return TIMER_NEVER;
}

const char *uring_socket_peer(struct env *env, const struct env_socket *stream) {
    (void)env;
    return stream->peer;
}

// Submissions and answers.

void uring_socket_prepare(struct uring *u, struct env_op *op, struct io_uring_sqe *sqe) {
    if (op->kind == URING_CONNECT) {
        struct connecting *c = op->target;
        struct env_socket *stream = c->stream;
        io_uring_prep_connect(sqe, stream->fd, &stream->address.to.any, stream->address.size);
        io_uring_sqe_set_flags(sqe, IOSQE_IO_LINK);
        struct io_uring_sqe *timeout = io_uring_get_sqe(&u->ring);
        must(timeout != NULL);
        io_uring_prep_link_timeout(timeout, &u->connect_timeout, 0);
        io_uring_sqe_set_data(timeout, NULL);
        return;
    }
    struct env_socket *socket = op->target;
    switch (op->kind) {
    case URING_RECV:
        io_uring_prep_recv(sqe, socket->fd, op->to, uring_piece(u, op->wanted), 0);
        // Mostly nothing has come yet, and the kernel need not look before it waits.
        if (!socket->has_more) sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
        return;
    case URING_SEND:
        io_uring_prep_send(sqe, socket->fd, op->from + op->size,
                           uring_piece(u, op->wanted - op->size), MSG_NOSIGNAL);
        return;
    case URING_ACCEPT: {
        struct address *address = &((struct env_socket *)op->private[1])->address;
        io_uring_prep_accept(sqe, socket->fd, &address->to.any, &address->size, SOCK_CLOEXEC);
        return;
    }
    case URING_DRAIN:
        io_uring_prep_recv(sqe, socket->fd, NULL, DRAIN_PIECE, MSG_TRUNC);
        return;
    default:
        unreachable();
    }
}

bool uring_socket_finish(struct uring *u, struct env_op *op, int result, uint32_t flags) {
    if (op->kind == URING_CONNECT) return connected(u, op, result);
    struct env_socket *socket = op->target;
    bool is_done = false;
    switch (op->kind) {
    case URING_RECV:
        is_done = socket->is_shut || received(socket, op, result, flags);
        if (is_done) socket->receiving = NULL;
        break;
    case URING_SEND:
        is_done = socket->is_shut || sent(socket, op, result);
        if (is_done) socket->is_sending = false;
        break;
    case URING_ACCEPT:
        is_done = socket->is_shut || !is_stillborn(result);
        if (is_done) socket->accepting = NULL;
        if (is_done) op->status = accepted(u, op, result);
        break;
    case URING_DRAIN:
        is_done = drained(op, result);
        if (is_done) socket->is_over = true;
        break;
    default:
        unreachable();
    }
    if (!is_done) {
        uring_ask_again(u, op);
        return false;
    }
    socket->under_way--;
    if (socket->is_shut) {
        op->status = ST_CANCELLED;
        op->size = 0;
        bool is_ours = op->kind == URING_DRAIN; // and part of what settle() may free
        settle(u, socket);
        return !is_ours;
    }
    return true;
}
