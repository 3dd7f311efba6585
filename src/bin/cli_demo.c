// SPDX-License-Identifier: Apache-2.0
//
// quoit demo -- a cluster on this machine: started, looked after, stopped.
//
//     DIR/demo.json      how many nodes, from which port: what the next start goes by
//     DIR/cluster.key    the secret by which the nodes know each other
//     DIR/nodeK/         see cli_node.h
//
// Starting is idempotent: what runs is left alone, what does not run is started on the data it had.
#include "base/must.h"
#include "bin/cli.h"
#include "bin/cli_clock.h"
#include "bin/cli_cluster.h"
#include "bin/cli_node.h"
#include "bin/cli_options.h"
#include "bin/cli_terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    NODES_MAX = 32,
    NODES_DEFAULT = 3,
    PORT_DEFAULT = 7001,
    PORT_MOST = 50000, // leaves room for the ports that follow from it
    KEY_SIZE = 32,
    ANSWER_TIMEOUT_MS = 1000,
    POLL_MS = 50,
    PLACE_MS = 3000,
    MEET_MS = 3000,
    STOP_SECONDS = 20,
    INITIAL_MAX = NODES_MAX * 32,
};

struct demo {
    const char *asked_directory;
    uint64_t node_count; // 0: as before, or the default
    uint64_t port;       // likewise
    uint64_t timeout_s;
    const char *memory;
    const char *durability;
    bool is_detached;
    bool is_stopping;
    bool is_new;              // its directory was not there before
    char directory[PATH_MAX]; // absolute
    char key_file[PATH_MAX];
    char quoitd[PATH_MAX];
    char initial[INITIAL_MAX];
    struct local_node nodes[NODES_MAX];
    struct terminal terminal;
    sigset_t signals; // that end it
};

// True when somebody wants an end.
static bool was_interrupted(const struct demo *demo, uint32_t within_ms) {
    struct timespec timeout = {.tv_sec = within_ms / 1000,
                               .tv_nsec = (long)(within_ms % 1000) * 1000000};
    return sigtimedwait(&demo->signals, NULL, &timeout) > 0;
}

// What is there.

static bool find_directory(struct demo *demo) {
    demo->is_new = !demo->is_stopping && mkdir(demo->asked_directory, 0755) == 0;
    if (!demo->is_stopping && !demo->is_new && errno != EEXIST) {
        cli_complain("demo", "cannot make %s: %s", demo->asked_directory, strerror(errno));
        return false;
    }
    if (realpath(demo->asked_directory, demo->directory) == NULL) {
        cli_complain("demo", "%s: %s", demo->asked_directory, strerror(errno));
        return false;
    }
    // Leaves room for the names below it.
    if (strlen(demo->directory) > PATH_MAX - 64) {
        cli_complain("demo", "the path of %s is too long", demo->asked_directory);
        return false;
    }
    snprintf(demo->key_file, PATH_MAX, "%.*s/cluster.key", PATH_MAX - 64, demo->directory);
    return true;
}

static void settings_path(const struct demo *demo, char path[PATH_MAX]) {
    snprintf(path, PATH_MAX, "%.*s/demo.json", PATH_MAX - 64, demo->directory);
}

// Takes over a figure of the last start, unless it contradicts what is asked for now.
static bool take_setting(const char *what, json_int_t before, uint64_t most, uint64_t *value) {
    if (before < 1 || (uint64_t)before > most) {
        cli_complain("demo", "demo.json: %s is out of range", what);
        return false;
    }
    if (*value != 0 && *value != (uint64_t)before) {
        cli_complain("demo", "this demo was made with --%s %lld; use another --dir for another one",
                     what, (long long)before);
        return false;
    }
    *value = (uint64_t)before;
    return true;
}

