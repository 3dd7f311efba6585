// SPDX-License-Identifier: Apache-2.0
#include "bin/cli_verify.h"

#include "base/hash.h"
#include "base/must.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

static bool is_pair(const redisReply *reply, size_t at, const char *name, int type) {
    const redisReply *key = reply->element[at];
    return key->type == REDIS_REPLY_STRING && strcmp(key->str, name) == 0 &&
           reply->element[at + 1]->type == type;
}

// The place of a keyspace in our table, or KEYSPACES_MAX where there is no more room.
static uint32_t place_of(struct verify *v, const char *name) {
    for (uint32_t i = 0; i < v->keyspace_count; i++) {
        if (strcmp(v->keyspaces[i], name) == 0) return i;
    }
    if (v->keyspace_count == KEYSPACES_MAX) return KEYSPACES_MAX;
    snprintf(v->keyspaces[v->keyspace_count], NAME_SIZE_MAX + 1, "%s", name);
    return (uint32_t)v->keyspace_count++;
}

// Notes a copy: [slot, digest, records].
static bool read_copy(struct verify *v, uint32_t page, uint32_t place, const struct member *member,
                      const redisReply *copy) {
    if (copy->type != REDIS_REPLY_ARRAY || copy->elements != 3) return false;
    const redisReply *slot = copy->element[0];
    const redisReply *digest = copy->element[1];
    const redisReply *records = copy->element[2];
    bool is_good = slot->type == REDIS_REPLY_INTEGER && digest->type == REDIS_REPLY_STRING &&
                   records->type == REDIS_REPLY_INTEGER &&
                   slot->integer / VERIFY_PAGE_SLOTS == page && slot->integer >= 0;
    if (!is_good) return false;
    struct verify_cell *cell =
        &v->page[cell_of((uint32_t)slot->integer % VERIFY_PAGE_SLOTS, place)];
    if (cell->count == REPLICAS_MAX) return false;
    cell->copies[cell->count++] = (struct verify_copy){
        .member = member,
        .digest = strtoull(digest->str, NULL, 16),
        .records = (uint64_t)records->integer,
    };
    return true;
}

static bool read_keyspace(struct verify *v, uint32_t page, const struct member *member,
                          const redisReply *keyspace) {
    bool is_good = keyspace->type == REDIS_REPLY_ARRAY && keyspace->elements == 2 &&
                   keyspace->element[0]->type == REDIS_REPLY_STRING &&
                   keyspace->element[1]->type == REDIS_REPLY_ARRAY;
    if (!is_good) return false;
    uint32_t place = place_of(v, keyspace->element[0]->str);
    const redisReply *copies = keyspace->element[1];
    is_good = place < KEYSPACES_MAX;
    for (size_t i = 0; is_good && i < copies->elements; i++) {
        is_good = read_copy(v, page, place, member, copies->element[i]);
    }
    return is_good;
}

// True: the member has said what it holds of the page. Only copies by the same map can be compared.
static bool read_answer(struct verify *v, uint32_t page, struct member *member) {
    redisReply *reply = member_answer(member);
    if (reply == NULL) return false;
    bool is_good = reply->type == REDIS_REPLY_ARRAY && reply->elements == 4 &&
                   is_pair(reply, 0, "epoch", REDIS_REPLY_INTEGER) &&
                   is_pair(reply, 2, "keyspaces", REDIS_REPLY_ARRAY);
    bool is_same_map = is_good && (uint64_t)reply->element[1]->integer == v->epoch;
    for (size_t i = 0; is_same_map && is_good && i < reply->element[3]->elements; i++) {
        is_good = read_keyspace(v, page, member, reply->element[3]->element[i]);
    }
    if (!is_good) {
        snprintf(member->problem, sizeof(member->problem), "QUOIT DIGESTS: not a list of digests");
    } else if (!is_same_map) {
        snprintf(member->problem, sizeof(member->problem), "has the map of epoch %llu, not %llu",
                 (unsigned long long)reply->element[1]->integer, (unsigned long long)v->epoch);
    }
    freeReplyObject(reply);
    return is_good && is_same_map;
}

