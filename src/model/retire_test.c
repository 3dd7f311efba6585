// SPDX-License-Identifier: Apache-2.0
//
// Retiring against never doing so: two worlds in step, one whose replicas take out what they can,
// whenever they can, and one whose replicas keep everything. After every step of every history of a
// few writes each replica must hold the same siblings in both. So none comes back, none is lost and
// none is taken for concurrent that is not.
#include "model/retire.h"

#include "base/rng.h"
#include "tests/test.h"

#include <stdlib.h>

enum { REPLICAS = 3, DEPARTED = 2, WORLDS = 2, RETIRING = 0, KEEPING = 1 };

static struct version dot_of(uint32_t actor, uint64_t counter) {
    return (struct version){{100 + actor, 1}, counter};
}

static const uint64_t live_ids[] = {100, 101};
static const uint64_t departed_ids[] = {100 + DEPARTED};
static const struct storage_set live = {live_ids, 2};
static const struct storage_set departed = {departed_ids, 1};

// Small enough to be copied and compared, byte by byte and without padding: contexts and dots.
struct copy {
    uint64_t counters[REPLICAS]; // 0: no entry
    uint64_t dot_count;
    uint64_t dots[8]; // actor << 32 | counter
};

// Replica DEPARTED mints until it has departed; then the other two are all there are.
struct moment {
    struct copy held[WORLDS][REPLICAS];
    uint64_t minted[REPLICAS];
    uint64_t stale[REPLICAS]; // a context that some client has kept
    uint64_t proof[REPLICAS]; // what those that are left have once proved to know, both of them
    uint64_t writes;
    uint64_t has_departed; // 1: it has
};

static void expand(const struct copy *c, struct record *r) {
    record_clear(r);
    for (uint32_t a = 0; a < REPLICAS; a++) {
        if (c->counters[a] == 0) continue;
        r->context.entries[r->context.count++] = dot_of(a, c->counters[a]);
    }
    for (uint32_t i = 0; i < c->dot_count; i++) {
        struct version dot = dot_of((uint32_t)(c->dots[i] >> 32), c->dots[i] & UINT32_MAX);
        r->siblings[r->sibling_count++] = (struct sibling){.dot = dot};
    }
}

static struct copy compact(const struct record *r) {
    struct copy c = {.dot_count = r->sibling_count};
    assert_true(r->sibling_count <= 8);
    for (uint32_t a = 0; a < REPLICAS; a++) {
        c.counters[a] = context_counter(&r->context, dot_of(a, 1).actor);
    }
    for (uint32_t i = 0; i < r->sibling_count; i++) {
        struct version dot = r->siblings[i].dot;
        c.dots[i] = (dot.actor.storage - 100) << 32 | dot.counter;
    }
    return c;
}

static void merge(struct moment *m, uint32_t to, uint32_t from) {
    static struct record a, b, out;
    for (uint32_t w = 0; w < WORLDS; w++) {
        expand(&m->held[w][to], &a);
        expand(&m->held[w][from], &b);
        assert_int_equal(record_merge(&a, &b, &out, NULL), ST_OK);
        m->held[w][to] = compact(&out);
    }
}

// A client that has read at a replica, or nowhere, or kept what it read long ago. The keeping world
// is the one whose contexts clients carry: what was known when they read may have been retired
// since.
static void write_at(struct moment *m, uint32_t at, const uint64_t *seen_counters) {
    static struct record before, after;
    static struct context seen;
    context_clear(&seen);
    for (uint32_t a = 0; a < REPLICAS; a++) {
        if (seen_counters[a] > 0) seen.entries[seen.count++] = dot_of(a, seen_counters[a]);
    }
    struct sibling written = {.dot = dot_of(at, ++m->minted[at])};
    for (uint32_t w = 0; w < WORLDS; w++) {
        expand(&m->held[w][at], &before);
        assert_int_equal(record_update(&before, &seen, &written, &after), ST_OK);
        m->held[w][at] = compact(&after);
    }
    m->writes++;
}

static void prove(struct moment *m) {
    static struct record a, b;
    expand(&m->held[RETIRING][0], &a);
    expand(&m->held[RETIRING][1], &b);
    retire_meet(&a.context, &b.context);
    struct copy both = compact(&a);
    memcpy(m->proof, both.counters, sizeof(m->proof));
}

