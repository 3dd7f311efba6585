// SPDX-License-Identifier: Apache-2.0
//
// Values as rows of bits: single bits, counts and searches, and one value made of others.
#include "server/commands.h"

#include "base/bits.h"
#include "base/text.h"
#include "server/many.h"

static uint64_t value_max(const struct command *c) {
    return c->session->server->options.value_size_max;
}

// GETBIT and SETBIT.

static bool parse_offset(struct command *c, struct slice argument, uint64_t *offset) {
    if (parse_bit_offset(argument, value_max(c), 0, offset)) return true;
    answer_error(c, "ERR bit offset is not an integer or out of range");
    return false;
}

static void on_getbit(struct step *step) {
    const struct sibling *sibling;
    if (answer_failed_read(step, &sibling)) return;
    uint64_t offset = (uint64_t)step->command->my.number;
    answer_integer(step->command, sibling != NULL && bits_at(sibling->value, offset) ? 1 : 0);
}

void start_getbit(struct command *c) {
    uint64_t offset;
    if (!parse_offset(c, c->arguments[2], &offset)) return;
    c->my.number = (int64_t)offset;
    step_read(&c->step, c->arguments[1], on_getbit);
}

static void on_setbit_read(struct step *step) {
    struct command *c = step->command;
    const struct sibling *sibling;
    if (answer_failed_read(step, &sibling) || answer_if_too_old(c, sibling)) return;
    struct slice value = shown_value(sibling);
    uint64_t offset = (uint64_t)c->my.number;
    size_t size = offset / 8 + 1 > value.size ? offset / 8 + 1 : value.size;
    uint64_t expires_ms = shown_expiry(sibling);
    c->my.number = bits_at(value, offset);
    if (size == value.size && (uint32_t)c->my.number == c->my.flags) {
        answer_integer(c, c->my.number); // a change of nothing is none, also for a WATCH
        return;
    }
    uint8_t *place = step_hold_copy(step, value, size);
    if (place == NULL) {
        answer_no_memory(c);
        return;
    }
    bits_put(place, offset, c->my.flags != 0);
    step_replace(step, c->arguments[1], (struct slice){place, size}, expires_ms,
                 answer_written_number);
}

void start_setbit(struct command *c) {
    uint64_t offset;
    int64_t bit;
    if (!parse_offset(c, c->arguments[2], &offset)) return;
    if (!text_to_i64(c->arguments[3], &bit) || (bit != 0 && bit != 1)) {
        answer_error(c, "ERR bit is not an integer or out of range");
        return;
    }
    c->my.number = (int64_t)offset;
    c->my.flags = (uint32_t)bit;
    step_read(&c->step, c->arguments[1], on_setbit_read);
}

// BITCOUNT and BITPOS: from one position to another, both included, in bytes or bits; negative ones
// count from the end.

struct bit_range {
    int64_t start;
    int64_t end;
    bool is_bits; // else bytes
};

// The argument, if it is there, says what the range is of. False: the answer was given.
static bool parse_unit(struct command *c, uint32_t at, struct bit_range *range) {
    if (c->argument_count <= at) return true;
    range->is_bits = argument_is(c->arguments[at], "bit");
    if (range->is_bits || argument_is(c->arguments[at], "byte")) return true;
    answer_parse_error(c, PARSE_SYNTAX);
    return false;
}

// The first and the last bit of a value that are meant. False: none is.
static bool place(const struct bit_range *range, struct slice value, uint64_t *first,
                  uint64_t *last) {
    int64_t start = range->start;
    int64_t end = range->end;
    int64_t total = (int64_t)(range->is_bits ? value.size * 8 : value.size);
    if (start < 0) start = start < -total ? 0 : start + total;
    if (end < 0) end = end < -total ? 0 : end + total;
    if (end >= total) end = total - 1;
    if (start > end) return false;
    *first = (uint64_t)(range->is_bits ? start : start * 8);
    *last = (uint64_t)(range->is_bits ? end : end * 8 + 7);
    return true;
}

static void count_bits(struct command *c, struct slice value) {
    struct bit_range range = {.end = -1};
    if (c->argument_count > 3) {
        if (!parse_integer(c, c->arguments[2], &range.start)) return;
        if (!parse_integer(c, c->arguments[3], &range.end)) return;
        // As in Redis, and not for BITPOS, where both may end up at the first byte.
        if (range.start < 0 && range.end < 0 && range.start > range.end) {
            answer_integer(c, 0);
            return;
        }
        if (!parse_unit(c, 4, &range)) return;
    }
    uint64_t first;
    uint64_t last;
    bool is_some = place(&range, value, &first, &last);
    answer_integer(c, is_some ? (int64_t)bits_count(value, first, last) : 0);
}

static void on_bitcount(struct step *step) {
    struct command *c = step->command;
    const struct sibling *sibling;
    if (answer_failed_read(step, &sibling)) return;
    if (sibling == NULL) {
        answer_integer(c, 0);
    } else if (c->argument_count == 3 || c->argument_count > 5) { // a start alone is no range
        answer_parse_error(c, PARSE_SYNTAX);
    } else {
        count_bits(c, sibling->value);
    }
}

void start_bitcount(struct command *c) {
    step_read(&c->step, c->arguments[1], on_bitcount);
}

