// SPDX-License-Identifier: Apache-2.0
#include "sim/crowd.h"

#include "base/timer.h"
#include "sim/memory.h"

#include <stdio.h>

#define STEP_NS (20 * NS_PER_MS)    // between looks at who has noticed
#define LOOK_NS (100 * NS_PER_MS)   // between looks of one in LOOKERS at all others
#define WELL_NS (8 * NS_PER_SECOND) // after which who has been stopped is to be up again
#define RESEND_NS (600 * NS_PER_MS)
#define STOP_LEAST_NS (1 * NS_PER_SECOND)
#define STOP_MOST_NS (5 * NS_PER_SECOND)

enum {
    CROWD_PORT = 7379,
    LOOKERS = 10,
    LOSS = FAULT_CERTAIN / 50,
    NAME_BYTES = 32,
    ENTRY_BYTES = 64, // of the list: a name, an address of as much, a port
};

struct one {
    struct crowd *crowd;
    struct machine *machine;
    struct node *node; // NULL: no process
    bool has_started;
    char name[NAME_BYTES];
    uint64_t stopped_until; // ns of the world, like the next; 0: it runs
    uint64_t well_since;
    struct machine_traffic before;
};

struct crowd {
    struct world *world;
    struct rng rng;
    char *initial;
    uint32_t count;
    struct one *all;
};

static const struct mac_key secret = {.bytes = "a crowd's secret"};

struct crowd *crowd_create(uint32_t members, uint64_t seed) {
    if (members < 2 || members > MEMBERS_MAX) return NULL;
    struct crowd *c = memory_take(1, sizeof(*c));
    struct world_options options = world_quiet();
    options.stall_max = RESEND_NS;
    c->world = world_create(seed, &options);
    c->rng = world_stream(c->world, 1);
    c->count = members;
    c->all = memory_take(members, sizeof(*c->all));
    c->initial = memory_take(members, ENTRY_BYTES);
    size_t size = 0;
    for (uint32_t i = 0; i < members; i++) {
        struct one *one = &c->all[i];
        one->crowd = c;
        (void)snprintf(one->name, sizeof(one->name), "n%u", i + 1);
        one->machine = world_add_machine(c->world, one->name);
        int written = snprintf(c->initial + size, ENTRY_BYTES, "%s%s=%s:%d", i == 0 ? "" : ",",
                               one->name, one->name, CROWD_PORT);
        must(written > 0);
        size += (size_t)written;
    }
    return c;
}

void crowd_destroy(struct crowd *c) {
    world_destroy(c->world);
    memory_give(c->initial);
    memory_give(c->all);
    memory_give(c);
}

struct world *crowd_world(struct crowd *c) {
    return c->world;
}

// As little as a node can do with, but for the intervals, which are those of a server.
static struct node_options options_of(const struct one *one) {
    struct node_options o = node_default_options();
    o.secret = secret;
    o.initial = one->crowd->initial;
    o.members_max = one->crowd->count;
    o.requests_max = 16;
    o.request_memory = (uint64_t)1 << 20;
    o.value_size_max = 1024;
    o.store.memory_max = node_data_min(&o);
    o.store.segment_size = (uint64_t)64 << 10;
    o.store.disk_reserve = (uint64_t)64 << 10;
    (void)snprintf(o.self.name, sizeof(o.self.name), "%s", one->name);
    (void)snprintf(o.self.host, sizeof(o.self.host), "%s", one->name);
    (void)snprintf(o.self.address, sizeof(o.self.address), "%s", one->name);
    o.self.port = CROWD_PORT;
    o.self.shards = 1;
    o.self.weight = 1;
    o.listen = one->name;
    return o;
}

static uint64_t next_wake(const void *node) {
    return node_next_wake(node);
}

static void wake(void *node) {
    node_wake(node);
}

static void on_started(void *context, enum status status) {
    struct one *one = context;
    must(status == ST_OK);
    one->has_started = true;
}

static void start(struct one *one) {
    struct node_options o = options_of(one);
    o.random = rng_next(&one->crowd->rng);
    struct arena arena = machine_start(one->machine, node_memory_size(&o) + 4096);
    one->has_started = false;
    one->node = node_create(&arena, machine_env(one->machine), &o);
    machine_attach(one->machine, one->node, next_wake, wake);
    machine_enter(one->machine);
    node_start(one->node, on_started, one);
    machine_leave(one->machine);
    one->well_since = world_now(one->crowd->world);
}

static bool is_serving(const struct one *one) {
    return one->node != NULL && one->has_started && node_state(one->node) == NODE_SERVING;
}

static enum verdict verdict_of(const struct crowd *c, uint32_t from, uint32_t to) {
    const struct one *one = &c->all[from];
    if (!is_serving(one)) return VERDICT_DOWN;
    const char *name = c->all[to].name;
    uint32_t index = map_find_name(node_map(one->node), slice_of_string(name));
    return node_view(one->node, index).verdict;
}

// How many others take the member to be that.
static uint32_t count_seeing(const struct crowd *c, uint32_t member, enum verdict wanted) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < c->count; i++) {
        count += i != member && is_serving(&c->all[i]) && verdict_of(c, i, member) == wanted;
    }
    return count;
}

