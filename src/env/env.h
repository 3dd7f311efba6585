// SPDX-License-Identifier: Apache-2.0
//
// env.h -- everything Quoit asks of the outside world.
//
// A node is a function of what arrives through this file: the time, bytes from sockets, and the
// completion of its own requests. Given the same arrivals in the same order it does the same
// things, which is what lets the simulator replay a bug from a number.
//
// Three implementations exist. env/uring.c talks to the kernel through io_uring, env/portable.c
// through libuv, and sim/world.c plays a whole cluster in one thread, on a clock that it moves
// itself.
//
// All keep these promises, and callers rely on them:
//
//   One thread.      No callback runs beside another. Code above this line has no locks.
//   No re-entrance.  A callback never runs inside the call that asked for it.
//   Exactly once.    Every request calls back once, also when it fails or is cancelled. There is
//                    one error path, the callback; asking itself cannot fail.
//   Frozen time.     env->now does not move while a callback runs.
//   Whole or not.    A write or send that calls back with ST_OK moved every byte. A read is short
//                    only at the end of its file; a recv gives at least one byte, or none at the
//                    end of its stream.
//
// From the call until its callback a request, and the bytes and strings it points at, belong to the
// env: they may not be read, written, moved or freed. This is the only asynchronous ownership in
// Quoit.
//
// Timers and random numbers are not here on purpose. Timers are a heap that the node owns
// (base/timer.h) and random numbers come from a seed it was given (base/rng.h); neither needs the
// outside world.
#ifndef QUOIT_ENV_ENV_H
#define QUOIT_ENV_ENV_H

#include "base/limits.h"
#include "base/list.h"
#include "base/slice.h"
#include "base/status.h"

struct env_file;   // an open file
struct env_socket; // a listener or a stream
struct env_op;

typedef void env_done(struct env_op *op);

// A request. The caller embeds one in whatever it is doing and finds its way back with
// CONTAINER_OF.
struct env_op {
    env_done *done;     // set by the caller
    enum status status; // result
    uint32_t size;      // result: bytes moved; of a list: bytes of names
    uint64_t value;     // result: size of the file opened; free bytes of a space

    // The rest is the env's.
    uint32_t kind;
    uint32_t wanted;
    uint64_t ready_at;
    uint64_t offset;
    struct list link;
    void *target;
    uint8_t *to;
    const uint8_t *from;
    void *private[2];
};

enum {
    // Longest file name. Names are letters, digits, '.', '-' and '_'; there are no directories.
    ENV_FILE_NAME_MAX = 63,

    ENV_DIRECT_UNIT = 4096, // bytes: the most that direct_unit can be
};

enum env_open {
    ENV_OPEN, // the file exists, or ST_NOT_FOUND
    // Makes an empty file, in place of any that has the name, and that may have no further one.
    ENV_CREATE,
};

enum env_level { ENV_DEBUG, ENV_INFO, ENV_WARNING, ENV_ERROR };

struct env {
    const struct env_ops *ops;
    uint64_t now;         // ns since an arbitrary start, never goes back
    uint64_t late;        // ns that what is called back in this turn may have waited for us: as
                          // long as the turn before took, or the process was woken too late
    uint64_t wall_ms;     // ms since 1970, may jump: for expiry and logs, never for ordering
    uint32_t direct_unit; // bytes, a power of two; becomes less when the first file was read so
};

// What an implementation provides; callers use the env_ functions below.
struct env_ops {
    void (*open)(struct env *env, struct env_op *op, const char *name, enum env_open mode,
                 struct env_file **file);
    void (*allocate)(struct env *env, struct env_op *op, struct env_file *file, uint64_t size);
    void (*read)(struct env *env, struct env_op *op, struct env_file *file, uint64_t offset,
                 uint8_t *to, uint32_t size);
    void (*read_direct)(struct env *env, struct env_op *op, struct env_file *file, uint64_t offset,
                        uint8_t *to, uint32_t size);
    void (*write)(struct env *env, struct env_op *op, struct env_file *file, uint64_t offset,
                  const uint8_t *from, uint32_t size);
    void (*sync)(struct env *env, struct env_op *op, struct env_file *file);
    void (*close)(struct env *env, struct env_op *op, struct env_file *file);
    void (*sync_names)(struct env *env, struct env_op *op);
    void (*rename)(struct env *env, struct env_op *op, const char *from, const char *to);
    void (*link)(struct env *env, struct env_op *op, const char *from, const char *to);
    void (*remove)(struct env *env, struct env_op *op, const char *name);
    void (*list)(struct env *env, struct env_op *op, uint8_t *to, uint32_t capacity);
    void (*space)(struct env *env, struct env_op *op);

