// SPDX-License-Identifier: Apache-2.0
//
// BITFIELD: numbers of 1 to 64 bits at any offset of a value. The operations of a command are read
// twice: once to see that all of them make sense and how long the value will be, once to be carried
// out, one after the other, on a copy of the value.
#include "server/commands.h"

#include "base/bits.h"
#include "base/text.h"

enum field_kind { FIELD_GET, FIELD_SET, FIELD_INCRBY };
enum field_overflow { OVERFLOW_WRAP, OVERFLOW_SAT, OVERFLOW_FAIL };

struct field_operation {
    enum field_kind kind;
    enum field_overflow overflow;
    bool is_signed;
    uint32_t width; // bits
    uint64_t offset;
    int64_t number; // to set or to add
};

// Where one is in the arguments.
struct field_reader {
    struct command *c;
    uint32_t at; // the next argument
    enum field_overflow overflow;
};

static struct field_reader first_operation(struct command *c) {
    return (struct field_reader){.c = c, .at = 2};
}

static bool parse_type(struct slice type, struct field_operation *operation) {
    int64_t width;
    if (type.size < 2) return false;
    operation->is_signed = type.data[0] == 'i';
    if (!operation->is_signed && type.data[0] != 'u') return false;
    if (!text_to_i64(slice_skip(type, 1), &width)) return false;
    operation->width = (uint32_t)width;
    return width >= 1 && width <= (operation->is_signed ? 64 : 63);
}

static bool parse_overflow(struct field_reader *r, struct slice word) {
    static const char *const words[] = {"wrap", "sat", "fail"};
    for (uint32_t i = 0; i < 3; i++) {
        if (!argument_is(word, words[i])) continue;
        r->overflow = (enum field_overflow)i;
        return true;
    }
    answer_error(r->c, "ERR Invalid OVERFLOW type specified");
    return false;
}

// Type, offset and, but for GET, a number.
static bool parse_field(struct field_reader *r, struct field_operation *operation) {
    struct command *c = r->c;
    uint64_t size_max = c->session->server->options.value_size_max;
    if (!parse_type(c->arguments[r->at++], operation)) {
        answer_error(c,
                     "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not "
                     "supported but i64 is.");
        return false;
    }
    if (!parse_bit_offset(c->arguments[r->at++], size_max, operation->width, &operation->offset)) {
        answer_error(c, "ERR bit offset is not an integer or out of range");
        return false;
    }
    operation->overflow = r->overflow;
    if (operation->kind == FIELD_GET) return true;
    return parse_integer(c, c->arguments[r->at++], &operation->number);
}

enum field_result { FIELD_READ, FIELD_END, FIELD_BAD }; // bad: the answer was given

static enum field_result next_operation(struct field_reader *r, struct field_operation *operation) {
    struct command *c = r->c;
    while (r->at < c->argument_count) {
        struct slice word = c->arguments[r->at];
        uint32_t left = c->argument_count - r->at - 1;
        r->at++;
        if (argument_is(word, "overflow") && left >= 1) {
            if (!parse_overflow(r, c->arguments[r->at++])) return FIELD_BAD;
            continue;
        }
        if (argument_is(word, "get") && left >= 2) {
            operation->kind = FIELD_GET;
        } else if (argument_is(word, "set") && left >= 3) {
            operation->kind = FIELD_SET;
        } else if (argument_is(word, "incrby") && left >= 3) {
            operation->kind = FIELD_INCRBY;
        } else {
            answer_parse_error(c, PARSE_SYNTAX);
            return FIELD_BAD;
        }
        return parse_field(r, operation) ? FIELD_READ : FIELD_BAD;
    }
    return FIELD_END;
}

// What all operations together need.
struct field_plan {
    uint32_t count;
    uint64_t size; // bytes of the value, at least; 0: nothing is written
};

static bool make_plan(struct command *c, struct field_plan *plan) {
    *plan = (struct field_plan){0};
    struct field_reader r = first_operation(c);
    struct field_operation operation;
    enum field_result result;
    while ((result = next_operation(&r, &operation)) == FIELD_READ) {
        plan->count++;
        uint64_t size = (operation.offset + operation.width + 7) / 8;
        if (operation.kind != FIELD_GET && size > plan->size) plan->size = size;
    }
    return result == FIELD_END;
}

// Numbers.

static uint64_t mask_of(uint32_t width) {
    return width == 64 ? UINT64_MAX : ((uint64_t)1 << width) - 1;
}

// The number that the low bits of a word stand for.
static int64_t signed_of(uint64_t bits, uint32_t width) {
    uint64_t sign = (uint64_t)1 << (width - 1);
    return (int64_t)((bits ^ sign) - sign);
}

