// SPDX-License-Identifier: Apache-2.0
//
// CLIENT about the connections of this node: who they are, to close them, to let them wait, and
// whether one of them wants to hear replies.
#include "server/commands.h"

#include "base/text.h"
#include "server/pause.h"

#include <inttypes.h>

static const char syntax_error[] = "ERR syntax error";

// Each is looked for among all connections, while everybody waits.
enum { LIST_IDS_MAX = 128 };

// Showing.

static const char *address_of(const struct session *s) {
    return s->socket == NULL ? "" : env_peer(s->server->env, s->socket);
}

// The address that it came to.
static const char *listener_of(const struct session *s) {
    return s->server->listeners[s->is_sharded ? 1 : 0].address;
}

static void write_flags(const struct session *s, struct text *text) {
    size_t before = text->size;
    if (s->is_held) text_char(text, 'b');
    if (s->is_closing || s->state != SESSION_OPEN) text_char(text, 'c');
    if (s->is_kept) text_char(text, 'e');
    if (s->is_traceless) text_char(text, 'T');
    if (s->transaction.is_open) text_char(text, 'x');
    if (text->size == before) text_char(text, 'N');
}

static uint64_t output_memory(const struct session *s) {
    uint64_t chunks = 0;
    for (const struct chunk *at = s->output.first; at != NULL; at = at->next) chunks++;
    return (chunks + s->kept_count) * CHUNK_SIZE;
}

// In the order of Redis 7.2. One connection has one database, and nobody subscribes.
static void describe(const struct session *s, struct text *text) {
    uint64_t now = s->server->env->now;
    uint64_t memory = output_memory(s);
    size_t left = s->output.size - (s->output.size > 0 ? s->sent : 0);
    text_printf(text, "id=%" PRIu64 " addr=%s laddr=%s fd=0 name=%s age=%" PRIu64 " idle=%" PRIu64,
                s->id, address_of(s), listener_of(s), s->name,
                (uint64_t)((now - s->created) / NS_PER_SECOND),
                (uint64_t)((now - s->heard) / NS_PER_SECOND));
    text_string(text, " flags=");
    write_flags(s, text);
    text_printf(text, " db=0 sub=0 psub=0 ssub=0 multi=%" PRId64,
                s->transaction.is_open ? (int64_t)s->transaction.count : -1);
    text_printf(text,
                " qbuf=%" PRIu32 " qbuf-free=%" PRIu32
                " argv-mem=0 multi-mem=%zu rbs=%u rbp=%u obl=%zu oll=%" PRIu64 " omem=%" PRIu64,
                s->received - s->parsed, s->input->capacity - s->received, transaction_memory(s),
                CHUNK_SIZE, CHUNK_SIZE, left, memory / CHUNK_SIZE, memory);
    uint64_t own =
        sizeof(*s) + transaction_memory(s) + (s->input->kind == INPUT_OWN ? 0 : s->input->capacity);
    text_printf(text, " tot-mem=%" PRIu64 " events=%s%s cmd=%s user=default redir=-1 resp=%u",
                own + memory, s->is_receiving ? "r" : "", s->is_sending ? "w" : "",
                s->last == NULL ? "NULL" : s->last->name, s->protocol);
    text_printf(text, " lib-name=%s lib-ver=%s\n", s->library, s->library_version);
}

void local_client_info(struct command *c, struct reply *r) {
    char memory[1024];
    struct text text = text_over(memory, sizeof(memory));
    describe(c->session, &text);
    reply_verbatim(r, text_slice(&text));
}

// Which connections are meant.

struct client_filter {
    uint64_t id; // 0: any
    struct slice address;
    struct slice listener;
    bool has_other_type; // of which there are none here
};

// False when Redis knows no such type of client.
static bool parse_type(struct slice word, struct client_filter *filter) {
    static const char *const others[] = {"master", "replica", "slave", "pubsub"};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        if (argument_is(word, others[i])) filter->has_other_type = true;
    }
    return filter->has_other_type || argument_is(word, "normal");
}

static void refuse_word(struct reply *r, const char *what, struct slice word) {
    reply_errorf(r, "ERR %s '%.*s'", what, (int)(word.size < 128 ? word.size : 128),
                 (const char *)word.data);
}

static bool text_is(struct slice text, const char *string) {
    return text.data == NULL || slice_equal(text, slice_of_string(string));
}

static bool is_meant(const struct client_filter *filter, const struct session *s) {
    return s->state != SESSION_SHUT && !filter->has_other_type &&
           (filter->id == 0 || filter->id == s->id) && text_is(filter->address, address_of(s)) &&
           text_is(filter->listener, listener_of(s));
}

