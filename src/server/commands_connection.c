// SPDX-License-Identifier: Apache-2.0
#include "server/commands.h"

#include "base/hash.h"
#include "base/text.h"

#include <inttypes.h>

void local_ok(struct command *c, struct reply *r) {
    (void)c;
    reply_ok(r);
}

void local_ping(struct command *c, struct reply *r) {
    if (c->argument_count > 2) {
        reply_error(r, SLICE("ERR wrong number of arguments for 'ping' command"));
    } else if (c->argument_count == 2) {
        reply_bulk(r, c->arguments[1]);
    } else {
        reply_simple(r, SLICE("PONG"));
    }
}

void local_echo(struct command *c, struct reply *r) {
    reply_bulk(r, c->arguments[1]);
}

void local_select(struct command *c, struct reply *r) {
    int64_t index;
    if (!text_to_i64(c->arguments[1], &index)) {
        reply_error(r, SLICE("ERR value is not an integer or out of range"));
    } else if (index != 0) {
        reply_error(r, SLICE("ERR DB index is out of range"));
    } else {
        reply_ok(r);
    }
}

void local_quit(struct command *c, struct reply *r) {
    reply_ok(r);
    c->session->is_closing = true;
    session_drain(c->session);
}

void local_reset(struct command *c, struct reply *r) {
    session_reset(c->session);
    c->is_mute = false;
    reply_simple(r, SLICE("RESET"));
}

// Who it is.

static bool password_is(const struct server *server, struct slice word) {
    // Compares MACs, whose sizes and differences tell nothing about the password.
    const struct mac_key *key = &node_options(server->node)->secret;
    struct mac a = mac_of(key, word);
    struct mac b = mac_of(key, slice_of_string(server->options.password));
    return mac_equal(&a, &b);
}

static bool log_in(struct session *s, struct slice user, struct slice word) {
    const struct server *server = s->server;
    bool is_known = slice_equal(user, SLICE("default"));
    if (server->options.password != NULL && (!password_is(server, word) || !is_known)) return false;
    if (!is_known) return false;
    s->is_stranger = false;
    return true;
}

static const char wrong_password[] =
    "WRONGPASS invalid username-password pair or user is disabled.";

void local_auth(struct command *c, struct reply *r) {
    struct session *s = c->session;
    if (c->argument_count > 3) {
        reply_error(r, SLICE("ERR syntax error"));
        return;
    }
    if (c->argument_count == 2 && s->server->options.password == NULL) {
        reply_error(r, SLICE("ERR AUTH <password> called without any password configured for the "
                             "default user. Are you sure your configuration is correct?"));
        return;
    }
    struct slice user = c->argument_count == 3 ? c->arguments[1] : SLICE("default");
    if (log_in(s, user, c->arguments[c->argument_count - 1])) {
        reply_ok(r);
    } else {
        reply_error(r, slice_of_string(wrong_password));
    }
}

// Names.

static bool is_name(struct slice name) {
    for (size_t i = 0; i < name.size; i++) {
        if (name.data[i] < '!' || name.data[i] > '~') return false;
    }
    return true;
}

static void copy_name(char *to, struct slice name) {
    memcpy(to, name.data, name.size);
    to[name.size] = '\0';
}

static const char bad_name[] =
    "ERR Client names cannot contain spaces, newlines or special characters.";

// Writes the error and returns false when it is no name that a client can have.
static bool set_name(struct session *s, struct slice name, struct reply *r) {
    if (!is_name(name)) {
        reply_error(r, slice_of_string(bad_name));
        return false;
    }
    if (name.size > CLIENT_NAME_MAX) {
        reply_errorf(r, "ERR a client name has at most %d bytes", CLIENT_NAME_MAX);
        return false;
    }
    copy_name(s->name, name);
    return true;
}

void local_client_id(struct command *c, struct reply *r) {
    reply_integer(r, (int64_t)c->session->id);
}

void local_client_getname(struct command *c, struct reply *r) {
    if (c->session->name[0] == '\0') {
        reply_null(r);
    } else {
        reply_bulk_string(r, c->session->name);
    }
}

void local_client_setname(struct command *c, struct reply *r) {
    if (set_name(c->session, c->arguments[2], r)) reply_ok(r);
}

