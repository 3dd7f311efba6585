// SPDX-License-Identifier: Apache-2.0
//
// Runs the unit tests: all groups, or those that the arguments choose.
//
//     quoit-test                  all
//     quoit-test store block      groups whose name contains one of these
//     quoit-test -world           all but these
//
// Processes started with the same empty directory in QUOIT_TEST_CLAIMS, and the same arguments,
// share the cases among them. With QUOIT_TEST_FIRST in the environment, the first case that fails
// ends the program. QUOIT_TEST_CASE is the name of the only case to run.
#include "tests/test.h"

#include "base/must.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

_Noreturn void must_fail(const char *cond, const char *file, int line) {
    fprintf(stderr, "%s:%d: must(%s)\n", file, line, cond);
    abort();
}

uint64_t test_seed(void) {
    const char *text = getenv("QUOIT_TEST_SEED");
    return text == NULL ? 1 : strtoull(text, NULL, 10);
}

uint64_t test_every(void) {
    const char *text = getenv("QUOIT_TEST_EVERY");
    uint64_t every = text == NULL ? 0 : strtoull(text, NULL, 10);
    return every == 0 ? TEST_EVERY : every;
}

uint64_t test_share(uint64_t all, uint64_t part) {
    return test_every() == 1 ? all : part;
}

// Of those that share the cases, the first to ask for the next one in the order runs it: a long
// case holds up nobody but who has it.
static bool claim_next(const char *directory) {
    static unsigned number;
    char path[256];
    int size = snprintf(path, sizeof(path), "%s/%u", directory, number++);
    must(size > 0 && (size_t)size < sizeof(path));
    if (mkdir(path, 0700) == 0) return true;
    must(errno == EEXIST);
    return false;
}

// What every group is run by: the linker puts ours in the place of cmocka's own, so that no group
// escapes the sharing.
// NOLINTBEGIN(bugprone-reserved-identifier)
int __real__cmocka_run_group_tests(const char *name, const struct CMUnitTest *cases, size_t count,
                                   CMFixtureFunction setup, CMFixtureFunction teardown);
int __wrap__cmocka_run_group_tests(const char *name, const struct CMUnitTest *cases, size_t count,
                                   CMFixtureFunction setup, CMFixtureFunction teardown);

int __wrap__cmocka_run_group_tests(const char *name, const struct CMUnitTest *cases, size_t count,
                                   CMFixtureFunction setup, CMFixtureFunction teardown) {
    const char *claims = getenv("QUOIT_TEST_CLAIMS");
    const char *only = getenv("QUOIT_TEST_CASE");
    bool is_first_enough = getenv("QUOIT_TEST_FIRST") != NULL;
    if (claims == NULL && only == NULL && !is_first_enough) {
        return __real__cmocka_run_group_tests(name, cases, count, setup, teardown);
    }
    int failed = 0;
    for (size_t i = 0; i < count; i++) {
        if (only != NULL && strcmp(cases[i].name, only) != 0) continue;
        if (claims != NULL && !claim_next(claims)) continue;
        failed += __real__cmocka_run_group_tests(name, &cases[i], 1, setup, teardown);
        if (is_first_enough && failed > 0) exit(EXIT_FAILURE);
    }
    return failed;
}
// NOLINTEND(bugprone-reserved-identifier)

static bool wanted(const char *name, char **filters) {
    bool chosen = filters[0] == NULL || filters[0][0] == '-';
    for (; *filters != NULL; filters++) {
        if (**filters != '-') {
            if (strstr(name, *filters) != NULL) chosen = true;
        } else if (strstr(name, *filters + 1) != NULL) {
            return false;
        }
    }
    return chosen;
}

int main(int argc, char **argv) {
    (void)argc;
    // By lines, so that a test that kills the program leaves the name of the case behind.
    if (setvbuf(stdout, NULL, _IOLBF, 0) != 0) return EXIT_FAILURE;
    // So that what is large is zero because it is new, and not because it was cleared. Sanitizers
    // have an allocator of their own, which refuses.
    (void)mallopt(M_MMAP_THRESHOLD, 1 << 20);
    int failed = 0;
#define X(module)                                                                                  \
    if (wanted(#module, argv + 1)) failed += module();
#include "all_tests.h"
#undef X
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