static void list_all(struct server *server, const struct client_filter *filter, struct text *text) {
    for (struct list *at = server->sessions.next; at != &server->sessions; at = at->next) {
        const struct session *s = CONTAINER_OF(at, struct session, link);
        if (is_meant(filter, s)) describe(s, text);
    }
}

// CLIENT LIST [TYPE type | ID id ...]
void local_client_list(struct command *c, struct reply *r) {
    struct server *server = c->session->server;
    struct client_filter filter = {0};
    // Built beside where the reply will be.
    struct text text = server_text(server);
    if (c->argument_count == 4 && argument_is(c->arguments[2], "type")) {
        if (!parse_type(c->arguments[3], &filter)) {
            refuse_word(r, "Unknown client type", c->arguments[3]);
            return;
        }
        list_all(server, &filter, &text);
    } else if (c->argument_count > 3 && argument_is(c->arguments[2], "id")) {
        if (c->argument_count - 3 > LIST_IDS_MAX) {
            reply_errorf(r, "TOOLARGE CLIENT LIST takes at most %d ids", LIST_IDS_MAX);
            return;
        }
        for (uint32_t i = 3; i < c->argument_count; i++) {
            int64_t id;
            if (!text_to_i64(c->arguments[i], &id)) {
                reply_error(r, SLICE("ERR Invalid client ID"));
                return;
            }
            filter.id = (uint64_t)id;
            if (id > 0) list_all(server, &filter, &text);
        }
    } else if (c->argument_count > 2) {
        reply_error(r, slice_of_string(syntax_error));
        return;
    } else {
        list_all(server, &filter, &text);
    }
    if (text.clipped) {
        reply_error(r, SLICE("TOOLARGE there are too many connections for one reply; ask by ID"));
        return;
    }
    reply_verbatim(r, text_slice(&text));
}

// CLIENT KILL address | CLIENT KILL [ID id] [TYPE type] [ADDR address] [LADDR address] [USER name]
// [SKIPME yes|no] ...

struct kill_order {
    struct client_filter filter;
    bool skips_me;
};

// Takes one filter. False: the error is written.
static bool take_filter(struct slice word, struct slice value, struct kill_order *order,
                        struct reply *r) {
    struct client_filter *filter = &order->filter;
    if (argument_is(word, "id")) {
        if (text_to_u64(value, &filter->id) && filter->id > 0 && filter->id <= INT64_MAX)
            return true;
        reply_error(r, SLICE("ERR client-id should be greater than 0"));
        return false;
    }
    if (argument_is(word, "type")) {
        if (parse_type(value, filter)) return true;
        refuse_word(r, "Unknown client type", value);
        return false;
    }
    if (argument_is(word, "user")) {
        if (slice_equal(value, SLICE("default"))) return true;
        refuse_word(r, "No such user", value);
        return false;
    }
    if (argument_is(word, "addr")) {
        filter->address = value;
    } else if (argument_is(word, "laddr")) {
        filter->listener = value;
    } else if (argument_is(word, "skipme") &&
               (argument_is(value, "yes") || argument_is(value, "no"))) {
        order->skips_me = argument_is(value, "yes");
    } else {
        reply_error(r, slice_of_string(syntax_error));
        return false;
    }
    return true;
}

static bool parse_kill(const struct command *c, struct kill_order *order, struct reply *r) {
    *order = (struct kill_order){.skips_me = true};
    if (c->argument_count == 3) {
        order->filter.address = c->arguments[2];
        order->skips_me = false;
        return true;
    }
    for (uint32_t i = 2; i < c->argument_count; i += 2) {
        if (i + 1 == c->argument_count) {
            reply_error(r, slice_of_string(syntax_error));
            return false;
        }
        if (!take_filter(c->arguments[i], c->arguments[i + 1], order, r)) return false;
    }
    return true;
}

void local_client_kill(struct command *c, struct reply *r) {
    struct server *server = c->session->server;
    struct kill_order order;
    if (!parse_kill(c, &order, r)) return;
    int64_t killed = 0;
    for (struct list *at = server->sessions.next; at != &server->sessions; at = at->next) {
        struct session *s = CONTAINER_OF(at, struct session, link);
        if (!is_meant(&order.filter, s) || (order.skips_me && s == c->session)) continue;
        killed++;
        if (s == c->session) {
            s->is_closing = true;
            session_drain(s); // it still gets its reply
        } else {
            session_shut(s);
        }
    }
    if (c->argument_count > 3) {
        reply_integer(r, killed);
    } else if (killed > 0) {
        reply_ok(r);
    } else {
        reply_error(r, SLICE("ERR No such client"));
    }
}

