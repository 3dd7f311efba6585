// SPDX-License-Identifier: Apache-2.0
//
// Retiring against never doing so: two worlds in step, one whose replicas take out what they can,
// whenever a round has agreed on it, and one whose replicas keep everything. After every step of
// every history of a few writes each replica must hold the same siblings in both. So none comes
// back, none is lost and none is taken for concurrent that is not.
#include "model/retire.h"

#include "model/fence.h"
#include "tests/test.h"

#include <stdlib.h>

enum { REPLICAS = 2, OTHER = 2, ACTORS = 3, WORLDS = 2, RETIRING = 0, KEEPING = 1, DOTS_MAX = 4 };

static struct version dot_of(uint32_t actor, uint64_t counter) {
    return (struct version){{100 + actor, 1}, counter};
}

static const uint64_t replica_ids[] = {100, 101};
static const struct storage_set replicas = {replica_ids, REPLICAS};

// Small enough to be copied and compared, byte by byte and without padding: contexts and dots.
struct copy {
    uint8_t counters[ACTORS]; // 0: no entry
    uint8_t dot_count;
    uint8_t dots[DOTS_MAX]; // actor << 4 | counter
};

// OTHER is no replica. It mints, as one who stands in or as a replica that it was once, until it is
// gone with all that it has not handed on; then the two replicas are all there are.
//
// A round, of which there are two at most, asks one replica after the other whether it holds the
// record that it is about. Each raises its fence when it has said yes.
struct moment {
    struct copy held[WORLDS][ACTORS];
    struct copy late[WORLDS]; // what was read somewhere once, and may come anywhere at any time
    struct copy proof;        // what the last round is about
    uint8_t late_round;       // when that was read
    uint8_t minted[ACTORS];
    uint8_t stale[ACTORS];           // a context that some client has kept
    uint8_t times[ACTORS][DOTS_MAX]; // of each dot
    uint8_t rounds[REPLICAS];        // fences
    uint8_t floors[REPLICAS];
    uint8_t agreed; // bit i: replica i has said that it holds the proof
    uint8_t round;  // the last there was
    uint8_t writes;
    uint8_t is_gone; // 1: OTHER is
};

static_assert(sizeof(struct moment) == 99, "bytes alone");

static void expand(const struct moment *m, const struct copy *c, struct record *r) {
    record_clear(r);
    for (uint32_t a = 0; a < ACTORS; a++) {
        if (c->counters[a] == 0) continue;
        r->context.entries[r->context.count++] = dot_of(a, c->counters[a]);
    }
    for (uint32_t i = 0; i < c->dot_count; i++) {
        uint32_t actor = c->dots[i] >> 4;
        uint32_t counter = c->dots[i] & 15;
        r->siblings[r->sibling_count++] = (struct sibling){
            .dot = dot_of(actor, counter), .timestamp = m->times[actor][counter - 1]};
    }
}

static struct copy compact(const struct record *r) {
    struct copy c = {.dot_count = (uint8_t)r->sibling_count};
    assert_true(r->sibling_count <= DOTS_MAX);
    for (uint32_t a = 0; a < ACTORS; a++) {
        c.counters[a] = (uint8_t)context_counter(&r->context, dot_of(a, 1).actor);
    }
    for (uint32_t i = 0; i < r->sibling_count; i++) {
        struct version dot = r->siblings[i].dot;
        c.dots[i] = (uint8_t)((dot.actor.storage - 100) << 4 | dot.counter);
    }
    return c;
}

static bool is_equal(const struct copy *a, const struct copy *b) {
    return memcmp(a, b, sizeof(*a)) == 0;
}

// What was read in that round comes to a replica. What the one world refuses does not come to the
// other one: a message may always be lost.
static void come(struct moment *m, uint32_t to, const struct copy told[WORLDS], uint32_t round) {
    static struct record a, b, out;
    const struct fence fence = {.round = m->rounds[to], .floor = m->floors[to]};
    expand(m, &m->held[RETIRING][to], &a);
    expand(m, &told[RETIRING], &b);
    if (!fence_admits(&fence, round, &b, &a.context)) return;
    for (uint32_t w = 0; w < WORLDS; w++) {
        expand(m, &m->held[w][to], &a);
        expand(m, &told[w], &b);
        assert_int_equal(record_merge(&a, &b, &out, NULL), ST_OK);
        m->held[w][to] = compact(&out);
    }
}

