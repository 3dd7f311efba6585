// SPDX-License-Identifier: Apache-2.0
//
// Commands that read, decide and write as if nothing came between. Where there is one member they
// have the lock of their key meanwhile (lock.h); where there are more they are not started.
#include "server/commands.h"

#include "base/decimal.h"
#include "base/text.h"

// SET with NX, XX, GET or KEEPTTL, SETNX, GETSET, GETDEL.

enum { REPLY_NUMBER = 1u << 16 }; // beside the flags of SET: reply 1 or 0

static void answer_not_done(struct command *c, const struct sibling *sibling) {
    if ((c->my.flags & REPLY_NUMBER) != 0) {
        answer_integer(c, 0);
    } else if ((c->my.flags & SET_GET) != 0 && sibling != NULL) {
        answer_bulk(c, sibling->value);
    } else {
        answer_null(c);
    }
}

static void on_conditional_written(struct step *step) {
    struct command *c = step->command;
    if (!step_succeeded(step)) {
        parcel_clear(c->session, &c->parcel);
        answer_step_failure(step);
    } else if ((c->my.flags & REPLY_NUMBER) != 0) {
        answer_integer(c, 1);
    } else if ((c->my.flags & SET_GET) == 0) {
        answer_ok(c);
    } else if (c->parcel.chunks.first != NULL) {
        answer_parcel(c);
    } else {
        answer_null(c);
    }
}

static void on_conditional_read(struct step *step) {
    struct command *c = step->command;
    const struct sibling *sibling;
    if (answer_failed_read(step, &sibling)) return;
    bool wants_none = (c->my.flags & SET_NX) != 0;
    bool wants_some = (c->my.flags & SET_XX) != 0;
    if ((wants_none && sibling != NULL) || (wants_some && sibling == NULL)) {
        answer_not_done(c, sibling);
        return;
    }
    uint64_t expires_ms = c->my.expires_ms;
    if ((c->my.flags & SET_KEEPTTL) != 0) expires_ms = shown_expiry(sibling);
    if ((c->my.flags & SET_GET) != 0 && sibling != NULL && !parcel_bulk(c, sibling->value)) {
        answer_no_memory(c);
        return;
    }
    step_replace(step, c->arguments[1], c->my.text, expires_ms, on_conditional_written);
}

static void set_conditionally(struct command *c, uint32_t flags, struct slice value,
                              uint64_t expires_ms) {
    c->my.flags = flags;
    c->my.text = value;
    c->my.expires_ms = expires_ms;
    step_read(&c->step, c->arguments[1], on_conditional_read);
}

void start_set_conditionally(struct command *c, uint32_t flags, uint64_t expires_ms) {
    set_conditionally(c, flags, c->arguments[2], expires_ms);
}

void start_setnx(struct command *c) {
    set_conditionally(c, SET_NX | REPLY_NUMBER, c->arguments[2], 0);
}

void start_getset(struct command *c) {
    set_conditionally(c, SET_GET, c->arguments[2], 0);
}

static void on_getdel_read(struct step *step) {
    struct command *c = step->command;
    const struct sibling *sibling;
    if (answer_failed_read(step, &sibling)) return;
    if (sibling == NULL) {
        answer_null(c);
    } else if (!parcel_bulk(c, sibling->value)) {
        answer_no_memory(c);
    } else {
        step_delete(step, c->arguments[1], on_conditional_written);
    }
}

void start_getdel(struct command *c) {
    c->my.flags = SET_GET;
    step_read(&c->step, c->arguments[1], on_getdel_read);
}

// GETEX: a read that may change the expiry.

static void on_getex_read(struct step *step) {
    struct command *c = step->command;
    const struct sibling *sibling;
    if (answer_failed_read(step, &sibling)) return;
    if (sibling == NULL) {
        answer_null(c);
        return;
    }
    if (c->argument_count == 2) {
        answer_bulk(c, sibling->value);
        return;
    }
    struct set_options options;
    enum parse_result result = parse_set_options(c, 2, SET_PERSIST, &options);
    if (result == PARSE_OK) result = parse_set_time(c, &options, &c->my.expires_ms);
    if (result != PARSE_OK) {
        answer_parse_error(c, result);
        return;
    }
    if (c->my.expires_ms == 0 && sibling->expires_ms == 0) {
        answer_bulk(c, sibling->value); // PERSIST of what never expires
        return;
    }
    if (answer_if_too_old(c, sibling)) return;
    struct slice value = sibling->value;
    value.data = parcel_bulk(c, value) ? step_hold_copy(step, value, value.size) : NULL;
    if (value.data == NULL) {
        answer_no_memory(c);
        return;
    }
    if (c->my.expires_ms != 0 && c->my.expires_ms <= server_now_ms(c->session->server)) {
        step_delete(step, c->arguments[1], on_conditional_written);
    } else {
        uint64_t expires_ms = c->my.expires_ms == 0 ? STEP_STAYS : c->my.expires_ms; // PERSIST
        step_replace(step, c->arguments[1], value, expires_ms, on_conditional_written);
    }
}

