// SPDX-License-Identifier: Apache-2.0
#include "server/commands.h"

#include "base/glob.h"
#include "base/text.h"

// CONFIG. What it shows was decided at start; clients change nothing.

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
    const struct server_options *o = &c->session->server->options;
    uint64_t count = 0;
    for (uint32_t i = 0; i < o->setting_count; i++) count += is_wanted(c, o->settings[i].name);
    reply_map(r, count);
    for (uint32_t i = 0; i < o->setting_count; i++) {
        if (!is_wanted(c, o->settings[i].name)) continue;
        reply_bulk_string(r, o->settings[i].name);
        reply_bulk_string(r, o->settings[i].value);
    }
}

void local_config_set(struct command *c, struct reply *r) {
    struct slice name = c->arguments[2];
    reply_errorf(
        r,
        "ERR CONFIG SET failed (possibly related to argument '%.*s') - can't set immutable "
        "config",
        (int)(name.size < 128 ? name.size : 128), (const char *)name.data);
}

void local_config_resetstat(struct command *c, struct reply *r) {
    struct server *server = c->session->server;
    server->counts = (struct server_counts){0};
    memset(server->command_counts, 0, sizeof(server->command_counts));
    server->error_count = 0;
    server->commands_rate = (struct rate){0};
    server->in_rate = (struct rate){0};
    server->out_rate = (struct rate){0};
    reply_ok(r);
}

void local_time(struct command *c, struct reply *r) {
    uint64_t ms = c->session->server->env->wall_ms;
    reply_array(r, 2);
    reply_bulk_integer(r, (int64_t)(ms / 1000));
    reply_bulk_integer(r, (int64_t)(ms % 1000 * 1000));
}
