// SPDX-License-Identifier: Apache-2.0
//
// KEYSPACE, and the commands that drop all keys at once: what all members have to agree on.
#include "server/commands.h"

#include "base/text.h"
#include "model/name.h"
#include "server/internal.h"
#include "server/lock.h"

#define KEYSPACE_TTL_MAX ((int64_t)100 * 366 * 24 * 3600 * 1000)

// Changing.

static const char *refusal_of(const struct keyspace_change *change) {
    static const char *const has_keys[] = {
        [KEYSPACE_CREATE] = "HASKEYS there are keys that begin with that name, and they cannot be "
                            "moved yet: delete them first; not done",
        [KEYSPACE_ALTER] =
            "HASKEYS the keyspace has keys, and they cannot be moved yet: only READ, "
            "WRITE, TTL and COMPRESSION can be changed; not done",
        [KEYSPACE_DROP] = "HASKEYS the keyspace has keys, or some that expired and are not yet "
                          "purged: delete them first; not done",
    };
    switch (change->outcome) {
    case KEYSPACE_THERE:
        return "ERR there is a keyspace of that name: KEYSPACE ALTER changes it; not done";
    case KEYSPACE_NOT_THERE:
        return "NOTFOUND there is no keyspace of that name: KEYSPACE LIST shows what there is";
    case KEYSPACE_FULL:
        return "TOOMANY there are as many keyspaces as there can be; not done";
    case KEYSPACE_NO_NUMBER:
        return "TOOMANY this cluster has had all the keyspaces and flushes it can have; not done";
    case KEYSPACE_FLAWED:
        return "ERR a level of the keyspace asks for more copies than a key has; not done";
    case KEYSPACE_COPIES:
        return "ERR REPLICATION is more than `replication` was when the cluster was founded; not "
               "done";
    case KEYSPACE_FIXED:
        return "ERR `default` stays, with its copies and its rule of conflicts; not done";
    case KEYSPACE_CHANGING:
        return "BUSY another change of keyspaces is under way; not done, try again";
    case KEYSPACE_HAS_KEYS:
        return has_keys[change->verb];
    case KEYSPACE_ABSENT:
        return "NOQUORUM a member cannot be reached, and all have to agree; not done";
    case KEYSPACE_SILENT:
        return "NOQUORUM a member did not say in time whether it has such keys; not done, try "
               "again";
    case KEYSPACE_REFUSED:
        return "NOQUORUM this node cannot change the map now; not done, try again";
    case KEYSPACE_UNSURE:
        if (change->verb == KEYSPACE_FLUSH) return "UNKNOWN it may have been done, or be done yet";
        return "UNKNOWN it may have been done, or be done yet: KEYSPACE LIST shows it";
    case KEYSPACE_DONE:
        break;
    }
    unreachable();
}

static void on_changed(struct keyspace_change *change) {
    struct command *c = change->context;
    if (change->outcome == KEYSPACE_DONE) {
        answer_ok(c);
    } else {
        answer_error(c, refusal_of(change));
    }
    change->context = NULL;
}

// One that is free, for this command. NULL: all are under way, and the answer was given.
static struct keyspace_change *take_change(struct command *c, enum keyspace_verb verb) {
    struct server *server = c->session->server;
    for (uint32_t i = 0; i < KEYSPACE_CHANGES_MAX; i++) {
        struct keyspace_change *change = &server->keyspace_changes[i];
        if (change->context != NULL) continue;
        *change = (struct keyspace_change){.verb = verb, .done = on_changed, .context = c};
        return change;
    }
    answer_error(c, "BUSY other changes of keyspaces are under way; not done, try again");
    return NULL;
}

// The name, with or without the ':' that stands behind it in keys.
static struct slice name_of(struct slice argument) {
    bool has_colon = argument.size > 0 && argument.data[argument.size - 1] == ':';
    return (struct slice){argument.data, argument.size - has_colon};
}

static bool parse_name(struct command *c, struct keyspace *wanted) {
    struct slice name = name_of(c->arguments[2]);
    if (!name_is_good(name)) {
        answer_error(c, "ERR the name of a keyspace is 1 to 63 letters, digits, '-', '_' and '.', "
                        "as it stands before the first ':' of keys");
        return false;
    }
    memcpy(wanted->name, name.data, name.size);
    return true;
}

static bool parse_replication(struct command *c, struct slice value, uint32_t *replication) {
    int64_t number;
    if (memchr(value.data, '=', value.size) != NULL) {
        answer_error(c, "ERR copies by data centre need several of them, which this version does "
                        "not have; not done");
        return false;
    }
    if (!parse_integer(c, value, &number)) return false;
    if (number >= 1 && number <= REPLICAS_MAX) {
        *replication = (uint32_t)number;
        return true;
    }
    answer_error(c, "ERR REPLICATION is from 1 to 32");
    return false;
}

static bool parse_conflict(struct command *c, struct slice value,
                           enum keyspace_conflict *conflict) {
    *conflict = argument_is(value, "lww") ? CONFLICT_LWW : CONFLICT_SIBLINGS;
    if (*conflict == CONFLICT_LWW || argument_is(value, "siblings")) return true;
    answer_error(c, "ERR CONFLICT is lww or siblings");
    return false;
}

static bool parse_compression(struct command *c, struct slice value,
                              enum keyspace_compression *compression) {
    for (*compression = COMPRESSION_NONE; *compression <= COMPRESSION_ZSTD; ++*compression) {
        if (argument_is(value, keyspace_compression_text(*compression))) return true;
    }
    answer_error(c, "ERR COMPRESSION is none, lz4 or zstd");
    return false;
}

