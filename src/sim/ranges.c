// SPDX-License-Identifier: Apache-2.0
#include "sim/ranges.h"

#include "base/text.h"
#include "sim/client.h"

#include <stdio.h>
#include <string.h>

enum { LIMIT_DEFAULT = 100 };

static bool has_tag(const struct oracle *oracle, uint32_t key) {
    return strncmp(oracle->keys[key].name, RANGES_PREFIX, strlen(RANGES_PREFIX)) == 0;
}

static void draw_bound(char *bound, struct rng *rng, const struct oracle *oracle, bool is_end) {
    uint32_t key = rng_below(rng, oracle->key_count);
    bool is_open = rng_chance(rng, 1, 3) || !has_tag(oracle, key);
    bool is_between = rng_chance(rng, 1, 4);
    const char *kind = rng_chance(rng, 1, 2) ? "[" : "(";
    if (is_open) {
        (void)snprintf(bound, RANGES_BOUND_MAX, "%s", is_end ? "+" : "-");
    } else {
        (void)snprintf(bound, RANGES_BOUND_MAX, "%s%s%s", kind, oracle->keys[key].name,
                       is_between ? "-" : "");
    }
}

void ranges_draw(struct range_ask *ask, struct rng *rng, const struct oracle *oracle) {
    bool goes_on = rng_chance(rng, 3, 4);
    ask->limit = rng_chance(rng, 1, 3) ? 0 : 1 + rng_below(rng, 6);
    if (goes_on && ask->from[0] != '\0') return;
    ask->is_reverse = rng_chance(rng, 1, 2);
    draw_bound(ask->from, rng, oracle, ask->is_reverse);
    draw_bound(ask->to, rng, oracle, !ask->is_reverse);
}

// Where the name lies in the direction of the walk: before the bound, at it or behind it.
static int order_to(const struct range_ask *ask, const char *name, const char *bound) {
    if (bound[0] == '-') return ask->is_reverse ? -1 : 1;
    if (bound[0] == '+') return ask->is_reverse ? 1 : -1;
    int order = strcmp(name, bound + 1);
    return ask->is_reverse ? -order : order;
}

static bool is_within(const struct range_ask *ask, const char *name) {
    int begin = order_to(ask, name, ask->from);
    int end = order_to(ask, name, ask->to);
    bool has_begun = begin > 0 || (begin == 0 && ask->from[0] == '[');
    return has_begun && (end < 0 || (end == 0 && ask->to[0] == '['));
}

// What a reply shows.
struct shown {
    struct slice next; // the bound; no data: none
    uint32_t count;
    uint32_t last;                        // key
    struct slice values[ORACLE_KEYS_MAX]; // no data: not shown
};

// False: it is not in order, out of bounds, or of no key there is.
static bool take_pair(const struct oracle *oracle, const struct range_ask *ask, struct shown *shown,
                      struct slice name, struct slice value) {
    uint32_t key = oracle_find_key(oracle, name);
    if (key == ORACLE_NONE || !has_tag(oracle, key)) return false;
    const char *text = oracle->keys[key].name;
    if (!is_within(ask, text)) return false;
    if (shown->count > 0) {
        int order = strcmp(text, oracle->keys[shown->last].name);
        if (ask->is_reverse ? order >= 0 : order <= 0) return false;
    }
    shown->count++;
    shown->last = key;
    shown->values[key] = value;
    return true;
}

static bool take_reply(const struct oracle *oracle, const struct range_ask *ask,
                       struct shown *shown, struct slice rest) {
    struct slice name;
    struct slice value;
    while (client_next_bulk(&rest, &name)) {
        bool is_next = shown->count == 0 && name.size > 0 && name.data[0] == '(';
        if (is_next && shown->next.data == NULL) {
            shown->next = name;
            continue;
        }
        if (!client_next_bulk(&rest, &value)) return false;
        if (!take_pair(oracle, ask, shown, name, value)) return false;
    }
    uint32_t limit = ask->limit == 0 ? LIMIT_DEFAULT : ask->limit;
    if (shown->count > limit) return false;
    if (shown->next.data == NULL) return true;
    if (shown->count == 0) return false;
    return slice_equal(slice_skip(shown->next, 1), slice_of_string(oracle->keys[shown->last].name));
}

// True when the range speaks of the key: whether it is there, and with which value.
static bool is_covered(const struct oracle *oracle, const struct range_ask *ask,
                       const struct shown *shown, uint32_t key) {
    const char *name = oracle->keys[key].name;
    if (!has_tag(oracle, key) || !is_within(ask, name)) return false;
    if (shown->next.data == NULL) return true;
    int order = strcmp(name, oracle->keys[shown->last].name);
    return ask->is_reverse ? order >= 0 : order <= 0;
}

void ranges_judge(struct oracle *oracle, struct range_ask *ask, uint64_t start, uint32_t need,
                  const uint32_t *before, struct slice reply) {
    static struct shown shown;
    shown = (struct shown){0};
    oracle->counts.ranges++;
    if (!take_reply(oracle, ask, &shown, reply)) {
        oracle_fail(oracle, "O22 range %s %s%s limit=%u shows %.*s", ask->from, ask->to,
                    ask->is_reverse ? " reverse" : "", ask->limit,
                    (int)(reply.size < 300 ? reply.size : 300), (const char *)reply.data);
        return;
    }
    for (uint32_t key = 0; key < oracle->key_count; key++) {
        if (!is_covered(oracle, ask, &shown, key)) continue;
        if (oracle->keys[key].is_register) {
            oracle_end_read(oracle, key, start, before[key], need, shown.values[key]);
        } else {
            oracle_end_look(oracle, key, start, need, shown.values[key]);
        }
    }
    size_t size = shown.next.size < RANGES_BOUND_MAX ? shown.next.size : 0;
    if (size > 0) memcpy(ask->from, shown.next.data, size);
    ask->from[size] = '\0';
    oracle->counts.ranges_cut += size > 0;
}
