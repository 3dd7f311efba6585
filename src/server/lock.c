// SPDX-License-Identifier: Apache-2.0
#include "server/lock.h"

#include "base/hash.h"
#include "server/internal.h"
#include "server/order.h"

void locks_init(struct locks *locks) {
    for (uint32_t i = 0; i < LOCKS; i++) list_init(&locks->all[i].waiters);
    list_init(&locks->granted);
}

void lock_hold_init(struct lock_hold *hold) {
    hold->mode = LOCK_NONE;
    hold->is_waiting = false;
    hold->closes = false;
    memset(hold->wanted, 0, sizeof(hold->wanted));
    list_init(&hold->link);
}

static struct server *server_of(const struct step *step) {
    return step->command->session->server;
}

static bool fits(const struct lock *lock, enum lock_mode mode) {
    if (lock->holders == 0) return true;
    return mode == LOCK_SHARED && !lock->is_alone;
}

static void hold(struct locks *locks, struct lock *lock, const struct lock_hold *held) {
    lock->holders++;
    lock->is_alone = held->mode == LOCK_ALONE;
    lock->is_closed = held->closes;
    locks->closed += lock->is_closed;
}

static void let_go(struct locks *locks, struct lock *lock) {
    must(lock->holders > 0);
    lock->holders--;
    if (lock->holders > 0) return;
    locks->closed -= lock->is_closed;
    lock->is_closed = false;
    lock->is_alone = false;
}

// The next lock that the step wants, from `from` on; LOCKS: there is none.
static uint32_t next_wanted(const struct lock_hold *held, uint32_t from) {
    for (uint32_t word = from / 64; word < LOCKS / 64; word++) {
        uint64_t bits = held->wanted[word];
        if (word == from / 64) bits &= UINT64_MAX << from % 64;
        if (bits != 0) return word * 64 + (uint32_t)__builtin_ctzll(bits);
    }
    return LOCKS;
}

// Takes that lock. False: it waits for it.
static bool take(struct step *step, uint32_t index) {
    struct locks *locks = &server_of(step)->locks;
    struct lock_hold *held = &step->lock;
    struct lock *lock = &locks->all[index];
    held->index = (uint16_t)index;
    // Not past those who wait, and not past those who may go on but have not yet.
    if (list_is_empty(&lock->waiters) && lock->granted == 0 && fits(lock, held->mode)) {
        hold(locks, lock, held);
        return true;
    }
    held->is_waiting = true;
    list_append(&lock->waiters, &held->link);
    return false;
}

// Takes what the step wants, from `from` on. False: it waits for one of them.
static bool take_from(struct step *step, uint32_t from) {
    const struct lock_hold *held = &step->lock;
    for (uint32_t i = next_wanted(held, from); i < LOCKS; i = next_wanted(held, i + 1)) {
        if (!take(step, i)) return false;
    }
    return true;
}

static uint32_t index_of(struct slice key) {
    return (uint32_t)(hash_bytes(key, 1) % LOCKS);
}

void lock_note(uint64_t wanted[LOCKS / 64], struct slice key) {
    uint32_t index = index_of(key);
    wanted[index / 64] |= (uint64_t)1 << index % 64;
}

static bool needs_none(const struct step *step) {
    const struct command *c = step->command;
    bool has_its_keys = c->is_within || ((c->flags & COMMAND_LOCK) != 0 && step != &c->step);
    return step->lock.mode != LOCK_NONE || has_its_keys || !order_is_single(server_of(step));
}

bool lock_share(struct step *step, struct slice key, step_done *go) {
    if (needs_none(step)) return true;
    step->lock.mode = LOCK_SHARED;
    step->lock.closes = false;
    step->lock.go = go;
    return take(step, index_of(key));
}

bool lock_all_keys(struct step *step, step_done *go) {
    if (needs_none(step)) return true;
    const struct command *c = step->command;
    step->lock.mode = LOCK_ALONE;
    step->lock.go = go;
    uint32_t last = command_last_key(c->spec, c->argument_count);
    step->lock.closes = last > c->spec->first_key;
    for (uint32_t i = c->spec->first_key; i <= last; i += c->spec->key_step) {
        lock_note(step->lock.wanted, c->arguments[i]);
    }
    return take_from(step, 0);
}

bool lock_noted(struct step *step, const uint64_t wanted[LOCKS / 64], step_done *go) {
    if (needs_none(step)) return true;
    step->lock.mode = LOCK_ALONE;
    step->lock.closes = true;
    step->lock.go = go;
    memcpy(step->lock.wanted, wanted, sizeof(step->lock.wanted));
    return take_from(step, 0);
}

bool lock_is_closed(const struct step *step, struct slice key) {
    const struct locks *locks = &server_of(step)->locks;
    return locks->closed > 0 && locks->all[index_of(key)].is_closed;
}

static void grant(struct server *server, struct lock *lock) {
    while (!list_is_empty(&lock->waiters)) {
        struct step *first = CONTAINER_OF(lock->waiters.next, struct step, lock.link);
        if (!fits(lock, first->lock.mode)) return;
        hold(&server->locks, lock, &first->lock);
        lock->granted++;
        list_remove(&first->lock.link);
        list_append(&server->locks.granted, &first->lock.link);
        server_ask_settle(server);
    }
}

static void give_back(struct server *server, uint32_t index) {
    struct lock *lock = &server->locks.all[index];
    let_go(&server->locks, lock);
    grant(server, lock);
}

void lock_release(struct step *step) {
    struct lock_hold *held = &step->lock;
    enum lock_mode mode = held->mode;
    if (mode == LOCK_NONE) return;
    must(!held->is_waiting);
    held->mode = LOCK_NONE;
    if (mode == LOCK_SHARED) {
        give_back(server_of(step), held->index);
        return;
    }
    for (uint32_t i = next_wanted(held, 0); i < LOCKS; i = next_wanted(held, i + 1)) {
        give_back(server_of(step), i);
    }
    memset(held->wanted, 0, sizeof(held->wanted));
}

bool locks_go_on(struct server *server) {
    bool has_gone = false;
    while (!list_is_empty(&server->locks.granted)) {
        struct step *step = CONTAINER_OF(server->locks.granted.next, struct step, lock.link);
        struct lock *lock = &server->locks.all[step->lock.index];
        list_remove(&step->lock.link);
        must(lock->granted > 0);
        lock->granted--;
        step->lock.is_waiting = false;
        if (take_from(step, step->lock.index + 1u)) step->lock.go(step);
        has_gone = true;
    }
    return has_gone;
}