// What the last start in this directory has left. True, and no figures, if there was none.
static bool read_settings(struct demo *demo) {
    char path[PATH_MAX];
    settings_path(demo, path);
    if (access(path, F_OK) != 0) return true;
    json_error_t error;
    json_t *settings = json_load_file(path, 0, &error);
    json_int_t nodes = 0;
    json_int_t port = 0;
    bool is_good = settings != NULL && json_unpack_ex(settings, &error, 0, "{sI sI}", "nodes",
                                                      &nodes, "port", &port) == 0;
    if (!is_good) cli_complain("demo", "%s: %s", path, error.text);
    json_decref(settings);
    return is_good && take_setting("nodes", nodes, NODES_MAX, &demo->node_count) &&
           take_setting("port", port, PORT_MOST, &demo->port);
}

static bool write_settings(const struct demo *demo) {
    char path[PATH_MAX];
    settings_path(demo, path);
    json_t *settings =
        json_pack("{sI sI}", "nodes", (json_int_t)demo->node_count, "port", (json_int_t)demo->port);
    bool is_good = json_dump_file(settings, path, JSON_INDENT(2)) == 0;
    if (!is_good) cli_complain("demo", "cannot write %s: %s", path, strerror(errno));
    json_decref(settings);
    return is_good;
}

static void find_nodes(struct demo *demo) {
    for (uint32_t i = 0; i < demo->node_count; i++) {
        local_node_init(&demo->nodes[i], demo->directory, i + 1, (uint16_t)(demo->port + i));
    }
}

// Starting.

// The secret of the cluster: 64 hexadecimal digits. Made once.
static bool make_key(const struct demo *demo) {
    int fd = open(demo->key_file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 && errno == EEXIST) return true;
    uint8_t key[KEY_SIZE];
    char text[2 * KEY_SIZE + 2];
    bool is_good = fd >= 0 && getrandom(key, sizeof(key), 0) == sizeof(key);
    for (size_t i = 0; i < KEY_SIZE; i++) snprintf(text + 2 * i, 4, "%02x\n", key[i]);
    is_good = is_good && write(fd, text, sizeof(text) - 1) == sizeof(text) - 1;
    if (fd >= 0) is_good = close(fd) == 0 && is_good;
    if (!is_good) cli_complain("demo", "cannot write %s: %s", demo->key_file, strerror(errno));
    return is_good;
}

static void write_initial(struct demo *demo) {
    size_t size = 0;
    for (uint32_t i = 0; i < demo->node_count; i++) {
        size += (size_t)snprintf(demo->initial + size, INITIAL_MAX - size, "%s%s=127.0.0.1:%u",
                                 i == 0 ? "" : ",", demo->nodes[i].name, demo->nodes[i].port);
        must(size < INITIAL_MAX);
    }
}

// The kernel may still be closing the files and sockets of a process that was killed a moment ago.
static bool have_place(const struct demo *demo, struct local_node *node) {
    uint64_t end = cli_now_ms() + PLACE_MS;
    while (!local_node_has_place(node)) {
        if (cli_now_ms() > end || was_interrupted(demo, POLL_MS)) return false;
    }
    return true;
}

static bool start_node(struct demo *demo, struct local_node *node) {
    char data[PATH_MAX];
    char port[8];
    local_node_path(node, "data", data);
    snprintf(port, sizeof(port), "%u", node->port);
    if ((mkdir(node->directory, 0755) != 0 && errno != EEXIST) ||
        (mkdir(data, 0700) != 0 && errno != EEXIST)) {
        cli_complain("demo", "cannot make %s: %s", data, strerror(errno));
        return false;
    }
    char *arguments[32] = {demo->quoitd,  "--dir",      data,           "--port",   port,
                           "--name",      node->name,   "--host",       node->name, "--initial",
                           demo->initial, "--key-file", demo->key_file, "--bind",   "127.0.0.1"};
    size_t count = 15;
    char memory[32];
    char durability[32];
    if (demo->memory != NULL) {
        snprintf(memory, sizeof(memory), "%s", demo->memory);
        arguments[count++] = "--memory";
        arguments[count++] = memory;
    }
    if (demo->durability != NULL) {
        snprintf(durability, sizeof(durability), "%s", demo->durability);
        arguments[count++] = "--durability";
        arguments[count++] = durability;
    }
    if (have_place(demo, node) && local_node_start(node, arguments, !demo->is_detached)) {
        return true;
    }
    cli_complain("demo", "%s", node->problem);
    return false;
}

