// SPDX-License-Identifier: Apache-2.0
#include "env/system_memory.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_SIZE = 1024 };

static uint64_t lesser(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

static FILE *open_below(const char *root, const char *path) {
    char whole[PATH_MAX];
    int size = snprintf(whole, sizeof(whole), "%s%s", root, path);
    return size > 0 && (size_t)size < sizeof(whole) ? fopen(whole, "re") : NULL;
}

// A number at the front of a text; UINT64_MAX for "max" and whatever else is none.
static uint64_t number_of(const char *text) {
    char *end = NULL;
    errno = 0;
    uint64_t value = strtoull(text, &end, 10);
    return end == text || errno != 0 ? UINT64_MAX : value;
}

static uint64_t of_machine(const char *root) {
    static const char word[] = "MemTotal:";
    char line[LINE_SIZE];
    uint64_t bytes = UINT64_MAX;
    FILE *file = open_below(root, "/proc/meminfo");
    if (file == NULL) return bytes;
    while (bytes == UINT64_MAX && fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, word, sizeof(word) - 1) != 0) continue;
        uint64_t kib = number_of(line + sizeof(word) - 1);
        if (kib <= UINT64_MAX / 1024) bytes = kib * 1024;
    }
    (void)fclose(file);
    return bytes;
}

static uint64_t limit_in(const char *root, const char *path) {
    char line[LINE_SIZE];
    FILE *file = open_below(root, path);
    if (file == NULL) return UINT64_MAX;
    uint64_t bytes = fgets(line, sizeof(line), file) == NULL ? UINT64_MAX : number_of(line);
    (void)fclose(file);
    return bytes;
}

// The least limit of a group and those around it. In a container the name may be the one it has
// outside; its own limit then lies where the names begin.
static uint64_t of_group(const char *root, const char *mount, const char *group, const char *name) {
    char path[PATH_MAX];
    size_t length = strlen(group);
    uint64_t least = UINT64_MAX;
    for (;;) {
        while (length > 0 && group[length - 1] == '/') length--;
        int size = snprintf(path, sizeof(path), "%s%.*s/%s", mount, (int)length, group, name);
        if (size > 0 && (size_t)size < sizeof(path)) least = lesser(least, limit_in(root, path));
        if (length == 0) return least;
        while (length > 0 && group[length - 1] != '/') length--;
    }
}

// Whether the list "a,b,c" has the word "memory".
static bool has_memory(const char *list) {
    static const char word[] = "memory";
    for (const char *at = list; *at != '\0'; at += strspn(at, ",")) {
        size_t size = strcspn(at, ",");
        if (size == sizeof(word) - 1 && memcmp(at, word, size) == 0) return true;
        at += size;
    }
    return false;
}

// "number:controllers:/group"; the second version of groups has no controllers there.
static uint64_t of_line(const char *root, char *line) {
    line[strcspn(line, "\n")] = '\0';
    char *controllers = strchr(line, ':');
    char *group = controllers == NULL ? NULL : strchr(controllers + 1, ':');
    if (group == NULL) return UINT64_MAX;
    *group++ = '\0';
    controllers++;
    if (*controllers == '\0') return of_group(root, "/sys/fs/cgroup", group, "memory.max");
    if (!has_memory(controllers)) return UINT64_MAX;
    return of_group(root, "/sys/fs/cgroup/memory", group, "memory.limit_in_bytes");
}

uint64_t system_memory_most(const char *root) {
    char line[PATH_MAX + LINE_SIZE];
    uint64_t least = of_machine(root);
    FILE *file = open_below(root, "/proc/self/cgroup");
    if (file == NULL) return least;
    while (fgets(line, sizeof(line), file) != NULL) least = lesser(least, of_line(root, line));
    (void)fclose(file);
    return least;
}
