// SPDX-License-Identifier: Apache-2.0
#include "sim/network.h"

#include "sim/machine.h"
#include "sim/memory.h"
#include "sim/stream.h"

#include <stdio.h>

enum {
    BACKLOG_MAX = 128,
    FIRST_FREE_PORT = 30000, // what a machine gives out when nobody asks for a port
    LOOPBACK_DELAY = 15000,  // ns, typically
    CONNECT_RETRY = 1000,    // ms, doubled each time
};

struct link {
    uint64_t distance; // ns on top of the usual delay
    bool is_cut;
};

struct network {
    struct world *world;
    struct link *links;  // from * capacity + to
    uint32_t capacity;   // machines that links has room for
    struct list streams; // struct env_socket: ends of pairs of which one end is open
    struct list free;    // the first ends of pairs that are not in use
    struct list free_listeners;
};

// Links

struct network *network_create(struct world *world) {
    struct network *network = memory_take(1, sizeof(*network));
    network->world = world;
    list_init(&network->streams);
    list_init(&network->free);
    list_init(&network->free_listeners);
    return network;
}

void network_add_machine(struct network *network) {
    uint32_t count = network->world->machine_count;
    if (count <= network->capacity) return;
    uint32_t capacity = network->capacity == 0 ? 8 : network->capacity * 2;
    struct link *links = memory_take((size_t)capacity * capacity, sizeof(*links));
    for (uint32_t from = 0; from < network->capacity; from++) {
        memcpy(links + (size_t)from * capacity, network->links + (size_t)from * network->capacity,
               network->capacity * sizeof(*links));
    }
    memory_give(network->links);
    network->links = links;
    network->capacity = capacity;
}

static struct link *link_of(const struct network *network, uint32_t from, uint32_t to) {
    must(from < network->world->machine_count);
    must(to < network->world->machine_count);
    return &network->links[(size_t)from * network->capacity + to];
}

void network_set_link(struct network *network, uint32_t from, uint32_t to, bool is_whole) {
    link_of(network, from, to)->is_cut = !is_whole;
}

bool network_has_link(const struct network *network, uint32_t from, uint32_t to) {
    return !link_of(network, from, to)->is_cut;
}

void network_set_distance(struct network *network, uint32_t from, uint32_t to, uint64_t delay) {
    link_of(network, from, to)->distance = delay;
}

bool network_passes(const struct network *network, const struct machine *from,
                    const struct machine *to) {
    if (!to->is_powered) return false;
    return from == to || !link_of(network, from->index, to->index)->is_cut;
}

uint64_t network_travel(struct network *network, struct machine *from, const struct machine *to,
                        uint32_t size) {
    struct world *world = network->world;
    const struct world_options *options = &world->options;
    if (from == to) return rng_delay(&from->net_delays, LOOPBACK_DELAY);
    uint64_t travel = rng_delay(&from->net_delays, options->net_delay);
    travel += link_of(network, from->index, to->index)->distance;
    if (size == 0) return travel;
    if (dice_roll(&from->dice, FAULT_NET_TAIL)) travel *= 100;
    if (dice_roll(&from->dice, FAULT_NET_STALL)) {
        travel += rng_spread(dice_stream(&from->dice, FAULT_NET_STALL), 1, options->stall_max);
    }
    if (options->bandwidth > 0) {
        if (from->wire_free < world->now) from->wire_free = world->now;
        from->wire_free += (uint64_t)size * 1000000000u / options->bandwidth;
        travel += from->wire_free - world->now;
    }
    return travel;
}

struct list *network_free_streams(struct network *network) {
    return &network->free;
}

struct list *network_streams(struct network *network) {
    return &network->streams;
}

void network_resume(struct network *network) {
    for (struct list *l = network->streams.next; l != &network->streams; l = l->next) {
        stream_resume(CONTAINER_OF(l, struct env_socket, everywhere));
    }
}

// Addresses

struct place {
    char host[NAME_SIZE_MAX + 1];
    uint32_t port;
};

static bool parse_address(const char *address, struct place *place) {
    const char *colon = strrchr(address, ':');
    if (colon == NULL || colon == address) return false;
    size_t size = (size_t)(colon - address);
    if (size > NAME_SIZE_MAX) return false; // no machine has such a name
    memcpy(place->host, address, size);
    place->host[size] = '\0';
    place->port = 0;
    if (colon[1] == '\0') return false;
    for (const char *c = colon + 1; *c != '\0'; c++) {
        if (*c < '0' || *c > '9') return false;
        place->port = place->port * 10 + (uint32_t)(*c - '0');
        if (place->port > UINT16_MAX) return false;
    }
    return true;
}

