// SPDX-License-Identifier: Apache-2.0
//
// quoitd -- one member of a cluster.
//
//     configuration -> data directory held -> memory, once -> node and server -> turns of the loop
//     SIGTERM or SIGINT -> server stops -> node stops -> exit 0
//
// What is wrong with the configuration or the place is said in one line, and the exit status is 1.
#include "base/text.h"
#include "bin/daemon_check.h"
#include "bin/daemon_identity.h"
#include "bin/daemon_memory.h"
#include "bin/version.h"
#include "env/system.h"
#include "env/system_memory.h"
#include "node/node.h"
#include "server/server.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum {
    SETTINGS_MAX = CONFIG_KEYS_MAX + 32,
    FILES_SPARE = 64, // descriptors that are neither clients nor peers
    REASON_MAX = 511,
};

#define LISTEN_PATIENCE_NS (2 * NS_PER_SECOND)

enum phase { STARTING, RUNNING, STOPPING, STOPPED, FAILED };

struct daemon {
    struct config config;
    struct identity identity;
    struct complaint complaint;
    struct node_options node_options;
    struct server_options server_options;
    struct memory_split split;
    struct server_setting settings[SETTINGS_MAX];
    uint32_t setting_count;
    char numbers[8][24]; // texts of settings
    char system[128];    // name and release of the operating system
    uint64_t measured;   // ns: when the server was last told what the process uses
    struct env *env;
    struct arena arena;
    struct node *node;
    struct server *server;
    int lock;
    enum phase phase;
    bool has_run;      // clients and peers could connect
    uint32_t starting; // parts that have not said whether they run
    bool is_ready;
    bool is_node_up; // and is to be stopped
    bool is_server_up;
    const char *failure;
    char reason[REASON_MAX + 1]; // the last line at level ERROR before that
};

_Noreturn void must_fail(const char *cond, const char *file, int line) {
    (void)fprintf(stderr, "FATAL must(%s) failed at %s:%d\n", cond, file, line);
    abort();
}

static int refuse(const char *text) {
    (void)fprintf(stderr, "quoitd: %s\n", text);
    return EXIT_FAILURE;
}

// The last error is the reason of a failure that follows; of ports that are taken, the first.
static void note_reason(struct daemon *d, struct slice line) {
    static const char listen[] = "cannot listen ";
    size_t size = sizeof(listen) - 1;
    bool is_next_port = line.size > size && memcmp(line.data, listen, size) == 0 &&
                        strncmp(d->reason, listen, size) == 0;
    if (is_next_port) return;
    (void)snprintf(d->reason, sizeof(d->reason), "%.*s", (int)line.size, (const char *)line.data);
}

static void write_log(void *context, enum env_level level, struct slice line) {
    static const char *const names[] = {"DEBUG", "INFO", "WARNING", "ERROR"};
    struct daemon *daemon = context;
    if (level == ENV_ERROR && daemon->failure == NULL) note_reason(daemon, line);
    if (level < daemon->config.log_level) return;
    uint64_t wall_ms = daemon->env == NULL ? 0 : daemon->env->wall_ms;
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm date;
    char stamp[32];
    (void)gmtime_r(&seconds, &date);
    (void)strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &date);
    (void)fprintf(stderr, "%s.%03uZ %s %.*s\n", stamp, (unsigned)(wall_ms % 1000), names[level],
                  (int)line.size, (const char *)line.data);
}

// What CONFIG GET shows: what Redis's tools ask for, then our own keys.

static void add_setting(struct daemon *d, const char *name, const char *value) {
    must(d->setting_count < SETTINGS_MAX);
    d->settings[d->setting_count++] = (struct server_setting){name, value};
}

static void add_number(struct daemon *d, const char *name, uint64_t value, uint32_t place) {
    must(place < sizeof(d->numbers) / sizeof(d->numbers[0]));
    (void)snprintf(d->numbers[place], sizeof(d->numbers[place]), "%" PRIu64, value);
    add_setting(d, name, d->numbers[place]);
}

// The nearest of Redis's words that does not promise more than is so.
static const char *append_fsync(uint64_t interval_ms) {
    if (interval_ms == 0) return "always";
    return interval_ms <= 1000 ? "everysec" : "no";
}

static const char *redis_log_level(enum env_level level) {
    switch (level) {
    case ENV_DEBUG:
        return "debug";
    case ENV_INFO:
        return "notice";
    case ENV_WARNING:
    case ENV_ERROR:
        return "warning";
    }
    unreachable();
}

