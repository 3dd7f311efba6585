// SPDX-License-Identifier: Apache-2.0
//
// engine_cold.h -- files that the kernel keeps no copies of.
//
// A benchmark's data is far smaller than the memory of its machine. An engine that reads through
// the kernel's cache would soon read nothing but memory, of which it was to have so much and no
// more. So what the kernel has copied is taken away again, many times a second: what is left in
// between is what a fiftieth of a second has read.
#ifndef QUOIT_BENCH_ENGINE_COLD_H
#define QUOIT_BENCH_ENGINE_COLD_H

// Begins to do so for all files of the directory, in a thread of its own, until the process ends.
void cold_begin(const char *directory);

// Seconds of processor that it has taken.
double cold_cpu(void);

#endif
