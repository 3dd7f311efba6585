// SPDX-License-Identifier: Apache-2.0
#include "model/rumors.h"

#include "base/must.h"

// So often a change that is pressing goes before others: with e^-10 somebody does not hear of it.
enum { SENDS_TOLD_APART = 10 };

void rumors_init(struct rumors *r, struct rumor *memory, uint32_t capacity) {
    must(capacity < RUMOR_BY_NONE);
    *r = (struct rumors){.all = memory, .capacity = capacity};
}

void rumors_begin(struct rumors *r, uint32_t count, uint32_t self) {
    must(self < count);
    r->self = self;
    r->fresh = 0;
    r->count = 0;
    rumors_grow(r, count);
}

void rumors_grow(struct rumors *r, uint32_t count) {
    must(count <= r->capacity);
    must(count >= r->count);
    for (uint32_t i = r->count; i < count; i++) {
        r->all[i] =
            (struct rumor){.by = RUMOR_BY_NONE, .sends = SENDS_TOLD_APART, .order = (uint16_t)i};
    }
    r->count = count;
    r->lap = count; // the next one is drawn with all of them
}

void rumors_change(struct rumors *r, uint32_t member, uint32_t by, bool is_pressing) {
    must(member < r->count);
    must(by < r->count);
    struct rumor *row = &r->all[member];
    row->changed = ++r->changes;
    row->by = (uint16_t)by;
    if (!is_pressing) return;
    r->fresh += row->sends >= SENDS_TOLD_APART;
    row->sends = 0;
}

// What the receiver has said itself is no news, but for its own row: another process may have said
// that in its name, and then it has to outlive it.
static bool is_news(const struct rumors *r, uint32_t row, uint32_t to) {
    const struct rumor *rumor = &r->all[row];
    bool is_said = rumor->by == to && row != to;
    return rumor->changed > r->all[to].told && !is_said && !rumor->is_picked;
}

// Rows that were picked, in ascending order.
struct picked {
    uint16_t rows[RUMORS_MAX];
    uint32_t count;
};

static void pick(struct rumors *r, uint32_t row, struct picked *picked) {
    struct rumor *rumor = &r->all[row];
    must(picked->count < RUMORS_MAX);
    uint32_t place = picked->count++;
    for (; place > 0 && picked->rows[place - 1] > row; place--) {
        picked->rows[place] = picked->rows[place - 1];
    }
    picked->rows[place] = (uint16_t)row;
    rumor->is_picked = true;
    if (rumor->sends < UINT16_MAX) rumor->sends++;
    r->fresh -= rumor->sends == SENDS_TOLD_APART;
}

// Up to `most` rows, of those that were sent at most so often; as all are gone through from `turn`
// on. Returns where that has come to.
static uint32_t pick_from(struct rumors *r, uint32_t to, uint32_t sends, uint32_t most,
                          struct picked *picked) {
    const uint32_t count = r->count;
    must(count > 0);
    uint32_t row = r->turn % count;
    for (uint32_t i = 0; i < count && picked->count < most; i++) {
        if (r->all[row].sends <= sends && is_news(r, row, to)) pick(r, row, picked);
        row = row + 1 < count ? row + 1 : 0;
    }
    return row;
}

uint32_t rumors_pick(struct rumors *r, uint32_t to, bool is_kept, uint16_t rows[RUMORS_MAX]) {
    must(to < r->count);
    must(to != r->self);
    struct picked picked = {.count = 0};
    if (is_news(r, r->self, to)) pick(r, r->self, &picked);
    if (is_news(r, to, to)) pick(r, to, &picked);
    for (uint32_t sends = 0; sends < SENDS_TOLD_APART && r->fresh > 0; sends++) {
        (void)pick_from(r, to, sends, RUMORS_MAX - RUMORS_MAX / 4, &picked);
    }
    uint32_t next = pick_from(r, to, UINT16_MAX, RUMORS_MAX, &picked);
    if (picked.count == RUMORS_MAX && r->count > RUMORS_MAX) {
        r->turn = next;
    } else if (is_kept) {
        r->all[to].told = r->changes; // that was all there is
    }
    for (uint32_t i = 0; i < picked.count; i++) {
        rows[i] = picked.rows[i];
        r->all[rows[i]].is_picked = false;
    }
    return picked.count;
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
