// SPDX-License-Identifier: Apache-2.0
#include "env/portable_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct env_file {
    struct list link; // in portable.files
    int fd;
};

// One request on its way through a thread, with all that the thread needs.
struct job {
    struct portable *world;
    struct env_op *op;
    struct env_file *file; // a new one
    const char *name;
    const char *to;
};

static int fd_of(const struct env_op *op) {
    return ((const struct env_file *)op->target)->fd;
}

static enum status done_or_failed(int result) {
    return result == 0 ? ST_OK : shared_status(errno);
}

static enum status open_file(struct job *job) {
    bool is_read_only = job->world->options.is_read_only;
    int flags = (is_read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOFOLLOW;
    if (job->op->wanted == ENV_CREATE) flags |= O_CREAT | O_TRUNC;
    int fd = openat(job->world->directory, job->name, flags, 0600);
    if (fd < 0) return shared_status(errno);
    struct stat facts;
    bool is_good = fstat(fd, &facts) == 0 && S_ISREG(facts.st_mode);
    if (is_good) job->file = malloc(sizeof(*job->file));
    if (job->file == NULL) {
        close(fd);
        return is_good ? ST_BUSY : ST_IO;
    }
    job->file->fd = fd;
    list_init(&job->file->link);
    job->op->value = (uint64_t)facts.st_size;
    return ST_OK;
}

static enum status transfer(const struct portable *p, struct env_op *op) {
    while (op->size < op->wanted) {
        uint32_t size = portable_piece(p, op->wanted - op->size);
        off_t offset = (off_t)(op->offset + op->size);
        ssize_t moved = op->kind == PORTABLE_READ
                            ? pread(fd_of(op), op->to + op->size, size, offset)
                            : pwrite(fd_of(op), op->from + op->size, size, offset);
        if (moved < 0 && errno != EINTR && errno != EAGAIN) return shared_status(errno);
        if (moved == 0) return op->kind == PORTABLE_READ ? ST_OK : ST_IO;
        if (moved > 0) op->size += (uint32_t)moved;
    }
    return ST_OK;
}

static enum status run(struct job *job) {
    struct env_op *op = job->op;
    int at = job->world->directory;
    switch (op->kind) {
    case PORTABLE_OPEN:
        return open_file(job);
    case PORTABLE_ALLOCATE:
        return shared_status(posix_fallocate(fd_of(op), 0, (off_t)op->offset));
    case PORTABLE_READ:
    case PORTABLE_WRITE:
        return transfer(job->world, op);
    case PORTABLE_SYNC:
        return done_or_failed(fdatasync(fd_of(op)));
    case PORTABLE_CLOSE:
        return close(fd_of(op)) == 0 || errno == EINTR ? ST_OK : ST_IO;
    case PORTABLE_SYNC_NAMES:
        return done_or_failed(fsync(at));
    case PORTABLE_RENAME:
        return done_or_failed(renameat(at, job->name, at, job->to));
    case PORTABLE_LINK:
        return done_or_failed(linkat(at, job->name, at, job->to, 0));
    case PORTABLE_REMOVE:
        return done_or_failed(unlinkat(at, job->name, 0));
    case PORTABLE_LIST:
        return shared_list(at, op->to, op->wanted, &op->size);
    case PORTABLE_SPACE:
        return shared_space(at, &op->value);
    default:
        unreachable();
    }
}

static void run_job(void *argument) {
    struct job *job = argument;
    enum status st = run(job);
    if (st == ST_BUSY && job->op->kind != PORTABLE_OPEN) st = ST_IO;
    job->op->status = st;
}

static void on_run(void *argument) {
    struct job *job = argument;
    struct env_op *op = job->op;
    if (op->kind == PORTABLE_OPEN && op->status == ST_OK) {
        struct env_file **to = op->target;
        list_append(&job->world->files, &job->file->link);
        *to = job->file;
    }
    if (op->kind == PORTABLE_CLOSE) {
        struct env_file *file = op->target;
        list_remove(&file->link);
        free(file);
    }
    portable_answer(job->world, op, op->status);
    free(job);
}

static void ask_named(struct env *env, struct env_op *op, enum portable_kind kind, const char *name,
                      const char *to) {
    struct portable *p = portable_of(env);
    must(p->directory >= 0);
    op->kind = kind;
    op->size = 0;
    struct job *job = calloc(1, sizeof(*job));
    if (job == NULL) {
        portable_answer(p, op, ST_IO);
        return;
    }
    job->world = p;
    job->op = op;
    job->name = name;
    job->to = to;
    portable_run(p, run_job, on_run, job);
}

static void ask(struct env *env, struct env_op *op, enum portable_kind kind) {
    ask_named(env, op, kind, NULL, NULL);
}

void portable_file_open(struct env *env, struct env_op *op, const char *name, enum env_open mode,
                        struct env_file **file) {
    must(shared_is_name(name));
    op->target = file;
    op->wanted = mode;
    ask_named(env, op, PORTABLE_OPEN, name, NULL);
}

void portable_file_allocate(struct env *env, struct env_op *op, struct env_file *file,
                            uint64_t size) {
    op->target = file;
    op->offset = size;
    ask(env, op, PORTABLE_ALLOCATE);
}

void portable_file_read(struct env *env, struct env_op *op, struct env_file *file, uint64_t offset,
                        uint8_t *to, uint32_t size) {
    op->target = file;
    op->offset = offset;
    op->to = to;
    op->wanted = size;
    ask(env, op, PORTABLE_READ);
}

void portable_file_write(struct env *env, struct env_op *op, struct env_file *file, uint64_t offset,
                         const uint8_t *from, uint32_t size) {
    op->target = file;
    op->offset = offset;
    op->from = from;
    op->wanted = size;
    ask(env, op, PORTABLE_WRITE);
}

void portable_file_sync(struct env *env, struct env_op *op, struct env_file *file) {
    op->target = file;
    ask(env, op, PORTABLE_SYNC);
}

void portable_file_close(struct env *env, struct env_op *op, struct env_file *file) {
    op->target = file;
    ask(env, op, PORTABLE_CLOSE);
}

void portable_file_sync_names(struct env *env, struct env_op *op) {
    ask(env, op, PORTABLE_SYNC_NAMES);
}

void portable_file_rename(struct env *env, struct env_op *op, const char *from, const char *to) {
    must(shared_is_name(from));
    must(shared_is_name(to));
    ask_named(env, op, PORTABLE_RENAME, from, to);
}

void portable_file_link(struct env *env, struct env_op *op, const char *from, const char *to) {
    must(shared_is_name(from));
    must(shared_is_name(to));
    ask_named(env, op, PORTABLE_LINK, from, to);
}

void portable_file_remove(struct env *env, struct env_op *op, const char *name) {
    must(shared_is_name(name));
    ask_named(env, op, PORTABLE_REMOVE, name, NULL);
}

void portable_file_list(struct env *env, struct env_op *op, uint8_t *to, uint32_t capacity) {
    op->to = to;
    op->wanted = capacity;
    ask(env, op, PORTABLE_LIST);
}

void portable_file_space(struct env *env, struct env_op *op) {
    ask(env, op, PORTABLE_SPACE);
}

void portable_file_destroy_all(struct portable *p) {
    struct list *next = p->files.next;
    while (next != &p->files) {
        struct env_file *file = CONTAINER_OF(next, struct env_file, link);
        next = next->next;
        close(file->fd);
        free(file);
    }
    list_init(&p->files);
}
