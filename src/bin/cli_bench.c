// SPDX-License-Identifier: Apache-2.0
//
// quoit bench -- a load generator for whatever speaks RESP.
//
// Threads do the work (cli_load.h) and share nothing while they run; this file asks what is wanted,
// starts them, shows how far they are, and reports what they found.
#include "base/text.h"
#include "bin/cli.h"
#include "bin/cli_bench_report.h"
#include "bin/cli_load.h"
#include "bin/cli_options.h"
#include "bin/cli_server.h"
#include "bin/cli_terminal.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

enum {
    TARGETS_MAX = 64,
    THREADS_MAX = 64,
    CONNECTIONS_MAX = 10000,
    PIPELINE_MAX = 10000,
    VALUE_MAX = 64 << 20,
    PRELOAD_PIPELINE = 32,
    PRELOAD_CONNECTIONS = 16,
    ANSWER_TIMEOUT_MS = 3000,
    GREETING_MAX = CLI_PASSWORD_MAX + 64,
};
static const uint64_t out_max = 4ull << 30; // bytes of requests under way

struct asked {
    struct cli_server server; // but its port: there may be several
    const char *ports;
    const char *commands;
    uint64_t connections;
    uint64_t pipeline;
    uint64_t size;
    uint64_t keys;
    uint64_t requests;
    uint64_t seconds;
    uint64_t rate;
    uint64_t threads;
    uint64_t seed;
    bool csv;
    bool json;
    bool preload;
};

static struct load_target targets[TARGETS_MAX];
static atomic_bool is_stopped;

static void on_interrupt(int number) {
    (void)number;
    atomic_store(&is_stopped, true);
}

static const char *const notes =
    "COMMANDS are any of get, set, del, exists, ping; `get:9,set:1` mixes them in that "
    "proportion.\n"
    "Without --rate the next request of a connection waits for an answer (closed loop). With it\n"
    "requests are due at fixed moments, and latencies count from those (open loop).\n"
    "\n"
    "    quoit bench --commands set --preload --keys 1000000\n"
    "    quoit bench --commands get:9,set:1 --connections 50 --pipeline 16 --seconds 10\n"
    "    quoit bench --port 7001,7002,7003 --rate 50000 --json\n";

static enum cli_asked read_options(struct asked *a, int count, char **arguments) {
    const struct cli_option options[] = {
        {"host", "HOST", "where the servers are (127.0.0.1)", .text = &a->server.host},
        {"port", "P[,P...]", "their ports; connections are spread over them (7379)",
         .text = &a->ports},
        CLI_PASSWORD_OPTION(a->server),
        {"commands", "COMMANDS", "what to send (get)", .text = &a->commands},
        {"connections", "N", "connections, over all threads (50)", .number = &a->connections,
         .least = 1, .most = CONNECTIONS_MAX},
        {"pipeline", "N", "requests under way on each (1)", .number = &a->pipeline, .least = 1,
         .most = PIPELINE_MAX},
        {"size", "BYTES", "size of the values (64)", .size = &a->size, .most = VALUE_MAX},
        {"keys", "N", "different keys (100000)", .number = &a->keys, .least = 1,
         .most = 999999999999},
        {"requests", "N", "stop after so many", .number = &a->requests, .least = 1,
         .most = 1ull << 40},
        {"seconds", "S", "stop after so long (5)", .number = &a->seconds, .least = 1,
         .most = 604800},
        {"rate", "N", "requests a second, in an open loop", .number = &a->rate, .least = 1,
         .most = 100000000},
        {"threads", "N", "threads of the generator (1)", .number = &a->threads, .least = 1,
         .most = THREADS_MAX},
        {"seed", "N", "of the random keys (1)", .number = &a->seed, .most = UINT64_MAX},
        {"preload", NULL, "first write every key once, unmeasured", .flag = &a->preload},
        {"csv", NULL, "print comma-separated values", .flag = &a->csv},
        {"json", NULL, "print JSON", .flag = &a->json},
    };
    const struct cli_syntax syntax = {
        .command = "bench",
        .summary = "Loads one or more servers and reports throughput and latencies.",
        .notes = notes,
        .options = options,
        .option_count = sizeof(options) / sizeof(options[0]),
    };
    return cli_options_read(&syntax, count, arguments);
}

