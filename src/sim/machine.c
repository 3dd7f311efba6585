// SPDX-License-Identifier: Apache-2.0
#include "sim/machine.h"

#include "base/hash.h"
#include "base/timer.h"
#include "sim/files.h"
#include "sim/memory.h"
#include "sim/network.h"
#include "sim/stream.h"

#include <stdio.h>

enum {
    LATER_PHASES_MAX = 32, // then the world gets its turn
    ALIGNMENT = 64,        // of an arena
    LOOP_DELAY = 1000,     // ns from one turn of a process to the next, at least
    RATE_ONE = 1000000,    // clock_rate of a clock that is right
    OFFSET_MAX = 2000,     // ms that wall clocks differ from each other at first
    UPTIME_MAX = 1000,     // s that a machine may have been up when the world begins
};

#define WALL_START 1750000000000 // ms since 1970 when the world begins

static void look_at_timers(struct machine *m);

// Clocks

// What the monotonic clock shows now. Exact for any length of time: the part below a millisecond
// is scaled apart from the rest.
static uint64_t clock_now(const struct machine *m) {
    uint64_t passed = m->world->now - m->clock_since;
    uint64_t scaled =
        passed / RATE_ONE * m->clock_rate + passed % RATE_ONE * m->clock_rate / RATE_ONE;
    return m->clock_base + scaled;
}

// The first moment of the world at which the clock shows `time` or more.
static uint64_t clock_moment(const struct machine *m, uint64_t time) {
    if (time <= m->clock_base) return m->clock_since;
    uint64_t ahead = time - m->clock_base;
    uint64_t rest = (ahead % m->clock_rate * RATE_ONE + m->clock_rate - 1) / m->clock_rate;
    uint64_t passed = ahead / m->clock_rate * RATE_ONE + rest;
    return passed > UINT64_MAX - 1 - m->clock_since ? UINT64_MAX : m->clock_since + passed;
}

static void set_clocks(struct machine *m) {
    m->env.now = clock_now(m);
    m->env.wall_ms = (uint64_t)((int64_t)(m->env.now / NS_PER_MS) + m->wall_ahead);
}

// Sets the monotonic clock to some time after power came on, leaving the wall clock as it is.
static void boot_clock(struct machine *m, uint64_t uptime) {
    uint64_t shown = clock_now(m);
    m->clock_since = m->world->now;
    m->clock_base = uptime;
    m->wall_ahead += (int64_t)(shown / NS_PER_MS) - (int64_t)(uptime / NS_PER_MS);
}

void machine_set_drift(struct machine *machine, int32_t parts_per_million) {
    must(parts_per_million > -RATE_ONE);
    machine->clock_base = clock_now(machine);
    machine->clock_since = machine->world->now;
    machine->clock_rate = (uint32_t)(RATE_ONE + parts_per_million);
    dice_count(&machine->dice, FAULT_CLOCK_DRIFT);
    look_at_timers(machine); // they are due at other moments now
}

void machine_step_wall(struct machine *machine, int64_t ms) {
    machine->wall_ahead += ms;
    if ((int64_t)(clock_now(machine) / NS_PER_MS) + machine->wall_ahead < 0)
        machine->wall_ahead = 0;
    dice_count(&machine->dice, FAULT_CLOCK_STEP);
}

// Events

struct event *machine_event(struct machine *machine, uint64_t at, event_run *run, void *target) {
    struct event *event = world_event(machine->world, at, run, target);
    event->machine = machine;
    event->life = machine->life;
    return event;
}

// Turns of a process

static void on_turn(struct event *event);
static void on_wake(struct event *event);

static void want_turn(struct machine *m, uint64_t delay) {
    if (m->has_turn) return;
    m->has_turn = true;
    machine_event(m, m->world->now + delay, on_turn, NULL);
}

// Sees to it that an event comes when the process' next timer is due.
static void look_at_timers(struct machine *m) {
    if (m->node == NULL) return;
    uint64_t due = m->next_wake(m->node);
    if (due == TIMER_NEVER) return;
    uint64_t at = clock_moment(m, due);
    uint64_t soonest = m->world->now + LOOP_DELAY;
    if (at < soonest) at = soonest;
    if (at >= m->wake_at || at == UINT64_MAX) return;
    m->wake_at = at;
    machine_event(m, at, on_wake, NULL)->value = ++m->wake_number;
}

