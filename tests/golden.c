// SPDX-License-Identifier: Apache-2.0
#include "tests/golden.h"

#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static FILE *open_golden(const char *name, const char *mode) {
    char path[200];
    int size = snprintf(path, sizeof(path), "tests/golden/%s", name);
    assert_in_range(size, 1, sizeof(path) - 1);
    FILE *file = fopen(path, mode);
    if (file == NULL) fail_msg("cannot open %s: tests run from the root of the repository", path);
    return file;
}

struct slice golden_read(const char *name, uint8_t *memory, size_t capacity) {
    FILE *file = open_golden(name, "rb");
    size_t size = fread(memory, 1, capacity, file);
    bool is_whole = size < capacity && feof(file) != 0 && ferror(file) == 0;
    (void)fclose(file);
    if (!is_whole) fail_msg("%s is too large, or cannot be read", name);
    return (struct slice){memory, size};
}

static bool may_write(void) {
    const char *what = getenv("QUOIT_GOLDEN");
    return what != NULL && strcmp(what, "write") == 0;
}

static void write_golden(const char *name, struct slice actual) {
    FILE *file = open_golden(name, "wb");
    size_t written = fwrite(actual.data, 1, actual.size, file);
    int failed = fclose(file);
    assert_int_equal(written, actual.size);
    assert_int_equal(failed, 0);
    fprintf(stderr, "wrote tests/golden/%s\n", name);
}

void golden_compare(const char *name, struct slice actual) {
    if (may_write()) {
        write_golden(name, actual);
        return;
    }
    uint8_t *memory = malloc(actual.size + 2);
    assert_non_null(memory);
    struct slice expected = golden_read(name, memory, actual.size + 2);
    size_t at = 0;
    while (at < actual.size && at < expected.size && actual.data[at] == expected.data[at]) at++;
    bool is_same = at == actual.size && at == expected.size;
    free(memory);
    if (!is_same) fail_msg("differs from tests/golden/%s at offset %zu", name, at);
}