    void (*listen)(struct env *env, struct env_op *op, const char *address,
                   struct env_socket **listener);
    void (*accept)(struct env *env, struct env_op *op, struct env_socket *listener,
                   struct env_socket **stream);
    void (*connect)(struct env *env, struct env_op *op, const char *address,
                    struct env_socket **stream);
    void (*recv)(struct env *env, struct env_op *op, struct env_socket *stream, uint8_t *to,
                 uint32_t capacity);
    void (*send)(struct env *env, struct env_op *op, struct env_socket *stream, const uint8_t *from,
                 uint32_t size);
    void (*shut)(struct env *env, struct env_socket *socket);
    const char *(*peer)(struct env *env, const struct env_socket *stream);

    void (*later)(struct env *env, struct env_op *op);
    void (*work)(struct env *env, struct env_op *op, void (*function)(void *), void *argument);
    void (*log)(struct env *env, enum env_level level, struct slice line);
};

// Disk. Nothing is durable before env_sync calls back; until then a crash may keep any subset of
// the bytes written since the last sync, in any order. A new, renamed, further or removed name is
// durable after env_sync_names. A sync covers the writes that called back before it was asked for.
//
// Failures: ST_IO, ST_NO_SPACE (write, allocate, open), ST_NOT_FOUND (open, rename, link, remove),
// ST_BUSY (open: no more descriptors). After a failed sync the state of the file is unknown.

// On ST_OK sets *file, and op->value to the size of the file in bytes.
static inline void env_open(struct env *env, struct env_op *op, const char *name,
                            enum env_open mode, struct env_file **file) {
    must(op->done != NULL);
    must(name[0] != '\0');
    env->ops->open(env, op, name, mode, file);
}

// Makes room for `size` bytes from the start, so that writes there cannot fail for want of space
// and do not extend the file. What was never written reads as zeros.
static inline void env_allocate(struct env *env, struct env_op *op, struct env_file *file,
                                uint64_t size) {
    must(op->done != NULL);
    must(size > 0);
    env->ops->allocate(env, op, file, size);
}

static inline void env_read(struct env *env, struct env_op *op, struct env_file *file,
                            uint64_t offset, uint8_t *to, uint32_t size) {
    must(op->done != NULL);
    must(size > 0);
    env->ops->read(env, op, file, offset, to, size);
}

// The same past the kernel's cache, where the file system allows that: for what is read from places
// all over much more than memory can hold. Offset and size are multiples of env->direct_unit, the
// address of ENV_DIRECT_UNIT. What was written to the file is synced.
static inline void env_read_direct(struct env *env, struct env_op *op, struct env_file *file,
                                   uint64_t offset, uint8_t *to, uint32_t size) {
    must(op->done != NULL);
    must(size > 0);
    must(offset % env->direct_unit == 0);
    must(size % env->direct_unit == 0);
    must((uintptr_t)to % ENV_DIRECT_UNIT == 0);
    env->ops->read_direct(env, op, file, offset, to, size);
}

static inline void env_write(struct env *env, struct env_op *op, struct env_file *file,
                             uint64_t offset, const uint8_t *from, uint32_t size) {
    must(op->done != NULL);
    must(size > 0);
    env->ops->write(env, op, file, offset, from, size);
}

static inline void env_sync(struct env *env, struct env_op *op, struct env_file *file) {
    must(op->done != NULL);
    env->ops->sync(env, op, file);
}

// Requires that no other request on the file is under way. The file is gone whatever the status.
static inline void env_close(struct env *env, struct env_op *op, struct env_file *file) {
    must(op->done != NULL);
    env->ops->close(env, op, file);
}

