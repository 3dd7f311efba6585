// SPDX-License-Identifier: Apache-2.0
//
// DUMP and RESTORE: values as Redis writes them, to be carried from one server to another.
#include "server/commands.h"

#include "base/text.h"
#include "wire/dump.h"

#include <inttypes.h>

static void on_dump(struct step *step) {
    struct command *c = step->command;
    struct server *server = c->session->server;
    const struct sibling *sibling;
    if (answer_failed_read(step, &sibling)) return;
    if (sibling == NULL) {
        answer_null(c);
        return;
    }
    if (sibling->value.size + DUMP_OVERHEAD > server->scratch_size) {
        answer_too_old(c);
        return;
    }
    if (c->is_mute) { // its reply is made, and unheard, where the dump is
        answer_null(c);
        return;
    }
    size_t size = dump_encode(sibling->value, server->scratch);
    answer_bulk(c, (struct slice){server->scratch, size});
}

void start_dump(struct command *c) {
    step_read(&c->step, c->arguments[1], on_dump);
}

// RESTORE key ttl dump [REPLACE] [ABSTTL] [IDLETIME s] [FREQ f]

enum restore_flag {
    RESTORE_REPLACE = 1,
    RESTORE_ABSTTL = 2,
    RESTORE_IDLETIME = 4,
    RESTORE_FREQ = 8
};

// Of how often and how lately a value was used nothing is kept.
static bool parse_use(struct command *c, struct slice argument, uint32_t flag) {
    int64_t number;
    if (!parse_integer(c, argument, &number)) return false;
    c->my.flags |= flag;
    if (flag == RESTORE_IDLETIME && number < 0) {
        answer_error(c, "ERR Invalid IDLETIME value, must be >= 0");
        return false;
    }
    if (flag == RESTORE_FREQ && (number < 0 || number > 255)) {
        answer_error(c, "ERR Invalid FREQ value, must be >= 0 and <= 255");
        return false;
    }
    return true;
}

// False: the answer was given.
static bool parse_options(struct command *c) {
    c->my.flags = 0;
    for (uint32_t i = 4; i < c->argument_count; i++) {
        bool has_more = i + 1 < c->argument_count;
        if (argument_is(c->arguments[i], "replace")) {
            c->my.flags |= RESTORE_REPLACE;
        } else if (argument_is(c->arguments[i], "absttl")) {
            c->my.flags |= RESTORE_ABSTTL;
        } else if (argument_is(c->arguments[i], "idletime") && has_more &&
                   (c->my.flags & RESTORE_FREQ) == 0) {
            if (!parse_use(c, c->arguments[++i], RESTORE_IDLETIME)) return false;
        } else if (argument_is(c->arguments[i], "freq") && has_more &&
                   (c->my.flags & RESTORE_IDLETIME) == 0) {
            if (!parse_use(c, c->arguments[++i], RESTORE_FREQ)) return false;
        } else {
            answer_parse_error(c, PARSE_SYNTAX);
            return false;
        }
    }
    return true;
}

// False: the answer was given.
static bool parse_ttl(struct command *c) {
    int64_t ttl;
    if (!parse_integer(c, c->arguments[2], &ttl)) return false;
    bool is_relative = ttl > 0 && (c->my.flags & RESTORE_ABSTTL) == 0;
    int64_t now_ms = (int64_t)server_now_ms(c->session->server);
    if (ttl < 0 || (is_relative && ttl > INT64_MAX - now_ms)) {
        answer_error(c, "ERR Invalid TTL value, must be >= 0");
        return false;
    }
    c->my.expires_ms = (uint64_t)(is_relative ? ttl + now_ms : ttl);
    return true;
}

// False: the answer was given.
static bool decode(struct command *c, struct dump_string *string) {
    uint32_t max = c->session->server->options.value_size_max;
    switch (dump_decode(c->arguments[3], string)) {
    case DUMP_OK:
        break;
    case DUMP_BAD_CHECKSUM:
        answer_error(c, "ERR DUMP payload version or checksum are wrong");
        return false;
    case DUMP_NO_STRING:
        answer_error(c, "ERR only strings can be restored, and this is another type; not done");
        return false;
    case DUMP_BAD:
        answer_error(c, "ERR Bad data format");
        return false;
    }
    if (string->size <= max) return true;
    answer_errorf(c, "TOOLARGE a value has at most %" PRIu32 " bytes; not done", max);
    return false;
}

static void on_restored(struct step *step) {
    if (step_succeeded(step)) {
        answer_ok(step->command);
    } else {
        answer_step_failure(step);
    }
}

static void restore(struct command *c) {
    struct dump_string string;
    if (!parse_ttl(c) || !decode(c, &string)) return;
    bool has_lapsed = c->my.expires_ms > 0 && c->my.expires_ms <= server_now_ms(c->session->server);
    bool replaces = (c->my.flags & RESTORE_REPLACE) != 0;
    if (has_lapsed && !replaces) {
        answer_ok(c);
        return;
    }
    if (has_lapsed) {
        step_delete(&c->step, c->arguments[1], on_restored);
        return;
    }
    struct slice value = string.bytes;
    if (string.is_compressed || value.data == string.digits) { // else it is in the argument
        uint8_t *place = step_hold_value(&c->step, string.size);
        if (place == NULL) {
            answer_no_memory(c);
            return;
        }
        if (!string.is_compressed) {
            memcpy(place, string.digits, string.size);
        } else if (!dump_expand(&string, place)) {
            answer_error(c, "ERR Bad data format");
            return;
        }
        value = (struct slice){place, string.size};
    }
    step_replace(&c->step, c->arguments[1], value, c->my.expires_ms, on_restored);
}

static void on_restore_read(struct step *step) {
    const struct sibling *sibling;
    if (answer_failed_read(step, &sibling)) return;
    if (sibling != NULL) {
        answer_error(step->command, "BUSYKEY Target key name already exists.");
    } else {
        restore(step->command);
    }
}

// Without REPLACE it has to see that nothing is there.
uint32_t refine_restore(const struct command *c) {
    for (uint32_t i = 4; i < c->argument_count; i++) {
        if (argument_is(c->arguments[i], "replace")) return 0;
    }
    return COMMAND_STEPPED | COMMAND_LOCK | COMMAND_ATOMIC;
}

void start_restore(struct command *c) {
    if (!parse_options(c)) return;
    if ((c->my.flags & RESTORE_REPLACE) != 0) {
        restore(c);
    } else {
        step_read(&c->step, c->arguments[1], on_restore_read);
    }
}
