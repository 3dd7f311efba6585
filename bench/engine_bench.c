// SPDX-License-Identifier: Apache-2.0
//
// engine_bench ENGINE DIRECTORY BUDGET KEYS VALUE-SIZE [forced] [direct] [cold]
//
// One engine, which does what it reads from standard input, and answers each line with one line of
// JSON:
//
//     WORKLOAD HANDS SECONDS RATE   runs for so long; a rate of 0 is a closed loop
//     WORKLOAD HANDS xCOUNT RATE    runs so many tasks
//     settle                        waits until nothing is written any more
//     compact                       begins to merge everything
//     facts                         what it takes of disk and memory
//
// bench/engine is what starts it.
#include "bench/engine.h"

#include "base/hash.h"
#include "base/timer.h"
#include "bench/engine_cold.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    POOL = 64 * 1024,              // within the nearer caches: it is looked at with each value
    QUIET_NS = 1000 * 1000 * 1000, // without a write: it has settled
    LOOK_NS = 100 * 1000 * 1000,
};

static const char *const names[LOADS] = {"fill", "overwrite", "hit", "miss", "scan", "mixed"};
static uint8_t pool[POOL + VALUE_MAX];

_Noreturn void must_fail(const char *cond, const char *file, int line) {
    fprintf(stderr, "%s:%d: must(%s)\n", file, line, cond);
    abort();
}

_Noreturn void give_up(const char *what, const char *why) {
    fprintf(stderr, "%s: %s\n", what, why);
    exit(1);
}

uint64_t clock_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * NS_PER_SECOND + (uint64_t)t.tv_nsec;
}

// Keys and values.

void key_write(uint64_t key, uint8_t *to) {
    static const char digits[] = "0123456789abcdef";
    bool is_missing = (key & KEY_MISSING) != 0;
    uint64_t tag = (key & ~KEY_MISSING) / KEYS_A_TAG;
    uint64_t number = key % KEYS_A_TAG;
    to[0] = '{';
    for (int i = TAG_SIZE - 2; i > 0; i--, tag >>= 4) to[i] = (uint8_t)digits[tag & 15];
    to[TAG_SIZE - 1] = '}';
    for (int i = KEY_SIZE - 1; i >= TAG_SIZE; i--, number >>= 4) {
        to[i] = (uint8_t)digits[number & 15];
    }
    if (is_missing) to[KEY_SIZE - 1] = 'x';
}

// The number of the key, and then bytes from a place of the pool that follows from it.
struct slice value_of(const struct engine_options *options, uint64_t key, uint8_t *place) {
    memcpy(place, pool + hash_number(key) % POOL, options->value_size);
    memcpy(place, &key, sizeof(key));
    return (struct slice){place, options->value_size};
}

static bool is_value_of(const struct engine_options *options, uint64_t key, struct slice value) {
    uint64_t number;
    if (value.size != options->value_size) return false;
    memcpy(&number, value.data, sizeof(number));
    size_t rest = value.size - sizeof(number);
    const uint8_t *wanted = pool + hash_number(key) % POOL + sizeof(number);
    return number == key && memcmp(value.data + sizeof(number), wanted, rest) == 0;
}

// Tasks.

// The place of a number in a random order of all: a Feistel network, taken again while the result
// is beyond them.
static uint64_t shuffled(uint64_t number, uint64_t count, uint64_t seed) {
    uint32_t half = 1;
    while (UINT64_C(1) << 2 * half < count) half++;
    uint64_t mask = (UINT64_C(1) << half) - 1;
    do {
        uint64_t left = number >> half;
        uint64_t right = number & mask;
        for (uint64_t round = 0; round < 4; round++) {
            uint64_t mixed = left ^ (hash_number(right ^ hash_number(seed + round)) & mask);
            left = right;
            right = mixed;
        }
        number = left << half | right;
    } while (number >= count);
    return number;
}

uint64_t run_due(const struct run *run) {
    uint64_t number = atomic_load_explicit(&run->next, memory_order_relaxed);
    return run->begin + (uint64_t)((double)number * 1e9 / (double)run->rate);
}

