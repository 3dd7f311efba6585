// SPDX-License-Identifier: Apache-2.0
#include "env/uring_file.h"

#include "env/direct.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WRITE_AT_ONCE_MAX = 64 * 1024 };

static const struct env_file *file_of(const struct env_op *op) {
    return op->target;
}

static void *name_of(const char *name) {
    must(shared_is_name(name));
    void *kept;
    memcpy(&kept, &name, sizeof(kept)); // private is not const; nothing writes there
    return kept;
}

// Asks for what may keep the disk busy.
static void ask_to_change(struct uring *u, struct env_op *op, enum uring_kind kind) {
    u->writes_under_way++;
    uring_ask(u, op, kind);
}

static bool is_change(const struct env_op *op) {
    return op->kind != URING_OPEN && op->kind != URING_READ && op->kind != URING_READ_DIRECT;
}

void uring_file_open(struct env *env, struct env_op *op, const char *name, enum env_open mode,
                     struct env_file **file) {
    must(mode == ENV_OPEN || !uring_of(env)->options.is_read_only);
    op->target = file;
    op->wanted = mode;
    op->private[0] = name_of(name);
    uring_ask(uring_of(env), op, URING_OPEN);
}

void uring_file_allocate(struct env *env, struct env_op *op, struct env_file *file, uint64_t size) {
    op->target = file;
    op->offset = size;
    ask_to_change(uring_of(env), op, URING_ALLOCATE);
}

void uring_file_read(struct env *env, struct env_op *op, struct env_file *file, uint64_t offset,
                     uint8_t *to, uint32_t size) {
    op->target = file;
    op->offset = offset;
    op->to = to;
    op->wanted = size;
    uring_ask(uring_of(env), op, URING_READ);
}

// Opens the file once more, which takes no look at the disk.
static void try_direct(struct uring *u, struct env_file *file) {
    char path[32];
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", file->fd);
    file->has_tried_direct = true;
    int fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
    if (fd < 0) return;
    // All files lie in one directory, so the first speaks for the others; one that does not agree
    // is read through the cache.
    uint32_t unit = direct_unit(fd);
    if (!u->has_direct_unit && unit < u->env.direct_unit) u->env.direct_unit = unit;
    u->has_direct_unit = true;
    if (unit <= u->env.direct_unit) {
        file->direct_fd = fd;
    } else {
        close(fd);
    }
}

void uring_file_read_direct(struct env *env, struct env_op *op, struct env_file *file,
                            uint64_t offset, uint8_t *to, uint32_t size) {
    if (!file->has_tried_direct) try_direct(uring_of(env), file);
    op->target = file;
    op->offset = offset;
    op->to = to;
    op->wanted = size;
    uring_ask(uring_of(env), op, file->direct_fd < 0 ? URING_READ : URING_READ_DIRECT);
}

// Most file systems cannot start a buffered write without a thread, which costs five times what
// copying a few pages does. So a small one is done on the spot, unless the kernel is busy with
// writes or syncs of ours: then it might wait for the disk, and with it everybody else.
static bool write_at_once(struct uring *u, struct env_op *op) {
    if (op->wanted > WRITE_AT_ONCE_MAX || u->writes_under_way > 0) return false;
    ssize_t moved =
        pwrite(file_of(op)->fd, op->from, uring_piece(u, op->wanted), (off_t)op->offset);
    if (moved < 0 || (uint32_t)moved != op->wanted) return false; // from the start, with a thread
    uring_answer(u, op, ST_OK);
    op->size = op->wanted;
    return true;
}

void uring_file_write(struct env *env, struct env_op *op, struct env_file *file, uint64_t offset,
                      const uint8_t *from, uint32_t size) {
    struct uring *u = uring_of(env);
    op->target = file;
    op->offset = offset;
    op->from = from;
    op->wanted = size;
    if (!write_at_once(u, op)) ask_to_change(u, op, URING_WRITE);
}

void uring_file_sync(struct env *env, struct env_op *op, struct env_file *file) {
    op->target = file;
    ask_to_change(uring_of(env), op, URING_SYNC);
}

void uring_file_close(struct env *env, struct env_op *op, struct env_file *file) {
    op->target = file;
    ask_to_change(uring_of(env), op, URING_CLOSE);
}

void uring_file_sync_names(struct env *env, struct env_op *op) {
    ask_to_change(uring_of(env), op, URING_SYNC_NAMES);
}

void uring_file_rename(struct env *env, struct env_op *op, const char *from, const char *to) {
    op->private[0] = name_of(from);
    op->private[1] = name_of(to);
    ask_to_change(uring_of(env), op, URING_RENAME);
}

void uring_file_link(struct env *env, struct env_op *op, const char *from, const char *to) {
    op->private[0] = name_of(from);
    op->private[1] = name_of(to);
    ask_to_change(uring_of(env), op, URING_LINK);
}

void uring_file_remove(struct env *env, struct env_op *op, const char *name) {
    op->private[0] = name_of(name);
    ask_to_change(uring_of(env), op, URING_REMOVE);
}

void uring_file_list(struct env *env, struct env_op *op, uint8_t *to, uint32_t capacity) {
    struct uring *u = uring_of(env);
    must(u->directory >= 0);
    uint32_t size = 0;
    enum status st = shared_list(u->directory, to, capacity, &size);
    uring_answer(u, op, st);
    op->size = size;
}

