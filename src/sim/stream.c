// SPDX-License-Identifier: Apache-2.0
#include "sim/stream.h"

#include "base/hash.h"
#include "sim/machine.h"
#include "sim/memory.h"
#include "sim/network.h"

static_assert(sizeof(struct env_socket) <= 160, "a thousand nodes have two million streams");

enum {
    KERNEL_DELAY = 2000, // ns, typically: answering a process that could be answered at once
};

static uint64_t soon(struct machine *m) {
    return m->world->now + rng_delay(&m->net_delays, KERNEL_DELAY);
}

void socket_event(struct env_socket *socket, uint64_t at, void (*run)(struct event *event)) {
    struct event *event = world_event(socket->machine->world, at, run, socket);
    event->value = socket->number;
}

struct env_socket *socket_live(const struct event *event) {
    struct env_socket *socket = event->target;
    return socket->number == event->value ? socket : NULL;
}

// Memory of a pair

struct pair {
    struct env_socket ends[2];
};

static struct network *network_of(const struct env_socket *end) {
    return end->machine->world->network;
}

static void end_init(struct env_socket *end, struct machine *machine, struct env_socket *other) {
    uint64_t number = end->number;
    *end = (struct env_socket){.number = number,
                               .machine = machine,
                               .state = SOCKET_OPEN,
                               .other = other,
                               .window = machine->world->options.window};
    list_init(&end->link);
    list_init(&end->everywhere);
    list_append(network_streams(network_of(end)), &end->everywhere);
}

struct env_socket *stream_create_pair(struct network *network, struct machine *near,
                                      struct machine *far) {
    struct list *free_streams = network_free_streams(network);
    struct pair *pair = NULL;
    if (list_is_empty(free_streams)) {
        pair = memory_take(1, sizeof(*pair));
    } else {
        struct env_socket *first = CONTAINER_OF(free_streams->next, struct env_socket, everywhere);
        list_remove(&first->everywhere);
        pair = CONTAINER_OF(first, struct pair, ends[0]);
    }
    end_init(&pair->ends[0], near, &pair->ends[1]);
    end_init(&pair->ends[1], far, &pair->ends[0]);
    return &pair->ends[0];
}

static void end_free(struct env_socket *end) {
    end->number++;
    memory_give(end->ring);
    memory_give(end->pieces);
    end->ring = NULL;
    end->pieces = NULL;
    list_remove(&end->everywhere);
}

// The machine of the other end may be gone already.
static void give_pair(struct env_socket *end) {
    struct network *network = network_of(end);
    struct env_socket *first = end < end->other ? end : end->other; // of one array
    end_free(first);
    end_free(first->other);
    list_append(network_free_streams(network), &first->everywhere);
}

void stream_destroy_pair(struct env_socket *end) {
    struct env_socket *first = end < end->other ? end : end->other;
    end_free(first);
    end_free(first->other);
    memory_give(CONTAINER_OF(first, struct pair, ends[0]));
}

// The ring of bytes

static void ring_grow(struct env_socket *to, uint32_t need) {
    if (need <= to->ring_size) return;
    uint32_t size = 2 * to->ring_size > need ? 2 * to->ring_size : need;
    uint8_t *ring = memory_take(1, size);
    uint32_t used = to->arrived + to->flying;
    uint32_t straight = to->ring_size - to->head < used ? to->ring_size - to->head : used;
    if (used > 0) {
        memcpy(ring, to->ring + to->head, straight);
        memcpy(ring + straight, to->ring, used - straight);
    }
    memory_give(to->ring);
    to->ring = ring;
    to->ring_size = size;
    to->head = 0;
}

static void ring_give_if_empty(struct env_socket *to) {
    if (to->ring == NULL || to->arrived + to->flying > 0) return;
    memory_give(to->ring);
    to->ring = NULL;
    to->ring_size = 0;
    to->head = 0;
}

static void ring_put(struct env_socket *to, const uint8_t *bytes, uint32_t size) {
    uint32_t used = to->arrived + to->flying;
    ring_grow(to, used + size);
    uint32_t at = (to->head + used) % to->ring_size;
    uint32_t straight = to->ring_size - at < size ? to->ring_size - at : size;
    memcpy(to->ring + at, bytes, straight);
    memcpy(to->ring, bytes + straight, size - straight);
    to->flying += size;
}

