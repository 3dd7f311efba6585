// SPDX-License-Identifier: Apache-2.0
#include "model/suspicion.h"

#include "base/must.h"

#define NS_PER_US 1000

// -log10 of the upper tail of the normal distribution, in thousandths, at 0, 1/4, 2/4 ... standard
// deviations above the mean. It bends so little that a straight line between two of these is off by
// less than 4.
static const uint32_t tails[] = {
    301,   397,   511,   645,   800,   976,   1175,  1397,  1643,  1913,  2207,  2526,
    2870,  3239,  3633,  4053,  4499,  4971,  5469,  5993,  6543,  7119,  7721,  8350,
    9006,  9688,  10396, 11131, 11893, 12681, 13496, 14338, 15206, 16101, 17023, 17972,
    18947, 19950, 20979, 22035, 23118, 24228, 25365, 26528, 27719, 28936, 30181, 31452,
    32750, 34076, 35428, 36807, 38213, 39647, 41107, 42594, 44108, 45649, 47218, 48813,
    50435, 52085, 53761, 55464, 57195, 58952, 60736, 62548, 64387, 66252, 68145, 70065,
    72011, 73985, 75986, 78014, 80069, 82151, 84260, 86397, 88560,
};

enum {
    TAILS = sizeof(tails) / sizeof(tails[0]),
    STEP = 1024,              // in a quarter of a deviation
    OFF_MOST_US = 1000000000, // whose square is counted, WEIGHT times, in 64 bits
    WEIGHT = 16,              // intervals remembered, about
    SUSPECTED_AT = 5612, // deviations at which the level is SUSPICION_THRESHOLD, in thousandths
};

struct suspicion_rule suspicion_rule_for(uint64_t interval, uint64_t patience) {
    return (struct suspicion_rule){interval, patience,
                                   2 * patience > interval ? 2 * patience : interval};
}

void suspicion_begin(struct suspicion *s, const struct suspicion_rule *rule, uint64_t now) {
    must(rule->expected <= rule->longest);
    *s = (struct suspicion){.has_begun = true, .last = now};
    s->mean_sum = rule->expected / NS_PER_US * WEIGHT;
}

void suspicion_sign(struct suspicion *s, const struct suspicion_rule *rule, uint64_t now) {
    if (!s->has_begun) {
        suspicion_begin(s, rule, now);
        return;
    }
    if (now < s->last) return;
    uint64_t interval = now - s->last;
    s->last = now;
    if (interval > rule->longest) return;
    uint64_t us = interval / NS_PER_US;
    uint64_t mean = s->mean_sum / WEIGHT;
    uint64_t off = us > mean ? us - mean : mean - us;
    if (off > OFF_MOST_US) off = OFF_MOST_US;
    s->mean_sum += us - mean;
    s->variance_sum += off * off - s->variance_sum / WEIGHT;
}

// The root, rounded down: Newton's method, from above.
static uint64_t root_of(uint64_t square) {
    if (square < 2) return square;
    uint64_t root = square / 2 < UINT32_MAX ? square / 2 : UINT32_MAX;
    for (;;) {
        uint64_t next = (root + square / root) / 2;
        if (next >= root) return root;
        root = next;
    }
}

static uint64_t mean_of(const struct suspicion *s, const struct suspicion_rule *rule) {
    uint64_t mean = s->mean_sum / WEIGHT;
    uint64_t least = rule->expected / NS_PER_US;
    return mean > least ? mean : least;
}

static uint64_t deviation_of(const struct suspicion *s, const struct suspicion_rule *rule) {
    uint64_t deviation = root_of(s->variance_sum / WEIGHT);
    uint64_t spare = rule->patience > rule->expected ? rule->patience - rule->expected : 0;
    uint64_t least = spare / SUSPECTED_AT + 1; // us: a thousandth of ns, and that of thousandths
    uint64_t most = rule->longest / 2 / NS_PER_US + least;
    if (deviation > most) deviation = most;
    return deviation > least ? deviation : least;
}

uint32_t suspicion_level(const struct suspicion *s, const struct suspicion_rule *rule,
                         uint64_t silence) {
    if (!s->has_begun) return SUSPICION_MOST;
    uint64_t us = silence / NS_PER_US;
    uint64_t mean = mean_of(s, rule);
    if (us <= mean) return 0;
    uint64_t deviation = deviation_of(s, rule);
    uint64_t last = (uint64_t)(TAILS - 1) * STEP;
    if (us - mean >= deviation * (TAILS - 1) / 4) return SUSPICION_MOST;
    uint64_t at = (us - mean) * 4 * STEP / deviation;
    if (at >= last) return SUSPICION_MOST;
    uint64_t low = tails[at / STEP];
    uint64_t high = tails[at / STEP + 1];
    return (uint32_t)((low + (high - low) * (at % STEP) / STEP) / 10);
}

uint32_t suspicion_doubt(uint32_t doubt, uint64_t rounds_missed, bool is_deaf) {
    must(doubt >= 1);
    must(doubt <= SUSPICION_DOUBT_MOST);
    uint64_t bad = rounds_missed + is_deaf;
    if (bad == 0) return doubt > 1 ? doubt - 1 : 1;
    return bad >= SUSPICION_DOUBT_MOST - doubt ? SUSPICION_DOUBT_MOST : doubt + (uint32_t)bad;
}
