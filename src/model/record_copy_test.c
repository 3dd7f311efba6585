// SPDX-License-Identifier: Apache-2.0
//
// Records where two replicas work with copies of one data directory, and so mint the same dots with
// different contents. The model is the lattice that record.h promises, dot by dot:
//
//     nothing  <  a set of contents, of two the union  <  superseded
//
// Every history of a few writes is gone through: by any replica, after any read, with any merges
// between, and with counters that skip one, as those of a store do that mints for other keys, too.
// The record must be, byte for byte, what the model says.
#include "model/record.h"

#include "base/rng.h"
#include "tests/test.h"

#include <stdlib.h>

// Replicas 0 and 1 are copies of each other, the others are themselves.
enum {
    ACTORS = 3,
    REPLICAS = ACTORS + 1,
    COUNTERS = 4,
    SUPERSEDED = 0xff,
    RECORD_MAX = 4096,
};

// Of each dot: 0, the replicas whose contents are there, or SUPERSEDED.
struct state {
    uint8_t dots[ACTORS][COUNTERS];
};

static uint32_t actor_of(uint32_t replica) {
    return replica == 0 ? 0 : replica - 1;
}

// Of the actor's events: below the last one known there is none of which nothing is known.
static uint32_t known(const struct state *s, uint32_t actor) {
    uint32_t counter = COUNTERS;
    while (counter > 0 && s->dots[actor][counter - 1] == 0) counter--;
    return counter;
}

static struct version dot_of(uint32_t actor, uint32_t counter) {
    return (struct version){{100 + actor, 1}, counter};
}

static void context_of(const struct state *s, struct context *c) {
    context_clear(c);
    for (uint32_t a = 0; a < ACTORS; a++) {
        if (known(s, a) > 0) c->entries[c->count++] = dot_of(a, known(s, a));
    }
}

// What a replica writes under a dot. Which of two contents comes first depends on the counter.
static struct sibling content_of(uint32_t replica, uint32_t counter) {
    static const uint8_t bytes[8] = {0};
    struct sibling s = {.dot = dot_of(actor_of(replica), counter)};
    s.timestamp = replica == 1 ? 4 + 2 * (counter % 2) : 5;
    s.is_tombstone = (replica + counter) % 3 == 0;
    if (!s.is_tombstone) s.value = (struct slice){bytes, counter};
    return s;
}

static void record_of(const struct state *s, struct record *r) {
    record_clear(r);
    context_of(s, &r->context);
    for (uint32_t a = 0; a < ACTORS; a++) {
        for (uint32_t n = 1; n <= COUNTERS; n++) {
            uint8_t held = s->dots[a][n - 1];
            if (held == SUPERSEDED) continue;
            uint32_t first = r->sibling_count;
            for (uint32_t replica = 0; replica < REPLICAS; replica++) {
                if (held >> replica & 1) r->siblings[r->sibling_count++] = content_of(replica, n);
            }
            struct sibling *s1 = &r->siblings[first];
            if (r->sibling_count == first + 2 && s1[1].timestamp < s1[0].timestamp) {
                struct sibling late = s1[0];
                s1[0] = s1[1];
                s1[1] = late;
            }
        }
    }
}

static struct state joined(const struct state *a, const struct state *b) {
    struct state out = {0};
    for (uint32_t i = 0; i < ACTORS * COUNTERS; i++) {
        uint8_t da = a->dots[i / COUNTERS][i % COUNTERS];
        uint8_t db = b->dots[i / COUNTERS][i % COUNTERS];
        out.dots[i / COUNTERS][i % COUNTERS] = da | db; // SUPERSEDED has all bits
    }
    return out;
}

static bool differ(const struct state *a, const struct state *b) {
    bool do_differ = false;
    for (uint32_t i = 0; i < COUNTERS; i++) {
        uint8_t da = a->dots[0][i];
        uint8_t db = b->dots[0][i];
        if (da == SUPERSEDED || db == SUPERSEDED) continue;
        do_differ |= da != 0 && db != 0 && da != db;
    }
    return do_differ;
}

static struct slice bytes_of(const struct record *r, uint8_t memory[RECORD_MAX]) {
    struct writer w = writer_to(memory, RECORD_MAX);
    record_encode(r, &w);
    assert_false(w.failed);
    return writer_bytes(&w);
}

static void assert_is(const struct record *r, const struct state *s) {
    static struct record expected;
    uint8_t memory[2][RECORD_MAX];
    record_of(s, &expected);
    assert_true(slice_equal(bytes_of(r, memory[0]), bytes_of(&expected, memory[1])));
}

// As it would be read from a disk.
static void real_record(const struct state *s, struct record *r, uint8_t memory[RECORD_MAX]) {
    record_of(s, r);
    assert_int_equal(record_decode(r, bytes_of(r, memory)), ST_OK);
}

static void check_merge(const struct state *a, const struct state *b) {
    static struct record ra, rb, out;
    uint8_t memory[2][RECORD_MAX];
    bool conflict = !differ(a, b);
    struct state both = joined(a, b);
    real_record(a, &ra, memory[0]);
    real_record(b, &rb, memory[1]);
    assert_int_equal(record_merge(&ra, &rb, &out, &conflict), ST_OK);
    assert_is(&out, &both);
    assert_int_equal(conflict, differ(a, b));
}