// Whether all nodes run. One that this program has not started was seen to run: it was about to end
// then, killed a moment before, and is started in its turn.
static bool keep_running(struct demo *demo) {
    for (uint32_t i = 0; i < demo->node_count; i++) {
        struct local_node *node = &demo->nodes[i];
        if (local_node_runs(node)) continue;
        terminal_clear(&demo->terminal);
        if (!node->is_child) {
            if (start_node(demo, node)) continue;
            return false;
        }
        char text[128];
        local_node_describe_end(node, text, sizeof(text));
        cli_complain("demo", "%s", text);
        local_node_print_log(node, stderr);
        return false;
    }
    return true;
}

static struct cli_server server_of(const struct local_node *node) {
    return (struct cli_server){
        .host = "127.0.0.1", .port = node->port, .timeout_ms = ANSWER_TIMEOUT_MS};
}

// Waits until every node answers and sees the whole cluster.
static bool wait_until_ready(struct demo *demo) {
    char problem[CLI_PROBLEM_MAX + 1] = "";
    uint64_t end = cli_now_ms() + demo->timeout_s * 1000;
    uint32_t ready = 0; // nodes at the front
    while (ready < demo->node_count) {
        struct local_node *node = &demo->nodes[ready];
        terminal_progress(&demo->terminal, "starting", ready, demo->node_count, node->name);
        if (!keep_running(demo)) return false;
        const struct cli_server member = server_of(node);
        if (cluster_is_ready(&member, problem)) {
            ready++;
        } else if (cli_now_ms() > end) {
            terminal_clear(&demo->terminal);
            cli_complain("demo", "%s was not ready within %llu s: %s", node->name,
                         (unsigned long long)demo->timeout_s, problem);
            local_node_print_log(node, stderr);
            return false;
        } else if (was_interrupted(demo, POLL_MS)) {
            terminal_clear(&demo->terminal);
            cli_complain("demo", "interrupted");
            return false;
        }
    }
    terminal_clear(&demo->terminal);
    return true;
}

// Stopping.

static uint32_t count_running(struct demo *demo) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < demo->node_count; i++) count += local_node_runs(&demo->nodes[i]);
    return count;
}

// Ends all nodes, or only those that this program has started. False if one had to be killed.
static bool stop_nodes(struct demo *demo, bool only_children) {
    bool is_meant[NODES_MAX] = {false};
    uint32_t meant = 0;
    for (uint32_t i = 0; i < demo->node_count; i++) {
        struct local_node *node = &demo->nodes[i];
        is_meant[i] = local_node_runs(node) && (node->is_child || !only_children);
        meant += is_meant[i];
        if (is_meant[i]) local_node_stop(node, SIGTERM);
    }
    uint64_t end = cli_now_ms() + STOP_SECONDS * 1000ull;
    bool is_killing = false;
    for (uint32_t left = meant; left > 0;) {
        terminal_progress(&demo->terminal, "stopping", meant - left, meant, "");
        cli_sleep_ms(POLL_MS);
        bool is_late = !is_killing && cli_now_ms() > end;
        left = 0;
        for (uint32_t i = 0; i < demo->node_count; i++) {
            struct local_node *node = &demo->nodes[i];
            if (!is_meant[i] || !local_node_runs(node)) continue;
            left++;
            if (!is_late) continue;
            terminal_clear(&demo->terminal);
            cli_complain("demo", "%s (process %d) did not end within %d s and was killed",
                         node->name, (int)node->pid, STOP_SECONDS);
            local_node_stop(node, SIGKILL);
        }
        is_killing = is_killing || is_late;
    }
    terminal_clear(&demo->terminal);
    return !is_killing;
}