static uint32_t retire_at(struct moment *m, uint32_t at) {
    static struct record held;
    static struct record proved;
    struct copy proof = {0};
    memcpy(proof.counters, m->proof, sizeof(m->proof));
    expand(&proof, &proved);
    expand(&m->held[RETIRING][at], &held);
    uint32_t count = retire_departed(&held, live, departed, &proved.context);
    m->held[RETIRING][at] = compact(&held);
    return count;
}

static void check(const struct moment *m) {
    for (uint32_t i = 0; i < REPLICAS; i++) {
        const struct copy *a = &m->held[RETIRING][i];
        const struct copy *b = &m->held[KEEPING][i];
        assert_int_equal(a->dot_count, b->dot_count);
        assert_memory_equal(a->dots, b->dots, sizeof(a->dots));
        for (uint32_t actor = 0; actor < DEPARTED; actor++) {
            assert_true(a->counters[actor] == b->counters[actor]); // the live ones' stay
        }
    }
}

struct search {
    struct moment *all; // hash table
    bool *is_taken;
    uint32_t *queue;
    uint32_t capacity;
    uint32_t count;
    uint32_t writes_max;
    uint64_t retired;
};

static void visit(struct search *s, const struct moment *m) {
    const uint8_t *bytes = (const uint8_t *)m;
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < sizeof(*m); i++) hash = (hash ^ bytes[i]) * 0x100000001b3u;
    uint32_t at = (uint32_t)(hash >> 16) % s->capacity;
    while (s->is_taken[at]) {
        if (memcmp(&s->all[at], m, sizeof(*m)) == 0) return;
        at = (at + 1) % s->capacity;
    }
    check(m);
    s->is_taken[at] = true;
    memcpy(&s->all[at], m, sizeof(*m));
    s->queue[s->count++] = at;
    assert_true(s->count < s->capacity / 4 * 3);
}

static void try_writes(struct search *s, const struct moment *m, uint32_t replicas) {
    static const uint64_t nothing[REPLICAS] = {0};
    if (m->writes == s->writes_max) return;
    for (uint32_t at = 0; at < replicas; at++) {
        for (uint32_t from = 0; from < replicas + 2; from++) {
            struct moment next;
            memcpy(&next, m, sizeof(next));
            const uint64_t *seen = from < replicas    ? m->held[KEEPING][from].counters
                                   : from == replicas ? nothing
                                                      : m->stale;
            write_at(&next, at, seen);
            visit(s, &next);
        }
    }
}

// What can be done next: a write, a merge, a client that keeps what it reads, the departure, and
// after that a proof of what all know, and retiring at one replica by the last one there was.
static void go_on(struct search *s, const struct moment *m) {
    uint32_t replicas = m->has_departed == 1 ? DEPARTED : REPLICAS;
    struct moment next;
    try_writes(s, m, replicas);
    for (uint32_t to = 0; to < replicas; to++) {
        for (uint32_t from = 0; from < replicas; from++) {
            memcpy(&next, m, sizeof(next));
            merge(&next, to, from);
            visit(s, &next);
        }
        memcpy(&next, m, sizeof(next));
        memcpy(next.stale, m->held[KEEPING][to].counters, sizeof(next.stale));
        visit(s, &next);
    }
    memcpy(&next, m, sizeof(next));
    next.has_departed = 1;
    // What it alone knew is gone with it; nobody can tell, and nobody asks it any more.
    memset(&next.held[RETIRING][DEPARTED], 0, sizeof(struct copy));
    memset(&next.held[KEEPING][DEPARTED], 0, sizeof(struct copy));
    visit(s, &next);
    if (m->has_departed == 0) return;
    memcpy(&next, m, sizeof(next));
    prove(&next);
    visit(s, &next);
    for (uint32_t at = 0; at < DEPARTED; at++) {
        memcpy(&next, m, sizeof(next));
        s->retired += retire_at(&next, at);
        visit(s, &next);
    }
}