static bool all_see_all(const struct crowd *c) {
    for (uint32_t i = 0; i < c->count; i++) {
        if (count_seeing(c, i, VERDICT_UP) < c->count - 1) return false;
    }
    return true;
}

static bool wait_until_all_see_all(struct crowd *c, uint64_t patience) {
    uint64_t until = world_now(c->world) + patience;
    while (!all_see_all(c)) {
        if (world_now(c->world) >= until) return false;
        world_run(c->world, world_now(c->world) + NS_PER_SECOND);
    }
    return true;
}

bool crowd_begin(struct crowd *c, uint64_t patience) {
    for (uint32_t i = 0; i < c->count; i++) start(&c->all[i]);
    return wait_until_all_see_all(c, patience);
}

struct crowd_traffic crowd_rest(struct crowd *c, uint64_t time) {
    must(time > 0);
    must(c->count > 0);
    for (uint32_t i = 0; i < c->count; i++) c->all[i].before = machine_traffic(c->all[i].machine);
    world_run(c->world, world_now(c->world) + time);
    struct crowd_traffic traffic = {0};
    uint64_t sum = 0;
    for (uint32_t i = 0; i < c->count; i++) {
        const struct one *one = &c->all[i];
        struct machine_traffic now = machine_traffic(one->machine);
        uint64_t sent = (now.sent - one->before.sent) * NS_PER_SECOND / time;
        uint64_t received = (now.received - one->before.received) * NS_PER_SECOND / time;
        sum += sent;
        if (sent > traffic.most_sent) traffic.most_sent = sent;
        if (received > traffic.most_received) traffic.most_received = received;
    }
    traffic.mean = sum / c->count;
    return traffic;
}

static void note(uint64_t *when, bool is_so, uint64_t took) {
    if (*when == 0 && is_so) *when = took;
}

bool crowd_lose(struct crowd *c, uint32_t member, bool is_power_loss, uint64_t patience,
                struct crowd_notice *notice) {
    struct one *one = &c->all[member];
    *notice = (struct crowd_notice){0};
    if (is_power_loss) {
        machine_power_loss(one->machine);
    } else {
        machine_kill(one->machine);
    }
    one->node = NULL;
    uint64_t began = world_now(c->world);
    uint32_t others = c->count - 1;
    while (notice->all == 0) {
        if (world_now(c->world) - began >= patience) return false;
        world_run(c->world, world_now(c->world) + STEP_NS);
        uint32_t count = count_seeing(c, member, VERDICT_DOWN);
        uint64_t took = world_now(c->world) - began;
        note(&notice->half, 2 * count >= others, took);
        note(&notice->nearly_all, 100 * (uint64_t)count >= 99 * (uint64_t)others, took);
        note(&notice->all, count == others, took);
    }
    start(one);
    return wait_until_all_see_all(c, patience);
}

static void go_on(struct one *one) {
    machine_resume(one->machine);
    one->stopped_until = 0;
    one->well_since = world_now(one->crowd->world);
}

static void stop_some(struct crowd *c, struct crowd_trouble *trouble) {
    uint64_t now = world_now(c->world);
    uint32_t stopped = 0;
    for (uint32_t i = 0; i < c->count; i++) {
        struct one *one = &c->all[i];
        if (one->stopped_until != 0 && one->stopped_until <= now) go_on(one);
        stopped += one->stopped_until != 0;
    }
    for (; stopped < (c->count + 99) / 100; stopped++) {
        struct one *one = &c->all[rng_below(&c->rng, c->count)];
        if (one->stopped_until != 0) continue;
        machine_pause(one->machine);
        uint64_t most = STOP_MOST_NS - STOP_LEAST_NS;
        one->stopped_until = now + STOP_LEAST_NS + rng_next(&c->rng) % most;
        trouble->stops++;
    }
}

static void look(const struct crowd *c, uint32_t from, struct crowd_trouble *trouble) {
    uint64_t now = world_now(c->world);
    if (c->all[from].stopped_until != 0) return;
    for (uint32_t to = 0; to < c->count; to++) {
        const struct one *other = &c->all[to];
        bool is_well = other->stopped_until == 0 && now - other->well_since >= WELL_NS;
        if (to == from || !is_well) continue;
        enum verdict verdict = verdict_of(c, from, to);
        trouble->looks++;
        trouble->accused += verdict == VERDICT_DOWN;
        trouble->doubted += verdict != VERDICT_UP;
    }
}

struct crowd_trouble crowd_suffer(struct crowd *c, uint64_t time) {
    struct crowd_trouble trouble = {0};
    uint32_t *rate = &world_options(c->world)->rates[FAULT_NET_STALL];
    *rate = LOSS;
    uint64_t end = world_now(c->world) + time;
    for (uint32_t turn = 0; world_now(c->world) < end; turn++) {
        stop_some(c, &trouble);
        world_run(c->world, world_now(c->world) + LOOK_NS);
        for (uint32_t i = turn % LOOKERS; i < c->count; i += LOOKERS) look(c, i, &trouble);
    }
    *rate = 0;
    for (uint32_t i = 0; i < c->count; i++) {
        if (c->all[i].stopped_until != 0) go_on(&c->all[i]);
    }
    return trouble;
}
