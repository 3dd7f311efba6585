// SPDX-License-Identifier: Apache-2.0
#include "bench/engine_cold.h"

#include "bench/engine.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { EVERY_NS = 20 * 1000 * 1000 };

static char directory[4096];
static pthread_t thread;
static bool has_begun;

static void forget(void) {
    char name[8192];
    DIR *all = opendir(directory);
    struct dirent *entry;
    while (all != NULL && (entry = readdir(all)) != NULL) {
        snprintf(name, sizeof(name), "%s/%s", directory, entry->d_name);
        int fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (fd < 0) continue;
        (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
        close(fd);
    }
    if (all != NULL) closedir(all);
}

static void *keep_cold(void *argument) {
    (void)argument;
    const struct timespec pause = {.tv_nsec = EVERY_NS};
    for (;;) {
        forget();
        nanosleep(&pause, NULL);
    }
    return NULL;
}

void cold_begin(const char *path) {
    snprintf(directory, sizeof(directory), "%s", path);
    has_begun = pthread_create(&thread, NULL, keep_cold, NULL) == 0;
    if (!has_begun) give_up("cold", "cannot start a thread");
}

double cold_cpu(void) {
    clockid_t clock;
    struct timespec t = {0};
    if (has_begun && pthread_getcpuclockid(thread, &clock) == 0) clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}
