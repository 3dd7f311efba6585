// SPDX-License-Identifier: Apache-2.0
//
// chatter_case.h -- processes that ask for everything there is to ask for, at random.
//
// For tests of the world itself: what comes back is not looked at beyond what env.h promises, so
// every fault may be on.
#ifndef QUOIT_SIM_CHATTER_CASE_H
#define QUOIT_SIM_CHATTER_CASE_H

#include "sim/world_case.h"

#include <stdio.h>
#include <string.h>

enum { CHATTERERS = 4, CHAT_STREAMS = 6, CHAT_FILES = 3, CHAT_BYTES = 3000 };

struct chat_stream {
    struct chatterer *owner;
    struct env_socket *stream; // NULL: none
    struct env_op opening;     // connect or accept
    struct env_op send;
    struct env_op recv;
    bool is_opening;
    bool is_sending;
    bool is_receiving;
    char address[16];
    uint8_t in[CHAT_BYTES];
    uint8_t out[CHAT_BYTES];
};

struct chat_file {
    struct chatterer *owner;
    struct env_file *file; // NULL: not open
    struct env_op op;
    bool is_asking;
    bool is_closing;
    uint64_t size; // of what is surely readable
    char name[8];
    char other_name[8];
    uint8_t bytes[CHAT_BYTES];
};

struct chatterer {
    struct machine *machine;
    struct env *env;
    struct rng rng;
    uint64_t next;
    struct env_socket *listener;
    struct env_op listen;
    struct env_op later;
    struct env_op work;
    bool is_later;
    bool is_working;
    uint64_t worked;
    char address[16];
    struct chat_stream streams[CHAT_STREAMS]; // the first half accepts, the other connects
    struct chat_file files[CHAT_FILES];
};

static inline void chat_shut(struct chat_stream *s) {
    if (s->stream == NULL) return;
    env_shut(s->owner->env, s->stream);
    s->stream = NULL;
}

static inline void on_chat_recv(struct env_op *op) {
    struct chat_stream *s = CONTAINER_OF(op, struct chat_stream, recv);
    s->is_receiving = op->status == ST_OK && op->size > 0 && s->stream != NULL;
    if (!s->is_receiving && op->status != ST_CANCELLED) chat_shut(s);
    if (!s->is_receiving) return;
    env_recv(s->owner->env, op, s->stream, s->in, rng_below(&s->owner->rng, CHAT_BYTES) + 1);
}

static inline void on_chat_sent(struct env_op *op) {
    CONTAINER_OF(op, struct chat_stream, send)->is_sending = false;
}

static inline void on_chat_opened(struct env_op *op) {
    struct chat_stream *s = CONTAINER_OF(op, struct chat_stream, opening);
    s->is_opening = false;
    if (op->status != ST_OK) return;
    s->is_receiving = true;
    s->recv.done = on_chat_recv;
    env_recv(s->owner->env, &s->recv, s->stream, s->in, CHAT_BYTES);
}

static inline void on_chat_file(struct env_op *op) {
    struct chat_file *f = CONTAINER_OF(op, struct chat_file, op);
    f->is_asking = false;
    if (f->is_closing) f->file = NULL;
    f->is_closing = false;
}

static inline void on_chat_later(struct env_op *op) {
    CONTAINER_OF(op, struct chatterer, later)->is_later = false;
}

static inline void chat_work(void *argument) {
    ++*(uint64_t *)argument;
}

static inline void on_chat_work(struct env_op *op) {
    CONTAINER_OF(op, struct chatterer, work)->is_working = false;
}

static inline void chat_with(struct chatterer *c, struct chat_stream *s, uint32_t which) {
    if (s->is_opening) return;
    if (s->stream == NULL && (s->is_sending || s->is_receiving)) return; // not yet cancelled
    if (s->stream == NULL && which < CHAT_STREAMS / 2) {
        if (c->listener == NULL) return;
        for (uint32_t i = 0; i < which; i++) {
            if (c->streams[i].is_opening) return; // one accept at a time
        }
        for (uint32_t i = which + 1; i < CHAT_STREAMS / 2; i++) {
            if (c->streams[i].is_opening) return;
        }
        s->is_opening = true;
        s->opening.done = on_chat_opened;
        env_accept(c->env, &s->opening, c->listener, &s->stream);
    } else if (s->stream == NULL) {
        uint32_t target = rng_below(&c->rng, CHATTERERS);
        snprintf(s->address, sizeof(s->address), "n%u:7", target);
        s->is_opening = true;
        s->opening.done = on_chat_opened;
        env_connect(c->env, &s->opening, s->address, &s->stream);
    } else if (!s->is_sending && rng_chance(&c->rng, 19, 20)) {
        uint32_t size = rng_below(&c->rng, CHAT_BYTES) + 1;
        for (uint32_t i = 0; i < size; i++) s->out[i] = (uint8_t)(i ^ c->rng.state);
        s->is_sending = true;
        s->send.done = on_chat_sent;
        env_send(c->env, &s->send, s->stream, s->out, size);
    } else {
        chat_shut(s);
    }
}

