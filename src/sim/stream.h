// SPDX-License-Identifier: Apache-2.0
//
// stream.h -- the two ends of a connection and what is under way between them.
//
// Private to sim/network.c, which makes the ends and says which machines can reach each other;
// network.h tells how streams behave. What is sent to an end is kept at that end:
//
//     ring    | received already | arrived           | under way          | free |
//                                 head                head + arrived
//     pieces                                          first | second | ...
//
// The pieces under way arrive one by one, in order; one event is out for the first of them unless
// it waits at a cut. Ring and pieces are given back while they are empty: most ends are idle. The
// memory of a pair is used again after both ends are closed; events that still name it carry an
// older number and are void.
#ifndef QUOIT_SIM_STREAM_H
#define QUOIT_SIM_STREAM_H

#include "env/env.h"

struct event;
struct machine;
struct network;
struct world;

enum socket_state { SOCKET_CLOSED, SOCKET_LISTENING, SOCKET_OPEN };

enum piece_kind { PIECE_DATA, PIECE_END, PIECE_RESET };

struct piece {
    uint64_t at; // when it arrives, if nothing is in its way and all before it have
    uint32_t size;
    enum piece_kind kind;
};

struct env_socket {
    struct list link;       // what its machine has open, or the backlog of a listener
    struct list everywhere; // all streams, or all that are free; of a listener, its machine's
    uint64_t number;        // of this use of the memory
    struct machine *machine;
    enum socket_state state;
    uint32_t port; // of a stream its peer's, of a listener its own
    union {
        struct { // a listener
            uint32_t backlog_count;
            struct list backlog; // struct env_socket, connected and not accepted
            struct env_op *accept_op;
        };
        struct { // a stream
            struct env_socket *other;
            const char *host; // its peer's; lent by a machine, if it is not one that means oneself
            struct env_op *recv_op;
            struct env_op *send_op;
            uint32_t sent;   // bytes of send_op that the window has taken
            uint32_t window; // most bytes in the ring of either end
            uint64_t stuck_since;
            uint64_t cut_since;
            uint8_t *ring;
            uint32_t ring_size;
            uint32_t head;
            uint32_t arrived;
            uint32_t flying;
            struct piece *pieces; // a ring too
            uint32_t piece_capacity;
            uint32_t piece_first;
            uint32_t piece_count;
            bool is_ended : 1;          // the other end closed in order, and all before has arrived
            bool is_broken : 1;         // nothing moves any more, and this end knows
            bool is_hole : 1;           // nothing moves any more, and nobody knows
            bool is_stuck : 1;          // bytes are unanswered since stuck_since
            bool is_window_waiting : 1; // on its way: news that the other end has room again
            bool is_window_cut : 1;     // that news met a cut
            bool has_reset : 1;         // a reset is among the pieces
            bool is_arriving : 1;       // an event is out for the first piece
            bool is_cut : 1;            // the first piece waits at a cut, since cut_since
        };
    };
};

// An end of a new pair; the other is its `other`. Both are open and in no machine's list.
struct env_socket *stream_create_pair(struct network *network, struct machine *near,
                                      struct machine *far);

// Frees a pair, in use or not.
void stream_destroy_pair(struct env_socket *end);

// Answers a recv with all that has arrived while the process was at work. Does nothing to a
// listener.
void stream_collect(struct env_socket *stream);

// Serves recv_op or send_op, soon, if there is something to answer.
void stream_check_recv(struct env_socket *stream);
void stream_pump(struct env_socket *stream);

// This end is gone. The other hears of it in the given way: PIECE_DATA says not at all.
void stream_close(struct env_socket *stream, enum piece_kind farewell);

// Nothing that is under way to this end arrives.
void stream_drop_flight(struct env_socket *to);

// Looks again at what waits at a cut.
void stream_resume(struct env_socket *stream);

// Adds an event for this use of a socket; socket_live returns the socket, or NULL when it is over.
void socket_event(struct env_socket *socket, uint64_t at, void (*run)(struct event *event));
struct env_socket *socket_live(const struct event *event);

// The network's, for the streams.
bool network_passes(const struct network *network, const struct machine *from,
                    const struct machine *to);
uint64_t network_travel(struct network *network, struct machine *from, const struct machine *to,
                        uint32_t size);
struct list *network_free_streams(struct network *network);
struct list *network_streams(struct network *network);

#endif
