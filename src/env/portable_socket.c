// SPDX-License-Identifier: Apache-2.0
#include "env/portable_socket.h"

#include "base/timer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    BACKLOG = 4096,
    KEEPALIVE_SECONDS = 7200,
    DRAIN_MAX = 1024 * 1024, // bytes that a peer may still send to a stream that was shut
};

static const uint64_t connect_ns = 5 * NS_PER_SECOND;
static const uint64_t drain_ns = NS_PER_SECOND;

struct env_socket {
    uv_tcp_t tcp; // its data is the world
    struct list link;
    struct list waiting; // in portable.connecting or portable.draining
    uint64_t due;        // while waiting
    bool is_listener;
    bool has_pending; // of a listener: libuv holds a connection that nobody has asked for
    bool is_shut;
    bool is_over;       // the peer has ended or broken the stream, or it was drained
    uint32_t under_way; // requests
    uint32_t drained;   // bytes
    struct env_op *receiving;
    struct env_op *sending;
    struct env_op *accepting;
    uv_write_t write;
    uv_connect_t connect;
    char peer[ADDRESS_TEXT_MAX];
};

// A stream that is not there yet.
struct connecting {
    struct portable *world;
    struct env_op *op;
    struct env_socket **to;
    struct env_socket *stream; // of the present attempt
    const char *text;
    struct address addresses[ADDRESSES_MAX];
    uint32_t count;
    uint32_t next; // the first that was not tried
    uint64_t due;
    enum status looked_up;
};

static uv_stream_t *stream_of(struct env_socket *socket) {
    return (uv_stream_t *)&socket->tcp;
}

static struct env_socket *socket_of(void *handle) {
    return CONTAINER_OF(handle, struct env_socket, tcp);
}

static struct portable *world_of(const struct env_socket *socket) {
    return socket->tcp.data;
}

static struct env_socket *new_socket(struct portable *p) {
    struct env_socket *socket = calloc(1, sizeof(*socket));
    if (socket == NULL) return NULL;
    if (uv_tcp_init(&p->loop, &socket->tcp) != 0) {
        free(socket);
        return NULL;
    }
    socket->tcp.data = p;
    list_init(&socket->waiting);
    list_init(&socket->link);
    list_append(&p->sockets, &socket->link);
    return socket;
}

// Puts it on a list that is ordered by `due`.
static void wait_until(struct list *list, struct env_socket *socket, uint64_t due) {
    struct list *before = list->prev;
    while (before != list && CONTAINER_OF(before, struct env_socket, waiting)->due > due) {
        before = before->prev;
    }
    socket->due = due;
    list_append(before->next, &socket->waiting);
}

static void on_closed(uv_handle_t *handle) {
    struct env_socket *socket = socket_of(handle);
    list_remove(&socket->link);
    free(socket);
}

static void release(struct env_socket *socket) {
    list_remove(&socket->waiting);
    if (!uv_is_closing((uv_handle_t *)&socket->tcp)) {
        uv_close((uv_handle_t *)&socket->tcp, on_closed);
    }
}

void portable_socket_destroy_all(struct portable *p) {
    for (struct list *l = p->sockets.next; l != &p->sockets; l = l->next) {
        struct env_socket *socket = CONTAINER_OF(l, struct env_socket, link);
        socket->is_shut = true;
        release(socket);
    }
}

static void set_up(struct env_socket *stream) {
    uv_tcp_nodelay(&stream->tcp, 1);
    uv_tcp_keepalive(&stream->tcp, 1, KEEPALIVE_SECONDS);
    struct address address;
    int size = sizeof(address.to);
    if (uv_tcp_getpeername(&stream->tcp, &address.to.any, &size) == 0) {
        address.size = (socklen_t)size;
        address_format(&address, stream->peer);
    } else {
        snprintf(stream->peer, sizeof(stream->peer), "?:0"); // it has left already
    }
}

// Listeners.

