// SPDX-License-Identifier: Apache-2.0
//
// COMMAND: the table, told to clients in the form they know from Redis 7.0.
#include "server/commands.h"

#include "base/glob.h"
#include "base/text.h"

static bool is_sub(const struct command_spec *spec) {
    return memchr(spec->name, '|', strlen(spec->name)) != NULL;
}

static uint32_t top_level_count(void) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < command_table_count; i++) count += !is_sub(&command_table[i]);
    return count;
}

static bool is_sub_of(const struct command_spec *spec, const struct command_spec *parent) {
    size_t size = strlen(parent->name);
    return strlen(spec->name) > size && memcmp(spec->name, parent->name, size) == 0 &&
           spec->name[size] == '|';
}

static uint64_t sub_count(const struct command_spec *parent) {
    uint64_t count = 0;
    for (uint32_t i = 0; i < command_table_count; i++)
        count += is_sub_of(&command_table[i], parent);
    return count;
}

struct flag_name {
    uint32_t flag;
    const char *name;
};

static const struct flag_name flag_names[] = {
    {COMMAND_WRITE, "write"}, {COMMAND_READ, "readonly"},   {COMMAND_DENY_OOM, "denyoom"},
    {COMMAND_ADMIN, "admin"}, {COMMAND_NO_AUTH, "no_auth"}, {COMMAND_FAST, "fast"},
};

static void write_flags(const struct command_spec *spec, struct reply *r) {
    size_t mark = r->size;
    uint64_t count = 0;
    for (size_t i = 0; i < sizeof(flag_names) / sizeof(flag_names[0]); i++) {
        if ((spec->flags & flag_names[i].flag) == 0) continue;
        reply_simple(r, slice_of_string(flag_names[i].name));
        count++;
    }
    if (spec->local != NULL) {
        reply_simple(r, SLICE("loading"));
        reply_simple(r, SLICE("stale"));
        count += 2;
    }
    reply_array_before(r, mark, count);
}

static const char *const categories[COMMAND_CATEGORIES] = {
    [CATEGORY_KEYSPACE] = "@keyspace",
    [CATEGORY_READ] = "@read",
    [CATEGORY_WRITE] = "@write",
    [CATEGORY_STRING] = "@string",
    [CATEGORY_ADMIN] = "@admin",
    [CATEGORY_FAST] = "@fast",
    [CATEGORY_SLOW] = "@slow",
    [CATEGORY_DANGEROUS] = "@dangerous",
    [CATEGORY_CONNECTION] = "@connection",
    [CATEGORY_TRANSACTION] = "@transaction",
};

const char *command_category_name(enum command_category category) {
    return categories[category] + 1;
}

uint32_t command_category_find(struct slice name) {
    for (uint32_t i = 0; i < COMMAND_CATEGORIES; i++) {
        if (argument_is(name, categories[i] + 1)) return 1u << i;
    }
    return 0;
}

uint32_t command_categories(const struct command_spec *spec) {
    uint32_t of = 1u << ((spec->flags & COMMAND_FAST) != 0 ? CATEGORY_FAST : CATEGORY_SLOW);
    if ((spec->flags & COMMAND_READ) != 0) of |= 1u << CATEGORY_READ;
    if ((spec->flags & COMMAND_WRITE) != 0) of |= 1u << CATEGORY_WRITE;
    if ((spec->flags & COMMAND_ADMIN) != 0) of |= 1u << CATEGORY_ADMIN | 1u << CATEGORY_DANGEROUS;
    if (spec->group == GROUP_CONNECTION) of |= 1u << CATEGORY_CONNECTION;
    if (spec->group == GROUP_STRING) of |= 1u << CATEGORY_STRING;
    if (spec->group == GROUP_GENERIC) of |= 1u << CATEGORY_KEYSPACE;
    if (spec->group == GROUP_TRANSACTIONS) of |= 1u << CATEGORY_TRANSACTION;
    return of;
}