static inline void chat_open_file(struct chatterer *c, struct chat_file *f) {
    struct env *env = c->env;
    switch (rng_below(&c->rng, 7)) {
    case 0:
        env_rename(env, &f->op, f->name, f->other_name);
        return;
    case 1:
        env_remove(env, &f->op, f->other_name);
        return;
    case 2:
        env_list(env, &f->op, f->bytes, CHAT_BYTES);
        return;
    case 3:
        env_space(env, &f->op);
        return;
    case 4:
        env_open(env, &f->op, f->name, ENV_CREATE, &f->file);
        return;
    default:
        env_open(env, &f->op, f->name, ENV_OPEN, &f->file);
        return;
    }
}

static inline void chat_file(struct chatterer *c, struct chat_file *f) {
    if (f->is_asking) return;
    f->is_asking = true;
    f->op.done = on_chat_file;
    struct env *env = c->env;
    if (f->file == NULL) {
        chat_open_file(c, f);
        return;
    }
    uint64_t offset = rng_below(&c->rng, 20000);
    uint32_t size = rng_below(&c->rng, CHAT_BYTES) + 1;
    switch (rng_below(&c->rng, 12)) {
    case 0:
        f->is_closing = true;
        env_close(env, &f->op, f->file);
        return;
    case 1:
        env_sync_names(env, &f->op);
        return;
    case 2:
        env_allocate(env, &f->op, f->file, offset + 1);
        return;
    case 3:
    case 4:
        env_read(env, &f->op, f->file, offset, f->bytes, size);
        return;
    case 5:
    case 6:
    case 7:
        env_sync(env, &f->op, f->file);
        return;
    default:
        memset(f->bytes, (int)(c->rng.state & 0xff), size);
        env_write(env, &f->op, f->file, offset, f->bytes, size);
        return;
    }
}

static inline uint64_t chat_next_wake(const void *node) {
    const struct chatterer *c = node;
    return c->next;
}

static inline void chat_wake(void *node) {
    struct chatterer *c = node;
    c->next = c->env->now + rng_below(&c->rng, 1000000) + 1;
    uint32_t stream = rng_below(&c->rng, CHAT_STREAMS);
    chat_with(c, &c->streams[stream], stream);
    chat_file(c, &c->files[rng_below(&c->rng, CHAT_FILES)]);
    if (!c->is_later) {
        c->is_later = true;
        c->later.done = on_chat_later;
        env_later(c->env, &c->later);
    }
    if (!c->is_working) {
        c->is_working = true;
        c->work.done = on_chat_work;
        env_work(c->env, &c->work, chat_work, &c->worked);
    }
}

static inline void on_chat_listening(struct env_op *op) {
    struct chatterer *c = CONTAINER_OF(op, struct chatterer, listen);
    env_log(c->env, ENV_INFO, "listening status=%d", op->status);
}

// Begins a process on the machine, in memory that ends with it.
static inline void chat_start(struct machine *m, uint64_t seed) {
    struct arena arena = machine_start(m, sizeof(struct chatterer) + 64);
    struct chatterer *c = ARENA_NEW(&arena, struct chatterer);
    c->machine = m;
    c->env = machine_env(m);
    c->rng = (struct rng){seed};
    for (uint32_t i = 0; i < CHAT_STREAMS; i++) c->streams[i].owner = c;
    for (uint32_t i = 0; i < CHAT_FILES; i++) {
        c->files[i].owner = c;
        snprintf(c->files[i].name, sizeof(c->files[i].name), "f%u", i);
        snprintf(c->files[i].other_name, sizeof(c->files[i].other_name), "g%u", i);
    }
    snprintf(c->address, sizeof(c->address), "n%u:7", machine_index(m));
    machine_enter(m);
    c->listen.done = on_chat_listening;
    env_listen(c->env, &c->listen, c->address, &c->listener);
    machine_leave(m);
    machine_attach(m, c, chat_next_wake, chat_wake);
}

#endif
