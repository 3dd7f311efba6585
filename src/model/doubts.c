// SPDX-License-Identifier: Apache-2.0
#include "model/doubts.h"

#include "base/must.h"

void doubts_init(struct doubts *d, struct doubt *memory, uint16_t *telling, uint32_t capacity) {
    must(capacity < DOUBT_BY_NONE);
    *d = (struct doubts){.all = memory, .capacity = capacity};
    d->telling = telling;
    doubts_forget(d);
}

void doubts_forget(struct doubts *d) {
    for (uint32_t i = 0; i < d->capacity; i++) d->all[i] = (struct doubt){.by = DOUBT_BY_NONE};
    d->telling_count = 0;
}

static void begin(struct doubts *d, uint32_t member, uint32_t by, uint64_t now) {
    struct doubt *doubt = &d->all[member];
    doubt->is_held = true;
    doubt->since = now;
    doubt->by = (uint16_t)by;
    doubt->sends = 0;
    d->telling[d->telling_count++] = (uint16_t)member;
    must(d->telling_count <= d->capacity);
}

void doubts_raise(struct doubts *d, uint32_t member, uint64_t now) {
    must(member < d->capacity);
    const struct doubt *doubt = &d->all[member];
    if (!doubt->is_held && now >= doubt->rest) begin(d, member, DOUBT_BY_NONE, now);
}

bool doubts_hear(struct doubts *d, uint32_t member, uint32_t by, uint64_t now) {
    must(member < d->capacity);
    must(by < d->capacity);
    if (d->all[member].is_held) return false;
    begin(d, member, by, now);
    return true;
}

static void tell_no_more(struct doubts *d, uint32_t place) {
    d->telling[place] = d->telling[--d->telling_count];
}

static void take_rest(struct doubt *doubt, uint64_t now) {
    uint64_t twice = 2 * doubt->rest_ns;
    if (twice < DOUBTS_REST_FIRST_NS) twice = DOUBTS_REST_FIRST_NS;
    doubt->rest_ns = twice < DOUBTS_REST_MOST_NS ? twice : DOUBTS_REST_MOST_NS;
    doubt->rest = now + doubt->rest_ns;
}

uint32_t doubts_end(struct doubts *d, uint32_t member, bool is_answer, uint64_t now) {
    must(member < d->capacity);
    struct doubt *doubt = &d->all[member];
    if (is_answer) doubt->rest = doubt->rest_ns = 0;
    if (!doubt->is_held) return DOUBT_BY_NONE;
    if (!is_answer) take_rest(doubt, now);
    doubt->is_held = false;
    for (uint32_t i = 0; i < d->telling_count; i++) {
        if (d->telling[i] == member) tell_no_more(d, i);
    }
    return doubt->by;
}

bool doubts_is_old(const struct doubts *d, uint32_t member, uint64_t age, uint64_t now) {
    must(member < d->capacity);
    const struct doubt *doubt = &d->all[member];
    return doubt->is_held && now >= doubt->since && now - doubt->since >= age;
}

// They take turns, so that of many each is told of.
uint32_t doubts_pick(struct doubts *d, uint64_t now, uint64_t ripe,
                     uint16_t members[DOUBTS_TOLD_MAX]) {
    uint32_t count = 0;
    uint32_t looks = d->telling_count;
    for (uint32_t i = 0; i < looks && count < DOUBTS_TOLD_MAX; i++) {
        if (d->turn >= d->telling_count) d->turn = 0;
        uint32_t place = d->turn++;
        uint16_t member = d->telling[place];
        if (!doubts_is_old(d, member, ripe, now)) continue;
        members[count++] = member;
        bool is_enough = ++d->all[member].sends >= DOUBTS_SENDS;
        if (!is_enough) continue;
        tell_no_more(d, place);
        d->turn = place;
    }
    return count;
}
