// SPDX-License-Identifier: Apache-2.0
//
// OBJECT and MEMORY USAGE: how a value is held.
#include "server/commands.h"

#include "base/text.h"

// What Redis has of a value that was just set. Here all are held alike.
static struct slice encoding_of(struct slice value) {
    enum { EMBEDDED_MAX = 44 }; // bytes that Redis keeps beside what describes the value
    int64_t number;
    if (text_to_i64(value, &number)) return SLICE("int");
    return value.size <= EMBEDDED_MAX ? SLICE("embstr") : SLICE("raw");
}

static void on_encoding(struct step *step) {
    const struct sibling *sibling;
    if (answer_failed_read(step, &sibling)) return;
    if (sibling == NULL) {
        answer_null(step->command);
    } else {
        answer_bulk(step->command, encoding_of(sibling->value));
    }
}

void start_object_encoding(struct command *c) {
    step_read(&c->step, c->arguments[2], on_encoding);
}

static void on_refcount(struct step *step) {
    const struct sibling *sibling;
    if (answer_failed_read(step, &sibling)) return;
    if (sibling == NULL) {
        answer_null(step->command);
    } else {
        answer_integer(step->command, 1); // values are never shared
    }
}

void start_object_refcount(struct command *c) {
    step_read(&c->step, c->arguments[2], on_refcount);
}

// Nobody counts the uses of a value, which is what Redis says where its policy is noeviction.
static void on_freq(struct step *step) {
    struct command *c = step->command;
    const struct sibling *sibling;
    if (answer_failed_read(step, &sibling)) return;
    if (sibling == NULL) {
        answer_null(c);
        return;
    }
    struct reply *r = answer_open(c, REPLY_ERROR_MAX + REPLY_HEADER_MAX);
    if (r == NULL) return;
    reply_error(r, SLICE("ERR An LFU maxmemory policy is not selected, access frequency not "
                         "tracked. Please note that when switching between policies at runtime "
                         "LRU and LFU data will take some time to adjust."));
    answer_close(c);
}

void start_object_freq(struct command *c) {
    step_read(&c->step, c->arguments[2], on_freq);
}

// Reads are not timed: seconds since it was written, which is as long as it can have been idle.
static void on_idletime(struct step *step) {
    struct command *c = step->command;
    const struct sibling *sibling;
    if (answer_failed_read(step, &sibling)) return;
    if (sibling == NULL) {
        answer_null(c);
        return;
    }
    uint64_t now_ms = server_now_ms(c->session->server);
    uint64_t written_ms = sibling->timestamp >> 16;
    answer_integer(c, now_ms > written_ms ? (int64_t)((now_ms - written_ms) / 1000) : 0);
}

void start_object_idletime(struct command *c) {
    step_read(&c->step, c->arguments[2], on_idletime);
}

static void on_memory_usage(struct step *step) {
    const struct sibling *sibling;
    if (answer_failed_read(step, &sibling)) return;
    if (sibling == NULL) {
        answer_null(step->command);
    } else {
        size_t size = step->request.key.size + step->request.record.size;
        answer_integer(step->command, (int64_t)size);
    }
}

void start_memory_usage(struct command *c) {
    step_read(&c->step, c->arguments[2], on_memory_usage);
}