// The same name, of static duration, if it means whatever machine one is on; else NULL.
static const char *name_of_oneself(const char *host) {
    static const char *const names[] = {"localhost", "127.0.0.1", "0.0.0.0", "[::1]", "[::]"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(host, names[i]) == 0) return names[i];
    }
    return NULL;
}

// NULL: nobody has that name.
static struct machine *machine_at(struct machine *asking, const char *host) {
    if (name_of_oneself(host) != NULL) return asking;
    return world_find_machine(asking->world, host);
}

static struct env_socket *find_listener(const struct machine *machine, uint32_t port) {
    const struct list *all = &machine->listening;
    for (struct list *l = all->next; l != all; l = l->next) {
        struct env_socket *listener = CONTAINER_OF(l, struct env_socket, everywhere);
        if (listener->port == port) return listener;
    }
    return NULL;
}

static uint32_t draw_port(struct machine *m) {
    do {
        m->last_port = m->last_port < FIRST_FREE_PORT || m->last_port == UINT16_MAX
                           ? FIRST_FREE_PORT
                           : m->last_port + 1;
    } while (find_listener(m, m->last_port) != NULL);
    return m->last_port;
}

// Requests that end on their own

static void on_answer(struct event *event) {
    struct env_op *op = event->target;
    machine_deliver(event->machine, op, "socket", op->status);
}

// Calls back soon with this status.
static void answer(struct machine *m, struct env_op *op, enum status status) {
    op->status = status;
    op->size = 0;
    machine_event(m, m->world->now + rng_delay(&m->net_delays, LOOPBACK_DELAY), on_answer, op);
}

// Listening

static struct env_socket *create_listener(struct machine *m, uint32_t port) {
    struct network *network = m->world->network;
    struct env_socket *listener = NULL;
    if (list_is_empty(&network->free_listeners)) {
        listener = memory_take(1, sizeof(*listener));
    } else {
        listener = CONTAINER_OF(network->free_listeners.next, struct env_socket, everywhere);
        list_remove(&listener->everywhere);
    }
    *listener = (struct env_socket){
        .number = listener->number, .machine = m, .state = SOCKET_LISTENING, .port = port};
    list_init(&listener->link);
    list_init(&listener->everywhere);
    list_init(&listener->backlog);
    list_append(&m->listening, &listener->everywhere);
    list_append(&m->sockets, &listener->link);
    m->sockets_open++;
    return listener;
}

// Whether the machine can listen there.
static enum status check_listen(struct machine *m, const char *address, struct place *place) {
    if (!parse_address(address, place)) return ST_INVALID;
    const struct machine *owner = machine_at(m, place->host);
    if (owner == NULL) return ST_INVALID;
    if (owner != m) return ST_IO;
    return find_listener(m, place->port) == NULL ? ST_OK : ST_IO;
}

static void on_listen(struct event *event) {
    struct machine *m = event->machine;
    struct env_op *op = event->target;
    struct place place;
    op->size = 0;
    op->status = check_listen(m, (const char *)op->from, &place);
    if (op->status == ST_OK) {
        uint32_t port = place.port != 0 ? place.port : draw_port(m);
        struct env_socket **to = op->private[0];
        *to = create_listener(m, port);
    }
    machine_deliver(m, op, "listen", op->status);
}

void network_listen(struct env *env, struct env_op *op, const char *address,
                    struct env_socket **listener) {
    struct machine *m = machine_of(env);
    machine_submit(m, op);
    op->from = (const uint8_t *)address;
    op->private[0] = listener;
    machine_event(m, m->world->now + rng_delay(&m->net_delays, LOOPBACK_DELAY), on_listen, op);
}

// Accepting

static void on_accept(struct event *event) {
    struct env_socket *listener = socket_live(event);
    if (listener == NULL || listener->accept_op == NULL) return;
    if (list_is_empty(&listener->backlog)) return;
    struct machine *m = listener->machine;
    struct env_op *op = listener->accept_op;
    listener->accept_op = NULL;
    op->size = 0;
    op->status = ST_OK;
    if (dice_roll(&m->dice, FAULT_DESCRIPTORS)) {
        op->status = ST_BUSY;
    } else {
        struct env_socket *end = CONTAINER_OF(listener->backlog.next, struct env_socket, link);
        list_remove(&end->link);
        listener->backlog_count--;
        list_append(&m->sockets, &end->link);
        m->sockets_open++;
        struct env_socket **to = op->private[0];
        *to = end;
    }
    machine_deliver(m, op, "accept", op->status);
}

