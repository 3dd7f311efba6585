// SPDX-License-Identifier: Apache-2.0
#include "model/rumors.h"

#include "base/must.h"

enum { SENDS_TOLD_APART = 4 };

void rumors_init(struct rumors *r, struct rumor *memory, uint32_t capacity, uint32_t most) {
    must(capacity < RUMOR_BY_NONE);
    must(most >= 3);
    must(most <= RUMORS_MAX);
    *r = (struct rumors){.all = memory, .capacity = capacity, .most = most};
}

void rumors_begin(struct rumors *r, uint32_t count, uint32_t self) {
    must(count <= r->capacity);
    must(self < count);
    r->count = count;
    r->self = self;
    r->lap = count;
    for (uint32_t i = 0; i < count; i++) {
        r->all[i] = (struct rumor){.by = RUMOR_BY_NONE, .order = (uint16_t)i};
    }
}

void rumors_change(struct rumors *r, uint32_t member, uint32_t by) {
    must(member < r->count);
    must(by < r->count);
    struct rumor *row = &r->all[member];
    row->changed = ++r->changes;
    row->by = (uint16_t)by;
    row->sends = 0;
}

// What the receiver has said itself is no news, but for its own row: another process may have said
// that in its name, and then it has to outlive it.
static bool is_news(const struct rumors *r, uint32_t row, uint32_t to) {
    const struct rumor *rumor = &r->all[row];
    bool is_said = rumor->by == to && row != to;
    return rumor->changed > r->all[to].told && !is_said && !rumor->is_picked;
}

static uint32_t pick(struct rumors *r, uint32_t row) {
    r->all[row].is_picked = true;
    if (r->all[row].sends < UINT16_MAX) r->all[row].sends++;
    return 1;
}

// Up to `most` rows, of those that were sent at most so often; as all are gone through from `turn`
// on. Returns where that has come to.
static uint32_t pick_from(struct rumors *r, uint32_t to, uint32_t sends, uint32_t most,
                          uint32_t *picked) {
    const uint32_t count = r->count;
    must(count > 0);
    uint32_t row = r->turn % count;
    for (uint32_t i = 0; i < count && *picked < most; i++) {
        if (r->all[row].sends <= sends && is_news(r, row, to)) *picked += pick(r, row);
        row = row + 1 < count ? row + 1 : 0;
    }
    return row;
}

void rumors_want(struct rumors *r, uint32_t member) {
    must(member < r->count);
    r->all[member].is_wanted = true;
}

static void pick_wanted(struct rumors *r, uint32_t to, uint32_t *picked) {
    for (uint32_t row = 0; row < r->count; row++) {
        bool is_wanted = r->all[row].is_wanted && *picked < r->most;
        if (is_wanted && is_news(r, row, to)) *picked += pick(r, row);
        r->all[row].is_wanted = false;
    }
}

uint32_t rumors_pick(struct rumors *r, uint32_t to, bool is_kept, uint16_t rows[RUMORS_MAX]) {
    must(to < r->count);
    must(to != r->self);
    uint32_t picked = 0;
    if (is_news(r, r->self, to)) picked += pick(r, r->self);
    if (is_news(r, to, to)) picked += pick(r, to);
    pick_wanted(r, to, &picked);
    for (uint32_t sends = 0; sends < SENDS_TOLD_APART; sends++) {
        (void)pick_from(r, to, sends, r->most - r->most / 4, &picked);
    }
    uint32_t next = pick_from(r, to, UINT16_MAX, r->most, &picked);
    if (picked == r->most) {
        r->turn = next;
    } else if (is_kept) {
        r->all[to].told = r->changes; // that was all there is
    }
    uint32_t count = 0;
    for (uint32_t row = 0; row < r->count; row++) {
        if (r->all[row].is_picked) rows[count++] = (uint16_t)row;
        r->all[row].is_picked = false;
    }
    must(count == picked);
    return count;
}

void rumors_forget(struct rumors *r, uint32_t member) {
    if (member >= r->count) return;
    r->all[member].told = 0;
    for (uint32_t row = 0; row < r->count; row++) {
        if (r->all[row].by == member) r->all[row].by = RUMOR_BY_NONE;
    }
}

static void shuffle(struct rumors *r, struct rng *rng) {
    for (uint32_t i = r->count - 1; i > 0; i--) {
        uint32_t j = rng_below(rng, i + 1);
        uint16_t other = r->all[j].order;
        r->all[j].order = r->all[i].order;
        r->all[i].order = other;
    }
    r->lap = 0;
}

uint32_t rumors_next_peer(struct rumors *r, struct rng *rng) {
    must(r->count > 1);
    for (;;) {
        if (r->lap == r->count) shuffle(r, rng);
        uint32_t peer = r->all[r->lap++].order;
        if (peer != r->self) return peer;
    }
}
