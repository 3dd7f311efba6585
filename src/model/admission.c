// SPDX-License-Identifier: Apache-2.0
#include "model/admission.h"

// While the process had nothing to do for so much longer than the turn before took, nothing waited.
// The kernel's part of a turn is not in what it took.
enum { IDLE_FACTOR = 4 };

void admission_init(struct admission *a, uint64_t target) {
    *a = (struct admission){.target = target};
}

static uint32_t scaled(const struct admission *a, uint32_t share, uint64_t wait) {
    if (wait <= a->target) return share;
    uint64_t less = share * a->target / wait;
    return less < ADMISSION_LEAST ? ADMISSION_LEAST : (uint32_t)less;
}

static void end_window(struct admission *a, uint64_t now) {
    bool stood = a->least > a->target;
    if (stood && a->is_shedding) {
        uint32_t half = a->limit / 2;
        a->limit = scaled(a, a->limit, a->least);
        if (a->limit < half) a->limit = half;
    } else if (stood) {
        a->is_shedding = true;
        a->limit = ADMISSION_ONE;
    } else if (a->is_shedding) {
        a->limit += a->limit / 4;
        a->is_shedding = a->limit < ADMISSION_ONE;
    }
    a->standing = a->least;
    a->window = now;
    a->least = UINT64_MAX;
}

void admission_turn(struct admission *a, uint64_t now, uint64_t late) {
    if (now == a->turn) return;
    if (now - a->turn > IDLE_FACTOR * late + ADMISSION_WINDOW_NS) {
        a->least = 0;
        a->is_shedding = false;
    }
    a->turn = now;
    if (now - a->window >= ADMISSION_WINDOW_NS) end_window(a, now);
    if (late < a->least) a->least = late;
    if (a->is_shedding) a->share = scaled(a, a->limit, late);
}

bool admission_admits(struct admission *a) {
    if (!a->is_shedding) return true;
    a->credit += a->share;
    if (a->credit < ADMISSION_ONE) return false;
    a->credit -= ADMISSION_ONE;
    return true;
}