static void ring_take(struct env_socket *to, uint8_t *bytes, uint32_t size) {
    must(to->ring != NULL);
    must(size <= to->arrived);
    uint32_t straight = to->ring_size - to->head < size ? to->ring_size - to->head : size;
    memcpy(bytes, to->ring + to->head, straight);
    memcpy(bytes + straight, to->ring, size - straight);
    to->head = (to->head + size) % to->ring_size;
    to->arrived -= size;
    ring_give_if_empty(to);
}

// Pieces under way

static void on_arrival(struct event *event);

static void expect_arrival(struct env_socket *to) {
    if (to->is_arriving || to->is_cut || to->piece_count == 0) return;
    uint64_t at = to->pieces[to->piece_first].at;
    uint64_t now = to->machine->world->now;
    to->is_arriving = true;
    socket_event(to, at > now ? at : now, on_arrival);
}

static void add_piece(struct env_socket *to, enum piece_kind kind, uint32_t size) {
    if (to->piece_count == to->piece_capacity) {
        uint32_t capacity = to->piece_capacity == 0 ? 1 : to->piece_capacity * 2;
        struct piece *pieces = memory_take(capacity, sizeof(*pieces));
        for (uint32_t i = 0; i < to->piece_count; i++) {
            pieces[i] = to->pieces[(to->piece_first + i) % to->piece_capacity];
        }
        memory_give(to->pieces);
        to->pieces = pieces;
        to->piece_capacity = capacity;
        to->piece_first = 0;
    }
    uint64_t travel = network_travel(network_of(to), to->other->machine, to->machine, size);
    uint64_t at = to->machine->world->now + travel; // or when those before it have arrived
    uint32_t place = (to->piece_first + to->piece_count) % to->piece_capacity;
    to->pieces[place] = (struct piece){.at = at, .size = size, .kind = kind};
    to->piece_count++;
    expect_arrival(to);
}

static void pieces_give_if_empty(struct env_socket *to) {
    if (to->pieces == NULL || to->piece_count > 0) return;
    memory_give(to->pieces);
    to->pieces = NULL;
    to->piece_capacity = 0;
    to->piece_first = 0;
}

static struct piece take_piece(struct env_socket *to) {
    struct piece piece = to->pieces[to->piece_first];
    to->piece_first = (to->piece_first + 1) % to->piece_capacity;
    to->piece_count--;
    pieces_give_if_empty(to);
    return piece;
}

void stream_drop_flight(struct env_socket *to) {
    to->flying = 0;
    to->piece_count = 0;
    to->is_cut = false;
    to->has_reset = false;
    ring_give_if_empty(to);
    pieces_give_if_empty(to);
}

static void add_reset(struct env_socket *to) {
    if (to->state != SOCKET_OPEN || to->is_broken || to->has_reset) return;
    to->has_reset = true;
    add_piece(to, PIECE_RESET, 0);
}

// Giving up

static void on_recv_ready(struct event *event);
static void on_send_ready(struct event *event);

static void break_end(struct env_socket *end) {
    end->is_broken = true;
    end->is_stuck = false;
    stream_drop_flight(end);
    if (end->recv_op != NULL) socket_event(end, soon(end->machine), on_recv_ready);
    if (end->send_op != NULL) socket_event(end, soon(end->machine), on_send_ready);
}

static void on_give_up(struct event *event) {
    struct env_socket *end = socket_live(event);
    if (end == NULL || end->is_broken || !end->is_stuck) return;
    struct world *world = end->machine->world;
    if (world->now < end->stuck_since + world->options.give_up_after) return; // stuck anew
    dice_count(&end->machine->dice, FAULT_NET_TIMEOUT);
    world_note(world, end->machine, "give-up", 0);
    stream_drop_flight(end->other);
    break_end(end);
}

// A kernel gives up also what a closed socket left behind, farewell included: the other end is then
// never told.
static void mark_stuck(struct env_socket *end) {
    if (end->is_broken || end->is_stuck) return;
    struct world *world = end->machine->world;
    end->is_stuck = true;
    end->stuck_since = world->now;
    socket_event(end, world->now + world->options.give_up_after, on_give_up);
}

static bool reaches(const struct env_socket *from) {
    if (from->is_hole) return false;
    return network_passes(network_of(from), from->machine, from->other->machine);
}

// Arriving

