// SPDX-License-Identifier: Apache-2.0
#include "server/pause.h"

#include "server/answer.h"

static void on_end(struct timer *timer) {
    pause_end(CONTAINER_OF(timer, struct server, pause.end));
}

void pause_init(struct server *server) {
    list_init(&server->pause.asleep);
    server->pause.end.fired = on_end;
}

void pause_begin(struct server *server, enum pause_kind kind, uint64_t duration_ns) {
    struct pause *p = &server->pause;
    uint64_t end = server->env->now + duration_ns;
    if (p->kind != PAUSE_NONE && p->end.deadline > end) end = p->end.deadline;
    if (kind > p->kind) p->kind = kind;
    timer_arm(server->timers, &p->end, end);
}

static void wake_sleepers(struct pause *p) {
    while (!list_is_empty(&p->asleep)) {
        struct step *step = CONTAINER_OF(p->asleep.next, struct step, link);
        list_remove(&step->link);
        answer_ok(step->command);
    }
}

void pause_end(struct server *server) {
    struct pause *p = &server->pause;
    p->kind = PAUSE_NONE;
    timer_disarm(server->timers, &p->end);
    for (struct list *at = server->sessions.next; at != &server->sessions; at = at->next) {
        struct session *s = CONTAINER_OF(at, struct session, link);
        if (!s->is_held) continue;
        pause_forget(s);
        s->has_ready = true;
        session_touch(s);
    }
    wake_sleepers(p);
}

void pause_sleep(struct command *c) {
    struct pause *p = &c->session->server->pause;
    must(p->kind != PAUSE_NONE);
    list_append(&p->asleep, &c->step.link);
}

void pause_hold(struct command *c) {
    struct session *s = c->session;
    struct pause *p = &s->server->pause;
    if (p->kind == PAUSE_NONE || c->fault != FAULT_NONE) return;
    if (p->kind == PAUSE_WRITES && (c->flags & COMMAND_WRITE) == 0) return;
    must(!s->is_held);
    s->is_held = true;
    p->held++;
}

bool pause_holds(const struct command *c) {
    const struct session *s = c->session;
    return s->is_held && s->queue.prev == &c->link;
}

void pause_forget(struct session *s) {
    if (!s->is_held) return;
    must(s->server->pause.held > 0);
    s->is_held = false;
    s->server->pause.held--;
}
