// SPDX-License-Identifier: Apache-2.0
//
// audit.c -- in the background, what the tables hold is checked against the facts, for ever.
//
// Facts are kept by adding and taking away, from file to file, for years. So one partition after
// the other is added up, and where that is not what the facts say, it takes their place: peers then
// see what is really there. On the way each block of the tables is read. One that has rotted is
// damage as if a client had met it, and is mended while there are still good copies elsewhere.
//
// Copies in memory of what tables hold count for nothing here: what they show may be there no more.
//
//     pace        all tables in a week, but no less than RATE_MIN a second, and no more than
//                 RATE_MAX; then a round takes longer, as where clients have to wait (pace.h)
//     quantum     so much is read before it rests
//     stretch     so much of a partition, before other scans have their turn
//
// It begins anywhere, lest those who restart often never come to the end. A keyspace of which the
// facts know nothing at all is not looked for: only damage leads to that, and then recount.c does.
//
// It rests while facts are added up after damage, or a keyspace is being dropped. What it has added
// up of a partition is void when the former begins.
#include "store/internal.h"

enum {
    PERIOD_S = 7 * 24 * 60 * 60,
    RATE_MIN = 64 * 1024,       // bytes a second
    RATE_MAX = 8 * 1024 * 1024, // bytes a second
    QUANTUM = 16 * 1024,        // bytes
    STRETCH = 64 * 1024,        // bytes of keys and records
    PARTITION_COST = 64,        // bytes that one without keys counts for
};

#define REST_NS (UINT64_C(1000) * 1000 * 1000)
#define NS_PER_S (UINT64_C(1000) * 1000 * 1000)

static uint64_t rate_of(const struct store *s) {
    uint64_t rate = s->set.size / PERIOD_S;
    if (rate < RATE_MIN) return RATE_MIN;
    return rate < RATE_MAX ? rate : RATE_MAX;
}

static void rest(struct store *s, uint64_t ns) {
    timer_arm(s->timers, &s->audit.timer, s->env->now + ns);
}

static bool must_rest(const struct store *s) {
    return store_is_failed(s) || s->recount.is_under_way || s->drop.is_wanted;
}

// Moves to the next partition of all, round and round.
static void move_on(struct store *s) {
    struct audit *a = &s->audit;
    a->tally.is_valid = false;
    bool is_round = false;
    a->partition = keyspaces_next(&s->keyspaces, a->partition);
    if (a->partition == PARTITION_NONE) {
        is_round = a->has_wrapped; // where it began there is nothing any more
        a->has_wrapped = true;
        a->partition = 0;
    }
    if (a->has_wrapped && a->partition >= a->first) {
        is_round = true;
        a->has_wrapped = false;
    }
    a->rounds += is_round;
}

static void compare(struct store *s) {
    struct audit *a = &s->audit;
    struct partition p = a->tally.partition;
    if (!keyspaces_serves(&s->keyspaces, p)) return; // it was dropped meanwhile
    const struct part_facts *said = facts_part(&s->facts, p);
    const struct part_facts *found = &a->tally.sum;
    a->count += found->key_count > 0;
    if (memcmp(said, found, sizeof(*said)) == 0) return;
    a->differences++;
    env_log(s->env, ENV_WARNING, "audit_differs keyspace=%u slot=%u keys=%llu said=%llu",
            p.keyspace, p.slot, (unsigned long long)found->key_count,
            (unsigned long long)said->key_count);
    if (!facts_replace(&s->facts, p, found)) store_tell_keyspaces_full(s, p.keyspace);
    s->wants_flush = true; // so that it lasts
    store_flush_if_due(s);
}

// What cannot be read is left to the next round; damage was noted by the scan.
static void end_stretch(struct store *s) {
    struct audit *a = &s->audit;
    const struct tally *t = &a->tally;
    a->spent += PARTITION_COST + (t->scan.read > 0 ? t->scan.read : t->seen);
    if (!t->is_valid) return;
    if (t->scan.status != ST_OK) {
        move_on(s);
    } else if (t->is_whole) {
        compare(s);
        move_on(s);
    }
}

static void go_on(struct store *s) {
    struct audit *a = &s->audit;
    while (a->spent < QUANTUM) {
        if (must_rest(s)) {
            rest(s, REST_NS);
            return;
        }
        if (!a->tally.is_valid) tally_begin(&a->tally, partition_of_number(a->partition));
        a->is_reading = !tally_go_on(&a->tally);
        if (a->is_reading) return;
        end_stretch(s);
    }
    uint64_t ns = a->spent * NS_PER_S / rate_of(s);
    rest(s, ns + pace_rest(&s->pace, PACE_AUDIT, s->env->now, ns, 0));
    a->spent = 0;
}

static void on_stretch(struct tally *t) {
    struct store *s = t->store;
    s->audit.is_reading = false;
    if (!s->is_open) {
        store_close_when_quiet(s);
        return;
    }
    end_stretch(s);
    go_on(s);
}

static void on_rested(struct timer *timer) {
    go_on(CONTAINER_OF(timer, struct store, audit.timer));
}

void store_audit_init(struct store *s, struct arena *arena) {
    struct tally *t = &s->audit.tally;
    t->store = s;
    t->done = on_stretch;
    t->after = arena_take(arena, KEY_SIZE_MAX, 1);
    t->most = STRETCH;
    t->ignores_copies = true;
    s->audit.timer.fired = on_rested;
}

void store_audit_start(struct store *s) {
    struct audit *a = &s->audit;
    uint64_t number = hash_number(s->options.seed);
    const struct keyspaces *k = &s->keyspaces;
    struct partition first = {
        .keyspace = k->places[number % k->count].number,
        .slot = (uint16_t)(number / k->count % SLOT_COUNT),
    };
    a->partition = a->first = partition_number(first);
    rest(s, REST_NS);
}

void store_audit_stop(struct store *s) {
    timer_disarm(s->timers, &s->audit.timer);
}
