// SPDX-License-Identifier: Apache-2.0
#include "env/system.h"

#include "base/timer.h"
#include "env/portable.h"
#include "env/uring.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

// Worlds that a signal wakes: one a thread.
static struct env *_Atomic worlds[SHARDS_MAX];
static atomic_bool is_stopping;

static bool enlist(struct env *env) {
    for (size_t i = 0; i < SHARDS_MAX; i++) {
        struct env *none = NULL;
        if (atomic_compare_exchange_strong(&worlds[i], &none, env)) return true;
    }
    return false;
}

static void delist(struct env *env) {
    for (size_t i = 0; i < SHARDS_MAX; i++) {
        struct env *same = env;
        if (atomic_compare_exchange_strong(&worlds[i], &same, NULL)) return;
    }
}

static bool is_portable_wanted(const struct env_options *options) {
    const char *wanted = getenv("QUOIT_IO");
    return options->is_portable || (wanted != NULL && strcmp(wanted, "portable") == 0);
}

static struct env *open_portable(const struct env_options *options, const char *why,
                                 struct env_complaint *complaint) {
    struct env *env = portable_create(options, complaint);
    if (env != NULL) env_log(env, ENV_INFO, "io portable reason=\"%s\"", why);
    return env;
}

struct env *system_open(const struct env_options *options, struct env_complaint *complaint) {
    struct env *env = NULL;
    if (is_portable_wanted(options)) {
        env = open_portable(options, "asked for", complaint);
    } else if ((env = uring_create(options, complaint)) == NULL) {
        struct env_complaint why = *complaint;
        env = open_portable(options, why.text, complaint);
    }
    if (env == NULL) return NULL;
    if (!enlist(env)) {
        complain(complaint, "more than %d worlds in one process", SHARDS_MAX);
        system_close(env);
        return NULL;
    }
    return env;
}

const char *system_name(const struct env *env) {
    return uring_owns(env) ? "io_uring" : "portable";
}

void system_wait(struct env *env, uint64_t deadline) {
    if (uring_owns(env)) {
        uring_wait(env, deadline);
    } else {
        portable_wait(env, deadline);
    }
}

void system_wake(struct env *env) {
    if (uring_owns(env)) {
        uring_wake(env);
    } else {
        portable_wake(env);
    }
}

void system_close(struct env *env) {
    delist(env);
    if (uring_owns(env)) {
        uring_destroy(env);
    } else {
        portable_destroy(env);
    }
}

static void on_signal(int number) {
    (void)number;
    int error = errno;
    atomic_store(&is_stopping, true);
    for (size_t i = 0; i < SHARDS_MAX; i++) {
        struct env *env = atomic_load(&worlds[i]);
        if (env != NULL) system_wake(env);
    }
    errno = error;
}

void system_catch_signals(void) {
    struct sigaction catch = {.sa_handler = on_signal};
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigfillset(&catch.sa_mask);
    must(sigaction(SIGTERM, &catch, NULL) == 0);
    must(sigaction(SIGINT, &catch, NULL) == 0);
    must(sigaction(SIGPIPE, &ignore, NULL) == 0);
}

bool system_is_stopping(void) {
    return atomic_load_explicit(&is_stopping, memory_order_relaxed);
}

// The directory's own name lies in its parent, and is as durable as that.
static bool sync_parent(int directory) {
    int parent = openat(directory, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (parent < 0) return false;
    bool is_synced = fsync(parent) == 0;
    int error = errno;
    close(parent);
    errno = error;
    return is_synced;
}

// Locks the file that was opened, or not because of the error.
static enum status hold(int fd, int error, const char *path, int *lock,
                        struct env_complaint *complaint) {
    if (fd < 0) {
        complain(complaint, "cannot open %s/" SHARED_LOCK_NAME ": %s", path, strerror(error));
        return ST_IO;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        bool is_held = errno == EWOULDBLOCK;
        complain(complaint,
                 is_held ? "the directory %s is in use by another process"
                         : "the directory %s cannot be locked",
                 path);
        close(fd);
        return is_held ? ST_BUSY : ST_IO;
    }
    *lock = fd;
    return ST_OK;
}

enum status system_lock_directory(const char *path, int *lock, struct env_complaint *complaint) {
    bool is_new = mkdir(path, 0700) == 0;
    if (!is_new && errno != EEXIST) {
        complain(complaint, "cannot make the directory %s: %s", path, strerror(errno));
        return ST_IO;
    }
    int directory = shared_open_directory(path, complaint);
    if (directory < 0) return ST_IO;
    // One that is there may be new as well, if the start that made it was cut short. But the parent
    // may be closed to us, and then whoever made the directory has seen to it.
    if (!sync_parent(directory) && is_new) {
        complain(complaint, "cannot sync the parent of %s: %s", path, strerror(errno));
        close(directory);
        return ST_IO;
    }
    int fd = openat(directory, SHARED_LOCK_NAME, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    int error = errno;
    close(directory);
    return hold(fd, error, path, lock, complaint);
}

enum status system_lock_for_reading(const char *path, int *lock, struct env_complaint *complaint) {
    int directory = shared_open_directory(path, complaint);
    if (directory < 0) return ST_IO;
    int fd = openat(directory, SHARED_LOCK_NAME,
                    O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK); // who knows what it is
    int error = errno;
    close(directory);
    *lock = -1;
    if (fd < 0 && error == ENOENT) return ST_OK;
    return hold(fd, error, path, lock, complaint);
}

void system_unlock_directory(int lock) {
    if (lock >= 0) close(lock);
}

struct arena system_arena(size_t size) {
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) return (struct arena){NULL, 0, 0};
    madvise(memory, size, MADV_HUGEPAGE); // a wish
    return arena_over(memory, size);
}

void system_arena_free(struct arena *arena) {
    munmap(arena->memory, arena->size);
    *arena = (struct arena){NULL, 0, 0};
}

void system_random(void *to, size_t size) {
    uint8_t *next = to;
    while (size > 0) {
        ssize_t got = getrandom(next, size, 0);
        must(got > 0 || errno == EINTR);
        if (got > 0) {
            next += got;
            size -= (size_t)got;
        }
    }
}

static uint64_t us_of(struct timeval time) {
    return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_usec;
}

struct system_usage system_used(void) {
    struct system_usage used = {0};
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) == 0) {
        used.user_us = us_of(usage.ru_utime);
        used.system_us = us_of(usage.ru_stime);
    }
    char line[128]; // pages of addresses, then pages of memory, then others
    int file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (file < 0) return used;
    ssize_t size = read(file, line, sizeof(line) - 1);
    (void)close(file);
    line[size < 0 ? 0 : size] = '\0';
    const char *second = strchr(line, ' ');
    if (second != NULL) {
        used.resident = strtoull(second + 1, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
    }
    return used;
}

const char *system_release(char *to, size_t size) {
    struct utsname name;
    to[0] = '\0';
    if (uname(&name) == 0) {
        (void)snprintf(to, size, "%s %s %s", name.sysname, name.release, name.machine);
    }
    return to;
}