static uint8_t round_of(const struct moment *m, uint32_t actor) {
    return actor < REPLICAS ? m->rounds[actor] : 0;
}

static void come_from(struct moment *m, uint32_t to, uint32_t from) {
    const struct copy told[WORLDS] = {m->held[RETIRING][from], m->held[KEEPING][from]};
    if (to < REPLICAS) come(m, to, told, round_of(m, from));
}

// A client that has read at a replica, or nowhere, or kept what it read long ago. The keeping world
// is the one whose contexts clients carry: what was known when they read may have been retired
// since.
static void write_at(struct moment *m, uint32_t at, const uint8_t *seen_counters) {
    static struct record before, after;
    static struct context seen;
    context_clear(&seen);
    for (uint32_t a = 0; a < ACTORS; a++) {
        if (seen_counters[a] > 0) seen.entries[seen.count++] = dot_of(a, seen_counters[a]);
    }
    struct sibling written = {.dot = dot_of(at, ++m->minted[at])};
    m->times[at][m->minted[at] - 1] = ++m->writes; // later than all that it supersedes
    for (uint32_t w = 0; w < WORLDS; w++) {
        expand(m, &m->held[w][at], &before);
        assert_int_equal(record_update(&before, &seen, &written, &after), ST_OK);
        m->held[w][at] = compact(&after);
    }
}

// Replica 0 makes a round about what it holds, and 1 says whether it holds it, too.
static void agree(struct moment *m, uint32_t at) {
    if (at == 0) {
        m->proof = m->held[RETIRING][0];
        m->round++;
    } else if (!is_equal(&m->proof, &m->held[RETIRING][at])) {
        return;
    }
    uint8_t latest = 0;
    for (uint32_t i = 0; i < m->proof.dot_count; i++) {
        uint8_t time = m->times[m->proof.dots[i] >> 4][(m->proof.dots[i] & 15) - 1];
        if (time > latest) latest = time;
    }
    m->agreed = (uint8_t)((at == 0 ? 0 : m->agreed) | 1 << at);
    m->rounds[at] = m->round;
    if (latest > m->floors[at]) m->floors[at] = latest;
}

static uint32_t retire_at(struct moment *m, uint32_t at) {
    static struct record held;
    if (m->agreed != (1 << REPLICAS) - 1 || !is_equal(&m->proof, &m->held[RETIRING][at])) return 0;
    expand(m, &m->held[RETIRING][at], &held);
    bool is_due = retire_is_due(&held, replicas);
    uint32_t count = retire_take(&held, replicas);
    assert_int_equal(count > 0, is_due);
    m->held[RETIRING][at] = compact(&held);
    return count;
}