static inline void env_sync_names(struct env *env, struct env_op *op) {
    must(op->done != NULL);
    env->ops->sync_names(env, op);
}

// Replaces a file that has the name `to`.
static inline void env_rename(struct env *env, struct env_op *op, const char *from,
                              const char *to) {
    must(op->done != NULL);
    env->ops->rename(env, op, from, to);
}

// Gives a file one more name, which no file may have: else ST_IO. What is written to the file shows
// under both.
static inline void env_link(struct env *env, struct env_op *op, const char *from, const char *to) {
    must(op->done != NULL);
    env->ops->link(env, op, from, to);
}

// The file goes with its last name. An open one stays readable until it is closed.
static inline void env_remove(struct env *env, struct env_op *op, const char *name) {
    must(op->done != NULL);
    env->ops->remove(env, op, name);
}

// All names, in byte order, each followed by a zero byte. ST_TOO_LARGE when they do not fit.
static inline void env_list(struct env *env, struct env_op *op, uint8_t *to, uint32_t capacity) {
    must(op->done != NULL);
    env->ops->list(env, op, to, capacity);
}

// Bytes that can still be written to the disk, in op->value.
static inline void env_space(struct env *env, struct env_op *op) {
    must(op->done != NULL);
    env->ops->space(env, op);
}

// Network: ordered byte streams that may stall, and may break at any time. Addresses are
// "host:port"; an IPv6 host stands in brackets.
//
// At most one recv and one send at a time on a stream, one accept on a listener.
// Failures: ST_IO (refused, broken, address in use), ST_INVALID (no such address).

// On ST_OK sets *listener. A port of 0 is any free one.
static inline void env_listen(struct env *env, struct env_op *op, const char *address,
                              struct env_socket **listener) {
    must(op->done != NULL);
    env->ops->listen(env, op, address, listener);
}

// On ST_OK sets *stream. ST_BUSY: no more descriptors; the listener stays good.
static inline void env_accept(struct env *env, struct env_op *op, struct env_socket *listener,
                              struct env_socket **stream) {
    must(op->done != NULL);
    env->ops->accept(env, op, listener, stream);
}

// On ST_OK sets *stream. Cannot be cancelled: it ends by itself, at the latest after the time-out
// of the implementation.
static inline void env_connect(struct env *env, struct env_op *op, const char *address,
                               struct env_socket **stream) {
    must(op->done != NULL);
    env->ops->connect(env, op, address, stream);
}

static inline void env_recv(struct env *env, struct env_op *op, struct env_socket *stream,
                            uint8_t *to, uint32_t capacity) {
    must(op->done != NULL);
    must(capacity > 0);
    env->ops->recv(env, op, stream, to, capacity);
}

static inline void env_send(struct env *env, struct env_op *op, struct env_socket *stream,
                            const uint8_t *from, uint32_t size) {
    must(op->done != NULL);
    must(size > 0);
    env->ops->send(env, op, stream, from, size);
}

// Ends a stream or listener, both ways, now. Requests under way on it call back with ST_CANCELLED;
// the socket may not be named again. Bytes whose send was answered before still reach the peer,
// if it lives.
static inline void env_shut(struct env *env, struct env_socket *socket) {
    env->ops->shut(env, socket);
}

// "host:port" of the other side. Lends until the next such call, or the stream is shut.
static inline const char *env_peer(struct env *env, const struct env_socket *stream) {
    return env->ops->peer(env, stream);
}

// Calls back with ST_OK when everything that has already arrived was handled and before the env
// waits for more: the place to send in one piece what a turn of the loop has gathered.
static inline void env_later(struct env *env, struct env_op *op) {
    must(op->done != NULL);
    env->ops->later(env, op);
}

// Runs a pure function elsewhere, on memory nobody else touches until the callback.
static inline void env_work(struct env *env, struct env_op *op, void (*function)(void *),
                            void *argument) {
    must(op->done != NULL);
    env->ops->work(env, op, function, argument);
}

// One event for the operator: `event`, then key=value pairs. Cut to one line of 500 bytes; control
// bytes become '?'.
__attribute__((format(printf, 3, 4))) void env_log(struct env *env, enum env_level level,
                                                   const char *format, ...);

#endif
