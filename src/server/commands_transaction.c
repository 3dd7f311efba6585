// SPDX-License-Identifier: Apache-2.0
//
// MULTI, EXEC, DISCARD, WATCH, UNWATCH; transaction.h has the whole of it.
#include "server/commands.h"

#include "server/many.h"

void local_multi(struct command *c, struct reply *r) {
    struct session *s = c->session;
    if (s->transaction.is_open) {
        reply_error(r, SLICE("ERR MULTI calls can not be nested"));
    } else {
        s->transaction.is_open = true;
        reply_ok(r);
    }
}

void local_discard(struct command *c, struct reply *r) {
    struct session *s = c->session;
    if (!s->transaction.is_open) {
        reply_error(r, SLICE("ERR DISCARD without MULTI"));
    } else {
        transaction_forget(s);
        reply_ok(r);
    }
}

// WATCH.

static struct sighting sighting_of(const struct step *step, const struct sibling *visible) {
    struct slice record = step->request.record;
    uint64_t hash = record.size == 0 ? 0 : record_digest(step->request.key, record);
    return (struct sighting){hash, visible != NULL};
}

static void end_watch(struct command *c) {
    if (c->my.failed > 0) {
        answer_failure(c, c->my.failure);
    } else if (c->my.number != ST_OK) {
        answer_error(c, transaction_problem((enum status)c->my.number));
    } else {
        answer_ok(c);
    }
}

static void begin_watch(struct step *step);

static void on_watch(struct step *step) {
    struct command *c = step->command;
    const struct sibling *sibling = NULL;
    c->my.under_way--;
    if (!many_read(step, &sibling)) {
        many_stop(c);
    } else if (c->my.number == ST_OK) {
        c->my.number = transaction_watch(c->session, step->request.key, sighting_of(step, sibling));
    }
    many_give(step);
    many_pump(c, end_watch, begin_watch);
}

static void begin_watch(struct step *step) {
    step_read(step, step->command->arguments[step->index], on_watch);
}

void start_watch(struct command *c) {
    many_init(c);
    many_pump(c, end_watch, begin_watch);
}

// Within a transaction nothing is watched any more.
void local_unwatch(struct command *c, struct reply *r) {
    if (!c->is_within) transaction_forget(c->session);
    reply_ok(r);
}

// EXEC.

// What expires is a change. Of what was not there the remains may go, reclaimed or flushed.
static bool has_changed(struct sighting seen, struct sighting now) {
    if (now.hash == 0) return seen.is_there;
    return now.hash != seen.hash || (seen.is_there && !now.is_there);
}

// What is watched is read with all locks held, one key after the other.

static void check_watched(struct command *c);

static void on_checked(struct step *step) {
    struct command *c = step->command;
    struct transaction *t = &c->session->transaction;
    struct sighting seen = t->unchecked->seen;
    const struct sibling *sibling = NULL;
    c->my.under_way = 0;
    t->unchecked = t->unchecked->next;
    if (many_read(step, &sibling)) {
        struct sighting now = sighting_of(step, sibling);
        if (has_changed(seen, now)) c->my.done++;
    }
    check_watched(c);
}

static void answer_changed(struct command *c) {
    reply_null_array(answer_open(c, PARCEL_SMALL));
    answer_close(c);
}

static void check_watched(struct command *c) {
    struct transaction *t = &c->session->transaction;
    if (c->my.is_pumping) return;
    c->my.is_pumping = true;
    while (t->unchecked != NULL && c->my.under_way + c->my.failed + c->my.done == 0) {
        c->my.under_way = 1;
        step_read(&c->step, t->unchecked->key, on_checked);
    }
    c->my.is_pumping = false;
    if (c->my.under_way > 0) return;
    if (c->my.failed > 0) {
        answer_failure(c, c->my.failure);
    } else if (c->my.done > 0) {
        answer_changed(c);
    } else {
        transaction_begin(c);
    }
}

static void on_exec_locked(struct step *step) {
    struct transaction *t = &step->command->session->transaction;
    t->unchecked = t->watched;
    check_watched(step->command);
}

void start_exec(struct command *c) {
    struct session *s = c->session;
    struct transaction *t = &s->transaction;
    if (!t->is_open) {
        answer_error(c, "ERR EXEC without MULTI");
    } else if (t->is_doomed) {
        answer_error(c, "EXECABORT Transaction discarded because of previous errors.");
    } else if (s->is_sharded && t->is_across) {
        answer_error(c, "CROSSSLOT Keys in request don't hash to the same slot");
    } else if (!command_has_turn(c) || session_is_full(s) || !transaction_reserve(s)) {
        answer_again(c);
    } else {
        many_init(c);
        if (lock_noted(&c->step, t->wanted, on_exec_locked)) on_exec_locked(&c->step);
    }
}