// A value is taken to go on with zeros, unless its end was named.
static int64_t position_of(struct slice value, const struct bit_range *range, bool bit,
                           bool has_end) {
    uint64_t first;
    uint64_t last;
    if (!place(range, value, &first, &last)) return -1;
    uint64_t found = bits_find(value, first, last, bit);
    if (found != UINT64_MAX) return (int64_t)found;
    return bit || has_end ? -1 : (int64_t)value.size * 8;
}

static void on_bitpos(struct step *step) {
    struct command *c = step->command;
    const struct sibling *sibling;
    if (answer_failed_read(step, &sibling)) return;
    bool bit = c->my.number == 1;
    struct bit_range range = {.end = -1};
    if (sibling == NULL) {
        answer_integer(c, bit ? -1 : 0);
        return;
    }
    if (c->argument_count > 6) {
        answer_parse_error(c, PARSE_SYNTAX);
        return;
    }
    bool has_end = c->argument_count > 4;
    if (c->argument_count > 3 && !parse_integer(c, c->arguments[3], &range.start)) return;
    if (!parse_unit(c, 5, &range)) return;
    if (has_end && !parse_integer(c, c->arguments[4], &range.end)) return;
    answer_integer(c, position_of(sibling->value, &range, bit, has_end));
}

void start_bitpos(struct command *c) {
    if (!parse_integer(c, c->arguments[2], &c->my.number)) return;
    if (c->my.number != 0 && c->my.number != 1) {
        answer_error(c, "ERR The bit argument must be 1 or 0.");
        return;
    }
    step_read(&c->step, c->arguments[1], on_bitpos);
}

// BITOP: the values are taken in as they come, in any order, into what the command's own step
// holds. Shorter ones count as followed by zeros.

enum bit_operation { BIT_AND, BIT_OR, BIT_XOR, BIT_NOT };

enum { BIT_TOO_OLD = 1 << 8 }; // beside the operation: some value is larger than there is room for

// c->my.number: bytes so far; c->my.done: values so far.
static void take_in(struct command *c, uint8_t *all, struct slice value) {
    size_t size = (size_t)c->my.number;
    size_t common = value.size < size ? value.size : size;
    for (size_t i = 0; i < common; i++) {
        switch ((enum bit_operation)c->my.flags) {
        case BIT_AND:
            all[i] &= value.data[i];
            break;
        case BIT_OR:
            all[i] |= value.data[i];
            break;
        case BIT_XOR:
            all[i] ^= value.data[i];
            break;
        case BIT_NOT:
            unreachable(); // has one value
        }
    }
    bool is_cleared = c->my.flags == BIT_AND && c->my.done > 0;
    if (is_cleared && common < size) memset(all + common, 0, size - common);
    if (value.size > common) {
        size_t more = value.size - common;
        if (is_cleared) {
            memset(all + common, 0, more);
        } else {
            memcpy(all + common, value.data + common, more);
        }
        c->my.number = (int64_t)value.size;
    }
    c->my.done++;
}

static void on_old_read(struct step *step) {
    const struct sibling *sibling;
    if (answer_failed_read(step, &sibling)) return;
    if (sibling == NULL) {
        answer_integer(step->command, 0);
    } else {
        step_delete(step, step->command->arguments[2], answer_written_number);
    }
}

static void end_bitop(struct command *c) {
    if (c->my.failed > 0) {
        answer_failure(c, c->my.failure);
        return;
    }
    if ((c->my.flags & BIT_TOO_OLD) != 0) {
        answer_too_old(c);
        return;
    }
    if (c->my.number == 0) { // there is no empty result: what is there goes
        step_read(&c->step, c->arguments[2], on_old_read);
        return;
    }
    uint8_t *all = c->step.hold_large->data;
    size_t size = (size_t)c->my.number;
    for (size_t i = 0; i < size && c->my.flags == BIT_NOT; i++) all[i] = (uint8_t)~all[i];
    step_replace(&c->step, c->arguments[2], (struct slice){all, size}, 0, answer_written_number);
}

static void begin_bitop(struct step *step);

static void on_bitop_read(struct step *step) {
    struct command *c = step->command;
    const struct sibling *sibling = NULL;
    c->my.under_way--;
    bool is_read = many_read(step, &sibling);
    struct slice value = shown_value(sibling);
    if (value.size > c->session->server->options.value_size_max) c->my.flags |= BIT_TOO_OLD;
    if (!is_read || (c->my.flags & BIT_TOO_OLD) != 0) {
        many_stop(c);
    } else {
        take_in(c, c->step.hold_large->data, value);
    }
    many_give(step);
    many_pump(c, end_bitop, begin_bitop);
}

static void begin_bitop(struct step *step) {
    step_read(step, step->command->arguments[step->index], on_bitop_read);
}

void start_bitop(struct command *c) {
    static const char *const words[] = {"and", "or", "xor", "not"};
    uint32_t operation = 0;
    while (operation <= BIT_NOT && !argument_is(c->arguments[1], words[operation])) operation++;
    if (operation > BIT_NOT) {
        answer_parse_error(c, PARSE_SYNTAX);
    } else if (operation == BIT_NOT && c->argument_count != 4) {
        answer_error(c, "ERR BITOP NOT must be called with a single source key.");
    } else if (!step_hold_largest(&c->step)) {
        answer_no_memory(c);
    } else {
        many_init(c);
        c->my.next++; // past the key of the result
        c->my.flags = operation;
        many_pump(c, end_bitop, begin_bitop);
    }
}