static bool is_equal(const struct verify_cell *cell) {
    for (uint32_t i = 1; i < cell->count; i++) {
        if (cell->copies[i].digest != cell->copies[0].digest) return false;
    }
    return true;
}

// Who says what, as a number that is not 0.
static uint64_t number_of(const struct verify_cell *cell) {
    uint64_t number = 0;
    for (uint32_t i = 0; i < cell->count; i++) {
        uint64_t who = hash_bytes(slice_of_string(cell->copies[i].member->name), 0);
        number += hash_number(who + hash_number(cell->copies[i].digest));
    }
    return number | 1;
}

static void add_difference(struct verify *v, uint32_t cell, const struct verify_cell *said,
                           bool is_steady) {
    if (v->difference_count == v->difference_capacity) {
        v->difference_capacity = v->difference_capacity == 0 ? 64 : v->difference_capacity * 2;
        v->differences = realloc(v->differences, v->difference_capacity * sizeof(*v->differences));
        must(v->differences != NULL);
    }
    v->differences[v->difference_count++] =
        (struct verify_difference){.cell = cell, .is_steady = is_steady, .said = *said};
    v->steady_count += is_steady;
}

// True: all of the page is known to be equal.
static bool judge_page(struct verify *v, uint32_t page, bool is_whole) {
    bool is_done = is_whole;
    for (uint32_t i = 0; i < VERIFY_PAGE_CELLS; i++) {
        uint32_t cell = page * VERIFY_PAGE_CELLS + i;
        bool is_now_equal = is_equal(&v->page[i]);
        v->was_equal[cell] |= is_now_equal && is_whole;
        if (v->was_equal[cell] || is_now_equal) {
            v->heard[cell] = 0;
            continue;
        }
        uint64_t number = number_of(&v->page[i]);
        add_difference(v, cell, &v->page[i], v->heard[cell] == number);
        v->heard[cell] = number;
        is_done = false;
    }
    return is_done;
}

static void look_at_page(struct verify *v, uint32_t page) {
    char command[64];
    uint32_t first = page * VERIFY_PAGE_SLOTS;
    snprintf(command, sizeof(command), "QUOIT DIGESTS %u %u", first, first + VERIFY_PAGE_SLOTS - 1);
    memset(v->page, 0, sizeof(v->page));
    members_ask(&v->members, command);
    bool is_whole = true;
    for (size_t i = 0; i < v->members.count; i++) {
        is_whole = read_answer(v, page, v->members.all[i]) && is_whole;
    }
    v->is_done[page] = judge_page(v, page, is_whole);
}

// What was found by another map says nothing about this one.
static void forget_all(struct verify *v) {
    v->epoch = v->members.epoch;
    v->looks = 0;
    v->keyspace_count = 0;
    memset(v->is_done, 0, sizeof(v->is_done));
    memset(v->heard, 0, sizeof(v->heard));
    memset(v->was_equal, 0, sizeof(v->was_equal));
}

bool verify_look(struct verify *v, char problem[CLI_PROBLEM_MAX + 1]) {
    v->difference_count = 0;
    v->steady_count = 0;
    v->absent_count = 0;
    if (!members_find(&v->members, problem)) return false;
    if (v->members.epoch != v->epoch) forget_all(v);
    for (uint32_t page = 0; page < VERIFY_PAGES; page++) {
        if (!v->is_done[page]) look_at_page(v, page);
    }
    for (size_t i = 0; i < v->members.count; i++) {
        v->absent_count += !member_is_asked(v->members.all[i]);
    }
    v->looks++;
    return true;
}

void verify_free(struct verify *v) {
    members_free(&v->members);
    free(v->differences);
}