static void check_accept(struct env_socket *listener) {
    if (listener->accept_op == NULL || list_is_empty(&listener->backlog)) return;
    struct machine *m = listener->machine;
    uint64_t at = m->world->now + rng_delay(&m->net_delays, LOOPBACK_DELAY);
    socket_event(listener, at, on_accept);
}

void network_accept(struct env *env, struct env_op *op, struct env_socket *listener,
                    struct env_socket **stream) {
    struct machine *m = machine_of(env);
    must(listener->machine == m);
    must(listener->state == SOCKET_LISTENING);
    must(listener->accept_op == NULL);
    machine_submit(m, op);
    op->private[0] = stream;
    listener->accept_op = op;
    check_accept(listener);
}

// Connecting: the first packet travels there, and one comes back.

static void on_connected(struct event *event) {
    struct machine *m = event->machine;
    struct env_op *op = event->target;
    struct env_socket **to = op->private[0];
    *to = op->private[1];
    op->status = ST_OK;
    op->size = 0;
    machine_deliver(m, op, "connect", ST_OK);
}

static void meet(struct machine *m, struct env_op *op, struct env_socket *listener,
                 const char *host) {
    struct network *network = m->world->network;
    struct env_socket *near = stream_create_pair(network, m, listener->machine);
    struct env_socket *far = near->other;
    const char *oneself = name_of_oneself(host);
    near->host = oneself != NULL ? oneself : listener->machine->host;
    near->port = listener->port;
    far->host = oneself != NULL ? oneself : m->host;
    far->port = draw_port(m);
    list_append(&m->sockets, &near->link);
    m->sockets_open++;
    list_append(&listener->backlog, &far->link);
    listener->backlog_count++;
    check_accept(listener);
    op->private[1] = near;
    uint64_t travel = network_travel(network, listener->machine, m, 0);
    machine_event(m, m->world->now + travel, on_connected, op);
}

static void on_first_packet(struct event *event);

// Nobody answered the first packet: again, until it is too late.
static void try_later(struct machine *m, struct env_op *op) {
    uint64_t wait = (uint64_t)CONNECT_RETRY * 1000000u << op->wanted;
    if (op->wanted < 6) op->wanted++;
    uint64_t at = m->world->now + wait;
    machine_event(m, at < op->ready_at ? at : op->ready_at, on_first_packet, op);
}

static void fail_connect(struct machine *m, struct env_op *op, enum status status) {
    op->status = status;
    op->size = 0;
    machine_deliver(m, op, "connect", status);
}

static void on_first_packet(struct event *event) {
    struct machine *m = event->machine;
    struct env_op *op = event->target;
    struct network *network = m->world->network;
    struct place place;
    bool is_address = parse_address((const char *)op->from, &place) && place.port != 0;
    struct machine *target = is_address ? machine_at(m, place.host) : NULL;
    if (target == NULL) {
        fail_connect(m, op, ST_INVALID);
        return;
    }
    if (m->world->now >= op->ready_at) {
        dice_count(&m->dice, FAULT_NET_TIMEOUT);
        fail_connect(m, op, ST_IO);
        return;
    }
    if (!network_passes(network, m, target) || !network_passes(network, target, m)) {
        dice_count(&m->dice, FAULT_NET_CUT);
        try_later(m, op);
        return;
    }
    struct env_socket *listener = find_listener(target, place.port);
    if (listener == NULL || dice_roll(&m->dice, FAULT_NET_REFUSED)) {
        fail_connect(m, op, ST_IO);
    } else if (listener->backlog_count == BACKLOG_MAX) {
        try_later(m, op);
    } else {
        meet(m, op, listener, place.host);
    }
}

void network_connect(struct env *env, struct env_op *op, const char *address,
                     struct env_socket **stream) {
    struct machine *m = machine_of(env);
    machine_submit(m, op);
    op->from = (const uint8_t *)address;
    op->private[0] = stream;
    op->wanted = 0;
    op->ready_at = m->world->now + m->world->options.connect_max;
    uint64_t travel = rng_delay(&m->net_delays, m->world->options.net_delay);
    machine_event(m, m->world->now + travel, on_first_packet, op);
}

// Moving bytes

static void check_stream(const struct machine *m, const struct env_socket *stream) {
    must(stream->machine == m);
    must(stream->state == SOCKET_OPEN);
}

