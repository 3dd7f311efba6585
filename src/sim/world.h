// SPDX-License-Identifier: Apache-2.0
//
// world.h -- clock and event order for all machines of a simulated cluster.
//
// The world is one thread that plays any number of machines. It keeps one clock and one queue of
// events; a step takes the first event, moves the clock to it and runs it. An event reaches at most
// one process: one callback, and then the process' env_later callbacks, before anything else
// happens. A run is a function of the seed, the faults and what the caller does between steps.
//
//     struct world *world = world_create(seed, &options);
//     struct machine *m = world_add_machine(world, "n1");
//     struct arena memory = machine_start(m, size);           // power on, begin a process
//     struct node *node = node_create(&memory, machine_env(m), ...);
//     machine_attach(m, node, next_wake, wake);               // its timers
//     machine_enter(m); node_start(node); machine_leave(m);   // calls into it from outside
//     while (world_step(world, until)) { ... }
//
// A machine has an env of its own: its clock (drift, jumps), its disk, its host name. Addresses are
// "n1:7379"; "127.0.0.1", "0.0.0.0" and "localhost" mean the machine itself.
//
// A process can end in two ways. machine_kill is kill -9: its requests and sockets are gone, peers
// find out as TCP lets them, files are as they were seen. machine_power_loss takes what was not
// synced as well (sim/disk.h), peers hear nothing at all, and the monotonic clock starts anew.
#ifndef QUOIT_SIM_WORLD_H
#define QUOIT_SIM_WORLD_H

#include "base/arena.h"
#include "env/env.h"
#include "sim/disk.h"
#include "sim/fault.h"

struct world;
struct machine;

// What the world is made of. All times in ns; mutable through world_options while it runs.
struct world_options {
    uint32_t rates[FAULT_COUNT]; // chances in FAULT_CERTAIN

    uint64_t disk_delay;    // a read or write, typically
    uint64_t sync_delay;    // a sync, typically
    uint64_t slow_max;      // FAULT_DISK_SLOW: from 10 times the usual to this
    uint64_t work_delay;    // env_work, typically
    uint64_t net_delay;     // one way between machines, typically
    uint64_t stall_max;     // FAULT_NET_STALL
    uint64_t connect_max;   // env_connect gives up
    uint64_t give_up_after; // a stream with unanswered bytes breaks
    uint64_t resend_max;    // after a partition heals, bytes move again within this
    uint64_t bandwidth;     // bytes/s that a machine can send; 0: no limit
    uint32_t window;        // bytes that a stream holds between send and recv
    uint64_t turn_max;      // a process is busy up to this long after an event and then finds all
                            // that arrived meanwhile at once; 0: each event alone
    int32_t personality;    // of all disks (enum disk_personality); -1: each draws one
    uint64_t quota;         // bytes of each disk; UINT64_MAX: no limit
};

// A quiet world: a local network, decent disks, no faults.
struct world_options world_quiet(void);

// One line of the trace; pointers lend for the call.
struct world_line {
    uint64_t at;      // ns of the world
    const char *host; // "" for the world itself
    const char *what;
    uint64_t payload;     // hash of the bytes that came with it, or a number
    struct slice text;    // of a log line
    enum env_level level; // of a log line
};

typedef void world_trace(void *context, const struct world_line *line);

struct world *world_create(uint64_t seed, const struct world_options *options);
void world_destroy(struct world *world);

// ns since the world began.
uint64_t world_now(const struct world *world);

// The time of the next event, or UINT64_MAX.
uint64_t world_next(struct world *world);

// Runs the next event and returns true; if none is due by `until`, moves the clock there and
// returns false.
bool world_step(struct world *world, uint64_t until);

// Steps until nothing is due any more by `until`.
void world_run(struct world *world, uint64_t until);

// Calls `function` as an event of its own, in no machine's process.
void world_at(struct world *world, uint64_t at, void (*function)(void *), void *context);

// Folded over time, machine, kind and payload of all that happened.
uint64_t world_trace_hash(const struct world *world);
uint64_t world_event_count(const struct world *world);
uint64_t world_fault_count(const struct world *world, enum fault fault);

// Called for every line from now on; log lines of machines are lines like others, named "log".
void world_set_trace(struct world *world, world_trace *trace, void *context);

// Lends, to be changed between steps.
struct world_options *world_options(struct world *world);

// A stream of random numbers for the caller's own purposes, by a number of its choice.
struct rng world_stream(const struct world *world, uint32_t purpose);

// Machines, in the order in which they were added. The name is copied; at most NAME_SIZE_MAX bytes.
struct machine *world_add_machine(struct world *world, const char *host);
struct machine *world_machine(const struct world *world, uint32_t index);
struct machine *world_find_machine(const struct world *world, const char *host); // may be NULL

const char *machine_host(const struct machine *machine);
uint32_t machine_index(const struct machine *machine);
struct world *machine_world(struct machine *machine);

