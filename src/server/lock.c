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
    list_init(&hold->link);
}

static struct server *server_of(const struct step *step) {
    return step->command->session->server;
}

static bool fits(const struct lock *lock, enum lock_mode mode) {
    if (lock->holders == 0) return true;
    return mode == LOCK_SHARED && !lock->is_alone;
}

static void hold(struct lock *lock, enum lock_mode mode) {
    lock->holders++;
    lock->is_alone = mode == LOCK_ALONE;
}

bool lock_take(struct step *step, struct slice key, enum lock_mode mode, step_done *go) {
    struct server *server = server_of(step);
    must(mode != LOCK_NONE);
    if (step->lock.mode != LOCK_NONE || !order_is_single(server)) return true;
    step->lock.mode = mode;
    step->lock.index = (uint16_t)(hash_bytes(key, 1) % LOCKS);
    struct lock *lock = &server->locks.all[step->lock.index];
    // Not past those who wait, and not past those who may go on but have not yet.
    if (list_is_empty(&lock->waiters) && lock->granted == 0 && fits(lock, mode)) {
        hold(lock, mode);
        return true;
    }
    step->lock.is_waiting = true;
    step->lock.go = go;
    list_append(&lock->waiters, &step->lock.link);
    return false;
}

static void grant(struct server *server, struct lock *lock) {
    while (!list_is_empty(&lock->waiters)) {
        struct step *first = CONTAINER_OF(lock->waiters.next, struct step, lock.link);
        if (!fits(lock, first->lock.mode)) return;
        hold(lock, first->lock.mode);
        lock->granted++;
        list_remove(&first->lock.link);
        list_append(&server->locks.granted, &first->lock.link);
        server_ask_settle(server);
    }
}

void lock_release(struct step *step) {
    if (step->lock.mode == LOCK_NONE) return;
    struct server *server = server_of(step);
    struct lock *lock = &server->locks.all[step->lock.index];
    must(!step->lock.is_waiting);
    must(lock->holders > 0);
    step->lock.mode = LOCK_NONE;
    lock->holders--;
    if (lock->holders == 0) lock->is_alone = false;
    grant(server, lock);
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
        step->lock.go(step);
        has_gone = true;
    }
    return has_gone;
}