static void arrive_data(struct env_socket *to, uint32_t size) {
    to->flying -= size;
    if (to->state == SOCKET_OPEN && !to->is_broken) {
        to->arrived += size;
        return;
    }
    // The bytes behind these are as useless; they go as they arrive.
    to->head = to->ring_size == 0 ? 0 : (to->head + size) % to->ring_size;
    ring_give_if_empty(to);
    add_reset(to->other);
}

static void answer_recv(struct env_socket *to);

static void on_arrival(struct event *event) {
    struct env_socket *to = socket_live(event);
    if (to == NULL) return;
    to->is_arriving = false;
    if (to->piece_count == 0) return; // dropped meanwhile
    struct world *world = to->machine->world;
    if (to->pieces[to->piece_first].at > world->now) {
        expect_arrival(to);
        return;
    }
    struct env_socket *from = to->other;
    if (!reaches(from)) {
        to->is_cut = true;
        to->cut_since = world->now;
        if (!from->is_hole) dice_count(&from->machine->dice, FAULT_NET_CUT);
        mark_stuck(from);
        return;
    }
    struct piece piece = take_piece(to);
    expect_arrival(to);
    if (reaches(to)) {
        from->is_stuck = false;
    } else if (piece.kind == PIECE_DATA) {
        mark_stuck(from);
    }
    switch (piece.kind) {
    case PIECE_DATA:
        arrive_data(to, piece.size);
        break;
    case PIECE_END:
        to->is_ended = true;
        break;
    case PIECE_RESET:
        if (to->state == SOCKET_OPEN && !to->is_broken) break_end(to);
        return;
    }
    if (to->recv_op != NULL) answer_recv(to);
}

// Receiving

static void on_window(struct event *event) {
    struct env_socket *from = socket_live(event);
    if (from == NULL) return;
    from->is_window_waiting = false;
    if (from->state != SOCKET_OPEN || from->is_broken) return;
    if (!reaches(from->other)) {
        from->is_window_cut = true;
        mark_stuck(from);
        return;
    }
    stream_pump(from);
}

// Tells the sender that there is room again.
static void open_window(struct env_socket *to) {
    struct env_socket *from = to->other;
    if (from->send_op == NULL || from->sent == from->send_op->wanted) return;
    if (from->is_window_waiting || from->is_window_cut) return;
    from->is_window_waiting = true;
    uint64_t travel = network_travel(network_of(to), to->machine, from->machine, 0);
    socket_event(from, to->machine->world->now + travel, on_window);
}

static bool can_answer_recv(const struct env_socket *to) {
    return to->recv_op != NULL && (to->arrived > 0 || to->is_ended || to->is_broken);
}

static void deliver_recv(struct env_socket *to) {
    struct env_op *op = to->recv_op;
    to->recv_op = NULL;
    op->size = 0;
    op->status = ST_OK;
    uint64_t payload = 0;
    if (to->arrived > 0) {
        op->size = to->arrived < op->wanted ? to->arrived : op->wanted;
        ring_take(to, op->to, op->size);
        to->machine->traffic.received += op->size;
        payload = hash_bytes((struct slice){op->to, op->size}, 0);
        open_window(to);
    } else if (!to->is_ended) {
        op->status = ST_IO;
    }
    machine_deliver(to->machine, op, "recv", payload);
}

static void answer_recv(struct env_socket *to) {
    if (can_answer_recv(to) && !machine_is_at_work(to->machine)) deliver_recv(to);
}

void stream_collect(struct env_socket *stream) {
    if (stream->state == SOCKET_OPEN && can_answer_recv(stream)) deliver_recv(stream);
}

static void on_recv_ready(struct event *event) {
    struct env_socket *to = socket_live(event);
    if (to != NULL) answer_recv(to);
}

void stream_check_recv(struct env_socket *stream) {
    if (can_answer_recv(stream)) socket_event(stream, soon(stream->machine), on_recv_ready);
}

// Sending

static void on_send_ready(struct event *event) {
    struct env_socket *from = socket_live(event);
    if (from == NULL || from->send_op == NULL) return;
    struct env_op *op = from->send_op;
    bool is_whole = from->sent == op->wanted;
    if (!is_whole && !from->is_broken) return;
    from->send_op = NULL;
    op->status = is_whole ? ST_OK : ST_IO;
    op->size = is_whole ? op->wanted : 0;
    machine_deliver(from->machine, op, "send", op->size);
}

