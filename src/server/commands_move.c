// SPDX-License-Identifier: Apache-2.0
//
// A value under another key: RENAME, RENAMENX, COPY. They have the locks of both keys (lock.h). The
// new key is written before the old one goes, so that a crash between leaves the value at least
// once.
#include "server/commands.h"

#include "base/text.h"

enum move_flag {
    MOVE_KEEPS = 1,  // the old key stays
    MOVE_YIELDS = 2, // to what is under the new key
    MOVE_COUNTS = 4, // the reply is 1 or 0, not OK
};

static void answer_moved(struct command *c) {
    if ((c->my.flags & MOVE_COUNTS) != 0) {
        answer_integer(c, 1);
    } else {
        answer_ok(c);
    }
}

static void on_old_deleted(struct step *step) {
    if (step_succeeded(step)) {
        answer_moved(step->command);
    } else {
        answer_error(step->command,
                     "UNKNOWN the new key was written, the old one may not have been deleted");
    }
}

static void on_new_written(struct step *step) {
    struct command *c = step->command;
    if (!step_succeeded(step)) {
        answer_step_failure(step);
    } else if ((c->my.flags & MOVE_KEEPS) != 0) {
        answer_moved(c);
    } else {
        step_delete(step, c->arguments[1], on_old_deleted);
    }
}

static void write_new(struct step *step) {
    struct command *c = step->command;
    step_replace(step, c->arguments[2], c->my.text, c->my.expires_ms, on_new_written);
}

static void on_new_read(struct step *step) {
    const struct sibling *sibling;
    if (answer_failed_read(step, &sibling)) return;
    if (sibling != NULL) {
        answer_integer(step->command, 0);
    } else {
        write_new(step);
    }
}

static void on_old_read(struct step *step) {
    struct command *c = step->command;
    const struct sibling *sibling;
    if (answer_failed_read(step, &sibling)) return;
    if (sibling == NULL) {
        if ((c->my.flags & MOVE_KEEPS) != 0) {
            answer_integer(c, 0);
        } else {
            answer_error(c, "ERR no such key");
        }
        return;
    }
    if (slice_equal(c->arguments[1], c->arguments[2])) {
        if ((c->my.flags & MOVE_YIELDS) != 0) {
            answer_integer(c, 0);
        } else {
            answer_ok(c);
        }
        return;
    }
    if (answer_if_too_old(c, sibling)) return;
    c->my.expires_ms = shown_expiry(sibling);
    c->my.text = sibling->value;
    c->my.text.data = step_hold_copy(step, sibling->value, sibling->value.size);
    if (c->my.text.data == NULL) {
        answer_no_memory(c);
    } else if ((c->my.flags & MOVE_YIELDS) != 0) {
        step_read(step, c->arguments[2], on_new_read);
    } else {
        write_new(step);
    }
}

static void move(struct command *c, uint32_t flags) {
    c->my.flags = flags;
    step_read(&c->step, c->arguments[1], on_old_read);
}

void start_rename(struct command *c) {
    move(c, 0);
}

void start_renamenx(struct command *c) {
    move(c, MOVE_YIELDS | MOVE_COUNTS);
}

void start_copy(struct command *c) {
    uint32_t flags = MOVE_KEEPS | MOVE_YIELDS | MOVE_COUNTS;
    for (uint32_t i = 3; i < c->argument_count; i++) {
        int64_t database;
        if (argument_is(c->arguments[i], "replace")) {
            flags &= ~(uint32_t)MOVE_YIELDS;
        } else if (argument_is(c->arguments[i], "db") && i + 1 < c->argument_count) {
            if (!parse_integer(c, c->arguments[++i], &database)) return;
            if (database == 0) continue;
            if (database < INT32_MIN || database > INT32_MAX) {
                answer_error(c, "ERR value is out of range, value must between -2147483648 and "
                                "2147483647");
            } else {
                answer_error(c, "ERR DB index is out of range");
            }
            return;
        } else {
            answer_parse_error(c, PARSE_SYNTAX);
            return;
        }
    }
    if (slice_equal(c->arguments[1], c->arguments[2])) {
        answer_error(c, "ERR source and destination objects are the same");
    } else {
        move(c, flags);
    }
}
