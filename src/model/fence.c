// SPDX-License-Identifier: Apache-2.0
#include "model/fence.h"

#include "base/bitmap.h"

enum { FORMAT_VERSION = 2, IS_BEHIND = 1, HAS_FORGOTTEN = 2 };

void fence_encode(const struct fence *f, struct writer *w) {
    write_u32(w, f->round);
    write_u32(w, f->agreed);
    write_u32(w, f->purged);
    write_u64(w, f->floor);
    write_u32(w, f->cleared);
    write_u32(w, f->wide);
    write_u8(w, (uint8_t)((f->is_behind ? IS_BEHIND : 0) | (f->has_forgotten ? HAS_FORGOTTEN : 0)));
}

void fence_decode(struct fence *f, struct reader *r) {
    f->round = read_u32(r);
    f->agreed = read_u32(r);
    f->purged = read_u32(r);
    f->floor = read_u64(r);
    f->cleared = read_u32(r);
    f->wide = read_u32(r);
    uint8_t flags = read_u8(r);
    f->is_behind = (flags & IS_BEHIND) != 0;
    f->has_forgotten = (flags & HAS_FORGOTTEN) != 0;
}

void fences_encode(const struct fence fences[SLOT_GROUPS], uint64_t clock_ms, struct writer *w) {
    write_u8(w, FORMAT_VERSION);
    write_u64(w, clock_ms);
    for (uint32_t i = 0; i < SLOT_GROUPS; i++) fence_encode(&fences[i], w);
}

enum status fences_decode(struct fence fences[SLOT_GROUPS], uint64_t *clock_ms,
                          struct slice bytes) {
    struct reader r = reader_of(bytes);
    if (read_u8(&r) != FORMAT_VERSION) return ST_INVALID;
    *clock_ms = read_u64(&r);
    for (uint32_t i = 0; i < SLOT_GROUPS; i++) fence_decode(&fences[i], &r);
    return reader_done(&r) ? ST_OK : ST_CORRUPT;
}

static bool is_nothing(const struct fence *f) {
    uint64_t any = f->floor | f->round | f->agreed | f->purged | f->cleared | f->wide;
    return any == 0 && !f->is_behind && !f->has_forgotten;
}

void fences_tell(const struct fence fences[SLOT_GROUPS], struct writer *w) {
    uint8_t told[SLOT_GROUPS / 8] = {0};
    for (uint32_t i = 0; i < SLOT_GROUPS; i++) {
        if (!is_nothing(&fences[i])) bitmap_add(told, i);
    }
    write_bytes(w, (struct slice){told, sizeof(told)});
    for (uint32_t i = 0; i < SLOT_GROUPS; i++) {
        if (bitmap_has(told, i)) fence_encode(&fences[i], w);
    }
}

enum status fences_told(struct fence fences[SLOT_GROUPS], struct slice bytes) {
    struct reader r = reader_of(bytes);
    struct slice told = read_bytes(&r, SLOT_GROUPS / 8);
    for (uint32_t i = 0; i < SLOT_GROUPS; i++) {
        fences[i] = (struct fence){0};
        if (!r.failed && bitmap_has(told.data, i)) fence_decode(&fences[i], &r);
    }
    return reader_done(&r) ? ST_OK : ST_CORRUPT;
}

bool fence_believes(const struct fence *f, uint32_t round) {
    if (round > FENCE_ROUND_MAX) return false;
    return round <= f->round || round - f->round <= FENCE_LEAP_MAX;
}

void fence_hear(struct fence *f, uint32_t round) {
    if (round > f->round && fence_believes(f, round)) f->round = round;
}

void fence_agree(struct fence *f, uint32_t round, uint64_t timestamp) {
    fence_hear(f, round);
    if (round > f->agreed) f->agreed = round;
    if (timestamp > f->floor) f->floor = timestamp;
}

void fence_clear(struct fence *f, uint32_t round) {
    if (round > f->cleared) f->cleared = round;
}

bool fence_learn_wide(struct fence *f, uint32_t wide) {
    if (wide <= f->wide || !fence_believes(f, wide)) return false;
    bool has_forgotten = wide > f->cleared;
    f->wide = wide;
    fence_hear(f, wide);
    fence_clear(f, wide);
    return has_forgotten;
}

bool fence_learn(struct fence *f, const struct fence *known, uint64_t latest) {
    if (known->purged <= f->agreed || !fence_believes(f, known->purged)) return false;
    fence_hear(f, known->purged);
    f->agreed = f->purged = known->purged;
    uint64_t floor = known->floor < latest ? known->floor : latest;
    if (floor > f->floor) f->floor = floor;
    f->is_behind = true;
    f->has_forgotten = true;
    return true;
}

bool fence_admits(const struct fence *f, uint32_t round, const struct record *told,
                  const struct context *known) {
    if (round >= f->round) return true;
    for (uint32_t i = 0; i < told->sibling_count; i++) {
        const struct sibling *s = &told->siblings[i];
        if (s->timestamp <= f->floor && !context_covers(known, s->dot)) return false;
    }
    return true;
}

bool fence_yields(const struct fence *f, const struct record *held, const struct record *told) {
    bool is_doubtful = false;
    for (uint32_t i = 0; i < held->sibling_count && f->is_behind; i++) {
        const struct sibling *s = &held->siblings[i];
        if (context_covers(&told->context, s->dot)) continue;
        if (s->timestamp > f->floor) return false;
        is_doubtful = true;
    }
    return is_doubtful;
}

bool fence_is_dead(const struct record *r, uint64_t latest, uint64_t expired_ms) {
    for (uint32_t i = 0; i < r->sibling_count; i++) {
        const struct sibling *s = &r->siblings[i];
        bool has_expired = s->expires_ms != 0 && s->expires_ms <= expired_ms;
        if ((!s->is_tombstone && !has_expired) || s->timestamp > latest) return false;
    }
    return r->sibling_count > 0;
}
