// SPDX-License-Identifier: Apache-2.0
//
// stand_in_case.h -- for tests of what is written while no replica can be reached: keys of which
// the first two members have no copies, and the others, which are away for a while.
#ifndef QUOIT_SIM_STAND_IN_CASE_H
#define QUOIT_SIM_STAND_IN_CASE_H

#include "sim/handoff_case.h"

enum { FEW = 5 };

// Keys that neither 0 nor 1 has a copy of; and, with `is_far`, of whose group neither has any.
static inline void find_keys(struct site *site, bool is_far, char keys[FEW][16]) {
    uint32_t next = 0;
    for (uint32_t i = 0; i < FEW; i++) {
        do {
            find_key(site, &next, 0, false, 1, false, keys[i]);
        } while (is_far && (shares_group(site, keys[i], 0) || shares_group(site, keys[i], 1)));
    }
}

static inline void kill_replicas(struct site *site) {
    for (uint32_t i = 2; i < MEMBERS; i++) cluster_kill(&site->cluster, i);
    site_wait(site, 20 * NS_PER_SECOND);
}

static inline void start_replicas(struct site *site) {
    for (uint32_t i = 2; i < MEMBERS; i++) cluster_start(&site->cluster, i);
}

static inline struct talker *sloppy_talker(struct site *site, uint32_t member) {
    struct talker *t = site_talker(site, member, false);
    expect_dialogue(site, t, "CONSISTENCY READ SLOPPY WRITE SLOPPY\r\n", "+OK\r\n");
    return t;
}

static inline void every(struct site *site, struct talker *t, const char *verb, char keys[FEW][16],
                         const char *rest, const char *answer) {
    for (uint32_t i = 0; i < FEW; i++) say(site, t, verb, keys[i], rest, answer);
}

static inline void expect_everywhere(struct site *site, char keys[FEW][16], const char *answer) {
    for (uint32_t i = 0; i < MEMBERS; i++) {
        struct talker *t = site_talker(site, i, false);
        expect_dialogue(site, t, "CONSISTENCY READ ALL\r\n", "+OK\r\n");
        every(site, t, "GET", keys, "", answer);
    }
}

static inline void put_beside(struct site *site, struct talker *t, const char *key,
                              const char *value) {
    char words[128];
    (void)snprintf(words, sizeof(words), "KV.PUT %s %s\r\n", key, value);
    expect_part(answer_to(site, t, words), "context");
}

static inline void expect_both(struct site *site, const char *key, const char *one,
                               const char *two) {
    struct talker *t = site_talker(site, 2, false);
    char words[128];
    (void)snprintf(words, sizeof(words), "KV.GET %s R ALL\r\n", key);
    (void)answer_to(site, t, words);
    expect_part((char *)t->heard, one);
    expect_part((char *)t->heard, two);
}

#endif
