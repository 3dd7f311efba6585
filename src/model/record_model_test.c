// SPDX-License-Identifier: Apache-2.0
//
// Records against the most naive model of them: the set of all writes that were received, each with
// its whole causal past. Nothing is ever dropped from it; merging is the union; the siblings are
// the writes that are in no other's past.
//
// A record must be, byte for byte, what the model says, after every operation in every history that
// fits a few events, and in long random ones. Union is commutative, associative and idempotent, so
// merging is.
#include "model/record.h"

#include "base/rng.h"
#include "tests/test.h"

#include <stdlib.h>

enum { ACTORS = 4, EVENTS = 16, WRITES = ACTORS * EVENTS, HOLDERS = 5, RECORD_MAX = 8192 };

static_assert(WRITES <= 64, "a set of writes is one number");

struct past {
    uint8_t events[ACTORS]; // how many of each actor
};

// All writes there are. Write number a * EVENTS + n is event n + 1 of actor a.
struct history {
    uint64_t writes;
    struct past past[WRITES];
};

// Removes the least write from the set and returns its number.
static uint32_t take_write(uint64_t *set) {
    uint32_t write = (uint32_t)__builtin_ctzll(*set);
    *set &= *set - 1;
    return write;
}

static uint32_t actor_of(uint32_t write) {
    return write / EVENTS;
}

static uint8_t event_of(uint32_t write) {
    return (uint8_t)(write % EVENTS + 1);
}

static bool is_past(const struct past *past, uint32_t write) {
    return past->events[actor_of(write)] >= event_of(write);
}

static void past_join(struct past *to, const struct past *from) {
    for (uint32_t a = 0; a < ACTORS; a++) {
        if (to->events[a] < from->events[a]) to->events[a] = from->events[a];
    }
}

// All events that somebody knows of who received these writes.
static struct past known_by(const struct history *h, uint64_t received) {
    struct past known = {0};
    while (received != 0) {
        uint32_t w = take_write(&received);
        past_join(&known, &h->past[w]);
        if (known.events[actor_of(w)] < event_of(w)) known.events[actor_of(w)] = event_of(w);
    }
    return known;
}

static bool is_superseded(const struct history *h, uint64_t received, uint32_t write) {
    while (received != 0) {
        if (is_past(&h->past[take_write(&received)], write)) return true;
    }
    return false;
}

static struct version version_of(uint32_t actor, uint64_t counter) {
    return (struct version){{100 + actor / 2, 1 + actor % 2}, counter};
}

static void context_of(const struct past *past, struct context *c) {
    context_clear(c);
    for (uint32_t a = 0; a < ACTORS; a++) {
        if (past->events[a] > 0) c->entries[c->count++] = version_of(a, past->events[a]);
    }
}

// What was written follows from the number of the write.
static struct sibling sibling_of(uint32_t write) {
    static const uint8_t values[WRITES + 8] = {0};
    struct sibling s = {.dot = version_of(actor_of(write), event_of(write))};
    s.timestamp = write * 7 % 11;
    s.is_tombstone = write % 5 == 4;
    if (!s.is_tombstone) {
        s.expires_ms = write % 3 == 0 ? write + 1 : 0;
        s.value = (struct slice){values, write % 8};
    }
    return s;
}

static void record_of(const struct history *h, uint64_t received, struct record *r) {
    struct past known = known_by(h, received);
    record_clear(r);
    context_of(&known, &r->context);
    for (uint64_t rest = received; rest != 0;) {
        uint32_t w = take_write(&rest);
        if (is_superseded(h, received, w)) continue;
        r->siblings[r->sibling_count++] = sibling_of(w);
    }
}

static struct slice bytes_of(const struct record *r, uint8_t memory[RECORD_MAX]) {
    struct writer w = writer_to(memory, RECORD_MAX);
    record_encode(r, &w);
    assert_false(w.failed);
    assert_int_equal(w.size, record_encoded_size(r));
    return writer_bytes(&w);
}