static void make_settings(struct daemon *d) {
    add_setting(d, "save", "");
    add_setting(d, "appendonly", "yes");
    add_setting(d, "appendfsync", append_fsync(d->config.interval_ms));
    add_number(d, "maxmemory", d->split.data, 0);
    add_setting(d, "maxmemory-policy", "noeviction");
    add_setting(d, "databases", "1");
    add_number(d, "proto-max-bulk-len", d->config.value_max, 1);
    add_setting(d, "requirepass", "");
    add_setting(d, "notify-keyspace-events", "");
    add_setting(d, "cluster-enabled", "yes");
    add_setting(d, "loglevel", redis_log_level(d->config.log_level));
    const struct map_description *self = &d->identity.self;
    for (size_t i = 0; i < config_key_count(); i++) {
        const char *name = config_key_name(i);
        const char *text = config_key_text(&d->config, i);
        if (strcmp(name, "name") == 0) text = self->name;
        if (strcmp(name, "host") == 0) text = self->host;
        if (strcmp(name, "address") == 0) text = self->address;
        // One that the server may change is shown by it.
        if (strcmp(name, "idle-timeout") != 0) add_setting(d, name, text);
    }
}

// Options.

static void make_options(struct daemon *d) {
    const struct config *config = &d->config;
    struct node_options *node = &d->node_options;
    *node = node_default_options();
    node->self = d->identity.self;
    node->initial = config->initial;
    node->seeds = config->seeds;
    if (config->new_cluster != NULL) {
        node->cluster = map_cluster_number(slice_of_string(config->new_cluster));
    }
    node->listen = config->bind;
    node->secret = d->identity.secret;
    system_random(&node->random, sizeof(node->random));
    node->replication = (uint32_t)config->replication;
    node->members_max = d->identity.members;
    node->value_size_max = (uint32_t)config->value_max;
    node->timeout_ns = config->timeout_ms * NS_PER_MS;
    node->hedge_ns = config->hedge_ms * NS_PER_MS;
    node->hints_max = config->hints_max;
    node->suspect_ns = config->suspect_ms * NS_PER_MS;
    node->store.sync_interval_ns = config->interval_ms * NS_PER_MS;
    node->store.codec = config->compression;
    node->store.is_direct = config->is_direct;
    system_random(&node->store.seed, sizeof(node->store.seed));

    struct server_options *server = &d->server_options;
    *server = server_default_options();
    server->listen = config->bind;
    server->port = (uint16_t)config->port;
    server->password = d->identity.has_password ? d->identity.password : NULL;
    server->clients_max = (uint32_t)config->clients_max;
    server->value_size_max = (uint32_t)config->value_max;
    server->replication = node->replication;
    server->idle_ns = config->idle_s * NS_PER_SECOND;
    server->stall_ns = config->stall_s * NS_PER_SECOND;
    server->read = config->read;
    server->write = config->write;
    server->version = QUOIT_VERSION;
    server->process_id = (uint64_t)getpid();
    server->memory_max = config->memory;
    server->system = system_release(d->system, sizeof(d->system));
    server->has_batch = config->has_batch;
    server->has_monitor = config->has_monitor;
    server->has_debug = config->has_debug;
    system_random(&server->random, sizeof(server->random));
}

// Running.

// Why it failed is in the line before; the status says it where there is none.
static void fail(struct daemon *d, const char *what, enum status status) {
    d->phase = FAILED;
    if (d->failure != NULL) return;
    d->failure = what;
    if (d->reason[0] == '\0') {
        env_log(d->env, ENV_ERROR, "%s why=\"%s\"", what, status_text(status));
    } else {
        env_log(d->env, ENV_ERROR, "%s", what);
    }
}

static void started_part(struct daemon *d) {
    if (--d->starting > 0 || d->phase != STARTING) return;
    d->phase = RUNNING;
    d->has_run = true;
    env_log(d->env, ENV_INFO,
            "listening port=%" PRIu64 " shard_port=%" PRIu64 " peer_port=%" PRIu64 " bind=%s",
            d->config.port, d->config.port + PORT_SHARD_OFFSET, d->config.port + PORT_PEER_OFFSET,
            d->config.bind);
}

static void on_server_started(void *context, enum status status) {
    struct daemon *d = context;
    if (status != ST_OK) {
        fail(d, "cannot listen for clients, on port or port + 2000", status);
    } else {
        d->is_server_up = true;
    }
    started_part(d);
}