void machine_enter(struct machine *machine) {
    must(machine->is_running);
    must(!machine->is_inside);
    machine->is_inside = true;
    machine->env.late = 0;
    set_clocks(machine);
}

static void run_later(struct machine *m) {
    for (uint32_t phase = 0; phase < LATER_PHASES_MAX && !list_is_empty(&m->later); phase++) {
        // What asks again during this phase waits for the next one.
        const struct list *last = m->later.prev;
        for (bool is_last = false; !is_last;) {
            struct list *first = m->later.next;
            is_last = first == last;
            struct env_op *op = CONTAINER_OF(first, struct env_op, link);
            list_remove(first);
            m->requests--;
            op->status = ST_OK;
            op->size = 0;
            op->done(op);
        }
    }
    if (!list_is_empty(&m->later)) want_turn(m, LOOP_DELAY);
}

// How long what was just done keeps the process busy.
static uint64_t effort_of_turn(struct machine *m) {
    uint64_t turn_max = m->world->options.turn_max;
    if (turn_max > 0) return 1 + rng_next(&m->clock_rng) % turn_max;
    if (m->effort == NULL) return 0;
    uint64_t seen = m->effort_seen;
    m->effort_seen = m->effort(m->effort_context);
    return m->effort_seen - seen;
}

void machine_leave(struct machine *machine) {
    must(machine->is_inside);
    if (!machine->is_paused) run_later(machine);
    machine->is_inside = false;
    uint64_t effort = machine->has_turn ? 0 : effort_of_turn(machine);
    if (effort > 0) {
        machine->is_busy = true;
        machine->away_since = machine->world->now;
        want_turn(machine, effort);
    }
    look_at_timers(machine);
}

void machine_set_effort(struct machine *machine, uint64_t (*effort)(const void *context),
                        const void *context) {
    must(machine->is_running);
    machine->effort = effort;
    machine->effort_context = context;
    machine->effort_seen = effort(context);
}

void machine_submit(struct machine *machine, struct env_op *op) {
    must(machine->is_running);
    op->status = ST_OK;
    list_init(&op->link);
    machine->requests++;
}

void machine_deliver(struct machine *machine, struct env_op *op, const char *what,
                     uint64_t payload) {
    world_note(machine->world, machine, what, payload << 8 | op->status);
    if (machine->is_paused || machine->is_busy) {
        list_append(&machine->inbox, &op->link);
        return;
    }
    machine_enter(machine);
    machine->requests--;
    op->done(op);
    machine_leave(machine);
}

static void wake_if_due(struct machine *m) {
    if (m->node != NULL && m->next_wake(m->node) <= m->env.now) m->wake(m->node);
}

static void collect(struct machine *m) {
    m->is_busy = true; // so it waits in the inbox
    for (struct list *at = m->sockets.next; at != &m->sockets; at = at->next) {
        stream_collect(CONTAINER_OF(at, struct env_socket, link));
    }
}

// The process looks at the world again, after having been paused or busy, or in the middle of
// env_later callbacks that ask for more of them.
static void on_turn(struct event *event) {
    struct machine *m = event->machine;
    bool was_away = m->is_busy || m->was_paused;
    m->has_turn = false;
    if (m->effort != NULL && !m->is_paused) collect(m);
    m->is_busy = false;
    if (m->is_paused) return;
    m->was_paused = false;
    bool has_work = !list_is_empty(&m->inbox) || !list_is_empty(&m->later);
    if (!has_work && (m->node == NULL || clock_moment(m, m->next_wake(m->node)) > m->world->now)) {
        return; // idle, and free for the next event
    }
    world_note(m->world, m, "turn", 0);
    machine_enter(m);
    if (was_away) m->env.late = m->world->now - m->away_since;
    while (!list_is_empty(&m->inbox)) {
        struct env_op *op = CONTAINER_OF(m->inbox.next, struct env_op, link);
        list_remove(&op->link);
        m->requests--;
        op->done(op);
    }
    wake_if_due(m);
    machine_leave(m);
}