static void assert_is(const struct record *r, const struct history *h, uint64_t received) {
    static struct record expected;
    uint8_t memory[2][RECORD_MAX];
    record_of(h, received, &expected);
    struct slice bytes = bytes_of(r, memory[0]);
    if (slice_equal(bytes, bytes_of(&expected, memory[1]))) return;
    fail_msg("%u siblings instead of %u", r->sibling_count, expected.sibling_count);
}

// Real records of writers take their values from the encoding, as in life.
static void real_record(const struct history *h, uint64_t received, struct record *r,
                        uint8_t memory[RECORD_MAX]) {
    record_of(h, received, r);
    struct slice bytes = bytes_of(r, memory);
    assert_int_equal(record_decode(r, bytes), ST_OK);
}

static void check_merge(const struct history *h, uint64_t a, uint64_t b) {
    static struct record ra, rb, out;
    uint8_t memory[2][RECORD_MAX];
    bool conflict = true;
    real_record(h, a, &ra, memory[0]);
    real_record(h, b, &rb, memory[1]);
    assert_int_equal(record_merge(&ra, &rb, &out, &conflict), ST_OK);
    assert_false(conflict);
    assert_is(&out, h, a | b);
}

// What the writer of `own` may replace from then on: all that is known but the others' values that
// it has not seen; and its own, unless an unseen one of the same actor lies before it.
static void check_context_of_writer(const struct record *r, const struct context *seen,
                                    struct version own) {
    static struct context known;
    bool is_own_covered = true;
    bool are_others_there = false;
    record_context_of_writer(r, seen, own, &known);
    assert_true(context_descends(&known, seen));
    assert_true(context_descends(&r->context, &known));
    for (uint32_t i = 0; i < r->sibling_count; i++) {
        struct version dot = r->siblings[i].dot;
        if (version_compare(dot, own) == 0) continue;
        are_others_there = true;
        assert_false(context_covers(&known, dot));
        bool is_same_actor = actor_compare(dot.actor, own.actor) == 0;
        is_own_covered &= !is_same_actor || dot.counter > own.counter;
    }
    assert_int_equal(context_covers(&known, own), is_own_covered);
    if (!are_others_there) assert_true(context_descends(&known, &r->context));
}

// A client that has seen `seen` writes at somebody who received `received`. Returns the new write.
static uint32_t check_update(struct history *h, uint64_t received, struct past seen,
                             uint32_t actor) {
    static struct record before, after;
    static struct context seen_context;
    uint8_t memory[RECORD_MAX];
    uint32_t write = actor * EVENTS + known_by(h, received).events[actor];
    assert_false(h->writes >> write & 1);
    real_record(h, received, &before, memory);
    context_of(&seen, &seen_context);
    struct sibling written = sibling_of(write);
    assert_int_equal(record_update(&before, &seen_context, &written, &after), ST_OK);
    h->writes |= (uint64_t)1 << write;
    h->past[write] = seen;
    assert_is(&after, h, received | (uint64_t)1 << write);
    check_context_of_writer(&after, &seen_context, written.dot);
    if (context_descends(&seen_context, &before.context)) {
        assert_int_equal(after.sibling_count, 1); // it saw all there was: an overwrite
    }
    return write;
}

// The exhaustive part: every history of a few events.

// One moment: all writes so far and who received which. Holder i mints for actor i if there is such
// an actor; the last holder only carries records about, as a slow message or a stale reader does.
struct moment {
    struct history history;
    uint64_t received[HOLDERS];
};

struct search {
    uint32_t actors;
    uint32_t holders;
    uint32_t events;    // of each actor
    uint32_t event_sum; // of all
    uint64_t *seen;     // hash table of moments, by their key; 0 is free
    uint32_t seen_capacity;
    uint32_t seen_count;
    struct moment *stack;
    uint32_t stack_count;
    uint32_t stack_capacity;
};

