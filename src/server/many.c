// SPDX-License-Identifier: Apache-2.0
#include "server/many.h"

#include "server/answer.h"

enum { WINDOW = 32, STEPS_MAX = 64 }; // of one command: steps under way, and with answers that wait

static uint32_t last_key(const struct command *c) {
    return command_last_key(c->spec, c->argument_count);
}

static bool is_under_way(struct command *c, struct slice key) {
    for (struct list *at = c->my.steps.next; at != &c->my.steps; at = at->next) {
        const struct step *step = CONTAINER_OF(at, struct step, link);
        if (slice_equal(c->arguments[step->index], key)) return true;
    }
    return false;
}

static struct step *next_step(struct command *c) {
    bool is_enough = c->my.under_way >= WINDOW || c->my.under_way + c->my.kept >= STEPS_MAX;
    if (is_enough) return NULL;
    if ((c->flags & COMMAND_WRITE) != 0 && is_under_way(c, c->arguments[c->my.next])) return NULL;
    struct step *step = step_take(c);
    return step == NULL && list_is_empty(&c->my.steps) ? &c->step : step;
}

void many_pump(struct command *c, command_start_function *end, step_done *begin) {
    if (c->my.is_pumping) return;
    c->my.is_pumping = true;
    while (c->my.next <= last_key(c)) {
        struct step *step = next_step(c);
        if (step == NULL) break;
        step->index = c->my.next;
        c->my.next += c->spec->key_step;
        c->my.under_way++;
        list_append(&c->my.steps, &step->link);
        begin(step);
    }
    c->my.is_pumping = false;
    if (c->my.next > last_key(c) && c->my.under_way == 0 && list_is_empty(&c->my.steps)) end(c);
}

void many_init(struct command *c) {
    memset(&c->my, 0, sizeof(c->my));
    c->my.next = c->spec->first_key;
    list_init(&c->my.steps);
}

void many_give(struct step *step) {
    struct command *c = step->command;
    list_remove(&step->link);
    if (step != &c->step) {
        step_give(step);
        return;
    }
    // What it holds for the whole command, locks among it, stays.
    if ((c->flags & COMMAND_LOCK) == 0) step_release(step);
    step->is_done = false;
    step->parcel.small_size = 0;
}

void many_note(struct command *c, struct failure failure) {
    c->my.failed++;
    if (failure_is_worse(failure, c->my.failure)) c->my.failure = failure;
}

bool many_read(struct step *step, const struct sibling **sibling) {
    struct command *c = step->command;
    if (step_succeeded(step)) {
        step->request.status = step_visible(step, sibling);
        if (step->request.status == ST_OK) return true;
    }
    many_note(c, failure_of(&step->request));
    return false;
}

void many_stop(struct command *c) {
    c->my.next = last_key(c) + 1;
}
