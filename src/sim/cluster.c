// SPDX-License-Identifier: Apache-2.0
#include "sim/cluster.h"

#include <stdio.h>
#include <string.h>

const struct mac_key cluster_secret = {.bytes = "the sim's secret"};

enum {
    MEMBERS_OF_A_NODE = 16,
    REQUESTS_OF_A_NODE = 128,
    VALUE_OF_A_NODE = 16 * 1024, // five of the largest that the workload writes
};

void cluster_init(struct cluster *cluster, struct world *world,
                  const struct cluster_options *options) {
    must(options->members > 0);
    must(options->members <= CLUSTER_MEMBERS_MAX);
    must(options->newcomers < options->members);
    *cluster = (struct cluster){
        .world = world,
        .options = *options,
        .rng = world_stream(world, 1),
    };
    size_t size = 0;
    for (uint32_t i = 0; i < options->members; i++) {
        struct process *p = &cluster->processes[i];
        p->cluster = cluster;
        p->index = i;
        // In the order of their names, which is that of the map.
        snprintf(p->name, sizeof(p->name), options->members < 10 ? "n%u" : "n%02u", i + 1);
        memcpy(p->listen, p->name, sizeof(p->listen));
        p->machine = world_add_machine(world, p->name);
        p->has_seeds = i >= options->members - options->newcomers;
        if (p->has_seeds) continue;
        int written = snprintf(cluster->initial + size, sizeof(cluster->initial) - size,
                               "%s%s=%s:%u", i == 0 ? "" : ",", p->name, p->name, CLUSTER_PORT);
        must(written > 0);
        size += (size_t)written;
        must(size < sizeof(cluster->initial));
    }
    uint32_t second = options->members - options->newcomers > 1;
    (void)snprintf(cluster->seeds, sizeof(cluster->seeds), "%s:%d,%s:%d",
                   cluster->processes[0].name, CLUSTER_PORT, cluster->processes[second].name,
                   CLUSTER_PORT);
}

void cluster_add_copy(struct cluster *cluster, uint32_t index) {
    must(cluster->options.members < CLUSTER_MEMBERS_MAX);
    struct process *p = &cluster->processes[cluster->options.members];
    must(p->machine == NULL);
    p->cluster = cluster;
    p->index = cluster->options.members;
    memcpy(p->name, cluster->processes[index].name, sizeof(p->name));
    p->has_seeds = cluster->processes[index].has_seeds;
    (void)snprintf(p->listen, sizeof(p->listen), "copy");
    p->machine = world_add_machine(cluster->world, p->listen);
}

struct node_options cluster_node_options(const struct cluster *cluster) {
    struct node_options o = node_default_options();
    o.secret = cluster_secret;
    bool is_one = cluster->options.members - cluster->options.newcomers == 1;
    o.initial = is_one ? NULL : cluster->initial;
    o.members_max = MEMBERS_OF_A_NODE;
    o.requests_max = REQUESTS_OF_A_NODE;
    o.request_memory = (uint64_t)16 << 20;
    o.value_size_max = VALUE_OF_A_NODE;
    o.timeout_ns = 2 * NS_PER_SECOND;
    o.reconcile_ns = 5 * NS_PER_SECOND;
    o.purge_ns = 300 * NS_PER_MS;
    o.hash_above = 40; // most values are small here
    o.retire_above = 0;
    const struct cluster_options *options = &cluster->options;
    o.list_size = options->list_size;
    o.store.memory_max = options->memory_max == 0 ? (uint64_t)8 << 20 : options->memory_max;
    o.store.flush_size = options->flush_size;
    o.store.table_size = options->table_size;
    o.store.block_size = options->block_size;
    o.store.lookups_max = options->lookups_max;
    o.store.codec = options->codec;
    o.store.is_direct = options->is_direct;
    o.store.segment_size = 256ull * 1024;
    o.store.disk_reserve = 64ull * 1024;
    o.store.sync_interval_ns = options->sync_interval_ns;
    o.minted = cluster->options.minted;
    o.purged = cluster->options.purged;
    o.retired = cluster->options.retired;
    o.handed = cluster->options.handed;
    o.minted_context = cluster->options.minted_context;
    return o;
}

static struct server_options server_options_of(const struct process *p) {
    struct server_options o = server_default_options();
    o.listen = p->listen;
    o.port = CLUSTER_PORT;
    o.clients_max = 64;
    o.commands_max = 256;
    o.chunks_max = 1024;
    o.large_max = 4;
    o.value_size_max = VALUE_OF_A_NODE;
    o.version = "simulated";
    return o;
}

static void process_wake(void *node) {
    node_wake(node);
}

static uint64_t process_next_wake(const void *node) {
    return node_next_wake(node);
}