static const char *start_failure(enum status status) {
    if (status == ST_CORRUPT) {
        return "cannot start: the data cannot be read; move it away, and the other members, if "
               "there are any, give back what was in it";
    }
    if (status == ST_NO_SPACE) {
        return "cannot start: the disk is full";
    }
    if (status == ST_NO_MEMORY) {
        return "cannot start: memory is too little for what is on the disk; give it more";
    }
    if (status == ST_TOO_LARGE) {
        return "cannot start: the cluster has more members, or more copies of a key, than initial, "
               "members-max and replication allow for; start this node with those of the others";
    }
    if (status == ST_INVALID) {
        return "cannot start: the data in this directory does not fit how this node is started";
    }
    if (status == ST_SNAPSHOT) {
        return "cannot start: what is in this directory is a snapshot; quoit restore makes a "
               "directory of it that a node can use";
    }
    return "cannot start: a file, or the port for other nodes, which is port + 10000, cannot be "
           "used";
}

static void on_node_started(void *context, enum status status) {
    struct daemon *d = context;
    if (status != ST_OK) {
        fail(d, start_failure(status), status);
    } else {
        d->is_node_up = true;
    }
    started_part(d);
}

static void on_node_stopped(void *context, enum status status) {
    struct daemon *d = context;
    if (status != ST_OK) {
        fail(d, "the data could not be closed in order", status);
    } else {
        d->phase = STOPPED;
    }
}

static void on_server_stopped(void *context, enum status status) {
    struct daemon *d = context;
    (void)status;
    node_stop(d->node, on_node_stopped, d);
}

// A level that asks for more copies than there ever can be is refused before anything is touched.
static bool level_can_be(struct daemon *d, const char *what, struct level level) {
    uint32_t copies = node_copies_max((uint32_t)d->config.replication);
    if (copies > d->identity.members) copies = d->identity.members;
    if (level.kind != LEVEL_COUNT || level.count <= copies) return true;
    complain_of(&d->complaint,
                "%s: %" PRIu32 " is more than the copies that a key can have, %" PRIu32
                ": as many as replication, and as there are members in initial or room for by "
                "members-max",
                what, level.count, copies);
    return false;
}

static bool levels_can_be(struct daemon *d) {
    return level_can_be(d, "read", d->config.read) && level_can_be(d, "write", d->config.write);
}

// The map may have fewer: it is by hosts, and as the cluster was founded.
static void warn_of_level(const struct daemon *d, const char *what, struct level level) {
    uint32_t copies = node_copies(d->node);
    if (level.kind != LEVEL_COUNT || level.count <= copies) return;
    env_log(d->env, ENV_WARNING,
            "no operation can have this level: a key has fewer copies %s=%" PRIu32
            " copies=%" PRIu32,
            what, level.count, copies);
}

// One line when clients can be served, which may be long after clients can connect.
static void watch_readiness(struct daemon *d) {
    if (d->is_ready || node_state(d->node) != NODE_SERVING) return;
    d->is_ready = true;
    const struct map *map = node_map(d->node);
    env_log(d->env, ENV_INFO, "ready port=%" PRIu64 " name=%s members=%" PRIu32 " epoch=%" PRIu64,
            d->config.port, d->identity.self.name, map->member_count, map->epoch);
    warn_of_level(d, "read", d->config.read);
    warn_of_level(d, "write", d->config.write);
}

// Tells the server, for INFO, what the process has used.
static void measure(struct daemon *d) {
    if (d->env->now - d->measured < NS_PER_SECOND && d->measured > 0) return;
    d->measured = d->env->now;
    struct system_usage used = system_used();
    const struct server_usage usage = {used.user_us, used.system_us, used.resident};
    server_note_usage(d->server, &usage);
}

static void end_if_ousted(struct daemon *d) {
    if (!node_is_ousted(d->node) || d->phase == FAILED) return;
    fail(d, "another process is this member: the data directory was copied, or replaced",
         ST_CANCELLED);
}

static void run(struct daemon *d) {
    d->starting = 2;
    server_start(d->server, on_server_started, d);
    node_start(d->node, on_node_started, d);
    while (d->phase != STOPPED && d->phase != FAILED) {
        system_wait(d->env, node_next_wake(d->node));
        node_wake(d->node);
        measure(d);
        end_if_ousted(d);
        if (d->phase != RUNNING) continue;
        watch_readiness(d);
        if (!system_is_stopping()) continue;
        env_log(d->env, ENV_INFO, "stopping");
        d->phase = STOPPING;
        server_stop(d->server, on_server_stopped, d);
    }
    if (d->phase == STOPPED) env_log(d->env, ENV_INFO, "stopped");
}