// The bits that can differ between moments of this search, in one number.
static uint64_t key_of(const struct search *s, const struct moment *m) {
    uint64_t key = 1;
    for (uint32_t a = 0; a < s->actors; a++) {
        for (uint32_t n = 0; n < s->events; n++) {
            uint32_t w = a * EVENTS + n;
            bool exists = m->history.writes >> w & 1;
            for (uint32_t h = 0; h < s->holders; h++) key = key << 1 | (m->received[h] >> w & 1);
            for (uint32_t past = 0; past < s->actors; past++) {
                key = key * (s->events + 1) + (exists ? m->history.past[w].events[past] : 0);
            }
        }
    }
    return key;
}

static void visit(struct search *s, const struct moment *m) {
    uint64_t key = key_of(s, m);
    uint32_t at = (uint32_t)((key * 0x9e3779b97f4a7c15u) >> 32) % s->seen_capacity;
    while (s->seen[at] != 0 && s->seen[at] != key) at = (at + 1) % s->seen_capacity;
    if (s->seen[at] == key) return;
    s->seen[at] = key;
    assert_true(++s->seen_count < s->seen_capacity / 4 * 3);
    assert_true(s->stack_count < s->stack_capacity);
    s->stack[s->stack_count++] = *m;
}

static uint32_t size_of_set(uint64_t set) {
    uint32_t count = 0;
    for (; set != 0; set &= set - 1) count++;
    return count;
}

// Every write that can be made now, by a client that has read at any holder, or nowhere.
static void try_writes(struct search *s, const struct moment *m) {
    if (size_of_set(m->history.writes) == s->event_sum) return;
    for (uint32_t a = 0; a < s->actors; a++) {
        if (known_by(&m->history, m->received[a]).events[a] == s->events) continue;
        for (uint32_t from = 0; from <= s->holders; from++) {
            struct moment next = *m;
            struct past seen = {0};
            if (from < s->holders) seen = known_by(&m->history, m->received[from]);
            uint32_t write = check_update(&next.history, m->received[a], seen, a);
            next.received[a] |= (uint64_t)1 << write;
            visit(s, &next);
        }
    }
}

static void try_merges(struct search *s, const struct moment *m) {
    for (uint32_t to = 0; to < s->holders; to++) {
        for (uint32_t from = 0; from < s->holders; from++) {
            check_merge(&m->history, m->received[to], m->received[from]);
            struct moment next = *m;
            next.received[to] |= m->received[from];
            visit(s, &next);
        }
    }
}

// Merging three in any order and grouping. Follows from every merge being the union, but is what
// was promised.
static void check_triple(const struct moment *m, uint32_t a, uint32_t b, uint32_t c) {
    static struct record ra, rb, rc, ab, bc, left, right;
    uint8_t memory[5][RECORD_MAX];
    real_record(&m->history, m->received[a], &ra, memory[0]);
    real_record(&m->history, m->received[b], &rb, memory[1]);
    real_record(&m->history, m->received[c], &rc, memory[2]);
    assert_int_equal(record_merge(&ra, &rb, &ab, NULL), ST_OK);
    assert_int_equal(record_merge(&ab, &rc, &left, NULL), ST_OK);
    assert_int_equal(record_merge(&rb, &rc, &bc, NULL), ST_OK);
    assert_int_equal(record_merge(&ra, &bc, &right, NULL), ST_OK);
    assert_true(slice_equal(bytes_of(&left, memory[3]), bytes_of(&right, memory[4])));
    assert_is(&left, &m->history, m->received[a] | m->received[b] | m->received[c]);
}

