// SPDX-License-Identifier: Apache-2.0
//
// quoit-sim -- whole clusters in one thread, on a simulated clock, from a seed.
#include "base/must.h"
#include "bin/sim_crowd.h"
#include "bin/sim_report.h"
#include "sim/simulation.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t running_seed; // for must_fail

_Noreturn void must_fail(const char *cond, const char *file, int line) {
    printf("seed %" PRIu64 " FAILED %s:%d: must(%s)\n", running_seed, file, line, cond);
    fflush(stdout);
    abort();
}

static const char usage[] =
    "usage: quoit-sim [--seed S] [--count N] [--nodes K] [--faults LIST] [--operations N]\n"
    "                 [--trace] [--report] [--coverage]\n"
    "       quoit-sim --crowd N [--minutes M] [--seed S]\n"
    "\n"
    "Runs a cluster of the real code in a simulated world, one run for each of N seeds from S on,\n"
    "and prints a verdict and a trace hash for each. The same seed gives the same hash "
    "everywhere.\n"
    "\n"
    "  --seed S        the first seed (1)\n"
    "  --count N       how many (1)\n"
    "  --nodes K       members, 1 to 16 (drawn from the seed)\n"
    "  --faults LIST   kinds of trouble, separated by commas, or 'none' (drawn from the seed)\n"
    "  --operations N  client operations of a run (1000)\n"
    "  --trace         print every event: time, machine, what, hash of its bytes\n"
    "  --report        print what happened in all runs together\n"
    "  --coverage      fail if a kind of trouble, an oracle or a rare path was never exercised\n"
    "\n"
    "With --crowd, N nodes that nobody asks for anything: what a node says and hears at rest, how\n"
    "soon all notice that one has lost its power, or its process, and whether, in M minutes (1) "
    "in\n"
    "which packets are lost and nodes are stopped for seconds, one that is well is taken to be "
    "down.\n"
    "\n"
    "Exit status: 0 when every run held, 1 when one did not, 2 when asked the wrong thing.\n";

struct arguments {
    struct simulation_options simulation;
    uint64_t count;
    uint32_t crowd; // members; 0: none
    uint64_t minutes;
    bool wants_report;
    bool wants_coverage;
};

static _Noreturn void refuse(const char *what, const char *value) {
    fprintf(stderr, "quoit-sim: %s '%s'; see quoit-sim --help\n", what, value);
    exit(2);
}

static uint64_t parse_number(const char *name, const char *text, uint64_t max) {
    char *end = NULL;
    unsigned long long value = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || value > max) refuse(name, text);
    return value;
}

static uint32_t parse_faults(const char *list) {
    uint32_t bits = 0;
    if (strcmp(list, "none") == 0) return (uint32_t)1 << 31;
    while (*list != '\0') {
        size_t size = strcspn(list, ",");
        enum trouble trouble = trouble_find((struct slice){(const uint8_t *)list, size});
        if (trouble == TROUBLE_COUNT) refuse("unknown kind of trouble in", list);
        bits |= (uint32_t)1 << trouble;
        list += size + (list[size] == ',');
    }
    return bits;
}

static void print_line(void *context, const struct world_line *line) {
    (void)context;
    printf("%12.6f %-3s %-16s %016" PRIx64 "%s%.*s\n", (double)line->at / 1e9, line->host,
           line->what, line->payload, line->text.size > 0 ? " " : "", (int)line->text.size,
           (const char *)line->text.data);
}

static struct arguments parse(int argc, char **argv) {
    static const struct option options[] = {
        {"seed", required_argument, NULL, 's'},  {"count", required_argument, NULL, 'c'},
        {"nodes", required_argument, NULL, 'n'}, {"faults", required_argument, NULL, 'f'},
        {"trace", no_argument, NULL, 't'},       {"operations", required_argument, NULL, 'o'},
        {"report", no_argument, NULL, 'r'},      {"coverage", no_argument, NULL, 'v'},
        {"crowd", required_argument, NULL, 'C'}, {"minutes", required_argument, NULL, 'm'},
        {"help", no_argument, NULL, 'h'},        {NULL, 0, NULL, 0},
    };
    struct arguments a = {.simulation = {.seed = 1, .operations = 1000}, .count = 1, .minutes = 1};
    bool is_of_crowd = false;    // some option that makes sense with --crowd alone
    bool is_of_workload = false; // ... without it alone: all the others, but for --seed and --help
    int option = 0;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        is_of_crowd |= option == 'm';
        is_of_workload |= strchr("cnoftrv", option) != NULL;
        switch (option) {
        case 's':
            a.simulation.seed = parse_number("bad seed", optarg, UINT64_MAX);
            break;
        case 'c':
            a.count = parse_number("bad count", optarg, UINT32_MAX);
            break;
        case 'n':
            a.simulation.members = (uint32_t)parse_number("bad number of nodes", optarg, 16);
            break;
        case 'o':
            a.simulation.operations = (uint32_t)parse_number("bad number", optarg, 50000);
            break;
        case 'f':
            a.simulation.troubles = parse_faults(optarg);
            break;
        case 't':
            a.simulation.trace = print_line;
            break;
        case 'r':
            a.wants_report = true;
            break;
        case 'v':
            a.wants_coverage = true;
            break;
        case 'C':
            a.crowd = (uint32_t)parse_number("bad number of nodes", optarg, MEMBERS_MAX);
            break;
        case 'm':
            a.minutes = parse_number("bad number of minutes", optarg, UINT32_MAX);
            break;
        case 'h':
            fputs(usage, stdout);
            exit(0);
        default:
            exit(2);
        }
    }
    if (optind < argc) refuse("what is", argv[optind]);
    if (a.crowd > 0 && is_of_workload) refuse("only --minutes and --seed go with", "--crowd");
    if (a.crowd == 0 && is_of_crowd) refuse("without --crowd there is no", "--minutes");
    return a;
}

int main(int argc, char **argv) {
    struct arguments a = parse(argc, argv);
    if (a.crowd > 0) {
        running_seed = a.simulation.seed;
        return sim_crowd(a.crowd, running_seed, a.minutes) ? EXIT_SUCCESS : EXIT_FAILURE;
    }
    struct sim_report sum = {0};
    uint64_t first = a.simulation.seed;
    for (uint64_t i = 0; i < a.count; i++) {
        struct simulation_report report;
        a.simulation.seed = running_seed = first + i;
        simulation_run(&a.simulation, &report);
        printf("seed %" PRIu64 " %s %016" PRIx64 " nodes=%u ops=%u refused=%u unknown=%u "
               "events=%" PRIu64 " seconds=%.1f%s%s\n",
               running_seed, report.has_failed ? "FAILED" : "ok", report.trace_hash, report.members,
               report.done, report.refused, report.unknown, report.events,
               (double)report.simulated_ns / 1e9, report.has_failed ? " " : "", report.failure);
        fflush(stdout);
        sim_report_add(&sum, &report);
    }
    if (a.wants_report || a.wants_coverage) sim_report_print(&sum);
    bool is_covered = !a.wants_coverage || sim_report_is_covered(&sum);
    return sum.failed == 0 && is_covered ? EXIT_SUCCESS : EXIT_FAILURE;
}
