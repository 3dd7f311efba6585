// SPDX-License-Identifier: Apache-2.0
#include "sim/world.h"

#include "base/hash.h"
#include "base/timer.h"
#include "sim/machine.h"
#include "sim/memory.h"
#include "sim/network.h"

struct world_options world_quiet(void) {
    return (struct world_options){
        .disk_delay = 100000,
        .sync_delay = 500000,
        .slow_max = 5 * NS_PER_SECOND,
        .work_delay = 200000,
        .net_delay = 200000,
        .stall_max = 30 * NS_PER_SECOND,
        .connect_max = 20 * NS_PER_SECOND,
        .give_up_after = 30 * NS_PER_SECOND,
        .resend_max = 2 * NS_PER_SECOND,
        .window = 256 * 1024,
        .personality = -1,
        .quota = UINT64_MAX,
    };
}

// The trace

void world_note(struct world *world, const struct machine *machine, const char *what,
                uint64_t payload) {
    uint32_t index = machine == NULL ? 0 : machine->index + 1;
    uint64_t word = 0;
    for (const char *c = what; *c != '\0'; c++) word = word * 131 + (uint8_t)*c;
    uint64_t hash = world->trace_hash ^ world->now;
    hash = hash_number(hash) ^ (word << 16 | index);
    world->trace_hash = hash_number(hash) ^ hash_number(payload + 1);
    if (world->trace == NULL) return;
    const struct world_line line = {
        .at = world->now,
        .host = machine == NULL ? "" : machine->host,
        .what = what,
        .payload = payload,
    };
    world->trace(world->trace_context, &line);
}

// Events

struct event *world_event(struct world *world, uint64_t at, event_run *run, void *target) {
    must(at >= world->now);
    struct event *event = events_add(&world->events, at);
    event->run = run;
    event->target = target;
    return event;
}

struct call {
    void (*function)(void *);
    void *context;
};

static void on_call(struct event *event) {
    struct call *call = event->target;
    struct call copy = *call;
    memory_give(call);
    copy.function(copy.context);
}

void world_at(struct world *world, uint64_t at, void (*function)(void *), void *context) {
    struct call *call = memory_take(1, sizeof(*call));
    *call = (struct call){function, context};
    world_event(world, at, on_call, call);
}

// Takes away events of processes that have ended.
static void skip_void(struct world *world) {
    while (world->events.count > 0) {
        struct event *event = world->events.heap[0].event;
        if (event->machine == NULL || event->life == event->machine->life) return;
        events_give(&world->events, events_take(&world->events));
    }
}

uint64_t world_next(struct world *world) {
    skip_void(world);
    return events_next(&world->events);
}

bool world_step(struct world *world, uint64_t until) {
    uint64_t at = world_next(world);
    if (at > until || at == UINT64_MAX) {
        if (until != UINT64_MAX && until > world->now) world->now = until;
        return false;
    }
    must(at >= world->now);
    world->now = at;
    world->event_count++;
    struct event *event = events_take(&world->events);
    event->run(event);
    events_give(&world->events, event);
    return true;
}

void world_run(struct world *world, uint64_t until) {
    while (world_step(world, until)) continue;
}

// Life

struct world *world_create(uint64_t seed, const struct world_options *options) {
    struct world *world = memory_take(1, sizeof(*world));
    world->seed = seed;
    world->options = *options;
    events_init(&world->events, fault_stream(seed, STREAM_TIES, 0));
    world->network = network_create(world);
    return world;
}

void world_destroy(struct world *world) {
    for (uint32_t i = 0; i < world->machine_count; i++) machine_destroy(world->machines[i]);
    for (; world->events.count > 0; events_give(&world->events, events_take(&world->events))) {
        struct event *event = world->events.heap[0].event;
        if (event->run == on_call) memory_give(event->target);
    }
    events_destroy(&world->events);
    network_destroy(world->network);
    memory_give(world->machines);
    memory_give(world);
}

uint64_t world_now(const struct world *world) {
    return world->now;
}

uint64_t world_trace_hash(const struct world *world) {
    return world->trace_hash;
}

uint64_t world_event_count(const struct world *world) {
    return world->event_count;
}

uint64_t world_fault_count(const struct world *world, enum fault fault) {
    must(fault < FAULT_COUNT);
    return world->counts[fault];
}

void world_set_trace(struct world *world, world_trace *trace, void *context) {
    world->trace = trace;
    world->trace_context = context;
}

struct world_options *world_options(struct world *world) {
    return &world->options;
}

struct rng world_stream(const struct world *world, uint32_t purpose) {
    return fault_stream(world->seed, STREAM_CALLER, purpose);
}

// Machines

struct machine *world_add_machine(struct world *world, const char *host) {
    must(world_find_machine(world, host) == NULL);
    if (world->machine_count == world->machine_capacity) {
        world->machine_capacity = world->machine_capacity == 0 ? 8 : world->machine_capacity * 2;
        world->machines =
            memory_grow(world->machines, world->machine_capacity, sizeof(struct machine *));
    }
    struct machine *machine = machine_create(world, world->machine_count, host);
    world->machines[world->machine_count++] = machine;
    network_add_machine(world->network);
    return machine;
}

struct machine *world_machine(const struct world *world, uint32_t index) {
    must(index < world->machine_count);
    return world->machines[index];
}

struct machine *world_find_machine(const struct world *world, const char *host) {
    for (uint32_t i = 0; i < world->machine_count; i++) {
        if (strcmp(world->machines[i]->host, host) == 0) return world->machines[i];
    }
    return NULL;
}

// Links

void world_set_link(struct world *world, const struct machine *from, const struct machine *to,
                    bool is_whole) {
    network_set_link(world->network, from->index, to->index, is_whole);
    world_note(world, from, is_whole ? "mend" : "cut", to->index);
    if (is_whole) network_resume(world->network);
}

bool world_has_link(const struct world *world, const struct machine *from,
                    const struct machine *to) {
    return network_has_link(world->network, from->index, to->index);
}

static void set_links(struct world *world, const struct machine *machine, bool are_whole) {
    for (uint32_t i = 0; i < world->machine_count; i++) {
        if (i == machine->index) continue;
        network_set_link(world->network, machine->index, i, are_whole);
        network_set_link(world->network, i, machine->index, are_whole);
    }
}

void world_isolate(struct world *world, const struct machine *machine) {
    world_note(world, machine, "isolate", 0);
    set_links(world, machine, false);
}

void world_rejoin(struct world *world, const struct machine *machine) {
    world_note(world, machine, "rejoin", 0);
    set_links(world, machine, true);
    network_resume(world->network);
}

void world_heal(struct world *world) {
    world_note(world, NULL, "heal", 0);
    for (uint32_t from = 0; from < world->machine_count; from++) {
        for (uint32_t to = 0; to < world->machine_count; to++) {
            network_set_link(world->network, from, to, true);
        }
    }
    network_resume(world->network);
}

void world_set_distance(struct world *world, const struct machine *from, const struct machine *to,
                        uint64_t delay) {
    network_set_distance(world->network, from->index, to->index, delay);
}
