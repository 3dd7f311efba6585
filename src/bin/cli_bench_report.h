// SPDX-License-Identifier: Apache-2.0
//
// cli_bench_report.h -- what a run of the load generator found, for people and for programs.
#ifndef QUOIT_BIN_CLI_BENCH_REPORT_H
#define QUOIT_BIN_CLI_BENCH_REPORT_H

#include "bin/cli_load.h"

enum bench_format { BENCH_TEXT, BENCH_CSV, BENCH_JSON };

struct bench_run {
    uint32_t threads;
    uint32_t connections;
    uint64_t requests; // 0: by time
    uint64_t seconds;  // 0: by requests
    double rate;       // 0: closed loop
    uint64_t seed;
    double cpu_seconds; // that the generator itself used
    enum bench_format format;
};

// Prints to standard output.
void bench_report(const struct load_plan *plan, const struct bench_run *run,
                  const struct load_result *result);

#endif