// False: its counters are used up.
static bool write_at(struct state *s, uint32_t replica, const struct state *read,
                     uint32_t skipped) {
    static struct record before, after;
    static struct context seen;
    uint8_t memory[RECORD_MAX];
    uint32_t actor = actor_of(replica);
    uint32_t counter = known(s, actor) + 1 + skipped;
    // A client that has read what this replica does not remember is told so: not of interest here.
    if (counter > COUNTERS || known(read, actor) >= counter) return false;
    real_record(s, &before, memory);
    context_of(read, &seen);
    struct sibling written = content_of(replica, counter);
    assert_int_equal(record_update(&before, &seen, &written, &after), ST_OK);
    for (uint32_t a = 0; a < ACTORS; a++) {
        for (uint32_t n = 0; n < known(read, a); n++) s->dots[a][n] = SUPERSEDED;
    }
    for (uint32_t n = 0; n < counter - 1; n++) {
        if (s->dots[actor][n] == 0) s->dots[actor][n] = SUPERSEDED;
    }
    s->dots[actor][counter - 1] = (uint8_t)(1u << replica);
    assert_is(&after, s);
    return true;
}

// One moment: what each replica holds, and how many writes it took to come there.
struct moment {
    struct state held[REPLICAS];
    uint32_t writes;
};

struct search {
    uint32_t replicas;
    uint32_t writes;
    struct moment *all; // hash table
    bool *is_taken;
    uint32_t capacity;
    uint32_t count;
    uint32_t *queue; // places in the table, in the order in which they were found
};

static void visit(struct search *s, const struct moment *m) {
    struct slice bytes = {(const uint8_t *)m, sizeof(*m)};
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < bytes.size; i++) hash = (hash ^ bytes.data[i]) * 0x100000001b3u;
    uint32_t at = (uint32_t)(hash >> 16) % s->capacity;
    while (s->is_taken[at]) {
        if (memcmp(&s->all[at], m, sizeof(*m)) == 0) return;
        at = (at + 1) % s->capacity;
    }
    s->is_taken[at] = true;
    s->all[at] = *m;
    s->queue[s->count++] = at;
    assert_true(s->count < s->capacity / 4 * 3);
}

static void go_on(struct search *s, const struct moment *m) {
    static const struct state nothing = {0};
    for (uint32_t to = 0; to < s->replicas; to++) {
        for (uint32_t from = 0; from <= s->replicas; from++) {
            const struct state *read = from < s->replicas ? &m->held[from] : &nothing;
            for (uint32_t skipped = 0; skipped < 2 && m->writes < s->writes; skipped++) {
                struct moment next = *m;
                next.writes++;
                if (write_at(&next.held[to], to, read, skipped)) visit(s, &next);
            }
            if (from == s->replicas) continue;
            check_merge(&m->held[to], read);
            struct moment next = *m;
            next.held[to] = joined(&m->held[to], read);
            visit(s, &next);
        }
    }
}

static void check_triple(const struct moment *m) {
    static struct record ra, rb, rc, ab, bc, left, right;
    uint8_t memory[5][RECORD_MAX];
    real_record(&m->held[0], &ra, memory[0]);
    real_record(&m->held[1], &rb, memory[1]);
    real_record(&m->held[2], &rc, memory[2]);
    assert_int_equal(record_merge(&ra, &rb, &ab, NULL), ST_OK);
    assert_int_equal(record_merge(&ab, &rc, &left, NULL), ST_OK);
    assert_int_equal(record_merge(&rb, &rc, &bc, NULL), ST_OK);
    assert_int_equal(record_merge(&ra, &bc, &right, NULL), ST_OK);
    assert_true(slice_equal(bytes_of(&left, memory[3]), bytes_of(&right, memory[4])));
}

static void search_all(uint32_t replicas, uint32_t writes, uint32_t least) {
    struct search s = {.replicas = replicas, .writes = writes, .capacity = 1 << 20};
    s.all = calloc(s.capacity, sizeof(*s.all));
    s.is_taken = calloc(s.capacity, sizeof(*s.is_taken));
    s.queue = calloc(s.capacity, sizeof(*s.queue));
    assert_non_null(s.all);
    assert_non_null(s.is_taken);
    assert_non_null(s.queue);
    static const struct moment start = {0};
    visit(&s, &start);
    for (uint32_t i = 0; i < s.count; i++) {
        struct moment m = s.all[s.queue[i]];
        go_on(&s, &m);
        check_triple(&m);
    }
    print_message("%u replicas, %u writes: %u moments\n", replicas, writes, s.count);
    assert_true(s.count > least);
    free(s.all);
    free(s.is_taken);
    free(s.queue);
}

static void two_copies_and_another_and_any_four_writes(void **state) {
    (void)state;
    search_all(3, 4, 10000);
}

static void two_copies_and_two_others_and_any_three_writes(void **state) {
    (void)state;
    search_all(4, 3, 10000);
}

static void long_random_histories_with_copies(void **state) {
    (void)state;
    struct rng rng = {test_seed()};
    for (uint32_t round = 0; round < 3000; round++) {
        struct moment m = {0};
        struct state stale = {0};
        for (uint32_t step = 0; step < 40; step++) {
            struct state *to = &m.held[rng_below(&rng, REPLICAS)];
            const struct state *from = &m.held[rng_below(&rng, REPLICAS)];
            if (rng_chance(&rng, 1, 4)) from = &stale;
            if (rng_chance(&rng, 1, 2)) {
                check_merge(to, from);
                *to = joined(to, from);
            } else {
                (void)write_at(to, (uint32_t)(to - m.held), from, rng_below(&rng, 2));
            }
            check_triple(&m);
            if (rng_chance(&rng, 1, 5)) stale = m.held[rng_below(&rng, REPLICAS)];
        }
    }
}

int record_copy_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(two_copies_and_another_and_any_four_writes),
        cmocka_unit_test(two_copies_and_two_others_and_any_three_writes),
        cmocka_unit_test(long_random_histories_with_copies),
    };
    return cmocka_run_group_tests_name("record_copy", cases, NULL, NULL);
}