// Two clients read the same, all there is, and both write: neither write may be lost.
static void check_concurrent(const struct search *s, const struct moment *m) {
    static struct record ra, rb, out;
    uint8_t memory[2][RECORD_MAX];
    uint64_t all = m->history.writes;
    struct past seen = known_by(&m->history, all);
    for (uint32_t a = 0; a < s->actors; a++) {
        for (uint32_t b = 0; b < s->actors; b++) {
            struct history h = m->history;
            if (a == b) continue;
            uint64_t one = all | (uint64_t)1 << check_update(&h, all, seen, a);
            uint64_t other = all | (uint64_t)1 << check_update(&h, all, seen, b);
            real_record(&h, one, &ra, memory[0]);
            real_record(&h, other, &rb, memory[1]);
            assert_int_equal(record_merge(&ra, &rb, &out, NULL), ST_OK);
            assert_int_equal(out.sibling_count, 2);
        }
    }
}

static void search_all(uint32_t actors, uint32_t holders, uint32_t events, uint32_t event_sum) {
    struct search s = {.actors = actors, .holders = holders, .events = events};
    s.event_sum = event_sum;
    s.seen_capacity = 1 << 18;
    s.stack_capacity = 1 << 17;
    s.seen = calloc(s.seen_capacity, sizeof(*s.seen));
    s.stack = calloc(s.stack_capacity, sizeof(*s.stack));
    assert_non_null(s.seen);
    assert_non_null(s.stack);
    struct moment start = {0};
    visit(&s, &start);
    while (s.stack_count > 0) {
        struct moment m = s.stack[--s.stack_count];
        try_writes(&s, &m);
        try_merges(&s, &m);
        check_triple(&m, 0, 1, holders - 1);
        if (m.received[0] == m.history.writes) check_concurrent(&s, &m);
    }
    free(s.seen);
    free(s.stack);
}

static void two_replicas_and_any_six_writes(void **state) {
    (void)state;
    search_all(2, 2, 3, 6);
}

static void two_replicas_a_slow_message_and_any_four_writes(void **state) {
    (void)state;
    search_all(2, 3, 2, 4);
}

static void three_replicas_and_any_four_writes(void **state) {
    (void)state;
    search_all(3, 3, 2, 4);
}

static void three_replicas_a_slow_message_and_any_three_writes(void **state) {
    (void)state;
    search_all(3, 4, 2, 3);
}

// The random part: long histories, with contexts and records that turn up again much later.

enum { STALE = 8, STEPS = 150 };

static void random_history(struct rng *rng) {
    struct history h = {0};
    uint64_t received[HOLDERS] = {0};
    uint64_t stale[STALE] = {0}; // what somebody had received at some time
    for (uint32_t step = 0; step < STEPS; step++) {
        uint64_t *to = &received[rng_below(rng, HOLDERS)];
        uint64_t *from = &stale[rng_below(rng, STALE)];
        if (rng_chance(rng, 1, 2)) from = &received[rng_below(rng, HOLDERS)];
        uint32_t actor = rng_below(rng, ACTORS);
        if (rng_chance(rng, 1, 2)) {
            check_merge(&h, *to, *from);
            *to |= *from;
        } else if (known_by(&h, received[actor]).events[actor] < EVENTS) {
            struct past seen = known_by(&h, *from);
            received[actor] |= (uint64_t)1 << check_update(&h, received[actor], seen, actor);
        }
        if (rng_chance(rng, 1, 4)) {
            stale[rng_below(rng, STALE)] = received[rng_below(rng, HOLDERS)];
        }
    }
}

static void long_random_histories(void **state) {
    (void)state;
    struct rng rng = {test_seed()};
    for (uint32_t round = 0; round < 100; round++) random_history(&rng);
}

int record_model_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(two_replicas_and_any_six_writes),
        cmocka_unit_test(two_replicas_a_slow_message_and_any_four_writes),
        cmocka_unit_test(three_replicas_and_any_four_writes),
        cmocka_unit_test(three_replicas_a_slow_message_and_any_three_writes),
        cmocka_unit_test(long_random_histories),
    };
    return cmocka_run_group_tests_name("record_model", cases, NULL, NULL);
}