static void on_wake(struct event *event) {
    struct machine *m = event->machine;
    if (event->value != m->wake_number) return; // an earlier one was added since
    m->wake_at = UINT64_MAX;
    if (m->is_paused || m->is_busy) return; // the turn looks at the timers
    if (clock_moment(m, m->next_wake(m->node)) > m->world->now) {
        look_at_timers(m); // the timer was moved
        return;
    }
    world_note(m->world, m, "wake", 0);
    machine_enter(m);
    wake_if_due(m);
    machine_leave(m);
}

static void machine_later(struct env *env, struct env_op *op) {
    struct machine *m = machine_of(env);
    machine_submit(m, op);
    list_append(&m->later, &op->link);
    if (!m->is_inside) want_turn(m, LOOP_DELAY);
}

// A function of env_work is pure, so it must not matter when it runs: at once, or at the end.
static void on_worked(struct event *event) {
    struct env_op *op = event->target;
    if (op->wanted == 0) {
        void (*function)(void *) = NULL;
        memcpy(&function, &op->private[0], sizeof(function));
        function(op->private[1]);
    }
    op->status = ST_OK;
    op->size = 0;
    machine_deliver(event->machine, op, "work", 0);
}

static void machine_work(struct env *env, struct env_op *op, void (*function)(void *),
                         void *argument) {
    struct machine *m = machine_of(env);
    machine_submit(m, op);
    static_assert(sizeof(function) == sizeof(op->private[0]), "a function fits a pointer");
    memcpy(&op->private[0], &function, sizeof(function));
    op->private[1] = argument;
    op->wanted = rng_below(&m->clock_rng, 2);
    if (op->wanted == 1) function(argument);
    uint64_t delay = rng_delay(&m->clock_rng, m->world->options.work_delay);
    machine_event(m, m->world->now + delay, on_worked, op);
}

static void machine_log(struct env *env, enum env_level level, struct slice text) {
    struct machine *m = machine_of(env);
    struct world *world = m->world;
    uint64_t payload = hash_bytes(text, level);
    world->trace_hash = hash_number(world->trace_hash ^ payload);
    if (world->trace == NULL) return;
    const struct world_line line = {.at = world->now,
                                    .host = m->host,
                                    .what = "log",
                                    .payload = payload,
                                    .text = text,
                                    .level = level};
    world->trace(world->trace_context, &line);
}

static const struct env_ops machine_ops = {
    .open = files_open,
    .allocate = files_allocate,
    .read = files_read,
    .read_direct = files_read,
    .write = files_write,
    .sync = files_sync,
    .close = files_close,
    .sync_names = files_sync_names,
    .rename = files_rename,
    .link = files_link,
    .remove = files_remove,
    .list = files_list,
    .space = files_space,
    .listen = network_listen,
    .accept = network_accept,
    .connect = network_connect,
    .recv = network_recv,
    .send = network_send,
    .shut = network_shut,
    .peer = network_peer,
    .later = machine_later,
    .work = machine_work,
    .log = machine_log,
};

// Life of a machine and of its processes

static struct disk *make_disk(struct machine *m) {
    const struct world *world = m->world;
    struct rng fate = fault_stream(world->seed, STREAM_FATE, m->index);
    enum disk_personality personality = rng_next(&fate) % DISK_PERSONALITIES;
    if (world->options.personality >= 0) {
        personality = (enum disk_personality)world->options.personality;
    }
    struct disk *disk = disk_create(&m->dice, fate, personality);
    disk->quota = world->options.quota;
    return disk;
}

struct machine *machine_create(struct world *world, uint32_t index, const char *host) {
    must(strlen(host) <= NAME_SIZE_MAX);
    struct machine *m = memory_take(1, sizeof(*m));
    // The one or the other, as disks have them.
    m->env =
        (struct env){.ops = &machine_ops, .direct_unit = world->seed / 2 % 2 == 0 ? 512 : 4096};
    m->world = world;
    m->index = index;
    snprintf(m->host, sizeof(m->host), "%s", host);
    dice_init(&m->dice, world->seed, index, world->options.rates, world->counts);
    m->clock_rng = fault_stream(world->seed, STREAM_CLOCK, index);
    m->disk_delays = fault_stream(world->seed, STREAM_DISK, index);
    m->net_delays = fault_stream(world->seed, STREAM_NET, index);
    m->clock_rate = RATE_ONE;
    m->disk_factor = 1;
    m->clock_since = world->now;
    m->clock_base = (1 + rng_next(&m->clock_rng) % UPTIME_MAX) * NS_PER_SECOND;
    m->wall_ahead = WALL_START + (int64_t)(world->now / NS_PER_MS) -
                    (int64_t)(m->clock_base / NS_PER_MS) +
                    (int64_t)rng_below(&m->clock_rng, OFFSET_MAX);
    m->wake_at = UINT64_MAX;
    list_init(&m->inbox);
    list_init(&m->later);
    list_init(&m->disk_requests);
    list_init(&m->files);
    list_init(&m->sockets);
    list_init(&m->listening);
    m->disk = make_disk(m);
    set_clocks(m);
    return m;
}