static void write_categories(const struct command_spec *spec, struct reply *r) {
    uint32_t of = command_categories(spec);
    size_t mark = r->size;
    uint64_t count = 0;
    for (uint32_t i = 0; i < COMMAND_CATEGORIES; i++) {
        if ((of >> i & 1) == 0) continue;
        reply_simple(r, slice_of_string(categories[i]));
        count++;
    }
    reply_array_before(r, mark, count);
}

// name, arity, flags, first key, last key, step, categories, tips, key specifications, subcommands
static void write_entry(const struct command_spec *spec, struct reply *r) {
    reply_array(r, 10);
    reply_bulk_string(r, spec->name);
    reply_integer(r, spec->arity);
    write_flags(spec, r);
    reply_integer(r, spec->first_key);
    reply_integer(r, spec->last_key);
    reply_integer(r, spec->key_step);
    write_categories(spec, r);
    reply_array(r, 0);
    reply_array(r, 0);
    if (is_sub(spec)) {
        reply_array(r, 0);
        return;
    }
    reply_array(r, sub_count(spec));
    for (uint32_t i = 0; i < command_table_count; i++) {
        if (is_sub_of(&command_table[i], spec)) write_entry(&command_table[i], r);
    }
}

void local_command(struct command *c, struct reply *r) {
    (void)c;
    reply_array(r, top_level_count());
    for (uint32_t i = 0; i < command_table_count; i++) {
        if (!is_sub(&command_table[i])) write_entry(&command_table[i], r);
    }
}

void local_command_count(struct command *c, struct reply *r) {
    (void)c;
    reply_integer(r, top_level_count());
}

// The entry that a client means by "get" or "cluster|slots".
static const struct command_spec *find_named(const struct command *c, struct slice name) {
    const struct command_index *index = &c->session->server->index;
    const uint8_t *bar = name.size == 0 ? NULL : memchr(name.data, '|', name.size);
    if (bar == NULL) return command_find(index, name);
    struct slice parent = {name.data, (size_t)(bar - name.data)};
    return command_find_sub(index, parent, slice_skip(name, parent.size + 1));
}

void local_command_info(struct command *c, struct reply *r) {
    if (c->argument_count == 2) {
        local_command(c, r);
        return;
    }
    reply_array(r, c->argument_count - 2);
    for (uint32_t i = 2; i < c->argument_count; i++) {
        const struct command_spec *spec = find_named(c, c->arguments[i]);
        if (spec == NULL) {
            reply_null(r);
        } else {
            write_entry(spec, r);
        }
    }
}

static const char *group_text(enum command_group group) {
    switch (group) {
    case GROUP_CONNECTION:
        return "connection";
    case GROUP_STRING:
        return "string";
    case GROUP_GENERIC:
        return "generic";
    case GROUP_SERVER:
        return "server";
    case GROUP_CLUSTER:
        return "cluster";
    case GROUP_TRANSACTIONS:
        return "transactions";
    }
    unreachable();
}

static void write_docs(const struct command_spec *spec, struct reply *r) {
    uint64_t subs = is_sub(spec) ? 0 : sub_count(spec);
    reply_bulk_string(r, spec->name);
    reply_map(r, subs > 0 ? 4 : 3);
    reply_bulk(r, SLICE("summary"));
    reply_bulk_string(r, spec->summary);
    reply_bulk(r, SLICE("since"));
    reply_bulk(r, SLICE("1.0.0"));
    reply_bulk(r, SLICE("group"));
    reply_bulk_string(r, group_text(spec->group));
    if (subs == 0) return;
    reply_bulk(r, SLICE("subcommands"));
    reply_map(r, subs);
    for (uint32_t i = 0; i < command_table_count; i++) {
        if (is_sub_of(&command_table[i], spec)) write_docs(&command_table[i], r);
    }
}