bool run_draw(struct run *run, struct rng *rng, struct task *task) {
    uint64_t number = atomic_fetch_add_explicit(&run->next, 1, memory_order_relaxed);
    if (number >= run->count) return false;
    task->due = run->rate == 0 ? clock_ns()
                               : run->begin + (uint64_t)((double)number * 1e9 / (double)run->rate);
    if (task->due >= run->until) return false;
    uint64_t keys = run->options->key_count;
    task->key = rng_next(rng) % keys;
    task->kind = TASK_GET;
    switch (run->workload) {
    case LOAD_FILL:
        task->key = shuffled(number, keys, run->seed);
        task->kind = TASK_PUT;
        break;
    case LOAD_OVERWRITE:
        task->kind = TASK_PUT;
        break;
    case LOAD_MISS:
        task->key |= KEY_MISSING;
        break;
    case LOAD_SCAN:
        task->kind = TASK_SCAN;
        break;
    case LOAD_MIXED:
        task->kind = rng_next(rng) >> 63 != 0 ? TASK_PUT : TASK_GET;
        break;
    case LOAD_HIT:
    case LOADS:
        break;
    }
    return true;
}

void tally_end(struct tally *tally, const struct task *task, uint64_t now) {
    histogram_add(&tally->latencies, now > task->due ? now - task->due : 0);
}

void tally_get(struct tally *tally, const struct run *run, const struct task *task,
               struct slice value, uint64_t now) {
    bool is_found = value.data != NULL;
    if (is_found) tally->found++;
    if (is_found ? !is_value_of(run->options, task->key, value) : run->workload != LOAD_MISS) {
        tally->wrong++;
    }
    tally_end(tally, task, now);
}

// Figures.

struct costs {
    double cpu; // seconds of this process, less what it takes to keep files cold
    uint64_t read;
    uint64_t written; // bytes from and to the device, by /proc/self/io
};

static uint64_t number_in(const char *path, const char *word) {
    char line[256];
    uint64_t value = 0;
    FILE *file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, word, strlen(word)) == 0) value = strtoull(line + strlen(word), NULL, 10);
    }
    if (file != NULL) fclose(file);
    return value;
}

static struct costs costs_now(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (struct costs){
        .cpu = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
               (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6 - cold_cpu(),
        .read = number_in("/proc/self/io", "read_bytes:"),
        .written = number_in("/proc/self/io", "write_bytes:"),
    };
}

static uint64_t disk_size(const char *path) {
    char name[4096];
    uint64_t size = 0;
    DIR *directory = opendir(path);
    struct dirent *entry;
    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        struct stat facts;
        snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
        if (stat(name, &facts) == 0 && S_ISREG(facts.st_mode)) {
            size += (uint64_t)facts.st_blocks * 512;
        }
    }
    if (directory != NULL) closedir(directory);
    return size;
}

static double quantile_us(const struct histogram *h, double quantile) {
    return (double)histogram_quantile(h, quantile) / 1000;
}

static void report(const struct tally *sum, const struct costs *before, double seconds) {
    struct costs now = costs_now();
    uint64_t ops = sum->latencies.count;
    printf("{\"ops\":%" PRIu64 ",\"seconds\":%.6f,\"p50\":%.1f,\"p99\":%.1f,\"p99.9\":%.1f,"
           "\"max\":%.1f,\"cpu_us\":%.4f,\"read\":%" PRIu64 ",\"written\":%" PRIu64
           ",\"found\":%" PRIu64 ",\"wrong\":%" PRIu64 "}\n",
           ops, seconds, quantile_us(&sum->latencies, 0.5), quantile_us(&sum->latencies, 0.99),
           quantile_us(&sum->latencies, 0.999), (double)sum->latencies.max / 1000,
           (now.cpu - before->cpu) * 1e6 / (double)(ops > 0 ? ops : 1), now.read - before->read,
           now.written - before->written, sum->found, sum->wrong);
}

// Commands.