// Takes the text up to the next comma; false at the end.
static bool next_item(const char **list, char *item, size_t capacity) {
    if (**list == '\0') return false;
    size_t size = strcspn(*list, ",");
    snprintf(item, capacity, "%.*s", (int)size, *list);
    *list += size;
    if (**list == ',') ++*list;
    return true;
}

static bool read_targets(const struct asked *a, uint32_t *target_count) {
    const char *list = a->ports;
    char port[16];
    while (next_item(&list, port, sizeof(port))) {
        if (*target_count == TARGETS_MAX) {
            cli_complain("bench", "at most %d ports", TARGETS_MAX);
            return false;
        }
        struct addrinfo wanted = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
        struct addrinfo *found = NULL;
        int problem = getaddrinfo(a->server.host, port, &wanted, &found);
        if (problem != 0) {
            cli_complain("bench", "%s:%s: %s", a->server.host, port, gai_strerror(problem));
            return false;
        }
        struct load_target *target = &targets[(*target_count)++];
        snprintf(target->name, sizeof(target->name), "%s:%s", a->server.host, port);
        memcpy(&target->address, found->ai_addr, found->ai_addrlen);
        target->address_size = found->ai_addrlen;
        freeaddrinfo(found);
    }
    if (*target_count == 0) cli_complain("bench", "--port names no port");
    return *target_count > 0;
}

// Each server takes the password, or the bench would measure refusals.
static bool try_password(const struct asked *a) {
    const char *list = a->ports;
    char port[16];
    char problem[CLI_PROBLEM_MAX + 1];
    while (a->server.has_password && next_item(&list, port, sizeof(port))) {
        struct cli_server server = a->server;
        server.port = strtoull(port, NULL, 10); // has been looked up
        redisContext *context = cli_server_reach(&server, problem);
        if (context == NULL) {
            cli_complain("bench", "%s:%s: %s", server.host, port, problem);
            return false;
        }
        redisFree(context);
    }
    return true;
}

static struct slice make_greeting(const struct cli_server *server, char memory[GREETING_MAX]) {
    if (!server->has_password) return (struct slice){0};
    int size = snprintf(memory, GREETING_MAX, "*2\r\n$4\r\nAUTH\r\n$%zu\r\n%s\r\n",
                        strlen(server->password), server->password);
    must(size > 0 && size < GREETING_MAX);
    return (struct slice){(const uint8_t *)memory, (size_t)size};
}

static bool read_commands(const char *list, struct load_plan *plan) {
    char item[32];
    while (next_item(&list, item, sizeof(item))) {
        uint64_t weight = 1;
        char *colon = strchr(item, ':');
        if (colon != NULL) {
            *colon = '\0';
            if (!cli_read_number(colon + 1, false, &weight) || weight == 0 || weight > 1000000) {
                cli_complain("bench", "the share of %s is a number from 1, not '%s'", item,
                             colon + 1);
                return false;
            }
        }
        uint32_t i = 0;
        while (i < LOAD_COMMANDS && strcasecmp(item, load_command_names[i]) != 0) i++;
        if (i == LOAD_COMMANDS) {
            cli_complain("bench", "cannot send '%s'; see --help for what can", item);
            return false;
        }
        plan->weights[i] += (uint32_t)weight;
        plan->weight_sum += (uint32_t)weight;
    }
    if (plan->weight_sum == 0) cli_complain("bench", "--commands names no command");
    return plan->weight_sum > 0;
}