void network_recv(struct env *env, struct env_op *op, struct env_socket *stream, uint8_t *to,
                  uint32_t capacity) {
    struct machine *m = machine_of(env);
    check_stream(m, stream);
    must(stream->recv_op == NULL);
    machine_submit(m, op);
    op->to = to;
    op->wanted = capacity;
    stream->recv_op = op;
    stream_check_recv(stream);
}

void network_send(struct env *env, struct env_op *op, struct env_socket *stream,
                  const uint8_t *from, uint32_t size) {
    struct machine *m = machine_of(env);
    check_stream(m, stream);
    must(stream->send_op == NULL);
    machine_submit(m, op);
    op->from = from;
    op->wanted = size;
    stream->send_op = op;
    stream->sent = 0;
    m->traffic.sent += size;
    stream_pump(stream);
}

const char *network_peer(struct env *env, const struct env_socket *stream) {
    struct machine *m = machine_of(env);
    must(stream->machine == m);
    must(stream->state == SOCKET_OPEN);
    snprintf(m->peer, sizeof(m->peer), "%s:%u", stream->host, stream->port);
    return m->peer;
}

// Closing

static void leave_machine(struct env_socket *socket) {
    list_remove(&socket->link);
    socket->machine->sockets_open--;
}

static void close_listener(struct env_socket *listener, enum piece_kind farewell) {
    leave_machine(listener);
    while (!list_is_empty(&listener->backlog)) {
        struct env_socket *end = CONTAINER_OF(listener->backlog.next, struct env_socket, link);
        list_remove(&end->link);
        stream_close(end, farewell);
    }
    listener->state = SOCKET_CLOSED;
    listener->number++;
    list_remove(&listener->everywhere);
    list_append(&listener->machine->world->network->free_listeners, &listener->everywhere);
}

static void cancel(struct machine *m, struct env_op **op) {
    if (*op == NULL) return;
    answer(m, *op, ST_CANCELLED);
    *op = NULL;
}

void network_shut(struct env *env, struct env_socket *socket) {
    struct machine *m = machine_of(env);
    must(socket->machine == m);
    must(socket->state != SOCKET_CLOSED);
    if (socket->state == SOCKET_LISTENING) {
        cancel(m, &socket->accept_op);
        close_listener(socket, PIECE_RESET);
        return;
    }
    cancel(m, &socket->recv_op);
    cancel(m, &socket->send_op);
    leave_machine(socket);
    stream_close(socket, PIECE_END);
}

// What is under way from a machine whose power fails may have left it, or not; what waits at a cut
// is never sent again.
static void lose_flights(struct machine *m) {
    struct network *network = m->world->network;
    for (struct list *l = network->streams.next; l != &network->streams; l = l->next) {
        struct env_socket *to = CONTAINER_OF(l, struct env_socket, everywhere);
        if (to->other->machine != m || to->machine == m) continue;
        if (to->is_cut || rng_chance(&m->net_delays, 1, 2)) stream_drop_flight(to);
    }
}

void network_abandon(struct machine *m, bool has_power) {
    if (!has_power) lose_flights(m);
    while (!list_is_empty(&m->sockets)) {
        struct env_socket *socket = CONTAINER_OF(m->sockets.next, struct env_socket, link);
        if (socket->state == SOCKET_LISTENING) {
            socket->accept_op = NULL;
            close_listener(socket, has_power ? PIECE_RESET : PIECE_DATA);
            continue;
        }
        // Linux says goodbye in order, unless there are bytes that the process never read.
        enum piece_kind farewell = socket->arrived > 0 ? PIECE_RESET : PIECE_END;
        socket->recv_op = NULL;
        socket->send_op = NULL;
        leave_machine(socket);
        stream_close(socket, has_power ? farewell : PIECE_DATA);
    }
}

static void free_listeners(struct list *list) {
    while (!list_is_empty(list)) {
        struct env_socket *listener = CONTAINER_OF(list->next, struct env_socket, everywhere);
        list_remove(&listener->everywhere);
        memory_give(listener);
    }
}

void network_destroy(struct network *network) {
    while (!list_is_empty(&network->streams)) {
        stream_destroy_pair(CONTAINER_OF(network->streams.next, struct env_socket, everywhere));
    }
    while (!list_is_empty(&network->free)) {
        stream_destroy_pair(CONTAINER_OF(network->free.next, struct env_socket, everywhere));
    }
    free_listeners(&network->free_listeners); // no machine listens any more
    memory_give(network->links);
    memory_give(network);
}