// Takes the connection that libuv holds.
static void take_pending(struct env_socket *listener) {
    struct portable *p = world_of(listener);
    struct env_op *op = listener->accepting;
    struct env_socket *stream = new_socket(p);
    listener->has_pending = false;
    if (stream != NULL && uv_accept(stream_of(listener), stream_of(stream)) == 0) {
        set_up(stream);
        op->private[1] = stream;
        portable_answer(p, op, ST_OK);
        return;
    }
    if (stream != NULL) release(stream);
    portable_answer(p, op, ST_IO);
}

static void on_connection(uv_stream_t *handle, int status) {
    struct env_socket *listener = socket_of(handle);
    struct env_op *op = listener->accepting;
    bool is_asked = op != NULL && list_is_empty(&op->link); // and not answered yet
    if (status == 0) {
        listener->has_pending = true;
        if (is_asked) take_pending(listener);
    } else if (is_asked && (status == UV_EMFILE || status == UV_ENFILE)) {
        // libuv has turned the connection away, so that the kernel does not report it for ever.
        portable_answer(world_of(listener), op, ST_BUSY);
    }
}

// 0, or an errno.
static int listen_on(struct portable *p, struct env_socket *socket, const struct address *address) {
    int error = 0;
    do {
        error = uv_tcp_bind(&socket->tcp, &address->to.any, 0);
        if (error == 0) error = uv_listen(stream_of(socket), BACKLOG, on_connection);
    } while (error != 0 && shared_listen_again(&p->options, -error));
    return -error;
}

// A name is looked up on the spot: programs listen when they start.
void portable_socket_listen(struct env *env, struct env_op *op, const char *address,
                            struct env_socket **listener) {
    struct portable *p = portable_of(env);
    struct address found[ADDRESSES_MAX];
    uint32_t count = 1;
    op->kind = PORTABLE_READY;
    op->size = 0;
    enum status st = address_parse(address, &found[0]);
    if (st == ST_NOT_FOUND) st = address_look_up(address, found, &count);
    if (st != ST_OK) {
        shared_log_no_listener(env, address, 0);
        portable_answer(p, op, st == ST_INVALID ? ST_INVALID : ST_IO);
        return;
    }
    struct env_socket *socket = new_socket(p);
    int error = socket == NULL ? ENOMEM : listen_on(p, socket, &found[0]);
    if (error != 0) {
        if (socket != NULL) release(socket);
        shared_log_no_listener(env, address, error);
        portable_answer(p, op, ST_IO);
        return;
    }
    socket->is_listener = true;
    *listener = socket;
    portable_answer(p, op, ST_OK);
}

void portable_socket_accept(struct env *env, struct env_op *op, struct env_socket *listener,
                            struct env_socket **stream) {
    (void)env;
    must(listener->is_listener);
    must(!listener->is_shut);
    must(listener->accepting == NULL);
    op->kind = PORTABLE_ACCEPT;
    op->size = 0;
    op->target = listener;
    op->private[0] = stream;
    op->private[1] = NULL;
    list_init(&op->link);
    listener->accepting = op;
    listener->under_way++;
    if (listener->has_pending) take_pending(listener);
}

// Connecting.

static void finish_connect(struct connecting *c, enum status status) {
    if (status == ST_OK) {
        set_up(c->stream);
        *c->to = c->stream;
    } else if (c->stream != NULL) {
        release(c->stream);
    }
    portable_answer(c->world, c->op, status);
    free(c);
}

static void try_next(struct connecting *c);

static void on_connected(uv_connect_t *request, int status) {
    struct connecting *c = request->data;
    struct env_socket *stream = c->stream;
    list_remove(&stream->waiting);
    if (status == 0) {
        finish_connect(c, ST_OK);
    } else if (status == UV_ECANCELED) { // timed out
        finish_connect(c, ST_IO);
    } else {
        release(stream);
        c->stream = NULL;
        try_next(c);
    }
}

