// SPDX-License-Identifier: Apache-2.0
//
// handoff_case.h -- for tests of sloppy quorums and hints: five members, and what they keep for
// each other.
#ifndef QUOIT_SIM_HANDOFF_CASE_H
#define QUOIT_SIM_HANDOFF_CASE_H

#include "model/hint.h"
#include "node/node.h"
#include "sim/session_case.h"

enum { MEMBERS = 5, KEYS = 40 };

static inline struct node *node_at(struct site *site, uint32_t member) {
    return cluster_node(&site->cluster, member);
}

static inline const struct map_run *run_of(struct site *site, const char *key) {
    return map_run_of(node_map(node_at(site, 0)), slot_of(slice_of_string(key)));
}

static inline bool has_copy(struct site *site, const char *key, uint32_t member) {
    return map_place_in(run_of(site, key), member) < REPLICATION_DEFAULT;
}

// The next key, from number *next on, that both members have copies of (or not).
static inline void find_key(struct site *site, uint32_t *next, uint32_t a, bool has_a, uint32_t b,
                            bool has_b, char key[16]) {
    do {
        (void)snprintf(key, 16, "key%u", (*next)++);
    } while (has_copy(site, key, a) != has_a || has_copy(site, key, b) != has_b);
}

// Whether purging of the key waits for the member.
static inline bool shares_group(struct site *site, const char *key, uint32_t member) {
    uint32_t first = slot_of(slice_of_string(key)) / GROUP_SLOTS * GROUP_SLOTS;
    const struct map *map = node_map(node_at(site, 1));
    for (uint32_t i = 0; i < GROUP_SLOTS; i++) {
        const struct map_run *run = map_run_of(map, (uint16_t)(first + i));
        if (map_place_in(run, member) < REPLICATION_DEFAULT) return true;
    }
    return false;
}

static inline uint64_t hints(struct site *site) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < site->cluster.options.members; i++) {
        if (node_at(site, i) != NULL) sum += node_hints(node_at(site, i)).key_count;
    }
    return sum;
}

static inline uint64_t handed(struct site *site) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < site->cluster.options.members; i++) {
        if (node_at(site, i) != NULL) sum += node_stats(node_at(site, i)).hints_handed;
    }
    return sum;
}

static inline void wait_until_handed_off(struct site *site) {
    uint64_t until = world_now(site->world) + 60 * NS_PER_SECOND;
    while (world_now(site->world) < until && (!site_is_serving(site) || hints(site) > 0)) {
        site_wait(site, NS_PER_SECOND / 10);
    }
    assert_true(site_is_serving(site));
    assert_int_equal(hints(site), 0);
}

static inline void say(struct site *site, struct talker *t, const char *verb, const char *key,
                       const char *rest, const char *answer) {
    char words[800];
    (void)snprintf(words, sizeof(words), "%s %.15s%s\r\n", verb, key, rest);
    expect_dialogue(site, t, words, answer);
}

// Whether the member, as a replica, has the key.
static inline bool holds(struct site *site, uint32_t member, const char *key) {
    struct store_read read = {.key = slice_of_string(key)};
    read.partition.slot = slot_of(read.key);
    enum status st = store_peek(node_store(node_at(site, member)), &read);
    assert_true(st == ST_OK || st == ST_NOT_FOUND);
    return st == ST_OK;
}

static inline void never_compared(struct node_options *node, struct server_options *server) {
    (void)server;
    node->reconcile_ns = 3600 * NS_PER_SECOND;
}

static inline void small_flushes(struct node_options *node, struct server_options *server) {
    (void)server;
    node->store.flush_size = 16384;
}

static inline const uint8_t *find_words(const uint8_t *bytes, int64_t size, const char *words) {
    int64_t length = (int64_t)strlen(words);
    for (int64_t at = 0; at + length <= size; at++) {
        if (memcmp(bytes + at, words, (size_t)length) == 0) return bytes + at;
    }
    return NULL;
}

// Rots a table of the member's where the words stand. False: they stand in none.
static inline bool rot_at(struct site *site, uint32_t member, const char *words) {
    struct machine *machine = site->cluster.processes[member].machine;
    uint8_t names[8192];
    uint32_t size = machine_durable_names(machine, names, sizeof(names));
    uint8_t *bytes = malloc(1 << 20);
    bool has_rotted = false;
    for (uint32_t at = 0; at < size && !has_rotted;) {
        const char *name = (const char *)names + at;
        at += (uint32_t)strlen(name) + 1;
        if (strncmp(name, "table-", 6) != 0) continue;
        int64_t read = machine_durable_read(machine, name, 0, bytes, 1 << 20);
        const uint8_t *found = find_words(bytes, read, words);
        has_rotted = found != NULL && machine_rot(machine, name, (uint64_t)(found - bytes));
    }
    free(bytes);
    return has_rotted;
}

#endif