static void settle(const struct engine *engine) {
    struct costs before = costs_now();
    uint64_t begin = clock_ns();
    uint64_t last = begin;
    uint64_t written = before.written;
    while (clock_ns() - last < QUIET_NS || engine->is_compacting()) {
        engine->rest(LOOK_NS);
        uint64_t now = number_in("/proc/self/io", "write_bytes:");
        if (now != written) last = clock_ns();
        written = now;
    }
    static const struct tally nothing;
    report(&nothing, &before, (double)(last - begin) / 1e9);
}

static void run(const struct engine *engine, const struct engine_options *options,
                enum workload workload, const char *arguments) {
    static struct tally sum;
    static uint64_t seed;
    char amount[32];
    unsigned hands;
    struct run r = {.workload = workload, .count = UINT64_MAX, .until = UINT64_MAX};
    if (sscanf(arguments, "%u %31s %" SCNu64, &hands, amount, &r.rate) != 3 || hands == 0 ||
        hands > HANDS_MAX) {
        give_up("bad run", arguments);
    }
    sum = (struct tally){0};
    r.hands = hands;
    r.options = options;
    r.seed = ++seed * 1000;
    if (workload == LOAD_FILL) r.count = options->key_count;
    struct costs before = costs_now();
    r.begin = clock_ns();
    if (amount[0] == 'x') {
        r.count = strtoull(amount + 1, NULL, 10);
    } else {
        r.until = r.begin + (uint64_t)(strtod(amount, NULL) * 1e9);
    }
    engine->run(&r, &sum);
    report(&sum, &before, (double)(clock_ns() - r.begin) / 1e9);
}

static void facts(const struct engine_options *options) {
    printf("{\"disk\":%" PRIu64 ",\"memory\":%" PRIu64 "}\n", disk_size(options->directory),
           number_in("/proc/self/status", "RssAnon:") * 1024);
}

static void obey(const struct engine *engine, const struct engine_options *options,
                 const char *line) {
    size_t word = strcspn(line, " ");
    if (strcmp(line, "settle") == 0) {
        settle(engine);
    } else if (strcmp(line, "facts") == 0) {
        facts(options);
    } else if (strcmp(line, "compact") == 0) {
        engine->compact();
        printf("{}\n");
    } else {
        int workload = 0;
        while (workload < LOADS && strncmp(line, names[workload], word) != 0) workload++;
        if (workload == LOADS) give_up("no such command", line);
        run(engine, options, (enum workload)workload, line + word);
    }
    fflush(stdout);
}

int main(int argc, char **argv) {
    static const struct engine *const engines[] = {&engine_quoit, &engine_rocksdb, &engine_leveldb};
    if (argc < 6)
        give_up("usage", "engine DIRECTORY BUDGET KEYS VALUE-SIZE [forced] [direct] [cold]");
    const struct engine *engine = NULL;
    for (size_t i = 0; i < sizeof(engines) / sizeof(engines[0]); i++) {
        if (strcmp(argv[1], engines[i]->name) == 0) engine = engines[i];
    }
    struct engine_options options = {
        .directory = argv[2],
        .budget = strtoull(argv[3], NULL, 10),
        .key_count = strtoull(argv[4], NULL, 10),
        .value_size = (uint32_t)strtoull(argv[5], NULL, 10),
    };
    if (engine == NULL) give_up("no such engine", argv[1]);
    if (options.value_size < sizeof(uint64_t) || options.value_size > VALUE_MAX) {
        give_up("no such size of values", argv[5]);
    }
    for (int i = 6; i < argc; i++) {
        options.is_forced |= strcmp(argv[i], "forced") == 0;
        options.is_direct |= strcmp(argv[i], "direct") == 0;
        if (strcmp(argv[i], "cold") == 0) cold_begin(options.directory);
    }
    struct rng rng = {1};
    for (size_t i = 0; i + 8 <= sizeof(pool); i += 8) {
        uint64_t number = rng_next(&rng);
        memcpy(pool + i, &number, sizeof(number));
    }
    engine->open(&options);
    printf("{\"ready\":true}\n");
    fflush(stdout);
    char line[256];
    while (fgets(line, sizeof(line), stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        obey(engine, &options, line);
    }
    engine->close();
    return 0;
}