static void check(const struct moment *m) {
    for (uint32_t i = 0; i < ACTORS; i++) {
        const struct copy *a = &m->held[RETIRING][i];
        const struct copy *b = &m->held[KEEPING][i];
        assert_int_equal(a->dot_count, b->dot_count);
        assert_memory_equal(a->dots, b->dots, sizeof(a->dots));
        for (uint32_t actor = 0; actor < REPLICAS; actor++) {
            assert_true(a->counters[actor] == b->counters[actor]); // those of replicas stay
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

static void try_writes(struct search *s, const struct moment *m, uint32_t actors) {
    static const uint8_t nothing[ACTORS] = {0};
    if (m->writes == s->writes_max) return;
    for (uint32_t at = 0; at < actors; at++) {
        for (uint32_t from = 0; from < actors + 2; from++) {
            struct moment next = *m;
            const uint8_t *seen = from < actors    ? m->held[KEEPING][from].counters
                                  : from == actors ? nothing
                                                   : m->stale;
            write_at(&next, at, seen);
            visit(s, &next);
        }
    }
}

// Something is sent, at once or to come later; a client keeps what it reads.
static void try_reads(struct search *s, const struct moment *m, uint32_t actors) {
    for (uint32_t from = 0; from < actors; from++) {
        for (uint32_t to = 0; to < REPLICAS; to++) {
            struct moment next = *m;
            come_from(&next, to, from);
            visit(s, &next);
        }
        struct moment next = *m;
        for (uint32_t w = 0; w < WORLDS; w++) next.late[w] = m->held[w][from];
        next.late_round = round_of(m, from);
        visit(s, &next);
        next = *m;
        memcpy(next.stale, m->held[KEEPING][from].counters, sizeof(next.stale));
        visit(s, &next);
    }
    for (uint32_t to = 0; to < REPLICAS; to++) {
        struct moment next = *m;
        come(&next, to, m->late, m->late_round);
        visit(s, &next);
    }
}

// What can be done next. Rounds are made when OTHER keeps nothing any more.
static void go_on(struct search *s, const struct moment *m) {
    uint32_t actors = m->is_gone == 1 ? REPLICAS : ACTORS;
    try_writes(s, m, actors);
    try_reads(s, m, actors);
    struct moment next = *m;
    next.is_gone = 1;
    for (uint32_t w = 0; w < WORLDS; w++) next.held[w][OTHER] = (struct copy){0};
    visit(s, &next);
    if (m->is_gone == 0) return;
    for (uint32_t at = 0; at < REPLICAS; at++) {
        next = *m;
        if (at > 0 ? m->agreed == 1 : m->round < 2) agree(&next, at);
        visit(s, &next);
        next = *m;
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
        struct moment m = s.all[s.queue[i]];
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

// A replica has written on top of what another replica and somebody else had.
static void written_over(void) {
    record_clear(&r);
    assert_int_equal(context_add(&r.context, dot_of(0, 3)), ST_OK);
    assert_int_equal(context_add(&r.context, dot_of(1, 4)), ST_OK);
    assert_int_equal(context_add(&r.context, dot_of(OTHER, 5)), ST_OK);
    r.siblings[r.sibling_count++] = (struct sibling){.dot = dot_of(0, 3)};
}

static void an_entry_goes_when_nothing_stands_on_it(void **state) {
    (void)state;
    written_over();
    assert_true(retire_has_other(&r, replicas));
    assert_true(retire_is_due(&r, replicas));
    assert_int_equal(retire_take(&r, replicas), 1);
    assert_int_equal(context_counter(&r.context, dot_of(OTHER, 1).actor), 0);
    assert_int_equal(context_counter(&r.context, dot_of(0, 1).actor), 3);
    assert_int_equal(context_counter(&r.context, dot_of(1, 1).actor), 4);
    assert_false(retire_has_other(&r, replicas));
    assert_int_equal(retire_take(&r, replicas), 0);
}

static void an_entry_stays_while_it_may_be_needed(void **state) {
    (void)state;
    const struct storage_set all = {(const uint64_t[]){100, 102, 101}, 3};
    written_over();
    assert_false(retire_has_other(&r, all));
    assert_int_equal(retire_take(&r, all), 0); // it is one of the replicas
    r.siblings[r.sibling_count++] = (struct sibling){.dot = dot_of(OTHER, 4)};
    assert_true(retire_has_other(&r, replicas));
    assert_false(retire_is_due(&r, replicas));
    assert_int_equal(retire_take(&r, replicas), 0); // what it wrote is there
    // Likewise where its data has had another life since: that is another actor.
    struct version later = dot_of(OTHER, 1);
    later.actor.epoch++;
    assert_int_equal(context_add(&r.context, later), ST_OK);
    assert_int_equal(retire_take(&r, replicas), 1);
    assert_int_equal(context_counter(&r.context, dot_of(OTHER, 1).actor), 5);
    r.sibling_count = 0; // nothing that would be left behind
    assert_false(retire_is_due(&r, replicas));
    assert_int_equal(retire_take(&r, replicas), 0);
}

int retire_test(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(nothing_comes_back_whoever_retires_what_and_when),
        cmocka_unit_test(an_entry_goes_when_nothing_stands_on_it),
        cmocka_unit_test(an_entry_stays_while_it_may_be_needed),
    };
    return cmocka_run_group_tests_name("retire", cases, NULL, NULL);
}
