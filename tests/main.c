// SPDX-License-Identifier: Apache-2.0
//
// Runs the unit tests: all groups, or those whose name contains the first argument.
#include "tests/test.h"

#include "base/must.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Noreturn void must_fail(const char *cond, const char *file, int line) {
    fprintf(stderr, "%s:%d: must(%s)\n", file, line, cond);
    abort();
}

uint64_t test_seed(void) {
    const char *text = getenv("QUOIT_TEST_SEED");
    return text == NULL ? 1 : strtoull(text, NULL, 10);
}

static bool wanted(const char *name, const char *filter) {
    return filter == NULL || strstr(name, filter) != NULL;
}

int main(int argc, char **argv) {
    const char *filter = argc > 1 ? argv[1] : NULL;
    int failed = 0;
#define X(module)                                                                                  \
    if (wanted(#module, filter)) failed += module();
#include "all_tests.h"
#undef X
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
