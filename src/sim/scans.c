// SPDX-License-Identifier: Apache-2.0
#include "sim/scans.h"

#include "base/text.h"
#include "sim/client.h"

#include <stdio.h>
#include <string.h>

enum { PAGE_MAX = 24 };

void scans_add_guest(struct oracle *oracle, const char *name) {
    must(oracle->guest_count < ORACLE_GUESTS_MAX);
    char *guest = oracle->guests[oracle->guest_count++];
    (void)snprintf(guest, sizeof(oracle->guests[0]), "%s", name);
}

static bool is_guest(const struct oracle *oracle, struct slice name) {
    for (uint32_t i = 0; i < oracle->guest_count; i++) {
        if (slice_equal(slice_of_string(oracle->guests[i]), name)) return true;
    }
    return false;
}

void scans_draw(struct scan_walk *walk, struct rng *rng, uint64_t now) {
    walk->page = 1 + rng_below(rng, PAGE_MAX);
    if (walk->cursor[0] != '\0') return;
    *walk = (struct scan_walk){.cursor = "0", .page = walk->page, .start = now};
}

// Whether anybody ever gave the key a value.
static bool may_be(const struct oracle *oracle, uint32_t key) {
    const struct oracle_key *k = &oracle->keys[key];
    for (uint32_t i = 0; i < k->write_count; i++) {
        if (!oracle->writes[k->writes[i]].is_tombstone) return true;
    }
    return false;
}

// False: a key that never was, or that the walk has listed before.
static bool take_name(const struct oracle *oracle, struct scan_walk *walk, bool is_healed,
                      struct slice name) {
    if (is_guest(oracle, name)) return true;
    uint32_t key = oracle_find_key(oracle, name);
    if (key == ORACLE_NONE || !may_be(oracle, key)) return false;
    bool is_new = !walk->was_listed[key];
    walk->was_listed[key] = true;
    return is_new || !is_healed;
}

// True when all writes that may have been done, and would make it otherwise, ended before this one,
// and it met them at some replica. Of a register; of another key there are none: a KV.PUT that has
// not seen a tombstone stands beside it, and the clock decides which of them shows.
static bool is_last_word(const struct oracle *oracle, const struct oracle_write *w) {
    const struct oracle_key *k = &oracle->keys[w->key];
    uint32_t majority = oracle_copies(oracle) / 2 + 1;
    if (w->needs.write < majority) return false;
    for (uint32_t i = 0; i < k->write_count; i++) {
        const struct oracle_write *other = &oracle->writes[k->writes[i]];
        if (other->is_tombstone == w->is_tombstone || other->outcome == OUTCOME_NOT_DONE) continue;
        if (!k->is_register) return false;
        if (other->end >= w->start || other->needs.write < majority) return false;
    }
    return true;
}

// What a walk must say of a key: 1, it is there; 0, it is not; -1, either is right.
static int verdict_on(const struct oracle *oracle, uint32_t key, uint64_t healed_at) {
    const struct oracle_key *k = &oracle->keys[key];
    for (uint32_t i = 0; i < k->write_count; i++) {
        const struct oracle_write *w = &oracle->writes[k->writes[i]];
        bool is_done = w->outcome == OUTCOME_OK && w->end <= healed_at;
        if (!is_done || !is_last_word(oracle, w)) continue;
        if (!oracle_may_judge(oracle, key, w->start, w->end)) continue;
        if (!w->is_tombstone) return 1;
        return k->is_register ? 0 : -1; // a KV.DEL leaves what its context had not seen
    }
    return -1;
}

static void judge_walk(struct oracle *oracle, const struct scan_walk *walk, uint64_t healed_at) {
    oracle->counts.walks++;
    for (uint32_t key = 0; key < oracle->key_count; key++) {
        int verdict = verdict_on(oracle, key, healed_at);
        oracle->counts.walked += verdict >= 0;
        if (verdict < 0 || verdict == walk->was_listed[key]) continue;
        oracle_fail(oracle, "O25 key=%s is %s a whole scan", oracle->keys[key].name,
                    verdict == 0 ? "gone and listed by" : "there and left out by");
    }
}

void scans_judge(struct oracle *oracle, struct scan_walk *walk, uint64_t healed_at,
                 struct slice reply) {
    struct slice rest = reply;
    struct slice cursor = {NULL, 0};
    struct slice name;
    bool is_healed = walk->start >= healed_at;
    bool is_sound =
        client_next_bulk(&rest, &cursor) && cursor.size > 0 && cursor.size < SCANS_CURSOR_MAX;
    while (is_sound && client_next_bulk(&rest, &name)) {
        is_sound = take_name(oracle, walk, is_healed, name);
    }
    oracle->counts.pages++;
    if (!is_sound) {
        oracle_fail(oracle, "O25 scan from %s shows %.*s", walk->cursor,
                    (int)(reply.size < 300 ? reply.size : 300), (const char *)reply.data);
        return;
    }
    bool is_over = slice_equal(cursor, SLICE("0"));
    if (is_over && is_healed) judge_walk(oracle, walk, healed_at);
    memcpy(walk->cursor, cursor.data, cursor.size);
    walk->cursor[is_over ? 0 : cursor.size] = '\0';
}