// A descriptor for each client and peer, as far as the system lets us.
static void make_room_for_files(struct daemon *d) {
    struct rlimit limit;
    rlim_t wanted = d->config.clients_max + (rlim_t)3 * d->identity.members + FILES_SPARE;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted) return;
    limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur >= wanted) return;
    env_log(d->env, ENV_WARNING, "too few files for clients-max limit=%llu wanted=%llu",
            (unsigned long long)limit.rlim_cur, (unsigned long long)wanted);
}

// Sizes everything. False, with a complaint, when the memory is too little, more than can be used,
// or more than this place has.
static bool divide_memory(struct daemon *d) {
    if (!memory_divide(&d->config, &d->node_options, &d->server_options, &d->split,
                       &d->complaint)) {
        return false;
    }
    uint64_t most = system_memory_most("");
    if (d->config.memory <= most) return true;
    complain_of(&d->complaint,
                "memory: %" PRIu64 "M is more than this machine, or the control group of this "
                "process, can ever give, which is %" PRIu64 "M",
                d->config.memory >> 20, most >> 20);
    return false;
}

// Until the loop runs a signal ends the process at once, as it should.
static int serve(struct daemon *d) {
    struct env_options options = {
        .directory = d->config.directory,
        .log = write_log,
        .log_context = d,
        .is_portable = d->config.io == CONFIG_IO_PORTABLE,
        .listen_until = shared_clock() + LISTEN_PATIENCE_NS,
    };
    struct env_complaint why = {0};
    if (system_lock_directory(d->config.directory, &d->lock, &why) != ST_OK) {
        return refuse(why.text);
    }
    if (!identity_find_secrets(&d->identity, &d->config, &d->complaint)) {
        return refuse(d->complaint.text);
    }
    make_options(d);
    if (!divide_memory(d)) return refuse(d->complaint.text);
    make_settings(d);
    d->server_options.settings = d->settings;
    d->server_options.setting_count = d->setting_count;
    size_t size = node_memory_size(&d->node_options) + server_memory_size(&d->server_options);
    d->arena = system_arena(size);
    if (d->arena.memory == NULL)
        return refuse("memory: the system does not let a process map so much");
    system_catch_signals();
    d->env = system_open(&options, &why);
    if (d->env == NULL) return refuse(why.text);
    if (d->config.io == CONFIG_IO_URING && strcmp(system_name(d->env), "io_uring") != 0) {
        system_close(d->env);
        return refuse("io uring: the system does not allow io_uring; with io auto it is done "
                      "without");
    }
    env_log(d->env, ENV_INFO, "quoitd %s io=%s dir=%s name=%s", QUOIT_VERSION, system_name(d->env),
            d->config.directory, d->identity.self.name);
    env_log(d->env, ENV_INFO, "memory mib=%zu data=%zu node=%zu clients=%zu program=%zu",
            (size_t)(d->config.memory >> 20), d->split.data >> 20, d->split.node >> 20,
            d->split.clients >> 20, d->split.program >> 20);
    make_room_for_files(d);
    d->server_options.io = system_name(d->env);
    d->node = node_create(&d->arena, d->env, &d->node_options);
    d->server = server_create(&d->arena, d->env, d->node, &d->server_options);
    run(d);
    bool has_failed = d->phase == FAILED;
    system_close(d->env);
    system_unlock_directory(d->lock);
    if (!has_failed) return EXIT_SUCCESS;
    (void)fprintf(stderr, "quoitd: %s%s%s\n", d->failure, d->reason[0] == '\0' ? "" : ": ",
                  d->reason);
    return EXIT_FAILURE;
}

int main(int argc, char **argv) {
    static struct daemon daemon;
    struct daemon *d = &daemon;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--check") == 0) return check_main(argc - 1, argv + 1);
    }
    if (!config_read(&d->config, argc, argv, &d->complaint)) return refuse(d->complaint.text);
    if (d->config.wants_help) {
        config_help(stdout);
        return EXIT_SUCCESS;
    }
    if (d->config.wants_version) {
        (void)printf("quoitd %s\n", QUOIT_VERSION);
        return EXIT_SUCCESS;
    }
    if (!identity_find_self(&d->identity, &d->config, &d->complaint)) {
        return refuse(d->complaint.text);
    }
    if (!levels_can_be(d)) return refuse(d->complaint.text);
    int status = serve(d);
    if (!d->has_run) identity_forget_key(&d->identity, d->config.directory);
    return status;
}