void local_client_setinfo(struct command *c, struct reply *r) {
    struct session *s = c->session;
    struct slice value = c->arguments[3];
    char *to = NULL;
    if (argument_is(c->arguments[2], "lib-name")) to = s->library;
    if (argument_is(c->arguments[2], "lib-ver")) to = s->library_version;
    if (to == NULL) {
        reply_error(r, SLICE("ERR Unrecognized option for CLIENT SETINFO"));
    } else if (!is_name(value)) {
        reply_error(r, SLICE("ERR a library's name and version cannot contain spaces, newlines or "
                             "special characters"));
    } else {
        if (value.size > LIBRARY_NAME_MAX) value.size = LIBRARY_NAME_MAX;
        copy_name(to, value);
        reply_ok(r);
    }
}

// HELLO [protocol [AUTH user password] [SETNAME name]]

static void introduce(const struct session *s, struct reply *r) {
    reply_map(r, 7);
    reply_bulk(r, SLICE("server"));
    reply_bulk(r, SLICE("redis"));
    reply_bulk(r, SLICE("version"));
    reply_bulk(r, SLICE(REDIS_VERSION));
    reply_bulk(r, SLICE("proto"));
    reply_integer(r, s->protocol);
    reply_bulk(r, SLICE("id"));
    reply_integer(r, (int64_t)s->id);
    reply_bulk(r, SLICE("mode"));
    reply_bulk(r, SLICE("cluster"));
    reply_bulk(r, SLICE("role"));
    reply_bulk(r, SLICE("master"));
    reply_bulk(r, SLICE("modules"));
    reply_array(r, 0);
}

// Writes the error and returns false when an option is wrong.
static bool take_hello_options(struct command *c, struct reply *r) {
    struct session *s = c->session;
    uint32_t at = 2;
    while (at < c->argument_count) {
        struct slice word = c->arguments[at];
        uint32_t left = c->argument_count - at - 1;
        if (argument_is(word, "auth") && left >= 2) {
            if (!log_in(s, c->arguments[at + 1], c->arguments[at + 2])) {
                reply_error(r, slice_of_string(wrong_password));
                return false;
            }
            at += 3;
        } else if (argument_is(word, "setname") && left >= 1) {
            if (!set_name(s, c->arguments[at + 1], r)) return false;
            at += 2;
        } else {
            reply_errorf(r, "ERR Syntax error in HELLO option '%.*s'",
                         (int)(word.size < 128 ? word.size : 128), (const char *)word.data);
            return false;
        }
    }
    return true;
}

void local_hello(struct command *c, struct reply *r) {
    struct session *s = c->session;
    int64_t protocol = s->protocol;
    if (c->argument_count > 1) {
        if (!text_to_i64(c->arguments[1], &protocol)) {
            reply_error(r, SLICE("ERR Protocol version is not an integer or out of range"));
            return;
        }
        if (protocol != 2 && protocol != 3) {
            reply_error(r, SLICE("NOPROTO unsupported protocol version"));
            return;
        }
    }
    if (!take_hello_options(c, r)) return;
    if (s->is_stranger) {
        reply_error(r, SLICE("NOAUTH HELLO must be called with the client already authenticated, "
                             "otherwise the HELLO <proto> AUTH <user> <pass> option can be used to "
                             "authenticate the client and select the RESP protocol version at the "
                             "same time"));
        return;
    }
    s->protocol = (uint8_t)protocol;
    r->protocol = s->protocol;
    introduce(s, r);
}

// WAIT replicas ms: of the writes of this connection since its last WAIT, how many copies beside
// one the worst has, so far as its coordinator had heard when it answered. That is what the level
// of the write asked for, or more; nothing is waited for beyond it.

static uint32_t others_up(const struct node *node) {
    const struct map *map = node_map(node);
    uint32_t up = 0;
    for (uint32_t i = 0; map->epoch > 0 && i < map->runs[0].replica_count; i++) {
        up += node_member_is_up(node, map->runs[0].replicas[i].member);
    }
    return up > 0 ? up - 1 : 0;
}

void local_wait(struct command *c, struct reply *r) {
    struct session *s = c->session;
    int64_t number;
    if (!text_to_i64(c->arguments[1], &number)) {
        reply_error(r, SLICE("ERR value is not an integer or out of range"));
        return;
    }
    if (!parse_timeout(c->arguments[2], &number, r)) return;
    s->has_written = false;
    if (!s->has_ever_written) {
        reply_integer(r, others_up(s->server->node));
    } else {
        reply_integer(r, s->copies > 0 ? s->copies - 1 : 0);
    }
}