static void on_server_started(void *context, enum status status) {
    struct process *p = context;
    p->start_status = status;
    if (p->state == PROCESS_STARTING && status == ST_OK) p->state = PROCESS_UP;
    if (p->state == PROCESS_UP && p->is_misplaced) p->was_misled = true;
}

static void on_node_started(void *context, enum status status) {
    struct process *p = context;
    p->start_status = status;
    if (status == ST_OK) server_start(p->server, on_server_started, p);
}

void cluster_start(struct cluster *cluster, uint32_t index) {
    struct process *p = &cluster->processes[index];
    must(p->state == PROCESS_DOWN);
    struct node_options node = cluster_node_options(cluster);
    struct server_options server = server_options_of(p);
    if (p->has_seeds) node.initial = NULL;
    if (p->has_seeds) node.seeds = cluster->seeds;
    snprintf(node.self.name, sizeof(node.self.name), "%s", p->name);
    snprintf(node.self.host, sizeof(node.self.host), "%s", p->name);
    snprintf(node.self.rack, sizeof(node.self.rack), "rack%u", index % 3 + 1);
    snprintf(node.self.dc, sizeof(node.self.dc), "dc1");
    snprintf(node.self.address, sizeof(node.self.address), "%s", p->name);
    node.self.port = CLUSTER_PORT;
    node.self.shards = 1;
    node.self.weight = 1;
    node.listen = p->listen;
    node.random = rng_next(&cluster->rng);
    memcpy(server.random.bytes, &node.random, sizeof(node.random));
    if (cluster->options.draws_codec) {
        node.store.codec = (enum codec)rng_below(&cluster->rng, CODECS);
    }
    if (cluster->options.adjust != NULL) cluster->options.adjust(&node, &server);
    struct env *env = machine_env(p->machine);
    struct arena arena =
        machine_start(p->machine, node_memory_size(&node) + server_memory_size(&server) + 4096);
    p->state = PROCESS_STARTING;
    p->start_status = ST_OK;
    p->starts++;
    p->node = node_create(&arena, env, &node);
    p->server = server_create(&arena, env, p->node, &server);
    machine_attach(p->machine, p->node, process_next_wake, process_wake);
    machine_enter(p->machine);
    node_start(p->node, on_node_started, p);
    machine_leave(p->machine);
}

static void forget(struct process *p) {
    p->state = PROCESS_DOWN;
    p->node = NULL;
    p->server = NULL;
    const struct cluster_options *o = &p->cluster->options;
    if (o->ended != NULL) o->ended(o->ended_context, p->index);
}

void cluster_kill(struct cluster *cluster, uint32_t index) {
    struct process *p = &cluster->processes[index];
    must(p->state != PROCESS_DOWN);
    machine_kill(p->machine);
    forget(p);
}

void cluster_power_loss(struct cluster *cluster, uint32_t index) {
    struct process *p = &cluster->processes[index];
    must(p->state != PROCESS_DOWN);
    machine_power_loss(p->machine);
    forget(p);
}

// A process that has stopped exits; the world does not let it end from within its own callback.
static void on_exit_due(void *context) {
    struct process *p = context;
    if (p->state != PROCESS_STOPPING || !p->has_stopped) return;
    machine_kill(p->machine);
    forget(p);
}

static void on_node_stopped(void *context, enum status status) {
    struct process *p = context;
    p->start_status = status;
    p->has_stopped = true;
    p->left_open = machine_open_things(p->machine);
    world_at(p->cluster->world, world_now(p->cluster->world), on_exit_due, p);
}

static void on_server_stopped(void *context, enum status status) {
    struct process *p = context;
    (void)status;
    node_stop(p->node, on_node_stopped, p);
}

void cluster_stop(struct cluster *cluster, uint32_t index) {
    struct process *p = &cluster->processes[index];
    must(p->state == PROCESS_UP);
    p->state = PROCESS_STOPPING;
    p->has_stopped = false;
    machine_enter(p->machine);
    server_stop(p->server, on_server_stopped, p);
    machine_leave(p->machine);
}

struct node *cluster_node(const struct cluster *cluster, uint32_t index) {
    const struct process *p = &cluster->processes[index];
    return p->state == PROCESS_UP ? p->node : NULL;
}

struct partition cluster_partition(const struct cluster *cluster, uint32_t index,
                                   struct slice key) {
    const struct map *map = node_map(cluster_node(cluster, index));
    return (struct partition){map_keyspace_of(map, key)->number, slot_of(key)};
}

bool cluster_is_serving(const struct cluster *cluster, uint32_t index) {
    const struct node *node = cluster_node(cluster, index);
    return node != NULL && node_state(node) == NODE_SERVING;
}