// What a connection wants.

// CLIENT REPLY ON|OFF|SKIP. Nothing behind it has been taken yet, so its word holds from there on.
void local_client_reply(struct command *c, struct reply *r) {
    struct session *s = c->session;
    struct slice word = c->arguments[2];
    if (c->is_within) {
        reply_error(r,
                    SLICE("ERR CLIENT REPLY is not allowed in a transaction: its replies are one "
                          "array"));
    } else if (argument_is(word, "on")) {
        s->is_mute = false;
        c->is_mute = false;
        reply_ok(r);
    } else if (argument_is(word, "off")) {
        s->is_mute = true;
        c->is_mute = true;
    } else if (argument_is(word, "skip")) {
        s->is_skipping = !s->is_mute;
        c->is_mute = true;
    } else {
        reply_error(r, slice_of_string(syntax_error));
    }
}

static void set_switch(struct command *c, bool *is_on, struct reply *r) {
    struct slice word = c->arguments[2];
    if (!argument_is(word, "on") && !argument_is(word, "off")) {
        reply_error(r, slice_of_string(syntax_error));
        return;
    }
    *is_on = argument_is(word, "on");
    reply_ok(r);
}

void local_client_no_evict(struct command *c, struct reply *r) {
    set_switch(c, &c->session->is_kept, r);
}

void local_client_no_touch(struct command *c, struct reply *r) {
    set_switch(c, &c->session->is_traceless, r);
}

// Waiting.

// CLIENT PAUSE ms [WRITE|ALL]
void local_client_pause(struct command *c, struct reply *r) {
    enum pause_kind kind = PAUSE_ALL;
    int64_t ms;
    if (c->argument_count > 4) {
        command_refuse_form(c, r);
        return;
    }
    if (c->argument_count == 4) {
        if (argument_is(c->arguments[3], "write")) {
            kind = PAUSE_WRITES;
        } else if (!argument_is(c->arguments[3], "all")) {
            reply_error(r, SLICE("ERR CLIENT PAUSE mode must be WRITE or ALL"));
            return;
        }
    }
    if (!parse_timeout(c->arguments[2], &ms, r)) return;
    pause_begin(c->session->server, kind, (uint64_t)ms * NS_PER_MS);
    reply_ok(r);
}

void local_client_unpause(struct command *c, struct reply *r) {
    pause_end(c->session->server);
    reply_ok(r);
}

// CLIENT UNBLOCK id [TIMEOUT|ERROR]: no command here waits for another client, so nobody is.
void local_client_unblock(struct command *c, struct reply *r) {
    int64_t id;
    bool has_reason = c->argument_count == 4;
    if (c->argument_count > 4) {
        command_refuse_form(c, r);
    } else if (has_reason && !argument_is(c->arguments[3], "timeout") &&
               !argument_is(c->arguments[3], "error")) {
        reply_error(r, SLICE("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR"));
    } else if (!text_to_i64(c->arguments[2], &id)) {
        reply_error(r, SLICE("ERR value is not an integer or out of range"));
    } else {
        reply_integer(r, 0);
    }
}

// Caches in clients, of which nobody here would tell that they are stale.

void local_client_tracking(struct command *c, struct reply *r) {
    if (argument_is(c->arguments[2], "off") && c->argument_count == 3) {
        reply_ok(r);
    } else if (argument_is(c->arguments[2], "on")) {
        reply_error(r, SLICE("ERR not supported: no node sees all writes of a key, so none can say "
                             "when a cached value is stale"));
    } else {
        reply_error(r, slice_of_string(syntax_error));
    }
}

void local_client_caching(struct command *c, struct reply *r) {
    (void)c;
    reply_error(r,
                SLICE("ERR CLIENT CACHING can be called only when the client is in tracking mode "
                      "with OPTIN or OPTOUT mode enabled"));
}

void local_client_getredir(struct command *c, struct reply *r) {
    (void)c;
    reply_integer(r, -1);
}

void local_client_trackinginfo(struct command *c, struct reply *r) {
    (void)c;
    reply_map(r, 3);
    reply_bulk(r, SLICE("flags"));
    reply_set(r, 1);
    reply_bulk(r, SLICE("off"));
    reply_bulk(r, SLICE("redirect"));
    reply_integer(r, -1);
    reply_bulk(r, SLICE("prefixes"));
    reply_array(r, 0);
}