void start_getex(struct command *c) {
    struct set_options options;
    enum parse_result result = parse_set_options(c, 2, SET_PERSIST, &options);
    if (result != PARSE_OK) {
        answer_parse_error(c, result);
        return;
    }
    c->my.flags = SET_GET;
    step_read(&c->step, c->arguments[1],
              on_getex_read); // a bad time matters only if there is a key
}

// Counters.

static void on_counter_read(struct step *step) {
    struct command *c = step->command;
    const struct sibling *sibling;
    if (answer_failed_read(step, &sibling)) return;
    int64_t value = 0;
    if (sibling != NULL && !text_to_i64(sibling->value, &value)) {
        answer_parse_error(c, PARSE_NOT_INTEGER);
        return;
    }
    int64_t sum;
    if (__builtin_add_overflow(value, c->my.number, &sum)) {
        answer_error(c, "ERR increment or decrement would overflow");
        return;
    }
    c->my.number = sum;
    char *digits = (char *)step->parcel.small;
    static_assert((int)PARCEL_SMALL >= (int)I64_TEXT_MAX,
                  "the digits stay there while they are written");
    struct slice text = {step->parcel.small, i64_to_text(sum, digits)};
    step_replace(step, c->arguments[1], text, shown_expiry(sibling), answer_written_number);
}

static void count(struct command *c, int64_t by) {
    c->my.number = by;
    step_read(&c->step, c->arguments[1], on_counter_read);
}

void start_incr(struct command *c) {
    count(c, 1);
}

void start_decr(struct command *c) {
    count(c, -1);
}

void start_incrby(struct command *c) {
    int64_t by;
    if (parse_integer(c, c->arguments[2], &by)) count(c, by);
}

void start_decrby(struct command *c) {
    int64_t by;
    if (!parse_integer(c, c->arguments[2], &by)) return;
    if (by == INT64_MIN) {
        answer_error(c, "ERR decrement would overflow");
        return;
    }
    count(c, -by);
}

// INCRBYFLOAT

static void on_float_read(struct step *step) {
    struct command *c = step->command;
    const struct sibling *sibling;
    if (answer_failed_read(step, &sibling)) return;
    long double value = 0;
    long double by;
    bool is_number = sibling == NULL || decimal_parse(sibling->value, &value);
    if (!is_number || !decimal_parse(c->arguments[2], &by)) {
        answer_error(c, "ERR value is not a valid float");
        return;
    }
    value += by;
    if (!decimal_is_finite(value)) {
        answer_error(c, "ERR increment would produce NaN or Infinity");
        return;
    }
    char digits[DECIMAL_TEXT_MAX];
    struct slice text = {(const uint8_t *)digits, decimal_text(value, digits)};
    uint64_t expires_ms = shown_expiry(sibling);
    text.data = parcel_bulk(c, text) ? step_hold_copy(step, text, text.size) : NULL;
    if (text.data == NULL) {
        answer_no_memory(c);
        return;
    }
    step_replace(step, c->arguments[1], text, expires_ms, answer_written_parcel);
}

void start_incrbyfloat(struct command *c) {
    step_read(&c->step, c->arguments[1], on_float_read);
}

// Parts of values.

// Writes `text` into the value at `offset`, with zeros in front where the value is shorter.
static void overwrite(struct step *step, const struct sibling *sibling, size_t offset,
                      struct slice text) {
    struct command *c = step->command;
    struct slice old = shown_value(sibling);
    size_t end = offset + text.size;
    size_t size = end > old.size ? end : old.size;
    if (size > c->session->server->options.value_size_max) {
        answer_error(c, "ERR string exceeds maximum allowed size (proto-max-bulk-len)");
        return;
    }
    uint8_t *place = step_hold_copy(step, old, size);
    if (place == NULL) {
        answer_no_memory(c);
        return;
    }
    if (text.size > 0) memcpy(place + offset, text.data, text.size);
    c->my.number = (int64_t)size;
    step_replace(step, c->arguments[1], (struct slice){place, size}, shown_expiry(sibling),
                 answer_written_number);
}

static void on_append_read(struct step *step) {
    const struct sibling *sibling;
    if (answer_failed_read(step, &sibling)) return;
    size_t offset = sibling == NULL ? 0 : sibling->value.size;
    overwrite(step, sibling, offset, step->command->arguments[2]);
}

void start_append(struct command *c) {
    step_read(&c->step, c->arguments[1], on_append_read);
}

static void on_setrange_read(struct step *step) {
    struct command *c = step->command;
    const struct sibling *sibling;
    if (answer_failed_read(step, &sibling)) return;
    if (c->arguments[3].size == 0) {
        answer_integer(c, sibling == NULL ? 0 : (int64_t)sibling->value.size);
        return;
    }
    overwrite(step, sibling, (size_t)c->my.number, c->arguments[3]);
}

void start_setrange(struct command *c) {
    int64_t offset;
    if (!parse_integer(c, c->arguments[2], &offset)) return;
    if (offset < 0) {
        answer_error(c, "ERR offset is out of range");
    } else if (c->arguments[3].size > 0 &&
               offset > (int64_t)c->session->server->options.value_size_max) {
        answer_error(c, "ERR string exceeds maximum allowed size (proto-max-bulk-len)");
    } else {
        c->my.number = offset;
        step_read(&c->step, c->arguments[1], on_setrange_read);
    }
}
