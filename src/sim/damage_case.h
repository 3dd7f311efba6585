// SPDX-License-Identifier: Apache-2.0
//
// damage_case.h -- for tests of members whose data is damaged: keys of which something is written
// and deleted, tables that rot, and records that are put into single stores.
#ifndef QUOIT_SIM_DAMAGE_CASE_H
#define QUOIT_SIM_DAMAGE_CASE_H

#include "node/node.h"
#include "sim/session_case.h"

// Tables early, and nothing kept for who is away: it is to be found out by comparing.
static inline void small_flushes(struct node_options *node, struct server_options *server) {
    (void)server;
    node->store.flush_size = 16384;
    node->hints_max = 0;
}

// What a client says of a key, between VERB and REST, and hears.
struct saying {
    const char *verb;
    const char *rest;
    const char *answer;
};

static const struct saying saying_set = {"SET", " value", "+OK\r\n"};
static const struct saying saying_delete = {"DEL", "", ":1\r\n"};

// Says it of so many keys, from PREFIX`first` on.
static inline void say_of_keys(struct site *site, struct talker *t, const struct saying *saying,
                               const char *prefix, uint32_t first, uint32_t count) {
    enum { BATCH = 40 };
    char *words = malloc(WORDS_MAX);
    char *answers = malloc(WORDS_MAX);
    for (uint32_t i = 0; i < count; i += BATCH) {
        words[0] = answers[0] = '\0';
        for (uint32_t j = i; j < count && j < i + BATCH; j++) {
            words_add(words, "%s %s%u%s\r\n", saying->verb, prefix, first + j, saying->rest);
            words_add(answers, "%s", saying->answer);
        }
        expect_dialogue(site, t, words, answers);
    }
    free(answers);
    free(words);
}

static inline void write_keys(struct site *site, struct talker *t, const char *prefix,
                              uint32_t first, uint32_t count) {
    say_of_keys(site, t, &saying_set, prefix, first, count);
}

static inline void delete_keys(struct site *site, struct talker *t, const char *prefix,
                               uint32_t first, uint32_t count) {
    say_of_keys(site, t, &saying_delete, prefix, first, count);
}

static inline uint64_t keys_of(const struct site *site, uint32_t member) {
    const struct node *node = cluster_node(&site->cluster, member);
    return node == NULL ? 0 : node_store_stats(node).key_count;
}

// The next table on the disk, from *at on in the names; NULL after the last.
static inline const char *next_table(const uint8_t *names, uint32_t size, uint32_t *at) {
    while (*at < size) {
        const char *name = (const char *)names + *at;
        *at += (uint32_t)strlen(name) + 1;
        if (strncmp(name, "table-", 6) == 0) return name;
    }
    return NULL;
}

// Here and there, so that it is found when it is read.
static inline void rot_tables(struct machine *machine) {
    uint8_t names[8192];
    uint32_t size = machine_durable_names(machine, names, sizeof(names));
    uint32_t at = 0;
    const char *name;
    while ((name = next_table(names, size, &at)) != NULL) (void)machine_rot(machine, name, 100);
}

static inline enum member_state state_at(const struct site *site, uint32_t member) {
    return node_member(cluster_node(&site->cluster, member), member)->state;
}

// A record that nobody has heard of but those whose stores it is put into.
struct planted {
    struct store_write write;
    uint8_t bytes[128];
    uint32_t size;
    bool is_done;
};

static inline enum status plant_record(struct store_write *write, struct slice old,
                                       struct slice *new) {
    struct planted *p = CONTAINER_OF(write, struct planted, write);
    (void)old;
    *new = (struct slice){p->bytes, p->size};
    return ST_OK;
}

static inline void on_planted(struct store_write *write) {
    CONTAINER_OF(write, struct planted, write)->is_done = true;
}

// Puts it where the key belongs; durable when this returns.
static inline void plant(struct site *site, uint32_t member, const char *key,
                         const struct sibling *sibling) {
    static struct planted p;
    static struct record r;
    p = (struct planted){.write = {.apply = plant_record, .done = on_planted}};
    p.write.key = slice_of_string(key);
    p.write.partition.slot = slot_of(p.write.key);
    record_clear(&r);
    assert_int_equal(context_add(&r.context, sibling->dot), ST_OK);
    r.siblings[r.sibling_count++] = *sibling;
    struct writer w = writer_to(p.bytes, sizeof(p.bytes));
    record_encode(&r, &w);
    p.size = (uint32_t)w.size;
    struct machine *machine = site->cluster.processes[member].machine;
    machine_enter(machine);
    store_put(node_store(cluster_node(&site->cluster, member)), &p.write);
    machine_leave(machine);
    uint64_t until = world_now(site->world) + NS_PER_SECOND;
    while (!p.is_done) assert_true(world_step(site->world, until));
}

// A value by that author, of before anything that a client has written.
static inline void plant_value(struct site *site, uint32_t member, const char *key,
                               uint64_t author) {
    const struct sibling value = {
        .dot = {{author, 1}, 1}, .timestamp = 1, .value = SLICE("planted")};
    plant(site, member, key, &value);
}

struct sought {
    struct store_read read;
    uint32_t count; // of values, tombstones among them
    bool is_done;
};

static inline void on_sought(struct store_read *read) {
    static struct record r;
    struct sought *sought = CONTAINER_OF(read, struct sought, read);
    sought->is_done = true;
    if (read->status == ST_NOT_FOUND) return;
    assert_int_equal(read->status, ST_OK);
    assert_int_equal(record_decode(&r, read->record), ST_OK);
    sought->count = r.sibling_count;
}

// How many values the member holds of the key as a replica.
static inline uint32_t values_at(const struct site *site, uint32_t member, const char *key) {
    static struct sought sought;
    struct machine *machine = site->cluster.processes[member].machine;
    sought = (struct sought){.read = {.done = on_sought, .key = slice_of_string(key)}};
    sought.read.partition.slot = slot_of(sought.read.key);
    machine_enter(machine);
    if (store_get(node_store(cluster_node(&site->cluster, member)), &sought.read)) {
        on_sought(&sought.read);
    }
    machine_leave(machine);
    uint64_t until = world_now(site->world) + NS_PER_SECOND;
    while (!sought.is_done) assert_true(world_step(site->world, until));
    return sought.count;
}

#endif
