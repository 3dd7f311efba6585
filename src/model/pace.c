// SPDX-License-Identifier: Apache-2.0
#include "model/pace.h"

enum {
    TIMES = 2,        // what is usual, before it is too long
    BUSY_PART = 8,    // of a window, less than which is little work
    LEARN_IDLE = 2,   // parts of the way to what was measured: while little is done,
    LEARN_LEAST = 16, // at the floor,
    LEARN_LESS = 4,   // and at any time when it was less
};

void pace_init(struct pace *p, uint64_t now) {
    *p = (struct pace){.share = PACE_WHOLE, .window = now};
}

static void learn(struct pace_gauge *g, uint64_t mean, bool is_idle, bool is_least) {
    if (mean < g->usual) {
        g->usual -= (g->usual - mean) / LEARN_LESS;
    } else if (is_idle) {
        g->usual += (mean - g->usual) / LEARN_IDLE;
    } else if (is_least) {
        g->usual += (mean - g->usual) / LEARN_LEAST;
    }
}

// Windows in which nobody looked count as one, but for what the share may have risen.
static void end_window(struct pace *p, uint64_t now) {
    uint64_t passed = now - p->window;
    bool is_idle = p->busy < passed / BUSY_PART;
    bool suffers = false;
    for (uint32_t i = 0; i < PACE_WAITS; i++) {
        struct pace_gauge *g = &p->gauges[i];
        if (g->count == 0) continue;
        uint64_t mean = g->sum / g->count;
        suffers |= mean > PACE_LEAST_NS + TIMES * g->usual;
        learn(g, mean, is_idle, p->share == PACE_FLOOR);
        g->sum = g->count = 0;
    }
    if (suffers && !is_idle) {
        p->share = p->share / 2 > PACE_FLOOR ? p->share / 2 : PACE_FLOOR;
    } else {
        uint64_t share = p->share + passed / (PACE_WINDOW_NS / PACE_STEP);
        p->share = share < PACE_WHOLE ? (uint32_t)share : PACE_WHOLE;
    }
    p->window = now;
    p->busy = 0;
}

uint32_t pace_share(const struct pace *p, uint64_t now) {
    if (now - p->window < PACE_WINDOW_NS) return p->share;
    struct pace then = *p;
    end_window(&then, now);
    return then.share;
}

// The audit reads next to nothing: it says nothing about how much is done, and ends no windows.
uint64_t pace_rest(struct pace *p, enum pace_worker worker, uint64_t now, uint64_t took,
                   uint64_t debt) {
    bool counts = worker != PACE_AUDIT;
    if (counts) p->busy += took;
    if (counts && now - p->window >= PACE_WINDOW_NS) end_window(p, now);
    uint64_t share = pace_share(p, now);
    uint64_t least = PACE_WHOLE * debt / PACE_DEBT_MOST;
    if (share < least) share = least;
    if (share >= PACE_WHOLE) return 0;
    uint64_t rest =
        took < PACE_REST_MAX_NS ? took * (PACE_WHOLE - share) / share : PACE_REST_MAX_NS;
    if (rest > PACE_REST_MAX_NS) rest = PACE_REST_MAX_NS;
    if (counts) p->busy += rest;
    p->rested[worker] += rest;
    return rest;
}