void local_command_docs(struct command *c, struct reply *r) {
    if (c->argument_count == 2) {
        reply_map(r, top_level_count());
        for (uint32_t i = 0; i < command_table_count; i++) {
            if (!is_sub(&command_table[i])) write_docs(&command_table[i], r);
        }
        return;
    }
    uint64_t found = 0;
    for (uint32_t i = 2; i < c->argument_count; i++) {
        found += find_named(c, c->arguments[i]) != NULL;
    }
    reply_map(r, found);
    for (uint32_t i = 2; i < c->argument_count; i++) {
        const struct command_spec *spec = find_named(c, c->arguments[i]);
        if (spec != NULL) write_docs(spec, r);
    }
}

enum list_filter { LIST_ALL, LIST_MODULE, LIST_CATEGORY, LIST_PATTERN };

static bool is_listed(const struct command_spec *spec, enum list_filter filter, struct slice word) {
    uint64_t steps = GLOB_STEPS_MAX;
    switch (filter) {
    case LIST_ALL:
        return true;
    case LIST_MODULE: // there are no modules
        return false;
    case LIST_CATEGORY:
        return (command_categories(spec) & command_category_find(word)) != 0;
    case LIST_PATTERN:
        return glob_match(word, slice_of_string(spec->name), &steps);
    }
    unreachable();
}

// COMMAND LIST [FILTERBY MODULE name|ACLCAT category|PATTERN pattern]
void local_command_list(struct command *c, struct reply *r) {
    enum list_filter filter = LIST_ALL;
    struct slice word = {0};
    if (c->argument_count == 5 && argument_is(c->arguments[2], "filterby")) {
        if (argument_is(c->arguments[3], "module")) filter = LIST_MODULE;
        if (argument_is(c->arguments[3], "aclcat")) filter = LIST_CATEGORY;
        if (argument_is(c->arguments[3], "pattern")) filter = LIST_PATTERN;
        word = c->arguments[4];
    }
    if (c->argument_count > 2 && filter == LIST_ALL) {
        reply_error(r, SLICE("ERR syntax error"));
        return;
    }
    size_t mark = r->size;
    uint64_t count = 0;
    for (uint32_t i = 0; i < command_table_count; i++) {
        if (!is_listed(&command_table[i], filter, word)) continue;
        reply_bulk_string(r, command_table[i].name);
        count++;
    }
    reply_array_before(r, mark, count);
}

// What a command does with its keys, where it is not RO and access for one that reads, and OW and
// update for one that writes.
struct key_use {
    const char *name;
    const char *access;
    const char *does[2]; // the second may be NULL, or both
};

static const struct key_use key_uses[] = {
    {"strlen", "RO", {NULL, NULL}},          {"exists", "RO", {NULL, NULL}},
    {"touch", "RO", {NULL, NULL}},           {"type", "RO", {NULL, NULL}},
    {"object|encoding", "RO", {NULL, NULL}}, {"memory|usage", "RO", {NULL, NULL}},
    {"setnx", "OW", {"insert", NULL}},       {"append", "RW", {"insert", NULL}},
    {"getset", "RW", {"access", "update"}},  {"getex", "RW", {"access", "update"}},
    {"incr", "RW", {"access", "update"}},    {"decr", "RW", {"access", "update"}},
    {"incrby", "RW", {"access", "update"}},  {"decrby", "RW", {"access", "update"}},
    {"getdel", "RW", {"access", "delete"}},  {"setrange", "RW", {"update", NULL}},
    {"expire", "RW", {"update", NULL}},      {"pexpire", "RW", {"update", NULL}},
    {"expireat", "RW", {"update", NULL}},    {"pexpireat", "RW", {"update", NULL}},
    {"persist", "RW", {"update", NULL}},     {"del", "RM", {"delete", NULL}},
    {"unlink", "RM", {"delete", NULL}},      {"kv.del", "RM", {"delete", NULL}},
    {"setbit", "RW", {"access", "update"}},  {"bitfield", "RW", {"access", "update"}},
    {"msetnx", "OW", {"insert", NULL}},      {"incrbyfloat", "RW", {"access", "update"}},
    {"rename", "RW", {"access", "update"}},  {"renamenx", "RW", {"access", "update"}},
    {"copy", "RW", {"access", "update"}},    {"bitop", "RW", {"access", "update"}},
    {"object|freq", "RO", {NULL, NULL}},     {"object|idletime", "RO", {NULL, NULL}},
    {"object|refcount", "RO", {NULL, NULL}},
};

