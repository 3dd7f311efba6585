// SPDX-License-Identifier: Apache-2.0
//
// CONFIG. A few settings are the server's own and can be changed as it runs, until it stops; the
// rest was decided at start, and is only shown.
#include "server/commands.h"

#include "base/glob.h"
#include "base/text.h"

#include <inttypes.h>

struct tunable {
    const char *name;
    size_t offset; // of an int64_t in struct tuning
    int64_t min;
    int64_t max;
};

#define FIELD(name) offsetof(struct tuning, name)

static const struct tunable tunables[] = {
    {"slowlog-log-slower-than", FIELD(slow_us), -1, INT64_MAX},
    {"slowlog-max-len", FIELD(slow_entries), 0, SLOWLOG_ENTRIES_MAX},
    {"latency-monitor-threshold", FIELD(spike_ms), 0, INT64_MAX},
    {"timeout", FIELD(idle_s), 0, INT32_MAX},
    {"idle-timeout", FIELD(idle_s), 0, INT32_MAX}, // as it is called where it is set at start
    {"maxclients", FIELD(clients), 1, INT64_MAX},  // see most_of
};

enum { TUNABLES = sizeof(tunables) / sizeof(tunables[0]) };

static int64_t *value_of(struct server *server, uint32_t index) {
    return (int64_t *)(void *)((uint8_t *)&server->tuning + tunables[index].offset);
}

// There is room for so many connections only.
static int64_t most_of(const struct server *server, uint32_t index) {
    if (tunables[index].offset == FIELD(clients)) return server->options.clients_max;
    return tunables[index].max;
}

static uint32_t find_tunable(struct slice name) {
    uint32_t i = 0;
    while (i < TUNABLES && !argument_is(name, tunables[i].name)) i++;
    return i;
}

static const struct server_setting *find_setting(const struct server *server, struct slice name) {
    for (uint32_t i = 0; i < server->options.setting_count; i++) {
        if (argument_is(name, server->options.settings[i].name))
            return &server->options.settings[i];
    }
    return NULL;
}

// CONFIG GET pattern ...

enum { PATTERNS_MAX = 128 }; // each is compared with each name

static bool is_wanted(const struct command *c, const char *name) {
    for (uint32_t i = 2; i < c->argument_count; i++) {
        uint64_t steps = GLOB_STEPS_MAX;
        char folded[COMMAND_NAME_MAX * 2];
        struct slice pattern = c->arguments[i];
        if (pattern.size > sizeof(folded)) continue;
        for (size_t b = 0; b < pattern.size; b++) folded[b] = (char)text_lower(pattern.data[b]);
        pattern.data = (const uint8_t *)folded;
        if (glob_match(pattern, slice_of_string(name), &steps)) return true;
    }
    return false;
}

void local_config_get(struct command *c, struct reply *r) {
    struct server *server = c->session->server;
    const struct server_options *o = &server->options;
    uint64_t count = 0;
    if (c->argument_count - 2 > PATTERNS_MAX) {
        reply_errorf(r, "TOOLARGE CONFIG GET takes at most %d patterns", PATTERNS_MAX);
        return;
    }
    for (uint32_t i = 0; i < o->setting_count; i++) count += is_wanted(c, o->settings[i].name);
    for (uint32_t i = 0; i < TUNABLES; i++) count += is_wanted(c, tunables[i].name);
    reply_map(r, count);
    for (uint32_t i = 0; i < o->setting_count; i++) {
        if (!is_wanted(c, o->settings[i].name)) continue;
        reply_bulk_string(r, o->settings[i].name);
        reply_bulk_string(r, o->settings[i].value);
    }
    for (uint32_t i = 0; i < TUNABLES; i++) {
        if (!is_wanted(c, tunables[i].name)) continue;
        reply_bulk_string(r, tunables[i].name);
        reply_bulk_integer(r, *value_of(server, i));
    }
}

// CONFIG SET name value ...: all of them, or none.

static void refuse(struct slice name, const char *why, struct reply *r) {
    reply_errorf(r, "ERR CONFIG SET failed (possibly related to argument '%.*s') - %s",
                 (int)(name.size < 128 ? name.size : 128), (const char *)name.data, why);
}

static bool was_named_before(const struct command *c, uint32_t at) {
    for (uint32_t i = 2; i < at; i += 2) {
        if (text_equal_nocase(c->arguments[i], c->arguments[at])) return true;
    }
    return false;
}

// False, with the error written, when the setting at an argument cannot be changed. What was
// decided at start may be set to what it is.
static bool is_changeable(const struct command *c, uint32_t at, struct reply *r) {
    const struct server *server = c->session->server;
    struct slice name = c->arguments[at];
    uint32_t index = find_tunable(name);
    const struct server_setting *fixed = find_setting(server, name);
    if (index == TUNABLES && fixed == NULL) {
        reply_errorf(r, "ERR Unknown option or number of arguments for CONFIG SET - '%.*s'",
                     (int)(name.size < 128 ? name.size : 128), (const char *)name.data);
        return false;
    }
    if (was_named_before(c, at)) {
        refuse(name, "duplicate parameter", r);
        return false;
    }
    if (index < TUNABLES || argument_is(c->arguments[at + 1], fixed->value)) return true;
    refuse(name, "can't set immutable config", r);
    return false;
}

// Likewise, when it cannot have the value.
static bool is_in_range(const struct command *c, uint32_t at, struct reply *r) {
    struct slice name = c->arguments[at];
    struct slice value = c->arguments[at + 1];
    uint32_t index = find_tunable(name);
    if (index == TUNABLES) return true;
    int64_t number;
    int64_t most = most_of(c->session->server, index);
    if (!text_to_i64(value, &number)) {
        refuse(name, "argument couldn't be parsed into an integer", r);
        return false;
    }
    if (number < tunables[index].min || number > most) {
        char memory[100];
        struct text why = text_over(memory, sizeof(memory));
        text_printf(&why, "argument must be between %" PRId64 " and %" PRId64 " inclusive",
                    tunables[index].min, most);
        refuse(name, memory, r);
        return false;
    }
    return true;
}

void local_config_set(struct command *c, struct reply *r) {
    struct server *server = c->session->server;
    if (c->argument_count % 2 != 0) {
        reply_error(r, SLICE("ERR syntax error"));
        return;
    }
    for (uint32_t i = 2; i < c->argument_count; i += 2) {
        if (!is_changeable(c, i, r)) return;
    }
    for (uint32_t i = 2; i < c->argument_count; i += 2) {
        if (!is_in_range(c, i, r)) return;
    }
    for (uint32_t i = 2; i < c->argument_count; i += 2) {
        uint32_t index = find_tunable(c->arguments[i]);
        if (index == TUNABLES) continue;
        bool is_number = text_to_i64(c->arguments[i + 1], value_of(server, index));
        must(is_number); // it was looked at
    }
    slowlog_trim(&server->slowlog, (uint32_t)server->tuning.slow_entries);
    reply_ok(r);
}

void local_config_resetstat(struct command *c, struct reply *r) {
    struct server *server = c->session->server;
    server->counts = (struct server_counts){0};
    for (uint32_t i = 0; i < command_table_count; i++) {
        struct command_count *n = &server->command_counts[i];
        if (n->took.count + n->rejected > 0) memset(n, 0, sizeof(*n));
    }
    server->error_count = 0;
    server->commands_rate = (struct rate){0};
    server->in_rate = (struct rate){0};
    server->out_rate = (struct rate){0};
    reply_ok(r);
}