static int run_stop(struct demo *demo) {
    if (demo->node_count == 0) {
        cli_complain("demo", "there is no demo in %s", demo->asked_directory);
        return CLI_FAILED;
    }
    find_nodes(demo);
    uint32_t running = count_running(demo);
    bool is_good = stop_nodes(demo, false);
    printf("%u of %llu nodes were running; %s\n", running, (unsigned long long)demo->node_count,
           running == 0 ? "nothing to stop" : "all have ended");
    return is_good ? CLI_OK : CLI_FAILED;
}

// Telling.

static bool all_are_up(const struct cluster_view *view) {
    size_t up = 0;
    for (size_t i = 0; i < view->node_count; i++) up += strcmp(view->nodes[i].state, "up") == 0;
    return up == view->node_count;
}

// Gives the nodes a moment to have heard of each other.
static void print_cluster(struct demo *demo) {
    char problem[CLI_PROBLEM_MAX + 1];
    const struct cli_server first = server_of(&demo->nodes[0]);
    uint64_t end = cli_now_ms() + MEET_MS;
    for (;;) {
        struct cluster_view *view = cluster_look(&first, problem);
        bool is_over = cli_now_ms() > end || (view != NULL && all_are_up(view));
        if (is_over && view == NULL) cli_complain("demo", "%s", problem);
        if (is_over && view != NULL) cluster_print(view, &demo->terminal);
        free(view);
        if (is_over) return;
        cli_sleep_ms(POLL_MS);
    }
}

static void print_next(struct demo *demo) {
    struct terminal *t = &demo->terminal;
    const struct local_node *first = &demo->nodes[0];
    const struct local_node *last = &demo->nodes[demo->node_count - 1];
    const char *dir = demo->asked_directory;
    const char *quoit = program_invocation_name;
    putchar('\n');
    terminal_print(t, STYLE_STRONG, "What to type next");
    putchar('\n');
    printf("    redis-cli -p %u set greeting hello\n", first->port);
    printf("    redis-cli -p %u get greeting\n", last->port);
    printf("    %s status --port %u --watch\n", quoit, first->port);
    printf("    %s bench --port %u --preload --commands get:9,set:1\n", quoit, first->port);
    if (demo->node_count > 1) {
        printf("    kill -9 %d   # %s; the others go on\n", (int)last->pid, last->name);
        printf("    %s demo --detach --dir %s   # starts it again, with its data\n", quoit, dir);
    }
    if (demo->is_detached) {
        printf("    %s demo --stop --dir %s\n", quoit, dir);
    } else {
        printf("\nCtrl-C stops the cluster; its data stays in %s.\n", dir);
    }
    fflush(stdout);
}

// Waits for Ctrl-C, and says when a node ends meanwhile or was started anew by somebody.
static int stay(struct demo *demo) {
    while (!was_interrupted(demo, 500)) {
        for (uint32_t i = 0; i < demo->node_count; i++) {
            struct local_node *node = &demo->nodes[i];
            bool ran = node->pid != 0;
            if (ran && !local_node_runs(node)) {
                char text[128];
                local_node_describe_end(node, text, sizeof(text));
                terminal_print(&demo->terminal, STYLE_WARN, "%s", text);
                putchar('\n');
            } else if (!ran) {
                local_node_init(node, demo->directory, i + 1, node->port);
                if (node->pid != 0) printf("%s runs again, process %d\n", node->name, node->pid);
            }
        }
        fflush(stdout);
    }
    bool is_good = stop_nodes(demo, false);
    printf("stopped\n");
    return is_good ? CLI_OK : CLI_FAILED;
}

