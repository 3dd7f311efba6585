// SPDX-License-Identifier: Apache-2.0
//
// purge_case.h -- for tests of what a member makes of words about purges: records of one key, what
// n1 says to rounds that they are to go in, and rounds that others claim to know of.
#ifndef QUOIT_SIM_PURGE_CASE_H
#define QUOIT_SIM_PURGE_CASE_H

#include "model/fence.h"
#include "sim/impostor_case.h"

#include <stdio.h>

#define KEY "key"
#define EARLY 1000
#define LATE 2000

static inline uint32_t group_of(const char *key) {
    return slot_of(text(key)) / GROUP_SLOTS;
}

static inline struct slice encoded_with(struct record *r, const struct sibling *s, uint8_t *bytes,
                                        size_t size) {
    assert_int_equal(context_add(&r->context, s->dot), ST_OK);
    r->siblings[r->sibling_count++] = *s;
    struct writer w = writer_to(bytes, size);
    record_encode(r, &w);
    assert_false(w.failed);
    return writer_bytes(&w);
}

// A record of one sibling that we have minted, on top of all that we have before.
static inline struct slice record_by(uint64_t counter, uint64_t timestamp, bool is_tombstone,
                                     uint8_t *bytes, size_t size) {
    static struct record r;
    const struct sibling s = {
        .dot = {{77, 1}, counter},
        .timestamp = timestamp,
        .is_tombstone = is_tombstone,
        .value = is_tombstone ? (struct slice){0} : text("value"),
    };
    record_clear(&r);
    return encoded_with(&r, &s, bytes, size);
}

static inline enum status put_at(struct impostor *i, const char *key, struct slice record,
                                 uint32_t round) {
    const struct message_put m = {
        .id = 5, .slot = slot_of(text(key)), .round = round, .key = text(key), .record = record};
    SAY(i, &i->dialled, MESSAGE_PUT, put, &m);
    struct frame frame = {0};
    struct message_put_done done;
    HEAR(i, &i->dialled, MESSAGE_PUT_DONE, put_done, &frame, &done);
    return done.status;
}

static inline enum status put(struct impostor *i, struct slice record, uint32_t round) {
    return put_at(i, KEY, record, round);
}

static inline struct slice condemned_as(bool is_alive, const char *key, struct slice record,
                                        uint8_t *bytes, size_t size) {
    static struct record r;
    assert_int_equal(record_decode(&r, record), ST_OK);
    const struct message_condemned entry = {
        .slot = slot_of(text(key)),
        .digest = record_digest(text(key), record),
        .timestamp = record_latest(&r)->timestamp,
        .is_alive = is_alive,
        .key = text(key),
    };
    struct writer w = writer_to(bytes, size);
    message_condemned_write(&w, &entry);
    return writer_bytes(&w);
}

static inline struct slice condemned(const char *key, struct slice record, uint8_t *bytes,
                                     size_t size) {
    return condemned_as(false, key, record, bytes, size);
}

static inline void ask_round(struct impostor *i, const struct message_purge *m) {
    SAY(i, &i->dialled, MESSAGE_PURGE, purge, m);
}

static inline struct message_purge_done hear_round(struct impostor *i, struct frame *frame) {
    struct message_purge_done done;
    HEAR(i, &i->dialled, MESSAGE_PURGE_DONE, purge_done, frame, &done);
    return done;
}

// What it says to a round; whether it holds the one record.
static inline enum status propose(struct impostor *i, const struct message_purge *m,
                                  bool *is_held) {
    ask_round(i, m);
    struct frame frame = {0};
    struct message_purge_done done = hear_round(i, &frame);
    *is_held = done.status == ST_OK && done.held.size == 1 && (done.held.data[0] & 1) != 0;
    return done.status;
}

static inline void erase_of(struct impostor *i, uint32_t round, bool is_wide,
                            struct slice entries) {
    const struct message_erase m = {
        .group = (uint16_t)group_of(KEY),
        .round = round,
        .floor = LATE,
        .is_wide = is_wide,
        .entries = entries,
    };
    SAY(i, &i->dialled, MESSAGE_ERASE, erase, &m);
    pass(i->world, NS_PER_SECOND);
}

static inline void erase(struct impostor *i, uint32_t round, struct slice entries) {
    erase_of(i, round, false, entries);
}

