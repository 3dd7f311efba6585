// SPDX-License-Identifier: Apache-2.0
//
// COMMAND: the table, told to clients in the form they know from Redis 7.0.
#include "server/commands.h"

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

static const char *category_of(enum command_group group) {
    switch (group) {
    case GROUP_CONNECTION:
        return "@connection";
    case GROUP_STRING:
        return "@string";
    case GROUP_GENERIC:
        return "@keyspace";
    case GROUP_SERVER:
    case GROUP_CLUSTER:
        return "@admin";
    }
    unreachable();
}

static void write_categories(const struct command_spec *spec, struct reply *r) {
    bool is_data = (spec->flags & (COMMAND_READ | COMMAND_WRITE)) != 0;
    reply_array(r, is_data ? 3 : 2);
    reply_simple(r, slice_of_string(category_of(spec->group)));
    if (is_data) {
        bool is_write = (spec->flags & COMMAND_WRITE) != 0;
        reply_simple(r, is_write ? SLICE("@write") : SLICE("@read"));
    }
    bool is_fast = (spec->flags & COMMAND_FAST) != 0;
    reply_simple(r, is_fast ? SLICE("@fast") : SLICE("@slow"));
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
            reply_null_array(r);
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

void local_command_list(struct command *c, struct reply *r) {
    (void)c;
    reply_array(r, top_level_count());
    for (uint32_t i = 0; i < command_table_count; i++) {
        if (!is_sub(&command_table[i])) reply_bulk_string(r, command_table[i].name);
    }
}

void local_command_getkeys(struct command *c, struct reply *r) {
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
    for (uint32_t i = spec->first_key; i <= last; i += spec->key_step) {
        reply_bulk(r, arguments[i]);
        found++;
    }
    reply_array_before(r, mark, found);
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
