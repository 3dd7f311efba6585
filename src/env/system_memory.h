// SPDX-License-Identifier: Apache-2.0
//
// system_memory.h -- how much memory a process can ever have here.
//
// The machine has so much, and each control group that the process is in, or that such a group is
// in, may allow less. Memory is given page by page when it is first written, long after it was
// asked for, and to whom it cannot be given the kernel kills: so a program compares first.
//
//     /proc/meminfo      MemTotal
//     /proc/self/cgroup  0::/a/b           -> /sys/fs/cgroup/{a/b,a,.}/memory.max
//                        N:...memory...:/a -> /sys/fs/cgroup/memory/{a,.}/memory.limit_in_bytes
//
// Swap is not counted: a store that is swapped is no use to anybody.
#ifndef QUOIT_ENV_SYSTEM_MEMORY_H
#define QUOIT_ENV_SYSTEM_MEMORY_H

#include <stdint.h>

// In bytes; UINT64_MAX when nothing can be learnt. `root` is put before the names above: "" but in
// tests.
uint64_t system_memory_most(const char *root);

#endif