static struct key_use use_of(const struct command_spec *spec, bool is_get) {
    for (size_t i = 0; i < sizeof(key_uses) / sizeof(key_uses[0]); i++) {
        if (strcmp(key_uses[i].name, spec->name) == 0) return key_uses[i];
    }
    if (is_get) return (struct key_use){NULL, "RW", {"access", "update"}};
    if ((spec->flags & COMMAND_READ) != 0) return (struct key_use){NULL, "RO", {"access", NULL}};
    return (struct key_use){NULL, "OW", {"update", NULL}};
}

static void write_use(const struct key_use *use, struct reply *r) {
    reply_set(r, 1u + (use->does[0] != NULL) + (use->does[1] != NULL));
    reply_simple(r, slice_of_string(use->access));
    for (int i = 0; i < 2; i++) {
        if (use->does[i] != NULL) reply_simple(r, slice_of_string(use->does[i]));
    }
}

static void write_keys(struct command *c, bool with_flags, struct reply *r) {
    const struct command_index *index = &c->session->server->index;
    const struct slice *arguments = c->arguments + 2;
    uint32_t count = c->argument_count - 2;
    const struct command_spec *spec = command_find(index, arguments[0]);
    if (spec != NULL && (spec->flags & COMMAND_CONTAINER) != 0 && count > 1) {
        spec = command_find_sub(index, arguments[0], arguments[1]);
    }
    if (spec == NULL) {
        reply_error(r, SLICE("ERR Invalid command specified"));
        return;
    }
    uint32_t arity = (uint32_t)(spec->arity < 0 ? -spec->arity : spec->arity);
    if (spec->arity < 0 ? count < arity : count != arity) {
        reply_error(r, SLICE("ERR Invalid number of arguments specified for command"));
        return;
    }
    if (spec->first_key == 0) {
        reply_error(r, SLICE("ERR The command has no key arguments"));
        return;
    }
    uint32_t last = command_last_key(spec, count);
    size_t mark = r->size;
    uint64_t found = 0;
    bool is_get = false;
    for (uint32_t i = 3; i < count && strcmp(spec->name, "set") == 0; i++) {
        is_get |= argument_is(arguments[i], "get");
    }
    struct key_use use = use_of(spec, is_get);
    for (uint32_t i = spec->first_key; i <= last; i += spec->key_step) {
        if (with_flags) reply_array(r, 2);
        reply_bulk(r, arguments[i]);
        if (with_flags) write_use(&use, r);
        found++;
    }
    reply_array_before(r, mark, found);
}

void local_command_getkeys(struct command *c, struct reply *r) {
    write_keys(c, false, r);
}

void local_command_getkeysandflags(struct command *c, struct reply *r) {
    write_keys(c, true, r);
}

// HELP of a container: its subcommands.
void local_help(struct command *c, struct reply *r) {
    const struct command_spec *parent = command_find(&c->session->server->index, c->arguments[0]);
    must(parent != NULL);
    size_t mark = r->size;
    uint64_t lines = 0;
    for (uint32_t i = 0; i < command_table_count; i++) {
        const struct command_spec *spec = &command_table[i];
        if (!is_sub_of(spec, parent)) continue;
        char memory[256];
        struct text line = text_over(memory, sizeof(memory));
        text_string(&line, spec->name + strlen(parent->name) + 1);
        if (spec->arguments[0] != '\0') text_printf(&line, " %s", spec->arguments);
        text_printf(&line, " -- %s", spec->summary);
        reply_simple(r, text_slice(&line));
        lines++;
    }
    reply_array_before(r, mark, lines);
}