static uint8_t *make_pool(uint64_t size) {
    uint8_t *pool = malloc(size);
    must(pool != NULL);
    // Printable, and as hard to compress as printable text can be. The same in every run, whatever
    // its seed, so that one run can check what another has written.
    struct rng rng = {1};
    for (uint64_t i = 0; i < size; i++) pool[i] = (uint8_t)('!' + rng_below(&rng, 94));
    return pool;
}

// Running.

static void *run_thread(void *thread) {
    load_run(thread);
    return NULL;
}

static uint64_t share_of(uint64_t whole, uint32_t number, uint32_t count) {
    return whole / count + (number < whole % count ? 1 : 0);
}

static void show_progress(struct terminal *t, const char *label, struct load_thread *threads,
                          const struct bench_run *run, uint64_t started) {
    uint64_t done = 0;
    for (uint32_t i = 0; i < run->threads; i++) {
        done += atomic_load_explicit(&threads[i].done, memory_order_relaxed);
    }
    double elapsed = (double)(load_now() - started) / 1e9;
    char note[64];
    snprintf(note, sizeof(note), "%s/s", human_count((double)done / elapsed).text);
    if (run->requests > 0) {
        terminal_progress(t, label, done, run->requests, note);
    } else {
        terminal_progress(t, label, (uint64_t)(elapsed * 1000), run->seconds * 1000, note);
    }
}

static void start_threads(const struct load_plan *plan, const struct bench_run *run,
                          struct load_thread *threads, pthread_t *ids) {
    for (uint32_t i = 0; i < run->threads; i++) {
        struct load_thread *t = &threads[i];
        t->plan = plan;
        t->number = i;
        t->thread_count = run->threads;
        t->connection_count = (uint32_t)share_of(run->connections, i, run->threads);
        t->request_count = share_of(run->requests, i, run->threads);
        t->duration_ns = run->seconds * 1000000000u;
        t->rate = run->rate / run->threads;
        t->seed = run->seed + i * 0x9e3779b97f4a7c15u;
        t->stop = &is_stopped;
        t->result = calloc(1, sizeof(*t->result));
        must(t->result != NULL);
        must(pthread_create(&ids[i], NULL, run_thread, t) == 0);
    }
}

// False, and a complaint, if a thread could not do its part.
static bool run_load(const struct load_plan *plan, const struct bench_run *run, const char *label,
                     struct load_result *sum) {
    struct load_thread threads[THREADS_MAX] = {0};
    pthread_t ids[THREADS_MAX];
    struct terminal terminal = terminal_of(stderr);
    uint64_t started = load_now();
    start_threads(plan, run, threads, ids);
    bool is_good = true;
    for (uint32_t i = 0; i < run->threads; i++) {
        for (;;) {
            struct timespec until;
            clock_gettime(CLOCK_REALTIME, &until);
            until.tv_nsec += 100000000;
            if (until.tv_nsec >= 1000000000) {
                until.tv_sec++;
                until.tv_nsec -= 1000000000;
            }
            if (pthread_timedjoin_np(ids[i], NULL, &until) == 0) break;
            show_progress(&terminal, label, threads, run, started);
        }
    }
    terminal_clear(&terminal);
    for (uint32_t i = 0; i < LOAD_COMMANDS; i++) histogram_init(&sum->latencies[i]);
    for (uint32_t i = 0; i < run->threads; i++) {
        if (threads[i].problem[0] != '\0' && is_good) {
            cli_complain("bench", "%s", threads[i].problem);
            is_good = false;
        }
        load_result_add(sum, threads[i].result);
        free(threads[i].result);
    }
    return is_good;
}