static void nothing_comes_back_whoever_retires_what_and_when(void **state) {
    (void)state;
    struct search s = {.capacity = 1 << 20, .writes_max = 3};
    s.all = calloc(s.capacity, sizeof(*s.all));
    s.is_taken = calloc(s.capacity, sizeof(*s.is_taken));
    s.queue = calloc(s.capacity, sizeof(*s.queue));
    assert_non_null(s.all);
    assert_non_null(s.is_taken);
    assert_non_null(s.queue);
    static struct moment start;
    memset(&start, 0, sizeof(start));
    visit(&s, &start);
    for (uint32_t i = 0; i < s.count; i++) {
        static struct moment m;
        memcpy(&m, &s.all[s.queue[i]], sizeof(m));
        go_on(&s, &m);
    }
    print_message("%u moments, %llu entries retired\n", s.count, (unsigned long long)s.retired);
    assert_true(s.count > 10000);
    assert_true(s.retired > 100);
    free(s.all);
    free(s.is_taken);
    free(s.queue);
}

static struct record r;
static struct context stable;

// A key that a live member and a departed one have written; everybody knows all of it.
static void known_everywhere(void) {
    record_clear(&r);
    assert_int_equal(context_add(&r.context, dot_of(0, 3)), ST_OK);
    assert_int_equal(context_add(&r.context, dot_of(DEPARTED, 5)), ST_OK);
    r.siblings[r.sibling_count++] = (struct sibling){.dot = dot_of(0, 3)};
    context_copy(&stable, &r.context);
}

static void an_entry_goes_when_all_know_all_and_nothing_stands_on_it(void **state) {
    (void)state;
    known_everywhere();
    assert_int_equal(retire_departed(&r, live, departed, &stable), 1);
    assert_int_equal(context_counter(&r.context, dot_of(DEPARTED, 1).actor), 0);
    assert_int_equal(context_counter(&r.context, dot_of(0, 1).actor), 3);
    assert_int_equal(retire_departed(&r, live, departed, &stable), 0);
}

static void an_entry_stays_while_it_may_be_needed(void **state) {
    (void)state;
    const struct storage_set nobody = {NULL, 0};
    const struct storage_set everybody = {(const uint64_t[]){100, 102}, 2};
    known_everywhere();
    assert_int_equal(retire_departed(&r, live, nobody, &stable), 0); // nothing is known of it
    assert_int_equal(retire_departed(&r, everybody, departed, &stable), 0); // it is live after all
    stable.entries[1].counter--; // somebody lacks an event of it,
    assert_int_equal(retire_departed(&r, live, departed, &stable), 0);
    stable.entries[1].counter++;
    stable.entries[0].counter--; // or one that may have superseded what it wrote
    assert_int_equal(retire_departed(&r, live, departed, &stable), 0);
    stable.entries[0].counter++;
    r.siblings[r.sibling_count++] = (struct sibling){.dot = dot_of(DEPARTED, 4)};
    assert_int_equal(retire_departed(&r, live, departed, &stable), 0); // a value of it is live
    r.sibling_count--;
    assert_int_equal(retire_departed(&r, live, departed, &stable), 1);
}

static void the_least_is_what_both_know(void **state) {
    (void)state;
    static struct context a, b;
    context_clear(&a);
    context_clear(&b);
    assert_int_equal(context_add(&a, dot_of(0, 3)), ST_OK);
    assert_int_equal(context_add(&a, dot_of(1, 1)), ST_OK);
    assert_int_equal(context_add(&a, dot_of(2, 9)), ST_OK);
    assert_int_equal(context_add(&b, dot_of(0, 5)), ST_OK);
    assert_int_equal(context_add(&b, dot_of(2, 4)), ST_OK);
    retire_meet(&a, &b);
    assert_int_equal(a.count, 2);
    assert_int_equal(context_counter(&a, dot_of(0, 1).actor), 3);
    assert_int_equal(context_counter(&a, dot_of(2, 1).actor), 4);
}

int retire_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(nothing_comes_back_whoever_retires_what_and_when),
        cmocka_unit_test(an_entry_goes_when_all_know_all_and_nothing_stands_on_it),
        cmocka_unit_test(an_entry_stays_while_it_may_be_needed),
        cmocka_unit_test(the_least_is_what_both_know),
    };
    return cmocka_run_group_tests_name("retire", cases, NULL, NULL);
}