// Whether everything that a start needs is there. Nothing is written before that.
static bool can_start(struct demo *demo) {
    if (!find_quoitd(demo->quoitd)) {
        cli_complain("demo", "there is no quoitd beside this program, nor in PATH");
        return false;
    }
    for (uint32_t i = 0; i < demo->node_count; i++) {
        struct local_node *node = &demo->nodes[i];
        if (node->pid != 0 || have_place(demo, node)) continue;
        cli_complain("demo", "%s", node->problem);
        return false;
    }
    return true;
}

static int run_start(struct demo *demo) {
    if (demo->node_count == 0) demo->node_count = NODES_DEFAULT;
    if (demo->port == 0) demo->port = PORT_DEFAULT;
    find_nodes(demo);
    if (!can_start(demo)) {
        if (demo->is_new) (void)rmdir(demo->directory);
        return CLI_FAILED;
    }
    if (!write_settings(demo) || !make_key(demo)) return CLI_FAILED;
    write_initial(demo);
    uint64_t begin = cli_now_ms();
    bool is_good = true;
    for (uint32_t i = 0; is_good && i < demo->node_count; i++) {
        if (demo->nodes[i].pid != 0) continue;
        is_good = start_node(demo, &demo->nodes[i]);
    }
    if (!is_good || !wait_until_ready(demo)) {
        stop_nodes(demo, true);
        return CLI_FAILED;
    }
    uint32_t started = 0;
    for (uint32_t i = 0; i < demo->node_count; i++) started += demo->nodes[i].is_child;
    printf("%u nodes started, %u were running; ready after %.1f s\n\n", started,
           (uint32_t)demo->node_count - started, (double)(cli_now_ms() - begin) / 1000);
    print_cluster(demo);
    print_next(demo);
    return demo->is_detached ? CLI_OK : stay(demo);
}

int cli_demo(int count, char **arguments) {
    struct demo demo = {.asked_directory = "quoit-demo", .timeout_s = 60};
    const struct cli_option options[] = {
        {"nodes", "N", "how many (3)", .number = &demo.node_count, .least = 1, .most = NODES_MAX},
        {"port", "P", "of the first; the others follow (7001)", .number = &demo.port, .least = 1024,
         .most = PORT_MOST},
        {"dir", "DIR", "where everything is kept (quoit-demo)", .text = &demo.asked_directory},
        {"memory", "SIZE", "of each node, as quoitd takes it", .text = &demo.memory},
        {"durability", "HOW", "always or interval:MS, as quoitd takes it",
         .text = &demo.durability},
        {"timeout", "S", "for the cluster to become ready (60)", .number = &demo.timeout_s,
         .least = 1, .most = 3600},
        {"detach", NULL, "leave the nodes running and return", .flag = &demo.is_detached},
        {"stop", NULL, "stop the nodes of that directory", .flag = &demo.is_stopping},
    };
    const struct cli_syntax syntax = {
        .command = "demo",
        .summary =
            "Starts a cluster on this machine: one process a node, each on a port of its own.\n"
            "In a directory that has one already, starts the nodes that do not run.",
        .options = options,
        .option_count = sizeof(options) / sizeof(options[0]),
    };
    enum cli_asked asked = cli_options_read(&syntax, count, arguments);
    if (asked != CLI_ASKED_RUN) return asked == CLI_ASKED_HELP ? CLI_OK : CLI_MISUSED;
    demo.terminal = terminal_of(stdout);
    sigemptyset(&demo.signals);
    sigaddset(&demo.signals, SIGINT);
    sigaddset(&demo.signals, SIGTERM);
    sigaddset(&demo.signals, SIGHUP);
    sigprocmask(SIG_BLOCK, &demo.signals, NULL);
    if (!find_directory(&demo) || !read_settings(&demo)) return CLI_FAILED;
    return demo.is_stopping ? run_stop(&demo) : run_start(&demo);
}