// Adds; false: it does not fit, and *bits is what the overflow makes of it.
static bool add_signed(const struct field_operation *operation, int64_t a, int64_t b,
                       uint64_t *bits) {
    int64_t max = (int64_t)(mask_of(operation->width) >> 1);
    int64_t sum;
    bool is_beyond = __builtin_add_overflow(a, b, &sum);
    bool is_above = is_beyond ? b > 0 : sum > max;
    bool is_below = is_beyond ? b < 0 : sum < -max - 1;
    *bits = (uint64_t)sum;
    if (!is_above && !is_below) return true;
    if (operation->overflow == OVERFLOW_SAT) *bits = (uint64_t)(is_above ? max : -max - 1);
    return false;
}

static bool add_unsigned(const struct field_operation *operation, uint64_t a, int64_t b,
                         uint64_t *bits) {
    uint64_t max = mask_of(operation->width);
    uint64_t sum;
    bool is_beyond = __builtin_add_overflow(a, b, &sum);
    bool is_above = is_beyond ? b > 0 : sum > max;
    bool is_below = is_beyond && b < 0;
    *bits = sum;
    if (!is_above && !is_below) return true;
    if (operation->overflow == OVERFLOW_SAT) *bits = is_above ? max : 0;
    return false;
}

// Carries one out. False: it overflowed and was to fail then. Else *reply is what it shows.
static bool carry_out(const struct field_operation *operation, struct slice value, uint8_t *place,
                      int64_t *reply) {
    uint32_t width = operation->width;
    uint64_t old = bits_load(value, operation->offset, width);
    *reply = operation->is_signed ? signed_of(old, width) : (int64_t)old;
    if (operation->kind == FIELD_GET) return true;
    bool is_sum = operation->kind == FIELD_INCRBY;
    int64_t by = is_sum ? operation->number : 0;
    uint64_t new;
    bool fits;
    if (operation->is_signed) {
        fits = add_signed(operation, is_sum ? *reply : operation->number, by, &new);
    } else {
        fits = add_unsigned(operation, is_sum ? old : (uint64_t)operation->number, by, &new);
    }
    if (!fits && operation->overflow == OVERFLOW_FAIL) return false;
    new &= mask_of(width);
    if (is_sum) *reply = operation->is_signed ? signed_of(new, width) : (int64_t) new;
    bits_store(place, operation->offset, width, new);
    return true;
}

// Replying: element by element, kept until the write is done.

static struct reply *element(struct command *c, struct reply *r) {
    struct session *s = c->session;
    uint8_t *room =
        chunks_room(&c->parcel.chunks, &s->server->chunk_pool, (size_t)REPLY_HEADER_MAX);
    if (room == NULL) return NULL;
    *r = reply_to(room, REPLY_HEADER_MAX, s->protocol);
    return r;
}

// False: there is no memory for the reply.
static bool carry_out_all(struct command *c, uint32_t count, struct slice value, uint8_t *place) {
    struct reply r;
    if (element(c, &r) == NULL) return false;
    reply_array(&r, count);
    chunks_grow(&c->parcel.chunks, r.size);
    struct field_reader reader = first_operation(c);
    struct field_operation operation;
    while (next_operation(&reader, &operation) == FIELD_READ) {
        int64_t number;
        if (element(c, &r) == NULL) return false;
        if (carry_out(&operation, value, place, &number)) {
            reply_integer(&r, number);
        } else {
            reply_null(&r);
        }
        chunks_grow(&c->parcel.chunks, r.size);
    }
    return true;
}

static void on_bitfield_read(struct step *step) {
    struct command *c = step->command;
    const struct sibling *sibling;
    if (answer_failed_read(step, &sibling)) return;
    struct field_plan plan;
    if (!make_plan(c, &plan)) return;
    if (plan.size > 0 && answer_if_too_old(c, sibling)) return;
    struct slice value = shown_value(sibling);
    uint64_t expires_ms = shown_expiry(sibling);
    uint8_t *place = NULL;
    if (plan.size > 0) {
        size_t size = plan.size > value.size ? plan.size : value.size;
        place = step_hold_copy(step, value, size);
        value = (struct slice){place, size};
    }
    bool has_room = plan.size == 0 || place != NULL;
    if (!has_room || !carry_out_all(c, plan.count, value, place)) {
        answer_no_memory(c);
    } else if (plan.size == 0) {
        answer_parcel(c);
    } else {
        step_replace(step, c->arguments[1], value, expires_ms, answer_written_parcel);
    }
}

void start_bitfield(struct command *c) {
    struct field_plan plan;
    if (!make_plan(c, &plan)) return;
    if (plan.size > c->session->server->options.value_size_max) {
        answer_error(c, "ERR string exceeds maximum allowed size (proto-max-bulk-len)");
        return;
    }
    step_read(&c->step, c->arguments[1], on_bitfield_read);
}

void start_bitfield_ro(struct command *c) {
    struct field_plan plan;
    if (!make_plan(c, &plan)) return;
    if (plan.size > 0) {
        answer_error(c, "ERR BITFIELD_RO only supports the GET subcommand");
        return;
    }
    step_read(&c->step, c->arguments[1], on_bitfield_read);
}
