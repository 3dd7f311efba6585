// SPDX-License-Identifier: Apache-2.0
#include "server/slowlog.h"

#include "server/arguments.h"
#include "server/internal.h"

#include <inttypes.h>

static_assert(sizeof((struct slow_entry){0}.name) > CLIENT_NAME_MAX, "a client's name fits");

void slowlog_init(struct slowlog *log, struct arena *arena) {
    log->entries = ARENA_ARRAY(arena, struct slow_entry, SLOWLOG_ENTRIES_MAX);
}

struct slice clip_secret(const struct command *c, uint32_t index) {
    const char *name = c->spec->name;
    const struct slice *arguments = c->arguments;
    bool is_secret = false;
    if (strcmp(name, "auth") == 0) is_secret = index > 0;
    if (strcmp(name, "hello") == 0) {
        is_secret = (index > 2 && argument_is(arguments[index - 1], "auth")) ||
                    (index > 3 && argument_is(arguments[index - 2], "auth"));
    }
    return is_secret ? SLICE("(redacted)") : arguments[index];
}

void slowlog_note(struct slowlog *log, const struct command *c, uint64_t duration_ns,
                  uint32_t entries_max) {
    const struct session *s = c->session;
    struct slow_entry *e = &log->entries[log->next_id % SLOWLOG_ENTRIES_MAX];
    e->id = log->next_id++;
    e->wall_ms = server_now_ms(s->server);
    e->duration_us = duration_ns / 1000;
    e->argument_count = c->argument_count;
    for (uint32_t i = 0; i < c->argument_count && i < CLIP_ARGUMENTS_MAX; i++) {
        struct slice argument = clip_secret(c, i);
        e->sizes[i] = argument.size;
        size_t kept = argument.size < CLIP_SIZE_MAX ? argument.size : CLIP_SIZE_MAX;
        if (kept > 0) memcpy(e->bytes[i], argument.data, kept);
    }
    struct text address = text_over(e->address, sizeof(e->address));
    if (s->socket != NULL) text_string(&address, env_peer(s->server->env, s->socket));
    struct text name = text_over(e->name, sizeof(e->name));
    text_string(&name, s->name);
    log->count++;
    slowlog_trim(log, entries_max);
}

void slowlog_trim(struct slowlog *log, uint32_t entries_max) {
    must(entries_max <= SLOWLOG_ENTRIES_MAX);
    if (log->count > entries_max) log->count = entries_max;
}

const struct slow_entry *slowlog_entry(const struct slowlog *log, uint32_t age) {
    must(age < log->count);
    return &log->entries[(log->next_id - 1 - age) % SLOWLOG_ENTRIES_MAX];
}

void clip_size(struct text *text, size_t more) {
    if (more > 0) text_printf(text, "... (%zu more bytes)", more);
}

void clip_count(struct text *text, uint32_t argument_count) {
    text_printf(text, "... (%" PRIu32 " more arguments)", argument_count - CLIP_ARGUMENTS_MAX + 1);
}