// One bit of the bytes just put into the ring.
static void flip_bit(struct env_socket *to, uint32_t size, struct rng *rng) {
    uint32_t back = rng_below(rng, size) + 1;
    uint32_t used = to->arrived + to->flying;
    uint8_t *byte = &to->ring[(to->head + used - back) % to->ring_size];
    *byte = (uint8_t)(*byte ^ 1u << rng_below(rng, 8));
}

static void break_both(struct env_socket *end, struct rng *rng) {
    if (rng_chance(rng, 1, 2)) stream_drop_flight(end);
    if (rng_chance(rng, 1, 2)) stream_drop_flight(end->other);
    add_reset(end);
    add_reset(end->other);
}

static void launch(struct env_socket *from, const uint8_t *bytes, uint32_t size) {
    struct env_socket *to = from->other;
    struct dice *dice = &from->machine->dice;
    ring_put(to, bytes, size);
    bool is_spared = (to->machine->dice.spared >> FAULT_NET_FLIP & 1) != 0;
    if (!is_spared && dice_roll_many(dice, FAULT_NET_FLIP, size)) {
        flip_bit(to, size, dice_stream(dice, FAULT_NET_FLIP));
    }
    if (size > 1 && dice_roll(dice, FAULT_NET_SPLIT)) {
        // A few pieces, of one byte each in one case of four.
        struct rng *rng = dice_stream(dice, FAULT_NET_SPLIT);
        bool bytewise = rng_chance(rng, 1, 4);
        for (uint32_t i = 0; i < 7 && size > 1; i++) {
            uint32_t part = bytewise ? 1 : rng_below(rng, size - 1) + 1;
            add_piece(to, PIECE_DATA, part);
            size -= part;
        }
    }
    add_piece(to, PIECE_DATA, size);
    if (dice_roll(dice, FAULT_NET_HOLE)) {
        from->is_hole = true;
        to->is_hole = true;
    }
    if (dice_roll(dice, FAULT_NET_RESET)) break_both(from, dice_stream(dice, FAULT_NET_RESET));
}

void stream_pump(struct env_socket *stream) {
    struct env_op *op = stream->send_op;
    if (op == NULL || stream->sent == op->wanted) return;
    if (stream->is_broken) {
        socket_event(stream, soon(stream->machine), on_send_ready);
        return;
    }
    const struct env_socket *to = stream->other;
    uint32_t used = to->arrived + to->flying;
    uint32_t room = used < stream->window ? stream->window - used : 0;
    uint32_t left = op->wanted - stream->sent;
    uint32_t part = left < room ? left : room;
    if (part > 0) {
        const uint8_t *bytes = op->from + stream->sent;
        stream->sent += part;
        launch(stream, bytes, part);
    }
    if (part == left) {
        socket_event(stream, soon(stream->machine), on_send_ready);
    } else {
        dice_count(&stream->machine->dice, FAULT_NET_PRESSURE);
    }
}

// Closing, and cuts that heal

void stream_close(struct env_socket *stream, enum piece_kind farewell) {
    must(stream->state == SOCKET_OPEN);
    must(stream->recv_op == NULL);
    must(stream->send_op == NULL);
    struct env_socket *other = stream->other;
    stream->state = SOCKET_CLOSED;
    stream->arrived = 0;
    stream->head = 0;
    ring_give_if_empty(stream);
    if (other->state == SOCKET_CLOSED) {
        give_pair(stream);
        return;
    }
    // What it never received makes room now, and what still arrives is answered by a reset.
    open_window(stream);
    if (stream->is_broken || other->is_broken) return;
    if (farewell == PIECE_END) add_piece(other, PIECE_END, 0);
    if (farewell == PIECE_RESET) add_reset(other);
}

void stream_resume(struct env_socket *stream) {
    struct world *world = stream->machine->world;
    struct env_socket *other = stream->other;
    if (stream->is_cut && reaches(other)) {
        uint64_t outage = world->now - stream->cut_since;
        uint64_t most = world->options.resend_max;
        if (outage < most) most = outage;
        uint64_t at = world->now + rng_next(&stream->machine->net_delays) % (most + 1);
        stream->is_cut = false;
        stream->pieces[stream->piece_first].at = at;
        expect_arrival(stream);
    }
    if (stream->is_window_cut && reaches(other)) {
        stream->is_window_cut = false;
        stream->is_window_waiting = true;
        socket_event(stream, world->now, on_window);
    }
    if (reaches(stream) && reaches(other)) stream->is_stuck = false;
}