static bool preload(const struct load_plan *measured, const struct bench_run *run) {
    struct load_plan plan = *measured;
    memset(plan.weights, 0, sizeof(plan.weights));
    plan.weights[LOAD_SET] = plan.weight_sum = 1;
    plan.in_order = true;
    if (plan.pipeline < PRELOAD_PIPELINE) plan.pipeline = PRELOAD_PIPELINE;
    struct bench_run all = {.threads = run->threads,
                            .connections = PRELOAD_CONNECTIONS * run->threads,
                            .requests = plan.key_count};
    struct load_result *sum = calloc(1, sizeof(*sum));
    must(sum != NULL);
    bool is_good = run_load(&plan, &all, "preload", sum);
    if (is_good && sum->counts[LOAD_SET] != plan.key_count && !atomic_load(&is_stopped)) {
        cli_complain("bench", "preload: only %llu of %llu keys were written%s%s",
                     (unsigned long long)sum->counts[LOAD_SET], (unsigned long long)plan.key_count,
                     sum->error_words > 0 ? ": " : "", sum->errors[0].example);
        is_good = false;
    }
    free(sum);
    return is_good;
}

static double cpu_seconds(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static int measure(const struct asked *a, const struct load_plan *plan, struct bench_run *run) {
    if (a->preload && !preload(plan, run)) return CLI_FAILED;
    struct load_result *sum = calloc(1, sizeof(*sum));
    must(sum != NULL);
    double cpu = cpu_seconds();
    bool is_good = !atomic_load(&is_stopped) && run_load(plan, run, "bench", sum);
    run->cpu_seconds = cpu_seconds() - cpu;
    if (sum->last_ns > sum->first_ns) bench_report(plan, run, sum);
    uint64_t answers = 0;
    for (uint32_t i = 0; i < LOAD_COMMANDS; i++) answers += sum->counts[i];
    is_good = is_good && sum->wrong == 0 && answers > 0;
    free(sum);
    return is_good ? CLI_OK : CLI_FAILED;
}

int cli_bench(int count, char **arguments) {
    struct asked a = {.server = {.host = "127.0.0.1", .timeout_ms = ANSWER_TIMEOUT_MS},
                      .ports = "7379",
                      .commands = "get",
                      .connections = 50,
                      .pipeline = 1,
                      .size = 64,
                      .keys = 100000,
                      .threads = 1,
                      .seed = 1};
    enum cli_asked asked = read_options(&a, count, arguments);
    if (asked != CLI_ASKED_RUN) return asked == CLI_ASKED_HELP ? CLI_OK : CLI_MISUSED;
    struct load_plan plan = {.targets = targets,
                             .key_count = a.keys,
                             .value_size = (uint32_t)a.size,
                             .pipeline = (uint32_t)a.pipeline};
    if (!read_targets(&a, &plan.target_count) || !read_commands(a.commands, &plan)) {
        return CLI_MISUSED;
    }
    if (a.csv && a.json) {
        cli_complain("bench", "either --csv or --json");
        return CLI_MISUSED;
    }
    if (a.connections * a.pipeline > out_max / (a.size + 128)) {
        cli_complain("bench", "that many requests under way need more than 4 GiB");
        return CLI_MISUSED;
    }
    if (!cli_server_read_password(&a.server, "bench") || !try_password(&a)) return CLI_FAILED;
    char greeting[GREETING_MAX];
    plan.greeting = make_greeting(&a.server, greeting);
    if (a.threads > a.connections) a.threads = a.connections;
    if (a.requests == 0 && a.seconds == 0) a.seconds = 5;
    struct bench_run run = {.threads = (uint32_t)a.threads,
                            .connections = (uint32_t)a.connections,
                            .requests = a.requests,
                            .seconds = a.seconds,
                            .rate = (double)a.rate,
                            .seed = a.seed,
                            .format = a.csv    ? BENCH_CSV
                                      : a.json ? BENCH_JSON
                                               : BENCH_TEXT};
    uint8_t *pool = make_pool(LOAD_POOL_SIZE + a.size);
    plan.pool = pool;
    signal(SIGINT, on_interrupt);
    int exit_status = measure(&a, &plan, &run);
    free(pool);
    return exit_status;
}
