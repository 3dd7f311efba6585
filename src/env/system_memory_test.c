// SPDX-License-Identifier: Apache-2.0
#include "env/system_memory.h"

#include "tests/test.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MIB ((uint64_t)1 << 20)

static char root[64];

static int set_up(void **state) {
    (void)state;
    snprintf(root, sizeof(root), "/tmp/quoit-memory-XXXXXX");
    return mkdtemp(root) == NULL ? -1 : 0;
}

static int tear_down(void **state) {
    (void)state;
    char command[PATH_MAX];
    snprintf(command, sizeof(command), "rm -r %s", root);
    return system(command);
}

// Makes a file below the root, and the directories on the way to it.
static void put(const char *path, const char *text) {
    char whole[PATH_MAX];
    snprintf(whole, sizeof(whole), "%s%s", root, path);
    for (char *at = whole + strlen(root) + 1; (at = strchr(at, '/')) != NULL; at++) {
        *at = '\0';
        (void)mkdir(whole, 0700);
        *at = '/';
    }
    FILE *file = fopen(whole, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void expect(uint64_t bytes) {
    assert_true(system_memory_most(root) == bytes);
}

static void put_machine(void) {
    put("/proc/meminfo", "MemTotal:        4194304 kB\nMemFree:          1 kB\n");
}

static void where_nothing_can_be_learnt_there_is_no_limit(void **state) {
    (void)state;
    expect(UINT64_MAX);
    put("/proc/meminfo", "MemTotal: much\n");
    put("/proc/self/cgroup", "nonsense\n0\n:\n::\n");
    expect(UINT64_MAX);
}

static void a_machine_gives_what_it_has(void **state) {
    (void)state;
    put_machine();
    expect(4096 * MIB);
    put("/proc/self/cgroup", "0::/\n");
    expect(4096 * MIB);
}

static void the_least_limit_of_the_groups_around_counts(void **state) {
    (void)state;
    put_machine();
    put("/proc/self/cgroup", "0::/system.slice/quoit.service\n");
    put("/sys/fs/cgroup/system.slice/quoit.service/memory.max", "max\n");
    expect(4096 * MIB);
    put("/sys/fs/cgroup/system.slice/memory.max", "2147483648\n");
    expect(2048 * MIB);
    put("/sys/fs/cgroup/system.slice/quoit.service/memory.max", "1073741824\n");
    expect(1024 * MIB);
    put("/sys/fs/cgroup/memory.max", "536870912\n");
    expect(512 * MIB);
}

static void the_first_version_of_groups_has_a_tree_for_memory(void **state) {
    (void)state;
    put_machine();
    put("/proc/self/cgroup", "9:name=systemd:/x\n4:cpu,memory:/a/b\n1:memoryless:/c\n");
    put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    expect(4096 * MIB);
    put("/sys/fs/cgroup/memory/a/b/memory.limit_in_bytes", "1073741824\n");
    put("/sys/fs/cgroup/memory/c/memory.limit_in_bytes", "1\n");
    put("/sys/fs/cgroup/memory/x/memory.limit_in_bytes", "1\n");
    expect(1024 * MIB);
}

static void a_container_finds_its_limit_where_its_names_begin(void **state) {
    (void)state;
    put_machine();
    put("/proc/self/cgroup", "4:memory:/docker/0123\n");
    put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "1073741824\n");
    expect(1024 * MIB);
}

int system_memory_test(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest cases[] = {
        CASE(where_nothing_can_be_learnt_there_is_no_limit),
        CASE(a_machine_gives_what_it_has),
        CASE(the_least_limit_of_the_groups_around_counts),
        CASE(the_first_version_of_groups_has_a_tree_for_memory),
        CASE(a_container_finds_its_limit_where_its_names_begin),
    };
    return cmocka_run_group_tests_name("system_memory", cases, NULL, NULL);
}
