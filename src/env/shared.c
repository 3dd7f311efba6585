// SPDX-License-Identifier: Apache-2.0
#include "env/shared.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

// A later may ask for another one. So many rounds of that belong to one turn; a chain without end
// must not keep the network waiting.
enum { LATER_ROUNDS_MAX = 16 };

enum { LISTEN_PAUSE_NS = 10 * 1000 * 1000 };

void complain(struct env_complaint *complaint, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(complaint->text, sizeof(complaint->text), format, arguments);
    va_end(arguments);
}

enum status shared_status(int error) {
    switch (error) {
    case 0:
        return ST_OK;
    case ENOENT:
        return ST_NOT_FOUND;
    case ENOSPC:
    case EDQUOT:
        return ST_NO_SPACE;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
        return ST_BUSY;
    default:
        return ST_IO;
    }
}

bool shared_is_name(const char *name) {
    size_t size = strnlen(name, ENV_FILE_NAME_MAX + 1);
    if (size == 0 || size > ENV_FILE_NAME_MAX) return false;
    for (size_t i = 0; i < size; i++) {
        char c = name[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        bool is_digit = c >= '0' && c <= '9';
        if (!is_letter && !is_digit && c != '.' && c != '-' && c != '_') return false;
    }
    return strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && strcmp(name, SHARED_LOCK_NAME) != 0;
}

uint64_t shared_clock(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

bool shared_listen_again(const struct env_options *options, int error) {
    if (error != EADDRINUSE || shared_clock() >= options->listen_until) return false;
    struct timespec pause = {.tv_nsec = LISTEN_PAUSE_NS};
    (void)nanosleep(&pause, NULL);
    return true;
}

void shared_log_no_listener(struct env *env, const char *address, int error) {
    env_log(env, ENV_ERROR, "cannot listen address=%s why=\"%s\"", address,
            error == 0 ? "No such host" : strerror(error));
}

void shared_set_time(struct env *env) {
    struct timespec wall;
    env->now = shared_clock();
    clock_gettime(CLOCK_REALTIME, &wall);
    env->wall_ms = (uint64_t)wall.tv_sec * 1000u + (uint64_t)wall.tv_nsec / 1000000u;
}

void shared_begin_turn(struct env *env, uint64_t asked, uint64_t deadline) {
    uint64_t late = asked - env->now;
    shared_set_time(env);
    if (deadline > asked && env->now > deadline) late += env->now - deadline;
    env->late = late;
}

void shared_log(const struct env_options *options, uint64_t wall_ms, enum env_level level,
                struct slice line) {
    static const char *const names[] = {"DEBUG", "INFO", "WARNING", "ERROR"};
    if (options->log != NULL) {
        options->log(options->log_context, level, line);
        return;
    }
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm date;
    char stamp[32];
    char text[600];
    gmtime_r(&seconds, &date);
    strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &date);
    int size = snprintf(text, sizeof(text), "%s.%03uZ %s %.*s\n", stamp, (unsigned)(wall_ms % 1000),
                        names[level], (int)line.size, (const char *)line.data);
    must(size > 0);
    must((size_t)size < sizeof(text));
    // One write a line, so that lines of several threads do not mix. A log that cannot be written
    // has nobody to be told.
    ssize_t written = write(STDERR_FILENO, text, (size_t)size);
    (void)written;
}

int shared_open_directory(const char *path, struct env_complaint *complaint) {
    int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0) {
        complain(complaint, "cannot open the directory %s: %s", path, strerror(errno));
    }
    return directory;
}

static int compare_names(const void *a, const void *b) {
    return strcmp(a, b);
}

struct names {
    char (*items)[ENV_FILE_NAME_MAX + 1];
    size_t count;
    size_t capacity;
};

static bool add_name(struct names *names, const char *name) {
    if (names->count == names->capacity) {
        size_t capacity = names->capacity == 0 ? 256 : 2 * names->capacity;
        void *items = realloc(names->items, capacity * sizeof(names->items[0]));
        if (items == NULL) return false;
        names->items = items;
        names->capacity = capacity;
    }
    memcpy(names->items[names->count++], name, strlen(name) + 1); // shared_is_name() holds
    return true;
}

// Only plain files with a name that env.h allows: what else lies there is not ours.
static enum status read_names(DIR *stream, struct names *names) {
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(stream);
        if (entry == NULL) return errno == 0 ? ST_OK : ST_IO;
        if (!shared_is_name(entry->d_name)) continue;
        struct stat facts;
        if (fstatat(dirfd(stream), entry->d_name, &facts, AT_SYMLINK_NOFOLLOW) != 0) continue;
        if (!S_ISREG(facts.st_mode)) continue;
        if (!add_name(names, entry->d_name)) return ST_IO;
    }
}

enum status shared_list(int directory, uint8_t *to, uint32_t capacity, uint32_t *size) {
    int copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (copy < 0) return shared_status(errno);
    DIR *stream = fdopendir(copy);
    if (stream == NULL) {
        close(copy);
        return ST_IO;
    }
    struct names names = {NULL, 0, 0};
    enum status st = read_names(stream, &names);
    closedir(stream);
    if (names.count > 0) {
        qsort(names.items, names.count, sizeof(names.items[0]), compare_names);
    }
    uint32_t used = 0;
    for (size_t i = 0; i < names.count && st == ST_OK; i++) {
        size_t name_size = strlen(names.items[i]) + 1;
        if (name_size > capacity - used) {
            st = ST_TOO_LARGE;
        } else {
            memcpy(to + used, names.items[i], name_size);
            used += (uint32_t)name_size;
        }
    }
    free(names.items);
    *size = st == ST_OK ? used : 0;
    return st;
}

enum status shared_space(int directory, uint64_t *bytes) {
    struct statvfs facts;
    if (fstatvfs(directory, &facts) != 0) return ST_IO;
    *bytes = (uint64_t)facts.f_bavail * (uint64_t)facts.f_frsize;
    return ST_OK;
}

void shared_move_all(struct list *from, struct list *to) {
    list_init(to);
    if (list_is_empty(from)) return;
    *to = *from;
    to->next->prev = to;
    to->prev->next = to;
    list_init(from);
}

struct env_op *shared_first_of(struct list *list) {
    must(!list_is_empty(list));
    struct env_op *op = CONTAINER_OF(list->next, struct env_op, link);
    list_remove(&op->link);
    return op;
}

void shared_run_later(struct list *later) {
    for (int round = 0; round < LATER_ROUNDS_MAX && !list_is_empty(later); round++) {
        struct list now;
        shared_move_all(later, &now);
        while (!list_is_empty(&now)) {
            struct env_op *op = shared_first_of(&now);
            op->done(op);
        }
    }
}