// At most as long as times can be counted in ms from now on.
static bool parse_ttl(struct command *c, struct slice value, uint64_t *ttl_ms) {
    int64_t number;
    if (!parse_integer(c, value, &number)) return false;
    if (number >= 0 && number <= KEYSPACE_TTL_MAX) {
        *ttl_ms = (uint64_t)number;
        return true;
    }
    answer_error(c, "ERR TTL is in ms, from 0 (values stay) to 100 years");
    return false;
}

static bool parse_field(struct command *c, struct slice word, struct slice value,
                        struct keyspace_change *change) {
    struct keyspace *w = &change->wanted;
    if (argument_is(word, "replication")) {
        change->fields |= KEYSPACE_REPLICATION;
        return parse_replication(c, value, &w->replication);
    }
    if (argument_is(word, "read")) {
        change->fields |= KEYSPACE_READ;
        return parse_level(c, value, &w->read);
    }
    if (argument_is(word, "write")) {
        change->fields |= KEYSPACE_WRITE;
        return parse_level(c, value, &w->write);
    }
    if (argument_is(word, "conflict")) {
        change->fields |= KEYSPACE_CONFLICT;
        return parse_conflict(c, value, &w->conflict);
    }
    if (argument_is(word, "ttl")) {
        change->fields |= KEYSPACE_TTL;
        return parse_ttl(c, value, &w->ttl_ms);
    }
    if (argument_is(word, "compression")) {
        change->fields |= KEYSPACE_COMPRESSION;
        return parse_compression(c, value, &w->compression);
    }
    answer_parse_error(c, PARSE_SYNTAX);
    return false;
}

static bool parse_fields(struct command *c, struct keyspace_change *change) {
    for (uint32_t i = 3; i < c->argument_count; i += 2) {
        if (i + 1 == c->argument_count) {
            answer_parse_error(c, PARSE_SYNTAX);
            return false;
        }
        if (!parse_field(c, c->arguments[i], c->arguments[i + 1], change)) return false;
    }
    return true;
}

static void change_named(struct command *c, enum keyspace_verb verb) {
    struct keyspace_change *change = take_change(c, verb);
    if (change == NULL) return;
    if (!parse_name(c, &change->wanted) || !parse_fields(c, change)) {
        change->context = NULL;
        return;
    }
    node_change_keyspace(c->session->server->node, change);
}

void start_keyspace_create(struct command *c) {
    change_named(c, KEYSPACE_CREATE);
}

void start_keyspace_alter(struct command *c) {
    change_named(c, KEYSPACE_ALTER);
}

void start_keyspace_drop(struct command *c) {
    change_named(c, KEYSPACE_DROP);
}

// FLUSHALL and FLUSHDB [ASYNC | SYNC]: there is one database, and both ways are one. Where there is
// one node it comes between no two steps of another command.

static void on_flush_locked(struct step *step) {
    struct keyspace_change *change = take_change(step->command, KEYSPACE_FLUSH);
    if (change != NULL) node_change_keyspace(step->command->session->server->node, change);
}

void start_flush(struct command *c) {
    if (c->argument_count > 2 ||
        (c->argument_count == 2 && !argument_is(c->arguments[1], "async") &&
         !argument_is(c->arguments[1], "sync"))) {
        answer_parse_error(c, PARSE_SYNTAX);
        return;
    }
    uint64_t all[LOCKS / 64];
    memset(all, 0xff, sizeof(all));
    if (lock_noted(&c->step, all, on_flush_locked)) on_flush_locked(&c->step);
}

// Showing.

static bool is_founding(const struct command *c, struct reply *r) {
    if (node_map(c->session->server->node)->epoch > 0) return false;
    reply_error(r, SLICE("LOADING this node has no map of the cluster yet"));
    return true;
}

void local_keyspace_list(struct command *c, struct reply *r) {
    if (is_founding(c, r)) return;
    const struct map *map = node_map(c->session->server->node);
    reply_array(r, map->keyspace_count);
    for (uint32_t i = 0; i < KEYSPACES_MAX; i++) {
        if (map->keyspaces[i].state == KEYSPACE_FREE) continue;
        reply_bulk_string(r, map->keyspaces[i].name);
    }
}

static void show_level(struct reply *r, const char *what, struct level level) {
    char text[LEVEL_TEXT_SIZE];
    level_text(level, text);
    reply_bulk_string(r, what);
    reply_bulk_string(r, level.kind == LEVEL_UNSET ? "configuration" : text);
}

void local_keyspace_describe(struct command *c, struct reply *r) {
    if (is_founding(c, r)) return;
    const struct map *map = node_map(c->session->server->node);
    uint32_t place = keyspace_find(map->keyspaces, name_of(c->arguments[2]));
    if (place == KEYSPACES_MAX) {
        const struct keyspace_change none = {.outcome = KEYSPACE_NOT_THERE};
        reply_error(r, slice_of_string(refusal_of(&none)));
        return;
    }
    const struct keyspace *k = &map->keyspaces[place];
    reply_map(r, 8);
    reply_bulk(r, SLICE("name"));
    reply_bulk_string(r, k->name);
    reply_bulk(r, SLICE("state"));
    reply_bulk_string(r, keyspace_state_text(k->state));
    reply_bulk(r, SLICE("replication"));
    reply_integer(r, k->replication);
    show_level(r, "read", k->read);
    show_level(r, "write", k->write);
    reply_bulk(r, SLICE("conflict"));
    reply_bulk_string(r, keyspace_conflict_text(k->conflict));
    reply_bulk(r, SLICE("ttl"));
    reply_integer(r, (int64_t)k->ttl_ms);
    reply_bulk(r, SLICE("compression"));
    reply_bulk_string(r, keyspace_compression_text(k->compression));
}