void uring_file_space(struct env *env, struct env_op *op) {
    struct uring *u = uring_of(env);
    must(u->directory >= 0);
    uint64_t bytes = 0;
    enum status st = shared_space(u->directory, &bytes);
    uring_answer(u, op, st);
    op->value = bytes;
}

void uring_file_prepare(struct uring *u, struct env_op *op, struct io_uring_sqe *sqe) {
    must(u->directory >= 0);
    int at = u->directory;
    uint32_t left = uring_piece(u, op->wanted - op->size);
    int flags;
    switch (op->kind) {
    case URING_OPEN:
        flags = (u->options.is_read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOFOLLOW;
        if (op->wanted == ENV_CREATE) flags |= O_CREAT | O_TRUNC;
        io_uring_prep_openat(sqe, at, op->private[0], flags, 0600);
        return;
    case URING_ALLOCATE:
        io_uring_prep_fallocate(sqe, file_of(op)->fd, 0, 0, (off_t)op->offset);
        return;
    case URING_READ:
        io_uring_prep_read(sqe, file_of(op)->fd, op->to + op->size, left, op->offset + op->size);
        return;
    case URING_READ_DIRECT:
        // The rest, behind the end of the file or an interruption, may begin anywhere.
        io_uring_prep_read(sqe, op->size == 0 ? file_of(op)->direct_fd : file_of(op)->fd,
                           op->to + op->size, op->wanted - op->size, op->offset + op->size);
        return;
    case URING_WRITE:
        io_uring_prep_write(sqe, file_of(op)->fd, op->from + op->size, left, op->offset + op->size);
        return;
    case URING_SYNC:
        io_uring_prep_fsync(sqe, file_of(op)->fd, IORING_FSYNC_DATASYNC);
        return;
    case URING_CLOSE:
        // The last close of a removed file frees its blocks, which takes long.
        io_uring_prep_close(sqe, file_of(op)->fd);
        io_uring_sqe_set_flags(sqe, IOSQE_ASYNC);
        return;
    case URING_SYNC_NAMES:
        io_uring_prep_fsync(sqe, at, 0);
        return;
    case URING_RENAME:
        io_uring_prep_renameat(sqe, at, op->private[0], at, op -> private[1], 0);
        return;
    case URING_LINK:
        io_uring_prep_linkat(sqe, at, op->private[0], at, op -> private[1], 0);
        return;
    case URING_REMOVE:
        io_uring_prep_unlinkat(sqe, at, op->private[0], 0);
        return;
    default:
        unreachable();
    }
}

static enum status opened(struct uring *u, struct env_op *op, int fd) {
    struct env_file **to = op->target;
    struct stat facts;
    struct env_file *file = NULL;
    enum status st = ST_OK;
    if (fstat(fd, &facts) != 0 || !S_ISREG(facts.st_mode)) {
        st = ST_IO;
    } else if ((file = malloc(sizeof(*file))) == NULL) {
        st = ST_BUSY;
    }
    if (st != ST_OK) {
        close(fd);
        return st;
    }
    file->fd = fd;
    file->direct_fd = -1;
    file->has_tried_direct = false;
    list_init(&file->link);
    list_append(&u->files, &file->link);
    op->value = (uint64_t)facts.st_size;
    *to = file;
    return ST_OK;
}

static void release(struct env_file *file) {
    if (file->direct_fd >= 0) close(file->direct_fd);
    list_remove(&file->link);
    free(file);
}

void uring_file_destroy_all(struct uring *u) {
    struct list *next = NULL;
    for (struct list *link = u->files.next; link != &u->files; link = next) {
        struct env_file *file = CONTAINER_OF(link, struct env_file, link);
        next = link->next;
        close(file->fd);
        release(file);
    }
}

// Takes note of the bytes moved. True when that was all.
static bool moved(struct uring *u, struct env_op *op, int result) {
    op->size += (uint32_t)result;
    must(op->size <= op->wanted);
    op->status = ST_OK;
    if (op->size == op->wanted) return true;
    if (result == 0) {
        // A read is at the end of its file. A write of nothing would not end either.
        if (op->kind == URING_WRITE) op->status = ST_IO;
        return true;
    }
    uring_ask_again(u, op);
    return false;
}

static bool answered(struct uring *u, struct env_op *op, int result) {
    // After a failed close the descriptor is gone all the same and must not be closed again.
    if (op->kind == URING_CLOSE) {
        release(op->target);
        op->status = result < 0 && result != -EINTR ? ST_IO : ST_OK;
        return true;
    }
    if (uring_is_transient(result)) {
        uring_ask_again(u, op);
        return false;
    }
    if (result < 0) {
        op->status = shared_status(-result);
        if (op->status == ST_BUSY && op->kind != URING_OPEN) op->status = ST_IO;
        return true;
    }
    if (op->kind == URING_READ || op->kind == URING_READ_DIRECT || op->kind == URING_WRITE) {
        return moved(u, op, result);
    }
    op->status = op->kind == URING_OPEN ? opened(u, op, result) : ST_OK;
    return true;
}

bool uring_file_finish(struct uring *u, struct env_op *op, int result) {
    bool is_done = answered(u, op, result);
    if (is_done && is_change(op)) u->writes_under_way--;
    return is_done;
}