struct arena machine_start(struct machine *machine, size_t memory_size) {
    must(!machine->is_running);
    machine->life++;
    machine->is_running = true;
    if (!machine->is_powered) {
        machine->is_powered = true;
        network_resume(machine->world->network);
    }
    world_note(machine->world, machine, "start", machine->life);
    set_clocks(machine);
    if (memory_size == 0) return (struct arena){0};
    machine->memory = memory_take(1, memory_size + ALIGNMENT);
    uint8_t *memory = machine->memory;
    while ((uintptr_t)memory % ALIGNMENT != 0) memory++;
    return arena_over(memory, memory_size);
}

void machine_attach(struct machine *machine, void *node, uint64_t (*next_wake)(const void *node),
                    void (*wake)(void *node)) {
    must(machine->is_running);
    must(node != NULL);
    machine->node = node;
    machine->next_wake = next_wake;
    machine->wake = wake;
    look_at_timers(machine);
}

static void forget(struct list *ops) {
    while (!list_is_empty(ops)) list_remove(ops->next);
}

static void end_process(struct machine *m, bool has_power) {
    must(m->is_running);
    must(!m->is_inside);
    world_note(m->world, m, "end", m->life);
    // What has taken effect is in the inbox; nobody is there any more to hear of it.
    forget(&m->inbox);
    forget(&m->later);
    files_abandon(m);
    network_abandon(m, has_power);
    m->life++; // voids its events
    m->requests = 0;
    m->is_running = false;
    if (!m->is_busy && !m->was_paused) m->away_since = m->world->now;
    m->is_paused = false;
    m->was_paused = false;
    m->is_busy = false;
    m->has_turn = false;
    m->effort = NULL;
    m->node = NULL;
    m->wake_at = UINT64_MAX;
    memory_give(m->memory);
    m->memory = NULL;
}

struct machine_open machine_stop(struct machine *machine) {
    struct machine_open open = machine_open_things(machine);
    end_process(machine, true);
    return open;
}

void machine_kill(struct machine *machine) {
    world_note(machine->world, machine, "kill", 0);
    dice_count(&machine->dice, FAULT_KILL);
    end_process(machine, true);
}

void machine_power_loss(struct machine *machine) {
    world_note(machine->world, machine, "power-loss", 0);
    dice_count(&machine->dice, FAULT_POWER_LOSS);
    if (machine->is_running) end_process(machine, false);
    machine->is_powered = false;
    disk_power_loss(machine->disk);
    boot_clock(machine, (1 + rng_below(&machine->clock_rng, 30)) * NS_PER_SECOND);
}

void machine_destroy(struct machine *machine) {
    if (machine->is_running) end_process(machine, true);
    disk_destroy(machine->disk);
    memory_give(machine);
}

void machine_pause(struct machine *machine) {
    must(machine->is_running);
    if (machine->is_paused) return;
    world_note(machine->world, machine, "pause", 0);
    dice_count(&machine->dice, FAULT_PAUSE);
    machine->is_paused = true;
    if (!machine->is_busy && !machine->was_paused) machine->away_since = machine->world->now;
    machine->was_paused = true;
}

void machine_resume(struct machine *machine) {
    if (!machine->is_paused) return;
    world_note(machine->world, machine, "resume", 0);
    machine->is_paused = false;
    want_turn(machine, LOOP_DELAY);
}

void machine_spare(struct machine *machine, enum fault fault, bool is_spared) {
    must(fault < FAULT_COUNT);
    uint64_t bit = 1ull << fault;
    machine->dice.spared = is_spared ? machine->dice.spared | bit : machine->dice.spared & ~bit;
}