// The round with which it sends what it holds.
static inline uint32_t round_of(struct impostor *i) {
    const struct message_get m = {
        .id = 1, .slot = slot_of(text(KEY)), .target = MESSAGE_NO_MEMBER, .key = text(KEY)};
    SAY(i, &i->dialled, MESSAGE_GET, get, &m);
    struct frame frame = {0};
    struct message_get_done done;
    HEAR(i, &i->dialled, MESSAGE_GET_DONE, get_done, &frame, &done);
    return done.round;
}

static inline bool is_there_at(struct impostor *i, const char *key) {
    struct store_read read = {.partition = {.slot = slot_of(text(key))}, .key = text(key)};
    return store_peek(node_store(real_node(i)), &read) == ST_OK;
}

static inline bool is_there(struct impostor *i) {
    return is_there_at(i, KEY);
}

static inline void claim_of(struct impostor *i, uint32_t group, uint32_t groups,
                            const struct fence *claimed) {
    struct fence fences[SLOT_GROUPS] = {{0}};
    for (uint32_t at = group; at < group + groups; at++) fences[at] = *claimed;
    uint8_t bytes[FENCES_TOLD_SIZE_MAX];
    struct writer w = writer_to(bytes, sizeof(bytes));
    fences_tell(fences, &w);
    const struct message_fences m = {.is_question = true, .fences = writer_bytes(&w)};
    SAY(i, &i->dialled, MESSAGE_FENCES, fences, &m);
    struct frame frame = {0};
    assert_true(hear_type(i, &i->dialled, MESSAGE_FENCES, &frame));
}

static inline void claim(struct impostor *i, uint32_t round, uint32_t purged, uint64_t floor) {
    const struct fence claimed = {.round = round, .purged = purged, .floor = floor};
    claim_of(i, 0, SLOT_GROUPS, &claimed);
}

static inline void be_up(struct impostor *i) {
    say_nothing(i, &i->accepted);
}

// The next key, from that number on, of a slot that n1 is first for, so that it proposes rounds.
static inline void find_own_key_from(struct impostor *i, uint32_t *number, char name[16]) {
    const struct map *map = node_map(real_node(i));
    do {
        (void)snprintf(name, 16, "k%u", (*number)++);
    } while (map_run_of(map, slot_of(text(name)))->replicas[0].member != node_self(real_node(i)));
}

static inline void find_own_key(struct impostor *i, char name[16]) {
    uint32_t number = 0;
    find_own_key_from(i, &number, name);
}

// Soon after it is made, which takes some seconds: it does not wait for long.
static inline struct message_purge hear_proposal(struct impostor *i) {
    const uint64_t until = world_now(i->world) + 300 * NS_PER_SECOND;
    struct frame frame = {0};
    struct message_purge m;
    do {
        const struct member_entry us = {
            .incarnation = 1, .heartbeat = world_now(i->world), .state = MEMBER_SERVING};
        tell_of_us(i, &us, 1);
        say_nothing(i, &i->dialled);
        assert_true(world_now(i->world) < until);
        assert_true(hear(i, &i->accepted, &i->accepted.recv_key, i->accepted.received++, &frame));
    } while (frame.type != MESSAGE_PURGE);
    assert_int_equal(message_purge_decode(&m, frame.body), ST_OK);
    return m;
}

// What we say of the one record of its round: that we hold it, too, and it may go, or not.
static inline void answer_round(struct impostor *i, uint64_t id, bool is_held) {
    const uint8_t held[1] = {is_held};
    const struct message_purge_done m = {.id = id, .round = 1, .held = {held, sizeof(held)}};
    SAY(i, &i->accepted, MESSAGE_PURGE_DONE, purge_done, &m);
}

static inline void agree_to(struct impostor *i, uint64_t id) {
    answer_round(i, id, true);
    pass(i->world, NS_PER_SECOND);
}

static inline void refuse(struct impostor *i, uint64_t id) {
    const struct message_purge_done m = {.id = id, .status = ST_UNAVAILABLE};
    SAY(i, &i->accepted, MESSAGE_PURGE_DONE, purge_done, &m);
}

static inline void expect_blocked(struct impostor *i, uint32_t partitions, const char *waits_for) {
    struct node_purge state = node_purge_state(real_node(i));
    assert_int_equal(state.blocked, partitions);
    assert_string_equal(state.waits_for, waits_for);
}

#endif