static void try_next(struct connecting *c) {
    while (c->next < c->count) {
        const struct address *address = &c->addresses[c->next++];
        c->stream = new_socket(c->world);
        if (c->stream == NULL) break;
        c->stream->connect.data = c;
        if (uv_tcp_connect(&c->stream->connect, &c->stream->tcp, &address->to.any, on_connected) ==
            0) {
            wait_until(&c->world->connecting, c->stream, c->due);
            return;
        }
        release(c->stream);
        c->stream = NULL;
    }
    finish_connect(c, ST_IO);
}

static void look_up(void *argument) {
    struct connecting *c = argument;
    c->looked_up = address_look_up(c->text, c->addresses, &c->count);
}

static void on_looked_up(void *argument) {
    struct connecting *c = argument;
    c->due = shared_clock() + connect_ns;
    if (c->looked_up == ST_OK) {
        try_next(c);
    } else {
        finish_connect(c, ST_IO);
    }
}

void portable_socket_connect(struct env *env, struct env_op *op, const char *address,
                             struct env_socket **stream) {
    struct portable *p = portable_of(env);
    struct connecting *c = calloc(1, sizeof(*c));
    op->kind = PORTABLE_READY;
    op->size = 0;
    if (c == NULL) {
        portable_answer(p, op, ST_IO);
        return;
    }
    *c = (struct connecting){.world = p, .op = op, .to = stream, .text = address, .count = 1};
    c->due = env->now + connect_ns;
    enum status st = address_parse(address, &c->addresses[0]);
    if (st == ST_NOT_FOUND) {
        portable_run(p, look_up, on_looked_up, c);
    } else if (st == ST_OK) {
        try_next(c);
    } else {
        finish_connect(c, st);
    }
}

// Streams.

static void settle(struct env_socket *socket);

static void on_room_wanted(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
    (void)suggested;
    struct env_socket *stream = socket_of(handle);
    struct portable *p = world_of(stream);
    const struct env_op *op = stream->receiving;
    if (stream->is_shut) {
        *buffer = uv_buf_init((char *)p->scratch, sizeof(p->scratch));
    } else {
        *buffer = uv_buf_init((char *)op->to, portable_piece(p, op->wanted));
    }
}

static void on_received(uv_stream_t *handle, ssize_t size, const uv_buf_t *buffer) {
    (void)buffer;
    if (size == 0) return; // nothing after all
    struct env_socket *stream = socket_of(handle);
    struct env_op *op = stream->receiving;
    uv_read_stop(handle);
    if (size < 0) stream->is_over = true;
    op->size = size > 0 ? (uint32_t)size : 0;
    portable_answer(world_of(stream), op, size > 0 || size == UV_EOF ? ST_OK : ST_IO);
}

void portable_socket_recv(struct env *env, struct env_op *op, struct env_socket *stream,
                          uint8_t *to, uint32_t capacity) {
    must(!stream->is_shut);
    must(!stream->is_listener);
    must(stream->receiving == NULL);
    op->kind = PORTABLE_RECV;
    op->size = 0;
    op->target = stream;
    op->to = to;
    op->wanted = capacity;
    list_init(&op->link);
    stream->receiving = op;
    stream->under_way++;
    if (uv_read_start(stream_of(stream), on_room_wanted, on_received) != 0) {
        stream->is_over = true;
        portable_answer(portable_of(env), op, ST_IO);
    }
}

static void send_piece(struct env_socket *stream);

static void on_sent(uv_write_t *request, int status) {
    struct env_socket *stream = request->data;
    struct portable *p = world_of(stream);
    struct env_op *op = stream->sending;
    if (status != 0) {
        stream->is_over = !stream->is_shut;
        portable_answer(p, op, ST_IO);
        return;
    }
    op->size += portable_piece(p, op->wanted - op->size);
    if (op->size == op->wanted) {
        portable_answer(p, op, ST_OK);
    } else {
        send_piece(stream);
    }
}

