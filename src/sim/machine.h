// SPDX-License-Identifier: Apache-2.0
//
// machine.h -- one simulated machine, as the parts of the world see it.
//
// Private to sim/: world.c owns machines and their clocks, files.c their requests to the disk,
// network.c their sockets. Others use world.h.
//
// A request of a process (struct env_op) goes through three stages. It is submitted, by a call from
// the process; it takes effect, in an event; and it is delivered, in the same event or, when the
// process is paused or busy, when it runs again. Between effect and delivery it waits in the inbox.
#ifndef QUOIT_SIM_MACHINE_H
#define QUOIT_SIM_MACHINE_H

#include "sim/events.h"
#include "sim/world.h"

struct network;

// Streams of random numbers that are of no fault's; the faults' have the numbers below these.
enum stream {
    STREAM_TIES = 1000,
    STREAM_CLOCK,
    STREAM_DISK,
    STREAM_FATE,
    STREAM_NET,
    STREAM_CALLER,
};

struct machine {
    struct env env;
    struct world *world;
    struct dice dice;
    uint32_t index;
    char host[NAME_SIZE_MAX + 1];

    // The process. `life` counts them; it is 0 before the first.
    uint32_t life;
    uint32_t requests; // submitted and not delivered
    bool is_powered;
    bool is_running;
    bool is_paused;
    bool was_paused; // until its turn event, like the next
    bool is_busy;
    uint64_t away_since; // ns of the world: paused, busy or ended since then
    uint64_t (*effort)(const void *context);
    const void *effort_context;
    uint64_t effort_seen; // ns
    bool is_inside;
    bool has_turn; // a turn event is under way
    struct list inbox;
    struct list later;
    void *memory;
    void *node;
    uint64_t (*next_wake)(const void *node);
    void (*wake)(void *node);
    uint64_t wake_at;     // of the wake event that counts, UINT64_MAX: none
    uint64_t wake_number; // tells it from the others

    // Clocks: at `clock_since` of the world the monotonic one showed `clock_base`.
    uint64_t clock_since;
    uint64_t clock_base;
    uint32_t clock_rate; // ns per ms of the world
    int64_t wall_ahead;  // ms that the wall clock is ahead of the monotonic one
    struct rng clock_rng;

    // Disk
    struct disk *disk;
    struct rng disk_delays;
    uint32_t disk_factor;      // how much slower than usual the disk is
    uint64_t disk_slow_until;  // ns: when the last request is over that was slow by itself
    uint64_t disk_effects;     // requests that changed it
    struct list disk_requests; // struct env_op, submitted and without effect yet
    struct list files;         // struct env_file
    uint32_t files_open;

    // Network
    struct list sockets;   // struct env_socket
    struct list listening; // of these, by `everywhere`
    uint32_t sockets_open;
    uint32_t last_port;
    struct machine_traffic traffic;
    uint64_t wire_free;           // when the bytes sent so far have left, with limited bandwidth
    char peer[NAME_SIZE_MAX + 7]; // host:port of a stream, as last asked for
    struct rng net_delays;
};

struct world {
    uint64_t now;
    uint64_t seed;
    struct world_options options;
    struct events events;
    uint64_t counts[FAULT_COUNT];
    uint64_t trace_hash;
    uint64_t event_count;
    world_trace *trace;
    void *trace_context;
    struct machine **machines;
    uint32_t machine_count;
    uint32_t machine_capacity;
    struct network *network;
};

struct machine *machine_create(struct world *world, uint32_t index, const char *host);
void machine_destroy(struct machine *machine);

static inline struct machine *machine_of(struct env *env) {
    return CONTAINER_OF(env, struct machine, env);
}

// Adds an event for the process that runs now; it is void when that process ends.
struct event *machine_event(struct machine *machine, uint64_t at, event_run *run, void *target);

// Adds an event that happens whatever becomes of processes.
struct event *world_event(struct world *world, uint64_t at, event_run *run, void *target);

// A process that is busy with what it has done finds what arrives in one piece, as one does that
// asks the kernel once a turn.
static inline bool machine_is_at_work(const struct machine *machine) {
    return machine->effort != NULL && machine->is_busy;
}

// Begins a request.
void machine_submit(struct machine *machine, struct env_op *op);

// Delivers a request that has taken effect; in an event only, and as the last thing in it.
void machine_deliver(struct machine *machine, struct env_op *op, const char *what,
                     uint64_t payload);

// Folds one thing that happened into the trace. `machine` may be NULL.
void world_note(struct world *world, const struct machine *machine, const char *what,
                uint64_t payload);

#endif