void machine_plan_fault(struct machine *machine, enum fault fault, uint32_t occasion) {
    dice_plan(&machine->dice, fault, occasion);
}

bool machine_is_running(const struct machine *machine) {
    return machine->is_running;
}

bool machine_is_paused(const struct machine *machine) {
    return machine->is_paused;
}

uint64_t machine_away_since(const struct machine *machine) {
    return machine->away_since;
}

const char *machine_host(const struct machine *machine) {
    return machine->host;
}

uint32_t machine_index(const struct machine *machine) {
    return machine->index;
}

struct world *machine_world(struct machine *machine) {
    return machine->world;
}

struct env *machine_env(struct machine *machine) {
    if (!machine->is_inside) set_clocks(machine);
    return &machine->env;
}

struct machine_traffic machine_traffic(const struct machine *machine) {
    return machine->traffic;
}

struct machine_open machine_open_things(const struct machine *machine) {
    return (struct machine_open){
        .requests = machine->requests,
        .files = machine->files_open,
        .sockets = machine->sockets_open,
    };
}

// Its disk

struct disk *machine_disk(struct machine *machine) {
    return machine->disk;
}

int64_t machine_durable_read(const struct machine *machine, const char *name, uint64_t offset,
                             uint8_t *to, uint32_t size) {
    const struct disk_file *file = disk_find_durable(machine->disk, name);
    if (file == NULL) return -1;
    if (offset >= file->durable.size) return 0;
    uint64_t left = file->durable.size - offset;
    uint32_t part = left < size ? (uint32_t)left : size;
    image_read(&file->durable, offset, to, part);
    return part;
}

uint32_t machine_durable_names(const struct machine *machine, uint8_t *names, uint32_t capacity) {
    const struct disk_names *durable = &machine->disk->durable;
    uint32_t size = 0;
    for (uint32_t i = 0; i < durable->count; i++) {
        uint32_t part = (uint32_t)strlen(durable->entries[i].text) + 1;
        must(part <= capacity - size);
        memcpy(names + size, durable->entries[i].text, part);
        size += part;
    }
    return size;
}

bool machine_rot(struct machine *machine, const char *name, uint64_t offset) {
    struct disk_file *file = disk_find(machine->disk, name);
    if (file == NULL) return false;
    uint32_t bit = rng_below(dice_stream(&machine->dice, FAULT_DISK_ROT), 8);
    return disk_rot(machine->disk, file, offset, bit);
}

bool machine_spoil(struct machine *machine, const char *name, uint64_t offset) {
    struct disk_file *file = disk_find(machine->disk, name);
    return file != NULL && disk_spoil(machine->disk, file, offset);
}

bool machine_cut_tail(struct machine *machine, const char *name, uint64_t bytes) {
    struct disk_file *file = disk_find(machine->disk, name);
    return file != NULL && disk_cut_tail(machine->disk, file, bytes);
}

void machine_set_quota(struct machine *machine, uint64_t bytes) {
    machine->disk->quota = bytes;
}

void machine_slow_disk(struct machine *machine, uint32_t factor) {
    must(factor > 0);
    world_note(machine->world, machine, "slow-disk", factor);
    machine->disk_factor = factor;
    dice_count(&machine->dice, FAULT_DISK_SLOW);
}

bool machine_disk_is_slow(const struct machine *machine) {
    return machine->world->now < machine->disk_slow_until;
}

uint64_t machine_disk_effects(const struct machine *machine) {
    return machine->disk_effects;
}

static void replace_disk(struct machine *m, struct disk *disk) {
    must(!m->is_running);
    dice_count(&m->dice, FAULT_DISK_WIPE);
    disk->fate = m->disk->fate;
    disk->personality = m->disk->personality;
    disk->quota = m->disk->quota;
    disk->dice = &m->dice;
    disk_destroy(m->disk);
    m->disk = disk;
}

void machine_wipe(struct machine *machine) {
    world_note(machine->world, machine, "wipe", 0);
    replace_disk(machine, disk_create(&machine->dice, machine->disk->fate, DISK_ORDERED));
}

void machine_restore(struct machine *machine, const struct disk *image) {
    world_note(machine->world, machine, "restore", image->sequence);
    replace_disk(machine, disk_copy(image));
}
