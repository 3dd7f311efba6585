// SPDX-License-Identifier: Apache-2.0
#include "server/monitor.h"

#include <inttypes.h>

void monitor_begin(struct session *s) {
    if (list_is_empty(&s->watching)) list_append(&s->server->monitors, &s->watching);
}

void monitor_end(struct session *s) {
    list_remove(&s->watching);
    s->missed = 0;
}

// An argument as a C programmer would write it.
static void write_quoted(struct text *text, struct slice bytes) {
    static const char letters[] = "\n\r\t\a\b\"\\";
    static const char names[] = "nrtab\"\\";
    for (size_t i = 0; i < bytes.size; i++) {
        uint8_t byte = bytes.data[i];
        const char *letter = byte == 0 ? NULL : strchr(letters, byte);
        if (letter != NULL) {
            text_char(text, '\\');
            text_char(text, names[letter - letters]);
        } else if (byte >= ' ' && byte <= '~') {
            text_char(text, (char)byte);
        } else {
            text_string(text, "\\x");
            text_hex(text, (struct slice){&byte, 1});
        }
    }
}

static void write_head(const struct server *server, const char *who, struct text *text) {
    uint64_t ms = server_now_ms(server);
    text_printf(text, "+%" PRIu64 ".%03u000 [0 %s]", ms / 1000, (unsigned)(ms % 1000), who);
}

static void write_line(const struct command *c, struct text *text) {
    const struct session *s = c->session;
    write_head(s->server, s->socket == NULL ? "" : env_peer(s->server->env, s->socket), text);
    bool is_clipped = c->argument_count > CLIP_ARGUMENTS_MAX;
    uint32_t count = is_clipped ? CLIP_ARGUMENTS_MAX - 1 : c->argument_count;
    for (uint32_t i = 0; i < count; i++) {
        struct slice argument = clip_secret(c, i);
        size_t shown = argument.size < CLIP_SIZE_MAX ? argument.size : CLIP_SIZE_MAX;
        text_string(text, " \"");
        write_quoted(text, (struct slice){argument.data, shown});
        clip_size(text, argument.size - shown);
        text_char(text, '"');
    }
    if (is_clipped) {
        text_string(text, " \"");
        clip_count(text, c->argument_count);
        text_char(text, '"');
    }
    text_string(text, "\r\n");
}

static bool send(struct session *s, struct slice line) {
    struct pool *pool = &s->server->chunk_pool;
    if (session_is_full(s) || pool_left(pool) <= chunks_needed(line.size) + 1) return false;
    chunks_append(&s->output, pool, line);
    session_touch(s);
    return true;
}

// False: it has not heard of those it missed either.
static bool tell_missed(struct session *s) {
    char memory[160];
    struct text text = text_over(memory, sizeof(memory));
    if (s->missed == 0) return true;
    write_head(s->server, "quoit", &text);
    text_printf(&text, " \"%" PRIu64 " commands are not shown\"\r\n", s->missed);
    if (!send(s, text_slice(&text))) return false;
    s->missed = 0;
    return true;
}

void monitor_show(const struct command *c) {
    struct server *server = c->session->server;
    // As in Redis, administrators' commands are not shown; but who drops all keys is seen.
    bool is_hidden = (c->flags & (COMMAND_ADMIN | COMMAND_WRITE)) == COMMAND_ADMIN;
    if (c->fault != FAULT_NONE || is_hidden) return;
    struct text line = server_text(server);
    write_line(c, &line);
    for (struct list *at = server->monitors.next; at != &server->monitors; at = at->next) {
        struct session *s = CONTAINER_OF(at, struct session, watching);
        if (s->state != SESSION_OPEN || s->is_closing) continue;
        if (!tell_missed(s) || !send(s, text_slice(&line))) s->missed++;
    }
}