static void send_piece(struct env_socket *stream) {
    struct env_op *op = stream->sending;
    struct portable *p = world_of(stream);
    const uint8_t *from = op->from + op->size;
    uv_buf_t buffer = {.len = portable_piece(p, op->wanted - op->size)};
    memcpy(&buffer.base, &from, sizeof(from)); // libuv does not write there, but does not say so
    stream->write.data = stream;
    if (uv_write(&stream->write, stream_of(stream), &buffer, 1, on_sent) != 0) {
        stream->is_over = true;
        portable_answer(p, op, ST_IO);
    }
}

void portable_socket_send(struct env *env, struct env_op *op, struct env_socket *stream,
                          const uint8_t *from, uint32_t size) {
    (void)env;
    must(!stream->is_shut);
    must(!stream->is_listener);
    must(stream->sending == NULL);
    op->kind = PORTABLE_SEND;
    op->size = 0;
    op->target = stream;
    op->from = from;
    op->wanted = size;
    list_init(&op->link);
    stream->sending = op;
    stream->under_way++;
    send_piece(stream);
}

const char *portable_socket_peer(struct env *env, const struct env_socket *stream) {
    (void)env;
    return stream->peer;
}

// Shutting.

static void on_drained(uv_stream_t *handle, ssize_t size, const uv_buf_t *buffer) {
    (void)buffer;
    struct env_socket *stream = socket_of(handle);
    if (size > 0) stream->drained += (uint32_t)size;
    if (size < 0 || stream->drained > DRAIN_MAX) release(stream);
}

// Takes the next step to the end of a socket that was shut.
static void settle(struct env_socket *socket) {
    struct portable *p = world_of(socket);
    if (!socket->is_shut || socket->under_way > 0) return;
    if (socket->is_listener || socket->is_over ||
        uv_read_start(stream_of(socket), on_room_wanted, on_drained) != 0) {
        release(socket);
        return;
    }
    wait_until(&p->draining, socket, p->env.now + drain_ns);
}

// A request that libuv still has is taken from it; one that has its result loses it.
static void withdraw(struct env_socket *socket, struct env_op *op) {
    if (op != NULL && list_is_empty(&op->link)) portable_answer(world_of(socket), op, ST_CANCELLED);
}

void portable_socket_shut(struct env *env, struct env_socket *socket) {
    (void)env;
    must(!socket->is_shut);
    socket->is_shut = true;
    withdraw(socket, socket->accepting);
    if (!socket->is_listener) {
        uv_read_stop(stream_of(socket));
        withdraw(socket, socket->receiving);
        uv_os_fd_t fd;
        if (uv_fileno((uv_handle_t *)&socket->tcp, &fd) == 0) shutdown(fd, SHUT_WR); // ends a send
    }
    settle(socket);
}

void portable_socket_detach(struct portable *p, struct env_op *op) {
    (void)p;
    struct env_socket *socket = op->target;
    if (op->kind == PORTABLE_RECV) socket->receiving = NULL;
    if (op->kind == PORTABLE_SEND) socket->sending = NULL;
    if (op->kind == PORTABLE_ACCEPT) {
        struct env_socket **to = op->private[0];
        struct env_socket *stream = op->private[1];
        socket->accepting = NULL;
        if (stream != NULL && socket->is_shut) release(stream);
        if (stream != NULL && !socket->is_shut) *to = stream;
    }
    socket->under_way--;
    if (socket->is_shut) {
        op->status = ST_CANCELLED;
        op->size = 0;
        settle(socket);
    }
}

uint64_t portable_socket_expire(struct portable *p) {
    struct list *lists[] = {&p->connecting, &p->draining};
    uint64_t next = TIMER_NEVER;
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        while (!list_is_empty(lists[i])) {
            struct env_socket *first = CONTAINER_OF(lists[i]->next, struct env_socket, waiting);
            if (first->due > p->env.now) {
                if (first->due < next) next = first->due;
                break;
            }
            release(first); // a connect is told so by its callback
        }
    }
    return next;
}