// The env of its process, with clocks that are right. Lends for the life of the machine.
struct env *machine_env(struct machine *machine);

// Begins a process, with `memory_size` zeroed bytes that end with it. Requires that none runs.
struct arena machine_start(struct machine *machine, size_t memory_size);

// Registers the timers of the process. Borrows `node` until the process ends.
void machine_attach(struct machine *machine, void *node, uint64_t (*next_wake)(const void *node),
                    void (*wake)(void *node));

// Makes the process busy for as long as what it has just done takes: `effort` gives how long all
// together took that the process has done since it began, ns. Borrows the context until it ends.
void machine_set_effort(struct machine *machine, uint64_t (*effort)(const void *context),
                        const void *context);

// Surround every call into the process that does not come from env. Leaving runs env_later
// callbacks and looks at the timers.
void machine_enter(struct machine *machine);
void machine_leave(struct machine *machine);

// What a process has asked for and not got yet, and what it has opened and not closed.
struct machine_open {
    uint32_t requests;
    uint32_t files;
    uint32_t sockets;
};

struct machine_open machine_open_things(const struct machine *machine);

// Bytes that its processes have asked to be sent, and were given, since the world began.
struct machine_traffic {
    uint64_t sent;
    uint64_t received;
};

struct machine_traffic machine_traffic(const struct machine *machine);

// The process ends by itself, having shut down in order; returns what it left open.
struct machine_open machine_stop(struct machine *machine);

// End the process: not from within its own callbacks.
void machine_kill(struct machine *machine);
void machine_power_loss(struct machine *machine);

bool machine_is_running(const struct machine *machine); // a process lives, perhaps paused

// As SIGSTOP and SIGCONT: the kernel goes on, the process finds everything later.
void machine_pause(struct machine *machine);
void machine_resume(struct machine *machine);
bool machine_is_paused(const struct machine *machine);

// When the process last stopped running, ns, to be paused or busy.
uint64_t machine_away_since(const struct machine *machine);

// How much faster than the world its clock runs, in millionths, from now on; may be negative.
void machine_set_drift(struct machine *machine, int32_t parts_per_million);
void machine_step_wall(struct machine *machine, int64_t ms);

// Exempts a machine from a fault, whatever the rate in the options. Bits flip (FAULT_NET_FLIP) only
// between two machines neither of which is exempted.
void machine_spare(struct machine *machine, enum fault fault, bool is_spared);

// Makes a fault of a rate happen on this machine at the `occasion`-th occasion from now on,
// whatever the rate; 0 takes that back.
void machine_plan_fault(struct machine *machine, enum fault fault, uint32_t occasion);

// The network. Links are one-way; a new machine is linked with all.
void world_set_link(struct world *world, const struct machine *from, const struct machine *to,
                    bool is_whole);
bool world_has_link(const struct world *world, const struct machine *from,
                    const struct machine *to);
void world_isolate(struct world *world, const struct machine *machine); // both ways, from all
void world_rejoin(struct world *world, const struct machine *machine);  // mends them
void world_heal(struct world *world);                                   // all links

// Additional delay of one direction, for machines that are far apart.
void world_set_distance(struct world *world, const struct machine *from, const struct machine *to,
                        uint64_t delay);

// The disk, for oracles and for those who damage it. The disk itself lends until power is lost, or
// it is replaced.
struct disk *machine_disk(struct machine *machine);

// What would be found after a power loss that takes all it may: how many of the `size` bytes at
// `offset` exist, or -1 when there is no such file. Names come as from env_list, in `names`.
int64_t machine_durable_read(const struct machine *machine, const char *name, uint64_t offset,
                             uint8_t *to, uint32_t size);
uint32_t machine_durable_names(const struct machine *machine, uint8_t *names, uint32_t capacity);

// Flips a bit of a synced byte, makes the sector of one unreadable, or takes `bytes` synced bytes
// from the end. False: there are none.
bool machine_rot(struct machine *machine, const char *name, uint64_t offset);
bool machine_spoil(struct machine *machine, const char *name, uint64_t offset);
bool machine_cut_tail(struct machine *machine, const char *name, uint64_t bytes);
void machine_set_quota(struct machine *machine, uint64_t bytes);

// Makes all requests from now on take `factor` times as long; 1 is as usual.
void machine_slow_disk(struct machine *machine, uint32_t factor);

// Whether a request is under way that FAULT_DISK_SLOW has made slow, or was when its process ended.
bool machine_disk_is_slow(const struct machine *machine);

// How many requests have changed the disk so far: to crash at the k-th.
uint64_t machine_disk_effects(const struct machine *machine);

// Replace the disk of a machine without a process: by an empty one, or by a copy of `image`, which
// disk_copy made of this or another machine's, of this or another world.
void machine_wipe(struct machine *machine);
void machine_restore(struct machine *machine, const struct disk *image);

#endif
